/* Networks of any size, layer by layer through device memory: products of gemm.cu, and between them kernels that see a row at a time.
 *
 * Rows go through in parts of at most most_rows, so the work space does not grow with the batch; gradients of the parts add up in their
 * order. A part's arrays, in the work space: x̂ [layers][R][H] with its rows' norms [layers][3][R], g and gx [R][wide], partial sums.
 * Recurrent networks (gru.cu) need all steps of a sequence at once and are one part. */
#include "cuda/act.h"
#include "cuda/conv.h"
#include "cuda/gru.h"
#include "cuda/layout.h"
#include "cuda/loss.h"

#include <limits.h>

enum {
    PART_ROWS_LEAST = 1024,
    PART_ROWS_MOST = 32768,
    PART_FLOATS = 4 * 1024 * 1024,
    ROW_WARPS = 8,
    LOSS_THREADS = 128,
    COLUMN_SPLITS = 32,
    NO_ACTIVATION = -1 /* of a norm_pass: what is normalised is there already */
};

struct composed_work {
    float *x[NETWORK_MAX_LAYERS];    /* [R][H] x̂ after each hidden layer */
    float *norm[NETWORK_MAX_LAYERS]; /* [3][R] -mean / deviation, 1 / deviation, deviation */
    float *g, *gx;                   /* [R][wide] */
    float *columns;                  /* [COLUMN_SPLITS][outputs of a layer] */
    struct gru_arrays gru;
    float *gru_norm; /* [3][R] */
    float *conv;     /* of conv.cu; NULL without convolutions */
    double *sums;    /* [blocks of the loss][PASS_SUMS] */
    int rows, wide;
};

static int widest(const struct network *net)
{
    int wide = net->outputs + net->extra > layer_widest(net) ? net->outputs + net->extra : layer_widest(net);
    for (int i = 0; i < net->conv.layers; i++) wide = net->conv.outputs[i] > wide ? net->conv.outputs[i] : wide;
    return wide;
}

/* Of a part, at most: an array of it stays below 16 MB where it can, so that what one kernel writes is still in the cache for the next. */
static int most_rows(const struct network *net)
{
    if (net->gru) return INT_MAX;
    if (net->conv.layers > 0) return conv_most_rows(net, PART_FLOATS);
    const int rows = PART_FLOATS / widest(net) / PART_ROWS_LEAST * PART_ROWS_LEAST;
    return rows < PART_ROWS_LEAST ? PART_ROWS_LEAST : rows > PART_ROWS_MOST ? PART_ROWS_MOST : rows;
}

static int part_rows(const struct network *net, int rows)
{
    return rows < most_rows(net) ? rows : most_rows(net);
}

static float *carve(float *base, size_t *used, size_t n)
{
    float *p = base ? base + *used : NULL;
    *used += (n + 63) / 64 * 64;
    return p;
}

static size_t lay_out(struct composed_work *w, const struct network *net, int rows, float *base)
{
    const size_t r = (size_t)part_rows(net, rows), h = (size_t)net->hidden;
    size_t used = 0;
    w->rows = (int)r;
    w->wide = widest(net);
    for (int l = 0; l < net->layers; l++) {
        w->x[l] = carve(base, &used, r * (size_t)layer_width(net, l));
        w->norm[l] = carve(base, &used, 3 * r);
    }
    w->g = carve(base, &used, r * (size_t)w->wide);
    w->gx = carve(base, &used, r * (size_t)w->wide);
    if (net->gru) {
        w->gru.gates = carve(base, &used, 3 * r * h);
        w->gru.products = carve(base, &used, 3 * r * h);
        w->gru.before = carve(base, &used, r * h);
        w->gru.state = carve(base, &used, r * h);
        w->gru_norm = carve(base, &used, 3 * r);
    }
    w->conv = net->conv.layers > 0 ? carve(base, &used, conv_floats(net, w->rows)) : NULL;
    const size_t columns = net->gru && 3 * net->hidden > w->wide ? 3 * h : (size_t)w->wide;
    w->columns = carve(base, &used, COLUMN_SPLITS * columns);
    w->sums = reinterpret_cast<double *>(carve(base, &used, 2 * PASS_SUMS * (size_t)cuda_blocks(r, LOSS_THREADS)));
    return used;
}

/* Recordings hold addresses, so a work space that turns out too small stays beside the larger one. */
struct composed_space {
    float *base;
    size_t floats;
    struct composed_space *smaller;
};

