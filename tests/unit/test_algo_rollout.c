/* Collecting: what lands in a rollout is what the environment said, final states are valued where episodes were truncated, and nothing
 * depends on how environments are split. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "algo/rollout.h"
#include "base/philox.h"
#include "envs/test/kitchen_sink.h"

enum { STEPS = 14, ENVS = 6, HIDDEN = 16, AGENTS_MOST = SINK_RUNNERS };

enum { APART, ACTOR_ALONE, CRITIC_ALONE, BOTH };
struct arrangement {
    int shared; /* what of all agents is one */
    int critic_input;
    bool concatenate;
    int shards;
};
static bool recurrent; /* networks that are built */

struct fixture {
    struct vecenv *env;
    const struct mappo_env_spec *spec;
    struct backend *backend;
    struct policy policy[MAPPO_MAX_GROUPS], *policies[MAPPO_MAX_GROUPS];
    struct rollout *rollout;
};

static struct vecenv *open_env(const char *name, int envs, uint32_t first, const struct env_option *option, int options)
{
    struct vecenv *env;
    struct error err = {0};
    const struct vecenv_config config = {.name = name,
                                         .option = option,
                                         .options = options,
                                         .envs = envs,
                                         .first_env = first,
                                         .seed = 21,
                                         .stream = PHILOX_ENVIRONMENT,
                                         .threads = 1,
                                         .horizon = STEPS,
                                         .clip_action = true};
    if (vecenv_open(&env, &config, &err)) print_message("%s\n", err.text);
    assert_int_equal(err.code, 0);
    return env;
}

static void open_fixture_where(struct fixture *f, int where, const char *name, const struct arrangement *how, int envs, uint32_t first,
                               const struct env_option *option, int options)
{
    struct error err = {0};
    *f = (struct fixture){.env = open_env(name, envs, first, option, options)};
    f->spec = vecenv_spec(f->env);
    const struct backend_config backend = {.name = "cpu", .threads = 1, .level = -1};
    assert_int_equal(backend_open(&f->backend, &backend, &err), 0);
    for (int g = 0; g < f->spec->groups; g++) {
        const struct policy_config config = {
            .hidden = HIDDEN,
            .layers = 2,
            .activation = ACTIVATION_TANH,
            .feature_norm = true,
            .layer_norm = true,
            .chunk = recurrent ? 5 : 0,
            .head_gain = 1,
            .share = {[ROLE_ACTOR] = how->shared & ACTOR_ALONE, [ROLE_CRITIC] = how->shared & CRITIC_ALONE},
            .critic_input = how->critic_input,
            .concatenate = how->concatenate,
            .normalizer = NORMALIZER_VALUENORM,
            .seed = 3,
            .index = (uint32_t)g};
        assert_int_equal(policy_build(&f->policy[g], &config, f->spec, g, f->backend, &err), 0);
        f->policies[g] = &f->policy[g];
    }
    const struct rollout_config rollout = {.transitions = {.steps = STEPS, .envs = envs, .first_env = first, .shards = how->shards},
                                           .collect = {.where = where, .seed = 8, .crew = where == COLLECT_STAGED ? 2 : 1},
                                           .returns = {.gamma = 0.99f, .lambda = 0.95f, .bootstrap = true}};
    assert_int_equal(rollout_create(&f->rollout, &rollout, f->spec, f->policies, f->backend, &err), 0);
    assert_int_equal(rollout_begin(f->rollout, f->env, false, &err), 0);
}

static void open_fixture(struct fixture *f, const char *name, const struct arrangement *how, int envs, uint32_t first,
                         const struct env_option *option, int options)
{
    open_fixture_where(f, COLLECT_DIRECT, name, how, envs, first, option, options);
}

static void close_fixture(struct fixture *f)
{
    rollout_destroy(f->rollout);
    for (int g = 0; g < f->spec->groups; g++) policy_clear(&f->policy[g]);
    vecenv_close(f->env);
    f->backend->close(f->backend);
}

/* ---- a second environment of the same seed, stepped with the recorded actions -------------------------------------------------------- */

