/* Ranks by MPI: the only file that includes mpi.h. Needs MPI-3.0 and MPI_THREAD_FUNNELED. */
#ifdef HAVE_MPI
#include <mpi.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "comm/comm_ops.h"
#include "comm/watchdog.h"

/* MPI counts in int; longer buffers go in pieces. */
enum { PIECE = 1 << 30, TAG = 1 };

struct comm_mpi {
    MPI_Comm world; /* our own copy, so that nobody else's messages can match ours */
    bool part;      /* made by mpi_split: MPI itself goes on when it is closed */
};

/* Optional functions of libraries that know devices: Open MPI, MVAPICH2-GDR; MPICH and what stands on it. */
extern int MPIX_Query_cuda_support(void) __attribute__((weak));
extern int MPIX_GPU_query_support(int type, int *is_supported) __attribute__((weak));

static MPI_Comm world_of(const struct comm *comm)
{
    return ((struct comm_mpi *)comm->self)->world;
}

static void check(int code, const char *operation)
{
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length;
    MPI_Error_string(code, text, &length);
    die(EXIT_PEERS,
        "%s failed in phase \"%s\": %s; another rank has probably ended, its message is above; the same command (without --fresh) "
        "continues from the last "
        "checkpoint",
        operation, watchdog_phase_name(), text);
}

/* Only the main thread may call MPI; another one just goes, and the launcher ends the rest. */
static void abort_all(int code)
{
    int started = 0, finished = 0, main_thread = 0;
    MPI_Initialized(&started);
    MPI_Finalized(&finished);
    if (started && !finished) MPI_Is_thread_main(&main_thread);
    if (main_thread) MPI_Abort(MPI_COMM_WORLD, code);
    _exit(code);
}

static void mpi_close(struct comm *comm)
{
    struct comm_mpi *self = comm->self;
    const bool part = self->part;
    MPI_Comm_free(&self->world);
    free(self);
    if (part) return;
    check_identify(comm->rank, comm->size, NULL);
    MPI_Finalize();
}

static void mpi_barrier(struct comm *comm)
{
    check(MPI_Barrier(world_of(comm)), "MPI_Barrier");
}

static void mpi_reduce(struct comm *comm, void *x, size_t n, int type, int reduction)
{
    const MPI_Datatype types[] = {
        [COMM_REAL] = sizeof(real) == sizeof(double) ? MPI_DOUBLE : MPI_FLOAT, [COMM_DOUBLE] = MPI_DOUBLE, [COMM_INT64] = MPI_INT64_T};
    const size_t widths[] = {[COMM_REAL] = sizeof(real), [COMM_DOUBLE] = sizeof(double), [COMM_INT64] = sizeof(int64_t)};
    const MPI_Op operations[] = {[COMM_SUM] = MPI_SUM, [COMM_MIN] = MPI_MIN, [COMM_MAX] = MPI_MAX};
    for (size_t done = 0; done < n;) {
        const size_t count = n - done < PIECE ? n - done : PIECE;
        check(MPI_Allreduce(MPI_IN_PLACE, (char *)x + done * widths[type], (int)count, types[type], operations[reduction], world_of(comm)),
              "MPI_Allreduce");
        done += count;
    }
}

static void mpi_broadcast(struct comm *comm, void *bytes, size_t n, int root)
{
    for (size_t done = 0; done < n;) {
        const size_t count = n - done < PIECE ? n - done : PIECE;
        check(MPI_Bcast((char *)bytes + done, (int)count, MPI_BYTE, root, world_of(comm)), "MPI_Bcast");
        done += count;
    }
}

static void mpi_send(struct comm *comm, const void *bytes, size_t n, int to)
{
    for (size_t done = 0; done < n;) {
        const size_t count = n - done < PIECE ? n - done : PIECE;
        check(MPI_Send((const char *)bytes + done, (int)count, MPI_BYTE, to, TAG, world_of(comm)), "MPI_Send");
        done += count;
    }
}

static void mpi_receive(struct comm *comm, void *bytes, size_t n, int from)
{
    for (size_t done = 0; done < n;) {
        const size_t count = n - done < PIECE ? n - done : PIECE;
        check(MPI_Recv((char *)bytes + done, (int)count, MPI_BYTE, from, TAG, world_of(comm), MPI_STATUS_IGNORE), "MPI_Recv");
        done += count;
    }
}

static bool mpi_pending(struct comm *comm, int from)
{
    int there = 0;
    check(MPI_Iprobe(from, TAG, world_of(comm), &there, MPI_STATUS_IGNORE), "MPI_Iprobe");
    return there;
}

static void mpi_exchange(struct comm *comm, const void *out, void *in, size_t n, int with)
{
    for (size_t done = 0; done < n;) {
        const int count = (int)(n - done < PIECE ? n - done : PIECE);
        check(MPI_Sendrecv((const char *)out + done, count, MPI_BYTE, with, TAG, (char *)in + done, count, MPI_BYTE, with, TAG,
                           world_of(comm), MPI_STATUS_IGNORE),
              "MPI_Sendrecv");
        done += (size_t)count;
    }
}

