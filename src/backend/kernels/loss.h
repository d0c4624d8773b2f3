/* The losses of PPO for one row, with their derivatives. Schulman et al. 2017, eq. 7; marlbenchmark/on-policy,
 * algorithms/r_mappo/r_mappo.py. */
#ifndef MAPPO_KERNELS_LOSS_H
#define MAPPO_KERNELS_LOSS_H

#include "backend/kernels/math.h"

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

struct surrogate {
    real loss;               /* -min(r A, clip(r, 1 ± ε) A) */
    real gradient;           /* d loss / d log-probability */
    real ratio, kl, clipped; /* r; r - 1 - log r; 1 where |r - 1| > ε */
};

MAPPO_FN struct surrogate ppo_surrogate(real log_prob, real old_log_prob, real advantage, real clip)
{
    struct surrogate s;
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

/* max(h(target - v), h(target - v_clipped)) with v_clipped = old + clip(v - old, ± clip); clip = 0: h(target - v). */
MAPPO_FN struct value_error value_loss_of(real value, real target, real old_value, real clip, real delta)
{
    struct value_error out;
    const real e = target - value;
    const real step = value - old_value;
    const real e_clipped = target - (old_value + real_clamp(step, -clip, clip));
    const real plain = huber(e, delta), clipped = huber(e_clipped, delta);
    /* The clipped error is a constant outside the range and equal to the plain one inside, so it has no slope of its own. */
    const int use_clipped = clip > (real)0 && real_abs(step) > clip && clipped > plain;
    out.loss = use_clipped ? clipped : plain;
    out.gradient = use_clipped ? (real)0 : -huber_slope(e, delta);
    return out;
}

#endif
