/* The critic's side of a rollout: V of all slices, V of final states at time limits, advantages and returns. */
#include <string.h>

#include "algo/rollout_work.h"

/* Critic inputs per environment step that one pass reads: of one agent where every agent has its own parameters. */
static int part_rows(const struct policy *policy)
{
    return policy->sets > 1 ? 1 : policy->state_rows;
}

/* The unit of environment step `u` in the group's state, for the pass of set `set`. */
static int32_t state_unit(const struct policy *policy, int u, int set)
{
    return policy->sets > 1 && policy->state_rows > 1 ? u * policy->state_rows + set : u;
}

static void create_part(struct rollout *rollout, int i, int g, int shard, int set)
{
    struct rollout_work *work = rollout->work;
    struct arena *arena = rollout->arena;
    struct backend *backend = rollout->backend;
    const struct policy *policy = work->policy[g];
    const int steps = rollout->config.steps, envs = rollout->config.envs;
    const int lo = rollout->first[shard], hi = rollout->first[shard + 1], rows = part_rows(policy);
    const bool direct = rollout->config.shards == 1 && policy->sets == 1 && policy->value_agents == policy->state_rows;
    const struct value_part part = {.group = g, .set = set, .shard = shard, .direct = direct};
    work->all[i] = work->last[i] = work->ended[i] = part;
    real *value = rollout->group[g].value;
    work->all[i].out = direct ? value : ARENA_NEW(arena, real, steps * (hi - lo) * rows);
    work->last[i].out = direct ? value + (size_t)steps * (size_t)envs * (size_t)rows : ARENA_NEW(arena, real, (hi - lo) * rows);
    work->ended[i].out = ARENA_NEW(arena, real, (hi - lo) * rows);
    work->ended[i].unit = ARENA_NEW(arena, int32_t, hi - lo);
    if (!direct) {
        int32_t *all = work->all[i].unit = ARENA_NEW(arena, int32_t, steps * (hi - lo));
        int32_t *last = work->last[i].unit = ARENA_NEW(arena, int32_t, hi - lo);
        for (int t = 0; t < steps; t++)
            for (int e = lo; e < hi; e++) *all++ = state_unit(policy, t * envs + e, set);
        for (int e = lo; e < hi; e++) *last++ = state_unit(policy, e, set);
    }
    work->all_batch[i] = (struct batch){work->all[i].unit, steps * (hi - lo), rows};
    work->last_batch[i] = (struct batch){work->last[i].unit, hi - lo, rows};
    work->all_tiles[i] = backend->tiles_create(backend, &policy->critic, steps * (hi - lo) * rows);
    work->last_tiles[i] = backend->tiles_create(backend, &policy->critic, (hi - lo) * rows);
    work->ended_tiles[i] = backend->tiles_create(backend, &policy->critic, (hi - lo) * rows);
}

void rollout_values_create(struct rollout *rollout)
{
    struct rollout_work *work = rollout->work;
    struct arena *arena = rollout->arena;
    const int shards = rollout->config.shards;
    for (int g = 0; g < rollout->groups; g++) work->parts += shards * work->policy[g]->sets;
    work->all = ARENA_NEW(arena, struct value_part, work->parts);
    work->last = ARENA_NEW(arena, struct value_part, work->parts);
    work->ended = ARENA_NEW(arena, struct value_part, work->parts);
    work->all_tiles = ARENA_NEW(arena, struct tiles *, work->parts);
    work->last_tiles = ARENA_NEW(arena, struct tiles *, work->parts);
    work->ended_tiles = ARENA_NEW(arena, struct tiles *, work->parts);
    work->all_batch = ARENA_NEW(arena, struct batch, work->parts);
    work->last_batch = ARENA_NEW(arena, struct batch, work->parts);
    work->ended_batch = ARENA_NEW(arena, struct batch, work->parts);
    work->forward = ARENA_NEW(arena, struct forward_pass, 2 * work->parts);
    work->gae = ARENA_NEW(arena, struct gae_pass, shards);
    int i = 0;
    for (int g = 0; g < rollout->groups; g++) {
        const struct policy *policy = work->policy[g];
        work->group_first[g] = i;
        for (int shard = 0; shard < shards; shard++)
            for (int set = 0; set < policy->sets; set++) create_part(rollout, i++, g, shard, set);
        if (policy->sets == 1) continue;
        const size_t values = (size_t)rollout->config.envs * (size_t)policy->value_agents, steps = (size_t)rollout->config.steps;
        work->units[g] = ARENA_NEW(arena, real, (steps + 1) * values);
        work->final_units[g] = ARENA_NEW(arena, real, steps * values);
    }
    work->group_first[rollout->groups] = i;
}

