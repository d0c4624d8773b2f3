/* config/: the table walked key by key, the command line, the order of the sources, and what follows from the whole. */
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
#include "config/suggest.h"
#include "config_lines.h"

static struct config config, other;

/* Another value that the key takes; false where it has only one. */
static bool another_value(int k, char *text, size_t size)
{
    const struct config_key *key = &config_keys[k];
    char now[CONFIG_TEXT];
    config_value(&config, k, now, sizeof now);
    switch (key->type) {
    case KEY_IS_INT:
        text_format(text, size, "%lld", (long long)(strtod(now, NULL) < key->high ? atoll(now) + 1 : atoll(now) - 1));
        return true;
    case KEY_IS_INTS:
        text_format(text, size, "%lld,%lld", (long long)key->low, (long long)key->high);
        return true;
    case KEY_IS_REAL:
        text_short_real(text, size, key->low + (key->high - key->low) * 0.37);
        return true;
    case KEY_IS_BOOL:
        text_format(text, size, "%s", strcmp(now, "true") == 0 ? "false" : "true");
        return true;
    case KEY_IS_TEXT:
        text_format(text, size, "some/other value");
        return true;
    default:
        if (!strchr(key->choices, '|')) return false;
        const char *bar = strchr(key->choices, '|');
        if (strncmp(now, key->choices, (size_t)(bar - key->choices)) == 0)
            text_format(text, size, "%.*s", (int)strcspn(bar + 1, "|"), bar + 1);
        else
            text_format(text, size, "%.*s", (int)(bar - key->choices), key->choices);
        return true;
    }
}

/* ---- the table ----------------------------------------------------------------------------------------------------------------------- */

static void every_key_has_a_default_in_range_help_and_a_section(void **state)
{
    (void)state;
    char name[128], value[CONFIG_TEXT];
    config_defaults(&config);
    assert_int_equal(config_key_count, CONFIG_KEYS);
    assert_int_equal(sizeof config.origin, CONFIG_KEYS);
    for (int k = 0; k < CONFIG_KEYS; k++) {
        const struct config_key *key = &config_keys[k];
        config_full_name(k, name, sizeof name);
        assert_int_equal(config_find(name), k); /* found, and not twice */
        assert_non_null(config_section(key->section));
        if (strlen(key->help) < 6) fail_msg("%s has no help", name);
        if (strlen(key->section) + strlen(key->name) > 60) fail_msg("%s is too long a name", name);
        assert_int_equal(config.origin[k], ORIGIN_DEFAULT);
        config_value(&config, k, value, sizeof value);
        if (config_set(&config, name, value, ORIGIN_FILE, "here", &err)) fail_msg("the default of %s is refused: %s", name, err.text);
        if (config_set(&config, name, key->def, ORIGIN_FILE, "here", &err)) fail_msg("%s", err.text);
        assert_int_equal(config.origin[k], ORIGIN_FILE);
    }
}

static void every_key_keeps_what_it_is_set_to(void **state)
{
    (void)state;
    char name[128], value[CONFIG_TEXT], read[CONFIG_TEXT];
    config_defaults(&config);
    for (int k = 0; k < CONFIG_KEYS; k++) {
        if (!another_value(k, value, sizeof value)) continue;
        config_full_name(k, name, sizeof name);
        other = config;
        if (config_set(&config, name, value, ORIGIN_COMMAND_LINE, "here", &err)) fail_msg("%s", err.text);
        config_value(&config, k, read, sizeof read);
        if (strcmp(read, value) != 0) fail_msg("%s was set to %s and reads %s", name, value, read);
        for (int j = 0; j < CONFIG_KEYS; j++) { /* and no other key was touched */
            char before[CONFIG_TEXT];
            config_value(&other, j, before, sizeof before);
            config_value(&config, j, read, sizeof read);
            if (j != k && strcmp(before, read) != 0)
                fail_msg("setting %s changed %s.%s", name, config_keys[j].section, config_keys[j].name);
        }
    }
}

