/* Updates of one range of learners after another, for every backend: each agent of test/kitchen_sink has its own parameters, so that
 * nothing is shared between them. */
#ifndef TESTS_PPO_RANGE_CASES_H
#define TESTS_PPO_RANGE_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "algo/ppo.h"
#include "base/philox.h"

#ifndef TESTED_BACKEND
#define TESTED_BACKEND "cpu"
#endif

enum { STEPS = 7, ENVS = 6, LEARNERS_MOST = 16 };

struct fixture {
    struct vecenv *env;
    const struct mappo_env_spec *spec;
    struct backend *backend;
    struct comm *comm;
    struct policy policy[MAPPO_MAX_GROUPS], *policies[MAPPO_MAX_GROUPS];
    struct rollout *rollout;
    struct ppo *ppo;
    struct ppo_hooks hooks;
    real *gradient[LEARNERS_MOST]; /* the actors', of the first minibatch of the last update */
    double entropy[LEARNERS_MOST];
};

struct how {
    int range, minibatches, shards;
    bool hooks;
};

static int learner_number(const struct fixture *f, int group, int set)
{
    for (int g = 0; g < group; g++) set += f->policy[g].sets[ROLE_ACTOR];
    return set;
}

static void stepped(void *user, const struct ppo_minibatch *m)
{
    struct fixture *f = user;
    const int l = learner_number(f, m->group, m->set[ROLE_ACTOR]);
    const size_t n = f->policy[m->group].net[ROLE_ACTOR].parameters;
    if (m->epoch > 0 || m->minibatch > 0) return;
    if (!f->gradient[l]) f->gradient[l] = calloc(n, sizeof(real));
    f->backend->download(f->backend, f->gradient[l], m->actor_gradient, n * sizeof(real));
    f->entropy[l] = m->metrics.entropy;
}

static void open_fixture(struct fixture *f, struct how how)
{
    struct error err = {0};
    int argc = 0;
    char **argv = NULL;
    memset(f, 0, sizeof *f);
    const struct vecenv_config env = {.name = "test/kitchen_sink",
                                      .envs = ENVS,
                                      .seed = 3,
                                      .stream = PHILOX_ENVIRONMENT,
                                      .threads = 1,
                                      .horizon = STEPS,
                                      .clip_action = true};
    const struct backend_config backend = {.name = TESTED_BACKEND, .threads = 2, .level = -1, .device = -1, .graphs = true};
    if (vecenv_open(&f->env, &env, &err) || backend_open(&f->backend, &backend, &err) || comm_open(&f->comm, &argc, &argv, &err))
        fail_msg("%s", err.text);
    f->spec = vecenv_spec(f->env);
    for (int g = 0; g < f->spec->groups; g++) {
        const struct policy_config policy = {.hidden = 16,
                                             .layers = 2,
                                             .activation = ACTIVATION_TANH,
                                             .layer_norm = true,
                                             .head_gain = 1,
                                             .critic_input = CRITIC_OBS,
                                             .normalizer = NORMALIZER_POPART,
                                             .seed = 5,
                                             .index = (uint32_t)g};
        if (policy_build(&f->policy[g], &policy, f->spec, g, f->backend, &err)) fail_msg("%s", err.text);
        f->policies[g] = &f->policy[g];
    }
    const struct rollout_config rollout = {
        .transitions = {.steps = STEPS, .envs = ENVS, .shards = how.shards},
        .collect = {.where = f->backend->host_memory ? COLLECT_DIRECT : COLLECT_STAGED, .seed = 5, .crew = 1},
        .returns = {.gamma = (real)0.97, .lambda = (real)0.9, .bootstrap = true}};
    if (rollout_create(&f->rollout, &rollout, f->spec, f->policies, f->backend, &err)) fail_msg("%s", err.text);
    f->hooks = (struct ppo_hooks){.user = f, .stepped = stepped};
    const struct ppo_config ppo = {.policy = {.clip = (real)0.2},
                                   .value = {.clip = (real)0.2, .huber_delta = 10, .coefficient = 1},
                                   .range = how.range,
                                   .epochs = 2,
                                   .minibatches = how.minibatches,
                                   .value_norm_beta = 0.9,
                                   .max_grad_norm = 10,
                                   .adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-5},
                                   .now = {1e-3, 2e-3, 1, 1, 1, 1},
                                   .seed = 5,
                                   .hooks = how.hooks ? &f->hooks : NULL};
    if (ppo_create(&f->ppo, &ppo, f->rollout, f->policies, f->comm, f->backend, &err)) fail_msg("%s", err.text);
    if (rollout_begin(f->rollout, f->env, false, &err)) fail_msg("%s", err.text);
}

