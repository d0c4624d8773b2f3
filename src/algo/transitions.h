/* Steps of the E environments of this rank: what was seen, what was done, and what followed. One of two kinds:
 *
 *   a rollout   T steps one after the other and the T + 1 observations around them. When it is full it is carried over: its last
 *               observations become the first of the next.
 *               Of whole episodes, environments have taken different numbers of steps by then, T at most, and go on from the last of
 *               theirs. What lies behind it at the later places is no step of theirs: whoever reads rows takes the env-steps `held`.
 *   a ring      the last T steps (a replay buffer): T + 1 places, in which the newest step takes the place of the oldest.
 *
 * It keeps the slices (env/slices.h) that it is asked to keep, each in one array [places][E][width]:
 *
 *   written              places of a rollout   of a ring   at the place of a step
 *   SLICE_OBSERVATION    T + 1                 T + 1       seen before it; what is seen after it is at the next place
 *   SLICE_ACTION         T                     T + 1       done
 *   SLICE_RESULT         T                     T + 1       what followed
 *   SLICE_FINAL          T, or 1 for all       T + 1       last observations of the episodes that ended with it
 *
 * Steps are numbered from 0, for all environments alike; the number of the next one is `step`, which is also the position of the random
 * numbers of its actions. Shards: environments [first[s], first[s + 1]) form shard s, one a rank unless comm.reproducible; learning never
 * mixes them. What else a learner keeps of a step (values, returns, probabilities) is its own.
 *
 * Ownership: arrays are the backend's memory, taken from the `memory` that is given. */
#ifndef MAPPO_ALGO_TRANSITIONS_H
#define MAPPO_ALGO_TRANSITIONS_H

#include "backend/memory.h"
#include "base/field.h"
#include "env/slices.h"

struct transitions_config {
    int steps, envs;      /* T, E */
    uint32_t first_env;   /* global index of environment 0 */
    int shards;           /* of this rank */
    uint32_t first_shard; /* global number of shard 0 */
    /* > 0: a rollout of whole episodes. Each environment begins with one and takes at least so many steps, and on to the end of an episode:
     * T is the most that this can come to. Memory of the host; no ring. */
    int at_least;
    bool ring;
    bool all_finals; /* a rollout keeps the final observations of every step, not only those of the step being taken; a ring always does */
};

struct transitions {
    struct transitions_config config;
    struct slices slices;    /* those kept, */
    struct mappo_env_io all; /* and where the array of each begins */
    uint64_t step;           /* steps taken so far */
    int64_t filled;          /* of these are held: the last ones, at most T */
    int *first;              /* [shards + 1] first environment (local) of each shard */
    /* of whole episodes, once a rollout is full; NULL otherwise */
    int *length;     /* [E] steps that each environment has taken */
    int32_t *held;   /* the env-steps t * E + e of all: shard after shard, each in the order of t, then e */
    int *held_first; /* [shards + 1] where those of each shard begin */
    struct backend *backend;
};

/* EXIT_USAGE where shards don't divide the environments or where there are more rows than 2^31. */
int transitions_create(struct transitions **transitions, const struct transitions_config *config, const struct slices *kept,
                       const struct mappo_env_spec *spec, struct backend_memory *memory, struct error *err);

/* Bytes of all arrays of such transitions. */
size_t transitions_bytes(const struct transitions_config *config, const struct slices *kept);

/* ---- filling ------------------------------------------------------------------------------------------------------------------------- */

/* The io of the k-th step from now (0 = the next): its actions, results and final observations, and what is seen after it. What is not kept
 * is NULL. */
void transitions_aim(const struct transitions *transitions, struct mappo_env_io *io, int k);
/* The same with what is seen before it: for a reset, and for who acts. */
void transitions_aim_before(const struct transitions *transitions, struct mappo_env_io *io, int k);
void transitions_advance(struct transitions *transitions, int steps); /* they have been taken */

static inline void transitions_clear(struct transitions *transitions) /* what comes next does not follow what is held */
{
    transitions->filled = 0;
}
static inline bool transitions_full(const struct transitions *transitions)
{
    return transitions->filled == transitions->config.steps;
}
void transitions_carry(struct transitions *transitions); /* a full rollout */
/* Of whole episodes: all `length`s are known, and the rollout is full. The numbers of steps go on as if each environment had taken T, so that
 * they don't depend on how long episodes were anywhere. */
void transitions_close(struct transitions *transitions);

/* ---- reading ------------------------------------------------------------------------------------------------------------------------- */

static inline int transitions_places(const struct transitions_config *config, int written)
{
    if (config->ring || written == SLICE_OBSERVATION) return config->steps + 1;
    return written == SLICE_FINAL && !config->all_finals ? 1 : config->steps;
}

/* The steps held are numbers [oldest, step). */
static inline uint64_t transitions_oldest(const struct transitions *transitions)
{
    return transitions->step - (uint64_t)transitions->filled;
}

/* Env-steps of a shard that is full, and which they are; NULL: all of its environments' at all places. */
static inline int transitions_held(const struct transitions *transitions, int shard, const int32_t **held)
{
    const struct transitions *x = transitions;
    *held = x->held ? x->held + x->held_first[shard] : NULL;
    return x->held ? x->held_first[shard + 1] - x->held_first[shard] : x->config.steps * (x->first[shard + 1] - x->first[shard]);
}

/* The place of a step that is held, or of the next one. */
static inline int transitions_place(const struct transitions *transitions, uint64_t step)
{
    if (transitions->config.ring) return (int)(step % ((uint64_t)transitions->config.steps + 1));
    return (int)(step - transitions_oldest(transitions));
}
static inline int transitions_next(const struct transitions *transitions, int place)
{
    return place == transitions->config.steps ? 0 : place + 1; /* the last place of a rollout has no step */
}

/* Where the numbers of environment `env` (local) lie in a slice's array at a place. */
static inline void *transitions_at(const struct transitions *transitions, const struct slice *slice, int place, int env)
{
    const size_t row = (size_t)place * (size_t)transitions->config.envs + (size_t)env;
    return (char *)slice_array(&transitions->all, slice) + row * slice->bytes;
}

/* The env-steps u of a shard in the first `steps` steps, in their order, as units u * stride + offset: the backend's. */
int32_t *transitions_units(const struct transitions *transitions, struct backend_memory *memory, int steps, int shard, int stride,
                           int offset);

/* What environment `env` saw when a step had been taken, as a learner means it: where the episode ended with it, what was seen last (NULL
 * where that is not kept), not the first of the next one. `slice`: an observation. Reads ep_end, so for a backend whose memory the host can
 * read. */
const void *transitions_seen_after(const struct transitions *transitions, const struct slice *slice, uint64_t step, int env);

/* ---- checkpoints --------------------------------------------------------------------------------------------------------------------- */

void transitions_fields(struct transitions *transitions, const char *path, struct field_list *list); /* <path>/step */
/* What a ring holds, as algorithm_ops.replay lists it: <path>/filled, and <path>/[<group>/]<slice> as its arrays lie. Returns how many places
 * have been written; the first of them, because steps take one after the other. */
int64_t transitions_replay(struct transitions *transitions, const char *path, const struct mappo_env_spec *spec, struct field_list *list);

#endif
