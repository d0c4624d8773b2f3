/* Checkpoint files: what goes in comes out, and nothing else ever does. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/file.h"
#include "checkpoint_sample.h"

static char folder[256], path[300];

static int make_folder(void **state)
{
    (void)state;
    sample_folder(folder, sizeof folder);
    text_format(path, sizeof path, "%s/step-000000016000.h5", folder);
    struct sample *s = sample_create(5);
    struct error err = {0};
    const int code = sample_save(s, path, &err);
    if (code != EXIT_DONE) fprintf(stderr, "%s\n", err.text);
    sample_destroy(s);
    return code;
}

static int remove_folder(void **state)
{
    (void)state;
    sample_folder_remove(folder);
    return 0;
}

static int files_in(const char *where)
{
    char command[400];
    int count = -1;
    text_format(command, sizeof command, "ls -A '%s' | wc -l", where);
    FILE *list = popen(command, "r");
    if (list == NULL || fscanf(list, "%d", &count) != 1) count = -1;
    if (list != NULL) pclose(list);
    return count;
}

#define ASSERT_CONTAINS(text, part)                                                                                                        \
    do {                                                                                                                                   \
        if (strstr((text), (part)) == NULL) fail_msg("\"%s\" does not contain \"%s\"", (text), (part));                                    \
    } while (0)

/* ---- what goes in comes out ---------------------------------------------------------------------------------------------------------- */

static void every_type_and_shape_comes_back_bit_for_bit(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(sample_load(path, &err), 5);
}

static void attributes_come_back_and_empty_ones_too(void **state)
{
    (void)state;
    struct checkpoint *file;
    struct error err = {0};
    assert_int_equal(checkpoint_open(&file, path, &err), EXIT_DONE);
    assert_string_equal(checkpoint_attribute(file, "host"), "node17");
    assert_string_equal(checkpoint_attribute(file, "rules"), "mpe2 \xc3\xa4");
    assert_string_equal(checkpoint_attribute(file, "config/ppo.clip"), "0.2");
    assert_string_equal(checkpoint_attribute(file, "config/preset.name"), "");
    assert_null(checkpoint_attribute(file, "config/none"));
    assert_non_null(strstr(checkpoint_attribute(file, "hdf5"), "HDF5 "));
    assert_int_equal(checkpoint_env_steps(file), 16000);
    checkpoint_close(file);
}

static void every_dataset_has_description_and_units(void **state)
{
    (void)state;
    struct checkpoint *file;
    struct error err = {0};
    struct sample *s = sample_create(5);
    assert_int_equal(checkpoint_open(&file, path, &err), EXIT_DONE);
    const struct field_list *list = checkpoint_fields(file);
    assert_int_equal(list->count, s->fields.count);
    for (int i = 0; i < list->count; i++) {
        const struct field *found = &list->field[i], *want = NULL;
        for (int j = 0; j < s->fields.count; j++)
            if (strcmp(s->fields.field[j].name, found->name) == 0) want = &s->fields.field[j];
        assert_non_null(want);
        assert_string_equal(found->description, want->description);
        assert_string_equal(found->units, want->units);
    }
    checkpoint_close(file);
    sample_destroy(s);
}

static void the_same_state_gives_the_same_bytes(void **state)
{
    (void)state;
    char again[300], *a, *b;
    size_t na, nb;
    struct error err = {0};
    struct sample *s = sample_create(5);
    text_format(again, sizeof again, "%s/again.h5", folder);
    assert_int_equal(sample_save(s, again, &err), EXIT_DONE);
    assert_int_equal(file_read(path, 1 << 24, &a, &na, &err), EXIT_DONE);
    assert_int_equal(file_read(again, 1 << 24, &b, &nb, &err), EXIT_DONE);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    free(a);
    free(b);
    unlink(again);
    sample_destroy(s);
}

