/* Hanabi, by hand: legal moves, what is known, lives, the last round, scores. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "env_play.h"
#include "envs/hanabi/game.h"

struct table {
    struct env_batch b;
    struct env_copy copy;
    struct hanabi_rules rules;
};

/* The cards come from a deck in order: red 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, then yellow and so on. */
static void open_table(struct table *t, int32_t players, int32_t colours, int32_t hand)
{
    char text[3][8];
    memset(t, 0, sizeof *t);
    t->rules = (struct hanabi_rules){.players = players, .colours = colours, .ranks = 5, .hand = hand, .max_tokens = 8, .max_lives = 3};
    hanabi_count(&t->rules);
    snprintf(text[0], sizeof text[0], "%d", players);
    snprintf(text[1], sizeof text[1], "%d", colours);
    snprintf(text[2], sizeof text[2], "%d", hand);
    play_open(&t->b, "hanabi/game", OPTIONS({"num_agents", text[0]}, {"num_colors", text[1]}, {"hand_size", text[2]}), 1);
    struct hanabi *w = play_take(&t->copy, &t->b, 0);
    for (int kind = 0, card = 0; kind < t->rules.kinds; kind++)
        for (int i = 0; i < hanabi_copies(&t->rules, kind % 5); i++) w->deck[card++] = (uint8_t)kind;
    hanabi_deal(w, &t->rules);
    play_put(&t->copy, &t->b, 0);
}

static struct hanabi now(struct table *t)
{
    struct hanabi w;
    memcpy(&w, play_take(&t->copy, &t->b, 0), sizeof w);
    env_copy_free(&t->copy);
    return w;
}

/* The player on turn. */
static void act(struct table *t, int action)
{
    t->b.act_int[0][now(t).turn] = action;
    play_step(&t->b);
}

static void assert_reward(const struct table *t, double expected, int end)
{
    for (int i = 0; i < t->rules.players; i++) assert_named_near("reward", (double)t->b.io.group[0].reward[i], expected, 0);
    assert_int_equal(t->b.io.ep_end[0], end);
}

/* Two players: 0-4 discard, 5-9 play, 10-14 tell colours, 15-19 ranks, 20 nothing. */
enum { DISCARD, PLAY = 5, COLOUR = 10, RANK = 15, NOTHING = 20, ACTIONS, RED = 0, YELLOW = 1 };

static void assert_mask(const struct table *t, int player, const char *expected)
{
    const uint8_t *mask = t->b.io.group[0].act_mask + player * ACTIONS;
    for (int k = 0; *expected; expected++) {
        if (*expected == ' ') continue;
        if (mask[k] != *expected - '0') fail_msg("player %d: action %d, expected %s", player, k, expected);
        k++;
    }
}

/* ---- legal moves -------------------------------------------------------------------------------------------------- */

static void masks_allow_what_is_legal(void **state)
{
    struct table t;
    (void)state;
    open_table(&t, 2, 5, 5);
    assert_mask(&t, 0, "00000 11111 10000 00111 0"); /* player 1 holds red 3, 3, 4, 4, 5; there are all tokens, so nothing is discarded */
    assert_mask(&t, 1, "00000 00000 00000 00000 1");
    assert_int_equal(t.b.io.group[0].active[0], 1);
    assert_int_equal(t.b.io.group[0].active[1], 0);
    act(&t, COLOUR + RED);
    assert_mask(&t, 1, "11111 11111 10000 11000 0"); /* player 0 holds red 1, 1, 1, 2, 2 */
    assert_int_equal(t.b.io.group[0].active[0], 0);
    assert_int_equal(t.b.io.group[0].active[1], 1);
    for (int k = 0; k < 7; k++) act(&t, COLOUR + RED);
    assert_int_equal(now(&t).tokens, 0);
    assert_mask(&t, 0, "11111 11111 00000 00000 0"); /* no token, nothing told */
    batch_close(&t.b);
}

static void what_is_illegal_passes_the_turn(void **state)
{
    static const int illegal[] = {DISCARD, COLOUR + YELLOW, RANK, NOTHING, -1, ACTIONS};
    (void)state;
    for (size_t k = 0; k < sizeof illegal / sizeof *illegal; k++) {
        struct table t;
        open_table(&t, 2, 5, 5);
        const struct hanabi before = now(&t);
        act(&t, illegal[k]);
        const struct hanabi after = now(&t);
        assert_reward(&t, 0, MAPPO_RUNNING);
        assert_int_equal(after.turn, 1);
        assert_int_equal(after.tokens, 8);
        assert_int_equal(after.lives, 3);
        assert_memory_equal(after.card, before.card, sizeof after.card);
        assert_memory_equal(after.known, before.known, sizeof after.known);
        batch_close(&t.b);
    }
}

