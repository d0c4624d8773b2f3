/* PPO's objective written down a second time, row by row, without any of the program's losses, batches or shards: the tests' yardstick
 * where no reference implementation has numbers (several groups, separate parameters, one value for all agents, shards, uneven
 * minibatches). Only networks are the backend's, one row at a time. */
#ifndef TESTS_PARITY_NAIVE_PPO_H
#define TESTS_PARITY_NAIVE_PPO_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "algo/ppo.h"

struct naive_row { /* what one row contributes */
    double surrogate, entropy, kl, clipped, ratio;
};

struct naive {
    struct backend *backend;
    const struct ppo_config *config;
    const struct rollout *rollout;
    struct policy *const *policy;
    struct packed_rows *actor_packed[MAPPO_MAX_GROUPS], *critic_packed[MAPPO_MAX_GROUPS];
    bool popart;
    struct normalizer_scale stored[MAPPO_MAX_GROUPS][POLICY_MAX_SETS]; /* PopArt: that the rollout's values are on */
};

static inline void naive_open(struct naive *n)
{
    for (int g = 0; g < n->rollout->groups; g++) {
        n->actor_packed[g] = n->backend->packed_rows_create(n->backend, &n->policy[g]->net[ROLE_ACTOR], 1);
        n->critic_packed[g] = n->backend->packed_rows_create(n->backend, &n->policy[g]->net[ROLE_CRITIC], 1);
    }
}

static inline void naive_close(struct naive *n)
{
    for (int g = 0; g < n->rollout->groups; g++) {
        n->backend->packed_rows_destroy(n->backend, n->actor_packed[g]);
        n->backend->packed_rows_destroy(n->backend, n->critic_packed[g]);
    }
}

static inline void naive_forward(struct naive *n, const struct network *net, const real *parameters, struct packed_rows *packed,
                                 const float *x, real *out)
{
    const struct batch batch = {NULL, 1, 1, NULL};
    const struct forward_pass pass = {.net = net, .parameters = parameters, .packed = packed, .out = out};
    n->backend->pack(n->backend, net, NULL, &packed, x, &batch, 1);
    n->backend->forward(n->backend, &pass, 1);
}

/* Joint log-probability of the action and entropy of the distribution. */
static inline void naive_heads(const struct distribution *dist, const real *z, const real *log_std, const uint8_t *mask,
                               const int32_t *act_int, const float *act_real, double *log_prob, double *entropy)
{
    *log_prob = *entropy = 0;
    for (int h = 0; h < dist->heads; h++) {
        const struct head *head = &dist->head[h];
        const real *logit = z + head->output;
        if (head->kind == HEAD_CATEGORICAL) {
            double total = 0;
            for (int k = 0; k < head->size; k++)
                if (!mask || mask[head->mask + k]) total += exp((double)logit[k]);
            for (int k = 0; k < head->size; k++) {
                if (mask && !mask[head->mask + k]) continue;
                const double p = exp((double)logit[k]) / total;
                *entropy -= p * log(p);
                if (act_int[head->action] - head->start == k) *log_prob += log(p);
            }
        }
        for (int k = 0; head->kind == HEAD_BERNOULLI && k < head->size; k++) {
            if (mask && !mask[head->mask + k]) continue; /* a forbidden bit is 0 for sure */
            const double p = 1 / (1 + exp(-(double)logit[k]));
            *entropy -= p * log(p) + (1 - p) * log(1 - p);
            *log_prob += act_int[head->action + k] ? log(p) : log(1 - p);
        }
        for (int k = 0; head->kind == HEAD_GAUSSIAN && k < head->size; k++) {
            const double output = (double)z[dist->log_std_output + head->action + k], bounded = fmin(fmax(output, -20), 2);
            const double s = dist->log_std_output ? exp(bounded)
                             : log_std            ? exp((double)log_std[head->action + k])
                                                  : (double)dist->fixed_std,
                         pi = 3.141592653589793;
            const double d = ((double)act_real[head->action + k] - (double)logit[k]) / s;
            *log_prob += -0.5 * d * d - log(s) - 0.5 * log(2 * pi);
            *entropy += 0.5 + 0.5 * log(2 * pi) + log(s);
        }
    }
}

