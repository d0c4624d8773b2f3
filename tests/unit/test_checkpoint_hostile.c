/* Files that somebody made on purpose: HDF5 of every kind that no checkpoint has, behind a header whose size and SHA-256 are right, so that
 * it is the reader behind the digest that is tried. Each is a clean error; none makes it read, write or load anything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <hdf5.h>

#include "base/digest.h"
#include "base/file.h"
#include "checkpoint_sample.h"

static char folder[256], good[300], hostile[300], outside[300];
static char *image; /* of the good file, with its header */
static size_t image_size;

/* ---- making files -------------------------------------------------------------------------------------------------------------------- */

/* A header that is right for these bytes, in the words of a real one. */
static void wrap(const char *bytes, size_t size)
{
    uint8_t sum[32];
    char digest[65], header[CHECKPOINT_HEADER + 1];
    digest_sha256(bytes, size, sum);
    digest_hex(sum, sizeof sum, digest);
    const int start = snprintf(header, sizeof header, "mappo checkpoint\nversion 1\nsize %zu\nsha256 %s\n", size, digest);
    const char *rest = strstr(image, "env_steps");
    memset(header + start, ' ', sizeof header - (size_t)start);
    memcpy(header + start, rest, (size_t)(strstr(rest, "sha256sum\n") - rest) + strlen("sha256sum\n"));
    header[CHECKPOINT_HEADER - 1] = '\n';
    FILE *file = fopen(hostile, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(header, 1, CHECKPOINT_HEADER, file), CHECKPOINT_HEADER);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static int set_up(void **state)
{
    (void)state;
    struct error err = {0};
    sample_folder(folder, sizeof folder);
    text_format(good, sizeof good, "%s/good.h5", folder);
    text_format(hostile, sizeof hostile, "%s/hostile.h5", folder);
    text_format(outside, sizeof outside, "%s/outside", folder);
    FILE *file = fopen(outside, "w");
    for (int i = 0; i < 4096; i++) fputc(i & 255, file);
    fclose(file);
    struct sample *s = sample_create(5);
    int code = sample_save(s, good, &err);
    if (code == EXIT_DONE) code = file_read(good, 1 << 24, &image, &image_size, &err);
    sample_destroy(s);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return code;
}

static int tear_down(void **state)
{
    (void)state;
    free(image);
    sample_folder_remove(folder);
    return 0;
}

static hid_t space_of(hsize_t n)
{
    return H5Screate_simple(1, &n, NULL);
}

static void dataset(hid_t file, const char *name, hid_t type, hid_t space, hid_t create)
{
    static const char data[1 << 12];
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    assert_true(set >= 0);
    if (create == H5P_DEFAULT && H5Sget_simple_extent_npoints(space) * (hssize_t)H5Tget_size(type) <= (hssize_t)sizeof data)
        H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    H5Dclose(set);
}

/* The attack is added to a file that is otherwise like a checkpoint. */
static void attack(void (*add)(hid_t file), bool newest_format)
{
    char plain[300], *bytes;
    size_t size;
    struct error err = {0};
    text_format(plain, sizeof plain, "%s/plain.h5", folder);
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (newest_format) H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    const hid_t file = H5Fcreate(plain, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    assert_true(file >= 0);
    const hid_t counters = H5Gcreate2(file, "counters", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), scalar = H5Screate(H5S_SCALAR);
    const hid_t steps = H5Dcreate2(counters, "env_steps", H5T_STD_I64LE, scalar, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const int64_t value = 16000;
    H5Dwrite(steps, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value);
    H5Dclose(steps);
    H5Sclose(scalar);
    H5Gclose(counters);
    add(file);
    H5Fclose(file);
    H5Pclose(access);
    assert_int_equal(file_read(plain, 1 << 26, &bytes, &size, &err), EXIT_DONE);
    wrap(bytes, size);
    free(bytes);
    unlink(plain);
}

/* ---- attacks ------------------------------------------------------------------------------------------------------------------------- */

static void nothing(hid_t file)
{
    (void)file;
}
static void soft_link(hid_t file)
{
    H5Lcreate_soft("/counters/env_steps", file, "weight", H5P_DEFAULT, H5P_DEFAULT);
}
static void dangling_link(hid_t file)
{
    H5Lcreate_soft("/nowhere", file, "weight", H5P_DEFAULT, H5P_DEFAULT);
}
static void external_link(hid_t file)
{
    H5Lcreate_external(good, "/counters/update", file, "weight", H5P_DEFAULT, H5P_DEFAULT);
}
static void external_group(hid_t file)
{
    H5Lcreate_external(good, "/policy", file, "policy", H5P_DEFAULT, H5P_DEFAULT);
}

static void external_storage(hid_t file)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = space_of(1024);
    H5Pset_external(create, outside, 0, 4096);
    dataset(file, "weight", H5T_IEEE_F32LE, space, create);
    H5Sclose(space);
    H5Pclose(create);
}

static void virtual_dataset(hid_t file)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = space_of(64);
    H5Pset_virtual(create, space, good, "/policy/agent/actor/fc1/bias", space);
    dataset(file, "weight", H5T_IEEE_F32LE, space, create);
    H5Sclose(space);
    H5Pclose(create);
}

static void filtered(hid_t file)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = space_of(64);
    const hsize_t chunk = 64;
    H5Pset_chunk(create, 1, &chunk);
    H5Pset_shuffle(create);
    dataset(file, "weight", H5T_IEEE_F32LE, space, create);
    H5Sclose(space);
    H5Pclose(create);
}

