/* One golden update of an algo_*.h5 file: its parameters, settings and batch as this program has them, and comparisons with what the
 * reference made of them. Compiled with real = float or double. */
#ifndef TESTS_PARITY_CASE_H
#define TESTS_PARITY_CASE_H

#include "algo/ppo.h"
#include "algo/rollout.h"
#include "backend_memory.h"
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
    const char *on;             /* the backend; NULL = the CPU */
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
    int32_t *permutation;   /* [epochs][rows] */
    bool first_as_before;   /* the variant has no numbers of its first minibatch, which is as without it */
    bool joint, all_ratios; /* CoPPO; its official form */
    bool penalty;           /* the policy's loss has one */
    double target;          /* that its coefficient aims at */
    int updates;            /* seen so far */
    struct ppo_minibatch seen[PARITY_MAX_UPDATES];
};

static inline size_t parity_rows(const struct parity_case *c)
{
    return (size_t)c->steps * (size_t)c->envs * (size_t)c->agents;
}

/* Steps of a recurrent network's sequence. */
static inline int parity_chunk(const struct parity_case *c)
{
    return golden_config_or(c->file, "recurrent", 0) != 0 ? (int)golden_config(c->file, "data_chunk_length") : 0;
}

/* What is shuffled: rows, or chunks of them. */
static inline size_t parity_items(const struct parity_case *c)
{
    const int chunk = parity_chunk(c);
    return parity_rows(c) / (size_t)(chunk ? chunk : 1);
}