static void every_key_refuses_what_is_out_of_range_or_of_another_type(void **state)
{
    (void)state;
    char name[128], value[CONFIG_TEXT], before[CONFIG_TEXT], after[CONFIG_TEXT];
    config_defaults(&config);
    for (int k = 0; k < CONFIG_KEYS; k++) {
        const struct config_key *key = &config_keys[k];
        config_full_name(k, name, sizeof name);
        config_value(&config, k, before, sizeof before);
        if (key->type == KEY_IS_INT || key->type == KEY_IS_REAL) {
            text_short_real(value, sizeof value, key->low - 1);
            expect_error(config_set(&config, name, value, ORIGIN_FILE, "here", &err), "is out of range");
            text_short_real(value, sizeof value, key->high + (key->high > 1e9 ? key->high : 1));
            expect_error(config_set(&config, name, value, ORIGIN_FILE, "here", &err), "is out of range");
            expect_error(config_set(&config, name, "nan", ORIGIN_FILE, "here", &err), "number");
            expect_error(config_set(&config, name, "", ORIGIN_FILE, "here", &err), "number");
        }
        if (key->type == KEY_IS_INT) expect_error(config_set(&config, name, "1.5", ORIGIN_FILE, "here", &err), "is not a whole number");
        if (key->type == KEY_IS_INTS) expect_error(config_set(&config, name, "5,0", ORIGIN_FILE, "here", &err), "is out of range");
        if (key->type == KEY_IS_INTS)
            expect_error(config_set(&config, name, "5,,6", ORIGIN_FILE, "here", &err), "lacks a number beside one of its commas");
        if (key->type == KEY_IS_INTS && key->choices)
            expect_error(config_set(&config, name, "8,none", ORIGIN_FILE, "here", &err), "none stands alone");
        if (key->type == KEY_IS_INTS)
            expect_error(config_set(&config, name, "1,2,3,4,5,6,7,8,9", ORIGIN_FILE, "here", &err), "more than 8");
        if (key->type == KEY_IS_BOOL) expect_error(config_set(&config, name, "2", ORIGIN_FILE, "here", &err), "is neither true nor false");
        if (key->type == KEY_IS_CHOICE) expect_error(config_set(&config, name, "nonsense", ORIGIN_FILE, "here", &err), name);
        if (key->type == KEY_IS_CHOICE) expect_error(config_set(&config, name, "", ORIGIN_FILE, "here", &err), name);
        if (key->type == KEY_IS_TEXT) expect_error(config_set(&config, name, "a\tb", ORIGIN_FILE, "here", &err), "control character");
        config_value(&config, k, after, sizeof after);
        assert_string_equal(before, after);
        assert_int_equal(config.origin[k], ORIGIN_DEFAULT);
    }
}

static void tilde_is_home_in_every_path(void **state)
{
    (void)state;
    char name[128], value[CONFIG_TEXT];
    int paths = 0;
    setenv("HOME", "/people/me", 1);
    config_defaults(&config);
    for (int k = 0; k < CONFIG_KEYS; k++) {
        if (!(config_keys[k].flags & IS_PATH)) continue;
        config_full_name(k, name, sizeof name);
        assert_int_equal(config_set(&config, name, "~/a/b.so", ORIGIN_FILE, "here", &err), 0);
        config_value(&config, k, value, sizeof value);
        assert_string_equal(value, "/people/me/a/b.so");
        paths++;
    }
    assert_int_equal(paths, 6);
    assert_int_equal(config_set(&config, "train.init", "~/a", ORIGIN_CHECKPOINT, "here", &err), 0); /* as it stands in an old run */
    assert_string_equal(config.train_init, "~/a");
}

static void too_many_env_options_are_refused(void **state)
{
    (void)state;
    char name[64];
    config_defaults(&config);
    for (int i = 0; i < CONFIG_ENV_OPTIONS; i++) {
        text_format(name, sizeof name, "env.o%d", i * 7 % CONFIG_ENV_OPTIONS);
        assert_int_equal(config_set(&config, name, "1", ORIGIN_FILE, "here", &err), 0);
    }
    for (int i = 1; i < config.env_options; i++) assert_true(strcmp(config.env_option[i - 1].name, config.env_option[i].name) < 0);
    assert_int_equal(config_set(&config, "env.o3", "2", ORIGIN_FILE, "here", &err), 0); /* again is no other one */
    expect_error(config_set(&config, "env.more", "1", ORIGIN_FILE, "here", &err), "more than 48 options");
    memset(name, 'n', sizeof name);
    memcpy(name, "env.", 4);
    name[sizeof name - 1] = '\0';
    config_defaults(&config);
    assert_int_equal(config_set(&config, name, "1", ORIGIN_FILE, "here", &err), 0);
}

