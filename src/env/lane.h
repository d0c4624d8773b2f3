/* lane.h: an environment written for one copy becomes a batch.
 *
 * The rules of an environment are three inline functions on one copy ("lane"), host and device, in float:
 *     void NAME_lane_reset(STATE *, const RULES *)
 *         a new episode
 *     int NAME_lane_step(STATE *, const RULES *, const struct mappo_env_io *)
 *         one step: reward, terminated, info; returns what ep_end gets
 *     void NAME_lane_observe(const STATE *, const RULES *, const struct mappo_env_io *)
 *         obs, state, active, act_mask
 * The io they get is that of mappo_env.h with every array beginning at their copy: group[g].obs is [A][D], reward is [A]. NULL = not
 * wanted.
 *
 * lane_advance_NAME (host and device) puts them together: same-step autoreset, final observations. LANE_LOOPS makes the loops over a range
 * that a descriptor wants; cuda/lane_kernels.h makes kernels of the same calls, one thread per copy, and lane_offer hands them out.
 *
 * A batch keeps its copies in one block, `stride` bytes apart; a copy is plain data of any layout, contains its generator, and is its
 * own snapshot. */
#ifndef MAPPO_ENV_LANE_H
#define MAPPO_ENV_LANE_H

#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "env/mappo_env.h"
#include "env/slices.h"

/* The copies of a batch. */
struct lane_batch {
    unsigned char *states; /* [envs][stride] */
    size_t stride;
    int32_t envs;
    struct lane_strides strides;
};

static inline int lane_batch_create(struct lane_batch *batch, int32_t envs, size_t stride, const struct mappo_env_spec *spec)
{
    batch->stride = stride;
    batch->envs = envs;
    batch->states = (unsigned char *)calloc((size_t)envs, stride);
    lane_strides_of(&batch->strides, spec);
    return batch->states ? 0 : -1;
}

MAPPO_FN void *lane_state(const struct lane_batch *batch, const int32_t e)
{
    return batch->states + (size_t)e * batch->stride;
}

static inline int lane_snapshot(const struct lane_batch *batch, int32_t e, void *bytes)
{
    memcpy(bytes, lane_state(batch, e), batch->stride);
    return 0;
}

/* Reads a generator back: it must be the one of this copy, or a damaged file would quietly change what is drawn. */
static inline int lane_check_philox(const struct philox *rng, const struct philox *now)
{
    return rng->used <= 4 && rng->seed == now->seed && rng->index == now->index && rng->stream == now->stream ? 0 : -1;
}

/* For a descriptor's `device`. LANE_KERNELS of the environment's .cu file makes the kernels, which the host finds by their name. */
static inline int lane_offer(struct mappo_device *out, const struct lane_batch *batch, const void *rules)
{
    out->states = batch->states;
    out->stride = batch->stride;
    out->rules = rules;
    out->strides = &batch->strides;
    return 0;
}

#define LANE_LOOPS(NAME, STATE, RULES_OF, GROUPS)                                                                                          \
    MAPPO_FN void lane_advance_##NAME(STATE *w, const RULES_OF *rules, const struct mappo_env_io *lane)                                    \
    {                                                                                                                                      \
        const int end = NAME##_lane_step(w, rules, lane);                                                                                  \
        if (lane->ep_end) *lane->ep_end = (uint8_t)end;                                                                                    \
        if (end) {                                                                                                                         \
            struct mappo_env_io last;                                                                                                      \
            slices_final(&last, lane, GROUPS);                                                                                             \
            NAME##_lane_observe(w, rules, &last);                                                                                          \
            NAME##_lane_reset(w, rules);                                                                                                   \
        }                                                                                                                                  \
        NAME##_lane_observe(w, rules, lane);                                                                                               \
    }                                                                                                                                      \
    static inline void lane_reset_##NAME(const struct lane_batch *batch, const RULES_OF *rules, int32_t lo, int32_t hi,                    \
                                         const struct mappo_env_io *io)                                                                    \
    {                                                                                                                                      \
        for (int32_t e = lo; e < hi; e++) {                                                                                                \
            struct mappo_env_io lane;                                                                                                      \
            slices_at(&lane, io, &batch->strides, GROUPS, e);                                                                              \
            NAME##_lane_reset((STATE *)lane_state(batch, e), rules);                                                                       \
            NAME##_lane_observe((const STATE *)lane_state(batch, e), rules, &lane);                                                        \
        }                                                                                                                                  \
    }                                                                                                                                      \
    static inline void lane_step_##NAME(const struct lane_batch *batch, const RULES_OF *rules, int32_t lo, int32_t hi,                     \
                                        const struct mappo_env_io *io)                                                                     \
    {                                                                                                                                      \
        for (int32_t e = lo; e < hi; e++) {                                                                                                \
            struct mappo_env_io lane;                                                                                                      \
            slices_at(&lane, io, &batch->strides, GROUPS, e);                                                                              \
            lane_advance_##NAME((STATE *)lane_state(batch, e), rules, &lane);                                                              \
        }                                                                                                                                  \
    }                                                                                                                                      \
    static inline void lane_observe_##NAME(const struct lane_batch *batch, const RULES_OF *rules, int32_t lo, int32_t hi,                  \
                                           const struct mappo_env_io *io)                                                                  \
    {                                                                                                                                      \
        for (int32_t e = lo; e < hi; e++) {                                                                                                \
            struct mappo_env_io lane;                                                                                                      \
            slices_at(&lane, io, &batch->strides, GROUPS, e);                                                                              \
            NAME##_lane_observe((const STATE *)lane_state(batch, e), rules, &lane);                                                        \
        }                                                                                                                                  \
    }

#endif
