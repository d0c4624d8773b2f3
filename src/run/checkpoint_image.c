#include "run/checkpoint_image.h"

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "data are copied from little-endian files as they stand");

/* Far more than any run has; a file that exceeds them is not one of ours. */
enum { MAX_DEPTH = 16, MAX_OBJECTS = 1 << 18, MAX_ATTRIBUTES = 1 << 16, MAX_TEXT = 60000 };

const char *image_library(void)
{
    static char text[64];
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    text_format(text, sizeof text, "HDF5 %u.%u.%u", major, minor, release);
    return text;
}

/* No messages of its own on stderr, and no filter plugins: a file must not be able to make us load a shared object. */
static int library_start(struct error *err)
{
    static bool started;
    if (started) return EXIT_DONE;
    if (H5open() < 0 || H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0 || H5PLset_loading_state(0) < 0)
        return error_set(err, EXIT_CHECKPOINT, "libhdf5 can't start");
    started = true;
    return EXIT_DONE;
}

/* ---- types --------------------------------------------------------------------------------------------------------------------------- */

static hid_t type_of(int type)
{
    switch (type) {
    case FIELD_REAL:
        return sizeof(real) == 4 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE;
    case FIELD_DOUBLE:
        return H5T_IEEE_F64LE;
    case FIELD_INT64:
        return H5T_STD_I64LE;
    case FIELD_UINT64:
        return H5T_STD_U64LE;
    default:
        return H5T_STD_U8LE;
    }
}

static int type_known(hid_t type) /* enum field_type, -1 for what no field has */
{
    for (int known = FIELD_REAL; known <= FIELD_BYTES; known++)
        if (H5Tequal(type, type_of(known)) > 0) return known;
    return -1;
}

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

struct builder {
    hid_t file, scalar, link_create, data_create;
};

static int write_text(const struct builder *b, hid_t object, const char *name, const char *value)
{
    const size_t size = strlen(value) + 1;
    if (size > MAX_TEXT) return -1;
    const hid_t type = H5Tcopy(H5T_C_S1);
    hid_t attribute = -1;
    int done = -1;
    if (type >= 0 && H5Tset_size(type, size) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0)
        attribute = H5Acreate2(object, name, type, b->scalar, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0 && H5Awrite(attribute, type, value) >= 0) done = 0;
    if (attribute >= 0 && H5Aclose(attribute) < 0) done = -1;
    if (type >= 0) H5Tclose(type);
    return done;
}

static int write_field(const struct builder *b, const struct field *field)
{
    hsize_t shape[4];
    for (int i = 0; i < field->rank; i++) shape[i] = (hsize_t)field->shape[i];
    const hid_t space = field->rank > 0 ? H5Screate_simple(field->rank, shape, NULL) : H5Screate(H5S_SCALAR);
    const hid_t type = type_of(field->type);
    const hid_t set = space < 0 ? -1 : H5Dcreate2(b->file, field->name, type, space, b->link_create, b->data_create, H5P_DEFAULT);
    int done = set < 0 ? -1 : 0;
    if (done == 0 && field_bytes(field) > 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, field->data) < 0) done = -1;
    if (done == 0) done = write_text(b, set, "description", field->description);
    if (done == 0) done = write_text(b, set, "units", field->units != NULL ? field->units : "1");
    if (set >= 0 && H5Dclose(set) < 0) done = -1;
    if (space >= 0) H5Sclose(space);
    return done;
}

/* "config/ppo.clip": opens (or makes) the group /config; without a slash, the root. */
static hid_t open_group_of(const struct builder *b, const char *name, const char **leaf)
{
    const char *slash = strrchr(name, '/');
    *leaf = slash != NULL ? slash + 1 : name;
    char path[256] = "/";
    if (slash != NULL && !text_format(path, sizeof path, "/%.*s", (int)(slash - name), name)) return -1;
    if (slash == NULL || H5Lexists(b->file, path, H5P_DEFAULT) > 0) return H5Gopen2(b->file, path, H5P_DEFAULT);
    return H5Gcreate2(b->file, path, b->link_create, H5P_DEFAULT, H5P_DEFAULT);
}

static int write_content(const struct builder *b, const struct field_list *fields, const struct checkpoint_attribute *attribute,
                         int attributes, struct error *err)
{
    for (int i = 0; i < attributes; i++) {
        const char *leaf;
        const hid_t group = open_group_of(b, attribute[i].name, &leaf);
        const int done = group < 0 ? -1 : write_text(b, group, leaf, attribute[i].value);
        if (group >= 0) H5Gclose(group);
        if (done != 0) return error_set(err, EXIT_CHECKPOINT, "attribute %s: libhdf5 can't write it", attribute[i].name);
    }
    for (int i = 0; i < fields->count; i++)
        if (write_field(b, &fields->field[i]) != 0)
            return error_set(err, EXIT_CHECKPOINT, "dataset %s: libhdf5 can't write it", fields->field[i].name);
    return EXIT_DONE;
}

