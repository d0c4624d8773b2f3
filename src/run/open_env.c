#include "run/open_env.h"

#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "base/text.h"
#include "config/choices.h"
#include "env/options.h"

static void options_of(const struct config *config, struct env_option option[CONFIG_ENV_OPTIONS])
{
    for (int i = 0; i < config->env_options; i++) option[i] = (struct env_option){config->env_option[i].name, config->env_option[i].value};
}

const struct env_variant *open_env_variant(const struct config *config)
{
    struct env_option option[CONFIG_ENV_OPTIONS];
    const struct mappo_env *env;
    options_of(config, option);
    return registry_find(config->env_name, &env, NULL) ? NULL : registry_variant_of(env, option, config->env_options);
}

/* ---- the name that people know ------------------------------------------------------------------------------------------------------ */

struct usual { /* options of a variant, a later one replaces an earlier */
    struct env_option option[CONFIG_ENV_OPTIONS];
    char name[CONFIG_ENV_OPTIONS][CONFIG_TEXT], value[CONFIG_ENV_OPTIONS][CONFIG_TEXT];
    int options;
};

static void add_usual(struct usual *usual, const char *name, const char *value)
{
    if (usual->options == CONFIG_ENV_OPTIONS) return;
    const int i = usual->options++;
    text_format(usual->name[i], sizeof usual->name[i], "%s", name);
    text_format(usual->value[i], sizeof usual->value[i], "%s", value);
    usual->option[i] = (struct env_option){usual->name[i], usual->value[i]};
}

static void take_preset(void *user, const char *key, const char *value)
{
    if (strncmp(key, "env.", strlen("env.")) == 0) add_usual(user, key + strlen("env."), value);
}

static void add_preset(struct usual *usual, const char *id)
{
    const char *text = registry_preset(id);
    if (text) config_entries(text, id, take_preset, usual, NULL);
}

static void find_usual(struct usual *usual, const struct env_variant *variant)
{
    usual->options = 0;
    add_preset(usual, variant->base);
    for (int i = 0; i < variant->options; i++) add_usual(usual, variant->option[i].name, variant->option[i].value);
    add_preset(usual, variant->name);
}

const char *open_env_called(const char *env_name, const struct env_option *option, int count)
{
    struct usual *usual = NULL;
    const struct mappo_env *env = NULL;
    const struct env_variant *variant, *found = NULL;
    struct mappo_value value[OPTIONS_MAX];
    char wanted[OPTIONS_TEXT], all[OPTIONS_TEXT];
    for (int i = 0; (variant = registry_variant_at(i)) && !found; i++) {
        if (strcmp(variant->base, env_name) != 0) continue;
        if (!env && (registry_find(env_name, &env, NULL) || options_read(env, option, count, value, wanted, sizeof wanted, NULL))) break;
        if (!usual) usual = malloc(sizeof *usual);
        CHECK(usual, "out of memory naming an environment");
        find_usual(usual, variant);
        if (!options_read(env, usual->option, usual->options, value, all, sizeof all, NULL) && strcmp(all, wanted) == 0) found = variant;
    }
    if (env && !found) found = registry_variant_of(env, option, count);
    free(usual);
    return found ? found->name : "";
}

const char *open_env_called_of(const struct config *config)
{
    struct env_option option[CONFIG_ENV_OPTIONS];
    options_of(config, option);
    return open_env_called(config->env_name, option, config->env_options);
}

bool open_env_still(const struct config *config, const struct mappo_env *env, const char *text)
{
    struct env_option option[CONFIG_ENV_OPTIONS];
    options_of(config, option);
    return options_still(env, option, config->env_options, text);
}

/* ": lbf/8x8-2p-3f with env.players=3 instead of 2" */
static void list_replaced(const struct config *config, const struct mappo_env *env, char *text, size_t size)
{
    const struct env_variant *asked = registry_variant(config->env_asked);
    int count = 0;
    for (int i = 0; asked && i < asked->options; i++) {
        char usual[CONFIG_TEXT];
        const char *name = asked->option[i].name, *now = config_env_option(config, name);
        text_format(usual, sizeof usual, "%s", asked->option[i].value);
        options_plain(env, name, usual, sizeof usual);
        if (!now || strcmp(now, usual) == 0) continue;
        const size_t used = strlen(text);
        if (count++)
            text_format(text + used, size - used, ", env.%s=%s instead of %s", name, now, usual);
        else
            text_format(text + used, size - used, ": %s with env.%s=%s instead of %s", asked->name, name, now, usual);
    }
}

void open_env_title(const struct config *config, const struct vecenv *env, char *text, size_t size)
{
    const char *id = vecenv_descriptor(env)->id, *changed = vecenv_options_changed(env), *between = *changed ? ", " : "";
    if (config->env_variant[0]) {
        text_format(text, size, "%s (%s%s%s)", config->env_variant, id, between, changed);
        return;
    }
    text_format(text, size, "%s%s%s", id, between, changed);
    list_replaced(config, vecenv_descriptor(env), text, size);
}

int open_env(struct vecenv **env, const struct config *config, const struct open_env_config *batch, struct error *err)
{
    struct env_option option[CONFIG_ENV_OPTIONS];
    options_of(config, option);
    const bool changed = !batch->plain;
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
                                         .squash_action = config->policy_squash == SQUASH_TANH && config->wrap_discretise_action == 0,
                                         .clip_action = config->wrap_clip_action,
                                         .action_repeat = (int32_t)config->wrap_action_repeat,
                                         .clip_reward = changed ? (float)config->wrap_clip_reward : 0,
                                         .scale_reward = changed ? (float)config->wrap_scale_reward : 1,
                                         .team_reward = changed ? config->wrap_team_reward : TEAM_NONE,
                                         .hide_obs = config->wrap_hide_obs,
                                         .clip_obs = (float)config->wrap_clip_obs,
                                         .stack_obs = (int32_t)config->wrap_stack_obs,
                                         .last_action = config->wrap_last_action,
                                         .agent_id = config->wrap_agent_id,
                                         .time_left = config->wrap_time_left,
                                         .discretise_action = (int32_t)config->wrap_discretise_action,
                                         .sticky_action = (float)config->wrap_sticky_action,
                                         .noise_action = (float)config->wrap_noise_action,
                                         .noise_hold = (int32_t)config->wrap_noise_hold};
    return vecenv_open(env, &wanted, err);
}

int open_env_alone(struct vecenv **env, const struct config *config, struct error *err)
{
    const struct open_env_config one = {.envs = {0, 1}, .seed = 1, .stream = PHILOX_EVALUATION, .threads = 1, .horizon = 1};
    return open_env(env, config, &one, err);
}
