/* A learner of one's own on the CPU. */
#include "a2c_cases.h"

int main(void)
{
    return cmocka_run_group_tests_name("algo_a2c", a2c_tests, begin_tests, end_tests);
}
