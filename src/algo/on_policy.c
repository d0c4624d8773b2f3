/* MAPPO and IPPO as the training loop sees them: rollouts of T steps, values and GAE, PPO's update. They differ in what the critic sees. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "algo/algorithm.h"
#include "algo/ppo.h"
#include "algo/rollout.h"
#include "base/clock.h"
#include "base/digest.h"

enum { ALGO_MAPPO, ALGO_IPPO }; /* algo.name */
enum { UNIT_STEP, UNIT_ROW };   /* ppo.minibatch_unit */

struct on_policy {
    struct algorithm_context context;
    struct arena *arena;
    struct policy policy[MAPPO_MAX_GROUPS];
    struct rollout *rollout;
    struct ppo *ppo;
    int64_t updates;
    struct ppo_metrics metrics[MAPPO_MAX_GROUPS];
    char *metric_name[MAPPO_MAX_GROUPS][16];
};

/* ---- from configuration to parts ----------------------------------------------------------------------------------------------------- */

static int create_policies(struct algorithm *algorithm, const struct mappo_env_spec *spec, struct error *err)
{
    struct on_policy *self = algorithm->self;
    const struct config *config = self->context.config;
    for (int g = 0; g < spec->groups; g++) {
        struct policy_config policy = {.hidden = (int)config->policy_hidden,
                                       .layers = (int)config->policy_layers,
                                       .activation = config->policy_activation,
                                       .feature_norm = config->policy_feature_norm,
                                       .layer_norm = config->policy_layer_norm,
                                       .head_gain = (real)config->policy_gain,
                                       .log_std = (real)config->policy_log_std,
                                       .fixed_std = (float)config->policy_fixed_std,
                                       .share = config->policy_share,
                                       .value_per_agent = config->ppo_minibatch_unit == UNIT_ROW && config->ppo_minibatches > 1,
                                       .normalizer = config->norm_value, /* the key's choices are enum normalizer_kind, in its order */
                                       .seed = (uint64_t)config->train_seed,
                                       .index = (uint32_t)g};
        struct critic_view view;
        int code = critic_view_choose(&view, config->algo_name != ALGO_IPPO, config, spec, g, err);
        policy.critic_input = view.input;
        policy.concatenate = view.concatenate;
        if (code == 0) code = policy_build(&self->policy[g], &policy, spec, g, self->context.backend, err);
        if (code) return code;
        algorithm->policy[g] = &self->policy[g];
    }
    return 0;
}

static int create_rollout(struct algorithm *algorithm, const struct mappo_env_spec *spec, struct error *err)
{
    struct on_policy *self = algorithm->self;
    const struct config *config = self->context.config;
    const struct comm *comm = self->context.comm;
    const struct rollout_config rollout = {
        .transitions = {.steps = (int)algorithm->horizon,
                        .envs = self->context.envs,
                        .first_env = self->context.first_env,
                        .shards = self->context.local_shards,
                        .first_shard = (uint32_t)(comm->shards > 0 ? comm_share(comm->shards, comm->rank, comm->size).first : comm->rank)},
        .collect = {.where = self->context.where,
                    .seed = (uint64_t)config->train_seed,
                    .crew = self->context.attended ? self->context.backend->threads : 1,
                    .share = self->context.share,
                    .share_user = self->context.share_user},
        .returns = {.gamma = (real)config->gae_gamma, .lambda = (real)config->gae_lambda, .bootstrap = config->gae_time_limit == 0}};
    return rollout_create(&self->rollout, &rollout, spec, algorithm->policy, self->context.backend, err);
}

