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
}

static uint64_t hash_after(const struct settings *settings, int updates)
{
    struct fixture f;
    struct error err = {0};
    start(&f, settings);
    assert_int_equal(iterate(&f, updates, &err), 0);
    const uint64_t hash = policies_hash(f.policies);
    close_fixture(&f);
    return hash;
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
        {"critic.state", "auto"}, {"critic.state", "concat"}, {"policy.share", "0"}, {"algo", "ippo"}};
    for (int i = 0; i < 4; i++) {
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

static void copy_fields(struct fixture *from, struct fixture *to)
{
    struct field_list a = {0}, b = {0};
    from->algorithm->ops->pull(from->algorithm);
    from->algorithm->ops->fields(from->algorithm, &a);
    to->algorithm->ops->fields(to->algorithm, &b);
    assert_int_equal(a.count, b.count);
    for (int i = 0; i < a.count; i++) {
        assert_string_equal(a.field[i].name, b.field[i].name);
        memcpy(b.field[i].data, a.field[i].data, field_bytes(&a.field[i]));
    }
    to->algorithm->ops->push(to->algorithm);
    free(a.field);
    free(b.field);
}

static void copy_environments(struct fixture *from, struct fixture *to)
{
    struct error err = {0};
    void *bytes = calloc(1, vecenv_snapshot_bytes(from->env));
    for (int e = 0; e < vecenv_envs(from->env); e++) {
        assert_int_equal(vecenv_snapshot(from->env, e, e + 1, bytes, &err), 0);
        assert_int_equal(vecenv_restore(to->env, e, e + 1, bytes, &err), 0);
    }
    free(bytes);
}

/* Two updates, then the listed fields and the environments move to a new program, then two more: as four in one go. */
static void check_continuing(const struct settings *settings)
{
    struct error err = {0};
    struct fixture first, second;
    start(&first, settings);
    assert_int_equal(iterate(&first, 2, &err), 0);
    assert_int_equal(open_fixture(&second, settings, &err), 0);
    copy_fields(&first, &second);
    copy_environments(&first, &second);
    assert_int_equal(second.algorithm->ops->begin(second.algorithm, true, &err), 0);
    assert_int_equal(iterate(&first, 2, &err), 0);
    assert_int_equal(iterate(&second, 2, &err), 0);
    assert_true(policies_hash(first.policies) == policies_hash(second.policies));
    close_fixture(&first);
    close_fixture(&second);
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
    static const char *const variants[][4] = {{"algo", "ippo"},
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
                                              {"norm.value", "none"},
                                              {"norm.value", "popart", "policy.share", "0"},
                                              {"norm.obs", "running", "norm.reward", "running"},
                                              {"norm.obs", "running", "algo", "ippo"},
                                              {"ppo.huber_delta", "0", "ppo.clip_value", "0"},
                                              {"policy.fixed_std", "0.5", "policy.activation", "relu"},
                                              {"policy.feature_norm", "0", "policy.layer_norm", "0"},
                                              {"algo", "coppo"},
                                              {"algo", "coppo", "policy.share", "0"},
                                              {"algo", "coppo", "coppo.double_clip", "official"},
                                              {"algo", "coppo", "ppo.minibatches", "3"},
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
                                              {"adam.schedule", "cosine", "ppo.clip_schedule", "linear"}};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        struct settings settings = {.key = {{"env", "test/kitchen_sink"}, {"rollout.envs", "6"}, {"policy.hidden", "16"}}};
        for (int k = 0; k < 2 && variants[i][2 * k]; k++) {
            settings.key[3 + k][0] = variants[i][2 * k];
            settings.key[3 + k][1] = variants[i][2 * k + 1];
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
            if (!isfinite(metric[k].value))
                print_message("%s=%s: %s is %g\n", variants[i][0], variants[i][1], metric[k].name, metric[k].value);
            assert_true(isfinite(metric[k].value));
        }
        close_fixture(&f);
    }
}

static void settings_that_do_not_fit_are_refused_with_the_remedy(void **state)
{
    (void)state;
    static const char *const cases[][4] = {{"critic.agent_id", "1", "runner", "critic.state=concat"},
                                           {"ppo.minibatches", "100000", "ppo.minibatches=100000", "rollout.envs"}};
    for (size_t i = 0; i < 2; i++) {
        struct settings settings = {.key = {{"env", "test/kitchen_sink"}, {"rollout.envs", "4"}, {cases[i][0], cases[i][1]}}};
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
        cmocka_unit_test(shards_differ_from_one_batch_by_rounding_only),
        cmocka_unit_test(a_number_that_is_none_stops_before_the_optimiser),
        cmocka_unit_test(every_setting_trains_on_the_environment_that_has_everything),
        cmocka_unit_test(settings_that_do_not_fit_are_refused_with_the_remedy),
        cmocka_unit_test(it_learns),
    };
    return cmocka_run_group_tests_name("algo_update", tests, NULL, NULL);
}
