/* The physics that all multi-agent particle environments share (Lowe et al. 2017; mpe2 1.1, _mpe_utils/core.py). Circles of mass 1 in an unbounded plane; lengths in units of the field (-1 .. 1), time in seconds, a step is 0.1 s. Host and
 * device: no files, no allocation, no globals. */
#ifndef MPE_WORLD_H
#define MPE_WORLD_H

#include "env/rules.h"

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

/* exp(-gap / k) is exactly 0 beyond 0.746 in double and beyond 0.104 in float, and then so is the force. */
#define MPE_CONTACT_REACH (sizeof(rule_real) == sizeof(float) ? (rule_real)0.11f : (rule_real)0.75)

/* The force on a at offset d = p_a - p_b (on b it is the opposite); zero beyond the reach, and at d = 0, where it has no direction. */
MAPPO_FN void mpe_contact(const rule_real dx, const rule_real dy, const rule_real touch, rule_real *fx, rule_real *fy)
{
    const rule_real square = dx * dx + dy * dy, reach = touch + MPE_CONTACT_REACH;
    *fx = *fy = 0;
    if (square >= reach * reach || square == 0) return;
    const rule_real distance = rule_sqrt(square), k = (rule_real)MPE_CONTACT_MARGIN;
    const rule_real x = -(distance - touch) / k; /* log(1 + e^x) without overflow */
    const rule_real penetration = ((x > 0 ? x : 0) + rule_log1p(rule_exp(-rule_abs(x)))) * k;
    *fx = (rule_real)MPE_CONTACT_FORCE * dx / distance * penetration;
    *fy = (rule_real)MPE_CONTACT_FORCE * dy / distance * penetration;
}

/* One coordinate over one step. */
MAPPO_FN void mpe_integrate(const int integrator, rule_real *position, rule_real *velocity, const rule_real force)
{
    const rule_real dt = (rule_real)MPE_DT, keep = (rule_real)(1 - MPE_DAMPING);
    if (integrator == MPE_EXPLICIT) {
        *position += *velocity * dt;
        *velocity = *velocity * keep + force * dt;
    } else {
        *velocity = *velocity * keep + force * dt;
        *position += *velocity * dt;
    }
}

#endif
