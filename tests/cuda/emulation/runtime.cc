/* The runtime's host side in the emulation: devices, memory, copies, streams, events, errors. Work is done when it is submitted, or, with
 * MAPPO_EMULATE_LATE=1, when the host waits for something: then a host that reads without waiting reads too early, as on a device.
 * While a stream captures, work is only noted (graph.cc). */
#include "emulation.h"

#include <dlfcn.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <deque>
#include <map>
#include <mutex>
#include <vector>

static std::recursive_mutex lock;
typedef std::lock_guard<std::recursive_mutex> guard;

/* ---- what is asked of the emulation -------------------------------------------------------------------------------------------------- */

static long number_of(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : otherwise;
}

static bool fault_is(const char *name)
{
    const char *text = getenv("MAPPO_EMULATE_FAULT");
    return text && strncmp(text, name, strlen(name)) == 0;
}

/* MAPPO_EMULATE_FAULT=<name>N: something happens after N kernels; -1 = never. */
static long fault_after(const char *name)
{
    return fault_is(name) ? strtol(getenv("MAPPO_EMULATE_FAULT") + strlen(name), NULL, 10) : -1;
}

enum { MULTIPROCESSORS = 4, BLOCK_SHARED = 48 << 10, BLOCK_SHARED_MOST = 227 << 10, DRIVER = 13000, OLD_DRIVER = 11000 };
static const size_t usual_memory = (size_t)16 << 30;

/* ---- errors -------------------------------------------------------------------------------------------------------------------------- */

static thread_local cudaError_t last;
static cudaError_t lost; /* every later call fails with it */
static long kernels;     /* that ran */

static cudaError_t result(cudaError_t code)
{
    if (code != cudaSuccess && code != cudaErrorNotReady) last = code;
    return code;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t code = lost ? lost : last;
    last = cudaSuccess;
    return code;
}

cudaError_t cudaPeekAtLastError(void)
{
    return lost ? lost : last;
}

/* ---- devices ------------------------------------------------------------------------------------------------------------------------- */

static int current;
static cudaError_t devices_are(int *count)
{
    *count = (int)number_of("MAPPO_EMULATE_DEVICES", 1);
    if (fault_is("no_driver") || fault_is("old_driver")) {
        *count = 0;
        return cudaErrorInsufficientDriver;
    }
    if (*count <= 0) {
        *count = 0;
        return cudaErrorNoDevice;
    }
    return cudaSuccess;
}

/* Is there a device that this process may use? */
static cudaError_t usable(void)
{
    int count;
    const cudaError_t code = devices_are(&count);
    if (lost) return lost;
    if (code != cudaSuccess) return code;
    return fault_is("exclusive") ? cudaErrorDevicesUnavailable : cudaSuccess;
}

/* With MAPPO_EMULATE_MODELS=2 every second device is of another model. */
static bool other_model(int device)
{
    return number_of("MAPPO_EMULATE_MODELS", 1) > 1 && device % 2;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = fault_is("no_driver") ? 0 : fault_is("old_driver") ? OLD_DRIVER : DRIVER;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    return result(devices_are(count));
}

cudaError_t cudaGetDevice(int *device)
{
    *device = current;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    int count;
    const cudaError_t code = devices_are(&count);
    if (code != cudaSuccess) return result(code);
    if (device < 0 || device >= count) return result(cudaErrorInvalidDevice);
    current = device;
    return result(usable());
}

cudaError_t cudaSetDeviceFlags(unsigned)
{
    return cudaSuccess;
}

