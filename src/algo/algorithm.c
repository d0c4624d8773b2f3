#include "algo/algorithm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/collect.h"
#include "base/text.h"

static const struct algorithm_functions *chosen(const struct config *config)
{
    return algorithms[config->algo_name].functions;
}

int64_t algorithm_horizon(const struct config *config)
{
    return chosen(config)->horizon(config);
}

bool algorithm_of_group(const struct config *config, const struct mappo_group *group, const char *name)
{
    return strcmp(algorithms[config_group_algo(config, group->name)].name, name) == 0;
}

/* Groups' own algorithms: of groups that there are, and such that learn beside the run's. */
static int check_groups(const struct config *config, const struct mappo_env_spec *spec, struct error *err)
{
    const struct algorithm_type *type = &algorithms[config->algo_name];
    const char *name[MAPPO_MAX_GROUPS], *beside = type->functions->beside;
    for (int g = 0; g < spec->groups; g++) name[g] = spec->group[g].name;
    if (config_check_groups(config, name, spec->groups, err)) return EXIT_USAGE;
    for (int g = 0; g < spec->groups; g++) {
        const char *other = config_group(config, name[g], GROUP_algo);
        if (config_group_algo(config, name[g]) == config->algo_name || (beside && text_lists(beside, other))) continue;
        return error_set(err, EXIT_USAGE, "group.%s.algo=%s can't learn beside algo=%s: %s%s", name[g], other, type->name,
                         beside ? "what can is " : "nothing can", beside ? beside : "");
    }
    return 0;
}

/* A preset by name is one program's learner, and says what other learners don't read. */
static int check_preset(const struct config *config, struct error *err)
{
    const struct algorithm_type *type = &algorithms[config->algo_name];
    const bool replays = type->functions->ops->replay != NULL;
    bool of_replays = false, of_rollouts = false;
    for (int k = 0; k < config_key_count; k++) {
        if (config->origin[k] != ORIGIN_PRESET) continue;
        of_replays = of_replays || strcmp(config_keys[k].section, "maddpg") == 0;
        of_rollouts = of_rollouts || strcmp(config_keys[k].section, "ppo") == 0;
    }
    if (of_replays == replays || !(of_replays || of_rollouts)) return 0;
    return error_set(err, EXIT_USAGE, "preset=%s is of algorithms that learn from %s, and algo=%s learns from %s: leave one of them out",
                     config->preset_name, of_replays ? "a replay" : "rollouts", type->name, replays ? "a replay" : "rollouts");
}

int algorithm_policies(struct policies **policies, const struct config *config, const struct mappo_env_spec *spec, struct backend *backend,
                       struct error *err)
{
    int code = check_preset(config, err);
    if (!code) code = check_groups(config, spec, err);
    return code ? code : chosen(config)->policies(policies, config, spec, backend, err);
}

int algorithm_check_groups(const struct policies *policies, struct error *err)
{
    if (policy_first_learning(policies->group, policies->groups) >= 0) return 0;
    return error_set(err, EXIT_USAGE, "no group learns: group.NAME.play has to be trained for one of them at least");
}

int algorithm_create(struct algorithm **out, const struct algorithm_context *context, struct error *err)
{
    const struct algorithm_functions *functions = chosen(context->config);
    if (algorithm_check_groups(context->policies, err)) return EXIT_USAGE;
    struct algorithm *algorithm = calloc(1, sizeof *algorithm);
    void *self = calloc(1, functions->size);
    CHECK(algorithm && self, "out of memory for an algorithm");
    *algorithm = (struct algorithm){.ops = functions->ops,
                                    .name = algorithms[context->config->algo_name].name,
                                    .horizon = algorithm_horizon(context->config),
                                    .taken = algorithm_horizon(context->config) * context->config->rollout_envs,
                                    .self = self};
    const int code = functions->create(algorithm, context, err);
    if (code)
        algorithm_destroy(algorithm);
    else
        *out = algorithm;
    return code;
}

void algorithm_destroy(struct algorithm *algorithm)
{
    if (!algorithm) return;
    algorithm->ops->destroy(algorithm);
    free(algorithm->self);
    free(algorithm);
}

int algorithm_collect(struct algorithm *algorithm, struct collector *collector, struct vecenv *env, struct backend *backend,
                      struct error *err)
{
    collector->seconds_step = collector->seconds_infer = 0;
    collector->seconds_device = collector->seconds_wait = 0;
    backend_range(backend, "step, infer");
    const int code = collect_steps(collector, env, err);
    backend_range(backend, NULL);
    algorithm->seconds_step += collector->seconds_step;
    algorithm->seconds_infer += collector->seconds_infer;
    algorithm->seconds_device += collector->seconds_device;
    algorithm->seconds_wait += collector->seconds_wait;
    return code;
}

struct adam algorithm_adam(const struct config *config)
{
    return (struct adam){
        .beta1 = config->adam_beta1, .beta2 = config->adam_beta2, .eps = config->adam_eps, .weight_decay = config->adam_weight_decay};
}

void algorithm_name_metrics(char **names[], const struct metric *described, int count, const struct policies *policies, struct arena *arena)
{
    const int first = policy_first_learning(policies->group, policies->groups);
    for (int g = 0; g < policies->groups; g++) {
        if (!policy_learns(policies->group[g])) continue;
        names[g] = ARENA_NEW(arena, char *, count);
        for (int i = 0; i < count; i++) {
            char name[128];
            snprintf(name, sizeof name, g == first ? "%s" : "%s/%s", described[i].name, policies->group[g]->name);
            names[g][i] = arena_text(arena, name);
        }
    }
}

int algorithm_metrics(struct metric *out, int max, const struct metric *described, const size_t *place, int count, const void *values,
                      size_t size, char **const names[], int groups)
{
    int n = 0;
    for (int g = 0; g < groups; g++)
        for (int i = 0; i < count && names[g] && n < max; i++, n++) {
            const double *value = (const double *)(const void *)((const char *)values + (size_t)g * size + place[i]);
            out[n] = (struct metric){names[g][i], described[i].unit, described[i].help, *value};
        }
    return n;
}

static bool is_listed(const struct metric *list, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0) return true;
    return false;
}

int algorithm_describe_metrics(struct metric *out, int max)
{
    int count = 0;
    for (const struct algorithm_type *type = algorithms; type->name; type++)
        for (const struct metric *metric = type->functions->metrics; metric->name && count < max; metric++)
            if (!is_listed(out, count, metric->name)) out[count++] = *metric;
    return count;
}
