/* Actions as columns of a critic's input, and back (kernels/embed.h), over tiles of rows. Compiled once per instruction level. */
#define MAPPO_FN static inline __attribute__((always_inline, unused))
#include "backend/cpu.h"

#include <string.h>

#include "backend/vector.h"

/* x [B][stride] of rows first … first + rows - 1 as the tile y [n][R]; the padding is 0. */
static void load_rows(const real *x, int n, int stride, int first, int rows, real *y)
{
    for (int k = 0; k < n; k++)
        for (int r = 0; r < (int)TILE; r++) y[k * (int)TILE + r] = r < rows ? x[(size_t)(first + r) * (size_t)stride + (size_t)k] : (real)0;
}

static void store_rows(const real *y, int n, int stride, int first, int rows, real *x)
{
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < n; k++) x[(size_t)(first + r) * (size_t)stride + (size_t)k] = y[k * (int)TILE + r];
}

/* Logits of choices that are not allowed. */
static void forbid(real *y, const uint8_t *mask, int stride, const struct distribution *dist, int first, int rows)
{
    for (int h = 0; h < dist->heads && mask; h++) {
        const struct head *head = &dist->head[h];
        for (int k = 0; k < head->size && head->mask >= 0; k++)
            for (int r = 0; r < rows; r++)
                if (!mask[(size_t)(first + r) * (size_t)stride * (size_t)dist->logits + (size_t)(head->mask + k)])
                    y[(head->output + k) * (int)TILE + r] = MASKED_LOGIT;
    }
}

/* ---- actions that were taken --------------------------------------------------------------------------------------------------------- */

static void taken(const struct embed_pass *p, int first, int rows, real *column)
{
    for (int h = 0; h < p->dist->heads; h++) {
        const struct head *head = &p->dist->head[h];
        for (int r = 0; r < rows; r++) {
            const size_t row = (size_t)(first + r) * (size_t)p->stride;
            const int32_t *act = p->act_int ? p->act_int + row * (size_t)p->dist->act_ints + head->action : NULL;
            for (int k = 0; k < head->size; k++) {
                real *to = column + (head->output + k) * (int)TILE + r;
                if (head->kind == HEAD_CATEGORICAL) *to = *act - head->start == k ? (real)1 : (real)0;
                if (head->kind == HEAD_BERNOULLI) *to = (real)act[k];
                if (head->kind == HEAD_GAUSSIAN) *to = (real)p->act_real[row * (size_t)p->dist->act_reals + (size_t)(head->action + k)];
            }
        }
    }
}

/* ---- the policy's ------------------------------------------------------------------------------------------------------------------- */

/* Words of output k of rows first …: those of one block. */
static void block_words(const struct embed_pass *p, int first, uint32_t block, uint32_t word[4][TILE])
{
    const uint64_t update = (uint64_t)p->numbers->update + (uint64_t)p->after;
    for (int r = 0; r < (int)TILE; r++) {
        const struct philox_draw d = embed_words(p->seed, p->first_row + (uint32_t)(first + r), p->agent, update, p->use, block);
        for (int i = 0; i < 4; i++) word[i][r] = d.v[i];
    }
}

/* Noise [O][R] of heads that choose: a word each, in the order of the outputs. */
static void draw_choices(const struct embed_pass *p, int first, real *noise)
{
    uint32_t word[4][TILE];
    int block = -1;
    for (int h = 0; h < p->dist->heads; h++) {
        const struct head *head = &p->dist->head[h];
        for (int k = head->output; k < head->output + head->size && head->kind != HEAD_GAUSSIAN; k++) {
            if (k / 4 != block) {
                block = k / 4;
                block_words(p, first, (uint32_t)block, word);
            }
            const uint32_t *words = word[k % 4];
            real *to = noise + k * (int)TILE;
            if (head->kind == HEAD_CATEGORICAL) {
                for (int r = 0; r < (int)TILE; r++) to[r] = gumbel_draw(words[r]);
            } else {
                for (int r = 0; r < (int)TILE; r++) to[r] = logistic_draw(words[r]);
            }
        }
    }
}

/* Noise [O][R] of real numbers: what their policy's own deviation adds, or nothing. Standard normal numbers come from elsewhere, or are drawn. */
static void draw_reals(const struct embed_pass *p, int first, int outputs, real *noise)
{
    uint32_t word[4][TILE];
    for (int h = 0; h < p->dist->heads; h++) {
        const struct head *head = &p->dist->head[h];
        for (int k = 0; k < head->size && head->kind == HEAD_GAUSSIAN; k++) {
            real *to = noise + (head->output + k) * (int)TILE;
            const bool drawn = p->dist->real == REAL_TANH_GAUSSIAN;
            const real std = !drawn ? (real)0 : embed_std(p->dist->fixed_std, p->log_std, head->action + k);
            if (drawn && !p->noise) block_words(p, first, embed_real_block(outputs, head->output + k), word);
            for (int r = 0; r < (int)TILE; r++)
                to[r] = !drawn ? (real)0 : std * (p->noise ? to[r] : (real)normal_draw(word[2][r], word[3][r]));
        }
    }
}

