/* The training kernel of mlp_fused.cu.
 *
 * A block keeps the weights in shared memory and walks over its chunk of the rows, R = 16 · warps at a time. Forward pass, loss and
 * the way back to dz, the gradients by the sums before the activations, are a warp's own affair: 16 rows. Then the block makes the weight
 * gradients dz x̂ᵀ together, which stay in registers until the chunk ends. Shared memory holds x0, x̂1, dz1 and x̂2, whose place dz2 takes.
 *
 * Floor: with D inputs and O outputs a row is (64 D + 4096 + 64 O) multiply-adds forward, 4096 + 64 O back and the first number again for
 * the gradients: 15.6 k where D = 18, O = 5. Per 16 rows, a warp's share, that is 7.8 k instructions. Counted in the machine code for sm_90
 * it issues about 13 k: products with their loads 9.2 k (D counts as 20 forward and 24 in the gradient), tanh 1.2 k (ReLU 0.2 k), norms
 * both ways 1.3 k, loss 0.9 k, the rest 0.4 k. So the schedulers allow 60 % of the arithmetic peak (ReLU 65 %): 64 rows in 13 k cycles of a
 * multiprocessor, 1.2 G rows/s on an H200. Counted, not measured. */
#ifndef MAPPO_CUDA_FUSED_TRAIN_H
#define MAPPO_CUDA_FUSED_TRAIN_H

#include "cuda/fused_layers.h"
#include "cuda/loss.h"

struct fused_training {
    struct train_pass pass; /* from loss_pass */
    const float *x, *folded;
    float *chunk;
    double *sums;
    const int32_t *count;
    int batch_rows, rows, inputs, outputs, extra, first_block, chunks, dist;
};

struct fused_trainings {
    struct distribution dist[FUSED_DISTRIBUTIONS];
    struct fused_training pass[FUSED_PASSES];
    int passes, activation;
    bool norm;
};
static_assert(sizeof(struct fused_trainings) <= 4096, "kernel parameters");

struct train_places {   /* in floats from the start of shared memory */
    int x0, x1, x2, g1; /* [8 groups][S]; [64][S] each: x̂1; x̂2, later dz2; dz1 */
    int z;              /* [outputs + extra][S] outputs, later the gradient by them, and that by log_std */
    int norm1, norm2;   /* [3][R] */
    int sums;           /* double [R][PASS_SUMS] */
    struct weights weights;
};

static inline __host__ __device__ struct train_places train_lay_out(int rows, int inputs, int outputs, int extra)
{
    struct train_places at;
    const int s = rows + 4;
    at.sums = 0;
    at.x1 = rows * PASS_SUMS * 2;
    at.x2 = at.x1 + FUSED_HIDDEN * s;
    at.g1 = at.x2 + FUSED_HIDDEN * s;
    at.x0 = at.g1 + FUSED_HIDDEN * s;
    at.z = at.x0 + 8 * input_groups(inputs) * s;
    at.norm1 = at.z + (outputs + extra) * s;
    at.norm2 = at.norm1 + 3 * rows;
    at.weights = weights_lay_out(at.norm2 + 3 * rows, inputs, outputs);
    return at;
}

static inline __host__ __device__ int chunk_edge(int rows, int chunks, int c) /* first row of chunk c */
{
    const int parts = (rows + FUSED_CHUNK_ROWS - 1) / FUSED_CHUNK_ROWS;
    return (int)((int64_t)parts * c / chunks) * FUSED_CHUNK_ROWS;
}

/* What a thread carries from tile to tile. G: groups of eight inputs. */
template <bool TF32, int G> struct gradients {
    enum { BIASES = TF32 ? 4 : shape<TF32>::FEATURES };
    float w2[4][8], w1[4][G];     /* [output 16 j + row / 4 + 4 a][input feature + 8 i] of warp j (modulo 4) */
    float head[2 * FUSED_NARROW]; /* narrow: [output][inputs lane, lane + 32] of the warp's rows; else see wide_head_gradient */
    float b1[BIASES], b2[BIASES]; /* [backward_feature] of the lane's rows; tf32: see tf32_weights */
    float tail;                   /* head's bias [lane], then log_std, of the warp's rows */
};

