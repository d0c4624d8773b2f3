/* The sum over shards: along one fixed binary tree, whatever ranks hold its leaves; or, where bits don't matter, the fastest way. In host
 * memory, or in a device's, which gives the same bits: an addition rounds alike on both. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "comm/comm_ops.h"
#include "comm/watchdog.h"

void comm_reserve(struct comm *comm, int local_shards, size_t max_reals, size_t max_doubles)
{
    const size_t reals = max_reals * sizeof(real), doubles = max_doubles * sizeof(double), need = reals > doubles ? reals : doubles;
    if (comm->way == COMM_STAGED && need * (size_t)local_shards > comm->stage_bytes) {
        const struct comm_device *device = comm->device;
        if (comm->stage) device->host_free(device->self, comm->stage);
        comm->stage_bytes = need * (size_t)local_shards;
        comm->stage = device->host_alloc(device->self, comm->stage_bytes);
    }
    /* Shards are summed in place: one incoming message is all that is needed besides. */
    if (need <= comm->scratch_bytes) return;
    free(comm->scratch);
    comm->scratch = aligned_alloc(64, (need + 63) / 64 * 64);
    if (!comm->scratch) die(EXIT_PEERS, "out of memory: %zu bytes for messages between ranks", need);
    comm->scratch_bytes = need;
}

struct summand {
    int type; /* COMM_REAL or COMM_DOUBLE */
    size_t n, width;
    char *x;                          /* [local shards][n] */
    const struct comm_device *device; /* whose memory x is; NULL = the host's */
};

/* Each addition stands for itself, so vectorising it changes no bit. */
static void add_into(const struct summand *sum, void *restrict to, const void *restrict from)
{
    if (sum->device)
        sum->device->add(sum->device->self, sum->type == COMM_DOUBLE, to, from, sum->n);
    else if (sum->type == COMM_REAL)
        for (size_t i = 0; i < sum->n; i++) ((real *)to)[i] += ((const real *)from)[i];
    else
        for (size_t i = 0; i < sum->n; i++) ((double *)to)[i] += ((const double *)from)[i];
}

/* ---- the tree ------------------------------------------------------------------------------------------------------------------------ */

/* The one definition: a node covers shards [lo, hi) and halves here. */
static int middle(int lo, int hi)
{
    return lo + (hi - lo) / 2;
}

struct tree {
    struct comm *comm;
    const struct summand *sum;
    int shards; /* of all ranks */
    struct comm_part mine;
};

static int owner(const struct tree *tree, int shard)
{
    return comm_part_owner(tree->shards, shard, tree->comm->size);
}

static char *slot(const struct tree *tree, int shard)
{
    return tree->sum->x + (size_t)(shard - tree->mine.first) * tree->sum->n * tree->sum->width;
}

/* The sum of [lo, hi) lands in shard lo's slot, at the rank that holds it. Ranks outside the node return at once. */
static void sum_node(const struct tree *tree, int lo, int hi)
{
    struct comm *comm = tree->comm;
    if (hi - lo == 1 || hi <= tree->mine.first || lo >= tree->mine.first + tree->mine.count) return;
    const int mid = middle(lo, hi), left = owner(tree, lo), right = owner(tree, mid);
    sum_node(tree, lo, mid);
    sum_node(tree, mid, hi);
    const size_t bytes = tree->sum->n * tree->sum->width;
    if (left == right) {
        if (comm->rank == left) add_into(tree->sum, slot(tree, lo), slot(tree, mid));
    } else if (comm->rank == right) {
        comm->ops->send(comm, slot(tree, mid), bytes, left);
    } else if (comm->rank == left) {
        comm->ops->receive(comm, comm->scratch, bytes, right);
        add_into(tree->sum, slot(tree, lo), comm->scratch);
    }
}

/* With 2^m ranks the tree's top m levels lie between ranks: each rank sums its own subtree … */
static bool own_subtree(const struct tree *tree)
{
    const int size = tree->comm->size;
    return (size & (size - 1)) == 0 && tree->shards % size == 0;
}

/* … then pairs exchange partial sums (recursive doubling). a + b and b + a have the same bits, so both of a pair hold the node's. */
static void sum_by_doubling(const struct tree *tree)
{
    struct comm *comm = tree->comm;
    const size_t bytes = tree->sum->n * tree->sum->width;
    for (int distance = 1; distance < comm->size; distance *= 2) {
        comm->ops->exchange(comm, tree->sum->x, comm->scratch, bytes, comm->rank ^ distance);
        add_into(tree->sum, tree->sum->x, comm->scratch);
    }
}

static struct tree tree_of(struct comm *comm, const struct summand *sum, int shards, int local_shards)
{
    const struct tree tree = {comm, sum, shards, comm_part(shards, comm->rank, comm->size)};
    CHECK(tree.mine.count == local_shards, "%d shards on this rank, %d in its fraction of %d", local_shards, tree.mine.count, shards);
    CHECK(comm->size == 1 || sum->n * sum->width <= comm->scratch_bytes, "a sum of %zu values was not reserved", sum->n);
    return tree;
}

static void sum_tree(struct comm *comm, const struct summand *sum, int shards, int local_shards)
{
    const struct tree tree = tree_of(comm, sum, shards, local_shards);
    if (own_subtree(&tree)) {
        sum_node(&tree, tree.mine.first, tree.mine.first + tree.mine.count);
        sum_by_doubling(&tree);
    } else {
        sum_node(&tree, 0, shards);
        comm->ops->broadcast(comm, sum->x, sum->n * sum->width, 0);
    }
}