static int shared_most(void) /* of a block */
{
    return (int)number_of("MAPPO_EMULATE_SHARED", BLOCK_SHARED_MOST);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    int count;
    const cudaError_t code = devices_are(&count);
    if (code != cudaSuccess) return result(code);
    if (device < 0 || device >= count) return result(cudaErrorInvalidDevice);
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated GPU%s", other_model(device) ? ", another model" : "");
    for (int i = 0; i < 16; i++) p->uuid.bytes[i] = (char)(0xe0 + 16 * device + i);
    p->totalGlobalMem = (size_t)number_of("MAPPO_EMULATE_MEMORY", (long)usual_memory);
    p->sharedMemPerBlock = BLOCK_SHARED;
    p->sharedMemPerBlockOptin = (size_t)shared_most();
    p->sharedMemPerMultiprocessor = (size_t)shared_most() + 1024;
    p->major = other_model(device) ? 8 : 9;
    p->multiProcessorCount = MULTIPROCESSORS;
    p->l2CacheSize = 4 << 20;
    p->maxThreadsPerMultiProcessor = 2048;
    p->maxThreadsPerBlock = 1024;
    p->memoryBusWidth = 64;
    p->regsPerBlock = 65536;
    p->warpSize = 32;
    p->pciBusID = device + 1;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    struct cudaDeviceProp p;
    const cudaError_t code = cudaGetDeviceProperties(&p, device);
    if (code != cudaSuccess) return code;
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
        *value = p.maxThreadsPerBlock;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = BLOCK_SHARED;
        break;
    case cudaDevAttrClockRate:
        *value = 1000000;
        break;
    case cudaDevAttrMultiProcessorCount:
        *value = p.multiProcessorCount;
        break;
    case cudaDevAttrComputeMode:
        *value = fault_is("exclusive") ? cudaComputeModeExclusiveProcess : cudaComputeModeDefault;
        break;
    case cudaDevAttrMemoryClockRate:
        *value = 1000000;
        break;
    case cudaDevAttrGlobalMemoryBusWidth:
        *value = p.memoryBusWidth;
        break;
    case cudaDevAttrL2CacheSize:
        *value = p.l2CacheSize;
        break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = p.maxThreadsPerMultiProcessor;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = p.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = p.minor;
        break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = (int)p.sharedMemPerMultiprocessor;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = (int)p.sharedMemPerBlockOptin;
        break;
    case cudaDevAttrHostRegisterSupported:
        *value = 1;
        break;
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *text, int size, int device)
{
    snprintf(text, (size_t)size, "0000:%02x:00.0", device + 1);
    return cudaSuccess;
}

/* ---- doing work ---------------------------------------------------------------------------------------------------------------------- */

static std::deque<std::function<void()>> late; /* in the order of the calls, of all streams */

static void perform(const std::function<void()> &work)
{
    emulation_memory_open();
    work();
    emulation_memory_close();
}

static void flush(void)
{
    while (!late.empty()) {
        const std::function<void()> work = std::move(late.front());
        late.pop_front();
        if (!lost) perform(work);
    }
}

/* Now, later, or into the graph that the stream captures. */
static cudaError_t submit(cudaStream_t stream, std::function<void()> work)
{
    cudaError_t code = usable();
    if (code != cudaSuccess) return code;
    if (emulation_note(stream, &work, &code)) return code;
    if (number_of("MAPPO_EMULATE_LATE", 0))
        late.push_back(std::move(work));
    else
        perform(work);
    return lost;
}

/* What waits, or is done at once, cannot be captured. */
static cudaError_t may_wait(cudaStream_t stream)
{
    const cudaError_t code = usable();
    return code != cudaSuccess ? code : emulation_refuses_to_wait(stream) ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

cudaError_t emulation_later(cudaStream_t stream, std::function<void()> work)
{
    guard held(lock);
    return result(submit(stream, std::move(work)));
}

void emulation_flush(void)
{
    guard held(lock);
    flush();
}

static std::map<const void *, int> shared_allowed; /* of a kernel, where more than usual */

static cudaError_t check_launch(const struct emulation_launch *l)
{
    const uint64_t threads = (uint64_t)l->block.x * l->block.y * l->block.z;
    const auto allowed = shared_allowed.find(l->kernel);
    if (fault_is("no_code")) return cudaErrorNoKernelImageForDevice;
    if (threads == 0 || threads > 1024 || l->block.z > 64) return cudaErrorInvalidConfiguration;
    if (l->grid.x == 0 || l->grid.y == 0 || l->grid.z == 0) return cudaErrorInvalidConfiguration;
    if (l->grid.x > 0x7fffffffu || l->grid.y > 65535 || l->grid.z > 65535) return cudaErrorInvalidConfiguration;
    if (l->shared > (size_t)(allowed == shared_allowed.end() ? BLOCK_SHARED : allowed->second)) return cudaErrorInvalidValue;
    return cudaSuccess;
}

void emulation_submit(const struct emulation_launch *launch, std::function<void()> thread)
{
    guard held(lock);
    const struct emulation_launch kept = *launch;
    cudaError_t code = usable();
    if (code == cudaSuccess) code = check_launch(launch);
    if (code == cudaSuccess) {
        code = submit(launch->stream, [kept, thread] {
            const long lost_after = fault_after("lost_after:");
            if (lost_after >= 0 && kernels >= lost_after) {
                lost = cudaErrorLaunchFailure;
                return;
            }
            kernels++;
            emulation_run(&kept, thread);
        });
    }
    result(code);
}

cudaError_t emulation_set_shared(const void *kernel, enum cudaFuncAttribute attribute, int value)
{
    guard held(lock);
    const cudaError_t code = usable();
    if (code != cudaSuccess) return result(code);
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || value > shared_most()) return result(cudaErrorInvalidValue);
    shared_allowed[kernel] = value > BLOCK_SHARED ? value : BLOCK_SHARED;
    return cudaSuccess;
}

