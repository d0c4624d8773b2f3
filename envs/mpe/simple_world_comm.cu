/* Kernels of mpe/simple_world_comm. */
#include "cuda/lane_kernels.h"
#include "envs/mpe/simple_world_comm.c"
