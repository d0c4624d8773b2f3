/* Which rows belong to a minibatch: the part of ppo.c that has no arithmetic. Nobody else includes it. */
#ifndef MAPPO_ALGO_PPO_BATCHES_H
#define MAPPO_ALGO_PPO_BATCHES_H

#include "algo/ppo.h"

/* The rows of one shard that one set of parameters learns from. What is shuffled is an item: an env-step with all its agents; an env-step
 * of one agent, where each has its own parameters; or a single row. */
struct ppo_part {
    int group, set, shard;
    int items;        /* of the whole rollout */
    int rows;         /* actor rows of an item: A or 1 */
    int critic_rows;  /* critic rows of an item: V or 1 */
    int pack_rows;    /* rows of a unit of the critic's input */
    int pack_repeats; /* how often an item's unit of the critic's input stands in pack_unit: one input may serve several rows */
    int32_t *actor_unit, *critic_unit, *pack_unit; /* of the minibatch at hand */
    int32_t *step_unit;                            /* [T * E of the shard] env-steps in natural order */
};

/* All parts, ordered by group, then shard, then set. */
struct ppo_batches {
    const struct rollout *rollout;
    struct policy *const *policy;
    const struct ppo_hooks *hooks;
    uint64_t seed;
    int epochs, minibatches;
    bool row_minibatches;
    int parts, group_first[MAPPO_MAX_GROUPS + 1];
    struct ppo_part *part;
    int32_t **permutation;               /* [groups][shards] of [epochs][items]; groups share them where the item is the env-step */
    struct batch *actor, *critic, *pack; /* [parts] of the minibatch at hand */
    struct batch *everything;            /* [parts] all rows, as [T][E][A] */
};

int ppo_batches_create(struct ppo_batches *batches, struct arena *arena,
                       struct error *err);                                      /* rollout … row_minibatches are set by the caller */
void ppo_batches_shuffle(struct ppo_batches *batches, int64_t update);          /* permutations of all epochs */
void ppo_batches_select(struct ppo_batches *batches, int epoch, int minibatch); /* fills actor, critic and pack */
int ppo_part_largest(const struct ppo_batches *batches, const struct ppo_part *part); /* items of the largest minibatch */

#endif
