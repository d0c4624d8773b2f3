/* Learners, optimisers, and operations on flat vectors. What decides about a step (norms, faults, Adam's numbers) stays on the device: nothing
 * here waits for the host. */
#include "cuda/ops.h"
#include "cuda/reduce.h"

extern "C" {
#include "backend/kernels/adam.h"
}

template <class PASS> struct some_passes { /* of one launch */
    PASS pass[PASSES_AT_ONCE];
    int count;
};

template <class PASS> static some_passes<PASS> passes_from(const PASS *pass, int first, int passes)
{
    some_passes<PASS> some;
    memset(&some, 0, sizeof some);
    some.count = passes - first < PASSES_AT_ONCE ? passes - first : PASSES_AT_ONCE;
    for (int p = 0; p < some.count; p++) some.pass[p] = pass[first + p];
    return some;
}

static __device__ size_t thread_item(void)
{
    return (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x;
}

/* Passes are worked on side by side, each with a `fault` of its own; the run's is the first of these in their order. By one thread. */
static __device__ void merge_faults(struct fault *run, const struct fault *found /* [count] */, int count)
{
    for (int p = 0; p < count; p++)
        if (found[p].kind != NO_FAULT) fault_note(run, &found[p]);
}

/* ---- PPO's learners: a thread each --------------------------------------------------------------------------------------------------- */

/* bad [bads] only with the first passes of a call (`clear`). */
static __global__ void start_kernel(const some_passes<ppo_pass> some, const struct ppo_rules rules, const uint64_t *bad, int bads,
                                    int clear)
{
    __shared__ struct fault found[PASSES_AT_ONCE];
    const struct fault none = {NO_FAULT, 0, 0, 0};
    const int p = (int)threadIdx.x;
    if (p < some.count) {
        const struct ppo_pass pass = some.pass[p];
        found[p] = none;
        ppo_learner_start(pass.learner, &rules, pass.numbers, pass.norm, &found[p], &pass.place, pass.advantage, pass.ret);
    }
    __syncthreads();
    if (p != 0) return;
    struct fault *run = some.pass[0].fault;
    if (clear) *run = none;
    for (int i = 0; i < bads; i++) {
        const struct fault data = {FAULT_DATA, i, 0, 0};
        if (bad[i] != NONFINITE_NONE) fault_note(run, &data);
    }
    merge_faults(run, found, some.count);
}

void learners_start(struct backend *backend, const struct ppo_rules *rules, const struct ppo_pass *pass, int passes, const uint64_t *bad,
                    int bads)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        LAUNCH(start_kernel, 1, WARP, 0, cuda_of(backend)->stream, passes_from(pass, first, passes), *rules, bad, first ? 0 : bads,
               first == 0);
        LAUNCHED("ppo_start");
    }
}

static __global__ void begin_kernel(const some_passes<ppo_pass> some, const struct ppo_rules rules)
{
    const int p = (int)threadIdx.x;
    if (p >= some.count) return;
    const struct ppo_pass pass = some.pass[p];
    ppo_learner_begin(pass.learner, pass.norm, &rules, pass.minibatch);
}

void learners_begin(struct backend *backend, const struct ppo_rules *rules, const struct ppo_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        LAUNCH(begin_kernel, 1, WARP, 0, cuda_of(backend)->stream, passes_from(pass, first, passes), *rules);
        LAUNCHED("ppo_begin");
    }
}

static __global__ void measure_kernel(const some_passes<ppo_pass> some, const struct ppo_rules rules)
{
    __shared__ struct fault found[PASSES_AT_ONCE];
    const int p = (int)threadIdx.x;
    if (p < some.count) {
        const struct ppo_pass pass = some.pass[p];
        found[p].kind = NO_FAULT;
        ppo_learner_measure(pass.learner, pass.norm, &rules, pass.minibatch, pass.sum, pass.sum + PASS_SUMS, &found[p], &pass.place);
    }
    __syncthreads();
    if (p == 0) merge_faults(some.pass[0].fault, found, some.count);
}

void learners_measure(struct backend *backend, const struct ppo_rules *rules, const struct ppo_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        LAUNCH(measure_kernel, 1, WARP, 0, cuda_of(backend)->stream, passes_from(pass, first, passes), *rules);
        LAUNCHED("ppo_measure");
    }
}

