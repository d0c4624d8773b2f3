/* Cases of sampling for every backend; a part of backend_cases.h, which includes it. */
#ifndef TESTS_BACKEND_SAMPLING_CASES_H
#define TESTS_BACKEND_SAMPLING_CASES_H

enum { ACT_ROWS = 30000 };

struct act_problem {
    struct distribution dist;
    int outputs, agents;
    uint32_t first_agent;
    real *out, *log_prob, log_std[2];
    double log_std_double[2];
    uint8_t *mask;
    int32_t *act_int;
    float *act_real;
};

/* by_state: deviations are outputs, the second beyond its bound. */
static void act_problem_build(struct act_problem *a, bool by_state)
{
    struct naive_rng rng = {5};
    memset(a, 0, sizeof *a);
    add_head(&a->dist, HEAD_CATEGORICAL, 5, 0);
    add_head(&a->dist, HEAD_GAUSSIAN, 2, 0);
    add_head(&a->dist, HEAD_BERNOULLI, 3, 0);
    add_head(&a->dist, HEAD_CATEGORICAL, 4, 10);
    if (by_state) add_deviations(&a->dist);
    a->outputs = dist_outputs(&a->dist);
    a->agents = 3;
    a->out = calloc((size_t)ACT_ROWS * (size_t)a->outputs, sizeof(real));
    a->log_prob = calloc(ACT_ROWS, sizeof(real));
    a->mask = calloc((size_t)ACT_ROWS * (size_t)a->dist.logits, 1);
    a->act_int = calloc((size_t)ACT_ROWS * (size_t)a->dist.act_ints, sizeof(int32_t));
    a->act_real = calloc((size_t)ACT_ROWS * (size_t)a->dist.act_reals, sizeof(float));
    for (int i = 0; i < 2; i++) a->log_std_double[i] = a->log_std[i] = (real)(i ? by_state ? 2 : 0.25 : -0.5);
    real logits[32];
    for (int o = 0; o < a->outputs; o++) logits[o] = (real)(float)naive_uniform(&rng);
    for (int i = 0; i < 2 && by_state; i++) logits[a->dist.log_std_output + i] = a->log_std[i] + (real)(i ? 0.7 : 0);
    for (int r = 0; r < ACT_ROWS; r++) {
        for (int o = 0; o < a->outputs; o++) a->out[r * a->outputs + o] = logits[o];
        uint8_t *mask = a->mask + r * a->dist.logits;
        memset(mask, 1, (size_t)a->dist.logits);
        mask[1] = 0;                                          /* of the first head */
        for (int k = 0; k < 4; k++) mask[8 + k] = k == r % 4; /* of the last: one only */
    }
}

static void act_problem_clear(struct act_problem *a)
{
    free(a->out), free(a->log_prob), free(a->mask), free(a->act_int), free(a->act_real);
}

static void act_run(struct backend *b, struct act_problem *a, int first_row, int rows, bool deterministic)
{
    const struct distribution *d = &a->dist;
    const uint64_t clock = 1000;
    const size_t n = (size_t)rows, ints = n * (size_t)d->act_ints * sizeof(int32_t), reals = n * (size_t)d->act_reals * sizeof(float);
    int32_t *act_int = a->act_int + first_row * d->act_ints;
    float *act_real = a->act_real + first_row * d->act_reals;
    const struct act_pass pass = {.dist = d,
                                  .batch = {NULL, rows, 1, NULL},
                                  .out = lend(b, a->out + first_row * a->outputs, n * (size_t)a->outputs * sizeof(real)),
                                  .log_std = d->log_std_output ? NULL : LEND(b, a->log_std),
                                  .mask = lend(b, a->mask + first_row * d->logits, n * (size_t)d->logits),
                                  .deterministic = deterministic,
                                  .seed = 77,
                                  .stream = 2,
                                  .step = 4999999000u,
                                  .clock = lend(b, &clock, sizeof clock),
                                  .first_env = 10 + (uint32_t)(first_row / a->agents),
                                  .first_agent = a->first_agent,
                                  .agents = a->agents,
                                  .act_int = lend(b, act_int, ints),
                                  .act_real = lend(b, act_real, reals),
                                  .log_prob = lend(b, a->log_prob + first_row, n * sizeof(real))};
    b->act(b, &pass, 1);
    take(b, act_int, pass.act_int, ints);
    take(b, act_real, pass.act_real, reals);
    take(b, a->log_prob + first_row, pass.log_prob, n * sizeof(real));
    lend_end(b);
}

