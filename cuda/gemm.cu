/* Matrix products: see gemm.h. cuBLAS chooses how to add up by all sizes of a product, and promises the same bits every time on one model
 * of GPU as long as it works on one stream with a work space of ours. */
#include <dlfcn.h>
#include <string.h>

#include "cuda/gemm.h"

extern "C" {
#include "base/text.h"
}

static const size_t library_space = (size_t)32 << 20; /* what NVIDIA recommends for Hopper; earlier ones take less */

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
    void *library, *handle; /* NULL = our own kernels do all */
    cublas_product_function *product;
    cublas_close_function *close;
    int compute;
    void *space;    /* the library's */
    float *partial; /* [product_partial_floats] */
    bool tf32;      /* factors of our own kernels are rounded */
    char name[32];
};

static struct products *products_of(const struct cuda *cuda)
{
    return static_cast<struct products *>(cuda->gemm);
}

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
    warn("no cuBLAS that starts (libcublas.so.%d or another): gradients of layers' weights are computed by a slower kernel of our own, in "
         "float32 whatever cuda.precision says",
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

/* ---- what others call ---------------------------------------------------------------------------------------------------------------- */

void gemm_open(struct cuda *cuda)
{
    if (cuda->gemm) return;
    struct products *g = static_cast<struct products *>(calloc(1, sizeof *g));
    if (!g) die(EXIT_USAGE, "no memory on the host for %zu bytes", sizeof *g);
    cuda->gemm = g;
    g->compute = cuda->precision == PRECISION_BF16 ? COMPUTE_BFLOAT16 : cuda->precision == PRECISION_TF32 ? COMPUTE_TF32 : COMPUTE_FLOAT;
    g->tf32 = cuda->precision != PRECISION_FP32 && product_has_tf32();
    g->partial = static_cast<float *>(cuda_take(cuda, "partial matrix products", product_partial_floats() * sizeof(float)));
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
    if (!p->transpose_a)
        product_of_rows(cuda, p, g->tf32);
    else if (g->handle)
        multiply_there(g, p);
    else
        product_over_rows(cuda, p, g->partial);
}

void gemm_rate_product(struct cuda *cuda, float *c, const float *a, const float *b, int rows, int outputs, int inputs, bool library)
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
    if (library && products_of(cuda)->handle)
        multiply_there(products_of(cuda), &p);
    else
        gemm_run(cuda, &p);
}
