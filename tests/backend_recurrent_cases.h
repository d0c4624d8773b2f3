/* Recurrent networks on a backend: part of backend_cases.h. */
#ifndef TESTS_BACKEND_RECURRENT_CASES_H
#define TESTS_BACKEND_RECURRENT_CASES_H

enum { SEQUENCE_STEPS = 5, SEQUENCES_MOST = 130, PAIR = 2 /* rows of an env-step of the arrays */ };

/* ---- forward ---- */

struct sequences {
    struct network net;
    double *p;
    real *parameters;
    float *x;           /* [N][D] */
    real *hidden, *out; /* [N][H] [N][O] */
    real *after;        /* [N][H] */
    uint8_t *ended;     /* [N / PAIR] */
    int rows;           /* N: SEQUENCE_STEPS * SEQUENCES_MOST */
};

static void sequences_build(struct sequences *q, int inputs, int hidden, int outputs, int layers, bool norms)
{
    struct naive_rng rng = {(uint64_t)(inputs * 100 + hidden)};
    q->rows = SEQUENCE_STEPS * SEQUENCES_MOST;
    const size_t n = (size_t)q->rows;
    naive_network(&q->net, inputs, hidden, outputs, layers, hidden % 2 ? ACTIVATION_TANH : ACTIVATION_RELU, norms, norms, 0);
    naive_add_gru(&q->net, 1);
    q->p = calloc(q->net.parameters, sizeof *q->p);
    q->parameters = calloc(q->net.parameters, sizeof *q->parameters);
    naive_parameters(&q->net, &rng, q->p);
    for (size_t i = 0; i < q->net.parameters; i++) q->parameters[i] = (real)q->p[i];
    q->x = calloc(n * (size_t)inputs, sizeof *q->x);
    q->hidden = calloc(n * (size_t)hidden, sizeof *q->hidden), q->after = calloc(n * (size_t)hidden, sizeof *q->after);
    q->out = calloc(n * (size_t)outputs, sizeof *q->out);
    q->ended = calloc(n / PAIR, 1);
    for (size_t i = 0; i < n * (size_t)inputs; i++) q->x[i] = (float)(2 * naive_uniform(&rng));
    for (size_t i = 0; i < n * (size_t)hidden; i++) q->hidden[i] = (real)(float)naive_uniform(&rng);
    for (size_t i = 0; i < n / PAIR; i++) q->ended[i] = naive_uniform(&rng) < -0.5;
}

static void sequences_clear(struct sequences *q)
{
    free(q->p), free(q->parameters), free(q->x), free(q->hidden), free(q->after), free(q->out), free(q->ended);
}

/* A forward pass over the batch; outputs in its order to q->out, states by rows of the arrays to q->after. */
static void sequences_forward(struct sequences *q, struct backend *b, const struct recurrent *time, const real *hidden)
{
    const int rows = time->batch.units * time->batch.rows;
    const size_t states = (size_t)q->rows * (size_t)q->net.hidden * sizeof(real),
                 outs = (size_t)rows * (size_t)q->net.outputs * sizeof(real);
    struct packed_rows *packed = b->packed_rows_create(b, &q->net, rows);
    struct recurrent lent_time = *time;
    lent_time.batch.unit = lend(b, time->batch.unit, (size_t)time->batch.units * sizeof *time->batch.unit);
    lent_time.hidden = lend(b, hidden, states);
    lent_time.ended = lend(b, time->ended, (size_t)q->rows / PAIR);
    if (hidden != q->after) lent_time.hidden_out = lend(b, q->after, states);
    if (hidden == q->after) lent_time.hidden_out = (real *)(uintptr_t)lent_time.hidden; /* in place */
    const struct forward_pass pass = {.net = &q->net,
                                      .parameters = lend(b, q->parameters, q->net.parameters * sizeof(real)),
                                      .packed = packed,
                                      .recurrent = &lent_time,
                                      .out = lend(b, q->out, (size_t)q->rows * (size_t)q->net.outputs * sizeof(real))};
    b->pack(b, &q->net, NULL, &packed, lend(b, q->x, (size_t)q->rows * (size_t)q->net.inputs * sizeof *q->x), &lent_time.batch, 1);
    b->forward(b, &pass, 1);
    take(b, q->out, pass.out, outs);
    take(b, q->after, lent_time.hidden_out, states);
    b->packed_rows_destroy(b, packed);
    lend_end(b);
}

