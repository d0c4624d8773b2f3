/* Environments on the device (env/device.h): memory for their copies and statistics, wrapped actions, reports.
 *
 * A step is: wrapped actions where there are any, the environment's own kernel, which also does the accounting (env/account.h). Nothing of
 * that changes from step to step but what is in device memory, so steps can be recorded. Statistics of ended episodes lie in dense arrays
 * [horizon][E]; a report makes a list of them, in the order (step, environment).
 *
 * Axes: E environments, T horizon, G groups, A agents of a group, Kr real numbers of an action. */
#include <stdbool.h>

#include "cuda/reduce.h"

extern "C" {
#include "env/account.h"
#include "env/device.h"
#include "env/verify.h"
#include "env/wrappers.h"
}

/* ---- the kernels of this build ------------------------------------------------------------------------------------------------------- */

extern "C" {
#define KERNELS_OF_HOST_ONLY(name)
#define KERNELS_OF_WITH_KERNELS(name)                                                                                                      \
    extern const struct mappo_env name;                                                                                                    \
    extern const struct mappo_kernels name##_kernels;
#define ENV(suite, name, kernels) KERNELS_OF_##kernels(suite##_##name)
#include "envs/envs.def"
}

static const struct {
    const struct mappo_env *env;
    const struct mappo_kernels *kernels;
} built_in[] = {
#define ENTRY_OF_HOST_ONLY(name)
#define ENTRY_OF_WITH_KERNELS(name) {&name, &name##_kernels},
#define ENV(suite, name, kernels)   ENTRY_OF_##kernels(suite##_##name)
#include "envs/envs.def"
};

static const struct mappo_kernels *env_device_kernels(const struct mappo_env *env)
{
    for (const auto &one : built_in)
        if (one.env == env) return one.kernels;
    return NULL;
}

/* ---- a batch ------------------------------------------------------------------------------------------------------------------------- */

/* Real actions of a group that the environment gets in another form; changed = NULL where it gets them as they are. */
struct device_actions {
    float *changed;    /* [E][A][Kr] */
    float *low, *high; /* [Kr] */
    int32_t reals;     /* Kr */
    size_t numbers;    /* E A Kr */
    int stretch, clip;
};

struct env_device {
    struct backend *backend;
    cudaStream_t stream;
    struct env_device_config config;
    struct mappo_device program;
    struct group_sizes size[MAPPO_MAX_GROUPS];
    struct account account;
    unsigned char *copies; /* [E][stride] */
    unsigned char *rules;  /* program.device_rules */
    struct device_actions action[MAPPO_MAX_GROUPS];
    float *reward[MAPPO_MAX_GROUPS]; /* [E][A] where the caller wants none */
    uint8_t *ep_end;                 /* [E] likewise */
    float *info;                     /* [E][infos] likewise */

    uint64_t *reported;      /* steps at the last report */
    uint32_t *row_count;     /* [T] episodes that ended in a row */
    uint32_t *row_first;     /* [T + 1] where the row's begin in the list; the last: how many there are */
    struct episode *episode; /* [report] the last that ended */
    double *info_part;       /* [2 infos][chunks of environments] sums, then counts */
    double *info_total;      /* [2 infos] */
    struct {                 /* the host's page-locked copies of a report */
        uint32_t *ended;
        struct episode *episode; /* [report] */
        double *info;            /* [2 infos] */
    } seen[VECENV_REPORTS];
    void **memory; /* what was allocated: [memories] */
    int memories;
    int64_t *host_steps; /* host [E], [G][E]: the wrappers' state in the order of the device */
    double *host_reward_sum;
};

/* ---- opening ------------------------------------------------------------------------------------------------------------------------- */

enum { MEMORIES = 21 + 4 * MAPPO_MAX_GROUPS };
static const size_t CHUNK = ACCOUNT_CHUNK; /* environments */

template <class T> static T *take(struct env_device *d, T **to, size_t count)
{
    if (d->memories == MEMORIES) die(EXIT_INTERNAL, "the environments on the device have more arrays than MEMORIES");
    *to = static_cast<T *>(d->backend->alloc(d->backend, "environments", (count ? count : 1) * sizeof(T)));
    d->memory[d->memories++] = *to;
    return *to;
}

