/* Every algorithm trains in every environment that is built in, for two updates, or is refused with the reason that stands here. */
// timeout: 300
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "env/registry.h"
#include "run/learning.h"
#include "policies_hash.h"

/* What is refused: a part of the sentence. Environments that are not here must train. */
static const struct refusal {
    const char *algorithm, *policy, *env, *reason;
} refusals[] = {{"maddpg", "gru", NULL, "policy=mlp"},
                {"ddpg", "gru", NULL, "policy=mlp"},
                {"maddpg", "conv", NULL, "policy.conv=none"},
                {"ddpg", "conv", NULL, "policy.conv=none"},
                {NULL, NULL, NULL, NULL}};

/* "conv": feed-forward, images convolved. */
static const char *const policies[] = {"mlp", "gru", "conv"};
static const char image[] = "overcooked/kitchen";
static const struct refusal no_image = {NULL, "conv", NULL, "policy.conv convolves one image"};

static const struct refusal *expected(const char *algorithm, const char *policy, const char *env)
{
    if (strcmp(policy, "conv") == 0 && strcmp(env, image) != 0) return &no_image;
    for (const struct refusal *r = refusals; r->reason; r++)
        if (!strcmp(r->algorithm, algorithm) && (!r->policy || !strcmp(r->policy, policy)) && (!r->env || !strcmp(r->env, env))) return r;
    return NULL;
}

static void set(struct config *config, const char *key, const char *value)
{
    struct error err = {0};
    if (config_set(config, key, value, ORIGIN_COMMAND_LINE, "in a test", &err)) fail_msg("%s", err.text);
}

static void configure(struct config *config, const char *algorithm, const char *policy, const char *std, const char *env)
{
    const char *preset = registry_named_preset(algorithm); /* of an algorithm that has one of its own */
    struct error err = {0};
    config_defaults(config);
    if (preset && config_load_text(config, preset, "the algorithm's preset", ORIGIN_ENV_PRESET, &err)) fail_msg("%s", err.text);
    set(config, "algo", algorithm);
    const bool conv = strcmp(policy, "conv") == 0;
    set(config, "policy", conv ? "mlp" : policy);
    if (conv) set(config, "policy.conv", "5,4"), set(config, "policy.feature_norm", "off");
    set(config, "policy.std", std);
    set(config, "env", env);
    set(config, "rollout.envs", "2");
    set(config, "rollout.steps", "4");
    set(config, "policy.hidden", "16");
    set(config, "ppo.epochs", "1");
    set(config, "maddpg.start", "0");
    set(config, "maddpg.batch", "6");
    set(config, "maddpg.buffer", "32");
    set(config, "ppo.chunk", "3");
    set(config, "backend", "cpu");
}

static void update_twice(struct learning *learning, const char *what)
{
    struct algorithm *a = learning->algorithm;
    struct error err = {0};
    uint64_t before = policies_hash(learning->policies);
    int code = a->ops->begin(a, false, &err);
    for (int i = 0; i < 2 && !code; i++) {
        code = a->ops->collect(a, &err);
        if (!code) code = a->ops->finish(a, &err);
        if (!code) vecenv_report_begin(learning->env);
        if (!code) code = a->ops->update(a, &err);
        if (!code) code = a->ops->outcome(a, &err);
        if (!code) vecenv_report_end(learning->env);
        const uint64_t after = policies_hash(learning->policies);
        if (!code && after == before) fail_msg("%s: update %d has changed nothing", what, i + 1);
        before = after;
    }
    if (code) fail_msg("%s: %s", what, err.text);
    struct metric metric[256];
    const int metrics = a->ops->metrics(a, metric, 256);
    for (int i = 0; i < metrics; i++)
        if (!isfinite(metric[i].value) && strcmp(metric[i].name, "explained_variance"))
            fail_msg("%s: %s is %g", what, metric[i].name, metric[i].value);
}

/* Is there an action of real numbers, whose deviation policy.std is? */
static bool train_or_refuse(struct comm *comm, const char *algorithm, const char *policy, const char *std, const char *env)
{
    struct config config;
    struct learning learning = {0};
    struct error err = {0};
    char what[256];
    snprintf(what, sizeof what, "algo=%s policy=%s policy.std=%s env=%s", algorithm, policy, std, env);
    configure(&config, algorithm, policy, std, env);
    const struct refusal *refusal = expected(algorithm, policy, env);
    int code = learning_backend(&learning, &config, comm, 1, -1, &err);
    if (!code) code = learning_open(&learning, &config, comm, &err);
    if (code && !refusal) fail_msg("%s: %s", what, err.text);
    if (refusal && !code) fail_msg("%s trains, and is said to be refused: %s", what, refusal->reason);
    if (refusal && (code != EXIT_USAGE || !strstr(err.text, refusal->reason)))
        fail_msg("%s is refused with \"%s\" (code %d) instead of \"%s\"", what, err.text, code, refusal->reason);
    if (!code) update_twice(&learning, what);
    bool deviates = false;
    for (int g = 0; !code && g < learning.policies->groups; g++)
        deviates |= learning.policies->group[g]->dist.act_reals > 0 && learning.policies->group[g]->dist.real == REAL_GAUSSIAN;
    learning_close(&learning);
    return deviates;
}

static void every_learner_trains_in_every_environment(void **state)
{
    (void)state;
    struct comm *comm;
    struct error err = {0};
    int argc = 0, trained = 0;
    char **argv = NULL;
    assert_int_equal(comm_open(&comm, &argc, &argv, &err), 0);
    for (int a = 0; algorithms[a].name; a++)
        for (size_t p = 0; p < sizeof policies / sizeof *policies; p++)
            for (int e = 0; e < registry_count(); e++, trained++)
                if (train_or_refuse(comm, algorithms[a].name, policies[p], "shared", registry_at(e)->id))
                    train_or_refuse(comm, algorithms[a].name, policies[p], "state", registry_at(e)->id);
    print_message("%d pairs\n", trained);
    comm_close(comm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_learner_trains_in_every_environment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
