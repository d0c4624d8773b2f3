/* Golden updates of the reference implementations: loads parameters, settings and batch of an algo_*.h5 file, runs this program's own
 * forward passes, returns and whole update on them, and compares every tensor. Compiled with real = float or double. */
#ifndef TESTS_PARITY_ALGO_H
#define TESTS_PARITY_ALGO_H

#include "algo/schedule.h"
#include "parity/parity_case.h"

/* ---- the penalty ---------------------------------------------------------------------------------------------------------------------- */

static inline void parity_old_policy(void *user, int group, real *out, real *log_std)
{
    const struct parity_case *c = user;
    const bool gaussian = c->policy.dist.head[0].kind == HEAD_GAUSSIAN;
    (void)group;
    parity_load(c, gaussian ? "old_mean" : "old_logits", out, parity_rows(c) * (size_t)c->policy.net[ROLE_ACTOR].outputs, 'r');
    if (log_std) parity_load(c, "old_log_std", log_std, (size_t)c->policy.dist.act_reals, 'r');
}

/* KL after the update, and the coefficient that follows from it: one of each target. */
static inline void parity_penalty(struct parity_case *c, struct ppo *ppo, const struct ppo_metrics *metrics)
{
    struct field_list list = {0};
    struct golden_array targets = golden_read(c->file, "/batch/targets"), expected = golden_read(c->file, "/f64/intermediates/beta_next");
    ppo_fields(ppo, &list);
    ppo_pull(ppo);
    for (size_t i = 0; i < targets.count && list.count; i++) {
        const double found = *(const double *)list.field[0].data;
        if (targets.data[i] == c->target)
            parity_compare(c->report, "f64/intermediates/beta_next", &found, expected.data + i, 1, BOUND_OUTPUT);
    }
    parity_against(c, "intermediates", "kl_final", &metrics->kl, 1, BOUND_LOSS);
    golden_free(&targets);
    golden_free(&expected);
    free(list.field);
}

/* KL of every row under the parameters before. */
static inline void parity_kl(struct parity_case *c)
{
    const struct mappo_group_io *io = &c->rollout->transitions->all.group[0];
    const size_t rows = parity_rows(c), outputs = (size_t)c->policy.net[ROLE_ACTOR].outputs, reals = (size_t)c->policy.dist.act_reals;
    real *out = calloc(rows * (2 * outputs + 1) + reals, sizeof *out), *old = out + rows * outputs, *kl = old + rows * outputs,
         *log_std = kl + rows;
    struct packed_rows *packed = c->backend->packed_rows_create(c->backend, &c->policy.net[ROLE_ACTOR], (int)rows);
    const struct forward_pass pass = {
        .net = &c->policy.net[ROLE_ACTOR], .parameters = policy_actor(&c->policy, c->policy.parameters, 0), .packed = packed, .out = out};
    const struct evaluate_pass evaluate = {.dist = &c->policy.dist,
                                           .batch = {NULL, (int)rows, 1, NULL},
                                           .out = out,
                                           .log_std = policy_log_std(&c->policy, 0),
                                           .act_int = io->act_int,
                                           .act_real = io->act_real,
                                           .old_out = old,
                                           .old_log_std = log_std,
                                           .kl = kl};
    parity_old_policy(c, 0, old, reals ? log_std : NULL);
    c->backend->pack(c->backend, &c->policy.net[ROLE_ACTOR], NULL, &packed, io->obs, &evaluate.batch, 1);
    c->backend->forward(c->backend, &pass, 1);
    c->backend->evaluate(c->backend, &evaluate, 1);
    parity_against_real(c, "intermediates", "kl_per_sample", kl, rows, BOUND_RATIO);
    c->backend->packed_rows_destroy(c->backend, packed);
    free(out);
}

/* ---- the update ---------------------------------------------------------------------------------------------------------------------- */

