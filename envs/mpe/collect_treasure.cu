/* Kernels of mpe/collect_treasure. */
#include "cuda/lane_kernels.h"
#include "envs/mpe/collect_treasure.c"
