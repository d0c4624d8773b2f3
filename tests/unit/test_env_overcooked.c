/* Overcooked, by hand: what the recordings of two kitchens don't show, or show too rarely. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "env/registry.h"
#include "env_play.h"
#include "envs/overcooked/kitchen.h"

/* cramped_room, 5 cells wide:
 *      0 W   1 W   2 pot  3 W   4 W
 *      5 O   6     7      8     9 O
 *     10 W  11    12     13    14 W
 *     15 W  16 B  17 W   18 X  19 W */
enum { POT = 2, LEFT_ONIONS = 5, MIDDLE = 7, PLATES = 16, COUNTER = 17, GOAL = 18, CELLS = 20 };

struct table {
    struct env_batch b;
    struct env_copy copy;
};

/* One kitchen, in training unless options say otherwise. */
static void open_kitchen(struct table *t, const struct env_option *option)
{
    int options = 0;
    while (option && option[options].name) options++;
    const struct vecenv_config config = {.name = "overcooked/kitchen",
                                         .option = option,
                                         .options = options,
                                         .envs = 1,
                                         .seed = 3,
                                         .stream = PHILOX_ENVIRONMENT,
                                         .threads = 1,
                                         .horizon = 1};
    memset(t, 0, sizeof *t);
    if (batch_open(&t->b, &config)) fail_msg("%s", t->b.err.text);
}

/* Cooks 0 and 1: where they stand, look, and what they hold. */
static void put_cooks(struct table *t, struct kitchen_cook cook0, struct kitchen_cook cook1)
{
    struct kitchen *w = play_take(&t->copy, &t->b, 0);
    w->cook[0] = cook0;
    w->cook[1] = cook1;
    play_put(&t->copy, &t->b, 0);
}

static void put_on(struct table *t, int cell, int item)
{
    struct kitchen *w = play_take(&t->copy, &t->b, 0);
    w->on[cell] = (uint8_t)item;
    play_put(&t->copy, &t->b, 0);
}

static struct kitchen now(struct table *t)
{
    struct kitchen w;
    memcpy(&w, play_take(&t->copy, &t->b, 0), sizeof w);
    env_copy_free(&t->copy);
    return w;
}

static void act(struct table *t, int action0, int action1)
{
    t->b.act_int[0][0] = action0;
    t->b.act_int[0][1] = action1;
    play_step(&t->b);
}

static void assert_rewards(const struct table *t, double first, double second)
{
    assert_named_near("reward of cook 0", (double)t->b.io.group[0].reward[0], first, 1e-6);
    assert_named_near("reward of cook 1", (double)t->b.io.group[0].reward[1], second, 1e-6);
}

static double seen(const struct table *t, int cook, int cell, int channel)
{
    return (double)t->b.io.group[0].obs[(cook * CELLS + cell) * KITCHEN_CHANNELS + channel];
}

static const struct kitchen_cook idle = {13, KITCHEN_UP, KITCHEN_NOTHING, 0};

/* ---- moving ---------------------------------------------------------------------------------------------------- */

