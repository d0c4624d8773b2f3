/* Cases of whole rollouts and flat vectors (GAE, moments, norms, Adam) for every backend; a part of backend_cases.h, which includes it. */
#ifndef TESTS_BACKEND_ARRAY_CASES_H
#define TESTS_BACKEND_ARRAY_CASES_H

static void check_close(const char *what, size_t i, real x, double expected, double tolerance)
{
    if (!(fabs((double)x - expected) <= tolerance * (1 + fabs(expected))))
        fail_msg("%s %zu is %.12g, expected %.12g", what, i, (double)x, expected);
}

/* A_t = Σ_k (γλ)^k δ_{t+k} up to the first end, written as that sum: λ = 0 for one step. */
static double naive_gae(const struct gae_pass *p, int t, int e, int a, double lambda)
{
    double sum = 0, weight = 1;
    for (int k = t; k < p->steps; k++) {
        const size_t env = (size_t)(k * p->envs + e), i = env * (size_t)p->agents + (size_t)a,
                     v = env * (size_t)p->value_agents + (size_t)(p->value_agents > 1 ? a : 0);
        const struct normalizer_scale *scale = &p->norm[p->norms > 1 ? a : 0].scale;
        const double mean = scale->mean, deviation = scale->deviation;
        double follow = mean + deviation * (double)p->value[v + (size_t)(p->envs * p->value_agents)];
        const bool end = p->terminated[i] || p->ep_end[env];
        if (end) follow = !p->terminated[i] && p->ep_end[env] == 2 && p->bootstrap ? mean + deviation * (double)p->final_value[v] : 0;
        sum += weight * ((double)p->reward[i] + (double)p->gamma * follow - (mean + deviation * (double)p->value[v]));
        if (end) break;
        weight *= (double)p->gamma * lambda;
    }
    return sum;
}

/* An advantage; `value` is V of the step. */
static double naive_estimate(const struct gae_pass *p, int kind, int t, int e, int a, double value)
{
    if (kind != ESTIMATE_REWARD_TO_GO) return naive_gae(p, t, e, a, kind == ESTIMATE_GAE ? (double)p->lambda : 0);
    double sum = 0, weight = 1;
    for (int k = t; k < p->steps; k++, weight *= (double)p->gamma) {
        const size_t env = (size_t)(k * p->envs + e), i = env * (size_t)p->agents + (size_t)a;
        sum += weight * (double)p->reward[i];
        if (p->terminated[i] || p->ep_end[env]) break;
    }
    return sum - value;
}

