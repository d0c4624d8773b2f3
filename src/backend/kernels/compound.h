/* What an agent's update leaves to those of the agents after it, where they are updated one after another: the product M of the ratios
 * that agents have come to at an env-step. Kuba et al. 2022 (arXiv:2109.11251), eq. 11 and algorithm 4. */
#ifndef MAPPO_KERNELS_COMPOUND_H
#define MAPPO_KERNELS_COMPOUND_H

#include <stddef.h>

#include "backend/kernels/math.h"

/* M takes in the ratios of the agent that has learned and multiplies the advantages of the next one. Arrays of agents begin at the agent's
 * first row: env-step u stands u * agents rows behind it. */
struct compound_pass {
    size_t n;                    /* env-steps */
    real *factor;                /* [n] M */
    int32_t first;               /* it was 1 before */
    int32_t agents, next_agents; /* of the group of the one, and of the other */
    int32_t heads;
    const real *log_prob;     /* of the action taken, now, joint over heads */
    const real *old_log_prob; /* [heads] a row: when it was taken */
    real *advantage;
};

MAPPO_FN void compound_step(const struct compound_pass *p, size_t u)
{
    const size_t row = u * (size_t)p->agents;
    real log_ratio = p->log_prob[row];
    for (int h = 0; h < p->heads; h++) log_ratio -= p->old_log_prob[row * (size_t)p->heads + (size_t)h];
    const real ratio = real_exp(log_ratio), factor = p->first ? ratio : p->factor[u] * ratio;
    p->factor[u] = factor;
    p->advantage[u * (size_t)p->next_agents] *= factor;
}

#endif
