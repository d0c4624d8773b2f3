/* Kernels of mpe/simple_reference. */
#include "cuda/lane_kernels.h"
#include "envs/mpe/simple_reference.c"
