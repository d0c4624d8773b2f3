#include "env/options.h"

#include <math.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"

int options_count(const struct mappo_env *env)
{
    int count = 0;
    if (env->option)
        while (env->option[count].name) count++;
    return count;
}

const char *options_type_name(const struct mappo_option *option)
{
    switch (option->type) {
    case MAPPO_OPTION_INT:
        return "int";
    case MAPPO_OPTION_REAL:
        return "real";
    case MAPPO_OPTION_BOOL:
        return "bool";
    case MAPPO_OPTION_CHOICE:
        return "choice";
    case MAPPO_OPTION_TEXT:
        return "text";
    default:
        return "unknown";
    }
}

void options_range(const struct mappo_option *option, char *text, size_t size)
{
    char low[32], high[32];
    text[0] = 0;
    if (option->type == MAPPO_OPTION_CHOICE) {
        for (size_t used = 0, i = 0; option->choice[i]; i++, used = strlen(text))
            text_format(text + used, size - used, "%s%s", i ? ", " : "", option->choice[i]);
    } else if (option->type == MAPPO_OPTION_BOOL) {
        text_format(text, size, "0 or 1");
    } else {
        text_short_real(low, sizeof low, option->low);
        text_short_real(high, sizeof high, option->high);
        text_format(text, size, "%s..%s%s", low, high, option->type == MAPPO_OPTION_TEXT ? " bytes" : "");
    }
}

static int find_choice(const struct mappo_option *option, const char *text)
{
    for (int i = 0; option->choice[i]; i++)
        if (strcmp(option->choice[i], text) == 0) return i;
    return -1;
}

static int bad_choice(const struct mappo_env *env, const struct mappo_option *option, const char *text, struct error *err)
{
    char range[256], meant[256];
    int count = 0;
    while (option->choice[count]) count++;
    text_suggestion(meant, sizeof meant, text, "", option->choice, count);
    options_range(option, range, sizeof range);
    return error_set(err, EXIT_USAGE, "environment \"%s\": option %s=%s is not one of %s%s", env->id, option->name, text, range, meant);
}

/* A value that is the option's default by being absent; "none" may be one of its choices, too. */
static bool is_absent(const struct mappo_option *option, const char *text, struct mappo_value *value)
{
    if (option->type == MAPPO_OPTION_CHOICE || strcmp(text, "none") != 0 || strcmp(option->def, "none") != 0) return false;
    value->i = INT64_MIN;
    value->r = NAN;
    return true; /* its text is NULL */
}

static int read_text(const struct mappo_env *env, const struct mappo_option *option, const char *text, struct mappo_value *value,
                     struct error *err)
{
    const size_t length = strlen(text);
    char range[128];
    options_range(option, range, sizeof range);
    if ((double)length < option->low || (double)length > option->high)
        return error_set(err, EXIT_USAGE, "environment \"%s\": option %s=%s has %zu bytes; it may have %s", env->id, option->name, text,
                         length, range);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == 0x7f)
            return error_set(err, EXIT_USAGE, "environment \"%s\": option %s holds a control character", env->id, option->name);
    if (!text_is_utf8(text))
        return error_set(err, EXIT_USAGE, "environment \"%s\": option %s is not text in UTF-8, which files and JSON are written in",
                         env->id, option->name);
    value->text = text;
    return 0;
}

static int read_value(const struct mappo_env *env, const struct mappo_option *option, const char *text, struct mappo_value *value,
                      struct error *err)
{
    char range[128];
    bool truth = false, readable = true;
    double number = 0;
    memset(value, 0, sizeof *value);
    if (is_absent(option, text, value)) return 0;
    switch (option->type) {
    case MAPPO_OPTION_INT:
        readable = text_to_int(text, &value->i);
        number = (double)value->i;
        break;
    case MAPPO_OPTION_REAL:
        readable = text_to_real(text, &value->r);
        number = value->r;
        break;
    case MAPPO_OPTION_BOOL:
        readable = text_to_bool(text, &truth);
        value->i = truth;
        break;
    case MAPPO_OPTION_CHOICE:
        value->i = find_choice(option, text);
        return value->i < 0 ? bad_choice(env, option, text, err) : 0;
    case MAPPO_OPTION_TEXT:
        return read_text(env, option, text, value, err);
    default:
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": option %s has a type %d that this program doesn't know", env->id,
                         option->name, option->type);
    }
    options_range(option, range, sizeof range);
    if (!readable) {
        char advice[128] = "";
        const struct number_kind kind = {.whole = option->type == MAPPO_OPTION_INT, .low = option->low, .high = option->high};
        if (option->type != MAPPO_OPTION_BOOL) number_advice(text, &kind, advice, sizeof advice);
        return error_set(err, EXIT_USAGE, "environment \"%s\": option %s=%s is not %s %s (%s)%s", env->id, option->name, text,
                         option->type == MAPPO_OPTION_INT ? "an" : "a", options_type_name(option), range, advice);
    }
    if (option->type != MAPPO_OPTION_BOOL && (number < option->low || number > option->high))
        return error_set(err, EXIT_USAGE, "environment \"%s\": option %s=%s is out of range %s", env->id, option->name, text, range);
    return 0;
}

