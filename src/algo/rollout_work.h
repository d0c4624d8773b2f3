/* What rollout.c and rollout_values.c share; nobody else includes it. */
#ifndef MAPPO_ALGO_ROLLOUT_WORK_H
#define MAPPO_ALGO_ROLLOUT_WORK_H

#include "algo/rollout.h"
#include "nn/actor.h"

/* A critic pass over some rows of one shard with one set of parameters, and where its values go. */
struct value_part {
    int group, set, shard;
    int32_t *unit; /* [units] of the group's state; NULL = all in order */
    real *out;     /* [units][rows]; the rollout's own memory where the order is the same */
    bool direct;   /* out is the rollout's own memory */
};

struct rollout_work {
    struct policy *const *policy;
    struct actor *actor;
    struct actor_io io[MAPPO_MAX_GROUPS];
    struct mappo_env_io env_io;
    bool filled;   /* slice T holds the present: it becomes slice 0 */
    bool composes; /* some critic input is put together by the host */
    int parts;     /* groups x shards x sets; those of group g: [group_first[g], group_first[g + 1]) */
    int group_first[MAPPO_MAX_GROUPS + 1];
    struct value_part *all, *last, *ended; /* [parts] slices 0 … T-1; slice T; final states of the step being taken */
    struct tiles **all_tiles, **last_tiles, **ended_tiles;
    struct batch *all_batch, *last_batch, *ended_batch;
    struct forward_pass *forward;                                  /* [2 * parts] */
    struct gae_pass *gae;                                          /* [shards] */
    real *units[MAPPO_MAX_GROUPS], *final_units[MAPPO_MAX_GROUPS]; /* values in reward units, where agents have normalisers of their own */
};

void rollout_values_create(struct rollout *rollout);
void rollout_values_destroy(struct rollout *rollout);
/* V of the final states of the environments that step t truncated. */
void rollout_bootstrap(struct rollout *rollout, int t);
/* Puts together what the host has to (joint observations, agent numbers) for environment e of slice t; t = -1: of the final observations.
 */
void rollout_compose(struct rollout *rollout, int t, int e);

#endif
