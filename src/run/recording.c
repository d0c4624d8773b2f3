#include "run/recording.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/text.h"

/* Rows of one slice, as they came: of steps (of all environments in turn), or of episodes. */
struct column {
    struct slice slice;
    const real *added; /* its numbers are `real` and come from here; NULL = from the io */
    unsigned char *bytes;
    size_t rows, room;
};

enum { MOST_ADDED = 4 * MAPPO_MAX_GROUPS };

struct recording {
    const struct mappo_env_spec *spec;
    struct column *column;
    int columns;
    int64_t episodes, rows, room;
    int64_t *episode;        /* [rows] whose step it is */
    int64_t *length, *start; /* [episodes] */
    uint8_t *end;            /* [episodes] */
    uint8_t *begins;         /* [rows] of the file */
};

int recording_check(const char *path, struct error *err)
{
    const size_t length = strlen(path);
    if (length < 3 || strcasecmp(path + length - 3, ".h5") != 0)
        return error_set(err, EXIT_USAGE, "record=%s: recordings are HDF5: a name that ends in .h5 is needed", path);
    return file_check_writable(path, err) ? error_prefix(err, "record") : 0;
}

static void *take(size_t count, size_t size)
{
    void *p = calloc(count + 1, size);
    CHECK(p, "out of memory for a recording");
    return p;
}

struct recording *recording_create(const struct mappo_env_spec *spec, int64_t episodes)
{
    struct recording *r = take(1, sizeof *r);
    struct slices slices;
    slices_of(&slices, spec);
    r->spec = spec;
    r->episodes = episodes;
    r->column = take((size_t)slices.count + MOST_ADDED, sizeof *r->column);
    for (int i = 0; i < slices.count; i++)
        if (slices.slice[i].offered && !slice_is_state(&slices.slice[i])) r->column[r->columns++].slice = slices.slice[i];
    r->length = take((size_t)episodes, sizeof *r->length);
    r->start = take((size_t)episodes, sizeof *r->start);
    r->end = take((size_t)episodes, sizeof *r->end);
    return r;
}

void recording_destroy(struct recording *r)
{
    if (!r) return;
    for (int i = 0; i < r->columns; i++) free(r->column[i].bytes);
    free(r->column);
    free(r->episode);
    free(r->length);
    free(r->start);
    free(r->end);
    free(r->begins);
    free(r);
}

void recording_add(struct recording *r, const struct recording_numbers *numbers)
{
    const size_t width = (size_t)r->spec->group[numbers->group].agents * (size_t)numbers->width;
    r->column[r->columns++] = (struct column){.slice = {.id = -1,
                                                        .name = numbers->name,
                                                        .what = numbers->what,
                                                        .group = numbers->group,
                                                        .written = SLICE_ACTION,
                                                        .is_float = true,
                                                        .width = width,
                                                        .bytes = width * sizeof(real)},
                                              .added = numbers->from};
}

/* ---- while episodes are played ------------------------------------------------------------------------------------------------------- */

static void grow(void **array, size_t *room, size_t wanted, size_t size)
{
    if (wanted <= *room) return;
    *room = *room ? 2 * *room : 1024;
    if (*room < wanted) *room = wanted;
    *array = realloc(*array, *room * size);
    if (!*array) die(EXIT_USAGE, "out of memory for a recording: record fewer episodes (episodes=N)");
}

static void keep(struct column *c, const struct mappo_env_io *io, int e, size_t row)
{
    void *bytes = c->bytes;
    grow(&bytes, &c->room, row + 1, c->slice.bytes);
    c->bytes = bytes;
    if (row >= c->rows) c->rows = row + 1;
    const char *from = c->added ? (const char *)c->added : slice_array(io, &c->slice);
    memcpy(c->bytes + row * c->slice.bytes, from + (size_t)e * c->slice.bytes, c->slice.bytes);
}

void recording_before(struct recording *r, const struct mappo_env_io *io, int e, int64_t episode)
{
    void *numbers = r->episode;
    size_t room = (size_t)r->room;
    grow(&numbers, &room, (size_t)r->rows + 1, sizeof *r->episode);
    r->episode = numbers;
    r->room = (int64_t)room;
    r->episode[r->rows++] = episode;
    for (int i = 0; i < r->columns; i++)
        if (r->column[i].slice.written == SLICE_OBSERVATION || r->column[i].slice.written == SLICE_ACTION)
            keep(&r->column[i], io, e, r->column[i].rows);
}

void recording_after(struct recording *r, const struct mappo_env_io *io, int e, int64_t episode)
{
    const uint8_t end = io->ep_end[e];
    r->length[episode]++;
    r->end[episode] = end;
    for (int i = 0; i < r->columns; i++) {
        struct column *c = &r->column[i];
        if (c->slice.id == ENV_SLICE_ep_end) continue; /* told by episode */
        if (c->slice.written == SLICE_RESULT) keep(c, io, e, c->rows);
        if (c->slice.written == SLICE_FINAL && end) keep(c, io, e, (size_t)episode);
    }
}

/* ---- the file ------------------------------------------------------------------------------------------------------------------------ */

/* Numbers of a row, as files have them: float32, int64, uint8. */
static int type_of(const struct slice *slice)
{
    return slice->is_float ? FIELD_REAL : slice->bytes == slice->width ? FIELD_BYTES : FIELD_INT64;
}

static size_t size_of(int type)
{
    return type == FIELD_REAL ? sizeof(real) : type == FIELD_INT64 ? sizeof(int64_t) : 1;
}

