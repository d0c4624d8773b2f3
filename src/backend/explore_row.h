/* One agent's action with what is added to it (kernels/explore.h), for host and device. */
#ifndef MAPPO_BACKEND_EXPLORE_ROW_H
#define MAPPO_BACKEND_EXPLORE_ROW_H

#include "backend/backend.h"
#include "base/episode_end.h"

/* Any allowed choice. */
MAPPO_FN int any_choice(const struct head *head, const uint8_t *mask, uint32_t word)
{
    int allowed = 0;
    for (int k = 0; k < head->size; k++) allowed += !mask || mask[head->mask + k];
    int left = (int)(((uint64_t)word * (uint64_t)(allowed > 0 ? allowed : head->size)) >> 32);
    for (int k = 0; k < head->size; k++)
        if ((allowed == 0 || !mask || mask[head->mask + k]) && left-- == 0) return k;
    return head->size - 1;
}

MAPPO_FN void explore_row(const struct explore_pass *p, const struct distribution *dist, int e, int a)
{
    const size_t row = (size_t)e * (size_t)p->agents + (size_t)a;
    const uint32_t env = p->first_env + (uint32_t)e, agent = p->first_agent + (uint32_t)a;
    const uint8_t *mask = p->mask ? p->mask + row * (size_t)dist->logits : NULL;
    const int any = philox_float(explore_word(p->seed, env, agent, p->step, 0)) < p->numbers->epsilon;
    const size_t reals = (size_t)dist->act_reals;
    for (size_t k = 0; k < reals && p->state && p->ep_end && p->ep_end[e] != MAPPO_RUNNING; k++) p->state[row * reals + k] = 0;
    const bool simplex = dist->real == REAL_SOFTMAX;
    uint32_t word = 1;
    for (int h = 0; h < dist->heads; h++) {
        const struct head *head = &dist->head[h];
        if (head->kind == HEAD_GAUSSIAN) {
            for (int k = 0; k < head->size; k++, word += 2) {
                const size_t at = row * reals + (size_t)(head->action + k);
                const uint32_t u = explore_word(p->seed, env, agent, p->step, word),
                               v = explore_word(p->seed, env, agent, p->step, word + 1);
                const float anything = simplex ? philox_float(u) : 2 * philox_float(u) - 1;
                p->act_real[at] =
                    any ? anything
                        : explore_real(p->kind, simplex, p->clipped, p->act_real[at], p->numbers, p->state ? p->state + at : NULL, u, v);
            }
            continue;
        }
        for (int k = 0; k < (head->kind == HEAD_CATEGORICAL ? 1 : head->size); k++, word++) {
            int32_t *act = p->act_int + row * (size_t)dist->act_ints + (size_t)(head->action + k);
            const uint32_t u = explore_word(p->seed, env, agent, p->step, word);
            if (any && head->kind == HEAD_CATEGORICAL) *act = head->start + any_choice(head, mask, u);
            if (any && head->kind == HEAD_BERNOULLI) *act = (!mask || mask[head->mask + k]) && (u >> 31);
        }
    }
}

#endif
