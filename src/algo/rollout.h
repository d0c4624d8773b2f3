/* T steps of E environments of this rank, and how they are collected. On-policy learners fill it, finish it (values, bootstrap, GAE) and
 * learn from it.
 *
 * Axes: T steps, E environments of this rank, A agents of a group, D observation, S critic input, I critic inputs per env-step (1 where the
 * agents share one, else A), L logits, Ki/Kr actions; V = values per env-step (1 or A); F = 1, or T where the environments step on the
 * device and final states are looked at only once a rollout. Slice T of obs, state, active and act_mask is the start of the next rollout
 * and is copied to slice 0 by rollout_collect. Shards: environments [first[s], first[s+1]) form shard s; one shard per rank unless
 * comm.reproducible. Inference, values and gradients never mix shards. Memory: observations and rewards are float as the environment writes
 * them, what learning derives from them is `real`. Arrays are the backend's memory and belong to the rollout. */
#ifndef MAPPO_ALGO_ROLLOUT_H
#define MAPPO_ALGO_ROLLOUT_H

#include "base/arena.h"
#include "env/vecenv.h"
#include "nn/policy.h"

struct rollout_group {
    struct group_sizes sizes;
    float *obs;   /* [T+1][E][A][D] */
    float *state; /* [T+1][E][I][S] critic input; points into obs, joint or the environment's state where that is the same memory */
    bool state_is_obs;
    float *final_obs;      /* [F][E][A][D] of the step being taken (F = 1); NULL where no critic needs it */
    float *final_state;    /* [F][E][I][S] likewise */
    uint8_t *act_mask;     /* [T+1][E][A][L]; NULL without masks */
    uint8_t *active;       /* [T+1][E][A];    NULL where everyone always acts */
    int32_t *act_int;      /* [T][E][A][Ki] */
    float *act_real;       /* [T][E][A][Kr] */
    float *reward;         /* [T][E][A] */
    uint8_t *terminated;   /* [T][E][A] */
    real *log_prob;        /* [T][E][A] */
    real *value;           /* [T+1][E][V] normalised scale */
    real *final_value;     /* [T][E][V] where truncated */
    real *advantage, *ret; /* [T][E][A] */
};

/* Where the environments are. */
enum rollout_where {
    ROLLOUT_DIRECT, /* they write into the rollout: backend and environments share the host's memory */
    ROLLOUT_STAGED, /* on the host, beside a device or in other processes: slices of theirs are copied in, actions out */
    ROLLOUT_DEVICE  /* on the backend's device: nothing of a rollout passes through the host */
};

struct rollout_config {
    int steps, envs;      /* T, E of this rank */
    uint32_t first_env;   /* global index of environment 0 */
    int shards;           /* of this rank */
    uint32_t first_shard; /* global number of shard 0: keeps the permutations of shards apart */
    real gamma, lambda;
    bool bootstrap; /* gae.time_limit */
    uint64_t seed;
    int where; /* enum rollout_where */
    int crew;  /* staged: threads, with the calling one, that stand by while a rollout is collected (env/crew.h); <= 1: none */
    void *(*share)(void *user, size_t bytes); /* staged: memory for the environments' slices, zeroed, the giver's; NULL = the backend's */
    void *share_user;
};

struct rollout {
    struct rollout_config config;
    int groups, final_steps; /* F */
    struct rollout_group group[MAPPO_MAX_GROUPS];
    float *state, *final_state; /* [T+1][E][S] [F][E][S] the environment's own, where some critic reads it */
    float *joint, *final_joint; /* the same, all observations of all groups one after the other */
    uint8_t *ep_end;            /* [T][E] */
    uint64_t step;              /* environment steps taken by every environment so far: Philox position of the actions; checkpointed */
    uint64_t *bad; /* [bads] what looks at what the environments wrote have found, for the backend; bads = 0 where the host looks */
    int bads;
    int *first;                         /* [shards + 1] first environment (local) of each shard */
    double seconds_step, seconds_infer; /* since the caller last cleared them; on a device the host's share */
    /* likewise, staged beside a device: copies and inference there, up to actions, and how much of that the host stood and waited for */
    double seconds_device, seconds_wait;
    struct rollout_work *work;
    struct backend *backend;
    struct arena *arena;
};

/* policy [spec->groups] and spec must outlive the rollout. EXIT_USAGE where the shards don't divide the environments. */
int rollout_create(struct rollout **rollout, const struct rollout_config *config, const struct mappo_env_spec *spec,
                   struct policy *const *policy, struct backend *backend, struct error *err);
void rollout_destroy(struct rollout *rollout); /* NULL is allowed */

/* Slice 0 from a fresh start (reset) or from restored environments (observe). */
int rollout_begin(struct rollout *rollout, struct vecenv *env, bool restored, struct error *err);

/* T steps. What the environments did wrong (env/judge.h) names environment (global index), agent and step. Where they are on a device
 * that is found out later: rollout_complain says it, given what `bad` then held and what `step` was. */
int rollout_collect(struct rollout *rollout, struct vecenv *env, struct error *err);
int rollout_complain(const struct rollout *rollout, const uint64_t *bad /* host [bads] */, uint64_t step, struct error *err);

/* rollout_values, then rollout_returns. */
void rollout_finish(struct rollout *rollout);
void rollout_values(struct rollout *rollout);  /* V(s_0) … V(s_T) under the present critics */
void rollout_returns(struct rollout *rollout); /* GAE: advantages (not yet normalised) and returns, with the present normalisers */

/* The critic's packed inputs of slices 0 … T-1 of a shard, as rollout_values left them: rows (t, e, i) with shared parameters, (t, e) of
 * one agent otherwise. */
struct tiles *rollout_critic_tiles(const struct rollout *rollout, int group, int shard, int set);

#endif
