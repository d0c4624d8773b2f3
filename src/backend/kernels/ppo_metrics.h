/* What is PPO's own in the update of one learner (an actor and its critic), one minibatch after the other: the value normaliser, the
 * divisors of the losses, metrics. Plain data in the backend's memory, as that of the optimisers (optimizer.h), which make the step.
 *
 *   ppo_learner_start     once an update                      explained variance; metrics to 0; the scale that the rollout's values are on
 *   ppo_learner_begin     before a minibatch's gradients      the normaliser takes in its returns; divisors of the losses
 *   (rescale_heads        after it, with PopArt                the value head follows the normaliser)
 *   ppo_learner_measure   after them, on all ranks alike      metrics; are the losses finite? has the policy moved far enough?
 *   ppo_learner_end       after the last, with a penalty      its coefficient follows the KL that came of it
 *
 * Source: marlbenchmark/on-policy, algorithms/r_mappo/r_mappo.py. */
#ifndef MAPPO_KERNELS_PPO_METRICS_H
#define MAPPO_KERNELS_PPO_METRICS_H

#include "backend/kernels/loss.h"
#include "backend/kernels/normalizer.h"
#include "backend/kernels/optimizer.h"

/* Means over the update's minibatches (and over the sets where agents don't share parameters), of all ranks. */
struct ppo_metrics {
    double policy_loss, value_loss; /* without their coefficients and without the entropy bonus */
    double entropy, approx_kl, clip_fraction, ratio;
    double actor_grad_norm, critic_grad_norm; /* before clipping: the optimisers' (optimizer.h), from where the host takes them */
    double explained_variance, value_mean, value_deviation;
    double kl; /* KL(old || new): of a minibatch, of the rollout once the update is made; 0 without a penalty */
};

struct ppo_learner {
    struct normalizer_scale rollout;    /* that the rollout's values were computed on */
    struct rescale head, old_value;     /* to the scale of the minibatch at hand: from that of the one before; from the rollout's */
    struct optimizer actor, critic;     /* their divisors: Σ m of the minibatch at hand over all ranks */
    struct policy_objective policy;     /* today's; its `kl` lasts from update to update */
    struct value_objective value;       /* likewise */
    struct advantage_scale advantage;   /* of the minibatch at hand */
    double kl;                          /* KL(old || new) over the rollout, once the update is made */
    int32_t measured;                   /* minibatches of this update */
    struct ppo_metrics minibatch, mean; /* of the minibatch at hand; so far, already divided by the minibatches of an update */
};

struct ppo_rules {                   /* constants of a run */
    int normalizer;                  /* enum normalizer_kind */
    double beta;                     /* of the normaliser */
    int policy_active, value_active; /* leave rows with active = 0 out */
    struct policy_objective policy;  /* as they are before any schedule … */
    struct value_objective value;    /* … likewise */
    double target_kl;                /* an update ends where approx_kl exceeds 1.5 times this; 0 = never */
    double penalty_kl;               /* that the penalty's coefficient aims at; 0 = it stays as it is */
    int64_t critic_warmup;           /* updates at the beginning of a run in which actors stay as they are */
    struct optimizer_rules step;
};

/* Statistics of a minibatch over all ranks, known before its gradients: of the returns of all rows; rows with active = 1; of their
 * advantages, where those are normalised by it. */
struct minibatch_statistics {
    struct moments ret;
    double active;
    struct moments advantage;
};

MAPPO_FN double ppo_divisor(double weight)
{
    return weight > 0 ? weight : 1; /* nobody active: all sums are 0 */
}

MAPPO_FN void ppo_weigh(struct optimizer *optimizer, double weight)
{
    optimizer->divisor = ppo_divisor(weight);
    optimizer->idle = !(weight > 0);
}

MAPPO_FN void ppo_fault(struct fault *fault, int kind, const struct fault *place)
{
    struct fault found = *place;
    found.kind = kind;
    fault_note(fault, &found);
}

/* advantage, ret: moments over the rollout, active rows. A = R - V, so the variance that V leaves unexplained is that of A. place: learner,
 * epoch and minibatch, here and below. */
MAPPO_FN void ppo_learner_start(struct ppo_learner *l, const struct ppo_rules *rules, const struct update_numbers *numbers,
                                const struct normalizer *norm, struct fault *fault, const struct fault *place,
                                const struct moments *advantage, const struct moments *ret)
{
    const struct ppo_metrics zero = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    l->mean = zero;
    l->measured = 0;
    l->actor.mean_norm = l->critic.mean_norm = 0;
    l->actor.made = l->critic.made = 0;
    l->actor.stopped = numbers->update < rules->critic_warmup;
    l->critic.stopped = 0;
    if (rules->policy.clip < (real)INFINITY) l->policy.clip = rules->policy.clip * (real)numbers->clip;
    l->policy.entropy = rules->policy.entropy * (real)numbers->entropy;
    l->value.clip = rules->value.clip * (real)numbers->clip;
    if (rules->value.clip > 0 && !(l->value.clip > 0)) l->value.clip = (real)1e-12; /* 0 would mean that nothing is clipped */
    l->rollout = norm->scale;
    if (!number_is_finite(advantage->sum) || !number_is_finite(advantage->sum_squares) || !number_is_finite(ret->sum) ||
        !number_is_finite(ret->sum_squares))
        ppo_fault(fault, FAULT_RETURNS, place);
    l->mean.explained_variance = 1 - moments_variance(advantage) / moments_variance(ret);
}

