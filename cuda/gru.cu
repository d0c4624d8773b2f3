/* A GRU over the rows of a part, which are steps one after another (struct recurrent): row first(t) + s is step t of sequence s, and
 * width(t) sequences have it.
 *
 *   forward   gates [R][3H] = W_ih x of all steps at once (mlp_composed.cu)
 *             begin       before [width(0)][H]       from the states that are given
 *             per step t  products [width(t)][3H]  = before(t) [width(t)][H] · W_hh [3H][H]ᵀ
 *                         cell: gates, products → gates, state(t), before(t + 1), a thread for a feature of a row
 *   back      per step t, the last first
 *                         cell_backward: gradient(t) + carry(t + 1) → gates, products, carry(t) [width(t)][H]
 *                         carry(t) += products(t) [width(t)][3H] · W_hh [3H][H]
 *             weights: gates ᵀ x, products ᵀ before of all steps at once (mlp_composed.cu)
 *
 * Launches follow from the widths, which are host memory, so recordings hold them. */
#include "cuda/gru.h"

#include "cuda/act.h"

extern "C" {
#include "backend/kernels/gru.h"
#include "backend/recurrent.h"
}

struct gru_step {
    struct gru_arrays arrays;
    struct batch batch;
    struct live_rows live;
    const float *bias_x, *bias_s, *hidden;
    const uint8_t *ended;
    int ended_rows;
    float *hidden_out;
    int features;         /* H */
    int first, width;     /* of this step */
    int next, next_width; /* of the one after it; width 0: there is none */
};

static struct gru_step step_of(const struct gru_pass *pass, int t)
{
    const struct recurrent *time = pass->time;
    const int rows = pass->live.rows;
    struct gru_step s = {pass->arrays,
                         time->batch,
                         pass->live,
                         pass->bias_x,
                         pass->bias_s,
                         time->hidden,
                         time->ended,
                         time->ended_rows,
                         time->hidden_out,
                         pass->hidden,
                         0,
                         0,
                         0,
                         0};
    for (int i = 0; i < t; i++) s.first += recurrent_width(time, rows, i);
    s.width = recurrent_width(time, rows, t);
    s.next = s.first + s.width;
    s.next_width = t + 1 < time->steps ? recurrent_width(time, rows, t + 1) : 0;
    return s;
}

static unsigned step_blocks(const struct gru_step *s)
{
    return cuda_blocks((size_t)s->width * (size_t)s->features, CUDA_THREADS);
}

