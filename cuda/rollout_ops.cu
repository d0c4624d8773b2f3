/* Arithmetic on whole rollouts: arrays [T][E][A], read in their natural order by neighbouring threads. One launch does PASSES_AT_ONCE
 * passes, the block's y being the pass; blocks that a smaller pass does not need return at once. */
#include "cuda/ops.h"
#include "cuda/reduce.h"

extern "C" {
#include "backend/kernels/gae.h"
#include "backend/kernels/running.h"
}

static int passes_from(int first, int passes)
{
    return passes - first < PASSES_AT_ONCE ? passes - first : PASSES_AT_ONCE;
}

/* Takes the passes of a launch that begins with pass `first` into *some; the grid has a thread for each item of the largest. */
template <typename Some, typename Pass, typename Items>
static dim3 take_passes(Some *some, const Pass *pass, int first, int passes, Items items)
{
    const int count = passes_from(first, passes);
    size_t most = 0;
    memset(some, 0, sizeof *some);
    for (int p = 0; p < count; p++) {
        some->pass[p] = pass[first + p];
        const size_t n = items(pass[first + p]);
        most = n > most ? n : most;
    }
    return dim3(cuda_blocks(most, CUDA_THREADS), (unsigned)count);
}

static __device__ size_t thread_item(void)
{
    return (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x;
}

/* ---- generalised advantage estimation: a thread per environment and agent, backwards in time ----------------------------------------- */

struct gae_passes {
    struct gae_pass pass[PASSES_AT_ONCE];
};

/* Values of the step after the one at hand stay in registers; all that is loaded is independent of what was computed, so that loads of
 * several steps are under way at once. */
static __global__ void gae_kernel(const struct gae_passes some)
{
    const struct gae_pass p = some.pass[blockIdx.y];
    const size_t agents = (size_t)p.agents, envs = (size_t)p.envs, values = (size_t)p.value_agents, item = thread_item();
    if (item >= (size_t)(p.hi - p.lo) * agents) return;
    const size_t a = item % agents, e = (size_t)p.lo + item / agents, stride = envs * agents;
    const struct normalizer_scale scale = p.norm[p.norms > 1 ? a : 0].scale;
    const float mean = (float)scale.mean, deviation = (float)scale.deviation;
    const struct gae_step step = {p.gamma, p.lambda, p.bootstrap, p.advantage_by, p.target_by};
    const float *__restrict__ reward = p.reward + e * agents + a, *__restrict__ value = p.value + e * values + (values > 1 ? a : 0);
    const float *__restrict__ final_value = p.final_value ? p.final_value + e * values + (values > 1 ? a : 0) : NULL;
    const uint8_t *__restrict__ terminated = p.terminated ? p.terminated + e * agents + a : NULL, *__restrict__ end = p.ep_end + e;
    float *__restrict__ advantage = p.advantage + e * agents + a, *__restrict__ ret = p.ret + e * agents + a;
    float next = mean + deviation * value[(size_t)p.steps * envs * values];
    struct gae_trace later = {0, 0};
    const bool scaled = p.reward_scale != NULL;
    const float reward_scale = scaled ? *p.reward_scale : 1.0f;
#pragma unroll 4
    for (int t = p.steps - 1; t >= 0; t--) {
        const size_t at = (size_t)t;
        const float here = mean + deviation * value[at * envs * values];
        const int ended = end[at * envs];
        const float final = ended == MAPPO_TRUNCATED && final_value ? mean + deviation * final_value[at * envs * values] : 0.0f;
        const float gained = scaled ? running_scaled(reward[at * stride], 0, reward_scale) : reward[at * stride];
        const struct gae_estimate found =
            gae_estimate_of(&step, gained, terminated ? terminated[at * stride] : 0, ended, here, next, final, &later);
        advantage[at * stride] = found.advantage;
        ret[at * stride] = found.target;
        next = here;
    }
}

void rollout_gae(struct backend *backend, const struct gae_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        struct gae_passes some;
        const dim3 grid =
            take_passes(&some, pass, first, passes, [](const struct gae_pass &p) { return (size_t)(p.hi - p.lo) * (size_t)p.agents; });
        LAUNCH(gae_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("gae");
    }
}

/* ---- which env-steps were truncated: every block counts its stretch, then writes behind those before it ------------------------------ */

enum { ENDS_BLOCK_ITEMS = 16 * CUDA_THREADS };

struct ends_passes {
    struct ends_pass pass[PASSES_AT_ONCE];
    int blocks[PASSES_AT_ONCE];
};

struct ends_stretch { /* of a block: items in the order (t, e) */
    size_t from, end;
};

static __device__ struct ends_stretch ends_stretch_of(const struct ends_pass *p, int blocks)
{
    const size_t n = (size_t)p->steps * (size_t)(p->hi - p->lo), chunk = (n + (size_t)blocks - 1) / (size_t)blocks;
    struct ends_stretch s = {blockIdx.x * chunk, (blockIdx.x + 1) * chunk};
    if (s.from > n) s.from = n;
    if (s.end > n) s.end = n;
    return s;
}

static __device__ size_t ends_step(const struct ends_pass *p, size_t item) /* t * E + e */
{
    const size_t t = divided(item, p->hi - p->lo);
    return t * (size_t)p->envs + (size_t)p->lo + (item - t * (size_t)(p->hi - p->lo));
}

/* found [passes][PARTIAL_BLOCKS] */
static __global__ void ends_count_kernel(const struct ends_passes some, int *found)
{
    const int blocks = some.blocks[blockIdx.y];
    if ((int)blockIdx.x >= blocks) return;
    const struct ends_pass p = some.pass[blockIdx.y];
    const struct ends_stretch stretch = ends_stretch_of(&p, blocks);
    int count = 0, total;
    for (size_t i = stretch.from + threadIdx.x; i < stretch.end; i += CUDA_THREADS) count += p.ep_end[ends_step(&p, i)] == MAPPO_TRUNCATED;
    block_scan(count, &total);
    if (threadIdx.x == 0) found[blockIdx.y * PARTIAL_BLOCKS + blockIdx.x] = total;
}

static __global__ void ends_write_kernel(const struct ends_passes some, const int *found)
{
    const int blocks = some.blocks[blockIdx.y], thread = (int)threadIdx.x, block = (int)blockIdx.x;
    if (block >= blocks) return;
    const struct ends_pass p = some.pass[blockIdx.y];
    const struct ends_stretch stretch = ends_stretch_of(&p, blocks);
    const int mine = thread < blocks ? found[blockIdx.y * PARTIAL_BLOCKS + thread] : 0;
    int before, all, total;
    block_scan(thread < block ? mine : 0, &before);
    block_scan(mine, &all);
    if (block == 0 && thread == 0) *p.count = all;
    if (found[blockIdx.y * PARTIAL_BLOCKS + block] == 0) return;
    for (size_t first = stretch.from; first < stretch.end; first += CUDA_THREADS) {
        const size_t item = first + threadIdx.x, u = item < stretch.end ? ends_step(&p, item) : 0;
        const int ended = item < stretch.end && p.ep_end[u] == MAPPO_TRUNCATED;
        const int place = before + block_scan(ended, &total);
        if (ended) p.unit[place] = (int32_t)u * p.stride + p.offset;
        before += total;
    }
}

void rollout_select_ends(struct backend *backend, const struct ends_pass *pass, int passes)
{
    if (backend->planning) return;
    struct cuda *cuda = cuda_of(backend);
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        const int count = passes_from(first, passes);
        struct ends_passes some;
        memset(&some, 0, sizeof some);
        int most = 1;
        for (int p = 0; p < count; p++) {
            some.pass[p] = pass[first + p];
            const size_t n = (size_t)some.pass[p].steps * (size_t)(some.pass[p].hi - some.pass[p].lo);
            some.blocks[p] = partial_blocks(n, ENDS_BLOCK_ITEMS);
            most = some.blocks[p] > most ? some.blocks[p] : most;
        }
        const dim3 grid((unsigned)most, (unsigned)count);
        int *found = static_cast<int *>(cuda->scratch);
        LAUNCH(ends_count_kernel, grid, CUDA_THREADS, 0, cuda->stream, some, found);
        LAUNCHED("select_ends");
        LAUNCH(ends_write_kernel, grid, CUDA_THREADS, 0, cuda->stream, some, found);
        LAUNCHED("select_ends");
    }
}

