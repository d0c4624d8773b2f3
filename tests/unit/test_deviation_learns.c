/* A policy finds the deviations that are best, where these are known: tests/plugins/plugin_of_precision.c has one step and two tasks of
 * different precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/kernels/distribution.h"
#include "base/text.h"
#include "run/learning.h"

enum { UPDATES = 400, OUTPUTS = 2 };
static const double bonus = 0.25, stiffness[2] = {1, 16}, mean[2] = {-0.5, 0.5};

static void set(struct config *config, const char *key, const char *value)
{
    struct error err = {0};
    if (config_set(config, key, value, ORIGIN_COMMAND_LINE, "in a test", &err)) fail_msg("%s", err.text);
}

static void configure(struct config *config, const char *std, const char *policy, const char *objective)
{
    const char *build = getenv("BUILD");
    char path[256];
    text_format(path, sizeof path, "%s/tests/plugin_of_precision.so", build ? build : "build");
    const char *const settings[][2] = {{"env", path},
                                       {"algo", "ppo"},
                                       {"policy", policy},
                                       {"policy.std", std},
                                       {"policy.log_std", "-1"},
                                       {"policy.hidden", "16"},
                                       {"policy.layers", "1"},
                                       {"policy.layer_norm", "0"},
                                       {"rollout.envs", "512"},
                                       {"rollout.steps", "4"},
                                       {"ppo.objective", objective},
                                       {"ppo.entropy", "0.25"},
                                       {"ppo.epochs", "4"},
                                       {"ppo.chunk", "4"},
                                       {"ppo.normalise_advantage", "none"}, /* or the bonus weighs as much as rewards deviate */
                                       {"norm.obs", "none"},
                                       {"adam.lr", "0.005"},
                                       {"adam.critic_lr", "0.005"},
                                       {"backend", "cpu"}};
    config_defaults(config);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) set(config, settings[i][0], settings[i][1]);
}

static void look(const struct learning *l, int task, real *out)
{
    const struct policy *policy = l->policies->group[0];
    const struct network *net = &policy->net[ROLE_ACTOR];
    struct backend *b = l->backend;
    struct packed_rows *packed = b->packed_rows_create(b, net, 1);
    const struct batch batch = {NULL, 1, 1, NULL};
    const struct recurrent time = {.batch = batch, .steps = 1};
    const float seen = task ? 1 : -1;
    b->pack(b, net, NULL, &packed, &seen, &batch, 1);
    const struct forward_pass pass = {.net = net,
                                      .parameters = policy_actor(policy, policy->parameters, 0),
                                      .packed = packed,
                                      .recurrent = net->gru ? &time : NULL,
                                      .out = out};
    b->forward(b, &pass, 1);
    b->packed_rows_destroy(b, packed);
    if (net->outputs < OUTPUTS) out[1] = policy_log_std(policy, 0)[0];
}

/* Adam's steps and draws leave a tenth. */
static void expect(const char *what, int task, double found, double wanted)
{
    if (!(fabs(found - wanted) <= 0.1 * fabs(wanted))) fail_msg("task %d: %s is %.4f, best is %.4f", task, what, found, wanted);
}

static void learn(const char *std, const char *policy, const char *objective, const double *variance)
{
    struct config config;
    struct learning l = {0};
    struct comm *comm;
    struct error err = {0};
    int argc = 0;
    char **argv = NULL;
    assert_int_equal(comm_open(&comm, &argc, &argv, &err), 0);
    configure(&config, std, policy, objective);
    int code = learning_backend(&l, &config, comm, 1, -1, &err);
    if (!code) code = learning_open(&l, &config, comm, &err);
    if (code) fail_msg("%s", err.text);
    const struct algorithm_ops *ops = l.algorithm->ops;
    code = ops->begin(l.algorithm, false, &err);
    for (int i = 0; i < UPDATES && !code; i++) {
        code = ops->collect(l.algorithm, &err);
        if (!code) code = ops->finish(l.algorithm, &err);
        if (!code) vecenv_report_begin(l.env);
        if (!code) code = ops->update(l.algorithm, &err);
        if (!code) code = ops->outcome(l.algorithm, &err);
        if (!code) vecenv_report_end(l.env);
    }
    if (code) fail_msg("%s", err.text);
    for (int task = 0; task < 2; task++) {
        real out[OUTPUTS];
        look(&l, task, out);
        expect("the mean", task, (double)out[0], mean[task]);
        expect("the deviation", task, exp((double)out[1]), sqrt(variance[task]));
    }
    learning_close(&l);
    comm_close(comm);
}

static void each_state_has_the_deviation_that_is_best_there(void **state)
{
    (void)state;
    const double variance[] = {bonus / stiffness[0], bonus / stiffness[1]};
    learn("state", "mlp", "clip", variance);
    learn("state", "mlp", "kl", variance);
    learn("state", "gru", "clip", variance);
}

static void one_for_all_states_is_the_best_on_average(void **state)
{
    (void)state;
    const double both = bonus / ((stiffness[0] + stiffness[1]) / 2), variance[] = {both, both};
    learn("shared", "mlp", "clip", variance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_state_has_the_deviation_that_is_best_there),
                                       cmocka_unit_test(one_for_all_states_is_the_best_on_average)};
    return cmocka_run_group_tests_name("deviation_learns", tests, NULL, NULL);
}