static void the_header_is_text_that_tells_size_and_digest(void **state)
{
    (void)state;
    char *bytes, line[200];
    size_t size;
    struct error err = {0};
    struct checkpoint *file;
    assert_int_equal(file_read(path, 1 << 24, &bytes, &size, &err), EXIT_DONE);
    assert_int_equal(checkpoint_open(&file, path, &err), EXIT_DONE);
    text_format(line, sizeof line, "mappo checkpoint\nversion 1\nsize %zu\nsha256 %s\nenv_steps 16000\n", size - CHECKPOINT_HEADER,
                checkpoint_digest(file));
    assert_memory_equal(bytes, line, strlen(line));
    assert_memory_equal(bytes + CHECKPOINT_HEADER, "\x89HDF\r\n\x1a\n", 8);
    for (int i = 0; i < CHECKPOINT_HEADER; i++) assert_true(bytes[i] == '\n' || (bytes[i] >= ' ' && bytes[i] <= '~'));
    assert_int_equal(size, checkpoint_bytes(file));
    checkpoint_close(file);
    free(bytes);
}

/* ---- what does not fit is refused whole ---------------------------------------------------------------------------------------------- */

static void refused_with(struct field_list *list, const char *part)
{
    struct checkpoint *file;
    struct error err = {0};
    assert_int_equal(checkpoint_open(&file, path, &err), EXIT_DONE);
    assert_int_equal(checkpoint_read(file, list, &err), EXIT_CHECKPOINT);
    ASSERT_CONTAINS(err.text, part);
    checkpoint_close(file);
}

static void a_missing_dataset_another_shape_or_type_is_refused_and_nothing_is_written(void **state)
{
    (void)state;
    struct sample *s = sample_create(2);
    struct field *last = field_add(&s->fields, "/policy/agent/actor/fc9/weight", FIELD_REAL, s->hidden, "1", "", 1, (int64_t)64);
    refused_with(&s->fields, "/policy/agent/actor/fc9/weight (float32 [64]) is not in the checkpoint");
    text_format(last->name, sizeof last->name, "/policy/agent/actor/fc1/weight");
    refused_with(&s->fields, "is float32 [64,18] in the checkpoint, this configuration needs float32 [64]");
    last->rank = 2;
    last->shape[1] = 18;
    last->type = FIELD_DOUBLE;
    refused_with(&s->fields, "needs float64 [64,18]");
    assert_true(sample_is(s, 2));
    sample_destroy(s);
}

/* ---- damage -------------------------------------------------------------------------------------------------------------------------- */

static void ten_thousand_flipped_bits_never_load_silently(void **state)
{
    (void)state;
    char *bytes;
    size_t size;
    struct error err = {0};
    assert_int_equal(file_read(path, 1 << 24, &bytes, &size, &err), EXIT_DONE);
    const int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    uint64_t random = 88172645463325252ull;
    int silent = 0;
    for (int i = 0; i < 10000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        /* All 4,096 bits of the header, then anywhere. */
        const uint64_t bit = i < CHECKPOINT_HEADER * 8 ? (uint64_t)i : random % (8 * size);
        const char flipped = (char)(bytes[bit / 8] ^ (1 << (bit % 8)));
        assert_int_equal(pwrite(fd, &flipped, 1, (off_t)(bit / 8)), 1);
        struct checkpoint *file;
        if (checkpoint_open(&file, path, &err) != EXIT_CHECKPOINT) {
            silent++;
            print_message("bit %llu of byte %llu was not noticed\n", (unsigned long long)(bit % 8), (unsigned long long)(bit / 8));
            checkpoint_close(file);
        }
        assert_int_equal(pwrite(fd, &bytes[bit / 8], 1, (off_t)(bit / 8)), 1);
    }
    assert_int_equal(silent, 0);
    close(fd);
    free(bytes);
    assert_int_equal(sample_load(path, &err), 5);
}

static void a_file_cut_at_any_512_bytes_is_refused(void **state)
{
    (void)state;
    struct stat info;
    struct error err = {0};
    char cut[300], *bytes;
    size_t size;
    assert_int_equal(file_read(path, 1 << 24, &bytes, &size, &err), EXIT_DONE);
    text_format(cut, sizeof cut, "%s/cut.h5", folder);
    FILE *copy = fopen(cut, "w");
    assert_int_equal(fwrite(bytes, 1, size, copy), size);
    fclose(copy);
    free(bytes);
    assert_int_equal(stat(cut, &info), 0);
    for (off_t length = info.st_size - 1; length >= 0; length = length % 512 != 0 ? length - length % 512
                                                                : length > 0      ? length - 512
                                                                                  : -1) {
        struct checkpoint *file;
        assert_int_equal(truncate(cut, length), 0);
        assert_int_equal(checkpoint_open(&file, cut, &err), EXIT_CHECKPOINT);
        ASSERT_CONTAINS(err.text, cut);
    }
    unlink(cut);
}

