/* Layer norm without its scale and shift (they are folded into the next layer), and the activation before it. Ba et al. 2016.
 *
 * The one formula of backend/kernels that has other forms elsewhere. Here it is for a number of one row (cuda/mlp_composed.cu, the norm after
 * a GRU). A tile has the numbers of a row at hand one after the other and wants the fewest operations for each, so both write the way back as
 * a polynomial of x̂ whose coefficients are found once a row:
 *   src/backend/cpu_passes.h   normalise, slopes: vectors of rows, which no function of `real` takes
 *   cuda/fused_tile.h          normalise, norm_backward: rows in registers, 1 / sqrt by one instruction
 * What changes here changes there; backend_cases.h holds all three to the same outputs and finite differences. */
#ifndef MAPPO_KERNELS_NORM_H
#define MAPPO_KERNELS_NORM_H

#include "backend/kernels/math.h"

#define NORM_EPSILON ((real)1e-5) /* added to the variance, as PyTorch does */

enum activation { ACTIVATION_RELU, ACTIVATION_TANH };

struct norm_row { /* of one row: x̂ = inverse * x + offset */
    real offset, inverse, deviation;
};

MAPPO_FN struct norm_row norm_of(real mean, real variance)
{
    struct norm_row n;
    n.deviation = real_sqrt(variance + NORM_EPSILON);
    n.inverse = (real)1 / n.deviation;
    n.offset = -mean * n.inverse;
    return n;
}

MAPPO_FN real activation_of(real z, int kind) /* a NaN stays one */
{
    return kind == ACTIVATION_RELU ? (z < (real)0 ? (real)0 : z) : real_tanh(z);
}

/* The gradient by what was normalised from g, that by x̂, and the row's means of g and of g x̂. */
MAPPO_FN real norm_gradient_plain(const struct norm_row *n, real g, real x, real mean_g, real mean_gx)
{
    return ((g - mean_g) - x * mean_gx) * n->inverse;
}

/* The same before the activation, which is recovered from x̂. */
MAPPO_FN real norm_gradient(const struct norm_row *n, real g, real x, real mean_g, real mean_gx, int kind)
{
    const real a = (x - n->offset) * n->deviation, d = norm_gradient_plain(n, g, x, mean_g, mean_gx);
    return kind == ACTIVATION_RELU ? (x > n->offset ? d : (real)0) : d * ((real)1 - a * a);
}

#endif
