/* `mappo doctor`: what this machine gives a run, and what to mend before a long one is started. */
#include <math.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/version.h"
#include "cmd/cmd.h"
#include "cmd/doctor_devices.h"
#include "cmd/doctor_json.h"
#include "cmd/doctor_probe.h"
#include "comm/openmp.h"
#include "comm/placement.h"
#include "render/ffmpeg.h"
#include "render/raster.h"
#include "run/learning.h"
#include "run/checkpoint_image.h"

/* What every rank tells rank 0. */
struct rank_report {
    char host[64], affinity[64], processor[64];
    struct placement placement;
    int level, local_size;
    uint64_t program;
    double shared_memory;
};

enum { MAX_FINDINGS = 24 };
struct finding {
    bool must; /* a run would fail or crawl; else a hint */
    char text[640];
};

struct doctor {
    const struct comm *comm;
    struct rank_report *rank; /* [size] */
    char cpu[96];             /* the backend's detail on rank 0 */
    struct doctor_devices devices;
    bool gpu_wanted; /* backend=cuda was given: without one, a run is refused */
    struct comm_timing small, message, tree;
    int nodes;
    bool crowded; /* more ranks than cores on some node: times mean little */
    char folder[CONFIG_TEXT];
    struct probe_disk disk;
    struct probe_limit limit;
    struct finding finding[MAX_FINDINGS];
    int findings;
};

enum { MESSAGE_REALS = 14000 }; /* the default networks' gradients: 56 kB */

