/* Kernels of mpe/simple_crypto. */
#include "cuda/lane_kernels.h"
#include "envs/mpe/simple_crypto.c"
