/* The descriptor of all environments that are written in Python: their copies live in worker processes (workers.h), which read actions from
 * and write results into memory that both share (window.h). names.h makes one of each source. */
#ifndef MAPPO_ENV_PYTHON_PYTHON_ENV_H
#define MAPPO_ENV_PYTHON_PYTHON_ENV_H

#include "env/mappo_env.h"

extern const struct mappo_env python_env;

#endif