static void smooth(const struct embed_pass *p, int first, int outputs, real *column)
{
    uint32_t word[4][TILE];
    for (int h = 0; h < p->dist->heads; h++) {
        const struct head *head = &p->dist->head[h];
        const int map = embed_map_of(head->kind, p->dist->real);
        for (int k = head->output; k < head->output + head->size && head->kind == HEAD_GAUSSIAN; k++) {
            block_words(p, first, embed_real_block(outputs, k), word);
            real *to = column + k * (int)TILE;
            for (int r = 0; r < (int)TILE; r++) to[r] = embed_smooth(map, to[r], p->smoothing, p->smoothing_clip, word[0][r], word[1][r]);
        }
    }
}

/* y [O][R]: outputs, with what is added to them. */
static void add_noise(const struct embed_pass *p, int row, int rows, int outputs, real *y, real *noise)
{
    if (p->noise) {
        load_rows(p->noise, outputs, outputs, row, rows, noise);
    } else {
        draw_choices(p, row, noise);
    }
    draw_reals(p, row, outputs, noise);
    for (int i = 0; i < outputs * (int)TILE; i++) y[i] += noise[i];
    if (p->drawn) store_rows(noise, outputs, outputs, row, rows, p->drawn);
}

void LEVELLED(embed_rows)(const struct embed_pass *p, real *work, int row, int end)
{
    const int outputs = distribution_outputs(p->dist), size = outputs * (int)TILE;
    real *y = work, *column = y + size, *noise = column + size, *scratch = noise + size;
    for (; row < end; row += TILE) {
        const int rows = end - row < (int)TILE ? end - row : (int)TILE;
        if (p->how == EMBED_TAKEN) {
            taken(p, row, rows, column);
        } else {
            load_rows(p->out, outputs, outputs, row, rows, y);
            if (p->how != EMBED_MODE) add_noise(p, row, rows, outputs, y, noise);
            forbid(y, p->mask, p->stride, p->dist, row, rows);
            for (int h = 0; h < p->dist->heads; h++) {
                const struct head *head = &p->dist->head[h];
                embed_head(p->how, embed_map_of(head->kind, p->dist->real), y + head->output * (int)TILE, column + head->output * (int)TILE,
                           head->size, p->temperature, scratch, TILE);
            }
            if (p->smoothing > 0) smooth(p, row, outputs, column);
            store_rows(y, outputs, outputs, row, rows, p->soft);
        }
        store_rows(column, outputs, p->column_stride, row, rows, p->columns);
    }
}

/* ---- back ---------------------------------------------------------------------------------------------------------------------------- */

/* Of z + std n: n std times that by z. */
static void slopes_by_log_std(const struct embed_back_pass *p, int row, int rows, int outputs)
{
    for (int b = row; b < row + rows; b++)
        for (int h = 0; h < p->dist->heads; h++) {
            const struct head *head = &p->dist->head[h];
            for (int k = 0; k < head->size && head->kind == HEAD_GAUSSIAN; k++) {
                const size_t at = (size_t)b * (size_t)outputs + (size_t)(head->output + k);
                p->by_log_std[(size_t)b * (size_t)p->dist->act_reals + (size_t)(head->action + k)] = p->slope[at] * p->drawn[at];
            }
        }
}

void LEVELLED(embed_back_rows)(const struct embed_back_pass *p, real *work, int row, int end)
{
    const int outputs = distribution_outputs(p->dist), size = outputs * (int)TILE;
    real *soft = work, *slope = soft + size, *z = slope + size, *scratch = z + size;
    for (; row < end; row += TILE) {
        const int rows = end - row < (int)TILE ? end - row : (int)TILE;
        real loss[TILE] = {0};
        load_rows(p->soft, outputs, outputs, row, rows, soft);
        load_rows(p->q_slope, outputs, outputs, row, rows, slope);
        load_rows(p->out, outputs, outputs, row, rows, z);
        forbid(z, p->mask, p->stride, p->dist, row, rows);
        for (int r = 0; r < rows; r++) loss[r] = -p->q[row + r];
        for (int h = 0; h < p->dist->heads; h++) {
            const struct head *head = &p->dist->head[h];
            const int at = head->output * (int)TILE;
            embed_head_back(embed_map_of(head->kind, p->dist->real), z + at, soft + at, slope + at, head->size, p->temperature,
                            p->penalty / (real)outputs, loss, scratch, TILE);
        }
        for (int r = 0; r < rows && p->active; r++) {
            if (p->active[row + r]) continue;
            for (int k = 0; k < outputs; k++) slope[k * (int)TILE + r] = 0;
            loss[r] = 0;
        }
        memcpy(p->loss + row, loss, (size_t)rows * sizeof *loss);
        store_rows(slope, outputs, outputs, row, rows, p->slope);
        if (p->drawn) slopes_by_log_std(p, row, rows, outputs);
    }
}
