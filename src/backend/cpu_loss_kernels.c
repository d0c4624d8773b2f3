/* Losses of a tile and sampling: the formulas of backend/kernels in loops over the R rows of a tile, which the compiler turns into vector
 * code. Compiled once per instruction level. */
#define MAPPO_FN static inline __attribute__((always_inline, unused))
#include "backend/cpu.h"

#include <string.h>

#include "backend/kernels/distribution.h"
#include "backend/kernels/loss.h"
#include "backend/kernels/sampling.h"
#include "backend/vector.h"

/* Outputs [B][O] of rows row … row + rows - 1, as the tile z [O][R]. */
static void load_outputs(const real *out, int outputs, int row, int rows, real *z)
{
    for (int o = 0; o < outputs; o++) {
        for (int r = 0; r < (int)TILE; r++)
            z[o * (int)TILE + r] = r < rows ? out[(size_t)(row + r) * (size_t)outputs + (size_t)o] : (real)0;
    }
}

/* ---- heads over a tile: logits z [O][R] ---------------------------------------------------------------------------------------------- */

/* p [n][R] = probabilities, log_total [R] = top + log Σ exp(z - top), entropy [R]. */
static void categorical_tile(const real *restrict z, int n, real *restrict p, real *restrict log_total, real *restrict entropy)
{
    real top[TILE], total[TILE] = {0};
    memcpy(top, z, sizeof top);
    for (int k = 1; k < n; k++) {
        for (int r = 0; r < (int)TILE; r++) top[r] = real_max(top[r], z[k * (int)TILE + r]);
    }
    for (int k = 0; k < n; k++) {
        for (int r = 0; r < (int)TILE; r++) {
            p[k * (int)TILE + r] = real_exp(z[k * (int)TILE + r] - top[r]);
            total[r] += p[k * (int)TILE + r];
        }
    }
    for (int r = 0; r < (int)TILE; r++) {
        log_total[r] = top[r] + real_log(total[r]);
        total[r] = (real)1 / total[r];
        entropy[r] = 0;
    }
    for (int k = 0; k < n; k++) {
        for (int r = 0; r < (int)TILE; r++) {
            p[k * (int)TILE + r] *= total[r];
            entropy[r] -= categorical_entropy_term(p[k * (int)TILE + r], categorical_log_prob(z[k * (int)TILE + r], log_total[r]));
        }
    }
}

/* Adds the log-probability of the choice taken. It is computed for all choices: a branch would keep the loop from becoming vector code. */
static void add_chosen(const real *restrict z, int n, const real *restrict choice, const real *restrict log_total, real *restrict log_prob)
{
    for (int k = 0; k < n; k++) {
        for (int r = 0; r < (int)TILE; r++) {
            const real log_p = categorical_log_prob(z[k * (int)TILE + r], log_total[r]);
            log_prob[r] += choice[r] == (real)k ? log_p : (real)0;
        }
    }
}

static void mask_logits(real *restrict z, const uint8_t *allowed /* [n][R] */, int n)
{
    for (int i = 0; i < n * (int)TILE; i++) z[i] = allowed[i] ? z[i] : MASKED_LOGIT;
}

/* Mask bytes of one head for the rows of a tile; padding rows are allowed everything. */
static void gather_mask(const uint8_t *mask, int logits, int column, int n, const size_t *row, int rows, uint8_t *allowed)
{
    for (int k = 0; k < n; k++) {
        for (int r = 0; r < rows; r++) allowed[k * (int)TILE + r] = mask[row[r] * (size_t)logits + (size_t)(column + k)];
        memset(allowed + k * (int)TILE + rows, 1, (size_t)((int)TILE - rows));
    }
}

enum { MASK_CHUNK = 64 }; /* columns of a mask gathered at a time */

/* z [n][R]: the head's own logits. */
static void apply_mask(real *z, const uint8_t *mask, const struct distribution *dist, const struct head *head, const size_t *row, int rows)
{
    if (!mask || head->mask < 0) return;
    uint8_t allowed[MASK_CHUNK * TILE];
    for (int k = 0; k < head->size; k += MASK_CHUNK) {
        const int n = head->size - k < MASK_CHUNK ? head->size - k : MASK_CHUNK;
        gather_mask(mask, dist->logits, head->mask + k, n, row, rows, allowed);
        mask_logits(z + k * (int)TILE, allowed, n);
    }
}

