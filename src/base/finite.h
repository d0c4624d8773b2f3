/* Is every number of an array one? */
#ifndef MAPPO_BASE_FINITE_H
#define MAPPO_BASE_FINITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Exponent bits all ones: NaN or infinity; one more, and they carry into the sign's place. Integers, so that the loop becomes vector code
 * without relaxed floating-point rules, with a single operation from one number to the next. */
static inline bool all_finite(const float *x, size_t n)
{
    uint32_t carried = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        carried |= (bits & 0x7f800000u) + 0x00800000u;
    }
    return carried < 0x80000000u;
}

#endif
