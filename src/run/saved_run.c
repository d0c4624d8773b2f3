#include "run/saved_run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "env/options.h"
#include "env/plugin.h"
#include "env/registry.h"
#include "run/open_env.h"

/* ---- which file ---------------------------------------------------------------------------------------------------------------------- */

/* Where a file stands in the order of trying: a name that promises more than the header says counts until the file was read. */
static int64_t place_of(const struct checkpoint_name *name)
{
    return name->named > name->env_steps ? name->named : name->env_steps;
}

/* The next to be tried; NULL where none is left. Those that were tried have no name any more. */
static struct checkpoint_name *highest(const struct saved_run_names *list)
{
    struct checkpoint_name *best = NULL;
    for (int i = 0; i < list->count; i++)
        if (list->name[i].name[0] && (!best || place_of(&list->name[i]) > place_of(best))) best = &list->name[i];
    return best;
}

/* False for a file that holds less than its name says: it is tried again at the place of its own steps. */
static bool holds_what_it_says(struct checkpoint_name *name, int64_t steps, const char *path)
{
    const int64_t named = name->named, place = place_of(name);
    if (named != steps)
        warn("%s holds %lld env-steps, not %lld as its name says: it is taken for what it holds", path, (long long)steps, (long long)named);
    name->named = name->env_steps = steps;
    return steps >= place;
}

static int try_in_turn(struct saved_run_names *list, const char *folder, struct checkpoint **file, char *path, size_t size,
                       struct saved_run_names *damaged, struct error *err)
{
    for (struct checkpoint_name *name, *next; (name = highest(list)) != NULL;) {
        struct error bad = {0};
        text_format(path, size, "%s/%s", folder, name->name);
        if (!checkpoint_open(file, path, &bad)) {
            if (holds_what_it_says(name, checkpoint_env_steps(*file), path)) return 0;
            checkpoint_close(*file);
            continue;
        }
        *file = NULL;
        if (damaged) damaged->name[damaged->count++] = *name;
        name->name[0] = '\0';
        if ((next = highest(list)))
            warn("%s; falling back to %s/%s", bad.text, folder, next->name);
        else
            return error_set(err, EXIT_CHECKPOINT,
                             "%s; no checkpoint in %s is whole: put a good one back, or start again with --fresh (moves the folder aside)",
                             bad.text, folder);
    }
    return 0;
}

int saved_run_newest(const char *folder, struct checkpoint **file, char *path, size_t size, struct saved_run_names *damaged,
                     struct error *err)
{
    struct saved_run_names list;
    *file = NULL;
    list.count = checkpoint_list(folder, &list.name);
    if (damaged) {
        *damaged = (struct saved_run_names){calloc((size_t)list.count + 1, sizeof *damaged->name), 0};
        CHECK(damaged->name, "out of memory while listing checkpoints");
    }
    const int code = try_in_turn(&list, folder, file, path, size, damaged, err);
    free(list.name);
    return code;
}

int saved_run_best(const char *folder, const struct checkpoint *newest, struct checkpoint_name *best, struct error *err)
{
    int64_t steps = -1;
    struct field_list fields = {0};
    struct checkpoint_name *list;
    field_add(&fields, "/counters/best_env_steps", FIELD_INT64, &steps, "", "", 0);
    int code = checkpoint_read(newest, &fields, err);
    free(fields.field);
    if (code) return code;
    if (steps < 0)
        return error_set(err, EXIT_CHECKPOINT, "%s: there is no best checkpoint yet (which=latest, or train with eval.env_steps)", folder);
    code = error_set(err, EXIT_CHECKPOINT, "%s: the best checkpoint, of %lld env-steps, is not there any more (which=latest)", folder,
                     (long long)steps);
    const int count = checkpoint_list(folder, &list);
    for (int i = 0; i < count && code; i++)
        if (list[i].env_steps == steps) *best = list[i], code = 0;
    free(list);
    if (!code && err) *err = (struct error){0};
    return code;
}

