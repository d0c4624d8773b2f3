/* Hanabi against recordings of JaxMARL: every turn from the state that the turns before left, and whole games from their decks. */
#ifndef TESTS_PARITY_ENV_HANABI_H
#define TESTS_PARITY_ENV_HANABI_H

#include "envs/hanabi/game.h"
#include "parity/env_rows.h"

/* What is recorded after each turn. */
enum hanabi_field {
    HANABI_F_DEALT,
    HANABI_F_COLOUR_TOLD,
    HANABI_F_TURN,
    HANABI_F_DISCARDS,
    HANABI_F_FIREWORKS,
    HANABI_F_HANDS,
    HANABI_F_TOKENS,
    HANABI_F_KNOWN,
    HANABI_F_LAST_ROUND,
    HANABI_F_LIVES,
    HANABI_F_RANK_TOLD,
    HANABI_FIELDS
};
static const char *const hanabi_field_name[HANABI_FIELDS] = {
    "cards_dealt_after", "colour_revealed_after", "current_player_after",   "discards_after",    "fireworks_after",    "hands_after",
    "info_tokens_after", "knowledge_after",       "last_round_count_after", "life_tokens_after", "rank_revealed_after"};

struct hanabi_case {
    struct rows_case base;
    struct hanabi_rules rules;
    struct golden_array field[HANABI_FIELDS], deck, player, legal;
    size_t width[HANABI_FIELDS]; /* numbers a turn */
    double *found[HANABI_FIELDS];
};

static inline int32_t hanabi_case_number(const struct env_case *of, const char *name, int32_t none)
{
    double value;
    return golden_numbers(of->file, of->group, name, &value, 1) ? (int32_t)value : none;
}

static inline bool hanabi_read_rules(struct hanabi_rules *rules, const struct env_case *of)
{
    *rules = (struct hanabi_rules){.players = hanabi_case_number(of, "n_players", 0),
                                   .colours = hanabi_case_number(of, "colors", 0),
                                   .ranks = hanabi_case_number(of, "ranks", 0),
                                   .hand = hanabi_case_number(of, "hand_size", 0),
                                   .max_tokens = hanabi_case_number(of, "max_info_tokens", 0),
                                   .max_lives = hanabi_case_number(of, "max_life_tokens", 0)};
    if (rules->players < 2 || rules->players > HANABI_PLAYERS || rules->colours < 1 || rules->colours > HANABI_COLOURS ||
        rules->ranks < 2 || rules->ranks > HANABI_RANKS || rules->hand < 1 || rules->hand > HANABI_HAND)
        return false;
    hanabi_count(rules);
    return rules->actions == hanabi_case_number(of, "n_actions", 0) && rules->deck > rules->players * rules->hand;
}

static inline bool hanabi_case_open(struct hanabi_case *c, const struct env_case *of)
{
    if (!rows_case_open(&c->base, of) || !hanabi_read_rules(&c->rules, of)) return false;
    const size_t rows = c->base.rows, players = (size_t)c->rules.players, hand = (size_t)c->rules.hand;
    const size_t colours = (size_t)c->rules.colours, ranks = (size_t)c->rules.ranks, kinds = (size_t)c->rules.kinds;
    const size_t width[HANABI_FIELDS] = {1, players * hand * colours, 1, kinds, colours, players * hand, 1, players * hand * kinds, 1,
                                         1, players * hand * ranks};
    bool sound = c->base.agents == players;
    for (int k = 0; k < HANABI_FIELDS; k++) {
        c->field[k] = env_read(of, hanabi_field_name[k]);
        c->width[k] = width[k];
        c->found[k] = calloc(c->field[k].count + 1, sizeof(double));
        sound = sound && c->field[k].count == rows * width[k];
    }
    c->deck = env_read(of, "deck");
    c->player = env_read(of, "player");
    c->legal = env_read(of, "legal_before");
    c->base.rules = &c->rules;
    return sound && c->deck.count == c->base.episodes * (size_t)c->rules.deck * 2 && c->player.count == rows &&
           c->legal.count == rows * players * (size_t)c->rules.actions;
}

static inline void hanabi_case_close(struct hanabi_case *c)
{
    for (int k = 0; k < HANABI_FIELDS; k++) {
        golden_free(&c->field[k]);
        free(c->found[k]);
    }
    golden_free(&c->deck);
    golden_free(&c->player);
    golden_free(&c->legal);
    rows_case_close(&c->base);
}

static inline const double *hanabi_row(const struct hanabi_case *c, enum hanabi_field field, size_t row)
{
    return c->field[field].data + row * c->width[field];
}