void composed_reserve(struct cuda *cuda, const struct network *net, int rows)
{
    struct composed_work w;
    const size_t floats = lay_out(&w, net, rows, NULL);
    struct composed_space *space = static_cast<struct composed_space *>(cuda->composed);
    gemm_open(cuda);
    if (space && space->floats >= floats) return;
    struct composed_space *larger = static_cast<struct composed_space *>(calloc(1, sizeof *larger));
    CHECK(larger, "out of memory for work spaces");
    larger->base = static_cast<float *>(cuda_take(cuda, "work space of layers", floats * sizeof(float)));
    larger->floats = floats;
    larger->smaller = space;
    cuda->composed = larger;
}

void composed_close(struct cuda *cuda)
{
    for (struct composed_space *space = static_cast<struct composed_space *>(cuda->composed); space;) {
        struct composed_space *smaller = space->smaller;
        cuda_give(cuda, space->base);
        free(space);
        space = smaller;
    }
    cuda->composed = NULL;
}

static struct composed_work work_of(struct cuda *cuda, const struct network *net, int rows)
{
    struct composed_work w;
    lay_out(&w, net, rows, static_cast<struct composed_space *>(cuda->composed)->base);
    return w;
}

static struct live_rows live_of(const struct packed_rows *t, int first, int rows)
{
    const struct live_rows l = {t->count, t->batch_rows, first, rows};
    return l;
}

static __device__ float warp_sum(float x)
{
    for (int i = 16; i > 0; i /= 2) x += __shfl_xor_sync(0xffffffffu, x, i);
    return x;
}

/* ---- inputs -------------------------------------------------------------------------------------------------------------------------- */

/* Input j of a row, on the scale of running statistics where there are some. */
static __device__ float pack_input(const float *x, int j, const float *scale, int inputs)
{
    return scale ? running_scaled(x[j], scale[j], scale[inputs + j]) : x[j];
}

/* to [rows][inputs], a warp a row; normalised where the network has a feature norm. Rows that are not there are 0. running: struct running's
 * scale, or NULL. */
static __global__ void pack_kernel(const struct batch batch, const struct live_rows l, const float *x, float *to, int inputs, int normalise,
                                   const float *running)
{
    const int in_warp = (int)threadIdx.x % 32, row = (int)(blockIdx.x * ROW_WARPS + threadIdx.x / 32);
    if (row >= l.rows) return;
    to += (size_t)row * (size_t)inputs;
    if (row >= live_count(&l)) {
        for (int j = in_warp; j < inputs; j += 32) to[j] = 0;
        return;
    }
    const float *from = x + batch_row(&batch, row) * (size_t)inputs;
    float scale = 1, shift = 0;
    if (normalise) {
        float sum = 0, squares = 0;
        for (int j = in_warp; j < inputs; j += 32) sum += pack_input(from, j, running, inputs);
        const float mean = warp_sum(sum) / (float)inputs;
        for (int j = in_warp; j < inputs; j += 32) {
            const float off = pack_input(from, j, running, inputs) - mean;
            squares += off * off;
        }
        const struct norm_row n = norm_of(mean, warp_sum(squares) / (float)inputs);
        scale = n.inverse;
        shift = n.offset;
    }
    for (int j = in_warp; j < inputs; j += 32) to[j] = pack_input(from, j, running, inputs) * scale + shift;
}

void composed_pack(struct cuda *cuda, const struct network *net, const struct running *inputs, struct packed_rows *packed, const float *x,
                   const struct batch *batch)
{
    LAUNCH(pack_kernel, cuda_blocks((size_t)packed->rows, ROW_WARPS), ROW_WARPS * 32, 0, cuda->stream, *batch,
           live_of(packed, 0, packed->rows), x, packed->x, net->inputs, (int)net->feature_norm, inputs ? inputs->scale : NULL);
    LAUNCHED("packing inputs");
}

/* ---- forward ------------------------------------------------------------------------------------------------------------------------- */

struct norm_pass {
    struct live_rows live;
    float *x, *norm; /* [R][hidden]; [3][R] */
    const float *bias;
    int hidden, activation, layer_norm, part; /* part: R */
    bool training;
};

static __device__ void norm_put(const struct norm_pass *p, int row, const struct norm_row *n)
{
    p->norm[row] = n->offset;
    p->norm[p->part + row] = n->inverse;
    p->norm[2 * p->part + row] = n->deviation;
}

