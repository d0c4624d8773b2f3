/* The table, and one key at a time: finding, setting, reading back. */
#include "config/config.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/config_file.h"
#include "config/suggest.h"

#define OFFSET(section, name) offsetof(struct config, section##_##name)
#define KEY_INT(section, name, def, low, high, flags, help)                                                                                \
    {#section, #name, #def, NULL, help, KEY_IS_INT, flags, low, high, OFFSET(section, name)},
#define KEY_REAL(section, name, def, low, high, flags, help)                                                                               \
    {#section, #name, #def, NULL, help, KEY_IS_REAL, flags, low, high, OFFSET(section, name)},
#define KEY_BOOL(section, name, def, flags, help) {#section, #name, #def, NULL, help, KEY_IS_BOOL, flags, 0, 1, OFFSET(section, name)},
#define KEY_TEXT(section, name, def, flags, help) {#section, #name, def, NULL, help, KEY_IS_TEXT, flags, 0, 0, OFFSET(section, name)},
#define KEY_CHOICE(section, name, def, choices, flags, help)                                                                               \
    {#section, #name, def, choices, help, KEY_IS_CHOICE, flags, 0, 0, OFFSET(section, name)},
const struct config_key config_keys[CONFIG_KEYS] = {
#include "config/config.def"
};
const int config_key_count = CONFIG_KEYS;

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
    return origin == ORIGIN_PRESET || origin == ORIGIN_FILE || origin == ORIGIN_COMMAND_LINE;
}

/* ---- choices ---------------------------------------------------------------------------------------------------------------------------
 */

/* Choice i of "relu|tanh"; NULL behind the last. */
static const char *choice_at(const char *choices, int i, size_t *length)
{
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

void config_choices_text(const char *choices, const char *separator, char *text, size_t size)
{
    size_t length = 0, used = 0;
    const char *choice;
    text[0] = '\0';
    for (int i = 0; (choice = choice_at(choices, i, &length)) && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%.*s", i ? separator : "", (int)length, choice);
}

/* ---- setting one key
 * --------------------------------------------------------------------------------------------------------------------- */

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
    snprintf(text, size, "%s .. %s", low, high);
}

/* "20M", "1_000", "1,000": how it should have been written; empty where that isn't clear. */
static void number_remedy(const char *value, char *text, size_t size)
{
    char digits[64];
    size_t n = 0;
    const char *c = value;
    text[0] = '\0';
    for (; *c && n + 1 < sizeof digits && strchr("0123456789.-+_,", *c); c++)
        if (*c != '_' && *c != ',') digits[n++] = *c;
    digits[n] = '\0';
    double number;
    if (!text_to_real(digits, &number)) return;
    static const char suffixes[] = "kmgb";
    const char *suffix = *c ? strchr(suffixes, *c | 0x20) : NULL;
    static const char *const powers[] = {"e3", "e6", "e9", "e9"};
    if (*c == '\0')
        snprintf(text, size, ": write %s", digits);
    else if (suffix && c[1] == '\0')
        snprintf(text, size, ": write %s%s", digits, powers[suffix - suffixes]);
}

static int number_error(const struct config_key *key, const char *name, const char *value, const char *where, struct error *err)
{
    char remedy[96], range[80];
    number_remedy(value, remedy, sizeof remedy);
    config_range_text(key, range, sizeof range);
    const char *what = key->type == KEY_IS_INT ? "a whole number" : "a number";
    if (remedy[0]) return error_set(err, EXIT_USAGE, "%s=%s %s is not %s%s", name, value, where, what, remedy);
    return error_set(err, EXIT_USAGE, "%s=%s %s is not %s (%s)", name, value, where, what, range);
}

static int range_error(const struct config_key *key, const char *name, const char *value, const char *where, struct error *err)
{
    char range[80];
    config_range_text(key, range, sizeof range);
    return error_set(err, EXIT_USAGE, "%s=%s %s is out of range %s", name, value, where, range);
}

static int choice_error(const struct config_key *key, const char *name, const char *value, const char *where, struct error *err)
{
    char all[256];
    config_choices_text(key->choices, ", ", all, sizeof all);
    if (strchr(key->choices, '|')) return error_set(err, EXIT_USAGE, "%s=%s %s is none of %s", name, value, where, all);
    return error_set(err, EXIT_USAGE, "%s=%s %s is not possible: it can only be %s in this version", name, value, where, all);
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
    bool stored = !key || !(key->flags & NOT_STORED);
    size_t length = strlen(value), most = CONFIG_TEXT - 1;
    if (stored && most > CONFIG_LINE - strlen(" = ") - strlen(key ? key->name : bare))
        most = CONFIG_LINE - strlen(" = ") - strlen(key ? key->name : bare);
    if (length > most) return error_set(err, EXIT_USAGE, "%s %s has %zu characters; it may have %zu", name, where, length, most);
    if (!is_one_line(value)) return error_set(err, EXIT_USAGE, "%s=%s %s holds a control character", name, value, where);
    bool blank = length && (value[0] == ' ' || value[length - 1] == ' ');
    if (stored && (blank || value[0] == ';' || strstr(value, " ;")))
        return error_set(err, EXIT_USAGE,
                         "%s=\"%s\" %s can't be kept in a configuration file: a value may not begin or end with a blank or hold \" ;\"",
                         name, value, where);
    return 0;
}

static int set_key(struct config *config, const struct config_key *key, const char *name, const char *value, const char *where,
                   struct error *err)
{
    void *member = (char *)config + key->offset;
    int64_t whole;
    double number;
    bool yes;
    int choice;
    switch (key->type) {
    case KEY_IS_INT:
        if (!text_to_int(value, &whole)) {
            /* Digits only, but too many for 64 bits: that is a matter of range. */
            if (*value && !value[strspn(value, "-0123456789")] && text_to_real(value, &number))
                return range_error(key, name, value, where, err);
            return number_error(key, name, value, where, err);
        }
        if ((double)whole < key->low || (double)whole > key->high) return range_error(key, name, value, where, err);
        *(int64_t *)member = whole;
        return 0;
    case KEY_IS_REAL:
        if (!text_to_real(value, &number)) return number_error(key, name, value, where, err);
        if (number < key->low || number > key->high) return range_error(key, name, value, where, err);
        *(double *)member = number;
        return 0;
    case KEY_IS_BOOL:
        if (!text_to_bool(value, &yes))
            return error_set(err, EXIT_USAGE, "%s=%s %s is neither true nor false (0 1 true false yes no on off)", name, value, where);
        *(bool *)member = yes;
        return 0;
    case KEY_IS_CHOICE:
        choice = choice_find(key->choices, value);
        if (choice < 0) return choice_error(key, name, value, where, err);
        *(int *)member = choice;
        return 0;
    default:
        if (check_text(key, name, value, where, err)) return EXIT_USAGE;
        snprintf((char *)member, CONFIG_TEXT, "%s", value);
        return 0;
    }
}

/* ---- options of the environment
 * ------------------------------------------------------------------------------------------------------------ */

static bool is_option_name(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length < sizeof((struct config_option *)0)->name &&
           name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/* Kept sorted by name, so that the order in which they were given changes no hash. */
static int set_env_option(struct config *config, const char *name, const char *value, int origin, const char *where, struct error *err)
{
    char key[96];
    snprintf(key, sizeof key, "env.%s", name);
    if (check_text(NULL, key, value, where, err)) return EXIT_USAGE;
    int at = 0;
    while (at < config->env_options && strcmp(config->env_option[at].name, name) < 0) at++;
    struct config_option *option = &config->env_option[at];
    if (at == config->env_options || strcmp(option->name, name) != 0) {
        if (config->env_options == CONFIG_ENV_OPTIONS)
            return error_set(err, EXIT_USAGE, "%s %s: more than %d options of the environment", key, where, CONFIG_ENV_OPTIONS);
        memmove(option + 1, option, (size_t)(config->env_options - at) * sizeof *option);
        config->env_options++;
        memset(option, 0, sizeof *option);
        snprintf(option->name, sizeof option->name, "%s", name);
    }
    snprintf(option->value, sizeof option->value, "%s", value);
    option->origin = origin;
    return 0;
}

const char *config_env_option(const struct config *config, const char *name)
{
    for (int i = 0; i < config->env_options; i++)
        if (strcmp(config->env_option[i].name, name) == 0) return config->env_option[i].value;
    return NULL;
}

int config_set(struct config *config, const char *key, const char *value, int origin, const char *where, struct error *err)
{
    int k = config_find(key);
    if (k >= 0) {
        int code = set_key(config, &config_keys[k], key, value, where, err);
        if (code == 0) config->origin[k] = (uint8_t)origin;
        return code;
    }
    if (strncmp(key, "env.", 4) == 0 && is_option_name(key + 4)) return set_env_option(config, key + 4, value, origin, where, err);
    return suggest_key(key, where, err);
}

void config_defaults(struct config *config)
{
    memset(config, 0, sizeof *config);
    for (int k = 0; k < CONFIG_KEYS; k++) {
        struct error err = {0};
        set_key(config, &config_keys[k], config_keys[k].name, config_keys[k].def, "in config.def", &err);
        CHECK(err.code == 0, "%s.%s", config_keys[k].section, err.text);
    }
}

void config_value(const struct config *config, int k, char *text, size_t size)
{
    const struct config_key *key = &config_keys[k];
    const void *member = (const char *)config + key->offset;
    size_t length = 0;
    const char *choice;
    switch (key->type) {
    case KEY_IS_INT:
        snprintf(text, size, "%lld", (long long)*(const int64_t *)member);
        return;
    case KEY_IS_REAL:
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
