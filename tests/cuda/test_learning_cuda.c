/* Whole iterations on the CUDA backend, against the CPU and against themselves.
 */
// slow
// timeout: 600
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "algo/rollout.h"
#include "run/learning.h"
#include "policies_hash.h"

/* What one update may differ by between two machines: Adam moves a parameter by at most its learning rate a step, in the direction of a
 * gradient whose sign rounding can turn where it is nearly 0. Means are compared more closely. */
static const double worst_difference = 4e-4, mean_difference = 2e-6;

enum { MAX_KEYS = 14 };
struct settings {
    const char *key[MAX_KEYS][2];
};

struct fixture {
    struct config config;
    struct comm *comm;
    struct learning learning;
    struct env_report report; /* of the last update */
};

static void set(struct settings *settings, const char *key, const char *value)
{
    for (int i = 0; i < MAX_KEYS; i++) {
        if (settings->key[i][0] && strcmp(settings->key[i][0], key)) continue;
        settings->key[i][0] = key;
        settings->key[i][1] = value;
        return;
    }
    fail_msg("more settings than room");
}

static void open_fixture(struct fixture *f, const struct settings *settings)
{
    struct error err = {0};
    memset(f, 0, sizeof *f);
    config_defaults(&f->config);
    for (int i = 0; i < MAX_KEYS && settings->key[i][0]; i++)
        if (config_set(&f->config, settings->key[i][0], settings->key[i][1], ORIGIN_COMMAND_LINE, "in a test", &err))
            fail_msg("%s", err.text);
    int argc = 0;
    char **argv = NULL;
    assert_int_equal(comm_open(&f->comm, &argc, &argv, &err), 0);
    f->comm->shards = f->config.comm_reproducible ? (int)f->config.comm_shards : 0;
    if (learning_backend(&f->learning, &f->config, f->comm, 1, -1, &err)) fail_msg("%s", err.text);
    if (learning_open(&f->learning, &f->config, f->comm, &err)) fail_msg("%s", err.text);
}

static void begin(struct fixture *f, bool restored)
{
    struct error err = {0};
    if (f->learning.algorithm->ops->begin(f->learning.algorithm, restored, &err)) fail_msg("%s", err.text);
}

static void close_fixture(struct fixture *f)
{
    learning_close(&f->learning);
    comm_close(f->comm);
}

static int iterate(struct fixture *f, int updates, struct error *err)
{
    struct algorithm *a = f->learning.algorithm;
    int code = 0;
    for (int i = 0; i < updates && code == 0; i++) {
        code = a->ops->collect(a, err);
        if (code == 0) code = a->ops->finish(a, err);
        if (code == 0) vecenv_report_begin(f->learning.env);
        if (code == 0) code = a->ops->update(a, err);
        if (code == 0) code = a->ops->outcome(a, err);
        if (code == 0) f->report = vecenv_report_end(f->learning.env);
    }
    return code;
}

static void run(struct fixture *f, const struct settings *settings, int updates)
{
    struct error err = {0};
    open_fixture(f, settings);
    begin(f, false);
    if (iterate(f, updates, &err)) fail_msg("%s", err.text);
}

static uint64_t hash_after(const struct settings *settings, int updates)
{
    struct fixture f;
    run(&f, settings, updates);
    const uint64_t hash = policies_hash(f.learning.policies);
    close_fixture(&f);
    return hash;
}

/* Steps: one more than an episode has. Rows: a few tiles, the last one not full. */
static const struct settings spread = {
    .key = {{"backend", "cuda"}, {"env.rules", "on-policy"}, {"rollout.envs", "3"}, {"rollout.steps", "26"}, {"ppo.epochs", "2"}}};
static const struct settings sink = {.key = {{"backend", "cuda"},
                                             {"env", "test/kitchen_sink"},
                                             {"rollout.envs", "6"},
                                             {"rollout.steps", "12"},
                                             {"ppo.epochs", "2"},
                                             {"policy.hidden", "16"}}};

/* Chunks of 5, 5 and 2 steps. */
static const struct settings remembering = {.key = {{"backend", "cuda"},
                                                    {"env", "test/kitchen_sink"},
                                                    {"rollout.envs", "4"},
                                                    {"rollout.steps", "12"},
                                                    {"ppo.epochs", "1"},
                                                    {"policy.hidden", "8"},
                                                    {"policy", "gru"},
                                                    {"ppo.chunk", "5"}}};

