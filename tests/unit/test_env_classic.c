/* Classic control: what recorded episodes don't show. Those are compared in tests/parity. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>

#include "env/registry.h"
#include "env_play.h"
#include "envs/classic/acrobot.h"
#include "envs/classic/cartpole.h"
#include "envs/classic/mountain_car.h"
#include "envs/classic/pendulum.h"

static const char *const ids[] = {"classic/CartPole-v1", "classic/Acrobot-v1", "classic/MountainCar-v0", "classic/MountainCarContinuous-v0",
                                  "classic/Pendulum-v1"};
enum { TASKS = sizeof ids / sizeof *ids };

static void open_or_fail(struct env_batch *b, const char *id, const struct env_option *option, int options, int32_t envs)
{
    struct vecenv_config config = batch_config(id, option, options, envs);
    config.clip_action = false;
    if (batch_open(b, &config)) fail_msg("%s", b->err.text);
}

static void step(struct env_batch *b)
{
    if (vecenv_step(b->env, &b->io, &b->err)) fail_msg("%s", b->err.text);
}

static void assert_sees(const struct env_batch *b, const float *obs, const float *expected, int count)
{
    for (int i = 0; i < count; i++)
        if (!(fabsf(obs[i] - expected[i]) <= 2e-6f))
            fail_msg("%s: number %d is %.9g, expected %.9g", vecenv_descriptor(b->env)->id, i, (double)obs[i], (double)expected[i]);
}

/* The five have their state in the same place. */
static void place(struct env_batch *b, int32_t steps, const float *number, int count)
{
    enum { STEPS = offsetof(struct cartpole, steps), FIRST = offsetof(struct cartpole, position) };
    _Static_assert((int)STEPS == (int)offsetof(struct car, steps) && (int)FIRST == (int)offsetof(struct car, position) &&
                       (int)STEPS == (int)offsetof(struct acrobot, steps) && (int)FIRST == (int)offsetof(struct acrobot, state) &&
                       (int)STEPS == (int)offsetof(struct pendulum, steps) && (int)FIRST == (int)offsetof(struct pendulum, angle),
                   "states are of one form");
    const size_t bytes = vecenv_snapshot_bytes(b->env);
    unsigned char *saved = malloc(bytes), *own = saved + bytes - b->spec->snapshot_bytes;
    assert_int_equal(vecenv_snapshot(b->env, 0, 1, saved, &b->err), 0);
    memcpy(own + STEPS, &steps, sizeof steps);
    memcpy(own + FIRST, number, (size_t)count * sizeof *number);
    if (vecenv_restore(b->env, 0, 1, saved, &b->err)) fail_msg("%s", b->err.text);
    assert_int_equal(vecenv_observe(b->env, &b->io, &b->err), 0);
    free(saved);
}

/* ---- returns ---------------------------------------------------------------------------------------------- */

enum { EPISODES = 1000 };

static void random_actions(struct env_batch *b, struct philox *rng)
{
    const struct mappo_space *space = &b->spec->group[0].act[0];
    for (int32_t e = 0; e < b->envs; e++) {
        if (space->kind == MAPPO_BOX)
            b->act_real[0][e] = philox_uniform(rng, space->low[0], space->high[0]);
        else
            b->act_int[0][e] = philox_below(rng, space->n[0]);
    }
}

/* Of the first episode of each of 1,000 environments. */
static void mean_return(const char *id, bool scripted, double *mean, double *standard_error, double *info)
{
    static double sum[EPISODES];
    static bool over[EPISODES];
    struct env_batch b;
    struct philox rng;
    double square = 0;
    int open = EPISODES;
    open_or_fail(&b, id, NULL, 0, EPISODES);
    philox_start(&rng, 5, PHILOX_ACTION, 0);
    memset(sum, 0, sizeof sum);
    memset(over, 0, sizeof over);
    *mean = *info = 0;
    while (open > 0) {
        if (scripted)
            assert_int_equal(vecenv_script(b.env, 0, b.envs, &b.io, &b.err), 0);
        else
            random_actions(&b, &rng);
        step(&b);
        for (int e = 0; e < EPISODES; e++) {
            if (over[e]) continue;
            sum[e] += (double)b.io.group[0].reward[e];
            if (!b.io.ep_end[e]) continue;
            over[e] = true;
            open--;
            *info += (double)b.io.info[e] / EPISODES;
        }
    }
    for (int e = 0; e < EPISODES; e++) *mean += sum[e] / EPISODES;
    for (int e = 0; e < EPISODES; e++) square += (sum[e] - *mean) * (sum[e] - *mean);
    *standard_error = sqrt(square / (EPISODES - 1) / EPISODES);
    batch_close(&b);
}

