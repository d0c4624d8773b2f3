/* Draws by priority (backend/kernels/priority.h): a thread a row, a leaf or a node; level after level, so that no thread reads what another one
 * of its launch writes. Threads that compute the same node write the same numbers. */
#include "cuda/ops.h"
#include "cuda/reduce.h"

extern "C" {
#include "backend/priority_row.h"
}

static __device__ size_t thread_item(void)
{
    return (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x;
}

/* Calls launch(blocks, pass) for every pass, with a thread for each of its items. */
template <typename Pass, typename Items, typename Launch>
static void launch_each(struct backend *backend, const Pass *pass, int passes, Items items, Launch launch)
{
    for (int p = 0; p < passes && !backend->planning; p++) launch(cuda_blocks(items(pass[p]), CUDA_THREADS), pass[p]);
}

/* The leaf that item i of a pass is about: of a row that was drawn, or of fresh steps. */
static __device__ uint32_t touched_leaf(const struct priority_pass *p, bool fresh, size_t i)
{
    if (!fresh) return priority_leaf(&p->tree, p->row[i]);
    return priority_fresh(&p->tree, p->numbers->oldest, p->numbers->held, priority_fresh_steps(p), i);
}

static __device__ size_t touched(const struct priority_pass *p, bool fresh)
{
    return fresh ? (size_t)(priority_fresh_steps(p) + 1) * (size_t)p->tree.width : (size_t)p->rows;
}

/* Of neighbours that have a node in common the first one computes it. */
static __global__ void above_kernel(const struct priority_pass p, bool fresh, int level)
{
    const size_t i = thread_item();
    if (i >= touched(&p, fresh)) return;
    const uint32_t node = priority_above(touched_leaf(&p, fresh, i), level);
    if (i == 0 || priority_above(touched_leaf(&p, fresh, i - 1), level) != node) priority_refresh(&p.tree, level, node);
}

static void refresh_above(struct backend *backend, const struct priority_pass *pass, bool fresh, size_t most)
{
    for (int level = 1; level <= pass->tree.levels; level++) {
        LAUNCH(above_kernel, cuda_blocks(most, CUDA_THREADS), CUDA_THREADS, 0, cuda_of(backend)->stream, *pass, fresh, level);
        LAUNCHED("priority_above");
    }
}

static size_t most_fresh(const struct priority_pass &p)
{
    return (size_t)(p.fresh + 1) * (size_t)p.tree.width;
}

static __global__ void renew_kernel(const struct priority_pass p)
{
    const size_t i = thread_item();
    if (i < touched(&p, true)) priority_renew_leaf(&p, priority_top(&p.tree), i);
}

void priority_renew(struct backend *backend, const struct priority_pass *pass, int passes)
{
    launch_each(backend, pass, passes, most_fresh, [&](unsigned blocks, const struct priority_pass &p) {
        LAUNCH(renew_kernel, blocks, CUDA_THREADS, 0, cuda_of(backend)->stream, p);
        LAUNCHED("priority_renew");
        refresh_above(backend, &p, true, most_fresh(p));
    });
}

static __global__ void keep_kernel(const struct priority_pass p)
{
    const size_t i = thread_item();
    if (i < p.tree.count[0]) priority_keep_leaf(&p, (uint32_t)i);
}

static __global__ void level_kernel(const struct priority_pass p, int level)
{
    const size_t i = thread_item();
    if (i < p.tree.count[level]) priority_refresh(&p.tree, level, (uint32_t)i);
}

void priority_rebuild(struct backend *backend, const struct priority_pass *pass, int passes)
{
    launch_each(
        backend, pass, passes, [](const struct priority_pass &p) { return (size_t)p.tree.count[0]; },
        [&](unsigned blocks, const struct priority_pass &p) {
            LAUNCH(keep_kernel, blocks, CUDA_THREADS, 0, cuda_of(backend)->stream, p);
            LAUNCHED("priority_keep");
            for (int level = 1; level <= p.tree.levels; level++) {
                LAUNCH(level_kernel, cuda_blocks(p.tree.count[level], CUDA_THREADS), CUDA_THREADS, 0, cuda_of(backend)->stream, p, level);
                LAUNCHED("priority_level");
            }
        });
}

static __global__ void priority_draw_kernel(const struct priority_pass p)
{
    const size_t b = thread_item();
    if (b < (size_t)p.rows) priority_draw_row(&p, (int)b);
}

/* One block. */
static __global__ void most_kernel(const struct priority_pass p)
{
    __shared__ float of_thread[CUDA_THREADS];
    float most = 0;
    for (int b = (int)threadIdx.x; b < p.rows; b += CUDA_THREADS) most = fmaxf(most, p.weight[b]);
    of_thread[threadIdx.x] = most;
    __syncthreads();
    for (int t = 0; t < CUDA_THREADS; t++) most = fmaxf(most, of_thread[t]);
    for (int s = (int)threadIdx.x; s < p.shards; s += CUDA_THREADS) p.most[s] = s == (int)p.shard ? (double)most : 0;
}

static size_t rows_of(const struct priority_pass &p)
{
    return (size_t)p.rows;
}

void priority_draw(struct backend *backend, const struct priority_pass *pass, int passes)
{
    launch_each(backend, pass, passes, rows_of, [&](unsigned blocks, const struct priority_pass &p) {
        LAUNCH(priority_draw_kernel, blocks, CUDA_THREADS, 0, cuda_of(backend)->stream, p);
        LAUNCHED("priority_draw");
        LAUNCH(most_kernel, 1, CUDA_THREADS, 0, cuda_of(backend)->stream, p);
        LAUNCHED("priority_most");
    });
}

static __global__ void weigh_kernel(const struct priority_pass p)
{
    const size_t b = thread_item();
    double most = 0;
    if (b >= (size_t)p.rows) return;
    for (int s = 0; s < p.shards; s++) most = fmax(most, p.most[s]);
    p.weight[b] = (float)((double)p.weight[b] / most);
}

void priority_weigh(struct backend *backend, const struct priority_pass *pass, int passes)
{
    launch_each(backend, pass, passes, rows_of, [&](unsigned blocks, const struct priority_pass &p) {
        LAUNCH(weigh_kernel, blocks, CUDA_THREADS, 0, cuda_of(backend)->stream, p);
        LAUNCHED("priority_weigh");
    });
}

static __global__ void learn_kernel(const struct priority_pass p)
{
    const size_t b = thread_item();
    if (b < (size_t)p.rows) priority_learn_row(&p, (int)b);
}

void priority_learn(struct backend *backend, const struct priority_pass *pass, int passes)
{
    launch_each(backend, pass, passes, rows_of, [&](unsigned blocks, const struct priority_pass &p) {
        LAUNCH(learn_kernel, blocks, CUDA_THREADS, 0, cuda_of(backend)->stream, p);
        LAUNCHED("priority_learn");
        refresh_above(backend, &p, false, (size_t)p.rows);
    });
}

static __global__ void errors_kernel(const struct error_pass p)
{
    const size_t b = thread_item();
    if (b < (size_t)p.rows) td_error_row(&p, (int)b);
}

void replay_td_errors(struct backend *backend, const struct error_pass *pass, int passes)
{
    launch_each(
        backend, pass, passes, [](const struct error_pass &p) { return (size_t)p.rows; },
        [&](unsigned blocks, const struct error_pass &p) {
            LAUNCH(errors_kernel, blocks, CUDA_THREADS, 0, cuda_of(backend)->stream, p);
            LAUNCHED("td_errors");
        });
}
