/* A vecenv with every array that its environment can write, and players for it. */
#ifndef TESTS_ENV_BATCH_H
#define TESTS_ENV_BATCH_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/philox.h"
#include "env/slices.h"
#include "env/vecenv.h"

struct env_batch {
    struct vecenv *env;
    const struct mappo_env_spec *spec;
    struct mappo_env_io io;
    struct slices slices;
    struct group_sizes size[MAPPO_MAX_GROUPS];
    int32_t *act_int[MAPPO_MAX_GROUPS];
    float *act_real[MAPPO_MAX_GROUPS];
    int32_t envs;
    struct error err;
};

/* Of environments that are open, and now belong to the batch. */
static inline int batch_around(struct env_batch *b, struct vecenv *env)
{
    memset(b, 0, sizeof *b);
    b->env = env;
    b->spec = vecenv_spec(b->env);
    b->envs = vecenv_envs(env);
    b->io = (struct mappo_env_io){.struct_size = sizeof b->io, .groups = b->spec->groups};
    slices_of(&b->slices, b->spec);
    for (int i = 0; i < b->slices.count; i++) {
        const size_t envs = (size_t)b->envs, bytes = b->slices.slice[i].bytes;
        slice_point(&b->io, &b->slices.slice[i], vecenv_owns_memory(env) ? vecenv_memory(env, envs * bytes) : calloc(envs, bytes));
    }
    for (int g = 0; g < b->spec->groups; g++) {
        b->size[g] = group_sizes(&b->spec->group[g]);
        b->act_int[g] = (int32_t *)(uintptr_t)b->io.group[g].act_int;
        b->act_real[g] = (float *)(uintptr_t)b->io.group[g].act_real;
    }
    return vecenv_reset(b->env, &b->io, &b->err);
}

/* One thread steps `envs` environments of `name` from seed 11; actions are clipped. */
static inline struct vecenv_config batch_config(const char *name, const struct env_option *option, int options, int32_t envs)
{
    return (struct vecenv_config){.name = name,
                                  .option = option,
                                  .options = options,
                                  .envs = envs,
                                  .seed = 11,
                                  .stream = PHILOX_EVALUATION,
                                  .threads = 1,
                                  .horizon = 1,
                                  .clip_action = true};
}

static inline int batch_open(struct env_batch *b, const struct vecenv_config *config)
{
    struct vecenv *env;
    memset(b, 0, sizeof *b);
    const int rc = vecenv_open(&env, config, &b->err);
    return rc ? rc : batch_around(b, env);
}

static inline void batch_close(struct env_batch *b)
{
    for (int i = 0; i < b->slices.count && !vecenv_owns_memory(b->env); i++) free(slice_array(&b->io, &b->slices.slice[i]));
    vecenv_close(b->env);
    memset(b, 0, sizeof *b);
}

/* One allowed choice of n, given their mask. */
static inline int32_t batch_choose(struct philox *rng, const uint8_t *mask, int32_t n)
{
    for (;;) {
        const int32_t k = philox_below(rng, n);
        if (mask[k]) return k;
    }
}

static inline void batch_random_agent(const struct mappo_group *group, struct philox *rng, const uint8_t *mask, int32_t *ints, float *reals)
{
    for (int h = 0; h < group->act_heads; h++) {
        const struct mappo_space *space = &group->act[h];
        for (int32_t i = 0; i < space->size; i++) {
            if (space->kind == MAPPO_BOX) {
                *reals++ = philox_uniform(rng, -1, 1);
            } else if (space->kind == MAPPO_MULTI_BINARY) {
                *ints++ = *mask++ ? philox_below(rng, 2) : 0;
            } else {
                *ints++ = (space->start ? space->start[i] : 0) + batch_choose(rng, mask, space->n[i]);
                mask += space->n[i];
            }
        }
    }
}

/* Random allowed actions, drawn by (seed, step, global environment), so that they don't depend on how a batch is cut. */
static inline void batch_act(struct env_batch *b, uint64_t seed, uint32_t first_env, uint64_t step)
{
    for (int32_t e = 0; e < b->envs; e++) {
        struct philox rng;
        philox_start(&rng, seed + step * 1000003u, PHILOX_ACTION, first_env + (uint32_t)e);
        for (int g = 0; g < b->spec->groups; g++) {
            const struct group_sizes *s = &b->size[g];
            for (int32_t a = 0; a < s->agents; a++) {
                const size_t row = (size_t)e * (size_t)s->agents + (size_t)a;
                batch_random_agent(&b->spec->group[g], &rng, b->io.group[g].act_mask + row * (size_t)s->logits,
                                   b->act_int[g] + row * (size_t)s->act_ints, b->act_real[g] + row * (size_t)s->act_reals);
            }
        }
    }
}

/* Everything that environment e shows now and, where its episode ended, showed last. */
static inline uint64_t batch_hash(const struct env_batch *b, int32_t e)
{
    uint64_t hash = HASH_START;
    for (int i = 0; i < b->slices.count; i++) {
        const struct slice *slice = &b->slices.slice[i];
        if (slice->written == SLICE_ACTION || (slice->written == SLICE_FINAL && !b->io.ep_end[e])) continue;
        hash = hash_bytes(hash, (const char *)slice_array(&b->io, slice) + (size_t)e * slice->bytes, slice->bytes);
    }
    return hash;
}

/* The environment's own bytes of environment e: its struct, as its rules know it. To be changed and put back; the generator must stay. */
struct env_copy {
    unsigned char *snapshot;
    size_t own, bytes; /* where they begin, and how many */
};

static inline bool env_copy_take(struct env_copy *copy, const struct env_batch *b, int32_t e)
{
    const size_t all = vecenv_snapshot_bytes(b->env);
    if (!copy->snapshot) copy->snapshot = calloc(1, all);
    copy->bytes = b->spec->snapshot_bytes;
    copy->own = all - copy->bytes;
    return vecenv_snapshot(b->env, e, e + 1, copy->snapshot, NULL) == 0;
}

static inline void *env_copy_bytes(const struct env_copy *copy)
{
    return copy->snapshot + copy->own;
}

static inline bool env_copy_put(const struct env_copy *copy, const struct env_batch *b, int32_t e)
{
    return vecenv_restore(b->env, e, e + 1, copy->snapshot, NULL) == 0;
}

static inline void env_copy_free(struct env_copy *copy)
{
    free(copy->snapshot);
    *copy = (struct env_copy){0};
}

#endif
