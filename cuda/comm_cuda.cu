/* What comm_sum_shards needs to add up memory of this device (comm/comm.h, struct comm_device), and NCCL, which is looked for when the
 * program runs and never linked: a machine without it can do without. */
#include "cuda/ops.h"

#include <dlfcn.h>
#include <string.h>

extern "C" {
#include "base/text.h"
#include "comm/comm.h"
}

/* ---- NCCL: the part of its interface that is used here, the same since version 2.0 --------------------------------------------------- */

enum { NCCL_SUCCESS = 0, NCCL_FLOAT32 = 7, NCCL_FLOAT64 = 8, NCCL_SUM = 0 };
struct nccl_unique_id {
    unsigned char bytes[COMM_NCCL_ID];
};

struct messages {
    struct comm_device device;
    struct backend *backend;
    cudaStream_t stream;
    void *library, *group; /* group: ncclComm_t */
    int (*get_version)(int *version);
    int (*get_unique_id)(struct nccl_unique_id *id);
    int (*init_rank)(void **group, int ranks, struct nccl_unique_id id, int rank);
    int (*all_reduce)(const void *from, void *to, size_t count, int type, int operation, void *group, cudaStream_t stream);
    int (*destroy)(void *group);
    const char *(*error_string)(int code);
};

static struct messages *messages_of(void *self)
{
    return static_cast<struct messages *>(self);
}

static bool nccl_symbol(const struct messages *m, const char *name, void *function)
{
    void *found = dlsym(m->library, name);
    memcpy(function, &found, sizeof found); /* ISO C++ has no cast from data to functions */
    return found != NULL;
}

static void sync(void *self)
{
    CUDA(cudaStreamSynchronize(messages_of(self)->stream), "waiting before a sum over ranks");
}

static int nccl_find(void *self, char *why, size_t size)
{
    struct messages *m = messages_of(self);
    if (m->library) return 0;
    m->library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); /* what it does at exit must still be there */
    if (!m->library) {
        text_format(why, size, "libnccl.so.2 cannot be loaded");
        return EXIT_PEERS;
    }
    if (nccl_symbol(m, "ncclGetVersion", &m->get_version) && nccl_symbol(m, "ncclGetUniqueId", &m->get_unique_id) &&
        nccl_symbol(m, "ncclCommInitRank", &m->init_rank) && nccl_symbol(m, "ncclAllReduce", &m->all_reduce) &&
        nccl_symbol(m, "ncclCommDestroy", &m->destroy) && nccl_symbol(m, "ncclGetErrorString", &m->error_string))
        return 0;
    dlclose(m->library);
    m->library = NULL;
    text_format(why, size, "libnccl.so.2 lacks functions that are needed");
    return EXIT_PEERS;
}

static int nccl_error(const struct messages *m, int code, const char *doing, struct error *err)
{
    return error_set(err, EXIT_PEERS, "NCCL, %s: %s; comm.gpu=staged does without it", doing, m->error_string(code));
}

static int nccl_id(void *self, unsigned char id[COMM_NCCL_ID], struct error *err)
{
    struct messages *m = messages_of(self);
    struct nccl_unique_id unique;
    const int code = m->get_unique_id(&unique);
    if (code != NCCL_SUCCESS) return nccl_error(m, code, "making an id", err);
    memcpy(id, unique.bytes, sizeof unique.bytes);
    return 0;
}

static int nccl_open(void *self, const unsigned char id[COMM_NCCL_ID], int rank, int size, struct error *err)
{
    struct messages *m = messages_of(self);
    struct nccl_unique_id unique;
    memcpy(unique.bytes, id, sizeof unique.bytes);
    int code = m->init_rank(&m->group, size, unique, rank);
    if (code != NCCL_SUCCESS) return nccl_error(m, code, "connecting the ranks", err);
    /* A first sum connects what is connected late, before calls are recorded, and finds out here what does not work. */
    void *word = cuda_take(cuda_of(m->backend), "messages", sizeof(double));
    code = m->all_reduce(word, word, 1, NCCL_FLOAT64, NCCL_SUM, m->group, m->stream);
    sync(self);
    cuda_give(cuda_of(m->backend), word);
    return code == NCCL_SUCCESS ? 0 : nccl_error(m, code, "trying a sum", err);
}

static void nccl_sum(void *self, bool wide, void *x, size_t n)
{
    struct messages *m = messages_of(self);
    const int type = wide || sizeof(real) == sizeof(double) ? NCCL_FLOAT64 : NCCL_FLOAT32;
    struct error err;
    const int code = m->all_reduce(x, x, n, type, NCCL_SUM, m->group, m->stream);
    if (code == NCCL_SUCCESS) return;
    nccl_error(m, code, "adding up gradients", &err);
    die_error(&err);
}

