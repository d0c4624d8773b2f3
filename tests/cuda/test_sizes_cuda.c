/* Networks of the CUDA backend of all sizes and shapes, against the CPU: widths around those that kernels cut at, rows around tiles and
 * parts, rows that are not there. */
// slow
// timeout: 300
#define TESTED_BACKEND "cuda"
#include "backend_cases.h"

/* Two machines add up in different orders: float loses some units of the last place of the largest number of a tensor. */
static const double gradient_difference = 2e-5;

static struct backend *open_with(const char *name, int precision)
{
    struct backend *b = NULL;
    struct error err = {0};
    const struct backend_config config = {.name = name, .threads = 1, .level = -1, .device = -1, .precision = precision, .graphs = true};
    if (backend_open(&b, &config, &err)) fail_msg("backend_open: %s", err.text);
    return b;
}

static struct backend *open_named(const char *name)
{
    return open_with(name, PRECISION_FP32);
}

static struct problem problem_of(int inputs, int hidden, int layers, int units, int rows)
{
    struct problem q = {.name = "sizes",
                        .inputs = inputs,
                        .hidden = hidden,
                        .layers = layers,
                        .activation = hidden % 2 ? ACTIVATION_RELU : ACTIVATION_TANH,
                        .feature_norm = true,
                        .layer_norm = hidden % 3 != 0,
                        .loss = units % 2 ? LOSS_POLICY : LOSS_VALUE,
                        .units = units,
                        .rows = rows,
                        .targets = 2,
                        .total = units,
                        .masked = true,
                        .inactive = true,
                        .rescaled = units % 4 == 0,
                        .clip = 0.2,
                        .huber = 3};
    if (q.loss == LOSS_VALUE) return q;
    add_head(&q.dist, HEAD_CATEGORICAL, 5, 0);
    add_head(&q.dist, HEAD_BERNOULLI, 2, 0);
    add_head(&q.dist, HEAD_GAUSSIAN, 2, 0);
    return q;
}

static void expect_close(const char *what, const struct problem *q, const real *a, const real *b, size_t n, double tolerance)
{
    double largest = 1;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)b[i]));
    for (size_t i = 0; i < n; i++) {
        if (!(fabs((double)a[i] - (double)b[i]) <= tolerance * largest))
            fail_msg("inputs %d, hidden %d, layers %d, rows %d: %s %zu of %zu is %.9g, on the CPU %.9g, largest %g (tolerance %g)",
                     q->inputs, q->hidden, q->layers, q->units * q->rows, what, i, n, (double)a[i], (double)b[i], largest, tolerance);
    }
}

/* Gradient and sums of a problem, twice on the device, against the CPU. */
static void check_problem(struct backend *cpu, struct backend *cuda, struct problem q)
{
    problem_build(&q);
    const size_t n = q.net.parameters;
    real *expected = calloc(n, sizeof *expected), *first = calloc(n, sizeof *first), sums[PASS_SUMS];
    problem_train(&q, cpu);
    memcpy(expected, q.gradient, n * sizeof *expected);
    memcpy(sums, q.sum, sizeof sums);
    problem_train(&q, cuda);
    memcpy(first, q.gradient, n * sizeof *first);
    expect_close("gradient", &q, q.gradient, expected, n, gradient_difference);
    expect_close("sum", &q, q.sum, sums, PASS_SUMS, gradient_difference);
    problem_train(&q, cuda);
    if (memcmp(first, q.gradient, n * sizeof *first))
        fail_msg("hidden %d, rows %d: the same pass gives other bits", q.hidden, q.units * q.rows);
    free(expected);
    free(first);
    problem_clear(&q);
}

static void check_sizes(struct backend *cpu, struct backend *cuda, int inputs, int hidden, int layers, int units, int rows)
{
    check_problem(cpu, cuda, problem_of(inputs, hidden, layers, units, rows));
}

