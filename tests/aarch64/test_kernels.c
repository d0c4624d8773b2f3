/* The CPU backend's tests on 64-bit Arm: started by tests/build/test_build.sh under an emulator. */
#define MOVED_EVERY 7
#define EVERY_COUNT 3
#include "../backend_cases.h"

int main(void)
{
    return cmocka_run_group_tests(backend_tests, NULL, NULL);
}
