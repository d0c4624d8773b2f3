/* rware/warehouse: what recorded steps don't show (tests/parity compares those): layouts, starts, requests, ties, options, the player. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "env_play.h"
#include "envs/rware/warehouse.h"

enum { UP = WAREHOUSE_UP, DOWN = WAREHOUSE_DOWN, WEST = WAREHOUSE_WEST, EAST = WAREHOUSE_EAST };

/* The shape of a state on the tiny grid, sensor range 1, by its layout: highways as upstream's picture of it. */
static struct warehouse_rules tiny_rules(int32_t agents, int32_t requests, int32_t message_bits)
{
    static const char *const row[3] = {"..........", ".XX....XX.", "....GG...."}; /* one column is missing: the way to the goals */
    struct warehouse_rules rules = {.agents = agents,
                                    .requests = requests,
                                    .message_bits = message_bits,
                                    .width = 10,
                                    .height = 11,
                                    .range = 1,
                                    .stride = 12,
                                    .cells = 12 * 13};
    for (int32_t y = 0; y < 11; y++)
        for (int32_t x = 0; x < 10; x++)
            if (row[y % 9 == 0 ? 0 : y == 10 ? 2 : 1][x] == 'X') rules.home[warehouse_cell_at(&rules, x, y)] = (int16_t)++rules.shelves;
    return rules;
}

/* ---- layouts and starts ---------------------------------------------------------------------------------------- */

/* Shelves and grid of upstream's constructor. */
static void layouts_are_upstream_s(void **state)
{
    (void)state;
    static const struct {
        const char *columns, *height, *rows;
        int32_t grid_height, grid_width, shelves;
    } cases[] = {{"3", "8", "1", 11, 10, 32},    {"3", "8", "2", 20, 10, 80}, {"5", "8", "2", 20, 16, 144}, {"5", "8", "3", 29, 16, 224},
                 {"9", "15", "4", 66, 28, 1050}, {"3", "3", "1", 6, 10, 12},  {"7", "2", "2", 8, 22, 52}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct env_option *option =
            OPTIONS({"shelf_columns", cases[k].columns}, {"column_height", cases[k].height}, {"shelf_rows", cases[k].rows});
        struct env_batch b;
        struct env_copy copy = {0};
        play_open(&b, "rware/warehouse", option, 1);
        const int32_t cells = (cases[k].grid_width + 2) * (cases[k].grid_height + 2);
        const struct warehouse_rules rules = {.agents = 2, .requests = 2, .shelves = cases[k].shelves, .cells = cells};
        const struct warehouse *w = play_take(&copy, &b, 0);
        int32_t shelves = 0, last = 0;
        assert_true(copy.bytes == warehouse_bytes(&rules));
        for (int32_t i = 0; i < cells; i++) {
            const int16_t shelf = warehouse_cells(w, &rules)[i].shelf;
            if (!shelf) continue;
            assert_int_equal(shelf, ++last); /* row by row */
            shelves++;
        }
        assert_int_equal(shelves, cases[k].shelves);
        assert_named_near("highest x", (double)b.spec->group[0].obs[0].high[0], cases[k].grid_width - 1, 0);
        assert_named_near("highest y", (double)b.spec->group[0].obs[0].high[1], cases[k].grid_height - 1, 0);
        env_copy_free(&copy);
        batch_close(&b);
    }
}

/* Four standard errors around even draws: any cell for an agent, any direction, any shelf for a request, none twice. */
static void starts_are_drawn_evenly(void **state)
{
    (void)state;
    enum { ENVS = 2000, AGENTS = 4 };
    const struct warehouse_rules rules = tiny_rules(AGENTS, AGENTS, 0);
    struct env_batch b;
    double highway = 0, direction[4] = {0}, requested[33] = {0};
    play_open(&b, "rware/tiny-4ag", NULL, ENVS);
    for (int32_t e = 0; e < ENVS; e++) {
        struct env_copy copy = {0};
        const struct warehouse *w = play_take(&copy, &b, e);
        int requests = 0;
        for (int i = 0; i < AGENTS; i++) {
            const struct warehouse_agent agent = warehouse_agents(w)[i];
            highway += !rules.home[agent.cell];
            direction[agent.direction]++;
            assert_int_equal(warehouse_cells(w, &rules)[agent.cell].agent, i + 1);
        }
        for (int k = 1; k <= 32; k++) {
            requests += warehouse_requested(w, &rules)[k];
            requested[k] += warehouse_requested(w, &rules)[k];
        }
        assert_int_equal(requests, AGENTS);
        env_copy_free(&copy);
    }
    batch_close(&b);
    const double n = (double)ENVS * AGENTS;
    assert_named_near("on a highway", highway / n, 78.0 / 110, 4 * sqrt(0.21 / n));
    for (int k = 0; k < 4; k++) assert_named_near("direction", direction[k] / n, 0.25, 4 * sqrt(0.1875 / n));
    for (int k = 1; k <= 32; k++) assert_named_near("requested", requested[k] / n, 1.0 / 32, 5 * sqrt(0.03 / n));
}

