/* Matrix products: see gemm.h. Sums have a fixed order that depends on the sizes only; cuBLAS promises the same on one GPU model as long as
 * it works on one stream with a work space of ours. */
#include <dlfcn.h>
#include <string.h>

#include "cuda/gemm.h"

extern "C" {
#include "base/text.h"
}

enum {
    SIDE = 64,             /* a block makes SIDE x SIDE of C, a thread 4 x 4 */
    DEPTH = 16,            /* of the factors in shared memory at a time */
    SHARED_ROW = SIDE + 4, /* a row there: 16-byte aligned, and not all rows on the same bank */
    OF_A_THREAD = SIDE * DEPTH / CUDA_THREADS,
    SPLIT_ROWS = 256,   /* a long sum is cut into parts of at least so many */
    SPLIT_BLOCKS = 512, /* as long as there are fewer blocks than this */
    PARTIAL_FLOATS = SPLIT_BLOCKS * SIDE * SIDE
};
static const size_t library_space = (size_t)32 << 20; /* what NVIDIA recommends for Hopper; earlier ones take less */

/* ---- our own kernels ----------------------------------------------------------------------------------------------------------------- */

/* C [m][n] = Σ_k A(m, k) B(k, n) with A(m, k) = a[m a_m + k a_k], B(k, n) = b[k b_k + n b_n]; one of the strides of each is 1. */
struct tiling {
    const float *a, *b;
    float *c; /* [splits][m][n] partial sums where splits > 1 */
    int m, n, k, ldc, splits;
    size_t a_m, a_k, b_k, b_n;
    bool add;
    struct live_rows live;
};

/* Part of a factor [DEPTH][SIDE], on its way in registers: `side` counts along m or n, `depth` along k. The threads go along the side that
 * is contiguous in memory. */
struct staging {
    const float *from;
    size_t by_side, by_depth;
    int sides; /* that there are from the block's first on */
};

static __device__ __forceinline__ void stage_place(const struct staging *s, int i, int *side, int *depth)
{
    const int t = (int)threadIdx.x;
    if (s->by_depth == 1) {
        *depth = t % DEPTH;
        *side = t / DEPTH + CUDA_THREADS / DEPTH * i;
    } else {
        *side = t % SIDE;
        *depth = t / SIDE + CUDA_THREADS / SIDE * i;
    }
}

static __device__ __forceinline__ void stage_load(const struct staging *s, int k, int end, float (&value)[OF_A_THREAD])
{
#pragma unroll
    for (int i = 0; i < OF_A_THREAD; i++) {
        int side, depth;
        stage_place(s, i, &side, &depth);
        value[i] = side < s->sides && k + depth < end ? s->from[(size_t)side * s->by_side + (size_t)(k + depth) * s->by_depth] : 0.0f;
    }
}

static __device__ __forceinline__ void stage_store(const struct staging *s, float (*to)[SHARED_ROW], const float (&value)[OF_A_THREAD])
{
#pragma unroll
    for (int i = 0; i < OF_A_THREAD; i++) {
        int side, depth;
        stage_place(s, i, &side, &depth);
        to[depth][side] = value[i];
    }
}

static __device__ __forceinline__ void add_product(float (&sum)[4][4], float4 a, float4 b)
{
    const float x[4] = {a.x, a.y, a.z, a.w}, y[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] += x[i] * y[j];
    }
}

