/* test_env.c with rules in double. */
#include "parity/test_env.c"
