/* The arithmetic of networks on tiles [feature][R rows]: forward, backward and gradients. Compiled once per instruction level; see cpu.h
 * for the layout.
 *
 * The affine part of a layer norm is folded into the next layer: W' = W diag(γ), b' = b + W β, so a tile holds x̂, what the norm gives
 * before γ and β. With P = Σ dz x̂ᵀ (of all rows) and db = Σ dz the gradients are exactly dW = P∘γ + db βᵀ, dγ = Σ_j W_j∘P_j, dβ = Wᵀ db.
 * Inputs get no gradient. */
#define MAPPO_FN static inline __attribute__((always_inline, unused))
#include "backend/cpu.h"

#include <string.h>

#include "backend/cpu_passes.h"
#include "backend/kernels/layer.h"

/* ---- a thread's work space ----------------------------------------------------------------------------------------------------------- */

struct work {
    const struct network *net;
    int depth;                            /* hidden layers */
    int wide;                             /* the widest layer, padded to whole vectors */
    real *weight[NETWORK_MAX_LAYERS + 3]; /* [N][K] folded, of all layers (kernels/layer.h) */
    real *bias[NETWORK_MAX_LAYERS + 3];   /* [N] folded */
    real *x[NETWORK_MAX_LAYERS];          /* [H][R] x̂ after each hidden layer */
    struct norm_rows rows[NETWORK_MAX_LAYERS];
    real *g, *gx;      /* [wide][R] gradients by a layer's output and input */
    real *sum, *sum_x; /* [R] of a gradient by x̂: sums over the features, plain and times x̂ */
    real *turned;      /* [R][wide] g transposed */
    real *head;        /* [O][padded K + 1][LANES] sums of a narrow head's gradient */
    real *out, *p;     /* [O][R] */
    real *scratch;     /* [LOSS_ROWS][R] */
    double *lanes;     /* [PASS_SUMS][R] */
    real *steps;       /* what a recurrent network keeps, cpu_gru.h */
};

static int padded(int n)
{
    return (n + (int)LANES - 1) / (int)LANES * (int)LANES;
}

/* A head of fewer outputs than a vector has lanes: transposing it would leave most lanes empty. */
static bool narrow_head(const struct network *net)
{
    return net->outputs < (int)LANES;
}

static size_t head_stride(const struct network *net)
{
    return (size_t)padded(net->hidden + 1) * LANES;
}

static size_t head_sums_size(const struct network *net)
{
    return narrow_head(net) ? (size_t)net->outputs * head_stride(net) : 0;
}

/* Takes n reals of a block that is being laid out (base NULL: only counts), in whole cache lines. */
static real *take(real *base, size_t *used, size_t n)
{
    real *p = base ? base + *used : NULL;
    *used += (n + 15) / 16 * 16;
    return p;
}

/* The folded weights, which all tasks of a pass read. */
static size_t folded_lay_out(struct work *w, const struct network *net, real *base)
{
    size_t used = 0;
    for (int l = 0; l <= layer_head(net); l++) {
        w->weight[l] = take(base, &used, (size_t)layer_outputs(net, l) * (size_t)layer_inputs(net, l));
        w->bias[l] = take(base, &used, (size_t)layer_outputs(net, l));
    }
    return used;
}

static size_t folded_size(const struct network *net)
{
    struct work w;
    return folded_lay_out(&w, net, NULL);
}

static size_t gru_work_size(const struct network *net);

/* What a task has for itself. */
static size_t work_lay_out(struct work *w, const struct network *net, real *base)
{
    size_t used = 0;
    const size_t hidden = (size_t)net->hidden;
    w->net = net;
    w->depth = net->layers;
    const int widest = net->gru_layers > 0 ? 3 * net->hidden : net->hidden;
    w->wide = padded(widest > net->outputs ? widest : net->outputs);
    for (int l = 0; l < net->layers; l++) {
        w->x[l] = take(base, &used, hidden * TILE);
        w->rows[l].sum = take(base, &used, TILE);
        w->rows[l].offset = take(base, &used, TILE);
        w->rows[l].inverse = take(base, &used, TILE);
        w->rows[l].deviation = take(base, &used, TILE);
    }
    w->g = take(base, &used, (size_t)w->wide * TILE);
    w->gx = take(base, &used, (size_t)w->wide * TILE);
    w->sum = take(base, &used, TILE);
    w->sum_x = take(base, &used, TILE);
    w->turned = take(base, &used, (size_t)w->wide * TILE);
    w->head = take(base, &used, head_sums_size(net));
    w->out = take(base, &used, (size_t)net->outputs * TILE);
    w->p = take(base, &used, (size_t)net->outputs * TILE);
    w->scratch = take(base, &used, (size_t)LOSS_ROWS * TILE);
    w->lanes = (double *)(void *)take(base, &used, (size_t)PASS_SUMS * TILE * sizeof(double) / sizeof(real));
    w->steps = take(base, &used, gru_work_size(net));
    return used;
}

