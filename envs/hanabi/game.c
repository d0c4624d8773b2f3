/* hanabi/game: what the host needs around the rules of game.h: options, spaces, the scripted players, drawing. */
#include "envs/hanabi/game.h"
#include "env/lane_env.h"
#include "envs/draw.h"

/* ---- options ----------------------------------------------------------------------------------------------------- */

enum { OPTION_AGENTS, OPTION_COLOURS, OPTION_RANKS, OPTION_HAND, OPTION_TOKENS, OPTION_LIVES };
static const struct mappo_option options[] = {
    {"num_agents", MAPPO_OPTION_INT, "2", 2, HANABI_PLAYERS, NULL, "players"},
    {"num_colors", MAPPO_OPTION_INT, "5", 1, HANABI_COLOURS, NULL,
     "colours, each with three cards of the lowest rank, one of the highest and two of others"},
    {"num_ranks", MAPPO_OPTION_INT, "5", 2, HANABI_RANKS, NULL, "ranks"},
    {"hand_size", MAPPO_OPTION_INT, "none", 1, HANABI_HAND, NULL, "cards of a hand; none = 5 for two and three players, 4 for more"},
    {"max_info_tokens", MAPPO_OPTION_INT, "8", 1, 20, NULL, "tokens to tell for, at first and at most"},
    {"max_life_tokens", MAPPO_OPTION_INT, "3", 1, 20, NULL, "cards that do not fit end the game when so many have been played"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static int hanabi_configure(struct hanabi_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    rules->players = (int32_t)value[OPTION_AGENTS].i;
    rules->colours = (int32_t)value[OPTION_COLOURS].i;
    rules->ranks = (int32_t)value[OPTION_RANKS].i;
    rules->hand = value[OPTION_HAND].i == INT64_MIN ? (rules->players < 4 ? 5 : 4) : (int32_t)value[OPTION_HAND].i;
    rules->max_tokens = (int32_t)value[OPTION_TOKENS].i;
    rules->max_lives = (int32_t)value[OPTION_LIVES].i;
    hanabi_count(rules);
    if (rules->deck <= rules->players * rules->hand)
        return lane_refuse(error,
                           "%d players with hands of %d take all of the %d cards: take fewer players, a lower hand_size or more colours",
                           rules->players, rules->hand, rules->deck);
    return 0;
}

/* ---- spaces -------------------------------------------------------------------------------------------------------- */

static const char *const colour_names[HANABI_COLOURS] = {"red", "yellow", "green", "white", "blue", "multicolour"};

static const char *describe_seat(struct description *d, int32_t seat)
{
    return seat ? describe_text(d, "player +%d", seat) : "own";
}

static void describe_kinds(struct description *d, const struct hanabi_rules *rules, float high, const char *what)
{
    for (int32_t k = 0; k < rules->kinds; k++)
        describe_number(d, DESCRIBE_OBS, high < 1 ? "probability" : NULL, 0, 1, "%s %s %d", what, colour_names[k / rules->ranks],
                        k % rules->ranks + 1);
}

static void describe_flags(struct description *d, int32_t count, const char *what)
{
    for (int32_t k = 0; k < count; k++) describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "%s %d", what, k + 1);
}

static void describe_colours_and_ranks(struct description *d, const struct hanabi_rules *rules, const char *what)
{
    for (int32_t c = 0; c < rules->colours; c++) describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "%s %s", what, colour_names[c]);
    describe_flags(d, rules->ranks, what);
}

static void describe_last(struct description *d, const struct hanabi_rules *rules)
{
    static const char *const moves[HANABI_MOVES] = {"played", "discarded", "told a colour", "told a rank"};
    for (int32_t i = 0; i < rules->players; i++)
        describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "last turn: of %s", i ? describe_seat(d, i) : "oneself");
    for (int k = 0; k < HANABI_MOVES; k++) describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "last turn: %s", moves[k]);
    for (int32_t i = 0; i < rules->players; i++)
        describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "last turn: told %s", i ? describe_seat(d, i) : "oneself");
    describe_colours_and_ranks(d, rules, "last turn: told");
    describe_flags(d, rules->hand, "last turn: told of card");
    describe_flags(d, rules->hand, "last turn: gave away card");
    describe_kinds(d, rules, 1, "last turn: gave away");
    describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "last turn: the card fitted");
    describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "last turn: it gave a token back");
}

