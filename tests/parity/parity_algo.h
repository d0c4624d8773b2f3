/* Golden updates of the reference implementations: loads parameters, settings and batch of an algo_*.h5 file, runs this program's own
 * forward passes, returns and whole update on them, and compares every tensor. Compiled with real = float or double. */
#ifndef TESTS_PARITY_ALGO_H
#define TESTS_PARITY_ALGO_H

#include "algo/ppo.h"
#include "algo/rollout.h"
#include "algo/schedule.h"
#include "base/text.h"
#include "parity/golden.h"
#include "parity/parity_check.h"

/* Bounds against the float64 results. The float ones are several times what float32 runs with other summation orders differ from float64;
 * the double one is ten times what an independent double implementation reached. */
#if REAL_IS_DOUBLE
#define PARITY_BOUND(absolute, relative) ((struct parity_bound){0, 1e-9})
#else
#define PARITY_BOUND(absolute, relative) ((struct parity_bound){absolute, relative})
#endif
#define BOUND_OUTPUT     PARITY_BOUND(0, 3e-6) /* returns, values, log-probabilities, logits */
#define BOUND_RATIO      PARITY_BOUND(0, 1e-5) /* exponentials of differences of log-probabilities */
#define BOUND_STATISTICS PARITY_BOUND(0, 1e-5) /* deviations are roots of differences of near numbers */
#define BOUND_LOSS       PARITY_BOUND(1e-6, 3e-5)
#define BOUND_KL         PARITY_BOUND(3e-7, 0)
#define BOUND_GRADIENT   PARITY_BOUND(0, 5e-5)
#define BOUND_MOMENTS    PARITY_BOUND(0, 2e-4)
#define BOUND_PARAMETERS PARITY_BOUND(3e-6, 0)

/* ---- one file ------------------------------------------------------------------------------------------------------------------------ */

enum { PARITY_MAX_UPDATES = 64 };

struct parity_case {
    hid_t file;
    const char *variant;        /* "" or "variant_joint_": prefix of the groups to compare with */
    const char *critic_variant; /* of the critic's groups: another one where the file has a variant for the critic alone */
    struct parity_report *report;
    int steps, envs, agents;
    struct mappo_env_spec spec;
    int32_t choices[POLICY_MAX_HEADS];
    struct policy policy;
    struct policy *policies[1];
    struct backend *backend;
    struct comm *comm;
    struct rollout *rollout;
    struct golden_array permutations;
    int32_t *permutation; /* [epochs][rows] */
    int updates;          /* seen so far */
    struct ppo_minibatch seen[PARITY_MAX_UPDATES];
};

static inline size_t parity_rows(const struct parity_case *c)
{
    return (size_t)c->steps * (size_t)c->envs * (size_t)c->agents;
}

static inline void parity_path(const struct parity_case *c, char *path, size_t size, const char *group, const char *name)
{
    snprintf(path, size, "/f64/%s%s/%s", c->variant, group, name);
}

/* Compares with /f64/<variant><group>/<name>. A missing dataset differs. */
static inline void parity_against(struct parity_case *c, const char *group, const char *name, const double *found, size_t count,
                                  struct parity_bound bound)
{
    char path[256];
    parity_path(c, path, sizeof path, group, name);
    struct golden_array expected = golden_read(c->file, path);
    if (expected.count != count) {
        parity_say(c->report, "  %s: %zu numbers, expected %zu\n", path, count, expected.count);
        c->report->checked++;
        c->report->differing++;
    } else {
        parity_compare(c->report, path + 1, found, expected.data, count, bound);
    }
    golden_free(&expected);
}

static inline void parity_against_real(struct parity_case *c, const char *group, const char *name, const real *found, size_t count,
                                       struct parity_bound bound)
{
    double *copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; i < count; i++) copy[i] = (double)found[i];
    parity_against(c, group, name, copy, count, bound);
    free(copy);
}

/* ---- loading ------------------------------------------------------------------------------------------------------------------------- */

