#include "algo/on_policy.h"

#include "backend/kernels/gae.h"
#include "config/choices.h"

/* ---- beginning and end --------------------------------------------------------------------------------------------------------------- */

/* Whole episodes: the steps that one rollout of an environment comes to at most. */
static int choose_steps(struct transitions_config *transitions, const struct algorithm_context *context, struct error *err)
{
    const struct config *config = context->config;
    const int64_t longest = vecenv_spec(context->env)->max_steps, most = config->rollout_steps - 1 + longest;
    if (config->rollout_unit == UNIT_STEPS) return 0;
    for (int g = 0; g < context->policies->groups; g++)
        if (context->policies->group[g]->net[ROLE_ACTOR].gru || context->policies->group[g]->net[ROLE_CRITIC].gru)
            return error_set(
                err, EXIT_USAGE,
                "rollout.unit=episodes is of feed-forward policies: their chunks would have to know where episodes end: policy=mlp, or "
                "rollout.unit=steps");
    if (context->where != COLLECT_DIRECT)
        return error_set(err, EXIT_USAGE,
                         "rollout.unit=episodes makes every rollout of another length, which a GPU or the ranks of a pod don't collect: "
                         "backend=cpu and comm.pod=1, or rollout.unit=steps");
    if (longest == 0)
        return error_set(err, EXIT_USAGE,
                         "rollout.unit=episodes reserves memory for the longest episode, and environment \"%s\" names none: "
                         "wrap.time_limit=N truncates episodes after N steps",
                         vecenv_descriptor(context->env)->id);
    if (most > INT32_MAX)
        return error_set(err, EXIT_USAGE, "rollout.unit=episodes: rollout.steps=%lld and an episode of up to %lld steps are too many",
                         (long long)config->rollout_steps, (long long)longest);
    transitions->at_least = transitions->steps;
    transitions->steps = (int)most;
    return 0;
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

/* Of groups that play themselves; the others have none. */
static void choose_self_play(struct self_play_rules *rules, const struct config *config, const struct policies *policies)
{
    for (int g = 0; g < policies->groups; g++) {
        const char *name = policies->group[g]->name;
        if (policies->group[g]->player != PLAY_SELF) continue;
        rules[g] = (struct self_play_rules){.members = (int)config_group_number(config, name, GROUP_pool),
                                            .interval = (int64_t)config_group_number(config, name, GROUP_pool_interval),
                                            .share = config_group_number(config, name, GROUP_pool_share)};
    }
}

static double bytes_of(const struct policies *policies, const struct config *config)
{
    double floats = 0;
    for (int g = 0; g < policies->groups; g++) {
        const struct policy *policy = policies->group[g];
        const double actor = (double)policy->sizes.agents * policy->net[ROLE_ACTOR].inputs,
                     critic = (double)policy->state_rows * policy->net[ROLE_CRITIC].inputs;
        floats += (actor + critic) * (3 + (double)config->ppo_epochs); /* written, packed (read and written), read in every epoch */
        floats += 8.0 * policy->sizes.agents * (1 + (double)config->ppo_epochs);
    }
    return floats * (double)sizeof(float);
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
    struct rollout_config rollout = {.transitions = learner_transitions(context, (int)learner_horizon(config)),
                                     .collect = learner_collecting(context),
                                     .per_head = config->ppo_ratio == RATIO_PER_HEAD,
                                     .returns = {.gamma = (real)config->gae_gamma,
                                                 .lambda = (real)config->gae_lambda,
                                                 .bootstrap = config->gae_time_limit == TIME_LIMIT_BOOTSTRAP && !rewards_alone(config),
                                                 .advantage = config->gae_advantage,
                                                 .target = config->gae_target}};
    self->context = *context;
    algorithm->flops = flops_of(context->policies, config);
    algorithm->bytes = bytes_of(context->policies, config);
    backend_memory_create(&self->memory, "algorithm", context->backend);
    self->now = annealed_at(config, 0);
    choose_self_play(rollout.self_play, config, context->policies);
    int code = choose_steps(&rollout.transitions, context, err);
    if (!code) code = rollout_create(&self->rollout, &rollout, vecenv_spec(context->env), context->policies->group, context->backend, err);
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

static void count_steps(struct algorithm *algorithm)
{
    const struct on_policy *self = algorithm->self;
    const struct transitions *x = self->rollout->transitions;
    if (!x->held) return;
    double steps = x->held_first[x->config.shards];
    comm_sum_double(self->context.comm, &steps, 1);
    algorithm->taken = (int64_t)steps;
}

int on_policy_collect(struct algorithm *algorithm, struct error *err)
{
    struct on_policy *self = algorithm->self;
    const int code = learner_collect(algorithm, self->rollout->collector, err);
    if (!code) count_steps(algorithm);
    return code;
}

int on_policy_finish(struct algorithm *algorithm, struct error *err)
{
    (void)err;
    struct on_policy *self = algorithm->self;
    rollout_finish(self->rollout);
    return 0;
}

void on_policy_learned(struct algorithm *algorithm)
{
    struct on_policy *self = algorithm->self;
    const struct transitions *x = self->rollout->transitions;
    running_norms_take(&self->norms);
    self_play_learned(&self->rollout->self_play, (int64_t)(x->step / (uint64_t)x->config.steps));
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
    transitions_fields(self->rollout->transitions, "/rollout", list);
    returns_fields(self->rollout->returns, "/rollout", list);
    states_fields(&self->rollout->states, "/rollout", list);
    self_play_fields(&self->rollout->self_play, "/rollout", list);
    return list->count - before;
}

void on_policy_pull(struct algorithm *algorithm)
{
    struct on_policy *self = algorithm->self;
    policies_pull(self->context.policies);
    returns_pull(self->rollout->returns);
    states_pull(&self->rollout->states);
    self_play_pull(&self->rollout->self_play);
}

void on_policy_push(struct algorithm *algorithm)
{
    struct on_policy *self = algorithm->self;
    policies_push(self->context.policies);
    returns_push(self->rollout->returns);
    states_push(&self->rollout->states);
    self_play_push(&self->rollout->self_play);
}
