#include "run/replay_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "comm/watchdog.h"

enum { PIECE = 1 << 22 }; /* bytes that go between ranks and file at once, or one place where that has more */

/* ---- names and marks ----------------------------------------------------------------------------------------------------------------- */

struct replay_file_name replay_file_name(int64_t env_steps)
{
    struct replay_file_name name;
    CHECK(env_steps >= 0 && text_format(name.text, sizeof name.text, "replay-%012" PRId64 ".h5", env_steps),
          "no replay is of %" PRId64 " steps", env_steps);
    return name;
}

bool replay_file_name_parse(const char *text, int64_t *env_steps)
{
    long long steps;
    int end = 0;
    if (sscanf(text, "replay-%15lld.h5%n", &steps, &end) != 1 || end == 0 || text[end] != '\0' || steps < 0) return false;
    *env_steps = steps;
    return strcmp(replay_file_name(steps).text, text) == 0;
}

int replay_file_make_room(const char *path, int64_t env_steps, struct error *err)
{
    char moved[4096];
    if (!file_exists(path) || checkpoint_file_env_steps(path) == env_steps) return 0;
    const int code = file_set_aside(path, moved, sizeof moved, err);
    if (!code) warn("%s is not what its name says, and stood where a replay is saved: it is now %s", path, moved);
    return code;
}

void replay_file_list_mark(struct replay_file_mark *mark, struct field_list *list)
{
    field_add(list, "/replay/bytes", FIELD_INT64, &mark->bytes, "bytes", "of the file of its replay", 0);
    field_add(list, "/replay/sha256", FIELD_BYTES, mark->digest, "1", "SHA-256 of its replay, as the header of that file states it: text",
              1, (int64_t)sizeof mark->digest - 1);
}

bool replay_file_beside(const struct checkpoint *file, const char *path, char *beside, size_t size)
{
    const char *slash = strrchr(path, '/');
    if (!field_find(checkpoint_fields(file), "/replay/sha256") || checkpoint_env_steps(file) < 0) return false;
    return text_format(beside, size, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path,
                       replay_file_name(checkpoint_env_steps(file)).text);
}

bool replay_file_missing(const struct checkpoint *file, const char *path)
{
    char beside[4096];
    return replay_file_beside(file, path, beside, sizeof beside) && !file_exists(beside);
}

int replay_file_open(struct checkpoint_stream **stream, const struct checkpoint *file, const char *path, struct error *err)
{
    static const char go_on[] = "replay.save=0 goes on with an empty replay";
    struct replay_file_mark mark = {0};
    struct field_list list = {0};
    char beside[4096];
    *stream = NULL;
    if (!replay_file_beside(file, path, beside, sizeof beside)) return 0;
    replay_file_list_mark(&mark, &list);
    int code = checkpoint_read(file, &list, err);
    free(list.field);
    if (code) return error_prefix(err, "%s", path);
    if (!file_exists(beside))
        return error_set(err, EXIT_CHECKPOINT, "%s: its replay %s is not there (only the two newest checkpoints keep theirs; %s)", path,
                         beside, go_on);
    code = checkpoint_stream_open(stream, beside, err);
    if (!code && strcmp(checkpoint_stream_digest(*stream), mark.digest) != 0)
        code = error_set(err, EXIT_CHECKPOINT, "%s: is whole, but not the replay that was saved with this checkpoint", beside);
    if (!code) return 0;
    checkpoint_stream_close(*stream);
    *stream = NULL;
    error_suffix(err, " (%s)", go_on);
    return error_prefix(err, "%s: its replay can't be used", path);
}

/* ---- moving -------------------------------------------------------------------------------------------------------------------------- */

/* All ranks' arrays on their way. */
struct transfer {
    const struct learning *learning;
    struct comm *comm;
    struct field_list fields; /* of this rank */
    int64_t places, envs;     /* written; of all ranks */
    int *order;               /* [arrays] in which they stand in the file */
    int arrays;
    unsigned char *piece; /* some places of this rank's environments, where the host can't use the backend's memory */
    /* rank 0 of several: */
    unsigned char *parts; /* of all ranks, one rank after the other, … */
    unsigned char *rows;  /* … and as the file has them, place after place */
    size_t *sizes;        /* [ranks] bytes of the parts */
};

static bool is_array(const struct field *field)
{
    return field->rank >= 2;
}

static size_t item_bytes(const struct field *field) /* of one environment at one place */
{
    return field_bytes(field) / (size_t)(field->shape[0] * field->shape[1]);
}

static int64_t places_at_once(const struct transfer *x, const struct field *field)
{
    const int64_t places = PIECE / ((int64_t)item_bytes(field) * x->envs);
    return places < 1 ? 1 : places < x->places ? places : x->places;
}

static int64_t envs_of(const struct transfer *x, int rank)
{
    return comm_part((int)x->envs, rank, x->comm->size).count;
}

