/* mpe/simple: its rules are in simple.h. */
#include "envs/mpe/simple.h"
#include "envs/mpe/suite.h"

static const char *const simple_rule_sets[] = {"mpe2", "pettingzoo-1.22", "openai", NULL}; /* the reference MAPPO has no simple */
static const struct mappo_option simple_options[] = {
    MPE_RULES_OF(simple_rule_sets, "mpe2: today's package; pettingzoo-1.22: until that version; openai: the first release"), MPE_MAX_CYCLES,
    MPE_CONTINUOUS_ACTIONS, MPE_SOFT_ACTIONS, MPE_NO_OPTION};
static const struct mappo_info simple_infos[SIMPLE_INFOS] = {{"distance", "field", "from the agent to the landmark", 0}};
static const struct mpe_cast simple_cast = {{"agent"},  {"landmark"},
                                            {0},        {1},
                                            {MPE_BLUE}, NULL,
                                            NULL,       "sum over the episode of minus the square of the distance to the landmark",
                                            NULL,       0};
static const char *const simple_names[] = {MPE_NAMES("simple", "simple_v3")};

static void simple_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    mpe_script_agent(w, rules, 0, mpe_landmark(w, rules), 0, act_int, act_real);
}

MPE_TASK(mpe_simple, simple, SIMPLE_COUNTS, SIMPLE_INFOS, 1, .id = "mpe/simple", .summary = "one agent goes to a landmark",
         .source = "Lowe et al. 2017; mpe2 1.1 (simple_v3)", .version = 1);
