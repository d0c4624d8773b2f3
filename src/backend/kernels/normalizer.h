/* ValueNorm: running mean and mean of squares of the returns with debiasing, in double. With empty statistics: mean 0, deviation 0.1.
 * PopArt: the same statistics, and what the critic has learnt is kept when they move: its outputs are re-expressed on the new scale.
 * Source: marlbenchmark/on-policy, utils/valuenorm.py; van Hasselt et al. 2016 for PopArt; docs/algorithms.md has the equations. */
#ifndef MAPPO_KERNELS_NORMALIZER_H
#define MAPPO_KERNELS_NORMALIZER_H

#include <math.h>

#include "base/fn.h"
#include "base/real.h"

enum normalizer_kind { NORMALIZER_NONE, NORMALIZER_VALUENORM, NORMALIZER_POPART };

struct moments { /* of masked rows */
    double count, sum, sum_squares;
};

struct normalizer_scale { /* V = mean + deviation * output */
    double mean, deviation;
};

struct normalizer { /* plain data; the first three are its state and are checkpointed, the scale follows from them */
    double mean, mean_squares, debias;
    struct normalizer_scale scale;
};

/* norm_epsilon and the floor of the variance are the reference's. */
#define NORMALIZER_DEBIAS_FLOOR   1e-5
#define NORMALIZER_VARIANCE_FLOOR 1e-2

/* Brings `scale` up to date with the state; kind NONE: 0 and 1. */
MAPPO_FN void normalizer_refresh(struct normalizer *norm, int kind)
{
    norm->scale.mean = 0;
    norm->scale.deviation = 1;
    if (kind == NORMALIZER_NONE) return;
    const double debias = norm->debias > NORMALIZER_DEBIAS_FLOOR ? norm->debias : NORMALIZER_DEBIAS_FLOOR;
    const double mean = norm->mean / debias, variance = norm->mean_squares / debias - mean * mean;
    norm->scale.mean = mean;
    norm->scale.deviation = sqrt(variance < NORMALIZER_VARIANCE_FLOOR ? NORMALIZER_VARIANCE_FLOOR : variance);
}

/* Takes in one batch of returns. */
MAPPO_FN void normalizer_update(struct normalizer *norm, int kind, double beta, const struct moments *batch)
{
    if (kind != NORMALIZER_NONE && batch->count > 0) {
        norm->mean = beta * norm->mean + (1 - beta) * (batch->sum / batch->count);
        norm->mean_squares = beta * norm->mean_squares + (1 - beta) * (batch->sum_squares / batch->count);
        norm->debias = beta * norm->debias + (1 - beta);
    }
    normalizer_refresh(norm, kind);
}

/* From outputs on one scale to those on another that mean the same V: y' = factor y + shift. A linear head gives them by itself once its
 * weights are multiplied by `factor` and its bias has gone the way of an output (van Hasselt et al. 2016, proposition 1). */
struct rescale {
    double factor, shift;
};

/* Nothing changes where `to` is not finite (as returns were not): the loss will be found not finite, and parameters must not be spoilt
 * before. */
MAPPO_FN struct rescale rescale_between(const struct normalizer_scale *from, const struct normalizer_scale *to)
{
    struct rescale r;
    r.factor = from->deviation / to->deviation;
    r.shift = (from->mean - to->mean) / to->deviation;
    if (r.factor - r.factor == 0 && r.shift - r.shift == 0) return r;
    r.factor = 1;
    r.shift = 0;
    return r;
}

/* In double: factor differs from 1 by less than float can tell once the statistics have settled. */
MAPPO_FN real rescaled_output(const struct rescale *r, real y)
{
    return (real)(r->factor * (double)y + r->shift);
}

MAPPO_FN real rescaled_weight(const struct rescale *r, real weight)
{
    return (real)(r->factor * (double)weight);
}

MAPPO_FN double moments_mean(const struct moments *m) /* 0 of nothing */
{
    return m->count > 0 ? m->sum / m->count : 0;
}

/* Population variance; 0 of no numbers. NaN stays NaN. */
MAPPO_FN double moments_variance(const struct moments *m)
{
    if (m->count <= 0) return 0;
    const double mean = m->sum / m->count, variance = m->sum_squares / m->count - mean * mean;
    return variance < 0 ? 0 : variance;
}

MAPPO_FN double moments_divisor(const struct moments *m, double epsilon) /* of what is standardised */
{
    return sqrt(moments_variance(m)) + epsilon;
}

#endif
