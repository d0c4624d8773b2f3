/* The CPU backend in float. */
#include "backend_cases.h"

int main(void)
{
    return cmocka_run_group_tests(backend_tests, NULL, NULL);
}
