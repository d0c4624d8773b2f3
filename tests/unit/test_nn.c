/* Networks before learning: layout, names, initialisation, action heads, the value normaliser. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/distribution.h"
#include "nn/images.h"
#include "nn/orthogonal.h"
#include "nn/policies.h"
#include "backend/kernels/normalizer.h"
#include "policies_hash.h"

static const struct network_config small = {.inputs = 18,
                                            .hidden = 64,
                                            .layers = 3,
                                            .heads = 2,
                                            .head_rows = {5, 10},
                                            .extra = 3,
                                            .activation = ACTIVATION_RELU,
                                            .feature_norm = true,
                                            .layer_norm = true};

static void tensors_cover_every_parameter_once(void **state)
{
    (void)state;
    struct network net;
    struct tensor tensor[NETWORK_MAX_TENSORS];
    network_build(&net, &small);
    const int count = network_tensors(&net, tensor, NETWORK_MAX_TENSORS);
    int *owners = calloc(net.parameters, sizeof *owners);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < tensor[i].shape[0] * tensor[i].shape[1] * tensor[i].shape[2] * tensor[i].shape[3]; k++)
            owners[tensor[i].offset + k]++;
    for (size_t i = 0; i < net.parameters; i++) assert_int_equal(owners[i], 1);
    assert_int_equal(net.parameters, 2 * 18 + 64 * 18 + 2 * 64 * 64 + 3 * 3 * 64 + 15 * 64 + 15 + 3);
    assert_int_equal(net.outputs, 15);
    free(owners);
}

/* The head that gives deviations lies behind the others, and begins with the same ones in every state. */
static void deviations_by_state_are_a_head_of_their_own(void **state)
{
    (void)state;
    struct network_config config = small;
    struct network net;
    struct tensor tensor[NETWORK_MAX_TENSORS];
    config.extra = 0;
    config.log_std_rows = 3;
    for (int init = INIT_ORTHOGONAL; init <= INIT_TORCH; init++) {
        network_build(&net, &config);
        assert_int_equal(net.outputs, 18);
        const int count = network_tensors(&net, tensor, NETWORK_MAX_TENSORS);
        const struct tensor *weight = &tensor[count - 2], *bias = &tensor[count - 1];
        assert_string_equal(weight->name, "log_std/weight");
        assert_true(weight->shape[0] == 3 && weight->shape[1] == 64 && weight->offset == net.at.head_weight + 15 * 64);
        assert_string_equal(bias->name, "log_std/bias");
        assert_true(bias->shape[0] == 3 && bias->offset == net.at.head_bias + 15);
        real *p = calloc(net.parameters, sizeof *p);
        network_initialise(&net, p, &(struct network_init){.seed = 3, .head_gain = 1, .log_std = (real)-0.5, .kind = init});
        for (int i = 0; i < 3 * 64; i++) assert_true(p[weight->offset + i] == 0);
        for (int i = 0; i < 3; i++) assert_true(p[bias->offset + i] == (real)-0.5);
        assert_true(p[net.at.head_weight + 14 * 64] != 0);
        free(p);
    }
}

static void tensors_are_named_as_in_pytorch(void **state)
{
    (void)state;
    static const char *const names[] = {"feature_norm/weight", "feature_norm/bias", "fc1/weight",   "fc1/bias",     "norm1/weight",
                                        "norm1/bias",          "fc2/weight",        "fc2/bias",     "norm2/weight", "norm2/bias",
                                        "fc3/weight",          "fc3/bias",          "norm3/weight", "norm3/bias",   "head0/weight",
                                        "head1/weight",        "head0/bias",        "head1/bias",   "log_std"};
    struct network net;
    struct tensor tensor[NETWORK_MAX_TENSORS];
    network_build(&net, &small);
    const int count = network_tensors(&net, tensor, NETWORK_MAX_TENSORS);
    assert_int_equal(count, sizeof names / sizeof *names);
    for (int i = 0; i < count; i++) assert_string_equal(tensor[i].name, names[i]);
    assert_int_equal(tensor[2].shape[0], 64); /* [out,in] */
    assert_int_equal(tensor[2].shape[1], 18);
}

