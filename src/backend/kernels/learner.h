/* What one set of parameters (an actor and its critic) goes through in a PPO update, one minibatch after the other: the normaliser, the
 * sums of the losses, gradient norms, whether the step may be made, Adam's numbers. Plain data in the backend's memory: the host says in
 * advance what will happen and reads the outcome once an update, so a device never waits for it.
 *
 *   learner_start   once an update                       explained variance; metrics to 0; the scale that the rollout's values are on
 *   learner_begin   before a minibatch's gradients       the normaliser takes in its returns; divisors of the losses
 *   (rescale_heads  after it, with PopArt                 the value head follows the normaliser)
 *   learner_judge   after them, on all ranks alike       norms and metrics; is everything finite?; scale of Adam's step
 *
 * Source: marlbenchmark/on-policy, algorithms/r_mappo/r_mappo.py. */
#ifndef MAPPO_KERNELS_LEARNER_H
#define MAPPO_KERNELS_LEARNER_H

#include "backend/kernels/adam.h"
#include "backend/kernels/normalizer.h"

/* What a training pass found out: sums over its rows. They travel behind the gradients, so they are `real`. */
enum pass_sum {
    SUM_WEIGHT,  /* Σ m, the loss's divisor */
    SUM_LOSS,    /* Σ m · surrogate (sign as minimised), or of the value loss before its coefficient */
    SUM_ENTROPY, /* Σ m · H */
    SUM_KL,      /* Σ (r - 1 - log r) over all rows */
    SUM_CLIPPED, /* rows with |r - 1| > clip */
    SUM_RATIO,   /* Σ r */
    SUM_ROWS,    /* rows, whether active or not */
    PASS_SUMS
};

/* Means over the update's minibatches (and over the sets where agents don't share parameters), of all ranks. */
struct ppo_metrics {
    double policy_loss, value_loss, entropy, approx_kl, clip_fraction,
        ratio;                                /* losses without their coefficients and without the entropy bonus */
    double actor_grad_norm, critic_grad_norm; /* before clipping */
    double explained_variance, value_mean, value_deviation;
};

/* The first thing that went wrong: then no step is made any more, and parameters stay as they are. */
enum trouble_kind {
    TROUBLE_NONE,
    TROUBLE_DATA, /* an observation, state or reward of the rollout */
    TROUBLE_RETURNS,
    TROUBLE_POLICY_LOSS,
    TROUBLE_VALUE_LOSS,
    TROUBLE_ACTOR_GRADIENT,
    TROUBLE_CRITIC_GRADIENT
};
struct trouble {
    int32_t kind, learner, epoch, minibatch;
};

/* What changes between two updates, written by the host before each. */
struct update_now {
    int64_t update; /* updates so far: position of the permutations' random numbers */
    int64_t steps;  /* Adam steps so far */
    double actor_rate, critic_rate;
};

struct learner {
    double policy_weight, value_weight; /* divisors of the minibatch at hand: Σ m over all ranks */
    struct normalizer_scale rollout;    /* that the rollout's values were computed on */
    struct rescale head, old_value;     /* to the scale of the minibatch at hand: from that of the one before; from the rollout's */
    struct adam_step actor_step, critic_step;
    struct ppo_metrics now, mean; /* of the minibatch at hand; so far, already divided by the minibatches of an update */
};

struct learner_rules {               /* constants of a run */
    int normalizer;                  /* enum normalizer_kind */
    double beta;                     /* of the normaliser */
    int policy_active, value_active; /* leave rows with active = 0 out */
    double max_grad_norm;            /* 0 = off */
    double share;                    /* 1 / (minibatches of an update) */
    struct adam adam;                /* learning rates come from struct update_now */
};

/* Statistics of a minibatch over all ranks, known before its gradients: of the returns of all rows; rows with active = 1. */
struct minibatch_statistics {
    struct moments ret;
    double active;
};

MAPPO_FN double learner_divisor(double weight)
{
    return weight > 0 ? weight : 1; /* nobody active: all sums are 0 */
}

MAPPO_FN int learner_finite(double x)
{
    return x - x == 0;
}

struct learner_place { /* which minibatch of which learner */
    int number, epoch, minibatch;
    int64_t step; /* Adam's step count of this minibatch, 1 for the first of a run */
};

MAPPO_FN void learner_trouble(struct trouble *trouble, int kind, const struct learner_place *place)
{
    if (trouble->kind != TROUBLE_NONE) return;
    trouble->kind = kind;
    trouble->learner = place->number;
    trouble->epoch = place->epoch;
    trouble->minibatch = place->minibatch;
}

