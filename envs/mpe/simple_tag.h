/* simple_tag: slower adversaries chase faster prey among obstacles (Lowe et al. 2017; mpe2 simple_tag_v3). */
#ifndef MPE_SIMPLE_TAG_H
#define MPE_SIMPLE_TAG_H

#include "envs/mpe/sight.h"

enum { TAG_GOOD, TAG_ADVERSARIES, TAG_OBSTACLES, TAG_COUNTS };
enum { TAG_TOUCHES, TAG_CAUGHT, TAG_INFOS };

static inline void tag_world(struct mpe_rules *rules, const int32_t *count)
{
    static const uint8_t sight[MPE_SIGHTS] = {MPE_SEES_VELOCITY, MPE_SEES_POSITION, MPE_SEES_LANDMARKS, MPE_SEES_OTHERS, MPE_SEES_PREY};
    const double ease = rules->stage == 0 ? 0.5 : rules->stage == 1 ? 0.75 : 1; /* the curriculum slows prey down */
    struct mpe_kind *adversary = mpe_kind_of(&rules->agent[0], count[TAG_ADVERSARIES], 0.075, sight);
    struct mpe_kind *prey = mpe_kind_of(&rules->agent[1], count[TAG_GOOD], 0.05, sight);
    struct mpe_kind *obstacle = mpe_kind_of(&rules->landmark[0], count[TAG_OBSTACLES], 0.2, NULL);
    adversary->collides = prey->collides = obstacle->collides = 1;
    mpe_kind_drive(rules, adversary, 3, 1);
    mpe_kind_drive(rules, prey, 4 * ease, 1.3 * ease);
    mpe_kind_start(rules, obstacle, 0.9);
}

MAPPO_FN int tag_score(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward, float *info)
{
    const rule_real *position = mpe_position(w, rules), touch = rules->agent[0].size + rules->agent[1].size;
    const int hunters = rules->agent[0].count;
    int touches = 0, caught = 0;
    for (int i = hunters; i < rules->agents; i++) {
        const int by = mpe_touching(position, hunters, &position[2 * i], touch);
        reward[i] = -10 * (rule_real)by;
        for (int k = 0; k < 2; k++) reward[i] -= mpe_leaving(rule_abs(position[2 * i + k]));
        touches += by;
        caught += by > 0;
    }
    for (int i = 0; i < hunters; i++) reward[i] = 10 * (rule_real)touches;
    info[TAG_TOUCHES] = (float)touches;
    info[TAG_CAUGHT] = (float)caught;
    return caught == rules->agent[1].count;
}

#endif
