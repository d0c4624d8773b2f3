#include "nn/actor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/kernels/distribution.h"
#include "base/arena.h"

/* One pass is the rows of one shard that one set of parameters acts for, of the policy or a member of a pool; it reads and writes them where they
 * lie in the slice. */
struct actor {
    struct actor_config config;
    struct backend *backend;
    struct arena *arena;
    int passes;                            /* ordered by group, then shard, then who acts (the policy, then members), then set */
    int group_first[MAPPO_MAX_GROUPS + 1]; /* passes of group g: [group_first[g], group_first[g + 1]) */
    struct packed_rows **packed;
    struct batch *batch;
    struct forward_pass *forward;
    struct recurrent *time; /* of recurrent policies */
    struct act_pass *act;
    struct actor_io staging[MAPPO_MAX_GROUPS]; /* the backend's memory behind slices of the host's */
    bool staged;
    struct actor_pool pool[MAPPO_MAX_GROUPS];
    /* Of groups with a pool, which pass has which environments: [passes of the group] how many units, behind them [such a pass][units] */
    int32_t *lists[MAPPO_MAX_GROUPS], *host_lists[MAPPO_MAX_GROUPS];
};

/* The policy's pass and its members': how many passes a set has in a shard. */
static int players_of(const struct actor *actor, int g)
{
    return 1 + actor->pool[g].members;
}

/* Passes of a shard. */
static int shard_passes(const struct actor *actor, int g)
{
    return actor->config.policy[g]->sets[ROLE_ACTOR] * players_of(actor, g);
}

static int shard_envs(const struct actor *actor, int shard)
{
    return actor->config.first[shard + 1] - actor->config.first[shard];
}

/* Numbers in the lists of a group; of which its shard's begin at *first. */
static size_t list_numbers(const struct actor *actor, int g, int shard, size_t *first)
{
    const size_t passes = (size_t)shard_passes(actor, g);
    size_t numbers = passes * (size_t)actor->config.shards;
    for (int s = 0; s < actor->config.shards; s++) {
        if (s == shard) *first = numbers; /* NULL only without such a shard */
        numbers += passes * (size_t)shard_envs(actor, s);
    }
    return numbers;
}

/* Units of a pass of the policy's alone: all environments of the shard. */
static struct batch whole_shard(const struct actor *actor, int group, int set, int shard)
{
    const struct policy *policy = actor->config.policy[group];
    const int agents = policy->sizes.agents, first = actor->config.first[shard], envs = shard_envs(actor, shard);
    const bool own = policy_apart(policy, ROLE_ACTOR);
    int32_t *unit = malloc((size_t)(envs + 1) * sizeof *unit);
    CHECK(unit, "out of memory for an actor");
    for (int e = 0; e < envs; e++) unit[e] = own ? (first + e) * agents + set : first + e;
    const struct batch batch = {backend_copy(actor->backend, "units of passes", unit, (size_t)envs * sizeof *unit), envs, own ? 1 : agents,
                                NULL};
    free(unit);
    return batch;
}

/* Of a group with a pool: those that actor_assign finds, for the k-th pass of the shard. */
static struct batch listed(const struct actor *actor, int group, int shard, int k)
{
    const struct policy *policy = actor->config.policy[group];
    const int envs = shard_envs(actor, shard), passes = shard_passes(actor, group);
    const int32_t *lists = actor->lists[group];
    size_t first = 0;
    list_numbers(actor, group, shard, &first);
    return (struct batch){lists + first + (size_t)k * (size_t)envs, envs, policy_apart(policy, ROLE_ACTOR) ? 1 : policy->sizes.agents,
                          lists + shard * passes + k};
}

/* The actor of a set that the policy has, or (from 1 on) a member of the pool. */
static const real *parameters_of(const struct actor *actor, int group, int player, int set)
{
    const struct policy *policy = actor->config.policy[group];
    if (player == 0) return policy_actor(policy, policy->parameters, set);
    return actor->pool[group].parameters + (size_t)(player - 1) * policy_actor_size(policy) +
           (size_t)set * policy->net[ROLE_ACTOR].parameters;
}

