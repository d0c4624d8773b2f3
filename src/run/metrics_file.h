/* metrics.jsonl, read back: a column of numbers for each name in its lines, in their order. */
#ifndef MAPPO_RUN_METRICS_FILE_H
#define MAPPO_RUN_METRICS_FILE_H

#include <stdint.h>

#include "base/check.h"

struct metrics_column {
    char *name;    /* "return_mean" */
    double *value; /* [rows]; NaN where a line has null, or no such name */
};
struct metrics_file {
    char path[4096];
    int64_t offset; /* bytes read so far: whole lines */
    struct metrics_column *column;
    int columns;
    int64_t rows, room;
    int64_t lines, bad; /* that were read; of these no objects of numbers, which have no row */
    char trouble[160];  /* the first of them: "line 12: …"; "": none */
};
void metrics_file_begin(struct metrics_file *file, const char *folder);
/* Takes in the lines that have come since; all anew where the file has become shorter, as when a run goes on from a checkpoint. A file that
 * isn't there yet has none, and a line that is no object of numbers is passed over. EXIT_USAGE where it can't be read. */
int metrics_file_read(struct metrics_file *file, struct error *err);
void metrics_file_end(struct metrics_file *file);

const double *metrics_file_column(const struct metrics_file *file, const char *name); /* NULL where there is none */
double metrics_file_last(const struct metrics_file *file, const char *name);          /* NaN where there is none */

/* Of one line: calls `visit` for each of its numbers, NaN for null. EXIT_USAGE where it is no object of numbers. */
int metrics_line_numbers(const char *line, void (*visit)(void *user, const char *name, double value), void *user, struct error *err);

#endif
