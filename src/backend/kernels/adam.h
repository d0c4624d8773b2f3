/* One parameter's step of Adam with bias correction (Kingma and Ba 2015, algorithm 1) and decoupled weight decay. */
#ifndef MAPPO_KERNELS_ADAM_H
#define MAPPO_KERNELS_ADAM_H

#include "backend/kernels/math.h"

struct adam_step {
    real learning_rate, beta1, beta2, eps, decay; /* decay: learning rate times weight decay */
    real inverse1, inverse2;                      /* 1 / (1 - beta^step) */
    real scale;                                   /* of the gradient */
};

MAPPO_FN void adam_update(const struct adam_step *s, real gradient, real *parameter, real *m, real *v)
{
    const real g = gradient * s->scale;
    const real m1 = s->beta1 * *m + ((real)1 - s->beta1) * g;
    const real v1 = s->beta2 * *v + ((real)1 - s->beta2) * g * g;
    const real step = s->learning_rate * (m1 * s->inverse1) / (real_sqrt(v1 * s->inverse2) + s->eps);
    *m = m1;
    *v = v1;
    *parameter = *parameter - s->decay * *parameter - step;
}

/* Polyak averaging: target += tau (from - target). */
MAPPO_FN real soft_update_of(real target, real from, real tau)
{
    return target + tau * (from - target);
}

#endif
