/* Cases of what moves and counts, and of learners, for every backend; a part of backend_cases.h, which includes it. */
#ifndef TESTS_BACKEND_ROLLOUT_CASES_H
#define TESTS_BACKEND_ROLLOUT_CASES_H

/* ---- permutations ---- */

static void shuffles_are_permutations_without_a_favourite(void **state)
{
    (void)state;
    static const int sizes[] = {1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000, 4097};
    static uint8_t seen[4097];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct shuffle shuffle = shuffle_of((uint32_t)sizes[i], 9, 3, 0, 77);
        memset(seen, 0, sizeof seen);
        for (int k = 0; k < sizes[i]; k++) {
            const uint32_t item = shuffle_item(&shuffle, (uint32_t)k);
            assert_true(item < (uint32_t)sizes[i] && !seen[item]);
            seen[item] = 1;
        }
    }
    /* Where element 0 lands, and which one follows it: each of n - 1 others as often, within 5 standard deviations. */
    enum { N = 10, PASSES = 20000 };
    int at[N][N] = {{0}}, after[N][N] = {{0}};
    for (int pass = 0; pass < PASSES; pass++) {
        const struct shuffle shuffle = shuffle_of(N, 1, 0, 0, (uint64_t)pass);
        uint32_t before = 0;
        for (int k = 0; k < N; k++) {
            const uint32_t item = shuffle_item(&shuffle, (uint32_t)k);
            at[k][item]++;
            if (k > 0) after[before][item]++;
            before = item;
        }
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            const double p = 1.0 / N, limit = 5 * sqrt(PASSES * p * (1 - p));
            if (fabs(at[i][j] - PASSES * p) > limit) fail_msg("element %d stands at place %d %d times of %d", j, i, at[i][j], PASSES);
            const double q = i == j ? 0 : (N - 1.0) / N / (N - 1), bound = 5 * sqrt(PASSES * q * (1 - q));
            if (fabs(after[i][j] - PASSES * q) > bound) fail_msg("element %d follows %d %d times of %d", j, i, after[i][j], PASSES);
        }
}

static void selected_rows_cover_the_shard(void **state)
{
    (void)state;
    enum { T = 101, E = 6, A = 3, LO = 2, HI = 5, STEPS = T * (HI - LO) }; /* more than what is drawn together */
    struct backend *b = open_backend(1, -1);
    static const struct {
        int item_agents, set, by_row, critic_by_row, repeats;
    } kinds[] = {{1, -1, 0, 0, 1}, {1, -1, 0, 0, 3}, {A, -1, 1, 1, 1}, {A, -1, 1, 0, 1}, {1, 2, 1, 1, 1}, {1, 1, 1, 0, 1}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int shuffled = 0; shuffled < 3; shuffled++) {
            const int items = STEPS * kinds[i].item_agents, repeats = kinds[i].repeats;
            int32_t rows[STEPS * A], units[STEPS * A * 3], order[STEPS * A], seen[T * E * A] = {0};
            for (int k = 0; k < items; k++) order[k] = items - 1 - k;
            const struct update_numbers numbers = {.update = 5};
            struct select_pass pass = {.shape = {E, LO, HI, A, kinds[i].item_agents, kinds[i].set, kinds[i].by_row, 1, 0},
                                       .to = {.steps = 1},
                                       .items = items,
                                       .shuffled = shuffled > 0,
                                       .order = shuffled == 2 ? LEND(b, order) : NULL,
                                       .seed = 3,
                                       .shard = 1,
                                       .epoch = 2,
                                       .epochs = 4,
                                       .numbers = lend(b, &numbers, sizeof numbers),
                                       .critic_by_row = kinds[i].critic_by_row,
                                       .critic_repeats = repeats,
                                       .rows = LEND(b, rows),
                                       .critic = LEND(b, units)};
            int32_t *const all_rows = pass.rows, *const all_units = pass.critic;
            const int cut = items / 3;
            for (int half = 0; half < 2; half++) { /* two minibatches */
                pass.from = half ? cut : 0;
                pass.count = half ? items - cut : cut;
                pass.rows = all_rows + pass.from;
                pass.critic = all_units + pass.from * repeats;
                b->select(b, &pass, 1);
            }
            TAKE(b, rows, all_rows);
            TAKE(b, units, all_units);
            const struct shuffle shuffle = shuffle_of((uint32_t)items, 3, 1, 0, 5 * 4 + 2);
            for (int k = 0; k < items; k++) {
                const int item = shuffled == 0 ? k : shuffled == 2 ? order[k] : (int)shuffle_item(&shuffle, (uint32_t)k);
                const int step = item / kinds[i].item_agents, u = step / (HI - LO) * E + LO + step % (HI - LO);
                const int agent = kinds[i].set >= 0 ? kinds[i].set : item % kinds[i].item_agents;
                assert_int_equal(rows[k], kinds[i].by_row ? u * A + agent : u);
                for (int r = 0; r < repeats; r++) assert_int_equal(units[k * repeats + r], kinds[i].critic_by_row ? u * A + agent : u);
                assert_int_equal(seen[rows[k]]++, 0);
            }
            lend_end(b);
        }
    b->close(b);
}

