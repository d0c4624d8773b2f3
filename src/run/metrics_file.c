#include "run/metrics_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* ---- a line ---------------------------------------------------------------------------------------------------------------------------- */

static int no_object(const char *line, struct error *err)
{
    return error_set(err, EXIT_USAGE, "\"%.60s\": is no line of metrics", line);
}

int metrics_line_numbers(const char *line, void (*visit)(void *user, const char *name, double value), void *user, struct error *err)
{
    char name[160];
    const char *at = line;
    if (*at++ != '{') return no_object(line, err);
    while (*at == '"') {
        const size_t length = strcspn(++at, "\"\\");
        if (at[length] != '"' || at[length + 1] != ':' || length >= sizeof name) return no_object(line, err);
        text_format(name, sizeof name, "%.*s", (int)length, at);
        at += length + 2;
        char *end = (char *)at + strlen("null");
        const double value = strncmp(at, "null", strlen("null")) == 0 ? NAN : strtod(at, &end);
        if (end == at) return no_object(line, err);
        visit(user, name, value);
        at = *end == ',' ? end + 1 : end;
    }
    return *at == '}' ? 0 : no_object(line, err);
}

/* ---- the file -------------------------------------------------------------------------------------------------------------------------- */

void metrics_file_begin(struct metrics_file *file, const char *folder)
{
    *file = (struct metrics_file){.rows = 0};
    text_format(file->path, sizeof file->path, "%s/metrics.jsonl", folder);
}

void metrics_file_end(struct metrics_file *file)
{
    for (int c = 0; c < file->columns; c++) {
        free(file->column[c].name);
        free(file->column[c].value);
    }
    free(file->column);
    file->column = NULL;
    file->columns = 0;
    file->rows = file->room = file->offset = file->lines = file->bad = 0;
    file->trouble[0] = '\0';
}

static void *grown(void *array, size_t size)
{
    void *more = realloc(array, size);
    CHECK(more, "out of memory reading metrics");
    return more;
}

static void add_column(struct metrics_file *file, const char *name)
{
    file->column = grown(file->column, (size_t)(file->columns + 1) * sizeof *file->column);
    struct metrics_column *column = &file->column[file->columns++];
    column->name = strdup(name);
    CHECK(column->name, "out of memory reading metrics");
    column->value = grown(NULL, (size_t)file->room * sizeof *column->value);
    for (int64_t i = 0; i < file->rows; i++) column->value[i] = NAN;
}

struct taking {
    struct metrics_file *file;
    int next; /* lines have the same names in the same order: where the next one is looked for first */
};

static void take(void *user, const char *name, double value)
{
    struct taking *taking = user;
    struct metrics_file *file = taking->file;
    int c = taking->next < file->columns && strcmp(file->column[taking->next].name, name) == 0 ? taking->next : 0;
    while (c < file->columns && strcmp(file->column[c].name, name) != 0) c++;
    if (c == file->columns) add_column(file, name);
    file->column[c].value[file->rows - 1] = value;
    taking->next = c + 1;
}

static void pass_over(void *user, const char *name, double value)
{
    (void)user, (void)name, (void)value;
}

/* A disk that was full, or an editor, has left it. */
static bool is_bad(struct metrics_file *file, const char *line)
{
    struct error err = {0};
    file->lines++;
    if (metrics_line_numbers(line, pass_over, NULL, &err) == 0) return false;
    if (file->bad++ == 0) text_format(file->trouble, sizeof file->trouble, "line %lld: %s", (long long)file->lines, err.text);
    return true;
}

static void take_line(struct metrics_file *file, const char *line)
{
    if (is_bad(file, line)) return;
    if (file->rows == file->room) {
        file->room = file->room ? 2 * file->room : 1024;
        for (int c = 0; c < file->columns; c++)
            file->column[c].value = grown(file->column[c].value, (size_t)file->room * sizeof *file->column[c].value);
    }
    file->rows++;
    for (int c = 0; c < file->columns; c++) file->column[c].value[file->rows - 1] = NAN;
    metrics_line_numbers(line, take, &(struct taking){.file = file}, NULL);
}

static void take_lines(struct metrics_file *file, FILE *in)
{
    char *line = NULL;
    size_t room = 0;
    for (ssize_t length; (length = getline(&line, &room, in)) > 0 && line[length - 1] == '\n';) {
        line[length - 1] = '\0';
        take_line(file, line);
        file->offset += length;
    }
    free(line);
}

int metrics_file_read(struct metrics_file *file, struct error *err)
{
    FILE *in = fopen(file->path, "re");
    if (!in && errno == ENOENT) return 0;
    if (!in) return error_set(err, EXIT_USAGE, "%s: %s", file->path, strerror(errno));
    if (fseeko(in, 0, SEEK_END) == 0 && ftello(in) < file->offset) metrics_file_end(file);
    const bool sought = fseeko(in, file->offset, SEEK_SET) == 0;
    if (sought) take_lines(file, in);
    const int code = sought ? 0 : error_set(err, EXIT_USAGE, "%s: %s", file->path, strerror(errno));
    fclose(in);
    return code;
}

const double *metrics_file_column(const struct metrics_file *file, const char *name)
{
    for (int c = 0; c < file->columns; c++)
        if (strcmp(file->column[c].name, name) == 0) return file->column[c].value;
    return NULL;
}

double metrics_file_last(const struct metrics_file *file, const char *name)
{
    const double *value = metrics_file_column(file, name);
    return value && file->rows ? value[file->rows - 1] : NAN;
}