/* ---- who moves ------------------------------------------------------------------------------------------------- */

/* Agents of a tiny warehouse: x, y, direction; all shelves are at home, and the last agents are out of the way. */
struct placed {
    int x, y, direction, forward;
    int to_x, to_y;
};

static void put_agents(struct env_batch *b, const struct warehouse_rules *rules, const struct placed *placed)
{
    struct env_copy copy = {0};
    struct warehouse *w = play_take(&copy, b, 0);
    for (int32_t k = 0; k < rules->cells; k++) warehouse_cells(w, rules)[k].agent = 0;
    for (int i = 0; i < rules->agents; i++) {
        struct warehouse_agent *agent = &warehouse_agents(w)[i];
        agent->x = (int16_t)placed[i].x;
        agent->y = (int16_t)placed[i].y;
        agent->cell = (int16_t)warehouse_cell_at(rules, placed[i].x, placed[i].y);
        agent->direction = (uint8_t)placed[i].direction;
        warehouse_cells(w, rules)[agent->cell].agent = (uint8_t)(i + 1);
        b->act_int[0][i] = placed[i].forward ? WAREHOUSE_FORWARD : WAREHOUSE_NOOP;
    }
    play_put(&copy, b, 0);
}

/* Five agents each time; where two queues of one length meet, the one whose head has the lower number moves (upstream leaves that open). */
static void queues_rings_and_ties(void **state)
{
    (void)state;
    static const struct placed cases[][5] = {
        /* the longer queue wins, whatever its numbers */
        {{4, 0, EAST, 1, 4, 0}, {6, 0, WEST, 1, 5, 0}, {7, 0, WEST, 1, 6, 0}, {0, 10, UP, 0, 0, 10}, {9, 10, UP, 0, 9, 10}},
        /* two of the same length: the lower number */
        {{6, 0, WEST, 1, 5, 0}, {4, 0, EAST, 1, 4, 0}, {3, 0, EAST, 1, 3, 0}, {7, 0, WEST, 1, 6, 0}, {9, 10, UP, 0, 9, 10}},
        /* head to head, and one behind */
        {{4, 0, EAST, 1, 4, 0}, {5, 0, WEST, 1, 5, 0}, {6, 0, WEST, 1, 6, 0}, {0, 10, UP, 0, 0, 10}, {9, 10, UP, 0, 9, 10}},
        /* a ring of four moves, the fifth waits behind it */
        {{4, 0, EAST, 1, 5, 0}, {5, 0, DOWN, 1, 5, 1}, {5, 1, WEST, 1, 4, 1}, {4, 1, UP, 1, 4, 0}, {3, 0, EAST, 1, 3, 0}},
        /* behind one that stays; against the wall; three in a row that move */
        {{4, 0, EAST, 1, 4, 0}, {5, 0, EAST, 0, 5, 0}, {0, 0, UP, 1, 0, 0}, {0, 5, DOWN, 1, 0, 6}, {0, 4, DOWN, 1, 0, 5}},
    };
    const struct warehouse_rules rules = tiny_rules(5, 5, 0);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct env_batch b;
        play_open(&b, "rware/warehouse", OPTIONS({"n_agents", "5"}), 1);
        put_agents(&b, &rules, cases[k]);
        play_step(&b);
        for (int i = 0; i < 5; i++) {
            const float *obs = b.io.group[0].obs + (size_t)i * (size_t)b.size[0].obs;
            if ((int)obs[0] != cases[k][i].to_x || (int)obs[1] != cases[k][i].to_y)
                fail_msg("case %zu: agent %d is at (%g, %g), expected (%d, %d)", k, i, (double)obs[0], (double)obs[1], cases[k][i].to_x,
                         cases[k][i].to_y);
        }
        batch_close(&b);
    }
}

/* ---- deliveries ------------------------------------------------------------------------------------------------ */

/* Two agents; the first carries shelf 1 one step above a goal, and it is requested. Then it delivers and, back at shelf 1's home, which is
 * given to it, puts it down. */
