/* Golden updates of the reference's recurrent MAPPO through a backend's passes: forward over chunks, and the whole update. What stands
 * between the passes (returns, clipping, Adam) is written here once more, in double: the program's own loop is feed-forward. */
#ifndef TESTS_PARITY_RECURRENT_H
#define TESTS_PARITY_RECURRENT_H

#include "backend_memory.h"
#include "nn/distribution.h"
#include "parity/parity_algo.h"

struct recurrent_network {
    const char *name; /* "actor", "critic" */
    struct network net;
    real *parameters, *gradient; /* host */
    double *m, *v;
    struct packed_rows *packed;
    const float *x;     /* the backend's, like all below: [N][D] */
    const real *hidden; /* [N][H] */
    real *parameters_there, *gradient_there, *sum_there;
    double rate, norm; /* of Adam; of the last gradient */
};

struct recurrent_case {
    struct parity_case c;
    struct distribution dist;
    struct recurrent_network network[2];
    int length, sequences; /* L; S: all chunks */
    int32_t *unit, *unit_there;
    const uint8_t *mask, *active; /* the backend's */
    real *advantage, *ret;        /* [N] host */
    struct normalizer norm;
};

static inline void *recurrent_batch(struct recurrent_case *r, const char *name, size_t width, size_t rows, char type)
{
    const size_t size = type == 'f' ? sizeof(float) : type == 'r' ? sizeof(real) : type == 'i' ? sizeof(int32_t) : 1;
    void *host = calloc(rows * width, size);
    parity_load(&r->c, name, host, rows * width, type);
    void *there = lend(r->c.backend, host, rows * width * size);
    free(host);
    return there;
}

static inline void recurrent_open_network(struct recurrent_case *r, int i, const char *name, const char *inputs, const char *states,
                                          int outputs)
{
    struct parity_case *c = &r->c;
    struct recurrent_network *n = &r->network[i];
    char activation[16];
    golden_text(c->file, "/config", "activation", activation, sizeof activation);
    const struct network_config config = {.inputs = (int)golden_config(c->file, i == 0 ? "obs_dim" : "state_dim"),
                                          .hidden = (int)golden_config(c->file, "hidden"),
                                          .layers = (int)golden_config(c->file, "layer_N") + 1,
                                          .heads = 1,
                                          .head_rows = {outputs},
                                          .activation = strcmp(activation, "relu") == 0 ? ACTIVATION_RELU : ACTIVATION_TANH,
                                          .feature_norm = golden_config(c->file, "feature_norm") != 0,
                                          .layer_norm = true,
                                          .gru = true,
                                          .gru_steps = r->length};
    network_build(&n->net, &config);
    const size_t p = n->net.parameters, rows = parity_rows(c);
    n->name = name;
    n->rate = golden_config(c->file, i == 0 ? "lr" : "critic_lr");
    n->parameters = calloc(p, sizeof(real)), n->gradient = calloc(p, sizeof(real));
    n->m = calloc(p, sizeof *n->m), n->v = calloc(p, sizeof *n->v);
    parity_load_network(c, name, &n->net, n->parameters);
    n->packed = c->backend->packed_rows_create(c->backend, &n->net, (int)rows);
    n->x = recurrent_batch(r, inputs, (size_t)config.inputs, rows, 'f');
    n->hidden = recurrent_batch(r, states, (size_t)config.hidden, rows, 'r');
    n->parameters_there = lend(c->backend, n->parameters, p * sizeof(real));
    n->gradient_there = lend(c->backend, n->gradient, p * sizeof(real));
    n->sum_there = lend(c->backend, (real[PASS_SUMS]){0}, PASS_SUMS * sizeof(real));
}

/* Units of the chunks order[0 … count - 1], numbered over [E][A][T / L]; NULL = all in order. */
static inline struct batch recurrent_chunks(struct recurrent_case *r, const double *order, int count)
{
    const struct parity_case *c = &r->c;
    const int per = c->steps / r->length;
    for (int t = 0; t < r->length; t++)
        for (int s = 0; s < count; s++) {
            const int chunk = order ? (int)order[s] : s, agent = chunk / per % c->agents, e = chunk / per / c->agents;
            r->unit[t * count + s] = ((chunk % per * r->length + t) * c->envs + e) * c->agents + agent;
        }
    c->backend->upload(c->backend, r->unit_there, r->unit, (size_t)(r->length * count) * sizeof *r->unit);
    return (struct batch){r->unit_there, r->length * count, 1, NULL};
}

