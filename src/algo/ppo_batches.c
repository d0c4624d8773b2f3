#include "algo/ppo_batches.h"

#include <stdlib.h>
#include <string.h>

#include "base/philox.h"

int ppo_learners(const struct policy *policy)
{
    const int actors = policy->sets[ROLE_ACTOR], critics = policy->sets[ROLE_CRITIC];
    return actors == critics ? actors : actors + critics;
}

struct ppo_sets ppo_learner_sets(const struct policy *policy, int learner)
{
    const int actors = policy->sets[ROLE_ACTOR];
    if (actors == policy->sets[ROLE_CRITIC]) return (struct ppo_sets){{learner, learner}};
    return learner < actors ? (struct ppo_sets){{learner, -1}} : (struct ppo_sets){{-1, learner - actors}};
}

/* Minibatch k of m out of n items: sizes differ by at most one, the larger ones first; or all but the last are of one size. */
static int slice_start(const struct ppo_batches *b, int n, int k)
{
    const int m = b->config->minibatches;
    if (b->size > 0) return k * b->size < n ? k * b->size : n;
    return k * (n / m) + (k < n % m ? k : n % m);
}

int ppo_part_largest(const struct ppo_batches *batches, const struct ppo_part *part)
{
    if (batches->size > 0) return batches->size < part->items ? batches->size : part->items;
    return (part->items + batches->config->minibatches - 1) / batches->config->minibatches;
}

/* What of a learner's rows is shuffled as one (struct ppo_part), how often a shard has it. */
static int part_items(const struct ppo_batches *b, int group, int shard, int learner)
{
    const struct transitions *x = b->rollout->transitions;
    const struct policy *policy = b->policy[group];
    const int role = ppo_learner_sets(policy, learner).set[ROLE_ACTOR] >= 0 ? ROLE_ACTOR : ROLE_CRITIC;
    const int agents = policy_apart(policy, role) || !b->config->row_minibatches ? 1 : policy->sizes.agents;
    return x->config.steps * (x->first[shard + 1] - x->first[shard]) * agents;
}

int ppo_batches_count(struct ppo_batches *b, int shards, int *minibatches, struct error *err)
{
    const int size = b->config->minibatch_size, items = part_items(b, 0, 0, 0);
    if (size % shards)
        return error_set(err, EXIT_USAGE, "ppo.minibatch_size=%d does not divide by the %d shards or ranks that each take a part of it",
                         size, shards);
    for (int g = 0; g < b->rollout->groups; g++)
        for (int l = 0; l < ppo_learners(b->policy[g]); l++)
            for (int shard = 0; shard < b->rollout->transitions->config.shards; shard++)
                if (part_items(b, g, shard, l) != items)
                    return error_set(
                        err, EXIT_USAGE,
                        "ppo.minibatch_size=%d makes another number of minibatches for group \"%s\" than for others, or for one "
                        "shard than for others: choose their number instead (ppo.minibatches), or ppo.minibatch_unit=step",
                        size, b->policy[g]->name);
    b->size = size / shards;
    *minibatches = (items + b->size - 1) / b->size;
    return 0;
}

int32_t *ppo_batches_list(const struct ppo_batches *b, const struct select_shape *shape, int env_steps)
{
    struct backend *backend = b->rollout->backend;
    if (shape->set < 0 && shape->hi - shape->lo == shape->envs) return NULL;
    const struct select_shape whole = {shape->envs, shape->lo, shape->hi, shape->agents, 1, shape->set, shape->set >= 0};
    int32_t *unit = malloc((size_t)(env_steps + 1) * sizeof *unit);
    CHECK(unit, "out of memory listing %d env-steps", env_steps);
    for (int u = 0; u < env_steps; u++) unit[u] = select_unit(&whole, whole.by_row, u);
    int32_t *copy = backend_copy(backend, "units of passes", unit, (size_t)env_steps * sizeof *unit);
    free(unit);
    return copy;
}

/* How many items a part has at least, which are to be divided. */
static int least_items(const struct ppo_batches *b, const struct ppo_part *part)
{
    const struct transitions_config *x = &b->rollout->transitions->config;
    return x->at_least > 0 ? part->items / x->steps * x->at_least : part->items;
}

