/* A learner of one's own, a2c.c, in the place of the program's algorithms: whole runs of `mappo train` with it, on any backend. The table of
 * a2c.c takes the place of the program's (algo/algorithms.c), which is then not linked; so users' name for it is the first of
 * config/algorithms.def. */
#ifndef TESTS_A2C_CASES_H
#define TESTS_A2C_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "a2c.c"
#include "base/file.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "run/saved_run.h"

#ifndef TESTED_BACKEND
#define TESTED_BACKEND "cpu"
#define TESTED_PROGRAM "MAPPO" /* the variable of tests/run.sh that has the program's path; plugins lie in tests/ beside it */
#define TESTED_DEFAULT "build/mappo"
#endif

static char folder[256], template_env[512];
static struct comm *comm;

static int begin_tests(void **state)
{
    (void)state;
    struct error err = {0};
    const char *base = getenv("TMPDIR"), *program = getenv(TESTED_PROGRAM);
    int argc = 0;
    char **argv = NULL;
    text_format(folder, sizeof folder, "%s/mappo-a2c-XXXXXX", base && *base ? base : "/tmp");
    if (!program || !*program) program = TESTED_DEFAULT;
    const char *slash = strrchr(program, '/');
    text_format(template_env, sizeof template_env, "env=%.*s/tests/meeting.so", (int)(slash ? slash - program : 0), program);
    return mkdtemp(folder) && comm_open(&comm, &argc, &argv, &err) == 0 ? 0 : -1;
}

static int end_tests(void **state)
{
    (void)state;
    char command[512];
    comm_close(comm);
    text_format(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

enum { MOST_SETTINGS = 10, UPDATES_MOST = 400 };
struct settings {
    const char *setting[MOST_SETTINGS]; /* NULL behind the last */
    int steps, envs;                    /* of a rollout */
};

static const struct settings spread = {{"env=mpe/simple_spread", "env.N=2", "rollout.envs=32", "rollout.steps=25", "adam.lr=5e-3",
                                        "adam.critic_lr=1e-2", "policy.hidden=32", "metrics.window=320"},
                                       25,
                                       32};
static const struct settings template = {
    {template_env, "rollout.envs=16", "rollout.steps=20", "adam.lr=3e-3", "adam.critic_lr=3e-3", "policy.hidden=32"}, 20, 16};

/* Several groups, every kind of action, agents that are absent. */
static const struct settings sink = {{"env=test/kitchen_sink", "rollout.envs=6", "rollout.steps=7", "policy.hidden=16"}, 7, 6};

/* `mappo train` to that many updates in all: a run that is there goes on. */
static int train(const struct settings *settings, const char *run, int updates)
{
    static struct arguments args;
    struct error err = {0};
    static char steps[64], dir[512];
    static char backend[] = "backend=" TESTED_BACKEND;
    char *argv[MOST_SETTINGS + 12] = {"mappo", "train", "--quiet", "threads=1", "norm.value=none", "eval.env_steps=0", backend, steps, dir};
    int argc = 9;
    text_format(steps, sizeof steps, "train.env_steps=%d", updates * settings->steps * settings->envs);
    text_format(dir, sizeof dir, "run.dir=%s/%s", folder, run);
    for (int i = 0; settings->setting[i]; i++) argv[argc++] = (char *)(uintptr_t)settings->setting[i];
    if (arguments_parse(&args, argc, argv, &err)) fail_msg("%s", err.text);
    return cmd_train(&args, comm);
}

/* A number of each line of a run's metrics; returns the lines. */
static int read_metric(const char *run, const char *name, double *value)
{
    char path[512], key[64], *text, *line;
    size_t size;
    struct error err = {0};
    int lines = 0;
    text_format(path, sizeof path, "%s/%s/metrics.jsonl", folder, run);
    text_format(key, sizeof key, "\"%s\":", name);
    if (file_read(path, 1 << 24, &text, &size, &err)) fail_msg("%s", err.text);
    for (line = text; *line && lines < UPDATES_MOST; line = strchr(line, '\n') + 1) {
        const char *at = strstr(line, key);
        assert_non_null(at);
        char *end;
        value[lines] = strtod(at + strlen(key), &end);
        if (end == at + strlen(key)) value[lines] = NAN; /* null */
        lines++;
    }
    free(text);
    return lines;
}

/* Everything that training goes on with, in the newest checkpoints of two runs. */
static void assert_same_state(const char *one, const char *other)
{
    struct checkpoint *file[2];
    char path[2][512], dir[512];
    struct error err = {0};
    for (int i = 0; i < 2; i++) {
        text_format(dir, sizeof dir, "%s/%s", folder, i ? other : one);
        if (saved_run_open(dir, false, &file[i], path[i], sizeof path[i], &err)) fail_msg("%s", err.text);
    }
    const struct field_list *a = checkpoint_fields(file[0]), *b = checkpoint_fields(file[1]);
    assert_int_equal(a->count, b->count);
    int moments = 0;
    for (int i = 0; i < a->count; i++) {
        const struct field *x = &a->field[i], *y = &b->field[i];
        assert_string_equal(x->name, y->name);
        assert_int_equal(field_bytes(x), field_bytes(y));
        moments += strstr(x->name, "exp_avg") != NULL;
        if (!checkpoint_is_provenance(x->name) && memcmp(x->data, y->data, field_bytes(x)))
            fail_msg("%s is another in the run that was continued", x->name);
    }
    assert_true(moments > 0);
    for (int i = 0; i < 2; i++) checkpoint_close(file[i]);
}

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
