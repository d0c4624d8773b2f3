#include "algo/replay.h"

#include "base/text.h"

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

/* Neither states, since critics put together what they see, nor infos; masks and absence where there are some. */
static void choose_slices(struct slices *kept, const struct mappo_env_spec *spec)
{
    struct slices all;
    slices_of(&all, spec);
    kept->count = 0;
    for (int i = 0; i < all.count; i++) {
        const struct slice *slice = &all.slice[i];
        if (slice->offered && !slice_is_state(slice) && slice->id != ENV_SLICE_info) kept->slice[kept->count++] = *slice;
    }
}

size_t replay_ring_bytes(const struct replay_config *config, const struct mappo_env_spec *spec)
{
    struct slices kept;
    struct transitions_config ring = config->transitions;
    ring.ring = true;
    choose_slices(&kept, spec);
    return transitions_bytes(&ring, &kept) + (config->priorities.exponent > 0 ? priorities_bytes(&ring) : 0);
}

void replay_batch_create(struct replay_batch *batch, int shards, int rows, const struct mappo_env_spec *spec, struct backend_memory *memory)
{
    *batch = (struct replay_batch){.shards = shards, .rows = rows, .ep_end = BACKEND_NEW(memory, uint8_t, shards * rows)};
    for (int g = 0; g < spec->groups; g++) {
        const struct group_sizes sizes = group_sizes(&spec->group[g]);
        struct replay_batch_group *to = &batch->group[g];
        const size_t n = (size_t)shards * (size_t)rows * (size_t)sizes.agents;
        const bool masks = (spec->group[g].flags & MAPPO_HAS_MASK) && sizes.logits > 0;
        to->obs = BACKEND_NEW(memory, float, n *(size_t)sizes.obs);
        to->next = BACKEND_NEW(memory, float, n *(size_t)sizes.obs);
        if (masks) to->mask = BACKEND_NEW(memory, uint8_t, n * (size_t)sizes.logits);
        if (masks) to->next_mask = BACKEND_NEW(memory, uint8_t, n * (size_t)sizes.logits);
        if (sizes.act_ints) to->act_int = BACKEND_NEW(memory, int32_t, n * (size_t)sizes.act_ints);
        if (sizes.act_reals) to->act_real = BACKEND_NEW(memory, float, n *(size_t)sizes.act_reals);
        if (spec->group[g].flags & MAPPO_HAS_ACTIVE) to->active = BACKEND_NEW(memory, uint8_t, n);
        to->reward = BACKEND_NEW(memory, float, n);
        to->terminated = BACKEND_NEW(memory, uint8_t, n);
    }
}

static const struct slice *slice_with(const struct slices *slices, int group, int id)
{
    for (int i = 0; i < slices->count; i++)
        if (slices->slice[i].group == group && slices->slice[i].id == id) return &slices->slice[i];
    return NULL;
}

/* One array of the ring to `to`, of every shard; one of its numbers alone, or (only < 0) all. */
static void add_gather(struct replay *r, int group, int id, int only, void *to, bool next)
{
    const struct transitions *x = r->transitions;
    const struct slice *slice = slice_with(&x->slices, group, id);
    const struct slice *final = id == GROUP_SLICE_obs ? slice_with(&x->slices, group, GROUP_SLICE_final_obs) : NULL;
    if (!to || !slice) return;
    const size_t element = slice->bytes / slice->width, width = only < 0 ? slice->width : 1, first = only < 0 ? 0 : (size_t)only * element;
    for (int s = 0; s < r->batch.shards; s++)
        r->gather[r->gathers++] = (struct gather_pass){.row = r->draw[s].row,
                                                       .rows = r->batch.rows,
                                                       .width = (int)width,
                                                       .stride = (int)slice->width,
                                                       .element = (int)element,
                                                       .from = (char *)slice_array(&x->all, slice) + first,
                                                       .to = (char *)to + (size_t)s * (size_t)r->batch.rows * width * element,
                                                       .next = next,
                                                       .ep_end = next ? x->all.ep_end : NULL,
                                                       .final = final ? slice_array(&x->all, final) : NULL,
                                                       .places = x->config.steps + 1,
                                                       .envs = x->config.envs};
}

