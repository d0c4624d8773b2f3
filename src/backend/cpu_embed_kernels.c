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

/* Adds noise to the outputs y [O][R] of heads that choose: a word each, in the order of the outputs. */
static void add_noise(const struct embed_pass *p, int first, real *y)
{
    const uint64_t update = (uint64_t)p->numbers->update + (uint64_t)p->after;
    uint32_t word[4][TILE];
    int block = -1;
    for (int h = 0; h < p->dist->heads; h++) {
        const struct head *head = &p->dist->head[h];
        for (int k = head->output; k < head->output + head->size && head->kind != HEAD_GAUSSIAN; k++) {
            if (k / 4 != block) {
                block = k / 4;
                for (int r = 0; r < (int)TILE; r++) {
                    const struct philox_draw d =
                        embed_words(p->seed, p->first_row + (uint32_t)(first + r), p->agent, update, p->use, (uint32_t)block);
                    for (int i = 0; i < 4; i++) word[i][r] = d.v[i];
                }
            }
            const uint32_t *words = word[k % 4];
            real *to = y + k * (int)TILE;
            if (head->kind == HEAD_CATEGORICAL) {
                for (int r = 0; r < (int)TILE; r++) to[r] += gumbel_draw(words[r]);
            } else {
                for (int r = 0; r < (int)TILE; r++) to[r] += logistic_draw(words[r]);
            }
        }
    }
}

/* A block of words for each real number, behind those of all outputs. */
static void smooth(const struct embed_pass *p, int first, int outputs, real *column)
{
    const uint64_t update = (uint64_t)p->numbers->update + (uint64_t)p->after;
    for (int h = 0; h < p->dist->heads; h++) {
        const struct head *head = &p->dist->head[h];
        for (int k = head->output; k < head->output + head->size && head->kind == HEAD_GAUSSIAN; k++)
            for (int r = 0; r < (int)TILE; r++) {
                const struct philox_draw d = embed_words(p->seed, p->first_row + (uint32_t)(first + r), p->agent, update, p->use,
                                                         (uint32_t)(outputs + 3) / 4 + (uint32_t)k);
                column[k * (int)TILE + r] = embed_smooth(column[k * (int)TILE + r], p->smoothing, p->smoothing_clip, d.v[0], d.v[1]);
            }
    }
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
            if (p->noise) load_rows(p->noise, outputs, outputs, row, rows, noise);
            for (int i = 0; i < size && p->noise; i++) y[i] += noise[i];
            if (p->how != EMBED_MODE && !p->noise) add_noise(p, row, y);
            forbid(y, p->mask, p->stride, p->dist, row, rows);
            for (int h = 0; h < p->dist->heads; h++) {
                const struct head *head = &p->dist->head[h];
                embed_head(p->how, head->kind, y + head->output * (int)TILE, column + head->output * (int)TILE, head->size, p->temperature,
                           scratch, TILE);
            }
            if (p->smoothing > 0) smooth(p, row, outputs, column);
            store_rows(y, outputs, outputs, row, rows, p->soft);
        }
        store_rows(column, outputs, p->column_stride, row, rows, p->columns);
    }
}

/* ---- back ---------------------------------------------------------------------------------------------------------------------------- */

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
            embed_head_back(head->kind, z + at, soft + at, slope + at, head->size, p->temperature, p->penalty / (real)outputs, loss,
                            scratch, TILE);
        }
        for (int r = 0; r < rows && p->active; r++) {
            if (p->active[row + r]) continue;
            for (int k = 0; k < outputs; k++) slope[k * (int)TILE + r] = 0;
            loss[r] = 0;
        }
        memcpy(p->loss + row, loss, (size_t)rows * sizeof *loss);
        store_rows(slope, outputs, outputs, row, rows, p->slope);
    }
}