/* ---- telling -------------------------------------------------------------------------------------------------------- */

static void telling_narrows_what_cards_may_be(void **state)
{
    struct table t;
    (void)state;
    open_table(&t, 2, 5, 5);
    act(&t, RANK + 2); /* player 1 holds red 3, 3, 4, 4, 5 */
    struct hanabi w = now(&t);
    const uint32_t threes = hanabi_rank_kinds(&t.rules, 2), all = hanabi_all_kinds(&t.rules), reds = hanabi_colour_kinds(&t.rules, RED);
    assert_int_equal(w.tokens, 7);
    for (int k = 0; k < 5; k++) assert_int_equal(w.known[1][k], k < 2 ? threes | HANABI_RANK_TOLD : all & ~threes);
    for (int k = 0; k < 5; k++) assert_int_equal(w.known[0][k], all);
    act(&t, RANK); /* player 0 holds 1, 1, 1, 2, 2 */
    act(&t, COLOUR + RED);
    w = now(&t);
    for (int k = 0; k < 5; k++)
        assert_int_equal(w.known[1][k],
                         k < 2 ? (threes & reds) | HANABI_RANK_TOLD | HANABI_COLOUR_TOLD : (reds & ~threes) | HANABI_COLOUR_TOLD);
    assert_int_equal(w.last_to, 31);
    batch_close(&t.b);
}

/* With three players, whom is told counts from the one who tells. */
static void the_next_but_one_is_told_by_higher_actions(void **state)
{
    struct table t;
    (void)state;
    open_table(&t, 3, 5, 5);
    act(&t, 10 + 5 + YELLOW); /* 0-4 discard, 5-9 play, 10-14 colours to the next, 15-19 to the one after, 20-29 ranks */
    for (int k = 0; k < 5; k++) assert_true(now(&t).known[2][k] & HANABI_COLOUR_TOLD); /* player 2 has yellow alone */
    act(&t, 20 + 5);
    for (int k = 0; k < 5; k++) assert_int_equal(!!(now(&t).known[0][k] & HANABI_RANK_TOLD), k < 3); /* player 0's ones */
    batch_close(&t.b);
}

/* Where in a row of observations (two players): 125 the other's hand, 2 who lacks a card, 40 deck, 25 fireworks, 8 tokens, 3 lives, 50
 * discards, 55 the last turn, 350 beliefs. */
enum { LACKS = 125, DECK = 127, FIREWORKS = 167, TOKENS = 192, LIVES = 200, DISCARDS = 203, LAST = 253, BELIEF = 308, WIDTH = 658 };

static void assert_seen(const struct table *t, int player, int at, const char *expected)
{
    const float *obs = t->b.io.group[0].obs + player * WIDTH + at;
    for (; *expected; expected++) {
        if (*expected == ' ') continue;
        if (*obs != (float)(*expected - '0')) fail_msg("player %d sees %g at %d, expected %s", player, (double)*obs, at, expected);
        obs++;
        at++;
    }
}

static void the_last_turn_is_seen_from_each_seat(void **state)
{
    struct table t;
    (void)state;
    open_table(&t, 2, 5, 5);
    for (int k = 0; k < 55; k++) assert_seen(&t, 0, LAST + k, "0");
    act(&t, RANK + 2); /* who, what, to whom, colour, rank, which cards, place, card, it fitted, a token came back */
    assert_seen(&t, 0, LAST, "10 0001 01 00000 00100 11000 00000");
    assert_seen(&t, 1, LAST, "01 0001 10 00000 00100 11000 00000");
    act(&t, PLAY + 3); /* player 1's red 4 does not fit */
    assert_seen(&t, 0, LAST, "01 1000 00 00000 00000 00000 00010 00010 00000 00000 00000 00000 00");
    assert_seen(&t, 1, LAST, "10 1000 00 00000 00000 00000 00010 00010 00000 00000 00000 00000 00");
    assert_seen(&t, 0, LIVES, "110");
    assert_seen(&t, 0, DISCARDS, "000 00 00 10 0");
    act(&t, PLAY); /* red 1 */
    assert_seen(&t, 1, LAST, "01 1000 00 00000 00000 00000 10000 10000 00000 00000 00000 00000 10");
    assert_seen(&t, 1, FIREWORKS, "10000 00000");
    assert_seen(&t, 1, DISCARDS, "000 00 00 10 0");
    act(&t, DISCARD); /* red 3; the token comes back, which is told of plays alone */
    assert_seen(&t, 1, LAST, "10 0100 00 00000 00000 00000 10000 00100 00000 00000 00000 00000 00");
    assert_seen(&t, 1, TOKENS, "11111111");
    batch_close(&t.b);
}

