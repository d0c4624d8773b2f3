#include "algo/algorithm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
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

/* Groups that play themselves: of an algorithm that can tell whose steps are whose. */
static int check_self_play(const struct config *config, const struct mappo_env_spec *spec, struct error *err)
{
    char can[128] = "";
    for (int i = 0; algorithms[i].name; i++)
        if (algorithms[i].functions->self_play)
            text_format(can + strlen(can), sizeof can - strlen(can), "%s%s", *can ? ", " : "", algorithms[i].name);
    for (int g = 0; g < spec->groups && !chosen(config)->self_play; g++)
        if (player_named(config_group(config, spec->group[g].name, GROUP_play)) == PLAY_SELF)
            return error_set(
                err, EXIT_USAGE,
                "group.%s.play=self: algo=%s doesn't tell a group's steps from those of its past selves, which it must not learn "
                "from%s%s",
                spec->group[g].name, algorithms[config->algo_name].name, *can ? "; these do: " : "", can);
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
    if (!code) code = check_self_play(config, spec, err);
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
                                    .backend = context->backend,
                                    .comm = context->comm,
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

/* ---- as the loop calls it ------------------------------------------------------------------------------------------------------------ */

int algorithm_finish(struct algorithm *algorithm, struct error *err)
{
    const double start = clock_seconds();
    backend_range(algorithm->backend, "infer");
    const int code = algorithm->ops->finish(algorithm, err);
    backend_range(algorithm->backend, NULL);
    algorithm->seconds_infer += clock_seconds() - start;
    return code;
}

int algorithm_update(struct algorithm *algorithm, struct error *err)
{
    const double start = clock_seconds(), communication = algorithm->comm->seconds;
    backend_range(algorithm->backend, "update");
    const int code = algorithm->ops->update(algorithm, err);
    backend_range(algorithm->backend, NULL);
    algorithm->seconds_update += clock_seconds() - start - (algorithm->comm->seconds - communication);
    return code;
}

int algorithm_outcome(struct algorithm *algorithm, struct error *err)
{
    const double start = clock_seconds();
    const int code = algorithm->ops->outcome(algorithm, err);
    algorithm->seconds_update += clock_seconds() - start;
    return code;
}

/* ---- metrics ------------------------------------------------------------------------------------------------------------------------- */

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