/* From the second rollout on past selves act in half of the environments. */
static const struct settings self_playing = {.key = {{"backend", "cuda"},
                                                     {"env", "test/kitchen_sink"},
                                                     {"rollout.envs", "8"},
                                                     {"rollout.steps", "12"},
                                                     {"ppo.epochs", "2"},
                                                     {"policy.hidden", "16"},
                                                     {"group.runner.play", "self"},
                                                     {"group.runner.pool", "2"},
                                                     {"group.runner.pool_interval", "1"},
                                                     {"group.runner.pool_share", "0.5"}}};

/* A critic that sees the images of both agents. */
static const struct settings looking = {.key = {{"backend", "cuda"},
                                                {"env", "overcooked/cramped_room"},
                                                {"rollout.envs", "4"},
                                                {"rollout.steps", "8"},
                                                {"ppo.epochs", "1"},
                                                {"policy.hidden", "8"},
                                                {"policy.conv", "5,4"},
                                                {"policy.conv_kernel", "3,2"}}};

/* ---- promises ------------------------------------------------------------------------------------------------------------------------ */

static void compare_updates_with_cpu(const struct settings *settings, int updates, const char *what)
{
    struct fixture f[2];
    struct settings cpu = *settings;
    set(&cpu, "backend", "cpu");
    run(&f[0], settings, updates);
    run(&f[1], &cpu, updates);
    assert_string_equal(f[0].learning.backend->name, "cuda");
    assert_string_equal(f[1].learning.backend->name, "cpu");
    for (int g = 0; g < f[0].learning.policies->groups; g++) {
        struct policy *a = f[0].learning.policies->group[g], *b = f[1].learning.policies->group[g];
        const size_t n = a->size;
        double worst = 0, sum = 0;
        policy_pull(a);
        for (size_t i = 0; i < n; i++) {
            const double difference = fabs((double)a->host.parameters[i] - (double)b->host.parameters[i]);
            worst = difference <= worst ? worst : difference; /* keeps a NaN */
            sum += difference;
        }
        if (!(worst < worst_difference && sum / (double)n < mean_difference))
            fail_msg("%s, group %d: parameters after %d updates differ from the CPU's by %.3g, on average %.3g", what, g, updates, worst,
                     sum / (double)n);
    }
    struct metric metric[2][64];
    const int metrics = f[0].learning.algorithm->ops->metrics(f[0].learning.algorithm, metric[0], 64);
    f[1].learning.algorithm->ops->metrics(f[1].learning.algorithm, metric[1], 64);
    for (int k = 0; k < metrics; k++)
        if (!(fabs(metric[0][k].value - metric[1][k].value) <= 2e-4 * (1 + fabs(metric[1][k].value))))
            fail_msg("%s: %s is %.9g, on the CPU %.9g", what, metric[0][k].name, metric[0][k].value, metric[1][k].value);
    for (int i = 0; i < 2; i++) close_fixture(&f[i]);
}

static void compare_with_cpu(const struct settings *settings, const char *what)
{
    compare_updates_with_cpu(settings, 1, what);
}

static void one_update_is_the_cpus_but_for_rounding(void **state)
{
    (void)state;
    compare_with_cpu(&spread, "simple_spread");
    struct settings popart = spread;
    set(&popart, "norm.value", "popart");
    compare_with_cpu(&popart, "PopArt");
    struct settings wide = spread;
    set(&wide, "policy.hidden", "96");
    set(&wide, "policy.activation", "relu");
    compare_with_cpu(&wide, "hidden 96");
    static const char *const variants[][4] = {{"critic.state", "auto"},
                                              {"algo", "ippo"},
                                              {"policy.share", "0"},
                                              {"policy.share", "0", "algo", "ippo"},
                                              {"algo", "happo"},
                                              {"critic.share", "false"},
                                              {"policy.share", "0", "critic.share", "true"},
                                              {"norm.value", "popart", "critic.share", "false"},
                                              {"critic.state", "concat", "critic.agent_id", "1"},
                                              {"ppo.minibatches", "3"},
                                              {"ppo.minibatches", "3", "ppo.minibatch_unit", "row"},
                                              {"gae.time_limit", "terminal"},
                                              {"gae.advantage", "reward_to_go", "gae.target", "td0"},
                                              {"policy.hidden", "40,24", "adam.weight_decay", "0.1"},
                                              {"norm.value", "none", "ppo.huber_delta", "0"},
                                              {"norm.value", "popart", "ppo.minibatches", "3"},
                                              {"norm.value", "popart", "policy.share", "0"},
                                              {"norm.obs", "running", "norm.reward", "running"},
                                              {"norm.obs", "running", "algo", "ippo"},
                                              {"policy.fixed_std", "0.5", "policy.activation", "relu"},
                                              {"policy.std", "state"},
                                              {"policy.std", "state", "ppo.objective", "clip_kl"},
                                              {"policy.std", "state", "policy", "gru"},
                                              {"policy.hidden", "64", "policy.layers", "3"},
                                              {"policy.feature_norm", "0", "policy.layer_norm", "0"}};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        struct settings settings = sink;
        for (int k = 0; k < 2 && variants[i][2 * k]; k++) set(&settings, variants[i][2 * k], variants[i][2 * k + 1]);
        compare_with_cpu(&settings, variants[i][0]);
    }
    struct settings recurrent = remembering;
    set(&recurrent, "ppo.minibatches", "3");
    compare_with_cpu(&recurrent, "GRU");
    set(&recurrent, "policy.share", "0");
    compare_with_cpu(&recurrent, "GRU, a network of each agent");
    struct settings convolved = looking;
    compare_with_cpu(&convolved, "convolutions");
    set(&convolved, "policy", "gru");
    set(&convolved, "ppo.chunk", "4");
    compare_with_cpu(&convolved, "convolutions before a GRU");
}

