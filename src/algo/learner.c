#include "algo/learner.h"

#include <stdio.h>

int64_t learner_horizon(const struct config *config)
{
    return config->rollout_steps;
}

struct transitions_config learner_transitions(const struct algorithm_context *context, int steps)
{
    return (struct transitions_config){.steps = steps,
                                       .envs = context->envs,
                                       .first_env = context->first_env,
                                       .shards = context->local_shards,
                                       .first_shard = comm_first_shard(context->comm)};
}

struct collect_config learner_collecting(const struct algorithm_context *context)
{
    return (struct collect_config){.where = context->where,
                                   .steps = (int)learner_horizon(context->config),
                                   .seed = (uint64_t)context->config->train_seed,
                                   .crew = context->attended ? context->backend->threads : 1,
                                   .env = context->env};
}

int learner_collect(struct algorithm *algorithm, struct collector *collector, struct error *err)
{
    collector->seconds_step = collector->seconds_infer = 0;
    collector->seconds_device = collector->seconds_wait = 0;
    backend_range(algorithm->backend, "step, infer");
    const int code = collect_steps(collector, collector->config.env, err);
    backend_range(algorithm->backend, NULL);
    algorithm->seconds_step += collector->seconds_step;
    algorithm->seconds_infer += collector->seconds_infer;
    algorithm->seconds_device += collector->seconds_device;
    algorithm->seconds_wait += collector->seconds_wait;
    return code;
}

struct adam learner_adam(const struct config *config)
{
    return (struct adam){
        .beta1 = config->adam_beta1, .beta2 = config->adam_beta2, .eps = config->adam_eps, .weight_decay = config->adam_weight_decay};
}

void learner_name_metrics(char **names[], const struct metric *described, int count, const struct policies *policies, struct arena *arena)
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

int learner_metrics(struct metric *out, int max, const struct metric *described, const size_t *place, int count, const void *values,
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
