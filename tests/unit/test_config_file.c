/* Configuration files: what is read, what is refused, and that what is written reads back identically. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "config/config.h"

static struct config config, other;
static struct error err;

static int load(const char *text)
{
    err = (struct error){0};
    config_defaults(&config);
    return config_load_text(&config, text, "my.ini", ORIGIN_FILE, &err);
}

static void expect_loads(const char *text)
{
    if (load(text)) fail_msg("%s", err.text);
}

static void expect_refused(const char *text, const char *part)
{
    if (load(text) != EXIT_USAGE) fail_msg("taken: %s", text);
    if (!strstr(err.text, part)) fail_msg("\"%s\" does not say \"%s\"", err.text, part);
}

static void sections_whole_keys_and_aliases_are_read(void **state)
{
    (void)state;
    expect_loads("seed = 5\nppo.epochs: 4\n\n[ppo]\nclip = 0.1\ngae.lambda = 0.5\n[env]\nname = toy/x\nN = 7\n");
    assert_int_equal(config.train_seed, 5);
    assert_int_equal(config.ppo_epochs, 4);
    assert_true(config.ppo_clip == 0.1);
    assert_true(config.gae_lambda == 0.5);
    assert_string_equal(config.env_name, "toy/x");
    assert_string_equal(config_env_option(&config, "N"), "7");
    assert_int_equal(config.origin[KEY_ppo_clip], ORIGIN_FILE);
    assert_int_equal(config.origin[KEY_ppo_entropy], ORIGIN_DEFAULT);
}

static void indentation_comments_and_line_ends_mean_nothing(void **state)
{
    (void)state;
    expect_loads("\xef\xbb\xbf[ppo]\r\n\tclip = 0.1   ; a comment\r\n    epochs = 4\r\n# one\n   ; two\n\n  entropy=0.5");
    assert_true(config.ppo_clip == 0.1);
    assert_int_equal(config.ppo_epochs, 4); /* libinih alone would have joined this line to the one above */
    assert_true(config.ppo_entropy == 0.5);
    char comment[600];
    memset(comment, 'x', sizeof comment - 1);
    comment[0] = '#';
    comment[sizeof comment - 1] = '\0';
    expect_loads(comment); /* libinih alone would have read the rest of a long comment as a line of its own */
    expect_loads("");
}

static void mistakes_are_named_with_their_line(void **state)
{
    (void)state;
    expect_refused("[ppo]\n\nclip = 0.1\ncliprange = 2\n", "unknown key \"ppo.cliprange\" in my.ini, line 4; did you mean \"ppo.clip\"?");
    expect_refused("[ppo]\nclip = 7\n", "ppo.clip=7 in my.ini, line 2 is out of range 0 .. 1");
    expect_refused("seed = 1\nclip\n", "my.ini, line 2 is neither [section], key = value nor a comment");
    expect_refused("[ppo\nclip = 0.1\n", "my.ini, line 1 is neither");
    expect_refused("[pop]\nclip = 0.1\n", "did you mean \"ppo.clip\"?");
    expect_refused("clip = 0.1\n", "did you mean \"ppo.clip\"?");
    expect_refused("[ppo]\nclip =\n", "ppo.clip= in my.ini, line 2 is not a number");
    expect_refused("seed = 2\n[train]\nseed = x\nseed = y\n", "line 3"); /* the first mistake, not the last */
}

static void a_line_that_libinih_would_cut_is_refused(void **state)
{
    (void)state;
    char text[400], value[400];
    /* "init = " and 191 more: 198 bytes are the most; one more is refused, although its end is only blanks and a comment. */
    memset(value, 'v', sizeof value);
    value[191] = '\0';
    text_format(text, sizeof text, "[train]\ninit = %s\n", value);
    expect_loads(text);
    assert_string_equal(config.train_init, value);
    text_format(text, sizeof text, "[train]\ninit = %sw\n", value);
    expect_refused(text, "my.ini, line 2 has 199 bytes; a line of a configuration file may have 198");
    value[180] = '\0';
    text_format(text, sizeof text, "[train]\ninit = %s ; what this is for\n", value);
    expect_refused(text, "my.ini, line 2 has 206 bytes");
}

