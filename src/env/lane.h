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

/* How far apart the slices of two neighbouring copies are, per array. */
struct lane_group_strides {
    int32_t agents, act_int, act_real, obs, state, act_mask;
};
struct lane_strides {
    int32_t groups, state, info;
    struct lane_group_strides group[MAPPO_MAX_GROUPS];
};

/* The io of copy e; `groups` is a constant, so that the compiler can keep the pointers in registers. */
MAPPO_FN void lane_at(struct mappo_env_io *lane, const struct mappo_env_io *io, const struct lane_strides *strides, const int groups,
                      const int32_t e)
{
    const size_t at = (size_t)e;
    lane->struct_size = io->struct_size;
    lane->groups = groups;
    for (int g = 0; g < groups; g++) {
        const struct lane_group_strides *by = &strides->group[g];
        const struct mappo_group_io *from = &io->group[g];
        struct mappo_group_io *to = &lane->group[g];
        to->act_int = from->act_int ? from->act_int + at * (size_t)by->act_int : NULL;
        to->act_real = from->act_real ? from->act_real + at * (size_t)by->act_real : NULL;
        to->obs = from->obs ? from->obs + at * (size_t)by->obs : NULL;
        to->final_obs = from->final_obs ? from->final_obs + at * (size_t)by->obs : NULL;
        to->state = from->state ? from->state + at * (size_t)by->state : NULL;
        to->final_state = from->final_state ? from->final_state + at * (size_t)by->state : NULL;
        to->reward = from->reward ? from->reward + at * (size_t)by->agents : NULL;
        to->terminated = from->terminated ? from->terminated + at * (size_t)by->agents : NULL;
        to->active = from->active ? from->active + at * (size_t)by->agents : NULL;
        to->act_mask = from->act_mask ? from->act_mask + at * (size_t)by->act_mask : NULL;
    }
    lane->state = io->state ? io->state + at * (size_t)strides->state : NULL;
    lane->final_state = io->final_state ? io->final_state + at * (size_t)strides->state : NULL;
    lane->ep_end = io->ep_end ? io->ep_end + at : NULL;
    lane->info = io->info ? io->info + at * (size_t)strides->info : NULL;
}

/* The io under which `observe` writes an ended episode's last observation. */
MAPPO_FN void lane_final(struct mappo_env_io *last, const struct mappo_env_io *lane, const int groups)
{
    last->struct_size = lane->struct_size;
    last->groups = groups;
    for (int g = 0; g < groups; g++) {
        const struct mappo_group_io none = {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL};
        last->group[g] = none;
        last->group[g].obs = lane->group[g].final_obs;
        last->group[g].state = lane->group[g].final_state;
    }
    last->state = lane->final_state;
    last->final_state = NULL;
    last->ep_end = NULL;
    last->info = NULL;
}

/* Strides from a spec; its environments have no copy of their own of what the spaces already say. */
static inline int32_t lane_space_width(const struct mappo_space *space)
{
    int32_t width = 0;
    const int32_t components = space->kind == MAPPO_DISCRETE ? 1 : space->size;
    if (space->kind == MAPPO_BOX || space->kind == MAPPO_MULTI_BINARY) return space->size;
    for (int i = 0; space->n && i < components; i++) width += space->n[i];
    return width;
}

/* Environments ask for it while they are created, before anybody has looked whether their spec is sound. */
static inline void lane_strides_of(struct lane_strides *strides, const struct mappo_env_spec *spec)
{
    memset(strides, 0, sizeof *strides);
    strides->groups = spec->groups < MAPPO_MAX_GROUPS ? spec->groups : MAPPO_MAX_GROUPS;
    strides->state = spec->state_size;
    strides->info = spec->infos;
    for (int g = 0; g < strides->groups; g++) {
        const struct mappo_group *group = &spec->group[g];
        struct lane_group_strides *by = &strides->group[g];
        by->agents = group->agents;
        by->state = group->agents * group->state_size;
        for (int h = 0; h < group->obs_heads && h < MAPPO_MAX_HEADS; h++) by->obs += group->agents * lane_space_width(&group->obs[h]);
        for (int h = 0; h < group->act_heads && h < MAPPO_MAX_HEADS; h++) {
            const struct mappo_space *space = &group->act[h];
            if (space->kind == MAPPO_BOX) {
                by->act_real += group->agents * space->size;
            } else {
                by->act_int += group->agents * space->size;
                by->act_mask += group->agents * lane_space_width(space);
            }
        }
    }
}

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

/* For a descriptor's `device`. LANE_KERNELS of the environment's .cu file makes the kernels; its .c file refers to them weakly, so that it
 * links without nvcc's part, and gives NULL then:
 *     extern const struct mappo_kernels NAME_kernels __attribute__((weak)); */
static inline int lane_offer(struct mappo_device *out, const struct lane_batch *batch, const void *rules,
                             const struct mappo_kernels *kernels)
{
    if (!kernels) return -1;
    out->states = batch->states;
    out->stride = batch->stride;
    out->rules = rules;
    out->strides = &batch->strides;
    out->kernels = kernels;
    return 0;
}

#define LANE_LOOPS(NAME, STATE, RULES_OF, GROUPS)                                                                                          \
    MAPPO_FN void lane_advance_##NAME(STATE *w, const RULES_OF *rules, const struct mappo_env_io *lane)                                    \
    {                                                                                                                                      \
        const int end = NAME##_lane_step(w, rules, lane);                                                                                  \
        if (lane->ep_end) *lane->ep_end = (uint8_t)end;                                                                                    \
        if (end) {                                                                                                                         \
            struct mappo_env_io last;                                                                                                      \
            lane_final(&last, lane, GROUPS);                                                                                               \
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
            lane_at(&lane, io, &batch->strides, GROUPS, e);                                                                                \
            NAME##_lane_reset((STATE *)lane_state(batch, e), rules);                                                                       \
            NAME##_lane_observe((const STATE *)lane_state(batch, e), rules, &lane);                                                        \
        }                                                                                                                                  \
    }                                                                                                                                      \
    static inline void lane_step_##NAME(const struct lane_batch *batch, const RULES_OF *rules, int32_t lo, int32_t hi,                     \
                                        const struct mappo_env_io *io)                                                                     \
    {                                                                                                                                      \
        for (int32_t e = lo; e < hi; e++) {                                                                                                \
            struct mappo_env_io lane;                                                                                                      \
            lane_at(&lane, io, &batch->strides, GROUPS, e);                                                                                \
            lane_advance_##NAME((STATE *)lane_state(batch, e), rules, &lane);                                                              \
        }                                                                                                                                  \
    }                                                                                                                                      \
    static inline void lane_observe_##NAME(const struct lane_batch *batch, const RULES_OF *rules, int32_t lo, int32_t hi,                  \
                                           const struct mappo_env_io *io)                                                                  \
    {                                                                                                                                      \
        for (int32_t e = lo; e < hi; e++) {                                                                                                \
            struct mappo_env_io lane;                                                                                                      \
            lane_at(&lane, io, &batch->strides, GROUPS, e);                                                                                \
            NAME##_lane_observe((const STATE *)lane_state(batch, e), rules, &lane);                                                        \
        }                                                                                                                                  \
    }

#endif
