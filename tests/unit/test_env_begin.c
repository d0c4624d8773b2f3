/* Environments that step elsewhere (`begin`): what they are told early and asked for late changes no bit of what wrappers and learners get.
 * What Python's worker processes say of themselves. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "env/python/description.h"
#include "env/python/names.h"
#include "tape.h"

enum { MANY = 11, STEPS = 60 };

/* ---- begin and end ----------------------------------------------------------------------------------------------------------------------- */

static struct vecenv_config plain(void)
{
    return (struct vecenv_config){.name = "test/kitchen_sink",
                                  .envs = MANY,
                                  .first_env = 5,
                                  .seed = 42,
                                  .stream = PHILOX_ENVIRONMENT,
                                  .threads = 1,
                                  .horizon = STEPS,
                                  .time_limit = 7,
                                  .clip_action = true};
}

static struct vecenv_config wrapped(void)
{
    struct vecenv_config config = plain();
    config.action_repeat = 3;
    config.stack_obs = 2;
    config.last_action = config.rescale_action = true;
    config.sticky_action = 0.3f;
    config.team_reward = TEAM_MEAN;
    return config;
}

/* Those who stand in `io` for the next step are others by now. */
static void spoil_actions(struct env_batch *b, int32_t lo, int32_t hi)
{
    for (int g = 0; g < b->spec->groups; g++) {
        const size_t ints = (size_t)b->size[g].agents * (size_t)b->size[g].act_ints,
                     reals = (size_t)b->size[g].agents * (size_t)b->size[g].act_reals;
        for (size_t i = (size_t)lo * ints; i < (size_t)hi * ints; i++) b->act_int[g][i] = -12345;
        for (size_t i = (size_t)lo * reals; i < (size_t)hi * reals; i++) b->act_real[g][i] = 12345;
    }
}

/* Both ranges are under way at the same time, and the second is waited for first every other time. */
static void step_in_two(struct env_batch *b, int t, bool spoils)
{
    const int32_t cut[] = {0, 4, MANY};
    for (int k = 0; k < 2; k++) {
        if (vecenv_step_begin(b->env, cut[k], cut[k + 1], &b->io, &b->err)) fail_msg("%s", b->err.text);
        if (spoils) spoil_actions(b, cut[k], cut[k + 1]);
    }
    for (int k = 0; k < 2; k++) {
        const int i = (k + t) % 2;
        if (vecenv_step_end(b->env, cut[i], cut[i + 1], &b->err)) fail_msg("%s", b->err.text);
    }
}

static void compare_halves(struct vecenv_config config, bool spoils)
{
    struct env_batch here, there;
    static struct episode a[MANY * STEPS], b[MANY * STEPS];
    open_or_fail(&here, &config);
    config.name = plugin("plugin_that_begins");
    open_or_fail(&there, &config);
    assert_false(vecenv_steps_elsewhere(here.env));
    assert_true(vecenv_steps_elsewhere(there.env));
    for (int t = 0; t < STEPS; t++) {
        batch_act(&here, 7, config.first_env, (uint64_t)t);
        batch_act(&there, 7, config.first_env, (uint64_t)t);
        step_or_fail(&here);
        step_in_two(&there, t, spoils);
        for (int32_t e = 0; e < MANY; e++)
            if (batch_hash(&here, e) != batch_hash(&there, e)) fail_msg("environment %d shows something else after step %d", e, t);
    }
    const int ended = vecenv_take_episodes(here.env, a, MANY * STEPS);
    assert_true(ended > MANY);
    assert_int_equal(vecenv_take_episodes(there.env, b, MANY * STEPS), ended);
    int64_t lengths[2] = {0, 0};
    for (int i = 0; i < ended; i++) lengths[0] += a[i].length, lengths[1] += b[i].length;
    assert_int_equal(lengths[0], lengths[1]);
    batch_close(&here);
    batch_close(&there);
}

