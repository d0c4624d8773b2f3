/* What can be said of devices before a backend is open. The CUDA part is linked where the build has it. */
#include "backend/devices.h"

#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"

extern int cuda_device_count(void) __attribute__((weak)); /* cuda/comm_cuda.cu */
extern void cuda_nccl_version(char *text, size_t size) __attribute__((weak));
extern int cuda_device_list(struct device_build *build, struct device_info *list, int most) __attribute__((weak)); /* cuda/devices.cu */

int backend_devices(const char *name)
{
    return strcmp(name, "cuda") == 0 && cuda_device_count ? cuda_device_count() : 0;
}

bool backend_nccl(char *text, size_t size)
{
    if (cuda_nccl_version) cuda_nccl_version(text, size);
    return cuda_nccl_version != NULL;
}

int device_list(struct device_build *build, struct device_info *list, int most)
{
    memset(build, 0, sizeof *build);
    return cuda_device_list ? cuda_device_list(build, list, most) : 0;
}

bool device_has_code(const char *code, int major, int minor)
{
    bool any = false;
    char *end;
    for (long arch = strtol(code, &end, 10); end != code; arch = strtol(code, &end, 10)) {
        if (arch / 10 == major && arch % 10 <= minor) return true;
        any = true;
        code = end;
    }
    return !any;
}