static size_t work_size(const struct network *net)
{
    struct work w;
    return work_lay_out(&w, net, NULL);
}

/* Where layer l's accumulators P [K + 1][padded N] begin; the layer after the head is log_std's [extra][R]. */
static size_t chunk_offset(const struct network *net, int layer)
{
    size_t at = 0;
    for (int l = 0; l < layer; l++) at += (size_t)(layer_inputs(net, l) + 1) * (size_t)padded(layer_outputs(net, l));
    return at;
}

static size_t chunk_size(const struct network *net)
{
    return chunk_offset(net, layer_head(net) + 1) + (size_t)net->extra * TILE;
}

/* Zeroes what is only ever added to: bias gradients and log_std's. The first tile overwrites the rest. */
static void clear_chunk(const struct network *net, real *chunk)
{
    for (int l = 0; l <= layer_head(net); l++) {
        const size_t k = (size_t)layer_inputs(net, l), wide = (size_t)padded(layer_outputs(net, l));
        memset(chunk + chunk_offset(net, l) + k * wide, 0, wide * sizeof *chunk);
    }
    memset(chunk + chunk_offset(net, layer_head(net) + 1), 0, (size_t)net->extra * TILE * sizeof *chunk);
}

/* ---- folding ------------------------------------------------------------------------------------------------------------------------- */

static void fold_layer(const struct layer *a, const real *parameters, real *restrict weight, real *restrict bias)
{
    const real *w = parameters + a->weight, *gamma = parameters + a->gamma, *beta = parameters + a->beta;
    memcpy(bias, parameters + a->bias, (size_t)a->outputs * sizeof *bias);
    if (a->gamma < 0) {
        memcpy(weight, w, (size_t)a->outputs * (size_t)a->inputs * sizeof *weight);
        return;
    }
    for (int j = 0; j < a->outputs; j++) {
        real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int k = 0; k < a->inputs; k++) {
            weight[k] = w[k] * gamma[k];
            sum += w[k] * beta[k];
        }
        bias[j] += sum;
        w += a->inputs;
        weight += a->inputs;
    }
}

static void fold(const struct network *net, const real *parameters, real *folded)
{
    struct work w;
    folded_lay_out(&w, net, folded);
    for (int l = 0; l <= layer_head(net); l++) {
        const struct layer a = layer_of(net, l);
        fold_layer(&a, parameters, w.weight[l], w.bias[l]);
    }
}

/* Adds up the chunks and unfolds: accumulators of the folded layer to gradients of its parameters. */
static void unfold_layer(const struct layer *a, const real *parameters, const real *sum, real *gradient)
{
    const int stride = padded(a->outputs);
    const real *db = sum + (size_t)a->inputs * (size_t)stride;
    memcpy(gradient + a->bias, db, (size_t)a->outputs * sizeof *db);
    real *dw = gradient + a->weight;
    for (int j = 0; j < a->outputs; j++) {
        for (int k = 0; k < a->inputs; k++) {
            const real p = sum[(size_t)k * (size_t)stride + (size_t)j];
            dw[(size_t)j * (size_t)a->inputs + (size_t)k] =
                a->gamma < 0 ? p : p * parameters[a->gamma + k] + db[j] * parameters[a->beta + k];
        }
    }
    if (a->gamma < 0) return;
    const real *w = parameters + a->weight;
    real *dgamma = gradient + a->gamma, *dbeta = gradient + a->beta;
    memset(dgamma, 0, (size_t)a->inputs * sizeof *dgamma);
    memset(dbeta, 0, (size_t)a->inputs * sizeof *dbeta);
    for (int j = 0; j < a->outputs; j++) {
        for (int k = 0; k < a->inputs; k++) {
            dgamma[k] += w[(size_t)j * (size_t)a->inputs + (size_t)k] * sum[(size_t)k * (size_t)stride + (size_t)j];
            dbeta[k] += w[(size_t)j * (size_t)a->inputs + (size_t)k] * db[j];
        }
    }
}