/* Within three standard errors of the difference to what Gymnasium's own mean was. */
static void random_players_return_what_they_do_upstream(void **state)
{
    (void)state;
    static const double upstream[TASKS][2] = {{21.9, 0.2}, {-499.6, 0.4}, {-200, 0}, {-33.3, 0.1}, {-1219, 12}};
    for (int k = 0; k < TASKS; k++) {
        double mean, standard_error, info;
        mean_return(ids[k], false, &mean, &standard_error, &info);
        assert_near(mean, upstream[k][0], 3 * sqrt(upstream[k][1] * upstream[k][1] + standard_error * standard_error) + 1e-9);
    }
}

/* What docs/environments/classic.md says of them, and how many succeed (Pendulum: stand upright at the end). */
static void scripted_players_play_well(void **state)
{
    (void)state;
    static const double least[TASKS][2] = {{500, 1}, {-86, 0.99}, {-108, 1}, {98, 1}, {-165, 0.9}};
    for (int k = 0; k < TASKS; k++) {
        double mean, standard_error, info;
        mean_return(ids[k], true, &mean, &standard_error, &info);
        if (!(mean >= least[k][0] && info >= least[k][1] - 1e-9))
            fail_msg("%s: %.2f and %.3f, expected at least %.2f and %.3f", ids[k], mean, info, least[k][0], least[k][1]);
    }
}

/* ---- rules, by hand --------------------------------------------------------------------------------------- */

static void a_cart_at_rest_is_pushed_away_under_its_pole(void **state)
{
    (void)state;
    struct env_batch b;
    static const float rest[4] = {0};
    open_or_fail(&b, ids[0], NULL, 0, 1);
    for (int push = 0; push < 2; push++) {
        /* 10 N on 1.1 kg; the pole turns by 9.0909 / (0.5 (4/3 - 0.1/1.1)) the other way, which adds to the cart's acceleration */
        const float sign = push ? 1 : -1, pushed[4] = {0, sign * 0.1951219f, 0, sign * -0.2926829f};
        const float moved[4] = {sign * 0.003902439f, 0, sign * -0.005853659f, 0};
        place(&b, 0, rest, 4);
        b.act_int[0][0] = push;
        step(&b);
        assert_sees(&b, b.io.group[0].obs, pushed, 4);
        step(&b);
        assert_near((double)b.io.group[0].obs[0], (double)moved[0], 1e-7); /* places follow with the old velocities */
        assert_near((double)b.io.group[0].obs[2], (double)moved[2], 1e-7);
        assert_true(b.io.group[0].reward[0] == 1 && b.io.ep_end[0] == MAPPO_RUNNING);
    }
    batch_close(&b);
}

static void a_cart_falls_beyond_either_limit(void **state)
{
    (void)state;
    static const float starts[4][4] = {{2.399f, 0.1f, 0, 0}, {-2.399f, -0.1f, 0, 0}, {0, 0, 0.2094f, 0.1f}, {0, 0, -0.2094f, -0.1f}};
    for (int barto = 0; barto < 2; barto++) {
        const struct env_option option[] = {{"sutton_barto_reward", barto ? "true" : "false"}};
        struct env_batch b;
        open_or_fail(&b, ids[0], option, 1, 1);
        for (int k = 0; k < 4; k++) {
            float inside[4];
            for (int i = 0; i < 4; i++) inside[i] = starts[k][i] / 2;
            place(&b, 0, inside, 4);
            step(&b);
            assert_true(b.io.ep_end[0] == MAPPO_RUNNING && b.io.group[0].reward[0] == (barto ? 0.0f : 1.0f));
            place(&b, 0, starts[k], 4);
            step(&b);
            assert_true(b.io.ep_end[0] == MAPPO_TERMINATED && b.io.group[0].terminated[0] == 1 && b.io.info[0] == 0);
            assert_true(b.io.group[0].reward[0] == (barto ? -1.0f : 1.0f)); /* the step of the fall is paid, too */
        }
        batch_close(&b);
    }
}

