/* Drawing steps of a ring (algo/transitions.h) by priority (Schaul et al. 2016, proportional): a tree whose leaves are the priorities of a shard's
 * steps, p = (|error| + floor)^exponent, 0 where no step is held, and whose nodes have the sum and the largest of the nodes below. A node is
 * always computed from all that are below it, so the tree is a function of its leaves, whatever has been written when. */
#ifndef MAPPO_KERNELS_PRIORITY_H
#define MAPPO_KERNELS_PRIORITY_H

#include <float.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/kernels/math.h"
#include "base/philox.h"

enum { PRIORITY_FAN = 64, PRIORITY_LEVELS = 6 /* of up to 2^36 leaves */ };

struct priority_tree {
    float *leaf; /* [places][envs] of all shards: leaf i is of place i / width, environment lo + i % width */
    int places, envs, lo, width;
    int levels;                          /* above the leaves; the last has one node */
    uint32_t count[PRIORITY_LEVELS + 1]; /* nodes of each level; 0: leaves */
    double *sum[PRIORITY_LEVELS + 1];    /* [count] from level 1 on */
    float *most[PRIORITY_LEVELS + 1];    /* likewise */
};

MAPPO_FN struct priority_tree priority_tree_of(int places, int envs, int lo, int hi)
{
    struct priority_tree t;
    t.leaf = NULL;
    t.places = places;
    t.envs = envs;
    t.lo = lo;
    t.width = hi - lo;
    t.levels = 0;
    t.count[0] = (uint32_t)places * (uint32_t)(hi - lo);
    while (t.levels == 0 || t.count[t.levels] > 1) {
        t.count[t.levels + 1] = (t.count[t.levels] + PRIORITY_FAN - 1) / PRIORITY_FAN;
        t.levels++;
    }
    return t;
}

/* Place * envs + environment of a leaf, and back. */
MAPPO_FN int32_t priority_row(const struct priority_tree *t, uint32_t leaf)
{
    return (int32_t)(leaf / (uint32_t)t->width) * t->envs + t->lo + (int32_t)(leaf % (uint32_t)t->width);
}

MAPPO_FN uint32_t priority_leaf(const struct priority_tree *t, int32_t row)
{
    return (uint32_t)(row / t->envs) * (uint32_t)t->width + (uint32_t)(row % t->envs - t->lo);
}

MAPPO_FN double priority_value(const struct priority_tree *t, int level, uint32_t node)
{
    return level ? t->sum[level][node] : (double)t->leaf[priority_row(t, node)];
}

MAPPO_FN void priority_refresh(const struct priority_tree *t, int level, uint32_t node)
{
    const uint32_t first = node * PRIORITY_FAN, below = t->count[level - 1],
                   end = below - first < PRIORITY_FAN ? below : first + PRIORITY_FAN;
    double sum = 0;
    float most = 0;
    for (uint32_t i = first; i < end; i++) {
        const float top = level > 1 ? t->most[level - 1][i] : t->leaf[priority_row(t, i)];
        sum += priority_value(t, level - 1, i);
        most = top > most ? top : most;
    }
    t->sum[level][node] = sum;
    t->most[level][node] = most;
}

/* The node of a level above a leaf. */
MAPPO_FN uint32_t priority_above(uint32_t leaf, int level)
{
    for (int l = 0; l < level; l++) leaf /= PRIORITY_FAN;
    return leaf;
}

/* The leaf in which a point of [0, sum of all) falls; where rounding has left no room for it, the last one that could be drawn. */
MAPPO_FN uint32_t priority_find(const struct priority_tree *t, double point)
{
    uint32_t node = 0;
    for (int level = t->levels - 1; level >= 0; level--) {
        const uint32_t first = node * PRIORITY_FAN, end = t->count[level] - first < PRIORITY_FAN ? t->count[level] : first + PRIORITY_FAN;
        double before = 0, below = 0;
        for (uint32_t i = first; i < end; i++) {
            const double value = priority_value(t, level, i);
            if (!(value > 0)) continue;
            node = i;
            below = before;
            before += value;
            if (point < before) break;
        }
        point -= below;
    }
    return node;
}

/* The b-th of `rows` draws: one of each of so many equal parts of the whole. */
MAPPO_FN double priority_point(double sum, uint64_t seed, uint32_t shard, uint64_t update, uint32_t b, int rows)
{
    const struct philox_draw draw = philox_at(seed, PHILOX_REPLAY, shard, b / 4, update);
    return sum * ((double)b + ((double)draw.v[b % 4] + 0.5) * 2.3283064365386963e-10) / (double)rows;
}

/* By how much drawing a step so often is made good, not yet over the largest of its batch: (items P)^-beta. */
MAPPO_FN double priority_weight(double leaf, double sum, int64_t items, double beta)
{
    return pow((double)items * leaf / sum, -beta);
}

/* What a step is worth whose error is known; as it was where that is no number. */
MAPPO_FN float priority_of(real error, float exponent, float floor, float was)
{
    const float p = powf((float)error + floor, exponent);
    return p > 0 && p <= FLT_MAX ? (p < FLT_MIN ? FLT_MIN : p) : was;
}

/* The i-th leaf from the first of the last `fresh` held steps on. */
MAPPO_FN uint32_t priority_fresh(const struct priority_tree *t, int64_t oldest, int64_t held, int64_t fresh, size_t i)
{
    return (uint32_t)(((uint64_t)(oldest + held - fresh) * (uint64_t)t->width + i) % t->count[0]);
}

/* Is a place among the `held` steps from place `oldest` on? */
MAPPO_FN bool priority_holds(const struct priority_tree *t, int64_t oldest, int64_t held, int place)
{
    return (place - oldest + t->places) % t->places < held;
}

#endif
