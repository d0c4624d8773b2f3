#include "algo/rollout.h"

#include <math.h>
#include <string.h>

#include "algo/rollout_work.h"
#include "comm/watchdog.h"
#include "base/clock.h"
#include "base/philox.h"

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

static void create_arrays(struct rollout *rollout, const struct mappo_env_spec *spec, int g)
{
    struct rollout_group *group = &rollout->group[g];
    const struct policy *policy = rollout->work->policy[g];
    const struct group_sizes *sizes = &group->sizes;
    const uint32_t flags = spec->group[g].flags;
    struct arena *arena = rollout->arena;
    const size_t steps = (size_t)rollout->config.steps, envs = (size_t)rollout->config.envs;
    const size_t rows = envs * (size_t)sizes->agents, values = envs * (size_t)policy->value_agents;
    group->obs = ARENA_NEW(arena, float, (steps + 1) * rows * (size_t)sizes->obs);
    if (flags & MAPPO_HAS_MASK) group->act_mask = ARENA_NEW(arena, uint8_t, (steps + 1) * rows * (size_t)sizes->logits);
    if (flags & MAPPO_HAS_ACTIVE) group->active = ARENA_NEW(arena, uint8_t, (steps + 1) * rows);
    if (sizes->act_ints > 0) group->act_int = ARENA_NEW(arena, int32_t, steps * rows * (size_t)sizes->act_ints);
    if (sizes->act_reals > 0) group->act_real = ARENA_NEW(arena, float, steps *rows *(size_t)sizes->act_reals);
    group->reward = ARENA_NEW(arena, float, steps *rows);
    group->terminated = ARENA_NEW(arena, uint8_t, steps * rows);
    group->log_prob = ARENA_NEW(arena, real, steps * rows);
    group->value = ARENA_NEW(arena, real, (steps + 1) * values);
    group->final_value = ARENA_NEW(arena, real, steps * values);
    group->advantage = ARENA_NEW(arena, real, steps * rows);
    group->ret = ARENA_NEW(arena, real, steps * rows);
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
    struct arena *arena = rollout->arena;
    const size_t steps = (size_t)rollout->config.steps, envs = (size_t)rollout->config.envs;
    const size_t width = (size_t)policy->state_rows * (size_t)policy->state_size;
    const bool bootstrap = rollout->config.bootstrap;
    if (policy->critic_input == CRITIC_STATE_ID || policy->critic_input == CRITIC_AGENT_STATE) {
        group->state = ARENA_NEW(arena, float, (steps + 1) * envs * width);
        if (bootstrap) group->final_state = ARENA_NEW(arena, float, envs *width);
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

static void create_states(struct rollout *rollout, const struct mappo_env_spec *spec)
{
    struct arena *arena = rollout->arena;
    const size_t steps = (size_t)rollout->config.steps, envs = (size_t)rollout->config.envs;
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
        rollout->group[g].final_obs = ARENA_NEW(arena, float, envs *(size_t)sizes->agents *(size_t)sizes->obs);
    }
    if (environment) {
        rollout->state = ARENA_NEW(arena, float, (steps + 1) * envs * (size_t)spec->state_size);
        if (bootstrap) rollout->final_state = ARENA_NEW(arena, float, envs *(size_t)spec->state_size);
    }
    if (joint) {
        rollout->joint = ARENA_NEW(arena, float, (steps + 1) * envs * width);
        if (bootstrap) rollout->final_joint = ARENA_NEW(arena, float, envs *width);
        rollout->work->composes = true;
    }
    for (int g = 0; g < rollout->groups; g++) create_state(rollout, g);
}

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
    rollout->first = ARENA_NEW(arena, int, config->shards + 1);
    for (int s = 0; s <= config->shards; s++) rollout->first[s] = (int)((int64_t)config->envs * s / config->shards);
    work->policy = policy;
    for (int g = 0; g < rollout->groups; g++) {
        rollout->group[g].sizes = policy[g]->sizes;
        create_arrays(rollout, spec, g);
    }
    create_states(rollout, spec);
    rollout->ep_end = ARENA_NEW(arena, uint8_t, config->steps * (size_t)config->envs);
    rollout_values_create(rollout);
    const struct actor_config actor = {.groups = rollout->groups,
                                       .policy = policy,
                                       .shards = config->shards,
                                       .first = rollout->first,
                                       .first_env = config->first_env,
                                       .seed = config->seed,
                                       .stream = PHILOX_ACTION};
    actor_create(&work->actor, &actor, backend);
    arena_seal(arena);
    *out = rollout;
    return 0;
}

