/* The table, and one key at a time: finding, setting, reading back. */
#include "config/config.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/number.h"
#include "base/text.h"
#include "config/config_file.h"
#include "config/suggest.h"

/* "auto|mappo|ippo" of groups; algo.name: "mappo|ippo", "mappo: …; ippo: …", behind the first separator. */
#define ALGORITHM(name, shares, help) "|" #name
static const char algorithms_joined[] = "auto"
#include "config/algorithms.def"
    ;
#define ALGORITHM(name, shares, help) "; " #name ": " help
static const char algorithms_explained[] =
#include "config/algorithms.def"
    ;
#define GROUP_ALGORITHMS  algorithms_joined
#define ALGORITHM_CHOICES (algorithms_joined + sizeof "auto")
#define ALGORITHM_HELP    (algorithms_explained + 2)

#define OFFSET(section, name) offsetof(struct config, section##_##name)
#define KEY_INT(section, name, def, low, high, flags, help)                                                                                \
    {#section, #name, #def, NULL, help, KEY_IS_INT, flags, low, high, OFFSET(section, name)},
#define KEY_INTS(section, name, def, low, high, flags, help)                                                                               \
    {#section, #name, def, NULL, help, KEY_IS_INTS, flags, low, high, OFFSET(section, name)},
#define KEY_INTS_OR(section, name, word, low, high, flags, help)                                                                           \
    {#section, #name, word, word, help, KEY_IS_INTS, flags, low, high, OFFSET(section, name)},
#define KEY_REAL(section, name, def, low, high, flags, help)                                                                               \
    {#section, #name, #def, NULL, help, KEY_IS_REAL, flags, low, high, OFFSET(section, name)},
#define KEY_REAL_OR(section, name, def, word, low, high, flags, help)                                                                      \
    {#section, #name, #def, word, help, KEY_IS_REAL, flags, low, high, OFFSET(section, name)},
#define KEY_BOOL(section, name, def, flags, help) {#section, #name, #def, NULL, help, KEY_IS_BOOL, flags, 0, 1, OFFSET(section, name)},
#define KEY_TEXT(section, name, def, flags, help) {#section, #name, def, NULL, help, KEY_IS_TEXT, flags, 0, 0, OFFSET(section, name)},
#define KEY_CHOICE(section, name, def, choices, flags, help)                                                                               \
    {#section, #name, def, choices, help, KEY_IS_CHOICE, flags, 0, 0, OFFSET(section, name)},
const struct config_key config_keys[CONFIG_KEYS] = {
#include "config/config.def"
};
const int config_key_count = CONFIG_KEYS;

#define GROUP_KEY(name, type, def, choices, low, high, flags, help)                                                                        \
    {"group", #name, def, choices, help, KEY_IS_##type, flags, low, high, 0},
const struct config_key config_group_keys[CONFIG_GROUP_KEYS] = {
#include "config/config.def"
};

static const struct {
    const char *alias;
    int key;
} aliases[] = {
#define ALIAS(alias, section, name) {#alias, KEY_##section##_##name},
#include "config/config.def"
};
enum { ALIASES = sizeof aliases / sizeof *aliases };

int config_alias_count(void)
{
    return ALIASES;
}

const char *config_alias(int i, int *key)
{
    *key = aliases[i].key;
    return aliases[i].alias;
}

int config_find(const char *key)
{
    const char *dot = strrchr(key, '.');
    if (!dot) {
        for (int i = 0; i < ALIASES; i++)
            if (strcmp(aliases[i].alias, key) == 0) return aliases[i].key;
        return -1;
    }
    size_t length = (size_t)(dot - key);
    for (int k = 0; k < CONFIG_KEYS; k++) {
        const struct config_key *entry = &config_keys[k];
        bool same_section = strncmp(entry->section, key, length) == 0 && entry->section[length] == '\0';
        if (same_section && strcmp(entry->name, dot + 1) == 0) return k;
    }
    return -1;
}

bool config_is_explicit(int origin)
{
    return origin == ORIGIN_VARIANT || origin == ORIGIN_PRESET || origin == ORIGIN_FILE || origin == ORIGIN_COMMAND_LINE;
}

/* ---- choices ------------------------------------------------------------------------------------------------------------------------- */

/* Choice i of "relu|tanh"; NULL behind the last and for -1. */
static const char *choice_at(const char *choices, int i, size_t *length)
{
    if (i < 0) return NULL;
    for (; i > 0 && choices; i--) {
        choices = strchr(choices, '|');
        if (choices) choices++;
    }
    if (choices) *length = strcspn(choices, "|");
    return choices;
}

static int choice_find(const char *choices, const char *value)
{
    size_t length = 0;
    const char *choice;
    for (int i = 0; (choice = choice_at(choices, i, &length)); i++)
        if (strlen(value) == length && strncmp(choice, value, length) == 0) return i;
    return -1;
}

int config_choice(int k, const char *value)
{
    return choice_find(config_keys[k].choices, value);
}

/* The choice that differs only in capitals and marks ("Tanh", "AVX-512"); -1 where none does. What merely looks alike may mean the
 * opposite: "gpu" is nearer to "cpu" than to "cuda". */
static int choice_meant(const char *choices, const char *value)
{
    size_t length = 0;
    const char *choice;
    for (int i = 0; (choice = choice_at(choices, i, &length)); i++) {
        char name[64];
        text_format(name, sizeof name, "%.*s", (int)length, choice);
        if (text_same_letters(name, value)) return i;
    }
    return -1;
}

void config_choices_text(const char *choices, const char *separator, char *text, size_t size)
{
    size_t length = 0, used = 0;
    const char *choice;
    text[0] = '\0';
    for (int i = 0; (choice = choice_at(choices, i, &length)) && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%.*s", i ? separator : "", (int)length, choice);
}

/* ---- setting one key ----------------------------------------------------------------------------------------------------------------- */

static void bound_text(char *text, size_t size, double value)
{
    /* "1e15" reads better than fifteen zeros. */
    int exponent = value >= 1e6 ? (int)floor(log10(value) + 1e-12) : 0;
    double lead = value / pow(10, exponent);
    if (exponent && lead == floor(lead))
        snprintf(text, size, "%.0fe%d", lead, exponent);
    else
        text_short_real(text, size, value);
}

void config_range_text(const struct config_key *key, char *text, size_t size)
{
    char low[32], high[32];
    bound_text(low, sizeof low, key->low);
    bound_text(high, sizeof high, key->high);
    snprintf(text, size, "%s .. %s%s%s", low, high, key->choices ? ", or " : "", key->choices ? key->choices : "");
}

/* "0 = off": what the help says of a number that means something else. */
static int special_length(const char *help, const char **special)
{
    *special = strstr(help, "0 = ");
    if (*special > help && (*special)[-1] != ' ' && (*special)[-1] != '-') *special = NULL;
    return *special ? (int)strcspn(*special, ";") : 0;
}

/* `given`: "ppo.clip=x on the command line"; of a list "policy.hidden=64,x on the command line: x". */
static int number_error(const struct config_key *key, const char *given, const char *value, struct error *err)
{
    char advice[128], range[80];
    const bool whole = key->type != KEY_IS_REAL;
    const struct number_kind kind = {whole, (key->flags & IS_SECONDS) != 0, key->low, key->high};
    const char *what = whole ? "a whole number" : "a number", *special;
    number_advice(value, &kind, advice, sizeof advice);
    if (advice[0]) return error_set(err, EXIT_USAGE, "%s is not %s%s", given, what, advice);
    config_range_text(key, range, sizeof range);
    const int length = special_length(key->help, &special);
    if (length) return error_set(err, EXIT_USAGE, "%s is not %s (%s; %.*s)", given, what, range, length, special);
    return error_set(err, EXIT_USAGE, "%s is not %s (%s)", given, what, range);
}

static int range_error(const struct config_key *key, const char *given, struct error *err)
{
    char range[80];
    config_range_text(key, range, sizeof range);
    return error_set(err, EXIT_USAGE, "%s is out of range %s", given, range);
}

/* A number that 32 bits can't tell from 0, or from an end of its range, would silently mean something else: "off", "learned". */
static int check_size(const struct config_key *key, double number, const char *given, struct error *err)
{
    const bool rounds = key->flags & SINGLE && (float)number == (float)key->high && number < key->high;
    if (number != 0 && fabs(number) < (double)FLT_MIN) {
        const char *special;
        const int length = special_length(key->help, &special);
        return error_set(err, EXIT_USAGE, "%s is too small to be told from 0%s%.*s%s: write 0, or a number of at least 1.2e-38", given,
                         length ? " (" : "", length, length ? special : "", length ? ")" : "");
    }
    if (!rounds) return 0;
    char high[32];
    bound_text(high, sizeof high, key->high);
    return error_set(err, EXIT_USAGE, "%s is too close to %s to be told from it in 32 bits: write %s, or a number farther off", given, high,
                     high);
}

static int set_real(double *member, const struct config_key *key, const char *given, const char *value, struct error *err)
{
    double number;
    if (key->choices && strcmp(value, key->choices) == 0) {
        *member = NAN;
        return 0;
    }
    if (!text_to_real(value, &number)) {
        if (!text_is_decimal(value)) return number_error(key, given, value, err);
        /* Too large or too small for 64 bits. */
        number = strtod(value, NULL);
        return number == 0 ? check_size(key, DBL_MIN * DBL_EPSILON, given, err) : range_error(key, given, err);
    }
    if (number < key->low || number > key->high) return range_error(key, given, err);
    *member = number + 0.0; /* -0 is 0 */
    return 0;
}

static int set_int(int64_t *member, const struct config_key *key, const char *given, const char *value, struct error *err)
{
    int64_t whole;
    if (!text_to_int(value, &whole)) {
        /* A number, but too large for 64 bits: that is a matter of range. */
        const bool large = text_is_decimal(value) && fabs(strtod(value, NULL)) > 9e18;
        return large ? range_error(key, given, err) : number_error(key, given, value, err);
    }
    if ((double)whole < key->low || (double)whole > key->high) return range_error(key, given, err);
    *member = whole;
    return 0;
}

/* Blanks around a number don't count. */
static int set_ints(int64_t *member, const struct config_key *key, const char *given, const char *value, struct error *err)
{
    int64_t list[CONFIG_LIST] = {0};
    int count = 0;
    if (key->choices && strcmp(value, key->choices) == 0) {
        memcpy(member, list, sizeof list);
        return 0;
    }
    for (const char *at = value;; at += strcspn(at, ",") + 1) {
        char one[CONFIG_TEXT], lead[4 * CONFIG_TEXT];
        at += strspn(at, " ");
        int length = (int)strcspn(at, ",");
        const bool last = !at[length], alone = last && count == 0;
        while (length > 0 && at[length - 1] == ' ') length--;
        if (length == 0 && !alone)
            return error_set(err, EXIT_USAGE,
                             "%s lacks a number beside one of its commas: write whole numbers with commas between, as 64,32", given);
        if (count == CONFIG_LIST) return error_set(err, EXIT_USAGE, "%s has more than %d numbers", given, CONFIG_LIST);
        text_format(one, sizeof one, "%.*s", length, at);
        if (key->choices && strcmp(one, key->choices) == 0)
            return error_set(err, EXIT_USAGE, "%s: %s stands alone, without numbers", given, one);
        text_format(lead, sizeof lead, "%s%s%s", given, alone ? "" : ": ", alone ? "" : one);
        const int code = set_int(&list[count++], key, lead, one, err);
        if (code) return code;
        if (last) break;
    }
    memcpy(member, list, sizeof list);
    return 0;
}

/* What others call a choice, or others have in its place; *near: the settings are not the same thing. NULL where nobody does. */
static const char *foreign_choice(const struct config_key *key, const char *value, bool *near)
{
    static const struct {
        const char *section, *name, *value, *settings;
        bool near;
    } foreign[] = {
#define FOREIGN_VALUE(section, name, value, settings) {#section, #name, value, settings, false},
#define FOREIGN_NEAR(section, name, value, settings)  {#section, #name, value, settings, true},
#include "config/config.def"
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (strcmp(foreign[i].section, key->section) == 0 && strcmp(foreign[i].name, key->name) == 0 &&
            text_same_letters(foreign[i].value, value)) {
            *near = foreign[i].near;
            return foreign[i].settings;
        }
    return NULL;
}

static int choice_error(const struct config_key *key, const char *name, const char *value, const char *where, struct error *err)
{
    char all[256];
    config_choices_text(key->choices, ", ", all, sizeof all);
    size_t length;
    const char *meant = choice_at(key->choices, choice_meant(key->choices, value), &length);
    if (meant) return error_set(err, EXIT_USAGE, "%s=%s %s is none of %s: write %.*s", name, value, where, all, (int)length, meant);
    bool near;
    const char *known = foreign_choice(key, value, &near);
    return error_set(err, EXIT_USAGE, "%s=%s %s is none of %s%s%s", name, value, where, all,
                     !known ? ""
                     : near ? ": nearest to it here is "
                            : ": here that is ",
                     known ? known : "");
}

static bool is_one_line(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == 0x7f) return false;
    return true;
}

/* What a configuration file would not give back: libinih ends a value at " ;", drops blanks around it and cuts long lines. Refused here,
 * before anything is touched, rather than when config.ini is written. `key` is NULL for options of the environment. */
static int check_text(const struct config_key *key, const char *name, const char *value, const char *where, struct error *err)
{
    const char *bare = strrchr(name, '.') ? strrchr(name, '.') + 1 : name;
    if (strncmp(name, "group.", strlen("group.")) == 0) bare = name; /* as config.ini has it */
    bool stored = !key || !(key->flags & NOT_STORED);
    size_t length = strlen(value), most = CONFIG_TEXT - 1;
    if (stored && most > CONFIG_LINE - strlen(" = ") - strlen(bare)) most = CONFIG_LINE - strlen(" = ") - strlen(bare);
    if (length > most) return error_set(err, EXIT_USAGE, "%s %s has %zu characters; it may have %zu", name, where, length, most);
    if (!is_one_line(value)) return error_set(err, EXIT_USAGE, "%s=%s %s holds a control character", name, value, where);
    bool blank = length && (value[0] == ' ' || value[length - 1] == ' ');
    if (stored && (blank || value[0] == ';' || strstr(value, " ;")))
        return error_set(err, EXIT_USAGE,
                         "%s=\"%s\" %s can't be kept in a configuration file: a value may not begin or end with a blank or hold \" ;\"",
                         name, value, where);
    return 0;
}

static int set_member(void *member, const struct config_key *key, const char *name, const char *value, const char *where, struct error *err)
{
    bool yes;
    int choice;
    char given[3 * CONFIG_TEXT];
    text_format(given, sizeof given, "%s=%s %s", name, value, where);
    switch (key->type) {
    case KEY_IS_INT:
        return set_int(member, key, given, value, err);
    case KEY_IS_INTS:
        return set_ints(member, key, given, value, err);
    case KEY_IS_REAL:
        return set_real(member, key, given, value, err);
    case KEY_IS_BOOL:
        if (!text_to_bool(value, &yes))
            return error_set(err, EXIT_USAGE, "%s=%s %s is neither true nor false (0 1 true false yes no on off)", name, value, where);
        *(bool *)member = yes;
        return 0;
    case KEY_IS_CHOICE:
        choice = choice_find(key->choices, value);
        if (choice < 0 && text_to_bool(value, &yes)) choice = choice_find(key->choices, yes ? "true" : "false");
        if (choice < 0 && text_to_bool(value, &yes)) choice = choice_find(key->choices, yes ? "on" : "off");
        if (choice < 0 && key == &config_keys[KEY_ppo_clip_value] && text_to_bool(value, &yes) && yes)
            choice = choice_find(key->choices, "max"); /* it was true or false before */
        if (choice < 0) return choice_error(key, name, value, where, err);
        *(int *)member = choice;
        return 0;
    default:
        if (check_text(key, name, value, where, err)) return EXIT_USAGE;
        snprintf((char *)member, CONFIG_TEXT, "%s", value);
        return 0;
    }
}

static void member_text(const void *member, const struct config_key *key, char *text, size_t size)
{
    size_t length = 0;
    const char *choice;
    switch (key->type) {
    case KEY_IS_INT:
        snprintf(text, size, "%lld", (long long)*(const int64_t *)member);
        return;
    case KEY_IS_INTS:
        if (key->choices && ((const int64_t *)member)[0] == 0) snprintf(text, size, "%s", key->choices);
        for (int i = 0; i < CONFIG_LIST && ((const int64_t *)member)[i]; i++, length = strlen(text))
            snprintf(text + length, size - length, "%s%lld", i ? "," : "", (long long)((const int64_t *)member)[i]);
        return;
    case KEY_IS_REAL:
        if (key->choices && isnan(*(const double *)member))
            snprintf(text, size, "%s", key->choices);
        else
            text_short_real(text, size, *(const double *)member);
        return;
    case KEY_IS_BOOL:
        snprintf(text, size, "%s", *(const bool *)member ? "true" : "false");
        return;
    case KEY_IS_CHOICE:
        choice = choice_at(key->choices, *(const int *)member, &length);
        CHECK(choice, "%s.%s has no choice %d", key->section, key->name, *(const int *)member);
        snprintf(text, size, "%.*s", (int)length, choice);
        return;
    default:
        snprintf(text, size, "%s", (const char *)member);
    }
}

/* ---- options of the environment, settings of groups ---------------------------------------------------------------------------------- */

static bool is_option_name(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length < 64 && name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/* Kept sorted by name, so that the order in which they were given changes no hash; NULL where `most` are there already. */
static struct config_option *option_place(struct config_option *list, int *count, int most, const char *name)
{
    int at = 0;
    while (at < *count && strcmp(list[at].name, name) < 0) at++;
    struct config_option *option = &list[at];
    if (at < *count && strcmp(option->name, name) == 0) return option;
    if (*count == most) return NULL;
    memmove(option + 1, option, (size_t)(*count - at) * sizeof *option);
    (*count)++;
    memset(option, 0, sizeof *option);
    snprintf(option->name, sizeof option->name, "%s", name);
    return option;
}

static int set_env_option(struct config *config, const char *key, const char *value, int origin, const char *where, struct error *err)
{
    if (check_text(NULL, key, value, where, err)) return EXIT_USAGE;
    struct config_option *option = option_place(config->env_option, &config->env_options, CONFIG_ENV_OPTIONS, key + strlen("env."));
    if (!option) return error_set(err, EXIT_USAGE, "%s %s: more than %d options of the environment", key, where, CONFIG_ENV_OPTIONS);
    snprintf(option->value, sizeof option->value, "%s", value);
    option->origin = origin;
    return 0;
}

const struct config_key *config_group_key(const char *key)
{
    const char *name = key + strlen("group."), *dot = strrchr(key, '.');
    if (strncmp(key, "group.", strlen("group.")) != 0 || dot <= name) return NULL;
    for (int k = 0; k < CONFIG_GROUP_KEYS; k++)
        if (strcmp(config_group_keys[k].name, dot + 1) == 0) return &config_group_keys[k];
    return NULL;
}

/* Kept as the text that its value would be written with. */
static int set_group_option(struct config *config, const struct config_key *entry, const char *key, const char *value, int origin,
                            const char *where, struct error *err)
{
    union {
        int64_t i;
        double r;
        bool b;
        int choice;
        char text[CONFIG_TEXT];
    } member;
    const char *name = key + strlen("group.");
    const size_t length = (size_t)(strrchr(name, '.') - name);
    if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+.") < length || length > 63)
        return error_set(err, EXIT_USAGE, "%s %s: a group's name can only be given in letters, digits and _-+., at most 63", key, where);
    if (set_member(&member, entry, key, value, where, err)) return EXIT_USAGE;
    struct config_option *option = option_place(config->group_option, &config->group_options, CONFIG_GROUP_OPTIONS, name);
    if (!option) return error_set(err, EXIT_USAGE, "%s %s: more than %d settings of groups", key, where, CONFIG_GROUP_OPTIONS);
    member_text(&member, entry, option->value, sizeof option->value);
    option->origin = origin;
    return 0;
}

const struct config_option *config_option_at(const struct config *config, int i, char *key, size_t size)
{
    const bool env = i < config->env_options;
    if (i >= config->env_options + config->group_options) return NULL;
    const struct config_option *option = env ? &config->env_option[i] : &config->group_option[i - config->env_options];
    text_format(key, size, "%s.%s", env ? "env" : "group", option->name);
    return option;
}

static const struct config_option *find_option(const struct config *config, const char *key)
{
    char name[128];
    const struct config_option *option;
    for (int i = 0; (option = config_option_at(config, i, name, sizeof name)); i++)
        if (strcmp(name, key) == 0) break;
    return option;
}

const char *config_option(const struct config *config, const char *key)
{
    const struct config_option *option = find_option(config, key);
    return option ? option->value : config_group_key(key) ? config_group_key(key)->def : NULL;
}

int config_option_origin(const struct config *config, const char *key)
{
    const struct config_option *option = find_option(config, key);
    return option ? option->origin : ORIGIN_DEFAULT;
}

const char *config_env_option(const struct config *config, const char *name)
{
    for (int i = 0; i < config->env_options; i++)
        if (strcmp(config->env_option[i].name, name) == 0) return config->env_option[i].value;
    return NULL;
}

static void group_key_name(const char *group, int key, char *name, size_t size)
{
    text_format(name, size, "group.%s.%s", group, config_group_keys[key].name);
}

const char *config_group(const struct config *config, const char *group, int key)
{
    char name[128];
    group_key_name(group, key, name, sizeof name);
    return config_option(config, name);
}

int config_group_origin(const struct config *config, const char *group, int key)
{
    char name[128];
    group_key_name(group, key, name, sizeof name);
    return config_option_origin(config, name);
}

int config_group_algo(const struct config *config, const char *group)
{
    const int choice = choice_find(config_group_keys[GROUP_algo].choices, config_group(config, group, GROUP_algo));
    return choice > 0 ? choice - 1 : config->algo_name;
}

double config_group_number(const struct config *config, const char *group, int key)
{
    return strtod(config_group(config, group, key), NULL);
}

int config_check_groups(const struct config *config, const char *const *names, int count, struct error *err)
{
    for (int i = 0; i < config->group_options; i++) {
        const struct config_option *option = &config->group_option[i];
        const size_t length = (size_t)(strrchr(option->name, '.') - option->name);
        char all[512] = "";
        bool known = false;
        for (int g = 0; g < count; g++) {
            known = known || (strlen(names[g]) == length && strncmp(names[g], option->name, length) == 0);
            text_format(all + strlen(all), sizeof all - strlen(all), "%s%s", g ? ", " : "", names[g]);
        }
        if (known) continue;
        return error_set(err, EXIT_USAGE, "environment \"%s\" has no group \"%.*s\" (group.%s %s); its group%s: %s",
                         config->env_id[0] ? config->env_id : config->env_name, (int)length, option->name, option->name,
                         config_origin_where(option->origin), count > 1 ? "s are" : " is", all);
    }
    return 0;
}

const char *config_origin_where(int origin)
{
    static const char *const where[] = {
        "", "in its preset", "in the variant", "in the preset", "in the checkpoint", "in --config", "on the command line"};
    return where[origin];
}

/* What people must not write, but what older versions took and kept. `key` is NULL for options of the environment. */
static int check_given(const struct config_key *key, const char *name, const char *value, const char *where, struct error *err)
{
    size_t inner;
    const char *bare = text_unquoted(value, &inner);
    if (bare && inner == 0)
        return error_set(err, EXIT_USAGE, "%s=%s %s: values stand without quotes: write nothing behind the =", name, value, where);
    if (bare) return error_set(err, EXIT_USAGE, "%s=%s %s: values stand without quotes: write %.*s", name, value, where, (int)inner, bare);
    const char *strange = text_strange_end(value);
    if (strange)
        return error_set(err, EXIT_USAGE, "%s=%s %s holds %s, which is no blank and no quote here: take it away", name, value, where,
                         strange);
    double number;
    char given[3 * CONFIG_TEXT];
    text_format(given, sizeof given, "%s=%s %s", name, value, where);
    if (key && key->type == KEY_IS_REAL && text_to_real(value, &number)) return check_size(key, number, given, err);
    const bool stored = !key || (key->type == KEY_IS_TEXT && !(key->flags & NOT_STORED));
    const char *unkept = stored ? text_unkept(value) : NULL;
    if (unkept)
        return error_set(err, EXIT_USAGE, "%s=\"%s\" %s can't be kept in a configuration file: a value %s", name, value, where, unkept);
    return 0;
}

int config_set(struct config *config, const char *key, const char *value, int origin, const char *where, struct error *err)
{
    const int k = config_find(key);
    const bool option = k < 0 && strncmp(key, "env.", 4) == 0 && is_option_name(key + 4);
    const struct config_key *entry = k >= 0 ? &config_keys[k] : config_group_key(key);
    if (!entry && !option) return suggest_key(key, value, where, err);
    char path[CONFIG_TEXT];
    if (origin != ORIGIN_CHECKPOINT && origin != ORIGIN_DEFAULT) {
        struct error bad = {0};
        if (check_given(entry, key, value, where, err)) return EXIT_USAGE;
        if (entry && entry->flags & IS_PATH) {
            if (file_path_given(value, path, sizeof path, &bad))
                return error_set(err, EXIT_USAGE, "%s=%s %s: %s", key, value, where, bad.text);
            value = path;
        }
    }
    if (option) return set_env_option(config, key, value, origin, where, err);
    if (k < 0) return set_group_option(config, entry, key, value, origin, where, err);
    const int code = set_member((char *)config + entry->offset, entry, key, value, where, err);
    if (code == 0) config->origin[k] = (uint8_t)origin;
    return code;
}

void config_defaults(struct config *config)
{
    memset(config, 0, sizeof *config);
    for (int k = 0; k < CONFIG_KEYS; k++) {
        struct error err = {0};
        set_member((char *)config + config_keys[k].offset, &config_keys[k], config_keys[k].name, config_keys[k].def, "in config.def", &err);
        CHECK(err.code == 0, "%s.%s", config_keys[k].section, err.text);
    }
}

void config_full_name(int k, char *text, size_t size)
{
    text_format(text, size, "%s.%s", config_keys[k].section, config_keys[k].name);
}

void config_value(const struct config *config, int k, char *text, size_t size)
{
    member_text((const char *)config + config_keys[k].offset, &config_keys[k], text, size);
}
