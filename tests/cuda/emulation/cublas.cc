/* As much of cuBLAS as cuda/gemm.cu asks for, which finds it as it finds the real one (emulation_dlopen). Like the real one it chooses by
 * all sizes of a product how to add up, so an element has other bits where there are more rows, and it rounds the factors where that is
 * asked for. Matrices are stored column by column. */
#include "emulation.h"

#include <vector>

#define EXPORTED extern "C" __attribute__((visibility("default")))

enum { DONE = 0, NOT_INITIALISED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13 };
enum { TYPE_FLOAT = 0 };
enum { COMPUTE_FLOAT = 68, COMPUTE_BFLOAT16 = 75, COMPUTE_TF32 = 77 };
enum { TILE = 64, VECTOR_PARTS = 32, PARTS_MOST = 8 };

struct emulated_cublas {
    cudaStream_t stream;
};

struct product {
    int m, n, k, lda, ldb, ldc, compute;
    bool transpose_a, transpose_b;
    float alpha, beta;
    const float *a, *b;
    float *c;
};

/* To the nearest number with so many bits after the point. */
static float rounded(float x, int bits)
{
    const uint32_t lost = 1u << (23 - bits), word = emulation_bits<uint32_t>(x);
    return x == x && lost > 1 ? emulation_bits<float>((word + lost / 2) & ~(lost - 1)) : x;
}

static int bits_of(int compute)
{
    return compute == COMPUTE_BFLOAT16 ? 7 : compute == COMPUTE_TF32 ? 10 : 23;
}

/* How many sums an element is made of, part p of every parts-th product from p on: many for vectors, and where there are few tiles. */
static int parts_of(const struct product *p)
{
    const int tiles = ((p->m + TILE - 1) / TILE) * ((p->n + TILE - 1) / TILE);
    if (p->m == 1 || p->n == 1) return VECTOR_PARTS;
    return tiles < PARTS_MOST ? PARTS_MOST + 1 - tiles : 1;
}

/* Factors as [m][k] and [n][k], rounded. */
static std::vector<float> gathered(const float *from, size_t by_side, size_t by_depth, int sides, int depth, int bits)
{
    std::vector<float> to((size_t)sides * (size_t)depth);
    for (size_t s = 0; s < (size_t)sides; s++)
        for (size_t d = 0; d < (size_t)depth; d++) to[s * (size_t)depth + d] = rounded(from[s * by_side + d * by_depth], bits);
    return to;
}

static void multiply(const struct product *p)
{
    const int bits = bits_of(p->compute), parts = parts_of(p);
    const size_t lda = (size_t)p->lda, ldb = (size_t)p->ldb, k = (size_t)p->k;
    const std::vector<float> a = gathered(p->a, p->transpose_a ? lda : 1, p->transpose_a ? 1 : lda, p->m, p->k, bits);
    const std::vector<float> b = gathered(p->b, p->transpose_b ? 1 : ldb, p->transpose_b ? ldb : 1, p->n, p->k, bits);
    for (size_t n = 0; n < (size_t)p->n; n++) {
        for (size_t m = 0; m < (size_t)p->m; m++) {
            const float *x = &a[m * k], *y = &b[n * k];
            float sum[VECTOR_PARTS] = {0}, all = 0, *c = p->c + n * (size_t)p->ldc + m;
            for (size_t i = 0; i < k; i += (size_t)parts)
                for (size_t j = 0; j < (size_t)parts && i + j < k; j++) sum[j] += x[i + j] * y[i + j];
            for (int j = 0; j < parts; j++) all += sum[j];
            *c = p->beta == 0 ? p->alpha * all : p->alpha * all + p->beta * *c; /* what is overwritten is not read */
        }
    }
}

EXPORTED int cublasCreate_v2(void **handle)
{
    *handle = new emulated_cublas();
    return DONE;
}

EXPORTED int cublasDestroy_v2(void *handle)
{
    delete static_cast<struct emulated_cublas *>(handle);
    return DONE;
}

EXPORTED int cublasSetStream_v2(void *handle, cudaStream_t stream)
{
    static_cast<struct emulated_cublas *>(handle)->stream = stream;
    return DONE;
}

EXPORTED int cublasSetWorkspace_v2(void *handle, void *space, size_t bytes)
{
    return handle && bytes && emulation_knows(space) ? DONE : INVALID_VALUE;
}

EXPORTED int cublasGetProperty(int property, int *value)
{
    *value = property == 0 ? CUDART_VERSION / 1000 : 0;
    return DONE;
}

EXPORTED int cublasGemmEx(void *handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha, const void *a, int a_type,
                          int lda, const void *b, int b_type, int ldb, const void *beta, void *c, int c_type, int ldc, int compute, int)
{
    if (!handle) return NOT_INITIALISED;
    if (m < 0 || n < 0 || k < 0 || lda < (transpose_a ? k : m) || ldb < (transpose_b ? n : k) || ldc < m) return INVALID_VALUE;
    if (a_type != TYPE_FLOAT || b_type != TYPE_FLOAT || c_type != TYPE_FLOAT) return INVALID_VALUE;
    if (compute != COMPUTE_FLOAT && compute != COMPUTE_BFLOAT16 && compute != COMPUTE_TF32) return INVALID_VALUE;
    if (!emulation_knows(a) || !emulation_knows(b) || !emulation_knows(c)) return INVALID_VALUE;
    const struct product p = {m,
                              n,
                              k,
                              lda,
                              ldb,
                              ldc,
                              compute,
                              transpose_a != 0,
                              transpose_b != 0,
                              *static_cast<const float *>(alpha),
                              *static_cast<const float *>(beta),
                              static_cast<const float *>(a),
                              static_cast<const float *>(b),
                              static_cast<float *>(c)};
    const cudaStream_t stream = static_cast<struct emulated_cublas *>(handle)->stream;
    return emulation_later(stream, [p] { multiply(&p); }) == cudaSuccess ? DONE : EXECUTION_FAILED;
}