static void gradients_are_the_cpus_at_all_sizes(void **state)
{
    (void)state;
    static const int size[][5] = {/* inputs, hidden, layers, units, rows */
                                  {1, 1, 1, 1, 1},    {3, 31, 2, 63, 1},   {18, 32, 2, 64, 1},   {33, 33, 3, 65, 1},   {70, 64, 2, 127, 1},
                                  {9, 65, 8, 21, 2},  {5, 128, 1, 129, 1}, {130, 130, 2, 30, 3}, {7, 256, 2, 257, 1},  {64, 257, 2, 40, 1},
                                  {12, 513, 1, 9, 3}, {4, 1024, 1, 10, 1}, {6, 1025, 2, 11, 1},  {2, 90, 1, 1001, 1},  {18, 64, 2, 4001, 1},
                                  {70, 31, 2, 63, 1}, {66, 1, 1, 5, 1},    {7, 33, 4, 65, 1},    {18, 128, 2, 2001, 1}};
    struct backend *cpu = open_named("cpu"), *cuda = open_named("cuda");
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        check_sizes(cpu, cuda, size[i][0], size[i][1], size[i][2], size[i][3], size[i][4]);
    cuda->close(cuda);
    cpu->close(cpu);
}

static void recurrent_gradients_are_the_cpus_at_all_sizes(void **state)
{
    (void)state;
    static const int size[][6] = {/* inputs, hidden, layers, units, rows, steps */
                                  {1, 1, 1, 1, 1, 1},     {18, 64, 2, 640, 1, 10}, {5, 31, 1, 66, 2, 4},   {70, 65, 2, 325, 1, 5},
                                  {9, 128, 1, 128, 1, 2}, {4, 33, 3, 333, 3, 9},   {12, 257, 1, 63, 1, 3}, {3, 1025, 1, 8, 1, 2}};
    static const int width[] = {65, 64, 64, 33, 1};
    struct backend *cpu = open_named("cpu"), *cuda = open_named("cuda");
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        struct problem q = problem_of(size[i][0], size[i][1], size[i][2], size[i][3], size[i][4]);
        q.steps = size[i][5];
        check_problem(cpu, cuda, q);
    }
    struct problem q = problem_of(18, 64, 2, 227, 1);
    q.steps = 5;
    q.width = width;
    check_problem(cpu, cuda, q);
    cuda->close(cuda);
    cpu->close(cpu);
}

/* Recorded and replayed the pass gives the bits of the calls. */
static void recurrent_passes_can_be_recorded(void **state)
{
    (void)state;
    struct backend *cuda = open_named("cuda");
    struct problem q = problem_of(7, 40, 1, 90, 1);
    q.steps = 6;
    problem_build(&q);
    problem_train(&q, cuda);
    real *expected = calloc(q.net.parameters, sizeof *expected), *nothing = calloc(q.net.parameters, sizeof *nothing);
    memcpy(expected, q.gradient, q.net.parameters * sizeof *expected);
    struct recurrent time;
    const struct train_pass pass = problem_lend_with(&q, cuda, &time);
    struct repeated replay = {NULL, false, false};
    for (int i = 0; i < 4; i++) {
        cuda->upload(cuda, pass.gradient, nothing, q.net.parameters * sizeof *nothing);
        if (!backend_replayed(cuda, &replay)) {
            cuda->train(cuda, &pass, 1);
            backend_recorded(cuda, &replay);
        }
        take(cuda, q.gradient, pass.gradient, q.net.parameters * sizeof *expected);
        if (memcmp(expected, q.gradient, q.net.parameters * sizeof *expected)) fail_msg("time %d of the recording has other bits", i);
    }
    if (!replay.recording) fail_msg("nothing was recorded");
    backend_forget(cuda, &replay);
    problem_take(&q, cuda, &pass);
    lend_end(cuda);
    cuda->close(cuda);
    free(expected);
    free(nothing);
    problem_clear(&q);
}

/* 4 M / 1300 numbers are 3072 rows of a part: one that is full, and one row more. */
static void gradients_are_the_cpus_where_rows_come_in_parts(void **state)
{
    (void)state;
    struct backend *cpu = open_named("cpu"), *cuda = open_named("cuda");
    for (int units = 3072; units <= 3073; units++) check_sizes(cpu, cuda, 3, 1300, 1, units, 1);
    cuda->close(cuda);
    cpu->close(cpu);
}

/* Of images 20 x 20: what 5 x 5 kernels of 4 channels see is cut into slices of 209 rows (8 M / 40,000 numbers), and 64 channels of features
 * make parts of 128 rows (4 M / 25,600). */