static int create_ppo(struct algorithm *algorithm, struct error *err)
{
    struct on_policy *self = algorithm->self;
    const struct config *config = self->context.config;
    const struct adam adam = {.beta1 = config->adam_beta1, .beta2 = config->adam_beta2, .eps = config->adam_eps};
    const struct ppo_config ppo = {.clip = (real)config->ppo_clip,
                                   .entropy = (real)config->ppo_entropy,
                                   .value_coefficient = (real)config->ppo_value_coef,
                                   .max_grad_norm = (real)config->ppo_max_grad_norm,
                                   .huber_delta = (real)config->ppo_huber_delta,
                                   .value_clip = config->ppo_clip_value ? (real)config->ppo_clip : 0,
                                   .epochs = (int)config->ppo_epochs,
                                   .minibatches = (int)config->ppo_minibatches,
                                   /* One minibatch has all rows in any unit. */
                                   .row_minibatches = config->ppo_minibatch_unit == UNIT_ROW && config->ppo_minibatches > 1,
                                   .policy_active_masks = config->ppo_policy_active_masks,
                                   .value_active_masks = config->ppo_value_active_masks,
                                   .normalise_advantage = true,
                                   .value_norm_beta = config->norm_beta,
                                   .adam = adam,
                                   .actor_rate = config->adam_lr,
                                   .critic_rate = config->adam_critic_lr,
                                   .seed = (uint64_t)config->train_seed};
    return ppo_create(&self->ppo, &ppo, self->rollout, algorithm->policy, self->context.comm, self->context.backend, err);
}

/* ---- the loop's side ----------------------------------------------------------------------------------------------------------------- */

static int begin(struct algorithm *algorithm, bool restored, struct error *err)
{
    struct on_policy *self = algorithm->self;
    /* Another machine's mathematics library may have rounded the initial parameters otherwise: rank 0's count. */
    for (int g = 0; g < algorithm->groups && !restored; g++) {
        struct policy *policy = algorithm->policy[g];
        comm_broadcast(self->context.comm, policy->host.parameters, (size_t)policy->sets * policy->set_size * sizeof(real));
        policy_push(policy);
    }
    return rollout_begin(self->rollout, self->context.env, restored, err);
}

static int collect(struct algorithm *algorithm, struct error *err)
{
    struct on_policy *self = algorithm->self;
    struct collector *collector = self->rollout->collector;
    collector->seconds_step = collector->seconds_infer = 0;
    collector->seconds_device = collector->seconds_wait = 0;
    backend_range(self->context.backend, "step, infer");
    const int code = rollout_collect(self->rollout, err);
    backend_range(self->context.backend, NULL);
    algorithm->seconds_step += collector->seconds_step;
    algorithm->seconds_infer += collector->seconds_infer;
    algorithm->seconds_device += collector->seconds_device;
    algorithm->seconds_wait += collector->seconds_wait;
    return code;
}

static int finish(struct algorithm *algorithm, struct error *err)
{
    (void)err;
    struct on_policy *self = algorithm->self;
    const double start = clock_seconds();
    backend_range(self->context.backend, "infer");
    rollout_finish(self->rollout);
    backend_range(self->context.backend, NULL);
    algorithm->seconds_infer += clock_seconds() - start;
    return 0;
}

static int update(struct algorithm *algorithm, struct error *err)
{
    (void)err;
    struct on_policy *self = algorithm->self;
    const double start = clock_seconds(), communication = self->context.comm->seconds;
    backend_range(self->context.backend, "update");
    ppo_update(self->ppo, self->updates);
    backend_range(self->context.backend, NULL);
    self->updates++;
    algorithm->seconds_update += clock_seconds() - start - (self->context.comm->seconds - communication);
    return 0;
}

static int outcome(struct algorithm *algorithm, struct error *err)
{
    struct on_policy *self = algorithm->self;
    const double start = clock_seconds();
    const int code = ppo_outcome(self->ppo, self->metrics, err);
    algorithm->seconds_update += clock_seconds() - start;
    return code;
}

static void learning_rates(struct algorithm *algorithm, double actor, double critic)
{
    struct on_policy *self = algorithm->self;
    ppo_learning_rate(self->ppo, actor, critic);
}

/* ---- what a checkpoint holds --------------------------------------------------------------------------------------------------------- */

/* One network's tensors out of a block of the policy, as <prefix>/<network>/[<block>/]<tensor>. */
static void add_tensors(struct field_list *list, const char *prefix, const char *network, const char *block, const struct network *net,
                        real *data, const char *meaning)
{
    struct tensor tensor[NETWORK_MAX_TENSORS];
    const int count = network_tensors(net, tensor, NETWORK_MAX_TENSORS);
    for (int i = 0; i < count; i++) {
        char name[sizeof list->field->name], description[sizeof list->field->description];
        CHECK(snprintf(name, sizeof name, "%s/%s/%s%s%s", prefix, network, block, block[0] ? "/" : "", tensor[i].name) < (int)sizeof name,
              "name of a parameter is too long: %s/%s", prefix, tensor[i].name);
        snprintf(description, sizeof description, "%s%s", meaning, tensor[i].description);
        if (tensor[i].rank == 2)
            field_add(list, name, FIELD_REAL, data + tensor[i].offset, "1", description, 2, (int64_t)tensor[i].shape[0],
                      (int64_t)tensor[i].shape[1]);
        else
            field_add(list, name, FIELD_REAL, data + tensor[i].offset, "1", description, 1, (int64_t)tensor[i].shape[0]);
    }
}

