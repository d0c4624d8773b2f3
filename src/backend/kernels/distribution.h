/* Log-probability, entropy and their derivatives for the three kinds of heads, and how an action is drawn from uniform numbers.
 * A categorical head works over n logits; what is written here is the part that belongs to one choice, so that a caller may loop
 * over choices outside and rows inside. Source: marlbenchmark/on-policy, algorithms/utils/distributions.py. */
#ifndef MAPPO_KERNELS_DISTRIBUTION_H
#define MAPPO_KERNELS_DISTRIBUTION_H

#include "backend/kernels/math.h"

enum head_kind { HEAD_CATEGORICAL, HEAD_BERNOULLI, HEAD_GAUSSIAN };

/* What real numbers are made of outputs z of a HEAD_GAUSSIAN. The first is a distribution whose probabilities are asked for; the others are
 * functions that a critic's slope goes back through (kernels/embed.h). */
enum real_kind {
    REAL_GAUSSIAN,     /* z + std n, n standard normal */
    REAL_TANH,         /* tanh(z) */
    REAL_SOFTMAX,      /* softmax(z): a point of the simplex */
    REAL_TANH_GAUSSIAN /* tanh(z + std n) */
};

/* A forbidden choice has this logit: its probability is exactly 0 unless everything is forbidden. */
#define MASKED_LOGIT ((real)-1e10)

/* ---- categorical: p_k = exp(logit_k - log_total), log_total = log Σ exp(logit) ---------------------------- */

MAPPO_FN real categorical_log_prob(real logit, real log_total)
{
    return logit - log_total;
}

/* p_k log p_k, of which the entropy is minus the sum; 0 where p_k is 0. */
MAPPO_FN real categorical_entropy_term(real p, real log_p)
{
    return p * log_p;
}

/* q_k (log q_k - log p_k), of which the sum is KL(q || p); 0 where q_k is 0. Its derivative by logit k is p_k - q_k. */
MAPPO_FN real categorical_kl_term(real q, real log_q, real log_p)
{
    return q * (log_q - log_p);
}

/* d(g_lp · log p_chosen + g_h · H) / d logit_k. A forbidden choice gets none: its logit is a constant. */
MAPPO_FN real categorical_gradient(real logit, real p, real log_p, real is_chosen, real entropy, real g_lp, real g_h)
{
    const real g = g_lp * (is_chosen - p) - g_h * p * (log_p + entropy);
    return logit == MASKED_LOGIT ? (real)0 : g;
}

/* ---- Bernoulli: P(1) = 1 / (1 + exp(-logit)) --------------------------------------------------------------------------------------- */

MAPPO_FN real bernoulli_log_prob(real logit, real bit)
{
    return bit * logit - real_softplus(logit);
}

MAPPO_FN real bernoulli_entropy(real logit)
{
    /* A forbidden bit has P(1) = 0, and -1e10 · 0 is 0. */
    return real_softplus(logit) - logit * real_sigmoid(logit);
}

/* KL of the bit of logit `old` from that of `logit`; its derivative by `logit` is sigmoid(logit) - sigmoid(old). */
MAPPO_FN real bernoulli_kl(real old, real logit)
{
    return real_sigmoid(old) * (old - logit) - real_softplus(old) + real_softplus(logit);
}

MAPPO_FN real bernoulli_gradient(real logit, real bit, real g_lp, real g_h)
{
    const real p = real_sigmoid(logit), q = real_sigmoid(-logit);
    const real g = g_lp * (bit - p) - g_h * logit * p * q;
    return logit == MASKED_LOGIT ? (real)0 : g;
}

/* ---- Gaussian ------------------------------------------------------------------------------------------------------------------------ */

#define HALF_LOG_TWO_PI ((real)0.91893853320467274178)

MAPPO_FN real gaussian_log_prob(real action, real mean, real log_std, real inverse_std)
{
    const real z = (action - mean) * inverse_std;
    return (real)-0.5 * z * z - log_std - HALF_LOG_TWO_PI;
}

MAPPO_FN real gaussian_entropy(real log_std)
{
    return (real)0.5 + HALF_LOG_TWO_PI + log_std;
}

/* Derivatives of the log-probability; that of the entropy is 1 in log_std and 0 in the mean. */
MAPPO_FN real gaussian_gradient_mean(real action, real mean, real inverse_std)
{
    return (action - mean) * inverse_std * inverse_std;
}

MAPPO_FN real gaussian_gradient_log_std(real action, real mean, real inverse_std)
{
    const real z = (action - mean) * inverse_std;
    return z * z - (real)1;
}

/* Where the log deviation is an output of the network it is kept within these bounds, beyond which the output has no gradient: those of soft
 * actor-critic (Haarnoja et al. 2018; Stable-Baselines3, sac/policies.py). Written so that NaN stays NaN. */
#define LOG_STD_LEAST ((real)-20)
#define LOG_STD_MOST  ((real)2)

MAPPO_FN real bounded_log_std(real output)
{
    const real high = output > LOG_STD_MOST ? LOG_STD_MOST : output;
    return high < LOG_STD_LEAST ? LOG_STD_LEAST : high;
}

MAPPO_FN real bounded_log_std_slope(real output)
{
    return output < LOG_STD_LEAST || output > LOG_STD_MOST ? (real)0 : (real)1;
}

/* KL of the normal distribution (old_mean, old_log_std) from (mean, log_std), and its derivatives by the latter two. */
MAPPO_FN real gaussian_kl(real old_mean, real old_log_std, real mean, real log_std, real inverse_std)
{
    const real ratio = real_exp(old_log_std) * inverse_std, z = (old_mean - mean) * inverse_std;
    return log_std - old_log_std + (real)0.5 * (ratio * ratio + z * z) - (real)0.5;
}

MAPPO_FN real gaussian_kl_gradient_mean(real old_mean, real mean, real inverse_std)
{
    return (mean - old_mean) * inverse_std * inverse_std;
}

MAPPO_FN real gaussian_kl_gradient_log_std(real old_mean, real old_log_std, real mean, real inverse_std)
{
    const real ratio = real_exp(old_log_std) * inverse_std, z = (old_mean - mean) * inverse_std;
    return (real)1 - ratio * ratio - z * z;
}

#endif
