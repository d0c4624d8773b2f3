/* Groups with settings of their own, through the training loop's interface. */
#include "algo_fixture.h"

#include <string.h>

#include "algo/on_policy.h"
#include "base/digest.h"

#define SINK                                                                                                                               \
    {"env", "test/kitchen_sink"}, {"rollout.envs", "6"},                                                                                   \
    {                                                                                                                                      \
        "policy.hidden", "16"                                                                                                              \
    }

static uint64_t hash_of(struct policy *policy)
{
    policy_pull(policy);
    uint64_t hash = hash_bytes(HASH_START, policy->host.parameters, policy->size * sizeof(real));
    for (int i = 0; i < POLICY_RUNNING; i++) {
        const struct running *running = &policy->host.running[i];
        if (running->width) hash = hash_bytes(hash, running->moments, (size_t)running_moments(running->width) * sizeof(double));
    }
    return hash;
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
    static const int pair[][2] = {{0, 1}, {1, 2}, {2, 0}};
    uint64_t alone[3][2], mixed[2];
    for (int a = 0; a < 3; a++) learn(&(struct settings){.key = {SINK, {"rollout.steps", "7"}, {"algo", algo[a]}}}, alone[a]);
    for (int g = 0; g < 2; g++) assert_true(alone[0][g] != alone[1][g] && alone[0][g] != alone[2][g]);
    for (int p = 0; p < 3; p++) {
        const int a = pair[p][0], b = pair[p][1];
        learn(&(struct settings){.key = {SINK, {"rollout.steps", "7"}, {"algo", algo[a]}, {"group.watcher.algo", algo[b]}}}, mixed);
        assert_true(mixed[0] == alone[a][0] && mixed[1] == alone[b][1]);
    }
}

/* The group "watcher" is played by `play`. */
static struct settings against(const char *play)
{
    return (struct settings){.key = {SINK, {"rollout.steps", "7"}, {"group.watcher.play", play}}};
}

static void a_group_that_is_played_learns_nothing_and_the_others_do(void **state)
{
    (void)state;
    static const char *const play[] = {"trained", "random", "noop", "scripted", "some/run"};
    for (int p = 0; p < 5; p++) {
        struct fixture f;
        struct error err = {0};
        const struct settings settings = against(play[p]);
        start(&f, &settings);
        struct policy *runner = f.policies->group[0], *watcher = f.policies->group[1];
        const uint64_t first[] = {hash_of(runner), hash_of(watcher)};
        assert_int_equal(watcher->sets[ROLE_ACTOR], p == 0 || p == 4);
        assert_int_equal(watcher->sets[ROLE_CRITIC], p == 0);
        assert_int_equal(iterate(&f, 3, &err), 0);
        assert_true(hash_of(runner) != first[0]);
        assert_true((hash_of(watcher) == first[1]) == (p > 0));
        assert_int_equal(watcher->updates, p > 0 ? 0 : runner->updates);
        close_fixture(&f);
    }
}

static void players_change_no_bit_wherever_they_are_asked(void **state)
{
    (void)state;
    static const char *const play[] = {"random", "noop", "scripted", "some/run", "some/run"};
    for (int p = 0; p < 5; p++) {
        struct settings settings = against(play[p]);
        if (p == 4) /* whose states are kept */
            memcpy(settings.key[6], (const char *const[4]){"policy", "gru", "ppo.chunk", "3"}, 4 * sizeof(char *));
        const uint64_t direct = hash_after(&settings, 2);
        settings.where = COLLECT_STAGED;
        settings.threads = p == 0 ? 2 : 1;
        if (hash_after(&settings, 2) != direct) fail_msg("%s: staged differs", play[p]);
        settings.threads = 1;
        if (p == 0 || p == 4) check_continuing(&settings);
        if (p != 2) continue;
        settings.shards = 3;
        const uint64_t sharded = hash_after(&settings, 2);
        settings.where = COLLECT_DIRECT;
        if (hash_after(&settings, 2) != sharded) fail_msg("%s: staged differs with shards", play[p]);
    }
}

