/* Layers of a network, for the warps of a block: sizes, weights in shared memory, a warp's rows through a layer. W, 64 or 128, is how many
 * features the hidden layers have room for; a network may have fewer. Used by mlp_fused.cu and fused_train.h. */
#ifndef MAPPO_CUDA_FUSED_LAYERS_H
#define MAPPO_CUDA_FUSED_LAYERS_H

#include "cuda/cuda.h"
#include "cuda/fused_tile.h"

enum {
    FUSED_WIDTH_MOST = 128,
    FUSED_PACKED_ROWS = 128, /* of a tile in memory */
    FUSED_CHUNK_ROWS = 64,   /* chunks are whole multiples of so many */
    FUSED_BLOCKS = 2,        /* of training, on a multiprocessor; of width 128 one */
    FUSED_INPUTS_MOST = 64,
    FUSED_OUTPUTS_MOST = 32, /* log_std included */
    FUSED_NARROW = 8,        /* outputs whose weight gradient a warp makes from its own rows */
    FUSED_PASSES = 8,        /* of one launch: as many as 4 KiB of kernel parameters hold */
    FUSED_DISTRIBUTIONS = 2
};

static constexpr __host__ __device__ int round_up(int n, int to)
{
    return (n + to - 1) / to * to;
}

/* ---- what code is made for ---- */

/* Code for architectures before 8.0 lacks the kernels that none of their devices can run: tf32, and what needs more shared memory than a
 * block has there. The host never launches them (fused_fits). */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
enum { ARCH_TF32 = 0, ARCH_SHARED = (__CUDA_ARCH__ == 750 ? 64 : 96) * 1024 };
static __device__ __forceinline__ void not_on_this_arch(void)
{
    __trap();
}
#else
enum { ARCH_TF32 = 1, ARCH_SHARED = 1024 * 1024 };
static __device__ __forceinline__ void not_on_this_arch(void) {}
#endif

/* floats: the least shared memory that a kernel is launched with. */
template <bool TF32> static constexpr __host__ __device__ bool arch_runs(int floats)
{
    return (!TF32 || ARCH_TF32) && floats * (int)sizeof(float) <= ARCH_SHARED;
}

/* ---- sizes ---- */

/* Length of a row of k weights: room for a multiple of 8, and an odd number of 16-byte units. */
static constexpr __host__ __device__ int weight_row(int k)
{
    return 8 * ((k + 7) / 8) + 4;
}

/* Groups of eight inputs that the weight gradient is made for: few kinds, each is a copy of its code. */
static constexpr __host__ __device__ int input_groups(int inputs)
{
    return inputs <= 24 ? 3 : inputs <= 40 ? 5 : inputs <= 56 ? 7 : 8;
}

static inline __host__ __device__ int fused_width(int hidden)
{
    return hidden <= 64 ? 64 : FUSED_WIDTH_MOST;
}

/* layout.h for a network of one hidden size: where the layers' weights and biases begin, after each other. */
struct folded {
    int bias, inner, step, inner_bias, head, head_bias, extra; /* inner: layer 1; its bias lies inner_bias further, layer 2 step further */
};

static inline __host__ __device__ struct folded folded_of(int hidden, int layers, int inputs, int outputs)
{
    struct folded f;
    f.bias = round_up(hidden * inputs, 4);
    f.inner = f.bias + round_up(hidden, 4);
    f.inner_bias = round_up(hidden * hidden, 4);
    f.step = f.inner_bias + round_up(hidden, 4);
    f.head = f.inner + (layers - 1) * f.step;
    f.head_bias = f.head + round_up(outputs * hidden, 4);
    f.extra = f.head_bias + round_up(outputs, 4);
    return f;
}

/* ---- weights in shared memory ---- */

/* Places in floats from the start of shared memory. first [W][ld], inner [layers - 1][W][W + 4], head [outputs padded to 8][W + 4], biases
 * [layers][W], of the head [outputs padded to 8]; ld: length of a row of the first layer. */
struct weights {
    int first, inner, head, bias, head_bias, end, ld;
};

