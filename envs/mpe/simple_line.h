/* simple_line: N agents stand evenly on the line between two landmarks (mpe2 1.1, simple_line_v1). */
#ifndef MPE_SIMPLE_LINE_H
#define MPE_SIMPLE_LINE_H

#include "envs/mpe/match.h"
#include "envs/mpe/sight.h"

enum { LINE_AGENTS, LINE_COUNTS };

static inline void line_world(struct mpe_rules *rules, const int32_t *count)
{
    static const uint8_t sight[MPE_SIGHTS] = {MPE_SEES_VELOCITY, MPE_SEES_POSITION, MPE_SEES_LANDMARKS};
    mpe_kind_of(&rules->agent[0], count[LINE_AGENTS], 0.03, sight)->collides = 1;
    mpe_kind_start(rules, mpe_kind_of(&rules->landmark[0], 2, 0.02, NULL), 0.25);
    rules->angled = 1;
}

/* The places on the line [N][2]; a single agent's is its first end. */
MAPPO_FN void line_places(const struct mpe *w, const struct mpe_rules *rules, rule_real *place)
{
    const rule_real *end = mpe_landmark(w, rules);
    const rule_real gaps = (rule_real)(rules->agents > 1 ? rules->agents - 1 : 1);
    for (int i = 0; i < rules->agents; i++)
        for (int k = 0; k < 2; k++) place[2 * i + k] = end[k] + (rule_real)i / gaps * (end[2 + k] - end[k]);
}

MAPPO_FN int line_score(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward, float *info)
{
    return mpe_pay_places(w, rules, line_places, reward, info);
}

#endif