static void cooks_never_meet_nor_change_places(void **state)
{
    static const struct {
        uint8_t from[2];
        int action[2];
        uint8_t to[2];
    } moves[] = {
        {{6, 8}, {KITCHEN_RIGHT, KITCHEN_LEFT}, {6, 8}},   /* into one cell */
        {{6, 7}, {KITCHEN_RIGHT, KITCHEN_LEFT}, {6, 7}},   /* into each other's */
        {{6, 7}, {KITCHEN_RIGHT, KITCHEN_STAY}, {6, 7}},   /* into one that stays */
        {{6, 7}, {KITCHEN_RIGHT, KITCHEN_UP}, {6, 7}},     /* into one that walks against the pot */
        {{6, 7}, {KITCHEN_RIGHT, KITCHEN_DOWN}, {7, 12}},  /* into the cell that the other leaves */
        {{6, 7}, {KITCHEN_RIGHT, KITCHEN_RIGHT}, {7, 8}},  /* one after the other */
        {{6, 13}, {KITCHEN_LEFT, KITCHEN_DOWN}, {6, 13}},  /* against a pile, against the goal */
        {{11, 8}, {KITCHEN_DOWN, KITCHEN_LEFT}, {11, 7}},  /* who walks against a pile does not hinder the other */
        {{7, 12}, {KITCHEN_DOWN, KITCHEN_DOWN}, {7, 12}},  /* into one that a counter stops */
        {{6, 8}, {KITCHEN_STAY, KITCHEN_INTERACT}, {6, 8}} /* neither moves */
    };
    struct table t;
    (void)state;
    open_kitchen(&t, NULL);
    for (size_t k = 0; k < sizeof moves / sizeof *moves; k++) {
        put_cooks(&t, (struct kitchen_cook){.cell = moves[k].from[0], .direction = KITCHEN_UP},
                  (struct kitchen_cook){.cell = moves[k].from[1], .direction = KITCHEN_LEFT});
        act(&t, moves[k].action[0], moves[k].action[1]);
        const struct kitchen w = now(&t);
        for (int i = 0; i < 2; i++) {
            const int turned = moves[k].action[i] < KITCHEN_STAY ? moves[k].action[i] : i == 0 ? KITCHEN_UP : KITCHEN_LEFT;
            if (w.cook[i].cell != moves[k].to[i] || w.cook[i].direction != turned)
                fail_msg("move %zu: cook %d stands in cell %d and looks %d", k, i, w.cook[i].cell, w.cook[i].direction);
        }
    }
    batch_close(&t.b);
}

/* ---- cooking ------------------------------------------------------------------------------------------------------ */

static void a_soup_of_three_onions_takes_twenty_steps(void **state)
{
    struct table t;
    (void)state;
    open_kitchen(&t, NULL);
    for (int onion = 1; onion <= 3; onion++) {
        put_cooks(&t, (struct kitchen_cook){MIDDLE, KITCHEN_UP, KITCHEN_ONION, 0}, idle);
        act(&t, KITCHEN_INTERACT, KITCHEN_STAY);
        assert_rewards(&t, KITCHEN_PAY_ONION, 0);
        assert_int_equal(now(&t).cook[0].held, KITCHEN_NOTHING);
        assert_named_near("onions in the pot", seen(&t, 0, POT, KITCHEN_SEES_POT_ONIONS), onion < 3 ? onion : 0, 0);
    }
    for (int left = 19; left > 0; left--) {
        assert_named_near("cooking time", seen(&t, 1, POT, KITCHEN_SEES_COOKING), left, 0);
        assert_named_near("done", seen(&t, 1, POT, KITCHEN_SEES_DONE), 0, 0);
        put_cooks(&t, (struct kitchen_cook){MIDDLE, KITCHEN_UP, left % 2 ? KITCHEN_PLATE : KITCHEN_ONION, 0}, idle);
        act(&t, KITCHEN_INTERACT, KITCHEN_STAY); /* neither a plate nor a fourth onion changes anything */
        assert_rewards(&t, 0, 0);
        assert_int_equal(now(&t).cook[0].held, left % 2 ? KITCHEN_PLATE : KITCHEN_ONION);
    }
    for (int k = 0; k < 5; k++) { /* it does not burn */
        assert_named_near("done", seen(&t, 0, POT, KITCHEN_SEES_DONE), 1, 0);
        assert_named_near("cooking time", seen(&t, 0, POT, KITCHEN_SEES_COOKING), 0, 0);
        assert_named_near("onions in the soup", seen(&t, 0, POT, KITCHEN_SEES_SOUP_ONIONS), 3, 0);
        act(&t, KITCHEN_STAY, KITCHEN_STAY);
    }
    put_cooks(&t, (struct kitchen_cook){MIDDLE, KITCHEN_UP, KITCHEN_PLATE, 0}, idle);
    act(&t, KITCHEN_INTERACT, KITCHEN_STAY);
    assert_rewards(&t, KITCHEN_PAY_SOUP, 0);
    assert_int_equal(now(&t).cook[0].held, KITCHEN_DISH);
    assert_int_equal(now(&t).on[POT], KITCHEN_POT_EMPTY);
    batch_close(&t.b);
}

