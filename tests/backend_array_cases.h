/* Cases of whole rollouts and flat vectors (GAE, moments, norms, Adam) for every backend; a part of backend_cases.h, which includes it. */
#ifndef TESTS_BACKEND_ARRAY_CASES_H
#define TESTS_BACKEND_ARRAY_CASES_H

static void check_close(const char *what, size_t i, real x, double expected, double tolerance)
{
    if (!(fabs((double)x - expected) <= tolerance * (1 + fabs(expected))))
        fail_msg("%s %zu is %.12g, expected %.12g", what, i, (double)x, expected);
}

/* A_t = Σ_k (γλ)^k δ_{t+k} up to the first end, written as that sum. */
static double naive_gae(const struct gae_pass *p, int t, int e, int a)
{
    double sum = 0, weight = 1;
    for (int k = t; k < p->steps; k++) {
        const size_t env = (size_t)(k * p->envs + e), i = env * (size_t)p->agents + (size_t)a,
                     v = env * (size_t)p->value_agents + (size_t)(p->value_agents > 1 ? a : 0);
        const double mean = (double)p->value_mean, deviation = (double)p->value_deviation;
        double follow = mean + deviation * (double)p->value[v + (size_t)(p->envs * p->value_agents)];
        const bool end = p->terminated[i] || p->ep_end[env];
        if (end) follow = !p->terminated[i] && p->ep_end[env] == 2 && p->bootstrap ? mean + deviation * (double)p->final_value[v] : 0;
        sum += weight * ((double)p->reward[i] + (double)p->gamma * follow - (mean + deviation * (double)p->value[v]));
        if (end) break;
        weight *= (double)p->gamma * (double)p->lambda;
    }
    return sum;
}

static void gae_matches_its_definition(void **state)
{
    (void)state;
    enum { T = 23, E = 7, A = 3 };
    for (int variant = 0; variant < 4; variant++) {
        const int values = variant % 2 ? A : 1;
        struct naive_rng rng = {(uint64_t)variant};
        static float reward[T * E * A];
        static uint8_t terminated[T * E * A], ep_end[T * E];
        static real value[(T + 1) * E * A], final_value[T * E * A], advantage[T * E * A], ret[T * E * A];
        for (int i = 0; i < T * E * A; i++) {
            reward[i] = (float)naive_uniform(&rng);
            terminated[i] = naive_uniform(&rng) > 0.9;
            final_value[i] = (real)naive_uniform(&rng);
        }
        for (int i = 0; i < T * E; i++) ep_end[i] = naive_uniform(&rng) > 0.6 ? (uint8_t)(1 + (naive_uniform(&rng) > 0)) : 0;
        for (int i = 0; i < (T + 1) * E * A; i++) value[i] = (real)naive_uniform(&rng);
        struct gae_pass pass[2] = {{.steps = T,
                                    .envs = E,
                                    .agents = A,
                                    .lo = 0,
                                    .hi = 4,
                                    .gamma = (real)0.97,
                                    .lambda = (real)0.9,
                                    .bootstrap = variant / 2,
                                    .value_agents = values,
                                    .value_mean = (real)-1.5,
                                    .value_deviation = (real)2.5,
                                    .reward = reward,
                                    .terminated = terminated,
                                    .ep_end = ep_end,
                                    .value = value,
                                    .final_value = final_value,
                                    .advantage = advantage,
                                    .ret = ret}};
        pass[1] = pass[0];
        pass[1].lo = 4;
        pass[1].hi = E;
        struct backend *b = open_backend(2, -1);
        b->gae(b, pass, 2);
        b->close(b);
        for (int t = 0; t < T; t++) {
            for (int e = 0; e < E; e++) {
                for (int a = 0; a < A; a++) {
                    const size_t i = (size_t)((t * E + e) * A + a), v = (size_t)((t * E + e) * values + (values > 1 ? a : 0));
                    const double expected = naive_gae(pass, t, e, a);
                    check_close("advantage", i, advantage[i], expected, output_tolerance);
                    check_close("return", i, ret[i], expected - 1.5 + 2.5 * (double)value[v], output_tolerance);
                }
            }
        }
    }
}

