/* PPO's update over a finished rollout: IPPO and MAPPO differ only in what the critic sees (policy->critic_input).
 * Source: marlbenchmark/on-policy algorithms/r_mappo/r_mappo.py; docs/algorithms.md has the equations and names every difference. */
#ifndef MAPPO_ALGO_PPO_H
#define MAPPO_ALGO_PPO_H

#include "algo/rollout.h"
#include "comm/comm.h"

struct ppo_hooks;

struct ppo_config {
    struct policy_objective policy;
    struct value_objective value;
    int range; /* learners (ppo_batches.h; in their order) that are updated together; 0 = all of them */
    int epochs, minibatches;
    bool row_minibatches; /* minibatch unit is the row instead of the env-step (needs policy_config.value_per_agent) */
    bool policy_active_masks, value_active_masks;
    double value_norm_beta;
    real max_grad_norm; /* 0 = off */
    struct adam adam;
    double actor_rate, critic_rate; /* learning rates until ppo_learning_rate sets others: schedules are the caller's */
    uint64_t seed;
    const struct ppo_hooks *hooks; /* NULL outside tests */
};

struct ppo;
/* EXIT_USAGE where a shard has fewer units than minibatches. Calls comm_reserve. */
int ppo_create(struct ppo **ppo, const struct ppo_config *config, struct rollout *rollout, struct policy *const *policy, struct comm *comm,
               struct backend *backend, struct error *err);
void ppo_destroy(struct ppo *ppo); /* NULL is allowed */
void ppo_learning_rate(struct ppo *ppo, double actor, double critic);

/* All epochs and minibatches for every group. `update` is the count of updates so far (Philox position of the permutations). The rollout's
 * advantages are normalised in place. A device is only told: its outcome is read later, before BACKEND_OUTCOMES more are begun. */
void ppo_update(struct ppo *ppo, int64_t update);

/* The same for learners that are updated one range after the other, in an order of the caller's, each with all its epochs:
 *
 *     ppo_begin(ppo, update);
 *     for (…) ppo_learn(ppo, range);     every range once
 *     ppo_end(ppo);
 *
 * ppo_update does so in the order of the ranges. A device records each range on its own. In between the rollout's advantages, normalised by
 * ppo_begin, are the caller's to change: what a row of theirs is multiplied by is a factor of the row's whole objective, min(r M A,
 * clip(r) M A), which is where HAPPO's product M of the other agents' ratios stands (Kuba et al. 2022, arXiv:2109.11251); and log_prob -
 * log g in the place of log_prob makes r g of every ratio r, as CoPPO's clipping needs. */
int ppo_ranges(const struct ppo *ppo);
void ppo_begin(struct ppo *ppo, int64_t update);
void ppo_learn(struct ppo *ppo, int range);
void ppo_end(struct ppo *ppo);

/* What the present policies of a range's learners make of the actions that were taken, at any time between ppo_begin and ppo_end: after a
 * ppo_learn, exp(log_prob - the rollout's) is the ratio that the range has come to. Rows of other learners stay as they are. */
struct ppo_evaluation {
    real *log_prob[MAPPO_MAX_GROUPS]; /* [groups] arrays [T][E][A] of the backend, joint over heads */
    real *entropy[MAPPO_MAX_GROUPS];  /* likewise; NULL = not wanted */
    real *outputs;                    /* [ppo_outputs] the backend's: scratch */
};
size_t ppo_outputs(const struct ppo *ppo);
void ppo_evaluate(struct ppo *ppo, int range, const struct ppo_evaluation *evaluation);

/* Waits for the oldest update that was not asked for yet. EXIT_NUMERICAL where a loss or gradient was not finite: no step has spread it; on
 * every rank, naming group, epoch and minibatch. metrics: see backend/kernels/ppo_metrics.h. Where environments step on the device this is
 * the only place of an iteration where the host waits. */
int ppo_outcome(struct ppo *ppo, struct ppo_metrics *metrics /* [groups] */, struct error *err);

/* What a test can feed in and look at: permutations that another implementation drew, and every minibatch after its step. */
struct ppo_minibatch {
    int epoch, minibatch, group;
    int set[POLICY_ROLES];                        /* -1: this learner has no actor, or no critic; its gradient is NULL then */
    struct ppo_metrics metrics;                   /* of this minibatch; explained_variance is not set */
    const real *actor_gradient, *critic_gradient; /* the backend's; sums over rows of all ranks, not clipped; the loss's is sum / divisor */
    double actor_divisor, critic_divisor;
};
struct ppo_hooks {
    void *user;
    /* Permutation of the units of a local shard in natural order (t, e[, a]); used where there are several minibatches. NULL = Philox. */
    const int32_t *(*permutation)(void *user, int group, int shard, int epoch);
    void (*stepped)(void *user, const struct ppo_minibatch *minibatch); /* NULL = not wanted */
};

#endif
