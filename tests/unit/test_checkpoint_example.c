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
#include "run/trainer_work.h"

static char folder[256];
static struct comm *comm;

enum { ENVS = 2, NUMBERS = 64 };

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

#define LEARNS_ACTIONS "policy.feature_norm", "off", "norm.value", "none", "norm.obs", "none"

struct example {
    struct config *config;
    struct backend *backend;
    struct vecenv *env;
    struct policies *policies;
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
    struct env_option option[CONFIG_ENV_OPTIONS];
    for (int i = 0; i < l->config->env_options; i++)
        option[i] = (struct env_option){l->config->env_option[i].name, l->config->env_option[i].value};
    const struct vecenv_config env = {.name = l->config->env_name,
                                      .option = option,
                                      .options = l->config->env_options,
                                      .rescale_action = l->config->wrap_rescale_action,
                                      .envs = ENVS,
                                      .seed = 1,
                                      .stream = PHILOX_ENVIRONMENT,
                                      .threads = 1,
                                      .horizon = (int32_t)l->config->rollout_steps};
    assert_int_equal(vecenv_open(&l->env, &env, &err), EXIT_DONE);
    assert_int_equal(algorithm_policies(&l->policies, l->config, vecenv_spec(l->env), l->backend, &err), EXIT_DONE);
    /* A new policy is nearly uniform, and its norms do nothing: then any reading would do. */
    for (int g = 0; g < l->policies->groups; g++) {
        struct policy *policy = l->policies->group[g];
        for (size_t i = 0; i < policy->size; i++) policy->parameters[i] += (real)(0.4 * sin(1.7 * (double)i + g));
    }
}

static void learner_close(struct example *l)
{
    policies_destroy(l->policies);
    vecenv_close(l->env);
    l->backend->close(l->backend);
    free(l->config);
}

/* As run/trainer_checkpoint.c saves it; an older one said nothing of the heads. */
static void learner_save(const struct example *l, const char *path, bool older)
{
    enum { KEYS = 4 };
    struct error err = {0};
    static char value[KEYS][CONFIG_TEXT], heads[1024];
    static const char *const key[KEYS] = {"policy.activation", "policy.layers", "policy.feature_norm", "policy.fixed_std"};
    struct checkpoint_attribute attribute[KEYS + 1];
    char name[KEYS][64];
    for (int i = 0; i < KEYS; i++) {
        config_value(l->config, config_find(key[i]), value[i], sizeof value[i]);
        text_format(name[i], sizeof name[i], "config/%s", key[i]);
        attribute[i] = (struct checkpoint_attribute){name[i], value[i]};
    }
    trainer_action_heads(l->policies, vecenv_spec(l->env), heads, sizeof heads);
    attribute[KEYS] = (struct checkpoint_attribute){"action_heads", heads};
    struct checkpoint_content content = {.attribute = attribute, .attributes = older ? KEYS : KEYS + 1};
    policies_fields(l->policies, &content.fields);
    assert_int_equal(checkpoint_write(path, &content, &err), EXIT_DONE);
    free(content.fields.field);
}

