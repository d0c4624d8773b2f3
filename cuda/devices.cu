/* Which GPUs there are, which one a rank gets, and what is said when something is wrong with one. */
#include "cuda/ops.h"

extern "C" {
#include "backend/devices.h"
#include "base/text.h"
}

#ifndef MAPPO_CUDA_ARCHES /* the Makefile says for which architectures this was compiled */
#define MAPPO_CUDA_ARCHES "unknown architectures"
#endif

/* ---- what is said when something is wrong -------------------------------------------------------------------------------------------- */

/* What to do about a failure; empty where the runtime's own text must do. */
static const char *advice_of(cudaError_t code)
{
    switch (code) {
    case cudaErrorMemoryAllocation:
        return "; another process may hold its memory (nvidia-smi lists them), else lower rollout.envs, rollout.steps or policy.hidden";
    case cudaErrorNoKernelImageForDevice:
        return "; this build has code for " MAPPO_CUDA_ARCHES ": build again with CUDA_ARCH=";
    case cudaErrorDevicesUnavailable:
        return "; another process has it to itself: with exclusive GPUs start a rank per GPU, or let ranks share through comm.pod";
    default:
        return "";
    }
}

MAPPO_NORETURN void cuda_failed(cudaError_t code, const char *doing)
{
    int device = -1;
    char which[160] = "the device";
    if (cudaGetDevice(&device) == cudaSuccess && device >= 0) text_format(which, sizeof which, "device %d", device);
    const char *advice = advice_of(code);
    die(EXIT_PEERS, "CUDA, %s: %s (%s) on %s%s%s", doing, cudaGetErrorString(code), cudaGetErrorName(code), which, advice,
        advice[0] ? "" : ": it is lost for this process; checkpoints are whole, and the same command continues a run from its last one");
}

static void version_text(char *text, size_t size, int version) /* 12040 → "12.4" */
{
    text_format(text, size, "%d.%d", version / 1000, version % 1000 / 10);
}

/* Why there are no devices. */
static int explain_none(cudaError_t code, struct error *err)
{
    int driver = 0;
    char has[16], needs[16];
    if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
    cudaGetLastError();
    version_text(has, sizeof has, driver);
    version_text(needs, sizeof needs, CUDART_VERSION);
    if (driver == 0)
        return error_set(err, EXIT_PEERS,
                         "no NVIDIA driver here: nvidia-smi must work on this machine (in a container: --gpus all); "
                         "backend=cpu computes without a GPU");
    if (code == cudaErrorInsufficientDriver || code == cudaErrorUnsupportedPtxVersion)
        return error_set(err, EXIT_PEERS,
                         "the NVIDIA driver here knows CUDA up to %s and this program was built with CUDA %s: update the driver, or build "
                         "with an older toolkit",
                         has, needs);
    if (code == cudaErrorNoDevice || code == cudaSuccess) {
        const char *visible = getenv("CUDA_VISIBLE_DEVICES");
        return error_set(err, EXIT_PEERS,
                         "no CUDA device here%s%.60s%s: ask the scheduler for GPUs (Slurm: --gpus-per-node), or backend=cpu",
                         visible ? " (CUDA_VISIBLE_DEVICES=" : "", visible ? visible : "", visible ? ")" : "");
    }
    return error_set(err, EXIT_PEERS, "the CUDA devices here cannot be used: %s (%s); nvidia-smi may say more", cudaGetErrorString(code),
                     cudaGetErrorName(code));
}

/* Why a device that is there cannot be used. */
static int explain_device(cudaError_t code, int device, struct error *err)
{
    char name[128] = "";
    device_describe(device, name, sizeof name);
    int major = 0, minor = 0;
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
    cudaGetLastError();
    if (code == cudaErrorInsufficientDriver || code == cudaErrorUnsupportedPtxVersion) return explain_none(code, err);
    if (code == cudaErrorNoKernelImageForDevice)
        return error_set(err, EXIT_PEERS,
                         "this build has no code for device %d (%s, compute capability %d.%d): it has code for %s; build again with "
                         "`make CUDA_ARCH=%d%d`",
                         device, name, major, minor, MAPPO_CUDA_ARCHES, major, minor);
    if (code == cudaErrorDevicesUnavailable)
        return error_set(err, EXIT_PEERS,
                         "device %d (%s) is in use by another process and in exclusive mode: start one rank a GPU, or let the ranks of a "
                         "GPU form a pod (comm.pod), in which one of them uses it for all; `nvidia-smi -c 0` ends exclusive mode",
                         device, name);
    if (code == cudaErrorMemoryAllocation)
        return error_set(err, EXIT_PEERS, "device %d (%s) has no memory left even to start: nvidia-smi lists the processes that hold it",
                         device, name);
    return error_set(err, EXIT_PEERS, "device %d (%s) cannot be used: %s (%s)", device, name, cudaGetErrorString(code),
                     cudaGetErrorName(code));
}

/* ---- choosing ------------------------------------------------------------------------------------------------------------------------ */

