/* Which networks the CUDA backend computes by kernels that hold a whole network on chip, and that these give what the CPU gives: widths
 * that they have and widths in between, few and many outputs, all kinds of heads, norms and activations, float32 and tf32. */
// slow
// timeout: 300
#define TESTED_BACKEND "cuda"
#include "backend_cases.h"

static struct backend *open_as(const char *name, int precision, bool planning)
{
    struct backend *b = NULL;
    struct error err = {0};
    const struct backend_config config = {
        .name = name, .threads = 1, .level = -1, .device = -1, .precision = precision, .graphs = true, .planning = planning};
    if (backend_open(&b, &config, &err)) fail_msg("backend_open: %s", err.text);
    return b;
}

/* ---- which way ---- */

/* Only networks that go layer by layer through memory need room for what lies between their layers. */
static bool is_fused(const struct network *net, int precision)
{
    char text[1024];
    size_t need;
    struct error err = {0};
    struct backend *b = open_as("cuda", precision, true);
    struct packed_rows *packed = b->packed_rows_create(b, net, 100000);
    if (b->memory_plan(b, &need, text, sizeof text, &err)) fail_msg("memory_plan: %s", err.text);
    b->packed_rows_destroy(b, packed);
    b->close(b);
    return strstr(text, "work space of layers") == NULL;
}

static bool emulated(void)
{
    struct backend *b = open_as("cuda", PRECISION_FP32, true);
    const bool yes = strstr(b->detail, "emulated") != NULL;
    b->close(b);
    return yes;
}

struct way {
    int inputs, hidden, layers, outputs;
    bool fused;
};

static void check_ways(const struct way *way, size_t ways, const char *where)
{
    const bool any_device = !emulated();
    for (size_t i = 0; i < ways; i++) {
        /* Real devices have different amounts of shared memory; what needs little fits all. */
        if (any_device && way[i].fused && (way[i].hidden > 64 || way[i].layers > 2)) continue;
        for (int precision = PRECISION_FP32; precision <= PRECISION_BF16; precision++) {
            struct network net;
            naive_network(&net, way[i].inputs, way[i].hidden, way[i].outputs, way[i].layers, ACTIVATION_TANH, true, true, 0);
            if (is_fused(&net, precision) != way[i].fused)
                fail_msg("%s, precision %d: %d inputs, %d layers of %d, %d outputs are %s", where, precision, way[i].inputs, way[i].layers,
                         way[i].hidden, way[i].outputs, way[i].fused ? "not fused" : "fused");
        }
    }
}

static void networks_that_fit_on_chip_are_fused(void **state)
{
    (void)state;
    static const struct way way[] = {{1, 1, 2, 1, true},     {18, 16, 2, 5, true},   {18, 32, 2, 5, true},    {18, 63, 2, 5, true},
                                     {18, 64, 2, 5, true},   {64, 64, 2, 32, true},  {18, 65, 2, 5, true},    {18, 96, 2, 5, true},
                                     {18, 128, 2, 5, true},  {54, 128, 2, 1, true},  {64, 128, 2, 5, true},   {65, 64, 2, 5, false},
                                     {65, 128, 2, 5, false}, {18, 64, 2, 33, false}, {18, 128, 2, 33, false}, {18, 129, 2, 5, false},
                                     {18, 128, 3, 5, false}, {18, 64, 4, 5, false},  {18, 128, 1, 5, false},  {18, 64, 1, 5, true},
                                     {18, 64, 3, 5, true},   {64, 64, 3, 32, true},  {3, 20, 3, 1, true}};
    check_ways(way, sizeof way / sizeof *way, "a block has 227 KiB");
}

/* The wide shape needs most of an H100's shared memory. */
static void devices_with_little_shared_memory_go_layer_by_layer(void **state)
{
    (void)state;
    static const struct way ampere[] = {{18, 64, 2, 5, true}, {54, 64, 2, 1, true}, {54, 128, 2, 1, false}},
                            laptop[] = {{18, 64, 2, 5, true}, {18, 128, 2, 5, false}, {18, 64, 1, 5, true}, {18, 64, 3, 5, false}};
    if (!emulated()) skip();
    setenv("MAPPO_EMULATE_SHARED", "166912", 1);
    check_ways(ampere, sizeof ampere / sizeof *ampere, "a block has 163 KiB");
    setenv("MAPPO_EMULATE_SHARED", "101376", 1);
    check_ways(laptop, sizeof laptop / sizeof *laptop, "a block has 99 KiB");
    unsetenv("MAPPO_EMULATE_SHARED");
}