static inline void parity_spaces(struct parity_case *c)
{
    char kind[32];
    golden_text(c->file, "/config", "action_space", kind, sizeof kind);
    double dims[POLICY_MAX_HEADS];
    const int heads = golden_numbers(c->file, "/config", "action_dims", dims, POLICY_MAX_HEADS);
    struct mappo_group *group = &c->spec.group[0];
    for (int i = 0; i < heads; i++) c->choices[i] = (int32_t)dims[i];
    const bool several = strcmp(kind, "md") == 0;
    group->act_heads = 1;
    group->act[0].kind = several                    ? MAPPO_MULTI_DISCRETE
                         : strcmp(kind, "mb") == 0  ? MAPPO_MULTI_BINARY
                         : strcmp(kind, "box") == 0 ? MAPPO_BOX
                                                    : MAPPO_DISCRETE;
    group->act[0].size = several ? heads : group->act[0].kind == MAPPO_DISCRETE ? 1 : c->choices[0];
    group->act[0].n = c->choices;
    group->obs_heads = 1;
    group->obs[0].kind = MAPPO_BOX;
    group->obs[0].size = (int32_t)golden_config(c->file, "obs_dim");
    group->name = "agent";
    group->agents = c->agents;
    group->state_size = (int32_t)golden_config(c->file, "state_dim");
    group->flags = MAPPO_HAS_ACTIVE | MAPPO_STATE_PER_AGENT;
    struct golden_array mask = golden_read(c->file, "/batch/available_actions");
    if (mask.data) group->flags |= MAPPO_HAS_MASK;
    golden_free(&mask);
    c->spec.groups = 1;
}

static inline void parity_load(const struct parity_case *c, const char *name, void *to, size_t count, char type)
{
    char path[256];
    snprintf(path, sizeof path, "/batch/%s", name);
    struct golden_array array = golden_read(c->file, path);
    if (array.count < count) {
        fprintf(stderr, "golden data: %s has %zu numbers, %zu are needed\n", path, array.count, count);
        exit(1);
    }
    for (size_t i = 0; i < count; i++) {
        if (type == 'f') ((float *)to)[i] = (float)array.data[i];
        if (type == 'r') ((real *)to)[i] = (real)array.data[i];
        if (type == 'i') ((int32_t *)to)[i] = (int32_t)array.data[i];
        if (type == 'b') ((uint8_t *)to)[i] = array.data[i] != 0;
    }
    golden_free(&array);
}

static inline void parity_load_network(const struct parity_case *c, const char *network, const struct network *net, real *parameters)
{
    struct tensor tensor[NETWORK_MAX_TENSORS];
    const int count = network_tensors(net, tensor, NETWORK_MAX_TENSORS);
    for (int i = 0; i < count; i++) {
        char path[256];
        text_format(path, sizeof path, "/params_before/%s/%s", network, tensor[i].name);
        struct golden_array array = golden_read(c->file, path);
        const size_t size = (size_t)tensor[i].shape[0] * (size_t)tensor[i].shape[1];
        if (array.count != size) {
            fprintf(stderr, "golden data: %s has %zu numbers, the network %zu\n", path, array.count, size);
            exit(1);
        }
        for (size_t k = 0; k < size; k++) parameters[(size_t)tensor[i].offset + k] = (real)array.data[k];
        golden_free(&array);
    }
}

static inline void parity_load_parameters(struct parity_case *c)
{
    parity_load_network(c, "actor", &c->policy.net[ROLE_ACTOR], policy_actor(&c->policy, c->policy.parameters, 0));
    parity_load_network(c, "critic", &c->policy.net[ROLE_CRITIC], policy_critic(&c->policy, c->policy.parameters, 0));
    struct golden_array norm = golden_read(c->file, "/params_before/value_norm_before");
    if (norm.count == 3)
        c->policy.host.norm[0] = (struct normalizer){.mean = norm.data[0], .mean_squares = norm.data[1], .debias = norm.data[2]};
    policy_push(&c->policy);
    golden_free(&norm);
}

