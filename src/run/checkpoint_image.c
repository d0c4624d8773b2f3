#include "run/checkpoint_image.h"

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

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
    case FIELD_INT32:
        return H5T_STD_I32LE;
    default:
        return H5T_STD_U8LE;
    }
}

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

struct builder {
    hid_t file, scalar, link_create, data_create;
};

static int write_text(const struct builder *b, hid_t object, const char *name, const char *value)
{
    const size_t size = strlen(value) + 1;
    if (size > IMAGE_MAX_TEXT) return -1;
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
    if (done == 0 && field->data != NULL && field_bytes(field) > 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, field->data) < 0)
        done = -1;
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
    for (int i = 0; i < fields->count; i++) room += (fields->field[i].data != NULL ? field_bytes(&fields->field[i]) : 0) + 1024;
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

/* ---- trying -------------------------------------------------------------------------------------------------------------------------- */

static hid_t open_in_memory(const char *bytes, size_t size)
{
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t file = -1;
    if (access >= 0 && H5Pset_fapl_core(access, 1 << 16, 0) >= 0 && H5Pset_file_image(access, (void *)(uintptr_t)bytes, size) >= 0)
        file = H5Fopen("checkpoint in memory", H5F_ACC_RDONLY, access);
    if (access >= 0) H5Pclose(access);
    return file;
}

int image_try(const char *bytes, size_t size, struct error *err)
{
    const int code = library_start(err);
    if (code != EXIT_DONE) return code;
    const hid_t file = open_in_memory(bytes, size);
    const hid_t root = file >= 0 ? H5Gopen2(file, "/", H5P_DEFAULT) : -1;
    if (root >= 0) H5Gclose(root);
    if (file >= 0) H5Fclose(file);
    if (root < 0) return error_set(err, EXIT_CHECKPOINT, "libhdf5 can't open the image that it made");
    return EXIT_DONE;
}
