/* The CPU backend in double. */
#include "backend_cases.h"

int main(void)
{
    return cmocka_run_group_tests(backend_tests, NULL, NULL);
}