static int create_part(struct ppo_batches *b, int i, int group, int shard, int learner, struct error *err)
{
    const struct ppo_config *config = b->config;
    const struct rollout *rollout = b->rollout;
    struct backend *backend = rollout->backend;
    const struct policy *policy = b->policy[group];
    const int steps = rollout->transitions->config.steps, agents = policy->sizes.agents;
    const int lo = rollout->transitions->first[shard], hi = rollout->transitions->first[shard + 1], env_steps = steps * (hi - lo);
    const struct ppo_sets of = ppo_learner_sets(policy, learner);
    const int role = of.set[ROLE_ACTOR] >= 0 ? ROLE_ACTOR : ROLE_CRITIC;
    const bool own = policy_apart(policy, role), single = own || config->row_minibatches; /* an item is one row */
    if (of.set[ROLE_CRITIC] >= 0 && single && policy->value_agents != agents)
        return error_set(err, EXIT_INTERNAL, "group \"%s\": minibatches of rows need a value per agent", policy->name);
    struct ppo_part *part = &b->part[i];
    *part = (struct ppo_part){.group = group, .learner = learner, .shard = shard, .of = of};
    part->rows = single ? 1 : agents;
    part->items = part_items(b, group, shard, learner);
    part->critic_rows = single ? 1 : policy->value_agents;
    const bool shared_input = policy->state_rows < policy->value_agents;
    part->pack_rows = shared_input ? 1 : part->critic_rows;
    if (least_items(b, part) < config->minibatches)
        return error_set(err, EXIT_USAGE,
                         "ppo.minibatches=%d, but %s has only %d units to divide; lower it, or raise rollout.envs or rollout.steps",
                         config->minibatches, rollout->transitions->config.shards > 1 ? "a shard of the rollout" : "the rollout of a rank",
                         least_items(b, part));
    struct select_pass *select = &part->select;
    select->shape = (struct select_shape){
        rollout->transitions->config.envs, lo, hi, agents, own || !config->row_minibatches ? 1 : agents, own ? of.set[role] : -1, single};
    if (rollout->transitions->held) select->shape.envs = select->shape.hi = 1, select->shape.lo = 0; /* numbers among those held */
    select->items = part->items;
    select->shuffled = config->minibatches > 1;
    select->seed = config->seed;
    select->shard = rollout->transitions->config.first_shard + (uint32_t)shard;
    select->epochs = config->epochs;
    select->numbers = b->numbers;
    select->critic_by_row = single && policy->state_rows > 1;
    select->critic_repeats = shared_input ? part->critic_rows : 1;
    const size_t largest = (size_t)ppo_part_largest(b, part);
    select->rows = backend->alloc(backend, "units of minibatches", largest * sizeof(int32_t));
    select->critic = backend->alloc(backend, "units of minibatches", largest * (size_t)select->critic_repeats * sizeof(int32_t));
    if (rollout->transitions->held)
        b->everything[i].unit = backend->alloc(backend, "units of passes", (size_t)env_steps * sizeof(int32_t));
    else
        b->everything[i] = (struct batch){ppo_batches_list(b, &select->shape, env_steps), env_steps, own ? 1 : agents, NULL};
    if (config->hooks && config->hooks->permutation && config->minibatches > 1)
        b->order[i] = backend->alloc(backend, "permutation", (size_t)part->items * sizeof(int32_t));
    return 0;
}

/* ---- selecting ----------------------------------------------------------------------------------------------------------------------- */

/* A permutation that a test has drawn; the learners of a shard share it. */
static const int32_t *given_order(struct ppo_batches *b, int i, int epoch)
{
    const struct ppo_part *part = &b->part[i];
    if (!b->order[i]) return NULL;
    const int32_t *order = b->config->hooks->permutation(b->config->hooks->user, part->group, part->shard, epoch);
    b->rollout->backend->upload(b->rollout->backend, b->order[i], order, (size_t)part->items * sizeof *order);
    return b->order[i];
}

/* Of whole episodes: numbers among the env-steps held, or among their rows, become those of env-steps or rows. On the host. */
static void name_units(int32_t *unit, int count, const int32_t *held, int rows)
{
    for (int k = 0; k < count; k++) unit[k] = held[unit[k] / rows] * rows + unit[k] % rows;
}

