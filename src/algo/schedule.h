/* What changes over a run: values at progress p = (environment steps done) / (horizon), set before an iteration. */
#ifndef MAPPO_ALGO_SCHEDULE_H
#define MAPPO_ALGO_SCHEDULE_H

#include <math.h>
#include <stdbool.h>

#include "config/config.h"

enum schedule_kind { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE }; /* in the order of the keys' choices */

/* From `initial` to 0 at the horizon, and 0 beyond it. Linear: marlbenchmark/on-policy, utils/util.py, update_linear_schedule. Cosine: half a
 * wave (Loshchilov and Hutter 2017, eq. 5, one period). */
static inline double schedule_value(int kind, double initial, double progress)
{
    const double pi = 3.14159265358979323846;
    if (kind == SCHEDULE_CONSTANT) return initial;
    if (progress >= 1) return 0;
    return kind == SCHEDULE_LINEAR ? initial - initial * progress : initial * 0.5 * (1 + cos(pi * progress));
}

/* What an iteration learns with. */
struct annealed {
    double actor_rate, critic_rate; /* learning rates */
    double clip, entropy;           /* what is left of these numbers of the objectives, 1 to 0 */
    double noise;                   /* likewise of what is added to actions */
    double beta;                    /* of a replay's weights: from its number to 1 */
};

static inline struct annealed annealed_at(const struct config *config, double progress)
{
    return (struct annealed){.actor_rate = schedule_value(config->adam_schedule, config->adam_lr, progress),
                             .critic_rate = schedule_value(config->adam_schedule, config->adam_critic_lr, progress),
                             .clip = schedule_value(config->ppo_clip_schedule, 1, progress),
                             .entropy = schedule_value(config->ppo_entropy_schedule, 1, progress),
                             .noise = schedule_value(config->maddpg_noise_schedule, 1, progress),
                             .beta = 1 - schedule_value(config->replay_beta_schedule, 1 - config->replay_beta, progress)};
}

/* The first key that anneals something; NULL where nothing is. */
static inline const char *what_is_annealed(const struct config *config)
{
    return config->adam_schedule != SCHEDULE_CONSTANT                                         ? "adam.schedule"
           : config->ppo_clip_schedule != SCHEDULE_CONSTANT                                   ? "ppo.clip_schedule"
           : config->ppo_entropy_schedule != SCHEDULE_CONSTANT                                ? "ppo.entropy_schedule"
           : config->maddpg_noise_schedule != SCHEDULE_CONSTANT                               ? "maddpg.noise_schedule"
           : config->replay_priority > 0 && config->replay_beta_schedule != SCHEDULE_CONSTANT ? "replay.beta_schedule"
                                                                                              : NULL;
}

#endif
