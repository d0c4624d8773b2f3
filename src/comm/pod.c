#include "comm/pod.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"

/* ---- who belongs together ------------------------------------------------------------------------------------------------------------ */

/* Number of this rank's pod on its node. */
static int pod_number(const struct comm *world, int size, int devices)
{
    const int ranks = world->local_size;
    if (size > 0) return world->local_rank / size;
    if (devices > 0 && ranks > devices) return comm_part_owner(ranks, world->local_rank, devices);
    return world->local_rank;
}

static void find_members(struct pod *pod)
{
    struct who {
        int rank, process;
    } mine = {pod->world->rank, (int)getpid()};
    struct who *all = calloc((size_t)pod->members, sizeof *all);
    size_t *sizes = calloc((size_t)pod->members, sizeof *sizes);
    pod->rank = calloc((size_t)pod->members, sizeof *pod->rank);
    pod->process = calloc((size_t)pod->members, sizeof *pod->process);
    if (!all || !sizes || !pod->rank || !pod->process) die(EXIT_PEERS, "out of memory while forming pods");
    for (int m = 0; m < pod->members; m++) sizes[m] = sizeof mine;
    comm_gather(pod->ranks, &mine, sizeof mine, all, sizes);
    comm_broadcast(pod->ranks, all, (size_t)pod->members * sizeof *all);
    for (int m = 0; m < pod->members; m++) {
        pod->rank[m] = all[m].rank;
        /* Ranks in containers of their own can't see one another's processes. */
        pod->process[m] = kill(all[m].process, 0) == 0 || errno == EPERM ? all[m].process : 0;
    }
    comm_barrier(pod->ranks); /* nobody ends before all have looked */
    free(all);
    free(sizes);
}

static void find_leaders(struct pod *pod)
{
    size_t *sizes = calloc((size_t)pod->pods, sizeof *sizes);
    pod->leader_rank = calloc((size_t)pod->pods, sizeof *pod->leader_rank);
    if (!sizes || !pod->leader_rank) die(EXIT_PEERS, "out of memory while forming pods");
    for (int p = 0; p < pod->pods; p++) sizes[p] = sizeof *pod->leader_rank;
    comm_gather(pod->leaders, &pod->world->rank, sizeof *pod->leader_rank, pod->leader_rank, sizes);
    comm_broadcast(pod->leaders, pod->leader_rank, (size_t)pod->pods * sizeof *pod->leader_rank);
    free(sizes);
}

static int split(struct pod *pod, int size, int devices, struct error *err)
{
    struct comm *world = pod->world;
    pod->ranks = comm_split(world, pod_number(world, size, devices), true);
    pod->member = pod->ranks->rank;
    pod->members = pod->ranks->size;
    const bool leads = pod->member == 0;
    struct comm *same = comm_split(world, leads ? 0 : 1, false);
    if (leads)
        pod->leaders = same;
    else
        comm_close(same);
    int numbers[2] = {leads ? pod->leaders->rank : 0, leads ? pod->leaders->size : 0};
    comm_broadcast(pod->ranks, numbers, sizeof numbers);
    pod->leader = numbers[0];
    pod->pods = numbers[1];
    find_members(pod);
    if (leads) find_leaders(pod);
    int code = pod->members > POD_MOST ? error_set(err, EXIT_USAGE,
                                                   "%d ranks on %s form one pod, and %d are the most; start fewer ranks with more threads "
                                                   "(threads=N), or smaller pods (comm.pod=N)",
                                                   pod->members, world->host, POD_MOST)
                                       : 0;
    return comm_vote(world, code, err);
}

int pod_open(struct pod **out, struct comm *world, int size, int devices, struct error *err)
{
    struct pod *pod = *out = calloc(1, sizeof *pod);
    if (!pod) die(EXIT_PEERS, "out of memory while forming pods");
    pod->world = world;
    pod->members = 1;
    pod->leader = world->rank;
    pod->pods = world->size;
    pod->leaders = world;
    double several = world->size > 1 && ((size > 1 && world->local_size > 1) || (size == 0 && devices > 0 && world->local_size > devices));
    comm_max_double(world, &several, 1);
    if (several == 0) return 0;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    /* Short: on a core that another program wants too, a rank that spins has used up its turn when the command comes (a command then took
     * milliseconds with 1 ms of spinning, 0.4 ms without). */
    pod->spin = world->local_size > cores ? 0 : 50e-6;
    pod->leaders = NULL;
    return split(pod, size, devices, err);
}

/* ---- the window ---------------------------------------------------------------------------------------------------------------------- */

/* Bytes that the node's pods may take of shared memory together; < 0 where it isn't known. */
static double shared_room(void)
{
    struct statvfs found;
    if (statvfs("/dev/shm", &found)) return -1;
    return (double)found.f_bavail * (double)found.f_frsize;
}

int pod_memory_open(struct pod *pod, size_t bytes, struct error *err)
{
    int code = 0;
    if (pod->member == 0) {
        /* All pods of the node map theirs at about the same time. */
        const double need = (double)bytes * pod->leaders->local_size + 1e6, room = shared_room();
        if (room >= 0 && need > room)
            code = error_set(err, EXIT_PEERS,
                             "/dev/shm on %s has %.0f MB free and the environments of its %d pod%s need %.0f MB, %.0f MB more: lower "
                             "rollout.envs, remove old files there, or make it larger (mount -o remount,size=%.0fM /dev/shm, docker run "
                             "--shm-size=%.0fm)",
                             pod->world->host, room / 1e6, pod->leaders->local_size, pod->leaders->local_size == 1 ? "" : "s", need / 1e6,
                             (need - room) / 1e6, 1.1 * need / 1e6 + 64, 1.1 * need / 1e6 + 64);
    }
    if ((code = comm_vote(pod->ranks, code, err))) return code;
    void *base;
    pod->window = comm_window_open(pod->ranks, bytes, &base);
    pod->memory = base;
    pod->bytes = bytes;
    pod->taken = 0;
    return 0;
}

void *pod_take(struct pod *pod, size_t bytes)
{
    CHECK(pod->memory && pod_room(bytes) <= pod->bytes - pod->taken, "a pod's window of %zu bytes has no room for %zu more than %zu",
          pod->bytes, bytes, pod->taken);
    void *at = pod->memory + pod->taken;
    pod->taken += pod_room(bytes);
    return at;
}

void pod_memory_close(struct pod *pod)
{
    comm_window_close(pod->window);
    pod->window = NULL;
    pod->memory = NULL;
    pod->bytes = pod->taken = 0;
}

bool pod_alive(const struct pod *pod, int member)
{
    return pod->process[member] == 0 || kill(pod->process[member], 0) == 0 || errno != ESRCH;
}

bool pod_frozen(const struct pod *pod, int member)
{
    char path[64], state = 0;
    if (pod->process[member] == 0) return false;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pod->process[member]);
    FILE *file = fopen(path, "r");
    if (!file) return false;
    /* "pid (name) state …"; a name may hold anything, and ends at the last parenthesis */
    char line[512];
    const char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (end && end[1] == ' ') state = end[2];
    fclose(file);
    return state && strchr("TtDZX", state) != NULL;
}

void pod_close(struct pod *pod)
{
    if (!pod) return;
    pod_memory_close(pod);
    if (pod->leaders != pod->world) comm_close(pod->leaders);
    comm_close(pod->ranks);
    free(pod->rank);
    free(pod->leader_rank);
    free(pod->process);
    free(pod);
}
