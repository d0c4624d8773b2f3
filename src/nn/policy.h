/* The networks of one learner: an actor and a critic for each set of shared parameters, in one contiguous block, with their Adam moments.
 *
 *   parameters, m, v   [sets][Pa + Pc]     set s: actor first, then critic
 *   norm               [sets]
 *
 * `sets` is 1 where the agents of the group share parameters, else A. Memory is the backend's; `host` is what the host may read and write:
 * the same memory, or a copy that policy_pull and policy_push move. Gradients belong to the learner that computes them. */
#ifndef MAPPO_NN_POLICY_H
#define MAPPO_NN_POLICY_H

#include "backend/backend.h"
#include "env/vecenv.h"
#include "nn/critic_input.h"
#include "nn/network.h"

struct policy_config {
    int hidden, layers, activation;
    bool feature_norm, layer_norm;
    int gru_layers;
    real head_gain, log_std;
    float fixed_std;
    bool share;           /* one set of parameters for all agents of the group */
    int critic_input;     /* as in struct critic_view … */
    bool concatenate;     /* … likewise */
    bool value_per_agent; /* one value per agent even where all agents see the same state (row minibatches need it) */
    int normalizer;       /* enum normalizer_kind */
    uint64_t seed;
    uint32_t index; /* of the group: keeps initialisations apart */
};

enum { POLICY_MAX_SETS = 64 };

struct policy_state {
    real *parameters, *m, *v; /* [sets][set_size] */
    struct normalizer *norm;  /* [sets] */
};

struct policy {
    char name[64]; /* the group's name: the part of the path in a checkpoint */
    struct group_sizes sizes;
    struct distribution dist;
    struct network actor, critic;
    int sets, critic_input;
    bool concatenate;         /* as in struct critic_view */
    int state_size;           /* S: inputs of the critic */
    int state_rows;           /* I: critic inputs per environment step */
    int value_agents;         /* V: values per environment step: 1 or A; at least state_rows */
    size_t set_size;          /* Pa + Pc */
    real *parameters, *m, *v; /* the backend's */
    struct normalizer *norm;
    struct policy_state host; /* for the host */
    int normalizer;           /* enum normalizer_kind */
    int64_t updates;          /* Adam's step count of both networks */
    struct backend *backend;
};

/* Freshly initialised networks of group `group`. EXIT_USAGE where the group's spaces don't fit the configuration. */
int policy_build(struct policy *policy, const struct policy_config *config, const struct mappo_env_spec *spec, int group,
                 struct backend *backend, struct error *err);
void policy_clear(struct policy *policy);

/* Between the backend and `host`. push also brings the normalisers' scales up to date with their state. */
void policy_pull(struct policy *policy);
void policy_push(struct policy *policy);

static inline real *policy_actor(const struct policy *p, real *block, int set)
{
    return block + (size_t)set * p->set_size;
}
static inline real *policy_critic(const struct policy *p, real *block, int set)
{
    return block + (size_t)set * p->set_size + p->actor.parameters;
}
/* log_std [Kr] of a set; NULL where it is no parameter. */
static inline const real *policy_log_std(const struct policy *p, int set)
{
    return p->actor.at.extra < 0 ? NULL : policy_actor(p, p->parameters, set) + p->actor.at.extra;
}
/* Which set agent `agent` of the group belongs to. */
static inline int policy_set(const struct policy *p, int agent)
{
    return p->sets > 1 ? agent : 0;
}

#endif