/* advantage, ret: moments over the rollout, active rows. A = R - V, so the variance that V leaves unexplained is that of A. */
MAPPO_FN void learner_start(struct learner *l, const struct normalizer *norm, struct trouble *trouble, const struct learner_place *place,
                            const struct moments *advantage, const struct moments *ret)
{
    const struct ppo_metrics zero = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    l->mean = zero;
    l->rollout = norm->scale;
    if (!learner_finite(advantage->sum) || !learner_finite(advantage->sum_squares) || !learner_finite(ret->sum) ||
        !learner_finite(ret->sum_squares))
        learner_trouble(trouble, TROUBLE_RETURNS, place);
    l->mean.explained_variance = 1 - moments_variance(advantage) / moments_variance(ret);
}

/* Normalisers see the returns of the minibatch before its value loss, as in the reference. */
MAPPO_FN void learner_begin(struct learner *l, struct normalizer *norm, const struct learner_rules *rules,
                            const struct minibatch_statistics *statistics)
{
    const struct normalizer_scale before = norm->scale;
    normalizer_update(norm, rules->normalizer, rules->beta, &statistics->ret);
    l->head = rescale_between(&before, &norm->scale);
    l->old_value = rescale_between(&l->rollout, &norm->scale);
    l->policy_weight = rules->policy_active ? statistics->active : statistics->ret.count;
    l->value_weight = rules->value_active ? statistics->active : statistics->ret.count;
}

MAPPO_FN double learner_clip(const struct learner_rules *rules, double norm)
{
    const double limit = rules->max_grad_norm, factor = limit / (norm + 1e-6);
    return limit > 0 && factor < 1 ? factor : 1;
}

MAPPO_FN void learner_add(struct ppo_metrics *to, const struct ppo_metrics *from, double weight)
{
    to->policy_loss += weight * from->policy_loss;
    to->value_loss += weight * from->value_loss;
    to->entropy += weight * from->entropy;
    to->approx_kl += weight * from->approx_kl;
    to->clip_fraction += weight * from->clip_fraction;
    to->ratio += weight * from->ratio;
    to->actor_grad_norm += weight * from->actor_grad_norm;
    to->critic_grad_norm += weight * from->critic_grad_norm;
    to->value_mean += weight * from->value_mean;
    to->value_deviation += weight * from->value_deviation;
}

struct learner_sums {                     /* of all ranks */
    const real *actor, *critic;           /* [PASS_SUMS] of each pass */
    double actor_squares, critic_squares; /* squared norms of the gradients' sums */
    double rows;
};

/* Whether a step is made at all is decided by `trouble`, after all learners have been judged. */
MAPPO_FN void learner_judge(struct learner *l, const struct normalizer *norm, const struct learner_rules *rules,
                            const struct update_now *now, struct trouble *trouble, const struct learner_place *place,
                            const struct learner_sums *sums)
{
    const double policy = learner_divisor(l->policy_weight), value = learner_divisor(l->value_weight), rows = learner_divisor(sums->rows);
    struct ppo_metrics *m = &l->now;
    m->policy_loss = (double)sums->actor[SUM_LOSS] / policy;
    m->value_loss = (double)sums->critic[SUM_LOSS] / value;
    m->entropy = (double)sums->actor[SUM_ENTROPY] / policy;
    m->approx_kl = (double)sums->actor[SUM_KL] / rows;
    m->clip_fraction = (double)sums->actor[SUM_CLIPPED] / rows;
    m->ratio = (double)sums->actor[SUM_RATIO] / rows;
    m->actor_grad_norm = sqrt(sums->actor_squares) / policy;
    m->critic_grad_norm = sqrt(sums->critic_squares) / value;
    m->explained_variance = 0;
    m->value_mean = norm->scale.mean;
    m->value_deviation = norm->scale.deviation;
    learner_add(&l->mean, m, rules->share);

    if (!learner_finite(m->policy_loss) || !learner_finite(m->entropy))
        learner_trouble(trouble, TROUBLE_POLICY_LOSS, place);
    else if (!learner_finite(m->value_loss))
        learner_trouble(trouble, TROUBLE_VALUE_LOSS, place);
    else if (!learner_finite(m->actor_grad_norm))
        learner_trouble(trouble, TROUBLE_ACTOR_GRADIENT, place);
    else if (!learner_finite(m->critic_grad_norm))
        learner_trouble(trouble, TROUBLE_CRITIC_GRADIENT, place);
    l->actor_step = adam_step_at(&rules->adam, now->actor_rate, place->step, learner_clip(rules, m->actor_grad_norm) / policy);
    l->critic_step = adam_step_at(&rules->adam, now->critic_rate, place->step, learner_clip(rules, m->critic_grad_norm) / value);
}

#endif