static void other_files_are_named_for_what_they_are(void **state)
{
    (void)state;
    char other[300], fifo[300];
    struct checkpoint *file;
    struct error err = {0};
    text_format(other, sizeof other, "%s/other.h5", folder);
    FILE *f = fopen(other, "w");
    for (int i = 0; i < 100; i++) fputs("\x89HDF\r\n\x1a\n and no header", f);
    fclose(f);
    assert_int_equal(checkpoint_open(&file, other, &err), EXIT_CHECKPOINT);
    ASSERT_CONTAINS(err.text, "not a checkpoint of this program");
    f = fopen(other, "w");
    fprintf(f, "%-511s\n", "mappo checkpoint\nversion 2\nsize 0\n");
    fclose(f);
    assert_int_equal(checkpoint_open(&file, other, &err), EXIT_CHECKPOINT);
    ASSERT_CONTAINS(err.text, "version 2 of the format; this program reads version 1");
    unlink(other);
    assert_int_equal(checkpoint_open(&file, other, &err), EXIT_CHECKPOINT);
    ASSERT_CONTAINS(err.text, "No such file");
    assert_int_equal(checkpoint_open(&file, folder, &err), EXIT_CHECKPOINT);
    ASSERT_CONTAINS(err.text, "not a regular file");
    text_format(fifo, sizeof fifo, "%s/fifo.h5", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(checkpoint_open(&file, fifo, &err), EXIT_CHECKPOINT);
    ASSERT_CONTAINS(err.text, "not a regular file");
    unlink(fifo);
}

/* ---- links --------------------------------------------------------------------------------------------------------------------------- */

static void one_link_inside_the_folder_is_followed_and_no_other(void **state)
{
    (void)state;
    char latest[300], second[300], out[300], deep[300];
    struct checkpoint *file;
    struct error err = {0};
    text_format(latest, sizeof latest, "%s/latest.h5", folder);
    text_format(second, sizeof second, "%s/second.h5", folder);
    text_format(out, sizeof out, "%s/out.h5", folder);
    text_format(deep, sizeof deep, "%s/deep.h5", folder);
    assert_int_equal(file_link_replace(folder, "latest.h5", "step-000000016000.h5", &err), EXIT_DONE);
    assert_int_equal(file_link_replace(folder, "latest.h5", "step-000000016000.h5", &err), EXIT_DONE);
    assert_int_equal(sample_load(latest, &err), 5);
    assert_int_equal(symlink("latest.h5", second), 0);
    assert_int_equal(symlink(path, out), 0);
    assert_int_equal(symlink("../x/step-000000016000.h5", deep), 0);
    const char *const refused[] = {second, out, deep};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(checkpoint_open(&file, refused[i], &err), EXIT_CHECKPOINT);
        ASSERT_CONTAINS(err.text, "symbolic link");
        unlink(refused[i]);
    }
    unlink(latest);
}

static void saving_over_a_link_replaces_the_link_and_not_what_it_points_at(void **state)
{
    (void)state;
    char link[300];
    struct stat info;
    struct error err = {0};
    struct sample *s = sample_create(6);
    text_format(link, sizeof link, "%s/step-000000000001.h5", folder);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(sample_save(s, link, &err), EXIT_DONE);
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISREG(info.st_mode));
    assert_int_equal(sample_load(path, &err), 5);
    assert_int_equal(sample_load(link, &err), 6);
    unlink(link);
    sample_destroy(s);
}

/* ---- names --------------------------------------------------------------------------------------------------------------------------- */