static inline struct ppo_config parity_ppo_config(const struct parity_case *c, const struct ppo_hooks *hooks)
{
    const struct adam adam = {.beta1 = golden_config(c->file, "adam_beta1"),
                              .beta2 = golden_config(c->file, "adam_beta2"),
                              .eps = golden_config(c->file, "adam_eps")};
    struct ppo_config config = {.policy = {.clip = (real)golden_config_or(c->file, "clip", INFINITY),
                                           .entropy = (real)golden_config(c->file, "entropy_coef"),
                                           .kl = (real)golden_config_or(c->file, "beta", 0)},
                                .joint_ratios = {c->joint},
                                .joint = {.others_clip = (real)golden_config_or(c->file, "others_clip", 0), .all_ratios = c->all_ratios},
                                .advantages = c->all_ratios ? ADVANTAGES_RAW : ADVANTAGES_ROLLOUT,
                                .penalty = c->penalty,
                                .penalty_kl = c->target,
                                .value = {.coefficient = (real)golden_config(c->file, "value_loss_coef")},
                                .epochs = (int)golden_config(c->file, "ppo_epoch"),
                                .minibatches = (int)golden_config(c->file, "num_mini_batch"),
                                .chunk = parity_chunk(c),
                                .policy_active_masks = golden_config_or(c->file, "policy_active_masks", 1) != 0,
                                .value_active_masks = golden_config_or(c->file, "value_active_masks", 1) != 0,
                                .value_norm_beta = golden_config_or(c->file, "norm_beta", 0),
                                .adam = adam,
                                .now = {golden_config(c->file, "lr"), golden_config(c->file, "critic_lr"), 1, 1, 1, 1},
                                .hooks = hooks};
    config.row_minibatches = config.minibatches > 1;
    if (golden_config_or(c->file, "use_max_grad_norm", 1) != 0) config.max_grad_norm = (real)golden_config(c->file, "max_grad_norm");
    if (golden_config(c->file, "huber") != 0) config.value.huber_delta = (real)golden_config(c->file, "huber_delta");
    if (golden_config(c->file, "clipped_value_loss") != 0) config.value.clip = config.policy.clip;
    return config;
}

static inline void parity_update(struct parity_case *c)
{
    struct error err = {0};
    const struct ppo_hooks hooks = {c, parity_permutation, parity_stepped, c->penalty ? parity_old_policy : NULL};
    const struct ppo_config config = parity_ppo_config(c, &hooks);
    parity_load_permutations(c);
    struct ppo *ppo;
    struct ppo_metrics metrics[1];
    if (ppo_create(&ppo, &config, c->rollout, c->policies, c->comm, c->backend, &err)) die_error(&err);
    if (!parity_chunk(c)) returns_values(c->rollout->returns); /* packs the critic's inputs, which the update reuses … */
    parity_give(c, "value_preds", c->rollout->returns->group[0].value, parity_rows(c) + (size_t)c->envs * (size_t)c->agents, 'r');
    ppo_update(ppo, 0);
    if (ppo_outcome(ppo, metrics, &err)) die_error(&err);
    if (c->penalty) parity_penalty(c, ppo, metrics);
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
        parity_against_there(c, "intermediates", "advantages", c->rollout->returns->group[0].advantage, parity_rows(c), BOUND_OUTPUT);
    ppo_destroy(ppo);
    free(c->permutation);
    golden_free(&c->permutations);
}

struct parity_how {
    const char *variant, *critic_variant;
    bool per_head, penalty;
    double target; /* of the penalty */
    bool joint, all_ratios;
    const char *on; /* the backend; NULL = the CPU */
};

