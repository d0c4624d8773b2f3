#include "algo/rollout.h"

#include <stdlib.h>
#include <string.h>

#include "algo/rollout_work.h"
#include "base/philox.h"

/* ---- memory -------------------------------------------------------------------------------------------------------------------------- */

void *rollout_take(struct rollout *rollout, const char *what, size_t count, size_t size)
{
    struct rollout_work *work = rollout->work;
    struct backend *backend = rollout->backend;
    if (backend->host_memory) return arena_take(rollout->arena, what, count, size);
    if (work->takes == work->takes_room) {
        work->takes_room = work->takes_room > 0 ? 2 * work->takes_room : 64;
        work->taken = realloc(work->taken, (size_t)work->takes_room * sizeof *work->taken);
        CHECK(work->taken, "out of memory listing the rollout's arrays");
    }
    return work->taken[work->takes++] = backend->alloc(backend, "rollout", count * size);
}

/* ---- sizes --------------------------------------------------------------------------------------------------------------------------- */

size_t rollout_obs_size(const struct rollout *rollout, int g)
{
    const struct group_sizes *sizes = &rollout->group[g].sizes;
    return (size_t)rollout->config.envs * (size_t)sizes->agents * (size_t)sizes->obs;
}

size_t rollout_state_size(const struct rollout *rollout, int g)
{
    const struct policy *policy = rollout->work->policy[g];
    return (size_t)rollout->config.envs * (size_t)policy->state_rows * (size_t)policy->state_size;
}

size_t rollout_joint_width(const struct rollout *rollout)
{
    size_t width = 0;
    for (int g = 0; g < rollout->groups; g++) width += rollout_obs_size(rollout, g) / (size_t)rollout->config.envs;
    return width;
}

bool rollout_owns_state(const struct rollout *rollout, int g)
{
    const int input = rollout->work->policy[g]->critic_input;
    return input == CRITIC_STATE_ID || input == CRITIC_AGENT_STATE;
}

size_t rollout_environment_width(const struct rollout *rollout)
{
    for (int g = 0; g < rollout->groups; g++) {
        const struct policy *policy = rollout->work->policy[g];
        if (rollout->group[g].state == rollout->state) return (size_t)policy->state_size;
        if (policy->critic_input == CRITIC_STATE_ID && !policy->concatenate) return (size_t)(policy->state_size - policy->sizes.agents);
    }
    return 0;
}

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

static void create_arrays(struct rollout *rollout, const struct mappo_env_spec *spec, int g)
{
    struct rollout_group *group = &rollout->group[g];
    const struct policy *policy = rollout->work->policy[g];
    const struct group_sizes *sizes = &group->sizes;
    const uint32_t flags = spec->group[g].flags;
    const size_t steps = (size_t)rollout->config.steps, envs = (size_t)rollout->config.envs;
    const size_t rows = envs * (size_t)sizes->agents, values = envs * (size_t)policy->value_agents;
    group->obs = ROLLOUT_NEW(rollout, float, (steps + 1) * rows * (size_t)sizes->obs);
    if (flags & MAPPO_HAS_MASK) group->act_mask = ROLLOUT_NEW(rollout, uint8_t, (steps + 1) * rows * (size_t)sizes->logits);
    if (flags & MAPPO_HAS_ACTIVE) group->active = ROLLOUT_NEW(rollout, uint8_t, (steps + 1) * rows);
    if (sizes->act_ints > 0) group->act_int = ROLLOUT_NEW(rollout, int32_t, steps * rows * (size_t)sizes->act_ints);
    if (sizes->act_reals > 0) group->act_real = ROLLOUT_NEW(rollout, float, (steps * rows * (size_t)sizes->act_reals));
    group->reward = ROLLOUT_NEW(rollout, float, (steps * rows));
    group->terminated = ROLLOUT_NEW(rollout, uint8_t, steps * rows);
    group->log_prob = ROLLOUT_NEW(rollout, real, steps * rows);
    group->value = ROLLOUT_NEW(rollout, real, (steps + 1) * values);
    group->final_value = ROLLOUT_NEW(rollout, real, steps * values);
    group->advantage = ROLLOUT_NEW(rollout, real, steps * rows);
    group->ret = ROLLOUT_NEW(rollout, real, steps * rows);
}