static void acrobot_hangs_at_rest_and_is_done_above_the_line(void **state)
{
    (void)state;
    static const float rest[4] = {0}, still[6] = {1, 0, 1, 0, 0, 0}, up[4] = {3, 0, 0, 0}, fast[4] = {0, 3.1f, 12.5f, 28};
    struct env_batch b;
    open_or_fail(&b, ids[1], NULL, 0, 1);
    place(&b, 0, rest, 4);
    b.act_int[0][0] = 1;
    step(&b);
    assert_sees(&b, b.io.group[0].obs, still, 6);
    assert_true(b.io.group[0].reward[0] == -1);
    /* over 0.2 s, to first order, the joint turns by 1 / (1.25 - d2² / d1), d1 = 4.5, d2 = 1.75: 1.754 rad/s², and the first link by
     * -d2 / d1 of that; the restoring weight takes some per cent of it */
    b.act_int[0][0] = 2;
    step(&b);
    assert_near((double)b.io.group[0].obs[5], 0.2 * 1.754, 0.04);
    assert_near((double)b.io.group[0].obs[4], -0.2 * 1.754 * 1.75 / 4.5, 0.02);
    place(&b, 0, up, 4);
    b.act_int[0][0] = 1;
    step(&b);
    assert_true(b.io.ep_end[0] == MAPPO_TERMINATED && b.io.group[0].reward[0] == 0 && b.io.info[0] == 1);
    place(&b, 0, fast, 4); /* clipped to 4π and 9π */
    step(&b);
    assert_true(fabsf(b.io.group[0].obs[4]) <= 12.566371f && fabsf(b.io.group[0].obs[5]) <= 28.274334f);
    batch_close(&b);
}

static void cars_roll_and_stop_at_the_wall(void **state)
{
    (void)state;
    static const float valley[2] = {-0.5f, 0}, wall[2] = {-1.19f, -0.05f}, at_wall[2] = {-1.2f, 0};
    for (int continuous = 0; continuous < 2; continuous++) {
        const double power = continuous ? 0.0015 : 0.001, velocity = power - 0.0025 * cos(-1.5);
        const float moved[2] = {(float)(-0.5 + velocity), (float)velocity};
        struct env_batch b;
        open_or_fail(&b, ids[2 + continuous], NULL, 0, 1);
        place(&b, 0, valley, 2);
        if (continuous) b.act_real[0][0] = 1;
        if (!continuous) b.act_int[0][0] = 2;
        step(&b);
        assert_sees(&b, b.io.group[0].obs, moved, 2);
        assert_near((double)b.io.group[0].reward[0], continuous ? -0.1 : -1, 1e-7);
        place(&b, 5, wall, 2);
        step(&b);
        assert_true(memcmp(b.io.group[0].obs, at_wall, sizeof at_wall) == 0);
        batch_close(&b);
    }
}

static void full_throttle_is_the_most_but_more_costs_more(void **state)
{
    (void)state;
    static const float valley[2] = {-0.5f, 0};
    float seen[2];
    struct env_batch b;
    open_or_fail(&b, ids[3], NULL, 0, 1);
    for (int k = 0; k < 2; k++) {
        place(&b, 3, valley, 2);
        b.act_real[0][0] = k ? 2 : 1;
        step(&b);
        assert_near((double)b.io.group[0].reward[0], k ? -0.4 : -0.1, 1e-7);
        seen[k] = b.io.group[0].obs[1];
    }
    assert_near((double)seen[0], (double)seen[1], 1e-9);
    batch_close(&b);
}

static void the_flag_counts_from_goal_velocity_on(void **state)
{
    (void)state;
    for (int continuous = 0; continuous < 2; continuous++) {
        const float goal = continuous ? 0.45f : 0.5f, before[2] = {goal - 0.01f, 0.03f}, short_of[2] = {goal - 0.05f, 0.03f};
        for (int fast = 0; fast < 2; fast++) {
            const struct env_option option[] = {{"goal_velocity", fast ? "0.05" : "0"}};
            struct env_batch b;
            open_or_fail(&b, ids[2 + continuous], option, 1, 1);
            place(&b, 7, before, 2);
            step(&b);
            assert_int_equal(b.io.ep_end[0], fast ? MAPPO_RUNNING : MAPPO_TERMINATED);
            assert_true(b.io.info[0] == (fast ? 0.0f : 1.0f));
            assert_near((double)b.io.group[0].reward[0], !continuous ? -1 : fast ? 0 : 100, 1e-6);
            place(&b, 7, short_of, 2);
            step(&b);
            assert_int_equal(b.io.ep_end[0], MAPPO_RUNNING);
            batch_close(&b);
        }
    }
}

