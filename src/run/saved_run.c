#include "run/saved_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "env/options.h"
#include "env/plugin.h"
#include "env/python/names.h"
#include "env/registry.h"
#include "run/open_env.h"
#include "run/replay_file.h"
#include "run/run_list.h"

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

static int open_replay(struct checkpoint_stream **replay, const struct checkpoint *file, const char *path, struct error *err)
{
    *replay = NULL;
    return replay_file_missing(file, path) && saved_run_finished(file, path) ? 0 : replay_file_open(replay, file, path, err);
}

static int try_in_turn(struct saved_run_names *list, const char *folder, struct checkpoint **file, char *path, size_t size,
                       struct checkpoint_stream **replay, struct saved_run_names *damaged, struct error *err)
{
    for (struct checkpoint_name *name, *next; (name = highest(list)) != NULL;) {
        struct error bad = {0};
        text_format(path, size, "%s/%s", folder, name->name);
        if (!checkpoint_open(file, path, &bad)) {
            const bool taken = holds_what_it_says(name, checkpoint_env_steps(*file), path);
            if (taken && (!replay || !open_replay(replay, *file, path, &bad))) return 0;
            checkpoint_close(*file);
            if (!taken) continue;
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

int saved_run_newest(const char *folder, struct checkpoint **file, char *path, size_t size, struct checkpoint_stream **replay,
                     struct saved_run_names *damaged, struct error *err)
{
    struct saved_run_names list;
    *file = NULL;
    list.count = checkpoint_list(folder, &list.name);
    if (damaged) {
        *damaged = (struct saved_run_names){calloc((size_t)list.count + 1, sizeof *damaged->name), 0};
        CHECK(damaged->name, "out of memory while listing checkpoints");
    }
    const int code = try_in_turn(&list, folder, file, path, size, replay, damaged, err);
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
    int code = saved_run_newest(run_or_file, file, path, size, NULL, NULL, err);
    if (!code && !*file && !run_is_one(run_or_file))
        return error_set(err, EXIT_CHECKPOINT, "%s: is no run's folder; mappo runs %s lists those in it", run_or_file, run_or_file);
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

/* A file that scripts/import.py made of another program's: it says of the run behind them only what the networks are. */
static bool networks_alone(const struct checkpoint *file)
{
    const char *kind = checkpoint_attribute(file, "kind");
    return kind && strcmp(kind, "networks") == 0;
}

int saved_run_open_networks(const char *run_or_file, bool best, struct checkpoint **file, char *path, size_t size, struct error *err)
{
    const int code = saved_run_open(run_or_file, best, file, path, size, err);
    const char *kind = code ? NULL : checkpoint_attribute(*file, "kind");
    if (!kind || networks_alone(*file)) return code;
    const bool replay = strcmp(kind, "replay") == 0;
    checkpoint_close(*file);
    *file = NULL;
    return error_set(err, EXIT_CHECKPOINT, "%s is a %s and holds no networks: name a run or a checkpoint", path,
                     replay ? "learner's replay" : "recording of episodes");
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
    config_decide_std(config);
    const char *id = checkpoint_attribute(file, "environment");
    text_format(config->env_id, sizeof config->env_id, "%s", id ? id : "");
    if (bad.code && err) *err = bad;
    return bad.code;
}

/* As trainer_finished; a run that was left in an evaluation is not (trainer_evaluation_due). */
bool saved_run_finished(const struct checkpoint *file, const char *path)
{
    struct config *config = malloc(sizeof *config);
    CHECK(config, "out of memory while reading a configuration");
    struct error ignored = {0};
    int64_t steps = 0, episodes = 0;
    double best = -INFINITY;
    struct field_list fields = {0};
    field_add(&fields, "/counters/env_steps", FIELD_INT64, &steps, "environment steps", "where the run stands", 0);
    field_add(&fields, "/metrics/episodes", FIELD_INT64, &episodes, "episodes", "that have ended", 0);
    field_add(&fields, "/counters/best_return", FIELD_DOUBLE, &best, "reward", "and how good it was", 0);
    const bool read = !saved_run_config(config, file, path, &ignored) && !checkpoint_read(file, &fields, &ignored);
    const bool finished = read && !field_find(checkpoint_fields(file), "/metrics/line") &&
                          (steps >= config->train_env_steps || best >= config->train_stop_return ||
                           (config->train_episodes > 0 && episodes >= config->train_episodes));
    free(fields.field);
    free(config);
    return finished;
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

/* MAPPO_PYTHON says which Python is used here, whatever a run has kept. */
static void take_interpreter(struct config *config, const struct mappo_env *env)
{
    const char *chosen = python_name(env) ? python_chosen() : NULL;
    for (int i = 0; chosen && i < config->env_options; i++)
        if (strcmp(config->env_option[i].name, "python") == 0 && config->env_option[i].origin == ORIGIN_CHECKPOINT)
            text_format(config->env_option[i].value, sizeof config->env_option[i].value, "%s", chosen);
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
    take_interpreter(config, env);
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
    if (!code && networks_alone(file)) {
        struct error unused = {0};
        *then = *now;
        checkpoint_config(file, take_key, &(struct visit){then, &unused, path});
    }
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

/* Is the group's actor to be taken from the run that was named now? */
static bool is_taken(const struct policy *policy, const struct config *config)
{
    return policy->player == PLAY_RUN && config_is_explicit(config_group_origin(config, policy->name, GROUP_play));
}

/* What a checkpoint has of the networks of a group: `/policy/<group>/…`. */
static void group_fields(struct policies *policies, const struct policy *policy, struct field_list *fields)
{
    struct field_list all = {0};
    char prefix[96];
    text_format(prefix, sizeof prefix, "/policy/%s/", policy->name);
    policies_fields(policies, &all);
    for (int i = 0; i < all.count; i++)
        if (!strncmp(all.field[i].name, prefix, strlen(prefix))) field_copy(fields, &all.field[i]);
    free(all.field);
}

static void broadcast_fields(const struct field_list *fields, struct comm *comm)
{
    for (int i = 0; i < fields->count; i++) comm_broadcast(comm, fields->field[i].data, field_bytes(&fields->field[i]));
}

static bool has_part(const struct checkpoint *file, const char *part)
{
    const struct field_list *fields = checkpoint_fields(file);
    for (int i = 0; i < fields->count; i++)
        if (strncmp(fields->field[i].name, part, strlen(part)) == 0) return true;
    return false;
}

/* Of a file of networks alone: those fields whose network (or normaliser) it has. The others stay as the run began, which is said once of each. */
static struct field_list fields_there(const struct checkpoint *file, const char *path, const struct field_list *all)
{
    struct field_list there = {0};
    char part[sizeof all->field->name], said[sizeof all->field->name] = "";
    for (int i = 0; i < all->count; i++) {
        const char *name = all->field[i].name, *role = strstr(name, "/actor/");
        if (!role) role = strstr(name, "/critic/");
        text_format(part, sizeof part, "%.*s", role ? (int)(strchr(role + 1, '/') + 1 - name) : (int)strlen(name), name);
        if (has_part(file, part))
            field_copy(&there, &all->field[i]);
        else if (strcmp(said, part) != 0)
            warn("%s holds no %s: that begins anew", path, text_format(said, sizeof said, "%s", part) ? part : name);
    }
    return there;
}

/* Rank 0. Whether a file of networks alone has any of these groups. */
static int check_groups(const struct policies *policies, const struct checkpoint *file, const char *path, struct error *err)
{
    char part[96];
    for (int g = 0; g < policies->groups; g++) {
        text_format(part, sizeof part, "/policy/%s/", policies->group[g]->name);
        if (has_part(file, part)) return 0;
    }
    return error_set(
        err, EXIT_CHECKPOINT,
        "%s: it holds nothing of group \"%s\", or another of this environment: scripts/import.py has --group for whose networks they are",
        path, policies->group[0]->name);
}

/* Rank 0. */
static int read_networks(const struct checkpoint *file, const char *path, const struct field_list *networks, struct error *err)
{
    if (!networks_alone(file)) return checkpoint_read(file, networks, err);
    struct field_list there = fields_there(file, path, networks);
    const int code = checkpoint_read(file, &there, err);
    free(there.field);
    return code;
}

int saved_run_load_networks(struct policies *policies, const struct config *config, const struct checkpoint *file, const char *path,
                            const char *differences, struct comm *comm, struct error *err)
{
    struct field_list networks = {0};
    const int fits = comm_vote(comm, comm->rank == 0 && networks_alone(file) ? check_groups(policies, file, path, err) : 0, err);
    if (fits) return fits;
    for (int g = 0; g < policies->groups; g++)
        if (!is_taken(policies->group[g], config)) group_fields(policies, policies->group[g], &networks);
    int code = comm->rank == 0 ? read_networks(file, path, &networks, err) : 0;
    const char *surplus = comm->rank == 0 && !code ? surplus_tensor(file, &networks) : NULL;
    if (surplus) code = error_set(err, EXIT_CHECKPOINT, "%s: its networks have %s, these have not", path, surplus);
    if (code && differences[0]) error_set(err, code, "%s was trained with %s: its networks don't fit", path, differences);
    code = comm_vote(comm, code, err);
    if (!code) broadcast_fields(&networks, comm);
    if (!code) policies_push(policies);
    free(networks.field);
    return code;
}

/* ---- the actor of a run, to play a group of another --------------------------------------------------------------------------------------- */

/* The group of the file whose actor it is: of that name, or its only one, of which a line is written then. */
static int find_group(const struct checkpoint *file, const struct config *then, const char *path, const char *wanted, char *group,
                      size_t size, struct error *err)
{
    const char *play = config_group(then, wanted, GROUP_play);
    if (!player_has_networks(player_named(play)))
        return error_set(err, EXIT_USAGE, "%s: its group \"%s\" was played (group.%s.play=%s) and learned nothing", path, wanted, wanted,
                         play);
    const struct field_list *fields = checkpoint_fields(file);
    char names[512] = "";
    int count = 0;
    for (int i = 0; i < fields->count; i++) {
        static const char top[] = "/policy/";
        const char *name = fields->field[i].name + strlen(top), *end = strchr(name, '/');
        char found[64];
        if (strncmp(fields->field[i].name, top, strlen(top)) != 0 || !end || !strstr(end, "/actor/")) continue;
        text_format(found, sizeof found, "%.*s", (int)(end - name), name);
        if (count && strcmp(group, found) == 0) continue; /* they are in alphabetical order */
        text_format(group, size, "%s", found);
        if (strcmp(found, wanted) == 0) return 0;
        const size_t used = strlen(names);
        text_format(names + used, sizeof names - used, "%s\"%s\"", count++ ? ", " : "", found);
    }
    if (count == 1) warn("group.%s.play: the actor of group \"%s\" of %s, which has no other", wanted, group, path);
    if (count == 1) return 0;
    if (count == 0) return error_set(err, EXIT_USAGE, "%s holds no actor", path);
    return error_set(err, EXIT_USAGE, "%s has no group \"%s\", and not one alone that could be meant: %s", path, wanted, names);
}

/* What the actor of a group makes of what: numbers that it sees, heads of its actions. */
struct actor_shape {
    long long inputs;
    char heads[512];
};

static struct actor_shape shape_in_file(const struct checkpoint *file, const char *group)
{
    struct actor_shape shape = {0};
    const struct field_list *fields = checkpoint_fields(file);
    const char *heads = checkpoint_attribute(file, "action_heads"), *end;
    char prefix[96];
    text_format(prefix, sizeof prefix, "/policy/%s/", group);
    for (int i = 0; i < fields->count; i++)
        if (!strncmp(fields->field[i].name, prefix, strlen(prefix)) && strstr(fields->field[i].name, "actor/fc1/weight"))
            shape.inputs = (long long)fields->field[i].shape[1];
    text_format(prefix, sizeof prefix, "\"%s\":", group);
    heads = heads ? strstr(heads, prefix) : NULL;
    if (heads && (end = strstr(heads, "]]")))
        text_format(shape.heads, sizeof shape.heads, "%.*s", (int)(end + 2 - heads - (ptrdiff_t)strlen(prefix)), heads + strlen(prefix));
    return shape;
}

/* Settings that decide what an actor is, where they differ: "policy.hidden=64 policy.layers=2" of both. Returns whether any does. */
static bool actor_settings(const struct policy *policy, const struct config *then, const struct config *now, char *theirs, char *ours,
                           size_t size)
{
    theirs[0] = ours[0] = '\0';
    for (int k = 0; k < config_key_count; k++) {
        char name[96], old[CONFIG_TEXT], new[CONFIG_TEXT];
        const bool decides = strcmp(config_keys[k].section, "policy") == 0 && config_keys[k].flags & MEANING;
        if (!decides && k != KEY_norm_obs) continue;
        if (k == KEY_policy_share && policy->sizes.agents == 1) continue; /* nobody to share with */
        config_full_name(k, name, sizeof name);
        config_value(then, k, old, sizeof old);
        config_value(now, k, new, sizeof new);
        if (strcmp(old, new) == 0) continue;
        text_format(theirs + strlen(theirs), size - strlen(theirs), ", %s=%s", name, old);
        text_format(ours + strlen(ours), size - strlen(ours), ", %s=%s", name, new);
    }
    return theirs[0];
}

static int check_actor(const struct policy *policy, const struct config *now, const struct config *then, const struct checkpoint *file,
                       const char *path, const char *group, struct error *err)
{
    char theirs[300], ours[300];
    const struct actor_shape has = shape_in_file(file, group);
    const struct network *net = &policy->net[ROLE_ACTOR];
    struct actor_shape needs = {.inputs = layer_inputs(net, 0)};
    distribution_json(&policy->dist, needs.heads, sizeof needs.heads);
    if (!actor_settings(policy, then, now, theirs, ours, sizeof ours) && has.inputs == needs.inputs && strcmp(has.heads, needs.heads) == 0)
        return 0;
    return error_set(
        err, EXIT_USAGE,
        "%s: the actor of its group \"%s\" makes %s of %lld numbers%s; to act for \"%s\" here it would have to make %s of %lld%s%s", path,
        group, has.heads, has.inputs, theirs, policy->name, needs.heads, needs.inputs, net->conv.layers ? " behind convolutions" : "",
        ours);
}

/* What an actor that was trained elsewhere may not be used to: options and wrappers of the environment. */
static void warn_of_other_sights(const struct config *now, const struct config *then, const char *path)
{
    struct config *like_then = malloc(sizeof *like_then);
    char text[CONFIG_TEXT], key[96], differs[600];
    CHECK(like_then, "out of memory while comparing configurations");
    *like_then = *now;
    like_then->group_options = then->group_options;
    memcpy(like_then->group_option, then->group_option, sizeof then->group_option);
    for (int k = 0; k < config_key_count; k++) {
        if (k == KEY_env_name || strcmp(config_keys[k].section, "wrap") == 0) continue;
        config_value(then, k, text, sizeof text);
        config_full_name(k, key, sizeof key);
        config_set(like_then, key, text, ORIGIN_CHECKPOINT, path, NULL);
    }
    if (config_differences(like_then, then, &config_meaning, differs, sizeof differs))
        warn("%s was trained with %s: its actor may mean something else here", path, differs);
    free(like_then);
}

/* Rank 0. */
static int read_actor(struct policies *policies, const struct policy *policy, const struct config *config, struct error *err)
{
    struct config *then = malloc(sizeof *then);
    struct checkpoint *file = NULL;
    struct field_list fields = {0};
    const char *run = config_group(config, policy->name, GROUP_play);
    char path[CONFIG_TEXT + 64], group[64] = "";
    CHECK(then, "out of memory while comparing configurations");
    int code = saved_run_open_networks(run, false, &file, path, sizeof path, err);
    const char *nearest = text_nearest(run, player_name, PLAY_RUN);
    if (code && !file_exists(run)) error_suffix(err, ", and not trained, random, noop, scripted or self");
    if (code && !file_exists(run) && nearest) error_suffix(err, "; did you mean %s?", nearest);
    if (!code) code = saved_run_config(then, file, path, err);
    if (!code) code = find_group(file, then, path, policy->name, group, sizeof group, err);
    if (!code) code = check_actor(policy, config, then, file, path, group, err);
    if (!code) {
        const size_t length = strlen("/policy/") + strlen(policy->name);
        group_fields(policies, policy, &fields);
        for (int i = 0; i < fields.count; i++) {
            char name[sizeof fields.field->name];
            text_format(name, sizeof name, "/policy/%s%s", group, fields.field[i].name + length);
            memcpy(fields.field[i].name, name, sizeof name);
        }
        code = checkpoint_read(file, &fields, err);
    }
    if (!code) saved_run_plain_options(then, config->env_name);
    if (!code) warn_of_other_sights(config, then, path);
    if (code) error_prefix(err, "group.%s.play", policy->name);
    checkpoint_close(file);
    free(fields.field);
    free(then);
    return code;
}

int saved_run_load_actors(struct policies *policies, const struct config *config, struct comm *comm, struct error *err)
{
    int code = 0;
    for (int g = 0; g < policies->groups && !code; g++) {
        struct policy *policy = policies->group[g];
        struct field_list fields = {0};
        if (!is_taken(policy, config)) continue;
        code = comm_vote(comm, comm->rank == 0 ? read_actor(policies, policy, config, err) : 0, err);
        group_fields(policies, policy, &fields);
        if (!code) broadcast_fields(&fields, comm);
        if (!code) policy_push(policy);
        free(fields.field);
    }
    return code;
}
