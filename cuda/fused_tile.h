/* Products of a tile of rows with a layer's weights, both in shared memory, and what is done to the results while they are in registers.
 *
 * Tiles are [feature][rows + 4]; S is that row's length. Layers are W = 64 or 128 features wide; what a narrower network lacks are zeros. A
 * warp owns 1024 / W rows of a tile in all layers, so that layers wait for a warp only, and a thread holds 32 numbers of them.
 * float32: a warp's threads are W / 8 (features) x 256 / W (rows) and hold 8 features x 4 rows each. Which thread is which matters: a load
 * of 16 bytes takes one access for half a warp where neighbours (in_warp ^ 1 or in_warp ^ 2) read the same address, so one bit of the low
 * two of in_warp belongs to the features and one to the rows. Rows of tiles and weights are an odd number of 16-byte units long: then
 * different features lie in different banks. Products take 12 loads for 128 multiply-adds.
 * tf32: the tensor cores say which thread holds what, 16 features x 2 rows. Their products are 16 x 8 numbers: of a width of 64 the 16 are
 * a warp's rows, of 128 they are features and the 8 its rows. Tiles and weights are kept rounded to tf32; sums, norms, losses and the
 * narrow head are float32. */
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

/* Rows of a warp. */
static constexpr __host__ __device__ int warp_rows(int width)
{
    return 1024 / width;
}

/* Length of a row of weights of `width` inputs. */
static constexpr __host__ __device__ int wide_row(int width)
{
    return width + 4;
}

/* What a thread holds of its warp's rows of a hidden layer: FEATURES x ROWS numbers. */
template <bool TF32> struct shape;
template <> struct shape<false> {
    enum { FEATURES = 8, ROWS = 4 };
};
template <> struct shape<true> {
    enum { FEATURES = 16, ROWS = 2 };
};

struct tile_thread {
    int feature; /* width 64: 0 … 7; tf32: 0 … 3. 128: 0 … 15; tf32: 0 … 7 */
    int row;     /* first of its rows. 64: 0, 4, 8 or 12; tf32: 0 … 7, the other is 8 further. 128: 0 or 4; tf32: 0, 2, 4 or 6 */
};

template <bool TF32, int W> static __device__ __forceinline__ struct tile_thread tile_thread_of(int in_warp)
{
    struct tile_thread l;
    if constexpr (W == 64) {
        l.feature = TF32 ? in_warp & 3 : (in_warp & 1) | (in_warp >> 2 & 6);
        l.row = TF32 ? in_warp >> 2 : (in_warp >> 1 & 3) * 4;
    } else {
        l.feature = TF32 ? in_warp >> 2 : (in_warp & 1) | (in_warp >> 1 & 14);
        l.row = TF32 ? (in_warp & 3) * 2 : (in_warp >> 1 & 1) * 4;
    }
    return l;
}

/* threadIdx.x, asked anew: what is computed from it is computed there, and not before the loops around, which have no registers left to
 * keep it in. */
static __device__ __forceinline__ int thread_asked(void)
{
#ifdef __CUDA_ARCH__
    int thread;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
    return thread;
#else
    return (int)threadIdx.x;
#endif
}

/* The feature of number i of a thread after a product forward, and after one backward. */
template <bool TF32, int W> static __device__ __forceinline__ int forward_feature(struct tile_thread l, int i)
{
    if constexpr (TF32) return W == 64 ? 8 * (i / 2) + 2 * l.feature + i % 2 : l.feature + 8 * i;
    return l.feature + W / 8 * i;
}

static __device__ __forceinline__ int backward_column(int n, int column) /* tf32: of column `column` of 8 of block n: no two in one bank */
{
    return (column & 3) + 4 * (n & 3) + 16 * (column >> 2) + 32 * (n >> 2);
}

template <bool TF32, int W> static __device__ __forceinline__ int backward_feature(struct tile_thread l, int i)
{
    if constexpr (TF32) return W == 64 ? backward_column(i / 2, 2 * l.feature + i % 2) : backward_column(i, l.feature);
    return 4 * l.feature + (i & 3) + (i & 4) * (W / 8);
}

template <bool TF32, int W> static __device__ __forceinline__ float over_features(float x) /* the sum over the threads of the same rows */
{
    if constexpr (!TF32 || W == 64) x += __shfl_xor_sync(0xffffffffu, x, 1);
    if constexpr (TF32 && W == 64) return x + __shfl_xor_sync(0xffffffffu, x, 2);
    if constexpr (W == 128) x += __shfl_xor_sync(0xffffffffu, x, 4);
    x += __shfl_xor_sync(0xffffffffu, x, 8);
    return x + __shfl_xor_sync(0xffffffffu, x, 16);
}

