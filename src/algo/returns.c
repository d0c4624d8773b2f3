#include "algo/returns.h"

#include <stdio.h>
#include <string.h>

/* A critic pass over some rows of one shard with one set of parameters, and where its values go. */
struct value_part {
    int group, set, shard;
    struct batch batch; /* of the group's critic inputs */
    int32_t *place;     /* [units] the env-step of each unit; NULL = where `direct`, or the batch's units are env-steps themselves */
    struct packed_rows *packed;
    struct recurrent time; /* of a recurrent critic */
    real *out;             /* [units][rows]; the values' own memory where the order is the same */
    bool direct;           /* out is the values' own memory */
};

struct returns_work {
    struct backend *backend;
    int parts; /* groups x shards x sets; those of group g: [group_first[g], group_first[g + 1]) */
    int group_first[MAPPO_MAX_GROUPS + 1];
    struct value_part *all, *last, *ended; /* [parts] places 0 … T-1; place T; final observations */
    int32_t *ended_count;                  /* [parts] */
    struct batch *batch;                   /* [parts] scratch of calls */
    struct packed_rows **packed;
    struct forward_pass *forward;   /* [2 * parts] */
    struct ends_pass *ends;         /* [3 * parts] */
    struct scatter_pass *scatter;   /* [2 * parts] */
    struct gae_pass *gae;           /* [shards] */
    struct discount_pass *discount; /* [groups] */
};

/* How many steps' final observations there are room for. */
static int final_steps(const struct returns *r)
{
    return transitions_places(&r->transitions->config, SLICE_FINAL);
}

/* Critic inputs per environment step that one pass reads: of one agent where every agent has its own parameters. */
static int part_rows(const struct policy *policy)
{
    return policy_apart(policy, ROLE_CRITIC) ? 1 : policy->state_rows;
}

/* Numbers of V at one place. */
static size_t values_of(const struct returns *r, int g)
{
    return (size_t)r->transitions->config.envs * (size_t)r->policy[g]->value_agents;
}

/* With parameters and states per agent the units of a pass are single rows of the state. */
static bool by_agent(const struct policy *policy)
{
    return policy_apart(policy, ROLE_CRITIC) && policy->state_rows > 1;
}

/* Each agent's critic remembers for itself, though all see the same state: their rows of states are none of the inputs' units. */
static bool remembers_apart(const struct policy *policy)
{
    return policy->net[ROLE_CRITIC].gru && policy_apart(policy, ROLE_CRITIC) && policy->state_rows == 1;
}

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

/* The time of a part, whose batch is made, from a place on: its rows of the states. */
static void create_time(const struct returns *r, struct backend_memory *memory, struct value_part *part, int steps, int place)
{
    const struct policy *policy = r->policy[part->group];
    if (!policy->net[ROLE_CRITIC].gru) return;
    part->time = states_time(r->states, part->group, ROLE_CRITIC);
    part->time.batch = part->batch;
    part->time.steps = steps;
    part->time.hidden = states_at(r->states, part->group, ROLE_CRITIC, place);
    if (place == 0) part->time.hidden_out = states_at(r->states, part->group, ROLE_CRITIC, 1);
    part->time.ended += (size_t)place * (size_t)r->transitions->config.envs;
    if (remembers_apart(policy))
        part->time.batch.unit = transitions_units(r->transitions, memory, steps, part->shard, policy->sets[ROLE_CRITIC], part->set);
}

