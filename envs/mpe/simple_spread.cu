/* Kernels of mpe/simple_spread. */
#include "cuda/lane_kernels.h"
#include "envs/mpe/simple_spread.c"
