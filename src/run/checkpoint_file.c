#include "run/checkpoint_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/text.h"

/* ---- the header ---------------------------------------------------------------------------------------------------------------------- */

static const char header_magic[] = "mappo checkpoint\nversion ";

void head_make(char text[CHECKPOINT_HEADER], const struct checkpoint_head *head)
{
    char line[CHECKPOINT_HEADER], front[48] = "";
    if (head->front > 0) text_format(front, sizeof front, "front %" PRId64 "\n", head->front);
    const bool whole = text_format(line, sizeof line,
                                   "%s%d\nsize %zu\nsha256 %s\nenv_steps %" PRId64 "\n%s\n"
                                   "Behind these 512 bytes stands an HDF5 file of `size` bytes: h5ls, h5dump and h5py open\n"
                                   "this file as it is. To check it by hand: tail -c +513 FILE | sha256sum\n",
                                   header_magic, CHECKPOINT_VERSION, head->size, head->digest, head->env_steps, front);
    CHECK(whole, "a checkpoint's header needs more than %d bytes", CHECKPOINT_HEADER);
    memset(text, ' ', CHECKPOINT_HEADER);
    memcpy(text, line, strlen(line));
    text[CHECKPOINT_HEADER - 1] = '\n';
}

/* The number behind "\nname " in the header; `otherwise` where there is none. */
static int64_t header_number(const char *header, const char *name, int64_t otherwise)
{
    char text[CHECKPOINT_HEADER + 1], key[32];
    memcpy(text, header, CHECKPOINT_HEADER);
    text[CHECKPOINT_HEADER] = '\0';
    text_format(key, sizeof key, "\n%s ", name);
    const char *at = strstr(text, key);
    if (at == NULL) return otherwise;
    errno = 0;
    const long long value = strtoll(at + strlen(key), NULL, 10);
    return errno == 0 ? value : -2;
}

/* Magic, version and size, before anything else is read. */
static int header_check(const char *header, size_t file, const char *path, struct error *err)
{
    if (file < CHECKPOINT_HEADER) return error_set(err, EXIT_CHECKPOINT, "%s: too short for a checkpoint (%zu bytes)", path, file);
    if (memcmp(header, header_magic, strlen(header_magic)) != 0)
        return error_set(err, EXIT_CHECKPOINT,
                         "%s: not a checkpoint of this program, or damaged: its first line is not \"mappo checkpoint\"", path);
    const int64_t version = header_number(header, "version", -2), size = header_number(header, "size", -2);
    if (version != CHECKPOINT_VERSION)
        return error_set(err, EXIT_CHECKPOINT, "%s: version %" PRId64 " of the format; this program reads version %d", path, version,
                         CHECKPOINT_VERSION);
    if (size < 0 || (uint64_t)size != file - CHECKPOINT_HEADER)
        return error_set(err, EXIT_CHECKPOINT, "%s: has %zu bytes, its header says %" PRId64 ": the file is damaged or cut off", path, file,
                         size < 0 ? size : size + CHECKPOINT_HEADER);
    return EXIT_DONE;
}

