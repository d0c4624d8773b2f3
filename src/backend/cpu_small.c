/* Operations of the CPU backend that only move and count. */
#include <math.h>
#include <string.h>

#include "backend/cpu.h"
#include "base/episode_end.h"
#include "base/finite.h"

void small_select_ends(struct backend *backend, const struct ends_pass *pass, int passes)
{
    (void)backend;
    for (const struct ends_pass *p = pass; p < pass + passes; p++) {
        *p->count = 0;
        for (int t = 0; t < p->steps; t++)
            for (int e = p->lo; e < p->hi; e++) {
                const int u = t * p->envs + e;
                if (p->ep_end[u] == MAPPO_TRUNCATED) p->unit[(*p->count)++] = u * p->stride + p->offset;
            }
    }
}

void small_find_nonfinite(struct backend *backend, const float *x, size_t n, uint64_t *first)
{
    (void)backend;
    *first = NONFINITE_NONE;
    if (all_finite(x, n)) return;
    size_t i = 0;
    while (isfinite(x[i])) i++;
    *first = nonfinite_code(i, x[i]);
}

void small_scatter(struct backend *backend, const struct scatter_pass *pass, int passes)
{
    (void)backend;
    for (const struct scatter_pass *p = pass; p < pass + passes; p++) {
        const int units = p->count ? *p->count : p->units;
        const real *from = p->from;
        for (int u = 0; u < units; u++, from += p->from_width) {
            real *to = p->to + (size_t)(p->unit ? p->unit[u] : u) * (size_t)p->stride;
            for (int v = 0; v < p->width; v++) to[v] = from[p->from_width > 1 ? v : 0];
        }
    }
}

void small_copy_rows(struct backend *backend, const struct copy_pass *pass, int passes)
{
    (void)backend;
    for (const struct copy_pass *p = pass; p < pass + passes; p++)
        for (int r = 0; r < p->rows; r++)
            memcpy(p->to + (size_t)r * (size_t)p->to_stride, p->from + (size_t)(r / p->repeat) * (size_t)p->from_stride,
                   (size_t)p->width * sizeof *p->to);
}

void small_select(struct backend *backend, const struct select_pass *pass, int passes)
{
    (void)backend;
    for (const struct select_pass *p = pass; p < pass + passes; p++) {
        const uint64_t data_pass = p->now ? select_data_pass(p->now->update, p->epochs, p->epoch) : 0;
        const struct shuffle shuffle = shuffle_of((uint32_t)p->items, p->seed, p->shard, data_pass);
        for (int k = 0; k < p->count; k++) {
            const int place = p->from + k;
            const int item = !p->shuffled ? place : p->order ? p->order[place] : (int)shuffle_item(&shuffle, (uint32_t)place);
            p->rows[k] = select_unit(&p->shape, p->shape.by_row, item);
            for (int r = 0; r < p->state_repeats; r++) p->state[k * p->state_repeats + r] = select_unit(&p->shape, p->state_by_row, item);
        }
    }
}

void small_learner_start(struct backend *backend, const struct learner_pass *pass, int passes, const uint64_t *bad, int bads)
{
    (void)backend;
    const struct trouble none = {0};
    if (passes > 0) *pass->trouble = none;
    for (int i = 0; i < bads && passes > 0; i++) {
        const struct learner_place place = {.number = i};
        if (bad[i] != NONFINITE_NONE) learner_trouble(pass->trouble, TROUBLE_DATA, &place);
    }
    for (const struct learner_pass *p = pass; p < pass + passes; p++) {
        const struct learner_place place = {.number = p->number};
        learner_start(p->learner, p->norm, p->trouble, &place, p->advantage, p->ret);
    }
}

void small_learner_begin(struct backend *backend, const struct learner_rules *rules, const struct learner_pass *pass, int passes)
{
    (void)backend;
    for (const struct learner_pass *p = pass; p < pass + passes; p++) learner_begin(p->learner, p->norm, rules, p->minibatch);
}

void small_rescale_heads(struct backend *backend, const struct rescale_pass *pass, int passes)
{
    (void)backend;
    for (const struct rescale_pass *p = pass; p < pass + passes; p++) {
        if (p->trouble->kind != TROUBLE_NONE) continue;
        for (int i = 0; i < p->outputs * p->inputs; i++) p->weight[i] = rescaled_weight(p->rescale, p->weight[i]);
        for (int o = 0; o < p->outputs; o++) p->bias[o] = rescaled_output(p->rescale, p->bias[o]);
    }
}
