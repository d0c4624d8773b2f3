/* mpe/simple_adversary: its rules are in simple_adversary.h. */
#include "envs/mpe/simple_adversary.h"
#include "envs/mpe/suite.h"

static const struct mappo_option adversary_options[] = {
    MPE_OPTIONS,
    {"N", MAPPO_OPTION_INT, "2", 1, MPE_MAX_AGENTS - 1, NULL, "agents beside the adversary, and as many landmarks"},
    MPE_NEIGHBORS,
    MPE_NO_OPTION};
static const struct mappo_info adversary_infos[ADVERSARY_INFOS] = {{"agent_distance", "field", "from the goal to the nearest agent", 0},
                                                                   {"adversary_distance", "field", "from the goal to the adversary", 0}};
static const char *const adversary_teams[] = {"agents", "adversaries"};
static const struct mpe_cast adversary_cast = {
    {"adversary", "agent"},
    {"landmark"},
    {1, 0},
    {1, 1},
    {MPE_RED, MPE_BLUE},
    adversary_teams,
    NULL,
    "sum over the episode of how much nearer to the goal the nearest agent is than the adversary; of the adversary: minus its distance",
    NULL,
    0};
static const char *const adversary_names[] = {MPE_NAMES("simple_adversary", "simple_adversary_v3")};

/* Agents cover all landmarks, so that nothing shows which is the goal; the adversary waits in the middle of them. */
static void adversary_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    const int n = rules->agents - 1;
    const rule_real *landmark = mpe_landmark(w, rules);
    rule_real middle[2] = {0, 0};
    for (int l = 0; l < 2 * n; l++) middle[l % 2] += landmark[l] / (rule_real)n;
    mpe_script_agent(w, rules, 0, middle, 0, act_int, act_real);
    mpe_script_match(w, rules, 1, landmark, act_int, act_real);
}

MPE_TASK(mpe_simple_adversary, adversary, ADVERSARY_COUNTS, ADVERSARY_INFOS, 2, .id = "mpe/simple_adversary",
         .summary = "N agents keep an adversary from learning which landmark is their goal",
         .source = "Lowe et al. 2017; mpe2 1.1 (simple_adversary_v3)", .version = 1);
