#include "run/learning.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "algo/collect.h"
#include "algo/ppo.h"
#include "backend/kernels/explore.h"
#include "backend/kernels/gae.h"
#include "base/philox.h"
#include "base/text.h"
#include "config/choices.h"
#include "env/spec.h"
#include "run/evaluate.h"
#include "run/open_env.h"

/* ---- backend ------------------------------------------------------------------------------------------------------------------------- */

static struct backend_config backend_config(const struct config *config, const struct comm *comm, int threads, int level)
{
    return (struct backend_config){.name = "cpu",
                                   .threads = threads,
                                   .level = level,
                                   .device = (int)config->cuda_device,
                                   .local_rank = comm->local_rank + comm->device_offset,
                                   .precision = config->cuda_precision,
                                   .graphs = config->cuda_graphs};
}

int learning_devices(const struct config *config)
{
    if (config->backend_name == BACKEND_CPU || !backend_built("cuda")) return 0;
    const int devices = backend_devices("cuda");
    return devices > 1 && config->cuda_device >= 0 ? 1 : devices;
}

/* Sums over ranks in the backend's own memory. */
static int attach(struct learning *learning, const struct config *config, struct comm *comm, struct error *err)
{
    if (!learning->backend->messages) return 0;
    const int code = comm_attach_device(comm, learning->backend->messages, config->comm_gpu, err);
    if (!code) learning->comm = comm;
    return code;
}

int learning_backend(struct learning *learning, const struct config *config, struct comm *comm, int threads, int level, struct error *err)
{
    struct backend_config wanted = backend_config(config, comm, threads, level);
    if (config->backend_name == BACKEND_CPU || (config->backend_name == BACKEND_AUTO && !backend_built("cuda")))
        return comm_vote(comm, backend_open(&learning->backend, &wanted, err), err);
    struct error failed = {0};
    wanted.name = "cuda";
    const int code = comm_vote(comm, backend_open(&learning->backend, &wanted, &failed), &failed);
    if (!code) return attach(learning, config, comm, err);
    if (learning->backend) learning->backend->close(learning->backend);
    learning->backend = NULL;
    /* A device that was named counts, also where backend is auto. */
    const bool named = config->cuda_device >= 0 && backend_devices("cuda") > 0;
    if (config->backend_name == BACKEND_CUDA || named) return error_set(err, failed.code, "%s", failed.text);
    text_format(learning->why_cpu, sizeof learning->why_cpu, "%.500s", failed.text);
    wanted.name = "cpu";
    return comm_vote(comm, backend_open(&learning->backend, &wanted, err), err);
}

/* Given on the command line; or in a file with another value than it has anyway: the config.ini of a run names every key. */
static bool was_asked_for(const struct config *config, int k)
{
    char value[CONFIG_TEXT];
    if (config->origin[k] != ORIGIN_FILE) return config->origin[k] == ORIGIN_COMMAND_LINE;
    struct config *usual = malloc(sizeof *usual);
    CHECK(usual, "out of memory while looking at the configuration");
    config_defaults(usual);
    char usually[CONFIG_TEXT];
    config_value(usual, k, usually, sizeof usually);
    config_value(config, k, value, sizeof value);
    free(usual);
    return strcmp(value, usually) != 0;
}

static bool some_group_learns_by(const struct learning *l, const struct config *c, const char *name)
{
    bool some = false;
    for (int g = 0; g < l->policies->groups && !some; g++)
        some = strcmp(algorithms[config_group_algo(c, l->policies->group[g]->name)].name, name) == 0;
    return some;
}

static bool all_see_their_own(const struct policies *policies)
{
    bool all = true;
    for (int g = 0; g < policies->groups; g++) all = all && policies->group[g]->critic_input == CRITIC_OBS;
    return all;
}

