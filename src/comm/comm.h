/* Communication between ranks: only what learning needs. comm_self serves a single process (and builds without MPI), comm_mpi the rest.
 * MPI appears nowhere but in this folder. All calls are collective and must be made by the main thread (MPI_THREAD_FUNNELED).
 * Errors: a failing MPI call ends all ranks with EXIT_PEERS, naming what was being done. */
#ifndef MAPPO_COMM_COMM_H
#define MAPPO_COMM_COMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/real.h"

struct comm_ops;
struct comm_device;

/* How sums over ranks go where they lie in a device's memory (comm_attach_device). */
enum comm_way {
    COMM_HOST,   /* they don't: host memory */
    COMM_ALONE,  /* one rank: at most shards of its own are added up, on the device */
    COMM_STAGED, /* through pinned memory of the host */
    COMM_AWARE,  /* MPI reads and writes the device's memory */
    COMM_NCCL    /* by NCCL, on the device's stream */
};
/* What a person asks for: the choices of comm.gpu. */
enum comm_gpu { COMM_GPU_AUTO, COMM_GPU_NCCL, COMM_GPU_MPI, COMM_GPU_STAGED };

struct comm {
    int rank, size;             /* of all ranks */
    int local_rank, local_size; /* of this node */
    int node;                   /* rank of the node's local rank 0: tells nodes apart */
    int device_offset; /* added to local_rank where that chooses a device: ranks of the node that train something else come before */
    char library[128]; /* "Open MPI 4.1.4", "MPICH 4.0.2", "none" */
    char host[64];
    char launcher[32]; /* what started the ranks: "Open MPI's mpirun", "srun"; empty for a plain start */
    double seconds;    /* spent in calls since the last comm_take_seconds */
    int shards;        /* reproducible mode: shards of all ranks; 0 = off */
    void *scratch;     /* [scratch_bytes] one incoming message of comm_sum_shards */
    size_t scratch_bytes;
    const struct comm_device *device; /* NULL where sums lie in host memory */
    int way;                          /* enum comm_way */
    void *stage;                      /* [stage_bytes] staged: pinned memory for all local shards */
    size_t stage_bytes;
    struct comm_gpu_report *gpu; /* [size] rank 0, while a device is attached */
    void *self;
    const struct comm_ops *ops;
};

/* MPI is started where this build has it and a launcher (mpirun, srun, yhrun: known by their environment variables) started the process; a
 * plain start touches no MPI. MAPPO_MPI=1 starts it all the same (an unknown launcher), MAPPO_MPI=0 never (independent processes under
 * srun). EXIT_PEERS where this build has no MPI under a launcher of several ranks, or where MPI sees one rank and the launcher started
 * several: the mpirun of another library. Each rank then returns the error, and `comm` is a single process that tells the ranks apart, so
 * that only one of them prints. */
int comm_open(struct comm **comm, int *argc, char ***argv, struct error *err);
/* The last thing before the process ends: mpirun may kill the other ranks as soon as one ends with a code other than 0, so files are closed
 * before. NULL is allowed. */
void comm_close(struct comm *comm);

void comm_barrier(struct comm *comm);
void comm_sum(struct comm *comm, real *x, size_t n); /* in place, all ranks */
void comm_sum_double(struct comm *comm, double *x, size_t n);
void comm_min_double(struct comm *comm, double *x, size_t n);
void comm_max_double(struct comm *comm, double *x, size_t n);
void comm_broadcast(struct comm *comm, void *bytes, size_t n); /* from rank 0 */
/* Short news from rank 0 that may be hours away: the others sleep between looks, for `seconds` at most; false: nothing yet. */
void comm_tell(struct comm *comm, const void *bytes, size_t n);
bool comm_told(struct comm *comm, void *bytes, size_t n, double seconds);
/* Blocks of any size to rank 0, in rank order. sizes[] (size entries) and `all` are read on rank 0 only. */
void comm_gather(struct comm *comm, const void *bytes, size_t n, void *all, const size_t *sizes);
/* The other way: rank r receives block r of `all`. */
void comm_scatter(struct comm *comm, const void *all, const size_t *sizes, void *bytes, size_t n);

/* One code for all: errors come before EXIT_STOPPED, that before EXIT_CONTINUE, that before 0; among errors the lowest rank's. Where it is
 * not 0, every rank receives the text of that rank. */
int comm_vote(struct comm *comm, int code, struct error *err);

/* The sum over shards. x [local shards][n] holds this rank's shard vectors, consecutive shards of the global order; the result lands in x[0
 * … n-1] of every rank. Reproducible mode (comm->shards > 0): along one fixed binary tree over all shards, so the bits do not depend on how
 * shards lie on ranks. The tree halves [lo, hi) at lo + (hi - lo) / 2. Ranks hold the shards that comm_part gives them. Otherwise: local
 * sum in shard order, then MPI's allreduce. The other shards' vectors are overwritten. The incoming message is comm's own memory, sized by
 * comm_reserve before the loop starts; it may be called again with larger sizes. */
void comm_reserve(struct comm *comm, int local_shards, size_t max_reals, size_t max_doubles);
void comm_sum_shards(struct comm *comm, real *x, int local_shards, size_t n);
void comm_sum_shards_double(struct comm *comm, double *x, int local_shards, size_t n);

/* True where comm_sum_shards does not wait for the host: nothing to do, or done on the device's stream. */
static inline bool comm_on_stream(const struct comm *comm)
{
    if (comm->device) return comm->way == COMM_ALONE || comm->way == COMM_NCCL;
    return comm->size == 1 && comm->shards <= 1;
}

