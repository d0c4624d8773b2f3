/* As much of cmocka as the backend's tests use, for programs that run under an emulator without libraries. A failure ends the program. */
#ifndef TESTS_AARCH64_CMOCKA_H
#define TESTS_AARCH64_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};
static const char *running_test;

/* clang-format off */
#define fail_msg(...) (printf("not ok - %s: ", running_test), printf(__VA_ARGS__), printf("\n"), exit(1))
#define assert_true(x) ((x) ? (void)0 : fail_msg("%s:%d: %s", __FILE__, __LINE__, #x))
#define assert_int_equal(a, b) assert_true((a) == (b))
#define assert_in_range(x, low, high) assert_true((x) >= (low) && (x) <= (high))
#define assert_memory_equal(a, b, size) assert_true(memcmp(a, b, size) == 0)
#define cmocka_unit_test(f) {#f, f}
#define cmocka_run_group_tests(tests, setup, teardown) run_tests(tests, (int)(sizeof(tests) / sizeof((tests)[0])))
/* clang-format on */

static int run_tests(const struct CMUnitTest *tests, int count)
{
    for (int i = 0; i < count; i++) {
        void *state = NULL;
        running_test = tests[i].name;
        tests[i].run(&state);
        printf("ok - %s on 64-bit Arm\n", running_test);
        fflush(stdout);
    }
    return 0;
}

#endif