void rollout_destroy(struct rollout *rollout)
{
    if (!rollout) return;
    rollout_values_destroy(rollout);
    actor_destroy(rollout->work->actor);
    arena_destroy(rollout->arena);
}

/* ---- slices -------------------------------------------------------------------------------------------------------------------------- */

/* Element counts of one slice. */
static size_t obs_size(const struct rollout *rollout, int g)
{
    const struct group_sizes *sizes = &rollout->group[g].sizes;
    return (size_t)rollout->config.envs * (size_t)sizes->agents * (size_t)sizes->obs;
}

static size_t state_size(const struct rollout *rollout, int g)
{
    const struct policy *policy = rollout->work->policy[g];
    return (size_t)rollout->config.envs * (size_t)policy->state_rows * (size_t)policy->state_size;
}

static size_t joint_width(const struct rollout *rollout)
{
    size_t width = 0;
    for (int g = 0; g < rollout->groups; g++) width += obs_size(rollout, g) / (size_t)rollout->config.envs;
    return width;
}

/* Does the group's state have memory that the environment or the host fills, beside that of rollout->state and rollout->joint? */
static bool owns_state(const struct rollout *rollout, int g)
{
    const int input = rollout->work->policy[g]->critic_input;
    return input == CRITIC_STATE_ID || input == CRITIC_AGENT_STATE;
}

/* S of the environment's own state. */
static size_t environment_width(const struct rollout *rollout)
{
    for (int g = 0; g < rollout->groups; g++) {
        const struct policy *policy = rollout->work->policy[g];
        if (rollout->group[g].state == rollout->state) return (size_t)policy->state_size;
        if (policy->critic_input == CRITIC_STATE_ID && !policy->concatenate) return (size_t)(policy->state_size - policy->sizes.agents);
    }
    return 0;
}

/* Points the environment's arrays: actions, rewards and ends of step t, observations into slice `next`. */
static void aim_environment(struct rollout *rollout, int t, int next)
{
    struct mappo_env_io *io = &rollout->work->env_io;
    const size_t envs = (size_t)rollout->config.envs, step = (size_t)t, slice = (size_t)next;
    *io = (struct mappo_env_io){.struct_size = sizeof *io, .groups = rollout->groups};
    for (int g = 0; g < rollout->groups; g++) {
        const struct rollout_group *group = &rollout->group[g];
        const size_t rows = envs * (size_t)group->sizes.agents;
        struct mappo_group_io *to = &io->group[g];
        to->act_int = group->act_int ? group->act_int + step * rows * (size_t)group->sizes.act_ints : NULL;
        to->act_real = group->act_real ? group->act_real + step * rows * (size_t)group->sizes.act_reals : NULL;
        to->obs = group->obs + slice * obs_size(rollout, g);
        to->final_obs = group->final_obs;
        if (rollout->work->policy[g]->critic_input == CRITIC_AGENT_STATE) {
            to->state = group->state + slice * state_size(rollout, g);
            to->final_state = group->final_state;
        }
        to->reward = group->reward + step * rows;
        to->terminated = group->terminated + step * rows;
        to->active = group->active ? group->active + slice * rows : NULL;
        to->act_mask = group->act_mask ? group->act_mask + slice * rows * (size_t)group->sizes.logits : NULL;
    }
    if (rollout->state) io->state = rollout->state + slice * envs * environment_width(rollout);
    io->final_state = rollout->final_state;
    io->ep_end = rollout->ep_end + step * envs;
}

