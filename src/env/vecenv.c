#include <string.h>

#include "env/identity.h"
#include "env/registry.h"
#include "env/vecenv_work.h"

/* ---- opening ---------------------------------------------------------------------------------------------- */

int vecenv_no_memory(const struct vecenv *v, struct error *err)
{
    return error_set(err, EXIT_USAGE, "not enough memory for %d environments of %d steps; lower rollout.envs or rollout.steps", v->envs,
                     v->horizon);
}

/* Room for ended episodes and for reports of them. */
static int take_lists(struct vecenv *v, struct error *err)
{
    bool failed = false;
    v->room = (int64_t)v->envs * (v->horizon < 1 ? 1 : v->horizon);
    if (v->report_most < 1 || v->report_most > v->room) v->report_most = (int32_t)v->room;
    v->episode = env_take((size_t)v->room, sizeof *v->episode, &failed);
    for (int i = 0; i < VECENV_REPORTS; i++) {
        v->report[i].episode = env_take((size_t)v->report_most, sizeof *v->report[i].episode, &failed);
        v->report[i].info = env_take(2 * (size_t)v->spec.infos, sizeof *v->report[i].info, &failed);
    }
    return failed ? vecenv_no_memory(v, err) : 0;
}

static struct vecenv *new_vecenv(const struct vecenv_config *config)
{
    struct vecenv *v = calloc(1, sizeof *v);
    if (!v) return NULL;
    v->envs = config->envs;
    v->first_env = config->first_env;
    v->horizon = config->horizon;
    v->report_most = config->report;
    v->squashes = config->squash_action;
    return v;
}

static int open_on_host(struct vecenv *v, const struct vecenv_config *config, struct error *err)
{
    const int rc = env_host_open(v, config, err);
    if (rc) return rc;
    slice_strides_of(&v->strides, &v->spec);
    for (int g = 0; g < v->spec.groups; g++) v->size[g] = group_sizes(&v->spec.group[g]);
    v->identity = identity_of(v->env, config);
    v->hash = identity_whole(v->env, v->options, &v->spec, config);
    return take_lists(v, err);
}

/* The options that come with a variant's name stand before those that were given, so that these win. To be freed. */
static struct env_option *options_with_variant(const struct vecenv_config *config, int *count)
{
    const struct env_variant *variant = registry_variant(config->name);
    const int own = variant ? variant->options : 0;
    struct env_option *option = malloc((size_t)(own + config->options + 1) * sizeof *option);
    if (!option) return NULL;
    for (int i = 0; i < own; i++) option[i] = variant->option[i];
    for (int i = 0; i < config->options; i++) option[own + i] = config->option[i];
    *count = own + config->options;
    return option;
}

int vecenv_open(struct vecenv **env, const struct vecenv_config *config, struct error *err)
{
    const struct mappo_env *found;
    *env = NULL;
    int rc = registry_find(config->name, &found, err);
    if (rc) return rc;
    if (config->envs < 1)
        return error_set(err, EXIT_USAGE, "environment \"%s\": %d environments; at least 1 is needed", found->id, config->envs);
    struct vecenv *v = new_vecenv(config);
    if (!v) return error_set(err, EXIT_INTERNAL, "out of memory");
    v->env = found;
    struct vecenv_config whole = *config;
    struct env_option *option = options_with_variant(config, &whole.options);
    whole.option = option;
    rc = option ? open_on_host(v, &whole, err) : error_set(err, EXIT_INTERNAL, "out of memory");
    free(option);
    if (rc) {
        vecenv_close(v);
        return rc;
    }
    *env = v;
    return 0;
}

int vecenv_join(struct vecenv **env, const struct env_place *place, const struct vecenv *like, const struct vecenv_config *config,
                struct error *err)
{
    *env = NULL;
    struct vecenv *v = new_vecenv(config);
    if (!v) return error_set(err, EXIT_INTERNAL, "out of memory");
    v->env = like->env;
    v->spec = like->spec;
    v->own = like->own;
    v->strides = like->strides;
    memcpy(v->size, like->size, sizeof v->size);
    memcpy(v->options, like->options, sizeof v->options);
    memcpy(v->changed, like->changed, sizeof v->changed);
    memcpy(v->wrappers, like->wrappers, sizeof v->wrappers);
    v->identity = like->identity;
    v->hash = like->hash;
    v->snapshot_bytes = like->snapshot_bytes;
    const int rc = take_lists(v, err);
    if (rc) {
        vecenv_close(v);
        return rc;
    }
    v->place = *place;
    *env = v;
    return 0;
}

