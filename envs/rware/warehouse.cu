/* Kernels of rware/warehouse. */
#include "cuda/lane_kernels.h"
#include "envs/rware/warehouse.c"
