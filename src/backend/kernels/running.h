/* Running mean and variance of rows of numbers, each column by itself, over all rows that were ever seen; and the numbers on that scale:
 * (x - mean) / sqrt(variance + 1e-8), at most 10 from 0, as Gymnasium's NormalizeObservation and its usual clipping have it. Of no rows:
 * mean 0, deviation 1.
 *
 * Rows are taken in as sums about the mean so far, which ranks can add up, and which lose no digits where the mean is far from 0. Source:
 * Chan et al. 1979, updating formulae for computing sample variances. */
#ifndef MAPPO_KERNELS_RUNNING_H
#define MAPPO_KERNELS_RUNNING_H

#include <math.h>

#include "base/fn.h"
#include "base/real.h"

struct running {     /* arrays of the backend's memory, or of the host's */
    int width;       /* D columns; 0 = there are no such statistics */
    double *moments; /* [1 + 2 D] rows, means, variances: the state */
    real *scale;     /* [2 D] means, 1 / deviations: follows from it */
};

#define RUNNING_EPSILON 1e-8
#define RUNNING_CLIP    ((real)10)

static inline int running_moments(int width)
{
    return 1 + 2 * width;
}

/* Brings the scale of column j up to date. */
MAPPO_FN void running_refresh(const struct running *running, int j)
{
    const double *moments = running->moments;
    const int there = moments[0] > 0;
    running->scale[j] = there ? (real)moments[1 + j] : (real)0;
    running->scale[running->width + j] = there ? (real)(1 / sqrt(moments[1 + running->width + j] + RUNNING_EPSILON)) : (real)1;
}

/* Takes in column j of new rows. sums [1 + 2 D]: rows, sums of x - mean, sums of its squares. The count is the caller's to raise, once all
 * columns are done. */
MAPPO_FN void running_merge(const struct running *running, const double *sums, int j)
{
    double *mean = running->moments + 1 + j, *variance = mean + running->width;
    const double before = running->moments[0], rows = sums[0], all = before + rows;
    if (rows > 0) {
        const double shift = sums[1 + j] / rows, within = sums[1 + running->width + j] - rows * shift * shift;
        *variance = (*variance * before + (within > 0 ? within : 0) + shift * shift * before * rows / all) / all;
        *mean += shift * rows / all;
    }
}

MAPPO_FN real running_scaled(real x, real mean, real inverse) /* NaN stays NaN */
{
    const real y = (x - mean) * inverse;
    return y > RUNNING_CLIP ? RUNNING_CLIP : y < -RUNNING_CLIP ? -RUNNING_CLIP : y;
}

#endif