/* Largest deviation of the shorter side's Gram matrix from gain² I. */
static double gram_error(const real *w, int rows, int columns, double gain)
{
    const int n = rows > columns ? columns : rows, length = rows > columns ? rows : columns;
    double worst = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int k = 0; k < length; k++)
                sum += rows > columns ? (double)w[k * columns + i] * (double)w[k * columns + j]
                                      : (double)w[i * columns + k] * (double)w[j * columns + k];
            worst = fmax(worst, fabs(sum - (i == j ? gain * gain : 0)));
        }
    return worst;
}

static void check_gains(int activation, double asked, double gain)
{
    struct network_config config = small;
    struct network net;
    config.activation = activation;
    network_build(&net, &config);
    real *p = calloc(net.parameters, sizeof *p);
    const struct network_init init = {.seed = 3, .index = 1, .head_gain = (real)0.01, .log_std = (real)-0.5, .hidden_gain = asked};
    network_initialise(&net, p, &init);
    const double rounding = 1e-6; /* of float32 weights: 64 products of numbers below 1 */
    assert_true(gram_error(p + net.at.weight[0], 64, 18, gain) < 4 * rounding);
    assert_true(gram_error(p + net.at.weight[1], 64, 64, gain) < 4 * rounding);
    /* Each head for itself: the two together would not be orthogonal. */
    assert_true(gram_error(p + net.at.head_weight, 5, 64, 0.01) < rounding);
    assert_true(gram_error(p + net.at.head_weight + 5 * 64, 10, 64, 0.01) < rounding);
    assert_true(gram_error(p + net.at.head_weight, 15, 64, 0.01) > 1e-6);
    for (int i = 0; i < 64; i++) {
        assert_true(p[net.at.bias[0] + i] == 0 && p[net.at.norm_weight[2] + i] == 1 && p[net.at.norm_bias[2] + i] == 0);
    }
    for (int i = 0; i < 3; i++) assert_true(p[net.at.extra + i] == (real)-0.5);
    free(p);
}

static void weights_are_orthogonal_with_the_reference_gains(void **state)
{
    (void)state;
    check_gains(ACTIVATION_RELU, 0, sqrt(2.0));
    check_gains(ACTIVATION_TANH, 0, 5.0 / 3.0);
    check_gains(ACTIVATION_TANH, 1.25, 1.25);
}

/* Whatever the shape: one vector, few (orthonormalised), more (a product of reflections), not a multiple of panels or strips. */
/* Uniform in ± bound: near both ends, with the variance of that, and 0 in the mean. */
static void check_bounded(const real *x, size_t n, double bound)
{
    double most = 0, least = 0, sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, (double)x[i]), least = fmin(least, (double)x[i]);
        sum += (double)x[i], squares += (double)x[i] * (double)x[i];
    }
    assert_true(most <= bound && least >= -bound);
    if (n < 500) return;
    assert_true(most > 0.98 * bound && least < -0.98 * bound);
    assert_true(fabs(sum / (double)n) < 4 * bound / sqrt(3.0 * (double)n));
    assert_true(fabs(3 * squares / (double)n / (bound * bound) - 1) < 0.15);
}

static void weights_begin_as_pytorchs_layers_do(void **state)
{
    (void)state;
    struct network net;
    network_build(&net, &(struct network_config){
                            .inputs = 9, .hidden = 64, .layers = 2, .heads = 2, .head_rows = {4, 5}, .layer_norm = true, .gru = true});
    real *p = calloc(net.parameters, sizeof *p), *again = calloc(net.parameters, sizeof *p);
    const struct network_init init = {.seed = 3, .index = 1, .kind = INIT_TORCH, .head_gain = (real)0.01};
    network_initialise(&net, p, &init);
    network_initialise(&net, again, &init);
    assert_memory_equal(p, again, net.parameters * sizeof *p);
    check_bounded(p + net.at.weight[0], 64 * 9, 1.0 / 3);
    check_bounded(p + net.at.bias[0], 64, 1.0 / 3);
    check_bounded(p + net.at.weight[1], 64 * 64, 0.125);
    check_bounded(p + net.at.gru_weight_ih, 192 * 64, 0.125);
    check_bounded(p + net.at.gru_bias_hh, 192, 0.125);
    check_bounded(p + net.at.head_weight, 9 * 64, 0.125);
    check_bounded(p + net.at.head_bias, 9, 0.125);
    for (int i = 0; i < 9; i++) assert_true(p[net.at.head_bias + i] != 0); /* of both heads */
    assert_true(p[net.at.weight[0]] != p[net.at.bias[0]] && p[net.at.norm_weight[0]] == 1);
    free(p);
    free(again);
}