struct gaussian { /* of a tile's rows */
    real log_std[TILE], inverse_std[TILE];
};

/* Where the log deviation of a dimension is an output: its column in a tile [O][R]. */
static int log_std_at(const struct distribution *dist, int dimension)
{
    return (dist->log_std_output + dimension) * (int)TILE;
}

/* z [O][R]: the rows' outputs, and log_std the parameters beside them. */
static void gaussian_of(const struct distribution *dist, const real *log_std, const real *z, int dimension, struct gaussian *g)
{
    if (dist->log_std_output) {
        const real *output = z + log_std_at(dist, dimension);
        for (int r = 0; r < (int)TILE; r++) {
            g->log_std[r] = bounded_log_std(output[r]);
            g->inverse_std[r] = real_exp(-g->log_std[r]);
        }
        return;
    }
    const real one = dist->fixed_std > 0 ? real_log((real)dist->fixed_std) : log_std[dimension], inverse = real_exp(-one);
    for (int r = 0; r < (int)TILE; r++) {
        g->log_std[r] = one;
        g->inverse_std[r] = inverse;
    }
}

/* ---- policy loss --------------------------------------------------------------------------------------------------------------------- */

/* Rows of scratch. Entropies and log-totals are per head: their gradients need them once the ratio is known. */
enum { ROW_LOG_PROB, ROW_ENTROPY, ROW_KL, ROW_OLD, ROW_ADVANTAGE, ROW_WEIGHT, ROW_G_LP, ROW_G_H, ROW_ACTION, ROW_ONES, ROW_HEADS };

static real *scratch_row(const struct loss_tile *t, int i)
{
    return t->scratch + i * (int)TILE;
}

static void gather_int(const int32_t *from, int stride, int column, int start, const size_t *row, int rows, real *to)
{
    for (int r = 0; r < rows; r++) to[r] = (real)(from[row[r] * (size_t)stride + (size_t)column] - start);
    for (int r = rows; r < (int)TILE; r++) to[r] = 0;
}

static void gather_float(const float *from, int stride, int column, const size_t *row, int rows, real *to)
{
    for (int r = 0; r < rows; r++) to[r] = (real)from[row[r] * (size_t)stride + (size_t)column];
    for (int r = rows; r < (int)TILE; r++) to[r] = 0;
}

static void gather_real(const real *from, int stride, int column, const size_t *row, int rows, real *to)
{
    for (int r = 0; r < rows; r++) to[r] = from[row[r] * (size_t)stride + (size_t)column];
    for (int r = rows; r < (int)TILE; r++) to[r] = 0;
}

/* The weight of a row: 1, or its active mask; 0 for padding. */
static void gather_weight(const uint8_t *active, const size_t *row, int rows, real *to)
{
    for (int r = 0; r < rows; r++) to[r] = !active || active[row[r]] ? (real)1 : (real)0;
    for (int r = rows; r < (int)TILE; r++) to[r] = 0;
}

static void head_forward(const struct loss_tile *t, int h, const size_t *row)
{
    const struct policy_loss *loss = &t->pass->policy;
    const struct head *head = &loss->dist->head[h];
    real *log_prob = scratch_row(t, ROW_LOG_PROB), *entropy = scratch_row(t, ROW_ENTROPY), *action = scratch_row(t, ROW_ACTION);
    real *head_entropy = scratch_row(t, ROW_HEADS + 2 * h), *log_total = scratch_row(t, ROW_HEADS + 2 * h + 1);
    real *z = t->z + head->output * (int)TILE;
    apply_mask(z, loss->mask, loss->dist, head, row, t->rows);
    if (head->kind == HEAD_CATEGORICAL) {
        categorical_tile(z, head->size, t->p + head->output * (int)TILE, log_total, head_entropy);
        gather_int(loss->act_int, loss->dist->act_ints, head->action, head->start, row, t->rows, action);
        add_chosen(z, head->size, action, log_total, log_prob);
        for (int r = 0; r < (int)TILE; r++) entropy[r] += head_entropy[r];
        return;
    }
    for (int k = 0; k < head->size; k++, z += TILE) {
        if (head->kind == HEAD_BERNOULLI) {
            gather_int(loss->act_int, loss->dist->act_ints, head->action + k, 0, row, t->rows, action);
            for (int r = 0; r < (int)TILE; r++) {
                log_prob[r] += bernoulli_log_prob(z[r], action[r]);
                entropy[r] += bernoulli_entropy(z[r]);
            }
        } else {
            struct gaussian g;
            gaussian_of(loss->dist, t->log_std, t->z, head->action + k, &g);
            gather_float(loss->act_real, loss->dist->act_reals, head->action + k, row, t->rows, action);
            for (int r = 0; r < (int)TILE; r++) {
                log_prob[r] += gaussian_log_prob(action[r], z[r], g.log_std[r], g.inverse_std[r]);
                entropy[r] += gaussian_entropy(g.log_std[r]);
            }
        }
    }
}