/* grid: n / SIDE, m / SIDE, splits */
static __global__ void __launch_bounds__(CUDA_THREADS) product_kernel(const struct tiling p)
{
    __shared__ __align__(16) float a[DEPTH][SHARED_ROW], b[DEPTH][SHARED_ROW];
    const int m0 = (int)blockIdx.y * SIDE, n0 = (int)blockIdx.x * SIDE, part = (int)blockIdx.z;
    const int m = p.live.count ? live_count(&p.live) : p.m;
    if (m0 >= m) return;
    const int steps = (p.k + DEPTH - 1) / DEPTH;
    const int first = (int)((int64_t)steps * part / p.splits) * DEPTH, last = (int)((int64_t)steps * (part + 1) / p.splits) * DEPTH;
    const int end = last < p.k ? last : p.k;
    const struct staging of_a = {p.a + (size_t)m0 * p.a_m, p.a_m, p.a_k, m - m0}, of_b = {p.b + (size_t)n0 * p.b_n, p.b_n, p.b_k, p.n - n0};
    const int row = (int)threadIdx.x / 16 * 4, column = (int)threadIdx.x % 16 * 4;
    float sum[4][4] = {{0}}, next_a[OF_A_THREAD], next_b[OF_A_THREAD];
    stage_load(&of_a, first, end, next_a);
    stage_load(&of_b, first, end, next_b);
    for (int k = first; k < end; k += DEPTH) {
        __syncthreads(); /* all have read what was there */
        stage_store(&of_a, a, next_a);
        stage_store(&of_b, b, next_b);
        __syncthreads();
        stage_load(&of_a, k + DEPTH, end, next_a);
        stage_load(&of_b, k + DEPTH, end, next_b);
#pragma unroll
        for (int d = 0; d < DEPTH; d++)
            add_product(sum, *reinterpret_cast<const float4 *>(&a[d][row]), *reinterpret_cast<const float4 *>(&b[d][column]));
    }
    float *c = p.c + (size_t)part * (size_t)p.m * (size_t)p.n + (size_t)(m0 + row) * (size_t)p.ldc + (size_t)(n0 + column);
#pragma unroll
    for (int i = 0; i < 4; i++, c += p.ldc) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (m0 + row + i < m && n0 + column + j < p.n) c[j] = p.add ? c[j] + sum[i][j] : sum[i][j];
        }
    }
}

