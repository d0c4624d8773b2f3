/* What people read about the keys: --help, --help SECTION, docs/configuration.md. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/choices.h"
#include "config/suggest.h"

enum { WIDTH = 100, VALUES = 55 /* their column */ };

static const struct {
    const char *name, *help;
} sections[] = {
#define SECTION(section, help) {#section, help},
#include "config/config.def"
};
enum { SECTIONS = sizeof sections / sizeof *sections };

const char *config_section(const char *name)
{
    for (int i = 0; i < SECTIONS; i++)
        if (strcmp(sections[i].name, name) == 0) return sections[i].name;
    if (config_group_key(name)) return config_group_keys[0].section;
    int k = config_find(name);
    return k >= 0 ? config_keys[k].section : NULL;
}

const char *config_nearest_section(const char *name)
{
    const char *names[SECTIONS];
    for (int i = 0; i < SECTIONS; i++) names[i] = sections[i].name;
    return text_nearest(name, names, SECTIONS);
}

void help_wrap(FILE *out, const char *text, int indent, int width)
{
    int column = indent;
    for (const char *word = text + strspn(text, " "); *word;) {
        int length = (int)strcspn(word, " "), columns = 0;
        for (int i = 0; i < length; i++) columns += ((unsigned char)word[i] & 0xc0) != 0x80;
        if (column > indent && column + 1 + columns > width) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        }
        column += fprintf(out, "%s%.*s", column > indent ? " " : "", length, word) - length + columns;
        word += length;
        word += strspn(word, " ");
    }
    fputc('\n', out);
}

/* The bare name by which a key may be called; "" where it has none. */
static const char *alias_of(const struct config_key *key)
{
    for (int i = 0; i < config_alias_count(); i++) {
        int k;
        const char *alias = config_alias(i, &k);
        if (&config_keys[k] == key) return alias;
    }
    return "";
}

static void values_text(const struct config_key *key, char *text, size_t size)
{
    static const char *const kinds[] = {"whole number", "number", "true or false", "text", "", "whole numbers, commas between"};
    char range[80];
    config_range_text(key, range, sizeof range);
    if (key->type == KEY_IS_CHOICE)
        config_choices_text(key->choices, " | ", text, size);
    else if (key->type == KEY_IS_INT || key->type == KEY_IS_REAL || key->type == KEY_IS_INTS)
        snprintf(text, size, "%s, %s", kinds[key->type], range);
    else
        snprintf(text, size, "%s", kinds[key->type]);
}

/* ---- what the defaults are by algorithm ------------------------------------------------------------------------------------------------ */

static const char *const algorithm_names[] = {
#define ALGORITHM(name, shares, help) #name,
#include "config/algorithms.def"
};
enum { ALGORITHMS = sizeof algorithm_names / sizeof *algorithm_names };

/* With what each algorithm begins, before any environment says something: [ALGORITHMS], and what they have in common behind them. */
static struct config *beginnings(config_named_preset *named_preset)
{
    struct config *begins = calloc(ALGORITHMS + 1, sizeof *begins);
    CHECK(begins, "out of memory for a page of help");
    for (int a = 0; a <= ALGORITHMS; a++) {
        struct error err = {0};
        config_defaults(&begins[a]);
        if (a == ALGORITHMS) break;
        begins[a].algo_name = a;
        const char *own = named_preset ? named_preset(algorithm_names[a]) : NULL;
        CHECK(!own || !config_load_text(&begins[a], own, "the algorithm's preset", ORIGIN_ENV_PRESET, &err), "%s", err.text);
    }
    return begins;
}

/* Of auto what it means, where the algorithm decides. */
static void beginning_text(const struct config *begins, const struct config_key *key, int a, char *text, size_t size)
{
    const int k = (int)(key - config_keys);
    const struct config *of = &begins[a];
    const bool share = config_policy_share(of);
    if (k == KEY_policy_share && of->policy_share == SHARE_AUTO)
        text_format(text, size, "%s", share ? "true" : "false");
    else if (k == KEY_algo_name)
        text_format(text, size, "%s", key->def);
    else
        config_value(of, k, text, size);
}

