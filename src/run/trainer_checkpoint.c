#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "base/version.h"
#include "comm/watchdog.h"
#include "env/float_math.h"
#include "env/plugin.h"
#include "nn/distribution.h"
#include "run/checkpoint_image.h"
#include "run/open_env.h"
#include "run/own_files.h"
#include "run/spaces.h"
#include "run/trainer_work.h"

static const char due_line[] = "/metrics/line"; /* only in files of runs that an evaluation's end was not waited for */

static void list_standing(struct field_list *list, struct standing *s)
{
    field_add(list, "/counters/update", FIELD_INT64, &s->update, "updates", "updates so far", 0);
    field_add(list, "/counters/env_steps", FIELD_INT64, &s->env_steps, "environment steps", "steps of all environments together", 0);
    field_add(list, "/counters/metrics_offset", FIELD_INT64, &s->metrics_offset, "bytes",
              "length of metrics.jsonl when this was saved: continuing cuts the file back to it", 0);
    field_add(list, "/counters/schedule_steps", FIELD_INT64, &s->schedule_steps, "environment steps",
              "horizon of the learning rate schedule: of when the run began, or where it was moved to since", 0);
    field_add(
        list, "/counters/best_env_steps", FIELD_INT64, &s->best_env_steps, "environment steps",
        "where the best evaluation so far was made, or the best checkpoint by training's returns (checkpoint.best); -1 before the first",
        0);
    field_add(list, "/counters/best_return", FIELD_DOUBLE, &s->best_return, "reward", "mean return there", 0);
    field_add(list, "/counters/seconds", FIELD_DOUBLE, &s->seconds, "s", "time spent training, all legs", 0);
}

/* For one field that is per environment. */
static void *env_memory(const char *what, int64_t envs, size_t bytes)
{
    void *memory = calloc((size_t)envs * bytes + 1, 1);
    if (!memory)
        die(EXIT_USAGE, "not enough memory to save %s of %lld environments, of %zu bytes each; lower rollout.envs", what, (long long)envs,
            bytes);
    return memory;
}

/* Bytes of one environment's part of a field. */
static size_t per_env_bytes(const struct field *field)
{
    struct field one = *field;
    one.shape[0] = 1;
    return field_bytes(&one);
}

static void list_environments(struct trainer *t)
{
    const struct vecenv *env = t->learning.env;
    t->env_hash = vecenv_identity(env);
    field_add(
        &t->fields, "/environments/hash", FIELD_UINT64, &t->env_hash, "1",
        "of the environment's id and version and of what differs from the defaults of its options and wrappers: snapshots of others are "
        "refused",
        0);
    t->env_bytes = vecenv_snapshot_bytes(env);
    if (!t->env_bytes) return;
    t->snapshots = env_memory("snapshots", t->learning.envs.count, t->env_bytes);
    field_add(&t->fields, "/environments/state", FIELD_BYTES, t->snapshots, "1",
              "a snapshot of every environment and its wrappers, by global index", 2, (int64_t)t->learning.envs.count,
              (int64_t)t->env_bytes)
        ->per_env = true;
}

void trainer_list_fields(struct trainer *t)
{
    list_standing(&t->fields, &t->standing);
    t->learning.algorithm->ops->fields(t->learning.algorithm, &t->fields);
    metrics_fields(t->metrics, &t->fields);
    list_environments(t);
    if (t->comm->rank) return;
    t->gathered = calloc((size_t)t->fields.count, sizeof *t->gathered);
    CHECK(t->gathered, "out of memory listing what is saved");
    for (int i = 0; i < t->fields.count; i++) {
        const struct field *field = &t->fields.field[i];
        if (field->per_env) t->gathered[i] = env_memory(field->name, t->config->rollout_envs, per_env_bytes(field));
    }
}

