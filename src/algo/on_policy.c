/* MAPPO and IPPO as the training loop sees them: rollouts of T steps, values and GAE, PPO's update. They differ in what the critic sees. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "algo/algorithm.h"
#include "algo/ppo.h"
#include "algo/rollout.h"
#include "base/clock.h"

enum { UNIT_STEP, UNIT_ROW }; /* ppo.minibatch_unit */

struct on_policy {
    struct algorithm_context context;
    struct arena *arena;
    struct rollout *rollout;
    struct ppo *ppo;
    int64_t updates;
    struct ppo_metrics metrics[MAPPO_MAX_GROUPS];
    char *metric_name[MAPPO_MAX_GROUPS][16];
};

/* ---- from configuration to parts ----------------------------------------------------------------------------------------------------- */

/* One minibatch has all rows in any unit. */
static bool row_minibatches(const struct config *config)
{
    return config->ppo_minibatch_unit == UNIT_ROW && config->ppo_minibatches > 1;
}

static int create_policies(struct policies **policies, bool central, const struct config *config, const struct mappo_env_spec *spec,
                           struct backend *backend, struct error *err)
{
    const struct policies_config how = {.central = central, .value_per_agent = row_minibatches(config)};
    return policies_create(policies, &how, config, spec, backend, err);
}

static int mappo_policies(struct policies **policies, const struct config *config, const struct mappo_env_spec *spec,
                          struct backend *backend, struct error *err)
{
    return create_policies(policies, true, config, spec, backend, err);
}

static int ippo_policies(struct policies **policies, const struct config *config, const struct mappo_env_spec *spec,
                         struct backend *backend, struct error *err)
{
    return create_policies(policies, false, config, spec, backend, err);
}

static int64_t horizon(const struct config *config)
{
    return config->rollout_steps;
}

static int create_rollout(struct on_policy *self, struct error *err)
{
    const struct config *config = self->context.config;
    const struct comm *comm = self->context.comm;
    const struct rollout_config rollout = {
        .transitions = {.steps = (int)horizon(config),
                        .envs = self->context.envs,
                        .first_env = self->context.first_env,
                        .shards = self->context.local_shards,
                        .first_shard = (uint32_t)(comm->shards > 0 ? comm_part(comm->shards, comm->rank, comm->size).first : comm->rank)},
        .collect = {.where = self->context.where,
                    .seed = (uint64_t)config->train_seed,
                    .crew = self->context.attended ? self->context.backend->threads : 1,
                    .env = self->context.env},
        .returns = {.gamma = (real)config->gae_gamma, .lambda = (real)config->gae_lambda, .bootstrap = config->gae_time_limit == 0}};
    return rollout_create(&self->rollout, &rollout, vecenv_spec(self->context.env), self->context.policies->group, self->context.backend,
                          err);
}

static int create_ppo(struct on_policy *self, struct error *err)
{
    const struct config *config = self->context.config;
    const struct adam adam = {.beta1 = config->adam_beta1, .beta2 = config->adam_beta2, .eps = config->adam_eps};
    const struct ppo_config ppo = {.policy = {.clip = (real)config->ppo_clip, .entropy = (real)config->ppo_entropy},
                                   .value = {.clip = config->ppo_clip_value ? (real)config->ppo_clip : 0,
                                             .huber_delta = (real)config->ppo_huber_delta,
                                             .coefficient = (real)config->ppo_value_coef},
                                   .max_grad_norm = (real)config->ppo_max_grad_norm,
                                   .epochs = (int)config->ppo_epochs,
                                   .minibatches = (int)config->ppo_minibatches,
                                   .row_minibatches = row_minibatches(config),
                                   .policy_active_masks = config->ppo_policy_active_masks,
                                   .value_active_masks = config->ppo_value_active_masks,
                                   .value_norm_beta = config->norm_beta,
                                   .adam = adam,
                                   .actor_rate = config->adam_lr,
                                   .critic_rate = config->adam_critic_lr,
                                   .seed = (uint64_t)config->train_seed};
    return ppo_create(&self->ppo, &ppo, self->rollout, self->context.policies->group, self->context.comm, self->context.backend, err);
}

