/* Checkpoint files that are written and read piece by piece: they come back, whatever was cut off or damaged is found, and a disk that runs full
 * or a kill at any stage leaves what was there before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <hdf5.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/digest.h"
#include "base/file.h"
#include "checkpoint_sample.h"
#include "run/checkpoint_stream.h"

enum { PLACES = 7, ENVS = 3, WIDTH = 5, PIECES = 9 };

static char folder[256], path[300];

/* All that the pieces are, one after another in the order of the file, which is that of the names. */
struct data {
    int32_t action[PLACES][ENVS];
    uint8_t end[PLACES][ENVS];
    float obs[PLACES][ENVS][WIDTH];
} __attribute__((packed));

static void fill(struct data *data, int generation)
{
    unsigned char *byte = (unsigned char *)data;
    for (size_t i = 0; i < sizeof *data; i++) byte[i] = (unsigned char)(i * 7 + (size_t)generation * 31);
}

/* Writes the first `pieces` of PIECES of odd sizes, and where these are all, finishes. */
static int save(int generation, int pieces, struct checkpoint_stream **out, struct error *err)
{
    struct data data;
    struct checkpoint_stream *stream;
    int64_t held = generation, env_steps = 100 * generation;
    const struct checkpoint_attribute attribute = {"kind", "replay"};
    struct checkpoint_content content = {.attribute = &attribute, .attributes = 1};
    struct field_list *list = &content.fields;
    fill(&data, generation);
    field_add(list, "/replay/wolf/obs", FIELD_REAL, NULL, "1", "what was seen", 3, (int64_t)PLACES, (int64_t)ENVS, (int64_t)WIDTH);
    field_add(list, "/replay/held", FIELD_INT64, &held, "1", "steps held", 0);
    field_add(list, "/replay/action", FIELD_INT32, NULL, "1", "what was done", 2, (int64_t)PLACES, (int64_t)ENVS);
    field_add(list, "/replay/none", FIELD_BYTES, NULL, "1", "nothing", 2, (int64_t)PLACES, (int64_t)0);
    field_add(list, "/replay/end", FIELD_BYTES, NULL, "1", "how it ended", 2, (int64_t)PLACES, (int64_t)ENVS);
    field_add(list, "/counters/env_steps", FIELD_INT64, &env_steps, "1", "steps", 0);
    int code = checkpoint_stream_create(&stream, path, &content, err);
    for (int i = 0; i < pieces && !code; i++) {
        const size_t first = sizeof data * (size_t)i / PIECES, last = sizeof data * (size_t)(i + 1) / PIECES;
        code = checkpoint_stream_write(stream, (char *)&data + first, last - first, err);
    }
    if (!code && pieces == PIECES) code = checkpoint_stream_finish(stream, err);
    free(list->field);
    if (out)
        *out = stream;
    else
        checkpoint_stream_close(stream);
    return code;
}

/* The generation that a whole file holds; -1 where it doesn't open. */
static int load(struct error *err)
{
    struct data data, want;
    struct checkpoint_stream *stream;
    if (checkpoint_stream_open(&stream, path, err)) return -1;
    const struct field *held = field_find(checkpoint_stream_fields(stream), "/replay/held");
    int64_t generation;
    assert_non_null(held);
    memcpy(&generation, held->data, sizeof generation);
    fill(&want, (int)generation);
    for (size_t at = 0, size = 1; at < sizeof data; at += size, size = size * 3 < sizeof data - at ? size * 3 : sizeof data - at)
        assert_int_equal(checkpoint_stream_read(stream, (char *)&data + at, size, err), 0);
    assert_memory_equal(&data, &want, sizeof data);
    checkpoint_stream_close(stream);
    return (int)generation;
}

