/* PPO's update over a finished rollout: IPPO and MAPPO differ only in what the critic sees (policy->critic_input).
 * Source: marlbenchmark/on-policy algorithms/r_mappo/r_mappo.py; docs/algorithms.md has the equations and names every difference. */
#ifndef MAPPO_ALGO_PPO_H
#define MAPPO_ALGO_PPO_H

#include "algo/rollout.h"
#include "comm/comm.h"

struct ppo_config {
    real clip, entropy, value_coefficient, max_grad_norm, huber_delta, value_clip; /* value_clip: 0 = off, else ε */
    int epochs, minibatches;
    bool row_minibatches;    /* minibatch unit is the row instead of the env-step (one value per row then) */
    bool policy_active_masks, value_active_masks, normalise_advantage;
    double value_norm_beta;
    struct adam actor_adam, critic_adam; /* learning rates are set before every update by the caller: schedules */
    uint64_t seed;
};

/* Means over the update's minibatches, of all ranks. */
struct ppo_metrics {
    double policy_loss, value_loss, entropy, approx_kl, clip_fraction, ratio;
    double actor_grad_norm, critic_grad_norm;   /* before clipping */
    double explained_variance, value_mean, value_deviation;
    double seconds_communication;
};

struct ppo;
int ppo_create(struct ppo **ppo, const struct ppo_config *config, const struct rollout *rollout, struct policy *const *policy, struct comm *comm, struct backend *backend, struct error *err);
void ppo_destroy(struct ppo *ppo);
void ppo_learning_rate(struct ppo *ppo, real actor, real critic);

/* All epochs and minibatches for every group. `update` is the count of updates so far (Philox position of the permutations).
 * EXIT_NUMERICAL before an optimiser step would spread a loss or gradient that is not finite: on every rank, naming group, epoch and minibatch. */
int ppo_update(struct ppo *ppo, struct rollout *rollout, struct policy *const *policy, int64_t update, struct ppo_metrics *metrics /* [groups] */, struct error *err);

#endif