/* ---- what comes of it ---- */

enum { HEADS_CATEGORICAL, HEADS_ALL_KINDS, HEADS_GAUSSIAN, HEADS_VALUE, HEADS_MANY, HEADS_KINDS };

static struct problem shape_of(int inputs, int hidden, int layers, int heads, int units)
{
    struct problem q = {.name = "shapes",
                        .inputs = inputs,
                        .hidden = hidden,
                        .layers = layers,
                        .loss = heads == HEADS_VALUE ? LOSS_VALUE : LOSS_POLICY,
                        .units = units,
                        .rows = 1,
                        .targets = heads == HEADS_VALUE ? 2 : 0,
                        .total = units + 3,
                        .masked = true,
                        .inactive = true,
                        .clip = heads == HEADS_VALUE ? 0 : 0.2, /* a value on the other side of its clip has another gradient */
                        .huber = 3};
    if (heads != HEADS_GAUSSIAN && heads != HEADS_VALUE) add_head(&q.dist, HEAD_CATEGORICAL, 5, 0);
    if (heads == HEADS_ALL_KINDS) add_head(&q.dist, HEAD_BERNOULLI, 2, 0);
    if (heads == HEADS_ALL_KINDS || heads == HEADS_GAUSSIAN) add_head(&q.dist, HEAD_GAUSSIAN, 3, 0);
    if (heads == HEADS_MANY) add_head(&q.dist, HEAD_CATEGORICAL, 26, 1);
    return q;
}

/* The largest difference against the largest number or, `whole`, the length of the difference of two vectors against that of one. */
static void expect_close(const struct problem *q, const char *what, const real *a, const real *b, size_t n, double tolerance, bool whole)
{
    double largest = 1, difference = 0, squares = 1, wrong = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];
        largest = fmax(largest, fabs((double)b[i]));
        difference = d != d ? INFINITY : fmax(difference, fabs(d));
        squares += (double)b[i] * (double)b[i];
        wrong += d * d;
    }
    const double found = whole ? sqrt(wrong / squares) : difference / largest;
    if (!(found <= tolerance))
        fail_msg("%d inputs, %d layers of %d, %d outputs, %d rows, activation %d, norms %d %d: %s differs from the CPU's by %.3g, of "
                 "which %.3g are tolerated",
                 q->inputs, q->layers, q->hidden, q->net.outputs, q->units, q->activation, q->feature_norm, q->layer_norm, what, found,
                 tolerance);
}

/* Outputs, gradient and sums of a network against the CPU's; twice the same bits. */
static void check_network(struct problem *q, struct backend *cpu, struct backend *cuda, double tolerance, bool whole)
{
    problem_build(q);
    const size_t n = q->net.parameters, outputs = (size_t)q->units * (size_t)q->net.outputs;
    real *expected = calloc(n + outputs, sizeof *expected), *first = calloc(n, sizeof *first), *out = calloc(outputs + 1, sizeof *out);
    real sums[PASS_SUMS];
    forward_rows(cpu, &q->net, q->parameters, q->x, 0, q->units, expected + n);
    forward_rows(cuda, &q->net, q->parameters, q->x, 0, q->units, out);
    expect_close(q, "output", out, expected + n, outputs, tolerance, whole);
    problem_train(q, cpu);
    memcpy(expected, q->gradient, n * sizeof *expected);
    memcpy(sums, q->sum, sizeof sums);
    problem_train(q, cuda);
    memcpy(first, q->gradient, n * sizeof *first);
    expect_close(q, "gradient", q->gradient, expected, n, tolerance, whole);
    expect_close(q, "sum", q->sum, sums, PASS_SUMS, tolerance, whole);
    problem_train(q, cuda);
    if (memcmp(first, q->gradient, n * sizeof *first)) fail_msg("hidden %d: the same pass gives other bits", q->hidden);
    free(expected);
    free(first);
    free(out);
    problem_clear(q);
}

