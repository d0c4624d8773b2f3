/* simple_adversary: N agents know which of N landmarks is the goal and want one of them near it; an adversary, who does not know, wants to be
 * near it, too (Lowe et al. 2017; mpe2 simple_adversary_v3). Under on-policy and openai the adversary pays the square of its distance. */
#ifndef MPE_SIMPLE_ADVERSARY_H
#define MPE_SIMPLE_ADVERSARY_H

#include "envs/mpe/sight.h"

enum { ADVERSARY_AGENTS, ADVERSARY_COUNTS };
enum { ADVERSARY_AGENT_DISTANCE, ADVERSARY_ADVERSARY_DISTANCE, ADVERSARY_INFOS };

static inline void adversary_world(struct mpe_rules *rules, const int32_t *count)
{
    static const uint8_t adversary[MPE_SIGHTS] = {MPE_SEES_LANDMARKS, MPE_SEES_OTHERS};
    static const uint8_t agent[MPE_SIGHTS] = {MPE_SEES_GOAL, MPE_SEES_LANDMARKS, MPE_SEES_OTHERS};
    mpe_kind_of(&rules->agent[0], 1, 0.15, adversary);
    mpe_kind_of(&rules->agent[1], count[ADVERSARY_AGENTS], 0.15, agent);
    mpe_kind_of(&rules->landmark[0], count[ADVERSARY_AGENTS], 0.08, NULL);
    rules->goals = 1;
}

MAPPO_FN int adversary_score(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward, float *info)
{
    const rule_real *position = mpe_position(w, rules), *goal = mpe_landmark(w, rules) + 2 * w->goal[0];
    const rule_real theirs = mpe_distance(position, goal), ours = mpe_least_distance(position + 2, rules->agents - 1, goal);
    const int square = rules->rule_set == MPE_ON_POLICY || rules->rule_set == MPE_OPENAI;
    const rule_real dx = position[0] - goal[0], dy = position[1] - goal[1];
    reward[0] = square ? -(dx * dx + dy * dy) : -theirs;
    for (int i = 1; i < rules->agents; i++) reward[i] = -ours + theirs;
    info[ADVERSARY_AGENT_DISTANCE] = (float)ours;
    info[ADVERSARY_ADVERSARY_DISTANCE] = (float)theirs;
    return 0;
}

#endif
