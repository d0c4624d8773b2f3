/* One row's loss and its gradient by the outputs, by one thread. The formulas are those of backend/kernels, in the order of the CPU's
 * cpu_loss_kernels.c. */
#ifndef MAPPO_CUDA_LOSS_H
#define MAPPO_CUDA_LOSS_H

#include "cuda/act.h"

extern "C" {
#include "backend/kernels/loss.h"
}

/* A kernel's copy of a pass: `net` is host memory and gone, and `parameters` are those behind the head, log_std [extra]. pass->policy.dist
 * is host memory as well; kernels get a copy of it beside this one. */
static inline struct train_pass loss_pass(const struct train_pass *pass)
{
    struct train_pass copy = *pass;
    copy.net = NULL;
    copy.parameters = pass->net->extra > 0 ? pass->parameters + pass->net->at.extra : NULL;
    return copy;
}

struct evaluation {
    float log_prob, entropy; /* of all heads so far */
    float kl;                /* likewise, where it is wanted */
    struct categorical head; /* of the last categorical one, with its entropy */
    float head_entropy;
};

struct loss_row {                  /* what the heads of one row share */
    const struct train_pass *pass; /* from loss_pass */
    const struct distribution *dist;
    size_t row;
    float *z; /* z[o * stride] */
    int stride;
};

static inline __device__ int32_t loss_choice(const struct loss_row *r, int action)
{
    return r->pass->policy.act_int[r->row * (size_t)r->dist->act_ints + (size_t)action];
}

static inline __device__ float categorical_entropy(const struct categorical *c, const float *z, int stride, int n)
{
    float entropy = 0;
    for (int k = 0; k < n; k++)
        entropy -= categorical_entropy_term(categorical_p(c, z[k * stride]), categorical_log_prob(z[k * stride], c->log_total));
    return entropy;
}

/* Adds a head's log-probability and entropy. Forbidden logits of z are overwritten. */
static inline __device__ void head_forward(const struct loss_row *r, const struct head *head, struct evaluation *e)
{
    const struct policy_loss *loss = &r->pass->policy;
    float *z = r->z + head->output * r->stride;
    if (loss->mask && head->mask >= 0) {
        const uint8_t *allowed = loss->mask + r->row * (size_t)r->dist->logits + (size_t)head->mask;
        for (int k = 0; k < head->size; k++) z[k * r->stride] = masked_logit(z, r->stride, allowed, k);
    }
    if (head->kind == HEAD_CATEGORICAL) {
        e->head = categorical_of(z, r->stride, NULL, head->size);
        e->head_entropy = categorical_entropy(&e->head, z, r->stride, head->size);
        const int32_t choice = loss_choice(r, head->action) - head->start;
        if (choice >= 0 && choice < head->size) e->log_prob += categorical_log_prob(z[choice * r->stride], e->head.log_total);
        e->entropy += e->head_entropy;
        return;
    }
    for (int k = 0; k < head->size; k++, z += r->stride) {
        if (head->kind == HEAD_BERNOULLI) {
            e->log_prob += bernoulli_log_prob(*z, (float)loss_choice(r, head->action + k));
            e->entropy += bernoulli_entropy(*z);
        } else {
            const struct gaussian g = gaussian_of(r->dist, r->pass->parameters, r->z, r->stride, head->action + k);
            const float action = loss->act_real[r->row * (size_t)r->dist->act_reals + (size_t)(head->action + k)];
            e->log_prob += gaussian_log_prob(action, *z, g.log_std, g.inverse_std);
            e->entropy += gaussian_entropy(g.log_std);
        }
    }
}

/* ---- the penalty ---- */

struct old_head { /* what the old policy put out for a head: out[k], of which the forbidden choices count as masked; row[o] for all */
    const float *out, *row;
    const uint8_t *allowed;
};

static inline __device__ struct old_head old_head_of(const struct loss_row *r, const struct head *head)
{
    const struct policy_loss *loss = &r->pass->policy;
    struct old_head old;
    old.row = loss->old_out + r->row * (size_t)distribution_outputs(r->dist);
    old.out = old.row + head->output;
    old.allowed = loss->mask && head->mask >= 0 ? loss->mask + r->row * (size_t)r->dist->logits + (size_t)head->mask : NULL;
    return old;
}

static inline __device__ float old_output(const struct old_head *old, int k)
{
    return masked_logit(old->out, 1, old->allowed, k);
}

