/* Operations of the CPU backend that move, count or decide: a loop over passes, without vectors and without threads. */
#include <math.h>
#include <string.h>

#include "backend/cpu.h"
#include "backend/explore_row.h"
#include "backend/kernels/draw.h"
#include "backend/priority_row.h"
#include "base/episode_end.h"
#include "base/finite.h"

void scalar_select_ends(struct backend *backend, const struct ends_pass *pass, int passes)
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

void scalar_find_nonfinite(struct backend *backend, const float *x, size_t n, uint64_t *first)
{
    (void)backend;
    *first = NONFINITE_NONE;
    if (all_finite(x, n)) return;
    size_t i = 0;
    while (isfinite(x[i])) i++;
    *first = nonfinite_code(i, x[i]);
}

void scalar_scatter(struct backend *backend, const struct scatter_pass *pass, int passes)
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

void scalar_copy_rows(struct backend *backend, const struct copy_pass *pass, int passes)
{
    (void)backend;
    for (const struct copy_pass *p = pass; p < pass + passes; p++)
        for (int r = 0; r < p->rows; r++)
            memcpy(p->to + (size_t)r * (size_t)p->to_stride, p->from + (size_t)(r / p->repeat) * (size_t)p->from_stride,
                   (size_t)p->width * sizeof *p->to);
}

/* The elements at places [from, from + count), as shuffle_item tells them one by one: here all are sent through the network together, in
 * vector code, and those outside of the items again. */
enum { TOGETHER = 64 };
static inline __attribute__((always_inline)) void shuffle_some(const struct shuffle *s, uint32_t from, int count, uint32_t *item)
{
    uint32_t x[TOGETHER], place[TOGETHER];
    for (int i = 0; i < TOGETHER; i++) {
        x[i] = from + (uint32_t)i;
        place[i] = (uint32_t)i;
    }
    for (int left = count; left > 0;) {
        const int whole = (left + 15) & ~15;
        for (int i = 0; i < whole; i++) x[i] = shuffle_once(s, x[i]);
        int outside = 0;
        for (int i = 0; i < left; i++) {
            const uint32_t image = x[i], at = place[i];
            item[at] = image;
            x[outside] = image;
            place[outside] = at;
            outside += image >= s->items;
        }
        left = outside;
    }
}

