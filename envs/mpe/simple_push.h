/* simple_push: an agent goes to the one of two landmarks that is its goal; an adversary, who does not know which, pushes it away (Lowe et al.
 * 2017; mpe2 simple_push_v3). */
#ifndef MPE_SIMPLE_PUSH_H
#define MPE_SIMPLE_PUSH_H

#include "envs/mpe/sight.h"

enum { PUSH_COUNTS = 0 };
enum { PUSH_AGENT_DISTANCE, PUSH_ADVERSARY_DISTANCE, PUSH_INFOS };

static inline void push_world(struct mpe_rules *rules, const int32_t *count)
{
    static const uint8_t adversary[MPE_SIGHTS] = {MPE_SEES_VELOCITY, MPE_SEES_LANDMARKS, MPE_SEES_OTHERS};
    static const uint8_t agent[MPE_SIGHTS] = {MPE_SEES_VELOCITY,  MPE_SEES_GOAL,           MPE_SEES_OWN_MARK,
                                              MPE_SEES_LANDMARKS, MPE_SEES_LANDMARK_MARKS, MPE_SEES_OTHERS};
    (void)count;
    mpe_kind_of(&rules->agent[0], 1, 0.05, adversary)->collides = 1;
    mpe_kind_of(&rules->agent[1], 1, 0.05, agent)->collides = 1;
    mpe_kind_start(rules, mpe_kind_of(&rules->landmark[0], 2, 0.05, NULL), 1);
    rules->goals = 1;
    rules->mark_size = 3;
    rules->mark_from = 1;
    rules->mark_low = (rule_real)0.1;
    rules->mark_high = (rule_real)0.9;
}

MAPPO_FN int push_score(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward, float *info)
{
    const rule_real *position = mpe_position(w, rules), *goal = mpe_landmark(w, rules) + 2 * w->goal[0];
    const rule_real theirs = mpe_distance(position, goal), ours = mpe_distance(position + 2, goal);
    reward[0] = ours - theirs;
    reward[1] = -ours;
    info[PUSH_AGENT_DISTANCE] = (float)ours;
    info[PUSH_ADVERSARY_DISTANCE] = (float)theirs;
    return 0;
}

#endif
