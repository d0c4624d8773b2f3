/* What the backend computes, written once more as plainly as possible, in double, row by row: for the tests of the backend in float and in
 * double. */
#ifndef TESTS_NAIVE_BACKEND_H
#define TESTS_NAIVE_BACKEND_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/kernels/layer.h"

/* ---- networks ---- */

static inline void naive_norm(double *x, int n, const double *p, ptrdiff_t weight, ptrdiff_t bias)
{
    double mean = 0, variance = 0;
    for (int i = 0; i < n; i++) mean += x[i] / n;
    for (int i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean) / n;
    for (int i = 0; i < n; i++) x[i] = (x[i] - mean) / sqrt(variance + 1e-5) * p[weight + i] + p[bias + i];
}

static inline void naive_linear(const double *x, int k, int n, const double *p, ptrdiff_t weight, ptrdiff_t bias, double *y)
{
    for (int j = 0; j < n; j++) {
        y[j] = p[bias + j];
        for (int i = 0; i < k; i++) y[j] += p[weight + (ptrdiff_t)j * k + i] * x[i];
    }
}

/* h becomes the state after a step with input x. */
static inline void naive_gru(const struct network *net, const double *p, const double *x, double *h)
{
    const int n = net->hidden;
    double *a = calloc(3 * (size_t)n, sizeof *a), *b = calloc(3 * (size_t)n, sizeof *b);
    naive_linear(x, n, 3 * n, p, net->at.gru_weight_ih, net->at.gru_bias_ih, a);
    naive_linear(h, n, 3 * n, p, net->at.gru_weight_hh, net->at.gru_bias_hh, b);
    for (int j = 0; j < n; j++) {
        const double r = 1 / (1 + exp(-a[j] - b[j])), z = 1 / (1 + exp(-a[n + j] - b[n + j]));
        h[j] = (1 - z) * tanh(a[2 * n + j] + r * b[2 * n + j]) + z * h[j];
    }
    free(a);
    free(b);
}

/* x [inputs] of a row becomes what fc1 sees, by PyTorch's layouts: channels outermost. Returns how much that is; `a` has room for it. */
static inline int naive_convolutions(const struct network *net, const double *p, const double *x, double *a)
{
    const struct convolutions *conv = &net->conv;
    int height = conv->height, width = conv->width, channels = conv->images * conv->channels, beside;
    double *in = calloc((size_t)(channels * height * width), sizeof *in), *out = NULL;
    for (int c = 0; c < channels; c++)
        for (int q = 0; q < height * width; q++)
            in[c * height * width + q] = x[conv->first + c / conv->channels * conv->stride + q * conv->channels + c % conv->channels];
    for (int i = 0; i < conv->layers; i++) {
        const int k = conv->kernel[i], pad = conv->same ? (k - 1) / 2 : 0, shrink = conv->same ? 0 : k - 1;
        const int to_height = height - shrink, to_width = width - shrink;
        out = calloc((size_t)(conv->outputs[i] * to_height * to_width), sizeof *out);
        for (int o = 0; o < conv->outputs[i]; o++)
            for (int y = 0; y < to_height; y++)
                for (int z = 0; z < to_width; z++) {
                    double sum = p[net->at.conv_bias[i] + o];
                    for (int c = 0; c < channels; c++)
                        for (int u = 0; u < k; u++)
                            for (int v = 0; v < k; v++) {
                                const int row = y + u - pad, column = z + v - pad;
                                if (row < 0 || column < 0 || row >= height || column >= width) continue;
                                sum += p[net->at.conv_weight[i] + ((o * channels + c) * k + u) * k + v] *
                                       in[(c * height + row) * width + column];
                            }
                    out[(o * to_height + y) * to_width + z] = net->activation == ACTIVATION_RELU ? (sum > 0 ? sum : 0) : tanh(sum);
                }
        free(in);
        in = out, height = to_height, width = to_width, channels = conv->outputs[i];
    }
    beside = channels * height * width;
    memcpy(a, in, (size_t)beside * sizeof *a);
    for (int j = 0; j < net->inputs; j++) {
        const int at = j - conv->first, image = conv->height * conv->width * conv->channels;
        if (at < 0 || at / conv->stride >= conv->images || at % conv->stride >= image) a[beside++] = x[j];
    }
    free(in);
    return beside;
}

