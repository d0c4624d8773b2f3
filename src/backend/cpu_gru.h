/* Recurrent networks on tiles [feature][R rows]: a tile is R sequences, which go through all their steps and, in training, back again. Rows
 * were packed in the order of the batch, step after step, so a tile's rows of a step are a run somewhere in the packed rows. Sequences
 * that have ended are padding, as are those beyond the last one: their inputs are 0 and so are their gradients. Included by
 * cpu_kernels.c. */
#ifndef MAPPO_BACKEND_CPU_GRU_H
#define MAPPO_BACKEND_CPU_GRU_H

#include "backend/cpu_tile.h"
#include "backend/kernels/gru.h"
#include "backend/recurrent.h"

/* What training keeps of a step; a forward pass overwrites its first two again and again. */
struct gru_step {
    real *input; /* [D][R] */
    real *conv[NETWORK_MAX_CONVS];
    real *x[NETWORK_MAX_LAYERS]; /* [H][R] x̂ of the hidden layers, as in struct work … */
    struct norm_rows rows[NETWORK_MAX_LAYERS];
    real *mask;           /* [R] 0 where the state was zeroed */
    real *before, *after; /* [H][R] state: before the step, zeroed where an episode begins; after it (the next one's `before`) */
    real *gates;          /* [3H][R] r, z, n */
    real *fresh;          /* [H][R] W_hn h + b_hn */
    real *g;              /* [H][R] gradient by the state after the step, as far as it comes from the step's outputs */
};

struct gru_work {
    real *products; /* [3H][R] W_hh h + b_hh; in training also gradients by it */
    real *y;        /* [H][R] x̂ of the norm after the GRU */
    struct norm_rows rows;
    real *carry; /* [H][R] gradient by the state before a step */
    real *first; /* where the steps begin */
    size_t step; /* reals of one */
};

static size_t gru_step_lay_out(struct gru_step *s, const struct network *net, real *base)
{
    const size_t hidden = (size_t)net->hidden * TILE;
    size_t used = 0;
    s->input = take(base, &used, (size_t)net->inputs * TILE);
    conv_lay_out(s->conv, net, base, &used);
    for (int l = 0; l < net->layers; l++) {
        s->x[l] = take(base, &used, (size_t)layer_width(net, l) * TILE);
        s->rows[l].sum = take(base, &used, TILE);
        s->rows[l].offset = take(base, &used, TILE);
        s->rows[l].inverse = take(base, &used, TILE);
        s->rows[l].deviation = take(base, &used, TILE);
    }
    s->mask = take(base, &used, TILE);
    s->gates = take(base, &used, 3 * hidden);
    s->fresh = take(base, &used, hidden);
    s->g = take(base, &used, hidden);
    s->before = take(base, &used, hidden);
    s->after = base ? s->before + used : NULL; /* the next step lies behind this one */
    return used;
}

static size_t gru_lay_out(struct gru_work *g, const struct network *net, real *base)
{
    const size_t hidden = (size_t)net->hidden * TILE;
    struct gru_step s;
    size_t used = 0;
    g->products = take(base, &used, 3 * hidden);
    g->y = take(base, &used, hidden);
    g->rows.sum = take(base, &used, TILE);
    g->rows.offset = take(base, &used, TILE);
    g->rows.inverse = take(base, &used, TILE);
    g->rows.deviation = take(base, &used, TILE);
    g->carry = take(base, &used, hidden);
    g->step = gru_step_lay_out(&s, net, NULL);
    const int steps = net->gru_steps > 1 ? net->gru_steps : 1;
    g->first = take(base, &used, (size_t)(steps + 1) * g->step); /* one more: the state after the last step, or that of two in turn */
    return used;
}

static size_t gru_work_size(const struct network *net)
{
    struct gru_work g;
    return net->gru ? gru_lay_out(&g, net, NULL) : 0;
}

