/* Cases of running statistics for every backend; a part of backend_cases.h, which includes it. */
#ifndef TESTS_BACKEND_RUNNING_CASES_H
#define TESTS_BACKEND_RUNNING_CASES_H

/* Columns as environments have them: about 0, far from 0 with a small spread, always the same, and 0 or 1. */
static float running_sample(struct naive_rng *rng, int j)
{
    const double u = naive_uniform(rng);
    return (float)(j % 4 == 0 ? u : j % 4 == 1 ? 1000 + 0.01 * u : j % 4 == 2 ? -3 : u > 0.9);
}

static void running_statistics_are_those_of_all_rows(void **state)
{
    (void)state;
    enum { UNITS = 40, A = 3, N = UNITS * A, D = 37, ROUNDS = 5, M = 1 + 2 * D, HALF = UNITS / 2 };
    struct backend *b = open_backend(2, -1);
    struct naive_rng rng = {4};
    static float x[N * D], seen[ROUNDS * N * D];
    double moments[M] = {0}, sums[2][M];
    real scale[2 * D];
    uint8_t mask[N];
    int32_t unit[UNITS];
    int rows = 0;
    const struct running running = {D, LEND(b, moments), LEND(b, scale)};
    double *const there = LEND(b, sums);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N * D; i++) x[i] = running_sample(&rng, i % D);
        for (int i = 0; i < N; i++) mask[i] = round == 3 ? 0 : naive_uniform(&rng) > -0.5; /* a rollout in which nobody was active */
        for (int u = 0; u < UNITS; u++) unit[u] = (u * 7 + round) % UNITS;
        const uint8_t *lent_mask = LEND(b, mask);
        const float *lent_x = LEND(b, x);
        const int32_t *lent_unit = LEND(b, unit);
        struct running_pass pass[2];
        for (int s = 0; s < 2; s++)
            pass[s] = (struct running_pass){.running = running,
                                            .x = lent_x,
                                            .mask = round == 0 ? NULL : lent_mask,
                                            .batch = {lent_unit + s * HALF, HALF, A, NULL},
                                            .sums = there + s * M};
        b->running_measure(b, pass, 2);
        TAKE(b, sums, there);
        for (int k = 0; k < M; k++) sums[0][k] += sums[1][k];
        b->upload(b, there, sums, sizeof sums);
        b->running_take(b, pass, 1);
        for (int i = 0; i < N; i++)
            if (round == 0 || mask[i]) memcpy(seen + (size_t)rows++ * D, x + (size_t)i * D, D * sizeof *x);
    }
    TAKE(b, moments, running.moments);
    TAKE(b, scale, running.scale);
    assert_true(moments[0] == rows);
    for (int j = 0; j < D; j++) {
        double mean = 0, variance = 0;
        for (int i = 0; i < rows; i++) mean += (double)seen[i * D + j] / rows;
        for (int i = 0; i < rows; i++) variance += ((double)seen[i * D + j] - mean) * ((double)seen[i * D + j] - mean) / rows;
        if (!(fabs(moments[1 + j] - mean) <= 1e-12 * (1 + fabs(mean))))
            fail_msg("mean %d is %.17g, expected %.17g", j, moments[1 + j], mean);
        /* The first rows are measured about 0, where squares lose what double can't hold of the mean's. */
        if (!(fabs(moments[1 + D + j] - variance) <= 1e-9 * variance + 1e-15 * mean * mean))
            fail_msg("variance %d is %.17g, expected %.17g", j, moments[1 + D + j], variance);
        check_close("mean of the scale", (size_t)j, scale[j], mean, 1e-6);
        check_close("inverse deviation", (size_t)j, scale[D + j], 1 / sqrt(moments[1 + D + j] + 1e-8), 1e-6);
    }
    lend_end(b);
    b->close(b);
}

/* Outputs of the network for rows [0, N), packed with statistics or as they are. */
static void running_forward(struct backend *b, const struct network *net, const real *parameters, const struct running *inputs,
                            const float *x, int rows, real *out)
{
    struct packed_rows *packed = b->packed_rows_create(b, net, rows);
    const size_t outs = (size_t)rows * (size_t)net->outputs;
    const struct batch batch = {NULL, rows, 1, NULL};
    const struct forward_pass pass = {.net = net,
                                      .parameters = lend(b, parameters, net->parameters * sizeof(real)),
                                      .packed = packed,
                                      .out = b->alloc(b, "outputs", outs * sizeof(real))};
    b->pack(b, net, inputs, &packed, lend(b, x, (size_t)rows * (size_t)net->inputs * sizeof *x), &batch, 1);
    b->forward(b, &pass, 1);
    take(b, out, pass.out, outs * sizeof(real));
    b->free(b, pass.out);
    b->packed_rows_destroy(b, packed);
}