/* One row; a recurrent network's state h [H] goes in and out. */
static inline void naive_step(const struct network *net, const double *p, const float *x, double *h, double *out)
{
    const int seen = net->inputs > layer_inputs(net, 0) ? net->inputs : layer_inputs(net, 0);
    const int wide = (seen > layer_widest(net) ? seen : layer_widest(net)) + 1;
    double *a = calloc((size_t)wide, sizeof *a), *b = calloc((size_t)wide, sizeof *b);
    int k = net->inputs;
    for (int i = 0; i < k; i++) a[i] = (double)x[i];
    if (net->feature_norm) naive_norm(a, k, p, net->at.feature_weight, net->at.feature_bias);
    if (net->conv.layers > 0) {
        memcpy(b, a, (size_t)k * sizeof *b);
        k = naive_convolutions(net, p, b, a);
    }
    for (int l = 0; l < net->layers; l++) {
        naive_linear(a, k, layer_width(net, l), p, net->at.weight[l], net->at.bias[l], b);
        k = layer_width(net, l);
        for (int i = 0; i < k; i++) a[i] = net->activation == ACTIVATION_RELU ? (b[i] > 0 ? b[i] : 0) : tanh(b[i]);
        if (net->layer_norm) naive_norm(a, k, p, net->at.norm_weight[l], net->at.norm_bias[l]);
    }
    if (net->gru) {
        naive_gru(net, p, a, h);
        for (int i = 0; i < k; i++) a[i] = h[i];
        naive_norm(a, k, p, net->at.gru_norm_weight, net->at.gru_norm_bias);
    }
    naive_linear(a, k, net->outputs, p, net->at.head_weight, net->at.head_bias, out);
    free(a);
    free(b);
}

static inline void naive_forward(const struct network *net, const double *p, const float *x, double *out)
{
    naive_step(net, p, x, NULL, out);
}

static inline size_t naive_batch_row(const struct batch *batch, int b)
{
    const int u = b / batch->rows;
    return (size_t)(batch->unit ? batch->unit[u] : u) * (size_t)batch->rows + (size_t)(b % batch->rows);
}

/* out [B][O] and, where not NULL, states [B][H] after each row, of all rows of a batch of a recurrent network. */
static inline void naive_sequences(const struct network *net, const struct recurrent *time, const struct batch *batch, const double *p,
                                   const float *x, double *out, double *states)
{
    const int rows = batch->units * batch->rows, hidden = net->hidden;
    double *h = calloc((size_t)rows * (size_t)hidden + 1, sizeof *h);
    for (int t = 0, b = 0; t < time->steps; t++) {
        const int width = time->width ? time->width[t] : rows / time->steps;
        for (int s = 0; s < width; s++, b++) {
            const size_t row = naive_batch_row(&time->batch, b);
            for (int j = 0; j < hidden && t == 0; j++)
                h[s * hidden + j] = time->hidden ? (double)time->hidden[row * (size_t)hidden + (size_t)j] : 0;
            for (int j = 0; j < hidden && time->ended && time->ended[row / (size_t)time->ended_rows]; j++) h[s * hidden + j] = 0;
            naive_step(net, p, x + naive_batch_row(batch, b) * (size_t)net->inputs, h + s * hidden, out + b * net->outputs);
            if (states) memcpy(states + b * hidden, h + s * hidden, (size_t)hidden * sizeof *h);
        }
    }
    free(h);
}

/* ---- distributions ---- */

static inline double naive_log_sum(const double *z, int n)
{
    double top = z[0], sum = 0;
    for (int i = 1; i < n; i++) top = z[i] > top ? z[i] : top;
    for (int i = 0; i < n; i++) sum += exp(z[i] - top);
    return top + log(sum);
}

struct naive_eval {
    double log_prob, entropy;                                               /* of all heads */
    double head_log_prob[POLICY_MAX_HEADS], head_entropy[POLICY_MAX_HEADS]; /* of each */
};

/* The log deviation of a number: a constant's, a parameter, or an output within its bounds. */
static inline double naive_log_std(const struct distribution *d, double output, const double *log_std, int dimension)
{
    if (d->log_std_output) return output < -20 ? -20 : output > 2 ? 2 : output;
    return d->fixed_std > 0 ? log((double)d->fixed_std) : log_std[dimension];
}

