/* lane_kernels.h: the batch that env/lane_env.h makes of an environment, on a device. The environment's .cu file is two lines,
 *
 *     #include "cuda/lane_kernels.h"
 *     #include "envs/mine/rules.c"     with its line LANE_ENV(mine_rules, …) or LANE_PLUGIN(…)
 *
 * which define `const struct mappo_kernels mine_rules_kernels` (mappo_env_plugin_kernels), for C as well.
 *
 * One thread per copy resets and steps, and observes where the environment has `observe`. Copies and rows of observations are wider than
 * what a thread should read or write in device memory by itself, so a block's part of each array passes through shared memory, in whole
 * lines, where it has room ("staged"); the rest is reached directly. With `observe_agent` there is a thread for each agent of each copy
 * instead, in kernels of their own, and a block takes as many agents as shared memory has room for. Rules go into a kernel by value, or
 * lie in device memory where they are larger than LANE_RULES. Compile with -fmad=false: products and sums are then rounded as on the host,
 * and so are exp and log1p of env/float_math.h. */
#ifndef MAPPO_CUDA_LANE_KERNELS_H
#define MAPPO_CUDA_LANE_KERNELS_H

#include "cuda/launch.h"

extern "C" {
#include "env/account.h"
#include "env/lane_env.h"
}

/* Of the environment's file kernels need the rules alone; what the host needs is compiled, and dropped. */
#ifdef __CUDACC__
#pragma nv_diag_suppress 177
#pragma nv_diag_suppress 20091 /* nor are tables of the device read there */
#else
#pragma GCC diagnostic ignored "-Wunused-function"
#endif

enum {
    LANE_THREADS = 64,
    LANE_SHARED = 48 * 1024, /* bytes that every device has for a block */
    LANE_RULES = 1024,       /* bytes of rules that go by value */
    LANE_PARAMETERS = 4096   /* bytes that every device takes */
};
/* LANE_RENEW: a reset of the copies whose episode has ended. */
enum lane_work { LANE_RESET, LANE_OBSERVE, LANE_STEP, LANE_RENEW };

/* ---- what is staged ------------------------------------------------------------------------------------------------------------------ */

/* One array in shared memory, in words of 4 bytes: row e of the block begins at `at` + e * `by`. width = 0: not staged. `stored`: its rows
 * go back to device memory. */
struct lane_rows {
    int32_t at, by, width, stored;
};
struct lane_staging {
    struct lane_rows copies, state, info;
    struct lane_rows obs[MAPPO_MAX_GROUPS], group_state[MAPPO_MAX_GROUPS], reward[MAPPO_MAX_GROUPS];
    int32_t words; /* in all */
};

/* Rows of an odd width lie in different banks; copies begin at multiples of 8 bytes, and so at an odd multiple of that. */
static inline void lane_stage(struct lane_staging *staging, struct lane_rows *rows, const void *array, int32_t width, int stored)
{
    const int32_t by = rows == &staging->copies ? (width / 2 | 1) * 2 : width | 1;
    if (!array || width < 1 || ((int64_t)staging->words + (int64_t)by * LANE_THREADS) * 4 > LANE_SHARED) return;
    rows->at = staging->words;
    rows->by = by;
    rows->width = width;
    rows->stored = stored;
    staging->words += by * LANE_THREADS;
}

static inline struct lane_staging lane_plan(const struct mappo_device *device, const struct mappo_env_io *io, const struct account *account,
                                            int work)
{
    const struct slice_strides *by = device->strides;
    struct lane_staging staging;
    memset(&staging, 0, sizeof staging);
    if (work == LANE_RENEW) return staging;
    if (device->stride % 8 == 0 && device->stride < LANE_SHARED)
        lane_stage(&staging, &staging.copies, device->copies, (int32_t)(device->stride / 4), work != LANE_OBSERVE);
    for (int g = 0; g < by->groups; g++) {
        lane_stage(&staging, &staging.obs[g], io->group[g].obs, by->group[g].obs, 1);
        if (work == LANE_STEP) lane_stage(&staging, &staging.reward[g], io->group[g].reward, by->group[g].agents, 1);
    }
    if (work == LANE_STEP) lane_stage(&staging, &staging.info, io->info, by->info, io->info != account->lent_info);
    lane_stage(&staging, &staging.state, io->state, by->state, 1);
    for (int g = 0; g < by->groups; g++) lane_stage(&staging, &staging.group_state[g], io->group[g].state, by->group[g].state, 1);
    return staging;
}

