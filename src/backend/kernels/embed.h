/* Actions as numbers that a critic can be derived by, head by head, and the way back. Rows lie side by side: an array is [size][rows], and
 * `rows` is a constant where this is inlined (a tile on the CPU, 1 on a device).
 *
 * A choice of a policy with logits z is drawn by adding Gumbel noise g = -log(-log u) and taking the largest; softmax((z + g) / temperature) is
 * that choice made smooth (Jang et al. 2017, Maddison et al. 2017), and "straight-through" is the choice itself with the smooth one's
 * derivative. A bit likewise, with logistic noise. Real numbers are what enum real_kind says: tanh(z), softmax(z), or tanh(z + std n), which is
 * derived by z and by log std with n held fixed (reparameterised: Kingma and Welling 2014, Heess et al. 2015). */
#ifndef MAPPO_KERNELS_EMBED_H
#define MAPPO_KERNELS_EMBED_H

#include <stdbool.h>

#include "backend/kernels/distribution.h"
#include "backend/kernels/sampling.h"

enum embed_how {
    EMBED_TAKEN, /* actions that were taken */
    EMBED_MODE,  /* the policy's most probable ones */
    EMBED_HARD,  /* drawn; derived as SOFT is */
    EMBED_SOFT   /* drawn, smooth */
};
enum embed_use { EMBED_OWN, EMBED_TARGET, EMBED_USES }; /* draws of one update that differ */

/* By which function outputs, with what was added to them, become columns. */
enum embed_map { MAP_CHOICE, MAP_BIT, MAP_TANH, MAP_SIMPLEX };

MAPPO_FN int embed_map_of(int kind, int real_kind)
{
    if (kind == HEAD_CATEGORICAL) return MAP_CHOICE;
    if (kind == HEAD_BERNOULLI) return MAP_BIT;
    return real_kind == REAL_SOFTMAX ? MAP_SIMPLEX : MAP_TANH;
}

/* Words of a row: four outputs that choose share a block; each real number has one of its own behind those of all outputs, whose first two are of
 * embed_smooth and whose others of its policy's own deviation. */
enum { EMBED_BLOCK_SHIFT = 16 }; /* as ACTION_BLOCK_SHIFT */
MAPPO_FN uint32_t embed_real_block(int outputs, int output)
{
    return (uint32_t)(outputs + 3) / 4 + (uint32_t)output;
}

MAPPO_FN struct philox_draw embed_words(uint64_t seed, uint32_t row, uint32_t agent, uint64_t update, int use, uint32_t block)
{
    return philox_at(seed, PHILOX_RELAXATION, row, agent | (block << EMBED_BLOCK_SHIFT), update * EMBED_USES + (uint64_t)use);
}

/* In (0, 1), and so is 1 minus it: 23 bits and a half. */
MAPPO_FN real open_uniform(uint32_t word)
{
    return ((real)(int32_t)(word >> 9) + (real)0.5) * (real)1.1920928955078125e-7;
}

MAPPO_FN real gumbel_draw(uint32_t word)
{
    return -real_log(-real_log(open_uniform(word)));
}

MAPPO_FN real logistic_draw(uint32_t word)
{
    const real u = open_uniform(word);
    return real_log(u) - real_log((real)1 - u);
}

/* column = 1 where y is the largest of its row, the first of several; else 0. scratch [2][rows] */
MAPPO_FN void embed_largest(const real *y, real *column, int size, real *scratch, const int rows)
{
    real *best = scratch, *at = scratch + rows;
    for (int r = 0; r < rows; r++) {
        best[r] = y[r];
        at[r] = 0;
    }
    for (int k = 1; k < size; k++)
        for (int r = 0; r < rows; r++) {
            at[r] = y[k * rows + r] > best[r] ? (real)k : at[r];
            best[r] = real_max(y[k * rows + r], best[r]);
        }
    for (int k = 0; k < size; k++)
        for (int r = 0; r < rows; r++) column[k * rows + r] = at[r] == (real)k ? (real)1 : (real)0;
}

