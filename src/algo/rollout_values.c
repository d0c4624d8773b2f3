/* The critic's side of a rollout: V of all slices, V of final states at time limits, advantages and returns. */
#include <stdlib.h>
#include <string.h>

#include "algo/rollout_work.h"

/* Critic inputs per environment step that one pass reads: of one agent where every agent has its own parameters. */
static int part_rows(const struct policy *policy)
{
    return policy_apart(policy, ROLE_CRITIC) ? 1 : policy->state_rows;
}

/* With parameters and states per agent the units of a pass are single rows of the state. */
static bool by_agent(const struct policy *policy)
{
    return policy_apart(policy, ROLE_CRITIC) && policy->state_rows > 1;
}

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

/* The env-steps [t][lo, hi) as units of the state of set `set`. */
static int32_t *list_units(struct rollout *rollout, const struct policy *policy, int steps, int lo, int hi, int set, bool as_state)
{
    const int count = steps * (hi - lo);
    const bool rows = as_state && by_agent(policy);
    int32_t *host = malloc((size_t)(count + 1) * sizeof *host), *to = host;
    CHECK(host, "out of memory listing %d env-steps", count);
    for (int t = 0; t < steps; t++)
        for (int e = lo; e < hi; e++) {
            const int u = t * rollout->config.envs + e;
            *to++ = rows ? u * policy->state_rows + set : u;
        }
    int32_t *units = ROLLOUT_NEW(rollout, int32_t, count);
    rollout->backend->upload(rollout->backend, units, host, (size_t)count * sizeof *host);
    free(host);
    return units;
}

/* `steps` slices of the shard's environments; `direct`: in order, so that values land where they belong. */
static struct value_part create_slices(struct rollout *rollout, int g, int shard, int set, int steps, real *value)
{
    const struct policy *policy = rollout->work->policy[g];
    const int lo = rollout->first[shard], hi = rollout->first[shard + 1], rows = part_rows(policy), units = steps * (hi - lo);
    struct value_part part = {.group = g, .set = set, .shard = shard};
    part.direct = rollout->config.shards == 1 && !policy_apart(policy, ROLE_CRITIC) && policy->value_agents == policy->state_rows;
    part.out = part.direct ? value : ROLLOUT_NEW(rollout, real, units * rows);
    part.batch = (struct batch){NULL, units, rows, NULL};
    if (!part.direct) {
        part.batch.unit = list_units(rollout, policy, steps, lo, hi, set, true);
        part.place = by_agent(policy) ? list_units(rollout, policy, steps, lo, hi, set, false) : (int32_t *)(uintptr_t)part.batch.unit;
    }
    part.tiles = rollout->backend->tiles_create(rollout->backend, &policy->critic, units * rows);
    return part;
}

/* Environment steps that a time limit ended: which ones is found out each time. */
static struct value_part create_ended(struct rollout *rollout, int i, int g, int shard, int set)
{
    struct rollout_work *work = rollout->work;
    const struct policy *policy = work->policy[g];
    const int units = rollout->final_steps * (rollout->first[shard + 1] - rollout->first[shard]), rows = part_rows(policy);
    struct value_part part = {.group = g, .set = set, .shard = shard};
    int32_t *unit = ROLLOUT_NEW(rollout, int32_t, units);
    part.place = by_agent(policy) ? ROLLOUT_NEW(rollout, int32_t, units) : unit;
    part.batch = (struct batch){unit, units, rows, work->ended_count + i};
    part.out = ROLLOUT_NEW(rollout, real, units * rows);
    part.tiles = rollout->backend->tiles_create(rollout->backend, &policy->critic, units * rows);
    return part;
}

