/* Learners, and operations on flat vectors. What decides about a step (norms, trouble, Adam's numbers) stays on the device: nothing here
 * waits for the host. */
#include "cuda/ops.h"
#include "cuda/reduce.h"

extern "C" {
#include "backend/kernels/adam.h"
}

struct learner_passes {
    struct learner_pass pass[PASSES_AT_ONCE];
    int count;
};

static struct learner_passes passes_from(const struct learner_pass *pass, int first, int passes)
{
    struct learner_passes some;
    memset(&some, 0, sizeof some);
    some.count = passes - first < PASSES_AT_ONCE ? passes - first : PASSES_AT_ONCE;
    for (int p = 0; p < some.count; p++) some.pass[p] = pass[first + p];
    return some;
}

/* Learners are worked on side by side, each with a `trouble` of its own; the run's is the first of these in their order. By one thread. */
static __device__ void merge_trouble(struct trouble *run, const struct trouble *found /* [count] */, int count)
{
    for (int p = 0; p < count && run->kind == TROUBLE_NONE; p++)
        if (found[p].kind != TROUBLE_NONE) *run = found[p];
}

/* ---- start and begin: a thread per learner ------------------------------------------------------------------------------------------- */

/* bad [bads] only with the first passes of a call (`clear`). */
static __global__ void start_kernel(const struct learner_passes some, const uint64_t *bad, int bads, int clear)
{
    __shared__ struct trouble found[PASSES_AT_ONCE];
    const struct trouble none = {TROUBLE_NONE, 0, 0, 0};
    const int p = (int)threadIdx.x;
    if (p < some.count) {
        const struct learner_pass pass = some.pass[p];
        const struct learner_place place = {pass.number, 0, 0, 0};
        found[p] = none;
        learner_start(pass.learner, pass.norm, &found[p], &place, pass.advantage, pass.ret);
    }
    __syncthreads();
    if (p != 0) return;
    struct trouble *run = some.pass[0].trouble;
    if (clear) *run = none;
    for (int i = 0; i < bads; i++) {
        const struct learner_place place = {i, 0, 0, 0};
        if (bad[i] != NONFINITE_NONE) learner_trouble(run, TROUBLE_DATA, &place);
    }
    merge_trouble(run, found, some.count);
}

void learners_start(struct backend *backend, const struct learner_pass *pass, int passes, const uint64_t *bad, int bads)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        const struct learner_passes some = passes_from(pass, first, passes);
        LAUNCH(start_kernel, 1, WARP, 0, cuda_of(backend)->stream, some, bad, first ? 0 : bads, first == 0);
        LAUNCHED("learner_start");
    }
}

static __global__ void begin_kernel(const struct learner_passes some, const struct learner_rules rules)
{
    const int p = (int)threadIdx.x;
    if (p >= some.count) return;
    const struct learner_pass pass = some.pass[p];
    learner_begin(pass.learner, pass.norm, &rules, pass.minibatch);
}

void learners_begin(struct backend *backend, const struct learner_rules *rules, const struct learner_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        const struct learner_passes some = passes_from(pass, first, passes);
        LAUNCH(begin_kernel, 1, WARP, 0, cuda_of(backend)->stream, some, *rules);
        LAUNCHED("learner_begin");
    }
}

/* ---- value heads that follow their normaliser: a block each -------------------------------------------------------------------------- */

struct rescale_passes {
    struct rescale_pass pass[PASSES_AT_ONCE];
};

static __global__ void rescale_kernel(const struct rescale_passes some)
{
    const struct rescale_pass pass = some.pass[blockIdx.x];
    if (pass.trouble->kind != TROUBLE_NONE) return;
    const struct rescale rescale = *pass.rescale;
    for (int i = (int)threadIdx.x; i < pass.outputs * pass.inputs; i += CUDA_THREADS)
        pass.weight[i] = rescaled_weight(&rescale, pass.weight[i]);
    for (int o = (int)threadIdx.x; o < pass.outputs; o += CUDA_THREADS) pass.bias[o] = rescaled_output(&rescale, pass.bias[o]);
}

void learners_rescale_heads(struct backend *backend, const struct rescale_pass *pass, int passes)
{
    if (backend->planning) return;
    cuda_of(backend)->writes++;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        struct rescale_passes some;
        memset(&some, 0, sizeof some);
        const int count = passes - first < PASSES_AT_ONCE ? passes - first : PASSES_AT_ONCE;
        for (int p = 0; p < count; p++) some.pass[p] = pass[first + p];
        LAUNCH(rescale_kernel, (unsigned)count, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("rescale_heads");
    }
}

/* ---- judge: squared norms by many blocks; the last of all of them judges ------------------------------------------------------------- */

enum { NORM_BLOCK_ITEMS = 8 * CUDA_THREADS, NORMS = 2 /* of a learner: actor, critic */ };

struct norm_blocks {
    int of[PASSES_AT_ONCE][NORMS];
    int all;
};