/* What the transitions of the third rollout say that the runners did, whose choices are masked. */
static int32_t *actions_of(const struct settings *settings, size_t *count)
{
    struct fixture f;
    struct error err = {0};
    start(&f, settings);
    assert_int_equal(iterate(&f, 2, &err), 0);
    assert_int_equal(f.algorithm->ops->collect(f.algorithm, &err), 0);
    const struct on_policy *learner = f.algorithm->self;
    const struct mappo_group_io *runner = &learner->rollout->transitions->all.group[0];
    const struct group_sizes *size = &f.policies->group[0]->sizes;
    const size_t rows = (size_t)(f.config.rollout_steps * f.config.rollout_envs * size->agents);
    *count = rows * (size_t)size->act_ints;
    int32_t *copy = calloc(*count, sizeof *copy);
    memcpy(copy, runner->act_int, *count * sizeof *copy);
    close_fixture(&f);
    return copy;
}

static void what_players_did_stands_in_the_transitions(void **state)
{
    (void)state;
    static const char *const play[] = {"random", "scripted"};
    for (int p = 0; p < 2; p++) {
        struct settings settings = {.key = {SINK, {"rollout.steps", "7"}, {"group.runner.play", play[p]}}};
        size_t count, again;
        int32_t *direct = actions_of(&settings, &count);
        settings.where = COLLECT_STAGED;
        int32_t *staged = actions_of(&settings, &again);
        bool same = true;
        for (size_t i = 1; i < count; i++) same = same && direct[i] == direct[0];
        assert_true(count == again && count > 0 && !same);
        assert_memory_equal(direct, staged, count * sizeof *direct);
        free(direct);
        free(staged);
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
    expect_refused("group.wolf.play", "random", "has no group \"wolf\" (group.wolf.play on the command line)");
    expect_refused("group.wolf.algo", "ippo",
                   "has no group \"wolf\" (group.wolf.algo on the command line); its groups are: runner, watcher");
}

static void somebody_learns(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    const struct settings nobody = {.key = {SINK, {"group.watcher.play", "random"}, {"group.runner.play", "noop"}}};
    assert_int_equal(open_fixture(&f, &nobody, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "no group learns"));
    close_fixture(&f);
}

/* Penalties, running statistics, rows as minibatches, agents of their own: beside a group that is played, which is the first here. */
static void every_kind_of_update_passes_over_it(void **state)
{
    (void)state;
    static const char *const keys[][2] = {{"ppo.objective", "clip_kl"},
                                          {"norm.obs", "running"},
                                          {"ppo.minibatch_unit", "row"},
                                          {"policy.share", "0"},
                                          {"ppo.minibatch_size", "14"},
                                          {"norm.value", "popart"},
                                          {"policy", "gru"},
                                          {"algo", "happo"},
                                          {"norm.reward", "running"},
                                          {"critic.state", "concat"},
                                          {"ppo.target_kl", "0.01"}};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        struct settings settings = {.key = {SINK,
                                            {"rollout.steps", "7"},
                                            {"ppo.chunk", "3"},
                                            {"ppo.minibatches", "3"},
                                            {"group.runner.play", "some/run"},
                                            {keys[k][0], keys[k][1]}}};
        struct fixture f;
        struct error err = {0};
        start(&f, &settings);
        const uint64_t first[] = {hash_of(f.policies->group[0]), hash_of(f.policies->group[1])};
        if (iterate(&f, 2, &err)) fail_msg("%s=%s: %s", keys[k][0], keys[k][1], err.text);
        assert_true(hash_of(f.policies->group[0]) == first[0] && hash_of(f.policies->group[1]) != first[1]);
        assert_int_equal(policies_team(f.policies, vecenv_spec(f.env)), vecenv_spec(f.env)->group[1].team);
        close_fixture(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_group_learns_by_its_own_algorithm_as_if_all_had_it),
                                       cmocka_unit_test(a_group_that_is_played_learns_nothing_and_the_others_do),
                                       cmocka_unit_test(players_change_no_bit_wherever_they_are_asked),
                                       cmocka_unit_test(what_players_did_stands_in_the_transitions),
                                       cmocka_unit_test(every_kind_of_update_passes_over_it),
                                       cmocka_unit_test(what_does_not_fit_is_refused),
                                       cmocka_unit_test(somebody_learns)};
    return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
