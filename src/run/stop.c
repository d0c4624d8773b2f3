#include "run/stop.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

/* Where several ranks have several reasons, the highest counts; one of a signal is kind * SIGNALS + its number. */
enum reason { NONE, MAX_SECONDS, DEADLINE, ASKED_TO_CONTINUE, ASKED_TO_STOP, ASKED_AT_KEYBOARD, STOP_FILE };
enum { SIGNALS = 128 };

struct stop {
    double began, max_seconds;
    double margin;       /* before the deadline: train.stop_margin … */
    double margin_limit; /* … and twice the slowest save and the longest update, together at most this */
    double slowest_save;
    double looked_at, longest; /* clock when reasons were looked for, and the longest time between two looks: an update can't be left */
    double deadline;           /* unix seconds; 0 = none */
    const char *deadline_name;
    char file[512];        /* STOP; empty on ranks other than 0 */
    double file_looked_at; /* once a second is enough for people, and kind to parallel file systems */
    struct sigaction before[SIGNALS];
    bool caught[SIGNALS];
    int reason; /* once agreed */
};

/* ---- signals ------------------------------------------------------------------------------------------------------------------------- */

/* All whose default ends a process, but for SIGKILL, those of faults and SIGXFSZ, which main ignores. What a job's limits send comes before
 * more of the same. */
static const struct {
    int number;
    const char *name;
    enum reason reason;
} known[] = {
    {SIGUSR1, "SIGUSR1", ASKED_TO_CONTINUE},
    {SIGUSR2, "SIGUSR2", ASKED_TO_CONTINUE},
    {SIGXCPU, "SIGXCPU (the limit on processor time)", ASKED_TO_CONTINUE},
    {SIGPWR, "SIGPWR", ASKED_TO_CONTINUE},
    {SIGTERM, "SIGTERM", ASKED_TO_STOP},
    {SIGHUP, "SIGHUP", ASKED_TO_STOP},
    {SIGPIPE, "SIGPIPE (nobody reads the output)", ASKED_TO_STOP},
    {SIGALRM, "SIGALRM", ASKED_TO_STOP},
    {SIGVTALRM, "SIGVTALRM", ASKED_TO_STOP},
    {SIGPROF, "SIGPROF", ASKED_TO_STOP},
    {SIGIO, "SIGIO", ASKED_TO_STOP},
#ifdef SIGSTKFLT
    {SIGSTKFLT, "SIGSTKFLT", ASKED_TO_STOP},
#endif
    {SIGINT, "SIGINT", ASKED_AT_KEYBOARD},
    {SIGQUIT, "SIGQUIT", ASKED_AT_KEYBOARD},
};
enum { KNOWN = sizeof known / sizeof *known };

/* Signals of real time have no names. */
static int number_of(int i)
{
    return i < KNOWN ? known[i].number : SIGRTMIN + i - KNOWN;
}

static enum reason reason_of(int number)
{
    for (int i = 0; i < KNOWN; i++)
        if (known[i].number == number) return known[i].reason;
    return ASKED_TO_STOP;
}

static volatile sig_atomic_t seen[STOP_FILE]; /* by reason: the number of the last such signal */

static bool speaks; /* rank 0: the others hear the same signal */

static void note_signal(int number)
{
    static const char *const answer[] = {"SIGINT: stops after what it is doing now; once more (Ctrl-C) ends it at once, without saving"};
    if (number == SIGINT && speaks) last_words(answer, 1);
    seen[reason_of(number)] = number;
}

static void install_handlers(struct stop *stop)
{
    sigset_t caught;
    sigemptyset(&caught);
    memset((void *)seen, 0, sizeof seen);
    for (int i = 0; number_of(i) <= SIGRTMAX && number_of(i) < SIGNALS; i++) {
        const int number = number_of(i);
        struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        /* A second SIGINT meets the default action and ends the process at once; a second SIGTERM does not (stop.h). */
        if (reason_of(number) == ASKED_AT_KEYBOARD) action.sa_flags |= SA_RESETHAND;
        if (sigaction(number, NULL, &stop->before[number])) continue;
        /* Shells' background jobs ignore SIGINT and nohup SIGHUP on purpose; a profiler has its own use for others. */
        const bool ours = number == SIGUSR1 || number == SIGUSR2 || number == SIGTERM;
        if (!ours && stop->before[number].sa_handler != SIG_DFL) continue;
        stop->caught[number] = sigaction(number, &action, NULL) == 0;
        if (stop->caught[number]) sigaddset(&caught, number);
    }
    /* Whoever started this program, or the environment, may have left them blocked: then nothing but SIGKILL would end the run. */
    pthread_sigmask(SIG_UNBLOCK, &caught, NULL);
}

/* ---- the cluster's limit ------------------------------------------------------------------------------------------------------------- */

/* Unix seconds from the environment; 0 where there is no usable limit. Rank 0 says what it ignores. */
static double read_deadline(const char *name, double now, bool speak)
{
    const char *text = getenv(name);
    int64_t value;
    if (!text || !*text) return 0;
    if (!text_to_int(text, &value) || value <= 0) {
        if (speak) warn("%s=%.40s is not a time in unix seconds: ignored, no time limit is known from it", name, text);
        return 0;
    }
    if ((double)value <= now) {
        if (speak) warn("%s=%.40s is in the past: ignored, no time limit is known from it", name, text);
        return 0;
    }
    return (double)value;
}

