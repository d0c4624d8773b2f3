/* Networks with convolutions on a backend: part of backend_cases.h. */
#ifndef TESTS_BACKEND_CONV_CASES_H
#define TESTS_BACKEND_CONV_CASES_H

struct conv_case {
    struct convolutions conv;
    int inputs, hidden, layers, activation, steps; /* steps: as in struct problem */
};

/* Zeros around or none, kernels of every kind (even, larger than the image), several images with other columns before, between and behind
 * them, more channels than a block of the backends has, and a GRU. */
static const struct conv_case conv_cases[] = {
    {{.layers = 1, .images = 1, .stride = 9, .height = 3, .width = 3, .channels = 1, .outputs = {1}, .kernel = {3}, .same = true},
     9,
     3,
     1,
     ACTIVATION_RELU,
     0},
    {{.layers = 3,
      .images = 1,
      .stride = 40,
      .height = 4,
      .width = 5,
      .channels = 2,
      .outputs = {5, 3, 4},
      .kernel = {5, 3, 2},
      .same = true},
     40,
     7,
     2,
     ACTIVATION_TANH,
     0},
    {{.layers = 2, .images = 1, .stride = 60, .height = 5, .width = 4, .channels = 3, .outputs = {4, 33}, .kernel = {2, 3}},
     60,
     5,
     1,
     ACTIVATION_RELU,
     0},
    {{.layers = 2,
      .images = 3,
      .first = 2,
      .stride = 14,
      .height = 2,
      .width = 3,
      .channels = 2,
      .outputs = {3, 2},
      .kernel = {3, 1},
      .same = true},
     47,
     6,
     2,
     ACTIVATION_TANH,
     0},
    {{.layers = 2, .images = 2, .stride = 10, .height = 3, .width = 3, .channels = 1, .outputs = {2, 3}, .kernel = {2, 2}},
     21,
     4,
     1,
     ACTIVATION_RELU,
     3}};
enum { CONV_CASES = sizeof conv_cases / sizeof *conv_cases, CONV_ROWS = 130 };

static struct problem conv_problem(int which, int units, int rows)
{
    const struct conv_case *c = &conv_cases[which];
    return (struct problem){.name = "convolutions",
                            .inputs = c->inputs,
                            .hidden = c->hidden,
                            .layers = c->layers,
                            .activation = c->activation,
                            .layer_norm = which % 2 != 0,
                            .conv = &c->conv,
                            .loss = which % 2 ? LOSS_POLICY : LOSS_VALUE,
                            .units = units,
                            .rows = rows,
                            .targets = 1,
                            .total = units + 2,
                            .masked = true,
                            .inactive = true,
                            .clip = 0.2,
                            .huber = 3,
                            .steps = c->steps};
}

static void conv_heads(struct problem *q)
{
    if (q->loss != LOSS_POLICY) return;
    add_head(&q->dist, HEAD_CATEGORICAL, 4, 0);
    add_head(&q->dist, HEAD_GAUSSIAN, 2, 0);
}

static void convolutions_match_naive_whatever_the_batch(void **state)
{
    (void)state;
    for (int which = 0; which < CONV_CASES; which++) {
        struct problem q = conv_problem(which, CONV_ROWS, 1);
        if (q.steps > 0) continue; /* its forward pass is in the gradients' case */
        conv_heads(&q);
        problem_build(&q);
        const size_t outputs = (size_t)q.net.outputs;
        double *expected = calloc(CONV_ROWS * outputs, sizeof *expected);
        real *out = calloc(CONV_ROWS * outputs, sizeof *out), *alone = calloc(outputs, sizeof *alone);
        for (int r = 0; r < CONV_ROWS; r++) naive_forward(&q.net, q.p, q.x + r * q.inputs, expected + (size_t)r * outputs);
        for (int level = 0; level <= last_level(); level++) {
            struct backend *b = open_backend(2, level);
            static const int counts[] = {1, 17, 48, 49, 64, 65, CONV_ROWS};
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
                const int rows = counts[c];
                forward_rows(b, &q.net, q.parameters, q.x, 0, rows, out);
                for (size_t i = 0; i < (size_t)rows * outputs; i++)
                    if (!(fabs((double)out[i] - expected[i]) <= output_tolerance * 4))
                        fail_msg("case %d, level %d, %d rows: output %zu is %.12g, expected %.12g", which, level, rows, i, (double)out[i],
                                 expected[i]);
                forward_rows(b, &q.net, q.parameters, q.x, rows / 2, 1, alone);
                if (memcmp(alone, out + (size_t)(rows / 2) * outputs, outputs * sizeof *alone))
                    fail_msg("case %d, level %d: row %d of %d differs from the same row alone", which, level, rows / 2, rows);
            }
            b->close(b);
        }
        free(expected), free(out), free(alone);
        problem_clear(&q);
    }
}

static void gradients_of_convolutions_match_finite_differences(void **state)
{
    (void)state;
    for (int level = 0; level <= last_level(); level++)
        for (int which = 0; which < CONV_CASES; which++) {
            struct problem q = conv_problem(which, conv_cases[which].steps > 0 ? 17 * conv_cases[which].steps : 26, 2);
            conv_heads(&q);
            check_gradient(&q, level);
        }
}

static void convolutions_are_trained_to_the_same_bits_for_any_threads(void **state)
{
    (void)state;
    struct problem q = conv_problem(1, 700, 2), other = usual_policy();
    conv_heads(&q);
    problem_build(&q);
    problem_build(&other);
    check_threads(&q, &other);
    problem_clear(&q);
    problem_clear(&other);
}

static void no_images_give_no_gradient(void **state)
{
    (void)state;
    struct problem q = conv_problem(3, 0, 1);
    conv_heads(&q);
    problem_build(&q);
    for (size_t i = 0; i < q.net.parameters; i++) q.gradient[i] = 7;
    struct backend *b = open_backend(2, -1);
    problem_train(&q, b);
    for (size_t i = 0; i < q.net.parameters; i++)
        if (q.gradient[i] != 0) fail_msg("gradient %zu of no images is %g", i, (double)q.gradient[i]);
    b->close(b);
    problem_clear(&q);
}

#define CONV_TESTS                                                                                                                         \
    cmocka_unit_test(convolutions_match_naive_whatever_the_batch), cmocka_unit_test(gradients_of_convolutions_match_finite_differences),   \
        cmocka_unit_test(convolutions_are_trained_to_the_same_bits_for_any_threads), cmocka_unit_test(no_images_give_no_gradient)

#endif
