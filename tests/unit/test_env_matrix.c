/* The matrix games and the switch riddle, which nobody recorded: by hand. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "base/philox.h"
#include "env_play.h"

/* ---- matrix games ------------------------------------------------------------------------------------------ */

/* All nine joint actions, one an environment. */
static void assert_payoffs(const char *name, const struct env_option *option, const float table[9])
{
    struct env_batch b;
    play_open(&b, name, option, 9);
    for (int k = 0; k < 9; k++) {
        b.act_int[0][2 * k] = k / 3;
        b.act_int[0][2 * k + 1] = k % 3;
    }
    play_step(&b);
    for (int k = 0; k < 9; k++) {
        assert_named_near(name, (double)b.io.group[0].reward[2 * k], (double)table[k], 0);
        assert_named_near(name, (double)b.io.group[0].reward[2 * k + 1], (double)table[k], 0);
    }
    batch_close(&b);
}

static void payoffs_are_those_of_the_tables(void **state)
{
    (void)state;
    assert_payoffs("matrix/climbing", NULL, (const float[]){11, -30, 0, -30, 7, 0, 0, 6, 5});
    assert_payoffs("matrix/penalty", NULL, (const float[]){-100, 0, 10, 0, 2, 0, 10, 0, -100});
    assert_payoffs("penalty-25-nostate-v0", NULL, (const float[]){-25, 0, 10, 0, 2, 0, 10, 0, -25});
    assert_payoffs("matrix/penalty", OPTIONS({"k", "3.5"}), (const float[]){-3.5f, 0, 10, 0, 2, 0, 10, 0, -3.5f});
}

static void the_scripted_player_gets_the_optimum(void **state)
{
    (void)state;
    const char *const names[] = {"matrix/climbing", "matrix/penalty", "matrix/penalty-0"};
    const double optimum[] = {275, 250, 250};
    for (int k = 0; k < 3; k++) assert_named_near(names[k], play_returns(names[k], NULL, true, 2, 25).mean, 2 * optimum[k], 0);
}

/* 25 steps of the mean entry, -31 / 9 and (4 + 20 - 2k) / 9 with k = 100. */
static void random_play_returns_the_mean_of_the_table(void **state)
{
    (void)state;
    const char *const names[] = {"matrix/climbing", "matrix/penalty"};
    const double mean[] = {-31.0 / 9, -178.0 / 9};
    for (int k = 0; k < 2; k++) {
        const struct play_return found = play_returns(names[k], NULL, false, 2000, 25);
        assert_named_near(names[k], found.mean, 2 * 25 * mean[k], 4 * found.error);
    }
}

static void episodes_have_ep_length_steps_and_a_limit_of_either_kind(void **state)
{
    (void)state;
    const char *const kinds[] = {"truncate", "upstream"};
    for (int k = 0; k < 2; k++) {
        struct env_batch b;
        play_open(&b, "matrix/climbing", OPTIONS({"limit", kinds[k]}, {"ep_length", "3"}), 1);
        for (int t = 0; t < 9; t++) {
            play_step(&b);
            const int end = t % 3 < 2 ? MAPPO_RUNNING : k == 0 ? MAPPO_TRUNCATED : MAPPO_TERMINATED;
            assert_int_equal(b.io.ep_end[0], end);
        }
        batch_close(&b);
    }
}

static void last_actions_are_seen_only_when_asked(void **state)
{
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        struct env_batch b;
        play_open(&b, "matrix/climbing", OPTIONS({"last_action_state", asked ? "1" : "0"}, {"ep_length", "2"}), 1);
        for (int i = 0; i < 4; i++) assert_named_near("before the first step", (double)b.io.group[0].obs[i], asked ? -1 : 0, 0);
        b.act_int[0][0] = 2;
        b.act_int[0][1] = 1;
        play_step(&b);
        for (int i = 0; i < 4; i++) assert_named_near("after a step", (double)b.io.group[0].obs[i], !asked ? 0 : i % 2 ? 1 : 2, 0);
        play_step(&b);
        for (int i = 0; i < 4; i++) assert_named_near("a new episode", (double)b.io.group[0].obs[i], asked ? -1 : 0, 0);
        batch_close(&b);
    }
}

/* ---- the switch riddle ------------------------------------------------------------------------------------- */

enum { NOTHING, SWITCH, TELL };
struct riddle { /* of envs/riddle/switch.c */
    struct philox rng;
    int32_t steps, room, bulb;
    uint32_t been;
};

static void riddle_set(struct env_batch *b, int32_t room, int32_t bulb, uint32_t been)
{
    struct env_copy copy = {0};
    struct riddle *w = play_take(&copy, b, 0);
    assert_true(copy.bytes == sizeof *w);
    w->room = room;
    w->bulb = bulb;
    w->been = been;
    play_put(&copy, b, 0);
}

static void all_do(struct env_batch *b, int32_t action)
{
    for (int i = 0; i < b->size[0].agents; i++) b->act_int[0][i] = action;
}

