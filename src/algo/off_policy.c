/* MADDPG and DDPG as the training loop sees them: some steps into a replay (replay.h), then some updates from it (maddpg.h). They differ in
 * what the critic sees; each group may have another of them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "algo/learner.h"
#include "algo/maddpg.h"
#include "base/text.h"
#include "config/choices.h"
#include "env/spec.h"

enum { FORM_PORT, FORM_OPENAI };  /* maddpg.form */
enum { DRAW_WITHOUT, DRAW_WITH }; /* maddpg.draw */

struct off_policy {
    struct algorithm_context context;
    struct backend_memory memory;
    struct replay *replay;
    struct maddpg *maddpg;
    struct annealed now;
    int each;            /* updates of a call */
    uint64_t first_step; /* of it: number of its first step */
    bool records; /* calls are the same every time: actors move in the same updates of each, and no sum over ranks waits for the host */
    struct repeated recorded;
    struct explore_numbers *explore;                                   /* the backend's; NULL = nothing is added to actions */
    float *process[MAPPO_MAX_GROUPS], *host_process[MAPPO_MAX_GROUPS]; /* [E][A][Kr] state of EXPLORE_OU; NULL = none */
    struct maddpg_metrics metrics[MAPPO_MAX_GROUPS];
    char **metric_name[MAPPO_MAX_GROUPS]; /* [METRICS] */
};

/* ---- from configuration to parts ----------------------------------------------------------------------------------------------------- */

static int updates_each(const struct config *config)
{
    enum { STEPS_OF_AN_UPDATE = 100 };
    if (config->maddpg_updates > 0) return (int)config->maddpg_updates;
    const int64_t updates = (config->rollout_steps * config->rollout_envs + STEPS_OF_AN_UPDATE / 2) / STEPS_OF_AN_UPDATE;
    return updates > 1 ? (int)updates : 1;
}

static const int real_kind[] = {[ACTOR_TANH] = REAL_TANH, [ACTOR_SOFTMAX] = REAL_SOFTMAX, [ACTOR_GAUSSIAN] = REAL_TANH_GAUSSIAN};

/* Real actions are tanh of something, so that bounds must be -1 and 1; or points of the simplex, whose numbers lie between 0 and 1. Without
 * bounds that is where they stay. */
static int check_space(const struct mappo_group *group, const struct mappo_space *space, const struct config *config, struct error *err)
{
    const bool simplex = config->maddpg_actor == ACTOR_SOFTMAX;
    const double least = simplex ? 0 : -1;
    if (simplex && space->size == 1)
        return error_set(
            err, EXIT_USAGE,
            "maddpg.actor=softmax is of actions that share a whole, and one of group \"%s\" is a single number: maddpg.actor=tanh",
            group->name);
    for (int i = 0; i < space->size; i++) {
        const double low = space->low ? (double)space->low[i] : -INFINITY, high = space->high ? (double)space->high[i] : INFINITY;
        if ((low == least && high == 1) || !isfinite(low) || !isfinite(high)) continue;
        return error_set(err, EXIT_USAGE,
                         "algo=%s with maddpg.actor=%s acts from %g to 1, and actions of group \"%s\" go from %g to %g: %s",
                         algorithms[config->algo_name].name,
                         simplex                              ? "softmax"
                         : config->maddpg_actor == ACTOR_TANH ? "tanh"
                                                              : "gaussian",
                         least, group->name, low, high,
                         !simplex ? "wrap.rescale_action=1"
                         : config->wrap_rescale_action
                             ? "maddpg.actor=tanh, or wrap.rescale_action=0 where the environment's own numbers lie between 0 and 1"
                             : "maddpg.actor=tanh wrap.rescale_action=1");
    }
    return 0;
}

