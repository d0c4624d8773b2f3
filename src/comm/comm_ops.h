/* What a communicator must provide; comm.c builds everything else from it. Private to this folder.
 * Operations are collective unless said otherwise and do not return on failure: they end all ranks with EXIT_PEERS. */
#ifndef MAPPO_COMM_COMM_OPS_H
#define MAPPO_COMM_COMM_OPS_H

#include "comm/comm.h"

enum comm_type { COMM_REAL, COMM_DOUBLE, COMM_INT64 };
enum comm_reduction { COMM_SUM, COMM_MIN, COMM_MAX };

struct comm_ops {
    void (*close)(struct comm *);
    void (*barrier)(struct comm *);
    void (*reduce)(struct comm *, void *x, size_t n, int type, int reduction); /* in place, result on all ranks */
    void (*broadcast)(struct comm *, void *bytes, size_t n, int root);

    /* Between two ranks; never called where there is one. */
    void (*send)(struct comm *, const void *bytes, size_t n, int to);
    void (*receive)(struct comm *, void *bytes, size_t n, int from);
    bool (*pending)(struct comm *comm, int from);                                   /* a message from that rank can be received */
    void (*exchange)(struct comm *, const void *out, void *in, size_t n, int with); /* both at once */

    void (*split)(struct comm *, int part, bool within_node, struct comm *out); /* fills out as comm_mpi_open does */
    void *(*window_open)(struct comm *, size_t bytes, void **base);             /* the handle for window_close */
    void (*window_close)(void *window);
};

extern const struct comm_ops comm_self_ops;

/* comm_mpi.c, where the build has MPI. Fills rank, size, local_rank, local_size, node, library, self and ops. */
int comm_mpi_open(struct comm *comm, int *argc, char ***argv, struct error *err);
void comm_mpi_library(char *name, size_t size); /* allowed before MPI is started */
bool comm_mpi_device_aware(void);               /* false before */

#endif