static void every_shape_is_orthogonal_to_rounding(void **state)
{
    (void)state;
    static const int shape[][2] = {{1, 1}, {1, 300}, {300, 1}, {256, 300}, {257, 257}, {300, 600}, {600, 301}, {3 * 290, 290}};
    /* |q_i| = 1, and each number is off by at most 2^-24 of itself: by Cauchy and Schwarz a product is off by at most twice that. */
    const double rounding = 2 * ldexp(1, -24) + 1e-10;
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        const int rows = shape[i][0], columns = shape[i][1];
        const struct network_init init = {.seed = 5, .index = 2};
        real *w = malloc((size_t)rows * (size_t)columns * sizeof *w);
        orthogonal_fill(&init, 1, w, rows, columns, 1);
        const double error = gram_error(w, rows, columns, 1);
        if (error >= rounding) fail_msg("%d x %d: products of its vectors are off by %g, not %g at most", rows, columns, error, rounding);
        free(w);
    }
}

static void weights_depend_neither_on_threads_nor_on_the_instruction_level(void **state)
{
    (void)state;
    enum { ROWS = 333, COLUMNS = 291 };
    real *w[2];
    for (int i = 0; i < 2; i++) w[i] = malloc(sizeof(real) * ROWS * COLUMNS);
    orthogonal_fill(&(struct network_init){.seed = 7, .level = CPU_BASELINE, .threads = 1}, 3, w[0], ROWS, COLUMNS, 1.5);
    for (int level = CPU_BASELINE; level <= cpu_level_detect(); level++)
        for (int threads = 1; threads <= 3; threads += 2) {
            orthogonal_fill(&(struct network_init){.seed = 7, .level = level, .threads = threads}, 3, w[1], ROWS, COLUMNS, 1.5);
            assert_memory_equal(w[0], w[1], sizeof(real) * ROWS * COLUMNS);
        }
    for (int i = 0; i < 2; i++) free(w[i]);
}

/* Under the uniform distribution the trace has mean 0 and variance 1 (Diaconis and Shahshahani 1994), and so has √n times any number.
 * Without the signs of R's diagonal the trace would be about √n. */
static void check_uniform(int n)
{
    enum { SEEDS = 40 };
    double mean = 0, square = 0, corner = 0;
    real *w = malloc((size_t)n * (size_t)n * sizeof *w);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        double trace = 0;
        orthogonal_fill(&(struct network_init){.seed = seed, .level = cpu_level_detect()}, 0, w, n, n, 1);
        for (int i = 0; i < n; i++) trace += (double)w[i * (n + 1)];
        mean += trace / SEEDS;
        square += trace * trace / SEEDS;
        corner += (double)w[0] * (double)w[0] * n / SEEDS;
    }
    free(w);
    const double four_errors = 4 / sqrt(SEEDS), four_errors_of_squares = 4 * sqrt(2.0 / SEEDS);
    if (fabs(mean) > four_errors || fabs(square - 1) > four_errors_of_squares || fabs(corner - 1) > four_errors_of_squares)
        fail_msg("n = %d: trace has mean %g (0 ± %g), mean square %g; n times the first number's: %g (1 ± %g)", n, mean, four_errors,
                 square, corner, four_errors_of_squares);
}

static void weights_are_uniformly_distributed(void **state)
{
    (void)state;
    check_uniform(30);
    check_uniform(260);
}

static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Twenty-three seconds for policy.hidden=2048 came from loops like gram_error's: in blocks it takes a tenth of checking the result (a half
 * without optimisation), and took one and a half times as long. */
static void wide_networks_do_not_wait_for_their_weights(void **state)
{
    (void)state;
    enum { N = 700 };
    real *w = malloc(sizeof(real) * N * N);
    double least = INFINITY; /* of some tries: a busy machine is slow now and then */
    for (int i = 0; i < 4 && least > 1; i++) {
        const double start = processor_seconds();
        orthogonal_fill(&(struct network_init){.seed = 1, .level = cpu_level_detect()}, 0, w, N, N, 1);
        const double made = processor_seconds();
        assert_true(gram_error(w, N, N, 1) < 1e-6);
        least = fmin(least, (made - start) / (processor_seconds() - made));
    }
    if (least > 1) fail_msg("making them takes %.2f times as long as checking them", least);
    free(w);
}

