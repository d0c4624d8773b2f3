/* One training problem, everything random: a network, its batch, a loss and what a naive implementation says of it. Included by
 * backend_cases.h. */
#ifndef TESTS_BACKEND_PROBLEM_H
#define TESTS_BACKEND_PROBLEM_H

#include "backend/kernels/gae.h"
#include "backend_memory.h"
#include "naive_backend.h"

struct problem {
    const char *name;
    int inputs, hidden, layers, activation;
    bool feature_norm, layer_norm;
    int loss, units, rows, targets, total; /* total: units that exist; the batch picks `units` of them, shuffled */
    bool masked, inactive, rescaled;       /* rescaled: old values are on another scale */
    bool visited;                          /* in some rows somebody else has acted, of whom the policy knows nothing */
    bool per_head, penalty, scaled, only;  /* members of the losses */
    double clip, huber;
    const int *widths;               /* of the hidden layers; NULL = hidden */
    const struct convolutions *conv; /* before them; NULL = none */
    int steps;                       /* > 0: a recurrent network, and the steps of the batch … */
    const int *width;                /* … and of its sequences; NULL = all of them have all */
    /* filled by `problem_build` */
    struct network net;
    struct distribution dist;
    double *p;
    real *parameters, *old, *advantage, *ret, *gradient, *old_out, *old_log_std;
    struct policy_objective policy;
    struct value_objective value;
    float *x, *act_real;
    int32_t *act_int, *unit;
    uint8_t *mask, *active, *home;
    real sum[PASS_SUMS];
    struct recurrent time;
    real *state;
    uint8_t *ended;
    struct train_pass pass;
};

static void add_head(struct distribution *d, int kind, int size, int start)
{
    struct head *h = &d->head[d->heads];
    h->kind = kind;
    h->size = size;
    h->start = start;
    h->output = d->heads ? d->head[d->heads - 1].output + d->head[d->heads - 1].size : 0;
    h->mask = kind == HEAD_GAUSSIAN ? -1 : d->logits;
    h->action = kind == HEAD_GAUSSIAN ? d->act_reals : d->act_ints;
    d->heads++;
    if (kind == HEAD_GAUSSIAN) d->act_reals += size;
    if (kind == HEAD_CATEGORICAL) d->act_ints++;
    if (kind == HEAD_BERNOULLI) d->act_ints += size;
    if (kind != HEAD_GAUSSIAN) d->logits += size;
}

static int dist_outputs(const struct distribution *d)
{
    return d->heads ? distribution_outputs(d) : 1;
}

/* After all heads: the Gaussians' log deviations are outputs behind theirs. */
static void add_deviations(struct distribution *d)
{
    d->log_std_output = dist_outputs(d);
}

static void random_actions(struct problem *q, struct naive_rng *rng, size_t n)
{
    const struct distribution *d = &q->dist;
    for (size_t i = 0; i < n; i++) {
        for (int h = 0; h < d->heads; h++) {
            const struct head *head = &d->head[h];
            for (int k = 0; k < head->size && head->mask >= 0; k++)
                q->mask[i * (size_t)d->logits + (size_t)(head->mask + k)] = !q->masked || naive_uniform(rng) > -0.2;
            for (int k = 0; k < head->size; k++) {
                if (head->kind == HEAD_GAUSSIAN)
                    q->act_real[i * (size_t)d->act_reals + (size_t)(head->action + k)] = (float)(2 * naive_uniform(rng));
                if (head->kind == HEAD_BERNOULLI)
                    q->act_int[i * (size_t)d->act_ints + (size_t)(head->action + k)] =
                        q->mask[i * (size_t)d->logits + (size_t)(head->mask + k)] && naive_uniform(rng) > 0;
            }
            if (head->kind == HEAD_CATEGORICAL) {
                const int k = (int)((naive_uniform(rng) + 1) / 2 * head->size);
                uint8_t *mask = q->mask + i * (size_t)d->logits + head->mask;
                if (q->masked && i % 5 == 0) memset(mask, 0, (size_t)head->size); /* all off but the one taken */
                mask[k] = 1;
                q->act_int[i * (size_t)d->act_ints + (size_t)head->action] = k + head->start;
            }
        }
    }
}

