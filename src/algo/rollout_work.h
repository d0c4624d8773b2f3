/* What the files of the rollout share (rollout.c, rollout_collect.c, rollout_values.c); nobody else includes it. */
#ifndef MAPPO_ALGO_ROLLOUT_WORK_H
#define MAPPO_ALGO_ROLLOUT_WORK_H

#include "algo/rollout.h"
#include "nn/actor.h"

/* A critic pass over some rows of one shard with one set of parameters, and where its values go. */
struct value_part {
    int group, set, shard;
    struct batch batch; /* of the group's state */
    int32_t *place;     /* [units] the env-step of each unit; NULL = where `direct`, or the batch's units are env-steps themselves */
    struct tiles *tiles;
    real *out;   /* [units][rows]; the rollout's own memory where the order is the same */
    bool direct; /* out is the rollout's own memory */
};

struct rollout_work {
    const struct mappo_env_spec *spec;
    const struct vecenv *env; /* of rollout_begin */
    struct policy *const *policy;
    struct actor *actor;
    struct actor_io io[MAPPO_MAX_GROUPS];
    struct mappo_env_io env_io;
    int stages;       /* staged: parts of the environments, one of which steps while another is inferred … */
    int *stage_first; /* [stages + 1] … from this environment on */
    bool filled;      /* slice T holds the present: it becomes slice 0 */
    bool composes;    /* some critic input is put together from others */
    int parts;        /* groups x shards x sets; those of group g: [group_first[g], group_first[g + 1]) */
    int group_first[MAPPO_MAX_GROUPS + 1];
    struct value_part *all, *last, *ended; /* [parts] slices 0 … T-1; slice T; final states */
    int32_t *ended_count;                  /* [parts] */
    struct batch *batch;                   /* [parts] scratch of calls */
    struct tiles **tiles;
    struct forward_pass *forward; /* [2 * parts] */
    struct ends_pass *ends;       /* [2 * parts] */
    struct scatter_pass *scatter; /* [2 * parts] */
    struct gae_pass *gae;         /* [shards] */
    uint64_t *clock;              /* [1] the backend's copy of rollout->step at the start of the rollout */
    struct repeated collect, finish;
    void **taken; /* the backend's memory, in the order of taking */
    int takes, takes_room;
    void *pinned[16 * MAPPO_MAX_GROUPS]; /* staged: the backend's host memory */
    int pins;
};

/* Zeroed memory for the rollout: of its arena where the host can use it, else of the backend. */
void *rollout_take(struct rollout *rollout, const char *what, size_t count, size_t size);
#define ROLLOUT_NEW(rollout, type, count) ((type *)rollout_take((rollout), #type "[" #count "]", (size_t)(count), sizeof(type)))

/* Element counts of one slice. */
size_t rollout_obs_size(const struct rollout *rollout, int g);
size_t rollout_state_size(const struct rollout *rollout, int g);
size_t rollout_joint_width(const struct rollout *rollout);       /* per environment */
size_t rollout_environment_width(const struct rollout *rollout); /* S of the environment's own state */
/* Does the group's state have memory that is written beside that of rollout->state and rollout->joint? */
bool rollout_owns_state(const struct rollout *rollout, int g);

/* How many numbers `bad` has where the environments are on a device. */
int rollout_watched(const struct rollout *rollout);

void rollout_values_create(struct rollout *rollout);
void rollout_values_destroy(struct rollout *rollout);
/* V of the final states of the environments that step t truncated; t = 0 for all steps together where F = T. */
void rollout_bootstrap(struct rollout *rollout, int t);
/* Puts together what is put together (joint observations, agent numbers) for environments [lo, hi) of slice t; t < 0: of all final
 * observations. */
void rollout_compose(struct rollout *rollout, int t, int lo, int hi);

#endif
