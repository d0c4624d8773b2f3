/* Reading golden data: HDF5 files with /config attributes and datasets by path. Everything is read as double; a dataset that is not there
 * is an array without data. */
#ifndef TESTS_PARITY_GOLDEN_H
#define TESTS_PARITY_GOLDEN_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GOLDEN_MAX_RANK = 8 };

struct golden_array {
    double *data; /* NULL where there is no such dataset */
    size_t count;
    int rank;
    hsize_t shape[GOLDEN_MAX_RANK];
};

static inline hid_t golden_open(const char *path)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
}

static inline struct golden_array golden_read(hid_t file, const char *path)
{
    struct golden_array array = {0};
    const hid_t set = H5Dopen2(file, path, H5P_DEFAULT);
    if (set < 0) return array;
    const hid_t space = H5Dget_space(set);
    array.rank = H5Sget_simple_extent_ndims(space);
    array.count = (size_t)H5Sget_simple_extent_npoints(space);
    if (array.rank >= 0 && array.rank <= GOLDEN_MAX_RANK) H5Sget_simple_extent_dims(space, array.shape, NULL);
    array.data = calloc(array.count + 1, sizeof *array.data);
    if (array.data && H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.data) < 0) {
        free(array.data);
        array.data = NULL;
    }
    H5Sclose(space);
    H5Dclose(set);
    return array;
}

static inline void golden_free(struct golden_array *array)
{
    free(array->data);
    *array = (struct golden_array){0};
}

/* Attribute `name` of object `where` as numbers; returns how many (at most max), 0 where there is none. */
static inline int golden_numbers(hid_t file, const char *where, const char *name, double *out, int max)
{
    const hid_t attribute = H5Aopen_by_name(file, where, name, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0) return 0;
    const hid_t space = H5Aget_space(attribute);
    const int count = (int)H5Sget_simple_extent_npoints(space);
    double all[64];
    const bool read = count <= 64 && H5Aread(attribute, H5T_NATIVE_DOUBLE, all) >= 0;
    H5Sclose(space);
    H5Aclose(attribute);
    if (!read || count > max) return 0;
    memcpy(out, all, (size_t)count * sizeof *out);
    return count;
}

/* A number of /config; exits where it is missing, since a test without its settings would prove nothing. */
static inline double golden_config(hid_t file, const char *name)
{
    double value;
    if (golden_numbers(file, "/config", name, &value, 1) == 1) return value;
    fprintf(stderr, "golden data without /config attribute %s\n", name);
    exit(1);
}

static inline double golden_config_or(hid_t file, const char *name, double otherwise)
{
    double value;
    return golden_numbers(file, "/config", name, &value, 1) == 1 ? value : otherwise;
}

static inline bool golden_text(hid_t file, const char *where, const char *name, char *out, size_t size)
{
    out[0] = 0;
    const hid_t attribute = H5Aopen_by_name(file, where, name, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0) return false;
    const hid_t type = H5Aget_type(attribute);
    const size_t length = H5Tget_size(type);
    bool read = false;
    if (H5Tget_class(type) == H5T_STRING && !H5Tis_variable_str(type) && length < size) {
        const hid_t memory = H5Tcopy(H5T_C_S1);
        H5Tset_size(memory, length + 1);
        read = H5Aread(attribute, memory, out) >= 0;
        H5Tclose(memory);
    }
    H5Tclose(type);
    H5Aclose(attribute);
    return read;
}

#endif