/* ---- values to their places, parts of rows ------------------------------------------------------------------------------------------- */

struct scatter_passes {
    struct scatter_pass pass[PASSES_AT_ONCE];
};

static __global__ void scatter_kernel(const struct scatter_passes some)
{
    const struct scatter_pass p = some.pass[blockIdx.y];
    const size_t item = thread_item(), u = divided(item, p.width), v = item - u * (size_t)p.width;
    const int there = p.count && *p.count < p.units ? *p.count : p.units;
    if (u >= (size_t)there) return;
    p.to[(p.unit ? (size_t)p.unit[u] : u) * (size_t)p.stride + v] = p.from[u * (size_t)p.from_width + (p.from_width > 1 ? v : 0)];
}

void rollout_scatter(struct backend *backend, const struct scatter_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        struct scatter_passes some;
        const dim3 grid =
            take_passes(&some, pass, first, passes, [](const struct scatter_pass &p) { return (size_t)p.units * (size_t)p.width; });
        LAUNCH(scatter_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("scatter");
    }
}

struct copy_passes {
    struct copy_pass pass[PASSES_AT_ONCE];
};

static __global__ void copy_rows_kernel(const struct copy_passes some)
{
    const struct copy_pass p = some.pass[blockIdx.y];
    const size_t item = thread_item(), r = divided(item, p.width), j = item - r * (size_t)p.width;
    if (r >= (size_t)p.rows) return;
    p.to[r * (size_t)p.to_stride + j] = p.from[divided(r, p.repeat) * (size_t)p.from_stride + j];
}

