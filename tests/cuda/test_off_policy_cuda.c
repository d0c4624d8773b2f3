/* Learners that replay, on the CUDA backend. */
#define TESTED_BACKEND "cuda"
#define TESTED_PROGRAM "MAPPO_EMULATED"
#define TESTED_DEFAULT "build/emulated/mappo"
#include "off_policy_cases.h"

int main(void)
{
    enum { FIRST = 1 }; /* the others have nothing to do with a device, and take their time */
    return _cmocka_run_group_tests("off_policy_cuda", off_policy_tests, FIRST, begin_tests, end_tests);
}
