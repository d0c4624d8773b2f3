/* parity.c with real = double. */
#include "parity/parity.c"