static __device__ float norm_input(const struct norm_pass *p, float x, int j)
{
    return p->activation == NO_ACTIVATION ? x : activation_of(x + p->bias[j], p->activation);
}

/* False: the row is not there. It is 0 in training, so that it adds
 * nothing to the gradients: 0 times what an earlier pass left behind might be NaN. */
static __device__ bool norm_row_is_there(const struct norm_pass *p, int row, float *x)
{
    if (row < live_count(&p->live)) return true;
    for (int j = (int)threadIdx.x % 32; p->training && row < p->live.rows && j < p->hidden; j += 32) x[j] = 0;
    return false;
}

/* x = layer norm(activation(x + bias)) or layer norm(x), without scale and shift; a warp a row. The variance takes a pass of its own. */
template <int N> static __global__ void __launch_bounds__(ROW_WARPS * 32) norm_forward_kernel(const struct norm_pass p)
{
    const int in_warp = (int)threadIdx.x % 32, row = (int)(blockIdx.x * ROW_WARPS + threadIdx.x / 32);
    float *x = p.x + (size_t)row * (size_t)p.hidden + in_warp, a[N], sum = 0, squares = 0;
    if (!norm_row_is_there(&p, row, x - in_warp)) return;
#pragma unroll
    for (int i = 0; i < N; i++) a[i] = in_warp + 32 * i < p.hidden ? norm_input(&p, x[32 * i], in_warp + 32 * i) : 0.0f;
#pragma unroll
    for (int i = 0; i < N; i++) sum += a[i];
    struct norm_row n = {0, 1, 1};
    if (p.layer_norm) {
        const float mean = warp_sum(sum) / (float)p.hidden;
#pragma unroll
        for (int i = 0; i < N; i++) squares += in_warp + 32 * i < p.hidden ? (a[i] - mean) * (a[i] - mean) : 0.0f;
        n = norm_of(mean, warp_sum(squares) / (float)p.hidden);
        if (in_warp == 0) norm_put(&p, row, &n);
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        if (in_warp + 32 * i < p.hidden) x[32 * i] = a[i] * n.inverse + n.offset;
    }
}

/* The same for layers of any width: the row stays in memory. */
static __global__ void __launch_bounds__(ROW_WARPS * 32) norm_forward_wide_kernel(const struct norm_pass p)
{
    const int in_warp = (int)threadIdx.x % 32, row = (int)(blockIdx.x * ROW_WARPS + threadIdx.x / 32);
    float *x = p.x + (size_t)row * (size_t)p.hidden, sum = 0, squares = 0;
    if (!norm_row_is_there(&p, row, x)) return;
    for (int j = in_warp; j < p.hidden; j += 32) sum += x[j] = norm_input(&p, x[j], j);
    if (!p.layer_norm) return;
    const float mean = warp_sum(sum) / (float)p.hidden;
    for (int j = in_warp; j < p.hidden; j += 32) squares += (x[j] - mean) * (x[j] - mean);
    const struct norm_row n = norm_of(mean, warp_sum(squares) / (float)p.hidden);
    for (int j = in_warp; j < p.hidden; j += 32) x[j] = x[j] * n.inverse + n.offset;
    if (in_warp == 0) norm_put(&p, row, &n);
}

static void norm_forward(struct cuda *cuda, const struct norm_pass *p)
{
    const unsigned blocks = cuda_blocks((size_t)p->live.rows, ROW_WARPS);
    if (p->hidden <= 64)
        LAUNCH(norm_forward_kernel<2>, blocks, ROW_WARPS * 32, 0, cuda->stream, *p);
    else if (p->hidden <= 128)
        LAUNCH(norm_forward_kernel<4>, blocks, ROW_WARPS * 32, 0, cuda->stream, *p);
    else if (p->hidden <= 256)
        LAUNCH(norm_forward_kernel<8>, blocks, ROW_WARPS * 32, 0, cuda->stream, *p);
    else if (p->hidden <= 512)
        LAUNCH(norm_forward_kernel<16>, blocks, ROW_WARPS * 32, 0, cuda->stream, *p);
    else if (p->hidden <= 1024)
        LAUNCH(norm_forward_kernel<32>, blocks, ROW_WARPS * 32, 0, cuda->stream, *p);
    else
        LAUNCH(norm_forward_wide_kernel, blocks, ROW_WARPS * 32, 0, cuda->stream, *p);
    LAUNCHED("a hidden layer");
}

