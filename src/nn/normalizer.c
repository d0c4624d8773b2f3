#include "nn/normalizer.h"

#include <math.h>

/* norm_epsilon and the floor of the variance are the reference's: utils/valuenorm.py. */
static const double DEBIAS_FLOOR = 1e-5, VARIANCE_FLOOR = 1e-2;

void normalizer_update(struct normalizer *norm, double beta, const struct moments *batch)
{
    if (batch->count <= 0) return;
    norm->mean = beta * norm->mean + (1 - beta) * (batch->sum / batch->count);
    norm->mean_squares = beta * norm->mean_squares + (1 - beta) * (batch->sum_squares / batch->count);
    norm->debias = beta * norm->debias + (1 - beta);
}

struct normalizer_scale normalizer_scale(const struct normalizer *norm, int kind)
{
    if (kind == NORMALIZER_NONE) return (struct normalizer_scale){0, 1};
    const double debias = fmax(norm->debias, DEBIAS_FLOOR);
    const double mean = norm->mean / debias;
    const double variance = fmax(norm->mean_squares / debias - mean * mean, VARIANCE_FLOOR);
    return (struct normalizer_scale){mean, sqrt(variance)};
}
