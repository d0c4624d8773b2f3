/* How device code is launched and calls of the CUDA runtime are checked. The tests compile the same sources against a <cuda_runtime.h> of
 * their own (tests/cuda/emulation), which runs kernels on the host and brings its own LAUNCH and DYNAMIC_SHARED. */
#ifndef MAPPO_CUDA_LAUNCH_H
#define MAPPO_CUDA_LAUNCH_H

#include <cuda_runtime.h>

/* The system's headers first: the project's own are C. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef LAUNCH
/* shared: bytes of dynamic shared memory */
#define LAUNCH(kernel, grid, block, shared, stream, ...) kernel<<<(grid), (block), (shared), (stream)>>>(__VA_ARGS__)
/* type *name = the block's dynamic shared memory, 16-byte aligned */
#define DYNAMIC_SHARED(type, name)                                                                                                         \
    extern __shared__ __align__(16) unsigned char name##_bytes[];                                                                          \
    type *name = reinterpret_cast<type *>(name##_bytes)
#endif

extern "C" {
#include "base/check.h"
}

/* Ends the run with EXIT_PEERS: what was being done, the runtime's words, what to do. Files are only ever replaced whole, so the last
 * checkpoint is good. */
MAPPO_NORETURN void cuda_failed(cudaError_t code, const char *doing);
#define CUDA(call, doing)                                                                                                                  \
    do {                                                                                                                                   \
        const cudaError_t cuda_code_ = (call);                                                                                             \
        if (cuda_code_ != cudaSuccess) cuda_failed(cuda_code_, doing);                                                                     \
    } while (0)
/* After every launch: a configuration that the device refuses is found at once, a fault while running at the next wait. */
#define LAUNCHED(name) CUDA(cudaPeekAtLastError(), "launching " name)

#endif
