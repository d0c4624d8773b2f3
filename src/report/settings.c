/* Settings of runs: which runs are seeds of one experiment, what differs between experiments, the command that repeats one. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "report/parts.h"

/* ---- alike and different -------------------------------------------------------------------------------------------------------------- */

/* Does a setting make another experiment of a run? Those that don't (a seed, how long, where, on how many threads) enter no folder's name
 * either. */
static bool sets_apart(const char *name)
{
    const int k = config_find(name);
    return k < 0 || !(config_keys[k].flags & (UNNAMED | NOT_STORED));
}

/* A run of before there was a setting has its default. */
static const char *value_of(const struct run_told *run, const char *name)
{
    const char *value = run_setting(run, name);
    const int k = value[0] ? -1 : config_find(name);
    return k < 0 ? value : config_keys[k].def;
}

static bool all_have(const struct run_list *list, const char *name, const char *value)
{
    for (int i = 0; i < list->runs; i++)
        if (strcmp(value_of(&list->run[i], name), value) != 0) return false;
    return true;
}

static int names_of(const struct run_list *list, const char ***name)
{
    const struct run_told **run = malloc(((size_t)list->runs + 1) * sizeof *run);
    CHECK(run, "out of memory comparing runs");
    for (int i = 0; i < list->runs; i++) run[i] = &list->run[i];
    const int names = run_setting_names(run, list->runs, name);
    free(run);
    return names;
}

static bool same_experiment(const struct run_told *a, const struct run_told *b, const char *const *name, int names)
{
    for (int k = 0; k < names; k++)
        if (sets_apart(name[k]) && strcmp(value_of(a, name[k]), value_of(b, name[k])) != 0) return false;
    return true;
}

int settings_bands(const struct run_list *list, int *band)
{
    const char **name;
    int bands = 0, differ = 0;
    const int names = names_of(list, &name);
    for (int k = 0; k < names; k++) /* those that all share need no second look */
        if (!all_have(list, name[k], value_of(&list->run[0], name[k]))) name[differ++] = name[k];
    for (int i = 0; i < list->runs; i++) {
        band[i] = -1;
        for (int k = 0; k < i && band[i] < 0; k++)
            if (same_experiment(&list->run[i], &list->run[k], name, differ)) band[i] = band[k];
        if (band[i] < 0) band[i] = bands++;
    }
    free(name);
    return bands;
}

bool report_same_play(const struct report *report, int i, int k)
{
    const struct run_told *a = &report->list.run[i], *b = &report->list.run[k];
    const struct run_told *const both[] = {a, b};
    const char **name;
    const int names = run_setting_names(both, 2, &name);
    bool same = true;
    for (int n = 0; n < names && same; n++) {
        const char *key = name[n];
        const bool matters = strncmp(key, "env.", 4) == 0 || strncmp(key, "wrap.", 5) == 0 || strcmp(key, "metrics.return") == 0;
        same = !matters || strcmp(value_of(a, key), value_of(b, key)) == 0;
    }
    free(name);
    return same;
}

void settings_write(FILE *out, const struct run_list *list)
{
    const char **name;
    const int names = names_of(list, &name);
    fputc('[', out);
    for (int s = 0; s < names; s++) {
        const char *first = value_of(&list->run[0], name[s]);
        const bool same = all_have(list, name[s], first);
        const int k = config_find(name[s]);
        fputs(s ? ",\n{\"key\":" : "{\"key\":", out);
        text_json_string(out, name[s]);
        fputs(same ? ",\"value\":" : ",\"values\":[", out);
        for (int i = 0; i < (same ? 1 : list->runs); i++) {
            if (i) fputc(',', out);
            text_json_string(out, value_of(&list->run[i], name[s]));
        }
        if (!same) fprintf(out, "],\"apart\":%s", sets_apart(name[s]) ? "true" : "false");
        if (k >= 0) {
            fputs(",\"usual\":", out);
            text_json_string(out, config_keys[k].def);
            fputs(",\"help\":", out);
            text_json_string(out, config_keys[k].help);
        }
        fputc('}', out);
    }
    fputc(']', out);
    free(name);
}