/* Chunks stand step after step, short ones behind the others and only in the first steps. */
static void selected_chunks_are_in_the_order_of_their_steps(void **state)
{
    (void)state;
    enum { T = 11, L = 4, REST = T % L, E = 5, A = 2, LO = 1, HI = 4, WIDTH = HI - LO, FULL = T / L * WIDTH * A, SHORT = WIDTH * A };
    struct backend *b = open_backend(1, -1);
    int32_t rows[T * WIDTH * A], units[T * WIDTH * A], seen[T * E * A] = {0};
    const struct update_numbers numbers = {.update = 5};
    int32_t *const rows_there = LEND(b, rows), *const units_there = LEND(b, units);
    for (int half = 0, at = 0; half < 2; half++) { /* two minibatches: 7 and 5 full chunks, 2 and 4 short ones */
        const int full = half ? FULL - 7 : 7, few = half ? SHORT - 2 : 2, all = full + few;
        struct select_pass pass[2] = {{.shape = {E, LO, HI, A, A, -1, true, L, 0},
                                       .to = {L, 0, all, full, REST},
                                       .items = FULL,
                                       .from = half ? 7 : 0,
                                       .count = full,
                                       .shuffled = true,
                                       .seed = 3,
                                       .shard = 1,
                                       .epoch = 2,
                                       .epochs = 4,
                                       .numbers = lend(b, &numbers, sizeof numbers),
                                       .critic_by_row = false,
                                       .critic_repeats = 1,
                                       .rows = rows_there + at,
                                       .critic = units_there + at}};
        pass[1] = pass[0];
        pass[1].shape.begin = T - REST;
        pass[1].to = (struct select_order){REST, full, all, full, REST};
        pass[1].which = 1;
        pass[1].items = SHORT, pass[1].from = half ? 2 : 0, pass[1].count = few;
        b->select(b, pass, 2);
        TAKE(b, rows, rows_there);
        TAKE(b, units, units_there);
        for (int t = 0; t < L; t++)
            for (int k = 0; k < (t < REST ? all : full); k++, at++) {
                const bool is_short = k >= full;
                const struct shuffle shuffle = shuffle_of(is_short ? SHORT : FULL, 3, 1, is_short, 5 * 4 + 2);
                const int item = (int)shuffle_item(&shuffle, (uint32_t)(is_short ? (half ? 2 : 0) + k - full : (half ? 7 : 0) + k));
                const int step = item / A, u = ((is_short ? T - REST : step / WIDTH * L) + t) * E + LO + step % WIDTH;
                assert_int_equal(rows[at], u * A + item % A);
                assert_int_equal(units[at], u);
                assert_int_equal(seen[rows[at]]++, 0);
            }
        if (half) assert_int_equal(at, T * WIDTH * A);
    }
    lend_end(b);
    b->close(b);
}

/* ---- ends, scattering, copying, numbers that are not finite ---- */