struct replay {
    struct vecenv *env;
    const struct mappo_env_spec *spec;
    struct slices slices;
    struct mappo_env_io io;
    /* What recurrent networks should remember of each agent: before the next step, and after the last one. */
    real before[MAPPO_MAX_GROUPS][POLICY_ROLES][ENVS][AGENTS_MOST][HIDDEN],
        after[MAPPO_MAX_GROUPS][POLICY_ROLES][ENVS][AGENTS_MOST][HIDDEN];
};

static void open_replay(struct replay *r)
{
    struct error err = {0};
    *r = (struct replay){.env = open_env("test/kitchen_sink", ENVS, 0, NULL, 0)};
    r->spec = vecenv_spec(r->env);
    r->io = (struct mappo_env_io){.struct_size = sizeof r->io, .groups = r->spec->groups};
    slices_of(&r->slices, r->spec);
    for (int i = 0; i < r->slices.count; i++) {
        const struct slice *slice = &r->slices.slice[i];
        if (slice->offered) slice_point(&r->io, slice, calloc(ENVS, slice->bytes));
    }
    assert_int_equal(vecenv_reset(r->env, &r->io, &err), 0);
}

static void close_replay(struct replay *r)
{
    for (int i = 0; i < r->slices.count; i++) free(slice_array(&r->io, &r->slices.slice[i]));
    vecenv_close(r->env);
}

/* What the critic of agent a in group g should see, put together by the definitions. */
static void expected_state(const struct fixture *f, const struct replay *r, int g, int e, int a, bool final, float *to)
{
    const struct policy *policy = &f->policy[g];
    const struct group_sizes *sizes = &policy->sizes;
    const float *own = (final ? r->io.group[g].final_obs : r->io.group[g].obs) + (size_t)(e * sizes->agents + a) * (size_t)sizes->obs;
    if (policy->critic_input == CRITIC_OBS) {
        memcpy(to, own, (size_t)sizes->obs * sizeof *to);
        return;
    }
    if (policy->concatenate) {
        for (int k = 0; k < f->spec->groups; k++) {
            const struct group_sizes s = group_sizes(&f->spec->group[k]);
            const size_t width = (size_t)s.agents * (size_t)s.obs;
            memcpy(to, (final ? r->io.group[k].final_obs : r->io.group[k].obs) + (size_t)e * width, width * sizeof *to);
            to += width;
        }
    } else {
        const size_t width = (size_t)f->spec->state_size;
        memcpy(to, (final ? r->io.final_state : r->io.state) + (size_t)e * width, width * sizeof *to);
        to += width;
    }
    for (int i = 0; policy->critic_input == CRITIC_STATE_ID && i < sizes->agents; i++) to[i] = i == a;
}

/* The first output of an agent's network for x; `before` and `after`: what a recurrent one remembers. */
static real output_of(struct fixture *f, int g, int role, int a, const float *x, const real *before, real *after)
{
    struct policy *policy = &f->policy[g];
    const struct network *net = &policy->net[role];
    struct packed_rows *packed = f->backend->packed_rows_create(f->backend, net, 1);
    const struct batch batch = {NULL, 1, 1, NULL};
    const struct recurrent time = {.batch = batch, .steps = 1, .hidden = before, .hidden_out = after};
    real out[64];
    const struct forward_pass pass = {.net = net,
                                      .parameters = policy_network_at(policy, policy->parameters, role, policy_set(policy, role, a)),
                                      .packed = packed,
                                      .recurrent = net->gru ? &time : NULL,
                                      .out = out};
    assert_true(net->outputs <= 64);
    f->backend->pack(f->backend, net, NULL, &packed, x, &batch, 1);
    f->backend->forward(f->backend, &pass, 1);
    f->backend->packed_rows_destroy(f->backend, packed);
    return out[0];
}

/* An agent's network looks at place t, with what it remembers of this episode and no other. The last place is looked at again, as the first
 * of the next rollout. */