/* "0.01 with algo=maddpg, ddpg; …": where algorithms begin with something else than the default; `tick` stands around values. */
static void own_defaults(const struct config *begins, const struct config_key *key, const char *tick, char *text, size_t size)
{
    char usual[CONFIG_TEXT], value[CONFIG_TEXT], other[CONFIG_TEXT];
    bool told[ALGORITHMS] = {false};
    text[0] = '\0';
    if (key < config_keys || key >= config_keys + CONFIG_KEYS) return; /* of groups */
    beginning_text(begins, key, ALGORITHMS, usual, sizeof usual);
    for (int a = 0; a < ALGORITHMS; a++) {
        beginning_text(begins, key, a, value, sizeof value);
        if (told[a] || strcmp(value, usual) == 0) continue;
        size_t used = strlen(text);
        text_format(text + used, size - used, "%s%s%s%s with algo=%s", used ? "; " : "", tick, value, tick, algorithm_names[a]);
        for (int b = a + 1; b < ALGORITHMS; b++) {
            beginning_text(begins, key, b, other, sizeof other);
            if (strcmp(other, value) != 0) continue;
            told[b] = true;
            used = strlen(text);
            text_format(text + used, size - used, ", %s", algorithm_names[b]);
        }
    }
}

/* ---- --help -------------------------------------------------------------------------------------------------------------------------- */

/* "ppo.clip", "group.NAME.algo" */
static void written_name(const struct config_key *key, char *text, size_t size)
{
    const bool of_group = strcmp(key->section, config_group_keys[0].section) == 0;
    text_format(text, size, "%s.%s%s", key->section, of_group ? "NAME." : "", key->name);
}

/* The i-th key of a section, in the order of the table; NULL behind the last. */
static const struct config_key *section_key(int s, int i)
{
    if (strcmp(sections[s].name, config_group_keys[0].section) == 0) return i < CONFIG_GROUP_KEYS ? &config_group_keys[i] : NULL;
    for (int k = 0; k < CONFIG_KEYS; k++)
        if (strcmp(config_keys[k].section, sections[s].name) == 0 && i-- == 0) return &config_keys[k];
    return NULL;
}

static void help_key(FILE *out, const struct config_key *key, const struct config *begins)
{
    char name[96], full[64], values[256], own[256];
    const char *alias = alias_of(key);
    written_name(key, full, sizeof full);
    snprintf(name, sizeof name, "%s%s%s", full, *alias ? ", " : "", alias);
    values_text(key, values, sizeof values);
    fprintf(out, "  %-33s %-18s ", name, key->type == KEY_IS_TEXT && !*key->def ? "(empty)" : key->def);
    help_wrap(out, values, VALUES, WIDTH);
    fputs("      ", out);
    help_wrap(out, key->help, 6, WIDTH);
    own_defaults(begins, key, "", own, sizeof own);
    if (!*own) return;
    fputs("      default ", out);
    help_wrap(out, own, 14, WIDTH);
}

static void help_section(FILE *out, int s, const struct config *begins)
{
    fprintf(out, "%s: ", sections[s].name);
    help_wrap(out, sections[s].help, (int)strlen(sections[s].name) + 2, WIDTH);
    fprintf(out, "\n  %-33s %-18s %s\n", "KEY", "DEFAULT", "VALUES");
    const struct config_key *key;
    for (int i = 0; (key = section_key(s, i)); i++) help_key(out, key, begins);
    if (strcmp(sections[s].name, "env") == 0) fputs("  env.NAME\n      an option of the environment: `mappo envs ENV` lists them\n", out);
}

/* "clip=0.2 clip_schedule=constant …" */
static void help_defaults(FILE *out, int s)
{
    char text[2048] = "";
    const struct config_key *key;
    for (int i = 0; (key = section_key(s, i)); i++)
        text_format(text + strlen(text), sizeof text - strlen(text), "%s=%s ", key->name, key->def);
    fprintf(out, "%*s", 14, "");
    help_wrap(out, text, 14, WIDTH);
}

/* "rollout.envs=16 …" of each algorithm that begins with something else than these. */
static void help_beginnings(FILE *out, const struct config *begins)
{
    for (int a = 0; a < ALGORITHMS; a++) {
        char text[2048] = "", value[CONFIG_TEXT], usual[CONFIG_TEXT];
        for (int k = 0; k < CONFIG_KEYS; k++) {
            beginning_text(begins, &config_keys[k], a, value, sizeof value);
            beginning_text(begins, &config_keys[k], ALGORITHMS, usual, sizeof usual);
            if (strcmp(value, usual) != 0)
                text_format(text + strlen(text), sizeof text - strlen(text), "%s.%s=%s ", config_keys[k].section, config_keys[k].name,
                            value);
        }
        if (!*text) continue;
        fprintf(out, "  algo=%-6s ", algorithm_names[a]);
        help_wrap(out, text, 14, WIDTH);
    }
}

void config_help_defaults(FILE *out, config_named_preset *named_preset)
{
    struct config *begins = beginnings(named_preset);
    for (int s = 0; s < SECTIONS; s++) {
        fprintf(out, "  %-11s ", sections[s].name);
        help_wrap(out, sections[s].help, 14, WIDTH);
        help_defaults(out, s);
    }
    fputs("\nwith other defaults (each can be set all the same)\n", out);
    help_beginnings(out, begins);
    free(begins);
}