static void aim(struct replay *r, const struct mappo_env_spec *spec, struct backend_memory *memory)
{
    enum { ARRAYS = 8 }; /* of a group; and the flag of each agent, and ends */
    const struct transitions *x = r->transitions;
    int arrays = 1 + ARRAYS * spec->groups;
    for (int g = 0; g < spec->groups; g++) arrays += spec->group[g].agents;
    r->numbers = BACKEND_NEW(memory, struct replay_numbers, 1);
    r->draw = ARENA_NEW(memory->arena, struct draw_pass, x->config.shards);
    r->gather = ARENA_NEW(memory->arena, struct gather_pass, arrays * x->config.shards);
    for (int s = 0; s < x->config.shards; s++)
        r->draw[s] = (struct draw_pass){.numbers = r->numbers,
                                        .replacement = r->config.replacement,
                                        .seed = r->config.collect.seed,
                                        .shard = x->config.first_shard + (uint32_t)s,
                                        .places = x->config.steps + 1,
                                        .envs = x->config.envs,
                                        .lo = x->first[s],
                                        .hi = x->first[s + 1],
                                        .rows = r->config.rows,
                                        .row = BACKEND_NEW(memory, int32_t, r->config.rows)};
    add_gather(r, -1, ENV_SLICE_ep_end, -1, r->batch.ep_end, false);
    for (int g = 0; g < x->all.groups; g++) {
        const struct replay_batch_group *to = &r->batch.group[g];
        add_gather(r, g, GROUP_SLICE_obs, -1, to->obs, false);
        add_gather(r, g, GROUP_SLICE_obs, -1, to->next, true);
        add_gather(r, g, GROUP_SLICE_act_mask, -1, to->mask, false);
        add_gather(r, g, GROUP_SLICE_act_mask, -1, to->next_mask, true);
        add_gather(r, g, GROUP_SLICE_act_int, -1, to->act_int, false);
        add_gather(r, g, GROUP_SLICE_act_real, -1, to->act_real, false);
        add_gather(r, g, GROUP_SLICE_reward, -1, to->reward, false);
        add_gather(r, g, GROUP_SLICE_terminated, -1, to->terminated, false);
        for (int a = 0; a < spec->group[g].agents && to->active; a++)
            add_gather(r, g, GROUP_SLICE_active, a, to->active + (size_t)a * (size_t)(r->batch.shards * r->batch.rows), false);
    }
}

static void create_priorities(struct replay *r, struct backend_memory *memory)
{
    struct priorities_config config = r->config.priorities;
    const int rows = r->batch.shards * r->batch.rows;
    int32_t **row = ARENA_NEW(memory->arena, int32_t *, r->batch.shards);
    if (!(config.exponent > 0)) return;
    config.rows = r->batch.rows;
    config.seed = r->config.collect.seed;
    for (int s = 0; s < r->batch.shards; s++) row[s] = r->draw[s].row;
    r->batch.weight = BACKEND_NEW(memory, real, rows);
    r->batch.error = BACKEND_NEW(memory, real, rows);
    priorities_create(&r->priorities, &config, r->transitions, r->numbers, row, r->batch.weight, r->batch.error, memory);
}

int replay_create(struct replay **out, const struct replay_config *config, const struct mappo_env_spec *spec, struct policy *const *policy,
                  struct backend_memory *memory, struct error *err)
{
    struct replay *r = *out = ARENA_NEW(memory->arena, struct replay, 1);
    struct slices kept;
    r->config = *config;
    r->config.transitions.ring = true;
    r->backend = memory->backend;
    choose_slices(&kept, spec);
    const int code = transitions_create(&r->transitions, &r->config.transitions, &kept, spec, memory, err);
    if (code) return code;
    collector_create(&r->collector, &r->config.collect, r->transitions, spec, policy, memory);
    replay_batch_create(&r->batch, config->transitions.shards, config->rows, spec, memory);
    aim(r, spec, memory);
    create_priorities(r, memory);
    return 0;
}

void replay_destroy(struct replay *r)
{
    if (r) collector_destroy(r->collector);
}

/* ---- use ----------------------------------------------------------------------------------------------------------------------------- */

void replay_count(struct replay *r, int64_t update, double beta)
{
    const struct transitions *x = r->transitions;
    const struct replay_numbers numbers = {
        .update = update, .held = x->filled, .oldest = transitions_place(x, transitions_oldest(x)), .beta = beta};
    r->backend->upload(r->backend, r->numbers, &numbers, sizeof numbers);
}

void replay_draw(const struct replay *r, int after)
{
    for (int s = 0; s < r->batch.shards; s++) r->draw[s].after = after;
    if (r->priorities) {
        priorities_draw(r->priorities, after);
    } else {
        r->backend->draw(r->backend, r->draw, r->batch.shards);
    }
    r->backend->gather(r->backend, r->gather, r->gathers);
}

int64_t replay_list(struct replay *r, const char *path, const struct mappo_env_spec *spec, struct field_list *list)
{
    const struct transitions_config *x = &r->transitions->config;
    char name[sizeof list->field->name];
    if (r->priorities) {
        text_format(name, sizeof name, "%s/priority", path);
        field_add(list, name, FIELD_REAL, r->priorities->leaf, "1",
                  "by which steps are drawn, at each place, of each environment by global index; 0 where there is none", 2,
                  (int64_t)x->steps + 1, (int64_t)x->envs);
    }
    return transitions_replay(r->transitions, path, spec, list);
}
