/* Kernels of mpe/simple_adversary. */
#include "cuda/lane_kernels.h"
#include "envs/mpe/simple_adversary.c"