void options_value(const struct mappo_option *option, const struct mappo_value *value, char *text, size_t size)
{
    if (value->i == INT64_MIN)
        text_format(text, size, "none");
    else if (option->type == MAPPO_OPTION_CHOICE)
        text_format(text, size, "%s", option->choice[value->i]);
    else if (option->type == MAPPO_OPTION_TEXT)
        text_format(text, size, "%s", value->text);
    else if (option->type == MAPPO_OPTION_REAL)
        text_short_real(text, size, value->r);
    else
        text_format(text, size, "%lld", (long long)value->i);
}

/* Adds " name=value" to a line of options; false where it is full. */
static bool add_option(const struct mappo_option *option, const char *value, char *line, size_t size)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.,:/+@%-";
    const bool quoted = option->type == MAPPO_OPTION_TEXT && (!*value || value[strspn(value, plain)]);
    size_t used = strlen(line);
    bool fits = text_format(line + used, size - used, "%s%s=%s", used ? " " : "", option->name, quoted ? "'" : value);
    for (const char *c = value; quoted && *c; c++) {
        used += strlen(line + used);
        fits = text_format(line + used, size - used, "%.*s%c", *c == '\'' ? 3 : 0, "'\\'", *c) && fits;
    }
    used += strlen(line + used);
    return text_format(line + used, size - used, "%s", quoted ? "'" : "") && fits;
}

void options_plain(const struct mappo_env *env, const char *name, char *value, size_t size)
{
    struct mappo_value read;
    for (int k = 0; k < options_count(env); k++)
        if (strcmp(env->option[k].name, name) == 0 && env->option[k].type != MAPPO_OPTION_TEXT &&
            read_value(env, &env->option[k], value, &read, NULL) == 0)
            options_value(&env->option[k], &read, value, size);
}