void rollout_compose(struct rollout *rollout, int t, int e)
{
    const size_t envs = (size_t)rollout->config.envs, env = (size_t)e, slice = t < 0 ? 0 : (size_t)t;
    float *joint = NULL;
    if (rollout->joint) {
        const size_t width = joint_width(rollout);
        float *to = joint = (t < 0 ? rollout->final_joint : rollout->joint + slice * envs * width) + env * width;
        for (int g = 0; g < rollout->groups; g++) {
            const size_t part = obs_size(rollout, g) / envs;
            const float *obs = t < 0 ? rollout->group[g].final_obs : rollout->group[g].obs + slice * obs_size(rollout, g);
            memcpy(to, obs + env * part, part * sizeof *to);
            to += part;
        }
    }
    for (int g = 0; g < rollout->groups; g++) {
        const struct policy *policy = rollout->work->policy[g];
        if (policy->critic_input != CRITIC_STATE_ID) continue;
        const struct rollout_group *group = &rollout->group[g];
        const size_t agents = (size_t)policy->sizes.agents, whole = (size_t)policy->state_size, width = whole - agents;
        const float *from = joint;
        if (!policy->concatenate && rollout->state)
            from = (t < 0 ? rollout->final_state : rollout->state + slice * envs * width) + env * width;
        else if (!joint) /* one group: its observations are the joint ones */
            from = (t < 0 ? group->final_obs : group->obs + slice * obs_size(rollout, g)) + env * width;
        float *to = (t < 0 ? group->final_state : group->state + slice * state_size(rollout, g)) + env * agents * whole;
        for (size_t a = 0; a < agents; a++, to += whole) {
            memcpy(to, from, width * sizeof *to);
            for (size_t i = 0; i < agents; i++) to[width + i] = i == a ? 1.0f : 0.0f;
        }
    }
}

/* ---- numbers that are none ----------------------------------------------------------------------------------------------------------- */

static bool all_finite(const float *x, size_t n)
{
    /* Exponent bits all ones: NaN or infinity. Integers, so that the loop becomes vector code without relaxed floating-point rules. */
    uint32_t worst = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffffu;
        worst = bits > worst ? bits : worst;
    }
    return worst < 0x7f800000u;
}

/* `width` numbers per environment. */
static int check_finite(const struct rollout *rollout, const char *group, const char *what, const float *x, size_t width, struct error *err)
{
    const size_t n = (size_t)rollout->config.envs * width;
    if (!x || all_finite(x, n)) return 0;
    size_t i = 0;
    while (isfinite(x[i])) i++;
    return error_set(err, EXIT_NUMERICAL, "%s%s%s%s is %s: environment %zu, number %zu, after step %llu", group ? "group \"" : "",
                     group ? group : "", group ? "\": " : "", what, isnan(x[i]) ? "NaN" : "infinite",
                     (size_t)rollout->config.first_env + i / width, i % width, (unsigned long long)rollout->step);
}

/* Everything that the environment just wrote. */
static int check_slice(const struct rollout *rollout, bool rewards, struct error *err)
{
    const struct mappo_env_io *io = &rollout->work->env_io;
    const size_t envs = (size_t)rollout->config.envs;
    int code = 0;
    for (int g = 0; g < rollout->groups && code == 0; g++) {
        const char *name = rollout->work->policy[g]->name;
        if (rewards) code = check_finite(rollout, name, "reward", io->group[g].reward, (size_t)rollout->group[g].sizes.agents, err);
        if (code == 0) code = check_finite(rollout, name, "observation", io->group[g].obs, obs_size(rollout, g) / envs, err);
        if (code == 0) code = check_finite(rollout, name, "state", io->group[g].state, state_size(rollout, g) / envs, err);
    }
    if (code == 0 && io->state) code = check_finite(rollout, NULL, "state", io->state, environment_width(rollout), err);
    return code;
}

