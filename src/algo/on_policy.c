#include "algo/on_policy.h"

#include "backend/kernels/gae.h"
#include "base/clock.h"

enum { RATIO_JOINT, RATIO_PER_HEAD }; /* ppo.ratio */
enum { TIME_LIMIT_BOOTSTRAP };        /* gae.time_limit */

/* ---- beginning and end --------------------------------------------------------------------------------------------------------------- */

int64_t on_policy_horizon(const struct config *config)
{
    return config->rollout_steps;
}

/* Of the networks of all agents: a forward pass of the rollout, and forward and back in every epoch. */
static double flops_of(const struct policies *policies, const struct config *config)
{
    double sum = 0;
    for (int g = 0; g < policies->groups; g++) {
        const struct policy *policy = policies->group[g];
        if (!policy_learns(policy)) continue;
        const double rows[POLICY_ROLES] = {policy->sizes.agents, policy->value_agents};
        for (int role = 0; role < POLICY_ROLES; role++) {
            double first, all = network_multiply_adds(&policy->net[role], &first);
            sum += 2 * rows[role] * (all + (double)config->ppo_epochs * (3 * all - first));
        }
    }
    return sum;
}

/* Values of final observations are for estimates that a value continues. */
static bool rewards_alone(const struct config *config)
{
    return config->gae_advantage == ESTIMATE_REWARD_TO_GO && config->gae_target == ESTIMATE_REWARD_TO_GO;
}

int on_policy_create(struct algorithm *algorithm, const struct algorithm_context *context, struct error *err)
{
    struct on_policy *self = algorithm->self;
    const struct config *config = context->config;
    const struct comm *comm = context->comm;
    const struct rollout_config rollout = {
        .transitions = {.steps = (int)on_policy_horizon(config),
                        .envs = context->envs,
                        .first_env = context->first_env,
                        .shards = context->local_shards,
                        .first_shard = (uint32_t)(comm->shards > 0 ? comm_part(comm->shards, comm->rank, comm->size).first : comm->rank)},
        .collect = {.where = context->where,
                    .seed = (uint64_t)config->train_seed,
                    .crew = context->attended ? context->backend->threads : 1,
                    .env = context->env},
        .per_head = config->ppo_ratio == RATIO_PER_HEAD,
        .returns = {.gamma = (real)config->gae_gamma,
                    .lambda = (real)config->gae_lambda,
                    .bootstrap = config->gae_time_limit == TIME_LIMIT_BOOTSTRAP && !rewards_alone(config),
                    .advantage = config->gae_advantage,
                    .target = config->gae_target}};
    self->context = *context;
    algorithm->flops = flops_of(context->policies, config);
    backend_memory_create(&self->memory, "algorithm", context->backend);
    self->now = annealed_at(config, 0);
    const int code = rollout_create(&self->rollout, &rollout, vecenv_spec(context->env), context->policies->group, context->backend, err);
    if (!code) running_norms_create(&self->norms, self->rollout, context->policies->group, context->comm, &self->memory);
    return code;
}

void on_policy_destroy(struct algorithm *algorithm)
{
    struct on_policy *self = algorithm->self;
    backend_memory_destroy(&self->memory);
    rollout_destroy(self->rollout);
}

/* ---- the loop's side ----------------------------------------------------------------------------------------------------------------- */

int on_policy_begin(struct algorithm *algorithm, bool restored, struct error *err)
{
    struct on_policy *self = algorithm->self;
    if (!restored) policies_broadcast(self->context.policies, self->context.comm);
    return rollout_begin(self->rollout, self->context.env, restored, err);
}

int on_policy_collect(struct algorithm *algorithm, struct error *err)
{
    struct on_policy *self = algorithm->self;
    return algorithm_collect(algorithm, self->rollout->collector, self->rollout->env, self->context.backend, err);
}

int on_policy_finish(struct algorithm *algorithm, struct error *err)
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

void on_policy_learned(struct algorithm *algorithm)
{
    struct on_policy *self = algorithm->self;
    running_norms_take(&self->norms);
}

void on_policy_anneal(struct algorithm *algorithm, const struct annealed *now)
{
    struct on_policy *self = algorithm->self;
    self->now = *now;
}

/* ---- what a checkpoint holds --------------------------------------------------------------------------------------------------------- */

int on_policy_fields(struct algorithm *algorithm, struct field_list *list)
{
    struct on_policy *self = algorithm->self;
    const int before = list->count;
    policies_fields(self->context.policies, list);
    transitions_fields(self->rollout->transitions, "/rollout", vecenv_spec(self->context.env), list);
    returns_fields(self->rollout->returns, "/rollout", list);
    states_fields(&self->rollout->states, "/rollout", list);
    return list->count - before;
}

void on_policy_pull(struct algorithm *algorithm)
{
    struct on_policy *self = algorithm->self;
    policies_pull(self->context.policies);
    returns_pull(self->rollout->returns);
    states_pull(&self->rollout->states);
}

void on_policy_push(struct algorithm *algorithm)
{
    struct on_policy *self = algorithm->self;
    policies_push(self->context.policies);
    returns_push(self->rollout->returns);
    states_push(&self->rollout->states);
}