void rollout_copy_rows(struct backend *backend, const struct copy_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        struct copy_passes some;
        const dim3 grid =
            take_passes(&some, pass, first, passes, [](const struct copy_pass &p) { return (size_t)p.rows * (size_t)p.width; });
        LAUNCH(copy_rows_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("copy_rows");
    }
}

/* ---- what may not be ----------------------------------------------------------------------------------------------------------------- */

/* The least of the codes does not depend on who comes first. */
static __global__ void find_nonfinite_kernel(const float *x /* [n] */, size_t n, unsigned long long *first)
{
    for (size_t i = thread_item(); i < n; i += (size_t)gridDim.x * CUDA_THREADS) {
        if (isfinite(x[i])) continue;
        atomicMin(first, (unsigned long long)nonfinite_code(i, x[i]));
        return;
    }
}

/* Categorical heads: [first[h], first[h] + size[h]) of a row's logits. */
struct categorical_heads {
    int heads, logits, first[POLICY_MAX_HEADS], size[POLICY_MAX_HEADS];
};

static __global__ void find_no_choice_kernel(const struct categorical_heads heads, const uint8_t *mask, const uint8_t *active, size_t rows,
                                             unsigned long long *first)
{
    for (size_t row = thread_item(); row < rows; row += (size_t)gridDim.x * CUDA_THREADS) {
        if (active && !active[row]) continue;
        for (int h = 0; h < heads.heads; h++) {
            const size_t at = row * (size_t)heads.logits + (size_t)heads.first[h];
            int any = 0;
            for (int k = 0; k < heads.size[h]; k++) any |= mask[at + (size_t)k];
            if (!any) atomicMin(first, (unsigned long long)nonfinite_code(at, 0));
        }
    }
}

/* A thread per row of x [rows][width]. */
static __global__ void find_unequal_kernel(const float *x, size_t rows, int width, unsigned long long *first)
{
    for (size_t row = thread_item(); row < rows; row += (size_t)gridDim.x * CUDA_THREADS)
        for (int i = 1; i < width; i++)
            if (x[row * (size_t)width + (size_t)i] != x[row * (size_t)width])
                atomicMin(first, (unsigned long long)nonfinite_code(row * (size_t)width + (size_t)i, 0));
}

/* Blocks that look at n items, and a result that says that nothing was found yet. */
static unsigned begin_search(struct cuda *cuda, size_t n, uint64_t *first)
{
    CUDA(cudaMemsetAsync(first, 0xff, sizeof *first, cuda->stream), "clearing a result");
    const unsigned blocks = cuda_blocks(n, 4 * CUDA_THREADS), most = 8u * (unsigned)cuda->multiprocessors;
    return n == 0 ? 0 : blocks < most ? blocks : most;
}

void rollout_find_nonfinite(struct backend *backend, const float *x, size_t n, uint64_t *first)
{
    if (backend->planning) return;
    struct cuda *cuda = cuda_of(backend);
    const unsigned blocks = begin_search(cuda, n, first);
    if (blocks == 0) return;
    LAUNCH(find_nonfinite_kernel, blocks, CUDA_THREADS, 0, cuda->stream, x, n, reinterpret_cast<unsigned long long *>(first));
    LAUNCHED("find_nonfinite");
}