cudaError_t emulation_attributes(struct cudaFuncAttributes *attributes, const void *)
{
    memset(attributes, 0, sizeof *attributes);
    attributes->maxThreadsPerBlock = 1024;
    attributes->ptxVersion = attributes->binaryVersion = 90;
    return cudaSuccess;
}

cudaError_t emulation_occupancy(int *blocks, int threads, size_t shared)
{
    const int by_threads = 2048 / (threads > 0 ? threads : 1), by_shared = (int)(((size_t)shared_most() + 1024) / (shared + 1024));
    *blocks = by_threads < by_shared ? by_threads : by_shared;
    return cudaSuccess;
}

/* ---- memory -------------------------------------------------------------------------------------------------------------------------- */

struct region {
    size_t bytes;
    enum cudaMemoryType type;
    bool registered; /* the caller's own */
};
static std::map<uintptr_t, struct region> regions;
static size_t used; /* bytes of the device */

static const struct region *region_of(const void *p)
{
    auto at = regions.upper_bound(reinterpret_cast<uintptr_t>(p));
    if (at == regions.begin()) return NULL;
    --at;
    return reinterpret_cast<uintptr_t>(p) < at->first + (at->second.bytes ? at->second.bytes : 1) ? &at->second : NULL;
}

bool emulation_knows(const void *p)
{
    guard held(lock);
    return region_of(p) || emulation_memory_has(p);
}

/* Poisoned: 0xff is a NaN and an index out of every range. */
static cudaError_t take(void **p, size_t bytes, enum cudaMemoryType type)
{
    guard held(lock);
    *p = NULL;
    const cudaError_t code = may_wait(NULL);
    if (code != cudaSuccess) return result(code);
    const long full_after = fault_after("full_after:"); /* of page-locked memory, too */
    if (full_after >= 0 && kernels >= full_after) return result(cudaErrorMemoryAllocation);
    if (type == cudaMemoryTypeDevice && used + bytes > (size_t)number_of("MAPPO_EMULATE_MEMORY", (long)usual_memory))
        return result(cudaErrorMemoryAllocation);
    if (type == cudaMemoryTypeDevice)
        *p = emulation_memory_take(bytes);
    else if (posix_memalign(p, 4096, bytes ? bytes : 1) == 0)
        memset(*p, 0xff, bytes);
    if (!*p) return result(cudaErrorMemoryAllocation);
    regions[reinterpret_cast<uintptr_t>(*p)] = {bytes, type, false};
    if (type == cudaMemoryTypeDevice) used += bytes;
    return cudaSuccess;
}

static cudaError_t give(void *p, enum cudaMemoryType type)
{
    guard held(lock);
    cudaError_t code = may_wait(NULL);
    if (code != cudaSuccess || !p) return result(code);
    flush();
    const auto at = regions.find(reinterpret_cast<uintptr_t>(p));
    if (at == regions.end() || at->second.type != type || at->second.registered) return result(cudaErrorInvalidValue);
    const size_t bytes = at->second.bytes;
    regions.erase(at);
    if (type == cudaMemoryTypeDevice) {
        used -= bytes;
        emulation_memory_give(p, bytes);
    } else {
        free(p);
    }
    return result(lost);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    guard held(lock);
    const cudaError_t code = usable();
    *total = (size_t)number_of("MAPPO_EMULATE_MEMORY", (long)usual_memory);
    *free_bytes = *total > used ? *total - used : 0;
    return result(code);
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    return take(p, bytes, cudaMemoryTypeDevice);
}

