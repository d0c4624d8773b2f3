#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/inspect.h"
#include "config/config.h"

/* ---- settings ------------------------------------------------------------------------------------------------------------------------ */

/* Sorts what the file says of its configuration into what differs from the table's defaults and what does not. */
struct settings {
    struct config defaults;
    struct config_env env; /* of the checkpoint, with its options' defaults; empty where this program does not know it */
    FILE *out;
    bool changed; /* print those that differ, or the others */
    int count, column;
    size_t width; /* of the longest key that differs */
};

/* NULL where this program knows no such key. */
static const char *default_of(const struct settings *s, const char *key, char *text, size_t size)
{
    const int k = config_find(key);
    if (k >= 0) {
        config_value(&s->defaults, k, text, size);
        return text;
    }
    for (int i = 0; i < s->env.options && strncmp(key, "env.", 4) == 0; i++)
        if (strcmp(s->env.option[i].name, key + 4) == 0) return s->env.option[i].def;
    return config_option(&s->defaults, key);
}

static struct settings *settings_of(const struct checkpoint *file, FILE *out)
{
    static struct settings s; /* too large for a stack frame */
    const char *name = checkpoint_attribute(file, "config/env.name");
    memset(&s, 0, sizeof s);
    s.out = out;
    config_defaults(&s.defaults);
    if (name == NULL || cmd_find_env(&s.env, name, NULL) != EXIT_DONE) s.env.options = 0;
    return &s;
}

static bool is_changed(const struct settings *s, const char *key, const char *value)
{
    char text[CONFIG_TEXT];
    const char *normal = default_of(s, key, text, sizeof text);
    return normal == NULL || strcmp(normal, value) != 0;
}

static void measure_setting(void *user, const char *key, const char *value)
{
    struct settings *s = user;
    if (!is_changed(s, key, value)) return;
    s->count++;
    if (strlen(key) > s->width) s->width = strlen(key);
}

static void show_changed(void *user, const char *key, const char *value)
{
    struct settings *s = user;
    char text[CONFIG_TEXT];
    if (!is_changed(s, key, value)) return;
    const char *normal = default_of(s, key, text, sizeof text);
    fprintf(s->out, "  %-*s  %-20s", (int)s->width, key, value);
    if (normal == NULL)
        fprintf(s->out, "  (not a key of this program)\n");
    else if (normal[0] == '\0')
        fprintf(s->out, "  (default: none)\n");
    else
        fprintf(s->out, "  (default: %s)\n", normal);
}

enum { PAGE_WIDTH = 110 };

static void show_unchanged(void *user, const char *key, const char *value)
{
    struct settings *s = user;
    if (is_changed(s, key, value)) return;
    char item[CONFIG_TEXT + 80];
    text_format(item, sizeof item, "%s=%s", key, value);
    if (s->column > 0 && s->column + 2 + (int)strlen(item) > PAGE_WIDTH) s->column = 0;
    s->column += fprintf(s->out, "%s%s", s->count == 0 ? "  " : s->column == 0 ? "\n  " : "  ", item);
    s->count++;
}

static void show_settings(FILE *out, const struct checkpoint *file)
{
    if (checkpoint_attribute(file, "kind")) return; /* of episodes: they have none */
    struct settings *s = settings_of(file, out);
    checkpoint_config(file, measure_setting, s);
    fprintf(out, "\nsettings that differ from the defaults%s\n", s->count > 0 ? "" : ": none");
    checkpoint_config(file, show_changed, s);
    s->count = s->column = 0;
    fprintf(out, "\nthe others\n");
    checkpoint_config(file, show_unchanged, s);
    fprintf(out, "%s", s->count > 0 ? "\n" : "  none\n");
}

/* ---- what and when ------------------------------------------------------------------------------------------------------------------- */

static const char *text_or(const struct checkpoint *file, const char *name, const char *otherwise)
{
    const char *text = checkpoint_attribute(file, name);
    return text != NULL && text[0] != '\0' ? text : otherwise;
}