/* Row (u, a) of group g; u = t * E + e. */
static inline struct naive_row naive_policy_row(struct naive *n, int g, int u, int a)
{
    const struct mappo_group_io *io = &n->rollout->transitions->all.group[g];
    const struct returns_group *returns = &n->rollout->returns->group[g];
    const struct policy *policy = n->policy[g];
    const struct group_sizes *sizes = &policy->sizes;
    const size_t row = (size_t)u * (size_t)sizes->agents + (size_t)a;
    const int set = policy_set(policy, ROLE_ACTOR, a);
    real z[64];
    double log_prob, entropy;
    naive_forward(n, &policy->net[ROLE_ACTOR], policy_actor(policy, policy->parameters, set), n->actor_packed[g],
                  io->obs + row * (size_t)sizes->obs, z);
    naive_heads(&policy->dist, z, policy_log_std(policy, set), io->act_mask ? io->act_mask + row * (size_t)sizes->logits : NULL,
                io->act_int ? io->act_int + row * (size_t)sizes->act_ints : NULL,
                io->act_real ? io->act_real + row * (size_t)sizes->act_reals : NULL, &log_prob, &entropy);
    const double difference = log_prob - (double)n->rollout->log_prob[g][row], r = exp(difference), clip = (double)n->config->policy.clip;
    const double advantage = (double)returns->advantage[row], limited = r < 1 - clip ? 1 - clip : r > 1 + clip ? 1 + clip : r;
    return (struct naive_row){-fmin(r * advantage, limited * advantage), entropy, r - 1 - difference, fabs(r - 1) > clip, r};
}

static inline double naive_huber(double e, double delta)
{
    return delta <= 0 || fabs(e) <= delta ? 0.5 * e * e : delta * (fabs(e) - 0.5 * delta);
}

static inline double naive_value_row(struct naive *n, int g, int u, int a, double mean, double deviation)
{
    const struct returns_group *returns = &n->rollout->returns->group[g];
    const struct policy *policy = n->policy[g];
    const size_t agents = (size_t)policy->sizes.agents, row = (size_t)u * agents + (size_t)a;
    const size_t input = policy->state_rows > 1 ? row : (size_t)u, output = policy->value_agents > 1 ? row : (size_t)u;
    real out[1];
    naive_forward(n, &policy->net[ROLE_CRITIC], policy_critic(policy, policy->parameters, policy_set(policy, ROLE_CRITIC, a)),
                  n->critic_packed[g], n->rollout->inputs.group[g].current + input * (size_t)policy->state_size, out);
    const double v = (double)out[0], target = ((double)returns->ret[row] - mean) / deviation;
    const struct normalizer_scale *stored = &n->stored[g][policy_set(policy, ROLE_CRITIC, a)];
    double old = (double)returns->value[output];
    if (n->popart) old = (stored->mean + stored->deviation * old - mean) / deviation; /* the same V on today's scale */
    const double clip = (double)n->config->value.clip, delta = (double)n->config->value.huber_delta;
    const double plain = naive_huber(target - v, delta);
    if (clip <= 0) return plain;
    const double limited = old + fmax(-clip, fmin(clip, v - old));
    return fmax(plain, naive_huber(target - limited, delta));
}

/* A minibatch of one learner, as a list of rows. */
struct naive_batch {
    int group, rows;
    int *unit, *agent;
};

struct naive_loss {
    double policy, entropy, kl, clipped, ratio, value;
    double policy_weight, value_weight;
};

