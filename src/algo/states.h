/* What recurrent networks remember while a rollout is collected and valued: their states before every step, and after the last. None where no
 * group's networks are recurrent. Memory: the backend's, and belongs to the `memory` that was given; `host` is what the fields point to.
 *
 * Axes: T steps, E environments of this rank, R states of an env-step: A of a group's actors; of its critics A where each agent has its own, else
 * as many as critics' inputs; H hidden.
 *
 * A state is kept as a step has left it. Whether an episode has ended with that step stands in `ended`, by which whoever goes on zeroes it: a
 * time limit's final observation is valued with what the critic knew of the episode. An agent's death ends nothing. */
#ifndef MAPPO_ALGO_STATES_H
#define MAPPO_ALGO_STATES_H

#include "algo/transitions.h"
#include "nn/policy.h"

struct states_role {
    int rows;   /* R; 0 where the networks are not recurrent */
    int hidden; /* H */
    real *at;   /* [T + 1][E][R][H] before step t */
    real *host; /* [E][R][H] before the next step, zeroed where an episode has ended */
};

struct states {
    const struct transitions *transitions; /* a rollout */
    struct policy *const *policy;          /* [groups] */
    int groups;
    struct states_role group[MAPPO_MAX_GROUPS][POLICY_ROLES];
    uint8_t *ended;      /* [T + 1][E] enum mappo_episode_end of the step before step t: a copy that begins with the rollout before */
    uint8_t *host_ended; /* [E] */
    struct backend *backend;
};

/* Is some group's network of this role recurrent? */
static inline bool states_needed(struct policy *const *policy, int groups, int role)
{
    for (int g = 0; g < groups; g++)
        if (policy[g]->net[role].gru && policy[g]->sets[role] > 0) return true;
    return false;
}

/* transitions and policy must outlive the states. */
void states_create(struct states *states, const struct transitions *transitions, struct policy *const *policy,
                   struct backend_memory *memory);

static inline bool states_kept(const struct states *states)
{
    return states->ended != NULL;
}
static inline real *states_at(const struct states *states, int g, int role, int place)
{
    const struct states_role *of = &states->group[g][role];
    return of->at + (size_t)place * (size_t)states->transitions->config.envs * (size_t)(of->rows * of->hidden);
}
/* [E] how the step before that of a place has ended, while steps are being collected. */
const uint8_t *states_ended(const struct states *states, int place);

/* States before the steps of all places; the batch, how many steps, and where states go to are the caller's. */
struct recurrent states_time(const struct states *states, int g, int role);

void states_carry(const struct states *states);     /* what comes after a full rollout comes before the next one */
void states_collected(const struct states *states); /* `ended` is as the rollout's steps: before anything learns from them */
void states_clear(struct states *states);           /* all episodes begin anew */

/* <path>/<group>/actor_state, critic_state. pull and push as everywhere: around what the fields point to. */
void states_fields(const struct states *states, const char *path, struct field_list *list);
void states_pull(struct states *states);
void states_push(struct states *states);

#endif
