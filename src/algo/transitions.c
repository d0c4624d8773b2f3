#include "algo/transitions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

static size_t array_bytes(const struct transitions_config *config, const struct slice *slice)
{
    return (size_t)transitions_places(config, slice->written) * (size_t)config->envs * slice->bytes;
}

size_t transitions_bytes(const struct transitions_config *config, const struct slices *kept)
{
    size_t bytes = 0;
    for (int i = 0; i < kept->count; i++) bytes += array_bytes(config, &kept->slice[i]);
    return bytes;
}

static int check(const struct transitions_config *config, const struct mappo_env_spec *spec, struct error *err)
{
    if (config->shards < 1 || config->shards > config->envs)
        return error_set(err, EXIT_USAGE, "%d environments of this rank can't be cut into %d shards; raise rollout.envs", config->envs,
                         config->shards);
    for (int g = 0; g < spec->groups; g++)
        if ((int64_t)(config->steps + 1) * config->envs > INT32_MAX / spec->group[g].agents)
            return error_set(err, EXIT_USAGE, "%s%d times %d environments of this rank times %d agents is more rows than 2^31",
                             config->ring           ? "a replay of "
                             : config->at_least > 0 ? "rollout.steps and the longest episode: "
                                                    : "rollout.steps=",
                             config->steps, config->envs, spec->group[g].agents);
    return 0;
}

static void create_held(struct transitions *x, struct backend_memory *memory)
{
    CHECK(memory->backend->host_memory && !x->config.ring, "whole episodes are collected into memory of the host");
    x->length = ARENA_NEW(memory->arena, int, x->config.envs);
    x->held = BACKEND_NEW(memory, int32_t, x->config.steps * x->config.envs);
    x->held_first = ARENA_NEW(memory->arena, int, x->config.shards + 1);
}

int transitions_create(struct transitions **out, const struct transitions_config *config, const struct slices *kept,
                       const struct mappo_env_spec *spec, struct backend_memory *memory, struct error *err)
{
    const int code = check(config, spec, err);
    if (code) return code;
    struct transitions *x = *out = ARENA_NEW(memory->arena, struct transitions, 1);
    x->config = *config;
    x->slices = *kept;
    x->backend = memory->backend;
    x->first = ARENA_NEW(memory->arena, int, config->shards + 1);
    for (int s = 0; s <= config->shards; s++) x->first[s] = (int)((int64_t)config->envs * s / config->shards);
    if (config->at_least > 0) create_held(x, memory);
    x->all = (struct mappo_env_io){.struct_size = sizeof x->all, .groups = spec->groups};
    for (int i = 0; i < kept->count; i++)
        slice_point(&x->all, &kept->slice[i], backend_memory_take(memory, kept->slice[i].what, array_bytes(config, &kept->slice[i]), 1));
    return 0;
}

/* ---- filling ------------------------------------------------------------------------------------------------------------------------- */

/* Actions, results and final observations at one place, observations at another. */
static void aim(const struct transitions *x, struct mappo_env_io *io, int place, int seen)
{
    *io = (struct mappo_env_io){.struct_size = sizeof *io, .groups = x->all.groups};
    for (int i = 0; i < x->slices.count; i++) {
        const struct slice *slice = &x->slices.slice[i];
        const bool only = transitions_places(&x->config, slice->written) == 1;
        slice_point(io, slice, transitions_at(x, slice, slice->written == SLICE_OBSERVATION ? seen : only ? 0 : place, 0));
    }
}

void transitions_aim(const struct transitions *x, struct mappo_env_io *io, int k)
{
    const int place = transitions_place(x, x->step + (uint64_t)k);
    aim(x, io, place, transitions_next(x, place));
}

void transitions_aim_before(const struct transitions *x, struct mappo_env_io *io, int k)
{
    const int place = transitions_place(x, x->step + (uint64_t)k);
    aim(x, io, place, place);
}

void transitions_advance(struct transitions *x, int steps)
{
    x->step += (uint64_t)steps;
    x->filled += steps;
    if (x->filled <= x->config.steps) return;
    CHECK(x->config.ring, "a rollout of %d steps is filled beyond its end", x->config.steps);
    x->filled = x->config.steps;
}

void transitions_close(struct transitions *x)
{
    int held = 0;
    for (int s = 0; s < x->config.shards; s++) {
        x->held_first[s] = held;
        for (int t = 0; t < x->config.steps; t++)
            for (int e = x->first[s]; e < x->first[s + 1]; e++)
                if (t < x->length[e]) x->held[held++] = t * x->config.envs + e;
    }
    x->held_first[x->config.shards] = held;
    transitions_advance(x, x->config.steps - (int)x->filled);
}

