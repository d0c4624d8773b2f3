/* Hanabi (Bard et al. 2020): players see all hands but their own, tell each other colours or ranks for tokens, and build a firework of every
 * colour, rank after rank. Rules of jaxmarl 0.2.0: those of the Hanabi Learning Environment, with a score of 0 once the last life is lost.
 * Cards are kinds, colour * ranks + rank, all counted from 0. Start reading at hanabi_step. */
#ifndef ENVS_HANABI_GAME_H
#define ENVS_HANABI_GAME_H

#include <string.h>

#include "env/rules.h"

enum {
    HANABI_PLAYERS = 5, /* at most, as all of these */
    HANABI_COLOURS = 6,
    HANABI_RANKS = 5,
    HANABI_HAND = 5,
    HANABI_KINDS = HANABI_COLOURS * HANABI_RANKS,
    HANABI_DECK = HANABI_COLOURS * 10,
    HANABI_NO_CARD = 255
};
enum hanabi_move { HANABI_PLAY, HANABI_DISCARD, HANABI_TELL_COLOUR, HANABI_TELL_RANK, HANABI_NOTHING, HANABI_MOVES = HANABI_NOTHING };
enum hanabi_info { HANABI_SCORE, HANABI_LOST, HANABI_INFOS };

/* What is known of a card in a hand: bit k: it may be of kind k; and whether its colour and its rank were told. */
#define HANABI_COLOUR_TOLD (1u << 30)
#define HANABI_RANK_TOLD   (1u << 31)

struct hanabi_rules {
    int32_t players, colours, ranks, hand, kinds, deck, max_tokens, max_lives;
    int32_t actions;   /* discards, plays, colours told to the next player and so on, ranks likewise, nothing */
    int32_t max_steps; /* more than a game can have */
};

struct hanabi {
    struct philox rng;
    int32_t steps;
    uint8_t turn;  /* whose it is */
    uint8_t dealt; /* cards of the deck */
    uint8_t tokens, lives;
    uint8_t last_round;         /* turns since the deck is empty, and the one in which it became so */
    uint8_t last_move, last_to; /* of the turn before: its action, and which cards of a hand were told or played, a bit each */
    uint8_t last_card;          /* that was played or discarded */
    uint8_t last_scored, last_regained;
    uint8_t fireworks[HANABI_COLOURS];         /* their heights */
    uint8_t left[HANABI_KINDS];                /* cards of a kind that are neither discarded nor part of a firework */
    uint8_t card[HANABI_PLAYERS][HANABI_HAND]; /* oldest first */
    uint8_t deck[HANABI_DECK];
    uint8_t spare[5];
    uint32_t known[HANABI_PLAYERS][HANABI_HAND];
};

/* Cards of a kind: three of the lowest rank, one of the highest. */
MAPPO_FN int32_t hanabi_copies(const struct hanabi_rules *rules, const int32_t rank)
{
    return rank == 0 ? 3 : rank == rules->ranks - 1 ? 1 : 2;
}

/* The rest of rules whose players, colours, ranks, hand, max_tokens and max_lives are set. */
static inline void hanabi_count(struct hanabi_rules *rules)
{
    rules->kinds = rules->colours * rules->ranks;
    rules->deck = rules->colours * 2 * rules->ranks;
    rules->actions = 2 * rules->hand + (rules->players - 1) * (rules->colours + rules->ranks) + 1;
    /* Every turn a card is drawn, or a token paid that was there or came with a card; and then the last round. */
    rules->max_steps = 2 * (rules->deck - rules->players * rules->hand) + rules->max_tokens + rules->players;
}

MAPPO_FN uint32_t hanabi_all_kinds(const struct hanabi_rules *rules)
{
    return (1u << rules->kinds) - 1;
}

MAPPO_FN uint32_t hanabi_colour_kinds(const struct hanabi_rules *rules, const int32_t colour)
{
    return ((1u << rules->ranks) - 1) << (colour * rules->ranks);
}