/* Adds KL(old || new) of a head. After head_forward, before head_backward. */
static inline __device__ void head_kl(const struct loss_row *r, const struct head *head, struct evaluation *e)
{
    const struct old_head was = old_head_of(r, head);
    const float *z = r->z + head->output * r->stride;
    if (head->kind == HEAD_CATEGORICAL) {
        const struct categorical old = categorical_of(was.out, 1, was.allowed, head->size),
                                 now = categorical_of(z, r->stride, NULL, head->size);
        for (int k = 0; k < head->size; k++) {
            const float logit = old_output(&was, k);
            e->kl += categorical_kl_term(categorical_p(&old, logit), categorical_log_prob(logit, old.log_total),
                                         categorical_log_prob(z[k * r->stride], now.log_total));
        }
        return;
    }
    for (int k = 0; k < head->size; k++, z += r->stride) {
        if (head->kind == HEAD_BERNOULLI) {
            e->kl += bernoulli_kl(old_output(&was, k), *z);
        } else {
            const struct gaussian now = gaussian_of(r->dist, r->pass->parameters, r->z, r->stride, head->action + k),
                                  old = gaussian_of(r->dist, r->pass->policy.old_log_std, was.row, 1, head->action + k);
            e->kl += gaussian_kl(old_output(&was, k), old.log_std, *z, now.log_std, now.inverse_std);
        }
    }
}

/* From the gradients by the log-probability and the entropy to those by the head's outputs, in place; PENALTY: with that of `weight` times
 * the KL. `known`: e is of this head, which saves computing it again; keeping it for all heads would take memory of a thread's own, which is
 * slow. */
template <bool PENALTY>
static inline __device__ void head_backward(const struct loss_row *r, const struct head *head, float g_lp, float g_h, float weight,
                                            const struct evaluation *e, bool known)
{
    const struct old_head was = PENALTY ? old_head_of(r, head) : old_head();
    float *z = r->z + head->output * r->stride;
    if (head->kind == HEAD_CATEGORICAL) {
        const struct categorical c = known ? e->head : categorical_of(z, r->stride, NULL, head->size);
        const struct categorical old = PENALTY ? categorical_of(was.out, 1, was.allowed, head->size) : c;
        const float entropy = known ? e->head_entropy : categorical_entropy(&c, z, r->stride, head->size);
        const int32_t choice = loss_choice(r, head->action) - head->start;
        for (int k = 0; k < head->size; k++, z += r->stride) {
            const float log_p = categorical_log_prob(*z, c.log_total), p = categorical_p(&c, *z);
            *z = categorical_gradient(*z, p, log_p, choice == k ? 1.0f : 0.0f, entropy, g_lp, g_h);
            if (PENALTY) *z += weight * (p - categorical_p(&old, old_output(&was, k)));
        }
        return;
    }
    const int log_std = r->dist->log_std_output ? r->dist->log_std_output : distribution_outputs(r->dist);
    for (int k = 0; k < head->size; k++, z += r->stride) {
        const float is = *z;
        if (head->kind == HEAD_BERNOULLI) {
            *z = bernoulli_gradient(is, (float)loss_choice(r, head->action + k), g_lp, g_h);
            if (PENALTY) *z += weight * (real_sigmoid(is) - real_sigmoid(old_output(&was, k)));
        } else {
            const struct gaussian g = gaussian_of(r->dist, r->pass->parameters, r->z, r->stride, head->action + k);
            const float action = r->pass->policy.act_real[r->row * (size_t)r->dist->act_reals + (size_t)(head->action + k)];
            *z = g_lp * gaussian_gradient_mean(action, is, g.inverse_std);
            if (PENALTY) *z += weight * gaussian_kl_gradient_mean(old_output(&was, k), is, g.inverse_std);
            if (r->dist->fixed_std > 0) continue;
            float *z_std = r->z + (log_std + head->action + k) * r->stride;
            const float slope = r->dist->log_std_output ? bounded_log_std_slope(*z_std) : 1.0f;
            *z_std = slope * (g_lp * gaussian_gradient_log_std(action, is, g.inverse_std) + g_h);
            if (!PENALTY) continue;
            const struct gaussian old = gaussian_of(r->dist, r->pass->policy.old_log_std, was.row, 1, head->action + k);
            *z_std += slope * weight * gaussian_kl_gradient_log_std(old_output(&was, k), old.log_std, is, g.inverse_std);
        }
    }
}

/* ---- one row ---- */

static inline __device__ float row_advantage(const struct policy_loss *loss, size_t row)
{
    return loss->scale ? scaled_advantage(loss->scale, loss->advantage[row]) : loss->advantage[row];
}