static void moments_count_what_the_mask_lets_through(void **state)
{
    (void)state;
    enum { UNITS = 50, ROWS = 3, EACH = 2 };
    real x[UNITS * ROWS * EACH];
    uint8_t mask[UNITS * ROWS * EACH];
    int32_t unit[2] = {7, 31};
    for (int i = 0; i < UNITS * ROWS * EACH; i++) x[i] = (real)(i % 17) - 5, mask[i] = i % 3 != 0;
    const struct batch batch[3] = {{NULL, UNITS, ROWS}, {unit, 2, ROWS}, {NULL, 0, ROWS}};
    struct moments m[3];
    struct backend *b = open_backend(1, -1);
    for (int masked = 0; masked < 2; masked++) {
        b->moments(b, x, masked ? mask : NULL, EACH, batch, m, 3);
        for (int k = 0; k < 3; k++) {
            double count = 0, sum = 0, squares = 0;
            for (int u = 0; u < batch[k].units; u++) {
                for (int i = 0; i < ROWS * EACH; i++) {
                    const int at = (batch[k].unit ? unit[u] : u) * ROWS * EACH + i;
                    if (masked && !mask[at]) continue;
                    count++, sum += (double)x[at], squares += (double)x[at] * (double)x[at];
                }
            }
            assert_true(m[k].count == count && m[k].sum == sum && m[k].sum_squares == squares);
        }
    }
    b->close(b);
}

static void flat_vectors_match_their_formulas(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 8, 9, 64, 65, 1000};
    for (int level = 0; level <= cpu_level_detect(); level++) {
        struct backend *b = open_backend(1, level);
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            const size_t n = sizes[s];
            real p[1001], g[1001], m[1001] = {0}, v[1001] = {0}, other[1001];
            double pd[1001], md[1001] = {0}, vd[1001] = {0}, squares = 0;
            struct naive_rng rng = {n};
            for (size_t i = 0; i <= n; i++)
                p[i] = (real)(float)naive_uniform(&rng), pd[i] = (double)p[i], g[i] = (real)(float)naive_uniform(&rng);
            for (size_t i = 0; i < n; i++) squares += (double)g[i] * (double)g[i];
            assert_true(fabs(b->sum_squares(b, g, n) - squares) <= 1e-12 * (1 + squares));
            for (int t = 1; t <= 3; t++) {
                const struct adam adam = {.learning_rate = (real)0.01,
                                          .beta1 = (real)0.9,
                                          .beta2 = (real)0.999,
                                          .eps = (real)1e-5,
                                          .weight_decay = (real)0.1,
                                          .step = t,
                                          .scale = (real)0.5};
                b->adam(b, &adam, p, g, m, v, n);
                const double b1 = (double)adam.beta1, b2 = (double)adam.beta2, lr = (double)adam.learning_rate;
                for (size_t i = 0; i < n; i++) {
                    const double gd = 0.5 * (double)g[i];
                    md[i] = b1 * md[i] + (1 - b1) * gd, vd[i] = b2 * vd[i] + (1 - b2) * gd * gd;
                    pd[i] -= lr * (double)adam.weight_decay * pd[i] +
                             lr * (md[i] / (1 - pow(b1, t))) / (sqrt(vd[i] / (1 - pow(b2, t))) + (double)adam.eps);
                }
            }
            for (size_t i = 0; i < n; i++) check_close("parameter after Adam", i, p[i], pd[i], output_tolerance);
            for (size_t i = 0; i < n; i++) other[i] = p[i];
            b->add(b, other, g, n);
            for (size_t i = 0; i < n; i++) check_close("sum", i, other[i], (double)p[i] + (double)g[i], output_tolerance);
            b->soft_update(b, other, p, (real)0.25, n);
            for (size_t i = 0; i < n; i++) check_close("target", i, other[i], (double)p[i] + 0.75 * (double)g[i], output_tolerance);
            b->standardise(b, other, n, (real)0.5, (real)4);
            for (size_t i = 0; i < n; i++)
                check_close("standardised", i, other[i], ((double)p[i] + 0.75 * (double)g[i] - 0.5) / 4, output_tolerance);
        }
        b->close(b);
    }
}

#endif
