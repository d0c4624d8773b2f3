/* MADDPG's gradients against finite differences, in double, for every kind of action, with masks and absent agents; and tiny problems whose
 * answers are known. What is compared is a learner's own losses, with learning rates of 0. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "maddpg_fixture.h"

enum { ROWS = 12, SHARDS = 2 };

/* ---- gradients ----------------------------------------------------------------------------------------------------------------------- */

/* Some parameters of every network: the loss is a mean over the group's agents, and only one's hangs on them. */
static void check_gradients(struct fixture *f, int *checked)
{
    enum { SOME = 25 };
    const double step = 1e-5;
    struct maddpg_metrics metrics[GROUPS_MOST], low[GROUPS_MOST], high[GROUPS_MOST];
    uint32_t seed = 11;
    int agent = 0;
    learn(f, 0, metrics);
    for (int g = 0; g < f->spec->groups; g++)
        for (int a = 0; a < f->policies[g]->sizes.agents; a++, agent++)
            for (int role = ROLE_ACTOR; role <= ROLE_CRITIC; role++) {
                const struct policy *p = f->policies[g];
                real *x = policy_network_at(p, p->parameters, role, policy_set(p, role, a));
                for (int i = 0; i < SOME + p->net[role].extra; i++) { /* and the deviations */
                    const size_t any = (size_t)(uniform(&seed) * (double)p->net[role].parameters);
                    const size_t at = i < SOME ? any : (size_t)(p->net[role].at.extra + i - SOME);
                    const real is = x[at];
                    x[at] = is - (real)step;
                    learn(f, 0, low);
                    x[at] = is + (real)step;
                    learn(f, 0, high);
                    x[at] = is;
                    const double slope =
                        role == ROLE_ACTOR ? high[g].actor_loss - low[g].actor_loss : high[g].critic_loss - low[g].critic_loss;
                    const double expected = slope / (2 * step) * p->sizes.agents;
                    const double found = f->gradient[agent][role][at] / (f->batch.shards * f->batch.rows);
                    if (fabs(found - expected) > 1e-7 + 1e-5 * fabs(expected))
                        fail_msg("group %s, agent %d, role %d, parameter %zu: gradient %.10g, differences say %.10g", p->name, a, role, at,
                                 found, expected);
                    *checked += expected != 0;
                }
            }
}

static void gradients_match_finite_differences(void **state)
{
    (void)state;
    static const struct maddpg_rules smooth = {.smooth_own = true, .smooth_targets = true, .others_taken = true};
    int checked = 0;
    for (int variant = 0; variant < 8; variant++) {
        struct fixture f = {0};
        struct error err = {0};
        const struct vecenv_config env = {
            .name = "test/kitchen_sink", .envs = 1, .seed = 1, .stream = PHILOX_ENVIRONMENT, .threads = 1, .clip_action = true};
        if (vecenv_open(&f.env, &env, &err)) fail_msg("%s", err.text);
        const struct fixture_learner learner = {
            .config = {.rules = smooth, .gamma = (real)0.9, .temperature = (real)0.7, .penalty = (real)0.05, .seed = 5},
            .own_view = variant == 1 || variant == 7,
            .layer_norm = variant == 2,
            .shards = SHARDS,
            .rows = ROWS,
            .hidden = 9,
            .real = variant == 3                   ? REAL_SOFTMAX
                    : variant == 4 || variant == 5 ? REAL_TANH_GAUSSIAN
                                                   : REAL_TANH,
            .fixed_std = variant == 5 ? 0.4f : 0,
            .weighted = variant >= 6};
        open_learner(&f, vecenv_spec(f.env), &learner);
        fill_batch(&f, &f.batch);
        check_gradients(&f, &checked);
        for (int i = 0; i < SHARDS * ROWS && variant >= 6; i++) assert_true(f.batch.error[i] > 0);
        close_learner(&f);
    }
    assert_true(checked > 800);
}

