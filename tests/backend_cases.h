/* The tests of the CPU backend, compiled in float (tests/unit/test_backend.c) and in double (tests/parity/test_backend_double.c).
 * Expected values come from the naive implementation in double; gradients from its central finite differences. */
#ifndef TESTS_BACKEND_CASES_H
#define TESTS_BACKEND_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "backend_memory.h"
#include "naive_backend.h"

/* Which backend the cases run on; the same expectations for all. */
#ifndef TESTED_BACKEND
#define TESTED_BACKEND "cpu"
#endif

/* What float may lose over some hundred additions, relative to the largest number of the tensor; double loses nearly nothing. Gradients are
 * compared with finite differences (step 2e-6), which are good to about 1e-8 of the loss. */
#if REAL_IS_DOUBLE
static const double sum_tolerance = 1e-11, gradient_tolerance = 3e-7, output_tolerance = 1e-11;
#else
static const double sum_tolerance = 2e-5, gradient_tolerance = 1e-4, output_tolerance = 1e-5;
#endif

/* One of so many parameters is moved: all of them, where the processor isn't emulated itself. */
#ifndef MOVED_EVERY
#define MOVED_EVERY 1
#endif
/* Likewise of the numbers of sequences. */
#ifndef EVERY_COUNT
#define EVERY_COUNT 1
#endif

static struct backend *open_backend(int threads, int level)
{
    struct backend *b = NULL;
    struct error err = {0};
    const struct backend_config config = {.name = TESTED_BACKEND, .threads = threads, .level = level, .device = -1, .graphs = true};
    if (backend_open(&b, &config, &err)) fail_msg("backend_open: %s", err.text);
    return b;
}

/* Instruction levels to test, the lowest is 0. */
static int last_level(void)
{
    return strcmp(TESTED_BACKEND, "cpu") == 0 ? cpu_level_detect() : 0;
}

#include "backend_problem.h"

/* ---- gradients ---- */

static void check_gradient(struct problem *q, int level)
{
    struct backend *b = open_backend(1, level);
    double expected[PASS_SUMS], other[PASS_SUMS];
    problem_build(q);
    problem_train(q, b);
    naive_loss(&q->pass, q->p, q->x, expected);
    for (int i = 0; i < PASS_SUMS; i++) {
        if (!(fabs(expected[i] - (double)q->sum[i]) <= sum_tolerance * (fabs(expected[i]) + expected[SUM_ROWS])))
            fail_msg("%s, level %d: sum %d is %.12g, expected %.12g (tolerance %g)", q->name, level, i, (double)q->sum[i], expected[i],
                     sum_tolerance);
    }
    double largest = 0;
    for (size_t i = 0; i < q->net.parameters; i++) largest = fmax(largest, fabs((double)q->gradient[i]));
    for (size_t i = 0; i < q->net.parameters; i += MOVED_EVERY) {
        const double here = q->p[i], step = 2e-6;
        q->p[i] = here + step;
        const double up = naive_loss(&q->pass, q->p, q->x, other);
        q->p[i] = here - step;
        const double down = naive_loss(&q->pass, q->p, q->x, other);
        q->p[i] = here;
        const double slope = (up - down) / (2 * step);
        if (!(fabs(slope - (double)q->gradient[i]) <= gradient_tolerance * (largest + 1)))
            fail_msg("%s, level %d: gradient of parameter %zu of %zu is %.12g, finite difference %.12g, largest %g", q->name, level, i,
                     q->net.parameters, (double)q->gradient[i], slope, largest);
    }
    problem_clear(q);
    b->close(b);
}

