/* What the person may have meant. Inside config/ and for main.c's command names. */
#ifndef MAPPO_CONFIG_SUGGEST_H
#define MAPPO_CONFIG_SUGGEST_H

#include <stddef.h>

#include "config/config.h"

/* The key that `key` is probably meant to be, as it should be written ("adam.lr" for "lr"); empty where none is near. */
void suggest_nearest_key(const char *key, char *nearest, size_t size);
/* Fills *err for an unknown key and returns EXIT_USAGE. */
int suggest_key(const char *key, const char *where, struct error *err);

/* From config.c, for suggestions and help. */
int config_alias_count(void);
const char *config_alias(int i, int *key);
void config_choices_text(const char *choices, const char *separator, char *text, size_t size);
void config_range_text(const struct config_key *key, char *text, size_t size); /* "0 .. 1e15" */

#endif