/* A block, seen by one of its threads. */
struct train_thread {
    const struct fused_trainings *args;
    const struct fused_training *p;
    float *shared;
    struct train_places at;
    struct lane l;
    int lane, warp;
    int column; /* of the warp's rows in a tile */
};

template <int G>
struct next_rows { /* inputs of the warp's rows in the next tile, on their way; one row of the arrays for each of 16 lanes */
    float4 x[G];
    size_t row;
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

template <int G> static __device__ __forceinline__ void fetch(const struct train_thread *t, int row, int end, struct next_rows<G> *next)
{
    const int padded = round_up(t->p->inputs, 4), r = row + t->column + t->lane % 4 * 4;
#pragma unroll
    for (int i = 0; i < G; i++) {
        const int k = t->lane / 4 + 8 * i;
        next->x[i] = r < end && k < padded ? packed_rows(t->p->x, padded, r, k) : make_float4(0, 0, 0, 0);
    }
    const int b = row + t->column + t->lane;
    next->row = t->lane < WARP_ROWS && b < end ? batch_row(&t->p->pass.batch, b) : 0;
}

template <bool TF32, int S, int G>
static __device__ __forceinline__ void put_inputs(const struct train_thread *t, const struct next_rows<G> *next)
{
    float *x0 = t->shared + t->at.x0 + t->column + t->lane % 4 * 4;
#pragma unroll
    for (int i = 0; i < G; i++)
        store4(x0 + (t->lane / 4 + 8 * i) * S, rounded<TF32>(next->x[i].x), rounded<TF32>(next->x[i].y), rounded<TF32>(next->x[i].z),
               rounded<TF32>(next->x[i].w));
    __syncwarp();
}

static __device__ __forceinline__ struct tile_norm norm_at(const struct train_thread *t, int place, int rows)
{
    float *p = t->shared + place + t->column + t->l.row;
    struct tile_norm norm;
    norm.offset = p;
    norm.inverse = p + rows;
    norm.deviation = p + 2 * rows;
    return norm;
}

template <bool TF32, int S> static __device__ __forceinline__ void train_forward(const struct train_thread *t)
{
    const struct weights *w = &t->at.weights;
    float *mine = t->shared + t->column + t->l.row;
    const struct hidden_layer first = {t->shared + w->w1, t->shared + w->b1, w->ld1, t->p->inputs, t->args->activation, t->args->norm};
    const struct hidden_layer second = {t->shared + w->w2, t->shared + w->b2,   FUSED_WEIGHT_ROW,
                                        FUSED_HIDDEN,      t->args->activation, t->args->norm};
    const struct tile_norm norm1 = norm_at(t, t->at.norm1, S - 4), norm2 = norm_at(t, t->at.norm2, S - 4);
    hidden_forward<TF32, S>(&first, t->l, mine + t->at.x0, mine + t->at.x1, &norm1, true);
    hidden_forward<TF32, S>(&second, t->l, mine + t->at.x1, mine + t->at.x2, &norm2, true);
    outputs_forward<S>(t->shared + w->wh, t->shared + w->bh, t->p->outputs, t->lane, mine + t->at.x2 - t->l.row, mine + t->at.z - t->l.row);
}

/* Losses of the warp's rows, one lane each; padding has no gradient. */
template <int S> static __device__ __forceinline__ void train_loss(const struct train_thread *t, bool row_is_there, size_t row)
{
    if (t->lane < WARP_ROWS) {
        float *z = t->shared + t->at.z + t->column + t->lane;
        double *sums = reinterpret_cast<double *>(t->shared + t->at.sums) + (t->column + t->lane) * PASS_SUMS;
        if (!row_is_there) {
            for (int o = 0; o < t->p->outputs + t->p->extra; o++) z[o * S] = 0;
        } else if (t->p->pass.loss == LOSS_POLICY) {
            policy_row(&t->p->pass, &t->args->dist[t->p->dist], row, z, S, sums);
        } else {
            value_row(&t->p->pass, row, z, S, sums);
        }
    }
    __syncwarp();
}

/* Gradients of the head's weights from the warp's 16 rows: a lane has inputs `lane` and `lane` + 32. */
template <int S, int O> static __device__ __forceinline__ void narrow_gradient(const struct train_thread *t, float (&sum)[2 * FUSED_NARROW])
{
    const float *z = t->shared + t->at.z + t->column, *x = t->shared + t->at.x2 + t->column + t->lane * S;
#pragma unroll 2
    for (int r = 0; r < WARP_ROWS; r += 4) {
        const float4 low = load4(x + r), high = load4(x + 32 * S + r);
#pragma unroll
        for (int o = 0; o < O; o++) {
            const float4 g = load4(z + o * S + r);
            sum[2 * o] = dot_onto(sum[2 * o], g, low);
            sum[2 * o + 1] = dot_onto(sum[2 * o + 1], g, high);
        }
    }
}

template <int S, int O>
static __device__ __forceinline__ void narrow_gradients(const struct train_thread *t, float (&sum)[2 * FUSED_NARROW])
{
    if constexpr (O <= FUSED_NARROW) {
        if (t->p->outputs == O) {
            narrow_gradient<S, O>(t, sum);
        } else {
            narrow_gradients<S, O + 1>(t, sum);
        }
    }
}

/* The same for many outputs, from all rows of the tile: a thread has input `thread` % 64 and every (threads / 64)th output. */
template <int WARPS, int S>
static __device__ __forceinline__ void wide_head_gradient(const struct train_thread *t, float (&sum)[2 * FUSED_NARROW])
{
    enum { STEP = WARPS / 2 };
    const int k = (int)threadIdx.x % FUSED_HIDDEN, first = (int)threadIdx.x / FUSED_HIDDEN;
    const float *z = t->shared + t->at.z, *x = t->shared + t->at.x2 + k * S;
#pragma unroll 1
    for (int r = 0; r < WARPS * WARP_ROWS; r += 4) {
        const float4 xr = load4(x + r);
#pragma unroll
        for (int i = 0; i < FUSED_OUTPUTS_MOST / STEP; i++) {
            const int o = first + STEP * i;
            if (o < t->p->outputs) sum[i] = dot_onto(sum[i], load4(z + o * S + r), xr);
        }
    }
}

/* Lane i: gradient of bias or log_std i from the warp's rows. */
template <int S> static __device__ __forceinline__ float tail_gradient(const struct train_thread *t, float sum)
{
    if (t->lane >= t->p->outputs + t->p->extra) return sum;
    const float *z = t->shared + t->at.z + t->column + t->lane * S;
#pragma unroll
    for (int r = 0; r < WARP_ROWS; r += 4) {
        const float4 g = load4(z + r);
        sum += (g.x + g.y) + (g.z + g.w);
    }
    return sum;
}

struct backward_layer { /* places in shared memory */
    int weights, g, n;  /* [n][68] of the next layer and [n][S] the gradient by its sums */
    int x, norm, out;   /* [64][S] x̂; its norm; dz of this layer, may be x */
};

/* dz of a hidden layer. HEAD: the next one is the head. Adds the lane's rows up to `bias`, but for tf32. */
template <bool TF32, int S, bool HEAD, int BIASES>
static __device__ __forceinline__ void hidden_backward(const struct train_thread *t, const struct backward_layer *layer,
                                                       float (&bias)[BIASES])
{
    enum { F = shape<TF32>::FEATURES, R = shape<TF32>::ROWS };
    float *mine = t->shared + t->column + t->l.row;
    float g[F][R] = {{0}}, x[F][R];
    if constexpr (TF32) {
        tf32_backward<S, HEAD>(g, t->l, t->shared + layer->weights, t->shared + t->column + layer->g, layer->n);
    } else {
        product_backward<S>(g, t->shared + layer->weights + 4 * t->l.feature, mine + layer->g, layer->n);
    }
#pragma unroll
    for (int i = 0; i < F; i++) load_rows(x[i], mine + layer->x + backward_feature<TF32>(t->l, i) * S);
    if (t->args->norm) {
        const struct tile_norm norm = norm_at(t, layer->norm, S - 4);
        norm_backward(g, x, &norm, t->args->activation);
    } else {
        activation_backward(g, x, t->args->activation);
    }
#pragma unroll
    for (int i = 0; i < F; i++) {
#pragma unroll
        for (int r = 0; r < R; r++) {
            if constexpr (!TF32) bias[i] += g[i][r];
            g[i][r] = rounded<TF32>(g[i][r]);
        }
        store_rows(mine + layer->out + backward_feature<TF32>(t->l, i) * S, g[i]);
    }
    __syncwarp();
}

/* From inputs to dz of all layers. */
template <bool TF32, int WARPS, int G>
static __device__ __forceinline__ void train_rows(const struct train_thread *t, bool row_is_there, size_t row,
                                                  struct gradients<TF32, G> *sum)
{
    enum { S = WARPS * WARP_ROWS + 4 };
    train_forward<TF32, S>(t);
    train_loss<S>(t, row_is_there, row);
    sum->tail = tail_gradient<S>(t, sum->tail);
    if (t->p->outputs <= FUSED_NARROW) {
        narrow_gradients<S, 1>(t, sum->head);
        __syncwarp();
    } else {
        __syncthreads();
        wide_head_gradient<WARPS, S>(t, sum->head);
        __syncthreads();
    }
    const struct backward_layer second = {t->at.weights.wh, t->at.z, t->p->outputs, t->at.x2, t->at.norm2, t->at.x2};
    const struct backward_layer first = {t->at.weights.w2, t->at.x2, FUSED_HIDDEN, t->at.x1, t->at.norm1, t->at.g1};
    hidden_backward<TF32, S, true>(t, &second, sum->b2);
    hidden_backward<TF32, S, false>(t, &first, sum->b1);
}

/* ---- the chunk's sums, at its end ---- */

/* Room for what warps add up, in the place of x̂1, x̂2 and dz1. */
enum {
    END_BIAS = 0,                 /* [2][warps][64] */
    END_TAIL = END_BIAS + 1024,   /* [warps][32] */
    END_HEAD = END_TAIL + 256,    /* [warps][8][64] */
    END_WEIGHTS = END_HEAD + 4096 /* [4][32 + 4 G][32] from the warps with the second half of the rows */
};

static __device__ __forceinline__ float over_warps(const float *from, int stride, int warps)
{
    float sum = 0;
    for (int w = 0; w < warps; w++) sum += from[w * stride];
    return sum;
}

template <bool TF32, int N>
static __device__ __forceinline__ void put_weights(const struct train_thread *t, float *to /* [64][k] */, int k, const float (&sum)[4][N])
{
#pragma unroll
    for (int j = 0; j < 4; j++) {
        const int output = t->warp % 4 * 16 + (TF32 ? t->l.row + j / 2 * 8 : t->l.row / 4 + 4 * j);
#pragma unroll
        for (int i = 0; i < N; i++) {
            const int input = 8 * i + (TF32 ? 2 * t->l.feature + j % 2 : t->l.feature);
            if (input < k) to[output * k + input] = sum[j][i];
        }
    }
}

/* The two halves of the rows to one. */
template <int G> static __device__ __forceinline__ void join_halves(const struct train_thread *t, float (&w2)[4][8], float (&w1)[4][G])
{
    float *place = t->shared + t->at.x1 + END_WEIGHTS + t->warp % 4 * (32 + 4 * G) * 32 + t->lane;
#pragma unroll
    for (int i = 0; i < 32 + 4 * G; i++) {
        const float number = i < 32 ? w2[i / 8 % 4][i % 8] : w1[(i - 32) / G % 4][(i - 32) % G];
        if (t->warp >= 4) place[i * 32] = number;
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 32 + 4 * G; i++) {
        const float number = t->warp < 4 ? place[i * 32] : 0.0f;
        if (i < 32) {
            w2[i / 8 % 4][i % 8] += number;
        } else {
            w1[(i - 32) / G % 4][(i - 32) % G] += number;
        }
    }
}

template <bool TF32, int WARPS, int G>
static __device__ __forceinline__ void put_small(const struct train_thread *t, float *chunk, const struct gradients<TF32, G> *sum)
{
    const struct folded f = folded_of(t->p->inputs, t->p->outputs);
    const int outputs = t->p->outputs, thread = (int)threadIdx.x;
    float *end = t->shared + t->at.x1;
    for (int i = thread; i < 2 * FUSED_HIDDEN; i += WARPS * 32)
        chunk[(i < FUSED_HIDDEN ? f.b1 : f.b2 - FUSED_HIDDEN) + i] =
            over_warps(end + END_BIAS + i / FUSED_HIDDEN * WARPS * FUSED_HIDDEN + i % FUSED_HIDDEN, FUSED_HIDDEN, TF32 ? WARPS / 4 : WARPS);
    if (thread < outputs + t->p->extra)
        chunk[thread < outputs ? f.bh + thread : f.extra + thread - outputs] = over_warps(end + END_TAIL + thread, 32, WARPS);
    if (outputs <= FUSED_NARROW) {
        for (int i = thread; i < outputs * FUSED_HIDDEN; i += WARPS * 32)
            chunk[f.wh + i] = over_warps(end + END_HEAD + i, FUSED_NARROW * FUSED_HIDDEN, WARPS);
    } else {
        enum { STEP = WARPS / 2 };
#pragma unroll
        for (int i = 0; i < FUSED_OUTPUTS_MOST / STEP; i++) {
            const int o = thread / FUSED_HIDDEN + STEP * i;
            if (o < outputs) chunk[f.wh + o * FUSED_HIDDEN + thread % FUSED_HIDDEN] = sum->head[i];
        }
    }
}

/* What warps have of the biases' gradients, for put_small to add up: fp32 of all outputs from their rows, tf32 of 16 from half of the rows.
 */
template <bool TF32, int WARPS, int N>
static __device__ __forceinline__ void put_biases(const struct train_thread *t, const float (&b1)[N], const float (&b2)[N])
{
    float *first = t->shared + t->at.x1 + END_BIAS + (TF32 ? t->warp / 4 : t->warp) * FUSED_HIDDEN, *second = first + WARPS * FUSED_HIDDEN;
#pragma unroll
    for (int i = 0; i < N; i++) {
        if constexpr (TF32) {
            const int output = t->warp % 4 * 16 + t->l.row + i / 2 * 8;
            if (t->l.feature == 0 && i % 2 == 0) {
                first[output] = b1[i];
                second[output] = b2[i];
            }
        } else {
            const int output = backward_feature<TF32>(t->l, i);
            const float one = over_rows(b1[i]), two = over_rows(b2[i]);
            if (t->l.row == 0) {
                first[output] = one;
                second[output] = two;
            }
        }
    }
}

/* All sums of the chunk to memory. */
template <bool TF32, int WARPS, int G>
static __device__ __forceinline__ void put_gradients(const struct train_thread *t, int c, struct gradients<TF32, G> *sum)
{
    const struct folded f = folded_of(t->p->inputs, t->p->outputs);
    float *chunk = t->p->chunk + (size_t)c * (size_t)(f.extra + round_up(t->p->extra, 4)), *end = t->shared + t->at.x1;
    put_biases<TF32, WARPS>(t, sum->b1, sum->b2);
    end[END_TAIL + t->warp * 32 + t->lane] = sum->tail;
    if (t->p->outputs <= FUSED_NARROW) {
        float *head = end + END_HEAD + t->warp * FUSED_NARROW * FUSED_HIDDEN + t->lane;
#pragma unroll
        for (int i = 0; i < 2 * FUSED_NARROW; i++) head[i * 32] = sum->head[i];
    }
    if (WARPS > 4) join_halves(t, sum->w2, sum->w1);
    if (t->warp < 4) {
        put_weights<TF32>(t, chunk + f.w1, t->p->inputs, sum->w1);
        put_weights<TF32>(t, chunk + f.w2, FUSED_HIDDEN, sum->w2);
    }
    __syncthreads();
    put_small<TF32, WARPS>(t, chunk, sum);
    if (threadIdx.x < PASS_SUMS) {
        const double *sums = reinterpret_cast<const double *>(t->shared + t->at.sums) + threadIdx.x;
        double total = 0;
        for (int r = 0; r < WARPS * WARP_ROWS; r++) total += sums[r * PASS_SUMS];
        t->p->sums[(size_t)c * PASS_SUMS + threadIdx.x] = total;
    }
}

/* The tile's part of the gradients of both hidden layers' weights: a warp makes 16 outputs from 64 rows. */
template <bool TF32, int S, int G>
static __device__ __forceinline__ void block_gradients(const struct train_thread *t, struct gradients<TF32, G> *sum)
{
    const float *rows = t->shared + t->warp / 4 * 64;
    const float *g2 = rows + t->at.x2 + t->warp % 4 * 16 * S, *g1 = rows + t->at.g1 + t->warp % 4 * 16 * S;
    if constexpr (TF32) {
        tf32_weights<S, 8>(sum->w2, sum->b2, t->l, g2, rows + t->at.x1, 64);
        tf32_weights<S, G>(sum->w1, sum->b1, t->l, g1, rows + t->at.x0, 64);
    } else {
        const int output = t->l.row / 4 * S, input = t->l.feature * S;
        product_weights<S, 8>(sum->w2, g2 + output, rows + t->at.x1 + input, 64);
        product_weights<S, G>(sum->w1, g1 + output, rows + t->at.x0 + input, 64);
    }
}

template <bool TF32, int WARPS, int G> static __device__ __forceinline__ void train_chunk(const struct train_thread *t, int c)
{
    enum { R = WARPS * WARP_ROWS, S = R + 4 };
    const int live = batch_live_rows(t->p->count, t->p->batch_rows, t->p->rows), edge = chunk_edge(t->p->rows, t->p->chunks, c + 1);
    const int end = edge < live ? edge : live;
    struct gradients<TF32, G> sum = gradients<TF32, G>();
    struct next_rows<G> next;
    int row = chunk_edge(t->p->rows, t->p->chunks, c);
    fetch(t, row, end, &next);
    load_weights<TF32>(t->shared, &t->at.weights, t->p->folded, t->p->inputs, t->p->outputs);
    double *sums = reinterpret_cast<double *>(t->shared + t->at.sums);
    for (int s = (int)threadIdx.x; s < R * PASS_SUMS; s += WARPS * 32) sums[s] = 0;
    __syncthreads();
    for (; row < end; row += R) {
        const bool there = t->lane < WARP_ROWS && row + t->column + t->lane < end;
        const size_t at = next.row;
        if (there) prefetch_loss(&t->p->pass, &t->args->dist[t->p->dist], at);
        put_inputs<TF32, S>(t, &next);
        train_rows<TF32, WARPS>(t, there, at, &sum);
        fetch(t, row + R, end, &next);
        __syncthreads();
        block_gradients<TF32, S>(t, &sum);
        __syncthreads();
    }
    put_gradients<TF32, WARPS>(t, c, &sum);
}

/* Block = chunk of a pass. */
template <bool TF32, int WARPS>
static __global__ void __launch_bounds__(WARPS * 32, WARPS == 4 ? FUSED_BLOCKS : 1)
    fused_train_kernel(const __grid_constant__ struct fused_trainings args)
{
    DYNAMIC_SHARED(float, shared);
    int i = args.passes - 1;
    while (args.pass[i].first_block > (int)blockIdx.x) i--;
    const struct fused_training *p = &args.pass[i];
    struct train_thread t;
    t.args = &args;
    t.p = p;
    t.shared = shared;
    t.at = train_lay_out(WARPS * WARP_ROWS, p->inputs, p->outputs, p->extra);
    t.lane = (int)threadIdx.x % 32;
    t.warp = (int)threadIdx.x / 32;
    t.l = lane_of<TF32>(t.lane);
    t.column = t.warp * WARP_ROWS;
    const int c = (int)blockIdx.x - p->first_block;
    switch (input_groups(p->inputs)) {
    case 3:
        train_chunk<TF32, WARPS, 3>(&t, c);
        break;
    case 5:
        train_chunk<TF32, WARPS, 5>(&t, c);
        break;
    case 7:
        train_chunk<TF32, WARPS, 7>(&t, c);
        break;
    default:
        train_chunk<TF32, WARPS, 8>(&t, c);
        break;
    }
}

#endif
