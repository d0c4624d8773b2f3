/* What tests/cuda/test_emulation.sh runs: kernels and calls that are right, and others with the mistakes that the emulation is there to
 * find. One argument, the name of the case. Exit 0: what was computed is right; 1: it is not; 2: a call of the runtime failed. */
#include "cuda_runtime.h"

#include <stdio.h>

enum { BLOCKS = 2, THREADS = 64, ALL = BLOCKS * THREADS };

#define MUST(call)                                                                                                                         \
    do {                                                                                                                                   \
        const cudaError_t code = (call);                                                                                                   \
        if (code != cudaSuccess) {                                                                                                         \
            fprintf(stderr, "line %d: %s\n", __LINE__, cudaGetErrorName(code));                                                            \
            exit(2);                                                                                                                       \
        }                                                                                                                                  \
    } while (0)

/* ---- barriers: every thread adds up the shared values of its block, which holds block + thread ---- */

enum mistake { NONE, MISSING, HALF, ENDED, BEYOND };

static __global__ void add_up(int *out /* [ALL] */, enum mistake mistake)
{
    __shared__ int value[THREADS];
    const int thread = (int)threadIdx.x;
    if (mistake == ENDED && thread >= THREADS / 2) return;
    value[thread] = (int)blockIdx.x + thread;
    if (mistake != MISSING && (mistake != HALF || thread < THREADS / 2)) __syncthreads();
    int sum = 0;
    for (int i = 0; i < THREADS; i++) sum += value[i];
    out[(int)blockIdx.x * THREADS + thread + (mistake == BEYOND)] = sum;
}

static int *device_ints(int n)
{
    int *p;
    MUST(cudaMalloc(&p, (size_t)n * sizeof *p));
    return p;
}

static int check_sums(enum mistake mistake)
{
    int *out = device_ints(ALL), host[ALL], bad = 0;
    LAUNCH(add_up, BLOCKS, THREADS, 0, 0, out, mistake);
    MUST(cudaGetLastError());
    MUST(cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost));
    for (int i = 0; i < ALL; i++) bad += host[i] != THREADS * (THREADS - 1) / 2 + THREADS * (i / THREADS);
    cudaFree(out);
    return bad > 0;
}

/* ---- warps: 48 threads, so that the second one is half empty ---- */

static __global__ void talk(double *out /* [48][7] */)
{
    const int in_warp = (int)threadIdx.x % 32;
    const unsigned all = 0xffffffffu, mine = in_warp < 8 ? 0xffu : 0xff00u;
    double *o = out + (size_t)threadIdx.x * 7;
    double sum = (double)in_warp;
    for (int step = 8; step > 0; step /= 2) sum += __shfl_xor_sync(all, sum, step);
    o[0] = sum;
    o[1] = __shfl_up_sync(all, (float)in_warp, 3);
    o[2] = (double)__shfl_sync(all, (uint64_t)in_warp << 40, 5);
    o[3] = __shfl_down_sync(all, in_warp, 1, 4);
    o[4] = __ballot_sync(all, in_warp % 2);
    o[5] = __any_sync(all, in_warp == 7) + 2 * __all_sync(all, in_warp < 7);
    __syncwarp();
    o[6] = in_warp < 16 ? __shfl_sync(mine, in_warp, in_warp < 8 ? 1 : 9) : -1; /* two halves, each by itself */
}

static int check_warps(void)
{
    double *out, host[48][7];
    MUST(cudaMalloc(&out, sizeof host));
    LAUNCH(talk, 1, 48, 0, 0, out);
    MUST(cudaGetLastError());
    MUST(cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost));
    int bad = 0;
    for (int t = 0; t < 48; t++) {
        const int in_warp = t % 32;
        const int64_t expected[7] = {in_warp < 16 ? 120 : 376,
                                     in_warp < 3 ? in_warp : in_warp - 3,
                                     (int64_t)5 << 40,
                                     in_warp % 4 == 3 ? in_warp : in_warp + 1,
                                     t < 32 ? 0xaaaaaaaau : 0xaaaau,
                                     1,
                                     in_warp < 8    ? 1
                                     : in_warp < 16 ? 9
                                                    : -1};
        for (int i = 0; i < 7; i++) {
            if (host[t][i] == (double)expected[i]) continue;
            fprintf(stderr, "thread %d, value %d: %g, expected %g\n", t, i, host[t][i], (double)expected[i]);
            bad = 1;
        }
    }
    cudaFree(out);
    return bad;
}

/* ---- graphs ---- */

static __global__ void step(int *x, int times, int plus)
{
    *x = *x * times + plus;
}

