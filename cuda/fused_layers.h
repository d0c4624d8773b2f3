/* Layers of a network of two hidden layers of 64, for the warps of a block: sizes, weights in shared memory, a warp's 16 rows through a
 * layer. Used by mlp_fused.cu and fused_train.h. */
#ifndef MAPPO_CUDA_FUSED_LAYERS_H
#define MAPPO_CUDA_FUSED_LAYERS_H

#include "cuda/cuda.h"
#include "cuda/fused_tile.h"

enum {
    FUSED_LAYERS = 2,
    FUSED_PACKED_ROWS = 128, /* of a tile in memory */
    FUSED_CHUNK_ROWS = 64,   /* chunks are whole multiples of so many */
    FUSED_BLOCKS = 2,        /* of training, on a multiprocessor */
    FUSED_INPUTS_MOST = 64,
    FUSED_OUTPUTS_MOST = 32, /* log_std included */
    FUSED_NARROW = 8,        /* outputs whose weight gradient a warp makes from its own rows */
    FUSED_PASSES = 8,        /* of one launch: as many as 4 KiB of kernel parameters hold */
    FUSED_DISTRIBUTIONS = 2
};

static inline __host__ __device__ int round_up(int n, int to)
{
    return (n + to - 1) / to * to;
}

/* Length of a row of k weights: room for a multiple of 8, and an odd number of 16-byte units. */
static inline __host__ __device__ int weight_row(int k)
{
    return 8 * ((k + 7) / 8) + 4;
}

/* Groups of eight inputs that the weight gradient is made for: few kinds, each is a copy of the code. */
static inline __host__ __device__ int input_groups(int inputs)
{
    return inputs <= 24 ? 3 : inputs <= 40 ? 5 : inputs <= 56 ? 7 : 8;
}

struct folded { /* layout.h for two layers of 64: where the layers' weights and biases begin */
    int w1, b1, w2, b2, wh, bh, extra;
};

static inline __host__ __device__ struct folded folded_of(int inputs, int outputs)
{
    struct folded f;
    f.w1 = 0;
    f.b1 = FUSED_HIDDEN * inputs;
    f.w2 = f.b1 + FUSED_HIDDEN;
    f.b2 = f.w2 + FUSED_HIDDEN * FUSED_HIDDEN;
    f.wh = f.b2 + FUSED_HIDDEN;
    f.bh = f.wh + outputs * FUSED_HIDDEN;
    f.extra = f.bh + round_up(outputs, 4);
    return f;
}

/* ---- weights in shared memory ---- */

struct weights { /* places in floats from the start of shared memory; ld1: length of a row of w1 */
    int w1, w2, wh, b1, b2, bh, end, ld1;
};

static inline __host__ __device__ struct weights weights_lay_out(int at, int inputs, int outputs)
{
    struct weights w;
    const int padded = round_up(outputs, 8);
    w.ld1 = weight_row(inputs);
    w.w1 = at;
    w.w2 = w.w1 + FUSED_HIDDEN * w.ld1;
    w.wh = w.w2 + FUSED_HIDDEN * FUSED_WEIGHT_ROW;
    w.b1 = w.wh + padded * FUSED_WEIGHT_ROW;
    w.b2 = w.b1 + FUSED_HIDDEN;
    w.bh = w.b2 + FUSED_HIDDEN;
    w.end = w.bh + padded;
    return w;
}

/* from [n][k] to to [padded][ld], zeros around it; by the whole block. Unrolled, because a block of few rows waits for this more than for
 * anything else: many loads are on their way at a time. */
template <bool TF32> static __device__ __forceinline__ void load_matrix(float *to, int ld, int padded, const float *from, int n, int k)
{
#pragma unroll 8
    for (int i = (int)threadIdx.x; i < padded * ld; i += (int)blockDim.x) {
        const int row = i / ld, column = i - row * ld;
        to[i] = row < n && column < k ? rounded<TF32>(from[row * k + column]) : 0.0f;
    }
}

/* The same for rows of 64, which lie at multiples of four floats. */
template <bool TF32> static __device__ __forceinline__ void load_hidden(float *to, int padded, const float *from, int n)
{
    enum { UNITS = FUSED_HIDDEN / 4 };
#pragma unroll 8
    for (int i = (int)threadIdx.x; i < padded * UNITS; i += (int)blockDim.x) {
        const int row = i / UNITS, column = i % UNITS * 4;
        const float4 w = row < n ? load4(from + row * FUSED_HIDDEN + column) : make_float4(0, 0, 0, 0);
        store4(to + row * FUSED_WEIGHT_ROW + column, rounded<TF32>(w.x), rounded<TF32>(w.y), rounded<TF32>(w.z), rounded<TF32>(w.w));
    }
}

