/* Whole iterations through the training loop's interface: no allocation, nothing depends on threads, state is complete, bad numbers stop,
 * and it learns. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "algo_fixture.h"
#include "algo/rollout.h"
#include "base/philox.h"

/* ---- counting allocations: this program's malloc stands before the library's --------------------------------------------------------- */

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size);
int posix_memalign(void **out, size_t alignment, size_t size);

static volatile long allocations;
static volatile bool counting;

#if !defined(__SANITIZE_ADDRESS__)
#define COUNTS_ALLOCATIONS 1
/* OpenMP's library makes a team for every region that one thread runs alone: its own affair. */
static void count(void *caller)
{
    Dl_info info;
    if (!counting) return;
    if (dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "omp.so")) return;
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
}
void *malloc(size_t size)
{
    count(__builtin_return_address(0));
    return __libc_malloc(size);
}
void *calloc(size_t number, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_calloc(number, size);
}
void *realloc(void *old, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_realloc(old, size);
}
void *memalign(size_t alignment, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_memalign(alignment, size);
}
void *aligned_alloc(size_t alignment, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_memalign(alignment, size);
}
int posix_memalign(void **out, size_t alignment, size_t size)
{
    count(__builtin_return_address(0));
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}
#else
#define COUNTS_ALLOCATIONS 0 /* the sanitizer's own malloc must stay in place */
#endif

static const struct settings spread = {
    .key = {{"env.rules", "on-policy"}, {"rollout.envs", "16"}, {"ppo.epochs", "3"}, {"policy.hidden", "32"}}};

/* ---- promises ------------------------------------------------------------------------------------------------------------------------ */

/* Chunks of 3 steps, the last one of 1; rollouts begin and end in the middle of episodes. */
static const struct settings remembering = {.key = {{"env", "test/kitchen_sink"},
                                                    {"rollout.envs", "8"},
                                                    {"rollout.steps", "7"},
                                                    {"policy", "gru"},
                                                    {"ppo.chunk", "3"},
                                                    {"ppo.minibatches", "4"},
                                                    {"policy.hidden", "16"}}};

static struct settings with(const struct settings *settings, const char *key, const char *value)
{
    struct settings more = *settings;
    int i = 0;
    while (i < MAX_KEYS - 1 && more.key[i][0] && strcmp(more.key[i][0], key)) i++;
    more.key[i][0] = key;
    more.key[i][1] = value;
    return more;
}

static long count_allocations(const struct settings *settings)
{
    struct fixture f;
    struct error err = {0};
    start(&f, settings);
    assert_int_equal(iterate(&f, 2, &err), 0); /* OpenMP makes its threads, libraries their buffers */
    allocations = 0;
    counting = true;
    const int code = iterate(&f, 3, &err);
    counting = false;
    assert_int_equal(code, 0);
    close_fixture(&f);
    return allocations;
}

static void collecting_and_updating_allocate_nothing(void **state)
{
    (void)state;
    if (!COUNTS_ALLOCATIONS) skip();
    counting = true; /* the counter counts */
    void *volatile block = malloc(100);
    counting = false;
    free(block);
    assert_int_equal(allocations, 1);
    struct settings settings = spread;
    assert_int_equal(count_allocations(&settings), 0);
    settings.threads = 2;
    assert_int_equal(count_allocations(&settings), 0);
    const struct settings sink = {
        .key = {{"env", "test/kitchen_sink"}, {"rollout.envs", "6"}, {"ppo.minibatches", "3"}, {"policy.share", "0"}}};
    assert_int_equal(count_allocations(&sink), 0);
    assert_int_equal(count_allocations(&remembering), 0);
}

static void threads_change_no_bit_and_seeds_change_all(void **state)
{
    (void)state;
    struct settings settings = spread;
    const uint64_t one = hash_after(&settings, 2);
    settings.threads = 2;
    assert_true(hash_after(&settings, 2) == one);
    settings.threads = 3;
    assert_true(hash_after(&settings, 2) == one);
    const uint64_t recurrent = hash_after(&remembering, 2);
    settings = remembering;
    settings.threads = 3;
    assert_true(hash_after(&settings, 2) == recurrent);
    settings = spread;
    settings.key[4][0] = "seed";
    settings.key[4][1] = "2";
    assert_true(hash_after(&settings, 2) != one);
}

