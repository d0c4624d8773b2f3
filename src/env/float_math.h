/* exp, log1p, sin and cos in float for rules, with the same bits on every host and device: C libraries and CUDA's differ in the last one, and
 * stiff contacts make that a difference of a percent within an episode. Only sums, products, one division and bits, each rounded by itself:
 * rules are compiled without contraction to fused multiply-adds (-ffp-contract=off, nvcc: -fmad=false). Errors are below one unit in the
 * last place, whatever the argument; limits, signed zeros, infinities and NaN as C11 Annex F wants them. sin and cos: at most 0.5011 units
 * for angles up to 2^20 (166,000 turns), where a float has lost the angle itself, and NaN beyond. Polynomials of exp and log1p: Moshier,
 * Cephes 2.2, expf and logf. Host and device: the intersection of C11 and C++17. */
#ifndef MAPPO_ENV_FLOAT_MATH_H
#define MAPPO_ENV_FLOAT_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/fn.h"

#define FLOAT_MATH_ROUNDING 1 /* goes up when a change here gives other bits: checkpoints say which one they were made with */

#define FLOAT_ANGLE_MOST 1048576.0f      /* 2^20: the largest angle of sin and cos */
#define FLOAT_LN2_HIGH   0.693359375f    /* 9 bits: a product with a whole number up to 2^15 is exact … */
#define FLOAT_LN2_LOW    -2.12194440e-4f /* … and this is the rest of log 2 */

MAPPO_FN uint32_t word_of_float(const float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

MAPPO_FN float float_of_word(const uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

MAPPO_FN double float_power_of_two(const int32_t n)
{
    const uint64_t bits = (uint64_t)(n + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

MAPPO_FN float float_exp(const float x)
{
    const float shift = 12582912.0f; /* 1.5 · 2^23: what is added to it becomes a whole number */
    const float y = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;
    const float shifted = y * 1.44269504f + shift, n = shifted - shift;
    const float high = y - n * FLOAT_LN2_HIGH, low = -(n * FLOAT_LN2_LOW), r = high + low; /* x = n log 2 + r */
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const float e = 1.0f + (high + (low + p * (r * r)));
    const int32_t whole = (int32_t)(word_of_float(shifted) - word_of_float(shift)), half = (whole + 256) / 2 - 128;
    if (whole < -125) return (float)((double)e * float_power_of_two(whole)); /* subnormal: exact, then rounded once */
    return e * float_of_word((uint32_t)(half + 127) << 23) * float_of_word((uint32_t)(whole - half + 127) << 23); /* 2^128 is two factors */
}

MAPPO_FN float float_log1p(const float x)
{
    if (!(x > -1.0f && x < INFINITY)) return x == -1.0f ? -INFINITY : x < -1.0f ? NAN : x;
    if (x > -2e-8f && x < 2e-8f) return x; /* nearest; and squares of smaller ones would be subnormal, which takes a CPU 30 times as long */
    float f = x, k = 0.0f, lost = 0.0f;
    const int small = x > -0.29289323f && x < 0.41421357f;
    if (!small) { /* 1 + x = 2^k (1 + f), f between sqrt(1/2) - 1 and sqrt(2) - 1 */
        const float u = 1.0f + x;
        const uint32_t bits = word_of_float(u) + (0x3f800000u - 0x3f3504f3u);
        k = (float)((int32_t)(bits >> 23) - 127);
        f = float_of_word((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
        lost = (x > 1.0f ? 1.0f - (u - x) : x - (u - 1.0f)) / u; /* what u was rounded by */
    }
    float p = 7.0376836292e-2f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    const float square = f * f, cube = square * f * p;
    if (small) return cube - 0.5f * square + f;
    return (cube + (lost + k * FLOAT_LN2_LOW) - 0.5f * square + f) + k * FLOAT_LN2_HIGH;
}

/* sin(x + quarters π/2), in double: what is left after whole quarters are taken off must be right although it may be tiny. π/2 is a number of
 * 33 bits, whose product with up to 2^20 quarters is exact, and the rest. The polynomials are near to the best ones for |r| <= π/4: wrong by
 * 2^-37 and 2^-33. */
MAPPO_FN float float_sin_from(const float x, const int quarters)
{
    const double shift = 6755399441055744.0; /* 1.5 · 2^52, as above */
    if (!(x >= -FLOAT_ANGLE_MOST && x <= FLOAT_ANGLE_MOST)) return NAN;
    const double n = ((double)x * 0.63661977236758134 + shift) - shift;
    const double r = ((double)x - n * 1.5707963267341256) - n * 6.077100506506192e-11, s = r * r;
    const double sine =
        r * (1 + s * (-0.16666666640796782 + s * (0.00833332930481057 + s * (-0.00019839312259053912 + s * 2.7181215276161734e-6))));
    const double cosine =
        1 + s * (-0.4999999969447289 + s * (0.04166662035678449 + s * (-0.0013886681636983526 + s * 2.438356627276761e-5)));
    const int32_t quarter = (int32_t)n + quarters;
    const double value = quarter & 1 ? cosine : sine;
    return (float)(quarter & 2 ? -value : value);
}

MAPPO_FN float float_sin(const float x)
{
    return float_sin_from(x, 0);
}

MAPPO_FN float float_cos(const float x)
{
    return float_sin_from(x, 1);
}

#endif
