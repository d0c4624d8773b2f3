/* Self-play: groups that learn (group.NAME.play=self), and for which in some environments one of their past selves acts, so that the others
 * learn against these as well. docs/decisions/013 says why it is so.
 *
 *   a pool       of each such group: copies of its actor, with the statistics of observations that belong to it, one taken after every
 *                `interval` updates. Of all that were ever taken `members` are kept, each with the same probability (reservoir sampling:
 *                Vitter 1985, algorithm R)
 *   a rollout    in each environment, with probability `share` of each group, that group is away: one member of its pool acts, drawn uniformly,
 *                for the whole rollout. At most one group is away in an environment, and none whose pool is empty
 *   its rows     where a group is away are none of its own: in no loss, no statistic and no metric of the learner's. The others learn there
 *
 * All draws are Philox's by global environment, or by the number of the copy. Arrays are the backend's, from the `memory` that is given. */
#ifndef MAPPO_ALGO_SELF_PLAY_H
#define MAPPO_ALGO_SELF_PLAY_H

#include "algo/states.h"
#include "nn/actor.h"

struct self_play_rules {
    int members; /* 0: the group doesn't play itself */
    int64_t interval;
    double share;
};

struct self_play_group {
    struct self_play_rules rules;
    int64_t taken;   /* copies that were ever taken */
    int64_t *update; /* [members] after which each of those that are kept was taken; 0 = there is none yet */
    /* the pool, the backend's: [members][sets][Pa], and statistics of each member */
    real *actors, *host_actors;
    struct running *obs, *host_obs; /* [members]; width 0 where there are none */
    int32_t *member;                /* [E] the host's: who acts in this rollout, or has acted in the last; -1 = the policy */
    uint8_t *away, *anew;           /* [E] not 0: a member acts; somebody else than before, or a member, does */
    uint8_t *home, *counted, *env;  /* [T][E][A] [T][E][A] [T][E] not 0: of the group; and active; of the group */
};

struct self_play {
    bool used; /* by some group */
    int groups;
    struct self_play_group group[MAPPO_MAX_GROUPS];
    struct actor_pool pool[MAPPO_MAX_GROUPS]; /* for actors */
    uint64_t seed;
    const struct transitions *transitions; /* a rollout */
    const struct states *states;
    struct policy *const *policy;
    struct backend *backend;
    uint8_t *flags; /* [E] the host's scratch */
};

/* rules, policy [spec->groups]; transitions, states and policy must outlive it. Without rules of any group it is empty, and all below does
 * nothing. EXIT_USAGE where shares add up to more than environments there are, or where nobody meets the past selves. */
int self_play_create(struct self_play *self_play, const struct self_play_rules *rules, uint64_t seed, const struct transitions *transitions,
                     const struct states *states, struct policy *const *policy, struct backend_memory *memory, struct error *err);

void self_play_begin(struct self_play *self_play); /* of episodes that begin anew: nobody has acted yet */
/* Who acts in the rollout that is collected next, whose first observations are at place 0. */
void self_play_assign(struct self_play *self_play, struct actor *actor);
/* Which rows of the rollout are whose, once it is collected. */
void self_play_mark(const struct self_play *self_play);
/* The `updates`-th update has been made: copies that are due. */
void self_play_learned(struct self_play *self_play, int64_t updates);

/* Rows [T][E][A] of a group that count, NULL = all: those that are active, or all; of the group they are in both cases. */
const uint8_t *self_play_rows(const struct self_play *self_play, int group, bool active);
/* The same of env-steps [T][E], or of rows [T][E][A] where `rows` says that there are so many of an env-step. */
const uint8_t *self_play_home(const struct self_play *self_play, int group, int rows);

/* /pool/<group>/taken, /pool/<group>/<k>[/<agent>]/actor/…, /pool/<group>/<k>/obs_norm/…; <path>/<group>/member. pull and push as everywhere:
 * around what the fields point to. */
void self_play_fields(struct self_play *self_play, const char *path, struct field_list *list);
void self_play_pull(struct self_play *self_play);
void self_play_push(struct self_play *self_play);

#endif
