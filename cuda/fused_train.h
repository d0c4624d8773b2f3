/* What the training kernels of mlp_fused.cu share.
 *
 * A block keeps the weights in shared memory and walks over its chunk of the rows, R at a time. Forward pass, loss and the way back to dz,
 * the gradients by the sums before the activations, are a warp's own affair: its rows. The block makes the weight gradients dz x̂ᵀ
 * together, which stay in registers until the chunk ends. Two kernels differ in when it does:
 *   fused_train_64x2.cu       two layers of at most 64: of both layers at the end of a tile, which costs room for one more tile and saves
 *                             barriers
 *   fused_train_by_layer.h    other shapes: layer by layer, as soon as a layer's dz is there, which takes the place of its x̂ */
#ifndef MAPPO_CUDA_FUSED_TRAIN_H
#define MAPPO_CUDA_FUSED_TRAIN_H

#include "cuda/fused_layers.h"
#include "cuda/fused_loss.h"

struct fused_training : fused_pass { /* a block makes a chunk */
    struct train_pass pass;          /* from loss_pass */
    float *chunk;
    double *sums;
    int extra;
};

struct fused_trainings {
    struct distribution dist[FUSED_DISTRIBUTIONS];
    struct fused_training pass[FUSED_PASSES];
    struct fused_networks networks;
};
static_assert(sizeof(struct fused_trainings) <= 4096, "kernel parameters");

struct train_places { /* in floats from the start of shared memory */
    int x0, x;        /* [8 groups][S]; [tiles][W][S]: x̂ of the layers, whose place dz takes */
    int z;            /* [outputs + extra][S] outputs, later the gradient by them, and that by log_std */
    int norm;         /* [layers][3][R] */
    int sums;         /* [R][ROW_SUMS] */
    struct weights weights;
};

template <int W>
static constexpr __host__ __device__ struct train_places train_lay_out(int rows, int layers, int tiles, int groups, int inputs, int outputs,
                                                                       int extra)
{
    struct train_places at = {};
    const int s = rows + 4;
    at.sums = 0;
    at.x = rows * ROW_SUMS;
    at.x0 = at.x + tiles * W * s;
    at.z = at.x0 + 8 * groups * s;
    at.norm = at.z + (outputs + extra) * s;
    at.weights = weights_lay_out<W>(at.norm + layers * 3 * rows, layers, inputs, outputs);
    return at;
}

static inline __host__ __device__ int chunk_edge(int rows, int chunks, int c) /* first row of chunk c */
{
    const int parts = (rows + FUSED_CHUNK_ROWS - 1) / FUSED_CHUNK_ROWS;
    return (int)((int64_t)parts * c / chunks) * FUSED_CHUNK_ROWS;
}

static __device__ __forceinline__ const struct fused_training *training_of_block(const struct fused_trainings *args)
{
    int i = args->networks.passes - 1;
    while (args->pass[i].first_block > (int)blockIdx.x) i--;
    return &args->pass[i];
}

/* A block, seen by one of its threads. */
struct train_thread {
    const struct fused_trainings *args;
    const struct fused_training *p;
    float *shared;
    struct train_places at;
    struct tile_thread l, of_weights; /* in a tile; in the products that make gradients of weights */
    int in_warp, warp;
    int column; /* of the warp's rows in a tile */
};

template <bool TF32, int W>
static __device__ __forceinline__ struct train_thread train_thread_of(const struct fused_trainings *args, const struct fused_training *p,
                                                                      float *shared, struct train_places at, int thread)
{
    struct train_thread t;
    t.args = args;
    t.p = p;
    t.shared = shared;
    t.at = at;
    t.in_warp = thread % 32;
    t.warp = thread / 32;
    t.l = tile_thread_of<TF32, W>(t.in_warp);
    t.of_weights = tile_thread_of<TF32, 64>(t.in_warp);
    t.column = t.warp * warp_rows(W);
    return t;
}

