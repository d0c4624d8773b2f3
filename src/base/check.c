#include "base/check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    int rank, size;
    void (*abort_hook)(int code);
    FILE *log;
    int log_fd;       /* for last words; -1 = none */
    char early[4096]; /* messages of before there was a log; what doesn't fit is not kept */
    char label[32];   /* "seed 3: "; "" = the process has one run */
    char prefix[96];  /* of messages of one rank alone, and of last words */
} who = {.size = 1, .log_fd = -1, .prefix = "mappo: "};

/* Names and values from outside end up in messages: what would break the line or drive the terminal becomes '?'. */
static void make_one_line(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == 0x7f) *c = '?';
}

/* A cut message says so, and is not cut in the middle of a UTF-8 character. */
static void end_with_dots(char *text, size_t size)
{
    size_t at = size - 4;
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80) at--;
    memcpy(text + at, "...", 4);
}

static void format_line(char *text, size_t size, const char *format, va_list list)
{
    int length = vsnprintf(text, size, format, list);
    if (length < 0) text[0] = '\0';
    if (length >= (int)size) end_with_dots(text, size);
    make_one_line(text);
}

int error_set(struct error *err, int code, const char *format, ...)
{
    if (!err) return code;
    /* An argument may be the old text of *err. */
    char text[sizeof err->text];
    va_list list;
    va_start(list, format);
    format_line(text, sizeof text, format, list);
    va_end(list);
    memcpy(err->text, text, sizeof text);
    err->code = code;
    return code;
}

/* Makes "first""between""second" the text of the error. */
static int join_text(struct error *err, const char *first, const char *between, const char *second)
{
    char text[2 * sizeof err->text];
    const int length = snprintf(text, sizeof text, "%s%s%s", first, between, second);
    if (length >= (int)sizeof err->text) end_with_dots(text, sizeof err->text);
    memcpy(err->text, text, sizeof err->text);
    return err->code;
}

int error_prefix(struct error *err, const char *format, ...)
{
    char context[256];
    if (!err) return EXIT_INTERNAL;
    va_list list;
    va_start(list, format);
    format_line(context, sizeof context, format, list);
    va_end(list);
    return join_text(err, context, ": ", err->text);
}

int error_suffix(struct error *err, const char *format, ...)
{
    char end[256];
    if (!err) return EXIT_INTERNAL;
    va_list list;
    va_start(list, format);
    format_line(end, sizeof end, format, list);
    va_end(list);
    return join_text(err, err->text, "", end);
}

/* One write per message, so that the lines of several ranks don't mix on a shared terminal. */
static void say(const char *text, int with_rank)
{
    char line[1500];
    if (with_rank)
        snprintf(line, sizeof line, "%s%s\n", who.prefix, text);
    else
        snprintf(line, sizeof line, "mappo: %s%s\n", who.label, text);
    fflush(stdout);
    fputs(line, stderr);
    fflush(stderr);
    if (who.log) {
        fputs(line, who.log);
        fflush(who.log);
    } else if (strlen(who.early) + strlen(line) < sizeof who.early) {
        memcpy(who.early + strlen(who.early), line, strlen(line) + 1);
    }
}

static MAPPO_NORETURN void end_process(int code)
{
    fflush(NULL);
    if (who.abort_hook) who.abort_hook(code);
    _exit(code);
}

void die(int code, const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    format_line(text, sizeof text, format, list);
    va_end(list);
    say(text, 1);
    end_process(code);
}

void die_error(const struct error *err)
{
    say(err->text, 1);
    end_process(err->code ? err->code : EXIT_INTERNAL);
}

void die_at(const char *file, int line, const char *format, ...)
{
    char reason[900], text[1024];
    va_list list;
    va_start(list, format);
    format_line(reason, sizeof reason, format, list);
    va_end(list);
    snprintf(text, sizeof text, "%.80s:%d: internal fault: %s", file, line, reason);
    say(text, 1);
    end_process(EXIT_INTERNAL);
}

void warn(const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    format_line(text, sizeof text, format, list);
    va_end(list);
    say(text, 1);
}

int error_report(const struct error *err)
{
    if (who.rank == 0 && err->code) say(err->text, 0);
    return err->code;
}

static void make_prefix(void)
{
    if (who.size > 1)
        snprintf(who.prefix, sizeof who.prefix, "mappo: %srank %d of %d: ", who.label, who.rank, who.size);
    else
        snprintf(who.prefix, sizeof who.prefix, "mappo: %s", who.label);
}

void check_identify(int rank, int size, void (*abort_hook)(int code))
{
    who.rank = rank;
    who.size = size;
    who.abort_hook = abort_hook;
    make_prefix();
}

void check_label(const char *label, int rank, int size)
{
    who.early[0] = '\0'; /* of another run */
    snprintf(who.label, sizeof who.label, "%.28s%s", label, *label ? ": " : "");
    who.rank = rank;
    who.size = size;
    make_prefix();
}

void check_log(FILE *log)
{
    who.log = log;
    if (log && who.early[0]) fputs(who.early, log), fflush(log);
    who.early[0] = '\0';
    who.log_fd = log ? fileno(log) : -1;
}

void last_words(const char *const part[], int parts)
{
    char line[1024];
    size_t length = 0;
    for (int i = -1; i < parts; i++)
        for (const char *c = i < 0 ? who.prefix : part[i]; *c && length < sizeof line - 1; c++)
            line[length++] = (unsigned char)*c < ' ' ? '?' : *c;
    line[length++] = '\n';
    const int to[] = {STDERR_FILENO, who.log_fd};
    for (int i = 0; i < 2; i++)
        if (to[i] >= 0 && write(to[i], line, length) < 0) continue; /* nobody is left to be told */
}
