#include "algo/rollout.h"

#include <stdlib.h>

/* ---- what is done while collecting --------------------------------------------------------------------------------------------------- */

static void observed(void *learner, int place, int lo, int hi)
{
    const struct rollout *rollout = learner;
    critic_inputs_compose(&rollout->inputs, place, lo, hi);
}

static void cut(void *learner, int t)
{
    const struct rollout *rollout = learner;
    returns_bootstrap(rollout->returns, t);
}

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

/* What somebody reads: final observations only critics, for bootstraps. */
static void choose_slices(struct slices *kept, const struct rollout_config *config, const struct mappo_env_spec *spec,
                          struct policy *const *policy)
{
    struct slices all;
    slices_of(&all, spec);
    kept->count = 0;
    for (int i = 0; i < all.count; i++) {
        const struct slice *slice = &all.slice[i];
        bool reads = slice->offered && slice->id != ENV_SLICE_info;
        if (slice->written == SLICE_FINAL) reads = config->returns.bootstrap && critics_read(policy, spec, slice);
        if (slice_is_state(slice) && slice->written == SLICE_OBSERVATION) reads = critics_read(policy, spec, slice);
        if (reads) kept->slice[kept->count++] = *slice;
    }
}

static void create_inputs(struct rollout *rollout, const struct rollout_config *config, const struct mappo_env_spec *spec,
                          struct policy *const *policy)
{
    const struct transitions *x = rollout->transitions;
    const struct critic_inputs_config inputs = {.policy = policy,
                                                .spec = spec,
                                                .all = x->all,
                                                .places = transitions_places(&x->config, SLICE_OBSERVATION),
                                                .finals = config->returns.bootstrap ? transitions_places(&x->config, SLICE_FINAL) : 0,
                                                .envs = x->config.envs};
    critic_inputs_create(&rollout->inputs, &inputs, &rollout->memory);
}

static void create_collector(struct rollout *rollout, const struct rollout_config *config, const struct mappo_env_spec *spec,
                             struct policy *const *policy)
{
    const struct transitions_config *x = &rollout->transitions->config;
    struct collect_config collect = config->collect;
    collect.steps = x->steps;
    collect.per_head = config->per_head;
    collect.learner = rollout;
    collect.observed = observed;
    collect.states = states_kept(&rollout->states) ? &rollout->states : NULL;
    collect.self_play = rollout->self_play.used ? &rollout->self_play : NULL;
    collect.cut = config->returns.bootstrap && !states_needed(policy, spec->groups, ROLE_CRITIC) ? cut : NULL;
    for (int g = 0; g < rollout->groups; g++) {
        if (!policy_learns(policy[g])) continue;
        const size_t rows = (size_t)x->steps * (size_t)x->envs * (size_t)policy[g]->sizes.agents;
        collect.log_prob[g] = rollout->log_prob[g] =
            BACKEND_NEW(&rollout->memory, real, rows * (size_t)log_prob_width(&policy[g]->dist, config->per_head));
    }
    collector_create(&rollout->collector, &collect, rollout->transitions, spec, policy, &rollout->memory);
}

int rollout_create(struct rollout **out, const struct rollout_config *config, const struct mappo_env_spec *spec,
                   struct policy *const *policy, struct backend *backend, struct error *err)
{
    struct rollout *rollout = calloc(1, sizeof *rollout);
    CHECK(rollout, "out of memory for a rollout");
    struct transitions_config transitions = config->transitions;
    struct slices kept;
    transitions.ring = false;
    /* A device looks at them once a rollout; recurrent critics can't before they have gone through it. */
    transitions.all_finals = config->collect.where == COLLECT_DEVICE || states_needed(policy, spec->groups, ROLE_CRITIC);
    rollout->groups = spec->groups;
    rollout->per_head = config->per_head;
    rollout->backend = backend;
    backend_memory_create(&rollout->memory, "rollout", backend);
    choose_slices(&kept, config, spec, policy);
    int code = transitions_create(&rollout->transitions, &transitions, &kept, spec, &rollout->memory, err);
    if (code) {
        rollout_destroy(rollout);
        return code;
    }
    create_inputs(rollout, config, spec, policy);
    states_create(&rollout->states, rollout->transitions, policy, &rollout->memory);
    code = self_play_create(&rollout->self_play, config->self_play, config->collect.seed, rollout->transitions, &rollout->states, policy,
                            &rollout->memory, err);
    if (code) {
        rollout_destroy(rollout);
        return code;
    }
    returns_create(&rollout->returns, &config->returns, rollout->transitions, &rollout->inputs, &rollout->states, policy, &rollout->memory);
    create_collector(rollout, config, spec, policy);
    arena_seal(rollout->memory.arena);
    *out = rollout;
    return 0;
}

