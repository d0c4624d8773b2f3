/* Configuration files as text in memory. Inside config/. */
#ifndef MAPPO_CONFIG_FILE_H
#define MAPPO_CONFIG_FILE_H

#include "base/check.h"

/* Bytes of a line that every libinih takes (its buffer of 200 also holds the end of line). */
enum { CONFIG_LINE = 198 };

/* The whole file (a pipe too) as text from malloc, which the caller frees. EXIT_USAGE where it can't be read or is no text. */
int config_file_read(const char *path, char **text, struct error *err);

#endif
