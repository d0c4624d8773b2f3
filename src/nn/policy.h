/* The networks of one group of agents: for each role (actor, critic) one network layout and as many sets of parameters as the role has: one
 * that all agents share, or one of each agent. All in one block, with Adam's moments beside it:
 *
 *   parameters, m, v   actors [sets of the actor][Pa], then critics [sets of the critic][Pc]: role after role
 *   norm               [sets of the critic]
 *   running            statistics of what the networks see and of rewards (norm.obs, norm.reward), of all sets together
 *
 * A group that does not learn has no critics and no moments, and where no networks act for it (nn/players.h) no actors either.
 *
 * Memory is the backend's; `host` is what the host may read and write: the same memory, or a copy that policy_pull and policy_push move.
 * Gradients belong to the learner that computes them. */
#ifndef MAPPO_NN_POLICY_H
#define MAPPO_NN_POLICY_H

#include "backend/backend.h"
#include "backend/kernels/layer.h"
#include "env/vecenv.h"
#include "nn/critic_input.h"
#include "nn/distribution.h"
#include "nn/network.h"
#include "nn/players.h"

enum policy_role { ROLE_ACTOR, ROLE_CRITIC, POLICY_ROLES }; /* another one stands behind these, or old runs' initial networks change */

/* Running statistics of a group: of its agents' observations; of what its critic sees where that is something else; of discounted returns. */
enum policy_running { RUNNING_OBS, RUNNING_STATE, RUNNING_REWARD, POLICY_RUNNING };

struct policy_config {
    int hidden, layers, activation;
    int width[NETWORK_MAX_LAYERS]; /* of each hidden layer; 0 = hidden */
    bool feature_norm, layer_norm;
    struct convolutions conv; /* their layers, outputs, kernels and padding; the images are the environment's (nn/images.h) */
    int init;                 /* enum init_kind */
    double hidden_gain;
    int chunk; /* > 0: both networks are recurrent, and are trained on sequences of so many steps */
    real head_gain, log_std;
    struct deviation deviation;
    bool share[POLICY_ROLES];         /* one set of parameters for all agents of the group */
    int critic_input;                 /* as in struct critic_view … */
    bool concatenate;                 /* … likewise */
    int real;                         /* as in struct distribution */
    int actions;                      /* columns of actions that the critic sees behind its state; 0 = none */
    bool value_per_agent;             /* one value per agent even where all agents see the same state (row minibatches need it) */
    int normalizer;                   /* enum normalizer_kind */
    bool running_obs, running_reward; /* norm.obs, norm.reward */
    int player;                       /* enum player */
    uint64_t seed;
    uint32_t index; /* of the group: keeps initialisations apart */
};

enum { POLICY_MAX_SETS = 64 };

struct policy_arrays {
    real *parameters, *m, *v;               /* [size] */
    struct normalizer *norm;                /* [sets of the critic] */
    struct running running[POLICY_RUNNING]; /* width 0: the policy has none of these */
};

struct policy {
    char name[64]; /* the group's name: the part of the path in a checkpoint */
    struct group_sizes sizes;
    struct distribution dist;
    struct network net[POLICY_ROLES];
    int player;             /* enum player: who acts. Groups that don't learn have no critic and no moments, … */
    int sets[POLICY_ROLES]; /* 1: all agents share it; else A; … and 0 of a role that the group doesn't have */
    int critic_input;
    bool concatenate;         /* as in struct critic_view */
    int state_size;           /* S: inputs of the critic, … */
    int actions;              /* … and columns of actions behind them (backend/off_policy.h); 0 = it values states */
    int state_rows;           /* I: critic inputs per environment step */
    int value_agents;         /* V: values per environment step: 1 or A; at least state_rows */
    size_t size;              /* of all networks */
    real *parameters, *m, *v; /* the backend's */
    struct normalizer *norm;
    struct running running[POLICY_RUNNING];
    struct policy_arrays host;   /* for the host */
    int normalizer;              /* enum normalizer_kind */
    int64_t updates;             /* Adam's step count of both networks */
    struct policy_config config; /* that it was built by */
    struct backend *backend;
};

/* Freshly initialised networks of group `group`. EXIT_USAGE where the group's spaces don't fit the configuration. */
int policy_build(struct policy *policy, const struct policy_config *config, const struct mappo_env_spec *spec, int group,
                 struct backend *backend, struct error *err);
