/* Reasons to stop, in a single process. Under mpirun: tests/mpi. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run/stop.h"

static struct comm *comm;
static char folder[64], why[256];

static int open_comm(void **state)
{
    (void)state;
    struct error err;
    setenv("MAPPO_MPI", "0", 1);
    strcpy(folder, "/tmp/mappo-stop-XXXXXX");
    return comm_open(&comm, NULL, NULL, &err) || !mkdtemp(folder);
}

static int close_comm(void **state)
{
    (void)state;
    comm_close(comm);
    return rmdir(folder); /* fails where a STOP file was left */
}

static struct stop *open_stop(double max_seconds, double margin)
{
    struct stop *stop;
    struct error err;
    assert_int_equal(stop_open(&stop, max_seconds, margin, folder, &err), 0);
    return stop;
}

static void without_a_reason_it_goes_on(void **state)
{
    (void)state;
    struct stop *stop = open_stop(0, 120);
    assert_int_equal(stop_agreed(stop, comm, why, sizeof why), 0);
    stop_close(stop);
}

static void signals_give_their_exit_codes(void **state)
{
    (void)state;
    const struct {
        int number, code;
        const char *text;
    } signals[] = {{SIGUSR1, 75, "SIGUSR1"}, {SIGUSR2, 75, "SIGUSR2"}, {SIGXCPU, 75, "SIGXCPU"},
                   {SIGINT, 10, "SIGINT"},   {SIGTERM, 10, "SIGTERM"}, {SIGPIPE, 10, "nobody reads the output"}};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        signal(signals[i].number, SIG_DFL); /* one that was closed leaves some ignored */
        struct stop *stop = open_stop(0, 120);
        raise(signals[i].number);
        assert_int_equal(stop_agreed(stop, comm, why, sizeof why), signals[i].code);
        assert_non_null(strstr(why, signals[i].text));
        assert_int_equal(stop_agreed(stop, comm, why, sizeof why), signals[i].code); /* it stays */
        stop_close(stop);
    }
}

/* Which those are is asked of the system. */
static bool ends_a_process(int number)
{
    const pid_t child = fork();
    if (child == 0) {
        signal(number, SIG_DFL);
        raise(number);
        _exit(0);
    }
    int status;
    while (waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status)) kill(child, SIGKILL);
    return WIFSIGNALED(status) && WTERMSIG(status) == number;
}

static void every_signal_that_would_end_a_process_has_the_run_saved(void **state)
{
    (void)state;
    const int faults[] = {SIGKILL, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGXFSZ};
    int caught = 0;
    for (int number = 1; number <= SIGRTMAX; number++) {
        bool other = number > SIGSYS && number < SIGRTMIN; /* the C library's own */
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) other = other || number == faults[i];
        if (other || !ends_a_process(number)) continue;
        signal(number, SIG_DFL);
        struct stop *stop = open_stop(0, 120);
        raise(number);
        const int code = stop_agreed(stop, comm, why, sizeof why);
        if (code != 10 && code != 75) fail_msg("signal %d: %d", number, code);
        caught++;
        stop_close(stop);
    }
    assert_true(caught >= 14 + SIGRTMAX - SIGRTMIN);
}

static int handled;
static void handle(int number)
{
    handled = number;
}

static void what_others_use_or_ignore_stays_theirs(void **state)
{
    (void)state;
    signal(SIGPROF, handle);
    signal(SIGALRM, SIG_IGN);
    struct stop *stop = open_stop(0, 120);
    raise(SIGPROF);
    raise(SIGALRM);
    assert_int_equal(stop_agreed(stop, comm, why, sizeof why), 0);
    assert_int_equal(handled, SIGPROF);
    stop_close(stop);
    signal(SIGPROF, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
}

static void signals_that_were_left_blocked_are_received(void **state)
{
    (void)state;
    sigset_t all, before;
    sigfillset(&all);
    assert_int_equal(sigprocmask(SIG_SETMASK, &all, &before), 0); /* inherited, or done by an environment */
    struct stop *stop = open_stop(0, 120);
    raise(SIGTERM);
    const int code = stop_agreed(stop, comm, why, sizeof why);
    stop_close(stop);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(code, EXIT_STOPPED);
    assert_string_equal(why, "SIGTERM");
}

static void a_late_request_to_save_kills_nobody(void **state)
{
    (void)state;
    struct stop *stop = open_stop(0, 120);
    raise(SIGUSR1);
    assert_int_equal(stop_agreed(stop, comm, why, sizeof why), 75);
    stop_close(stop);
    raise(SIGUSR1);
    raise(SIGUSR2);
    raise(SIGPIPE); /* nor do last lines that nobody reads */
}

static void a_request_to_stop_outweighs_one_to_continue_later(void **state)
{
    (void)state;
    struct stop *stop = open_stop(0, 120);
    raise(SIGTERM);
    raise(SIGUSR1);
    assert_int_equal(stop_agreed(stop, comm, why, sizeof why), 10);
    stop_close(stop);
}

static void a_second_sigint_ends_at_once(void **state)
{
    (void)state;
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGINT, SIG_DFL);
        open_stop(0, 120);
        raise(SIGINT);
        raise(SIGINT);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
}