static void find_deadline(struct stop *stop, double margin, bool speak)
{
    static const char *const names[] = {"MAPPO_DEADLINE", "SLURM_JOB_END_TIME"};
    const double now = (double)time(NULL);
    for (int i = 0; i < 2 && stop->deadline == 0; i++) {
        stop->deadline = read_deadline(names[i], now, speak);
        stop->deadline_name = names[i];
    }
    stop->margin = margin;
    stop->margin_limit = (stop->deadline - now) / 4;
}

static double deadline_margin(const struct stop *stop)
{
    return fmin(2 * stop->slowest_save + stop->longest + stop->margin, stop->margin_limit);
}

/* ---- the public part ----------------------------------------------------------------------------------------------------------------- */

int stop_open(struct stop **out, double max_seconds, double margin, const char *folder, struct error *err)
{
    struct stop *stop = calloc(1, sizeof *stop);
    if (!stop) return error_set(err, EXIT_INTERNAL, "out of memory while preparing to stop");
    stop->began = clock_seconds();
    stop->file_looked_at = -1e9;
    stop->max_seconds = max_seconds;
    if (folder && !stop_place(stop, folder)) {
        free(stop);
        return error_set(err, EXIT_USAGE, "the run's folder has too long a name: %.80s…", folder);
    }
    find_deadline(stop, margin, folder != NULL);
    speaks = folder != NULL;
    install_handlers(stop);
    *out = stop;
    return EXIT_DONE;
}

void stop_limit(struct stop *stop, double max_seconds)
{
    stop->began = clock_seconds();
    stop->max_seconds = max_seconds;
}

bool stop_place(struct stop *stop, const char *folder)
{
    return text_format(stop->file, sizeof stop->file, "%s/STOP", folder);
}

void stop_save_took(struct stop *stop, double seconds)
{
    if (seconds > stop->slowest_save) stop->slowest_save = seconds;
}

/* This rank's own reason. */
static int find_reason(struct stop *stop)
{
    const double now = clock_seconds();
    if (stop->looked_at > 0) stop->longest = fmax(stop->longest, now - stop->looked_at);
    stop->looked_at = now;
    if (stop->file[0] && now - stop->file_looked_at >= 1) {
        stop->file_looked_at = now;
        if (access(stop->file, F_OK) == 0) return STOP_FILE * SIGNALS;
    }
    for (int reason = ASKED_AT_KEYBOARD; reason >= ASKED_TO_CONTINUE; reason--)
        if (seen[reason]) return reason * SIGNALS + seen[reason];
    if (stop->deadline > 0 && (double)time(NULL) >= stop->deadline - deadline_margin(stop)) return DEADLINE * SIGNALS;
    if (stop->max_seconds > 0 && now - stop->began >= stop->max_seconds) return MAX_SECONDS * SIGNALS;
    return NONE;
}

static void say_why(const struct stop *stop, char *why, size_t size)
{
    char left[32];
    const int number = stop->reason % SIGNALS;
    switch (stop->reason / SIGNALS) {
    case STOP_FILE:
        text_format(why, size, "%s found", stop->file[0] ? stop->file : "STOP file");
        return;
    case DEADLINE:
        clock_duration(left, sizeof left, deadline_margin(stop));
        text_format(why, size, "the time limit (%s) is %s away", stop->deadline_name, left);
        return;
    case MAX_SECONDS:
        text_format(why, size, "train.max_seconds=%g is over", stop->max_seconds);
        return;
    default:
        text_format(why, size, "signal %d", number);
        for (int i = 0; i < KNOWN; i++)
            if (known[i].number == number) text_format(why, size, "%s", known[i].name);
    }
}

int stop_agreed(struct stop *stop, struct comm *comm, char *why, size_t size)
{
    /* One message of 8 bytes an update: the highest reason of all ranks. */
    double reason = stop->reason ? stop->reason : find_reason(stop);
    comm_max_double(comm, &reason, 1);
    if (reason == NONE) return EXIT_DONE;
    if (!stop->reason && reason == STOP_FILE * SIGNALS && stop->file[0] && unlink(stop->file) && errno != ENOENT)
        warn("%s: cannot be removed (%s); remove it before you continue", stop->file, strerror(errno));
    stop->reason = (int)reason;
    if (why) say_why(stop, why, size);
    return stop->reason / SIGNALS >= ASKED_TO_STOP ? EXIT_STOPPED : EXIT_CONTINUE;
}

int stop_signal(const struct stop *stop)
{
    return stop->reason % SIGNALS;
}

static bool left_ignored[SIGNALS]; /* by stop_close, and not before */

void stop_again(void)
{
    for (int number = 1; number < SIGNALS; number++) {
        if (left_ignored[number]) signal(number, SIG_DFL);
        left_ignored[number] = false;
    }
}

void stop_close(struct stop *stop)
{
    if (!stop) return;
    for (int number = 1; number < SIGNALS; number++) {
        if (!stop->caught[number]) continue;
        /* A launcher passes a signal to one rank after the other: it may reach the last ones when the first has had all end. What asks to
         * save and continue must not kill whoever has just done so. Nor must the last lines, where nobody reads them. */
        left_ignored[number] = reason_of(number) == ASKED_TO_CONTINUE || number == SIGPIPE;
        if (left_ignored[number])
            signal(number, SIG_IGN);
        else
            sigaction(number, &stop->before[number], NULL);
    }
    free(stop);
}
