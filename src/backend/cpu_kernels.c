/* The arithmetic of networks on tiles [feature][R rows]: forward, backward and gradients. Compiled once per instruction level; see cpu.h
 * for the layout.
 *
 * The affine part of a layer norm is folded into the next layer: W' = W diag(γ), b' = b + W β, so a tile holds x̂, what the norm gives
 * before γ and β. With P = Σ dz x̂ᵀ (of all rows) and db = Σ dz the gradients are exactly dW = P∘γ + db βᵀ, dγ = Σ_j W_j∘P_j, dβ = Wᵀ db.
 * Inputs get no gradient. */
#define MAPPO_FN static inline __attribute__((always_inline, unused))
#include "backend/cpu.h"

#include <string.h>

#include "backend/kernels/math.h"
#include "backend/vector.h"

static const real norm_eps = (real)1e-5;

/* ---- matrix product: out [m][n] = start + Σ_k a[m·row + k·column] b[k][n] ---------------------------------------------------------------
 */

struct product {
    real *out;
    const real *a, *b;
    ptrdiff_t row, column; /* strides of a */
    int out_stride, b_stride;
    int m, n, k;      /* n is a multiple of LANES */
    const real *bias; /* [m]; NULL = start from 0, or from out where `add` */
    bool add;
};

/* A block of `rows` x `vectors` accumulators that stay in registers; both are constants where this is inlined. */
ALWAYS_INLINE void product_block(const struct product *p, int m, int n, const int rows, const int vectors)
{
    vector sum[4][BLOCK];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[i][v] =
                p->add ? load(p->out + (ptrdiff_t)(m + i) * p->out_stride + n + v * LANES) : set1(p->bias ? p->bias[m + i] : (real)0);
    }
    const real *a = p->a + m * p->row, *b = p->b + n;
    const ptrdiff_t row = p->row, column = p->column, b_stride = p->b_stride;
    for (int k = p->k; k > 0; k--) {
        vector x[BLOCK];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) x[v] = load(b + v * LANES);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            const vector w = set1(a[i * row]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[i][v] += w * x[v];
        }
        a += column;
        b += b_stride;
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) store(p->out + (ptrdiff_t)(m + i) * p->out_stride + n + v * LANES, sum[i][v]);
    }
}

ALWAYS_INLINE void product_columns(const struct product *p, int n, const int vectors)
{
    int m = 0;
    for (; m + 4 <= p->m; m += 4) product_block(p, m, n, 4, vectors);
    switch (p->m - m) {
    case 3:
        product_block(p, m, n, 3, vectors);
        break;
    case 2:
        product_block(p, m, n, 2, vectors);
        break;
    case 1:
        product_block(p, m, n, 1, vectors);
        break;
    default:
        break;
    }
}

static void gemm(const struct product *p)
{
    int n = 0;
    for (; n + BLOCK * (int)LANES <= p->n; n += BLOCK * LANES) product_columns(p, n, BLOCK);
    switch ((p->n - n) / (int)LANES) {
#if BLOCK > 3
    case 3:
        product_columns(p, n, 3);
        break;
#endif
    case 2:
        product_columns(p, n, 2);
        break;
    case 1:
        product_columns(p, n, 1);
        break;
    default:
        break;
    }
}

/* ---- a thread's work space ----------------------------------------------------------------------------------------------------------- */

struct work {
    const struct network *net;
    int depth;                            /* hidden layers; weight[depth] is the head's */
    int wide;                             /* the widest layer, padded to whole vectors */
    real *weight[NETWORK_MAX_LAYERS + 1]; /* [N][K] folded */
    real *bias[NETWORK_MAX_LAYERS + 1];   /* [N] folded */
    real *x[NETWORK_MAX_LAYERS];          /* [H + 1][R] x̂ after each hidden layer; the last row is ones */
    real *offset[NETWORK_MAX_LAYERS];     /* [R] -mean / deviation */
    real *inverse[NETWORK_MAX_LAYERS];    /* [R] 1 / deviation */
    real *deviation[NETWORK_MAX_LAYERS];  /* [R] */
    real *g, *gx;                         /* [wide][R] gradients by a layer's output and input */
    real *turned;                         /* [R][wide] g transposed */
    real *out, *p;                        /* [O][R] */
    real *scratch;                        /* [LOSS_ROWS][R] */
    double *lanes;                        /* [PASS_SUMS][R] */
};