static __device__ __forceinline__ float over_rows(float x) /* the sum over the four threads of the same features: width 64, not tf32 */
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

/* Of the thread's rows: p points to the first. */
template <int W, int R> static __device__ __forceinline__ void load_rows(float (&to)[R], const float *p)
{
    if constexpr (R == 4) {
        const float4 v = load4(p);
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
    } else if constexpr (W == 64) {
        to[0] = p[0], to[1] = p[8];
    } else {
        const float2 v = *reinterpret_cast<const float2 *>(p);
        to[0] = v.x, to[1] = v.y;
    }
}

template <int W, int R> static __device__ __forceinline__ void store_rows(float *p, const float (&v)[R])
{
    if constexpr (R == 4) {
        store4(p, v[0], v[1], v[2], v[3]);
    } else if constexpr (W == 64) {
        p[0] = v[0], p[8] = v[1];
    } else {
        *reinterpret_cast<float2 *>(p) = make_float2(v[0], v[1]);
    }
}

static __device__ __forceinline__ void add_scaled(float (&sum)[4], float w, float4 x)
{
    sum[0] += w * x.x;
    sum[1] += w * x.y;
    sum[2] += w * x.z;
    sum[3] += w * x.w;
}

/* ---- products ------------------------------------------------------------------------------------------------------------------------ */

/* sum[i][r] += Σ_k w[W/8 i][k] x[k][r]. w: weights [.][ld] from the thread's first feature on; x: from its rows on; k: a multiple of 4. */
template <int W, int S, int N>
static __device__ __forceinline__ void product_forward(float (&sum)[N][4], const float *w, int ld, const float *x, int k)
{
#pragma unroll 1
    for (; k > 0; k -= 4, w += 4, x += 4 * S) {
        float4 a[N], b[4];
#pragma unroll
        for (int c = 0; c < 4; c++) b[c] = load4(x + c * S);
#pragma unroll
        for (int i = 0; i < N; i++) a[i] = load4(w + W / 8 * i * ld);
#pragma unroll
        for (int i = 0; i < N; i++) {
            add_scaled(sum[i], a[i].x, b[0]);
            add_scaled(sum[i], a[i].y, b[1]);
            add_scaled(sum[i], a[i].z, b[2]);
            add_scaled(sum[i], a[i].w, b[3]);
        }
    }
}

/* sum[i][r] += Σ_j w[j][backward_feature i] g[j][r]. w: weights [n][W + 4] from the thread's first feature on; g: from the thread's rows
 * on. */
