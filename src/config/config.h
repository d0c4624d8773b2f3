/* The configuration: one table (config.def) gives keys, types, defaults, ranges and help; everything else is generated from it.
 *
 * Precedence: built-in default < the environment's preset < preset=NAME < --config FILE < command line. Keys are section.name, split at the last dot; bare aliases stand
 * in the table. `env.NAME` that is not in the table is an option of the environment and is kept as text until the environment is known. */
#ifndef MAPPO_CONFIG_CONFIG_H
#define MAPPO_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/check.h"

enum { CONFIG_TEXT = 256, CONFIG_ENV_OPTIONS = 48 };

/* Members are section_name: config->ppo_clip. INT is int64_t, REAL double, BOOL bool, TEXT char[CONFIG_TEXT], CHOICE int (an index into the key's choices). */
#define KEY_INT(section, name, def, low, high, flags, help) int64_t section##_##name;
#define KEY_REAL(section, name, def, low, high, flags, help) double section##_##name;
#define KEY_BOOL(section, name, def, flags, help) bool section##_##name;
#define KEY_TEXT(section, name, def, flags, help) char section##_##name[CONFIG_TEXT];
#define KEY_CHOICE(section, name, def, choices, flags, help) int section##_##name;
#define ALIAS(alias, section, name)
#define SECTION(section, help)

enum config_origin { ORIGIN_DEFAULT, ORIGIN_ENV_PRESET, ORIGIN_PRESET, ORIGIN_CHECKPOINT, ORIGIN_FILE, ORIGIN_COMMAND_LINE };

struct config_option { /* an option of the environment, as text */
    char name[64], value[CONFIG_TEXT];
    int origin;
};

struct config {
#include "config/config.def"
    struct config_option env_option[CONFIG_ENV_OPTIONS];
    int env_options;
    uint8_t origin[160]; /* [keys] enum config_origin, in the order of the table */
};

#undef KEY_INT
#undef KEY_REAL
#undef KEY_BOOL
#undef KEY_TEXT
#undef KEY_CHOICE
#undef ALIAS
#undef SECTION

enum key_type { KEY_IS_INT, KEY_IS_REAL, KEY_IS_BOOL, KEY_IS_TEXT, KEY_IS_CHOICE };
enum key_flags {
    CHANGEABLE = 1, /* may differ when a run is continued */
    NOT_STORED = 2, /* of this call only: not in the checkpoint, not in the run's name */
    UNNAMED = 4     /* explicit value does not enter the run's folder name */
};

struct config_key {
    const char *section, *name, *def, *choices, *help; /* choices: "relu|tanh" */
    int type, flags;
    double low, high;
    size_t offset;
};
extern const struct config_key config_keys[];
extern const int config_key_count;

void config_defaults(struct config *config);
/* One assignment by name or alias. EXIT_USAGE with the nearest key named, the range, or the choices. */
int config_set(struct config *config, const char *key, const char *value, int origin, const char *where, struct error *err);
int config_load(struct config *config, const char *path, int origin, struct error *err);                       /* an ini file */
int config_load_text(struct config *config, const char *text, const char *name, int origin, struct error *err); /* a compiled-in preset */

/* Everything of the command line. */
enum { ARGS_MAX = 256 };
struct arguments {
    char command[32];                /* "train" where none is given */
    const char *assignment[ARGS_MAX]; /* "key=value", in order */
    int assignments;
    const char *file[16];            /* --config */
    int files;
    const char *operand[16];         /* what is neither key=value nor an option: RUN, FILE, NAME */
    int operands;
    bool fresh, quiet, json, check, debug, help, version;
    const char *help_section;
};
int arguments_parse(struct arguments *args, int argc, char **argv, struct error *err);

/* Defaults, presets, files and command line in their order. `env_preset` gives the preset text of an environment by name (may return NULL). */
int config_build(struct config *config, const struct arguments *args, const char *(*env_preset)(const char *env), struct error *err);

/* The value of key k as text that reads back identically. */
void config_value(const struct config *config, int k, char *text, size_t size);
int config_find(const char *key); /* index by "section.name" or alias; -1 */

/* Loadable ini with comments, as `config.ini` of a run. Refuses a value that would not read back identically. */
int config_write(const struct config *config, FILE *out, struct error *err);
uint64_t config_hash(const struct config *config);                                       /* of everything that training depends on */
/* Keys (not CHANGEABLE) given explicitly in `now` that differ from `then`: one line in `text`; returns how many. */
int config_differences(const struct config *now, const struct config *then, char *text, size_t size);
/* "runs/mpe-simple_spread-mappo-s1-3f2a91bc": run.dir where given, else from env, algo, seed and a hash of the other explicit keys. */
void config_run_folder(const struct config *config, char *path, size_t size);

void config_help(FILE *out, const char *section); /* NULL: overview of all sections */
void config_markdown(FILE *out);                  /* docs/configuration.md */

#endif