/* ---- the loop's side ----------------------------------------------------------------------------------------------------------------- */

static int begin(struct algorithm *algorithm, bool restored, struct error *err)
{
    struct on_policy *self = algorithm->self;
    if (!restored) policies_broadcast(self->context.policies, self->context.comm);
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

static int fields(struct algorithm *algorithm, struct field_list *list)
{
    struct on_policy *self = algorithm->self;
    const int before = list->count;
    policies_fields(self->context.policies, list);
    transitions_fields(self->rollout->transitions, "/rollout", vecenv_spec(self->context.env), list);
    field_add(list, "/rollout/updates", FIELD_INT64, &self->updates, "updates",
              "updates so far: position of the permutations' random numbers", 0);
    return list->count - before;
}

static void pull(struct algorithm *algorithm)
{
    const struct on_policy *self = algorithm->self;
    policies_pull(self->context.policies);
}

static void push(struct algorithm *algorithm)
{
    const struct on_policy *self = algorithm->self;
    policies_push(self->context.policies);
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
    METRIC(clip_fraction, "1", "fraction of rows whose ratio left 1 ± ppo.clip"),
    METRIC(ratio, "1", "mean probability ratio r"),
    METRIC(explained_variance, "1", "1 - Var(R - V) / Var(R) of the rollout, V before the update"),
    METRIC(actor_grad_norm, "1", "norm of the actor's gradient before clipping"),
    METRIC(critic_grad_norm, "1", "norm of the critic's gradient before clipping"),
    METRIC(value_mean, "reward", "mean of the value normaliser"),
    METRIC(value_deviation, "reward", "standard deviation of the value normaliser"),
#undef METRIC
};
enum { METRICS = sizeof metric_table / sizeof *metric_table };

static void name_metrics(struct on_policy *self)
{
    const struct policies *policies = self->context.policies;
    for (int g = 0; g < policies->groups; g++)
        for (int i = 0; i < METRICS; i++) {
            char name[128];
            snprintf(name, sizeof name, g == 0 ? "%s" : "%s/%s", metric_table[i].name, policies->group[g]->name);
            self->metric_name[g][i] = arena_text(self->arena, name);
        }
}

static int metrics(struct algorithm *algorithm, struct metric *out, int max)
{
    struct on_policy *self = algorithm->self;
    int count = 0;
    for (int g = 0; g < self->context.policies->groups; g++)
        for (int i = 0; i < METRICS && count < max; i++, count++) {
            const double *value = (const double *)((const char *)&self->metrics[g] + metric_table[i].offset);
            out[count] = (struct metric){self->metric_name[g][i], metric_table[i].unit, metric_table[i].help, *value};
        }
    return count;
}

static int describe_metrics(struct metric *out, int max)
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
    arena_destroy(self->arena);
}

static const struct algorithm_ops ops = {begin, collect, finish, update, outcome, learning_rates, fields, pull, push, metrics, destroy};

static int create(struct algorithm *algorithm, const struct algorithm_context *context, struct error *err)
{
    struct arena *arena = arena_create("algorithm");
    struct on_policy *self = algorithm->self = ARENA_NEW(arena, struct on_policy, 1);
    algorithm->ops = &ops;
    /* Beside environments on the host the first actions wait for the update anyhow. */
    algorithm->ahead = context->where == COLLECT_DEVICE ? BACKEND_OUTCOMES - 1 : 0;
    self->context = *context;
    self->arena = arena;
    int code = create_rollout(self, err);
    if (code == 0) code = create_ppo(self, err);
    if (code) {
        destroy(algorithm);
        return code;
    }
    name_metrics(self);
    arena_seal(arena);
    return 0;
}

/* They differ in what the critic sees. */
const struct algorithm_functions mappo_functions = {horizon, mappo_policies, create, describe_metrics};
const struct algorithm_functions ippo_functions = {horizon, ippo_policies, create, describe_metrics};
