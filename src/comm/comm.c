#include "comm/comm.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "comm/comm_ops.h"
#include "comm/launcher.h"
#include "comm/watchdog.h"

/* ---- opening ------------------------------------------------------------------------------------------------------------------------- */

/* Ranks that can't reach each other still know their numbers, so that the lowest alone prints. */
static void stand_alone(struct comm *comm, int rank, int size)
{
    comm->rank = rank > 0 ? rank : 0;
    comm->size = size > 0 ? size : 1;
    comm->ops = &comm_self_ops;
    check_identify(comm->rank, comm->size, NULL);
}

static int open_without_mpi(struct comm *comm, const struct launcher *launcher, struct error *err)
{
    stand_alone(comm, 0, 1);
    text_format(comm->library, sizeof comm->library, "none");
    if (!launcher->name || launcher->size == 1) return EXIT_DONE;
    stand_alone(comm, launcher->rank, launcher->size);
    return error_set(
        err, EXIT_PEERS,
        "started by %s, but this build has no MPI, so every process would train alone; build with `make MPI=1`, or start it without "
        "the launcher (MAPPO_MPI=0 allows independent processes)",
        launcher->name);
}

#ifdef HAVE_MPI
static int open_with_mpi(struct comm *comm, const struct launcher *launcher, int *argc, char ***argv, struct error *err)
{
    const int code = comm_mpi_open(comm, argc, argv, err);
    if (code) return code;
    if (comm->size > 1 || launcher->size <= 1) return EXIT_DONE;
    comm->ops->close(comm);
    stand_alone(comm, launcher->rank, launcher->size);
    return error_set(
        err, EXIT_PEERS,
        "%s started %d processes, but %s, which this build uses, sees only one; use the mpirun of that library, or under Slurm `srun "
        "--mpi=pmix` (`srun --mpi=list` shows what there is)",
        launcher->name, launcher->size, comm->library);
}
#endif

int comm_open(struct comm **out, int *argc, char ***argv, struct error *err)
{
    struct comm *comm = calloc(1, sizeof *comm);
    if (!comm) return error_set(err, EXIT_PEERS, "out of memory while starting");
    *out = comm;
    comm->local_size = 1;
    if (gethostname(comm->host, sizeof comm->host - 1)) text_format(comm->host, sizeof comm->host, "localhost");

    struct launcher launcher = launcher_find();
    bool wanted = launcher.name != NULL;
    const char *force = getenv("MAPPO_MPI");
    if (force && !text_to_bool(force, &wanted))
        return stand_alone(comm, 0, 1), error_set(err, EXIT_USAGE, "MAPPO_MPI=%s: must be 0 (never start MPI) or 1 (always)", force);
    if (!wanted) launcher = (struct launcher){NULL, -1, -1};
    if (launcher.name) text_format(comm->launcher, sizeof comm->launcher, "%s", launcher.name);
#ifdef HAVE_MPI
    if (wanted) return open_with_mpi(comm, &launcher, argc, argv, err);
#else
    (void)argc, (void)argv;
#endif
    return open_without_mpi(comm, &launcher, err);
}

void comm_library(char *name, size_t size)
{
#ifdef HAVE_MPI
    comm_mpi_library(name, size);
#else
    text_format(name, size, "none");
#endif
}

void comm_close(struct comm *comm)
{
    if (!comm) return;
    comm_detach_device(comm);
    comm->ops->close(comm);
    free(comm->scratch);
    free(comm);
}

/* The same ranks, with nothing that one of them has gathered by itself. */
static struct comm *copy_of(const struct comm *comm)
{
    struct comm *out = calloc(1, sizeof *out);
    if (!out) die(EXIT_PEERS, "out of memory while forming groups of ranks");
    *out = *comm;
    out->seconds = 0;
    out->scratch = out->stage = NULL;
    out->scratch_bytes = out->stage_bytes = 0;
    out->device = NULL;
    out->way = COMM_HOST;
    out->gpu = NULL;
    return out;
}