/* z [R][wide] += bias [outputs] */
static __global__ void bias_kernel(const struct live_rows l, float *z, int wide, int outputs, const float *bias)
{
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    const int row = (int)(i / (size_t)outputs), o = (int)(i % (size_t)outputs);
    if (row < live_count(&l)) z[(size_t)row * (size_t)wide + (size_t)o] += bias[o];
}

/* One part of a pass on its way through the layers. */
struct part {
    struct cuda *cuda;
    const struct network *net;
    const struct packed_rows *packed;
    struct composed_work work;
    struct live_rows live;
    const float *input; /* [rows][D] */
    const struct recurrent *time;
};

static const float *layer_input(const struct part *p, int l)
{
    if (l == 0) return p->work.conv ? conv_output(p->net, p->work.conv, p->work.rows) : p->input;
    if (l <= p->net->layers) return p->work.x[l - 1];
    return l == layer_head(p->net) ? p->work.gru.state : p->work.gru.before;
}

/* out [R][ld] = input of layer l · W'ᵀ */
static void layer_product(const struct part *p, int l, float *out, int ld)
{
    const int k = layer_inputs(p->net, l), n = layer_outputs(p->net, l);
    const struct gemm g = {
        out, layer_input(p, l), p->packed->folded + layout_weight(p->net, l), p->live.rows, n, k, ld, k, k, false, true, false, p->live};
    gemm_run(p->cuda, &g);
}

static struct gru_pass gru_of(const struct part *p)
{
    const int l = layer_gru(p->net);
    const float *folded = p->packed->folded;
    const struct gru_pass g = {p->work.gru,
                               p->time,
                               folded + layout_weight(p->net, l + 1),
                               folded + layout_bias(p->net, l),
                               folded + layout_bias(p->net, l + 1),
                               p->live,
                               p->net->hidden};
    return g;
}

/* The norm after the GRU, in place. */
static struct norm_pass gru_norm(const struct part *p, bool training)
{
    const struct norm_pass n = {p->live, p->work.gru.state, p->work.gru_norm, NULL, p->net->hidden, NO_ACTIVATION,
                                1,       p->work.rows,      training};
    return n;
}

static struct conv_pass conv_of(const struct part *p)
{
    const struct conv_pass c = {p->net,          p->packed->folded, p->packed->chunk, p->work.conv,
                                p->work.columns, p->input,          p->live,          p->work.rows};
    return c;
}

static void forward_part(const struct part *p, float *out, int ld, bool training)
{
    const struct network *net = p->net;
    const struct conv_pass conv = conv_of(p);
    if (net->conv.layers > 0) conv_forward(p->cuda, &conv);
    for (int l = 0; l < net->layers; l++) {
        const int width = layer_width(net, l);
        layer_product(p, l, p->work.x[l], width);
        const struct norm_pass n = {p->live, p->work.x[l],    p->work.norm[l],      p->packed->folded + layout_bias(net, l),
                                    width,   net->activation, (int)net->layer_norm, p->work.rows,
                                    training};
        norm_forward(p->cuda, &n);
    }
    if (net->gru) {
        const struct gru_pass gru = gru_of(p);
        layer_product(p, layer_gru(net), p->work.gru.gates, 3 * net->hidden);
        gru_forward(p->cuda, &gru);
        const struct norm_pass n = gru_norm(p, training);
        norm_forward(p->cuda, &n);
    }
    layer_product(p, layer_head(net), out, ld);
    LAUNCH(bias_kernel, cuda_blocks((size_t)p->live.rows * (size_t)net->outputs, CUDA_THREADS), CUDA_THREADS, 0, p->cuda->stream, p->live,
           out, ld, net->outputs, p->packed->folded + layout_bias(net, layer_head(net)));
    LAUNCHED("outputs");
}

static struct part part_of(struct cuda *cuda, const struct network *net, const struct packed_rows *packed, const struct recurrent *time,
                           int first)
{
    const int left = packed->rows - first, rows = part_rows(net, left);
    const struct part p = {cuda,
                           net,
                           packed,
                           work_of(cuda, net, packed->max_rows),
                           live_of(packed, first, rows),
                           packed->x + (size_t)first * (size_t)net->inputs,
                           time};
    return p;
}

