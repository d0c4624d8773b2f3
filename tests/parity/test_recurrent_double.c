/* test_recurrent.c with real = double: to 1e-9. */
#include "parity/test_recurrent.c"