static void gradients_match_finite_differences(void **state)
{
    (void)state;
    static const int widths[] = {21, 7, 13};
    struct problem list[] = {
        {.name = "categorical, relu",
         .inputs = 7,
         .hidden = 16,
         .layers = 2,
         .activation = ACTIVATION_RELU,
         .feature_norm = true,
         .layer_norm = true,
         .units = 21,
         .rows = 3,
         .total = 21,
         .clip = 0.2},
        {.name = "categorical, tanh, masks, dead agents, part of the units",
         .inputs = 5,
         .hidden = 9,
         .layers = 1,
         .activation = ACTIVATION_TANH,
         .feature_norm = true,
         .layer_norm = true,
         .units = 17,
         .rows = 2,
         .total = 25,
         .masked = true,
         .inactive = true,
         .clip = 0.2},
        {.name = "several heads of every kind",
         .inputs = 4,
         .hidden = 10,
         .layers = 3,
         .activation = ACTIVATION_TANH,
         .feature_norm = true,
         .layer_norm = true,
         .units = 30,
         .rows = 3,
         .total = 30,
         .masked = true,
         .inactive = true,
         .clip = 0.2},
        {.name = "Gaussian, no norms",
         .inputs = 6,
         .hidden = 12,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .units = 70,
         .rows = 1,
         .total = 70,
         .clip = 0.2},
        {.name = "Gaussian of fixed deviation",
         .inputs = 6,
         .hidden = 8,
         .layers = 2,
         .activation = ACTIVATION_RELU,
         .layer_norm = true,
         .units = 33,
         .rows = 2,
         .total = 33,
         .clip = 0.2},
        {.name = "value, three targets, clipped, Huber",
         .inputs = 11,
         .hidden = 17,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .feature_norm = true,
         .layer_norm = true,
         .loss = LOSS_VALUE,
         .units = 65,
         .rows = 1,
         .targets = 3,
         .total = 65,
         .inactive = true,
         .clip = 0.2,
         .huber = 0.8},
        {.name = "value, old ones on another scale",
         .inputs = 6,
         .hidden = 8,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .layer_norm = true,
         .loss = LOSS_VALUE,
         .units = 37,
         .rows = 2,
         .targets = 2,
         .total = 40,
         .rescaled = true,
         .clip = 0.2,
         .huber = 0.8},
        {.name = "value, square, not clipped",
         .inputs = 3,
         .hidden = 5,
         .layers = 1,
         .activation = ACTIVATION_RELU,
         .feature_norm = true,
         .loss = LOSS_VALUE,
         .units = 13,
         .rows = 2,
         .targets = 1,
         .total = 40},
        {.name = "not clipped: the plain policy gradient",
         .inputs = 5,
         .hidden = 9,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .feature_norm = true,
         .layer_norm = true,
         .units = 19,
         .rows = 2,
         .total = 19,
         .inactive = true,
         .clip = INFINITY},
        {.name = "a ratio of each head, advantages of a minibatch's scale",
         .inputs = 4,
         .hidden = 10,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .layer_norm = true,
         .units = 30,
         .rows = 3,
         .total = 30,
         .masked = true,
         .inactive = true,
         .per_head = true,
         .scaled = true,
         .clip = 0.2},
        {.name = "a penalty instead of clipping, heads of every kind",
         .inputs = 4,
         .hidden = 10,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .feature_norm = true,
         .layer_norm = true,
         .units = 23,
         .rows = 3,
         .total = 30,
         .masked = true,
         .inactive = true,
         .penalty = true,
         .clip = INFINITY},
        {.name = "a penalty beside clipping, one categorical head",
         .inputs = 6,
         .hidden = 12,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .feature_norm = true,
         .layer_norm = true,
         .units = 35,
         .rows = 2,
         .total = 35,
         .penalty = true,
         .scaled = true,
         .clip = 0.2},
        {.name = "a penalty and a ratio of each head, Gaussians of fixed deviation",
         .inputs = 6,
         .hidden = 8,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .layer_norm = true,
         .units = 33,
         .rows = 2,
         .total = 33,
         .per_head = true,
         .penalty = true,
         .clip = 0.2},
        {.name = "value, the clipped one alone",
         .inputs = 6,
         .hidden = 8,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .layer_norm = true,
         .loss = LOSS_VALUE,
         .units = 37,
         .rows = 2,
         .targets = 1,
         .total = 40,
         .only = true,
         .clip = 0.2},
        {.name = "layers of other widths, a policy",
         .inputs = 5,
         .hidden = 13,
         .widths = widths,
         .layers = 3,
         .activation = ACTIVATION_RELU,
         .feature_norm = true,
         .layer_norm = true,
         .units = 33,
         .rows = 2,
         .total = 33,
         .clip = 0.2},
        {.name = "layers of other widths, a value, without norms",
         .inputs = 6,
         .hidden = 13,
         .widths = widths,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .loss = LOSS_VALUE,
         .units = 37,
         .rows = 2,
         .targets = 1,
         .total = 40},
        {.name = "Gaussian of a deviation by state",
         .inputs = 6,
         .hidden = 12,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .layer_norm = true,
         .units = 70,
         .rows = 1,
         .total = 70,
         .inactive = true,
         .clip = 0.2},
        {.name = "deviations by state, heads of every kind, a penalty beside clipping",
         .inputs = 4,
         .hidden = 10,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .feature_norm = true,
         .layer_norm = true,
         .units = 23,
         .rows = 3,
         .total = 30,
         .masked = true,
         .inactive = true,
         .penalty = true,
         .clip = 0.2},
        {.name = "deviations by state, a penalty and a ratio of each head",
         .inputs = 6,
         .hidden = 8,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .layer_norm = true,
         .units = 33,
         .rows = 2,
         .total = 33,
         .per_head = true,
         .penalty = true,
         .scaled = true,
         .clip = 0.2},
        {.name = "categorical, in some rows somebody else",
         .inputs = 5,
         .hidden = 16,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .layer_norm = true,
         .units = 33,
         .rows = 2,
         .total = 40,
         .masked = true,
         .inactive = true,
         .visited = true,
         .clip = 0.2},
        {.name = "heads of every kind, in some rows somebody else",
         .inputs = 6,
         .hidden = 12,
         .layers = 2,
         .activation = ACTIVATION_TANH,
         .units = 70,
         .rows = 1,
         .total = 70,
         .inactive = true,
         .visited = true,
         .clip = 0.2},
    };
    enum {
        FIXED = 4,
        PER_HEAD = 9,
        PENALTY = 10,
        ONE_HEAD = 11,
        PENALTY_FIXED = 12,
        WIDTHS = 14,
        STATE = 16,
        STATE_KINDS = 17,
        STATE_HEADS = 18,
        VISITED = 19,
        VISITED_KINDS = 20
    };
    for (int level = 0; level <= last_level(); level++) {
        for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
            struct problem q = list[i];
            if (i < 2 || i == 8 || i == ONE_HEAD || i == WIDTHS || i == VISITED) add_head(&q.dist, HEAD_CATEGORICAL, 5, (int)i);
            if (i == 2 || i == PER_HEAD || i == PENALTY || i == STATE_KINDS || i == VISITED_KINDS) {
                add_head(&q.dist, HEAD_CATEGORICAL, 3, 1);
                add_head(&q.dist, HEAD_BERNOULLI, 4, 0);
                add_head(&q.dist, HEAD_GAUSSIAN, 2, 0);
                add_head(&q.dist, HEAD_CATEGORICAL, 6, -2);
            }
            if (i == 3 || i == FIXED || i == PENALTY_FIXED || i == STATE || i == STATE_HEADS) add_head(&q.dist, HEAD_GAUSSIAN, 3, 0);
            if (i == PENALTY_FIXED || i == STATE_HEADS) add_head(&q.dist, HEAD_GAUSSIAN, 2, 0);
            if (i >= STATE && i <= STATE_HEADS) add_deviations(&q.dist);
            if (i == FIXED || i == PENALTY_FIXED) q.dist.fixed_std = 0.5f;
            check_gradient(&q, level);
        }
    }
}

