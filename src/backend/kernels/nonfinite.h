/* Where something is not finite, and what stands there, in one number of which the least comes first. */
#ifndef MAPPO_KERNELS_NONFINITE_H
#define MAPPO_KERNELS_NONFINITE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fn.h"

#define NONFINITE_NONE UINT64_MAX

MAPPO_FN uint64_t nonfinite_code(size_t index, float x)
{
    return 4 * (uint64_t)index + (isinf(x) ? 2 : 0) + (signbit(x) ? 1 : 0);
}

static inline size_t nonfinite_index(uint64_t code)
{
    return (size_t)(code / 4);
}

static inline double nonfinite_value(uint64_t code)
{
    return copysign(code & 2 ? INFINITY : NAN, code & 1 ? -1 : 1);
}

#endif
