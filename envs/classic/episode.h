/* What the rules of the classic control tasks share: one agent, uniform starts, how a step ends. Host and device: no files, no allocation,
 * no globals. */
#ifndef CLASSIC_EPISODE_H
#define CLASSIC_EPISODE_H

#include "env/rules.h"

#define CLASSIC_PI 3.141592653589793

MAPPO_FN rule_real classic_clip(const rule_real x, const rule_real low, const rule_real high)
{
    return x < low ? low : x > high ? high : x;
}

/* Numbers in [0, 1) that a task's NAME_place makes a start of; tests bring their own. */
MAPPO_FN void classic_draw(struct philox *rng, rule_real *unit, const int count)
{
    for (int i = 0; i < count; i++) unit[i] = (rule_real)philox_float(philox_next(rng));
}

/* Pays `reward` for a step, the `steps`-th of its episode. `done`: the task itself ends here, which counts where the time limit falls into
 * the same step. Returns what NAME_step does. */
MAPPO_FN int classic_end(const struct rule_io *io, const rule_real reward, const int done, const int32_t steps, const int32_t max_steps)
{
    if (io->group[0].reward) io->group[0].reward[0] = reward;
    if (io->group[0].terminated) io->group[0].terminated[0] = (uint8_t)done;
    return done ? MAPPO_TERMINATED : steps >= max_steps ? MAPPO_TRUNCATED : MAPPO_RUNNING;
}

#endif