/* ---- cards ------------------------------------------------------------------------------------------------------------ */

static void played_cards_make_room_for_the_newest(void **state)
{
    struct table t;
    (void)state;
    open_table(&t, 2, 5, 5);
    act(&t, RANK + 4);
    act(&t, RANK + 0);
    act(&t, PLAY + 1); /* the middle one of three red ones */
    const struct hanabi w = now(&t);
    assert_reward(&t, 1, MAPPO_RUNNING);
    assert_named_near("score", (double)t.b.io.info[HANABI_SCORE], 1, 0);
    const uint8_t hand[] = {0, 0, 1, 1, 5}; /* red 1, 1, 2, 2, and the deck's first: yellow 1 */
    assert_memory_equal(w.card[0], hand, sizeof hand);
    assert_true(w.known[0][0] & HANABI_RANK_TOLD && w.known[0][1] & HANABI_RANK_TOLD);
    assert_int_equal(w.known[0][2] & HANABI_RANK_TOLD, 0);
    assert_int_equal(w.known[0][4], hanabi_all_kinds(&t.rules));
    assert_int_equal(w.dealt, 11);
    assert_int_equal(w.left[0], 2);
    assert_int_equal(w.tokens, 6);
    batch_close(&t.b);
}

static void beliefs_count_what_lies_open(void **state)
{
    struct table t;
    (void)state;
    open_table(&t, 2, 5, 5);
    const float *belief = t.b.io.group[0].obs + BELIEF;
    for (int k = 0; k < 25; k++) assert_named_near("at first", (double)belief[k], (k % 5 == 0 ? 3 : k % 5 == 4 ? 1 : 2) / 50.0, 1e-7);
    act(&t, PLAY); /* red 1 */
    act(&t, COLOUR + RED);
    act(&t, DISCARD + 1);                          /* player 0 holds red 1, 1, 2, 2 and yellow 1 now */
    belief = t.b.io.group[0].obs + WIDTH + BELIEF; /* player 1's oldest card, of which it was told nothing */
    for (int k = 0; k < 25; k++)
        assert_named_near("two are open", (double)belief[k], (k == 0 ? 1 : k % 5 == 0 ? 3 : k % 5 == 4 ? 1 : 2) / 48.0, 1e-7);
    belief = t.b.io.group[0].obs + BELIEF; /* player 0's oldest card is a red one, of which two are gone */
    for (int k = 0; k < 25; k++) assert_named_near("red", (double)belief[k], k > 4 ? 0 : (k == 0 ? 1 : k == 4 ? 1 : 2) / 8.0, 1e-7);
    assert_named_near("told red", (double)belief[25], 1, 0);
    batch_close(&t.b);
}

static void tokens_come_back_for_discards_and_finished_colours(void **state)
{
    struct table t;
    (void)state;
    open_table(&t, 2, 5, 5);
    /* Player 0 plays red 1, 2 and player 1 red 3, 4, 5, with something told in between to pass. */
    const int moves[] = {PLAY, RANK, PLAY + 2, PLAY, RANK + 4, PLAY + 1, RANK + 4};
    for (size_t k = 0; k < sizeof moves / sizeof *moves; k++) act(&t, moves[k]);
    assert_int_equal(now(&t).fireworks[RED], 4);
    const int before = now(&t).tokens;
    assert_int_equal(now(&t).turn, 1);
    act(&t, PLAY + 2); /* red 5 */
    assert_reward(&t, 1, MAPPO_RUNNING);
    assert_int_equal(now(&t).fireworks[RED], 5);
    assert_int_equal(now(&t).tokens, before + 1);
    act(&t, DISCARD);
    assert_reward(&t, 0, MAPPO_RUNNING);
    assert_int_equal(now(&t).tokens, before + 2);
    batch_close(&t.b);
}