cudaError_t cudaFree(void *p)
{
    return give(p, cudaMemoryTypeDevice);
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    return take(p, bytes, cudaMemoryTypeHost);
}

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned)
{
    return take(p, bytes, cudaMemoryTypeHost);
}

cudaError_t cudaFreeHost(void *p)
{
    return give(p, cudaMemoryTypeHost);
}

cudaError_t cudaHostRegister(void *p, size_t bytes, unsigned)
{
    guard held(lock);
    const cudaError_t code = usable();
    if (code != cudaSuccess) return result(code);
    if (!p || bytes == 0) return result(cudaErrorInvalidValue);
    if (region_of(p)) return result(cudaErrorHostMemoryAlreadyRegistered);
    regions[reinterpret_cast<uintptr_t>(p)] = {bytes, cudaMemoryTypeHost, true};
    return cudaSuccess;
}

cudaError_t cudaHostUnregister(void *p)
{
    guard held(lock);
    const auto at = regions.find(reinterpret_cast<uintptr_t>(p));
    if (at == regions.end() || !at->second.registered) return result(cudaErrorHostMemoryNotRegistered);
    flush();
    regions.erase(at);
    return cudaSuccess;
}

cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned)
{
    *device = host;
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *p)
{
    guard held(lock);
    const struct region *r = region_of(p);
    memset(attributes, 0, sizeof *attributes);
    attributes->type = r ? r->type : cudaMemoryTypeUnregistered;
    attributes->device = current;
    attributes->devicePointer = r ? const_cast<void *>(p) : NULL;
    attributes->hostPointer = r && r->type == cudaMemoryTypeDevice ? NULL : const_cast<void *>(p);
    return cudaSuccess;
}

/* ---- copies -------------------------------------------------------------------------------------------------------------------------- */

/* Whose memory an address is must be as the kind says: a device would fault, or copy something else. */
static bool kind_fits(const void *to, const void *from, enum cudaMemcpyKind kind)
{
    const struct region *t = region_of(to), *f = region_of(from);
    const bool to_device = t && t->type == cudaMemoryTypeDevice, from_device = f && f->type == cudaMemoryTypeDevice;
    switch (kind) {
    case cudaMemcpyHostToHost:
        return !to_device && !from_device;
    case cudaMemcpyHostToDevice:
        return to_device && !from_device;
    case cudaMemcpyDeviceToHost:
        return !to_device && from_device;
    case cudaMemcpyDeviceToDevice:
        return to_device && from_device;
    case cudaMemcpyDefault:
        return true;
    }
    return false;
}

/* A copy of height rows. From memory that is not page-locked it has been read when the call returns, and to such memory it is done then. */
static cudaError_t copy(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                        enum cudaMemcpyKind kind, cudaStream_t stream)
{
    if (width == 0 || height == 0) return usable();
    if (!kind_fits(to, from, kind)) {
        fprintf(stderr, "emulation: a copy of %zu bytes says it goes %s, but the addresses are of other memory\n", width * height,
                kind == cudaMemcpyHostToDevice     ? "to the device"
                : kind == cudaMemcpyDeviceToHost   ? "to the host"
                : kind == cudaMemcpyDeviceToDevice ? "from device to device"
                                                   : "from host to host");
        return cudaErrorInvalidValue;
    }
    const auto rows = [](unsigned char *t, size_t tp, const unsigned char *f, size_t fp, size_t w, size_t h) {
        for (size_t y = 0; y < h; y++) memmove(t + y * tp, f + y * fp, w);
    };
    unsigned char *const t = static_cast<unsigned char *>(to);
    const unsigned char *const f = static_cast<const unsigned char *>(from);
    if (!region_of(from) && !emulation_captures(stream)) {
        std::vector<unsigned char> kept(width * height);
        rows(kept.data(), width, f, from_pitch, width, height);
        return submit(stream, [=] { rows(t, to_pitch, kept.data(), width, width, height); });
    }
    const cudaError_t code = submit(stream, [=] { rows(t, to_pitch, f, from_pitch, width, height); });
    if (code == cudaSuccess && !region_of(to) && !emulation_captures(stream)) flush();
    return code;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    guard held(lock);
    return result(copy(to, bytes, from, bytes, bytes, 1, kind, stream));
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                              enum cudaMemcpyKind kind, cudaStream_t stream)
{
    guard held(lock);
    return result(copy(to, to_pitch, from, from_pitch, width, height, kind, stream));
}

