/* Command lines written as one text, and what is said of them. */
#ifndef TESTS_CONFIG_LINES_H
#define TESTS_CONFIG_LINES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "config/config.h"

static struct arguments args;
static struct error err;

static void expect_error(int code, const char *part)
{
    assert_int_equal(code, EXIT_USAGE);
    assert_int_equal(err.code, EXIT_USAGE);
    if (!strstr(err.text, part)) fail_msg("\"%s\" does not say \"%s\"", err.text, part);
    err = (struct error){0};
}

static int parse(const char *line)
{
    static char words[4096];
    static char *argv[400];
    int argc = 0;
    text_format(words, sizeof words, "mappo %s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) argv[argc++] = word;
    return arguments_parse(&args, argc, argv, &err);
}

#endif