/* ---- on the device ------------------------------------------------------------------------------------------------------------------- */

/* The words of a block's rows, one after the other, by all threads: which row a thread's word is in, and where. */
struct lane_walk {
    int32_t row, word, width;
};

static __device__ inline struct lane_walk lane_walk_from(const int32_t word, const int32_t width)
{
    const struct lane_walk walk = {word / width, word % width, width};
    return walk;
}

static __device__ inline void lane_walk_by(struct lane_walk *walk, const struct lane_walk step)
{
    walk->row += step.row;
    walk->word += step.word;
    if (walk->word < walk->width) return;
    walk->word -= walk->width;
    walk->row++;
}

/* Rows of `count` copies into shared memory: a thread has several words under way at once, or it would wait for each. */
static __device__ inline void lane_load(const struct lane_rows rows, uint32_t *shared, const uint32_t *from, const int count)
{
    enum { BATCH = 16 };
    const int32_t words = count * rows.width, thread = (int32_t)threadIdx.x;
    struct lane_walk at = lane_walk_from(thread, rows.width);
    const struct lane_walk step = lane_walk_from(LANE_THREADS, rows.width);
    for (int32_t i = thread; i < words; i += BATCH * LANE_THREADS) {
        uint32_t x[BATCH];
#pragma unroll
        for (int j = 0; j < BATCH; j++) x[j] = i + j * LANE_THREADS < words ? from[i + j * LANE_THREADS] : 0;
#pragma unroll
        for (int j = 0; j < BATCH; j++) {
            if (i + j * LANE_THREADS < words) shared[rows.at + at.row * rows.by + at.word] = x[j];
            lane_walk_by(&at, step);
        }
    }
}

static __device__ inline void lane_store(const struct lane_rows rows, const uint32_t *shared, void *array, const int first, const int count)
{
    if (rows.width == 0 || !rows.stored) return;
    const int32_t words = count * rows.width, thread = (int32_t)threadIdx.x;
    uint32_t *to = static_cast<uint32_t *>(array) + (size_t)first * (size_t)rows.width;
    struct lane_walk at = lane_walk_from(thread, rows.width);
    const struct lane_walk step = lane_walk_from(LANE_THREADS, rows.width);
#pragma unroll 8
    for (int32_t i = thread; i < words; i += LANE_THREADS) {
        to[i] = shared[rows.at + at.row * rows.by + at.word];
        lane_walk_by(&at, step);
    }
}

/* The array of copy `thread` of the block: in shared memory where it is staged. STAGED: it is, and the compiler may know. */
template <bool STAGED>
static __device__ inline float *lane_row(const struct lane_rows rows, uint32_t *shared, float *direct, const int thread)
{
    return STAGED || rows.width ? reinterpret_cast<float *>(shared + rows.at + thread * rows.by) : direct;
}

/* Rules as a kernel gets them. */
template <class RULES, bool LARGE> struct lane_rules {
    RULES value;
    __device__ RULES *at() { return &value; }
};
template <class RULES> struct lane_rules<RULES, true> {
    const RULES *value;
    __device__ const RULES *at() { return value; }
};

/* What LANE_ENV says of an environment; its words replace what stands here. */
template <class STATE, class RULES, int GROUPS> struct lane_program {
    typedef STATE state;
    typedef RULES rules;
    enum { groups = GROUPS, large = sizeof(RULES) > LANE_RULES, has_usual = 0, by_agent = 0 };
    typedef lane_rules<RULES, large> given;
    MAPPO_FN void usual(rules *) {}
    MAPPO_FN void observe(const state *, const rules *, const struct mappo_env_io *) {}
    MAPPO_FN void observe_agent(const state *, const rules *, int32_t, const struct mappo_env_io *) {}
};

/* What is seen, and then, where it is wanted as a state, all of it once more. */
template <class LANE>
static __device__ inline void lane_observe(const typename LANE::state *w, const typename LANE::rules *rules,
                                           const struct slice_strides *strides, const struct mappo_env_io *lane)
{
    LANE::observe(w, rules, lane);
    if (!lane->state || !strides->state_is_all_obs) return;
    struct mappo_env_io state;
    lane_obs_as_state(&state, lane->state, strides, LANE::groups);
    LANE::observe(w, rules, &state);
}