static void a_dish_at_the_goal_pays_both(void **state)
{
    struct table t;
    (void)state;
    open_kitchen(&t, NULL);
    for (int held = KITCHEN_NOTHING; held < KITCHEN_ITEMS; held++) {
        put_cooks(&t, (struct kitchen_cook){6, KITCHEN_UP, KITCHEN_NOTHING, 0}, (struct kitchen_cook){13, KITCHEN_DOWN, (uint8_t)held, 0});
        act(&t, KITCHEN_STAY, KITCHEN_INTERACT);
        const int delivered = held == KITCHEN_DISH;
        assert_rewards(&t, delivered * KITCHEN_PAY_DELIVERY, delivered * KITCHEN_PAY_DELIVERY);
        assert_named_near("deliveries", (double)t.b.io.info[KITCHEN_DELIVERIES], delivered, 0);
        assert_int_equal(now(&t).cook[1].held, delivered ? KITCHEN_NOTHING : held);
        assert_int_equal(now(&t).on[GOAL], 0);
    }
    batch_close(&t.b);
}

static void counters_hold_one_item_and_piles_take_none(void **state)
{
    struct table t;
    (void)state;
    open_kitchen(&t, OPTIONS({"shaped_weight", "0"}));
    const struct kitchen_cook at_counter = {12, KITCHEN_DOWN, KITCHEN_ONION, 0};
    put_cooks(&t, at_counter, idle);
    act(&t, KITCHEN_INTERACT, KITCHEN_STAY);
    assert_int_equal(now(&t).on[COUNTER], KITCHEN_ONION);
    assert_named_near("onion on the counter", seen(&t, 1, COUNTER, KITCHEN_SEES_ONION), 1, 0);
    assert_named_near("the counter is free", seen(&t, 1, COUNTER, KITCHEN_SEES_COUNTER), 0, 0);
    put_cooks(&t, (struct kitchen_cook){12, KITCHEN_DOWN, KITCHEN_PLATE, 0}, idle);
    act(&t, KITCHEN_INTERACT, KITCHEN_STAY); /* it is taken */
    assert_int_equal(now(&t).on[COUNTER], KITCHEN_ONION);
    assert_int_equal(now(&t).cook[0].held, KITCHEN_PLATE);
    put_cooks(&t, (struct kitchen_cook){12, KITCHEN_DOWN, KITCHEN_NOTHING, 0}, idle);
    act(&t, KITCHEN_INTERACT, KITCHEN_STAY);
    assert_int_equal(now(&t).on[COUNTER], KITCHEN_NOTHING);
    assert_int_equal(now(&t).cook[0].held, KITCHEN_ONION);
    put_cooks(&t, (struct kitchen_cook){6, KITCHEN_LEFT, KITCHEN_PLATE, 0}, (struct kitchen_cook){11, KITCHEN_DOWN, KITCHEN_ONION, 0});
    act(&t, KITCHEN_INTERACT, KITCHEN_INTERACT); /* at piles with full hands */
    assert_int_equal(now(&t).cook[0].held, KITCHEN_PLATE);
    assert_int_equal(now(&t).cook[1].held, KITCHEN_ONION);
    put_cooks(&t, (struct kitchen_cook){6, KITCHEN_LEFT, KITCHEN_NOTHING, 0}, (struct kitchen_cook){11, KITCHEN_DOWN, KITCHEN_NOTHING, 0});
    act(&t, KITCHEN_INTERACT, KITCHEN_INTERACT);
    assert_int_equal(now(&t).cook[0].held, KITCHEN_ONION);
    assert_int_equal(now(&t).cook[1].held, KITCHEN_PLATE);
    put_cooks(&t, (struct kitchen_cook){6, KITCHEN_RIGHT, KITCHEN_ONION, 0}, (struct kitchen_cook){7, KITCHEN_LEFT, KITCHEN_NOTHING, 0});
    act(&t, KITCHEN_INTERACT, KITCHEN_INTERACT); /* nothing goes from hand to hand, nor onto the floor */
    assert_int_equal(now(&t).cook[0].held, KITCHEN_ONION);
    assert_int_equal(now(&t).cook[1].held, KITCHEN_NOTHING);
    batch_close(&t.b);
}

