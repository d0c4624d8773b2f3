/* Names, presets, options and plugins: what is found, and what is said where something isn't. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <math.h>
#include <glob.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "config/config.h"
#include "env/plugin.h"
#include "env/options.h"
#include "env/registry.h"
#include "env/spec.h"
#include "env_refusals.h"

static void upstream_names_lead_to_the_environment(void **state)
{
    (void)state;
    static const char *const names[] = {"mpe/simple_spread", "simple_spread", "simple_spread_v3", "MPE_simple_spread_v3",
                                        "mpe/simple_spread_v3"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const struct mappo_env *env;
        assert_int_equal(registry_find(names[k], &env, NULL), 0);
        assert_string_equal(env->id, "mpe/simple_spread");
    }
}

static void a_line_of_the_list_is_the_id_in_its_file(void **state)
{
    (void)state;
    static const char *const listed[] = {
#define ENV(suite, name, kernels)              #suite "/" #name,
#define ENV_CALLED(suite, file, name, kernels) #suite "/" name,
#include "envs/envs.def"
    };
    for (int i = 0; i < registry_count(); i++)
        if (strcmp(registry_at(i)->id, listed[i]) != 0)
            fail_msg("envs/envs.def lists %s, whose file says .id = \"%s\"", listed[i], registry_at(i)->id);
}

static void no_name_stands_for_two_environments(void **state)
{
    (void)state;
    for (int i = 0; i < registry_count(); i++) {
        const struct mappo_env *env = registry_at(i), *found;
        assert_int_equal(env->struct_size, sizeof *env);
        assert_true(strchr(env->id, '/') && env->summary && env->source && env->version > 0);
        assert_int_equal(registry_find(env->id, &found, NULL), 0);
        assert_ptr_equal(found, env);
        for (const char *const *alias = env->alias; alias && *alias; alias++) {
            assert_int_equal(registry_find(*alias, &found, NULL), 0);
            assert_ptr_equal(found, env);
        }
    }
    assert_null(registry_at(registry_count()));
    const struct env_variant *variant;
    for (int i = 0; (variant = registry_variant_at(i)); i++) {
        const struct mappo_env *base, *found;
        assert_int_equal(registry_find(variant->base, &base, NULL), 0);
        assert_string_equal(base->id, variant->base); /* not an alias: variants are grouped below it */
        assert_true(strchr(variant->name, '/') && variant->options > 0);
        assert_ptr_equal(registry_variant(variant->name), variant);
        assert_int_equal(registry_find(variant->name, &found, NULL), 0);
        assert_ptr_equal(found, base);
        for (const char *const *alias = variant->alias; alias && *alias; alias++) assert_ptr_equal(registry_variant(*alias), variant);
        for (int k = 0; k < registry_count(); k++) assert_string_not_equal(registry_at(k)->id, variant->name);
        assert_null(registry_variant(base->id));
    }
}

/* A variant that its environment doesn't take, or two that are the same, would be found by nobody else. */
static void every_variant_is_one_of_its_environment(void **state)
{
    (void)state;
    const struct env_variant *variant;
    assert_non_null(registry_variant_at(0));
    for (int i = 0; (variant = registry_variant_at(i)); i++) {
        const struct vecenv_config config = {.name = variant->name, .envs = 1, .stream = PHILOX_ENVIRONMENT};
        struct vecenv *env;
        struct error err = {0};
        if (vecenv_open(&env, &config, &err)) fail_msg("%s: %s", variant->name, err.text);
        assert_string_equal(vecenv_descriptor(env)->id, variant->base);
        assert_ptr_equal(registry_variant_of(vecenv_descriptor(env), variant->option, variant->options), variant);
        vecenv_close(env);
    }
    assert_null(registry_variant_at(-1));
}

