/* Networks of few and narrow hidden layers: a tile of rows goes through the whole network, and back, without leaving the chip. Which ones:
 * fused_fits. Here: packing of inputs, forward passes of all of them, launches; training is in fused_train*, one kernel for each of the
 * shapes in trainer_of; what all share in fused_layers.h and fused_tile.h. */
#include "cuda/act.h"
#include "cuda/fused_train.h"
#include "cuda/layout.h"

/* ---- packing ------------------------------------------------------------------------------------------------------------------------- */

struct fused_packing {
    struct batch batch;
    const float *x;     /* [N][inputs] */
    float *to;          /* [tiles][inputs, padded][128] */
    const float *scale; /* of running statistics [2 inputs]; NULL = none */
    int inputs, rows;
    bool normalise;
};

/* Two threads a row; blocks are few, so each gets registers for many loads. Length of a row in shared memory: odd, so that neighbouring
 * rows lie in different banks. */
enum { PACK_THREADS = 2 * FUSED_PACKED_ROWS, PACK_WARPS = PACK_THREADS / 32, PACK_WARP_ROWS = FUSED_PACKED_ROWS / PACK_WARPS };

static inline __host__ __device__ int pack_row(int inputs)
{
    return inputs | 1;
}

/* The warp's rows to shared memory: its threads take numbers that follow each other, across rows. A round's loads are all on their way
 * before the first is stored. */
static __device__ __forceinline__ void pack_fetch(const struct fused_packing *p, float *shared, int first, int live)
{
    enum { BATCH = 9 }; /* 18 inputs take one round */
    const int in_warp = (int)threadIdx.x % 32, warp_row = (int)threadIdx.x / 32 * PACK_WARP_ROWS, ld = pack_row(p->inputs);
    const int mine = first + warp_row + in_warp % PACK_WARP_ROWS; /* the row that this thread looks up for the others */
    const uint32_t at = mine < live ? (uint32_t)batch_row(&p->batch, mine) : 0;
    const int rows_on = 32 / p->inputs, numbers_on = 32 % p->inputs;
    int row = in_warp / p->inputs, j = in_warp % p->inputs;
    for (int left = PACK_WARP_ROWS * p->inputs; left > 0; left -= 32 * BATCH) {
        float x[BATCH];
        int to[BATCH]; /* -1: beyond the warp's rows */
#pragma unroll
        for (int i = 0; i < BATCH; i++) {
            const size_t from = (size_t)__shfl_sync(0xffffffffu, at, row % PACK_WARP_ROWS) * (size_t)p->inputs + (size_t)j;
            to[i] = row < PACK_WARP_ROWS ? (warp_row + row) * ld + j : -1;
            x[i] = to[i] >= 0 && first + warp_row + row < live ? p->x[from] : 0.0f;
            row += rows_on;
            j += numbers_on;
            if (j >= p->inputs) j -= p->inputs, row++;
        }
#pragma unroll
        for (int i = 0; i < BATCH; i++)
            if (to[i] >= 0) shared[to[i]] = x[i];
    }
}

static __global__ void __launch_bounds__(PACK_THREADS, 4) fused_pack_kernel(const __grid_constant__ struct fused_packing p)
{
    DYNAMIC_SHARED(float, shared); /* [128][pack_row] */
    const int live = batch_live_rows(p.batch.count, p.batch.rows, p.rows), first = (int)blockIdx.x * FUSED_PACKED_ROWS;
    if (first >= live) return;
    pack_fetch(&p, shared, first, live);
    __syncthreads();
    const int padded = round_up(p.inputs, 4), r = (int)threadIdx.x % FUSED_PACKED_ROWS, half = (int)threadIdx.x / FUSED_PACKED_ROWS;
    float *x = shared + r * pack_row(p.inputs);
    float scale = 1, shift = 0;
    if (p.scale) { /* a half of the row each */
        for (int j = half; j < p.inputs && first + r < live; j += 2) x[j] = running_scaled(x[j], p.scale[j], p.scale[p.inputs + j]);
        __syncthreads();
    }
    if (p.normalise && first + r < live) { /* both threads of a row, rather than wait for each other */
        float sum = 0, squares = 0;
#pragma unroll 4
        for (int j = 0; j < p.inputs; j++) sum += x[j];
        const float mean = sum / (float)p.inputs;
#pragma unroll 4
        for (int j = 0; j < p.inputs; j++) squares += (x[j] - mean) * (x[j] - mean);
        const struct norm_row n = norm_of(mean, squares / (float)p.inputs);
        scale = n.inverse;
        shift = n.offset;
    }
    float *to = p.to + (size_t)blockIdx.x * (size_t)padded * FUSED_PACKED_ROWS + r;
#pragma unroll 4
    for (int j = half; j < padded; j += 2) to[j * FUSED_PACKED_ROWS] = j < p.inputs ? x[j] * scale + shift : 0.0f;
}

