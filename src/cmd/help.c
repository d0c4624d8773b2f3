/* mappo help, --help: the pages. Keys come from the configuration's table, commands from theirs. */
#include <stdlib.h>
#include <string.h>

#include "algo/algorithm.h"
#include "base/text.h"
#include "base/version.h"
#include "cmd/cmd.h"
#include "config/suggest.h"
#include "env/registry.h"

enum { WIDTH = 100 };

static const struct {
    int code;
    const char *meaning;
} exit_codes[] = {
    {EXIT_DONE, "done"},
    {EXIT_INTERNAL, "a fault of the program itself"},
    {EXIT_USAGE, "command line or configuration"},
    {EXIT_ENVIRONMENT, "an environment failed"},
    {EXIT_CHECKPOINT, "a checkpoint is missing, damaged or does not fit, or could not be saved"},
    {EXIT_PEERS, "another rank, a device or the watchdog"},
    {EXIT_NUMERICAL, "NaN or infinity in training"},
    {EXIT_DIFFERS, "inspect FILE FILE: the training states differ"},
    {EXIT_STOPPED, "stopped on request (STOP file, signal, closed pipe); saved, the same command continues"},
    {EXIT_CONTINUE, "stopped by a time limit, SIGUSR1, SIGUSR2 or SIGXCPU; saved, the same command continues"},
};

static const char exit_codes_topic[] = "exit-codes";

static void print_exit_codes(FILE *out)
{
    fputs("exit codes\n", out);
    for (size_t i = 0; i < sizeof exit_codes / sizeof *exit_codes; i++)
        fprintf(out, "  %2d  %s\n", exit_codes[i].code, exit_codes[i].meaning);
}

/* Paragraphs divided by newlines. */
static void print_paragraphs(FILE *out, const char *text)
{
    char paragraph[1024];
    while (*text) {
        size_t length = strcspn(text, "\n");
        text_format(paragraph, sizeof paragraph, "%.*s", (int)length, text);
        fputc('\n', out);
        help_wrap(out, paragraph, 0, WIDTH);
        text += length + (text[length] == '\n');
    }
}

static void print_names(FILE *out, const char *before, const char *names)
{
    char line[1024];
    text_format(line, sizeof line, "%s %s", before, names);
    print_paragraphs(out, line);
}

/* Presets explain themselves in the comment at the top of their file. */
static void preset_comment(const char *line, char *comment, size_t size)
{
    comment[0] = '\0';
    for (; *line == '#'; line += strcspn(line, "\n"), line += *line == '\n')
        text_format(comment + strlen(comment), size - strlen(comment), "%.*s ", (int)strcspn(line + 1, "\n"), line + 1);
}

static void print_presets(FILE *out, const char *before)
{
    fprintf(out, "%s  presets (preset=NAME; mappo help NAME tells what one sets)\n", before);
    for (int i = 0; registry_named_preset_at(i); i++) {
        const char *name = registry_named_preset_at(i);
        char comment[1024];
        preset_comment(registry_named_preset(name), comment, sizeof comment);
        fprintf(out, "  %s%s\n      ", config_choice(KEY_algo_name, name) < 0 ? "" : "of algo=", name);
        help_wrap(out, comment, 6, WIDTH);
    }
}

/* "gae.lambda=0.95 env.rules=on-policy": what a preset sets and is no default. */
static void print_preset_settings(FILE *out, const char *name)
{
    struct config *set = malloc(2 * sizeof *set), *usual = set + 1;
    struct error err = {0};
    char text[4096] = "", key[128], value[CONFIG_TEXT], other[CONFIG_TEXT];
    const struct config_option *option;
    CHECK(set, "out of memory for a page of help");
    config_defaults(usual);
    config_defaults(set);
    CHECK(!config_load_text(set, registry_named_preset(name), "the preset", ORIGIN_PRESET, &err), "%s", err.text);
    for (int k = 0; k < config_key_count; k++) {
        config_full_name(k, key, sizeof key);
        config_value(set, k, value, sizeof value);
        config_value(usual, k, other, sizeof other);
        if (strcmp(value, other) != 0) text_format(text + strlen(text), sizeof text - strlen(text), "%s=%s ", key, value);
    }
    for (int i = 0; (option = config_option_at(set, i, key, sizeof key)); i++)
        text_format(text + strlen(text), sizeof text - strlen(text), "%s=%s ", key, option->value);
    fputs("  ", out);
    help_wrap(out, text, 2, WIDTH);
    free(set);
}

