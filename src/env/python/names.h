/* py:SOURCE, the environments that are written in Python: each source has a descriptor of its own, which lives as long as the program.
 *
 *     py:gymnasium:ID                   of Gymnasium's registry, as py:ID
 *     py:pettingzoo:FAMILY/NAME         of PettingZoo, as py:MODULE:NAME of packages that are built like it (py:mpe2:simple_spread_v3)
 *     py:package.module:function        what a function (or class) of a module that Python finds returns
 *     py:folder/file.py:function        of a file
 *
 * Whether there is such a thing is for Python to say, when one is opened; that the file is there is looked at here. */
#ifndef MAPPO_ENV_PYTHON_NAMES_H
#define MAPPO_ENV_PYTHON_NAMES_H

#include <stdbool.h>

#include "base/check.h"
#include "env/mappo_env.h"

bool python_is_name(const char *name);  /* begins with "py:" */
bool python_is_meant(const char *name); /* would be one behind "py:", which it lacks: "gymnasium:Hopper-v5", "./file.py:make" */
/* EXIT_USAGE: nothing follows, or a file that is not there. */
int python_find(const char *name, const struct mappo_env **env, struct error *err);
/* The name by which it is found from any folder: a file's path is whole there, where its id has the file's name alone. NULL: not of Python. */
const char *python_name(const struct mappo_env *env);
/* How observations of group g of the instance that was opened last become numbers: JSON, as run/spaces.h has it. NULL: nobody has told. */
const char *python_layout(const struct mappo_env *env, int g);
/* Takes copies of an instance's. */
void python_keep_layout(const struct mappo_env *env, const char *const layout[MAPPO_MAX_GROUPS]);
/* The interpreter that MAPPO_PYTHON names, as it is found from any folder; NULL: none. Its default of env.python is what a run keeps, so that
 * it is found again from another shell: this, or that of the virtual environment that is active. */
const char *python_chosen(void);
/* What a worker is told to open. */
const char *python_source(const struct mappo_env *env);

#endif
