/* What the device can do, measured when asked: the ceilings that benchmarks put their figures beside. Events around many launches, after
 * one to warm up; the best of five, since others can only make a trial slower. */
#include "cuda/cuda.h"
#include "cuda/gemm.h"

enum { RATE_TRIALS = 5, PEAK_CHAINS = 16, PEAK_REPEATS = 512 };

/* sink [threads]: multiply-adds on registers, PEAK_CHAINS independent ones in flight. */
__global__ void __launch_bounds__(256) peak_kernel(float *sink, float x, float y)
{
    float sum[PEAK_CHAINS];
#pragma unroll
    for (int i = 0; i < PEAK_CHAINS; i++) sum[i] = x * (float)(i + 2);
    for (int k = 0; k < PEAK_REPEATS; k++) {
#pragma unroll
        for (int i = 0; i < PEAK_CHAINS; i++) sum[i] = sum[i] * x + y;
    }
    float all = 0;
#pragma unroll
    for (int i = 0; i < PEAK_CHAINS; i++) all += sum[i];
    sink[(size_t)blockIdx.x * blockDim.x + threadIdx.x] = all;
}

/* to [n] = from [n] */
__global__ void copy_kernel(float4 *to, const float4 *from, size_t n)
{
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) to[i] = from[i];
}

struct rate_work {
    struct cuda *cuda;
    int what, rows, outputs, inputs;
    float *a, *b, *c;
    size_t bytes; /* of a and b */
};

static void once(const struct rate_work *w)
{
    struct cuda *cuda = w->cuda;
    if (w->what == RATE_MULTIPLY_ADD) {
        LAUNCH(peak_kernel, cuda->multiprocessors * 8, 256, 0, cuda->stream, w->a, 0.999f, 1e-3f);
        LAUNCHED("peak");
    } else if (w->what == RATE_COPY) {
        LAUNCH(copy_kernel, cuda->multiprocessors * 16, 256, 0, cuda->stream, (float4 *)w->b, (const float4 *)w->a,
               w->bytes / sizeof(float4));
        LAUNCHED("copy");
    } else {
        gemm_rate_product(cuda, w->c, w->a, w->b, w->rows, w->outputs, w->inputs, w->what == RATE_PRODUCT);
    }
}

static double work_of(const struct rate_work *w)
{
    if (w->what == RATE_MULTIPLY_ADD) return 2.0 * PEAK_CHAINS * PEAK_REPEATS * 256.0 * 8.0 * w->cuda->multiprocessors;
    if (w->what == RATE_COPY) return 2.0 * (double)w->bytes;
    return 2.0 * w->rows * w->outputs * w->inputs;
}

extern "C" double cuda_rate(struct backend *backend, int what, int rows, int outputs, int inputs)
{
    struct cuda *cuda = cuda_of(backend);
    struct rate_work w = {cuda, what, rows, outputs, inputs, NULL, NULL, NULL, 0};
    cudaEvent_t begin, end;
    double best = 0;
    const bool product = what == RATE_PRODUCT || what == RATE_OWN_PRODUCT;
    if (backend->planning) return 1;
    w.bytes = what == RATE_COPY           ? ((size_t)cuda->multiprocessors << 23) /* beyond any cache */
              : what == RATE_MULTIPLY_ADD ? (size_t)cuda->multiprocessors * 8 * 256 * sizeof(float)
                                          : (size_t)rows * (size_t)inputs * sizeof(float);
    w.a = (float *)cuda_take(cuda, "benchmark", w.bytes);
    w.b = (float *)cuda_take(cuda, "benchmark", product ? (size_t)outputs * (size_t)inputs * sizeof(float) : w.bytes);
    if (product) w.c = (float *)cuda_take(cuda, "benchmark", (size_t)rows * (size_t)outputs * sizeof(float));
    CUDA(cudaEventCreate(&begin), "measuring");
    CUDA(cudaEventCreate(&end), "measuring");
    once(&w);
    for (int i = 0; i < RATE_TRIALS; i++) {
        const int repeats = 10;
        float ms = 0;
        CUDA(cudaEventRecord(begin, cuda->stream), "measuring");
        for (int k = 0; k < repeats; k++) once(&w);
        CUDA(cudaEventRecord(end, cuda->stream), "measuring");
        CUDA(cudaEventSynchronize(end), "measuring");
        CUDA(cudaEventElapsedTime(&ms, begin, end), "measuring");
        const double rate = work_of(&w) * repeats / (1e-3 * (double)ms + 1e-12);
        if (rate > best) best = rate;
    }
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    cuda_give(cuda, w.a);
    cuda_give(cuda, w.b);
    if (w.c) cuda_give(cuda, w.c);
    return best;
}