/* By their own mean and sample deviation, as Stable-Baselines3 does it; a single one stays as it is. */
MAPPO_FN struct advantage_scale advantage_scale_of(const struct moments *m)
{
    const double mean = moments_mean(m), squares = m->sum_squares - m->sum * mean;
    const struct advantage_scale as_it_is = {0, 1};
    struct advantage_scale scale;
    if (m->count < 2) return as_it_is;
    scale.mean = (real)mean;
    scale.spread = (real)(sqrt((squares > 0 ? squares : 0) / (m->count - 1)) + 1e-8);
    return scale;
}

/* Normalisers see the returns of the minibatch before its value loss, as in the reference. */
MAPPO_FN void ppo_learner_begin(struct ppo_learner *l, struct normalizer *norm, const struct ppo_rules *rules,
                                const struct minibatch_statistics *statistics)
{
    const struct normalizer_scale before = norm->scale;
    if (!l->critic.stopped) normalizer_update(norm, rules->normalizer, rules->beta, &statistics->ret);
    l->advantage = advantage_scale_of(&statistics->advantage);
    l->head = rescale_between(&before, &norm->scale);
    l->old_value = rescale_between(&l->rollout, &norm->scale);
    ppo_weigh(&l->actor, rules->policy_active ? statistics->active : statistics->ret.count);
    ppo_weigh(&l->critic, rules->value_active ? statistics->active : statistics->ret.count);
}

MAPPO_FN void ppo_metrics_add(struct ppo_metrics *to, const struct ppo_metrics *from, double weight)
{
    to->policy_loss += weight * from->policy_loss;
    to->value_loss += weight * from->value_loss;
    to->entropy += weight * from->entropy;
    to->approx_kl += weight * from->approx_kl;
    to->clip_fraction += weight * from->clip_fraction;
    to->ratio += weight * from->ratio;
    to->value_mean += weight * from->value_mean;
    to->value_deviation += weight * from->value_deviation;
}

/* actor, critic: [PASS_SUMS] of each pass, of all ranks. */
MAPPO_FN void ppo_learner_measure(struct ppo_learner *l, const struct normalizer *norm, const struct ppo_rules *rules,
                                  const struct minibatch_statistics *statistics, const real *actor, const real *critic, struct fault *fault,
                                  const struct fault *place)
{
    const double rows = ppo_divisor(statistics->ret.count);
    struct ppo_metrics *m = &l->minibatch;
    if (l->critic.stopped || !(statistics->ret.count > 0)) return; /* the update has ended; nobody's rows */
    m->policy_loss = (double)actor[SUM_LOSS] / l->actor.divisor;
    m->value_loss = (double)critic[SUM_LOSS] / l->critic.divisor;
    m->entropy = (double)actor[SUM_ENTROPY] / l->actor.divisor;
    m->approx_kl = (double)actor[SUM_KL] / rows;
    m->clip_fraction = (double)actor[SUM_CLIPPED] / rows;
    m->ratio = (double)actor[SUM_RATIO] / rows;
    m->value_mean = norm->scale.mean;
    m->value_deviation = norm->scale.deviation;
    m->kl = (double)actor[SUM_PENALTY] / l->actor.divisor;
    ppo_metrics_add(&l->mean, m, rules->step.mean_weight);
    l->measured++;
    if (rules->target_kl > 0 && m->approx_kl > 1.5 * rules->target_kl) l->actor.stopped = l->critic.stopped = 1;
    if (!number_is_finite(m->policy_loss) || !number_is_finite(m->entropy))
        ppo_fault(fault, FAULT_POLICY_LOSS, place);
    else if (!number_is_finite(m->value_loss))
        ppo_fault(fault, FAULT_VALUE_LOSS, place);
}

/* kl: moments over the rollout, active rows. Schulman et al. 2017, section 4. */
MAPPO_FN void ppo_learner_end(struct ppo_learner *l, const struct ppo_rules *rules, const struct moments *kl)
{
    const double least = 1e-9, most = 1e9; /* it could never come back from 0 or infinity */
    double beta = (double)l->policy.kl;
    l->kl = moments_mean(kl);
    if (!(rules->penalty_kl > 0) || l->actor.made == 0 || !(kl->count > 0)) return; /* of a policy that stood still it says nothing */
    if (l->kl > 1.5 * rules->penalty_kl) beta *= 2;
    if (l->kl < rules->penalty_kl / 1.5) beta /= 2;
    l->policy.kl = (real)(beta < least ? least : beta > most ? most : beta);
}

#endif
