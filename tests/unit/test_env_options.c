/* Options of environments: what is read of them, how they are written, and what follows from them: identity. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>

#include "base/text.h"
#include "env/options.h"
#include "env/registry.h"
#include "env_refusals.h"

/* ---- options ---------------------------------------------------------------------------------------------- */

static void bad_options_are_named_with_their_range(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *text;
    } cases[] = {
        {"N", "0", "environment \"mpe/simple_spread\": option N=0 is out of range 1..64"},
        {"N", "65", "option N=65 is out of range 1..64"},
        {"N", "three", "option N=three is not an int (1..64)"},
        {"N", "2.5", "option N=2.5 is not an int"},
        {"N", "none", "option N=none is not an int"},
        {"N", "1,5", "option N=1,5 is not an int (1..64)"},
        {"N", "0x5", "option N=0x5 is not an int (1..64): write 5"},
        {"local_ratio", "0,5", "option local_ratio=0,5 is not a real (0..1): write 0.5"},
        {"max_cycles", "1,000", "option max_cycles=1,000 is not an int (1..1000000): a decimal point is written as a point, thousands"},
        {"max_cycles", "1.000", "a decimal point is written as a point, thousands without a mark"},
        {"N", "", "option N= is not an int"},
        {"local_ratio", "1.01", "option local_ratio=1.01 is out of range 0..1"},
        {"local_ratio", "nan", "option local_ratio=nan is not a real (0..1)"},
        {"curriculum", "maybe", "option curriculum=maybe is not a bool (0 or 1)"},
        {"rules", "onpolicy", "option rules=onpolicy is not one of mpe2, on-policy, pettingzoo-1.22, openai; did you mean \"on-policy\"?"},
        {"num_agent_neighbors", "0", "option num_agent_neighbors=0 is out of range 1..64"},
        {"local_ration", "0.5", "has no option \"local_ration\"; did you mean \"local_ratio\"?"},
        {"curriculum_stage", "1", "curriculum_stage has a meaning only with curriculum=1"},
        {"max_cycles", "0", "option max_cycles=0 is out of range 1..1000000"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct error err = {0};
        assert_int_equal(open_with("mpe/simple_spread", cases[k].name, cases[k].value, &err), EXIT_USAGE);
        assert_says(&err, cases[k].text);
    }
}

static void options_of_the_other_rule_set_are_not_swallowed(void **state)
{
    (void)state;
    static const struct env_option strangers[] = {{"local_ratio", "0.3"},
                                                  {"curriculum", "1"},
                                                  {"terminate_on_success", "1"},
                                                  {"num_agent_neighbors", "2"},
                                                  {"num_landmark_neighbors", "2"}};
    for (int k = 0; k < 5; k++) {
        const struct env_option option[] = {{"rules", "on-policy"}, strangers[k]};
        const struct vecenv_config config = {
            .name = "simple_spread", .option = option, .options = 2, .envs = 1, .stream = PHILOX_ENVIRONMENT};
        struct error err = {0};
        struct vecenv *env;
        assert_int_equal(vecenv_open(&env, &config, &err), EXIT_USAGE);
        assert_says(&err, strangers[k].name);
        assert_says(&err, "belongs to rules=mpe2");
    }
}

static void all_options_stand_in_the_text_and_hash(void **state)
{
    (void)state;
    const struct env_option option[] = {{"N", "5"}, {"N", "2"}, {"local_ratio", "0.25"}}; /* the last of two wins */
    struct vecenv_config config = {.name = "simple_spread_v3", .option = option, .options = 3, .envs = 1, .stream = PHILOX_ENVIRONMENT};
    struct vecenv *env;
    assert_int_equal(vecenv_open(&env, &config, NULL), 0);
    assert_string_equal(vecenv_options(env),
                        "rules=mpe2 N=2 local_ratio=0.25 max_cycles=25 continuous_actions=0 curriculum=0 curriculum_stage=0 "
                        "terminate_on_success=0 num_agent_neighbors=none num_landmark_neighbors=none soft_actions=0");
    const uint64_t hash = vecenv_hash(env);
    vecenv_close(env);
    config.seed = 9; /* seeds and sizes of batches are no part of what an environment is */
    config.envs = 3;
    config.first_env = 7;
    assert_int_equal(vecenv_open(&env, &config, NULL), 0);
    assert_true(vecenv_hash(env) == hash);
    vecenv_close(env);
    config.options = 2;
    assert_int_equal(vecenv_open(&env, &config, NULL), 0);
    assert_true(vecenv_hash(env) != hash);
    vecenv_close(env);
}