static void deliveries_pay_whom_reward_type_says(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        double delivery[2], back[2];
    } cases[] = {{"individual", {1, 0}, {0, 0}}, {"global", {1, 1}, {0, 0}}, {"two_stage", {0.5, 0}, {0.5, 0}}};
    static const struct placed start[2] = {{4, 9, DOWN, 1, 4, 10}, {0, 0, UP, 0, 0, 0}},
                               home[2] = {{1, 1, DOWN, 0, 1, 1}, {0, 0, UP, 0, 0, 0}};
    const struct warehouse_rules rules = tiny_rules(2, 2, 0);
    for (size_t k = 0; k < 3; k++) {
        struct env_batch b;
        struct env_copy copy = {0};
        play_open(&b, "rware/warehouse", OPTIONS({"reward_type", cases[k].type}), 1);
        put_agents(&b, &rules, start);
        struct warehouse *w = play_take(&copy, &b, 0);
        warehouse_cells(w, &rules)[warehouse_cell_at(&rules, 1, 1)].shelf = 0;
        warehouse_cells(w, &rules)[warehouse_cell_at(&rules, 4, 9)].shelf = 1;
        warehouse_agents(w)[0].shelf = 1;
        memset(warehouse_requested(w, &rules), 0, 33);
        warehouse_requested(w, &rules)[1] = warehouse_requested(w, &rules)[9] = 1;
        play_put(&copy, &b, 0);
        play_step(&b);
        for (int i = 0; i < 2; i++) assert_named_near("delivery", (double)b.io.group[0].reward[i], cases[k].delivery[i], 0);
        assert_named_near("deliveries", (double)b.io.info[0], 1, 0);

        b.act_int[0][0] = WAREHOUSE_TOGGLE; /* on a highway: it keeps the shelf */
        play_step(&b);
        w = play_take(&copy, &b, 0);
        assert_int_equal(warehouse_agents(w)[0].shelf, 1);
        assert_int_equal(warehouse_requested(w, &rules)[1], 0); /* another one is asked for */
        assert_int_equal(warehouse_requested(w, &rules)[9], 1);
        warehouse_cells(w, &rules)[warehouse_cell_at(&rules, 4, 10)].shelf = 0;
        warehouse_cells(w, &rules)[warehouse_cell_at(&rules, 1, 1)].shelf = 1;
        warehouse_cells(w, &rules)[warehouse_cell_at(&rules, 4, 10)].agent = 0;
        warehouse_agents(w)[0].x = warehouse_agents(w)[0].y = 1;
        warehouse_agents(w)[0].cell = (int16_t)warehouse_cell_at(&rules, home[0].x, home[0].y);
        warehouse_cells(w, &rules)[warehouse_agents(w)[0].cell].agent = 1;
        play_put(&copy, &b, 0);
        b.act_int[0][0] = WAREHOUSE_TOGGLE;
        play_step(&b);
        for (int i = 0; i < 2; i++) assert_named_near("back", (double)b.io.group[0].reward[i], cases[k].back[i], 0);
        assert_named_near("carries", (double)b.io.group[0].obs[2], 0, 0);
        batch_close(&b);
    }
}

/* Over whole episodes of the scripted player: as many requests as ever, every shelf somewhere, rewards and deliveries agree, and requests are
 * spread over the shelves. */
