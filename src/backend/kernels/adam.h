/* One parameter's step of Adam with bias correction (Kingma and Ba 2015, algorithm 1), and with decoupled weight decay (Loshchilov and Hutter
 * 2019, algorithm 2, as torch.optim.AdamW: the decay is times the learning rate). */
#ifndef MAPPO_KERNELS_ADAM_H
#define MAPPO_KERNELS_ADAM_H

#include "backend/kernels/math.h"

struct adam { /* constants of a run */
    double beta1, beta2, eps;
    double weight_decay; /* 0 = none */
};

struct adam_step { /* what all parameters of one step share */
    real learning_rate, beta1, beta2, eps;
    real inverse1, inverse2; /* 1 / (1 - beta^step) */
    real scale;              /* of the gradient */
    real keep;               /* 1 - learning rate · weight decay */
};

/* `step` is 1 for the first update; `scale` multiplies the gradient. */
MAPPO_FN struct adam_step adam_step_at(const struct adam *adam, double learning_rate, int64_t step, double scale)
{
    struct adam_step s;
    s.learning_rate = (real)learning_rate;
    s.beta1 = (real)adam->beta1;
    s.beta2 = (real)adam->beta2;
    s.eps = (real)adam->eps;
    s.inverse1 = (real)(1 / (1 - pow((double)s.beta1, (double)step)));
    s.inverse2 = (real)(1 / (1 - pow((double)s.beta2, (double)step)));
    s.scale = (real)scale;
    s.keep = (real)(1 - learning_rate * adam->weight_decay);
    return s;
}

MAPPO_FN void adam_update(const struct adam_step *s, real gradient, real *parameter, real *m, real *v)
{
    const real g = gradient * s->scale;
    const real m1 = s->beta1 * *m + ((real)1 - s->beta1) * g;
    const real v1 = s->beta2 * *v + ((real)1 - s->beta2) * g * g;
    const real step = s->learning_rate * (m1 * s->inverse1) / (real_sqrt(v1 * s->inverse2) + s->eps);
    *m = m1;
    *v = v1;
    *parameter = s->keep * *parameter - step;
}

/* Polyak averaging: target += tau (from - target). */
MAPPO_FN real soft_update_of(real target, real from, real tau)
{
    return target + tau * (from - target);
}

#endif
