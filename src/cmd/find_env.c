/* What the configuration must know of an environment, from the registry: config/ itself knows no environments. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "env/options.h"
#include "env/registry.h"
#include "run/open_env.h"

/* A run may be continued or evaluated from another folder. */
static const char *absolute(const char *path)
{
    static char found[PATH_MAX];
    return realpath(path, found) && strlen(found) < CONFIG_TEXT ? found : path;
}

static void plain(const char *env, const char *option, char *value, size_t size)
{
    const struct mappo_env *found;
    if (!registry_find(env, &found, NULL)) options_plain(found, option, value, size);
}

static const char *variant_of(const struct config *config)
{
    const struct env_variant *variant = open_env_variant(config);
    return variant ? variant->name : NULL;
}

static int take_variant(struct config_env *env, const struct env_variant *variant, struct error *err)
{
    if (variant->options > CONFIG_ENV_OPTIONS)
        return error_set(err, EXIT_INTERNAL, "variant \"%s\" sets more than %d options", variant->name, CONFIG_ENV_OPTIONS);
    env->variant = variant->name;
    env->variant_preset = registry_preset(variant->name);
    for (int i = 0; i < variant->options; i++) {
        env->set[env->sets].name = variant->option[i].name;
        env->set[env->sets++].value = variant->option[i].value;
    }
    return 0;
}

int cmd_find_env(struct config_env *env, const char *name, struct error *err)
{
    const struct mappo_env *found;
    const struct env_variant *variant = registry_variant(name);
    int code = registry_find(name, &found, err);
    if (code) return code;
    *env = (struct config_env){.id = found->id,
                               .plain = plain,
                               .preset = registry_preset(found->id),
                               .variant_of = variant_of,
                               .named_preset = registry_named_preset,
                               .named_preset_at = registry_named_preset_at};
    /* A plugin is found by its path, not by the id that it gives itself. */
    if (!variant && strchr(name, '/') && strcmp(name, found->id) != 0) {
        const struct mappo_env *by_id;
        if (registry_find(found->id, &by_id, NULL) || by_id != found) env->name = absolute(name);
    }
    for (const struct mappo_option *option = found->option; option && option->name; option++) {
        if (env->options == CONFIG_ENV_OPTIONS)
            return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\" has more than %d options", name, CONFIG_ENV_OPTIONS);
        env->option[env->options].name = option->name;
        env->option[env->options++].def = option->def;
    }
    return variant ? take_variant(env, variant, err) : 0;
}