static void close_fixture(struct fixture *f)
{
    ppo_destroy(f->ppo);
    rollout_destroy(f->rollout);
    for (int g = 0; g < f->spec->groups; g++) policy_clear(&f->policy[g]);
    for (int l = 0; l < LEARNERS_MOST; l++) free(f->gradient[l]);
    comm_close(f->comm);
    f->backend->close(f->backend);
    vecenv_close(f->env);
}

static void collect(struct fixture *f)
{
    struct error err = {0};
    if (rollout_collect(f->rollout, &err)) fail_msg("%s", err.text);
    rollout_finish(f->rollout);
}

static void read_outcome(struct fixture *f)
{
    struct error err = {0};
    struct ppo_metrics metrics[MAPPO_MAX_GROUPS];
    if (ppo_outcome(f->ppo, metrics, &err)) fail_msg("%s", err.text);
    for (int g = 0; g < f->spec->groups; g++) assert_true(isfinite(metrics[g].policy_loss) && metrics[g].critic_grad_norm > 0);
}

/* ---- promises ------------------------------------------------------------------------------------------------------------------------ */

enum order { AT_ONCE, FORWARDS, BACKWARDS };

/* Three updates, which a device makes, records and replays; every parameter afterwards, of all groups. */
static size_t train(struct how how, int order, real **parameters)
{
    struct fixture f;
    size_t all = 0;
    open_fixture(&f, how);
    for (int u = 0; u < 3; u++) {
        const int ranges = ppo_ranges(f.ppo);
        collect(&f);
        if (order == AT_ONCE) {
            ppo_update(f.ppo, u);
        } else {
            ppo_begin(f.ppo, u);
            for (int r = 0; r < ranges; r++) ppo_learn(f.ppo, order == FORWARDS ? r : ranges - 1 - r);
            ppo_end(f.ppo);
        }
        read_outcome(&f);
    }
    for (int g = 0; g < f.spec->groups; g++) all += f.policy[g].size;
    real *to = *parameters = calloc(all, sizeof *to);
    for (int g = 0; g < f.spec->groups; g++) {
        const size_t n = f.policy[g].size;
        policy_pull(&f.policy[g]);
        memcpy(to, f.policy[g].host.parameters, n * sizeof *to);
        to += n;
    }
    close_fixture(&f);
    return all;
}

static void ranges_of_learners_that_share_nothing_change_no_bit(void **state)
{
    (void)state;
    for (int variant = 0; variant < 2; variant++) {
        struct how how = {.minibatches = variant ? 2 : 1, .shards = variant ? 2 : 1};
        real *expected, *found;
        const size_t n = train(how, AT_ONCE, &expected);
        for (int order = AT_ONCE; order <= BACKWARDS; order++) {
            how.range = order == BACKWARDS ? 1 : 2;
            assert_int_equal(train(how, order, &found), n);
            if (memcmp(expected, found, n * sizeof *found))
                fail_msg("%d minibatches, ranges of %d, order %d: other parameters than at once", how.minibatches, how.range, order);
            free(found);
        }
        free(expected);
    }
}

static void a_factor_on_a_row_is_one_on_its_objective(void **state)
{
    (void)state;
    const struct how how = {.range = 1, .minibatches = 1, .shards = 1, .hooks = true};
    struct fixture f[2];
    for (int i = 0; i < 2; i++) {
        open_fixture(&f[i], how);
        collect(&f[i]);
        ppo_begin(f[i].ppo, 0);
        const int agents = f[i].policy[0].sizes.agents;
        const size_t rows = (size_t)(STEPS * ENVS * agents);
        real *advantage = calloc(rows, sizeof *advantage);
        f[i].backend->download(f[i].backend, advantage, f[i].rollout->returns->group[0].advantage, rows * sizeof *advantage);
        for (size_t r = 1; r < rows && i == 1; r += (size_t)agents) advantage[r] *= 4; /* agent 1 */
        f[i].backend->upload(f[i].backend, f[i].rollout->returns->group[0].advantage, advantage, rows * sizeof *advantage);
        free(advantage);
        for (int r = 0; r < ppo_ranges(f[i].ppo); r++) ppo_learn(f[i].ppo, r);
        ppo_end(f[i].ppo);
        read_outcome(&f[i]);
    }
    for (int g = 0; g < f[0].spec->groups; g++)
        for (int s = 0; s < f[0].policy[g].sets[ROLE_ACTOR]; s++) {
            const int l = learner_number(f, g, s);
            double largest = 0;
            for (size_t k = 0; k < f[0].policy[g].net[ROLE_ACTOR].parameters; k++) {
                const real factor = g == 0 && s == 1 ? 4 : 1;
                largest = fmax(largest, fabs((double)f[0].gradient[l][k]));
                if (f[1].gradient[l][k] != factor * f[0].gradient[l][k]) /* a power of two rounds nothing */
                    fail_msg("learner %d, gradient %zu is %g, without the factor %g", l, k, (double)f[1].gradient[l][k],
                             (double)f[0].gradient[l][k]);
            }
            assert_true(largest > 0);
        }
    for (int i = 0; i < 2; i++) close_fixture(&f[i]);
}