static void recurrent_networks_are_laid_out_as_in_pytorch(void **state)
{
    (void)state;
    static const char *const names[] = {"gru/weight_ih", "gru/weight_hh", "gru/bias_ih", "gru/bias_hh", "gru_norm/weight", "gru_norm/bias"};
    struct network_config config = small;
    struct network plain, net;
    struct tensor tensor[NETWORK_MAX_TENSORS];
    network_build(&plain, &config);
    config.gru = true;
    config.gru_steps = 10;
    network_build(&net, &config);
    assert_int_equal(net.parameters - plain.parameters, 2 * 3 * 64 * 64 + 2 * 3 * 64 + 2 * 64);
    assert_int_equal(net.gru_steps, 10);
    assert_int_equal(network_tensors(&net, tensor, NETWORK_MAX_TENSORS), network_tensors(&plain, tensor, NETWORK_MAX_TENSORS) + 6);
    network_tensors(&net, tensor, NETWORK_MAX_TENSORS);
    for (int i = 0; i < 6; i++) assert_string_equal(tensor[14 + i].name, names[i]);
    assert_int_equal(tensor[15].shape[0], 3 * 64);
    assert_int_equal(tensor[15].shape[1], 64);
    real *p = calloc(net.parameters, sizeof *p);
    const struct network_init init = {.seed = 3, .index = 1, .head_gain = (real)0.01};
    network_initialise(&net, p, &init);
    assert_true(gram_error(p + net.at.gru_weight_ih, 3 * 64, 64, 1) < 4e-6); /* as one matrix, not gate by gate */
    assert_true(gram_error(p + net.at.gru_weight_hh, 3 * 64, 64, 1) < 4e-6);
    assert_true(gram_error(p + net.at.gru_weight_hh, 64, 64, 1) > 0.1);
    for (int i = 0; i < 3 * 64; i++) assert_true(p[net.at.gru_bias_ih + i] == 0 && p[net.at.gru_bias_hh + i] == 0);
    for (int i = 0; i < 64; i++) assert_true(p[net.at.gru_norm_weight + i] == 1 && p[net.at.gru_norm_bias + i] == 0);
    free(p);
}

static void convolutions_are_laid_out_as_in_pytorch(void **state)
{
    (void)state;
    static const char *const names[] = {"conv1/weight", "conv1/bias", "conv2/weight", "conv2/bias", "fc1/weight"};
    static const int weight[] = {8, 2 * 3, 5, 5};
    struct network_config config = small;
    struct network net;
    struct tensor tensor[NETWORK_MAX_TENSORS];
    config.inputs = 2 * (4 * 5 * 3 + 1); /* two agents' images and a number more of each */
    config.feature_norm = false;
    config.conv = (struct convolutions){
        .layers = 2, .images = 2, .stride = 61, .height = 4, .width = 5, .channels = 3, .outputs = {8, 7}, .kernel = {5, 3}, .same = true};
    network_build(&net, &config);
    network_tensors(&net, tensor, NETWORK_MAX_TENSORS);
    for (int i = 0; i < 5; i++) assert_string_equal(tensor[i].name, names[i]);
    assert_int_equal(tensor[0].rank, 4);
    for (int i = 0; i < 4; i++) assert_int_equal(tensor[0].shape[i], weight[i]);
    assert_int_equal(tensor[1].shape[0], 8);
    assert_int_equal(tensor[4].shape[1], 4 * 5 * 7 + 2);
    net.conv.same = false;
    net.conv.kernel[0] = 2;
    assert_int_equal(layer_inputs(&net, 0), 1 * 2 * 7 + 2); /* 4 x 5, 3 x 4, 1 x 2 */
    network_build(&net, &config);
    real *p = calloc(net.parameters, sizeof *p);
    const struct network_init init = {.seed = 3, .head_gain = (real)0.01};
    network_initialise(&net, p, &init);
    assert_true(gram_error(p + net.at.conv_weight[0], 8, 2 * 3 * 25, sqrt(2)) < 4e-6); /* one matrix of all channels and taps */
    assert_true(gram_error(p + net.at.conv_weight[1], 7, 8 * 9, sqrt(2)) < 4e-6);
    for (int i = 0; i < 8; i++) assert_true(p[net.at.conv_bias[0] + i] == 0);
    const struct network_init torch = {.seed = 3, .head_gain = 1, .kind = INIT_TORCH};
    network_initialise(&net, p, &torch);
    real most = 0;
    for (int i = 0; i < 8 * 2 * 3 * 25; i++) most = p[net.at.conv_weight[0] + i] > most ? p[net.at.conv_weight[0] + i] : most;
    assert_true(most < 1 / sqrt(2 * 3 * 25.0) && most > 0.98 / sqrt(2 * 3 * 25.0));
    free(p);
}

