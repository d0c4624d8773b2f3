#include "env/registry.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "env/options.h"
#include "env/plugin.h"
#include "env/presets.h"
#include "env/python/names.h"

/* ---- the list --------------------------------------------------------------------------------------------- */

#define ENV(suite, name, kernels) extern const struct mappo_env suite##_##name;
#include "envs/envs.def"

static const struct mappo_env *const built_in[] = {
#define ENV(suite, name, kernels) &suite##_##name,
#include "envs/envs.def"
};

/* By the list; a descriptor that is of another id is a mistake in its file. */
static const char *const listed[] = {
#define ENV(suite, name, kernels)              #suite "/" #name,
#define ENV_CALLED(suite, file, name, kernels) #suite "/" name,
#include "envs/envs.def"
};

/* Arrays with one entry more, which ends them. */
#define ALSO(...)     ((const char *const[]){__VA_ARGS__, NULL})
#define SETTINGS(...) ((const struct env_option[]){__VA_ARGS__, {NULL, NULL}})
static const struct env_variant variants[] = {
#define VARIANT(name, base, also, ...)                                                                                                     \
    {name, base, also, SETTINGS(__VA_ARGS__), (int)(sizeof SETTINGS(__VA_ARGS__) / sizeof(struct env_option)) - 1},
#include "envs/envs.def"
    {NULL, NULL, NULL, NULL, 0}};

enum { BUILT_IN = sizeof built_in / sizeof built_in[0], VARIANTS = sizeof variants / sizeof variants[0] - 1 };

int registry_count(void)
{
    return BUILT_IN;
}

const struct mappo_env *registry_at(int i)
{
    return i >= 0 && i < BUILT_IN ? built_in[i] : NULL;
}

const struct env_variant *registry_variant_at(int i)
{
    return i >= 0 && i < VARIANTS ? &variants[i] : NULL;
}

bool registry_has_kernels(int i)
{
#define HOST_ONLY    false
#define WITH_KERNELS true
    static const bool has[] = {
#define ENV(suite, name, kernels) kernels,
#include "envs/envs.def"
    };
    return i >= 0 && i < BUILT_IN && has[i];
}

bool registry_hidden(const char *id)
{
    return strncmp(id, "test/", 5) == 0;
}

/* ---- names ------------------------------------------------------------------------------------------------ */

static bool is_called(const char *id, const char *const *alias, const char *name)
{
    bool found = strcmp(id, name) == 0;
    for (; alias && *alias; alias++) found = found || strcmp(*alias, name) == 0;
    return found;
}

static const struct mappo_env *find_built_in(const char *name)
{
    for (int i = 0; i < BUILT_IN; i++)
        if (is_called(built_in[i]->id, built_in[i]->alias, name)) return built_in[i];
    return NULL;
}

const struct env_variant *registry_variant(const char *name)
{
    for (int i = 0; i < VARIANTS; i++)
        if (is_called(variants[i].name, variants[i].alias, name)) return &variants[i];
    return NULL;
}

struct names {
    const char **name; /* [count]; NULL = they are only counted */
    int count;
};

static void add_name(struct names *names, const char *name)
{
    if (names->name) names->name[names->count] = name;
    names->count++;
}

static void add_names(struct names *names, const char *id, const char *const *alias)
{
    add_name(names, id);
    for (; alias && *alias; alias++) add_name(names, *alias);
}

static void add_all(struct names *names, bool hidden)
{
    for (int i = 0; i < BUILT_IN; i++)
        if (hidden || !registry_hidden(built_in[i]->id)) add_names(names, built_in[i]->id, built_in[i]->alias);
    for (int i = 0; i < VARIANTS; i++)
        if (hidden || !registry_hidden(variants[i].name)) add_names(names, variants[i].name, variants[i].alias);
}

/* "; did you mean …?" */
static void suggest_name(const char *name, char *text, size_t size)
{
    const bool hidden = registry_hidden(name); /* who writes test/… means one of those */
    struct names names = {0};
    add_all(&names, hidden);
    names.name = calloc((size_t)names.count, sizeof *names.name);
    text[0] = '\0';
    if (!names.name) return;
    names.count = 0;
    add_all(&names, hidden);
    text_suggestion(text, size, name, "", names.name, names.count);
    free((void *)names.name);
}

/* "mpe": "; it is a suite: mpe/simple, mpe/simple_adversary …" */
static bool suggest_of_suite(const char *name, char *text, size_t size)
{
    enum { MOST = 4 };
    const size_t length = strlen(name);
    int count = 0;
    for (int i = 0; i < BUILT_IN; i++) {
        const char *id = built_in[i]->id;
        if (registry_hidden(id) || strncmp(id, name, length) != 0 || id[length] != '/' || count++ >= MOST) continue;
        const size_t used = count > 1 ? strlen(text) : 0;
        text_format(text + used, size - used, "%s%s", count > 1 ? ", " : "; it is a suite of environments: ", id);
    }
    if (count > MOST) text_format(text + strlen(text), size - strlen(text), " …");
    return count > 0;
}

