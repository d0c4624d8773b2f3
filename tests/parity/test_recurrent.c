/* The reference's recurrent updates through the passes of the CPU backend, in the precision of this build. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "parity/parity_recurrent.h"

#ifndef TESTED_BACKEND
#define TESTED_BACKEND "cpu"
#endif

static void compare(const char *path)
{
    struct parity_report report;
    const enum parity_result result = parity_recurrent_file(path, TESTED_BACKEND, &report);
    if (result == PARITY_FAILED) print_message("%s: %d of %d tensors differ\n%s", path, report.differing, report.checked, report.text);
    assert_int_equal(result, PARITY_PASSED);
    assert_true(report.checked >= 112); /* a file that lost its contents must not pass */
}

static void recurrent_update_matches_reference(void **state)
{
    (void)state;
    compare("tests/data/algo/algo_gru_discrete_mb1.h5");
}

static void recurrent_minibatches_of_chunks_match_reference(void **state)
{
    (void)state;
    compare("tests/data/algo/algo_gru_discrete_mb2.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recurrent_update_matches_reference),
        cmocka_unit_test(recurrent_minibatches_of_chunks_match_reference),
    };
    return cmocka_run_group_tests_name("recurrent_" TESTED_BACKEND, tests, NULL, NULL);
}