static void put_row(void *to, const struct slice *slice, const unsigned char *from)
{
    const int type = type_of(slice);
    for (size_t i = 0; i < slice->width; i++) {
        float x;
        int32_t whole;
        if (type == FIELD_BYTES) ((uint8_t *)to)[i] = from[i];
        if (type == FIELD_REAL) memcpy(&x, from + i * sizeof x, sizeof x), ((real *)to)[i] = (real)x;
        if (type == FIELD_INT64) memcpy(&whole, from + i * sizeof whole, sizeof whole), ((int64_t *)to)[i] = whole;
    }
}

/* The rows of a column in the order of the file. */
static void *sorted(const struct recording *r, const struct column *c)
{
    const size_t row = c->slice.width * size_of(type_of(&c->slice));
    unsigned char *to = take(c->rows, row);
    int64_t *next = take((size_t)r->episodes, sizeof *next);
    memcpy(next, r->start, (size_t)r->episodes * sizeof *next);
    for (size_t i = 0; i < c->rows; i++) {
        const size_t at = c->slice.written == SLICE_FINAL ? i : (size_t)next[r->episode[i]]++;
        if (c->added)
            memcpy(to + at * row, c->bytes + i * row, row);
        else
            put_row(to + at * row, &c->slice, c->bytes + i * c->slice.bytes);
    }
    free(next);
    return to;
}

static void add_column(const struct recording *r, const struct column *c, struct field_list *list)
{
    const struct slice *slice = &c->slice;
    const int g = slice->group;
    const int64_t rows = (int64_t)c->rows, width = (int64_t)slice->width, agents = g < 0 ? 1 : r->spec->group[g].agents;
    const bool one = slice->id == GROUP_SLICE_reward || slice->id == GROUP_SLICE_terminated || slice->id == GROUP_SLICE_active;
    char name[sizeof list->field->name], what[sizeof list->field->description];
    text_format(name, sizeof name, "/%s%s%s", g < 0 ? "" : r->spec->group[g].name, g < 0 ? "" : "/", slice->name);
    text_format(what, sizeof what, "%s %s", slice->what,
                c->added                              ? "before each step"
                : slice->written == SLICE_FINAL       ? "of each episode: what was seen after its last step"
                : slice->written == SLICE_OBSERVATION ? "before each step"
                : slice->written == SLICE_ACTION      ? "of each step, as chosen, before wrappers"
                                                      : "of each step");
    void *data = sorted(r, c);
    if (g < 0 || one)
        field_add(list, name, type_of(slice), data, "1", what, 2, rows, g < 0 ? width : agents);
    else
        field_add(list, name, type_of(slice), data, "1", what, 3, rows, agents, width / agents);
}

static int set_aside(const char *path, struct error *err)
{
    struct checkpoint *file = NULL;
    char moved[4096];
    if (!file_exists(path)) return 0;
    const char *kind = checkpoint_open(&file, path, NULL) ? NULL : checkpoint_attribute(file, "kind");
    const bool own = kind && strcmp(kind, "episodes") == 0;
    checkpoint_close(file);
    if (own) return 0;
    const int code = file_set_aside(path, moved, sizeof moved, err);
    if (!code) warn("%s was no recording: it is now %s", path, moved);
    return code;
}

struct recording_size recording_size(const struct recording *r)
{
    struct recording_size size = {.all = (size_t)r->episodes * (2 * sizeof(int64_t) + 1) + (size_t)r->rows};
    for (int i = 0; i < r->columns; i++) {
        const struct column *c = &r->column[i];
        const size_t bytes = c->slice.id == ENV_SLICE_ep_end ? 0 : c->rows * c->slice.width * size_of(type_of(&c->slice));
        size.all += bytes;
        size.added += c->added ? bytes : 0;
    }
    return size;
}

int recording_write(struct recording *r, const char *path, const struct checkpoint_attribute *attribute, int attributes, struct error *err)
{
    enum { COPIES = 4, LIBRARY = 16000000, OWN = 4 }; /* what libhdf5 takes beside a file that it makes in memory */
    size_t bytes = LIBRARY;
    for (int i = 0; i < r->columns; i++) bytes += COPIES * r->column[i].rows * r->column[i].slice.width * sizeof(int64_t);
    if (!memory_room(bytes))
        return error_set(err, EXIT_USAGE, "record: %lld steps need %.4g GB of memory to be written: record fewer episodes (episodes=N)",
                         (long long)r->rows, (double)bytes * 1e-9);
    for (int64_t k = 1; k < r->episodes; k++) r->start[k] = r->start[k - 1] + r->length[k - 1];
    r->begins = take((size_t)r->rows, 1);
    for (int64_t k = 0; k < r->episodes; k++) r->begins[r->start[k]] = 1; /* every episode has a step */
    struct checkpoint_content content = {.attribute = attribute, .attributes = attributes};
    struct field_list *list = &content.fields;
    field_add(list, "/episodes/start", FIELD_INT64, r->start, "rows", "first step of each episode", 1, r->episodes);
    field_add(list, "/episodes/length", FIELD_INT64, r->length, "steps", "steps of each episode", 1, r->episodes);
    field_add(list, "/episodes/end", FIELD_BYTES, r->end, "1", "how each ended: 1 terminated, 2 truncated (a time limit)", 1, r->episodes);
    field_add(list, "/episodes/begins", FIELD_BYTES, r->begins, "1", "whether a step is the first of its episode", 1, r->rows);
    for (int i = 0; i < r->columns; i++)
        if (r->column[i].slice.id != ENV_SLICE_ep_end) add_column(r, &r->column[i], list);
    int code = set_aside(path, err);
    if (!code) code = checkpoint_write(path, &content, err);
    for (int i = OWN; i < list->count; i++) free(list->field[i].data);
    free(list->field);
    return code;
}
