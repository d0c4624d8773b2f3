#include "run/open_env.h"

#include "base/philox.h"

int open_env(struct vecenv **env, const struct config *config, const struct env_batch *batch, struct error *err)
{
    struct env_option option[CONFIG_ENV_OPTIONS];
    for (int i = 0; i < config->env_options; i++) option[i] = (struct env_option){config->env_option[i].name, config->env_option[i].value};
    const struct vecenv_config wanted = {.name = config->env_name,
                                         .option = option,
                                         .options = config->env_options,
                                         .envs = batch->envs.count,
                                         .first_env = (uint32_t)batch->envs.first,
                                         .seed = batch->seed,
                                         .stream = batch->stream,
                                         .threads = batch->threads,
                                         .horizon = (int32_t)batch->horizon,
                                         .report = batch->report,
                                         .time_limit = (int32_t)config->wrap_time_limit,
                                         .rescale_action = config->wrap_rescale_action,
                                         .clip_action = config->wrap_clip_action};
    return vecenv_open(env, &wanted, err);
}

int open_env_alone(struct vecenv **env, const struct config *config, struct error *err)
{
    const struct env_batch one = {.envs = {0, 1}, .seed = 1, .stream = PHILOX_EVALUATION, .threads = 1, .horizon = 1};
    return open_env(env, config, &one, err);
}