/* In coord_ring both get at the counter in the middle (cell 12): cook 0's turn comes first. */
static void cook_1_finds_what_cook_0_has_left(void **state)
{
    struct table t;
    (void)state;
    for (int giver = 0; giver < 2; giver++) {
        open_kitchen(&t, OPTIONS({"layout", "coord_ring"}));
        const struct kitchen_cook upper = {7, KITCHEN_DOWN, giver == 0 ? KITCHEN_PLATE : KITCHEN_NOTHING, 0};
        const struct kitchen_cook lower = {17, KITCHEN_UP, giver == 1 ? KITCHEN_PLATE : KITCHEN_NOTHING, 0};
        put_cooks(&t, upper, lower);
        act(&t, KITCHEN_INTERACT, KITCHEN_INTERACT);
        const struct kitchen w = now(&t);
        assert_int_equal(w.cook[0].held, KITCHEN_NOTHING);
        assert_int_equal(w.cook[1].held, giver == 0 ? KITCHEN_PLATE : KITCHEN_NOTHING);
        assert_int_equal(w.on[12], giver == 0 ? KITCHEN_NOTHING : KITCHEN_PLATE);
        batch_close(&t.b);
    }
}

/* ---- the shaped reward ------------------------------------------------------------------------------------------------ */

static void a_plate_pays_where_a_pot_waits_for_it(void **state)
{
    static const struct {
        int status, on_counter, other_holds;
        double pays;
    } cases[] = {{KITCHEN_POT_EMPTY, KITCHEN_NOTHING, KITCHEN_NOTHING, 0},
                 {KITCHEN_POT_EMPTY - 1, KITCHEN_NOTHING, KITCHEN_NOTHING, 3},
                 {10, KITCHEN_NOTHING, KITCHEN_NOTHING, 3},
                 {0, KITCHEN_NOTHING, KITCHEN_ONION, 3},
                 {0, KITCHEN_NOTHING, KITCHEN_PLATE, 0},
                 {0, KITCHEN_PLATE, KITCHEN_NOTHING, 0},
                 {0, KITCHEN_DISH, KITCHEN_NOTHING, 3},
                 {0, KITCHEN_ONION, KITCHEN_DISH, 3}};
    struct table t;
    (void)state;
    open_kitchen(&t, NULL);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        put_on(&t, POT, cases[k].status);
        put_on(&t, COUNTER, cases[k].on_counter);
        put_cooks(&t, (struct kitchen_cook){11, KITCHEN_DOWN, KITCHEN_NOTHING, 0},
                  (struct kitchen_cook){13, KITCHEN_UP, (uint8_t)cases[k].other_holds, 0});
        act(&t, KITCHEN_INTERACT, KITCHEN_STAY);
        assert_rewards(&t, cases[k].pays, 0);
    }
    /* Taking the only plate from a counter: it lay about, so it pays nothing. Cook 0 puts the first onion in while cook 1 takes a plate:
     * cook 1 comes second, and is paid. */
    put_on(&t, POT, 0);
    put_on(&t, COUNTER, KITCHEN_PLATE);
    put_cooks(&t, (struct kitchen_cook){12, KITCHEN_DOWN, KITCHEN_NOTHING, 0}, idle);
    act(&t, KITCHEN_INTERACT, KITCHEN_STAY);
    assert_rewards(&t, 0, 0);
    put_on(&t, POT, KITCHEN_POT_EMPTY);
    put_cooks(&t, (struct kitchen_cook){MIDDLE, KITCHEN_UP, KITCHEN_ONION, 0}, (struct kitchen_cook){11, KITCHEN_DOWN, KITCHEN_NOTHING, 0});
    act(&t, KITCHEN_INTERACT, KITCHEN_INTERACT);
    assert_rewards(&t, KITCHEN_PAY_ONION, KITCHEN_PAY_PLATE);
    batch_close(&t.b);
}