static inline void parity_load_batch(struct parity_case *c)
{
    struct mappo_group_io *io = &c->rollout->transitions->all.group[0];
    struct returns_group *returns = &c->rollout->returns->group[0];
    const size_t rows = parity_rows(c), slice = (size_t)c->envs * (size_t)c->agents;
    const struct group_sizes *sizes = &c->policy.sizes;
    parity_load(c, "obs", io->obs, (rows + slice) * (size_t)sizes->obs, 'f');
    parity_load(c, "share_obs", c->rollout->inputs.group[0].current, (rows + slice) * (size_t)c->policy.state_size, 'f');
    parity_load(c, "rewards", io->reward, rows, 'f');
    parity_load(c, "active_masks", io->active, rows + slice, 'b');
    parity_load(c, "value_preds", returns->value, rows + slice, 'r');
    parity_load(c, c->variant[0] ? "action_log_probs_joint" : "action_log_probs", c->rollout->log_prob[0], rows, 'r');
    if (io->act_mask) parity_load(c, "available_actions", io->act_mask, (rows + slice) * (size_t)sizes->logits, 'b');
    if (io->act_int) parity_load(c, "actions", (int32_t *)(uintptr_t)io->act_int, rows * (size_t)sizes->act_ints, 'i');
    if (io->act_real) parity_load(c, "actions", (float *)(uintptr_t)io->act_real, rows * (size_t)sizes->act_reals, 'f');
    /* masks[t + 1] = 0: the agent's episode ended with step t; these files know no time limits. */
    uint8_t *masks = calloc(rows + slice, 1);
    parity_load(c, "masks", masks, rows + slice, 'b');
    for (size_t i = 0; i < rows; i++) io->terminated[i] = !masks[i + slice];
    free(masks);
}

/* ---- hooks --------------------------------------------------------------------------------------------------------------------------- */

static inline void parity_against_network(struct parity_case *c, const char *group, const char *network, const struct network *net,
                                          const real *data, double divisor, struct parity_bound bound)
{
    struct tensor tensor[NETWORK_MAX_TENSORS];
    const int count = network_tensors(net, tensor, NETWORK_MAX_TENSORS);
    for (int i = 0; i < count; i++) {
        char name[96];
        text_format(name, sizeof name, "%s/%s", network, tensor[i].name);
        const size_t size = (size_t)tensor[i].shape[0] * (size_t)tensor[i].shape[1];
        double *found = calloc(size, sizeof *found);
        for (size_t k = 0; k < size; k++) found[k] = (double)data[(size_t)tensor[i].offset + k] / divisor;
        parity_against(c, group, name, found, size, bound);
        free(found);
    }
}

/* The case with the groups that the critic is compared with. */
static inline struct parity_case parity_of_critic(const struct parity_case *c)
{
    struct parity_case critic = *c;
    critic.variant = c->critic_variant;
    return critic;
}

static inline void parity_against_networks(struct parity_case *c, const char *group, const real *actor, const real *critic,
                                           double actor_divisor, double critic_divisor, struct parity_bound bound)
{
    struct parity_case of_critic = parity_of_critic(c);
    parity_against_network(c, group, "actor", &c->policy.net[ROLE_ACTOR], actor, actor_divisor, bound);
    parity_against_network(&of_critic, group, "critic", &c->policy.net[ROLE_CRITIC], critic, critic_divisor, bound);
}

static inline void parity_against_block(struct parity_case *c, const char *group, real *block, struct parity_bound bound)
{
    parity_against_networks(c, group, policy_actor(&c->policy, block, 0), policy_critic(&c->policy, block, 0), 1, 1, bound);
}

static inline void parity_stepped(void *user, const struct ppo_minibatch *m)
{
    struct parity_case *c = user;
    if (c->updates < PARITY_MAX_UPDATES) c->seen[c->updates] = *m;
    if (c->updates++ > 0) return;
    parity_against_networks(c, "grads", m->actor_gradient, m->critic_gradient, m->actor_divisor, m->critic_divisor, BOUND_GRADIENT);
    parity_against_block(c, "params_after_1", c->policy.parameters, BOUND_PARAMETERS);
}

static inline const int32_t *parity_permutation(void *user, int group, int shard, int epoch)
{
    const struct parity_case *c = user;
    (void)group;
    (void)shard;
    return c->permutation + (size_t)epoch * parity_rows(c);
}

/* ---- comparisons --------------------------------------------------------------------------------------------------------------------- */