void composed_forward(struct cuda *cuda, const struct forward_pass *pass)
{
    for (int first = 0; first < pass->packed->rows; first += most_rows(pass->net)) {
        const struct part p = part_of(cuda, pass->net, pass->packed, pass->recurrent, first);
        forward_part(&p, pass->out + (size_t)first * (size_t)pass->net->outputs, pass->net->outputs, false);
    }
}

/* ---- losses -------------------------------------------------------------------------------------------------------------------------- */

struct loss_call {
    struct train_pass pass;
    struct distribution dist;
    struct live_rows live;
    float *z;                   /* [R][wide] outputs in, gradients by outputs and log_std out */
    int wide, outputs, columns; /* columns: outputs and log_std */
    double *sums;               /* [blocks][PASS_SUMS] */
};

/* A thread a row; rows that are not there have no gradient. */
static __global__ void __launch_bounds__(LOSS_THREADS, 4) loss_kernel(const struct loss_call c)
{
    __shared__ double of_thread[LOSS_THREADS][PASS_SUMS];
    const int row = (int)(blockIdx.x * LOSS_THREADS + threadIdx.x);
    double sums[PASS_SUMS] = {0};
    float *z = c.z + (size_t)row * (size_t)c.wide;
    if (row < live_count(&c.live)) {
        const size_t at = batch_row(&c.pass.batch, c.live.first + row);
        if (c.pass.loss == LOSS_POLICY)
            policy_row(&c.pass, &c.dist, at, z, 1, sums);
        else if (c.pass.loss == LOSS_VALUE)
            value_row(&c.pass, at, z, 1, sums);
        else
            given_row(&c.pass, (size_t)(c.live.first + row), c.outputs, c.columns - c.outputs, z, sums);
    } else if (row < c.live.rows) {
        for (int o = 0; o < c.columns; o++) z[o] = 0;
    }
    for (int i = 0; i < PASS_SUMS; i++) of_thread[threadIdx.x][i] = sums[i];
    __syncthreads();
    if (threadIdx.x >= PASS_SUMS) return;
    double total = 0;
    for (int t = 0; t < LOSS_THREADS; t++) total += of_thread[t][threadIdx.x];
    c.sums[blockIdx.x * PASS_SUMS + threadIdx.x] = total;
}

/* to [PASS_SUMS] = or += the blocks' sums, a warp for each: every 32nd block's in a thread, then across the warp */
static __global__ void loss_sum_kernel(double *to, const double *sums, int blocks, int add)
{
    const int i = (int)threadIdx.x / 32, in_warp = (int)threadIdx.x % 32;
    double total = 0;
    for (int b = in_warp; b < blocks; b += 32) total += sums[b * PASS_SUMS + i];
    for (int step = 16; step > 0; step /= 2) total += __shfl_xor_sync(0xffffffffu, total, step);
    if (in_warp == 0) to[i] = add ? to[i] + total : total;
}

static void losses(const struct part *p, const struct train_pass *pass, float *z, int wide)
{
    struct loss_call c = {loss_pass(pass), {}, p->live, z, wide, p->net->outputs, p->net->outputs + p->net->extra, p->work.sums};
    const unsigned blocks = cuda_blocks((size_t)p->live.rows, LOSS_THREADS);
    if (pass->loss == LOSS_POLICY) c.dist = *pass->policy.dist;
    LAUNCH(loss_kernel, blocks, LOSS_THREADS, 0, p->cuda->stream, c);
    LAUNCHED("losses");
    LAUNCH(loss_sum_kernel, 1, PASS_SUMS * 32, 0, p->cuda->stream, p->packed->sums, p->work.sums, (int)blocks, p->live.first > 0);
    LAUNCHED("losses");
}

/* ---- backward ------------------------------------------------------------------------------------------------------------------------ */

/* Sums of the columns of g [rows][wide]: blocks of 32 columns x parts of the rows, then the parts in their order. */
static __global__ void __launch_bounds__(CUDA_THREADS) column_part_kernel(const float *g, int rows, int wide, int columns, float *part)
{
    __shared__ float of_thread[CUDA_THREADS / 32][32];
    const int c = (int)(blockIdx.x * 32 + threadIdx.x % 32), in_warp = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int from = (int)((int64_t)rows * (int)blockIdx.y / COLUMN_SPLITS),
              to = (int)((int64_t)rows * ((int)blockIdx.y + 1) / COLUMN_SPLITS);
    float sum = 0;
    if (c < columns)
        for (int r = from + warp; r < to; r += CUDA_THREADS / 32) sum += g[(size_t)r * (size_t)wide + (size_t)c];
    of_thread[warp][in_warp] = sum;
    __syncthreads();
    if (warp > 0 || c >= columns) return;
    float total = 0;
    for (int w = 0; w < CUDA_THREADS / 32; w++) total += of_thread[w][in_warp];
    part[(size_t)blockIdx.y * (size_t)columns + (size_t)c] = total;
}

