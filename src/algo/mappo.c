/* MAPPO, IPPO, CoPPO and HAPPO as the training loop sees them: rollouts (on_policy.h) and PPO's update. The first two differ in what the critic
 * sees, CoPPO in the policy's loss; each group may have another of these. HAPPO updates agents one after another. */
#include <math.h>
#include <string.h>

#include "algo/happo.h"
#include "algo/on_policy.h"
#include "algo/ppo.h"
#include "config/choices.h"

struct mappo {
    struct on_policy base; /* first */
    struct ppo *ppo;
    struct happo *happo; /* agents learn in turn; else NULL */
    int64_t updates;
    struct ppo_metrics metrics[MAPPO_MAX_GROUPS];
    char **metric_name[MAPPO_MAX_GROUPS]; /* [METRICS] */
};

/* ---- from configuration to parts ----------------------------------------------------------------------------------------------------- */

/* One minibatch has all rows in any unit. */
static bool row_minibatches(const struct config *config)
{
    return config->ppo_minibatch_unit == UNIT_ROW && (config->ppo_minibatches > 1 || config->ppo_minibatch_size > 0);
}

static int create_policies(struct policies **policies, const struct config *config, const struct mappo_env_spec *spec,
                           struct backend *backend, struct error *err)
{
    struct policies_config how = {.central = true, .value_per_agent = row_minibatches(config)};
    for (int g = 0; g < spec->groups; g++)
        how.own_view[g] = algorithm_of_group(config, &spec->group[g], "ippo") || algorithm_of_group(config, &spec->group[g], "ppo");
    return policies_create(policies, &how, config, spec, backend, err);
}

/* Agents that learn in turn have actors of their own, and one critic unless it is asked for otherwise. */
static int happo_policies(struct policies **policies, const struct config *config, const struct mappo_env_spec *spec,
                          struct backend *backend, struct error *err)
{
    const struct policies_config how = {.central = true, .value_per_agent = row_minibatches(config), .one_critic = true};
    if (config_policy_share(config))
        return error_set(
            err, EXIT_USAGE,
            "happo updates agents one after another, each with an actor of its own, and policy.share=true gives them one: leave "
            "it out");
    return policies_create(policies, &how, config, spec, backend, err);
}

static int create_ppo(struct mappo *self, bool in_turn, struct error *err)
{
    const struct config *config = self->base.context.config;
    const struct comm *comm = self->base.context.comm;
    const int shards = comm_all_shards(comm);
    if (config->ppo_minibatch_size > 0 && config->rollout_envs % shards)
        return error_set(
            err, EXIT_USAGE,
            "ppo.minibatch_size=%d takes an equal part of every shard or rank, and rollout.envs=%d can't be divided by %d of them",
            (int)config->ppo_minibatch_size, (int)config->rollout_envs, shards);
    if (config->ppo_minibatch_size > 0 && self->base.rollout->transitions->held)
        return error_set(err, EXIT_USAGE,
                         "ppo.minibatch_size=%d makes as many minibatches as there is data, and whole episodes (rollout.unit) are another "
                         "amount each time: choose their number, ppo.minibatches",
                         (int)config->ppo_minibatch_size);
    const bool penalty = config->ppo_objective != OBJECTIVE_CLIP;
    struct ppo_config ppo = {
        .policy = {.clip = config->ppo_objective == OBJECTIVE_KL ? (real)INFINITY : (real)config->ppo_clip,
                   .entropy = (real)config->ppo_entropy,
                   .kl = penalty ? (real)config->ppo_kl_beta : 0},
        .value = {.clip = config->ppo_clip_value != CLIP_VALUE_OFF ? (real)config->ppo_clip : 0,
                  .huber_delta = (real)config->ppo_huber_delta,
                  .coefficient = (real)config->ppo_value_coef,
                  .only = config->ppo_clip_value == CLIP_VALUE_ONLY},
        .penalty = penalty,
        .penalty_kl = config->ppo_kl_target,
        .target_kl = config->ppo_target_kl,
        .critic_warmup = config->ppo_critic_warmup,
        .advantages = config->ppo_normalise_advantage,
        .range = in_turn ? 1 : 0,
        .joint = {.others_clip = (real)config->coppo_others_clip, .all_ratios = config->coppo_double_clip == DOUBLE_CLIP_OFFICIAL},
        .joint_clip = config->ppo_grad_clip == GRAD_CLIP_JOINT,
        .minibatch_size = (int)config->ppo_minibatch_size,
        .now = self->base.now,
        .max_grad_norm = (real)config->ppo_max_grad_norm,
        .epochs = (int)config->ppo_epochs,
        .minibatches = (int)config->ppo_minibatches,
        .chunk = (int)config->ppo_chunk,
        .row_minibatches = row_minibatches(config),
        .policy_active_masks = config->ppo_policy_active_masks,
        .value_active_masks = config->ppo_value_active_masks,
        .value_norm_beta = config->norm_beta,
        .adam = learner_adam(config),
        .seed = (uint64_t)config->train_seed};
    const struct mappo_env_spec *spec = vecenv_spec(self->base.context.env);
    for (int g = 0; g < spec->groups; g++)
        ppo.joint_ratios[g] = policy_learns(self->base.context.policies->group[g]) && algorithm_of_group(config, &spec->group[g], "coppo");
    return ppo_create(&self->ppo, &ppo, self->base.rollout, self->base.context.policies->group, self->base.context.comm,
                      self->base.context.backend, err);
}

