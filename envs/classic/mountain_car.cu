/* Kernels of classic/mountain_car. */
#include "cuda/lane_kernels.h"
#include "envs/classic/mountain_car.c"
