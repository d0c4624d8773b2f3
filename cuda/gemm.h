/* Matrix products on the device: row-major float32 matrices with a row length each. By cuBLAS where the machine has it (opened by name: the
 * program starts without it), else by kernels of our own, which are also what the tests run. cuda.precision decides how cuBLAS rounds the
 * factors; our own kernels never round them. MAPPO_CUBLAS=0 in the environment does without cuBLAS. */
#ifndef MAPPO_CUDA_GEMM_H
#define MAPPO_CUDA_GEMM_H

#include "cuda/cuda.h"

/* Of rows first … first + rows - 1 of a batch, as many as there are at the moment (struct batch). */
struct live_rows {
    const int32_t *count; /* NULL = all */
    int batch_rows, first, rows;
};

/* C [m][n] = op(A) op(B), op(A) is [m][k], op(B) [k][n]. Of the layers use
 *   rows [R][K] · W [N][K]ᵀ     rows through a layer
 *   g [R][N] · W [N][K]         gradients back through it
 *   g [R][N]ᵀ · rows [R][K]     gradients of its weights */
struct gemm {
    float *c;
    const float *a, *b;
    int m, n, k;
    int ldc, lda, ldb;                  /* floats from row to row */
    bool transpose_a, transpose_b, add; /* add: C += */
    struct live_rows live;              /* with a count: only these of the m rows of C are made */
};

static inline __device__ int live_count(const struct live_rows *l)
{
    if (!l->count) return l->rows;
    const int64_t left = (int64_t)*l->count * l->batch_rows - l->first;
    return left < 0 ? 0 : left < l->rows ? (int)left : l->rows;
}

void gemm_open(struct cuda *cuda); /* before the first product; allocates; again: nothing */
void gemm_close(struct cuda *cuda);
void gemm_run(struct cuda *cuda, const struct gemm *product);

/* c [rows][outputs] = a [rows][inputs] b [outputs][inputs]ᵀ, for measuring */
void gemm_rate_product(struct cuda *cuda, float *c, const float *a, const float *b, int rows, int outputs, int inputs);

#endif