static void what_is_begun_early_changes_no_bit(void **state)
{
    (void)state;
    compare_halves(plain(), true);
}

/* Actions that are taken several times stay where they are. */
static void nor_with_wrappers(void **state)
{
    (void)state;
    compare_halves(wrapped(), false);
}

static void an_error_names_the_environment(void **state)
{
    (void)state;
    struct vecenv_config config = plain();
    struct env_batch b;
    config.name = plugin("plugin_that_begins");
    open_or_fail(&b, &config);
    batch_act(&b, 7, config.first_env, 0);
    assert_int_equal(vecenv_step_begin(b.env, 0, 4, &b.io, &b.err), 0);
    assert_int_equal(vecenv_step_begin(b.env, 3, 5, &b.io, &b.err), EXIT_ENVIRONMENT);
    assert_string_equal(b.err.text, "environment \"test/kitchen_sink\": number 8: its step is begun that is under way");
    batch_close(&b);
}

/* ---- names of Python's ------------------------------------------------------------------------------------------------------------------- */

static void a_file_is_found_from_any_folder(void **state)
{
    (void)state;
    const struct mappo_env *one, *other;
    struct error err;
    assert_int_equal(python_find("py:tests/python/bridge_envs.py:walk", &one, &err), 0);
    assert_string_equal(one->id, "py:bridge_envs.py:walk");
    assert_int_equal(python_name(one)[3], '/');
    assert_int_equal(python_find(python_name(one), &other, &err), 0);
    assert_ptr_equal(one, other);
    assert_int_equal(python_find("py:./tests/python/bridge_envs.py:nothing", &other, &err), 0);
    assert_ptr_not_equal(one, other);
    assert_int_equal(python_find("py:gymnasium:CartPole-v1", &one, &err), 0);
    assert_string_equal(one->id, "py:gymnasium:CartPole-v1");
    assert_string_equal(python_name(one), one->id);
    assert_string_equal(python_source(one), "gymnasium:CartPole-v1");
    assert_int_equal(python_find("py:", &one, &err), EXIT_USAGE);
    assert_int_equal(python_find("py:tests/nowhere.py:walk", &one, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "there is no file tests/nowhere.py here"));
    assert_true(python_is_meant("gymnasium:Hopper-v5") && python_is_meant("./a.py:make") && python_is_meant("a.py"));
    assert_false(python_is_meant("mpe/simple_spread") || python_is_meant(":") || python_is_meant("a:"));
}

/* ---- what workers say -------------------------------------------------------------------------------------------------------------------- */

static const char *const lines[] = {"env\ttwo\t1.5",
                                    "rules\ttwo 1.5",
                                    "max_steps\t25",
                                    "return_help\tsum",
                                    "state\t7",
                                    "group\twolf\t2\t0\t3\t0",
                                    "agent\twolf_0",
                                    "agent\twolf_1",
                                    "obs\tbox\t12\t2\t2\t3",
                                    "low\t0",
                                    "high\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11\tinf",
                                    "act\tdiscrete\t1\t0\t0\t0",
                                    "n\t3",
                                    "start\t-1",
                                    "meaning\tleft",
                                    "meaning\tstay",
                                    "meaning\tright",
                                    "act\tbox\t2",
                                    "low\t-1\t-2",
                                    "high\t1",
                                    "group\tsheep\t1\t1\t0\t4",
                                    "obs\tmulti_binary\t4\t0\t0\t0",
                                    "act\tmulti_discrete\t2\t0\t0\t0",
                                    "n\t3\t4",
                                    "info\twon\t1\twhether they did",
                                    "info\tsteps\t0\t",
                                    "cannot\tfly"};
enum { LINES = sizeof lines / sizeof *lines };

static int describe(struct python_description *p, int skip, const char *instead, struct mappo_env_error *error)
{
    int rc = 0;
    memset(p, 0, sizeof *p);
    for (int i = 0; i < LINES && !rc; i++) {
        char line[256];
        text_format(line, sizeof line, "%s", i == skip ? instead : lines[i]);
        rc = description_line(p, line, error);
    }
    return rc ? rc : description_close(p, error);
}