/* The ratio of heads [from, to) and what it costs, with `share` of the entropy bonus; their gradients take the outputs' places. */
template <class SUM>
static __device__ void heads_loss(const struct loss_row *r, int from, int to, float share, float old_log_prob, float advantage,
                                  float weight, SUM *sums)
{
    const struct policy_loss *loss = &r->pass->policy;
    struct evaluation e = {0, 0, 0, {0, 0, 0}, 0};
    for (int h = from; h < to; h++) {
        head_forward(r, &r->dist->head[h], &e);
        if (loss->old_out) head_kl(r, &r->dist->head[h], &e);
    }
    const struct policy_objective objective = *loss->objective;
    const float home = !loss->home || loss->home[r->row] ? 1.0f : 0.0f;
    const struct surrogate s = policy_surrogate(&objective, e.log_prob, home > 0 ? old_log_prob : e.log_prob, advantage);
    const float g_lp = loss->slope ? loss->slope[r->row] : weight * s.gradient, g_h = -objective.entropy * weight * share;
    sums[SUM_LOSS] += (SUM)(weight * (loss->slope ? loss->loss[r->row] : s.loss));
    sums[SUM_ENTROPY] += (SUM)(weight * e.entropy * share);
    sums[SUM_KL] += (SUM)(home * s.kl * share);
    sums[SUM_CLIPPED] += (SUM)(home * s.clipped * share);
    sums[SUM_RATIO] += (SUM)(home * s.ratio * share);
    if (loss->old_out) sums[SUM_PENALTY] += (SUM)(weight * e.kl);
    for (int h = to - 1; h >= from; h--) {
        if (loss->old_out)
            head_backward<true>(r, &r->dist->head[h], g_lp, g_h, weight * objective.kl, &e, h == to - 1);
        else
            head_backward<false>(r, &r->dist->head[h], g_lp, g_h, 0, &e, h == to - 1);
    }
}

/* `row` is a row of the pass's arrays. In: z[o * stride] the outputs. Out: z[o * stride] the gradient by them of the sum of the row losses,
 * z[(outputs + e) * stride] the row's gradient by log_std[e] where that is a parameter. Adds to sums [PASS_SUMS], double or float. */
template <class SUM>
static __device__ void policy_row(const struct train_pass *pass, const struct distribution *dist, size_t row, float *z, int stride,
                                  SUM *sums)
{
    const struct policy_loss *loss = &pass->policy;
    const struct loss_row r = {pass, dist, row, z, stride};
    const float weight = !loss->active || loss->active[row] ? 1.0f : 0.0f, advantage = row_advantage(loss, row);
    const int heads = dist->heads;
    sums[SUM_WEIGHT] += (SUM)weight;
    sums[SUM_ROWS] += !loss->home || loss->home[row] ? 1 : 0;
    /* In one place, because it is most of a kernel. */
    const int together = loss->per_head ? 1 : heads;
    const float share = 1.0f / (float)(heads / together), *old = loss->old_log_prob + row * (size_t)(heads / together);
    for (int h = 0; h < heads; h += together) heads_loss(&r, h, h + together, share, old[h / together], advantage, weight, sums);
}

/* The gradient by a row's value of every `step`-th of its targets' losses from `first` on. Adds to the sums of weights and losses. */
template <class SUM>
static __device__ __forceinline__ float value_targets(const struct train_pass *pass, size_t row, float value, int first, int step,
                                                      SUM *weights, SUM *losses)
{
    const struct value_loss *loss = &pass->value;
    const float mean = (float)loss->norm->scale.mean, inverse = 1.0f / (float)loss->norm->scale.deviation;
    const float stored = loss->old_value[row], old_value = loss->old ? rescaled_output(loss->old, stored) : stored;
    float g = 0;
    for (int j = first; j < loss->targets; j += step) {
        const size_t at = row * (size_t)loss->targets + (size_t)j;
        const float weight = !loss->active || loss->active[at] ? 1.0f : 0.0f;
        const struct value_error e = value_loss_of(loss->objective, value, (loss->ret[at] - mean) * inverse, old_value);
        g += loss->objective->coefficient * weight * e.gradient;
        *weights += (SUM)weight;
        *losses += (SUM)(weight * e.loss);
    }
    return g;
}

/* The same as policy_row for the value z[0]. */
static inline __device__ void value_row(const struct train_pass *pass, size_t row, float *z, int stride, double *sums)
{
    (void)stride;
    z[0] = value_targets(pass, row, z[0], 0, 1, &sums[SUM_WEIGHT], &sums[SUM_LOSS]);
    sums[SUM_ROWS] += 1;
}

/* The same where it was found elsewhere: `row` is one of the batch. */
static inline __device__ void given_row(const struct train_pass *pass, size_t row, int outputs, int extra, float *z, double *sums)
{
    for (int o = 0; o < outputs; o++) z[o] = pass->given.slope[row * (size_t)outputs + (size_t)o];
    for (int k = 0; k < extra; k++) z[outputs + k] = pass->given.extra ? pass->given.extra[row * (size_t)extra + (size_t)k] : 0.0f;
    sums[SUM_LOSS] += pass->given.loss[row];
    sums[SUM_WEIGHT] += 1;
    sums[SUM_ROWS] += 1;
}

#endif