static void describe_observation(struct description *d, const struct hanabi_rules *rules)
{
    for (int32_t i = 1; i < rules->players; i++)
        for (int32_t k = 0; k < rules->hand; k++)
            describe_kinds(d, rules, 1, describe_text(d, "%s: card %d is", describe_seat(d, i), k + 1));
    for (int32_t i = 0; i < rules->players; i++) describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "%s hand lacks a card", describe_seat(d, i));
    describe_flags(d, rules->deck - rules->players * rules->hand, "cards in the deck, at least");
    describe_kinds(d, rules, 1, "firework up to");
    describe_flags(d, rules->max_tokens, "tokens, at least");
    describe_flags(d, rules->max_lives, "lives, at least");
    for (int32_t k = 0; k < rules->kinds; k++)
        describe_flags(d, hanabi_copies(rules, k % rules->ranks),
                       describe_text(d, "discarded of %s %d, at least", colour_names[k / rules->ranks], k % rules->ranks + 1));
    describe_last(d, rules);
    for (int32_t i = 0; i < rules->players; i++)
        for (int32_t k = 0; k < rules->hand; k++) {
            const char *card = describe_text(d, "%s card %d", describe_seat(d, i), k + 1);
            describe_kinds(d, rules, 0, describe_text(d, "%s, to its holder:", card));
            describe_colours_and_ranks(d, rules, describe_text(d, "%s was told:", card));
        }
}

static const char *describe_action(struct description *d, const struct hanabi_rules *rules, int32_t action)
{
    const struct hanabi_action a = hanabi_decode(rules, action);
    return a.move == HANABI_DISCARD       ? describe_text(d, "discard card %d", a.what + 1)
           : a.move == HANABI_PLAY        ? describe_text(d, "play card %d", a.what + 1)
           : a.move == HANABI_TELL_COLOUR ? describe_text(d, "tell player +%d %s", a.to, colour_names[a.what])
           : a.move == HANABI_TELL_RANK   ? describe_text(d, "tell player +%d %d", a.to, a.what + 1)
                                          : "nothing (not on turn)";
}

static void hanabi_describe(struct description *d, const struct hanabi_rules *rules)
{
    static const struct mappo_info infos[HANABI_INFOS] = {
        {"score", "cards", "cards in the fireworks at the end, whether or not the game was lost", 1},
        {"lost", "episodes", "part of the games in which the last life was lost", 1}};
    const char *names[2 * HANABI_HAND + (HANABI_PLAYERS - 1) * (HANABI_COLOURS + HANABI_RANKS) + 1];
    for (int32_t k = 0; k < rules->actions; k++) names[k] = describe_action(d, rules, k);
    d->spec.infos = HANABI_INFOS;
    d->spec.info = infos;
    d->spec.max_steps = rules->max_steps;
    d->spec.rules = "JaxMARL 0.2";
    d->spec.return_help = describe_text(d, "cards in the fireworks, at most %d; 0 where the last life was lost", rules->kinds);
    describe_group(d, "agent", rules->players, 0, MAPPO_SHARED_REWARD | MAPPO_HAS_ACTIVE | MAPPO_HAS_MASK);
    describe_observation(d, rules);
    describe_choice(d, DESCRIBE_ACT, rules->actions, 0, names);
    if (d->spec.groups) d->spec.state_size = rules->hand * rules->kinds + d->spec.group[0].obs[0].size;
}

/* ---- snapshots ------------------------------------------------------------------------------------------------------- */

/* Hands, deck, fireworks and what is left of each kind tell the same story. */
static int hands_are_sound(const struct hanabi *w, const struct hanabi_rules *rules)
{
    uint8_t left[HANABI_KINDS] = {0};
    for (int32_t i = 0; i < rules->players; i++)
        for (int32_t k = 0; k < rules->hand; k++) {
            const int32_t card = w->card[i][k];
            const int is_there = card != HANABI_NO_CARD;
            if (is_there ? card >= rules->kinds || !(w->known[i][k] >> card & 1u)
                         : w->known[i][k] || w->dealt < rules->deck || k < rules->hand - 1)
                return 0;
            if (is_there && w->known[i][k] & ~hanabi_all_kinds(rules) & ~(HANABI_COLOUR_TOLD | HANABI_RANK_TOLD)) return 0;
            if (is_there) left[card]++;
        }
    for (int32_t k = w->dealt; k < rules->deck; k++) left[w->deck[k]]++;
    return memcmp(left, w->left, sizeof left) == 0;
}