/* The k-th pass of a shard, which is the i-th of all. */
static void create_pass(struct actor *actor, int i, int group, int shard, int k)
{
    const struct policy *policy = actor->config.policy[group];
    const struct network *net = &policy->net[ROLE_ACTOR];
    const int sets = policy->sets[ROLE_ACTOR], agents = policy->sizes.agents;
    const real *parameters = parameters_of(actor, group, k / sets, k % sets);
    struct backend *backend = actor->backend;
    uint32_t first_agent = 0;
    for (int before = 0; before < group; before++) first_agent += (uint32_t)actor->config.policy[before]->sizes.agents;
    actor->batch[i] = actor->lists[group] ? listed(actor, group, shard, k) : whole_shard(actor, group, k, shard);
    const int rows = actor->batch[i].units * actor->batch[i].rows;
    actor->packed[i] = backend->packed_rows_create(backend, net, rows);
    actor->time[i] = (struct recurrent){.batch = actor->batch[i], .steps = 1, .ended_rows = agents};
    actor->forward[i] =
        (struct forward_pass){.net = net,
                              .parameters = parameters,
                              .packed = actor->packed[i],
                              .recurrent = net->gru ? &actor->time[i] : NULL,
                              .out = backend->alloc(backend, "outputs of policies", (size_t)rows * (size_t)net->outputs * sizeof(real))};
    actor->act[i] = (struct act_pass){.dist = &policy->dist,
                                      .batch = actor->batch[i],
                                      .out = actor->forward[i].out,
                                      .log_std = net->at.extra < 0 ? NULL : parameters + net->at.extra,
                                      .seed = actor->config.seed,
                                      .stream = actor->config.stream,
                                      .clock = actor->config.clock,
                                      .first_env = actor->config.first_env,
                                      .first_agent = first_agent,
                                      .agents = agents,
                                      .per_head = actor->config.per_head};
}

/* Do networks act for the group? */
static bool acts(const struct actor *actor, int g)
{
    return actor->config.policy[g]->sets[ROLE_ACTOR] > 0;
}

static size_t slice_rows(const struct actor *actor, int g)
{
    return (size_t)actor->config.first[actor->config.shards] * (size_t)actor->config.policy[g]->sizes.agents;
}

static void create_staging(struct actor *actor, int g)
{
    struct backend *backend = actor->backend;
    const struct group_sizes *sizes = &actor->config.policy[g]->sizes;
    const size_t rows = slice_rows(actor, g);
    actor->staging[g] =
        (struct actor_io){.obs = backend->alloc(backend, "observations of evaluations", rows * (size_t)sizes->obs * sizeof(float)),
                          .mask = backend->alloc(backend, "masks of evaluations", rows * (size_t)sizes->logits),
                          .act_int = backend->alloc(backend, "actions of evaluations", rows * (size_t)sizes->act_ints * sizeof(int32_t)),
                          .act_real = backend->alloc(backend, "actions of evaluations", rows * (size_t)sizes->act_reals * sizeof(float)),
                          .log_prob = backend->alloc(backend, "log-probabilities of evaluations", rows * sizeof(real))};
}

static void create_lists(struct actor *actor, int g)
{
    actor->pool[g] = actor->config.pool[g];
    const size_t numbers = list_numbers(actor, g, -1, NULL);
    actor->lists[g] = actor->backend->alloc(actor->backend, "units of passes", numbers * sizeof(int32_t));
    actor->host_lists[g] = ARENA_NEW(actor->arena, int32_t, numbers);
}

/* member NULL: the policy acts everywhere. */
static void list_environments(struct actor *actor, int g, const int32_t *member)
{
    const struct policy *policy = actor->config.policy[g];
    const bool own = policy_apart(policy, ROLE_ACTOR);
    const int sets = policy->sets[ROLE_ACTOR], passes = shard_passes(actor, g);
    const size_t numbers = list_numbers(actor, g, -1, NULL);
    int32_t *lists = actor->host_lists[g];
    memset(lists, 0, numbers * sizeof *lists);
    for (int shard = 0; shard < actor->config.shards; shard++) {
        size_t first = 0;
        list_numbers(actor, g, shard, &first);
        for (int e = actor->config.first[shard]; e < actor->config.first[shard + 1]; e++)
            for (int set = 0; set < sets; set++) {
                const int k = (member ? 1 + member[e] : 0) * sets + set;
                int32_t *count = lists + shard * passes + k;
                lists[first + (size_t)k * (size_t)shard_envs(actor, shard) + (size_t)(*count)++] = own ? e * policy->sizes.agents + set : e;
            }
    }
    actor->backend->upload(actor->backend, actor->lists[g], lists, numbers * sizeof *lists);
}

void actor_assign(struct actor *actor, int g, const int32_t *member)
{
    list_environments(actor, g, member);
}

