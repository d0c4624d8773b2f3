/* Rings of transitions: what they hold, what they take, and that they go through a checkpoint. tests/unit/test_algo_rollout.c has rollouts. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "ring_cases.h"

static void rings_hold_the_last_steps_across_their_seam_and_the_ends_of_episodes(void **state)
{
    (void)state;
    ring_holds_the_last_steps("cpu", COLLECT_DIRECT);
    ring_holds_the_last_steps("cpu", COLLECT_STAGED);
}

static void transitions_take_the_memory_that_they_say(void **state)
{
    (void)state;
    struct ring r;
    ring_open(&r, "cpu", COLLECT_DIRECT, 2, 0, NULL, 0);
    struct transitions_config config = {.steps = 100, .envs = 50, .shards = 1};
    size_t seen = 0, done = 0, followed = 0, last = 0;
    for (int i = 0; i < r.transitions->slices.count; i++) {
        const struct slice *slice = &r.transitions->slices.slice[i];
        seen += slice->written == SLICE_OBSERVATION ? slice->bytes : 0;
        done += slice->written == SLICE_ACTION ? slice->bytes : 0;
        followed += slice->written == SLICE_RESULT ? slice->bytes : 0;
        last += slice->written == SLICE_FINAL ? slice->bytes : 0;
    }
    assert_true(seen && done && followed && last);
    const struct slices *kept = &r.transitions->slices;
    assert_int_equal(transitions_bytes(&config, kept), 50 * (101 * seen + 100 * (done + followed) + last));
    config.all_finals = true;
    assert_int_equal(transitions_bytes(&config, kept), 50 * (101 * seen + 100 * (done + followed + last)));
    config.ring = true;
    assert_int_equal(transitions_bytes(&config, kept), 50 * 101 * (seen + done + followed + last));
    ring_close(&r);
}

/* ---- through a checkpoint ------------------------------------------------------------------------------------------------------------ */

/* What a checkpoint and its replay would hold of ring and environments, given to others that begin with environment `first` of it. */
static void hand_over(struct ring *to, const struct ring *from, int first)
{
    struct field_list saved = {0}, read = {0};
    struct error err = {0};
    unsigned char snapshot[2048];
    const int envs = to->transitions->config.envs, all = from->transitions->config.envs;
    assert_true(vecenv_snapshot_bytes(from->env) <= sizeof snapshot);
    to->transitions->step = from->transitions->step;
    const int64_t places = transitions_replay(from->transitions, "/replay", from->spec, &saved);
    assert_int_equal(transitions_replay(to->transitions, "/replay", to->spec, &read), places);
    assert_int_equal(read.count, saved.count);
    for (int i = 0; i < read.count; i++) {
        const struct field *a = &saved.field[i], *b = &read.field[i];
        assert_string_equal(b->name, a->name);
        if (a->rank == 0) memcpy(b->data, a->data, sizeof(int64_t));
        if (a->rank == 0) continue;
        assert_int_equal(a->shape[0], RING_STEPS + 1);
        assert_int_equal(b->shape[1], envs);
        const size_t item = field_bytes(a) / (size_t)(a->shape[0] * a->shape[1]);
        for (int64_t p = 0; p < places; p++)
            memcpy((char *)b->data + (size_t)(p * envs) * item, (const char *)a->data + (size_t)(p * all + first) * item,
                   (size_t)envs * item);
    }
    assert_int_equal(vecenv_snapshot(from->env, first, first + envs, snapshot, &err), 0);
    assert_int_equal(vecenv_restore(to->env, 0, envs, snapshot, &err), 0);
    assert_int_equal(collect_begin(to->collector, to->env, true, &err), 0);
    free(saved.field);
    free(read.field);
}

static void expect_equal(const struct ring *part, const struct ring *whole, int first)
{
    const struct transitions *a = part->transitions, *b = whole->transitions;
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->filled, b->filled);
    for (uint64_t n = transitions_oldest(a); n < a->step; n++)
        for (int i = 0; i < a->slices.count; i++)
            for (int e = 0; e < a->config.envs; e++) {
                const struct slice *slice = &a->slices.slice[i];
                const int place = transitions_place(a, n);
                if (slice->written == SLICE_FINAL && b->all.ep_end[place * b->config.envs + first + e] == MAPPO_RUNNING) continue;
                if (memcmp(transitions_at(a, slice, place, e), transitions_at(b, slice, place, first + e), slice->bytes))
                    fail_msg("%s of environment %d differs at step %d", slice->name, first + e, (int)n);
            }
}

/* Six environments of one rank go on as two of one and four of another. */
static void saved_rings_go_on_as_they_would_have_whatever_the_ranks(void **state)
{
    (void)state;
    for (int calls = 1; calls < 6; calls += 3) { /* before it is full, and after it has come round */
        struct ring whole, part[2];
        struct error err = {0};
        ring_open(&whole, "cpu", COLLECT_DIRECT, 6, 0, NULL, 0);
        ring_open(&part[0], "cpu", COLLECT_DIRECT, 2, 0, NULL, 0);
        ring_open(&part[1], "cpu", COLLECT_DIRECT, 4, 2, NULL, 0);
        for (int i = 0; i < calls; i++) assert_int_equal(collect_steps(whole.collector, whole.env, &err), 0);
        for (int k = 0; k < 2; k++) {
            hand_over(&part[k], &whole, 2 * k);
            expect_equal(&part[k], &whole, 2 * k);
        }
        for (int i = 0; i < 2; i++) assert_int_equal(collect_steps(whole.collector, whole.env, &err), 0);
        for (int k = 0; k < 2; k++) {
            for (int i = 0; i < 2; i++) assert_int_equal(collect_steps(part[k].collector, part[k].env, &err), 0);
            expect_equal(&part[k], &whole, 2 * k);
            ring_close(&part[k]);
        }
        ring_close(&whole);
    }
}

/* What environments show after a reset does not follow from the last step held. */
static void a_reset_empties_a_ring(void **state)
{
    (void)state;
    struct ring r;
    struct error err = {0};
    ring_open(&r, "cpu", COLLECT_DIRECT, 2, 0, NULL, 0);
    assert_int_equal(collect_steps(r.collector, r.env, &err), 0);
    assert_int_equal(r.transitions->filled, RING_CALL);
    assert_int_equal(collect_begin(r.collector, r.env, false, &err), 0);
    assert_int_equal(r.transitions->filled, 0);
    assert_int_equal(r.transitions->step, RING_CALL);
    ring_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rings_hold_the_last_steps_across_their_seam_and_the_ends_of_episodes),
        cmocka_unit_test(transitions_take_the_memory_that_they_say),
        cmocka_unit_test(saved_rings_go_on_as_they_would_have_whatever_the_ranks),
        cmocka_unit_test(a_reset_empties_a_ring),
    };
    return cmocka_run_group_tests_name("algo_transitions", tests, NULL, NULL);
}