/* Frequencies within five standard errors of their probabilities: fixed seed, so it cannot flake. */
static void check_frequency(const char *what, double count, double p)
{
    const double error = sqrt(fmax(p * (1 - p), 1e-12) / ACT_ROWS);
    if (!(fabs(count / ACT_ROWS - p) <= 5 * error))
        fail_msg("%s: drawn with frequency %.5f, probability %.5f (standard error %.5f)", what, count / ACT_ROWS, p, error);
}

static void check_actions(bool by_state)
{
    struct act_problem a;
    act_problem_build(&a, by_state);
    const struct distribution *d = &a.dist;
    for (int level = 0; level <= last_level(); level++) {
        struct backend *b = open_backend(2, level);
        act_run(b, &a, 0, ACT_ROWS, false);
        double choice[5] = {0}, bit[3] = {0}, sum[2] = {0}, squares[2] = {0}, out[32];
        for (int r = 0; r < ACT_ROWS; r++) {
            const int32_t *act = a.act_int + r * d->act_ints;
            const float *reals = a.act_real + r * d->act_reals;
            for (int o = 0; o < a.outputs; o++) out[o] = (double)a.out[r * a.outputs + o];
            assert_in_range(act[0], 0, 4);
            choice[act[0]]++;
            for (int k = 0; k < 3; k++) bit[k] += act[1 + k];
            assert_int_equal(act[4], 10 + r % 4); /* everything else is masked */
            for (int k = 0; k < 2; k++) sum[k] += (double)reals[k], squares[k] += (double)reals[k] * (double)reals[k];
            const struct naive_eval e = naive_evaluate(d, out, a.log_std_double, a.mask + r * d->logits, act, reals);
            if (!(fabs(e.log_prob - (double)a.log_prob[r]) <= output_tolerance * 10))
                fail_msg("level %d, row %d: log-probability %.9g, expected %.9g", level, r, (double)a.log_prob[r], e.log_prob);
        }
        double z[5];
        for (int k = 0; k < 5; k++) z[k] = k == 1 ? -1e10 : out[k];
        for (int k = 0; k < 5; k++) check_frequency("choice", choice[k], exp(z[k] - naive_log_sum(z, 5)));
        for (int k = 0; k < 3; k++) check_frequency("bit", bit[k], 1 / (1 + exp(-out[7 + k])));
        for (int k = 0; k < 2; k++) {
            const double mean = sum[k] / ACT_ROWS, std = sqrt(squares[k] / ACT_ROWS - mean * mean), expected = exp(a.log_std_double[k]);
            if (fabs(mean - out[5 + k]) > 5 * expected / sqrt(ACT_ROWS) || fabs(std / expected - 1) > 5 / sqrt(2.0 * ACT_ROWS))
                fail_msg("Gaussian %d: mean %.5f, deviation %.5f, expected %.5f, %.5f", k, mean, std, out[5 + k], expected);
        }
        act_run(b, &a, 0, 50, true);
        int best = 0;
        for (int k = 0; k < 5; k++) best = z[k] > z[best] ? k : best;
        for (int r = 0; r < 50; r++) {
            assert_int_equal(a.act_int[r * d->act_ints], best);
            assert_true(a.act_real[r * d->act_reals] == (float)out[5]);
            for (int k = 0; k < 3; k++) assert_int_equal(a.act_int[r * d->act_ints + 1 + k], out[7 + k] > 0);
        }
        b->close(b);
    }
    act_problem_clear(&a);
}

