/* MADDPG's golden updates on a GPU, or an emulated one. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "parity/parity_maddpg.h"

static void compare(const char *name, int at_least)
{
    char path[128];
    struct parity_report report;
    snprintf(path, sizeof path, "tests/data/algo/algo_%s.h5", name);
    const enum parity_result result = parity_maddpg_file(path, "cuda", &report);
    if (result == PARITY_FAILED) print_message("%s: %d of %d tensors differ\n%s", name, report.differing, report.checked, report.text);
    assert_int_equal(result, PARITY_PASSED);
    assert_true(report.checked >= at_least);
}

static void maddpg_updates_match_in_every_form(void **state)
{
    (void)state;
    compare("maddpg_spread", 370);
    compare("maddpg_speaker_listener", 235);
    compare("maddpg_continuous", 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(maddpg_updates_match_in_every_form)};
    return cmocka_run_group_tests_name("maddpg_cuda", tests, NULL, NULL);
}
