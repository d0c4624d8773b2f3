/* Vectors of `real` as GCC and clang offer them, as wide as the instruction level of this translation unit has them, and the few operations
 * that the language lacks. Nothing here is specific to a machine but `set1` and `vector_max`, where compilers need a hint. */
#ifndef MAPPO_BACKEND_VECTOR_H
#define MAPPO_BACKEND_VECTOR_H

#include <math.h>
#include <stdint.h>

#include "backend/kernels/math.h"
#include "base/real.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#define VECTOR_BYTES 64
#define BLOCK        4 /* vectors in a row of a register block */
#define BLOCK_ROWS   6 /* 6 x 4 accumulators, 4 operands and a broadcast: 29 of 32 registers */
#define TILE_VECTORS 4
#elif defined(__AVX__)
#include <immintrin.h>
#define VECTOR_BYTES 32
#define BLOCK        3
#define BLOCK_ROWS   4 /* 4 x 3 accumulators, 3 operands and a broadcast: all 16 registers */
#define TILE_VECTORS 6
#else
#define VECTOR_BYTES 16
#define BLOCK        3
#define BLOCK_ROWS   4
#define TILE_VECTORS 12
#endif

/* Whether a block's accumulators leave registers free for the constants of tanh. */
#define TANH_IN_REGISTERS (VECTOR_BYTES == 64)

/* ELEMENTS as a bare number, for the preprocessor. */
#if VECTOR_BYTES == 64 && REAL_IS_DOUBLE || VECTOR_BYTES == 32 && !REAL_IS_DOUBLE
#define ELEMENT_COUNT 8
#elif VECTOR_BYTES == 64
#define ELEMENT_COUNT 16
#elif VECTOR_BYTES == 16 && REAL_IS_DOUBLE
#define ELEMENT_COUNT 2
#else
#define ELEMENT_COUNT 4
#endif
enum {
    ELEMENTS = ELEMENT_COUNT,
    TILE = TILE_VECTORS * ELEMENTS /* R: rows of a tile */
};

/* Loops over registers must be unrolled, or the compiler keeps them in memory. */
#define UNROLL_BLOCK    _Pragma("GCC unroll 4")
#define UNROLL_ROWS     _Pragma("GCC unroll 6")
#define UNROLL_TILE     _Pragma("GCC unroll 12")
#define UNROLL_ELEMENTS _Pragma("GCC unroll 16")

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

ALWAYS_INLINE vector vector_sqrt(vector x)
{
#if defined(__AVX512F__)
    return REAL_IS_DOUBLE ? (vector)_mm512_sqrt_pd((__m512d)x) : (vector)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX__)
    return REAL_IS_DOUBLE ? (vector)_mm256_sqrt_pd((__m256d)x) : (vector)_mm256_sqrt_ps((__m256)x);
#else
    vector y;
    for (int i = 0; i < (int)ELEMENTS; i++) y[i] = (real)sqrt(x[i]);
    return y;
#endif
}

/* Of a constant and x: NaN in x stays. */
ALWAYS_INLINE vector vector_at_least(real low, vector x)
{
#if defined(__AVX512F__) && !REAL_IS_DOUBLE
    return (vector)_mm512_max_ps((__m512)set1(low), (__m512)x);
#elif defined(__AVX__) && !defined(__AVX512F__) && !REAL_IS_DOUBLE
    return (vector)_mm256_max_ps((__m256)set1(low), (__m256)x);
#else
    return vector_select(x < set1(low), set1(low), x);
#endif
}

ALWAYS_INLINE vector vector_at_most(real high, vector x)
{
#if defined(__AVX512F__) && !REAL_IS_DOUBLE
    return (vector)_mm512_min_ps((__m512)set1(high), (__m512)x);
#elif defined(__AVX__) && !defined(__AVX512F__) && !REAL_IS_DOUBLE
    return (vector)_mm256_min_ps((__m256)set1(high), (__m256)x);
#else
    return vector_select(x > set1(high), set1(high), x);
#endif
}

ALWAYS_INLINE vector vector_tanh(vector x)
{
#if REAL_IS_DOUBLE
    vector y;
    for (int i = 0; i < (int)ELEMENTS; i++) y[i] = real_tanh(x[i]);
    return y;
#else
    const vector y = vector_at_most(TANH_LIMIT, vector_at_least(-TANH_LIMIT, x)), s = y * y;
    return y * TANH_P(s, set1) / TANH_Q(s, set1);
#endif
}

/* ---- transposing ELEMENTS x ELEMENTS numbers in registers ---------------------------------------------------------------------------- */

/* Every exchange between two vectors is one machine instruction: interleaving within parts of 128 bits, then choosing even or odd parts. */
#define PART            ((int)(16 / sizeof(real))) /* elements of a part */
#define ELEMENT_LOW(l)  (((l)&1 ? ELEMENT_COUNT : 0) + (l) / PART * PART + (l) % PART / 2)
#define ELEMENT_HIGH(l) (ELEMENT_LOW(l) + PART / 2)
#define ELEMENT_EVEN(l) ((2 * (l) / ELEMENT_COUNT ? ELEMENT_COUNT : 0) + 2 * ((l) / PART) * PART % ELEMENT_COUNT + (l) % PART)
#define ELEMENT_ODD(l)  (ELEMENT_EVEN(l) + PART)

#define ELEMENT_LIST2(F, l)   F(l), F((l) + 1)
#define ELEMENT_LIST4(F, l)   ELEMENT_LIST2(F, l), ELEMENT_LIST2(F, (l) + 2)
#define ELEMENT_LIST8(F, l)   ELEMENT_LIST4(F, l), ELEMENT_LIST4(F, (l) + 4)
#define ELEMENT_LIST16(F, l)  ELEMENT_LIST8(F, l), ELEMENT_LIST8(F, (l) + 8)
#define ELEMENT_LIST_PASTE(n) ELEMENT_LIST##n
#define ELEMENT_LIST_OF(n)    ELEMENT_LIST_PASTE(n)
#define ELEMENT_LIST(F)       ELEMENT_LIST_OF(ELEMENT_COUNT)(F, 0)
#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vector_mask){__VA_ARGS__})
#endif

/* Vectors i and i + distance, for every i without that bit, become FIRST and SECOND of both. */
#define EXCHANGE(distance, FIRST, SECOND)                                                                                                  \
    UNROLL_ELEMENTS                                                                                                                        \
    for (int i = 0; i < (int)ELEMENTS; i++) {                                                                                              \
        if (i & (distance)) continue;                                                                                                      \
        const vector a = x[i], b = x[i + (distance)];                                                                                      \
        x[i] = SHUFFLE(a, b, ELEMENT_LIST(FIRST));                                                                                         \
        x[i + (distance)] = SHUFFLE(a, b, ELEMENT_LIST(SECOND));                                                                           \
    }

ALWAYS_INLINE void transpose_block(vector x[])
{
#if !REAL_IS_DOUBLE
    EXCHANGE(2, ELEMENT_LOW, ELEMENT_HIGH)
#endif
    EXCHANGE(1, ELEMENT_LOW, ELEMENT_HIGH)
#if VECTOR_BYTES > 16
    EXCHANGE(PART, ELEMENT_EVEN, ELEMENT_ODD)
#endif
#if VECTOR_BYTES > 32
    EXCHANGE(2 * PART, ELEMENT_EVEN, ELEMENT_ODD)
#endif
}

/* The sum of the elements, always in the same order. */
ALWAYS_INLINE double vector_sum(vector x)
{
    double sum = 0;
    for (int i = 0; i < (int)ELEMENTS; i++) sum += (double)x[i];
    return sum;
}

#endif
