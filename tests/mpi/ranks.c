/* What ranks promise each other, as small programs for test_ranks_*.sh: `ranks MODE [ARGUMENTS]`. Rank 0 prints. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/text.h"
#include "comm/comm.h"
#include "comm/placement.h"
#include "comm/pod.h"
#include "comm/watchdog.h"
#include "run/stop.h"

static int failures;

/* Collective: a promise holds where it holds on every rank. */
static void report(struct comm *comm, int good, const char *name, const char *detail)
{
    double bad = !good;
    comm_max_double(comm, &bad, 1);
    if (!good) fprintf(stderr, "rank %d: %s\n", comm->rank, detail);
    comm_barrier(comm);
    if (comm->rank == 0) printf(bad > 0 ? "not ok - %s: %s\n" : "ok - %s\n", name, detail);
    failures += bad > 0;
}

/* Values whose sum depends on the order of the additions. */
static real value_of(int shard, size_t i)
{
    const uint32_t mixed = ((uint32_t)shard * 2654435761u ^ (uint32_t)i * 40503u) * 2246822519u;
    return ((real)(mixed >> 8) / 16777216 - (real)0.5) * (mixed & 1 ? 1000 : 1);
}

static void sums(struct comm *comm)
{
    char detail[128];
    const int n = comm->size;
    double x[3] = {1, comm->rank, -comm->rank}, low[1] = {5.0 - comm->rank}, high[1] = {5.0 + comm->rank};
    comm_sum_double(comm, x, 3);
    text_format(detail, sizeof detail, "got %g %g %g on %d ranks", x[0], x[1], x[2], n);
    report(comm, x[0] == n && x[1] == n * (n - 1) / 2.0 && x[2] == -x[1], "sum_of_doubles_is_of_all_ranks", detail);
    comm_min_double(comm, low, 1);
    comm_max_double(comm, high, 1);
    text_format(detail, sizeof detail, "min %g max %g", low[0], high[0]);
    report(comm, low[0] == 5 - (n - 1) && high[0] == 5 + (n - 1), "min_and_max_are_of_all_ranks", detail);

    real y[1000];
    for (int i = 0; i < 1000; i++) y[i] = (real)(comm->rank + i);
    comm_sum(comm, y, 1000);
    int wrong = 0;
    for (int i = 0; i < 1000; i++) wrong += y[i] != (real)(n * (n - 1) / 2 + n * i);
    text_format(detail, sizeof detail, "%d of 1000 entries differ", wrong);
    report(comm, wrong == 0, "sum_of_reals_is_of_all_ranks", detail);

    char text[64] = "";
    if (comm->rank == 0) text_format(text, sizeof text, "from rank 0");
    comm_broadcast(comm, text, sizeof text);
    report(comm, strcmp(text, "from rank 0") == 0, "broadcast_reaches_all_ranks", text);

    /* Without reproducible mode, two shards a rank: the plain sum. */
    real shards[2 * 10];
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < 10; i++) shards[s * 10 + i] = (real)(comm->rank * 2 + s + 1);
    comm_reserve(comm, 2, 10, 0);
    comm_sum_shards(comm, shards, 2, 10);
    text_format(detail, sizeof detail, "got %g, expected %d", (double)shards[9], n * (2 * n + 1));
    report(comm, shards[0] == (real)(n * (2 * n + 1)) && shards[9] == shards[0], "shards_sum_without_reproducible_mode", detail);
    report(comm, comm_take_seconds(comm) > 0 && comm->seconds == 0, "calls_count_their_seconds", "no seconds counted");
}

/* Rank r gives r + 1 … bytes; rank 2 nothing. */
static size_t block_size(int rank)
{
    return rank == 2 ? 0 : (size_t)(rank + 1) * 50000;
}

static void blocks(struct comm *comm)
{
    size_t sizes[64], total = 0;
    for (int r = 0; r < comm->size; r++) total += sizes[r] = block_size(r);
    const size_t mine = block_size(comm->rank);
    char *bytes = malloc(mine + 1), *all = comm->rank == 0 ? malloc(total) : NULL;
    memset(bytes, 'a' + comm->rank, mine);
    comm_gather(comm, bytes, mine, all, sizes);
    int wrong = 0;
    if (comm->rank == 0)
        for (size_t r = 0, at = 0; r < (size_t)comm->size; at += sizes[r], r++)
            for (size_t i = 0; i < sizes[r]; i++) wrong += all[at + i] != 'a' + (int)r;
    char detail[64];
    text_format(detail, sizeof detail, "%d bytes differ", wrong);
    report(comm, wrong == 0, "gather_keeps_rank_order_and_sizes", detail);

    if (comm->rank == 0)
        for (size_t i = 0; i < total; i++) all[i] ^= 0x40;
    comm_scatter(comm, all, sizes, bytes, mine);
    wrong = 0;
    for (size_t i = 0; i < mine; i++) wrong += bytes[i] != (('a' + comm->rank) ^ 0x40);
    text_format(detail, sizeof detail, "%d bytes differ", wrong);
    report(comm, wrong == 0, "scatter_returns_each_block_to_its_rank", detail);
    free(bytes);
    free(all);
}