static void what_has_kernels_is_known_without_a_device(void **state)
{
    (void)state;
    static const char *const kernels_of[] = {
#define ENV(suite, file, kernels) "envs/" #suite "/" #file ".cu",
#include "envs/envs.def"
    };
    int with = 0;
    for (int i = 0; registry_at(i); i++) {
        assert_int_equal(registry_has_kernels(i), file_exists(kernels_of[i]));
        with += registry_has_kernels(i);
    }
    assert_true(with > 0 && with < registry_count());
    assert_false(registry_has_kernels(-1) || registry_has_kernels(registry_count()));
}

static void a_variant_is_its_base_with_options(void **state)
{
    (void)state;
    static const struct env_option base[] = {{"longest", "08"}, {"scene", "single"}}, more[] = {{"longest", "9"}, {"shortest", "2"}};
    struct vecenv_config config = {.name = "test/single", .envs = 1, .stream = PHILOX_ENVIRONMENT};
    struct vecenv *variant, *same;
    assert_int_equal(vecenv_open(&variant, &config, NULL), 0);
    assert_string_equal(vecenv_options_changed(variant), "scene=single longest=8");
    config = (struct vecenv_config){.name = "test/kitchen_sink", .option = base, .options = 2, .envs = 1, .stream = PHILOX_ENVIRONMENT};
    assert_int_equal(vecenv_open(&same, &config, NULL), 0);
    assert_true(vecenv_identity(variant) == vecenv_identity(same) && vecenv_hash(variant) == vecenv_hash(same));
    assert_string_equal(vecenv_options(variant), vecenv_options(same));
    vecenv_close(same);
    vecenv_close(variant);
    /* What was given wins. */
    config = (struct vecenv_config){.name = "sink_single", .option = more, .options = 2, .envs = 1, .stream = PHILOX_ENVIRONMENT};
    assert_int_equal(vecenv_open(&variant, &config, NULL), 0);
    assert_string_equal(vecenv_options_changed(variant), "scene=single shortest=2 longest=9");
    const struct mappo_env *sink = vecenv_descriptor(variant);
    vecenv_close(variant);
    assert_string_equal(registry_variant_of(sink, base, 2)->name, "test/single");
    assert_null(registry_variant_of(sink, base, 1));
    assert_null(registry_variant_of(sink, more, 2));
    assert_null(registry_variant_of(sink, NULL, 0));
}

static void unknown_environment_names_the_nearest(void **state)
{
    (void)state;
    struct error err = {0};
    const struct mappo_env *env;
    assert_int_equal(registry_find("mpe/simple_spred", &env, &err), EXIT_USAGE);
    assert_null(env);
    assert_says(&err, "unknown environment \"mpe/simple_spred\"; did you mean \"mpe/simple_spread\"?");
    assert_int_equal(registry_find("quite something else", &env, &err), EXIT_USAGE);
    assert_null(strstr(err.text, "did you mean"));
    /* Those of tests are not listed, but can be named. */
    assert_int_equal(registry_find("test/singel", &env, &err), EXIT_USAGE);
    assert_says(&err, "did you mean \"test/single\"?");
    assert_int_equal(registry_find("sink_singel", &env, &err), EXIT_USAGE);
    assert_null(strstr(err.text, "did you mean"));
    /* A suite that is one environment is that; of another some are named. */
    assert_int_equal(registry_find("rware", &env, &err), 0);
    assert_string_equal(env->id, "rware/warehouse");
    assert_int_equal(registry_find("lbf", &env, &err), 0);
    assert_int_equal(registry_find("matrix", &env, &err), EXIT_USAGE);
    assert_says(&err, "unknown environment \"matrix\"; it is a suite of environments: matrix/climbing, matrix/penalty");
    assert_int_equal(registry_find("test", &env, &err), EXIT_USAGE);
    assert_null(strstr(err.text, "test/"));
}

