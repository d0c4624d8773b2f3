/* Rollouts of whole episodes against one environment that plays the same episodes one after the other: whatever is derived from steps, and
 * a whole update, must be the same. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "algo/ppo.h"
#include "algo/running_norms.h"
#include "base/philox.h"

enum { ENVS = 5, AT_LEAST = 7, LONGEST = 12, STEPS = AT_LEAST - 1 + LONGEST, MOST = STEPS * ENVS, AGENTS = 4 };

struct how {
    const char *name;
    int shards, minibatches;
    bool rows, share;
};

struct fixture;
struct side { /* 0: as they were played; 1: one after the other */
    struct policy policy[MAPPO_MAX_GROUPS], *policies[MAPPO_MAX_GROUPS];
    struct rollout *rollout;
    struct ppo *ppo;
    struct ppo_hooks hooks;
    struct backend_memory memory;
    struct running_norms norms;
    const struct fixture *f;
    int32_t order[MOST * AGENTS];
};

struct fixture {
    struct how how;
    struct vecenv *env;
    const struct mappo_env_spec *spec;
    struct backend *backend;
    struct comm *comm;
    struct side side[2];
    int first[ENVS + 1]; /* the step of side 1 with which each environment's begin */
};

/* The step of side 1 that is env-step u of side 0. */
static int concatenated(const struct fixture *f, int u)
{
    return f->first[u % ENVS] + u / ENVS;
}

/* Side 0 shuffles somehow; side 1 such that its minibatches have the same rows. */
static const int32_t *permute(void *user, int group, int shard, int epoch)
{
    struct side *side = user;
    const struct fixture *f = side->f;
    const struct transitions *x = f->side[0].rollout->transitions;
    const int agents = f->how.rows && f->how.share ? f->spec->group[group].agents : 1, items = x->held_first[shard + 1] * agents;
    for (int i = 0; i < items; i++) {
        const int item = (int)((i * 7L + 3 * epoch + 1) % items);
        side->order[i] = side == &f->side[0] ? item : concatenated(f, x->held[item / agents]) * agents + item % agents;
    }
    assert_true(items % 7 != 0);
    return side->order;
}

/* ---- making both --------------------------------------------------------------------------------------------------------------------- */

static void build_policies(struct fixture *f, struct side *side)
{
    struct error err = {0};
    for (int g = 0; g < f->spec->groups; g++) {
        const struct policy_config config = {.hidden = 6,
                                             .layers = 1,
                                             .activation = ACTIVATION_TANH,
                                             .head_gain = 1,
                                             .log_std = (real)-0.2,
                                             .share = {f->how.share, f->how.share},
                                             .critic_input = f->how.share ? CRITIC_STATE : CRITIC_OBS,
                                             .concatenate = true,
                                             .value_per_agent = f->how.rows,
                                             .normalizer = NORMALIZER_VALUENORM,
                                             .running_obs = true,
                                             .running_reward = true,
                                             .seed = 11,
                                             .index = (uint32_t)g};
        if (policy_build(&side->policy[g], &config, f->spec, g, f->backend, &err)) fail_msg("%s", err.text);
        side->policies[g] = &side->policy[g];
    }
}

static void build_learner(struct fixture *f, struct side *side, const struct transitions_config *transitions)
{
    struct error err = {0};
    const struct rollout_config rollout = {.transitions = *transitions,
                                           .collect = {.seed = 5, .crew = 1},
                                           .returns = {.gamma = (real)0.97, .lambda = (real)0.9, .bootstrap = true}};
    if (rollout_create(&side->rollout, &rollout, f->spec, side->policies, f->backend, &err)) fail_msg("%s", err.text);
    side->f = f;
    side->hooks = (struct ppo_hooks){.user = side, .permutation = permute};
    const struct ppo_config ppo = {.policy = {.clip = (real)0.2, .entropy = (real)0.02},
                                   .value = {.clip = (real)0.2, .huber_delta = 10, .coefficient = 1},
                                   .epochs = 2,
                                   .minibatches = f->how.minibatches,
                                   .row_minibatches = f->how.rows,
                                   .policy_active_masks = true,
                                   .value_active_masks = true,
                                   .value_norm_beta = 0.9,
                                   .max_grad_norm = 1,
                                   .adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-3}, /* small gradients' rounding is not made much of */
                                   .now = {1e-2, 1e-2, 1, 1, 1, 1},
                                   .hooks = &side->hooks};
    if (ppo_create(&side->ppo, &ppo, side->rollout, side->policies, f->comm, f->backend, &err)) fail_msg("%s", err.text);
    backend_memory_create(&side->memory, "a test", f->backend);
    running_norms_create(&side->norms, side->rollout, side->policies, f->comm, &side->memory);
}