/* Outputs of the actor for all rows; forbidden choices, whose logits the reference has overwritten, count as equal. */
static inline void parity_outputs(struct parity_case *c)
{
    const struct mappo_group_io *io = &c->rollout->transitions->all.group[0];
    const size_t rows = parity_rows(c), outputs = (size_t)c->policy.net[ROLE_ACTOR].outputs;
    real *out = calloc(rows * outputs, sizeof *out);
    struct packed_rows *packed = c->backend->packed_rows_create(c->backend, &c->policy.net[ROLE_ACTOR], (int)rows);
    const struct batch batch = {NULL, (int)rows, 1, NULL};
    const struct forward_pass pass = {
        .net = &c->policy.net[ROLE_ACTOR], .parameters = policy_actor(&c->policy, c->policy.parameters, 0), .packed = packed, .out = out};
    c->backend->pack(c->backend, &c->policy.net[ROLE_ACTOR], NULL, &packed, io->obs, &batch, 1);
    c->backend->forward(c->backend, &pass, 1);
    for (int h = 0; h < c->policy.dist.heads; h++) {
        const struct head *head = &c->policy.dist.head[h];
        char name[32];
        snprintf(name, sizeof name, head->kind == HEAD_GAUSSIAN ? "action_mean" : c->policy.dist.heads > 1 ? "logits%d" : "logits", h);
        char path[256];
        parity_path(c, path, sizeof path, "intermediates", name);
        struct golden_array expected = golden_read(c->file, path);
        const size_t size = (size_t)head->size;
        double *found = calloc(rows * size, sizeof *found);
        for (size_t r = 0; r < rows && expected.count == rows * size; r++)
            for (size_t k = 0; k < size; k++) {
                const bool allowed = !io->act_mask || io->act_mask[r * (size_t)c->policy.sizes.logits + (size_t)head->mask + k];
                if (!allowed) expected.data[r * size + k] = 0; /* else 1e10 would be the largest magnitude */
                found[r * size + k] = allowed ? (double)out[r * outputs + (size_t)head->output + k] : 0;
            }
        parity_compare(c->report, path + 1, found, expected.data, expected.count, BOUND_OUTPUT);
        golden_free(&expected);
        free(found);
    }
    c->backend->packed_rows_destroy(c->backend, packed);
    free(out);
}

/* Log-probabilities, ratios and entropies row by row: a training pass over a single row sums nothing else. */
static inline void parity_distribution(struct parity_case *c)
{
    const struct mappo_group_io *io = &c->rollout->transitions->all.group[0];
    const size_t rows = parity_rows(c);
    double *log_prob = calloc(3 * rows, sizeof *log_prob), *ratio = log_prob + rows, *entropy = ratio + rows;
    real *gradient = calloc(c->policy.net[ROLE_ACTOR].parameters, sizeof *gradient), *advantage = calloc(rows, sizeof *advantage);
    struct packed_rows *packed = c->backend->packed_rows_create(c->backend, &c->policy.net[ROLE_ACTOR], 1);
    for (size_t r = 0; r < rows; r++) {
        const int32_t unit = (int32_t)r;
        real sum[PASS_SUMS];
        const struct train_pass pass = {.loss = LOSS_POLICY,
                                        .net = &c->policy.net[ROLE_ACTOR],
                                        .parameters = policy_actor(&c->policy, c->policy.parameters, 0),
                                        .packed = packed,
                                        .batch = {&unit, 1, 1, NULL},
                                        .policy = {.dist = &c->policy.dist,
                                                   .objective = {.clip = (real)0.2},
                                                   .act_int = io->act_int,
                                                   .act_real = io->act_real,
                                                   .mask = io->act_mask,
                                                   .old_log_prob = c->rollout->log_prob[0],
                                                   .advantage = advantage},
                                        .gradient = gradient,
                                        .sum = sum};
        c->backend->pack(c->backend, &c->policy.net[ROLE_ACTOR], NULL, &packed, io->obs, &pass.batch, 1);
        c->backend->train(c->backend, &pass, 1);
        ratio[r] = (double)sum[SUM_RATIO];
        log_prob[r] = log(ratio[r]) + (double)c->rollout->log_prob[0][r];
        entropy[r] = (double)sum[SUM_ENTROPY];
    }
    parity_against(c, "intermediates", "log_probs", log_prob, rows, BOUND_OUTPUT);
    parity_against(c, "intermediates", "ratio", ratio, rows, BOUND_RATIO);
    parity_against(c, "intermediates", "entropy_per_sample", entropy, rows, BOUND_OUTPUT);
    c->backend->packed_rows_destroy(c->backend, packed);
    free(gradient);
    free(advantage);
    free(log_prob);
}

