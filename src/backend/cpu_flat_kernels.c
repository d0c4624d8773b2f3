/* Arithmetic on flat vectors and whole rollouts: GAE, moments, Adam. Compiled once per instruction level. */
#define MAPPO_FN static inline __attribute__((always_inline, unused))
#include "backend/cpu.h"

#include <math.h>

#include "backend/kernels/adam.h"
#include "backend/kernels/gae.h"
#include "backend/kernels/running.h"

struct gae_inputs {
    real reward, value, next, final;
    int terminated, end;
};

MAPPO_FN struct gae_inputs gae_inputs_at(const struct gae_pass *p, int t, int e, size_t a, bool scaled, real reward_scale)
{
    const size_t agents = (size_t)p->agents, envs = (size_t)p->envs, values = (size_t)p->value_agents;
    const size_t env = (size_t)t * envs + (size_t)e, i = env * agents + a, v = env * values + (values > 1 ? a : 0);
    const struct normalizer_scale *scale = &p->norm[p->norms > 1 ? a : 0].scale;
    const real mean = (real)scale->mean, deviation = (real)scale->deviation;
    const bool truncated = p->ep_end[env] == MAPPO_TRUNCATED && p->final_value;
    return (struct gae_inputs){.reward = scaled ? running_scaled((real)p->reward[i], 0, reward_scale) : (real)p->reward[i],
                               .value = mean + deviation * p->value[v],
                               .next = mean + deviation * p->value[v + envs * values],
                               .final = truncated ? mean + deviation * p->final_value[v] : (real)0,
                               .terminated = p->terminated ? p->terminated[i] : 0,
                               .end = p->ep_end[env]};
}

/* Other estimates than GAE's: traces that no array holds. */
static void estimate_range(const struct gae_pass *p, const struct gae_step *step, bool scaled, real reward_scale)
{
    const size_t agents = (size_t)p->agents;
    for (int e = p->lo; e < p->hi; e++)
        for (size_t a = 0; a < agents; a++) {
            struct gae_trace later = {0, 0};
            for (int t = p->steps - 1; t >= 0; t--) {
                const size_t i = ((size_t)t * (size_t)p->envs + (size_t)e) * agents + a;
                const struct gae_inputs in = gae_inputs_at(p, t, e, a, scaled, reward_scale);
                const struct gae_estimate found =
                    gae_estimate_of(step, in.reward, in.terminated, in.end, in.value, in.next, in.final, &later);
                p->advantage[i] = found.advantage;
                p->ret[i] = found.target;
            }
        }
}

void LEVELLED(gae_range)(const struct gae_pass *p)
{
    const struct gae_step step = {p->gamma, p->lambda, p->bootstrap, p->advantage_by, p->target_by};
    const size_t agents = (size_t)p->agents, envs = (size_t)p->envs;
    const bool scaled = p->reward_scale != NULL;
    const real reward_scale = scaled ? *p->reward_scale : (real)1;
    if (step.advantage != ESTIMATE_GAE || step.target != ESTIMATE_GAE) {
        estimate_range(p, &step, scaled, reward_scale);
        return;
    }
    for (int t = p->steps - 1; t >= 0; t--) {
        for (int e = p->lo; e < p->hi; e++) {
            for (size_t a = 0; a < agents; a++) {
                const size_t i = ((size_t)t * envs + (size_t)e) * agents + a;
                const struct gae_inputs in = gae_inputs_at(p, t, e, a, scaled, reward_scale);
                const real later = t + 1 < p->steps ? p->advantage[i + envs * agents] : (real)0;
                const real advantage = gae_advantage(&step, in.reward, in.terminated, in.end, in.value, in.next, in.final, later);
                p->advantage[i] = advantage;
                p->ret[i] = advantage + in.value;
            }
        }
    }
}

void LEVELLED(moments_of)(const struct moments_pass *p)
{
    double found[3] = {0};
    const size_t wide = (size_t)p->batch.rows;
    for (int u = 0; u < p->batch.units; u++) {
        const size_t first = (size_t)(p->batch.unit ? p->batch.unit[u] : u) * wide;
        for (size_t i = first; i < first + wide; i++) {
            const double value = p->mask && !p->mask[i] ? 0.0 : (double)p->x[i];
            found[0] += p->mask && !p->mask[i] ? 0.0 : 1.0;
            found[1] += value;
            found[2] += value * value;
        }
    }
    for (int i = 0; i < p->numbers; i++) p->out[i] = found[i];
}

void LEVELLED(standardise_all)(const struct standardise_pass *p)
{
    const struct moments moments = {p->moments[0], p->moments[1], p->moments[2]};
    const real mean = (real)moments_mean(&moments), divisor = (real)moments_divisor(&moments, (double)p->epsilon);
    real *x = p->x + p->first;
    if (p->stride == 1) {
        for (size_t i = 0; i < p->n; i++) x[i] = (x[i] - mean) / divisor;
    } else {
        for (size_t i = 0; i < p->n; i++) x[i * p->stride] = (x[i * p->stride] - mean) / divisor;
    }
}

void LEVELLED(running_measure)(const struct running_pass *p)
{
    const size_t width = (size_t)p->running.width, wide = (size_t)p->batch.rows;
    const double *mean = p->running.moments + 1;
    double *sum = p->sums + 1, *squares = sum + width, rows = 0;
    for (size_t j = 0; j < 2 * width; j++) sum[j] = 0;
    for (int u = 0; u < p->batch.units; u++) {
        const size_t first = (size_t)(p->batch.unit ? p->batch.unit[u] : u) * wide;
        for (size_t i = first; i < first + wide; i++) {
            if (p->mask && !p->mask[i]) continue;
            const float *x = p->x + i * width;
            rows++;
            for (size_t j = 0; j < width; j++) {
                const double off = (double)x[j] - mean[j];
                sum[j] += off;
                squares[j] += off * off;
            }
        }
    }
    p->sums[0] = rows;
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

void LEVELLED(adam_all)(const struct adam_step *step, real *restrict parameters, const real *restrict gradient, real *restrict m,
                        real *restrict v, size_t n)
{
    const struct adam_step s = *step;
    for (size_t i = 0; i < n; i++) adam_update(&s, gradient[i], &parameters[i], &m[i], &v[i]);
}

void LEVELLED(soft_update_all)(real *restrict target, const real *restrict from, real tau, size_t n)
{
    for (size_t i = 0; i < n; i++) target[i] = soft_update_of(target[i], from[i], tau);
}
