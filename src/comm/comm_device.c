/* Sums over ranks in a device's memory: which way they go is chosen here, once; comm_sum.c goes it. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "comm/comm_ops.h"
#include "comm/watchdog.h"

bool comm_device_aware(void)
{
#ifdef HAVE_MPI
    return comm_mpi_device_aware();
#else
    return false;
#endif
}

/* ---- who has which ------------------------------------------------------------------------------------------------------------------- */

/* Rank 0 learns every rank's device. */
static void gather_reports(struct comm *comm, const struct comm_device *device)
{
    struct comm_gpu_report mine = {.host = ""};
    size_t *sizes = calloc((size_t)comm->size, sizeof *sizes);
    if (comm->rank == 0) comm->gpu = calloc((size_t)comm->size, sizeof *comm->gpu);
    if (!sizes || (comm->rank == 0 && !comm->gpu)) die(EXIT_PEERS, "out of memory while asking %d ranks for their GPUs", comm->size);
    text_format(mine.host, sizeof mine.host, "%s", comm->host);
    text_format(mine.name, sizeof mine.name, "%s", device->name);
    text_format(mine.uuid, sizeof mine.uuid, "%s", device->uuid);
    for (int r = 0; r < comm->size; r++) sizes[r] = sizeof mine;
    comm_gather(comm, &mine, sizeof mine, comm->gpu, sizes);
    free(sizes);
}

/* What decides, known to all ranks alike. */
struct facts {
    int sharing[2]; /* two ranks with one device; -1 = there are none */
    bool aware, nccl;
    char why_no_nccl[192];
};

static void find_sharing(const struct comm *comm, int sharing[2])
{
    sharing[0] = sharing[1] = -1;
    for (int r = 1; r < comm->size; r++)
        for (int q = 0; q < r && sharing[0] < 0; q++)
            if (!strcmp(comm->gpu[q].uuid, comm->gpu[r].uuid) && !strcmp(comm->gpu[q].host, comm->gpu[r].host))
                sharing[0] = q, sharing[1] = r;
}

static void find_facts(struct comm *comm, const struct comm_device *device, struct facts *facts)
{
    *facts = (struct facts){.sharing = {-1, -1}};
    if (comm->rank == 0) find_sharing(comm, facts->sharing);
    comm_broadcast(comm, facts->sharing, sizeof facts->sharing);
    struct error why = {.code = 0};
    if (!device->nccl_find)
        error_set(&why, EXIT_PEERS, "this build has none");
    else if (device->nccl_find(device->self, facts->why_no_nccl, sizeof facts->why_no_nccl))
        error_set(&why, EXIT_PEERS, "%s", facts->why_no_nccl);
    facts->nccl = comm_vote(comm, why.code, &why) == 0;
    text_format(facts->why_no_nccl, sizeof facts->why_no_nccl, "%.150s", why.text);
    double aware = comm_device_aware();
    comm_min_double(comm, &aware, 1);
    facts->aware = aware > 0;
}

/* ---- the choice ---------------------------------------------------------------------------------------------------------------------- */

/* The same on all ranks. */
static int choose_way(struct comm *comm, const struct facts *facts, int how, struct error *err)
{
    const bool nccl = facts->nccl && facts->sharing[0] < 0;
    if (how == COMM_GPU_STAGED) return comm->way = COMM_STAGED, 0;
    if (how == COMM_GPU_AUTO) {
        comm->way = comm->shards > 0 ? COMM_STAGED : nccl ? COMM_NCCL : facts->aware ? COMM_AWARE : COMM_STAGED;
        return 0;
    }
    const char *key = how == COMM_GPU_NCCL ? "comm.gpu=nccl" : "comm.gpu=mpi", *whose = how == COMM_GPU_NCCL ? "NCCL" : "MPI";
    if (comm->shards > 0)
        return error_set(err, EXIT_USAGE,
                         "%s: comm.reproducible=1 needs sums in one fixed order, and %s adds up in its own; leave comm.gpu at auto, or "
                         "comm.reproducible off",
                         key, whose);
    if (how == COMM_GPU_MPI && !facts->aware)
        return error_set(err, EXIT_USAGE,
                         "%s: %s does not say that it takes a GPU's memory (CUDA-aware); use a build of it that does, or comm.gpu=staged",
                         key, comm->library);
    if (how == COMM_GPU_NCCL && facts->sharing[0] >= 0)
        return error_set(
            err, EXIT_USAGE,
            "%s: ranks %d and %d share a GPU, which NCCL refuses; start one rank a GPU, form pods (comm.pod=0), or comm.gpu=staged", key,
            facts->sharing[0], facts->sharing[1]);
    if (how == COMM_GPU_NCCL && !facts->nccl)
        return error_set(err, EXIT_USAGE, "%s: %s; install NCCL where the loader finds it (LD_LIBRARY_PATH), or comm.gpu=staged", key,
                         facts->why_no_nccl);
    comm->way = how == COMM_GPU_NCCL ? COMM_NCCL : COMM_AWARE;
    return 0;
}

static int open_nccl(struct comm *comm, struct error *err)
{
    const struct comm_device *device = comm->device;
    unsigned char id[COMM_NCCL_ID] = {0};
    int code = comm->rank == 0 ? device->nccl_id(device->self, id, err) : 0;
    if ((code = comm_vote(comm, code, err))) return code;
    comm_broadcast(comm, id, sizeof id);
    watchdog_waiting("the start of NCCL");
    code = device->nccl_open(device->self, id, comm->rank, comm->size, err);
    watchdog_waiting(NULL);
    return comm_vote(comm, code, err);
}

int comm_attach_device(struct comm *comm, const struct comm_device *device, int how, struct error *err)
{
    int code = 0;
    comm_detach_device(comm);
    comm->device = device;
    comm->way = COMM_ALONE;
    gather_reports(comm, device);
    if (comm->size > 1) {
        struct facts facts;
        find_facts(comm, device, &facts);
        code = choose_way(comm, &facts, how, err);
        if (!code && comm->way == COMM_NCCL && (code = open_nccl(comm, err))) comm->way = COMM_STAGED;
    }
    if (code) comm_detach_device(comm);
    return code;
}

void comm_detach_device(struct comm *comm)
{
    if (!comm->device) return;
    if (comm->way == COMM_NCCL) comm->device->nccl_close(comm->device->self);
    if (comm->stage) comm->device->host_free(comm->device->self, comm->stage);
    free(comm->gpu);
    comm->gpu = NULL;
    comm->stage = NULL;
    comm->stage_bytes = 0;
    comm->device = NULL;
    comm->way = COMM_HOST;
}

const char *comm_way_text(const struct comm *comm)
{
    if (!comm->device) return "";
    switch (comm->way) {
    case COMM_NCCL:
        return "gradients: added up by NCCL";
    case COMM_AWARE:
        return "gradients: added up by MPI in the GPUs' memory";
    case COMM_STAGED:
        return comm->shards > 0 ? "gradients: staged through pinned memory, added up in a fixed order (comm.reproducible)"
                                : "gradients: staged through pinned memory";
    default:
        return "";
    }
}