static uint64_t identity(const struct vecenv_config *config)
{
    struct vecenv *env;
    assert_int_equal(vecenv_open(&env, config, NULL), 0);
    const uint64_t id = vecenv_identity(env);
    vecenv_close(env);
    return id;
}

static void identity_is_of_what_differs_from_the_defaults(void **state)
{
    (void)state;
    const struct env_option said[] = {{"N", "3"}, {"local_ratio", "0.50"}}, other[] = {{"N", "4"}}, swapped[] = {{"max_cycles", "4"}};
    struct vecenv_config config = {.name = "simple_spread_v3", .envs = 1, .stream = PHILOX_ENVIRONMENT, .clip_action = true};
    const uint64_t plain = identity(&config);
    config.option = said, config.options = 2; /* defaults that somebody wrote out, in other words */
    config.seed = 9, config.envs = 3, config.first_env = 7;
    assert_true(identity(&config) == plain);
    config.option = other, config.options = 1;
    const uint64_t four = identity(&config);
    config.option = swapped;
    assert_true(four != plain && identity(&config) != plain && identity(&config) != four);
    config.options = 0;
    config.time_limit = 9;
    const uint64_t limited = identity(&config);
    config.time_limit = 0, config.rescale_action = true;
    const uint64_t rescaled = identity(&config);
    config.rescale_action = false, config.squash_action = true;
    const uint64_t squashed = identity(&config);
    assert_true(squashed != rescaled && squashed != plain);
    config.squash_action = false, config.clip_action = false;
    assert_true(limited != plain && rescaled != plain && identity(&config) != plain && limited != rescaled);
    config.clip_action = true;
    assert_true(identity(&config) == plain);
}

static void snapshots_of_version_0_1_are_taken(void **state)
{
    (void)state;
    struct error err = {0};
    struct vecenv *env;
    const struct vecenv_config config = {.name = "simple_spread_v3", .envs = 1, .stream = PHILOX_ENVIRONMENT};
    assert_int_equal(vecenv_open(&env, &config, &err), 0);
    unsigned char *bytes = calloc(1, vecenv_snapshot_bytes(env));
    assert_int_equal(vecenv_snapshot(env, 0, 1, bytes, &err), 0);
    uint64_t guard[2] = {vecenv_identity(env), vecenv_hash(env)}, found;
    assert_true(guard[1] == 0x259e7e6d3697ec7f); /* as that version made it: options that came later are left out */
    memcpy(&found, bytes, sizeof found);
    assert_true(found == guard[0] && guard[0] != guard[1]);
    memcpy(bytes, &guard[1], sizeof guard[1]);
    assert_int_equal(vecenv_restore(env, 0, 1, bytes, &err), 0);
    bytes[0] ^= 1;
    assert_int_equal(vecenv_restore(env, 0, 1, bytes, &err), EXIT_CHECKPOINT);
    free(bytes);
    vecenv_close(env);
}

