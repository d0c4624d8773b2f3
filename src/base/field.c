#include "base/field.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/real.h"
#include "base/text.h"

enum { FIELD_MAX_RANK = sizeof((struct field *)0)->shape / sizeof(int64_t) };

struct field *field_add(struct field_list *list, const char *name, int type, void *data, const char *units, const char *description,
                        int rank, ...)
{
    CHECK(rank >= 0 && rank <= FIELD_MAX_RANK, "field %s: %d extents, at most %d are possible", name, rank, FIELD_MAX_RANK);
    if (list->count == list->room) {
        const int room = list->room > 0 ? 2 * list->room : 64;
        struct field *grown = realloc(list->field, (size_t)room * sizeof *grown);
        CHECK(grown != NULL, "out of memory listing field %s", name);
        list->field = grown;
        list->room = room;
    }
    struct field *field = &list->field[list->count];
    memset(field, 0, sizeof *field);
    CHECK(name[0] == '/' && text_format(field->name, sizeof field->name, "%s", name), "field name \"%s\" is no path or too long", name);
    CHECK(text_format(field->description, sizeof field->description, "%s", description), "field %s: description too long", name);
    field->type = type;
    field->rank = rank;
    field->units = units;
    field->data = data;
    va_list extents;
    va_start(extents, rank);
    for (int i = 0; i < rank; i++) {
        field->shape[i] = va_arg(extents, int64_t);
        CHECK(field->shape[i] >= 0, "field %s: extent %d is negative", name, i);
    }
    va_end(extents);
    list->count++;
    return field;
}

struct field *field_copy(struct field_list *list, const struct field *field)
{
    struct field *copy = field_add(list, field->name, field->type, field->data, field->units, field->description, 0);
    *copy = *field;
    return copy;
}

const struct field *field_find(const struct field_list *list, const char *name)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->field[i].name, name) == 0) return &list->field[i];
    return NULL;
}

bool field_alike(const struct field *a, const struct field *b)
{
    return a->type == b->type && a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape[0] * (size_t)a->rank) == 0;
}

/* As files name and hold them. */
static const struct {
    const char *name;
    size_t bytes;
} types[] = {[FIELD_REAL] = {sizeof(real) == 8 ? "float64" : "float32", sizeof(real)},
             [FIELD_DOUBLE] = {"float64", 8},
             [FIELD_INT64] = {"int64", 8},
             [FIELD_UINT64] = {"uint64", 8},
             [FIELD_BYTES] = {"uint8", 1},
             [FIELD_INT32] = {"int32", 4}};

const char *field_type_name(const struct field *field)
{
    return types[field->type].name;
}

size_t field_bytes(const struct field *field)
{
    size_t bytes = types[field->type].bytes;
    for (int i = 0; i < field->rank; i++) bytes *= (size_t)field->shape[i];
    return bytes;
}
