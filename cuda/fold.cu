/* Folding layer norms into the layers behind them, and back: see layout.h.
 *   fold     parameters [P] → packed->folded [layout_size]: before a call that uses a network whose parameters may have changed; a warp
 *            makes a row of a layer
 *   add_up   packed->chunk [chunks][layout_size] → its first chunk
 *   unfold   its first chunk → gradient [P]; loss sums of the chunks → sum [PASS_SUMS]
 * Every sum has an order that depends on the sizes and the number of chunks alone. */
#include "cuda/cuda.h"
#include "cuda/layout.h"

enum { /* passes and layers of a launch: as many as 4 KB of kernel parameters hold */
       FOLD_PASSES = 4,
       FOLD_WARPS = 8,
       ADD_PASSES = 16,
       ADD_PARTS = 16,
       ADD_UNITS = 32,
       ADD_BATCH = 9, /* loads of a thread that are on their way: a part of 264 chunks takes two rounds */
       UNFOLD_PASSES = 8,
       UNFOLD_LAYERS = 36,
       UNFOLD_PARTS = 8,
       UNFOLD_COLUMNS = 32,
       UNFOLD_BATCH = 8
};

/* ---- folding ------------------------------------------------------------------------------------------------------------------------- */

struct folding {
    struct network net;
    const float *parameters;
    float *folded;
};
struct foldings {
    struct folding pass[FOLD_PASSES];
};

/* Rows of all layers of a network. */
static int fold_rows(const struct network *net)
{
    int rows = 0;
    for (int l = 0; l <= layer_last(net); l++) rows += layer_outputs(net, l);
    return rows;
}

static __global__ void fold_kernel(const struct foldings args)
{
    const struct folding *p = &args.pass[blockIdx.y];
    const int in_warp = (int)threadIdx.x % 32;
    int j = (int)(blockIdx.x * FOLD_WARPS + threadIdx.x / 32), l = 0;
    while (l <= layer_last(&p->net) && j >= layer_outputs(&p->net, l)) j -= layer_outputs(&p->net, l++);
    if (l > layer_last(&p->net)) return;
    const struct layer a = layer_of(&p->net, l);
    const float *w = p->parameters + a.weight + (ptrdiff_t)j * a.inputs;
    float *to = p->folded + layout_weight(&p->net, l) + (size_t)j * (size_t)a.inputs, sum = 0;
    for (int k = in_warp; k < a.inputs; k += 32) {
        to[k] = a.gamma < 0 ? w[layer_column(&a, k)] : w[k] * p->parameters[a.gamma + k];
        sum += a.gamma < 0 ? 0.0f : w[k] * p->parameters[a.beta + k];
    }
    for (int i = 16; i > 0; i /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, i);
    if (in_warp == 0) p->folded[layout_bias(&p->net, l) + (size_t)j] = p->parameters[a.bias + j] + sum;
}

void fold_networks(struct cuda *cuda, const struct network *const *net, const float *const *parameters, struct packed_rows *const *packed,
                   int passes)
{
    for (int first = 0; first < passes; first += FOLD_PASSES) {
        const int count = passes - first < FOLD_PASSES ? passes - first : FOLD_PASSES;
        struct foldings args;
        int rows = 0;
        for (int i = 0; i < count; i++) {
            args.pass[i].net = *net[first + i];
            args.pass[i].parameters = parameters[first + i];
            args.pass[i].folded = packed[first + i]->folded;
            if (fold_rows(net[first + i]) > rows) rows = fold_rows(net[first + i]);
        }
        LAUNCH(fold_kernel, dim3(cuda_blocks((size_t)rows, FOLD_WARPS), (unsigned)count), FOLD_WARPS * 32, 0, cuda->stream, args);
        LAUNCHED("fold");
    }
}

/* ---- adding up ----------------------------------------------------------------------------------------------------------------------- */

/* Chunks are cut into ADD_PARTS runs; a run is added up in order by one thread for four numbers, then the runs in order. What counts here
 * is that many loads are on their way at a time, so the loops load first and add later: by itself the compiler waits for each store. */
struct adding {
    float4 *chunk; /* [chunks][units] */
    int chunks, units, first_block;
};
struct addings {
    struct adding pass[ADD_PASSES];
    int passes;
};

static __device__ void add4(float4 *sum, float4 x)
{
    sum->x += x.x;
    sum->y += x.y;
    sum->z += x.z;
    sum->w += x.w;
}

