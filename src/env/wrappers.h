/* Wrappers that a device knows as well: bounds of actions, and what is remembered of the running episode for time limit and statistics. They
 * work on ranges, like environments; what they remember lies per environment in `struct wrapper_lane` and travels in the snapshots. Part of
 * a batch on the host. Others: wrap.h. */
#ifndef MAPPO_ENV_WRAPPERS_H
#define MAPPO_ENV_WRAPPERS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/fn.h"
#include "env/float_math.h"
#include "env/mappo_env.h"
#include "env/vecenv.h"

/* Of one environment: the episode that is running. Plain data without padding. */
struct wrapper_lane {
    int64_t steps;
    double reward_sum[MAPPO_MAX_GROUPS]; /* over steps and agents */
};

enum action_stretch { STRETCH_NONE, STRETCH_RESCALE, STRETCH_SQUASH };

/* Real actions of one group: clipped to, or stretched over, the bounds of its Box heads. */
struct action_wrapper {
    float *changed;                /* [E][A][Kr] what the environment gets; NULL where nothing is to be done */
    float *low, *high;             /* [Kr] the environment's bounds, infinite where it has none */
    float *shown_low, *shown_high; /* [Kr] the learner's bounds */
    int stretch;                   /* enum action_stretch */
    bool clip;
};

/* tanh, with the same bits on host and device. */
MAPPO_FN float action_squash(const float x)
{
    const float t = float_exp(-2 * fabsf(x)), y = (1 - t) / (1 + t);
    return x != x ? x : x < 0 ? -y : y;
}

/* What the environment gets for the learner's number. */
MAPPO_FN float action_wrap(float x, const float low, const float high, const int stretch, const int clip)
{
    if (stretch == STRETCH_SQUASH) x = action_squash(x);
    if (stretch && isfinite(low) && isfinite(high)) x = low + (x + 1) * 0.5f * (high - low);
    if (clip) x = x < low ? low : x > high ? high : x; /* NaN stays NaN: it must be found, not hidden */
    return x;
}

/* EXIT_USAGE where actions are to be rescaled, and the environment's real ones (`spec`) have no bounds at all; or squashed, and one has none. */
int action_wrapper_check(const struct vecenv_config *config, const char *id, const struct mappo_env_spec *spec, struct error *err);

int action_wrapper_create(struct action_wrapper *wrapper, const struct vecenv_config *config, struct mappo_group *group, struct error *err);
void action_wrapper_destroy(struct action_wrapper *wrapper);
void action_wrapper_apply(const struct action_wrapper *wrapper, const float *act, size_t rows_lo, size_t rows_hi, int32_t reals);

/* In place, the number that the learner would have given for each of the environment's: a scripted player's actions are stretched
 * too. */
void action_wrapper_invert(const struct action_wrapper *wrapper, float *act, size_t rows, int32_t reals);

#endif