static void only_names_of_checkpoints_are_listed_highest_first(void **state)
{
    (void)state;
    static const char *const others[] = {"step-000000000020.h5.bak", ".tmp-step-000000000030.h5-1-1", "step-30.h5",
                                         "step-0000000000040.h5",    "step--00000000001.h5",          "step-00000000004x.h5",
                                         "STEP-000000000040.h5",     "damaged-step-000000000050.h5",  "step-000000000060.h5 ",
                                         "step-000000000070.h5/"};
    static const int64_t steps[] = {0, 3200, 999999999999, 1000000000000};
    char where[300], name[400];
    text_format(where, sizeof where, "%s/names", folder);
    assert_int_equal(mkdir(where, 0700), 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        text_format(name, sizeof name, "%s/%s", where, others[i]);
        if (others[i][strlen(others[i]) - 1] == '/')
            mkdir(name, 0700);
        else
            fclose(fopen(name, "w"));
    }
    for (int i = 0; i < 4; i++) {
        text_format(name, sizeof name, "%s/%s", where, checkpoint_name(steps[i]).name);
        fclose(fopen(name, "w"));
    }
    text_format(name, sizeof name, "%s/step-000000000080.h5", where);
    assert_int_equal(symlink("step-000000003200.h5", name), 0);
    struct checkpoint_name *found;
    assert_int_equal(checkpoint_list(where, &found), 4);
    for (int i = 0; i < 4; i++) assert_int_equal(found[i].env_steps, steps[3 - i]); /* empty files: by their names */
    assert_string_equal(found[3].name, "step-000000000000.h5");
    free(found);
    assert_int_equal(checkpoint_list("/no-such-folder", &found), 0);
    assert_null(found);
}

static void what_a_file_holds_counts_and_not_its_name(void **state)
{
    (void)state;
    char where[300], name[400], right[400];
    struct checkpoint_name *found;
    struct error err = {0};
    text_format(where, sizeof where, "%s/renamed", folder);
    assert_int_equal(mkdir(where, 0700), 0);
    static const int64_t named[] = {3200, 6400, 99}, holds[] = {1, 2, 3}; /* the last was renamed: it holds 9600 */
    for (int i = 0; i < 3; i++) {
        struct sample *s = sample_create(holds[i]);
        text_format(name, sizeof name, "%s/%s", where, checkpoint_name(named[i]).name);
        assert_int_equal(sample_save(s, name, &err), EXIT_DONE);
        sample_destroy(s);
    }
    assert_int_equal(checkpoint_list(where, &found), 3);
    assert_int_equal(found[0].env_steps, 9600);
    assert_int_equal(found[0].named, 99);
    assert_int_equal(found[1].env_steps, 6400);
    free(found);
    /* Where it is in the way of a save, it gets its own name; where that is taken, a free one. What is right stays. */
    assert_int_equal(checkpoint_make_room(name, 99, &err), EXIT_DONE);
    text_format(right, sizeof right, "%s/step-000000009600.h5", where);
    assert_true(file_exists(right) && !file_exists(name));
    assert_int_equal(checkpoint_make_room(right, 9600, &err), EXIT_DONE);
    assert_true(file_exists(right));
    assert_int_equal(rename(right, name), 0);
    text_format(right, sizeof right, "%s/step-000000006400.h5", where);
    assert_int_equal(rename(name, right), 0); /* holds 9600 under the name of 6400 */
    struct sample *s = sample_create(3);
    text_format(name, sizeof name, "%s/step-000000009600.h5", where);
    assert_int_equal(sample_save(s, name, &err), EXIT_DONE);
    sample_destroy(s);
    assert_true(checkpoint_alike(name, right));
    assert_int_equal(checkpoint_make_room(right, 6400, &err), EXIT_DONE);
    text_format(name, sizeof name, "%s.1", right);
    assert_true(file_exists(name) && !file_exists(right));
}

/* ---- full disks and kills ------------------------------------------------------------------------------------------------------------ */