void rollout_find_no_choice(struct backend *backend, const struct distribution *dist, const uint8_t *mask, const uint8_t *active,
                            size_t rows, uint64_t *first)
{
    struct categorical_heads heads = {};
    if (backend->planning) return;
    struct cuda *cuda = cuda_of(backend);
    const unsigned blocks = begin_search(cuda, rows, first);
    heads.logits = dist->logits;
    for (int h = 0; h < dist->heads; h++) {
        if (dist->head[h].kind != HEAD_CATEGORICAL) continue;
        heads.first[heads.heads] = dist->head[h].mask;
        heads.size[heads.heads++] = dist->head[h].size;
    }
    if (blocks == 0 || heads.heads == 0) return;
    LAUNCH(find_no_choice_kernel, blocks, CUDA_THREADS, 0, cuda->stream, heads, mask, active, rows,
           reinterpret_cast<unsigned long long *>(first));
    LAUNCHED("find_no_choice");
}

void rollout_find_unequal(struct backend *backend, const float *x, size_t rows, int width, uint64_t *first)
{
    if (backend->planning) return;
    struct cuda *cuda = cuda_of(backend);
    const unsigned blocks = begin_search(cuda, rows, first);
    if (blocks == 0) return;
    LAUNCH(find_unequal_kernel, blocks, CUDA_THREADS, 0, cuda->stream, x, rows, width, reinterpret_cast<unsigned long long *>(first));
    LAUNCHED("find_unequal");
}

/* ---- moments ------------------------------------------------------------------------------------------------------------------------- */

enum { MOMENTS_BLOCK_ITEMS = 8 * CUDA_THREADS };

struct moments_passes {
    struct moments_pass pass[PASSES_AT_ONCE];
    int blocks[PASSES_AT_ONCE];
};

/* Count, sum and sum of squares of what this thread reads. */
static __device__ void moments_of_thread(const struct moments_pass *p, int blocks, double found[3])
{
    const int wide = p->batch.rows;
    const int units = p->batch.count && *p->batch.count < p->batch.units ? *p->batch.count : p->batch.units;
    const size_t n = (size_t)units * (size_t)wide;
    for (size_t i = thread_item(); i < n; i += (size_t)blocks * CUDA_THREADS) {
        size_t at = i;
        if (p->batch.unit) {
            const size_t u = divided(i, wide);
            at = (size_t)p->batch.unit[u] * (size_t)wide + (i - u * (size_t)wide);
        }
        if (p->mask && !p->mask[at]) continue;
        const double value = (double)p->x[at];
        found[0] += 1;
        found[1] += value;
        found[2] += value * value;
    }
}

/* partial [passes][PARTIAL_BLOCKS][3]; ticket [passes] */
static __global__ void moments_kernel(const struct moments_passes some, double *partial, unsigned *ticket)
{
    const int blocks = some.blocks[blockIdx.y], thread = (int)threadIdx.x;
    if ((int)blockIdx.x >= blocks) return;
    const struct moments_pass p = some.pass[blockIdx.y];
    double found[3] = {0, 0, 0};
    moments_of_thread(&p, blocks, found);
    partial += (size_t)blockIdx.y * PARTIAL_BLOCKS * 3;
    for (int k = 0; k < 3; k++) {
        const double sum = block_sum(found[k]);
        if (thread == 0) partial[blockIdx.x * 3 + k] = sum;
    }
    if (!last_block(&ticket[blockIdx.y], (unsigned)blocks)) return;
    const volatile double *all = partial;
    for (int k = 0; k < 3; k++) {
        const double sum = block_sum(thread < blocks ? all[thread * 3 + k] : 0.0);
        if (thread == 0 && k < p.numbers) p.out[k] = sum;
    }
}

void rollout_moments(struct backend *backend, const struct moments_pass *pass, int passes)
{
    if (backend->planning) return;
    struct cuda *cuda = cuda_of(backend);
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        const int count = passes_from(first, passes);
        struct moments_passes some;
        memset(&some, 0, sizeof some);
        int most = 1;
        for (int p = 0; p < count; p++) {
            some.pass[p] = pass[first + p];
            const struct batch *batch = &some.pass[p].batch;
            some.blocks[p] = partial_blocks((size_t)batch->units * (size_t)batch->rows, MOMENTS_BLOCK_ITEMS);
            most = some.blocks[p] > most ? some.blocks[p] : most;
        }
        LAUNCH(moments_kernel, dim3((unsigned)most, (unsigned)count), CUDA_THREADS, 0, cuda->stream, some,
               static_cast<double *>(cuda->scratch), cuda->ticket);
        LAUNCHED("moments");
    }
}

