/* Matrix products on the device: row-major float32 matrices with a row length each.
 *
 * Products whose rows are rows of a batch are made by kernels of our own, of which a row gets the same bits whatever other rows there are
 * (docs/decisions/009). Gradients of weights, sums over all rows, are cuBLAS's where the machine has it (opened by name: the program starts
 * without it), else our own too; their bits depend on the number of rows and are the same every time. cuda.precision decides how factors
 * are rounded: our own kernels take tf32 for bf16 as well, and float32 on devices before Ampere; without cuBLAS gradients of weights are
 * float32. MAPPO_CUBLAS=0 in the environment does without cuBLAS. */
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

/* c [rows][outputs] = a [rows][inputs] b [outputs][inputs]ᵀ, for measuring; `library`: by cuBLAS where there is one */
void gemm_rate_product(struct cuda *cuda, float *c, const float *a, const float *b, int rows, int outputs, int inputs, bool library);

/* gemm_kernels.cu: our own. Of rows: A is not transposed; over rows: the sum is long and cut into parts, for which `partial` has
 * product_partial_floats. */
void product_of_rows(struct cuda *cuda, const struct gemm *product, bool tf32);
void product_over_rows(struct cuda *cuda, const struct gemm *product, float *partial);
size_t product_partial_floats(void);
bool product_has_tf32(void); /* on this device, as it was compiled */

#endif
