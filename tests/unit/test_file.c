/* Files are old or new, never half; a digest is SHA-256; a field list holds what was put in. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/file.h"
#include "checkpoint_sample.h"

static char folder[256], path[300];

static int set_up(void **state)
{
    (void)state;
    sample_folder(folder, sizeof folder);
    text_format(path, sizeof path, "%s/file", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sample_folder_remove(folder);
    return 0;
}

static int replace(const char *text)
{
    struct error err = {0};
    const size_t half = strlen(text) / 2;
    return file_replace(path, (const struct file_part[]){{text, half}, {text + half, strlen(text) - half}}, 2, &err);
}

static void parts_are_written_one_after_the_other_and_replace_what_was_there(void **state)
{
    (void)state;
    char *bytes;
    size_t size;
    struct error err = {0};
    assert_int_equal(replace("the first, which is longer"), EXIT_DONE);
    assert_int_equal(replace("the second"), EXIT_DONE);
    assert_int_equal(file_read(path, 100, &bytes, &size, &err), EXIT_DONE);
    assert_int_equal(size, strlen("the second"));
    assert_string_equal(bytes, "the second"); /* terminated */
    free(bytes);
}

static void a_reader_sees_the_old_or_the_new_and_a_link_to_it_too(void **state)
{
    (void)state;
    char *bytes, link[300];
    size_t size;
    struct error err = {0};
    text_format(link, sizeof link, "%s/link", folder);
    assert_int_equal(replace("old"), EXIT_DONE);
    const int fd = open(path, O_RDONLY);
    assert_int_equal(file_link_replace(folder, "link", "file", &err), EXIT_DONE);
    assert_int_equal(replace("new"), EXIT_DONE);
    char old[4] = "";
    assert_int_equal(read(fd, old, 3), 3); /* whoever had it open still has the old one */
    assert_string_equal(old, "old");
    close(fd);
    assert_int_equal(file_read(link, 100, &bytes, &size, &err), EXIT_DONE);
    assert_string_equal(bytes, "new");
    free(bytes);
    char target[16] = "";
    assert_int_equal(readlink(link, target, sizeof target - 1), 4);
    assert_string_equal(target, "file"); /* relative: the folder can be moved */
}

static void *replace_often(void *user)
{
    char text[64];
    for (int i = 0; i < 50; i++) {
        text_format(text, sizeof text, "writer %ld of a hundred, time %d", (long)(intptr_t)user, i);
        if (replace(text) != EXIT_DONE) return (void *)1;
    }
    return NULL;
}

static void writers_at_the_same_time_never_mix(void **state)
{
    (void)state;
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, replace_often, (void *)(intptr_t)i), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
    char *bytes;
    size_t size;
    int writer, time, end = 0;
    struct error err = {0};
    assert_int_equal(file_read(path, 100, &bytes, &size, &err), EXIT_DONE);
    assert_int_equal(sscanf(bytes, "writer %d of a hundred, time %d%n", &writer, &time, &end), 2);
    assert_int_equal(end, size);
    assert_int_equal(time, 49); /* each one's last */
    free(bytes);
}

static void what_can_not_be_written_is_named_and_leaves_nothing(void **state)
{
    (void)state;
    char inside[400];
    struct error err = {0};
    const struct file_part part = {"x", 1};
    assert_int_equal(file_replace("/no-such-folder/file", &part, 1, &err), EXIT_CHECKPOINT);
    assert_non_null(strstr(err.text, "/no-such-folder: can't create a temporary file: No such file or directory"));
    /* A folder stands where the file should: the rename fails, the temporary file goes. */
    text_format(inside, sizeof inside, "%s/folder/inside", folder);
    assert_int_equal(file_make_folders(inside, &err), EXIT_DONE);
    text_format(inside, sizeof inside, "%s/folder", folder);
    assert_int_equal(file_replace(inside, &part, 1, &err), EXIT_CHECKPOINT);
    assert_non_null(strstr(err.text, "can't rename"));
    text_format(inside, sizeof inside, "test -z \"$(ls -A '%s' | grep tmp)\"", folder);
    assert_int_equal(system(inside), 0);
}

static void reading_stops_at_the_limit_and_refuses_what_is_no_file(void **state)
{
    (void)state;
    char *bytes;
    size_t size;
    struct error err = {0};
    assert_int_equal(replace("eight ch"), EXIT_DONE);
    assert_int_equal(file_read(path, 8, &bytes, &size, &err), EXIT_DONE);
    free(bytes);
    assert_int_equal(file_read(path, 7, &bytes, &size, &err), EXIT_CHECKPOINT);
    assert_non_null(strstr(err.text, "has 8 bytes, at most 7 are read"));
    assert_int_equal(file_read(folder, 100, &bytes, &size, &err), EXIT_CHECKPOINT);
    assert_int_equal(file_read("/dev/zero", 100, &bytes, &size, &err), EXIT_CHECKPOINT);
    assert_int_equal(file_read("/no-such-folder", 100, &bytes, &size, &err), EXIT_CHECKPOINT);
    assert_null(bytes);
}