static void open_fixture(struct fixture *f, const struct how *how)
{
    struct error err = {0};
    int argc = 0;
    char **argv = NULL;
    f->how = *how;
    const struct vecenv_config env = {.name = "test/kitchen_sink",
                                      .envs = ENVS,
                                      .seed = 3,
                                      .stream = PHILOX_ENVIRONMENT,
                                      .threads = 1,
                                      .horizon = AT_LEAST,
                                      .clip_action = true};
    const struct backend_config backend = {.name = "cpu", .threads = 1, .level = -1};
    if (vecenv_open(&f->env, &env, &err) || backend_open(&f->backend, &backend, &err) || comm_open(&f->comm, &argc, &argv, &err))
        fail_msg("%s", err.text);
    f->spec = vecenv_spec(f->env);
    assert_int_equal(f->spec->max_steps, LONGEST);
    for (int i = 0; i < 2; i++) build_policies(f, &f->side[i]);
    const struct transitions_config played = {.steps = STEPS, .at_least = AT_LEAST, .envs = ENVS, .shards = how->shards};
    build_learner(f, &f->side[0], &played);
    if (rollout_begin(f->side[0].rollout, f->env, false, &err)) fail_msg("%s", err.text);
}

static void close_learner(struct side *side)
{
    backend_memory_destroy(&side->memory);
    ppo_destroy(side->ppo);
    rollout_destroy(side->rollout);
}

static void close_fixture(struct fixture *f)
{
    for (int i = 0; i < 2; i++) close_learner(&f->side[i]);
    for (int i = 0; i < 2; i++)
        for (int g = 0; g < f->spec->groups; g++) policy_clear(&f->side[i].policy[g]);
    comm_close(f->comm);
    f->backend->close(f->backend);
    vecenv_close(f->env);
}

/* ---- what was played, one after the other -------------------------------------------------------------------------------------------- */

static void copy_rows(void *to, const void *from, size_t bytes, int to_row, int from_row)
{
    memcpy((char *)to + (size_t)to_row * bytes, (const char *)from + (size_t)from_row * bytes, bytes);
}

static void concatenate(struct fixture *f)
{
    struct side *side = &f->side[1];
    const struct transitions *from = f->side[0].rollout->transitions;
    for (int e = 0; e < ENVS; e++) f->first[e + 1] = f->first[e] + from->length[e];
    build_learner(f, side, &(struct transitions_config){.steps = f->first[ENVS], .envs = 1, .shards = 1});
    struct transitions *to = side->rollout->transitions;
    for (int i = 0; i < from->held_first[f->how.shards]; i++) {
        const int u = from->held[i], k = concatenated(f, u);
        for (int s = 0; s < from->slices.count; s++) {
            const struct slice *slice = &from->slices.slice[s];
            if (slice->written != SLICE_FINAL) copy_rows(slice_array(&to->all, slice), slice_array(&from->all, slice), slice->bytes, k, u);
        }
        for (int g = 0; g < f->spec->groups; g++) {
            const struct policy *policy = &side->policy[g];
            copy_rows(side->rollout->log_prob[g], f->side[0].rollout->log_prob[g], (size_t)policy->sizes.agents * sizeof(real), k, u);
            copy_rows(side->rollout->returns->group[g].final_value, f->side[0].rollout->returns->group[g].final_value,
                      (size_t)policy->value_agents * sizeof(real), k, u);
        }
        critic_inputs_compose(&side->rollout->inputs, k, 0, 1);
    }
}

/* ---- promises ------------------------------------------------------------------------------------------------------------------------ */

/* Every environment ended with an episode, with the first of at least so many steps; reports know of these episodes and no others. */
static int check_lengths(const struct fixture *f)
{
    const struct transitions *x = f->side[0].rollout->transitions;
    int ends = 0, different = 0;
    for (int e = 0; e < ENVS; e++) {
        assert_true(x->length[e] >= AT_LEAST);
        different += x->length[e] != x->length[0];
        for (int t = 0; t < x->length[e]; t++) {
            const bool end = x->all.ep_end[t * ENVS + e] != MAPPO_RUNNING;
            ends += end;
            if (t + 1 >= AT_LEAST) assert_int_equal(end, t + 1 == x->length[e]);
        }
    }
    assert_true(different > 0);
    vecenv_report_begin(f->env);
    const struct env_report report = vecenv_report_end(f->env);
    assert_int_equal(report.ended, ends);
    for (int i = 1; i < report.listed; i++) /* in the order of steps of this rollout, then environments */
        assert_true(report.episode[i].step > report.episode[i - 1].step ||
                    (report.episode[i].step == report.episode[i - 1].step && report.episode[i].env > report.episode[i - 1].env));
    return ends;
}