static inline void parity_losses(struct parity_case *c)
{
    static const struct {
        const char *name;
        size_t offset;
        int critic;
    } losses[] = {
        {"policy_loss", offsetof(struct ppo_metrics, policy_loss), 0},
        {"entropy", offsetof(struct ppo_metrics, entropy), 0},
        {"approx_kl", offsetof(struct ppo_metrics, approx_kl), 0},
        {"clip_fraction", offsetof(struct ppo_metrics, clip_fraction), 0},
        {"ratio_mean", offsetof(struct ppo_metrics, ratio), 0},
        {"actor_grad_norm", offsetof(struct ppo_metrics, actor_grad_norm), 0},
        {"value_loss", offsetof(struct ppo_metrics, value_loss), 1},
        {"critic_grad_norm", offsetof(struct ppo_metrics, critic_grad_norm), 1},
    };
    struct parity_case of_critic = parity_of_critic(c);
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        double found[PARITY_MAX_UPDATES];
        for (int u = 0; u < c->updates; u++) found[u] = *(const double *)((const char *)&c->seen[u].metrics + losses[i].offset);
        parity_against(losses[i].critic ? &of_critic : c, "losses", losses[i].name, found, (size_t)c->updates,
                       strcmp(losses[i].name, "approx_kl") == 0 ? BOUND_KL : BOUND_LOSS);
    }
    if (c->variant[0]) return;
    double scale[2 * PARITY_MAX_UPDATES];
    for (int u = 0; u < c->updates; u++) {
        scale[2 * u] = c->seen[u].metrics.value_mean;
        scale[2 * u + 1] = c->seen[u].metrics.value_deviation;
    }
    parity_against(c, "intermediates", "value_norm_mean_std", scale, 2 * (size_t)c->updates, BOUND_STATISTICS);
    struct golden_array history = golden_read(c->file, "/f64/intermediates/value_norm_history");
    const double now[3] = {c->policy.norm[0].mean, c->policy.norm[0].mean_squares, c->policy.norm[0].debias};
    for (int k = 0; k < 3 && history.count >= 3; k++)
        parity_compare(c->report, "f64/intermediates/value_norm_history (last)", now + k, history.data + history.count - 3 + k, 1,
                       BOUND_STATISTICS);
    golden_free(&history);
}

/* Variants have none. */
static inline void parity_moments(struct parity_case *c, const char *group, real *block)
{
    parity_against_network(c, group, "actor", &c->policy.net[ROLE_ACTOR], policy_actor(&c->policy, block, 0), 1, BOUND_MOMENTS);
    if (c->critic_variant[0]) return;
    parity_against_network(c, group, "critic", &c->policy.net[ROLE_CRITIC], policy_critic(&c->policy, block, 0), 1, BOUND_MOMENTS);
}

/* ---- the update ---------------------------------------------------------------------------------------------------------------------- */