/* Of three updates the first makes the calls, the second records them, the third replays. */
static void graphs_change_no_bit(void **state)
{
    (void)state;
    const struct settings *const cases[] = {&spread, &sink};
    for (int i = 0; i < 2; i++) {
        struct settings settings = *cases[i];
        const uint64_t recorded = hash_after(&settings, 3);
        assert_true(hash_after(&settings, 3) == recorded);
        set(&settings, "cuda.graphs", "0");
        assert_true(hash_after(&settings, 3) == recorded);
        set(&settings, "ppo.minibatches", "2");
        const uint64_t shuffled = hash_after(&settings, 3);
        set(&settings, "cuda.graphs", "1");
        assert_true(hash_after(&settings, 3) == shuffled);
        set(&settings, "norm.value", "popart");
        const uint64_t popart = hash_after(&settings, 3);
        assert_true(popart != shuffled);
        set(&settings, "cuda.graphs", "0");
        assert_true(hash_after(&settings, 3) == popart);
        set(&settings, "algo", "happo");
        const uint64_t turns = hash_after(&settings, 3);
        set(&settings, "cuda.graphs", "1");
        assert_true(turns != popart && hash_after(&settings, 3) == turns);
    }
    struct settings recurrent = remembering;
    set(&recurrent, "ppo.minibatches", "3"); /* of other numbers of chunks */
    const uint64_t recorded = hash_after(&recurrent, 3);
    set(&recurrent, "cuda.graphs", "0");
    assert_true(hash_after(&recurrent, 3) == recorded);
    struct settings convolved = looking;
    const uint64_t replayed = hash_after(&convolved, 3);
    set(&convolved, "cuda.graphs", "0");
    assert_true(hash_after(&convolved, 3) == replayed);
}

/* Episodes that ended in each of three updates; where the environments step is checked. */
static int play(const struct settings *settings, const char *where, struct episode *episode, int most, uint64_t *hash)
{
    struct error err = {0};
    struct fixture f;
    int episodes = 0;
    run(&f, settings, 0);
    if (!strstr(f.learning.where, where)) fail_msg("%s", f.learning.where);
    for (int i = 0; i < 3; i++) {
        if (iterate(&f, 1, &err)) fail_msg("%s", err.text);
        for (int k = 0; k < f.report.listed && episodes < most; k++) episode[episodes++] = f.report.episode[k];
    }
    *hash = policies_hash(f.learning.policies);
    close_fixture(&f);
    return episodes;
}

static void environments_on_the_device_and_beside_it_give_the_same(void **state)
{
    (void)state;
    enum { MOST = 200 };
    const struct settings *const cases[] = {&spread, &sink, &remembering};
    for (int i = 0; i < 3; i++) {
        struct settings settings = *cases[i];
        struct episode on_device[MOST], beside[MOST];
        uint64_t hash, other;
        memset(on_device, 0, sizeof on_device);
        memset(beside, 0, sizeof beside);
        const int episodes = play(&settings, "on the device", on_device, MOST, &hash);
        assert_true(episodes > 0);
        set(&settings, "cuda.environments", "0");
        assert_int_equal(play(&settings, "on the host", beside, MOST, &other), episodes);
        assert_true(hash == other);
        assert_memory_equal(on_device, beside, (size_t)episodes * sizeof *beside);
    }
}

