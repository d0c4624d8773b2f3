/* The files of a run's folder that people read: config.ini, log.txt and metrics.jsonl. A folder is its user's, too: what the run did not
 * write is never replaced without a message and a copy, and what somebody takes away meanwhile comes back. Rank 0 only. */
#ifndef MAPPO_RUN_OWN_FILES_H
#define MAPPO_RUN_OWN_FILES_H

#include <stdio.h>

#include "config/config.h"

/* Writes <folder>/config.ini. What stands there and was not written by a run, or was edited since, is set aside with a warning; where the
 * run is `continued`, that names what of it is not in force and how it can be. */
int own_config_write(const char *folder, const struct config *config, const struct arguments *args, bool continued, struct error *err);
/* The same warning where nothing is written: the run is finished. */
void own_config_check(const char *folder, const struct config *config);

/* A file that is appended to as long as the run lasts: "a+", close it with fclose. EXIT_USAGE. */
int own_file_open(FILE **file, const char *path, struct error *err);
/* Where `path` is no longer that file, all of it is written there anew, with a warning. False where it can't be. */
bool own_file_look(FILE *file, const char *path);

#endif