static const struct normalizer problem_norm = {.scale = {-0.75, 2}};
static const struct rescale problem_rescale = {1.25, -0.5};
static const struct advantage_scale problem_scale = {(real)0.25, (real)1.5};

static size_t problem_ratios(const struct problem *q) /* of a row */
{
    return (size_t)(q->loss == LOSS_POLICY ? log_prob_width(&q->dist, q->per_head) : 1);
}

static struct batch problem_batch(const struct problem *q)
{
    const bool all = q->total == q->units && q->units % 7 == 0;
    return (struct batch){all ? NULL : q->unit, q->units, q->rows, NULL};
}

/* States and episodes of a recurrent problem. */
static void problem_time(struct problem *q, struct naive_rng *rng, size_t n)
{
    if (q->steps == 0) return;
    const size_t hidden = (size_t)q->hidden;
    q->state = calloc(n * hidden + 1, sizeof *q->state);
    q->ended = calloc(n + 1, 1);
    for (size_t i = 0; i < n * hidden; i++) q->state[i] = (real)(float)naive_uniform(rng);
    for (size_t i = 0; i < n; i++) q->ended[i] = naive_uniform(rng) < -0.5;
    q->time = (struct recurrent){
        .batch = problem_batch(q), .steps = q->steps, .width = q->width, .hidden = q->state, .ended = q->ended, .ended_rows = q->rows};
}

/* The naive outputs [N][O] of all rows; of a recurrent problem only those of the batch. */
static void problem_outputs(const struct problem *q, size_t n, double *out)
{
    const size_t outputs = (size_t)q->net.outputs;
    if (q->steps == 0) {
        for (size_t i = 0; i < n; i++) naive_forward(&q->net, q->p, q->x + i * (size_t)q->inputs, out + i * outputs);
        return;
    }
    double *of_batch = calloc(n * outputs + 1, sizeof *of_batch);
    const struct batch batch = problem_batch(q);
    naive_sequences(&q->net, &q->time, &batch, q->p, q->x, of_batch, NULL);
    for (int b = 0; b < q->units * q->rows; b++)
        memcpy(out + naive_batch_row(&batch, b) * outputs, of_batch + (size_t)b * outputs, outputs * sizeof *out);
    free(of_batch);
}

/* No deviations so small that finite differences are far from slopes; in some rows the first one is beyond its bound. */
static void problem_deviations(struct problem *q)
{
    double *bias = q->p + q->net.at.head_bias, *weight = q->p + q->net.at.head_weight;
    for (int o = q->dist.log_std_output; o < q->net.outputs; o++) {
        bias[o] *= 0.3;
        for (int j = 0; j < q->net.hidden; j++) weight[o * q->net.hidden + j] *= 0.3;
    }
    bias[q->dist.log_std_output] += 1.8;
}

