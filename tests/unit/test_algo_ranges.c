/* Updates of one range of learners after another on the CPU. */
#include "ppo_range_cases.h"

int main(void)
{
    return cmocka_run_group_tests_name("algo_ranges", range_tests, NULL, NULL);
}
