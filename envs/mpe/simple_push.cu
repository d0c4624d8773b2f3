/* Kernels of mpe/simple_push. */
#include "cuda/lane_kernels.h"
#include "envs/mpe/simple_push.c"