/* Adds the gradient by the rows' log deviations of a dimension to that by the output, or by the parameter; a constant has none. */
static void add_log_std_gradient(const struct loss_tile *t, int dimension, const real *by_log_std)
{
    const struct distribution *dist = t->pass->policy.dist;
    if (dist->log_std_output) {
        const real *output = t->z + log_std_at(dist, dimension);
        real *g = t->g + log_std_at(dist, dimension);
        for (int r = 0; r < (int)TILE; r++) g[r] += by_log_std[r] * bounded_log_std_slope(output[r]);
    } else if (dist->fixed_std <= 0) {
        real *g = t->log_std_gradient + dimension * (int)TILE;
        for (int r = 0; r < (int)TILE; r++) g[r] += by_log_std[r];
    }
}

static void head_backward(const struct loss_tile *t, int h, const size_t *row)
{
    const struct policy_loss *loss = &t->pass->policy;
    const struct head *head = &loss->dist->head[h];
    const real *g_lp = scratch_row(t, ROW_G_LP), *g_h = scratch_row(t, ROW_G_H);
    const real *head_entropy = scratch_row(t, ROW_HEADS + 2 * h), *log_total = scratch_row(t, ROW_HEADS + 2 * h + 1);
    real *action = scratch_row(t, ROW_ACTION);
    const real *z = t->z + head->output * (int)TILE, *p = t->p + head->output * (int)TILE;
    real *g = t->g + head->output * (int)TILE;
    if (head->kind == HEAD_CATEGORICAL) gather_int(loss->act_int, loss->dist->act_ints, head->action, head->start, row, t->rows, action);
    for (int k = 0; k < head->size; k++, z += TILE, p += TILE, g += TILE) {
        if (head->kind == HEAD_CATEGORICAL) {
            for (int r = 0; r < (int)TILE; r++) {
                const real log_p = categorical_log_prob(z[r], log_total[r]);
                g[r] = categorical_gradient(z[r], p[r], log_p, action[r] == (real)k ? (real)1 : (real)0, head_entropy[r], g_lp[r], g_h[r]);
            }
        } else if (head->kind == HEAD_BERNOULLI) {
            gather_int(loss->act_int, loss->dist->act_ints, head->action + k, 0, row, t->rows, action);
            for (int r = 0; r < (int)TILE; r++) g[r] = bernoulli_gradient(z[r], action[r], g_lp[r], g_h[r]);
        } else {
            struct gaussian s;
            gaussian_of(loss->dist, t->log_std, t->z, head->action + k, &s);
            gather_float(loss->act_real, loss->dist->act_reals, head->action + k, row, t->rows, action);
            real by_log_std[TILE];
            for (int r = 0; r < (int)TILE; r++) {
                g[r] = g_lp[r] * gaussian_gradient_mean(action[r], z[r], s.inverse_std[r]);
                by_log_std[r] = g_lp[r] * gaussian_gradient_log_std(action[r], z[r], s.inverse_std[r]) + g_h[r];
            }
            if (loss->dist->log_std_output) memset(t->g + log_std_at(loss->dist, head->action + k), 0, TILE * sizeof *g);
            add_log_std_gradient(t, head->action + k, by_log_std);
        }
    }
}

/* ---- the penalty: KL of what the old policy put out from what this one does ---------------------------------------------------------- */

