#include "comm/launcher.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/text.h"

/* In order: the launcher proper before the layers below it, which an Open MPI under Slurm inherits too. SLURM_STEP_NUM_TASKS is set by srun
 * only; SLURM_NTASKS and SLURM_PROCID also stand in batch scripts, where a plain start is a plain start. */
static const struct {
    const char *name, *rank, *size;
} launchers[] = {
    {"Open MPI's mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"MVAPICH's launcher", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"},
    {"jsrun", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"},
    {"mpirun (MPICH or Intel MPI)", "PMI_RANK", "PMI_SIZE"},
    {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
    {"a PMIx launcher", "PMIX_RANK", NULL},
};

static int read_count(const char *variable)
{
    const char *text = variable ? getenv(variable) : NULL;
    int64_t value;
    if (!text || !text_to_int(text, &value) || value < 0 || value > INT_MAX) return -1;
    return (int)value;
}

struct launcher launcher_find(void)
{
    for (size_t i = 0; i < sizeof launchers / sizeof launchers[0]; i++) {
        struct launcher found = {launchers[i].name, read_count(launchers[i].rank), read_count(launchers[i].size)};
        if (found.size > 0 || (!launchers[i].size && found.rank >= 0)) {
            /* srun speaks PMI to MPICH and Intel MPI. */
            if (getenv("SLURM_STEP_NUM_TASKS") && launchers[i].name[0] == 'm') found.name = "srun";
            return found;
        }
    }
    return (struct launcher){NULL, -1, -1};
}
