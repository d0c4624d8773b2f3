/* Convolutions of a tile of rows, and back. Features lie as [row][column][channel][R], so what a row of a kernel sees of one image is one run
 * of numbers, and so are its weights (kernels/layer.h): an output position is the sum of a few products of cpu_passes.h, one for each row of
 * the kernel in each image, and nothing is copied. Zeros around the image are left out. Part of cpu_tile.h. */
#ifndef MAPPO_BACKEND_CPU_CONV_H
#define MAPPO_BACKEND_CPU_CONV_H

#include "backend/cpu_tile.h"

/* What the kernel sees of the images from one position. */
struct conv_window {
    const struct network *net;
    struct conv_layer c;
    int layer;         /* which convolution */
    int y, x;          /* of its first row and column that are within the images … */
    int ky, kx;        /* … and of the kernel there */
    int rows, columns; /* that are within */
    int runs;          /* one for each row in each image */
};

static struct conv_window conv_window(const struct network *net, int layer, int position)
{
    const struct conv_layer c = conv_layer_of(net, layer);
    const int top = position / c.to_width - c.pad, left = position % c.to_width - c.pad;
    struct conv_window w = {.net = net, .c = c, .layer = layer, .ky = top < 0 ? -top : 0, .kx = left < 0 ? -left : 0};
    w.y = top + w.ky;
    w.x = left + w.kx;
    w.rows = (top + c.kernel < c.height ? top + c.kernel : c.height) - w.y;
    w.columns = (left + c.kernel < c.width ? left + c.kernel : c.width) - w.x;
    w.runs = c.images * w.rows;
    return w;
}

/* Run n: `count` numbers from number `input` of the convolution's input on, with the weights from column `column` on. */
struct conv_run {
    int input, column, count;
};
static struct conv_run conv_run(const struct conv_window *w, int n)
{
    const struct conv_layer *c = &w->c;
    const int image = n / w->rows, row = n % w->rows;
    return (struct conv_run){.input = conv_image(w->net, w->layer, image) + ((w->y + row) * c->width + w->x) * c->channels,
                             .column = ((image * c->kernel + w->ky + row) * c->kernel + w->kx) * c->channels,
                             .count = w->columns * c->channels};
}

static const real *conv_input(const struct work *w, int i, const real *x)
{
    return i == 0 ? x : w->conv[i - 1];
}

/* ---- forward ------------------------------------------------------------------------------------------------------------------------- */

static void conv_layer_forward(const struct work *w, int i, const real *x)
{
    const struct conv_layer c = conv_layer_of(w->net, i);
    const int l = layer_conv(w->net, i);
    real unused[TILE] __attribute__((aligned(64))) = {0}; /* sums over the channels, which a norm would want */
    for (int position = 0; position < conv_positions(&c); position++) {
        const struct conv_window window = conv_window(w->net, i, position);
        for (int n = 0; n < window.runs; n++) {
            const struct conv_run run = conv_run(&window, n);
            const struct product p = {.out = w->conv[i] + position * c.outputs * (int)TILE,
                                      .a = w->weight[l] + run.column,
                                      .b = x + run.input * (int)TILE,
                                      .row = conv_inputs(&c),
                                      .column = 1,
                                      .out_stride = TILE,
                                      .b_stride = TILE,
                                      .m = c.outputs,
                                      .n = TILE,
                                      .k = run.count,
                                      .bias = w->bias[l],
                                      .add = n > 0,
                                      .sums = unused};
            gemm_then(&p, n == window.runs - 1 ? w->net->activation : PLAIN);
        }
    }
}

/* From the tile x [D][R] to the features in w, behind which columns of no image are put. */
static void conv_forward(const struct work *w, const real *x)
{
    const struct network *net = w->net;
    if (net->conv.layers == 0) return;
    for (int i = 0; i < net->conv.layers; i++) conv_layer_forward(w, i, conv_input(w, i, x));
    real *beside = w->conv[net->conv.layers - 1] + conv_features(net) * (int)TILE;
    for (int j = 0; j < net->inputs; j++) {
        if (conv_is_image(net, j)) continue;
        memcpy(beside, x + j * (int)TILE, TILE * sizeof *beside);
        beside += TILE;
    }
}

/* ---- and back ------------------------------------------------------------------------------------------------------------------------ */

/* Adds one position's gradients g [N][R] by the sums before the activation to the accumulators of the weights, and, where it is wanted, to the
 * gradient by the input. */
static void conv_position_backward(const struct work *w, int i, int position, const real *x, const real *g, real *sums, real *gx)
{
    const struct conv_window window = conv_window(w->net, i, position);
    const int l = layer_conv(w->net, i), outputs = window.c.outputs, inputs = conv_inputs(&window.c), wide = padded(outputs);
    turn(g, outputs, w->turned, wide, sums + inputs * wide);
    for (int n = 0; n < window.runs; n++) {
        const struct conv_run run = conv_run(&window, n);
        const struct product weights = {.out = sums + run.column * wide,
                                        .a = x + run.input * (int)TILE,
                                        .b = w->turned,
                                        .row = TILE,
                                        .column = 1,
                                        .out_stride = wide,
                                        .b_stride = wide,
                                        .m = run.count,
                                        .n = wide,
                                        .k = TILE,
                                        .add = true};
        const struct product inputs_of = {.out = gx ? gx + run.input * (int)TILE : NULL,
                                          .a = w->weight[l] + run.column,
                                          .b = g,
                                          .row = 1,
                                          .column = inputs,
                                          .out_stride = TILE,
                                          .b_stride = TILE,
                                          .m = run.count,
                                          .n = TILE,
                                          .k = outputs,
                                          .add = true};
        gemm(&weights);
        if (gx) gemm(&inputs_of);
    }
}

/* From g, the gradient by fc1's outputs, to the accumulators of the convolutions. The images get none. */
static void conv_backward(const struct work *w, const real *x, const real *g, real *chunk)
{
    const struct network *net = w->net;
    if (net->conv.layers == 0) return;
    real *by_output = w->conv_g[0], *by_input = w->conv_g[1];
    const struct product features = {.out = by_output,
                                     .a = w->weight[0],
                                     .b = g,
                                     .row = 1,
                                     .column = layer_inputs(net, 0),
                                     .out_stride = TILE,
                                     .b_stride = TILE,
                                     .m = conv_features(net),
                                     .n = TILE,
                                     .k = layer_outputs(net, 0)};
    gemm(&features);
    for (int i = net->conv.layers - 1; i >= 0; i--) {
        const struct conv_layer c = conv_layer_of(net, i);
        const int positions = conv_positions(&c);
        const struct hidden_backward back = {.n = positions * c.outputs, .x = w->conv[i], .g = by_output};
        hidden_backward(&back, net->activation, false);
        if (i > 0) memset(by_input, 0, (size_t)(c.height * c.width * c.channels) * TILE * sizeof *by_input);
        for (int position = 0; position < positions; position++)
            conv_position_backward(w, i, position, conv_input(w, i, x), by_output + position * c.outputs * (int)TILE,
                                   chunk + chunk_offset(net, layer_conv(net, i)), i > 0 ? by_input : NULL);
        real *swap = by_output;
        by_output = by_input;
        by_input = swap;
    }
}

#endif