/* Of learners that derive a critic by actions: tanh, softmax, and tanh of what a Gaussian draws, the mode of which is tanh of its mean. */
static void real_actions_can_be_functions_of_outputs(void **state)
{
    (void)state;
    struct act_problem a;
    act_problem_build(&a, false);
    const float *reals = a.act_real;
    const double z[2] = {(double)a.out[5], (double)a.out[6]}, top = 1 / (1 + exp(z[1] - z[0]));
    for (int level = 0; level <= last_level(); level++)
        for (int real_kind = REAL_TANH; real_kind <= REAL_TANH_GAUSSIAN; real_kind++)
            for (int mode = 0; mode < 2; mode++) {
                struct backend *b = open_backend(2, level);
                double sum[2] = {0}, squares[2] = {0};
                const bool drawn = real_kind == REAL_TANH_GAUSSIAN && !mode;
                a.dist.real = real_kind;
                act_run(b, &a, 0, ACT_ROWS, mode);
                for (int r = 0; r < ACT_ROWS; r++)
                    for (int k = 0; k < 2; k++) {
                        const double x = (double)reals[2 * r + k], u = atanh(x);
                        const double expected = real_kind == REAL_SOFTMAX ? (k ? 1 - top : top) : tanh(z[k]);
                        if (drawn) sum[k] += u, squares[k] += u * u;
                        if (!drawn && !(fabs(x - expected) <= 1e-6))
                            fail_msg("kind %d, level %d, number %d: %.8f, expected %.8f", real_kind, level, k, x, expected);
                    }
                for (int k = 0; k < 2 && drawn; k++) {
                    const double mean = sum[k] / ACT_ROWS, std = sqrt(squares[k] / ACT_ROWS - mean * mean), is = exp(a.log_std_double[k]);
                    if (fabs(mean - z[k]) > 5 * is / sqrt(ACT_ROWS) || fabs(std / is - 1) > 5 / sqrt(2.0 * ACT_ROWS))
                        fail_msg("level %d, number %d: mean %.5f, deviation %.5f, expected %.5f, %.5f", level, k, mean, std, z[k], is);
                }
                b->close(b);
            }
    act_problem_clear(&a);
}

static void actions_follow_their_distribution(void **state)
{
    (void)state;
    check_actions(false);
    check_actions(true);
}