/* Of preset=NAME, or of an algorithm's own. */
static void print_preset(FILE *out, const char *name)
{
    char comment[1024];
    const bool own = config_choice(KEY_algo_name, name) >= 0;
    preset_comment(registry_named_preset(name), comment, sizeof comment);
    help_wrap(out, comment, 0, WIDTH);
    fputs(own ? "\nit begins with\n" : "\nit sets\n", out);
    print_preset_settings(out, name);
    if (own) return;
    fputs("and all else of rollout, wrap, policy, critic, ppo, gae, norm and adam to its default, whatever the\n"
          "environment's own preset says. What is given besides wins.\n",
          out);
}

static bool is_algorithm(const char *topic)
{
    return config_choice(KEY_algo_name, topic) >= 0;
}

static void print_algorithm(FILE *out, const char *name)
{
    const struct config_key *key = &config_keys[KEY_algo_name];
    char lead[128], what[256];
    text_format(lead, sizeof lead, "%s: ", name);
    const char *help = strstr(key->help, lead);
    while (help && help > key->help && help[-1] != ' ') help = strstr(help + 1, lead);
    text_format(what, sizeof what, "algo=%s: %.*s", name, help ? (int)strcspn(help + strlen(lead), ";") : 0,
                help ? help + strlen(lead) : "");
    help_wrap(out, what, 0, WIDTH);
    fputs("docs/algorithms.md has the equations, and where they come from.\n", out);
    if (!registry_named_preset(name)) return;
    fputc('\n', out);
    print_preset(out, name);
}

static void print_preset_names(FILE *out)
{
    char names[512] = "";
    for (int i = 0; registry_named_preset_at(i); i++) {
        const char *name = registry_named_preset_at(i);
        if (config_choice(KEY_algo_name, name) < 0)
            text_format(names + strlen(names), sizeof names - strlen(names), "%s%s", *names ? ", " : "", name);
    }
    print_names(out, "presets (preset=NAME; mappo help NAME tells what it sets):", names);
}

static void print_indented(FILE *out, const char *lines)
{
    while (*lines) {
        size_t length = strcspn(lines, "\n");
        fprintf(out, "  %.*s\n", (int)length, lines);
        lines += length + (lines[length] == '\n');
    }
}

static void print_options(FILE *out, int takes)
{
    static const struct {
        int takes;
        const char *text;
    } options[] = {
        {TAKES_SETTINGS, "key=value          a setting; it wins over every file and preset"},
        {TAKES_SETTINGS, "--config FILE.ini  settings from a file; of several the last wins"},
        {TAKES_FRESH, "--fresh            begin anew: the run's old folder is moved aside, never deleted"},
        {TAKES_QUIET, "--quiet, -q        no progress: only warnings and results; of training one line at its end"},
        {TAKES_JSON, "--json             results as JSON, each on a line of its own"},
        {TAKES_DRY_RUN, "--dry-run          only say what a start would refuse, and what memory it needs; changes nothing"},
        {TAKES_CHECK, "--check            verify that checkpoints are whole, by their SHA-256"},
        {0, "--help, -h         this page; mappo help TOPIC: of a section, a setting, all of them, exit-codes"},
        {TAKES_FRESH, "--version          as mappo version"},
    };
    fputs("\noptions\n", out);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (!options[i].takes || options[i].takes & takes) fprintf(out, "  %s\n", options[i].text);
}

static void print_usage(FILE *out, const struct command *command)
{
    bool settings = command->takes & TAKES_SETTINGS;
    fprintf(out, "usage: mappo %s%s%s%s%s%s%s%s%s\n", command->name, *command->operands ? " " : "", command->operands,
            settings ? " [key=value ...] [--config FILE.ini ...]" : "", command->takes & TAKES_FRESH ? " [--fresh]" : "",
            command->takes & TAKES_DRY_RUN ? " [--dry-run]" : "", command->takes & TAKES_QUIET ? " [--quiet]" : "",
            command->takes & TAKES_CHECK ? " [--check]" : "", command->takes & TAKES_JSON ? " [--json]" : "");
}