/* What a file holds. */
struct field_list trainer_file_fields(const struct trainer *t)
{
    struct field_list list = {0};
    for (int i = 0; i < t->fields.count; i++) {
        struct field *field = field_copy(&list, &t->fields.field[i]);
        if (!field->per_env) continue;
        field->shape[0] = t->config->rollout_envs;
        field->data = t->gathered[i];
    }
    if (t->due_line)
        field_add(&list, due_line, FIELD_BYTES, t->due_line, "1", "the last update's line of metrics, while its evaluation is due", 1,
                  (int64_t)strlen(t->due_line));
    return list;
}

/* Rank 0: bytes of each rank's part of a field that is per environment. */
static size_t *parts_of(const struct trainer *t, const struct field *field)
{
    size_t *bytes = calloc((size_t)t->comm->size, sizeof *bytes);
    CHECK(bytes, "out of memory moving %s between ranks", field->name);
    for (int r = 0; r < t->comm->size; r++)
        bytes[r] = (size_t)comm_part((int)t->config->rollout_envs, r, t->comm->size).count * per_env_bytes(field);
    return bytes;
}

/* Fields that are per environment, from the ranks to rank 0 … */
static void gather_fields(struct trainer *t)
{
    for (int i = 0; i < t->fields.count; i++) {
        const struct field *field = &t->fields.field[i];
        if (!field->per_env) continue;
        size_t *bytes = parts_of(t, field);
        comm_gather(t->comm, field->data, field_bytes(field), t->gathered ? t->gathered[i] : NULL, bytes);
        free(bytes);
    }
}

/* … and from rank 0, with the others, to the ranks. */
static void spread_fields(struct trainer *t)
{
    for (int i = 0; i < t->fields.count; i++) {
        const struct field *field = &t->fields.field[i];
        if (!field->per_env) {
            comm_broadcast(t->comm, field->data, field_bytes(field));
            continue;
        }
        size_t *bytes = parts_of(t, field);
        comm_scatter(t->comm, t->gathered ? t->gathered[i] : NULL, bytes, field->data, field_bytes(field));
        free(bytes);
    }
}

static const struct field *find_due_line(const struct checkpoint *file)
{
    const struct field_list *list = checkpoint_fields(file);
    for (int i = 0; i < list->count; i++)
        if (!strcmp(list->field[i].name, due_line) && list->field[i].type == FIELD_BYTES) return &list->field[i];
    return NULL;
}

bool trainer_evaluation_due(const struct checkpoint *file)
{
    return find_due_line(file) != NULL;
}

/* Rank 0, when everything else was read. */
static void load_due_line(struct trainer *t, const struct checkpoint *file)
{
    const struct field *line = find_due_line(file);
    if (line) t->due_line = strndup(line->data, field_bytes(line));
}

/* ---- saving ------------------------------------------------------------------------------------------------------------------------ */

enum { ATTRIBUTE_TEXT = 4096 }; /* all options of an environment, all heads of all groups */
struct attributes {
    struct checkpoint_attribute *item;
    char (*text)[2][ATTRIBUTE_TEXT];
    char *spaces; /* of its own: bounds of many numbers are long */
    int count, room;
};

static void attribute_add(struct attributes *a, const char *prefix, const char *name, const char *value)
{
    CHECK(a->count < a->room, "more checkpoint attributes than room");
    text_format(a->text[a->count][0], sizeof a->text[0][0], "%s%s", prefix, name);
    text_format(a->text[a->count][1], sizeof a->text[0][1], "%s", value);
    a->item[a->count] = (struct checkpoint_attribute){a->text[a->count][0], a->text[a->count][1]};
    a->count++;
}

void trainer_action_heads(const struct policies *policies, const struct mappo_env_spec *spec, char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");
    CHECK(out, "out of memory while saving");
    for (int g = 0; g < spec->groups; g++) {
        char heads[512];
        CHECK(distribution_json(&policies->group[g]->dist, heads, sizeof heads), "more action heads than room");
        fputs(g ? "," : "{", out);
        text_json_string(out, spec->group[g].name);
        fprintf(out, ":%s", heads);
    }
    fputc('}', out);
    CHECK(fclose(out) == 0 && strlen(text) < size - 1, "more action heads than room");
}

