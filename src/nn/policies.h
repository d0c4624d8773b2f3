/* The networks of a run: for every group of agents a policy (nn/policy.h), and so a list by group, role (actor, critic) and set of
 * parameters. Training, evaluation, train.init and what a checkpoint holds of networks use this; what learns them is the algorithm's. */
#ifndef MAPPO_NN_POLICIES_H
#define MAPPO_NN_POLICIES_H

#include "base/field.h"
#include "comm/comm.h"
#include "config/config.h"
#include "nn/policy.h"

struct policies {
    int groups; /* of all, whether they learn or not (policy_learns) */
    struct policy *group[MAPPO_MAX_GROUPS];
    struct arena *arena;
};

/* What an algorithm decides about its networks; the rest is the configuration's. */
struct policies_config {
    bool central; /* critics see what all agents see together (critic.state, critic.agent_id); else the agent's own observation */
    bool own_view[MAPPO_MAX_GROUPS]; /* but those of these groups their agent's own observation */
    bool value_per_agent;            /* as in struct policy_config */
    bool one_critic;                 /* what critic.share=auto means, where it is not what policy.share says */
    /* Critics value actions: behind all observations (central) those of all agents, behind the agent's own observation its own. Real numbers
     * are then functions of the actor's outputs: enum real_kind. */
    bool actions;
    int real;
};

enum { KIND_MLP, KIND_GRU }; /* policy.kind */

/* Columns that the actions of one agent have for a critic (backend/off_policy.h). */
int policies_action_columns(const struct mappo_group *group);

/* norm.obs, where auto is decided by what the environment is. */
enum { OBS_AUTO, OBS_NONE, OBS_RUNNING };
int policies_norm_obs(const struct config *config, const struct mappo_env_spec *spec);

/* The team that a run is about: that of the first group that learns; 0 where none does. */
int policies_team(const struct policies *policies, const struct mappo_env_spec *spec);

/* Freshly initialised, the same on every machine but for the last bits of some (policies_broadcast). EXIT_USAGE where the environment and
 * the configuration don't fit. */
int policies_create(struct policies **policies, const struct policies_config *how, const struct config *config,
                    const struct mappo_env_spec *spec, struct backend *backend, struct error *err);
void policies_destroy(struct policies *policies); /* before its backend; NULL is allowed */

/* Rank 0's parameters become everybody's: another machine's mathematics library may have rounded initial ones otherwise. Collective. */
void policies_broadcast(struct policies *policies, struct comm *comm);

/* Between the backend and what the fields point to: before they are read, after they were written. */
void policies_pull(struct policies *policies);
void policies_push(struct policies *policies);

/* /policy/<group>[/<agent>]/<role>/…: parameters and normalisers; /optimizer/<group>…: Adam's moments and step count. The agent's number
 * stands where the role has a set of each agent. /policy/<group>/obs_norm, state_norm, reward_norm/…: running statistics, of all sets. */
void policies_fields(struct policies *policies, struct field_list *list);

/* Tensors of a network that is shaped as one of the policy's, at `data`, the host's: /<top>/<group>[/<copy>][/<agent>]/<network>/[<part>/]<tensor>,
 * with `meaning` before what they are. */
struct policies_path {
    const char *top, *network, *part, *meaning, *copy; /* NULL = there is but one */
};
void policies_network_fields(const struct policy *policy, int role, int set, real *data, const struct policies_path *path,
                             struct field_list *list);
/* The same tensors in another block of a policy's size, the host's: /<top>/<group>[/<agent>]/<role>/…, `meaning` before what they are. */
void policies_block_fields(const struct policy *policy, real *block, const char *top, const char *meaning, struct field_list *list);

#endif