static hid_t create_in_memory(const struct field_list *fields)
{
    size_t room = 1 << 18; /* one allocation for everything, as nearly as can be told */
    for (int i = 0; i < fields->count; i++) room += field_bytes(&fields->field[i]) + 1024;
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t file = -1;
    /* The earliest format: newer ones get a wrong superblock checksum from H5Fget_file_image before HDF5's fix of 2025
     * (HDFGroup/hdf5#5489). */
    if (access >= 0 && H5Pset_fapl_core(access, room, 0) >= 0 && H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18) >= 0)
        file = H5Fcreate("checkpoint in memory", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (access >= 0) H5Pclose(access);
    return file;
}

static int take_image(hid_t file, char **bytes, size_t *size)
{
    if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0) return -1;
    const ssize_t length = H5Fget_file_image(file, NULL, 0);
    char *image = length > 0 ? malloc((size_t)length) : NULL;
    if (image == NULL || H5Fget_file_image(file, image, (size_t)length) != length) {
        free(image);
        return -1;
    }
    *bytes = image;
    *size = (size_t)length;
    return 0;
}

int image_build(const struct field_list *fields, const struct checkpoint_attribute *attribute, int attributes, char **bytes, size_t *size,
                struct error *err)
{
    *bytes = NULL;
    *size = 0;
    int code = library_start(err);
    if (code != EXIT_DONE) return code;
    struct builder b = {create_in_memory(fields), H5Screate(H5S_SCALAR), H5Pcreate(H5P_LINK_CREATE), H5Pcreate(H5P_DATASET_CREATE)};
    code = EXIT_CHECKPOINT;
    if (b.file < 0 || b.scalar < 0 || b.link_create < 0 || b.data_create < 0 || H5Pset_create_intermediate_group(b.link_create, 1) < 0 ||
        H5Pset_layout(b.data_create, H5D_CONTIGUOUS) < 0 || H5Pset_fill_time(b.data_create, H5D_FILL_TIME_NEVER) < 0 ||
        H5Pset_obj_track_times(b.data_create, 0) < 0)
        error_set(err, code, "libhdf5 can't prepare an image in memory");
    else
        code = write_content(&b, fields, attribute, attributes, err);
    if (code == EXIT_DONE && take_image(b.file, bytes, size) != 0)
        code = error_set(err, EXIT_CHECKPOINT, "libhdf5 can't give the image of the file (out of memory?)");
    if (b.data_create >= 0) H5Pclose(b.data_create);
    if (b.link_create >= 0) H5Pclose(b.link_create);
    if (b.scalar >= 0) H5Sclose(b.scalar);
    if (b.file >= 0) H5Fclose(b.file);
    return code;
}

/* ---- indexing ------------------------------------------------------------------------------------------------------------------------ */

struct walk {
    struct image_index *index;
    const char *bytes;
    size_t size;
    int objects, depth;
    char path[sizeof((struct field *)0)->name]; /* of the group being visited, "" for the root */
    struct error *err;
};

/* Names end up in messages and tables: plain characters only. */
static bool name_is_plain(const char *name)
{
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return false;
    for (const char *c = name; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || *c == '/' || *c == '"' || *c == '\\') return false;
    return true;
}

static const char *where(const struct walk *w)
{
    return w->path[0] != '\0' ? w->path : "/";
}

/* A scalar text of fixed length, from malloc; NULL for anything else. */
static char *read_text(hid_t attribute)
{
    const hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    char *text = NULL;
    const size_t size = type >= 0 ? H5Tget_size(type) : 0;
    if (type >= 0 && space >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && size > 0 && size <= MAX_TEXT &&
        H5Sget_simple_extent_type(space) == H5S_SCALAR && H5Aget_storage_size(attribute) == size)
        text = calloc(size + 1, 1);
    if (text != NULL && H5Aread(attribute, type, text) < 0) {
        free(text);
        text = NULL;
    }
    /* What a terminal would obey is shown as a question mark. */
    for (char *c = text; c != NULL && *c != '\0'; c++)
        if (((unsigned char)*c < ' ' && *c != '\n' && *c != '\t') || *c == 127) *c = '?';
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return text;
}

