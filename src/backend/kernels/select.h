/* Which units an item of a minibatch stands for. */
#ifndef MAPPO_KERNELS_SELECT_H
#define MAPPO_KERNELS_SELECT_H

#include "backend/kernels/shuffle.h"

struct select_shape {
    int envs, lo, hi;        /* environments of the rollout; of the shard */
    int agents, item_agents; /* A; items of an env-step: 1, or A where single rows are shuffled */
    int set;                 /* the agent of every item where each has parameters of its own; -1 = it follows from the item, or all */
    int by_row;              /* units are rows [T][E][A]; else env-steps */
    int chunk, begin;        /* items are `chunk` steps long, one behind the other from step `begin` on; 1, 0 where they are single steps */
};

/* Where the units of a minibatch stand: step after step of its items. There are `all` of them at first; those behind the first `longer` end
 * before step `shorter`. Item k of these, counted from `first`, has `steps` steps. All 0, but for `steps`, where that is 1. */
struct select_order {
    int steps, first, all, longer, shorter;
};

MAPPO_FN int select_place(const struct select_order *o, int k, int t)
{
    const int over = t > o->shorter ? t - o->shorter : 0;
    return o->first + k + t * o->all - over * (o->all - o->longer);
}

/* The unit of item `item` of a shard, whose items are in natural order (t, e, a); of a chunk that of its first step. */
MAPPO_FN int32_t select_unit(const struct select_shape *s, int by_row, int item)
{
    const int width = s->hi - s->lo, step = item / s->item_agents;
    const int u = (s->begin + step / width * s->chunk) * s->envs + s->lo + step % width;
    const int agent = s->set >= 0 ? s->set : item % s->item_agents;
    return by_row ? u * s->agents + agent : u;
}

/* From the unit of an item's step to that of the next. */
MAPPO_FN int32_t select_stride(const struct select_shape *s, int by_row)
{
    return by_row ? s->envs * s->agents : s->envs;
}

/* Which pass over the data an epoch of an update is: the position of its permutation's random numbers. */
MAPPO_FN uint64_t select_data_pass(int64_t update, int epochs, int epoch)
{
    return (uint64_t)update * (uint64_t)epochs + (uint64_t)epoch;
}

#endif