/* ---- forward ---- */

static const int row_counts[] = {0, 1, 2, 15, 16, 31, 33, 47, 48, 49, 63, 64, 65, 127, 129, 1000};

static void forward_rows(struct backend *b, const struct network *net, const real *parameters, const float *x, int first, int rows,
                         real *out)
{
    struct packed_rows *packed = b->packed_rows_create(b, net, rows);
    const struct batch batch = {NULL, rows, 1, NULL};
    const size_t inputs = (size_t)net->inputs, outs = (size_t)rows * (size_t)net->outputs;
    const struct forward_pass pass = {.net = net,
                                      .parameters = lend(b, parameters, net->parameters * sizeof(real)),
                                      .packed = packed,
                                      .out = b->alloc(b, "outputs", outs * sizeof(real))};
    b->pack(b, net, NULL, &packed, lend(b, x + (size_t)first * inputs, (size_t)rows * inputs * sizeof *x), &batch, 1);
    b->forward(b, &pass, 1);
    take(b, out, pass.out, outs * sizeof(real));
    b->free(b, pass.out);
    b->packed_rows_destroy(b, packed);
    lend_end(b);
}

static void forward_matches_naive_whatever_the_batch(void **state)
{
    (void)state;
    static const int widths[][3] = {{18, 64, 5}, {54, 64, 1}, {1, 1, 1}, {3, 33, 17}, {70, 130, 40}}; /* inputs, hidden, outputs */
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
        const int inputs = widths[w][0], outputs = widths[w][2];
        struct network net;
        struct naive_rng rng = {w + 1};
        naive_network(&net, inputs, widths[w][1], outputs, 2, (int)(w % 2), w != 3, w != 2, 0);
        double *p = calloc(net.parameters, sizeof *p), *expected = calloc(1000 * (size_t)outputs, sizeof *expected);
        real *parameters = calloc(net.parameters, sizeof *parameters), *alone = calloc((size_t)outputs, sizeof *alone),
             *out = calloc(1000 * (size_t)outputs, sizeof *out);
        float *x = calloc(1000 * (size_t)inputs, sizeof *x);
        naive_parameters(&net, &rng, p);
        for (size_t i = 0; i < net.parameters; i++) parameters[i] = (real)p[i];
        for (int i = 0; i < 1000 * inputs; i++) x[i] = (float)(2 * naive_uniform(&rng));
        for (int r = 0; r < 1000; r++) naive_forward(&net, p, x + r * inputs, expected + r * outputs);
        for (int level = 0; level <= last_level(); level++) {
            struct backend *b = open_backend(2, level);
            for (size_t c = 0; c < sizeof row_counts / sizeof row_counts[0]; c++) {
                const int rows = row_counts[c];
                forward_rows(b, &net, parameters, x, 0, rows, out);
                for (int i = 0; i < rows * outputs; i++) {
                    if (!(fabs((double)out[i] - expected[i]) <= output_tolerance * 4))
                        fail_msg("widths %zu, level %d, %d rows: output %d is %.12g, expected %.12g", w, level, rows, i, (double)out[i],
                                 expected[i]);
                }
                if (rows == 0) continue;
                forward_rows(b, &net, parameters, x, rows / 2, 1, alone);
                if (memcmp(alone, out + (size_t)(rows / 2) * (size_t)outputs, (size_t)outputs * sizeof *alone))
                    fail_msg("widths %zu, level %d: row %d of %d differs from the same row alone", w, level, rows / 2, rows);
            }
            b->close(b);
        }
        free(p), free(expected), free(parameters), free(alone), free(out), free(x);
    }
}