/* ---- devices ------------------------------------------------------------------------------------------------------------------------- */

enum { COMM_NCCL_ID = 128 }; /* bytes of ncclUniqueId */

/* A device whose memory comm_sum_shards adds up: given by a backend (cuda/comm_cuda.cu). Calls work in the order of the device's stream and
 * return before it has worked, unless they are said to wait. `wide`: doubles, else reals. */
struct comm_device {
    void *self;
    char name[96];                                 /* "NVIDIA H100 80GB HBM3" */
    char uuid[64];                                 /* "GPU-…": ranks with the same one share the device */
    void *(*host_alloc)(void *self, size_t bytes); /* pinned; ends the program where there is none */
    void (*host_free)(void *self, void *bytes);
    void (*download)(void *self, void *to, const void *from, size_t bytes); /* waits */
    void (*upload)(void *self, void *to, const void *from, size_t bytes);   /* from memory of host_alloc, which stays as it is until a later
                                                                             * download or sync */
    void (*add)(void *self, bool wide, void *to, const void *from, size_t n);
    void (*sync)(void *self); /* waits */
    /* Optional: host memory of others' becomes as fast to copy as host_alloc's. 0, or it cannot be had. */
    int (*host_register)(void *self, void *bytes, size_t n);
    void (*host_unregister)(void *self, void *bytes);
    /* Optional: NCCL. nccl_find loads the library: 0, or it says why it cannot be had. nccl_open is collective. */
    int (*nccl_find)(void *self, char *why, size_t size);
    int (*nccl_id)(void *self, unsigned char id[COMM_NCCL_ID], struct error *err);
    int (*nccl_open)(void *self, const unsigned char id[COMM_NCCL_ID], int rank, int size, struct error *err);
    void (*nccl_sum)(void *self, bool wide, void *x, size_t n);
    void (*nccl_close)(void *self);
};

struct comm_gpu_report { /* what rank 0 knows of every rank's device */
    char host[64], name[96], uuid[64];
};

/* From now on x of comm_sum_shards and comm_sum_shards_double is memory of this device, which must outlive that: comm_detach_device. Before
 * comm_reserve. Collective: all ranks attach one, and choose the same way. `how`: enum comm_gpu. EXIT_USAGE where what is asked for cannot
 * be (says why, and the key), EXIT_PEERS where NCCL fails. */
int comm_attach_device(struct comm *comm, const struct comm_device *device, int how, struct error *err);
void comm_detach_device(struct comm *comm);         /* collective; nothing happens where none is attached */
const char *comm_way_text(const struct comm *comm); /* "gradients: staged through pinned memory (two ranks share a GPU)"; "" without */
bool comm_device_aware(void);                       /* does the MPI library, once started, say that it takes a CUDA device's memory? */

/* ---- parts of all ranks -------------------------------------------------------------------------------------------------------------- */

/* The ranks that give the same `part` (>= 0), in the order of this communicator. Collective; within_node: only ranks of one node stay
 * together. Its comm_close ends nothing else. A failing call still ends all ranks. */
struct comm *comm_split(struct comm *comm, int part, bool within_node);
/* This process by itself, as if no launcher had started it: its calls reach no MPI, also not in a process that it forks. */
struct comm *comm_alone(const struct comm *comm);

/* Memory that all ranks of a communicator within one node share: zeroed. Collective. Errors end all ranks. */
struct comm_window;
struct comm_window *comm_window_open(struct comm *comm, size_t bytes, void **base);
void comm_window_close(struct comm_window *window);

/* All ranks hold the same bytes (a hash): returns 0, or EXIT_PEERS with a text that names `what` and the first rank that differs from rank
 * 0. */
int comm_agree(struct comm *comm, const char *what, uint64_t hash, struct error *err);

double comm_take_seconds(struct comm *comm);

/* The MPI that this build uses, started or not: "Open MPI 4.1.4"; "none" in a build without. */
void comm_library(char *name, size_t size);

/* What to change where ranks hold so few environments that messages take much of the time: one line, empty where there is nothing to say.
 * `envs` of all ranks, `steps` between updates. Measures MPI's allreduce a few times (well under a second). Collective; the text is rank
 * 0's on all ranks. */
void comm_advice(struct comm *comm, int envs, int steps, char *text, size_t size);

/* Seconds of an allreduce of n reals, of the slowest rank: by the library (tree = false) or along the tree of comm_sum_shards with one
 * shard a rank. Collective. */
struct comm_timing {
    double fastest, median;
};
struct comm_timing comm_measure_sum(struct comm *comm, size_t n, int rounds, bool tree);

/* Which environments and shards a rank holds: [first, first + count) of the global order. Uneven splits give the lower ranks one more. */
struct comm_part {
    int first, count;
};
struct comm_part comm_part(int total, int rank, int size);
/* Shards of all ranks, and the number of this rank's first: where there are none, a rank is one. */
static inline int comm_all_shards(const struct comm *comm)
{
    return comm->shards > 0 ? comm->shards : comm->size;
}
static inline uint32_t comm_first_shard(const struct comm *comm)
{
    return (uint32_t)(comm->shards > 0 ? comm_part(comm->shards, comm->rank, comm->size).first : comm->rank);
}
int comm_part_owner(int total, int item, int size); /* the rank whose part has the item */

#endif