template <class T> static T *host_take(size_t count)
{
    T *p = static_cast<T *>(calloc(count ? count : 1, sizeof(T)));
    if (!p) die(EXIT_INTERNAL, "out of memory for the environments on the device");
    return p;
}

static size_t chunks_of(const struct env_device *d)
{
    return ((size_t)d->config.envs + CHUNK - 1) / CHUNK;
}

static void open_account(struct env_device *d)
{
    const struct env_device_config *config = &d->config;
    const struct mappo_env_spec *spec = config->spec;
    const size_t envs = (size_t)config->envs, cells = envs * (size_t)config->horizon;
    const size_t groups = (size_t)spec->groups, infos = (size_t)spec->infos;
    struct account *account = &d->account;
    struct account_clock clock = {config->taken, (uint32_t)(config->taken % (uint64_t)config->horizon), 0};
    uint8_t *at_end, *flags = host_take<uint8_t>(infos);
    account->envs = config->envs;
    account->groups = spec->groups;
    account->infos = spec->infos;
    account->time_limit = config->time_limit;
    account->horizon = config->horizon;
    for (int g = 0; g < spec->groups; g++) account->agents[g] = d->size[g].agents;
    for (size_t k = 0; k < infos; k++) flags[k] = spec->info[k].at_end != 0;
    take(d, &account->clock, 1);
    take(d, &account->steps, envs);
    take(d, &account->reward_sum, groups * envs);
    take(d, &account->info_sum, infos * envs);
    take(d, &account->info_count, infos * envs);
    take(d, &account->end, cells);
    take(d, &account->length, cells);
    take(d, &account->group_return, groups * cells);
    account->at_end = take(d, &at_end, infos);
    d->backend->upload(d->backend, at_end, flags, infos);
    d->backend->upload(d->backend, account->clock, &clock, sizeof clock);
    free(flags);
}

static void open_actions(struct env_device *d, int g)
{
    const struct action_wrapper *wrapper = &d->config.action[g];
    struct device_actions *action = &d->action[g];
    const size_t reals = (size_t)d->size[g].act_reals;
    if (!wrapper->changed) return;
    action->reals = d->size[g].act_reals;
    action->numbers = (size_t)d->config.envs * (size_t)d->size[g].agents * reals;
    action->stretch = wrapper->stretch;
    action->clip = wrapper->clip;
    take(d, &action->changed, action->numbers);
    take(d, &action->low, reals);
    take(d, &action->high, reals);
    d->backend->upload(d->backend, action->low, wrapper->low, reals * sizeof(float));
    d->backend->upload(d->backend, action->high, wrapper->high, reals * sizeof(float));
}

static void env_device_push(struct env_device *d);

static struct env_device *env_device_open(struct backend *backend, const struct env_device_config *config)
{
    struct env_device *d = host_take<struct env_device>(1);
    const size_t envs = (size_t)config->envs, rows = (size_t)config->horizon, groups = (size_t)config->spec->groups;
    const size_t infos = (size_t)config->spec->infos;
    d->backend = backend;
    d->stream = cuda_of(backend)->stream;
    d->config = *config;
    d->program = *config->program;
    d->memory = host_take<void *>(MEMORIES);
    d->host_steps = host_take<int64_t>(envs);
    d->host_reward_sum = host_take<double>(groups * envs);
    for (int g = 0; g < config->spec->groups; g++) d->size[g] = group_sizes(&config->spec->group[g]);
    open_account(d);
    take(d, &d->copies, envs * d->program.stride);
    take(d, &d->rules, d->program.rules_bytes);
    if (d->program.rules_bytes) backend->upload(backend, d->rules, d->program.rules, d->program.rules_bytes);
    d->program.device_rules = d->rules;
    for (int g = 0; g < config->spec->groups; g++) {
        open_actions(d, g);
        take(d, &d->reward[g], envs * (size_t)d->size[g].agents);
    }
    take(d, &d->ep_end, envs);
    d->account.lent_info = take(d, &d->info, envs * infos);
    take(d, &d->reported, 1);
    take(d, &d->row_count, rows);
    take(d, &d->row_first, rows + 1);
    take(d, &d->episode, (size_t)config->report);
    take(d, &d->info_part, 2 * infos * chunks_of(d));
    take(d, &d->info_total, 2 * infos);
    for (int i = 0; i < VECENV_REPORTS; i++) {
        d->seen[i].ended = static_cast<uint32_t *>(backend->host_alloc(backend, "reports", sizeof *d->seen[i].ended));
        d->seen[i].episode =
            static_cast<struct episode *>(backend->host_alloc(backend, "reports", (size_t)config->report * sizeof *d->seen[i].episode));
        d->seen[i].info = static_cast<double *>(backend->host_alloc(backend, "reports", 2 * infos * sizeof *d->seen[i].info));
    }
    backend->upload(backend, d->reported, &config->taken, sizeof config->taken);
    env_device_push(d);
    return d;
}

