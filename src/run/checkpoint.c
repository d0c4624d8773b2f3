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
#include "run/checkpoint_file.h"

/* No run of this program comes near: the widest network it knows takes 4 GB with its moments. */
#define CHECKPOINT_LIMIT ((uint64_t)1 << 36)

struct checkpoint {
    char *bytes; /* header and image, verified */
    size_t size;
    struct checkpoint_head head;
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
    {"spaces", "spaces of each group: observations as networks see them, actions as the environment takes them, before wrappers, as JSON "
               "(src/run/spaces.h)"},
    {"replay", "file beside it with the replay of an off-policy learner; missing: it has none"},
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

/* ---- writing ------------------------------------------------------------------------------------------------------------------------- */

int checkpoint_write(const char *path, const struct checkpoint_content *content, struct error *err)
{
    struct checkpoint_attribute *attribute = calloc((size_t)content->attributes + 1, sizeof *attribute);
    CHECK(attribute != NULL, "out of memory saving a checkpoint");
    if (content->attributes > 0) memcpy(attribute, content->attribute, (size_t)content->attributes * sizeof *attribute);
    attribute[content->attributes] = (struct checkpoint_attribute){"hdf5", image_library()};
    struct made_image image;
    int code = image_make(&image, &content->fields, attribute, content->attributes + 1, err);
    free(attribute);
    if (code != EXIT_DONE) return error_prefix(err, "%s", path);
    uint8_t sum[32];
    char header[CHECKPOINT_HEADER];
    struct checkpoint_head head = {.size = image.size, .env_steps = image_env_steps(&content->fields)};
    digest_sha256(image.bytes, image.size, sum);
    digest_hex(sum, sizeof sum, head.digest);
    head_make(header, &head);
    code = file_replace(path, (const struct file_part[]){{header, sizeof header}, {image.bytes, image.size}}, 2, err);
    image_discard(&image);
    return code;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------- */

static int read_whole(struct checkpoint *file, int fd, const char *path, struct error *err)
{
    char header[CHECKPOINT_HEADER];
    const int code = head_read(&file->head, header, fd, path, err);
    if (code != EXIT_DONE) return code;
    file->size = CHECKPOINT_HEADER + file->head.size;
    if (file->size > CHECKPOINT_LIMIT)
        return error_set(err, EXIT_CHECKPOINT, "%s: larger than any checkpoint (%zu bytes)", path, file->size);
    file->bytes = malloc(file->size);
    if (file->bytes == NULL) return error_set(err, EXIT_CHECKPOINT, "%s: no memory for its %zu bytes", path, file->size);
    memcpy(file->bytes, header, sizeof header);
    if (read_some(fd, file->bytes + sizeof header, file->head.size) != file->head.size)
        return error_set(err, EXIT_CHECKPOINT, "%s: can't be read to its end: %s", path,
                         errno != 0 ? strerror(errno) : "it became shorter");
    return EXIT_DONE;
}

static int verify(struct checkpoint *file, const char *path, struct error *err)
{
    const char *image = file->bytes + CHECKPOINT_HEADER;
    const size_t size = file->head.size;
    uint8_t sum[32];
    digest_sha256(image, size, sum);
    int code = head_verify(&file->head, file->bytes, sum, path, err);
    if (code != EXIT_DONE) return code;
    code = image_index(&file->index, image, size, size, err);
    if (code != EXIT_DONE) return error_prefix(err, "%s", path);
    return head_verify_steps(&file->head, &file->index.fields, path, err);
}

int checkpoint_open(struct checkpoint **out, const char *path, struct error *err)
{
    *out = NULL;
    errno = 0;
    const int fd = head_open(path, err);
    if (fd < 0) return EXIT_CHECKPOINT;
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
    size_t at = (size_t)snprintf(text, size, "%s [", field_type_name(field));
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
        else if (!field_alike(want, found[i])) {
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
    return file->head.env_steps;
}
size_t checkpoint_bytes(const struct checkpoint *file)
{
    return file->size;
}
const char *checkpoint_digest(const struct checkpoint *file)
{
    return file->head.digest;
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
static bool header_read(int folder, const char *name, struct checkpoint_head *head, char header[CHECKPOINT_HEADER])
{
    const int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) return false;
    const bool good = head_read(head, header, fd, name, NULL) == EXIT_DONE;
    close(fd);
    return good;
}

/* What it says of the environment steps; below 0 where it says nothing. */
static int64_t header_env_steps(int folder, const char *name)
{
    struct checkpoint_head head;
    char header[CHECKPOINT_HEADER];
    return header_read(folder, name, &head, header) ? head.env_steps : -1;
}

int64_t checkpoint_file_env_steps(const char *path)
{
    return header_env_steps(AT_FDCWD, path);
}

bool checkpoint_alike(const char *a, const char *b)
{
    struct checkpoint_head head;
    char one[CHECKPOINT_HEADER], other[CHECKPOINT_HEADER];
    return header_read(AT_FDCWD, a, &head, one) && header_read(AT_FDCWD, b, &head, other) && memcmp(one, other, sizeof one) == 0;
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
