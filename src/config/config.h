/* The configuration: one table (config.def) gives keys, types, defaults, ranges and help; everything else is generated from it.
 *
 * Precedence: built-in default < the presets of suite and environment (or the algorithm's own) < its variant < preset=NAME < --config FILE < command line. Keys are section.name,
 * split at the last dot; bare aliases stand in the table. `env.NAME` that is not in the table is an option of the environment and is kept as
 * text; the environment checks its value when it is opened. `group.NAME.KEY` is a setting of one group of agents: KEY stands in the table, NAME
 * is checked when the environment is known (config_check_groups). */
#ifndef MAPPO_CONFIG_CONFIG_H
#define MAPPO_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/check.h"

enum { CONFIG_LIST = 8, CONFIG_TEXT = 256, CONFIG_ENV_OPTIONS = 48, CONFIG_GROUP_OPTIONS = 64 };

/* The number of each key: KEY_ppo_clip. */
#define KEY_INT(section, name, def, low, high, flags, help)  KEY_##section##_##name,
#define KEY_INTS(section, name, def, low, high, flags, help) KEY_##section##_##name,
#define KEY_REAL(section, name, def, low, high, flags, help) KEY_##section##_##name,
#define KEY_BOOL(section, name, def, flags, help)            KEY_##section##_##name,
#define KEY_TEXT(section, name, def, flags, help)            KEY_##section##_##name,
#define KEY_CHOICE(section, name, def, choices, flags, help) KEY_##section##_##name,
enum config_key_number {
#include "config/config.def"
    CONFIG_KEYS
};

/* The number of each key that groups have: GROUP_algo. */
#define GROUP_KEY(name, type, def, choices, low, high, flags, help) GROUP_##name,
enum config_group_key {
#include "config/config.def"
    CONFIG_GROUP_KEYS
};

/* In this order a later source replaces an earlier one; "explicit" are options of a variant that was named, preset=, --config and the command
 * line. */
enum config_origin {
    ORIGIN_DEFAULT,
    ORIGIN_ENV_PRESET,
    ORIGIN_VARIANT,
    ORIGIN_PRESET,
    ORIGIN_CHECKPOINT,
    ORIGIN_FILE,
    ORIGIN_COMMAND_LINE
};

struct config_option { /* an option of the environment, or NAME.KEY of a group, as text */
    char name[96], value[CONFIG_TEXT];
    int origin;
    bool changeable; /* may differ when a run is continued, and is no part of its name: how an environment steps, not what it is */
};

/* Members are section_name: config->ppo_clip. INT is int64_t, INTS int64_t[CONFIG_LIST] with 0 behind the last, REAL double, BOOL bool, TEXT char[CONFIG_TEXT], CHOICE int (an index into the
 * key's choices). */
#define KEY_INT(section, name, def, low, high, flags, help)  int64_t section##_##name;
#define KEY_INTS(section, name, def, low, high, flags, help) int64_t section##_##name[CONFIG_LIST];
#define KEY_REAL(section, name, def, low, high, flags, help) double section##_##name;
#define KEY_BOOL(section, name, def, flags, help)            bool section##_##name;
#define KEY_TEXT(section, name, def, flags, help)            char section##_##name[CONFIG_TEXT];
#define KEY_CHOICE(section, name, def, choices, flags, help) int section##_##name;
struct config {
#include "config/config.def"
    struct config_option env_option[CONFIG_ENV_OPTIONS]; /* `env_options` of them, sorted by name */
    int env_options;
    struct config_option group_option[CONFIG_GROUP_OPTIONS]; /* the same of groups: "adversary.algo" */
    int group_options;
    char env_id[CONFIG_TEXT];      /* who the environment is, wherever it comes from (env.name may be a path); empty = not known */
    char env_variant[CONFIG_TEXT]; /* the name of exactly that environment with these options; empty = it has none */
    char env_asked[CONFIG_TEXT];   /* the variant that env.name was, whose options others may have replaced; empty = none */
    char left_out[CONFIG_TEXT];    /* options that preset= sets and the environment doesn't have: "env.rules=on-policy"; empty = none */
    uint8_t origin[CONFIG_KEYS];   /* enum config_origin of each key */
    uint32_t name_hash;            /* set by config_build: of the explicit keys that make this another run; 0 = none */
    uint32_t variant_hash;         /* the same without the environment's options: beside env_variant */
    uint32_t written_hash;         /* the same as older versions had it: options as they were written, policy.feature_norm on by default */
};

enum key_type { KEY_IS_INT, KEY_IS_REAL, KEY_IS_BOOL, KEY_IS_TEXT, KEY_IS_CHOICE, KEY_IS_INTS };
enum key_flags {
    CHANGEABLE = 1, /* may differ when a run is continued */
    NOT_STORED = 2, /* of this call only: not in the checkpoint, not in the run's name */
    UNNAMED = 4,    /* explicit value does not enter the run's folder name */
    MEANING = 8,    /* networks that were trained under another value mean something else, or did another task */
    SINGLE = 16,    /* computed with in 32 bits */
    IS_PATH = 32,   /* of a file or folder: ~ at its beginning is somebody's home */
    IS_SECONDS = 64 /* a time, which people write as "30m" */
};

