/* Learners that replay, on the CPU. */
#include "off_policy_cases.h"

/* Fields of a run's newest checkpoint whose names begin so and have that in them, one behind the other; to be freed. */
static char *state_of(const char *run, const char *begins, const char *has, size_t *size)
{
    struct checkpoint *file;
    struct error err = {0};
    char path[512], dir[512], *bytes = NULL;
    text_format(dir, sizeof dir, "%s/%s", folder, run);
    if (saved_run_open(dir, false, &file, path, sizeof path, &err)) fail_msg("%s", err.text);
    const struct field_list *list = checkpoint_fields(file);
    *size = 0;
    for (int i = 0; i < list->count; i++) {
        const struct field *field = &list->field[i];
        if (strncmp(field->name, begins, strlen(begins)) || !strstr(field->name, has)) continue;
        bytes = realloc(bytes, *size + field_bytes(field));
        memcpy(bytes + *size, field->data, field_bytes(field));
        *size += field_bytes(field);
    }
    checkpoint_close(file);
    return bytes;
}

/* Its episodes begin anew, and so does the replay; networks and targets do not. */
static void without_snapshots_targets_go_on(void **state)
{
    (void)state;
    char plugin[600];
    size_t size, later;
    double loss[UPDATES_MOST];
    text_format(plugin, sizeof plugin, "%.*s/plugin_with_nonsense.so", (int)(strrchr(template_env, '/') - template_env), template_env);
    const struct settings settings = {{plugin, "algo=ddpg", SMALL}, 10, 4};
    assert_int_equal(train(&settings, "no_snapshots", 3), EXIT_DONE);
    char *before = state_of("no_snapshots", "/target/", "", &size);
    assert_int_equal(train(&settings, "no_snapshots", 4), EXIT_DONE);
    char *after = state_of("no_snapshots", "/target/", "", &later);
    assert_int_equal(read_metric("no_snapshots", "critic_loss", loss), 4);
    assert_true(loss[2] > 0 && loss[3] == 0); /* less is held than maddpg.start */
    assert_true(size > 0);
    assert_int_equal(size, later);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
}

static void second_critics_begin_as_first_ones_do(void **state)
{
    (void)state;
    const struct settings settings = {{"env=classic/Pendulum-v1", "algo=ddpg", "maddpg.twin=1", "policy.init=torch", SMALL}, 10, 4};
    size_t size;
    assert_int_equal(train(&settings, "torch", 1), EXIT_DONE); /* before anything is learned */
    real *bias = (real *)(void *)state_of("torch", "/twin/", "fc1/bias", &size);
    assert_true(size > 0);
    for (size_t i = 0; i < size / sizeof *bias; i++) assert_true(bias[i] != 0); /* orthogonal networks begin with 0 */
    free(bias);
}

static void weights_decay(void **state)
{
    (void)state;
    double loss[2][UPDATES_MOST];
    for (int decays = 0; decays < 2; decays++) {
        const struct settings settings = {
            {"env=mpe/simple", "algo=ddpg", SMALL, decays ? "adam.weight_decay=10" : "adam.weight_decay=0"}, 10, 4};
        assert_int_equal(train(&settings, decays ? "decay" : "no_decay", 4), EXIT_DONE);
        assert_int_equal(read_metric(decays ? "decay" : "no_decay", "critic_loss", loss[decays]), 4);
    }
    assert_true(loss[0][3] > 0 && loss[0][3] != loss[1][3]);
}

static void groups_that_do_not_learn_have_neither_targets_nor_noise(void **state)
{
    (void)state;
    const struct settings settings = {
        {"env=mpe/simple_adversary", "algo=ddpg", "env.soft_actions=1", "group.adversary.play=random", "maddpg.explore=ou", SMALL}, 10, 4};
    size_t size;
    assert_int_equal(train(&settings, "random", 1), EXIT_DONE);
    free(state_of("random", "/target/adversary", "", &size));
    assert_int_equal(size, 0);
    free(state_of("random", "/replay/adversary", "", &size));
    assert_int_equal(size, 0);
    free(state_of("random", "/replay/", "noise", &size));
    assert_true(size > 0);
}

static const struct CMUnitTest own_tests[] = {
    cmocka_unit_test(without_snapshots_targets_go_on),
    cmocka_unit_test(second_critics_begin_as_first_ones_do),
    cmocka_unit_test(weights_decay),
    cmocka_unit_test(groups_that_do_not_learn_have_neither_targets_nor_noise),
};

int main(void)
{
    const int failed = cmocka_run_group_tests_name("algo_off_policy", off_policy_tests, begin_tests, end_tests);
    return failed + cmocka_run_group_tests_name("what they begin and go on with", own_tests, begin_tests, end_tests);
}
