/* Puts the sources of a configuration together, and what follows from the whole: hashes, differences, the run's folder. */
#include "config/config.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"
#include "config/choices.h"
#include "config/config_file.h"
#include "config/suggest.h"

/* ---- one source after the other ------------------------------------------------------------------------------------------------------ */

struct sources {
    const struct arguments *args;
    char *file[ARGS_FILES]; /* texts, read once: a pipe can't be read twice */
};

static int apply_files(struct config *config, const struct sources *sources, struct error *err)
{
    for (int i = 0; i < sources->args->files; i++)
        if (config_load_text(config, sources->file[i], sources->args->file[i], ORIGIN_FILE, err)) return err->code;
    return 0;
}

static int apply_command_line(struct config *config, const struct sources *sources, struct error *err)
{
    for (int i = 0; i < sources->args->assignments; i++) {
        char key[128];
        const char *value = assignment_split(sources->args->assignment[i], key, sizeof key);
        if (config_set(config, key, value, ORIGIN_COMMAND_LINE, "on the command line", err)) return err->code;
    }
    return 0;
}

/* The presets of suite, environment and variant, later ones over earlier ones. An algorithm with a file of its own (envs/presets/<algo>.ini) has
 * it below them, and of them those for it ("mpe/simple_spread.maddpg"); the others share what is said without an algorithm. */
static int apply_tuned_presets(struct config *config, const struct config_env *env, const char *algo, struct error *err)
{
    static const char *const where[] = {"the suite's preset", "the environment's preset", "the variant's preset"};
    const char *own = env->named_preset ? env->named_preset(algo) : NULL;
    char suite[CONFIG_TEXT], name[CONFIG_TEXT + 64];
    text_format(suite, sizeof suite, "%.*s/suite", env->id ? (int)strcspn(env->id, "/") : 0, env->id ? env->id : "");
    const char *const names[] = {suite, env->id, env->variant};
    if (own && config_load_text(config, own, "the algorithm's preset", ORIGIN_ENV_PRESET, err)) return err->code;
    for (int i = 0; i < 3; i++) {
        text_format(name, sizeof name, "%s%s%s", names[i] ? names[i] : "", own ? "." : "", own ? algo : "");
        const char *text = names[i] && env->preset ? env->preset(name) : NULL;
        if (text && config_load_text(config, text, where[i], ORIGIN_ENV_PRESET, err)) return err->code;
    }
    return 0;
}

/* Those that preset= may name: an algorithm's own is read with it. */
static int preset_names(const struct config_env *env, const char **names, int max)
{
    const char *name;
    int count = 0;
    for (int i = 0; env->named_preset_at && count < max && (name = env->named_preset_at(i)); i++)
        if (config_choice(KEY_algo_name, name) < 0) names[count++] = name;
    return count;
}