static void gae_matches_its_definition(void **state)
{
    (void)state;
    enum { T = 23, E = 7, A = 3 };
    for (int round = 0; round < 4 * 9; round++) {
        const int variant = round % 4, values = variant % 2 ? A : 1; /* under all pairs of estimates */
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
        const struct normalizer norm[A] = {{.scale = {-1.5, 2.5}}, {.scale = {0.5, 1.5}}, {.scale = {0, 3}}};
        struct gae_pass pass[2] = {{.steps = T,
                                    .envs = E,
                                    .agents = A,
                                    .lo = 0,
                                    .hi = 4,
                                    .gamma = (real)0.97,
                                    .lambda = (real)0.9,
                                    .bootstrap = variant / 2,
                                    .advantage_by = round / 4 % 3,
                                    .target_by = round / 12,
                                    .value_agents = values,
                                    .norm = norm,
                                    .norms = variant == 3 ? A : 1,
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
        struct gae_pass on[2] = {pass[0], pass[1]};
        on[0].norm = LEND(b, norm);
        on[0].reward = LEND(b, reward);
        on[0].terminated = LEND(b, terminated);
        on[0].ep_end = LEND(b, ep_end);
        on[0].value = LEND(b, value);
        on[0].final_value = LEND(b, final_value);
        on[0].advantage = LEND(b, advantage);
        on[0].ret = LEND(b, ret);
        on[1] = on[0];
        on[1].lo = pass[1].lo;
        on[1].hi = pass[1].hi;
        b->gae(b, on, 2);
        TAKE(b, advantage, on[0].advantage);
        TAKE(b, ret, on[0].ret);
        lend_end(b);
        b->close(b);
        for (int t = 0; t < T; t++) {
            for (int e = 0; e < E; e++) {
                for (int a = 0; a < A; a++) {
                    const size_t i = (size_t)((t * E + e) * A + a), v = (size_t)((t * E + e) * values + (values > 1 ? a : 0));
                    const struct normalizer_scale *scale = &norm[variant == 3 ? a : 0].scale;
                    const double here = scale->mean + scale->deviation * (double)value[v];
                    check_close("advantage", i, advantage[i], naive_estimate(pass, pass->advantage_by, t, e, a, here), output_tolerance);
                    check_close("return", i, ret[i], naive_estimate(pass, pass->target_by, t, e, a, here) + here, output_tolerance);
                }
            }
        }
    }
}

static void moments_count_what_the_mask_lets_through(void **state)
{
    (void)state;
    enum { UNITS = 50, ROWS = 6 };
    real x[UNITS * ROWS];
    uint8_t mask[UNITS * ROWS];
    int32_t unit[2] = {7, 31};
    for (int i = 0; i < UNITS * ROWS; i++) x[i] = (real)(i % 17) - 5, mask[i] = i % 3 != 0;
    const struct batch batch[3] = {{NULL, UNITS, ROWS, NULL}, {unit, 2, ROWS, NULL}, {NULL, 0, ROWS, NULL}};
    struct moments m[3];
    double first = -1;
    struct backend *b = open_backend(1, -1);
    for (int masked = 0; masked < 2; masked++) {
        struct moments_pass pass[4];
        struct moments *found = LEND(b, m);
        double *only = lend(b, &first, sizeof first);
        for (int k = 0; k < 3; k++) {
            pass[k] = (struct moments_pass){
                .x = LEND(b, x), .mask = masked ? LEND(b, mask) : NULL, .batch = batch[k], .out = (double *)&found[k], .numbers = 3};
            pass[k].batch.unit = lend(b, batch[k].unit, sizeof unit);
        }
        pass[3] = pass[0];
        pass[3].out = only;
        pass[3].numbers = 1;
        b->moments(b, pass, 4);
        TAKE(b, m, found);
        take(b, &first, only, sizeof first);
        lend_end(b);
        assert_true(first == m[0].count);
        for (int k = 0; k < 3; k++) {
            double count = 0, sum = 0, squares = 0;
            for (int u = 0; u < batch[k].units; u++) {
                for (int i = 0; i < ROWS; i++) {
                    const int at = (batch[k].unit ? unit[u] : u) * ROWS + i;
                    if (masked && !mask[at]) continue;
                    count++, sum += (double)x[at], squares += (double)x[at] * (double)x[at];
                }
            }
            assert_true(m[k].count == count && m[k].sum == sum && m[k].sum_squares == squares);
        }
    }
    b->close(b);
}

struct step_numbers { /* what an optimiser's step reads of the backend's memory */
    struct optimizer optimizer;
    struct fault fault;
    double rate;
    int64_t steps;
};

static void flat_vectors_match_their_formulas(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 8, 9, 64, 65, 1000};
    for (int level = 0; level <= last_level(); level++) {
        struct backend *b = open_backend(1, level);
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            const size_t n = sizes[s];
            real p[1001], g[1001], m[1001] = {0}, v[1001] = {0}, other[1001];
            double pd[1001], md[1001] = {0}, vd[1001] = {0};
            struct naive_rng rng = {n};
            for (size_t i = 0; i <= n; i++)
                p[i] = (real)(float)naive_uniform(&rng), pd[i] = (double)p[i], g[i] = (real)(float)naive_uniform(&rng);
            const struct {
                real *p, *g, *m, *v, *other;
            } on = {LEND(b, p), LEND(b, g), LEND(b, m), LEND(b, v), LEND(b, p)};
            for (int t = 1; t <= 3; t++) {
                const double decay = s % 2 ? 0.3 : 0; /* AdamW, or Adam */
                const struct optimizer_rules rules = {.adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-5, .weight_decay = decay}};
                const struct step_numbers numbers = {.optimizer = {.divisor = 2}, .rate = 0.01, .steps = t - 1};
                struct step_numbers *there = lend(b, &numbers, sizeof numbers);
                const struct optimizer_pass pass = {.optimizer = &there->optimizer,
                                                    .rate = &there->rate,
                                                    .steps = &there->steps,
                                                    .gradient = on.g,
                                                    .parameters = on.p,
                                                    .m = on.m,
                                                    .v = on.v,
                                                    .n = n,
                                                    .fault = &there->fault};
                b->optimizer_step(b, &rules, &pass, 1);
                const struct adam_step step = adam_step_at(&rules.adam, numbers.rate, t, 0.5);
                const double b1 = (double)step.beta1, b2 = (double)step.beta2, lr = (double)step.learning_rate;
                for (size_t i = 0; i < n; i++) {
                    const double gd = 0.5 * (double)g[i];
                    md[i] = b1 * md[i] + (1 - b1) * gd, vd[i] = b2 * vd[i] + (1 - b2) * gd * gd;
                    pd[i] -= lr * decay * pd[i];
                    pd[i] -= lr * (md[i] / (1 - pow(b1, t))) / (sqrt(vd[i] / (1 - pow(b2, t))) + (double)step.eps);
                }
            }
            TAKE(b, p, on.p);
            for (size_t i = 0; i < n; i++) check_close("parameter after Adam", i, p[i], pd[i], output_tolerance);
            b->copy(b, on.other, on.p, n * sizeof(real));
            b->soft_update(b, on.other, on.g, (real)0.25, n);
            TAKE(b, other, on.other);
            for (size_t i = 0; i < n; i++) check_close("target", i, other[i], 0.75 * (double)p[i] + 0.25 * (double)g[i], output_tolerance);
            /* Every second number: mean 0.5, variance 16 - 2 · 4 + … = (4 - 1e-3)². */
            const double moments[3] = {2, 1, 2 * (0.25 + (4 - 1e-3) * (4 - 1e-3))};
            const struct standardise_pass standardise = {
                .x = on.other, .n = n / 2, .first = 1, .stride = 2, .moments = LEND(b, moments), .epsilon = (real)1e-3};
            b->standardise(b, &standardise, 1);
            TAKE(b, other, on.other);
            for (size_t i = 0; i < n; i++) {
                const double plain = 0.75 * (double)p[i] + 0.25 * (double)g[i];
                check_close("standardised", i, other[i], i % 2 && i / 2 < n / 2 ? (plain - 0.5) / 4 : plain, output_tolerance);
            }
            lend_end(b);
        }
        b->close(b);
    }
}

