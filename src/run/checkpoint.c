#include "run/checkpoint.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"
#include "run/checkpoint_image.h"

/* No run of this program comes near: the widest network it knows takes 4 GB with its moments. */
#define CHECKPOINT_LIMIT ((uint64_t)1 << 36)

struct checkpoint {
    char *bytes; /* header and image, verified */
    size_t size;
    char digest[65];
    int64_t env_steps; /* -1: says nothing of them */
    struct image_index index;
};

const struct checkpoint_provenance checkpoint_provenance[] = {
    {"saved_at", "when it was written (UTC)"},
    {"host", "node of rank 0"},
    {"program", "version, commit and compiler of the program that wrote it"},
    {"environment", "id of the environment"},
    {"environment_version", "version of its rules"},
    {"environment_file", "SHA-256 of the plugin that it came from"},
    {"environment_options", "all options of the environment, defaults too"},
    {"rules", "rule set in force: stands beside every return"},
    {"action_heads", "what the columns of each group's actor mean, in their order: kind and width of the heads, as JSON"},
    {"rounding", "how rules round exp and log1p (src/env/float_math.h); missing: as the C library did"},
    {"ranks", "MPI ranks that trained it last"},
    {"threads_per_rank", "threads of each rank"},
    {"backend", "where networks were computed, and with which libraries"},
    {"instruction_level", "vector instructions that all ranks had"},
    {"mpi", "MPI library"},
    {"hdf5", "HDF5 library"},
    {"/counters/seconds", "time spent training"},
    {"/counters/metrics_offset", "length of metrics.jsonl"},
    {NULL, NULL},
};

bool checkpoint_is_provenance(const char *name)
{
    for (const struct checkpoint_provenance *p = checkpoint_provenance; p->name != NULL; p++)
        if (strcmp(p->name, name) == 0) return true;
    return false;
}

static const struct field *field_find(const struct field_list *list, const char *name)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->field[i].name, name) == 0) return &list->field[i];
    return NULL;
}

/* ---- the header ---------------------------------------------------------------------------------------------------------------------- */

static const char header_magic[] = "mappo checkpoint\nversion ";

static void header_make(char header[CHECKPOINT_HEADER], size_t image, const char *digest, int64_t env_steps)
{
    char text[CHECKPOINT_HEADER];
    const bool whole = text_format(text, sizeof text,
                                   "%s%d\nsize %zu\nsha256 %s\nenv_steps %" PRId64 "\n\n"
                                   "Behind these 512 bytes stands an HDF5 file of `size` bytes: h5ls, h5dump and h5py open\n"
                                   "this file as it is. To check it by hand: tail -c +513 FILE | sha256sum\n",
                                   header_magic, CHECKPOINT_VERSION, image, digest, env_steps);
    CHECK(whole, "a checkpoint's header needs more than %d bytes", CHECKPOINT_HEADER);
    memset(header, ' ', CHECKPOINT_HEADER);
    memcpy(header, text, strlen(text));
    header[CHECKPOINT_HEADER - 1] = '\n';
}

/* The number behind "\nname " in the header; -2 where there is none. */
static int64_t header_number(const char *header, const char *name)
{
    char text[CHECKPOINT_HEADER + 1], key[32];
    memcpy(text, header, CHECKPOINT_HEADER);
    text[CHECKPOINT_HEADER] = '\0';
    text_format(key, sizeof key, "\n%s ", name);
    const char *at = strstr(text, key);
    if (at == NULL) return -2;
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
    const int64_t version = header_number(header, "version"), size = header_number(header, "size");
    if (version != CHECKPOINT_VERSION)
        return error_set(err, EXIT_CHECKPOINT, "%s: version %" PRId64 " of the format; this program reads version %d", path, version,
                         CHECKPOINT_VERSION);
    if (size < 0 || (uint64_t)size != file - CHECKPOINT_HEADER)
        return error_set(err, EXIT_CHECKPOINT, "%s: has %zu bytes, its header says %" PRId64 ": the file is damaged or cut off", path, file,
                         size < 0 ? size : size + CHECKPOINT_HEADER);
    return EXIT_DONE;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------------- */

static int64_t env_steps_of(const struct field_list *fields)
{
    int64_t steps = -1;
    const struct field *field = field_find(fields, "/counters/env_steps");
    if (field != NULL && field->type == FIELD_INT64 && field->rank == 0 && field->data != NULL) memcpy(&steps, field->data, sizeof steps);
    return steps;
}

static bool same_shape(const struct field *a, const struct field *b)
{
    return a->type == b->type && a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape[0] * (size_t)a->rank) == 0;
}

