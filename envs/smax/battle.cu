/* Kernels of smax/battle. */
#include "cuda/lane_kernels.h"
#include "envs/smax/battle.c"
