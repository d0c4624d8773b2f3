/* What decides about one network's step, whatever its loss is: the norm of its gradient, whether that is finite, clipping, Adam's numbers.
 * Plain data in the backend's memory: the host says in advance what will happen and reads the outcome once an update, so a device never
 * waits for it. The step itself is adam_update, for every parameter, and only where no fault was found in any of the networks. */
#ifndef MAPPO_KERNELS_OPTIMIZER_H
#define MAPPO_KERNELS_OPTIMIZER_H

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
};

struct optimizer_rules {  /* constants of a run */
    double max_grad_norm; /* 0 = off */
    double mean_weight;   /* 1 / (steps of an update) */
    struct adam adam;     /* learning rates may change between two updates and come with the step */
};

struct optimizer {          /* of one network */
    double divisor;         /* of its gradient, which is a sum over rows: set before the step by whoever knows the rows */
    double norm, mean_norm; /* of the gradient before clipping: of the step at hand; mean over the update, once all its steps are made */
    struct adam_step step;
};

MAPPO_FN double optimizer_clip(const struct optimizer_rules *rules, double norm)
{
    const double limit = rules->max_grad_norm, factor = limit / (norm + 1e-6);
    return limit > 0 && factor < 1 ? factor : 1;
}

struct optimizer_place {     /* which step this is */
    double rate;             /* learning rate */
    int64_t step;            /* Adam's step count, 1 for the first of a run */
    struct fault not_finite; /* what a gradient that is not finite is */
};

/* squares: the squared norm of the gradient's sum. */
MAPPO_FN void optimizer_prepare(struct optimizer *o, const struct optimizer_rules *rules, const struct optimizer_place *place,
                                double squares, struct fault *fault)
{
    o->norm = sqrt(squares) / o->divisor;
    o->mean_norm += rules->mean_weight * o->norm;
    if (!number_is_finite(o->norm)) fault_note(fault, &place->not_finite);
    o->step = adam_step_at(&rules->adam, place->rate, place->step, optimizer_clip(rules, o->norm) / o->divisor);
}

#endif
