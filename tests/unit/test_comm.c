/* Communication of a single process, parts of the work, placement and the watchdog. Several ranks: tests/mpi. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "comm/comm.h"
#include "comm/placement.h"
#include "comm/watchdog.h"

static struct comm *open_self(void)
{
    struct comm *comm;
    struct error err = {.code = 0};
    setenv("MAPPO_MPI", "0", 1);
    assert_int_equal(comm_open(&comm, NULL, NULL, &err), 0);
    assert_int_equal(comm->size, 1);
    return comm;
}

static void parts_cover_everything_once(void **state)
{
    (void)state;
    for (int total = 0; total < 40; total++)
        for (int size = 1; size < 12; size++) {
            int next = 0;
            for (int rank = 0; rank < size; rank++) {
                const struct comm_part part = comm_part(total, rank, size);
                assert_int_equal(part.first, next);
                for (int i = part.first; i < part.first + part.count; i++) assert_int_equal(comm_part_owner(total, i, size), rank);
                next += part.count;
                assert_true(rank == 0 || part.count <= comm_part(total, rank - 1, size).count);
                assert_true(part.count >= total / size && part.count <= total / size + 1);
            }
            assert_int_equal(next, total);
        }
}

/* Against the definition: halves, each summed by itself. */
static real by_definition(const real *x, int lo, int hi)
{
    if (hi - lo == 1) return x[lo];
    const int mid = lo + (hi - lo) / 2;
    return by_definition(x, lo, mid) + by_definition(x, mid, hi);
}

static void one_rank_sums_along_the_tree(void **state)
{
    (void)state;
    struct comm *comm = open_self();
    for (int shards = 1; shards < 20; shards++) {
        real x[20], y[20];
        for (int s = 0; s < shards; s++) x[s] = y[s] = (real)(s % 3 ? 1e-4 * (s + 1) : 1000.1 * (s + 1));
        comm->shards = shards;
        comm_sum_shards(comm, x, shards, 1);
        assert_memory_equal(&x[0], &(real){by_definition(y, 0, shards)}, sizeof(real));
    }
    comm_close(comm);
}

static void a_single_process_keeps_its_values(void **state)
{
    (void)state;
    struct comm *comm = open_self();
    struct error err = {.code = EXIT_NUMERICAL, .text = "as it was"};
    double x[2] = {3, 4};
    char in[5] = "abcd", out[5] = "", back[5] = "";
    const size_t sizes[1] = {5};
    comm_sum_double(comm, x, 2);
    comm_max_double(comm, x, 2);
    comm_broadcast(comm, x, sizeof x);
    comm_barrier(comm);
    assert_true(x[0] == 3 && x[1] == 4);
    comm_gather(comm, in, 5, out, sizes);
    assert_string_equal(out, "abcd");
    comm_scatter(comm, out, sizes, back, 5);
    assert_string_equal(back, "abcd");
    assert_int_equal(comm_vote(comm, EXIT_NUMERICAL, &err), EXIT_NUMERICAL);
    assert_string_equal(err.text, "as it was");
    assert_int_equal(comm_agree(comm, "build", 1, &err), 0);
    char advice[256];
    comm_advice(comm, 2, 25, advice, sizeof advice);
    assert_string_equal(advice, "");
    comm_close(comm);
}

/* ---- placement ----------------------------------------------------------------------------------------------------------------------- */

static struct placement place(const char *omp, const char *slurm, int requested)
{
    struct comm *comm = open_self();
    struct placement placement;
    omp ? setenv("OMP_NUM_THREADS", omp, 1) : unsetenv("OMP_NUM_THREADS");
    slurm ? setenv("SLURM_CPUS_PER_TASK", slurm, 1) : unsetenv("SLURM_CPUS_PER_TASK");
    unsetenv("SLURM_CPUS_ON_NODE");
    placement_find(&placement, comm, requested);
    comm_close(comm);
    return placement;
}

