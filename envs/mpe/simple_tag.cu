/* Kernels of mpe/simple_tag. */
#include "cuda/lane_kernels.h"
#include "envs/mpe/simple_tag.c"