static void *piece_memory(size_t bytes)
{
    void *memory = malloc(bytes + 1);
    if (!memory) die(EXIT_USAGE, "not enough memory to move a replay between memory and file (%zu bytes at once)", bytes);
    return memory;
}

static void transfer_open(struct transfer *x, const struct learning *learning, struct comm *comm)
{
    size_t most = 0;
    *x = (struct transfer){.learning = learning, .comm = comm};
    double envs = learning->envs.count;
    comm_sum_double(comm, &envs, 1);
    x->envs = (int64_t)envs;
    x->places = learning->algorithm->ops->replay(learning->algorithm, &x->fields);
    x->order = piece_memory((size_t)x->fields.count * sizeof *x->order);
    for (int i = 0; i < x->fields.count; i++) {
        const struct field *field = &x->fields.field[i];
        CHECK(is_array(field) ? field_bytes(field) > 0 : field->type == FIELD_INT64 && field->rank == 0,
              "%s is neither an array of a replay nor a count of places", field->name);
        if (!is_array(field)) continue;
        const size_t bytes = (size_t)(places_at_once(x, field) * x->envs) * item_bytes(field);
        x->order[x->arrays++] = i;
        if (bytes > most) most = bytes;
    }
    if (!learning->backend->host_memory) x->piece = piece_memory(most);
    if (comm->rank || comm->size == 1) return;
    x->rows = piece_memory(most);
    x->parts = piece_memory(most);
    x->sizes = piece_memory((size_t)comm->size * sizeof *x->sizes);
}

static void transfer_close(struct transfer *x)
{
    free(x->fields.field);
    free(x->order);
    free(x->piece);
    free(x->parts);
    free(x->rows);
    free(x->sizes);
}

/* Rank 0: parts of ranks to rows of places (`to_rows`), or back. */
static void interleave(const struct transfer *x, size_t item, int64_t places, bool to_rows)
{
    unsigned char *part = x->parts;
    size_t before = 0; /* of a row, in the ranks before */
    for (int r = 0; r < x->comm->size; r++) {
        const size_t own = (size_t)envs_of(x, r) * item;
        for (int64_t p = 0; p < places; p++, part += own) {
            unsigned char *row = x->rows + (size_t)(p * x->envs) * item + before;
            memcpy(to_rows ? row : part, to_rows ? part : row, own);
        }
        before += own;
    }
}

/* Places [first, first + places) of an array; rank 0 reads them from the file, or writes them there. */
static int move(const struct transfer *x, const struct field *field, int64_t first, int64_t places, struct checkpoint_stream *stream,
                bool loading, struct error *err)
{
    struct backend *backend = x->learning->backend;
    const size_t item = item_bytes(field), whole = (size_t)(places * x->envs) * item, own = (size_t)(places * field->shape[1]) * item;
    unsigned char *there = (unsigned char *)field->data + (size_t)(first * field->shape[1]) * item, *here = x->piece ? x->piece : there;
    const bool alone = x->comm->size == 1;
    int code = 0;
    for (int r = 0; r < x->comm->size && x->sizes; r++) x->sizes[r] = (size_t)(places * envs_of(x, r)) * item;
    if (loading) {
        if (stream) code = checkpoint_stream_read(stream, alone ? here : x->rows, whole, err);
        if (!alone && stream) interleave(x, item, places, false);
        if (!alone) comm_scatter(x->comm, x->parts, x->sizes, here, own);
        if (x->piece) backend->upload(backend, there, here, own);
    } else {
        if (x->piece) backend->download(backend, here, there, own);
        if (!alone) comm_gather(x->comm, here, own, x->parts, x->sizes);
        if (!alone && stream) interleave(x, item, places, true);
        if (stream) code = checkpoint_stream_write(stream, alone ? here : x->rows, whole, err);
    }
    return code;
}

/* All arrays, in the order of the file. What goes wrong is rank 0's alone: every piece tells the others. */
static int move_all(struct transfer *x, struct checkpoint_stream *stream, bool loading, struct error *err)
{
    int code = 0;
    comm_broadcast(x->comm, x->order, (size_t)x->arrays * sizeof *x->order);
    for (int i = 0; i < x->arrays; i++) {
        const struct field *field = &x->fields.field[x->order[i]];
        const int64_t most = places_at_once(x, field);
        for (int64_t first = 0; first < x->places; first += most) {
            code = move(x, field, first, first + most <= x->places ? most : x->places - first, stream, loading, err);
            comm_broadcast(x->comm, &code, sizeof code);
            watchdog_sign();
            if (code) return code;
        }
    }
    return 0;
}

/* Rank 0: the order in which its arrays stand in the file; false where the file has others. */
static bool take_order(struct transfer *x, const struct checkpoint_stream *stream)
{
    const struct field_list *file = checkpoint_stream_fields(stream);
    const int arrays = x->arrays;
    x->arrays = 0;
    for (int i = 0; i < file->count; i++) {
        if (file->field[i].data) continue;
        const struct field *field = field_find(&x->fields, file->field[i].name);
        if (!field || !is_array(field) || x->arrays == arrays) return false;
        x->order[x->arrays++] = (int)(field - x->fields.field);
    }
    return x->arrays == arrays;
}

