/* lbf/foraging: what recorded steps don't show (tests/parity compares those): starts, limits, masks, options, players. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "env_play.h"
#include "envs/lbf/foraging.h"

/* The rules of an instance as far as its state's shape needs them. */
static struct forage_rules shape_of(int32_t players, int32_t foods, int32_t field)
{
    return (struct forage_rules){.players = players, .foods = foods, .field = field};
}

/* ---- starts -------------------------------------------------------------------------------------------------- */

/* Means over starts. */
struct starts {
    double foods, level, food_level, corner, inner; /* food_level: as part of the highest; corner, inner: foods there */
    double counts[8];                               /* part of the starts with so many foods */
};

static void assert_spawned_soundly(const struct forage *w, const struct forage_rules *rules)
{
    const struct forage_player *player = forage_players(w);
    const struct forage_food *food = forage_foods(w, rules);
    int32_t sum = 0;
    for (int32_t i = 0; i < rules->players; i++) {
        assert_true(player[i].row >= 0 && player[i].row < rules->field && player[i].col >= 0 && player[i].col < rules->field);
        assert_false(forage_is_taken(player, i, player[i].row, player[i].col));
    }
    for (int32_t k = 0; k < rules->foods; k++) {
        sum += food[k].level;
        if (food[k].level == 0) continue;
        assert_true(food[k].row >= 1 && food[k].row <= rules->field - 2 && food[k].col >= 1 && food[k].col <= rules->field - 2);
        assert_false(forage_is_taken(player, rules->players, food[k].row, food[k].col));
        assert_false(forage_is_crowded(food, k, food[k].row, food[k].col));
        if (k > 0) assert_true(food[k].row * 100 + food[k].col > food[k - 1].row * 100 + food[k - 1].col);
    }
    assert_int_equal(w->spawned, sum);
    assert_int_equal(w->left, sum);
    assert_int_equal(w->steps, 0);
}

static struct starts starts_of(const char *name, const struct forage_rules *rules, int32_t envs)
{
    struct starts mean = {0};
    struct env_batch b;
    double foods = 0;
    play_open(&b, name, NULL, envs);
    for (int32_t e = 0; e < envs; e++) {
        struct env_copy copy = {0};
        const struct forage *w = play_take(&copy, &b, e);
        const struct forage_food *food = forage_foods(w, rules);
        const int32_t high = forage_lowest_three(forage_players(w), rules->players), last = rules->field - 2;
        int count = 0;
        assert_spawned_soundly(w, rules);
        for (int32_t i = 0; i < rules->players; i++) mean.level += forage_players(w)[i].level / (double)(rules->players * envs);
        for (int32_t k = 0; k < rules->foods; k++) {
            if (food[k].level == 0) continue;
            const int row_edge = food[k].row == 1 || food[k].row == last, col_edge = food[k].col == 1 || food[k].col == last;
            count++;
            mean.food_level += food[k].level / (double)high;
            mean.corner += (row_edge && col_edge) / (double)envs;
            mean.inner += (!row_edge && !col_edge) / (double)envs;
        }
        mean.counts[count] += 1.0 / envs;
        foods += count;
        env_copy_free(&copy);
    }
    mean.foods = foods / envs;
    mean.food_level /= foods;
    batch_close(&b);
    return mean;
}

