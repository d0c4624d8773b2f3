/* simple_crypto: Alice tells Bob one of two messages, under a key that both know and Eve, who hears everything, does not (Lowe et al. 2017;
 * mpe2 simple_crypto_v3). Nobody moves. A message is the colour of a landmark; what Bob and Eve say is their guess of it. */
#ifndef MPE_SIMPLE_CRYPTO_H
#define MPE_SIMPLE_CRYPTO_H

#include "envs/mpe/sight.h"

enum { CRYPTO_COUNTS = 0 };
enum { CRYPTO_BOB_ERROR, CRYPTO_EVE_ERROR, CRYPTO_INFOS };
enum { CRYPTO_EVE, CRYPTO_BOB, CRYPTO_ALICE, CRYPTO_AGENTS };

static inline void crypto_world(struct mpe_rules *rules, const int32_t *count)
{
    static const uint8_t sight[CRYPTO_AGENTS][MPE_SIGHTS] = {
        {MPE_SEES_WORDS}, {MPE_SEES_KEY_MARK, MPE_SEES_WORDS}, {MPE_SEES_GOAL_MARK, MPE_SEES_KEY_MARK}};
    (void)count;
    for (int i = 0; i < CRYPTO_AGENTS; i++) {
        struct mpe_kind *kind = mpe_kind_of(&rules->agent[i], 1, 0.05, sight[i]);
        kind->moves = 0;
        kind->speaks = 1;
        kind->hears = CRYPTO_ALICE;
    }
    mpe_kind_of(&rules->landmark[0], 2, 0.05, NULL);
    rules->words = rules->mark_size = 4;
    rules->mark_high = 1;
    rules->goals = 2; /* the message, and the key */
}

/* Squared error of a guess; saying nothing at all costs nothing. */
MAPPO_FN rule_real crypto_error(const rule_real *guess, const int words, const int message)
{
    rule_real error = 0;
    int silent = 1;
    for (int c = 0; c < words; c++) {
        const rule_real miss = guess[c] - (rule_real)(c == message);
        error += miss * miss;
        silent = silent && guess[c] == 0;
    }
    return silent ? 0 : error;
}

MAPPO_FN int crypto_score(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward, float *info)
{
    const rule_real *said = mpe_utterance(w, rules);
    const rule_real eve = crypto_error(said + CRYPTO_EVE * rules->words, rules->words, w->goal[0]);
    const rule_real bob = crypto_error(said + CRYPTO_BOB * rules->words, rules->words, w->goal[0]);
    reward[CRYPTO_EVE] = -eve;
    reward[CRYPTO_BOB] = reward[CRYPTO_ALICE] = eve - bob;
    info[CRYPTO_BOB_ERROR] = (float)bob;
    info[CRYPTO_EVE_ERROR] = (float)eve;
    return 0;
}

#endif
