/* Kernels of classic/cartpole. */
#include "cuda/lane_kernels.h"
#include "envs/classic/cartpole.c"
