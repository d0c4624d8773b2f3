/* What a person sees while training, and log.txt. Rank 0 only; every function takes NULL on the other ranks.
 * On a terminal one status line is updated in place; elsewhere a plain line appears at most every 10 s. */
#ifndef MAPPO_RUN_PROGRESS_H
#define MAPPO_RUN_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct progress;

/* `launched`: started by mpirun or the like, which may give the rank a terminal of its own although it writes into a file. */
struct progress *progress_create(bool quiet, bool launched, FILE *log /* may be NULL; the caller's */,
                                 const char *rules /* in force; NULL = not told */);
bool progress_on_terminal(bool launched); /* Is standard output one where lines can be drawn anew? */
void progress_destroy(struct progress *progress);
/* One of several runs of a command: a line of its own each time, which begins with the label; what progress_say says stands in the log alone. */
void progress_label(struct progress *progress, const char *label);

/* A line for people and for the log; `quiet` keeps it off the screen. */
void progress_say(struct progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct progress_line {
    int64_t env_steps, total_steps;
    int64_t episodes, total_episodes; /* that end the run if they come first (train.episodes); total 0 = none do */
    double env_steps_per_second, agent_steps_per_second;
    double return_mean, entropy;
    double seconds_since_save;
};
/* Cheap to call after every update; speeds are those of the updates since the line was last drawn, without what lies between. `last` draws whatever the time. */
void progress_update(struct progress *progress, const struct progress_line *line, bool last);
/* That line as text of less than `width` columns, for who draws several: false where none is due after `interval` seconds. */
bool progress_text(struct progress *progress, const struct progress_line *line, double interval, int width, char *text, size_t size);

/* The size of the terminal on standard output; both stay as they are where there is none, or it doesn't say. */
void progress_terminal(int *columns, int *lines);

#endif