static inline struct ppo_config parity_ppo_config(const struct parity_case *c, const struct ppo_hooks *hooks)
{
    const struct adam adam = {.beta1 = golden_config(c->file, "adam_beta1"),
                              .beta2 = golden_config(c->file, "adam_beta2"),
                              .eps = golden_config(c->file, "adam_eps")};
    struct ppo_config config = {.policy = {(real)golden_config(c->file, "clip"), (real)golden_config(c->file, "entropy_coef")},
                                .value = {.coefficient = (real)golden_config(c->file, "value_loss_coef")},
                                .epochs = (int)golden_config(c->file, "ppo_epoch"),
                                .minibatches = (int)golden_config(c->file, "num_mini_batch"),
                                .policy_active_masks = golden_config(c->file, "policy_active_masks") != 0,
                                .value_active_masks = golden_config(c->file, "value_active_masks") != 0,
                                .value_norm_beta = golden_config(c->file, "norm_beta"),
                                .adam = adam,
                                .actor_rate = golden_config(c->file, "lr"),
                                .critic_rate = golden_config(c->file, "critic_lr"),
                                .hooks = hooks};
    config.row_minibatches = config.minibatches > 1;
    if (golden_config(c->file, "use_max_grad_norm") != 0) config.max_grad_norm = (real)golden_config(c->file, "max_grad_norm");
    if (golden_config(c->file, "huber") != 0) config.value.huber_delta = (real)golden_config(c->file, "huber_delta");
    if (golden_config(c->file, "clipped_value_loss") != 0) config.value.clip = config.policy.clip;
    return config;
}

static inline void parity_update(struct parity_case *c)
{
    struct error err = {0};
    const struct ppo_hooks hooks = {c, parity_permutation, parity_stepped};
    const struct ppo_config config = parity_ppo_config(c, &hooks);
    c->permutations = golden_read(c->file, "/batch/permutations");
    c->permutation = calloc(c->permutations.count + 1, sizeof *c->permutation);
    for (size_t i = 0; i < c->permutations.count; i++) c->permutation[i] = (int32_t)c->permutations.data[i];
    struct ppo *ppo;
    struct ppo_metrics metrics[1];
    if (ppo_create(&ppo, &config, c->rollout, c->policies, c->comm, c->backend, &err)) die_error(&err);
    returns_values(c->rollout->returns); /* packs the critic's inputs, which the update reuses … */
    parity_load(c, "value_preds", c->rollout->returns->group[0].value, parity_rows(c) + (size_t)c->envs * (size_t)c->agents, 'r');
    ppo_update(ppo, 0);
    if (ppo_outcome(ppo, metrics, &err)) die_error(&err);
    parity_losses(c);
    parity_against_block(c, "params_after_all", c->policy.parameters, BOUND_PARAMETERS);
    struct golden_array moments = golden_read(c->file, "/f64/optimiser/step");
    if (!c->variant[0] && moments.data) {
        const double steps = (double)c->policy.updates;
        parity_against(c, "optimiser", "step", &steps, 1, (struct parity_bound){0, 0});
        parity_moments(c, "optimiser/exp_avg", c->policy.m);
        parity_moments(c, "optimiser/exp_avg_sq", c->policy.v);
    }
    golden_free(&moments);
    if (!c->variant[0])
        parity_against_real(c, "intermediates", "advantages", c->rollout->returns->group[0].advantage, parity_rows(c), BOUND_OUTPUT);
    ppo_destroy(ppo);
    free(c->permutation);
    golden_free(&c->permutations);
}

static inline void parity_open(struct parity_case *c)
{
    struct error err = {0};
    c->steps = (int)golden_config(c->file, "T");
    c->envs = (int)golden_config(c->file, "E");
    c->agents = (int)golden_config(c->file, "A");
    const struct backend_config backend = {.name = "cpu", .threads = 1, .level = -1};
    if (backend_open(&c->backend, &backend, &err)) die_error(&err);
    int argc = 0;
    char **argv = NULL;
    if (comm_open(&c->comm, &argc, &argv, &err)) die_error(&err);
}

static inline void parity_close(struct parity_case *c)
{
    rollout_destroy(c->rollout);
    policy_clear(&c->policy);
    comm_close(c->comm);
    c->backend->close(c->backend);
}