static int unknown_preset(const char *name, const struct config_env *env, struct error *err)
{
    const char *names[64], *nearest;
    const int count = preset_names(env, names, 64);
    char all[512] = "";
    if (config_choice(KEY_algo_name, name) >= 0)
        return error_set(err, EXIT_USAGE, "unknown preset \"%s\": it is an algorithm, algo=%s", name, name);
    for (int i = 0; i < count; i++) text_format(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", names[i]);
    nearest = text_nearest(name, names, count);
    return error_set(err, EXIT_USAGE, "unknown preset \"%s\"%s%s%s (there are %s: mappo --help preset tells what they are)", name,
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "", all);
}

static int apply_preset(struct config *config, const char *name, const struct config_env *env, struct error *err)
{
    const char *text = env->named_preset && config_choice(KEY_algo_name, name) < 0 ? env->named_preset(name) : NULL;
    char where[CONFIG_TEXT + 16];
    text_format(where, sizeof where, "preset %s", name);
    return text ? config_load_text(config, text, where, ORIGIN_PRESET, err) : unknown_preset(name, env, err);
}

static const char *env_name(const struct config_env *env)
{
    return env->name ? env->name : env->id;
}

/* Environments have upstream's names, so the same thing is called otherwise elsewhere. */
static const char *same_thing(const char *name, const char *const *names, int count)
{
    static const char *const words[] = {"max_steps max_cycles max_episode_steps ep_length episode_length episode_limit steps",
                                        "N n agents n_agents num_agents players n_players num_players"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (int k = 0; k < count && text_lists(words[i], name); k++)
            if (text_lists(words[i], names[k])) return names[k];
    return NULL;
}

/* "; did you mean "env.N"?" */
static void suggest_option(const char *name, const char *const *names, int count, char *text, size_t size)
{
    const char *other = same_thing(name, names, count);
    text_suggestion(text, size, other ? other : name, "env.", other ? &other : names, other ? 1 : count);
}

/* A preset by name is for many environments: what it says of options that this one doesn't have is left out, and kept to be told. */
static void leave_out_options(struct config *config, const struct config_env *env)
{
    int kept = 0;
    for (int i = 0; i < config->env_options; i++) {
        const struct config_option option = config->env_option[i];
        bool known = option.origin != ORIGIN_PRESET;
        for (int j = 0; j < env->options; j++) known |= strcmp(env->option[j].name, option.name) == 0;
        char *list = config->left_out;
        if (known)
            config->env_option[kept++] = option;
        else
            text_format(list + strlen(list), sizeof config->left_out - strlen(list), "%senv.%s=%s", *list ? ", " : "", option.name,
                        option.value);
    }
    config->env_options = kept;
}

/* An option that the environment doesn't have is refused; those that nobody set are filled in, so that the configuration is whole. */
static int complete_env_options(struct config *config, const struct config_env *env, struct error *err)
{
    const char *names[CONFIG_ENV_OPTIONS];
    for (int i = 0; i < env->options; i++) names[i] = env->option[i].name;
    for (int i = 0; i < config->env_options; i++) {
        const struct config_option *option = &config->env_option[i];
        int known = 0;
        for (int j = 0; j < env->options; j++) known |= strcmp(names[j], option->name) == 0;
        if (known) continue;
        char meant[256];
        suggest_option(option->name, names, env->options, meant, sizeof meant);
        return error_set(err, EXIT_USAGE, "environment \"%s\" has no option \"%s\" (env.%s %s%s%s%smappo envs %s lists them)", env->id,
                         option->name, option->name, config_origin_where(option->origin), *meant ? ")" : "; ", meant, *meant ? " (" : "",
                         env_name(env));
    }
    for (int j = 0; j < env->options; j++) {
        char key[96];
        if (config_env_option(config, names[j])) continue;
        text_format(key, sizeof key, "env.%s", names[j]);
        if (config_set(config, key, env->option[j].def, ORIGIN_DEFAULT, "in the environment", err)) return err->code;
    }
    for (int i = 0; i < config->env_options; i++)
        for (int j = 0; j < env->options; j++)
            if (strcmp(names[j], config->env_option[i].name) == 0) config->env_option[i].changeable = env->option[j].changeable;
    return 0;
}

/* One value has one spelling: "0.50" and "0.5" are the same run. */
static void plain_env_options(struct config *config, const struct config_env *env, const char *name)
{
    for (int i = 0; i < config->env_options && env->plain; i++)
        env->plain(name, config->env_option[i].name, config->env_option[i].value, sizeof config->env_option[i].value);
}

static int apply_variant(struct config *config, const struct config_env *env, struct error *err)
{
    for (int i = 0; i < env->sets; i++) {
        char key[96];
        text_format(key, sizeof key, "env.%s", env->set[i].name);
        if (config_set(config, key, env->set[i].value, ORIGIN_VARIANT, "in the variant", err)) return err->code;
    }
    return 0;
}

enum { FEATURE_NORM_AUTO, FEATURE_NORM_ON, FEATURE_NORM_OFF };

bool config_follows_reference(const struct config *config)
{
    const char *id = config->env_id[0] ? config->env_id : config->env_name;
    return strncmp(id, "mpe/", 4) == 0;
}

bool config_feature_norm(const struct config *config)
{
    if (config->policy_feature_norm == FEATURE_NORM_AUTO) return config_follows_reference(config);
    return config->policy_feature_norm == FEATURE_NORM_ON;
}

bool config_policy_share(const struct config *config)
{
    static const bool shares[] = {
#define ALGORITHM(name, shares, help) shares,
#include "config/algorithms.def"
    };
    return config->policy_share == SHARE_AUTO ? shares[config->algo_name] : config->policy_share == SHARE_TRUE;
}

int config_policy_std(const struct config *config)
{
    const bool constant = config->policy_fixed_std > 0, said = constant == (config->policy_std == STD_FIXED);
    if (said || config->origin[KEY_policy_std] >= config->origin[KEY_policy_fixed_std]) return config->policy_std;
    return constant ? STD_FIXED : STD_SHARED;
}

/* A run has one or the other, and keeps it, whatever a later version would choose; asking for auto asks for nothing. Images are convolved as
 * they are: what an environment's preset has of its inputs is not meant for these. */
static void decide_feature_norm(struct config *config)
{
    const int origin = config->origin[KEY_policy_feature_norm];
    if (config->policy_conv[0] && !config_is_explicit(origin)) config->policy_feature_norm = FEATURE_NORM_OFF;
    if (config->policy_feature_norm == FEATURE_NORM_AUTO) config->origin[KEY_policy_feature_norm] = ORIGIN_DEFAULT;
    config->policy_feature_norm = config_feature_norm(config) ? FEATURE_NORM_ON : FEATURE_NORM_OFF;
}

static void decide_policy_share(struct config *config)
{
    if (config->policy_share == SHARE_AUTO) config->origin[KEY_policy_share] = ORIGIN_DEFAULT;
    config->policy_share = config_policy_share(config) ? SHARE_TRUE : SHARE_FALSE;
}

/* Beside a constant policy.std=fixed asks for nothing, so that older runs keep the names of their folders. What one source says against
 * itself stays, to be refused (policies_create). */
void config_decide_std(struct config *config)
{
    config->policy_std = config_policy_std(config);
    if (config->policy_std != STD_FIXED && config->origin[KEY_policy_std] > config->origin[KEY_policy_fixed_std])
        config->policy_fixed_std = 0;
    if (config->policy_std == STD_FIXED && config->policy_fixed_std > 0) config->origin[KEY_policy_std] = ORIGIN_DEFAULT;
}

/* As names of folders have always spelled it: a key that was true or false before it could be auto stays so. */
static void spell_value(const struct config *config, int k, char *text, size_t size)
{
    config_value(config, k, text, size);
    if (strcmp(text, "on") == 0) text_format(text, size, "true");
    if (strcmp(text, "off") == 0) text_format(text, size, "false");
}

/* A hash of what was asked for beyond env, algo and seed: keys and options whose value is not what it would be without asking. */
static uint32_t name_hash(const struct config *config, const struct config *baseline, bool options)
{
    uint64_t hash = HASH_START;
    char key[128], value[CONFIG_TEXT], usual[CONFIG_TEXT], line[CONFIG_TEXT + sizeof key];
    for (int k = 0; k < CONFIG_KEYS; k++) {
        if (!config_is_explicit(config->origin[k]) || config_keys[k].flags & (UNNAMED | NOT_STORED) || k == KEY_env_name ||
            k == KEY_algo_name)
            continue;
        spell_value(config, k, value, sizeof value);
        spell_value(baseline, k, usual, sizeof usual);
        if (strcmp(value, usual) == 0) continue;
        text_format(line, sizeof line, "%s.%s=%s", config_keys[k].section, config_keys[k].name, value);
        hash = hash_text(hash, line);
    }
    const struct config_option *option;
    for (int i = options ? 0 : config->env_options; (option = config_option_at(config, i, key, sizeof key)); i++) {
        const char *before = config_option(baseline, key);
        if (!config_is_explicit(option->origin) || option->changeable || (before && strcmp(before, option->value) == 0)) continue;
        text_format(line, sizeof line, "%s=%s", key, option->value);
        hash = hash_text(hash, line);
    }
    if (hash == HASH_START) return 0;
    uint32_t folded = (uint32_t)(hash ^ hash >> 32);
    return folded ? folded : 1;
}

/* Something was refused before the environment was known. Once more with its options among what may have been meant. */
static int explain(struct config *config, const struct sources *sources, config_find_env *find_env, struct error *err)
{
    struct config_env env = {0};
    struct error ignored = {0};
    config_defaults(config);
    for (int i = 0; i < sources->args->files; i++)
        config_load_text(config, sources->file[i], sources->args->file[i], ORIGIN_FILE, &ignored); /* up to its first mistake */
    for (int i = 0; i < sources->args->assignments; i++) {
        char key[128];
        const char *value = assignment_split(sources->args->assignment[i], key, sizeof key);
        if (config_find(key) == KEY_env_name) config_set(config, key, value, ORIGIN_COMMAND_LINE, "", &ignored);
    }
    char name[CONFIG_TEXT]; /* env.id may be `name` itself */
    text_format(name, sizeof name, "%s", config->env_name);
    if (!find_env || find_env(&env, name, &ignored)) return err->code;
    suggest_options_of(&env);
    config_defaults(config);
    if (!apply_files(config, sources, err)) apply_command_line(config, sources, err);
    suggest_options_of(NULL);
    return err->code;
}

static int build(struct config *config, struct config *baseline, const struct sources *sources, config_find_env *find_env,
                 struct error *err)
{
    /* Which environment and preset: the strongest source decides, before the weaker ones are read. */
    struct config_env env = {0};
    config_defaults(config);
    if (apply_files(config, sources, err) || apply_command_line(config, sources, err)) return explain(config, sources, find_env, err);
    char preset[CONFIG_TEXT], name[CONFIG_TEXT]; /* copies: env.id may be `name` itself, and the configuration is filled anew */
    text_format(preset, sizeof preset, "%s", config->preset_name);
    const bool of_run = sources->args->env_of_run[0] && !config_is_explicit(config->origin[KEY_env_name]);
    text_format(name, sizeof name, "%s", of_run ? sources->args->env_of_run : config->env_name);
    if (find_env && find_env(&env, name, err)) return err->code;
    /* The algorithm, which a preset may name as well. */
    config_defaults(config);
    if (preset[0] && apply_preset(config, preset, &env, err)) return err->code;
    if (apply_files(config, sources, err) || apply_command_line(config, sources, err)) return err->code;
    char algo[64];
    config_value(config, KEY_algo_name, algo, sizeof algo);

    config_defaults(config);
    if (apply_tuned_presets(config, &env, algo, err)) return err->code;
    *baseline = *config;
    text_format(baseline->env_name, sizeof baseline->env_name, "%s", name);
    text_format(baseline->env_id, sizeof baseline->env_id, "%s", env.id ? env.id : "");
    if (find_env && complete_env_options(baseline, &env, err)) return err->code;
    if (apply_variant(config, &env, err)) return err->code;
    if (preset[0] && apply_preset(config, preset, &env, err)) return err->code;
    if (apply_files(config, sources, err) || apply_command_line(config, sources, err)) return err->code;
    if (find_env) {
        leave_out_options(config, &env);
        if (complete_env_options(config, &env, err)) return err->code;
        text_format(config->env_name, sizeof config->env_name, "%s", env_name(&env));
        text_format(config->env_id, sizeof config->env_id, "%s", env.id);
    }
    decide_feature_norm(config);
    decide_feature_norm(baseline);
    baseline->algo_name = config->algo_name;
    decide_policy_share(config);
    decide_policy_share(baseline);
    config_decide_std(config);
    config_decide_std(baseline);
    const int usual = baseline->policy_feature_norm;
    baseline->policy_feature_norm = FEATURE_NORM_ON; /* older versions' default, whatever the environment */
    config->written_hash = name_hash(config, baseline, true);
    baseline->policy_feature_norm = usual;
    plain_env_options(config, &env, name);
    plain_env_options(baseline, &env, name);
    config->name_hash = name_hash(config, baseline, true);
    config->variant_hash = name_hash(config, baseline, false);
    text_format(config->env_asked, sizeof config->env_asked, "%s", env.variant ? env.variant : "");
    const char *variant = env.variant_of ? env.variant_of(config) : NULL;
    text_format(config->env_variant, sizeof config->env_variant, "%s", variant ? variant : "");
    return 0;
}

static int sources_open(struct sources *sources, const struct arguments *args, struct error *err)
{
    *sources = (struct sources){.args = args};
    for (int i = 0; i < args->files; i++)
        if (config_file_read(args->file[i], &sources->file[i], err)) return err->code;
    return 0;
}

static void sources_close(struct sources *sources)
{
    for (int i = 0; i < sources->args->files; i++) free(sources->file[i]);
}

int config_build(struct config *config, const struct arguments *args, config_find_env *find_env, struct error *err)
{
    struct error own = {0};
    if (!err) err = &own;
    struct sources sources;
    struct config *baseline = malloc(sizeof *baseline);
    if (!baseline) die(EXIT_INTERNAL, "out of memory while reading the configuration");
    int code = sources_open(&sources, args, err);
    if (code == 0) code = build(config, baseline, &sources, find_env, err);
    sources_close(&sources);
    free(baseline);
    return code;
}

void config_warn_left_out(const struct config *config)
{
    if (config->left_out[0])
        warn("preset %s: %s left out, as %s has no such option", config->preset_name, config->left_out, config->env_id);
}

int config_apply(struct config *config, const struct arguments *args, struct error *err)
{
    struct error own = {0};
    if (!err) err = &own;
    struct sources sources;
    int code = sources_open(&sources, args, err);
    struct config_env env = {.id = config->env_name, .options = config->env_options};
    for (int i = 0; i < env.options; i++) env.option[i].name = config->env_option[i].name;
    suggest_options_of(&env);
    if (code == 0) code = apply_files(config, &sources, err);
    if (code == 0) code = apply_command_line(config, &sources, err);
    if (code == 0) config_decide_std(config);
    suggest_options_of(NULL);
    sources_close(&sources);
    return code;
}

/* ---- of the whole -------------------------------------------------------------------------------------------------------------------- */

uint64_t config_hash(const struct config *config)
{
    uint64_t hash = HASH_START;
    char key[128], value[CONFIG_TEXT];
    for (int k = 0; k < CONFIG_KEYS; k++) {
        if (config_keys[k].flags & NOT_STORED) continue;
        config_value(config, k, value, sizeof value);
        hash = hash_text(hash_text(hash_text(hash, config_keys[k].section), config_keys[k].name), value);
    }
    const struct config_option *option;
    for (int i = 0; (option = config_option_at(config, i, key, sizeof key)); i++) hash = hash_text(hash_text(hash, key), option->value);
    return hash;
}

/* "mpe/simple_spread" → "mpe-simple_spread"; a plugin's path loses what a file name had better not hold. */
static void default_folder(const struct config *config, const char *env, uint32_t name_hash, char *path, size_t size)
{
    char plain_env[CONFIG_TEXT], algo[64], hash[16] = "";
    size_t n = 0;
    for (const char *c = env; *c && n + 1 < sizeof plain_env; c++) {
        bool plain = isalnum((unsigned char)*c) || *c == '_' || (n > 0 && (*c == '.' || *c == '-'));
        if (plain)
            plain_env[n++] = *c;
        else if (n > 0 && plain_env[n - 1] != '-')
            plain_env[n++] = '-';
    }
    plain_env[n] = '\0';
    config_value(config, KEY_algo_name, algo, sizeof algo);
    if (name_hash) text_format(hash, sizeof hash, "-%08x", (unsigned)name_hash);
    text_format(path, size, "runs/%s-%s-s%lld%s", plain_env, algo, (long long)config->train_seed, hash);
}

void config_run_folder(const struct config *config, char *path, size_t size)
{
    if (config->run_dir[0]) {
        text_format(path, size, "%s", config->run_dir);
        return;
    }
    const char *id = config->env_id[0] ? config->env_id : config->env_name;
    if (config->env_variant[0])
        default_folder(config, config->env_variant, config->variant_hash, path, size);
    else
        default_folder(config, id, config->name_hash, path, size);
    /* A run that began before the variant had a name is named by its options. Version 0.1 named a plugin's run after its path, and told
     * spellings of an option apart. Such a run goes on where it is. */
    const char *const env[] = {id, config->env_name};
    char older[CONFIG_TEXT + 64];
    for (int i = 0; i < 4 && !file_exists(path); i++) {
        default_folder(config, env[i / 2], i % 2 ? config->written_hash : config->name_hash, older, sizeof older);
        if (file_exists(older)) text_format(path, size, "%s", older);
    }
}

bool config_older_folder(const struct config *config, char *path, size_t size)
{
    char tail[CONFIG_TEXT + 64];
    const char *slash = strrchr(config->env_name, '/');
    if (config->run_dir[0] || !slash || strcmp(config->env_name, config->env_id) == 0) return false;
    default_folder(config, slash + 1, config->written_hash, tail, sizeof tail);
    const char *end = strchr(tail, '/') + 1;
    DIR *dir = opendir("runs");
    bool found = false;
    for (const struct dirent *entry; dir && !found && (entry = readdir(dir)) != NULL;) {
        const size_t length = strlen(entry->d_name), wanted = strlen(end);
        found = length > wanted && entry->d_name[length - wanted - 1] == '-' && strcmp(entry->d_name + length - wanted, end) == 0 &&
                text_format(path, size, "runs/%s", entry->d_name);
    }
    if (dir) closedir(dir);
    return found;
}