void rollout_destroy(struct rollout *rollout)
{
    if (!rollout) return;
    backend_forget(rollout->backend, &rollout->finish);
    collector_destroy(rollout->collector);
    backend_memory_destroy(&rollout->memory);
    free(rollout);
}

/* ---- use ----------------------------------------------------------------------------------------------------------------------------- */

int rollout_begin(struct rollout *rollout, struct vecenv *env, bool restored, struct error *err)
{
    rollout->env = env;
    if (!restored) {
        returns_clear(rollout->returns);
        states_clear(&rollout->states);
        self_play_begin(&rollout->self_play);
    }
    return collect_begin(rollout->collector, env, restored, err);
}

int rollout_collect(struct rollout *rollout, struct error *err)
{
    return collect_steps(rollout->collector, rollout->env, err);
}

void rollout_finish(struct rollout *rollout)
{
    if (backend_replayed(rollout->backend, &rollout->finish)) return;
    self_play_mark(&rollout->self_play);
    returns_values(rollout->returns);
    returns_advantages(rollout->returns);
    backend_recorded(rollout->backend, &rollout->finish);
}

struct train_pass rollout_pass(const struct rollout *rollout, int g, int role, int shard, int set)
{
    const struct mappo_group_io *taken = &rollout->transitions->all.group[g];
    const struct transitions_config *x = &rollout->transitions->config;
    const struct returns_group *returns = &rollout->returns->group[g];
    const struct policy *policy = rollout->returns->policy[g];
    const bool actor = role == ROLE_ACTOR;
    struct train_pass pass = {.loss = actor ? LOSS_POLICY : LOSS_VALUE,
                              .net = policy_network(policy, role),
                              .parameters = policy_network_at(policy, policy->parameters, role, set),
                              .batch = {.units = x->steps * x->envs, .rows = actor ? policy->sizes.agents : policy->value_agents}};
    if (actor) {
        pass.policy = (struct policy_loss){.dist = &policy->dist,
                                           .act_int = taken->act_int,
                                           .act_real = taken->act_real,
                                           .mask = taken->act_mask,
                                           .per_head = rollout->per_head,
                                           .old_log_prob = rollout->log_prob[g],
                                           .active = self_play_rows(&rollout->self_play, g, false),
                                           .home = self_play_rows(&rollout->self_play, g, false),
                                           .advantage = returns->advantage};
    } else {
        pass.packed = returns_critic_packed(rollout->returns, g, shard, set);
        pass.value = (struct value_loss){.targets = policy->sizes.agents / policy->value_agents,
                                         .norm = policy->norm + set,
                                         .old_value = returns->value,
                                         .active = self_play_rows(&rollout->self_play, g, false),
                                         .ret = returns->ret};
    }
    return pass;
}

int rollout_fault(const struct rollout *rollout, const uint64_t *bad, uint64_t step, struct error *err)
{
    return device_check_fault(&rollout->collector->check, bad, step, rollout->env, err);
}

int rollout_check(const struct rollout *rollout, struct error *err)
{
    return device_check_wait(&rollout->collector->check, rollout->env, err);
}