/* A label and a text, broken at spaces where it is long. */
static void show_line(FILE *out, const char *label, const char *text)
{
    enum { LEFT = 23 };
    int column = fprintf(out, "  %-19s  ", label);
    while (*text != '\0') {
        const int blanks = (int)strspn(text, " "), length = (int)strcspn(text + blanks, " ");
        if (column > LEFT && column + blanks + length > PAGE_WIDTH)
            column = fprintf(out, "\n%*s%.*s", LEFT, "", length, text + blanks) - 1;
        else
            column += fprintf(out, "%.*s", blanks + length, text);
        text += blanks + length;
    }
    fputc('\n', out);
}

static void show_head(FILE *out, const struct inspected *one)
{
    const struct checkpoint *file = one->file;
    char size[32];
    text_bytes(size, sizeof size, (double)checkpoint_bytes(file));
    fprintf(out, "%s\n", one->path);
    fprintf(out, "  whole                %s, SHA-256 %s\n", size, checkpoint_digest(file));
    int count;
    const struct checkpoint_attribute *attribute = checkpoint_attributes(file, &count);
    for (const struct checkpoint_provenance *p = checkpoint_provenance; p->name != NULL; p++) {
        if (p->name[0] == '/') continue;
        char label[64];
        text_format(label, sizeof label, "%s", p->name);
        for (char *c = label; *c != '\0'; c++)
            if (*c == '_') *c = ' ';
        const char *value = text_or(file, p->name, NULL);
        if (value != NULL) show_line(out, label, value);
    }
    /* And what this version of the program has no line for. */
    for (int i = 0; i < count; i++)
        if (strchr(attribute[i].name, '/') == NULL && !checkpoint_is_provenance(attribute[i].name))
            show_line(out, attribute[i].name, attribute[i].value);
}

/* ---- datasets ------------------------------------------------------------------------------------------------------------------------ */

/* The first component of the path: "/policy/agent/…" → "policy". */
static size_t section_length(const char *name)
{
    const char *slash = strchr(name + 1, '/');
    return slash != NULL ? (size_t)(slash - name) : strlen(name);
}

static bool is_few(const struct field *field) /* shown by value */
{
    const bool counted = field->type == FIELD_INT64 || field->type == FIELD_UINT64 || field->type == FIELD_DOUBLE;
    return counted && inspect_elements(field) > 0 && (field->rank == 0 || inspect_elements(field) <= 4);
}

/* A line of a table: one dataset, or several that only the curious want to see one by one (an optimiser's moments). */
struct row {
    const struct field *field;
    int count;
    char name[sizeof((struct field *)0)->name], shape[96];
};

enum { NUMBERS = 36 }; /* width of the columns mean, deviation and norm together */

static void show_row(FILE *out, const struct row *row, int width, int shapes)
{
    const struct field *field = row->field;
    char value[4][48], line[200] = "";
    fprintf(out, "  %-*s  %-*s", width, row->name, shapes, row->shape);
    if (is_few(field)) {
        const int64_t count = inspect_elements(field);
        const bool unit = field->units != NULL && strcmp(field->units, "1") != 0;
        for (int64_t i = 0; i < count; i++) {
            inspect_value(field, i, value[i], sizeof value[i]);
            text_format(line + strlen(line), sizeof line - strlen(line), "%s%s", i > 0 ? "  " : "", value[i]);
        }
        fprintf(out, "  %*s%s%s\n", NUMBERS, line, unit ? "  " : "", unit ? field->units : "");
    } else if (field->type == FIELD_REAL || field->type == FIELD_DOUBLE) {
        const struct statistics s = inspect_statistics(field, row->count);
        if (s.count == 0)
            fprintf(out, "  %*s", NUMBERS, s.not_finite > 0 ? "nothing finite" : "empty");
        else
            fprintf(out, "  %10.3g  %11.3g  %11.3g", s.mean, s.deviation, s.norm);
        if (s.not_finite > 0) fprintf(out, "  %" PRId64 " not finite!", s.not_finite);
        fputc('\n', out);
    } else {
        text_bytes(value[0], sizeof value[0], (double)field_bytes(field));
        fprintf(out, "  %*s  %s\n", NUMBERS, value[0], field_type_name(field));
    }
}

static bool same_section(const struct field *a, const struct field *b)
{
    const size_t n = section_length(a->name);
    return n == section_length(b->name) && strncmp(a->name, b->name, n) == 0;
}