/* Inputs of the warp's rows in the next tile, on their way; of the arrays, the row of number in_warp % warp_rows. */
template <int W, int G> struct next_rows {
    enum { FOURS = warp_rows(W) / 4, NUMBER = (G * FOURS + 3) / 4 };
    float4 x[NUMBER];
    uint32_t row; /* four billion rows of inputs are more than a device holds */
};

/* Asks for what the loss of a row reads: the cache has it when it is needed. */
static __device__ __forceinline__ void prefetch(const void *p)
{
#ifdef __CUDA_ARCH__
    asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
#else
    (void)p;
#endif
}

static __device__ __forceinline__ void prefetch_loss(const struct train_pass *pass, const struct distribution *dist, size_t row)
{
    if (pass->loss == LOSS_POLICY) {
        prefetch(pass->policy.old_log_prob + row);
        prefetch(pass->policy.advantage + row);
        if (pass->policy.mask) prefetch(pass->policy.mask + row * (size_t)dist->logits);
        if (dist->act_ints) prefetch(pass->policy.act_int + row * (size_t)dist->act_ints);
        if (dist->act_reals) prefetch(pass->policy.act_real + row * (size_t)dist->act_reals);
    } else {
        prefetch(pass->value.old_value + row);
        prefetch(pass->value.ret + row * (size_t)pass->value.targets);
    }
}

template <int W, int G>
static __device__ __forceinline__ void fetch(const struct train_thread *t, int row, int end, struct next_rows<W, G> *next)
{
    enum { FOURS = next_rows<W, G>::FOURS };
    const int padded = round_up(t->p->inputs, 4), r = row + t->column + t->in_warp % FOURS * 4;
#pragma unroll
    for (int i = 0; i < next_rows<W, G>::NUMBER; i++) {
        const int k = t->in_warp / FOURS + 32 / FOURS * i;
        next->x[i] = r < end && k < padded ? packed_rows(t->p->x, padded, r, k) : make_float4(0, 0, 0, 0);
    }
    const int b = row + t->column + t->in_warp % warp_rows(W);
    next->row = b < end ? (uint32_t)batch_row(&t->p->pass.batch, b) : 0;
}

/* groups: of eight inputs that the tile has room for, at most G. */
template <bool TF32, int W, int S, int G>
static __device__ __forceinline__ void put_inputs(const struct train_thread *t, const struct next_rows<W, G> *next, int groups)
{
    enum { FOURS = next_rows<W, G>::FOURS, NUMBER = next_rows<W, G>::NUMBER };
    float *x0 = t->shared + t->at.x0 + t->column + t->in_warp % FOURS * 4;
#pragma unroll
    for (int i = 0; i < NUMBER; i++) {
        const int k = t->in_warp / FOURS + 32 / FOURS * i;
        if (k < 8 * groups)
            store4(x0 + k * S, rounded<TF32>(next->x[i].x), rounded<TF32>(next->x[i].y), rounded<TF32>(next->x[i].z),
                   rounded<TF32>(next->x[i].w));
    }
    __syncwarp();
}

static __device__ __forceinline__ struct tile_norm norm_at(const struct train_thread *t, int layer, int rows)
{
    float *p = t->shared + t->at.norm + layer * 3 * rows + t->column + t->l.row;
    struct tile_norm norm;
    norm.offset = p;
    norm.inverse = p + rows;
    norm.deviation = p + 2 * rows;
    return norm;
}

template <bool TF32, int W, int S> static __device__ __forceinline__ void train_hidden(const struct train_thread *t, int layer)
{
    float *mine = t->shared + t->column + t->l.row;
    const struct hidden_layer hidden = hidden_layer_of<W>(&t->args->networks, t->shared, &t->at.weights, layer, t->p->inputs);
    const struct tile_norm norm = norm_at(t, layer, S - 4);
    hidden_forward<TF32, W, S>(&hidden, t->l, mine + (layer == 0 ? t->at.x0 : t->at.x + (layer - 1) * W * S),
                               mine + t->at.x + layer * W * S, &norm, true);
}