/* Outputs and states of all chunks under the first parameters. */
static inline void recurrent_outputs(struct recurrent_case *r, int i)
{
    struct parity_case *c = &r->c;
    struct recurrent_network *n = &r->network[i];
    const size_t rows = parity_rows(c), outputs = (size_t)n->net.outputs;
    real *out = calloc(rows * outputs, sizeof *out);
    double *found = calloc(rows * outputs, sizeof *found);
    const struct batch batch = recurrent_chunks(r, NULL, r->sequences);
    const struct recurrent time = {.batch = batch, .steps = r->length, .hidden = n->hidden, .ended = r->mask, .ended_rows = 1};
    const struct forward_pass pass = {.net = &n->net,
                                      .parameters = n->parameters_there,
                                      .packed = n->packed,
                                      .recurrent = &time,
                                      .out = lend(c->backend, out, rows * outputs * sizeof *out)};
    c->backend->pack(c->backend, &n->net, NULL, &n->packed, n->x, &batch, 1);
    c->backend->forward(c->backend, &pass, 1);
    take(c->backend, out, pass.out, rows * outputs * sizeof *out);
    for (size_t b = 0; b < rows; b++)
        for (size_t o = 0; o < outputs; o++) found[(size_t)r->unit[b] * outputs + o] = (double)out[b * outputs + o];
    parity_against(c, "intermediates", i == 0 ? "logits" : "values", found, rows * outputs, BOUND_OUTPUT);
    free(out);
    free(found);
}

/* Returns and normalised advantages, by the definitions. */
static inline void recurrent_returns(struct recurrent_case *r)
{
    struct parity_case *c = &r->c;
    const size_t rows = parity_rows(c), slice = (size_t)(c->envs * c->agents);
    float *reward = calloc(rows, sizeof *reward);
    real *value = calloc(rows + slice, sizeof *value);
    uint8_t *mask = calloc(rows + slice, 1), *active = calloc(rows, 1);
    double *advantage = calloc(rows, sizeof *advantage), sum = 0, squares = 0, count = 0;
    const double gamma = golden_config(c->file, "gamma"), lambda = golden_config(c->file, "gae_lambda");
    parity_load(c, "rewards", reward, rows, 'f');
    parity_load(c, "value_preds", value, rows + slice, 'r');
    parity_load(c, "masks", mask, rows + slice, 'b');
    parity_load(c, "active_masks", active, rows, 'b');
    for (size_t i = rows; i-- > 0;) {
        const struct normalizer_scale s = r->norm.scale;
        const double v = s.mean + s.deviation * (double)value[i], next = s.mean + s.deviation * (double)value[i + slice];
        const double later = i + slice < rows ? advantage[i + slice] : 0;
        advantage[i] = (double)reward[i] + mask[i + slice] * gamma * (next + lambda * later) - v;
        r->ret[i] = (real)(advantage[i] + v);
        sum += active[i] * advantage[i];
        squares += active[i] * advantage[i] * advantage[i];
        count += active[i];
    }
    for (size_t i = 0; i < rows; i++)
        r->advantage[i] = (real)((advantage[i] - sum / count) / (sqrt(squares / count - sum / count * (sum / count)) + 1e-5));
    parity_against_real(c, "intermediates", "returns", r->ret, rows, BOUND_OUTPUT);
    parity_against_real(c, "intermediates", "advantages", r->advantage, rows, BOUND_OUTPUT);
    free(reward), free(value), free(mask), free(active), free(advantage);
}