static inline struct naive_eval naive_evaluate(const struct distribution *d, const double *out, const double *log_std, const uint8_t *mask,
                                               const int32_t *ai, const float *ar)
{
    struct naive_eval e = {0};
    for (int h = 0; h < d->heads; h++) {
        const struct head *head = &d->head[h];
        const double log_prob = e.log_prob, entropy = e.entropy;
        double *z = malloc(sizeof(double) * (size_t)head->size);
        for (int k = 0; k < head->size; k++)
            z[k] = mask && head->kind != HEAD_GAUSSIAN && !mask[head->mask + k] ? -1e10 : out[head->output + k];
        if (head->kind == HEAD_CATEGORICAL) {
            const double total = naive_log_sum(z, head->size);
            e.log_prob += z[ai[head->action] - head->start] - total;
            for (int k = 0; k < head->size; k++) e.entropy -= exp(z[k] - total) * (z[k] - total);
        }
        for (int k = 0; k < head->size && head->kind == HEAD_BERNOULLI; k++) {
            const double two[2] = {0, z[k]}, total = naive_log_sum(two, 2);
            e.log_prob += two[ai[head->action + k]] - total;
            for (int i = 0; i < 2; i++) e.entropy -= exp(two[i] - total) * (two[i] - total);
        }
        for (int k = 0; k < head->size && head->kind == HEAD_GAUSSIAN; k++) {
            const double s = naive_log_std(d, out[d->log_std_output + head->action + k], log_std, head->action + k),
                         pi = 3.14159265358979323846;
            const double t = ((double)ar[head->action + k] - z[k]) / exp(s);
            e.log_prob += -0.5 * t * t - s - 0.5 * log(2 * pi);
            e.entropy += 0.5 + 0.5 * log(2 * pi) + s;
        }
        e.head_log_prob[h] = e.log_prob - log_prob;
        e.head_entropy[h] = e.entropy - entropy;
        free(z);
    }
    return e;
}

/* KL of the distribution of outputs `old` from that of `out`, by its definition. */
static inline double naive_kl(const struct distribution *d, const double *out, const double *log_std, const real *old,
                              const real *old_log_std, const uint8_t *mask)
{
    double kl = 0;
    for (int h = 0; h < d->heads; h++) {
        const struct head *head = &d->head[h];
        double z[64] = {0}, q[64] = {0};
        for (int k = 0; k < head->size; k++) {
            const bool forbidden = mask && head->kind != HEAD_GAUSSIAN && !mask[head->mask + k];
            z[k] = forbidden ? -1e10 : out[head->output + k];
            q[k] = forbidden ? -1e10 : (double)old[head->output + k];
        }
        const double total = naive_log_sum(z, head->size), old_total = naive_log_sum(q, head->size);
        for (int k = 0; k < head->size; k++) {
            if (head->kind == HEAD_CATEGORICAL) kl += exp(q[k] - old_total) * (q[k] - old_total - (z[k] - total));
            if (head->kind == HEAD_BERNOULLI && z[k] > -1e9) {
                const double p1 = 1 / (1 + exp(-z[k])), q1 = 1 / (1 + exp(-q[k]));
                kl += q1 * log(q1 / p1) + (1 - q1) * log((1 - q1) / (1 - p1));
            }
            if (head->kind == HEAD_GAUSSIAN) {
                const int i = head->action + k;
                const double then = d->log_std_output || d->fixed_std > 0 ? 0 : (double)old_log_std[i];
                const double s = exp(naive_log_std(d, out[d->log_std_output + i], log_std, i));
                const double r = exp(naive_log_std(d, (double)old[d->log_std_output + i], &then, 0));
                kl += log(s / r) + (r * r + (q[k] - z[k]) * (q[k] - z[k])) / (2 * s * s) - 0.5;
            }
        }
    }
    return kl;
}

/* ---- losses: the sums of a pass, and with them the scalar that the gradient belongs to ---- */

static inline double naive_huber(double e, double delta)
{
    return delta > 0 && fabs(e) > delta ? delta * (fabs(e) - delta / 2) : e * e / 2;
}