/* Whoever ends the episode, the rules or vecenv's time limit, what is seen then is its last. */
template <class LANE>
static __device__ inline int lane_step(typename LANE::state *w, const typename LANE::rules *rules, const struct mappo_env_io *lane,
                                       const struct account *account, const int32_t e)
{
    int end = LANE::step(w, rules, lane);
    if (account_step(&account->steps[e], account->time_limit, end)) end = MAPPO_TRUNCATED;
    *lane->ep_end = (uint8_t)end;
    return end;
}

/* One copy's work. Rules stand in it once, in a loop over what is seen last and what is seen next, as kernels take their time to compile.
 * By agents: without what is seen, which is for other kernels, and so is what follows from an end. */
template <class LANE>
static __device__ inline void lane_play(const int work, typename LANE::state *w, const typename LANE::rules *rules,
                                        const struct slice_strides *strides, const struct mappo_env_io *lane, const struct account *account,
                                        const int32_t e)
{
    const int end = work == LANE_STEP ? lane_step<LANE>(w, rules, lane, account, e) : MAPPO_RUNNING;
    const bool renews = work == LANE_RENEW && *lane->ep_end;
#pragma unroll 1
    for (int last = end && !LANE::by_agent; last >= 0; last--) {
        struct mappo_env_io io; /* member by member: of `io = *lane` nvcc 13.0 makes stores to the kernel's own parameters' arrays */
        if (last)
            slices_final(&io, lane, LANE::groups);
        else
            slices_at(&io, lane, strides, LANE::groups, 0);
        if (!last && (work == LANE_RESET || renews || (end && !LANE::by_agent))) LANE::reset(w, rules);
        if (!LANE::by_agent) lane_observe<LANE>(w, rules, strides, &io);
    }
    if (work == LANE_STEP) account_lane(account, e, lane, LANE::groups, end);
}

/* The same of a step under the usual rules: each call by itself, so that all numbers and places are known. */
template <class LANE>
static __device__ inline void lane_play_usual(typename LANE::state *w, const typename LANE::rules *rules,
                                              const struct slice_strides *strides, const struct mappo_env_io *lane,
                                              const struct account *account, const int32_t e)
{
    const int end = lane_step<LANE>(w, rules, lane, account, e);
    if (end) {
        struct mappo_env_io last;
        slices_final(&last, lane, LANE::groups);
        lane_observe<LANE>(w, rules, strides, &last);
        LANE::reset(w, rules);
    }
    lane_observe<LANE>(w, rules, strides, lane);
    account_lane(account, e, lane, LANE::groups, end);
}

/* USUAL: a step in which `rules` become constants, and copies, observations and rewards are staged. All other work is one kernel, which
 * takes a third of the time to compile that one for each would. copies [envs][stride] */
template <class LANE, bool USUAL>
static __global__ void __launch_bounds__(LANE_THREADS)
    lane_kernel(const int work, unsigned char *copies, const int32_t stride, const int32_t envs, typename LANE::given given,
                const struct slice_strides strides, const struct lane_staging staging, const struct mappo_env_io io,
                const struct account account)
{
    DYNAMIC_SHARED(uint32_t, shared);
    const int thread = (int)threadIdx.x, first = (int)blockIdx.x * LANE_THREADS, e = first + thread;
    const int count = envs - first < LANE_THREADS ? envs - first : LANE_THREADS;
    unsigned char *mine = copies + (size_t)first * (size_t)stride; /* the block's */
    auto *rules = given.at();
    if constexpr (USUAL) LANE::usual(rules);
    if (staging.copies.width) lane_load(staging.copies, shared, reinterpret_cast<const uint32_t *>(mine), count);
    __syncthreads();
    if (thread < count) {
        struct mappo_env_io lane;
        slices_at(&lane, &io, &strides, LANE::groups, e);
        for (int g = 0; g < LANE::groups; g++) {
            lane.group[g].obs = lane_row<USUAL>(staging.obs[g], shared, lane.group[g].obs, thread);
            lane.group[g].state = lane_row<false>(staging.group_state[g], shared, lane.group[g].state, thread);
            lane.group[g].reward = lane_row<USUAL>(staging.reward[g], shared, lane.group[g].reward, thread);
        }
        lane.state = lane_row<false>(staging.state, shared, lane.state, thread);
        lane.info = lane_row<false>(staging.info, shared, lane.info, thread);
        float *copy = reinterpret_cast<float *>(mine + (size_t)thread * (size_t)stride);
        typename LANE::state *w = reinterpret_cast<typename LANE::state *>(lane_row<USUAL>(staging.copies, shared, copy, thread));
        if constexpr (USUAL)
            lane_play_usual<LANE>(w, rules, &strides, &lane, &account, e);
        else
            lane_play<LANE>(work, w, rules, &strides, &lane, &account, e);
    }
    __syncthreads();
    lane_store(staging.copies, shared, copies, first, count);
    for (int g = 0; g < LANE::groups; g++) {
        lane_store(staging.obs[g], shared, io.group[g].obs, first, count);
        lane_store(staging.group_state[g], shared, io.group[g].state, first, count);
        lane_store(staging.reward[g], shared, io.group[g].reward, first, count);
    }
    lane_store(staging.state, shared, io.state, first, count);
    lane_store(staging.info, shared, io.info, first, count);
    /* All of this block's threads have read the clock: the barrier above. The fences keep that before the count, and the count before what
     * the last block writes. */
    if ((USUAL || work == LANE_STEP) && thread == 0) {
        __threadfence();
        if (atomicAdd(&account.clock->finished, 1u) == gridDim.x - 1) {
            __threadfence();
            account_tick(&account);
        }
    }
}