/* Environments whose slices are copied in and out, half of them at a time, as beside a device or in other processes. */
static void staged_environments_change_no_bit(void **state)
{
    (void)state;
    struct settings settings = spread;
    const uint64_t direct = hash_after(&settings, 3);
    settings.where = COLLECT_STAGED;
    assert_true(hash_after(&settings, 3) == direct);
    static const char *const variants[][2] = {
        {"critic.state", "auto"}, {"critic.state", "concat"}, {"policy.share", "0"}, {"algo", "ippo"}, {"policy", "gru"}};
    for (int i = 0; i < 5; i++) {
        struct settings sink = {.key = {{"env", "test/kitchen_sink"}, {"rollout.envs", "7"}, {variants[i][0], variants[i][1]}}};
        const uint64_t hash = hash_after(&sink, 3);
        sink.where = COLLECT_STAGED;
        if (hash_after(&sink, 3) != hash) fail_msg("%s=%s differs", variants[i][0], variants[i][1]);
        sink.shards = 3;
        const uint64_t sharded = hash_after(&sink, 3);
        sink.where = COLLECT_DIRECT;
        if (hash_after(&sink, 3) != sharded) fail_msg("%s=%s with shards differs", variants[i][0], variants[i][1]);
    }
}

static void fields_and_snapshots_continue_bit_for_bit(void **state)
{
    (void)state;
    check_continuing(&spread);
    /* 7 steps: the cut lies in the middle of episodes; minibatches need the permutations' position. */
    const struct settings sink = {
        .key = {
            {"env", "test/kitchen_sink"}, {"rollout.envs", "6"}, {"rollout.steps", "7"}, {"ppo.minibatches", "4"}, {"policy.share", "0"}}};
    check_continuing(&sink);
    struct settings popart = sink;
    popart.key[5][0] = "norm.value";
    popart.key[5][1] = "popart";
    check_continuing(&popart);
    struct settings otherwise = popart; /* an actor of each agent, one critic; and the other way round */
    otherwise.key[6][0] = "critic.share";
    otherwise.key[6][1] = "true";
    check_continuing(&otherwise);
    otherwise.key[4][1] = "true";
    otherwise.key[6][1] = "false";
    check_continuing(&otherwise);
    struct settings turns = sink; /* an order of agents for every update */
    turns.key[4][0] = "algo";
    turns.key[4][1] = "happo";
    check_continuing(&turns);
    const struct settings deviating = with(&turns, "policy.std", "state");
    check_continuing(&deviating);
    check_continuing(&remembering);
    const struct settings apart = with(&remembering, "policy.share", "0");
    check_continuing(&apart);
}

/* Environments that can't be restored begin anew, and with them what is remembered. */
static void states_begin_with_their_episodes(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    start(&f, &remembering);
    assert_int_equal(iterate(&f, 2, &err), 0);
    for (int again = 0; again < 2; again++) {
        struct field_list list = {0};
        int states = 0;
        if (again) assert_int_equal(f.algorithm->ops->begin(f.algorithm, false, &err), 0);
        f.algorithm->ops->fields(f.algorithm, &list);
        f.algorithm->ops->pull(f.algorithm);
        for (int i = 0; i < list.count; i++) {
            const struct field *field = &list.field[i];
            const bool states_of = strstr(field->name, "actor_state") || strstr(field->name, "critic_state");
            double sum = 0;
            for (size_t k = 0; states_of && k < field_bytes(field) / sizeof(real); k++) sum += fabs((double)((const real *)field->data)[k]);
            states += states_of;
            if (states_of && (sum == 0) != again) fail_msg("%s: sum of sizes %g", field->name, sum);
        }
        assert_int_equal(states, 4); /* of both groups */
        free(list.field);
    }
    close_fixture(&f);
}

