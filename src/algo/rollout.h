/* What on-policy learners learn from: T steps (transitions) with the actions' log-probabilities, what critics see of them, and their values
 * and returns. A learner collects it, finishes it, and updates its networks with it.
 *
 * Everything is the backend's memory and belongs to the rollout. */
#ifndef MAPPO_ALGO_ROLLOUT_H
#define MAPPO_ALGO_ROLLOUT_H

#include "algo/collect.h"
#include "algo/returns.h"
#include "algo/self_play.h"
#include "algo/states.h"
#include "algo/transitions.h"

struct rollout_config {
    struct transitions_config transitions; /* `ring` and what follows it are the rollout's to choose */
    struct collect_config collect;         /* likewise `steps`, and `log_prob` and what follows it */
    struct returns_config returns;
    bool per_head; /* log-probabilities of each head, [T][E][A][heads] */
    struct self_play_rules self_play[MAPPO_MAX_GROUPS];
};

struct rollout {
    int groups;
    struct transitions *transitions;
    struct critic_inputs inputs;
    struct states states;
    struct self_play self_play;
    struct collector *collector;
    struct returns *returns;
    real *log_prob[MAPPO_MAX_GROUPS]; /* [T][E][A], or with per_head [T][E][A][heads], of the actions when they were taken */
    bool per_head;
    struct vecenv *env; /* of rollout_begin */
    struct backend *backend;
    struct backend_memory memory;
    struct repeated finish;
};

/* policy [spec->groups] and spec must outlive the rollout. EXIT_USAGE as transitions_create and self_play_create. */
int rollout_create(struct rollout **rollout, const struct rollout_config *config, const struct mappo_env_spec *spec,
                   struct policy *const *policy, struct backend *backend, struct error *err);
void rollout_destroy(struct rollout *rollout); /* NULL is allowed */

int rollout_begin(struct rollout *rollout, struct vecenv *env, bool restored, struct error *err); /* collect_begin */
int rollout_collect(struct rollout *rollout, struct error *err);                                  /* T steps, with bootstraps */
void rollout_finish(struct rollout *rollout);                                                     /* values, advantages, returns */

/* What a training pass of a set of a group's actors or critics reads of a finished rollout: all rows in order, active or not, as far as they
 * are of one shard and share the set, and as far as the group plays itself, of its own (self_play.h). Objective, gradient and sum are the learner's, and packed rows where it packs them itself; a critic's are those
 * that finishing has packed for the shard. */
struct train_pass rollout_pass(const struct rollout *rollout, int group, int role, int shard, int set);

/* What environments on a device did wrong in a rollout: device_check_fault. */
int rollout_fault(const struct rollout *rollout, const uint64_t *bad, uint64_t step, struct error *err);
/* The same of the last rollout: device_check_wait. */
int rollout_check(const struct rollout *rollout, struct error *err);

#endif
