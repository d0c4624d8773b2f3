/* The physics that all multi-agent particle environments share (Lowe et al. 2017; mpe2 1.1, _mpe_utils/core.py), for one real type at a
 * time. Circles of mass 1 in an unbounded plane; lengths in units of the field (-1 .. 1), time in seconds, a step is 0.1 s. Host and
 * device: no files, no allocation, no globals. */
#ifndef REAL
#include "env/real_float.h"
#endif
#include "base/philox.h"

#ifndef MPE_WORLD_H
#define MPE_WORLD_H

#define MPE_DT             0.1
#define MPE_DAMPING        0.25
#define MPE_CONTACT_FORCE  100.0
#define MPE_CONTACT_MARGIN 1e-3 /* k of the softened penetration, k log(1 + exp(-gap / k)) */
#define MPE_SENSITIVITY    5.0  /* force of a movement action where the agent has no `accel` of its own */
enum { MPE_MOVES = 5 };         /* no action and four directions */

enum mpe_integrator {
    MPE_EXPLICIT,     /* mpe2: the position moves with the old velocity */
    MPE_SEMI_IMPLICIT /* the reference MAPPO's copy: the velocity first, then the position with the new one */
};

#endif

#if (RULES_DOUBLE && !defined MPE_WORLD_DOUBLE) || (!RULES_DOUBLE && !defined MPE_WORLD_FLOAT)
#if RULES_DOUBLE
#define MPE_WORLD_DOUBLE
#define MPE_CONTACT_REACH_double 0.75 /* exp(-gap / k) is exactly 0 beyond 0.746 in double … */
#else
#define MPE_WORLD_FLOAT
#define MPE_CONTACT_REACH_float 0.11f /* … and beyond 0.104 in float, and then so is the force */
#endif

/* The force on a at offset d = p_a - p_b (on b it is the opposite); zero beyond the reach, and at d = 0, where it has no direction. */
MAPPO_FN void RULES(mpe_contact)(const REAL dx, const REAL dy, const REAL touch, REAL *fx, REAL *fy)
{
    const REAL square = dx * dx + dy * dy, reach = touch + RULES(MPE_CONTACT_REACH);
    *fx = *fy = 0;
    if (square >= reach * reach || square == 0) return;
    const REAL distance = REAL_SQRT(square), k = (REAL)MPE_CONTACT_MARGIN;
    const REAL x = -(distance - touch) / k; /* log(1 + e^x) without overflow */
    const REAL penetration = ((x > 0 ? x : 0) + REAL_LOG1P(REAL_EXP(-REAL_ABS(x)))) * k;
    *fx = (REAL)MPE_CONTACT_FORCE * dx / distance * penetration;
    *fy = (REAL)MPE_CONTACT_FORCE * dy / distance * penetration;
}

/* One coordinate over one step. */
MAPPO_FN void RULES(mpe_integrate)(const int integrator, REAL *position, REAL *velocity, const REAL force)
{
    const REAL dt = (REAL)MPE_DT, keep = (REAL)(1 - MPE_DAMPING);
    if (integrator == MPE_EXPLICIT) {
        *position += *velocity * dt;
        *velocity = *velocity * keep + force * dt;
    } else {
        *velocity = *velocity * keep + force * dt;
        *position += *velocity * dt;
    }
}

#endif
