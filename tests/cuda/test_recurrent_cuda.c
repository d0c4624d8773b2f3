/* The reference's recurrent updates on the CUDA backend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "parity/parity_algo.h"

static void recurrent_updates_match_reference(void **state)
{
    (void)state;
    static const char *const paths[] = {"tests/data/algo/algo_gru_discrete_mb1.h5", "tests/data/algo/algo_gru_discrete_mb2.h5"};
    for (int i = 0; i < 2; i++) {
        struct parity_report report;
        const enum parity_result result = parity_algo(paths[i], "cuda", &report);
        if (result == PARITY_FAILED)
            print_message("%s: %d of %d tensors differ\n%s", paths[i], report.differing, report.checked, report.text);
        assert_int_equal(result, PARITY_PASSED);
        assert_true(report.checked >= 190); /* a file that lost its contents must not pass */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(recurrent_updates_match_reference)};
    return cmocka_run_group_tests_name("recurrent_cuda", tests, NULL, NULL);
}
