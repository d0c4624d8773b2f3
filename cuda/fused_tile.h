/* Products of a tile of rows with a layer's weights, both in shared memory, and what is done to the results while they are in registers.
 *
 * Tiles are [feature][rows + 4]; S is that row's length. A warp owns 16 rows of a tile in all layers, so that layers wait for a warp only.
 * float32: its lanes are 8 (features) x 4 (rows) and hold 8 features x 4 rows each. Which lane is which matters: a load of 16 bytes takes
 * one access for half a warp where neighbours (lane ^ 1 or lane ^ 2) read the same address, so one bit of the lane's low two belongs to the
 * features and one to the rows. Rows of tiles and weights are an odd number of 16-byte units long: then different features lie in different
 * banks. Products take 12 loads for 128 multiply-adds.
 * tf32: the tensor cores say which lane holds what, 16 features x 2 rows. Tiles and weights are kept rounded to tf32; sums, norms, losses
 * and the narrow head are float32. */
#ifndef MAPPO_CUDA_FUSED_TILE_H
#define MAPPO_CUDA_FUSED_TILE_H

#include "cuda/launch.h"

extern "C" {
#include "backend/backend.h"
#include "backend/kernels/norm.h"
}

#ifndef __forceinline__
#define __forceinline__ inline
#endif
#ifndef __grid_constant__
#define __grid_constant__
#endif

enum {
    FUSED_HIDDEN = 64,
    FUSED_WEIGHT_ROW = 68, /* a row of weights of 64 inputs */
    WARP_ROWS = 16,
};

/* What a lane holds of a warp's 16 rows of a hidden layer: FEATURES x ROWS numbers. */
template <bool TF32> struct shape;
template <> struct shape<false> {
    enum { FEATURES = 8, ROWS = 4 };
};
template <> struct shape<true> {
    enum { FEATURES = 16, ROWS = 2 };
};

struct lane {
    int feature; /* 0 … 7; tf32: 0 … 3 */
    int row;     /* first of its rows: 0, 4, 8 or 12; tf32: 0 … 7, the other is 8 further */
};

template <bool TF32> static __device__ __forceinline__ struct lane lane_of(int lane)
{
    struct lane l;
    l.feature = TF32 ? lane & 3 : (lane & 1) | (lane >> 2 & 6);
    l.row = TF32 ? lane >> 2 : (lane >> 1 & 3) * 4;
    return l;
}

/* The feature of number i of a lane after a product forward, and after one backward. */
template <bool TF32> static __device__ __forceinline__ int forward_feature(struct lane l, int i)
{
    return TF32 ? 8 * (i / 2) + 2 * l.feature + i % 2 : l.feature + 8 * i;
}

static __device__ __forceinline__ int backward_column(int n, int column) /* tf32: of column `column` of 8 of block n: no two in one bank */
{
    return (column & 3) + 4 * (n & 3) + 16 * (column >> 2) + 32 * (n >> 2);
}

template <bool TF32> static __device__ __forceinline__ int backward_feature(struct lane l, int i)
{
    return TF32 ? backward_column(i / 2, 2 * l.feature + i % 2) : 4 * l.feature + (i & 3) + (i & 4) * 8;
}

template <bool TF32> static __device__ __forceinline__ float over_features(float x) /* the sum over the lanes of the same rows */
{
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    x += __shfl_xor_sync(0xffffffffu, x, TF32 ? 2 : 8);
    return TF32 ? x : x + __shfl_xor_sync(0xffffffffu, x, 16);
}

static __device__ __forceinline__ float over_rows(float x) /* the sum over the four lanes of the same features; not for tf32 */
{
    x += __shfl_xor_sync(0xffffffffu, x, 2);
    return x + __shfl_xor_sync(0xffffffffu, x, 4);
}

static __device__ __forceinline__ float4 load4(const float *p)
{
    return *reinterpret_cast<const float4 *>(p);
}

static __device__ __forceinline__ void store4(float *p, float x, float y, float z, float w)
{
    *reinterpret_cast<float4 *>(p) = make_float4(x, y, z, w);
}

/* Of the lane's rows: p points to the first. */
template <int R> static __device__ __forceinline__ void load_rows(float (&to)[R], const float *p)
{
    if constexpr (R == 4) {
        const float4 v = load4(p);
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
    } else {
        to[0] = p[0], to[1] = p[8];
    }
}

template <int R> static __device__ __forceinline__ void store_rows(float *p, const float (&v)[R])
{
    if constexpr (R == 4) {
        store4(p, v[0], v[1], v[2], v[3]);
    } else {
        p[0] = v[0], p[8] = v[1];
    }
}