void vecenv_close(struct vecenv *v)
{
    if (!v) return;
    if (v->place.ops) v->place.ops->close(v->place.self);
    free(v->episode);
    for (int i = 0; i < VECENV_REPORTS; i++) {
        free(v->report[i].episode);
        free(v->report[i].info);
    }
    free(v);
}

const struct mappo_env *vecenv_descriptor(const struct vecenv *v)
{
    return v->env;
}

const struct mappo_env_spec *vecenv_spec(const struct vecenv *v)
{
    return &v->spec;
}

const struct mappo_env_spec *vecenv_own_spec(const struct vecenv *v)
{
    return &v->own;
}

const char *vecenv_options(const struct vecenv *v)
{
    return v->options;
}

const char *vecenv_options_changed(const struct vecenv *v)
{
    return v->changed;
}

bool vecenv_squashes(const struct vecenv *v)
{
    return v->squashes;
}

const char *vecenv_wrappers(const struct vecenv *v)
{
    return v->wrappers;
}

uint64_t vecenv_identity(const struct vecenv *v)
{
    return v->identity;
}

uint64_t vecenv_hash(const struct vecenv *v)
{
    return v->hash;
}

int32_t vecenv_envs(const struct vecenv *v)
{
    return v->envs;
}

int vecenv_error(const struct vecenv *v, int code, int32_t e, const char *text, struct error *err)
{
    if (e < 0 || e >= v->envs) return error_set(err, code, "environment \"%s\": %.255s", v->env->id, text);
    return error_set(err, code, "environment \"%s\": number %u: %.255s", v->env->id, v->first_env + (uint32_t)e, text);
}

/* ---- asked of the place ----------------------------------------------------------------------------------- */

bool vecenv_on_device(const struct vecenv *v)
{
    return v->place.ops->on_device;
}

bool vecenv_owns_memory(const struct vecenv *v)
{
    return v->place.ops->memory != NULL;
}

void *vecenv_memory(struct vecenv *v, size_t bytes)
{
    return v->place.ops->memory(v->place.self, bytes);
}

int vecenv_reset(struct vecenv *v, const struct mappo_env_io *io, struct error *err)
{
    return v->place.ops->reset(v->place.self, io, err);
}

int vecenv_observe(struct vecenv *v, const struct mappo_env_io *io, struct error *err)
{
    return v->place.ops->observe(v->place.self, io, err);
}

int vecenv_step_begin(struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    return v->place.ops->step(v->place.self, lo, hi, io, err);
}

int vecenv_step_end(struct vecenv *v, int32_t lo, int32_t hi, struct error *err)
{
    const int rc = v->place.ops->wait ? v->place.ops->wait(v->place.self, lo, hi, err) : 0;
    for (int32_t e = lo; e < hi && !rc && v->place.ended; e++) {
        const uint8_t *next = memchr(v->place.ended + e, 1, (size_t)(hi - e));
        if (!next) break;
        e = (int32_t)(next - v->place.ended);
        v->place.ended[e] = 0;
        v->episode[(v->first + v->count) % v->room] = v->place.last[e];
        if (v->count < v->room)
            v->count++;
        else
            v->first = (v->first + 1) % v->room; /* nobody took them: the oldest gives way */
    }
    return rc;
}

bool vecenv_steps_elsewhere(const struct vecenv *v)
{
    return v->place.ops->wait != NULL;
}

int vecenv_step(struct vecenv *v, const struct mappo_env_io *io, struct error *err)
{
    const int rc = vecenv_step_begin(v, 0, v->envs, io, err);
    return rc ? rc : vecenv_step_end(v, 0, v->envs, err);
}

void vecenv_count_anew(struct vecenv *v)
{
    CHECK(v->place.ops->count_anew, "steps of environments elsewhere are counted there");
    v->place.ops->count_anew(v->place.self);
}

void vecenv_find_wrong_end(struct vecenv *v, uint64_t *first)
{
    v->place.ops->find_wrong_end(v->place.self, first);
}