bool trainer_saves_replay(const struct trainer *t)
{
    return t->config->replay_save && t->learning.algorithm->ops->replay;
}

static void list_attributes(const struct trainer *t, struct attributes *a)
{
    char text[CONFIG_TEXT], heads[ATTRIBUTE_TEXT];
    for (int k = 0; k < config_key_count; k++) {
        if (config_keys[k].flags & NOT_STORED) continue;
        char name[96];
        config_full_name(k, name, sizeof name);
        config_value(t->config, k, text, sizeof text);
        attribute_add(a, "config/", name, text);
    }
    const struct config_option *option;
    char key[128];
    for (int i = 0; (option = config_option_at(t->config, i, key, sizeof key)); i++) attribute_add(a, "config/", key, option->value);
    clock_utc(text, sizeof text);
    attribute_add(a, "", "saved_at", text);
    if (gethostname(text, sizeof text)) text_format(text, sizeof text, "unknown");
    text[sizeof text - 1] = 0;
    attribute_add(a, "", "host", text);
    attribute_add(a, "", "program", version_line());
    attribute_add(a, "", "mpi", t->comm->library);
    attribute_add(a, "", "backend", t->learning.backend->detail);
    attribute_add(a, "", "instruction_level", cpu_level_name(t->level));
    text_format(text, sizeof text, "%d", t->comm->size);
    attribute_add(a, "", "ranks", text);
    text_format(text, sizeof text, "%d", t->learning.backend->threads);
    attribute_add(a, "", "threads_per_rank", text);
    attribute_add(a, "", "environment", vecenv_descriptor(t->learning.env)->id);
    text_format(text, sizeof text, "%u", vecenv_descriptor(t->learning.env)->version);
    attribute_add(a, "", "environment_version", text);
    const char *digest = plugin_digest(vecenv_descriptor(t->learning.env));
    if (digest) attribute_add(a, "", "environment_file", digest);
    attribute_add(a, "", "environment_options", vecenv_options(t->learning.env));
    attribute_add(a, "", "rules", vecenv_spec(t->learning.env)->rules);
    trainer_action_heads(t->learning.policies, vecenv_spec(t->learning.env), heads, sizeof heads);
    attribute_add(a, "", "action_heads", heads);
    a->spaces = spaces_json(t->learning.env);
    if (strlen(a->spaces) < IMAGE_MAX_TEXT) a->item[a->count++] = (struct checkpoint_attribute){"spaces", a->spaces};
    text_format(text, sizeof text, "%d", FLOAT_MATH_ROUNDING);
    attribute_add(a, "", "rounding", text);
    if (trainer_saves_replay(t)) attribute_add(a, "", "replay", replay_file_name(t->standing.env_steps).text);
}

/* One file on its way: everything it needs is here, so that training may go on while a thread writes it. Rank 0. */
struct save_job {
    struct trainer *t;
    struct checkpoint_content content;
    struct attributes attributes;
    char *data; /* copies of all fields */
    struct checkpoint_name file;
    int64_t best_so_far; /* environment steps; -1: none */
    bool best;
    pthread_t thread;
    bool threaded;
    int code;
    struct error err;
    double seconds, seconds_replay;
};

/* Copies of what the fields point to now. */
static void freeze(struct save_job *job)
{
    struct field_list *list = &job->content.fields;
    size_t bytes = 0;
    for (int i = 0; i < list->count; i++) bytes += (field_bytes(&list->field[i]) + 15) / 16 * 16;
    char *to = job->data = malloc(bytes + 1);
    CHECK(to, "out of memory while saving");
    for (int i = 0; i < list->count; i++) {
        const size_t size = field_bytes(&list->field[i]);
        memcpy(to, list->field[i].data, size);
        list->field[i].data = to;
        to += (size + 15) / 16 * 16;
    }
}