/* C [m][n] (+)= the sum of partial [splits][m n] in their order */
static __global__ void partial_kernel(float *c, int ldc, const float *partial, int m, int n, int splits, bool add)
{
    const size_t all = (size_t)m * (size_t)n, i = (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x;
    if (i >= all) return;
    float sum = 0;
#pragma unroll 8
    for (int s = 0; s < splits; s++) sum += partial[(size_t)s * all + i];
    float *to = c + i / (size_t)n * (size_t)ldc + i % (size_t)n;
    *to = add ? *to + sum : sum;
}

/* Enough blocks to fill a device, from sizes alone: the order of the sums is the same on every device. */
static int splits_of(const struct gemm *p)
{
    if (!p->transpose_a) return 1; /* k is as short as a layer is wide */
    const int tiles = (int)(cuda_blocks((size_t)p->m, SIDE) * cuda_blocks((size_t)p->n, SIDE));
    const int parts = (p->k + SPLIT_ROWS - 1) / SPLIT_ROWS, most = tiles < SPLIT_BLOCKS ? SPLIT_BLOCKS / tiles : 1;
    return parts < most ? parts : most;
}

static void multiply_here(struct cuda *cuda, const struct gemm *p, float *partial)
{
    const int splits = splits_of(p);
    struct tiling t;
    t.a = p->a;
    t.b = p->b;
    t.c = splits > 1 ? partial : p->c;
    t.m = p->m;
    t.n = p->n;
    t.k = p->k;
    t.ldc = splits > 1 ? p->n : p->ldc;
    t.splits = splits;
    t.a_m = p->transpose_a ? 1 : (size_t)p->lda;
    t.a_k = p->transpose_a ? (size_t)p->lda : 1;
    t.b_k = p->transpose_b ? 1 : (size_t)p->ldb;
    t.b_n = p->transpose_b ? (size_t)p->ldb : 1;
    t.add = splits == 1 && p->add;
    t.live = p->live;
    LAUNCH(product_kernel, dim3(cuda_blocks((size_t)p->n, SIDE), cuda_blocks((size_t)p->m, SIDE), (unsigned)splits), CUDA_THREADS, 0,
           cuda->stream, t);
    LAUNCHED("product");
    if (splits == 1) return;
    LAUNCH(partial_kernel, cuda_blocks((size_t)p->m * (size_t)p->n, CUDA_THREADS), CUDA_THREADS, 0, cuda->stream, p->c, p->ldc,
           (const float *)partial, p->m, p->n, splits, p->add);
    LAUNCHED("partial products");
}

/* ---- cuBLAS: the few of its declarations that are needed, the same in 11, 12 and 13 -------------------------------------------------- */

enum { CUBLAS_PLAIN = 0, CUBLAS_TRANSPOSED = 1, CUBLAS_FLOAT = 0, CUBLAS_DEFAULT_ALGORITHM = -1 };
enum { COMPUTE_FLOAT = 68, COMPUTE_BFLOAT16 = 75, COMPUTE_TF32 = 77 };

typedef int cublas_handle_function(void **handle);
typedef int cublas_close_function(void *handle);
typedef int cublas_stream_function(void *handle, cudaStream_t stream);
typedef int cublas_space_function(void *handle, void *space, size_t bytes);
typedef int cublas_property_function(int property, int *value); /* 0: major version, 1: minor */
typedef int cublas_product_function(void *handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha, const void *a,
                                    int a_type, int lda, const void *b, int b_type, int ldb, const void *beta, void *c, int c_type, int ldc,
                                    int compute, int algorithm);

struct products {
    void *library, *handle; /* NULL = our own kernels */
    cublas_product_function *product;
    cublas_close_function *close;
    int compute;
    void *space;    /* the library's */
    float *partial; /* [PARTIAL_FLOATS] */
    char name[32];
};

static struct products *products_of(const struct cuda *cuda)
{
    return static_cast<struct products *>(cuda->gemm);
}

#ifdef __NVCC__
static bool library_start(struct cuda *cuda, struct products *g)
{
    cublas_handle_function *create = (cublas_handle_function *)dlsym(g->library, "cublasCreate_v2");
    cublas_stream_function *set_stream = (cublas_stream_function *)dlsym(g->library, "cublasSetStream_v2");
    cublas_space_function *set_space = (cublas_space_function *)dlsym(g->library, "cublasSetWorkspace_v2");
    cublas_property_function *get_property = (cublas_property_function *)dlsym(g->library, "cublasGetProperty");
    g->close = (cublas_close_function *)dlsym(g->library, "cublasDestroy_v2");
    g->product = (cublas_product_function *)dlsym(g->library, "cublasGemmEx");
    if (!create || !set_stream || !set_space || !get_property || !g->close || !g->product) return false;
    if (create(&g->handle) != 0) {
        g->handle = NULL;
        return false;
    }
    if (!g->space) g->space = cuda_take(cuda, "work space of cuBLAS", library_space);
    int major = 0, minor = 0;
    /* The stream first: setting it gives the work space back. */
    if (set_stream(g->handle, cuda->stream) != 0 || set_space(g->handle, g->space, library_space) != 0 || get_property(0, &major) != 0 ||
        get_property(1, &minor) != 0) {
        g->close(g->handle);
        g->handle = NULL;
        return false;
    }
    snprintf(g->name, sizeof g->name, "cuBLAS %d.%d", major, minor);
    return true;
}

static bool library_try(struct cuda *cuda, struct products *g, const char *file)
{
    g->library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); /* what it does at exit must still be there */
    if (!g->library) return false;
    if (library_start(cuda, g)) return true;
    dlclose(g->library);
    g->library = NULL;
    return false;
}

/* The version of the runtime first, then any other that the driver may know; where the loader looks, then where toolkits are installed. */
static void library_open(struct cuda *cuda, struct products *g)
{
    const int versions[] = {CUDART_VERSION / 1000, 13, 12, 11};
    const char *const homes[] = {getenv("CUDA_HOME"), getenv("CUDA_PATH"), "/usr/local/cuda"};
    for (size_t v = 0; v < sizeof versions / sizeof *versions; v++) {
        char file[512];
        snprintf(file, sizeof file, "libcublas.so.%d", versions[v]);
        if (library_try(cuda, g, file)) return;
        for (size_t h = 0; h < sizeof homes / sizeof *homes; h++) {
            if (!homes[h]) continue;
            snprintf(file, sizeof file, "%s/lib64/libcublas.so.%d", homes[h], versions[v]);
            if (library_try(cuda, g, file)) return;
        }
    }
    warn("no cuBLAS that starts (libcublas.so.%d or another): products of layers are computed by a slower kernel of our own, in float32 "
         "whatever cuda.precision says",
         CUDART_VERSION / 1000);
}