/* Why key k, which learners that replay read alone or don't, changes nothing; NULL where it may. */
static const char *why_idle_in_replay(const struct learning *l, const struct config *c, bool replays, int k)
{
    static const char *const of_rollouts[] = {"ppo", "coppo", "happo", "gae", "critic"};
    const char *section = config_keys[k].section;
    const bool drawing = strcmp(section, "replay") == 0 && k != KEY_replay_save;
    if (!replays) return drawing || strcmp(section, "maddpg") == 0 ? "algo=maddpg and algo=ddpg alone read it" : NULL;
    if (drawing && k != KEY_replay_priority && !(c->replay_priority > 0)) return "steps are drawn alike (replay.priority)";
    for (size_t i = 0; i < sizeof of_rollouts / sizeof *of_rollouts; i++)
        if (strcmp(section, of_rollouts[i]) == 0 && k != KEY_critic_share) return "an algorithm with a replay doesn't read it";
    static const char draws[] = "actors draw their actions (maddpg.actor=gaussian)";
    const bool gaussian = c->maddpg_actor == ACTOR_GAUSSIAN;
    bool reals = false, choices = false;
    for (int g = 0; g < l->policies->groups; g++) {
        reals = reals || l->policies->group[g]->dist.act_reals > 0;
        choices = choices || l->policies->group[g]->dist.act_ints > 0;
    }
    switch (k) {
    case KEY_maddpg_temperature:
        return choices ? NULL : "no action is a choice";
    case KEY_maddpg_draw:
        return c->replay_priority > 0 ? "steps are drawn by their priorities, some twice (replay.priority)" : NULL;
    case KEY_maddpg_actor:
        return reals ? NULL : "no action is a real number";
    case KEY_maddpg_explore:
        return !reals ? "no action is a real number" : gaussian ? draws : NULL;
    case KEY_policy_std:
    case KEY_policy_log_std:
    case KEY_policy_fixed_std:
        return gaussian ? NULL : "actors are deterministic (maddpg.explore, maddpg.noise)";
    case KEY_maddpg_delay:
    case KEY_maddpg_smoothing:
    case KEY_maddpg_smoothing_clip:
        return !c->maddpg_twin                   ? "there is one critic (maddpg.twin)"
               : !reals && k != KEY_maddpg_delay ? "no action is a real number"
                                                 : NULL;
    case KEY_maddpg_noise:
        return !reals                              ? "no action is a real number"
               : gaussian                          ? draws
               : c->maddpg_explore == EXPLORE_NONE ? "nothing is added to actions (maddpg.explore)"
                                                   : NULL;
    case KEY_maddpg_noise_schedule:
        return c->maddpg_epsilon > 0 || (reals && !gaussian && c->maddpg_explore != EXPLORE_NONE && c->maddpg_noise > 0)
                   ? NULL
                   : "there is no noise (maddpg.explore, maddpg.epsilon)";
    default:
        return NULL;
    }
}

