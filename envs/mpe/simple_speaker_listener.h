/* simple_speaker_listener: a speaker who cannot move tells a listener which of three landmarks is the goal (Lowe et al. 2017; mpe2
 * simple_speaker_listener_v4). Under on-policy and openai both are paid the sum, twice as much. */
#ifndef MPE_SIMPLE_SPEAKER_LISTENER_H
#define MPE_SIMPLE_SPEAKER_LISTENER_H

#include "envs/mpe/sight.h"

#define SPEAKER_REACHED 0.1

enum { SPEAKER_COUNTS = 0 };
enum { SPEAKER_DISTANCE, SPEAKER_ARRIVED, SPEAKER_INFOS };

static inline void speaker_world(struct mpe_rules *rules, const int32_t *count)
{
    static const uint8_t speaker[MPE_SIGHTS] = {MPE_SEES_GOAL_MARK};
    static const uint8_t listener[MPE_SIGHTS] = {MPE_SEES_VELOCITY, MPE_SEES_LANDMARKS, MPE_SEES_WORDS};
    struct mpe_kind *kind = mpe_kind_of(&rules->agent[0], 1, 0.075, speaker);
    (void)count;
    kind->moves = 0;
    kind->speaks = 1;
    mpe_kind_of(&rules->agent[1], 1, 0.075, listener);
    mpe_kind_of(&rules->landmark[0], 3, 0.04, NULL);
    rules->words = rules->mark_size = 3;
    rules->goals = 1;
    rules->mark_low = (rule_real)0.15;
    rules->mark_high = (rule_real)0.65;
    rules->summed = rules->rule_set == MPE_ON_POLICY || rules->rule_set == MPE_OPENAI;
}

MAPPO_FN int speaker_score(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward, float *info)
{
    const rule_real *listener = mpe_position(w, rules) + 2, *goal = mpe_landmark(w, rules) + 2 * w->goal[0];
    const rule_real dx = listener[0] - goal[0], dy = listener[1] - goal[1], square = dx * dx + dy * dy;
    reward[0] = reward[1] = -square;
    info[SPEAKER_DISTANCE] = (float)rule_sqrt(square);
    info[SPEAKER_ARRIVED] = (float)(rule_sqrt(square) < (rule_real)SPEAKER_REACHED);
    return 0;
}

#endif
