#include "nn/policies.h"

#include <math.h>
#include <stdio.h>

#include "backend/kernels/distribution.h"
#include "base/arena.h"
#include "config/choices.h"
#include "env/spec.h"

static const char *const role_name[POLICY_ROLES] = {[ROLE_ACTOR] = "actor", [ROLE_CRITIC] = "critic"};

/* ---- from configuration to networks -------------------------------------------------------------------------------------------------- */

int policies_norm_obs(const struct config *config, const struct mappo_env_spec *spec)
{
    if (config->norm_obs != OBS_AUTO) return config->norm_obs;
    return !config_follows_reference(config) && spec_acts_in_reals(spec) ? OBS_RUNNING : OBS_NONE;
}

/* policy.hidden: the last number again and again. */
static int choose_widths(struct policy_config *policy, const struct config *config, struct error *err)
{
    int count = 0;
    while (count < CONFIG_LIST && config->policy_hidden[count]) count++;
    if (count > policy->layers)
        return error_set(err, EXIT_USAGE, "policy.hidden has %d widths for policy.layers=%d: policy.layers=%d", count, policy->layers,
                         count);
    for (int l = 0; l < policy->layers; l++) policy->width[l] = (int)config->policy_hidden[l < count ? l : count - 1];
    return 0;
}

/* policy.conv and its kernels, the last number again and again. */
static int choose_convolutions(struct policy_config *policy, const struct config *config, struct error *err)
{
    struct convolutions *conv = &policy->conv;
    int kernels = 0;
    conv->same = config->policy_conv_padding == PADDING_SAME;
    while (conv->layers < NETWORK_MAX_CONVS && config->policy_conv[conv->layers]) conv->layers++;
    while (kernels < CONFIG_LIST && config->policy_conv_kernel[kernels]) kernels++;
    if (conv->layers == 0) return 0;
    if (kernels > conv->layers)
        return error_set(err, EXIT_USAGE, "policy.conv_kernel has %d numbers for %d convolutions (policy.conv)", kernels, conv->layers);
    if (policy->feature_norm) return error_set(err, EXIT_USAGE, "policy.conv: images are convolved as they are: policy.feature_norm=off");
    for (int i = 0; i < conv->layers; i++) {
        conv->outputs[i] = (int)config->policy_conv[i];
        conv->kernel[i] = (int)config->policy_conv_kernel[i < kernels ? i : kernels - 1];
    }
    return 0;
}

static int choose_deviation(struct deviation *deviation, const struct config *config, struct error *err)
{
    const double constant = config->policy_fixed_std, first = config->policy_log_std, most = (double)LOG_STD_MOST;
    *deviation = (struct deviation){.kind = config_policy_std(config), .fixed_std = (float)constant};
    if (deviation->kind == STD_FIXED && constant <= 0)
        return error_set(err, EXIT_USAGE, "policy.std=fixed needs the deviation: policy.fixed_std=0.5, say");
    if (deviation->kind != STD_FIXED && constant > 0)
        return error_set(err, EXIT_USAGE, "policy.std=%s is a learned deviation, policy.fixed_std=%g a constant one: leave out one of them",
                         deviation->kind == STD_STATE ? "state" : "shared", constant);
    if (deviation->kind == STD_STATE && first > most)
        return error_set(err, EXIT_USAGE, "policy.log_std=%g: with policy.std=state log deviations end at %g: write at most that", first,
                         most);
    return 0;
}

int policies_action_columns(const struct mappo_group *group)
{
    int columns = 0;
    for (int h = 0; h < group->act_heads; h++) columns += slice_space_width(&group->act[h]);
    return columns;
}

static bool sees_all(const struct policies_config *how, int g)
{
    return how->central && !how->own_view[g];
}

static int critic_actions(const struct policies_config *how, const struct mappo_env_spec *spec, int g)
{
    int columns = 0;
    if (!how->actions) return 0;
    if (!sees_all(how, g)) return policies_action_columns(&spec->group[g]);
    for (int i = 0; i < spec->groups; i++) columns += spec->group[i].agents * policies_action_columns(&spec->group[i]);
    return columns;
}

/* Images are gone where a wrapper shows their numbers otherwise. */
static int blame_wrapper(const struct config *config, const struct mappo_env_spec *spec, int g, int code, struct error *err)
{
    bool image = false;
    const char *wrapper = config->wrap_stack_obs > 1 ? "wrap.stack_obs" : config->wrap_hide_obs[0] ? "wrap.hide_obs" : NULL;
    for (int h = 0; h < spec->group[g].obs_heads; h++) image = image || spec->group[g].obs[h].shape[0] > 0;
    if (config->policy_conv[0] && wrapper && !image) error_suffix(err, ", or without %s, behind which no image is one", wrapper);
    return code;
}