/* ---- tiny problems ------------------------------------------------------------------------------------------------------------------- */

static struct mappo_env_spec spec_of(int agents, int obs, struct mappo_space act)
{
    struct mappo_env_spec spec = {.groups = 1};
    spec.group[0] = (struct mappo_group){.name = "agent", .agents = agents, .obs_heads = 1, .act_heads = 1};
    spec.group[0].obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = obs};
    spec.group[0].act[0] = act;
    return spec;
}

static real *actors_outputs(struct fixture *f, int agent, const float *obs, int rows)
{
    const struct policy *p = f->policies[0];
    const struct network *net = &p->net[ROLE_ACTOR];
    struct packed_rows *packed = f->backend->packed_rows_create(f->backend, net, rows);
    real *out = calloc((size_t)(rows * net->outputs), sizeof *out);
    const struct batch batch = {NULL, rows, 1, NULL};
    const struct forward_pass pass = {
        .net = net, .parameters = policy_actor(p, p->parameters, policy_set(p, ROLE_ACTOR, agent)), .packed = packed, .out = out};
    f->backend->pack(f->backend, net, NULL, &packed, obs, &batch, 1);
    f->backend->forward(f->backend, &pass, 1);
    f->backend->packed_rows_destroy(f->backend, packed);
    return out;
}

/* s' = s + a, r = -s² - a², discount 0.9: by Riccati's equation P = 1 + γP - (γP)² / (1 + γP) the best action is -γP / (1 + γP) · s. */
static void control_linear_quadratic(bool twin, int real_kind)
{
    enum { UPDATES = 1500, BATCH = 128, STATES = 9 };
    struct fixture f = {0};
    struct maddpg_metrics metrics[1];
    const struct mappo_env_spec spec = spec_of(1, 1, (struct mappo_space){.kind = MAPPO_BOX, .size = 1});
    const double gamma = 0.9;
    double p = 1;
    uint32_t seed = 1;
    for (int i = 0; i < 200; i++) p = 1 + gamma * p - gamma * p * gamma * p / (1 + gamma * p);
    const struct fixture_learner learner = {
        .config = {.gamma = (real)gamma, .tau = (real)0.02, .seed = 5, .twin = twin, .smoothing = (real)0.05, .smoothing_clip = (real)0.1},
        .own_view = true,
        .shards = 1,
        .rows = BATCH,
        .hidden = 24,
        .real = real_kind};
    open_learner(&f, &spec, &learner);
    for (int u = 0; u < UPDATES; u++) {
        struct replay_batch_group *b = &f.batch.group[0];
        f.numbers->update = u;
        for (int i = 0; i < BATCH; i++) {
            const double s = 2 * uniform(&seed) - 1, a = 2 * uniform(&seed) - 1;
            b->obs[i] = (float)s, b->act_real[i] = (float)a, b->next[i] = (float)(s + a), b->reward[i] = (float)(-s * s - a * a);
        }
        learn(&f, u < UPDATES / 2 ? 5e-3 : 1e-3, metrics);
    }
    float obs[STATES];
    for (int i = 0; i < STATES; i++) obs[i] = (float)(-0.8 + 0.2 * i);
    real *out = actors_outputs(&f, 0, obs, STATES);
    for (int i = 0; i < STATES; i++) {
        const double best = -gamma * p / (1 + gamma * p) * (double)obs[i];
        if (fabs(tanh((double)out[i]) - best) > 0.08)
            fail_msg("%s, actor %d: state %g: action %g, best %g", twin ? "twin" : "one critic", real_kind, (double)obs[i],
                     tanh((double)out[i]), best);
    }
    free(out);
    if (real_kind == REAL_TANH_GAUSSIAN) { /* noise costs, and nothing rewards it */
        const double log_std = (double)*policy_log_std(f.policies[0], 0);
        if (!(log_std < -2)) fail_msg("the policy's deviation is still %g", exp(log_std));
    }
    close_learner(&f);
}

