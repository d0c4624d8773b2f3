/* The training kernel of networks other than two layers of at most 64: gradients layer by layer.
 *
 * A tile has 64 rows, in eight warps of 8 rows (width 128) or four of 16 (width 64). Shared memory holds x0 and for each layer one tile, x̂
 * and later dz: on the way back the block makes a layer's weight gradient as soon as all warps have its dz, and only then do they overwrite
 * the x̂ that it reads. So there are two barriers a layer, and two around the head's gradient. */
#ifndef MAPPO_CUDA_FUSED_TRAIN_BY_LAYER_H
#define MAPPO_CUDA_FUSED_TRAIN_BY_LAYER_H

#include "cuda/fused_train.h"

enum { BY_LAYER_ROWS = 64, BY_LAYER_ROW = BY_LAYER_ROWS + 4 };

/* Groups of eight inputs that the first layer's weight gradient is made for. */
static constexpr __host__ __device__ int by_layer_groups(int inputs)
{
    return inputs <= 24 ? 3 : 8;
}

/* How a block divides a layer's weight gradient: a warp has 16 outputs x 64 inputs, of width 128 32 x 64; of the first layer 16 outputs
 * and all inputs. */
template <int W> struct by_layer {
    enum {
        WARPS = BY_LAYER_ROWS / warp_rows(W),
        THREADS = WARPS * 32,
        PARTS = THREADS / W, /* threads of an output or input */
        OUTPUTS = W / 16,    /* of a thread, of inner layers */
        HEADS = FUSED_OUTPUTS_MOST / PARTS
    };
};

/* What a thread carries from tile to tile. G: groups of eight inputs that it has room for: 3 or 8. */
template <int W, int L, int G> struct gradients {
    float inner[L > 1 ? L - 1 : 1][by_layer<W>::OUTPUTS][8], first[4][G]; /* see put_weights */
    float head[by_layer<W>::HEADS];                                       /* see wide_head_gradient */
    float bias[L];                                                        /* [thread % W] of the rows of part thread / W */
    float tail;                                                           /* head's bias [in_warp], then log_std, of the warp's rows */
};

/* Short observations have a copy of the code of their own, with more registers left, where one copy for all would spill or is tight. */
template <bool TF32, int W, int L> static constexpr __host__ __device__ bool two_copies(void)
{
    return W == 128 || (TF32 && L == 3);
}

template <bool TF32, int W, int L, int G> static __device__ __forceinline__ int chunk_groups(const struct train_thread *t)
{
    return two_copies<TF32, W, L>() ? G : by_layer_groups(t->p->inputs);
}

/* The tile's part of a layer's weight gradient, of USED groups of eight inputs. */
template <bool TF32, int W, int USED, int A, int N>
static __device__ __forceinline__ void add_weights(const struct train_thread *t, int g, int x, float (&sum)[A][N])
{
    enum { S = BY_LAYER_ROW };
    if constexpr (TF32) {
        tf32_weights<S, USED>(sum, NULL, t->of_weights, t->shared + g, t->shared + x, BY_LAYER_ROWS);
    } else {
        const struct tile_thread l = t->of_weights;
        product_weights<S, USED>(sum, t->shared + g + l.row / 4 * S, t->shared + x + l.feature * S, BY_LAYER_ROWS);
    }
}

template <int W> static __device__ __forceinline__ int first_output(const struct train_thread *t)
{
    return W == 64 ? 16 * t->warp : 32 * (t->warp % 4);
}

template <int W> static __device__ __forceinline__ int first_input(const struct train_thread *t)
{
    return W == 64 ? 0 : 64 * (t->warp / 4);
}

/* dz [W][S] summed over the thread's part of the rows. */
template <int W> static __device__ __forceinline__ float bias_gradient(const float *dz, float sum)
{
    enum { ROWS = BY_LAYER_ROWS / by_layer<W>::PARTS };
    dz += (int)threadIdx.x % W * BY_LAYER_ROW + (int)threadIdx.x / W * ROWS;
#pragma unroll 4
    for (int r = 0; r < ROWS; r += 4) {
        const float4 g = load4(dz + r);
        sum += (g.x + g.y) + (g.z + g.w);
    }
    return sum;
}

