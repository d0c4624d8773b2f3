#include "nn/policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "nn/distribution.h"
#include "nn/images.h"

static int choose_state(struct policy *policy, const struct policy_config *config, const struct mappo_env_spec *spec, int group,
                        struct error *err)
{
    struct critic_view view = {.input = config->critic_input, .concatenate = config->concatenate};
    const int code = critic_view_measure(&view, spec, group, err);
    policy->critic_input = view.input;
    policy->concatenate = view.concatenate;
    policy->actions = config->actions;
    policy->state_size = view.size;
    policy->state_rows = view.rows;
    policy->value_agents = policy_apart(policy, ROLE_CRITIC) || config->value_per_agent ? policy->sizes.agents : policy->state_rows;
    return code;
}

static int build_networks(struct policy *policy, const struct policy_config *config, const struct mappo_env_spec *spec, int group,
                          int actor_extra, struct error *err)
{
    struct network_config net = {.inputs = policy->sizes.obs,
                                 .hidden = config->hidden,
                                 .layers = config->layers,
                                 .heads = policy->dist.heads,
                                 .log_std_rows = policy->dist.log_std_output ? policy->dist.act_reals : 0,
                                 .extra = actor_extra,
                                 .activation = config->activation,
                                 .feature_norm = config->feature_norm,
                                 .layer_norm = config->layer_norm,
                                 .conv = config->conv,
                                 .gru = config->chunk > 0 && policy->sets[ROLE_ACTOR] > 0,
                                 .gru_steps = config->chunk,
                                 .by_layer = config->actions > 0};
    memcpy(net.width, config->width, sizeof net.width);
    for (int i = 0; i < policy->dist.heads; i++) net.head_rows[i] = policy->dist.head[i].size;
    int code = 0;
    if (policy->sets[ROLE_ACTOR] == 0) net.conv.layers = 0;
    if ((code = images_of_agent(&net.conv, spec, group, err))) return code;
    network_build(&policy->net[ROLE_ACTOR], &net);
    net.inputs = policy->state_size + policy->actions;
    net.gru = config->chunk > 0 && policy->sets[ROLE_CRITIC] > 0; /* a role that is not there remembers nothing */
    net.heads = 1;
    net.log_std_rows = 0;
    net.head_rows[0] = 1;
    net.extra = 0;
    const struct critic_view view = {.input = policy->critic_input, .concatenate = policy->concatenate};
    if (policy->sets[ROLE_CRITIC] == 0) net.conv.layers = 0;
    if ((code = images_of_critic(&net.conv, spec, group, &view, err))) return code;
    network_build(&policy->net[ROLE_CRITIC], &net);
    for (int role = 0; role < POLICY_ROLES; role++) policy->size += (size_t)policy->sets[role] * policy->net[role].parameters;
    return 0;
}

/* Every network of a run has a number of its own. Actors and critics share the first, so that
 * further roles, two by two behind all groups', leave theirs as they are. */
uint32_t policy_network_number(uint32_t group, int role, int set)
{
    enum { TOGETHER = 2 };
    const uint32_t groups = (uint32_t)(role / TOGETHER) * MAPPO_MAX_GROUPS + group;
    return (groups * POLICY_MAX_SETS + (uint32_t)set) * TOGETHER + (uint32_t)(role % TOGETHER);
}

struct network_init policy_network_init(const struct policy *policy, int role, int set)
{
    const struct policy_config *config = &policy->config;
    struct network_init init = {.seed = config->seed,
                                .index = policy_network_number(config->index, role, set),
                                .head_gain = 1,
                                .kind = config->init,
                                .hidden_gain = config->hidden_gain,
                                .level = policy->backend->level,
                                .threads = policy->backend->threads};
    if (role == ROLE_ACTOR) init.head_gain = config->head_gain, init.log_std = config->log_std;
    return init;
}

static void initialise(struct policy *policy)
{
    for (int role = 0; role < POLICY_ROLES; role++)
        for (int s = 0; s < policy->sets[role]; s++) {
            const struct network_init init = policy_network_init(policy, role, s);
            network_initialise(policy_network(policy, role), policy_network_at(policy, policy->host.parameters, role, s), &init);
        }
    policy_push(policy);
}

/* ---- memory -------------------------------------------------------------------------------------------------------------------------- */

static void *host_memory(const struct policy *policy, size_t bytes)
{
    void *p = calloc(1, bytes + 1);
    CHECK(p != NULL, "out of memory for the networks of group \"%s\"", policy->name);
    return p;
}

static void take_running(struct policy *policy, int which, int width)
{
    struct backend *backend = policy->backend;
    const size_t moments = (size_t)running_moments(width) * sizeof(double), scale = 2 * (size_t)width * sizeof(real);
    struct running *running = &policy->running[which];
    *running = (struct running){width, backend->alloc(backend, "normalisers", moments), backend->alloc(backend, "normalisers", scale)};
    policy->host.running[which] =
        backend->host_memory ? *running : (struct running){width, host_memory(policy, moments), host_memory(policy, scale)};
}

static size_t moment_bytes(const struct policy *policy)
{
    return policy_learns(policy) ? policy->size * sizeof(real) : 0;
}