/* What an evaluation wrote for each row of group g, or what the rollout has. */
static void read_rows(struct fixture *f, int g, const real *from, real *to)
{
    f->backend->download(f->backend, to, from, (size_t)(STEPS * ENVS * f->policy[g].sizes.agents) * sizeof *to);
}

static void check_ratios(struct fixture *f, const struct ppo_evaluation *e, int learned)
{
    static real before[STEPS * ENVS * 16], now[STEPS * ENVS * 16];
    for (int g = 0; g < f->spec->groups; g++) {
        const int agents = f->policy[g].sizes.agents;
        read_rows(f, g, f->rollout->log_prob[g], before);
        read_rows(f, g, e->log_prob[g], now);
        for (int set = 0; set < f->policy[g].sets[ROLE_ACTOR]; set++) {
            double largest = 0;
            for (int r = set; r < STEPS * ENVS * agents; r += agents) largest = fmax(largest, fabs((double)(now[r] - before[r])));
            const bool moved = learner_number(f, g, set) < learned;
            if (moved ? !(largest > 1e-3) : !(largest < 2e-5)) /* log-probabilities of a few nats in float */
                fail_msg("group %d, set %d: log-probabilities differ by up to %g from those of the rollout", g, set, largest);
        }
    }
}

static void check_entropies(struct fixture *f, const struct ppo_evaluation *e)
{
    static real entropy[STEPS * ENVS * 16];
    for (int g = 0; g < f->spec->groups; g++) {
        const int agents = f->policy[g].sizes.agents;
        read_rows(f, g, e->entropy[g], entropy);
        for (int set = 0; set < f->policy[g].sets[ROLE_ACTOR]; set++) {
            double mean = 0;
            for (int r = set; r < STEPS * ENVS * agents; r += agents) mean += (double)entropy[r] / (STEPS * ENVS);
            const double expected = f->entropy[learner_number(f, g, set)];
            if (!(fabs(mean - expected) <= 2e-5 * (1 + fabs(expected))))
                fail_msg("group %d, set %d: entropy %g, of the first minibatch %g", g, set, mean, expected);
        }
    }
}

/* Before anything is learned the ratio of every row is 1; then only those of the range that has learned are others. */
static void given_actions_are_evaluated_by_the_present_policies(void **state)
{
    (void)state;
    for (int minibatches = 1; minibatches <= 2; minibatches++) {
        struct fixture f;
        open_fixture(&f, (struct how){.range = 2, .minibatches = minibatches, .shards = 2, .hooks = true});
        collect(&f);
        struct ppo_evaluation first = {.outputs = f.backend->alloc(f.backend, "a test", ppo_outputs(f.ppo) * sizeof(real))}, later = first;
        for (int g = 0; g < f.spec->groups; g++) {
            const size_t bytes = (size_t)(STEPS * ENVS * f.policy[g].sizes.agents) * sizeof(real);
            first.log_prob[g] = f.backend->alloc(f.backend, "a test", bytes);
            first.entropy[g] = f.backend->alloc(f.backend, "a test", bytes);
            later.log_prob[g] = f.backend->alloc(f.backend, "a test", bytes);
        }
        const int ranges = ppo_ranges(f.ppo);
        ppo_begin(f.ppo, 0);
        for (int r = 0; r < ranges; r++) ppo_evaluate(f.ppo, r, &first);
        check_ratios(&f, &first, 0);
        ppo_learn(f.ppo, 0);
        for (int r = 0; r < ranges; r++) ppo_evaluate(f.ppo, r, &later);
        check_ratios(&f, &later, 2);
        for (int r = 1; r < ranges; r++) ppo_learn(f.ppo, r);
        ppo_end(f.ppo);
        read_outcome(&f);
        if (minibatches == 1) check_entropies(&f, &first);
        for (int g = 0; g < f.spec->groups; g++) {
            f.backend->free(f.backend, first.log_prob[g]);
            f.backend->free(f.backend, first.entropy[g]);
            f.backend->free(f.backend, later.log_prob[g]);
        }
        f.backend->free(f.backend, first.outputs);
        close_fixture(&f);
    }
}

static const struct CMUnitTest range_tests[] = {
    cmocka_unit_test(ranges_of_learners_that_share_nothing_change_no_bit),
    cmocka_unit_test(a_factor_on_a_row_is_one_on_its_objective),
    cmocka_unit_test(given_actions_are_evaluated_by_the_present_policies),
};

#endif