template <int W> static constexpr __host__ __device__ struct weights weights_lay_out(int at, int layers, int inputs, int outputs)
{
    struct weights w = {};
    const int padded = round_up(outputs, 8);
    w.ld = weight_row(inputs);
    w.first = at;
    w.inner = w.first + W * w.ld;
    w.head = w.inner + (layers - 1) * W * wide_row(W);
    w.bias = w.head + padded * wide_row(W);
    w.head_bias = w.bias + layers * W;
    w.end = w.head_bias + padded;
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

/* The same for weights of a hidden layer's outputs: from [n][k] to to [padded][W + 4]. Rows of a multiple of four lie at multiples of four
 * floats. */
template <bool TF32, int W> static __device__ __forceinline__ void load_hidden(float *to, int padded, const float *from, int n, int k)
{
    enum { UNITS = W / 4 };
    if (k % 4 != 0) {
        load_matrix<TF32>(to, wide_row(W), padded, from, n, k);
        return;
    }
#pragma unroll 8
    for (int i = (int)threadIdx.x; i < padded * UNITS; i += (int)blockDim.x) {
        const int row = i / UNITS, column = i % UNITS * 4;
        const float4 w = row < n && column < k ? load4(from + row * k + column) : make_float4(0, 0, 0, 0);
        store4(to + row * wide_row(W) + column, rounded<TF32>(w.x), rounded<TF32>(w.y), rounded<TF32>(w.z), rounded<TF32>(w.w));
    }
}

template <bool TF32, int W>
static __device__ void load_weights(float *shared, const struct weights *w, const float *folded, int hidden, int layers, int inputs,
                                    int outputs)
{
    const struct folded f = folded_of(hidden, layers, inputs, outputs);
    const int padded = round_up(outputs, 8);
    load_matrix<TF32>(shared + w->first, w->ld, W, folded, hidden, inputs);
    load_matrix<false>(shared + w->bias, W, 1, folded + f.bias, 1, hidden);
    for (int l = 0; l < layers - 1; l++) {
        const float *inner = folded + f.inner + l * f.step;
        load_hidden<TF32, W>(shared + w->inner + l * W * wide_row(W), W, inner, hidden, hidden);
        load_matrix<false>(shared + w->bias + (l + 1) * W, W, 1, inner + f.inner_bias, 1, hidden);
    }
    load_hidden<TF32, W>(shared + w->head, padded, folded + f.head, outputs, hidden);
    load_matrix<false>(shared + w->head_bias, padded, 1, folded + f.head_bias, 1, outputs);
}

/* ---- layers of a warp's rows; x and out point to the thread's rows ---- */

struct hidden_layer {
    const float *weight, *bias; /* [W][ld] [W] */
    int ld, k;
    int activation;
    bool norm;
    struct features features;
};

/* A pass of a launch: its rows and weights, and which blocks it has. */
struct fused_pass {
    const float *x, *folded; /* of its tiles, like the next four */
    const int32_t *count;
    int batch_rows, rows;
    int inputs, outputs;
    int dist; /* number among the launch's; -1: none is needed */
    int first_block, blocks;
};

/* What the networks of a launch have in common. */
struct fused_networks {
    int passes, layers, activation;
    bool norm;
    struct features features;
};

template <int W>
static __device__ __forceinline__ struct hidden_layer hidden_layer_of(const struct fused_networks *networks, const float *shared,
                                                                      const struct weights *w, int l, int inputs)
{
    struct hidden_layer layer;
    layer.weight = shared + (l == 0 ? w->first : w->inner + (l - 1) * W * wide_row(W));
    layer.bias = shared + w->bias + l * W;
    layer.ld = l == 0 ? w->ld : wide_row(W);
    layer.k = l == 0 ? inputs : networks->features.count;
    layer.activation = networks->activation;
    layer.norm = networks->norm;
    layer.features = networks->features;
    return layer;
}

/* out may be x. */
template <bool TF32, int W, int S>
static __device__ __forceinline__ void hidden_forward(const struct hidden_layer *layer, struct tile_thread l, const float *x, float *out,
                                                      const struct tile_norm *norm, bool keep)
{
    enum { F = shape<TF32>::FEATURES, R = shape<TF32>::ROWS };
    float z[F][R];
#pragma unroll
    for (int i = 0; i < F; i++) {
#pragma unroll
        for (int r = 0; r < R; r++) z[i][r] = layer->bias[forward_feature<TF32, W>(l, i)];
    }
    if constexpr (TF32) {
        tf32_forward<W, S>(z, l, layer->weight, layer->ld, x - l.row, round_up(layer->k, 8));
    } else {
        product_forward<W, S>(z, layer->weight + l.feature * layer->ld, layer->ld, x, round_up(layer->k, 4));
    }
    activate(z, layer->activation);
    if (layer->norm) normalise<TF32, W>(z, layer->features, norm, keep);
    __syncwarp();
#pragma unroll
    for (int i = 0; i < F; i++) {
#pragma unroll
        for (int r = 0; r < R; r++) z[i][r] = rounded<TF32>(z[i][r]);
        store_rows<W>(out + forward_feature<TF32, W>(l, i) * S, z[i]);
    }
    __syncwarp();
}

/* z [O][S] = head of x [W][S] for few outputs. x and z point to the warp's rows: a thread has row `in_warp` % warp_rows and four inputs of
 * 4 PARTS. */
template <int W, int S, int O>
static __device__ __forceinline__ void narrow_forward(const float *weight, const float *bias, int in_warp, const float *x, float *z)
{
    enum { ROWS = warp_rows(W), PARTS = 32 / ROWS };
    const int part = in_warp / ROWS, row = in_warp % ROWS;
    float sum[O] = {0};
    x += part * 4 * S + row;
    weight += part * 4;
#pragma unroll 2
    for (int k = 0; k < W; k += 4 * PARTS, x += 4 * PARTS * S, weight += 4 * PARTS) {
        const float4 xk = make_float4(x[0], x[S], x[2 * S], x[3 * S]);
#pragma unroll
        for (int o = 0; o < O; o++) sum[o] = dot_onto(sum[o], load4(weight + o * wide_row(W)), xk);
    }
#pragma unroll
    for (int o = 0; o < O; o++) {
        float all = sum[o];
#pragma unroll
        for (int step = 16; step >= ROWS; step /= 2) all += __shfl_xor_sync(0xffffffffu, all, step);
        if (part == 0) z[o * S + row] = all + bias[o];
    }
}

template <int W, int S, int O>
static __device__ __forceinline__ void narrow_forwards(const float *weight, const float *bias, int outputs, int in_warp, const float *x,
                                                       float *z)
{
    if constexpr (O <= FUSED_NARROW) {
        if (outputs == O) {
            narrow_forward<W, S, O>(weight, bias, in_warp, x, z);
        } else {
            narrow_forwards<W, S, O + 1>(weight, bias, outputs, in_warp, x, z);
        }
    }
}

/* z [outputs][S] = head of x [W][S], which point to the warp's rows; z may not be x. */
template <int W, int S>
static __device__ __forceinline__ void outputs_forward(const float *weight, const float *bias, int outputs, int in_warp, const float *x,
                                                       float *z)
{
    const struct tile_thread l = tile_thread_of<false, W>(in_warp);
    if (outputs <= FUSED_NARROW) narrow_forwards<W, S, 1>(weight, bias, outputs, in_warp, x, z);
    for (int o = l.feature; outputs > FUSED_NARROW && o < outputs; o += W / 8) {
        float sum[1][4] = {{bias[o], bias[o], bias[o], bias[o]}};
        product_forward<W, S>(sum, weight + o * wide_row(W), wide_row(W), x + l.row, W);
        store4(z + o * S + l.row, sum[0][0], sum[0][1], sum[0][2], sum[0][3]);
    }
    __syncwarp();
}

/* Four rows of input k from row `row` (a multiple of 4) on. */
static __device__ __forceinline__ float4 packed_rows(const float *x, int padded, int row, int k)
{
    return load4(x + ((size_t)(row / FUSED_PACKED_ROWS) * (size_t)padded + (size_t)k) * FUSED_PACKED_ROWS + row % FUSED_PACKED_ROWS);
}

#endif
