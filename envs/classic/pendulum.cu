/* Kernels of classic/pendulum. */
#include "cuda/lane_kernels.h"
#include "envs/classic/pendulum.c"
