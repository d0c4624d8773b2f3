/* The line of progress: rates of short runs. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run/progress.h"

static char text[4096];

/* What the lines print where standard output is a file. */
static void show(const struct progress_line *line, int lines)
{
    FILE *kept = tmpfile();
    assert_non_null(kept);
    const int before = dup(STDOUT_FILENO), file = fileno(kept);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    struct progress *progress = progress_create(false, false, NULL, "own");
    for (int i = 0; i < lines; i++) progress_update(progress, &line[i], i == lines - 1);
    progress_destroy(progress);
    dup2(before, STDOUT_FILENO);
    const ssize_t got = pread(file, text, sizeof text - 1, 0);
    assert_true(got >= 0);
    text[got] = '\0';
    fclose(kept);
    close(before);
}

static struct progress_line line_of(int64_t env_steps, double rate)
{
    return (struct progress_line){
        .env_steps = env_steps, .total_steps = 3000, .env_steps_per_second = rate, .agent_steps_per_second = 3 * rate, .return_mean = 1};
}

/* Beside a device the numbers of the last two updates are read at the same moment. */
static void updates_that_are_told_together_have_their_own_rate(void **state)
{
    (void)state;
    const struct progress_line two[] = {line_of(1000, 500), line_of(2000, 500), line_of(3000, 250)};
    show(two, 3);
    if (!strstr(text, " 333 env-steps/s (1000 agent-steps/s)")) fail_msg("%s", text); /* 2000 in 6 seconds */
}

static void the_only_update_has_its_rate(void **state)
{
    (void)state;
    const struct progress_line one = line_of(3000, 750);
    show(&one, 1);
    if (!strstr(text, "100 %  3000 env-steps  750 env-steps/s")) fail_msg("%s", text);
}

/* train.episodes ends the run at 40 of them, in the middle of its steps. */
static void episodes_that_end_the_run_are_counted(void **state)
{
    (void)state;
    struct progress_line lines[] = {line_of(300, 500), line_of(600, 500), line_of(900, 250)};
    for (int i = 0; i < 3; i++) lines[i].total_episodes = 40, lines[i].episodes = 10 * (i + 1);
    show(lines, 3);
    if (!strstr(text, " 75 %  900 env-steps")) fail_msg("%s", text);
    for (int i = 0; i < 3; i++) lines[i].episodes = i; /* the steps come first */
    show(lines, 3);
    if (!strstr(text, " 30 %  900 env-steps")) fail_msg("%s", text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates_that_are_told_together_have_their_own_rate),
        cmocka_unit_test(the_only_update_has_its_rate),
        cmocka_unit_test(episodes_that_end_the_run_are_counted),
    };
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
