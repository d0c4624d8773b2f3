/* The losses of PPO for one row, with their derivatives. Schulman et al. 2017, eq. 7 (clipping) and 8 (penalty); marlbenchmark/on-policy,
 * algorithms/r_mappo/r_mappo.py. */
#ifndef MAPPO_KERNELS_LOSS_H
#define MAPPO_KERNELS_LOSS_H

#include <stdint.h>

#include "backend/kernels/math.h"

/* What a training pass found out: sums over its rows. They travel behind the gradients, so they are `real`. */
enum pass_sum {
    SUM_WEIGHT,  /* Σ m, the loss's divisor */
    SUM_LOSS,    /* Σ m · surrogate (sign as minimised), or of the value loss before its coefficient */
    SUM_ENTROPY, /* Σ m · H */
    SUM_KL,      /* Σ (r - 1 - log r) over all rows, the mean over their ratios */
    SUM_CLIPPED, /* rows with |r - 1| > clip */
    SUM_RATIO,   /* Σ r */
    SUM_ROWS,    /* rows, whether active or not */
    SUM_PENALTY, /* Σ m · KL(old || new), 0 without a penalty */
    PASS_SUMS
};

/* The numbers of the losses. They lie in the backend's memory, because they may change between updates (schedules) and within one. With
 * clip = INFINITY the policy's loss is that of the ratio alone, whose gradient is the plain policy gradient, A · ∇ log π, as long as the
 * policy is still the one that acted: A2C is one epoch of one minibatch of it (Huang et al. 2022, A2C is a special case of PPO). */
struct policy_objective {
    real clip;    /* ε of the ratio */
    real entropy; /* coefficient of the bonus */
    real kl;      /* coefficient β of KL(old || new), where the pass knows the old policy's outputs */
};

/* Advantages of a minibatch that are normalised among themselves: (A - mean) / spread. */
struct advantage_scale {
    real mean, spread;
};

struct value_objective {
    real clip;        /* ε of the clipped value loss; 0 = not clipped */
    real huber_delta; /* 0 = squared error */
    real coefficient; /* of the value loss, as it stands beside the policy's */
    int32_t only;     /* the clipped value's error alone, as Stable-Baselines3 has it, instead of the larger of both */
};

MAPPO_FN real scaled_advantage(const struct advantage_scale *scale, real advantage)
{
    return (advantage - scale->mean) / scale->spread;
}

struct surrogate {
    real loss;               /* -min(r A, clip(r, 1 ± ε) A) */
    real gradient;           /* d loss / d log-probability */
    real ratio, kl, clipped; /* r; r - 1 - log r; 1 where |r - 1| > ε */
};

MAPPO_FN struct surrogate policy_surrogate(const struct policy_objective *o, real log_prob, real old_log_prob, real advantage)
{
    struct surrogate s;
    const real clip = o->clip;
    const real log_ratio = log_prob - old_log_prob;
    const real ratio = real_exp(log_ratio);
    const real plain = ratio * advantage;
    const real clipped = real_clamp(ratio, (real)1 - clip, (real)1 + clip) * advantage;
    s.loss = -(plain <= clipped ? plain : clipped);
    s.gradient = plain <= clipped ? -plain : (real)0; /* inside the range both are equal; outside only the unclipped one has a slope */
    s.ratio = ratio;
    s.kl = ratio - (real)1 - log_ratio;
    s.clipped = real_abs(ratio - (real)1) > clip ? (real)1 : (real)0;
    /* A ratio that is not a number must not be hidden by a comparison that came out false. */
    s.gradient = ratio == ratio ? s.gradient : ratio;
    return s;
}

/* Huber's function of the error e, or e²/2 where delta is 0; and its derivative. */
MAPPO_FN real huber(real e, real delta)
{
    const real size = real_abs(e);
    const real square = (real)0.5 * e * e, linear = delta * (size - (real)0.5 * delta);
    return delta > (real)0 && size > delta ? linear : square;
}

MAPPO_FN real huber_slope(real e, real delta)
{
    return delta > (real)0 ? real_clamp(e, -delta, delta) : e;
}

struct value_error {
    real loss;
    real gradient; /* d loss / d value */
};

/* max(h(target - v), h(target - v_clipped)), or the second of them alone, with v_clipped = old + clip(v - old, ± clip); clip = 0:
 * h(target - v). */
MAPPO_FN struct value_error value_loss_of(const struct value_objective *o, real value, real target, real old_value)
{
    struct value_error out;
    const real clip = o->clip, delta = o->huber_delta;
    const real e = target - value;
    const real step = value - old_value;
    const real e_clipped = target - (old_value + real_clamp(step, -clip, clip));
    const real plain = huber(e, delta), clipped = huber(e_clipped, delta);
    /* The clipped error is a constant outside the range and equal to the plain one inside, so it has no slope of its own. */
    const int use_clipped = clip > (real)0 && real_abs(step) > clip && (o->only || clipped > plain);
    out.loss = use_clipped ? clipped : plain;
    out.gradient = use_clipped ? (real)0 : -huber_slope(e, delta);
    return out;
}

#endif