/* `steps` places of the shard's environments, from a place on; `direct`: in order, so that values land where they belong. */
static struct value_part create_places(const struct returns *r, struct backend_memory *memory, int g, int shard, int set, int place,
                                       int steps)
{
    const struct policy *policy = r->policy[g];
    real *value = r->group[g].value + (size_t)place * values_of(r, g);
    const int rows = part_rows(policy), units = steps * (r->transitions->first[shard + 1] - r->transitions->first[shard]);
    struct value_part part = {.group = g, .set = set, .shard = shard};
    part.direct = r->transitions->config.shards == 1 && !r->transitions->held && !policy_apart(policy, ROLE_CRITIC) &&
                  policy->value_agents == policy->state_rows;
    part.out = part.direct ? value : BACKEND_NEW(memory, real, units * rows);
    part.batch = (struct batch){NULL, units, rows, NULL};
    if (!part.direct) {
        part.place = transitions_units(r->transitions, memory, steps, shard, 1, 0);
        part.batch.unit = by_agent(policy) ? transitions_units(r->transitions, memory, steps, shard, policy->state_rows, set) : part.place;
    }
    part.packed = backend_memory_packed(memory, &policy->net[ROLE_CRITIC], units * rows);
    create_time(r, memory, &part, steps, place);
    return part;
}

/* Environment steps that a time limit ended: which ones is found out each time. */
static struct value_part create_ended(const struct returns *r, struct backend_memory *memory, int i, int g, int shard, int set)
{
    const struct policy *policy = r->policy[g];
    const int units = final_steps(r) * (r->transitions->first[shard + 1] - r->transitions->first[shard]), rows = part_rows(policy);
    struct value_part part = {.group = g, .set = set, .shard = shard};
    int32_t *unit = BACKEND_NEW(memory, int32_t, units);
    part.place = by_agent(policy) ? BACKEND_NEW(memory, int32_t, units) : unit;
    part.batch = (struct batch){unit, units, rows, r->work->ended_count + i};
    part.out = BACKEND_NEW(memory, real, units * rows);
    part.packed = backend_memory_packed(memory, &policy->net[ROLE_CRITIC], units * rows);
    if (!policy->net[ROLE_CRITIC].gru) return part;
    part.time =
        (struct recurrent){.batch = part.batch, .steps = 1, .hidden = states_at(r->states, g, ROLE_CRITIC, 1)}; /* as the step left it */
    if (remembers_apart(policy)) part.time.batch.unit = BACKEND_NEW(memory, int32_t, units);
    return part;
}

static void create_group(struct returns *r, int g, struct backend_memory *memory)
{
    if (!policy_learns(r->policy[g])) return;
    const struct transitions_config *config = &r->transitions->config;
    const size_t steps = (size_t)config->steps, envs = (size_t)config->envs;
    const size_t rows = envs * (size_t)r->policy[g]->sizes.agents, values = envs * (size_t)r->policy[g]->value_agents;
    r->group[g] = (struct returns_group){.value = BACKEND_NEW(memory, real, (steps + 1) * values),
                                         .final_value = BACKEND_NEW(memory, real, steps * values),
                                         .advantage = BACKEND_NEW(memory, real, steps * rows),
                                         .ret = BACKEND_NEW(memory, real, steps * rows)};
    if (r->policy[g]->running[RUNNING_REWARD].width == 0) return;
    r->group[g].discounted = BACKEND_NEW(memory, float, steps *rows);
    r->group[g].now = BACKEND_NEW(memory, real, rows);
    r->group[g].host = memory->backend->host_memory ? r->group[g].now : ARENA_NEW(memory->arena, real, rows);
}

static void create_parts(struct returns *r, struct backend_memory *memory)
{
    struct returns_work *work = r->work;
    const int shards = r->transitions->config.shards, steps = r->transitions->config.steps;
    int i = 0;
    for (int g = 0; g < r->groups; g++) {
        work->group_first[g] = i;
        if (!policy_learns(r->policy[g])) continue;
        for (int shard = 0; shard < shards; shard++)
            for (int set = 0; set < r->policy[g]->sets[ROLE_CRITIC]; set++, i++) {
                work->all[i] = create_places(r, memory, g, shard, set, 0, steps);
                work->last[i] = create_places(r, memory, g, shard, set, steps, 1);
                if (r->config.bootstrap) work->ended[i] = create_ended(r, memory, i, g, shard, set);
            }
    }
    work->group_first[r->groups] = i;
}

