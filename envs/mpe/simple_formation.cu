/* Kernels of mpe/simple_formation. */
#include "cuda/lane_kernels.h"
#include "envs/mpe/simple_formation.c"
