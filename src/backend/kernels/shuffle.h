/* A permutation of 0 … n - 1 in which every element is found by itself: host and device agree on it, nobody stores it, and a minibatch is
 * drawn by as many threads as there are. A Feistel network over the next power of four is a bijection of that range; an image outside of
 * the n is sent through again until it falls inside ("cycle walking", Black and Rogaway 2002; for shuffling, Mitchell et al. 2022,
 * "Bandwidth-optimal random shuffling for GPUs"). The round keys are Philox draws (seed, shard, which of a pass's permutations, pass over the data). */
#ifndef MAPPO_KERNELS_SHUFFLE_H
#define MAPPO_KERNELS_SHUFFLE_H

#include "base/philox.h"

enum { SHUFFLE_ROUNDS = 8 };

struct shuffle {
    uint32_t items, half_bits, half_mask;
    uint32_t key[SHUFFLE_ROUNDS];
};

MAPPO_FN struct shuffle shuffle_of(uint32_t items, uint64_t seed, uint32_t shard, uint32_t which, uint64_t pass)
{
    struct shuffle s;
    s.items = items;
    s.half_bits = 1;
    while (s.half_bits < 16 && ((uint64_t)1 << (2 * s.half_bits)) < items) s.half_bits++;
    s.half_mask = ((uint32_t)1 << s.half_bits) - 1;
    for (int i = 0; i < SHUFFLE_ROUNDS; i += 4) {
        const struct philox_draw draw = philox_at(seed, PHILOX_SHUFFLE, shard, which * SHUFFLE_ROUNDS + (uint32_t)i, pass);
        for (int j = 0; j < 4; j++) s.key[i + j] = draw.v[j];
    }
    return s;
}

/* The finaliser of MurmurHash3 (Appleby 2008). */
MAPPO_FN uint32_t shuffle_mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x85EBCA6Bu;
    x ^= x >> 13;
    x *= 0xC2B2AE35u;
    return x ^ (x >> 16);
}

/* Once through the network. */
MAPPO_FN uint32_t shuffle_once(const struct shuffle *s, uint32_t k)
{
    uint32_t left = k >> s->half_bits, right = k & s->half_mask;
    for (int i = 0; i < SHUFFLE_ROUNDS; i++) {
        const uint32_t mixed = left ^ (shuffle_mix(right ^ s->key[i]) & s->half_mask);
        left = right;
        right = mixed;
    }
    return (left << s->half_bits) | right;
}

/* Which element stands at place k. */
MAPPO_FN uint32_t shuffle_item(const struct shuffle *s, uint32_t k)
{
    do k = shuffle_once(s, k);
    while (k >= s->items);
    return k;
}

#endif
