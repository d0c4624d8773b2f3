/* Is every number of an array one? */
#ifndef MAPPO_BASE_FINITE_H
#define MAPPO_BASE_FINITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Exponent bits all ones: NaN or infinity. Integers, so that the loop becomes vector code without relaxed floating-point rules. */
static inline bool all_finite(const float *x, size_t n)
{
    uint32_t worst = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffffu;
        worst = bits > worst ? bits : worst;
    }
    return worst < 0x7f800000u;
}

#endif