/* Adds a head's KL; t->q becomes the old probabilities, or means and log deviations. After head_forward. */
static void head_kl(const struct loss_tile *t, int h, const size_t *row)
{
    const struct policy_loss *loss = &t->pass->policy;
    const struct head *head = &loss->dist->head[h];
    const real *log_total = scratch_row(t, ROW_HEADS + 2 * h + 1), *z = t->z + head->output * (int)TILE;
    real *kl = scratch_row(t, ROW_KL), *q = t->q + head->output * (int)TILE, old_total[TILE], old_entropy[TILE];
    const int outputs = distribution_outputs(loss->dist);
    for (int k = 0; k < head->size; k++) gather_real(loss->old_out, outputs, head->output + k, row, t->rows, q + k * (int)TILE);
    apply_mask(q, loss->mask, loss->dist, head, row, t->rows);
    if (head->kind == HEAD_CATEGORICAL) {
        real *old = t->g + head->output * (int)TILE; /* nothing is there yet */
        memcpy(old, q, (size_t)head->size * TILE * sizeof *old);
        categorical_tile(old, head->size, q, old_total, old_entropy);
        for (int k = 0; k < head->size; k++) {
            for (int r = 0; r < (int)TILE; r++)
                kl[r] += categorical_kl_term(q[k * (int)TILE + r], categorical_log_prob(old[k * (int)TILE + r], old_total[r]),
                                             categorical_log_prob(z[k * (int)TILE + r], log_total[r]));
        }
        return;
    }
    for (int k = 0; k < head->size; k++, z += TILE, q += TILE) {
        if (head->kind == HEAD_BERNOULLI) {
            for (int r = 0; r < (int)TILE; r++) {
                kl[r] += bernoulli_kl(q[r], z[r]);
                q[r] = real_sigmoid(q[r]);
            }
        } else {
            struct gaussian now, old;
            if (loss->dist->log_std_output)
                gather_real(loss->old_out, outputs, loss->dist->log_std_output + head->action + k, row, t->rows,
                            t->q + log_std_at(loss->dist, head->action + k));
            gaussian_of(loss->dist, t->log_std, t->z, head->action + k, &now);
            gaussian_of(loss->dist, loss->old_log_std, t->q, head->action + k, &old);
            for (int r = 0; r < (int)TILE; r++) kl[r] += gaussian_kl(q[r], old.log_std[r], z[r], now.log_std[r], now.inverse_std[r]);
        }
    }
}

/* Adds the penalty's gradient. After head_backward. */
static void head_kl_backward(const struct loss_tile *t, int h, real coefficient)
{
    const struct policy_loss *loss = &t->pass->policy;
    const struct head *head = &loss->dist->head[h];
    const real *weight = scratch_row(t, ROW_WEIGHT);
    const real *z = t->z + head->output * (int)TILE, *p = t->p + head->output * (int)TILE, *q = t->q + head->output * (int)TILE;
    real *g = t->g + head->output * (int)TILE;
    for (int k = 0; k < head->size; k++, z += TILE, p += TILE, q += TILE, g += TILE) {
        if (head->kind == HEAD_CATEGORICAL) {
            for (int r = 0; r < (int)TILE; r++) g[r] += coefficient * weight[r] * (p[r] - q[r]);
        } else if (head->kind == HEAD_BERNOULLI) {
            for (int r = 0; r < (int)TILE; r++) g[r] += coefficient * weight[r] * (real_sigmoid(z[r]) - q[r]);
        } else {
            struct gaussian now, old;
            gaussian_of(loss->dist, t->log_std, t->z, head->action + k, &now);
            gaussian_of(loss->dist, loss->old_log_std, t->q, head->action + k, &old);
            real by_log_std[TILE];
            for (int r = 0; r < (int)TILE; r++) {
                g[r] += coefficient * weight[r] * gaussian_kl_gradient_mean(q[r], z[r], now.inverse_std[r]);
                by_log_std[r] = coefficient * weight[r] * gaussian_kl_gradient_log_std(q[r], old.log_std[r], z[r], now.inverse_std[r]);
            }
            add_log_std_gradient(t, head->action + k, by_log_std);
        }
    }
}

/* ---- the whole loss ------------------------------------------------------------------------------------------------------------------ */