MAPPO_FN uint32_t hanabi_rank_kinds(const struct hanabi_rules *rules, const int32_t rank)
{
    uint32_t kinds = 0;
    for (int32_t c = 0; c < rules->colours; c++) kinds |= 1u << (c * rules->ranks + rank);
    return kinds;
}

MAPPO_FN int32_t hanabi_score(const struct hanabi *w, const struct hanabi_rules *rules)
{
    int32_t score = 0;
    for (int32_t c = 0; c < rules->colours; c++) score += w->fireworks[c];
    return score;
}

/* ---- a new game ------------------------------------------------------------------------------------------------- */

MAPPO_FN void hanabi_deal(struct hanabi *w, const struct hanabi_rules *rules)
{
    w->steps = 0;
    w->turn = w->dealt = w->last_round = 0;
    w->last_move = w->last_to = w->last_card = w->last_scored = w->last_regained = 0;
    w->tokens = (uint8_t)rules->max_tokens;
    w->lives = (uint8_t)rules->max_lives;
    for (int32_t c = 0; c < rules->colours; c++) {
        w->fireworks[c] = 0;
        for (int32_t r = 0; r < rules->ranks; r++) w->left[c * rules->ranks + r] = (uint8_t)hanabi_copies(rules, r);
    }
    for (int32_t i = 0; i < rules->players; i++)
        for (int32_t k = 0; k < rules->hand; k++) {
            w->card[i][k] = w->deck[w->dealt++];
            w->known[i][k] = hanabi_all_kinds(rules);
        }
}

MAPPO_FN void hanabi_reset(struct hanabi *w, const struct hanabi_rules *rules)
{
    int32_t cards = 0;
    for (int32_t k = 0; k < rules->kinds; k++)
        for (int32_t i = 0; i < hanabi_copies(rules, k % rules->ranks); i++, cards++) {
            const int32_t at = philox_below(&w->rng, cards + 1); /* Fisher and Yates, inside out */
            w->deck[cards] = w->deck[at];
            w->deck[at] = (uint8_t)k;
        }
    hanabi_deal(w, rules);
}

/* ---- actions -------------------------------------------------------------------------------------------------------- */

struct hanabi_action {
    enum hanabi_move move;
    int32_t what; /* the place of a card in the hand, or the colour or rank */
    int32_t to;   /* whom it is told: 1 = the next player … */
};

MAPPO_FN struct hanabi_action hanabi_decode(const struct hanabi_rules *rules, int32_t action)
{
    struct hanabi_action a = {HANABI_NOTHING, 0, 0};
    const int32_t colours = (rules->players - 1) * rules->colours;
    if (action < 0 || action >= rules->actions - 1) return a;
    if (action < 2 * rules->hand) {
        a.move = action < rules->hand ? HANABI_DISCARD : HANABI_PLAY;
        a.what = action < rules->hand ? action : action - rules->hand;
        return a;
    }
    action -= 2 * rules->hand;
    a.move = action < colours ? HANABI_TELL_COLOUR : HANABI_TELL_RANK;
    const int32_t n = action < colours ? rules->colours : rules->ranks;
    action -= action < colours ? 0 : colours;
    a.what = action % n;
    a.to = 1 + action / n;
    return a;
}

MAPPO_FN int32_t hanabi_player(const struct hanabi_rules *rules, const int32_t from, const int32_t steps)
{
    return from + steps < rules->players ? from + steps : from + steps - rules->players;
}

/* Which cards of a player have what is told, a bit each. */
MAPPO_FN uint32_t hanabi_touched(const struct hanabi *w, const struct hanabi_rules *rules, const int32_t player, const uint32_t kinds)
{
    uint32_t touched = 0;
    for (int32_t k = 0; k < rules->hand; k++) {
        const uint32_t card = w->card[player][k];
        touched |= (card != HANABI_NO_CARD && kinds >> (card & 31) & 1u) << k;
    }
    return touched;
}