static int padded(int n)
{
    return (n + (int)LANES - 1) / (int)LANES * (int)LANES;
}

static int layer_inputs(const struct network *net, int layer)
{
    return layer == 0 ? net->inputs : net->hidden;
}

static int layer_outputs(const struct network *net, int layer)
{
    return layer == net->layers ? net->outputs : net->hidden;
}

/* Takes n reals of a block that is being laid out (base NULL: only counts), in whole cache lines. */
static real *take(real *base, size_t *used, size_t n)
{
    real *p = base ? base + *used : NULL;
    *used += (n + 15) / 16 * 16;
    return p;
}

static size_t work_lay_out(struct work *w, const struct network *net, real *base)
{
    size_t used = 0;
    const size_t hidden = (size_t)net->hidden;
    w->net = net;
    w->depth = net->layers;
    w->wide = padded(net->hidden > net->outputs ? net->hidden : net->outputs);
    for (int l = 0; l <= net->layers; l++) {
        w->weight[l] = take(base, &used, (size_t)layer_outputs(net, l) * (size_t)layer_inputs(net, l));
        w->bias[l] = take(base, &used, (size_t)layer_outputs(net, l));
    }
    for (int l = 0; l < net->layers; l++) {
        w->x[l] = take(base, &used, (hidden + 1) * TILE);
        w->offset[l] = take(base, &used, TILE);
        w->inverse[l] = take(base, &used, TILE);
        w->deviation[l] = take(base, &used, TILE);
    }
    w->g = take(base, &used, (size_t)w->wide * TILE);
    w->gx = take(base, &used, (size_t)w->wide * TILE);
    w->turned = take(base, &used, (size_t)w->wide * TILE);
    w->out = take(base, &used, (size_t)net->outputs * TILE);
    w->p = take(base, &used, (size_t)net->outputs * TILE);
    w->scratch = take(base, &used, (size_t)LOSS_ROWS * TILE);
    w->lanes = (double *)(void *)take(base, &used, (size_t)PASS_SUMS * TILE * sizeof(double) / sizeof(real));
    return used;
}

static size_t work_size(const struct network *net)
{
    struct work w;
    return work_lay_out(&w, net, NULL);
}

/* Where layer l's accumulators P [K + 1][padded N] begin; layer depth + 1 is log_std's [extra][R]. */
static size_t chunk_offset(const struct network *net, int layer)
{
    size_t at = 0;
    for (int l = 0; l < layer; l++) at += (size_t)(layer_inputs(net, l) + 1) * (size_t)padded(layer_outputs(net, l));
    return at;
}

static size_t chunk_size(const struct network *net)
{
    return chunk_offset(net, net->layers + 1) + (size_t)net->extra * TILE;
}

/* ---- folding ------------------------------------------------------------------------------------------------------------------------- */

struct layer {
    int inputs, outputs;
    ptrdiff_t weight, bias, gamma, beta; /* offsets of parameters; gamma and beta -1 without a norm before it */
};

static struct layer layer_of(const struct network *net, int l)
{
    struct layer a = {layer_inputs(net, l), layer_outputs(net, l), net->at.head_weight, net->at.head_bias, -1, -1};
    if (l < net->layers) {
        a.weight = net->at.weight[l];
        a.bias = net->at.bias[l];
    }
    if (l == 0 && net->feature_norm) {
        a.gamma = net->at.feature_weight;
        a.beta = net->at.feature_bias;
    }
    if (l > 0 && net->layer_norm) {
        a.gamma = net->at.norm_weight[l - 1];
        a.beta = net->at.norm_bias[l - 1];
    }
    return a;
}