static bool reads_joint(const struct rollout *rollout, int g)
{
    const struct policy *policy = rollout->work->policy[g];
    return (policy->critic_input == CRITIC_STATE || policy->critic_input == CRITIC_STATE_ID) && policy->concatenate && rollout->groups > 1;
}

static bool reads_environment(const struct policy *policy, const struct mappo_env_spec *spec, int groups)
{
    if (policy->critic_input != CRITIC_STATE && policy->critic_input != CRITIC_STATE_ID) return false;
    return !policy->concatenate && !(spec->state_is_all_obs && groups == 1);
}

/* Chooses where the critic of group g finds its inputs; copies are made only where nothing that exists will do. */
static void create_state(struct rollout *rollout, int g)
{
    struct rollout_group *group = &rollout->group[g];
    const struct policy *policy = rollout->work->policy[g];
    const size_t steps = (size_t)rollout->config.steps, envs = (size_t)rollout->config.envs, finals = (size_t)rollout->final_steps * envs;
    const size_t width = (size_t)policy->state_rows * (size_t)policy->state_size;
    const bool bootstrap = rollout->config.bootstrap;
    if (policy->critic_input == CRITIC_STATE_ID || policy->critic_input == CRITIC_AGENT_STATE) {
        group->state = ROLLOUT_NEW(rollout, float, (steps + 1) * envs * width);
        if (bootstrap) group->final_state = ROLLOUT_NEW(rollout, float, (finals * width));
        rollout->work->composes |= policy->critic_input == CRITIC_STATE_ID;
    } else if (policy->critic_input == CRITIC_STATE && rollout->state && !policy->concatenate) {
        group->state = rollout->state;
        group->final_state = rollout->final_state;
    } else if (reads_joint(rollout, g)) {
        group->state = rollout->joint;
        group->final_state = rollout->final_joint;
    } else {
        group->state = group->obs;
        group->final_state = group->final_obs;
        group->state_is_obs = true;
    }
}

/* The one-hot agent numbers behind the central state: they never change, so they are written once, for all slices. */
static void fill_agent_numbers(struct rollout *rollout, int g)
{
    const struct policy *policy = rollout->work->policy[g];
    const struct rollout_group *group = &rollout->group[g];
    const size_t agents = (size_t)policy->sizes.agents, width = (size_t)policy->state_size, size = rollout_state_size(rollout, g);
    if (policy->critic_input != CRITIC_STATE_ID || rollout->backend->planning) return;
    float *slice = calloc(size, sizeof *slice);
    CHECK(slice, "out of memory numbering agents");
    for (size_t row = 0; row < size / width; row++) slice[row * width + width - agents + row % agents] = 1;
    for (int t = 0; t <= rollout->config.steps; t++)
        rollout->backend->upload(rollout->backend, group->state + (size_t)t * size, slice, size * sizeof *slice);
    for (int f = 0; f < rollout->final_steps && group->final_state; f++)
        rollout->backend->upload(rollout->backend, group->final_state + (size_t)f * size, slice, size * sizeof *slice);
    free(slice);
}