void rollout_values_create(struct rollout *rollout)
{
    struct rollout_work *work = rollout->work;
    struct arena *arena = rollout->arena;
    const int shards = rollout->config.shards, steps = rollout->config.steps;
    for (int g = 0; g < rollout->groups; g++) work->parts += shards * work->policy[g]->sets[ROLE_CRITIC];
    work->all = ARENA_NEW(arena, struct value_part, work->parts);
    work->last = ARENA_NEW(arena, struct value_part, work->parts);
    work->ended = ARENA_NEW(arena, struct value_part, work->parts);
    work->ended_count = ROLLOUT_NEW(rollout, int32_t, work->parts);
    work->batch = ARENA_NEW(arena, struct batch, work->parts);
    work->tiles = ARENA_NEW(arena, struct tiles *, work->parts);
    work->forward = ARENA_NEW(arena, struct forward_pass, 2 * work->parts);
    work->ends = ARENA_NEW(arena, struct ends_pass, 2 * work->parts);
    work->scatter = ARENA_NEW(arena, struct scatter_pass, 2 * work->parts);
    work->gae = ARENA_NEW(arena, struct gae_pass, shards);
    int i = 0;
    for (int g = 0; g < rollout->groups; g++) {
        const struct policy *policy = work->policy[g];
        real *value = rollout->group[g].value;
        real *end = value + (size_t)steps * (size_t)rollout->config.envs * (size_t)policy->value_agents;
        work->group_first[g] = i;
        for (int shard = 0; shard < shards; shard++)
            for (int set = 0; set < policy->sets[ROLE_CRITIC]; set++, i++) {
                work->all[i] = create_slices(rollout, g, shard, set, steps, value);
                work->last[i] = create_slices(rollout, g, shard, set, 1, end);
                if (rollout->config.bootstrap) work->ended[i] = create_ended(rollout, i, g, shard, set);
            }
    }
    work->group_first[rollout->groups] = i;
}

void rollout_values_destroy(struct rollout *rollout)
{
    struct backend *backend = rollout->backend;
    for (int i = 0; i < rollout->work->parts; i++) {
        backend->tiles_destroy(backend, rollout->work->all[i].tiles);
        backend->tiles_destroy(backend, rollout->work->last[i].tiles);
        backend->tiles_destroy(backend, rollout->work->ended[i].tiles);
    }
}

struct tiles *rollout_critic_tiles(const struct rollout *rollout, int group, int shard, int set)
{
    return rollout->work->all[rollout->work->group_first[group] + shard * rollout->work->policy[group]->sets[ROLE_CRITIC] + set].tiles;
}

/* ---- passes -------------------------------------------------------------------------------------------------------------------------- */

static void pack_group(struct rollout *rollout, int g, const struct value_part *parts, const float *state)
{
    struct rollout_work *work = rollout->work;
    const int from = work->group_first[g], count = work->group_first[g + 1] - from;
    for (int i = 0; i < count; i++) {
        work->batch[i] = parts[from + i].batch;
        work->tiles[i] = parts[from + i].tiles;
    }
    rollout->backend->pack(rollout->backend, &work->policy[g]->critic, work->tiles, state, work->batch, count);
}

static struct forward_pass critic_pass(const struct rollout *rollout, const struct value_part *part)
{
    const struct policy *policy = rollout->work->policy[part->group];
    return (struct forward_pass){
        .net = &policy->critic, .parameters = policy_critic(policy, policy->parameters, part->set), .tiles = part->tiles, .out = part->out};
}

/* Values of a part to their places in `value` [env-step][V]. */
static struct scatter_pass scatter_part(const struct rollout *rollout, const struct value_part *part, real *value)
{
    const struct policy *policy = rollout->work->policy[part->group];
    const bool own = policy_apart(policy, ROLE_CRITIC);
    return (struct scatter_pass){.unit = part->place,
                                 .count = part->batch.count,
                                 .units = part->batch.units,
                                 .stride = policy->value_agents,
                                 .width = own ? 1 : policy->value_agents,
                                 .from_width = part_rows(policy),
                                 .from = part->out,
                                 .to = own ? value + part->set : value};
}

