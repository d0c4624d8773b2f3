/* Networks of two hidden layers of 64: a tile of rows goes through the whole network, and back, without leaving the chip.
 * Here: packing of inputs, forward passes, launches; training is in fused_train.h, what both share in fused_layers.h and fused_tile.h. */
#include "cuda/act.h"
#include "cuda/fused_train.h"

/* ---- packing ------------------------------------------------------------------------------------------------------------------------- */

struct fused_packing {
    struct batch batch;
    const float *x; /* [N][inputs] */
    float *to;      /* [tiles][inputs, padded][128] */
    int inputs, rows;
    bool normalise;
};

static __global__ void __launch_bounds__(FUSED_PACKED_ROWS) fused_pack_kernel(const __grid_constant__ struct fused_packing p)
{
    DYNAMIC_SHARED(float, shared); /* [128][inputs + 1] */
    const int live = batch_live_rows(p.batch.count, p.batch.rows, p.rows), first = (int)blockIdx.x * FUSED_PACKED_ROWS;
    const int rows = live - first < FUSED_PACKED_ROWS ? live - first : FUSED_PACKED_ROWS;
    if (rows <= 0) return;
    const int ld = p.inputs + 1, padded = round_up(p.inputs, 4), r = (int)threadIdx.x;
    for (int i = r; i < FUSED_PACKED_ROWS * p.inputs; i += FUSED_PACKED_ROWS) {
        const int row = i / p.inputs, j = i - row * p.inputs;
        shared[row * ld + j] = row < rows ? p.x[batch_row(&p.batch, first + row) * (size_t)p.inputs + (size_t)j] : 0.0f;
    }
    __syncthreads();
    const float *x = shared + r * ld;
    float scale = 1, shift = 0;
    if (p.normalise && r < rows) {
        float sum = 0, squares = 0;
        for (int j = 0; j < p.inputs; j++) sum += x[j];
        const float mean = sum / (float)p.inputs;
        for (int j = 0; j < p.inputs; j++) squares += (x[j] - mean) * (x[j] - mean);
        const struct norm_row n = norm_of(mean, squares / (float)p.inputs);
        scale = n.inverse;
        shift = n.offset;
    }
    float *to = p.to + (size_t)blockIdx.x * (size_t)padded * FUSED_PACKED_ROWS + r;
    for (int j = 0; j < padded; j++) to[j * FUSED_PACKED_ROWS] = j < p.inputs ? x[j] * scale + shift : 0.0f;
}

/* ---- forward passes, with or without actions ----------------------------------------------------------------------------------------- */

enum { FORWARD_WARPS = 4, FORWARD_BLOCKS = 4, FORWARD_ROW = FORWARD_WARPS * WARP_ROWS + 4 };

struct fused_forwarding {
    struct act_pass act;
    const float *x, *folded;
    float *out;
    const int32_t *count;
    int batch_rows, rows, inputs, outputs, first_block, blocks, dist; /* dist: -1 = no actions */
};

struct fused_forwards {
    struct distribution dist[FUSED_DISTRIBUTIONS];
    struct fused_forwarding pass[FUSED_PASSES];
    int passes, activation;
    bool norm;
};
static_assert(sizeof(struct fused_forwards) <= 4096, "kernel parameters");

/* Shared memory: inputs and, later, outputs [padded to 8, or outputs][S]; activations [64][S]; weights. */
static inline __host__ __device__ struct weights forward_lay_out(int inputs, int outputs)
{
    const int padded = round_up(inputs, 8), wide = padded > outputs ? padded : outputs;
    return weights_lay_out((wide + FUSED_HIDDEN) * FORWARD_ROW, inputs, outputs);
}