static void shuffle_some_baseline(const struct shuffle *s, uint32_t from, int count, uint32_t *item)
{
    shuffle_some(s, from, count, item);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void shuffle_some_avx2(const struct shuffle *s, uint32_t from, int count, uint32_t *item)
{
    shuffle_some(s, from, count, item);
}
#define SHUFFLE_SOME (__builtin_cpu_supports("avx2") ? shuffle_some_avx2 : shuffle_some_baseline)
#else
#define SHUFFLE_SOME shuffle_some_baseline
#endif

void scalar_draw(struct backend *backend, const struct draw_pass *pass, int passes)
{
    (void)backend;
    for (const struct draw_pass *p = pass; p < pass + passes; p++) {
        const struct draw_shape shape = draw_shape_of(p->numbers->held, p->numbers->oldest, p->places, p->envs, p->lo, p->hi);
        const uint64_t update = (uint64_t)p->numbers->update + (uint64_t)p->after;
        const struct shuffle shuffle = shuffle_of(shape.items, p->seed, p->shard, 0, update);
        for (int b = 0; b < p->rows; b += TOGETHER) {
            uint32_t drawn[TOGETHER];
            const int count = p->rows - b < TOGETHER ? p->rows - b : TOGETHER;
            if (!p->replacement) SHUFFLE_SOME(&shuffle, (uint32_t)b, count, drawn);
            for (int i = 0; i < count; i++)
                p->row[b + i] =
                    draw_row(&shape, p->replacement ? draw_item(&shape, p->seed, p->shard, update, (uint32_t)(b + i)) : drawn[i]);
        }
    }
}

/* ---- draws by priority --------------------------------------------------------------------------------------------------------------- */

/* Nodes of all levels above some leaves: fresh ones (rows = 0), or those of rows. Neighbours share most. */
static void refresh_above(const struct priority_pass *p, size_t leaves)
{
    const struct priority_tree *t = &p->tree;
    const struct replay_numbers *now = p->numbers;
    for (int level = 1; level <= t->levels; level++) {
        uint32_t last = UINT32_MAX;
        for (size_t i = 0; i < leaves; i++) {
            const uint32_t leaf =
                p->row ? priority_leaf(t, p->row[i]) : priority_fresh(t, now->oldest, now->held, priority_fresh_steps(p), i);
            const uint32_t node = priority_above(leaf, level);
            if (node != last) priority_refresh(t, level, node);
            last = node;
        }
    }
}

void scalar_priority_renew(struct backend *backend, const struct priority_pass *pass, int passes)
{
    (void)backend;
    for (int i = 0; i < passes; i++) {
        struct priority_pass p = pass[i];
        const size_t leaves = (size_t)(priority_fresh_steps(&p) + 1) * (size_t)p.tree.width;
        const float top = priority_top(&p.tree);
        for (size_t k = 0; k < leaves; k++) priority_renew_leaf(&p, top, k);
        p.row = NULL;
        refresh_above(&p, leaves);
    }
}

void scalar_priority_rebuild(struct backend *backend, const struct priority_pass *pass, int passes)
{
    (void)backend;
    for (const struct priority_pass *p = pass; p < pass + passes; p++) {
        for (uint32_t i = 0; i < p->tree.count[0]; i++) priority_keep_leaf(p, i);
        for (int level = 1; level <= p->tree.levels; level++)
            for (uint32_t node = 0; node < p->tree.count[level]; node++) priority_refresh(&p->tree, level, node);
    }
}

void scalar_priority_draw(struct backend *backend, const struct priority_pass *pass, int passes)
{
    (void)backend;
    for (const struct priority_pass *p = pass; p < pass + passes; p++) {
        double most = 0;
        for (int b = 0; b < p->rows; b++) most = fmax(most, priority_draw_row(p, b));
        for (int s = 0; s < p->shards; s++) p->most[s] = s == (int)p->shard ? most : 0;
    }
}

void scalar_priority_weigh(struct backend *backend, const struct priority_pass *pass, int passes)
{
    (void)backend;
    for (const struct priority_pass *p = pass; p < pass + passes; p++) {
        double most = 0;
        for (int s = 0; s < p->shards; s++) most = fmax(most, p->most[s]);
        for (int b = 0; b < p->rows; b++) p->weight[b] = (real)((double)p->weight[b] / most);
    }
}

void scalar_priority_learn(struct backend *backend, const struct priority_pass *pass, int passes)
{
    (void)backend;
    for (const struct priority_pass *p = pass; p < pass + passes; p++) {
        for (int b = 0; b < p->rows; b++) priority_learn_row(p, b);
        refresh_above(p, (size_t)p->rows);
    }
}

void scalar_td_errors(struct backend *backend, const struct error_pass *pass, int passes)
{
    (void)backend;
    for (const struct error_pass *p = pass; p < pass + passes; p++)
        for (int b = 0; b < p->rows; b++) td_error_row(p, b);
}

static void select_some(const struct select_pass *p, const struct shuffle *shuffle, int first, int count)
{
    uint32_t drawn[TOGETHER];
    const int from = p->from + first;
    if (p->shuffled && !p->order) SHUFFLE_SOME(shuffle, (uint32_t)from, count, drawn);
    for (int k = 0; k < count; k++) {
        const int item = !p->shuffled ? from + k : p->order ? p->order[from + k] : (int)drawn[k];
        const int32_t row = select_unit(&p->shape, p->shape.by_row, item), critic = select_unit(&p->shape, p->critic_by_row, item);
        for (int t = 0; t < p->to.steps; t++) {
            const int place = select_place(&p->to, first + k, t);
            p->rows[place] = row + t * select_stride(&p->shape, p->shape.by_row);
            for (int r = 0; r < p->critic_repeats; r++)
                p->critic[place * p->critic_repeats + r] = critic + t * select_stride(&p->shape, p->critic_by_row);
        }
    }
}

void scalar_select(struct backend *backend, const struct select_pass *pass, int passes)
{
    (void)backend;
    for (const struct select_pass *p = pass; p < pass + passes; p++) {
        const uint64_t data_pass = p->numbers ? select_data_pass(p->numbers->update, p->epochs, p->epoch) : 0;
        const struct shuffle shuffle = shuffle_of((uint32_t)p->items, p->seed, p->shard, p->which, data_pass);
        for (int k = 0; k < p->count; k += TOGETHER) select_some(p, &shuffle, k, p->count - k < TOGETHER ? p->count - k : TOGETHER);
    }
}

void scalar_gather(struct backend *backend, const struct gather_pass *pass, int passes)
{
    (void)backend;
    for (const struct gather_pass *p = pass; p < pass + passes; p++) {
        const size_t bytes = (size_t)p->width * (size_t)p->element, stride = (size_t)p->stride * (size_t)p->element;
        char *to = p->to;
        for (int b = 0; b < p->rows; b++, to += bytes) {
            const bool ended = p->next && p->ep_end && p->ep_end[p->row[b]] != MAPPO_RUNNING;
            const int row = p->next && !ended ? draw_next(p->row[b], p->places, p->envs) : p->row[b];
            if (ended && !p->final)
                memset(to, 1, bytes);
            else
                memcpy(to, (const char *)(ended ? p->final : p->from) + (size_t)row * stride, bytes);
        }
    }
}

void scalar_explore(struct backend *backend, const struct explore_pass *pass, int passes)
{
    (void)backend;
    for (const struct explore_pass *p = pass; p < pass + passes; p++)
        for (int e = p->lo; e < p->hi; e++)
            for (int a = 0; a < p->agents; a++) explore_row(p, p->dist, e, a);
}

void scalar_td_targets(struct backend *backend, const struct td_pass *pass, int passes)
{
    (void)backend;
    for (const struct td_pass *p = pass; p < pass + passes; p++)
        for (int b = 0; b < p->rows; b++) {
            const size_t row = (size_t)b * (size_t)p->stride;
            p->ret[b] =
                td_target((real)p->reward[row], p->terminated[row], p->ep_end[b], p->gamma, p->q[b], p->other ? p->other[b] : p->q[b]);
        }
}

void scalar_join(struct backend *backend, const struct joint_pass *pass, int passes)
{
    (void)backend;
    for (const struct joint_pass *p = pass; p < pass + passes; p++)
        for (int u = 0; u < batch_units(&p->batch); u++)
            joint_step(p->objective, &p->rules, (size_t)(p->batch.unit ? p->batch.unit[u] : u) * (size_t)p->batch.rows, p->batch.rows,
                       p->log_prob, p->old_log_prob, p->advantage, p->active, p->loss, p->slope);
}

void scalar_compound(struct backend *backend, const struct compound_pass *pass, int passes)
{
    (void)backend;
    for (const struct compound_pass *p = pass; p < pass + passes; p++)
        for (size_t u = 0; u < p->n; u++) compound_step(p, u);
}

void scalar_home(struct backend *backend, const struct home_pass *pass, int passes)
{
    (void)backend;
    for (const struct home_pass *p = pass; p < pass + passes; p++) {
        const size_t rows = home_rows_of(p);
        for (size_t row = 0; row < rows; row++) home_row(p, row);
    }
}

void scalar_forget(struct backend *backend, const struct forget_pass *pass, int passes)
{
    (void)backend;
    for (const struct forget_pass *p = pass; p < pass + passes; p++)
        for (size_t i = 0; i < (size_t)p->envs * (size_t)p->width; i++) forget_number(p, i);
}

void scalar_discount(struct backend *backend, const struct discount_pass *pass, int passes)
{
    (void)backend;
    for (const struct discount_pass *p = pass; p < pass + passes; p++) {
        const size_t agents = (size_t)p->agents;
        for (int t = 0; t < p->steps; t++)
            for (size_t i = (size_t)p->lo * agents; i < (size_t)p->hi * agents; i++) {
                const size_t at = (size_t)t * (size_t)p->envs * agents + i;
                const real now = p->gamma * p->now[i] + (real)p->reward[at];
                p->out[at] = (float)now;
                p->now[i] = p->ep_end[at / agents] == MAPPO_RUNNING ? now : (real)0;
            }
    }
}

void scalar_running_take(struct backend *backend, const struct running_pass *pass, int passes)
{
    (void)backend;
    for (const struct running_pass *p = pass; p < pass + passes; p++) {
        for (int j = 0; j < p->running.width; j++) running_merge(&p->running, p->sums, j);
        p->running.moments[0] += p->sums[0];
        for (int j = 0; j < p->running.width; j++) running_refresh(&p->running, j);
    }
}

void scalar_ppo_start(struct backend *backend, const struct ppo_rules *rules, const struct ppo_pass *pass, int passes, const uint64_t *bad,
                      int bads)
{
    (void)backend;
    const struct fault none = {0};
    if (passes > 0) *pass->fault = none;
    for (int i = 0; i < bads && passes > 0; i++) {
        const struct fault found = {.kind = FAULT_DATA, .learner = i};
        if (bad[i] != NONFINITE_NONE) fault_note(pass->fault, &found);
    }
    for (const struct ppo_pass *p = pass; p < pass + passes; p++)
        ppo_learner_start(p->learner, rules, p->numbers, p->norm, p->fault, &p->place, p->advantage, p->ret);
}

void scalar_ppo_begin(struct backend *backend, const struct ppo_rules *rules, const struct ppo_pass *pass, int passes)
{
    (void)backend;
    for (const struct ppo_pass *p = pass; p < pass + passes; p++) ppo_learner_begin(p->learner, p->norm, rules, p->minibatch);
}

void scalar_rescale_heads(struct backend *backend, const struct rescale_pass *pass, int passes)
{
    (void)backend;
    for (const struct rescale_pass *p = pass; p < pass + passes; p++) {
        if (p->fault->kind != NO_FAULT) continue;
        for (int i = 0; i < p->outputs * p->inputs; i++) p->weight[i] = rescaled_weight(p->rescale, p->weight[i]);
        for (int o = 0; o < p->outputs; o++) p->bias[o] = rescaled_output(p->rescale, p->bias[o]);
    }
}

void scalar_ppo_measure(struct backend *backend, const struct ppo_rules *rules, const struct ppo_pass *pass, int passes)
{
    (void)backend;
    for (const struct ppo_pass *p = pass; p < pass + passes; p++)
        ppo_learner_measure(p->learner, p->norm, rules, p->minibatch, p->sum, p->sum + PASS_SUMS, p->fault, &p->place);
}

void scalar_ppo_end(struct backend *backend, const struct ppo_rules *rules, const struct ppo_pass *pass, int passes)
{
    (void)backend;
    for (const struct ppo_pass *p = pass; p < pass + passes; p++) ppo_learner_end(p->learner, rules, p->kl);
}
