/* A learner of one's own on the CUDA backend. */
#define TESTED_BACKEND "cuda"
#define TESTED_PROGRAM "MAPPO_EMULATED"
#define TESTED_DEFAULT "build/emulated/mappo"
#include "a2c_cases.h"

int main(void)
{
    return cmocka_run_group_tests_name("a2c_cuda", a2c_tests, begin_tests, end_tests);
}