static void take_memory(struct policy *policy, const struct policy_config *config)
{
    struct backend *backend = policy->backend;
    const size_t bytes = policy->size * sizeof(real), norms = (size_t)policy->sets[ROLE_CRITIC] * sizeof *policy->norm;
    const size_t moments = moment_bytes(policy);
    policy->parameters = backend->alloc(backend, "parameters", bytes);
    policy->m = backend->alloc(backend, "Adam's first moments", moments);
    policy->v = backend->alloc(backend, "Adam's second moments", moments);
    policy->norm = backend->alloc(backend, "normalisers", norms);
    if (backend->host_memory) {
        policy->host = (struct policy_arrays){policy->parameters, policy->m, policy->v, policy->norm, {{0}}};
    } else {
        policy->host = (struct policy_arrays){
            host_memory(policy, bytes), host_memory(policy, moments), host_memory(policy, moments), host_memory(policy, norms), {{0}}};
    }
    if (config->running_obs && policy->sets[ROLE_ACTOR]) take_running(policy, RUNNING_OBS, policy->sizes.obs);
    if (!policy_learns(policy)) return;
    if (config->running_obs && policy->critic_input != CRITIC_OBS) take_running(policy, RUNNING_STATE, policy->state_size);
    if (config->running_reward) take_running(policy, RUNNING_REWARD, 1);
}

void policy_pull_running(struct backend *backend, const struct running *host, const struct running *running)
{
    if (backend->host_memory || running->width == 0) return;
    backend->download(backend, host->moments, running->moments, (size_t)running_moments(running->width) * sizeof(double));
}

void policy_pull(struct policy *policy)
{
    struct backend *backend = policy->backend;
    if (backend->host_memory) return;
    backend->download(backend, policy->host.parameters, policy->parameters, policy->size * sizeof(real));
    backend->download(backend, policy->host.m, policy->m, moment_bytes(policy));
    backend->download(backend, policy->host.v, policy->v, moment_bytes(policy));
    backend->download(backend, policy->host.norm, policy->norm, (size_t)policy->sets[ROLE_CRITIC] * sizeof *policy->norm);
    for (int i = 0; i < POLICY_RUNNING; i++) policy_pull_running(backend, &policy->host.running[i], &policy->running[i]);
}

void policy_push_running(struct backend *backend, const struct running *running, const struct running *host)
{
    for (int j = 0; j < host->width; j++) running_refresh(host, j);
    if (backend->host_memory || host->width == 0) return;
    backend->upload(backend, running->moments, host->moments, (size_t)running_moments(host->width) * sizeof(double));
    backend->upload(backend, running->scale, host->scale, 2 * (size_t)host->width * sizeof(real));
}

void policy_push(struct policy *policy)
{
    struct backend *backend = policy->backend;
    for (int i = 0; i < POLICY_RUNNING; i++) policy_push_running(backend, &policy->running[i], &policy->host.running[i]);
    for (int s = 0; s < policy->sets[ROLE_CRITIC]; s++) normalizer_refresh(&policy->host.norm[s], policy->normalizer);
    if (backend->host_memory) return;
    backend->upload(backend, policy->parameters, policy->host.parameters, policy->size * sizeof(real));
    backend->upload(backend, policy->m, policy->host.m, moment_bytes(policy));
    backend->upload(backend, policy->v, policy->host.v, moment_bytes(policy));
    backend->upload(backend, policy->norm, policy->host.norm, (size_t)policy->sets[ROLE_CRITIC] * sizeof *policy->norm);
}

int policy_build(struct policy *policy, const struct policy_config *config, const struct mappo_env_spec *spec, int group,
                 struct backend *backend, struct error *err)
{
    const struct mappo_group *g = &spec->group[group];
    *policy = (struct policy){
        .sizes = group_sizes(g), .player = config->player, .normalizer = config->normalizer, .config = *config, .backend = backend};
    if (!text_format(policy->name, sizeof policy->name, "%s", g->name))
        return error_set(err, EXIT_USAGE, "group name \"%s\" is longer than %zu bytes", g->name, sizeof policy->name - 1);
    for (int role = 0; role < POLICY_ROLES; role++) {
        const bool has = role == ROLE_ACTOR ? player_has_networks(config->player) : policy_learns(policy);
        policy->sets[role] = !has ? 0 : config->share[role] ? 1 : policy->sizes.agents;
        if (policy->sets[role] > POLICY_MAX_SETS)
            return error_set(err, EXIT_USAGE, "group \"%s\": %s.share=false is possible for up to %d agents, it has %d", g->name,
                             role == ROLE_ACTOR ? "policy" : "critic", POLICY_MAX_SETS, policy->sizes.agents);
    }
    int outputs, extra;
    const bool certain = config->real == REAL_TANH || config->real == REAL_SOFTMAX;
    const struct deviation deviation = certain ? (struct deviation){.kind = STD_FIXED} : config->deviation;
    int code = distribution_build(&policy->dist, g, &deviation, &outputs, &extra, err);
    policy->dist.real = config->real;
    if (code == 0) code = choose_state(policy, config, spec, group, err);
    if (code) return code;
    code = build_networks(policy, config, spec, group, extra, err);
    if (code) return code;
    take_memory(policy, config);
    if (!backend->planning) initialise(policy);
    return 0;
}

void policy_clear(struct policy *policy)
{
    struct backend *backend = policy->backend;
    if (!backend) return;
    if (!backend->host_memory) {
        free(policy->host.parameters);
        free(policy->host.m);
        free(policy->host.v);
        free(policy->host.norm);
    }
    for (int i = 0; i < POLICY_RUNNING; i++) {
        if (!backend->host_memory) free(policy->host.running[i].moments);
        if (!backend->host_memory) free(policy->host.running[i].scale);
        backend->free(backend, policy->running[i].moments);
        backend->free(backend, policy->running[i].scale);
    }
    backend->free(backend, policy->parameters);
    backend->free(backend, policy->m);
    backend->free(backend, policy->v);
    backend->free(backend, policy->norm);
    *policy = (struct policy){0};
}