/* How much of the path names the branch that is folded into one line: three components below the section. 0: it is not that deep. */
static size_t branch_length(const char *name)
{
    const char *at = name + section_length(name);
    for (int i = 0; i < 3 && at != NULL && *at == '/'; i++) at = strchr(at + 1, '/');
    return at != NULL && *at == '/' ? (size_t)(at - name) : 0;
}

/* The next line of the table from `field` on, of `left` datasets. */
static void row_make(struct row *row, const struct field *field, int left, bool fold)
{
    const char *name = field->name + section_length(field->name);
    const size_t branch = fold ? branch_length(field->name) : 0;
    row->field = field;
    row->count = 1;
    while (branch > 0 && row->count < left && field[row->count].type == FIELD_REAL && branch_length(field[row->count].name) == branch &&
           strncmp(field[row->count].name, field->name, branch) == 0)
        row->count++;
    text_format(row->name, sizeof row->name, "%s", name[0] == '/' ? name + 1 : field->name + 1);
    inspect_shape(field, row->shape, sizeof row->shape);
    if (row->count == 1) return;
    text_format(row->name, sizeof row->name, "%.*s/…", (int)(branch - section_length(field->name)) - 1, name + 1);
    text_format(row->shape, sizeof row->shape, "%d tensors", row->count);
}

static void section_title(char *title, size_t size, const struct field *field, int count)
{
    int64_t reals = 0;
    size_t bytes = 0;
    char digits[32], text[32];
    for (int i = 0; i < count; i++) {
        bytes += field_bytes(&field[i]);
        if (field[i].type == FIELD_REAL) reals += inspect_elements(&field[i]);
    }
    const struct field number = {.type = FIELD_INT64, .data = &reals};
    inspect_value(&number, 0, digits, sizeof digits);
    text_bytes(text, sizeof text, (double)bytes);
    text_format(title, size, "%.*s (%s%s%s)", (int)section_length(field->name) - 1, field->name + 1, reals > 0 ? digits : "",
                reals > 0 ? " numbers, " : "", text);
}