static void find(struct doctor *d, bool must, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void find(struct doctor *d, bool must, const char *format, ...)
{
    char text[sizeof d->finding[0].text];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (int i = 0; i < d->findings; i++)
        if (!strcmp(d->finding[i].text, text)) return;
    if (d->findings == MAX_FINDINGS) return;
    d->finding[d->findings].must = must;
    memcpy(d->finding[d->findings++].text, text, sizeof text);
}

/* Whom a finding about a rank concerns. */
static const char *whose(const struct doctor *d, int rank, char *text, size_t size)
{
    if (d->comm->size == 1)
        text_format(text, size, "this process");
    else
        text_format(text, size, "rank %d on %s", rank, d->rank[rank].host);
    return text;
}

/* ---- what to mend -------------------------------------------------------------------------------------------------------------------- */

/* Says each kind of problem once, for the first rank that has it, with the number of ranks. */
static void check_placement(struct doctor *d)
{
    char who[128];
    int advised = 0, first = -1;
    for (int r = 0; r < d->comm->size; r++)
        if (d->rank[r].placement.advice[0]) {
            if (first < 0) first = r;
            advised++;
        }
    if (first >= 0)
        find(d, true, "%s: %s%s", whose(d, first, who, sizeof who), d->rank[first].placement.advice,
             advised > 1 ? " (other ranks too)" : "");
    const struct placement *p = &d->rank[0].placement;
    const int part = p->mask_cores / (p->sharing > 0 ? p->sharing : 1);
    const bool by_variable = !strncmp(p->reason, "OMP_", 4) || !strncmp(p->reason, "SLURM_", 6);
    char instead[32] = "";
    if (strncmp(p->reason, "OMP_THREAD_LIMIT", 16) != 0)
        text_format(instead, sizeof instead, ", or threads=%d", part); /* limits that, too */
    if (by_variable && p->threads < part)
        find(d, false, "%s leaves %d of %d cores of %s idle: unset it%s", p->reason, part - p->threads, part, whose(d, 0, who, sizeof who),
             instead);
}

static void check_binding(struct doctor *d)
{
    if (openmp_ignored()[0]) find(d, false, "%s: ignored here, threads run on all cores that the job permits", openmp_ignored());
}

static void check_ranks(struct doctor *d)
{
    int lowest = 0;
    for (int r = 1; r < d->comm->size; r++) {
        if (d->rank[r].level < d->rank[lowest].level) lowest = r;
        if (d->rank[r].program != d->rank[0].program)
            find(d, true, "rank %d on %s runs another program than rank 0 on %s: install one build where all nodes see it", r,
                 d->rank[r].host, d->rank[0].host);
    }
    if (d->rank[lowest].level < d->rank[0].level)
        find(d, false, "rank %d on %s has %s only: all ranks will use it, so that they compute the same", lowest, d->rank[lowest].host,
             cpu_level_name(d->rank[lowest].level));
#if defined(__x86_64__)
    if (d->rank[lowest].level == CPU_BASELINE) find(d, false, "no AVX2 here: expect a small part of the usual speed");
#endif
    for (int r = 0; r < d->comm->size; r++) {
        const double need = 16e6 * d->rank[r].local_size;
        if (d->rank[r].local_size > 1 && d->rank[r].shared_memory >= 0 && d->rank[r].shared_memory < need)
            find(d, true,
                 "/dev/shm on %s has %.0f MB free and %d ranks need about %.0f MB: remove old files there, `mount -o remount,size=1G "
                 "/dev/shm`, or docker run "
                 "--shm-size=1g",
                 d->rank[r].host, d->rank[r].shared_memory / 1e6, d->rank[r].local_size, need / 1e6);
    }
}

static void check_messages(struct doctor *d)
{
    if (d->comm->size == 1 || d->crowded) return;
    const double expected = d->nodes > 1 ? 8e-6 * ceil(log2(d->comm->size)) : 15e-6 * ceil(log2(d->comm->size));
    if (d->tree.median > 10 * expected && d->nodes > 1)
        find(d, false,
             "an allreduce of 56 kB takes %.0f µs, a fast network about %.0f: messages probably go over plain Ethernet; use the site's own "
             "MPI (module load) or "
             "name the network (Open MPI: --mca pml ucx)",
             1e6 * d->tree.median, 1e6 * expected);
    else if (d->tree.median > 20 * expected)
        find(d, false, "an allreduce of 56 kB within this node takes %.0f µs, usual are about %.0f: is another program using these cores?",
             1e6 * d->tree.median, 1e6 * expected);
    else if (d->message.median > 3 * d->tree.median && d->message.median > 100e-6)
        find(d, false,
             "%s needs %.0f µs for an allreduce of 56 kB, recursive doubling %.0f: have it choose that one (Open MPI: "
             "OMPI_MCA_coll_tuned_use_dynamic_rules=1 "
             "OMPI_MCA_coll_tuned_allreduce_algorithm=3; MPICH: MPIR_CVAR_ALLREDUCE_INTRA_ALGORITHM=recursive_doubling)",
             d->comm->library, 1e6 * d->message.median, 1e6 * d->tree.median);
}

static void check_devices(struct doctor *d)
{
    const struct doctor_devices *devices = &d->devices;
    if (devices->count == 0 && (devices->build.driver[0] || d->gpu_wanted))
        find(d, d->gpu_wanted, "%s", devices->build.error[0] ? devices->build.error : "backend=cuda: this program was built without CUDA");
    for (int i = 0; i < devices->count && i < DOCTOR_DEVICES; i++) {
        const struct device_info *info = &devices->list[i];
        if (info->error[0]) find(d, true, "%s", info->error);
        if (info->exclusive && !info->error[0] && d->rank[0].local_size > devices->count)
            find(d, false, "device %d is in exclusive mode and %d ranks share %d: leave comm.pod at 0, so that one of them uses it for all",
                 i, d->rank[0].local_size, devices->count);
    }
}

static void check_disk(struct doctor *d)
{
    const struct probe_disk *disk = &d->disk;
    if (disk->error[0]) {
        find(d, true, "%s: %s; choose another folder with run=FOLDER", disk->looked_at, disk->error);
        return;
    }
    if (disk->free_bytes < 100e6)
        find(d, true,
             "%s has only %.0f MB free: a run keeps checkpoints of about 1 MB each and a growing metrics.jsonl; choose another folder with "
             "run=FOLDER",
             disk->looked_at, disk->free_bytes / 1e6);
    if (!strcmp(disk->type, "tmpfs"))
        find(d, false, "%s is in memory (tmpfs) and gone after a reboot or at the end of a job; run=FOLDER on a disk keeps it",
             disk->looked_at);
    const double save = disk->create + disk->sync + disk->rename + disk->sync_folder;
    if (save > 1)
        find(d, false, "a checkpoint takes %.1f s on %s (%s): raise checkpoint.seconds, or run=FOLDER on a faster file system", save,
             disk->looked_at, disk->type);
}

static void check_limit(struct doctor *d)
{
    if (d->limit.job[0] && !d->limit.seen_by_run && d->limit.seconds_left >= 0)
        find(d, true,
             "a run started from here does not know the job's time limit and would be killed at its end: start it through slurm/train.sh, "
             "or "
             "`export MAPPO_DEADLINE=$(($(date +%%s) + %.0f))` first",
             d->limit.seconds_left);
    const char *locale = getenv("LC_ALL");
    if (!locale || !*locale) locale = getenv("LC_CTYPE");
    if (!locale || !*locale) locale = getenv("LANG");
    if (locale && *locale && !strcasestr(locale, "utf-8") && !strcasestr(locale, "utf8"))
        find(d, false, "the locale %s is not UTF-8: ± and µ may come out garbled; export LC_ALL=C.UTF-8", locale);
}

/* ---- collecting ---------------------------------------------------------------------------------------------------------------------- */

static void gather_reports(struct doctor *d, struct comm *comm, const struct config *config)
{
    struct rank_report mine = {.level = cpu_level_detect(), .local_size = comm->local_size, .program = version_program_hash()};
    text_format(mine.host, sizeof mine.host, "%s", comm->host);
    probe_affinity(mine.affinity, sizeof mine.affinity);
    probe_processor(mine.processor, sizeof mine.processor);
    mine.shared_memory = probe_shared_memory();
    placement_find(&mine.placement, comm, (int)config->train_threads);

    size_t *sizes = calloc((size_t)comm->size, sizeof *sizes);
    if (comm->rank == 0) d->rank = calloc((size_t)comm->size, sizeof *d->rank);
    if (!sizes || (comm->rank == 0 && !d->rank)) die(EXIT_INTERNAL, "out of memory while asking %d ranks", comm->size);
    for (int r = 0; r < comm->size; r++) sizes[r] = sizeof mine;
    comm_gather(comm, &mine, sizeof mine, d->rank, sizes);
    free(sizes);

    double counts[2] = {comm->local_rank == 0, 0};
    comm_sum_double(comm, counts, 1);
    counts[1] = comm->local_size > mine.placement.online_cores;
    comm_max_double(comm, counts, 2);
    d->nodes = (int)counts[0];
    d->crowded = counts[1] > 0;
}

static void measure(struct doctor *d, struct comm *comm)
{
    if (comm->size == 1) return;
    const int rounds = d->crowded ? 20 : 200;
    d->small = comm_measure_sum(comm, 8 / sizeof(real), rounds, false);
    d->message = comm_measure_sum(comm, MESSAGE_REALS, rounds, false);
    d->tree = comm_measure_sum(comm, MESSAGE_REALS, rounds, true);
}

static void look_at_machine(struct doctor *d, const struct config *config)
{
    struct backend *backend;
    struct error err = {0};
    const struct backend_config wanted = {.name = "cpu", .threads = d->rank[0].placement.threads, .level = -1};
    text_format(d->cpu, sizeof d->cpu, "unknown");
    if (backend_open(&backend, &wanted, &err) == 0) {
        text_format(d->cpu, sizeof d->cpu, "%s", backend->detail);
        backend->close(backend);
    }
    doctor_find_devices(&d->devices);
    config_run_folder(config, d->folder, sizeof d->folder);
    probe_disk(&d->disk, d->folder);
    probe_limit(&d->limit);
    check_placement(d);
    check_binding(d);
    check_ranks(d);
    check_messages(d);
    check_devices(d);
    check_disk(d);
    check_limit(d);
}

/* ---- for people ---------------------------------------------------------------------------------------------------------------------- */

static bool same_row(const struct rank_report *a, const struct rank_report *b)
{
    return !strcmp(a->host, b->host) && !strcmp(a->affinity, b->affinity) && a->placement.threads == b->placement.threads &&
           !strcmp(a->placement.reason, b->placement.reason);
}

static void print_ranks(const struct doctor *d)
{
    printf("\n%9s  %-16s %-12s %5s  %-8s %s\n", "rank", "node", "CPUs", "cores", "threads", "because");
    for (int r = 0, last; r < d->comm->size; r = last + 1) {
        const struct rank_report *row = &d->rank[r];
        for (last = r; last + 1 < d->comm->size && same_row(row, &d->rank[last + 1]);) last++;
        char ranks[32];
        text_format(ranks, sizeof ranks, last > r ? "%d-%d" : "%d", r, last);
        printf("%9s  %-16s %-12s %5d  %-8d %s\n", ranks, row->host, row->affinity[0] ? row->affinity : "?", row->placement.mask_cores,
               row->placement.threads, row->placement.reason);
    }
}

/* The kinds of files that mappo render can make here. */
static void say_films(void)
{
    struct error no_cairo = {0}, no_ffmpeg = {0};
    const bool pixels = raster_check(&no_cairo) == 0, plays = pixels && ffmpeg_check(&no_ffmpeg) == 0;
    printf("films       .svg, .txt%s%s", pixels ? ", .png" : "", plays ? ", .gif, .mp4" : "");
    if (!plays) printf("; the others: %s", pixels ? no_ffmpeg.text : no_cairo.text);
    putchar('\n');
}

static void print_machine(const struct doctor *d)
{
    printf("\nprocessor   %s%s%d cores online\n", d->rank[0].processor, d->rank[0].processor[0] ? ", " : "",
           d->rank[0].placement.online_cores);
    printf("arithmetic  %s\n", d->cpu);
    doctor_print_devices(&d->devices);
    char mpi[128];
    comm_library(mpi, sizeof mpi);
    printf("MPI         %s%s%s\n", mpi, d->comm->launcher[0] ? ", started by " : ", not started: a single process needs none",
           d->comm->launcher);
    doctor_print_messages(d->comm);
    printf("files       %s\n", image_library());
    printf("SHA-256     %s\n", OpenSSL_version(OPENSSL_VERSION));
    say_films();
    if (d->comm->size > 1) {
        printf("\nallreduce   8 bytes %.1f µs, 56 kB %.1f µs (along the fixed tree %.1f µs), medians\n", 1e6 * d->small.median,
               1e6 * d->message.median, 1e6 * d->tree.median);
        printf("            an update of the default settings sends ten of 56 kB: %.2f ms%s\n", 1e4 * d->message.median,
               d->crowded ? " (more ranks than cores: these times are the scheduler's)" : "");
    }
}

static void print_surroundings(const struct doctor *d)
{
    const struct probe_disk *disk = &d->disk;
    printf("\nrun folder  %s%s\n", d->folder, disk->exists ? "" : " (not there yet)");
    printf("            on %s, %.1f GB free (measured in %s)\n", disk->type, disk->free_bytes / 1e9, disk->looked_at);
    if (!disk->error[0])
        printf("            512 kB: write %.2f ms, fsync %.2f ms, rename %.2f ms, fsync of the folder %.2f ms, medians\n",
               1e3 * disk->create, 1e3 * disk->sync, 1e3 * disk->rename, 1e3 * disk->sync_folder);
    char left[32] = "none known";
    if (d->limit.seconds_left >= 0) clock_duration(left, sizeof left, d->limit.seconds_left);
    printf("time limit  %s%s%s%s%s\n", left, d->limit.seconds_left >= 0 ? " left, says " : "",
           d->limit.seconds_left >= 0 ? d->limit.source : "", d->limit.job[0] ? ", " : "", d->limit.job);
}

static void print_findings(const struct doctor *d)
{
    if (d->findings == 0) printf("\nnothing to mend\n");
    for (int i = 0; i < d->findings; i++)
        printf("%s%s  %s\n", i == 0 ? "\n" : "", d->finding[i].must ? "to mend " : "hint    ", d->finding[i].text);
}

/* ---- for programs -------------------------------------------------------------------------------------------------------------------- */

static void print_json(const struct doctor *d)
{
    char mpi[128];
    comm_library(mpi, sizeof mpi);
    putchar('{');
    json_text("version", version_line(), ",");
    json_text("mpi", mpi, ",");
    json_text("launcher", d->comm->launcher, ",");
    doctor_json_messages();
    json_text("hdf5", image_library(), ",");
    json_text("cpu", d->cpu, ",");
    doctor_json_devices(&d->devices);
    fputs("\"ranks\":[", stdout);
    for (int r = 0; r < d->comm->size; r++) {
        const struct rank_report *row = &d->rank[r];
        printf("%s{\"rank\":%d,", r ? "," : "", r);
        json_text("node", row->host, ",");
        json_text("cpus", row->affinity, ",");
        printf("\"cores\":%d,\"threads\":%d,\"sharing\":%d,", row->placement.mask_cores, row->placement.threads, row->placement.sharing);
        json_text("because", row->placement.reason, ",");
        json_text("level", cpu_level_name(row->level), "}");
    }
    fputs("],", stdout);
    const bool several = d->comm->size > 1;
    json_real("allreduce_8_bytes_seconds", several ? d->small.median : NAN, ",");
    json_real("allreduce_56_kB_seconds", several ? d->message.median : NAN, ",");
    json_real("allreduce_56_kB_tree_seconds", several ? d->tree.median : NAN, ",");
    json_text("run_folder", d->folder, ",");
    json_text("file_system", d->disk.type, ",");
    json_real("free_bytes", d->disk.free_bytes, ",");
    json_real("fsync_seconds", d->disk.error[0] ? NAN : d->disk.sync, ",");
    json_real("rename_seconds", d->disk.error[0] ? NAN : d->disk.rename, ",");
    json_real("time_left_seconds", d->limit.seconds_left >= 0 ? d->limit.seconds_left : NAN, ",");
    fputs("\"findings\":[", stdout);
    for (int i = 0; i < d->findings; i++) {
        printf("%s{\"kind\":\"%s\",", i ? "," : "", d->finding[i].must ? "mend" : "hint");
        json_text("text", d->finding[i].text, "}");
    }
    puts("]}");
}

/* ---- the command --------------------------------------------------------------------------------------------------------------------- */

int cmd_doctor(const struct arguments *args, struct comm *comm)
{
    static struct config config;
    struct error err = {0};
    const int code = comm_vote(comm, config_build(&config, args, cmd_find_env, &err), &err);
    if (code) return error_report(&err);

    struct doctor d = {.comm = comm, .gpu_wanted = config.backend_name == BACKEND_CUDA};
    gather_reports(&d, comm, &config);
    measure(&d, comm);
    if (comm->rank == 0) {
        look_at_machine(&d, &config);
        if (args->json) {
            print_json(&d);
        } else {
            printf("%s: %d rank%s on %d node%s\n", version_line(), comm->size, comm->size > 1 ? "s" : "", d.nodes, d.nodes > 1 ? "s" : "");
            print_ranks(&d);
            print_machine(&d);
            print_surroundings(&d);
            print_findings(&d);
        }
    }
    free(d.rank);
    comm_barrier(comm);
    return EXIT_DONE;
}
