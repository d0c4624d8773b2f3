/* What is added to actions while learning, so that an actor without a distribution finds something new. */
#ifndef MAPPO_KERNELS_EXPLORE_H
#define MAPPO_KERNELS_EXPLORE_H

#include <stdbool.h>

#include "backend/kernels/sampling.h"

enum explore_kind { EXPLORE_NONE, EXPLORE_GAUSSIAN, EXPLORE_UNIFORM, EXPLORE_OU };

struct explore_numbers { /* of the coming steps */
    float noise;         /* deviation, half width, or factor of the process's state */
    float epsilon;       /* probability that an agent's action is any */
};

/* Words of a row: 0 for epsilon, then one for each choice and bit and two for each real number, in the order of the heads. */
MAPPO_FN uint32_t explore_word(uint64_t seed, uint32_t env, uint32_t agent, uint64_t step, uint32_t word)
{
    return action_words(seed, PHILOX_EXPLORATION, env, agent, step, word / 4).v[word % 4];
}

/* The next state of an Ornstein-Uhlenbeck process around 0: theta 0.15, sigma 0.2, a step at a time (maddpg-pytorch, utils/noise.py). */
MAPPO_FN float explore_ou(float state, float normal)
{
    return state - 0.15f * state + 0.2f * normal;
}

/* A real action, in [-1, 1]; or in [0, 1], of a point of the simplex, to which uniform noise is added from 0 on, and which stays there only if it
 * is clipped. state: of the process, read and written with EXPLORE_OU. */
MAPPO_FN float explore_real(int kind, bool simplex, bool clipped, float action, const struct explore_numbers *numbers, float *state,
                            uint32_t a, uint32_t b)
{
    const float low = simplex ? 0.0f : -1.0f;
    float noise = 0;
    if (kind == EXPLORE_GAUSSIAN) noise = normal_draw(a, b);
    if (kind == EXPLORE_UNIFORM) noise = simplex ? philox_float(a) : 2 * philox_float(a) - 1;
    if (kind == EXPLORE_OU) noise = *state = explore_ou(*state, normal_draw(a, b));
    const float x = action + numbers->noise * noise;
    if (simplex && !clipped) return x;
    return x < low ? low : x > 1 ? 1.0f : x;
}

#endif
