/* The CPU backend's tests on 64-bit Arm: started by tests/unit/test_aarch64.sh under an emulator. */
#include "../backend_cases.h"

int main(void)
{
    return cmocka_run_group_tests(backend_tests, NULL, NULL);
}