/* ---- the command line ---------------------------------------------------------------------------------------------------------------- */

static void command_line_is_taken_apart(void **state)
{
    (void)state;
    assert_int_equal(parse(""), 0);
    assert_string_equal(args.command, "train");
    assert_false(args.command_given);
    assert_int_equal(parse("seed=3 eval runs/lr=3/latest.h5 --config a.ini --config=b.ini --json -q env.N=5 which=best"), 0);
    assert_string_equal(args.command, "eval");
    assert_int_equal(args.operands, 1);
    assert_string_equal(args.operand[0], "runs/lr=3/latest.h5");
    assert_int_equal(args.assignments, 3);
    assert_string_equal(args.assignment[1], "env.N=5");
    assert_int_equal(args.files, 2);
    assert_string_equal(args.file[1], "b.ini");
    assert_true(args.json && args.quiet && !args.fresh && !args.help);
    assert_int_equal(parse("train --help ppo"), 0);
    assert_true(args.help);
    assert_string_equal(args.help_section, "ppo");
    assert_int_equal(parse("--help seed=3"), 0);
    assert_true(args.help && !args.help_section);
    assert_int_equal(args.assignments, 1);
    assert_int_equal(parse("run=runs/a --fresh"), 0);
    assert_int_equal(args.assignments, 1);
    assert_true(args.fresh);
}

static void nonsense_counts_on_the_command_line_are_refused(void **state)
{
    (void)state;
    static char *argv[2000];
    argv[0] = "mappo";
    for (int i = 1; i < 2000; i++) argv[i] = "seed=1";
    expect_error(arguments_parse(&args, 2000, argv, &err), "more than 256 settings");
    for (int i = 1; i < 2000; i++) argv[i] = "--config=x";
    expect_error(arguments_parse(&args, 2000, argv, &err), "more than 16 --config files");
    for (int i = 1; i < 2000; i++) argv[i] = "x/y";
    expect_error(arguments_parse(&args, 2000, argv, &err), "too many arguments");
}

/* ---- sources in their order ---------------------------------------------------------------------------------------------------------- */

struct named_text {
    const char *name, *text;
};

static const char *text_of(const struct named_text *list, const char *name)
{
    while (list->name && strcmp(list->name, name) != 0) list++;
    return list->text;
}

static const struct named_text named[] = {{"fast", "[ppo]\nepochs = 3\nclip = 0.3\nentropy = 0.03\nvalue_coef = 3\n[env]\nrules = b\n"},
                                          {"other", "algo = coppo\n[ppo]\nclip = 0.11\n[env]\nwind = 3\nrules = c\n"},
                                          {"coppo", "[ppo]\nepochs = 20\nentropy = 0.05\nvalue_coef = 2\n"},
                                          {NULL, NULL}};

static const char *test_preset(const char *name)
{
    return text_of(named, name);
}

static const char *test_preset_at(int i)
{
    return named[i].name;
}

static const char *tuned_preset(const char *name)
{
    static const struct named_text tuned[] = {{"toy/suite", "[ppo]\nepochs = 6\nminibatches = 2\n"},
                                              {"toy/one", "[ppo]\nepochs = 2\nclip = 0.25\nentropy = 0.02\n[env]\nsize = 7\n"},
                                              {"toy/one-big", "[ppo]\nentropy = 0.04\n"},
                                              {"toy/suite.coppo", "[ppo]\nepochs = 21\nclip = 0.12\n"},
                                              {"toy/one.coppo", "[ppo]\nclip = 0.13\n"},
                                              {"toy/one-big.coppo", "[ppo]\nentropy = 0.06\n"},
                                              {NULL, NULL}};
    return text_of(tuned, name);
}

static const char *test_variant_of(const struct config *of)
{
    const bool big = strcmp(config_env_option(of, "N"), "9") == 0 && strcmp(config_env_option(of, "size"), "8") == 0;
    return big && strcmp(config_env_option(of, "rules"), "a") == 0 ? "toy/one-big" : NULL;
}