void config_help(FILE *out, const char *section, config_named_preset *named_preset)
{
    struct config *begins = beginnings(named_preset);
    const char *found = section ? config_section(section) : NULL;
    bool all = section && strcmp(section, "all") == 0;
    for (int s = 0; s < SECTIONS; s++) {
        if (all || found == sections[s].name || (found && strcmp(found, sections[s].name) == 0)) {
            help_section(out, s, begins);
            if (all && s + 1 < SECTIONS) fputc('\n', out);
        } else if (!section) {
            fprintf(out, "  %-11s ", sections[s].name);
            help_wrap(out, sections[s].help, 14, WIDTH);
        }
    }
    free(begins);
}

/* ---- docs/configuration.md ----------------------------------------------------------------------------------------------------------- */

/* A table cell: a bar would end it. */
static void markdown_cell(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') fputc('\\', out);
        fputc(*text, out);
    }
}

static void markdown_key(FILE *out, const struct config_key *key, const struct config *begins)
{
    char values[256], name[64], own[256];
    const char *alias = alias_of(key);
    values_text(key, values, sizeof values);
    written_name(key, name, sizeof name);
    fprintf(out, "| `%s`", name);
    if (*alias) fprintf(out, ", `%s`", alias);
    own_defaults(begins, key, "`", own, sizeof own);
    if (*key->def)
        fprintf(out, " | `%s`%s%s | ", key->def, *own ? "; " : "", own);
    else
        fputs(" | (empty) | ", out);
    markdown_cell(out, values);
    fputs(" | ", out);
    markdown_cell(out, key->help);
    fprintf(out, "%s |\n", key->flags & NOT_STORED ? " (not kept)" : key->flags & CHANGEABLE ? " (changeable)" : "");
}

static void markdown_intro(FILE *out)
{
    fputs("# Configuration\n\n"
          "Generated by `mappo docs configuration` from `src/config/config.def`; `make docs` renews it.\n\n"
          "Settings are `section.name=value` on the command line, or lines of an ini file passed with `--config FILE`:\n\n"
          "```ini\n[ppo]\nclip = 0.1      ; the key ppo.clip\ngae.lambda = 0.9 ; a whole key may stand in any section\n```\n\n"
          "A later source replaces an earlier one: built-in default, the presets of the suite (`envs/<suite>/suite.ini`) and of the "
          "environment (`<env>.ini` beside it), the preset and options of a variant of it,\n"
          "`preset=NAME`, `--config FILE` (several: in their order), the command line. An algorithm with a preset of its own "
          "(`envs/presets/<algo>.ini`) takes that and `<env>.<algo>.ini` instead of the environment's.\n"
          "Whole numbers may be written `20e6`. An unknown "
          "key, a wrong type or a value out of range "
          "ends the program with exit\n"
          "code 2 before anything is touched, and the nearest key is named.\n\n"
          "In an ini file a value ends at ` ;`, blanks around it don't count, and a line has at most 198 bytes. Files are UTF-8; lines end "
          "as on any\n"
          "system. Values stand without quotes, a comment behind one begins with ` ;`, and a key has one value in a file: anything else is "
          "refused,\n"
          "with its line. The effective configuration of a run stands in its `config.ini` and in every checkpoint.\n\n"
          "Decimals are written with a point, thousands without a mark; where `1,000` or a whole number `1.000` could be either, it is "
          "refused\n"
          "instead of guessed, and so is a number too small to be told from 0. Paths may begin with `~` or `~user`, quoted or not.\n\n"
          "*Changeable* keys may differ when a run is continued; any other difference is refused. *Not kept*: belongs to this call only. "
          "Options of the environment\n"
          "are `env.NAME`, settings of one group of agents `group.NAME.KEY`; `mappo envs ENV` lists options and groups. In an ini file "
          "these stand as\n"
          "`NAME = VALUE` below `[env]`, and as `NAME.KEY = VALUE` below `[group]` (`agent.play = random`).\n",
          out);
}

void config_markdown(FILE *out, config_named_preset *named_preset)
{
    struct config *begins = beginnings(named_preset);
    markdown_intro(out);
    for (int s = 0; s < SECTIONS; s++) {
        fprintf(out, "\n## %s\n\n%s\n\n| key | default | values | meaning |\n|---|---|---|---|\n", sections[s].name, sections[s].help);
        const struct config_key *key;
        for (int i = 0; (key = section_key(s, i)); i++) markdown_key(out, key, begins);
    }
    free(begins);
}
