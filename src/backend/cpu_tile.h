/* A tile of rows on its way through the layers and back, from passes of cpu_passes.h: a thread's work space, the accumulators of a chunk,
 * forward, losses, gradients. Norms are folded into the layer behind them (cpu_kernels.c), so tiles hold x̂. Included by cpu_kernels.c and
 * cpu_gru.h, once per instruction level. */
#ifndef MAPPO_BACKEND_CPU_TILE_H
#define MAPPO_BACKEND_CPU_TILE_H

#ifndef LEVEL
#define LEVEL baseline /* a header compiles alone */
#endif
#include "backend/cpu.h"

#include <string.h>

#include "backend/cpu_passes.h"
#include "backend/kernels/layer.h"

/* ---- a thread's work space ----------------------------------------------------------------------------------------------------------- */

enum { ALL_LAYERS = NETWORK_MAX_LAYERS + 3 + NETWORK_MAX_CONVS };
struct work {
    const struct network *net;
    int depth;                /* hidden layers */
    int wide;                 /* the widest layer, padded to whole vectors */
    real *weight[ALL_LAYERS]; /* [N][K] folded, of all layers (kernels/layer.h) */
    real *bias[ALL_LAYERS];   /* [N] folded */
    real *conv
        [NETWORK_MAX_CONVS]; /* [row][column][channel][R] after each convolution; behind the last's, columns of no image: all fc1 sees */
    real *x[NETWORK_MAX_LAYERS]; /* [H][R] x̂ after each hidden layer */
    struct norm_rows rows[NETWORK_MAX_LAYERS];
    real *g, *gx;      /* [wide][R] gradients by a layer's output and input */
    real *conv_g[2];   /* gradients by the outputs of a convolution and the one before it */
    real *sum, *sum_x; /* [R] of a gradient by x̂: sums over the features, plain and times x̂ */
    real *turned;      /* [R][wide] g transposed */
    real *head;        /* [O][padded K + 1][ELEMENTS] sums of a narrow head's gradient */
    real *out, *p, *q; /* [O][R] */
    real *scratch;     /* [LOSS_ROWS][R] */
    double *row_sums;  /* [PASS_SUMS][R] */
    real *steps;       /* what a recurrent network keeps, cpu_gru.h */
};

static int padded(int n)
{
    return (n + (int)ELEMENTS - 1) / (int)ELEMENTS * (int)ELEMENTS;
}

/* A head of fewer outputs than a vector has elements: transposing it would leave most of them empty. */
static bool narrow_head(const struct network *net)
{
    return net->outputs < (int)ELEMENTS;
}

