/* The example of docs/checkpoint-format.md, as the page prints it, reads a policy as the program does. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/philox.h"
#include "base/text.h"
#include "checkpoint_sample.h"

static char folder[256];
static struct comm *comm;

enum { ENVS = 2, ACTIONS = 5, OBS = 18 };

/* The page's block of Python, into a file. */
static void extract_example(const char *path)
{
    char *page = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&page, &size);
    assert_int_equal(checkpoint_markdown(memory, comm), EXIT_DONE);
    fclose(memory);
    char *start = strstr(page, "```python\n");
    assert_non_null(start);
    start += strlen("```python\n");
    char *end = strstr(start, "```");
    assert_non_null(end);
    FILE *script = fopen(path, "w");
    assert_int_equal(fwrite(start, 1, (size_t)(end - start), script), end - start);
    fclose(script);
    free(page);
}

static const char *python(void)
{
    const char *name = getenv("PYTHON");
    return name != NULL && name[0] != '\0' ? name : "python3";
}

struct example {
    struct config *config;
    struct backend *backend;
    struct vecenv *env;
    struct algorithm *algorithm;
};

static void learner_open(struct example *l, const char *const *setting)
{
    struct error err = {0};
    l->config = calloc(1, sizeof *l->config);
    config_defaults(l->config);
    for (; *setting != NULL; setting += 2)
        assert_int_equal(config_set(l->config, setting[0], setting[1], ORIGIN_COMMAND_LINE, "in the test", &err), EXIT_DONE);
    l->config->rollout_envs = ENVS;
    const struct backend_config backend = {.name = "cpu", .threads = 1, .level = -1};
    assert_int_equal(backend_open(&l->backend, &backend, &err), EXIT_DONE);
    const struct vecenv_config env = {.name = l->config->env_name,
                                      .envs = ENVS,
                                      .seed = 1,
                                      .stream = PHILOX_ENVIRONMENT,
                                      .threads = 1,
                                      .horizon = (int32_t)l->config->rollout_steps};
    assert_int_equal(vecenv_open(&l->env, &env, &err), EXIT_DONE);
    const struct algorithm_context context = {
        .config = l->config, .env = l->env, .backend = l->backend, .comm = comm, .envs = ENVS, .local_shards = 1};
    assert_int_equal(algorithm_create(&l->algorithm, &context, &err), EXIT_DONE);
    /* A new policy is nearly uniform, and its norms do nothing: then any reading would do. */
    struct policy *policy = l->algorithm->policy[0];
    for (size_t i = 0; i < policy->set_size; i++) policy->parameters[i] += (real)(0.4 * sin(1.7 * (double)i));
}

static void learner_close(struct example *l)
{
    l->algorithm->ops->destroy(l->algorithm);
    vecenv_close(l->env);
    l->backend->close(l->backend);
    free(l->config);
}

static void learner_save(const struct example *l, const char *path)
{
    struct error err = {0};
    static char value[3][CONFIG_TEXT];
    static const char *const key[] = {"policy.activation", "policy.layers", "policy.feature_norm"};
    struct checkpoint_attribute attribute[3];
    char name[3][64];
    for (int i = 0; i < 3; i++) {
        config_value(l->config, config_find(key[i]), value[i], sizeof value[i]);
        text_format(name[i], sizeof name[i], "config/%s", key[i]);
        attribute[i] = (struct checkpoint_attribute){name[i], value[i]};
    }
    struct checkpoint_content content = {.attribute = attribute, .attributes = 3};
    l->algorithm->ops->fields(l->algorithm, &content.fields);
    assert_int_equal(checkpoint_write(path, &content, &err), EXIT_DONE);
    free(content.fields.field);
}

static void program_probabilities(const struct example *l, const float *obs, double *probability)
{
    const struct policy *policy = l->algorithm->policy[0];
    struct backend *backend = l->backend;
    struct tiles *tiles = backend->tiles_create(backend, &policy->actor, 1);
    const struct batch batch = {NULL, 1, 1, NULL};
    real out[ACTIONS];
    assert_int_equal(policy->actor.outputs, ACTIONS);
    assert_int_equal(policy->actor.inputs, OBS);
    backend->pack(backend, &policy->actor, &tiles, obs, &batch, 1);
    const struct forward_pass pass = {
        .net = &policy->actor, .parameters = policy_actor(policy, policy->parameters, 0), .tiles = tiles, .out = out};
    backend->forward(backend, &pass, 1);
    backend->tiles_destroy(backend, tiles);
    double sum = 0;
    for (int a = 0; a < ACTIONS; a++) sum += probability[a] = exp((double)out[a]);
    for (int a = 0; a < ACTIONS; a++) probability[a] /= sum;
}

static void compare(const char *const *setting)
{
    char checkpoint[300], script[300], command[2000];
    struct example l;
    text_format(checkpoint, sizeof checkpoint, "%s/step-000000000000.h5", folder);
    text_format(script, sizeof script, "%s/read_policy.py", folder);
    extract_example(script);
    learner_open(&l, setting);
    learner_save(&l, checkpoint);
    for (int k = 0; k < 3; k++) {
        float obs[OBS];
        double want[ACTIONS], got[ACTIONS] = {0}, largest = 0;
        text_format(command, sizeof command, "%s %s %s ", python(), script, checkpoint);
        for (int i = 0; i < OBS; i++) {
            obs[i] = (float)sin(0.9 * i + 2.3 * k);
            text_format(command + strlen(command), sizeof command - strlen(command), "%s%.9g", i > 0 ? "," : "", (double)obs[i]);
        }
        program_probabilities(&l, obs, want);
        FILE *pipe = popen(command, "r");
        assert_non_null(pipe);
        for (int a = 0; a < ACTIONS; a++) assert_int_equal(fscanf(pipe, "%lf", &got[a]), 1);
        assert_int_equal(pclose(pipe), 0);
        for (int a = 0; a < ACTIONS; a++) {
            if (want[a] > largest) largest = want[a];
            if (fabs(want[a] - got[a]) > 1e-6)
                fail_msg("observation %d, action %d: the example says %.9g, the program %.9g", k, a, got[a], want[a]);
        }
        assert_true(largest > 0.3); /* of five actions: a policy that prefers something */
    }
    learner_close(&l);
}

static void need_h5py(void)
{
    char command[300];
    text_format(command, sizeof command, "%s -c 'import h5py, numpy' 2>/dev/null", python());
    if (system(command) != 0) skip();
}

static void the_example_gives_the_programs_probabilities_with_tanh(void **state)
{
    (void)state;
    need_h5py();
    compare((const char *const[]){"policy.activation", "tanh", NULL});
}

static void the_example_gives_the_programs_probabilities_with_relu_and_three_layers_without_norms(void **state)
{
    (void)state;
    need_h5py();
    compare((const char *const[]){"policy.activation", "relu", "policy.layers", "3", "policy.hidden", "32", "policy.feature_norm", "0",
                                  "policy.layer_norm", "0", NULL});
}

static int set_up(void **state)
{
    (void)state;
    sample_folder(folder, sizeof folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sample_folder_remove(folder);
    return 0;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    if (comm_open(&comm, &argc, &argv, &err)) return error_report(&err);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_gives_the_programs_probabilities_with_tanh),
        cmocka_unit_test(the_example_gives_the_programs_probabilities_with_relu_and_three_layers_without_norms),
    };
    const int failed = cmocka_run_group_tests_name("checkpoint_example", tests, set_up, tear_down);
    comm_close(comm);
    return failed;
}