static inline double naive_clip(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static inline double naive_loss(const struct train_pass *pass, const double *p, const float *x, double sum[PASS_SUMS])
{
    const struct network *net = pass->net;
    const int rows = pass->batch.units * pass->batch.rows;
    double *all = malloc(sizeof(double) * ((size_t)rows * (size_t)net->outputs + 1)), *out = all, total = 0;
    memset(sum, 0, PASS_SUMS * sizeof *sum);
    if (pass->recurrent) naive_sequences(net, pass->recurrent, &pass->batch, p, x, all, NULL);
    for (int b = 0; b < rows; b++, out += net->outputs) {
        const size_t row = naive_batch_row(&pass->batch, b);
        if (!pass->recurrent) naive_forward(net, p, x + row * (size_t)net->inputs, out);
        if (pass->loss == LOSS_POLICY && pass->policy.home && !pass->policy.home[row]) continue;
        sum[SUM_ROWS] += 1;
        if (pass->loss == LOSS_POLICY) {
            const struct policy_loss *l = &pass->policy;
            const struct distribution *d = l->dist;
            const struct naive_eval e = naive_evaluate(d, out, p + net->at.extra, l->mask ? l->mask + row * (size_t)d->logits : NULL,
                                                       l->act_int + row * (size_t)d->act_ints, l->act_real + row * (size_t)d->act_reals);
            const double m = l->active ? l->active[row] : 1, c = (double)l->objective->clip;
            const double a =
                l->scale ? ((double)l->advantage[row] - (double)l->scale->mean) / (double)l->scale->spread : (double)l->advantage[row];
            const int ratios = l->per_head ? d->heads : 1;
            sum[SUM_WEIGHT] += m;
            for (int h = 0; h < ratios; h++) {
                const double entropy = l->per_head ? e.head_entropy[h] / ratios : e.entropy;
                const double lr =
                    (l->per_head ? e.head_log_prob[h] : e.log_prob) - (double)l->old_log_prob[row * (size_t)ratios + (size_t)h];
                const double r = exp(lr), s = -fmin(r * a, naive_clip(r, 1 - c, 1 + c) * a);
                sum[SUM_LOSS] += m * s;
                sum[SUM_ENTROPY] += m * entropy;
                sum[SUM_KL] += (r - 1 - lr) / ratios;
                sum[SUM_CLIPPED] += (double)(fabs(r - 1) > c) / ratios;
                sum[SUM_RATIO] += r / ratios;
                total += m * (s - (double)l->objective->entropy * entropy);
            }
            if (l->old_out) {
                const double kl = naive_kl(d, out, p + net->at.extra, l->old_out + row * (size_t)net->outputs, l->old_log_std,
                                           l->mask ? l->mask + row * (size_t)d->logits : NULL);
                sum[SUM_PENALTY] += m * kl;
                total += m * (double)l->objective->kl * kl;
            }
        } else {
            const struct value_loss *l = &pass->value;
            const double old = l->old ? l->old->factor * (double)l->old_value[row] + l->old->shift : (double)l->old_value[row];
            for (int j = 0; j < l->targets; j++) {
                const size_t i = row * (size_t)l->targets + (size_t)j;
                const double m = l->active ? l->active[i] : 1,
                             target = ((double)l->ret[i] - l->norm->scale.mean) / l->norm->scale.deviation;
                const double clipped = old + naive_clip(out[0] - old, -(double)l->objective->clip, (double)l->objective->clip),
                             delta = (double)l->objective->huber_delta;
                const double plain = naive_huber(target - out[0], delta), bounded = naive_huber(target - clipped, delta),
                             loss = l->objective->clip <= 0 ? plain
                                    : l->objective->only    ? bounded
                                                            : fmax(plain, bounded);
                sum[SUM_WEIGHT] += m;
                sum[SUM_LOSS] += m * loss;
                total += (double)l->objective->coefficient * m * loss;
            }
        }
    }
    free(all);
    return total;
}

/* ---- a network and data to try it on ---- */

struct naive_rng {
    uint64_t state;
};

static inline double naive_uniform(struct naive_rng *r) /* [-1, 1) */
{
    r->state = r->state * 6364136223846793005ull + 1442695040888963407ull;
    return (double)(r->state >> 11) * (2.0 / 9007199254740992.0) - 1;
}

static inline ptrdiff_t naive_place(size_t *at, int n)
{
    const ptrdiff_t here = (ptrdiff_t)*at;
    *at += (size_t)n;
    return here;
}

/* `width` of each hidden layer; NULL = hidden. */
static inline void naive_network_of(struct network *net, int inputs, int hidden, const int *width, int outputs, int layers, int activation,
                                    bool feature_norm, bool layer_norm, int extra)
{
    memset(net, 0, sizeof *net);
    net->inputs = inputs, net->hidden = hidden, net->outputs = outputs, net->layers = layers, net->activation = activation;
    net->feature_norm = feature_norm, net->layer_norm = layer_norm, net->extra = extra;
    for (int l = 0; l < layers && width; l++) net->width[l] = width[l], net->hidden = width[l];
    size_t at = 0;
    net->at.feature_weight = feature_norm ? naive_place(&at, inputs) : -1;
    net->at.feature_bias = feature_norm ? naive_place(&at, inputs) : -1;
    for (int l = 0; l < layers; l++) {
        const int n = width ? width[l] : hidden, k = l == 0 ? inputs : width ? width[l - 1] : hidden;
        net->at.weight[l] = naive_place(&at, n * k);
        net->at.bias[l] = naive_place(&at, n);
        net->at.norm_weight[l] = layer_norm ? naive_place(&at, n) : -1;
        net->at.norm_bias[l] = layer_norm ? naive_place(&at, n) : -1;
    }
    net->at.head_weight = naive_place(&at, outputs * net->hidden);
    net->at.head_bias = naive_place(&at, outputs);
    net->at.extra = naive_place(&at, extra);
    net->parameters = at;
}

static inline void naive_network(struct network *net, int inputs, int hidden, int outputs, int layers, int activation, bool feature_norm,
                                 bool layer_norm, int extra)
{
    naive_network_of(net, inputs, hidden, NULL, outputs, layers, activation, feature_norm, layer_norm, extra);
}

/* Makes the network recurrent; its GRU lies behind everything else. */
static inline void naive_add_gru(struct network *net, int steps)
{
    const int n = net->hidden;
    net->gru = true, net->gru_steps = steps;
    net->at.gru_weight_ih = naive_place(&net->parameters, 3 * n * n);
    net->at.gru_weight_hh = naive_place(&net->parameters, 3 * n * n);
    net->at.gru_bias_ih = naive_place(&net->parameters, 3 * n);
    net->at.gru_bias_hh = naive_place(&net->parameters, 3 * n);
    net->at.gru_norm_weight = naive_place(&net->parameters, n);
    net->at.gru_norm_bias = naive_place(&net->parameters, n);
}

/* Puts convolutions before fc1, which gets other weights; both lie behind everything else. */
static inline void naive_add_convolutions(struct network *net, const struct convolutions *conv)
{
    net->conv = *conv;
    for (int i = 0; i < conv->layers; i++) {
        const int in = i ? conv->outputs[i - 1] : conv->images * conv->channels;
        net->at.conv_weight[i] = naive_place(&net->parameters, conv->outputs[i] * in * conv->kernel[i] * conv->kernel[i]);
        net->at.conv_bias[i] = naive_place(&net->parameters, conv->outputs[i]);
    }
    net->at.weight[0] = naive_place(&net->parameters, layer_width(net, 0) * layer_inputs(net, 0));
}

/* Parameters exactly representable in float, so that both builds start from the same ones. */
static inline void naive_parameters(const struct network *net, struct naive_rng *rng, double *p)
{
    for (size_t i = 0; i < net->parameters; i++) p[i] = (double)(float)(naive_uniform(rng) * 0.3);
    const double gain = 1.5 / sqrt((double)net->hidden), first = 1.5 / sqrt((double)layer_inputs(net, 0));
    for (int l = 0; l < net->layers; l++) {
        const int k = l ? net->hidden : layer_inputs(net, 0);
        for (int i = 0; i < net->hidden * k; i++) p[net->at.weight[l] + i] = (double)(float)(naive_uniform(rng) * (l ? gain : first));
        for (int i = 0; i < net->hidden && net->layer_norm; i++) p[net->at.norm_weight[l] + i] += 1;
    }
    for (int i = 0; i < net->outputs * net->hidden; i++) p[net->at.head_weight + i] = (double)(float)(naive_uniform(rng) * gain);
    for (int i = 0; i < net->inputs && net->feature_norm; i++) p[net->at.feature_weight + i] += 1;
    for (int i = 0; i < 3 * net->hidden * net->hidden && net->gru; i++) {
        p[net->at.gru_weight_ih + i] = naive_uniform(rng) * gain;
        p[net->at.gru_weight_hh + i] = naive_uniform(rng) * gain;
    }
    for (int i = 0; i < net->hidden && net->gru; i++) p[net->at.gru_norm_weight + i] += 1;
    for (size_t i = 0; i < net->parameters; i++) p[i] = (double)(float)p[i];
}

#endif
