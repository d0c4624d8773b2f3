/* Vectors of `real` as GCC and clang offer them, as wide as the instruction level of this translation unit has them, and the few operations
 * that the language lacks. Nothing here is specific to a machine but `set1` and `vector_max`, where compilers need a hint. */
#ifndef MAPPO_BACKEND_VECTOR_H
#define MAPPO_BACKEND_VECTOR_H

#include <stdint.h>

#include "base/real.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#define VECTOR_BYTES 64
#define BLOCK        4 /* vectors per row of a register block: 4 x 4 accumulators of 32 registers */
#define TILE_VECTORS 4
#elif defined(__AVX__)
#include <immintrin.h>
#define VECTOR_BYTES 32
#define BLOCK        3 /* 4 x 3 accumulators, 3 operands and a broadcast fill 16 registers */
#define TILE_VECTORS 6
#else
#define VECTOR_BYTES 16
#define BLOCK        3
#define TILE_VECTORS 12
#endif

enum {
    LANES = VECTOR_BYTES / sizeof(real),
    TILE = TILE_VECTORS * LANES /* R: rows of a tile */
};

typedef real vector __attribute__((vector_size(VECTOR_BYTES)));
#if REAL_IS_DOUBLE
typedef int64_t vector_mask __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int32_t vector_mask __attribute__((vector_size(VECTOR_BYTES)));
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline, unused))

ALWAYS_INLINE vector set1(real x)
{
#if defined(__AVX512F__)
    return REAL_IS_DOUBLE ? (vector)_mm512_set1_pd((double)x) : (vector)_mm512_set1_ps((float)x);
#elif defined(__AVX__)
    return REAL_IS_DOUBLE ? (vector)_mm256_set1_pd((double)x) : (vector)_mm256_set1_ps((float)x);
#else
    return x - (vector){0};
#endif
}

ALWAYS_INLINE vector load(const real *p)
{
    return *(const vector *)p;
}

ALWAYS_INLINE void store(real *p, vector x)
{
    *(vector *)p = x;
}

/* mask ? a : b, mask as comparisons give it */
ALWAYS_INLINE vector vector_select(vector_mask mask, vector a, vector b)
{
    return (vector)((mask & (vector_mask)a) | (~mask & (vector_mask)b));
}

/* The sum of the lanes, always in the same order. */
ALWAYS_INLINE double lane_sum(vector x)
{
    double sum = 0;
    for (int i = 0; i < (int)LANES; i++) sum += (double)x[i];
    return sum;
}

#endif
