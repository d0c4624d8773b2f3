/* Self-play: rows of environments in which a past self acts in a group's place are none of that group's (algo/self_play.h). */
#ifndef MAPPO_KERNELS_SELF_PLAY_H
#define MAPPO_KERNELS_SELF_PLAY_H

#include <stddef.h>
#include <stdint.h>

#include "backend/kernels/math.h"

/* Masks of a whole rollout's rows by who acted in their environment. */
struct home_pass {
    int steps, envs, agents;
    const uint8_t *away;     /* [E] not 0: a past self acted in this rollout */
    const uint8_t *active;   /* [T][E][A]; NULL = all are */
    uint8_t *home, *counted; /* [T][E][A] out: not away; and active as well. Either may be NULL */
};

MAPPO_FN size_t home_rows_of(const struct home_pass *p)
{
    return (size_t)p->steps * (size_t)p->envs * (size_t)p->agents;
}

MAPPO_FN void home_row(const struct home_pass *p, size_t row)
{
    const uint8_t home = !p->away[row / (size_t)p->agents % (size_t)p->envs];
    if (p->home) p->home[row] = home;
    if (p->counted) p->counted[row] = home && (!p->active || p->active[row]);
}

/* What a recurrent network remembers where somebody else has acted: nothing. */
struct forget_pass {
    const uint8_t *which; /* [envs] not 0: state becomes zeros */
    int envs, width;
    real *state; /* [envs][width] */
};

MAPPO_FN void forget_number(const struct forget_pass *p, size_t i)
{
    if (p->which[i / (size_t)p->width]) p->state[i] = 0;
}

#endif
