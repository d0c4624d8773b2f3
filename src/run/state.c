#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "base/version.h"
#include "comm/watchdog.h"
#include "run/parts.h"

static void list_standing(struct field_list *list, struct standing *s)
{
    field_add(list, "/counters/update", FIELD_INT64, &s->update, "updates", "updates so far", 0);
    field_add(list, "/counters/env_steps", FIELD_INT64, &s->env_steps, "environment steps", "steps of all environments together", 0);
    field_add(list, "/counters/metrics_offset", FIELD_INT64, &s->metrics_offset, "bytes",
              "length of metrics.jsonl when this was saved: continuing cuts the file back to it", 0);
    field_add(list, "/counters/schedule_steps", FIELD_INT64, &s->schedule_steps, "environment steps",
              "horizon of the learning rate schedule, fixed when the run began", 0);
    field_add(list, "/counters/best_env_steps", FIELD_INT64, &s->best_env_steps, "environment steps",
              "where the best evaluation so far was made; -1 before the first", 0);
    field_add(list, "/counters/best_return", FIELD_DOUBLE, &s->best_return, "reward", "mean return of that evaluation", 0);
    field_add(list, "/counters/seconds", FIELD_DOUBLE, &s->seconds, "s", "time spent training, all legs", 0);
}

int state_list(struct trainer *t)
{
    list_standing(&t->fields, &t->standing);
    t->learning.algorithm->ops->fields(t->learning.algorithm, &t->fields);
    metrics_fields(t->metrics, &t->fields);
    field_add(&t->fields, "/environments/hash", FIELD_UINT64, &t->env_hash, "1",
              "of environment, rules version, options and wrappers: snapshots of others are refused", 0);
    t->env_hash = vecenv_hash(t->learning.env);
    t->env_bytes = vecenv_snapshot_bytes(t->learning.env);
    t->env_state = calloc((size_t)t->learning.envs.count * t->env_bytes + 1, 1);
    if (t->comm->rank == 0) {
        t->env_state_all = calloc((size_t)t->config->rollout_envs * t->env_bytes + 1, 1);
        t->env_sizes = calloc((size_t)t->comm->size, sizeof *t->env_sizes);
        for (int r = 0; r < t->comm->size; r++)
            t->env_sizes[r] = (size_t)comm_share((int)t->config->rollout_envs, r, t->comm->size).count * t->env_bytes;
    }
    CHECK(t->env_state && (t->comm->rank || (t->env_state_all && t->env_sizes)), "out of memory for environment snapshots");
    return 0;
}

/* The replicated fields, and rank 0's gathered snapshots behind them: what a file holds. */
struct field_list state_file_fields(const struct trainer *t)
{
    struct field_list list = {0};
    for (int i = 0; i < t->fields.count; i++) field_copy(&list, &t->fields.field[i]);
    if (t->env_bytes)
        field_add(&list, "/environments/state", FIELD_BYTES, t->env_state_all, "1",
                  "a snapshot of every environment and its wrappers, by global index", 2, t->config->rollout_envs, (int64_t)t->env_bytes);
    return list;
}

/* ---- saving ------------------------------------------------------------------------------------------------------------------------ */