/* A whole MAPPO update. */
static inline void parity_mappo(hid_t file, const char *variant, const char *critic_variant, struct parity_report *report)
{
    struct parity_case c = {.file = file, .variant = variant, .critic_variant = critic_variant, .report = report};
    struct error err = {0};
    char activation[16];
    parity_open(&c);
    parity_spaces(&c);
    golden_text(file, "/config", "activation", activation, sizeof activation);
    const struct policy_config config = {.hidden = (int)golden_config(file, "hidden"),
                                         .layers = (int)golden_config(file, "layer_N") + 1,
                                         .activation = strcmp(activation, "relu") == 0 ? ACTIVATION_RELU : ACTIVATION_TANH,
                                         .feature_norm = golden_config(file, "feature_norm") != 0,
                                         .layer_norm = true,
                                         .share = {true, true},
                                         .critic_input = CRITIC_AGENT_STATE,
                                         .normalizer = golden_config(file, "popart") != 0 ? NORMALIZER_POPART : NORMALIZER_VALUENORM};
    if (policy_build(&c.policy, &config, &c.spec, 0, c.backend, &err)) die_error(&err);
    c.policies[0] = &c.policy;
    const struct rollout_config rollout = {
        .transitions = {.steps = c.steps, .envs = c.envs, .shards = 1},
        .returns = {.gamma = (real)golden_config(file, "gamma"), .lambda = (real)golden_config(file, "gae_lambda")}};
    if (rollout_create(&c.rollout, &rollout, &c.spec, c.policies, c.backend, &err)) die_error(&err);
    parity_load_parameters(&c);
    parity_load_batch(&c);
    const size_t rows = parity_rows(&c), slice = (size_t)c.envs * (size_t)c.agents;
    struct returns_group *returns = &c.rollout->returns->group[0];
    if (!variant[0]) {
        parity_outputs(&c);
        parity_distribution(&c);
        returns_values(c.rollout->returns);
        parity_against_real(&c, "intermediates", "values", returns->value, rows, BOUND_OUTPUT);
        parity_load(&c, "value_preds", returns->value, rows + slice, 'r');
    }
    returns_advantages(c.rollout->returns);
    if (!variant[0]) {
        parity_against_real(&c, "intermediates", "returns", returns->ret, rows, BOUND_OUTPUT);
        parity_against_real(&c, "intermediates", "advantages_raw", returns->advantage, rows, BOUND_OUTPUT);
    }
    parity_update(&c);
    parity_close(&c);
}

/* ---- returns and schedules ----------------------------------------------------------------------------------------------------------- */

/* Every (environment, agent) of the file is an environment of one agent: time limits of this file are per agent. */
static inline void parity_gae_rule(hid_t file, const char *rule, const char *scale, bool bootstrap, double lambda,
                                   struct parity_report *report)
{
    struct parity_case c = {.file = file, .variant = "", .report = report};
    struct error err = {0};
    parity_open(&c);
    c.envs *= c.agents;
    c.agents = 1;
    c.choices[0] = 2;
    c.spec = (struct mappo_env_spec){.groups = 1};
    c.spec.group[0] = (struct mappo_group){.name = "agent", .agents = 1, .obs_heads = 1, .act_heads = 1};
    c.spec.group[0].obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = 1};
    c.spec.group[0].act[0] = (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = c.choices};
    const struct policy_config config = {.hidden = 1,
                                         .layers = 1,
                                         .share = {true, true},
                                         .critic_input = CRITIC_OBS,
                                         .normalizer = strcmp(scale, "norm") == 0 ? NORMALIZER_VALUENORM : NORMALIZER_NONE};
    if (policy_build(&c.policy, &config, &c.spec, 0, c.backend, &err)) die_error(&err);
    c.policies[0] = &c.policy;
    const struct rollout_config rollout = {
        .transitions = {.steps = c.steps, .envs = c.envs, .shards = 1},
        .returns = {.gamma = (real)golden_config(file, "gamma"), .lambda = (real)lambda, .bootstrap = bootstrap}};
    if (rollout_create(&c.rollout, &rollout, &c.spec, c.policies, c.backend, &err)) die_error(&err);
    struct golden_array norm = golden_read(file, "/params_before/value_norm_before");
    if (norm.count == 3)
        c.policy.host.norm[0] = (struct normalizer){.mean = norm.data[0], .mean_squares = norm.data[1], .debias = norm.data[2]};
    policy_push(&c.policy);
    golden_free(&norm);
    struct mappo_group_io *io = &c.rollout->transitions->all.group[0];
    struct returns_group *returns = &c.rollout->returns->group[0];
    const size_t rows = parity_rows(&c), slice = (size_t)c.envs;
    uint8_t *masks = calloc(rows + slice, 1), *limit = calloc(rows, 1);
    parity_load(&c, "rewards", io->reward, rows, 'f');
    parity_load(&c, "value_preds", returns->value, rows + slice, 'r');
    parity_load(&c, "final_values", returns->final_value, rows, 'r');
    parity_load(&c, "masks", masks, rows + slice, 'b');
    parity_load(&c, "time_limit", limit, rows, 'b');
    for (size_t i = 0; i < rows; i++) {
        c.rollout->transitions->all.ep_end[i] = masks[i + slice] ? MAPPO_RUNNING : limit[i] ? MAPPO_TRUNCATED : MAPPO_TERMINATED;
        io->terminated[i] = c.rollout->transitions->all.ep_end[i] == MAPPO_TERMINATED;
    }
    returns_advantages(c.rollout->returns);
    char name[64];
    snprintf(name, sizeof name, "returns_%s_%s", rule, scale);
    parity_against_real(&c, "intermediates", name, returns->ret, rows, BOUND_OUTPUT);
    snprintf(name, sizeof name, "advantages_%s_%s", rule, scale);
    parity_against_real(&c, "intermediates", name, returns->advantage, rows, BOUND_OUTPUT);
    free(masks);
    free(limit);
    parity_close(&c);
}