/* The ratio of heads [from, to) and what it costs, with `share` of the entropy bonus. */
static void heads_loss(const struct loss_tile *t, int from, int to, const struct policy_objective *objective, real share, const size_t *row)
{
    const struct policy_loss *loss = &t->pass->policy;
    real *log_prob = scratch_row(t, ROW_LOG_PROB), *entropy = scratch_row(t, ROW_ENTROPY), *old = scratch_row(t, ROW_OLD);
    real *g_lp = scratch_row(t, ROW_G_LP), *g_h = scratch_row(t, ROW_G_H);
    const real *advantage = scratch_row(t, ROW_ADVANTAGE), *weight = scratch_row(t, ROW_WEIGHT), *ones = scratch_row(t, ROW_ONES);
    real loss_of[TILE];
    memset(log_prob, 0, TILE * sizeof(real));
    memset(entropy, 0, TILE * sizeof(real));
    for (int h = from; h < to; h++) {
        head_forward(t, h, row);
        if (loss->old_out) head_kl(t, h, row);
    }
    gather_real(loss->old_log_prob, loss->per_head ? loss->dist->heads : 1, loss->per_head ? from : 0, row, t->rows, old);
    for (int r = 0; r < (int)TILE; r++) old[r] = ones[r] > 0 ? old[r] : log_prob[r]; /* the ratio of what isn't there is 1 */
    double *row_sums = t->row_sums;
    for (int r = 0; r < (int)TILE; r++) {
        const struct surrogate s = policy_surrogate(objective, log_prob[r], old[r], advantage[r]);
        g_lp[r] = weight[r] * s.gradient;
        g_h[r] = -objective->entropy * weight[r] * share;
        loss_of[r] = weight[r] * s.loss;
        row_sums[SUM_ENTROPY * (int)TILE + r] += (double)(weight[r] * entropy[r] * share);
        row_sums[SUM_KL * (int)TILE + r] += (double)(ones[r] * s.kl * share);
        row_sums[SUM_CLIPPED * (int)TILE + r] += (double)(ones[r] * s.clipped * share);
        row_sums[SUM_RATIO * (int)TILE + r] += (double)(ones[r] * s.ratio * share);
    }
    if (loss->slope) {
        gather_real(loss->slope, 1, 0, row, t->rows, g_lp);
        gather_real(loss->loss, 1, 0, row, t->rows, loss_of);
        for (int r = 0; r < (int)TILE; r++) loss_of[r] *= weight[r];
    }
    for (int r = 0; r < (int)TILE; r++) row_sums[SUM_LOSS * (int)TILE + r] += (double)loss_of[r];
}

void LEVELLED(policy_loss)(const struct loss_tile *t)
{
    const struct policy_loss *loss = &t->pass->policy;
    const struct policy_objective objective = *loss->objective;
    const int heads = loss->dist->heads;
    size_t row[TILE];
    batch_rows(&t->pass->batch, t->first, t->rows, row);

    real *advantage = scratch_row(t, ROW_ADVANTAGE), *weight = scratch_row(t, ROW_WEIGHT), *ones = scratch_row(t, ROW_ONES);
    real *kl = scratch_row(t, ROW_KL);
    memset(kl, 0, TILE * sizeof *kl);
    gather_real(loss->advantage, 1, 0, row, t->rows, advantage);
    gather_weight(loss->active, row, t->rows, weight);
    for (int r = 0; r < (int)TILE && loss->scale; r++) advantage[r] = scaled_advantage(loss->scale, advantage[r]);
    gather_weight(loss->home, row, t->rows, ones);
    for (int r = 0; r < (int)TILE; r++) {
        t->row_sums[SUM_WEIGHT * (int)TILE + r] += (double)weight[r];
        t->row_sums[SUM_ROWS * (int)TILE + r] += (double)ones[r];
    }
    const int together = loss->per_head ? 1 : heads;
    for (int from = 0; from < heads; from += together) {
        heads_loss(t, from, from + together, &objective, (real)1 / (real)(heads / together), row);
        for (int h = from; h < from + together; h++) head_backward(t, h, row);
    }
    if (!loss->old_out) return;
    for (int r = 0; r < (int)TILE; r++) t->row_sums[SUM_PENALTY * (int)TILE + r] += (double)(weight[r] * kl[r]);
    for (int h = 0; h < heads; h++) head_kl_backward(t, h, objective.kl);
}

/* ---- value loss ---------------------------------------------------------------------------------------------------------------------- */