static __global__ void __launch_bounds__(ADD_PARTS *ADD_UNITS, 1) add_up_kernel(const struct addings args)
{
    __shared__ float4 run[ADD_PARTS][ADD_UNITS];
    int i = args.passes - 1;
    while (args.pass[i].first_block > (int)blockIdx.x) i--;
    const struct adding *p = &args.pass[i];
    const int unit = (int)threadIdx.x % ADD_UNITS, part = (int)threadIdx.x / ADD_UNITS;
    const int at = ((int)blockIdx.x - p->first_block) * ADD_UNITS + unit;
    const int first = p->chunks * part / ADD_PARTS, end = p->chunks * (part + 1) / ADD_PARTS;
    float4 sum = make_float4(0, 0, 0, 0);
    for (int c = first; at < p->units && c < end; c += ADD_BATCH) {
        float4 x[ADD_BATCH];
#pragma unroll
        for (int b = 0; b < ADD_BATCH; b++)
            x[b] = c + b < end ? p->chunk[(size_t)(c + b) * (size_t)p->units + (size_t)at] : make_float4(0, 0, 0, 0);
#pragma unroll
        for (int b = 0; b < ADD_BATCH; b++) add4(&sum, x[b]);
    }
    run[part][unit] = sum;
    __syncthreads();
    if (part > 0 || at >= p->units) return;
#pragma unroll
    for (int r = 1; r < ADD_PARTS; r++) add4(&sum, run[r][unit]);
    p->chunk[at] = sum; /* read by threads of this block only, and they have */
}

static void add_up_chunks(struct cuda *cuda, const struct train_pass *pass, const int *chunks, int passes)
{
    for (int i = 0; i < passes;) {
        struct addings args;
        unsigned blocks = 0;
        for (args.passes = 0; i < passes && args.passes < ADD_PASSES; i++) {
            if (chunks[i] < 2) continue;
            struct adding *p = &args.pass[args.passes++];
            p->chunk = reinterpret_cast<float4 *>(pass[i].packed->chunk);
            p->chunks = chunks[i];
            p->units = (int)(layout_size(pass[i].net) / 4);
            p->first_block = (int)blocks;
            blocks += cuda_blocks((size_t)p->units, ADD_UNITS);
        }
        if (blocks == 0) continue;
        LAUNCH(add_up_kernel, blocks, ADD_PARTS * ADD_UNITS, 0, cuda->stream, args);
        LAUNCHED("adding up gradients");
    }
}

/* ---- unfolding ----------------------------------------------------------------------------------------------------------------------- */

struct layer_unfolding {                         /* a block makes UNFOLD_COLUMNS of the inputs */
    const float *p, *db, *weight, *gamma, *beta; /* [N][K] [N] sums; [N][K] [K] [K] parameters, gamma and beta NULL without a norm */
    float *to_weight, *to_bias, *to_gamma, *to_beta;
    int inputs, outputs, first_block;
    int outer, inner, turned; /* as in struct layer */
    bool empty;               /* no rows: the sums hold nothing */
};
struct pass_ending { /* log_std and the sums of the loss: a block of their own */
    const float *extra;
    const double *sums; /* [chunks][PASS_SUMS] */
    float *to_extra, *to_sums;
    int extras, chunks;
};
struct unfoldings {
    struct layer_unfolding layer[UNFOLD_LAYERS];
    struct pass_ending ending[UNFOLD_PASSES];
    int layers, first_ending; /* block of the first ending */
};
static_assert(sizeof(struct foldings) <= 4096 && sizeof(struct addings) <= 4096 && sizeof(struct unfoldings) <= 4096, "kernel parameters");

static __device__ void end_pass(const struct pass_ending *p)
{
    const int in_warp = (int)threadIdx.x % 32;
    for (int i = (int)threadIdx.x / 32; i < PASS_SUMS; i += UNFOLD_PARTS) {
        double sum = 0;
        for (int c = in_warp; c < p->chunks; c += 32) sum += p->sums[c * PASS_SUMS + i];
        for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
        if (in_warp == 0) p->to_sums[i] = (float)sum;
    }
    for (int e = (int)threadIdx.x; e < p->extras; e += UNFOLD_PARTS * UNFOLD_COLUMNS) p->to_extra[e] = p->chunks > 0 ? p->extra[e] : 0.0f;
}