MAPPO_FN uint32_t hanabi_told_kinds(const struct hanabi_rules *rules, const struct hanabi_action a)
{
    return a.move == HANABI_TELL_COLOUR ? hanabi_colour_kinds(rules, a.what) : hanabi_rank_kinds(rules, a.what);
}

/* For the player on turn. */
MAPPO_FN int hanabi_is_legal(const struct hanabi *w, const struct hanabi_rules *rules, const struct hanabi_action a)
{
    if (a.move == HANABI_NOTHING) return 0;
    if (a.move == HANABI_PLAY || a.move == HANABI_DISCARD)
        return w->card[w->turn][a.what] != HANABI_NO_CARD && (a.move == HANABI_PLAY || w->tokens < rules->max_tokens);
    return w->tokens > 0 && hanabi_touched(w, rules, hanabi_player(rules, w->turn, a.to), hanabi_told_kinds(rules, a));
}

/* ---- a step ----------------------------------------------------------------------------------------------------------- */

/* The next card of the deck, or none, becomes the hand's newest. */
MAPPO_FN void hanabi_draw_card(struct hanabi *w, const struct hanabi_rules *rules, const int32_t player, const int32_t place)
{
    uint8_t *card = w->card[player];
    uint32_t *known = w->known[player];
    for (int32_t k = place; k < rules->hand - 1; k++) {
        card[k] = card[k + 1];
        known[k] = known[k + 1];
    }
    const int is_empty = w->dealt >= rules->deck;
    card[rules->hand - 1] = is_empty ? (uint8_t)HANABI_NO_CARD : w->deck[w->dealt];
    known[rules->hand - 1] = is_empty ? 0 : hanabi_all_kinds(rules);
    w->dealt = (uint8_t)(w->dealt + !is_empty);
}

MAPPO_FN void hanabi_put_card(struct hanabi *w, const struct hanabi_rules *rules, const struct hanabi_action a)
{
    const uint8_t card = w->card[w->turn][a.what];
    const int32_t colour = card / rules->ranks, rank = card % rules->ranks;
    const int fits = a.move == HANABI_PLAY && w->fireworks[colour] == rank;
    const int regains = (a.move == HANABI_DISCARD || (fits && rank == rules->ranks - 1)) && w->tokens < rules->max_tokens;
    w->fireworks[colour] = (uint8_t)(w->fireworks[colour] + fits);
    w->left[card]--;
    w->tokens = (uint8_t)(w->tokens + regains);
    w->lives = (uint8_t)(w->lives - (a.move == HANABI_PLAY && !fits));
    w->last_to = (uint8_t)(1u << a.what);
    w->last_card = card;
    w->last_scored = (uint8_t)fits;
    w->last_regained = (uint8_t)(regains && a.move == HANABI_PLAY);
    hanabi_draw_card(w, rules, w->turn, a.what);
}

MAPPO_FN void hanabi_tell(struct hanabi *w, const struct hanabi_rules *rules, const struct hanabi_action a)
{
    const int32_t to = hanabi_player(rules, w->turn, a.to);
    const uint32_t kinds = hanabi_told_kinds(rules, a), touched = hanabi_touched(w, rules, to, kinds);
    const uint32_t all = hanabi_all_kinds(rules), told = a.move == HANABI_TELL_COLOUR ? HANABI_COLOUR_TOLD : HANABI_RANK_TOLD;
    for (int32_t k = 0; k < rules->hand; k++) {
        uint32_t *known = &w->known[to][k];
        *known = touched >> k & 1u ? (*known & ~(all & ~kinds)) | told : *known & ~kinds;
    }
    w->tokens--;
    w->last_to = (uint8_t)touched;
}