/* ---- the loop's side ----------------------------------------------------------------------------------------------------------------- */

static int update(struct algorithm *algorithm, struct error *err)
{
    (void)err;
    struct mappo *self = algorithm->self;
    ppo_anneal(self->ppo, &self->base.now);
    if (self->happo)
        happo_update(self->happo, self->updates);
    else
        ppo_update(self->ppo, self->updates);
    on_policy_learned(algorithm);
    self->updates++;
    return 0;
}

static int outcome(struct algorithm *algorithm, struct error *err)
{
    struct mappo *self = algorithm->self;
    return ppo_outcome(self->ppo, self->metrics, err);
}

/* ---- what a checkpoint holds --------------------------------------------------------------------------------------------------------- */

static int fields(struct algorithm *algorithm, struct field_list *list)
{
    struct mappo *self = algorithm->self;
    const int before = list->count;
    on_policy_fields(algorithm, list);
    field_add(list, "/rollout/updates", FIELD_INT64, &self->updates, "updates",
              "updates so far: position of the permutations' random numbers", 0);
    ppo_fields(self->ppo, list);
    return list->count - before;
}

static void pull(struct algorithm *algorithm)
{
    const struct mappo *self = algorithm->self;
    on_policy_pull(algorithm);
    ppo_pull(self->ppo);
}

static void push(struct algorithm *algorithm)
{
    const struct mappo *self = algorithm->self;
    on_policy_push(algorithm);
    ppo_push(self->ppo);
}

/* ---- metrics ------------------------------------------------------------------------------------------------------------------------- */

/* Every number of struct ppo_metrics, once. */
#define PPO_METRICS(METRIC)                                                                                                                \
    METRIC(policy_loss, "1", "clipped surrogate as minimised, without the entropy bonus; mean over minibatches as all of these")           \
    METRIC(value_loss, "1", "value loss on the normalised scale, without its coefficient")                                                 \
    METRIC(entropy, "nat", "entropy of the policy, joint over its heads")                                                                  \
    METRIC(approx_kl, "nat", "KL(old || new) estimated by mean(r - 1 - log r)")                                                            \
    METRIC(clip_fraction, "1", "fraction of rows whose ratio left 1 ± ppo.clip; null with ppo.objective=kl, which clips nothing")          \
    METRIC(ratio, "1", "mean probability ratio r")                                                                                         \
    METRIC(explained_variance, "1", "1 - Var(R - V) / Var(R) of the rollout, V before the update")                                         \
    METRIC(actor_grad_norm, "1", "norm of the actor's gradient before clipping")                                                           \
    METRIC(critic_grad_norm, "1", "norm of the critic's gradient before clipping")                                                         \
    METRIC(value_mean, "reward", "mean of the value normaliser")                                                                           \
    METRIC(value_deviation, "reward", "standard deviation of the value normaliser")                                                        \
    METRIC(kl, "nat", "KL(old || new) of whole distributions over the rollout after the update, with ppo.objective=kl or clip_kl; else 0")

