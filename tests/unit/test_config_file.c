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

static void lines_end_as_on_any_system(void **state)
{
    (void)state;
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    char text[200];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        text_format(text, sizeof text, "[ppo]%s%sclip\t=\t0.1 \t%sepochs = 4", ends[i], ends[i], ends[i]);
        expect_loads(text); /* and without an end of the last line */
        assert_true(config.ppo_clip == 0.1);
        assert_int_equal(config.ppo_epochs, 4);
        text_format(text, sizeof text, "[ppo]%s%sclip = x%s", ends[i], ends[i], ends[i]);
        expect_refused(text, "in my.ini, line 3 is not a number");
    }
}

/* What editors, word processors and other formats leave in a file is read as it is meant, or refused with the line and what to do. */
static void what_editors_leave_is_read_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said; /* NULL: ppo.clip is 0.1 then */
    } cases[] = {
        {"[ppo]\nclip = 0.1 ; why", NULL},
        {"[ppo]\nclip = 0.1\t; why", NULL},
        {"[ ppo ]\nclip=0.1", NULL},
        {"[ppo] ; why\nclip : 0.1", NULL},
        {"[ppo] # why\nclip : 0.1", NULL},
        {"[ppo]\nepochs = 3\n[adam]\nlr = 1\n[ppo]\nclip = 0.1", NULL},
        {"[ppo]\nclip = 0.1\nclip = 0.10", NULL}, /* twice, but the same */
        {"[anything]\nppo.clip = 0.1", NULL},
        {"\xef\xbb\xbfppo.clip = 0.1", NULL},
        {"# say \u201cclip\u201d\u00a0# here\nppo.clip = 0.1", NULL},
        {"[ppo]\nclip = 0.1 # why", "my.ini, line 2 holds \"# why\": a comment behind a value begins with \" ;\""},
        {"[run]\ndir = runs/a # mine", "my.ini, line 2 holds \"# mine\": a comment behind a value begins with \" ;\""},
        {"// clip\nppo.clip = 0.1", "my.ini, line 1 begins with //: a comment begins with # or ;"},
        {"[ppo]\nclip = \"0.1\"", "ppo.clip=\"0.1\" in my.ini, line 2: values stand without quotes: write 0.1"},
        {"[env]\nname = 'mpe/simple_spread'", "in my.ini, line 2: values stand without quotes: write mpe/simple_spread"},
        {"[env]\nname = \u201cmpe/simple_spread\u201d", "in my.ini, line 2: values stand without quotes: write mpe/simple_spread"},
        {"[env]\nname = \u201cmpe/simple_spread",
         "in my.ini, line 2 holds a typographic quote (\u201c), which is no blank and no quote here"},
        {"[ppo]\nclip = 0,1", "in my.ini, line 2 is not a number: write 0.1"},
        {"[ppo]\nclip = 0.1,", "in my.ini, line 2 is not a number: write 0.1"},
        {"[ppo]\nclip = \u00a00.1", "my.ini, line 2 holds a no-break space (U+00A0)"},
        {"[ppo]\nclip\u00a0= 0.1", "my.ini, line 2 holds a no-break space (U+00A0)"},
        {"[env]\nname = mpe/simple_spread\u200b", "my.ini, line 2 holds a zero-width space (U+200B)"},
        {"[adam]\nlr = 7e\u22124", "in my.ini, line 2 is not a number: write 7e-4"},
        {"[ppo]\nclip = 0.1\nepochs = 3\nclip = 0.2",
         "my.ini, line 4 gives ppo.clip another value than line 2 does (0.1): take one of them away"},
        {"seed = 1\n[train]\nseed = 2", "my.ini, line 3 gives train.seed another value than line 1 does (1)"},
        {"[env]\nN = 3\nN = 4", "my.ini, line 3 gives env.N another value than line 2 does (3)"},
        {"[ppo] clip = 0.1", "my.ini, line 1 has \"clip = 0.1\" behind a section: a key begins a line of its own"},
        {"clip = 0.1", "unknown key \"clip\" in my.ini, line 1; did you mean \"ppo.clip\"?"},
        {"[train]\nenv steps = 5", "unknown key \"train.env steps\" in my.ini, line 2; did you mean \"train.env_steps\"?"},
        {"ppo:\n  clip: 0.1",
         "\"ppo\" in my.ini, line 1 is a section, not a key: write ppo.NAME=VALUE, or in a file NAME = VALUE below [ppo]"},
        {"{\"ppo\": {\"clip\": 0.1}}", "in my.ini, line 1"},
        {"--ppo.clip 0.1", "my.ini, line 1 is neither [section], key = value nor a comment"},
        {"--ppo.clip=0.1", "unknown key \"--ppo.clip\" in my.ini, line 1; did you mean \"ppo.clip\"?"},
        {"[PPO]\nclip = 0.1", "did you mean \"ppo.clip\"?"},
        {"[train]\ninit = $HOME/a.h5", "train.init=$HOME/a.h5 in my.ini, line 2: variables are replaced by a shell only"},
        {"[ppo]\nclip == 0.1", "in my.ini, line 2 is not a number"},
        {"<<<<<<< HEAD\nppo.clip = 0.1", "my.ini, line 1 is neither"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].said) {
            expect_refused(cases[i].text, cases[i].said);
            continue;
        }
        expect_loads(cases[i].text);
        if (config.ppo_clip != 0.1) fail_msg("%s: ppo.clip is %g", cases[i].text, config.ppo_clip);
    }
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
    assert_int_equal(config_load(&config, "/no-such-folder/a.ini", ORIGIN_FILE, &err), EXIT_USAGE);
    assert_string_equal(err.text, "cannot read the configuration file /no-such-folder/a.ini: No such file or directory");
    assert_int_equal(config_load(&config, "/tmp", ORIGIN_FILE, &err), EXIT_USAGE);
    assert_string_equal(err.text,
                        "cannot read the configuration file /tmp: Is a directory (a run is continued with run=FOLDER; its settings are "
                        "FOLDER/config.ini)");
    text_format(path, sizeof path, "/tmp/mappo-test-file-%d.ini", (int)getpid());
    FILE *out = fopen(path, "w");
    fwrite("seed = 3\n\0\0", 1, 11, out);
    fclose(out);
    assert_int_equal(config_load(&config, path, ORIGIN_FILE, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "line 2 holds zero bytes"));
    static const struct {
        const char *bytes;
        size_t size;
        const char *said;
    } others[] = {{"\xff\xfes\0e\0", 6, "is written in UTF-16: save it as UTF-8"},
                  {"\xfe\xff\0s\0e", 6, "is written in UTF-16: save it as UTF-8"},
                  {"s\0e\0", 4, "line 1 holds zero bytes: this is no text, or it is written in UTF-16"},
                  {"mappo checkpoint\nversion 1", 26, "is a checkpoint, no configuration file: mappo eval"},
                  {"\x89HDF\r\n\x1a\n", 8, "is a checkpoint, no configuration file"},
                  {"b0VIM 9.0\0\0", 11, "line 1 holds zero bytes"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        out = fopen(path, "w");
        fwrite(others[i].bytes, 1, others[i].size, out);
        fclose(out);
        assert_int_equal(config_load(&config, path, ORIGIN_FILE, &err), EXIT_USAGE);
        if (!strstr(err.text, others[i].said)) fail_msg("\"%s\" does not say \"%s\"", err.text, others[i].said);
    }
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
        if (key->type == KEY_IS_INTS) text_format(value, sizeof value, "%lld,%lld", (long long)key->high, (long long)key->low);
        if (key->type == KEY_IS_REAL) text_short_real(value, sizeof value, key->low + (key->high - key->low) / 3);
        if (key->type == KEY_IS_BOOL) text_format(value, sizeof value, "%s", strcmp(key->def, "true") == 0 ? "no" : "yes");
        if (key->type == KEY_IS_TEXT) text_format(value, sizeof value, "a=b [c]#d;e:%d", k);
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
    static const char *const bad[] = {"a ;b", ";a", " a", "a ", "a #b", "#a"};
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
        cmocka_unit_test(lines_end_as_on_any_system),
        cmocka_unit_test(what_editors_leave_is_read_or_refused),
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
