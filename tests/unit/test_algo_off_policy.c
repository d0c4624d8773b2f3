/* Learners that replay, on the CPU. */
#include "off_policy_cases.h"

int main(void)
{
    return cmocka_run_group_tests_name("algo_off_policy", off_policy_tests, begin_tests, end_tests);
}