static real look(struct fixture *f, struct replay *r, int g, int role, int e, int a, int t, const float *x)
{
    real *before = r->before[g][role][e][a], *after = r->after[g][role][e][a], space[HIDDEN];
    if (r->io.ep_end[e] != MAPPO_RUNNING) memset(before, 0, sizeof space);
    const real out = output_of(f, g, role, a, x, before, t < STEPS ? after : space);
    if (t < STEPS) memcpy(before, after, sizeof space);
    return out;
}

/* Actors have gone on from what this one remembers. */
static void compare_states(struct fixture *f, struct replay *r, int g, int e, int a, int t)
{
    const struct group_sizes *sizes = &f->policy[g].sizes;
    const size_t agent = (size_t)(e * sizes->agents + a);
    if (t == STEPS || !f->policy[g].net[ROLE_ACTOR].gru) return;
    look(f, r, g, ROLE_ACTOR, e, a, t, r->io.group[g].obs + agent * (size_t)sizes->obs);
    const real *found = states_at(&f->rollout->states, g, ROLE_ACTOR, t + 1) + agent * HIDDEN;
    for (int j = 0; j < HIDDEN; j++) assert_true(fabs((double)found[j] - (double)r->after[g][ROLE_ACTOR][e][a][j]) < 1e-5);
}

/* The slice that is written in a given way, at one place of the rollout, is what the second environment shows. */
static void compare_kept(const struct fixture *f, const struct replay *r, int written, int place)
{
    const struct transitions *x = f->rollout->transitions;
    for (int i = 0; i < x->slices.count; i++) {
        const struct slice *slice = &x->slices.slice[i];
        if (slice->written == written)
            assert_memory_equal(transitions_at(x, slice, place, 0), slice_array(&r->io, slice), ENVS * slice->bytes);
    }
}

static void compare_observations(struct fixture *f, struct replay *r, int t)
{
    compare_kept(f, r, SLICE_OBSERVATION, t);
    for (int g = 0; g < f->spec->groups; g++) {
        const struct policy *policy = &f->policy[g];
        for (int e = 0; e < ENVS; e++)
            for (int a = 0; a < policy->sizes.agents; a++) {
                float x[128];
                expected_state(f, r, g, e, a, false, x);
                const size_t u = (size_t)t * ENVS + (size_t)e, inputs = (size_t)policy->state_rows, values = (size_t)policy->value_agents;
                const size_t width = (size_t)policy->state_size, row = u * inputs + (inputs > 1 ? (size_t)a : 0);
                assert_memory_equal(f->rollout->inputs.group[g].current + row * width, x, width * sizeof(float));
                /* The same row in another place of a batch: rounding may differ with the vector it falls into, no more. */
                const double found = (double)f->rollout->returns->group[g].value[u * values + (values > 1 ? (size_t)a : 0)];
                assert_true(fabs(found - (double)look(f, r, g, ROLE_CRITIC, e, a, t, x)) < 1e-5);
                compare_states(f, r, g, e, a, t);
            }
    }
}

/* The actions of step t for the second environment, whose own arrays of them stay unused. */
static void replay_step(const struct fixture *f, struct replay *r, int t)
{
    const struct transitions *x = f->rollout->transitions;
    struct error err = {0};
    struct mappo_env_io io = r->io;
    for (int i = 0; i < x->slices.count; i++)
        if (x->slices.slice[i].written == SLICE_ACTION) slice_point(&io, &x->slices.slice[i], transitions_at(x, &x->slices.slice[i], t, 0));
    assert_int_equal(vecenv_step(r->env, &io, &err), 0);
}

static int compare_step(struct fixture *f, struct replay *r, int t)
{
    int truncated = 0;
    replay_step(f, r, t);
    compare_kept(f, r, SLICE_RESULT, t);
    for (int g = 0; g < f->spec->groups; g++) {
        const struct policy *policy = &f->policy[g];
        const size_t values = (size_t)policy->value_agents;
        const real *final = f->rollout->returns->group[g].final_value;
        for (int e = 0; e < ENVS; e++)
            for (int a = 0; a < policy->sizes.agents && r->io.ep_end[e] == MAPPO_TRUNCATED; a++, truncated++) {
                float x[128];
                expected_state(f, r, g, e, a, true, x);
                const double found = (double) final[((size_t)t * ENVS + (size_t)e) * values + (values > 1 ? (size_t)a : 0)];
                real space[HIDDEN];
                const real expected = output_of(f, g, ROLE_CRITIC, a, x, r->after[g][ROLE_CRITIC][e][a], space);
                assert_true(fabs(found - (double)expected) < 1e-5);
            }
    }
    return truncated;
}