static int check_actions(const struct mappo_env_spec *spec, const struct config *config, struct error *err)
{
    int code = 0;
    if (config->policy_squash == SQUASH_TANH)
        return error_set(err, EXIT_USAGE, "algo=%s has the tanh of real actions in its actors: policy.squash=none",
                         algorithms[config->algo_name].name);
    if (config->maddpg_actor == ACTOR_GAUSSIAN && config_policy_std(config) == STD_STATE && spec_acts_in_reals(spec))
        return error_set(
            err, EXIT_USAGE,
            "maddpg.actor=gaussian has one deviation of each number, whatever the state: policy.std=shared, or policy.fixed_std");
    if (config->maddpg_actor == ACTOR_SOFTMAX && !spec_acts_in_reals(spec))
        return error_set(
            err, EXIT_USAGE,
            "maddpg.actor=softmax gives the environment the whole vector, and this one takes choices: env.soft_actions=1 where it "
            "has that option (suite mpe), or maddpg.actor=tanh, with which choices are drawn");
    for (int g = 0; g < spec->groups && !code; g++)
        for (int h = 0; h < spec->group[g].act_heads && !code; h++)
            if (spec->group[g].act[h].kind == MAPPO_BOX) code = check_space(&spec->group[g], &spec->group[g].act[h], config, err);
    return code;
}

static int check_policies(const struct policies *policies, const struct config *config, struct error *err)
{
    if (config->rollout_unit == UNIT_EPISODES)
        return error_set(err, EXIT_USAGE, "algo=%s replays single steps: rollout.unit=steps", algorithms[config->algo_name].name);
    for (int g = 0; g < policies->groups; g++) {
        const struct policy *p = policies->group[g];
        if (!policy_learns(p)) continue;
        for (int role = 0; role < POLICY_ROLES; role++)
            if (p->sizes.agents > 1 && !policy_apart(p, role))
                return error_set(err, EXIT_USAGE,
                                 "algo=%s has an actor and a critic of each agent; group \"%s\" would share them: %s=false",
                                 algorithms[config->algo_name].name, p->name,
                                 role == ROLE_CRITIC && config->critic_share == SHARE_TRUE ? "critic.share" : "policy.share");
        if (p->net[ROLE_ACTOR].gru)
            return error_set(err, EXIT_USAGE, "algo=%s replays single steps, of which a GRU remembers nothing: policy=mlp",
                             algorithms[config->algo_name].name);
        if (p->net[ROLE_ACTOR].conv.layers)
            return error_set(err, EXIT_USAGE, "algo=%s derives its critics by actions, which convolutions here cannot: policy.conv=none",
                             algorithms[config->algo_name].name);
        if (p->net[ROLE_CRITIC].feature_norm)
            return error_set(err, EXIT_USAGE, "algo=%s takes inputs as they are, actions among them: policy.feature_norm=off",
                             algorithms[config->algo_name].name);
        if (p->normalizer != NORMALIZER_NONE || p->running[RUNNING_OBS].width || p->running[RUNNING_REWARD].width)
            return error_set(err, EXIT_USAGE,
                             "algo=%s normalises neither values nor what it replays: norm.value=none, norm.obs=none, norm.reward=none",
                             algorithms[config->algo_name].name);
    }
    return 0;
}

static int create_policies(struct policies **policies, const struct config *config, const struct mappo_env_spec *spec,
                           struct backend *backend, struct error *err)
{
    struct policies_config how = {.central = true, .actions = true, .real = real_kind[config->maddpg_actor]};
    for (int g = 0; g < spec->groups; g++) how.own_view[g] = algorithm_of_group(config, &spec->group[g], "ddpg");
    int code = check_actions(spec, config, err);
    if (!code) code = policies_create(policies, &how, config, spec, backend, err);
    if (code) return code;
    if ((code = check_policies(*policies, config, err))) {
        policies_destroy(*policies);
        *policies = NULL;
    }
    return code;
}

/* Of training: an evaluation asks no critic. */
static int check_played(const struct policies *policies, struct error *err)
{
    for (int g = 0; g < policies->groups; g++)
        for (int other = 0; other < policies->groups && !policy_learns(policies->group[g]); other++)
            if (policy_learns(policies->group[other]) && policies->group[other]->critic_input != CRITIC_OBS)
                return error_set(err, EXIT_USAGE,
                                 "group.%s.play: critics of algo=maddpg ask for the actors of all agents, and group \"%s\" learns none; "
                                 "algo=ddpg does without",
                                 policies->group[g]->name, policies->group[g]->name);
    return 0;
}

