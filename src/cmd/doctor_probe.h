/* What `mappo doctor` finds out about a machine: file systems, time limits, shared memory. */
#ifndef MAPPO_CMD_DOCTOR_PROBE_H
#define MAPPO_CMD_DOCTOR_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#include "comm/comm.h"

struct probe_disk {
    char looked_at[512]; /* the folder itself, or the nearest one above that exists */
    bool exists;         /* the folder itself does */
    char type[32];       /* "ext4", "nfs", "lustre" */
    double free_bytes;
    double create, sync, rename, sync_folder; /* median seconds for a file of 512 kB, as a checkpoint is written */
    char error[256];                          /* empty, or why nothing can be written there */
};
void probe_disk(struct probe_disk *disk, const char *folder);

/* Bytes free in the memory that ranks of a node exchange messages through; -1 where there is none. */
double probe_shared_memory(void);

struct probe_limit {
    char job[64];        /* "Slurm job 123"; empty outside */
    double seconds_left; /* < 0: not known, or none */
    char source[48];     /* who says so: "MAPPO_DEADLINE", "squeue" */
    bool seen_by_run;    /* a run started from here would know it */
};
void probe_limit(struct probe_limit *limit);

/* The affinity mask as the kernel writes it: "0-3,8". */
void probe_affinity(char *text, size_t size);
/* The processor's name; empty where the system does not tell. */
void probe_processor(char *text, size_t size);

/* doctor_messages.c: a line, or members of an object, in a build with CUDA. Rank 0. */
void doctor_print_messages(const struct comm *comm);
void doctor_json_messages(void);

#endif
