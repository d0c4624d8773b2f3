#include "env/registry.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "env/plugin.h"
#include "env/presets.h"

/* The one list of built-in environments. */
extern const struct mappo_env mpe_simple_spread, test_kitchen_sink, test_busy;
static const struct mappo_env *const built_in[] = {&mpe_simple_spread, &test_kitchen_sink, &test_busy};

enum { BUILT_IN = sizeof built_in / sizeof built_in[0], NAMES = 512 };

int registry_count(void)
{
    return BUILT_IN;
}

const struct mappo_env *registry_at(int i)
{
    return i >= 0 && i < BUILT_IN ? built_in[i] : NULL;
}

bool registry_hidden(const struct mappo_env *env)
{
    return strncmp(env->id, "test/", 5) == 0;
}

static const struct mappo_env *find_built_in(const char *name)
{
    for (int i = 0; i < BUILT_IN; i++) {
        if (strcmp(built_in[i]->id, name) == 0) return built_in[i];
        for (const char *const *alias = built_in[i]->alias; alias && *alias; alias++)
            if (strcmp(*alias, name) == 0) return built_in[i];
    }
    return NULL;
}

static const char *nearest_name(const char *name)
{
    const char *names[NAMES];
    int count = 0;
    for (int i = 0; i < BUILT_IN; i++) {
        if (registry_hidden(built_in[i])) continue;
        if (count < NAMES) names[count++] = built_in[i]->id;
        for (const char *const *alias = built_in[i]->alias; alias && *alias; alias++)
            if (count < NAMES) names[count++] = *alias;
    }
    return text_nearest(name, names, count);
}

int registry_find(const char *name, const struct mappo_env **env, struct error *err)
{
    *env = find_built_in(name);
    if (*env) return 0;
    if (plugin_is_path(name)) return plugin_open(name, env, err);
    const char *near = nearest_name(name);
    if (near) return error_set(err, EXIT_USAGE, "unknown environment \"%s\"; did you mean \"%s\"? (mappo envs lists them)", name, near);
    return error_set(err, EXIT_USAGE,
                     "unknown environment \"%s\" (mappo envs lists them; a plugin is given by a path with a slash that ends in .so)", name);
}

static const char *preset_of(const struct preset *preset, const char *name)
{
    for (; preset->name; preset++)
        if (strcmp(preset->name, name) == 0) return preset->text;
    return NULL;
}

const char *registry_preset(const struct mappo_env *env)
{
    return preset_of(env_presets, env->id);
}

const char *registry_env_preset(const char *name)
{
    const struct mappo_env *env = find_built_in(name);
    return env ? registry_preset(env) : NULL;
}

const char *registry_named_preset(const char *name)
{
    return preset_of(named_presets, name);
}

const char *registry_named_preset_at(int i)
{
    for (int k = 0; named_presets[k].name; k++)
        if (k == i) return named_presets[k].name;
    return NULL;
}
