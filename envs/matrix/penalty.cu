/* Kernels of matrix/penalty. */
#include "cuda/lane_kernels.h"
#include "envs/matrix/penalty.c"
