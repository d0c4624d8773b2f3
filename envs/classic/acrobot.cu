/* Kernels of classic/acrobot. */
#include "cuda/lane_kernels.h"
#include "envs/classic/acrobot.c"
