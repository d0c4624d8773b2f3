/* The table of algorithms, alone in this file: a program that is linked with the library has these unless it brings a table of its own. */
#include "algo/algorithm.h"

#define ALGORITHM(name, shares, help) extern const struct algorithm_functions name##_functions;
#include "config/algorithms.def"

const struct algorithm_type algorithms[] = {
#define ALGORITHM(name, shares, help) {#name, help, &name##_functions},
#include "config/algorithms.def"
    {NULL, NULL, NULL}};