/* One turn. What is not legal passes it. */
MAPPO_FN int hanabi_step(struct hanabi *w, const struct hanabi_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *group = &io->group[0];
    const int32_t chosen = group->act_int[w->turn];
    const struct hanabi_action a = hanabi_decode(rules, chosen);
    const int legal = hanabi_is_legal(w, rules, a);
    w->last_move = (uint8_t)(legal ? chosen : rules->actions - 1);
    w->last_to = w->last_card = w->last_scored = w->last_regained = 0;
    if (legal && (a.move == HANABI_PLAY || a.move == HANABI_DISCARD)) hanabi_put_card(w, rules, a);
    if (legal && (a.move == HANABI_TELL_COLOUR || a.move == HANABI_TELL_RANK)) hanabi_tell(w, rules, a);
    w->steps++;
    w->last_round = (uint8_t)(w->last_round + (w->dealt >= rules->deck));
    w->turn = (uint8_t)hanabi_player(rules, w->turn, 1);
    const int32_t score = hanabi_score(w, rules), lost = w->lives == 0;
    for (int32_t i = 0; i < rules->players; i++) {
        if (group->reward) group->reward[i] = (rule_real)(lost ? -score : w->last_scored);
        if (group->terminated) group->terminated[i] = 0;
    }
    if (io->info) {
        io->info[HANABI_SCORE] = (float)score;
        io->info[HANABI_LOST] = (float)lost;
    }
    if (lost || score == rules->kinds || w->last_round > rules->players) return MAPPO_TERMINATED;
    return w->steps >= rules->max_steps ? MAPPO_TRUNCATED : MAPPO_RUNNING;
}

/* ---- what is seen ----------------------------------------------------------------------------------------------------- */

MAPPO_FN float *hanabi_thermometer(float *to, const int32_t level, const int32_t length)
{
    for (int32_t k = 0; k < length; k++) to[k] = (float)(k < level);
    return to + length;
}

MAPPO_FN float *hanabi_one_hot(float *to, const int32_t at, const int32_t length) /* at outside: none */
{
    for (int32_t k = 0; k < length; k++) to[k] = (float)(k == at);
    return to + length;
}

MAPPO_FN float *hanabi_see_hand(const struct hanabi *w, const struct hanabi_rules *rules, const int32_t player, float *to)
{
    for (int32_t k = 0; k < rules->hand; k++) to = hanabi_one_hot(to, w->card[player][k], rules->kinds);
    return to;
}

MAPPO_FN float *hanabi_see_board(const struct hanabi *w, const struct hanabi_rules *rules, float *to)
{
    to = hanabi_thermometer(to, rules->deck - w->dealt, rules->deck - rules->players * rules->hand);
    for (int32_t c = 0; c < rules->colours; c++) to = hanabi_one_hot(to, w->fireworks[c] - 1, rules->ranks);
    to = hanabi_thermometer(to, w->tokens, rules->max_tokens);
    return hanabi_thermometer(to, w->lives, rules->max_lives);
}

MAPPO_FN float *hanabi_see_discards(const struct hanabi *w, const struct hanabi_rules *rules, float *to)
{
    for (int32_t c = 0; c < rules->colours; c++)
        for (int32_t r = 0; r < rules->ranks; r++) {
            const int32_t gone = hanabi_copies(rules, r) - w->left[c * rules->ranks + r];
            to = hanabi_thermometer(to, gone - (w->fireworks[c] > r), hanabi_copies(rules, r));
        }
    return to;
}