static void check_networks(int precision, double tolerance, bool whole)
{
    static const int shape[][2] =
        {/* hidden, layers */
         {1, 2}, {16, 2}, {32, 2}, {47, 2}, {64, 2}, {65, 2}, {96, 2}, {127, 2}, {128, 2}, {64, 1}, {64, 3}, {21, 1}, {50, 3}},
                     inputs[] = {18, 3, 54, 25, 64, 41}, units[] = {37, 1, 131, 64, 7, 200, 90};
    struct backend *cpu = open_as("cpu", 0, false), *cuda = open_as("cuda", precision, false);
    int number = 0;
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
        for (int norms = 0; norms < 4; norms++) {
            for (int activation = 0; activation < 2; activation++, number++) {
                struct problem q = shape_of(inputs[number % 6], shape[s][0], shape[s][1], number * 2 % HEADS_KINDS, units[number * 3 % 7]);
                q.activation = activation ? ACTIVATION_TANH : ACTIVATION_RELU;
                q.layer_norm = norms & 1;
                q.feature_norm = norms & 2;
                /* Not of one unit: its norm is 0, and what rounding leaves of that is divided by √1e-5, and by small deviations. */
                const int deviation = shape[s][0] > 1 && q.dist.act_reals ? number / 5 % 3 : 0;
                if (deviation == 1) q.dist.fixed_std = 0.5f;
                if (deviation == 2) add_deviations(&q.dist);
                q.penalty = number / 15 % 2;
                check_network(&q, cpu, cuda, tolerance, whole);
            }
        }
    }
    cuda->close(cuda);
    cpu->close(cpu);
}

/* Two machines add up in different orders: float loses some units of the last place of the largest number of a tensor. */
static void fused_networks_give_what_the_cpu_gives(void **state)
{
    (void)state;
    check_networks(PRECISION_FP32, 2e-5, false);
}

/* The threads of a row share its choices or returns: as many as they are, one more, one less, and more than they take at a time. */
static void any_number_of_choices_and_returns_gives_what_the_cpu_gives(void **state)
{
    (void)state;
    static const int choices[] = {1, 2, 3, 7, 8, 9, 15, 16, 17}, targets[] = {1, 2, 3, 4, 5, 9};
    struct backend *cpu = open_as("cpu", 0, false), *cuda = open_as("cuda", PRECISION_FP32, false);
    for (int hidden = 64; hidden <= 128; hidden *= 2) {
        for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
            struct problem q = shape_of(18, hidden, 2, HEADS_GAUSSIAN, 77);
            memset(&q.dist, 0, sizeof q.dist);
            add_head(&q.dist, HEAD_CATEGORICAL, choices[i], 2);
            q.masked = i % 2 == 1;
            check_network(&q, cpu, cuda, 2e-5, false);
        }
        for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
            struct problem q = shape_of(18, hidden, 2, HEADS_VALUE, 77);
            q.targets = targets[i];
            check_network(&q, cpu, cuda, 2e-5, false);
        }
    }
    cuda->close(cuda);
    cpu->close(cpu);
}

/* Operands of 11 bits: products are wrong by up to 2^-11 each, in both directions, and a ReLU near its kink may fall on the other side,
 * which changes a single number by much and all of them by little. */
static void tf32_networks_differ_by_their_rounding(void **state)
{
    (void)state;
    check_networks(PRECISION_TF32, 4e-2, true);
}

int main(void)
{
    (void)backend_tests;
    const struct CMUnitTest tests[] = {cmocka_unit_test(networks_that_fit_on_chip_are_fused),
                                       cmocka_unit_test(devices_with_little_shared_memory_go_layer_by_layer),
                                       cmocka_unit_test(fused_networks_give_what_the_cpu_gives),
                                       cmocka_unit_test(any_number_of_choices_and_returns_gives_what_the_cpu_gives),
                                       cmocka_unit_test(tf32_networks_differ_by_their_rounding)};
    return cmocka_run_group_tests_name("fused_cuda", tests, NULL, NULL);
}