static void ended_steps_are_found_in_their_order(void **state)
{
    (void)state;
    static const int shapes[][4] = {{1, 1, 0, 1}, {1, 5, 2, 4}, {3, 7, 0, 7}, {25, 130, 3, 128}, {2, 1500, 0, 1500}}; /* T E lo hi */
    struct backend *b = open_backend(1, -1);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int often = 0; often < 3; often++) {
            const int T = shapes[i][0], E = shapes[i][1], lo = shapes[i][2], hi = shapes[i][3], most = T * (hi - lo);
            struct naive_rng rng = {i * 3 + (size_t)often};
            uint8_t *end = calloc((size_t)(T * E), 1);
            int32_t *unit = calloc((size_t)most, sizeof *unit), count = -1;
            for (int u = 0; u < T * E; u++) end[u] = often == 0 ? 1 : often == 1 ? 2 : (uint8_t)((naive_uniform(&rng) + 1) * 1.5);
            const struct ends_pass pass = {.ep_end = lend(b, end, (size_t)(T * E)),
                                           .steps = T,
                                           .envs = E,
                                           .lo = lo,
                                           .hi = hi,
                                           .stride = 3,
                                           .offset = 1,
                                           .unit = lend(b, unit, (size_t)most * sizeof *unit),
                                           .count = lend(b, &count, sizeof count)};
            b->select_ends(b, &pass, 1);
            take(b, unit, pass.unit, (size_t)most * sizeof *unit);
            take(b, &count, pass.count, sizeof count);
            int expected = 0;
            for (int t = 0; t < T; t++)
                for (int e = lo; e < hi; e++)
                    if (end[t * E + e] == 2) assert_int_equal(unit[expected++], (t * E + e) * 3 + 1);
            assert_int_equal(count, expected);
            lend_end(b);
            free(end), free(unit);
        }
    b->close(b);
}

static void values_are_scattered_to_their_places(void **state)
{
    (void)state;
    enum { UNITS = 300, STRIDE = 4 };
    struct backend *b = open_backend(1, -1);
    static const int kinds[][3] = {{1, 1, -1}, {4, 1, -1}, {4, 4, -1}, {1, 1, 123}, {3, 3, 0}}; /* width, from_width, count */
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        real from[UNITS * STRIDE], to[UNITS * STRIDE];
        int32_t unit[UNITS];
        const int32_t count = kinds[i][2];
        for (int k = 0; k < UNITS * STRIDE; k++) from[k] = (real)k, to[k] = -1;
        for (int k = 0; k < UNITS; k++) unit[k] = (k * 7 + 3) % UNITS;
        const struct scatter_pass pass = {.unit = LEND(b, unit),
                                          .count = count >= 0 ? lend(b, &count, sizeof count) : NULL,
                                          .units = UNITS,
                                          .stride = STRIDE,
                                          .width = kinds[i][0],
                                          .from_width = kinds[i][1],
                                          .from = LEND(b, from),
                                          .to = LEND(b, to)};
        b->scatter(b, &pass, 1);
        TAKE(b, to, pass.to);
        real expected[UNITS * STRIDE];
        for (int k = 0; k < UNITS * STRIDE; k++) expected[k] = -1;
        for (int u = 0; u < (count >= 0 ? count : UNITS); u++)
            for (int v = 0; v < kinds[i][0]; v++) expected[unit[u] * STRIDE + v] = from[u * kinds[i][1] + (kinds[i][1] > 1 ? v : 0)];
        assert_memory_equal(to, expected, sizeof to);
        lend_end(b);
    }
    b->close(b);
}

static void rows_are_copied_into_wider_ones(void **state)
{
    (void)state;
    enum { ROWS = 130, WIDE = 9, NARROW = 5 };
    float from[ROWS * NARROW], to[ROWS * WIDE], expected[ROWS * WIDE];
    struct backend *b = open_backend(1, -1);
    for (int repeat = 1; repeat <= 3; repeat += 2) {
        for (int k = 0; k < ROWS * NARROW; k++) from[k] = (float)k;
        for (int k = 0; k < ROWS * WIDE; k++) to[k] = expected[k] = -1;
        float *target = LEND(b, to);
        const struct copy_pass pass = {
            .rows = ROWS, .width = 4, .repeat = repeat, .to_stride = WIDE, .from_stride = NARROW, .from = LEND(b, from), .to = target + 2};
        b->copy_rows(b, &pass, 1);
        TAKE(b, to, target);
        for (int r = 0; r < ROWS; r++)
            for (int j = 0; j < 4; j++) expected[r * WIDE + 2 + j] = from[r / repeat * NARROW + j];
        assert_memory_equal(to, expected, sizeof to);
        lend_end(b);
    }
    b->close(b);
}