/* The turn before, as `player` sees it: who (0 = itself, 1 = the next …), what, to whom, and what came of it. */
MAPPO_FN float *hanabi_see_last(const struct hanabi *w, const struct hanabi_rules *rules, const int32_t player, float *to)
{
    const struct hanabi_action a = hanabi_decode(rules, w->steps ? w->last_move : -1);
    const int tells = a.move == HANABI_TELL_COLOUR || a.move == HANABI_TELL_RANK, puts = a.move == HANABI_PLAY || a.move == HANABI_DISCARD;
    const int32_t n = rules->players, who = (w->turn + 2 * n - 1 - player) % n;
    to = hanabi_one_hot(to, w->steps ? who : -1, n);
    to = hanabi_one_hot(to, a.move, HANABI_MOVES);
    to = hanabi_one_hot(to, tells ? (who + a.to) % n : -1, n);
    to = hanabi_one_hot(to, a.move == HANABI_TELL_COLOUR ? a.what : -1, rules->colours);
    to = hanabi_one_hot(to, a.move == HANABI_TELL_RANK ? a.what : -1, rules->ranks);
    for (int part = 0; part < 2; part++) /* which cards were told, which was played or discarded */
        for (int32_t k = 0; k < rules->hand; k++) *to++ = (float)((part ? puts : tells) && (w->last_to >> k & 1));
    to = hanabi_one_hot(to, puts ? w->last_card : -1, rules->kinds);
    *to++ = w->last_scored;
    *to++ = w->last_regained;
    return to;
}

/* What each player knows of its own hand: how likely each kind is, given what was told and what lies open, and what was told. */
MAPPO_FN float *hanabi_see_beliefs(const struct hanabi *w, const struct hanabi_rules *rules, const int32_t player, float *to)
{
    for (int32_t i = 0; i < rules->players; i++) {
        const int32_t whose = hanabi_player(rules, player, i);
        for (int32_t k = 0; k < rules->hand; k++) {
            const uint32_t known = w->known[whose][k], card = w->card[whose][k];
            int32_t sum = 0;
            for (int32_t kind = 0; kind < rules->kinds; kind++) sum += known >> kind & 1u ? w->left[kind] : 0;
            const float part = sum ? 1.0f / (float)sum : 0;
            for (int32_t kind = 0; kind < rules->kinds; kind++) to[kind] = known >> kind & 1u ? (float)w->left[kind] * part : 0;
            to = hanabi_one_hot(to + rules->kinds, known & HANABI_COLOUR_TOLD ? (int32_t)card / rules->ranks : -1, rules->colours);
            to = hanabi_one_hot(to, known & HANABI_RANK_TOLD ? (int32_t)card % rules->ranks : -1, rules->ranks);
        }
    }
    return to;
}

MAPPO_FN void hanabi_see(const struct hanabi *w, const struct hanabi_rules *rules, const int32_t player, float *to)
{
    for (int32_t i = 1; i < rules->players; i++) to = hanabi_see_hand(w, rules, hanabi_player(rules, player, i), to);
    for (int32_t i = 0; i < rules->players; i++)
        *to++ = (float)(w->card[hanabi_player(rules, player, i)][rules->hand - 1] == HANABI_NO_CARD); /* cards are missing at the end */
    to = hanabi_see_board(w, rules, to);
    to = hanabi_see_discards(w, rules, to);
    to = hanabi_see_last(w, rules, player, to);
    hanabi_see_beliefs(w, rules, player, to);
}

MAPPO_FN void hanabi_mask(const struct hanabi *w, const struct hanabi_rules *rules, const int on_turn, uint8_t *mask)
{
    for (int32_t k = 0; k < rules->actions - 1; k++) mask[k] = (uint8_t)(on_turn && hanabi_is_legal(w, rules, hanabi_decode(rules, k)));
    mask[rules->actions - 1] = (uint8_t)!on_turn;
}

/* The state is what the player on turn sees, and before it its hand, which it does not. */
MAPPO_FN void hanabi_observe_agent(const struct hanabi *w, const struct hanabi_rules *rules, const int32_t agent, const struct rule_io *io)
{
    const struct rule_group_io *row = &io->group[0];
    if (agent < 0) {
        hanabi_see(w, rules, w->turn, hanabi_see_hand(w, rules, w->turn, io->state));
        return;
    }
    if (row->obs) hanabi_see(w, rules, agent, row->obs);
    if (row->active) *row->active = (uint8_t)(agent == w->turn);
    if (row->act_mask) hanabi_mask(w, rules, agent == w->turn, row->act_mask);
}

#endif