/* Expected: upstream's means of 500 to 4,000 resets. Allowed: four standard errors of both together. */
static void starts_are_distributed_as_upstream_s(void **state)
{
    (void)state;
    enum { ENVS = 4000 };
    static const struct {
        const char *name;
        int32_t players, foods, field;
        double level, food_level, corner, inner, error[4];
    } cases[] = {
        {"Foraging-8x8-2p-3f-v3", 2, 3, 8, 1.5, 0.67986, 0.401, 1.18975, {0.0056, 0.0025, 0.009, 0.0113}},
        {"Foraging-8x8-3p-3f-v3", 3, 3, 8, 1.5, 0.62076, 0.413, 1.191, {0.0056, 0.0036, 0.013, 0.0164}},
        {"Foraging-8x8-2p-3f-coop-v3", 2, 3, 8, 1.5, 1, 0.402, 1.208, {0.0056, 0, 0.026, 0.0319}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct forage_rules rules = shape_of(cases[k].players, cases[k].foods, cases[k].field);
        const struct starts found = starts_of(cases[k].name, &rules, ENVS);
        assert_named_near("foods", found.foods, 3, 0);
        assert_named_near("level of players", found.level, cases[k].level, 4 * 1.5 * cases[k].error[0]);
        assert_named_near("level of food", found.food_level, cases[k].food_level, 4 * 1.5 * cases[k].error[1]);
        assert_named_near("foods in corners", found.corner, cases[k].corner, 4 * 1.5 * cases[k].error[2]);
        assert_named_near("foods inside", found.inner, cases[k].inner, 4 * 1.5 * cases[k].error[3]);
    }
}

/* Four foods find no room on 36 cells, or only sometimes; upstream of 1,500 resets: 2, 3, 4 foods in 1.1, 66.7 and 32.2 %. */
static void foods_without_room_are_left_out(void **state)
{
    (void)state;
    enum { ENVS = 3000 };
    const struct env_option *option = OPTIONS({"field_size", "6"}, {"max_num_food", "4"});
    const struct forage_rules rules = shape_of(2, 4, 6);
    struct env_batch b;
    double counts[5] = {0};
    play_open(&b, "lbf/foraging", option, ENVS);
    for (int32_t e = 0; e < ENVS; e++) {
        struct env_copy copy = {0};
        const struct forage *w = play_take(&copy, &b, e);
        int count = 0;
        assert_spawned_soundly(w, &rules);
        for (int k = 0; k < 4; k++) count += forage_foods(w, &rules)[k].level > 0;
        counts[count] += 1.0 / ENVS;
        env_copy_free(&copy);
    }
    batch_close(&b);
    assert_named_near("two foods", counts[2], 0.0107, 0.0140);
    assert_named_near("three foods", counts[3], 0.6673, 0.0600);
    assert_named_near("four foods", counts[4], 0.3220, 0.0600);
}

/* ---- steps --------------------------------------------------------------------------------------------------- */

/* Environment 0 with two players and one food, of levels of ours. */
static void set_up(struct env_batch *b, const int8_t player[2][3], const int8_t food[3], int32_t steps)
{
    const struct forage_rules rules = shape_of(2, 1, 8);
    struct env_copy copy = {0};
    struct forage *w = play_take(&copy, b, 0);
    for (int i = 0; i < 2; i++)
        forage_players(w)[i] = (struct forage_player){.row = player[i][0], .col = player[i][1], .level = (uint8_t)player[i][2]};
    *forage_foods(w, &rules) = (struct forage_food){.row = food[0], .col = food[1], .level = (uint8_t)food[2]};
    w->spawned = w->left = food[2];
    w->steps = steps;
    forage_find_valid(w, &rules);
    play_put(&copy, b, 0);
}

static void two_do(struct env_batch *b, int32_t first, int32_t second)
{
    b->act_int[0][0] = first;
    b->act_int[0][1] = second;
    play_step(b);
}

static const int8_t beside[2][3] = {{3, 2, 1}, {3, 4, 2}}, the_food[3] = {3, 3, 3};

/* Both load food of level 3 with 1 and 2; or the second alone fails; rewards under each option. */
static void rewards_follow_the_options(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        double both[2], alone[2];
    } cases[] = {{"normalize_reward", "1", {1 / 3.0, 2 / 3.0}, {0, 0}},
                 {"normalize_reward", "0", {3, 6}, {0, 0}},
                 {"penalty", "0.25", {1 / 3.0, 2 / 3.0}, {0, -0.25}}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct env_batch b;
        play_open(&b, "lbf/foraging", OPTIONS({"max_num_food", "1"}, {cases[k].name, cases[k].value}), 1);
        set_up(&b, beside, the_food, 0);
        two_do(&b, FORAGE_NONE, FORAGE_LOAD);
        assert_int_equal(b.io.ep_end[0], MAPPO_RUNNING);
        for (int i = 0; i < 2; i++) assert_named_near("alone", (double)b.io.group[0].reward[i], cases[k].alone[i], 0);
        two_do(&b, FORAGE_LOAD, FORAGE_LOAD);
        assert_int_equal(b.io.ep_end[0], MAPPO_TERMINATED);
        for (int i = 0; i < 2; i++) assert_named_near("both", (double)b.io.group[0].reward[i], cases[k].both[i], 1e-7);
        assert_named_near("food", (double)b.io.info[FORAGE_EATEN], 1, 0);
        assert_named_near("cleared", (double)b.io.info[FORAGE_CLEARED], 1, 0);
        batch_close(&b);
    }
}