/* 16 rows from `row` on. */
template <bool TF32>
static __device__ __forceinline__ void forward_warp(const struct fused_forwards *args, const struct fused_forwarding *p, float *shared,
                                                    const struct weights *w, int row, int live)
{
    enum { S = FORWARD_ROW };
    const int lane = (int)threadIdx.x % 32, column = (int)threadIdx.x / 32 * WARP_ROWS, padded = round_up(p->inputs, 4);
    const struct lane l = lane_of<TF32>(lane);
    float *z = shared + column, *x0 = z + l.row, *h = shared + w->w1 - FUSED_HIDDEN * S + column + l.row;
    const struct tile_norm none = {NULL, NULL, NULL};
    __syncwarp();
    for (int k = lane / 4; k < round_up(padded, 8); k += 8) {
        const int r = lane % 4 * 4;
        const float4 x = row + r < live && k < padded ? packed_rows(p->x, padded, row + r, k) : make_float4(0, 0, 0, 0);
        store4(z + k * S + r, rounded<TF32>(x.x), rounded<TF32>(x.y), rounded<TF32>(x.z), rounded<TF32>(x.w));
    }
    __syncwarp();
    const struct hidden_layer first = {shared + w->w1, shared + w->b1, w->ld1, p->inputs, args->activation, args->norm};
    const struct hidden_layer second = {shared + w->w2, shared + w->b2, FUSED_WEIGHT_ROW, FUSED_HIDDEN, args->activation, args->norm};
    hidden_forward<TF32, S>(&first, l, x0, h, &none, false);
    hidden_forward<TF32, S>(&second, l, h, h, &none, false);
    outputs_forward<S>(shared + w->wh, shared + w->bh, p->outputs, lane, h - l.row, z);
    if (p->out) {
        const int numbers = (live - row < WARP_ROWS ? live - row : WARP_ROWS) * p->outputs;
        for (int i = lane; i < numbers; i += 32) {
            const int r = i / p->outputs;
            p->out[(size_t)row * (size_t)p->outputs + (size_t)i] = z[(i - r * p->outputs) * S + r];
        }
    }
    if (p->dist >= 0 && lane < WARP_ROWS && row + lane < live)
        act_row(&p->act, &args->dist[p->dist], batch_row(&p->act.batch, row + lane), z + lane, S);
}

template <bool TF32>
static __global__ void __launch_bounds__(FORWARD_WARPS * 32, FORWARD_BLOCKS)
    fused_forward_kernel(const __grid_constant__ struct fused_forwards args)
{
    DYNAMIC_SHARED(float, shared);
    int i = args.passes - 1;
    while (args.pass[i].first_block > (int)blockIdx.x) i--;
    const struct fused_forwarding *p = &args.pass[i];
    const int live = batch_live_rows(p->count, p->batch_rows, p->rows), block = (int)blockIdx.x - p->first_block;
    if (block * WARP_ROWS >= live) return;
    const struct weights w = forward_lay_out(p->inputs, p->outputs);
    load_weights<TF32>(shared, &w, p->folded, p->inputs, p->outputs);
    __syncthreads();
    /* The first warps of all blocks get rows first: few rows spread over as many multiprocessors as can be. */
    for (int part = (int)threadIdx.x / 32 * p->blocks + block; part * WARP_ROWS < live; part += FORWARD_WARPS * p->blocks)
        forward_warp<TF32>(&args, p, shared, &w, part * WARP_ROWS, live);
}

/* ---- what the backend calls ---------------------------------------------------------------------------------------------------------- */

/* How a training pass of these networks runs: two blocks of four warps on a multiprocessor, each fills the other's gaps; else one of eight;
 * else one of four; 0 = not at all. */
static int train_warps(const struct cuda *cuda, int inputs, int outputs, int extra)
{
    const size_t small = (size_t)train_lay_out(64, inputs, outputs, extra).weights.end * sizeof(float);
    const size_t large = (size_t)train_lay_out(128, inputs, outputs, extra).weights.end * sizeof(float);
    const size_t own = 1024; /* of every block, the system's */
    if (FUSED_BLOCKS * (small + own) <= cuda->shared_bytes + own) return 4;
    if (large <= cuda->shared_bytes) return 8;
    return small <= cuda->shared_bytes ? 4 : 0;
}

/* bf16 runs as tf32: more exact, and with operands that lie in shared memory as float nothing would be saved in loading them. */
static bool fused_tf32(const struct cuda *cuda)
{
    return cuda->precision != PRECISION_FP32;
}

/* Devices that have tf32 are those whose blocks can have 99 KiB (compute capability 8.0 and later). */
static bool tf32_works(const struct cuda *cuda)
{
    return cuda->shared_bytes >= 99 * 1024;
}

bool fused_fits(const struct cuda *cuda, const struct network *net)
{
    if (fused_tf32(cuda) && !tf32_works(cuda)) return false;
    return net->hidden == FUSED_HIDDEN && net->layers == FUSED_LAYERS && net->gru_layers == 0 && net->inputs <= FUSED_INPUTS_MOST &&
           net->outputs + net->extra <= FUSED_OUTPUTS_MOST && train_warps(cuda, net->inputs, net->outputs, net->extra) > 0 &&
           (size_t)forward_lay_out(net->inputs, net->outputs).end * sizeof(float) <= cuda->shared_bytes;
}