static void shelves_and_requests_are_never_lost(void **state)
{
    (void)state;
    enum { ENVS = 20 };
    const struct warehouse_rules rules = tiny_rules(4, 8, 0);
    struct env_batch b;
    struct env_copy copy = {0};
    double paid[ENVS] = {0};
    play_open(&b, "rware/tiny-4ag-easy", NULL, ENVS);
    for (int t = 0; t < 499; t++) {
        play_script(&b);
        play_step(&b);
        for (int32_t e = 0; e < ENVS; e++) {
            for (int i = 0; i < 4; i++) paid[e] += (double)b.io.group[0].reward[4 * e + i];
            assert_named_near("deliveries", (double)b.io.info[e], paid[e], 0);
        }
    }
    for (int32_t e = 0; e < ENVS; e++) {
        const struct warehouse *w = play_take(&copy, &b, e);
        int shelves = 0, requests = 0;
        for (int32_t k = 0; k < rules.cells; k++) shelves += warehouse_cells(w, &rules)[k].shelf != 0;
        for (int k = 1; k <= 32; k++) requests += warehouse_requested(w, &rules)[k];
        assert_int_equal(shelves, 32);
        assert_int_equal(requests, 8);
        assert_true(env_copy_put(&copy, &b, e)); /* it is sound */
        assert_true(paid[e] > 30);
    }
    env_copy_free(&copy);
    batch_close(&b);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

static void limits_truncate_unless_upstream_is_asked_for(void **state)
{
    (void)state;
    for (int upstream = 0; upstream < 2; upstream++)
        for (int idle = 0; idle < 2; idle++) {
            const struct env_option *option =
                OPTIONS({"limit", upstream ? "upstream" : "truncate"}, {idle ? "max_inactivity_steps" : "max_steps", "7"});
            struct env_batch b;
            play_open(&b, "rware/warehouse", option, 1);
            for (int t = 1; t <= 14; t++) {
                play_step(&b);
                assert_int_equal(b.io.ep_end[0], t % 7 ? MAPPO_RUNNING : upstream ? MAPPO_TERMINATED : MAPPO_TRUNCATED);
            }
            batch_close(&b);
        }
}

/* Bits are seen by who sees the agent, itself included, from the step after; 0 at the start. */
static void messages_are_seen_by_neighbours(void **state)
{
    (void)state;
    static const struct placed beside[2] = {{4, 0, UP, 0, 4, 0}, {5, 0, UP, 0, 5, 0}};
    const struct warehouse_rules rules = tiny_rules(2, 2, 3);
    const int own = WAREHOUSE_OWN + 4 * 10 + 5, east = own + 10, west = own - 10; /* bits of a cell, after agent and direction */
    struct env_batch b;
    play_open(&b, "rware/warehouse", OPTIONS({"msg_bits", "3"}), 1);
    assert_int_equal(b.size[0].obs, WAREHOUSE_OWN + 9 * 10);
    assert_int_equal(b.size[0].act_ints, 4);
    put_agents(&b, &rules, beside);
    const int32_t actions[8] = {WAREHOUSE_NOOP, 1, 0, 1, WAREHOUSE_NOOP, 0, 1, 1};
    memcpy(b.act_int[0], actions, sizeof actions);
    play_step(&b);
    const float *first = b.io.group[0].obs, *second = first + b.size[0].obs;
    for (int bit = 0; bit < 3; bit++) {
        assert_named_near("own bit", (double)first[own + bit], actions[1 + bit], 0);
        assert_named_near("bit to the east", (double)first[east + bit], actions[5 + bit], 0);
        assert_named_near("bit to the west", (double)second[west + bit], actions[1 + bit], 0);
    }
    batch_close(&b);
}

static void coordinates_can_be_parts_of_the_grid(void **state)
{
    (void)state;
    static const struct placed corners[2] = {{9, 10, UP, 0, 9, 10}, {3, 5, UP, 0, 3, 5}};
    const struct warehouse_rules rules = tiny_rules(2, 2, 0);
    struct env_batch b;
    play_open(&b, "rware/warehouse", OPTIONS({"normalised_coordinates", "1"}), 1);
    put_agents(&b, &rules, corners);
    const float *obs = b.io.group[0].obs;
    assert_named_near("x", (double)obs[0], 1, 0);
    assert_named_near("y", (double)obs[1], 1, 0);
    assert_named_near("x", (double)obs[71], 3 / 9.0, 1e-7);
    assert_named_near("y", (double)obs[72], 0.5, 0);
    batch_close(&b);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(open_with("rware/warehouse", "shelf_columns", "4", &err), EXIT_USAGE);
    assert_says(&err, "option shelf_columns=4 is even; the goals need a column in the middle: take an odd number");
    assert_int_equal(open_with("rware/warehouse", "request_queue_size", "32", &err), EXIT_USAGE);
    assert_says(&err, "option request_queue_size=32 leaves none of the 32 shelves to be requested next: take a lower one");
}

static void damaged_states_are_refused(void **state)
{
    (void)state;
    const struct warehouse_rules rules = tiny_rules(2, 2, 0);
    for (int k = 0; k < 6; k++) {
        struct env_batch b;
        struct env_copy copy = {0};
        play_open(&b, "rware/warehouse", NULL, 1);
        struct warehouse *w = play_take(&copy, &b, 0);
        if (k == 0) w->steps = 500;
        if (k == 1) warehouse_agents(w)[1].cell++;
        if (k == 2) warehouse_agents(w)[0].x = 10;
        if (k == 3) warehouse_cells(w, &rules)[warehouse_cell_at(&rules, 1, 1)].shelf = 2;
        if (k == 4) warehouse_requested(w, &rules)[0] = 1;
        if (k == 5) warehouse_agents(w)[0].direction = 4;
        assert_false(env_copy_put(&copy, &b, 0));
        env_copy_free(&copy);
        batch_close(&b);
    }
}

/* Deliveries an episode; it must not get stuck in any. */
static void scripted_players_deliver(void **state)
{
    (void)state;
    assert_true(play_returns("rware/tiny-2ag", NULL, true, 60, 500).mean > 28);
    assert_true(play_returns("rware/small-4ag", NULL, true, 60, 500).mean > 36);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_are_upstream_s),
        cmocka_unit_test(starts_are_drawn_evenly),
        cmocka_unit_test(queues_rings_and_ties),
        cmocka_unit_test(deliveries_pay_whom_reward_type_says),
        cmocka_unit_test(shelves_and_requests_are_never_lost),
        cmocka_unit_test(limits_truncate_unless_upstream_is_asked_for),
        cmocka_unit_test(messages_are_seen_by_neighbours),
        cmocka_unit_test(coordinates_can_be_parts_of_the_grid),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(damaged_states_are_refused),
        cmocka_unit_test(scripted_players_deliver),
    };
    return cmocka_run_group_tests_name("env_rware", tests, NULL, NULL);
}