static __device__ __forceinline__ void add_scaled(float (&sum)[4], float w, float4 x)
{
    sum[0] += w * x.x;
    sum[1] += w * x.y;
    sum[2] += w * x.z;
    sum[3] += w * x.w;
}

/* ---- products ---------------------------------------------------------------------------------------------------------------------- */

/* sum[i][r] += Σ_k w[8 i][k] x[k][r]. w: weights [.][ld] from the lane's first feature on; x: from the lane's rows on; k: multiple of 4. */
template <int S, int N>
static __device__ __forceinline__ void product_forward(float (&sum)[N][4], const float *w, int ld, const float *x, int k)
{
#pragma unroll 1
    for (; k > 0; k -= 4, w += 4, x += 4 * S) {
        float4 a[N], b[4];
#pragma unroll
        for (int c = 0; c < 4; c++) b[c] = load4(x + c * S);
#pragma unroll
        for (int i = 0; i < N; i++) a[i] = load4(w + 8 * i * ld);
#pragma unroll
        for (int i = 0; i < N; i++) {
            add_scaled(sum[i], a[i].x, b[0]);
            add_scaled(sum[i], a[i].y, b[1]);
            add_scaled(sum[i], a[i].z, b[2]);
            add_scaled(sum[i], a[i].w, b[3]);
        }
    }
}

/* sum[i][r] += Σ_j w[j][backward_feature i] g[j][r]. w: weights [n][68] from the lane's first feature on; g: from the lane's rows on. */
template <int S> static __device__ __forceinline__ void product_backward(float (&sum)[8][4], const float *w, const float *g, int n)
{
#pragma unroll 4
    for (int j = 0; j < n; j++) {
        const float4 low = load4(w + j * FUSED_WEIGHT_ROW), high = load4(w + j * FUSED_WEIGHT_ROW + 32), b = load4(g + j * S);
        add_scaled(sum[0], low.x, b);
        add_scaled(sum[1], low.y, b);
        add_scaled(sum[2], low.z, b);
        add_scaled(sum[3], low.w, b);
        add_scaled(sum[4], high.x, b);
        add_scaled(sum[5], high.y, b);
        add_scaled(sum[6], high.z, b);
        add_scaled(sum[7], high.w, b);
    }
}

static __device__ __forceinline__ float dot_onto(float sum, float4 a, float4 b)
{
    sum += a.x * b.x;
    sum += a.y * b.y;
    sum += a.z * b.z;
    sum += a.w * b.w;
    return sum;
}

/* sum[a][i] += Σ_r g[4 a][r] x[8 i][r] over `rows` rows: a warp makes 16 outputs x 8 N inputs of a weight gradient. g: from the lane's
 * first output on, x: from its first input on. */
template <int S, int N> static __device__ __forceinline__ void product_weights(float (&sum)[4][N], const float *g, const float *x, int rows)
{
#pragma unroll 1
    for (; rows > 0; rows -= 4, g += 4, x += 4) {
        float4 a[4], b[N];
#pragma unroll
        for (int i = 0; i < 4; i++) a[i] = load4(g + 4 * i * S);
#pragma unroll
        for (int i = 0; i < N; i++) b[i] = load4(x + 8 * i * S);
#pragma unroll
        for (int i = 0; i < N; i++) {
#pragma unroll
            for (int j = 0; j < 4; j++) sum[j][i] = dot_onto(sum[j][i], a[j], b[i]);
        }
    }
}

/* ---- the same products with tf32 operands: mma m16n8k8, whose 16 rows are the warp's ---------------------------------------------------
 */

/* To the nearest number with 10 bits after the point: tiles and weights are kept rounded, so that the products need not. */
template <bool TF32> static __device__ __forceinline__ float rounded(float x)
{
    if constexpr (!TF32) return x;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint32_t bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return __uint_as_float(bits);
#else
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x1000u) & 0xffffe000u;
    float y;
    memcpy(&y, &bits, sizeof y);
    return x == x ? y : x;
#endif
}

/* c [16][8] += a [16][8] b [8][8]. With g = lane / 4 and t = lane % 4: a = rows g, g + 8 of column t, then of column t + 4; b = column g of
 * rows t and t + 4; c = columns 2 t, 2 t + 1 of row g, then of row g + 8. */
#ifdef __CUDACC__
static __device__ __forceinline__ void multiply_tf32(float *c0, float *c1, float *c2, float *c3, const float (&a)[4], const float (&b)[2])
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(*c0), "+f"(*c1), "+f"(*c2), "+f"(*c3)
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])), "r"(__float_as_uint(a[3])),
          "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#elif defined(__CUDA_ARCH__)
    __trap(); /* fused_fits does not let such a device come here */