static void add_set(struct field_list *list, struct policy *policy, int set)
{
    const struct policy_state *host = &policy->host;
    char agent[16] = "", policy_path[96], optimizer_path[96];
    if (policy->sets > 1) snprintf(agent, sizeof agent, "/%d", set);
    snprintf(policy_path, sizeof policy_path, "/policy/%s%s", policy->name, agent);
    snprintf(optimizer_path, sizeof optimizer_path, "/optimizer/%s%s", policy->name, agent);
    const struct network *actor = &policy->actor, *critic = &policy->critic;
    add_tensors(list, policy_path, "actor", "", actor, policy_actor(policy, host->parameters, set), "");
    add_tensors(list, policy_path, "critic", "", critic, policy_critic(policy, host->parameters, set), "");
    add_tensors(list, optimizer_path, "actor", "exp_avg", actor, policy_actor(policy, host->m, set), "Adam's first moment of: ");
    add_tensors(list, optimizer_path, "actor", "exp_avg_sq", actor, policy_actor(policy, host->v, set), "Adam's second moment of: ");
    add_tensors(list, optimizer_path, "critic", "exp_avg", critic, policy_critic(policy, host->m, set), "Adam's first moment of: ");
    add_tensors(list, optimizer_path, "critic", "exp_avg_sq", critic, policy_critic(policy, host->v, set), "Adam's second moment of: ");
    if (policy->normalizer == NORMALIZER_NONE) return;
    char name[sizeof list->field->name];
    snprintf(name, sizeof name, "%s/value_norm", policy_path);
    field_add(list, name, FIELD_DOUBLE, &host->norm[set], "reward, reward^2, 1",
              "ValueNorm or PopArt: running mean, mean of squares and debiasing term of the returns; V = mean/debias + deviation * output",
              1, (int64_t)3);
}

static int fields(struct algorithm *algorithm, struct field_list *list)
{
    struct on_policy *self = algorithm->self;
    const int before = list->count;
    for (int g = 0; g < algorithm->groups; g++) {
        struct policy *policy = algorithm->policy[g];
        for (int s = 0; s < policy->sets; s++) add_set(list, policy, s);
        char name[sizeof list->field->name];
        snprintf(name, sizeof name, "/optimizer/%s/step", policy->name);
        field_add(list, name, FIELD_INT64, &policy->updates, "steps", "optimiser steps of this group's networks so far", 0);
    }
    transitions_fields(self->rollout->transitions, "/rollout", vecenv_spec(self->context.env), list);
    field_add(list, "/rollout/updates", FIELD_INT64, &self->updates, "updates",
              "updates so far: position of the permutations' random numbers", 0);
    return list->count - before;
}

static void pull(struct algorithm *algorithm)
{
    for (int g = 0; g < algorithm->groups; g++) policy_pull(algorithm->policy[g]);
}

static void push(struct algorithm *algorithm)
{
    for (int g = 0; g < algorithm->groups; g++) policy_push(algorithm->policy[g]);
}

static uint64_t hash(struct algorithm *algorithm)
{
    uint64_t h = HASH_START;
    for (int g = 0; g < algorithm->groups; g++) {
        struct policy *policy = algorithm->policy[g];
        policy_pull(policy);
        h = hash_bytes(h, policy->host.parameters, (size_t)policy->sets * policy->set_size * sizeof(real));
    }
    return h;
}

/* ---- metrics ------------------------------------------------------------------------------------------------------------------------- */