/* ---- all ways ------------------------------------------------------------------------------------------------------------------------ */

static void sum_local(const struct summand *sum, int local_shards)
{
    for (int s = 1; s < local_shards; s++) add_into(sum, sum->x, sum->x + (size_t)s * sum->n * sum->width);
}

static void sum_host(struct comm *comm, const struct summand *sum, int local_shards)
{
    if (comm->shards > 0) {
        sum_tree(comm, sum, comm->shards, local_shards);
    } else {
        sum_local(sum, local_shards);
        if (comm->size > 1) comm->ops->reduce(comm, sum->x, sum->n, sum->type, COMM_SUM);
    }
}

/* The host's part of the sum of a device's shards, in pinned memory. What can be added on the device is, so that less has to be carried. */
static void sum_staged(struct comm *comm, const struct summand *sum, int local_shards)
{
    const struct comm_device *device = comm->device;
    const size_t bytes = sum->n * sum->width;
    const struct summand staged = {sum->type, sum->n, sum->width, comm->stage, NULL};
    CHECK(bytes * (size_t)local_shards <= comm->stage_bytes, "a sum of %zu values was not reserved", sum->n);
    struct tree tree = {.comm = comm};
    if (comm->shards > 0) tree = tree_of(comm, sum, comm->shards, local_shards);
    const bool whole = comm->shards > 0 && !own_subtree(&tree);
    if (comm->shards == 0)
        sum_local(sum, local_shards);
    else if (!whole)
        sum_node(&tree, tree.mine.first, tree.mine.first + tree.mine.count);
    device->download(device->self, comm->stage, sum->x, whole ? bytes * (size_t)local_shards : bytes);
    tree.sum = &staged;
    if (comm->shards == 0) {
        comm->ops->reduce(comm, staged.x, staged.n, staged.type, COMM_SUM);
    } else if (!whole) {
        sum_by_doubling(&tree);
    } else {
        sum_node(&tree, 0, comm->shards);
        comm->ops->broadcast(comm, staged.x, bytes, 0);
    }
    device->upload(device->self, sum->x, comm->stage, bytes);
}

static void sum_device(struct comm *comm, const struct summand *sum, int local_shards)
{
    const struct comm_device *device = comm->device;
    if (comm->way == COMM_STAGED) {
        sum_staged(comm, sum, local_shards);
        return;
    }
    if (comm->shards > 0) { /* one rank */
        const struct tree tree = tree_of(comm, sum, comm->shards, local_shards);
        sum_node(&tree, 0, comm->shards);
        return;
    }
    sum_local(sum, local_shards);
    if (comm->way == COMM_NCCL) device->nccl_sum(device->self, sum->type == COMM_DOUBLE, sum->x, sum->n);
    if (comm->way != COMM_AWARE) return;
    device->sync(device->self); /* MPI does not know our stream */
    comm->ops->reduce(comm, sum->x, sum->n, sum->type, COMM_SUM);
}

static void sum_shards(struct comm *comm, const struct summand *sum, int local_shards)
{
    if (sum->n == 0) return;
    watchdog_waiting("the sum over shards");
    const double began = clock_seconds();
    if (comm->device)
        sum_device(comm, sum, local_shards);
    else
        sum_host(comm, sum, local_shards);
    comm->seconds += clock_seconds() - began;
    watchdog_waiting(NULL);
}

void comm_sum_shards(struct comm *comm, real *x, int local_shards, size_t n)
{
    const struct summand sum = {COMM_REAL, n, sizeof(real), (char *)x, comm->device};
    sum_shards(comm, &sum, local_shards);
}

void comm_sum_shards_double(struct comm *comm, double *x, int local_shards, size_t n)
{
    const struct summand sum = {COMM_DOUBLE, n, sizeof(double), (char *)x, comm->device};
    sum_shards(comm, &sum, local_shards);
}

/* ---- measuring ----------------------------------------------------------------------------------------------------------------------- */

static int compare_seconds(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct comm_timing comm_measure_sum(struct comm *comm, size_t n, int rounds, bool tree)
{
    enum { MAX_ROUNDS = 1000 };
    double seconds[MAX_ROUNDS];
    if (rounds > MAX_ROUNDS) rounds = MAX_ROUNDS;
    real *x = calloc(n, sizeof *x);
    if (!x) die(EXIT_PEERS, "out of memory while measuring messages");
    const struct summand sum = {COMM_REAL, n, sizeof *x, (char *)x, NULL};
    comm_reserve(comm, 1, n, 0);
    for (int i = -2; i < rounds; i++) { /* two rounds to warm up: connections are made at the first message */
        comm->ops->barrier(comm);
        const double began = clock_seconds();
        if (tree)
            sum_tree(comm, &sum, comm->size, 1);
        else
            comm->ops->reduce(comm, x, n, COMM_REAL, COMM_SUM);
        if (i >= 0) seconds[i] = clock_seconds() - began;
    }
    free(x);
    qsort(seconds, (size_t)rounds, sizeof seconds[0], compare_seconds);
    double result[2] = {seconds[0], seconds[rounds / 2]};
    comm_max_double(comm, result, 2);
    return (struct comm_timing){result[0], result[1]};
}