static int test_env(struct config_env *env, const char *name, struct error *e)
{
    if (strcmp(name, "toy/one") != 0 && strcmp(name, "one_v2") != 0 && strcmp(name, "toy/one-big") != 0)
        return error_set(e, EXIT_USAGE, "unknown environment \"%s\"", name);
    const bool variant = strcmp(name, "toy/one-big") == 0;
    *env = (struct config_env){.id = "toy/one",
                               .variant = variant ? "toy/one-big" : NULL,
                               .set = {{"N", "9"}, {"size", "8"}},
                               .sets = variant ? 2 : 0,
                               .variant_of = test_variant_of,
                               .preset = tuned_preset,
                               .option = {{.name = "N", .def = "3"}, {.name = "rules", .def = "a"}, {.name = "size", .def = "5"}},
                               .options = 3,
                               .named_preset = test_preset,
                               .named_preset_at = test_preset_at};
    return 0;
}

static char file_path[64];

static void write_file(const char *text)
{
    text_format(file_path, sizeof file_path, "/tmp/mappo-test-config-%d.ini", (int)getpid());
    FILE *out = fopen(file_path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void build(const char *format, ...)
{
    char line[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (parse(line) || config_build(&config, &args, test_env, &err)) fail_msg("%s: %s", line, err.text);
}

static void later_sources_replace_earlier_ones(void **state)
{
    (void)state;
    write_file("[ppo]\nepochs = 4\nclip = 0.4\n");
    build("env=toy/one preset=fast --config %s ppo.epochs=5", file_path);
    assert_int_equal(config.ppo_epochs, 5);                       /* command line */
    assert_true(config.ppo_clip == 0.4);                          /* --config */
    assert_true(config.ppo_entropy == 0.03);                      /* preset= */
    assert_string_equal(config_env_option(&config, "size"), "7"); /* the environment's preset */
    assert_string_equal(config_env_option(&config, "N"), "3");    /* the environment's default */
    assert_int_equal(config.ppo_minibatches, 2);                  /* the suite's preset */
    assert_true(config.gae_gamma == 0.99);                        /* built in */
    assert_int_equal(config.origin[KEY_ppo_epochs], ORIGIN_COMMAND_LINE);
    assert_int_equal(config.origin[KEY_ppo_clip], ORIGIN_FILE);
    assert_int_equal(config.origin[KEY_ppo_entropy], ORIGIN_PRESET);
    assert_int_equal(config.origin[KEY_gae_gamma], ORIGIN_DEFAULT);
    build("env=toy/one");
    assert_int_equal(config.ppo_epochs, 2);
    assert_int_equal(config.origin[KEY_ppo_epochs], ORIGIN_ENV_PRESET);
    assert_int_equal(config.origin[KEY_ppo_minibatches], ORIGIN_ENV_PRESET);
    unlink(file_path);
}

/* The toy's coppo has presets of its own, as an off-policy learner has. */
static void an_algorithm_with_presets_of_its_own_takes_no_others(void **state)
{
    (void)state;
    build("env=toy/one-big algo=coppo");
    assert_int_equal(config.ppo_epochs, 21);     /* the suite's for it, over its own */
    assert_true(config.ppo_value_coef == 2);     /* its own */
    assert_true(config.ppo_clip == 0.13);        /* the environment's for it */
    assert_true(config.ppo_entropy == 0.06);     /* the variant's for it */
    assert_int_equal(config.ppo_minibatches, 1); /* what is there for others doesn't show */
    build("env=toy/one algo=ippo");
    assert_int_equal(config.ppo_epochs, 2);
    build("env=toy/one preset=other"); /* a preset may name the algorithm */
    assert_int_equal(config.ppo_epochs, 21);
    assert_true(config.ppo_clip == 0.11);
    build("env=toy/one preset=other algo=mappo");
    assert_int_equal(config.ppo_epochs, 2);
}

static void a_preset_leaves_out_options_that_the_environment_does_not_have(void **state)
{
    (void)state;
    build("env=toy/one preset=other");
    assert_null(config_env_option(&config, "wind"));
    assert_string_equal(config_env_option(&config, "rules"), "c");
    assert_string_equal(config.left_out, "env.wind=3");
    build("env=toy/one preset=fast");
    assert_string_equal(config.left_out, "");
    assert_int_equal(parse("env=toy/one preset=other env.wind=4"), 0);
    expect_error(config_build(&config, &args, test_env, &err), "no option \"wind\"");
}

static void an_unknown_preset_names_those_there_are(void **state)
{
    (void)state;
    assert_int_equal(parse("preset=fats env=toy/one"), 0);
    expect_error(config_build(&config, &args, test_env, &err), "did you mean \"fast\"? (there are fast, other: ");
    assert_int_equal(parse("preset=nothing env=toy/one"), 0);
    expect_error(config_build(&config, &args, test_env, &err), "unknown preset \"nothing\" (there are fast, other: ");
    assert_int_equal(parse("preset=coppo env=toy/one"), 0);
    expect_error(config_build(&config, &args, test_env, &err), "it is an algorithm, algo=coppo");
}

static void a_variant_sets_options_that_later_sources_replace(void **state)
{
    (void)state;
    build("env=toy/one-big");
    assert_string_equal(config.env_name, "toy/one");
    assert_string_equal(config.env_variant, "toy/one-big");
    assert_string_equal(config.env_asked, "toy/one-big");
    assert_string_equal(config_env_option(&config, "N"), "9");
    assert_string_equal(config_env_option(&config, "size"), "8"); /* not that of the environment's preset */
    assert_int_equal(config.ppo_epochs, 2);                       /* the environment's preset … */
    assert_true(config.ppo_entropy == 0.04);                      /* … and the variant's, which comes later */
    assert_int_equal(config.origin[KEY_ppo_entropy], ORIGIN_ENV_PRESET);
    build("env=toy/one-big preset=fast env.size=6");
    assert_string_equal(config_env_option(&config, "N"), "9");
    assert_string_equal(config_env_option(&config, "rules"), "b"); /* preset= */
    assert_string_equal(config_env_option(&config, "size"), "6");
    assert_string_equal(config.env_variant, "");
    assert_string_equal(config.env_asked, "toy/one-big");
    assert_true(config.ppo_entropy == 0.03);
    write_file("env = toy/one-big\nenv.N = 4\n");
    build("--config %s", file_path);
    assert_string_equal(config_env_option(&config, "N"), "4");
    assert_string_equal(config_env_option(&config, "size"), "8");
    unlink(file_path);
}

static void a_file_may_choose_environment_and_preset_and_the_command_line_overrides_both(void **state)
{
    (void)state;
    write_file("env = one_v2\npreset = fast\n");
    build("--config %s", file_path);
    assert_string_equal(config.env_name, "toy/one"); /* the alias became the id */
    assert_int_equal(config.ppo_epochs, 3);
    build("--config %s preset=", file_path);
    assert_int_equal(config.ppo_epochs, 2);
    unlink(file_path);
}

static void unknown_environment_preset_and_option_are_refused(void **state)
{
    (void)state;
    char line[128];
    assert_int_equal(parse("env=toy/two"), 0);
    expect_error(config_build(&config, &args, test_env, &err), "unknown environment \"toy/two\"");
    assert_int_equal(parse("env=toy/one preset=fats"), 0);
    expect_error(config_build(&config, &args, test_env, &err), "unknown preset \"fats\"; did you mean \"fast\"?");
    assert_int_equal(parse("env=toy/one env.Size=3"), 0);
    expect_error(config_build(&config, &args, test_env, &err),
                 "has no option \"Size\" (env.Size on the command line); did you mean \"env.size\"?");
    /* Options of the environment that was chosen, wherever it stands, are among what may be meant. */
    static const char *const lines[][2] = {
        {"env=toy/one N=5", "unknown key \"N\" on the command line; did you mean \"env.N\"? (env.N=5; mappo envs toy/one lists them)"},
        {"n=5 env=one_v2", "did you mean \"env.N\"?"},
        {"env=toy/one siez=5", "did you mean \"env.size\"?"},
        {"env=toy/one rules=b", "did you mean \"env.rules\"?"},
        {"env=toy/one env_N=5", "did you mean \"env.N\"?"},
        {"env=toy/one seed=1,5 N=5", "seed=1,5"}, /* the first mistake */
        {"env=toy/two N=5", "unknown key \"N\" on the command line (mappo"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(parse(lines[i][0]), 0);
        expect_error(config_build(&config, &args, test_env, &err), lines[i][1]);
    }
    write_file("env = toy/one\nN = 5\n");
    text_format(line, sizeof line, "--config %s", file_path);
    assert_int_equal(parse(line), 0);
    expect_error(config_build(&config, &args, test_env, &err), "line 2; did you mean \"env.N\"?");
    unlink(file_path);
    assert_int_equal(parse("env=toy/one --config /no-such-folder.ini"), 0);
    expect_error(config_build(&config, &args, test_env, &err), "cannot read the configuration file /no-such-folder.ini: No such file");
}

/* ---- of the whole -------------------------------------------------------------------------------------------------------------------- */

static const char *folder(const char *line)
{
    static char path[CONFIG_TEXT + 64];
    build("%s", line);
    config_run_folder(&config, path, sizeof path);
    return path;
}

static void run_folder_is_named_after_what_makes_another_run(void **state)
{
    (void)state;
    char first[CONFIG_TEXT + 64];
    assert_string_equal(folder("env=toy/one"), "runs/toy-one-mappo-s1");
    assert_string_equal(folder("env=one_v2 algo=ippo seed=7"), "runs/toy-one-ippo-s7");
    assert_string_equal(folder("env=toy/one train.env_steps=5e6 threads=2 checkpoint.keep=9"), "runs/toy-one-mappo-s1"); /* UNNAMED */
    assert_string_equal(folder("env=toy/one ppo.epochs=2 env.N=3"), "runs/toy-one-mappo-s1"); /* what they would be anyway */
    assert_string_equal(folder("env=toy/one ppo.epochs=9 run=some/where"), "some/where");
    text_format(first, sizeof first, "%s", folder("env=toy/one ppo.epochs=9 env.N=5"));
    assert_int_equal(strncmp(first, "runs/toy-one-mappo-s1-", 22), 0);
    assert_int_equal(strlen(first), 22 + 8);
    assert_string_equal(folder("env.N=5 ppo.epochs=9.0 env=one_v2"), first);
    assert_string_not_equal(folder("env=toy/one ppo.epochs=8 env.N=5"), first);
    assert_string_not_equal(folder("env=toy/one ppo.epochs=9 env.N=4"), first);
    /* A preset is nothing but its settings. */
    text_format(first, sizeof first, "%s", folder("env=toy/one preset=fast"));
    assert_string_equal(folder("env=toy/one ppo.epochs=3 ppo.clip=0.3 ppo.entropy=0.03 ppo.value_coef=3 env.rules=b"), first);
}

/* It was true or false, and true by default, before the algorithm could decide it. */
static void sharing_is_decided_by_the_algorithm_and_names_no_other_run(void **state)
{
    (void)state;
    static const char *const asked[] = {"", "policy.share=auto", "policy.share=true", "policy.share=1"};
    char value[CONFIG_TEXT], line[128];
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        text_format(line, sizeof line, "env=toy/one %s", asked[i]);
        assert_string_equal(folder(line), "runs/toy-one-mappo-s1");
        config_value(&config, KEY_policy_share, value, sizeof value);
        assert_string_equal(value, "true");
    }
    assert_int_equal(strncmp(folder("env=toy/one policy.share=0"), "runs/toy-one-mappo-s1-", 22), 0);
    config_value(&config, KEY_policy_share, value, sizeof value);
    assert_string_equal(value, "false");
}

static void a_variant_and_its_options_are_one_run(void **state)
{
    (void)state;
    char first[CONFIG_TEXT + 64];
    assert_string_equal(folder("env=toy/one-big"), "runs/toy-one-big-mappo-s1");
    assert_string_equal(folder("env=toy/one env.size=8 env.N=9"), "runs/toy-one-big-mappo-s1");
    assert_string_equal(folder("env=toy/one-big env.size=7 env.N=3"), "runs/toy-one-mappo-s1"); /* as the base is anyway */
    text_format(first, sizeof first, "%s", folder("env=toy/one-big ppo.epochs=9"));
    assert_int_equal(strncmp(first, "runs/toy-one-big-mappo-s1-", 26), 0);
    assert_string_equal(folder("env=toy/one env.N=9 ppo.epochs=9 env.size=8"), first);
    text_format(first, sizeof first, "%s", folder("env=toy/one-big env.N=5"));
    assert_int_equal(strncmp(first, "runs/toy-one-mappo-s1-", 22), 0);
    assert_string_equal(folder("env=toy/one env.N=5 env.size=8"), first);
}

static void config_ini_of_a_run_names_the_same_run(void **state)
{
    (void)state;
    char first[CONFIG_TEXT + 64], line[256];
    text_format(first, sizeof first, "%s", folder("env=toy/one preset=fast ppo.epochs=9 env.N=5 seed=4 train.env_steps=1e6"));
    write_file("");
    FILE *out = fopen(file_path, "w");
    assert_int_equal(config_write(&config, out, &err), 0);
    fclose(out);
    uint64_t hash = config_hash(&config);
    text_format(line, sizeof line, "--config %s", file_path);
    assert_string_equal(folder(line), first);
    assert_true(config_hash(&config) == hash);
    unlink(file_path);
}

static void hash_covers_every_stored_key(void **state)
{
    (void)state;
    char name[128], value[CONFIG_TEXT];
    config_defaults(&config);
    const uint64_t before = config_hash(&config);
    for (int k = 0; k < CONFIG_KEYS; k++) {
        config_defaults(&config);
        if (!another_value(k, value, sizeof value)) continue;
        config_full_name(k, name, sizeof name);
        assert_int_equal(config_set(&config, name, value, ORIGIN_FILE, "here", &err), 0);
        bool same = config_hash(&config) == before, stored = !(config_keys[k].flags & NOT_STORED);
        if (same == stored) fail_msg("%s %s the hash", name, same ? "does not change" : "changes");
    }
    config_defaults(&config);
    assert_int_equal(config_set(&config, "env.N", "5", ORIGIN_FILE, "here", &err), 0);
    assert_true(config_hash(&config) != before);
}

static void differences_are_of_explicit_unchangeable_keys(void **state)
{
    (void)state;
    char text[512], small[64];
    build("env=toy/one ppo.clip=0.1 env.N=5");
    other = config;
    build("env=toy/one");
    assert_int_equal(config_differences(&config, &other, &config_continuing, text, sizeof text), 0); /* not given now: comes from the run */
    assert_string_equal(text, "");
    build("env=toy/one train.env_steps=5 threads=3 comm.shards=4 run=x");
    assert_int_equal(config_differences(&config, &other, &config_continuing, text, sizeof text), 0); /* changeable */
    build("env=toy/one ppo.clip=0.10 env.N=5");
    assert_int_equal(config_differences(&config, &other, &config_continuing, text, sizeof text), 0); /* the same */
    build("env=toy/one ppo.clip=0.2 env.N=4 algo=ippo");
    assert_int_equal(config_differences(&config, &other, &config_continuing, text, sizeof text), 3);
    assert_string_equal(text, "algo.name (now ippo, before mappo), ppo.clip (now 0.2, before 0.1), env.N (now 4, before 5)");
    assert_int_equal(config_differences(&config, &other, &config_continuing, small, sizeof small), 3);
    assert_string_equal(small, "algo.name (now ippo, before mappo) and 2 more");
}

static void differences_in_meaning_are_of_flagged_keys_and_options_that_both_know(void **state)
{
    (void)state;
    char text[512];
    build("env=toy/one");
    other = config;
    build("env=toy/one policy.activation=relu adam.lr=1 train.env_steps=7 env.N=5");
    assert_int_equal(config_differences(&config, &other, &config_meaning, text, sizeof text), 2);
    assert_string_equal(text, "policy.activation=tanh (here relu), env.N=3 (here 5)");
    /* An option that came later, and is as it would be anyway. */
    other.env_options--;
    build("env=toy/one");
    assert_int_equal(config_differences(&config, &other, &config_meaning, text, sizeof text), 0);
}

static void environments_are_compared_by_who_they_are(void **state)
{
    (void)state;
    char text[512];
    build("env=toy/one");
    other = config;
    config.origin[KEY_env_name] = ORIGIN_COMMAND_LINE;
    text_format(config.env_name, sizeof config.env_name, "/there/one.so");
    assert_int_equal(config_differences(&config, &other, &config_continuing, text, sizeof text), 0);
    text_format(config.env_id, sizeof config.env_id, "toy/two");
    assert_int_equal(config_differences(&config, &other, &config_continuing, text, sizeof text), 1);
    assert_string_equal(text, "env.name (now toy/two, before toy/one)");
    assert_int_equal(config_differences(&config, &other, &config_everything, text, sizeof text), 1); /* of ranks: the place as well */
    assert_string_equal(text, "env.name=/there/one.so (rank 0: toy/one)");
    config_run_folder(&config, text, sizeof text);
    assert_string_equal(text, "runs/toy-two-mappo-s1");
}

static void ranks_are_compared_in_every_key(void **state)
{
    (void)state;
    char text[512], name[128], value[CONFIG_TEXT];
    for (int k = 0; k < CONFIG_KEYS; k++) {
        config_defaults(&config);
        other = config;
        if (!another_value(k, value, sizeof value)) continue;
        config_full_name(k, name, sizeof name);
        assert_int_equal(config_set(&config, name, value, ORIGIN_FILE, "here", &err), 0);
        assert_int_equal(config_differences(&config, &other, &config_everything, text, sizeof text), 1);
        if (strncmp(text, name, strlen(name)) != 0) fail_msg("%s is called %s", name, text);
    }
}

/* ---- help ---------------------------------------------------------------------------------------------------------------------------- */

static const char *of_maddpg(const char *name)
{
    return strcmp(name, "maddpg") == 0 ? "[adam]\nlr = 0.5\n" : NULL;
}

static char *printed(const char *section, bool markdown)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (markdown)
        config_markdown(out, of_maddpg);
    else
        config_help(out, section, of_maddpg);
    fclose(out);
    return text;
}

static void help_shows_every_key_in_a_hundred_columns(void **state)
{
    (void)state;
    char *all = printed("all", false), *page = printed(NULL, true), name[128];
    for (int k = 0; k < CONFIG_KEYS; k++) {
        config_full_name(k, name, sizeof name);
        char *section = printed(config_keys[k].section, false);
        if (!strstr(all, name) || !strstr(page, name) || !strstr(section, name)) fail_msg("%s is missing in the help", name);
        free(section);
    }
    assert_non_null(strstr(all, "default 0.5 with algo=maddpg\n"));
    assert_non_null(strstr(page, "| `adam.lr` | `7e-4`; `0.5` with algo=maddpg | "));
    assert_non_null(strstr(page, "| `policy.share` | `auto`; `false` with algo=happo, maddpg, ddpg | "));
    for (char *line = strtok(all, "\n"); line; line = strtok(NULL, "\n"))
        if (strlen(line) > 100) fail_msg("longer than 100 columns: %s", line);
    free(all);
    free(page);
    assert_string_equal(config_section("seed"), "train");
    assert_string_equal(config_section("ppo.clip"), "ppo");
    assert_null(config_section("ppoo"));
    assert_string_equal(config_nearest_section("ppoo"), "ppo");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_has_a_default_in_range_help_and_a_section),
        cmocka_unit_test(every_key_keeps_what_it_is_set_to),
        cmocka_unit_test(every_key_refuses_what_is_out_of_range_or_of_another_type),
        cmocka_unit_test(tilde_is_home_in_every_path),
        cmocka_unit_test(too_many_env_options_are_refused),
        cmocka_unit_test(command_line_is_taken_apart),
        cmocka_unit_test(nonsense_counts_on_the_command_line_are_refused),
        cmocka_unit_test(later_sources_replace_earlier_ones),
        cmocka_unit_test(an_algorithm_with_presets_of_its_own_takes_no_others),
        cmocka_unit_test(a_preset_leaves_out_options_that_the_environment_does_not_have),
        cmocka_unit_test(an_unknown_preset_names_those_there_are),
        cmocka_unit_test(a_variant_sets_options_that_later_sources_replace),
        cmocka_unit_test(a_file_may_choose_environment_and_preset_and_the_command_line_overrides_both),
        cmocka_unit_test(unknown_environment_preset_and_option_are_refused),
        cmocka_unit_test(run_folder_is_named_after_what_makes_another_run),
        cmocka_unit_test(sharing_is_decided_by_the_algorithm_and_names_no_other_run),
        cmocka_unit_test(a_variant_and_its_options_are_one_run),
        cmocka_unit_test(config_ini_of_a_run_names_the_same_run),
        cmocka_unit_test(hash_covers_every_stored_key),
        cmocka_unit_test(differences_are_of_explicit_unchangeable_keys),
        cmocka_unit_test(differences_in_meaning_are_of_flagged_keys_and_options_that_both_know),
        cmocka_unit_test(environments_are_compared_by_who_they_are),
        cmocka_unit_test(ranks_are_compared_in_every_key),
        cmocka_unit_test(help_shows_every_key_in_a_hundred_columns),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