/* ---- collecting ---------------------------------------------------------------------------------------------------------------------- */

static void compose_slice(struct rollout *rollout, int t)
{
    if (!rollout->work->composes) return;
    for (int e = 0; e < rollout->config.envs; e++) rollout_compose(rollout, t, e);
}

int rollout_begin(struct rollout *rollout, struct vecenv *env, bool restored, struct error *err)
{
    aim_environment(rollout, 0, 0);
    const struct mappo_env_io *io = &rollout->work->env_io;
    int code = restored ? vecenv_observe(env, io, err) : vecenv_reset(env, io, err);
    if (code == 0) code = check_slice(rollout, false, err);
    if (code) return code;
    compose_slice(rollout, 0);
    rollout->work->filled = false;
    return 0;
}

static void copy_slice(void *base, size_t last, size_t bytes)
{
    if (base) memcpy(base, (const char *)base + last * bytes, bytes);
}

static void carry_over(struct rollout *rollout)
{
    const size_t last = (size_t)rollout->config.steps, envs = (size_t)rollout->config.envs;
    for (int g = 0; g < rollout->groups; g++) {
        struct rollout_group *group = &rollout->group[g];
        const size_t rows = envs * (size_t)group->sizes.agents;
        copy_slice(group->obs, last, obs_size(rollout, g) * sizeof *group->obs);
        if (owns_state(rollout, g)) copy_slice(group->state, last, state_size(rollout, g) * sizeof *group->state);
        copy_slice(group->active, last, rows);
        copy_slice(group->act_mask, last, rows * (size_t)group->sizes.logits);
    }
    copy_slice(rollout->state, last, envs * environment_width(rollout) * sizeof *rollout->state);
    copy_slice(rollout->joint, last, envs * joint_width(rollout) * sizeof *rollout->joint);
}

static void act(struct rollout *rollout, int t)
{
    struct actor_io *io = rollout->work->io;
    const size_t step = (size_t)t;
    for (int g = 0; g < rollout->groups; g++) {
        const struct rollout_group *group = &rollout->group[g];
        const size_t rows = (size_t)rollout->config.envs * (size_t)group->sizes.agents;
        io[g].obs = group->obs + step * obs_size(rollout, g);
        io[g].mask = group->act_mask ? group->act_mask + step * rows * (size_t)group->sizes.logits : NULL;
        io[g].act_int = group->act_int ? group->act_int + step * rows * (size_t)group->sizes.act_ints : NULL;
        io[g].act_real = group->act_real ? group->act_real + step * rows * (size_t)group->sizes.act_reals : NULL;
        io[g].log_prob = group->log_prob + step * rows;
    }
    actor_act(rollout->work->actor, io, rollout->step, false);
}

int rollout_collect(struct rollout *rollout, struct vecenv *env, struct error *err)
{
    if (rollout->work->filled) carry_over(rollout);
    rollout->work->filled = false;
    for (int t = 0; t < rollout->config.steps; t++) {
        watchdog_sign();
        const double start = clock_seconds();
        act(rollout, t);
        const double acted = clock_seconds();
        aim_environment(rollout, t, t + 1);
        int code = vecenv_step(env, &rollout->work->env_io, err);
        if (code == 0) code = check_slice(rollout, true, err);
        if (code) return code;
        compose_slice(rollout, t + 1);
        const double stepped = clock_seconds();
        if (rollout->config.bootstrap) rollout_bootstrap(rollout, t);
        rollout->step++;
        rollout->seconds_step += stepped - acted;
        rollout->seconds_infer += acted - start + (clock_seconds() - stepped);
    }
    rollout->work->filled = true;
    return 0;
}
