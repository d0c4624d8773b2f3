/* mpe/simple_spread: its rules are in simple_spread.h. */
#include "envs/mpe/simple_spread.h"
#include "envs/mpe/suite.h"

/* In the order of version 0.1, of which hashes in checkpoints are made. */
static const struct mappo_option spread_options[] = {
    MPE_RULES,
    {"N", MAPPO_OPTION_INT, "3", 1, MPE_MAX_AGENTS, NULL, "agents, and as many landmarks"},
    MPE_LOCAL_RATIO("fraction of the agent's own collisions in its reward; the rest is the team's"),
    MPE_MAX_CYCLES,
    MPE_CONTINUOUS_ACTIONS,
    {"curriculum", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "train in stages (mpe2)"},
    {"curriculum_stage", MAPPO_OPTION_INT, "0", 0, 1, NULL, "with curriculum: 0 = collisions cost nothing, 1 = they do (mpe2)"},
    MPE_TERMINATE("every landmark has an agent within 0.1"),
    MPE_NEIGHBORS,
    MPE_SOFT_ACTIONS,
    MPE_NO_OPTION};

static const struct mappo_info spread_infos[SPREAD_INFOS] = {
    {"collisions", "pairs", "pairs of agents that touch after a step", 0},
    {"min_dists", "field", "sum over landmarks of the distance to the nearest agent", 0},
    {"occupied_landmarks", "landmarks", "landmarks with an agent within 0.1", 0}};

static const struct mpe_cast spread_cast = {
    {"agent"},
    {"landmark"},
    {0},
    {0},
    {MPE_BLUE},
    NULL,
    NULL,
    "sum over the episode of an agent's reward (mean over agents): a mix of minus the distances and minus its collisions",
    "sum over the episode of the team's reward: minus, over agents, the distances to the landmarks and 1 per contact (itself too)",
    0};

static const char *const spread_names[] = {MPE_NAMES("simple_spread", "simple_spread_v3")};

static void spread_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    mpe_script_match(w, rules, 0, mpe_landmark(w, rules), act_int, act_real);
}

MAPPO_FN void mpe_usual(struct mpe_rules *rules)
{
    spread_usual(rules);
}

MPE_HOST(spread, 1, SPREAD_COUNTS, SPREAD_INFOS)
MPE_OWN_TASK(mpe_simple_spread, spread, 1, (observe, usual, bytes, sound, script, draw), .id = "mpe/simple_spread",
             .summary = "N agents cover N landmarks without bumping into each other",
             .source = "Lowe et al. 2017; mpe2 1.1 (simple_spread_v3); marlbenchmark/on-policy, onpolicy/envs/mpe", .version = 1);
