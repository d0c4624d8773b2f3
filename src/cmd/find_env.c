/* What the configuration must know of an environment, from the registry: config/ itself knows no environments. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
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
                               .preset = registry_preset,
                               .variant_of = variant_of,
                               .named_preset = registry_named_preset,
                               .named_preset_at = registry_named_preset_at};
    /* A plugin is found by its path, not by the id that it gives itself, and so is a file of Python. */
    if (strcmp(registry_name(found), found->id) != 0)
        env->name = registry_name(found);
    else if (!variant && strchr(name, '/') && strcmp(name, found->id) != 0) {
        const struct mappo_env *by_id;
        if (registry_find(found->id, &by_id, NULL) || by_id != found) env->name = absolute(name);
    }
    for (const struct mappo_option *option = found->option; option && option->name; option++) {
        if (env->options == CONFIG_ENV_OPTIONS)
            return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\" has more than %d options", name, CONFIG_ENV_OPTIONS);
        env->option[env->options].name = option->name;
        env->option[env->options].changeable = options_changeable(found, env->options);
        env->option[env->options++].def = option->def;
    }
    return variant ? take_variant(env, variant, err) : 0;
}

int cmd_check_operand(const struct arguments *args, struct error *err)
{
    for (int i = 0; i < args->assignments; i++) {
        char key[128];
        const char *value = assignment_split(args->assignment[i], key, sizeof key);
        if (config_find(key) == KEY_env_name)
            return error_set(err, EXIT_USAGE, "mappo %s takes the environment without %s=: mappo %s %s", args->command, key, args->command,
                             args->operands ? args->operand[0] : value);
    }
    return 0;
}

int cmd_env_config(struct config *config, const struct arguments *args, struct error *err)
{
    struct arguments *with_name = malloc(sizeof *with_name);
    char name[CONFIG_TEXT + 8];
    int code;
    CHECK(with_name, "out of memory");
    *with_name = *args;
    if (!text_format(name, sizeof name, "env=%s", args->operand[0]) || with_name->assignments == ARGS_MAX) {
        code =
            error_set(err, EXIT_USAGE, "the environment's name is longer than %d letters, or there are too many settings", CONFIG_TEXT - 1);
    } else {
        with_name->assignment[with_name->assignments++] = name;
        code = config_build(config, with_name, cmd_find_env, err);
    }
    free(with_name);
    return code;
}