/* Of rows that are picked out of larger arrays, whose others stay as they are. */
static void check_given_actions(bool by_state)
{
    enum { TOTAL = 600, UNITS = 150, EACH = 2 };
    struct act_problem a;
    act_problem_build(&a, by_state);
    const struct distribution *d = &a.dist;
    for (int r = 0; r < TOTAL && by_state; r++) a.out[r * a.outputs + d->log_std_output] += (real)(r % 40) / 16;
    int32_t unit[UNITS];
    real *entropy = calloc(TOTAL, sizeof *entropy), *again = calloc(TOTAL, sizeof *again),
         *out = calloc((size_t)(UNITS * EACH * a.outputs), sizeof *out);
    for (int u = 0; u < UNITS; u++) unit[u] = (u * 7 + 3) % (TOTAL / EACH);
    for (int i = 0; i < UNITS * EACH; i++)
        memcpy(out + i * a.outputs, a.out + (unit[i / EACH] * EACH + i % EACH) * a.outputs, (size_t)a.outputs * sizeof *out);
    for (int level = 0; level <= last_level(); level++) {
        struct backend *b = open_backend(2, level);
        act_run(b, &a, 0, TOTAL, false);
        for (int r = 0; r < TOTAL; r++) again[r] = entropy[r] = -77;
        const struct evaluate_pass pass = {
            .dist = d,
            .batch = {LEND(b, unit), UNITS, EACH, NULL},
            .out = lend(b, out, (size_t)(UNITS * EACH * a.outputs) * sizeof *out),
            .log_std = by_state ? NULL : LEND(b, a.log_std),
            .mask = lend(b, a.mask, TOTAL * (size_t)d->logits),
            .act_int = lend(b, a.act_int, TOTAL * (size_t)d->act_ints * sizeof *a.act_int),
            .act_real = lend(b, a.act_real, TOTAL * (size_t)d->act_reals * sizeof *a.act_real),
            .log_prob = lend(b, again, TOTAL * sizeof *again),
            .entropy = lend(b, entropy, TOTAL * sizeof *entropy),
        };
        b->evaluate(b, &pass, 1);
        take(b, again, pass.log_prob, TOTAL * sizeof *again);
        take(b, entropy, pass.entropy, TOTAL * sizeof *entropy);
        lend_end(b);
        bool listed[TOTAL] = {false};
        for (int i = 0; i < UNITS * EACH; i++) listed[unit[i / EACH] * EACH + i % EACH] = true;
        for (int r = 0; r < TOTAL; r++) {
            double z[32];
            for (int o = 0; o < a.outputs; o++) z[o] = (double)a.out[r * a.outputs + o];
            const struct naive_eval e =
                naive_evaluate(d, z, a.log_std_double, a.mask + r * d->logits, a.act_int + r * d->act_ints, a.act_real + r * d->act_reals);
            check_close("log-probability", (size_t)r, again[r], listed[r] ? (double)a.log_prob[r] : -77, output_tolerance);
            check_close("entropy", (size_t)r, entropy[r], listed[r] ? e.entropy : -77, output_tolerance);
        }
        b->close(b);
    }
    free(entropy), free(again), free(out);
    act_problem_clear(&a);
}

static void given_actions_have_the_probability_they_were_drawn_with(void **state)
{
    (void)state;
    check_given_actions(false);
    check_given_actions(true);
}

/* The third agent of a group of three draws as the only one of a group behind two others does; those of different groups don't draw alike. */
static void agents_are_counted_over_all_groups(void **state)
{
    (void)state;
    enum { ENVS = 200 };
    struct act_problem three, alone;
    act_problem_build(&three, false);
    act_problem_build(&alone, false);
    struct backend *b = open_backend(1, -1);
    act_run(b, &three, 0, 3 * ENVS, false);
    alone.agents = 1;
    for (uint32_t first = 0; first < 3; first++) {
        int alike[3] = {0};
        alone.first_agent = first;
        act_run(b, &alone, 0, ENVS, false);
        for (int e = 0; e < ENVS; e++)
            for (int k = 0; k < 3; k++) {
                const float *one = alone.act_real + e * alone.dist.act_reals, *of = three.act_real + (3 * e + k) * three.dist.act_reals;
                alike[k] += memcmp(one, of, (size_t)three.dist.act_reals * sizeof *one) == 0;
            }
        for (int k = 0; k < 3; k++) assert_int_equal(alike[k], k == (int)first ? ENVS : 0);
    }
    b->close(b);
    act_problem_clear(&three);
    act_problem_clear(&alone);
}

static void actions_do_not_depend_on_the_cut_of_the_batch(void **state)
{
    (void)state;
    struct act_problem a;
    act_problem_build(&a, false);
    const size_t ints = (size_t)a.dist.act_ints * 999, reals = (size_t)a.dist.act_reals * 999;
    int32_t *act_int = malloc(ints * sizeof *act_int);
    float *act_real = malloc(reals * sizeof *act_real);
    struct backend *b = open_backend(2, -1);
    act_run(b, &a, 0, 999, false);
    memcpy(act_int, a.act_int, ints * sizeof *act_int);
    memcpy(act_real, a.act_real, reals * sizeof *act_real);
    memset(a.act_int, 0, ints * sizeof *act_int);
    static const int cut[] = {0, 3, 66, 99, 600, 999};
    for (int i = 0; i + 1 < 6; i++) act_run(b, &a, cut[i], cut[i + 1] - cut[i], false);
    assert_memory_equal(act_int, a.act_int, ints * sizeof *act_int);
    assert_memory_equal(act_real, a.act_real, reals * sizeof *act_real);
    b->close(b);
    free(act_int), free(act_real);
    act_problem_clear(&a);
}