static void the_last_life_costs_the_score(void **state)
{
    struct table t;
    (void)state;
    open_table(&t, 2, 5, 5);
    act(&t, PLAY);     /* red 1 */
    act(&t, PLAY + 4); /* red 5: a life */
    assert_reward(&t, 0, MAPPO_RUNNING);
    act(&t, PLAY + 2); /* red 2 */
    assert_reward(&t, 1, MAPPO_RUNNING);
    act(&t, PLAY + 3); /* red 4 */
    assert_int_equal(now(&t).lives, 1);
    act(&t, PLAY); /* red 1 again: the last life */
    assert_reward(&t, -2, MAPPO_TERMINATED);
    assert_named_near("score", (double)t.b.io.info[HANABI_SCORE], 2, 0);
    assert_named_near("lost", (double)t.b.io.info[HANABI_LOST], 1, 0);
    const float *last = t.b.io.group[0].final_obs;
    for (int k = 0; k < 3; k++) assert_named_near("lives at the end", (double)last[LIVES + k], 0, 0);
    assert_int_equal(now(&t).lives, 3);
    batch_close(&t.b);
}

/* Once the deck is empty everyone has one more turn, and who plays or discards has a card less. */
static void the_last_round_gives_each_player_a_turn(void **state)
{
    struct table t;
    (void)state;
    for (int players = 2; players <= 5; players++) {
        open_table(&t, players, 5, players < 4 ? 5 : 4);
        const int hand = t.rules.hand, tell_next = 2 * hand;
        int turns = 0;
        while (now(&t).dealt < t.rules.deck) { /* a token is paid, and comes back */
            const uint8_t *mask = t.b.io.group[0].act_mask + now(&t).turn * t.rules.actions;
            int action = tell_next;
            if (mask[0])
                action = 0;
            else
                while (!mask[action]) action++;
            act(&t, action);
            assert_int_equal(t.b.io.ep_end[0], MAPPO_RUNNING);
            turns++;
        }
        assert_true(turns < t.rules.max_steps);
        for (int k = 0; k < players; k++) {
            const int player = now(&t).turn;
            assert_int_equal(now(&t).last_round, k + 1);
            act(&t, t.b.io.group[0].act_mask[player * t.rules.actions] ? 0 : hand); /* discards or plays: nothing is drawn */
            if (k == players - 1) break;
            const struct hanabi w = now(&t);
            assert_int_equal(t.b.io.ep_end[0], MAPPO_RUNNING);
            assert_int_equal(w.card[player][hand - 1], HANABI_NO_CARD);
            assert_int_equal(w.known[player][hand - 1], 0);
            const int width = t.b.size[0].obs, lacks = (players - 1) * hand * t.rules.kinds;
            assert_named_near("it lacks a card", (double)t.b.io.group[0].obs[player * width + lacks], 1, 0);
        }
        assert_int_equal(t.b.io.ep_end[0], MAPPO_TERMINATED);
        batch_close(&t.b);
    }
}

static void a_game_is_won_with_the_last_card(void **state)
{
    struct table t;
    (void)state;
    open_table(&t, 2, 1, 2);
    struct hanabi *w = play_take(&t.copy, &t.b, 0);
    const uint8_t deck[] = {0, 2, 1, 3, 4, 0, 0, 1, 2, 3};
    memcpy(w->deck, deck, sizeof deck);
    hanabi_deal(w, &t.rules);
    play_put(&t.copy, &t.b, 0);
    /* 0 holds 1, 3; 1 holds 2, 4. Each plays its oldest: 1, 2, 3, 4; then 0 holds 5, 1. */
    for (int k = 0; k < 4; k++) {
        act(&t, 2);
        assert_reward(&t, 1, MAPPO_RUNNING);
    }
    act(&t, 2);
    assert_reward(&t, 1, MAPPO_TERMINATED);
    assert_named_near("score", (double)t.b.io.info[HANABI_SCORE], 5, 0);
    assert_named_near("lost", (double)t.b.io.info[HANABI_LOST], 0, 0);
    batch_close(&t.b);
}

/* ---- decks, states, players --------------------------------------------------------------------------------------------- */

static void decks_are_shuffled_evenly(void **state)
{
    enum { ENVS = 4000 };
    struct env_batch b;
    int first[25] = {0}, last[25] = {0};
    (void)state;
    play_open(&b, "hanabi/game", NULL, ENVS);
    for (int e = 0; e < ENVS; e++) {
        struct env_copy copy = {0};
        const struct hanabi *w = play_take(&copy, &b, e);
        first[w->deck[0]]++;
        last[w->deck[49]]++;
        env_copy_free(&copy);
    }
    for (int k = 0; k < 25; k++) {
        const double part = (k % 5 == 0 ? 3 : k % 5 == 4 ? 1 : 2) / 50.0;
        assert_named_near("first card", first[k], ENVS * part, 5 * sqrt(ENVS * part));
        assert_named_near("last card", last[k], ENVS * part, 5 * sqrt(ENVS * part));
    }
    batch_close(&b);
}

