/* One row's action from its outputs, sampled or the mode, by one thread; the pieces of it that the losses (loss.h) need as well. The same
 * random words in the same order as on the CPU (cpu_loss_kernels.c). */
#ifndef MAPPO_CUDA_ACT_H
#define MAPPO_CUDA_ACT_H

#include "cuda/launch.h"

extern "C" {
#include "backend/backend.h"
#include "backend/kernels/distribution.h"
#include "backend/kernels/sampling.h"
}

/* ---- rows of a batch ---- */

static inline __device__ int batch_live_rows(const int32_t *count, int batch_rows, int rows) /* of `rows`, those that there are now */
{
    const int live = count ? *count * batch_rows : rows;
    return live < rows ? live : rows;
}

static inline __device__ size_t batch_row(const struct batch *batch, int b) /* of the arrays, for row b of the batch */
{
    if (!batch->unit) return (size_t)b;
    return (size_t)batch->unit[b / batch->rows] * (size_t)batch->rows + (size_t)(b % batch->rows);
}

/* ---- heads ---- */

/* Logit k of a head; `allowed` [n] = NULL: all are. */
static inline __device__ float masked_logit(const float *z, int stride, const uint8_t *allowed, int k)
{
    return allowed && !allowed[k] ? MASKED_LOGIT : z[k * stride];
}

struct categorical { /* p_k = exp(z_k - top) · inverse */
    float top, inverse, log_total;
};

static inline __device__ struct categorical categorical_of(const float *z, int stride, const uint8_t *allowed, int n)
{
    struct categorical c;
    c.top = masked_logit(z, stride, allowed, 0);
    for (int k = 1; k < n; k++) c.top = real_max(c.top, masked_logit(z, stride, allowed, k));
    float total = 0;
    for (int k = 0; k < n; k++) total += real_exp(masked_logit(z, stride, allowed, k) - c.top);
    c.log_total = c.top + real_log(total);
    c.inverse = 1.0f / total;
    return c;
}

static inline __device__ float categorical_p(const struct categorical *c, float logit)
{
    return real_exp(logit - c->top) * c->inverse;
}

struct gaussian {
    float log_std, inverse_std;
};

/* out[o * stride]: the row's outputs, and log_std the parameters beside them. */
static inline __device__ struct gaussian gaussian_of(const struct distribution *dist, const float *log_std, const float *out, int stride,
                                                     int dimension)
{
    struct gaussian g;
    g.log_std = dist->log_std_output  ? bounded_log_std(out[(dist->log_std_output + dimension) * stride])
                : dist->fixed_std > 0 ? real_log(dist->fixed_std)
                                      : log_std[dimension];
    g.inverse_std = real_exp(-g.log_std);
    return g;
}

/* ---- random words ---- */

/* The words of one row, one head's after the other; a block of four is drawn when its first word is asked for. */
struct words {
    uint64_t step;
    uint32_t env, agent;
    int used;
    struct philox_draw block;
};

static inline __device__ uint32_t next_word(const struct act_pass *pass, struct words *w)
{
    const int i = w->used++ % 4;
    if (i == 0) w->block = action_words(pass->seed, pass->stream, w->env, w->agent, w->step, (uint32_t)(w->used / 4));
    /* Not v[i]: an index that is not a constant would put the block into memory. */
    return i == 0 ? w->block.v[0] : i == 1 ? w->block.v[1] : i == 2 ? w->block.v[2] : w->block.v[3];
}

/* ---- one row ---- */

/* The first choice whose cumulative probability exceeds u. The threshold is scaled by the sum as it was rounded, so it stays below it and a
 * choice of probability 0 is never taken. */
static inline __device__ int choose_sample(const struct categorical *c, const float *z, int stride, const uint8_t *allowed, int n, float u)
{
    float sum = 0;
    for (int k = 0; k < n; k++) sum += categorical_p(c, masked_logit(z, stride, allowed, k));
    const float level = u * sum;
    int choice = 0;
    sum = 0;
    for (int k = 0; k < n - 1; k++) {
        sum += categorical_p(c, masked_logit(z, stride, allowed, k));
        choice += sum <= level ? 1 : 0;
    }
    return choice;
}

/* The most probable choice, the lowest of several. */
static inline __device__ int choose_mode(const struct categorical *c, const float *z, int stride, const uint8_t *allowed, int n)
{
    int choice = 0;
    float best = categorical_p(c, masked_logit(z, stride, allowed, 0));
    for (int k = 1; k < n; k++) {
        const float p = categorical_p(c, masked_logit(z, stride, allowed, k));
        choice = p > best ? k : choice;
        best = real_max(p, best);
    }
    return choice;
}