bool vecenv_can_script(const struct vecenv *v)
{
    return v->env->script && v->place.ops->script;
}

int vecenv_script(struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    if (!vecenv_can_script(v)) return error_set(err, EXIT_USAGE, "environment \"%s\" has no scripted player", v->env->id);
    return v->place.ops->script(v->place.self, lo, hi, io, err);
}

int vecenv_draw(const struct vecenv *v, int32_t e, const struct mappo_canvas *canvas, struct error *err)
{
    if (!v->env->draw || !v->place.ops->draw) return error_set(err, EXIT_USAGE, "environment \"%s\" can't be drawn", v->env->id);
    return v->place.ops->draw(v->place.self, e, canvas, err);
}

bool vecenv_can_draw_ended(const struct vecenv *v)
{
    return v->envs == 1 && v->env->draw_ended && v->place.ops->draw;
}

int vecenv_draw_ended(const struct vecenv *v, const struct mappo_canvas *canvas, struct error *err)
{
    return v->place.ops->draw(v->place.self, -1, canvas, err);
}

size_t vecenv_snapshot_bytes(const struct vecenv *v)
{
    return v->snapshot_bytes;
}

int vecenv_snapshot(const struct vecenv *v, int32_t lo, int32_t hi, void *bytes, struct error *err)
{
    return v->place.ops->snapshot(v->place.self, lo, hi, bytes, err);
}

int vecenv_restore(struct vecenv *v, int32_t lo, int32_t hi, const void *bytes, struct error *err)
{
    return v->place.ops->restore(v->place.self, lo, hi, bytes, err);
}

/* ---- what ended ------------------------------------------------------------------------------------------- */

double episode_return(const struct mappo_env_spec *spec, int team, const struct episode *episode)
{
    double sum = 0, agents = 0;
    for (int g = 0; g < spec->groups; g++) {
        if (spec->group[g].team != team) continue;
        sum += (double)episode->group_return[g] * spec->group[g].agents;
        agents += spec->group[g].agents;
    }
    return agents > 0 ? sum / agents : episode->group_return[0];
}

int32_t episode_return_agents(const struct mappo_env_spec *spec, int team)
{
    int32_t agents = 0;
    for (int g = 0; g < spec->groups; g++) agents += spec->group[g].team == team ? spec->group[g].agents : 0;
    return agents > 0 ? agents : spec->group[0].agents;
}

int vecenv_take_episodes(struct vecenv *v, struct episode *out, int max)
{
    int taken = 0;
    CHECK(v->place.ended, "episodes of environments on a device are reported");
    for (; taken < max && v->count > 0; taken++, v->count--) {
        out[taken] = v->episode[v->first];
        v->first = (v->first + 1) % v->room;
    }
    if (v->count == 0) v->first = 0; /* pages that were touched are used again */
    return taken;
}

void vecenv_take_info(struct vecenv *v, double *sum, double *count)
{
    CHECK(v->place.ops->take_info, "infos of environments on a device are reported");
    v->place.ops->take_info(v->place.self, sum, count);
}

void vecenv_report_begin(struct vecenv *v)
{
    const int slot = (int)(v->reports_begun++ % VECENV_REPORTS);
    struct env_report *report = &v->report[slot];
    CHECK(v->reports_begun - v->reports_ended <= VECENV_REPORTS, "too many reports that nobody has read");
    if (v->place.ops->report_begin) {
        v->place.ops->report_begin(v->place.self, slot);
        return;
    }
    report->ended = v->count;
    report->listed = v->count < v->report_most ? (int32_t)v->count : v->report_most;
    const int64_t skipped = report->ended - report->listed;
    v->first = (v->first + skipped) % v->room;
    v->count -= skipped;
    vecenv_take_episodes(v, report->episode, report->listed);
    vecenv_take_info(v, report->info, report->info + v->spec.infos);
}

struct env_report vecenv_report_end(struct vecenv *v)
{
    CHECK(v->reports_ended < v->reports_begun, "a report that was not begun");
    const int slot = (int)(v->reports_ended++ % VECENV_REPORTS);
    return v->place.ops->report_end ? v->place.ops->report_end(v->place.self, slot) : v->report[slot];
}
