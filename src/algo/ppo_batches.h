/* Which rows belong to a minibatch: the part of ppo.c that has no arithmetic. Besides it, only who orders learners
 * includes this (happo.c). */
#ifndef MAPPO_ALGO_PPO_BATCHES_H
#define MAPPO_ALGO_PPO_BATCHES_H

#include "algo/ppo.h"

/* Learners of a group: a set of the actor's parameters and one of the critic's, which learn from the same rows; where one of them is shared
 * and the other is not, each set is a learner of its own, actors first. */
struct ppo_sets {
    int set[POLICY_ROLES]; /* -1: not in this learner */
};
int ppo_learners(const struct policy *policy); /* 0 of a group that does not learn */
struct ppo_sets ppo_learner_sets(const struct policy *policy, int learner);

/* The rows of one shard that one learner learns from. What is shuffled is an item: an env-step with all its agents; an env-step of one
 * agent, where each has its own parameters; or a single row. Of recurrent networks it is so many steps of these one after the other, a chunk:
 * the rollout's last ones, where there are fewer, are short ones, which are shuffled and dealt apart, so that the k-th minibatch has as many
 * of both kinds in every epoch. */
struct ppo_part {
    int group, learner, shard;
    struct ppo_sets of;
    int items, short_items;              /* of the whole rollout; of whole episodes: of the one at hand */
    int steps, short_steps;              /* of an item: 1, or ppo_config.chunk; of a short one */
    int rows;                            /* actor rows of an item: A or 1 */
    int critic_rows;                     /* critic rows of an item: V or 1 */
    int pack_rows;                       /* rows of a unit of the critic's input */
    struct select_pass select;           /* what is the same for every minibatch of it; its arrays are the backend's */
    struct recurrent time[POLICY_ROLES]; /* of the minibatch at hand, where the networks are recurrent … */
    int *width[POLICY_ROLES];            /* … [steps] likewise */
};

/* All parts, ordered by group, then learner, then shard: those of learners that follow one another do so as well. */
struct ppo_batches {
    const struct ppo_config *config;
    const struct rollout *rollout;
    struct policy *const *policy;
    const struct update_numbers *numbers; /* the backend's */
    int size; /* items of a part's minibatch, of which the last one has fewer; 0: minibatches are as large as each other */
    int parts, group_first[MAPPO_MAX_GROUPS + 1];
    struct ppo_part *part;
    struct select_pass *pass;            /* [2 * parts] scratch */
    int32_t **order;                     /* [parts] the backend's copy of a hook's permutation; NULL without hook */
    struct batch *actor, *critic, *pack; /* [parts] of the minibatch at hand */
    struct batch *everything;            /* [parts] all rows, as [T][E][A] */
};

/* How many minibatches an epoch has with ppo_config.minibatch_size, and `size` for it. EXIT_USAGE where that differs between learners, or
 * where shards can't have equal parts of a minibatch. shards: of all ranks. */
int ppo_batches_count(struct ppo_batches *batches, int shards, int *minibatches, struct error *err);
/* config … size are set by the caller. */
int ppo_batches_create(struct ppo_batches *batches, struct arena *arena, struct error *err);
void ppo_batches_destroy(struct ppo_batches *batches);
/* The units of all rows of a shape in arrays [T][E][A], the backend's; NULL where they are everything in order. */
int32_t *ppo_batches_list(const struct ppo_batches *batches, const struct select_shape *shape, int env_steps);
/* Of whole episodes: before anything is selected from a rollout, which has other env-steps than the last one. */
void ppo_batches_hold(struct ppo_batches *batches);
/* Fills actor, critic and pack of parts [first, end). The same is selected for every epoch where there is one minibatch: then this was done
 * at the beginning. */
void ppo_batches_select(struct ppo_batches *batches, int first, int end, int epoch, int minibatch);
int ppo_part_largest(const struct ppo_batches *batches, const struct ppo_part *part); /* steps of the largest minibatch's items */
/* NULL where the networks are not recurrent. */
const struct recurrent *ppo_part_time(const struct ppo_batches *batches, const struct ppo_part *part, int role);

#endif
