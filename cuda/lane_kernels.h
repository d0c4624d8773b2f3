/* lane_kernels.h: the batch that env/lane.h makes of an environment, on a device. In the environment's .cu file:
 *
 *     #include "cuda/lane_kernels.h"
 *     #include "envs/mine/rules.h"             its lane functions and LANE_LOOPS(NAME, ...)
 *     LANE_KERNELS(NAME, STATE, RULES, GROUPS)  defines `const struct mappo_kernels NAME_kernels`, for C as well
 *
 * LANE_KERNELS_USUAL has two more arguments: `int USUAL(const RULES *)` says of rules that they are the usual ones, which
 * `void FIX(RULES *)` then sets to constants (they stay what they are): steps under these are compiled once more, with loops unrolled.
 *
 * One thread per copy. Copies and rows of observations are wider than what a thread should read or write in device memory by itself, so a
 * block's part of each array passes through shared memory, in whole lines, where it has room ("staged"); the rest is reached directly.
 * Compile with -fmad=false: products and sums are then rounded as on the host, and so are exp and log1p of env/float_math.h. */
#ifndef MAPPO_CUDA_LANE_KERNELS_H
#define MAPPO_CUDA_LANE_KERNELS_H

#include "cuda/launch.h"

extern "C" {
#include "env/account.h"
#include "env/lane.h"
#include "env/mappo_env.h"
}

enum { LANE_THREADS = 64, LANE_SHARED = 48 * 1024 /* bytes that every device has for a block */ };
enum lane_work { LANE_RESET, LANE_OBSERVE, LANE_STEP };

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
    const struct lane_strides *by = device->strides;
    struct lane_staging staging;
    memset(&staging, 0, sizeof staging);
    if (device->stride % 8 == 0 && device->stride < LANE_SHARED)
        lane_stage(&staging, &staging.copies, device->states, (int32_t)(device->stride / 4), work != LANE_OBSERVE);
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

/* A step of one copy with its account, as lane_advance and vecenv's time limit: whoever ends the episode, what is seen then is its last. */
template <class LANE>
static __device__ inline void lane_play(typename LANE::state *w, const typename LANE::rules *rules, const struct mappo_env_io *lane,
                                        const struct account *account, const int32_t e)
{
    int end = LANE::step(w, rules, lane);
    if (account_step(&account->steps[e], account->time_limit, end)) end = MAPPO_TRUNCATED;
    *lane->ep_end = (uint8_t)end;
    if (end) {
        struct mappo_env_io last;
        slices_final(&last, lane, LANE::groups);
        LANE::observe(w, rules, &last);
        LANE::reset(w, rules);
    }
    LANE::observe(w, rules, lane);
    account_lane(account, e, lane, LANE::groups, end);
}

/* USUAL: `rules` become constants, and copies, observations and rewards are staged. states [envs][stride] */
template <class LANE, int WORK, bool USUAL>
static __global__ void __launch_bounds__(LANE_THREADS)
    lane_kernel(unsigned char *states, const int32_t stride, const int32_t envs, typename LANE::rules rules,
                const struct lane_strides strides, const struct lane_staging staging, const struct mappo_env_io io,
                const struct account account)
{
    DYNAMIC_SHARED(uint32_t, shared);
    const int thread = (int)threadIdx.x, first = (int)blockIdx.x * LANE_THREADS, e = first + thread;
    const int count = envs - first < LANE_THREADS ? envs - first : LANE_THREADS;
    unsigned char *copies = states + (size_t)first * (size_t)stride;
    if (USUAL) LANE::fix(&rules);
    if (staging.copies.width) lane_load(staging.copies, shared, reinterpret_cast<const uint32_t *>(copies), count);
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
        float *copy = reinterpret_cast<float *>(copies + (size_t)thread * (size_t)stride);
        typename LANE::state *w = reinterpret_cast<typename LANE::state *>(lane_row<USUAL>(staging.copies, shared, copy, thread));
        if (WORK == LANE_STEP) {
            lane_play<LANE>(w, &rules, &lane, &account, e);
        } else {
            if (WORK == LANE_RESET) LANE::reset(w, &rules);
            LANE::observe(w, &rules, &lane);
        }
    }
    __syncthreads();
    lane_store(staging.copies, shared, states, first, count);
    for (int g = 0; g < LANE::groups; g++) {
        lane_store(staging.obs[g], shared, io.group[g].obs, first, count);
        lane_store(staging.group_state[g], shared, io.group[g].state, first, count);
        lane_store(staging.reward[g], shared, io.group[g].reward, first, count);
    }
    lane_store(staging.state, shared, io.state, first, count);
    lane_store(staging.info, shared, io.info, first, count);
    /* All of this block's threads have read the clock: the barrier above. The fences keep that before the count, and the count before what
     * the last block writes. */
    if (WORK == LANE_STEP && thread == 0) {
        __threadfence();
        if (atomicAdd(&account.clock->finished, 1u) == gridDim.x - 1) {
            __threadfence();
            account_tick(&account);
        }
    }
}