/* An onion into the pot at each of the steps 0, 1, …: 3 points, times the weight. The pot is emptied between them. */
static double onion_pays(struct table *t)
{
    put_on(t, POT, KITCHEN_POT_EMPTY);
    put_cooks(t, (struct kitchen_cook){MIDDLE, KITCHEN_UP, KITCHEN_ONION, 0}, idle);
    act(t, KITCHEN_INTERACT, KITCHEN_STAY);
    return (double)t->b.io.group[0].reward[0];
}

static void the_weight_falls_with_the_steps_of_a_copy(void **state)
{
    struct table t;
    (void)state;
    open_kitchen(&t, OPTIONS({"shaped_weight", "2"}, {"shaped_until", "8"}, {"max_steps", "3"}));
    for (int step = 0; step < 12; step++) /* over the ends of episodes */
        assert_named_near("shaped reward", onion_pays(&t), 6 * fmax(0, 1 - step / 8.0), 1e-6);
    batch_close(&t.b);
}

static void snapshots_keep_the_weight(void **state)
{
    struct table t;
    (void)state;
    open_kitchen(&t, OPTIONS({"shaped_until", "8"}));
    for (int step = 0; step < 4; step++) onion_pays(&t);
    assert_true(env_copy_take(&t.copy, &t.b, 0));
    struct table later;
    open_kitchen(&later, OPTIONS({"shaped_until", "8"}));
    assert_true(env_copy_put(&t.copy, &later.b, 0));
    assert_named_near("shaped reward", onion_pays(&later), 1.5, 1e-6);
    env_copy_free(&t.copy);
    batch_close(&t.b);
    batch_close(&later.b);
}

static void evaluations_show_what_was_delivered(void **state)
{
    struct table t = {.copy = {0}};
    (void)state;
    play_open(&t.b, "overcooked/kitchen", OPTIONS({"shaped_until", "8"}), 1); /* an evaluation's */
    for (int step = 0; step < 3; step++) assert_named_near("shaped reward", onion_pays(&t), 0, 0);
    assert_named_near("its info", (double)t.b.io.info[KITCHEN_SHAPED], 9, 0);
    batch_close(&t.b);
}

/* ---- layouts, starts, ends --------------------------------------------------------------------------------------------- */

/* Upstream's lists of cells: walls, onions, plates, pots, goals, cooks; each ends with -1. */
static const struct upstream {
    const char *name;
    int width, cells, wall[34], onion[3], plate[3], pot[3], goal[3], cook[2];
} upstream[] = {
    {"cramped_room", 5, 20, {0, 1, 2, 3, 4, 5, 9, 10, 14, 15, 16, 17, 18, 19, -1}, {5, 9, -1}, {16, -1}, {2, -1}, {18, -1}, {6, 8}},
    {"asymm_advantages",
     9,
     45,
     {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 17, 18, 22, 26, 27, 31, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, -1},
     {9, 14, -1},
     {39, 41, -1},
     {22, 31, -1},
     {12, 17, -1},
     {29, 32}},
    {"coord_ring",
     5,
     25,
     {0, 1, 2, 3, 4, 5, 9, 10, 12, 14, 15, 19, 20, 21, 22, 23, 24, -1},
     {15, 21, -1},
     {10, -1},
     {3, 9, -1},
     {22, -1},
     {7, 11}},
    {"forced_coord",
     5,
     25,
     {0, 1, 2, 3, 4, 5, 7, 9, 10, 12, 14, 15, 17, 19, 20, 21, 22, 23, 24, -1},
     {5, 10, -1},
     {15, -1},
     {3, 9, -1},
     {23, -1},
     {11, 8}},
    {"counter_circuit",
     8,
     40,
     {0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 18, 19, 20, 21, 23, 24, 31, 32, 33, 34, 35, 36, 37, 38, 39, -1},
     {35, 36, -1},
     {16, -1},
     {3, 4, -1},
     {23, -1},
     {10, 30}}};