/* ---- forward passes, with or without actions ----------------------------------------------------------------------------------------- */

/* A block of width 64 has four warps of 16 rows, and four run on a multiprocessor; of width 128 one of eight warps of 8 rows. */
enum { FORWARD_ROWS = 64, FORWARD_ROW = FORWARD_ROWS + 4 };

static constexpr __host__ __device__ int forward_warps(int width)
{
    return FORWARD_ROWS / warp_rows(width);
}

static constexpr __host__ __device__ int forward_blocks(int width) /* on a multiprocessor */
{
    return width == 64 ? 4 : 1;
}

struct fused_forwarding : fused_pass { /* dist -1: no actions */
    struct act_pass act;
    float *out;
};

struct fused_forwards {
    struct distribution dist[FUSED_DISTRIBUTIONS];
    struct fused_forwarding pass[FUSED_PASSES];
    struct fused_networks networks;
};
static_assert(sizeof(struct fused_forwards) <= 4096, "kernel parameters");

/* Shared memory: inputs and, later, outputs [padded to 8, or outputs][S]; activations [W][S]; weights. */
template <int W> static inline __host__ __device__ struct weights forward_lay_out(int layers, int inputs, int outputs)
{
    const int padded = round_up(inputs, 8), wide = padded > outputs ? padded : outputs;
    return weights_lay_out<W>((wide + W) * FORWARD_ROW, layers, inputs, outputs);
}

/* A warp's rows from `row` on. */
template <bool TF32, int W>
static __device__ __forceinline__ void forward_warp(const struct fused_forwards *args, const struct fused_forwarding *p, float *shared,
                                                    const struct weights *w, int row, int live)
{
    enum { S = FORWARD_ROW, ROWS = warp_rows(W), FOURS = ROWS / 4 };
    const int in_warp = (int)threadIdx.x % 32, column = (int)threadIdx.x / 32 * ROWS, padded = round_up(p->inputs, 4);
    const struct tile_thread l = tile_thread_of<TF32, W>(in_warp);
    float *z = shared + column, *x0 = z + l.row, *h = shared + w->first - W * S + column + l.row;
    const struct tile_norm none = {NULL, NULL, NULL};
    __syncwarp();
    for (int k = in_warp / FOURS; k < round_up(padded, 8); k += 32 / FOURS) {
        const int r = in_warp % FOURS * 4;
        const float4 x = row + r < live && k < padded ? packed_rows(p->x, padded, row + r, k) : make_float4(0, 0, 0, 0);
        store4(z + k * S + r, rounded<TF32>(x.x), rounded<TF32>(x.y), rounded<TF32>(x.z), rounded<TF32>(x.w));
    }
    __syncwarp();
    for (int i = 0; i < args->networks.layers; i++) {
        const struct hidden_layer layer = hidden_layer_of<W>(&args->networks, shared, w, i, p->inputs);
        hidden_forward<TF32, W, S>(&layer, l, i == 0 ? x0 : h, h, &none, false);
    }
    outputs_forward<W, S>(shared + w->head, shared + w->head_bias, p->outputs, in_warp, h - l.row, z);
    if (p->out) {
        const int numbers = (live - row < ROWS ? live - row : ROWS) * p->outputs;
        for (int i = in_warp; i < numbers; i += 32) {
            const int r = i / p->outputs;
            p->out[(size_t)row * (size_t)p->outputs + (size_t)i] = z[(i - r * p->outputs) * S + r];
        }
    }
    if (p->dist >= 0 && in_warp < ROWS && row + in_warp < live)
        act_row(&p->act, &args->dist[p->dist], batch_row(&p->act.batch, row + in_warp), z + in_warp, S);
}

template <bool TF32, int W>
static __global__ void __launch_bounds__(forward_warps(W) * 32, forward_blocks(W))
    fused_forward_kernel(const __grid_constant__ struct fused_forwards args)
{
    enum { ROWS = warp_rows(W) };
    DYNAMIC_SHARED(float, shared);
    int i = args.networks.passes - 1;
    while (args.pass[i].first_block > (int)blockIdx.x) i--;
    const struct fused_forwarding *p = &args.pass[i];
    const int live = batch_live_rows(p->count, p->batch_rows, p->rows), block = (int)blockIdx.x - p->first_block;
    if (block * ROWS >= live) return;
    const struct weights w = forward_lay_out<W>(args.networks.layers, p->inputs, p->outputs);
    load_weights<TF32, W>(shared, &w, p->folded, args.networks.features.count, args.networks.layers, p->inputs, p->outputs);
    __syncthreads();
    /* The first warps of all blocks get rows first: few rows spread over as many multiprocessors as can be. */
    for (int part = (int)threadIdx.x / 32 * p->blocks + block; part * ROWS < live; part += forward_warps(W) * p->blocks)
        forward_warp<TF32, W>(&args, p, shared, &w, part * ROWS, live);
}