template <bool TF32>
static __device__ void load_weights(float *shared, const struct weights *w, const float *folded, int inputs, int outputs)
{
    const struct folded f = folded_of(inputs, outputs);
    const int padded = round_up(outputs, 8);
    load_matrix<TF32>(shared + w->w1, w->ld1, FUSED_HIDDEN, folded + f.w1, FUSED_HIDDEN, inputs);
    load_hidden<TF32>(shared + w->w2, FUSED_HIDDEN, folded + f.w2, FUSED_HIDDEN);
    load_hidden<TF32>(shared + w->wh, padded, folded + f.wh, outputs);
    load_matrix<false>(shared + w->b1, FUSED_HIDDEN, 1, folded + f.b1, 1, FUSED_HIDDEN);
    load_matrix<false>(shared + w->b2, FUSED_HIDDEN, 1, folded + f.b2, 1, FUSED_HIDDEN);
    load_matrix<false>(shared + w->bh, padded, 1, folded + f.bh, 1, outputs);
}

/* ---- layers of a warp's 16 rows; x and out point to the lane's rows ---- */

struct hidden_layer {
    const float *weight, *bias; /* [64][ld] [64] */
    int ld, k;
    int activation;
    bool norm;
};

/* out may be x. */
template <bool TF32, int S>
static __device__ __forceinline__ void hidden_forward(const struct hidden_layer *layer, struct lane l, const float *x, float *out,
                                                      const struct tile_norm *norm, bool keep)
{
    enum { F = shape<TF32>::FEATURES, R = shape<TF32>::ROWS };
    float z[F][R];
#pragma unroll
    for (int i = 0; i < F; i++) {
#pragma unroll
        for (int r = 0; r < R; r++) z[i][r] = layer->bias[forward_feature<TF32>(l, i)];
    }
    if constexpr (TF32) {
        tf32_forward<S>(z, l, layer->weight, layer->ld, x - l.row, round_up(layer->k, 8));
    } else {
        product_forward<S, F>(z, layer->weight + l.feature * layer->ld, layer->ld, x, round_up(layer->k, 4));
    }
    activate(z, layer->activation);
    if (layer->norm) normalise(z, norm, keep);
    __syncwarp();
#pragma unroll
    for (int i = 0; i < F; i++) {
#pragma unroll
        for (int r = 0; r < R; r++) z[i][r] = rounded<TF32>(z[i][r]);
        store_rows(out + forward_feature<TF32>(l, i) * S, z[i]);
    }
    __syncwarp();
}

/* z [O][S] = head of x [64][S] for few outputs. x and z point to the warp's rows: a lane has row `lane` % 16 and every other four inputs.
 */
template <int S, int O>
static __device__ __forceinline__ void narrow_forward(const float *weight, const float *bias, int lane, const float *x, float *z)
{
    const int half = lane / WARP_ROWS, row = lane % WARP_ROWS;
    float sum[O] = {0};
    x += half * 4 * S + row;
    weight += half * 4;
#pragma unroll 2
    for (int k = 0; k < FUSED_HIDDEN; k += 8, x += 8 * S, weight += 8) {
        const float4 xk = make_float4(x[0], x[S], x[2 * S], x[3 * S]);
#pragma unroll
        for (int o = 0; o < O; o++) sum[o] = dot_onto(sum[o], load4(weight + o * FUSED_WEIGHT_ROW), xk);
    }
#pragma unroll
    for (int o = 0; o < O; o++) {
        const float both = sum[o] + __shfl_xor_sync(0xffffffffu, sum[o], WARP_ROWS);
        if (half == 0) z[o * S + row] = both + bias[o];
    }
}

template <int S, int O>
static __device__ __forceinline__ void narrow_forwards(const float *weight, const float *bias, int outputs, int lane, const float *x,
                                                       float *z)
{
    if constexpr (O <= FUSED_NARROW) {
        if (outputs == O) {
            narrow_forward<S, O>(weight, bias, lane, x, z);
        } else {
            narrow_forwards<S, O + 1>(weight, bias, outputs, lane, x, z);
        }
    }
}

/* z [outputs][S] = head of x [64][S], which point to the warp's rows; z may not be x. */
template <int S>
static __device__ __forceinline__ void outputs_forward(const float *weight, const float *bias, int outputs, int lane, const float *x,
                                                       float *z)
{
    const struct lane l = lane_of<false>(lane);
    if (outputs <= FUSED_NARROW) narrow_forwards<S, 1>(weight, bias, outputs, lane, x, z);
    for (int o = l.feature; outputs > FUSED_NARROW && o - l.feature < outputs; o += 8) {
        float sum[1][4] = {{bias[o], bias[o], bias[o], bias[o]}};
        product_forward<S, 1>(sum, weight + o * FUSED_WEIGHT_ROW, FUSED_WEIGHT_ROW, x + l.row, FUSED_HIDDEN);
        if (o < outputs) store4(z + o * S + l.row, sum[0][0], sum[0][1], sum[0][2], sum[0][3]);
    }
    __syncwarp();
}

/* Four rows of input k from row `row` (a multiple of 4) on. */
static __device__ __forceinline__ float4 packed_rows(const float *x, int padded, int row, int k)
{
    return load4(x + ((size_t)(row / FUSED_PACKED_ROWS) * (size_t)padded + (size_t)k) * FUSED_PACKED_ROWS + row % FUSED_PACKED_ROWS);
}

#endif
