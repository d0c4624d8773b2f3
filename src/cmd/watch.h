/* The page of `mappo watch`: what a run's folder tells, as lines of text. */
#ifndef MAPPO_CMD_WATCH_H
#define MAPPO_CMD_WATCH_H

#include <stdio.h>

#include "run/metrics_file.h"
#include "run/run_list.h"

struct watch_page {
    int width, height; /* columns and lines that there are room for */
    bool unicode;      /* else ASCII alone */
    bool live;         /* drawn anew until a key ends it, which is named then */
};
/* At most `height` lines of at most `width` columns, each with its '\n'. */
void watch_print(FILE *out, const struct watch_page *page, const struct run_told *run, const struct metrics_file *metrics);

#endif