/* Steps of every environment that the replay holds. */
static int64_t ring_steps(const struct config *config)
{
    return config->maddpg_buffer / config->rollout_envs;
}

/* Environments of the smallest shard: the same on every rank. */
static int64_t smallest_shard(const struct off_policy *self)
{
    return self->context.config->rollout_envs / self->context.comm->size / self->context.local_shards;
}

/* Of rows of agents that a rank's arrays have places for. */
static int64_t most_steps(const struct off_policy *self)
{
    int agents = 1;
    for (int g = 0; g < self->context.policies->groups; g++) {
        const int here = self->context.policies->group[g]->sizes.agents;
        agents = here > agents ? here : agents;
    }
    return INT32_MAX / self->context.envs / agents - 1;
}

/* A batch has every step at most once. */
static bool draws_once(const struct config *config)
{
    return config->maddpg_draw == DRAW_WITHOUT && !(config->replay_priority > 0);
}

static int check_replay(const struct off_policy *self, struct error *err)
{
    const struct config *config = self->context.config;
    const int64_t steps = ring_steps(config), shards = comm_all_shards(self->context.comm);
    if (config->maddpg_batch % shards)
        return error_set(err, EXIT_USAGE,
                         "maddpg.batch=%lld can't be divided by %lld shards or ranks, each of which draws its part from its own steps",
                         (long long)config->maddpg_batch, (long long)shards);
    if (steps < config->rollout_steps)
        return error_set(
            err, EXIT_USAGE,
            "maddpg.buffer=%lld is %lld steps of each of rollout.envs=%lld environments, and rollout.steps=%lld of them are taken at "
            "once: maddpg.buffer=%lld or more",
            (long long)config->maddpg_buffer, (long long)steps, (long long)config->rollout_envs, (long long)config->rollout_steps,
            (long long)(config->rollout_steps * config->rollout_envs));
    if (draws_once(config) && config->maddpg_batch / shards > steps * smallest_shard(self))
        return error_set(err, EXIT_USAGE, "maddpg.batch=%lld is more than maddpg.buffer=%lld holds; maddpg.draw=with draws steps twice",
                         (long long)config->maddpg_batch, (long long)config->maddpg_buffer);
    return 0;
}

static void warn_of_late_start(const struct off_policy *self)
{
    const struct config *config = self->context.config;
    const int64_t most = ring_steps(config) * config->rollout_envs;
    int64_t first = config->maddpg_start < most ? config->maddpg_start : most;
    if (first < config->maddpg_batch && draws_once(config)) first = config->maddpg_batch;
    if (first > config->train_env_steps && self->context.comm->rank == 0 && !self->context.silent)
        warn("nothing will be learned: %lld steps are to be held before the first update (maddpg.start, maddpg.batch), and the run ends "
             "after train.env_steps=%lld",
             (long long)first, (long long)config->train_env_steps);
}

/* A replay is by far the largest thing of a run, and memory that nobody has touched can be had without being there. A device's is planned. `ring`:
 * as far as its arrays can have places. */
