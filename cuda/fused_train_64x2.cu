/* The training kernel of two hidden layers of at most 64.
 *
 * R = 16 · warps. Shared memory holds x0, x̂1, x̂2, whose place dz2 takes, and dz1: gradients of both layers are made once a tile.
 *
 * Floor: with D inputs and O outputs a row is (64 D + 4096 + 64 O) multiply-adds forward, 4096 + 64 O back and the first number again for
 * the gradients: 15.6 k where D = 18, O = 5. Per 16 rows, a warp's share, that is 7.8 k instructions. Counted in the machine code for sm_90
 * it issues about 12.5 k: products with their loads 9.2 k (D counts as 20 forward and 24 in the gradient), tanh 1.2 k (ReLU 0.2 k), norms
 * both ways 1.3 k, loss 0.4 k, the rest 0.4 k. So the schedulers allow 62 % of the arithmetic peak (ReLU 68 %): 64 rows in 12.5 k cycles of
 * a multiprocessor, 1.25 G rows/s on an H200. Counted, not measured. */
#include "cuda/fused_train.h"

enum { W = 64, ROWS = warp_rows(W), LAYERS = 2, TILES = 3 /* x̂1, x̂2, dz1 */ };

/* What a thread carries from tile to tile. G: groups of eight inputs that it has room for: 3 or 8. */
template <bool TF32, int G> struct gradients {
    enum { BIASES = TF32 ? 4 : shape<TF32>::FEATURES };
    float w2[4][8], w1[4][G];     /* [output 16 j + row / 4 + 4 a][input feature + 8 i] of warp j (modulo 4) */
    float head[2 * FUSED_NARROW]; /* narrow: [output][inputs in_warp, in_warp + 32] of the warp's rows; else see wide_head_gradient */
    float b1[BIASES], b2[BIASES]; /* [backward_feature] of the thread's rows; tf32: see tf32_weights */
    float tail;                   /* head's bias [in_warp], then log_std, of the warp's rows */
};

