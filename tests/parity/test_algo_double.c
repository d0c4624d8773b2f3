/* test_algo.c with real = double: to 1e-9. */
#include "parity/test_algo.c"
