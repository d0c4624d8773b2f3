/* A vecenv with every array that its environment can write, and players for it. */
#ifndef TESTS_ENV_BATCH_H
#define TESTS_ENV_BATCH_H

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/philox.h"
#include "env/vecenv.h"

struct env_batch {
    struct vecenv *env;
    const struct mappo_env_spec *spec;
    struct mappo_env_io io;
    struct group_sizes size[MAPPO_MAX_GROUPS];
    int32_t *act_int[MAPPO_MAX_GROUPS];
    float *act_real[MAPPO_MAX_GROUPS];
    int32_t envs;
    struct error err;
    void *memory[128];
    int memories;
};

static inline void *batch_take(struct env_batch *b, size_t count, size_t size)
{
    if (vecenv_owns_memory(b->env)) return vecenv_memory(b->env, (count + 1) * size);
    return b->memory[b->memories++] = calloc(count + 1, size);
}

/* Of environments that are open, and now belong to the batch. */
static inline int batch_around(struct env_batch *b, struct vecenv *env)
{
    memset(b, 0, sizeof *b);
    b->env = env;
    b->spec = vecenv_spec(b->env);
    b->envs = vecenv_envs(env);
    const size_t envs = (size_t)b->envs;
    b->io = (struct mappo_env_io){.struct_size = sizeof b->io, .groups = b->spec->groups};
    for (int g = 0; g < b->spec->groups; g++) {
        const struct group_sizes s = b->size[g] = group_sizes(&b->spec->group[g]);
        const size_t rows = envs * (size_t)s.agents, state = rows * (size_t)b->spec->group[g].state_size;
        struct mappo_group_io *io = &b->io.group[g];
        io->act_int = b->act_int[g] = batch_take(b, rows * (size_t)s.act_ints, sizeof(int32_t));
        io->act_real = b->act_real[g] = batch_take(b, rows * (size_t)s.act_reals, sizeof(float));
        io->obs = batch_take(b, rows * (size_t)s.obs, sizeof(float));
        io->final_obs = batch_take(b, rows * (size_t)s.obs, sizeof(float));
        io->state = state ? batch_take(b, state, sizeof(float)) : NULL;
        io->final_state = state ? batch_take(b, state, sizeof(float)) : NULL;
        io->reward = batch_take(b, rows, sizeof(float));
        io->terminated = batch_take(b, rows, 1);
        io->active = batch_take(b, rows, 1);
        io->act_mask = batch_take(b, rows * (size_t)s.logits, 1);
    }
    b->io.state = batch_take(b, envs * (size_t)b->spec->state_size, sizeof(float));
    b->io.final_state = batch_take(b, envs * (size_t)b->spec->state_size, sizeof(float));
    b->io.ep_end = batch_take(b, envs, 1);
    b->io.info = batch_take(b, envs * (size_t)b->spec->infos, sizeof(float));
    return vecenv_reset(b->env, &b->io, &b->err);
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
    vecenv_close(b->env);
    for (int i = 0; i < b->memories; i++) free(b->memory[i]);
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
    const size_t at = (size_t)e, infos = (size_t)b->spec->infos, state = (size_t)b->spec->state_size * sizeof(float);
    const bool ended = b->io.ep_end[e] != MAPPO_RUNNING;
    for (int g = 0; g < b->spec->groups; g++) {
        const struct group_sizes *s = &b->size[g];
        const struct mappo_group_io *io = &b->io.group[g];
        const size_t agents = (size_t)s->agents, obs = agents * (size_t)s->obs, logits = agents * (size_t)s->logits;
        const size_t own = agents * (size_t)b->spec->group[g].state_size;
        hash = hash_bytes(hash, io->obs + at * obs, obs * sizeof(float));
        hash = hash_bytes(hash, io->reward + at * agents, agents * sizeof(float));
        hash = hash_bytes(hash, io->terminated + at * agents, agents);
        hash = hash_bytes(hash, io->active + at * agents, agents);
        hash = hash_bytes(hash, io->act_mask + at * logits, logits);
        if (own) hash = hash_bytes(hash, io->state + at * own, own * sizeof(float));
        if (ended) hash = hash_bytes(hash, io->final_obs + at * obs, obs * sizeof(float));
        if (ended && own) hash = hash_bytes(hash, io->final_state + at * own, own * sizeof(float));
    }
    hash = hash_bytes(hash, b->io.state + at * (size_t)b->spec->state_size, state);
    if (ended) hash = hash_bytes(hash, b->io.final_state + at * (size_t)b->spec->state_size, state);
    hash = hash_bytes(hash, b->io.info + at * infos, infos * sizeof(float));
    return hash_bytes(hash, b->io.ep_end + e, 1);
}

#endif
