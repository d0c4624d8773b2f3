#include "algo/ppo_batches.h"

#include <stdlib.h>
#include <string.h>

#include "base/philox.h"

int ppo_learners(const struct policy *policy)
{
    const int actors = policy->sets[ROLE_ACTOR], critics = policy->sets[ROLE_CRITIC];
    if (!policy_learns(policy)) return 0;
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

/* Of n items in the largest minibatch. */
static int most_items(const struct ppo_batches *b, int n)
{
    if (b->size > 0) return b->size < n ? b->size : n;
    return (n + b->config->minibatches - 1) / b->config->minibatches;
}

int ppo_part_largest(const struct ppo_batches *b, const struct ppo_part *part)
{
    return most_items(b, part->items) * part->steps + most_items(b, part->short_items) * part->short_steps;
}

const struct recurrent *ppo_part_time(const struct ppo_batches *b, const struct ppo_part *part, int role)
{
    return b->policy[part->group]->net[role].gru ? &part->time[role] : NULL;
}

/* By its actor, where it has one. */
static int part_role(const struct ppo_part *part)
{
    return part->of.set[ROLE_ACTOR] >= 0 ? ROLE_ACTOR : ROLE_CRITIC;
}

/* What of a learner's rows is shuffled as one, and how much of it a shard has. */
static struct ppo_part part_of(const struct ppo_batches *b, int group, int shard, int learner)
{
    const struct transitions *x = b->rollout->transitions;
    const struct policy *policy = b->policy[group];
    struct ppo_part part = {.group = group, .learner = learner, .shard = shard, .of = ppo_learner_sets(policy, learner)};
    const bool apart = policy_apart(policy, part_role(&part));
    const int each = (x->first[shard + 1] - x->first[shard]) * (apart || !b->config->row_minibatches ? 1 : policy->sizes.agents);
    part.steps = policy->net[part_role(&part)].gru ? b->config->chunk : 1;
    part.short_steps = x->config.steps % part.steps;
    part.items = x->config.steps / part.steps * each;
    part.short_items = part.short_steps ? each : 0;
    return part;
}

int ppo_batches_count(struct ppo_batches *b, int shards, int *minibatches, struct error *err)
{
    const int size = b->config->minibatch_size;
    const int items = part_of(b, policy_first_learning(b->policy, b->rollout->groups), 0, 0).items;
    if (size % shards)
        return error_set(err, EXIT_USAGE, "ppo.minibatch_size=%d does not divide by the %d shards or ranks that each take a part of it",
                         size, shards);
    for (int g = 0; g < b->rollout->groups; g++)
        for (int l = 0; l < ppo_learners(b->policy[g]); l++)
            for (int shard = 0; shard < b->rollout->transitions->config.shards; shard++) {
                const struct ppo_part part = part_of(b, g, shard, l);
                if (part.short_items)
                    return error_set(
                        err, EXIT_USAGE,
                        "ppo.minibatch_size=%d counts chunks of equal length, and rollout.steps=%d is no multiple of ppo.chunk=%d: "
                        "choose their number instead (ppo.minibatch_size=0 and ppo.minibatches), or another ppo.chunk",
                        size, b->rollout->transitions->config.steps, part.steps);
                if (part.items != items)
                    return error_set(
                        err, EXIT_USAGE,
                        "ppo.minibatch_size=%d makes another number of minibatches for group \"%s\" than for others, or for one "
                        "shard than for others: choose their number instead (ppo.minibatch_size=0 and ppo.minibatches), or "
                        "ppo.minibatch_unit=step",
                        size, b->policy[g]->name);
            }
    b->size = size / shards;
    *minibatches = (items + b->size - 1) / b->size;
    return 0;
}

int32_t *ppo_batches_list(const struct ppo_batches *b, const struct select_shape *shape, int env_steps)
{
    struct backend *backend = b->rollout->backend;
    if (shape->set < 0 && shape->hi - shape->lo == shape->envs) return NULL;
    const struct select_shape whole = {shape->envs, shape->lo, shape->hi, shape->agents, 1, shape->set, shape->set >= 0, 1, 0};
    if (backend->planning) return backend->alloc(backend, "units of passes", (size_t)env_steps * sizeof(int32_t));
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

/* The rows of the states that a recurrent network's rows begin with, which stay the same from minibatch to minibatch. */
static void create_time(const struct ppo_batches *b, struct ppo_part *part, int role, struct arena *arena)
{
    if (part->of.set[role] < 0 || !b->policy[part->group]->net[role].gru) return;
    part->width[role] = ARENA_NEW(arena, int, part->steps);
    part->time[role] = states_time(&b->rollout->states, part->group, role);
    part->time[role].steps = part->steps;
    part->time[role].width = part->width[role];
}

static int check_items(const struct ppo_batches *b, const struct ppo_part *part, struct error *err)
{
    const char *whose = b->rollout->transitions->config.shards > 1 ? "a shard of the rollout" : "the rollout of a rank";
    const int minibatches = b->config->minibatches, steps = b->rollout->transitions->config.steps;
    if (part->steps > steps)
        return error_set(err, EXIT_USAGE, "ppo.chunk=%d is longer than the rollout: rollout.steps=%d; lower the one or raise the other",
                         part->steps, steps);
    if (least_items(b, part) < minibatches && part->steps > 1)
        return error_set(
            err, EXIT_USAGE,
            "ppo.minibatches=%d, but %s has only %d chunks of ppo.chunk=%d steps to divide; lower either, or raise rollout.envs",
            minibatches, whose, part->items, part->steps);
    if (least_items(b, part) < minibatches)
        return error_set(err, EXIT_USAGE,
                         "ppo.minibatches=%d, but %s has only %d units to divide; lower it, or raise rollout.envs or rollout.steps",
                         minibatches, whose, least_items(b, part));
    return 0;
}

static int create_part(struct ppo_batches *b, int i, int group, int shard, int learner, struct arena *arena, struct error *err)
{
    const struct ppo_config *config = b->config;
    const struct rollout *rollout = b->rollout;
    struct backend *backend = rollout->backend;
    const struct policy *policy = b->policy[group];
    const int steps = rollout->transitions->config.steps, agents = policy->sizes.agents;
    const int lo = rollout->transitions->first[shard], hi = rollout->transitions->first[shard + 1], env_steps = steps * (hi - lo);
    struct ppo_part *part = &b->part[i];
    *part = part_of(b, group, shard, learner);
    const int role = part_role(part);
    const bool own = policy_apart(policy, role), single = own || config->row_minibatches; /* an item is one row */
    if (part->of.set[ROLE_CRITIC] >= 0 && single && policy->value_agents != agents)
        return error_set(err, EXIT_INTERNAL, "group \"%s\": minibatches of rows need a value per agent", policy->name);
    part->rows = single ? 1 : agents;
    part->critic_rows = single ? 1 : policy->value_agents;
    const bool shared_input = policy->state_rows < policy->value_agents;
    part->pack_rows = shared_input ? 1 : part->critic_rows;
    const int code = check_items(b, part, err);
    if (code) return code;
    for (int r = 0; r < POLICY_ROLES; r++) create_time(b, part, r, arena);
    struct select_pass *select = &part->select;
    select->shape =
        (struct select_shape){rollout->transitions->config.envs, lo,     hi,          agents, own || !config->row_minibatches ? 1 : agents,
                              own ? part->of.set[role] : -1,     single, part->steps, 0};
    if (rollout->transitions->held) select->shape.envs = select->shape.hi = 1, select->shape.lo = 0; /* numbers among those held */
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
        b->order[i] = backend->alloc(backend, "permutation", (size_t)(part->items + part->short_items) * sizeof(int32_t));
    return 0;
}

/* ---- selecting ----------------------------------------------------------------------------------------------------------------------- */

/* A permutation that a test has drawn; the learners of a shard share it. */
static const int32_t *given_order(struct ppo_batches *b, int i, int epoch)
{
    const struct ppo_part *part = &b->part[i];
    if (!b->order[i]) return NULL;
    const int32_t *order = b->config->hooks->permutation(b->config->hooks->user, part->group, part->shard, epoch);
    b->rollout->backend->upload(b->rollout->backend, b->order[i], order, (size_t)(part->items + part->short_items) * sizeof *order);
    return b->order[i];
}

/* The k-th minibatch's share of one kind of items: of the short ones where `is_short`. */
static struct select_pass select_share(const struct ppo_batches *b, const struct ppo_part *part, int epoch, int k, bool is_short)
{
    struct select_pass select = part->select;
    select.items = is_short ? part->short_items : part->items;
    select.epoch = epoch;
    select.from = slice_start(b, select.items, k);
    select.count = slice_start(b, select.items, k + 1) - select.from;
    select.which = is_short;
    if (is_short) select.shape.begin = b->rollout->transitions->config.steps - part->short_steps;
    return select;
}

/* What batches and time are, given how many items of both kinds there are. */
static void aim_batches(struct ppo_batches *b, int i, const struct select_order *order)
{
    struct ppo_part *part = &b->part[i];
    const struct select_pass *select = &part->select;
    /* Everything in order needs no list. */
    const bool all = b->config->minibatches == 1 && !b->everything[i].unit && part->steps == 1;
    const int units = order->all * order->shorter + order->longer * (part->steps - order->shorter);
    b->actor[i] = (struct batch){all ? NULL : select->rows, units, part->rows, NULL};
    b->critic[i] = (struct batch){all ? NULL : select->rows, units, part->critic_rows, NULL};
    b->pack[i] =
        (struct batch){all && select->critic_repeats == 1 ? NULL : select->critic, units * select->critic_repeats, part->pack_rows, NULL};
    for (int role = 0; role < POLICY_ROLES; role++) {
        const int rows = role == ROLE_ACTOR ? part->rows : part->critic_rows;
        for (int t = 0; t < part->steps && part->width[role]; t++)
            part->width[role][t] = (t < order->shorter ? order->all : order->longer) * rows;
    }
    /* Rows of states are rows of the critic's inputs, unless each agent's critic remembers for itself. */
    part->time[ROLE_ACTOR].batch = b->actor[i];
    part->time[ROLE_CRITIC].batch = policy_apart(b->policy[part->group], ROLE_CRITIC) ? b->critic[i] : b->pack[i];
}

/* Of whole episodes: numbers among the env-steps held, or among their rows, become those of env-steps or rows. On the host. */
static void name_units(int32_t *unit, int count, const int32_t *held, int rows)
{
    for (int k = 0; k < count; k++) unit[k] = held[unit[k] / rows] * rows + unit[k] % rows;
}

static void name_held(struct ppo_batches *b, int i)
{
    const struct ppo_part *part = &b->part[i];
    const struct select_pass *select = &part->select;
    const int32_t *held;
    transitions_held(b->rollout->transitions, part->shard, &held);
    if (!held) return;
    name_units(select->rows, b->actor[i].units, held, select->shape.by_row ? select->shape.agents : 1);
    name_units(select->critic, b->pack[i].units, held, select->critic_by_row ? select->shape.agents : 1);
}

static void select_minibatch(struct ppo_batches *b, int first, int end, int epoch, int minibatch)
{
    int passes = 0;
    for (int i = first; i < end; i++) {
        const struct ppo_part *part = &b->part[i];
        const int32_t *given = given_order(b, i, epoch);
        struct select_pass whole = select_share(b, part, epoch, minibatch, false), rest = select_share(b, part, epoch, minibatch, true);
        const struct select_order order = {part->steps, 0, whole.count + rest.count, whole.count, part->short_steps};
        whole.to = rest.to = order;
        whole.order = given;
        rest.order = given ? given + part->items : NULL;
        rest.to.steps = part->short_steps;
        rest.to.first = whole.count;
        b->pass[passes++] = whole;
        if (rest.count) b->pass[passes++] = rest;
        aim_batches(b, i, &order);
    }
    b->rollout->backend->select(b->rollout->backend, b->pass, passes);
    for (int i = first; i < end; i++) name_held(b, i);
}

void ppo_batches_hold(struct ppo_batches *b)
{
    if (!b->rollout->transitions->held) return;
    for (int i = 0; i < b->parts; i++) {
        struct ppo_part *part = &b->part[i];
        const struct select_shape *shape = &part->select.shape;
        const int32_t *held;
        const int count = transitions_held(b->rollout->transitions, part->shard, &held);
        const bool own = shape->set >= 0;
        int32_t *unit = (int32_t *)(uintptr_t)b->everything[i].unit;
        for (int u = 0; u < count; u++) unit[u] = own ? held[u] * shape->agents + shape->set : held[u];
        b->everything[i] = (struct batch){unit, count, own ? 1 : shape->agents, NULL};
        part->items = count * shape->item_agents;
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
    b->pass = ARENA_NEW(arena, struct select_pass, 2 * parts);
    b->order = ARENA_NEW(arena, int32_t *, parts);
    b->actor = ARENA_NEW(arena, struct batch, parts);
    b->critic = ARENA_NEW(arena, struct batch, parts);
    b->pack = ARENA_NEW(arena, struct batch, parts);
    b->everything = ARENA_NEW(arena, struct batch, parts);
    b->parts = 0;
    for (int g = 0; g < b->rollout->groups && !code; g++) {
        b->group_first[g] = b->parts;
        for (int l = 0; l < ppo_learners(b->policy[g]) && !code; l++)
            for (int shard = 0; shard < shards && !code; shard++) code = create_part(b, b->parts++, g, shard, l, arena, err);
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
