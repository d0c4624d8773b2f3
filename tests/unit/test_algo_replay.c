/* Batches out of a replay: which steps are in them, and what is told of each, across the ring's seam and where episodes end. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "algo/replay.h"
#include "ring_cases.h"

enum { SHARDS = 2, ROWS = 9, CALLS = 12 };

struct fixture {
    struct ring ring; /* its environments, backend and policies; not its transitions */
    struct backend_memory memory;
    struct replay *replay;
};

static void open_replay(struct fixture *f, bool replacement)
{
    struct error err = {0};
    ring_open(&f->ring, "cpu", COLLECT_DIRECT, RING_ENVS, 0, NULL, 0);
    const struct replay_config config = {.transitions = {.steps = RING_STEPS, .envs = RING_ENVS, .shards = SHARDS},
                                         .collect = {.where = COLLECT_DIRECT, .steps = RING_CALL, .seed = 8, .crew = 1},
                                         .rows = ROWS,
                                         .replacement = replacement};
    backend_memory_create(&f->memory, "test", f->ring.backend);
    if (replay_create(&f->replay, &config, f->ring.spec, f->ring.policies, &f->memory, &err)) fail_msg("%s", err.text);
    if (collect_begin(f->replay->collector, f->ring.env, false, &err)) fail_msg("%s", err.text);
}

static void close_replay(struct fixture *f)
{
    replay_destroy(f->replay);
    backend_memory_destroy(&f->memory);
    ring_close(&f->ring);
}

/* The number of the step at a place. */
static uint64_t step_at(const struct transitions *x, int place)
{
    uint64_t step = transitions_oldest(x);
    while (step < x->step && transitions_place(x, step) != place) step++;
    assert_true(step < x->step); /* only what is held is drawn */
    return step;
}

static const struct slice *slice_of(const struct transitions *x, int group, int id)
{
    for (int i = 0; i < x->slices.count; i++)
        if (x->slices.slice[i].group == group && x->slices.slice[i].id == id) return &x->slices.slice[i];
    fail_msg("the replay doesn't keep what is asked for");
    return NULL;
}

static void expect_row(const void *found, int row, const struct slice *slice, const void *expected)
{
    if (memcmp((const char *)found + (size_t)row * slice->bytes, expected, slice->bytes)) fail_msg("row %d: another %s", row, slice->what);
}

/* What is allowed after the step: the next place's mask, which is another episode's where one ended, so that anything is. */
static void check_next_mask(const struct fixture *f, int g, int row, uint64_t step, int env)
{
    const struct transitions *x = f->replay->transitions;
    const uint8_t *found = f->replay->batch.group[g].next_mask;
    const int place = transitions_place(x, step);
    if (!found) return;
    const struct slice *mask = slice_of(x, g, GROUP_SLICE_act_mask);
    uint8_t *all = malloc(mask->bytes);
    memset(all, 1, mask->bytes);
    expect_row(f->replay->batch.group[g].mask, row, mask, transitions_at(x, mask, place, env));
    const bool ended = x->all.ep_end[place * RING_ENVS + env] != MAPPO_RUNNING;
    expect_row(found, row, mask, ended ? all : transitions_at(x, mask, transitions_next(x, place), env));
    free(all);
}

static int check_row(const struct fixture *f, int shard, int b)
{
    const struct transitions *x = f->replay->transitions;
    const int at = f->replay->draw[shard].row[b], place = at / RING_ENVS, env = at % RING_ENVS, row = shard * ROWS + b;
    const uint64_t step = step_at(x, place);
    assert_true(env >= x->first[shard] && env < x->first[shard + 1]);
    assert_int_equal(f->replay->batch.ep_end[row], x->all.ep_end[at]);
    for (int g = 0; g < f->ring.spec->groups; g++) {
        const struct replay_batch_group *batch = &f->replay->batch.group[g];
        const struct slice *obs = slice_of(x, g, GROUP_SLICE_obs), *reward = slice_of(x, g, GROUP_SLICE_reward);
        expect_row(batch->obs, row, obs, transitions_at(x, obs, place, env));
        expect_row(batch->next, row, obs, transitions_seen_after(x, obs, step, env));
        expect_row(batch->reward, row, reward, transitions_at(x, reward, place, env));
        check_next_mask(f, g, row, step, env);
        const struct mappo_group *group = &f->ring.spec->group[g];
        for (int a = 0; a < group->agents && batch->active; a++) {
            const struct slice *active = slice_of(x, g, GROUP_SLICE_active);
            const uint8_t *expected = transitions_at(x, active, place, env);
            assert_int_equal(batch->active[a * SHARDS * ROWS + row], expected[a]);
        }
    }
    return x->all.ep_end[at] != MAPPO_RUNNING;
}

/* How often each step of each environment was drawn, of a shard. */
static int most_often(const struct fixture *f, int shard)
{
    int count[(RING_STEPS + 1) * RING_ENVS] = {0}, most = 0;
    for (int b = 0; b < ROWS; b++) {
        const int n = ++count[f->replay->draw[shard].row[b]];
        most = n > most ? n : most;
    }
    return most;
}

static void check_draws(bool replacement)
{
    struct fixture f = {0};
    struct error err = {0};
    int ends = 0, twice = 0, changes = 0, before = -1;
    open_replay(&f, replacement);
    for (int call = 0; call < CALLS; call++) {
        if (collect_steps(f.replay->collector, f.ring.env, &err)) fail_msg("%s", err.text);
        replay_count(f.replay, 2 * call, 0);
        for (int after = 0; after < 2; after++) {
            replay_draw(f.replay, after);
            for (int s = 0; s < SHARDS; s++) {
                for (int b = 0; b < ROWS; b++) ends += check_row(&f, s, b);
                twice += most_often(&f, s) > 1;
            }
            changes += f.replay->draw[0].row[0] != before;
            before = f.replay->draw[0].row[0];
        }
    }
    assert_true(ends > 20);                                /* rows whose next observation was a final one */
    assert_true(replacement ? twice > CALLS : twice == 0); /* 9 of at most 21 steps */
    assert_true(changes > CALLS);                          /* updates draw anew */
    close_replay(&f);
}

static void batches_tell_what_happened_at_steps_that_are_held(void **state)
{
    (void)state;
    check_draws(false);
}

static void with_replacement_steps_may_be_there_twice(void **state)
{
    (void)state;
    check_draws(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_tell_what_happened_at_steps_that_are_held),
        cmocka_unit_test(with_replacement_steps_may_be_there_twice),
    };
    return cmocka_run_group_tests_name("algo_replay", tests, NULL, NULL);
}