size_t read_some(int fd, char *bytes, size_t size)
{
    size_t got = 0;
    while (got < size) {
        const ssize_t n = read(fd, bytes + got, size - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
    }
    return got;
}

int head_read(struct checkpoint_head *head, char text[CHECKPOINT_HEADER], int fd, const char *path, struct error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return error_set(err, EXIT_CHECKPOINT, "%s: not a regular file", path);
    const size_t got = read_some(fd, text, CHECKPOINT_HEADER);
    const int code = header_check(text, got < CHECKPOINT_HEADER ? got : (size_t)info.st_size, path, err);
    if (code != EXIT_DONE) return code;
    *head = (struct checkpoint_head){.size = (size_t)info.st_size - CHECKPOINT_HEADER,
                                     .env_steps = header_number(text, "env_steps", -2),
                                     .front = header_number(text, "front", 0)};
    return EXIT_DONE;
}

/* All 512 bytes are rebuilt and compared, padding too. */
int head_verify(struct checkpoint_head *head, const char text[CHECKPOINT_HEADER], const uint8_t sum[32], const char *path,
                struct error *err)
{
    char header[CHECKPOINT_HEADER];
    digest_hex(sum, 32, head->digest);
    head_make(header, head);
    const char *stated = strstr(header, "sha256 ");
    if (memcmp(text + (stated - header), stated, strlen("sha256 ") + 64) != 0)
        return error_set(err, EXIT_CHECKPOINT, "%s: SHA-256 differs from the one in its header: the file is damaged", path);
    if (memcmp(text, header, sizeof header) != 0) return error_set(err, EXIT_CHECKPOINT, "%s: its header is damaged", path);
    return EXIT_DONE;
}

int head_verify_steps(const struct checkpoint_head *head, const struct field_list *fields, const char *path, struct error *err)
{
    const int64_t held = image_env_steps(fields);
    if (held == head->env_steps) return EXIT_DONE;
    return error_set(err, EXIT_CHECKPOINT, "%s: its header says %" PRId64 " environment steps, its content %" PRId64 ": it is damaged",
                     path, head->env_steps, held);
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------- */

static int open_followed(const char *path)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;
    char target[256], followed[4096];
    const ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0) return open(path, flags);
    target[length] = '\0';
    const char *slash = strrchr(path, '/');
    const int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
    if (length == (ssize_t)sizeof target - 1 || strchr(target, '/') != NULL ||
        !text_format(followed, sizeof followed, "%.*s%s", folder, path, target)) {
        errno = ELOOP;
        return -1;
    }
    return open(followed, flags);
}

int head_open(const char *path, struct error *err)
{
    errno = 0;
    const int fd = open_followed(path), failed = errno;
    if (fd >= 0) return fd;
    error_set(err, EXIT_CHECKPOINT, "%s: can't open: %s", path,
              failed == ELOOP || failed == EMLINK ? "a symbolic link out of its folder, or to another link; give the file itself"
                                                  : strerror(failed));
    return -1;
}

/* ---- images -------------------------------------------------------------------------------------------------------------------------- */

int64_t image_env_steps(const struct field_list *fields)
{
    int64_t steps = -1;
    const struct field *field = field_find(fields, "/counters/env_steps");
    if (field != NULL && field->type == FIELD_INT64 && field->rank == 0 && field->data != NULL) memcpy(&steps, field->data, sizeof steps);
    return steps;
}

/* The image as a reader will see it holds exactly what was given. */
static int verify_image(const struct made_image *image, const struct field_list *fields, struct error *err)
{
    const struct field_list *found = &image->index.fields;
    if (found->count != fields->count)
        return error_set(err, EXIT_CHECKPOINT, "libhdf5 made an image of %d datasets out of %d", found->count, fields->count);
    for (int i = 0; i < fields->count; i++) {
        const struct field *want = &fields->field[i], *got = field_find(found, want->name);
        const size_t bytes = field_bytes(want);
        bool same = got != NULL && field_alike(want, got);
        if (same && bytes > 0)
            same = want->data == NULL ? got->data == NULL : got->data != NULL && memcmp(got->data, want->data, bytes) == 0;
        if (!same) return error_set(err, EXIT_CHECKPOINT, "libhdf5 made an image that holds something else as %s", want->name);
    }
    return EXIT_DONE;
}

int image_make(struct made_image *image, const struct field_list *fields, const struct checkpoint_attribute *attribute, int attributes,
               struct error *err)
{
    *image = (struct made_image){.bytes = NULL};
    int code = image_build(fields, attribute, attributes, &image->bytes, &image->size, err);
    if (code != EXIT_DONE) return code;
    code = image_try(image->bytes, image->size, err);
    if (code == EXIT_DONE) {
        code = image_place(image->bytes, image->size, &image->extent, err);
        if (code == EXIT_DONE) code = image_index(&image->index, image->bytes, image->size, image->extent, err);
        if (code != EXIT_DONE) error_prefix(err, "%s made an image that can't be read back", image_library());
    }
    if (code == EXIT_DONE) code = verify_image(image, fields, err);
    if (code != EXIT_DONE) image_discard(image);
    return code;
}

void image_discard(struct made_image *image)
{
    image_index_clear(&image->index);
    free(image->bytes);
    *image = (struct made_image){.bytes = NULL};
}