static void problem_build(struct problem *q)
{
    struct naive_rng rng = {(uint64_t)(q->units * 131 + q->hidden)};
    const struct distribution *d = &q->dist;
    const size_t n = (size_t)q->total * (size_t)q->rows, targets = (size_t)(q->targets ? q->targets : 1);
    naive_network_of(&q->net, q->inputs, q->hidden, q->widths, dist_outputs(d), q->layers, q->activation, q->feature_norm, q->layer_norm,
                     d->fixed_std > 0 || d->log_std_output ? 0 : d->act_reals);
    if (q->steps > 0) naive_add_gru(&q->net, q->steps);
    if (q->conv) naive_add_convolutions(&q->net, q->conv);
    q->p = calloc(q->net.parameters, sizeof *q->p);
    naive_parameters(&q->net, &rng, q->p);
    if (d->log_std_output) problem_deviations(q);
    q->parameters = calloc(q->net.parameters, sizeof(real));
    q->gradient = calloc(q->net.parameters, sizeof(real));
    for (size_t i = 0; i < q->net.parameters; i++) q->parameters[i] = (real)q->p[i];
    q->x = calloc(n * (size_t)q->inputs + 1, sizeof(float));
    for (size_t i = 0; i < n * (size_t)q->inputs; i++) q->x[i] = (float)(naive_uniform(&rng) * 2);
    q->act_int = calloc(n * (size_t)(d->act_ints + 1), sizeof(int32_t));
    q->act_real = calloc(n * (size_t)(d->act_reals + 1), sizeof(float));
    q->mask = calloc(n * (size_t)(d->logits + 1), 1);
    q->active = calloc(n * targets + 1, 1);
    q->home = calloc(n + 1, 1);
    q->old = calloc(n * problem_ratios(q) + 1, sizeof(real)), q->advantage = calloc(n + 1, sizeof(real)),
    q->ret = calloc(n * targets + 1, sizeof(real));
    random_actions(q, &rng, n);
    q->unit = calloc((size_t)q->total + 1, sizeof *q->unit);
    for (int i = 0; i < q->total; i++) q->unit[i] = (i * 7 + 3) % q->total;
    problem_time(q, &rng, n);
    double *outs = calloc(n * (size_t)q->net.outputs + 1, sizeof *outs);
    problem_outputs(q, n, outs);
    for (size_t i = 0; i < n; i++) {
        const double *out = outs + i * (size_t)q->net.outputs;
        const struct naive_eval e = naive_evaluate(d, out, q->p + q->net.at.extra, q->masked ? q->mask + i * (size_t)d->logits : NULL,
                                                   q->act_int + i * (size_t)d->act_ints, q->act_real + i * (size_t)d->act_reals);
        for (size_t h = 0; h < problem_ratios(q); h++) {
            /* Near the ratio's clip range on both sides, and near the value's, but not on the edges, where finite differences mean nothing. */
            double shift = naive_uniform(&rng) * 0.5;
            if (fabs(fabs(shift) - 0.2) < 0.03) shift *= 1.5;
            if (fabs(shift - log(1.2)) < 0.03 || fabs(shift - log(0.8)) < 0.03) shift *= 0.5;
            const double old = (q->loss == LOSS_VALUE ? out[0] : q->per_head ? e.head_log_prob[h] : e.log_prob) - shift;
            q->old[i * problem_ratios(q) + h] = (real)(float)(q->rescaled ? (old - problem_rescale.shift) / problem_rescale.factor : old);
        }
        q->advantage[i] = (real)(float)(naive_uniform(&rng) * 2);
        for (size_t j = 0; j < targets; j++) {
            q->ret[i * targets + j] = (real)(float)(naive_uniform(&rng) * 4 - 1);
            q->active[i * targets + j] = !q->inactive || naive_uniform(&rng) > -0.4;
        }
        q->home[i] = !q->visited || i % 3 != 1;
        if (q->home[i]) continue;
        q->active[i] = 0;
        for (size_t h = 0; h < problem_ratios(q); h++) q->old[i * problem_ratios(q) + h] = -2000; /* whose ratio is infinite */
    }
    if (q->penalty) {
        q->old_out = calloc(n * (size_t)q->net.outputs + 1, sizeof(real));
        q->old_log_std = calloc((size_t)d->act_reals + 1, sizeof(real));
        for (size_t i = 0; i < n * (size_t)q->net.outputs; i++) q->old_out[i] = (real)(float)(outs[i] + naive_uniform(&rng) / 2);
        for (int k = 0; k < d->act_reals && d->fixed_std <= 0 && !d->log_std_output; k++)
            q->old_log_std[k] = (real)(float)(q->p[q->net.at.extra + k] + naive_uniform(&rng) / 2);
    }
    free(outs);
    q->policy = (struct policy_objective){(real)q->clip, (real)0.25, (real)0.75};
    q->value = (struct value_objective){(real)q->clip, (real)q->huber, (real)0.5, q->only};
    q->pass = (struct train_pass){.loss = q->loss,
                                  .net = &q->net,
                                  .parameters = q->parameters,
                                  .batch = problem_batch(q),
                                  .recurrent = q->steps > 0 ? &q->time : NULL,
                                  .gradient = q->gradient,
                                  .sum = q->sum};
    if (q->loss == LOSS_POLICY) {
        q->pass.policy = (struct policy_loss){.dist = &q->dist,
                                              .objective = &q->policy,
                                              .per_head = q->per_head,
                                              .scale = q->scaled ? &problem_scale : NULL,
                                              .old_out = q->old_out,
                                              .old_log_std = q->old_log_std,
                                              .act_int = q->act_int,
                                              .act_real = q->act_real,
                                              .old_log_prob = q->old,
                                              .advantage = q->advantage,
                                              .mask = q->masked ? q->mask : NULL,
                                              .active = q->inactive ? q->active : NULL,
                                              .home = q->visited ? q->home : NULL};
    } else {
        q->pass.value = (struct value_loss){.targets = q->targets,
                                            .objective = &q->value,
                                            .norm = &problem_norm,
                                            .old_value = q->old,
                                            .old = q->rescaled ? &problem_rescale : NULL,
                                            .ret = q->ret,
                                            .active = q->inactive ? q->active : NULL};
    }
}

