#include "algo/ppo_batches.h"

#include <string.h>

#include "base/philox.h"

/* Minibatch k of m out of n items: sizes differ by at most one, the larger ones first. */
static int slice_start(int n, int m, int k)
{
    return k * (n / m) + (k < n % m ? k : n % m);
}

int ppo_part_largest(const struct ppo_batches *batches, const struct ppo_part *part)
{
    return (part->items + batches->minibatches - 1) / batches->minibatches;
}

static int create_part(struct ppo_batches *b, struct arena *arena, int i, int group, int shard, int set, struct error *err)
{
    const struct rollout *rollout = b->rollout;
    const struct policy *policy = b->policy[group];
    const int steps = rollout->config.steps, envs = rollout->config.envs, agents = policy->sizes.agents;
    const int lo = rollout->first[shard], hi = rollout->first[shard + 1], env_steps = steps * (hi - lo);
    const bool single = policy->sets > 1 || b->row_minibatches; /* an item is one row */
    if (single && policy->value_agents != agents)
        return error_set(err, EXIT_INTERNAL, "group \"%s\": minibatches of rows need a value per agent", policy->name);
    struct ppo_part *part = &b->part[i];
    *part = (struct ppo_part){.group = group, .set = set, .shard = shard};
    part->rows = single ? 1 : agents;
    part->items = env_steps * (policy->sets > 1 || !b->row_minibatches ? 1 : agents);
    part->critic_rows = single ? 1 : policy->value_agents;
    const bool shared_input = policy->state_rows < policy->value_agents;
    part->pack_rows = shared_input ? 1 : part->critic_rows;
    part->pack_repeats = shared_input ? part->critic_rows : 1;
    if (part->items < b->minibatches)
        return error_set(err, EXIT_USAGE,
                         "ppo.minibatches=%d, but %s has only %d units to divide; lower it, or raise rollout.envs or rollout.steps",
                         b->minibatches, rollout->config.shards > 1 ? "a shard of the rollout" : "the rollout of a rank", part->items);
    const int largest = ppo_part_largest(b, part);
    part->step_unit = ARENA_NEW(arena, int32_t, env_steps);
    part->actor_unit = ARENA_NEW(arena, int32_t, largest);
    part->critic_unit = ARENA_NEW(arena, int32_t, largest);
    part->pack_unit = ARENA_NEW(arena, int32_t, largest * part->pack_repeats);
    int32_t *unit = part->step_unit;
    for (int t = 0; t < steps; t++)
        for (int e = lo; e < hi; e++) *unit++ = t * envs + e;
    if (policy->sets > 1) { /* the agent's rows of [T][E][A] */
        int32_t *own = ARENA_NEW(arena, int32_t, env_steps);
        for (int u = 0; u < env_steps; u++) own[u] = part->step_unit[u] * agents + set;
        b->everything[i] = (struct batch){own, env_steps, 1};
    } else {
        b->everything[i] = (struct batch){part->step_unit, env_steps, agents};
    }
    return 0;
}

static void create_permutations(struct ppo_batches *b, struct arena *arena)
{
    const int shards = b->rollout->config.shards;
    b->permutation = ARENA_NEW(arena, int32_t *, b->rollout->groups * shards);
    for (int g = 0; g < b->rollout->groups; g++)
        for (int shard = 0; shard < shards; shard++) {
            const struct ppo_part *part = &b->part[b->group_first[g] + shard * b->policy[g]->sets];
            const bool shared = g > 0 && !b->row_minibatches;
            b->permutation[g * shards + shard] =
                shared ? b->permutation[shard] : ARENA_NEW(arena, int32_t, (size_t)b->epochs * (size_t)part->items);
        }
}

int ppo_batches_create(struct ppo_batches *b, struct arena *arena, struct error *err)
{
    const int shards = b->rollout->config.shards;
    b->parts = 0;
    for (int g = 0; g < b->rollout->groups; g++) b->parts += shards * b->policy[g]->sets;
    b->part = ARENA_NEW(arena, struct ppo_part, b->parts);
    b->actor = ARENA_NEW(arena, struct batch, b->parts);
    b->critic = ARENA_NEW(arena, struct batch, b->parts);
    b->pack = ARENA_NEW(arena, struct batch, b->parts);
    b->everything = ARENA_NEW(arena, struct batch, b->parts);
    int i = 0;
    for (int g = 0; g < b->rollout->groups; g++) {
        b->group_first[g] = i;
        for (int shard = 0; shard < shards; shard++)
            for (int set = 0; set < b->policy[g]->sets; set++) {
                const int code = create_part(b, arena, i++, g, shard, set, err);
                if (code) return code;
            }
    }
    b->group_first[b->rollout->groups] = i;
    if (b->minibatches > 1) create_permutations(b, arena);
    return 0;
}