/* A line of the list whose environment, or a variant's, is of another id. */
static const char *misnamed(const char *name)
{
    for (int i = 0; i < BUILT_IN; i++)
        if (strcmp(listed[i], name) == 0) return built_in[i]->id;
    return NULL;
}

/* A variant whose runs nobody could continue, because a configuration file would not give its options back. */
static int check_variant(const struct env_variant *variant, struct error *err)
{
    for (int i = 0; i < variant->options; i++) {
        const struct env_option *option = &variant->option[i];
        const char *unkept = text_unkept(option->value);
        if (unkept)
            return error_set(err, EXIT_ENVIRONMENT,
                             "variant \"%s\" of envs/envs.def: %s=\"%s\" can't be kept in a configuration file: a value %s", variant->name,
                             option->name, option->value, unkept);
    }
    return 0;
}

int registry_find(const char *name, const struct mappo_env **env, struct error *err)
{
    if (python_is_name(name)) return python_find(name, env, err);
    const struct env_variant *variant = registry_variant(name);
    const char *id = variant ? variant->base : name;
    *env = find_built_in(id);
    if (*env) return variant ? check_variant(variant, err) : 0;
    const char *says = misnamed(id);
    if (says)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\" of envs/envs.def says .id = \"%s\" in its file; make them the same", id,
                         says);
    if (variant)
        return error_set(err, EXIT_ENVIRONMENT, "variant \"%s\" of envs/envs.def is of \"%s\", which is no environment's id", name, id);
    if (plugin_is_path(name)) return plugin_open(name, env, err);
    char meant[256], path[256];
    if (!suggest_of_suite(name, meant, sizeof meant)) suggest_name(name, meant, sizeof meant);
    if (python_is_meant(name)) text_format(meant, sizeof meant, "; did you mean \"py:%s\"?", name);
    if (text_format(path, sizeof path, "./%s", name) && plugin_is_path(path) && access(path, F_OK) == 0)
        text_format(meant, sizeof meant, "; did you mean \"%s\"?", path);
    return error_set(err, EXIT_USAGE, "unknown environment \"%s\"%s (mappo envs lists them%s)", name, meant,
                     *meant ? ""
                            : "; a plugin is given by a path with a slash that ends in .so, one of Python by py:gymnasium:ID and the like");
}

const char *registry_name(const struct mappo_env *env)
{
    const char *name = python_name(env);
    return name ? name : env->id;
}

const struct env_variant *registry_variant_of(const struct mappo_env *env, const struct env_option *given, int count)
{
    struct mappo_value value[OPTIONS_MAX];
    char all[OPTIONS_TEXT], wanted[OPTIONS_TEXT];
    if (options_read(env, given, count, value, wanted, sizeof wanted, NULL)) return NULL;
    for (int i = 0; i < VARIANTS; i++)
        if (strcmp(variants[i].base, env->id) == 0 &&
            !options_read(env, variants[i].option, variants[i].options, value, all, sizeof all, NULL) && strcmp(all, wanted) == 0)
            return &variants[i];
    return NULL;
}

/* ---- what belongs to them --------------------------------------------------------------------------------- */

const struct env_return *registry_return_at(int i)
{
    static const struct env_return returns[] = {
#define RETURN(...) {__VA_ARGS__},
#include "envs/returns.def"
    };
    return i >= 0 && i < (int)(sizeof returns / sizeof *returns) ? &returns[i] : NULL;
}

/* All environments of Python are one suite. */
const char *registry_preset(const char *id)
{
    const char *slash = strrchr(id, '/');
    char path[128];
    if (!python_is_name(id)) return preset_of(id);
    return slash && strncmp(slash, "/suite", 6) == 0 && text_format(path, sizeof path, "python%s", slash) ? preset_of(path) : NULL;
}

const char *registry_suite_preset(const char *id)
{
    char path[128];
    if (python_is_name(id)) return preset_of("python/suite");
    return text_format(path, sizeof path, "%.*s/suite", (int)strcspn(id, "/"), id) ? preset_of(path) : NULL;
}

static const char settings_by_name[] = "presets/";

const char *registry_named_preset(const char *name)
{
    char path[128];
    return text_format(path, sizeof path, "%s%s", settings_by_name, name) ? preset_of(path) : NULL;
}

const char *registry_named_preset_at(int i)
{
    const char *name, *text;
    for (int k = 0; (name = preset_at(k, &text)); k++)
        if (strncmp(name, settings_by_name, strlen(settings_by_name)) == 0 && i-- == 0) return name + strlen(settings_by_name);
    return NULL;
}