/* Each file of envs that is a preset must be compiled in, letter for letter. */
static void every_preset_file_is_compiled_in(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob("envs/*/*.ini", 0, NULL, &found), 0);
    for (size_t k = 0; k < found.gl_pathc; k++) {
        char name[128], *text;
        size_t size;
        struct error err = {0};
        text_format(name, sizeof name, "%s", found.gl_pathv[k] + strlen("envs/"));
        name[strlen(name) - strlen(".ini")] = 0;
        assert_int_equal(file_read(found.gl_pathv[k], 1 << 20, &text, &size, &err), 0);
        const char *compiled = strncmp(name, "presets/", 8) == 0 ? registry_named_preset(name + 8) : registry_preset(name);
        if (!compiled) fail_msg("%s is not compiled in", found.gl_pathv[k]);
        assert_string_equal(compiled, text);
        free(text);
    }
    assert_true(found.gl_pathc >= 2);
    globfree(&found);
    assert_null(registry_preset("test/busy"));
    assert_null(registry_suite_preset("test/busy"));
    assert_non_null(registry_suite_preset("matrix/penalty"));
    assert_ptr_equal(registry_suite_preset("matrix/penalty"), registry_suite_preset("matrix/climbing"));
    assert_null(registry_preset(""));
    assert_null(registry_named_preset("no such preset"));
    int names = 0;
    while (registry_named_preset_at(names)) assert_non_null(registry_named_preset(registry_named_preset_at(names++)));
    assert_true(names >= 1);
}

/* Nothing of an environment's preset may show through one that stands for another program's learner. */
static void a_preset_by_name_sets_every_key_of_a_learner(void **state)
{
    (void)state;
    static const char sections[] = "rollout wrap policy critic ppo gae norm adam";
    static struct config config;
    for (int i = 0; registry_named_preset_at(i); i++) {
        const char *name = registry_named_preset_at(i);
        struct error err = {0};
        if (config_choice(KEY_algo_name, name) >= 0) continue;
        config_defaults(&config);
        if (config_load_text(&config, registry_named_preset(name), name, ORIGIN_PRESET, &err)) fail_msg("%s", err.text);
        for (int k = 0; k < config_key_count; k++)
            if (text_lists(sections, config_keys[k].section) && config.origin[k] != ORIGIN_PRESET)
                fail_msg("envs/presets/%s.ini doesn't set %s.%s", name, config_keys[k].section, config_keys[k].name);
    }
}

/* ---- plugins ---------------------------------------------------------------------------------------------- */

static char folder[256];

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    text_format(folder, sizeof folder, "%s/mappo-plugins.XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char pattern[300];
    glob_t found;
    text_format(pattern, sizeof pattern, "%s/*", folder);
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t k = 0; k < found.gl_pathc; k++) unlink(found.gl_pathv[k]);
    globfree(&found);
    return rmdir(folder);
}

