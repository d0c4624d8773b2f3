/* Environments against the trajectories that tests/data/env holds: see parity_env.h for what is compared and how closely. test_env_double.c
 * is the same with rules in double. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <unistd.h>

#include "parity/parity_env.h"

/* The recordings, and the fewest tensors that each must compare: a file that lost its contents must not pass. */
static const struct recording {
    const char *path;
    int tensors, tensors_double;
} recordings[] = {
    {"tests/data/env/mpe2.h5", 27, 69},
    {"tests/data/env/onpolicy_mpe.h5", 9, 15},
    {"tests/data/env/classic.h5", 20, 35},
};

static void trajectories_equal_the_recorded_ones(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof recordings / sizeof *recordings; k++) {
        struct parity_report report;
        const enum parity_result result = parity_env(recordings[k].path, &report);
        if (result == PARITY_FAILED)
            print_message("%s: %d of %d tensors differ\n%s", recordings[k].path, report.differing, report.checked, report.text);
        assert_int_equal(result, PARITY_PASSED);
#ifdef MAPPO_RULES_DOUBLE
        assert_true(report.checked >= recordings[k].tensors_double);
#else
        assert_true(report.checked >= recordings[k].tensors);
#endif
        assert_string_equal(report.left_out, "");
    }
}

/* The comparison must be able to fail: a file in which one recorded number is another. */
static void a_recording_that_differs_is_found(void **state)
{
    (void)state;
    static const char onpolicy[] = "tests/data/env/onpolicy_mpe.h5", classic[] = "tests/data/env/classic.h5";
    static const struct {
        const char *file, *dataset;
        double by;
    } changes[] = {
#ifdef MAPPO_RULES_DOUBLE
        {onpolicy, "/simple_spread/agent_pos", 1e-8}, {onpolicy, "/simple_spread/reward", 1e-8},
        {onpolicy, "/simple_spread/obs", 1e-6},       {classic, "/CartPole-v1/state_after", 1e-11},
        {classic, "/Pendulum-v1/first_state", 1e-15}, {classic, "/MountainCarContinuous-v0/reward", 1e-11},
#else
        {onpolicy, "/simple_spread/reward", 0.1},  {onpolicy, "/simple_spread/obs", 0.01},
        {classic, "/Pendulum-v1/reward", 1e-3},    {classic, "/CartPole-v1/obs", 1e-3},
#endif
        {classic, "/MountainCar-v0/truncated", 1},    {onpolicy, "/simple_spread/done", 1},
    };
    for (size_t k = 0; k < sizeof changes / sizeof *changes; k++) {
        char path[] = "/tmp/mappo-parity-XXXXXX", command[256];
        struct parity_report report;
        const int handle = mkstemp(path);
        assert_true(handle >= 0);
        close(handle);
        text_format(command, sizeof command, "cp %s %s", changes[k].file, path);
        assert_int_equal(system(command), 0);
        const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), set = H5Dopen2(file, changes[k].dataset, H5P_DEFAULT);
        struct golden_array numbers = golden_read(file, changes[k].dataset);
        numbers.data[numbers.count - 1] += changes[k].by;
        assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers.data) >= 0);
        golden_free(&numbers);
        H5Dclose(set);
        H5Fclose(file);
        const enum parity_result result = parity_env(path, &report);
        unlink(path);
        if (result != PARITY_FAILED) fail_msg("a change of %s by %g went unnoticed", changes[k].dataset, changes[k].by);
    }
}

static void other_files_are_not_taken_for_environments(void **state)
{
    (void)state;
    struct parity_report report;
    assert_int_equal(parity_env("tests/data/algo/algo_gae.h5", &report), PARITY_UNKNOWN);
    assert_int_equal(parity_env("tests/data/README.md", &report), PARITY_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trajectories_equal_the_recorded_ones),
        cmocka_unit_test(a_recording_that_differs_is_found),
        cmocka_unit_test(other_files_are_not_taken_for_environments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
