/* Schedules of learning rates: value at progress p = (environment steps done) / (horizon), set before an iteration. */
#ifndef MAPPO_ALGO_SCHEDULE_H
#define MAPPO_ALGO_SCHEDULE_H

enum schedule_kind { SCHEDULE_CONSTANT, SCHEDULE_LINEAR }; /* adam.schedule, in the order of its choices */

/* Linear: to 0 at the horizon and 0 beyond it; marlbenchmark/on-policy, utils/util.py, update_linear_schedule. */
static inline double schedule_value(int kind, double initial, double progress)
{
    if (kind == SCHEDULE_CONSTANT) return initial;
    return progress < 1 ? initial - initial * progress : 0;
}

#endif