static void env_device_close(struct env_device *d)
{
    if (!d) return;
    d->backend->sync(d->backend); /* a report may still be on its way */
    for (int i = 0; i < d->memories; i++) d->backend->free(d->backend, d->memory[i]);
    for (int i = 0; i < VECENV_REPORTS; i++) {
        d->backend->host_free(d->backend, d->seen[i].ended);
        d->backend->host_free(d->backend, d->seen[i].episode);
        d->backend->host_free(d->backend, d->seen[i].info);
    }
    free(d->memory);
    free(d->host_steps);
    free(d->host_reward_sum);
    free(d);
}

/* ---- the host's copies --------------------------------------------------------------------------------------------------------------- */

static void env_device_pull(struct env_device *d)
{
    struct backend *b = d->backend;
    const size_t envs = (size_t)d->config.envs, groups = (size_t)d->config.spec->groups;
    if (b->planning) return;
    b->download(b, d->program.copies, d->copies, envs * d->program.stride);
    b->download(b, d->host_steps, d->account.steps, envs * sizeof *d->host_steps);
    b->download(b, d->host_reward_sum, d->account.reward_sum, groups * envs * sizeof *d->host_reward_sum);
    b->sync(b);
    for (size_t e = 0; e < envs; e++) {
        d->config.lane[e].steps = d->host_steps[e];
        for (size_t g = 0; g < groups; g++) d->config.lane[e].reward_sum[g] = d->host_reward_sum[g * envs + e];
    }
}

static void env_device_push(struct env_device *d)
{
    struct backend *b = d->backend;
    const size_t envs = (size_t)d->config.envs, groups = (size_t)d->config.spec->groups;
    for (size_t e = 0; e < envs; e++) {
        d->host_steps[e] = d->config.lane[e].steps;
        for (size_t g = 0; g < groups; g++) d->host_reward_sum[g * envs + e] = d->config.lane[e].reward_sum[g];
    }
    b->upload(b, d->copies, d->program.copies, envs * d->program.stride);
    b->upload(b, d->account.steps, d->host_steps, envs * sizeof *d->host_steps);
    b->upload(b, d->account.reward_sum, d->host_reward_sum, groups * envs * sizeof *d->host_reward_sum);
    b->sync(b);
}

/* ---- stepping ------------------------------------------------------------------------------------------------------------------------ */

/* from, to [numbers] */
static __global__ void wrap_actions(const struct device_actions action, const float *from)
{
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= action.numbers) return;
    const int32_t k = (int32_t)(i % (size_t)action.reals);
    action.changed[i] = action_wrap(from[i], action.low[k], action.high[k], action.stretch, action.clip);
}

static void fill(struct env_device *d, uint8_t *array, size_t bytes)
{
    if (array) CUDA(cudaMemsetAsync(array, 1, bytes, d->stream), "filling masks");
}

/* What the environment doesn't write because it never changes. */
static void fill_ones(struct env_device *d, const struct mappo_env_io *io)
{
    for (int g = 0; g < d->config.spec->groups; g++) {
        const uint32_t flags = d->config.spec->group[g].flags;
        const size_t rows = (size_t)d->config.envs * (size_t)d->size[g].agents;
        if (!(flags & MAPPO_HAS_ACTIVE)) fill(d, io->group[g].active, rows);
        if (!(flags & MAPPO_HAS_MASK)) fill(d, io->group[g].act_mask, rows * (size_t)d->size[g].logits);
    }
}