/* Two groups, of 2 and 3 agents, each of which sees 2 numbers and an image 3 x 4 x 5. */
static struct mappo_env_spec spec_of_images(void)
{
    struct mappo_env_spec spec = {.groups = 2, .state_size = 9};
    for (int g = 0; g < 2; g++) {
        struct mappo_group *group = &spec.group[g];
        *group = (struct mappo_group){.name = g ? "prey" : "wolf", .agents = 2 + g, .obs_heads = 2, .act_heads = 1};
        group->obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = 2};
        group->obs[1] = (struct mappo_space){.kind = MAPPO_BOX, .size = 60, .shape = {3, 4, 5}};
    }
    return spec;
}

static void expect_no_images(const struct mappo_env_spec *spec, const struct critic_view *view, const char *reason)
{
    struct convolutions conv = {.layers = 1, .outputs = {4}, .kernel = {3}, .same = true};
    struct error err = {0};
    assert_int_equal(images_of_critic(&conv, spec, 0, view, &err), EXIT_USAGE);
    if (!strstr(err.text, reason)) fail_msg("\"%s\" doesn't say \"%s\"", err.text, reason);
}

static void images_of_all_agents_are_found(void **state)
{
    (void)state;
    struct mappo_env_spec spec = spec_of_images();
    struct convolutions conv = {.layers = 1, .outputs = {4}, .kernel = {3}, .same = true};
    struct error err = {0};
    assert_int_equal(images_of_agent(&conv, &spec, 1, &err), 0);
    assert_true(conv.images == 1 && conv.first == 2 && conv.height == 3 && conv.width == 4 && conv.channels == 5);
    struct critic_view view = {.input = CRITIC_STATE, .concatenate = true};
    assert_int_equal(images_of_critic(&conv, &spec, 0, &view, &err), 0);
    assert_true(conv.images == 5 && conv.first == 2 && conv.stride == 62 && conv.channels == 5);
    const struct network net = {.inputs = 5 * 62, .conv = conv};
    for (int j = 0; j < net.inputs; j++) assert_int_equal(conv_is_image(&net, j), j % 62 >= 2);
    view.concatenate = false;
    expect_no_images(&spec, &view, "the environment's state, which the critic sees, is no image: critic.state=concat");
    view.input = CRITIC_AGENT_STATE;
    expect_no_images(&spec, &view, "critic.state=concat");
    view = (struct critic_view){.input = CRITIC_STATE_ID, .concatenate = true};
    spec.group[1].obs[1].shape[0] = 4, spec.group[1].obs[1].shape[1] = 3;
    expect_no_images(&spec, &view, "images of groups \"wolf\" and \"prey\", whose observations differ: algo=ippo");
    view.input = CRITIC_OBS;
    assert_int_equal(images_of_critic(&conv, &spec, 1, &view, &err), 0);
    assert_true(conv.images == 1 && conv.height == 4);
    spec.group[0].obs[0].shape[0] = spec.group[0].obs[0].shape[1] = 1, spec.group[0].obs[0].shape[2] = 2;
    expect_no_images(&spec, &view,
                     "convolves one image, height x width x channels, and what group \"wolf\" observes is 1 x 1 x 2 and 3 x 4 x 5");
}