static int is_listed(const int *list, int cell)
{
    for (; *list >= 0; list++)
        if (*list == cell) return 1;
    return 0;
}

static void layouts_are_upstream_s(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof upstream / sizeof *upstream; k++) {
        const struct upstream *u = &upstream[k];
        char name[64];
        struct env_batch b;
        snprintf(name, sizeof name, "overcooked/%s", u->name);
        const struct env_variant *variant = registry_variant(name);
        assert_non_null(variant);
        play_open(&b, variant->base, OPTIONS({"layout", u->name}), 1);
        const struct mappo_space *space = &b.spec->group[0].obs[0];
        assert_int_equal(space->shape[0], u->cells / u->width);
        assert_int_equal(space->shape[1], u->width);
        assert_int_equal(space->shape[2], KITCHEN_CHANNELS);
        for (int c = 0; c < u->cells; c++) {
            const float *cell = b.io.group[0].obs + c * KITCHEN_CHANNELS;
            const int listed[] = {c == u->cook[0],        c == u->cook[1],        is_listed(u->pot, c),
                                  is_listed(u->onion, c), is_listed(u->plate, c), is_listed(u->goal, c)};
            const int channel[] = {KITCHEN_SEES_OWN,        KITCHEN_SEES_OTHER,      KITCHEN_SEES_POT,
                                   KITCHEN_SEES_ONION_PILE, KITCHEN_SEES_PLATE_PILE, KITCHEN_SEES_GOAL};
            int other = 0;
            for (int i = 0; i < 6; i++) {
                other |= i >= 2 && listed[i];
                if (cell[channel[i]] != (float)listed[i]) fail_msg("%s: channel %d of cell %d", u->name, channel[i], c);
            }
            if (cell[KITCHEN_SEES_COUNTER] != (float)(is_listed(u->wall, c) && !other)) fail_msg("%s: counter in cell %d", u->name, c);
        }
        batch_close(&b);
    }
}

static void random_starts_draw_everything(void **state)
{
    enum { ENVS = 2000 };
    struct env_batch b;
    int held[KITCHEN_ITEMS] = {0}, status[KITCHEN_POT_EMPTY + 1] = {0}, cell[CELLS] = {0};
    (void)state;
    play_open(&b, "overcooked/kitchen", OPTIONS({"random_reset", "1"}), ENVS);
    for (int e = 0; e < ENVS; e++) {
        struct env_copy copy = {0};
        const struct kitchen *w = play_take(&copy, &b, e);
        assert_true(w->cook[0].cell != w->cook[1].cell);
        for (int i = 0; i < 2; i++) held[w->cook[i].held]++, cell[w->cook[i].cell]++;
        status[w->on[POT]]++;
        env_copy_free(&copy);
    }
    for (int k = 0; k < KITCHEN_ITEMS; k++) assert_named_near("held", held[k], 2.0 * ENVS / KITCHEN_ITEMS, 5 * sqrt(2.0 * ENVS / 4 * .75));
    for (int k = 0; k <= KITCHEN_POT_EMPTY; k++) assert_named_near("status", status[k], ENVS / 24.0, 5 * sqrt(ENVS / 24.0));
    for (int c = 0; c < CELLS; c++)
        assert_named_near("cell", cell[c], (c > 5 && c < 9) || (c > 10 && c < 14) ? 2.0 * ENVS / 6 : 0, 5 * sqrt(2.0 * ENVS / 6));
    batch_close(&b);
}

