/* What ranks promise each other, as small programs for test_ranks_*.sh: `ranks MODE [ARGUMENTS]`. Rank 0 prints. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "comm/comm.h"
#include "comm/placement.h"
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

/* Prints a hash of the sum over S shards of n reals and doubles: the same for every number of ranks. */
static void tree(struct comm *comm, int shards, size_t n)
{
    const struct share mine = comm_share(shards, comm->rank, comm->size);
    comm->shards = shards;
    real *x = malloc(sizeof *x * n * (size_t)mine.count);
    double *y = malloc(sizeof *y * n * (size_t)mine.count);
    for (int s = 0; s < mine.count; s++)
        for (size_t i = 0; i < n; i++)
            x[(size_t)s * n + i] = value_of(mine.first + s, i), y[(size_t)s * n + i] = (double)value_of(mine.first + s, i) / 3;
    comm_reserve(comm, mine.count, n, n);
    comm_sum_shards(comm, x, mine.count, n);
    comm_sum_shards_double(comm, y, mine.count, n);
    uint64_t hash = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < n * sizeof *x; i++) hash = (hash ^ ((unsigned char *)x)[i]) * 0x100000001b3ull;
    for (size_t i = 0; i < n * sizeof *y; i++) hash = (hash ^ ((unsigned char *)y)[i]) * 0x100000001b3ull;
    struct error err;
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
    if (comm->rank == 0) printf("started\n"), fflush(stdout);
    watchdog_start(watchdog, comm->rank, comm->size);
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
    if (!strcmp(mode, "tree") && argc > 3) tree(comm, atoi(argv[2]), (size_t)atoi(argv[3]));
    if (!strcmp(mode, "work") && argc > 3) code = work(comm, atof(argv[2]), argv[3]);
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
