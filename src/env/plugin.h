/* Environments from shared objects. A plugin runs with all rights of the user, so only files that nobody else could have put there are
 * opened. */
#ifndef MAPPO_ENV_PLUGIN_H
#define MAPPO_ENV_PLUGIN_H

#include <stdbool.h>

#include "base/check.h"
#include "env/mappo_env.h"

bool plugin_is_path(const char *name); /* has a slash and ends in .so */

/* Opens it once; asking again gives the same descriptor. Refused: not a regular file, owner neither the user nor root, file or folder
 * writable by everyone, symbols missing, another ABI number, a required function missing. A file or folder writable by its group is opened
 * with a warning. EXIT_ENVIRONMENT. */
int plugin_open(const char *path, const struct mappo_env **env, struct error *err);
/* Of the file that it was loaded from: SHA-256 in hexadecimal; NULL for an environment that is built in. */
const char *plugin_digest(const struct mappo_env *env);
/* What it exports beside its descriptor; NULL for one without kernels, and for an environment that is built in. */
const struct mappo_kernels *plugin_kernels(const struct mappo_env *env);

#endif