static int build_group(struct policies *policies, int g, const struct policies_config *how, const struct config *config,
                       const struct mappo_env_spec *spec, struct backend *backend, struct error *err)
{
    const bool own_choice = config->critic_share != SHARE_AUTO;
    struct policy_config policy = {
        .hidden = (int)config->policy_hidden[0],
        .layers = (int)config->policy_layers,
        .activation = config->policy_activation,
        .feature_norm = config_feature_norm(config),
        .layer_norm = config->policy_layer_norm,
        .chunk = config->policy_kind == KIND_GRU ? (int)config->ppo_chunk : 0,
        .init = config->policy_init, /* the key's choices are enum init_kind, in its order */
        .hidden_gain = isnan(config->policy_hidden_gain) ? 0 : config->policy_hidden_gain,
        .head_gain = (real)config->policy_gain,
        .log_std = (real)config->policy_log_std,
        .share = {[ROLE_ACTOR] = config_policy_share(config),
                  [ROLE_CRITIC] = own_choice ? config->critic_share == SHARE_TRUE : how->one_critic || config_policy_share(config)},
        .value_per_agent = how->value_per_agent,
        .normalizer = config->norm_value, /* the key's choices are enum normalizer_kind, in its order */
        .running_obs = policies_norm_obs(config, spec) == OBS_RUNNING,
        .running_reward = config->norm_reward == REWARD_RUNNING,
        .player = player_named(config_group(config, spec->group[g].name, GROUP_play)),
        .seed = (uint64_t)config->train_seed,
        .index = (uint32_t)g};
    struct critic_view view;
    const bool central = sees_all(how, g) && player_learns(policy.player);
    int code = choose_widths(&policy, config, err);
    if (code == 0) code = choose_convolutions(&policy, config, err);
    if (code == 0) code = choose_deviation(&policy.deviation, config, err);
    if (code == 0) code = critic_view_choose(&view, central, config, spec, g, err);
    policy.critic_input = view.input;
    policy.concatenate = view.concatenate;
    if (how->actions) policy.critic_input = sees_all(how, g) ? CRITIC_STATE : CRITIC_OBS; /* beside actions, what agents see */
    if (how->actions) policy.concatenate = true;
    policy.real = how->real;
    policy.actions = critic_actions(how, spec, g);
    if (code == 0) code = policy_build(policies->group[g], &policy, spec, g, backend, err);
    return code ? blame_wrapper(config, spec, g, code, err) : 0;
}

int policies_create(struct policies **out, const struct policies_config *how, const struct config *config,
                    const struct mappo_env_spec *spec, struct backend *backend, struct error *err)
{
    struct arena *arena = arena_create("policies");
    struct policies *policies = ARENA_NEW(arena, struct policies, 1);
    policies->arena = arena;
    int code = 0;
    for (; policies->groups < spec->groups && !code; policies->groups++) {
        policies->group[policies->groups] = ARENA_NEW(arena, struct policy, 1);
        code = build_group(policies, policies->groups, how, config, spec, backend, err);
    }
    arena_seal(arena);
    if (code)
        policies_destroy(policies);
    else
        *out = policies;
    return code;
}

void policies_destroy(struct policies *policies)
{
    if (!policies) return;
    for (int g = 0; g < policies->groups; g++) policy_clear(policies->group[g]);
    arena_destroy(policies->arena);
}

int policies_team(const struct policies *policies, const struct mappo_env_spec *spec)
{
    const int first = policy_first_learning(policies->group, policies->groups);
    return first < 0 ? 0 : spec->group[first].team;
}

/* ---- between host and backend, and between ranks ------------------------------------------------------------------------------------- */

void policies_broadcast(struct policies *policies, struct comm *comm)
{
    for (int g = 0; g < policies->groups; g++) {
        struct policy *policy = policies->group[g];
        comm_broadcast(comm, policy->host.parameters, policy->size * sizeof(real));
        policy_push(policy);
    }
}

void policies_pull(struct policies *policies)
{
    for (int g = 0; g < policies->groups; g++) policy_pull(policies->group[g]);
}

void policies_push(struct policies *policies)
{
    for (int g = 0; g < policies->groups; g++) policy_push(policies->group[g]);
}

/* ---- what a checkpoint holds --------------------------------------------------------------------------------------------------------- */

void policies_network_fields(const struct policy *policy, int role, int set, real *data, const struct policies_path *path,
                             struct field_list *list)
{
    struct tensor tensor[NETWORK_MAX_TENSORS];
    const int count = network_tensors(policy_network(policy, role), tensor, NETWORK_MAX_TENSORS);
    char agent[16] = "";
    if (policy_apart(policy, role)) snprintf(agent, sizeof agent, "/%d", set);
    for (int i = 0; i < count; i++) {
        char name[sizeof list->field->name], description[sizeof list->field->description];
        CHECK(snprintf(name, sizeof name, "/%s/%s%s%s%s/%s/%s%s%s", path->top, policy->name, path->copy ? "/" : "",
                       path->copy ? path->copy : "", agent, path->network, path->part, path->part[0] ? "/" : "",
                       tensor[i].name) < (int)sizeof name,
              "name of a parameter is too long: /%s/%s", path->top, policy->name);
        snprintf(description, sizeof description, "%s%s", path->meaning, tensor[i].description);
        if (tensor[i].rank == 4)
            field_add(list, name, FIELD_REAL, data + tensor[i].offset, "1", description, 4, (int64_t)tensor[i].shape[0],
                      (int64_t)tensor[i].shape[1], (int64_t)tensor[i].shape[2], (int64_t)tensor[i].shape[3]);
        else if (tensor[i].rank == 2)
            field_add(list, name, FIELD_REAL, data + tensor[i].offset, "1", description, 2, (int64_t)tensor[i].shape[0],
                      (int64_t)tensor[i].shape[1]);
        else
            field_add(list, name, FIELD_REAL, data + tensor[i].offset, "1", description, 1, (int64_t)tensor[i].shape[0]);
    }
}

