#include "nn/policy.h"

#include <stdlib.h>

#include "base/text.h"
#include "nn/distribution.h"

/* What the critic of this group reads: its width and how many rows of it an environment step has. */
static int choose_state(struct policy *policy, const struct policy_config *config, const struct mappo_env_spec *spec, int group,
                        struct error *err)
{
    const struct mappo_group *g = &spec->group[group];
    const int agents = policy->sizes.agents;
    int all_obs = 0;
    for (int i = 0; i < spec->groups; i++) {
        const struct group_sizes sizes = group_sizes(&spec->group[i]);
        all_obs += sizes.agents * sizes.obs;
    }
    policy->critic_input = config->critic_input;
    policy->concatenate = config->concatenate || spec->state_size == 0;
    const int state = policy->concatenate ? all_obs : spec->state_size;
    switch (config->critic_input) {
    case CRITIC_OBS:
        policy->state_size = policy->sizes.obs;
        policy->state_rows = agents;
        break;
    case CRITIC_STATE:
        policy->state_size = state;
        policy->state_rows = 1;
        break;
    case CRITIC_STATE_ID:
        policy->state_size = state + agents;
        policy->state_rows = agents;
        break;
    case CRITIC_AGENT_STATE:
        if (!(g->flags & MAPPO_STATE_PER_AGENT))
            return error_set(err, EXIT_USAGE, "group \"%s\" has no state per agent for its critic", g->name);
        policy->state_size = g->state_size;
        policy->state_rows = agents;
        break;
    default:
        return error_set(err, EXIT_INTERNAL, "critic input %d", config->critic_input);
    }
    if (policy->state_size < 1) return error_set(err, EXIT_USAGE, "group \"%s\": the critic would see nothing", g->name);
    policy->value_agents = policy->sets > 1 || config->value_per_agent ? agents : policy->state_rows;
    return 0;
}

static void build_networks(struct policy *policy, const struct policy_config *config, int actor_extra)
{
    struct network_config net = {.inputs = policy->sizes.obs,
                                 .hidden = config->hidden,
                                 .layers = config->layers,
                                 .heads = policy->dist.heads,
                                 .extra = actor_extra,
                                 .activation = config->activation,
                                 .feature_norm = config->feature_norm,
                                 .layer_norm = config->layer_norm};
    for (int i = 0; i < policy->dist.heads; i++) net.head_rows[i] = policy->dist.head[i].size;
    network_build(&policy->actor, &net);
    net.inputs = policy->state_size;
    net.heads = 1;
    net.head_rows[0] = 1;
    net.extra = 0;
    network_build(&policy->critic, &net);
    policy->set_size = policy->actor.parameters + policy->critic.parameters;
}

static void initialise(struct policy *policy, const struct policy_config *config)
{
    const int level = policy->backend->level, threads = policy->backend->threads;
    for (int s = 0; s < policy->sets; s++) {
        /* Two networks a set, POLICY_MAX_SETS sets a group: every network of a run has its own index. */
        const uint32_t index = (config->index * POLICY_MAX_SETS + (uint32_t)s) * 2;
        const struct network_init actor = {config->seed, index, config->head_gain, config->log_std, level, threads};
        const struct network_init critic = {config->seed, index + 1, 1, 0, level, threads};
        network_initialise(&policy->actor, policy_actor(policy, policy->host.parameters, s), &actor);
        network_initialise(&policy->critic, policy_critic(policy, policy->host.parameters, s), &critic);
    }
    policy_push(policy);
}

/* ---- memory -------------------------------------------------------------------------------------------------------------------------- */

static void *host_memory(const struct policy *policy, size_t bytes)
{
    void *p = calloc(1, bytes);
    CHECK(p != NULL, "out of memory for the networks of group \"%s\"", policy->name);
    return p;
}

static void take_memory(struct policy *policy)
{
    struct backend *backend = policy->backend;
    const size_t bytes = (size_t)policy->sets * policy->set_size * sizeof(real), norms = (size_t)policy->sets * sizeof *policy->norm;
    policy->parameters = backend->alloc(backend, "parameters", bytes);
    policy->m = backend->alloc(backend, "Adam's first moments", bytes);
    policy->v = backend->alloc(backend, "Adam's second moments", bytes);
    policy->norm = backend->alloc(backend, "normalisers", norms);
    if (backend->host_memory) {
        policy->host = (struct policy_state){policy->parameters, policy->m, policy->v, policy->norm};
    } else {
        policy->host = (struct policy_state){host_memory(policy, bytes), host_memory(policy, bytes), host_memory(policy, bytes),
                                             host_memory(policy, norms)};
    }
}

void policy_pull(struct policy *policy)
{
    struct backend *backend = policy->backend;
    if (backend->host_memory) return;
    const size_t bytes = (size_t)policy->sets * policy->set_size * sizeof(real);
    backend->download(backend, policy->host.parameters, policy->parameters, bytes);
    backend->download(backend, policy->host.m, policy->m, bytes);
    backend->download(backend, policy->host.v, policy->v, bytes);
    backend->download(backend, policy->host.norm, policy->norm, (size_t)policy->sets * sizeof *policy->norm);
}

void policy_push(struct policy *policy)
{
    struct backend *backend = policy->backend;
    for (int s = 0; s < policy->sets; s++) normalizer_refresh(&policy->host.norm[s], policy->normalizer);
    if (backend->host_memory) return;
    const size_t bytes = (size_t)policy->sets * policy->set_size * sizeof(real);
    backend->upload(backend, policy->parameters, policy->host.parameters, bytes);
    backend->upload(backend, policy->m, policy->host.m, bytes);
    backend->upload(backend, policy->v, policy->host.v, bytes);
    backend->upload(backend, policy->norm, policy->host.norm, (size_t)policy->sets * sizeof *policy->norm);
}

int policy_build(struct policy *policy, const struct policy_config *config, const struct mappo_env_spec *spec, int group,
                 struct backend *backend, struct error *err)
{
    const struct mappo_group *g = &spec->group[group];
    *policy = (struct policy){.sizes = group_sizes(g), .normalizer = config->normalizer, .backend = backend};
    if (!text_format(policy->name, sizeof policy->name, "%s", g->name))
        return error_set(err, EXIT_USAGE, "group name \"%s\" is longer than %zu bytes", g->name, sizeof policy->name - 1);
    policy->sets = config->share ? 1 : policy->sizes.agents;
    if (policy->sets > POLICY_MAX_SETS)
        return error_set(err, EXIT_USAGE, "group \"%s\": policy.share=false is possible for up to %d agents, it has %d", g->name,
                         POLICY_MAX_SETS, policy->sizes.agents);
    int outputs, extra;
    int code = distribution_build(&policy->dist, g, config->fixed_std, &outputs, &extra, err);
    if (code == 0) code = choose_state(policy, config, spec, group, err);
    if (code) return code;
    build_networks(policy, config, extra);
    take_memory(policy);
    if (!backend->planning) initialise(policy, config);
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
    backend->free(backend, policy->parameters);
    backend->free(backend, policy->m);
    backend->free(backend, policy->v);
    backend->free(backend, policy->norm);
    *policy = (struct policy){0};
}
