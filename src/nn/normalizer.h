/* ValueNorm: running mean and mean of squares of the returns with debiasing, in double.
 * marlbenchmark/on-policy utils/valuenorm.py; docs/algorithms.md has the equations. With empty statistics: mean 0, deviation 0.1. */
#ifndef MAPPO_NN_NORMALIZER_H
#define MAPPO_NN_NORMALIZER_H

#include "backend/backend.h"

enum normalizer_kind { NORMALIZER_NONE, NORMALIZER_VALUENORM, NORMALIZER_POPART };

struct normalizer { /* plain data: checkpointed as it stands */
    double mean, mean_squares, debias;
};

struct normalizer_scale {
    double mean, deviation;
};

void normalizer_update(struct normalizer *norm, double beta, const struct moments *batch);
struct normalizer_scale normalizer_scale(const struct normalizer *norm, int kind); /* kind NONE: 0 and 1 */

#endif