static __global__ void probe_kernel(int *done)
{
    if (done) *done = 1;
}

/* Makes the device current and tries it: a context, and code that it can run. */
static cudaError_t device_try(int device)
{
    cudaError_t code = cudaSetDevice(device);
    if (code == cudaSuccess) code = cudaFree(NULL); /* makes the context where cudaSetDevice does not yet */
    if (code == cudaSuccess) {
        LAUNCH(probe_kernel, 1, 1, 0, 0, static_cast<int *>(NULL));
        code = cudaGetLastError();
    }
    if (code == cudaSuccess) code = cudaDeviceSynchronize();
    cudaGetLastError(); /* forgotten: it is in `code` */
    return code;
}

int device_describe(int device, char *text, size_t size)
{
    struct cudaDeviceProp about;
    const cudaError_t code = cudaGetDeviceProperties(&about, device);
    if (code != cudaSuccess) {
        text_format(text, size, "unknown");
        cudaGetLastError();
        return (int)code;
    }
    char uuid[40];
    int at = 0;
    for (int i = 0; i < 16; i++) {
        const char *dash = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";
        at += snprintf(uuid + at, sizeof uuid - (size_t)at, "%s%02x", dash, (unsigned)(unsigned char)about.uuid.bytes[i]);
    }
    text_format(text, size, "%.63s, GPU-%s", about.name, uuid);
    return 0;
}

/* Newer devices, and others from 8.0 on, compile the PTX that is in the program as well, and do so silently. */
static void warn_of_compiling(int device)
{
    char name[128] = "";
    int major = 0, minor = 0;
    device_describe(device, name, sizeof name);
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
    if (device_has_code(MAPPO_CUDA_ARCHES, major, minor)) return;
    warn("this build has code for " MAPPO_CUDA_ARCHES " and none for device %d (%s, compute capability %d.%d): the driver compiles it when "
         "it is first used, which may take a minute, and keeps it in its cache; `make CUDA_ARCH=%d%d` does so once for all",
         device, name, major, minor, major, minor);
}

int device_choose(const struct backend_config *config, int *device, struct error *err)
{
    int count = 0;
    cudaError_t code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess || count == 0) {
        cudaGetLastError();
        return explain_none(code, err);
    }
    if (config->device >= count)
        return error_set(err, EXIT_USAGE, "cuda.device=%d: there %s %d device%s here, numbered from 0; cuda.device=-1 chooses by the rank",
                         config->device, count == 1 ? "is" : "are", count, count == 1 ? "" : "s");
    *device = config->device >= 0 ? config->device : (config->local_rank > 0 ? config->local_rank : 0) % count;
    code = device_try(*device);
    if (code != cudaSuccess) return explain_device(code, *device, err);
    if (config->local_rank <= 0 && !config->planning) warn_of_compiling(*device);
    return EXIT_DONE;
}

/* ---- for mappo doctor ---------------------------------------------------------------------------------------------------------------- */

static void list_device(struct device_info *info, int device)
{
    char text[sizeof info->name + sizeof info->uuid + 2] = "";
    memset(info, 0, sizeof *info);
    device_describe(device, text, sizeof text);
    char *comma = strrchr(text, ',');
    if (comma) *comma = '\0';
    text_format(info->name, sizeof info->name, "%.63s", text);
    text_format(info->uuid, sizeof info->uuid, "%.47s", comma ? comma + 2 : "");
    int mode = cudaComputeModeDefault;
    cudaDeviceGetAttribute(&info->major, cudaDevAttrComputeCapabilityMajor, device);
    cudaDeviceGetAttribute(&info->minor, cudaDevAttrComputeCapabilityMinor, device);
    cudaDeviceGetAttribute(&mode, cudaDevAttrComputeMode, device);
    info->exclusive = mode == cudaComputeModeExclusive || mode == cudaComputeModeExclusiveProcess;
    info->memory_free = -1;
    struct error err = {0, ""};
    const cudaError_t code = device_try(device);
    if (code != cudaSuccess) {
        explain_device(code, device, &err);
        text_format(info->error, sizeof info->error, "%.380s", err.text);
        return;
    }
    size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) == cudaSuccess) info->memory_free = (double)free, info->memory = (double)total;
}

extern "C" int cuda_device_list(struct device_build *build, struct device_info *list, int most)
{
    int driver = 0, count = 0;
    struct error err = {0, ""};
    version_text(build->toolkit, sizeof build->toolkit, CUDART_VERSION);
    text_format(build->code, sizeof build->code, "%s", MAPPO_CUDA_ARCHES);
    if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0) version_text(build->driver, sizeof build->driver, driver);
    const cudaError_t code = cudaGetDeviceCount(&count);
    cudaGetLastError();
    if (code != cudaSuccess || count == 0) {
        explain_none(code, &err);
        text_format(build->error, sizeof build->error, "%.380s", err.text);
        return 0;
    }
    for (int i = 0; i < count && i < most; i++) list_device(&list[i], i);
    return count;
}