/* Why key k changes nothing beside the other settings; NULL where it may. */
static const char *why_idle(const struct learning *l, const struct config *c, const struct comm *comm, int k)
{
    const bool device = !l->backend->host_memory || l->for_device;
    const int learning = policy_first_learning(l->policies->group, l->policies->groups);
    const struct policy *first = l->policies->group[learning < 0 ? 0 : learning];
    const bool replays = some_group_learns_by(l, c, "maddpg") || some_group_learns_by(l, c, "ddpg");
    const char *idle = why_idle_in_replay(l, c, replays, k);
    if (idle) return idle;
    if (strcmp(config_keys[k].section, "coppo") == 0 && !some_group_learns_by(l, c, "coppo")) return "algo=coppo alone reads it";
    if (strcmp(config_keys[k].section, "happo") == 0 && !some_group_learns_by(l, c, "happo")) return "algo=happo alone reads it";
    if (strcmp(config_keys[k].section, "cuda") == 0) return device ? NULL : "networks are computed on the CPU";
    switch (k) {
    case KEY_comm_gpu:
        return !device ? "networks are computed on the CPU" : comm->size == 1 ? "one rank learns, and has nothing to add up" : NULL;
    case KEY_replay_save:
        return l->algorithm && !l->algorithm->ops->replay ? "this algorithm keeps no replay" : NULL;
    case KEY_comm_shards:
        return c->comm_reproducible ? NULL : "shards are made with comm.reproducible=1 only";
    case KEY_adam_schedule_steps:
        return !what_is_annealed(c) && c->adam_schedule_steps ? "nothing is annealed (adam.schedule, ppo.clip_schedule, "
                                                                "ppo.entropy_schedule, maddpg.noise_schedule, replay.beta_schedule)"
                                                              : NULL;
    case KEY_ppo_kl_beta:
    case KEY_ppo_kl_target:
        return c->ppo_objective == OBJECTIVE_CLIP ? "no penalty is part of the loss (ppo.objective)" : NULL;
    case KEY_ppo_clip:
    case KEY_ppo_clip_schedule:
        return c->ppo_objective == OBJECTIVE_KL && c->ppo_clip_value == CLIP_VALUE_OFF
                   ? "nothing is clipped (ppo.objective, ppo.clip_value)"
                   : NULL;
    case KEY_ppo_grad_clip:
        return first->sets[ROLE_ACTOR] != first->sets[ROLE_CRITIC]
                   ? "actors and critics belong to different agents (policy.share, critic.share), and each is clipped by itself"
                   : NULL;
    case KEY_gae_lambda:
        return c->gae_advantage != ESTIMATE_GAE && c->gae_target != ESTIMATE_GAE ? "nothing is estimated by it (gae.advantage, gae.target)"
                                                                                 : NULL;
    case KEY_gae_time_limit:
        return c->gae_advantage == ESTIMATE_REWARD_TO_GO && c->gae_target == ESTIMATE_REWARD_TO_GO
                   ? "rewards to go end with the episode (gae.advantage, gae.target)"
                   : NULL;
    case KEY_ppo_chunk:
        return first->net[ROLE_ACTOR].gru ? NULL : "no network is recurrent (policy.kind)";
    case KEY_ppo_minibatches:
        return c->ppo_minibatch_size > 0 ? "ppo.minibatch_size says how many there are" : NULL;
    case KEY_critic_state:
    case KEY_critic_agent_id:
        return all_see_their_own(l->policies) ? "the critic of this algorithm sees the agent's own observation" : NULL;
    case KEY_wrap_noise_hold:
        return c->wrap_noise_action > 0 ? NULL : "no noise is added to actions (wrap.noise_action)";
    case KEY_norm_beta:
        return c->norm_value == NORMALIZER_NONE ? "nothing is normalised (norm.value)" : NULL;
    case KEY_policy_conv_kernel:
    case KEY_policy_conv_padding:
        return c->policy_conv[0] == 0 ? "nothing is convolved (policy.conv)" : NULL;
    case KEY_policy_gain:
    case KEY_policy_hidden_gain:
        return c->policy_init == INIT_TORCH ? "weights are drawn without gains (policy.init=torch)" : NULL;
    case KEY_eval_deterministic:
        return c->eval_play != PLAY_TRAINED ? "who plays has no networks (eval.play)" : NULL;
    case KEY_render_fps:
    case KEY_render_every:
    case KEY_render_size:
        return c->render_interval ? NULL : "nothing is filmed while training (render.interval)";
    case KEY_train_stop_return:
        return c->checkpoint_best == BEST_EVAL && c->eval_interval == 0 && c->eval_env_steps == 0 && !isnan(c->train_stop_return)
                   ? "no evaluation is made (eval.env_steps, checkpoint.best)"
                   : NULL;
    case KEY_policy_log_std:
        if (c->policy_fixed_std > 0) return "the deviation is policy.fixed_std";
        /* fall through */
    case KEY_policy_squash:
    case KEY_policy_std:
    case KEY_policy_fixed_std:
    case KEY_wrap_clip_action:
    case KEY_wrap_rescale_action:
        return spec_acts_in_reals(vecenv_spec(l->env)) ? NULL : "no action of this environment is a real number (Box)";
    default:
        return NULL;
    }
}

static void warn_of_endless(const struct vecenv *env)
{
    if (vecenv_spec(env)->max_steps) return;
    warn("environment \"%s\" names no longest episode: one that does not end counts in no return, and evaluations wait for it; "
         "wrap.time_limit=N truncates it",
         vecenv_descriptor(env)->id);
}

