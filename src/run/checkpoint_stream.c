#include "run/checkpoint_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"
#include "run/checkpoint_file.h"

enum { PIECE = 1 << 20, MOST_FRONT = 1 << 26 };

struct checkpoint_stream {
    char path[4096];
    struct checkpoint_head head;
    struct made_image image; /* the front */
    uint64_t at;             /* of the image: where the next piece begins */
    struct digest *digest;
    struct file_draft *draft; /* writing; NULL once it is finished */
    int fd;                   /* reading; else -1 */
};

static struct checkpoint_stream *stream_new(const char *path)
{
    struct checkpoint_stream *stream = calloc(1, sizeof *stream);
    CHECK(stream != NULL && text_format(stream->path, sizeof stream->path, "%s", path), "out of memory for %.200s, or its path is too long",
          path);
    stream->fd = -1;
    stream->digest = digest_create();
    return stream;
}

void checkpoint_stream_close(struct checkpoint_stream *stream)
{
    if (stream == NULL) return;
    file_draft_drop(stream->draft);
    if (stream->fd >= 0) close(stream->fd);
    digest_destroy(stream->digest);
    image_discard(&stream->image);
    free(stream);
}

const struct field_list *checkpoint_stream_fields(const struct checkpoint_stream *stream)
{
    return &stream->image.index.fields;
}

uint64_t checkpoint_stream_bytes(const struct checkpoint_stream *stream)
{
    return CHECKPOINT_HEADER + stream->image.extent;
}