/* ---- by agents ----------------------------------------------------------------------------------------------------------------------- */

/* One array of what agents see: `width` numbers of a row, `between` those of two environments. at: the word of shared memory where rows
 * are staged, `by` words each; -1: they are not. width = 0: not wanted. */
struct lane_sight_array {
    void *array;
    int32_t width, between, at, by;
};
/* Rows of one group, [envs][agents], or of the environments' own states [envs][1]. */
struct lane_sight {
    int32_t agents, first_agent; /* of the group; the first of them among all */
    int32_t rows;                /* of a block */
    struct lane_sight_array obs, state, act_mask;
    uint8_t *active;
    const uint8_t *only; /* [envs] where it is not 0; NULL: all */
};

/* Row `row` of an array, the block's r-th, for the thread that writes it. */
template <class T>
static __device__ inline T *lane_sight_row(const struct lane_sight_array to, uint32_t *shared, const int r, const int32_t e,
                                           const int32_t a)
{
    if (to.width == 0) return NULL;
    if (to.at >= 0) return reinterpret_cast<T *>(shared + to.at + r * to.by);
    return static_cast<T *>(to.array) + (size_t)e * (size_t)to.between + (size_t)a * (size_t)to.width;
}

template <class T>
static __device__ inline void lane_sight_store(const struct lane_sight *sight, const struct lane_sight_array to, const uint32_t *shared,
                                               const int64_t first, const int count)
{
    if (to.width == 0 || to.at < 0) return;
    const int32_t numbers = count * to.width, thread = (int32_t)threadIdx.x;
    const bool dense = !sight->only && to.between == sight->agents * to.width;
    T *array = static_cast<T *>(to.array);
    struct lane_walk at = lane_walk_from(thread, to.width);
    const struct lane_walk step = lane_walk_from(LANE_THREADS, to.width);
    for (int32_t i = thread; i < numbers; i += LANE_THREADS) {
        const T x = reinterpret_cast<const T *>(shared + to.at + at.row * to.by)[at.word];
        if (dense) {
            array[(size_t)first * (size_t)to.width + (size_t)i] = x;
        } else {
            const int64_t row = first + at.row, e = row / sight->agents, a = row % sight->agents;
            if (!sight->only || sight->only[e]) array[e * to.between + a * to.width + at.word] = x;
        }
        lane_walk_by(&at, step);
    }
}

