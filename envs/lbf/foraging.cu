/* Kernels of lbf/foraging. */
#include "cuda/lane_kernels.h"
#include "envs/lbf/foraging.c"