/* ---- threads, other passes, levels ---- */

static struct problem usual_policy(void)
{
    struct problem q = {.name = "policy",
                        .inputs = 18,
                        .hidden = 64,
                        .layers = 2,
                        .activation = ACTIVATION_TANH,
                        .feature_norm = true,
                        .layer_norm = true,
                        .units = 700,
                        .rows = 3,
                        .total = 800,
                        .masked = true,
                        .inactive = true,
                        .clip = 0.2};
    add_head(&q.dist, HEAD_CATEGORICAL, 5, 0);
    add_head(&q.dist, HEAD_GAUSSIAN, 2, 0);
    return q;
}

static struct problem usual_value(void)
{
    return (struct problem){.name = "value",
                            .inputs = 54,
                            .hidden = 64,
                            .layers = 2,
                            .activation = ACTIVATION_RELU,
                            .feature_norm = true,
                            .layer_norm = true,
                            .loss = LOSS_VALUE,
                            .units = 721,
                            .rows = 1,
                            .targets = 3,
                            .total = 721,
                            .inactive = true,
                            .clip = 0.2,
                            .huber = 10};
}

/* Gradients and sums of both problems, in one call of `train` or in two. */
static void train_both(struct problem *q, int threads, int level, bool together, real **gradient, real sums[2][PASS_SUMS])
{
    struct backend *b = open_backend(threads, level);
    const struct train_pass pass[2] = {problem_lend(&q[0], b), problem_lend(&q[1], b)};
    if (together) {
        b->train(b, pass, 2);
    } else {
        b->train(b, &pass[1], 1);
        b->train(b, &pass[0], 1);
    }
    for (int i = 0; i < 2; i++) {
        problem_take(&q[i], b, &pass[i]);
        memcpy(gradient[i], q[i].gradient, q[i].net.parameters * sizeof(real));
        memcpy(sums[i], q[i].sum, sizeof q[i].sum);
    }
    lend_end(b);
    b->close(b);
}

