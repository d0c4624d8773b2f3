/* `mappo doctor`: how gradients in GPUs' memory could be added up over ranks. */
#include "cmd/doctor_probe.h"

#include <stdio.h>

#include "backend/backend.h"
#include "base/text.h"

void doctor_print_messages(const struct comm *comm)
{
    char nccl[192];
    if (!backend_nccl(nccl, sizeof nccl)) return;
    printf("gradients   NCCL: %s; MPI: %s\n", nccl,
           comm_device_aware() ? "takes GPUs' memory (CUDA-aware)"
           : comm->launcher[0] ? "does not say that it takes GPUs' memory: it would be staged through the host's"
                               : "not started");
}

void doctor_json_messages(void)
{
    char nccl[192];
    if (!backend_nccl(nccl, sizeof nccl)) return;
    printf("\"nccl\":");
    text_json_string(stdout, nccl);
    printf(",\"mpi_takes_gpu_memory\":%s,", comm_device_aware() ? "true" : "false");
}