static __device__ double squares_of_thread(const float *x /* [n] */, size_t n, int blocks)
{
    double sum = 0;
    for (size_t i = (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x; i < n; i += (size_t)blocks * CUDA_THREADS)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

static __device__ void judge_pass(const struct learner_pass *pass, const struct learner_rules *rules, const double squares[NORMS],
                                  struct trouble *found)
{
    const struct learner_place place = {pass->number, pass->epoch, pass->minibatch_number, pass->now->steps + pass->step + 1};
    struct learner_sums sums;
    sums.actor = pass->sum;
    sums.critic = pass->sum + PASS_SUMS;
    sums.actor_squares = squares[0];
    sums.critic_squares = squares[1];
    sums.rows = pass->minibatch->ret.count;
    found->kind = TROUBLE_NONE;
    learner_judge(pass->learner, pass->norm, rules, pass->now, found, &place, &sums);
}

/* Block (x, y): part x of norm y % NORMS of learner y / NORMS. partial [learners][NORMS][PARTIAL_BLOCKS] */
static __global__ void judge_kernel(const struct learner_passes some, const struct learner_rules rules, const struct norm_blocks blocks,
                                    double *partial, unsigned *ticket)
{
    __shared__ struct trouble found[PASSES_AT_ONCE];
    __shared__ double squares[PASSES_AT_ONCE][NORMS];
    const int learner = (int)blockIdx.y / NORMS, norm = (int)blockIdx.y % NORMS, thread = (int)threadIdx.x;
    if ((int)blockIdx.x >= blocks.of[learner][norm]) return;
    {
        const struct learner_pass pass = some.pass[learner];
        const double sum = block_sum(squares_of_thread(norm == 0 ? pass.gradient : pass.gradient + pass.actor,
                                                       norm == 0 ? pass.actor : pass.critic, blocks.of[learner][norm]));
        if (thread == 0) partial[(size_t)blockIdx.y * PARTIAL_BLOCKS + blockIdx.x] = sum;
    }
    if (!last_block(ticket, (unsigned)blocks.all)) return;
    const volatile double *all = partial;
    for (int y = 0; y < NORMS * some.count; y++) {
        const double sum = block_sum(thread < blocks.of[y / NORMS][y % NORMS] ? all[y * PARTIAL_BLOCKS + thread] : 0.0);
        if (thread == 0) squares[y / NORMS][y % NORMS] = sum;
    }
    __syncthreads();
    if (thread < some.count) {
        const struct learner_pass pass = some.pass[thread];
        judge_pass(&pass, &rules, squares[thread], &found[thread]);
    }
    __syncthreads();
    if (thread == 0) merge_trouble(some.pass[0].trouble, found, some.count);
}

void learners_judge(struct backend *backend, const struct learner_rules *rules, const struct learner_pass *pass, int passes)
{
    if (backend->planning) return;
    struct cuda *cuda = cuda_of(backend);
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        const struct learner_passes some = passes_from(pass, first, passes);
        struct norm_blocks blocks;
        memset(&blocks, 0, sizeof blocks);
        int most = 1;
        for (int p = 0; p < some.count; p++) {
            blocks.of[p][0] = partial_blocks(some.pass[p].actor, NORM_BLOCK_ITEMS);
            blocks.of[p][1] = partial_blocks(some.pass[p].critic, NORM_BLOCK_ITEMS);
            for (int k = 0; k < NORMS; k++) {
                blocks.all += blocks.of[p][k];
                most = blocks.of[p][k] > most ? blocks.of[p][k] : most;
            }
        }
        LAUNCH(judge_kernel, dim3((unsigned)most, (unsigned)(NORMS * some.count)), CUDA_THREADS, 0, cuda->stream, some, *rules, blocks,
               static_cast<double *>(cuda->scratch), cuda->ticket);
        LAUNCHED("learner_judge");
    }
}

/* ---- flat vectors: a thread per number ----------------------------------------------------------------------------------------------- */

static __device__ size_t thread_item(void)
{
    return (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x;
}

static __global__ void add_kernel(float *to, const float *from, size_t n)
{
    const size_t i = thread_item();
    if (i < n) to[i] += from[i];
}

void vector_add(struct backend *backend, real *to, const real *from, size_t n)
{
    if (backend->planning || n == 0) return;
    LAUNCH(add_kernel, cuda_blocks(n, CUDA_THREADS), CUDA_THREADS, 0, cuda_of(backend)->stream, to, from, n);
    LAUNCHED("add");
}

static __global__ void adam_kernel(const struct adam_step *step, const struct trouble *trouble, float *__restrict__ parameters,
                                   const float *__restrict__ gradient, float *__restrict__ m, float *__restrict__ v, size_t n)
{
    if (trouble && trouble->kind != TROUBLE_NONE) return;
    const struct adam_step s = *step;
    const size_t i = thread_item();
    if (i < n) adam_update(&s, gradient[i], &parameters[i], &m[i], &v[i]);
}

void vector_adam(struct backend *backend, const struct adam_step *step, const struct trouble *trouble, real *parameters,
                 const real *gradient, real *m, real *v, size_t n)
{
    if (backend->planning || n == 0) return;
    cuda_of(backend)->writes++;
    LAUNCH(adam_kernel, cuda_blocks(n, CUDA_THREADS), CUDA_THREADS, 0, cuda_of(backend)->stream, step, trouble, parameters, gradient, m, v,
           n);
    LAUNCHED("adam");
}

static __global__ void soft_update_kernel(float *__restrict__ target, const float *__restrict__ from, float tau, size_t n)
{
    const size_t i = thread_item();
    if (i < n) target[i] = soft_update_of(target[i], from[i], tau);
}

void vector_soft_update(struct backend *backend, real *target, const real *from, real tau, size_t n)
{
    if (backend->planning || n == 0) return;
    cuda_of(backend)->writes++;
    LAUNCH(soft_update_kernel, cuda_blocks(n, CUDA_THREADS), CUDA_THREADS, 0, cuda_of(backend)->stream, target, from, tau, n);
    LAUNCHED("soft_update");
}