static void gradients_of_convolutions_are_the_cpus_in_slices_and_parts(void **state)
{
    (void)state;
    static const struct convolutions slices = {
        .layers = 1, .images = 1, .stride = 1600, .height = 20, .width = 20, .channels = 4, .outputs = {2}, .kernel = {5}, .same = true};
    static const struct convolutions parts = {
        .layers = 2, .images = 1, .stride = 400, .height = 20, .width = 20, .channels = 1, .outputs = {1, 64}, .kernel = {1, 1}};
    struct backend *cpu = open_named("cpu"), *cuda = open_named("cuda");
    struct problem q = problem_of(1600, 6, 1, 210, 1), r = problem_of(402, 6, 1, 65, 2);
    q.conv = &slices;
    r.conv = &parts;
    q.feature_norm = r.feature_norm = false;
    check_problem(cpu, cuda, q);
    check_problem(cpu, cuda, r);
    cuda->close(cuda);
    cpu->close(cpu);
}

/* One launch takes some passes only; sizes are mixed, so are fused and composed ones (four layers), some have no rows. */
static void many_passes_are_what_each_is_alone(void **state)
{
    (void)state;
    enum { PASSES = 19 };
    struct backend *cuda = open_named("cuda");
    struct problem q[PASSES];
    struct train_pass pass[PASSES];
    real *alone[PASSES];
    for (int i = 0; i < PASSES; i++) {
        q[i] = problem_of(5 + i, i % 4 == 1 ? 64 : 20 + i, i % 4 == 1 ? 2 : 1 + i % 4, i % 5 == 4 ? 0 : 10 + 7 * i, 1);
        problem_build(&q[i]);
        problem_train(&q[i], cuda);
        alone[i] = calloc(q[i].net.parameters, sizeof(real));
        memcpy(alone[i], q[i].gradient, q[i].net.parameters * sizeof(real));
    }
    for (int i = 0; i < PASSES; i++) pass[i] = problem_lend(&q[i], cuda);
    cuda->train(cuda, pass, PASSES);
    for (int i = 0; i < PASSES; i++) {
        problem_take(&q[i], cuda, &pass[i]);
        if (memcmp(alone[i], q[i].gradient, q[i].net.parameters * sizeof(real)))
            fail_msg("pass %d of %d has other bits than alone", i, PASSES);
        free(alone[i]);
        problem_clear(&q[i]);
    }
    lend_end(cuda);
    cuda->close(cuda);
}

/* Nine numbers of a row, between two others. */
static const struct convolutions small_image = {.layers = 2,
                                                .images = 1,
                                                .first = 1,
                                                .stride = 9,
                                                .height = 3,
                                                .width = 3,
                                                .channels = 1,
                                                .outputs = {3, 4},
                                                .kernel = {3, 2},
                                                .same = true};

/* Outputs of some rows at a time against those of all at once, to the bit: products take another shape of block at another number of rows.
 */
static void check_batches(struct backend *cuda, int inputs, int hidden, int layers, int outputs, int all, const struct convolutions *conv)
{
    static const int batch[] = {1, 33, 100, 700};
    struct network net;
    struct naive_rng rng = {1};
    naive_network(&net, inputs, hidden, outputs, layers, ACTIVATION_TANH, !conv, true, 0);
    if (conv) naive_add_convolutions(&net, conv);
    const size_t row = (size_t)outputs * sizeof(real);
    double *p = calloc(net.parameters, sizeof *p);
    real *parameters = calloc(net.parameters, sizeof *parameters), *whole = calloc((size_t)all, row), *some = calloc((size_t)all, row);
    float *x = calloc((size_t)(all * inputs), sizeof *x);
    naive_parameters(&net, &rng, p);
    for (size_t i = 0; i < net.parameters; i++) parameters[i] = (real)p[i];
    for (int i = 0; i < all * inputs; i++) x[i] = (float)(2 * naive_uniform(&rng));
    forward_rows(cuda, &net, parameters, x, 0, all, whole);
    for (size_t i = 0; i < sizeof batch / sizeof *batch; i++) {
        const int rows = batch[i], first = (all - rows) / 3;
        if (rows > all) continue;
        forward_rows(cuda, &net, parameters, x, first, rows, some);
        if (memcmp(some, whole + first * outputs, (size_t)rows * row))
            fail_msg("%s, hidden %d: %d rows have other bits than among %d", cuda->detail, hidden, rows, all);
    }
    free(p), free(parameters), free(whole), free(some), free(x);
}

static void rows_have_the_same_bits_in_any_batch(void **state)
{
    (void)state;
    for (int precision = PRECISION_FP32; precision <= PRECISION_BF16; precision++) {
        struct backend *cuda = open_with("cuda", precision);
        const int most = strstr(cuda->detail, "emulated") ? 2500 : 17000; /* that a device's multiprocessors get the largest blocks */
        check_batches(cuda, 18, 256, 2, 5, most, NULL);
        check_batches(cuda, 70, 130, 2, 40, 1000, NULL);
        check_batches(cuda, 7, 33, 4, 17, 1000, NULL);
        check_batches(cuda, 11, 20, 1, 3, 1000, &small_image);
        cuda->close(cuda);
    }
}

