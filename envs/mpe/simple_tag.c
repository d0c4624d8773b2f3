/* mpe/simple_tag: its rules are in simple_tag.h. */
#include "envs/mpe/simple_tag.h"
#include "envs/mpe/suite.h"

static const struct mappo_option tag_options[] = {
    MPE_OPTIONS,
    {"num_good", MAPPO_OPTION_INT, "1", 1, 24, NULL, "prey"},
    {"num_adversaries", MAPPO_OPTION_INT, "3", 1, 40, NULL, "predators"},
    {"num_obstacles", MAPPO_OPTION_INT, "2", 0, MPE_MAX_LANDMARKS, NULL, "obstacles"},
    {"curriculum", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "train in stages (mpe2)"},
    {"curriculum_stage", MAPPO_OPTION_INT, "0", 0, 2, NULL, "with curriculum: prey have 0.5, 0.75 or all of their speed and force (mpe2)"},
    MPE_TERMINATE("each prey is touched by a predator"),
    MPE_NEIGHBORS,
    MPE_NO_OPTION};
static const struct mappo_info tag_infos[TAG_INFOS] = {{"touches", "pairs", "pairs of a predator and a prey that touch after a step", 0},
                                                       {"caught", "agents", "prey that a predator touches", 0}};
static const char *const tag_teams[] = {"adversaries", "agents"};
static const struct mpe_cast tag_cast = {
    {"adversary", "agent"},
    {"obstacle"},
    {0, 1},
    {1, 0},
    {MPE_RED, MPE_BLUE},
    tag_teams,
    NULL,
    "sum over the episode of 10 for each touch; of prey: minus 10 for each touch of its own, and minus what it pays outside the field",
    NULL,
    0};
static const char *const tag_names[] = {MPE_NAMES("simple_tag", "simple_tag_v3")};

static void tag_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    const int hunters = rules->agent[0].count;
    for (int i = 0; i < hunters; i++) mpe_script_hunter(w, rules, i, hunters, act_int, act_real);
    for (int i = hunters; i < rules->agents; i++) mpe_script_prey(w, rules, i, hunters, act_int, act_real);
}

MPE_TASK(mpe_simple_tag, tag, TAG_COUNTS, TAG_INFOS, 2, .id = "mpe/simple_tag", .summary = "predators chase faster prey among obstacles",
         .source = "Lowe et al. 2017; mpe2 1.1 (simple_tag_v3); marlbenchmark/on-policy, onpolicy/envs/mpe", .version = 1);