static __global__ void end_kernel(const some_passes<ppo_pass> some, const struct ppo_rules rules)
{
    const int p = (int)threadIdx.x;
    if (p < some.count) ppo_learner_end(some.pass[p].learner, &rules, some.pass[p].kl);
}

void learners_end(struct backend *backend, const struct ppo_rules *rules, const struct ppo_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        LAUNCH(end_kernel, 1, WARP, 0, cuda_of(backend)->stream, passes_from(pass, first, passes), *rules);
        LAUNCHED("ppo_end");
    }
}

/* ---- value heads that follow their normaliser: a block each -------------------------------------------------------------------------- */

static __global__ void rescale_kernel(const some_passes<rescale_pass> some)
{
    const struct rescale_pass pass = some.pass[blockIdx.x];
    if (pass.fault->kind != NO_FAULT) return;
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
        const some_passes<rescale_pass> some = passes_from(pass, first, passes);
        LAUNCH(rescale_kernel, (unsigned)some.count, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("rescale_heads");
    }
}

/* ---- optimisers: squared norms by many blocks, the last of all of them decides; then Adam, a thread per number ------------------------ */

enum { NORM_BLOCK_ITEMS = 8 * CUDA_THREADS };

struct norm_blocks {
    int of[PASSES_AT_ONCE];
    int all;
};

static __device__ double squares_of_thread(const float *x /* [n] */, size_t n, int blocks)
{
    double sum = 0;
    for (size_t i = thread_item(); i < n; i += (size_t)blocks * CUDA_THREADS) sum += (double)x[i] * (double)x[i];
    return sum;
}

static __device__ void prepare_step(const struct optimizer_pass *pass, const struct optimizer_rules *rules)
{
    optimizer_prepare(pass->optimizer, pass->with, rules, *pass->rate, pass->steps ? *pass->steps + pass->step + 1 : 0);
}

/* Block (x, y): part x of the norm of network y. partial [networks][PARTIAL_BLOCKS]. apart: steps are prepared by another kernel. */
static __global__ void prepare_kernel(const some_passes<optimizer_pass> some, const struct optimizer_rules rules,
                                      const struct norm_blocks blocks, double *partial, unsigned *ticket, bool apart)
{
    __shared__ struct fault found[PASSES_AT_ONCE];
    __shared__ double squares[PASSES_AT_ONCE];
    const int network = (int)blockIdx.y, thread = (int)threadIdx.x;
    if ((int)blockIdx.x >= blocks.of[network]) return;
    const double part = block_sum(squares_of_thread(some.pass[network].gradient, some.pass[network].n, blocks.of[network]));
    if (thread == 0) partial[(size_t)network * PARTIAL_BLOCKS + blockIdx.x] = part;
    if (!last_block(ticket, (unsigned)blocks.all)) return;
    const volatile double *all = partial;
    for (int y = 0; y < some.count; y++) {
        const double sum = block_sum(thread < blocks.of[y] ? all[y * PARTIAL_BLOCKS + thread] : 0.0);
        if (thread == 0) squares[y] = sum;
    }
    __syncthreads();
    if (thread < some.count) {
        const struct optimizer_pass pass = some.pass[thread];
        found[thread].kind = NO_FAULT;
        optimizer_measure(pass.optimizer, &rules, squares[thread], &pass.not_finite, &found[thread]);
    }
    __syncthreads();
    if (thread == 0) merge_faults(some.pass[0].fault, found, some.count);
    if (thread < some.count && !apart) prepare_step(&some.pass[thread], &rules);
}

/* The same where networks of different launches are clipped by one norm. */
static __global__ void prepare_apart_kernel(const some_passes<optimizer_pass> some, const struct optimizer_rules rules)
{
    if ((int)threadIdx.x < some.count) prepare_step(&some.pass[threadIdx.x], &rules);
}