void LEVELLED(value_loss)(const struct loss_tile *t)
{
    const struct value_loss *loss = &t->pass->value;
    const struct value_objective objective = *loss->objective;
    size_t row[TILE], target_row[TILE];
    batch_rows(&t->pass->batch, t->first, t->rows, row);

    real *old = scratch_row(t, ROW_OLD), *ret = scratch_row(t, ROW_ADVANTAGE), *weight = scratch_row(t, ROW_WEIGHT),
         *ones = scratch_row(t, ROW_ONES);
    const real *value = t->z;
    real *g = t->g;
    gather_real(loss->old_value, 1, 0, row, t->rows, old);
    if (loss->old) {
        for (int r = 0; r < (int)TILE; r++) old[r] = rescaled_output(loss->old, old[r]);
    }
    for (int r = 0; r < (int)TILE; r++) ones[r] = r < t->rows ? (real)1 : (real)0;
    for (int r = 0; r < (int)TILE; r++) g[r] = 0;
    const real mean = (real)loss->norm->scale.mean, inverse = (real)1 / (real)loss->norm->scale.deviation;
    double *row_sums = t->row_sums;
    for (int j = 0; j < loss->targets; j++) {
        for (int r = 0; r < t->rows; r++) target_row[r] = row[r] * (size_t)loss->targets + (size_t)j;
        gather_real(loss->ret, 1, 0, target_row, t->rows, ret);
        gather_weight(loss->active, target_row, t->rows, weight);
        for (int r = 0; r < (int)TILE; r++) {
            const struct value_error e = value_loss_of(&objective, value[r], (ret[r] - mean) * inverse, old[r]);
            g[r] += objective.coefficient * weight[r] * e.gradient;
            row_sums[SUM_WEIGHT * (int)TILE + r] += (double)weight[r];
            row_sums[SUM_LOSS * (int)TILE + r] += (double)(weight[r] * e.loss);
        }
    }
    for (int r = 0; r < (int)TILE; r++) row_sums[SUM_ROWS * (int)TILE + r] += (double)ones[r];
}

/* ---- a loss from elsewhere ----------------------------------------------------------------------------------------------------------- */

void LEVELLED(given_loss)(const struct loss_tile *t)
{
    const struct given_loss *loss = &t->pass->given;
    const int outputs = t->pass->net->outputs;
    const int extra = loss->extra ? t->pass->net->extra : 0;
    load_outputs(loss->slope, outputs, t->first, t->rows, t->g);
    for (int k = 0; k < extra; k++)
        for (int r = 0; r < t->rows; r++)
            t->log_std_gradient[k * (int)TILE + r] += loss->extra[(size_t)(t->first + r) * (size_t)extra + (size_t)k];
    for (int r = 0; r < t->rows; r++) {
        t->row_sums[SUM_LOSS * (int)TILE + r] += (double)loss->loss[t->first + r];
        t->row_sums[SUM_WEIGHT * (int)TILE + r] += 1;
        t->row_sums[SUM_ROWS * (int)TILE + r] += 1;
    }
}

/* ---- sampling ------------------------------------------------------------------------------------------------------------------------ */

/* The words of R rows, one head's after the other; blocks of four are drawn when their first word is asked for. */
struct words {
    const struct act_pass *pass;
    const size_t *row; /* [R] of the slice */
    uint64_t step;
    int used;
    uint32_t block[4][TILE];
};

static const uint32_t *next_words(struct words *w)
{
    if (w->used % 4 == 0) {
        const struct act_pass *p = w->pass;
        uint32_t env[TILE], agent[TILE];
        for (int r = 0; r < (int)TILE; r++) {
            env[r] = p->first_env + (uint32_t)w->row[r] / (uint32_t)p->agents;
            agent[r] = p->first_agent + (uint32_t)w->row[r] % (uint32_t)p->agents;
        }
        for (int r = 0; r < (int)TILE; r++) {
            const struct philox_draw d = action_words(p->seed, p->stream, env[r], agent[r], w->step, (uint32_t)(w->used / 4));
            for (int i = 0; i < 4; i++) w->block[i][r] = d.v[i];
        }
    }
    return w->block[w->used++ % 4];
}