/* ---- what the backend calls ---------------------------------------------------------------------------------------------------------- */

/* Devices that have tf32 are those whose blocks can have 99 KiB (compute capability 8.0 and later). */
static bool tf32_works(const struct cuda *cuda)
{
    return cuda->shared_bytes >= 99 * 1024;
}

/* How networks of that shape are trained; NULL = layer by layer only. */
static const struct fused_trainer *trainer_of(const struct network *net)
{
    static const struct fused_trainer *const trainers[] = {&fused_train_64x1, &fused_train_64x2, &fused_train_64x3, &fused_train_128x2};
    for (size_t i = 0; i < sizeof trainers / sizeof *trainers; i++) {
        if (trainers[i]->width == fused_width(net->hidden) && trainers[i]->layers == net->layers) return trainers[i];
    }
    return NULL;
}

static size_t forward_shared(const struct network *net)
{
    const struct weights w = fused_width(net->hidden) == 64 ? forward_lay_out<64>(net->layers, net->inputs, net->outputs)
                                                            : forward_lay_out<128>(net->layers, net->inputs, net->outputs);
    return (size_t)w.end * sizeof(float);
}

bool fused_fits(const struct cuda *cuda, const struct network *net)
{
    size_t shared;
    if (fused_tf32(cuda) && !tf32_works(cuda)) return false;
    if (net->hidden > FUSED_WIDTH_MOST || !layers_are_equal(net) || net->gru || net->conv.layers > 0 || net->inputs > FUSED_INPUTS_MOST ||
        net->outputs + net->extra > FUSED_OUTPUTS_MOST)
        return false;
    return trainer_of(net) && trainer_of(net)->warps(cuda, net, &shared) > 0 && forward_shared(net) <= cuda->shared_bytes;
}

int fused_tile_rows(void)
{
    return FUSED_PACKED_ROWS;
}

int fused_chunks(const struct cuda *cuda, const struct network *net, int rows)
{
    const int parts = (rows + FUSED_CHUNK_ROWS - 1) / FUSED_CHUNK_ROWS, most = trainer_of(net)->blocks * cuda->multiprocessors;
    return parts < most ? parts : most;
}

void fused_pack(struct cuda *cuda, const struct network *net, const struct running *inputs, struct packed_rows *packed, const float *x,
                const struct batch *batch)
{
    struct fused_packing p;
    p.batch = *batch;
    p.x = x;
    p.to = packed->x;
    p.inputs = net->inputs;
    p.rows = batch->units * batch->rows;
    p.normalise = net->feature_norm;
    p.scale = inputs ? inputs->scale : NULL;
    CHECK(p.rows <= packed->max_rows, "pack: %d rows do not fit %d", p.rows, packed->max_rows);
    packed->rows = p.rows;
    packed->count = batch->count;
    packed->batch_rows = batch->rows;
    if (p.rows == 0) return;
    const size_t shared = FUSED_PACKED_ROWS * (size_t)pack_row(net->inputs) * sizeof(float);
    LAUNCH(fused_pack_kernel, cuda_blocks((size_t)p.rows, FUSED_PACKED_ROWS), PACK_THREADS, shared, cuda->stream, p);
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
    return a->activation == b->activation && a->layer_norm == b->layer_norm && a->hidden == b->hidden && a->layers == b->layers;
}

static struct fused_networks networks_of(const struct network *net)
{
    struct fused_networks n;
    memset(&n, 0, sizeof n);
    n.layers = net->layers;
    n.activation = net->activation;
    n.norm = net->layer_norm;
    n.features.count = net->hidden;
    n.features.inverse = 1.0f / (float)net->hidden;
    return n;
}

/* Fills in a pass that has the launch's next `blocks` blocks; *used: those that it has so far. */
static void pass_fill(struct fused_pass *p, const struct network *net, const struct packed_rows *packed, int dist, int blocks, int *used)
{
    p->x = packed->x;
    p->folded = packed->folded;
    p->count = packed->count;
    p->batch_rows = packed->batch_rows;
    p->rows = packed->rows;
    p->inputs = net->inputs;
    p->outputs = net->outputs;
    p->dist = dist;
    p->first_block = *used;
    p->blocks = blocks;
    *used += blocks;
}

