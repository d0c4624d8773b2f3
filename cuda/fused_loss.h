/* Losses of a warp's rows by all of its threads: a row has PARTS = 32 / ROWS threads, which share its choices (of policies with one
 * categorical head and few of them, the usual kind) or its returns (of values), and what they find is added up across them. Other policies
 * have a thread a row (loss.h). The same formulas; sums over choices and over returns are in another order. */
#ifndef MAPPO_CUDA_FUSED_LOSS_H
#define MAPPO_CUDA_FUSED_LOSS_H

#include "cuda/loss.h"

enum {
    ROW_SUMS = 8, /* of a row of a tile, float: PASS_SUMS. The rows' are added up in double when the chunk ends */
    THREAD_CHOICES = 4
};
static_assert((int)PASS_SUMS <= (int)ROW_SUMS, "sums of a row");

struct loss_thread { /* what a thread has of its row */
    const struct train_pass *pass;
    size_t row;
    bool there; /* else padding, which gets no gradient; nothing of `row` may be read */
    int part;
    float *z; /* z[o * stride] */
    int stride;
    float *sums; /* [ROW_SUMS] of the row */
};

template <int ROWS> static __device__ __forceinline__ float over_parts(float x) /* the sum over the threads of a row */
{
#pragma unroll
    for (int step = 16; step >= ROWS; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

/* Half of the sums by each of two threads. */
static __device__ __forceinline__ void add_sums(const struct loss_thread *l, const float (&found)[ROW_SUMS])
{
    if (!l->there || l->part > 1) return;
    float4 *to = reinterpret_cast<float4 *>(l->sums + 4 * l->part), sum = *to;
    sum.x += l->part ? found[4] : found[0];
    sum.y += l->part ? found[5] : found[1];
    sum.z += l->part ? found[6] : found[2];
    sum.w += l->part ? found[7] : found[3];
    *to = sum;
}

template <int ROWS> static __device__ __forceinline__ bool one_categorical(const struct distribution *dist, const struct policy_loss *loss)
{
    return !loss->old_out && !loss->slope && dist->heads == 1 && dist->head[0].kind == HEAD_CATEGORICAL &&
           dist->head[0].size <= THREAD_CHOICES * (32 / ROWS);
}

/* For one_categorical; a thread has choices part, part + PARTS, … */
template <int ROWS> static __device__ __forceinline__ void categorical_rows(const struct loss_thread *l, const struct distribution *dist)
{
    enum { PARTS = 32 / ROWS };
    const struct policy_loss *loss = &l->pass->policy;
    const struct head *head = &dist->head[0];
    /* What lies in memory first: it arrives while the probabilities are computed. */
    const bool there = l->there;
    const int choice = there ? loss->act_int[l->row * (size_t)dist->act_ints + (size_t)head->action] - head->start : -1;
    const float old_log_prob = there ? loss->old_log_prob[l->row] : 0.0f, advantage = there ? row_advantage(loss, l->row) : 0.0f;
    const float weight = there && (!loss->active || loss->active[l->row]) ? 1.0f : 0.0f;
    const float home = !there || !loss->home || loss->home[l->row] ? 1.0f : 0.0f;
    const bool masked = there && loss->mask && head->mask >= 0;
    const uint8_t *allowed = masked ? loss->mask + l->row * (size_t)dist->logits + (size_t)head->mask : NULL;
    float *z = l->z + head->output * l->stride, logit[THREAD_CHOICES], p[THREAD_CHOICES];
    struct categorical c = {-INFINITY, 0, 0};
#pragma unroll
    for (int i = 0; i < THREAD_CHOICES; i++) {
        const int k = l->part + PARTS * i;
        logit[i] = k < head->size ? masked_logit(z, l->stride, allowed, k) : -INFINITY;
        c.top = real_max(c.top, logit[i]);
    }
#pragma unroll
    for (int step = 16; step >= ROWS; step /= 2) c.top = real_max(c.top, __shfl_xor_sync(0xffffffffu, c.top, step));
    float total = 0;
#pragma unroll
    for (int i = 0; i < THREAD_CHOICES; i++) {
        p[i] = real_exp(logit[i] - c.top); /* 0 where there is no choice */
        total += p[i];
    }
    total = over_parts<ROWS>(total);
    c.log_total = c.top + real_log(total);
    c.inverse = 1.0f / total;
    float entropy = 0, log_prob = 0;
#pragma unroll
    for (int i = 0; i < THREAD_CHOICES; i++) {
        const int k = l->part + PARTS * i;
        const float log_p = categorical_log_prob(logit[i], c.log_total);
        p[i] *= c.inverse;
        entropy -= k < head->size ? categorical_entropy_term(p[i], log_p) : 0.0f;
        log_prob += k == choice ? log_p : 0.0f;
    }
    entropy = over_parts<ROWS>(entropy);
    log_prob = over_parts<ROWS>(log_prob);
    const struct surrogate s = policy_surrogate(loss->objective, log_prob, home > 0 ? old_log_prob : log_prob, advantage);
    const float g_lp = weight * s.gradient, g_h = -loss->objective->entropy * weight;
#pragma unroll
    for (int i = 0; i < THREAD_CHOICES; i++) {
        const int k = l->part + PARTS * i;
        if (k >= head->size) continue;
        const float log_p = categorical_log_prob(logit[i], c.log_total);
        const float g = categorical_gradient(logit[i], p[i], log_p, choice == k ? 1.0f : 0.0f, entropy, g_lp, g_h);
        z[k * l->stride] = there ? g : 0.0f;
    }
    const float found[ROW_SUMS] = {weight, weight * s.loss, weight * entropy, home * s.kl, home * s.clipped, home * s.ratio, home};
    static_assert(SUM_WEIGHT == 0 && SUM_LOSS == 1 && SUM_ENTROPY == 2 && SUM_KL == 3 && SUM_CLIPPED == 4 && SUM_RATIO == 5 &&
                      SUM_ROWS == 6,
                  "the order of the sums");
    add_sums(l, found);
}

/* A thread has returns part, part + PARTS, … */
template <int ROWS> static __device__ __forceinline__ void value_rows(const struct loss_thread *l)
{
    float found[ROW_SUMS] = {0};
    const float g = l->there ? value_targets(l->pass, l->row, l->z[0], l->part, 32 / ROWS, &found[SUM_WEIGHT], &found[SUM_LOSS]) : 0.0f;
    const float gradient = over_parts<ROWS>(g);
    found[SUM_WEIGHT] = over_parts<ROWS>(found[SUM_WEIGHT]);
    found[SUM_LOSS] = over_parts<ROWS>(found[SUM_LOSS]);
    found[SUM_ROWS] = 1;
    __syncwarp(); /* all threads of a row have read its value */
    if (l->part == 0) l->z[0] = gradient;
    add_sums(l, found);
}

/* Of policies that no faster way is made for: outputs [outputs], then log_std's gradients [extra]. */
static __device__ __forceinline__ void policy_rows(const struct loss_thread *l, const struct distribution *dist, int outputs, int extra)
{
    if (l->part > 0) return;
    if (l->there) {
        policy_row(l->pass, dist, l->row, l->z, l->stride, l->sums);
    } else {
        for (int o = 0; o < outputs + extra; o++) l->z[o * l->stride] = 0;
    }
}

#endif
