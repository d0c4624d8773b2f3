#include "base/finite.h"

#include <stdint.h>
#include <string.h>

/* Exponent bits all ones: NaN or infinity; one more, and they carry into the sign's place. Integers, so that the loop becomes vector code
 * without relaxed floating-point rules, with a single operation from one number to the next. */
static inline __attribute__((always_inline)) bool look(const float *x, size_t n)
{
    uint32_t carried = 0;
#pragma GCC unroll 4
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        carried |= (bits & 0x7f800000u) + 0x00800000u;
    }
    return carried < 0x80000000u;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static bool look_avx2(const float *x, size_t n)
{
    return look(x, n);
}

__attribute__((target("avx512f"))) static bool look_avx512(const float *x, size_t n)
{
    return look(x, n);
}

bool all_finite(const float *x, size_t n)
{
    if (__builtin_cpu_supports("avx512f")) return look_avx512(x, n);
    return __builtin_cpu_supports("avx2") ? look_avx2(x, n) : look(x, n);
}
#else
bool all_finite(const float *x, size_t n)
{
    return look(x, n);
}
#endif
