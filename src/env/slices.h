/* slices.h: the arrays of a step, listed once. Whoever keeps, moves, checks or compares what goes in and out of an environment loops over
 * these lines; an array more is a member of mappo_env.h and a line here (and another MAPPO_ENV_ABI).
 *
 * A slice is an array at one time: E environments, each with `width` numbers. */
#ifndef MAPPO_ENV_SLICES_H
#define MAPPO_ENV_SLICES_H

#include <stdbool.h>
#include <string.h>

#include "base/fn.h"
#include "env/mappo_env.h"

/* Who writes a slice, and when. */
enum slice_written {
    SLICE_ACTION,      /* the learner, before a step */
    SLICE_RESULT,      /* step */
    SLICE_OBSERVATION, /* reset, observe and step: what is seen at the time after it */
    SLICE_FINAL        /* step, for environments whose episode ended */
};
/* What must be true of its numbers. */
enum slice_sound {
    SLICE_ANYTHING,
    SLICE_FINITE,
    SLICE_CHOICE, /* an agent that acts has a choice left */
    SLICE_END     /* MAPPO_RUNNING, MAPPO_TERMINATED or MAPPO_TRUNCATED */
};

/* Those of a group and those of the environment, each SLICE(member of the io, element, written, flag that the group needs to have it
 * written by the environment, width of an environment, observation that a final one stands for (else itself), sound, what it is called).
 * The width is an expression of `by`, a pointer to struct slice_group_strides or struct slice_strides. */
// clang-format off
#define GROUP_SLICES(SLICE)                                                                                                              \
    SLICE(act_int,     int32_t, SLICE_ACTION,      0,                     by->act_int,  act_int,    SLICE_ANYTHING, "integer action")    \
    SLICE(act_real,    float,   SLICE_ACTION,      0,                     by->act_real, act_real,   SLICE_ANYTHING, "real action")       \
    SLICE(reward,      float,   SLICE_RESULT,      0,                     by->agents,   reward,     SLICE_FINITE,   "reward")            \
    SLICE(terminated,  uint8_t, SLICE_RESULT,      0,                     by->agents,   terminated, SLICE_ANYTHING, "termination")       \
    SLICE(obs,         float,   SLICE_OBSERVATION, 0,                     by->obs,      obs,        SLICE_FINITE,   "observation")       \
    SLICE(state,       float,   SLICE_OBSERVATION, MAPPO_STATE_PER_AGENT, by->state,    state,      SLICE_FINITE,   "state")             \
    SLICE(active,      uint8_t, SLICE_OBSERVATION, MAPPO_HAS_ACTIVE,      by->agents,   active,     SLICE_ANYTHING, "active flag")       \
    SLICE(act_mask,    uint8_t, SLICE_OBSERVATION, MAPPO_HAS_MASK,        by->act_mask, act_mask,   SLICE_CHOICE,   "mask")              \
    SLICE(final_obs,   float,   SLICE_FINAL,       0,                     by->obs,      obs,        SLICE_FINITE,   "final observation") \
    SLICE(final_state, float,   SLICE_FINAL,       MAPPO_STATE_PER_AGENT, by->state,    state,      SLICE_FINITE,   "final state")
#define ENV_SLICES(SLICE)                                                                                                                \
    SLICE(state,       float,   SLICE_OBSERVATION, 0,                     by->state,    state,      SLICE_FINITE,   "state")             \
    SLICE(final_state, float,   SLICE_FINAL,       0,                     by->state,    state,      SLICE_FINITE,   "final state")       \
    SLICE(ep_end,      uint8_t, SLICE_RESULT,      0,                     1,            ep_end,     SLICE_END,      "end")               \
    SLICE(info,        float,   SLICE_RESULT,      0,                     by->info,     info,       SLICE_ANYTHING, "info")
// clang-format on

/* ---- widths -------------------------------------------------------------------------------------------------------------------------- */

/* How far apart the slices of two neighbouring copies are, per array. */
struct slice_group_strides {
    int32_t agents, act_int, act_real, obs, state, act_mask;
};
struct slice_strides {
    int32_t groups, state, info;
    int32_t state_is_all_obs; /* of the spec */
    struct slice_group_strides group[MAPPO_MAX_GROUPS];
};

static inline int32_t slice_space_width(const struct mappo_space *space)
{
    int32_t width = 0;
    const int32_t components = space->kind == MAPPO_DISCRETE ? 1 : space->size;
    if (space->kind == MAPPO_BOX || space->kind == MAPPO_MULTI_BINARY) return space->size;
    for (int i = 0; space->n && i < components; i++) width += space->n[i];
    return width;
}