template <int W, int S> static __device__ __forceinline__ void train_outputs(const struct train_thread *t, int layers)
{
    const float *x = t->shared + t->column + t->at.x + (layers - 1) * W * S;
    outputs_forward<W, S>(t->shared + t->at.weights.head, t->shared + t->at.weights.head_bias, t->p->outputs, t->in_warp, x,
                          t->shared + t->column + t->at.z);
}

/* Losses of the warp's rows. there, row: of the thread's, number in_warp % warp_rows. */
template <int W, int S> static __device__ __forceinline__ void train_loss(const struct train_thread *t, bool there, size_t row)
{
    enum { ROWS = warp_rows(W) };
    const struct train_pass *pass = &t->p->pass;
    const struct distribution *dist = &t->args->dist[t->p->dist];
    const int thread = thread_asked(), mine = thread / 32 * ROWS + thread % ROWS;
    const struct loss_thread own = {
        pass, row, there, thread % 32 / ROWS, t->shared + t->at.z + mine, S, t->shared + t->at.sums + mine * ROW_SUMS};
    if (pass->loss == LOSS_VALUE) {
        value_rows<ROWS>(&own);
    } else if (one_categorical<ROWS>(dist, &own.pass->policy)) {
        categorical_rows<ROWS>(&own, dist);
    } else {
        policy_rows(&own, dist, t->p->outputs, t->p->extra);
    }
    __syncwarp();
}

/* Gradients of the head's weights from all rows of the tile: a thread has input `thread` % W and every (threads / W)th output. x: of the
 * last hidden layer. */
template <int W, int WARPS, int N>
static __device__ __forceinline__ void wide_head_gradient(const struct train_thread *t, const float *x, float (&sum)[N])
{
    enum { ROWS = WARPS * warp_rows(W), S = ROWS + 4, STEP = WARPS * 32 / W, NUMBER = FUSED_OUTPUTS_MOST / STEP };
    static_assert(NUMBER <= N, "a thread's outputs");
    const int first = (int)threadIdx.x / W;
    const float *z = t->shared + t->at.z;
    x += (int)threadIdx.x % W * S;
#pragma unroll 1
    for (int r = 0; r < ROWS; r += 4) {
        const float4 xr = load4(x + r);
#pragma unroll
        for (int i = 0; i < NUMBER; i++) {
            const int o = first + STEP * i;
            if (o < t->p->outputs) sum[i] = dot_onto(sum[i], load4(z + o * S + r), xr);
        }
    }
}

/* Thread i of the warp: the gradient of bias or log_std i from the warp's rows. */
template <int W, int S> static __device__ __forceinline__ float tail_gradient(const struct train_thread *t, float sum)
{
    if (t->in_warp >= t->p->outputs + t->p->extra) return sum;
    const float *z = t->shared + t->at.z + t->column + t->in_warp * S;
#pragma unroll
    for (int r = 0; r < warp_rows(W); r += 4) {
        const float4 g = load4(z + r);
        sum += (g.x + g.y) + (g.z + g.w);
    }
    return sum;
}

struct backward_layer { /* places in shared memory */
    int weights, g, n;  /* [n][W + 4] of the next layer and [n][S] the gradient by its sums */
    int x, out;         /* [W][S] x̂; dz of this layer, may be x */
    int number;         /* of the layer */
};

/* dz of a hidden layer. HEAD: the next one is the head. Adds the thread's rows up to `bias` [FEATURES], if there is one. */
template <bool TF32, int W, int S, bool HEAD>
static __device__ __forceinline__ void hidden_backward(const struct train_thread *t, const struct backward_layer *layer, float *bias)
{
    enum { F = shape<TF32>::FEATURES, R = shape<TF32>::ROWS };
    float *mine = t->shared + t->column + t->l.row;
    float g[F][R] = {{0}}, x[F][R];
    if constexpr (TF32) {
        tf32_backward<W, S, HEAD>(g, t->l, t->shared + layer->weights, t->shared + t->column + layer->g, layer->n);
    } else {
        product_backward<W, S>(g, t->shared + layer->weights + 4 * t->l.feature, mine + layer->g, layer->n);
    }
#pragma unroll
    for (int i = 0; i < F; i++) load_rows<W>(x[i], mine + layer->x + backward_feature<TF32, W>(t->l, i) * S);
    if (t->args->networks.norm) {
        const struct tile_norm norm = norm_at(t, layer->number, S - 4);
        norm_backward<TF32, W>(g, x, t->args->networks.features, &norm, t->args->networks.activation);
    } else {
        activation_backward(g, x, t->args->networks.activation);
    }
#pragma unroll
    for (int i = 0; i < F; i++) {
#pragma unroll
        for (int r = 0; r < R; r++) {
            if (bias) bias[i] += g[i][r];
            g[i][r] = rounded<TF32>(g[i][r]);
        }
        store_rows<W>(mine + layer->out + backward_feature<TF32, W>(t->l, i) * S, g[i]);
    }
    __syncwarp();
}