static void episodes_end_at_max_steps_and_the_last_forty_are_urgent(void **state)
{
    static const char *const kinds[] = {"truncate", "upstream"};
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct table t;
        open_kitchen(&t, OPTIONS({"max_steps", "50"}, {"limit", kinds[k]}));
        for (int step = 0; step < 50; step++) {
            for (int c = 0; c < CELLS; c++) assert_named_near("urgency", seen(&t, 1, c, KITCHEN_SEES_URGENCY), 50 - step < 40, 0);
            act(&t, KITCHEN_STAY, KITCHEN_STAY);
            assert_int_equal(t.b.io.ep_end[0], step < 49 ? MAPPO_RUNNING : k ? MAPPO_TERMINATED : MAPPO_TRUNCATED);
        }
        assert_named_near("urgency of a new episode", seen(&t, 0, 0, KITCHEN_SEES_URGENCY), 0, 0);
        batch_close(&t.b);
    }
}

static void scripted_cooks_deliver_in_every_kitchen(void **state)
{
    static const double soups[] = {12, 13, 10, 13, 10};
    (void)state;
    for (size_t k = 0; k < sizeof upstream / sizeof *upstream; k++) {
        const struct play_return found = play_returns("overcooked/kitchen", OPTIONS({"layout", upstream[k].name}), true, 16, 400);
        if (found.mean < 2 * KITCHEN_PAY_DELIVERY * (soups[k] - 1)) fail_msg("%s: %g points", upstream[k].name, found.mean);
    }
}

static void states_that_cannot_be_are_refused(void **state)
{
    struct table t;
    (void)state;
    open_kitchen(&t, OPTIONS({"shaped_until", "8"}));
    for (int k = 0; k < 8; k++) {
        struct kitchen *w = play_take(&t.copy, &t.b, 0);
        if (k == 0) w->steps = 400;
        if (k == 1) w->cook[0].cell = POT;
        if (k == 2) w->cook[0].cell = w->cook[1].cell;
        if (k == 3) w->cook[1].direction = KITCHEN_DIRECTIONS;
        if (k == 4) w->cook[1].held = KITCHEN_ITEMS;
        if (k == 5) w->on[POT] = KITCHEN_POT_EMPTY + 1;
        if (k == 6) w->on[PLATES] = KITCHEN_PLATE;
        if (k == 7) w->trained = 9;
        if (env_copy_put(&t.copy, &t.b, 0)) fail_msg("damage %d was taken", k);
        env_copy_free(&t.copy);
    }
    batch_close(&t.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cooks_never_meet_nor_change_places),
        cmocka_unit_test(a_soup_of_three_onions_takes_twenty_steps),
        cmocka_unit_test(a_dish_at_the_goal_pays_both),
        cmocka_unit_test(counters_hold_one_item_and_piles_take_none),
        cmocka_unit_test(cook_1_finds_what_cook_0_has_left),
        cmocka_unit_test(a_plate_pays_where_a_pot_waits_for_it),
        cmocka_unit_test(the_weight_falls_with_the_steps_of_a_copy),
        cmocka_unit_test(snapshots_keep_the_weight),
        cmocka_unit_test(evaluations_show_what_was_delivered),
        cmocka_unit_test(layouts_are_upstream_s),
        cmocka_unit_test(random_starts_draw_everything),
        cmocka_unit_test(episodes_end_at_max_steps_and_the_last_forty_are_urgent),
        cmocka_unit_test(scripted_cooks_deliver_in_every_kitchen),
        cmocka_unit_test(states_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests_name("env_overcooked", tests, NULL, NULL);
}