static struct gru_step gru_step_at(const struct gru_work *g, const struct network *net, int step)
{
    struct gru_step s;
    gru_step_lay_out(&s, net, g->first + (size_t)step * g->step);
    return s;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------------------- */

/* Rows of step t that belong to tile `tile` of sequences: `first` in the batch, and how many. */
static int gru_rows(const struct recurrent *time, const struct packed_rows *packed, int tile, int t, int *first)
{
    int at = 0;
    for (int i = 0; i < t; i++) at += recurrent_width(time, packed->rows, i);
    const int left = recurrent_width(time, packed->rows, t) - tile * (int)TILE;
    *first = at + tile * (int)TILE;
    return left < 0 ? 0 : left < (int)TILE ? left : (int)TILE;
}

/* Rows first … first + rows - 1 out of the packed rows; the rest is 0. */
static void gru_gather(const struct packed_rows *packed, int first, int rows, real *to)
{
    const int tile = first / (int)TILE, from = first % (int)TILE;
    const int here = rows < (int)TILE - from ? rows : (int)TILE - from;
    const real *x = rows > 0 ? tile_at(packed, tile) + from : NULL, *next = rows > here ? tile_at(packed, tile + 1) : NULL;
    for (int j = 0; j < packed->inputs; j++, to += TILE) {
        if (x) memcpy(to, x + j * (int)TILE, (size_t)here * sizeof *to);
        if (next) memcpy(to + here, next + j * (int)TILE, (size_t)(rows - here) * sizeof *to);
        memset(to + rows, 0, (size_t)((int)TILE - rows) * sizeof *to);
    }
}

/* The states before the first step, [H][R]. */
static void gru_begin(const struct recurrent *time, const struct network *net, int first, int rows, real *state)
{
    size_t row[TILE];
    memset(state, 0, (size_t)net->hidden * TILE * sizeof *state);
    if (!time->hidden) return;
    batch_rows(&time->batch, first, rows, row);
    for (int r = 0; r < rows; r++) {
        const real *from = time->hidden + row[r] * (size_t)net->hidden;
        for (int j = 0; j < net->hidden; j++) state[j * (int)TILE + r] = from[j];
    }
}

/* Zeroes the states of rows with which an episode begins. */
static void gru_mask(const struct recurrent *time, const struct network *net, int first, int rows, const struct gru_step *s)
{
    size_t row[TILE];
    for (int r = 0; r < (int)TILE; r++) s->mask[r] = 1;
    if (!time->ended) return;
    batch_rows(&time->batch, first, rows, row);
    for (int r = 0; r < rows; r++) s->mask[r] = recurrent_kept(time, row[r]) ? (real)1 : (real)0;
    for (int j = 0; j < net->hidden; j++) {
        real *h = s->before + j * (int)TILE;
        for (int r = 0; r < (int)TILE; r++) h[r] = s->mask[r] != 0 ? h[r] : (real)0; /* assigned, not multiplied: 0 times NaN is NaN */
    }
}

static void gru_put_states(const struct recurrent *time, const struct network *net, int first, int rows, const real *state)
{
    size_t row[TILE];
    if (!time->hidden_out) return;
    batch_rows(&time->batch, first, rows, row);
    for (int r = 0; r < rows; r++) {
        real *to = time->hidden_out + row[r] * (size_t)net->hidden;
        for (int j = 0; j < net->hidden; j++) to[j] = state[j * (int)TILE + r];
    }
}

/* ---- a step -------------------------------------------------------------------------------------------------------------------------- */

/* gates [3][n]: W_ih x + b_ih in, r, z, n out. Not inlined, so that the compiler sees arrays that do not overlap and makes vector code. */
__attribute__((noinline)) static void gru_cell(real *restrict gates, const real *restrict products, const real *restrict before,
                                               real *restrict after, int n)
{
    for (int i = 0; i < n; i++) {
        const struct gru_gates g = gru_gates(gates[i], gates[n + i], gates[2 * n + i], products[i], products[n + i], products[2 * n + i]);
        after[i] = gru_state(&g, before[i]);
        gates[i] = g.reset;
        gates[n + i] = g.update;
        gates[2 * n + i] = g.fresh;
    }
}

/* The layers' arrays become those of a step. */
static void gru_point(struct work *w, const struct gru_step *s)
{
    memcpy(w->conv, s->conv, sizeof s->conv);
    memcpy(w->x, s->x, sizeof s->x);
    memcpy(w->rows, s->rows, sizeof s->rows);
}

/* From s->input and the state to the outputs in w->out. */
static void gru_step_forward(struct work *w, const struct gru_work *g, const struct gru_step *s)
{
    const struct network *net = w->net;
    const int n = net->hidden * (int)TILE, gru = layer_gru(net);
    gru_point(w, s);
    forward_hidden(w, s->input);
    const struct product input = layer_product(w, gru, w->x[w->depth - 1], s->gates);
    const struct product state = layer_product(w, gru + 1, s->before, g->products);
    gemm(&input);
    gemm(&state);
    gru_cell(s->gates, g->products, s->before, s->after, n);
    memcpy(s->fresh, g->products + 2 * n, (size_t)n * sizeof *s->fresh);
    sum_features(s->after, net->hidden, g->rows.sum);
    memcpy(g->y, s->after, (size_t)n * sizeof *g->y);
    normalise(g->y, net->hidden, &g->rows);
    forward_head(w, g->y);
}

static void gru_forward(struct work *w, const struct forward_pass *pass, int tile)
{
    const struct recurrent *time = pass->recurrent;
    const struct network *net = w->net;
    struct gru_work g;
    gru_lay_out(&g, net, w->steps);
    struct gru_step s = gru_step_at(&g, net, 0);
    for (int t = 0; t < time->steps; t++) {
        int first;
        const int rows = gru_rows(time, pass->packed, tile, t, &first);
        if (rows == 0) return;
        if (t == 0) gru_begin(time, net, first, rows, s.before);
        gru_mask(time, net, first, rows, &s);
        gru_gather(pass->packed, first, rows, s.input);
        gru_step_forward(w, &g, &s);
        put_outputs(w, pass, first, rows);
        gru_put_states(time, net, first, rows, s.after);
        real *swap = s.before;
        s.before = s.after;
        s.after = swap;
    }
}

/* ---- and back ------------------------------------------------------------------------------------------------------------------------ */

/* From g, the gradient by x̂ with its sums in w, to that by what was normalised. */
static void norm_backward(const struct work *w, const struct gru_work *g, const real *from, real *to)
{
    const int hidden = w->net->hidden;
    const real scale = (real)1 / (real)hidden;
    for (int j = 0; j < hidden; j++, from += TILE, to += TILE) {
        const real *x = g->y + j * (int)TILE;
        for (int r = 0; r < (int)TILE; r++) {
            const struct norm_row n = {g->rows.offset[r], g->rows.inverse[r], g->rows.deviation[r]};
            to[r] = norm_gradient_plain(&n, from[r], x[r], w->sum[r] * scale, w->sum_x[r] * scale);
        }
    }
}

/* gates and products [3][n] out: gradients by W_ih x + b_ih and W_hh h + b_hh; carry [n]: by the state after the step in, by that before it
 * out, as far as it does not go through W_hh; `from`: by the state after the step through the step's outputs. */
__attribute__((noinline)) static void gru_cell_backward(real *restrict gates, real *restrict products, const struct gru_step *s,
                                                        const real *restrict from, real *restrict carry, int n)
{
    const real *restrict fresh = s->fresh, *restrict before = s->before;
    for (int i = 0; i < n; i++) {
        const struct gru_gates g = {gates[i], gates[n + i], gates[2 * n + i]};
        const struct gru_gradient d = gru_gradient(&g, fresh[i], before[i], from[i] + carry[i]);
        gates[i] = products[i] = d.reset;
        gates[n + i] = products[n + i] = d.update;
        gates[2 * n + i] = d.fresh;
        products[2 * n + i] = d.state;
        carry[i] = d.h;
    }
}

/* Adds a product's gradient g [3H][R] of layer l with input x [H][R] to its accumulators. */
static void gru_weights(const struct work *w, int l, const real *g, const real *x, real *chunk, bool fresh)
{
    const int n = 3 * w->net->hidden, wide = padded(n);
    real *sums = chunk + chunk_offset(w->net, l);
    turn(g, n, w->turned, wide, sums + w->net->hidden * wide);
    weight_gradient(w, l, x, sums, fresh);
}

static void gru_step_backward(struct work *w, const struct gru_work *g, const struct gru_step *s, real *chunk, bool fresh)
{
    const struct network *net = w->net;
    const int hidden = net->hidden, gru = layer_gru(net);
    gru_point(w, s);
    gru_cell_backward(s->gates, g->products, s, s->g, g->carry, hidden * (int)TILE);
    gru_weights(w, gru + 1, g->products, s->before, chunk, fresh);
    const struct product state = {.out = g->carry,
                                  .a = w->weight[gru + 1],
                                  .b = g->products,
                                  .row = 1,
                                  .column = hidden,
                                  .out_stride = TILE,
                                  .b_stride = TILE,
                                  .m = hidden,
                                  .n = TILE,
                                  .k = 3 * hidden,
                                  .add = true};
    gemm(&state);
    for (int j = 0; j < hidden; j++) {
        real *carry = g->carry + j * (int)TILE;
        for (int r = 0; r < (int)TILE; r++) carry[r] = s->mask[r] != 0 ? carry[r] : (real)0;
    }
    gru_weights(w, gru, s->gates, w->x[w->depth - 1], chunk, fresh);
    backward_hidden(w, s->input, s->gates, w->gx, chunk, fresh);
}

/* R sequences: forward through their steps, with the losses and the way back through head and norm on the way; then back through time. */
static void gru_train(struct work *w, const struct train_pass *pass, real *chunk, int tile, bool fresh)
{
    const struct recurrent *time = pass->recurrent;
    const struct network *net = w->net;
    struct gru_work g;
    int steps = 0;
    gru_lay_out(&g, net, w->steps);
    for (int t = 0; t < time->steps; t++) {
        int first;
        const int rows = gru_rows(time, pass->packed, tile, t, &first);
        if (rows == 0) break;
        const struct gru_step s = gru_step_at(&g, net, t);
        if (t == 0) gru_begin(time, net, first, rows, s.before);
        gru_mask(time, net, first, rows, &s);
        gru_gather(pass->packed, first, rows, s.input);
        gru_step_forward(w, &g, &s);
        gru_put_states(time, net, first, rows, s.after);
        tile_loss(w, pass, chunk, first, rows);
        backward_head(w, g.y, chunk, fresh && t == 0);
        input_gradient(w, layer_head(net), w->g, w->gx, g.y, true);
        norm_backward(w, &g, w->gx, s.g);
        steps = t + 1;
    }
    memset(g.carry, 0, (size_t)net->hidden * TILE * sizeof *g.carry);
    for (int t = steps - 1; t >= 0; t--) {
        const struct gru_step s = gru_step_at(&g, net, t);
        gru_step_backward(w, &g, &s, chunk, fresh && t == steps - 1);
    }
}

#endif