static int hanabi_sound(const struct hanabi *w, const struct hanabi_rules *rules)
{
    uint8_t count[HANABI_KINDS] = {0};
    int sound = w->steps >= 0 && w->steps < rules->max_steps && w->turn < rules->players && w->dealt >= rules->players * rules->hand &&
                w->dealt <= rules->deck && w->tokens <= rules->max_tokens && w->lives >= 1 && w->lives <= rules->max_lives &&
                w->last_round <= rules->players && (w->last_round > 0) == (w->dealt == rules->deck) && w->last_move < rules->actions &&
                w->last_card < rules->kinds && w->last_scored <= 1 && w->last_regained <= 1 && w->last_to >> rules->hand == 0 &&
                hanabi_score(w, rules) < rules->kinds;
    for (int32_t k = 0; k < rules->deck; k++) {
        if (w->deck[k] >= rules->kinds) return 0;
        count[w->deck[k]]++;
    }
    for (int32_t k = 0; k < rules->kinds; k++) {
        const int32_t copies = hanabi_copies(rules, k % rules->ranks), height = w->fireworks[k / rules->ranks];
        sound = sound && count[k] == copies && height <= rules->ranks && w->left[k] + (height > k % rules->ranks) <= copies;
    }
    return sound && hands_are_sound(w, rules);
}

/* ---- scripted players ---------------------------------------------------------------------------------------------------- */

/* Kinds that fit now. */
static uint32_t fitting_kinds(const struct hanabi *w, const struct hanabi_rules *rules)
{
    uint32_t kinds = 0;
    for (int32_t c = 0; c < rules->colours; c++)
        if (w->fireworks[c] < rules->ranks) kinds |= 1u << (c * rules->ranks + w->fireworks[c]);
    return kinds;
}

/* Kinds that never fit again: they are in a firework, or all cards of a lower rank are gone. */
static uint32_t useless_kinds(const struct hanabi *w, const struct hanabi_rules *rules)
{
    uint32_t kinds = 0;
    for (int32_t c = 0; c < rules->colours; c++)
        for (int32_t r = 0, reached = 1; r < rules->ranks; r++) {
            if (r < w->fireworks[c] || !reached) kinds |= 1u << (c * rules->ranks + r);
            reached = reached && (r < w->fireworks[c] || w->left[c * rules->ranks + r]);
        }
    return kinds;
}

/* What a card may be, by what its holder was told and what lies open. */
static uint32_t possible_kinds(const struct hanabi *w, const struct hanabi_rules *rules, uint32_t known)
{
    uint32_t kinds = 0;
    for (int32_t k = 0; k < rules->kinds; k++)
        if (known >> k & 1u && w->left[k]) kinds |= 1u << k;
    return kinds;
}

/* The player's oldest card that is surely one of `kinds`; -1 = none is. */
static int32_t find_sure(const struct hanabi *w, const struct hanabi_rules *rules, int32_t player, uint32_t kinds)
{
    for (int32_t k = 0; k < rules->hand; k++) {
        const uint32_t possible = possible_kinds(w, rules, w->known[player][k]);
        if (possible && !(possible & ~kinds)) return k;
    }
    return -1;
}

/* What telling is worth: most, cards that are then known to fit; then cards that fit and are better known; then any that are better known. */
static int32_t worth(const struct hanabi *w, const struct hanabi_rules *rules, const struct hanabi_action a)
{
    const int32_t to = hanabi_player(rules, w->turn, a.to);
    const uint32_t kinds = hanabi_told_kinds(rules, a), touched = hanabi_touched(w, rules, to, kinds), fitting = fitting_kinds(w, rules);
    int32_t sum = 0;
    for (int32_t k = 0; k < rules->hand; k++) {
        const uint32_t before = possible_kinds(w, rules, w->known[to][k]);
        const uint32_t after = touched >> k & 1u ? before & kinds : before & ~kinds;
        if (w->card[to][k] == HANABI_NO_CARD || after == before) continue;
        const int fits = fitting >> w->card[to][k] & 1u, knew = !(before & ~fitting), knows = !(after & ~fitting);
        sum += knows && !knew ? 100 : fits && touched >> k & 1u ? 10 : 1;
    }
    return sum;
}

