/* A learner of one's own, a2c.c, in the place of the program's algorithms: whole runs of `mappo train` with it, on any backend. The table of
 * a2c.c takes the place of the program's (algo/algorithms.c), which is then not linked; so users' name for it is the first of
 * config/algorithms.def. */
#ifndef TESTS_A2C_CASES_H
#define TESTS_A2C_CASES_H

#include "a2c.c"
#include "training_runs.h"

static const struct settings spread = {{"env=mpe/simple_spread", "env.N=2", "rollout.envs=32", "rollout.steps=25", "adam.lr=5e-3",
                                        "adam.critic_lr=1e-2", "policy.hidden=32", "metrics.window=320"},
                                       25,
                                       32};
static const struct settings template = {
    {template_env, "rollout.envs=16", "rollout.steps=20", "adam.lr=3e-3", "adam.critic_lr=3e-3", "policy.hidden=32"}, 20, 16};

/* Several groups, every kind of action, agents that are absent. */
static const struct settings sink = {{"env=test/kitchen_sink", "rollout.envs=6", "rollout.steps=7", "policy.hidden=16"}, 7, 6};

/* ---- promises ------------------------------------------------------------------------------------------------------------------------ */

/* Returns are negative: on each of four seeds they came to 0.3 (template) and 0.8 (simple_spread) of what they were after five updates. */
enum { BASELINE = 4 };

static void check_learning(const struct settings *settings, const char *run, int updates, double factor)
{
    static double mean[UPDATES_MOST], loss[UPDATES_MOST];
    assert_int_equal(train(settings, run, updates), EXIT_DONE);
    assert_int_equal(read_metric(run, "return_mean", mean), updates);
    assert_int_equal(read_metric(run, "value_loss", loss), updates);
    for (int i = 0; i < updates; i++) assert_true(isfinite(loss[i]));
    if (!(mean[updates - 1] > factor * mean[BASELINE]))
        fail_msg("%s: return %g after %d updates, %g after %d: not even %g of it", run, mean[updates - 1], updates, mean[BASELINE],
                 BASELINE + 1, factor);
}

static void it_learns_the_template(void **state)
{
    (void)state;
    check_learning(&template, "template", 35, 0.5);
}

static void it_learns_simple_spread(void **state)
{
    (void)state;
    check_learning(&spread, "spread", 45, 0.9);
}

static void a_continued_run_is_the_same_to_the_bit(void **state)
{
    (void)state;
    const struct settings *const all[] = {&template, &spread, &sink};
    for (int i = 0; i < 3; i++) {
        char at_once[32], in_two[32];
        text_format(at_once, sizeof at_once, "at_once_%d", i);
        text_format(in_two, sizeof in_two, "in_two_%d", i);
        assert_int_equal(train(all[i], at_once, 4), EXIT_DONE);
        assert_int_equal(train(all[i], in_two, 2), EXIT_DONE);
        assert_int_equal(train(all[i], in_two, 4), EXIT_DONE);
        assert_same_state(at_once, in_two);
    }
}

/* On a device nothing but the learner asks what environments did wrong. */
static void an_environment_that_breaks_its_word_ends_the_run(void **state)
{
    (void)state;
    const struct settings settings = {
        {"env=test/kitchen_sink", "env.fault=unshared_reward", "env.fault_step=9", "rollout.envs=6", "rollout.steps=7", "policy.hidden=16"},
        7,
        6};
    assert_int_equal(train(&settings, "fault", 4), EXIT_ENVIRONMENT);
}

/* Before anything is learned, and what was made until then is given back. */
static void what_it_does_not_follow_is_refused(void **state)
{
    (void)state;
    struct settings settings = template;
    int i = 0;
    while (settings.setting[i]) i++;
    settings.setting[i] = "policy.share=0";
    assert_int_equal(train(&settings, "refused", 1), EXIT_USAGE);
    settings.setting[i] = "norm.value=popart";
    assert_int_equal(train(&settings, "refused", 1), EXIT_USAGE);
}

static const struct CMUnitTest a2c_tests[] = {
    cmocka_unit_test(it_learns_the_template),
    cmocka_unit_test(it_learns_simple_spread),
    cmocka_unit_test(a_continued_run_is_the_same_to_the_bit),
    cmocka_unit_test(an_environment_that_breaks_its_word_ends_the_run),
    cmocka_unit_test(what_it_does_not_follow_is_refused),
};

#endif