/* ---- the command ------------------------------------------------------------------------------------------------------------------------ */

/* What `mappo env=NAME algo=… preset=…` alone would run with. */
static int usual_config(struct config *config, const struct run_told *run, const char *env, bool options, config_find_env *find_env)
{
    struct arguments *args = calloc(1, sizeof *args);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(args && out, "out of memory comparing runs");
    fprintf(out, "env.name=%s%calgo.name=%s%cpreset.name=%s%c", env, 0, run_setting(run, "algo.name"), 0, run_setting(run, "preset.name"),
            0);
    for (int i = 0; i < run->settings && options; i++)
        if (strncmp(run->setting[i].key, "env.", 4) == 0 && strcmp(run->setting[i].key, "env.name") != 0)
            fprintf(out, "%s=%s%c", run->setting[i].key, run->setting[i].value, 0);
    fclose(out);
    for (const char *at = text; at < text + size && args->assignments < ARGS_MAX; at += strlen(at) + 1)
        if (strchr(at, '=')[1]) args->assignment[args->assignments++] = at;
    const int code = config_build(config, args, find_env, NULL);
    free(text);
    free(args);
    return code;
}

/* A word of a shell's command line. */
static void add_word(FILE *out, const char *key, const char *value)
{
    const bool plain = value[0] && !value[strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.,:/%@^")];
    fprintf(out, " %s=", key);
    if (!plain) fputc('\'', out);
    for (const char *c = value; *c; c++)
        if (*c == '\'')
            fputs("'\\''", out);
        else
            fputc(*c, out);
    if (!plain) fputc('\'', out);
}

/* Bare names where there are some: what people write. */
static const char *bare(const char *key)
{
    static const char *const names[][2] = {{"env.name", "env"}, {"algo.name", "algo"}, {"preset.name", "preset"}, {"train.seed", "seed"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], key) == 0) return names[i][1];
    return key;
}

static bool is_usual(const struct config *usual, const char *key, const char *value)
{
    char text[CONFIG_TEXT];
    const int k = config_find(key);
    const char *option = k < 0 ? config_option(usual, key) : NULL;
    if (k >= 0) {
        config_value(usual, k, text, sizeof text);
        /* "auto" has been decided when a run writes its settings. */
        return strcmp(text, value) == 0 || (strcmp(text, "auto") == 0 && config_keys[k].type == KEY_IS_CHOICE && k == KEY_norm_obs);
    }
    return option && strcmp(option, value) == 0;
}

static void write_words(FILE *out, const struct run_told *run, const struct config *usual, const char *env)
{
    fputs("mappo", out);
    add_word(out, "env", env);
    for (int i = 0; i < run->settings; i++) {
        const char *key = run->setting[i].key, *value = run->setting[i].value;
        if (strcmp(key, "env.name") == 0) continue;
        const bool named = strcmp(key, "algo.name") == 0 || strcmp(key, "train.seed") == 0 || (strcmp(key, "preset.name") == 0 && value[0]);
        if (named || !is_usual(usual, key, value)) add_word(out, bare(key), value);
    }
}

void settings_write_command(FILE *out, const struct run_told *run, config_find_env *find_env)
{
    struct config *usual = calloc(1, sizeof *usual);
    CHECK(usual, "out of memory comparing runs");
    char env[CONFIG_TEXT], *text = NULL;
    size_t size = 0;
    text_format(env, sizeof env, "%s", run_setting(run, "env.name"));
    /* With its options it may be a variant, which has presets of its own. */
    int code = env[0] ? usual_config(usual, run, env, true, find_env) : EXIT_USAGE;
    if (!code && usual->env_variant[0]) text_format(env, sizeof env, "%s", usual->env_variant);
    if (!code) code = usual_config(usual, run, env, false, find_env);
    if (code) {
        fputs("null", out);
    } else {
        FILE *words = open_memstream(&text, &size);
        CHECK(words, "out of memory comparing runs");
        write_words(words, run, usual, env);
        fclose(words);
        text_json_string(out, text);
        free(text);
    }
    free(usual);
}