static double metric_of(struct fixture *f, const char *name)
{
    struct metric metric[64];
    const int metrics = f->algorithm->ops->metrics(f->algorithm, metric, 64);
    for (int k = 0; k < metrics; k++)
        if (strcmp(metric[k].name, name) == 0) return metric[k].value;
    fail_msg("no metric is called %s", name);
    return NAN;
}

/* Two updates in which nothing is learned, of networks that tell what they see apart; the loss of both groups' values, or of the old values. */
static void learn_nothing(struct settings settings, bool old, double loss[2])
{
    static const char *const more[][2] = {
        {"adam.lr", "0"}, {"adam.critic_lr", "0"}, {"policy.gain", "1"}, {"norm.value", "none"}, {"ppo.clip", "1e-30"}};
    struct error err = {0};
    struct fixture f;
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) settings = with(&settings, more[i][0], more[i][1]);
    settings = with(&settings, "ppo.clip_value", old ? "only" : "off");
    settings.shards = 2;
    start(&f, &settings);
    assert_int_equal(iterate(&f, 2, &err), 0);
    for (int g = 0; g < 2; g++) {
        const double ratio = metric_of(&f, g ? "ratio/watcher" : "ratio"), kl = metric_of(&f, g ? "approx_kl/watcher" : "approx_kl");
        if (!(fabs(ratio - 1) < 1e-6 && kl < 1e-10)) fail_msg("mean ratio of group %d is 1 + %g, approx_kl %g", g, ratio - 1, kl);
        loss[g] = metric_of(&f, g ? "value_loss/watcher" : "value_loss");
    }
    close_fixture(&f);
}

/* The networks of an update put out what they did while the rollout was collected and valued: every ratio is 1, and the error of the old
 * value is that of the new one. */
static void chunks_go_on_from_what_the_rollout_remembered(void **state)
{
    (void)state;
    static const char *const variants[][2] = {{"algo", "mappo"},         {"algo", "ippo"},           {"policy.share", "0"},
                                              {"critic.share", "false"}, {"critic.state", "concat"}, {"ppo.minibatch_unit", "row"},
                                              {"ppo.chunk", "7"},        {"ppo.chunk", "1"},         {"norm.obs", "running"}};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const struct settings settings = with(&remembering, variants[i][0], variants[i][1]);
        double now[2], old[2];
        learn_nothing(settings, false, now);
        learn_nothing(settings, true, old);
        for (int g = 0; g < 2; g++)
            if (!(fabs(now[g] / old[g] - 1) < 1e-6))
                fail_msg("%s=%s, group %d: the values' loss is %.9g, that of the old ones %.9g", variants[i][0], variants[i][1], g, now[g],
                         old[g]);
    }
}

/* However a rollout is cut into chunks. */
static void every_step_is_learned_from_once(void **state)
{
    (void)state;
    static const char *const chunks[] = {"1", "2", "3", "6", "7"};
    double expected[2], loss[2];
    struct settings settings = with(&remembering, "ppo.minibatches", "1");
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        settings = with(&settings, "ppo.chunk", chunks[i]);
        learn_nothing(settings, false, i ? loss : expected);
        for (int g = 0; g < 2 && i; g++)
            if (!(fabs(loss[g] / expected[g] - 1) < 1e-5))
                fail_msg("chunks of %s: loss %.9g, of single steps %.9g", chunks[i], loss[g], expected[g]);
    }
}

static void shards_differ_from_one_batch_by_rounding_only(void **state)
{
    (void)state;
    struct error err = {0};
    struct settings settings = spread;
    struct fixture f[2];
    double worst = 0, moved = 0;
    for (int i = 0; i < 2; i++) {
        settings.shards = i ? 4 : 1;
        start(&f[i], &settings);
    }
    const struct policy *a = f[0].policies->group[0], *b = f[1].policies->group[0];
    real *initial = calloc(a->size, sizeof *initial);
    memcpy(initial, a->parameters, a->size * sizeof *initial);
    for (int i = 0; i < 2; i++) assert_int_equal(iterate(&f[i], 1, &err), 0);
    for (size_t k = 0; k < a->size; k++) {
        worst = fmax(worst, fabs((double)a->parameters[k] - (double)b->parameters[k]));
        moved = fmax(moved, fabs((double)a->parameters[k] - (double)initial[k]));
    }
    if (worst > 2e-5) print_message("parameters differ by %.3g after having moved by %.3g\n", worst, moved);
    assert_true(moved > 1e-3);
    assert_true(worst < 2e-5); /* 1 % of what three Adam steps of 7e-4 move; rounding of sums reaches it where a gradient is nearly 0 */
    free(initial);
    for (int i = 0; i < 2; i++) close_fixture(&f[i]);
}