static void chunked(hid_t file)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = space_of(64);
    const hsize_t chunk = 16;
    H5Pset_chunk(create, 1, &chunk);
    dataset(file, "weight", H5T_IEEE_F32LE, space, create);
    H5Sclose(space);
    H5Pclose(create);
}

static void compact(hid_t file)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = space_of(8);
    H5Pset_layout(create, H5D_COMPACT);
    dataset(file, "weight", H5T_IEEE_F32LE, space, create);
    H5Sclose(space);
    H5Pclose(create);
}

static void huge_shape(hid_t file)
{
    const hsize_t shape[2] = {(hsize_t)1 << 40, (hsize_t)1 << 20};
    const hid_t space = H5Screate_simple(2, shape, NULL);
    dataset(file, "weight", H5T_IEEE_F32LE, space, H5P_DEFAULT);
    H5Sclose(space);
}

static void empty_but_huge_shape(hid_t file)
{
    const hsize_t shape[3] = {0, (hsize_t)1 << 62, (hsize_t)1 << 62};
    const hid_t space = H5Screate_simple(3, shape, NULL);
    dataset(file, "weight", H5T_IEEE_F32LE, space, H5P_DEFAULT);
    H5Sclose(space);
}

static void no_data(hid_t file)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = space_of(64);
    H5Pset_alloc_time(create, H5D_ALLOC_TIME_LATE);
    dataset(file, "weight", H5T_IEEE_F32LE, space, create);
    H5Sclose(space);
    H5Pclose(create);
}

static void rank_five(hid_t file)
{
    const hsize_t shape[5] = {1, 2, 1, 2, 1};
    const hid_t space = H5Screate_simple(5, shape, NULL);
    dataset(file, "weight", H5T_IEEE_F32LE, space, H5P_DEFAULT);
    H5Sclose(space);
}