static void nonsense_sections_are_refused(void **state)
{
    (void)state;
    expect_refused("[]\nclip = 1\n", "unknown key");
    expect_refused("[ppo]\n= 3\n", "unknown key");
    expect_refused("[aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff]\nclip = 1\n", "unknown key");
}

static void files_that_are_none_are_refused(void **state)
{
    (void)state;
    char path[64];
    err = (struct error){0};
    config_defaults(&config);
    assert_int_equal(config_load(&config, "/nonexistent/a.ini", ORIGIN_FILE, &err), EXIT_USAGE);
    assert_string_equal(err.text, "cannot read the configuration file /nonexistent/a.ini: No such file or directory");
    assert_int_equal(config_load(&config, "/tmp", ORIGIN_FILE, &err), EXIT_USAGE);
    assert_string_equal(err.text, "cannot read the configuration file /tmp: Is a directory");
    text_format(path, sizeof path, "/tmp/mappo-test-file-%d.ini", (int)getpid());
    FILE *out = fopen(path, "w");
    fwrite("seed = 3\n\0\0", 1, 11, out);
    fclose(out);
    assert_int_equal(config_load(&config, path, ORIGIN_FILE, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "holds zero bytes"));
    out = fopen(path, "w");
    for (int i = 0; i < 110000; i++) fputs("seed = 30\n", out);
    fclose(out);
    assert_int_equal(config_load(&config, path, ORIGIN_FILE, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "longer than 1 MB"));
    assert_int_equal(config.train_seed, 1);
    unlink(path);
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------------- */

static char *written(int *code)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    err = (struct error){0};
    *code = config_write(&config, out, &err);
    fclose(out);
    return text;
}

/* Every key somewhere else than its default. */
static void set_all(void)
{
    config_defaults(&config);
    for (int k = 0; k < CONFIG_KEYS; k++) {
        const struct config_key *key = &config_keys[k];
        char name[128], value[CONFIG_TEXT];
        text_format(name, sizeof name, "%s.%s", key->section, key->name);
        if (key->type == KEY_IS_INT)
            text_format(value, sizeof value, "%.0f",
                        key->low + (key->high - key->low) / 3 > 4e15 ? 4e15 : key->low + (double)(int64_t)((key->high - key->low) / 3));
        if (key->type == KEY_IS_REAL) text_short_real(value, sizeof value, key->low + (key->high - key->low) / 3);
        if (key->type == KEY_IS_BOOL) text_format(value, sizeof value, "%s", strcmp(key->def, "true") == 0 ? "no" : "yes");
        if (key->type == KEY_IS_TEXT) text_format(value, sizeof value, "a=b [c] #d;e:%d", k);
        if (key->type == KEY_IS_CHOICE)
            text_format(value, sizeof value, "%s", strrchr(key->choices, '|') ? strrchr(key->choices, '|') + 1 : key->choices);
        if (config_set(&config, name, value, k % 6, "here", &err)) fail_msg("%s", err.text);
    }
    assert_int_equal(config_set(&config, "env.N", "17", ORIGIN_COMMAND_LINE, "here", &err), 0);
    assert_int_equal(config_set(&config, "env.map", "a=b;c", ORIGIN_COMMAND_LINE, "here", &err), 0);
}

static void config_ini_reads_back_identically(void **state)
{
    (void)state;
    int code;
    char wanted[CONFIG_TEXT], got[CONFIG_TEXT];
    set_all();
    char *text = written(&code);
    if (code) fail_msg("%s", err.text);
    config_defaults(&other);
    if (config_load_text(&other, text, "config.ini", ORIGIN_FILE, &err)) fail_msg("%s", err.text);
    for (int k = 0; k < CONFIG_KEYS; k++) {
        config_value(&config, k, wanted, sizeof wanted);
        config_value(&other, k, got, sizeof got);
        if (config_keys[k].flags & NOT_STORED)
            assert_int_equal(other.origin[k], ORIGIN_DEFAULT);
        else if (strcmp(wanted, got) != 0)
            fail_msg("%s.%s: wrote %s, read %s", config_keys[k].section, config_keys[k].name, wanted, got);
    }
    assert_string_equal(config_env_option(&other, "N"), "17");
    assert_string_equal(config_env_option(&other, "map"), "a=b;c");
    assert_true(config_hash(&config) == config_hash(&other));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (strlen(line) > 100 && *line == '#') fail_msg("a comment has more than 100 columns: %s", line);
    free(text);
}

