/* Which steps of a ring (algo/transitions.h) a batch is made of, and what a step was worth. */
#ifndef MAPPO_KERNELS_DRAW_H
#define MAPPO_KERNELS_DRAW_H

#include "backend/kernels/math.h"
#include "backend/kernels/shuffle.h"
#include "base/episode_end.h"

/* The steps that are held of environments [lo, hi): `items` of them, step after step. */
struct draw_shape {
    uint32_t items;
    int oldest, places, envs, lo, width;
};

MAPPO_FN struct draw_shape draw_shape_of(int64_t held, int64_t oldest, int places, int envs, int lo, int hi)
{
    struct draw_shape s;
    s.items = (uint32_t)(held * (hi - lo));
    s.oldest = (int)oldest;
    s.places = places;
    s.envs = envs;
    s.lo = lo;
    s.width = hi - lo;
    return s;
}

/* With replacement: the b-th draw of an update. */
MAPPO_FN uint32_t draw_item(const struct draw_shape *s, uint64_t seed, uint32_t shard, uint64_t update, uint32_t b)
{
    const struct philox_draw draw = philox_at(seed, PHILOX_REPLAY, shard, b / 4, update);
    return (uint32_t)(((uint64_t)draw.v[b % 4] * s->items) >> 32);
}

/* Where an item stands: place * envs + environment. */
MAPPO_FN int32_t draw_row(const struct draw_shape *s, uint32_t item)
{
    const int place = (int)((s->oldest + (int64_t)(item / (uint32_t)s->width)) % s->places);
    return place * s->envs + s->lo + (int)(item % (uint32_t)s->width);
}

/* The row of the same environment at the next place. */
MAPPO_FN int32_t draw_next(int32_t row, int places, int envs)
{
    return row + envs < places * envs ? row + envs : row + envs - places * envs;
}

/* One-step target (Lowe et al. 2017, eq. 6); the smaller of two critics (Fujimoto et al. 2018). An agent may end alone, or all with their
 * episode, whatever `terminated` says then; a time limit is no end. */
MAPPO_FN real td_target(real reward, int terminated, int ep_end, real gamma, real q, real other)
{
    return terminated || ep_end == MAPPO_TERMINATED ? reward : reward + gamma * (other < q ? other : q);
}

#endif