void rollout_values_destroy(struct rollout *rollout)
{
    struct backend *backend = rollout->backend;
    for (int i = 0; i < rollout->work->parts; i++) {
        backend->tiles_destroy(backend, rollout->work->all_tiles[i]);
        backend->tiles_destroy(backend, rollout->work->last_tiles[i]);
        backend->tiles_destroy(backend, rollout->work->ended_tiles[i]);
    }
}

struct tiles *rollout_critic_tiles(const struct rollout *rollout, int group, int shard, int set)
{
    return rollout->work->all_tiles[rollout->work->group_first[group] + shard * rollout->work->policy[group]->sets + set];
}

/* Spreads the `rows` values of one environment step over its V places. */
static void place_values(const struct policy *policy, int set, real *value /* [V] */, const real *out /* [rows] */)
{
    if (policy->sets > 1) {
        value[set] = out[0];
        return;
    }
    for (int v = 0; v < policy->value_agents; v++) value[v] = out[policy->state_rows > 1 ? v : 0];
}

static struct forward_pass critic_pass(const struct policy *policy, int set, struct tiles *tiles, real *out)
{
    return (struct forward_pass){
        .net = &policy->critic, .parameters = policy_critic(policy, policy->parameters, set), .tiles = tiles, .out = out};
}

static void scatter_part(const struct rollout *rollout, const struct value_part *part, int first_step, int steps)
{
    if (part->direct) return;
    const struct policy *policy = rollout->work->policy[part->group];
    const int envs = rollout->config.envs, lo = rollout->first[part->shard], hi = rollout->first[part->shard + 1], rows = part_rows(policy);
    const real *out = part->out;
    for (int t = first_step; t < first_step + steps; t++)
        for (int e = lo; e < hi; e++, out += rows)
            place_values(policy, part->set,
                         rollout->group[part->group].value + ((size_t)t * (size_t)envs + (size_t)e) * (size_t)policy->value_agents, out);
}

void rollout_values(struct rollout *rollout)
{
    struct rollout_work *work = rollout->work;
    struct backend *backend = rollout->backend;
    const int steps = rollout->config.steps;
    for (int g = 0; g < rollout->groups; g++) {
        const struct policy *policy = work->policy[g];
        const int from = work->group_first[g], count = work->group_first[g + 1] - from;
        const float *state = rollout->group[g].state;
        const size_t slice = (size_t)rollout->config.envs * (size_t)policy->state_rows * (size_t)policy->state_size;
        backend->pack(backend, &policy->critic, work->all_tiles + from, state, work->all_batch + from, count);
        backend->pack(backend, &policy->critic, work->last_tiles + from, state + (size_t)steps * slice, work->last_batch + from, count);
    }
    for (int i = 0; i < work->parts; i++) {
        const struct value_part *part = &work->all[i];
        const struct policy *policy = work->policy[part->group];
        work->forward[2 * i] = critic_pass(policy, part->set, work->all_tiles[i], part->out);
        work->forward[2 * i + 1] = critic_pass(policy, part->set, work->last_tiles[i], work->last[i].out);
    }
    backend->forward(backend, work->forward, 2 * work->parts);
    for (int i = 0; i < work->parts; i++) {
        scatter_part(rollout, &work->all[i], 0, steps);
        scatter_part(rollout, &work->last[i], steps, 1);
    }
}