struct attributes {
    struct checkpoint_attribute *item;
    char (*text)[2][CONFIG_TEXT + 64];
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

static void list_attributes(const struct trainer *t, struct attributes *a)
{
    char text[CONFIG_TEXT];
    for (int k = 0; k < config_key_count; k++) {
        if (config_keys[k].flags & NOT_STORED) continue;
        char name[96];
        text_format(name, sizeof name, "%s.%s", config_keys[k].section, config_keys[k].name);
        config_value(t->config, k, text, sizeof text);
        attribute_add(a, "config/", name, text);
    }
    for (int i = 0; i < t->config->env_options; i++) {
        char name[96];
        text_format(name, sizeof name, "env.%s", t->config->env_option[i].name);
        attribute_add(a, "config/", name, t->config->env_option[i].value);
    }
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
    attribute_add(a, "", "environment_options", vecenv_options(t->learning.env));
    attribute_add(a, "", "rules", vecenv_spec(t->learning.env)->rules);
}

static int write_file(struct trainer *t, bool best, struct error *err)
{
    int code = folder_ours(t->folder, err);
    if (!code) code = metrics_flush(t->metrics, &t->standing.metrics_offset, err);
    if (code) return code;
    const int room = config_key_count + CONFIG_ENV_OPTIONS + 16;
    struct attributes attributes = {.room = room};
    attributes.item = calloc((size_t)room, sizeof *attributes.item);
    attributes.text = calloc((size_t)room, sizeof *attributes.text);
    CHECK(attributes.item && attributes.text, "out of memory while saving");
    list_attributes(t, &attributes);
    struct checkpoint_content content = {state_file_fields(t), attributes.item, attributes.count};

    const struct checkpoint_name now = checkpoint_name(t->standing.env_steps);
    struct checkpoint_name best_so_far = {.name = ""};
    if (t->standing.best_env_steps >= 0) best_so_far = checkpoint_name(t->standing.best_env_steps);
    const char *name = now.name;
    char path[sizeof t->path + 80];
    text_format(path, sizeof path, "%s/%s", t->path, name);
    code = checkpoint_write(path, &content, err);
    if (!code) code = file_link_replace(t->path, "latest.h5", name, err);
    if (!code && best) code = file_link_replace(t->path, "best.h5", name, err);
    if (!code) folder_prune(t->folder, (int)t->config->checkpoint_keep, best_so_far.name);
    free(content.fields.field);
    free(attributes.item);
    free(attributes.text);
    return code;
}

int state_save(struct trainer *t, bool best, struct error *err)
{
    watchdog_phase("saving a checkpoint");
    const double start = clock_seconds();
    int code = 0;
    for (int e = 0; e < t->learning.envs.count && t->env_bytes && !code; e++)
        code = vecenv_snapshot(t->learning.env, e, t->env_state + (size_t)e * t->env_bytes, err);
    if (code) die_error(err); /* an environment that can't be copied is a fault of its own, not of this save */
    t->learning.algorithm->ops->pull(t->learning.algorithm);
    comm_gather(t->comm, t->env_state, (size_t)t->learning.envs.count * t->env_bytes, t->env_state_all, t->env_sizes);
    t->standing.seconds = t->seconds_before + (start - t->began);
    if (t->comm->rank == 0) code = write_file(t, best, err);
    code = comm_vote(t->comm, code, err);
    const double took = clock_seconds() - start;
    t->seconds_save += took;
    t->last_save = clock_seconds();
    stop_save_took(t->stop, took);
    return code;
}

/* ---- loading ----------------------------------------------------------------------------------------------------------------------- */

int state_load(struct trainer *t, const struct checkpoint *file, struct error *err)
{
    const uint64_t hash = t->env_hash;
    int code = 0;
    if (t->comm->rank == 0) {
        struct field_list list = state_file_fields(t);
        code = checkpoint_read(file, &list, err);
        free(list.field);
        if (!code && t->env_hash != hash)
            code = error_set(err, EXIT_CHECKPOINT,
                             "the checkpoint's environments are of other rules, options or another version of %s than this program's",
                             vecenv_descriptor(t->learning.env)->id);
    }
    for (int i = 0; i < t->fields.count && !code && t->comm->rank == 0; i++) /* counts: none of ours is ever below 0 but the best's */
        if (t->fields.field[i].type == FIELD_INT64 && *(const int64_t *)t->fields.field[i].data < 0 &&
            t->fields.field[i].data != &t->standing.best_env_steps)
            code =
                error_set(err, EXIT_CHECKPOINT, "dataset %s holds a negative count: not a file of this program", t->fields.field[i].name);
    if ((code = comm_vote(t->comm, code, err))) return code;
    for (int i = 0; i < t->fields.count; i++) comm_broadcast(t->comm, t->fields.field[i].data, field_bytes(&t->fields.field[i]));
    t->learning.algorithm->ops->push(t->learning.algorithm);
    comm_scatter(t->comm, t->env_state_all, t->env_sizes, t->env_state, (size_t)t->learning.envs.count * t->env_bytes);
    for (int e = 0; e < t->learning.envs.count && t->env_bytes && !code; e++)
        code = vecenv_restore(t->learning.env, e, t->env_state + (size_t)e * t->env_bytes, err);
    t->seconds_before = t->standing.seconds;
    return comm_vote(t->comm, code, err);
}
