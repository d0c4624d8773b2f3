/* Updates of one range of learners after another on the CUDA backend. */
#define TESTED_BACKEND "cuda"
#include "ppo_range_cases.h"

int main(void)
{
    return cmocka_run_group_tests_name("ranges_cuda", range_tests, NULL, NULL);
}
