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

static void a_plan_counts_what_is_taken_by_name_and_takes_nothing(void **state)
{
    (void)state;
    const struct backend_config config = {.name = "cpu", .threads = 1, .level = -1, .device = -1, .planning = true};
    const size_t terabyte = 1000000000000;
    struct backend *b;
    struct error err = {0};
    size_t need = 0;
    char text[256];
    if (backend_open(&b, &config, &err)) fail_msg("%s", err.text);
    assert_true(b->planning && b->host_memory);
    void *rollout = b->alloc(b, "rollout", terabyte), *few = b->alloc(b, "few", 100), *more = b->alloc(b, "few", 200);
    b->upload(b, rollout, text, sizeof text);
    assert_int_equal(((const char *)rollout)[0], 0); /* nothing is copied */
    if (b->memory_plan(b, &need, text, sizeof text, &err)) fail_msg("%s", err.text);
    assert_string_equal(text, "1.0 TB (rollout 1.0 TB, few 300 bytes)");
    assert_true(need == terabyte + 300);
    b->free(b, rollout);
    b->free(b, more);
    b->memory_plan(b, &need, text, sizeof text, &err);
    assert_string_equal(text, "100 bytes (few 100 bytes)");
    b->free(b, few);
    b->memory_plan(b, &need, text, sizeof text, &err);
    assert_string_equal(text, "0 bytes");
    b->close(b);
}

int main(void)
{
    const struct CMUnitTest devices[] = {cmocka_unit_test(code_for_an_architecture_runs_on_later_ones_of_its_kind),
                                         cmocka_unit_test(a_plan_counts_what_is_taken_by_name_and_takes_nothing)};
    const int failed = cmocka_run_group_tests(backend_tests, NULL, NULL);
    return cmocka_run_group_tests(devices, NULL, NULL) || failed;
}