int fused_tile_rows(void)
{
    return FUSED_PACKED_ROWS;
}

int fused_chunks(const struct cuda *cuda, int rows)
{
    const int parts = (rows + FUSED_CHUNK_ROWS - 1) / FUSED_CHUNK_ROWS, most = FUSED_BLOCKS * cuda->multiprocessors;
    return parts < most ? parts : most;
}

void fused_pack(struct cuda *cuda, const struct network *net, struct tiles *tiles, const float *x, const struct batch *batch)
{
    struct fused_packing p;
    p.batch = *batch;
    p.x = x;
    p.to = tiles->x;
    p.inputs = net->inputs;
    p.rows = batch->units * batch->rows;
    p.normalise = net->feature_norm;
    CHECK(p.rows <= tiles->max_rows, "pack: %d rows do not fit %d", p.rows, tiles->max_rows);
    tiles->rows = p.rows;
    tiles->count = batch->count;
    tiles->batch_rows = batch->rows;
    if (p.rows == 0) return;
    const size_t shared = FUSED_PACKED_ROWS * ((size_t)net->inputs + 1) * sizeof(float);
    LAUNCH(fused_pack_kernel, cuda_blocks((size_t)p.rows, FUSED_PACKED_ROWS), FUSED_PACKED_ROWS, shared, cuda->stream, p);
    LAUNCHED("fused_pack");
}

/* The number of `dist` among those of a launch, which gets it if it has room; -1 = it has none. */
static int dist_number(struct distribution *list, const struct distribution **known, int *count, const struct distribution *dist)
{
    for (int i = 0; i < *count; i++) {
        if (known[i] == dist) return i;
    }
    if (*count == FUSED_DISTRIBUTIONS) return -1;
    known[*count] = dist;
    list[*count] = *dist;
    return (*count)++;
}

/* A launch takes passes that follow each other, whose networks work alike, as long as it has room. */
static bool alike(const struct network *a, const struct network *b)
{
    return a->activation == b->activation && a->layer_norm == b->layer_norm;
}

/* Adds a pass to the launch; false = no room. */
static bool forwards_add(struct cuda *cuda, struct fused_forwards *args, const struct distribution **known, int *dists, int *blocks,
                         const struct forward_pass *pass, const struct act_pass *act)
{
    const struct tiles *t = pass->tiles;
    const int dist = act ? dist_number(args->dist, known, dists, act->dist) : -1;
    if (args->passes == FUSED_PASSES || (act && dist < 0)) return false;
    struct fused_forwarding *p = &args->pass[args->passes++];
    if (act) p->act = *act;
    p->dist = dist;
    p->x = t->x;
    p->folded = t->folded;
    p->out = pass->out;
    p->count = t->count;
    p->batch_rows = t->batch_rows;
    p->rows = t->rows;
    p->inputs = pass->net->inputs;
    p->outputs = pass->net->outputs;
    p->first_block = *blocks;
    const int parts = (t->rows + WARP_ROWS - 1) / WARP_ROWS, most = FORWARD_BLOCKS * cuda->multiprocessors;
    p->blocks = parts < most ? parts : most;
    *blocks += p->blocks;
    return true;
}

static void shared_at_least(size_t *shared, int floats)
{
    const size_t bytes = (size_t)floats * sizeof(float);
    if (bytes > *shared) *shared = bytes;
}

template <bool TF32> static void forward_launch(struct cuda *cuda, const struct fused_forwards *args, int blocks, size_t shared)
{
    /* The device's limit, not this launch's: a smaller one would fall below what recorded launches of the same kernel need. */
    CUDA(cudaFuncSetAttribute(fused_forward_kernel<TF32>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)cuda->shared_bytes),
         "forward passes");
    LAUNCH(fused_forward_kernel<TF32>, (unsigned)blocks, FORWARD_WARPS * 32, shared, cuda->stream, *args);
    LAUNCHED("fused_forward");
}