template <int W, int S> static __device__ __forceinline__ void product_backward(float (&sum)[8][4], const float *w, const float *g, int n)
{
#pragma unroll 4
    for (int j = 0; j < n; j++) {
        const float4 low = load4(w + j * wide_row(W)), high = load4(w + j * wide_row(W) + W / 2), b = load4(g + j * S);
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

/* sum[a][i] += Σ_r g[4 a][r] x[8 i][r] over `rows` rows, i < USED: a warp makes 4 A outputs x 8 USED inputs of a weight gradient, whatever
 * the width. g: from the thread's first output on, x: from its first input on. */
template <int S, int USED, int A, int N>
static __device__ __forceinline__ void product_weights(float (&sum)[A][N], const float *g, const float *x, int rows)
{
#pragma unroll 1
    for (; rows > 0; rows -= 4, g += 4, x += 4) {
        float4 a[A], b[USED];
#pragma unroll
        for (int i = 0; i < A; i++) a[i] = load4(g + 4 * i * S);
#pragma unroll
        for (int i = 0; i < USED; i++) b[i] = load4(x + 8 * i * S);
#pragma unroll
        for (int i = 0; i < USED; i++) {
#pragma unroll
            for (int j = 0; j < A; j++) sum[j][i] = dot_onto(sum[j][i], a[j], b[i]);
        }
    }
}

/* ---- the same products with tf32 operands: mma m16n8k8 ------------------------------------------------------------------------------- */

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

/* c [16][8] += a [16][8] b [8][8]. With g = in_warp / 4 and t = in_warp % 4: a = rows g, g + 8 of column t, then of column t + 4; b =
 * column g of rows t and t + 4; c = columns 2 t, 2 t + 1 of row g, then of row g + 8. */
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
    static thread_local float part[32][32][6]; /* [warp][in_warp] a, b */
    const int in_warp = (int)threadIdx.x % 32, g = in_warp / 4, t = in_warp % 4;
    float(*const of_thread)[6] = part[threadIdx.x / 32];
    memcpy(of_thread[in_warp], a, sizeof a);
    memcpy(of_thread[in_warp] + 4, b, sizeof b);
    __syncwarp();
    for (int k = 0; k < 8; k++) {
        const float low = of_thread[g * 4 + k % 4][k / 4 * 2], high = of_thread[g * 4 + k % 4][k / 4 * 2 + 1];
        const float left = of_thread[8 * t + k % 4][4 + k / 4], right = of_thread[8 * t + 4 + k % 4][4 + k / 4];
        *c0 += low * left;
        *c1 += low * right;
        *c2 += high * left;
        *c3 += high * right;
    }
    __syncwarp();
}
#endif

/* w: weights [W][ld], x: from the warp's rows on; k: multiple of 8. */
template <int W, int S>
static __device__ __forceinline__ void tf32_forward(float (&sum)[16][2], struct tile_thread l, const float *w, int ld, const float *x,
                                                    int k)
{
    const int eighth = W == 64 ? l.row : l.feature, quarter = W == 64 ? l.feature : l.row / 2; /* g and t of multiply_tf32 */
    w += eighth * ld + quarter;
    x += quarter * S + eighth;
#pragma unroll 1
    for (; k > 0; k -= 8, w += 8, x += 8 * S) {
        if constexpr (W == 64) {
            const float a[4] = {x[0], x[8], x[4 * S], x[4 * S + 8]};
#pragma unroll
            for (int n = 0; n < 8; n++) {
                const float b[2] = {w[8 * n * ld], w[8 * n * ld + 4]};
                multiply_tf32(&sum[2 * n][0], &sum[2 * n + 1][0], &sum[2 * n][1], &sum[2 * n + 1][1], a, b);
            }
        } else {
            const float b[2] = {x[0], x[4 * S]};
#pragma unroll
            for (int m = 0; m < 16; m += 2) {
                const float a[4] = {w[8 * m * ld], w[8 * (m + 1) * ld], w[8 * m * ld + 4], w[8 * (m + 1) * ld + 4]};
                multiply_tf32(&sum[m][0], &sum[m][1], &sum[m + 1][0], &sum[m + 1][1], a, b);
            }
        }
    }
}

/* w: weights [n][W + 4], zeros up to a multiple of 8; g: from the warp's rows on, HEAD: whatever beyond n, and not rounded. */
template <int W, int S, bool HEAD>
static __device__ __forceinline__ void tf32_backward(float (&sum)[16][2], struct tile_thread l, const float *w, const float *g, int n)
{
    enum { ROW = wide_row(W) };
    const int eighth = W == 64 ? l.row : l.feature, quarter = W == 64 ? l.feature : l.row / 2;
    w += quarter * ROW;
    g += quarter * S + eighth;
#pragma unroll 1
    for (int j = quarter; j - quarter < n; j += 8, w += 8 * ROW, g += 8 * S) {
        if constexpr (W == 64) {
            float a[4] = {0, 0, 0, 0};
            if (!HEAD || j < n) a[0] = rounded<HEAD>(g[0]), a[1] = rounded<HEAD>(g[8]);
            if (!HEAD || j + 4 < n) a[2] = rounded<HEAD>(g[4 * S]), a[3] = rounded<HEAD>(g[4 * S + 8]);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const int k = backward_column(i, eighth);
                const float b[2] = {w[k], w[4 * ROW + k]};
                multiply_tf32(&sum[2 * i][0], &sum[2 * i + 1][0], &sum[2 * i][1], &sum[2 * i + 1][1], a, b);
            }
        } else {
            float b[2] = {0, 0};
            if (!HEAD || j < n) b[0] = rounded<HEAD>(g[0]);
            if (!HEAD || j + 4 < n) b[1] = rounded<HEAD>(g[4 * S]);
#pragma unroll
            for (int i = 0; i < 16; i += 2) {
                const int k = backward_column(i, eighth), k1 = backward_column(i + 1, eighth);
                const float a[4] = {w[k], w[k1], w[4 * ROW + k], w[4 * ROW + k1]};
                multiply_tf32(&sum[i][0], &sum[i][1], &sum[i + 1][0], &sum[i + 1][1], a, b);
            }
        }
    }
}

/* 16 outputs x 8 USED inputs; sum[c]: c0 … c3 of multiply_tf32. g and x: from the first output and input on; l: tile_thread_of a width of
 * 64. bias (NULL: none): the sums of g in every column of a block more, which takes fewer registers than to add them up on the way back. */
