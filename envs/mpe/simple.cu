/* Kernels of mpe/simple. */
#include "cuda/lane_kernels.h"
#include "envs/mpe/simple.c"