/* Why a setting of a group changes nothing; NULL where it may. */
static const char *why_group_idle(const struct learning *l, const struct policy *policy, int key, bool chosen /* by eval.play */)
{
    const bool evaluates = !l->algorithm && !l->planner;
    switch (key) {
    case GROUP_algo:
        return policy_learns(policy) ? NULL : "the group learns nothing";
    case GROUP_play:
        if (evaluates && chosen) return "eval.play says who plays all groups";
        return evaluates && policy->player == PLAY_SELF ? "evaluations play what groups have become, and none of their past selves" : NULL;
    default:
        return policy->player != PLAY_SELF ? "the group has no pool of past selves" : evaluates ? "evaluations play none of them" : NULL;
    }
}

static void warn_of_groups(const struct learning *l, const struct config *config)
{
    for (int g = 0; g < l->policies->groups; g++) {
        const struct policy *policy = l->policies->group[g];
        for (int k = 0; k < CONFIG_GROUP_KEYS; k++) {
            const char *why = why_group_idle(l, policy, k, config->eval_play != PLAY_TRAINED);
            const char *value = config_group(config, policy->name, k);
            if (!why || !config_is_explicit(config_group_origin(config, policy->name, k))) continue;
            if (strcmp(value, config_group_keys[k].def) == 0) continue;
            warn("group.%s.%s has no effect here: %s (group.%s.play=%s)", policy->name, config_group_keys[k].name, why, policy->name,
                 config_group(config, policy->name, GROUP_play));
        }
    }
}

/* Its first past self would be kept when no update follows. */
static void warn_of_empty_pools(const struct learning *l, const struct config *config)
{
    const double steps = (double)config->rollout_envs * algorithm_horizon(config) * (double)config->wrap_action_repeat;
    const double updates = ceil((double)config->train_env_steps / steps);
    for (int g = 0; g < l->policies->groups; g++) {
        const struct policy *policy = l->policies->group[g];
        const double interval = policy->player == PLAY_SELF ? config_group_number(config, policy->name, GROUP_pool_interval) : 0;
        if (interval >= updates)
            warn("group.%s.pool_interval=%.0f: the run has %.0f update%s, so no past self is ever kept and the group plays the newest "
                 "alone; "
                 "a tenth of that would be %.0f",
                 policy->name, interval, updates, updates == 1 ? "" : "s", fmax(1, floor(updates / 10)));
    }
}

/* The simplex is left by noise of both signs. */
static void warn_of_simplex(const struct learning *l, const struct config *config)
{
    char kind[CONFIG_TEXT];
    const bool replays = some_group_learns_by(l, config, "maddpg") || some_group_learns_by(l, config, "ddpg");
    const bool signs = config->maddpg_explore == EXPLORE_GAUSSIAN || config->maddpg_explore == EXPLORE_OU;
    if (!replays || config->maddpg_actor != ACTOR_SOFTMAX || !signs || config->maddpg_noise == 0) return;
    config_value(config, KEY_maddpg_explore, kind, sizeof kind);
    warn("maddpg.explore=%s beside maddpg.actor=softmax: actions with such noise are no points of the simplex and may be negative; "
         "maddpg.explore=uniform adds none that is below 0, maddpg.explore=none leaves them as they are",
         kind);
}

void learning_warn(const struct learning *learning, const struct config *config, const struct comm *comm)
{
    if (comm->rank) return;
    for (int k = 0; k < config_key_count; k++) {
        const char *why = why_idle(learning, config, comm, k);
        if (why && was_asked_for(config, k)) warn("%s.%s has no effect here: %s", config_keys[k].section, config_keys[k].name, why);
    }
    warn_of_groups(learning, config);
    if (!learning->algorithm && !learning->planner) return;                                       /* nothing is learned */
    if (config->origin[KEY_wrap_time_limit] != ORIGIN_CHECKPOINT) warn_of_endless(learning->env); /* at a run's first start */
    warn_of_empty_pools(learning, config);
    warn_of_simplex(learning, config);
}

/* ---- environments and algorithm ------------------------------------------------------------------------------------------------------ */