static void initialisation_depends_on_seed_and_network_only(void **state)
{
    (void)state;
    struct network net;
    network_build(&net, &small);
    real *p[4];
    const struct network_init init[4] = {
        {.seed = 3, .head_gain = 1}, {.seed = 3, .head_gain = 1}, {.seed = 4, .head_gain = 1}, {.seed = 3, .index = 1, .head_gain = 1}};
    for (int i = 0; i < 4; i++) {
        p[i] = calloc(net.parameters, sizeof *p[i]);
        network_initialise(&net, p[i], &init[i]);
    }
    assert_memory_equal(p[0], p[1], net.parameters * sizeof(real));
    assert_true(p[0][net.at.weight[1]] != p[2][net.at.weight[1]]);
    assert_true(p[0][net.at.weight[1]] != p[3][net.at.weight[1]]);
    assert_true(p[0][net.at.weight[1]] != p[0][net.at.weight[2]]); /* nor are two layers alike */
    for (int i = 0; i < 4; i++) free(p[i]);
}

static void heads_follow_the_action_spaces(void **state)
{
    (void)state;
    static const int32_t n[] = {4}, start[] = {2}, parts[] = {3, 2}, part_start[] = {0, 5};
    struct mappo_group group = {.name = "g", .agents = 1, .act_heads = 4};
    group.act[0] = (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = n, .start = start};
    group.act[1] = (struct mappo_space){.kind = MAPPO_BOX, .size = 2};
    group.act[2] = (struct mappo_space){.kind = MAPPO_MULTI_DISCRETE, .size = 2, .n = parts, .start = part_start};
    group.act[3] = (struct mappo_space){.kind = MAPPO_MULTI_BINARY, .size = 3};
    struct distribution dist;
    struct error err = {0};
    int outputs, extra;
    struct deviation deviation = {.kind = STD_SHARED};
    assert_int_equal(distribution_build(&dist, &group, &deviation, &outputs, &extra, &err), 0);
    const struct head expected[] = {
        {HEAD_CATEGORICAL, 0, 4, 0, 2, 0}, {HEAD_GAUSSIAN, 4, 2, 0, 0, -1},  {HEAD_CATEGORICAL, 6, 3, 1, 0, 4},
        {HEAD_CATEGORICAL, 9, 2, 2, 5, 7}, {HEAD_BERNOULLI, 11, 3, 3, 0, 9},
    };
    assert_int_equal(dist.heads, 5);
    for (int i = 0; i < 5; i++) assert_memory_equal(&dist.head[i], &expected[i], sizeof expected[i]);
    assert_int_equal(outputs, 14);
    assert_int_equal(extra, 2);
    assert_int_equal(dist.logits, 12);
    assert_int_equal(dist.act_ints, 6);
    assert_int_equal(dist.act_reals, 2);
    assert_int_equal(dist.log_std_output, 0);
    deviation = (struct deviation){.kind = STD_FIXED, .fixed_std = 0.5f};
    assert_int_equal(distribution_build(&dist, &group, &deviation, &outputs, &extra, &err), 0);
    assert_int_equal(extra, 0); /* a constant deviation is no parameter */
    assert_int_equal(outputs, 14);
    assert_true(dist.fixed_std == 0.5f);
    deviation.kind = STD_STATE;
    assert_int_equal(distribution_build(&dist, &group, &deviation, &outputs, &extra, &err), 0);
    assert_true(extra == 0 && dist.fixed_std == 0);
    assert_int_equal(dist.log_std_output, 14); /* nor is one that is an output behind those of all heads */
    assert_int_equal(outputs, 16);
    assert_int_equal(distribution_outputs(&dist), 16);
    group.act[1] = group.act[0];
    assert_int_equal(distribution_build(&dist, &group, &deviation, &outputs, &extra, &err), 0);
    assert_true(dist.log_std_output == 0 && distribution_outputs(&dist) == outputs); /* choices have none */
}

static void too_many_heads_are_refused_by_name(void **state)
{
    (void)state;
    int32_t n[POLICY_MAX_HEADS + 1];
    for (int i = 0; i <= POLICY_MAX_HEADS; i++) n[i] = 2;
    struct mappo_group group = {.name = "crowd", .agents = 1, .act_heads = 1};
    group.act[0] = (struct mappo_space){.kind = MAPPO_MULTI_DISCRETE, .size = POLICY_MAX_HEADS + 1, .n = n};
    struct distribution dist;
    struct error err = {0};
    int outputs, extra;
    assert_int_equal(distribution_build(&dist, &group, &(struct deviation){.kind = STD_SHARED}, &outputs, &extra, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "crowd"));
}