/* y becomes softmax(y / temperature). scratch [2][rows] */
MAPPO_FN void embed_softmax(real *y, int size, real temperature, real *scratch, const int rows)
{
    const real inverse = (real)1 / temperature;
    real *top = scratch, *sum = scratch + rows;
    for (int r = 0; r < rows; r++) {
        top[r] = y[r];
        sum[r] = 0;
    }
    for (int k = 1; k < size; k++)
        for (int r = 0; r < rows; r++) top[r] = real_max(y[k * rows + r], top[r]);
    for (int k = 0; k < size; k++)
        for (int r = 0; r < rows; r++) {
            const real e = real_exp((y[k * rows + r] - top[r]) * inverse);
            y[k * rows + r] = e;
            sum[r] += e;
        }
    for (int r = 0; r < rows; r++) sum[r] = (real)1 / sum[r];
    for (int k = 0; k < size; k++)
        for (int r = 0; r < rows; r++) y[k * rows + r] *= sum[r];
}

/* One head: from y [size][rows], its outputs with noise added (not for EMBED_MODE), to columns, and to soft, which takes y's place. */
MAPPO_FN void embed_head(int how, int map, real *y, real *column, int size, real temperature, real *scratch, const int rows)
{
    if (map == MAP_CHOICE) {
        if (how != EMBED_SOFT) embed_largest(y, column, size, scratch, rows);
        if (how != EMBED_MODE) embed_softmax(y, size, temperature, scratch, rows);
    } else if (map == MAP_BIT) {
        for (int i = 0; i < size * rows; i++) {
            column[i] = y[i] > (real)0 ? (real)1 : (real)0;
            y[i] = real_sigmoid(y[i] / temperature);
        }
    } else if (map == MAP_SIMPLEX) {
        embed_softmax(y, size, (real)1, scratch, rows);
        for (int i = 0; i < size * rows; i++) column[i] = y[i];
    } else {
        for (int i = 0; i < size * rows; i++) column[i] = y[i] = real_tanh(y[i]);
    }
    for (int i = 0; i < size * rows && how == EMBED_SOFT; i++) column[i] = y[i];
}

MAPPO_FN real embed_std(float fixed_std, const real *log_std, int dimension)
{
    return fixed_std > 0 ? (real)fixed_std : real_exp(log_std[dimension]);
}

/* A real action with clipped noise (TD3, Fujimoto et al. 2018, eq. 14), of two words. */
MAPPO_FN real embed_smooth(int map, real action, real deviation, real clip, uint32_t a, uint32_t b)
{
    return real_clamp(action + real_clamp(deviation * (real)normal_draw(a, b), -clip, clip), (real)(map == MAP_SIMPLEX ? 0 : -1), (real)1);
}

/* Back through one head. slope [size][rows] comes as dQ / d column and leaves as dL / dz of L = -Q + penalty Σ output², to which `loss` is
 * added; an output is a logit (0 where it is forbidden) or a tanh. soft: embed_head's. scratch [rows] */
MAPPO_FN void embed_head_back(int map, const real *z, const real *soft, real *slope, int size, real temperature, real penalty, real *loss,
                              real *scratch, const int rows)
{
    const real inverse = map == MAP_SIMPLEX ? (real)1 : (real)1 / temperature;
    const bool shares = map == MAP_CHOICE || map == MAP_SIMPLEX; /* of a whole: a softmax */
    for (int r = 0; r < rows; r++) scratch[r] = 0;
    for (int k = 0; k < size && shares; k++)
        for (int r = 0; r < rows; r++) scratch[r] += soft[k * rows + r] * slope[k * rows + r];
    for (int k = 0; k < size; k++)
        for (int r = 0; r < rows; r++) {
            const int i = k * rows + r;
            const real p = soft[i], output = map == MAP_TANH ? p : z[i] == MASKED_LOGIT ? (real)0 : z[i];
            const real by_output = (real)2 * penalty * output;
            loss[r] += penalty * output * output;
            if (shares) {
                slope[i] = by_output - p * (slope[i] - scratch[r]) * inverse;
            } else if (map == MAP_BIT) {
                slope[i] = by_output - p * ((real)1 - p) * slope[i] * inverse;
            } else {
                slope[i] = (by_output - slope[i]) * ((real)1 - p * p);
            }
        }
}

#endif