/* Of a group whose actions the host chooses: "group.prey.play=random"; NULL where there is none. */
static const char *host_player(const struct learning *l, const struct config *config, char *text, size_t size)
{
    const struct mappo_env_spec *spec = vecenv_spec(l->env);
    for (int g = 0; g < spec->groups; g++) {
        const char *play = config_group(config, spec->group[g].name, GROUP_play);
        text_format(text, size, "group.%s.play=%s", spec->group[g].name, play);
        if (!player_has_networks(player_named(play))) return text;
    }
    return NULL;
}

/* On the device where they can. */
static bool step_on_device(struct learning *l, const struct config *config)
{
    char why[192] = "cuda.environments=false";
    struct backend *backend = l->planner ? l->planner : l->backend;
    if (config->cuda_environments && !host_player(l, config, why, sizeof why) &&
        vecenv_attach(l->env, backend->environments, backend, why, sizeof why)) {
        text_format(l->where, sizeof l->where, "environments step on the device");
        return true;
    }
    text_format(l->where, sizeof l->where, "environments step on the host: %s", why);
    return false;
}

/* On the device, where the other ranks of a pod then have nothing to do; or on all ranks of the pod; or here. */
static int open_environments(struct learning *l, const struct config *config, int stages, struct error *err)
{
    const struct open_env_config batch = {.envs = l->envs,
                                          .seed = (uint64_t)config->train_seed,
                                          .stream = PHILOX_ENVIRONMENT,
                                          .threads = l->backend->threads,
                                          .horizon = algorithm_horizon(config),
                                          .report = (int32_t)config->metrics_window};
    const bool shared = l->pod && l->pod->members > 1, host = l->backend->host_memory;
    if (!shared || (!host && config->cuda_environments)) {
        const int code = open_env(&l->env, config, &batch, err);
        if (code) return code;
        const bool on_device = !host && step_on_device(l, config);
        if (!shared || on_device) return 0;
        vecenv_close(l->env);
        l->env = NULL;
    }
    return pod_env_open(&l->env, l->pod, config, &batch, stages, l->backend->messages, err);
}

/* Beside the CPU backend environments write into the rollout, unless their place has memory of its own or they step elsewhere: then one half
 * is inferred while the other steps (of whole episodes each environment plays by itself). */
static int collect_where(const struct learning *l, const struct config *config)
{
    const bool halves = vecenv_steps_elsewhere(l->env) && config->rollout_unit != UNIT_EPISODES;
    if (vecenv_on_device(l->env)) return COLLECT_DEVICE;
    return l->backend->host_memory && !l->for_device && !vecenv_owns_memory(l->env) && !halves ? COLLECT_DIRECT : COLLECT_STAGED;
}

static struct algorithm_context context_of(const struct learning *l, const struct config *config, struct comm *comm)
{
    return (struct algorithm_context){.config = config,
                                      .backend = l->backend,
                                      .comm = comm,
                                      .first_env = (uint32_t)l->envs.first,
                                      .envs = l->envs.count,
                                      .local_shards = comm->shards ? comm->shards / comm->size : 1};
}

static int open_planner(struct learning *l, const struct config *config, const struct comm *comm, struct error *err)
{
    struct backend_config wanted = backend_config(config, comm, l->backend->threads, l->backend->level);
    wanted.name = l->backend->name;
    wanted.planning = true;
    return l->backend->memory_plan ? backend_open(&l->planner, &wanted, err) : 0;
}

/* What environments, algorithm and evaluations will take of the planner's memory, by parts in l->memory: they are created once where
 * allocations are only added up. EXIT_USAGE where a learner can't be made, or a device has less. */
static int plan(struct learning *l, const struct config *config, const struct algorithm_context *context, size_t *need, struct error *err)
{
    struct backend *planner = l->planner;
    struct algorithm_context planned = *context;
    struct algorithm *algorithm = NULL;
    struct evaluator *evaluator = NULL;
    struct policies **policies = &planned.policies;
    planned.backend = planner;
    int code = algorithm_policies(policies, config, vecenv_spec(l->env), planner, err);
    if (!code) code = algorithm_create(&algorithm, &planned, err);
    if (!code && plays_episodes(config)) code = evaluator_create(&evaluator, config, *policies, planner, context->comm, 1, err);
    if (!code) code = planner->memory_plan(planner, need, l->memory, sizeof l->memory, err);
    if (!code) text_format(l->note, sizeof l->note, "%s", algorithm->note);
    evaluator_destroy(evaluator);
    algorithm_destroy(algorithm);
    policies_destroy(*policies);
    return code;
}

