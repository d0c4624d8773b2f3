/* Kernels of mpe/simple_line. */
#include "cuda/lane_kernels.h"
#include "envs/mpe/simple_line.c"