template <int S, int USED, int A, int N>
static __device__ __forceinline__ void tf32_weights(float (&sum)[A][N], float *bias, struct tile_thread l, const float *g, const float *x,
                                                    int rows)
{
    const float ones[2] = {1, 1};
    g += l.row * S + l.feature;
    x += l.row * S + l.feature;
#pragma unroll 1
    for (; rows > 0; rows -= 8, g += 8, x += 8) {
        float a[A / 4][4];
#pragma unroll
        for (int m = 0; m < A / 4; m++) {
            const float *p = g + 16 * m * S;
            a[m][0] = p[0], a[m][1] = p[8 * S], a[m][2] = p[4], a[m][3] = p[8 * S + 4];
        }
#pragma unroll
        for (int n = 0; n < USED; n++) {
            const float b[2] = {x[8 * n * S], x[8 * n * S + 4]};
#pragma unroll
            for (int m = 0; m < A; m += 4) multiply_tf32(&sum[m][n], &sum[m + 1][n], &sum[m + 2][n], &sum[m + 3][n], a[m / 4], b);
        }
        if (bias) multiply_tf32(&bias[0], &bias[1], &bias[2], &bias[3], a[0], ones);
    }
}

/* ---- activation and layer norm: kernels/norm.h in registers, see there why it stands here again -------------------------------------- */

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

/* The features that a layer has; the others of its width are there for the kernel's sake. */
struct features {
    int count;
    float inverse; /* 1 / count */
};

/* z to x̂ = (z - mean) / deviation over the features of each row; `norm` from the thread's rows on, NULL pointers = not kept. z is 0 where
 * there is no feature; x̂ is some finite number there, and the next layer's weights of it are 0. The variance takes a pass of its own: the
 * difference of two large sums would lose it. */
template <bool TF32, int W, int F, int R>
static __device__ __forceinline__ void normalise(float (&z)[F][R], struct features features, const struct tile_norm *norm, bool keep)
{
    float offset[R], inverse[R], deviation[R];
    const struct tile_thread l = tile_thread_of<TF32, W>(thread_asked() % 32);
#pragma unroll
    for (int r = 0; r < R; r++) {
        float sum = 0, squares = 0;
#pragma unroll
        for (int i = 0; i < F; i++) sum += z[i][r];
        const float mean = over_features<TF32, W>(sum) * features.inverse;
#pragma unroll
        for (int i = 0; i < F; i++)
            if (forward_feature<TF32, W>(l, i) < features.count) squares += (z[i][r] - mean) * (z[i][r] - mean);
        const float variance = over_features<TF32, W>(squares) * features.inverse + NORM_EPSILON;
        inverse[r] = inverse_root(variance);
        deviation[r] = variance * inverse[r];
        offset[r] = -mean * inverse[r];
#pragma unroll
        for (int i = 0; i < F; i++) z[i][r] = z[i][r] * inverse[r] + offset[r];
    }
    if (!keep) return;
    store_rows<W>(norm->offset, offset);
    store_rows<W>(norm->inverse, inverse);
    store_rows<W>(norm->deviation, deviation);
}

/* norm_gradient of kernels/norm.h: g, the gradient by x̂, to that by z, the sum before the activation; x: x̂ of the same elements. With x̂
 * = (a - mean) / deviation: dL/da = (g - mean(g) - x̂ mean(g x̂)) / deviation. The activation's slope comes from x̂ as well: a = x̂
 * deviation + mean, so 1 - a² is a polynomial of x̂; and a > 0 where x̂ > offset. Where there is no feature, g is 0, and the result
 * makes no difference either. */
template <bool TF32, int W, int F, int R>
static __device__ __forceinline__ void norm_backward(float (&g)[F][R], const float (&x)[F][R], struct features features,
                                                     const struct tile_norm *norm, int activation)
{
    float offset[R], inverse[R], deviation[R];
    load_rows<W>(offset, norm->offset);
    load_rows<W>(inverse, norm->inverse);
    load_rows<W>(deviation, norm->deviation);
#pragma unroll
    for (int r = 0; r < R; r++) {
        float sum = 0, sum_x = 0;
#pragma unroll
        for (int i = 0; i < F; i++) {
            sum += g[i][r];
            sum_x += g[i][r] * x[i][r];
        }
        const float c1 = over_features<TF32, W>(sum) * features.inverse, c2 = over_features<TF32, W>(sum_x) * features.inverse;
        const float low = offset[r], scale = inverse[r], p2 = -deviation[r];
        const float mean = low * p2, zero = rounded<TF32>(low); /* what a 0 became, as x̂ is kept */
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