/* Before anything is taken of a device's memory: what was planned is reserved, and the environments move there. */
static int reserve(struct learning *l, const struct config *config, const struct algorithm_context *context, struct error *err)
{
    struct backend *planner = l->planner;
    char why[192];
    size_t need = 0;
    struct algorithm_context silent = *context;
    silent.silent = true;
    const int code = plan(l, config, &silent, &need, err);
    if (code) return code;
    l->backend->memory_reserve(l->backend, need);
    const bool moved = context->where != COLLECT_DEVICE || vecenv_attach(l->env, l->backend->environments, l->backend, why, sizeof why);
    CHECK(moved, "environments that were planned on the device do not run there: %s", why);
    planner->close(planner);
    l->planner = NULL;
    return 0;
}

/* Can all groups be played as the configuration asks for? */
static int check_players(const struct learning *l, struct error *err)
{
    for (int g = 0; g < l->policies->groups; g++)
        if (l->policies->group[g]->player == PLAY_SCRIPTED && !vecenv_can_script(l->env))
            return error_set(err, EXIT_USAGE, "group.%s.play=scripted: %s has no scripted player; random, noop or a run can play it",
                             l->policies->group[g]->name, vecenv_descriptor(l->env)->id);
    return 0;
}

int learning_open(struct learning *l, const struct config *config, struct comm *comm, struct error *err)
{
    l->envs = comm_part((int)config->rollout_envs, comm->rank, comm->size);
    struct algorithm_context context = context_of(l, config, comm);
    int code = open_planner(l, config, comm, err);
    if (code) return code;
    if ((code = open_environments(l, config, collect_stages(l->envs.count, context.local_shards), err))) return code;
    context.env = l->env;
    context.where = collect_where(l, config);
    context.attended = l->may_spin && context.where == COLLECT_STAGED && !l->backend->host_memory && !vecenv_steps_elsewhere(l->env);
    if (l->planner && (code = reserve(l, config, &context, err))) return code;
    if ((code = algorithm_policies(&l->policies, config, vecenv_spec(l->env), l->backend, err))) return code;
    if ((code = check_players(l, err))) return code;
    context.policies = l->policies;
    return algorithm_create(&l->algorithm, &context, err);
}

int64_t learning_env_steps(const struct learning *l, const struct config *config)
{
    return l->algorithm->taken * config->wrap_action_repeat;
}

int learning_open_alone(struct learning *l, const struct config *config, struct error *err)
{
    int code = open_env_alone(&l->env, config, err);
    l->envs = (struct comm_part){0, 1};
    if (!code) code = algorithm_policies(&l->policies, config, vecenv_spec(l->env), l->backend, err);
    return code ? code : check_players(l, err);
}

int learning_plan(struct learning *l, const struct config *config, struct comm *comm, size_t *need, struct error *err)
{
    struct backend_config wanted = backend_config(config, comm, l->backend->threads, l->backend->level);
    struct algorithm_context context = context_of(l, config, comm);
    const struct comm_part envs = comm_part((int)config->rollout_envs, comm->rank, comm->size);
    context.first_env = (uint32_t)envs.first;
    context.envs = envs.count;
    context.env = l->env;
    context.where = collect_where(l, config);
    wanted.planning = true;
    const int code = backend_open(&l->planner, &wanted, err);
    return code ? code : plan(l, config, &context, need, err);
}

void learning_close(struct learning *l)
{
    algorithm_destroy(l->algorithm);
    policies_destroy(l->policies);
    vecenv_close(l->env);
    if (l->planner) l->planner->close(l->planner);
    if (l->comm) comm_detach_device(l->comm);
    if (l->backend) l->backend->close(l->backend);
    *l = (struct learning){.pod = l->pod};
}