/* Of agent 1 of 3, whose action has two heads, for agent 0 of 2; twice, as for a third agent. */
static void compound_factors_match_their_formula(void **state)
{
    (void)state;
    enum { N = 300, A = 3, B = 2, HEADS = 2 };
    struct backend *b = open_backend(1, -1);
    struct naive_rng rng = {7};
    static real now[N * A], old[N * A * HEADS], advantage[N * B], factor[N], before[N * B];
    double expected[N];
    for (int i = 0; i < N * A; i++) now[i] = (real)(float)naive_uniform(&rng);
    for (int i = 0; i < N * A * HEADS; i++) old[i] = (real)(float)naive_uniform(&rng);
    for (int i = 0; i < N * B; i++) before[i] = (real)(float)naive_uniform(&rng);
    struct compound_pass pass = {.n = N, .first = 1, .agents = A, .next_agents = B, .heads = HEADS};
    pass.factor = LEND(b, factor);
    pass.log_prob = (real *)LEND(b, now) + 1;
    pass.old_log_prob = (real *)LEND(b, old) + HEADS;
    pass.advantage = LEND(b, before);
    b->compound(b, &pass, 1);
    pass.first = 0;
    b->compound(b, &pass, 1);
    TAKE(b, advantage, pass.advantage);
    TAKE(b, factor, pass.factor);
    for (int u = 0; u < N; u++) {
        const int row = u * A + 1;
        const double ratio = exp((double)now[row] - (double)old[row * HEADS] - (double)old[row * HEADS + 1]);
        expected[u] = ratio * ratio;
        check_close("factor", (size_t)u, factor[u], expected[u], output_tolerance * (1 + expected[u]));
        check_close("advantage", (size_t)u, advantage[u * B], (double)before[u * B] * ratio * expected[u],
                    output_tolerance * (1 + expected[u] * ratio));
        assert_true(advantage[u * B + 1] == before[u * B + 1]);
    }
    lend_end(b);
    b->close(b);
}

static void rows_of_environments_that_others_play_are_left_out(void **state)
{
    (void)state;
    enum { T = 5, E = 7, A = 3, WIDTH = 11 };
    struct backend *b = open_backend(1, -1);
    struct naive_rng rng = {9};
    static uint8_t away[E] = {0, 1, 0, 0, 1, 1, 0}, active[T * E * A], home[T * E * A], counted[2][T * E * A], env[T * E];
    static real remembered[E * WIDTH], after[E * WIDTH];
    for (int i = 0; i < T * E * A; i++) active[i] = naive_uniform(&rng) > 0;
    for (int i = 0; i < E * WIDTH; i++) remembered[i] = (real)(float)naive_uniform(&rng);
    const uint8_t *who = LEND(b, away);
    struct home_pass pass[3] = {
        {.steps = T, .envs = E, .agents = A, .away = who}, {T, E, A, who, NULL, NULL, NULL}, {T, E, 1, who, NULL, NULL, NULL}};
    pass[0].active = LEND(b, active);
    pass[0].home = LEND(b, home);
    pass[0].counted = LEND(b, counted[0]);
    pass[1].counted = LEND(b, counted[1]); /* where all are active */
    pass[2].home = LEND(b, env);
    const struct forget_pass forget = {.which = who, .envs = E, .width = WIDTH, .state = LEND(b, remembered)};
    b->home(b, pass, 3);
    b->forget(b, &forget, 1);
    TAKE(b, home, pass[0].home);
    TAKE(b, counted[0], pass[0].counted);
    TAKE(b, counted[1], pass[1].counted);
    TAKE(b, env, pass[2].home);
    TAKE(b, after, forget.state);
    for (int i = 0; i < T * E * A; i++) {
        const int here = !away[i / A % E];
        assert_int_equal(home[i], here);
        assert_int_equal(counted[0][i], here && active[i]);
        assert_int_equal(counted[1][i], here);
        assert_int_equal(env[i / A], here);
    }
    for (int i = 0; i < E * WIDTH; i++) assert_true(after[i] == (away[i / WIDTH] ? (real)0 : remembered[i]));
    lend_end(b);
    b->close(b);
}

#endif