static void rows_are_packed_on_the_scale_of_running_statistics(void **state)
{
    (void)state;
    enum { ROWS = 131, MOST = 70, OUT = 5 };
    for (int kind = 0; kind < 8; kind++) {
        const int inputs = kind & 1 ? 70 : 5, hidden = kind & 2 ? 130 : 64;
        struct network net;
        struct naive_rng rng = {(uint64_t)kind + 1};
        naive_network(&net, inputs, hidden, OUT, 2, ACTIVATION_TANH, kind & 4, true, 0);
        double *p = calloc(net.parameters, sizeof *p), expected[OUT];
        real *parameters = calloc(net.parameters, sizeof *parameters), out[ROWS * OUT], scale[2 * MOST];
        float x[ROWS * MOST], scaled[ROWS * MOST];
        naive_parameters(&net, &rng, p);
        for (size_t i = 0; i < net.parameters; i++) parameters[i] = (real)p[i];
        for (int j = 0; j < inputs; j++)
            scale[j] = (real)(3 * naive_uniform(&rng)), scale[inputs + j] = (real)(2.5 + 2 * naive_uniform(&rng));
        for (int i = 0; i < ROWS * inputs; i++) {
            const int j = i % inputs;
            const double mean = (double)scale[j], inverse = (double)scale[inputs + j];
            x[i] = (float)(mean + (i % 11 == 3 ? 30 : 2) * naive_uniform(&rng) / inverse);
            scaled[i] = (float)fmin(10, fmax(-10, ((double)x[i] - mean) * inverse));
        }
        for (int level = 0; level <= last_level(); level++) {
            struct backend *b = open_backend(2, level);
            double moments[1 + 2 * MOST] = {0};
            const struct running running = {inputs, LEND(b, moments), lend(b, scale, 2 * (size_t)inputs * sizeof *scale)};
            running_forward(b, &net, parameters, &running, x, ROWS, out);
            for (int r = 0; r < ROWS; r++) {
                naive_forward(&net, p, scaled + r * inputs, expected);
                for (int o = 0; o < OUT; o++) check_close("output", (size_t)(r * OUT + o), out[r * OUT + o], expected[o], 5e-6);
            }
            lend_end(b);
            b->close(b);
        }
        free(p), free(parameters);
    }
}

static void rewards_are_scaled_and_discounted_as_they_say(void **state)
{
    (void)state;
    enum { T = 19, E = 6, A = 2, N = T * E * A };
    struct backend *b = open_backend(1, -1);
    struct naive_rng rng = {8};
    float reward[N], scaled[N], out[N];
    uint8_t ep_end[T * E];
    real now[E * A], advantage[2][N], ret[N], value[N + E * A] = {0};
    double expected[E * A];
    const real scale = (real)0.75;
    const struct normalizer norm = {.scale = {0, 1}};
    for (int i = 0; i < N; i++)
        reward[i] = (float)((i % 13 == 5 ? 40 : 1) * naive_uniform(&rng)), scaled[i] = (float)running_scaled((real)reward[i], 0, scale);
    for (int i = 0; i < T * E; i++) ep_end[i] = naive_uniform(&rng) > 0.6 ? (uint8_t)(1 + (naive_uniform(&rng) > 0)) : 0;
    for (int i = 0; i < E * A; i++) now[i] = (real)(expected[i] = naive_uniform(&rng));
    struct discount_pass discount = {.steps = T, .envs = E, .agents = A, .hi = 2, .gamma = (real)0.9, .reward = LEND(b, reward)};
    discount.ep_end = LEND(b, ep_end), discount.now = LEND(b, now), discount.out = LEND(b, out);
    struct discount_pass both[2] = {discount, discount};
    both[1].lo = 2, both[1].hi = E;
    b->discount(b, both, 2);
    TAKE(b, out, discount.out);
    TAKE(b, now, discount.now);
    for (int t = 0; t < T; t++)
        for (int i = 0; i < E * A; i++) {
            expected[i] = 0.9 * expected[i] + (double)reward[t * E * A + i];
            check_close("discounted return", (size_t)(t * E * A + i), (real)out[t * E * A + i], expected[i], 2e-6);
            if (ep_end[t * E + i / A]) expected[i] = 0;
        }
    for (int i = 0; i < E * A; i++) check_close("discounted return at the end", (size_t)i, now[i], expected[i], 2e-6);
    for (int k = 0; k < 2; k++) { /* rewards scaled by the pass, or before it */
        struct gae_pass gae = {
            .steps = T, .envs = E, .agents = A, .hi = E, .gamma = (real)0.9, .lambda = (real)0.8, .value_agents = A, .norms = 1};
        gae.norm = lend(b, &norm, sizeof norm), gae.reward = k ? LEND(b, scaled) : discount.reward, gae.ep_end = discount.ep_end;
        gae.reward_scale = k ? NULL : lend(b, &scale, sizeof scale);
        gae.value = LEND(b, value), gae.advantage = LEND(b, advantage[k]), gae.ret = LEND(b, ret);
        b->gae(b, &gae, 1);
        TAKE(b, advantage[k], gae.advantage);
    }
    for (int i = 0; i < N; i++) check_close("advantage", (size_t)i, advantage[0][i], (double)advantage[1][i], 1e-6);
    lend_end(b);
    b->close(b);
}

#endif
