/* What every learner of rollouts has and does in the same way: T steps of the configuration's rollout, values and advantages, and in a
 * checkpoint the networks. Its `self` begins with a struct on_policy, and its table takes these functions where it needs no others. */
#ifndef MAPPO_ALGO_ON_POLICY_H
#define MAPPO_ALGO_ON_POLICY_H

#include "algo/learner.h"
#include "algo/rollout.h"
#include "algo/running_norms.h"

struct on_policy {
    struct algorithm_context context;
    struct rollout *rollout;
    struct running_norms norms;
    struct backend_memory memory; /* for what the learner needs besides */
    struct annealed now;          /* of the coming updates */
};

/* With the rollout and the running statistics that the configuration asks for (rollout, gae, norm). EXIT_USAGE as rollout_create. */
int on_policy_create(struct algorithm *algorithm, const struct algorithm_context *context, struct error *err);

/* Operations of struct algorithm_ops. */
int on_policy_begin(struct algorithm *algorithm, bool restored, struct error *err);
int on_policy_collect(struct algorithm *algorithm, struct error *err);
int on_policy_finish(struct algorithm *algorithm, struct error *err);
/* At the end of `update`: the rollout goes into the running statistics, and what has been learned may become a past self. */
void on_policy_learned(struct algorithm *algorithm);
void on_policy_anneal(struct algorithm *algorithm, const struct annealed *now);
int on_policy_fields(struct algorithm *algorithm, struct field_list *list);
void on_policy_pull(struct algorithm *algorithm);
void on_policy_push(struct algorithm *algorithm);
void on_policy_destroy(struct algorithm *algorithm);

#endif
