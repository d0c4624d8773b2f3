/* A2C (Mnih et al. 2016, arXiv:1602.01783, in its synchronous form): a learner of one's own, which docs/algorithms.md goes through. After
 * every rollout each network makes one step: actors along the policy gradient, critics towards the returns. Nothing here is PPO's.
 * Agents of a group share their networks, values are in reward units, and the environments of a rank are one shard. */
#include "algo/on_policy.h"

enum { NETWORKS = MAPPO_MAX_GROUPS * POLICY_ROLES, METRICS = 3 };

struct a2c {
    struct on_policy base; /* first */
    int networks;          /* actor and critic of group 0, of group 1, … */
    struct train_pass pass[NETWORKS];
    struct optimizer_pass step[NETWORKS];
    struct numbers { /* what an update is told, and what comes of it */
        struct update_numbers now;
        struct policy_objective policy;
        struct value_objective value;
        struct optimizer optimizer[NETWORKS];
        struct fault fault;
    } numbers, *there;             /* the host's; the backend's */
    real *vector;                  /* the backend's: gradients of all networks, and behind them [networks][PASS_SUMS] */
    size_t gradients, length;      /* of the former, of both */
    real sum[NETWORKS][PASS_SUMS]; /* the host's */
};

static int policies(struct policies **out, const struct config *c, const struct mappo_env_spec *spec, struct backend *b, struct error *err)
{
    return policies_create(out, &(struct policies_config){.central = true}, c, spec, b, err);
}

/* The network of a role of group g: how its gradient and its step are made. */
static void add(struct a2c *a, int g, int role, real *gradient)
{
    const struct config *config = a->base.context.config;
    const struct policy *policy = a->base.context.policies->group[g];
    const int i = a->networks++;
    struct train_pass *pass = &a->pass[i];
    *pass = rollout_pass(a->base.rollout, g, role, 0, 0);
    pass->gradient = gradient;
    pass->sum = a->vector + a->gradients + i * PASS_SUMS;
    /* The critics' inputs are packed already, for their values. */
    if (role == ROLE_ACTOR) pass->policy.objective = &a->there->policy;
    if (role == ROLE_ACTOR) pass->packed = backend_memory_packed(&a->base.memory, pass->net, pass->batch.units * pass->batch.rows);
    if (role == ROLE_CRITIC) pass->value.objective = &a->there->value;
    a->step[i] = policy_step(policy, role, 0, gradient, &a->there->now);
    a->step[i].optimizer = &a->there->optimizer[i];
    a->step[i].fault = &a->there->fault;
    a->numbers.optimizer[i].divisor = (double)(config->rollout_steps * config->rollout_envs * policy->sizes.agents); /* rows of all ranks */
}

static int create(struct algorithm *algorithm, const struct algorithm_context *context, struct error *err)
{
    struct a2c *a = algorithm->self;
    struct policy *const *group = context->policies->group;
    const int groups = context->policies->groups, code = on_policy_create(algorithm, context, err);
    if (code) return code;
    for (int g = 0; g < groups; a->gradients += group[g++]->size)
        if (policy_apart(group[g], ROLE_ACTOR) || policy_apart(group[g], ROLE_CRITIC) || group[g]->normalizer ||
            group[g]->net[ROLE_ACTOR].gru || context->local_shards > 1 || a->base.rollout->transitions->held)
            return error_set(
                err, EXIT_USAGE,
                "a2c needs policy=mlp, policy.share=1, critic.share=auto, norm.value=none, comm.reproducible=0, rollout.unit=steps");
    a->length = a->gradients + (size_t)groups * POLICY_ROLES * PASS_SUMS;
    a->there = BACKEND_NEW(&a->base.memory, struct numbers, 1);
    /* Without a clip the gradient of ratio * advantage is advantage * ∇ log π. */
    a->numbers.policy = (struct policy_objective){.clip = INFINITY, .entropy = (real)context->config->ppo_entropy};
    a->numbers.value = (struct value_objective){.coefficient = 1};
    a->vector = BACKEND_NEW(&a->base.memory, real, a->length);
    real *gradient = a->vector; /* as the parameters lie */
    for (int g = 0; g < groups; gradient += group[g++]->size)
        for (int role = 0; role < POLICY_ROLES; role++) add(a, g, role, policy_network_at(group[g], gradient, role, 0));
    comm_reserve(context->comm, 1, a->length, 0);
    return 0;
}