static void the_limit_truncates_unless_upstream_is_asked_for_and_a_cleared_field_ends(void **state)
{
    (void)state;
    for (int upstream = 0; upstream < 2; upstream++)
        for (int cleared = 0; cleared < 2; cleared++) {
            struct env_batch b;
            play_open(&b, "lbf/foraging", OPTIONS({"max_num_food", "1"}, {"limit", upstream ? "upstream" : "truncate"}), 1);
            set_up(&b, beside, the_food, 49);
            two_do(&b, FORAGE_LOAD, cleared ? FORAGE_LOAD : FORAGE_NONE);
            assert_int_equal(b.io.ep_end[0], cleared || upstream ? MAPPO_TERMINATED : MAPPO_TRUNCATED);
            batch_close(&b);
        }
}

static void masks_offer_what_does_something(void **state)
{
    (void)state;
    static const int8_t corner[2][3] = {{0, 0, 1}, {4, 3, 1}};
    static const uint8_t expected[2][FORAGE_ACTIONS] = {{1, 0, 1, 0, 1, 0}, {1, 0, 1, 1, 1, 1}}; /* food is north of the second */
    for (int masked = 0; masked < 2; masked++) {
        struct env_batch b;
        play_open(&b, "lbf/foraging", OPTIONS({"max_num_food", "1"}, {"mask", masked ? "1" : "0"}), 1);
        set_up(&b, corner, the_food, 0);
        for (int i = 0; i < 2; i++)
            for (int k = 0; k < FORAGE_ACTIONS; k++)
                assert_int_equal(b.io.group[0].act_mask[i * FORAGE_ACTIONS + k], !masked || expected[i][k]);
        two_do(&b, FORAGE_LOAD, FORAGE_NORTH); /* neither does anything */
        assert_named_near("row", (double)b.io.group[0].obs[3], 0, 0);
        assert_named_near("row", (double)b.io.group[0].obs[6], 4, 0);
        assert_named_near("column", (double)b.io.group[0].obs[7], 3, 0);
        batch_close(&b);
    }
}

/* A window of 3 x 3 around a player at the west edge, with the other in sight and food below it. */
static void grids_show_players_food_and_free_cells(void **state)
{
    (void)state;
    static const int8_t at_edge[2][3] = {{2, 0, 2}, {1, 1, 1}}, below[3] = {3, 1, 3};
    static const float expected[27] = {0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 0, 0, 1, 0, 1, 0};
    for (int levels = 0; levels < 2; levels++) {
        struct env_batch b;
        play_open(&b, "lbf/foraging",
                  OPTIONS({"max_num_food", "1"}, {"grid_observation", "1"}, {"sight", "1"}, {"observe_agent_levels", levels ? "1" : "0"}),
                  1);
        assert_int_equal(b.size[0].obs, 27);
        set_up(&b, at_edge, below, 0);
        for (int k = 0; k < 27; k++)
            assert_named_near("cell", (double)b.io.group[0].obs[k], (double)(k < 9 && !levels ? expected[k] > 0 : expected[k]), 0);
        batch_close(&b);
    }
}

