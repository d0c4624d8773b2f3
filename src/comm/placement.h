/* How many threads a rank should use, and what the operating system allows: affinity mask, cgroup quota, ranks of this node that share
 * them. */
#ifndef MAPPO_COMM_PLACEMENT_H
#define MAPPO_COMM_PLACEMENT_H

#include <stdbool.h>

#include "comm/comm.h"

struct placement {
    int threads;      /* to use */
    int mask_cores;   /* cores in the affinity mask */
    int online_cores; /* of the machine */
    double quota;     /* cgroup CPU quota in cores; 0 = none */
    int sharing;      /* ranks of this node whose masks overlap this one's */
    bool may_spin;    /* while they wait: the threads have cores of their own, as far as we know, and OMP_WAIT_POLICY isn't passive */
    char reason[128]; /* "OMP_NUM_THREADS", "affinity mask of 8 cores shared by 4 ranks" */
    char advice[256]; /* empty, or what to change: "bound to 1 core beside 7 idle ones: mpirun --bind-to none" */
};

/* requested > 0 wins, then OMP_NUM_THREADS, SLURM_CPUS_PER_TASK, then mask and quota divided by the ranks that share them. Collective. */
void placement_find(struct placement *placement, struct comm *comm, int requested);

#endif