/* The image as a reader will see it holds exactly what was given. */
static int verify_image(const struct field_list *fields, const char *image, size_t size, struct error *err)
{
    struct image_index index;
    int code = image_try(image, size, err);
    if (code != EXIT_DONE) return code;
    code = image_index(&index, image, size, err);
    if (code != EXIT_DONE) return error_prefix(err, "%s made an image that can't be read back", image_library());
    if (index.fields.count != fields->count)
        code = error_set(err, EXIT_CHECKPOINT, "libhdf5 made an image of %d datasets out of %d", index.fields.count, fields->count);
    for (int i = 0; i < fields->count && code == EXIT_DONE; i++) {
        const struct field *want = &fields->field[i], *got = field_find(&index.fields, want->name);
        if (got == NULL || !same_shape(want, got) || (field_bytes(want) > 0 && memcmp(got->data, want->data, field_bytes(want)) != 0))
            code = error_set(err, EXIT_CHECKPOINT, "libhdf5 made an image that holds something else as %s", want->name);
    }
    image_index_clear(&index);
    return code;
}

int checkpoint_write(const char *path, const struct checkpoint_content *content, struct error *err)
{
    struct checkpoint_attribute *attribute = calloc((size_t)content->attributes + 1, sizeof *attribute);
    CHECK(attribute != NULL, "out of memory saving a checkpoint");
    if (content->attributes > 0) memcpy(attribute, content->attribute, (size_t)content->attributes * sizeof *attribute);
    attribute[content->attributes] = (struct checkpoint_attribute){"hdf5", image_library()};
    char *image = NULL;
    size_t size = 0;
    int code = image_build(&content->fields, attribute, content->attributes + 1, &image, &size, err);
    free(attribute);
    if (code == EXIT_DONE) code = verify_image(&content->fields, image, size, err);
    if (code == EXIT_DONE) {
        uint8_t sum[32];
        char digest[65], header[CHECKPOINT_HEADER];
        digest_sha256(image, size, sum);
        digest_hex(sum, sizeof sum, digest);
        header_make(header, size, digest, env_steps_of(&content->fields));
        code = file_replace(path, (const struct file_part[]){{header, sizeof header}, {image, size}}, 2, err);
        free(image);
        return code;
    }
    free(image);
    return error_prefix(err, "%s", path);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------- */

/* Opens `path`, or the name in the same folder that it links to; never through a second link. */
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

static const char *open_fault(int failed)
{
    if (failed == ELOOP || failed == EMLINK) return "a symbolic link out of its folder, or to another link; give the file itself";
    return strerror(failed);
}

/* Reads at most `size` bytes from where `fd` stands; fewer where the file ends. */
static size_t read_some(int fd, char *bytes, size_t size)
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

static int read_whole(struct checkpoint *file, int fd, const char *path, struct error *err)
{
    struct stat info;
    char header[CHECKPOINT_HEADER];
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return error_set(err, EXIT_CHECKPOINT, "%s: not a regular file", path);
    const uint64_t size = (uint64_t)info.st_size;
    if (size > CHECKPOINT_LIMIT) return error_set(err, EXIT_CHECKPOINT, "%s: larger than any checkpoint (%" PRIu64 " bytes)", path, size);
    const size_t head = read_some(fd, header, sizeof header);
    const int code = header_check(header, head < sizeof header ? head : (size_t)size, path, err);
    if (code != EXIT_DONE) return code;
    file->size = (size_t)size;
    file->bytes = malloc(file->size);
    if (file->bytes == NULL) return error_set(err, EXIT_CHECKPOINT, "%s: no memory for its %zu bytes", path, file->size);
    memcpy(file->bytes, header, sizeof header);
    if (read_some(fd, file->bytes + head, file->size - head) != file->size - head)
        return error_set(err, EXIT_CHECKPOINT, "%s: can't be read to its end: %s", path,
                         errno != 0 ? strerror(errno) : "it became shorter");
    return EXIT_DONE;
}

/* All 512 bytes are rebuilt and compared, padding too: no flipped bit passes. */
static int verify(struct checkpoint *file, const char *path, struct error *err)
{
    const char *image = file->bytes + CHECKPOINT_HEADER;
    const size_t size = file->size - CHECKPOINT_HEADER;
    uint8_t sum[32];
    char header[CHECKPOINT_HEADER];
    digest_sha256(image, size, sum);
    digest_hex(sum, sizeof sum, file->digest);
    const int64_t env_steps = header_number(file->bytes, "env_steps");
    header_make(header, size, file->digest, env_steps);
    const char *stated = strstr(header, "sha256 ");
    if (memcmp(file->bytes + (stated - header), stated, strlen("sha256 ") + 64) != 0)
        return error_set(err, EXIT_CHECKPOINT, "%s: SHA-256 differs from the one in its header: the file is damaged", path);
    if (memcmp(file->bytes, header, sizeof header) != 0) return error_set(err, EXIT_CHECKPOINT, "%s: its header is damaged", path);
    const int code = image_index(&file->index, image, size, err);
    if (code != EXIT_DONE) return error_prefix(err, "%s", path);
    file->env_steps = env_steps_of(&file->index.fields);
    if (file->env_steps != env_steps)
        return error_set(err, EXIT_CHECKPOINT, "%s: its header says %" PRId64 " environment steps, its content %" PRId64 ": it is damaged",
                         path, env_steps, file->env_steps);
    return EXIT_DONE;
}

int checkpoint_open(struct checkpoint **out, const char *path, struct error *err)
{
    *out = NULL;
    errno = 0;
    const int fd = open_followed(path);
    if (fd < 0) return error_set(err, EXIT_CHECKPOINT, "%s: can't open: %s", path, open_fault(errno));
    struct checkpoint *file = calloc(1, sizeof *file);
    CHECK(file != NULL, "out of memory opening a checkpoint");
    int code = read_whole(file, fd, path, err);
    close(fd);
    if (code == EXIT_DONE) code = verify(file, path, err);
    if (code != EXIT_DONE) {
        checkpoint_close(file);
        return code;
    }
    *out = file;
    return EXIT_DONE;
}

void checkpoint_close(struct checkpoint *file)
{
    if (file == NULL) return;
    image_index_clear(&file->index);
    free(file->bytes);
    free(file);
}

static void shape_text(const struct field *field, char *text, size_t size)
{
    static const char *const name[] = {
        [FIELD_REAL] = "float32", [FIELD_DOUBLE] = "float64", [FIELD_INT64] = "int64", [FIELD_UINT64] = "uint64", [FIELD_BYTES] = "uint8"};
    size_t at = (size_t)snprintf(text, size, "%s [", name[field->type]);
    for (int i = 0; i < field->rank && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%" PRId64, i > 0 ? "," : "", field->shape[i]);
    if (at < size) snprintf(text + at, size - at, "]");
}

int checkpoint_read(const struct checkpoint *file, const struct field_list *fields, struct error *err)
{
    const struct field **found = calloc((size_t)fields->count + 1, sizeof *found);
    CHECK(found != NULL, "out of memory reading a checkpoint");
    int code = EXIT_DONE;
    for (int i = 0; i < fields->count && code == EXIT_DONE; i++) {
        const struct field *want = &fields->field[i];
        found[i] = field_find(&file->index.fields, want->name);
        char have[128], need[128];
        shape_text(want, need, sizeof need);
        if (found[i] == NULL)
            code = error_set(err, EXIT_CHECKPOINT, "dataset %s (%s) is not in the checkpoint", want->name, need);
        else if (!same_shape(want, found[i])) {
            shape_text(found[i], have, sizeof have);
            code =
                error_set(err, EXIT_CHECKPOINT, "dataset %s is %s in the checkpoint, this configuration needs %s", want->name, have, need);
        }
    }
    for (int i = 0; i < fields->count && code == EXIT_DONE; i++)
        if (field_bytes(found[i]) > 0) memcpy(fields->field[i].data, found[i]->data, field_bytes(found[i]));
    free(found);
    return code;
}

const char *checkpoint_attribute(const struct checkpoint *file, const char *name)
{
    for (int i = 0; i < file->index.attributes; i++)
        if (strcmp(file->index.attribute[i].name, name) == 0) return file->index.attribute[i].value;
    return NULL;
}

void checkpoint_config(const struct checkpoint *file, void (*visit)(void *user, const char *key, const char *value), void *user)
{
    static const char prefix[] = "config/";
    for (int i = 0; i < file->index.attributes; i++) {
        const struct checkpoint_attribute *a = &file->index.attribute[i];
        if (strncmp(a->name, prefix, strlen(prefix)) == 0) visit(user, a->name + strlen(prefix), a->value);
    }
}

const struct field_list *checkpoint_fields(const struct checkpoint *file)
{
    return &file->index.fields;
}

const struct checkpoint_attribute *checkpoint_attributes(const struct checkpoint *file, int *count)
{
    *count = file->index.attributes;
    return file->index.attribute;
}

int64_t checkpoint_env_steps(const struct checkpoint *file)
{
    return file->env_steps;
}
size_t checkpoint_bytes(const struct checkpoint *file)
{
    return file->size;
}
const char *checkpoint_digest(const struct checkpoint *file)
{
    return file->digest;
}

/* ---- names --------------------------------------------------------------------------------------------------------------------------- */

struct checkpoint_name checkpoint_name(int64_t env_steps)
{
    struct checkpoint_name name = {.named = env_steps, .env_steps = env_steps};
    CHECK(env_steps >= 0 && text_format(name.name, sizeof name.name, "step-%012" PRId64 ".h5", env_steps),
          "no checkpoint has %" PRId64 " steps", env_steps);
    return name;
}

/* Exactly what checkpoint_name makes, and nothing else: no temporary file, no copy of a person's. */
static bool name_parse(const char *text, struct checkpoint_name *name)
{
    long long steps;
    int end = 0;
    if (sscanf(text, "step-%15lld.h5%n", &steps, &end) != 1 || end == 0 || text[end] != '\0' || steps < 0) return false;
    *name = checkpoint_name(steps);
    return strcmp(name->name, text) == 0;
}

/* The header of a regular file; false where it is not one of ours, or damaged. */
static bool header_read(int folder, const char *name, char header[CHECKPOINT_HEADER])
{
    struct stat info;
    const int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) return false;
    const bool good = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && read_some(fd, header, CHECKPOINT_HEADER) == CHECKPOINT_HEADER &&
                      header_check(header, (size_t)info.st_size, name, NULL) == EXIT_DONE;
    close(fd);
    return good;
}

/* What it says of the environment steps; below 0 where it says nothing. */
static int64_t header_env_steps(int folder, const char *name)
{
    char header[CHECKPOINT_HEADER];
    return header_read(folder, name, header) ? header_number(header, "env_steps") : -1;
}

bool checkpoint_alike(const char *a, const char *b)
{
    char one[CHECKPOINT_HEADER], other[CHECKPOINT_HEADER];
    return header_read(AT_FDCWD, a, one) && header_read(AT_FDCWD, b, other) && memcmp(one, other, sizeof one) == 0;
}

/* Of two that hold the same, the one that is called so comes first. */
static int by_steps_downwards(const void *a, const void *b)
{
    const struct checkpoint_name *x = a, *y = b;
    if (x->env_steps != y->env_steps) return x->env_steps < y->env_steps ? 1 : -1;
    const bool x_right = x->named == x->env_steps, y_right = y->named == y->env_steps;
    if (x_right != y_right) return x_right ? -1 : 1;
    return x->named < y->named ? 1 : x->named > y->named ? -1 : 0;
}

int checkpoint_list(const char *folder, struct checkpoint_name **list)
{
    *list = NULL;
    DIR *dir = opendir(folder);
    if (dir == NULL) return 0;
    int count = 0, room = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct checkpoint_name name;
        struct stat info;
        if (!name_parse(entry->d_name, &name) || fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(info.st_mode))
            continue;
        const int64_t steps = header_env_steps(dirfd(dir), entry->d_name);
        if (steps >= 0) name.env_steps = steps;
        if (count == room) {
            room = room > 0 ? 2 * room : 64;
            struct checkpoint_name *grown = realloc(*list, (size_t)room * sizeof **list);
            CHECK(grown != NULL, "out of memory listing %s", folder);
            *list = grown;
        }
        (*list)[count++] = name;
    }
    closedir(dir);
    if (count > 0) qsort(*list, (size_t)count, sizeof **list, by_steps_downwards);
    return count;
}

/* Under the name of what it holds, where that is free. */
static bool rename_rightly(const char *path, int64_t holds, char *moved, size_t size)
{
    struct stat info;
    const char *slash = strrchr(path, '/');
    const int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
    return holds >= 0 && text_format(moved, size, "%.*s%s", folder, path, checkpoint_name(holds).name) && lstat(moved, &info) != 0 &&
           rename(path, moved) == 0;
}

int checkpoint_make_room(const char *path, int64_t env_steps, struct error *err)
{
    struct stat info;
    char moved[4096];
    if (lstat(path, &info) != 0) return EXIT_DONE;
    const int64_t holds = S_ISREG(info.st_mode) ? header_env_steps(AT_FDCWD, path) : -1;
    if (holds == env_steps) return EXIT_DONE;
    const int code = rename_rightly(path, holds, moved, sizeof moved) ? EXIT_DONE : file_set_aside(path, moved, sizeof moved, err);
    if (code == EXIT_DONE) warn("%s is not what its name says, and stood where a checkpoint is saved: it is now %s", path, moved);
    return code;
}