static inline __device__ float act_categorical(const struct act_pass *pass, const struct distribution *dist, const struct head *head,
                                               size_t row, const float *z, int stride, const uint8_t *allowed, struct words *words)
{
    const struct categorical c = categorical_of(z, stride, allowed, head->size);
    const int choice = pass->deterministic ? choose_mode(&c, z, stride, allowed, head->size)
                                           : choose_sample(&c, z, stride, allowed, head->size, philox_float(next_word(pass, words)));
    pass->act_int[row * (size_t)dist->act_ints + (size_t)head->action] = (int32_t)choice + head->start;
    return categorical_log_prob(masked_logit(z, stride, allowed, choice), c.log_total);
}

static inline __device__ float act_bernoulli(const struct act_pass *pass, const struct distribution *dist, int action, size_t row, float z,
                                             struct words *words)
{
    const float one = real_sigmoid(z);
    const float bit = (pass->deterministic ? one > 0.5f : philox_float(next_word(pass, words)) < one) ? 1.0f : 0.0f;
    pass->act_int[row * (size_t)dist->act_ints + (size_t)action] = (int32_t)bit;
    return bernoulli_log_prob(z, bit);
}

static inline __device__ float act_gaussian(const struct act_pass *pass, const struct distribution *dist, int action, size_t row, float z,
                                            const float *out, int stride, struct words *words)
{
    if (dist->real == REAL_TANH) {
        pass->act_real[row * (size_t)dist->act_reals + (size_t)action] = real_tanh(z);
        return 0;
    }
    const struct gaussian g = gaussian_of(dist, pass->log_std, out, stride, action);
    float normal = 0;
    if (!pass->deterministic) {
        const uint32_t a = next_word(pass, words), b = next_word(pass, words);
        normal = normal_draw(a, b);
    }
    /* The action is a float everywhere, and its probability is that of the float. */
    const float value = z + normal / g.inverse_std;
    if (dist->real == REAL_TANH_GAUSSIAN) { /* whose probability nobody asks for */
        pass->act_real[row * (size_t)dist->act_reals + (size_t)action] = real_tanh(value);
        return 0;
    }
    pass->act_real[row * (size_t)dist->act_reals + (size_t)action] = value;
    return gaussian_log_prob(value, z, g.log_std, g.inverse_std);
}

static inline __device__ void act_simplex(const struct act_pass *pass, const struct distribution *dist, const struct head *head, size_t row,
                                          const float *z, int stride)
{
    const struct categorical c = categorical_of(z, stride, NULL, head->size);
    for (int k = 0; k < head->size; k++)
        pass->act_real[row * (size_t)dist->act_reals + (size_t)(head->action + k)] = categorical_p(&c, z[k * stride]);
}

/* The action of row `row` of the slice from its outputs out[o * stride]. `dist`: the kernel's copy of pass->dist, which is host memory. */
static inline __device__ void act_row(const struct act_pass *pass, const struct distribution *dist, size_t row, const float *out,
                                      int stride)
{
    struct words words;
    words.step = pass->step + (pass->clock ? *pass->clock : 0);
    words.env = pass->first_env + (uint32_t)row / (uint32_t)pass->agents;
    words.agent = pass->first_agent + (uint32_t)row % (uint32_t)pass->agents;
    words.used = 0;
    words.block.v[0] = words.block.v[1] = words.block.v[2] = words.block.v[3] = 0;
    const uint8_t *mask = pass->mask ? pass->mask + row * (size_t)dist->logits : NULL;
    float log_prob = 0;
    for (int h = 0; h < dist->heads; h++) {
        const struct head *head = &dist->head[h];
        if (pass->per_head) log_prob = 0;
        const float *z = out + head->output * stride;
        const uint8_t *allowed = mask && head->mask >= 0 ? mask + head->mask : NULL;
        if (head->kind == HEAD_CATEGORICAL) log_prob += act_categorical(pass, dist, head, row, z, stride, allowed, &words);
        const bool whole = head->kind == HEAD_CATEGORICAL || (head->kind == HEAD_GAUSSIAN && dist->real == REAL_SOFTMAX);
        if (whole && head->kind == HEAD_GAUSSIAN) act_simplex(pass, dist, head, row, z, stride);
        for (int k = 0; k < head->size && !whole; k++) {
            log_prob += head->kind == HEAD_BERNOULLI
                            ? act_bernoulli(pass, dist, head->action + k, row, masked_logit(z, stride, allowed, k), &words)
                            : act_gaussian(pass, dist, head->action + k, row, z[k * stride], out, stride, &words);
        }
        if (pass->per_head && pass->log_prob) pass->log_prob[row * (size_t)dist->heads + (size_t)h] = log_prob;
    }
    if (!pass->per_head && pass->log_prob) pass->log_prob[row] = log_prob;
}

#endif