static void expect_sequences(const struct sequences *q, const struct recurrent *time, const char *what)
{
    const int rows = time->batch.units * time->batch.rows, outputs = q->net.outputs, hidden = q->net.hidden;
    double *out = calloc((size_t)(rows * outputs), sizeof *out), *after = calloc((size_t)(rows * hidden), sizeof *after);
    naive_sequences(&q->net, time, &time->batch, q->p, q->x, out, after);
    for (int i = 0; i < rows * outputs; i++) {
        if (!(fabs((double)q->out[i] - out[i]) <= output_tolerance * 4))
            fail_msg("%s, hidden %d, %d rows: output %d is %.12g, expected %.12g", what, hidden, rows, i, (double)q->out[i], out[i]);
    }
    for (int i = 0; i < rows * hidden; i++) {
        const double found = (double)q->after[naive_batch_row(&time->batch, i / hidden) * (size_t)hidden + (size_t)(i % hidden)];
        if (!(fabs(found - after[i]) <= output_tolerance * 4))
            fail_msg("%s, hidden %d, %d rows: state %d is %.12g, expected %.12g", what, hidden, rows, i, found, after[i]);
    }
    free(out), free(after);
}

/* Inputs, hidden, outputs, layers. */
static const int recurrent_widths[][4] = {{18, 64, 5, 2}, {1, 1, 1, 1}, {7, 33, 17, 2}, {5, 65, 2, 1}};

static void sequences_match_naive_whatever_the_batch(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 15, 16, 31, 33, 47, 48, 49, 63, 64, 65, 96, 97, SEQUENCES_MOST};
    int32_t unit[SEQUENCE_STEPS * SEQUENCES_MOST];
    for (int i = 0; i < SEQUENCE_STEPS * SEQUENCES_MOST; i++) unit[i] = (i * 7 + 3) % (SEQUENCE_STEPS * SEQUENCES_MOST);
    for (size_t w = 0; w < sizeof recurrent_widths / sizeof *recurrent_widths; w++) {
        struct sequences q;
        const int *size = recurrent_widths[w];
        sequences_build(&q, size[0], size[1], size[2], size[3], w != 3);
        for (int level = 0; level <= last_level(); level++) {
            struct backend *b = open_backend(2, level);
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c += EVERY_COUNT) {
                /* Sequences of two lengths, of the same, and of every length from 1 to 5. */
                const int s = counts[c],
                          all[][SEQUENCE_STEPS] = {{s, s, s, (s + 1) / 2, (s + 1) / 2}, {s}, {s, s - s / 5, s - s / 3, s / 2, s / 3}};
                for (int k = 0; k < 3; k++) {
                    struct recurrent time = {
                        .steps = k == 1 ? 1 : SEQUENCE_STEPS, .width = all[k], .ended = k == 2 ? NULL : q.ended, .ended_rows = PAIR};
                    for (int t = 0; t < time.steps; t++) time.batch.units += all[k][t];
                    time.batch.rows = 1;
                    time.batch.unit = c % 2 ? unit : NULL;
                    if (k < 2) time.hidden = q.hidden;
                    if (k == 1) time.width = NULL;
                    sequences_forward(&q, b, &time, time.hidden);
                    expect_sequences(&q, &time, k == 0 ? "two lengths" : k == 1 ? "one step" : "all lengths");
                }
            }
            b->close(b);
        }
        sequences_clear(&q);
    }
}

/* What a rollout does: a step at a time, the states of one slice in and those of the next out, against one pass over everything; and a
 * sequence on its own: the same bits. */