struct comm *comm_split(struct comm *comm, int part, bool within_node)
{
    struct comm *out = copy_of(comm);
    if (comm->ops->split) comm->ops->split(comm, part, within_node, out);
    return out;
}

struct comm *comm_alone(const struct comm *comm)
{
    struct comm *out = copy_of(comm);
    out->rank = out->local_rank = out->node = 0;
    out->size = out->local_size = 1;
    out->self = NULL;
    out->ops = &comm_self_ops;
    return out;
}

/* ---- memory that ranks share --------------------------------------------------------------------------------------------------------- */

struct comm_window {
    const struct comm_ops *ops;
    void *handle; /* of ops->window_open; memory of our own where one rank is alone */
};

struct comm_window *comm_window_open(struct comm *comm, size_t bytes, void **base)
{
    struct comm_window *window = calloc(1, sizeof *window);
    if (!window) die(EXIT_PEERS, "out of memory while sharing memory between ranks");
    window->ops = comm->ops;
    if (comm->ops->window_open)
        window->handle = comm->ops->window_open(comm, bytes, base);
    else
        *base = window->handle = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!window->handle) die(EXIT_PEERS, "out of memory while sharing %zu bytes between ranks", bytes);
    if (comm->rank == 0) memset(*base, 0, bytes);
    comm_barrier(comm);
    return window;
}

void comm_window_close(struct comm_window *window)
{
    if (!window) return;
    if (window->ops->window_close)
        window->ops->window_close(window->handle);
    else
        free(window->handle);
    free(window);
}

struct comm_part comm_part(int total, int rank, int size)
{
    const int base = total / size, more = total % size;
    return (struct comm_part){rank * base + (rank < more ? rank : more), base + (rank < more)};
}

int comm_part_owner(int total, int item, int size)
{
    const int base = total / size, more = total % size, boundary = more * (base + 1);
    return item < boundary ? item / (base + 1) : more + (item - boundary) / base;
}

/* ---- simple operations --------------------------------------------------------------------------------------------------------------- */

static double wait_begin(const char *operation)
{
    watchdog_waiting(operation);
    return clock_seconds();
}

static void wait_end(struct comm *comm, double began)
{
    watchdog_waiting(NULL);
    comm->seconds += clock_seconds() - began;
}

double comm_take_seconds(struct comm *comm)
{
    const double seconds = comm->seconds;
    comm->seconds = 0;
    return seconds;
}

void comm_barrier(struct comm *comm)
{
    const double began = wait_begin("a barrier");
    comm->ops->barrier(comm);
    wait_end(comm, began);
}

static void reduce(struct comm *comm, void *x, size_t n, int type, int reduction)
{
    if (comm->size == 1 || n == 0) return;
    const double began = wait_begin("an allreduce");
    comm->ops->reduce(comm, x, n, type, reduction);
    wait_end(comm, began);
}

void comm_sum(struct comm *comm, real *x, size_t n)
{
    reduce(comm, x, n, COMM_REAL, COMM_SUM);
}
void comm_sum_double(struct comm *comm, double *x, size_t n)
{
    reduce(comm, x, n, COMM_DOUBLE, COMM_SUM);
}
void comm_min_double(struct comm *comm, double *x, size_t n)
{
    reduce(comm, x, n, COMM_DOUBLE, COMM_MIN);
}
void comm_max_double(struct comm *comm, double *x, size_t n)
{
    reduce(comm, x, n, COMM_DOUBLE, COMM_MAX);
}

static void broadcast_from(struct comm *comm, void *bytes, size_t n, int root)
{
    if (comm->size == 1 || n == 0) return;
    const double began = wait_begin("a broadcast");
    comm->ops->broadcast(comm, bytes, n, root);
    wait_end(comm, began);
}

void comm_broadcast(struct comm *comm, void *bytes, size_t n)
{
    broadcast_from(comm, bytes, n, 0);
}