void actor_create(struct actor **out, const struct actor_config *config, struct backend *backend)
{
    struct arena *arena = arena_create("actor");
    struct actor *actor = *out = ARENA_NEW(arena, struct actor, 1);
    actor->config = *config;
    actor->backend = backend;
    actor->arena = arena;
    actor->staged = config->host_io && !backend->host_memory;
    int *first = ARENA_NEW(arena, int, config->shards + 1);
    memcpy(first, config->first, (size_t)(config->shards + 1) * sizeof *first);
    actor->config.first = first;
    int passes = 0;
    for (int g = 0; g < config->groups; g++) {
        if (config->pool && config->pool[g].members) create_lists(actor, g);
        passes += shard_passes(actor, g) * config->shards;
    }
    actor->passes = passes;
    actor->packed = ARENA_NEW(arena, struct packed_rows *, passes);
    actor->batch = ARENA_NEW(arena, struct batch, passes);
    actor->forward = ARENA_NEW(arena, struct forward_pass, passes);
    actor->time = ARENA_NEW(arena, struct recurrent, passes);
    actor->act = ARENA_NEW(arena, struct act_pass, passes);
    int i = 0;
    for (int g = 0; g < config->groups; g++) {
        actor->group_first[g] = i;
        for (int shard = 0; shard < config->shards; shard++)
            for (int k = 0; k < shard_passes(actor, g); k++) create_pass(actor, i++, g, shard, k);
        if (actor->staged && acts(actor, g)) create_staging(actor, g);
    }
    actor->group_first[config->groups] = i;
    arena_seal(arena);
    if (backend->planning) return;
    for (int g = 0; g < config->groups; g++)
        if (actor->lists[g]) list_environments(actor, g, NULL);
}

void actor_destroy(struct actor *actor)
{
    if (!actor) return;
    struct backend *backend = actor->backend;
    for (int i = 0; i < actor->passes; i++) {
        backend->packed_rows_destroy(backend, actor->packed[i]);
        if (!actor->batch[i].count) backend->free(backend, (void *)(uintptr_t)actor->batch[i].unit);
        backend->free(backend, actor->forward[i].out);
    }
    for (int g = 0; g < actor->config.groups; g++) backend->free(backend, actor->lists[g]);
    for (int g = 0; g < actor->config.groups && actor->staged; g++) {
        struct actor_io *io = &actor->staging[g];
        backend->free(backend, (void *)(uintptr_t)io->obs);
        backend->free(backend, (void *)(uintptr_t)io->mask);
        backend->free(backend, io->act_int);
        backend->free(backend, io->act_real);
        backend->free(backend, io->log_prob);
    }
    arena_destroy(actor->arena);
}

/* ---- host slices of a backend with memory of its own --------------------------------------------------------------------------------- */

static void stage_in(struct actor *actor, const struct actor_io *io, int g)
{
    struct backend *backend = actor->backend;
    const struct group_sizes *sizes = &actor->config.policy[g]->sizes;
    const struct actor_io *staging = &actor->staging[g];
    const size_t rows = slice_rows(actor, g);
    backend->upload(backend, (void *)(uintptr_t)staging->obs, io->obs, rows * (size_t)sizes->obs * sizeof(float));
    if (io->mask) backend->upload(backend, (void *)(uintptr_t)staging->mask, io->mask, rows * (size_t)sizes->logits);
}

static void stage_out(struct actor *actor, const struct actor_io *io, int g)
{
    struct backend *backend = actor->backend;
    const struct group_sizes *sizes = &actor->config.policy[g]->sizes;
    const struct actor_io *staging = &actor->staging[g];
    const size_t rows = slice_rows(actor, g), ints = rows * (size_t)sizes->act_ints, reals = rows * (size_t)sizes->act_reals;
    if (io->act_int) backend->download(backend, io->act_int, staging->act_int, ints * sizeof *io->act_int);
    if (io->act_real) backend->download(backend, io->act_real, staging->act_real, reals * sizeof *io->act_real);
    if (io->log_prob) backend->download(backend, io->log_prob, staging->log_prob, rows * sizeof *io->log_prob);
}

/* The slice as the backend sees it. */
static struct actor_io backend_io(const struct actor *actor, const struct actor_io *io, int g)
{
    if (!actor->staged) return *io;
    const struct actor_io *staging = &actor->staging[g];
    return (struct actor_io){.obs = staging->obs,
                             .mask = io->mask ? staging->mask : NULL,
                             .act_int = io->act_int ? staging->act_int : NULL,
                             .act_real = io->act_real ? staging->act_real : NULL,
                             .log_prob = io->log_prob ? staging->log_prob : NULL};
}

/* ---- acting -------------------------------------------------------------------------------------------------------------------------- */

static void infer(struct actor *actor, int from, int count)
{
    struct backend *backend = actor->backend;
    if (backend->forward_act) {
        backend->forward_act(backend, actor->forward + from, actor->act + from, count);
    } else {
        backend->forward(backend, actor->forward + from, count);
        backend->act(backend, actor->act + from, count);
    }
}

