/* The command line: [COMMAND] [key=value …] [--config FILE …] [--fresh] [--quiet] [--json] [--help [SECTION]] [--version]. */
#include "config/config.h"

#include <stddef.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "config/suggest.h"

/* The options; those that take a value have no flag. */
static const struct {
    const char *name;
    size_t flag; /* in struct arguments; 0 = none */
} options[] = {{"--config", 0},
               {"--fresh", offsetof(struct arguments, fresh)},
               {"--quiet", offsetof(struct arguments, quiet)},
               {"-q", offsetof(struct arguments, quiet)},
               {"--json", offsetof(struct arguments, json)},
               {"--check", offsetof(struct arguments, check)},
               {"--dry-run", offsetof(struct arguments, dry_run)},
               {"--help", 0},
               {"--version", offsetof(struct arguments, version)}};
enum { OPTIONS = sizeof options / sizeof *options };

const char *arguments_option(int i)
{
    for (int k = 0; k < OPTIONS; k++)
        if (options[k].name[1] == '-' && i-- == 0) return options[k].name + 2;
    return NULL;
}

/* Of a misspelt one. Not --fresh: advice that is followed without a thought must not set a run aside. */
static const char *nearest_option(const char *name)
{
    const char *names[OPTIONS], *option;
    int count = 0;
    for (int i = 0; (option = arguments_option(i)); i++)
        if (strcmp(option, "fresh") != 0) names[count++] = option;
    return text_nearest(name, names, count);
}

/* What other programs call an option. */
static const struct {
    const char *written, *meant;
} other_options[] = {{"c", "--config FILE"},
                     {"cfg", "--config FILE"},
                     {"config_file", "--config FILE"},
                     {"V", "--version"},
                     {"v", "--version"},
                     {"seeds", "seeds=1-5 or seeds=1,2,7, without dashes"},
                     {"silent", "--quiet"},
                     {"resume", "nothing: the same command again continues a run"},
                     {"continue", "nothing: the same command again continues a run"}};

/* "--ppo-clip=0.1" and "--seed 3" are how other programs spell it. `next` is the word behind it; NULL = none. */
static int unknown_option(const char *option, const char *next, struct error *err)
{
    char key[128], settings[512];
    text_format(key, sizeof key, "%s", text_behind_dashes(option));
    char *equals = strchr(key, '=');
    const char *value = equals ? equals + 1 : next && !strchr(next, '=') && (next[0] != '-' || text_is_decimal(next)) ? next : NULL;
    if (equals) *equals = '\0';
    const enum suggestion how = suggest_settings(key, value, settings, sizeof settings);
    if (how == SUGGEST_SPELLING)
        return error_set(err, EXIT_USAGE, "unknown option \"%s\": settings are written without dashes: %s", option, settings);
    for (size_t i = 0; i < sizeof other_options / sizeof *other_options; i++)
        if (strcmp(other_options[i].written, key) == 0)
            return error_set(err, EXIT_USAGE, "unknown option \"%s\"; what is meant here is %s (mappo --help)", option,
                             other_options[i].meant);
    if (how == SUGGEST_KNOWN)
        return error_set(err, EXIT_USAGE, "unknown option \"%s\": settings are written without dashes; did you mean %s?", option, settings);
    const char *meant = strlen(key) > 2 ? nearest_option(key) : NULL;
    if (meant) return error_set(err, EXIT_USAGE, "unknown option \"%s\"; did you mean \"--%s\"? (mappo --help)", option, meant);
    if (how == SUGGEST_NEAR)
        return error_set(err, EXIT_USAGE, "unknown option \"%s\": settings are written without dashes; did you mean %s?", option, settings);
    return error_set(err, EXIT_USAGE,
                     "unknown option \"%s\"; settings are written key=value, options of the environment env.NAME=value (mappo --help)",
                     option);
}

/* Where `written` begins with ~, the path as shells would have made it; room for it is in *args. */
static int expand(struct arguments *args, const char **path, const char *written, struct error *err)
{
    struct error bad = {0};
    char *room = args->room + args->room_used;
    *path = written;
    if (*written != '~') return 0;
    if (file_path_given(written, room, sizeof args->room - args->room_used, &bad))
        return error_set(err, EXIT_USAGE, "%s on the command line: %s", written, bad.text);
    args->room_used += strlen(room) + 1;
    *path = room;
    return 0;
}

static int take_assignment(struct arguments *args, const char *text, struct error *err)
{
    if (*text == '=')
        return error_set(err, EXIT_USAGE, "\"%s\" on the command line has no key before the =: write key=value without blanks", text);
    if (args->assignments == ARGS_MAX)
        return error_set(err, EXIT_USAGE, "more than %d settings on the command line: put them into a file and pass --config FILE",
                         ARGS_MAX);
    args->assignment[args->assignments++] = text;
    return 0;
}