static void votes(struct comm *comm)
{
    if (comm->size < 2) return;
    const int last = comm->size - 1;
    struct error err = {.code = 0};
    report(comm, comm_vote(comm, 0, &err) == 0, "vote_of_no_errors_is_none", "not 0");

    error_set(&err, EXIT_NUMERICAL, "rank %d saw it", comm->rank);
    const int code = comm_vote(comm, comm->rank >= last - 1 ? EXIT_NUMERICAL : 0, &err);
    char expected[64];
    text_format(expected, sizeof expected, "rank %d saw it", last - 1);
    report(comm, code == EXIT_NUMERICAL && strcmp(err.text, expected) == 0, "vote_gives_all_ranks_the_lowest_rank's_error", err.text);

    const int mixed[] = {EXIT_CONTINUE, EXIT_STOPPED, 0, EXIT_ENVIRONMENT};
    error_set(&err, 0, "rank %d", comm->rank);
    const int worst = comm_vote(comm, mixed[comm->rank % 4], &err);
    report(comm, worst == (comm->size > 3 ? EXIT_ENVIRONMENT : EXIT_STOPPED), "an_error_outvotes_a_request_to_stop", err.text);

    report(comm, comm_agree(comm, "configuration", 42, &err) == 0, "equal_hashes_agree", err.text);
    const int disagree = comm_agree(comm, "configuration", comm->rank == last ? 43 : 42, &err);
    text_format(expected, sizeof expected, "rank %d on ", last);
    report(comm, disagree == EXIT_PEERS && strstr(err.text, expected) && strstr(err.text, "in configuration"), "a_differing_rank_is_named",
           err.text);
}

/* ---- a pretended device: its memory is the host's, moved by SHIFT so that nobody can use it by mistake ------------------------------- */

enum { SHIFT = 1 << 20 };
static char *shifted(const void *x)
{
    return (char *)(uintptr_t)x - SHIFT;
}

static void *toy_host_alloc(void *self, size_t bytes)
{
    (void)self;
    return calloc(1, bytes);
}

static void toy_host_free(void *self, void *bytes)
{
    (void)self;
    free(bytes);
}

static void toy_download(void *self, void *to, const void *from, size_t bytes)
{
    (void)self;
    memcpy(to, shifted(from), bytes);
}

static void toy_upload(void *self, void *to, const void *from, size_t bytes)
{
    (void)self;
    memcpy(shifted(to), from, bytes);
}

static void toy_add(void *self, bool wide, void *to, const void *from, size_t n)
{
    (void)self;
    for (size_t i = 0; i < n; i++)
        if (wide)
            ((double *)shifted(to))[i] += ((const double *)shifted(from))[i];
        else
            ((real *)shifted(to))[i] += ((const real *)shifted(from))[i];
}

static void toy_sync(void *self)
{
    (void)self;
}

static int toy_nccl_find(void *self, char *why, size_t size)
{
    (void)self;
    text_format(why, size, "%s", "libtoy.so cannot be loaded");
    return getenv("TOY_NCCL") ? 0 : EXIT_PEERS;
}

static int toy_nccl_id(void *self, unsigned char id[COMM_NCCL_ID], struct error *err)
{
    (void)self;
    (void)err;
    id[5] = 77;
    return 0;
}

static struct comm *toy_world;
static int toy_nccl_open(void *self, const unsigned char id[COMM_NCCL_ID], int rank, int size, struct error *err)
{
    (void)self;
    const bool bad = id[5] != 77 || rank != toy_world->rank || size != toy_world->size || !strcmp(getenv("TOY_NCCL"), "fails");
    return bad ? error_set(err, EXIT_PEERS, "NCCL, connecting the ranks: it fails; comm.gpu=staged does without it") : 0;
}

static void toy_nccl_sum(void *self, bool wide, void *x, size_t n)
{
    (void)self;
    if (wide)
        comm_sum_double(toy_world, (double *)shifted(x), n);
    else
        comm_sum(toy_world, (real *)shifted(x), n);
}

static void toy_nccl_close(void *self)
{
    (void)self;
}