static void nccl_close(void *self)
{
    struct messages *m = messages_of(self);
    if (m->group) m->destroy(m->group); /* at the end nothing can be done about a failure */
    m->group = NULL;
}

/* ---- memory -------------------------------------------------------------------------------------------------------------------------- */

static void *host_alloc(void *self, size_t bytes)
{
    return memory_host_alloc(messages_of(self)->backend, "messages", bytes);
}

static void host_free(void *self, void *bytes)
{
    memory_host_free(messages_of(self)->backend, bytes);
}

static int host_register(void *self, void *bytes, size_t n)
{
    (void)self;
    if (cudaHostRegister(bytes, n, cudaHostRegisterDefault) == cudaSuccess) return 0;
    cudaGetLastError(); /* forgotten: it is only slower */
    return -1;
}

static void host_unregister(void *self, void *bytes)
{
    CUDA(cudaStreamSynchronize(messages_of(self)->stream), "waiting for the last copies of a pod");
    CUDA(cudaHostUnregister(bytes), "giving back a pod's memory");
}

static void download(void *self, void *to, const void *from, size_t bytes)
{
    memory_download(messages_of(self)->backend, to, from, bytes);
}

static void upload(void *self, void *to, const void *from, size_t bytes)
{
    memory_upload_later(messages_of(self)->backend, to, from, bytes);
}

__global__ void add_reals_kernel(real *to, const real *from, size_t n)
{
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) to[i] += from[i];
}

__global__ void add_doubles_kernel(double *to, const double *from, size_t n)
{
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) to[i] += from[i];
}

static void add(void *self, bool wide, void *to, const void *from, size_t n)
{
    struct messages *m = messages_of(self);
    const unsigned blocks = cuda_blocks(n, CUDA_THREADS);
    if (wide)
        LAUNCH(add_doubles_kernel, blocks, CUDA_THREADS, 0, m->stream, static_cast<double *>(to), static_cast<const double *>(from), n);
    else
        LAUNCH(add_reals_kernel, blocks, CUDA_THREADS, 0, m->stream, static_cast<real *>(to), static_cast<const real *>(from), n);
    LAUNCHED("a sum of shards");
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------- */

/* "NVIDIA H200, GPU-…" in two. */
static void describe(struct comm_device *device, int number)
{
    char text[sizeof device->name + sizeof device->uuid] = "";
    device_describe(number, text, sizeof text);
    char *comma = strrchr(text, ',');
    if (comma) *comma = '\0';
    text_format(device->name, sizeof device->name, "%s", text);
    text_format(device->uuid, sizeof device->uuid, "%s", comma && comma[1] ? comma + 2 : "");
}

void messages_open(struct cuda *cuda)
{
    struct messages *m = static_cast<struct messages *>(calloc(1, sizeof *m));
    CHECK(m, "out of memory while opening the GPU");
    m->backend = &cuda->backend;
    m->stream = cuda->stream;
    m->device.self = m;
    m->device.host_alloc = host_alloc;
    m->device.host_free = host_free;
    m->device.download = download;
    m->device.upload = upload;
    m->device.add = add;
    m->device.sync = sync;
    m->device.host_register = host_register;
    m->device.host_unregister = host_unregister;
    m->device.nccl_find = nccl_find;
    m->device.nccl_id = nccl_id;
    m->device.nccl_open = nccl_open;
    m->device.nccl_sum = nccl_sum;
    m->device.nccl_close = nccl_close;
    describe(&m->device, cuda->device);
    cuda->backend.messages = &m->device;
}

void messages_close(struct cuda *cuda)
{
    if (!cuda->backend.messages) return;
    struct messages *m = messages_of(cuda->backend.messages->self);
    cuda->backend.messages = NULL;
    if (m->library) dlclose(m->library);
    free(m);
}

/* ---- before a backend is open -------------------------------------------------------------------------------------------------------- */

extern "C" int cuda_device_count(void)
{
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
    cudaGetLastError(); /* cleared: it is reported when the backend is opened */
    return 0;
}

/* For `mappo doctor`: "2.21.5", or why there is none. */
extern "C" void cuda_nccl_version(char *text, size_t size)
{
    struct messages m;
    char why[192] = "";
    int version = 0;
    memset(&m, 0, sizeof m);
    if (nccl_find(&m, why, sizeof why) || m.get_version(&version) != NCCL_SUCCESS) {
        text_format(text, size, "%s", why[0] ? why : "none");
        return;
    }
    if (version < 10000) /* 2.8 and before: 2804 */
        text_format(text, size, "%d.%d.%d", version / 1000, version / 100 % 10, version % 100);
    else
        text_format(text, size, "%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
}