static void check_forward_act(bool by_state)
{
    enum { ROWS = 501 };
    struct problem q = usual_policy();
    if (by_state) add_deviations(&q.dist);
    q.units = q.total = ROWS / 3;
    problem_build(&q);
    const size_t ints = ROWS * (size_t)q.dist.act_ints, reals = ROWS * (size_t)q.dist.act_reals, outs = ROWS * (size_t)q.net.outputs;
    int32_t *act_int = calloc(2 * ints, sizeof *act_int);
    float *act_real = calloc(2 * reals, sizeof *act_real);
    real *out = calloc(2 * outs, sizeof *out), *log_prob = calloc(2 * ROWS, sizeof *log_prob);
    for (int threads = 1; threads <= 3; threads++) {
        struct backend *b = open_backend(threads, -1);
        struct packed_rows *packed = b->packed_rows_create(b, &q.net, ROWS);
        const struct batch batch = {NULL, ROWS / 3, 3, NULL};
        const real *parameters = lend(b, q.parameters, q.net.parameters * sizeof(real));
        const uint8_t *mask = lend(b, q.mask, ROWS * (size_t)q.dist.logits);
        b->pack(b, &q.net, NULL, &packed, lend(b, q.x, ROWS * (size_t)q.inputs * sizeof *q.x), &batch, 1);
        for (int fused = 0; fused < 2; fused++) {
            const struct forward_pass forward = {
                .net = &q.net, .parameters = parameters, .packed = packed, .out = lend(b, out, outs * sizeof *out)};
            const struct act_pass act = {.dist = &q.dist,
                                         .batch = batch,
                                         .out = forward.out,
                                         .log_std = by_state ? NULL : parameters + q.net.at.extra,
                                         .mask = mask,
                                         .seed = 3,
                                         .stream = 2,
                                         .step = 9,
                                         .agents = 3,
                                         .act_int = lend(b, act_int, ints * sizeof *act_int),
                                         .act_real = lend(b, act_real, reals * sizeof *act_real),
                                         .log_prob = lend(b, log_prob, ROWS * sizeof *log_prob)};
            if (fused) {
                b->forward_act(b, &forward, &act, 1);
            } else {
                b->forward(b, &forward, 1);
                b->act(b, &act, 1);
            }
            take(b, out + (size_t)fused * outs, forward.out, outs * sizeof *out);
            take(b, act_int + (size_t)fused * ints, act.act_int, ints * sizeof *act_int);
            take(b, act_real + (size_t)fused * reals, act.act_real, reals * sizeof *act_real);
            take(b, log_prob + fused * ROWS, act.log_prob, ROWS * sizeof *log_prob);
        }
        lend_end(b);
        assert_memory_equal(out, out + outs, outs * sizeof *out);
        assert_memory_equal(act_int, act_int + ints, ints * sizeof *act_int);
        assert_memory_equal(act_real, act_real + reals, reals * sizeof *act_real);
        assert_memory_equal(log_prob, log_prob + ROWS, ROWS * sizeof *log_prob);
        b->packed_rows_destroy(b, packed);
        b->close(b);
    }
    free(act_int), free(act_real), free(out), free(log_prob);
    problem_clear(&q);
}

static void forward_act_is_forward_and_act(void **state)
{
    (void)state;
    check_forward_act(false);
    check_forward_act(true);
}

#endif
