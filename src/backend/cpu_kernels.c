/* What the backend calls of the arithmetic of networks on tiles: folding, forward, training, adding up. Compiled once per instruction
 * level; cpu_tile.h has what happens to a tile, cpu.h the layout.
 *
 * The affine part of a layer norm is folded into the next layer: W' = W diag(γ), b' = b + W β, so a tile holds x̂, what the norm gives
 * before γ and β. With P = Σ dz x̂ᵀ (of all rows) and db = Σ dz the gradients are exactly dW = P∘γ + db βᵀ, dγ = Σ_j W_j∘P_j, dβ = Wᵀ db.
 * Inputs get no gradient. */
#define MAPPO_FN static inline __attribute__((always_inline, unused))
#include "backend/cpu_gru.h"

/* Reals that a thread needs for any pass of the network. */
static size_t work_size(const struct network *net)
{
    struct work w;
    return work_lay_out(&w, net, NULL) + gru_work_size(net);
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

/* A layer whose columns are computed in another order (kernels/layer.h). */
static void turn_layer(const struct layer *a, const real *parameters, real *restrict weight, real *restrict bias)
{
    memcpy(bias, parameters + a->bias, (size_t)a->outputs * sizeof *bias);
    for (int k = 0; k < a->inputs; k++) {
        const real *from = parameters + a->weight + layer_column(a, k);
        for (int j = 0; j < a->outputs; j++) weight[(size_t)j * (size_t)a->inputs + (size_t)k] = from[(size_t)j * (size_t)a->inputs];
    }
}

static void turn_layer_back(const struct layer *a, const real *sum, real *gradient)
{
    const size_t stride = (size_t)padded(a->outputs);
    memcpy(gradient + a->bias, sum + (size_t)a->inputs * stride, (size_t)a->outputs * sizeof *sum);
    for (int k = 0; k < a->inputs; k++) {
        real *to = gradient + a->weight + layer_column(a, k);
        for (int j = 0; j < a->outputs; j++) to[(size_t)j * (size_t)a->inputs] = sum[(size_t)k * stride + (size_t)j];
    }
}

static void fold(const struct network *net, const real *parameters, real *folded)
{
    struct work w;
    folded_lay_out(&w, net, folded);
    for (int l = 0; l <= layer_last(net); l++) {
        const struct layer a = layer_of(net, l);
        if (a.turned)
            turn_layer(&a, parameters, w.weight[l], w.bias[l]);
        else
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
    struct packed_rows *packed = pass->packed;
    memset(pass->gradient, 0, net->parameters * sizeof *pass->gradient);
    for (int i = 0; i < PASS_SUMS; i++) {
        double sum = 0;
        for (int c = 0; c < chunks; c++) sum += packed->sums[c * PASS_SUMS + i];
        pass->sum[i] = (real)sum;
    }
    if (chunks == 0) return;
    for (int c = 1; c < chunks; c++) LEVELLED(add_to)(packed->chunk, packed->chunk + (size_t)c * packed->chunk_size, packed->chunk_size);
    for (int l = 0; l <= layer_last(net); l++) {
        const struct layer a = layer_of(net, l);
        if (a.turned)
            turn_layer_back(&a, packed->chunk + chunk_offset(net, l), pass->gradient);
        else
            unfold_layer(&a, pass->parameters, packed->chunk + chunk_offset(net, l), pass->gradient);
    }
    const real *extra = packed->chunk + chunk_offset(net, layer_last(net) + 1);
    for (int i = 0; i < net->extra; i++) {
        double sum = 0;
        for (int r = 0; r < (int)TILE; r++) sum += (double)extra[i * (int)TILE + r];
        pass->gradient[net->at.extra + i] = (real)sum;
    }
}

/* ---- what the backend calls ---------------------------------------------------------------------------------------------------------- */

/* A tile of rows on the scale of running statistics; the padding stays 0. */
static void scale_features(real *x, const struct running *running, int rows)
{
    for (int j = 0; j < running->width; j++) {
        const real mean = running->scale[j], inverse = running->scale[running->width + j];
        for (int r = 0; r < rows; r++) x[j * (int)TILE + r] = running_scaled(x[j * (int)TILE + r], mean, inverse);
    }
}

static void pack(const struct network *net, const struct running *inputs, struct packed_rows *packed, const float *x,
                 const struct batch *batch, int tile)
{
    real *to = tile_at(packed, tile);
    const int d = packed->inputs, rows = rows_of_tile(packed, tile);
    size_t row[TILE];
    batch_rows(batch, tile * (int)TILE, rows, row);
    for (int r = 0; r < rows; r++) {
        const float *from = x + row[r] * (size_t)d;
        for (int j = 0; j < d; j++) to[j * (int)TILE + r] = (real)from[j];
    }
    for (int j = 0; j < d; j++) memset(to + j * (int)TILE + rows, 0, (size_t)((int)TILE - rows) * sizeof *to);
    if (inputs) scale_features(to, inputs, rows);
    if (!net->feature_norm) return;
    real space[4][TILE] __attribute__((aligned(64)));
    const struct norm_rows norm = {space[0], space[1], space[2], space[3]};
    sum_features(to, d, norm.sum);
    normalise(to, d, &norm);
}

static void pack_columns(const struct columns_pass *pass, int tile)
{
    real *to = tile_at(pass->packed, tile) + (ptrdiff_t)pass->to * TILE;
    const int left = pass->rows - tile * (int)TILE, rows = left < (int)TILE ? left : (int)TILE;
    const size_t first = (size_t)tile * TILE * (size_t)pass->stride, stride = (size_t)pass->stride;
    for (int r = 0; r < rows && pass->x; r++)
        for (int j = 0; j < pass->width; j++) to[j * (int)TILE + r] = (real)pass->x[first + (size_t)r * stride + (size_t)j];
    for (int r = 0; r < rows && pass->y; r++)
        for (int j = 0; j < pass->width; j++) to[j * (int)TILE + r] = pass->y[first + (size_t)r * stride + (size_t)j];
    for (int j = 0; j < pass->width; j++) memset(to + j * (int)TILE + rows, 0, (size_t)((int)TILE - rows) * sizeof *to);
}

static void derive(const struct derive_pass *pass, real *work, int tile, int end)
{
    struct work w;
    work_lay_out(&w, pass->net, work);
    folded_lay_out(&w, pass->net, pass->packed->folded);
    for (; tile < end; tile++) {
        const int rows = rows_of_tile(pass->packed, tile);
        const size_t first = (size_t)tile * TILE, stride = (size_t)pass->width;
        real *slope;
        forward_hidden(&w, tile_at(pass->packed, tile));
        forward_head(&w, w.x[w.depth - 1]);
        memcpy(pass->out + first, w.out, (size_t)rows * sizeof *w.out);
        const real *g = derive_hidden(&w, &slope);
        for (int from = 0; from < pass->width; from += w.wide) {
            const int width = pass->width - from < w.wide ? pass->width - from : w.wide;
            derive_inputs(&w, g, pass->from + from, width, slope);
            for (int r = 0; r < rows; r++)
                for (int j = 0; j < width; j++) pass->slope[(first + (size_t)r) * stride + (size_t)(from + j)] = slope[j * (int)TILE + r];
        }
    }
}

static void forward(const struct forward_pass *pass, real *work, int tile, int end)
{
    struct work w;
    work_lay_out(&w, pass->net, work);
    folded_lay_out(&w, pass->net, pass->packed->folded);
    for (; tile < end; tile++) {
        if (pass->recurrent) {
            gru_forward(&w, pass, tile);
            continue;
        }
        forward_hidden(&w, tile_at(pass->packed, tile));
        forward_head(&w, w.x[w.depth - 1]);
        put_outputs(&w, pass, tile * (int)TILE, rows_of_tile(pass->packed, tile));
    }
}

static void train(const struct train_pass *pass, real *work, real *chunk, double *sums, int tile, int end)
{
    struct work w;
    const struct network *net = pass->net;
    work_lay_out(&w, net, work);
    folded_lay_out(&w, net, pass->packed->folded);
    clear_chunk(net, chunk);
    memset(w.row_sums, 0, (size_t)PASS_SUMS * TILE * sizeof *w.row_sums);
    for (bool fresh = true; tile < end; tile++, fresh = false) {
        if (pass->recurrent) {
            gru_train(&w, pass, chunk, tile, fresh);
            continue;
        }
        const real *x = tile_at(pass->packed, tile);
        forward_hidden(&w, x);
        forward_head(&w, w.x[w.depth - 1]);
        tile_loss(&w, pass, chunk, tile * (int)TILE, rows_of_tile(pass->packed, tile));
        backward_head(&w, w.x[w.depth - 1], chunk, fresh);
        backward_hidden(&w, x, w.g, w.gx, chunk, fresh);
    }
    if (narrow_head(net)) {
        head_gradient_finish(w.head, head_stride(net), net->outputs, net->hidden + 1, chunk + chunk_offset(net, layer_head(net)),
                             padded(net->outputs));
    }
    for (int i = 0; i < PASS_SUMS; i++) {
        sums[i] = 0;
        for (int r = 0; r < (int)TILE; r++) sums[i] += w.row_sums[i * (int)TILE + r];
    }
}

/* ---- what this core can do, for `mappo bench` ---------------------------------------------------------------------------------------- */

/* Multiply-adds on registers only; returns how many floating-point operations that were. */
static double peak_loop(int repeats, real *sink)
{
    vector sum[12];
    const vector x = set1((real)0.999), y = set1((real)1e-3);
    UNROLL_ELEMENTS
    for (int i = 0; i < 12; i++) sum[i] = set1((real)(i + 2)); /* 1 is the fixed point: a compiler would see that */
    for (int k = 0; k < repeats; k++) {
        UNROLL_ELEMENTS
        for (int i = 0; i < 12; i++) sum[i] = sum[i] * x + y;
    }
    vector all = {0};
    UNROLL_ELEMENTS
    for (int i = 0; i < 12; i++) all += sum[i];
    *sink = (real)vector_sum(all);
    return 2.0 * 12 * ELEMENTS * repeats;
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
    .evaluate = LEVELLED(evaluate_rows),
    .pack_columns = pack_columns,
    .embed = LEVELLED(embed_rows),
    .embed_back = LEVELLED(embed_back_rows),
    .derive = derive,
    .gae = LEVELLED(gae_range),
    .moments = LEVELLED(moments_of),
    .standardise = LEVELLED(standardise_all),
    .running_measure = LEVELLED(running_measure),
    .sum_squares = LEVELLED(sum_squares_of),
    .adam = LEVELLED(adam_all),
    .soft_update = LEVELLED(soft_update_all),
};