static void neither_threads_nor_other_passes_change_a_bit(void **state)
{
    (void)state;
    struct problem q[2] = {usual_policy(), usual_value()};
    real *first[2], *gradient[2];
    real sums[2][PASS_SUMS], first_sums[2][PASS_SUMS];
    for (int i = 0; i < 2; i++) {
        problem_build(&q[i]);
        first[i] = calloc(q[i].net.parameters, sizeof(real));
        gradient[i] = calloc(q[i].net.parameters, sizeof(real));
    }
    for (int level = 0; level <= last_level(); level++) {
        train_both(q, 1, level, true, first, first_sums);
        for (int threads = 1; threads <= 5; threads++) {
            train_both(q, threads, level, threads % 2 == 0, gradient, sums);
            for (int i = 0; i < 2; i++) {
                if (memcmp(gradient[i], first[i], q[i].net.parameters * sizeof(real)))
                    fail_msg("%s, level %d: gradient with %d threads differs from one thread's", q[i].name, level, threads);
            }
            if (memcmp(sums, first_sums, sizeof sums)) fail_msg("level %d: sums with %d threads differ from one thread's", level, threads);
        }
    }
    for (int i = 0; i < 2; i++) free(first[i]), free(gradient[i]), problem_clear(&q[i]);
}

static void levels_agree(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        struct problem q = which ? usual_value() : usual_policy();
        problem_build(&q);
        real *baseline = NULL;
        for (int level = 0; level <= last_level(); level++) {
            struct backend *b = open_backend(1, level);
            problem_train(&q, b);
            b->close(b);
            if (!baseline) {
                baseline = malloc(q.net.parameters * sizeof(real));
                memcpy(baseline, q.gradient, q.net.parameters * sizeof(real));
            }
            double largest = 0;
            for (size_t i = 0; i < q.net.parameters; i++) largest = fmax(largest, fabs((double)baseline[i]));
            for (size_t i = 0; i < q.net.parameters; i++) {
                if (!(fabs((double)q.gradient[i] - (double)baseline[i]) <= sum_tolerance * largest))
                    fail_msg("%s: gradient %zu at level %d is %.9g, at the baseline %.9g, largest %g", q.name, i, level,
                             (double)q.gradient[i], (double)baseline[i], largest);
            }
        }
        free(baseline);
        problem_clear(&q);
    }
}

static void no_rows_give_no_gradient(void **state)
{
    (void)state;
    struct problem q = usual_policy();
    q.units = 0;
    problem_build(&q);
    q.pass.batch.units = 0;
    for (size_t i = 0; i < q.net.parameters; i++) q.gradient[i] = 7;
    struct backend *b = open_backend(2, -1);
    problem_train(&q, b);
    for (size_t i = 0; i < q.net.parameters; i++) {
        if (q.gradient[i] != 0) fail_msg("gradient %zu of no rows is %g", i, (double)q.gradient[i]);
    }
    for (int i = 0; i < PASS_SUMS; i++) {
        if (q.sum[i] != 0) fail_msg("sum %d of no rows is %g", i, (double)q.sum[i]);
    }
    b->close(b);
    problem_clear(&q);
}

static void a_row_without_choices_has_no_gradient(void **state)
{
    (void)state;
    struct problem q = {.name = "nothing allowed",
                        .inputs = 5,
                        .hidden = 8,
                        .layers = 2,
                        .feature_norm = true,
                        .layer_norm = true,
                        .units = 70,
                        .rows = 1,
                        .total = 70,
                        .masked = true,
                        .clip = 0.2};
    add_head(&q.dist, HEAD_CATEGORICAL, 5, 0);
    problem_build(&q);
    memset(q.mask, 0, (size_t)q.total * (size_t)q.dist.logits);
    for (int i = 0; i < q.total; i++) q.old[i] = 0; /* a ratio away from the clip range's edges */
    struct backend *b = open_backend(1, -1);
    problem_train(&q, b);
    for (size_t i = 0; i < q.net.parameters; i++) {
        if (q.gradient[i] != 0) fail_msg("gradient %zu is %g where every choice is forbidden", i, (double)q.gradient[i]);
    }
    b->close(b);
    problem_clear(&q);
}