/* One network's tensors out of a block of the policy. */
static void add_network(struct field_list *list, const char *top, const struct policy *policy, int role, int set, real *block,
                        const char *part, const char *meaning)
{
    const struct policies_path path = {top, role_name[role], part, meaning, NULL};
    if (set < policy->sets[role]) policies_network_fields(policy, role, set, policy_network_at(policy, block, role, set), &path, list);
}

static void add_normalizer(struct field_list *list, const struct policy *policy, int set)
{
    if (policy->normalizer == NORMALIZER_NONE || set >= policy->sets[ROLE_CRITIC]) return;
    char name[sizeof list->field->name], agent[16] = "";
    if (policy_apart(policy, ROLE_CRITIC)) snprintf(agent, sizeof agent, "/%d", set);
    snprintf(name, sizeof name, "/policy/%s%s/value_norm", policy->name, agent);
    field_add(list, name, FIELD_DOUBLE, &policy->host.norm[set], "reward, reward^2, 1",
              "ValueNorm or PopArt: running mean, mean of squares and debiasing term of the returns; V = mean/debias + deviation * output",
              1, (int64_t)3);
}

static void add_running(struct field_list *list, const struct policy *policy, int which)
{
    static const struct {
        const char *name, *units, *rows;
    } about[POLICY_RUNNING] = {[RUNNING_OBS] = {"obs_norm", "1", "observations of the group's agents"},
                               [RUNNING_STATE] = {"state_norm", "1", "inputs of the group's critics"},
                               [RUNNING_REWARD] = {"reward_norm", "reward", "discounted returns, by whose deviation rewards are divided"}};
    const struct running *running = &policy->host.running[which];
    char name[sizeof list->field->name], description[sizeof list->field->description];
    if (running->width == 0) return;
    for (int i = 0; i < 3; i++) {
        static const char *const part[] = {"count", "mean", "variance"}, *const meaning[] = {"how many", "running mean of",
                                                                                             "running variance of"};
        snprintf(name, sizeof name, "/policy/%s/%s/%s", policy->name, about[which].name, part[i]);
        snprintf(description, sizeof description, "%s %s", meaning[i], about[which].rows);
        if (i == 0)
            field_add(list, name, FIELD_DOUBLE, running->moments, "rows", description, 0);
        else
            field_add(list, name, FIELD_DOUBLE, running->moments + 1 + (i - 1) * running->width, about[which].units, description, 1,
                      (int64_t)running->width);
    }
}

void policies_block_fields(const struct policy *policy, real *block, const char *top, const char *meaning, struct field_list *list)
{
    for (int role = 0; role < POLICY_ROLES; role++)
        for (int set = 0; set < policy->sets[role]; set++) add_network(list, top, policy, role, set, block, "", meaning);
}

void policies_fields(struct policies *policies, struct field_list *list)
{
    for (int g = 0; g < policies->groups; g++) {
        struct policy *policy = policies->group[g];
        const struct policy_arrays *host = &policy->host;
        int sets = 0;
        for (int role = 0; role < POLICY_ROLES; role++) sets = policy->sets[role] > sets ? policy->sets[role] : sets;
        for (int set = 0; set < sets; set++) { /* in this order in the file */
            for (int role = 0; role < POLICY_ROLES; role++) add_network(list, "policy", policy, role, set, host->parameters, "", "");
            for (int role = 0; role < POLICY_ROLES && policy_learns(policy); role++) {
                add_network(list, "optimizer", policy, role, set, host->m, "exp_avg", "Adam's first moment of: ");
                add_network(list, "optimizer", policy, role, set, host->v, "exp_avg_sq", "Adam's second moment of: ");
            }
            add_normalizer(list, policy, set);
        }
        for (int i = 0; i < POLICY_RUNNING; i++) add_running(list, policy, i);
        if (!policy_learns(policy)) continue;
        char name[sizeof list->field->name];
        snprintf(name, sizeof name, "/optimizer/%s/step", policy->name);
        field_add(
            list, name, FIELD_INT64, &policy->updates, "steps",
            "optimiser steps of this group's networks so far; networks with an actor_step or critic_step of their own count for themselves",
            0);
    }
}