static void check_code(int code, const char *doing)
{
    if (code) cuda_failed(static_cast<cudaError_t>(code), doing);
}

static void env_device_reset(struct env_device *d, const struct mappo_env_io *io)
{
    const struct account *account = &d->account;
    const size_t envs = (size_t)account->envs, groups = (size_t)account->groups;
    if (d->backend->planning) return;
    CUDA(cudaMemsetAsync(account->steps, 0, envs * sizeof *account->steps, d->stream), "resetting environments");
    CUDA(cudaMemsetAsync(account->reward_sum, 0, groups * envs * sizeof *account->reward_sum, d->stream), "resetting environments");
    check_code(d->program.kernels->reset(&d->program, d->copies, d->config.envs, io, d->stream), "resetting environments");
    fill_ones(d, io);
}

static void env_device_observe(struct env_device *d, const struct mappo_env_io *io)
{
    if (d->backend->planning) return;
    check_code(d->program.kernels->observe(&d->program, d->copies, d->config.envs, io, d->stream), "observing environments");
    fill_ones(d, io);
}

static void env_device_step(struct env_device *d, const struct mappo_env_io *io)
{
    struct mappo_env_io inner = *io;
    if (d->backend->planning) return;
    inner.struct_size = sizeof inner;
    inner.groups = d->config.spec->groups;
    for (int g = 0; g < inner.groups; g++) {
        const struct device_actions *action = &d->action[g];
        if (!inner.group[g].reward) inner.group[g].reward = d->reward[g];
        if (!action->changed) continue;
        LAUNCH(wrap_actions, cuda_blocks(action->numbers, CUDA_THREADS), CUDA_THREADS, 0, d->stream, *action, io->group[g].act_real);
        LAUNCHED("wrapped actions");
        inner.group[g].act_real = action->changed;
    }
    if (!inner.ep_end) inner.ep_end = d->ep_end;
    if (!inner.info) inner.info = d->info;
    check_code(d->program.kernels->step(&d->program, d->copies, d->config.envs, &inner, &d->account, d->stream), "stepping environments");
    fill_ones(d, io);
}

/* ---- ends that make no sense --------------------------------------------------------------------------------------------------------- */

/* A thread per environment: its ended episodes of the last T steps, then the one that is running. most: steps of an episode, 0 = any. */
static __global__ void find_wrong_end_kernel(const struct account account, const int64_t most, unsigned long long *first)
{
    const size_t envs = (size_t)account.envs, e = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    const uint64_t taken = account.clock->taken, rows = taken < (uint64_t)account.horizon ? taken : (uint64_t)account.horizon;
    if (e >= envs) return;
    for (uint64_t row = 0; row < rows; row++) {
        const size_t cell = (size_t)row * envs + e;
        const int end = account.end[cell];
        if (end > MAPPO_TRUNCATED) atomicMin(first, (unsigned long long)(4 * cell + VERIFY_NO_END));
        if (end && most && account.length[cell] > most) atomicMin(first, (unsigned long long)(4 * cell + VERIFY_ENDLESS));
    }
    if (most && account.steps[e] >= most) atomicMin(first, (unsigned long long)(4 * ((rows - 1) * envs + e) + VERIFY_ENDLESS));
}

static void env_device_find_wrong_end(struct env_device *d, uint64_t *first)
{
    if (d->backend->planning) return;
    CUDA(cudaMemsetAsync(first, 0xff, sizeof *first, d->stream), "clearing a result");
    LAUNCH(find_wrong_end_kernel, cuda_blocks((size_t)d->config.envs, CUDA_THREADS), CUDA_THREADS, 0, d->stream, d->account,
           (int64_t)d->config.spec->max_steps, reinterpret_cast<unsigned long long *>(first));
    LAUNCHED("a look at ends of episodes");
}

/* ---- reports ------------------------------------------------------------------------------------------------------------------------- */

