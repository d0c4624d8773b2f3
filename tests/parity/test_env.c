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
    {"tests/data/env/mpe2.h5", 51, 219},
    {"tests/data/env/mpe2_spread.h5", 22, 74},
    {"tests/data/env/mpe2_newer.h5", 8, 24},
    {"tests/data/env/mpe2_treasure.h5", 10, 50},
    {"tests/data/env/onpolicy_mpe.h5", 29, 60},
    {"tests/data/env/openai_mpe.h5", 44, 97},
    {"tests/data/env/pettingzoo_mpe.h5", 44, 143},
    {"tests/data/env/classic.h5", 20, 35},
    {"tests/data/env/lbf.h5", 24, 60},
    {"tests/data/env/rware.h5", 8, 14},
    {"tests/data/env/smax.h5", 84, 69},
    {"tests/data/env/smax_27m_vs_30m.h5", 20, 16},
    {"tests/data/env/smax_smacv2_10_units.h5", 20, 16},
    {"tests/data/env/overcooked.h5", 8, 28},
    {"tests/data/env/overcooked_asymm_advantages.h5", 4, 14},
    {"tests/data/env/overcooked_forced_coord.h5", 4, 14},
    {"tests/data/env/overcooked_counter_circuit.h5", 4, 14},
    {"tests/data/env/hanabi.h5", 6, 21},
    {"tests/data/env/hanabi_3p.h5", 6, 21},
    {"tests/data/env/hanabi_4p.h5", 6, 21},
    {"tests/data/env/hanabi_5p.h5", 6, 21},
    {"tests/data/env/hanabi_small.h5", 6, 21},
    {"tests/data/env/hanabi_very_small.h5", 6, 21},
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
    static const struct {
        const char *file, *dataset;
        double by;
    } changes[] = {
#ifdef MAPPO_RULES_DOUBLE
        {"onpolicy_mpe.h5", "/simple_spread/agent_pos", 1e-8},
        {"onpolicy_mpe.h5", "/simple_spread/reward", 1e-8},
        {"onpolicy_mpe.h5", "/simple_spread/obs", 1e-6},
        {"mpe2_treasure.h5", "/collect_treasure/three/type", 1},
        {"mpe2_treasure.h5", "/collect_treasure/three/landmark_pos", 1e-8},
        {"mpe2_treasure.h5", "/collect_treasure/three/next_obs", 1e-5},
        {"classic.h5", "/CartPole-v1/state_after", 1e-11},
        {"classic.h5", "/Pendulum-v1/first_state", 1e-15},
        {"classic.h5", "/MountainCarContinuous-v0/reward", 1e-11},
        {"lbf.h5", "/Foraging-8x8-2p-3f-v3/reward", 1e-14},
        {"lbf.h5", "/Foraging-8x8-2p-3f-v3/foods_after", 1},
        {"rware.h5", "/rware-tiny-2ag-v2/agents_after", 1},
        {"rware.h5", "/rware-tiny-2ag-v2/shelves_after", 1},
        {"rware.h5", "/rware-tiny-2ag-v2/requests_before", 1},
        {"overcooked.h5", "/cramped_room/grid_after", 1},
        {"overcooked.h5", "/cramped_room/pot_status_after", 1},
        {"overcooked.h5", "/coord_ring/agent_inv_after", 1},
        {"overcooked.h5", "/coord_ring/agent_dir_after", 1},
        {"hanabi.h5", "/hanabi_2p/knowledge_after", 1},
        {"hanabi.h5", "/hanabi_2p/hands_after", 1},
        {"hanabi.h5", "/hanabi_2p/last_round_count_after", 1},
        {"hanabi.h5", "/hanabi_2p/rank_revealed_after", 1},
#else
        {"onpolicy_mpe.h5", "/simple_spread/reward", 0.1},
        {"onpolicy_mpe.h5", "/simple_spread/obs", 0.01},
        {"classic.h5", "/Pendulum-v1/reward", 1e-3},
        {"classic.h5", "/CartPole-v1/obs", 1e-3},
        {"lbf.h5", "/Foraging-8x8-2p-3f-v3/reward", 1e-7},
#endif
        {"onpolicy_mpe.h5", "/simple_spread/done", 1},
        {"mpe2_treasure.h5", "/collect_treasure/three/reward", 0.1},
        {"classic.h5", "/MountainCar-v0/truncated", 1},
        {"lbf.h5", "/Foraging-8x8-2p-3f-v3/obs", 1},
        {"lbf.h5", "/Foraging-8x8-2p-3f-v3/first_obs", 1},
        {"lbf.h5", "/Foraging-8x8-2p-3f-v3/terminated", 1},
        {"rware.h5", "/rware-tiny-2ag-v2/reward", 1},
        {"rware.h5", "/rware-tiny-2ag-v2/obs", 1},
        {"smax.h5", "/3m/reward", 1e-3},
        {"smax.h5", "/3m/position_after", 0.1},
        {"smax.h5", "/3m/health_after", 1},
        {"overcooked.h5", "/cramped_room/shaped_reward", 1},
        {"overcooked.h5", "/cramped_room/obs", 1},
        {"overcooked.h5", "/cramped_room/done", -1},
        {"overcooked.h5", "/coord_ring/first_obs", 1},
        {"hanabi.h5", "/hanabi_2p/obs", 2e-6},
        {"hanabi.h5", "/hanabi_2p/first_obs", 2e-6},
        {"hanabi.h5", "/hanabi_2p/reward", 1},
        {"hanabi.h5", "/hanabi_2p/legal_before", 1},
        {"hanabi.h5", "/hanabi_2p/done", -1},
    };
    for (size_t k = 0; k < sizeof changes / sizeof *changes; k++) {
        char path[] = "/tmp/mappo-parity-XXXXXX", command[256];
        struct parity_report report;
        const int handle = mkstemp(path);
        assert_true(handle >= 0);
        close(handle);
        text_format(command, sizeof command, "cp tests/data/env/%s %s", changes[k].file, path);
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
