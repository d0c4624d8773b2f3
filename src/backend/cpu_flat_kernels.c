/* Arithmetic on flat vectors and whole rollouts: GAE, moments, Adam. Compiled once per instruction level. */
#define MAPPO_FN static inline __attribute__((always_inline, unused))
#include "backend/cpu.h"

#include <math.h>

#include "backend/kernels/adam.h"
#include "backend/kernels/gae.h"

void LEVELLED(gae_range)(const struct gae_pass *p)
{
    const struct gae_step step = {p->gamma, p->lambda, p->bootstrap};
    const size_t agents = (size_t)p->agents, envs = (size_t)p->envs, values = (size_t)p->value_agents;
    for (int t = p->steps - 1; t >= 0; t--) {
        for (int e = p->lo; e < p->hi; e++) {
            const size_t env = (size_t)t * envs + (size_t)e;
            for (size_t a = 0; a < agents; a++) {
                const size_t i = env * agents + a, v = env * values + (values > 1 ? a : 0);
                const real value = p->value_mean + p->value_deviation * p->value[v];
                const real next = p->value_mean + p->value_deviation * p->value[v + envs * values];
                const bool truncated = p->ep_end[env] == GAE_TRUNCATED && p->final_value;
                const real final = truncated ? p->value_mean + p->value_deviation * p->final_value[v] : (real)0;
                const real later = t + 1 < p->steps ? p->advantage[i + envs * agents] : (real)0;
                const real advantage = gae_advantage(&step, (real)p->reward[i], p->terminated ? p->terminated[i] : 0, p->ep_end[env], value,
                                                     next, final, later);
                p->advantage[i] = advantage;
                p->ret[i] = advantage + value;
            }
        }
    }
}

void LEVELLED(moments_of)(const real *x, const uint8_t *mask, int rows, const struct batch *batch, struct moments *out)
{
    double count = 0, sum = 0, squares = 0;
    const size_t wide = (size_t)batch->rows * (size_t)rows; /* numbers of a unit lie side by side */
    for (int u = 0; u < batch->units; u++) {
        const size_t first = (size_t)(batch->unit ? batch->unit[u] : u) * wide;
        for (size_t i = first; i < first + wide; i++) {
            const double value = mask && !mask[i] ? 0.0 : (double)x[i];
            count += mask && !mask[i] ? 0.0 : 1.0;
            sum += value;
            squares += value * value;
        }
    }
    out->count = count;
    out->sum = sum;
    out->sum_squares = squares;
}

void LEVELLED(standardise_all)(real *x, size_t n, real mean, real divisor)
{
    for (size_t i = 0; i < n; i++) x[i] = (x[i] - mean) / divisor;
}

/* Eight partial sums, so that the compiler may use vectors without changing the order. */
double LEVELLED(sum_squares_of)(const real *x, size_t n)
{
    double part[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t j = 0; j < 8; j++) part[j] += (double)x[i + j] * (double)x[i + j];
    }
    double sum = 0;
    for (; i < n; i++) sum += (double)x[i] * (double)x[i];
    for (int j = 0; j < 8; j++) sum += part[j];
    return sum;
}

void LEVELLED(add_to)(real *restrict to, const real *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] += from[i];
}

void LEVELLED(adam_all)(const struct adam *adam, real *restrict parameters, const real *restrict gradient, real *restrict m,
                        real *restrict v, size_t n)
{
    const struct adam_step step = {.learning_rate = adam->learning_rate,
                                   .beta1 = adam->beta1,
                                   .beta2 = adam->beta2,
                                   .eps = adam->eps,
                                   .decay = adam->learning_rate * adam->weight_decay,
                                   .inverse1 = (real)(1 / (1 - pow((double)adam->beta1, (double)adam->step))),
                                   .inverse2 = (real)(1 / (1 - pow((double)adam->beta2, (double)adam->step))),
                                   .scale = adam->scale};
    for (size_t i = 0; i < n; i++) adam_update(&step, gradient[i], &parameters[i], &m[i], &v[i]);
}

void LEVELLED(soft_update_all)(real *restrict target, const real *restrict from, real tau, size_t n)
{
    for (size_t i = 0; i < n; i++) target[i] = soft_update_of(target[i], from[i], tau);
}