/* ---- shuffling ----------------------------------------------------------------------------------------------------------------------- */

/* Fisher and Yates, from the counter (shard, block of four draws, epoch): the same on any rank that holds the shard. */
static void shuffle(int32_t *x, int n, uint64_t seed, uint32_t shard, uint64_t epoch)
{
    struct philox_draw draw = {{0}};
    for (int i = 0; i < n; i++) x[i] = i;
    for (int i = n - 1, k = 0; i > 0; i--, k++) {
        if (k % 4 == 0) draw = philox_at(seed, PHILOX_SHUFFLE, shard, (uint32_t)(k / 4), epoch);
        const int j = (int)(((uint64_t)draw.v[k % 4] * ((uint64_t)i + 1)) >> 32);
        const int32_t swap = x[i];
        x[i] = x[j];
        x[j] = swap;
    }
}

void ppo_batches_shuffle(struct ppo_batches *b, int64_t update)
{
    if (b->minibatches == 1 || (b->hooks && b->hooks->permutation)) return;
    const int shards = b->rollout->config.shards;
    for (int g = 0; g < b->rollout->groups; g++)
        for (int shard = 0; shard < shards; shard++) {
            int32_t *permutation = b->permutation[g * shards + shard];
            if (g > 0 && permutation == b->permutation[shard]) continue;
            const int items = b->part[b->group_first[g] + shard * b->policy[g]->sets].items;
            for (int epoch = 0; epoch < b->epochs; epoch++)
                shuffle(permutation + (size_t)epoch * (size_t)items, items, b->seed, b->rollout->config.first_shard + (uint32_t)shard,
                        (uint64_t)update * (uint64_t)b->epochs + (uint64_t)epoch);
        }
}

/* ---- selecting ----------------------------------------------------------------------------------------------------------------------- */

static const int32_t *permutation_of(const struct ppo_batches *b, const struct ppo_part *part, int epoch)
{
    if (b->minibatches == 1) return NULL;
    if (b->hooks && b->hooks->permutation) return b->hooks->permutation(b->hooks->user, part->group, part->shard, epoch);
    return b->permutation[part->group * b->rollout->config.shards + part->shard] + (size_t)epoch * (size_t)part->items;
}

static void select_part(struct ppo_batches *b, int i, int epoch, int minibatch)
{
    struct ppo_part *part = &b->part[i];
    const struct policy *policy = b->policy[part->group];
    const int agents = policy->sizes.agents, from = slice_start(part->items, b->minibatches, minibatch);
    const int count = slice_start(part->items, b->minibatches, minibatch + 1) - from;
    const int32_t *order = permutation_of(b, part, epoch);
    const bool rows = part->rows == 1 && policy->sets == 1 && b->row_minibatches;
    for (int k = 0; k < count; k++) {
        const int item = order ? order[from + k] : from + k;
        const int u = part->step_unit[rows ? item / agents : item];
        const int agent = policy->sets > 1 ? part->set : item % agents;
        const int row = policy->sets > 1 || rows ? u * agents + agent : u; /* unit of arrays [T][E][A] */
        part->actor_unit[k] = row;
        part->critic_unit[k] = row;
        for (int r = 0; r < part->pack_repeats; r++) part->pack_unit[k * part->pack_repeats + r] = policy->state_rows == 1 ? u : row;
    }
    b->actor[i] = (struct batch){part->actor_unit, count, part->rows};
    b->critic[i] = (struct batch){part->critic_unit, count, part->critic_rows};
    b->pack[i] = (struct batch){part->pack_unit, count * part->pack_repeats, part->pack_rows};
}

void ppo_batches_select(struct ppo_batches *b, int epoch, int minibatch)
{
    for (int i = 0; i < b->parts; i++) select_part(b, i, epoch, minibatch);
}
