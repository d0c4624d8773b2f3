/* Kernels of hanabi/game. */
#include "cuda/lane_kernels.h"
#include "envs/hanabi/game.c"
