/* Cases of draws by priority for every backend; a part of backend_cases.h, which includes it. */
#ifndef TESTS_BACKEND_PRIORITY_CASES_H
#define TESTS_BACKEND_PRIORITY_CASES_H

#include "backend/off_policy.h"

enum { PRIORITY_ROWS = 4000, PRIORITY_SHARDS = 3 };

/* A ring of a backend with one shard's tree over it, and the host's leaves. */
struct priority_problem {
    struct priority_pass pass;
    struct replay_numbers numbers;
    struct replay_numbers *there;
    size_t leaves; /* of all shards */
    float *leaf;
    int32_t row[PRIORITY_ROWS];
    real weight[PRIORITY_ROWS], error[PRIORITY_ROWS];
    double most[PRIORITY_SHARDS];
};

static void priority_open(struct priority_problem *q, struct backend *b, int places, int envs, int lo, int hi)
{
    q->leaves = (size_t)places * (size_t)envs;
    q->leaf = calloc(q->leaves, sizeof *q->leaf);
    q->there = LEND(b, &q->numbers);
    q->pass = (struct priority_pass){.tree = priority_tree_of(places, envs, lo, hi),
                                     .numbers = q->there,
                                     .exponent = 0.6f,
                                     .floor = 1e-3f,
                                     .seed = 7,
                                     .shard = 1,
                                     .shards = PRIORITY_SHARDS,
                                     .rows = PRIORITY_ROWS,
                                     .row = LEND(b, q->row),
                                     .weight = LEND(b, q->weight),
                                     .most = LEND(b, q->most),
                                     .error = LEND(b, q->error)};
    q->pass.tree.leaf = lend(b, q->leaf, q->leaves * sizeof *q->leaf);
    for (int level = 1; level <= q->pass.tree.levels; level++) {
        double *zeros = calloc(q->pass.tree.count[level], sizeof *zeros);
        q->pass.tree.sum[level] = lend(b, zeros, q->pass.tree.count[level] * sizeof(double));
        q->pass.tree.most[level] = lend(b, zeros, q->pass.tree.count[level] * sizeof(float));
        free(zeros);
    }
}

static void priority_close(struct priority_problem *q, struct backend *b)
{
    lend_end(b);
    free(q->leaf);
    b->close(b);
}

static void priority_now(struct priority_problem *q, struct backend *b, int64_t update, int64_t held, int64_t oldest, double beta)
{
    q->numbers = (struct replay_numbers){.update = update, .held = held, .oldest = oldest, .beta = beta};
    b->upload(b, q->there, &q->numbers, sizeof q->numbers);
}

static void priority_leaves(struct priority_problem *q, struct backend *b)
{
    take(b, q->leaf, q->pass.tree.leaf, q->leaves * sizeof *q->leaf);
}

static double priority_sum(const struct priority_problem *q, struct backend *b)
{
    double sum;
    take(b, &sum, q->pass.tree.sum[q->pass.tree.levels], sizeof sum);
    return sum;
}

/* Of each of so many equal parts one is drawn, so a count differs from what is expected by less than two. */
static void steps_are_drawn_by_their_priorities(void **state)
{
    (void)state;
    enum { PLACES = 9, ENVS = 5, LO = 1, HI = 4, HELD = 6, OLDEST = 5 };
    struct priority_problem q = {0};
    struct backend *b = open_backend(2, last_level());
    struct naive_rng rng = {3};
    priority_open(&q, b, PLACES, ENVS, LO, HI);
    for (size_t i = 0; i < q.leaves; i++) q.leaf[i] = (float)(i % 4 == 0 ? 3 : 0.1) * (float)(1.1 + naive_uniform(&rng));
    b->upload(b, q.pass.tree.leaf, q.leaf, q.leaves * sizeof *q.leaf);
    priority_now(&q, b, 11, HELD, OLDEST, 0.7);
    b->priority_rebuild(b, &q.pass, 1);
    b->priority_draw(b, &q.pass, 1);
    TAKE(b, q.row, q.pass.row);
    TAKE(b, q.most, q.pass.most);
    const double others = 2 * q.most[1]; /* another shard's weights are larger */
    assert_true(q.most[0] == 0 && q.most[1] > 0 && q.most[2] == 0);
    b->upload(b, q.pass.most + 2, &others, sizeof others);
    b->priority_weigh(b, &q.pass, 1);
    TAKE(b, q.weight, q.pass.weight);
    double sum = 0, least = INFINITY;
    int count[PLACES * ENVS] = {0};
    for (int k = 0; k < HELD; k++)
        for (int e = LO; e < HI; e++) sum += (double)q.leaf[(OLDEST + k) % PLACES * ENVS + e];
    for (int k = 0; k < PRIORITY_ROWS; k++) {
        assert_true(k == 0 || q.row[k] >= q.row[k - 1]);
        count[q.row[k]]++;
        least = fmin(least, (double)q.leaf[q.row[k]]);
    }
    for (int place = 0; place < PLACES; place++)
        for (int e = 0; e < ENVS; e++) {
            const bool held = (place - OLDEST + PLACES) % PLACES < HELD && e >= LO && e < HI;
            const double p = held ? (double)q.leaf[place * ENVS + e] / sum : 0;
            if (fabs(count[place * ENVS + e] - p * PRIORITY_ROWS) >= (held ? 2 : 1e-9))
                fail_msg("step %d of environment %d was drawn %d times, expected %g", place, e, count[place * ENVS + e], p * PRIORITY_ROWS);
        }
    for (int k = 0; k < PRIORITY_ROWS; k++) { /* (N P)^-beta over twice the largest here */
        const double expected = pow((double)q.leaf[q.row[k]] / least, -0.7) / 2;
        if (!(fabs((double)q.weight[k] - expected) <= 1e-6))
            fail_msg("row %d weighs %.8f, expected %.8f", k, (double)q.weight[k], expected);
    }
    assert_true(fabs(q.most[1] - pow(HELD * (HI - LO) * least / sum, -0.7)) < 1e-5 * q.most[1]);
    priority_close(&q, b);
}

