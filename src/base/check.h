/* How the program says that something is wrong.
 *
 * A function that can fail in a way its caller can handle returns an exit code (0 = done) and fills a `struct error`; a function whose
 * failure nobody can mend calls `die`. Messages are one line, lower case, and say what was wrong, where, and what happens now or what
 * to do. `die` prefixes "mappo: " (and "rank R of N: " where there are several) and ends the process through the abort hook, which
 * comm/ sets to MPI_Abort, so that one rank's death never leaves the others waiting. */
#ifndef MAPPO_BASE_CHECK_H
#define MAPPO_BASE_CHECK_H

#include <stdio.h>

#define MAPPO_NORETURN __attribute__((noreturn)) /* C11 and C++17 */

enum exit_code {
    EXIT_DONE = 0,
    EXIT_INTERNAL = 1,    /* a fault of the program itself */
    EXIT_USAGE = 2,       /* command line or configuration */
    EXIT_ENVIRONMENT = 3, /* an environment failed */
    EXIT_CHECKPOINT = 4,  /* a checkpoint is missing, damaged or does not fit */
    EXIT_PEERS = 5,       /* ranks, devices, watchdog */
    EXIT_NUMERICAL = 6,   /* NaN or infinity */
    EXIT_DIFFERS = 7,     /* inspect A B: the training states differ */
    EXIT_STOPPED = 10,    /* stopped on request: STOP file, SIGINT, SIGTERM */
    EXIT_CONTINUE = 75    /* stopped by a limit or SIGUSR1/2: the same command continues it */
};

struct error {
    int code;        /* enum exit_code; 0 while nothing is wrong */
    char text[1024]; /* one line, without "mappo: " and without a newline; control characters become '?' */
};

/* Fills *err (NULL is allowed) and returns `code`, so that `return error_set(...)` reads well. */
int error_set(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text of an error that is already set; returns its code. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts text behind it, as it is; returns its code. */
int error_suffix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

MAPPO_NORETURN void die(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
MAPPO_NORETURN void die_error(const struct error *err);

/* For what can only be a mistake of ours: never a side effect inside. */
#define CHECK(condition, ...)                                                                                                              \
    do {                                                                                                                                   \
        if (!(condition)) die_at(__FILE__, __LINE__, __VA_ARGS__);                                                                         \
    } while (0)
MAPPO_NORETURN void die_at(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "mappo: text" on stderr, by rank 0 only and without its number: for what all ranks agree on (comm_vote). Says nothing where err->code is
 * 0; returns it. */
int error_report(const struct error *err);

/* "mappo: [rank R of N: ]text" on stderr and in the run's log, where one is set. */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same line, all parts one after the other, by write(2) alone: for signal handlers, and for a thread that can't wait for those that may
 * hold stderr. */
void last_words(const char *const part[], int parts);

/* Who prints, and how the process ends (NULL: _exit after flushing). Set once by comm_open. */
void check_identify(int rank, int size, void (*abort_hook)(int code));

/* One of several runs of the same process or its ranks: messages begin with the label ("seed 3"), and rank 0 of `size` ranks is who prints
 * what all agree on. "" ends that; how the process ends stays as it is. */
void check_label(const char *label, int rank, int size);

/* From now on every message also goes to this file (line by line, flushed), and first those of before; NULL ends that. The file stays the caller's: set NULL before
 * closing it. */
void check_log(FILE *log);

#endif