/* The feature of a sequence that is this thread's; false: none. `there`: its row is one of those that there are at the moment. */
static __device__ bool step_place(const struct gru_step *s, int *sequence, int *j, bool *there)
{
    const size_t i = (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x;
    *sequence = (int)(i / (size_t)s->features);
    *j = (int)(i % (size_t)s->features);
    *there = s->first + *sequence < live_count(&s->live);
    return *sequence < s->width;
}

static __device__ bool state_is_kept(const struct gru_step *s, int row)
{
    return !s->ended || s->ended[batch_row(&s->batch, row) / (size_t)s->ended_rows] == 0;
}

static __global__ void __launch_bounds__(CUDA_THREADS) gru_begin_kernel(const struct gru_step s)
{
    int row, j;
    bool there;
    if (!step_place(&s, &row, &j, &there)) return;
    const size_t h = (size_t)s.features;
    const bool given = there && s.hidden && state_is_kept(&s, row);
    s.arrays.before[(size_t)row * h + (size_t)j] = given ? s.hidden[batch_row(&s.batch, row) * h + (size_t)j] : 0.0f;
}

static __global__ void __launch_bounds__(CUDA_THREADS) gru_cell_kernel(const struct gru_step s)
{
    int sequence, j;
    bool there;
    if (!step_place(&s, &sequence, &j, &there) || !there) return;
    const int row = s.first + sequence, h = s.features;
    const size_t at = (size_t)row * (size_t)h + (size_t)j;
    float *x = s.arrays.gates + 3 * (size_t)row * (size_t)h + j, *p = s.arrays.products + 3 * (size_t)row * (size_t)h + j;
    const float *bx = s.bias_x + j, *bs = s.bias_s + j, fresh = p[2 * h] + bs[2 * h];
    const struct gru_gates g = gru_gates(x[0] + bx[0], x[h] + bx[h], x[2 * h] + bx[2 * h], p[0] + bs[0], p[h] + bs[h], fresh);
    const float state = gru_state(&g, s.arrays.before[at]);
    x[0] = g.reset;
    x[h] = g.update;
    x[2 * h] = g.fresh;
    p[2 * h] = fresh; /* the way back needs it */
    s.arrays.state[at] = state;
    if (s.hidden_out) s.hidden_out[batch_row(&s.batch, row) * (size_t)h + (size_t)j] = state;
    const int next = s.next + sequence;
    if (sequence < s.next_width) s.arrays.before[(size_t)next * (size_t)h + (size_t)j] = state_is_kept(&s, next) ? state : 0.0f;
}

void gru_forward(struct cuda *cuda, const struct gru_pass *pass)
{
    const int h = pass->hidden;
    const struct gru_step begin = step_of(pass, 0);
    LAUNCH(gru_begin_kernel, step_blocks(&begin), CUDA_THREADS, 0, cuda->stream, begin);
    LAUNCHED("states of sequences");
    for (int t = 0; t < pass->time->steps; t++) {
        const struct gru_step s = step_of(pass, t);
        if (s.width == 0) return;
        const struct live_rows live = {pass->live.count, pass->live.batch_rows, pass->live.first + s.first, s.width};
        const struct gemm product = {pass->arrays.products + 3 * (size_t)s.first * (size_t)h,
                                     pass->arrays.before + (size_t)s.first * (size_t)h,
                                     pass->weight,
                                     s.width,
                                     3 * h,
                                     h,
                                     3 * h,
                                     h,
                                     h,
                                     false,
                                     true,
                                     false,
                                     live};
        gemm_run(cuda, &product);
        LAUNCH(gru_cell_kernel, step_blocks(&s), CUDA_THREADS, 0, cuda->stream, s);
        LAUNCHED("a step of a GRU");
    }
}

static __global__ void __launch_bounds__(CUDA_THREADS)
    gru_cell_backward_kernel(const struct gru_step s, const float *gradient, float *carry)
{
    int sequence, j;
    bool there;
    if (!step_place(&s, &sequence, &j, &there)) return;
    const int row = s.first + sequence, h = s.features;
    const size_t at = (size_t)row * (size_t)h + (size_t)j;
    float *x = s.arrays.gates + 3 * (size_t)row * (size_t)h + j, *p = s.arrays.products + 3 * (size_t)row * (size_t)h + j;
    float *after = carry + (size_t)sequence * (size_t)h + j;
    if (!there) { /* adds nothing, whatever an earlier pass has left in the other factor's place */
        x[0] = x[h] = x[2 * h] = p[0] = p[h] = p[2 * h] = 0;
        return;
    }
    const struct gru_gates g = {x[0], x[h], x[2 * h]};
    const bool goes_on = sequence < s.next_width && state_is_kept(&s, s.next + sequence);
    const struct gru_gradient d = gru_gradient(&g, p[2 * h], s.arrays.before[at], goes_on ? gradient[at] + *after : gradient[at]);
    x[0] = p[0] = d.reset;
    x[h] = p[h] = d.update;
    x[2 * h] = d.fresh;
    p[2 * h] = d.state;
    *after = d.h;
}

void gru_backward(struct cuda *cuda, const struct gru_pass *pass, const float *gradient, float *carry)
{
    const int h = pass->hidden;
    for (int t = pass->time->steps - 1; t >= 0; t--) {
        const struct gru_step s = step_of(pass, t);
        if (s.width == 0) continue;
        LAUNCH(gru_cell_backward_kernel, step_blocks(&s), CUDA_THREADS, 0, cuda->stream, s, gradient, carry);
        LAUNCHED("a step of a GRU backwards");
        if (t == 0) return; /* the stored state has no gradient */
        const struct gemm product = {carry,
                                     pass->arrays.products + 3 * (size_t)s.first * (size_t)h,
                                     pass->weight,
                                     s.width,
                                     h,
                                     3 * h,
                                     h,
                                     3 * h,
                                     h,
                                     false,
                                     false,
                                     true,
                                     {NULL, 0, 0, 0}};
        gemm_run(cuda, &product);
    }
}