static void the_first_number_that_is_none_is_found(void **state)
{
    (void)state;
    enum { N = 70001 };
    float *x = calloc(N, sizeof *x);
    struct backend *b = open_backend(1, -1);
    static const int bad[][2] = {{-1, -1}, {0, N - 1}, {N - 1, -1}, {513, 512}, {40000, 69999}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t first = 5;
        for (int k = 0; k < N; k++) x[k] = k % 2 ? 3e38f : -1e-45f; /* large and denormal are finite */
        if (bad[i][0] >= 0) x[bad[i][0]] = NAN;
        if (bad[i][1] >= 0) x[bad[i][1]] = -INFINITY;
        uint64_t *found = lend(b, &first, sizeof first);
        b->find_nonfinite(b, lend(b, x, N * sizeof *x), N, found);
        take(b, &first, found, sizeof first);
        const int least = bad[i][1] >= 0 && bad[i][1] < bad[i][0] ? bad[i][1] : bad[i][0];
        assert_true(least < 0 ? first == NONFINITE_NONE : nonfinite_index(first) == (size_t)least);
        if (least == bad[i][0] && least >= 0) assert_true(isnan(nonfinite_value(first)));
        if (least == bad[i][1] && least >= 0) assert_true(nonfinite_value(first) == -INFINITY);
        b->find_nonfinite(b, NULL, 0, found);
        take(b, &first, found, sizeof first);
        assert_true(first == NONFINITE_NONE);
        lend_end(b);
    }
    b->close(b);
    free(x);
}

/* ---- learners ---- */

enum { LEARNERS = 2, ACTOR = 700, CRITIC = 1300, PARAMETERS = ACTOR + CRITIC };

struct learning_case {
    struct ppo_learner learner[LEARNERS];
    struct normalizer norm[LEARNERS];
    struct fault fault;
    struct update_numbers numbers;
    struct moments advantage, ret, kl;
    struct minibatch_statistics minibatch;
    real gradient[LEARNERS * PARAMETERS], sum[LEARNERS * 2 * PASS_SUMS];
    real parameters[LEARNERS * PARAMETERS], m[LEARNERS * PARAMETERS], v[LEARNERS * PARAMETERS];
    uint64_t bad[2];
};

static const struct ppo_rules rules = {
    .policy = {.clip = (real)0.25, .entropy = (real)0.5},
    .value = {.clip = (real)0.25, .coefficient = 1},
    .penalty_kl = 0.01,
    .normalizer = NORMALIZER_VALUENORM,
    .beta = 0.9,
    .policy_active = 1,
    .step = {.max_grad_norm = 0.5, .mean_weight = 0.25, .adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-5}}};

static void learning_case_build(struct learning_case *c)
{
    struct naive_rng rng = {77};
    memset(c, 0, sizeof *c);
    c->numbers = (struct update_numbers){.update = 3, .steps = 30, .actor_rate = 1e-3, .critic_rate = 2e-3, .clip = 0.5, .entropy = 0.25};
    c->kl = (struct moments){100, 2, 1};
    for (int l = 0; l < LEARNERS; l++) c->learner[l].policy.kl = (real)(l + 1);
    c->advantage = (struct moments){100, 50, 70};
    c->ret = (struct moments){100, 20, 300};
    c->minibatch = (struct minibatch_statistics){{200, 100, 400}, 150, {5, 10, 60}};
    for (int i = 0; i < LEARNERS * PARAMETERS; i++) c->gradient[i] = (real)(float)(naive_uniform(&rng) * 10);
    for (int i = 0; i < LEARNERS * 2 * PASS_SUMS; i++) c->sum[i] = (real)(i + 1);
    for (int i = 0; i < LEARNERS * PARAMETERS; i++) c->parameters[i] = (real)(float)naive_uniform(&rng);
    c->bad[0] = c->bad[1] = UINT64_MAX;
    c->fault.kind = FAULT_VALUE_LOSS; /* of the update before */
}