static void empty_normaliser_scales_by_a_tenth(void **state)
{
    (void)state;
    struct normalizer norm = {0}, none = {0};
    normalizer_refresh(&norm, NORMALIZER_VALUENORM);
    assert_true(norm.scale.mean == 0);
    assert_true(fabs(norm.scale.deviation - 0.1) < 1e-15);
    /* One batch is debiased to its own moments: mean 2, variance 5 - 4. */
    const struct moments batch = {4, 8, 20}, nothing = {0, 0, 0};
    normalizer_update(&none, NORMALIZER_NONE, 0.99999, &batch);
    assert_true(none.scale.mean == 0 && none.scale.deviation == 1);
    normalizer_update(&norm, NORMALIZER_VALUENORM, 0.99999, &batch);
    assert_true(fabs(norm.scale.mean - 2) < 1e-9 && fabs(norm.scale.deviation - 1) < 1e-9);
    const double mean = norm.scale.mean;
    normalizer_update(&norm, NORMALIZER_VALUENORM, 0.99999, &nothing);
    assert_true(norm.scale.mean == mean);
}

/* ---- policies ------------------------------------------------------------------------------------------------------------------------ */

/* Two groups: three agents with one action head, and a single one. */
static struct mappo_env_spec two_groups(void)
{
    static const int32_t n[] = {4};
    struct mappo_env_spec spec = {.groups = 2};
    for (int g = 0; g < 2; g++) {
        spec.group[g] = (struct mappo_group){.name = g ? "lone" : "many", .agents = g ? 1 : 3, .obs_heads = 1, .act_heads = 1};
        spec.group[g].obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = 5 + g};
        spec.group[g].act[0] = (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = n};
    }
    return spec;
}

static struct policies *build_policies(struct backend *backend, const char *policy_share, const char *critic_share)
{
    static struct config config;
    const struct mappo_env_spec spec = two_groups();
    const struct policies_config how = {.central = true};
    struct policies *policies;
    struct error err = {0};
    config_defaults(&config);
    assert_int_equal(config_set(&config, "policy.hidden", "8", ORIGIN_COMMAND_LINE, "in a test", &err), 0);
    assert_int_equal(config_set(&config, "policy.share", policy_share, ORIGIN_COMMAND_LINE, "in a test", &err), 0);
    assert_int_equal(config_set(&config, "critic.share", critic_share, ORIGIN_COMMAND_LINE, "in a test", &err), 0);
    if (policies_create(&policies, &how, &config, &spec, backend, &err)) fail_msg("%s", err.text);
    return policies;
}

static const struct field *find_field(const struct field_list *list, const char *name)
{
    for (int i = 0; i < list->count; i++)
        if (!strcmp(list->field[i].name, name)) return &list->field[i];
    return NULL;
}

/* Every parameter stands in one field. */
static void check_cover(const struct policies *policies, const struct field_list *list)
{
    for (int g = 0; g < policies->groups; g++) {
        const struct policy *policy = policies->group[g];
        const struct policy_arrays *host = &policy->host;
        real *const block[] = {host->parameters, host->m, host->v};
        for (int b = 0; b < 3; b++) {
            int *owners = calloc(policy->size, sizeof *owners);
            for (int i = 0; i < list->count; i++) {
                const struct field *field = &list->field[i];
                const real *data = field->data;
                if (field->type != FIELD_REAL || data < block[b] || data >= block[b] + policy->size) continue;
                for (size_t k = 0; k < field_bytes(field) / sizeof(real); k++) owners[data - block[b] + (ptrdiff_t)k]++;
            }
            for (size_t i = 0; i < policy->size; i++) assert_int_equal(owners[i], 1);
            free(owners);
        }
    }
}

