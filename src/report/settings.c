/* Settings of runs: which runs are seeds of one experiment, what differs between experiments, the command that repeats one. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
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

/* What changes over a run does so up to its end: runs of different lengths are then different from their beginning on. */
static const char *const schedules[] = {"adam.schedule", "ppo.clip_schedule", "ppo.entropy_schedule", "maddpg.noise_schedule"};

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

static bool has_schedule(const struct run_told *run)
{
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++)
        if (strcmp(value_of(run, schedules[i]), "constant") != 0) return true;
    return false;
}

/* Where a schedule ends: "" where there is none. */
static const char *horizon_of(const struct run_told *run)
{
    const char *steps = value_of(run, "adam.schedule_steps");
    return !has_schedule(run) ? "" : strcmp(steps, "0") != 0 ? steps : value_of(run, "train.env_steps");
}

static bool same_experiment(const struct run_told *a, const struct run_told *b, const char *const *name, int names)
{
    for (int k = 0; k < names; k++)
        if (sets_apart(name[k]) && strcmp(value_of(a, name[k]), value_of(b, name[k])) != 0) return false;
    return strcmp(horizon_of(a), horizon_of(b)) == 0;
}

/* Is it what makes the horizons of these runs differ? */
static bool sets_horizons_apart(const struct run_list *list, const char *name)
{
    if (strcmp(name, "train.env_steps") != 0 && strcmp(name, "adam.schedule_steps") != 0) return false;
    for (int i = 1; i < list->runs; i++)
        if (strcmp(horizon_of(&list->run[i]), horizon_of(&list->run[0])) != 0) return true;
    return false;
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
        if (!same) fprintf(out, "],\"apart\":%s", sets_apart(name[s]) || sets_horizons_apart(list, name[s]) ? "true" : "false");
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

/* "key=value", one behind the other, each ended by a zero. */
struct assignments {
    FILE *out;
    char *text;
    size_t size;
};

static void assignments_begin(struct assignments *a)
{
    *a = (struct assignments){.text = NULL};
    a->out = open_memstream(&a->text, &a->size);
    CHECK(a->out, "out of memory comparing runs");
}

static void assign(struct assignments *a, const char *key, const char *value)
{
    fprintf(a->out, "%s=%s%c", key, value, 0);
}

static const char *next_assignment(const struct assignments *a, const char *at)
{
    const char *next = at ? at + strlen(at) + 1 : a->text;
    return next < a->text + a->size ? next : NULL;
}

/* What `mappo …` would run with. Closes the list for writing. */
static int config_of(struct config *config, struct assignments *a, config_find_env *find_env)
{
    struct arguments *args = calloc(1, sizeof *args);
    CHECK(args, "out of memory comparing runs");
    fclose(a->out);
    for (const char *at = NULL; (at = next_assignment(a, at)) != NULL && args->assignments < ARGS_MAX;)
        args->assignment[args->assignments++] = at;
    const int code = config_build(config, args, find_env, NULL);
    free(args);
    return code;
}

/* With env, algo and preset alone, or with the environment's options as well. */
static int usual_config(struct config *config, const struct run_told *run, const char *env, bool options, config_find_env *find_env)
{
    static const char *const named[] = {"algo.name", "preset.name"};
    struct assignments a;
    assignments_begin(&a);
    assign(&a, "env.name", env);
    for (int i = 0; i < 2; i++)
        if (run_setting(run, named[i])[0]) assign(&a, named[i], run_setting(run, named[i]));
    for (int i = 0; i < run->settings && options; i++) {
        const struct run_setting *one = &run->setting[i];
        if (strncmp(one->key, "env.", 4) == 0 && strcmp(one->key, "env.name") != 0 && one->value[0]) assign(&a, one->key, one->value);
    }
    const int code = config_of(config, &a, find_env);
    free(a.text);
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

static void choose(struct assignments *a, const struct run_told *run, const struct config *usual, const char *env)
{
    assign(a, "env.name", env);
    for (int i = 0; i < run->settings; i++) {
        const char *key = run->setting[i].key, *value = run->setting[i].value;
        if (strcmp(key, "env.name") == 0) continue;
        const bool named = strcmp(key, "algo.name") == 0 || strcmp(key, "train.seed") == 0 || (strcmp(key, "preset.name") == 0 && value[0]);
        if (named || !is_usual(usual, key, value)) assign(a, key, value);
    }
}

/* Without run= it goes on with the run itself where that stands in the folder that it names by itself. Of any other it has to name a new
 * one, or it would go on with whatever stands there. */
static void write_words(FILE *out, const struct run_told *run, struct assignments *a, config_find_env *find_env)
{
    char key[128], folder[4096];
    struct config *config = calloc(1, sizeof *config);
    CHECK(config, "out of memory comparing runs");
    const bool known = config_of(config, a, find_env) == 0;
    if (known) config_run_folder(config, folder, sizeof folder);
    fputs("mappo", out);
    for (const char *at = NULL; (at = next_assignment(a, at)) != NULL;) {
        text_format(key, sizeof key, "%.*s", (int)strcspn(at, "="), at);
        add_word(out, bare(key), strchr(at, '=') + 1);
    }
    if (!known || !file_same(folder, run->path)) {
        text_format(folder, sizeof folder, "%s-again", run->path);
        for (int k = 2; file_exists(folder) && k < 1000; k++) text_format(folder, sizeof folder, "%s-again%d", run->path, k);
        add_word(out, "run", folder);
    }
    free(config);
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
        struct assignments a;
        assignments_begin(&a);
        choose(&a, run, usual, env);
        write_words(words, run, &a, find_env);
        free(a.text);
        fclose(words);
        text_json_string(out, text);
        free(text);
    }
    free(usual);
}