static void linear_quadratic_control_is_solved(void **state)
{
    (void)state;
    control_linear_quadratic(false, REAL_TANH);
    control_linear_quadratic(true, REAL_TANH);
    control_linear_quadratic(false, REAL_TANH_GAUSSIAN);
}

/* r = -|a - best|², of a point of the simplex. */
static void a_point_of_the_simplex_is_found(void **state)
{
    (void)state;
    enum { UPDATES = 2000, BATCH = 128, CHOICES = 3 };
    static const double best[CHOICES] = {0.6, 0.3, 0.1};
    struct fixture f = {0};
    struct maddpg_metrics metrics[1];
    const struct mappo_env_spec spec = spec_of(1, 1, (struct mappo_space){.kind = MAPPO_BOX, .size = CHOICES});
    const struct fixture_learner learner = {
        .config = {.seed = 5}, .own_view = true, .shards = 1, .rows = BATCH, .hidden = 24, .real = REAL_SOFTMAX};
    uint32_t seed = 1;
    open_learner(&f, &spec, &learner);
    for (int u = 0; u < UPDATES; u++) {
        struct replay_batch_group *b = &f.batch.group[0];
        for (int i = 0; i < BATCH; i++) {
            b->reward[i] = 0;
            b->terminated[i] = 1;
            const double share[] = {uniform(&seed), uniform(&seed)}, least = fmin(share[0], share[1]), most = fmax(share[0], share[1]);
            const double point[CHOICES] = {least, most - least, 1 - most};
            for (int k = 0; k < CHOICES; k++) {
                b->act_real[CHOICES * i + k] = (float)point[k];
                b->reward[i] -= (float)((point[k] - best[k]) * (point[k] - best[k]));
            }
        }
        learn(&f, u < UPDATES / 2 ? 3e-3 : 3e-4, metrics);
    }
    const float obs = 0;
    real *out = actors_outputs(&f, 0, &obs, 1);
    double sum = 0;
    for (int k = 0; k < CHOICES; k++) sum += exp((double)out[k]);
    for (int k = 0; k < CHOICES; k++)
        if (fabs(exp((double)out[k]) / sum - best[k]) > 0.05) fail_msg("number %d is %g, best %g", k, exp((double)out[k]) / sum, best[k]);
    free(out);
    close_learner(&f);
}

/* Two agents, one payoff: 1 where both choose the last action, less elsewhere. */
static void a_matrix_game_is_solved_in_both_forms(void **state)
{
    (void)state;
    enum { UPDATES = 300, BATCH = 64, CHOICES = 3 };
    static const float payoff[CHOICES][CHOICES] = {{0, 0, 0.1f}, {0, 0.2f, 0.5f}, {0.1f, 0.5f, 1}};
    static int32_t choices[] = {CHOICES};
    for (int form = 0; form < 2; form++) {
        struct fixture f = {0};
        struct maddpg_metrics metrics[1];
        const struct mappo_env_spec spec = spec_of(2, 1, (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = choices});
        uint32_t seed = 1;
        const struct fixture_learner learner = {.config = {.rules = form ? maddpg_openai : maddpg_port,
                                                           .gamma = (real)0.9,
                                                           .tau = (real)0.02,
                                                           .penalty = (real)1e-3,
                                                           .seed = 5},
                                                .shards = 1,
                                                .rows = BATCH,
                                                .hidden = 16};
        open_learner(&f, &spec, &learner);
        for (int u = 0; u < UPDATES; u++) {
            struct replay_batch_group *b = &f.batch.group[0];
            f.numbers->update = u;
            for (int i = 0; i < BATCH; i++) {
                const int one = (int)(uniform(&seed) * CHOICES), other = (int)(uniform(&seed) * CHOICES);
                b->act_int[2 * i] = one, b->act_int[2 * i + 1] = other;
                b->reward[2 * i] = b->reward[2 * i + 1] = payoff[one][other];
                b->terminated[2 * i] = b->terminated[2 * i + 1] = 1;
            }
            learn(&f, 1e-2, metrics);
        }
        for (int agent = 0; agent < 2; agent++) {
            const float obs = 0;
            real *out = actors_outputs(&f, agent, &obs, 1);
            assert_true(out[2] > out[0] && out[2] > out[1]);
            free(out);
        }
        assert_true(metrics[0].critic_loss < 0.01);
        close_learner(&f);
    }
}