/* A thread per row. GROUP < 0: the environments' own states. */
template <class LANE, int GROUP>
static __global__ void __launch_bounds__(LANE_THREADS)
    lane_sight_kernel(const unsigned char *copies, const int32_t stride, const int32_t envs, typename LANE::given given,
                      const struct lane_sight sight)
{
    DYNAMIC_SHARED(uint32_t, shared);
    const int64_t first = (int64_t)blockIdx.x * sight.rows, left = (int64_t)envs * sight.agents - first;
    const int r = (int)threadIdx.x, count = left < sight.rows ? (int)left : sight.rows;
    if (r < count) {
        const int32_t e = (int32_t)((first + r) / sight.agents), a = (int32_t)((first + r) % sight.agents);
        struct mappo_env_io io;
        memset(&io, 0, sizeof io);
        float *state = lane_sight_row<float>(sight.state, shared, r, e, a);
        if (GROUP < 0) {
            io.state = state;
        } else {
            struct mappo_group_io *group = &io.group[GROUP < 0 ? 0 : GROUP];
            group->obs = lane_sight_row<float>(sight.obs, shared, r, e, a);
            group->state = state;
            group->active = sight.active ? sight.active + (first + r) : NULL;
            group->act_mask = lane_sight_row<uint8_t>(sight.act_mask, shared, r, e, a);
        }
        const typename LANE::state *w = reinterpret_cast<const typename LANE::state *>(copies + (size_t)e * (size_t)stride);
        if (!sight.only || sight.only[e]) LANE::observe_agent(w, given.at(), GROUP < 0 ? -1 : sight.first_agent + a, &io);
    }
    __syncthreads();
    lane_sight_store<float>(&sight, sight.obs, shared, first, count);
    lane_sight_store<float>(&sight, sight.state, shared, first, count);
    lane_sight_store<uint8_t>(&sight, sight.act_mask, shared, first, count);
}

/* ---- launching ----------------------------------------------------------------------------------------------------------------------- */

template <class LANE> static typename LANE::given lane_given(const struct mappo_device *device)
{
    typename LANE::given given;
    if constexpr (LANE::large)
        given.value = static_cast<const typename LANE::rules *>(device->device_rules);
    else
        given.value = *static_cast<const typename LANE::rules *>(device->rules);
    return given;
}

static inline bool lane_all_staged(const struct lane_staging *staging, int groups)
{
    bool all = staging->copies.width > 0;
    for (int g = 0; g < groups; g++) all = all && staging->obs[g].width > 0 && staging->reward[g].width > 0;
    return all;
}

/* The rules are what `usual` makes of them. */
template <class LANE> static bool lane_is_usual(const struct mappo_device *device)
{
    typename LANE::rules usual;
    memcpy(&usual, device->rules, sizeof usual);
    LANE::usual(&usual);
    return memcmp(&usual, device->rules, sizeof usual) == 0;
}

template <class LANE>
static int lane_launch(const int work, const struct mappo_device *device, void *copies, int32_t envs, const struct mappo_env_io *io,
                       const struct account *account, void *stream)
{
    struct mappo_env_io own = *io; /* without what agents' kernels write */
    for (int g = 0; g < LANE::groups && LANE::by_agent; g++) own.group[g].obs = own.group[g].state = NULL;
    if (LANE::by_agent) own.state = NULL;
    const struct lane_staging staging = lane_plan(device, &own, account, work);
    const unsigned blocks = ((unsigned)envs + LANE_THREADS - 1) / LANE_THREADS;
    void (*kernel)(int, unsigned char *, int32_t, int32_t, typename LANE::given, struct slice_strides, struct lane_staging,
                   struct mappo_env_io, struct account) = lane_kernel<LANE, false>;
    static_assert(sizeof(typename LANE::given) + sizeof(struct slice_strides) + sizeof(struct lane_staging) + sizeof(struct mappo_env_io) +
                          sizeof(struct account) + 64 <=
                      LANE_PARAMETERS,
                  "parameters of a kernel");
    if constexpr (LANE::has_usual && !LANE::large && !LANE::by_agent)
        if (work == LANE_STEP && lane_is_usual<LANE>(device) && lane_all_staged(&staging, device->strides->groups))
            kernel = lane_kernel<LANE, true>;
    if (envs < 1) return 0;
    LAUNCH(kernel, blocks, LANE_THREADS, (size_t)staging.words * 4, static_cast<cudaStream_t>(stream), work,
           static_cast<unsigned char *>(copies), (int32_t)device->stride, envs, lane_given<LANE>(device), *device->strides, staging, own,
           *account);
    return (int)cudaPeekAtLastError();
}

/* Shared memory for `array`, whose rows have `size` bytes a number. */
static inline int32_t lane_sight_words(const struct lane_sight_array *array, int32_t size)
{
    return array->width ? (int32_t)(((int64_t)array->width * size + 3) / 4 | 1) : 0;
}