/* Operands of 11 bits, or of 8 where cuBLAS takes bf16: products are wrong by up to 2^-11 or 2^-8 each, in both directions. */
static void rounded_gradients_differ_by_their_rounding(void **state)
{
    (void)state;
    static const int size[][4] = {/* inputs, hidden, units, steps */
                                  {7, 256, 257, 0},
                                  {130, 130, 90, 0},
                                  {18, 64, 640, 10},
                                  {3, 129, 1000, 0}};
    static const double tolerance[] = {1e-5, 5e-3, 1e-2};
    struct backend *cpu = open_named("cpu");
    for (int precision = PRECISION_FP32; precision <= PRECISION_BF16; precision++) {
        struct backend *cuda = open_with("cuda", precision);
        for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
            struct problem q = problem_of(size[i][0], size[i][1], 2, size[i][2], 1);
            q.steps = size[i][3];
            q.activation = ACTIVATION_TANH; /* a ReLU near its kink may fall on the other side */
            problem_build(&q);
            const size_t n = q.net.parameters;
            double squares = 0, wrong = 0;
            real *expected = calloc(n, sizeof *expected);
            problem_train(&q, cpu);
            memcpy(expected, q.gradient, n * sizeof *expected);
            problem_train(&q, cuda);
            for (size_t j = 0; j < n; j++) {
                squares += (double)expected[j] * (double)expected[j];
                wrong += ((double)q.gradient[j] - (double)expected[j]) * ((double)q.gradient[j] - (double)expected[j]);
            }
            if (!(sqrt(wrong / squares) <= tolerance[precision]))
                fail_msg("%s, hidden %d: the gradient differs by %.3g of its length, of which %.3g are tolerated", cuda->detail, q.hidden,
                         sqrt(wrong / squares), tolerance[precision]);
            free(expected);
            problem_clear(&q);
        }
        cuda->close(cuda);
    }
    cpu->close(cpu);
}

enum { UNITS = 150, ROWS = 2 };

/* Of more than 1024 one is enough: the rest of a layer's work is that of smaller ones. */
static int layers_of(int hidden)
{
    return hidden > 1024 ? 1 : 2;
}

/* Outputs of a batch whose count is on the device; NULL: of all. */
static void forward_counted(struct backend *cuda, const struct problem *q, const float *x, const int32_t *count, real *out)
{
    const size_t bytes = (size_t)UNITS * ROWS * (size_t)q->net.outputs * sizeof *out;
    const struct batch batch = {NULL, UNITS, ROWS, count ? lend(cuda, count, sizeof *count) : NULL};
    struct forward_pass pass = {.net = &q->net,
                                .parameters = lend(cuda, q->parameters, q->net.parameters * sizeof(real)),
                                .packed = cuda->packed_rows_create(cuda, &q->net, UNITS * ROWS),
                                .out = lend(cuda, out, bytes)};
    cuda->pack(cuda, &q->net, NULL, &pass.packed, lend(cuda, x, (size_t)UNITS * ROWS * (size_t)q->inputs * sizeof *x), &batch, 1);
    cuda->forward(cuda, &pass, 1);
    take(cuda, out, pass.out, bytes);
    cuda->packed_rows_destroy(cuda, pass.packed);
    lend_end(cuda);
}