/* Who acts has statistics of its own, by which its rows are packed. */
static void pack(struct actor *actor, int g, const float *obs, int from, int count)
{
    struct backend *backend = actor->backend;
    const struct policy *policy = actor->config.policy[g];
    const struct running *own = policy_inputs(policy, ROLE_ACTOR);
    const struct actor_pool *pool = &actor->pool[g];
    const int each = own && pool->members ? policy->sets[ROLE_ACTOR] : count; /* passes that are packed alike */
    for (int i = from; i < from + count; i += each) {
        const int player = (i - actor->group_first[g]) / policy->sets[ROLE_ACTOR] % players_of(actor, g);
        const struct running *inputs = own && pool->members && player > 0 ? &pool->obs[player - 1] : own;
        backend->pack(backend, &policy->net[ROLE_ACTOR], inputs, actor->packed + i, obs, actor->batch + i, each);
    }
}

void actor_act(struct actor *actor, const struct actor_io *io, int shard, uint64_t step, bool deterministic)
{
    for (int g = 0; g < actor->config.groups; g++) {
        const bool all = shard == ACTOR_ALL;
        if (!acts(actor, g)) continue;
        const int from = actor->group_first[g] + (all ? 0 : shard * shard_passes(actor, g));
        const int count = all ? actor->group_first[g + 1] - from : shard_passes(actor, g);
        if (actor->staged) stage_in(actor, &io[g], g);
        const struct actor_io slice = backend_io(actor, &io[g], g);
        for (int i = from; i < from + count; i++) {
            struct act_pass *act = &actor->act[i];
            act->step = step;
            act->deterministic = deterministic;
            act->mask = slice.mask;
            act->act_int = slice.act_int;
            act->act_real = slice.act_real;
            act->log_prob = slice.log_prob;
            actor->time[i].hidden = io[g].state;
            actor->time[i].hidden_out = io[g].state_after;
            actor->time[i].ended = io[g].ended;
        }
        pack(actor, g, slice.obs, from, count);
        if (!all) infer(actor, from, count);
    }
    if (shard == ACTOR_ALL && actor->passes > 0) infer(actor, 0, actor->passes);
    for (int g = 0; g < actor->config.groups && actor->staged; g++)
        if (acts(actor, g)) stage_out(actor, &io[g], g);
}

/* ---- what networks made -------------------------------------------------------------------------------------------------------------- */

int actor_output_width(const struct policy *policy)
{
    return policy->net[ROLE_ACTOR].outputs - policy->net[ROLE_ACTOR].log_std_rows;
}

int actor_deviation_width(const struct policy *policy)
{
    const struct distribution *dist = &policy->dist;
    return dist->real == REAL_GAUSSIAN || dist->real == REAL_TANH_GAUSSIAN ? dist->act_reals : 0;
}

/* Of a row: from its outputs, the parameters (NULL where there are none), or the constant. */
static real log_std_of(const struct distribution *dist, const real *row, const real *parameters, int k)
{
    return dist->log_std_output ? bounded_log_std(row[dist->log_std_output + k]) : parameters ? parameters[k] : (real)logf(dist->fixed_std);
}

void actor_network_outputs(const struct actor *actor, int g, real *output, real *log_std)
{
    struct backend *backend = actor->backend;
    const struct policy *policy = actor->config.policy[g];
    const struct distribution *dist = &policy->dist;
    const size_t outputs = (size_t)policy->net[ROLE_ACTOR].outputs, width = (size_t)actor_output_width(policy);
    const size_t deviations = log_std ? (size_t)actor_deviation_width(policy) : 0, agents = (size_t)policy->sizes.agents;
    const int sets = policy->sets[ROLE_ACTOR];
    CHECK(!actor->lists[g] && acts(actor, g), "outputs of a group that others may act for");
    for (int i = actor->group_first[g]; i < actor->group_first[g + 1]; i++) {
        const int k = (i - actor->group_first[g]) % sets, shard = (i - actor->group_first[g]) / sets;
        const size_t per_unit = (size_t)actor->batch[i].rows, rows = (size_t)actor->batch[i].units * per_unit;
        const size_t first = (size_t)actor->config.first[shard];
        real *out = malloc((rows * outputs + deviations + 1) * sizeof *out), *parameters = out ? out + rows * outputs : NULL;
        CHECK(out, "out of memory for what networks make");
        backend->download(backend, out, actor->forward[i].out, rows * outputs * sizeof *out);
        if (deviations && actor->act[i].log_std)
            backend->download(backend, parameters, actor->act[i].log_std, deviations * sizeof *parameters);
        for (size_t r = 0; r < rows; r++) {
            const size_t to = (first + r / per_unit) * agents + (policy_apart(policy, ROLE_ACTOR) ? (size_t)k : r % per_unit);
            memcpy(output + to * width, out + r * outputs, width * sizeof *out);
            for (size_t j = 0; j < deviations; j++)
                log_std[to * deviations + j] = log_std_of(dist, out + r * outputs, actor->act[i].log_std ? parameters : NULL, (int)j);
        }
        free(out);
    }
}