static inline void hanabi_act(const struct rows_case *base, size_t row, int32_t *act_int)
{
    const struct hanabi_case *c = (const struct hanabi_case *)base;
    for (size_t i = 0; i < base->agents; i++) act_int[i] = c->rules.actions - 1;
    act_int[(size_t)c->player.data[row]] = (int32_t)base->action.data[row];
}

/* The state after a turn. What is remembered of that turn is seen in the observations after the next one, and so left alone. */
static inline void hanabi_put_after(const struct hanabi_case *c, size_t row, struct hanabi *w)
{
    const int32_t kinds = c->rules.kinds, hand = c->rules.hand, colours = c->rules.colours, ranks = c->rules.ranks;
    w->dealt = (uint8_t)*hanabi_row(c, HANABI_F_DEALT, row);
    w->turn = (uint8_t)*hanabi_row(c, HANABI_F_TURN, row);
    w->tokens = (uint8_t)*hanabi_row(c, HANABI_F_TOKENS, row);
    w->lives = (uint8_t)*hanabi_row(c, HANABI_F_LIVES, row);
    w->last_round = (uint8_t)*hanabi_row(c, HANABI_F_LAST_ROUND, row);
    for (int32_t k = 0; k < colours; k++) w->fireworks[k] = (uint8_t)hanabi_row(c, HANABI_F_FIREWORKS, row)[k];
    for (int32_t k = 0; k < kinds; k++)
        w->left[k] = (uint8_t)(hanabi_copies(&c->rules, k % ranks) - (int32_t)hanabi_row(c, HANABI_F_DISCARDS, row)[k] -
                               (w->fireworks[k / ranks] > k % ranks));
    for (int32_t k = 0; k < c->rules.players * hand; k++) {
        const double card = hanabi_row(c, HANABI_F_HANDS, row)[k];
        uint32_t known = 0;
        for (int32_t i = 0; i < kinds; i++) known |= (hanabi_row(c, HANABI_F_KNOWN, row)[k * kinds + i] != 0 ? 1u : 0u) << i;
        for (int32_t i = 0; i < colours; i++)
            if (hanabi_row(c, HANABI_F_COLOUR_TOLD, row)[k * colours + i] != 0) known |= HANABI_COLOUR_TOLD;
        for (int32_t i = 0; i < ranks; i++)
            if (hanabi_row(c, HANABI_F_RANK_TOLD, row)[k * ranks + i] != 0) known |= HANABI_RANK_TOLD;
        w->card[k / hand][k % hand] = (uint8_t)(card < 0 ? HANABI_NO_CARD : card);
        w->known[k / hand][k % hand] = known;
    }
}

static inline void hanabi_put(const struct rows_case *base, size_t row, int step, void *state)
{
    const struct hanabi_case *c = (const struct hanabi_case *)base;
    struct hanabi *w = state;
    size_t e = 0;
    while (row >= (size_t)base->episode_start.data[e + 1]) e++;
    const double *card = c->deck.data + e * (size_t)c->rules.deck * 2;
    for (int32_t k = 0; k < c->rules.deck; k++) w->deck[k] = (uint8_t)(card[2 * k] * c->rules.ranks + card[2 * k + 1]);
    hanabi_deal(w, &c->rules);
    w->steps = step;
    if (step > 0) hanabi_put_after(c, row - 1, w);
}

/* Masks of every turn, and who is on turn. */
static inline void hanabi_check_masks(struct parity_report *report, const struct hanabi_case *c)
{
    const size_t players = c->base.agents, actions = (size_t)c->rules.actions;
    double *found = calloc(c->legal.count, sizeof *found), *turn = calloc(c->base.rows, sizeof *turn);
    struct hanabi *w = calloc(1, sizeof *w);
    for (size_t e = 0; e < c->base.episodes; e++)
        for (size_t first = (size_t)c->base.episode_start.data[e], row = first; row < (size_t)c->base.episode_start.data[e + 1]; row++) {
            hanabi_put(&c->base, row, (int)(row - first), w);
            for (size_t i = 0; i < players; i++) {
                uint8_t active = 0, mask[256] = {0};
                hanabi_observe_agent(w, &c->rules, (int32_t)i, &(struct rule_io){.group[0] = {.active = &active, .act_mask = mask}});
                if (active) turn[row] = (double)i;
                for (size_t k = 0; k < actions; k++) found[(row * players + i) * actions + k] = mask[k];
            }
        }
    env_compare(report, c->base.of, "legal_before", found, &c->legal, env_exact);
    env_compare(report, c->base.of, "player", turn, &c->player, env_exact);
    free(found);
    free(turn);
    free(w);
}