/* A whole MAPPO update. */
static inline void parity_mappo(hid_t file, struct parity_how how, struct parity_report *report)
{
    const char *variant = how.variant;
    struct parity_case c = {.file = file,
                            .on = how.on,
                            .variant = variant,
                            .critic_variant = how.critic_variant,
                            .report = report,
                            .joint = how.joint,
                            .all_ratios = how.all_ratios,
                            .penalty = how.penalty,
                            .target = how.target};
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
                                         .chunk = parity_chunk(&c),
                                         .share = {true, true},
                                         .critic_input = CRITIC_AGENT_STATE,
                                         .normalizer = golden_config(file, "popart") != 0             ? NORMALIZER_POPART
                                                       : golden_config_or(file, "value_norm", 1) != 0 ? NORMALIZER_VALUENORM
                                                                                                      : NORMALIZER_NONE};
    if (policy_build(&c.policy, &config, &c.spec, 0, c.backend, &err)) die_error(&err);
    c.policies[0] = &c.policy;
    const struct rollout_config rollout = {
        .transitions = {.steps = c.steps, .envs = c.envs, .shards = 1},
        .returns = {.gamma = (real)golden_config(file, "gamma"), .lambda = (real)golden_config(file, "gae_lambda")},
        .per_head = how.per_head};
    if (rollout_create(&c.rollout, &rollout, &c.spec, c.policies, c.backend, &err)) die_error(&err);
    parity_load_parameters(&c);
    parity_load_batch(&c);
    if (how.penalty) parity_kl(&c);
    const size_t rows = parity_rows(&c), slice = (size_t)c.envs * (size_t)c.agents;
    struct returns_group *returns = &c.rollout->returns->group[0];
    if (parity_chunk(&c)) {
        for (int role = 0; role < POLICY_ROLES; role++) parity_sequences(&c, role);
    } else if (!variant[0]) {
        parity_outputs(&c);
        if (!how.per_head) parity_distribution(&c);
        returns_values(c.rollout->returns);
        parity_against_real(&c, "intermediates", "values", returns->value, rows, BOUND_OUTPUT);
        parity_load(&c, "value_preds", returns->value, rows + slice, 'r');
    }
    returns_advantages(c.rollout->returns);
    if (!variant[0]) {
        parity_against_there(&c, "intermediates", "returns", returns->ret, rows, BOUND_OUTPUT);
        parity_against_there(&c, "intermediates", "advantages_raw", returns->advantage, rows, BOUND_OUTPUT);
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
    static const struct {
        const char *name, *from;
        int kind;
    } schedules[] = {
        {"linear_reference", "lr0", SCHEDULE_LINEAR}, {"cosine", "lr0", SCHEDULE_COSINE}, {"clip_linear", "clip0", SCHEDULE_LINEAR}};
    struct parity_case c = {.file = file, .variant = "", .report = report};
    const int count = (int)golden_config(file, "N");
    double found[256];
    for (size_t s = 0; s < sizeof schedules / sizeof *schedules; s++) {
        for (int i = 0; i < count && i < 256; i++)
            found[i] = schedule_value(schedules[s].kind, golden_config(file, schedules[s].from), (double)i / count);
        parity_against(&c, "intermediates", schedules[s].name, found, (size_t)count, (struct parity_bound){0, 1e-12});
    }
}

/* ---- Stable-Baselines3's update of a single agent ------------------------------------------------------------------------------------- */

static inline void parity_single_losses(struct parity_case *c, size_t offset, double factor, const char *name, struct parity_bound bound)
{
    double found[PARITY_MAX_UPDATES];
    for (int u = 0; u < c->updates; u++) found[u] = factor * *(const double *)((const char *)&c->seen[u].metrics + offset);
    parity_against(c, "losses", name, found, (size_t)c->updates, bound);
}

