/* Sums within a block of CUDA_THREADS threads and over blocks, always in the same order. */
#ifndef MAPPO_CUDA_REDUCE_H
#define MAPPO_CUDA_REDUCE_H

#include "cuda/cuda.h"

enum {
    WARP = 32,
    BLOCK_WARPS = CUDA_THREADS / WARP,
    PASSES_AT_ONCE = 16, /* of one launch: parameters of a kernel have 4 KB */
    PARTIAL_BLOCKS = 256 /* at most, per pass: the last one adds them up, a thread each */
};

/* How many blocks share n items: a function of n alone. */
static inline int partial_blocks(size_t n, int items_of_a_block)
{
    const size_t blocks = (n + (size_t)items_of_a_block - 1) / (size_t)items_of_a_block;
    return blocks < 1 ? 1 : blocks > PARTIAL_BLOCKS ? PARTIAL_BLOCKS : (int)blocks;
}

/* The sum over all threads of a block, for all of them. */
static __device__ inline double block_sum(double x)
{
    __shared__ double of_warp[BLOCK_WARPS];
    for (int distance = WARP / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
    __syncthreads(); /* of an earlier sum, all have read */
    if (threadIdx.x % WARP == 0) of_warp[threadIdx.x / WARP] = x;
    __syncthreads();
    double sum = 0;
    for (int w = 0; w < BLOCK_WARPS; w++) sum += of_warp[w];
    return sum;
}

/* The sum over the threads before this one; *total: over all of the block. */
static __device__ inline int block_scan(int x, int *total)
{
    __shared__ int of_warp[BLOCK_WARPS];
    const int in_warp = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
    int sum = x;
    for (int step = 1; step < WARP; step *= 2) {
        const int before = __shfl_up_sync(0xffffffffu, sum, step);
        if (in_warp >= step) sum += before;
    }
    __syncthreads();
    if (in_warp == WARP - 1) of_warp[warp] = sum;
    __syncthreads();
    int first = 0;
    *total = 0;
    for (int w = 0; w < BLOCK_WARPS; w++) {
        if (w < warp) first += of_warp[w];
        *total += of_warp[w];
    }
    return first + sum - x;
}

/* Called by all threads of each of `blocks` blocks when they have written their part: true in the last one, which then sees what the others
 * have written (read it as volatile). Leaves the ticket at 0 for the next time. */
static __device__ inline bool last_block(unsigned *ticket, unsigned blocks)
{
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(ticket, 1u) == blocks - 1;
        if (last) *ticket = 0;
    }
    __syncthreads();
    __threadfence();
    return last;
}

/* Quotients of 64 bits are slow and seldom needed. */
static __device__ inline size_t divided(size_t a, int b)
{
    return a <= 0xffffffffu ? (size_t)((unsigned)a / (unsigned)b) : a / (size_t)b;
}

#endif