/* The first choice whose cumulative probability exceeds u; the most probable one (the lowest of several) where `words` is NULL. */
static void choose(const real *restrict p, int n, const uint32_t *words, real *restrict choice)
{
    real level[TILE], sum[TILE] = {0};
    memset(choice, 0, TILE * sizeof *choice);
    if (!words) {
        memcpy(level, p, sizeof level);
        for (int k = 1; k < n; k++) {
            for (int r = 0; r < (int)TILE; r++) {
                const real q = p[k * (int)TILE + r];
                choice[r] = q > level[r] ? (real)k : choice[r];
                level[r] = real_max(q, level[r]);
            }
        }
        return;
    }
    /* The threshold is scaled by the sum as it was rounded, so it stays below it and a choice of probability 0 is never taken. */
    for (int k = 0; k < n; k++) {
        for (int r = 0; r < (int)TILE; r++) sum[r] += p[k * (int)TILE + r];
    }
    for (int r = 0; r < (int)TILE; r++) level[r] = (real)philox_float(words[r]) * sum[r];
    memset(sum, 0, sizeof sum);
    for (int k = 0; k < n - 1; k++) {
        for (int r = 0; r < (int)TILE; r++) {
            sum[r] += p[k * (int)TILE + r];
            choice[r] += sum[r] <= level[r] ? (real)1 : (real)0;
        }
    }
}

static void act_categorical(const struct act_pass *p, const struct head *head, const real *z, struct words *words, int rows,
                            const size_t *row, real *log_prob, real *scratch)
{
    real choice[TILE], log_total[TILE], entropy[TILE];
    categorical_tile(z, head->size, scratch, log_total, entropy);
    choose(scratch, head->size, p->deterministic ? NULL : next_words(words), choice);
    add_chosen(z, head->size, choice, log_total, log_prob);
    for (int r = 0; r < rows; r++) p->act_int[row[r] * (size_t)p->dist->act_ints + (size_t)head->action] = (int32_t)choice[r] + head->start;
}

static void act_bernoulli(const struct act_pass *p, int action, const real *z, struct words *words, int rows, const size_t *row,
                          real *log_prob)
{
    const uint32_t *word = p->deterministic ? NULL : next_words(words);
    for (int r = 0; r < (int)TILE; r++) {
        const real one = real_sigmoid(z[r]);
        const real bit = (word ? (real)philox_float(word[r]) < one : one > (real)0.5) ? (real)1 : (real)0;
        log_prob[r] += bernoulli_log_prob(z[r], bit);
        if (r < rows) p->act_int[row[r] * (size_t)p->dist->act_ints + (size_t)action] = (int32_t)bit;
    }
}

/* z [O][R] all outputs, mean [R]. */
static void act_gaussian(const struct act_pass *p, int action, const real *z, const real *mean, struct words *words, int rows,
                         const size_t *row, real *log_prob)
{
    for (int r = 0; r < rows && p->dist->real == REAL_TANH; r++)
        p->act_real[row[r] * (size_t)p->dist->act_reals + (size_t)action] = (float)real_tanh(mean[r]);
    if (p->dist->real == REAL_TANH) return;
    struct gaussian g;
    gaussian_of(p->dist, p->log_std, z, action, &g);
    float normal[TILE] = {0};
    if (!p->deterministic) {
        uint32_t a[TILE];
        memcpy(a, next_words(words), sizeof a);
        const uint32_t *b = next_words(words);
        for (int r = 0; r < (int)TILE; r++) normal[r] = normal_draw(a[r], b[r]);
    }
    for (int r = 0; r < rows; r++) {
        /* The action is a float everywhere, and its probability is that of the float. */
        const float value = (float)(mean[r] + (real)normal[r] / g.inverse_std[r]);
        if (p->dist->real == REAL_TANH_GAUSSIAN) { /* whose probability nobody asks for */
            p->act_real[row[r] * (size_t)p->dist->act_reals + (size_t)action] = (float)real_tanh((real)value);
            continue;
        }
        log_prob[r] += gaussian_log_prob((real)value, mean[r], g.log_std[r], g.inverse_std[r]);
        p->act_real[row[r] * (size_t)p->dist->act_reals + (size_t)action] = value;
    }
}

static void act_simplex(const struct act_pass *p, const struct head *head, const real *z, int rows, const size_t *row, real *scratch)
{
    real log_total[TILE], entropy[TILE];
    categorical_tile(z, head->size, scratch, log_total, entropy);
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < head->size; k++)
            p->act_real[row[r] * (size_t)p->dist->act_reals + (size_t)(head->action + k)] = (float)scratch[k * (int)TILE + r];
}