/* Name, type, help and choices of one. */
static const char *option_fault(const struct mappo_option *option)
{
    if (!*option->name || strlen(option->name) > 63 ||
        option->name[strspn(option->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")])
        return "needs a name of 1 to 63 letters, digits and _";
    if (strcmp(option->name, "name") == 0) return "is called name, but env.name is the environment itself";
    if (option->type < MAPPO_OPTION_INT || option->type > MAPPO_OPTION_TEXT) return "has a type that this program doesn't know";
    if (option->type == MAPPO_OPTION_CHOICE && (!option->choice || !option->choice[0])) return "has no choices";
    if (!option->def) return "has no default";
    if (option->type != MAPPO_OPTION_BOOL && option->type != MAPPO_OPTION_CHOICE && !(option->low <= option->high))
        return "has a range without a number in it";
    if (option->type == MAPPO_OPTION_TEXT && !(option->low >= 0 && option->high < OPTION_TEXT)) return "has a length outside 0..255 bytes";
    return NULL;
}

/* What a run of it could never be continued with: of a default that nobody changes, and of what may be chosen. */
static const char *unkept_text(const struct mappo_option *option, const char **text)
{
    const char *why = NULL;
    *text = option->def;
    if (option->type == MAPPO_OPTION_TEXT) why = text_unkept(option->def);
    for (int i = 0; option->type == MAPPO_OPTION_CHOICE && option->choice[i] && !why; i++) why = text_unkept(*text = option->choice[i]);
    return why;
}

int options_check(const struct mappo_env *env, struct error *err)
{
    struct mappo_value value;
    struct error bad = {0};
    const char *text;
    for (int k = 0; k < options_count(env); k++) {
        const char *fault = option_fault(&env->option[k]);
        if (fault) return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": option %d (%s) %s", env->id, k, env->option[k].name, fault);
        for (int j = 0; j < k; j++)
            if (strcmp(env->option[j].name, env->option[k].name) == 0)
                return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": two options are called %s", env->id, env->option[k].name);
        if (read_value(env, &env->option[k], env->option[k].def, &value, &bad))
            return error_set(err, EXIT_ENVIRONMENT, "%s; that is its own default", bad.text);
        if ((fault = unkept_text(&env->option[k], &text)))
            return error_set(err, EXIT_ENVIRONMENT,
                             "environment \"%s\": option %s=\"%s\" can't be kept in a configuration file: a value %s", env->id,
                             env->option[k].name, text, fault);
    }
    return 0;
}

static int unknown_option(const struct mappo_env *env, const char *name, int count, struct error *err)
{
    const char *names[OPTIONS_MAX];
    char meant[256];
    for (int k = 0; k < count; k++) names[k] = env->option[k].name;
    text_suggestion(meant, sizeof meant, name, "", names, count);
    return error_set(err, EXIT_USAGE, "environment \"%s\" has no option \"%s\"%s (mappo envs %s lists them)", env->id, name, meant,
                     env->id);
}

int options_read(const struct mappo_env *env, const struct env_option *given, int count, struct mappo_value *value, char *text, size_t size,
                 struct error *err)
{
    const int known = options_count(env);
    const char *chosen[OPTIONS_MAX];
    if (known > OPTIONS_MAX)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": %d options; at most %d are supported", env->id, known, OPTIONS_MAX);
    for (int k = 0; k < known; k++) chosen[k] = env->option[k].def;
    for (int i = 0; i < count; i++) {
        int k = 0;
        while (k < known && strcmp(env->option[k].name, given[i].name) != 0) k++;
        if (k == known) return unknown_option(env, given[i].name, known, err);
        chosen[k] = given[i].value;
    }
    text[0] = 0;
    for (int k = 0; k < known; k++) {
        char one[OPTION_TEXT];
        const int rc = read_value(env, &env->option[k], chosen[k], &value[k], err);
        if (rc) return rc;
        options_value(&env->option[k], &value[k], one, sizeof one);
        if (!add_option(&env->option[k], one, text, size))
            return error_set(err, EXIT_USAGE, "environment \"%s\": all options together have more than %zu bytes", env->id, size - 1);
    }
    return 0;
}

/* Whether `word` stands in `text` between blanks. */
static bool has_word(const char *text, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at++)
        if ((at == text || at[-1] == ' ') && (at[length] == ' ' || !at[length])) return true;
    return false;
}

bool options_still(const struct mappo_env *env, const struct env_option *given, int count, const char *text)
{
    struct mappo_value value[OPTIONS_MAX];
    char all[OPTIONS_TEXT], one[OPTION_TEXT], word[OPTIONS_TEXT];
    size_t found = 0; /* bytes of `text`, with a blank behind each option */
    if (options_read(env, given, count, value, all, sizeof all, NULL)) return false;
    for (int k = 0; k < options_count(env); k++) {
        const bool usual = !options_differs(env, k, &value[k], one, sizeof one);
        word[0] = 0;
        add_option(&env->option[k], one, word, sizeof word);
        if (has_word(text, word))
            found += strlen(word) + 1;
        else if (!usual)
            return false;
    }
    return found == (*text ? strlen(text) + 1 : 0); /* else it has one of another value, or that is not there any more */
}

bool options_differs(const struct mappo_env *env, int k, const struct mappo_value *value, char *text, size_t size)
{
    struct mappo_value usual;
    char def[OPTION_TEXT];
    options_value(&env->option[k], value, text, size);
    if (read_value(env, &env->option[k], env->option[k].def, &usual, NULL)) return true;
    options_value(&env->option[k], &usual, def, sizeof def);
    return strcmp(text, def) != 0;
}

bool options_changeable(const struct mappo_env *env, int k)
{
    const char *const *name = env->changeable;
    while (name && *name && strcmp(*name, env->option[k].name) != 0) name++;
    return name && *name;
}

void options_changed(const struct mappo_env *env, const struct mappo_value *value, char *text, size_t size)
{
    text[0] = 0;
    for (int k = 0; k < options_count(env); k++) {
        char one[OPTION_TEXT];
        if (options_differs(env, k, &value[k], one, sizeof one)) add_option(&env->option[k], one, text, size);
    }
}
