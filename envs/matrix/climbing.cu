/* Kernels of matrix/climbing. */
#include "cuda/lane_kernels.h"
#include "envs/matrix/climbing.c"
