/* What the person may have meant. Inside config/ and for main.c's command names. */
#ifndef MAPPO_CONFIG_SUGGEST_H
#define MAPPO_CONFIG_SUGGEST_H

#include <stddef.h>

#include "config/config.h"

/* How sure a suggestion is: the same word with other dashes and capitals; its name without section, or what another trainer calls it; a
 * word that is spelt nearly so. */
enum suggestion { SUGGEST_NOTHING, SUGGEST_SPELLING, SUGGEST_KNOWN, SUGGEST_NEAR };

/* The keys that `key` is probably meant to be, as they should be written: "adam.lr" for "lr". */
enum { SUGGEST_MOST = 2, SUGGEST_TEXT = 128 };
struct suggested {
    enum suggestion how;
    char key[SUGGEST_MOST][SUGGEST_TEXT];
    int keys;
    bool other_values; /* what another trainer calls it takes other values */
};
void suggest_keys(const char *key, struct suggested *found);
/* "adam.lr=1e-3", or "adam.lr=VALUE" where the value is NULL or would not be taken; several joined by " or ". */
enum suggestion suggest_settings(const char *key, const char *value, char *text, size_t size);
/* Fills *err for an unknown key and returns EXIT_USAGE. */
int suggest_key(const char *key, const char *value, const char *where, struct error *err);
/* Options of the chosen environment may be meant, too; NULL = none is chosen. The caller sets NULL again before *env goes. */
void suggest_options_of(const struct config_env *env);

/* From config.c, for suggestions and help. */
int config_alias_count(void);
const char *config_alias(int i, int *key);
void config_choices_text(const char *choices, const char *separator, char *text, size_t size);
void config_range_text(const struct config_key *key, char *text, size_t size); /* "0 .. 1e15" */

#endif