static int text_width(const char *text) /* of "…" one column, not three bytes */
{
    int width = 0;
    for (; *text != '\0'; text++) width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void show_section(FILE *out, const struct field *field, int count, bool fold)
{
    struct row row;
    int width = 0, shapes = 0;
    bool statistics = false;
    char title[128];
    for (int i = 0; i < count; i += row.count) {
        row_make(&row, &field[i], count - i, fold);
        if (text_width(row.name) > width) width = text_width(row.name);
        if ((int)strlen(row.shape) > shapes) shapes = (int)strlen(row.shape);
        statistics |= !is_few(&field[i]) && (field[i].type == FIELD_REAL || field[i].type == FIELD_DOUBLE);
    }
    section_title(title, sizeof title, field, count);
    if (statistics)
        fprintf(out, "\n%-*s  %10s  %11s  %11s\n", width + shapes + 4, title, "mean", "deviation", "norm");
    else
        fprintf(out, "\n%s\n", title);
    for (int i = 0; i < count; i += row.count) {
        row_make(&row, &field[i], count - i, fold);
        show_row(out, &row, width + (int)strlen(row.name) - text_width(row.name), shapes);
    }
}

/* The order in which people ask; everything else follows in the file's own. */
static const char *const first[] = {"/counters/", "/policy/"};

static int section_end(const struct field_list *list, int start)
{
    int end = start;
    while (end < list->count && same_section(&list->field[start], &list->field[end])) end++;
    return end;
}

static bool comes_first(const struct field *field, int *which)
{
    for (int i = 0; i < (int)(sizeof first / sizeof first[0]); i++)
        if (strncmp(field->name, first[i], strlen(first[i])) == 0) {
            *which = i;
            return true;
        }
    return false;
}

static void show_fields(FILE *out, const struct field_list *list)
{
    const int sections = (int)(sizeof first / sizeof first[0]);
    for (int pass = 0; pass <= sections; pass++)
        for (int start = 0, end; start < list->count; start = end) {
            int which = sections;
            end = section_end(list, start);
            comes_first(&list->field[start], &which);
            if (which == pass) show_section(out, &list->field[start], end - start, pass == sections);
        }
}

void inspect_show(FILE *out, const struct inspected *one)
{
    show_head(out, one);
    show_settings(out, one->file);
    show_fields(out, checkpoint_fields(one->file));
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------------------------- */

static void json_texts(FILE *out, const struct checkpoint *file, bool config)
{
    static const char prefix[] = "config/";
    int count, printed = 0;
    const struct checkpoint_attribute *attribute = checkpoint_attributes(file, &count);
    for (int i = 0; i < count; i++) {
        const bool is_config = strncmp(attribute[i].name, prefix, strlen(prefix)) == 0;
        if (is_config != config) continue;
        fputs(printed++ > 0 ? ", " : "", out);
        text_json_string(out, attribute[i].name + (is_config ? strlen(prefix) : 0));
        fputs(": ", out);
        text_json_string(out, attribute[i].value);
    }
}

struct json_changed {
    struct settings *settings;
    int printed;
};

static void json_changed(void *user, const char *key, const char *value)
{
    struct json_changed *j = user;
    if (!is_changed(j->settings, key, value)) return;
    fputs(j->printed++ > 0 ? ", " : "", j->settings->out);
    text_json_string(j->settings->out, key);
}

static void json_field(FILE *out, const struct field *field)
{
    fputs("{\"name\": ", out);
    text_json_string(out, field->name);
    fprintf(out, ", \"type\": \"%s\", \"shape\": [", field_type_name(field));
    for (int i = 0; i < field->rank; i++) fprintf(out, "%s%" PRId64, i > 0 ? ", " : "", field->shape[i]);
    fprintf(out, "], \"bytes\": %zu, \"units\": ", field_bytes(field));
    text_json_string(out, field->units != NULL ? field->units : "1");
    fputs(", \"description\": ", out);
    text_json_string(out, field->description);
    if (is_few(field)) {
        /* 64-bit integers are written whole; readers that only know doubles round them. */
        fputs(", \"value\": ", out);
        if (field->rank > 0) fputc('[', out);
        for (int64_t i = 0; i < inspect_elements(field); i++) {
            int64_t whole;
            if (i > 0) fputs(", ", out);
            if (field->type == FIELD_DOUBLE) {
                text_json_real(out, inspect_number(field, i));
                continue;
            }
            memcpy(&whole, (const char *)field->data + i * 8, 8);
            if (field->type == FIELD_UINT64)
                fprintf(out, "%" PRIu64, (uint64_t)whole);
            else
                fprintf(out, "%" PRId64, whole);
        }
        if (field->rank > 0) fputc(']', out);
    } else if (field->type == FIELD_REAL || field->type == FIELD_DOUBLE) {
        const struct statistics s = inspect_statistics(field, 1);
        fputs(", \"mean\": ", out);
        text_json_real(out, s.mean);
        fputs(", \"deviation\": ", out);
        text_json_real(out, s.deviation);
        fputs(", \"norm\": ", out);
        text_json_real(out, s.norm);
        fprintf(out, ", \"not_finite\": %" PRId64, s.not_finite);
    }
    fputc('}', out);
}

void inspect_show_json(FILE *out, const struct inspected *one)
{
    fputs("{\"file\": ", out);
    text_json_string(out, one->path);
    fprintf(out, ", \"bytes\": %zu, \"sha256\": \"%s\", \"env_steps\": %" PRId64 ", \"provenance\": {", checkpoint_bytes(one->file),
            checkpoint_digest(one->file), checkpoint_env_steps(one->file));
    json_texts(out, one->file, false);
    fputs("}, \"config\": {", out);
    json_texts(out, one->file, true);
    fputs("}, \"changed\": [", out);
    struct json_changed changed = {settings_of(one->file, out), 0};
    checkpoint_config(one->file, json_changed, &changed);
    fputs("], \"fields\": [", out);
    const struct field_list *list = checkpoint_fields(one->file);
    for (int i = 0; i < list->count; i++) {
        fputs(i > 0 ? ", " : "", out);
        json_field(out, &list->field[i]);
    }
    fputs("]}\n", out);
}
