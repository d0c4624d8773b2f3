#include "comm/placement.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/text.h"
#include "comm/openmp.h"

enum { MASK_CPUS = 4096, MASK_WORDS = MASK_CPUS / 64 };

struct mask {
    uint64_t word[MASK_WORDS];
};
/* What a rank tells rank 0 of itself. */
struct claim {
    struct mask cpus;  /* affinity */
    struct mask cores; /* the same, of the hardware threads of one core only the first: a second adds next to nothing to dense arithmetic */
    int allowed;       /* CPUs of the host that this job may use */
    char host[64];
};
/* What it is told: how many ranks of its host may run on its cores, its part of them, and how many CPUs of the host no rank may run on. */
struct lot {
    int sharing, idle;
    double part;
};

static bool mask_has(const struct mask *mask, int cpu)
{
    return mask->word[cpu / 64] >> (cpu % 64) & 1;
}

static int mask_count(const struct mask *mask)
{
    int count = 0;
    for (int w = 0; w < MASK_WORDS; w++) count += __builtin_popcountll(mask->word[w]);
    return count;
}

/* The affinity mask, or all CPUs where the system does not tell. */
static void read_masks(struct claim *claim, int online)
{
    cpu_set_t *set = CPU_ALLOC(MASK_CPUS);
    const size_t bytes = CPU_ALLOC_SIZE(MASK_CPUS);
    const bool known = set && sched_getaffinity(0, bytes, set) == 0;
    for (int cpu = 0; cpu < MASK_CPUS; cpu++)
        if (known ? CPU_ISSET_S((size_t)cpu, bytes, set) : cpu < online) claim->cpus.word[cpu / 64] |= 1ull << cpu % 64;
    CPU_FREE(set);
    claim->cores = claim->cpus;
    for (int cpu = 0; cpu < MASK_CPUS; cpu++) {
        char path[96];
        int first;
        if (!mask_has(&claim->cpus, cpu)) continue;
        text_format(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fscanf(file, "%d", &first) == 1 && first >= 0 && first < cpu && mask_has(&claim->cpus, first))
            claim->cores.word[cpu / 64] &= ~(1ull << cpu % 64);
        fclose(file);
    }
}

/* ---- quota of the control group ------------------------------------------------------------------------------------------------------ */

static double read_quota_file(const char *folder)
{
    char path[512], first[32];
    double quota = -1, period = 0;
    text_format(path, sizeof path, "%s/cpu.max", folder); /* version 2: "max 100000" or "200000 100000" */
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%31s %lf", first, &period) == 2 && strcmp(first, "max")) quota = atof(first);
        fclose(file);
        return quota > 0 && period > 0 ? quota / period : 0;
    }
    text_format(path, sizeof path, "%s/cpu.cfs_quota_us", folder); /* version 1: -1 = none */
    if (!(file = fopen(path, "r"))) return 0;
    if (fscanf(file, "%lf", &quota) != 1) quota = -1;
    fclose(file);
    text_format(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if ((file = fopen(path, "r"))) {
        if (fscanf(file, "%lf", &period) != 1) period = 0;
        fclose(file);
    }
    return quota > 0 && period > 0 ? quota / period : 0;
}

/* The smallest quota from this process's group up to the root; 0 = none. */
static double lowest_quota(const char *root, char *group)
{
    double lowest = 0;
    for (;;) {
        char folder[448];
        text_format(folder, sizeof folder, "%s%s", root, strcmp(group, "/") ? group : "");
        const double quota = read_quota_file(folder);
        if (quota > 0 && (lowest == 0 || quota < lowest)) lowest = quota;
        char *slash = strrchr(group, '/');
        if (!slash || slash[1] == '\0') return lowest;
        slash[slash == group] = '\0';
    }
}