/* A launcher may deliver it twice: the save that the first asked for is still made. */
static void a_second_sigterm_or_sighup_asks_for_nothing_new(void **state)
{
    (void)state;
    const int numbers[] = {SIGTERM, SIGHUP};
    for (int i = 0; i < 2; i++) {
        struct stop *stop = open_stop(0, 120);
        raise(numbers[i]);
        raise(numbers[i]);
        assert_int_equal(stop_agreed(stop, comm, why, sizeof why), 10);
        raise(numbers[i]);
        assert_int_equal(stop_agreed(stop, comm, why, sizeof why), 10);
        stop_close(stop);
    }
}

static void an_ignored_sigint_stays_ignored(void **state)
{
    (void)state;
    signal(SIGINT, SIG_IGN);
    struct stop *stop = open_stop(0, 120);
    raise(SIGINT);
    assert_int_equal(stop_agreed(stop, comm, why, sizeof why), 0);
    stop_close(stop);
    signal(SIGINT, SIG_DFL);
}

static void a_stop_file_is_honoured_and_removed(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/STOP", folder);
    struct stop *stop = open_stop(0, 120);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(stop_agreed(stop, comm, why, sizeof why), 10);
    assert_non_null(strstr(why, path));
    assert_int_equal(access(path, F_OK), -1);
    stop_close(stop);
}

static void max_seconds_has_no_margin(void **state)
{
    (void)state;
    struct stop *stop = open_stop(1000, 2000);
    assert_int_equal(stop_agreed(stop, comm, why, sizeof why), 0);
    stop_close(stop);
    stop = open_stop(0.001, 0);
    usleep(2000);
    assert_int_equal(stop_agreed(stop, comm, why, sizeof why), 75);
    assert_non_null(strstr(why, "train.max_seconds"));
    stop_close(stop);
}

/* With a deadline `left` seconds away, a save of `save` seconds and the given margin: the exit code. */
static int with_deadline(const char *variable, long left, double margin, double save)
{
    char text[32];
    snprintf(text, sizeof text, "%ld", (long)time(NULL) + left);
    setenv(variable, text, 1);
    struct stop *stop = open_stop(0, margin);
    stop_save_took(stop, save);
    stop_save_took(stop, save / 2); /* the slowest counts */
    unsetenv(variable);
    const int code = stop_agreed(stop, comm, why, sizeof why);
    stop_close(stop);
    return code;
}

static void a_deadline_keeps_its_margin(void **state)
{
    (void)state;
    assert_int_equal(with_deadline("MAPPO_DEADLINE", 1000, 120, 0), 0);
    /* However long the margin, at most a quarter of the time left at the start: it never stops at once. */
    assert_int_equal(with_deadline("MAPPO_DEADLINE", 1000, 5000, 0), 0);
    assert_int_equal(with_deadline("MAPPO_DEADLINE", 1000, 120, 1000), 0);

    /* 4 s left, a quarter is 1 s: goes on now, stops before the end. */
    char text[32];
    const time_t end = time(NULL) + 4;
    snprintf(text, sizeof text, "%ld", (long)end);
    setenv("SLURM_JOB_END_TIME", text, 1);
    struct stop *stop = open_stop(0, 120);
    unsetenv("SLURM_JOB_END_TIME");
    int code = 0;
    while (time(NULL) <= end && !(code = stop_agreed(stop, comm, why, sizeof why))) usleep(20000);
    assert_int_equal(code, 75);
    assert_non_null(strstr(why, "SLURM_JOB_END_TIME"));
    stop_close(stop);
}

static void a_garbled_or_past_deadline_is_no_deadline(void **state)
{
    (void)state;
    const char *const garbage[] = {"soon", "12:00:00", "-5", "0", "100", "1e999", ""};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        setenv("MAPPO_DEADLINE", garbage[i], 1);
        struct stop *stop = open_stop(0, 120);
        assert_int_equal(stop_agreed(stop, comm, why, sizeof why), 0);
        stop_close(stop);
    }
    unsetenv("MAPPO_DEADLINE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_reason_it_goes_on),
        cmocka_unit_test(signals_give_their_exit_codes),
        cmocka_unit_test(every_signal_that_would_end_a_process_has_the_run_saved),
        cmocka_unit_test(what_others_use_or_ignore_stays_theirs),
        cmocka_unit_test(signals_that_were_left_blocked_are_received),
        cmocka_unit_test(a_late_request_to_save_kills_nobody),
        cmocka_unit_test(a_request_to_stop_outweighs_one_to_continue_later),
        cmocka_unit_test(a_second_sigint_ends_at_once),
        cmocka_unit_test(a_second_sigterm_or_sighup_asks_for_nothing_new),
        cmocka_unit_test(an_ignored_sigint_stays_ignored),
        cmocka_unit_test(a_stop_file_is_honoured_and_removed),
        cmocka_unit_test(max_seconds_has_no_margin),
        cmocka_unit_test(a_deadline_keeps_its_margin),
        cmocka_unit_test(a_garbled_or_past_deadline_is_no_deadline),
    };
    unsetenv("MAPPO_DEADLINE");
    unsetenv("SLURM_JOB_END_TIME");
    return cmocka_run_group_tests(tests, open_comm, close_comm);
}