static void steps_one_by_one_are_a_whole_rollout(void **state)
{
    (void)state;
    enum { S = 97 };
    struct sequences q;
    sequences_build(&q, 6, 20, 3, 2, true);
    const size_t outs = (size_t)S * 3, hidden = 20;
    real *whole = calloc(SEQUENCE_STEPS * outs, sizeof *whole), *states = calloc((size_t)q.rows * hidden, sizeof *states);
    struct backend *b = open_backend(2, -1);
    struct recurrent time = {.batch = {NULL, SEQUENCE_STEPS * S, 1, NULL}, .steps = SEQUENCE_STEPS, .ended = q.ended, .ended_rows = PAIR};
    time.hidden = q.hidden;
    sequences_forward(&q, b, &time, q.hidden);
    memcpy(whole, q.out, SEQUENCE_STEPS * outs * sizeof *whole);
    memcpy(states, q.after, (size_t)q.rows * hidden * sizeof *states);
    real *before = calloc((size_t)q.rows * hidden, sizeof *before);
    for (int t = 0; t < SEQUENCE_STEPS; t++) {
        int32_t unit[S];
        for (int s = 0; s < S; s++) unit[s] = t * S + s;
        struct recurrent step = {.batch = {unit, S, 1, NULL}, .steps = 1, .ended = q.ended, .ended_rows = PAIR};
        memcpy(before + (size_t)(t * S) * hidden, t == 0 ? q.hidden : q.after + (size_t)((t - 1) * S) * hidden,
               S * hidden * sizeof *before);
        sequences_forward(&q, b, &step, before);
        for (size_t i = 0; i < outs; i++) {
            if (q.out[i] != whole[(size_t)t * outs + i])
                fail_msg("step %d: output %zu is %.9g, in one pass %.9g", t, i, (double)q.out[i], (double)whole[(size_t)t * outs + i]);
        }
    }
    for (size_t i = 0; i < (size_t)(SEQUENCE_STEPS * S) * hidden; i++) {
        if (q.after[i] != states[i]) fail_msg("state %zu is %.9g, in one pass %.9g", i, (double)q.after[i], (double)states[i]);
    }
    memcpy(q.after, q.hidden, (size_t)q.rows * hidden * sizeof *states);
    sequences_forward(&q, b, &time, q.after);
    if (memcmp(q.out, whole, SEQUENCE_STEPS * outs * sizeof *whole) ||
        memcmp(q.after, states, (size_t)(SEQUENCE_STEPS * S) * hidden * sizeof *states))
        fail_msg("states written over those that were read change the result");
    int32_t alone[SEQUENCE_STEPS];
    for (int t = 0; t < SEQUENCE_STEPS; t++) alone[t] = t * S + 70;
    struct recurrent one = {.batch = {alone, SEQUENCE_STEPS, 1, NULL}, .steps = SEQUENCE_STEPS, .ended = q.ended, .ended_rows = PAIR};
    sequences_forward(&q, b, &one, q.hidden);
    for (int t = 0; t < SEQUENCE_STEPS; t++) {
        if (memcmp(q.out + t * 3, whole + (size_t)t * outs + 70 * 3, 3 * sizeof *whole)) fail_msg("step %d of a sequence alone differs", t);
    }
    b->close(b);
    free(whole), free(states), free(before);
    sequences_clear(&q);
}

/* ---- training ---- */

static struct problem recurrent_problem(int inputs, int hidden, int layers, int units, int rows, int steps)
{
    return (struct problem){.name = "recurrent",
                            .inputs = inputs,
                            .hidden = hidden,
                            .layers = layers,
                            .activation = hidden % 2 ? ACTIVATION_TANH : ACTIVATION_RELU,
                            .feature_norm = true,
                            .layer_norm = hidden % 5 != 0,
                            .loss = units % 2 ? LOSS_VALUE : LOSS_POLICY,
                            .units = units,
                            .rows = rows,
                            .targets = 2,
                            .total = units + 3,
                            .masked = true,
                            .inactive = true,
                            .clip = 0.2,
                            .huber = 3,
                            .steps = steps};
}