int saved_run_open(const char *run_or_file, bool best, struct checkpoint **file, char *path, size_t size, struct error *err)
{
    struct stat there;
    char target[256];
    *file = NULL;
    if (file_dangles(run_or_file, target, sizeof target))
        return error_set(err, EXIT_CHECKPOINT, "%s: is a link to %s, which is not there any more", run_or_file, target);
    if (stat(run_or_file, &there) != 0) return error_set(err, EXIT_CHECKPOINT, "%s: no such run or checkpoint", run_or_file);
    if (!S_ISDIR(there.st_mode) && best)
        return error_set(err, EXIT_USAGE, "which=best chooses among the checkpoints of a run's folder, and %s is one file: leave it out",
                         run_or_file);
    if (!S_ISDIR(there.st_mode)) {
        text_format(path, size, "%s", run_or_file);
        return checkpoint_open(file, path, err);
    }
    int code = saved_run_newest(run_or_file, file, path, size, NULL, err);
    if (!code && !*file) return error_set(err, EXIT_CHECKPOINT, "%s: there is no checkpoint (step-*.h5) in this folder", run_or_file);
    if (code || !best) return code;
    struct checkpoint_name name;
    code = saved_run_best(run_or_file, *file, &name, err);
    checkpoint_close(*file);
    *file = NULL;
    if (code) return code;
    text_format(path, size, "%s/%s", run_or_file, name.name);
    return checkpoint_open(file, path, err);
}

int saved_run_open_networks(const char *run_or_file, bool best, struct checkpoint **file, char *path, size_t size, struct error *err)
{
    const int code = saved_run_open(run_or_file, best, file, path, size, err);
    if (code || !checkpoint_attribute(*file, "kind")) return code;
    checkpoint_close(*file);
    *file = NULL;
    return error_set(err, EXIT_CHECKPOINT, "%s is a recording of episodes and holds no networks: name a run or a checkpoint", path);
}

/* ---- its configuration --------------------------------------------------------------------------------------------------------------- */

struct visit {
    struct config *config;
    struct error *err;
    const char *path;
};

static void take_key(void *user, const char *key, const char *value)
{
    struct visit *visit = user;
    struct error bad = {0};
    if (config_set(visit->config, key, value, ORIGIN_CHECKPOINT, visit->path, &bad) && !visit->err->code)
        error_set(visit->err, EXIT_CHECKPOINT, "%s was written by another version of the program: %s", visit->path, bad.text);
}

int saved_run_config(struct config *config, const struct checkpoint *file, const char *path, struct error *err)
{
    struct error bad = {0};
    config_defaults(config);
    config->norm_obs = OBS_NONE; /* of files of before there was a choice */
    struct visit visit = {config, &bad, path};
    checkpoint_config(file, take_key, &visit);
    const char *id = checkpoint_attribute(file, "environment");
    text_format(config->env_id, sizeof config->env_id, "%s", id ? id : "");
    if (bad.code && err) *err = bad;
    return bad.code;
}

void saved_run_plain_options(struct config *config, const char *env_name)
{
    const struct mappo_env *env;
    if (registry_find(env_name, &env, NULL)) return;
    for (int i = 0; i < config->env_options; i++)
        options_plain(env, config->env_option[i].name, config->env_option[i].value, sizeof config->env_option[i].value);
}

/* One that the checkpoint's environment had and this one lacks; NULL where there is none. */
static const char *missing_option(const struct config *config, const struct mappo_env *env)
{
    for (int i = 0; i < config->env_options; i++) {
        const struct mappo_option *option = env->option;
        while (option && option->name && strcmp(option->name, config->env_option[i].name) != 0) option++;
        if (config->env_option[i].origin == ORIGIN_CHECKPOINT && !(option && option->name)) return config->env_option[i].name;
    }
    return NULL;
}

/* A variant that was named now stands for its options, where no others were given now. */
static int take_variant(struct config *config, struct error *err)
{
    const struct env_variant *variant = registry_variant(config->env_name);
    int code = 0;
    for (int i = 0; variant && i < variant->options && !code; i++) {
        char key[96];
        bool given = false;
        for (int k = 0; k < config->env_options; k++)
            given = given ||
                    (strcmp(config->env_option[k].name, variant->option[i].name) == 0 && config_is_explicit(config->env_option[k].origin));
        text_format(key, sizeof key, "env.%s", variant->option[i].name);
        if (!given) code = config_set(config, key, variant->option[i].value, ORIGIN_VARIANT, "in the variant", err);
    }
    if (!variant) return code;
    text_format(config->env_asked, sizeof config->env_asked, "%s", variant->name);
    text_format(config->env_name, sizeof config->env_name, "%s", variant->base);
    return code;
}