/* One minibatch of one epoch, as an update does it: the case's numbers are those afterwards. */
static void learn_by(struct backend *b, struct learning_case *c, const struct ppo_rules *by, bool joint)
{
    struct learning_case *on = lend(b, c, sizeof *c);
    struct ppo_pass pass[LEARNERS];
    struct optimizer_pass step[2 * LEARNERS];
    for (int l = 0; l < LEARNERS; l++) {
        pass[l] = (struct ppo_pass){.learner = on->learner + l,
                                    .norm = on->norm + l,
                                    .fault = &on->fault,
                                    .place = {.learner = l, .epoch = 2, .minibatch = 1},
                                    .numbers = &on->numbers,
                                    .advantage = &on->advantage,
                                    .ret = &on->ret,
                                    .kl = &on->kl,
                                    .minibatch = &on->minibatch,
                                    .sum = on->sum + l * 2 * PASS_SUMS};
        for (int k = 0; k < 2; k++) {
            const int at = l * PARAMETERS + (k ? ACTOR : 0);
            step[2 * l + k] = (struct optimizer_pass){.optimizer = k ? &on->learner[l].critic : &on->learner[l].actor,
                                                      .rate = k ? &on->numbers.critic_rate : &on->numbers.actor_rate,
                                                      .steps = &on->numbers.steps,
                                                      .step = 5,
                                                      .gradient = on->gradient + at,
                                                      .parameters = on->parameters + at,
                                                      .m = on->m + at,
                                                      .v = on->v + at,
                                                      .n = k ? CRITIC : ACTOR,
                                                      .fault = &on->fault,
                                                      .not_finite = {k ? FAULT_CRITIC_GRADIENT : FAULT_ACTOR_GRADIENT, l, 2, 1}};
            if (joint) step[2 * l + k].with = k ? &on->learner[l].actor : &on->learner[l].critic;
            if (by->target_kl > 0 || by->critic_warmup > 0) step[2 * l + k].steps = NULL;
        }
    }
    b->ppo_start(b, by, pass, LEARNERS, on->bad, 2);
    b->ppo_begin(b, by, pass, LEARNERS);
    b->ppo_measure(b, by, pass, LEARNERS);
    b->optimizer_step(b, &by->step, step, 2 * LEARNERS);
    b->ppo_end(b, by, pass, LEARNERS);
    take(b, c, on, sizeof *c);
    lend_end(b);
}

static void learn_once(struct backend *b, struct learning_case *c)
{
    learn_by(b, c, &rules, false);
}