/* A copy of a plugin under another name, so that each is loaded by itself. */
static const char *copy_of(const char *plugin, const char *as, mode_t mode)
{
    static char path[512];
    char source[512], *bytes;
    size_t size;
    struct error err = {0};
    const char *build = getenv("BUILD");
    text_format(source, sizeof source, "%s/tests/%s.so", build ? build : "build", plugin);
    text_format(path, sizeof path, "%s/%s", folder, as);
    if (file_read(source, 1 << 26, &bytes, &size, &err)) fail_msg("%s (make tests)", err.text);
    const struct file_part part = {bytes, size};
    assert_int_equal(file_replace(path, &part, 1, &err), 0);
    free(bytes);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static void refused(const char *path, int code, const char *text)
{
    struct error err = {0};
    const struct mappo_env *env;
    assert_int_equal(registry_find(path, &env, &err), code);
    assert_null(env);
    assert_says(&err, text);
}

static void template_plays_from_its_shared_object(void **state)
{
    (void)state;
    const struct env_option option[] = {{"N", "2"}};
    const struct vecenv_config config = {.name = copy_of("meeting", "meeting.so", 0644),
                                         .option = option,
                                         .options = 1,
                                         .envs = 64,
                                         .stream = PHILOX_ENVIRONMENT,
                                         .threads = 2,
                                         .horizon = 40};
    struct env_batch b;
    static struct episode episode[64 * 40];
    if (batch_open(&b, &config)) fail_msg("%s", b.err.text);
    assert_string_equal(vecenv_descriptor(b.env)->id, "template/meeting");
    for (int t = 0; t < 40; t++) {
        for (int i = 0; i < 128; i++) { /* towards the other */
            const float other = b.io.group[0].obs[3 * i + 1];
            b.act_int[0][i] = other > 0 ? 2 : other < 0 && i % 2 == 0 ? 0 : 1;
        }
        assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
    }
    int met = 0;
    const int episodes = vecenv_take_episodes(b.env, episode, 64 * 40);
    for (int k = 0; k < episodes; k++) met += episode[k].end == MAPPO_TERMINATED;
    assert_true(episodes >= 128 && met > episodes * 3 / 4);
    unsigned char *saved = malloc(vecenv_snapshot_bytes(b.env));
    assert_int_equal(vecenv_snapshot(b.env, 3, 4, saved, &b.err), 0);
    assert_int_equal(vecenv_restore(b.env, 3, 4, saved, &b.err), 0);
    free(saved);
    const struct mappo_env *again;
    assert_int_equal(registry_find(config.name, &again, NULL), 0);
    assert_ptr_equal(again, vecenv_descriptor(b.env)); /* loaded once */
    assert_int_equal(strlen(plugin_digest(again)), 64);
    assert_null(plugin_digest(registry_at(0)));
    batch_close(&b);
}

static void kernels_of_a_plugin_are_found_by_their_symbol(void **state)
{
    (void)state;
    const struct mappo_env *with, *without;
    struct error err = {0};
    if (registry_find(copy_of("plugin_with_kernels", "kernels.so", 0600), &with, &err)) fail_msg("%s", err.text);
    if (registry_find(copy_of("meeting", "none.so", 0600), &without, &err)) fail_msg("%s", err.text);
    const struct mappo_kernels *kernels = plugin_kernels(with);
    assert_non_null(kernels);
    assert_int_equal(kernels->reset(NULL, NULL, 0, NULL, NULL), 1);
    assert_null(plugin_kernels(without));
}

static void see_text(void *self, double x, double y, double height, const char *text, uint32_t fill)
{
    (void)x, (void)y, (void)height, (void)fill;
    text_format(self, 80, "%s", text);
}

/* What was given need not outlive the call that opens: the environment's own text does, until the instance is closed. */
static void a_text_lives_as_long_as_the_instance(void **state)
{
    (void)state;
    char given[] = "what a user said", seen[80] = "";
    const struct env_option option = {"said", given};
    const struct vecenv_config config = {.name = copy_of("plugin_with_text", "said.so", 0600), .option = &option, .options = 1, .envs = 1};
    const struct mappo_canvas canvas = {.self = seen, .text = see_text};
    struct vecenv *env;
    struct error err = {0};
    if (vecenv_open(&env, &config, &err)) fail_msg("%s", err.text);
    memset(given, '?', strlen(given));
    assert_int_equal(vecenv_draw(env, 0, &canvas, &err), 0);
    assert_string_equal(seen, "what a user said");
    assert_string_equal(vecenv_options_changed(env), "said='what a user said'");
    vecenv_close(env);
}

static void plugins_that_others_could_have_written_are_refused(void **state)
{
    (void)state;
    refused(copy_of("meeting", "everyone.so", 0646), EXIT_ENVIRONMENT, "everyone may write to the file");
    assert_int_equal(chmod(folder, 0703), 0);
    refused(copy_of("meeting", "in_open_folder.so", 0600), EXIT_ENVIRONMENT, "everyone may write to the folder");
    assert_int_equal(chmod(folder, 0700), 0);
    if (geteuid() == 0) { /* only root can give files away */
        const char *path = copy_of("meeting", "strangers.so", 0644);
        assert_int_equal(chown(path, 12345, 12345), 0);
        refused(path, EXIT_ENVIRONMENT, "belongs to another user (uid 12345)");
    }
}

static void plugins_writable_by_the_group_are_opened_with_a_warning(void **state)
{
    (void)state;
    const char *path = copy_of("meeting", "group.so", 0664);
    const struct mappo_env *env;
    struct error err = {0};
    FILE *caught = tmpfile();
    char text[512] = "";
    fflush(stderr);
    const int saved = dup(2);
    dup2(fileno(caught), 2);
    const int rc = registry_find(path, &env, &err);
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    rewind(caught);
    assert_true(fread(text, 1, sizeof text - 1, caught) > 0);
    fclose(caught);
    assert_int_equal(rc, 0);
    assert_non_null(strstr(text, "the group may write to the file"));
}

static void what_is_no_plugin_is_said_plainly(void **state)
{
    (void)state;
    char path[512];
    refused("meeting.so", EXIT_USAGE, "unknown environment \"meeting.so\""); /* without a slash it is a name */
    text_format(path, sizeof path, "%s/not_there.so", folder);
    refused(path, EXIT_USAGE, strerror(ENOENT));
    text_format(path, sizeof path, "%s/folder.so", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    refused(path, EXIT_ENVIRONMENT, "is not a regular file");
    assert_int_equal(rmdir(path), 0);
    text_format(path, sizeof path, "%s/text.so", folder);
    FILE *out = fopen(path, "w");
    fputs("not an object\n", out);
    fclose(out);
    refused(path, EXIT_ENVIRONMENT, "text.so");
    refused(copy_of("plugin_without_symbols", "nothing.so", 0600), EXIT_ENVIRONMENT, "no data symbol mappo_env_abi");
    refused(copy_of("plugin_of_another_abi", "old.so", 0600), EXIT_ENVIRONMENT, "built for ABI 99, this program has 2; compile it again");
    refused(copy_of("plugin_without_step", "no_step.so", 0600), EXIT_ENVIRONMENT, "the descriptor has no step");
    refused(copy_of("plugin_with_half_kernels", "half.so", 0600), EXIT_ENVIRONMENT,
            "mappo_env_plugin_kernels lacks reset, observe or step");
}

static void specs_and_results_outside_the_interface_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"kind", "observation head 0 has an unknown kind"},
                                           {"heads", "0 observation and 1 action heads"},
                                           {"groups", "its spec is not one of ABI 2"},
                                           {"choices", "action head 0 has n < 1"},
                                           {"no_n", "action head 0 has no n"},
                                           {"meaning", "action head 0 has meanings but no meaning"},
                                           {"info", "infos is 3, but info is NULL"}};
    char path[512];
    text_format(path, sizeof path, "%s", copy_of("plugin_with_nonsense", "nonsense.so", 0600));
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct error err = {0};
        assert_int_equal(open_with(path, "wrong", cases[k][0], &err), EXIT_ENVIRONMENT);
        assert_says(&err, cases[k][1]);
    }
    const struct env_option option[] = {{"wrong", "ep_end"}};
    const struct vecenv_config config = {
        .name = path, .option = option, .options = 1, .envs = 2, .first_env = 10, .stream = PHILOX_ENVIRONMENT};
    struct env_batch b;
    assert_int_equal(batch_open(&b, &config), 0);
    assert_int_equal(vecenv_step(b.env, &b.io, &b.err), EXIT_ENVIRONMENT);
    assert_says(&b.err, "environment \"test/nonsense\": number 10: it wrote ep_end = 7");
    /* without observe and snapshot: episodes restart, and that is no error */
    assert_int_equal(vecenv_snapshot_bytes(b.env), 0);
    assert_int_equal(vecenv_observe(b.env, &b.io, &b.err), 0);
    assert_int_equal(vecenv_script(b.env, 0, b.envs, &b.io, &b.err), EXIT_USAGE);
    batch_close(&b);
    /* Rules may be left out, and are called something then: they stand beside every return. */
    const struct env_option unnamed[] = {{"wrong", "rules"}};
    struct vecenv *env;
    assert_int_equal(vecenv_open(&env, &(struct vecenv_config){.name = path, .option = unnamed, .options = 1, .envs = 1}, NULL), 0);
    assert_string_equal(vecenv_spec(env)->rules, "default");
    vecenv_close(env);
}