/* Threads are columns x parts; a part has every UNFOLD_PARTS-th output. The sums over the outputs are added up part by part. */
static __global__ void __launch_bounds__(UNFOLD_PARTS *UNFOLD_COLUMNS) unfold_kernel(const struct unfoldings args)
{
    __shared__ float gammas[UNFOLD_PARTS][UNFOLD_COLUMNS], betas[UNFOLD_PARTS][UNFOLD_COLUMNS];
    if ((int)blockIdx.x >= args.first_ending) {
        end_pass(&args.ending[(int)blockIdx.x - args.first_ending]);
        return;
    }
    int i = args.layers - 1;
    while (args.layer[i].first_block > (int)blockIdx.x) i--;
    const struct layer_unfolding *a = &args.layer[i];
    const int column = (int)threadIdx.x % UNFOLD_COLUMNS, part = (int)threadIdx.x / UNFOLD_COLUMNS;
    const int k = ((int)blockIdx.x - a->first_block) * UNFOLD_COLUMNS + column;
    const bool norm = a->gamma != NULL;
    const float gamma = norm && k < a->inputs ? a->gamma[k] : 1.0f, beta = norm && k < a->inputs ? a->beta[k] : 0.0f;
    const struct layer order = {0, 0, 0, 0, -1, -1, a->outer, a->inner, a->turned};
    const int column_there = layer_column(&order, k);
    float to_gamma = 0, to_beta = 0;
    if (k < UNFOLD_COLUMNS) { /* the first block of the layer */
        for (int j = (int)threadIdx.x; j < a->outputs; j += UNFOLD_PARTS * UNFOLD_COLUMNS) a->to_bias[j] = a->empty ? 0.0f : a->db[j];
    }
    for (int first = part; k < a->inputs && first < a->outputs; first += UNFOLD_BATCH * UNFOLD_PARTS) {
        float p[UNFOLD_BATCH], db[UNFOLD_BATCH], w[UNFOLD_BATCH];
#pragma unroll
        for (int b = 0; b < UNFOLD_BATCH; b++) {
            const int j = first + b * UNFOLD_PARTS;
            const size_t at = (size_t)j * (size_t)a->inputs + (size_t)k;
            p[b] = j < a->outputs && !a->empty ? a->p[at] : 0.0f;
            db[b] = j < a->outputs && !a->empty ? a->db[j] : 0.0f;
            w[b] = j < a->outputs && norm ? a->weight[at] : 0.0f;
        }
#pragma unroll
        for (int b = 0; b < UNFOLD_BATCH; b++) {
            const int j = first + b * UNFOLD_PARTS;
            if (j < a->outputs)
                a->to_weight[(size_t)j * (size_t)a->inputs + (size_t)column_there] = norm ? p[b] * gamma + db[b] * beta : p[b];
            to_gamma += w[b] * p[b];
            to_beta += w[b] * db[b];
        }
    }
    gammas[part][column] = to_gamma;
    betas[part][column] = to_beta;
    __syncthreads();
    if (part > 0 || !norm || k >= a->inputs) return;
    for (int r = 1; r < UNFOLD_PARTS; r++) {
        to_gamma += gammas[r][column];
        to_beta += betas[r][column];
    }
    a->to_gamma[k] = to_gamma;
    a->to_beta[k] = to_beta;
}

static void unfold_layer(struct layer_unfolding *to, const struct train_pass *pass, int l, bool empty)
{
    const struct layer a = layer_of(pass->net, l);
    memset(to, 0, sizeof *to);
    to->p = pass->packed->chunk + layout_weight(pass->net, l);
    to->db = pass->packed->chunk + layout_bias(pass->net, l);
    to->weight = pass->parameters + a.weight;
    to->to_weight = pass->gradient + a.weight;
    to->to_bias = pass->gradient + a.bias;
    to->inputs = a.inputs;
    to->outputs = a.outputs;
    to->outer = a.outer;
    to->inner = a.inner;
    to->turned = a.turned;
    to->empty = empty;
    if (a.gamma < 0) return;
    to->gamma = pass->parameters + a.gamma;
    to->beta = pass->parameters + a.beta;
    to->to_gamma = pass->gradient + a.gamma;
    to->to_beta = pass->gradient + a.beta;
}

/* Parameters that the layers' gradients fill; the rest of a network's, if it has any, takes no part in what it computes. */
static size_t unfolded_parameters(const struct network *net)
{
    size_t count = (size_t)net->extra;
    for (int l = 0; l <= layer_last(net); l++) {
        const struct layer a = layer_of(net, l);
        count += (size_t)a.outputs * (size_t)a.inputs + (size_t)a.outputs + (a.gamma < 0 ? 0 : 2 * (size_t)a.inputs);
    }
    return count;
}

void unfold_gradients(struct cuda *cuda, const struct train_pass *pass, const int *chunks, int passes)
{
    add_up_chunks(cuda, pass, chunks, passes);
    for (int i = 0; i < passes;) {
        struct unfoldings args;
        int blocks = 0, endings = 0;
        args.layers = 0;
        for (; i < passes && endings < UNFOLD_PASSES && args.layers + layer_last(pass[i].net) < UNFOLD_LAYERS; i++) {
            const struct network *net = pass[i].net;
            if (unfolded_parameters(net) < net->parameters)
                CUDA(cudaMemsetAsync(pass[i].gradient, 0, net->parameters * sizeof(float), cuda->stream), "clearing gradients");
            for (int l = 0; l <= layer_last(net); l++) {
                struct layer_unfolding *layer = &args.layer[args.layers++];
                unfold_layer(layer, &pass[i], l, chunks[i] == 0);
                layer->first_block = blocks;
                blocks += (int)cuda_blocks((size_t)layer->inputs, UNFOLD_COLUMNS);
            }
            struct pass_ending *e = &args.ending[endings++];
            e->extra = pass[i].packed->chunk + layout_weight(net, layer_last(net) + 1);
            e->sums = pass[i].packed->sums;
            e->to_extra = net->extra > 0 ? pass[i].gradient + net->at.extra : NULL;
            e->to_sums = pass[i].sum;
            e->extras = net->extra;
            e->chunks = chunks[i];
        }
        args.first_ending = blocks;
        LAUNCH(unfold_kernel, (unsigned)(blocks + endings), UNFOLD_PARTS * UNFOLD_COLUMNS, 0, cuda->stream, args);
        LAUNCHED("unfolding gradients");
    }
}