static void problem_clear(struct problem *q)
{
    free(q->p), free(q->parameters), free(q->gradient), free(q->x), free(q->act_int), free(q->act_real), free(q->mask), free(q->active);
    free(q->home);
    free(q->old), free(q->advantage), free(q->ret), free(q->unit), free(q->state), free(q->ended), free(q->old_out), free(q->old_log_std);
}

/* The pass with its arrays in the backend's memory; `time` is filled where the problem is recurrent. */
static struct train_pass problem_lend_with(struct problem *q, struct backend *b, struct recurrent *time)
{
    const struct distribution *d = &q->dist;
    const size_t n = (size_t)q->total * (size_t)q->rows, targets = n * (size_t)(q->targets ? q->targets : 1);
    struct train_pass pass = q->pass;
    pass.parameters = lend(b, q->parameters, q->net.parameters * sizeof(real));
    pass.gradient = lend(b, q->gradient, q->net.parameters * sizeof(real));
    pass.sum = LEND(b, q->sum);
    pass.batch.unit = lend(b, pass.batch.unit, (size_t)q->total * sizeof *q->unit);
    if (q->loss == LOSS_POLICY) {
        pass.policy.act_int = lend(b, q->act_int, n * (size_t)d->act_ints * sizeof *q->act_int);
        pass.policy.act_real = lend(b, q->act_real, n * (size_t)d->act_reals * sizeof *q->act_real);
        pass.policy.mask = lend(b, pass.policy.mask, n * (size_t)d->logits);
        pass.policy.active = lend(b, pass.policy.active, n);
        pass.policy.home = lend(b, pass.policy.home, n);
        pass.policy.objective = lend(b, &q->policy, sizeof q->policy);
        pass.policy.scale = lend(b, pass.policy.scale, sizeof problem_scale);
        pass.policy.old_out = lend(b, q->old_out, n * (size_t)q->net.outputs * sizeof(real));
        pass.policy.old_log_std = lend(b, q->old_log_std, (size_t)d->act_reals * sizeof(real));
        pass.policy.old_log_prob = lend(b, q->old, n * problem_ratios(q) * sizeof(real));
        pass.policy.advantage = lend(b, q->advantage, n * sizeof(real));
    } else {
        pass.value.objective = lend(b, &q->value, sizeof q->value);
        pass.value.norm = lend(b, &problem_norm, sizeof problem_norm);
        pass.value.active = lend(b, pass.value.active, targets);
        pass.value.old_value = lend(b, q->old, n * sizeof(real));
        pass.value.old = lend(b, pass.value.old, sizeof problem_rescale);
        pass.value.ret = lend(b, q->ret, targets * sizeof(real));
    }
    if (q->steps > 0) {
        *time = q->time;
        time->batch = pass.batch;
        time->hidden = lend(b, q->state, n * (size_t)q->net.hidden * sizeof(real));
        time->ended = lend(b, q->ended, n);
        pass.recurrent = time;
    }
    pass.packed = b->packed_rows_create(b, &q->net, q->units * q->rows);
    const float *x = lend(b, q->x, n * (size_t)q->inputs * sizeof *q->x);
    b->pack(b, &q->net, NULL, &pass.packed, x, &pass.batch, 1);
    return pass;
}

static struct train_pass problem_lend(struct problem *q, struct backend *b)
{
    return problem_lend_with(q, b, NULL);
}

static void problem_take(struct problem *q, struct backend *b, const struct train_pass *pass)
{
    take(b, q->gradient, pass->gradient, q->net.parameters * sizeof(real));
    TAKE(b, q->sum, pass->sum);
    b->packed_rows_destroy(b, pass->packed);
}

static void problem_train(struct problem *q, struct backend *b)
{
    struct recurrent time;
    const struct train_pass pass = problem_lend_with(q, b, &time);
    b->train(b, &pass, 1);
    problem_take(q, b, &pass);
    lend_end(b);
}

#endif