static void the_state_is_the_sight_of_who_is_on_turn_and_its_hand(void **state)
{
    struct table t;
    (void)state;
    open_table(&t, 3, 5, 5);
    for (int turn = 0; turn < 5; turn++) {
        const struct hanabi w = now(&t);
        const int width = t.b.size[0].obs;
        for (int k = 0; k < 125; k++) assert_named_near("hand", (double)t.b.io.state[k], w.card[w.turn][k / 25] == k % 25, 0);
        assert_memory_equal(t.b.io.state + 125, t.b.io.group[0].obs + w.turn * width, (size_t)width * sizeof(float));
        assert_int_equal(t.b.spec->state_size, 125 + width);
        act(&t, turn % 2 ? DISCARD : PLAY);
    }
    batch_close(&t.b);
}

static void scripted_players_never_lose(void **state)
{
    static const struct {
        const char *players;
        double least;
    } games[] = {{"2", 18.5}, {"3", 17.5}, {"4", 16.2}, {"5", 14.6}};
    (void)state;
    for (size_t k = 0; k < sizeof games / sizeof *games; k++) {
        const struct play_return found = play_returns("hanabi/game", OPTIONS({"num_agents", games[k].players}), true, 200, 100);
        const double mean = found.mean / atoi(games[k].players);
        if (mean < games[k].least) fail_msg("%s players return %g", games[k].players, mean);
    }
}

static void states_that_cannot_be_are_refused(void **state)
{
    struct table t;
    (void)state;
    open_table(&t, 2, 5, 5);
    for (int k = 0; k < 12; k++) {
        struct hanabi *w = play_take(&t.copy, &t.b, 0);
        if (k == 0) w->turn = 2;
        if (k == 1) w->deck[12] = 25;
        if (k == 2) w->deck[12] = 0; /* a fourth red 1 */
        if (k == 3) w->lives = 0;
        if (k == 4) w->tokens = 9;
        if (k == 5) w->card[0][0] = HANABI_NO_CARD;
        if (k == 6) w->known[1][2] = 0;
        if (k == 7) w->dealt = 11;
        if (k == 8) w->last_round = 1;
        if (k == 9) w->left[3]--;
        if (k == 10) w->fireworks[0] = 6;
        if (k == 11) w->last_move = ACTIONS;
        if (env_copy_put(&t.copy, &t.b, 0)) fail_msg("damage %d was taken", k);
        env_copy_free(&t.copy);
    }
    batch_close(&t.b);
}

static void a_deck_that_is_too_small_is_refused(void **state)
{
    (void)state;
    const struct env_option option[] = {{"num_agents", "5"}, {"num_colors", "2"}};
    struct env_batch b;
    const struct vecenv_config config = {.name = "hanabi/game", .option = option, .options = 2, .envs = 1, .threads = 1};
    assert_int_not_equal(batch_open(&b, &config), 0);
    assert_non_null(strstr(b.err.text, "5 players with hands of 4 take all of the 20 cards"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_allow_what_is_legal),
        cmocka_unit_test(what_is_illegal_passes_the_turn),
        cmocka_unit_test(telling_narrows_what_cards_may_be),
        cmocka_unit_test(the_next_but_one_is_told_by_higher_actions),
        cmocka_unit_test(the_last_turn_is_seen_from_each_seat),
        cmocka_unit_test(played_cards_make_room_for_the_newest),
        cmocka_unit_test(beliefs_count_what_lies_open),
        cmocka_unit_test(tokens_come_back_for_discards_and_finished_colours),
        cmocka_unit_test(the_last_life_costs_the_score),
        cmocka_unit_test(the_last_round_gives_each_player_a_turn),
        cmocka_unit_test(a_game_is_won_with_the_last_card),
        cmocka_unit_test(decks_are_shuffled_evenly),
        cmocka_unit_test(the_state_is_the_sight_of_who_is_on_turn_and_its_hand),
        cmocka_unit_test(scripted_players_never_lose),
        cmocka_unit_test(states_that_cannot_be_are_refused),
        cmocka_unit_test(a_deck_that_is_too_small_is_refused),
    };
    return cmocka_run_group_tests_name("env_hanabi", tests, NULL, NULL);
}