void returns_create(struct returns **out, const struct returns_config *config, const struct transitions *transitions,
                    const struct critic_inputs *inputs, const struct states *states, struct policy *const *policy,
                    struct backend_memory *memory)
{
    struct arena *arena = memory->arena;
    struct returns *r = *out = ARENA_NEW(arena, struct returns, 1);
    struct returns_work *work = ARENA_NEW(arena, struct returns_work, 1);
    *r = (struct returns){.config = *config,
                          .transitions = transitions,
                          .inputs = inputs,
                          .states = states,
                          .policy = policy,
                          .groups = transitions->all.groups,
                          .work = work};
    work->backend = memory->backend;
    for (int g = 0; g < r->groups; g++) {
        create_group(r, g, memory);
        work->parts += transitions->config.shards * policy[g]->sets[ROLE_CRITIC];
    }
    work->all = ARENA_NEW(arena, struct value_part, work->parts);
    work->last = ARENA_NEW(arena, struct value_part, work->parts);
    work->ended = ARENA_NEW(arena, struct value_part, work->parts);
    work->ended_count = BACKEND_NEW(memory, int32_t, work->parts);
    work->batch = ARENA_NEW(arena, struct batch, work->parts);
    work->packed = ARENA_NEW(arena, struct packed_rows *, work->parts);
    work->forward = ARENA_NEW(arena, struct forward_pass, 2 * work->parts);
    work->ends = ARENA_NEW(arena, struct ends_pass, 3 * work->parts);
    work->scatter = ARENA_NEW(arena, struct scatter_pass, 2 * work->parts);
    work->gae = ARENA_NEW(arena, struct gae_pass, transitions->config.shards);
    work->discount = ARENA_NEW(arena, struct discount_pass, r->groups);
    create_parts(r, memory);
}

struct packed_rows *returns_critic_packed(const struct returns *r, int group, int shard, int set)
{
    return r->work->all[r->work->group_first[group] + shard * r->policy[group]->sets[ROLE_CRITIC] + set].packed;
}

/* ---- passes -------------------------------------------------------------------------------------------------------------------------- */

static void pack_group(const struct returns *r, int g, const struct value_part *parts, const float *inputs)
{
    const struct returns_work *work = r->work;
    const int from = work->group_first[g], count = work->group_first[g + 1] - from;
    if (count == 0) return;
    for (int i = 0; i < count; i++) {
        work->batch[i] = parts[from + i].batch;
        work->packed[i] = parts[from + i].packed;
    }
    work->backend->pack(work->backend, &r->policy[g]->net[ROLE_CRITIC], policy_inputs(r->policy[g], ROLE_CRITIC), work->packed, inputs,
                        work->batch, count);
}

static struct forward_pass critic_pass(const struct returns *r, const struct value_part *part)
{
    const struct policy *policy = r->policy[part->group];
    return (struct forward_pass){.net = &policy->net[ROLE_CRITIC],
                                 .parameters = policy_critic(policy, policy->parameters, part->set),
                                 .packed = part->packed,
                                 .recurrent = policy->net[ROLE_CRITIC].gru ? &part->time : NULL,
                                 .out = part->out};
}

