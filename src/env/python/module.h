/* What worker processes run, compiled in. */
#ifndef MAPPO_ENV_PYTHON_MODULE_H
#define MAPPO_ENV_PYTHON_MODULE_H

#include <stddef.h>

/* All src/env/python/<name>.py: name, text, name, text …, each terminated; `bytes` of them all. */
const char *python_modules(size_t *bytes);

#endif