void trainer_follow_folder(struct trainer *t, bool now)
{
    enum { LOOK_SECONDS = 1 };
    /* A thread that saves uses the names. */
    if (!t->folder || (t->job && t->job->threaded) || (!now && clock_seconds() - t->followed < LOOK_SECONDS)) return;
    t->followed = clock_seconds();
    const bool there = folder_follow(t->folder) && text_format(t->path, sizeof t->path, "%s", folder_path(t->folder));
    /* Where it is gone the next save ends the run; what others write in its place meanwhile is theirs. */
    text_format(t->log_path, sizeof t->log_path, "%s%s", there ? t->path : "", there ? "/log.txt" : "");
    metrics_place(t->metrics, there ? t->path : NULL);
    if (there) stop_place(t->stop, t->path);
}

static struct save_job *job_create(struct trainer *t, bool best)
{
    struct save_job *job = calloc(1, sizeof *job);
    const int room = config_key_count + CONFIG_ENV_OPTIONS + CONFIG_GROUP_OPTIONS + 17;
    CHECK(job, "out of memory while saving");
    *job = (struct save_job){.t = t, .best = best, .attributes = {.room = room}};
    job->attributes.item = calloc((size_t)room, sizeof *job->attributes.item);
    job->attributes.text = calloc((size_t)room, sizeof *job->attributes.text);
    CHECK(job->attributes.item && job->attributes.text, "out of memory while saving");
    trainer_follow_folder(t, true);
    if (t->log && t->log_path[0]) own_file_look(t->log, t->log_path);
    t->standing.metrics_offset = metrics_mark(t->metrics);
    list_attributes(t, &job->attributes);
    job->content = (struct checkpoint_content){trainer_file_fields(t), job->attributes.item, job->attributes.count};
    job->file = checkpoint_name(t->standing.env_steps);
    job->best_so_far = t->standing.best_env_steps;
    return job;
}

static void *job_write(void *user)
{
    struct save_job *job = user;
    struct trainer *t = job->t;
    struct error *err = &job->err;
    const double start = clock_seconds();
    char path[sizeof t->path + 80];
    text_format(path, sizeof path, "%s/%s", t->path, job->file.name);
    int code = folder_ours(t->folder, err);
    if (!code) code = metrics_sync(t->metrics, err);
    if (!code) code = checkpoint_make_room(path, job->file.env_steps, err);
    if (!code) code = checkpoint_write(path, &job->content, err);
    if (!code) code = folder_point(t->folder, "latest.h5", job->file.name, err);
    if (!code && job->best) code = folder_point(t->folder, "best.h5", job->file.name, err);
    if (!code) folder_prune(t->folder, (int)t->config->checkpoint_keep, job->best_so_far);
    job->code = code;
    job->seconds = clock_seconds() - start;
    return NULL;
}

/* Once more where the folder was moved while it was written: by its new name that can succeed. No thread saves. */
static void job_write_again_if_moved(struct save_job *job)
{
    struct trainer *t = job->t;
    char before[sizeof t->path];
    while (job->code) {
        text_format(before, sizeof before, "%s", t->path);
        trainer_follow_folder(t, true);
        if (strcmp(before, t->path) == 0) return;
        job->err = (struct error){0};
        job_write(job);
    }
}

/* Bytes of a pair. The two before it stay while it is written, unless there is room for one of them only. */
static double room_for(const struct trainer *t)
{
    enum { BESIDE_DATA = 1 << 20 };
    const struct field_list *list = &t->job->content.fields;
    double bytes = BESIDE_DATA + (double)replay_file_bytes(&t->learning, t->config->rollout_envs);
    for (int i = 0; i < list->count; i++) bytes += (double)field_bytes(&list->field[i]);
    return bytes;
}