/* The learner stops on a loss that is not finite; the backend must not hide one. */
static void not_a_number_reaches_the_sums(void **state)
{
    (void)state;
    for (int level = 0; level <= last_level(); level++) {
        for (int which = 0; which < 4; which++) {
            struct problem q = which < 2 ? usual_policy() : usual_value();
            problem_build(&q);
            struct backend *b = open_backend(1, level);
            if (which % 2) {
                q.parameters[q.net.at.head_bias] = (real)NAN;
            } else {
                q.x[(size_t)(q.pass.batch.unit ? q.pass.batch.unit[5] : 5) * (size_t)q.rows * (size_t)q.inputs + 2] = NAN;
            }
            memset(q.active, 1, (size_t)q.total * (size_t)q.rows * (size_t)(q.targets ? q.targets : 1));
            problem_train(&q, b);
            if (isfinite(q.sum[SUM_LOSS]))
                fail_msg("%s, level %d: NaN in %s left the loss at %g", q.name, level, which % 2 ? "a parameter" : "an input",
                         q.sum[SUM_LOSS]);
            b->close(b);
            problem_clear(&q);
        }
    }
}

#include "backend_array_cases.h"
#include "backend_sampling_cases.h"
#include "backend_rollout_cases.h"
#include "backend_running_cases.h"
#include "backend_recurrent_cases.h"
#include "backend_conv_cases.h"
#include "backend_priority_cases.h"

static const struct CMUnitTest backend_tests[] = {
    cmocka_unit_test(gradients_match_finite_differences),
    cmocka_unit_test(forward_matches_naive_whatever_the_batch),
    cmocka_unit_test(neither_threads_nor_other_passes_change_a_bit),
    cmocka_unit_test(levels_agree),
    cmocka_unit_test(no_rows_give_no_gradient),
    cmocka_unit_test(a_row_without_choices_has_no_gradient),
    cmocka_unit_test(not_a_number_reaches_the_sums),
    cmocka_unit_test(actions_follow_their_distribution),
    cmocka_unit_test(real_actions_can_be_functions_of_outputs),
    cmocka_unit_test(given_actions_have_the_probability_they_were_drawn_with),
    cmocka_unit_test(agents_are_counted_over_all_groups),
    cmocka_unit_test(actions_do_not_depend_on_the_cut_of_the_batch),
    cmocka_unit_test(forward_act_is_forward_and_act),
    cmocka_unit_test(gae_matches_its_definition),
    cmocka_unit_test(moments_count_what_the_mask_lets_through),
    cmocka_unit_test(flat_vectors_match_their_formulas),
    cmocka_unit_test(compound_factors_match_their_formula),
    cmocka_unit_test(rows_of_environments_that_others_play_are_left_out),
    cmocka_unit_test(shuffles_are_permutations_without_a_favourite),
    cmocka_unit_test(selected_rows_cover_the_shard),
    cmocka_unit_test(selected_chunks_are_in_the_order_of_their_steps),
    cmocka_unit_test(ended_steps_are_found_in_their_order),
    cmocka_unit_test(values_are_scattered_to_their_places),
    cmocka_unit_test(rows_are_copied_into_wider_ones),
    cmocka_unit_test(the_first_number_that_is_none_is_found),
    cmocka_unit_test(learners_step_by_their_definitions),
    cmocka_unit_test(gradients_can_be_clipped_together),
    cmocka_unit_test(a_learner_that_has_gone_far_enough_stops),
    cmocka_unit_test(value_heads_keep_their_values_when_the_scale_moves),
    cmocka_unit_test(a_fault_keeps_every_parameter_as_it_is),
    cmocka_unit_test(running_statistics_are_those_of_all_rows),
    cmocka_unit_test(rows_are_packed_on_the_scale_of_running_statistics),
    cmocka_unit_test(rewards_are_scaled_and_discounted_as_they_say),
    RECURRENT_TESTS,
    CONV_TESTS,
    PRIORITY_TESTS,
};

#endif