static inline void parity_gae(hid_t file, struct parity_report *report)
{
    static const char *const scales[] = {"norm", "raw"};
    const double lambda = golden_config(file, "gae_lambda");
    for (int i = 0; i < 2; i++) {
        parity_gae_rule(file, "terminal", scales[i], false, lambda, report);
        parity_gae_rule(file, "bootstrap", scales[i], true, lambda, report);
        parity_gae_rule(file, "lambda1", scales[i], false, 1, report);
    }
}

static inline void parity_schedules(hid_t file, struct parity_report *report)
{
    struct parity_case c = {.file = file, .variant = "", .report = report};
    const int count = (int)golden_config(file, "N");
    double found[256];
    for (int i = 0; i < count && i < 256; i++) found[i] = schedule_value(SCHEDULE_LINEAR, golden_config(file, "lr0"), (double)i / count);
    parity_against(&c, "intermediates", "linear_reference", found, (size_t)count, (struct parity_bound){0, 1e-12});
}

/* ---- by name ------------------------------------------------------------------------------------------------------------------------- */

static inline enum parity_result parity_algo(const char *path, struct parity_report *report)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    *report = (struct parity_report){0};
    if (strncmp(name, "algo_", 5) != 0) return PARITY_UNKNOWN;
    const hid_t file = golden_open(path);
    char which[64];
    if (file < 0 || !golden_text(file, "/", "case", which, sizeof which)) {
        if (file >= 0) H5Fclose(file);
        return PARITY_UNKNOWN;
    }
    static const char *const whole[] = {"mlp_relu_discrete", "mlp_relu_masks", "mlp_box", "multi_binary"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strcmp(which, whole[i]) == 0) parity_mappo(file, "", "", report);
    if (strcmp(which, "mlp_box") == 0) snprintf(report->left_out, sizeof report->left_out, "variant_reference: a slip of the reference");
    if (strcmp(which, "multi_discrete") == 0) {
        parity_mappo(file, "variant_joint_", "variant_joint_", report);
        snprintf(report->left_out, sizeof report->left_out, "ratios per head");
    }
    if (strcmp(which, "mlp_tanh_popart") == 0) {
        parity_mappo(file, "", "variant_rescale_first_", report);
        snprintf(report->left_out, sizeof report->left_out, "PopArt that rescales after the forward pass: a slip of the reference");
    }
    if (strcmp(which, "gae") == 0) {
        parity_gae(file, report);
        snprintf(report->left_out, sizeof report->left_out, "discounted sums without GAE; bad_mask");
    }
    if (strcmp(which, "schedules") == 0) {
        parity_schedules(file, report);
        snprintf(report->left_out, sizeof report->left_out, "cosine, progress after collecting, clip");
    }
    H5Fclose(file);
    if (report->checked == 0) return PARITY_UNSUPPORTED;
    return report->differing ? PARITY_FAILED : PARITY_PASSED;
}

#endif
