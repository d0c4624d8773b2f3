/* An environment of a few lines, made by LANE_ENV in this file: what is described is what the spec says, what goes wrong is said, snapshots
 * are read back or refused. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "env/lane_env.h"

/* ---- the environment: dots count steps --------------------------------------------------------------------- */

struct dot_rules {
    int32_t dots, heads, groups, too_early;
};
struct dot { /* a byte for each dot follows */
    struct philox rng;
    int32_t steps, spare;
};

static size_t dot_bytes(const struct dot_rules *rules)
{
    return sizeof(struct dot) + (size_t)rules->dots;
}

static uint8_t *counts_of(const struct dot *w)
{
    return (uint8_t *)(uintptr_t)(w + 1);
}

static void dot_reset(struct dot *w, const struct dot_rules *rules)
{
    w->steps = 0;
    memset(counts_of(w), 0, (size_t)rules->dots);
}

static int dot_step(struct dot *w, const struct dot_rules *rules, const struct rule_io *io)
{
    for (int32_t i = 0; i < rules->dots; i++) {
        counts_of(w)[i] = (uint8_t)(counts_of(w)[i] + io->group[0].act_int[i]);
        io->group[0].reward[i] = (rule_real)counts_of(w)[i];
    }
    return ++w->steps == 3 ? MAPPO_TERMINATED : MAPPO_RUNNING;
}

static void dot_observe(const struct dot *w, const struct dot_rules *rules, const struct rule_io *io)
{
    for (int32_t i = 0; io->group[0].obs && i < rules->dots; i++) io->group[0].obs[i] = (float)counts_of(w)[i];
}

static int dot_sound(const struct dot *w, const struct dot_rules *rules)
{
    (void)rules;
    return w->steps >= 0 && w->steps < 3;
}

static int dot_configure(struct dot_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    rules->dots = (int32_t)value[0].i;
    rules->heads = (int32_t)value[1].i;
    rules->groups = (int32_t)value[2].i;
    rules->too_early = (int32_t)value[3].i;
    return rules->dots == 13 ? lane_refuse(error, "%d dots bring bad luck", rules->dots) : 0;
}

static void dot_describe(struct description *d, const struct dot_rules *rules)
{
    static const char *const names[] = {"rest", "count"};
    d->spec.state_is_all_obs = 1;
    if (rules->too_early) describe_bits(d, DESCRIBE_OBS, 1);
    for (int g = 0; g < rules->groups; g++) describe_group(d, describe_text(d, "dots %d", g), rules->dots, 0, 0);
    describe_number(d, DESCRIBE_OBS, "steps", -INFINITY, INFINITY, "count of %s", "this");
    for (int h = 0; h < rules->heads; h++) describe_choice(d, DESCRIBE_ACT, 2, 0, names);
}

LANE_ENV(test_dot, dot, 1, (observe, bytes, sound), .id = "test/dot", .version = 1);

/* ---- promises ----------------------------------------------------------------------------------------------- */

static int open_dots(void **self, int64_t dots, int64_t heads, int64_t groups, int64_t too_early, struct mappo_env_error *error)
{
    const struct mappo_value value[] = {{.i = dots}, {.i = heads}, {.i = groups}, {.i = too_early}};
    const struct mappo_env_config config = {
        .struct_size = sizeof config, .option = value, .envs = 2, .first_env = 7, .seed = 5, .stream = 1};
    return test_dot.create(&config, self, error);
}

static void refused(int64_t dots, int64_t heads, int64_t groups, int64_t too_early, const char *says)
{
    void *self = &self;
    struct mappo_env_error error = {0};
    assert_int_equal(open_dots(&self, dots, heads, groups, too_early, &error), -1);
    assert_null(self);
    assert_int_equal(error.env, -1);
    assert_string_equal(error.text, says);
}

static void what_cannot_be_made_is_said(void **state)
{
    (void)state;
    refused(13, 1, 1, 0, "13 dots bring bad luck");
    refused(3, 5, 1, 0, "it describes too many heads");
    refused(3, 1, MAPPO_MAX_GROUPS + 1, 0, "it describes too many groups");
    refused(3, 1, 1, 1, "it describes spaces before their group");
    refused(3, 1, 2, 0, "it describes 2 groups, its line LANE_ENV or LANE_PLUGIN says 1; that must be the most it describes");
}