static void a_number_that_is_none_stops_before_the_optimiser(void **state)
{
    (void)state;
    struct error err = {0};
    struct fixture f;
    start(&f, &spread);
    assert_int_equal(iterate(&f, 1, &err), 0);
    struct policy *policy = f.policies->group[0];
    struct algorithm *a = f.algorithm;
    assert_int_equal(a->ops->collect(a, &err), 0);
    assert_int_equal(a->ops->finish(a, &err), 0);
    policy->parameters[policy->net[ROLE_ACTOR].at.weight[1] + 5] = NAN;
    const size_t bytes = policy->size * sizeof(real);
    real *before = malloc(bytes);
    memcpy(before, policy->parameters, bytes);
    const int64_t updates = policy->updates;
    assert_int_equal(a->ops->update(a, &err), 0);
    assert_int_equal(a->ops->outcome(a, &err), EXIT_NUMERICAL);
    assert_non_null(strstr(err.text, "\"agent\""));
    assert_non_null(strstr(err.text, "epoch 0"));
    assert_memory_equal(before, policy->parameters, bytes);
    assert_true(policy->updates == updates);
    /* A critic that overflows shows in the returns already. */
    memcpy(policy->parameters, before, bytes);
    policy->parameters[policy->net[ROLE_ACTOR].at.weight[1] + 5] = 0;
    policy_critic(policy, policy->parameters, 0)[policy->net[ROLE_CRITIC].at.head_bias] = INFINITY;
    assert_int_equal(a->ops->finish(a, &err), 0);
    assert_int_equal(a->ops->update(a, &err), 0);
    assert_int_equal(a->ops->outcome(a, &err), EXIT_NUMERICAL);
    assert_non_null(strstr(err.text, "returns"));
    free(before);
    close_fixture(&f);
}