static void create_states(struct rollout *rollout, const struct mappo_env_spec *spec)
{
    const size_t steps = (size_t)rollout->config.steps, envs = (size_t)rollout->config.envs, finals = (size_t)rollout->final_steps * envs;
    const bool bootstrap = rollout->config.bootstrap;
    bool joint = false, environment = false, obs = false;
    size_t width = 0;
    for (int g = 0; g < rollout->groups; g++) {
        const struct policy *policy = rollout->work->policy[g];
        const bool own = reads_environment(policy, spec, rollout->groups);
        joint |= reads_joint(rollout, g);
        environment |= own;
        obs |= !own && policy->critic_input != CRITIC_AGENT_STATE;
        width += (size_t)rollout->group[g].sizes.agents * (size_t)rollout->group[g].sizes.obs;
    }
    for (int g = 0; g < rollout->groups && bootstrap && obs; g++) {
        const struct group_sizes *sizes = &rollout->group[g].sizes;
        rollout->group[g].final_obs = ROLLOUT_NEW(rollout, float, (finals * (size_t)sizes->agents * (size_t)sizes->obs));
    }
    if (environment) {
        rollout->state = ROLLOUT_NEW(rollout, float, (steps + 1) * envs * (size_t)spec->state_size);
        if (bootstrap) rollout->final_state = ROLLOUT_NEW(rollout, float, (finals * (size_t)spec->state_size));
    }
    if (joint) {
        rollout->joint = ROLLOUT_NEW(rollout, float, (steps + 1) * envs * width);
        if (bootstrap) rollout->final_joint = ROLLOUT_NEW(rollout, float, (finals * width));
        rollout->work->composes = true;
    }
    for (int g = 0; g < rollout->groups; g++) {
        create_state(rollout, g);
        fill_agent_numbers(rollout, g);
    }
}

/* ---- slices of environments that cannot write into the rollout ----------------------------------------------------------------------- */

static void *stage(struct rollout *rollout, bool wanted, size_t count, size_t size)
{
    const struct rollout_config *config = &rollout->config;
    struct rollout_work *work = rollout->work;
    struct backend *backend = rollout->backend;
    if (!wanted) return NULL;
    if (config->share) return config->share(config->share_user, count * size);
    if (!backend->host_alloc) return arena_take(rollout->arena, "slices of environments", count, size);
    CHECK(work->pins < (int)(sizeof work->pinned / sizeof *work->pinned), "more slices than room");
    return work->pinned[work->pins++] = backend->host_alloc(backend, "slices of environments", count * size);
}

static void create_staging(struct rollout *rollout)
{
    struct mappo_env_io *io = &rollout->work->env_io;
    const size_t envs = (size_t)rollout->config.envs;
    *io = (struct mappo_env_io){.struct_size = sizeof *io, .groups = rollout->groups};
    for (int g = 0; g < rollout->groups; g++) {
        const struct rollout_group *group = &rollout->group[g];
        const struct group_sizes *sizes = &group->sizes;
        struct mappo_group_io *to = &io->group[g];
        const bool own = rollout->work->policy[g]->critic_input == CRITIC_AGENT_STATE;
        const size_t rows = envs * (size_t)sizes->agents, state = rollout_state_size(rollout, g);
        to->act_int = stage(rollout, group->act_int, rows * (size_t)sizes->act_ints, sizeof(int32_t));
        to->act_real = stage(rollout, group->act_real, rows * (size_t)sizes->act_reals, sizeof(float));
        to->obs = stage(rollout, true, rows * (size_t)sizes->obs, sizeof(float));
        to->final_obs = stage(rollout, group->final_obs, rows * (size_t)sizes->obs, sizeof(float));
        to->state = stage(rollout, own, state, sizeof(float));
        to->final_state = stage(rollout, own && group->final_state, state, sizeof(float));
        to->reward = stage(rollout, true, rows, sizeof(float));
        to->terminated = stage(rollout, true, rows, 1);
        to->active = stage(rollout, group->active, rows, 1);
        to->act_mask = stage(rollout, group->act_mask, rows * (size_t)sizes->logits, 1);
    }
    const size_t width = rollout_environment_width(rollout);
    io->state = stage(rollout, rollout->state, envs * width, sizeof(float));
    io->final_state = stage(rollout, rollout->final_state, envs * width, sizeof(float));
    io->ep_end = stage(rollout, true, envs, 1);
}