static __global__ void adam_kernel(const some_passes<optimizer_pass> some)
{
    const struct optimizer_pass &pass = some.pass[blockIdx.y];
    const size_t i = thread_item();
    if (i >= pass.n || pass.fault->kind != NO_FAULT || optimizer_rests(pass.optimizer)) return;
    const struct adam_step step = pass.optimizer->step;
    adam_update(&step, pass.gradient[i], &pass.parameters[i], &pass.m[i], &pass.v[i]);
}

static void prepare_steps(struct cuda *cuda, const struct optimizer_rules *rules, const some_passes<optimizer_pass> *some, bool apart)
{
    struct norm_blocks blocks;
    memset(&blocks, 0, sizeof blocks);
    int most = 1;
    for (int p = 0; p < some->count; p++) {
        blocks.of[p] = partial_blocks(some->pass[p].n, NORM_BLOCK_ITEMS);
        blocks.all += blocks.of[p];
        most = blocks.of[p] > most ? blocks.of[p] : most;
    }
    LAUNCH(prepare_kernel, dim3((unsigned)most, (unsigned)some->count), CUDA_THREADS, 0, cuda->stream, *some, *rules, blocks,
           static_cast<double *>(cuda->scratch), cuda->ticket, apart);
    LAUNCHED("optimizer_prepare");
}

static bool clipped_together(const struct optimizer_pass *pass, int passes)
{
    for (int p = 0; p < passes; p++)
        if (pass[p].with) return true;
    return false;
}

void optimizers_step(struct backend *backend, const struct optimizer_rules *rules, const struct optimizer_pass *pass, int passes)
{
    if (backend->planning) return;
    struct cuda *cuda = cuda_of(backend);
    cuda->writes++;
    const bool apart = passes > PASSES_AT_ONCE && clipped_together(pass, passes);
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        const some_passes<optimizer_pass> some = passes_from(pass, first, passes);
        prepare_steps(cuda, rules, &some, apart);
    }
    for (int first = 0; first < passes && apart; first += PASSES_AT_ONCE) {
        LAUNCH(prepare_apart_kernel, 1, WARP, 0, cuda->stream, passes_from(pass, first, passes), *rules);
        LAUNCHED("optimizer_prepare");
    }
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        const some_passes<optimizer_pass> some = passes_from(pass, first, passes);
        size_t most = 0;
        for (int p = 0; p < some.count; p++) most = some.pass[p].n > most ? some.pass[p].n : most;
        LAUNCH(adam_kernel, dim3(cuda_blocks(most, CUDA_THREADS), (unsigned)some.count), CUDA_THREADS, 0, cuda->stream, some);
        LAUNCHED("adam");
    }
}

/* ---- self-play: a thread a row, or a number ------------------------------------------------------------------------------------------- */

static __global__ void home_kernel(const some_passes<home_pass> some)
{
    const struct home_pass p = some.pass[blockIdx.y];
    const size_t row = thread_item();
    if (row < home_rows_of(&p)) home_row(&p, row);
}

void learners_home(struct backend *backend, const struct home_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        const some_passes<home_pass> some = passes_from(pass, first, passes);
        size_t most = 1;
        for (int p = 0; p < some.count; p++) most = home_rows_of(&some.pass[p]) > most ? home_rows_of(&some.pass[p]) : most;
        LAUNCH(home_kernel, dim3(cuda_blocks(most, CUDA_THREADS), (unsigned)some.count), CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("home");
    }
}

static __device__ __host__ size_t forget_numbers(const struct forget_pass *p)
{
    return (size_t)p->envs * (size_t)p->width;
}

static __global__ void forget_kernel(const some_passes<forget_pass> some)
{
    const struct forget_pass p = some.pass[blockIdx.y];
    const size_t i = thread_item();
    if (i < forget_numbers(&p)) forget_number(&p, i);
}

void learners_forget(struct backend *backend, const struct forget_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        const some_passes<forget_pass> some = passes_from(pass, first, passes);
        size_t most = 1;
        for (int p = 0; p < some.count; p++) most = forget_numbers(&some.pass[p]) > most ? forget_numbers(&some.pass[p]) : most;
        LAUNCH(forget_kernel, dim3(cuda_blocks(most, CUDA_THREADS), (unsigned)some.count), CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("forget");
    }
}

/* ---- flat vectors: a thread per number ----------------------------------------------------------------------------------------------- */

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