/* Who tells has been there; the others must have been before. */
static void telling_is_right_once_all_have_been_in_the_room(void **state)
{
    (void)state;
    static const struct {
        int32_t room;
        uint32_t been;
        double reward;
    } cases[] = {{2, 3, 5}, {2, 7, 5}, {0, 3, -2}, {1, 0, -2}, {0, 6, 5}, {1, 4, -2}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct env_batch b;
        play_open(&b, "riddle/switch", OPTIONS({"reward_all_live", "5"}, {"reward_all_die", "-2"}), 1);
        riddle_set(&b, cases[k].room, 0, cases[k].been);
        all_do(&b, NOTHING);
        b.act_int[0][cases[k].room] = TELL;
        play_step(&b);
        assert_int_equal(b.io.ep_end[0], MAPPO_TERMINATED);
        for (int i = 0; i < 3; i++) assert_named_near("reward", (double)b.io.group[0].reward[i], cases[k].reward, 0);
        assert_named_near("freed", (double)b.io.info[0], cases[k].reward > 0, 0);
        assert_named_near("died", (double)b.io.info[1], cases[k].reward < 0, 0);
        batch_close(&b);
    }
}

static void only_who_is_in_the_room_acts_and_sees_the_bulb(void **state)
{
    (void)state;
    struct env_batch b;
    play_open(&b, "riddle/switch", NULL, 1);
    for (int room = 0; room < 3; room++)
        for (int bulb = 0; bulb < 2; bulb++) {
            struct env_copy copy = {0};
            riddle_set(&b, room, bulb, 0);
            for (int i = 0; i < 3; i++) {
                assert_int_equal(b.io.group[0].active[i], i == room);
                assert_named_near("in the room", (double)b.io.group[0].obs[2 * i], i == room, 0);
                assert_named_near("bulb", (double)b.io.group[0].obs[2 * i + 1], i == room && bulb, 0);
            }
            all_do(&b, TELL);
            b.act_int[0][room] = bulb ? NOTHING : SWITCH; /* either way it is on afterwards */
            play_step(&b);
            assert_int_equal(b.io.ep_end[0], MAPPO_RUNNING);
            const struct riddle *w = play_take(&copy, &b, 0);
            assert_int_equal(w->bulb, 1);
            assert_int_equal((int)w->been, 1 << room);
            assert_int_equal(w->steps, 1);
            env_copy_free(&copy);
            assert_int_equal(vecenv_reset(b.env, &b.io, &b.err), 0);
        }
    batch_close(&b);
}

static void an_episode_has_4n_minus_6_days(void **state)
{
    (void)state;
    static const struct {
        const char *agents, *limit;
        int days, end;
    } cases[] = {{"3", "upstream", 6, MAPPO_TERMINATED}, {"4", "truncate", 10, MAPPO_TRUNCATED}, {"30", "upstream", 114, MAPPO_TERMINATED}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct env_batch b;
        play_open(&b, "riddle/switch", OPTIONS({"num_agents", cases[k].agents}, {"limit", cases[k].limit}), 1);
        for (int t = 0; t < 2 * cases[k].days; t++) {
            play_step(&b);
            assert_int_equal(b.io.ep_end[0], (t + 1) % cases[k].days == 0 ? cases[k].end : MAPPO_RUNNING);
            assert_named_near("reward", (double)b.io.group[0].reward[0], 0, 0);
        }
        batch_close(&b);
    }
}

/* Whom the room gets, at the first day and at later ones: four standard errors of a binomial. */
static void the_room_is_drawn_evenly(void **state)
{
    (void)state;
    enum { ENVS = 3000 };
    struct env_batch b;
    play_open(&b, "riddle/switch", OPTIONS({"num_agents", "4"}), ENVS);
    for (int day = 0; day < 3; day++) {
        for (int i = 0; i < 4; i++) {
            double count = 0;
            for (int e = 0; e < ENVS; e++) count += (double)b.io.group[0].active[4 * e + i];
            assert_named_near("in the room", count / ENVS, 0.25, 4 * sqrt(0.25 * 0.75 / ENVS));
        }
        play_step(&b);
    }
    batch_close(&b);
}

/* Three are freed whenever all come within six days, 1 - 3 (2/3)^6 + 3 (1/3)^6; of four one tells on the tenth, when all have come with
 * probability .7806. */
static void the_scripted_players_are_as_good_as_their_strategy(void **state)
{
    (void)state;
    const struct play_return three = play_returns("riddle/switch", NULL, true, 4000, 6);
    assert_named_near("three", three.mean / 3, 0.74074, 4 * three.error / 3);
    const struct play_return four = play_returns("switch_riddle", OPTIONS({"num_agents", "4"}), true, 4000, 10);
    assert_named_near("four", four.mean / 4, 2 * 0.78059 - 1, 4 * four.error / 4);
    struct env_batch b;
    play_open(&b, "riddle/switch", NULL, 500);
    for (int t = 0; t < 30; t++) { /* three never tell too early */
        play_script(&b);
        play_step(&b);
        for (int e = 0; e < 500; e++) assert_true(b.io.group[0].reward[3 * e] >= 0);
    }
    batch_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payoffs_are_those_of_the_tables),
        cmocka_unit_test(the_scripted_player_gets_the_optimum),
        cmocka_unit_test(random_play_returns_the_mean_of_the_table),
        cmocka_unit_test(episodes_have_ep_length_steps_and_a_limit_of_either_kind),
        cmocka_unit_test(last_actions_are_seen_only_when_asked),
        cmocka_unit_test(telling_is_right_once_all_have_been_in_the_room),
        cmocka_unit_test(only_who_is_in_the_room_acts_and_sees_the_bulb),
        cmocka_unit_test(an_episode_has_4n_minus_6_days),
        cmocka_unit_test(the_room_is_drawn_evenly),
        cmocka_unit_test(the_scripted_players_are_as_good_as_their_strategy),
    };
    return cmocka_run_group_tests_name("env_matrix", tests, NULL, NULL);
}