static void reduce(const struct train_pass *pass, int chunks)
{
    const struct network *net = pass->net;
    struct tiles *tiles = pass->tiles;
    memset(pass->gradient, 0, net->parameters * sizeof *pass->gradient);
    for (int i = 0; i < PASS_SUMS; i++) {
        double sum = 0;
        for (int c = 0; c < chunks; c++) sum += tiles->sums[c * PASS_SUMS + i];
        pass->sum[i] = (real)sum;
    }
    if (chunks == 0) return;
    for (int c = 1; c < chunks; c++) LEVELLED(add_to)(tiles->chunk, tiles->chunk + (size_t)c * tiles->chunk_size, tiles->chunk_size);
    for (int l = 0; l <= layer_head(net); l++) {
        const struct layer a = layer_of(net, l);
        unfold_layer(&a, pass->parameters, tiles->chunk + chunk_offset(net, l), pass->gradient);
    }
    const real *extra = tiles->chunk + chunk_offset(net, layer_head(net) + 1);
    for (int i = 0; i < net->extra; i++) {
        double sum = 0;
        for (int r = 0; r < (int)TILE; r++) sum += (double)extra[i * (int)TILE + r];
        pass->gradient[net->at.extra + i] = (real)sum;
    }
}

/* ---- a tile
 * ------------------------------------------------------------------------------------------------------------------------------ */

static const real *layer_input(const struct work *w, int l, const real *x)
{
    return l == 0 ? x : w->x[l - 1];
}

/* out [N][R] = W' x + b' of layer l */
static struct product layer_product(const struct work *w, int l, const real *x, real *out)
{
    return (struct product){.out = out,
                            .a = w->weight[l],
                            .b = x,
                            .row = layer_inputs(w->net, l),
                            .column = 1,
                            .out_stride = TILE,
                            .b_stride = TILE,
                            .m = layer_outputs(w->net, l),
                            .n = TILE,
                            .k = layer_inputs(w->net, l),
                            .bias = w->bias[l]};
}

/* The hidden layers of the tile x [D][R]; the activations stay in w. */
static void forward_hidden(const struct work *w, const real *x)
{
    const struct network *net = w->net;
    for (int l = 0; l < w->depth; l++) {
        struct product p = layer_product(w, l, layer_input(w, l, x), w->x[l]);
        p.sums = w->rows[l].sum;
        memset(p.sums, 0, TILE * sizeof *p.sums);
        gemm_then(&p, net->activation);
        if (net->layer_norm) normalise(p.out, net->hidden, &w->rows[l]);
    }
}

/* Outputs [O][R] to w->out from the tile x [H][R] before the head. */
static void forward_head(const struct work *w, const real *x)
{
    const struct product p = layer_product(w, layer_head(w->net), x, w->out);
    gemm(&p);
}

/* Adds turned^T x of a layer to its accumulators P [K + 1][wide]; `fresh`: they hold nothing yet. */
static void weight_gradient(const struct work *w, int l, const real *x, real *sums, bool fresh)
{
    const int wide = padded(layer_outputs(w->net, l));
    const struct product p = {.out = sums,
                              .a = x,
                              .b = w->turned,
                              .row = TILE,
                              .column = 1,
                              .out_stride = wide,
                              .b_stride = wide,
                              .m = layer_inputs(w->net, l),
                              .n = wide,
                              .k = TILE,
                              .add = !fresh};
    gemm(&p);
}

/* The gradient by a layer's inputs x̂ [K][R], from that by its outputs; with `norm`, the sums that the way back through it needs. */
static void input_gradient(const struct work *w, int l, const real *g, real *gx, const real *x, bool norm)
{
    const struct product p = {.out = gx,
                              .a = w->weight[l],
                              .b = g,
                              .row = 1,
                              .column = layer_inputs(w->net, l),
                              .out_stride = TILE,
                              .b_stride = TILE,
                              .m = layer_inputs(w->net, l),
                              .n = TILE,
                              .k = layer_outputs(w->net, l),
                              .sums = w->sum,
                              .sums_x = w->sum_x,
                              .x = x};
    memset(w->sum, 0, TILE * sizeof *w->sum);
    memset(w->sum_x, 0, TILE * sizeof *w->sum_x);
    gemm_then(&p, norm ? MOMENTS : PLAIN);
}