/* Gradients of the head's weights from the warp's 16 rows: a thread has inputs `in_warp` and `in_warp` + 32. */
template <int S, int O> static __device__ __forceinline__ void narrow_gradient(const struct train_thread *t, float (&sum)[2 * FUSED_NARROW])
{
    const float *z = t->shared + t->at.z + t->column, *x = t->shared + t->at.x + W * S + t->column + t->in_warp * S;
#pragma unroll 2
    for (int r = 0; r < ROWS; r += 4) {
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

/* From inputs to dz of all layers. */
template <bool TF32, int WARPS, int G>
static __device__ __forceinline__ void train_rows(const struct train_thread *t, bool row_is_there, size_t row,
                                                  struct gradients<TF32, G> *sum)
{
    enum { S = WARPS * ROWS + 4 };
    const struct weights *w = &t->at.weights;
    const int x1 = t->at.x, x2 = t->at.x + W * S, g1 = t->at.x + 2 * W * S;
    train_hidden<TF32, W, S>(t, 0);
    train_hidden<TF32, W, S>(t, 1);
    train_outputs<W, S>(t, LAYERS);
    train_loss<W, S>(t, row_is_there, row);
    sum->tail = tail_gradient<W, S>(t, sum->tail);
    if (t->p->outputs <= FUSED_NARROW) {
        narrow_gradients<S, 1>(t, sum->head);
        __syncwarp();
    } else {
        __syncthreads();
        wide_head_gradient<W, WARPS>(t, t->shared + x2, sum->head);
        __syncthreads();
    }
    const struct backward_layer second = {w->head, t->at.z, t->p->outputs, x2, x2, 1};
    const struct backward_layer first = {w->inner, x2, W, x1, g1, 0};
    hidden_backward<TF32, W, S, true>(t, &second, TF32 ? NULL : sum->b2);
    hidden_backward<TF32, W, S, false>(t, &first, TF32 ? NULL : sum->b1);
}

/* ---- the chunk's sums, at its end ---- */

/* Room for what warps add up, in the place of x̂1, x̂2 and dz1. */
enum {
    END_BIAS = 0,                 /* [2][warps][64] */
    END_TAIL = END_BIAS + 1024,   /* [warps][32] */
    END_HEAD = END_TAIL + 256,    /* [warps][8][64] */
    END_WEIGHTS = END_HEAD + 4096 /* [4][32 + 4 G][32] from the warps with the second half of the rows */
};

/* The two halves of the rows to one. */
template <int G> static __device__ __forceinline__ void join_halves(const struct train_thread *t, float (&w2)[4][8], float (&w1)[4][G])
{
    float *place = t->shared + t->at.x + END_WEIGHTS + t->warp % 4 * (32 + 4 * G) * 32 + t->in_warp;
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
static __device__ __forceinline__ void put_small(const struct train_thread *t, const struct folded *f, float *chunk,
                                                 const struct gradients<TF32, G> *sum)
{
    const int outputs = t->p->outputs, hidden = t->args->networks.features.count, thread = t->warp * 32 + t->in_warp;
    const int k = thread % W, first = thread / W, step = WARPS / 2; /* every step-th row of 64 */
    const float *end = t->shared + t->at.x;
    for (int l = first; l < LAYERS && k < hidden; l += step)
        chunk[(l == 0 ? f->bias : f->inner + f->inner_bias) + k] =
            over_warps(end + END_BIAS + l * WARPS * W + k, W, TF32 ? WARPS / 4 : WARPS);
    if (thread < outputs + t->p->extra)
        chunk[thread < outputs ? f->head_bias + thread : f->extra + thread - outputs] = over_warps(end + END_TAIL + thread, 32, WARPS);
    if (outputs <= FUSED_NARROW) {
        for (int o = first; o < outputs && k < hidden; o += step)
            chunk[f->head + o * hidden + k] = over_warps(end + END_HEAD + o * W + k, FUSED_NARROW * W, WARPS);
    } else {
#pragma unroll
        for (int i = 0; i < FUSED_OUTPUTS_MOST / (WARPS / 2); i++) {
            const int o = first + step * i;
            if (o < outputs && k < hidden) chunk[f->head + o * hidden + k] = sum->head[i];
        }
    }
}

/* What warps have of the biases' gradients, for put_small to add up: fp32 of all outputs from their rows, tf32 of 16 from half the rows. */
template <bool TF32, int WARPS, int N>
static __device__ __forceinline__ void put_biases(const struct train_thread *t, const float (&b1)[N], const float (&b2)[N])
{
    float *first = t->shared + t->at.x + END_BIAS + (TF32 ? t->warp / 4 : t->warp) * W, *second = first + WARPS * W;
#pragma unroll
    for (int i = 0; i < N; i++) {
        if constexpr (TF32) {
            const int output = t->warp % 4 * 16 + t->l.row + i / 2 * 8;
            if (t->l.feature == 0 && i % 2 == 0) {
                first[output] = b1[i];
                second[output] = b2[i];
            }
        } else {
            const int output = backward_feature<TF32, W>(t->l, i);
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
static __device__ __forceinline__ void put_gradients(const struct train_thread *of_rows, struct gradients<TF32, G> *sum)
{
    const struct train_thread again = train_thread_of<TF32, W>(of_rows->args, of_rows->p, of_rows->shared, of_rows->at, thread_asked()),
                              *t = &again;
    const int c = (int)blockIdx.x - t->p->first_block;
    const struct folded f = train_folded(t);
    const int hidden = t->args->networks.features.count, output = t->warp % 4 * 16;
    float *chunk = chunk_sums(t, &f, c), *end = t->shared + t->at.x;
    put_biases<TF32, WARPS>(t, sum->b1, sum->b2);
    end[END_TAIL + t->warp * 32 + t->in_warp] = sum->tail;
    if (t->p->outputs <= FUSED_NARROW) {
        float *head = end + END_HEAD + t->warp * FUSED_NARROW * W + t->in_warp;
#pragma unroll
        for (int i = 0; i < 2 * FUSED_NARROW; i++) head[i * 32] = sum->head[i];
    }
    if (WARPS > 4) join_halves(t, sum->w2, sum->w1);
    if (t->warp < 4) {
        put_weights<TF32>(t->of_weights, chunk, hidden, t->p->inputs, output, 0, sum->w1);
        put_weights<TF32>(t->of_weights, chunk + f.inner, hidden, hidden, output, 0, sum->w2);
    }
    __syncthreads();
    put_small<TF32, WARPS>(t, &f, chunk, sum);
    put_loss(t, c, WARPS * ROWS);
}

/* The tile's part of the gradients of both hidden layers' weights: a warp makes 16 outputs from 64 rows. */
template <bool TF32, int S, int GROUPS, int G>
static __device__ __forceinline__ void first_gradients(const struct train_thread *t, struct gradients<TF32, G> *sum)
{
    const float *x0 = t->shared + t->at.x0 + t->warp / 4 * 64;
    const float *g1 = t->shared + t->at.x + 2 * W * S + t->warp / 4 * 64 + t->warp % 4 * 16 * S;
    if constexpr (TF32) {
        tf32_weights<S, GROUPS>(sum->w1, sum->b1, t->l, g1, x0, 64);
    } else {
        product_weights<S, GROUPS>(sum->w1, g1 + t->l.row / 4 * S, x0 + t->l.feature * S, 64);
    }
}

template <bool TF32, int S, int G>
static __device__ __forceinline__ void block_gradients(const struct train_thread *t, struct gradients<TF32, G> *sum)
{
    const float *x1 = t->shared + t->at.x + t->warp / 4 * 64, *g2 = x1 + W * S + t->warp % 4 * 16 * S;
    if constexpr (TF32) {
        tf32_weights<S, 8>(sum->w2, sum->b2, t->l, g2, x1, 64);
    } else {
        product_weights<S, 8>(sum->w2, g2 + t->l.row / 4 * S, x1 + t->l.feature * S, 64);
    }
    const int groups = input_groups(t->p->inputs);
    if constexpr (G == 3) {
        first_gradients<TF32, S, 3>(t, sum);
    } else if (groups == 5) {
        first_gradients<TF32, S, 5>(t, sum);
    } else if (groups == 7) {
        first_gradients<TF32, S, 7>(t, sum);
    } else {
        first_gradients<TF32, S, 8>(t, sum);
    }
}

template <bool TF32, int WARPS, int G> static __device__ __forceinline__ void train_chunk(const struct train_thread *t, int c)
{
    enum { R = WARPS * ROWS, S = R + 4 };
    const int live = batch_live_rows(t->p->count, t->p->batch_rows, t->p->rows), edge = chunk_edge(t->p->rows, t->p->blocks, c + 1);
    const int end = edge < live ? edge : live;
    struct gradients<TF32, G> sum = gradients<TF32, G>();
    struct next_rows<W, G> next;
    int row = chunk_edge(t->p->rows, t->p->blocks, c);
    fetch(t, row, end, &next);
    load_weights<TF32, W>(t->shared, &t->at.weights, t->p->folded, t->args->networks.features.count, LAYERS, t->p->inputs, t->p->outputs);
    for (int s = (int)threadIdx.x; s < R * ROW_SUMS; s += WARPS * 32) t->shared[t->at.sums + s] = 0;
    __syncthreads();
    for (; row < end; row += R) {
        const bool there = row + t->column + t->in_warp % ROWS < end;
        const uint32_t at = next.row;
        if (there && t->in_warp < ROWS) prefetch_loss(&t->p->pass, &t->args->dist[t->p->dist], at);
        put_inputs<TF32, W, S>(t, &next, G == 3 ? 3 : input_groups(t->p->inputs));
        train_rows<TF32, WARPS>(t, there, at, &sum);
        fetch(t, row + R, end, &next);
        __syncthreads();
        block_gradients<TF32, S>(t, &sum);
        __syncthreads();
    }
    put_gradients<TF32, WARPS>(t, &sum);
}

template <int WARPS> static constexpr __host__ __device__ struct train_places place(int inputs, int outputs, int extra)
{
    return train_lay_out<W>(WARPS * ROWS, LAYERS, TILES, input_groups(inputs), inputs, outputs, extra);
}

/* Two copies of the code: most observations are short, and leave a thread registers; the other one has room for all. */
template <bool TF32, int WARPS> static __device__ __forceinline__ void block(const struct fused_trainings *args)
{
    DYNAMIC_SHARED(float, shared);
    const struct fused_training *p = training_of_block(args);
    const struct train_thread t =
        train_thread_of<TF32, W>(args, p, shared, place<WARPS>(p->inputs, p->outputs, p->extra), (int)threadIdx.x);
    const int c = (int)blockIdx.x - p->first_block;
    if (input_groups(p->inputs) == 3) {
        train_chunk<TF32, WARPS, 3>(&t, c);
    } else {
        train_chunk<TF32, WARPS, 8>(&t, c);
    }
}

/* Block = chunk of a pass. */
template <bool TF32, int WARPS>
static __global__ void __launch_bounds__(WARPS * 32, WARPS == 4 ? FUSED_BLOCKS : 1)
    fused_train_64x2_kernel(const __grid_constant__ struct fused_trainings args)
{
    if constexpr (arch_runs<TF32>(place<WARPS>(1, 1, 0).weights.end)) {
        block<TF32, WARPS>(&args);
    } else {
        not_on_this_arch();
    }
}

/* ---- launching ---- */

/* Two blocks of four warps on a multiprocessor, each fills the other's gaps; else one of eight; else one of four. */
static int warps_that_fit(const struct cuda *cuda, const struct network *net, size_t *shared)
{
    const size_t small = (size_t)place<4>(net->inputs, net->outputs, net->extra).weights.end * sizeof(float);
    const size_t large = (size_t)place<8>(net->inputs, net->outputs, net->extra).weights.end * sizeof(float);
    const size_t own = 1024; /* of every block, the system's */
    const int warps = FUSED_BLOCKS * (small + own) <= cuda->shared_bytes + own ? 4 : large <= cuda->shared_bytes ? 8 : 4;
    *shared = warps == 4 ? small : large;
    return *shared <= cuda->shared_bytes ? warps : 0;
}

template <int WARPS> static void launch(struct cuda *cuda, const struct fused_trainings *args, int blocks, size_t shared)
{
    void (*const kernel)(const struct fused_trainings) =
        fused_tf32(cuda) ? fused_train_64x2_kernel<true, WARPS> : fused_train_64x2_kernel<false, WARPS>;
    fused_train_launch(cuda, kernel, args, blocks, WARPS, shared);
}

static void train(struct cuda *cuda, const struct fused_trainings *args, int warps, int blocks, size_t shared)
{
    if (warps == 4) launch<4>(cuda, args, blocks, shared);
    if (warps == 8) launch<8>(cuda, args, blocks, shared);
}

const struct fused_trainer fused_train_64x2 = {W, LAYERS, FUSED_BLOCKS, warps_that_fit, train};