#ifdef MAPPO_RULES_DOUBLE
static inline int hanabi_case_step(const struct rows_case *c, void *state, const struct rule_io *io)
{
    return hanabi_step(state, c->rules, io);
}

static inline void hanabi_case_observe(const struct rows_case *c, const void *state, int32_t agent, const struct rule_io *io)
{
    hanabi_observe_agent(state, c->rules, agent, io);
}

static inline void hanabi_keep(const struct rows_case *base, size_t row, const void *state)
{
    const struct hanabi_case *c = (const struct hanabi_case *)base;
    const struct hanabi *w = state;
    const int32_t kinds = c->rules.kinds, hand = c->rules.hand, colours = c->rules.colours, ranks = c->rules.ranks;
    double *to[HANABI_FIELDS];
    for (int k = 0; k < HANABI_FIELDS; k++) to[k] = c->found[k] + row * c->width[k];
    *to[HANABI_F_DEALT] = w->dealt;
    *to[HANABI_F_TURN] = w->turn;
    *to[HANABI_F_TOKENS] = w->tokens;
    *to[HANABI_F_LIVES] = w->lives;
    *to[HANABI_F_LAST_ROUND] = w->last_round;
    for (int32_t k = 0; k < colours; k++) to[HANABI_F_FIREWORKS][k] = w->fireworks[k];
    for (int32_t k = 0; k < kinds; k++)
        to[HANABI_F_DISCARDS][k] = hanabi_copies(&c->rules, k % ranks) - w->left[k] - (w->fireworks[k / ranks] > k % ranks);
    for (int32_t k = 0; k < c->rules.players * hand; k++) {
        const int32_t card = w->card[k / hand][k % hand];
        const uint32_t known = w->known[k / hand][k % hand];
        to[HANABI_F_HANDS][k] = card == HANABI_NO_CARD ? -1 : card;
        for (int32_t i = 0; i < kinds; i++) to[HANABI_F_KNOWN][k * kinds + i] = known >> i & 1u;
        for (int32_t i = 0; i < colours; i++) to[HANABI_F_COLOUR_TOLD][k * colours + i] = known & HANABI_COLOUR_TOLD && card / ranks == i;
        for (int32_t i = 0; i < ranks; i++) to[HANABI_F_RANK_TOLD][k * ranks + i] = known & HANABI_RANK_TOLD && card % ranks == i;
    }
}
#endif

static const struct rows_suite hanabi_rows = {
    .environment = "hanabi/game",
    .state_bytes = sizeof(struct hanabi),
    .put = hanabi_put,
    .act = hanabi_act,
    .obs = {1e-6, 0}, /* beliefs are float32 quotients upstream; all else is 0 or 1 */
#ifdef MAPPO_RULES_DOUBLE
    .step = hanabi_case_step,
    .observe = hanabi_case_observe,
    .keep = hanabi_keep,
#endif
};

static inline bool env_hanabi_has(const struct env_case *c)
{
    return strcmp(c->environment, "jaxmarl HanabiEnv") == 0;
}

static inline void env_hanabi_check(struct parity_report *report, const struct env_case *of)
{
    struct hanabi_case c = {.base = {.suite = &hanabi_rows}};
    char text[6][16];
    const struct env_option option[] = {{"num_agents", text[0]}, {"num_colors", text[1]},      {"num_ranks", text[2]},
                                        {"hand_size", text[3]},  {"max_info_tokens", text[4]}, {"max_life_tokens", text[5]}};
    if (hanabi_case_open(&c, of)) {
        const int32_t number[] = {c.rules.players, c.rules.colours, c.rules.ranks, c.rules.hand, c.rules.max_tokens, c.rules.max_lives};
        for (int k = 0; k < 6; k++) snprintf(text[k], sizeof text[k], "%d", number[k]);
        hanabi_check_masks(report, &c);
        rows_check(report, &c.base, option, sizeof option / sizeof option[0]);
#ifdef MAPPO_RULES_DOUBLE
        for (int k = 0; k < HANABI_FIELDS; k++) env_compare(report, of, hanabi_field_name[k], c.found[k], &c.field[k], env_exact);
#endif
    } else {
        env_fail_shapes(report, of);
    }
    hanabi_case_close(&c);
}

static const struct env_suite env_hanabi = {env_hanabi_has, env_hanabi_check};

#endif
