/* What can be said of devices before a backend is open. The CUDA part is linked where the build has it. */
#include <string.h>

#include "backend/backend.h"

extern int cuda_device_count(void) __attribute__((weak)); /* cuda/comm_cuda.cu */

int backend_devices(const char *name)
{
    return strcmp(name, "cuda") == 0 && cuda_device_count ? cuda_device_count() : 0;
}
