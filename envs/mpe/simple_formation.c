/* mpe/simple_formation: its rules are in simple_formation.h. */
#include "envs/mpe/simple_formation.h"
#include "envs/mpe/suite.h"

static const struct mappo_option formation_options[] = {MPE_RULES_OF(mpe_newer_rule_sets, "mpe2: the only rules that have this task"),
                                                        MPE_MAX_CYCLES,
                                                        MPE_CONTINUOUS_ACTIONS,
                                                        MPE_SOFT_ACTIONS,
                                                        {"N", MAPPO_OPTION_INT, "4", 1, MPE_MAX_AGENTS, NULL, "agents"},
                                                        MPE_TERMINATE("each agent is within 0.05 of its place"),
                                                        MPE_NO_OPTION};
static const struct mappo_info formation_infos[FORMATION_INFOS] = {{"distance", "field", "from an agent to its place, mean", 0},
                                                                   {"arrived", "agents", "agents within 0.05 of their places", 0}};
static const struct mpe_cast formation_cast = {{"agent"},  {"landmark"},
                                               {0},        {1},
                                               {MPE_BLUE}, NULL,
                                               NULL,       "sum over the episode of minus the mean distance to the places on the circle",
                                               NULL,       0};
static const char *const formation_names[] = {MPE_NAMES("simple_formation", "simple_formation_v1")};

/* Each goes to its place, anew at each step. */
static void formation_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    rule_real target[2 * MPE_MAX_AGENTS] = {0};
    formation_targets(w, rules, target);
    mpe_script_match(w, rules, 0, target, act_int, act_real);
}

MPE_TASK(mpe_simple_formation, formation, FORMATION_COUNTS, FORMATION_INFOS, 1, .id = "mpe/simple_formation",
         .summary = "N agents stand evenly on a circle round a landmark", .source = "mpe2 1.1 (simple_formation_v1)", .version = 1);