static const int32_t three[] = {3, 3}, huge[] = {1 << 24, 1 << 24}, last[] = {INT32_MAX, 0};
static const float low[] = {0, 2}, high[] = {1, 1}, nans[] = {NAN, 0};
static const char *const teams[] = {"allies", "allies", "the/enemies"};
static const struct mappo_info columns[] = {{"a", NULL, NULL, 0}, {"a", NULL, NULL, 0}, {NULL, NULL, NULL, 0}, {"x/y", NULL, NULL, 0}};

/* A sound spec of one group, for one thing to be made wrong. */
static struct mappo_env_spec sound_spec(void)
{
    struct mappo_env_spec spec = {.struct_size = sizeof spec, .groups = 1};
    spec.group[0] = (struct mappo_group){.name = "agent", .agents = 2, .obs_heads = 1, .act_heads = 1};
    spec.group[0].obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = 2};
    spec.group[0].act[0] = (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = three};
    spec.group[1] = spec.group[0];
    return spec;
}

static void wrong_spec(const struct mappo_env_spec *spec, const char *says)
{
    static const struct mappo_env env = {.id = "test/spec"};
    struct error err = {0};
    const int code = spec_check(&env, spec, &err);
    if (!says) {
        if (code) fail_msg("%s", err.text);
        return;
    }
    if (!code) fail_msg("taken, although \"%s\"", says);
    assert_int_equal(code, EXIT_ENVIRONMENT);
    assert_says(&err, "environment \"test/spec\"");
    assert_says(&err, says);
}