static int32_t choose_tell(const struct hanabi *w, const struct hanabi_rules *rules, int32_t least)
{
    int32_t best = -1;
    for (int32_t k = 2 * rules->hand; k < rules->actions - 1; k++) {
        const struct hanabi_action a = hanabi_decode(rules, k);
        const int32_t found = hanabi_is_legal(w, rules, a) ? worth(w, rules, a) : -1;
        if (found < least) continue;
        best = k;
        least = found + 1;
    }
    return best;
}

/* The oldest card of which nothing was told, else the oldest. */
static int32_t choose_discard(const struct hanabi *w, const struct hanabi_rules *rules)
{
    const int32_t useless = find_sure(w, rules, w->turn, useless_kinds(w, rules));
    if (useless >= 0) return useless;
    for (int32_t k = 0; k < rules->hand; k++)
        if (w->card[w->turn][k] != HANABI_NO_CARD && !(w->known[w->turn][k] & (HANABI_COLOUR_TOLD | HANABI_RANK_TOLD))) return k;
    return 0;
}

/* Plays what surely fits; tells what lets others play; discards; tells anything. Looks at nothing that its player does not see. */
static void hanabi_script(const struct hanabi *w, const struct hanabi_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    (void)act_real;
    for (int32_t i = 0; i < rules->players; i++) act_int[0][i] = rules->actions - 1;
    const int32_t sure = find_sure(w, rules, w->turn, fitting_kinds(w, rules)), tell = choose_tell(w, rules, 10);
    act_int[0][w->turn] = sure >= 0                       ? rules->hand + sure
                          : tell >= 0                     ? tell
                          : w->tokens < rules->max_tokens ? choose_discard(w, rules)
                                                          : choose_tell(w, rules, 0);
}

/* ---- drawing ------------------------------------------------------------------------------------------------------------ */

static const uint32_t colours[HANABI_COLOURS] = {0xd94040ffu, 0xe8c11cffu, 0x3fa34dffu, 0xf2f2f2ffu, 0x3f6fd9ffu, 0x9b59b6ffu};

static void draw_card(const struct mappo_canvas *canvas, const struct hanabi_rules *rules, double x, double y, int32_t card, uint32_t known)
{
    char name[16]; /* "R1", for those who see no colours */
    if (card == HANABI_NO_CARD) return;
    canvas->rectangle(canvas->self, x, y, x + 0.8, y + 1.1, colours[card / rules->ranks], 0x000000ffu);
    snprintf(name, sizeof name, "%c%d", "RYGWBV"[card / rules->ranks], card % rules->ranks + 1);
    draw_middle(canvas, x + 0.38, y + 0.62, 0.35, name, 0x000000ffu);
    if (known & HANABI_COLOUR_TOLD) canvas->text(canvas->self, x + 0.08, y + 0.08, 0.2, "c", 0x000000ffu);
    if (known & HANABI_RANK_TOLD) canvas->text(canvas->self, x + 0.57, y + 0.08, 0.2, "r", 0x000000ffu);
}

/* "P1 tells P0: red", "P0 plays yellow 2": what the turn before was. */
static void describe_turn(const struct hanabi *w, const struct hanabi_rules *rules, char *text, size_t size)
{
    static const char *const name[HANABI_COLOURS] = {"red", "yellow", "green", "white", "blue", "violet"};
    const struct hanabi_action a = hanabi_decode(rules, w->steps ? w->last_move : -1);
    const int32_t who = hanabi_player(rules, w->turn, rules->players - 1), to = hanabi_player(rules, who, a.to);
    const char *colour = name[w->last_card / rules->ranks];
    const int rank = w->last_card % rules->ranks + 1;
    if (a.move == HANABI_PLAY)
        snprintf(text, size, "P%d played %s %d%s", who, colour, rank, w->last_scored ? "" : ", which did not fit");
    else if (a.move == HANABI_DISCARD)
        snprintf(text, size, "P%d discarded %s %d", who, colour, rank);
    else if (a.move == HANABI_TELL_COLOUR)
        snprintf(text, size, "P%d told P%d: %s", who, to, name[a.what]);
    else if (a.move == HANABI_TELL_RANK)
        snprintf(text, size, "P%d told P%d: %d", who, to, a.what + 1);
    else
        snprintf(text, size, w->steps ? "P%d passed" : "the cards are dealt", who);
}

