#include "nn/actor.h"

#include <string.h>

#include "base/arena.h"

/* One pass: the rows of one shard that one set of parameters acts for. Where every agent has a set of its own, its rows are not consecutive
 * in the slice, so they are gathered before and scattered after; with shared parameters the pass reads and writes the slice itself. */
struct actor_part {
    int group, set, first, envs; /* environments [first, first + envs) */
    int32_t *unit;               /* [envs] units of the slice */
    uint8_t *mask;               /* staging, NULL with shared parameters */
    int32_t *act_int;
    float *act_real;
    real *log_prob;
};

struct actor {
    struct actor_config config;
    struct backend *backend;
    struct arena *arena;
    int passes;
    int group_first[MAPPO_MAX_GROUPS + 1]; /* passes of group g: [group_first[g], group_first[g + 1]) */
    struct actor_part *pass;
    struct tiles **tiles;
    struct batch *batch;
    struct forward_pass *forward;
    struct act_pass *act;
};

static void create_pass(struct actor *actor, int i, int group, int set, int shard)
{
    const struct policy *policy = actor->config.policy[group];
    const struct group_sizes *sizes = &policy->sizes;
    struct actor_part *pass = &actor->pass[i];
    struct arena *arena = actor->arena;
    const bool own = policy->sets > 1;
    const int rows = own ? 1 : sizes->agents;
    pass->group = group;
    pass->set = set;
    pass->first = actor->config.first[shard];
    pass->envs = actor->config.first[shard + 1] - pass->first;
    const int total = pass->envs * rows;
    pass->unit = ARENA_NEW(arena, int32_t, pass->envs);
    for (int e = 0; e < pass->envs; e++) pass->unit[e] = own ? (pass->first + e) * sizes->agents + set : pass->first + e;
    if (own) {
        pass->mask = ARENA_NEW(arena, uint8_t, (size_t)total * (size_t)sizes->logits);
        pass->act_int = ARENA_NEW(arena, int32_t, (size_t)total * (size_t)sizes->act_ints);
        pass->act_real = ARENA_NEW(arena, float, (size_t)total *(size_t)sizes->act_reals);
        pass->log_prob = ARENA_NEW(arena, real, total);
    }
    actor->tiles[i] = actor->backend->tiles_create(actor->backend, &policy->actor, total);
    actor->batch[i] = (struct batch){pass->unit, pass->envs, rows};
    actor->forward[i] = (struct forward_pass){.net = &policy->actor,
                                              .parameters = policy_actor(policy, policy->parameters, set),
                                              .tiles = actor->tiles[i],
                                              .out = ARENA_NEW(arena, real, (size_t)total * (size_t)policy->actor.outputs)};
    actor->act[i] = (struct act_pass){.dist = &policy->dist,
                                      .rows = total,
                                      .out = actor->forward[i].out,
                                      .log_std = policy_log_std(policy, set),
                                      .seed = actor->config.seed,
                                      .stream = actor->config.stream,
                                      .first_env = actor->config.first_env + (uint32_t)pass->first,
                                      .agents = rows,
                                      .first_agent = own ? set : 0};
}

void actor_create(struct actor **out, const struct actor_config *config, struct backend *backend)
{
    struct arena *arena = arena_create("actor");
    struct actor *actor = *out = ARENA_NEW(arena, struct actor, 1);
    actor->config = *config;
    actor->backend = backend;
    actor->arena = arena;
    int *first = ARENA_NEW(arena, int, config->shards + 1);
    memcpy(first, config->first, (size_t)(config->shards + 1) * sizeof *first);
    actor->config.first = first;
    int passes = 0;
    for (int g = 0; g < config->groups; g++) passes += config->policy[g]->sets * config->shards;
    actor->passes = passes;
    actor->pass = ARENA_NEW(arena, struct actor_part, passes);
    actor->tiles = ARENA_NEW(arena, struct tiles *, passes);
    actor->batch = ARENA_NEW(arena, struct batch, passes);
    actor->forward = ARENA_NEW(arena, struct forward_pass, passes);
    actor->act = ARENA_NEW(arena, struct act_pass, passes);
    int i = 0;
    for (int g = 0; g < config->groups; g++) {
        actor->group_first[g] = i;
        for (int shard = 0; shard < config->shards; shard++)
            for (int set = 0; set < config->policy[g]->sets; set++) create_pass(actor, i++, g, set, shard);
    }
    actor->group_first[config->groups] = i;
    arena_seal(arena);
}

