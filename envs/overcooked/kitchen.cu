/* Kernels of overcooked/kitchen. */
#include "cuda/lane_kernels.h"
#include "envs/overcooked/kitchen.c"