static size_t head_stride(const struct network *net)
{
    return (size_t)padded(net->hidden + 1) * ELEMENTS;
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
    for (int l = 0; l <= layer_last(net); l++) {
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

/* Features of the largest convolution. */
static size_t conv_largest(const struct network *net)
{
    size_t largest = 0;
    for (int i = 0; i < net->conv.layers; i++) {
        const struct conv_layer c = conv_layer_of(net, i);
        const size_t features = (size_t)conv_positions(&c) * (size_t)c.outputs;
        largest = features > largest ? features : largest;
    }
    return largest;
}

static void conv_lay_out(real **conv, const struct network *net, real *base, size_t *used)
{
    for (int i = 0; i < net->conv.layers; i++) {
        const struct conv_layer c = conv_layer_of(net, i);
        const bool last = i == net->conv.layers - 1;
        conv[i] = take(base, used, (size_t)(last ? layer_inputs(net, 0) : conv_positions(&c) * c.outputs) * TILE);
    }
}

/* What a task has for itself. */
static size_t work_lay_out(struct work *w, const struct network *net, real *base)
{
    size_t used = 0;
    w->net = net;
    w->depth = net->layers;
    int widest = layer_widest(net);
    if (net->gru && 3 * net->hidden > widest) widest = 3 * net->hidden;
    for (int i = 0; i < net->conv.layers; i++)
        if (net->conv.outputs[i] > widest) widest = net->conv.outputs[i];
    w->wide = padded(widest > net->outputs ? widest : net->outputs);
    for (int l = 0; l < net->layers; l++) {
        w->x[l] = take(base, &used, (size_t)layer_width(net, l) * TILE);
        w->rows[l].sum = take(base, &used, TILE);
        w->rows[l].offset = take(base, &used, TILE);
        w->rows[l].inverse = take(base, &used, TILE);
        w->rows[l].deviation = take(base, &used, TILE);
    }
    conv_lay_out(w->conv, net, base, &used);
    for (int i = 0; i < 2; i++) w->conv_g[i] = take(base, &used, conv_largest(net) * TILE);
    w->g = take(base, &used, (size_t)w->wide * TILE);
    w->gx = take(base, &used, (size_t)w->wide * TILE);
    w->sum = take(base, &used, TILE);
    w->sum_x = take(base, &used, TILE);
    w->turned = take(base, &used, (size_t)w->wide * TILE);
    w->head = take(base, &used, head_sums_size(net));
    w->out = take(base, &used, (size_t)net->outputs * TILE);
    w->p = take(base, &used, (size_t)net->outputs * TILE);
    w->q = take(base, &used, (size_t)net->outputs * TILE);
    w->scratch = take(base, &used, (size_t)LOSS_ROWS * TILE);
    w->row_sums = (double *)(void *)take(base, &used, (size_t)PASS_SUMS * TILE * sizeof(double) / sizeof(real));
    w->steps = base ? base + used : NULL; /* behind everything else */
    return used;
}

/* Where layer l's accumulators P [K + 1][padded N] begin; the layer after the last is log_std's [extra][R]. */
static size_t chunk_offset(const struct network *net, int layer)
{
    size_t at = 0;
    for (int l = 0; l < layer; l++) at += (size_t)(layer_inputs(net, l) + 1) * (size_t)padded(layer_outputs(net, l));
    return at;
}

static size_t chunk_size(const struct network *net)
{
    return chunk_offset(net, layer_last(net) + 1) + (size_t)net->extra * TILE;
}

/* Zeroes what is only ever added to: gradients of biases, of convolutions and log_std's. The first tile overwrites the rest. */
static void clear_chunk(const struct network *net, real *chunk)
{
    for (int l = 0; l <= layer_last(net); l++) {
        const size_t k = (size_t)layer_inputs(net, l), wide = (size_t)padded(layer_outputs(net, l));
        const size_t kept = l > layer_head(net) ? 0 : k;
        memset(chunk + chunk_offset(net, l) + kept * wide, 0, (k + 1 - kept) * wide * sizeof *chunk);
    }
    memset(chunk + chunk_offset(net, layer_last(net) + 1), 0, (size_t)net->extra * TILE * sizeof *chunk);
}

/* cpu_conv.h */
static void conv_forward(const struct work *w, const real *x);
static void conv_backward(const struct work *w, const real *x, const real *g, real *chunk);

/* ---- a tile -------------------------------------------------------------------------------------------------------------------------- */

static const real *layer_input(const struct work *w, int l, const real *x)
{
    return l > 0 ? w->x[l - 1] : w->net->conv.layers > 0 ? w->conv[w->net->conv.layers - 1] : x;
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

/* Convolutions and hidden layers of the tile x [D][R]; the activations stay in w. */
static void forward_hidden(const struct work *w, const real *x)
{
    const struct network *net = w->net;
    conv_forward(w, x);
    for (int l = 0; l < w->depth; l++) {
        struct product p = layer_product(w, l, layer_input(w, l, x), w->x[l]);
        p.sums = w->rows[l].sum;
        memset(p.sums, 0, TILE * sizeof *p.sums);
        gemm_then(&p, net->activation);
        if (net->layer_norm) normalise(p.out, layer_width(net, l), &w->rows[l]);
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

/* From g, the gradient by the outputs of the layer after the hidden ones, to the accumulators of hidden layers and convolutions. gx: another
 * array like g. */
static void backward_hidden(const struct work *w, const real *x, real *g, real *gx, real *chunk, bool fresh)
{
    const struct network *net = w->net;
    for (int l = w->depth; l > 0; l--) {
        real *sums = chunk + chunk_offset(net, l - 1);
        const int width = layer_width(net, l - 1);
        input_gradient(w, l, g, gx, w->x[l - 1], net->layer_norm);
        const struct hidden_backward h = {.n = width,
                                          .wide = padded(width),
                                          .x = w->x[l - 1],
                                          .g = gx,
                                          .keep = l > 1 || net->conv.layers > 0,
                                          .turned = w->turned,
                                          .total = sums + layer_inputs(net, l - 1) * padded(width),
                                          .rows = &w->rows[l - 1],
                                          .sum = w->sum,
                                          .sum_x = w->sum_x};
        hidden_backward(&h, net->activation, net->layer_norm);
        weight_gradient(w, l - 1, layer_input(w, l - 1, x), sums, fresh);
        real *swap = g;
        g = gx;
        gx = swap;
    }
    conv_backward(w, x, g, chunk);
}

/* The gradient by the one output, 1, back to the outputs of the first layer before its activation; no parameter's gradient is made. It is in
 * w->g or w->gx; the other one is free then, and returned in `spare`. */
static const real *derive_hidden(const struct work *w, real **spare)
{
    const struct network *net = w->net;
    real *g = w->g, *gx = w->gx;
    for (int r = 0; r < (int)TILE; r++) g[r] = 1;
    for (int l = w->depth; l > 0; l--) {
        input_gradient(w, l, g, gx, w->x[l - 1], net->layer_norm);
        const struct hidden_backward h = {
            .n = layer_width(net, l - 1), .x = w->x[l - 1], .g = gx, .rows = &w->rows[l - 1], .sum = w->sum, .sum_x = w->sum_x};
        hidden_backward(&h, net->activation, net->layer_norm);
        real *swap = g;
        g = gx;
        gx = swap;
    }
    *spare = gx;
    return g;
}

/* From there to inputs [from, from + width): out [width][R]. */
static void derive_inputs(const struct work *w, const real *g, int from, int width, real *out)
{
    const struct product p = {.out = out,
                              .a = w->weight[0] + from,
                              .b = g,
                              .row = 1,
                              .column = w->net->inputs,
                              .out_stride = TILE,
                              .b_stride = TILE,
                              .m = width,
                              .n = TILE,
                              .k = layer_outputs(w->net, 0)};
    gemm(&p);
}

static int rows_of_tile(const struct packed_rows *packed, int tile)
{
    const int left = packed->rows - tile * (int)TILE;
    return left < (int)TILE ? left : (int)TILE;
}

static real *tile_at(const struct packed_rows *packed, int tile)
{
    return packed->x + (size_t)tile * (size_t)packed->inputs * TILE;
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
                                   .log_std = w->net->extra > 0 ? pass->parameters + w->net->at.extra : NULL,
                                   .first = first,
                                   .rows = rows,
                                   .z = w->out,
                                   .g = w->g,
                                   .p = w->p,
                                   .q = w->q,
                                   .scratch = w->scratch,
                                   .row_sums = w->row_sums,
                                   .log_std_gradient = chunk + chunk_offset(w->net, layer_last(w->net) + 1)};
    if (pass->loss == LOSS_POLICY) {
        LEVELLED(policy_loss)(&loss);
    } else if (pass->loss == LOSS_VALUE) {
        LEVELLED(value_loss)(&loss);
    } else {
        LEVELLED(given_loss)(&loss);
    }
}

#include "backend/cpu_conv.h"

#endif