/* Two updates, then fields and snapshots move to a new program, then two more: as four in one go. */
static void continue_from(const struct settings *settings)
{
    struct error err = {0};
    struct fixture first, second;
    run(&first, settings, 2);
    open_fixture(&second, settings);
    struct algorithm *a = first.learning.algorithm, *b = second.learning.algorithm;
    struct field_list from = {0}, to = {0};
    a->ops->pull(a);
    a->ops->fields(a, &from);
    b->ops->fields(b, &to);
    assert_int_equal(from.count, to.count);
    for (int i = 0; i < from.count; i++) memcpy(to.field[i].data, from.field[i].data, field_bytes(&from.field[i]));
    b->ops->push(b);
    free(from.field), free(to.field);
    void *bytes = calloc(1, vecenv_snapshot_bytes(first.learning.env));
    for (int e = 0; e < vecenv_envs(first.learning.env); e++) {
        assert_int_equal(vecenv_snapshot(first.learning.env, e, e + 1, bytes, &err), 0);
        assert_int_equal(vecenv_restore(second.learning.env, e, e + 1, bytes, &err), 0);
    }
    free(bytes);
    begin(&second, true);
    if (iterate(&first, 2, &err) || iterate(&second, 2, &err)) fail_msg("%s", err.text);
    assert_true(policies_hash(first.learning.policies) == policies_hash(second.learning.policies));
    close_fixture(&first);
    close_fixture(&second);
}

static void fields_and_snapshots_continue_bit_for_bit(void **state)
{
    (void)state;
    struct settings settings = spread;
    continue_from(&settings);
    set(&settings, "cuda.environments", "0");
    continue_from(&settings);
    settings = sink;
    set(&settings, "ppo.minibatches", "2");
    continue_from(&settings);
    set(&settings, "critic.share", "false");
    continue_from(&settings);
    continue_from(&remembering);
}

static void shards_keep_their_results_to_themselves(void **state)
{
    (void)state;
    struct settings settings = spread;
    set(&settings, "rollout.envs", "4");
    set(&settings, "comm.reproducible", "1");
    set(&settings, "comm.shards", "4");
    compare_with_cpu(&settings, "four shards");
    const uint64_t recorded = hash_after(&settings, 3);
    set(&settings, "cuda.graphs", "0");
    assert_true(hash_after(&settings, 3) == recorded);
}

static void a_number_that_is_none_stops_before_the_optimiser(void **state)
{
    (void)state;
    struct error err = {0};
    struct fixture f;
    run(&f, &spread, 2);
    struct policy *policy = f.learning.policies->group[0];
    policy_pull(policy);
    policy_critic(policy, policy->host.parameters, 0)[policy->net[ROLE_CRITIC].at.weight[1] + 5] = (real)NAN;
    policy_push(policy);
    const int64_t updates = policy->updates;
    const uint64_t before = policies_hash(f.learning.policies);
    assert_int_equal(iterate(&f, 1, &err), EXIT_NUMERICAL);
    assert_non_null(strstr(err.text, "\"agent\""));
    assert_true(policies_hash(f.learning.policies) == before);
    assert_true(policy->updates == updates);
    close_fixture(&f);
}

/* On the device and beside it, recorded or not, continued, and but for rounding as on the CPU. */
static void past_selves_act_and_are_not_learned_from(void **state)
{
    (void)state;
    static const char *const variants[][2] = {
        {"norm.obs", "running"}, {"policy", "gru"}, {"policy.share", "0"}, {"policy.hidden", "40,24"}};
    for (int i = 0; i < 4; i++) {
        struct settings settings = self_playing;
        set(&settings, "ppo.chunk", "5");
        set(&settings, variants[i][0], variants[i][1]);
        compare_updates_with_cpu(&settings, 2, variants[i][0]);
        continue_from(&settings);
        const uint64_t recorded = hash_after(&settings, 4);
        set(&settings, "cuda.graphs", "0");
        assert_true(hash_after(&settings, 4) == recorded);
        set(&settings, "cuda.graphs", "1");
        set(&settings, "cuda.environments", "0");
        assert_true(hash_after(&settings, 4) == recorded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_update_is_the_cpus_but_for_rounding),
        cmocka_unit_test(graphs_change_no_bit),
        cmocka_unit_test(environments_on_the_device_and_beside_it_give_the_same),
        cmocka_unit_test(fields_and_snapshots_continue_bit_for_bit),
        cmocka_unit_test(shards_keep_their_results_to_themselves),
        cmocka_unit_test(a_number_that_is_none_stops_before_the_optimiser),
        cmocka_unit_test(past_selves_act_and_are_not_learned_from),
    };
    return cmocka_run_group_tests_name("learning_cuda", tests, NULL, NULL);
}