static void check_sharing(struct backend *backend, const char *policy_share, const char *critic_share, bool actor, bool critic)
{
    struct policies *policies = build_policies(backend, policy_share, critic_share);
    const struct policy *many = policies->group[0], *lone = policies->group[1];
    const bool shared[POLICY_ROLES] = {actor, critic};
    static const char *const role_name[POLICY_ROLES] = {"actor", "critic"};
    struct field_list list = {0};
    assert_int_equal(policies->groups, 2);
    policies_fields(policies, &list);
    check_cover(policies, &list);
    for (int role = 0; role < POLICY_ROLES; role++) {
        char all[64], third[64], moment[64];
        snprintf(all, sizeof all, "/policy/many/%s/fc1/weight", role_name[role]);
        snprintf(third, sizeof third, "/policy/many/2/%s/fc1/weight", role_name[role]);
        snprintf(moment, sizeof moment, "/optimizer/many%s/%s/exp_avg/fc1/weight", shared[role] ? "" : "/2", role_name[role]);
        assert_int_equal(many->sets[role], shared[role] ? 1 : 3);
        assert_int_equal(lone->sets[role], 1);
        assert_true((find_field(&list, all) != NULL) == shared[role] && (find_field(&list, third) != NULL) == !shared[role]);
        assert_non_null(find_field(&list, moment));
    }
    assert_true((find_field(&list, "/policy/many/value_norm") != NULL) == critic);
    assert_true((find_field(&list, "/policy/many/2/value_norm") != NULL) == !critic);
    assert_non_null(find_field(&list, "/policy/lone/critic/fc1/weight"));
    assert_int_equal(many->value_agents, critic ? 1 : 3);
    free(list.field);
    policies_destroy(policies);
}

static void critics_are_shared_as_actors_or_otherwise(void **state)
{
    (void)state;
    struct backend *backend;
    struct error err = {0};
    const struct backend_config cpu = {.name = "cpu", .threads = 1, .level = -1};
    assert_int_equal(backend_open(&backend, &cpu, &err), 0);
    check_sharing(backend, "true", "auto", true, true);
    check_sharing(backend, "false", "auto", false, false);
    check_sharing(backend, "true", "false", true, false);
    check_sharing(backend, "false", "true", false, true);
    check_sharing(backend, "0", "on", false, true); /* truth values in any spelling */
    backend->close(backend);
}

/* Who is shared with whom changes nobody's first parameters. */
static void a_network_begins_the_same_however_others_are_shared(void **state)
{
    (void)state;
    struct backend *backend;
    struct error err = {0};
    const struct backend_config cpu = {.name = "cpu", .threads = 1, .level = -1};
    assert_int_equal(backend_open(&backend, &cpu, &err), 0);
    struct policies *apart = build_policies(backend, "false", "auto"), *mixed = build_policies(backend, "true", "false");
    const struct policy *a = apart->group[0], *m = mixed->group[0];
    assert_memory_equal(policy_actor(a, a->parameters, 0), policy_actor(m, m->parameters, 0), a->net[ROLE_ACTOR].parameters * sizeof(real));
    for (int set = 0; set < 3; set++)
        assert_memory_equal(policy_critic(a, a->parameters, set), policy_critic(m, m->parameters, set),
                            a->net[ROLE_CRITIC].parameters * sizeof(real));
    assert_true(policies_hash(apart) != policies_hash(mixed));
    policies_destroy(apart);
    policies_destroy(mixed);
    backend->close(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_cover_every_parameter_once),
        cmocka_unit_test(tensors_are_named_as_in_pytorch),
        cmocka_unit_test(deviations_by_state_are_a_head_of_their_own),
        cmocka_unit_test(weights_are_orthogonal_with_the_reference_gains),
        cmocka_unit_test(weights_begin_as_pytorchs_layers_do),
        cmocka_unit_test(every_shape_is_orthogonal_to_rounding),
        cmocka_unit_test(weights_depend_neither_on_threads_nor_on_the_instruction_level),
        cmocka_unit_test(weights_are_uniformly_distributed),
        cmocka_unit_test(wide_networks_do_not_wait_for_their_weights),
        cmocka_unit_test(recurrent_networks_are_laid_out_as_in_pytorch),
        cmocka_unit_test(convolutions_are_laid_out_as_in_pytorch),
        cmocka_unit_test(images_of_all_agents_are_found),
        cmocka_unit_test(initialisation_depends_on_seed_and_network_only),
        cmocka_unit_test(heads_follow_the_action_spaces),
        cmocka_unit_test(too_many_heads_are_refused_by_name),
        cmocka_unit_test(empty_normaliser_scales_by_a_tenth),
        cmocka_unit_test(critics_are_shared_as_actors_or_otherwise),
        cmocka_unit_test(a_network_begins_the_same_however_others_are_shared),
    };
    return cmocka_run_group_tests_name("nn", tests, NULL, NULL);
}