static void a_description_is_read(void **state)
{
    (void)state;
    struct python_description p;
    struct mappo_env_error error;
    const struct mappo_env_spec *spec = &p.d.spec;
    if (describe(&p, -1, NULL, &error)) fail_msg("%s", error.text);
    assert_int_equal(spec->groups, 2);
    assert_string_equal(spec->rules, "two 1.5");
    assert_int_equal(spec->max_steps, 25);
    assert_int_equal(spec->state_size, 7);
    const struct mappo_group *wolf = &spec->group[0], *sheep = &spec->group[1];
    assert_string_equal(wolf->agent_name[1], "wolf_1");
    assert_int_equal(wolf->flags, MAPPO_HAS_MASK | MAPPO_HAS_ACTIVE);
    assert_int_equal(wolf->obs[0].shape[2], 3);
    assert_float_equal(wolf->obs[0].low[11], 0, 0);
    assert_true(isinf(wolf->obs[0].high[11]));
    assert_int_equal(wolf->act_heads, 2);
    assert_int_equal(wolf->act[0].start[0], -1);
    assert_int_equal(wolf->act[0].meanings, 3);
    assert_string_equal(wolf->act[0].meaning[2].name, "right");
    assert_float_equal(wolf->act[1].low[1], -2, 0);
    assert_float_equal(wolf->act[1].high[1], 1, 0);
    assert_int_equal(sheep->team, 1);
    assert_int_equal(sheep->state_size, 4);
    assert_int_equal(sheep->act[0].n[1], 4);
    assert_null(sheep->agent_name);
    assert_int_equal(spec->infos, 2);
    assert_int_equal(spec->info[0].at_end, 1);
    assert_null(spec->info[1].help);
    assert_int_equal(p.cannots, 1);
    assert_string_equal(p.cannot[0], "fly");
    description_free(&p.d);
}

static void a_wrong_line_is_told(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "sheep",
                                        "max_steps",
                                        "max_steps\tmany",
                                        "max_steps\t99999999999",
                                        "obs\tblob\t2",
                                        "obs\tbox\tx",
                                        "low\t1\t2",
                                        "low\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11\t12\t13",
                                        "low\t",
                                        "high\tlow",
                                        "n\t3\t3",
                                        "group\twolf\t2",
                                        "group\twolf\t0\t0\t0\t0",
                                        "info\twon",
                                        "agent\twolf_2\nx"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct python_description p;
        struct mappo_env_error error;
        const int at = strncmp(wrong[i], "low", 3) == 0 || strncmp(wrong[i], "high", 4) == 0 ? 9
                       : strncmp(wrong[i], "n\t", 2) == 0                                    ? 12
                                                                                             : 2;
        if (strncmp(wrong[i], "agent", 5) != 0) {
            assert_int_equal(describe(&p, at, wrong[i], &error), -1);
            if (!strstr(error.text, "is not understood")) fail_msg("\"%s\": %s", wrong[i], error.text);
        } else { /* of an agent more than there are */
            assert_int_equal(describe(&p, 8, wrong[i], &error), -1);
        }
        description_free(&p.d);
    }
    struct python_description p;
    struct mappo_env_error error;
    assert_int_equal(describe(&p, 7, "cannot\tcount", &error), -1); /* an agent less */
    assert_string_equal(error.text, "its worker names some agents of a group and not all");
    description_free(&p.d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_begun_early_changes_no_bit),
                                       cmocka_unit_test(nor_with_wrappers),
                                       cmocka_unit_test(an_error_names_the_environment),
                                       cmocka_unit_test(a_file_is_found_from_any_folder),
                                       cmocka_unit_test(a_description_is_read),
                                       cmocka_unit_test(a_wrong_line_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