static char *read_text_of(hid_t object, const char *name)
{
    if (H5Aexists(object, name) <= 0) return NULL;
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0) return NULL;
    char *text = read_text(attribute);
    H5Aclose(attribute);
    return text;
}

static herr_t visit_attribute(hid_t object, const char *name, const H5A_info_t *info, void *user)
{
    (void)info;
    struct walk *w = user;
    struct image_index *index = w->index;
    if (!name_is_plain(name) || index->attributes >= MAX_ATTRIBUTES) {
        error_set(w->err, EXIT_CHECKPOINT, "group %s: has an attribute with an odd name, or too many", where(w));
        return -1;
    }
    if (index->attributes == index->room) {
        const int room = index->room > 0 ? 2 * index->room : 128;
        struct checkpoint_attribute *grown = realloc(index->attribute, (size_t)room * sizeof *grown);
        CHECK(grown != NULL, "out of memory listing a checkpoint's attributes");
        index->attribute = grown;
        index->room = room;
    }
    char *value = read_text_of(object, name), full[2 * sizeof w->path];
    if (value == NULL || !text_format(full, sizeof full, "%s%s%s", w->path[0] ? w->path + 1 : "", w->path[0] ? "/" : "", name)) {
        free(value);
        error_set(w->err, EXIT_CHECKPOINT, "group %s: attribute %.64s is no plain text", where(w), name);
        return -1;
    }
    char *copy = strdup(full);
    CHECK(copy != NULL, "out of memory listing a checkpoint's attributes");
    index->attribute[index->attributes++] = (struct checkpoint_attribute){copy, value};
    return 0;
}

/* How the data lie in the file: in one piece inside it, nowhere else and not transformed. */
static const char *storage_fault(hid_t set)
{
    const hid_t create = H5Dget_create_plist(set);
    if (create < 0) return "can't be examined";
    const char *fault = NULL;
    if (H5Pget_layout(create) != H5D_CONTIGUOUS)
        fault = H5Pget_layout(create) == H5D_VIRTUAL ? "is virtual: made of other files" : "is not stored in one piece";
    else if (H5Pget_external_count(create) != 0)
        fault = "has external storage";
    else if (H5Pget_nfilters(create) != 0)
        fault = "has filters";
    H5Pclose(create);
    return fault;
}

/* Type and shape into `field`; `*bytes` is what the data take. NULL, or what is wrong. */
static const char *dataset_shape(hid_t set, struct field *field, size_t limit)
{
    const hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    const char *fault = NULL;
    hsize_t shape[H5S_MAX_RANK] = {0};
    field->type = type >= 0 ? type_known(type) : -1;
    field->rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    const H5S_class_t class = space >= 0 ? H5Sget_simple_extent_type(space) : H5S_NO_CLASS;
    if (field->type < 0)
        fault = "has a type that no checkpoint holds";
    else if ((class != H5S_SIMPLE && class != H5S_SCALAR) || field->rank < 0 || field->rank > 4)
        fault = "has a shape that no checkpoint holds";
    else if (field->rank > 0 && H5Sget_simple_extent_dims(space, shape, NULL) != field->rank)
        fault = "has no readable shape";
    size_t room = limit / (fault == NULL ? H5Tget_size(type) : 1); /* elements that can be there */
    bool empty = false;
    for (int i = 0; fault == NULL && i < field->rank; i++) empty |= shape[i] == 0;
    for (int i = 0; fault == NULL && i < field->rank; i++) {
        if (shape[i] > room && !(empty && shape[i] < INT32_MAX)) fault = "is larger than the file it is in";
        field->shape[i] = (int64_t)shape[i];
        if (shape[i] > 0 && !empty) room /= shape[i];
    }
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return fault;
}

static int index_dataset(struct walk *w, hid_t set, const char *path)
{
    struct field found = {0};
    const char *fault = storage_fault(set);
    if (fault == NULL) fault = dataset_shape(set, &found, w->size);
    const size_t bytes = fault == NULL ? field_bytes(&found) : 0;
    const haddr_t offset = fault == NULL && bytes > 0 ? H5Dget_offset(set) : 0;
    if (fault == NULL && bytes > 0 && (offset == HADDR_UNDEF || offset > w->size || bytes > w->size - offset))
        fault = "has data that lie outside the file";
    if (fault != NULL) return error_set(w->err, EXIT_CHECKPOINT, "dataset %s: %s", path, fault);
    char *description = read_text_of(set, "description"), *units = read_text_of(set, "units");
    struct image_index *index = w->index;
    struct field *field = field_add(&index->fields, path, found.type, NULL, "", "", 0);
    field->rank = found.rank;
    memcpy(field->shape, found.shape, sizeof field->shape);
    /* Written by nobody: the image is const wherever it is handed out. */
    field->data = bytes > 0 ? (void *)(uintptr_t)(w->bytes + offset) : NULL;
    text_format(field->description, sizeof field->description, "%s", description != NULL ? description : "");
    free(description);
    if (units != NULL) {
        char **grown = realloc(index->text, (size_t)(index->texts + 1) * sizeof *grown);
        CHECK(grown != NULL, "out of memory listing a checkpoint's datasets");
        index->text = grown;
        index->text[index->texts++] = units;
        field->units = units;
    }
    return EXIT_DONE;
}