/* The numbers that the example must print of an observation; returns how many. state: what a recurrent actor remembers. */
static int program_numbers(const struct example *l, int group, int set, const float *obs, real *state, double *number)
{
    const struct policy *policy = l->policies->group[group];
    struct backend *backend = l->backend;
    struct packed_rows *packed = backend->packed_rows_create(backend, &policy->net[ROLE_ACTOR], 1);
    const struct batch batch = {NULL, 1, 1, NULL};
    const struct recurrent time = {.batch = batch, .steps = 1, .hidden = state, .hidden_out = state};
    real out[NUMBERS];
    int count = 0, gaussian = 0;
    assert_true(policy->net[ROLE_ACTOR].outputs <= NUMBERS);
    backend->pack(backend, &policy->net[ROLE_ACTOR], policy_inputs(policy, ROLE_ACTOR), &packed, obs, &batch, 1);
    const struct forward_pass pass = {.net = &policy->net[ROLE_ACTOR],
                                      .parameters = policy_actor(policy, policy->parameters, set),
                                      .packed = packed,
                                      .recurrent = policy->net[ROLE_ACTOR].gru ? &time : NULL,
                                      .out = out};
    backend->forward(backend, &pass, 1);
    backend->packed_rows_destroy(backend, packed);
    for (int h = 0; h < policy->dist.heads; h++) {
        const struct head *head = &policy->dist.head[h];
        const real *x = out + head->output;
        double sum = 0;
        for (int i = 0; i < head->size; i++) sum += exp((double)x[i]);
        for (int i = 0; i < head->size; i++)
            number[count++] = head->kind == HEAD_CATEGORICAL       ? exp((double)x[i]) / sum
                              : head->kind == HEAD_BERNOULLI       ? 1 / (1 + exp(-(double)x[i]))
                              : policy->dist.real == REAL_SOFTMAX  ? exp((double)x[i]) / sum
                              : policy->dist.real != REAL_GAUSSIAN ? tanh((double)x[i])
                                                                   : (double)x[i];
        for (int i = 0; head->kind == HEAD_GAUSSIAN && policy->dist.real == REAL_GAUSSIAN && i < head->size; i++, gaussian++)
            number[count++] = policy->dist.fixed_std > 0    ? (double)policy->dist.fixed_std
                              : policy->dist.log_std_output ? exp(fmin((double)out[policy->dist.log_std_output + gaussian], 2))
                                                            : exp((double)policy_log_std(policy, set)[gaussian]);
    }
    return count;
}

/* Statistics of observations as after training; one is so far off that it is cut. */
static void spread_statistics(const struct example *l)
{
    for (int g = 0; g < l->policies->groups; g++) {
        const struct running *running = &l->policies->group[g]->host.running[RUNNING_OBS];
        for (int j = 0; j < running->width; j++) {
            running->moments[0] = 1000;
            running->moments[1 + j] = 0.3 * cos(j);
            running->moments[1 + running->width + j] = j == 2 ? 1e-6 : 0.5 + 0.1 * j;
        }
    }
    policies_push(l->policies);
}