/* Every call, in one group: kinds, names and bounds; what is at its default is left out. */
static void a_spec_says_what_was_described(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    struct description d = {.fault = NULL};
    describe_group(&d, "agent", 2, 0, 0);
    for (int k = 0; k < 9; k++) describe_number(&d, DESCRIBE_OBS, "m", (float)-k, INFINITY, "number %d", k);
    describe_choice(&d, DESCRIBE_OBS, 3, 1, names);
    describe_choice(&d, DESCRIBE_OBS, 2, 0, NULL);
    describe_number(&d, DESCRIBE_OBS, NULL, -INFINITY, INFINITY, "free");
    for (int k = 0; k < 5; k++) describe_component(&d, DESCRIBE_ACT, k + 2, 0);
    describe_bits(&d, DESCRIBE_ACT, 4);
    d.spec.state_is_all_obs = 1;
    assert_null(description_finish(&d));
    const struct mappo_group *group = &d.spec.group[0];
    const struct mappo_space *obs = group->obs, *act = group->act;
    assert_int_equal(group->obs_heads, 4);
    assert_int_equal(group->act_heads, 2);
    assert_true(obs[0].kind == MAPPO_BOX && obs[0].size == 9 && obs[0].meanings == 9 && obs[0].high == NULL);
    for (int k = 0; k < 9; k++) {
        assert_true(obs[0].low[k] == (float)-k);
        assert_string_equal(obs[0].meaning[k].name, describe_text(&d, "number %d", k));
        assert_string_equal(obs[0].meaning[k].unit, "m");
    }
    assert_true(obs[1].kind == MAPPO_DISCRETE && obs[1].size == 1 && obs[1].n[0] == 3 && obs[1].start[0] == 1 && obs[1].meanings == 3);
    assert_string_equal(obs[1].meaning[2].name, "c");
    assert_true(obs[2].kind == MAPPO_DISCRETE && obs[2].n[0] == 2 && !obs[2].start && !obs[2].meaning && obs[2].meanings == 0);
    assert_true(obs[3].kind == MAPPO_BOX && obs[3].size == 1 && !obs[3].low && !obs[3].high);
    assert_true(act[0].kind == MAPPO_MULTI_DISCRETE && act[0].size == 5 && act[0].n[0] == 2 && act[0].n[4] == 6 && !act[0].start);
    assert_true(act[1].kind == MAPPO_MULTI_BINARY && act[1].size == 4);
    assert_int_equal(d.spec.state_size, 2 * (9 + 3 + 2 + 1));
    description_free(&d);
}

static void snapshots_are_read_back_or_refused(void **state)
{
    (void)state;
    enum { DOTS = 3, ENVS = 2 };
    void *self;
    struct mappo_env_error error = {0};
    int32_t act[ENVS][DOTS] = {{1, 0, 1}, {1, 1, 0}};
    float reward[ENVS][DOTS], obs[ENVS][DOTS], final_obs[ENVS][DOTS], all[ENVS][DOTS];
    uint8_t end[ENVS], saved[sizeof(struct dot) + DOTS], again[sizeof saved];
    struct mappo_env_io io = {.struct_size = sizeof io, .groups = 1, .state = &all[0][0], .ep_end = end};
    io.group[0] = (struct mappo_group_io){.act_int = &act[0][0], .obs = &obs[0][0], .final_obs = &final_obs[0][0], .reward = &reward[0][0]};
    assert_int_equal(open_dots(&self, DOTS, 1, 1, 0, &error), 0);
    assert_int_equal(test_dot.spec(self)->snapshot_bytes, sizeof saved); /* not padded to the next copy */
    test_dot.reset(self, 0, ENVS, &io, &error);
    test_dot.step(self, 0, ENVS, &io, &error);
    test_dot.step(self, 0, ENVS, &io, &error);
    assert_true(obs[1][1] == 2 && obs[1][2] == 0 && memcmp(obs, all, sizeof obs) == 0); /* the state is all observations */
    test_dot.snapshot(self, 1, saved);
    test_dot.step(self, 0, ENVS, &io, &error);
    assert_true(end[1] == MAPPO_TERMINATED && final_obs[1][1] == 3 && obs[1][1] == 0 && reward[1][1] == 3);

    assert_int_equal(test_dot.restore(self, 1, saved, &error), 0);
    test_dot.snapshot(self, 1, again);
    assert_memory_equal(saved, again, sizeof saved);
    assert_int_equal(test_dot.restore(self, 0, saved, &error), -1); /* of another copy */
    assert_int_equal(error.env, 0);
    assert_non_null(strstr(error.text, "generator is not this environment's"));
    const int32_t late = 3;
    memcpy(again + offsetof(struct dot, steps), &late, sizeof late);
    assert_int_equal(test_dot.restore(self, 1, again, &error), -1);
    assert_int_equal(error.env, 1);
    assert_string_equal(
        error.text, "the snapshot holds a state that is impossible, says dot_sound(): the file is damaged, or dot_sound() is too strict");
    test_dot.snapshot(self, 1, again);
    assert_memory_equal(saved, again, sizeof saved); /* what was refused changed nothing */
    test_dot.destroy(self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_made_is_said),
        cmocka_unit_test(a_spec_says_what_was_described),
        cmocka_unit_test(snapshots_are_read_back_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