static void recurrent_gradients_match_finite_differences(void **state)
{
    (void)state;
    static const int size[][6] = {/* inputs, hidden, layers, units, rows, steps */
                                  {1, 1, 1, 1, 1, 1},   {3, 5, 1, 12, 2, 4}, {4, 8, 2, 35, 1, 5},
                                  {3, 6, 1, 130, 1, 2}, {2, 7, 1, 65, 2, 1}, {3, 4, 2, 3 * 47, 1, 3}};
    for (int level = 0; level <= last_level(); level++) {
        for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
            struct problem q = recurrent_problem(size[i][0], size[i][1], size[i][2], size[i][3], size[i][4], size[i][5]);
            if (q.loss == LOSS_POLICY) {
                add_head(&q.dist, HEAD_CATEGORICAL, 4, 0);
                add_head(&q.dist, HEAD_GAUSSIAN, 2, 0);
                if (i % 2) add_deviations(&q.dist);
            }
            check_gradient(&q, level);
        }
        static const int shorter[] = {20, 20, 13, 13, 1}, value[] = {70, 49, 48, 2};
        struct problem q = recurrent_problem(3, 6, 1, 67, 1, 5);
        q.loss = LOSS_POLICY;
        q.width = shorter;
        add_head(&q.dist, HEAD_CATEGORICAL, 20, 0); /* a head wider than a vector */
        check_gradient(&q, level);
        struct problem v = recurrent_problem(2, 5, 1, 169, 1, 4);
        v.width = value;
        check_gradient(&v, level);
    }
}

/* Alone and beside another network. */
static void check_threads(struct problem *q, struct problem *other)
{
    real *first = calloc(q->net.parameters, sizeof *first), sums[PASS_SUMS] = {0};
    for (int level = 0; level <= last_level(); level++) {
        for (int threads = 1; threads <= 4; threads++) {
            struct backend *b = open_backend(threads, level);
            struct recurrent time;
            const struct train_pass pass[2] = {problem_lend(other, b), problem_lend_with(q, b, &time)};
            b->train(b, threads % 2 ? pass : pass + 1, threads % 2 ? 2 : 1);
            problem_take(other, b, &pass[0]);
            problem_take(q, b, &pass[1]);
            lend_end(b);
            b->close(b);
            if (threads == 1) {
                memcpy(first, q->gradient, q->net.parameters * sizeof *first);
                memcpy(sums, q->sum, sizeof sums);
            }
            if (memcmp(first, q->gradient, q->net.parameters * sizeof *first) || memcmp(sums, q->sum, sizeof sums))
                fail_msg("level %d: the gradient with %d threads differs from one thread's", level, threads);
        }
    }
    free(first);
}

static void recurrent_training_is_the_same_bits_for_any_threads(void **state)
{
    (void)state;
    struct problem q = recurrent_problem(9, 24, 2, 1500, 2, 6), other = usual_policy();
    add_head(&q.dist, HEAD_CATEGORICAL, 5, 0);
    problem_build(&q);
    problem_build(&other);
    check_threads(&q, &other);
    problem_clear(&q);
    problem_clear(&other);
}

static void no_sequences_give_no_gradient(void **state)
{
    (void)state;
    struct problem q = recurrent_problem(4, 10, 1, 0, 1, 3);
    add_head(&q.dist, HEAD_CATEGORICAL, 5, 0);
    problem_build(&q);
    for (size_t i = 0; i < q.net.parameters; i++) q.gradient[i] = 7;
    struct backend *b = open_backend(2, -1);
    problem_train(&q, b);
    for (size_t i = 0; i < q.net.parameters; i++) {
        if (q.gradient[i] != 0) fail_msg("gradient %zu of no sequences is %g", i, (double)q.gradient[i]);
    }
    b->close(b);
    problem_clear(&q);
}

#define RECURRENT_TESTS                                                                                                                    \
    cmocka_unit_test(sequences_match_naive_whatever_the_batch), cmocka_unit_test(steps_one_by_one_are_a_whole_rollout),                    \
        cmocka_unit_test(recurrent_gradients_match_finite_differences),                                                                    \
        cmocka_unit_test(recurrent_training_is_the_same_bits_for_any_threads), cmocka_unit_test(no_sequences_give_no_gradient)

#endif