static int index_group(struct walk *w, hid_t group);

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info, void *user)
{
    struct walk *w = user;
    char path[sizeof w->path];
    if (!name_is_plain(name) || !text_format(path, sizeof path, "%s/%s", w->path, name)) {
        error_set(w->err, EXIT_CHECKPOINT, "group %s: holds something with an odd or too long name", where(w));
        return -1;
    }
    if (info->type != H5L_TYPE_HARD) {
        error_set(w->err, EXIT_CHECKPOINT, "%s is a %s link; links are not followed", path,
                  info->type == H5L_TYPE_SOFT ? "soft" : "external or user-defined");
        return -1;
    }
    /* Groups can contain themselves by hard links: depth and number end that. */
    if (++w->objects > MAX_OBJECTS || w->depth >= MAX_DEPTH) {
        error_set(w->err, EXIT_CHECKPOINT, "%.64s…: nested too deeply, or too many objects", path);
        return -1;
    }
    const hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    const H5I_type_t kind = object >= 0 ? H5Iget_type(object) : H5I_BADID;
    int code;
    if (kind == H5I_DATASET)
        code = index_dataset(w, object, path);
    else if (kind == H5I_GROUP) {
        char outer[sizeof w->path];
        memcpy(outer, w->path, sizeof outer);
        memcpy(w->path, path, sizeof path);
        w->depth++;
        code = index_group(w, object);
        w->depth--;
        memcpy(w->path, outer, sizeof outer);
    } else
        code = error_set(w->err, EXIT_CHECKPOINT, "%s is neither a dataset nor a group, or damaged", path);
    if (object >= 0) H5Oclose(object);
    return code == EXIT_DONE ? 0 : -1;
}

static int index_group(struct walk *w, hid_t group)
{
    struct error *err = w->err;
    err->code = EXIT_DONE;
    if (H5Aiterate2(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_attribute, w) < 0 ||
        H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_link, w) < 0) {
        /* Where the visit itself found nothing wrong, libhdf5 could not read on. */
        if (err->code == EXIT_DONE) error_set(err, EXIT_CHECKPOINT, "group %s: libhdf5 can't read it", where(w));
        return err->code;
    }
    return EXIT_DONE;
}

static hid_t open_in_memory(const char *bytes, size_t size)
{
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t file = -1;
    if (access >= 0 && H5Pset_fapl_core(access, 1 << 16, 0) >= 0 && H5Pset_file_image(access, (void *)(uintptr_t)bytes, size) >= 0)
        file = H5Fopen("checkpoint in memory", H5F_ACC_RDONLY, access);
    if (access >= 0) H5Pclose(access);
    return file;
}

int image_index(struct image_index *index, const char *bytes, size_t size, struct error *err)
{
    struct error own;
    struct walk w = {.index = index, .bytes = bytes, .size = size, .err = err != NULL ? err : &own};
    memset(index, 0, sizeof *index);
    int code = library_start(w.err);
    if (code != EXIT_DONE) return code;
    const hid_t file = open_in_memory(bytes, size);
    const hid_t root = file >= 0 ? H5Gopen2(file, "/", H5P_DEFAULT) : -1;
    if (root < 0)
        code = error_set(w.err, EXIT_CHECKPOINT, "libhdf5 can't open what stands behind the header");
    else
        code = index_group(&w, root);
    if (root >= 0) H5Gclose(root);
    if (file >= 0) H5Fclose(file);
    if (code != EXIT_DONE) image_index_clear(index);
    return code;
}

void image_index_clear(struct image_index *index)
{
    for (int i = 0; i < index->attributes; i++) {
        free((char *)(uintptr_t)index->attribute[i].name);
        free((char *)(uintptr_t)index->attribute[i].value);
    }
    for (int i = 0; i < index->texts; i++) free(index->text[i]);
    free(index->attribute);
    free(index->text);
    free(index->fields.field);
    memset(index, 0, sizeof *index);
}
