/* What an on-policy learner adds to a finished rollout: V of every observation, V of final observations where time limits cut episodes,
 * advantages and returns.
 *
 * Axes: T steps, E environments of this rank, A agents of a group, V values per env-step (1 or A). Memory: what learning derives from what
 * environments wrote is `real`. Arrays are the backend's and belong to the `memory` that was given. */
#ifndef MAPPO_ALGO_RETURNS_H
#define MAPPO_ALGO_RETURNS_H

#include "algo/states.h"
#include "base/field.h"
#include "nn/critic_input.h"

struct returns_config {
    real gamma, lambda;
    bool bootstrap;        /* gae.time_limit: V of final observations follows where a time limit cut an episode */
    int advantage, target; /* enum return_estimate: gae.advantage, gae.target */
};

struct returns_group {
    real *value;           /* [T+1][E][V] normalised scale */
    real *final_value;     /* [T][E][V] where truncated */
    real *advantage, *ret; /* [T][E][A] */
    /* norm.reward, NULL without: discounted rewards of the episode so far, of every step and after the last one */
    float *discounted; /* [T][E][A] */
    real *now, *host;  /* [E][A] the backend's, and for the host */
};

struct returns {
    struct returns_config config;
    const struct transitions *transitions; /* a rollout */
    const struct critic_inputs *inputs;    /* of its places */
    const struct states *states;           /* likewise */
    struct policy *const *policy;          /* [groups] */
    int groups;
    struct returns_group group[MAPPO_MAX_GROUPS];
    struct returns_work *work;
};

/* transitions, inputs, states and policy must outlive the returns. */
void returns_create(struct returns **returns, const struct returns_config *config, const struct transitions *transitions,
                    const struct critic_inputs *inputs, const struct states *states, struct policy *const *policy,
                    struct backend_memory *memory);

/* While collecting. V of the final observations of the environments that step t of the rollout truncated; t = 0: of all steps together
 * where all final observations are kept. Recurrent critics know no values before the rollout is full: theirs come with returns_values. */
void returns_bootstrap(struct returns *returns, int t);

void returns_values(struct returns *returns);     /* V(s_0) … V(s_T) under the present critics */
void returns_advantages(struct returns *returns); /* advantages (not yet normalised) and returns, with the present normalisers.
                                                   * Goes on with the discounted rewards: once a rollout */

/* Discounted rewards begin anew: environments have. */
void returns_clear(struct returns *returns);

/* <path>/<group>/discounted_return, where rewards are normalised. pull and push as everywhere: around what the fields point to. */
void returns_fields(const struct returns *returns, const char *path, struct field_list *list);
void returns_pull(struct returns *returns);
void returns_push(struct returns *returns);

/* The critic's packed inputs of steps 0 … T-1 of a shard, as returns_values left them: rows (t, e, i) with shared parameters, (t, e) of one
 * agent otherwise. */
struct packed_rows *returns_critic_packed(const struct returns *returns, int group, int shard, int set);

#endif