int saved_run_find_env(struct config *config, const char *path, struct error *err)
{
    const struct mappo_env *env;
    const char *name = config->env_name;
    if (config->origin[KEY_env_name] == ORIGIN_CHECKPOINT && plugin_is_path(name) && !file_exists(name))
        return error_set(err, EXIT_USAGE,
                         "%s: its environment \"%s\" is the plugin %s, which is not there any more: say where it is now, env=PATH%s", path,
                         config->env_id, name, strrchr(name, '/'));
    int code = take_variant(config, err);
    if (!code) code = registry_find(name, &env, err);
    if (code) return code;
    const char *lost = config->env_id[0] && strcmp(config->env_id, env->id) != 0 ? missing_option(config, env) : NULL;
    if (lost)
        return error_set(err, EXIT_USAGE, "%s was trained on %s, and %s has no option \"%s\" as that: its networks can't play there", path,
                         config->env_id, env->id, lost);
    text_format(config->env_id, sizeof config->env_id, "%s", env->id);
    saved_run_plain_options(config, name);
    const struct env_variant *variant = open_env_variant(config);
    text_format(config->env_variant, sizeof config->env_variant, "%s", variant ? variant->name : "");
    return 0;
}

int saved_run_differences(const struct config *now, const struct checkpoint *file, const char *path, char *text, size_t size,
                          struct error *err)
{
    const struct mappo_env *env;
    struct config *then = malloc(sizeof *then);
    CHECK(then, "out of memory while comparing configurations");
    int64_t version;
    const char *stated = checkpoint_attribute(file, "environment_version");
    int code = saved_run_config(then, file, path, err);
    if (!code) saved_run_plain_options(then, now->env_name);
    if (!code) config_differences(now, then, &config_meaning, text, size);
    const bool same = !code && strcmp(now->env_id, then->env_id) == 0;
    free(then);
    if (same && stated && text_to_int(stated, &version) && !registry_find(now->env_name, &env, NULL) && version != env->version) {
        const size_t used = strlen(text);
        text_format(text + used, size - used, "%sversion %lld of %s (here %u)", used ? ", " : "", (long long)version, env->id,
                    env->version);
    }
    return code;
}

void saved_run_warn_plugin(const struct checkpoint *file, const char *path, const struct config *now, const struct mappo_env *env)
{
    const char *then = checkpoint_attribute(file, "environment_file"), *digest = plugin_digest(env);
    if (then && digest && strcmp(then, digest) != 0)
        warn("%s: the plugin %s is not the file that this was trained with (its SHA-256 differs): if its rules changed as well, returns "
             "before "
             "and after can't be compared",
             path, now->env_name);
}

/* ---- its networks -------------------------------------------------------------------------------------------------------------------- */

/* A tensor that the file has of one of these networks, and these networks don't: more layers, say, or a recurrent one. NULL = none. */
static const char *surplus_tensor(const struct checkpoint *file, const struct field_list *networks)
{
    const struct field_list *all = checkpoint_fields(file);
    for (int i = 0; i < all->count; i++) {
        const char *name = all->field[i].name, *group = strncmp(name, "/policy/", 8) == 0 ? name + 8 : NULL;
        const char *behind = group ? strchr(group, '/') : NULL, *role = behind ? strstr(behind, "/actor/") : NULL;
        bool has_network = false, has_tensor = false;
        if (!role && behind) role = strstr(behind, "/critic/");
        for (int k = 0; k < networks->count && role; k++) {
            has_network |= strncmp(networks->field[k].name, name, (size_t)(strchr(role + 1, '/') + 1 - name)) == 0;
            has_tensor |= strcmp(networks->field[k].name, name) == 0;
        }
        if (has_network && !has_tensor) return name;
    }
    return NULL;
}

int saved_run_load_networks(struct policies *policies, const struct checkpoint *file, const char *path, const char *differences,
                            struct comm *comm, struct error *err)
{
    struct field_list all = {0}, networks = {0};
    policies_fields(policies, &all);
    for (int i = 0; i < all.count; i++)
        if (!strncmp(all.field[i].name, "/policy/", 8)) field_copy(&networks, &all.field[i]);
    int code = comm->rank == 0 ? checkpoint_read(file, &networks, err) : 0;
    const char *surplus = comm->rank == 0 && !code ? surplus_tensor(file, &networks) : NULL;
    if (surplus) code = error_set(err, EXIT_CHECKPOINT, "%s: its networks have %s, these have not", path, surplus);
    if (code && differences[0]) error_set(err, code, "%s was trained with %s: its networks don't fit", path, differences);
    code = comm_vote(comm, code, err);
    for (int i = 0; i < networks.count && !code; i++) comm_broadcast(comm, networks.field[i].data, field_bytes(&networks.field[i]));
    if (!code) policies_push(policies);
    free(all.field);
    free(networks.field);
    return code;
}
