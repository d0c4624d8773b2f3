/* PPO's update over a finished rollout: IPPO and MAPPO differ only in what the critic sees (policy->critic_input).
 * Source: marlbenchmark/on-policy algorithms/r_mappo/r_mappo.py; docs/algorithms.md has the equations and names every difference. */
#ifndef MAPPO_ALGO_PPO_H
#define MAPPO_ALGO_PPO_H

#include "algo/rollout.h"
#include "algo/schedule.h"
#include "comm/comm.h"

struct ppo_hooks;

/* Choices of ppo.objective and ppo.clip_value. */
enum ppo_objective { OBJECTIVE_CLIP, OBJECTIVE_KL, OBJECTIVE_CLIP_KL };
enum ppo_clip_value { CLIP_VALUE_OFF, CLIP_VALUE_MAX, CLIP_VALUE_ONLY };

/* Choices of ppo.normalise_advantage: over which rows advantages are normalised, active ones only: (A - mean) / (population deviation + 1e-5) over the whole
 * rollout, as
 * marlbenchmark/on-policy has it; (A - mean) / (sample deviation + 1e-8) over each minibatch, as Stable-Baselines3; or not at all. */
enum ppo_advantages { ADVANTAGES_ROLLOUT, ADVANTAGES_MINIBATCH, ADVANTAGES_RAW };

struct ppo_config {
    struct policy_objective policy; /* kl: the penalty's coefficient when a run begins */
    struct value_objective value;
    bool penalty;          /* KL(old || new) is part of the policy's loss */
    double penalty_kl;     /* that its coefficient aims at, once an update (Schulman et al. 2017, section 4); 0 = it stays as it is */
    double target_kl;      /* an update ends with the minibatch whose approx_kl exceeds 1.5 times this, which makes no step; 0 = never */
    int64_t critic_warmup; /* updates at the beginning of a run in which actors stay as they are */
    int advantages;        /* enum ppo_advantages */
    int range;             /* learners (ppo_batches.h; in their order) that are updated together; 0 = all of them */
    int epochs, minibatches;
    int minibatch_size;   /* > 0: units of a minibatch, over all ranks, instead of their number; the last one of an epoch is smaller */
    int chunk;            /* steps of a recurrent network's training sequence; a rollout has at least as many */
    bool row_minibatches; /* minibatch unit is the row instead of the env-step (needs policy_config.value_per_agent) */
    bool policy_active_masks, value_active_masks;
    double value_norm_beta;
    real max_grad_norm; /* 0 = off */
    bool joint_ratios
        [MAPPO_MAX_GROUPS]; /* CoPPO: a group's agents' ratios of an env-step belong together (kernels/joint.h), by these rules */
    struct joint_rules joint;
    bool joint_clip; /* of an actor's and its critic's gradient by one norm; each by itself otherwise */
    struct adam adam;
    struct annealed now; /* until ppo_anneal sets others: schedules are the caller's */
    uint64_t seed;
    const struct ppo_hooks *hooks; /* NULL outside tests */
};

struct ppo;
/* EXIT_USAGE where joint ratios meet minibatches of rows or ranges of learners; where a shard has fewer units than minibatches, or where
 * minibatch_size can't be cut alike on all shards of this rank (those of others must have as many environments). Calls comm_reserve. */
int ppo_create(struct ppo **ppo, const struct ppo_config *config, struct rollout *rollout, struct policy *const *policy, struct comm *comm,
               struct backend *backend, struct error *err);
void ppo_destroy(struct ppo *ppo); /* NULL is allowed */
void ppo_anneal(struct ppo *ppo, const struct annealed *now);

/* What lasts from update to update besides the policies: the penalty's coefficients, and Adam's counts where updates may end early or actors
 * begin later than critics. pull and push as everywhere: around what the fields point to. */
void ppo_fields(struct ppo *ppo, struct field_list *list);
void ppo_pull(struct ppo *ppo);
void ppo_push(struct ppo *ppo);

/* All epochs and minibatches for every group. `update` is the count of updates so far (Philox position of the permutations). The rollout's
 * advantages are normalised in place (ADVANTAGES_ROLLOUT). A device is only told: its outcome is read later, before BACKEND_OUTCOMES more
 * are begun. */
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
    real *log_prob[MAPPO_MAX_GROUPS]; /* [groups] arrays [T][E][A] of the backend, joint over heads; NULL = not wanted, here and below */
    real *entropy[MAPPO_MAX_GROUPS];  /* likewise */
    real *kl[MAPPO_MAX_GROUPS];       /* likewise: from the policy of the update's beginning, where there is a penalty */
    real *keep[MAPPO_MAX_GROUPS];     /* [T][E][A][O] the outputs themselves, instead of all of the above */
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
    bool stopped;                                 /* no step was made */
    const real *actor_gradient, *critic_gradient; /* the backend's; sums over rows of all ranks, not clipped; the loss's is sum / divisor */
    double actor_divisor, critic_divisor;
};
struct ppo_hooks {
    void *user;
    /* Permutation of the units of a local shard in natural order (t, e[, a]); used where there are several minibatches. NULL = Philox. Of
     * recurrent networks the units are chunks: the permutation of the full ones, behind it that of the short ones. */
    const int32_t *(*permutation)(void *user, int group, int shard, int epoch);
    void (*stepped)(void *user, const struct ppo_minibatch *minibatch); /* NULL = not wanted */
    /* Outputs [T][E][A][O] and log_std [sets][Kr] (NULL where there is none) of the policy that the penalty keeps near, host copies: to be
     * changed. NULL = those of the update's beginning. */
    void (*old_policy)(void *user, int group, real *out, real *log_std);
};

#endif
