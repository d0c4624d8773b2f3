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

/* Where several ranks have several reasons, the highest counts. */
enum reason { NONE, MAX_SECONDS, DEADLINE, ASKED_BY_USR, ASKED_BY_TERM, ASKED_BY_INT, STOP_FILE };

struct stop {
    double began, max_seconds;
    double margin;       /* before the deadline: train.stop_margin … */
    double margin_limit; /* … and twice the slowest save, together at most this */
    double slowest_save;
    double deadline; /* unix seconds; 0 = none */
    const char *deadline_name;
    char file[512];             /* STOP; empty on ranks other than 0 */
    double file_looked_at;      /* once a second is enough for people, and kind to parallel file systems */
    struct sigaction before[5]; /* of each signal in caught */
    int reason;                 /* once agreed */
};

/* ---- signals ---------------------------------------------------------------------------------------------------------------------------
 */

static const int caught[] = {SIGUSR1, SIGUSR2, SIGINT, SIGTERM, SIGHUP};
enum { CAUGHT = sizeof caught / sizeof *caught };
static volatile sig_atomic_t seen_usr, seen_int, seen_term;

static void note_signal(int number)
{
    if (number == SIGINT)
        seen_int = 1;
    else if (number == SIGTERM || number == SIGHUP)
        seen_term = 1;
    else
        seen_usr = 1;
}

static void install_handlers(struct stop *stop)
{
    seen_usr = seen_int = seen_term = 0;
    for (int i = 0; i < CAUGHT; i++) {
        struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        /* A second SIGINT meets the default action and ends the process at once; a second SIGTERM does not (stop.h). */
        if (caught[i] == SIGINT) action.sa_flags |= SA_RESETHAND;
        sigaction(caught[i], NULL, &stop->before[i]);
        /* Shells' background jobs ignore SIGINT and nohup SIGHUP on purpose. */
        if ((caught[i] == SIGINT || caught[i] == SIGHUP) && stop->before[i].sa_handler == SIG_IGN) continue;
        sigaction(caught[i], &action, NULL);
    }
}

/* ---- the cluster's limit
 * ------------------------------------------------------------------------------------------------------------------ */

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
    return fmin(2 * stop->slowest_save + stop->margin, stop->margin_limit);
}

/* ---- the public part
 * ---------------------------------------------------------------------------------------------------------------------- */

int stop_open(struct stop **out, double max_seconds, double margin, const char *folder, struct error *err)
{
    struct stop *stop = calloc(1, sizeof *stop);
    if (!stop) return error_set(err, EXIT_INTERNAL, "out of memory while preparing to stop");
    stop->began = clock_seconds();
    stop->file_looked_at = -1e9;
    stop->max_seconds = max_seconds;
    if (folder && !text_format(stop->file, sizeof stop->file, "%s/STOP", folder)) {
        free(stop);
        return error_set(err, EXIT_USAGE, "the run's folder has too long a name: %.80s…", folder);
    }
    find_deadline(stop, margin, folder != NULL);
    install_handlers(stop);
    *out = stop;
    return EXIT_DONE;
}

void stop_save_took(struct stop *stop, double seconds)
{
    if (seconds > stop->slowest_save) stop->slowest_save = seconds;
}

/* This rank's own reason. */
static int find_reason(struct stop *stop)
{
    const double now = clock_seconds();
    if (stop->file[0] && now - stop->file_looked_at >= 1) {
        stop->file_looked_at = now;
        if (access(stop->file, F_OK) == 0) return STOP_FILE;
    }
    if (seen_int) return ASKED_BY_INT;
    if (seen_term) return ASKED_BY_TERM;
    if (seen_usr) return ASKED_BY_USR;
    if (stop->deadline > 0 && (double)time(NULL) >= stop->deadline - deadline_margin(stop)) return DEADLINE;
    if (stop->max_seconds > 0 && now - stop->began >= stop->max_seconds) return MAX_SECONDS;
    return NONE;
}

static void say_why(const struct stop *stop, char *why, size_t size)
{
    char left[32];
    switch (stop->reason) {
    case STOP_FILE:
        text_format(why, size, "%s found", stop->file[0] ? stop->file : "STOP file");
        return;
    case ASKED_BY_INT:
        text_format(why, size, "SIGINT");
        return;
    case ASKED_BY_TERM:
        text_format(why, size, "SIGTERM or SIGHUP");
        return;
    case ASKED_BY_USR:
        text_format(why, size, "SIGUSR1 or SIGUSR2");
        return;
    case DEADLINE:
        clock_duration(left, sizeof left, deadline_margin(stop));
        text_format(why, size, "the time limit (%s) is %s away", stop->deadline_name, left);
        return;
    default:
        text_format(why, size, "train.max_seconds=%g is over", stop->max_seconds);
    }
}

int stop_agreed(struct stop *stop, struct comm *comm, char *why, size_t size)
{
    /* One message of 8 bytes an update: the highest reason of all ranks. */
    double reason = stop->reason ? stop->reason : find_reason(stop);
    comm_max_double(comm, &reason, 1);
    if (reason == NONE) return EXIT_DONE;
    if (!stop->reason && reason == STOP_FILE && stop->file[0] && unlink(stop->file) && errno != ENOENT)
        warn("%s: cannot be removed (%s); remove it before you continue", stop->file, strerror(errno));
    stop->reason = (int)reason;
    if (why) say_why(stop, why, size);
    return stop->reason >= ASKED_BY_TERM ? EXIT_STOPPED : EXIT_CONTINUE;
}

void stop_close(struct stop *stop)
{
    if (!stop) return;
    for (int i = 0; i < CAUGHT; i++) {
        /* A launcher passes a signal to one rank after the other: it may reach the last ones when the first has had all end. What asks to
         * save and continue must not kill whoever has just done so. */
        if (caught[i] == SIGUSR1 || caught[i] == SIGUSR2) {
            signal(caught[i], SIG_IGN);
        } else {
            sigaction(caught[i], &stop->before[i], NULL);
        }
    }
    free(stop);
}