struct config_key {
    const char *section, *name, *def, *choices, *help; /* choices: "relu|tanh"; of a number: the word that stands for NAN; else NULL */
    int type, flags;
    double low, high;
    size_t offset;
};
extern const struct config_key config_keys[CONFIG_KEYS];
extern const int config_key_count;                                   /* CONFIG_KEYS */
extern const struct config_key config_group_keys[CONFIG_GROUP_KEYS]; /* section: "group"; no offset */
const struct config_key *config_group_key(const char *key);          /* of "group.NAME.KEY"; NULL where it is no such key */

/* What config_build must know of an environment and of presets by name; filled by its callback. Texts live as long as the program. */
struct config_env {
    const char *id;      /* who it is: "mpe/simple_spread" also where the user wrote "simple_spread_v3" or the path of a plugin */
    const char *name;    /* what env.name becomes: a plugin's path; NULL = its id */
    const char *variant; /* that was named; NULL = none */
    struct {
        const char *name, *value; /* every option that the variant sets */
    } set[CONFIG_ENV_OPTIONS];
    int sets;
    struct {
        const char *name, *def; /* every option and its default */
        bool changeable;
    } option[CONFIG_ENV_OPTIONS];
    int options;
    void (*plain)(const char *env, const char *option, char *value, size_t size); /* `env`: as given to config_find_env; NULL: no change */
    const char *(*variant_of)(const struct config *config);                       /* for env_variant; NULL: none is known */
    /* Tuned presets: ini text of a suite ("mpe/suite"), environment or variant by its id, or of one of them for an algorithm with presets of
     * its own ("mpe/suite.maddpg"); NULL where there is none. */
    const char *(*preset)(const char *name);
    const char *(*named_preset)(
        const char *name);                 /* preset=NAME, or that of an algorithm by its name: ini text; NULL where there is none */
    const char *(*named_preset_at)(int i); /* their names, NULL behind the last */
};
/* EXIT_USAGE with the nearest name where there is none. */
typedef int config_find_env(struct config_env *env, const char *name, struct error *err);

void config_defaults(struct config *config);
/* One assignment by name or alias. EXIT_USAGE with the nearest key named, the range, or the choices. `where` completes the message: "on the
 * command line". */
int config_set(struct config *config, const char *key, const char *value, int origin, const char *where, struct error *err);
int config_load(struct config *config, const char *path, int origin, struct error *err);                        /* an ini file */
int config_load_text(struct config *config, const char *text, const char *name, int origin, struct error *err); /* a compiled-in preset */
/* The entries of an ini file as they stand there ("ppo.clip", "0.2"), whether this program knows the keys or not. `name` is for messages. */
int config_entries(const char *text, const char *name, void (*visit)(void *user, const char *key, const char *value), void *user,
                   struct error *err);

/* Everything of the command line. */
enum { ARGS_MAX = 256, ARGS_FILES = 16, ARGS_OPERANDS = 1024 };
struct arguments {
    char command[32];                 /* "train" where none is given */
    const char *assignment[ARGS_MAX]; /* "key=value", in order */
    int assignments;
    const char *file[ARGS_FILES]; /* --config */
    int files;
    const char *operand[ARGS_OPERANDS]; /* what is neither key=value nor an option, after the command: RUN, FILE, NAME */
    int operands;
    bool fresh, quiet, json, check, dry_run, help, version;
    bool command_given;
    const char *help_section;     /* of --help SECTION; NULL = none */
    char label[32];               /* of one run of several that the command line asks for ("seed 3"); "" = it asks for one */
    bool silent;                  /* likewise: what became of it is told by the command, not by the run */
    char env_of_run[CONFIG_TEXT]; /* whose options are meant where nobody names the environment; "" = the default's */
    char room[8192];              /* paths that began with ~ */
    size_t room_used;
};
/* Knows nothing of which commands there are: the first operand is the command. */
int arguments_parse(struct arguments *args, int argc, char **argv, struct error *err);

/* Copies the key of an assignment "key=value"; returns its value. */
const char *assignment_split(const char *assignment, char *key, size_t size);

/* Takes out all assignments of `key`, which is no key of a configuration but the command's own; returns the last one's value, NULL: none. */
const char *arguments_take(struct arguments *args, const char *key);

/* Names of the options without their dashes, "config" and so on; NULL behind the last. */
const char *arguments_option(int i);

/* A line for each setting that a later one on the command line replaces with another value. */
void arguments_warn_repeated(const struct arguments *args);

/* Defaults, presets, files and command line in their order. With `find_env`, env.name becomes the environment's id, every option of the
 * environment that nobody set stands in config->env_option with its default, and an option that it doesn't have is refused; NULL (tests):
 * options are taken as they come. Reads each file once. */
int config_build(struct config *config, const struct arguments *args, config_find_env *find_env, struct error *err);

void config_warn_left_out(const struct config *config); /* a line about what config_build left out, where it did */

