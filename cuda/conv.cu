/* Convolutions as matrix products. A row's features are [row][column][channel], so the outputs of all positions of all rows are a matrix
 * [R positions][N], and so is everything that its kernels see, [R positions][K], columns [image][row][column][channel] as in the folded
 * weights (kernels/layer.h): it is put together for a slice of the rows at a time, so that it stays in the cache and its space is bounded.
 *
 *   forward   per slice: seen [S P][K] from the input; x [S P][N] = seen · Wᵀ; then activation(x + bias)
 *   back      g [R P][N]: through the activation; sums of its columns are the bias's gradients
 *             per slice: the weights' += gᵀ · seen; and, where there is a convolution before it, seen = g · W, of which each number of
 *             the input adds up those that saw it, row by row of the kernel
 *
 * An output is one sum over K in the order that gemm.h promises, whatever other rows there are. */
#include "cuda/conv.h"

#include "cuda/layout.h"

extern "C" {
#include "backend/kernels/math.h"
#include "backend/kernels/norm.h"
}

enum { SLICE_FLOATS = 8 * 1024 * 1024, ROWS_LEAST = 64, ROWS_MOST = 32768 };

struct conv_arrays {
    float *x[NETWORK_MAX_CONVS]; /* [R P][N] after each convolution */
    float *output;               /* [R][layer_inputs(net, 0)]; where no column is beside the images, the last x */
    float *g[2];                 /* [R][largest] gradients by the outputs of a convolution and the one before it */
    float *seen;                 /* [S P][K] */
};

static size_t features_of(const struct network *net, int i)
{
    const struct conv_layer c = conv_layer_of(net, i);
    return (size_t)conv_positions(&c) * (size_t)c.outputs;
}

static size_t largest(const struct network *net)
{
    size_t most = 0;
    for (int i = 0; i < net->conv.layers; i++) most = features_of(net, i) > most ? features_of(net, i) : most;
    return most;
}

int conv_most_rows(const struct network *net, int floats)
{
    const size_t rows = (size_t)floats / largest(net) / ROWS_LEAST * ROWS_LEAST;
    return rows < ROWS_LEAST ? ROWS_LEAST : rows > ROWS_MOST ? ROWS_MOST : (int)rows;
}

/* Rows of a slice of convolution i. */
static int slice_rows(const struct network *net, int i)
{
    const struct conv_layer c = conv_layer_of(net, i);
    const size_t rows = SLICE_FLOATS / ((size_t)conv_positions(&c) * (size_t)conv_inputs(&c));
    return rows < 1 ? 1 : rows > ROWS_MOST ? ROWS_MOST : (int)rows;
}

static float *carve(float *base, size_t *used, size_t n)
{
    float *p = base ? base + *used : NULL;
    *used += (n + 63) / 64 * 64;
    return p;
}

static size_t lay_out(struct conv_arrays *a, const struct network *net, int rows, float *base)
{
    size_t used = 0, seen = 0;
    for (int i = 0; i < net->conv.layers; i++) {
        const struct conv_layer c = conv_layer_of(net, i);
        const size_t slice = (size_t)(slice_rows(net, i) < rows ? slice_rows(net, i) : rows);
        const size_t floats = slice * (size_t)conv_positions(&c) * (size_t)conv_inputs(&c);
        seen = floats > seen ? floats : seen;
        a->x[i] = carve(base, &used, (size_t)rows * features_of(net, i));
    }
    a->output = a->x[net->conv.layers - 1];
    if (conv_beside(net) > 0) a->output = carve(base, &used, (size_t)rows * (size_t)layer_inputs(net, 0));
    for (int i = 0; i < 2; i++) a->g[i] = carve(base, &used, (size_t)rows * largest(net));
    a->seen = carve(base, &used, seen);
    return used;
}

size_t conv_floats(const struct network *net, int rows)
{
    struct conv_arrays a;
    return lay_out(&a, net, rows, NULL);
}