struct standardise_passes {
    struct standardise_pass pass[PASSES_AT_ONCE];
};

static __global__ void standardise_kernel(const struct standardise_passes some)
{
    __shared__ float mean, divisor;
    const struct standardise_pass p = some.pass[blockIdx.y];
    if (threadIdx.x == 0) {
        const struct moments moments = {p.moments[0], p.moments[1], p.moments[2]};
        mean = (float)moments_mean(&moments);
        divisor = (float)moments_divisor(&moments, (double)p.epsilon);
    }
    __syncthreads();
    const size_t i = thread_item();
    if (i >= p.n) return;
    float *x = p.x + p.first + i * p.stride;
    *x = (*x - mean) / divisor;
}

void rollout_standardise(struct backend *backend, const struct standardise_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        struct standardise_passes some;
        const dim3 grid = take_passes(&some, pass, first, passes, [](const struct standardise_pass &p) { return p.n; });
        LAUNCH(standardise_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("standardise");
    }
}

/* ---- losses of env-steps whose agents' ratios belong together: a thread an env-step -------------------------------------------------- */

struct joint_passes {
    struct joint_pass pass[PASSES_AT_ONCE];
};

static __global__ void join_kernel(const struct joint_passes some)
{
    const struct joint_pass p = some.pass[blockIdx.y];
    const size_t u = thread_item();
    if (u >= (size_t)p.batch.units) return;
    const struct policy_objective objective = *p.objective;
    joint_step(&objective, &p.rules, (size_t)(p.batch.unit ? p.batch.unit[u] : (int32_t)u) * (size_t)p.batch.rows, p.batch.rows, p.log_prob,
               p.old_log_prob, p.advantage, p.active, p.loss, p.slope);
}

void rollout_join(struct backend *backend, const struct joint_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        struct joint_passes some;
        const dim3 grid = take_passes(&some, pass, first, passes, [](const struct joint_pass &p) { return (size_t)p.batch.units; });
        LAUNCH(join_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("join");
    }
}

/* ---- updates of one agent after another: a thread an env-step ------------------------------------------------------------------------- */

struct compound_passes {
    struct compound_pass pass[PASSES_AT_ONCE];
};

static __global__ void compound_kernel(const struct compound_passes some)
{
    const struct compound_pass p = some.pass[blockIdx.y];
    const size_t u = thread_item();
    if (u < p.n) compound_step(&p, u);
}

void rollout_compound(struct backend *backend, const struct compound_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        struct compound_passes some;
        const dim3 grid = take_passes(&some, pass, first, passes, [](const struct compound_pass &p) { return p.n; });
        LAUNCH(compound_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("compound");
    }
}

/* ---- running statistics -------------------------------------------------------------------------------------------------------------- */

struct discount_passes {
    struct discount_pass pass[PASSES_AT_ONCE];
};

/* A thread per environment and agent, forwards in time. */
static __global__ void discount_kernel(const struct discount_passes some)
{
    const struct discount_pass p = some.pass[blockIdx.y];
    const size_t agents = (size_t)p.agents, item = thread_item(), i = (size_t)p.lo * agents + item;
    if (item >= (size_t)(p.hi - p.lo) * agents) return;
    float now = p.now[i];
    for (int t = 0; t < p.steps; t++) {
        const size_t at = (size_t)t * (size_t)p.envs * agents + i;
        now = p.gamma * now + p.reward[at];
        p.out[at] = now;
        if (p.ep_end[at / agents] != MAPPO_RUNNING) now = 0;
    }
    p.now[i] = now;
}

void rollout_discount(struct backend *backend, const struct discount_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        struct discount_passes some;
        const dim3 grid =
            take_passes(&some, pass, first, passes, [](const struct discount_pass &p) { return (size_t)(p.hi - p.lo) * (size_t)p.agents; });
        LAUNCH(discount_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("discount");
    }
}

struct running_passes {
    struct running_pass pass[PASSES_AT_ONCE];
};

