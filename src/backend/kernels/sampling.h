/* Which random words an action uses. A row owns the draws (seed, stream, environment, agent, step); a policy with several heads takes words
 * in the order of its heads: one per categorical head, one per bit, two per Gaussian dimension. Word w is word w % 4 of block w / 4. */
#ifndef MAPPO_KERNELS_SAMPLING_H
#define MAPPO_KERNELS_SAMPLING_H

#include "backend/kernels/math.h"
#include "base/philox.h"

enum { ACTION_BLOCK_SHIFT = 16 }; /* the block's number lies above the agent's: at most 65,536 agents and 1,024 words */

MAPPO_FN struct philox_draw action_words(uint64_t seed, int stream, uint32_t env, uint32_t agent, uint64_t step, uint32_t block)
{
    return philox_at(seed, stream, env, agent | (block << ACTION_BLOCK_SHIFT), step);
}

/* A standard normal number from two words (Box and Muller 1958). 1 - u lies in (0, 1], so the logarithm is finite. */
MAPPO_FN float normal_draw(uint32_t a, uint32_t b)
{
    const float radius = sqrtf(-2.0f * logf(1.0f - philox_float(a)));
    return radius * cosf(6.28318530717958647692f * philox_float(b));
}

#endif