static void rollouts_hold_what_the_environment_said_and_value_truncated_states(void **state)
{
    (void)state;
    static const struct arrangement arrangements[] = {{BOTH, CRITIC_STATE, false, 1},
                                                      {BOTH, CRITIC_STATE, true, 1},
                                                      {BOTH, CRITIC_STATE_ID, false, 1},
                                                      {BOTH, CRITIC_STATE_ID, true, 2},
                                                      {BOTH, CRITIC_OBS, false, 1},
                                                      {BOTH, CRITIC_OBS, false, 3},
                                                      {APART, CRITIC_STATE, true, 1},
                                                      {APART, CRITIC_OBS, false, 2},
                                                      {APART, CRITIC_STATE_ID, false, 1},
                                                      {ACTOR_ALONE, CRITIC_STATE, true, 1},
                                                      {ACTOR_ALONE, CRITIC_STATE_ID, false, 2},
                                                      {CRITIC_ALONE, CRITIC_STATE, false, 1}};
    const size_t count = sizeof arrangements / sizeof *arrangements;
    for (size_t i = 0; i < 2 * count; i++) {
        struct error err = {0};
        struct fixture f;
        struct replay r;
        int truncated = 0;
        recurrent = i >= count;
        open_fixture(&f, "test/kitchen_sink", &arrangements[i % count], ENVS, 0, NULL, 0);
        open_replay(&r);
        for (int round = 0; round < 2; round++) { /* the second starts in the middle of episodes */
            assert_int_equal(rollout_collect(f.rollout, &err), 0);
            rollout_finish(f.rollout);
            compare_observations(&f, &r, 0);
            for (int t = 0; t < STEPS; t++) {
                truncated += compare_step(&f, &r, t);
                compare_observations(&f, &r, t + 1);
            }
        }
        assert_true(truncated > 0);
        assert_int_equal(f.rollout->transitions->step, 2 * STEPS);
        close_replay(&r);
        close_fixture(&f);
    }
    recurrent = false;
}

/* Environments [0, 6) at once, against [0, 2) and [2, 6): the same actions, bit for bit. */
static void rollouts_do_not_depend_on_how_environments_are_split(void **state)
{
    (void)state;
    for (int both = 0; both < 2; both++) {
        const int shared = both ? BOTH : APART;
        const struct arrangement whole = {shared, CRITIC_OBS, false, 1}, cut = {shared, CRITIC_OBS, false, 2};
        struct fixture f[3];
        struct error err = {0};
        open_fixture(&f[0], "test/kitchen_sink", &whole, 6, 0, NULL, 0);
        open_fixture(&f[1], "test/kitchen_sink", &whole, 2, 0, NULL, 0);
        open_fixture(&f[2], "test/kitchen_sink", &cut, 4, 2, NULL, 0);
        for (int i = 0; i < 3; i++) assert_int_equal(rollout_collect(f[i].rollout, &err), 0);
        for (int g = 0; g < 2; g++)
            for (int t = 0; t < STEPS; t++)
                for (int e = 0; e < 6; e++) {
                    const struct rollout *all = f[0].rollout, *part = f[e < 2 ? 1 : 2].rollout;
                    const size_t at = (size_t)(t * 6 + e), in = (size_t)(e < 2 ? t * 2 + e : t * 4 + e - 2);
                    const size_t agents = (size_t)f[0].policy[g].sizes.agents;
                    for (int i = 0; i < all->transitions->slices.count; i++) {
                        const struct slice *slice = &all->transitions->slices.slice[i];
                        if (slice->written == SLICE_ACTION)
                            assert_memory_equal(transitions_at(all->transitions, slice, t, e),
                                                transitions_at(part->transitions, slice, t, e < 2 ? e : e - 2), slice->bytes);
                    }
                    assert_memory_equal(all->log_prob[g] + at * agents, part->log_prob[g] + in * agents, agents * sizeof(real));
                }
        for (int i = 0; i < 3; i++) close_fixture(&f[i]);
    }
}

