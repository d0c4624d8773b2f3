/* What decides about one network's step, whatever its loss is: the norm of its gradient, whether that is finite, clipping, Adam's numbers.
 * Plain data in the backend's memory: the host says in advance what will happen and reads the outcome once an update, so a device never
 * waits for it. The step itself is adam_update, for every parameter, and only where no fault was found in any of the networks. */
#ifndef MAPPO_KERNELS_OPTIMIZER_H
#define MAPPO_KERNELS_OPTIMIZER_H

#include <stdbool.h>

#include "backend/kernels/adam.h"

/* The first thing that went wrong in an update: from then on no step is made, and parameters stay as they are. */
enum fault_kind {
    NO_FAULT,
    FAULT_DATA, /* an observation, state or reward of the rollout */
    FAULT_RETURNS,
    FAULT_POLICY_LOSS,
    FAULT_VALUE_LOSS,
    FAULT_ACTOR_GRADIENT,
    FAULT_CRITIC_GRADIENT
};
struct fault {
    int32_t kind, learner, epoch, minibatch;
};

MAPPO_FN void fault_note(struct fault *first, const struct fault *found)
{
    if (first->kind == NO_FAULT) *first = *found;
}

MAPPO_FN int number_is_finite(double x)
{
    return x - x == 0;
}

/* What changes between two updates, written by the host before each. */
struct update_numbers {
    int64_t update; /* updates so far: position of what an update draws */
    int64_t steps;  /* Adam steps so far */
    double actor_rate, critic_rate;
    double clip, entropy; /* what schedules have left of these numbers of the objectives: 1 without */
};

struct optimizer_rules {  /* constants of a run */
    double max_grad_norm; /* 0 = off */
    double mean_weight;   /* 1 / (steps of an update) */
    struct adam adam;     /* learning rates may change between two updates and come with the step */
    int exact;            /* what is clipped has exactly max_grad_norm afterwards (TensorFlow), not 1e-6 less of it (PyTorch) */
};

struct optimizer {          /* of one network */
    double divisor;         /* of its gradient, which is a sum over rows: set before the step by whoever knows the rows */
    double norm, mean_norm; /* of the gradient before clipping: of the step at hand; sum over the update's steps, with rules.mean_weight */
    int64_t steps;          /* Adam steps of all updates so far, where they are counted here (struct optimizer_pass) */
    int32_t made;           /* of this update */
    int32_t stopped;        /* no step is made: whoever sets it clears it */
    int32_t idle;           /* nor is this one: no row had a weight, and momentum alone would move it; set with the divisor */
    struct adam_step step;
};

MAPPO_FN bool optimizer_rests(const struct optimizer *o)
{
    return o->stopped || o->idle;
}

MAPPO_FN double optimizer_clip(const struct optimizer_rules *rules, double norm)
{
    const double limit = rules->max_grad_norm, factor = limit / (norm + (rules->exact ? 0 : 1e-6));
    return limit > 0 && factor < 1 ? factor : 1;
}

/* squares: the squared norm of the gradient's sum. not_finite: what such a gradient is. */
MAPPO_FN void optimizer_measure(struct optimizer *o, const struct optimizer_rules *rules, double squares, const struct fault *not_finite,
                                struct fault *fault)
{
    if (optimizer_rests(o)) return;
    o->norm = sqrt(squares) / o->divisor;
    o->mean_norm += rules->mean_weight * o->norm;
    if (!number_is_finite(o->norm)) fault_note(fault, not_finite);
}

/* Once all have been measured. with: another network whose gradient is clipped by one norm with this one's; NULL = none. step: Adam's count,
 * 1 for the first of a run; 0 = the optimiser's own. */
MAPPO_FN void optimizer_prepare(struct optimizer *o, const struct optimizer *with, const struct optimizer_rules *rules, double rate,
                                int64_t step)
{
    if (optimizer_rests(o)) return;
    const double norm = with && !optimizer_rests(with) ? sqrt(o->norm * o->norm + with->norm * with->norm) : o->norm;
    o->made++;
    o->steps++;
    o->step = adam_step_at(&rules->adam, rate, step > 0 ? step : o->steps, optimizer_clip(rules, norm) / o->divisor);
}

#endif