void rollout_bootstrap(struct rollout *rollout, int t)
{
    struct rollout_work *work = rollout->work;
    struct backend *backend = rollout->backend;
    const int envs = rollout->config.envs;
    const uint8_t *end = rollout->ep_end + (size_t)t * (size_t)envs;
    bool any = false;
    for (int e = 0; e < envs; e++) {
        if (end[e] != MAPPO_TRUNCATED) continue;
        any = true;
        if (work->composes) rollout_compose(rollout, -1, e);
    }
    if (!any) return;
    for (int i = 0; i < work->parts; i++) {
        struct value_part *part = &work->ended[i];
        const struct policy *policy = work->policy[part->group];
        int count = 0;
        for (int e = rollout->first[part->shard]; e < rollout->first[part->shard + 1]; e++)
            if (end[e] == MAPPO_TRUNCATED) part->unit[count++] = state_unit(policy, e, part->set);
        work->ended_batch[i] = (struct batch){part->unit, count, part_rows(policy)};
        work->forward[i] = critic_pass(policy, part->set, work->ended_tiles[i], part->out);
    }
    for (int g = 0; g < rollout->groups; g++) {
        const int from = work->group_first[g];
        backend->pack(backend, &work->policy[g]->critic, work->ended_tiles + from, rollout->group[g].final_state, work->ended_batch + from,
                      work->group_first[g + 1] - from);
    }
    backend->forward(backend, work->forward, work->parts);
    for (int i = 0; i < work->parts; i++) {
        const struct value_part *part = &work->ended[i];
        const struct policy *policy = work->policy[part->group];
        const real *out = part->out;
        real *value = rollout->group[part->group].final_value + (size_t)t * (size_t)envs * (size_t)policy->value_agents;
        for (int e = rollout->first[part->shard]; e < rollout->first[part->shard + 1]; e++) {
            if (end[e] != MAPPO_TRUNCATED) continue;
            place_values(policy, part->set, value + (size_t)e * (size_t)policy->value_agents, out);
            out += part_rows(policy);
        }
    }
}

/* Values of a group whose agents each have a normaliser, in reward units. */
static void denormalise(const struct policy *policy, real *to, const real *from, size_t env_steps)
{
    for (int s = 0; s < policy->sets; s++) {
        const struct normalizer_scale scale = normalizer_scale(&policy->norm[s], policy->normalizer);
        for (size_t u = 0; u < env_steps; u++) {
            const size_t i = u * (size_t)policy->sets + (size_t)s;
            to[i] = (real)(scale.mean + scale.deviation * (double)from[i]);
        }
    }
}

void rollout_returns(struct rollout *rollout)
{
    struct rollout_work *work = rollout->work;
    const struct rollout_config *config = &rollout->config;
    const size_t env_steps = (size_t)config->steps * (size_t)config->envs;
    for (int g = 0; g < rollout->groups; g++) {
        const struct policy *policy = work->policy[g];
        const struct rollout_group *group = &rollout->group[g];
        const bool apart = policy->sets > 1;
        struct normalizer_scale scale = {0, 1};
        if (apart) {
            denormalise(policy, work->units[g], group->value, env_steps + (size_t)config->envs);
            denormalise(policy, work->final_units[g], group->final_value, env_steps);
        } else {
            scale = normalizer_scale(&policy->norm[0], policy->normalizer);
        }
        for (int shard = 0; shard < config->shards; shard++)
            work->gae[shard] = (struct gae_pass){.steps = config->steps,
                                                 .envs = config->envs,
                                                 .agents = group->sizes.agents,
                                                 .lo = rollout->first[shard],
                                                 .hi = rollout->first[shard + 1],
                                                 .gamma = config->gamma,
                                                 .lambda = config->lambda,
                                                 .bootstrap = config->bootstrap,
                                                 .value_agents = policy->value_agents,
                                                 .value_mean = (real)scale.mean,
                                                 .value_deviation = (real)scale.deviation,
                                                 .reward = group->reward,
                                                 .terminated = group->terminated,
                                                 .ep_end = rollout->ep_end,
                                                 .value = apart ? work->units[g] : group->value,
                                                 .final_value = apart ? work->final_units[g] : group->final_value,
                                                 .advantage = group->advantage,
                                                 .ret = group->ret};
        rollout->backend->gae(rollout->backend, work->gae, config->shards);
    }
}

void rollout_finish(struct rollout *rollout)
{
    rollout_values(rollout);
    rollout_returns(rollout);
}
