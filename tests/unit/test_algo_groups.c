/* Groups with settings of their own, through the training loop's interface. */
#include "algo_fixture.h"

#include <string.h>

#include "base/digest.h"

#define SINK                                                                                                                               \
    {"env", "test/kitchen_sink"}, {"rollout.envs", "6"},                                                                                   \
    {                                                                                                                                      \
        "policy.hidden", "16"                                                                                                              \
    }

static uint64_t hash_of(struct policy *policy)
{
    policy_pull(policy);
    return hash_bytes(HASH_START, policy->host.parameters, policy->size * sizeof(real));
}

/* Hashes of both groups' networks after an update. */
static void learn(const struct settings *settings, uint64_t hash[2])
{
    struct fixture f;
    struct error err = {0};
    start(&f, settings);
    assert_int_equal(iterate(&f, 1, &err), 0);
    for (int g = 0; g < 2; g++) hash[g] = hash_of(f.policies->group[g]);
    close_fixture(&f);
}

static void a_group_learns_by_its_own_algorithm_as_if_all_had_it(void **state)
{
    (void)state;
    static const char *const algo[] = {"mappo", "ippo", "coppo"};
    uint64_t alone[3][2], mixed[2];
    for (int a = 0; a < 3; a++) learn(&(struct settings){.key = {SINK, {"algo", algo[a]}}}, alone[a]);
    for (int g = 0; g < 2; g++) assert_true(alone[0][g] != alone[1][g] && alone[0][g] != alone[2][g]);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            learn(&(struct settings){.key = {SINK, {"algo", algo[a]}, {"group.watcher.algo", algo[b]}}}, mixed);
            assert_true(mixed[0] == alone[a][0] && mixed[1] == alone[b][1]);
        }
}

static void expect_refused(const char *key, const char *value, const char *text)
{
    struct fixture f;
    struct error err = {0};
    assert_int_equal(open_fixture(&f, &(struct settings){.key = {SINK, {key, value}}}, &err), EXIT_USAGE);
    if (!strstr(err.text, text)) fail_msg("\"%s\" does not say \"%s\"", err.text, text);
    close_fixture(&f);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    expect_refused("group.wolf.algo", "ippo",
                   "has no group \"wolf\" (group.wolf.algo on the command line); its groups are: runner, watcher");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_group_learns_by_its_own_algorithm_as_if_all_had_it),
                                       cmocka_unit_test(what_does_not_fit_is_refused)};
    return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