#endif
}
#else /* where the tests run kernels on the host */
static void multiply_tf32(float *c0, float *c1, float *c2, float *c3, const float (&a)[4], const float (&b)[2])
{
    static thread_local float part[32][32][6]; /* [warp][lane] a, b */
    const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
    float(*const lanes)[6] = part[threadIdx.x / 32];
    memcpy(lanes[lane], a, sizeof a);
    memcpy(lanes[lane] + 4, b, sizeof b);
    __syncwarp();
    for (int k = 0; k < 8; k++) {
        const float low = lanes[g * 4 + k % 4][k / 4 * 2], high = lanes[g * 4 + k % 4][k / 4 * 2 + 1];
        const float left = lanes[8 * t + k % 4][4 + k / 4], right = lanes[8 * t + 4 + k % 4][4 + k / 4];
        *c0 += low * left;
        *c1 += low * right;
        *c2 += high * left;
        *c3 += high * right;
    }
    __syncwarp();
}
#endif

/* w: weights [64][ld], x: from the warp's rows on; k: multiple of 8. */
template <int S>
static __device__ __forceinline__ void tf32_forward(float (&sum)[16][2], struct lane l, const float *w, int ld, const float *x, int k)
{
    w += l.row * ld + l.feature;
    x += l.feature * S + l.row;
#pragma unroll 1
    for (; k > 0; k -= 8, w += 8, x += 8 * S) {
        const float a[4] = {x[0], x[8], x[4 * S], x[4 * S + 8]};
#pragma unroll
        for (int n = 0; n < 8; n++) {
            const float b[2] = {w[8 * n * ld], w[8 * n * ld + 4]};
            multiply_tf32(&sum[2 * n][0], &sum[2 * n + 1][0], &sum[2 * n][1], &sum[2 * n + 1][1], a, b);
        }
    }
}

/* w: weights [n][68], zeros up to a multiple of 8; g: from the warp's rows on, HEAD: whatever beyond n, and not rounded. */
template <int S, bool HEAD>
static __device__ __forceinline__ void tf32_backward(float (&sum)[16][2], struct lane l, const float *w, const float *g, int n)
{
    w += l.feature * FUSED_WEIGHT_ROW;
    g += l.feature * S + l.row;
#pragma unroll 1
    for (int j = l.feature; j - l.feature < n; j += 8, w += 8 * FUSED_WEIGHT_ROW, g += 8 * S) {
        float a[4] = {0, 0, 0, 0};
        if (!HEAD || j < n) a[0] = rounded<HEAD>(g[0]), a[1] = rounded<HEAD>(g[8]);
        if (!HEAD || j + 4 < n) a[2] = rounded<HEAD>(g[4 * S]), a[3] = rounded<HEAD>(g[4 * S + 8]);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const int k = backward_column(i, l.row);
            const float b[2] = {w[k], w[4 * FUSED_WEIGHT_ROW + k]};
            multiply_tf32(&sum[2 * i][0], &sum[2 * i + 1][0], &sum[2 * i][1], &sum[2 * i + 1][1], a, b);
        }
    }
}

/* 16 outputs x 8 N inputs; sum[c]: c0 … c3 of multiply_tf32. g and x: from the first output and input on. bias: the sums of g in every
 * column of a block more, which takes fewer registers than to add them up on the way back. */
template <int S, int N>
static __device__ __forceinline__ void tf32_weights(float (&sum)[4][N], float (&bias)[4], struct lane l, const float *g, const float *x,
                                                    int rows)
{
    const float ones[2] = {1, 1};
    g += l.row * S + l.feature;
    x += l.row * S + l.feature;
#pragma unroll 1
    for (; rows > 0; rows -= 8, g += 8, x += 8) {
        const float a[4] = {g[0], g[8 * S], g[4], g[8 * S + 4]};
#pragma unroll
        for (int n = 0; n < N; n++) {
            const float b[2] = {x[8 * n * S], x[8 * n * S + 4]};
            multiply_tf32(&sum[0][n], &sum[1][n], &sum[2][n], &sum[3][n], a, b);
        }
        multiply_tf32(&bias[0], &bias[1], &bias[2], &bias[3], a, ones);
    }
}

/* ---- activation and layer norm --------------------------------------------------------------------------------------------------------
 */

/* Of the rows of a tile: -mean / deviation, 1 / deviation, deviation = sqrt(variance + 1e-5); one after the other, [3][rows]. */
struct tile_norm {
    float *offset, *inverse, *deviation;
};

