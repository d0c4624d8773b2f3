/* A run's folder: one owner at a time, whatever dies or races; pruning and setting aside never lose what matters. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "checkpoint_sample.h"
#include "run/folder.h"
#include "run/lock.h"

static char base[256], run[300], lock_path[320];
/* The rules of ten and thirty seconds at a hundredth of the time. */
static const struct lock_timing fast = {.beat = 0.1, .stale = 0.6};
/* For what must not wait at all: whoever waits nevertheless is seen on the slowest machine. */
static const struct lock_timing patient = {.beat = 0.1, .stale = 20};

static int set_up(void **state)
{
    (void)state;
    sample_folder(base, sizeof base);
    text_format(run, sizeof run, "%s/run", base);
    text_format(lock_path, sizeof lock_path, "%s/lock", run);
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
    return mkdir(run, 0700);
}

static int tear_down(void **state)
{
    (void)state;
    sample_folder_remove(base);
    return 0;
}

#define ASSERT_CONTAINS(text, part)                                                                                                        \
    do {                                                                                                                                   \
        if (strstr((text), (part)) == NULL) fail_msg("\"%s\" does not contain \"%s\"", (text), (part));                                    \
    } while (0)

static void put(const char *name, const char *text)
{
    char path[700];
    text_format(path, sizeof path, "%s/%s", run, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static bool there(const char *name)
{
    char path[700];
    struct stat info;
    text_format(path, sizeof path, "%s/%s", run, name);
    return lstat(path, &info) == 0;
}

/* A child that holds the lock until it is killed (or the test ends). */
static pid_t child_that_holds(void)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        struct folder *folder;
        struct error err = {0};
        if (folder_open(&folder, run, &err) != EXIT_DONE || write(ready[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void end(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* Writes a lock that is like our own but for one line. */
static void forge(const char *line, const char *with)
{
    struct error err = {0};
    struct lock *lock;
    char *text, forged[2048];
    size_t size;
    const int directory = open(run, O_RDONLY | O_DIRECTORY);
    assert_int_equal(lock_take(&lock, run, directory, &fast, &err), EXIT_DONE);
    assert_int_equal(file_read(lock_path, 4096, &text, &size, &err), EXIT_DONE);
    lock_release(lock);
    close(directory);
    char *at = strstr(text, line);
    assert_non_null(at);
    text_format(forged, sizeof forged, "%.*s%s%s", (int)(at - text), text, with, strchr(at + 1, '\n'));
    put("lock", forged);
    free(text);
}

static int take_with(const struct lock_timing *timing, struct lock **lock, struct error *err)
{
    const int directory = open(run, O_RDONLY | O_DIRECTORY);
    *err = (struct error){0};
    const int code = lock_take(lock, run, directory, timing, err);
    if (code != EXIT_DONE) close(directory);
    return code; /* else the descriptor stays open with the lock until the test ends */
}

static int take(struct lock **lock, struct error *err)
{
    return take_with(&fast, lock, err);
}

/* ---- the lock ------------------------------------------------------------------------------------------------------------------------ */

static void a_live_run_keeps_its_folder_and_is_named(void **state)
{
    (void)state;
    struct folder *folder;
    struct error err = {0};
    char pid[64];
    const pid_t child = child_that_holds();
    assert_int_equal(folder_open(&folder, run, &err), EXIT_USAGE);
    text_format(pid, sizeof pid, "process %ld on ", (long)child);
    ASSERT_CONTAINS(err.text, pid);
    ASSERT_CONTAINS(err.text, "run=");
    end(child);
}

static void a_killed_run_leaves_a_folder_that_opens_at_once(void **state)
{
    (void)state;
    struct folder *folder;
    struct error err = {0};
    const pid_t child = child_that_holds();
    kill(child, SIGKILL); /* not waited for: a zombie is dead too */
    usleep(20000);
    const double start = clock_seconds();
    assert_int_equal(folder_open(&folder, run, &err), EXIT_DONE);
    assert_true(clock_seconds() - start < 10); /* far from the 30 s that a stranger's lock takes */
    assert_int_equal(folder_ours(folder, &err), EXIT_DONE);
    folder_close(folder);
    assert_false(there("lock"));
    waitpid(child, NULL, 0);
}

static void another_process_under_the_same_pid_does_not_own_the_folder(void **state)
{
    (void)state;
    struct lock *lock;
    struct error err;
    forge("\nstarted ", "\nstarted 5");
    assert_int_equal(take(&lock, &err), EXIT_DONE);
    lock_release(lock);
}

static void a_stranger_whose_counter_stands_still_is_taken_over_after_the_wait(void **state)
{
    (void)state;
    static const char *const line[] = {"\nhost ", "\nboot ", "\nspace "};
    for (int i = 0; i < 3; i++) {
        struct lock *lock;
        struct error err;
        char other[64];
        text_format(other, sizeof other, "%sother", line[i]);
        forge(line[i], other);
        const double start = clock_seconds();
        assert_int_equal(take(&lock, &err), EXIT_DONE);
        assert_true(clock_seconds() - start >= fast.stale);
        assert_true(lock_held(lock));
        lock_release(lock);
    }
}

static void a_stranger_whose_counter_moves_keeps_its_folder(void **state)
{
    (void)state;
    struct lock *lock;
    struct error err;
    forge("\nhost ", "\nhost node99");
    char *text;
    size_t size;
    assert_int_equal(file_read(lock_path, 4096, &text, &size, &err), EXIT_DONE);
    const pid_t child = fork();
    if (child == 0) {
        for (int n = 1;; n++) { /* its counter, rewritten in place */
            usleep(200000);
            char *at = strstr(text, "counter ");
            snprintf(at, size - (size_t)(at - text) + 1, "counter %020d\n", n);
            const int fd = open(lock_path, O_WRONLY);
            if (fd < 0 || pwrite(fd, text, size, 0) != (ssize_t)size) _exit(1);
            close(fd);
        }
    }
    assert_int_equal(take(&lock, &err), EXIT_USAGE);
    ASSERT_CONTAINS(err.text, "node99");
    end(child);
    free(text);
    unlink(lock_path);
}

static void an_unreadable_lock_is_waited_for_and_then_taken_over(void **state)
{
    (void)state;
    struct lock *lock;
    struct error err;
    put("lock", "");
    const double start = clock_seconds();
    assert_int_equal(take(&lock, &err), EXIT_DONE);
    assert_true(clock_seconds() - start >= fast.stale);
    lock_release(lock);
}

static void a_requeued_job_takes_over_at_once_and_an_equal_restart_count_does_not(void **state)
{
    (void)state;
    struct lock *lock;
    struct error err;
    setenv("SLURM_JOB_ID", "77", 1);
    forge("\nhost ", "\nhost node99");
    double start = clock_seconds();
    setenv("SLURM_RESTART_COUNT", "1", 1);
    assert_int_equal(take_with(&patient, &lock, &err), EXIT_DONE);
    assert_true(clock_seconds() - start < patient.stale);
    lock_release(lock);
    forge("\nhost ", "\nhost node99"); /* now with restart count 1 */
    start = clock_seconds();
    assert_int_equal(take(&lock, &err), EXIT_DONE);
    assert_true(clock_seconds() - start >= fast.stale);
    lock_release(lock);
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
}

static void the_counter_moves_while_the_lock_is_held(void **state)
{
    (void)state;
    struct lock *lock;
    struct error err;
    char *before, *after;
    size_t size;
    assert_int_equal(take(&lock, &err), EXIT_DONE);
    assert_int_equal(file_read(lock_path, 4096, &before, &size, &err), EXIT_DONE);
    usleep(400000);
    assert_int_equal(file_read(lock_path, 4096, &after, &size, &err), EXIT_DONE);
    assert_string_not_equal(strstr(before, "counter"), strstr(after, "counter"));
    *strstr(before, "counter") = *strstr(after, "counter") = '\0';
    assert_string_equal(before, after);
    lock_release(lock);
    free(before);
    free(after);
}

static void one_of_eight_that_race_for_a_stale_lock_gets_it(void **state)
{
    (void)state;
    enum { RACERS = 8, ROUNDS = 25 };
    for (int round = 0; round < ROUNDS; round++) {
        /* Half of the rounds: a dead owner's lock; half: no lock at all. */
        if (round % 2 == 0) forge("\nstarted ", "\nstarted 5");
        int go[2], told[2], stay[2];
        pid_t racer[RACERS];
        assert_true(pipe(go) == 0 && pipe(told) == 0 && pipe(stay) == 0);
        for (int i = 0; i < RACERS; i++) {
            racer[i] = fork();
            if (racer[i] != 0) continue;
            char byte;
            struct lock *lock;
            struct error err;
            close(go[1]);
            close(stay[1]);
            if (read(go[0], &byte, 1) != 0) _exit(1); /* all at once: when the other end closes */
            const int code = take(&lock, &err);
            char result = code == EXIT_DONE ? 'y' : 'n';
            if (write(told[1], &result, 1) != 1) _exit(1);
            if (read(stay[0], &byte, 1) != 0) _exit(1); /* the winner holds on until all have tried */
            if (code == EXIT_DONE && !lock_held(lock)) _exit(2);
            if (code == EXIT_DONE) lock_release(lock);
            _exit(code == EXIT_DONE || code == EXIT_USAGE ? 0 : 3);
        }
        close(go[0]);
        close(stay[0]);
        close(go[1]);
        int owners = 0;
        for (int i = 0; i < RACERS; i++) {
            char result = '?';
            assert_int_equal(read(told[0], &result, 1), 1);
            owners += result == 'y';
        }
        close(stay[1]);
        for (int i = 0; i < RACERS; i++) {
            int status;
            waitpid(racer[i], &status, 0);
            assert_int_equal(status, 0);
        }
        close(told[0]);
        close(told[1]);
        assert_int_equal(owners, 1);
        assert_false(there("lock"));
        assert_false(there("lock.taking"));
    }
}

static void a_takeover_that_died_half_way_does_not_block_the_folder(void **state)
{
    (void)state;
    struct lock *lock;
    struct error err;
    forge("\nstarted ", "\nstarted 5");
    char taking[330];
    text_format(taking, sizeof taking, "%s.taking", lock_path);
    assert_int_equal(link(lock_path, taking), 0);
    assert_int_equal(take(&lock, &err), EXIT_DONE);
    lock_release(lock);
}

static void a_run_that_lost_its_folder_notices_and_leaves_the_new_owners_lock(void **state)
{
    (void)state;
    struct folder *first;
    struct lock *second;
    struct error err = {0};
    assert_int_equal(folder_open(&first, run, &err), EXIT_DONE);
    assert_int_equal(folder_ours(first, &err), EXIT_DONE);
    /* As after a long suspension on another machine: its lock is found stale and replaced. */
    unlink(lock_path);
    assert_int_equal(take(&second, &err), EXIT_DONE);
    assert_int_equal(folder_ours(first, &err), EXIT_PEERS);
    ASSERT_CONTAINS(err.text, "no longer ours");
    folder_close(first);
    assert_true(there("lock"));
    assert_true(lock_held(second));
    lock_release(second);
}

/* ---- the folder ---------------------------------------------------------------------------------------------------------------------- */

static void opening_makes_the_folder_and_removes_what_a_killed_save_left(void **state)
{
    (void)state;
    struct folder *folder;
    struct error err = {0};
    char deep[400];
    text_format(deep, sizeof deep, "%s/a/b/c", base);
    assert_int_equal(folder_open(&folder, deep, &err), EXIT_DONE);
    assert_true(file_exists(deep));
    folder_close(folder);
    put(".tmp-step-000000000001.h5-7-0", "half");
    put("step-000000000001.h5", "whole");
    assert_int_equal(folder_open(&folder, run, &err), EXIT_DONE);
    assert_false(there(".tmp-step-000000000001.h5-7-0"));
    assert_true(there("step-000000000001.h5"));
    folder_close(folder);
}

static void a_folder_that_can_not_be_made_or_written_is_a_usage_error(void **state)
{
    (void)state;
    struct folder *folder;
    struct error err = {0};
    char below[400];
    put("file", "");
    text_format(below, sizeof below, "%s/file/run", run);
    assert_int_equal(folder_open(&folder, below, &err), EXIT_USAGE);
    ASSERT_CONTAINS(err.text, "file");
    assert_int_equal(folder_open(&folder, "/proc/1/run", &err), EXIT_USAGE);
    if (geteuid() == 0) return; /* root writes anywhere */
    assert_int_equal(chmod(run, 0500), 0);
    assert_int_equal(folder_open(&folder, run, &err), EXIT_USAGE);
    ASSERT_CONTAINS(err.text, "can't write");
    assert_int_equal(chmod(run, 0700), 0);
}

static void pruning_keeps_the_newest_the_best_and_update_0(void **state)
{
    (void)state;
    struct folder *folder;
    struct error err = {0};
    static const int64_t steps[] = {0, 100, 200, 300, 400, 500, 600};
    for (int i = 0; i < 7; i++) put(checkpoint_name(steps[i]).name, "");
    put("notes.txt", "mine");
    put("step-000000000100.h5.copy", "mine");
    assert_int_equal(folder_open(&folder, run, &err), EXIT_DONE);
    folder_prune(folder, 3, 200);
    static const bool kept[] = {true, false, true, false, true, true, true};
    for (int i = 0; i < 7; i++) assert_int_equal(there(checkpoint_name(steps[i]).name), kept[i]);
    assert_true(there("notes.txt") && there("step-000000000100.h5.copy"));
    folder_reject(folder, "step-000000000600.h5");
    assert_true(there("damaged-step-000000000600.h5") && !there("step-000000000600.h5"));
    put("step-000000000600.h5", "damaged again");
    folder_reject(folder, "step-000000000600.h5");
    assert_true(there("damaged-step-000000000600.h5") && there("damaged-step-000000000600.h5.1")); /* the first one is kept */
    folder_close(folder);
}

static void a_persons_file_or_folder_called_lock_is_left_alone(void **state)
{
    (void)state;
    struct folder *folder;
    struct error err = {0};
    put("lock", "of my front door\n");
    assert_int_equal(folder_open(&folder, run, &err), EXIT_USAGE);
    ASSERT_CONTAINS(err.text, "no lock of a run");
    assert_true(there("lock"));
    unlink(lock_path);
    assert_int_equal(mkdir(lock_path, 0700), 0);
    assert_int_equal(folder_open(&folder, run, &err), EXIT_USAGE);
    ASSERT_CONTAINS(err.text, "no lock of a run");
    assert_int_equal(rmdir(lock_path), 0);
}

static void links_are_moved_and_what_a_person_put_there_is_kept(void **state)
{
    (void)state;
    struct folder *folder;
    struct error err = {0};
    char path[700], target[64] = "";
    assert_int_equal(folder_open(&folder, run, &err), EXIT_DONE);
    text_format(path, sizeof path, "%s/latest.h5", run);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(folder_point(folder, "latest.h5", checkpoint_name(i).name, &err), EXIT_DONE);
        assert_true(readlink(path, target, sizeof target - 1) > 0);
        assert_string_equal(target, checkpoint_name(i).name);
    }
    assert_false(there("latest.h5.1")); /* our own link is nobody's */
    unlink(path);
    put("latest.h5", "mine");
    assert_int_equal(folder_point(folder, "latest.h5", checkpoint_name(3).name, &err), EXIT_DONE);
    assert_true(there("latest.h5.1"));
    folder_close(folder);
}

static void setting_aside_moves_a_run_to_the_next_free_number(void **state)
{
    (void)state;
    char moved[400], want[400], slashed[320];
    struct error err = {0};
    text_format(slashed, sizeof slashed, "%s//", run);
    for (int k = 1; k <= 3; k++) {
        assert_int_equal(file_make_folders(run, &err), EXIT_DONE);
        put("config.ini", "[train]\n");
        put("lock", ""); /* of nobody; and too young to be compared by its counter */
        unlink(lock_path);
        assert_int_equal(folder_set_aside(k == 2 ? slashed : run, moved, sizeof moved, &err), EXIT_DONE);
        text_format(want, sizeof want, "%s.%d", run, k);
        assert_string_equal(moved, want);
        assert_false(file_exists(run));
        text_format(want, sizeof want, "%s.%d/config.ini", run, k);
        assert_true(file_exists(want));
        text_format(want, sizeof want, "%s.%d/lock", run, k);
        assert_false(file_exists(want));
    }
    assert_int_equal(folder_set_aside(run, moved, sizeof moved, &err), EXIT_DONE);
    assert_string_equal(moved, "");
}

static void a_live_run_or_somebody_elses_folder_is_not_set_aside(void **state)
{
    (void)state;
    char moved[400];
    struct error err = {0};
    put("thesis.tex", "");
    assert_int_equal(folder_set_aside(run, moved, sizeof moved, &err), EXIT_USAGE);
    ASSERT_CONTAINS(err.text, "no run's folder");
    put("metrics.jsonl", "");
    const pid_t child = child_that_holds();
    assert_int_equal(folder_set_aside(run, moved, sizeof moved, &err), EXIT_USAGE);
    ASSERT_CONTAINS(err.text, "live run");
    assert_string_equal(moved, "");
    assert_true(there("thesis.tex") && there("lock"));
    end(child);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_live_run_keeps_its_folder_and_is_named),
        TEST(a_killed_run_leaves_a_folder_that_opens_at_once),
        TEST(another_process_under_the_same_pid_does_not_own_the_folder),
        TEST(a_stranger_whose_counter_stands_still_is_taken_over_after_the_wait),
        TEST(a_stranger_whose_counter_moves_keeps_its_folder),
        TEST(an_unreadable_lock_is_waited_for_and_then_taken_over),
        TEST(a_requeued_job_takes_over_at_once_and_an_equal_restart_count_does_not),
        TEST(the_counter_moves_while_the_lock_is_held),
        TEST(one_of_eight_that_race_for_a_stale_lock_gets_it),
        TEST(a_takeover_that_died_half_way_does_not_block_the_folder),
        TEST(a_run_that_lost_its_folder_notices_and_leaves_the_new_owners_lock),
        TEST(opening_makes_the_folder_and_removes_what_a_killed_save_left),
        TEST(a_folder_that_can_not_be_made_or_written_is_a_usage_error),
        TEST(pruning_keeps_the_newest_the_best_and_update_0),
        TEST(a_persons_file_or_folder_called_lock_is_left_alone),
        TEST(links_are_moved_and_what_a_person_put_there_is_kept),
        TEST(setting_aside_moves_a_run_to_the_next_free_number),
        TEST(a_live_run_or_somebody_elses_folder_is_not_set_aside),
    };
    return cmocka_run_group_tests_name("folder", tests, NULL, NULL);
}