static void levels_of_players_can_be_hidden(void **state)
{
    (void)state;
    static const float expected[7] = {3, 3, 3, 3, 2, 3, 4};
    struct env_batch b;
    play_open(&b, "lbf/foraging", OPTIONS({"max_num_food", "1"}, {"observe_agent_levels", "0"}), 1);
    assert_int_equal(b.size[0].obs, 7);
    set_up(&b, beside, the_food, 0);
    for (int k = 0; k < 7; k++) assert_named_near("number", (double)b.io.group[0].obs[k], (double)expected[k], 0);
    batch_close(&b);
}

/* ---- options, snapshots, players ------------------------------------------------------------------------------ */

static void levels_that_do_not_go_together_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(open_with("lbf/foraging", "min_player_level", "3", &err), EXIT_USAGE);
    assert_says(&err, "min_player_level=3 is more than max_player_level=2");
    assert_int_equal(open_with("lbf/foraging", "min_food_level", "3", &err), EXIT_USAGE);
    assert_says(&err, "min_food_level=3 can be more than the three lowest players load together (2): set max_food_level, or a lower one");
    assert_int_equal(open_with("lbf/foraging", "field_size", "4", &err), EXIT_USAGE);
    assert_says(&err, "out of range 5..32");
}

static void damaged_states_are_refused(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        struct env_batch b;
        struct env_copy copy = {0};
        play_open(&b, "lbf/foraging", NULL, 1);
        struct forage *w = play_take(&copy, &b, 0);
        if (k == 0) w->steps = 50;
        if (k == 1) forage_players(w)[1].row = 8;
        if (k == 2) w->left++;
        if (k == 3) forage_players(w)[0].valid = 0;
        assert_false(env_copy_put(&copy, &b, 0));
        env_copy_free(&copy);
        batch_close(&b);
    }
}

/* Random play over all actions, as upstream's: its own means are .1854 ± .0017 (8x8-2p-3f) and .0965 ± .0012 (10x10-3p-3f) over 15,000
 * episodes each. Allowed: three standard errors of both. */
static void random_players_return_what_they_do_upstream(void **state)
{
    (void)state;
    const struct play_return small = play_returns("lbf/8x8-2p-3f", OPTIONS({"mask", "0"}), false, 6000, 50);
    assert_named_near("8x8-2p-3f", small.mean, 0.1854, 3 * hypot(small.error, 0.0017));
    const struct play_return large = play_returns("lbf/10x10-3p-3f", OPTIONS({"mask", "0"}), false, 6000, 50);
    assert_named_near("10x10-3p-3f", large.mean, 0.0965, 3 * hypot(large.error, 0.0012));
}

static void scripted_players_collect_everything(void **state)
{
    (void)state;
    static const char *const names[] = {"lbf/8x8-2p-3f", "lbf/10x10-3p-3f", "lbf/8x8-2p-3f-coop", "lbf/15x15-4p-5f"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) assert_true(play_returns(names[k], NULL, true, 300, 50).mean > 0.98);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_are_distributed_as_upstream_s),
        cmocka_unit_test(foods_without_room_are_left_out),
        cmocka_unit_test(rewards_follow_the_options),
        cmocka_unit_test(the_limit_truncates_unless_upstream_is_asked_for_and_a_cleared_field_ends),
        cmocka_unit_test(masks_offer_what_does_something),
        cmocka_unit_test(grids_show_players_food_and_free_cells),
        cmocka_unit_test(levels_of_players_can_be_hidden),
        cmocka_unit_test(levels_that_do_not_go_together_are_refused),
        cmocka_unit_test(damaged_states_are_refused),
        cmocka_unit_test(random_players_return_what_they_do_upstream),
        cmocka_unit_test(scripted_players_collect_everything),
    };
    return cmocka_run_group_tests_name("env_lbf", tests, NULL, NULL);
}
