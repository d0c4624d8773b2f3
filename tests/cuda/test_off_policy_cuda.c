/* Learners that replay, on the CUDA backend. */
#define TESTED_BACKEND "cuda"
#define TESTED_PROGRAM "MAPPO_EMULATED"
#define TESTED_DEFAULT "build/emulated/mappo"
#include "off_policy_cases.h"

int main(void)
{
    return cmocka_run_group_tests_name("off_policy_cuda", off_policy_tests, begin_tests, end_tests);
}