static void a_full_disk_leaves_the_old_file_and_no_other(void **state)
{
    (void)state;
    /* Limits of every size that a save can be cut at; the program ignores SIGXFSZ. */
    for (rlim_t limit = 0; limit < 110000; limit += 9000) {
        const int before = files_in(folder);
        const pid_t child = fork();
        if (child == 0) {
            struct error err = {0};
            struct sample *s = sample_create(9);
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, limit});
            const int code = sample_save(s, path, &err);
            _exit(code == EXIT_CHECKPOINT && strstr(err.text, "untouched") != NULL ? 0 : 1);
        }
        int status;
        struct error err = {0};
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(sample_load(path, &err), 5);
        assert_int_equal(files_in(folder), before);
    }
}

static void a_hundred_kills_during_saves_lose_at_most_the_save_that_was_cut(void **state)
{
    (void)state;
    char killed[300];
    struct error err = {0};
    int unreadable = 0, lost = 0;
    text_format(killed, sizeof killed, "%s/step-000000000005.h5", folder);
    /* The child saves generations one after the other into one file and tells which are done; it is killed at a random moment. */
    for (int round = 0; round < 100; round++) {
        int told[2];
        assert_int_equal(pipe(told), 0);
        const pid_t child = fork();
        if (child == 0) {
            for (int64_t generation = 0;; generation++) {
                struct sample *s = sample_create(generation);
                if (sample_save(s, killed, NULL) != EXIT_DONE || write(told[1], &generation, sizeof generation) != sizeof generation)
                    _exit(1);
                sample_destroy(s);
            }
        }
        close(told[1]);
        int64_t done = -1, more;
        assert_int_equal(read(told[0], &done, sizeof done), sizeof done); /* the first one is there */
        usleep((useconds_t)((round * 7919) % 12000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(told[0], &more, sizeof more) == (ssize_t)sizeof more) done = more;
        close(told[0]);
        const int64_t found = sample_load(killed, &err);
        if (found < 0) unreadable++;
        if (found >= 0 && found != done && found != done + 1) lost++;
    }
    assert_int_equal(unreadable, 0);
    assert_int_equal(lost, 0);
    unlink(killed);
}

static void a_new_file_gets_the_users_umask(void **state)
{
    (void)state;
    struct stat info;
    struct error err = {0};
    struct sample *s = sample_create(1);
    char shared[300];
    text_format(shared, sizeof shared, "%s/shared.h5", folder);
    const mode_t before = umask(0007);
    assert_int_equal(sample_save(s, shared, &err), EXIT_DONE);
    umask(before);
    assert_int_equal(stat(shared, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0660);
    unlink(shared);
    sample_destroy(s);
}

static void saving_into_a_folder_that_is_not_there_says_so(void **state)
{
    (void)state;
    struct error err = {0};
    struct sample *s = sample_create(1);
    assert_int_equal(sample_save(s, "/no-such-folder/step-000000000000.h5", &err), EXIT_CHECKPOINT);
    ASSERT_CONTAINS(err.text, "/no-such-folder");
    sample_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_and_shape_comes_back_bit_for_bit),
        cmocka_unit_test(attributes_come_back_and_empty_ones_too),
        cmocka_unit_test(every_dataset_has_description_and_units),
        cmocka_unit_test(the_same_state_gives_the_same_bytes),
        cmocka_unit_test(the_header_is_text_that_tells_size_and_digest),
        cmocka_unit_test(a_missing_dataset_another_shape_or_type_is_refused_and_nothing_is_written),
        cmocka_unit_test(ten_thousand_flipped_bits_never_load_silently),
        cmocka_unit_test(a_file_cut_at_any_512_bytes_is_refused),
        cmocka_unit_test(other_files_are_named_for_what_they_are),
        cmocka_unit_test(one_link_inside_the_folder_is_followed_and_no_other),
        cmocka_unit_test(saving_over_a_link_replaces_the_link_and_not_what_it_points_at),
        cmocka_unit_test(only_names_of_checkpoints_are_listed_highest_first),
        cmocka_unit_test(what_a_file_holds_counts_and_not_its_name),
        cmocka_unit_test(a_full_disk_leaves_the_old_file_and_no_other),
        cmocka_unit_test(a_hundred_kills_during_saves_lose_at_most_the_save_that_was_cut),
        cmocka_unit_test(a_new_file_gets_the_users_umask),
        cmocka_unit_test(saving_into_a_folder_that_is_not_there_says_so),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, make_folder, remove_folder);
}