static void every_setting_trains_on_the_environment_that_has_everything(void **state)
{
    (void)state;
    static const char *const variants[][6] = {{"algo", "ippo"},
                                              {"policy.share", "0"},
                                              {"policy.share", "0", "algo", "ippo"},
                                              {"critic.share", "false"},
                                              {"critic.share", "false", "ppo.minibatches", "3"},
                                              {"policy.share", "0", "critic.share", "true"},
                                              {"critic.state", "concat"},
                                              {"critic.state", "concat", "critic.agent_id", "1"},
                                              {"ppo.minibatches", "3"},
                                              {"ppo.minibatches", "3", "ppo.minibatch_unit", "row"},
                                              {"gae.time_limit", "terminal"},
                                              {"gae.advantage", "reward_to_go", "gae.target", "td0"},
                                              {"policy.hidden", "20,7"},
                                              {"policy", "gru", "policy.hidden", "20,7"},
                                              {"policy.init", "torch", "adam.weight_decay", "0.1"},
                                              {"norm.value", "none"},
                                              {"norm.value", "popart", "policy.share", "0"},
                                              {"norm.obs", "running", "norm.reward", "running"},
                                              {"norm.obs", "running", "algo", "ippo"},
                                              {"ppo.huber_delta", "0", "ppo.clip_value", "0"},
                                              {"policy.fixed_std", "0.5", "policy.activation", "relu"},
                                              {"policy.std", "state"},
                                              {"policy.std", "state", "policy.share", "0", "ppo.minibatches", "3"},
                                              {"policy.std", "state", "ppo.objective", "clip_kl", "ppo.ratio", "per_head"},
                                              {"policy.std", "state", "algo", "coppo", "policy", "gru"},
                                              {"policy.std", "state", "algo", "happo", "ppo.objective", "kl"},
                                              {"policy.feature_norm", "0", "policy.layer_norm", "0"},
                                              {"algo", "coppo"},
                                              {"algo", "coppo", "policy.share", "0"},
                                              {"algo", "coppo", "coppo.double_clip", "official"},
                                              {"algo", "coppo", "ppo.minibatches", "3"},
                                              {"algo", "happo"},
                                              {"algo", "happo", "critic.share", "false"},
                                              {"algo", "happo", "ppo.minibatches", "3"},
                                              {"algo", "happo", "ppo.ratio", "per_head"},
                                              {"algo", "happo", "ppo.objective", "kl"},
                                              {"algo", "happo", "ppo.target_kl", "0.00001"},
                                              {"algo", "happo", "ppo.critic_warmup", "2"},
                                              {"algo", "ppo"},
                                              {"ppo.objective", "kl"},
                                              {"ppo.objective", "kl", "policy.share", "0"},
                                              {"ppo.objective", "clip_kl", "ppo.ratio", "per_head"},
                                              {"ppo.objective", "clip_kl", "ppo.minibatches", "3"},
                                              {"ppo.ratio", "per_head", "policy.share", "0"},
                                              {"ppo.normalise_advantage", "minibatch", "ppo.minibatches", "3"},
                                              {"ppo.normalise_advantage", "none"},
                                              {"ppo.grad_clip", "joint", "policy.share", "0"},
                                              {"ppo.target_kl", "0.00001", "ppo.minibatches", "3"},
                                              {"ppo.critic_warmup", "2"},
                                              {"ppo.clip_value", "only", "ppo.minibatch_size", "20"},
                                              {"adam.schedule", "cosine", "ppo.clip_schedule", "linear"},
                                              {"policy", "gru"},
                                              {"policy", "gru", "algo", "ippo", "gae.time_limit", "terminal"},
                                              {"policy", "gru", "policy.share", "0", "ppo.minibatches", "3"},
                                              {"policy", "gru", "critic.share", "false", "norm.value", "popart"},
                                              {"policy", "gru", "ppo.minibatches", "3", "ppo.minibatch_unit", "row"},
                                              {"policy", "gru", "algo", "coppo", "ppo.minibatches", "3"},
                                              {"policy", "gru", "algo", "happo", "ppo.minibatches", "3"},
                                              {"policy", "gru", "ppo.objective", "clip_kl", "ppo.ratio", "per_head"},
                                              {"policy", "gru", "ppo.target_kl", "0.00001", "ppo.minibatches", "3"},
                                              {"policy", "gru", "ppo.chunk", "5", "ppo.minibatch_size", "8"},
                                              {"policy", "gru", "ppo.normalise_advantage", "minibatch", "ppo.grad_clip", "joint"},
                                              {"policy", "gru", "policy.layer_norm", "0", "norm.obs", "running"}};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        struct settings settings = {.key = {{"env", "test/kitchen_sink"}, {"rollout.envs", "6"}, {"policy.hidden", "16"}}};
        bool clips_nothing = false; /* ppo.objective=kl */
        for (int k = 0; k < 3 && variants[i][2 * k]; k++) {
            settings.key[3 + k][0] = variants[i][2 * k];
            settings.key[3 + k][1] = variants[i][2 * k + 1];
            clips_nothing = clips_nothing || strcmp(variants[i][2 * k + 1], "kl") == 0;
        }
        struct fixture f;
        struct error err = {0};
        start(&f, &settings);
        if (iterate(&f, 3, &err)) print_message("%s=%s: %s\n", variants[i][0], variants[i][1], err.text);
        assert_int_equal(err.code, 0);
        struct metric metric[64];
        const int metrics = f.algorithm->ops->metrics(f.algorithm, metric, 64);
        assert_int_equal(metrics, 24); /* both groups */
        assert_string_equal(metric[0].name, "policy_loss");
        assert_string_equal(metric[12].name, "policy_loss/watcher");
        for (int k = 0; k < metrics; k++) {
            const bool none = clips_nothing && strncmp(metric[k].name, "clip_fraction", 13) == 0; /* of no clip */
            if (none == isfinite(metric[k].value))
                print_message("%s=%s: %s is %g\n", variants[i][0], variants[i][1], metric[k].name, metric[k].value);
            assert_true(none ? isnan(metric[k].value) : isfinite(metric[k].value));
        }
        close_fixture(&f);
    }
}

