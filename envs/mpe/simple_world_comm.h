/* simple_world_comm: simple_tag with food that prey want, forests that hide whoever is inside, and a leader of the predators who sees through
 * them and speaks to the others (Lowe et al. 2017; mpe2 simple_world_comm_v3). Under on-policy and openai being far from food is paid, not
 * charged. */
#ifndef MPE_SIMPLE_WORLD_COMM_H
#define MPE_SIMPLE_WORLD_COMM_H

#include "envs/mpe/sight.h"

enum { COMM_GOOD, COMM_ADVERSARIES, COMM_OBSTACLES, COMM_FOOD, COMM_FORESTS, COMM_COUNTS };
enum { COMM_TOUCHES, COMM_CAUGHT, COMM_EATEN, COMM_INFOS };

static inline void comm_world(struct mpe_rules *rules, const int32_t *count)
{
    static const uint8_t hunter[MPE_SIGHTS] = {MPE_SEES_VELOCITY, MPE_SEES_POSITION, MPE_SEES_LANDMARKS, MPE_SEES_OTHERS,
                                               MPE_SEES_PREY,     MPE_SEES_FORESTS,  MPE_SEES_WORDS};
    static const uint8_t prey[MPE_SIGHTS] = {MPE_SEES_VELOCITY, MPE_SEES_POSITION, MPE_SEES_LANDMARKS,
                                             MPE_SEES_OTHERS,   MPE_SEES_FORESTS,  MPE_SEES_PREY};
    mpe_kind_of(&rules->agent[0], 1, 0.075, hunter)->speaks = 1;
    mpe_kind_of(&rules->agent[1], count[COMM_ADVERSARIES] - 1, 0.075, hunter);
    mpe_kind_of(&rules->agent[2], count[COMM_GOOD], 0.045, prey);
    mpe_kind_of(&rules->landmark[0], count[COMM_OBSTACLES], 0.2, NULL)->collides = 1;
    mpe_kind_of(&rules->landmark[1], count[COMM_FOOD], 0.03, NULL);
    mpe_kind_of(&rules->landmark[2], count[COMM_FORESTS], 0.3, NULL);
    for (int k = 0; k < MPE_KINDS; k++) {
        rules->agent[k].collides = 1;
        mpe_kind_drive(rules, &rules->agent[k], k < 2 ? 3 : 4, k < 2 ? 1 : 1.3);
        mpe_kind_start(rules, &rules->landmark[k], 0.9);
    }
    rules->words = 4;
    rules->forests = count[COMM_FORESTS];
    rules->redrawn = count[COMM_FOOD] + count[COMM_FORESTS];
}

MAPPO_FN int comm_score(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward, float *info)
{
    const rule_real *position = mpe_position(w, rules), *food = mpe_landmark(w, rules) + 2 * rules->landmark[0].count;
    const rule_real touch = rules->agent[0].size + rules->agent[2].size, bite = rules->agent[2].size + rules->landmark[1].size;
    const rule_real hunger = (rule_real)(rules->rule_set == MPE_ON_POLICY || rules->rule_set == MPE_OPENAI ? 0.05 : -0.05);
    const int hunters = rules->agents - rules->agent[2].count, foods = rules->landmark[1].count;
    int touches = 0, caught = 0, eaten = 0;
    for (int i = hunters; i < rules->agents; i++) {
        const rule_real *prey = &position[2 * i];
        const int by = mpe_touching(position, hunters, prey, touch), bites = mpe_touching(food, foods, prey, bite);
        reward[i] = -5 * (rule_real)by;
        for (int k = 0; k < 2; k++) reward[i] -= 2 * mpe_leaving(rule_abs(prey[k]));
        reward[i] += 2 * (rule_real)bites;
        reward[i] += hunger * mpe_least_distance(food, foods, prey);
        touches += by;
        caught += by > 0;
        eaten += bites;
    }
    for (int i = 0; i < hunters; i++)
        reward[i] =
            (rule_real)-0.1 * mpe_least_distance(&position[2 * hunters], rules->agent[2].count, &position[2 * i]) + 5 * (rule_real)touches;
    info[COMM_TOUCHES] = (float)touches;
    info[COMM_CAUGHT] = (float)caught;
    info[COMM_EATEN] = (float)eaten;
    return 0;
}

#endif