static void name_held(struct ppo_batches *b, int i)
{
    const struct ppo_part *part = &b->part[i];
    const struct select_pass *pass = &b->pass[i];
    const int32_t *held;
    transitions_held(b->rollout->transitions, part->shard, &held);
    if (!held) return;
    name_units(pass->rows, pass->count, held, pass->shape.by_row ? pass->shape.agents : 1);
    name_units(pass->critic, pass->count * pass->critic_repeats, held, pass->critic_by_row ? pass->shape.agents : 1);
}

static void select_minibatch(struct ppo_batches *b, int first, int end, int epoch, int minibatch)
{
    const int minibatches = b->config->minibatches;
    for (int i = first; i < end; i++) {
        const struct ppo_part *part = &b->part[i];
        struct select_pass *select = &b->pass[i];
        *select = part->select;
        select->epoch = epoch;
        select->from = slice_start(b, part->items, minibatch);
        select->count = slice_start(b, part->items, minibatch + 1) - select->from;
        select->order = given_order(b, i, epoch);
        /* Everything in order needs no list. */
        const bool all = minibatches == 1 && !b->everything[i].unit;
        b->actor[i] = (struct batch){all ? NULL : select->rows, select->count, part->rows, NULL};
        b->critic[i] = (struct batch){all ? NULL : select->rows, select->count, part->critic_rows, NULL};
        b->pack[i] = (struct batch){all && select->critic_repeats == 1 ? NULL : select->critic, select->count * select->critic_repeats,
                                    part->pack_rows, NULL};
    }
    b->rollout->backend->select(b->rollout->backend, b->pass + first, end - first);
    for (int i = first; i < end; i++) name_held(b, i);
}

void ppo_batches_hold(struct ppo_batches *b)
{
    if (!b->rollout->transitions->held) return;
    for (int i = 0; i < b->parts; i++) {
        struct ppo_part *part = &b->part[i];
        struct select_pass *select = &part->select;
        const int32_t *held;
        const int count = transitions_held(b->rollout->transitions, part->shard, &held);
        const bool own = select->shape.set >= 0;
        int32_t *unit = (int32_t *)(uintptr_t)b->everything[i].unit;
        for (int u = 0; u < count; u++) unit[u] = own ? held[u] * select->shape.agents + select->shape.set : held[u];
        b->everything[i] = (struct batch){unit, count, own ? 1 : select->shape.agents, NULL};
        part->items = select->items = count * select->shape.item_agents;
    }
    if (b->config->minibatches == 1) select_minibatch(b, 0, b->parts, 0, 0);
}

void ppo_batches_select(struct ppo_batches *b, int first, int end, int epoch, int minibatch)
{
    if (b->config->minibatches > 1) select_minibatch(b, first, end, epoch, minibatch);
}

/* ---- all parts ----------------------------------------------------------------------------------------------------------------------- */

int ppo_batches_create(struct ppo_batches *b, struct arena *arena, struct error *err)
{
    const int shards = b->rollout->transitions->config.shards;
    int parts = 0, code = 0;
    for (int g = 0; g < b->rollout->groups; g++) parts += shards * ppo_learners(b->policy[g]);
    b->part = ARENA_NEW(arena, struct ppo_part, parts);
    b->pass = ARENA_NEW(arena, struct select_pass, parts);
    b->order = ARENA_NEW(arena, int32_t *, parts);
    b->actor = ARENA_NEW(arena, struct batch, parts);
    b->critic = ARENA_NEW(arena, struct batch, parts);
    b->pack = ARENA_NEW(arena, struct batch, parts);
    b->everything = ARENA_NEW(arena, struct batch, parts);
    b->parts = 0;
    for (int g = 0; g < b->rollout->groups && !code; g++) {
        b->group_first[g] = b->parts;
        for (int l = 0; l < ppo_learners(b->policy[g]) && !code; l++)
            for (int shard = 0; shard < shards && !code; shard++) code = create_part(b, b->parts++, g, shard, l, err);
    }
    b->group_first[b->rollout->groups] = b->parts;
    if (code) return code;
    if (b->config->minibatches == 1 && !b->rollout->transitions->held) select_minibatch(b, 0, b->parts, 0, 0);
    return 0;
}

void ppo_batches_destroy(struct ppo_batches *b)
{
    struct backend *backend = b->rollout->backend;
    for (int i = 0; i < b->parts; i++) {
        backend->free(backend, b->part[i].select.rows);
        backend->free(backend, b->part[i].select.critic);
        backend->free(backend, b->order[i]);
        backend->free(backend, (void *)(uintptr_t)b->everything[i].unit);
    }
}