static void a_pendulum_pays_for_where_it_was(void **state)
{
    (void)state;
    const float hanging[2] = {(float)CLASSIC_PI, 0}, turned[2] = {(float)(2 * CLASSIC_PI * 3 + 0.5), 8};
    struct env_batch b;
    open_or_fail(&b, ids[4], NULL, 0, 1);
    place(&b, 0, hanging, 2);
    b.act_real[0][0] = 5; /* as 2 N m */
    step(&b);
    assert_near((double)b.io.group[0].reward[0], -(CLASSIC_PI * CLASSIC_PI + 0.004), 2e-6);
    assert_near((double)b.io.group[0].obs[2], 0.3, 1e-6);
    place(&b, 0, turned, 2); /* three turns on is half a radian, and no faster than 8 */
    step(&b);
    assert_near((double)b.io.group[0].reward[0], -(0.25 + 6.4 + 0.004), 1e-5);
    assert_near((double)b.io.group[0].obs[2], 8, 0);
    assert_near((double)b.io.group[0].obs[1], sin(0.9), 1e-5);
    batch_close(&b);
}

static void gravity_is_an_option_of_the_pendulum(void **state)
{
    (void)state;
    static const float level[2] = {1.5707964f, 1};
    static const char *const values[] = {"0", "10", "20"};
    for (int k = 0; k < 3; k++) {
        const struct env_option option[] = {{"g", values[k]}};
        struct env_batch b;
        open_or_fail(&b, ids[4], option, 1, 1);
        place(&b, 0, level, 2);
        step(&b);
        assert_near((double)b.io.group[0].obs[2], 1 + 0.05 * 1.5 * 10 * k, 1e-5);
        batch_close(&b);
    }
}

/* ---- starts, limits, names -------------------------------------------------------------------------------- */

static void starts_lie_between_their_bounds(void **state)
{
    (void)state;
    static const struct {
        struct env_option option[2];
        int task;
        float least[2], most[2]; /* of the first number, and of the last */
    } starts[] = {
        {{{"low", "-0.05"}, {"high", "0.05"}}, 0, {-0.05f, -0.05f}, {0.05f, 0.05f}},
        {{{"low", "0.1"}, {"high", "0.2"}}, 0, {0.1f, 0.1f}, {0.2f, 0.2f}},
        {{{"low", "-0.1"}, {"high", "0.1"}}, 1, {0.995f, -0.1f}, {1, 0.1f}},
        {{{"low", "-0.6"}, {"high", "-0.4"}}, 2, {-0.6f, 0}, {-0.4f, 0}},
        {{{"low", "0.2"}, {"high", "0.3"}}, 3, {0.2f, 0}, {0.3f, 0}},
        {{{"x_init", "0.1"}, {"y_init", "3"}}, 4, {0.995f, -3}, {1, 3}},
    };
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        struct env_batch b;
        float least[2] = {INFINITY, INFINITY}, most[2] = {-INFINITY, -INFINITY};
        open_or_fail(&b, ids[starts[k].task], starts[k].option, 2, 500);
        for (int e = 0; e < 500; e++) {
            const float *obs = b.io.group[0].obs + e * b.size[0].obs, end[2] = {obs[0], obs[b.size[0].obs - 1]};
            for (int i = 0; i < 2; i++) {
                least[i] = fminf(least[i], end[i]);
                most[i] = fmaxf(most[i], end[i]);
            }
        }
        for (int i = 0; i < 2; i++) {
            const float range = starts[k].most[i] - starts[k].least[i];
            assert_true(least[i] >= starts[k].least[i] - 1e-6f && most[i] <= starts[k].most[i] + 1e-6f);
            assert_true(most[i] - least[i] >= 0.9f * range); /* and fill them */
        }
        batch_close(&b);
    }
}

static void the_task_s_own_end_wins_over_the_time_limit(void **state)
{
    (void)state;
    static const float last[TASKS][4] = {{0, 0, 0.2094f, 0.1f}, {3, 0, 0, 0}, {0.49f, 0.03f}, {0.44f, 0.03f}, {0, 0}};
    static const float other[TASKS][4] = {{0, 0, 0.1f, 0.1f}, {1, 0, 0, 0}, {0.3f, 0.03f}, {0.2f, 0.03f}, {0, 0}};
    for (int k = 0; k < TASKS; k++) {
        const bool ends = strcmp(ids[k], "classic/Pendulum-v1") != 0;
        struct env_batch b;
        open_or_fail(&b, ids[k], NULL, 0, 1);
        const int32_t limit = b.spec->max_steps;
        if (b.act_int[0]) b.act_int[0][0] = 1;
        place(&b, limit - 1, last[k], 4 - 2 * (k > 1));
        step(&b);
        assert_int_equal(b.io.ep_end[0], ends ? MAPPO_TERMINATED : MAPPO_TRUNCATED);
        assert_int_equal(b.io.group[0].terminated[0], ends);
        place(&b, limit - 1, other[k], 4 - 2 * (k > 1));
        step(&b);
        assert_int_equal(b.io.ep_end[0], MAPPO_TRUNCATED);
        assert_int_equal(b.io.group[0].terminated[0], 0);
        place(&b, limit - 2, other[k], 4 - 2 * (k > 1));
        step(&b);
        assert_int_equal(b.io.ep_end[0], MAPPO_RUNNING);
        batch_close(&b);
    }
}