static inline void parity_single_update(struct parity_case *c, double target_kl)
{
    const struct ppo_hooks hooks = {c, parity_permutation, parity_stepped, NULL};
    const double epsilon = golden_config(c->file, "adam_eps"), rate = golden_config(c->file, "lr");
    const struct ppo_config config = {
        .policy = {.clip = (real)golden_config(c->file, "clip"), .entropy = (real)golden_config(c->file, "ent_coef")},
        /* Its squared error is not halved. */
        .value = {.clip = (real)golden_config_or(c->file, "clip_vf", 0),
                  .only = 1,
                  .coefficient = (real)(2 * golden_config(c->file, "vf_coef"))},
        .target_kl = target_kl,
        .advantages = ADVANTAGES_MINIBATCH,
        .epochs = (int)golden_config(c->file, "n_epochs"),
        .minibatch_size = (int)golden_config(c->file, "batch_size"),
        .max_grad_norm = (real)golden_config(c->file, "max_grad_norm"),
        .joint_clip = true,
        .adam = {.beta1 = golden_config(c->file, "adam_beta1"), .beta2 = golden_config(c->file, "adam_beta2"), .eps = epsilon},
        .now = {rate, rate, 1, 1, 1, 1},
        .hooks = &hooks};
    struct error err = {0};
    struct ppo *ppo;
    struct ppo_metrics metrics[1];
    parity_load_permutations(c);
    if (ppo_create(&ppo, &config, c->rollout, c->policies, c->comm, c->backend, &err)) die_error(&err);
    ppo_update(ppo, 0);
    if (ppo_outcome(ppo, metrics, &err)) die_error(&err);
    parity_single_losses(c, offsetof(struct ppo_metrics, policy_loss), 1, "policy_loss", BOUND_LOSS);
    parity_single_losses(c, offsetof(struct ppo_metrics, value_loss), 2, "value_loss", BOUND_LOSS);
    parity_single_losses(c, offsetof(struct ppo_metrics, entropy), 1, "entropy", BOUND_LOSS);
    parity_single_losses(c, offsetof(struct ppo_metrics, approx_kl), 1, "approx_kl", BOUND_KL);
    parity_single_losses(c, offsetof(struct ppo_metrics, clip_fraction), 1, "clip_fraction", BOUND_LOSS);
    parity_single_losses(c, offsetof(struct ppo_metrics, ratio), 1, "ratio_mean", BOUND_LOSS);
    double norm[PARITY_MAX_UPDATES];
    int steps = 0;
    for (int u = 0; u < c->updates; u++)
        if (!c->seen[u].stopped) norm[steps++] = hypot(c->seen[u].metrics.actor_grad_norm, c->seen[u].metrics.critic_grad_norm);
    parity_against(c, "losses", "grad_norm", norm, (size_t)steps, BOUND_LOSS);
    const double done = (double)c->policy.updates, evaluated = (double)c->updates;
    parity_against(c, "intermediates", "updates_done", &done, 1, (struct parity_bound){0, 0});
    parity_against(c, "intermediates", "updates_evaluated", &evaluated, 1, (struct parity_bound){0, 0});
    if (!c->variant[0]) parity_against(c, "intermediates", "explained_variance", &metrics->explained_variance, 1, BOUND_STATISTICS);
    parity_against_block(c, "params_after_all", c->policy.parameters, BOUND_PARAMETERS);
    ppo_destroy(ppo);
    free(c->permutation);
    golden_free(&c->permutations);
}

/* Observations are the critic's input, and time limits are bootstrapped. */
static inline void parity_single_batch(struct parity_case *c)
{
    struct mappo_group_io *io = &c->rollout->transitions->all.group[0];
    struct returns_group *returns = &c->rollout->returns->group[0];
    const size_t rows = parity_rows(c), slice = (size_t)c->envs;
    uint8_t *masks = calloc(rows + slice, 1), *limit = calloc(rows, 1);
    parity_load(c, "obs", io->obs, (rows + slice) * (size_t)c->policy.sizes.obs, 'f');
    parity_load(c, "rewards", io->reward, rows, 'f');
    if (io->act_int) parity_load(c, "actions", (int32_t *)(uintptr_t)io->act_int, rows * (size_t)c->policy.sizes.act_ints, 'i');
    if (io->act_real) parity_load(c, "actions", (float *)(uintptr_t)io->act_real, rows * (size_t)c->policy.sizes.act_reals, 'f');
    parity_load(c, "action_log_probs", c->rollout->log_prob[0], rows, 'r');
    parity_load(c, "masks", masks, rows + slice, 'b');
    parity_load(c, "time_limit", limit, rows, 'b');
    for (size_t i = 0; i < rows; i++) {
        uint8_t *end = &c->rollout->transitions->all.ep_end[i];
        *end = masks[i + slice] ? MAPPO_RUNNING : limit[i] ? MAPPO_TRUNCATED : MAPPO_TERMINATED;
        io->terminated[i] = *end == MAPPO_TERMINATED;
    }
    free(masks);
    free(limit);
    returns_values(c->rollout->returns);
    if (!c->variant[0]) parity_against_real(c, "intermediates", "values", returns->value, rows, BOUND_OUTPUT);
    parity_load(c, "value_preds", returns->value, rows + slice, 'r');
    parity_load(c, "final_values", returns->final_value, rows, 'r');
}