/* Is it a task of a suite whose reference decides what networks get (mpe)? There auto of policy.feature_norm and norm.obs follows it. */
bool config_follows_reference(const struct config *config);
/* policy.feature_norm, where auto is decided by that; config_build leaves no auto behind. */
bool config_feature_norm(const struct config *config);
/* policy.share, where auto is decided by the algorithm (algorithms.def); likewise. */
bool config_policy_share(const struct config *config);
/* policy.std, where policy.fixed_std of a stronger source decides: runs of before there was a choice have it alone. */
int config_policy_std(const struct config *config);
/* Makes the two agree, by the stronger source. config_build does. */
void config_decide_std(struct config *config);

/* Only --config and the command line, over what `config` already holds. */
int config_apply(struct config *config, const struct arguments *args, struct error *err);

void config_full_name(int k, char *text, size_t size); /* "ppo.clip" */
/* The value of key k as text that reads back identically. */
void config_value(const struct config *config, int k, char *text, size_t size);
int config_find(const char *key);            /* index by "section.name" or alias; -1 */
int config_choice(int k, const char *value); /* number of the choice of key k by its exact name; -1 */
bool config_is_explicit(int origin);         /* given by a variant, preset=, --config or the command line */
const char *config_origin_where(int origin); /* "on the command line": completes a message */
const char *config_env_option(const struct config *config, const char *name); /* NULL where it isn't set */
/* The i-th of all options of the environment and all settings of groups that were set, and its key: "env.N", "group.adversary.algo"; NULL
 * behind the last. */
const struct config_option *config_option_at(const struct config *config, int i, char *key, size_t size);
/* The value of one by that key; where it isn't set a group's default, or NULL. */
const char *config_option(const struct config *config, const char *key);
int config_option_origin(const struct config *config, const char *key); /* enum config_origin */

/* A setting of one group, its default where nobody set it. */
const char *config_group(const struct config *config, const char *group, int key /* GROUP_algo … */);
int config_group_origin(const struct config *config, const char *group, int key);    /* enum config_origin */
int config_group_algo(const struct config *config, const char *group);               /* as algo_name; algo.name's for auto */
double config_group_number(const struct config *config, const char *group, int key); /* of a key that is a number */
/* EXIT_USAGE where a setting is for a group that is none of these, with their names. */
int config_check_groups(const struct config *config, const char *const *names, int count, struct error *err);

/* Loadable ini with comments, as `config.ini` of a run. Before anything is written, values that would not read back alike are refused. */
int config_write(const struct config *config, FILE *out, struct error *err);
/* Who wrote that text: config_write, unchanged since; version 0.1 of it, which left no checksum, perhaps edited; or a person. */
enum config_author { AUTHOR_RUN, AUTHOR_OLD_RUN, AUTHOR_PERSON };
enum config_author config_author(const char *text);
uint64_t config_hash(const struct config *config); /* of every key that is stored and every option of the environment */

/* Which keys and options of the environment count when two configurations are compared. An option counts as MEANING. */
struct config_comparison {
    bool given;           /* of `now` only those given explicitly */
    bool not_given_then;  /* none that was given explicitly to `then` */
    bool by_id;           /* environments are the same where their ids are: a plugin may have moved */
    int all_of, none_of;  /* enum key_flags */
    bool then_first;      /* the value of `then` is named before that of `now` */
    bool source;          /* what `now` has from a preset or file names it */
    const char *words[3]; /* around the two values: {" (now ", ", before ", ")"} gives "ppo.clip (now 0.3, before 0.2)" */
};
extern const struct config_comparison config_continuing; /* what was given and may not differ from the run that is continued */
extern const struct config_comparison config_meaning;    /* what gives weights of `then` another meaning under `now` */
extern const struct config_comparison config_everything; /* of two ranks */
/* The differences in one line in `text`; returns how many. */
int config_differences(const struct config *now, const struct config *then, const struct config_comparison *how, char *text, size_t size);
/* "runs/mpe-simple_spread-mappo-s1-3f2a91bc": run.dir where given, else from the variant or the environment's id, algo, seed and a hash of
 * the other explicit keys (those whose value is also what it would be without them, and UNNAMED ones, don't count). Where only a folder by an
 * old rule (a plugin's path instead of its id, options as they were written) is there, that. */
void config_run_folder(const struct config *config, char *path, size_t size);
/* A folder that was named by the old rule when the plugin lay elsewhere; false where there is none. */
bool config_older_folder(const struct config *config, char *path, size_t size);

/* Help. A section is asked for by its name, or by a key or alias of it. */
const char *config_section(const char *name); /* the section's name; NULL where there is none */
const char *config_nearest_section(const char *name);
/* The text of a preset, an algorithm's own among them; NULL = there is none of that name. */
typedef const char *config_named_preset(const char *name);
void config_help(FILE *out, const char *section, config_named_preset *); /* NULL: the list of sections; "all": every key */
void config_help_defaults(FILE *out, config_named_preset *);             /* sections with their keys and defaults, shortly */
void config_markdown(FILE *out, config_named_preset *);                  /* docs/configuration.md */

/* Prints `text` from the current column `indent` on, broken at blanks before `width`. */
void help_wrap(FILE *out, const char *text, int indent, int width);

#endif