/* x -> 3 x + 1 on one stream, then 2 x on another, then back: recorded, not run; then run twice. */
static int check_graph(bool join)
{
    int *x = device_ints(1), host = 1;
    cudaStream_t stream, other;
    cudaEvent_t there, back;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    MUST(cudaStreamCreate(&stream));
    MUST(cudaStreamCreate(&other));
    MUST(cudaEventCreate(&there));
    MUST(cudaEventCreate(&back));
    MUST(cudaMemcpy(x, &host, sizeof host, cudaMemcpyHostToDevice));
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int times = 3; times <= 3; times++) LAUNCH(step, 1, 1, 0, stream, x, times, 1); /* arguments are those of now */
    MUST(cudaEventRecord(there, stream));
    MUST(cudaStreamWaitEvent(other, there));
    LAUNCH(step, 1, 1, 0, other, x, 2, 0);
    MUST(cudaEventRecord(back, other));
    if (join) MUST(cudaStreamWaitEvent(stream, back));
    MUST(cudaStreamEndCapture(stream, &graph));
    MUST(cudaMemcpy(&host, x, sizeof host, cudaMemcpyDeviceToHost));
    if (host != 1) return 1;
    MUST(cudaGraphInstantiate(&exec, graph, 0));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaGraphLaunch(exec, stream));
    MUST(cudaGraphLaunch(exec, stream));
    MUST(cudaMemcpyAsync(&host, x, sizeof host, cudaMemcpyDeviceToHost, stream));
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaGraphExecDestroy(exec));
    cudaEventDestroy(there), cudaEventDestroy(back);
    cudaStreamDestroy(stream), cudaStreamDestroy(other);
    cudaFree(x);
    return host != (((1 * 3 + 1) * 2) * 3 + 1) * 2;
}

static int wait_while_capturing(void)
{
    cudaStream_t stream;
    MUST(cudaStreamCreate(&stream));
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    MUST(cudaStreamSynchronize(stream));
    return 0;
}

/* ---- whose memory, and when ---- */

struct addresses {
    const int *host;
    int *device;
    int two[2]; /* together they look like an address, of what a sanitizer keeps for itself */
};

static __global__ void follow(struct addresses a, bool to_host)
{
    *a.device = to_host ? *a.host : a.host != NULL && a.two[0] == 5 && a.two[1] == 1234;
}

static int check_addresses(bool to_host)
{
    int here = 7, result = 0;
    const struct addresses a = {&here, device_ints(1), {5, 1234}};
    LAUNCH(follow, 1, 1, 0, 0, a, to_host);
    MUST(cudaGetLastError());
    MUST(cudaMemcpy(&result, a.device, sizeof result, cudaMemcpyDeviceToHost));
    cudaFree(a.device);
    return result != 1;
}

static int touch_device(void)
{
    int *p = device_ints(1);
    MUST(cudaMemset(p, 0, sizeof *p));
    MUST(cudaDeviceSynchronize());
    return *static_cast<volatile int *>(p); /* 0, where nothing guards it */
}

static int read_early(bool wait)
{
    int *x = device_ints(1), *pinned, seen;
    cudaStream_t stream;
    MUST(cudaStreamCreate(&stream));
    MUST(cudaMallocHost(&pinned, sizeof *pinned));
    *pinned = 5;
    MUST(cudaMemcpyAsync(x, pinned, sizeof *x, cudaMemcpyHostToDevice, stream));
    LAUNCH(step, 1, 1, 0, stream, x, 2, 0);
    MUST(cudaMemcpyAsync(pinned, x, sizeof *x, cudaMemcpyDeviceToHost, stream));
    if (wait) MUST(cudaStreamSynchronize(stream));
    seen = *pinned;
    MUST(cudaStreamDestroy(stream));
    cudaFree(x), cudaFreeHost(pinned);
    return seen != 10;
}

static __global__ void pass_on(float *to, const float *from)
{
    __shared__ float unwritten;
    DYNAMIC_SHARED(float, also);
    to[0] = from[0];
    to[1] = unwritten;
    to[2] = also[0];
}

/* Memory that nobody wrote is no number: the device's, and both kinds of shared memory. */
static int check_poison(void)
{
    float *to, *from, host[3];
    MUST(cudaMalloc(&to, sizeof host));
    MUST(cudaMalloc(&from, sizeof host));
    LAUNCH(pass_on, 1, 1, sizeof(float), 0, to, from);
    MUST(cudaMemcpy(host, to, sizeof host, cudaMemcpyDeviceToHost));
    cudaFree(to), cudaFree(from);
    return !(isnan(host[0]) && isnan(host[1]) && isnan(host[2]));
}

int main(int argc, char **argv)
{
    static const char *const mistakes[] = {"right", "missing", "half", "ended", "beyond"};
    const char *name = argc > 1 ? argv[1] : "";
    for (int m = NONE; m <= BEYOND; m++)
        if (strcmp(name, mistakes[m]) == 0) return check_sums((enum mistake)m);
    if (strcmp(name, "warps") == 0) return check_warps();
    if (strcmp(name, "graph") == 0) return check_graph(true);
    if (strcmp(name, "unjoined") == 0) return check_graph(false);
    if (strcmp(name, "waiting") == 0) return wait_while_capturing();
    if (strcmp(name, "given") == 0) return check_addresses(false);
    if (strcmp(name, "followed") == 0) return check_addresses(true);
    if (strcmp(name, "touched") == 0) return touch_device();
    if (strcmp(name, "waited") == 0) return read_early(true);
    if (strcmp(name, "early") == 0) return read_early(false);
    if (strcmp(name, "poison") == 0) return check_poison();
    fprintf(stderr, "no case \"%s\"\n", name);
    return 3;
}
