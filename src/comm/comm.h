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

struct comm {
    int rank, size;             /* of all ranks */
    int local_rank, local_size; /* of this node */
    char library[128];          /* "Open MPI 4.1.4", "MPICH 4.0.2", "none" */
    double seconds;             /* spent in calls since the last comm_take_seconds */
    int shards;                 /* reproducible mode: shards of all ranks; 0 = off */
    void *self;
    const struct comm_ops *ops;
};

/* MPI is started where this build has it and a launcher started the process (or `force`). A build without MPI under a launcher is an error that says so. */
int comm_open(struct comm **comm, int *argc, char ***argv, struct error *err);
void comm_close(struct comm *comm);

void comm_barrier(struct comm *comm);
void comm_sum(struct comm *comm, real *x, size_t n);         /* in place, all ranks */
void comm_sum_double(struct comm *comm, double *x, size_t n);
void comm_min_double(struct comm *comm, double *x, size_t n);
void comm_max_double(struct comm *comm, double *x, size_t n);
void comm_broadcast(struct comm *comm, void *bytes, size_t n); /* from rank 0 */
/* Blocks of any size to rank 0, in rank order. sizes[] (size entries) and `all` are read on rank 0 only. */
void comm_gather(struct comm *comm, const void *bytes, size_t n, void *all, const size_t *sizes);
/* The other way: rank r receives block r of `all`. */
void comm_scatter(struct comm *comm, const void *all, const size_t *sizes, void *bytes, size_t n);

/* The worst code of all ranks; where it is not 0, every rank receives the text of the lowest rank that has it. */
int comm_vote(struct comm *comm, int code, struct error *err);

/* The sum over shards. x [local shards][n] holds this rank's shard vectors, consecutive shards of the global order; the result lands in x[0 … n-1] of every rank.
 * Reproducible mode (comm->shards > 0): along one fixed binary tree over all shards, so the bits do not depend on how shards lie on ranks.
 * Otherwise: local sum, then allreduce. `scratch` is comm's own, sized by comm_reserve before the loop starts. */
void comm_reserve(struct comm *comm, int local_shards, size_t max_reals, size_t max_doubles);
void comm_sum_shards(struct comm *comm, real *x, int local_shards, size_t n);
void comm_sum_shards_double(struct comm *comm, double *x, int local_shards, size_t n);

/* All ranks hold the same bytes (a hash): returns 0, or EXIT_PEERS with a text that names `what` and the first rank that differs from rank 0. */
int comm_agree(struct comm *comm, const char *what, uint64_t hash, struct error *err);

double comm_take_seconds(struct comm *comm);

/* Which environments and shards a rank holds: [first, first + count) of the global order. Uneven splits give the lower ranks one more. */
struct share {
    int first, count;
};
struct share comm_share(int total, int rank, int size);

#endif