static double read_quota(void)
{
    char line[512];
    double lowest = 0;
    FILE *file = fopen("/proc/self/cgroup", "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) { /* "0::/user.slice" or "4:cpu,cpuacct:/job" */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        controllers++;
        const bool unified = controllers[0] == '\0';
        if (!unified && strcmp(controllers, "cpu") && strncmp(controllers, "cpu,", 4) && !strstr(controllers, ",cpu")) continue;
        char copy[512];
        text_format(copy, sizeof copy, "%s", group);
        double quota = lowest_quota(unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu", group);
        if (unified && quota == 0) quota = lowest_quota("/sys/fs/cgroup/unified", copy);
        if (quota > 0 && (lowest == 0 || quota < lowest)) lowest = quota;
    }
    fclose(file);
    return lowest;
}

/* ---- who shares what ----------------------------------------------------------------------------------------------------------------- */

/* The ranks of one host. Each core is divided by the ranks that may run on it; a rank's part is the sum over its cores. */
static void share_host(const struct claim *claim, const int *member, int members, struct lot *lot)
{
    int on_core[MASK_CPUS] = {0};
    struct mask covered = {{0}};
    for (int m = 0; m < members; m++) {
        for (int cpu = 0; cpu < MASK_CPUS; cpu++) on_core[cpu] += mask_has(&claim[member[m]].cores, cpu);
        for (int w = 0; w < MASK_WORDS; w++) covered.word[w] |= claim[member[m]].cpus.word[w];
    }
    for (int m = 0; m < members; m++) {
        const struct mask *mine = &claim[member[m]].cores;
        struct lot *to = &lot[member[m]];
        const int idle = claim[member[m]].allowed - mask_count(&covered);
        *to = (struct lot){.idle = idle > 0 ? idle : 0};
        for (int cpu = 0; cpu < MASK_CPUS; cpu++)
            if (mask_has(mine, cpu)) to->part += 1.0 / on_core[cpu];
        for (int other = 0; other < members; other++) {
            bool overlap = false;
            for (int w = 0; w < MASK_WORDS; w++) overlap |= (mine->word[w] & claim[member[other]].cores.word[w]) != 0;
            to->sharing += overlap;
        }
    }
}

static void share_all(const struct claim *claim, int ranks, struct lot *lot)
{
    int *member = calloc((size_t)ranks, sizeof *member);
    bool *done = calloc((size_t)ranks, sizeof *done);
    if (!member || !done) die(EXIT_PEERS, "out of memory while looking where ranks run");
    for (int r = 0; r < ranks; r++) {
        int members = 0;
        for (int other = r; other < ranks && !done[r]; other++)
            if (other == r || (!done[other] && !strcmp(claim[other].host, claim[r].host))) member[members++] = other;
        if (members > 0) share_host(claim, member, members, lot);
        for (int m = 0; m < members; m++) done[member[m]] = true;
    }
    free(member);
    free(done);
}

static void find_lot(struct comm *comm, const struct claim *mine, struct lot *lot)
{
    size_t *in = calloc((size_t)comm->size, sizeof *in), *out = calloc((size_t)comm->size, sizeof *out);
    struct claim *claims = comm->rank == 0 ? calloc((size_t)comm->size, sizeof *claims) : NULL;
    struct lot *lots = comm->rank == 0 ? calloc((size_t)comm->size, sizeof *lots) : NULL;
    if (!in || !out || (comm->rank == 0 && (!claims || !lots))) die(EXIT_PEERS, "out of memory while looking where ranks run");
    for (int r = 0; r < comm->size; r++) in[r] = sizeof *claims, out[r] = sizeof *lots;
    comm_gather(comm, mine, sizeof *mine, claims, in);
    if (comm->rank == 0) share_all(claims, comm->size, lots);
    comm_scatter(comm, lots, out, lot, sizeof *lot);
    free(in);
    free(out);
    free(claims);
    free(lots);
}

/* ---- the choice ---------------------------------------------------------------------------------------------------------------------- */

static int threads_from(const char *variable)
{
    const char *text = getenv(variable);
    if (!text || !*text) return 0;
    char *end;
    const long value = strtol(text, &end, 10);
    if (value >= 1 && value <= 1024 && (*end == '\0' || *end == ',')) return (int)value; /* OMP_NUM_THREADS may list nesting levels */
    warn("%s=%.40s is not a number of threads: ignored", variable, text);
    return 0;
}

static void want_threads(struct placement *p, const struct comm *comm, const struct lot *lot, int requested)
{
    static const char *const variables[] = {"OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"};
    if (requested > 0) {
        p->threads = requested;
        text_format(p->reason, sizeof p->reason, "threads=%d", requested);
        return;
    }
    for (int i = 0; i < 2; i++)
        if ((p->threads = threads_from(variables[i])) > 0) {
            text_format(p->reason, sizeof p->reason, "%s=%d", variables[i], p->threads);
            return;
        }
    /* The small addend: eight eighths may come out below one. */
    p->threads = (int)(lot->part + 1e-6);
    char sharing[48] = "";
    if (p->sharing > 1) text_format(sharing, sizeof sharing, " shared by %d ranks", p->sharing);
    text_format(p->reason, sizeof p->reason, "affinity mask of %d core%s%s", p->mask_cores, p->mask_cores == 1 ? "" : "s", sharing);
    const double quota = p->quota / comm->local_size;
    if (p->quota > 0 && (int)quota < p->threads) {
        p->threads = (int)quota;
        text_format(p->reason, sizeof p->reason, "cgroup quota of %.3g cores on %d rank%s", p->quota, comm->local_size,
                    comm->local_size == 1 ? "" : "s");
    }
    if (p->threads < 1) p->threads = 1;
}

static void choose_threads(struct placement *p, const struct comm *comm, const struct lot *lot, int requested)
{
    want_threads(p, comm, lot, requested);
    const int most = openmp_most_threads();
    if (p->threads <= most) return;
    warn("%s, but OMP_THREAD_LIMIT=%d: %d thread%s; unset it to have more", p->reason, most, most, most == 1 ? "" : "s");
    p->threads = most;
    text_format(p->reason, sizeof p->reason, "OMP_THREAD_LIMIT=%d", most);
}

static const char *unbind_advice(const struct comm *comm)
{
    if (strstr(comm->launcher, "srun")) return "srun --cpu-bind=none, or --cpus-per-task=N with --cpu-bind=cores";
    if (strstr(comm->library, "Intel")) return "I_MPI_PIN=off, or I_MPI_PIN_DOMAIN=omp";
    if (comm->launcher[0]) return "mpirun --bind-to none";
    return "taskset or the shell that started this binds it";
}

static void advise(struct placement *p, const struct comm *comm, const struct lot *lot)
{
    if (p->mask_cores == 1 && lot->idle > 0)
        text_format(p->advice, sizeof p->advice, "bound to 1 core beside %d idle one%s: %s", lot->idle, lot->idle == 1 ? "" : "s",
                    unbind_advice(comm));
    else if (p->threads > p->mask_cores)
        text_format(p->advice, sizeof p->advice, "%d threads (%s) on %d core%s: %s", p->threads, p->reason, p->mask_cores,
                    p->mask_cores == 1 ? "" : "s", lot->idle > 0 ? unbind_advice(comm) : "fewer threads");
    else if (lot->part < 1 - 1e-6)
        text_format(p->advice, sizeof p->advice, "%d ranks share %d core%s: ranks wait for each other; start at most one rank a core",
                    p->sharing, p->mask_cores, p->mask_cores == 1 ? "" : "s");
    else if (p->threads > lot->part + 1e-6)
        text_format(p->advice, sizeof p->advice, "%d ranks with %d threads each share %d cores: at most %d threads (threads=%d)",
                    p->sharing, p->threads, p->mask_cores, (int)(lot->part + 1e-6), (int)(lot->part + 1e-6));
}

void placement_find(struct placement *placement, struct comm *comm, int requested)
{
    struct claim mine = {.allowed = 0};
    struct lot lot;
    *placement = (struct placement){.threads = 1};
    placement->online_cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    read_masks(&mine, placement->online_cores);
    text_format(mine.host, sizeof mine.host, "%s", comm->host);
    placement->mask_cores = mask_count(&mine.cores);
    placement->quota = read_quota();

    /* Under Slurm only the cores of the allocation count as ours. */
    mine.allowed = placement->online_cores;
    const char *slurm = getenv("SLURM_CPUS_ON_NODE");
    if (slurm && atoi(slurm) > 0 && atoi(slurm) < mine.allowed) mine.allowed = atoi(slurm);
    find_lot(comm, &mine, &lot);
    placement->sharing = lot.sharing;
    choose_threads(placement, comm, &lot, requested);
    const double quota = placement->quota > 0 ? placement->quota / comm->local_size : lot.part;
    const char *policy = getenv("OMP_WAIT_POLICY"); /* the user's own word wins */
    placement->may_spin =
        placement->threads <= lot.part + 1e-6 && placement->threads <= quota + 1e-6 && !(policy && !strcasecmp(policy, "passive"));
    advise(placement, comm, &lot);
}