static inline void parity_single(hid_t file, const char *variant, double target_kl, struct parity_report *report)
{
    struct parity_case c = {
        .file = file, .variant = variant, .critic_variant = variant, .report = report, .first_as_before = variant[0] != 0};
    struct error err = {0};
    char activation[16];
    parity_open(&c);
    parity_spaces(&c);
    golden_text(file, "/config", "activation", activation, sizeof activation);
    const struct policy_config config = {.hidden = (int)golden_config(file, "hidden"),
                                         .layers = (int)golden_config(file, "layers"),
                                         .activation = strcmp(activation, "relu") == 0 ? ACTIVATION_RELU : ACTIVATION_TANH,
                                         .share = {true, true},
                                         .critic_input = CRITIC_OBS,
                                         .normalizer = NORMALIZER_NONE};
    if (policy_build(&c.policy, &config, &c.spec, 0, c.backend, &err)) die_error(&err);
    c.policies[0] = &c.policy;
    const struct rollout_config rollout = {
        .transitions = {.steps = c.steps, .envs = c.envs, .shards = 1},
        .returns = {.gamma = (real)golden_config(file, "gamma"), .lambda = (real)golden_config(file, "gae_lambda"), .bootstrap = true}};
    if (rollout_create(&c.rollout, &rollout, &c.spec, c.policies, c.backend, &err)) die_error(&err);
    parity_load_parameters(&c);
    parity_single_batch(&c);
    if (!variant[0]) {
        parity_outputs(&c);
        parity_distribution(&c);
    }
    returns_advantages(c.rollout->returns);
    if (!variant[0]) {
        parity_against_real(&c, "intermediates", "returns", c.rollout->returns->group[0].ret, parity_rows(&c), BOUND_OUTPUT);
        parity_against_real(&c, "intermediates", "advantages", c.rollout->returns->group[0].advantage, parity_rows(&c), BOUND_OUTPUT);
    }
    parity_single_update(&c, target_kl);
    parity_close(&c);
}

/* ---- by name ------------------------------------------------------------------------------------------------------------------------- */

/* on: the backend that recurrent updates are made on; NULL = the CPU, as all others. */
static inline enum parity_result parity_algo(const char *path, const char *on, struct parity_report *report)
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
        if (strcmp(which, whole[i]) == 0) parity_mappo(file, (struct parity_how){.variant = "", .critic_variant = ""}, report);
    if (strncmp(which, "gru_", 4) == 0) parity_mappo(file, (struct parity_how){.variant = "", .critic_variant = "", .on = on}, report);
    if (strcmp(which, "coppo") == 0) {
        parity_mappo(file, (struct parity_how){.variant = "", .critic_variant = "", .joint = true}, report);
        parity_mappo(file, (struct parity_how){.variant = "variant_official_", .critic_variant = "", .joint = true, .all_ratios = true},
                     report);
    }
    if (strncmp(which, "kl_ppo", 6) == 0) {
        struct golden_array targets = golden_read(file, "/batch/targets");
        for (size_t i = 0; i < targets.count; i++)
            parity_mappo(file, (struct parity_how){.variant = "", .critic_variant = "", .penalty = true, .target = targets.data[i]},
                         report);
        golden_free(&targets);
    }
    if (strncmp(which, "ppo_single", 10) == 0) {
        parity_single(file, "", 0, report);
        const double target_kl = golden_config_or(file, "variant_target_kl", 0);
        if (target_kl > 0) parity_single(file, "variant_target_kl_", target_kl, report);
    }
    if (strcmp(which, "mlp_box") == 0) snprintf(report->left_out, sizeof report->left_out, "variant_reference: a slip of the reference");
    if (strcmp(which, "multi_discrete") == 0) {
        parity_mappo(file, (struct parity_how){.variant = "variant_joint_", .critic_variant = "variant_joint_"}, report);
        parity_mappo(file, (struct parity_how){.variant = "", .critic_variant = "", .per_head = true}, report);
    }
    if (strcmp(which, "mlp_tanh_popart") == 0) {
        parity_mappo(file, (struct parity_how){.variant = "", .critic_variant = "variant_rescale_first_"}, report);
        snprintf(report->left_out, sizeof report->left_out, "PopArt that rescales after the forward pass: a slip of the reference");
    }
    if (strcmp(which, "gae") == 0) {
        parity_gae(file, report);
        snprintf(report->left_out, sizeof report->left_out, "discounted sums without GAE; bad_mask");
    }
    if (strcmp(which, "schedules") == 0) {
        parity_schedules(file, report);
        snprintf(report->left_out, sizeof report->left_out, "progress after collecting");
    }
    H5Fclose(file);
    if (report->checked == 0) return PARITY_UNSUPPORTED;
    return report->differing ? PARITY_FAILED : PARITY_PASSED;
}

#endif
