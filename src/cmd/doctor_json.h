/* Members of the object that `mappo doctor --json` prints. `after` follows the value: "," or what closes. */
#ifndef MAPPO_CMD_DOCTOR_JSON_H
#define MAPPO_CMD_DOCTOR_JSON_H

#include <stdio.h>

#include "base/text.h"

static inline void json_text(const char *name, const char *text, const char *after)
{
    printf("\"%s\":", name);
    text_json_string(stdout, text);
    fputs(after, stdout);
}

static inline void json_real(const char *name, double value, const char *after)
{
    printf("\"%s\":", name);
    text_json_real(stdout, value);
    fputs(after, stdout);
}

#endif