static void print_command(FILE *out, const struct command *command)
{
    print_usage(out, command);
    print_paragraphs(out, command->about);
    print_options(out, command->takes);
    if (command->section && !*command->section) {
        fputs("\nsettings and their defaults (mappo --help SECTION tells of the keys of one)\n", out);
        config_help_defaults(out, registry_named_preset);
        print_preset_names(out);
    } else if (command->section) {
        fputs("\nsettings\n\n", out);
        config_help(out, command->section, registry_named_preset);
    }
    const bool more = command->looks_at && (!command->section || strcmp(command->looks_at, command->section) != 0);
    if (more) print_names(out, "it looks at:", command->looks_at);
    if (more) fputs("(mappo --help NAME tells more)\n", out);
    if (command->but_not) print_names(out, "it doesn't look at:", command->but_not);
    fputs("\nexamples\n", out);
    print_indented(out, command->examples);
    fputs("\nexit code 0: done; the others: mappo help exit-codes\n", out);
}

static void print_overview(FILE *out)
{
    fprintf(out, "%s\nTrains multi-agent policies (MAPPO, PPO, MADDPG …) on one core or a cluster; continues to the bit.\n",
            version_line());
    fputs("\nusage: mappo [COMMAND] [key=value ...] [--config FILE.ini ...] [options]\n\nbegin here\n", out);
    print_indented(out, "mappo                                        train MAPPO on mpe/simple_spread, on all cores\n"
                        "mappo eval runs/mpe-simple_spread-mappo-s1   how good it has become\n"
                        "mappo env.N=5 seed=3 adam.lr=5e-4            other settings: another run\n"
                        "mpirun -n 64 mappo                           the same on 64 ranks\n"
                        "The same command again continues a run that was stopped.\n");
    fputs("\ncommands (mappo COMMAND --help tells more)\n", out);
    for (int i = 0; i < command_count; i++) fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    print_options(out, TAKES_SETTINGS | TAKES_FRESH | TAKES_QUIET | TAKES_JSON);
    static const char *const common[] = {"env", "seed", "run", "threads", "preset", "train.env_steps", "rollout.envs"};
    fputs("\nsettings that most people change\n", out);
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
        const struct config_key *key = &config_keys[config_find(common[i])];
        char name[96];
        text_format(name, sizeof name, "%s=%s", common[i], key->def);
        fprintf(out, "  %-26s ", name);
        help_wrap(out, key->help, 29, WIDTH);
    }
    fputs("  env.NAME=VALUE             an option of the environment (mappo envs ENV lists them)\n", out);
    fputs("\nsections of settings (mappo --help SECTION lists the keys of one)\n", out);
    config_help(out, NULL, NULL);
    fputs("\nmappo help TOPIC tells more: a command, a section, a setting, all (settings), an\nalgorithm, a preset, exit-codes; lists: "
          "keys, algorithms, presets\n",
          out);
}

/* ---- lists ---------------------------------------------------------------------------------------------------------------------------- */

static void print_algorithms(FILE *out)
{
    fputs("  algorithms (algo=NAME; mappo help NAME tells what one begins with, docs/algorithms.md has the equations)\n", out);
    for (int i = 0; algorithms[i].name; i++) {
        fprintf(out, "  %-9s ", algorithms[i].name);
        help_wrap(out, algorithms[i].help, 12, WIDTH);
    }
}

static void print_keys(FILE *out)
{
    fputs("settings and their defaults (mappo help SECTION tells of the keys of one, mappo help all of every key)\n", out);
    config_help_defaults(out, registry_named_preset);
}

static void print_presets_alone(FILE *out)
{
    print_presets(out, "");
}

/* Topics that list what there is of something. */
static const struct {
    const char *name;
    void (*print)(FILE *out);
} lists[] = {{"presets", print_presets_alone}, {"algorithms", print_algorithms}, {"keys", print_keys}};
enum { LISTS = sizeof lists / sizeof *lists };

static int list_named(const char *topic)
{
    for (int i = 0; i < LISTS; i++)
        if (strcmp(lists[i].name, topic) == 0) return i;
    return -1;
}

static bool is_section(const char *topic)
{
    return strcmp(topic, "all") == 0 || config_section(topic);
}

