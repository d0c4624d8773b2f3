/* Rings of transitions on a device: environments beside it and on it, and what is said of faults on both sides of a ring's seam. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>

#include "ring_cases.h"

static void rings_hold_the_last_steps_of_environments_beside_and_on_the_device(void **state)
{
    (void)state;
    ring_holds_the_last_steps("cuda", COLLECT_STAGED);
    ring_holds_the_last_steps("cuda", COLLECT_DEVICE);
}

/* What is wrong with the first call that finds something. */
static void find_fault(const char *backend, int where, const char *fault, int step, struct error *err)
{
    char after[16];
    snprintf(after, sizeof after, "%d", step);
    const struct env_option option[] = {{"fault", fault}, {"fault_env", "4"}, {"fault_step", after}, {"mortal", "0"}};
    struct ring r;
    uint64_t bad[64];
    ring_open(&r, backend, where, 3, 2, option, 4);
    assert_true(r.collector->check.bads <= 64);
    for (int call = 0; call < RING_CALLS && !err->code; call++) {
        if (collect_steps(r.collector, r.env, err)) break;
        r.backend->sync(r.backend);
        r.backend->download(r.backend, bad, r.collector->check.bad, (size_t)r.collector->check.bads * sizeof *bad);
        device_check_fault(&r.collector->check, bad, r.transitions->step, r.env, err);
    }
    ring_close(&r);
}

static void faults_on_the_device_are_said_as_on_the_host_wherever_the_seam_is(void **state)
{
    (void)state;
    static const char *const faults[] = {"nan_reward", "nan_obs", "no_choice", "unshared_reward"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        for (int step = 6; step < 18; step++) {
            struct error host = {0}, device = {0};
            find_fault("cpu", COLLECT_DIRECT, faults[i], step, &host);
            find_fault("cuda", COLLECT_DEVICE, faults[i], step, &device);
            assert_true(host.code != 0);
            assert_string_equal(device.text, host.text);
            assert_int_equal(device.code, host.code);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rings_hold_the_last_steps_of_environments_beside_and_on_the_device),
        cmocka_unit_test(faults_on_the_device_are_said_as_on_the_host_wherever_the_seam_is),
    };
    return cmocka_run_group_tests_name("transitions_cuda", tests, NULL, NULL);
}