/* Collective, before the checkpoint, which names it. It is never copied in memory, so nothing is learned meanwhile. */
static int save_replay(struct trainer *t)
{
    const double start = clock_seconds();
    struct save_job *job = t->job;
    struct error *err = job ? &job->err : NULL;
    char path[sizeof t->path + 80] = "";
    int code = 0;
    if (job) {
        const char *name = replay_file_name(t->standing.env_steps).text;
        text_format(path, sizeof path, "%s/%s", t->path, name);
        code = folder_ours(t->folder, err);
        if (!code) code = replay_file_make_room(path, t->standing.env_steps, err);
        if (!code && file_room(t->path) < room_for(t)) folder_prune_replays(t->folder, 1);
    }
    comm_broadcast(t->comm, &code, sizeof code);
    if (!code) code = replay_file_save(&t->learning, t->comm, path, t->standing.env_steps, &t->replay_mark, err);
    if (!job) return code;
    job->code = code;
    job->seconds_replay = clock_seconds() - start;
    if (!code) replay_file_list_mark(&t->replay_mark, &job->content.fields);
    return code;
}

static void job_free(struct save_job *job)
{
    free(job->content.fields.field);
    free(job->attributes.item);
    free(job->attributes.text);
    free(job->attributes.spaces);
    free(job->data);
    free(job);
}

void trainer_save_begin(struct trainer *t, bool best)
{
    watchdog_phase("saving a checkpoint");
    const double start = clock_seconds();
    struct error err = {0};
    int code = 0;
    if (t->env_bytes) code = vecenv_snapshot(t->learning.env, 0, t->learning.envs.count, t->snapshots, &err);
    if (code) die_error(&err); /* an environment that can't be copied is a fault of its own, not of this save */
    t->learning.algorithm->ops->pull(t->learning.algorithm);
    gather_fields(t);
    t->standing.seconds = t->seconds_before + (start - t->began);
    t->saving = true;
    t->saved = t->standing.update;
    t->saving_best = best;
    if (t->comm->rank == 0) t->job = job_create(t, best);
    if (trainer_saves_replay(t)) code = save_replay(t);
    if (t->job && !code) {
        /* Beside a device the host has time, and an update takes less than a file: it goes its own way. */
        if (!t->learning.backend->host_memory) {
            freeze(t->job);
            t->job->threaded = pthread_create(&t->job->thread, NULL, job_write, t->job) == 0;
        }
        if (!t->job->threaded) {
            job_write(t->job);
            job_write_again_if_moved(t->job);
        }
    }
    t->last_save = clock_seconds();
    t->seconds_save += t->last_save - start;
}

int trainer_save_end(struct trainer *t, struct error *err)
{
    const double start = clock_seconds();
    double seconds = 0;
    int code = 0;
    if (!t->saving) return 0;
    watchdog_phase("saving a checkpoint");
    t->saving = false;
    if (t->job) {
        if (t->job->threaded) {
            pthread_join(t->job->thread, NULL);
            t->job->threaded = false;
            job_write_again_if_moved(t->job); /* of the copies that it has */
        }
        code = t->job->code;
        seconds = t->job->seconds + t->job->seconds_replay;
        if (code && err) *err = t->job->err;
        if (code && trainer_saves_replay(t)) folder_prune_replays(t->folder, REPLAYS_KEPT); /* one that got no checkpoint */
        job_free(t->job);
        t->job = NULL;
    }
    code = comm_vote(t->comm, code, err);
    comm_max_double(t->comm, &seconds, 1);
    t->seconds_save += clock_seconds() - start;
    t->last_save = clock_seconds();
    stop_save_took(t->stop, seconds);
    return code;
}

int trainer_save(struct trainer *t, bool best, struct error *err)
{
    trainer_save_begin(t, best);
    return trainer_save_end(t, err);
}

void trainer_close_save(struct trainer *t)
{
    if (t->job && t->job->threaded) pthread_join(t->job->thread, NULL);
    if (t->job) job_free(t->job);
    t->job = NULL;
    for (int i = 0; i < t->fields.count && t->gathered; i++) free(t->gathered[i]);
    free(t->gathered);
    free(t->fields.field);
    free(t->snapshots);
    checkpoint_stream_close(t->replay);
}

/* ---- loading ----------------------------------------------------------------------------------------------------------------------- */