/* Every number of struct ppo_metrics, once. */
static const struct {
    const char *name, *unit, *help;
    size_t offset;
} metric_table[] = {
#define METRIC(name, unit, help)                                                                                                           \
    {                                                                                                                                      \
#name, unit, help, offsetof(struct ppo_metrics, name)                                                                              \
    }
    METRIC(policy_loss, "1", "clipped surrogate as minimised, without the entropy bonus; mean over minibatches as all of these"),
    METRIC(value_loss, "1", "value loss on the normalised scale, without its coefficient"),
    METRIC(entropy, "nat", "entropy of the policy, joint over its heads"),
    METRIC(approx_kl, "nat", "KL(old || new) estimated by mean(r - 1 - log r)"),
    METRIC(clip_fraction, "1", "share of rows whose ratio left 1 ± ppo.clip"),
    METRIC(ratio, "1", "mean probability ratio r"),
    METRIC(explained_variance, "1", "1 - Var(R - V) / Var(R) of the rollout, V before the update"),
    METRIC(actor_grad_norm, "1", "norm of the actor's gradient before clipping"),
    METRIC(critic_grad_norm, "1", "norm of the critic's gradient before clipping"),
    METRIC(value_mean, "reward", "mean of the value normaliser"),
    METRIC(value_deviation, "reward", "standard deviation of the value normaliser"),
#undef METRIC
};
enum { METRICS = sizeof metric_table / sizeof *metric_table };

static void name_metrics(struct on_policy *self, int groups)
{
    for (int g = 0; g < groups; g++)
        for (int i = 0; i < METRICS; i++) {
            char name[128];
            snprintf(name, sizeof name, g == 0 ? "%s" : "%s/%s", metric_table[i].name, self->policy[g].name);
            self->metric_name[g][i] = arena_text(self->arena, name);
        }
}

static int metrics(struct algorithm *algorithm, struct metric *out, int max)
{
    struct on_policy *self = algorithm->self;
    int count = 0;
    for (int g = 0; g < algorithm->groups; g++)
        for (int i = 0; i < METRICS && count < max; i++, count++) {
            const double *value = (const double *)((const char *)&self->metrics[g] + metric_table[i].offset);
            out[count] = (struct metric){self->metric_name[g][i], metric_table[i].unit, metric_table[i].help, *value};
        }
    return count;
}

int algorithm_describe_metrics(struct metric *out, int max)
{
    int count = 0;
    for (; count < METRICS && count < max; count++)
        out[count] = (struct metric){metric_table[count].name, metric_table[count].unit, metric_table[count].help, NAN};
    return count;
}

/* ---- beginning and end --------------------------------------------------------------------------------------------------------------- */

static void destroy(struct algorithm *algorithm)
{
    struct on_policy *self = algorithm->self;
    ppo_destroy(self->ppo);
    rollout_destroy(self->rollout);
    for (int g = 0; g < MAPPO_MAX_GROUPS; g++) policy_clear(&self->policy[g]);
    arena_destroy(self->arena);
}

static const struct algorithm_ops mappo_ops = {"mappo", begin, collect, finish,  update, outcome, learning_rates,
                                               fields,  pull,  push,    metrics, hash,   destroy};
static const struct algorithm_ops ippo_ops = {"ippo", begin, collect, finish,  update, outcome, learning_rates,
                                              fields, pull,  push,    metrics, hash,   destroy};

int algorithm_create(struct algorithm **out, const struct algorithm_context *context, struct error *err)
{
    const struct mappo_env_spec *spec = vecenv_spec(context->env);
    struct arena *arena = arena_create("algorithm");
    struct algorithm *algorithm = ARENA_NEW(arena, struct algorithm, 1);
    struct on_policy *self = algorithm->self = ARENA_NEW(arena, struct on_policy, 1);
    algorithm->ops = context->config->algo_name == ALGO_IPPO ? &ippo_ops : &mappo_ops;
    algorithm->groups = spec->groups;
    algorithm->horizon = context->config->rollout_steps;
    /* Beside environments on the host the first actions wait for the update anyhow. */
    algorithm->ahead = context->where == COLLECT_DEVICE ? BACKEND_OUTCOMES - 1 : 0;
    self->context = *context;
    self->arena = arena;
    int code = create_policies(algorithm, spec, err);
    if (code == 0) code = create_rollout(algorithm, spec, err);
    if (code == 0) code = create_ppo(algorithm, err);
    if (code) {
        destroy(algorithm);
        return code;
    }
    name_metrics(self, spec->groups);
    arena_seal(arena);
    *out = algorithm;
    return 0;
}