cudaError_t cudaMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                         enum cudaMemcpyKind kind)
{
    guard held(lock);
    cudaError_t code = may_wait(NULL);
    if (code == cudaSuccess) code = copy(to, to_pitch, from, from_pitch, width, height, kind, NULL);
    flush();
    return result(code);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    return cudaMemcpy2D(to, bytes, from, bytes, bytes, 1, kind);
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream)
{
    guard held(lock);
    const struct region *r = region_of(to);
    if (bytes && (!r || r->type != cudaMemoryTypeDevice)) return result(cudaErrorInvalidValue);
    return result(submit(stream, [=] { memset(to, value, bytes); }));
}

cudaError_t cudaMemset(void *to, int value, size_t bytes)
{
    guard held(lock);
    const cudaError_t code = may_wait(NULL);
    return code == cudaSuccess ? cudaMemsetAsync(to, value, bytes, NULL) : result(code);
}

/* ---- waiting ------------------------------------------------------------------------------------------------------------------------- */

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    guard held(lock);
    const cudaError_t code = may_wait(stream);
    if (code != cudaSuccess) return result(code);
    flush();
    return result(lost);
}

cudaError_t cudaDeviceSynchronize(void)
{
    return cudaStreamSynchronize(NULL);
}

cudaError_t cudaDeviceReset(void)
{
    return cudaDeviceSynchronize();
}

cudaError_t cudaStreamQuery(cudaStream_t)
{
    guard held(lock);
    if (late.empty()) return result(usable());
    flush(); /* so that asking often enough helps */
    return cudaErrorNotReady;
}

struct emulated_event {
    double seconds; /* when it was reached */
    bool recorded, reached, timed;
    struct emulation_mark mark; /* graph.cc */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    *event = new emulated_event();
    (*event)->timed = !(flags & cudaEventDisableTiming);
    return result(usable());
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    emulation_flush();
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    guard held(lock);
    if (emulation_mark(stream, &event->mark)) return cudaSuccess;
    event->recorded = true;
    event->reached = false;
    return result(submit(stream, [event] {
        event->seconds = now();
        event->reached = true;
    }));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    guard held(lock);
    emulation_join(stream, &event->mark); /* otherwise nothing: work is done in the order of the calls */
    return result(usable());
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    guard held(lock);
    if (event->mark.graph) return result(cudaErrorCapturedEvent);
    if (event->recorded && !event->reached) flush();
    return result(usable());
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    guard held(lock);
    if (event->mark.graph) return result(cudaErrorCapturedEvent);
    if (!event->recorded || event->reached) return result(usable());
    flush();
    return cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t begin, cudaEvent_t end)
{
    guard held(lock);
    if (!begin->recorded || !end->recorded || !begin->timed || !end->timed) return result(cudaErrorInvalidResourceHandle);
    if (!begin->reached || !end->reached) return cudaErrorNotReady;
    *milliseconds = (float)(1e3 * (end->seconds - begin->seconds));
    return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *argument)
{
    return emulation_later(stream, [=] { function(argument); });
}

/* Sources look for cuBLAS and NCCL with dlopen, which is compiled as this. The real ones would take our addresses for a device's; cuBLAS is
 * emulated (cublas.cc) and in the program itself. */
extern "C" void *emulation_dlopen(const char *name, int flags);
void *emulation_dlopen(const char *name, int flags)
{
    if (name && strstr(name, "nccl")) return NULL;
    return dlopen(name && strstr(name, "cublas") ? NULL : name, flags);
}