static void draw_table(const struct hanabi *w, const struct hanabi_rules *rules, const struct mappo_canvas *canvas, double top)
{
    char text[96];
    const int32_t left = rules->deck - w->dealt;
    snprintf(text, sizeof text, "%d card%s left, %d token%s, %d %s", left, left == 1 ? "" : "s", w->tokens, w->tokens == 1 ? "" : "s",
             w->lives, w->lives == 1 ? "life" : "lives");
    canvas->text(canvas->self, 0, top + 0.55, 0.3, text, 0x000000ffu);
    describe_turn(w, rules, text, sizeof text);
    canvas->text(canvas->self, 0, top + 0.1, 0.3, text, 0x000000ffu);
    canvas->text(canvas->self, 0, top - 0.85, 0.27, "fireworks", 0x555555ffu);
    canvas->text(canvas->self, 0, top - 1.7, 0.27, "discarded", 0x555555ffu);
    canvas->text(canvas->self, 0, 1.4 * rules->players + 0.14, 0.2, "c, r on a card: its colour, rank was told", 0x555555ffu);
    for (int32_t c = 0; c < rules->colours; c++) {
        const double x = 1.5 + c;
        canvas->rectangle(canvas->self, x, top - 1.3, x + 0.8, top - 0.2, 0xe8e8e8ffu, colours[c]);
        if (w->fireworks[c]) draw_card(canvas, rules, x, top - 1.3, c * rules->ranks + w->fireworks[c] - 1, 0);
    }
    for (int32_t k = 0; k < rules->kinds; k++) { /* discards: small, one below the other */
        const int32_t rank = k % rules->ranks, gone = hanabi_copies(rules, rank) - w->left[k] - (w->fireworks[k / rules->ranks] > rank);
        for (int32_t i = 0; i < gone; i++) {
            char digit[16];
            snprintf(digit, sizeof digit, "%d", rank + 1);
            const double x = 1.5 + k / rules->ranks + 0.28 * i, y = top - 1.76 - 0.32 * rank;
            canvas->rectangle(canvas->self, x, y, x + 0.24, y + 0.29, colours[k / rules->ranks], 0x555555ffu);
            draw_middle(canvas, x + 0.12, y + 0.145, 0.24, digit, 0x000000ffu);
        }
    }
}

static void hanabi_draw(const struct hanabi *w, const struct hanabi_rules *rules, const struct mappo_canvas *canvas)
{
    const double hands = 1.4 * rules->players, top = hands + 0.32 * rules->ranks + 1.85;
    const double width = 1.7 + (rules->hand > rules->colours ? rules->hand : rules->colours);
    canvas->view(canvas->self, -0.2, -0.1, width > 6.7 ? width : 6.7, top + 0.9);
    draw_table(w, rules, canvas, top);
    for (int32_t i = 0; i < rules->players; i++) {
        char name[16];
        const double y = hands - 1.4 * (i + 1) + 0.1;
        if (i == w->turn) canvas->rectangle(canvas->self, -0.1, y - 0.1, 1.6 + rules->hand, y + 1.2, 0xfff3c4ffu, 0xccaa33ffu);
        snprintf(name, sizeof name, "P%d", i);
        canvas->text(canvas->self, 0.2, y + 0.4, 0.45, name, 0x000000ffu);
        for (int32_t k = 0; k < rules->hand; k++) draw_card(canvas, rules, 1.5 + k, y, w->card[i][k], w->known[i][k]);
    }
}

static const char *const aliases[] = {"hanabi", NULL};

LANE_ENV(hanabi_game, hanabi, 1, (observe_agent, sound, script, draw), .id = "hanabi/game", .alias = aliases,
         .summary = "players who see all cards but their own tell each other what to play, and build fireworks (Hanabi)",
         .source = "Bard et al. 2020 (Hanabi Learning Environment); FLAIROx/JaxMARL 0.2.0, hanabi", .version = 1, .option = options);
