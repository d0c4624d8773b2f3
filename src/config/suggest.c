#include "config/suggest.h"

#include <string.h>

#include "base/text.h"

static const struct {
    const char *foreign, *key;
    bool other_values;
} foreign_names[] = {
#define FOREIGN(foreign, key)       {foreign, key, false},
#define FOREIGN_OTHER(foreign, key) {foreign, key, true},
#include "config/config.def"
};
enum { FOREIGN_NAMES = sizeof foreign_names / sizeof *foreign_names, CANDIDATES = CONFIG_KEYS + CONFIG_ENV_OPTIONS + 64 };

static const struct config_env *chosen; /* environment whose options may be meant */

void suggest_options_of(const struct config_env *env)
{
    chosen = env;
}

static void add(struct suggested *found, enum suggestion how, const char *section, const char *name)
{
    if (found->keys == SUGGEST_MOST) return;
    found->how = how;
    text_format(found->key[found->keys++], SUGGEST_TEXT, "%s%s%s", section, *section ? "." : "", name);
}

/* ---- the same word ------------------------------------------------------------------------------------------------------------------- */

/* "ppo-clip", "PPO.Clip", "env_N" */
static void find_spelling(const char *key, struct suggested *found)
{
    char full[SUGGEST_TEXT];
    for (int i = 0; i < config_alias_count() && !found->keys; i++) {
        int k;
        if (text_same_letters(config_alias(i, &k), key)) add(found, SUGGEST_SPELLING, "", config_alias(i, &k));
    }
    for (int k = 0; k < CONFIG_KEYS && !found->keys; k++) {
        config_full_name(k, full, sizeof full);
        if (text_same_letters(full, key)) add(found, SUGGEST_SPELLING, "", full);
    }
    for (int i = 0; chosen && i < chosen->options && !found->keys; i++) {
        text_format(full, sizeof full, "env.%s", chosen->option[i].name);
        if (text_same_letters(full, key)) add(found, SUGGEST_SPELLING, "", full);
    }
    /* "--env.N": of an environment that isn't known here. */
    if (!found->keys && strncmp(key, "env.", 4) == 0 && !strpbrk(key + 4, ".- ")) add(found, SUGGEST_SPELLING, "", key);
}

/* ---- its name under another section, or another trainer's ---------------------------------------------------------------------------- */

static void find_foreign(const char *name, struct suggested *found)
{
    for (int i = 0; i < FOREIGN_NAMES && !found->keys; i++) {
        if (!text_same_letters(foreign_names[i].foreign, name)) continue;
        add(found, SUGGEST_KNOWN, "", foreign_names[i].key);
        found->other_values = foreign_names[i].other_values;
    }
}

static void find_name(const char *section, const char *name, struct suggested *found)
{
    for (int i = 0; chosen && i < chosen->options && (!*section || strcmp(section, "env") == 0); i++)
        if (text_same_letters(chosen->option[i].name, name)) add(found, SUGGEST_KNOWN, "env", chosen->option[i].name);
    if (found->keys) return;
    for (int i = 0; i < config_alias_count() && !found->keys; i++) {
        int k;
        if (text_same_letters(config_alias(i, &k), name)) add(found, SUGGEST_KNOWN, "", config_alias(i, &k));
    }
    if (found->keys) return;
    /* "name" is that of several things; a section's is its alias. */
    for (int k = 0; k < CONFIG_KEYS; k++)
        if (text_same_letters(config_keys[k].name, name) && strcmp(config_keys[k].name, "name") != 0)
            add(found, SUGGEST_KNOWN, config_keys[k].section, config_keys[k].name);
    if (!found->keys) find_foreign(name, found);
}

/* ---- nearly so ----------------------------------------------------------------------------------------------------------------------- */

/* Where the section exists only its own names are near; a name without a section may belong to any. */
static void find_near(const char *section, const char *name, struct suggested *found)
{
    const char *candidate[CANDIDATES], *in[CANDIDATES];
    int count = 0;
    /* Aliases first: of equally near names the shorter to write is offered. */
    for (int i = 0; !section && i < config_alias_count() && i < CANDIDATES - CONFIG_KEYS - CONFIG_ENV_OPTIONS; i++) {
        int k;
        candidate[count] = config_alias(i, &k);
        in[count++] = "";
    }
    for (int i = 0; chosen && i < chosen->options && (!section || strcmp(section, "env") == 0); i++) {
        candidate[count] = chosen->option[i].name;
        in[count++] = "env";
    }
    for (int k = 0; k < CONFIG_KEYS; k++) {
        if (section && strcmp(config_keys[k].section, section) != 0) continue;
        if (!section && strcmp(config_keys[k].name, "name") == 0) continue; /* of several things: their aliases stand above */
        candidate[count] = config_keys[k].name;
        in[count++] = config_keys[k].section;
    }
    const char *meant[TEXT_MEANT];
    const int near = text_meant(name, candidate, count, meant);
    for (int m = 0; m < near; m++)
        for (int i = 0; i < count && found->keys == m; i++)
            if (candidate[i] == meant[m]) add(found, SUGGEST_NEAR, in[i], meant[m]);
}

/* Has a key of the section all words of the name? */
static bool has_words(const char *section, const char *name)
{
    for (int k = 0; k < CONFIG_KEYS; k++)
        if (strcmp(config_keys[k].section, section) == 0 && text_has_words(config_keys[k].name, name)) return true;
    return false;
}

