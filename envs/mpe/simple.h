/* simple: one agent goes to a landmark (Lowe et al. 2017; mpe2 simple_v3). */
#ifndef MPE_SIMPLE_H
#define MPE_SIMPLE_H

#include "envs/mpe/sight.h"

enum { SIMPLE_COUNTS = 0 };
enum { SIMPLE_DISTANCE, SIMPLE_INFOS };

static inline void simple_world(struct mpe_rules *rules, const int32_t *count)
{
    static const uint8_t sight[MPE_SIGHTS] = {MPE_SEES_VELOCITY, MPE_SEES_LANDMARKS};
    (void)count;
    mpe_kind_of(&rules->agent[0], 1, 0.05, sight);
    mpe_kind_of(&rules->landmark[0], 1, 0.05, NULL);
}

MAPPO_FN int simple_score(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward, float *info)
{
    const rule_real *agent = mpe_position(w, rules), *landmark = mpe_landmark(w, rules);
    const rule_real dx = agent[0] - landmark[0], dy = agent[1] - landmark[1];
    reward[0] = -(dx * dx + dy * dy);
    info[SIMPLE_DISTANCE] = (float)mpe_distance(agent, landmark);
    return 0;
}

#endif