/* TOY_SHARED: all ranks have one GPU. */
static struct comm_device toy_device(struct comm *comm)
{
    struct comm_device device = {.name = "toy",
                                 .host_alloc = toy_host_alloc,
                                 .host_free = toy_host_free,
                                 .download = toy_download,
                                 .upload = toy_upload,
                                 .add = toy_add,
                                 .sync = toy_sync,
                                 .nccl_find = toy_nccl_find,
                                 .nccl_id = toy_nccl_id,
                                 .nccl_open = toy_nccl_open,
                                 .nccl_sum = toy_nccl_sum,
                                 .nccl_close = toy_nccl_close};
    text_format(device.uuid, sizeof device.uuid, "GPU-%d", getenv("TOY_SHARED") ? 0 : comm->rank);
    toy_world = comm;
    return device;
}

/* Prints how gradients would be added up, or why they can't; then the sum of one shard a rank, by that way. */
static int ways(struct comm *comm, int how, int shards)
{
    struct error err = {.code = 0};
    const struct comm_device device = toy_device(comm);
    comm->shards = shards;
    const int code = comm_attach_device(comm, &device, how, &err);
    if (code) return error_report(&err);
    comm_reserve(comm, 1, 3, 3);
    if (comm->way != COMM_AWARE) {
        const struct comm_part mine = comm_part(shards > 0 ? shards : comm->size, comm->rank, comm->size);
        real x[3] = {1, (real)(comm->rank + 1), 0.5};
        comm_sum_shards(comm, (real *)((uintptr_t)x + SHIFT), shards > 0 ? mine.count : 1, 3);
        if (comm->rank == 0) printf("%g %g %g on_stream=%d ", (double)x[0], (double)x[1], (double)x[2], comm_on_stream(comm));
    }
    if (comm->rank == 0) printf("%s\n", comm_way_text(comm));
    comm_detach_device(comm);
    return 0;
}

/* Prints a hash of the sum over S shards of n reals and doubles: the same for every number of ranks. `on_device`: staged, in a device's
 * memory. */
static void tree(struct comm *comm, int shards, size_t n, bool on_device)
{
    const struct comm_part mine = comm_part(shards, comm->rank, comm->size);
    comm->shards = shards;
    real *x = malloc(sizeof *x * n * (size_t)mine.count);
    double *y = malloc(sizeof *y * n * (size_t)mine.count);
    for (int s = 0; s < mine.count; s++)
        for (size_t i = 0; i < n; i++)
            x[(size_t)s * n + i] = value_of(mine.first + s, i), y[(size_t)s * n + i] = (double)value_of(mine.first + s, i) / 3;
    const struct comm_device device = toy_device(comm);
    struct error err;
    if (on_device && comm_attach_device(comm, &device, COMM_GPU_AUTO, &err)) die_error(&err);
    const size_t shift = on_device ? SHIFT : 0;
    comm_reserve(comm, mine.count, n, n);
    comm_sum_shards(comm, (real *)((uintptr_t)x + shift), mine.count, n);
    comm_sum_shards_double(comm, (double *)((uintptr_t)y + shift), mine.count, n);
    comm_detach_device(comm);
    uint64_t hash = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < n * sizeof *x; i++) hash = (hash ^ ((unsigned char *)x)[i]) * 0x100000001b3ull;
    for (size_t i = 0; i < n * sizeof *y; i++) hash = (hash ^ ((unsigned char *)y)[i]) * 0x100000001b3ull;
    if (comm_agree(comm, "sum", hash, &err)) die_error(&err);
    if (comm->rank == 0) printf("%016" PRIx64 "\n", hash);
    free(x);
    free(y);
}

/* Updates of 10 ms that only talk, until stopped from outside; prints each rank's pid first. */
static int work(struct comm *comm, double watchdog, const char *folder)
{
    struct stop *stop;
    struct error err;
    char why[256];
    if (stop_open(&stop, 30, 0, comm->rank == 0 ? folder : NULL, &err)) die_error(&err);
    for (int r = 0; r < comm->size; r++) {
        if (r == comm->rank) {
            char path[512];
            text_format(path, sizeof path, "%s/pid.%d", folder, r);
            FILE *file = fopen(path, "w");
            if (!file) die(EXIT_INTERNAL, "%s: cannot be written", path);
            fprintf(file, "%d\n", (int)getpid());
            fclose(file);
        }
        comm_barrier(comm);
    }
    watchdog_phase("update"); /* also of the agreement before the first */
    watchdog_start(watchdog);
    if (comm->rank == 0) printf("started\n"), fflush(stdout);
    int code;
    for (long update = 0; !(code = stop_agreed(stop, comm, why, sizeof why)); update++) {
        watchdog_phase("update");
        double x = 1;
        comm_sum_double(comm, &x, 1);
        usleep(10000);
    }
    watchdog_stop();
    if (comm->rank == 0) printf("stopped: %s\n", why), fflush(stdout);
    stop_close(stop);
    return code;
}