/* "json=1": no setting, and none is near. */
static const char *option_named(const char *key)
{
    const char *option;
    for (int i = 0; (option = arguments_option(i)); i++)
        if (text_same_letters(option, key)) break;
    return option;
}

void suggest_keys(const char *key, struct suggested *found)
{
    char section[64] = "";
    const char *dot = strrchr(key, '.'), *name = dot ? dot + 1 : key;
    if (dot) text_format(section, sizeof section, "%.*s", (int)(dot - key), key);
    *found = (struct suggested){0};
    if (!*name || option_named(key)) return;
    /* What others call it comes first where no section was given: their "device" is not the number of a GPU. */
    if (!dot) find_foreign(name, found);
    if (!found->keys) find_spelling(key, found);
    /* "eval.steps" is nearer to eval.env_steps than to rollout.steps. */
    if (!found->keys && dot && has_words(section, name)) find_near(section, name, found);
    if (!found->keys) find_name(section, name, found);
    if (found->keys) return;
    const char *meant = !dot ? NULL : config_section(section) ? section : config_nearest_section(section);
    if (meant) find_near(meant, name, found);
    /* Nothing in a section that exists is like it: what is nearly so elsewhere would be chance. */
    if (!found->keys && meant != section) find_near(NULL, name, found);
}

/* ---- in words ------------------------------------------------------------------------------------------------------------------------ */

/* What is advised must be taken when it is written. */
static bool is_taken(const char *key, const char *value)
{
    static struct config scratch;
    config_defaults(&scratch);
    return config_set(&scratch, key, value, ORIGIN_COMMAND_LINE, "", NULL) == 0;
}

enum suggestion suggest_settings(const char *key, const char *value, char *text, size_t size)
{
    struct suggested found;
    suggest_keys(key, &found);
    text[0] = '\0';
    for (int i = 0; i < found.keys; i++) {
        const size_t used = strlen(text);
        const bool with_value = value && !found.other_values && is_taken(found.key[i], value);
        text_format(text + used, size - used, "%s%s=%s", i ? " or " : "", found.key[i], with_value ? value : "VALUE");
    }
    return found.how;
}

/* Where to read on: of the section that is meant, or was written. */
static void pointer_text(const struct suggested *found, const char *key, const char *value, char *text, size_t size)
{
    char section[64] = "";
    const char *name = found->keys ? found->key[0] : key, *dot = strrchr(name, '.');
    if (dot) text_format(section, sizeof section, "%.*s", (int)(dot - name), name);
    if (found->keys && strcmp(section, "env") == 0 && config_find(name) < 0)
        text_format(text, size, "(%s=%s; mappo envs %s lists them)", name, *value ? value : "VALUE", chosen ? chosen->id : "ENV");
    else if (found->other_values)
        text_format(text, size, "(its values are others: mappo --help %s)", *section ? section : name);
    else if (*section && config_section(section))
        text_format(text, size, "(mappo train --help %s lists the section)", section);
    else
        text_format(text, size, "(mappo --help lists the sections)");
}

/* "group.adversary.ago", "group.algo" */
static int suggest_group_key(const char *key, const char *where, struct error *err)
{
    const char *names[CONFIG_GROUP_KEYS], *name = key + strlen("group."), *dot = strrchr(key, '.');
    char prefix[SUGGEST_TEXT], meant[256];
    const bool named = dot > name; /* a group */
    for (int k = 0; k < CONFIG_GROUP_KEYS; k++) names[k] = config_group_keys[k].name;
    text_format(prefix, sizeof prefix, "group.%.*s.", named ? (int)(dot - name) : 4, named ? name : "NAME");
    text_suggestion(meant, sizeof meant, dot + 1, prefix, names, CONFIG_GROUP_KEYS);
    return error_set(err, EXIT_USAGE, "unknown key \"%s\" %s%s (settings of one group are group.NAME.KEY: mappo train --help group)", key,
                     where, meant);
}

int suggest_key(const char *key, const char *value, const char *where, struct error *err)
{
    if (strncmp(key, "group.", strlen("group.")) == 0) return suggest_group_key(key, where, err);
    if (strcmp(key, "group") == 0)
        return error_set(err, EXIT_USAGE,
                         "\"%s\" %s is a section, not a key: write group.NAME.KEY=VALUE, or in a file NAME.KEY = VALUE below [group] "
                         "(mappo train --help group)",
                         key, where);
    struct suggested found;
    char pointer[256];
    suggest_keys(key, &found);
    pointer_text(&found, key, value, pointer, sizeof pointer);
    const char *section = config_section(key), *option = option_named(key);
    if (option)
        return error_set(err, EXIT_USAGE, "\"%s\" %s is no setting but an option of the command line: --%s%s%s", key, where, option,
                         strcmp(option, "config") == 0 ? " " : "", strcmp(option, "config") == 0 ? value : "");
    if (section && strcmp(section, key) == 0)
        return error_set(err, EXIT_USAGE, "\"%s\" %s is a section, not a key: write %s.NAME=VALUE, or in a file NAME = VALUE below [%s]",
                         key, where, key, key);
    if (found.keys > 1)
        return error_set(err, EXIT_USAGE, "unknown key \"%s\" %s; did you mean \"%s\" or \"%s\"? %s", key, where, found.key[0],
                         found.key[1], pointer);
    if (found.keys) return error_set(err, EXIT_USAGE, "unknown key \"%s\" %s; did you mean \"%s\"? %s", key, where, found.key[0], pointer);
    return error_set(err, EXIT_USAGE, "unknown key \"%s\" %s %s", key, where, pointer);
}