/* Clips, takes an Adam step and sends the parameters back. */
static inline void recurrent_step(struct recurrent_case *r, struct recurrent_network *n, double divisor, int step)
{
    const hid_t file = r->c.file;
    const double b1 = golden_config(file, "adam_beta1"), b2 = golden_config(file, "adam_beta2"), eps = golden_config(file, "adam_eps");
    double squares = 0;
    for (size_t i = 0; i < n->net.parameters; i++) squares += pow((double)n->gradient[i] / divisor, 2);
    n->norm = sqrt(squares);
    const double factor = fmin(1, golden_config(file, "max_grad_norm") / (n->norm + 1e-6)) / divisor;
    for (size_t i = 0; i < n->net.parameters; i++) {
        const double g = factor * (double)n->gradient[i];
        n->m[i] = b1 * n->m[i] + (1 - b1) * g;
        n->v[i] = b2 * n->v[i] + (1 - b2) * g * g;
        const double change = n->rate * n->m[i] / (1 - pow(b1, step)) / (sqrt(n->v[i] / (1 - pow(b2, step))) + eps);
        n->parameters[i] = (real)((double)n->parameters[i] - change);
    }
    r->c.backend->upload(r->c.backend, n->parameters_there, n->parameters, n->net.parameters * sizeof(real));
}

static inline void recurrent_update(struct recurrent_case *r)
{
    struct parity_case *c = &r->c;
    struct backend *b = c->backend;
    const size_t rows = parity_rows(c), bytes = rows * sizeof(real);
    const int epochs = (int)golden_config(c->file, "ppo_epoch"), minibatches = (int)golden_config(c->file, "num_mini_batch");
    const int count = r->sequences / minibatches, steps = epochs * minibatches;
    struct golden_array order = golden_read(c->file, "/batch/permutations");
    struct normalizer *norm_there = lend(b, &r->norm, sizeof r->norm);
    double *losses[4];
    for (int i = 0; i < 4; i++) losses[i] = calloc((size_t)steps, sizeof **losses);
    struct recurrent time[2];
    struct train_pass pass[2];
    for (int i = 0; i < 2; i++) {
        const struct recurrent_network *n = &r->network[i];
        time[i] = (struct recurrent){.steps = r->length, .hidden = n->hidden, .ended = r->mask, .ended_rows = 1};
        pass[i] = (struct train_pass){.loss = i,
                                      .net = &n->net,
                                      .parameters = n->parameters_there,
                                      .packed = n->packed,
                                      .recurrent = &time[i],
                                      .gradient = n->gradient_there,
                                      .sum = n->sum_there};
    }
    const real *ret = lend(b, r->ret, bytes), *advantage = lend(b, r->advantage, bytes);
    const real clip = (real)golden_config(c->file, "clip");
    const struct policy_objective policy = {.clip = clip, .entropy = (real)golden_config(c->file, "entropy_coef")};
    const struct value_objective value = {.clip = clip,
                                          .huber_delta = (real)golden_config(c->file, "huber_delta"),
                                          .coefficient = (real)golden_config(c->file, "value_loss_coef")};
    pass[0].policy = (struct policy_loss){.dist = &r->dist,
                                          .objective = lend(b, &policy, sizeof policy),
                                          .act_int = recurrent_batch(r, "actions", 1, rows, 'i'),
                                          .active = r->active,
                                          .old_log_prob = recurrent_batch(r, "action_log_probs", 1, rows, 'r'),
                                          .advantage = advantage};
    pass[1].value = (struct value_loss){.targets = 1,
                                        .objective = lend(b, &value, sizeof value),
                                        .norm = norm_there,
                                        .active = r->active,
                                        .old_value = recurrent_batch(r, "value_preds", 1, rows, 'r'),
                                        .ret = ret};
    for (int k = 0; k < steps; k++) {
        const struct batch batch = recurrent_chunks(r, order.data ? order.data + k * count : NULL, count);
        struct moments moments = {(double)batch.units, 0, 0};
        for (int i = 0; i < batch.units; i++) {
            const double x = (double)r->ret[r->unit[i]];
            moments.sum += x;
            moments.sum_squares += x * x;
        }
        normalizer_update(&r->norm, NORMALIZER_VALUENORM, golden_config(c->file, "norm_beta"), &moments);
        b->upload(b, norm_there, &r->norm, sizeof r->norm);
        for (int i = 0; i < 2; i++) {
            pass[i].batch = time[i].batch = batch;
            b->pack(b, pass[i].net, NULL, &pass[i].packed, r->network[i].x, &batch, 1);
        }
        b->train(b, pass, 2);
        for (int i = 0; i < 2; i++) {
            struct recurrent_network *n = &r->network[i];
            real sum[PASS_SUMS];
            TAKE(b, sum, n->sum_there);
            take(b, n->gradient, n->gradient_there, n->net.parameters * sizeof(real));
            const double weight = (double)sum[SUM_WEIGHT];
            if (k == 0) parity_against_network(c, "grads", n->name, &n->net, n->gradient, weight, BOUND_GRADIENT);
            recurrent_step(r, n, weight, k + 1);
            if (k == 0) parity_against_network(c, "params_after_1", n->name, &n->net, n->parameters, 1, BOUND_PARAMETERS);
            losses[i][k] = (double)sum[SUM_LOSS] / weight;
            losses[2 + i][k] = n->norm;
        }
    }
    static const char *const names[] = {"policy_loss", "value_loss", "actor_grad_norm", "critic_grad_norm"};
    for (int i = 0; i < 4; i++) {
        parity_against(c, "losses", names[i], losses[i], (size_t)steps, BOUND_LOSS);
        free(losses[i]);
    }
    for (int i = 0; i < 2; i++) {
        const struct recurrent_network *n = &r->network[i];
        parity_against_network(c, "params_after_all", n->name, &n->net, n->parameters, 1, BOUND_PARAMETERS);
    }
    golden_free(&order);
}