/* ---- the chunk's sums, at its end ---- */

static __device__ __forceinline__ float over_warps(const float *from, int stride, int warps)
{
    float sum = 0;
    for (int w = 0; w < warps; w++) sum += from[w * stride];
    return sum;
}

/* What a warp has made of a weight gradient to `to` [n][k], from output and input `first` on. */
template <bool TF32, int A, int N>
static __device__ __forceinline__ void put_weights(struct tile_thread l, float *to, int n, int k, int first_output, int first_input,
                                                   const float (&sum)[A][N])
{
#pragma unroll
    for (int j = 0; j < A; j++) {
        const int output = first_output + (TF32 ? l.row + j % 4 / 2 * 8 + j / 4 * 16 : l.row / 4 + 4 * j);
#pragma unroll
        for (int i = 0; i < N; i++) {
            const int input = first_input + 8 * i + (TF32 ? 2 * l.feature + j % 2 : l.feature);
            if (output < n && input < k) to[output * k + input] = sum[j][i];
        }
    }
}

static __device__ __forceinline__ float *chunk_sums(const struct train_thread *t, const struct folded *f, int c)
{
    return t->p->chunk + (size_t)c * (size_t)(f->extra + round_up(t->p->extra, 4));
}

static __device__ __forceinline__ struct folded train_folded(const struct train_thread *t)
{
    return folded_of(t->args->networks.features.count, t->args->networks.layers, t->p->inputs, t->p->outputs);
}

/* Of the loss, from all rows of a tile. */
static __device__ __forceinline__ void put_loss(const struct train_thread *t, int c, int rows)
{
    if (threadIdx.x >= PASS_SUMS) return;
    const float *sums = t->shared + t->at.sums + threadIdx.x;
    double total = 0;
    for (int r = 0; r < rows; r++) total += (double)sums[r * ROW_SUMS];
    t->p->sums[(size_t)c * PASS_SUMS + threadIdx.x] = total;
}

/* ---- launching ---- */

/* bf16 runs as tf32: more exact, and with operands that lie in shared memory as float nothing would be saved in loading them. */
static inline bool fused_tf32(const struct cuda *cuda)
{
    return cuda->precision != PRECISION_FP32;
}

static inline void fused_train_launch(struct cuda *cuda, void (*kernel)(const struct fused_trainings), const struct fused_trainings *args,
                                      int blocks, int warps, size_t shared)
{
    /* The device's limit, not this launch's: a smaller one would fall below what recorded launches of the same kernel need. */
    CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)cuda->shared_bytes), "training passes");
    LAUNCH(kernel, (unsigned)blocks, (unsigned)warps * 32, shared, cuda->stream, *args);
    LAUNCHED("fused_train");
}

/* How networks of one shape are trained. */
struct fused_trainer {
    int width, layers;
    int blocks; /* on a multiprocessor, at least */
    /* Bytes of a block's shared memory and its warps; 0 = it does not fit. */
    int (*warps)(const struct cuda *cuda, const struct network *net, size_t *shared);
    void (*train)(struct cuda *cuda, const struct fused_trainings *args, int warps, int blocks, size_t shared);
};
extern const struct fused_trainer fused_train_64x1, fused_train_64x2, fused_train_64x3, fused_train_128x2;

#endif