static void folders_are_made_all_the_way_down_and_again(void **state)
{
    (void)state;
    char deep[400];
    struct error err = {0};
    text_format(deep, sizeof deep, "%s/a//b/c/", folder);
    assert_int_equal(file_make_folders(deep, &err), EXIT_DONE);
    assert_int_equal(file_make_folders(deep, &err), EXIT_DONE);
    assert_true(file_exists(deep));
    assert_int_equal(replace("x"), EXIT_DONE);
    text_format(deep, sizeof deep, "%s/file/b", folder);
    assert_int_equal(file_make_folders(deep, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "/file"));
    assert_int_equal(file_make_folders("", &err), EXIT_USAGE);
}

/* FIPS 180-2, appendix B; and the empty text. */
static void sha256_of_known_texts(void **state)
{
    (void)state;
    static const char *const known[][2] = {
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}};
    for (int i = 0; i < 3; i++) {
        uint8_t sum[32];
        char text[65];
        digest_sha256(known[i][0], strlen(known[i][0]), sum);
        digest_hex(sum, 32, text);
        assert_string_equal(text, known[i][1]);
    }
}

static void hashes_tell_where_a_text_ends(void **state)
{
    (void)state;
    assert_true(hash_bytes(HASH_START, "a", 1) == 0xaf63dc4c8601ec8cull); /* FNV-1a's own example */
    assert_true(hash_text(hash_text(HASH_START, "a"), "b") != hash_text(HASH_START, "ab"));
    /* The quicker one sees every bit, wherever it stands, and the size. */
    uint8_t bytes[101] = {0};
    const uint64_t zeros = hash_many_bytes(HASH_START, bytes, 100);
    assert_true(hash_many_bytes(HASH_START, bytes, 100) == zeros && hash_many_bytes(HASH_START, bytes, 101) != zeros);
    for (int bit = 0; bit < 800; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(hash_many_bytes(HASH_START, bytes, 100) != zeros);
        bytes[bit / 8] = 0;
    }
    bytes[7] = bytes[39] = 0x80; /* the highest bits of words that follow one another: without more than a product one undoes the other */
    assert_true(hash_many_bytes(HASH_START, bytes, 100) != zeros);
}

static void a_field_list_grows_and_copies(void **state)
{
    (void)state;
    struct field_list list = {0}, copy = {0};
    int64_t data = 7;
    char name[64];
    for (int i = 0; i < 1000; i++) {
        text_format(name, sizeof name, "/group/%d", i);
        field_add(&list, name, FIELD_INT64, &data, "1", "a number", 3, (int64_t)2, (int64_t)i, (int64_t)3);
    }
    assert_int_equal(list.count, 1000);
    assert_string_equal(list.field[999].name, "/group/999");
    assert_int_equal(field_bytes(&list.field[999]), 2 * 999 * 3 * 8);
    assert_int_equal(field_bytes(&list.field[0]), 0);
    const struct field *same = field_copy(&copy, &list.field[5]);
    assert_memory_equal(same, &list.field[5], sizeof *same);
    free(list.field);
    free(copy.field);
}

/* ---- what is in the way, what was taken away ----------------------------------------------------------------------------------------- */

static void what_is_in_the_way_gets_the_first_free_number(void **state)
{
    (void)state;
    char moved[400], want[400];
    struct error err = {0};
    for (int k = 1; k <= 3; k++) {
        assert_int_equal(replace("mine"), EXIT_DONE);
        assert_int_equal(file_set_aside(path, moved, sizeof moved, &err), EXIT_DONE);
        text_format(want, sizeof want, "%s.%d", path, k);
        assert_string_equal(moved, want);
        assert_true(file_exists(moved) && !file_exists(path));
    }
}

static char *content(const char *of)
{
    char *bytes;
    size_t size;
    assert_int_equal(file_read(of, 1 << 20, &bytes, &size, NULL), EXIT_DONE);
    return bytes;
}

static void a_file_that_was_taken_away_comes_back_whole_and_goes_on(void **state)
{
    (void)state;
    char moved[400], away[400], *text;
    struct error err = {0};
    FILE *file = fopen(path, "a+e");
    assert_non_null(file);
    fputs("one\n", file);
    assert_false(file_return(file, path, moved, sizeof moved, &err)); /* it is in its place */

    assert_int_equal(unlink(path), 0);
    fputs("two\n", file);
    assert_true(file_return(file, path, moved, sizeof moved, &err));
    assert_string_equal(moved, "");
    fputs("three\n", file);
    assert_false(file_return(file, path, moved, sizeof moved, &err));
    assert_string_equal(text = content(path), "one\ntwo\nthree\n");
    free(text);
    assert_int_equal(ftello(file), 14);

    text_format(away, sizeof away, "%s.away", path);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(replace("somebody else's"), EXIT_DONE);
    assert_true(file_return(file, path, moved, sizeof moved, &err));
    fputs("four\n", file);
    fclose(file);
    assert_string_equal(text = content(path), "one\ntwo\nthree\nfour\n");
    free(text);
    assert_string_equal(text = content(away), "one\ntwo\nthree\n");
    free(text);
    assert_string_equal(text = content(moved), "somebody else's");
    free(text);
    assert_int_equal(err.code, 0);
}