/* From the gradient by the outputs back through layers `layer` … 0, their gradients included; asks for the next tile's inputs meanwhile. */
template <bool TF32, int W, int L, int G, int LAYER>
static __device__ __forceinline__ void backward_from(const struct train_thread *t, struct gradients<W, L, G> *sum, int next_row, int end,
                                                     struct next_rows<W, G> *next)
{
    enum { S = BY_LAYER_ROW, TILE = W * S, LAST = LAYER == L - 1 };
    const int dz = t->at.x + LAYER * TILE;
    const struct weights *w = &t->at.weights;
    const struct backward_layer layer = {
        LAST ? w->head : w->inner + LAYER * W * wide_row(W), LAST ? t->at.z : dz + TILE, LAST ? t->p->outputs : W, dz, dz, LAYER};
    hidden_backward<TF32, W, S, LAST>(t, &layer, NULL);
    if constexpr (LAYER == 0) fetch(t, next_row, end, next);
    __syncthreads();
    if constexpr (LAYER > 0) {
        add_weights<TF32, W, 8>(t, dz + first_output<W>(t) * S, dz - TILE + first_input<W>(t) * S, sum->inner[LAYER - 1]);
    } else if (chunk_groups<TF32, W, L, G>(t) == 3) {
        add_weights<TF32, W, 3>(t, dz + 16 * t->warp * S, t->at.x0, sum->first);
    } else {
        add_weights<TF32, W, G>(t, dz + 16 * t->warp * S, t->at.x0, sum->first);
    }
    sum->bias[LAYER] = bias_gradient<W>(t->shared + dz, sum->bias[LAYER]);
    __syncthreads();
    if constexpr (LAYER > 0) backward_from<TF32, W, L, G, LAYER - 1>(t, sum, next_row, end, next);
}

/* All sums of the chunk to memory; biases meet in the place of the tiles. */
template <bool TF32, int W, int L, int G>
static __device__ __forceinline__ void put_gradients(const struct train_thread *t, int c, const struct gradients<W, L, G> *sum)
{
    enum { PARTS = by_layer<W>::PARTS };
    const struct folded f = train_folded(t);
    const int hidden = t->args->networks.features.count, outputs = t->p->outputs, thread = (int)threadIdx.x;
    const int k = thread % W, part = thread / W;
    float *chunk = chunk_sums(t, &f, c), *biases = t->shared + t->at.x /* [L][PARTS][W] */,
          *tails = biases + L * PARTS * W /* [warps][32] */;
#pragma unroll
    for (int l = 0; l < L; l++) biases[l * PARTS * W + thread] = sum->bias[l];
    tails[thread] = sum->tail;
    put_weights<TF32>(t->of_weights, chunk, hidden, t->p->inputs, 16 * t->warp, 0, sum->first);
#pragma unroll
    for (int l = 0; l < L - 1; l++)
        put_weights<TF32>(t->of_weights, chunk + f.inner + l * f.step, hidden, hidden, first_output<W>(t), first_input<W>(t),
                          sum->inner[l]);
#pragma unroll
    for (int i = 0; i < by_layer<W>::HEADS; i++) {
        const int o = part + PARTS * i;
        if (o < outputs && k < hidden) chunk[f.head + o * hidden + k] = sum->head[i];
    }
    __syncthreads();
    for (int l = part; l < L && k < hidden; l += PARTS)
        chunk[(l == 0 ? f.bias : f.inner + (l - 1) * f.step + f.inner_bias) + k] = over_warps(biases + l * PARTS * W + k, W, PARTS);
    if (thread < outputs + t->p->extra)
        chunk[thread < outputs ? f.head_bias + thread : f.extra + thread - outputs] = over_warps(tails + thread, 32, by_layer<W>::WARPS);
    put_loss(t, c, BY_LAYER_ROWS);
}