static inline void lane_sight_stage(struct lane_sight_array *array, int32_t by, int32_t rows, int32_t *words)
{
    array->by = by;
    array->at = *words;
    *words += by * rows;
}

template <class LANE, int GROUP>
static void lane_launch_sight(const struct mappo_device *device, const void *copies, int32_t envs, struct lane_sight *sight, void *stream)
{
    const int32_t obs = lane_sight_words(&sight->obs, 4), state = lane_sight_words(&sight->state, 4),
                  mask = lane_sight_words(&sight->act_mask, 1);
    const int64_t wide = (int64_t)obs + state + mask, room = LANE_SHARED / 4 / (wide ? wide : 1);
    int32_t words = 0;
    if (!wide && !sight->active) return;
    sight->rows = room < 1 || room > LANE_THREADS ? (int32_t)LANE_THREADS : (int32_t)room;
    sight->obs.at = sight->state.at = sight->act_mask.at = -1;
    if (room >= 1) {
        lane_sight_stage(&sight->obs, obs, sight->rows, &words);
        lane_sight_stage(&sight->state, state, sight->rows, &words);
        lane_sight_stage(&sight->act_mask, mask, sight->rows, &words);
    }
    const int64_t blocks = ((int64_t)envs * sight->agents + sight->rows - 1) / sight->rows;
    if (blocks < 1) return;
    LAUNCH((lane_sight_kernel<LANE, GROUP>), (unsigned)blocks, LANE_THREADS, (size_t)words * 4, static_cast<cudaStream_t>(stream),
           static_cast<const unsigned char *>(copies), (int32_t)device->stride, envs, lane_given<LANE>(device), *sight);
}

/* What the agents of group GROUP and of those before it see; `first`: how many agents, and numbers of observations, there are before. */
template <class LANE, int GROUP>
static void lane_launch_group(const struct mappo_device *device, const void *copies, int32_t envs, const struct mappo_env_io *io,
                              const uint8_t *only, void *stream)
{
    if constexpr (GROUP >= 0) {
        lane_launch_group<LANE, GROUP - 1>(device, copies, envs, io, only, stream);
        if (GROUP >= device->strides->groups) return;
        const struct slice_group_strides *by = &device->strides->group[GROUP];
        const struct mappo_group_io *group = &io->group[GROUP];
        int32_t before = 0;
        struct lane_sight sight;
        memset(&sight, 0, sizeof sight);
        for (int g = 0; g < GROUP; g++) {
            sight.first_agent += device->strides->group[g].agents;
            before += device->strides->group[g].obs;
        }
        sight.agents = by->agents;
        sight.only = only;
        struct lane_sight all = sight;
        sight.active = group->active;
        if (group->obs) sight.obs = {group->obs, by->obs / by->agents, by->obs, 0, 0};
        if (group->state) sight.state = {group->state, by->state / by->agents, by->state, 0, 0};
        if (group->act_mask) sight.act_mask = {group->act_mask, by->act_mask / by->agents, by->act_mask, 0, 0};
        lane_launch_sight<LANE, GROUP>(device, copies, envs, &sight, stream);
        if (!io->state || !device->strides->state_is_all_obs) return;
        all.obs = {io->state + before, by->obs / by->agents, device->strides->state, 0, 0};
        lane_launch_sight<LANE, GROUP>(device, copies, envs, &all, stream);
    }
}

/* All that is seen; only: of environments where it is not 0. */
template <class LANE>
static int lane_launch_sights(const struct mappo_device *device, const void *copies, int32_t envs, const struct mappo_env_io *io,
                              const uint8_t *only, void *stream)
{
    lane_launch_group<LANE, LANE::groups - 1>(device, copies, envs, io, only, stream);
    if (io->state && !device->strides->state_is_all_obs) {
        struct lane_sight sight;
        memset(&sight, 0, sizeof sight);
        sight.agents = 1;
        sight.only = only;
        sight.state = {io->state, device->strides->state, device->strides->state, 0, 0};
        lane_launch_sight<LANE, -1>(device, copies, envs, &sight, stream);
    }
    return (int)cudaPeekAtLastError();
}

template <class LANE>
static int lane_launch_reset(const struct mappo_device *device, void *copies, int32_t envs, const struct mappo_env_io *io, void *stream)
{
    const struct account none = {};
    const int code = lane_launch<LANE>(LANE_RESET, device, copies, envs, io, &none, stream);
    if constexpr (LANE::by_agent)
        if (!code) return lane_launch_sights<LANE>(device, copies, envs, io, NULL, stream);
    return code;
}