static void settings_that_do_not_fit_are_refused_with_the_remedy(void **state)
{
    (void)state;
    static const char *const cases[][4] = {{"critic.agent_id", "1", "runner", "critic.state=concat"},
                                           {"ppo.minibatches", "100000", "ppo.minibatches=100000", "rollout.envs"},
                                           {"ppo.chunk", "26", "ppo.chunk=26", "rollout.steps=25"},
                                           {"ppo.minibatches", "9", "8 chunks of ppo.chunk=10 steps", "lower either"},
                                           {"ppo.minibatch_size", "4", "ppo.minibatch_size=4", "ppo.chunk=10"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings settings = {
            .key = {{"env", "test/kitchen_sink"}, {"rollout.envs", "4"}, {cases[i][0], cases[i][1]}, {i >= 2 ? "policy" : NULL, "gru"}}};
        struct fixture f;
        struct error err = {0};
        assert_int_equal(open_fixture(&f, &settings, &err), EXIT_USAGE);
        if (!strstr(err.text, cases[i][2]) || !strstr(err.text, cases[i][3])) print_message("%s\n", err.text);
        assert_non_null(strstr(err.text, cases[i][2]));
        assert_non_null(strstr(err.text, cases[i][3]));
        f.algorithm = NULL;
        close_fixture(&f);
    }
}

/* One agent is paid 1 for naming the cue it sees: a fifth of a second of training must name nearly all. */
static void it_learns(void **state)
{
    (void)state;
    const struct settings settings = {.key = {{"env", "test/kitchen_sink"},
                                              {"env.scene", "single"},
                                              {"rollout.envs", "32"},
                                              {"policy.hidden", "32"},
                                              {"adam.lr", "0.005"},
                                              {"adam.critic_lr", "0.005"}}};
    struct fixture f;
    struct error err = {0};
    start(&f, &settings);
    double first = 0, last = 0;
    for (int k = 0; k < 2; k++) {
        assert_int_equal(iterate(&f, k ? 40 : 1, &err), 0);
        struct episode episode[4096];
        const int episodes = vecenv_take_episodes(f.env, episode, 4096);
        double paid = 0, steps = 0;
        for (int i = k ? episodes / 2 : 0; i < episodes; i++) {
            paid += (double)episode[i].group_return[0];
            steps += episode[i].length;
        }
        *(k ? &last : &first) = paid / steps;
    }
    if (first > 0.4 || last < 0.9) print_message("fraction of cues named: %.3f at first, %.3f at last\n", first, last);
    assert_true(first < 0.4); /* chance is a quarter */
    assert_true(last > 0.9);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(collecting_and_updating_allocate_nothing),
        cmocka_unit_test(threads_change_no_bit_and_seeds_change_all),
        cmocka_unit_test(staged_environments_change_no_bit),
        cmocka_unit_test(fields_and_snapshots_continue_bit_for_bit),
        cmocka_unit_test(states_begin_with_their_episodes),
        cmocka_unit_test(chunks_go_on_from_what_the_rollout_remembered),
        cmocka_unit_test(every_step_is_learned_from_once),
        cmocka_unit_test(shards_differ_from_one_batch_by_rounding_only),
        cmocka_unit_test(a_number_that_is_none_stops_before_the_optimiser),
        cmocka_unit_test(every_setting_trains_on_the_environment_that_has_everything),
        cmocka_unit_test(settings_that_do_not_fit_are_refused_with_the_remedy),
        cmocka_unit_test(it_learns),
    };
    return cmocka_run_group_tests_name("algo_update", tests, NULL, NULL);
}