void policy_clear(struct policy *policy);
/* By which the initial parameters of a network are drawn, and all of it; roles from POLICY_ROLES on are of critics that others own. */
uint32_t policy_network_number(uint32_t group, int role, int set);
struct network_init policy_network_init(const struct policy *policy, int role, int set);

/* Between the backend and `host`. push also brings the scales of normalisers and running statistics up to date with their state. */
void policy_pull(struct policy *policy);
void policy_push(struct policy *policy);
/* The same of running statistics alone, wherever they are kept. */
void policy_pull_running(struct backend *backend, const struct running *host, const struct running *running);
void policy_push_running(struct backend *backend, const struct running *running, const struct running *host);

static inline const struct network *policy_network(const struct policy *p, int role)
{
    return &p->net[role];
}
/* Multiply-adds of a forward pass of one row; *first: those of the first layer, whose input gradient nobody needs (NULL = not wanted). */
static inline double network_multiply_adds(const struct network *net, double *first)
{
    double all = 0;
    for (int l = 0; l <= layer_head(net); l++) all += (double)layer_inputs(net, l) * layer_outputs(net, l);
    if (first) *first = (double)layer_inputs(net, 0) * layer_outputs(net, 0);
    for (int i = 0; i < net->conv.layers; i++) {
        const struct conv_layer c = conv_layer_of(net, i);
        const double of_layer = (double)conv_positions(&c) * conv_inputs(&c) * c.outputs; /* zeros around the image are counted */
        if (first && i == 0) *first = of_layer;
        all += of_layer;
    }
    return all;
}
/* Where the network of a set lies in a block of the policy. */
static inline real *policy_network_at(const struct policy *p, real *block, int role, int set)
{
    for (int before = 0; before < role; before++) block += (size_t)p->sets[before] * p->net[before].parameters;
    return block + (size_t)set * p->net[role].parameters;
}
static inline real *policy_actor(const struct policy *p, real *block, int set)
{
    return policy_network_at(p, block, ROLE_ACTOR, set);
}
static inline real *policy_critic(const struct policy *p, real *block, int set)
{
    return policy_network_at(p, block, ROLE_CRITIC, set);
}
/* Statistics on whose scale a network's rows are packed; NULL = as they are. */
static inline const struct running *policy_inputs(const struct policy *p, int role)
{
    const struct running *running = &p->running[role == ROLE_ACTOR || p->critic_input == CRITIC_OBS ? RUNNING_OBS : RUNNING_STATE];
    return running->width ? running : NULL;
}
/* log_std [Kr] of a set; NULL where it is no parameter. */
static inline const real *policy_log_std(const struct policy *p, int set)
{
    return p->net[ROLE_ACTOR].at.extra < 0 ? NULL : policy_actor(p, p->parameters, set) + p->net[ROLE_ACTOR].at.extra;
}
/* Reals of the actors of all sets, with which a block of the policy begins. */
static inline size_t policy_actor_size(const struct policy *p)
{
    return (size_t)p->sets[ROLE_ACTOR] * p->net[ROLE_ACTOR].parameters;
}
/* The step of a set's network, of whose optimiser the caller knows: `optimizer`, `step`, `fault` and where in an update it is. */
static inline struct optimizer_pass policy_step(const struct policy *p, int role, int set, const real *gradient,
                                                const struct update_numbers *numbers)
{
    const bool actor = role == ROLE_ACTOR;
    return (struct optimizer_pass){.rate = actor ? &numbers->actor_rate : &numbers->critic_rate,
                                   .steps = &numbers->steps,
                                   .gradient = gradient,
                                   .parameters = policy_network_at(p, p->parameters, role, set),
                                   .m = policy_network_at(p, p->m, role, set),
                                   .v = policy_network_at(p, p->v, role, set),
                                   .n = policy_network(p, role)->parameters,
                                   .not_finite = {.kind = actor ? FAULT_ACTOR_GRADIENT : FAULT_CRITIC_GRADIENT}};
}
static inline bool policy_learns(const struct policy *p)
{
    return player_learns(p->player);
}
/* The first of the groups that learns; -1: none does. */
static inline int policy_first_learning(struct policy *const *policy, int groups)
{
    for (int g = 0; g < groups; g++)
        if (policy_learns(policy[g])) return g;
    return -1;
}
/* Has every agent its own? */
static inline bool policy_apart(const struct policy *p, int role)
{
    return p->sets[role] > 1;
}
/* Which set agent `agent` of the group belongs to. */
static inline int policy_set(const struct policy *p, int role, int agent)
{
    return policy_apart(p, role) ? agent : 0;
}

#endif