static inline struct naive_loss naive_loss(struct naive *n, const struct naive_batch *b, double mean, double deviation, bool policy,
                                           bool value)
{
    struct naive_loss loss = {0};
    const struct mappo_group_io *io = &n->rollout->transitions->all.group[b->group];
    for (int i = 0; i < b->rows; i++) {
        const size_t row = (size_t)b->unit[i] * (size_t)n->policy[b->group]->sizes.agents + (size_t)b->agent[i];
        const double active = io->active ? io->active[row] : 1;
        const double mp = n->config->policy_active_masks ? active : 1, mv = n->config->value_active_masks ? active : 1;
        loss.policy_weight += mp;
        loss.value_weight += mv;
        if (policy) {
            const struct naive_row r = naive_policy_row(n, b->group, b->unit[i], b->agent[i]);
            loss.policy += mp * r.surrogate;
            loss.entropy += mp * r.entropy;
            loss.kl += r.kl;
            loss.clipped += r.clipped;
            loss.ratio += r.ratio;
        }
        if (value) loss.value += mv * naive_value_row(n, b->group, b->unit[i], b->agent[i], mean, deviation);
    }
    loss.policy /= loss.policy_weight;
    loss.entropy /= loss.policy_weight;
    loss.value /= loss.value_weight;
    loss.kl /= b->rows;
    loss.clipped /= b->rows;
    loss.ratio /= b->rows;
    return loss;
}

/* Generalised advantage estimation and its normalisation over the rows of one set of the actor, by the definitions. */
static inline void naive_advantages(const struct naive *n, int g, int set, double *advantage, double *ret)
{
    const struct rollout *rollout = n->rollout;
    const struct mappo_group_io *io = &rollout->transitions->all.group[g];
    const struct returns_group *returns = &rollout->returns->group[g];
    const struct policy *policy = n->policy[g];
    const int steps = rollout->transitions->config.steps, envs = rollout->transitions->config.envs, agents = policy->sizes.agents,
              values = policy->value_agents;
    const bool apart = policy_apart(policy, ROLE_ACTOR);
    double sum = 0, squares = 0, count = 0;
    for (int e = 0; e < envs; e++)
        for (int a = 0; a < agents; a++) {
            if (apart && a != set) continue;
            const struct normalizer_scale scale = policy->norm[policy_set(policy, ROLE_CRITIC, a)].scale;
            double later = 0;
            for (int t = steps - 1; t >= 0; t--) {
                const size_t u = (size_t)t * (size_t)envs + (size_t)e, row = u * (size_t)agents + (size_t)a;
                const size_t v = u * (size_t)values + (values > 1 ? (size_t)a : 0);
                const double value = scale.mean + scale.deviation * (double)returns->value[v];
                const double next = scale.mean + scale.deviation * (double)returns->value[v + (size_t)envs * (size_t)values];
                const double final = scale.mean + scale.deviation * (double)returns->final_value[v];
                const bool ended = io->terminated[row] || rollout->transitions->all.ep_end[u] != MAPPO_RUNNING;
                double follow = ended ? 0 : next;
                if (!io->terminated[row] && rollout->transitions->all.ep_end[u] == MAPPO_TRUNCATED && rollout->returns->config.bootstrap)
                    follow = final;
                const double gamma = (double)rollout->returns->config.gamma, lambda = (double)rollout->returns->config.lambda;
                later = (double)io->reward[row] + gamma * follow - value + (ended ? 0 : gamma * lambda * later);
                advantage[row] = later;
                ret[row] = later + value;
                if (io->active && !io->active[row]) continue;
                sum += later;
                squares += later * later;
                count++;
            }
        }
    const double mean = sum / count, deviation = sqrt(squares / count - mean * mean);
    for (int u = 0; u < steps * envs; u++)
        for (int a = 0; a < agents; a++)
            if (!apart || a == set) advantage[u * agents + a] = (advantage[u * agents + a] - mean) / (deviation + 1e-5);
}

#endif
