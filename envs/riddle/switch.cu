/* Kernels of riddle/switch. */
#include "cuda/lane_kernels.h"
#include "envs/riddle/switch.c"