static void every_part_of_a_spec_is_checked(void **state)
{
    (void)state;
    struct mappo_env_spec spec = sound_spec();
    wrong_spec(&spec, NULL);
#define WRONG(says, ...)                                                                                                                   \
    spec = sound_spec();                                                                                                                   \
    __VA_ARGS__;                                                                                                                           \
    wrong_spec(&spec, says)
    WRONG("group 0 needs a name", spec.group[0].name = NULL);
    WRONG("group 0 needs a name", spec.group[0].name = "");
    WRONG("has a name with a slash", spec.group[0].name = "red/blue");
    WRONG("has a name with a slash, quote or control character", spec.group[0].name = "a\nb");
    WRONG("groups 0 and 1 have the same name \"agent\"", spec.groups = 2);
    WRONG("has 0 agents", spec.group[0].agents = 0);
    WRONG("has 2000000000 agents", spec.group[0].agents = 2000000000);
    WRONG("is of team -1", spec.group[0].team = -1);
    WRONG("5 observation and 1 action heads", spec.group[0].obs_heads = 5);
    WRONG("observation head 0 has a size below 1", spec.group[0].obs[0].size = 0);
    WRONG("observation head 0 has a size below 1", spec.group[0].obs[0].size = -1);
    WRONG("observation head 0 has a size above", spec.group[0].obs[0].size = INT32_MAX);
    WRONG("observation head 0 has a shape (height, width, channels) of another size than its own", spec.group[0].obs[0].shape[0] = 1);
    WRONG("observation head 0 has a lower bound above its upper one", spec.group[0].obs[0].low = low, spec.group[0].obs[0].high = high);
    WRONG("observation head 0 has a bound that is not a number", spec.group[0].obs[0].low = nans);
    WRONG("observation head 0 has meanings but no meaning", spec.group[0].obs[0].meanings = 2);
    WRONG("observation head 0 has meanings but no meaning", spec.group[0].obs[0].meanings = -1);
    WRONG("action head 0 has no n", spec.group[0].act[0].n = NULL);
    WRONG("action head 0 is Discrete, so its size must be 1", spec.group[0].act[0].size = 3);
    WRONG("action head 0 has a start beyond 32 bits", spec.group[0].act[0].start = last);
    WRONG("action head 0 has more choices than",
          spec.group[0].act[0] = (struct mappo_space){.kind = MAPPO_MULTI_DISCRETE, .size = 2, .n = huge});
    WRONG("has more than 2147483647 numbers of observation", spec.group[0].agents = 1 << 20, spec.group[0].obs[0].size = 1 << 11);
    WRONG("has more than 2147483647 numbers of observation", spec.group[0].agents = 1 << 20, spec.group[0].act[0].size = 1 << 11,
          spec.group[0].act[0].kind = MAPPO_MULTI_BINARY);
    WRONG("has more than 2147483647 numbers of observation, action or state", spec.group[0].agents = 1 << 20,
          spec.group[0].state_size = 1 << 11, spec.group[0].flags = MAPPO_STATE_PER_AGENT);
    WRONG("state_size goes with MAPPO_STATE_PER_AGENT", spec.group[0].state_size = 3);
    WRONG("state_size goes with MAPPO_STATE_PER_AGENT", spec.group[0].state_size = -3);
    WRONG("state_is_all_obs, but state_size is 3 and all observations are 4", spec.state_is_all_obs = 1, spec.state_size = 3);
    WRONG("max_steps is -1; 0 (no limit) or more", spec.max_steps = -1);
    WRONG("state_size is -4; 0 (it has none) to", spec.state_size = -4);
    WRONG("state_size is 2000000000; 0 (it has none) to", spec.state_size = 2000000000);
    WRONG("rules of its spec has a line break or another control character", spec.rules = "a\nb");
    WRONG("return_help of its spec has a line break or another control character", spec.return_help = "\033[2J");
    WRONG("infos is -1; 0..4096", spec.infos = -1);
    WRONG("infos is 1000000; 0..4096", spec.infos = 1000000, spec.info = columns); /* none of them is looked at */
    WRONG("snapshot_bytes is 18446744073709551608; at most", spec.snapshot_bytes = (size_t)-8);
    WRONG("its spec is not one of ABI 2", spec.struct_size = 8);
    WRONG("infos is 1, but info is NULL", spec.infos = 1);
    WRONG("info columns 0 and 1 have the same name \"a\"", spec.infos = 2, spec.info = columns);
    WRONG("info column 0 needs a name", spec.infos = 1, spec.info = columns + 2);
    WRONG("info column 0 has a name with a slash", spec.infos = 1, spec.info = columns + 3);
    WRONG("snapshot_bytes without snapshot, restore and observe", spec.snapshot_bytes = 8);
    WRONG("1 names of teams; none, or 2 to 8, one a team", spec.group[0].team = 1, spec.teams = 1, spec.team_name = teams);
    WRONG("2 names of teams; none, or 1 to 8, one a team", spec.teams = 2);
    WRONG("9 names of teams; none, or 1 to 8, one a team", spec.teams = 9, spec.team_name = teams); /* none of them is looked at */
    WRONG("teams 0 and 1 have the same name \"allies\"", spec.teams = 2, spec.team_name = teams);
    WRONG("team 1 has a name with a slash", spec.teams = 2, spec.team_name = teams + 1);
#undef WRONG
    wrong_spec(NULL, "its spec is not one of ABI 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upstream_names_lead_to_the_environment),
        cmocka_unit_test(a_line_of_the_list_is_the_id_in_its_file),
        cmocka_unit_test(no_name_stands_for_two_environments),
        cmocka_unit_test(every_variant_is_one_of_its_environment),
        cmocka_unit_test(a_variant_is_its_base_with_options),
        cmocka_unit_test(what_has_kernels_is_known_without_a_device),
        cmocka_unit_test(unknown_environment_names_the_nearest),
        cmocka_unit_test(every_preset_file_is_compiled_in),
        cmocka_unit_test(a_preset_by_name_sets_every_key_of_a_learner),
        cmocka_unit_test(template_plays_from_its_shared_object),
        cmocka_unit_test(kernels_of_a_plugin_are_found_by_their_symbol),
        cmocka_unit_test(a_text_lives_as_long_as_the_instance),
        cmocka_unit_test(plugins_that_others_could_have_written_are_refused),
        cmocka_unit_test(plugins_writable_by_the_group_are_opened_with_a_warning),
        cmocka_unit_test(what_is_no_plugin_is_said_plainly),
        cmocka_unit_test(specs_and_results_outside_the_interface_are_refused),
        cmocka_unit_test(every_part_of_a_spec_is_checked),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
