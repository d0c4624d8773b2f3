#include "nn/actor.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

/* One pass is the rows of one shard that one set of parameters acts for; it reads and writes them where they lie in the slice. */
struct actor {
    struct actor_config config;
    struct backend *backend;
    struct arena *arena;
    int passes;                            /* ordered by group, then shard, then set */
    int group_first[MAPPO_MAX_GROUPS + 1]; /* passes of group g: [group_first[g], group_first[g + 1]) */
    struct packed_rows **packed;
    struct batch *batch;
    struct forward_pass *forward;
    struct recurrent *time; /* of recurrent policies */
    struct act_pass *act;
    struct actor_io staging[MAPPO_MAX_GROUPS]; /* the backend's memory behind slices of the host's */
    bool staged;
};

static void create_pass(struct actor *actor, int i, int group, int set, int shard)
{
    const struct policy *policy = actor->config.policy[group];
    const int agents = policy->sizes.agents, first = actor->config.first[shard], envs = actor->config.first[shard + 1] - first;
    const bool own = policy_apart(policy, ROLE_ACTOR);
    struct backend *backend = actor->backend;
    uint32_t first_agent = 0;
    for (int before = 0; before < group; before++) first_agent += (uint32_t)actor->config.policy[before]->sizes.agents;
    int32_t *unit = malloc((size_t)(envs + 1) * sizeof *unit);
    CHECK(unit, "out of memory for an actor");
    for (int e = 0; e < envs; e++) unit[e] = own ? (first + e) * agents + set : first + e;
    const int rows = own ? 1 : agents;
    actor->batch[i] = (struct batch){backend_copy(backend, "units of passes", unit, (size_t)envs * sizeof *unit), envs, rows, NULL};
    free(unit);
    actor->packed[i] = backend->packed_rows_create(backend, &policy->net[ROLE_ACTOR], envs * rows);
    actor->time[i] = (struct recurrent){.batch = actor->batch[i], .steps = 1, .ended_rows = agents};
    const size_t outputs = (size_t)envs * (size_t)rows * (size_t)policy->net[ROLE_ACTOR].outputs;
    actor->forward[i] = (struct forward_pass){.net = &policy->net[ROLE_ACTOR],
                                              .parameters = policy_actor(policy, policy->parameters, set),
                                              .packed = actor->packed[i],
                                              .recurrent = policy->net[ROLE_ACTOR].gru ? &actor->time[i] : NULL,
                                              .out = backend->alloc(backend, "outputs of policies", outputs * sizeof(real))};
    actor->act[i] = (struct act_pass){.dist = &policy->dist,
                                      .batch = actor->batch[i],
                                      .out = actor->forward[i].out,
                                      .log_std = policy_log_std(policy, set),
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
    for (int g = 0; g < config->groups; g++) passes += config->policy[g]->sets[ROLE_ACTOR] * config->shards;
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
            for (int set = 0; set < config->policy[g]->sets[ROLE_ACTOR]; set++) create_pass(actor, i++, g, set, shard);
        if (actor->staged && acts(actor, g)) create_staging(actor, g);
    }
    actor->group_first[config->groups] = i;
    arena_seal(arena);
}

void actor_destroy(struct actor *actor)
{
    if (!actor) return;
    struct backend *backend = actor->backend;
    for (int i = 0; i < actor->passes; i++) {
        backend->packed_rows_destroy(backend, actor->packed[i]);
        backend->free(backend, (void *)(uintptr_t)actor->batch[i].unit);
        backend->free(backend, actor->forward[i].out);
    }
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

void actor_act(struct actor *actor, const struct actor_io *io, int shard, uint64_t step, bool deterministic)
{
    struct backend *backend = actor->backend;
    for (int g = 0; g < actor->config.groups; g++) {
        const struct policy *policy = actor->config.policy[g];
        const bool all = shard == ACTOR_ALL;
        if (!acts(actor, g)) continue;
        const int from = actor->group_first[g] + (all ? 0 : shard * policy->sets[ROLE_ACTOR]);
        const int count = all ? actor->group_first[g + 1] - from : policy->sets[ROLE_ACTOR];
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
        backend->pack(backend, &policy->net[ROLE_ACTOR], policy_inputs(policy, ROLE_ACTOR), actor->packed + from, slice.obs,
                      actor->batch + from, count);
        if (!all) infer(actor, from, count);
    }
    if (shard == ACTOR_ALL && actor->passes > 0) infer(actor, 0, actor->passes);
    for (int g = 0; g < actor->config.groups && actor->staged; g++)
        if (acts(actor, g)) stage_out(actor, &io[g], g);
}