static void it_shows_whether_a_person_edited_config_ini(void **state)
{
    (void)state;
    int code;
    set_all();
    char *ini = written(&code), *text = strdup(ini);
    free(ini);
    assert_int_equal(code, 0);
    assert_int_equal(config_author(text), AUTHOR_RUN);
    const size_t digit = (size_t)(strstr(text, "17") - text), last = (size_t)(strstr(text, "\n# written by mappo") - text);
    text[digit] = '9';
    assert_int_equal(config_author(text), AUTHOR_PERSON);
    text[digit] = '1';
    assert_int_equal(config_author(text), AUTHOR_RUN);
    char *more = malloc(strlen(text) + 32);
    text_format(more, strlen(text) + 32, "%s# my own\n", text);
    assert_int_equal(config_author(more), AUTHOR_PERSON);
    text[last] = '\0';
    assert_int_equal(config_author(text), AUTHOR_OLD_RUN); /* version 0.1 wrote no checksum */
    assert_int_equal(config_author("[adam]\nlr = 1\n"), AUTHOR_PERSON);
    free(more);
    free(text);
}

static void a_plugins_id_stands_beside_its_path(void **state)
{
    (void)state;
    int code;
    config_defaults(&config);
    text_format(config.env_name, sizeof config.env_name, "/there/one.so");
    text_format(config.env_id, sizeof config.env_id, "toy/one");
    char *text = written(&code);
    assert_int_equal(code, 0);
    assert_non_null(strstr(text, "name = /there/one.so\n# the plugin of toy/one\n"));
    free(text);
}

static void values_that_would_not_read_back_are_refused_at_once(void **state)
{
    (void)state;
    static const char *const bad[] = {"a ;b", ";a", " a", "a "};
    config_defaults(&config);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(config_set(&config, "train.init", bad[i], ORIGIN_COMMAND_LINE, "here", &err), EXIT_USAGE);
        assert_non_null(strstr(err.text, "can't be kept in a configuration file"));
        assert_int_equal(config_set(&config, "env.map", bad[i], ORIGIN_COMMAND_LINE, "here", &err), EXIT_USAGE);
    }
    char longest[300];
    memset(longest, 'p', sizeof longest);
    longest[192] = '\0';
    assert_int_equal(config_set(&config, "train.init", longest, ORIGIN_COMMAND_LINE, "here", &err), EXIT_USAGE);
    assert_string_equal(err.text, "train.init here has 192 characters; it may have 191");
    assert_int_equal(config_set(&config, "run.dir", longest, ORIGIN_COMMAND_LINE, "here", &err), 0); /* is not kept in a file */
    assert_string_equal(config.train_init, "");
    assert_int_equal(config.env_options, 0);
}

static void config_write_notices_what_would_not_read_back(void **state)
{
    (void)state;
    int code;
    set_all();
    strcpy(config.train_init, "a ;b"); /* past config_set */
    char *text = written(&code);
    assert_int_equal(code, EXIT_USAGE);
    assert_non_null(strstr(err.text, "train.init=a ;b can't be kept in an ini file"));
    assert_string_equal(text, "");
    free(text);
    strcpy(config.train_init, "a\n[ppo]\nclip = 0.9");
    text = written(&code);
    assert_int_equal(code, EXIT_USAGE);
    assert_string_equal(text, "");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_whole_keys_and_aliases_are_read),
        cmocka_unit_test(indentation_comments_and_line_ends_mean_nothing),
        cmocka_unit_test(mistakes_are_named_with_their_line),
        cmocka_unit_test(a_line_that_libinih_would_cut_is_refused),
        cmocka_unit_test(nonsense_sections_are_refused),
        cmocka_unit_test(files_that_are_none_are_refused),
        cmocka_unit_test(config_ini_reads_back_identically),
        cmocka_unit_test(it_shows_whether_a_person_edited_config_ini),
        cmocka_unit_test(a_plugins_id_stands_beside_its_path),
        cmocka_unit_test(values_that_would_not_read_back_are_refused_at_once),
        cmocka_unit_test(config_write_notices_what_would_not_read_back),
    };
    return cmocka_run_group_tests_name("config files", tests, NULL, NULL);
}
