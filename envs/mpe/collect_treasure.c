/* mpe/collect_treasure: its rules are in collect_treasure.h. */
#include "envs/mpe/collect_treasure.h"
#include "envs/mpe/suite.h"

static const struct mappo_option collect_options[] = {
    MPE_NEWER_OPTIONS,
    {"num_collectors", MAPPO_OPTION_INT, "6", 1, MPE_MAX_AGENTS - MPE_MAX_TYPES, NULL, "collectors"},
    {"num_deposits", MAPPO_OPTION_INT, "2", 1, MPE_MAX_TYPES, NULL, "deposits, and as many types of treasure"},
    {"num_treasures", MAPPO_OPTION_INT, "6", 1, MPE_MAX_LANDMARKS, NULL, "treasures"},
    MPE_NO_OPTION};
static const struct mappo_info collect_infos[COLLECT_INFOS] = {{"picked", "treasures", "treasures picked up in a step", 0},
                                                               {"delivered", "treasures", "treasures delivered in a step", 0},
                                                               {"overlaps", "pairs", "pairs of collectors that overlap after a step", 0}};
static const struct mpe_cast collect_cast = {
    {"collector", "deposit"},
    {"treasure"},
    {0, 0},
    {0, 0},
    {0, 0}, /* types have colours */
    NULL,
    NULL,
    "sum over the episode of 5 for each treasure picked up or delivered by anyone, minus a tenth of the distance to where the agent "
    "should go, and, of collectors, minus 5 for each other that it overlaps",
    NULL,
    0};
static const char *const collect_names[] = {MPE_NAMES("collect_treasure", "collect_treasure_v1")};

/* Collectors go to the nearest treasure that none before them goes to, or to their deposit; deposits go to the nearest collector that carries
 * what they take, or to the middle of all. */
static void collect_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    const rule_real *position = mpe_position(w, rules), *treasure = mpe_landmark(w, rules);
    const int32_t *type = mpe_type(w, rules);
    const int collectors = rules->agent[0].count;
    int taken[MPE_MAX_LANDMARKS] = {0}, order[MPE_MAX_AGENTS];
    for (int c = 0; c < collectors; c++) {
        const rule_real *target = type[c] < 0 ? NULL : &position[2 * (collectors + type[c])];
        mpe_nearest(treasure, rules->landmarks, -1, &position[2 * c], order);
        for (int k = 0; k < rules->landmarks && !target; k++) {
            if (type[rules->agents + order[k]] < 0 || taken[order[k]]++) continue;
            target = &treasure[2 * order[k]];
        }
        mpe_script_agent(w, rules, c, target, 0, act_int, act_real);
    }
    for (int d = collectors; d < rules->agents; d++) {
        rule_real middle[2];
        const rule_real *target = middle;
        collect_middle(w, rules, middle);
        mpe_nearest(position, collectors, -1, &position[2 * d], order);
        for (int k = collectors - 1; k >= 0; k--)
            if (type[order[k]] == type[d]) target = &position[2 * order[k]];
        mpe_script_agent(w, rules, d, target, 0, act_int, act_real);
    }
}

MPE_HOST(collect, MPE_FIRST_COUNT, COLLECT_COUNTS, COLLECT_INFOS)
MAPPO_FN void collect_observe(const struct mpe *w, const struct mpe_rules *rules, const struct rule_io *io)
{
    mpe_observe_world(w, rules, io);
}
MPE_OWN_TASK(mpe_collect_treasure, collect, 2, (observe, bytes, sound, script, draw), .id = "mpe/collect_treasure",
             .summary = "collectors carry treasure to the deposit of its type", .source = "mpe2 1.1 (collect_treasure_v1)", .version = 1);