static int check_memory(struct algorithm *algorithm, const struct replay_config *ring, struct error *err)
{
    const struct off_policy *self = algorithm->self;
    const struct algorithm_context *context = &self->context;
    const struct config *config = context->config;
    const double whole = (double)ring_steps(config), held = ring->transitions.steps;
    const double bytes = (double)replay_ring_bytes(ring, vecenv_spec(context->env)) * whole / held, left = (double)memory_free();
    const double here = context->backend->host_memory && !context->backend->planning ? bytes * context->comm->local_size : 0;
    const double fit = here > left ? fmin(0.8 * left / here * whole, held) : held;
    char size[32];
    text_bytes(size, sizeof size, bytes);
    text_format(algorithm->note, sizeof algorithm->note, "replay: %lld steps of each of %d environments, %s%s%s",
                (long long)ring_steps(config), context->envs, size, context->comm->size > 1 ? " a rank" : "",
                config->replay_priority > 0 ? ", drawn by priority" : "");
    if (fit >= whole) return 0;
    if (here <= left)
        return error_set(err, EXIT_USAGE,
                         "maddpg.buffer=%lld is more than a replay of this environment has places for on a rank: %lld is the most",
                         (long long)config->maddpg_buffer, (long long)fit * (long long)config->rollout_envs);
    return error_set(err, EXIT_USAGE,
                     "not enough memory: the replay needs %.4g GB (%.0f bytes) on this machine, of which %.4g GB (%.0f bytes) are free; "
                     "maddpg.buffer=%lld of its %lld steps would fit",
                     here * 1e-9, here, left * 1e-9, left, (long long)fit * (long long)config->rollout_envs,
                     (long long)config->maddpg_buffer);
}

/* ---- exploration --------------------------------------------------------------------------------------------------------------------- */

/* Actors that draw their actions need nothing added to them. */
static int explore_kind(const struct config *config)
{
    return config->maddpg_actor == ACTOR_GAUSSIAN ? EXPLORE_NONE : (int)config->maddpg_explore;
}

/* A collector's actions, before environments take them. */
static void acted(void *learner, const struct mappo_env_io *at, int k, int lo, int hi)
{
    const struct off_policy *self = learner;
    const struct transitions *x = self->replay->transitions;
    const struct policies *policies = self->context.policies;
    struct explore_pass pass[MAPPO_MAX_GROUPS];
    uint32_t agent = 0;
    int passes = 0;
    for (int g = 0; g < policies->groups; agent += (uint32_t)policies->group[g++]->sizes.agents) {
        if (!policy_learns(policies->group[g])) continue;
        pass[passes++] = (struct explore_pass){.dist = &policies->group[g]->dist,
                                               .kind = explore_kind(self->context.config),
                                               .clipped = self->context.config->wrap_clip_action,
                                               .agents = policies->group[g]->sizes.agents,
                                               .lo = lo,
                                               .hi = hi,
                                               .numbers = self->explore,
                                               .mask = at->group[g].act_mask,
                                               .act_int = (int32_t *)(uintptr_t)at->group[g].act_int,
                                               .act_real = (float *)(uintptr_t)at->group[g].act_real,
                                               .state = self->process[g],
                                               .seed = (uint64_t)self->context.config->train_seed,
                                               .step = self->first_step + (uint64_t)k,
                                               .first_env = self->context.first_env,
                                               .first_agent = agent};
    }
    const uint64_t before = self->first_step + (uint64_t)k;
    for (int i = 0; i < passes && before > 0; i++)
        pass[i].ep_end = x->all.ep_end + (size_t)transitions_place(x, before - 1) * (size_t)x->config.envs;
    self->context.backend->explore(self->context.backend, pass, passes);
}

static void create_exploration(struct off_policy *self, const struct mappo_env_spec *spec)
{
    const struct config *config = self->context.config;
    const bool reals = spec_acts_in_reals(spec) && explore_kind(config) != EXPLORE_NONE;
    if (!reals && config->maddpg_epsilon == 0) return;
    self->explore = BACKEND_NEW(&self->memory, struct explore_numbers, 1);
    for (int g = 0; g < spec->groups && explore_kind(config) == EXPLORE_OU; g++) {
        const struct group_sizes sizes = group_sizes(&spec->group[g]);
        const size_t n = (size_t)self->context.envs * (size_t)(sizes.agents * sizes.act_reals);
        if (n == 0 || !policy_learns(self->context.policies->group[g])) continue;
        self->process[g] = BACKEND_NEW(&self->memory, float, n);
        self->host_process[g] = self->context.backend->host_memory ? self->process[g] : ARENA_NEW(self->memory.arena, float, n);
    }
}

