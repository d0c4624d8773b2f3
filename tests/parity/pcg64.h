/* NumPy's default generator, to start episodes exactly where upstream's `reset(seed)` does: SeedSequence (M. E. O'Neill's seed_seq_fe, pool
 * of four words) and PCG64 XSL-RR (O'Neill 2014). Only tests need it: training draws from Philox. */
#ifndef TESTS_PARITY_PCG64_H
#define TESTS_PARITY_PCG64_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 pcg_word;

struct pcg64 {
    pcg_word state, increment;
    uint32_t half; /* 32-bit draws come two from a 64-bit one, low half first; the other waits here */
    bool has_half;
};

static inline uint32_t seed_hash(uint32_t value, uint32_t *constant)
{
    value ^= *constant;
    *constant *= 0x931e8875u;
    value *= *constant;
    return value ^ (value >> 16);
}

static inline uint32_t seed_mix(uint32_t x, uint32_t y)
{
    const uint32_t mixed = x * 0xca01f9ddu - y * 0x4973f715u;
    return mixed ^ (mixed >> 16);
}

/* Eight 32-bit words from a seed of at most 64 bits. */
static inline void seed_words(uint64_t seed, uint32_t words[8])
{
    const uint32_t entropy[4] = {(uint32_t)seed, (uint32_t)(seed >> 32), 0, 0};
    uint32_t pool[4], constant = 0x43b0d7e5u;
    for (int i = 0; i < 4; i++) pool[i] = seed_hash(entropy[i], &constant);
    for (int s = 0; s < 4; s++)
        for (int d = 0; d < 4; d++)
            if (s != d) pool[d] = seed_mix(pool[d], seed_hash(pool[s], &constant));
    constant = 0x8b51f9ddu;
    for (int i = 0; i < 8; i++) {
        uint32_t value = pool[i % 4] ^ constant;
        constant *= 0x58f38dedu;
        value *= constant;
        words[i] = value ^ (value >> 16);
    }
}

static inline void pcg64_advance(struct pcg64 *rng)
{
    const pcg_word multiplier = ((pcg_word)0x2360ed051fc65da4ull << 64) | 0x4385df649fccf645ull;
    rng->state = rng->state * multiplier + rng->increment;
}

static inline void pcg64_seed(struct pcg64 *rng, uint64_t seed)
{
    uint32_t w[8];
    uint64_t u[4];
    seed_words(seed, w);
    for (int i = 0; i < 4; i++) u[i] = ((uint64_t)w[2 * i + 1] << 32) | w[2 * i];
    rng->increment = ((((pcg_word)u[2] << 64) | u[3]) << 1) | 1;
    rng->state = 0;
    rng->has_half = false;
    rng->half = 0;
    pcg64_advance(rng);
    rng->state += ((pcg_word)u[0] << 64) | u[1];
    pcg64_advance(rng);
}

static inline uint64_t pcg64_next(struct pcg64 *rng)
{
    pcg64_advance(rng);
    const uint64_t mixed = (uint64_t)(rng->state >> 64) ^ (uint64_t)rng->state;
    const unsigned turn = (unsigned)(rng->state >> 122);
    return turn ? (mixed >> turn) | (mixed << (64 - turn)) : mixed;
}

static inline double pcg64_unit(struct pcg64 *rng) /* [0, 1) */
{
    return (double)(pcg64_next(rng) >> 11) * 0x1p-53;
}

static inline uint32_t pcg64_next32(struct pcg64 *rng)
{
    if (rng->has_half) {
        rng->has_half = false;
        return rng->half;
    }
    const uint64_t both = pcg64_next(rng);
    rng->half = (uint32_t)(both >> 32);
    rng->has_half = true;
    return (uint32_t)both;
}

/* integers(n), n <= 2^32: Lemire's method with rejection; n = 1 draws nothing. */
static inline uint64_t pcg64_below(struct pcg64 *rng, uint64_t n)
{
    if (n == 1) return 0;
    if (n == 1ull << 32) return pcg64_next32(rng);
    uint64_t product = (uint64_t)pcg64_next32(rng) * n;
    if ((uint32_t)product < n) {
        const uint32_t threshold = (uint32_t)(((1ull << 32) - n) % n);
        while ((uint32_t)product < threshold) product = (uint64_t)pcg64_next32(rng) * n;
    }
    return product >> 32;
}

#endif