static void limits_are_gymnasium_s_or_an_option(void **state)
{
    (void)state;
    static const int32_t limits[TASKS] = {500, 500, 200, 999, 200};
    const struct env_option option[] = {{"max_episode_steps", "3"}};
    struct env_batch b;
    for (int k = 0; k < TASKS; k++) {
        open_or_fail(&b, ids[k], NULL, 0, 1);
        assert_int_equal(b.spec->max_steps, limits[k]);
        batch_close(&b);
        open_or_fail(&b, ids[k], option, 1, 1);
        for (int t = 1; t <= 6; t++) {
            step(&b);
            assert_int_equal(b.io.ep_end[0], t % 3 == 0 ? MAPPO_TRUNCATED : MAPPO_RUNNING);
        }
        batch_close(&b);
    }
    open_or_fail(&b, "CartPole-v0", NULL, 0, 1);
    assert_int_equal(b.spec->max_steps, 200);
    batch_close(&b);
}

static void upstream_s_names_are_known(void **state)
{
    (void)state;
    for (int k = 0; k < TASKS; k++) {
        const char *name = strchr(ids[k], '/') + 1;
        char with_package[64];
        snprintf(with_package, sizeof with_package, "gymnasium/%s", name);
        const char *const names[] = {ids[k], name, with_package};
        for (int i = 0; i < 3; i++) {
            const struct mappo_env *env;
            struct error err = {0};
            if (registry_find(names[i], &env, &err)) fail_msg("%s", err.text);
            assert_string_equal(env->id, ids[k]);
        }
    }
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *env, *name, *value, *text;
    } cases[] = {
        {"CartPole-v1", "low", "0.1", "starts lie between low and high, and low=0.1 is above high=0.05"},
        {"MountainCar-v0", "high", "-0.7", "low=-0.6 is above high=-0.7"},
        {"MountainCarContinuous-v0", "low", "-0.3", "low=-0.3 is above high=-0.4"},
        {"Acrobot-v1", "high", "-0.5", "low=-0.1 is above high=-0.5"},
        {"CartPole-v1", "high", "0.5", "option high=0.5 is out of range -0.2..0.2"},
        {"CartPole-v1", "sutton_barto_reward", "2", "option sutton_barto_reward=2 is not a bool"},
        {"CartPole-v1", "max_episode_steps", "0", "option max_episode_steps=0 is out of range 1..1000000"},
        {"Pendulum-v1", "low", "0", "has no option \"low\""},
        {"Pendulum-v1", "g", "-1", "option g=-1 is out of range 0..100"},
        {"Pendulum-v1", "x_int", "1", "did you mean \"x_init\"?"},
        {"MountainCar-v0", "goal_velocity", "1", "option goal_velocity=1 is out of range -0.07..0.07"},
        {"CartPole-v2", "low", "0", "did you mean \"CartPole-v"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct error err = {0};
        assert_int_equal(open_with(cases[k].env, cases[k].name, cases[k].value, &err), EXIT_USAGE);
        assert_says(&err, cases[k].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_players_return_what_they_do_upstream),
        cmocka_unit_test(scripted_players_play_well),
        cmocka_unit_test(a_cart_at_rest_is_pushed_away_under_its_pole),
        cmocka_unit_test(a_cart_falls_beyond_either_limit),
        cmocka_unit_test(acrobot_hangs_at_rest_and_is_done_above_the_line),
        cmocka_unit_test(cars_roll_and_stop_at_the_wall),
        cmocka_unit_test(full_throttle_is_the_most_but_more_costs_more),
        cmocka_unit_test(the_flag_counts_from_goal_velocity_on),
        cmocka_unit_test(a_pendulum_pays_for_where_it_was),
        cmocka_unit_test(gravity_is_an_option_of_the_pendulum),
        cmocka_unit_test(starts_lie_between_their_bounds),
        cmocka_unit_test(the_task_s_own_end_wins_over_the_time_limit),
        cmocka_unit_test(limits_are_gymnasium_s_or_an_option),
        cmocka_unit_test(upstream_s_names_are_known),
        cmocka_unit_test(bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