void fused_forward(struct cuda *cuda, const struct forward_pass *pass, const struct act_pass *act, int passes)
{
    for (int i = 0; i < passes;) {
        struct fused_forwards args;
        memset(&args, 0, sizeof args);
        const struct distribution *known[FUSED_DISTRIBUTIONS];
        const struct network *net = pass[i].net;
        size_t shared = 0;
        int dists = 0, blocks = 0;
        args.activation = net->activation;
        args.norm = net->layer_norm;
        for (; i < passes && alike(net, pass[i].net); i++) {
            if (pass[i].tiles->rows == 0) continue;
            if (!forwards_add(cuda, &args, known, &dists, &blocks, &pass[i], act ? &act[i] : NULL)) break;
            shared_at_least(&shared, forward_lay_out(pass[i].net->inputs, pass[i].net->outputs).end);
        }
        if (blocks == 0) continue;
        if (fused_tf32(cuda)) {
            forward_launch<true>(cuda, &args, blocks, shared);
        } else {
            forward_launch<false>(cuda, &args, blocks, shared);
        }
    }
}

static bool trainings_add(struct cuda *cuda, struct fused_trainings *args, const struct distribution **known, int *dists, int *blocks,
                          const struct train_pass *pass)
{
    const struct tiles *t = pass->tiles;
    const int dist = pass->loss == LOSS_POLICY ? dist_number(args->dist, known, dists, pass->policy.dist) : 0;
    if (args->passes == FUSED_PASSES || dist < 0) return false;
    struct fused_training *p = &args->pass[args->passes++];
    p->pass = loss_pass(pass);
    p->dist = dist;
    p->x = t->x;
    p->folded = t->folded;
    p->chunk = t->chunk;
    p->sums = t->sums;
    p->count = t->count;
    p->batch_rows = t->batch_rows;
    p->rows = t->rows;
    p->inputs = pass->net->inputs;
    p->outputs = pass->net->outputs;
    p->extra = pass->net->extra;
    p->first_block = *blocks;
    p->chunks = fused_chunks(cuda, t->rows);
    *blocks += p->chunks;
    return true;
}

template <bool TF32, int WARPS> static void train_launch(struct cuda *cuda, const struct fused_trainings *args, int blocks, size_t shared)
{
    void (*const kernel)(const struct fused_trainings) = fused_train_kernel<TF32, WARPS>;
    CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)cuda->shared_bytes), "training passes");
    LAUNCH(kernel, (unsigned)blocks, WARPS * 32, shared, cuda->stream, *args);
    LAUNCHED("fused_train");
}

static void train_start(struct cuda *cuda, const struct fused_trainings *args, int warps, int blocks, size_t shared)
{
    if (fused_tf32(cuda)) {
        if (warps == 4) train_launch<true, 4>(cuda, args, blocks, shared);
        if (warps == 8) train_launch<true, 8>(cuda, args, blocks, shared);
    } else {
        if (warps == 4) train_launch<false, 4>(cuda, args, blocks, shared);
        if (warps == 8) train_launch<false, 8>(cuda, args, blocks, shared);
    }
}

static int pass_warps(const struct cuda *cuda, const struct network *net)
{
    return train_warps(cuda, net->inputs, net->outputs, net->extra);
}

void fused_train(struct cuda *cuda, const struct train_pass *pass, int passes)
{
    for (int i = 0; i < passes;) {
        struct fused_trainings args;
        memset(&args, 0, sizeof args);
        const struct distribution *known[FUSED_DISTRIBUTIONS];
        const struct network *net = pass[i].net;
        const int warps = pass_warps(cuda, net);
        size_t shared = 0;
        int dists = 0, blocks = 0;
        args.activation = net->activation;
        args.norm = net->layer_norm;
        for (; i < passes && alike(net, pass[i].net) && pass_warps(cuda, pass[i].net) == warps; i++) {
            const struct network *n = pass[i].net;
            CHECK(pass[i].tiles->rows == pass[i].batch.units * pass[i].batch.rows, "train: %d rows are packed, the batch has %d",
                  pass[i].tiles->rows, pass[i].batch.units * pass[i].batch.rows);
            if (pass[i].tiles->rows == 0) continue;
            if (!trainings_add(cuda, &args, known, &dists, &blocks, &pass[i])) break;
            shared_at_least(&shared, train_lay_out(warps * WARP_ROWS, n->inputs, n->outputs, n->extra).weights.end);
        }
        if (blocks == 0) continue;
        train_start(cuda, &args, warps, blocks, shared);
    }
}