size_t LEVELLED(act_size)(const struct distribution *dist)
{
    return (size_t)(4 * distribution_outputs(dist) + LOSS_ROWS) * TILE;
}

void LEVELLED(act_rows)(const struct act_pass *p, real *work, int row, int end)
{
    const int outputs = distribution_outputs(p->dist);
    real *z = work, *scratch = z + outputs * (int)TILE, *log_prob = scratch + outputs * (int)TILE;
    const uint64_t step = p->step + (p->clock ? *p->clock : 0);
    for (; row < end; row += TILE) {
        const int rows = end - row < (int)TILE ? end - row : (int)TILE;
        size_t index[TILE] = {0};
        batch_rows(&p->batch, row, rows, index);
        struct words words = {.pass = p, .row = index, .step = step};
        load_outputs(p->out, outputs, row, rows, z);
        memset(log_prob, 0, TILE * sizeof *log_prob);
        for (int h = 0; h < p->dist->heads; h++) {
            const struct head *head = &p->dist->head[h];
            if (p->per_head) memset(log_prob, 0, TILE * sizeof *log_prob);
            apply_mask(z + head->output * (int)TILE, p->mask, p->dist, head, index, rows);
            if (head->kind == HEAD_CATEGORICAL)
                act_categorical(p, head, z + head->output * (int)TILE, &words, rows, index, log_prob, scratch);
            const bool whole = head->kind == HEAD_CATEGORICAL || (head->kind == HEAD_GAUSSIAN && p->dist->real == REAL_SOFTMAX);
            if (whole && head->kind == HEAD_GAUSSIAN) act_simplex(p, head, z + head->output * (int)TILE, rows, index, scratch);
            for (int k = 0; k < head->size && !whole; k++) {
                const real *column = z + (head->output + k) * (int)TILE;
                if (head->kind == HEAD_BERNOULLI) {
                    act_bernoulli(p, head->action + k, column, &words, rows, index, log_prob);
                } else {
                    act_gaussian(p, head->action + k, z, column, &words, rows, index, log_prob);
                }
            }
            for (int r = 0; p->log_prob && p->per_head && r < rows; r++)
                p->log_prob[index[r] * (size_t)p->dist->heads + (size_t)h] = log_prob[r];
        }
        for (int r = 0; p->log_prob && !p->per_head && r < rows; r++) p->log_prob[index[r]] = log_prob[r];
    }
}

void LEVELLED(evaluate_rows)(const struct evaluate_pass *p, real *work, int row, int end)
{
    const int outputs = distribution_outputs(p->dist);
    const struct train_pass given = {.policy = {.dist = p->dist, /* what head_forward and head_kl look at */
                                                .mask = p->mask,
                                                .act_int = p->act_int,
                                                .act_real = p->act_real,
                                                .old_out = p->old_out,
                                                .old_log_std = p->old_log_std}};
    struct loss_tile tile = {.pass = &given, .log_std = p->log_std, .z = work};
    tile.p = tile.z + outputs * (int)TILE;
    tile.q = tile.p + outputs * (int)TILE;
    tile.g = tile.q + outputs * (int)TILE;
    tile.scratch = tile.g + outputs * (int)TILE;
    real *log_prob = scratch_row(&tile, ROW_LOG_PROB), *entropy = scratch_row(&tile, ROW_ENTROPY), *kl = scratch_row(&tile, ROW_KL);
    for (; row < end; row += TILE) {
        size_t index[TILE] = {0};
        tile.rows = end - row < (int)TILE ? end - row : (int)TILE;
        batch_rows(&p->batch, row, tile.rows, index);
        load_outputs(p->out, outputs, row, tile.rows, tile.z);
        for (int r = 0; r < (int)TILE; r++) log_prob[r] = entropy[r] = kl[r] = 0;
        for (int h = 0; h < p->dist->heads; h++) {
            head_forward(&tile, h, index);
            if (p->kl) head_kl(&tile, h, index);
        }
        for (int r = 0; r < tile.rows && p->log_prob; r++) p->log_prob[index[r]] = log_prob[r];
        for (int r = 0; r < tile.rows && p->entropy; r++) p->entropy[index[r]] = entropy[r];
        for (int r = 0; r < tile.rows && p->kl; r++) p->kl[index[r]] = kl[r];
    }
}
