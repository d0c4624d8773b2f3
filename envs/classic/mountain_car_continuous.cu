/* Kernels of classic/mountain_car_continuous. */
#include "cuda/lane_kernels.h"
#include "envs/classic/mountain_car_continuous.c"