/* Pods of `size`, `devices` on the node: who belongs to whom, then a ping-pong of signals and a word through the window. */
static void pods(struct comm *comm, int size, int devices)
{
    struct pod *pod;
    struct error err;
    if (pod_open(&pod, comm, size, devices, &err)) die_error(&err);
    for (int r = 0; r < comm->size; r++) {
        if (r == comm->rank) printf("%d%s", pod->leader, pod->member == 0 ? "L" : "m"), fflush(stdout);
        comm_barrier(comm);
        usleep(20000); /* mpirun keeps no order between ranks */
    }
    if (pod->members > 1) {
        if (pod_memory_open(pod, 4096, &err)) die_error(&err);
        struct event *turn = pod_take(pod, sizeof *turn);
        int *sum = pod_take(pod, sizeof *sum);
        for (unsigned i = 0; i < 300; i++) {
            if ((int)(i % (unsigned)pod->members) == pod->member) {
                *sum += pod->member + 1;
                event_raise(turn);
            } else {
                while (!event_await(turn, i, (i % 50) * 1e-6, 1)) continue;
            }
        }
        int expected = 0;
        for (int i = 0; i < 300; i++) expected += i % pod->members + 1;
        comm_barrier(pod->ranks);
        CHECK(*sum == expected && atomic_load(&turn->value) == 300, "a word in the window is %d, not %d", *sum, expected);
    }
    pod_close(pod);
    comm_barrier(comm);
    if (comm->rank == 0) printf(" done\n");
}

static void place(struct comm *comm)
{
    struct placement placement;
    placement_find(&placement, comm, 0);
    for (int r = 0; r < comm->size; r++) {
        if (r == comm->rank)
            printf("rank %d: threads %d mask %d online %d sharing %d | %s | %s\n", r, placement.threads, placement.mask_cores,
                   placement.online_cores, placement.sharing, placement.reason, placement.advice),
                fflush(stdout);
        comm_barrier(comm);
    }
}

int main(int argc, char **argv)
{
    struct comm *comm;
    struct error err = {.code = 0};
    if (comm_open(&comm, &argc, &argv, &err)) return error_report(&err);
    const char *mode = argc > 1 ? argv[1] : "self";
    int code = 0;
    if (!strcmp(mode, "calls")) sums(comm), blocks(comm), votes(comm);
    if (!strcmp(mode, "tree") && argc > 3) tree(comm, atoi(argv[2]), (size_t)atoi(argv[3]), false);
    if (!strcmp(mode, "device") && argc > 3) tree(comm, atoi(argv[2]), (size_t)atoi(argv[3]), true);
    if (!strcmp(mode, "ways") && argc > 3) code = ways(comm, atoi(argv[2]), atoi(argv[3]));
    if (!strcmp(mode, "work") && argc > 3) code = work(comm, atof(argv[2]), argv[3]);
    if (!strcmp(mode, "pods") && argc > 3) pods(comm, atoi(argv[2]), atoi(argv[3]));
    if (!strcmp(mode, "place")) place(comm);
    if (!strcmp(mode, "die") && comm->rank == comm->size - 1) die(EXIT_NUMERICAL, "told to");
    if (!strcmp(mode, "die")) comm_barrier(comm), sleep(60);
    if (!strcmp(mode, "measure")) {
        const double small = comm_measure_sum(comm, 2, 200, false).median, library = comm_measure_sum(comm, 14000, 200, false).median,
                     own = comm_measure_sum(comm, 14000, 200, true).median;
        if (comm->rank == 0)
            printf("%d ranks, %s: 8 bytes %.1f us, 56 kB %.1f us, along the tree %.1f us\n", comm->size, comm->library, 1e6 * small,
                   1e6 * library, 1e6 * own);
    }
    if (!strcmp(mode, "advice") && argc > 2) {
        char text[512];
        comm_advice(comm, atoi(argv[2]), 25, text, sizeof text);
        if (comm->rank == 0) printf("%s\n", text);
    }
    if (!strcmp(mode, "self"))
        printf("rank %d of %d, library %s, launcher \"%s\"\n", comm->rank, comm->size, comm->library, comm->launcher);
    comm_close(comm);
    return code ? code : failures > 0;
}