/* A block a column: rows of a batch are far fewer than what a network does with them, and so its order is that of one block. */
static __global__ void running_measure_kernel(const struct running_passes some)
{
    const struct running_pass p = some.pass[blockIdx.y];
    const int j = (int)blockIdx.x, width = p.running.width, wide = p.batch.rows;
    if (j >= width) return;
    const size_t n = (size_t)p.batch.units * (size_t)wide;
    const double mean = p.running.moments[1 + j];
    double rows = 0, sum = 0, squares = 0;
    for (size_t i = threadIdx.x; i < n; i += CUDA_THREADS) {
        const size_t u = divided(i, wide), at = p.batch.unit ? (size_t)p.batch.unit[u] * (size_t)wide + (i - u * (size_t)wide) : i;
        if (p.mask && !p.mask[at]) continue;
        const double off = (double)p.x[at * (size_t)width + (size_t)j] - mean;
        rows += 1;
        sum += off;
        squares += off * off;
    }
    rows = block_sum(rows);
    sum = block_sum(sum);
    squares = block_sum(squares);
    if (threadIdx.x) return;
    if (j == 0) p.sums[0] = rows;
    p.sums[1 + j] = sum;
    p.sums[1 + width + j] = squares;
}

/* One block a pass: the count moves when all columns have been taken in. */
static __global__ void running_take_kernel(const struct running_passes some)
{
    const struct running_pass p = some.pass[blockIdx.y];
    const int width = p.running.width;
    for (int j = (int)threadIdx.x; j < width; j += CUDA_THREADS) running_merge(&p.running, p.sums, j);
    __syncthreads();
    if (threadIdx.x == 0) p.running.moments[0] += p.sums[0];
    __syncthreads();
    for (int j = (int)threadIdx.x; j < width; j += CUDA_THREADS) running_refresh(&p.running, j);
}

static int running_some(struct running_passes *some, const struct running_pass *pass, int first, int passes)
{
    int widest = 1;
    memset(some, 0, sizeof *some);
    for (int p = 0; p < passes_from(first, passes); p++) {
        some->pass[p] = pass[first + p];
        widest = pass[first + p].running.width > widest ? pass[first + p].running.width : widest;
    }
    return widest;
}

void rollout_running_measure(struct backend *backend, const struct running_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        struct running_passes some;
        const dim3 grid((unsigned)running_some(&some, pass, first, passes), (unsigned)passes_from(first, passes));
        LAUNCH(running_measure_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("running_measure");
    }
}

void rollout_running_take(struct backend *backend, const struct running_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        struct running_passes some;
        running_some(&some, pass, first, passes);
        LAUNCH(running_take_kernel, dim3(1, (unsigned)passes_from(first, passes)), CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("running_take");
    }
}

/* ---- minibatches --------------------------------------------------------------------------------------------------------------------- */

struct select_passes {
    struct select_pass pass[PASSES_AT_ONCE];
};

static __global__ void select_kernel(const struct select_passes some)
{
    __shared__ struct shuffle shuffle;
    const struct select_pass p = some.pass[blockIdx.y];
    if (p.shuffled && !p.order) { /* the permutation's keys, once a block */
        if (threadIdx.x == 0)
            shuffle = shuffle_of((uint32_t)p.items, p.seed, p.shard, p.which,
                                 p.numbers ? select_data_pass(p.numbers->update, p.epochs, p.epoch) : 0);
        __syncthreads();
    }
    const size_t k = thread_item();
    if (k >= (size_t)p.count) return;
    const int place = p.from + (int)k;
    const int item = !p.shuffled ? place : p.order ? p.order[place] : (int)shuffle_item(&shuffle, (uint32_t)place);
    const int32_t row = select_unit(&p.shape, p.shape.by_row, item), critic = select_unit(&p.shape, p.critic_by_row, item);
    for (int t = 0; t < p.to.steps; t++) {
        const int to = select_place(&p.to, (int)k, t);
        p.rows[to] = row + t * select_stride(&p.shape, p.shape.by_row);
        for (int r = 0; r < p.critic_repeats; r++)
            p.critic[to * p.critic_repeats + r] = critic + t * select_stride(&p.shape, p.critic_by_row);
    }
}

void rollout_select(struct backend *backend, const struct select_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        struct select_passes some;
        const dim3 grid = take_passes(&some, pass, first, passes, [](const struct select_pass &p) { return (size_t)p.count; });
        LAUNCH(select_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
        LAUNCHED("select");
    }
}