static int take_operand(struct arguments *args, const char *text, struct error *err)
{
    if (!args->command_given) {
        if (!text_format(args->command, sizeof args->command, "%s", text))
            return error_set(err, EXIT_USAGE, "unknown command \"%s\" (mappo --help lists them)", text);
        args->command_given = true;
        return 0;
    }
    if (args->operands == ARGS_OPERANDS)
        return error_set(err, EXIT_USAGE, "too many arguments, beginning with \"%s\" (mappo --help)", text);
    return expand(args, &args->operand[args->operands++], text, err);
}

/* The value of "--config FILE" or "--config=FILE"; NULL where none follows. */
static const char *option_value(int argc, char **argv, int *i)
{
    const char *equals = strchr(argv[*i], '=');
    if (equals) return equals + 1;
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static int take_config(struct arguments *args, const char *file, struct error *err)
{
    if (!file || !*file) return error_set(err, EXIT_USAGE, "--config needs a file: --config FILE.ini");
    if (args->files == ARGS_FILES) return error_set(err, EXIT_USAGE, "more than %d --config files", ARGS_FILES);
    return expand(args, &args->file[args->files++], file, err);
}

static void take_help(struct arguments *args, int argc, char **argv, int *i)
{
    args->help = true;
    bool follows = *i + 1 < argc && argv[*i + 1][0] != '-' && !strchr(argv[*i + 1], '=');
    if (strchr(argv[*i], '=') || follows) args->help_section = option_value(argc, argv, i);
}

static bool is_option(const char *text, const char *name)
{
    size_t length = strlen(name);
    return strncmp(text, name, length) == 0 && (text[length] == '\0' || text[length] == '=');
}

static int take_option(struct arguments *args, int argc, char **argv, int *i, struct error *err)
{
    const char *text = argv[*i];
    if (is_option(text, "--config")) return take_config(args, option_value(argc, argv, i), err);
    if (is_option(text, "--help") || strcmp(text, "-h") == 0) return take_help(args, argc, argv, i), 0;
    for (int f = 0; f < OPTIONS; f++) {
        if (!options[f].flag || !is_option(text, options[f].name)) continue;
        if (strchr(text, '=')) return error_set(err, EXIT_USAGE, "%s takes no value, but \"%s\" was given", options[f].name, text);
        *(bool *)((char *)args + options[f].flag) = true;
        return 0;
    }
    return unknown_option(text, *i + 1 < argc ? argv[*i + 1] : NULL, err);
}

const char *assignment_split(const char *assignment, char *key, size_t size)
{
    const char *equals = strchr(assignment, '=');
    text_format(key, size, "%.*s", (int)(equals - assignment), assignment);
    return equals + 1;
}

const char *arguments_take(struct arguments *args, const char *key)
{
    char name[128];
    const char *taken = NULL;
    int kept = 0;
    for (int i = 0; i < args->assignments; i++) {
        const char *value = assignment_split(args->assignment[i], name, sizeof name);
        if (strcmp(name, key) == 0)
            taken = value;
        else
            args->assignment[kept++] = args->assignment[i];
    }
    args->assignments = kept;
    return taken;
}

static bool same_key(const char *a, const char *b)
{
    char first[128], second[128];
    assignment_split(a, first, sizeof first);
    assignment_split(b, second, sizeof second);
    return strcmp(first, second) == 0 || (config_find(first) >= 0 && config_find(first) == config_find(second));
}

void arguments_warn_repeated(const struct arguments *args)
{
    for (int i = 0; i < args->assignments; i++)
        for (int j = i + 1; j < args->assignments; j++)
            if (same_key(args->assignment[i], args->assignment[j])) {
                if (strcmp(strchr(args->assignment[i], '='), strchr(args->assignment[j], '=')) != 0)
                    warn("%s is replaced by %s, which follows it on the command line", args->assignment[i], args->assignment[j]);
                break;
            }
}

int arguments_parse(struct arguments *args, int argc, char **argv, struct error *err)
{
    memset(args, 0, sizeof *args);
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i], *equals = strchr(text, '='), *slash = strchr(text, '/');
        int code;
        if (text[0] == '-' && text[1]) code = take_option(args, argc, argv, &i, err);
        /* "runs/lr=3/latest.h5" is a file, "run=runs/a" a setting. */
        else if (equals && (!slash || slash > equals))
            code = take_assignment(args, text, err);
        else
            code = take_operand(args, text, err);
        if (code) return code;
    }
    if (!args->command_given) text_format(args->command, sizeof args->command, "train");
    return 0;
}