const float *conv_output(const struct network *net, float *space, int rows)
{
    struct conv_arrays a;
    lay_out(&a, net, rows, space);
    return a.output;
}

/* ---- between input and matrix -------------------------------------------------------------------------------------------------------- */

/* Rows [first, first + rows) of a part. `wide`: floats from row to row of the input; image m from column image + m * stride on. */
struct slice {
    struct conv_layer c;
    int first, rows, wide, image, stride;
};

static struct slice slice_of(const struct conv_pass *p, int i, int first)
{
    const struct conv_layer c = conv_layer_of(p->net, i);
    const int most = slice_rows(p->net, i), left = p->live.rows - first;
    const struct slice s = {c,
                            first,
                            left < most ? left : most,
                            i == 0 ? p->net->inputs : c.height * c.width * c.channels,
                            conv_image(p->net, i, 0),
                            i == 0 ? p->net->conv.stride : 0};
    return s;
}

/* A thread a number that is seen; zeros around the images. */
static __global__ void __launch_bounds__(CUDA_THREADS) gather_kernel(const struct slice s, const float *x, float *seen)
{
    const size_t i = (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x;
    const int inputs = conv_inputs(&s.c), positions = conv_positions(&s.c), k = (int)(i % (size_t)inputs);
    const size_t at = i / (size_t)inputs, row = at / (size_t)positions;
    if (row >= (size_t)s.rows) return;
    const int position = (int)(at % (size_t)positions), channel = k % s.c.channels, tap = k / s.c.channels;
    const int ky = tap / s.c.kernel % s.c.kernel, kx = tap % s.c.kernel, image = tap / (s.c.kernel * s.c.kernel);
    const int y = position / s.c.to_width + ky - s.c.pad, column = position % s.c.to_width + kx - s.c.pad;
    const bool inside = y >= 0 && y < s.c.height && column >= 0 && column < s.c.width;
    const float *from = x + ((size_t)s.first + row) * (size_t)s.wide + (size_t)(s.image + image * s.stride);
    seen[i] = inside ? from[(y * s.c.width + column) * s.c.channels + channel] : 0.0f;
}

/* A thread a number of the input, of one image: gx = the sum of its gradients as it was seen, row by row of the kernel. */
static __global__ void __launch_bounds__(CUDA_THREADS) scatter_kernel(const struct slice s, const float *seen, float *gx)
{
    const size_t i = (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x, row = i / (size_t)s.wide;
    if (row >= (size_t)s.rows) return;
    const int at = (int)(i % (size_t)s.wide), channel = at % s.c.channels, y = at / s.c.channels / s.c.width,
              column = at / s.c.channels % s.c.width;
    const size_t inputs = (size_t)conv_inputs(&s.c), first = row * (size_t)conv_positions(&s.c);
    float sum = 0;
    for (int ky = 0; ky < s.c.kernel; ky++)
        for (int kx = 0; kx < s.c.kernel; kx++) {
            const int to_y = y - ky + s.c.pad, to_x = column - kx + s.c.pad;
            if (to_y < 0 || to_y >= s.c.to_height || to_x < 0 || to_x >= s.c.to_width) continue;
            sum +=
                seen[(first + (size_t)(to_y * s.c.to_width + to_x)) * inputs + (size_t)((ky * s.c.kernel + kx) * s.c.channels + channel)];
        }
    gx[(size_t)s.first * (size_t)s.wide + i] = sum;
}

static void gather(struct cuda *cuda, const struct slice *s, const float *x, float *seen)
{
    const size_t n = (size_t)s->rows * (size_t)conv_positions(&s->c) * (size_t)conv_inputs(&s->c);
    LAUNCH(gather_kernel, cuda_blocks(n, CUDA_THREADS), CUDA_THREADS, 0, cuda->stream, *s, x, seen);
    LAUNCHED("what convolutions see");
}

/* ---- forward ------------------------------------------------------------------------------------------------------------------------- */

/* x [R][features] = activation(x + bias of the channel); 0 in rows that are not there. */
static __global__ void __launch_bounds__(CUDA_THREADS)
    activation_kernel(const struct live_rows l, float *x, int features, int channels, const float *bias, int activation)
{
    const size_t i = (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x, row = i / (size_t)features;
    if (row >= (size_t)l.rows) return;
    x[i] = row < (size_t)live_count(&l) ? activation_of(x[i] + bias[i % (size_t)channels], activation) : 0.0f;
}

/* output [R][features + beside]: the last convolution's features, then the columns of no image; a thread a number. */
struct joining {
    struct network net;
    const float *x, *input;
    float *output;
    int rows, features, all;
};
static __global__ void __launch_bounds__(CUDA_THREADS) join_kernel(const struct joining j)
{
    const size_t i = (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x, row = i / (size_t)j.all;
    if (row >= (size_t)j.rows) return;
    const int at = (int)(i % (size_t)j.all);
    if (at < j.features) {
        j.output[i] = j.x[row * (size_t)j.features + (size_t)at];
        return;
    }
    int column = 0;
    for (int left = at - j.features;; column++)
        if (!conv_is_image(&j.net, column) && left-- == 0) break;
    j.output[i] = j.input[row * (size_t)j.net.inputs + (size_t)column];
}

static void join(struct cuda *cuda, const struct conv_pass *p, const struct conv_arrays *a)
{
    const int last = p->net->conv.layers - 1;
    if (a->output == a->x[last]) return;
    const struct joining j = {*p->net, a->x[last], p->input, a->output, p->live.rows, conv_features(p->net), layer_inputs(p->net, 0)};
    LAUNCH(join_kernel, cuda_blocks((size_t)j.rows * (size_t)j.all, CUDA_THREADS), CUDA_THREADS, 0, cuda->stream, j);
    LAUNCHED("columns beside images");
}

/* Rows of a matrix with a row for each position. */
static struct live_rows live_positions(const struct live_rows *l, int first, int rows, int positions)
{
    CHECK((int64_t)(l->count ? l->first + first + rows : 0) * positions <= INT32_MAX, "%d rows of %d positions are too many to be counted",
          l->first + first + rows, positions);
    const struct live_rows at = {l->count, l->batch_rows * positions, l->count ? (l->first + first) * positions : 0, rows * positions};
    return at;
}

void conv_forward(struct cuda *cuda, const struct conv_pass *p)
{
    struct conv_arrays a;
    lay_out(&a, p->net, p->rows, p->space);
    for (int i = 0; i < p->net->conv.layers; i++) {
        const float *x = i == 0 ? p->input : a.x[i - 1];
        const int l = layer_conv(p->net, i);
        const struct conv_layer c = conv_layer_of(p->net, i);
        const int n = c.outputs, k = conv_inputs(&c), positions = conv_positions(&c);
        for (int first = 0; first < p->live.rows; first += slice_rows(p->net, i)) {
            const struct slice s = slice_of(p, i, first);
            gather(cuda, &s, x, a.seen);
            const struct gemm product = {a.x[i] + (size_t)first * features_of(p->net, i),
                                         a.seen,
                                         p->folded + layout_weight(p->net, l),
                                         s.rows * positions,
                                         n,
                                         k,
                                         n,
                                         k,
                                         k,
                                         false,
                                         true,
                                         false,
                                         live_positions(&p->live, first, s.rows, positions)};
            gemm_run(cuda, &product);
        }
        LAUNCH(activation_kernel, cuda_blocks((size_t)p->live.rows * features_of(p->net, i), CUDA_THREADS), CUDA_THREADS, 0, cuda->stream,
               p->live, a.x[i], (int)features_of(p->net, i), n, p->folded + layout_bias(p->net, l), p->net->activation);
        LAUNCHED("a convolution");
    }
    join(cuda, p, &a);
}

/* ---- and back ------------------------------------------------------------------------------------------------------------------------ */

/* g, the gradient by outputs x, to that by the sums before the activation; 0 in rows that are not there. */
static __global__ void __launch_bounds__(CUDA_THREADS)
    slope_kernel(const struct live_rows l, float *g, const float *x, int features, int activation)
{
    const size_t i = (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x, row = i / (size_t)features;
    const struct norm_row none = {0, 1, 1};
    if (row >= (size_t)l.rows) return;
    g[i] = row < (size_t)live_count(&l) ? norm_gradient(&none, g[i], x[i], 0, 0, activation) : 0.0f;
}

/* Sums of convolution i from g, the gradient by its sums before the activation; gx: that by its input, NULL = not wanted. */
static void layer_backward(struct cuda *cuda, const struct conv_pass *p, const struct conv_arrays *a, int i, const float *g, float *gx)
{
    const struct conv_layer c = conv_layer_of(p->net, i);
    const int l = layer_conv(p->net, i), n = c.outputs, k = conv_inputs(&c), positions = conv_positions(&c);
    const bool more = p->live.first > 0; /* an earlier part has left its sums */
    const struct column_sums bias = {g, p->live.rows * positions, n, n, n, p->columns, p->chunk + layout_bias(p->net, l), NULL, more};
    column_sums(cuda, &bias);
    for (int first = 0; first < p->live.rows; first += slice_rows(p->net, i)) {
        const struct slice s = slice_of(p, i, first);
        const float *of_slice = g + (size_t)first * features_of(p->net, i);
        const struct gemm weights = {p->chunk + layout_weight(p->net, l),
                                     of_slice,
                                     a->seen,
                                     n,
                                     k,
                                     s.rows * positions,
                                     k,
                                     n,
                                     k,
                                     true,
                                     false,
                                     more || first > 0,
                                     {NULL, 0, 0, 0}};
        const struct gemm input = {a->seen, of_slice, p->folded + layout_weight(p->net, l), s.rows * positions, k, n, k, n, k, false,
                                   false,   false,    {NULL, 0, 0, s.rows * positions}};
        gather(cuda, &s, i == 0 ? p->input : a->x[i - 1], a->seen);
        gemm_run(cuda, &weights);
        if (!gx) continue;
        gemm_run(cuda, &input);
        LAUNCH(scatter_kernel, cuda_blocks((size_t)s.rows * (size_t)s.wide, CUDA_THREADS), CUDA_THREADS, 0, cuda->stream, s, a->seen, gx);
        LAUNCHED("a convolution backwards");
    }
}

void conv_backward(struct cuda *cuda, const struct conv_pass *p, const float *g, int ld)
{
    struct conv_arrays a;
    const struct network *net = p->net;
    lay_out(&a, net, p->rows, p->space);
    float *by_output = a.g[0], *by_input = a.g[1];
    const int features = conv_features(net), width = layer_outputs(net, 0), all = layer_inputs(net, 0);
    const struct gemm first = {
        by_output, g, p->folded + layout_weight(net, 0), p->live.rows, features, width, features, ld, all, false, false, false, p->live};
    gemm_run(cuda, &first);
    for (int i = net->conv.layers - 1; i >= 0; i--) {
        const size_t numbers = (size_t)p->live.rows * features_of(net, i);
        LAUNCH(slope_kernel, cuda_blocks(numbers, CUDA_THREADS), CUDA_THREADS, 0, cuda->stream, p->live, by_output, a.x[i],
               (int)features_of(net, i), net->activation);
        LAUNCHED("a convolution backwards");
        layer_backward(cuda, p, &a, i, by_output, i > 0 ? by_input : NULL);
        float *swap = by_output;
        by_output = by_input;
        by_input = swap;
    }
}
