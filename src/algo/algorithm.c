#include "algo/algorithm.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const struct algorithm_functions *chosen(const struct config *config)
{
    return algorithms[config->algo_name].functions;
}

int64_t algorithm_horizon(const struct config *config)
{
    return chosen(config)->horizon(config);
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

int algorithm_policies(struct policies **policies, const struct config *config, const struct mappo_env_spec *spec, struct backend *backend,
                       struct error *err)
{
    const int code = check_groups(config, spec, err);
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