/* cuBLAS counts columns first: its matrices are ours transposed, so it is asked for Cᵀ = op(B)ᵀ op(A)ᵀ. It loads a kernel when it needs it
 * for the first time, which may be while calls are recorded: the thread is allowed to. */
static void multiply_there(const struct products *g, const struct gemm *p)
{
    const float one = 1, before = p->add ? 1.0f : 0.0f;
    const int of_a = p->transpose_a ? CUBLAS_TRANSPOSED : CUBLAS_PLAIN, of_b = p->transpose_b ? CUBLAS_TRANSPOSED : CUBLAS_PLAIN;
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    CUDA(cudaThreadExchangeStreamCaptureMode(&mode), "preparing a matrix product");
    const int status = g->product(g->handle, of_b, of_a, p->n, p->m, p->k, &one, p->b, CUBLAS_FLOAT, p->ldb, p->a, CUBLAS_FLOAT, p->lda,
                                  &before, p->c, CUBLAS_FLOAT, p->ldc, g->compute, CUBLAS_DEFAULT_ALGORITHM);
    CUDA(cudaThreadExchangeStreamCaptureMode(&mode), "a matrix product");
    if (status != 0)
        die(EXIT_PEERS, "%s failed with status %d in a product of %d x %d x %d; MAPPO_CUBLAS=0 in the environment does without it", g->name,
            status, p->m, p->n, p->k);
}
#else /* the emulated device has none */
static void library_open(struct cuda *cuda, struct products *g)
{
    (void)cuda;
    (void)g;
}

static void multiply_there(const struct products *g, const struct gemm *p)
{
    (void)g;
    (void)p;
}
#endif

/* ---- what others call ---------------------------------------------------------------------------------------------------------------- */

void gemm_open(struct cuda *cuda)
{
    if (cuda->gemm) return;
    struct products *g = static_cast<struct products *>(calloc(1, sizeof *g));
    if (!g) die(EXIT_USAGE, "no memory on the host for %zu bytes", sizeof *g);
    cuda->gemm = g;
    g->compute = cuda->precision == PRECISION_BF16 ? COMPUTE_BFLOAT16 : cuda->precision == PRECISION_TF32 ? COMPUTE_TF32 : COMPUTE_FLOAT;
    g->partial = static_cast<float *>(cuda_take(cuda, "partial matrix products", PARTIAL_FLOATS * sizeof(float)));
    const char *wanted = getenv("MAPPO_CUBLAS");
    if (wanted && strcmp(wanted, "0") == 0) return;
    if (cuda->backend.planning) {
        g->space = cuda_take(cuda, "work space of cuBLAS", library_space); /* it may be there */
    } else {
        library_open(cuda, g);
        /* The first lines of a run say what multiplies. */
        char *detail = cuda->backend.detail;
        const size_t used = strlen(detail), room = sizeof cuda->backend.detail;
        if (g->handle) text_format(detail + used, room - used, ", %s", g->name);
    }
}

void gemm_close(struct cuda *cuda)
{
    struct products *g = products_of(cuda);
    if (!g) return;
    if (g->handle) g->close(g->handle);
    if (g->library) dlclose(g->library);
    cuda_give(cuda, g->partial);
    if (g->space) cuda_give(cuda, g->space);
    free(g);
    cuda->gemm = NULL;
}

void gemm_run(struct cuda *cuda, const struct gemm *p)
{
    const struct products *g = products_of(cuda);
    CHECK(g != NULL, "matrix product before gemm_open");
    if (p->m == 0 || p->n == 0) return;
    /* cuBLAS can't know how many rows there are at the moment: mostly far fewer than there is room for. */
    if (g->handle && !p->live.count) {
        multiply_there(g, p);
    } else {
        multiply_here(cuda, p, g->partial);
    }
}

void gemm_rate_product(struct cuda *cuda, float *c, const float *a, const float *b, int rows, int outputs, int inputs)
{
    struct gemm p;
    memset(&p, 0, sizeof p);
    p.transpose_b = true;
    p.m = rows;
    p.n = outputs;
    p.k = inputs;
    p.a = a;
    p.b = b;
    p.c = c;
    p.lda = p.ldb = inputs;
    p.ldc = outputs;
    gemm_open(cuda);
    gemm_run(cuda, &p);
}
