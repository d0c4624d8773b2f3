/* Players without networks: random and no-op. */
#ifndef MAPPO_RUN_UNTRAINED_H
#define MAPPO_RUN_UNTRAINED_H

#include "env/vecenv.h"
#include "nn/distribution.h"

/* Of one group. What is drawn depends on seed, global environment, agent and step alone. */
struct untrained {
    const struct mappo_group *group;
    const struct distribution *dist; /* the group's heads, any standard deviation */
    uint64_t seed;
    uint32_t first_env; /* global index of environment 0 */
    int first_agent;    /* agents of the groups before: those of two groups must not draw the same */
    bool random;        /* else the first allowed choice, and the number nearest to 0 */
};

/* Actions of `envs` environments, act_int [E][A][Ki] and act_real [E][A][Kr] (NULL where there are none), uniform over what mask [E][A][L]
 * (NULL: all) and bounds allow; a real number without bounds is a standard normal. */
void untrained_act(const struct untrained *player, uint64_t step, int envs, const uint8_t *mask, int32_t *act_int, float *act_real);

#endif
