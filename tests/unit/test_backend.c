/* The CPU backend in float, and what is known of devices without one. */
#include "backend_cases.h"

#include "backend/devices.h"

static void code_for_an_architecture_runs_on_later_ones_of_its_kind(void **state)
{
    (void)state;
    assert_true(device_has_code("75 80 90", 8, 0));
    assert_true(device_has_code("75 80 90", 8, 9));
    assert_true(device_has_code("120", 12, 1));
    assert_false(device_has_code("86 90", 8, 0));
    assert_false(device_has_code("90", 8, 0));
    assert_false(device_has_code("75 80 90", 10, 0));
    assert_true(device_has_code("none", 9, 0)); /* on an emulated device */
}

int main(void)
{
    const struct CMUnitTest devices[] = {cmocka_unit_test(code_for_an_architecture_runs_on_later_ones_of_its_kind)};
    const int failed = cmocka_run_group_tests(backend_tests, NULL, NULL);
    return cmocka_run_group_tests(devices, NULL, NULL) || failed;
}