/* Each environment's from the place behind its own last step. */
static void carry_each(const struct transitions *x, const struct slice *slice)
{
    for (int e = 0; e < x->config.envs; e++)
        memcpy(transitions_at(x, slice, 0, e), transitions_at(x, slice, x->length[e], e), slice->bytes);
}

void transitions_carry(struct transitions *x)
{
    CHECK(!x->config.ring && transitions_full(x), "a rollout is carried over before it is full");
    for (int i = 0; i < x->slices.count; i++) {
        const struct slice *slice = &x->slices.slice[i];
        if (slice->written == SLICE_OBSERVATION && x->length)
            carry_each(x, slice);
        else if (slice->written == SLICE_OBSERVATION)
            x->backend->copy(x->backend, transitions_at(x, slice, 0, 0), transitions_at(x, slice, x->config.steps, 0),
                             (size_t)x->config.envs * slice->bytes);
    }
    x->filled = 0;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------- */

int32_t *transitions_units(const struct transitions *x, struct backend_memory *memory, int steps, int shard, int stride, int offset)
{
    const int lo = x->first[shard], hi = x->first[shard + 1], count = steps * (hi - lo);
    int32_t *units = BACKEND_NEW(memory, int32_t, count);
    if (memory->backend->planning) return units;
    int32_t *host = malloc((size_t)(count + 1) * sizeof *host), *to = host;
    CHECK(host, "out of memory listing %d env-steps", count);
    for (int t = 0; t < steps; t++)
        for (int e = lo; e < hi; e++) *to++ = (t * x->config.envs + e) * stride + offset;
    memory->backend->upload(memory->backend, units, host, (size_t)count * sizeof *host);
    free(host);
    return units;
}

const void *transitions_seen_after(const struct transitions *x, const struct slice *slice, uint64_t step, int env)
{
    const int place = transitions_place(x, step);
    const size_t row = (size_t)place * (size_t)x->config.envs + (size_t)env;
    if (x->all.ep_end[row] == MAPPO_RUNNING) return transitions_at(x, slice, transitions_next(x, place), env);
    for (int i = 0; i < x->slices.count; i++) {
        const struct slice *last = &x->slices.slice[i];
        if (last->written == SLICE_FINAL && last->final_of == slice->place) return transitions_at(x, last, place, env);
    }
    return NULL;
}

/* ---- checkpoints --------------------------------------------------------------------------------------------------------------------- */

void transitions_fields(struct transitions *x, const char *path, struct field_list *list)
{
    char name[sizeof list->field->name];
    snprintf(name, sizeof name, "%s/step", path);
    field_add(list, name, FIELD_UINT64, &x->step, "environment steps",
              "steps that every environment has taken, or could have (rollout.unit): position of the actions' random numbers", 0);
}

/* As environments write it: their floats are of 32 bits, and so is `real` wherever files are written. */
static int type_of(const struct slice *slice)
{
    return slice->is_float ? FIELD_REAL : slice->bytes == slice->width ? FIELD_BYTES : FIELD_INT32;
}

int64_t transitions_replay(struct transitions *x, const char *path, const struct mappo_env_spec *spec, struct field_list *list)
{
    char name[sizeof list->field->name], description[sizeof list->field->description];
    const int64_t places = (int64_t)x->config.steps + 1;
    CHECK(x->config.ring, "only a ring holds a replay");
    snprintf(name, sizeof name, "%s/filled", path);
    field_add(list, name, FIELD_INT64, &x->filled, "environment steps", "steps of every environment that the replay holds: the last ones",
              0);
    for (int i = 0; i < x->slices.count; i++) {
        const struct slice *slice = &x->slices.slice[i];
        const char *group = slice->group < 0 ? "" : spec->group[slice->group].name;
        const int64_t envs = x->config.envs, width = (int64_t)slice->width;
        CHECK(snprintf(name, sizeof name, "%s/%s%s%s", path, group, group[0] ? "/" : "", slice->name) < (int)sizeof name,
              "name of a replay's array is too long: %s/%s", path, group);
        snprintf(description, sizeof description, "%s at each place, of each environment by global index; step n is at place n mod %lld",
                 slice->what, (long long)places);
        const int64_t agents = slice->group < 0 ? 1 : spec->group[slice->group].agents;
        void *array = slice_array(&x->all, slice);
        struct field *field = slice->group < 0
                                  ? field_add(list, name, type_of(slice), array, "1", description, 3, places, envs, width)
                                  : field_add(list, name, type_of(slice), array, "1", description, 4, places, envs, agents, width / agents);
        if (field->shape[field->rank - 1] == 1) field->rank--;
    }
    return x->step + 1 < (uint64_t)places ? (int64_t)x->step + 1 : places;
}