const char *checkpoint_stream_digest(const struct checkpoint_stream *stream)
{
    return stream->head.digest;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------------- */

int checkpoint_stream_create(struct checkpoint_stream **out, const char *path, const struct checkpoint_content *content, struct error *err)
{
    struct checkpoint_stream *stream = stream_new(path);
    struct made_image *image = &stream->image;
    *out = NULL;
    int code = image_make(image, &content->fields, content->attribute, content->attributes, err);
    if (code != EXIT_DONE)
        error_prefix(err, "%s", path);
    else
        code = file_draft_create(&stream->draft, path, err);
    if (code != EXIT_DONE) {
        checkpoint_stream_close(stream);
        return code;
    }
    stream->head = (struct checkpoint_head){
        .size = (size_t)image->extent, .env_steps = image_env_steps(&content->fields), .front = (int64_t)image->size};
    stream->at = image->size;
    digest_add(stream->digest, image->bytes, image->size);
    *out = stream;
    return EXIT_DONE;
}

int checkpoint_stream_write(struct checkpoint_stream *stream, const void *bytes, size_t size, struct error *err)
{
    CHECK(size <= stream->image.extent - stream->at, "%s: more data come than it was made for", stream->path);
    digest_add(stream->digest, bytes, size);
    const int code = file_draft_write(stream->draft, CHECKPOINT_HEADER + stream->at, bytes, size, err);
    stream->at += size;
    return code;
}

int checkpoint_stream_finish(struct checkpoint_stream *stream, struct error *err)
{
    struct file_draft *draft = stream->draft;
    uint8_t sum[32];
    char header[CHECKPOINT_HEADER];
    CHECK(stream->at == stream->image.extent, "%s: fewer data came than it was made for", stream->path);
    digest_end(stream->digest, sum);
    digest_hex(sum, sizeof sum, stream->head.digest);
    head_make(header, &stream->head);
    int code = file_draft_write(draft, CHECKPOINT_HEADER, stream->image.bytes, stream->image.size, err);
    if (code == EXIT_DONE) code = file_draft_write(draft, 0, header, sizeof header, err);
    if (code != EXIT_DONE) return code;
    stream->draft = NULL;
    return file_draft_finish(draft, err);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------- */

static int cut_off(const struct checkpoint_stream *stream, struct error *err)
{
    return error_set(err, EXIT_CHECKPOINT, "%s: can't be read to its end: %s", stream->path,
                     errno != 0 ? strerror(errno) : "it became shorter");
}

/* The front stays in memory, the rest goes by. */
static int read_through(struct checkpoint_stream *stream, const char header[CHECKPOINT_HEADER], struct error *err)
{
    struct made_image *image = &stream->image;
    uint8_t sum[32];
    image->bytes = malloc(image->size + PIECE);
    CHECK(image->bytes != NULL, "out of memory reading %s", stream->path);
    char *piece = image->bytes + image->size;
    errno = 0;
    if (read_some(stream->fd, image->bytes, image->size) != image->size) return cut_off(stream, err);
    digest_add(stream->digest, image->bytes, image->size);
    for (uint64_t left = image->extent - image->size; left > 0;) {
        const size_t size = left < PIECE ? (size_t)left : PIECE;
        if (read_some(stream->fd, piece, size) != size) return cut_off(stream, err);
        digest_add(stream->digest, piece, size);
        left -= size;
    }
    digest_end(stream->digest, sum);
    return head_verify(&stream->head, header, sum, stream->path, err);
}

/* Data stand behind the front without gaps, in the order of the fields. */
static int check_order(const struct checkpoint_stream *stream, struct error *err)
{
    const struct image_index *index = &stream->image.index;
    uint64_t next = stream->image.size;
    for (int i = 0; i < index->fields.count; i++) {
        const struct field *field = &index->fields.field[i];
        if (field->data != NULL || field_bytes(field) == 0) continue;
        if (index->address[i] != next)
            return error_set(err, EXIT_CHECKPOINT, "%s: %s does not stand where it should", stream->path, field->name);
        next += field_bytes(field);
    }
    if (next == stream->image.extent) return EXIT_DONE;
    return error_set(err, EXIT_CHECKPOINT, "%s: holds more than its datasets", stream->path);
}

static int open_stream(struct checkpoint_stream *stream, struct error *err)
{
    struct made_image *image = &stream->image;
    char header[CHECKPOINT_HEADER];
    if ((stream->fd = head_open(stream->path, err)) < 0) return EXIT_CHECKPOINT;
    int code = head_read(&stream->head, header, stream->fd, stream->path, err);
    if (code != EXIT_DONE) return code;
    if (stream->head.front <= 0 || (uint64_t)stream->head.front > stream->head.size || stream->head.front > MOST_FRONT)
        return error_set(err, EXIT_CHECKPOINT, "%s: its header does not say where its data begin", stream->path);
    image->extent = stream->head.size;
    image->size = (size_t)stream->head.front;
    code = read_through(stream, header, err);
    if (code != EXIT_DONE) return code;
    code = image_index(&image->index, image->bytes, image->size, image->extent, err);
    if (code != EXIT_DONE) return error_prefix(err, "%s", stream->path);
    code = head_verify_steps(&stream->head, &image->index.fields, stream->path, err);
    if (code == EXIT_DONE) code = check_order(stream, err);
    stream->at = image->size;
    if (code == EXIT_DONE && lseek(stream->fd, (off_t)(CHECKPOINT_HEADER + image->size), SEEK_SET) < 0) return cut_off(stream, err);
    return code;
}

int checkpoint_stream_open(struct checkpoint_stream **out, const char *path, struct error *err)
{
    struct checkpoint_stream *stream = stream_new(path);
    const int code = open_stream(stream, err);
    *out = stream;
    if (code == EXIT_DONE) return EXIT_DONE;
    checkpoint_stream_close(stream);
    *out = NULL;
    return code;
}

int checkpoint_stream_read(struct checkpoint_stream *stream, void *bytes, size_t size, struct error *err)
{
    CHECK(size <= stream->image.extent - stream->at, "%s: more data are read than it has", stream->path);
    errno = 0;
    if (read_some(stream->fd, bytes, size) != size) return cut_off(stream, err);
    stream->at += size;
    return EXIT_DONE;
}