static void null_space(hid_t file)
{
    const hid_t space = H5Screate(H5S_NULL);
    const hid_t set = H5Dcreate2(file, "weight", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dclose(set);
    H5Sclose(space);
}

static void with_type(hid_t file, hid_t type)
{
    const hid_t space = space_of(4);
    dataset(file, "weight", type, space, H5P_DEFAULT);
    H5Sclose(space);
}

static void big_endian(hid_t file)
{
    with_type(file, H5T_IEEE_F32BE);
}
static void short_integers(hid_t file)
{
    with_type(file, H5T_STD_I16LE);
}
static void references(hid_t file)
{
    with_type(file, H5T_STD_REF_OBJ);
}

static void variable_text(hid_t file)
{
    const hid_t type = H5Tcopy(H5T_C_S1), space = space_of(2);
    const char *const text[2] = {"one", "two"};
    H5Tset_size(type, H5T_VARIABLE);
    const hid_t set = H5Dcreate2(file, "weight", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text);
    H5Dclose(set);
    H5Sclose(space);
    H5Tclose(type);
}

static void compound(hid_t file)
{
    const hid_t type = H5Tcreate(H5T_COMPOUND, 8);
    H5Tinsert(type, "a", 0, H5T_IEEE_F32LE);
    H5Tinsert(type, "b", 4, H5T_STD_I32LE);
    with_type(file, type);
    H5Tclose(type);
}

static void named_type(hid_t file)
{
    const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tcommit2(file, "weight", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Tclose(type);
}

static void odd_name(hid_t file)
{
    const hid_t space = space_of(4);
    dataset(file, "weight\033]0;title\007", H5T_IEEE_F32LE, space, H5P_DEFAULT);
    H5Sclose(space);
}

static void long_name(hid_t file)
{
    char name[600];
    memset(name, 'w', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const hid_t space = space_of(4);
    dataset(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT);
    H5Sclose(space);
}

static void group_in_itself(hid_t file)
{
    const hid_t group = H5Gcreate2(file, "policy", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(file, "/", group, "again", H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(group);
}

/* Each level holds the next one twice: 2^14 paths to one group. */
static void many_paths(hid_t file)
{
    hid_t group = H5Gcreate2(file, "z", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    for (int level = 0; level < 40; level++) {
        const hid_t next = H5Gcreate2(group, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Lcreate_hard(group, "a", group, "b", H5P_DEFAULT, H5P_DEFAULT);
        H5Gclose(group);
        group = next;
    }
    H5Gclose(group);
}

static void numeric_attribute(hid_t file)
{
    const hid_t group = H5Gcreate2(file, "config", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(group, "ppo.clip", H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    const double value = 0.2;
    H5Awrite(attribute, H5T_NATIVE_DOUBLE, &value);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Gclose(group);
}

static void variable_attribute(hid_t file)
{
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    const char *value = "node17";
    H5Tset_size(type, H5T_VARIABLE);
    const hid_t attribute = H5Acreate2(file, "host", type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, &value);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

static void array_attribute(hid_t file)
{
    const hid_t type = H5Tcopy(H5T_C_S1), space = space_of(1000);
    static char value[1000][16];
    H5Tset_size(type, 16);
    const hid_t attribute = H5Acreate2(file, "host", type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, value);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

static const struct {
    const char *name;
    void (*add)(hid_t file);
    const char *told;
} attacks[] = {
    {"soft link", soft_link, "soft link"},
    {"dangling soft link", dangling_link, "soft link"},
    {"external link", external_link, "external or user-defined link"},
    {"external link to a group", external_group, "external or user-defined link"},
    {"external storage", external_storage, "external storage"},
    {"virtual dataset", virtual_dataset, "virtual"},
    {"filters", filtered, "filters"},
    {"chunks", chunked, "not stored in one piece"},
    {"compact storage", compact, "not stored in one piece"},
    {"huge shape", huge_shape, "larger than the file"},
    {"empty but huge shape", empty_but_huge_shape, "larger than the file"},
    {"no data", no_data, "lie outside"},
    {"five dimensions", rank_five, "shape"},
    {"null dataspace", null_space, "shape"},
    {"big-endian numbers", big_endian, "type"},
    {"short integers", short_integers, "type"},
    {"references", references, "type"},
    {"texts of variable length", variable_text, "type"},
    {"compound type", compound, "type"},
    {"named datatype", named_type, "neither a dataset nor a group"},
    {"control characters in a name", odd_name, "odd"},
    {"long name", long_name, "too long name"},
    {"group in itself", group_in_itself, "nested too deeply"},
    {"many paths", many_paths, "too"},
    {"numeric attribute", numeric_attribute, "no plain text"},
    {"attribute of variable length", variable_attribute, "no plain text"},
    {"attribute that is an array", array_attribute, "no plain text"},
};

static void what_no_checkpoint_has_is_refused_and_named(void **state)
{
    (void)state;
    int wrong = 0;
    for (int newest = 0; newest < 2; newest++)
        for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
            struct checkpoint *file;
            struct error err = {0};
            attack(attacks[i].add, newest);
            const int code = checkpoint_open(&file, hostile, &err);
            const char *told = newest ? "newer format" : attacks[i].told;
            checkpoint_close(file);
            if (code == EXIT_CHECKPOINT && strstr(err.text, told) != NULL && strstr(err.text, hostile) != NULL) continue;
            print_message("%s (%s format): exit %d, \"%s\"; expected 4 with \"%s\"\n", attacks[i].name, newest ? "newest" : "earliest",
                          code, err.text, told);
            wrong++;
        }
    assert_int_equal(wrong, 0);
}

/* What is being tried above is the attack, not the wrapping. */
static void the_same_file_without_an_attack_opens(void **state)
{
    (void)state;
    struct checkpoint *file;
    struct error err = {0};
    attack(nothing, false);
    assert_int_equal(checkpoint_open(&file, hostile, &err), EXIT_DONE);
    assert_int_equal(checkpoint_env_steps(file), 16000);
    checkpoint_close(file);
}

static void control_characters_of_a_text_do_not_reach_the_terminal(void **state)
{
    (void)state;
    struct checkpoint *file;
    struct error err = {0};
    char *bytes = malloc(image_size);
    memcpy(bytes, image, image_size);
    char *host = memmem(bytes, image_size, "node17", 6);
    assert_non_null(host);
    memcpy(host, "\033[2J\r\x7f", 6);
    wrap(bytes + CHECKPOINT_HEADER, image_size - CHECKPOINT_HEADER);
    free(bytes);
    assert_int_equal(checkpoint_open(&file, hostile, &err), EXIT_DONE);
    assert_string_equal(checkpoint_attribute(file, "host"), "?[2J??");
    checkpoint_close(file);
}

static void a_header_of_other_environment_steps_is_refused(void **state)
{
    (void)state;
    struct checkpoint *file;
    struct error err = {0};
    char *bytes = malloc(image_size), *steps;
    memcpy(bytes, image, image_size);
    steps = strstr(bytes, "env_steps 16000");
    assert_non_null(steps);
    steps[strlen("env_steps ")] = '9';
    FILE *out = fopen(hostile, "w");
    assert_int_equal(fwrite(bytes, 1, image_size, out), image_size);
    fclose(out);
    free(bytes);
    assert_int_equal(checkpoint_open(&file, hostile, &err), EXIT_CHECKPOINT);
    assert_non_null(strstr(err.text, "96000"));
}

/* Which bytes of the image hold structure: everything but the large datasets, of which every value is a good one. */
static int structure(uint32_t *at)
{
    struct sample *s = sample_create(5);
    const size_t size = image_size - CHECKPOINT_HEADER;
    const char *bytes = image + CHECKPOINT_HEADER;
    char *data = calloc(size, 1);
    int count = 0;
    for (int i = 0; i < s->fields.count; i++) {
        const size_t n = field_bytes(&s->fields.field[i]);
        const char *found = n >= 64 ? memmem(bytes, size, s->fields.field[i].data, n) : NULL;
        if (found != NULL) memset(data + (found - bytes), 1, n);
    }
    for (size_t i = 0; i < size; i++)
        if (!data[i]) at[count++] = (uint32_t)i;
    free(data);
    sample_destroy(s);
    return count;
}

static void damaged_structure_behind_a_right_digest_never_crashes(void **state)
{
    (void)state;
    enum { FILES = 1500 };
    const size_t size = image_size - CHECKPOINT_HEADER;
    uint32_t *at = calloc(size, sizeof *at);
    char *bytes = malloc(size);
    const int places = structure(at);
    assert_true(places > 5000 && places < 40000);
    uint64_t random = 1442695040888963407ull;
    int refused = 0;
    for (int i = 0; i < FILES; i++) {
        memcpy(bytes, image + CHECKPOINT_HEADER, size);
        for (int flips = 1 + i % 3; flips > 0; flips--) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            char *byte = &bytes[at[random % (uint64_t)places]];
            *byte = (random >> 40) % 4 == 0 ? (char)0xff : (char)(*byte ^ (1 << ((random >> 32) % 8)));
        }
        wrap(bytes, size);
        struct error err = {0};
        if (sample_load(hostile, &err) == -2) {
            refused++;
            assert_int_equal(err.code, EXIT_CHECKPOINT);
        }
    }
    /* Much of the structure is unused room; a good part must be noticed all the same. */
    assert_true(refused > FILES / 10);
    free(bytes);
    free(at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_file_without_an_attack_opens),
        cmocka_unit_test(what_no_checkpoint_has_is_refused_and_named),
        cmocka_unit_test(control_characters_of_a_text_do_not_reach_the_terminal),
        cmocka_unit_test(a_header_of_other_environment_steps_is_refused),
        cmocka_unit_test(damaged_structure_behind_a_right_digest_never_crashes),
    };
    return cmocka_run_group_tests_name("checkpoint_hostile", tests, set_up, tear_down);
}