static __global__ void column_sum_kernel(const float *part, int columns, int split, float *to, float *rest, int add)
{
    const int c = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (c >= columns) return;
    float *at = c < split ? to + c : rest + (c - split), total = add ? *at : 0;
    for (int s = 0; s < COLUMN_SPLITS; s++) total += part[(size_t)s * (size_t)columns + (size_t)c];
    *at = total;
}

void column_sums(struct cuda *cuda, const struct column_sums *s)
{
    LAUNCH(column_part_kernel, dim3(cuda_blocks((size_t)s->columns, 32), COLUMN_SPLITS), CUDA_THREADS, 0, cuda->stream, s->g, s->rows,
           s->wide, s->columns, s->space);
    LAUNCHED("bias gradients");
    LAUNCH(column_sum_kernel, cuda_blocks((size_t)s->columns, CUDA_THREADS), CUDA_THREADS, 0, cuda->stream, s->space, s->columns, s->split,
           s->to, s->rest, s->add);
    LAUNCHED("bias gradients");
}

/* g, the gradient by x̂, to that by z, the sum before the activation, or by what was normalised; a warp a row. */
static __global__ void norm_backward_kernel(const struct norm_pass p, float *g)
{
    const int in_warp = (int)threadIdx.x % 32, row = (int)(blockIdx.x * ROW_WARPS + threadIdx.x / 32);
    if (row >= p.live.rows) return;
    const float *x = p.x + (size_t)row * (size_t)p.hidden;
    float *to = g + (size_t)row * (size_t)p.hidden;
    if (row >= live_count(&p.live)) {
        for (int j = in_warp; j < p.hidden; j += 32) to[j] = 0;
        return;
    }
    float c1 = 0, c2 = 0;
    struct norm_row n = {0, 1, 1};
    if (p.layer_norm) {
        for (int j = in_warp; j < p.hidden; j += 32) {
            c1 += to[j];
            c2 += to[j] * x[j];
        }
        c1 = warp_sum(c1) / (float)p.hidden;
        c2 = warp_sum(c2) / (float)p.hidden;
        n.offset = p.norm[row];
        n.inverse = p.norm[p.part + row];
        n.deviation = p.norm[2 * p.part + row];
    }
    for (int j = in_warp; j < p.hidden; j += 32)
        to[j] = p.activation == NO_ACTIVATION ? norm_gradient_plain(&n, to[j], x[j], c1, c2)
                                              : norm_gradient(&n, to[j], x[j], c1, c2, p.activation);
}

/* Sums of layer l from g [R][ld], the gradient by its outputs. */
static void layer_gradient(const struct part *p, int l, const float *g, int ld)
{
    const int k = layer_inputs(p->net, l), n = layer_outputs(p->net, l), head = l == layer_head(p->net);
    const int columns = head ? n + p->net->extra : n, add = p->live.first > 0;
    float *chunk = p->packed->chunk;
    const struct gemm weight = {
        chunk + layout_weight(p->net, l), g, layer_input(p, l), n, k, p->live.rows, k, ld, k, true, false, add != 0, {NULL, 0, 0, 0}};
    gemm_run(p->cuda, &weight);
    const struct column_sums bias = {g,
                                     p->live.rows,
                                     ld,
                                     columns,
                                     n,
                                     p->work.columns,
                                     chunk + layout_bias(p->net, l),
                                     chunk + layout_weight(p->net, layer_last(p->net) + 1),
                                     add};
    column_sums(p->cuda, &bias);
}

/* gx [R][K]: the gradient by what is before layer l and the norm in front of it, from g [R][ld], that by the layer's outputs. */
static void back_through(const struct part *p, int l, const float *g, int ld, float *gx, const struct norm_pass *norm)
{
    const int n = layer_outputs(p->net, l), k = layer_inputs(p->net, l);
    const struct gemm input = {gx,    g,      p->packed->folded + layout_weight(p->net, l), p->live.rows, k, n, k, ld, k, false, false,
                               false, p->live};
    gemm_run(p->cuda, &input);
    LAUNCH(norm_backward_kernel, cuda_blocks((size_t)p->live.rows, ROW_WARPS), ROW_WARPS * 32, 0, p->cuda->stream, *norm, gx);
    LAUNCHED("a layer backwards");
}