static int create_replay(struct algorithm *algorithm, struct error *err)
{
    struct off_policy *self = algorithm->self;
    const struct algorithm_context *context = &self->context;
    const struct config *config = context->config;
    const struct comm *comm = context->comm;
    const int64_t steps = ring_steps(config), most = most_steps(self);
    struct collect_config collect = learner_collecting(context);
    collect.learner = self;
    collect.acted = self->explore ? acted : NULL;
    const struct replay_config replay = {.transitions = learner_transitions(context, (int)(steps < most ? steps : most)),
                                         .collect = collect,
                                         .rows = (int)config->maddpg_batch / comm_all_shards(comm),
                                         .replacement = config->maddpg_draw == DRAW_WITH,
                                         .priorities = {.exponent = (float)config->replay_priority,
                                                        .floor = (float)config->replay_floor,
                                                        .fresh = (int)config->rollout_steps,
                                                        .comm = context->comm}};
    const int code = check_memory(algorithm, &replay, err);
    return code ? code : replay_create(&self->replay, &replay, vecenv_spec(context->env), context->policies->group, &self->memory, err);
}

static void create_maddpg(struct off_policy *self)
{
    const struct algorithm_context *context = &self->context;
    const struct config *config = context->config;
    const struct maddpg_config maddpg = {.rules = config->maddpg_form == FORM_OPENAI ? maddpg_openai : maddpg_port,
                                         .gamma = (real)config->maddpg_gamma,
                                         .tau = (real)config->maddpg_tau,
                                         .temperature = (real)config->maddpg_temperature,
                                         .penalty = (real)config->maddpg_penalty,
                                         .max_grad_norm = config->maddpg_max_grad_norm,
                                         .adam = learner_adam(config),
                                         .twin = config->maddpg_twin,
                                         .delay = config->maddpg_twin ? (int)config->maddpg_delay : 1,
                                         .smoothing = (real)config->maddpg_smoothing,
                                         .smoothing_clip = (real)config->maddpg_smoothing_clip,
                                         .batch = (int)config->maddpg_batch,
                                         .updates = self->each,
                                         .seed = (uint64_t)config->train_seed,
                                         .first_row = self->replay->config.transitions.first_shard * (uint32_t)self->replay->config.rows};
    maddpg_create(&self->maddpg, &maddpg, &self->replay->batch, self->replay->numbers, context->policies->group, context->policies->groups,
                  context->comm, &self->memory);
}

/* ---- the loop's side ----------------------------------------------------------------------------------------------------------------- */

static size_t process_bytes(const struct off_policy *self, int g)
{
    const struct group_sizes *sizes = &self->context.policies->group[g]->sizes;
    return self->process[g] ? (size_t)self->context.envs * (size_t)(sizes->agents * sizes->act_reals) * sizeof(float) : 0;
}

/* Episodes begin anew with a new run, and where the environment has no snapshots: then networks and targets are a checkpoint's all the same. */
static int begin(struct algorithm *algorithm, bool restored, struct error *err)
{
    struct off_policy *self = algorithm->self;
    struct backend *backend = self->context.backend;
    if (!restored) policies_broadcast(self->context.policies, self->context.comm);
    if (maddpg_updates(self->maddpg) == 0) maddpg_begin(self->maddpg);
    for (int g = 0; g < self->context.policies->groups && !restored; g++) {
        if (!self->process[g]) continue;
        memset(self->host_process[g], 0, process_bytes(self, g));
        if (!backend->host_memory) backend->upload(backend, self->process[g], self->host_process[g], process_bytes(self, g));
    }
    const int code = collect_begin(self->replay->collector, self->context.env, restored, err);
    replay_count(self->replay, maddpg_updates(self->maddpg), self->now.beta);
    priorities_rebuild(self->replay->priorities);
    return code;
}

