/* In which keys and options of the environment two configurations differ. */
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "config/config.h"

const struct config_comparison config_continuing = {
    .given = true, .by_id = true, .none_of = CHANGEABLE | NOT_STORED, .source = true, .words = {" (now ", ", before ", ")"}};
const struct config_comparison config_meaning = {.by_id = true, .all_of = MEANING, .then_first = true, .words = {"=", " (here ", ")"}};
const struct config_comparison config_everything = {.words = {"=", " (rank 0: ", ")"}};

struct list {
    const struct config_comparison *how;
    char *text;
    size_t size, used;
    int count, left_out;
};

static void list_add(struct list *list, const char *key, const char *now, const char *then)
{
    char entry[CONFIG_TEXT * 3 + 224];
    const char *const *words = list->how->words, *first = list->how->then_first ? then : now, *second = list->how->then_first ? now : then;
    text_format(entry, sizeof entry, "%s%s%s%s%s%s%s", list->count ? ", " : "", key, words[0], *first ? first : "empty", words[1],
                *second ? second : "empty", words[2]);
    list->count++;
    /* Room stays for "and N more". */
    if (list->left_out || list->used + strlen(entry) + 24 > list->size)
        list->left_out++;
    else
        list->used += (size_t)snprintf(list->text + list->used, list->size - list->used, "%s", entry);
}

/* "relu of preset=on-policy": what is to be left out then. */
static void name_source(const struct config_comparison *how, const struct config *now, int origin, char *value, size_t size)
{
    const size_t used = strlen(value);
    if (how->source && origin == ORIGIN_VARIANT) text_format(value + used, size - used, " of the variant");
    if (how->source && origin == ORIGIN_PRESET) text_format(value + used, size - used, " of preset=%s", now->preset_name);
    if (how->source && origin == ORIGIN_FILE) text_format(value + used, size - used, " of --config");
}

static bool same_environment(const struct config *now, const struct config *then, bool by_id)
{
    return by_id && now->env_id[0] && then->env_id[0] ? strcmp(now->env_id, then->env_id) == 0 : strcmp(now->env_name, then->env_name) == 0;
}

/* One setting, of which `given` and `given_then` tell where each configuration has it from. `value` may become longer. */
static void compare_value(struct list *list, const char *key, int flags, const struct config *now, int given, char *value, size_t size,
                          int given_then, const char *before)
{
    const struct config_comparison *how = list->how;
    if ((flags & how->all_of) != how->all_of || flags & how->none_of) return;
    if (how->given && !config_is_explicit(given)) return;
    if (how->not_given_then && config_is_explicit(given_then)) return;
    if (flags & IS_PATH && file_same(value, before)) return; /* "./a.h5" and "a.h5" */
    if (strcmp(value, before) == 0) return;
    name_source(how, now, given, value, size);
    list_add(list, key, value, before);
}

static void compare_key(struct list *list, int k, const struct config *now, const struct config *then)
{
    char key[128], value[CONFIG_TEXT * 2 + 32], before[CONFIG_TEXT];
    config_value(now, k, value, sizeof value);
    config_value(then, k, before, sizeof before);
    if (k == KEY_env_name && list->how->by_id && now->env_id[0] && then->env_id[0]) {
        text_format(value, sizeof value, "%s", now->env_id);
        text_format(before, sizeof before, "%s", then->env_id);
    }
    config_full_name(k, key, sizeof key);
    compare_value(list, key, config_keys[k].flags, now, now->origin[k], value, sizeof value, then->origin[k], before);
}

/* All settings of groups that `of` has, which is one of the two. */
static void compare_groups(struct list *list, const struct config *of, const struct config *now, const struct config *then)
{
    char key[128], value[CONFIG_TEXT * 2 + 32];
    for (int i = of->env_options; config_option_at(of, i, key, sizeof key); i++) {
        if (of == then && config_option_origin(now, key) != ORIGIN_DEFAULT) continue; /* compared already */
        text_format(value, sizeof value, "%s", config_option(now, key));
        compare_value(list, key, config_group_key(key)->flags, now, config_option_origin(now, key), value, sizeof value,
                      config_option_origin(then, key), config_option(then, key));
    }
}

static void compare_option(struct list *list, const struct config_option *option, const struct config *now, const struct config *then)
{
    const struct config_comparison *how = list->how;
    char key[128], value[CONFIG_TEXT * 2 + 32];
    const char *old = NULL;
    int origin = ORIGIN_DEFAULT;
    for (int i = 0; i < then->env_options; i++)
        if (strcmp(then->env_option[i].name, option->name) == 0) old = then->env_option[i].value, origin = then->env_option[i].origin;
    if (option->changeable && ((how->none_of & CHANGEABLE) || (how->all_of & MEANING))) return;
    if (how->given && !config_is_explicit(option->origin)) return;
    if (how->not_given_then && config_is_explicit(origin)) return;
    /* One that `then` doesn't know came later, and is no difference unless somebody asked for it. */
    const bool asked = config_is_explicit(option->origin) || option->origin == ORIGIN_CHECKPOINT;
    if (old ? strcmp(old, option->value) == 0 : !asked) return;
    text_format(key, sizeof key, "env.%s", option->name);
    text_format(value, sizeof value, "%s", option->value);
    name_source(how, now, option->origin, value, sizeof value);
    list_add(list, key, value, old ? old : "not set");
}

int config_differences(const struct config *now, const struct config *then, const struct config_comparison *how, char *text, size_t size)
{
    struct list list = {.how = how, .text = text, .size = size};
    if (size) text[0] = '\0';
    for (int k = 0; k < CONFIG_KEYS; k++) compare_key(&list, k, now, then);
    compare_groups(&list, now, now, then);
    compare_groups(&list, then, now, then);
    /* Options of another environment can't be compared; and what they mean is asked for like MEANING. */
    const bool options = (how->all_of & ~MEANING) == 0 && (how->given || same_environment(now, then, how->by_id));
    for (int i = 0; options && i < now->env_options; i++) compare_option(&list, &now->env_option[i], now, then);
    if (list.left_out) snprintf(text + list.used, size - list.used, "%sand %d more", list.used ? " " : "", list.left_out);
    return list.count;
}
