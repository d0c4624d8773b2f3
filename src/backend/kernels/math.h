/* Elementary functions of `real`. In float on the host they are polynomials without branches, so that a loop over rows becomes vector code;
 * relative errors are below 2e-7, tanh's below 4.5e-7. In double they are the library's, and so are exp and log on the device. All of them
 * pass NaN on. The coefficients are minimax fits (Lawson's iteration) made for this file. */
#ifndef MAPPO_KERNELS_MATH_H
#define MAPPO_KERNELS_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/fn.h"
#include "base/real.h"

/* tanh x = x P(x²) / Q(x²) within ±8, where it has reached 1 - 2e-7; relative error of the fit 1.5e-7. Macros, because the host also uses
 * them on whole vectors: `set` makes a vector of a constant. */
#define TANH_LIMIT     8.0f
#define TANH_P(s, set) (((set(1.14221444e-5f) * (s) + set(0.00295040242f)) * (s) + set(0.129250705f)) * (s) + set(0.999999855f))
#define TANH_Q(s, set)                                                                                                                     \
    ((((set(2.45729403e-7f) * (s) + set(0.000238583821f)) * (s) + set(0.0238129676f)) * (s) + set(0.462582860f)) * (s) + set(1.0f))
#define MATH_SCALAR(x) (x)

MAPPO_FN real real_abs(real x)
{
    return x < (real)0 ? -x : x;
}

MAPPO_FN real real_max(real a, real b)
{
    return a > b ? a : b;
}

MAPPO_FN real real_clamp(real x, real low, real high) /* a NaN stays one */
{
    const real y = x < low ? low : x;
    return y > high ? high : y;
}

#if REAL_IS_DOUBLE

MAPPO_FN real real_sqrt(real x)
{
    return sqrt(x);
}

MAPPO_FN real real_exp(real x)
{
    return exp(x);
}

MAPPO_FN real real_log(real x)
{
    return log(x);
}

MAPPO_FN real real_log1p(real x)
{
    return log1p(x);
}

MAPPO_FN real real_tanh(real x)
{
    return tanh(x);
}

#else

MAPPO_FN real real_sqrt(real x)
{
    return sqrtf(x);
}

#ifdef __CUDA_ARCH__

MAPPO_FN real real_exp(real x)
{
    return expf(x);
}

MAPPO_FN real real_log(real x)
{
    return logf(x);
}

MAPPO_FN real real_tanh(real x) /* the host's polynomial; the quotient, from an approximate reciprocal, is corrected once: same error */
{
    const float y = real_clamp(x, -TANH_LIMIT, TANH_LIMIT), s = y * y;
    const float top = y * TANH_P(s, MATH_SCALAR), bottom = TANH_Q(s, MATH_SCALAR);
    float reciprocal;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(reciprocal) : "f"(bottom));
    const float quotient = top * reciprocal;
    return fmaf(fmaf(-quotient, bottom, top), reciprocal, quotient);
}

#else

MAPPO_FN int32_t float_bits(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

MAPPO_FN float float_from_bits(int32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x = n ln 2 + f with |f| <= ln 2 / 2. Adding 1.5 · 2^23 leaves n in the low bits of the sum. Below the smallest normal number the result
 * is 0. */
MAPPO_FN real real_exp(real x)
{
    const float magic = 12582912.0f, low = -87.0f, high = 88.0f;
    const float y = real_clamp(x, low, high);
    const float shifted = y * 1.44269504f + magic;
    const float n = shifted - magic;
    const float f = (y - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 0.00138146045f;
    p = p * f + 0.00836871066f;
    p = p * f + 0.0416683875f;
    p = p * f + 0.166665207f;
    p = p * f + 0.499999935f;
    p = p * (f * f) + f + 1.0f;
    const uint32_t scale = (uint32_t)float_bits(shifted) << 23;
    const float e = float_from_bits((int32_t)((uint32_t)float_bits(p) + scale));
    return x < low ? 0.0f : e;
}

/* x = 2^n (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); x must be a positive normal number or NaN. */
MAPPO_FN real real_log(real x)
{
    const int32_t offset = float_bits(x) - 0x3f3504f3;
    const int32_t exponent = offset >> 23;
    const float n = (float)exponent;
    const float f = float_from_bits(float_bits(x) - (int32_t)((uint32_t)exponent << 23)) - 1.0f;
    float p = -0.0763422546f;
    p = p * f + 0.127614682f;
    p = p * f + -0.131602338f;
    p = p * f + 0.142017762f;
    p = p * f + -0.166233538f;
    p = p * f + 0.200012260f;
    p = p * f + -0.250008211f;
    p = p * f + 0.333333317f;
    const float square = f * f;
    const float y = n * 0.693359375f + (n * -2.12194440e-4f + (f - 0.5f * square + p * (square * f)));
    return x == x ? y : x;
}

MAPPO_FN real real_tanh(real x)
{
    const float y = real_clamp(x, -TANH_LIMIT, TANH_LIMIT), s = y * y;
    return y * TANH_P(s, MATH_SCALAR) / TANH_Q(s, MATH_SCALAR);
}

#endif

MAPPO_FN real real_log1p(real x) /* 0 <= x <= 1; the absolute error is that of a float near 1 */
{
    return real_log(1.0f + x);
}

#endif

MAPPO_FN real real_sigmoid(real x)
{
    return (real)1 / ((real)1 + real_exp(-x));
}

MAPPO_FN real real_softplus(real x) /* log(1 + exp(x)) */
{
    return real_max(x, (real)0) + real_log1p(real_exp(-real_abs(x)));
}

#endif