/* The files number chunks over [E][A][T / L], the program as everything else over [T / L][E][A]. */
static inline void parity_load_permutations(struct parity_case *c)
{
    const int chunk = parity_chunk(c), per = chunk ? c->steps / chunk : 1;
    c->permutations = golden_read(c->file, "/batch/permutations");
    c->permutation = calloc(c->permutations.count + 1, sizeof *c->permutation);
    for (size_t i = 0; i < c->permutations.count; i++) {
        const int item = (int)c->permutations.data[i];
        c->permutation[i] = chunk ? item % per * c->envs * c->agents + item / per : item;
    }
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

/* Likewise of the backend's memory. */
static inline void parity_against_there(struct parity_case *c, const char *group, const char *name, const real *found, size_t count,
                                        struct parity_bound bound)
{
    real *copy = calloc(count + 1, sizeof *copy);
    take(c->backend, copy, found, count * sizeof *copy);
    parity_against_real(c, group, name, copy, count, bound);
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
    group->state_size = (int32_t)golden_config_or(c->file, "state_dim", 0);
    group->flags = group->state_size ? MAPPO_STATE_PER_AGENT : 0;
    struct golden_array active = golden_read(c->file, "/batch/active_masks");
    if (active.data) group->flags |= MAPPO_HAS_ACTIVE;
    golden_free(&active);
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

/* Likewise to the backend's memory. */
static inline void parity_give(const struct parity_case *c, const char *name, void *to, size_t count, char type)
{
    const size_t size = type == 'f' ? sizeof(float) : type == 'r' ? sizeof(real) : type == 'i' ? sizeof(int32_t) : 1;
    void *host = calloc(count + 1, size);
    parity_load(c, name, host, count, type);
    c->backend->upload(c->backend, to, host, count * size);
    free(host);
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
    parity_load_network(c, "actor", &c->policy.net[ROLE_ACTOR], policy_actor(&c->policy, c->policy.host.parameters, 0));
    parity_load_network(c, "critic", &c->policy.net[ROLE_CRITIC], policy_critic(&c->policy, c->policy.host.parameters, 0));
    struct golden_array norm = golden_read(c->file, "/params_before/value_norm_before");
    if (norm.count == 3)
        c->policy.host.norm[0] = (struct normalizer){.mean = norm.data[0], .mean_squares = norm.data[1], .debias = norm.data[2]};
    policy_push(&c->policy);
    golden_free(&norm);
}

/* Where the state before a step was zeroed (begun [T + 1][E][A]), all agents of the environment began an episode. */
static inline void parity_load_states(const struct parity_case *c, const uint8_t *begun)
{
    const struct states *states = &c->rollout->states;
    const size_t slice = (size_t)c->envs * (size_t)c->agents, envs = (size_t)c->envs;
    uint8_t *ended = calloc((size_t)(c->steps + 1) * envs, 1);
    for (size_t u = 0; u < (size_t)(c->steps + 1) * envs; u++) ended[u] = begun[u * (size_t)c->agents];
    c->backend->upload(c->backend, states->ended, ended, envs);
    c->backend->upload(c->backend, c->rollout->transitions->all.ep_end, ended + envs, (size_t)c->steps * envs);
    states_collected(states);
    for (int role = 0; role < POLICY_ROLES; role++)
        parity_give(c, role == ROLE_ACTOR ? "rnn_states" : "rnn_states_critic", states_at(states, 0, role, 0),
                    (size_t)(c->steps + 1) * slice * (size_t)c->policy.net[role].hidden, 'r');
    free(ended);
}

static inline void parity_load_batch(struct parity_case *c)
{
    struct mappo_group_io *io = &c->rollout->transitions->all.group[0];
    struct returns_group *returns = &c->rollout->returns->group[0];
    const size_t rows = parity_rows(c), slice = (size_t)c->envs * (size_t)c->agents;
    const struct group_sizes *sizes = &c->policy.sizes;
    parity_give(c, "obs", io->obs, (rows + slice) * (size_t)sizes->obs, 'f');
    parity_give(c, "share_obs", c->rollout->inputs.group[0].current, (rows + slice) * (size_t)c->policy.state_size, 'f');
    parity_give(c, "rewards", io->reward, rows, 'f');
    if (io->active) parity_give(c, "active_masks", io->active, rows + slice, 'b');
    parity_give(c, "value_preds", returns->value, rows + slice, 'r');
    const size_t ratios = rows * (size_t)log_prob_width(&c->policy.dist, c->rollout->per_head);
    struct golden_array joint = golden_read(c->file, "/batch/action_log_probs_joint");
    parity_give(c, c->variant[0] && joint.data ? "action_log_probs_joint" : "action_log_probs", c->rollout->log_prob[0], ratios, 'r');
    golden_free(&joint);
    if (io->act_mask) parity_give(c, "available_actions", io->act_mask, (rows + slice) * (size_t)sizes->logits, 'b');
    if (io->act_int) parity_give(c, "actions", (int32_t *)(uintptr_t)io->act_int, rows * (size_t)sizes->act_ints, 'i');
    if (io->act_real) parity_give(c, "actions", (float *)(uintptr_t)io->act_real, rows * (size_t)sizes->act_reals, 'f');
    /* masks[t + 1] = 0: the agent's episode ended with step t; these files know no time limits. */
    uint8_t *masks = calloc(rows + slice, 1);
    parity_load(c, "masks", masks, rows + slice, 'b');
    for (size_t i = 0; i < rows + slice; i++) masks[i] = !masks[i];
    c->backend->upload(c->backend, io->terminated, masks + slice, rows);
    if (states_kept(&c->rollout->states)) parity_load_states(c, masks);
    free(masks);
}

/* ---- hooks --------------------------------------------------------------------------------------------------------------------------- */

/* data: the backend's. */
static inline void parity_against_network(struct parity_case *c, const char *group, const char *network, const struct network *net,
                                          const real *data, double divisor, struct parity_bound bound)
{
    struct tensor tensor[NETWORK_MAX_TENSORS];
    const int count = network_tensors(net, tensor, NETWORK_MAX_TENSORS);
    real *copy = calloc(net->parameters, sizeof *copy);
    take(c->backend, copy, data, net->parameters * sizeof *copy);
    for (int i = 0; i < count; i++) {
        char name[96];
        text_format(name, sizeof name, "%s/%s", network, tensor[i].name);
        const size_t size = (size_t)tensor[i].shape[0] * (size_t)tensor[i].shape[1];
        double *found = calloc(size, sizeof *found);
        for (size_t k = 0; k < size; k++) found[k] = (double)copy[(size_t)tensor[i].offset + k] / divisor;
        parity_against(c, group, name, found, size, bound);
        free(found);
    }
    free(copy);
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
    if (c->updates++ > 0 || m->stopped || c->first_as_before) return;
    parity_against_networks(c, "grads", m->actor_gradient, m->critic_gradient, m->actor_divisor, m->critic_divisor, BOUND_GRADIENT);
    parity_against_block(c, "params_after_1", c->policy.parameters, BOUND_PARAMETERS);
}

static inline const int32_t *parity_permutation(void *user, int group, int shard, int epoch)
{
    const struct parity_case *c = user;
    (void)group;
    (void)shard;
    return c->permutation + (size_t)epoch * parity_items(c);
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

/* Log-probabilities, ratios and entropies row by row: a training pass over a single row sums nothing else. Of each head where the ratio is
 * joint, of a distribution with one head by itself otherwise. */
static inline void parity_distribution(struct parity_case *c)
{
    const struct mappo_group_io *io = &c->rollout->transitions->all.group[0];
    const struct policy_objective objective = {.clip = (real)0.2};
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
                                                   .objective = &objective,
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
    if (c->policy.critic_input != CRITIC_OBS) parity_against(c, "intermediates", "ratio", ratio, rows, BOUND_RATIO);
    parity_against(c, "intermediates", "entropy_per_sample", entropy, rows, BOUND_OUTPUT);
    c->backend->packed_rows_destroy(c->backend, packed);
    free(gradient);
    free(advantage);
    free(log_prob);
}

/* Outputs of a recurrent network for all steps, in chunks from the states of the file. */
static inline void parity_sequences(struct parity_case *c, int role)
{
    const struct network *net = &c->policy.net[role];
    const int chunk = parity_chunk(c), slice = c->envs * c->agents, chunks = (int)parity_items(c);
    const size_t rows = parity_rows(c), outputs = (size_t)net->outputs;
    real *out = calloc(rows * outputs, sizeof *out);
    double *found = calloc(rows * outputs, sizeof *found);
    int32_t *unit = calloc(rows, sizeof *unit);
    for (int k = 0; k < chunks; k++)
        for (int t = 0; t < chunk; t++) unit[t * chunks + k] = (k / slice * chunk + t) * slice + k % slice;
    struct recurrent time = states_time(&c->rollout->states, 0, role);
    time.steps = chunk;
    time.batch = (struct batch){lend(c->backend, unit, rows * sizeof *unit), (int)rows, 1, NULL};
    struct packed_rows *packed = c->backend->packed_rows_create(c->backend, net, (int)rows);
    const struct forward_pass pass = {.net = net,
                                      .parameters = policy_network_at(&c->policy, c->policy.parameters, role, 0),
                                      .packed = packed,
                                      .recurrent = &time,
                                      .out = lend(c->backend, out, rows * outputs * sizeof *out)};
    const float *x = role == ROLE_ACTOR ? c->rollout->transitions->all.group[0].obs : c->rollout->inputs.group[0].current;
    c->backend->pack(c->backend, net, NULL, &packed, x, &time.batch, 1);
    c->backend->forward(c->backend, &pass, 1);
    take(c->backend, out, pass.out, rows * outputs * sizeof *out);
    for (size_t b = 0; b < rows * outputs; b++) found[(size_t)unit[b / outputs] * outputs + b % outputs] = (double)out[b];
    parity_against(c, "intermediates", role == ROLE_ACTOR ? "logits" : "values", found, rows * outputs, BOUND_OUTPUT);
    c->backend->packed_rows_destroy(c->backend, packed);
    free(out);
    free(found);
    free(unit);
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
        {"kl", offsetof(struct ppo_metrics, kl), 0},
    };
    struct parity_case of_critic = parity_of_critic(c);
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        double found[PARITY_MAX_UPDATES];
        if (c->penalty ? strcmp(losses[i].name, "clip_fraction") == 0 : strcmp(losses[i].name, "kl") == 0) continue; /* not there */
        if (c->joint &&
            (losses[i].offset == offsetof(struct ppo_metrics, approx_kl) || losses[i].offset == offsetof(struct ppo_metrics, ratio) ||
             losses[i].offset == offsetof(struct ppo_metrics, clip_fraction)))
            continue; /* likewise */
        for (int u = 0; u < c->updates; u++) found[u] = *(const double *)((const char *)&c->seen[u].metrics + losses[i].offset);
        parity_against(losses[i].critic ? &of_critic : c, "losses", losses[i].name, found, (size_t)c->updates,
                       strcmp(losses[i].name, "approx_kl") == 0 ? BOUND_KL : BOUND_LOSS);
    }
    if (c->variant[0] || c->joint || c->policy.normalizer == NORMALIZER_NONE) return; /* likewise */
    double scale[2 * PARITY_MAX_UPDATES];
    for (int u = 0; u < c->updates; u++) {
        scale[2 * u] = c->seen[u].metrics.value_mean;
        scale[2 * u + 1] = c->seen[u].metrics.value_deviation;
    }
    parity_against(c, "intermediates", "value_norm_mean_std", scale, 2 * (size_t)c->updates, BOUND_STATISTICS);
    struct golden_array history = golden_read(c->file, "/f64/intermediates/value_norm_history");
    policy_pull(&c->policy);
    const struct normalizer *norm = &c->policy.host.norm[0];
    const double now[3] = {norm->mean, norm->mean_squares, norm->debias};
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

/* ---- beginning and end --------------------------------------------------------------------------------------------------------------- */

static inline void parity_open(struct parity_case *c)
{
    struct error err = {0};
    c->steps = (int)golden_config(c->file, "T");
    c->envs = (int)golden_config(c->file, "E");
    c->agents = (int)golden_config(c->file, "A");
    const struct backend_config backend = {.name = c->on ? c->on : "cpu", .threads = 1, .level = -1, .device = -1};
    if (backend_open(&c->backend, &backend, &err)) die_error(&err);
    int argc = 0;
    char **argv = NULL;
    if (comm_open(&c->comm, &argc, &argv, &err)) die_error(&err);
}

static inline void parity_close(struct parity_case *c)
{
    rollout_destroy(c->rollout);
    policy_clear(&c->policy);
    lend_end(c->backend);
    comm_close(c->comm);
    c->backend->close(c->backend);
}

#endif
