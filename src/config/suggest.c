#include "config/suggest.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

static const struct {
    const char *foreign, *key;
} foreign_names[] = {
#define FOREIGN(foreign, key) {foreign, key},
#include "config/config.def"
};
enum { FOREIGN_NAMES = sizeof foreign_names / sizeof *foreign_names, CANDIDATES = CONFIG_KEYS + 64 };

static void full_name(int k, char *text, size_t size)
{
    snprintf(text, size, "%s.%s", config_keys[k].section, config_keys[k].name);
}

/* Where the section exists only its own names are near; a name without a section may belong to any. */
static bool nearest_name(const char *section, const char *name, char *nearest, size_t size)
{
    const char *candidate[CANDIDATES];
    int key[CANDIDATES], count = 0;
    /* Aliases first: of equally near names the shorter to write is offered. */
    for (int i = 0; !section && i < config_alias_count() && i < CANDIDATES - CONFIG_KEYS; i++) {
        candidate[count] = config_alias(i, &key[count]);
        key[count++] = -1;
    }
    for (int k = 0; k < CONFIG_KEYS; k++) {
        if (section && strcmp(config_keys[k].section, section) != 0) continue;
        candidate[count] = config_keys[k].name;
        key[count++] = k;
    }
    const char *found = text_nearest(name, candidate, count);
    if (!found) return false;
    for (int i = 0; i < count; i++) {
        if (candidate[i] != found) continue;
        if (key[i] < 0)
            snprintf(nearest, size, "%s", found);
        else
            full_name(key[i], nearest, size);
        return true;
    }
    return false;
}

static bool foreign_key(const char *name, char *nearest, size_t size)
{
    for (int i = 0; i < FOREIGN_NAMES; i++)
        if (strcasecmp(foreign_names[i].foreign, name) == 0) {
            snprintf(nearest, size, "%s", foreign_names[i].key);
            return true;
        }
    return false;
}

void suggest_nearest_key(const char *key, char *nearest, size_t size)
{
    const char *dot = strrchr(key, '.');
    const char *name = dot ? dot + 1 : key;
    char section[64] = "";
    if (dot) text_format(section, sizeof section, "%.*s", (int)(dot - key), key);
    nearest[0] = '\0';
    if (!*name) return;

    /* What others call it comes first where no section was given: their "device" is not the number of a GPU. */
    if (!dot && foreign_key(name, nearest, size)) return;
    /* The right name in another section or without one: "lr", "ppo.lr". */
    for (int k = 0; k < CONFIG_KEYS; k++)
        if (strcasecmp(config_keys[k].name, name) == 0) {
            full_name(k, nearest, size);
            /* "eval.Interval" is closer to eval.interval than to the first key of that name. */
            if (strcasecmp(config_keys[k].section, section) == 0) return;
        }
    if (nearest[0]) return;
    for (int i = 0; i < config_alias_count(); i++) {
        int k;
        if (strcasecmp(config_alias(i, &k), name) == 0) {
            snprintf(nearest, size, "%s", config_alias(i, &k));
            return;
        }
    }
    if (foreign_key(name, nearest, size)) return;

    const char *known = dot ? config_section(section) : NULL;
    if (known && nearest_name(section, name, nearest, size)) return;
    if (!known && dot) {
        const char *meant = config_nearest_section(section);
        if (meant && nearest_name(meant, name, nearest, size)) return;
    }
    nearest_name(NULL, name, nearest, size);
}

int suggest_key(const char *key, const char *where, struct error *err)
{
    char nearest[128];
    suggest_nearest_key(key, nearest, sizeof nearest);
    char section[64] = "";
    const char *dot = strrchr(nearest[0] ? nearest : key, '.');
    if (dot) text_format(section, sizeof section, "%.*s", (int)(dot - (nearest[0] ? nearest : key)), nearest[0] ? nearest : key);
    if (nearest[0] && !dot)
        return error_set(err, EXIT_USAGE, "unknown key \"%s\" %s; did you mean \"%s\"? (mappo --help lists the sections)", key, where,
                         nearest);
    if (nearest[0])
        return error_set(err, EXIT_USAGE, "unknown key \"%s\" %s; did you mean \"%s\"? (mappo train --help %s lists the section)", key,
                         where, nearest, section);
    if (dot && config_section(section))
        return error_set(err, EXIT_USAGE, "unknown key \"%s\" %s (mappo train --help %s lists the section)", key, where, section);
    return error_set(err, EXIT_USAGE, "unknown key \"%s\" %s (mappo --help lists the sections)", key, where);
}