/* Which steps a report covers: `rows` of them, at most T; `first` were taken before them. */
struct report {
    uint64_t first;
    uint32_t rows;
};

static __device__ inline struct report report_of(const struct account *account, const uint64_t *reported)
{
    const uint64_t taken = account->clock->taken, steps = taken - *reported;
    struct report report;
    report.rows = steps < (uint64_t)account->horizon ? (uint32_t)steps : (uint32_t)account->horizon;
    report.first = taken - report.rows;
    return report;
}

/* A block per row: counts the episodes that ended in it. row_count [T] */
static __global__ void __launch_bounds__(CUDA_THREADS)
    count_episodes(const struct account account, const uint64_t *reported, uint32_t *row_count)
{
    const struct report report = report_of(&account, reported);
    const uint64_t row = (report.first + blockIdx.x) % (uint64_t)account.horizon;
    int mine = 0, all;
    if (blockIdx.x < report.rows)
        for (int32_t e = (int32_t)threadIdx.x; e < account.envs; e += CUDA_THREADS)
            mine += account.end[row * (size_t)account.envs + (size_t)e] != 0;
    block_scan(mine, &all);
    if (threadIdx.x == 0) row_count[blockIdx.x] = (uint32_t)all;
}

/* One block: row_first [T + 1] */
static __global__ void __launch_bounds__(CUDA_THREADS) place_episodes(const uint32_t *row_count, uint32_t *row_first, const int32_t horizon)
{
    uint32_t before = 0;
    for (int32_t begin = 0; begin < horizon; begin += CUDA_THREADS) {
        const int32_t row = begin + (int32_t)threadIdx.x;
        int all;
        const int first = block_scan(row < horizon ? (int)row_count[row] : 0, &all);
        if (row < horizon) row_first[row] = before + (uint32_t)first;
        before += (uint32_t)all;
    }
    if (threadIdx.x == 0) row_first[horizon] = before;
}

/* A block per row: list [most] the last of all. */
static __global__ void __launch_bounds__(CUDA_THREADS)
    list_episodes(const struct account account, const uint64_t *reported, const uint32_t *row_first, const uint32_t first_env,
                  const uint32_t most, struct episode *list)
{
    const struct report report = report_of(&account, reported);
    const uint64_t step = report.first + blockIdx.x;
    const size_t row = (size_t)(step % (uint64_t)account.horizon), envs = (size_t)account.envs, cells = envs * (size_t)account.horizon;
    const uint32_t all_rows = row_first[account.horizon], skipped = all_rows > most ? all_rows - most : 0;
    uint32_t to = row_first[blockIdx.x];
    if (blockIdx.x >= report.rows) return; /* the whole block */
    for (int32_t begin = 0; begin < account.envs; begin += CUDA_THREADS) {
        const int32_t e = begin + (int32_t)threadIdx.x;
        const size_t cell = row * envs + (size_t)e;
        const int end = e < account.envs ? account.end[cell] : 0;
        int all;
        const int place = block_scan(end != 0, &all);
        if (end && to + (uint32_t)place >= skipped) {
            struct episode *episode = list + (to + (uint32_t)place - skipped);
            episode->step = step + 1;
            episode->env = first_env + (uint32_t)e;
            episode->length = account.length[cell];
            episode->end = end;
            for (int g = 0; g < account.groups; g++) episode->group_return[g] = account.group_return[(size_t)g * cells + cell];
        }
        to += (uint32_t)all;
    }
}

static __global__ void reported_all(const struct account account, uint64_t *reported)
{
    *reported = account.clock->taken;
}

/* account_sum(x, 1, count) by a warp, in the same order and so with the same bits: its threads fetch, and all add up. */
static __device__ double warp_account_sum(const double *x, const size_t count)
{
    enum { BATCH = 8 }; /* loads of a thread that are on their way: a chunk of environments takes one round */
    double sum = 0;
    for (size_t first = 0; first < count; first += BATCH * WARP) {
        const size_t mine = first + threadIdx.x % WARP;
        double fetched[BATCH];
#pragma unroll
        for (int b = 0; b < BATCH; b++) fetched[b] = mine + b * WARP < count ? x[mine + b * WARP] : 0.0;
#pragma unroll
        for (int b = 0; b < BATCH; b++) {
#pragma unroll 8
            for (int in_warp = 0; in_warp < WARP; in_warp++) sum += __shfl_sync(0xffffffffu, fetched[b], in_warp);
        }
    }
    return sum;
}