/* "gru" is no topic, but what policy.kind may be. */
static int check_choices(const char *topic, struct error *err)
{
    for (int k = 0; k < config_key_count; k++) {
        if (config_keys[k].type != KEY_IS_CHOICE || config_choice(k, topic) < 0) continue;
        char key[96];
        config_full_name(k, key, sizeof key);
        return error_set(err, EXIT_USAGE, "no help on \"%s\": it is a value of %s (mappo help %s)", topic, key, key);
    }
    return 0;
}

/* What only one command takes and is no key, as seeds=: its page explains it. NULL: nobody's. */
static const struct command *command_owning(const char *topic)
{
    for (int i = 0; i < command_count; i++)
        if (commands[i].own && text_lists(commands[i].own, topic)) return &commands[i];
    return NULL;
}

/* A command's name, "exit-codes", "all", a section or a key of it, an algorithm, a preset. */
static int topic_check(const char *topic, struct error *err)
{
    if (is_section(topic) || strcmp(topic, exit_codes_topic) == 0 || command_named(topic)) return 0;
    if (is_algorithm(topic) || registry_named_preset(topic) || list_named(topic) >= 0 || command_owning(topic)) return 0;
    if (check_choices(topic, err)) return EXIT_USAGE;
    if (strncmp(topic, "env.", 4) == 0)
        return error_set(err, EXIT_USAGE,
                         "no help on \"%s\": mappo envs ENV explains the options of an environment (mappo envs lists them)", topic);
    struct suggested key;
    suggest_keys(topic, &key);
    const char *names[64];
    int count = 0;
    if (config_nearest_section(topic)) names[count++] = config_nearest_section(topic);
    for (int i = 0; i < command_count; i++) names[count++] = commands[i].name;
    for (int i = 0; registry_named_preset_at(i); i++) names[count++] = registry_named_preset_at(i);
    names[count++] = exit_codes_topic;
    for (int i = 0; i < LISTS; i++) names[count++] = lists[i].name;
    CHECK(count <= (int)(sizeof names / sizeof *names), "more topics than room");
    const char *nearest = text_nearest(topic, names, count);
    if (key.keys && (!nearest || key.how != SUGGEST_NEAR)) nearest = key.key[0];
    if (nearest)
        return error_set(err, EXIT_USAGE, "no help on \"%s\"; did you mean \"%s\"? (mappo --help lists commands and sections)", topic,
                         nearest);
    return error_set(err, EXIT_USAGE, "no help on \"%s\" (mappo --help lists commands and sections)", topic);
}

static void print_topic(FILE *out, const char *topic)
{
    if (is_section(topic)) {
        config_help(out, topic, registry_named_preset);
        if (strcmp(topic, "all") != 0 && strcmp(config_section(topic), "preset") == 0) print_presets(out, "\n");
        if (is_algorithm(topic)) fputc('\n', out);
    }
    if (list_named(topic) >= 0)
        lists[list_named(topic)].print(out);
    else if (is_algorithm(topic))
        print_algorithm(out, topic);
    else if (is_section(topic))
        return;
    else if (registry_named_preset(topic))
        print_preset(out, topic);
    else if (strcmp(topic, exit_codes_topic) == 0)
        print_exit_codes(out);
    else
        print_command(out, command_named(topic) ? command_named(topic) : command_owning(topic));
}

int help_check(const struct arguments *args, struct error *err)
{
    return args->help && args->help_section ? topic_check(args->help_section, err) : 0;
}

void help_print(FILE *out, const struct arguments *args)
{
    if (args->help_section)
        print_topic(out, args->help_section);
    else if (args->command_given)
        print_command(out, command_named(args->command));
    else
        print_overview(out);
}

/* A command's page comes before a section of the same name: it says where that is. */
int cmd_help(const struct arguments *args, struct comm *comm)
{
    struct error err = {0};
    const char *topic = args->operands ? args->operand[0] : NULL;
    if (topic && topic_check(topic, &err)) return error_report(&err);
    if (comm->rank) return EXIT_DONE;
    if (!topic)
        print_overview(stdout);
    else if (command_named(topic))
        print_command(stdout, command_named(topic));
    else
        print_topic(stdout, topic);
    return EXIT_DONE;
}