/* Environments 2, 3 and 4, of which 4 goes wrong: what the rollout says must have all of `words`. */
static int collect_fault(const char *fault, const char *fault_step, const char *words[3])
{
    const struct env_option option[] = {{"fault", fault}, {"fault_env", "4"}, {"fault_step", fault_step}};
    const struct arrangement how = {BOTH, CRITIC_STATE, true, 1}; /* final observations are wanted */
    struct fixture f;
    struct error err = {0};
    open_fixture(&f, "test/kitchen_sink", &how, 3, 2, option, 3);
    const int code = rollout_collect(f.rollout, &err);
    for (int i = 0; i < 3 && words[i]; i++)
        if (!strstr(err.text, words[i])) fail_msg("fault=%s: \"%s\" is not in: %s", fault, words[i], err.text);
    close_fixture(&f);
    return code;
}

static int check_fault(const char *fault, const char *word, const char *after)
{
    return collect_fault(fault, "9", (const char *[3]){word, "number 4:", after});
}

static void numbers_that_are_none_are_named_with_environment_agent_and_step(void **state)
{
    (void)state;
    const char *step = ", after step 9";
    assert_int_equal(check_fault("nan_reward", "reward of agent 0 of group \"runner\" is NaN", step), EXIT_NUMERICAL);
    assert_int_equal(check_fault("inf_reward", "reward of agent 0 of group \"runner\" is infinite", step), EXIT_NUMERICAL);
    assert_int_equal(check_fault("nan_obs", "observation of agent 0 of group \"runner\" is NaN at its place 0", step), EXIT_NUMERICAL);
    const char *const last = "final observation of agent 0 of group \"runner\" is NaN at its place 0"; /* of an episode of 5 to 12 steps */
    assert_int_equal(collect_fault("nan_final_obs", "0", (const char *[3]){last, "number 4:", ", after step "}), EXIT_NUMERICAL);
}

static void environments_that_break_their_word_are_named_with_agent_and_step(void **state)
{
    (void)state;
    const char *const no_choice =
        "the mask of agent 2 of group \"runner\", which acts, allows none of the 2 choices of its action (head 1, component 1)";
    assert_int_equal(collect_fault("no_choice", "1", (const char *[3]){no_choice, "number 4:", ", after step 1"}), EXIT_ENVIRONMENT);
    assert_int_equal(collect_fault("no_choice", "0", (const char *[3]){NULL}), 0); /* that runner is absent, and needs none */
    assert_int_equal(check_fault("unshared_reward", "the reward of agent 1 of group \"watcher\" is not that of agent 0", ", after step 9"),
                     EXIT_ENVIRONMENT);
    assert_int_equal(check_fault("error", "fault=error", ", after step 9"), EXIT_ENVIRONMENT);
}

/* Its episodes are of 5 to 12 steps, and 12 are the most that it declares. */
static void episodes_that_do_not_end_are_named_with_environment_and_step(void **state)
{
    (void)state;
    const char *words[3] = {"its episode goes on beyond max_steps = 12 of its spec", "number 4:", ", after step 11"};
    assert_int_equal(collect_fault("endless", "0", words), EXIT_ENVIRONMENT);
}

/* ---- environments beside the backend: what is sent ----------------------------------------------------------------------------------- */

static struct {
    void (*upload)(struct backend *, void *to, const void *from, size_t bytes);
    const char *begin, *end; /* the arrays of final observations */
    size_t bytes, calls;     /* into these */
} sent;

static void counting_upload(struct backend *backend, void *to, const void *from, size_t bytes)
{
    const bool last = (char *)to >= sent.begin && (char *)to < sent.end;
    sent.bytes += last ? bytes : 0;
    sent.calls += last;
    sent.upload(backend, to, from, bytes);
}