/* What group 0 saw before the first step, or behind the last one, of each environment. */
static void seen(const struct fixture *f, bool last, float *to)
{
    const struct transitions *x = f->side[0].rollout->transitions;
    const size_t width = (size_t)(f->side[0].policy[0].sizes.agents * f->side[0].policy[0].sizes.obs);
    for (int e = 0; e < ENVS; e++)
        memcpy(to + (size_t)e * width, x->all.group[0].obs + (size_t)((last ? x->length[e] : 0) * ENVS + e) * width, width * sizeof *to);
}

static void near(const char *name, const char *what, int g, size_t i, double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-10 * (1 + fabs(expected)))) /* sums in another order, through six steps at most */
        fail_msg("%s: group %d: %s %zu is %.15g, one after the other %.15g", name, g, what, i, found, expected);
}

static void compare_rows(const struct fixture *f)
{
    const struct transitions *x = f->side[0].rollout->transitions;
    for (int g = 0; g < f->spec->groups; g++) {
        const struct returns_group *a = &f->side[0].rollout->returns->group[g], *b = &f->side[1].rollout->returns->group[g];
        const int agents = f->spec->group[g].agents, values = f->side[0].policy[g].value_agents;
        for (int i = 0; i < x->held_first[f->how.shards]; i++) {
            const int u = x->held[i], k = concatenated(f, u);
            for (int v = 0; v < values; v++)
                near(f->how.name, "value", g, (size_t)u, (double)a->value[u * values + v], (double)b->value[k * values + v]);
            for (int n = 0; n < agents; n++) {
                near(f->how.name, "advantage", g, (size_t)u, (double)a->advantage[u * agents + n], (double)b->advantage[k * agents + n]);
                near(f->how.name, "return", g, (size_t)u, (double)a->ret[u * agents + n], (double)b->ret[k * agents + n]);
                near(f->how.name, "discounted", g, (size_t)u, a->discounted[u * agents + n], b->discounted[k * agents + n]);
            }
        }
    }
}

static void compare_policies(const struct fixture *f)
{
    for (int g = 0; g < f->spec->groups; g++) {
        const struct policy *a = &f->side[0].policy[g], *b = &f->side[1].policy[g];
        for (size_t i = 0; i < a->size; i++) near(f->how.name, "parameter", g, i, (double)a->parameters[i], (double)b->parameters[i]);
        for (int which = 0; which < POLICY_RUNNING; which++)
            for (int i = 0; a->running[which].width && i < running_moments(a->running[which].width); i++)
                near(f->how.name, "running moment", g, (size_t)i, a->running[which].moments[i], b->running[which].moments[i]);
    }
}

static void finish_and_learn(struct fixture *f, int update)
{
    struct error err = {0};
    struct ppo_metrics metrics[2][MAPPO_MAX_GROUPS];
    for (int i = 0; i < 2; i++) rollout_finish(f->side[i].rollout);
    compare_rows(f);
    for (int i = 0; i < 2; i++) {
        ppo_update(f->side[i].ppo, update);
        if (ppo_outcome(f->side[i].ppo, metrics[i], &err)) fail_msg("%s", err.text);
        running_norms_take(&f->side[i].norms);
    }
    compare_policies(f);
    for (int g = 0; g < f->spec->groups; g++) {
        near(f->how.name, "entropy", g, 0, metrics[0][g].entropy, metrics[1][g].entropy);
        near(f->how.name, "explained variance", g, 0, metrics[0][g].explained_variance, metrics[1][g].explained_variance);
        assert_true(metrics[0][g].actor_grad_norm > 1e-6);
    }
}

static void whole_episodes_are_learned_from_as_if_one_environment_had_played_them(void **state)
{
    (void)state;
    static const struct how hows[] = {{"one shard", 1, 1, false, true},
                                      {"three shards", 3, 1, false, true},
                                      {"an actor and a critic of each agent, two shards", 2, 1, false, false},
                                      {"three minibatches", 1, 3, false, true},
                                      {"minibatches of rows", 1, 3, true, true},
                                      {"minibatches, an actor and a critic of each agent", 1, 2, false, false}};
    for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
        struct fixture *f = calloc(1, sizeof *f);
        struct error err = {0};
        float last[ENVS * AGENTS * 32] = {0}, first[ENVS * AGENTS * 32] = {0};
        open_fixture(f, &hows[i]);
        for (int update = 0; update < 2; update++) { /* the second goes on from where each environment stood */
            if (update) close_learner(&f->side[1]);
            if (rollout_collect(f->side[0].rollout, &err)) fail_msg("%s", err.text);
            seen(f, false, first);
            if (update) assert_memory_equal(first, last, sizeof last);
            seen(f, true, last);
            assert_true(check_lengths(f) >= ENVS);
            assert_true(f->side[0].rollout->transitions->step == (uint64_t)(STEPS * (update + 1)));
            concatenate(f);
            finish_and_learn(f, update);
        }
        close_fixture(f);
        free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_episodes_are_learned_from_as_if_one_environment_had_played_them),
    };
    return cmocka_run_group_tests_name("episodes_double", tests, NULL, NULL);
}
