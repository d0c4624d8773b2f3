/* Whole runs of `mappo train` from a test, on any backend, and what they leave: their metrics, and whether two of them stand in the same place. */
#ifndef TESTS_TRAINING_RUNS_H
#define TESTS_TRAINING_RUNS_H

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
    text_format(folder, sizeof folder, "%s/mappo-runs-XXXXXX", base && *base ? base : "/tmp");
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

enum { MOST_SETTINGS = 16, UPDATES_MOST = 400 };
struct settings {
    const char *setting[MOST_SETTINGS]; /* NULL behind the last */
    int steps, envs;                    /* of a rollout */
};

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

#endif