static __device__ __forceinline__ float inverse_root(float x) /* within two units of the last place */
{
#ifdef __CUDA_ARCH__
    return rsqrtf(x);
#else
    return 1.0f / sqrtf(x);
#endif
}

template <int F, int R> static __device__ __forceinline__ void activate(float (&z)[F][R], int activation)
{
    if (activation == ACTIVATION_RELU) {
#pragma unroll
        for (int i = 0; i < F; i++) {
#pragma unroll
            for (int r = 0; r < R; r++) z[i][r] = z[i][r] < 0 ? 0.0f : z[i][r]; /* a NaN stays one */
        }
    } else {
#pragma unroll
        for (int i = 0; i < F; i++) {
#pragma unroll
            for (int r = 0; r < R; r++) z[i][r] = real_tanh(z[i][r]);
        }
    }
}

/* z to x̂ = (z - mean) / deviation over the 64 features of each row; `norm` from the lane's rows on, NULL pointers = not kept. The variance
 * takes a pass of its own: the difference of two large sums would lose it. */
template <int F, int R> static __device__ __forceinline__ void normalise(float (&z)[F][R], const struct tile_norm *norm, bool keep)
{
    float offset[R], inverse[R], deviation[R];
#pragma unroll
    for (int r = 0; r < R; r++) {
        float sum = 0, squares = 0;
#pragma unroll
        for (int i = 0; i < F; i++) sum += z[i][r];
        const float mean = over_features<F == 16>(sum) * (1.0f / FUSED_HIDDEN);
#pragma unroll
        for (int i = 0; i < F; i++) squares += (z[i][r] - mean) * (z[i][r] - mean);
        const float variance = over_features<F == 16>(squares) * (1.0f / FUSED_HIDDEN) + NORM_EPSILON;
        inverse[r] = inverse_root(variance);
        deviation[r] = variance * inverse[r];
        offset[r] = -mean * inverse[r];
#pragma unroll
        for (int i = 0; i < F; i++) z[i][r] = z[i][r] * inverse[r] + offset[r];
    }
    if (!keep) return;
    store_rows(norm->offset, offset);
    store_rows(norm->inverse, inverse);
    store_rows(norm->deviation, deviation);
}

/* g, the gradient by x̂, to that by z, the sum before the activation; x: x̂ of the same elements. With x̂ = (a - mean) / deviation:
 * dL/da = (g - mean(g) - x̂ mean(g x̂)) / deviation. The activation's slope comes from x̂ as well: a = x̂ deviation + mean, so 1 - a² is a
 * polynomial of x̂; and a > 0 where x̂ > offset. */
template <int F, int R>
static __device__ __forceinline__ void norm_backward(float (&g)[F][R], const float (&x)[F][R], const struct tile_norm *norm, int activation)
{
    float offset[R], inverse[R], deviation[R];
    load_rows(offset, norm->offset);
    load_rows(inverse, norm->inverse);
    load_rows(deviation, norm->deviation);
#pragma unroll
    for (int r = 0; r < R; r++) {
        float sum = 0, sum_x = 0;
#pragma unroll
        for (int i = 0; i < F; i++) {
            sum += g[i][r];
            sum_x += g[i][r] * x[i][r];
        }
        const float c1 = over_features<F == 16>(sum) * (1.0f / FUSED_HIDDEN), c2 = over_features<F == 16>(sum_x) * (1.0f / FUSED_HIDDEN);
        const float low = offset[r], scale = inverse[r], p2 = -deviation[r];
        const float mean = low * p2, zero = rounded<F == 16>(low); /* what a 0 became, as x̂ is kept */
        const float p0 = (1.0f - mean * mean) * scale, p1 = -2.0f * mean;
#pragma unroll
        for (int i = 0; i < F; i++) {
            const float xi = x[i][r], d = (g[i][r] - c1) - xi * c2;
            if (activation == ACTIVATION_RELU) {
                g[i][r] = xi > zero ? d * scale : 0.0f;
            } else {
                g[i][r] = d * (p0 + xi * (p1 + xi * p2));
            }
        }
    }
}

/* The same without a norm, where x is the activation itself. */
template <int F, int R> static __device__ __forceinline__ void activation_backward(float (&g)[F][R], const float (&x)[F][R], int activation)
{
#pragma unroll
    for (int i = 0; i < F; i++) {
#pragma unroll
        for (int r = 0; r < R; r++) {
            const float a = x[i][r];
            if (activation == ACTIVATION_RELU) {
                g[i][r] = a > 0 ? g[i][r] : 0.0f;
            } else {
                g[i][r] *= 1.0f - a * a;
            }
        }
    }
}

#endif
