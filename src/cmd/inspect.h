/* What `mappo inspect` is made of: inspect.c chooses and checks, inspect_show.c prints one checkpoint, inspect_compare.c two. */
#ifndef MAPPO_CMD_INSPECT_H
#define MAPPO_CMD_INSPECT_H

#include <stdbool.h>
#include <stdio.h>

#include "run/checkpoint.h"

struct inspected {
    struct checkpoint *file;
    char path[4096]; /* the file's own, also where a run was given */
};

/* Numbers as a whole; of finite values only. */
struct statistics {
    double mean, deviation, norm;
    int64_t count, not_finite;
};
struct statistics inspect_statistics(const struct field *field, int fields); /* FIELD_REAL and FIELD_DOUBLE, all together */
double inspect_number(const struct field *field, int64_t i);                 /* element i of any field, as a double */
int64_t inspect_elements(const struct field *field);
void inspect_shape(const struct field *field, char *text, size_t size);            /* "[64,18]"; "" for a scalar */
void inspect_value(const struct field *field, int64_t i, char *text, size_t size); /* with thousands separators */

void inspect_show(FILE *out, const struct inspected *one);
void inspect_show_json(FILE *out, const struct inspected *one);
/* EXIT_DONE where the training state is the same bit for bit, EXIT_DIFFERS where it is not. */
int inspect_compare(FILE *out, const struct inspected *a, const struct inspected *b, bool json);

#endif
