/* Kernels of test/wide. */
#include "cuda/lane_kernels.h"
#include "envs/test/wide.c"