/* `group` and `agent` as they follow on the command line; NULL = not given. */
static void compare(const char *const *setting, int number, const char *group, const char *agent, bool older)
{
    char checkpoint[300], script[300], command[4000], seen[2000] = "";
    real state[NUMBERS] = {0};
    struct example l;
    text_format(checkpoint, sizeof checkpoint, "%s/step-000000000000.h5", folder);
    text_format(script, sizeof script, "%s/read_policy.py", folder);
    extract_example(script);
    learner_open(&l, setting);
    spread_statistics(&l);
    learner_save(&l, checkpoint, older);
    const int inputs = l.policies->group[number]->net[ROLE_ACTOR].inputs, set = agent ? atoi(agent) : 0;
    for (int k = 0; k < 2; k++) {
        float obs[NUMBERS];
        double want[NUMBERS], got[NUMBERS] = {0}, largest = 0, more;
        assert_true(inputs <= NUMBERS);
        for (int i = 0; i < inputs; i++) {
            obs[i] = (float)sin(0.9 * i + 2.3 * k);
            text_format(seen + strlen(seen), sizeof seen - strlen(seen), "%s%.9g", i > 0 ? "," : k > 0 ? "/" : "", (double)obs[i]);
        }
        text_format(command, sizeof command, "%s %s %s %s %s %s", python(), script, checkpoint, seen, group ? group : "",
                    agent ? agent : "");
        const int count = program_numbers(&l, number, set, obs, state, want);
        FILE *pipe = popen(command, "r");
        assert_non_null(pipe);
        for (int a = 0; a < count; a++)
            if (fscanf(pipe, "%lf", &got[a]) != 1) fail_msg("the example prints %d numbers, expected %d", a, count);
        assert_int_equal(fscanf(pipe, "%lf", &more), EOF);
        assert_int_equal(pclose(pipe), 0);
        for (int a = 0; a < count; a++) {
            if (fabs(want[a]) > largest) largest = fabs(want[a]);
            if (fabs(want[a] - got[a]) > 2e-6 * fmax(1, fabs(want[a])))
                fail_msg("observation %d, number %d: the example says %.9g, the program %.9g", k, a, got[a], want[a]);
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
    compare((const char *const[]){"policy.activation", "tanh", NULL}, 0, NULL, NULL, false);
    compare((const char *const[]){"policy.activation", "tanh", NULL}, 0, NULL, NULL, true);
    compare((const char *const[]){"norm.obs", "running", NULL}, 0, NULL, NULL, false);
}

static void the_example_gives_the_programs_probabilities_with_relu_and_three_layers_without_norms(void **state)
{
    (void)state;
    need_h5py();
    compare((const char *const[]){"policy.activation", "relu", "policy.layers", "3", "policy.hidden", "32", "policy.feature_norm", "0",
                                  "policy.layer_norm", "0", NULL},
            0, "agent", NULL, false);
}

static void the_example_remembers_as_the_program_does(void **state)
{
    (void)state;
    need_h5py();
    compare((const char *const[]){"policy", "gru", NULL}, 0, NULL, NULL, false);
    compare((const char *const[]){"policy", "gru", "policy.share", "0", "policy.layers", "1", "norm.obs", "running", NULL}, 0, "agent", "1",
            false);
}

static void the_example_reads_groups_by_name_and_every_kind_of_head(void **state)
{
    (void)state;
    need_h5py();
    const char *const sink[] = {"env", "test/kitchen_sink", NULL};
    compare(sink, 0, NULL, NULL, false); /* runner: Discrete, MultiDiscrete, MultiBinary and Box */
    compare(sink, 0, "runner", NULL, false);
    compare(sink, 1, "watcher", NULL, false); /* Box */
    compare((const char *const[]){"env", "test/kitchen_sink", "norm.obs", "running", NULL}, 1, "watcher", NULL, false);
    compare((const char *const[]){"env", "test/kitchen_sink", "policy.fixed_std", "0.4", NULL}, 1, "watcher", NULL, false);
    compare((const char *const[]){"env", "test/kitchen_sink", "policy.std", "state", NULL}, 0, "runner", NULL, false);
    compare((const char *const[]){"env", "test/kitchen_sink", "policy.std", "state", "policy.log_std", "1.5", NULL}, 1, "watcher", NULL,
            false);
    compare((const char *const[]){"env", "test/kitchen_sink", "policy.hidden", "2", "policy.fixed_std", "0.4", NULL}, 1, "watcher", NULL,
            false);
}

static void the_example_reads_actors_that_give_the_action_itself(void **state)
{
    (void)state;
    need_h5py();
    compare((const char *const[]){"algo", "ddpg", "env", "classic/Pendulum-v1", "wrap.rescale_action", "1", LEARNS_ACTIONS, NULL}, 0, NULL,
            NULL, false);
    compare((const char *const[]){"algo", "ddpg", "env", "classic/Pendulum-v1", "wrap.rescale_action", "1", "maddpg.actor", "gaussian",
                                  LEARNS_ACTIONS, NULL},
            0, NULL, NULL, false);
    compare((const char *const[]){"algo", "maddpg", "env", "mpe/simple_spread", "env.soft_actions", "1", "maddpg.actor", "softmax",
                                  LEARNS_ACTIONS, NULL},
            0, "agent", "1", false);
}

static void the_example_reads_the_networks_of_one_agent(void **state)
{
    (void)state;
    need_h5py();
    const char *const apart[] = {"policy.share", "0", "policy.layers", "1", NULL};
    compare(apart, 0, NULL, NULL, false);
    compare(apart, 0, "agent", "2", false);
    compare((const char *const[]){"policy.share", "0", "critic.share", "true", NULL}, 0, "agent", "2", false);
    compare((const char *const[]){"critic.share", "false", NULL}, 0, "agent", NULL, false);
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
        cmocka_unit_test(the_example_remembers_as_the_program_does),
        cmocka_unit_test(the_example_reads_groups_by_name_and_every_kind_of_head),
        cmocka_unit_test(the_example_reads_actors_that_give_the_action_itself),
        cmocka_unit_test(the_example_reads_the_networks_of_one_agent),
    };
    const int failed = cmocka_run_group_tests_name("checkpoint_example", tests, set_up, tear_down);
    comm_close(comm);
    return failed;
}