/* What `theirs` stands for is what is in force here, only that other values were the defaults then. Snapshots that were read become ours. */
static bool take_over(struct trainer *t, const struct checkpoint *file, uint64_t theirs)
{
    const struct mappo_env *env = vecenv_descriptor(t->learning.env);
    const char *version = checkpoint_attribute(file, "environment_version"), *id = checkpoint_attribute(file, "environment"),
               *options = checkpoint_attribute(file, "environment_options");
    int64_t number;
    if (!version || !text_to_int(version, &number) || number != env->version || !id || strcmp(id, env->id) != 0) return false;
    if (!options || !open_env_still(t->config, env, options)) return false;
    for (int i = 0; i < t->fields.count && t->gathered; i++)
        if (t->fields.field[i].data == t->snapshots && t->snapshots)
            vecenv_adopt(t->learning.env, theirs, t->gathered[i], t->config->rollout_envs);
    return true;
}

int trainer_check_identity(struct trainer *t, const struct checkpoint *file, struct error *err)
{
    const uint64_t theirs = t->env_hash;
    const struct mappo_env *env = vecenv_descriptor(t->learning.env);
    const char *version = checkpoint_attribute(file, "environment_version");
    t->env_hash = vecenv_identity(t->learning.env);
    if (theirs == t->env_hash || theirs == vecenv_hash(t->learning.env) || take_over(t, file, theirs)) return 0;
    int64_t number;
    if (version && text_to_int(version, &number) && number != env->version)
        return error_set(err, EXIT_CHECKPOINT,
                         "the run was made with version %s of %s, this is version %u of its rules: it can't be continued", version, env->id,
                         env->version);
    return error_set(err, EXIT_CHECKPOINT,
                     "the checkpoint's environments are of other rules or options of %s than this program's: it says which it had "
                     "(mappo inspect); was one taken away, or added with a default that isn't in force? Then these runs can't be continued",
                     env->id);
}

/* When the fields have been read. */
static int load_replay(struct trainer *t, struct error *err)
{
    if (!t->learning.algorithm->ops->replay) return 0;
    int there = t->replay != NULL && t->env_bytes; /* episodes that begin anew don't follow what was seen last of it */
    comm_broadcast(t->comm, &there, sizeof there);
    t->replay_empty = !there;
    const int code = there ? replay_file_load(&t->learning, t->comm, t->replay, err) : 0;
    checkpoint_stream_close(t->replay);
    t->replay = NULL;
    return code;
}

int trainer_load(struct trainer *t, const struct checkpoint *file, struct error *err)
{
    int code = 0;
    if (t->comm->rank == 0) {
        struct field_list list = trainer_file_fields(t);
        code = checkpoint_read(file, &list, err);
        free(list.field);
        if (!code) code = trainer_check_identity(t, file, err);
    }
    for (int i = 0; i < t->fields.count && !code && t->comm->rank == 0; i++) /* counts: all but the best's are at least 0 */
        if (t->fields.field[i].type == FIELD_INT64 && t->fields.field[i].rank == 0 && *(const int64_t *)t->fields.field[i].data < 0 &&
            t->fields.field[i].data != &t->standing.best_env_steps)
            code =
                error_set(err, EXIT_CHECKPOINT, "dataset %s holds a negative count: not a file of this program", t->fields.field[i].name);
    if ((code = comm_vote(t->comm, code, err))) return code;
    if (t->comm->rank == 0) load_due_line(t, file);
    t->evaluation_due = t->due_line != NULL;
    comm_broadcast(t->comm, &t->evaluation_due, sizeof t->evaluation_due);
    spread_fields(t);
    t->learning.algorithm->ops->push(t->learning.algorithm);
    if ((code = load_replay(t, err))) return code;
    if (t->env_bytes) code = vecenv_restore(t->learning.env, 0, t->learning.envs.count, t->snapshots, err);
    t->seconds_before = t->standing.seconds;
    t->standing.episodes = metrics_episodes(t->metrics);
    return comm_vote(t->comm, code, err);
}