static size_t count_truncated(const struct fixture *f, int envs)
{
    size_t count = 0;
    for (int i = 0; i < STEPS * envs; i++) count += f->rollout->transitions->all.ep_end[i] == MAPPO_TRUNCATED;
    return count;
}

/* Few of many episodes are cut in a step: their last observations are sent, and no more beside them than a second copy would cost. */
static void final_observations_are_sent_where_an_episode_was_cut(void **state)
{
    (void)state;
    enum { MANY = 3000, WIDTH = SINK_RUNNERS * SINK_RUNNER_OBS * (int)sizeof(float), GAP = 32 * 1024 };
    const struct env_option option[] = {{"longest", "500"}, {"mortal", "0"}};
    const struct arrangement how = {BOTH, CRITIC_OBS, false, 1};
    struct fixture direct, staged;
    struct error err = {0};
    open_fixture_where(&direct, COLLECT_DIRECT, "test/kitchen_sink", &how, MANY, 0, option, 2);
    open_fixture_where(&staged, COLLECT_STAGED, "test/kitchen_sink", &how, MANY, 0, option, 2);
    sent.upload = staged.backend->upload;
    sent.begin = (char *)staged.rollout->transitions->all.group[0].final_obs;
    sent.end = sent.begin + (size_t)MANY * WIDTH;
    staged.backend->upload = counting_upload;
    for (int round = 0; round < 2; round++) {
        sent.bytes = sent.calls = 0;
        assert_int_equal(rollout_collect(direct.rollout, &err), 0);
        assert_int_equal(rollout_collect(staged.rollout, &err), 0);
        const size_t cut = count_truncated(&staged, MANY);
        assert_true(cut > 10 && sent.calls <= cut);
        if (sent.bytes < cut * WIDTH || sent.bytes > cut * (WIDTH + GAP) || sent.bytes > (size_t)STEPS * MANY * WIDTH / 2)
            fail_msg("%zu bytes for %zu episodes of %d", sent.bytes, cut, WIDTH);
        for (int g = 0; g < 2; g++) {
            const struct rollout *a = direct.rollout, *b = staged.rollout;
            const size_t rows = (size_t)STEPS * MANY * (size_t)direct.policy[g].sizes.agents;
            assert_memory_equal(a->transitions->all.group[g].obs, b->transitions->all.group[g].obs,
                                rows * (size_t)direct.policy[g].sizes.obs * sizeof(float));
            assert_memory_equal(a->returns->group[g].final_value, b->returns->group[g].final_value, rows * sizeof(real));
        }
    }
    staged.backend->upload = sent.upload;
    close_fixture(&direct);
    close_fixture(&staged);
}

static void shards_that_do_not_fit_are_a_matter_of_configuration(void **state)
{
    (void)state;
    const struct arrangement how = {BOTH, CRITIC_OBS, false, 1};
    struct fixture f;
    struct error err = {0};
    struct rollout *rollout;
    open_fixture(&f, "test/kitchen_sink", &how, 3, 0, NULL, 0);
    const struct rollout_config config = {.transitions = {.steps = 2, .envs = 3, .shards = 4}};
    assert_int_equal(rollout_create(&rollout, &config, f.spec, f.policies, f.backend, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "rollout.envs"));
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rollouts_hold_what_the_environment_said_and_value_truncated_states),
        cmocka_unit_test(rollouts_do_not_depend_on_how_environments_are_split),
        cmocka_unit_test(numbers_that_are_none_are_named_with_environment_agent_and_step),
        cmocka_unit_test(environments_that_break_their_word_are_named_with_agent_and_step),
        cmocka_unit_test(episodes_that_do_not_end_are_named_with_environment_and_step),
        cmocka_unit_test(final_observations_are_sent_where_an_episode_was_cut),
        cmocka_unit_test(shards_that_do_not_fit_are_a_matter_of_configuration),
    };
    return cmocka_run_group_tests_name("algo_rollout", tests, NULL, NULL);
}