static const struct comm_ops comm_mpi_ops;

/* Who we are in self->world. */
static void find_place(struct comm *comm, struct comm_mpi *self)
{
    MPI_Comm node;
    MPI_Comm_set_errhandler(self->world, MPI_ERRORS_RETURN);
    MPI_Comm_rank(self->world, &comm->rank);
    MPI_Comm_size(self->world, &comm->size);
    check(MPI_Comm_split_type(self->world, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL, &node), "MPI_Comm_split_type");
    MPI_Comm_rank(node, &comm->local_rank);
    MPI_Comm_size(node, &comm->local_size);
    comm->node = comm->rank;
    check(MPI_Bcast(&comm->node, 1, MPI_INT, 0, node), "MPI_Bcast");
    MPI_Comm_free(&node);
    comm->self = self;
    comm->ops = &comm_mpi_ops;
}

static void mpi_split(struct comm *comm, int part, bool within_node, struct comm *out)
{
    struct comm_mpi *self = calloc(1, sizeof *self);
    MPI_Comm from = world_of(comm), node = MPI_COMM_NULL;
    if (!self) die(EXIT_PEERS, "out of memory while forming groups of ranks");
    self->part = true;
    if (within_node) {
        check(MPI_Comm_split_type(from, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL, &node), "MPI_Comm_split_type");
        from = node;
    }
    check(MPI_Comm_split(from, part, comm->rank, &self->world), "MPI_Comm_split");
    if (within_node) MPI_Comm_free(&node);
    find_place(out, self);
}

struct comm_mpi_window {
    MPI_Win win;
};

/* Rank 0 gives all of it. */
static void *mpi_window_open(struct comm *comm, size_t bytes, void **base)
{
    struct comm_mpi_window *window = calloc(1, sizeof *window);
    if (!window) die(EXIT_PEERS, "out of memory while sharing memory between ranks");
    void *mine;
    MPI_Aint size;
    int unit;
    check(MPI_Win_allocate_shared(comm->rank == 0 ? (MPI_Aint)bytes : 0, 1, MPI_INFO_NULL, world_of(comm), &mine, &window->win),
          "MPI_Win_allocate_shared");
    check(MPI_Win_shared_query(window->win, 0, &size, &unit, base), "MPI_Win_shared_query");
    return window;
}

static void mpi_window_close(void *handle)
{
    struct comm_mpi_window *window = handle;
    MPI_Win_free(&window->win);
    free(window);
}

bool comm_mpi_device_aware(void)
{
    int started = 0, supported = 0;
    MPI_Initialized(&started);
    if (!started) return false;
    if (MPIX_Query_cuda_support) return MPIX_Query_cuda_support() == 1;
    if (MPIX_GPU_query_support && MPIX_GPU_query_support(0, &supported) == MPI_SUCCESS) return supported != 0; /* 0: CUDA */
    return false;
}

static const struct comm_ops comm_mpi_ops = {
    .close = mpi_close,
    .barrier = mpi_barrier,
    .reduce = mpi_reduce,
    .broadcast = mpi_broadcast,
    .send = mpi_send,
    .receive = mpi_receive,
    .pending = mpi_pending,
    .exchange = mpi_exchange,
    .split = mpi_split,
    .window_open = mpi_window_open,
    .window_close = mpi_window_close,
};

/* "Open MPI v4.1.4, package: …" → "Open MPI 4.1.4"; "MPICH Version:\t4.0.2\n…" → "MPICH 4.0.2"; others keep the start of a line. */
void comm_mpi_library(char *name, size_t size)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "", version[64];
    int length;
    MPI_Get_library_version(text, &length);
    text[strcspn(text, "\n,")] = '\0';
    if (sscanf(text, "Open MPI v%63s", version) == 1)
        text_format(name, size, "Open MPI %s", version);
    else if (sscanf(text, "MPICH Version: %63s", version) == 1)
        text_format(name, size, "MPICH %s", version);
    else
        text_format(name, size, "%s", text);
    for (char *c = name; *c; c++)
        if (isspace((unsigned char)*c)) *c = ' ';
}

int comm_mpi_open(struct comm *comm, int *argc, char ***argv, struct error *err)
{
    int provided;
    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
    if (provided < MPI_THREAD_FUNNELED)
        return error_set(
            err, EXIT_PEERS,
            "this MPI library does not allow threads beside the one that calls it (MPI_THREAD_FUNNELED); use another build of it");

    struct comm_mpi *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, EXIT_PEERS, "out of memory while starting MPI");
    check(MPI_Comm_dup(MPI_COMM_WORLD, &self->world), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    find_place(comm, self);
    comm_mpi_library(comm->library, sizeof comm->library);
    check_identify(comm->rank, comm->size, abort_all);
    return EXIT_DONE;
}
#else
/* ISO C wants something in every file. */
extern int comm_mpi_is_left_out;
#endif
