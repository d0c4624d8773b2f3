/* The reference's recurrent updates through the passes of the CUDA backend. */
#define TESTED_BACKEND "cuda"
#include "parity/test_recurrent.c"
