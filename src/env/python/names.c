#include "env/python/names.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "env/python/python_env.h"

enum { NAME = 512, OPTIONS = 16 };

static struct named {
    struct mappo_env env;
    char id[NAME], name[NAME];
    char *layout[MAPPO_MAX_GROUPS];
    struct mappo_option option[OPTIONS];
    struct named *next;
} * all;

static const char prefix[] = "py:";
enum { PREFIX = sizeof prefix - 1 };

/* A program's name, or a path, into `whole` as an absolute path: links stay, because virtual environments are told by theirs. NULL: it is too
 * long for an option. */
static const char *absolute(const char *path, char *whole, size_t size)
{
    char given[PATH_MAX], here[PATH_MAX];
    if (file_path_given(path, given, sizeof given, NULL)) return NULL;
    if (!strchr(given, '/') || *given == '/') return text_format(whole, size, "%s", given) ? whole : NULL;
    return getcwd(here, sizeof here) && text_format(whole, size, "%s/%s", here, given) ? whole : NULL;
}

const char *python_chosen(void)
{
    static char whole[256];
    const char *named = getenv("MAPPO_PYTHON");
    return named && *named ? absolute(named, whole, sizeof whole) : NULL;
}

/* What env.python is where nobody says it. */
static const char *usual_interpreter(void)
{
    static const char *const roots[] = {"VIRTUAL_ENV", "CONDA_PREFIX"};
    static char whole[256];
    const char *chosen = python_chosen(), *path = getenv("PATH");
    for (int i = 0; !chosen && path && i < 2; i++) {
        const char *root = getenv(roots[i]);
        if (!root || *root != '/' || !text_format(whole, sizeof whole, "%s/bin/python3", root) || access(whole, X_OK)) continue;
        const size_t folder = strlen(whole) - strlen("/python3");
        if (strncmp(path, whole, folder) == 0 && (path[folder] == ':' || !path[folder])) return whole; /* activated */
    }
    return chosen ? chosen : "";
}

/* The descriptor's options, with this one's default. */
static void take_options(struct named *named)
{
    int k = 0;
    for (; k < OPTIONS - 1 && python_env.option[k].name; k++) {
        named->option[k] = python_env.option[k];
        if (strcmp(named->option[k].name, "python") == 0) named->option[k].def = usual_interpreter();
    }
    named->option[k] = (struct mappo_option){.name = NULL};
    named->env.option = named->option;
}

bool python_is_name(const char *name)
{
    return strncmp(name, prefix, PREFIX) == 0;
}

/* Of "folder/file.py:function" and "folder/file.py" the bytes of the path; 0: it is no file. */
static size_t path_length(const char *source)
{
    const char *end = strstr(source, ".py:");
    const size_t length = strlen(source);
    if (end) return (size_t)(end - source) + 3;
    return length > 3 && strcmp(source + length - 3, ".py") == 0 ? length : 0;
}

bool python_is_meant(const char *name)
{
    const size_t first = strcspn(name, ":");
    return path_length(name) > 0 || (name[first] == ':' && first > 0 && name[first + 1]);
}

static int no_file(const char *path, struct error *err)
{
    if (strchr(path, '/'))
        return error_set(err, EXIT_USAGE, "environment of Python: there is no file %s here; env=py:PATH/FILE.py:FUNCTION says where it is",
                         path);
    return error_set(err, EXIT_USAGE,
                     "environment of Python: there is no file %s in this folder; env=py:PATH/FILE.py:FUNCTION says where it is", path);
}

/* Who it is and by which name it is found. */
static int resolve(const char *source, char *id, char *name, struct error *err)
{
    const size_t length = path_length(source);
    char written[NAME], path[PATH_MAX], whole[PATH_MAX];
    bool fits = true;
    if (length == 0) {
        fits = text_format(id, NAME, "%s%s", prefix, source);
        memcpy(name, id, NAME);
    } else {
        text_format(written, sizeof written, "%.*s", (int)length, source);
        const int code = file_path_given(written, path, sizeof path, err);
        if (code) return code;
        if (!realpath(path, whole) || access(whole, R_OK)) return no_file(path, err);
        fits = text_format(id, NAME, "%s%s%s", prefix, strrchr(whole, '/') + 1, source + length) &&
               text_format(name, NAME, "%s%s%s", prefix, whole, source + length);
    }
    return fits ? 0 : error_set(err, EXIT_USAGE, "environment \"%.60s…\": its name is longer than %d bytes", source, NAME - 1);
}

int python_find(const char *name, const struct mappo_env **env, struct error *err)
{
    char id[NAME], whole[NAME];
    const char *source = name + PREFIX;
    if (!*source || strcspn(source, "\t\r\n") != strlen(source) || !text_is_utf8(source))
        return error_set(err, EXIT_USAGE,
                         "environment \"%s\": py: is followed by what to open, as in py:gymnasium:CartPole-v1, "
                         "py:pettingzoo:butterfly/pistonball_v6, py:package.module:function, py:./file.py:function (docs/python.md)",
                         name);
    const int code = resolve(source, id, whole, err);
    if (code) return code;
    struct named *named = all;
    while (named && strcmp(named->name, whole) != 0) named = named->next;
    if (!named) {
        named = calloc(1, sizeof *named);
        if (!named) return error_set(err, EXIT_INTERNAL, "out of memory");
        memcpy(named->id, id, sizeof id);
        memcpy(named->name, whole, sizeof whole);
        named->env = python_env;
        named->env.id = named->id;
        take_options(named);
        named->next = all;
        all = named;
    }
    *env = &named->env;
    return 0;
}

const char *python_name(const struct mappo_env *env)
{
    return env->create == python_env.create ? ((const struct named *)(const void *)env)->name : NULL;
}

const char *python_layout(const struct mappo_env *env, int g)
{
    return python_name(env) ? ((const struct named *)(const void *)env)->layout[g] : NULL;
}

void python_keep_layout(const struct mappo_env *env, const char *const layout[MAPPO_MAX_GROUPS])
{
    for (struct named *named = all; named; named = named->next)
        for (int g = 0; &named->env == env && g < MAPPO_MAX_GROUPS; g++) {
            free(named->layout[g]);
            named->layout[g] = layout[g] ? strdup(layout[g]) : NULL;
        }
}

const char *python_source(const struct mappo_env *env)
{
    return python_name(env) + PREFIX;
}