static void learners_step_by_their_definitions(void **state)
{
    (void)state;
    static struct learning_case c, before;
    struct backend *b = open_backend(1, -1);
    learning_case_build(&before);
    c = before;
    learn_once(b, &c);
    assert_int_equal(c.fault.kind, NO_FAULT);
    const double explained = 1 - (70.0 / 100 - 0.25) / (300.0 / 100 - 0.04);
    double squares[2] = {0};
    for (int i = 0; i < PARAMETERS; i++)
        squares[i >= ACTOR] += (double)before.gradient[PARAMETERS + i] * (double)before.gradient[PARAMETERS + i];
    const struct optimizer *actor = &c.learner[1].actor, *critic = &c.learner[1].critic;
    const struct ppo_metrics *now = &c.learner[1].minibatch;
    assert_true(fabs(c.learner[1].mean.explained_variance - explained) < 1e-12);
    assert_true(actor->divisor == 150 && critic->divisor == 200);
    assert_true(fabs(actor->norm - sqrt(squares[0]) / 150) < 1e-9 && fabs(critic->norm - sqrt(squares[1]) / 200) < 1e-9);
    assert_true(fabs(actor->mean_norm - actor->norm / 4) < 1e-12);
    assert_true(fabs(now->policy_loss - (double)before.sum[2 * PASS_SUMS + SUM_LOSS] / 150) < 1e-12);
    assert_true(fabs(now->value_loss - (double)before.sum[3 * PASS_SUMS + SUM_LOSS] / 200) < 1e-12);
    assert_true(fabs(now->approx_kl - (double)before.sum[2 * PASS_SUMS + SUM_KL] / 200) < 1e-12);
    assert_true(fabs(c.learner[1].mean.entropy - now->entropy / 4) < 1e-12);
    /* The normaliser took in mean 0.5 and mean square 2: debiased to themselves. */
    assert_true(fabs(c.norm[1].scale.mean - 0.5) < 1e-12 && fabs(c.norm[1].scale.deviation - sqrt(1.75)) < 1e-12);
    const struct adam_step step[2] = {
        adam_step_at(&rules.step.adam, 1e-3, 36, fmin(1, 0.5 / (actor->norm + 1e-6)) / 150),
        adam_step_at(&rules.step.adam, 2e-3, 36, fmin(1, 0.5 / (critic->norm + 1e-6)) / 200),
    };
    for (int i = PARAMETERS; i < 2 * PARAMETERS; i++) {
        real p = before.parameters[i], m = 0, v = 0;
        adam_update(&step[i >= PARAMETERS + ACTOR], before.gradient[i], &p, &m, &v);
        check_close("parameter", (size_t)i, c.parameters[i], (double)p, output_tolerance);
    }
    /* Schedules' halves and quarters; the penalty's coefficient after a KL of 0.02 where 0.01 was aimed at; the minibatch's advantages have
     * mean 2 and a sample variance of (60 - 20) / 4. */
    const struct ppo_learner *l = &c.learner[1];
    assert_true(l->policy.clip == (real)0.125 && l->policy.entropy == (real)0.125 && l->value.clip == (real)0.125);
    assert_true(l->kl == 0.02 && l->policy.kl == 4);
    check_close("mean of advantages", 0, l->advantage.mean, 2, 1e-6);
    check_close("deviation of advantages", 0, l->advantage.spread, sqrt(10) + 1e-8, 1e-6);
    b->close(b);
}

/* By one norm of both gradients. */
static void gradients_can_be_clipped_together(void **state)
{
    (void)state;
    static struct learning_case c;
    struct backend *b = open_backend(1, -1);
    learning_case_build(&c);
    learn_by(b, &c, &rules, true);
    for (int l = 0; l < LEARNERS; l++) {
        const struct optimizer *actor = &c.learner[l].actor, *critic = &c.learner[l].critic;
        const double factor = 0.5 / (hypot(actor->norm, critic->norm) + 1e-6);
        assert_true(factor < 1);
        check_close("scale of the actor's gradient", (size_t)l, actor->step.scale, factor / 150, 1e-6);
        check_close("scale of the critic's gradient", (size_t)l, critic->step.scale, factor / 200, 1e-6);
    }
    b->close(b);
}

/* approx_kl is 4 / 200 and 20 / 200: the second learner makes no step, and neither actor does while critics warm up. */
static void a_learner_that_has_gone_far_enough_stops(void **state)
{
    (void)state;
    static struct learning_case c, before;
    struct backend *b = open_backend(1, -1);
    struct ppo_rules by = rules;
    by.target_kl = 0.05;
    learning_case_build(&before);
    c = before;
    learn_by(b, &c, &by, false);
    assert_true(!c.learner[0].critic.stopped && c.learner[1].critic.stopped && c.learner[1].actor.stopped);
    assert_true(c.learner[0].actor.made == 1 && c.learner[0].actor.steps == 1 && c.learner[0].measured == 1);
    assert_true(c.learner[1].actor.made == 0 && c.learner[1].critic.steps == 0 && c.learner[1].measured == 1);
    assert_memory_equal(c.parameters + PARAMETERS, before.parameters + PARAMETERS, PARAMETERS * sizeof *c.parameters);
    assert_true(memcmp(c.parameters, before.parameters, PARAMETERS * sizeof *c.parameters) != 0);
    by.target_kl = 0;
    by.critic_warmup = 4; /* of which this is update 3 */
    c = before;
    learn_by(b, &c, &by, false);
    for (int l = 0; l < LEARNERS; l++) {
        assert_true(c.learner[l].actor.made == 0 && c.learner[l].critic.made == 1 && c.learner[l].critic.steps == 1);
        assert_true(c.learner[l].policy.kl == (real)(l + 1)); /* a policy that stood still says nothing of its penalty */
        assert_memory_equal(c.parameters + l * PARAMETERS, before.parameters + l * PARAMETERS, ACTOR * sizeof *c.parameters);
        assert_true(
            memcmp(c.parameters + l * PARAMETERS + ACTOR, before.parameters + l * PARAMETERS + ACTOR, CRITIC * sizeof *c.parameters) != 0);
    }
    b->close(b);
}