static inline void parity_recurrent(hid_t file, const char *backend, struct parity_report *report)
{
    struct recurrent_case r = {.c = {.file = file, .variant = "", .report = report}};
    struct parity_case *c = &r.c;
    struct error err = {0};
    const struct backend_config config = {.name = backend, .threads = 1, .level = -1, .device = -1};
    if (backend_open(&c->backend, &config, &err)) die_error(&err);
    c->steps = (int)golden_config(file, "T"), c->envs = (int)golden_config(file, "E"), c->agents = (int)golden_config(file, "A");
    r.length = (int)golden_config(file, "data_chunk_length");
    const size_t rows = parity_rows(c);
    r.sequences = (int)rows / r.length;
    parity_spaces(c);
    int outputs, extra;
    if (distribution_build(&r.dist, &c->spec.group[0], 0, &outputs, &extra, &err)) die_error(&err);
    r.unit = calloc(rows, sizeof *r.unit);
    r.unit_there = lend(c->backend, r.unit, rows * sizeof *r.unit);
    uint8_t *mask = calloc(rows, 1);
    parity_load(c, "masks", mask, rows, 'b');
    for (size_t i = 0; i < rows; i++) mask[i] = !mask[i];
    r.mask = lend(c->backend, mask, rows);
    free(mask);
    r.active = recurrent_batch(&r, "active_masks", 1, rows, 'b');
    r.ret = calloc(rows, sizeof *r.ret), r.advantage = calloc(rows, sizeof *r.advantage);
    struct golden_array norm = golden_read(file, "/params_before/value_norm_before");
    if (norm.count == 3) r.norm = (struct normalizer){.mean = norm.data[0], .mean_squares = norm.data[1], .debias = norm.data[2]};
    normalizer_refresh(&r.norm, NORMALIZER_VALUENORM);
    golden_free(&norm);
    recurrent_open_network(&r, 0, "actor", "obs", "rnn_states", outputs);
    recurrent_open_network(&r, 1, "critic", "share_obs", "rnn_states_critic", 1);
    for (int i = 0; i < 2; i++) recurrent_outputs(&r, i);
    recurrent_returns(&r);
    recurrent_update(&r);
    for (int i = 0; i < 2; i++) {
        struct recurrent_network *n = &r.network[i];
        free(n->parameters), free(n->gradient), free(n->m), free(n->v);
        c->backend->packed_rows_destroy(c->backend, n->packed);
    }
    free(r.unit), free(r.ret), free(r.advantage);
    lend_end(c->backend);
    c->backend->close(c->backend);
}

/* By the file's path, as parity_algo. */
static inline enum parity_result parity_recurrent_file(const char *path, const char *backend, struct parity_report *report)
{
    *report = (struct parity_report){0};
    char which[64];
    const hid_t file = golden_open(path);
    const bool found = file >= 0 && golden_text(file, "/", "case", which, sizeof which) && strncmp(which, "gru_", 4) == 0;
    if (found) {
        parity_recurrent(file, backend, report);
        snprintf(report->left_out, sizeof report->left_out, "the trainer's own loop, which is feed-forward");
    }
    if (file >= 0) H5Fclose(file);
    return !found ? PARITY_UNKNOWN : report->differing ? PARITY_FAILED : PARITY_PASSED;
}

#endif
