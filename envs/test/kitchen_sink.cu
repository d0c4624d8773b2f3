/* Kernels of test/kitchen_sink. */
#include "cuda/lane_kernels.h"
#include "envs/test/kitchen_sink.c"