static __device__ size_t thread_warp(void) /* number of the thread's warp in the grid */
{
    return ((size_t)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
}

/* A warp per column and chunk of environments: part [2 infos][chunks] in order; clears what it adds up. */
static __global__ void sum_infos(const struct account account, const size_t chunks, double *part)
{
    const size_t i = thread_warp(), infos = (size_t)account.infos, envs = (size_t)account.envs, in_warp = threadIdx.x % WARP;
    if (i >= 2 * infos * chunks) return;
    const size_t column = i / chunks, first = i % chunks * CHUNK;
    const size_t count = envs - first < CHUNK ? envs - first : CHUNK;
    double *x = (column < infos ? account.info_sum + column * envs : account.info_count + (column - infos) * envs) + first;
    const double sum = warp_account_sum(x, count);
    if (in_warp == 0) part[i] = sum;
    for (size_t e = in_warp; e < count; e += WARP) x[e] = 0; /* read by this thread alone */
}

/* A warp per column. */
static __global__ void sum_parts(const double *part, const size_t columns, const size_t chunks, double *total)
{
    const size_t k = thread_warp();
    if (k >= columns) return;
    const double sum = warp_account_sum(part + k * chunks, chunks);
    if (threadIdx.x % WARP == 0) total[k] = sum;
}

static void env_device_report(struct env_device *d, int slot)
{
    struct backend *b = d->backend;
    const unsigned rows = (unsigned)d->config.horizon;
    const size_t infos = (size_t)d->config.spec->infos, chunks = chunks_of(d);
    if (b->planning) return;
    LAUNCH(count_episodes, rows, CUDA_THREADS, 0, d->stream, d->account, d->reported, d->row_count);
    LAUNCH(place_episodes, 1, CUDA_THREADS, 0, d->stream, d->row_count, d->row_first, d->config.horizon);
    LAUNCH(list_episodes, rows, CUDA_THREADS, 0, d->stream, d->account, d->reported, d->row_first, d->config.first_env,
           (uint32_t)d->config.report, d->episode);
    LAUNCH(reported_all, 1, 1, 0, d->stream, d->account, d->reported);
    LAUNCHED("the list of episodes");
    b->download_later(b, d->seen[slot].ended, d->row_first + rows, sizeof *d->seen[slot].ended);
    b->download_later(b, d->seen[slot].episode, d->episode, (size_t)d->config.report * sizeof *d->episode);
    if (infos == 0) return;
    LAUNCH(sum_infos, cuda_blocks(2 * infos * chunks, BLOCK_WARPS), CUDA_THREADS, 0, d->stream, d->account, chunks, d->info_part);
    LAUNCH(sum_parts, cuda_blocks(2 * infos, BLOCK_WARPS), CUDA_THREADS, 0, d->stream, d->info_part, 2 * infos, chunks, d->info_total);
    LAUNCHED("the sums of infos");
    b->download_later(b, d->seen[slot].info, d->info_total, 2 * infos * sizeof *d->info_total);
}

static struct env_report env_device_read_report(struct env_device *d, int slot)
{
    const uint32_t ended = *d->seen[slot].ended, most = (uint32_t)d->config.report;
    struct env_report report;
    report.ended = (int64_t)ended;
    report.listed = (int32_t)(ended < most ? ended : most);
    report.episode = d->seen[slot].episode;
    report.info = d->seen[slot].info;
    return report;
}

extern "C" {
extern const struct env_device_ops cuda_environments;
const struct env_device_ops cuda_environments = {env_device_kernels, env_device_open,   env_device_close,          env_device_reset,
                                                 env_device_observe, env_device_step,   env_device_find_wrong_end, env_device_pull,
                                                 env_device_push,    env_device_report, env_device_read_report};
}
