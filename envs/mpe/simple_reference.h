/* simple_reference: each of two agents knows the landmark that the other has to reach, and tells it (Lowe et al. 2017; mpe2
 * simple_reference_v3). Under on-policy and openai distances are squared, and both are paid the sum. */
#ifndef MPE_SIMPLE_REFERENCE_H
#define MPE_SIMPLE_REFERENCE_H

#include "envs/mpe/sight.h"

#define REFERENCE_REACHED 0.1

enum { REFERENCE_COUNTS = 0 };
enum { REFERENCE_DISTANCE, REFERENCE_ARRIVED, REFERENCE_INFOS };

static inline void reference_world(struct mpe_rules *rules, const int32_t *count)
{
    static const uint8_t sight[MPE_SIGHTS] = {MPE_SEES_VELOCITY, MPE_SEES_LANDMARKS, MPE_SEES_OWN_GOAL_MARK, MPE_SEES_WORDS};
    struct mpe_kind *kind = mpe_kind_of(&rules->agent[0], 2, 0.05, sight);
    (void)count;
    kind->speaks = 1;
    kind->hears = MPE_HEARS_OTHERS;
    mpe_kind_start(rules, mpe_kind_of(&rules->landmark[0], 3, 0.05, NULL), 1);
    rules->words = 10;
    rules->goals = 2;
    rules->mark_size = 3;
    rules->mark_low = (rule_real)0.25;
    rules->mark_high = (rule_real)0.75;
    rules->summed = rules->rule_set == MPE_ON_POLICY || rules->rule_set == MPE_OPENAI;
}

MAPPO_FN int reference_score(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward, float *info)
{
    const rule_real *position = mpe_position(w, rules), *landmark = mpe_landmark(w, rules);
    const rule_real local = (rule_real)rules->local_ratio, global = (rule_real)(1 - rules->local_ratio);
    rule_real far[2], sum = 0;
    int arrived = 0;
    for (int i = 0; i < 2; i++) {
        const rule_real *goal = &landmark[2 * w->goal[i]], *other = &position[2 * (1 - i)];
        const rule_real dx = other[0] - goal[0], dy = other[1] - goal[1], square = dx * dx + dy * dy, distance = rule_sqrt(square);
        far[i] = distance;
        reward[i] = rules->summed ? -square : -distance;
        sum += reward[i];
        arrived += distance < (rule_real)REFERENCE_REACHED;
    }
    for (int i = 0; i < 2 && !rules->summed; i++) reward[i] = sum / 2 * global + reward[i] * local;
    info[REFERENCE_DISTANCE] = (float)((far[0] + far[1]) / 2);
    info[REFERENCE_ARRIVED] = (float)arrived;
    return 0;
}

#endif
