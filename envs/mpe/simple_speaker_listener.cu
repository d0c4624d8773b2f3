/* Kernels of mpe/simple_speaker_listener. */
#include "cuda/lane_kernels.h"
#include "envs/mpe/simple_speaker_listener.c"