template <bool TF32, int W, int L, int G> static __device__ __forceinline__ void train_chunk(const struct train_thread *t, int c)
{
    enum { S = BY_LAYER_ROW };
    const int live = batch_live_rows(t->p->count, t->p->batch_rows, t->p->rows), edge = chunk_edge(t->p->rows, t->p->blocks, c + 1);
    const int end = edge < live ? edge : live;
    struct gradients<W, L, G> sum = gradients<W, L, G>();
    struct next_rows<W, G> next;
    int row = chunk_edge(t->p->rows, t->p->blocks, c);
    fetch(t, row, end, &next);
    load_weights<TF32, W>(t->shared, &t->at.weights, t->p->folded, t->args->networks.features.count, L, t->p->inputs, t->p->outputs);
    for (int s = (int)threadIdx.x; s < BY_LAYER_ROWS * ROW_SUMS; s += by_layer<W>::THREADS) t->shared[t->at.sums + s] = 0;
    __syncthreads();
    for (; row < end; row += BY_LAYER_ROWS) {
        const bool there = row + t->column + t->in_warp % warp_rows(W) < end;
        const uint32_t at = next.row;
        if (there && t->in_warp < warp_rows(W)) prefetch_loss(&t->p->pass, &t->args->dist[t->p->dist], at);
        put_inputs<TF32, W, S>(t, &next, chunk_groups<TF32, W, L, G>(t));
#pragma unroll 1
        for (int l = 0; l < L; l++) train_hidden<TF32, W, S>(t, l);
        train_outputs<W, S>(t, L);
        train_loss<W, S>(t, there, at);
        sum.tail = tail_gradient<W, S>(t, sum.tail);
        __syncthreads();
        wide_head_gradient<W, by_layer<W>::WARPS>(t, t->shared + t->at.x + (L - 1) * W * S, sum.head);
        __syncthreads();
        backward_from<TF32, W, L, G, L - 1>(t, &sum, row + BY_LAYER_ROWS, end, &next);
    }
    put_gradients<TF32, W, L, G>(t, c, &sum);
}

template <int W, int L> static constexpr __host__ __device__ struct train_places by_layer_lay_out(int inputs, int outputs, int extra)
{
    return train_lay_out<W>(BY_LAYER_ROWS, L, L, by_layer_groups(inputs), inputs, outputs, extra);
}

template <bool TF32, int W, int L> static __device__ __forceinline__ void by_layer_block(const struct fused_trainings *args)
{
    DYNAMIC_SHARED(float, shared);
    const struct fused_training *p = training_of_block(args);
    const struct train_thread t =
        train_thread_of<TF32, W>(args, p, shared, by_layer_lay_out<W, L>(p->inputs, p->outputs, p->extra), (int)threadIdx.x);
    const int c = (int)blockIdx.x - p->first_block;
    if (two_copies<TF32, W, L>() && by_layer_groups(p->inputs) == 3) {
        train_chunk<TF32, W, L, two_copies<TF32, W, L>() ? 3 : 8>(&t, c);
    } else {
        train_chunk<TF32, W, L, 8>(&t, c);
    }
}

/* Block = chunk of a pass. */
template <bool TF32, int W, int L>
static __global__ void __launch_bounds__(by_layer<W>::THREADS, W == 64 ? 2 : 1)
    fused_train_by_layer_kernel(const __grid_constant__ struct fused_trainings args)
{
    if constexpr (arch_runs<TF32>(by_layer_lay_out<W, L>(1, 1, 0).weights.end)) {
        by_layer_block<TF32, W, L>(&args);
    } else {
        not_on_this_arch();
    }
}

template <int W, int L> static int by_layer_warps(const struct cuda *cuda, const struct network *net, size_t *shared)
{
    *shared = (size_t)by_layer_lay_out<W, L>(net->inputs, net->outputs, net->extra).weights.end * sizeof(float);
    return *shared <= cuda->shared_bytes ? by_layer<W>::WARPS : 0;
}

template <int W, int L>
static void by_layer_train(struct cuda *cuda, const struct fused_trainings *args, int warps, int blocks, size_t shared)
{
    void (*const kernel)(const struct fused_trainings) =
        fused_tf32(cuda) ? fused_train_by_layer_kernel<true, W, L> : fused_train_by_layer_kernel<false, W, L>;
    fused_train_launch(cuda, kernel, args, blocks, warps, shared);
}

#endif
