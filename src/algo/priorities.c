#include "algo/priorities.h"

size_t priorities_bytes(const struct transitions_config *config)
{
    const size_t leaves = (size_t)transitions_places(config, SLICE_OBSERVATION) * (size_t)config->envs;
    return leaves * sizeof(float) + leaves / (PRIORITY_FAN - 1) * (sizeof(double) + sizeof(float));
}

static struct priority_tree create_tree(const struct transitions *x, int shard, float *leaf, struct backend_memory *memory)
{
    struct priority_tree t =
        priority_tree_of(transitions_places(&x->config, SLICE_OBSERVATION), x->config.envs, x->first[shard], x->first[shard + 1]);
    t.leaf = leaf;
    for (int level = 1; level <= t.levels; level++) {
        t.sum[level] = BACKEND_NEW(memory, double, t.count[level]);
        t.most[level] = BACKEND_NEW(memory, float, t.count[level]);
    }
    return t;
}

void priorities_create(struct priorities **out, const struct priorities_config *config, const struct transitions *x,
                       const struct replay_numbers *numbers, int32_t *const *rows, real *weight, const real *error,
                       struct backend_memory *memory)
{
    struct priorities *p = *out = ARENA_NEW(memory->arena, struct priorities, 1);
    *p = (struct priorities){
        .shards = x->config.shards, .all_shards = comm_all_shards(config->comm), .comm = config->comm, .backend = memory->backend};
    p->pass = ARENA_NEW(memory->arena, struct priority_pass, p->shards);
    p->leaf = BACKEND_NEW(memory, float, transitions_places(&x->config, SLICE_OBSERVATION) * x->config.envs);
    p->most = BACKEND_NEW(memory, double, p->shards * p->all_shards);
    comm_reserve(p->comm, p->shards, 0, (size_t)p->all_shards);
    for (int s = 0; s < p->shards; s++)
        p->pass[s] = (struct priority_pass){.tree = create_tree(x, s, p->leaf, memory),
                                            .numbers = numbers,
                                            .fresh = config->fresh,
                                            .exponent = config->exponent,
                                            .floor = config->floor,
                                            .seed = config->seed,
                                            .shard = x->config.first_shard + (uint32_t)s,
                                            .shards = p->all_shards,
                                            .rows = config->rows,
                                            .row = rows[s],
                                            .weight = weight + (size_t)s * (size_t)config->rows,
                                            .most = p->most + (size_t)s * (size_t)p->all_shards,
                                            .error = error + (size_t)s * (size_t)config->rows};
}

void priorities_rebuild(const struct priorities *p)
{
    if (p) p->backend->priority_rebuild(p->backend, p->pass, p->shards);
}

void priorities_renew(const struct priorities *p)
{
    if (p) p->backend->priority_renew(p->backend, p->pass, p->shards);
}

/* Every shard's largest weight in a place of its own: their sum is all of them, and the largest of all the same everywhere. */
void priorities_draw(const struct priorities *p, int after)
{
    for (int s = 0; s < p->shards; s++) p->pass[s].after = after;
    p->backend->priority_draw(p->backend, p->pass, p->shards);
    comm_sum_shards_double(p->comm, p->most, p->shards, (size_t)p->all_shards);
    for (int s = 1; s < p->shards; s++)
        p->backend->copy(p->backend, p->most + (size_t)s * (size_t)p->all_shards, p->most, (size_t)p->all_shards * sizeof *p->most);
    p->backend->priority_weigh(p->backend, p->pass, p->shards);
}

void priorities_learn(const struct priorities *p, int after)
{
    if (!p) return;
    for (int s = 0; s < p->shards; s++) p->pass[s].after = after;
    p->backend->priority_learn(p->backend, p->pass, p->shards);
}