/* Values of a part to their places in `value` [env-step][V]. */
static struct scatter_pass scatter_part(const struct returns *r, const struct value_part *part, real *value)
{
    const struct policy *policy = r->policy[part->group];
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

/* Of whole episodes: the env-steps that a part has this time. Its lists are memory of the host there. */
static void list_held(const struct returns *r, struct value_part *part)
{
    const struct policy *policy = r->policy[part->group];
    const int32_t *held;
    const int count = transitions_held(r->transitions, part->shard, &held);
    if (!held) return;
    int32_t *unit = (int32_t *)(uintptr_t)part->batch.unit;
    for (int i = 0; i < count; i++) {
        part->place[i] = held[i];
        unit[i] = by_agent(policy) ? held[i] * policy->state_rows + part->set : held[i];
    }
    part->batch.units = count;
}

void returns_values(struct returns *r)
{
    const struct returns_work *work = r->work;
    for (int i = 0; i < work->parts; i++) list_held(r, &work->all[i]);
    const size_t steps = (size_t)r->transitions->config.steps, envs = (size_t)r->transitions->config.envs;
    for (int g = 0; g < r->groups; g++) {
        const float *inputs = r->inputs->group[g].current;
        pack_group(r, g, work->all, inputs);
        pack_group(r, g, work->last, inputs + steps * envs * critic_inputs_width(r->inputs, g));
    }
    int scatters = 0;
    const bool recurrent = states_needed(r->policy, r->groups, ROLE_CRITIC);
    if (recurrent) states_collected(r->states);
    for (int i = 0; i < work->parts; i++) {
        const int g = work->all[i].group;
        real *value = r->group[g].value;
        work->forward[recurrent ? i : 2 * i] = critic_pass(r, &work->all[i]);
        work->forward[recurrent ? work->parts + i : 2 * i + 1] = critic_pass(r, &work->last[i]);
        if (work->all[i].direct) continue;
        work->scatter[scatters++] = scatter_part(r, &work->all[i], value);
        work->scatter[scatters++] = scatter_part(r, &work->last[i], value + steps * values_of(r, g));
    }
    if (recurrent) { /* the last states come of all before */
        work->backend->forward(work->backend, work->forward, work->parts);
        work->backend->forward(work->backend, work->forward + work->parts, work->parts);
    } else {
        work->backend->forward(work->backend, work->forward, 2 * work->parts);
    }
    if (scatters) work->backend->scatter(work->backend, work->scatter, scatters);
    if (recurrent && r->config.bootstrap) returns_bootstrap(r, 0);
}

void returns_bootstrap(struct returns *r, int t)
{
    const struct returns_work *work = r->work;
    struct backend *backend = work->backend;
    const struct transitions *x = r->transitions;
    const int envs = x->config.envs, steps = final_steps(r);
    critic_inputs_compose_finals(r->inputs, 0, envs * steps);
    int ends = 0;
    for (int i = 0; i < work->parts; i++) {
        const struct value_part *part = &work->ended[i];
        const struct policy *policy = r->policy[part->group];
        struct ends_pass pass = {.ep_end = x->all.ep_end + (size_t)t * (size_t)envs,
                                 .steps = steps,
                                 .envs = envs,
                                 .lo = x->first[part->shard],
                                 .hi = x->first[part->shard + 1],
                                 .stride = 1,
                                 .unit = part->place,
                                 .count = work->ended_count + i};
        work->ends[ends++] = pass;
        if (by_agent(policy) || remembers_apart(policy)) {
            pass.unit = (int32_t *)(uintptr_t)(by_agent(policy) ? part->batch.unit : part->time.batch.unit);
            pass.stride = policy->sets[ROLE_CRITIC];
            pass.offset = part->set;
            work->ends[ends++] = pass;
        }
        work->forward[i] = critic_pass(r, part);
        work->scatter[i] = scatter_part(r, part, r->group[part->group].final_value + (size_t)t * values_of(r, part->group));
    }
    backend->select_ends(backend, work->ends, ends);
    for (int g = 0; g < r->groups; g++) pack_group(r, g, work->ended, r->inputs->group[g].last);
    backend->forward(backend, work->forward, work->parts);
    backend->scatter(backend, work->scatter, work->parts);
}

/* ---- advantages and returns ---------------------------------------------------------------------------------------------------------- */

static const real *reward_scale(const struct policy *policy)
{
    const struct running *running = &policy->running[RUNNING_REWARD];
    return running->width ? running->scale + 1 : NULL; /* 1 / deviation */
}

static void discount(const struct returns *r)
{
    const struct returns_work *work = r->work;
    const struct transitions_config *x = &r->transitions->config;
    int passes = 0;
    for (int g = 0; g < r->groups; g++) {
        const struct returns_group *group = &r->group[g];
        if (!group->discounted) continue;
        work->discount[passes++] = (struct discount_pass){.steps = x->steps,
                                                          .envs = x->envs,
                                                          .agents = r->policy[g]->sizes.agents,
                                                          .hi = x->envs,
                                                          .gamma = r->config.gamma,
                                                          .reward = r->transitions->all.group[g].reward,
                                                          .ep_end = r->transitions->all.ep_end,
                                                          .now = group->now,
                                                          .out = group->discounted};
    }
    if (passes) work->backend->discount(work->backend, work->discount, passes);
}

void returns_advantages(struct returns *r)
{
    const struct returns_work *work = r->work;
    const struct transitions *x = r->transitions;
    discount(r);
    for (int g = 0; g < r->groups; g++) {
        const struct policy *policy = r->policy[g];
        const struct returns_group *group = &r->group[g];
        if (!policy_learns(policy)) continue;
        for (int shard = 0; shard < x->config.shards; shard++)
            work->gae[shard] = (struct gae_pass){.steps = x->config.steps,
                                                 .envs = x->config.envs,
                                                 .agents = policy->sizes.agents,
                                                 .lo = x->first[shard],
                                                 .hi = x->first[shard + 1],
                                                 .gamma = r->config.gamma,
                                                 .lambda = r->config.lambda,
                                                 .bootstrap = r->config.bootstrap,
                                                 .advantage_by = r->config.advantage,
                                                 .target_by = r->config.target,
                                                 .value_agents = policy->value_agents,
                                                 .norm = policy->norm,
                                                 .norms = policy->sets[ROLE_CRITIC],
                                                 .reward = x->all.group[g].reward,
                                                 .reward_scale = reward_scale(policy),
                                                 .terminated = x->all.group[g].terminated,
                                                 .ep_end = x->all.ep_end,
                                                 .value = group->value,
                                                 .final_value = group->final_value,
                                                 .advantage = group->advantage,
                                                 .ret = group->ret};
        work->backend->gae(work->backend, work->gae, x->config.shards);
    }
}

/* ---- what a checkpoint holds --------------------------------------------------------------------------------------------------------- */

static size_t rows_now(const struct returns *r, int g)
{
    return (size_t)r->transitions->config.envs * (size_t)r->policy[g]->sizes.agents;
}

void returns_fields(const struct returns *r, const char *path, struct field_list *list)
{
    for (int g = 0; g < r->groups; g++) {
        char name[sizeof list->field->name];
        const struct policy *policy = r->policy[g];
        if (!r->group[g].now) continue;
        CHECK(snprintf(name, sizeof name, "%s/%s/discounted_return", path, policy->name) < (int)sizeof name, "name is too long: %s/%s",
              path, policy->name);
        field_add(list, name, FIELD_REAL, r->group[g].host, "reward", "discounted rewards of each agent's episode so far (norm.reward)", 2,
                  (int64_t)r->transitions->config.envs, (int64_t)policy->sizes.agents)
            ->per_env = true;
    }
}

void returns_pull(struct returns *r)
{
    struct backend *backend = r->work->backend;
    for (int g = 0; g < r->groups; g++)
        if (r->group[g].now != r->group[g].host)
            backend->download(backend, r->group[g].host, r->group[g].now, rows_now(r, g) * sizeof(real));
}

void returns_push(struct returns *r)
{
    struct backend *backend = r->work->backend;
    for (int g = 0; g < r->groups; g++)
        if (r->group[g].now != r->group[g].host) backend->upload(backend, r->group[g].now, r->group[g].host, rows_now(r, g) * sizeof(real));
}

void returns_clear(struct returns *r)
{
    for (int g = 0; g < r->groups; g++)
        if (r->group[g].host) memset(r->group[g].host, 0, rows_now(r, g) * sizeof(real));
    returns_push(r);
}