static void threads_follow_request_then_omp_then_slurm_then_mask(void **state)
{
    (void)state;
    struct placement p = place("3,1", "5", 7);
    assert_int_equal(p.threads, 7);
    assert_string_equal(p.reason, "threads=7");
    p = place("3,1", "5", 0);
    assert_int_equal(p.threads, 3);
    assert_string_equal(p.reason, "OMP_NUM_THREADS=3");
    p = place(NULL, "5", 0);
    assert_int_equal(p.threads, 5);
    assert_string_equal(p.reason, "SLURM_CPUS_PER_TASK=5");
    p = place("nonsense", NULL, 0);
    assert_in_range(p.threads, 1, p.mask_cores);
    assert_int_equal(p.sharing, 1);
}

static void threads_may_spin_on_cores_of_their_own_only(void **state)
{
    (void)state;
    const struct placement one = place(NULL, NULL, 1), many = place(NULL, NULL, one.mask_cores + 1);
    assert_int_equal(one.may_spin, one.quota == 0 || one.quota >= 1);
    assert_false(many.may_spin);
    setenv("OMP_WAIT_POLICY", "PASSIVE", 1);
    const struct placement passive = place(NULL, NULL, 1);
    unsetenv("OMP_WAIT_POLICY");
    assert_false(passive.may_spin);
}

static void a_one_core_mask_beside_idle_cores_is_said(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) skip();
    int cpu = 0;
    while (!CPU_ISSET(cpu, &before)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    const struct placement p = place(NULL, NULL, 0), asked = place("4", NULL, 0);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(p.threads, 1);
    assert_int_equal(p.mask_cores, 1);
    assert_non_null(strstr(p.advice, "bound to 1 core beside "));
    assert_int_equal(asked.threads, 4);
    assert_non_null(strstr(asked.advice, "bound to 1 core beside "));
}

/* ---- watchdog ------------------------------------------------------------------------------------------------------------------------ */

/* A child that shows signs of life for a while, then none for longer than its watchdog waits. */
static int run_child(double limit, int signs, bool stop_first, char *text, size_t size)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], STDERR_FILENO);
        check_identify(3, 8, NULL);
        watchdog_start(limit);
        for (int i = 0; i < signs; i++) {
            watchdog_phase("rollout");
            usleep(50000);
        }
        watchdog_phase("update");
        if (stop_first) watchdog_stop();
        sleep(1);
        _exit(0);
    }
    close(pipes[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(pipes[0], text + length, size - 1 - length)) > 0;) length += (size_t)got;
    text[length] = '\0';
    close(pipes[0]);
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void the_watchdog_ends_a_rank_that_hangs_and_names_the_phase(void **state)
{
    (void)state;
    char text[1024];
    assert_int_equal(run_child(0.3, 0, false, text, sizeof text), EXIT_PEERS);
    assert_non_null(strstr(text, "mappo: rank 3 of 8: no sign of life for"));
    assert_non_null(strstr(text, "in phase \"update\""));
}

static void the_watchdog_lets_live_what_shows_signs_of_life(void **state)
{
    (void)state;
    char text[1024];
    /* 3 s of signs with a limit of 2 s, then a second of silence: below the limit. */
    assert_int_equal(run_child(2, 60, false, text, sizeof text), 0);
    assert_string_equal(text, "");
    assert_int_equal(run_child(0.3, 0, true, text, sizeof text), 0); /* stopped in time */
    assert_int_equal(run_child(0, 0, false, text, sizeof text), 0);  /* off */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_cover_everything_once),
        cmocka_unit_test(one_rank_sums_along_the_tree),
        cmocka_unit_test(a_single_process_keeps_its_values),
        cmocka_unit_test(threads_follow_request_then_omp_then_slurm_then_mask),
        cmocka_unit_test(threads_may_spin_on_cores_of_their_own_only),
        cmocka_unit_test(a_one_core_mask_beside_idle_cores_is_said),
        cmocka_unit_test(the_watchdog_ends_a_rank_that_hangs_and_names_the_phase),
        cmocka_unit_test(the_watchdog_lets_live_what_shows_signs_of_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
