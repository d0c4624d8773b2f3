/* The CUDA backend in the cases that every backend is tested with. */
// slow
// timeout: 600
#define TESTED_BACKEND "cuda"
#include "backend_cases.h"

int main(void)
{
    return cmocka_run_group_tests_name("backend_cuda", backend_tests, NULL, NULL);
}