/* From w->g, the gradient by the outputs, to the head's accumulators; x is what the head has seen. */
static void backward_head(const struct work *w, const real *x, real *chunk, bool fresh)
{
    const struct network *net = w->net;
    const int head = layer_head(net), outputs = padded(net->outputs);
    real *sums = chunk + chunk_offset(net, head);
    if (narrow_head(net)) {
        if (fresh) memset(w->head, 0, head_sums_size(net) * sizeof *w->head);
        head_gradient(w->head, head_stride(net), w->g, net->outputs, x, net->hidden);
    } else {
        turn(w->g, net->outputs, w->turned, outputs, sums + net->hidden * outputs);
        weight_gradient(w, head, x, sums, fresh);
    }
}

/* From g, the gradient by the outputs of the layer after the hidden ones, to the hidden layers' accumulators. gx: another array like g. */
static void backward_hidden(const struct work *w, const real *x, real *g, real *gx, real *chunk, bool fresh)
{
    const struct network *net = w->net;
    for (int l = w->depth; l > 0; l--) {
        real *sums = chunk + chunk_offset(net, l - 1);
        input_gradient(w, l, g, gx, w->x[l - 1], net->layer_norm);
        const struct hidden_backward h = {.n = net->hidden,
                                          .wide = padded(net->hidden),
                                          .x = w->x[l - 1],
                                          .g = gx,
                                          .keep = l > 1,
                                          .turned = w->turned,
                                          .total = sums + layer_inputs(net, l - 1) * padded(net->hidden),
                                          .rows = &w->rows[l - 1],
                                          .sum = w->sum,
                                          .sum_x = w->sum_x};
        hidden_backward(&h, net->activation, net->layer_norm);
        weight_gradient(w, l - 1, layer_input(w, l - 1, x), sums, fresh);
        real *swap = g;
        g = gx;
        gx = swap;
    }
}

/* ---- what the backend calls ------------------------------------------------------------------------------------------------------------
 */

static int rows_of_tile(const struct tiles *tiles, int tile)
{
    const int left = tiles->rows - tile * (int)TILE;
    return left < (int)TILE ? left : (int)TILE;
}

static real *tile_at(const struct tiles *tiles, int tile)
{
    return tiles->x + (size_t)tile * (size_t)tiles->inputs * TILE;
}

static void pack(const struct network *net, struct tiles *tiles, const float *x, const struct batch *batch, int tile)
{
    real *to = tile_at(tiles, tile);
    const int d = tiles->inputs, rows = rows_of_tile(tiles, tile);
    size_t row[TILE];
    batch_rows(batch, tile * (int)TILE, rows, row);
    for (int r = 0; r < rows; r++) {
        const float *from = x + row[r] * (size_t)d;
        for (int j = 0; j < d; j++) to[j * (int)TILE + r] = (real)from[j];
    }
    for (int j = 0; j < d; j++) memset(to + j * (int)TILE + rows, 0, (size_t)((int)TILE - rows) * sizeof *to);
    if (!net->feature_norm) return;
    real space[4][TILE] __attribute__((aligned(64)));
    const struct norm_rows norm = {space[0], space[1], space[2], space[3]};
    sum_features(to, d, norm.sum);
    normalise(to, d, &norm);
}

/* The outputs in w->out of rows first … first + rows - 1 of the batch. */
static void put_outputs(const struct work *w, const struct forward_pass *pass, int first, int rows)
{
    const int outputs = w->net->outputs;
    real *out = pass->out + (size_t)first * (size_t)outputs;
    for (int r = 0; r < rows; r++) {
        for (int o = 0; o < outputs; o++) out[(size_t)r * (size_t)outputs + (size_t)o] = w->out[o * (int)TILE + r];
    }
}

/* From the outputs in w->out to their gradients in w->g. */
static void tile_loss(const struct work *w, const struct train_pass *pass, real *chunk, int first, int rows)
{
    const struct loss_tile loss = {.pass = pass,
                                   .first = first,
                                   .rows = rows,
                                   .z = w->out,
                                   .g = w->g,
                                   .p = w->p,
                                   .scratch = w->scratch,
                                   .lanes = w->lanes,
                                   .log_std_gradient = chunk + chunk_offset(w->net, layer_head(w->net) + 1)};
    if (pass->loss == LOSS_POLICY) {
        LEVELLED(policy_loss)(&loss);
    } else {
        LEVELLED(value_loss)(&loss);
    }
}

#include "backend/cpu_gru.h"