/* What lies beyond the count is neither read nor written. */
static void check_counts(struct backend *cuda, int hidden)
{
    static const int32_t count[] = {0, 1, 31, 32, 33, 149, 150};
    struct problem q = problem_of(11, hidden, layers_of(hidden), UNITS, ROWS);
    problem_build(&q);
    const size_t inputs = (size_t)UNITS * ROWS * (size_t)q.inputs, all = (size_t)UNITS * ROWS * (size_t)q.net.outputs;
    real *out = calloc(all, sizeof *out), *whole = calloc(all, sizeof *whole);
    float *x = calloc(inputs, sizeof *x);
    forward_counted(cuda, &q, q.x, NULL, whole);
    for (size_t i = 0; i < inputs; i++) x[i] = NAN;
    forward_counted(cuda, &q, x, NULL, out); /* leaves its NaN in the work space, where counts that grow leave it beyond them */
    for (size_t c = 0; c < sizeof count / sizeof *count; c++) {
        const size_t live = (size_t)count[c];
        for (size_t i = 0; i < all; i++) out[i] = -77;
        for (size_t i = 0; i < inputs; i++) x[i] = i < inputs / UNITS * live ? q.x[i] : NAN;
        forward_counted(cuda, &q, x, &count[c], out);
        for (size_t i = 0; i < all; i++) {
            const double expected = i < all / UNITS * live ? (double)whole[i] : -77;
            if ((double)out[i] != expected)
                fail_msg("hidden %d, %d of %d units: output %zu is %.9g, expected %.9g", hidden, (int)count[c], UNITS, i, (double)out[i],
                         expected);
        }
    }
    free(x), free(out), free(whole);
    problem_clear(&q);
}

static void rows_that_are_not_there_are_left_alone(void **state)
{
    (void)state;
    struct backend *cuda = open_named("cuda");
    check_counts(cuda, 64); /* fused */
    check_counts(cuda, 90);
    check_counts(cuda, 129);
    check_counts(cuda, 1030);
    cuda->close(cuda);
}

/* Gradients of the units that are there, whatever the others hold. */
static void check_counted_training(struct backend *cuda, int hidden, int32_t count, int steps, const struct convolutions *conv)
{
    struct problem q = problem_of(11, hidden, layers_of(hidden), 101, 2);
    q.steps = steps;
    q.conv = conv;
    if (conv) q.feature_norm = false;
    problem_build(&q);
    const size_t n = q.net.parameters;
    real *expected = calloc(n, sizeof *expected), sums[PASS_SUMS];
    q.pass.batch.units = q.time.batch.units = q.units = count;
    problem_train(&q, cuda);
    memcpy(expected, q.gradient, n * sizeof *expected);
    memcpy(sums, q.sum, sizeof sums);
    q.pass.batch.units = q.time.batch.units = q.units = 101;
    for (int u = count; u < 101; u++) {
        for (int j = 0; j < 2 * q.inputs; j++) q.x[q.unit[u] * 2 * q.inputs + j] = NAN;
    }
    problem_train(&q, cuda); /* leaves its NaN in the work space */
    q.pass.batch.count = lend(cuda, &count, sizeof count);
    struct recurrent time;
    struct train_pass pass = problem_lend_with(&q, cuda, &time);
    cuda->train(cuda, &pass, 1);
    problem_take(&q, cuda, &pass);
    lend_end(cuda);
    expect_close("gradient with a count", &q, q.gradient, expected, n, gradient_difference);
    expect_close("sum with a count", &q, q.sum, sums, PASS_SUMS, gradient_difference);
    free(expected);
    problem_clear(&q);
}

static void a_count_also_holds_in_training(void **state)
{
    (void)state;
    static const int32_t count[] = {0, 1, 40, 101};
    struct backend *cuda = open_named("cuda");
    for (size_t i = 0; i < sizeof count / sizeof *count; i++) {
        check_counted_training(cuda, 64, count[i], 0, NULL);
        check_counted_training(cuda, 90, count[i], 0, NULL);
        check_counted_training(cuda, 129, count[i], 0, NULL);
        check_counted_training(cuda, 1030, count[i], 0, NULL);
        check_counted_training(cuda, 40, count[i], 1, NULL);
        check_counted_training(cuda, 40, count[i], 0, &small_image);
    }
    cuda->close(cuda);
}

int main(void)
{
    (void)backend_tests;
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_are_the_cpus_at_all_sizes),
                                       cmocka_unit_test(recurrent_gradients_are_the_cpus_at_all_sizes),
                                       cmocka_unit_test(recurrent_passes_can_be_recorded),
                                       cmocka_unit_test(gradients_are_the_cpus_where_rows_come_in_parts),
                                       cmocka_unit_test(gradients_of_convolutions_are_the_cpus_in_slices_and_parts),
                                       cmocka_unit_test(many_passes_are_what_each_is_alone),
                                       cmocka_unit_test(rows_have_the_same_bits_in_any_batch),
                                       cmocka_unit_test(rounded_gradients_differ_by_their_rounding),
                                       cmocka_unit_test(rows_that_are_not_there_are_left_alone),
                                       cmocka_unit_test(a_count_also_holds_in_training)};
    return cmocka_run_group_tests_name("sizes_cuda", tests, NULL, NULL);
}