/* From g [R][wide], the gradient by the outputs, through head and GRU; returns the gradient by the GRU's input products [R][3H]. */
static const float *backward_gru(const struct part *p, float *g, float *gx)
{
    const struct norm_pass norm = gru_norm(p, true);
    const struct gru_pass gru = gru_of(p);
    const int head = layer_head(p->net), wide = 3 * p->net->hidden;
    layer_gradient(p, head, g, p->work.wide);
    back_through(p, head, g, p->work.wide, gx, &norm);
    gru_backward(p->cuda, &gru, gx, g);
    layer_gradient(p, layer_gru(p->net) + 1, p->work.gru.products, wide);
    return p->work.gru.gates;
}

static void backward_part(const struct part *p, float *g, float *gx)
{
    const struct network *net = p->net;
    const bool recurrent = net->gru;
    const float *from = recurrent ? backward_gru(p, g, gx) : g;
    float *to = gx;
    int ld = recurrent ? 3 * net->hidden : p->work.wide;
    for (int l = net->layers; l >= 0; l--) {
        layer_gradient(p, l, from, ld);
        if (l == 0) break;
        const int width = layer_width(net, l - 1);
        const struct norm_pass norm = {p->live,         p->work.x[l - 1],     p->work.norm[l - 1], NULL, width,
                                       net->activation, (int)net->layer_norm, p->work.rows,        true};
        back_through(p, l, from, ld, to, &norm);
        from = to;
        to = to == gx ? g : gx;
        ld = width;
    }
    const struct conv_pass conv = conv_of(p);
    if (net->conv.layers > 0) conv_backward(p->cuda, &conv, from, ld);
}

void composed_train(struct cuda *cuda, const struct train_pass *pass)
{
    for (int first = 0; first < pass->packed->rows; first += most_rows(pass->net)) {
        const struct part p = part_of(cuda, pass->net, pass->packed, pass->recurrent, first);
        forward_part(&p, p.work.g, p.work.wide, true);
        losses(&p, pass, p.work.g, p.work.wide);
        backward_part(&p, p.work.g, p.work.gx);
    }
}

/* ---- derivatives by inputs ------------------------------------------------------------------------------------------------------------ */

static __global__ void ones_kernel(float *g, int rows, int stride)
{
    const size_t row = (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x;
    if (row < (size_t)rows) g[row * (size_t)stride] = 1;
}

/* Back from the one output to the inputs' columns; no parameter's gradient is made. */
static void derive_part(const struct part *p, const struct derive_pass *pass, int first)
{
    const struct network *net = p->net;
    const float *from = p->work.g;
    float *to = p->work.gx;
    int ld = p->work.wide;
    LAUNCH(ones_kernel, cuda_blocks((size_t)p->live.rows, CUDA_THREADS), CUDA_THREADS, 0, p->cuda->stream, p->work.g, p->live.rows, ld);
    LAUNCHED("derivatives by outputs");
    for (int l = net->layers; l > 0; l--) {
        const int width = layer_width(net, l - 1);
        const struct norm_pass norm = {p->live,         p->work.x[l - 1],     p->work.norm[l - 1], NULL, width,
                                       net->activation, (int)net->layer_norm, p->work.rows,        true};
        back_through(p, l, from, ld, to, &norm);
        from = to;
        to = to == p->work.gx ? p->work.g : p->work.gx;
        ld = width;
    }
    const struct gemm input = {pass->slope + (size_t)first * (size_t)pass->width,
                               from,
                               p->packed->folded + layout_weight(net, 0) + pass->from,
                               p->live.rows,
                               pass->width,
                               layer_outputs(net, 0),
                               pass->width,
                               ld,
                               net->inputs,
                               false,
                               false,
                               false,
                               p->live};
    gemm_run(p->cuda, &input);
}

void composed_derive(struct cuda *cuda, const struct derive_pass *pass)
{
    for (int first = 0; first < pass->packed->rows; first += most_rows(pass->net)) {
        const struct part p = part_of(cuda, pass->net, pass->packed, NULL, first);
        forward_part(&p, pass->out + first, 1, true);
        derive_part(&p, pass, first);
    }
}