void actor_destroy(struct actor *actor)
{
    if (!actor) return;
    for (int i = 0; i < actor->passes; i++) actor->backend->tiles_destroy(actor->backend, actor->tiles[i]);
    arena_destroy(actor->arena);
}

/* Points a pass at the slice, or at its staging area. */
static void aim_pass(struct actor *actor, int i, const struct actor_io *io, uint64_t step, bool deterministic)
{
    const struct actor_part *pass = &actor->pass[i];
    const struct policy *policy = actor->config.policy[pass->group];
    const struct group_sizes *sizes = &policy->sizes;
    struct act_pass *act = &actor->act[i];
    act->step = step;
    act->deterministic = deterministic;
    if (policy->sets == 1) {
        const size_t row = (size_t)pass->first * (size_t)sizes->agents;
        act->mask = io->mask ? io->mask + row * (size_t)sizes->logits : NULL;
        act->act_int = io->act_int ? io->act_int + row * (size_t)sizes->act_ints : NULL;
        act->act_real = io->act_real ? io->act_real + row * (size_t)sizes->act_reals : NULL;
        act->log_prob = io->log_prob ? io->log_prob + row : NULL;
        return;
    }
    const size_t logits = (size_t)sizes->logits;
    if (io->mask)
        for (int e = 0; e < pass->envs; e++) memcpy(pass->mask + (size_t)e * logits, io->mask + (size_t)pass->unit[e] * logits, logits);
    act->mask = io->mask ? pass->mask : NULL;
    act->act_int = io->act_int ? pass->act_int : NULL;
    act->act_real = io->act_real ? pass->act_real : NULL;
    act->log_prob = io->log_prob ? pass->log_prob : NULL;
}

static void scatter_pass(const struct actor *actor, const struct actor_part *pass, const struct actor_io *io)
{
    const struct group_sizes *sizes = &actor->config.policy[pass->group]->sizes;
    const size_t ints = (size_t)sizes->act_ints, reals = (size_t)sizes->act_reals;
    for (int e = 0; e < pass->envs; e++) {
        const size_t row = (size_t)pass->unit[e], from = (size_t)e;
        if (io->act_int) memcpy(io->act_int + row * ints, pass->act_int + from * ints, ints * sizeof *io->act_int);
        if (io->act_real) memcpy(io->act_real + row * reals, pass->act_real + from * reals, reals * sizeof *io->act_real);
        if (io->log_prob) io->log_prob[row] = pass->log_prob[from];
    }
}

void actor_act(struct actor *actor, const struct actor_io *io, uint64_t step, bool deterministic)
{
    struct backend *backend = actor->backend;
    for (int g = 0; g < actor->config.groups; g++) {
        const int from = actor->group_first[g];
        backend->pack(backend, &actor->config.policy[g]->actor, actor->tiles + from, io[g].obs, actor->batch + from,
                      actor->group_first[g + 1] - from);
    }
    for (int i = 0; i < actor->passes; i++) aim_pass(actor, i, &io[actor->pass[i].group], step, deterministic);
    if (backend->forward_act) {
        backend->forward_act(backend, actor->forward, actor->act, actor->passes);
    } else {
        backend->forward(backend, actor->forward, actor->passes);
        backend->act(backend, actor->act, actor->passes);
    }
    for (int i = 0; i < actor->passes; i++)
        if (actor->config.policy[actor->pass[i].group]->sets > 1) scatter_pass(actor, &actor->pass[i], &io[actor->pass[i].group]);
}
