/* Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a counter-based generator. A draw is a pure function
 * of (seed, stream, index, agent, step), so results depend neither on ranks nor on threads nor on how a batch is cut.
 * Shared by host and device: the intersection of C11 and C++17. */
#ifndef MAPPO_BASE_PHILOX_H
#define MAPPO_BASE_PHILOX_H

#include <stdint.h>

#include "base/fn.h"

/* Streams keep independent uses apart; the numbers are part of the checkpoint's promise and never change. */
enum philox_stream {
    PHILOX_ENVIRONMENT = 1,    /* resets and dynamics */
    PHILOX_ACTION = 2,         /* sampling actions while training */
    PHILOX_SHUFFLE = 3,        /* minibatch permutations */
    PHILOX_EVALUATION = 4,     /* actions and environments of evaluations */
    PHILOX_INITIALISATION = 5, /* parameters */
    PHILOX_ORDER = 6,          /* agents that are updated one after another */
    PHILOX_REPLAY = 10,        /* which steps are drawn */
    PHILOX_RELAXATION = 11,    /* actions that a critic is derived by */
    PHILOX_EXPLORATION = 12,   /* noise of deterministic actions */
    PHILOX_POOL = 13           /* self-play: who acts in which environment, which past selves are kept */
};

struct philox_draw {
    uint32_t v[4];
};

MAPPO_FN struct philox_draw philox4x32(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t h0 = (uint32_t)(p0 >> 32), h1 = (uint32_t)(p1 >> 32);
        c0 = h1 ^ c1 ^ k0;
        c2 = h0 ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    struct philox_draw out = {{c0, c1, c2, c3}};
    return out;
}

/* One draw of four words. `index`: global environment (or element); `agent` < 2^24 lies beside the stream; `step`: 64 bits. */
MAPPO_FN struct philox_draw philox_at(uint64_t seed, int stream, uint32_t index, uint32_t agent, uint64_t step)
{
    return philox4x32(seed, index, ((uint32_t)stream << 24) | (agent & 0xFFFFFFu), (uint32_t)step, (uint32_t)(step >> 32));
}

MAPPO_FN float philox_float(uint32_t word) /* [0, 1), 24 bits */
{
    return (float)(word >> 8) * 5.9604644775390625e-8f;
}

MAPPO_FN double philox_double(uint32_t high, uint32_t low) /* [0, 1), 53 bits */
{
    const uint64_t bits = (((uint64_t)high << 32) | low) >> 11;
    return (double)bits * 1.1102230246251565e-16;
}

/* A generator that walks a stream: four words at a time, plain data, so a snapshot of it is a copy. */
struct philox {
    uint64_t seed;
    uint64_t step;  /* blocks drawn so far */
    uint32_t index; /* global environment index */
    uint32_t stream;
    struct philox_draw block;
    uint32_t used; /* words of `block` already given out; 4 = empty */
    uint32_t padding;
};

MAPPO_FN void philox_start(struct philox *rng, uint64_t seed, int stream, uint32_t index)
{
    rng->seed = seed;
    rng->step = 0;
    rng->index = index;
    rng->stream = (uint32_t)stream;
    for (int i = 0; i < 4; i++) rng->block.v[i] = 0;
    rng->used = 4;
    rng->padding = 0;
}

MAPPO_FN uint32_t philox_next(struct philox *rng)
{
    if (rng->used == 4) {
        rng->block = philox_at(rng->seed, (int)rng->stream, rng->index, 0, rng->step++);
        rng->used = 0;
    }
    return rng->block.v[rng->used++];
}

MAPPO_FN float philox_uniform(struct philox *rng, float low, float high)
{
    return low + (high - low) * philox_float(philox_next(rng));
}

MAPPO_FN int32_t philox_below(struct philox *rng, int32_t n) /* 0 … n-1; bias below n / 2^32 */
{
    return (int32_t)(((uint64_t)philox_next(rng) * (uint64_t)n) >> 32);
}

#endif