void rollout_values(struct rollout *rollout)
{
    struct rollout_work *work = rollout->work;
    struct backend *backend = rollout->backend;
    const size_t steps = (size_t)rollout->config.steps;
    for (int g = 0; g < rollout->groups; g++) {
        const float *state = rollout->group[g].state;
        pack_group(rollout, g, work->all, state);
        pack_group(rollout, g, work->last, state + steps * rollout_state_size(rollout, g));
    }
    int scatters = 0;
    for (int i = 0; i < work->parts; i++) {
        const struct policy *policy = work->policy[work->all[i].group];
        real *value = rollout->group[work->all[i].group].value;
        real *end = value + steps * (size_t)rollout->config.envs * (size_t)policy->value_agents;
        work->forward[2 * i] = critic_pass(rollout, &work->all[i]);
        work->forward[2 * i + 1] = critic_pass(rollout, &work->last[i]);
        if (work->all[i].direct) continue;
        work->scatter[scatters++] = scatter_part(rollout, &work->all[i], value);
        work->scatter[scatters++] = scatter_part(rollout, &work->last[i], end);
    }
    backend->forward(backend, work->forward, 2 * work->parts);
    if (scatters) backend->scatter(backend, work->scatter, scatters);
}

void rollout_bootstrap(struct rollout *rollout, int t)
{
    struct rollout_work *work = rollout->work;
    struct backend *backend = rollout->backend;
    const int envs = rollout->config.envs, steps = rollout->final_steps;
    const uint8_t *end = rollout->ep_end + (size_t)t * (size_t)envs;
    if (backend->host_memory && !memchr(end, MAPPO_TRUNCATED, (size_t)envs * (size_t)steps)) return;
    rollout_compose(rollout, -1, 0, envs * steps);
    int ends = 0;
    for (int i = 0; i < work->parts; i++) {
        const struct value_part *part = &work->ended[i];
        const struct policy *policy = work->policy[part->group];
        struct ends_pass pass = {.ep_end = end,
                                 .steps = steps,
                                 .envs = envs,
                                 .lo = rollout->first[part->shard],
                                 .hi = rollout->first[part->shard + 1],
                                 .stride = 1,
                                 .unit = part->place,
                                 .count = work->ended_count + i};
        work->ends[ends++] = pass;
        if (by_agent(policy)) {
            pass.unit = (int32_t *)(uintptr_t)part->batch.unit;
            pass.stride = policy->state_rows;
            pass.offset = part->set;
            work->ends[ends++] = pass;
        }
        work->forward[i] = critic_pass(rollout, part);
        work->scatter[i] =
            scatter_part(rollout, part, rollout->group[part->group].final_value + (size_t)t * (size_t)envs * (size_t)policy->value_agents);
    }
    backend->select_ends(backend, work->ends, ends);
    for (int g = 0; g < rollout->groups; g++) pack_group(rollout, g, work->ended, rollout->group[g].final_state);
    backend->forward(backend, work->forward, work->parts);
    backend->scatter(backend, work->scatter, work->parts);
}

/* ---- returns ------------------------------------------------------------------------------------------------------------------------- */

void rollout_returns(struct rollout *rollout)
{
    struct rollout_work *work = rollout->work;
    const struct rollout_config *config = &rollout->config;
    for (int g = 0; g < rollout->groups; g++) {
        const struct policy *policy = work->policy[g];
        const struct rollout_group *group = &rollout->group[g];
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
                                                 .norm = policy->norm,
                                                 .norms = policy->sets[ROLE_CRITIC],
                                                 .reward = group->reward,
                                                 .terminated = group->terminated,
                                                 .ep_end = rollout->ep_end,
                                                 .value = group->value,
                                                 .final_value = group->final_value,
                                                 .advantage = group->advantage,
                                                 .ret = group->ret};
        rollout->backend->gae(rollout->backend, work->gae, config->shards);
    }
}

void rollout_finish(struct rollout *rollout)
{
    if (backend_replayed(rollout->backend, &rollout->work->finish)) return;
    rollout_values(rollout);
    rollout_returns(rollout);
    backend_recorded(rollout->backend, &rollout->work->finish);
}