static void fold_layer(const struct layer *a, const real *parameters, real *restrict weight, real *restrict bias)
{
    const real *w = parameters + a->weight, *gamma = parameters + a->gamma, *beta = parameters + a->beta;
    memcpy(bias, parameters + a->bias, (size_t)a->outputs * sizeof *bias);
    if (a->gamma < 0) {
        memcpy(weight, w, (size_t)a->outputs * (size_t)a->inputs * sizeof *weight);
        return;
    }
    for (int j = 0; j < a->outputs; j++) {
        real sum = bias[j];
        for (int k = 0; k < a->inputs; k++) {
            weight[k] = w[k] * gamma[k];
            sum += w[k] * beta[k];
        }
        bias[j] = sum;
        w += a->inputs;
        weight += a->inputs;
    }
}

static void fold(struct work *w, const struct network *net, const real *parameters, real *base)
{
    work_lay_out(w, net, base);
    for (int l = 0; l <= net->layers; l++) {
        const struct layer a = layer_of(net, l);
        fold_layer(&a, parameters, w->weight[l], w->bias[l]);
    }
    for (int l = 0; l < net->layers; l++) {
        for (int r = 0; r < (int)TILE; r++) w->x[l][net->hidden * (int)TILE + r] = 1;
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

static void reduce(struct train_pass *pass, int chunks)
{
    const struct network *net = pass->net;
    struct tiles *tiles = pass->tiles;
    memset(pass->gradient, 0, net->parameters * sizeof *pass->gradient);
    memset(pass->sum, 0, sizeof pass->sum);
    if (chunks == 0) return;
    for (int c = 1; c < chunks; c++) LEVELLED(add_to)(tiles->chunk, tiles->chunk + (size_t)c * tiles->chunk_size, tiles->chunk_size);
    for (int c = 0; c < chunks; c++) {
        for (int i = 0; i < PASS_SUMS; i++) pass->sum[i] += tiles->sums[c * PASS_SUMS + i];
    }
    for (int l = 0; l <= net->layers; l++) {
        const struct layer a = layer_of(net, l);
        unfold_layer(&a, pass->parameters, tiles->chunk + chunk_offset(net, l), pass->gradient);
    }
    const real *extra = tiles->chunk + chunk_offset(net, net->layers + 1);
    for (int i = 0; i < net->extra; i++) {
        double sum = 0;
        for (int r = 0; r < (int)TILE; r++) sum += (double)extra[i * (int)TILE + r];
        pass->gradient[net->at.extra + i] = (real)sum;
    }
}

/* ---- passes over a tile ----------------------------------------------------------------------------------------------------------------
 */

static void activate(int activation, real *restrict z, int n)
{
    if (activation == ACTIVATION_RELU) {
        for (int i = 0; i < n; i++) z[i] = z[i] < (real)0 ? (real)0 : z[i]; /* NaN stays */
    } else {
        for (int i = 0; i < n; i++) z[i] = real_tanh(z[i]);
    }
}

/* x [n][R] to x̂ = (x - mean) / sqrt(variance + eps) over the features of each row, in two passes for the variance. */
static void normalise(real *x, int n, real *offset, real *inverse, real *deviation)
{
    const vector scale = set1((real)1 / (real)n);
    for (int r = 0; r < (int)TILE; r += LANES) {
        vector sum = {0}, squares = {0};
        for (int j = 0; j < n; j++) sum += load(x + j * (int)TILE + r);
        const vector mean = sum * scale;
        for (int j = 0; j < n; j++) {
            const vector d = load(x + j * (int)TILE + r) - mean;
            squares += d * d;
        }
        const vector variance = squares * scale + set1(norm_eps);
        vector root;
        for (int i = 0; i < (int)LANES; i++) root[i] = real_sqrt(variance[i]);
        const vector one_over = set1(1) / root, shift = -mean * one_over;
        for (int j = 0; j < n; j++) store(x + j * (int)TILE + r, load(x + j * (int)TILE + r) * one_over + shift);
        store(offset + r, shift);
        store(inverse + r, one_over);
        store(deviation + r, root);
    }
}

/* Gradient by x̂ to the gradient by z, the layer's sum before the activation. The activation's output is recovered from x̂: a = (x̂ - offset)
 * · deviation. */
static void norm_act_backward(const struct work *w, int l, const real *gx, real *g)
{
    const int n = w->net->hidden;
    const bool relu = w->net->activation == ACTIVATION_RELU, norm = w->net->layer_norm;
    const vector scale = set1((real)1 / (real)n);
    for (int r = 0; r < (int)TILE; r += LANES) {
        const real *x = w->x[l] + r;
        vector s1 = {0}, s2 = {0}, offset = {0}, inverse = set1(1), deviation = set1(1);
        if (norm) {
            for (int j = 0; j < n; j++) {
                const vector d = load(gx + j * (int)TILE + r);
                s1 += d;
                s2 += d * load(x + j * (int)TILE);
            }
            offset = load(w->offset[l] + r);
            inverse = load(w->inverse[l] + r);
            deviation = load(w->deviation[l] + r);
        }
        const vector c1 = s1 * scale * inverse, c2 = s2 * scale * inverse;
        for (int j = 0; j < n; j++) {
            const vector xj = load(x + j * (int)TILE);
            const vector d = load(gx + j * (int)TILE + r) * inverse - c1 - xj * c2;
            const vector a = (xj - offset) * deviation;
            store(g + j * (int)TILE + r, relu ? vector_select(xj > offset, d, (vector){0}) : d * (set1(1) - a * a));
        }
    }
}

static void transpose(const real *restrict g, real *restrict turned, int n)
{
    for (int r = 0; r < (int)TILE; r++) {
        for (int j = 0; j < n; j++) turned[(ptrdiff_t)r * n + j] = g[(ptrdiff_t)j * TILE + r];
    }
}

static const real *layer_input(const struct work *w, int l, const real *x)
{
    return l == 0 ? x : w->x[l - 1];
}

/* Outputs [O][R] of the tile x [D + 1][R] to w->out; the activations stay in w. */
static void forward_tile(const struct work *w, const real *x)
{
    const struct network *net = w->net;
    for (int l = 0; l <= w->depth; l++) {
        real *z = l < w->depth ? w->x[l] : w->out;
        const struct product p = {.out = z,
                                  .a = w->weight[l],
                                  .b = layer_input(w, l, x),
                                  .row = layer_inputs(net, l),
                                  .column = 1,
                                  .out_stride = TILE,
                                  .b_stride = TILE,
                                  .m = layer_outputs(net, l),
                                  .n = TILE,
                                  .k = layer_inputs(net, l),
                                  .bias = w->bias[l]};
        gemm(&p);
        if (l == w->depth) break;
        activate(net->activation, z, net->hidden * (int)TILE);
        if (net->layer_norm) normalise(z, net->hidden, w->offset[l], w->inverse[l], w->deviation[l]);
    }
}

/* From w->g, the gradient by the outputs, to the accumulators of all layers. */
static void backward_tile(const struct work *w, const real *x, real *chunk)
{
    const struct network *net = w->net;
    for (int l = w->depth; l >= 0; l--) {
        const int n = layer_outputs(net, l), k = layer_inputs(net, l), wide = padded(n);
        memset(w->g + (size_t)n * TILE, 0, (size_t)(wide - n) * TILE * sizeof *w->g);
        transpose(w->g, w->turned, wide);
        const struct product gradient = {.out = chunk + chunk_offset(net, l),
                                         .a = layer_input(w, l, x),
                                         .b = w->turned,
                                         .row = TILE,
                                         .column = 1,
                                         .out_stride = wide,
                                         .b_stride = wide,
                                         .m = k + 1,
                                         .n = wide,
                                         .k = TILE,
                                         .add = true};
        gemm(&gradient);
        if (l == 0) break;
        const struct product back = {.out = w->gx,
                                     .a = w->weight[l],
                                     .b = w->g,
                                     .row = 1,
                                     .column = k,
                                     .out_stride = TILE,
                                     .b_stride = TILE,
                                     .m = k,
                                     .n = TILE,
                                     .k = n};
        gemm(&back);
        norm_act_backward(w, l - 1, w->gx, w->g);
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
    return tiles->x + (size_t)tile * (size_t)(tiles->inputs + 1) * TILE;
}

static void pack(const struct network *net, struct tiles *tiles, const float *x, const struct batch *batch, int tile)
{
    real *to = tile_at(tiles, tile);
    const int d = tiles->inputs, rows = rows_of_tile(tiles, tile);
    for (int r = 0; r < (int)TILE; r++) {
        if (r < rows) {
            const float *from = x + batch_row(batch, tile * (int)TILE + r) * (size_t)d;
            for (int j = 0; j < d; j++) to[j * (int)TILE + r] = (real)from[j];
        } else {
            for (int j = 0; j < d; j++) to[j * (int)TILE + r] = 0;
        }
        to[d * (int)TILE + r] = 1;
    }
    real unused[3][TILE] __attribute__((aligned(64)));
    if (net->feature_norm) normalise(to, d, unused[0], unused[1], unused[2]);
}

static void forward(const struct forward_pass *pass, real *work, int tile, int end)
{
    struct work w;
    const int outputs = pass->net->outputs;
    fold(&w, pass->net, pass->parameters, work);
    for (; tile < end; tile++) {
        forward_tile(&w, tile_at(pass->tiles, tile));
        const int rows = rows_of_tile(pass->tiles, tile);
        real *out = pass->out + (size_t)tile * TILE * (size_t)outputs;
        for (int r = 0; r < rows; r++) {
            for (int o = 0; o < outputs; o++) out[(size_t)r * (size_t)outputs + (size_t)o] = w.out[o * (int)TILE + r];
        }
    }
}

static void train(const struct train_pass *pass, real *work, real *chunk, double *sums, int tile, int end)
{
    struct work w;
    const struct network *net = pass->net;
    fold(&w, net, pass->parameters, work);
    memset(chunk, 0, chunk_size(net) * sizeof *chunk);
    memset(w.lanes, 0, (size_t)PASS_SUMS * TILE * sizeof *w.lanes);
    for (; tile < end; tile++) {
        const real *x = tile_at(pass->tiles, tile);
        forward_tile(&w, x);
        const struct loss_tile loss = {.pass = pass,
                                       .first = tile * (int)TILE,
                                       .rows = rows_of_tile(pass->tiles, tile),
                                       .z = w.out,
                                       .g = w.g,
                                       .p = w.p,
                                       .scratch = w.scratch,
                                       .lanes = w.lanes,
                                       .log_std_gradient = chunk + chunk_offset(net, net->layers + 1)};
        if (pass->loss == LOSS_POLICY) {
            LEVELLED(policy_loss)(&loss);
        } else {
            LEVELLED(value_loss)(&loss);
        }
        backward_tile(&w, x, chunk);
    }
    for (int i = 0; i < PASS_SUMS; i++) {
        sums[i] = 0;
        for (int r = 0; r < (int)TILE; r++) sums[i] += w.lanes[i * (int)TILE + r];
    }
}

#define LEVEL_TEXT_PASTE(level) #level
#define LEVEL_TEXT(level)       LEVEL_TEXT_PASTE(level)

const struct cpu_kernels LEVELLED(cpu_kernels) = {
    .name = LEVEL_TEXT(LEVEL),
    .tile_rows = TILE,
    .work_size = work_size,
    .chunk_size = chunk_size,
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
