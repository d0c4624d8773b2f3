/* Words where a command or nothing more was expected: what may have been meant. */
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "config/suggest.h"
#include "env/plugin.h"
#include "env/registry.h"

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) > strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

/* A file, a run or an environment, where a command or a setting was expected: what it can be used for. "" where it is none of them. */
static void use_of_operand(const char *word, char *text, size_t size)
{
    const struct mappo_env *env;
    struct stat there;
    const bool exists = stat(word, &there) == 0;
    text[0] = '\0';
    if (exists && ends_with(word, ".ini"))
        text_format(text, size, "mappo --config %s reads settings from it", word);
    else if (exists && ends_with(word, ".h5"))
        text_format(text, size, "mappo eval %s plays it, mappo inspect %s shows it", word, word);
    else if (exists && S_ISDIR(there.st_mode))
        text_format(text, size, "mappo run=%s trains in it, mappo eval %s plays a run that is there", word, word);
    else if (!plugin_is_path(word) ? registry_find(word, &env, NULL) == 0 : exists)
        text_format(text, size, "mappo env=%s trains in that environment", word);
}

/* "seed 3" is seed=3. */
static int missing_equals(const char *key, const char *value, struct error *err)
{
    char settings[256];
    suggest_settings(key, value, settings, sizeof settings);
    if (config_find(key) >= 0) return error_set(err, EXIT_USAGE, "\"%s\" is a setting and needs a value: %s", key, settings);
    return error_set(err, EXIT_USAGE, "what is \"%s\"? Settings are written key=value; did you mean %s? (mappo --help)", key, settings);
}

/* "mappo seeds 1-3": no key, but what a command alone takes. */
static int owned_setting(const struct command *command, const char *name, const char *next, struct error *err)
{
    const char *before = strcmp(command->name, "train") == 0 ? "" : command->name;
    return error_set(err, EXIT_USAGE, "\"%s\" is a setting and needs a value: mappo%s%s %s=%s (mappo help %s)", name, *before ? " " : "",
                     before, name, next ? next : "VALUE", name);
}

int unknown_command(const struct arguments *args, struct error *err)
{
    const char *name = text_behind_dashes(args->command), *next = args->operands ? args->operand[0] : NULL, *names[32], *meant = NULL;
    char use[256], settings[256];
    const enum suggestion how = suggest_settings(name, next, settings, sizeof settings);
    for (int i = 0; i < command_count; i++) {
        names[i] = commands[i].name;
        if (commands[i].also && text_lists(commands[i].also, name)) meant = names[i];
        if (commands[i].own && text_lists(commands[i].own, name)) return owned_setting(&commands[i], name, next, err);
    }
    use_of_operand(name, use, sizeof use);
    const char *last = args->assignments ? args->assignment[args->assignments - 1] : "";
    if (ends_with(last, "=")) /* "seed= 3" */
        return error_set(err, EXIT_USAGE, "unknown command \"%s\"; where it is a value, write %s%s without a blank (mappo --help)", name,
                         last, name);
    if (use[0]) return error_set(err, EXIT_USAGE, "\"%s\" is no command: %s (mappo --help)", name, use);
    if (!meant && how == SUGGEST_SPELLING) return missing_equals(name, next, err);
    if (!meant && how != SUGGEST_KNOWN) meant = text_nearest(name, names, command_count);
    if (meant) return error_set(err, EXIT_USAGE, "unknown command \"%s\"; did you mean \"%s\"? (mappo --help lists them)", name, meant);
    if (how != SUGGEST_NOTHING)
        return error_set(err, EXIT_USAGE, "unknown command \"%s\"; did you mean the setting %s? (mappo --help)", name, settings);
    return error_set(err, EXIT_USAGE, "unknown command \"%s\" (mappo --help lists them)", name);
}

int missing_operand(const struct command *command, const struct arguments *args, struct error *err)
{
    for (int i = 0; i < args->assignments; i++) {
        char key[128];
        const char *value = assignment_split(args->assignment[i], key, sizeof key);
        if (text_lists(command->operands, "RUN|FILE") && *value && config_find(key) == KEY_run_dir)
            return error_set(err, EXIT_USAGE, "mappo %s takes the run without %s=: mappo %s %s", command->name, key, command->name, value);
        if (text_lists(command->operands, "ENV") && *value && cmd_check_operand(args, err)) return EXIT_USAGE;
    }
    return error_set(err, EXIT_USAGE, "mappo %s needs %s (mappo %s --help)", command->name, command->operands, command->name);
}

int unknown_operand(const struct command *command, const struct arguments *args, struct error *err)
{
    const char *word = text_behind_dashes(args->operand[command->most]),
               *next = args->operands > command->most + 1 ? args->operand[command->most + 1] : NULL;
    char use[256], settings[256];
    const enum suggestion how = suggest_settings(word, next, settings, sizeof settings);
    if (command->own && text_lists(command->own, word)) return owned_setting(command, word, next, err);
    if (how == SUGGEST_SPELLING || how == SUGGEST_KNOWN) return missing_equals(word, next, err);
    use_of_operand(word, use, sizeof use);
    if (use[0] && !command->most) return error_set(err, EXIT_USAGE, "mappo %s: what is \"%s\"? %s", command->name, word, use);
    return error_set(err, EXIT_USAGE, "mappo %s: what is \"%s\"? (mappo %s --help)", command->name, word, command->name);
}