/* A field as the file has it: of all ranks, and of the places that have been written. */
static struct field *list_whole(const struct transfer *x, const struct field *field, struct field_list *list)
{
    struct field *whole = field_copy(list, field);
    if (!is_array(field)) return whole;
    whole->data = NULL;
    whole->shape[0] = x->places;
    whole->shape[1] = x->envs;
    return whole;
}

int64_t replay_file_bytes(const struct learning *learning, int64_t envs)
{
    struct field_list list = {0};
    int64_t bytes = 0;
    learning->algorithm->ops->replay(learning->algorithm, &list);
    for (int i = 0; i < list.count; i++)
        if (is_array(&list.field[i])) bytes += list.field[i].shape[0] * envs * (int64_t)item_bytes(&list.field[i]);
    free(list.field);
    return bytes;
}

/* ---- saving -------------------------------------------------------------------------------------------------------------------------- */

static int create(const struct transfer *x, struct checkpoint_stream **stream, const char *path, int64_t env_steps, struct error *err)
{
    const struct checkpoint_attribute kind = {"kind", "replay"};
    struct checkpoint_content content = {.attribute = &kind, .attributes = 1};
    for (int i = 0; i < x->fields.count; i++) list_whole(x, &x->fields.field[i], &content.fields);
    field_add(&content.fields, "/counters/env_steps", FIELD_INT64, &env_steps, "environment steps", "of the checkpoint that it belongs to",
              0);
    const int code = checkpoint_stream_create(stream, path, &content, err);
    free(content.fields.field);
    return code;
}

int replay_file_save(const struct learning *learning, struct comm *comm, const char *path, int64_t env_steps, struct replay_file_mark *mark,
                     struct error *err)
{
    struct transfer x;
    struct checkpoint_stream *stream = NULL;
    int code = 0;
    *mark = (struct replay_file_mark){0};
    transfer_open(&x, learning, comm);
    if (!comm->rank) code = create(&x, &stream, path, env_steps, err);
    const bool ordered = !stream || take_order(&x, stream);
    CHECK(ordered, "%s has other arrays than it was made for", path);
    comm_broadcast(comm, &code, sizeof code);
    if (!code) code = move_all(&x, stream, false, err);
    if (!code && stream) code = checkpoint_stream_finish(stream, err);
    comm_broadcast(comm, &code, sizeof code);
    if (!code && stream) {
        mark->bytes = (int64_t)checkpoint_stream_bytes(stream);
        text_format(mark->digest, sizeof mark->digest, "%s", checkpoint_stream_digest(stream));
    }
    checkpoint_stream_close(stream);
    transfer_close(&x);
    return code;
}

/* ---- loading ------------------------------------------------------------------------------------------------------------------------- */

/* Rank 0. A count of places, or an array, that the file has as this learner needs it. */
static int check_field(const struct transfer *x, struct field *field, const struct field_list *file, struct error *err)
{
    struct field_list list = {0};
    int64_t count;
    const struct field *have = field_find(file, field->name);
    const bool fits = have && field_alike(list_whole(x, field, &list), have) && !have->data == is_array(field);
    free(list.field);
    if (!fits) return error_set(err, EXIT_CHECKPOINT, "the replay holds no such %s as this configuration needs", field->name);
    if (is_array(field)) return 0;
    memcpy(&count, have->data, sizeof count);
    if (count < 0 || count >= x->places)
        return error_set(err, EXIT_CHECKPOINT, "the replay's %s is no count of its places: not a file of this program", field->name);
    memcpy(field->data, &count, sizeof count);
    return 0;
}

static int check(struct transfer *x, const struct checkpoint_stream *stream, struct error *err)
{
    int code = 0;
    for (int i = 0; i < x->fields.count && !code; i++) code = check_field(x, &x->fields.field[i], checkpoint_stream_fields(stream), err);
    if (!code && !take_order(x, stream)) code = error_set(err, EXIT_CHECKPOINT, "the replay holds other arrays than this learner's");
    return code;
}

int replay_file_load(const struct learning *learning, struct comm *comm, struct checkpoint_stream *stream, struct error *err)
{
    struct transfer x;
    transfer_open(&x, learning, comm);
    int code = comm_vote(comm, stream ? check(&x, stream, err) : 0, err);
    for (int i = 0; i < x.fields.count && !code; i++)
        if (!is_array(&x.fields.field[i])) comm_broadcast(comm, x.fields.field[i].data, field_bytes(&x.fields.field[i]));
    if (!code) code = move_all(&x, stream, true, err);
    transfer_close(&x);
    return comm_vote(comm, code, err);
}