enum { FOLLOWERS = 19, WIDEST = 257, SEEN = 4 }; /* more heads than a launch takes; rows of 1 … 257 weights */

struct following_case {
    struct ppo_learner learner[FOLLOWERS];
    struct normalizer norm[FOLLOWERS];
    struct fault none, fault;
    struct update_numbers numbers;
    struct moments advantage;
    struct minibatch_statistics minibatch[SEEN];
    real weight[FOLLOWERS][WIDEST], bias[FOLLOWERS];
};

static int follower_width(int h)
{
    return 1 + (h * 64) % WIDEST;
}

/* V of a fixed x in [-1, 1]; *size: of the terms that were added up. */
static double follower_value(const struct following_case *c, int h, double *size)
{
    double sum = (double)c->bias[h];
    const struct normalizer_scale *scale = &c->norm[h].scale;
    *size = fabs(sum);
    for (int i = 0; i < follower_width(h); i++) {
        const double term = (double)c->weight[h][i] * sin(i + h);
        sum += term;
        *size += fabs(term);
    }
    *size = fabs(scale->mean) + scale->deviation * *size;
    return scale->mean + scale->deviation * sum;
}

/* Head `spoilt` belongs to a run in which a fault was found, if any does. */
static void follow(struct backend *b, struct following_case *c, int spoilt)
{
    const struct ppo_rules popart = {.normalizer = NORMALIZER_POPART, .beta = 0.7};
    struct following_case *on = lend(b, c, sizeof *c);
    struct ppo_pass pass[FOLLOWERS];
    struct rescale_pass rescale[FOLLOWERS];
    for (int h = 0; h < FOLLOWERS; h++) {
        pass[h] = (struct ppo_pass){.learner = on->learner + h,
                                    .norm = on->norm + h,
                                    .fault = &on->none,
                                    .place = {.learner = h},
                                    .numbers = &on->numbers,
                                    .advantage = &on->advantage,
                                    .ret = &on->advantage};
        rescale[h] = (struct rescale_pass){.rescale = &on->learner[h].head,
                                           .fault = h == spoilt ? &on->fault : &on->none,
                                           .weight = on->weight[h],
                                           .bias = on->bias + h,
                                           .inputs = follower_width(h),
                                           .outputs = 1};
    }
    b->ppo_start(b, &popart, pass, FOLLOWERS, NULL, 0);
    for (int k = 0; k < SEEN; k++) {
        for (int h = 0; h < FOLLOWERS; h++) pass[h].minibatch = &on->minibatch[(k + h) % SEEN];
        b->ppo_begin(b, &popart, pass, FOLLOWERS);
        b->rescale_heads(b, rescale, FOLLOWERS);
    }
    take(b, c, on, sizeof *c);
    lend_end(b);
}