/* Environments ask for it while they are created, before anybody has looked whether their spec is sound. */
static inline void slice_strides_of(struct slice_strides *strides, const struct mappo_env_spec *spec)
{
    memset(strides, 0, sizeof *strides);
    strides->groups = spec->groups < MAPPO_MAX_GROUPS ? spec->groups : MAPPO_MAX_GROUPS;
    strides->state = spec->state_size;
    strides->state_is_all_obs = spec->state_is_all_obs;
    strides->info = spec->infos;
    for (int g = 0; g < strides->groups; g++) {
        const struct mappo_group *group = &spec->group[g];
        struct slice_group_strides *by = &strides->group[g];
        by->agents = group->agents;
        by->state = group->agents * group->state_size;
        for (int h = 0; h < group->obs_heads && h < MAPPO_MAX_HEADS; h++) by->obs += group->agents * slice_space_width(&group->obs[h]);
        for (int h = 0; h < group->act_heads && h < MAPPO_MAX_HEADS; h++) {
            const struct mappo_space *space = &group->act[h];
            if (space->kind == MAPPO_BOX) {
                by->act_real += group->agents * space->size;
            } else {
                by->act_int += group->agents * space->size;
                by->act_mask += group->agents * slice_space_width(space);
            }
        }
    }
}

/* ---- one environment of a batch ------------------------------------------------------------------------------------------------------ */

/* The io whose arrays begin at environment e. `groups` is a constant, so that the compiler can keep the pointers in registers. */
MAPPO_FN void slices_at(struct mappo_env_io *to_io, const struct mappo_env_io *from_io, const struct slice_strides *strides,
                        const int groups, const int32_t e)
{
#define SLICE(name, element, written, needs, width, of, sound, what)                                                                       \
    to->name = from->name ? from->name + (size_t)e * (size_t)(width) : NULL;
    to_io->struct_size = from_io->struct_size;
    to_io->groups = groups;
    for (int g = 0; g < groups; g++) {
        const struct slice_group_strides *by = &strides->group[g];
        const struct mappo_group_io *from = &from_io->group[g];
        struct mappo_group_io *to = &to_io->group[g];
        GROUP_SLICES(SLICE)
    }
    const struct slice_strides *by = strides;
    const struct mappo_env_io *from = from_io;
    struct mappo_env_io *to = to_io;
    ENV_SLICES(SLICE)
#undef SLICE
}

/* The io under which `observe` writes an ended episode's last observation: every observation goes where its final one belongs. */
MAPPO_FN void slices_final(struct mappo_env_io *to_io, const struct mappo_env_io *from_io, const int groups)
{
#define NOTHING(name, ...) to->name = NULL;
#define SLICE(name, element, written, needs, width, of, sound, what)                                                                       \
    if (written == SLICE_FINAL) to->of = from->name;
    to_io->struct_size = from_io->struct_size;
    to_io->groups = groups;
    for (int g = 0; g < groups; g++) {
        const struct mappo_group_io *from = &from_io->group[g];
        struct mappo_group_io *to = &to_io->group[g];
        GROUP_SLICES(NOTHING)
        GROUP_SLICES(SLICE)
    }
    const struct mappo_env_io *from = from_io;
    struct mappo_env_io *to = to_io;
    ENV_SLICES(NOTHING)
    ENV_SLICES(SLICE)
#undef NOTHING
#undef SLICE
}

/* ---- as data, for the host ----------------------------------------------------------------------------------------------------------- */

/* Which line of the tables a slice is: GROUP_SLICE_obs, ENV_SLICE_state. */
// clang-format off
enum slice_id {
#define SLICE(name, ...) GROUP_SLICE_##name,
    GROUP_SLICES(SLICE)
#undef SLICE
#define SLICE(name, ...) ENV_SLICE_##name,
    GROUP_SLICE_IDS,
    ENV_SLICES(SLICE)
#undef SLICE
    ENV_SLICE_IDS
};
// clang-format on
enum { SLICES_MAX = MAPPO_MAX_GROUPS * GROUP_SLICE_IDS + ENV_SLICE_IDS - GROUP_SLICE_IDS - 1 };

struct slice {
    int id;                  /* enum slice_id */
    const char *name, *what; /* "final_obs", "final observation" */
    int group;               /* < 0: of the environment */
    int written, sound;      /* enum slice_written, enum slice_sound */
    bool is_float;
    bool offered;    /* the group's flags say that the environment writes it; what it leaves out (active, act_mask) the host fills */
    size_t place;    /* of its pointer in struct mappo_env_io */
    size_t final_of; /* of a final one: the place of the observation that it stands for */
    size_t width;    /* numbers of an environment; 0: it has none */
    size_t bytes;    /* of an environment */
};

struct slices {
    int count;
    struct slice slice[SLICES_MAX];
};

/* All slices that environments of this spec can have (width > 0): those of group 0 in the order above, …, then the environment's. */
void slices_of(struct slices *slices, const struct mappo_env_spec *spec);

/* A state, or final one, of the environment or of agents: what only critics read. */
static inline bool slice_is_state(const struct slice *slice)
{
    return slice->id == GROUP_SLICE_state || slice->id == GROUP_SLICE_final_state || slice->id == ENV_SLICE_state ||
           slice->id == ENV_SLICE_final_state;
}

static inline void *slice_array(const struct mappo_env_io *io, const struct slice *slice)
{
    void *array;
    memcpy(&array, (const char *)io + slice->place, sizeof array);
    return array;
}

static inline void slice_point(struct mappo_env_io *io, const struct slice *slice, const void *array)
{
    memcpy((char *)io + slice->place, &array, sizeof array);
}

#endif
