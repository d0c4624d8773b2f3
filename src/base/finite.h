/* Is every number of an array one? */
#ifndef MAPPO_BASE_FINITE_H
#define MAPPO_BASE_FINITE_H

#include <stdbool.h>
#include <stddef.h>

bool all_finite(const float *x, size_t n);

#endif