/* ---- launching ----------------------------------------------------------------------------------------------------------------------- */

static inline bool lane_all_staged(const struct lane_staging *staging, int groups)
{
    bool all = staging->copies.width > 0;
    for (int g = 0; g < groups; g++) all = all && staging->obs[g].width > 0 && staging->reward[g].width > 0;
    return all;
}

template <class LANE, int WORK>
static int lane_launch(const struct mappo_device *device, void *states, int32_t envs, const struct mappo_env_io *io,
                       const struct account *account, void *stream)
{
    const typename LANE::rules *rules = static_cast<const typename LANE::rules *>(device->rules);
    const struct lane_staging staging = lane_plan(device, io, account, WORK);
    const unsigned blocks = ((unsigned)envs + LANE_THREADS - 1) / LANE_THREADS;
    void (*kernel)(unsigned char *, int32_t, int32_t, typename LANE::rules, struct lane_strides, struct lane_staging, struct mappo_env_io,
                   struct account) = lane_kernel<LANE, WORK, false>;
    if constexpr (WORK == LANE_STEP && LANE::has_usual)
        if (LANE::usual(rules) && lane_all_staged(&staging, device->strides->groups)) kernel = lane_kernel<LANE, WORK, true>;
    if (envs < 1) return 0;
    LAUNCH(kernel, blocks, LANE_THREADS, (size_t)staging.words * 4, static_cast<cudaStream_t>(stream), static_cast<unsigned char *>(states),
           (int32_t)device->stride, envs, *rules, *device->strides, staging, *io, *account);
    return (int)cudaPeekAtLastError();
}

template <class LANE>
static int lane_launch_reset(const struct mappo_device *device, void *states, int32_t envs, const struct mappo_env_io *io, void *stream)
{
    const struct account none = {};
    return lane_launch<LANE, LANE_RESET>(device, states, envs, io, &none, stream);
}

template <class LANE>
static int lane_launch_observe(const struct mappo_device *device, void *states, int32_t envs, const struct mappo_env_io *io, void *stream)
{
    const struct account none = {};
    return lane_launch<LANE, LANE_OBSERVE>(device, states, envs, io, &none, stream);
}

#define LANE_PROGRAM(NAME, STATE, RULES, GROUPS, HAS_USUAL, USUAL, FIX)                                                                    \
    struct lane_of_##NAME {                                                                                                                \
        typedef STATE state;                                                                                                               \
        typedef RULES rules;                                                                                                               \
        enum { groups = GROUPS, has_usual = HAS_USUAL };                                                                                   \
        static bool usual(const rules *r) { return USUAL(r); }                                                                             \
        MAPPO_FN void fix(rules *r) { FIX(r); }                                                                                            \
        MAPPO_FN void reset(state *w, const rules *r) { NAME##_lane_reset(w, r); }                                                         \
        MAPPO_FN int step(state *w, const rules *r, const struct mappo_env_io *lane) { return NAME##_lane_step(w, r, lane); }              \
        MAPPO_FN void observe(const state *w, const rules *r, const struct mappo_env_io *lane) { NAME##_lane_observe(w, r, lane); }        \
    };                                                                                                                                     \
    static_assert(alignof(STATE) <= 8, "copies begin at multiples of 8 bytes");                                                            \
    extern "C" {                                                                                                                           \
    extern const struct mappo_kernels NAME##_kernels;                                                                                      \
    const struct mappo_kernels NAME##_kernels = {sizeof(struct mappo_kernels), lane_launch_reset<lane_of_##NAME>,                          \
                                                 lane_launch_observe<lane_of_##NAME>, lane_launch<lane_of_##NAME, LANE_STEP>};             \
    }
#define LANE_KERNELS_USUAL(NAME, STATE, RULES, GROUPS, USUAL, FIX) LANE_PROGRAM(NAME, STATE, RULES, GROUPS, 1, USUAL, FIX)
#define LANE_KERNELS(NAME, STATE, RULES, GROUPS)                   LANE_PROGRAM(NAME, STATE, RULES, GROUPS, 0, lane_never, lane_unchanged)

MAPPO_FN int lane_never(const void *rules)
{
    return rules == NULL;
}

MAPPO_FN void lane_unchanged(void *rules)
{
    (void)rules;
}

#endif