#define DESCRIBED(name, unit, help) {#name, unit, help, NAN},
#define PLACE(name, unit, help)     offsetof(struct ppo_metrics, name),
static const struct metric described[] = {PPO_METRICS(DESCRIBED){NULL, NULL, NULL, NAN}};
static const size_t place[] = {PPO_METRICS(PLACE)};
enum { METRICS = sizeof place / sizeof *place };

static int metrics(struct algorithm *algorithm, struct metric *out, int max)
{
    struct mappo *self = algorithm->self;
    return learner_metrics(out, max, described, place, METRICS, self->metrics, sizeof *self->metrics, self->metric_name,
                           self->base.context.policies->groups);
}

/* ---- beginning and end --------------------------------------------------------------------------------------------------------------- */

static void destroy(struct algorithm *algorithm)
{
    struct mappo *self = algorithm->self;
    ppo_destroy(self->ppo);
    on_policy_destroy(algorithm);
}

static const struct algorithm_ops ops = {
    on_policy_begin, on_policy_collect, on_policy_finish, update, outcome, on_policy_anneal, fields, pull, push, metrics, destroy, NULL};

static void create_happo_turns(struct mappo *self)
{
    const struct config *config = self->base.context.config;
    const struct happo_config happo = {.fixed = config->happo_order == ORDER_FIXED, .seed = (uint64_t)config->train_seed};
    happo_create(&self->happo, &happo, self->ppo, self->base.rollout, vecenv_spec(self->base.context.env),
                 self->base.context.policies->group, &self->base.memory);
}

static int create(struct algorithm *algorithm, const struct algorithm_context *context, bool in_turn, struct error *err)
{
    struct mappo *self = algorithm->self;
    /* Beside environments on the host the first actions wait for the update anyhow. */
    algorithm->ahead = context->where == COLLECT_DEVICE ? BACKEND_OUTCOMES - 1 : 0;
    int code = on_policy_create(algorithm, context, err);
    if (code == 0) code = create_ppo(self, in_turn, err);
    if (code) return code;
    if (in_turn) create_happo_turns(self);
    learner_name_metrics(self->metric_name, described, METRICS, context->policies, self->base.memory.arena);
    arena_seal(self->base.memory.arena);
    return 0;
}

static void warn_of_coppo(const struct algorithm_context *context)
{
    const struct config *config = context->config;
    const struct mappo_env_spec *spec = vecenv_spec(context->env);
    bool coppo = false;
    for (int g = 0; g < spec->groups; g++) coppo = coppo || algorithm_of_group(config, &spec->group[g], "coppo");
    if (coppo && config->coppo_double_clip == DOUBLE_CLIP_OFFICIAL && config->ppo_normalise_advantage != ADVANTAGES_RAW &&
        context->comm->rank == 0 && !context->silent)
        warn("coppo.double_clip=official has advantages as they are in its source: ppo.normalise_advantage=none");
}

static int create_together(struct algorithm *algorithm, const struct algorithm_context *context, struct error *err)
{
    warn_of_coppo(context);
    return create(algorithm, context, false, err);
}

static int create_happo(struct algorithm *algorithm, const struct algorithm_context *context, struct error *err)
{
    if (context->config->ppo_normalise_advantage == ADVANTAGES_MINIBATCH)
        return error_set(err, EXIT_USAGE,
                         "happo multiplies normalised advantages by what other agents have changed since, so that they are not normalised "
                         "once more by minibatch: ppo.normalise_advantage=rollout or none");
    return create(algorithm, context, true, err);
}

/* What a group's algorithm decides is asked where it matters. */
#define FUNCTIONS                                                                                                                          \
    {                                                                                                                                      \
        learner_horizon, create_policies, sizeof(struct mappo), &ops, create_together, described, "mappo ippo ppo coppo", true             \
    }
const struct algorithm_functions mappo_functions = FUNCTIONS, ippo_functions = FUNCTIONS, ppo_functions = FUNCTIONS,
                                 coppo_functions = FUNCTIONS;
const struct algorithm_functions happo_functions = {
    learner_horizon, happo_policies, sizeof(struct mappo), &ops, create_happo, described, NULL, false};