template <class LANE>
static int lane_launch_observe(const struct mappo_device *device, void *copies, int32_t envs, const struct mappo_env_io *io, void *stream)
{
    const struct account none = {};
    if constexpr (LANE::by_agent)
        return lane_launch_sights<LANE>(device, copies, envs, io, NULL, stream);
    else
        return lane_launch<LANE>(LANE_OBSERVE, device, copies, envs, io, &none, stream);
}

/* By agents: the old episodes' last observations come before new ones begin. */
template <class LANE>
static int lane_launch_step(const struct mappo_device *device, void *copies, int32_t envs, const struct mappo_env_io *io,
                            const struct account *account, void *stream)
{
    int code = lane_launch<LANE>(LANE_STEP, device, copies, envs, io, account, stream);
    if constexpr (LANE::by_agent) {
        struct mappo_env_io last;
        slices_final(&last, io, MAPPO_MAX_GROUPS);
        if (!code) code = lane_launch_sights<LANE>(device, copies, envs, &last, io->ep_end, stream);
        if (!code) code = lane_launch<LANE>(LANE_RENEW, device, copies, envs, io, account, stream);
        if (!code) code = lane_launch_sights<LANE>(device, copies, envs, io, NULL, stream);
    }
    return code;
}

/* ---- LANE_ENV ------------------------------------------------------------------------------------------------------------------------ */

#define LANE_KERNEL_(NAME)
#define LANE_KERNEL_observe(NAME)                                                                                                          \
    MAPPO_FN void observe(const state *w, const rules *r, const struct mappo_env_io *io)                                                   \
    {                                                                                                                                      \
        NAME##_observe(w, r, io);                                                                                                          \
    }
#define LANE_KERNEL_observe_agent(NAME)                                                                                                    \
    enum { by_agent = 1 };                                                                                                                 \
    MAPPO_FN void observe_agent(const state *w, const rules *r, int32_t agent, const struct mappo_env_io *io)                              \
    {                                                                                                                                      \
        NAME##_observe_agent(w, r, agent, io);                                                                                             \
    }
#define LANE_KERNEL_usual(NAME)                                                                                                            \
    enum { has_usual = 1 };                                                                                                                \
    MAPPO_FN void usual(rules *r)                                                                                                          \
    {                                                                                                                                      \
        NAME##_usual(r);                                                                                                                   \
    }
#define LANE_KERNEL_bytes(NAME)
#define LANE_KERNEL_sound(NAME)
#define LANE_KERNEL_script(NAME)
#define LANE_KERNEL_draw(NAME)
#define LANE_KERNEL_check(NAME)
#define LANE_KERNEL_on_host(NAME)

#undef LANE_ENV
#define LANE_ENV(DESCRIPTOR, NAME, GROUPS, HOOKS, ...)                                                                                     \
    struct NAME##_program : lane_program<struct NAME, struct NAME##_rules, GROUPS> {                                                       \
        MAPPO_FN void reset(state *w, const rules *r) { NAME##_reset(w, r); }                                                              \
        MAPPO_FN int step(state *w, const rules *r, const struct mappo_env_io *io) { return NAME##_step(w, r, io); }                       \
        LANE_EACH(LANE_KERNEL, NAME, HOOKS)                                                                                                \
    };                                                                                                                                     \
    LANE_BOUNDS(NAME, GROUPS);                                                                                                             \
    static_assert(__is_trivially_copyable(struct NAME) && __is_trivially_copyable(struct NAME##_rules),                                    \
                  "copies and rules are plain data");                                                                                      \
    extern "C" {                                                                                                                           \
    extern const struct mappo_kernels DESCRIPTOR##_kernels;                                                                                \
    const struct mappo_kernels DESCRIPTOR##_kernels = {sizeof(struct mappo_kernels), lane_launch_reset<NAME##_program>,                    \
                                                       lane_launch_observe<NAME##_program>, lane_launch_step<NAME##_program>};             \
    }

#undef LANE_PLUGIN
#define LANE_PLUGIN(NAME, GROUPS, HOOKS, ...) LANE_ENV(mappo_env_plugin, NAME, GROUPS, HOOKS, __VA_ARGS__)

#endif
