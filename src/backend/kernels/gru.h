/* A gated recurrent unit, one feature of one row (Cho et al. 2014, with the reset gate inside as cuDNN and PyTorch have it):
 *   r = σ(xr + sr), z = σ(xz + sz), n = tanh(xn + r sn), h' = (1 - z) n + z h      x = W_ih x + b_ih, s = W_hh h + b_hh */
#ifndef MAPPO_KERNELS_GRU_H
#define MAPPO_KERNELS_GRU_H

#include "backend/kernels/math.h"

struct gru_gates {
    real reset, update, fresh; /* r, z, n */
};

MAPPO_FN struct gru_gates gru_gates(real xr, real xz, real xn, real sr, real sz, real sn)
{
    struct gru_gates g;
    g.reset = real_sigmoid(xr + sr);
    g.update = real_sigmoid(xz + sz);
    g.fresh = real_tanh(xn + g.reset * sn);
    return g;
}

MAPPO_FN real gru_state(const struct gru_gates *g, real h)
{
    return g->fresh + g->update * (h - g->fresh);
}

/* Gradients by xr and sr, xz and sz, xn, sn, and by h where it does not go through s; from that by h'. */
struct gru_gradient {
    real reset, update, fresh, state, h;
};

MAPPO_FN struct gru_gradient gru_gradient(const struct gru_gates *g, real sn, real h, real gradient)
{
    const real one = 1;
    struct gru_gradient d;
    d.fresh = gradient * (one - g->update) * (one - g->fresh * g->fresh);
    d.state = d.fresh * g->reset;
    d.reset = d.fresh * sn * g->reset * (one - g->reset);
    d.update = gradient * (h - g->fresh) * g->update * (one - g->update);
    d.h = gradient * g->update;
    return d;
}

#endif