static void value_heads_keep_their_values_when_the_scale_moves(void **state)
{
    (void)state;
    static struct following_case c, before;
    struct naive_rng rng = {12};
    struct backend *b = open_backend(1, -1);
    memset(&before, 0, sizeof before);
    before.advantage = (struct moments){10, 1, 20};
    /* Means 5, -40, 0.001, 1; all the same, which leaves the deviation at its floor; widely spread; all the same. */
    before.minibatch[0].ret = (struct moments){10, 50, 250};
    before.minibatch[1].ret = (struct moments){4, -160, 4 * (1600 + 900)};
    before.minibatch[2].ret = (struct moments){100, 0.1, 100 * 1e-6};
    before.minibatch[3].ret = (struct moments){3, 3, 30};
    for (int h = 0; h < FOLLOWERS; h++) {
        if (h % 3) before.norm[h] = (struct normalizer){.mean = 0.3 * h, .mean_squares = 4 + h * h, .debias = 0.7};
        normalizer_refresh(&before.norm[h], NORMALIZER_POPART); /* every third: empty, at the floor */
        for (int i = 0; i < follower_width(h); i++) before.weight[h][i] = (real)(float)naive_uniform(&rng);
        before.bias[h] = (real)(float)naive_uniform(&rng);
    }
    c = before;
    follow(b, &c, -1);
    double moved = 0;
    for (int h = 0; h < FOLLOWERS; h++) {
        const struct normalizer_scale *then = &before.norm[h].scale, *now = &c.norm[h].scale;
        double size, largest;
        const double expected = follower_value(&before, h, &largest), found = follower_value(&c, h, &size);
        /* A rounding of each of SEEN steps; on the way the sizes were up to 50 times (the means') as large. */
        if (!(fabs(found - expected) <= output_tolerance * (size + largest + 50)))
            fail_msg("head %d: V was %.12g, is %.12g (sizes %g, %g)", h, expected, found, largest, size);
        moved = fmax(moved, fabs(now->mean - then->mean));
        const double old = (then->mean + then->deviation * 0.6 - now->mean) / now->deviation; /* of a value 0.6 of the rollout */
        check_close("old value", (size_t)h, rescaled_output(&c.learner[h].old_value, (real)0.6), old, output_tolerance);
    }
    assert_true(moved > 1);
    /* After a fault nothing moves; returns that are not finite spoil nothing. */
    c = before;
    c.fault.kind = FAULT_RETURNS;
    c.minibatch[2].ret.sum_squares = INFINITY;
    follow(b, &c, 5);
    assert_memory_equal(c.weight[5], before.weight[5], sizeof c.weight[5]);
    assert_true(c.bias[5] == before.bias[5] && c.bias[4] != before.bias[4]);
    for (int h = 0; h < FOLLOWERS; h++) {
        assert_true(isfinite(c.bias[h]));
        for (int i = 0; i < follower_width(h); i++) assert_true(isfinite(c.weight[h][i]));
    }
    b->close(b);
}

static void a_fault_keeps_every_parameter_as_it_is(void **state)
{
    (void)state;
    static struct learning_case c, before;
    struct backend *b = open_backend(1, -1);
    static const int kinds[] = {FAULT_DATA,       FAULT_RETURNS,        FAULT_POLICY_LOSS,
                                FAULT_VALUE_LOSS, FAULT_ACTOR_GRADIENT, FAULT_CRITIC_GRADIENT};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        learning_case_build(&c);
        /* In the first learner: the other one's parameters must not move either. */
        if (kinds[i] == FAULT_DATA) c.bad[1] = 12;
        if (kinds[i] == FAULT_RETURNS) c.ret.sum_squares = INFINITY;
        if (kinds[i] == FAULT_POLICY_LOSS) c.sum[SUM_ENTROPY] = (real)NAN;
        if (kinds[i] == FAULT_VALUE_LOSS) c.sum[PASS_SUMS + SUM_LOSS] = (real)INFINITY;
        if (kinds[i] == FAULT_ACTOR_GRADIENT) c.gradient[ACTOR - 1] = (real)NAN;
        if (kinds[i] == FAULT_CRITIC_GRADIENT) c.gradient[ACTOR + 7] = (real)-INFINITY;
        before = c;
        learn_once(b, &c);
        if (c.fault.kind != kinds[i]) fail_msg("the fault is of kind %d, expected %d", c.fault.kind, kinds[i]);
        if (kinds[i] > FAULT_RETURNS) assert_true(c.fault.learner == 0 && c.fault.epoch == 2 && c.fault.minibatch == 1);
        assert_memory_equal(c.parameters, before.parameters, sizeof c.parameters);
        assert_memory_equal(c.v, before.v, sizeof c.v);
    }
    b->close(b);
}

#endif