static int collect(struct algorithm *algorithm, struct error *err)
{
    struct off_policy *self = algorithm->self;
    const struct explore_numbers numbers = {(float)(self->context.config->maddpg_noise * self->now.noise),
                                            (float)(self->context.config->maddpg_epsilon * self->now.noise)};
    struct backend *backend = self->context.backend;
    self->first_step = self->replay->transitions->step;
    if (self->explore) backend->upload(backend, self->explore, &numbers, sizeof numbers);
    return learner_collect(algorithm, self->replay->collector, err);
}

static int finish(struct algorithm *algorithm, struct error *err)
{
    (void)algorithm;
    (void)err;
    return 0;
}

/* Enough is held: what maddpg.start says, or all that there is room for, and a batch without replacement in every shard. */
static bool learns(const struct off_policy *self)
{
    const struct config *config = self->context.config;
    const struct transitions *x = self->replay->transitions;
    const int64_t held = x->filled * smallest_shard(self);
    if (!transitions_full(x) && x->filled * config->rollout_envs < config->maddpg_start) return false;
    return draws_once(config) ? held >= self->replay->config.rows : held > 0;
}

static int update(struct algorithm *algorithm, struct error *err)
{
    (void)err;
    struct off_policy *self = algorithm->self;
    struct backend *backend = self->context.backend;
    replay_count(self->replay, maddpg_updates(self->maddpg), self->now.beta);
    priorities_renew(self->replay->priorities);
    if (!learns(self)) return 0;
    maddpg_start(self->maddpg, &self->now);
    if (!self->records || !backend_replayed(backend, &self->recorded)) {
        for (int k = 0; k < self->each; k++) {
            replay_draw(self->replay, k);
            maddpg_learn(self->maddpg, k);
            priorities_learn(self->replay->priorities, k);
        }
        if (self->records) backend_recorded(backend, &self->recorded);
    }
    return 0;
}

static int outcome(struct algorithm *algorithm, struct error *err)
{
    struct off_policy *self = algorithm->self;
    int code = device_check_wait(&self->replay->collector->check, self->context.env, err);
    if (!code) code = maddpg_outcome(self->maddpg, self->metrics, err);
    return code;
}

static void anneal(struct algorithm *algorithm, const struct annealed *now)
{
    struct off_policy *self = algorithm->self;
    self->now = *now;
}

/* ---- what a checkpoint holds --------------------------------------------------------------------------------------------------------- */

static int fields(struct algorithm *algorithm, struct field_list *list)
{
    struct off_policy *self = algorithm->self;
    const int before = list->count;
    policies_fields(self->context.policies, list);
    maddpg_fields(self->maddpg, list);
    transitions_fields(self->replay->transitions, "/replay", list);
    for (int g = 0; g < self->context.policies->groups; g++) {
        const struct policy *p = self->context.policies->group[g];
        char name[sizeof list->field->name];
        snprintf(name, sizeof name, "/replay/%s/noise", p->name);
        if (self->process[g])
            field_add(list, name, FIELD_BYTES, self->host_process[g], "bytes", "state of the process that is added to real actions, floats",
                      2, (int64_t)self->context.envs, (int64_t)(p->sizes.agents * p->sizes.act_reals) * (int64_t)sizeof(float))
                ->per_env = true;
    }
    return list->count - before;
}

static int64_t list_replay(struct algorithm *algorithm, struct field_list *list)
{
    struct off_policy *self = algorithm->self;
    return replay_list(self->replay, "/replay", vecenv_spec(self->context.env), list);
}

static void pull(struct algorithm *algorithm)
{
    const struct off_policy *self = algorithm->self;
    policies_pull(self->context.policies);
    maddpg_pull(self->maddpg);
    for (int g = 0; g < self->context.policies->groups && !self->context.backend->host_memory; g++)
        self->context.backend->download(self->context.backend, self->host_process[g], self->process[g], process_bytes(self, g));
}

static void push(struct algorithm *algorithm)
{
    const struct off_policy *self = algorithm->self;
    policies_push(self->context.policies);
    maddpg_push(self->maddpg);
    for (int g = 0; g < self->context.policies->groups && !self->context.backend->host_memory; g++)
        self->context.backend->upload(self->context.backend, self->process[g], self->host_process[g], process_bytes(self, g));
}

