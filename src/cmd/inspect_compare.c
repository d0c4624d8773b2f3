#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "cmd/inspect.h"

/* What one dataset differs in. */
struct difference {
    const struct field *a, *b; /* NULL: not in that file */
    int64_t elements;          /* that differ; -1 where the shapes or types do */
    double largest;            /* absolute difference of numbers */
};

static const struct field *find(const struct checkpoint *file, const char *name)
{
    return field_find(checkpoint_fields(file), name);
}

/* Bit for bit: 0 and -0 differ, a NaN equals itself. */
static bool differs(const struct field *a, const struct field *b, struct difference *d)
{
    *d = (struct difference){a, b, -1, 0};
    if (a == NULL || b == NULL || a->type != b->type || a->rank != b->rank ||
        memcmp(a->shape, b->shape, sizeof a->shape[0] * (size_t)a->rank) != 0)
        return true;
    const size_t bytes = field_bytes(a);
    if (bytes == 0 || memcmp(a->data, b->data, bytes) == 0) return false;
    const int64_t count = inspect_elements(a);
    const size_t element = bytes / (size_t)count;
    d->elements = 0;
    for (int64_t i = 0; i < count; i++) {
        const size_t at = (size_t)i * element;
        if (memcmp((const char *)a->data + at, (const char *)b->data + at, element) == 0) continue;
        d->elements++;
        const double gap = fabs(inspect_number(a, i) - inspect_number(b, i));
        if (!(gap <= d->largest)) d->largest = gap;
    }
    return true;
}

static const char *name_of(const struct difference *d)
{
    return d->a != NULL ? d->a->name : d->b->name;
}

static void describe(const struct difference *d, char *text, size_t size)
{
    char a[96], b[96];
    if (d->a == NULL || d->b == NULL)
        text_format(text, size, "only in the %s", d->a != NULL ? "first" : "second");
    else if (d->elements < 0) {
        inspect_shape(d->a, a, sizeof a);
        inspect_shape(d->b, b, sizeof b);
        text_format(text, size, "%s %s against %s %s", field_type_name(d->a), a, field_type_name(d->b), b);
    } else if (inspect_elements(d->a) == 1) {
        inspect_value(d->a, 0, a, sizeof a);
        inspect_value(d->b, 0, b, sizeof b);
        text_format(text, size, "%s against %s", a, b);
    } else
        text_format(text, size, "%" PRId64 " of %" PRId64 " elements, by at most %.3g", d->elements, inspect_elements(d->a), d->largest);
}

static void show_difference(FILE *out, const struct difference *d, bool json, int number)
{
    char text[300];
    describe(d, text, sizeof text);
    if (!json) {
        fprintf(out, "  %-54s  %s\n", name_of(d), text);
        return;
    }
    fputs(number > 0 ? ", {\"name\": " : "{\"name\": ", out);
    text_json_string(out, name_of(d));
    fputs(", \"what\": ", out);
    text_json_string(out, text);
    if (d->elements >= 0) {
        fprintf(out, ", \"elements\": %" PRId64 ", \"largest\": ", d->elements);
        text_json_real(out, d->largest);
    }
    fputs("}", out);
}

/* All datasets of the training state that differ; where `out` is NULL they are only counted. */
static int walk_fields(FILE *out, const struct checkpoint *a, const struct checkpoint *b, bool json, int *compared)
{
    int count = 0;
    struct difference d;
    const struct field_list *list = checkpoint_fields(a), *other = checkpoint_fields(b);
    *compared = 0;
    for (int i = 0; i < list->count; i++) {
        if (checkpoint_is_provenance(list->field[i].name)) continue;
        ++*compared;
        if (!differs(&list->field[i], find(b, list->field[i].name), &d)) continue;
        if (out != NULL) show_difference(out, &d, json, count);
        count++;
    }
    for (int i = 0; i < other->count; i++) {
        if (checkpoint_is_provenance(other->field[i].name) || find(a, other->field[i].name) != NULL) continue;
        ++*compared;
        differs(NULL, &other->field[i], &d);
        if (out != NULL) show_difference(out, &d, json, count);
        count++;
    }
    return count;
}

static const char *shown(const char *text)
{
    return text == NULL ? "(not there)" : text[0] == '\0' ? "(empty)" : text;
}

/* null: it is not there. */
static void json_text(FILE *out, const char *before, const char *text)
{
    fputs(before, out);
    if (text != NULL)
        text_json_string(out, text);
    else
        fputs("null", out);
}

static void show_text(FILE *out, const char *name, const char *a, const char *b, bool json, int number)
{
    if (!json) {
        if (number == 0) fprintf(out, "\nsettings and provenance that differ (these don't count)\n");
        fprintf(out, "  %-54s  %s | %s\n", name, shown(a), shown(b));
        return;
    }
    fputs(number > 0 ? ", {\"name\": " : "{\"name\": ", out);
    text_json_string(out, name);
    json_text(out, ", \"first\": ", a);
    json_text(out, ", \"second\": ", b);
    fputs("}", out);
}

static void walk_texts(FILE *out, const struct checkpoint *a, const struct checkpoint *b, bool json)
{
    int count, others, shown = 0;
    const struct checkpoint_attribute *one = checkpoint_attributes(a, &count), *two = checkpoint_attributes(b, &others);
    for (int i = 0; i < count; i++) {
        const char *value = checkpoint_attribute(b, one[i].name);
        if (value == NULL || strcmp(value, one[i].value) != 0) show_text(out, one[i].name, one[i].value, value, json, shown++);
    }
    for (int i = 0; i < others; i++)
        if (checkpoint_attribute(a, two[i].name) == NULL) show_text(out, two[i].name, NULL, two[i].value, json, shown++);
}

int inspect_compare(FILE *out, const struct inspected *a, const struct inspected *b, bool json)
{
    int compared;
    const int count = walk_fields(NULL, a->file, b->file, json, &compared);
    if (json) {
        fprintf(out, "{\"identical\": %s, \"compared\": %d, \"differ\": [", count == 0 ? "true" : "false", compared);
        walk_fields(out, a->file, b->file, true, &compared);
        fputs("], \"texts\": [", out);
        walk_texts(out, a->file, b->file, true);
        fputs("]}\n", out);
        return count == 0 ? EXIT_DONE : EXIT_DIFFERS;
    }
    fprintf(out, "%s\n%s\n", a->path, b->path);
    if (count == 0)
        fprintf(out, "the training state is the same bit for bit (%d datasets)\n", compared);
    else
        fprintf(out, "the training state differs in %d of %d datasets\n", count, compared);
    walk_fields(out, a->file, b->file, false, &compared);
    walk_texts(out, a->file, b->file, false);
    return count == 0 ? EXIT_DONE : EXIT_DIFFERS;
}
