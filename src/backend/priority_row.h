/* Draws by priority, and errors of drawn rows, one at a time, for host and device. */
#ifndef MAPPO_BACKEND_PRIORITY_ROW_H
#define MAPPO_BACKEND_PRIORITY_ROW_H

#include "backend/off_policy.h"

/* The largest priority of all; 1 where there is none. */
MAPPO_FN float priority_top(const struct priority_tree *t)
{
    const float top = t->most[t->levels][0];
    return top > 0 ? top : 1;
}

MAPPO_FN int64_t priority_fresh_steps(const struct priority_pass *p)
{
    return p->fresh < p->numbers->held ? p->fresh : p->numbers->held;
}

/* Leaf i of the fresh steps, and, behind them, of the place whose step will be taken next. */
MAPPO_FN void priority_renew_leaf(const struct priority_pass *p, float top, size_t i)
{
    const int64_t fresh = priority_fresh_steps(p);
    const uint32_t leaf = priority_fresh(&p->tree, p->numbers->oldest, p->numbers->held, fresh, i);
    p->tree.leaf[priority_row(&p->tree, leaf)] = i < (size_t)fresh * (size_t)p->tree.width ? top : 0;
}

MAPPO_FN void priority_keep_leaf(const struct priority_pass *p, uint32_t leaf)
{
    const int place = (int)(leaf / (uint32_t)p->tree.width);
    if (!priority_holds(&p->tree, p->numbers->oldest, p->numbers->held, place)) p->tree.leaf[priority_row(&p->tree, leaf)] = 0;
}

/* Returns the weight. */
MAPPO_FN double priority_draw_row(const struct priority_pass *p, int b)
{
    const double sum = p->tree.sum[p->tree.levels][0];
    const uint64_t update = (uint64_t)p->numbers->update + (uint64_t)p->after;
    const uint32_t leaf = priority_find(&p->tree, priority_point(sum, p->seed, p->shard, update, (uint32_t)b, p->rows));
    p->row[b] = priority_row(&p->tree, leaf);
    const double weight = priority_weight((double)p->tree.leaf[p->row[b]], sum, p->numbers->held * p->tree.width, p->numbers->beta);
    p->weight[b] = (real)weight;
    return weight;
}

/* Rows of one step stand side by side: the last one counts. */
MAPPO_FN void priority_learn_row(const struct priority_pass *p, int b)
{
    float *leaf = &p->tree.leaf[p->row[b]];
    if (b + 1 < p->rows && p->row[b + 1] == p->row[b]) return;
    *leaf = priority_of(p->error[b], p->exponent, p->floor, *leaf);
}

MAPPO_FN void td_error_row(const struct error_pass *p, int b)
{
    const real error = p->q[b] - p->ret[b], size = p->share * real_abs(error);
    p->loss[b] = p->weight[b] * error * error / 2;
    p->slope[b] = 2 * p->weight[b] * error;
    if (p->error) p->error[b] = p->first ? size : p->error[b] + size;
}

#endif