/* ---- metrics ------------------------------------------------------------------------------------------------------------------------- */

#define MADDPG_METRICS(METRIC)                                                                                                             \
    METRIC(actor_loss, "1", "-Q of the policy's actions, with the penalty on its outputs; mean over agents and updates, as the critic's")  \
    METRIC(critic_loss, "reward^2", "squared error of Q from one-step targets")                                                            \
    METRIC(actor_grad_norm, "1", "norm of the actor's gradient before clipping")                                                           \
    METRIC(critic_grad_norm, "1", "norm of the critic's gradient before clipping")

#define DESCRIBED(name, unit, help) {#name, unit, help, NAN},
#define PLACE(name, unit, help)     offsetof(struct maddpg_metrics, name),
static const struct metric described[] = {MADDPG_METRICS(DESCRIBED){NULL, NULL, NULL, NAN}};
static const size_t place[] = {MADDPG_METRICS(PLACE)};
enum { METRICS = sizeof place / sizeof *place };

static int metrics(struct algorithm *algorithm, struct metric *out, int max)
{
    struct off_policy *self = algorithm->self;
    return learner_metrics(out, max, described, place, METRICS, self->metrics, sizeof *self->metrics, self->metric_name,
                           self->context.policies->groups);
}

/* ---- beginning and end --------------------------------------------------------------------------------------------------------------- */

static void destroy(struct algorithm *algorithm)
{
    struct off_policy *self = algorithm->self;
    backend_forget(self->context.backend, &self->recorded);
    replay_destroy(self->replay);
    backend_memory_destroy(&self->memory);
}

static const struct algorithm_ops ops = {.begin = begin,
                                         .collect = collect,
                                         .finish = finish,
                                         .update = update,
                                         .outcome = outcome,
                                         .anneal = anneal,
                                         .fields = fields,
                                         .pull = pull,
                                         .push = push,
                                         .metrics = metrics,
                                         .destroy = destroy,
                                         .replay = list_replay};

/* A step is stored once; those of a batch are read and written. */
static void count_work(struct algorithm *algorithm)
{
    const struct off_policy *self = algorithm->self;
    const struct transitions_config *ring = &self->replay->config.transitions;
    const struct config *config = self->context.config;
    const double each = self->each / (double)(config->rollout_steps * config->rollout_envs), /* updates for a step */
        step = (double)replay_ring_bytes(&self->replay->config, vecenv_spec(self->context.env)) / ((double)ring->steps * ring->envs);
    algorithm->flops = maddpg_flops(self->maddpg) * each;
    algorithm->bytes = step * (1 + 2 * (double)config->maddpg_batch * each);
}

static int create(struct algorithm *algorithm, const struct algorithm_context *context, struct error *err)
{
    struct off_policy *self = algorithm->self;
    self->context = *context;
    self->now = annealed_at(context->config, 0);
    self->each = updates_each(context->config);
    backend_memory_create(&self->memory, "replay", context->backend);
    int code = check_played(context->policies, err);
    if (code == 0) code = check_replay(self, err);
    if (code == 0) warn_of_late_start(self);
    create_exploration(self, vecenv_spec(context->env));
    if (code == 0) code = create_replay(algorithm, err);
    if (code) return code;
    create_maddpg(self);
    self->records = comm_on_stream(context->comm) && (!context->config->maddpg_twin || self->each % context->config->maddpg_delay == 0);
    count_work(algorithm);
    learner_name_metrics(self->metric_name, described, METRICS, context->policies, self->memory.arena);
    arena_seal(self->memory.arena);
    return 0;
}

#define FUNCTIONS                                                                                                                          \
    {                                                                                                                                      \
        learner_horizon, create_policies, sizeof(struct off_policy), &ops, create, described, "maddpg ddpg", false                         \
    }
const struct algorithm_functions maddpg_functions = FUNCTIONS, ddpg_functions = FUNCTIONS;