/* Where every step ends the episode, Q is the step's reward. An environment may end it and leave `terminated` 0; a time limit is no end. */
static void nothing_follows_the_end_of_an_episode(void **state)
{
    (void)state;
    enum { BATCH = 8, UPDATES = 400 };
    static const struct {
        uint8_t ep_end, terminated;
        double q; /* of reward 1, and discount 0.5 where the same state follows */
    } ends[] = {{MAPPO_TERMINATED, 0, 1}, {MAPPO_TERMINATED, 1, 1}, {MAPPO_TRUNCATED, 0, 2}, {MAPPO_RUNNING, 1, 1}};
    const struct mappo_env_spec spec = spec_of(1, 1, (struct mappo_space){.kind = MAPPO_BOX, .size = 1});
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
        struct fixture f = {0};
        struct maddpg_metrics metrics[1];
        const struct fixture_learner learner = {
            .config = {.gamma = (real)0.5, .tau = (real)0.1, .seed = 5}, .own_view = true, .shards = 1, .rows = BATCH, .hidden = 8};
        open_learner(&f, &spec, &learner);
        for (int i = 0; i < BATCH; i++) {
            f.batch.group[0].reward[i] = 1;
            f.batch.group[0].terminated[i] = ends[k].terminated;
            f.batch.ep_end[i] = ends[k].ep_end;
        }
        for (int u = 0; u < UPDATES; u++) learn(&f, 1e-2, metrics);
        if (fabs(metrics[0].actor_loss + ends[k].q) > 0.3)
            fail_msg("end %d, terminated %d: Q is %g, not %g", ends[k].ep_end, ends[k].terminated, -metrics[0].actor_loss, ends[k].q);
        close_learner(&f);
    }
}

/* What stays away is not told how to act, but what its steps were worth: the steps before are bootstrapped from them. */
static void critics_learn_steps_that_an_agent_stays_out_of(void **state)
{
    (void)state;
    enum { BATCH = 8 };
    struct fixture f = {0};
    struct maddpg_metrics metrics[1];
    struct mappo_env_spec spec = spec_of(1, 1, (struct mappo_space){.kind = MAPPO_BOX, .size = 1});
    spec.group[0].flags = MAPPO_HAS_ACTIVE;
    const struct fixture_learner learner = {
        .config = {.gamma = (real)0.5, .seed = 5}, .own_view = true, .shards = 1, .rows = BATCH, .hidden = 8};
    open_learner(&f, &spec, &learner);
    for (int i = 0; i < BATCH; i++) f.batch.group[0].reward[i] = f.batch.group[0].terminated[i] = 1;
    for (int u = 0; u < 200; u++) {
        learn(&f, 1e-2, metrics);
        assert_true(metrics[0].actor_loss == 0);
        if (u == 0) assert_true(metrics[0].critic_loss > 0.1);
    }
    assert_true(metrics[0].critic_loss < 1e-3);
    close_learner(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_match_finite_differences),    cmocka_unit_test(linear_quadratic_control_is_solved),
        cmocka_unit_test(a_point_of_the_simplex_is_found),       cmocka_unit_test(a_matrix_game_is_solved_in_both_forms),
        cmocka_unit_test(nothing_follows_the_end_of_an_episode), cmocka_unit_test(critics_learn_steps_that_an_agent_stays_out_of),
    };
    return cmocka_run_group_tests_name("maddpg_double", tests, NULL, NULL);
}