void comm_tell(struct comm *comm, const void *bytes, size_t n)
{
    for (int r = 1; r < comm->size; r++) comm->ops->send(comm, bytes, n, r);
}

bool comm_told(struct comm *comm, void *bytes, size_t n, double seconds)
{
    const double began = clock_seconds();
    const struct timespec nap = {.tv_nsec = 5000000};
    while (!comm->ops->pending(comm, 0)) {
        if (clock_seconds() - began >= seconds) return false;
        nanosleep(&nap, NULL);
    }
    comm->ops->receive(comm, bytes, n, 0);
    return true;
}

/* Messages between pairs, in rank order: blocks may have any size, and together be larger than MPI's int counts allow. */
void comm_gather(struct comm *comm, const void *bytes, size_t n, void *all, const size_t *sizes)
{
    const double began = wait_begin("a gather");
    if (comm->rank > 0) {
        comm->ops->send(comm, bytes, n, 0);
    } else {
        CHECK(sizes[0] == n, "gather: rank 0 gives %zu bytes and expects %zu", n, sizes[0]);
        if (n > 0) memmove(all, bytes, n);
        char *to = (char *)all + n;
        for (int r = 1; r < comm->size; to += sizes[r], r++) comm->ops->receive(comm, to, sizes[r], r);
    }
    wait_end(comm, began);
}

void comm_scatter(struct comm *comm, const void *all, const size_t *sizes, void *bytes, size_t n)
{
    const double began = wait_begin("a scatter");
    if (comm->rank > 0) {
        comm->ops->receive(comm, bytes, n, 0);
    } else {
        CHECK(sizes[0] == n, "scatter: rank 0 expects %zu bytes and gives %zu", n, sizes[0]);
        const char *from = (const char *)all + n;
        for (int r = 1; r < comm->size; from += sizes[r], r++) comm->ops->send(comm, from, sizes[r], r);
        if (n > 0) memmove(bytes, all, n);
    }
    wait_end(comm, began);
}

/* ---- agreement ----------------------------------------------------------------------------------------------------------------------- */

int comm_vote(struct comm *comm, int code, struct error *err)
{
    if (comm->size == 1) return code;
    enum { AN_ERROR, STOPPED, TO_BE_CONTINUED, NOTHING };
    const int class = code == EXIT_DONE ? NOTHING : code == EXIT_CONTINUE ? TO_BE_CONTINUED : code == EXIT_STOPPED ? STOPPED : AN_ERROR;
    int64_t key = ((int64_t) class << 32) + comm->rank;
    reduce(comm, &key, 1, COMM_INT64, COMM_MIN);
    if (key >> 32 == NOTHING) return EXIT_DONE;

    struct error said = {.code = code};
    if (err && code) memcpy(said.text, err->text, sizeof said.text);
    broadcast_from(comm, &said, sizeof said, (int)(key & 0x7fffffff));
    if (err) memcpy(err->text, said.text, sizeof said.text), err->code = said.code;
    return said.code;
}

int comm_agree(struct comm *comm, const char *what, uint64_t hash, struct error *err)
{
    if (comm->size == 1) return EXIT_DONE;
    struct {
        uint64_t hash;
        char host[sizeof comm->host];
    } first = {.hash = hash}, other = {.hash = hash};
    memcpy(first.host, comm->host, sizeof first.host);
    memcpy(other.host, comm->host, sizeof other.host);
    broadcast_from(comm, &first, sizeof first, 0);
    int64_t differs = hash != first.hash ? comm->rank : comm->size;
    reduce(comm, &differs, 1, COMM_INT64, COMM_MIN);
    if (differs == comm->size) return EXIT_DONE;
    broadcast_from(comm, &other, sizeof other, (int)differs);
    return error_set(err, EXIT_PEERS, "rank %d on %s differs from rank 0 on %s in %s (%016llx, %016llx)", (int)differs, other.host,
                     first.host, what, (unsigned long long)other.hash, (unsigned long long)first.hash);
}