static int forward_pass_blocks(const struct cuda *cuda, const struct network *net, int rows)
{
    const int width = fused_width(net->hidden), parts = (rows + warp_rows(width) - 1) / warp_rows(width);
    const int most = forward_blocks(width) * cuda->multiprocessors;
    return parts < most ? parts : most;
}

/* Adds a pass to the launch; false = no room. */
static bool forwards_add(struct cuda *cuda, struct fused_forwards *args, const struct distribution **known, int *dists, int *blocks,
                         const struct forward_pass *pass, const struct act_pass *act)
{
    const int dist = act ? dist_number(args->dist, known, dists, act->dist) : -1;
    if (args->networks.passes == FUSED_PASSES || (act && dist < 0)) return false;
    struct fused_forwarding *p = &args->pass[args->networks.passes++];
    if (act) p->act = *act;
    p->out = pass->out;
    pass_fill(p, pass->net, pass->packed, dist, forward_pass_blocks(cuda, pass->net, pass->packed->rows), blocks);
    return true;
}

static void at_least(size_t *most, size_t bytes)
{
    if (bytes > *most) *most = bytes;
}

template <int W> static void forward_launch(struct cuda *cuda, const struct fused_forwards *args, int blocks, size_t shared)
{
    void (*const kernel)(const struct fused_forwards) = fused_tf32(cuda) ? fused_forward_kernel<true, W> : fused_forward_kernel<false, W>;
    /* The device's limit, not this launch's: a smaller one would fall below what recorded launches of the same kernel need. */
    CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)cuda->shared_bytes), "forward passes");
    LAUNCH(kernel, (unsigned)blocks, forward_warps(W) * 32, shared, cuda->stream, *args);
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
        args.networks = networks_of(net);
        for (; i < passes && alike(net, pass[i].net); i++) {
            if (pass[i].packed->rows == 0) continue;
            if (!forwards_add(cuda, &args, known, &dists, &blocks, &pass[i], act ? &act[i] : NULL)) break;
            at_least(&shared, forward_shared(pass[i].net));
        }
        if (blocks == 0) continue;
        if (fused_width(net->hidden) == 64) {
            forward_launch<64>(cuda, &args, blocks, shared);
        } else {
            forward_launch<128>(cuda, &args, blocks, shared);
        }
    }
}

static bool trainings_add(struct cuda *cuda, struct fused_trainings *args, const struct distribution **known, int *dists, int *blocks,
                          const struct train_pass *pass)
{
    const struct packed_rows *t = pass->packed;
    const int dist = pass->loss == LOSS_POLICY ? dist_number(args->dist, known, dists, pass->policy.dist) : 0;
    if (args->networks.passes == FUSED_PASSES || dist < 0) return false;
    struct fused_training *p = &args->pass[args->networks.passes++];
    p->pass = loss_pass(pass);
    p->chunk = t->chunk;
    p->sums = t->sums;
    p->extra = pass->net->extra;
    pass_fill(p, pass->net, t, dist, fused_chunks(cuda, pass->net, t->rows), blocks);
    return true;
}

static int pass_warps(const struct cuda *cuda, const struct network *net, size_t *shared)
{
    size_t bytes = 0;
    const int warps = trainer_of(net)->warps(cuda, net, &bytes);
    at_least(shared, bytes);
    return warps;
}

void fused_train(struct cuda *cuda, const struct train_pass *pass, int passes)
{
    for (int i = 0; i < passes;) {
        struct fused_trainings args;
        memset(&args, 0, sizeof args);
        const struct distribution *known[FUSED_DISTRIBUTIONS];
        const struct network *net = pass[i].net;
        size_t shared = 0, other = 0;
        const int warps = pass_warps(cuda, net, &shared);
        int dists = 0, blocks = 0;
        args.networks = networks_of(net);
        for (; i < passes && alike(net, pass[i].net) && pass_warps(cuda, pass[i].net, &other) == warps; i++) {
            CHECK(pass[i].packed->rows == pass[i].batch.units * pass[i].batch.rows, "train: %d rows are packed, the batch has %d",
                  pass[i].packed->rows, pass[i].batch.units * pass[i].batch.rows);
            if (pass[i].packed->rows == 0) continue;
            if (!trainings_add(cuda, &args, known, &dists, &blocks, &pass[i])) break;
            pass_warps(cuda, pass[i].net, &shared);
        }
        if (blocks > 0) trainer_of(net)->train(cuda, &args, warps, blocks, shared);
    }
}
