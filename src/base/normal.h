/* A standard normal number of one draw of Philox (Box and Muller 1958), by the C library's functions: for the host. */
#ifndef MAPPO_BASE_NORMAL_H
#define MAPPO_BASE_NORMAL_H

#include <math.h>

#include "base/philox.h"

static inline double philox_normal(const struct philox_draw draw)
{
    const double radius = sqrt(-2 * log(1 - philox_double(draw.v[0], draw.v[1]))),
                 angle = 6.283185307179586 * philox_double(draw.v[2], draw.v[3]);
    return radius * cos(angle);
}

#endif
