/* simple_formation: N agents stand evenly on a circle round a landmark (mpe2 1.1, simple_formation_v1). The circle is turned such that one of
 * its places lies in the direction of the agent with the least angle in [0, 2 pi). */
#ifndef MPE_SIMPLE_FORMATION_H
#define MPE_SIMPLE_FORMATION_H

#include "envs/mpe/match.h"
#include "envs/mpe/sight.h"

#define FORMATION_RADIUS 0.5

enum { FORMATION_AGENTS, FORMATION_COUNTS };

static inline void formation_world(struct mpe_rules *rules, const int32_t *count)
{
    static const uint8_t sight[MPE_SIGHTS] = {MPE_SEES_VELOCITY, MPE_SEES_POSITION, MPE_SEES_LANDMARKS};
    const double step = 2 * MPE_PI / count[FORMATION_AGENTS];
    mpe_kind_of(&rules->agent[0], count[FORMATION_AGENTS], 0.05, sight)->collides = 1;
    mpe_kind_start(rules, mpe_kind_of(&rules->landmark[0], 1, 0.03, NULL), 0.5);
    rules->turn[0] = (rule_real)cos(step);
    rules->turn[1] = (rule_real)sin(step);
}

/* Grows with the angle of (x, y), from 0 to below 4: no arc tangent, which would differ between machines. */
MAPPO_FN rule_real formation_angle(const rule_real x, const rule_real y)
{
    const rule_real length = rule_abs(x) + rule_abs(y), part = length > 0 ? x / length : 1;
    return y < 0 ? 3 + part : 1 - part;
}

/* The places on the circle [N][2]. */
MAPPO_FN void formation_places(const struct mpe *w, const struct mpe_rules *rules, rule_real *place)
{
    const rule_real *position = mpe_position(w, rules), *landmark = mpe_landmark(w, rules);
    rule_real least = 4, x = 1, y = 0;
    for (int i = 0; i < rules->agents; i++) {
        const rule_real dx = position[2 * i] - landmark[0], dy = position[2 * i + 1] - landmark[1], angle = formation_angle(dx, dy);
        if (angle >= least) continue;
        const rule_real length = rule_sqrt(dx * dx + dy * dy);
        least = angle;
        x = length > 0 ? dx / length : 1;
        y = length > 0 ? dy / length : 0;
    }
    for (int i = 0; i < rules->agents; i++) {
        const rule_real turned = x * rules->turn[0] - y * rules->turn[1];
        place[2 * i] = landmark[0] + (rule_real)FORMATION_RADIUS * x;
        place[2 * i + 1] = landmark[1] + (rule_real)FORMATION_RADIUS * y;
        y = y * rules->turn[0] + x * rules->turn[1];
        x = turned;
    }
}

MAPPO_FN int formation_score(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward, float *info)
{
    return mpe_pay_places(w, rules, formation_places, reward, info);
}

#endif