/* In a ring of three levels that goes round. */
static void priorities_follow_what_is_taken_and_learned(void **state)
{
    (void)state;
    enum { PLACES = 1201, ENVS = 4, FRESH = 50, CALLS = 40, ROUND = PLACES - 1 };
    struct priority_problem q = {0};
    struct backend *b = open_backend(2, last_level());
    struct naive_rng rng = {3};
    float *expected = calloc((size_t)PLACES * ENVS, sizeof *expected);
    priority_open(&q, b, PLACES, ENVS, 0, ENVS);
    q.pass.fresh = FRESH;
    assert_true(q.pass.tree.levels >= 3);
    for (int call = 0; call < CALLS; call++) {
        const int64_t step = (int64_t)(call + 1) * FRESH, held = step < ROUND ? step : ROUND;
        float top = 0;
        for (int i = 0; i < PLACES * ENVS; i++) top = fmaxf(top, expected[i]);
        for (int64_t i = (step - FRESH) * ENVS; i < step * ENVS; i++) expected[i % (PLACES * ENVS)] = top > 0 ? top : 1;
        for (int e = 0; e < ENVS; e++) expected[step % PLACES * ENVS + e] = 0;
        priority_now(&q, b, call, held, (step - held) % PLACES, 1);
        b->priority_renew(b, &q.pass, 1);
        b->priority_draw(b, &q.pass, 1);
        TAKE(b, q.row, q.pass.row);
        for (int k = 0; k < PRIORITY_ROWS; k++) q.error[k] = (real)fabs(3 * naive_uniform(&rng));
        if (call == 3) q.error[5] = (real)NAN; /* found elsewhere, and no priority */
        b->upload(b, (void *)(uintptr_t)q.pass.error, q.error, sizeof q.error);
        b->priority_learn(b, &q.pass, 1);
        for (int k = 0; k < PRIORITY_ROWS; k++) /* the last one of those that were drawn twice */
            if (k + 1 == PRIORITY_ROWS || q.row[k + 1] != q.row[k])
                if (isfinite((float)q.error[k])) expected[q.row[k]] = powf((float)q.error[k] + 1e-3f, 0.6f);
        priority_leaves(&q, b);
        double sum = 0;
        for (int i = 0; i < PLACES * ENVS; i++) {
            sum += (double)expected[i];
            if (!(fabsf(q.leaf[i] - expected[i]) <= 1e-5f * expected[i]))
                fail_msg("call %d: priority %d is %g, expected %g", call, i, (double)q.leaf[i], (double)expected[i]);
        }
        const double is = priority_sum(&q, b);
        if (!(fabs(is - sum) <= 1e-5 * sum)) fail_msg("call %d: their sum is %g, expected %g", call, is, sum);
        b->priority_rebuild(b, &q.pass, 1); /* as when a run is continued */
        if (priority_sum(&q, b) != is) fail_msg("call %d: made anew, the tree has another sum", call);
    }
    free(expected);
    priority_close(&q, b);
}

static void errors_of_weighted_rows_match_their_formulas(void **state)
{
    (void)state;
    enum { ROWS = 37 };
    struct backend *b = open_backend(2, last_level());
    struct naive_rng rng = {9};
    real q[ROWS], ret[ROWS], weight[ROWS], loss[ROWS], slope[ROWS], error[ROWS];
    for (int i = 0; i < ROWS; i++) {
        q[i] = (real)(float)naive_uniform(&rng), ret[i] = (real)(float)naive_uniform(&rng), error[i] = (real)0.25;
        weight[i] = (real)(float)fabs(naive_uniform(&rng));
    }
    for (int first = 0; first < 2; first++) {
        const struct error_pass pass = {.rows = ROWS,
                                        .q = LEND(b, q),
                                        .ret = LEND(b, ret),
                                        .weight = LEND(b, weight),
                                        .loss = LEND(b, loss),
                                        .slope = LEND(b, slope),
                                        .error = LEND(b, error),
                                        .share = (real)0.5,
                                        .first = first};
        real said[ROWS];
        b->td_errors(b, &pass, 1);
        TAKE(b, loss, pass.loss);
        TAKE(b, slope, pass.slope);
        TAKE(b, said, pass.error);
        lend_end(b);
        for (int i = 0; i < ROWS; i++) {
            const double e = (double)q[i] - (double)ret[i], w = (double)weight[i];
            assert_true(fabs((double)loss[i] - w * e * e / 2) < 1e-6);
            assert_true(fabs((double)slope[i] - 2 * w * e) < 1e-6);
            assert_true(fabs((double)said[i] - (0.5 * fabs(e) + (first ? 0 : 0.25))) < 1e-6);
        }
    }
    b->close(b);
}

#define PRIORITY_TESTS                                                                                                                     \
    cmocka_unit_test(steps_are_drawn_by_their_priorities), cmocka_unit_test(priorities_follow_what_is_taken_and_learned),                  \
        cmocka_unit_test(errors_of_weighted_rows_match_their_formulas)

#endif
