/* simple_spread on one copy, as env/lane.h wants it: for the loops of simple_spread.c and the kernels of simple_spread.cu. */
#ifndef MPE_SIMPLE_SPREAD_LANE_H
#define MPE_SIMPLE_SPREAD_LANE_H

#include "env/lane.h"
#include "env/real_float.h"
#include "envs/mpe/simple_spread.h"

MAPPO_FN void spread_lane_reset(struct spread *w, const struct spread_rules *rules)
{
    spread_reset_float(w, rules);
}

MAPPO_FN int spread_lane_step(struct spread *w, const struct spread_rules *rules, const struct mappo_env_io *lane)
{
    const struct mappo_group_io *group = &lane->group[0];
    const int end = spread_step_float(w, rules, group->act_int, group->act_real, group->reward, lane->info);
    if (group->terminated)
        for (int i = 0; i < rules->agents; i++) group->terminated[i] = end == MAPPO_TERMINATED;
    return end;
}

MAPPO_FN void spread_lane_observe(const struct spread *w, const struct spread_rules *rules, const struct mappo_env_io *lane)
{
    if (lane->group[0].obs) spread_observe_float(w, rules, lane->group[0].obs);
    if (lane->state) spread_observe_float(w, rules, lane->state);
}

/* The usual size gets loops, and a kernel, of its own, in which these rules are constants: unrolled, they take half the time. */
MAPPO_FN int spread_is_usual(const struct spread_rules *rules)
{
    return rules->agents == 3 && !rules->continuous && rules->agent_neighbors < 0 && rules->landmark_neighbors < 0;
}

MAPPO_FN void spread_make_usual(struct spread_rules *rules)
{
    rules->agents = 3;
    rules->continuous = 0;
    rules->agent_neighbors = rules->landmark_neighbors = -1;
}

LANE_LOOPS(spread, struct spread, struct spread_rules, 1)

#endif