/* Shards where there are several, else two halves: while one steps, the other is inferred. */
static void create_stages(struct rollout *rollout)
{
    struct rollout_work *work = rollout->work;
    const int envs = rollout->config.envs, shards = rollout->config.shards;
    const bool halves = rollout->config.where == ROLLOUT_STAGED && shards == 1 && envs > 1;
    work->stages = halves ? 2 : shards;
    work->stage_first = ARENA_NEW(rollout->arena, int, work->stages + 1);
    for (int s = 0; s <= work->stages; s++) work->stage_first[s] = halves ? (int)((int64_t)envs * s / 2) : rollout->first[s];
}

/* ---- all of it ----------------------------------------------------------------------------------------------------------------------- */

int rollout_create(struct rollout **out, const struct rollout_config *config, const struct mappo_env_spec *spec,
                   struct policy *const *policy, struct backend *backend, struct error *err)
{
    if (config->shards < 1 || config->shards > config->envs)
        return error_set(err, EXIT_USAGE, "%d environments of this rank can't be cut into %d shards; raise rollout.envs", config->envs,
                         config->shards);
    for (int g = 0; g < spec->groups; g++)
        if ((int64_t)(config->steps + 1) * config->envs > INT32_MAX / spec->group[g].agents)
            return error_set(err, EXIT_USAGE, "rollout.steps=%d times %d environments of this rank times %d agents is more rows than 2^31",
                             config->steps, config->envs, spec->group[g].agents);
    struct arena *arena = arena_create("rollout");
    struct rollout *rollout = ARENA_NEW(arena, struct rollout, 1);
    struct rollout_work *work = ARENA_NEW(arena, struct rollout_work, 1);
    rollout->config = *config;
    rollout->groups = spec->groups;
    rollout->backend = backend;
    rollout->arena = arena;
    rollout->work = work;
    rollout->final_steps = config->where == ROLLOUT_DEVICE ? config->steps : 1;
    rollout->first = ARENA_NEW(arena, int, config->shards + 1);
    for (int s = 0; s <= config->shards; s++) rollout->first[s] = (int)((int64_t)config->envs * s / config->shards);
    work->spec = spec;
    work->policy = policy;
    for (int g = 0; g < rollout->groups; g++) {
        rollout->group[g].sizes = policy[g]->sizes;
        create_arrays(rollout, spec, g);
    }
    create_states(rollout, spec);
    rollout->ep_end = ROLLOUT_NEW(rollout, uint8_t, config->steps * (size_t)config->envs);
    rollout_values_create(rollout);
    if (config->where == ROLLOUT_STAGED) create_staging(rollout);
    create_stages(rollout);
    if (config->where == ROLLOUT_DEVICE) {
        rollout->bads = rollout_watched(rollout);
        rollout->bad = ROLLOUT_NEW(rollout, uint64_t, rollout->bads);
    }
    work->clock = ROLLOUT_NEW(rollout, uint64_t, 1);
    const struct actor_config actor = {.groups = rollout->groups,
                                       .policy = policy,
                                       .shards = work->stages,
                                       .first = work->stage_first,
                                       .first_env = config->first_env,
                                       .seed = config->seed,
                                       .stream = PHILOX_ACTION,
                                       .clock = work->clock};
    actor_create(&work->actor, &actor, backend);
    arena_seal(arena);
    *out = rollout;
    return 0;
}

void rollout_destroy(struct rollout *rollout)
{
    if (!rollout) return;
    struct rollout_work *work = rollout->work;
    struct backend *backend = rollout->backend;
    backend_forget(backend, &work->collect);
    backend_forget(backend, &work->finish);
    rollout_values_destroy(rollout);
    actor_destroy(work->actor);
    for (int i = 0; i < work->takes; i++) backend->free(backend, work->taken[i]);
    for (int i = 0; i < work->pins; i++) backend->host_free(backend, work->pinned[i]);
    free(work->taken);
    arena_destroy(rollout->arena);
}
