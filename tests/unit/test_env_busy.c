/* test/busy: a step takes at least the time that was asked for, of every environment; what else it does is deterministic. What a snapshot
 * and other cuts of a batch promise: test_env_vecenv.c, for all environments. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <time.h>

#include "base/clock.h"
#include "env_batch.h"

enum { ENVS = 4, STEPS = 50 };

static void open_or_fail(struct env_batch *b, const char *microseconds)
{
    const struct env_option option = {"microseconds", microseconds};
    const struct vecenv_config config = {.name = "test/busy",
                                         .option = &option,
                                         .options = 1,
                                         .envs = ENVS,
                                         .seed = 17,
                                         .stream = PHILOX_ENVIRONMENT,
                                         .threads = 1,
                                         .horizon = 1};
    if (batch_open(b, &config)) fail_msg("%s", b->err.text);
}

static double take_steps(struct env_batch *b, int steps, uint64_t *hash)
{
    double seconds = 0;
    for (int t = 0; t < steps; t++) {
        batch_act(b, 1, 0, (uint64_t)t);
        const double start = clock_seconds();
        assert_int_equal(vecenv_step(b->env, &b->io, &b->err), 0);
        seconds += clock_seconds() - start;
        for (int32_t e = 0; e < ENVS; e++) *hash = *hash * 31 + batch_hash(b, e);
    }
    return seconds;
}

/* Only least times: how much later it goes on depends on the machine's load. */
static void steps_take_the_time_asked_for_and_change_nothing_by_it(void **state)
{
    (void)state;
    struct env_batch quick, busy;
    uint64_t hash[2] = {0, 0};
    open_or_fail(&quick, "0");
    open_or_fail(&busy, "50");
    take_steps(&quick, STEPS, &hash[0]);
    assert_true(take_steps(&busy, STEPS, &hash[1]) >= STEPS * ENVS * 50e-6);
    assert_int_equal(hash[0], hash[1]);
    batch_close(&quick);
    batch_close(&busy);
}

static double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Of a sleeper the core's time would be hundreds of times less than the clock's, on a crowded machine a few times. */
static void a_core_is_busy_meanwhile(void **state)
{
    (void)state;
    struct env_batch b;
    uint64_t hash = 0;
    open_or_fail(&b, "20000");
    const double start = thread_seconds(), clock = take_steps(&b, 5, &hash);
    assert_true(thread_seconds() - start > clock / 50);
    batch_close(&b);
}

static void it_has_simple_spreads_shapes_and_pays_for_named_cues(void **state)
{
    (void)state;
    const struct vecenv_config like = {.name = "mpe/simple_spread", .envs = 1, .stream = PHILOX_ENVIRONMENT, .threads = 1, .horizon = 1};
    struct env_batch b, spread;
    open_or_fail(&b, "0");
    if (batch_open(&spread, &like)) fail_msg("%s", spread.err.text);
    assert_memory_equal(&b.size[0], &spread.size[0], sizeof b.size[0]);
    assert_int_equal(b.spec->state_size, spread.spec->state_size);
    for (int t = 1; t <= STEPS; t++) {
        const struct mappo_group_io *io = &b.io.group[0];
        for (int i = 0; i < ENVS * 3; i++)
            for (int k = 0; k < 5; k++)
                if (io->obs[i * 18 + k] == 1) b.act_int[0][i] = (k + i % 2) % 5; /* every other agent errs */
        assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
        for (int i = 0; i < ENVS * 3; i++) assert_true(io->reward[i] == (i % 2 ? 0.0f : 1.0f));
        for (int e = 0; e < ENVS; e++) assert_int_equal(b.io.ep_end[e], t % 25 ? MAPPO_RUNNING : MAPPO_TRUNCATED);
    }
    batch_close(&b);
    batch_close(&spread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_take_the_time_asked_for_and_change_nothing_by_it),
        cmocka_unit_test(a_core_is_busy_meanwhile),
        cmocka_unit_test(it_has_simple_spreads_shapes_and_pays_for_named_cues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