static void every_option_of_a_descriptor_is_checked(void **state)
{
    (void)state;
    static const char *const choices[] = {"a", "b", NULL}, *const none[] = {NULL}, *const hash[] = {"a", "#b", NULL};
    static const struct {
        struct mappo_option option;
        const char *says; /* NULL: sound */
    } cases[] = {{{"a", MAPPO_OPTION_INT, "3", 1, 5, NULL, NULL}, NULL},
                 {{"a", MAPPO_OPTION_INT, "none", 1, 5, NULL, NULL}, NULL},
                 {{"a", MAPPO_OPTION_CHOICE, "b", 0, 0, choices, NULL}, NULL},
                 {{"a", MAPPO_OPTION_BOOL, "yes", 0, 0, NULL, NULL}, NULL},
                 {{"a", MAPPO_OPTION_TEXT, "", 0, 255, NULL, NULL}, NULL},
                 {{"a", MAPPO_OPTION_TEXT, "none", 3, 9, NULL, NULL}, NULL},
                 {{"a", MAPPO_OPTION_TEXT, "", 1, 9, NULL, NULL}, "option a= has 0 bytes; it may have 1..9 bytes; that is its own default"},
                 {{"a", MAPPO_OPTION_TEXT, "a\tb", 1, 9, NULL, NULL}, "option a holds a control character; that is its own default"},
                 {{"a", MAPPO_OPTION_TEXT, "#..#", 1, 9, NULL, NULL},
                  "option a=\"#..#\" can't be kept in a configuration file: a value may not begin with # or hold \" #\""},
                 {{"a", MAPPO_OPTION_TEXT, ".. #", 1, 9, NULL, NULL}, "a value may not begin with # or hold \" #\""},
                 {{"a", MAPPO_OPTION_TEXT, "a ", 1, 9, NULL, NULL}, "a value may not begin or end with a blank"},
                 {{"a", MAPPO_OPTION_TEXT, "'a'", 1, 9, NULL, NULL}, "a value may not stand in quotes"},
                 {{"a", MAPPO_OPTION_TEXT, "\u00a0a", 1, 9, NULL, NULL}, "a blank or quote of word processors"},
                 {{"a", MAPPO_OPTION_TEXT, "a#", 1, 9, NULL, NULL}, NULL},
                 {{"a", MAPPO_OPTION_TEXT, "\xff", 1, 9, NULL, NULL}, "is not text in UTF-8"},
                 {{"a", MAPPO_OPTION_CHOICE, "a", 0, 0, hash, NULL}, "option a=\"#b\" can't be kept"},
                 {{"a", MAPPO_OPTION_TEXT, "", 0, 256, NULL, NULL}, "has a length outside 0..255 bytes"},
                 {{"a", MAPPO_OPTION_TEXT, "", -1, 9, NULL, NULL}, "has a length outside 0..255 bytes"},
                 {{"a", MAPPO_OPTION_TEXT, "", 9, 1, NULL, NULL}, "has a range without a number in it"},
                 {{"", MAPPO_OPTION_INT, "3", 1, 5, NULL, NULL}, "needs a name of 1 to 63 letters, digits and _"},
                 {{"a.b", MAPPO_OPTION_INT, "3", 1, 5, NULL, NULL}, "needs a name of 1 to 63 letters, digits and _"},
                 {{"name", MAPPO_OPTION_INT, "3", 1, 5, NULL, NULL}, "env.name is the environment itself"},
                 {{"a", 9, "3", 1, 5, NULL, NULL}, "has a type that this program doesn't know"},
                 {{"a", MAPPO_OPTION_INT, NULL, 1, 5, NULL, NULL}, "has no default"},
                 {{"a", MAPPO_OPTION_INT, "7", 1, 5, NULL, NULL}, "is out of range 1..5; that is its own default"},
                 {{"a", MAPPO_OPTION_REAL, "x", 1, 5, NULL, NULL}, "is not a real (1..5); that is its own default"},
                 {{"a", MAPPO_OPTION_INT, "3", 5, 1, NULL, NULL}, "has a range without a number in it"},
                 {{"a", MAPPO_OPTION_CHOICE, "a", 0, 0, NULL, NULL}, "has no choices"},
                 {{"a", MAPPO_OPTION_CHOICE, "a", 0, 0, none, NULL}, "has no choices"},
                 {{"a", MAPPO_OPTION_CHOICE, "c", 0, 0, choices, NULL}, "that is its own default"},
                 {{"twice", MAPPO_OPTION_INT, "3", 1, 5, NULL, NULL}, "two options are called twice"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct mappo_option options[] = {{"twice", MAPPO_OPTION_BOOL, "0", 0, 0, NULL, "first"}, cases[i].option, {.name = NULL}};
        const struct mappo_env env = {.id = "test/options", .option = options};
        struct error err = {0};
        const int code = options_check(&env, &err);
        if (!cases[i].says && code) fail_msg("case %zu: %s", i, err.text);
        if (!cases[i].says) continue;
        assert_int_equal(code, EXIT_ENVIRONMENT);
        assert_says(&err, cases[i].says);
    }
    for (int i = 0; i < registry_count(); i++) assert_int_equal(options_check(registry_at(i), NULL), 0);
}

static void options_that_are_not_the_defaults_are_told_from_all(void **state)
{
    (void)state;
    static const char *const choices[] = {"a", "b c", NULL};
    const struct mappo_option options[] = {{"N", MAPPO_OPTION_INT, "3", 1, 50, NULL, NULL},
                                           {"rules", MAPPO_OPTION_CHOICE, "a", 0, 0, choices, NULL},
                                           {"N2", MAPPO_OPTION_REAL, "0.50", 0, 1, NULL, NULL},
                                           {.name = NULL}};
    const struct mappo_env env = {.id = "test/options", .option = options};
    static const struct {
        struct env_option given[3];
        int count;
        const char *changed;
    } cases[] = {{{{"N", "3"}}, 1, ""},
                 {{{"N", "30"}}, 1, "N=30"},
                 {{{"rules", "b c"}}, 1, "rules=b c"},
                 {{{"N2", "0.5"}}, 1, ""},
                 {{{"N2", "0.75"}, {"N", "5"}, {"rules", "b c"}}, 3, "N=5 rules=b c N2=0.75"},
                 {{{"", ""}}, 0, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mappo_value value[3];
        char all[256], changed[256];
        assert_int_equal(options_read(&env, cases[i].given, cases[i].count, value, all, sizeof all, NULL), 0);
        options_changed(&env, value, changed, sizeof changed);
        assert_string_equal(changed, cases[i].changed);
    }
    /* "none" is a choice like any other where it is one. */
    static const char *const or_none[] = {"a", "none", NULL};
    const struct mappo_option absent[] = {{"rules", MAPPO_OPTION_CHOICE, "none", 0, 0, or_none, NULL},
                                          {"N", MAPPO_OPTION_INT, "none", 1, 5, NULL, NULL},
                                          {"text", MAPPO_OPTION_TEXT, "none", 0, 5, NULL, NULL},
                                          {.name = NULL}};
    const struct mappo_env none = {.id = "test/none", .option = absent};
    struct mappo_value value[3];
    char text[64];
    assert_int_equal(options_read(&none, NULL, 0, value, text, sizeof text, NULL), 0);
    assert_true(value[0].i == 1 && value[1].i == INT64_MIN && !value[2].text);
    assert_string_equal(text, "rules=none N=none text=none");
    const struct mappo_env bare = {.id = "test/options"};
    char changed[16];
    options_changed(&bare, NULL, changed, sizeof changed);
    assert_string_equal(changed, "");
}

static void texts_are_written_so_that_a_shell_reads_them(void **state)
{
    (void)state;
    static const struct mappo_option options[] = {
        {"title", MAPPO_OPTION_TEXT, "", 0, 8, NULL, NULL}, {"map", MAPPO_OPTION_TEXT, "a b", 1, 255, NULL, NULL}, {.name = NULL}};
    const struct mappo_env env = {.id = "test/texts", .option = options};
    static const char *const cases[][2] = {{"3s5z_vs-3s6z", "title='' map=3s5z_vs-3s6z"},
                                           {"#.@\\", "title='' map='#.@\\'"},
                                           {"it's $(it)", "title='' map='it'\\''s $(it)'"},
                                           {"\u00fc\u20ac\U0001F600", "title='' map='\u00fc\u20ac\U0001F600'"},
                                           {"none", "title='' map=none"},
                                           {"a b", "title='' map='a b'"}};
    struct mappo_value value[2];
    char all[256], changed[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct env_option given = {"map", cases[i][0]};
        assert_int_equal(options_read(&env, &given, 1, value, all, sizeof all, NULL), 0);
        assert_string_equal(all, cases[i][1]);
        assert_string_equal(value[1].text, cases[i][0]);
        options_changed(&env, value, changed, sizeof changed);
        assert_string_equal(changed, strcmp(cases[i][0], "a b") == 0 ? "" : cases[i][1] + strlen("title='' "));
        char plain[OPTION_TEXT];
        text_format(plain, sizeof plain, "%s", cases[i][0]);
        options_plain(&env, "map", plain, sizeof plain);
        assert_string_equal(plain, cases[i][0]);
    }
    struct error err = {0};
    const struct env_option wrong[] = {{"title", "too long!"}, {"map", ""},      {"map", "a\nb"},        {"map", "a\x7f"},
                                       {"map", "\xff"},        {"map", "a\xc3"}, {"map", "\xed\xa0\x80"}};
    static const char *const says[] = {"environment \"test/texts\": option title=too long! has 9 bytes; it may have 0..8 bytes",
                                       "option map= has 0 bytes; it may have 1..255 bytes",
                                       "option map holds a control character",
                                       "option map holds a control character",
                                       "option map is not text in UTF-8",
                                       "option map is not text in UTF-8",
                                       "option map is not text in UTF-8"};
    for (int i = 0; i < 7; i++) {
        assert_int_equal(options_read(&env, &wrong[i], 1, value, all, sizeof all, &err), EXIT_USAGE);
        assert_says(&err, says[i]);
    }
    const struct env_option large = {"map", "a text of more than ten bytes"};
    assert_int_equal(options_read(&env, &large, 1, value, all, 32, &err), EXIT_USAGE);
    assert_says(&err, "all options together have more than 31 bytes");
}

static void a_run_is_of_the_options_that_it_had_whatever_the_defaults_were(void **state)
{
    (void)state;
    static const struct mappo_option options[] = {
        {"N", MAPPO_OPTION_INT, "4", 1, 50, NULL, NULL}, {"map", MAPPO_OPTION_TEXT, "a N=3", 0, 99, NULL, NULL}, {.name = NULL}};
    const struct mappo_env env = {.id = "test/options", .option = options};
    static const struct {
        const char *then, *n;
        bool still;
    } cases[] = {{"N=3 map='a N=3'", "3", true},  {"map='a N=3' N=3", "3", true},     {"map='a N=3' N=3", "4", false},
                 {"N=3 map='a N=3'", "4", false}, {"N=33 map='a N=3'", "3", false},   {"N=4", "4", true},
                 {"map='a N=3'", "4", true},      {"map='a N=3'", "5", false},        {"", "4", true},
                 {"N=4 map=b", "4", false},       {"N=4 map='a N=3' M=2", "4", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct env_option given = {"N", cases[i].n};
        if (options_still(&env, &given, 1, cases[i].then) != cases[i].still) fail_msg("\"%s\" with N=%s", cases[i].then, cases[i].n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_named_with_their_range),
        cmocka_unit_test(options_of_the_other_rule_set_are_not_swallowed),
        cmocka_unit_test(all_options_stand_in_the_text_and_hash),
        cmocka_unit_test(identity_is_of_what_differs_from_the_defaults),
        cmocka_unit_test(snapshots_of_version_0_1_are_taken),
        cmocka_unit_test(every_option_of_a_descriptor_is_checked),
        cmocka_unit_test(options_that_are_not_the_defaults_are_told_from_all),
        cmocka_unit_test(a_run_is_of_the_options_that_it_had_whatever_the_defaults_were),
        cmocka_unit_test(texts_are_written_so_that_a_shell_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