static void a_file_whose_folder_was_taken_away_says_so_and_goes_on_where_it_is(void **state)
{
    (void)state;
    char below[400], moved[400];
    struct error err = {0};
    text_format(below, sizeof below, "%s/below", folder);
    assert_int_equal(file_make_folders(below, &err), EXIT_DONE);
    text_format(below, sizeof below, "%s/below/file", folder);
    FILE *file = fopen(below, "a+e");
    assert_non_null(file);
    unlink(below);
    text_format(moved, sizeof moved, "%s/below", folder);
    assert_int_equal(rmdir(moved), 0);
    assert_true(file_return(file, below, moved, sizeof moved, &err));
    assert_int_equal(err.code, EXIT_CHECKPOINT);
    assert_true(fputs("more", file) >= 0 && fflush(file) == 0);
    fclose(file);
}

/* As a shell makes it of ~; what no shell has replaced is refused. */
static void paths_are_read_as_people_write_them(void **state)
{
    (void)state;
    char found[300], here[300];
    struct error err = {0};
    setenv("HOME", "/people/me", 1);
    static const char *const cases[][2] = {
        {"~", "/people/me"}, {"~/a b", "/people/me/a b"}, {"a/~", "a/~"}, {"./~/x", "./~/x"}, {"", ""}, {"/a", "/a"}, {"a$", "a$"},
        {"a$1", "a$1"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(file_path_given(cases[i][0], found, sizeof found, &err), 0);
        assert_string_equal(found, cases[i][1]);
    }
    text_format(here, sizeof here, "%s/x", getpwuid(0)->pw_dir);
    assert_int_equal(file_path_given("~root/x", found, sizeof found, &err), 0);
    assert_string_equal(found, here);
    unsetenv("HOME"); /* cron and containers: the user's entry says it */
    assert_int_equal(file_path_given("~/x", found, sizeof found, &err), 0);
    assert_true(found[0] == '/' && strcmp(found, "/people/me/x") != 0);
    assert_int_equal(file_path_given("~no-such-user/x", found, sizeof found, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "there is no user \"no-such-user\""));
    static const char *const variables[] = {"$SCRATCH/x", "${HOME}/x", "runs/$USER"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        assert_int_equal(file_path_given(variables[i], found, sizeof found, &err), EXIT_USAGE);
        assert_non_null(strstr(err.text, "write the path out"));
    }
    text_format(here, sizeof here, "%s/$SCRATCH", folder); /* a folder of that very name */
    assert_int_equal(mkdir(here, 0700), 0);
    assert_int_equal(file_path_given(here, found, sizeof found, &err), 0);
    assert_string_equal(found, here);
    text_format(here, sizeof here, "%s/$SCRATCH/new", folder); /* and what will be made in it */
    assert_int_equal(file_path_given(here, found, sizeof found, &err), 0);
    assert_int_equal(file_path_given("~/x", found, 3, &err), EXIT_USAGE);
}

static void what_cannot_be_written_is_known_beforehand(void **state)
{
    (void)state;
    char name[400];
    struct error err = {0};
    assert_int_equal(file_check_writable(path, &err), 0);
    assert_false(file_exists(path)); /* nothing is left */
    assert_int_equal(replace("there"), EXIT_DONE);
    assert_int_equal(file_check_writable(path, &err), 0);
    assert_int_equal(file_check_writable(folder, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "is a folder"));
    text_format(name, sizeof name, "%s/no/x", folder);
    assert_int_equal(file_check_writable(name, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "No such file or directory"));
    text_format(name, sizeof name, "%s/x", path);
    assert_int_equal(file_check_writable(name, &err), EXIT_USAGE);
    assert_int_equal(file_check_writable("", &err), EXIT_USAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(parts_are_written_one_after_the_other_and_replace_what_was_there),
        TEST(a_reader_sees_the_old_or_the_new_and_a_link_to_it_too),
        TEST(writers_at_the_same_time_never_mix),
        TEST(what_can_not_be_written_is_named_and_leaves_nothing),
        TEST(reading_stops_at_the_limit_and_refuses_what_is_no_file),
        TEST(folders_are_made_all_the_way_down_and_again),
        TEST(sha256_of_known_texts),
        TEST(hashes_tell_where_a_text_ends),
        TEST(a_field_list_grows_and_copies),
        TEST(what_is_in_the_way_gets_the_first_free_number),
        TEST(a_file_that_was_taken_away_comes_back_whole_and_goes_on),
        TEST(a_file_whose_folder_was_taken_away_says_so_and_goes_on_where_it_is),
        TEST(paths_are_read_as_people_write_them),
        TEST(what_cannot_be_written_is_known_beforehand),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
