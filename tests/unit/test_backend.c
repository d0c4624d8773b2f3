/* The CPU backend in float. */
#include "backend_cases.h"

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_match_finite_differences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