static int files(void)
{
    DIR *dir = opendir(folder);
    int count = -2;
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

static int set_up(void **state)
{
    (void)state;
    sample_folder(folder, sizeof folder);
    text_format(path, sizeof path, "%s/replay.h5", folder);
    return save(1, PIECES, NULL, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    sample_folder_remove(folder);
    return 0;
}

/* ---- promises ------------------------------------------------------------------------------------------------------------------------ */

static void pieces_come_back_in_other_pieces(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(load(&err), 1);
}

static void the_file_is_a_checkpoint_as_any_other(void **state)
{
    (void)state;
    struct error err = {0};
    struct checkpoint *file;
    struct checkpoint_stream *stream;
    struct data want;
    fill(&want, 1);
    if (checkpoint_open(&file, path, &err)) fail_msg("%s", err.text);
    assert_int_equal(checkpoint_env_steps(file), 100);
    const struct field *obs = field_find(checkpoint_fields(file), "/replay/wolf/obs");
    assert_memory_equal(obs->data, want.obs, sizeof want.obs);
    assert_int_equal(obs->shape[2], WIDTH);
    assert_int_equal(checkpoint_stream_open(&stream, path, &err), 0);
    assert_string_equal(checkpoint_stream_digest(stream), checkpoint_digest(file));
    assert_int_equal(checkpoint_stream_bytes(stream), checkpoint_bytes(file));
    checkpoint_stream_close(stream);
    checkpoint_close(file);
}

static void libhdf5_reads_it(void **state)
{
    (void)state;
    struct data data, want;
    fill(&want, 1);
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t action = H5Dopen2(file, "/replay/action", H5P_DEFAULT), obs = H5Dopen2(file, "/replay/wolf/obs", H5P_DEFAULT);
    assert_true(action >= 0 && H5Dread(action, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, data.action) >= 0);
    assert_true(obs >= 0 && H5Dread(obs, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data.obs) >= 0);
    assert_memory_equal(data.action, want.action, sizeof want.action);
    assert_memory_equal(data.obs, want.obs, sizeof want.obs);
    H5Dclose(action);
    H5Dclose(obs);
    H5Fclose(file);
}

/* Without waiting for the disk, as a replacement does. */
static void put(const char *bytes, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void a_damaged_byte_or_a_missing_end_is_found(void **state)
{
    (void)state;
    char *bytes;
    size_t size;
    struct error err = {0};
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size, &err), 0);
    for (size_t at = 0; at < size; at += at < 600 ? 1 : 13) {
        bytes[at] ^= 4;
        put(bytes, size);
        if (load(&err) >= 0) fail_msg("a damaged byte at %zu was not noticed", at);
        bytes[at] ^= 4;
        if (at % 10) continue;
        put(bytes, at);
        if (load(&err) >= 0) fail_msg("a file that ends at %zu was not noticed", at);
    }
    put(bytes, size);
    assert_int_equal(load(&err), 1);
    free(bytes);
}

static void a_file_of_another_kind_is_no_stream(void **state)
{
    (void)state;
    struct error err = {0};
    struct checkpoint_stream *stream;
    struct sample *s = sample_create(2);
    char other[300];
    text_format(other, sizeof other, "%s/step-000000000002.h5", folder);
    assert_int_equal(sample_save(s, other, &err), 0);
    sample_destroy(s);
    assert_int_equal(checkpoint_stream_open(&stream, other, &err), EXIT_CHECKPOINT);
    assert_non_null(strstr(err.text, "does not say where its data begin"));
    unlink(other);
}

static void a_full_disk_at_any_stage_leaves_the_old_file_and_no_other(void **state)
{
    (void)state;
    char *bytes;
    size_t size;
    struct error err = {0};
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size, &err), 0);
    free(bytes);
    for (rlim_t limit = 0; limit < size; limit += size / 23) {
        const pid_t child = fork();
        if (child == 0) {
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, limit});
            const int code = save(2, PIECES, NULL, &err);
            _exit(code == EXIT_CHECKPOINT && strstr(err.text, "untouched") ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(load(&err), 1);
        assert_int_equal(files(), 1);
    }
}

/* The draft of a writer that is killed; what it is called begins with a dot. */
static bool find_draft(char *found, size_t size)
{
    DIR *dir = opendir(folder);
    bool there = false;
    for (const struct dirent *entry; !there && (entry = readdir(dir));)
        there = strncmp(entry->d_name, ".tmp-replay.h5-", 15) == 0 && text_format(found, size, "%s/%s", folder, entry->d_name);
    closedir(dir);
    return there;
}

static void a_kill_at_any_stage_leaves_the_old_file_and_a_draft_that_nobody_takes_for_one(void **state)
{
    (void)state;
    struct error err = {0};
    for (int pieces = 0; pieces < PIECES; pieces++) {
        const pid_t child = fork();
        if (child == 0) {
            struct checkpoint_stream *stream;
            if (!save(2, pieces, &stream, &err)) kill(getpid(), SIGKILL);
            _exit(1);
        }
        int status;
        char draft[400];
        struct checkpoint *file;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(load(&err), 1);
        assert_true(find_draft(draft, sizeof draft));
        assert_int_equal(checkpoint_open(&file, draft, &err), EXIT_CHECKPOINT);
        assert_true(H5Fopen(draft, H5F_ACC_RDONLY, H5P_DEFAULT) < 0);
        unlink(draft);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_come_back_in_other_pieces),
        cmocka_unit_test(the_file_is_a_checkpoint_as_any_other),
        cmocka_unit_test(libhdf5_reads_it),
        cmocka_unit_test(a_damaged_byte_or_a_missing_end_is_found),
        cmocka_unit_test(a_file_of_another_kind_is_no_stream),
        cmocka_unit_test(a_full_disk_at_any_stage_leaves_the_old_file_and_no_other),
        cmocka_unit_test(a_kill_at_any_stage_leaves_the_old_file_and_a_draft_that_nobody_takes_for_one),
    };
    return cmocka_run_group_tests_name("checkpoint_stream", tests, set_up, tear_down);
}