static void forward(const struct forward_pass *pass, real *work, int tile, int end)
{
    struct work w;
    work_lay_out(&w, pass->net, work);
    folded_lay_out(&w, pass->net, pass->tiles->folded);
    for (; tile < end; tile++) {
        if (pass->recurrent) {
            gru_forward(&w, pass, tile);
            continue;
        }
        forward_hidden(&w, tile_at(pass->tiles, tile));
        forward_head(&w, w.x[w.depth - 1]);
        put_outputs(&w, pass, tile * (int)TILE, rows_of_tile(pass->tiles, tile));
    }
}

static void train(const struct train_pass *pass, real *work, real *chunk, double *sums, int tile, int end)
{
    struct work w;
    const struct network *net = pass->net;
    work_lay_out(&w, net, work);
    folded_lay_out(&w, net, pass->tiles->folded);
    clear_chunk(net, chunk);
    memset(w.lanes, 0, (size_t)PASS_SUMS * TILE * sizeof *w.lanes);
    for (bool fresh = true; tile < end; tile++, fresh = false) {
        if (pass->recurrent) {
            gru_train(&w, pass, chunk, tile, fresh);
            continue;
        }
        const real *x = tile_at(pass->tiles, tile);
        forward_hidden(&w, x);
        forward_head(&w, w.x[w.depth - 1]);
        tile_loss(&w, pass, chunk, tile * (int)TILE, rows_of_tile(pass->tiles, tile));
        backward_head(&w, w.x[w.depth - 1], chunk, fresh);
        backward_hidden(&w, x, w.g, w.gx, chunk, fresh);
    }
    if (narrow_head(net)) {
        head_gradient_finish(w.head, head_stride(net), net->outputs, net->hidden + 1, chunk + chunk_offset(net, layer_head(net)),
                             padded(net->outputs));
    }
    for (int i = 0; i < PASS_SUMS; i++) {
        sums[i] = 0;
        for (int r = 0; r < (int)TILE; r++) sums[i] += w.lanes[i * (int)TILE + r];
    }
}

/* ---- what this core can do, for `mappo bench`
 * ---------------------------------------------------------------------------------------------- */

/* Multiply-adds on registers only; returns how many floating-point operations that were. */
static double peak_loop(int repeats, real *sink)
{
    vector sum[12];
    const vector x = set1((real)0.999), y = set1((real)1e-3);
    UNROLL_LANES
    for (int i = 0; i < 12; i++) sum[i] = set1((real)(i + 2)); /* 1 is the fixed point: a compiler would see that */
    for (int k = 0; k < repeats; k++) {
        UNROLL_LANES
        for (int i = 0; i < 12; i++) sum[i] = sum[i] * x + y;
    }
    vector all = {0};
    UNROLL_LANES
    for (int i = 0; i < 12; i++) all += sum[i];
    *sink = (real)lane_sum(all);
    return 2.0 * 12 * LANES * repeats;
}

/* The matrix product of a layer on one tile: w [m][k], x [k][R], out [m][R]. */
static double product_loop(int repeats, real *out, const real *w, const real *x, int m, int k)
{
    const struct product p = {
        .out = out, .a = w, .b = x, .row = k, .column = 1, .out_stride = TILE, .b_stride = TILE, .m = m, .n = TILE, .k = k};
    for (int i = 0; i < repeats; i++) gemm(&p);
    return 2.0 * m * k * TILE * repeats;
}

#define LEVEL_TEXT_PASTE(level) #level
#define LEVEL_TEXT(level)       LEVEL_TEXT_PASTE(level)

const struct cpu_kernels LEVELLED(cpu_kernels) = {
    .name = LEVEL_TEXT(LEVEL),
    .tile_rows = TILE,
    .peak_loop = peak_loop,
    .product_loop = product_loop,
    .work_size = work_size,
    .chunk_size = chunk_size,
    .folded_size = folded_size,
    .fold = fold,
    .act_size = LEVELLED(act_size),
    .pack = pack,
    .forward = forward,
    .train = train,
    .reduce = reduce,
    .act = LEVELLED(act_rows),
    .gae = LEVELLED(gae_range),
    .moments = LEVELLED(moments_of),
    .standardise = LEVELLED(standardise_all),
    .sum_squares = LEVELLED(sum_squares_of),
    .add = LEVELLED(add_to),
    .adam = LEVELLED(adam_all),
    .soft_update = LEVELLED(soft_update_all),
};