static int update(struct algorithm *algorithm, struct error *err)
{
    (void)err;
    struct a2c *a = algorithm->self;
    const struct algorithm_context *context = &a->base.context;
    const struct config *config = context->config;
    struct backend *backend = context->backend;
    const struct optimizer_rules rules = {.max_grad_norm = config->ppo_max_grad_norm,
                                          .mean_weight = 1,
                                          .adam = {config->adam_beta1, config->adam_beta2, config->adam_eps, config->adam_weight_decay}};
    a->numbers.now = (struct update_numbers){
        .steps = context->policies->group[0]->updates, .actor_rate = a->base.now.actor_rate, .critic_rate = a->base.now.critic_rate};
    backend->upload(backend, a->there, &a->numbers, sizeof a->numbers);
    for (int g = 0; g < context->policies->groups; g++) {
        const struct train_pass *actor = &a->pass[POLICY_ROLES * g];
        backend->pack(backend, actor->net, policy_inputs(context->policies->group[g], ROLE_ACTOR), &actor->packed,
                      a->base.rollout->transitions->all.group[g].obs, &actor->batch, 1);
    }
    backend->train(backend, a->pass, a->networks);
    comm_sum_shards(context->comm, a->vector, 1, a->length);
    backend->optimizer_step(backend, &rules, a->step, a->networks);
    on_policy_learned(algorithm);
    return 0;
}

static int outcome(struct algorithm *algorithm, struct error *err)
{
    struct a2c *a = algorithm->self;
    struct backend *backend = a->base.context.backend;
    if (rollout_check(a->base.rollout, err)) return err->code;
    backend->download(backend, &a->numbers, a->there, sizeof a->numbers);
    backend->download(backend, a->sum, a->pass[0].sum, (size_t)a->networks * sizeof *a->sum);
    if (a->numbers.fault.kind) return error_set(err, EXIT_NUMERICAL, "a gradient is not finite; parameters are as before");
    for (int g = 0; g < a->base.rollout->groups; g++) a->base.context.policies->group[g]->updates++;
    return 0;
}

static const struct metric described[METRICS + 1] = {
    {"policy_loss", "1", "- advantage, mean over rows; sum over groups, as the others", NAN},
    {"value_loss", "1", "squared error of values, halved", NAN},
    {"entropy", "nat", "of the policy", NAN}};

static int metrics(struct algorithm *algorithm, struct metric *out, int max)
{
    const struct a2c *a = algorithm->self;
    double value[METRICS] = {0};
    for (int i = 0; i < a->networks; i++) {
        value[i % POLICY_ROLES] += (double)a->sum[i][SUM_LOSS] / a->numbers.optimizer[i].divisor;
        value[POLICY_ROLES] += (double)a->sum[i][SUM_ENTROPY] / a->numbers.optimizer[i].divisor; /* a critic's is 0 */
    }
    for (int i = 0; i < METRICS && i < max; i++) out[i] = described[i], out[i].value = value[i];
    return METRICS < max ? METRICS : max;
}

static const struct algorithm_ops ops = {on_policy_begin, on_policy_collect, on_policy_finish,  update,
                                         outcome,         on_policy_anneal,  on_policy_fields,  on_policy_pull,
                                         on_policy_push,  metrics,           on_policy_destroy, NULL};
static const struct algorithm_functions functions = {learner_horizon, policies, sizeof(struct a2c), &ops, create, described, NULL, false};
const struct algorithm_type algorithms[] = {{"a2c", "synchronous advantage actor-critic", &functions}, {NULL, NULL, NULL}};
