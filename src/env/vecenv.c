#include "env/vecenv.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "env/account.h"
#include "env/calls.h"
#include "env/device.h"
#include "env/lane.h"
#include "env/options.h"
#include "env/registry.h"
#include "env/spec.h"
#include "env/wrappers.h"

enum { TEXT = 4096, MAX_THREADS = 1024 };

/* A batch on a device: whether its host copies of states and wrappers can be believed. */
struct copies {
    int32_t next; /* they were fetched for the environments before this one, one after the other; -1 = they are old */
    bool changed; /* they are newer than the device's */
};

struct vecenv {
    const struct mappo_env *env;
    void *self;
    struct mappo_env_spec spec; /* as the learner sees it */
    struct lane_strides strides;
    struct group_sizes size[MAPPO_MAX_GROUPS];
    char options[TEXT];
    uint64_t hash;
    int32_t envs, time_limit, horizon, report_most;
    uint32_t first_env;
    int threads;

    struct wrapper_lane *lane; /* [E] */
    struct action_wrapper action[MAPPO_MAX_GROUPS];
    float *reward[MAPPO_MAX_GROUPS]; /* [E][A] where the caller wants none: statistics need it */
    uint8_t *ep_end;                 /* [E] likewise */
    float *info;                     /* [E][infos] likewise */
    bool infos_at_end;               /* some column is of the episode so far */
    double *info_sum, *info_count;   /* [E][infos] since vecenv_take_info; per environment, so that threads don't matter */

    uint64_t *taken;         /* [E] steps since this vecenv was opened */
    uint8_t *ended;          /* [E] an episode waits in `last` for vecenv_step_end */
    struct episode *last;    /* [E] */
    struct episode *episode; /* [room] ring of ended episodes */
    int64_t room, first, count;
    struct env_report report[VECENV_REPORTS]; /* of the host's environments */
    int64_t reports_begun, reports_ended;

    struct mappo_env_error *error; /* [threads] */
    int *code;                     /* [threads] */

    const struct env_device_ops *device_ops;
    struct env_device *device; /* NULL = on the host */
    struct copies *copies;

    struct vecenv_elsewhere elsewhere; /* self = NULL: they step here, or on the device */
};

/* ---- opening ---------------------------------------------------------------------------------------------- */

/* What guards snapshots: everything but seed, indices and sizes of batches. */
static uint64_t hash_environment(const struct vecenv *v, const struct vecenv_config *config)
{
    const int64_t wrappers[3] = {config->time_limit, config->rescale_action, config->clip_action};
    uint64_t hash = hash_text(HASH_START, v->env->id);
    hash = hash_bytes(hash, &v->env->version, sizeof v->env->version);
    hash = hash_text(hash, v->options);
    hash = spec_hash(hash, &v->spec);
    return hash_bytes(hash, wrappers, sizeof wrappers);
}

static int open_instance(struct vecenv *v, const struct vecenv_config *config, struct error *err)
{
    struct mappo_value *value = calloc((size_t)options_count(v->env) + 1, sizeof *value);
    struct mappo_env_error error = {.env = -1};
    if (!value) return error_set(err, EXIT_INTERNAL, "out of memory");
    int rc = options_read(v->env, config->option, config->options, value, v->options, sizeof v->options, err);
    if (rc == 0) {
        const struct mappo_env_config env_config = {.struct_size = sizeof env_config,
                                                    .option = value,
                                                    .options_text = v->options,
                                                    .envs = config->envs,
                                                    .first_env = config->first_env,
                                                    .seed = config->seed,
                                                    .stream = config->stream};
        if (call_create(v->env, &env_config, &v->self, &error) || !v->self) {
            error.text[sizeof error.text - 1] = 0;
            rc = error_set(err, EXIT_USAGE, "environment \"%s\": %s", v->env->id, error.text[0] ? error.text : "it cannot be created");
            v->self = NULL;
        }
    }
    free(value);
    return rc;
}

static void *take(size_t count, size_t size, bool *failed)
{
    void *bytes = calloc(count ? count : 1, size);
    if (!bytes) *failed = true;
    return bytes;
}

static bool take_reports(struct vecenv *v)
{
    bool failed = false;
    if (v->report_most < 1 || v->report_most > v->room) v->report_most = (int32_t)v->room;
    for (int i = 0; i < VECENV_REPORTS; i++) {
        v->report[i].episode = take((size_t)v->report_most, sizeof *v->report[i].episode, &failed);
        v->report[i].info = take(2 * (size_t)v->spec.infos, sizeof *v->report[i].info, &failed);
    }
    return !failed;
}

static int take_memory(struct vecenv *v, struct error *err)
{
    const size_t envs = (size_t)v->envs, infos = (size_t)v->spec.infos;
    bool failed = false;
    v->room = (int64_t)envs * (v->horizon < 1 ? 1 : v->horizon);
    v->lane = take(envs, sizeof *v->lane, &failed);
    v->ep_end = take(envs, 1, &failed);
    v->ended = take(envs, 1, &failed);
    v->taken = take(envs, sizeof *v->taken, &failed);
    v->last = take(envs, sizeof *v->last, &failed);
    v->episode = take((size_t)v->room, sizeof *v->episode, &failed);
    v->info = take(envs * infos, sizeof *v->info, &failed);
    v->info_sum = take(envs * infos, sizeof *v->info_sum, &failed);
    v->info_count = take(envs * infos, sizeof *v->info_count, &failed);
    v->error = take((size_t)v->threads, sizeof *v->error, &failed);
    v->code = take((size_t)v->threads, sizeof *v->code, &failed);
    v->copies = take(1, sizeof *v->copies, &failed);
    for (int g = 0; g < v->spec.groups; g++) v->reward[g] = take(envs * (size_t)v->spec.group[g].agents, sizeof(float), &failed);
    failed = failed || !take_reports(v);
    return failed ? error_set(err, EXIT_USAGE, "not enough memory for %d environments of %d steps; lower rollout.envs or rollout.steps",
                              v->envs, v->horizon)
                  : 0;
}

static int open_wrapped(struct vecenv *v, const struct vecenv_config *config, struct error *err)
{
    int rc = open_instance(v, config, err);
    if (rc) return rc;
    const struct mappo_env_spec *spec = call_spec(v->env, v->self);
    rc = spec_check(v->env, spec, err);
    if (rc) return rc;
    v->spec = *spec;
    lane_strides_of(&v->strides, &v->spec);
    for (int k = 0; k < v->spec.infos; k++) v->infos_at_end = v->infos_at_end || v->spec.info[k].at_end;
    if (v->time_limit && (v->spec.max_steps == 0 || v->time_limit < v->spec.max_steps))
        v->spec.max_steps = v->time_limit;
    else
        v->time_limit = 0; /* the environment's own limit comes first */
    for (int g = 0; g < v->spec.groups; g++) {
        v->size[g] = group_sizes(&v->spec.group[g]);
        rc = action_wrapper_create(&v->action[g], config, &v->spec.group[g], err);
        if (rc) return rc;
    }
    v->hash = hash_environment(v, config);
    return take_memory(v, err);
}

int vecenv_open(struct vecenv **env, const struct vecenv_config *config, struct error *err)
{
    const struct mappo_env *found;
    *env = NULL;
    const int rc = registry_find(config->name, &found, err);
    if (rc) return rc;
    if (config->envs < 1)
        return error_set(err, EXIT_USAGE, "environment \"%s\": %d environments; at least 1 is needed", found->id, config->envs);
    struct vecenv *v = calloc(1, sizeof *v);
    if (!v) return error_set(err, EXIT_INTERNAL, "out of memory");
    v->env = found;
    v->envs = config->envs;
    v->first_env = config->first_env;
    v->time_limit = config->time_limit;
    v->horizon = config->horizon;
    v->report_most = config->report;
    v->threads = config->threads < 1 ? 1 : config->threads > MAX_THREADS ? MAX_THREADS : config->threads;
    const int failed = open_wrapped(v, config, err);
    if (failed) {
        vecenv_close(v);
        return failed;
    }
    *env = v;
    return 0;
}

int vecenv_join(struct vecenv **env, const struct vecenv *like, int32_t envs, uint32_t first_env, int32_t horizon, int32_t report,
                const struct vecenv_elsewhere *elsewhere, struct error *err)
{
    struct vecenv *v = *env = calloc(1, sizeof *v);
    if (!v) return error_set(err, EXIT_INTERNAL, "out of memory");
    v->env = like->env;
    v->spec = like->spec;
    v->strides = like->strides;
    memcpy(v->size, like->size, sizeof v->size);
    memcpy(v->options, like->options, sizeof v->options);
    v->hash = like->hash;
    v->envs = envs;
    v->first_env = first_env;
    v->horizon = horizon;
    v->report_most = report;
    v->elsewhere = *elsewhere;
    v->ended = elsewhere->ended;
    v->last = elsewhere->last;
    v->room = (int64_t)envs * (horizon < 1 ? 1 : horizon);
    v->episode = calloc((size_t)v->room, sizeof *v->episode);
    if (v->episode && take_reports(v)) return 0;
    vecenv_close(v);
    *env = NULL;
    return error_set(err, EXIT_USAGE, "not enough memory for %d environments of %d steps; lower rollout.envs or rollout.steps", envs,
                     horizon);
}

void vecenv_close(struct vecenv *v)
{
    if (!v) return;
    if (v->elsewhere.self) v->ended = NULL, v->last = NULL; /* not ours */
    if (v->device) v->device_ops->close(v->device);
    if (v->self) call_destroy(v->env, v->self);
    for (int g = 0; g < MAPPO_MAX_GROUPS; g++) {
        action_wrapper_destroy(&v->action[g]);
        free(v->reward[g]);
    }
    free(v->lane);
    free(v->ep_end);
    free(v->ended);
    free(v->taken);
    free(v->last);
    free(v->episode);
    for (int i = 0; i < VECENV_REPORTS; i++) {
        free(v->report[i].episode);
        free(v->report[i].info);
    }
    free(v->info);
    free(v->info_sum);
    free(v->info_count);
    free(v->error);
    free(v->code);
    free(v->copies);
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

const char *vecenv_options(const struct vecenv *v)
{
    return v->options;
}

uint64_t vecenv_hash(const struct vecenv *v)
{
    return v->hash;
}

int32_t vecenv_envs(const struct vecenv *v)
{
    return v->envs;
}

/* ---- one range, on the calling thread --------------------------------------------------------------------- */

/* What the environment doesn't write because it never changes. */
static void fill_ones(const struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    for (int g = 0; g < v->spec.groups; g++) {
        const struct mappo_group_io *group = &io->group[g];
        const size_t agents = (size_t)v->size[g].agents, logits = agents * (size_t)v->size[g].logits;
        const uint32_t flags = v->spec.group[g].flags;
        if (group->active && !(flags & MAPPO_HAS_ACTIVE)) memset(group->active + (size_t)lo * agents, 1, (size_t)(hi - lo) * agents);
        if (group->act_mask && !(flags & MAPPO_HAS_MASK)) memset(group->act_mask + (size_t)lo * logits, 1, (size_t)(hi - lo) * logits);
    }
}

static void copy_lane(float *to, const float *from, int32_t e, int32_t stride)
{
    if (to && from) memcpy(to + (size_t)e * (size_t)stride, from + (size_t)e * (size_t)stride, (size_t)stride * sizeof *to);
}

/* Ends the episode of environment e from outside: what it sees now becomes its final observation, and it starts anew. */
static int truncate_episode(const struct vecenv *v, int32_t e, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    for (int g = 0; g < v->spec.groups; g++) {
        copy_lane(io->group[g].final_obs, io->group[g].obs, e, v->strides.group[g].obs);
        copy_lane(io->group[g].final_state, io->group[g].state, e, v->strides.group[g].state);
    }
    copy_lane(io->final_state, io->state, e, v->strides.state);
    io->ep_end[e] = MAPPO_TRUNCATED;
    return call_reset(v->env, v->self, e, e + 1, io, error);
}

static void account_rewards(const struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    for (int g = 0; g < v->spec.groups; g++) {
        const int32_t agents = v->size[g].agents;
        const float *reward = io->group[g].reward + (size_t)lo * (size_t)agents;
        for (int32_t e = lo; e < hi; e++, reward += agents) account_reward(&v->lane[e].reward_sum[g], reward, agents);
    }
}

/* Info columns of a range: those of every step here, those of episodes where they end. */
static void account_infos(const struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    const size_t infos = (size_t)v->spec.infos, first = (size_t)lo * infos, last = (size_t)hi * infos;
    const float *restrict info = io->info;
    double *restrict sum = v->info_sum, *restrict count = v->info_count;
    if (!v->infos_at_end)
        for (size_t i = first; i < last; i++) account_info(&sum[i], &count[i], info[i], 1);
    else
        for (size_t i = first; i < last; i++)
            account_info(&sum[i], &count[i], info[i], io->ep_end[i / infos] || !v->spec.info[i % infos].at_end);
}

static void end_episode(const struct vecenv *v, int32_t e, int end)
{
    struct wrapper_lane *lane = &v->lane[e];
    struct episode *episode = &v->last[e];
    *episode = (struct episode){.step = v->taken[e], .env = v->first_env + (uint32_t)e, .length = (int32_t)lane->steps, .end = end};
    for (int g = 0; g < v->spec.groups; g++) episode->group_return[g] = account_return(lane->reward_sum[g], v->size[g].agents);
    memset(lane, 0, sizeof *lane);
    v->ended[e] = 1;
}

/* Statistics and time limit of a range after its step. */
static int account(const struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    account_rewards(v, lo, hi, io);
    for (int32_t e = lo; e < hi; e++) {
        v->taken[e]++;
        if (io->ep_end[e] > MAPPO_TRUNCATED) {
            error->env = e;
            text_format(error->text, sizeof error->text, "it wrote ep_end = %d, which means nothing", io->ep_end[e]);
            return -1;
        }
        if (account_step(&v->lane[e].steps, v->time_limit, io->ep_end[e])) {
            const int rc = truncate_episode(v, e, io, error);
            if (rc) return rc;
        }
        if (io->ep_end[e]) end_episode(v, e, io->ep_end[e]);
    }
    if (v->spec.infos) account_infos(v, lo, hi, io);
    return 0;
}

/* What the environment is given in place of what the learner gave: wrapped actions, and room where statistics need an array that nobody
 * wants. */
static void inner_io(struct vecenv *v, struct mappo_env_io *inner, const struct mappo_env_io *given)
{
    *inner = *given;
    inner->struct_size = sizeof *inner;
    inner->groups = v->spec.groups;
    for (int g = 0; g < v->spec.groups; g++) {
        if (!inner->group[g].reward) inner->group[g].reward = v->reward[g];
        if (v->action[g].changed) inner->group[g].act_real = v->action[g].changed;
    }
    if (!inner->ep_end) inner->ep_end = v->ep_end;
    if (!inner->info) inner->info = v->info;
}

static int step_range(const struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
                      struct mappo_env_error *error)
{
    error->env = -1;
    error->text[0] = 0;
    for (int g = 0; g < v->spec.groups; g++) {
        const size_t agents = (size_t)v->size[g].agents;
        if (v->action[g].changed)
            action_wrapper_apply(&v->action[g], given->group[g].act_real, (size_t)lo * agents, (size_t)hi * agents, v->size[g].act_reals);
    }
    int rc = call_step(v->env, v->self, lo, hi, inner, error);
    if (rc == 0) rc = account(v, lo, hi, inner, error);
    fill_ones(v, lo, hi, inner);
    return rc;
}

/* An environment's own words, with which environment it was. */
static int environment_error(const struct vecenv *v, const struct mappo_env_error *error, struct error *err)
{
    const char *text = error->text[0] ? error->text : "it failed without saying why";
    if (error->env < 0 || error->env >= v->envs) return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": %.255s", v->env->id, text);
    return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": number %u: %.255s", v->env->id, v->first_env + (uint32_t)error->env, text);
}

/* ---- devices ---------------------------------------------------------------------------------------------- */

bool vecenv_attach(struct vecenv *v, const struct env_device_ops *ops, struct backend *backend, char *why, size_t size)
{
    struct mappo_device program = {.struct_size = sizeof program};
    const char *lacks = NULL;
    if (v->elsewhere.self)
        lacks = "several ranks step it";
    else if (!ops)
        lacks = "this backend steps no environments";
    else if (!v->env->device)
        lacks = "it has no kernels";
    else if (call_device(v->env, v->self, &program) || !program.kernels)
        lacks = "its kernels are not in this build, or don't know these options";
    if (lacks) {
        text_format(why, size, "%s: %s", v->env->id, lacks);
        return false;
    }
    const struct env_device_config config = {.program = &program,
                                             .spec = &v->spec,
                                             .envs = v->envs,
                                             .horizon = v->horizon < 1 ? 1 : v->horizon,
                                             .report = v->report_most,
                                             .time_limit = v->time_limit,
                                             .first_env = v->first_env,
                                             .taken = v->taken[0],
                                             .lane = v->lane,
                                             .action = v->action};
    if (v->device) { /* where its memory was only planned, or another one */
        if (!v->copies->changed) v->device_ops->pull(v->device);
        v->device_ops->close(v->device);
    }
    v->device_ops = ops;
    v->device = ops->open(backend, &config);
    *v->copies = (struct copies){.next = -1};
    return true;
}

bool vecenv_on_device(const struct vecenv *v)
{
    return v->device != NULL;
}

/* Before a call that the device answers: true where there is one. It then has what was restored, and the host's copies become old. */
static bool to_device(struct vecenv *v)
{
    if (!v->device) return false;
    if (v->copies->changed) v->device_ops->push(v->device);
    *v->copies = (struct copies){.next = -1};
    return true;
}

/* Before the host's copy of environment e is read. Who goes through the environments in order pays for one transfer; steps may have been
 * replayed since the last one without a word, so everyone else pays for each. */
static void from_device(const struct vecenv *v, int32_t e)
{
    if (!v->device) return;
    if (!v->copies->changed && (e == 0 || e != v->copies->next)) v->device_ops->pull(v->device);
    v->copies->next = e + 1;
}

/* ---- batches ---------------------------------------------------------------------------------------------- */

typedef int range_call(const struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
                       struct mappo_env_error *error);

/* Runs `call` over [lo, hi) on all threads, or on the calling thread where it is already one of several. The first range that failed
 * speaks. */
static int over_ranges(struct vecenv *v, range_call *call, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    struct mappo_env_io inner;
    inner_io(v, &inner, io);
    const int threads = hi - lo < v->threads ? (int)(hi - lo) : v->threads;
    if (threads <= 1 || omp_in_parallel()) {
        struct mappo_env_error error = {.env = -1};
        const int rc = call(v, lo, hi, io, &inner, &error);
        return rc ? environment_error(v, &error, err) : 0;
    }
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int k = 0; k < threads; k++) {
        const int64_t width = hi - lo;
        v->code[k] = call(v, lo + (int32_t)(width * k / threads), lo + (int32_t)(width * (k + 1) / threads), io, &inner, &v->error[k]);
    }
    for (int k = 0; k < threads; k++)
        if (v->code[k]) return environment_error(v, &v->error[k], err);
    return 0;
}

static int reset_range(const struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
                       struct mappo_env_error *error)
{
    (void)given;
    error->env = -1;
    error->text[0] = 0;
    memset(v->lane + lo, 0, (size_t)(hi - lo) * sizeof *v->lane);
    memset(v->ended + lo, 0, (size_t)(hi - lo));
    const int rc = call_reset(v->env, v->self, lo, hi, inner, error);
    fill_ones(v, lo, hi, inner);
    return rc;
}

static int observe_range(const struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
                         struct mappo_env_error *error)
{
    (void)given;
    error->env = -1;
    error->text[0] = 0;
    const int rc = call_observe(v->env, v->self, lo, hi, inner);
    fill_ones(v, lo, hi, inner);
    return rc;
}

int vecenv_reset(struct vecenv *v, const struct mappo_env_io *io, struct error *err)
{
    if (v->elsewhere.self) return v->elsewhere.reset(v->elsewhere.self, io, err);
    if (!to_device(v)) return over_ranges(v, reset_range, 0, v->envs, io, err);
    v->device_ops->reset(v->device, io);
    return 0;
}

int vecenv_observe(struct vecenv *v, const struct mappo_env_io *io, struct error *err)
{
    if (v->elsewhere.self) return v->elsewhere.observe(v->elsewhere.self, io, err);
    if (!to_device(v)) return over_ranges(v, v->env->observe ? observe_range : reset_range, 0, v->envs, io, err);
    v->device_ops->observe(v->device, io);
    return 0;
}

int vecenv_step_begin(struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    CHECK(!v->device, "environments on a device step all at once");
    if (v->elsewhere.self) return v->elsewhere.step(v->elsewhere.self, lo, hi, io, err);
    return over_ranges(v, step_range, lo, hi, io, err);
}

int vecenv_step_end(struct vecenv *v, int32_t lo, int32_t hi, struct error *err)
{
    (void)err;
    for (int32_t e = lo; e < hi; e++) {
        if (!v->ended[e]) continue;
        v->ended[e] = 0;
        v->episode[(v->first + v->count) % v->room] = v->last[e];
        if (v->count < v->room)
            v->count++;
        else
            v->first = (v->first + 1) % v->room; /* nobody took them: the oldest gives way */
    }
    return 0;
}

int vecenv_step(struct vecenv *v, const struct mappo_env_io *io, struct error *err)
{
    if (to_device(v)) {
        v->device_ops->step(v->device, io);
        return 0;
    }
    const int rc = vecenv_step_begin(v, 0, v->envs, io, err);
    return rc ? rc : vecenv_step_end(v, 0, v->envs, err);
}

/* ---- scripted player, statistics, snapshots --------------------------------------------------------------- */

bool vecenv_can_script(const struct vecenv *v)
{
    return v->env->script != NULL && v->self;
}

int vecenv_script(struct vecenv *v, int32_t *const act_int[], float *const act_real[], struct error *err)
{
    if (!vecenv_can_script(v)) return error_set(err, EXIT_USAGE, "environment \"%s\" has no scripted player", v->env->id);
    from_device(v, 0);
    if (call_script(v->env, v->self, 0, v->envs, act_int, act_real))
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": its scripted player failed", v->env->id);
    for (int g = 0; g < v->spec.groups; g++) /* a script plays in the environment's units, the learner's side of the wrapper has others */
        if (v->action[g].changed && v->action[g].rescale)
            action_wrapper_invert(&v->action[g], act_real[g], (size_t)v->envs * (size_t)v->size[g].agents, v->size[g].act_reals);
    return 0;
}

int vecenv_draw(const struct vecenv *v, int32_t e, const struct mappo_canvas *canvas, struct error *err)
{
    if (!v->env->draw || !v->self) return error_set(err, EXIT_USAGE, "environment \"%s\" can't be drawn", v->env->id);
    from_device(v, e);
    if (call_draw(v->env, v->self, e, canvas)) return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": drawing failed", v->env->id);
    return 0;
}

double episode_return(const struct mappo_env_spec *spec, const struct episode *episode)
{
    double sum = 0, agents = 0;
    for (int g = 0; g < spec->groups; g++) {
        if (spec->group[g].team != 0) continue;
        sum += (double)episode->group_return[g] * spec->group[g].agents;
        agents += spec->group[g].agents;
    }
    return agents > 0 ? sum / agents : episode->group_return[0];
}

int vecenv_take_episodes(struct vecenv *v, struct episode *out, int max)
{
    int taken = 0;
    CHECK(!v->device, "episodes of environments on a device are reported");
    for (; taken < max && v->count > 0; taken++, v->count--) {
        out[taken] = v->episode[v->first];
        v->first = (v->first + 1) % v->room;
    }
    if (v->count == 0) v->first = 0; /* pages that were touched are used again */
    return taken;
}

void vecenv_take_info(struct vecenv *v, double *sum, double *count)
{
    const size_t infos = (size_t)v->spec.infos, envs = (size_t)v->envs;
    if (v->elsewhere.self) {
        v->elsewhere.take_info(v->elsewhere.self, sum, count);
        return;
    }
    CHECK(!v->device, "infos of environments on a device are reported");
    for (size_t k = 0; k < infos; k++) {
        sum[k] = count[k] = 0;
        for (size_t e = 0; e < envs; e += ACCOUNT_CHUNK) {
            const size_t chunk = envs - e < ACCOUNT_CHUNK ? envs - e : ACCOUNT_CHUNK;
            sum[k] += account_sum(v->info_sum + e * infos + k, infos, chunk);
            count[k] += account_sum(v->info_count + e * infos + k, infos, chunk);
        }
    }
    memset(v->info_sum, 0, (size_t)v->envs * infos * sizeof *v->info_sum);
    memset(v->info_count, 0, (size_t)v->envs * infos * sizeof *v->info_count);
}

void vecenv_report_begin(struct vecenv *v)
{
    const int slot = (int)(v->reports_begun++ % VECENV_REPORTS);
    struct env_report *report = &v->report[slot];
    CHECK(v->reports_begun - v->reports_ended <= VECENV_REPORTS, "too many reports that nobody has read");
    if (to_device(v)) {
        v->device_ops->report(v->device, slot);
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
    return v->device ? v->device_ops->read_report(v->device, slot) : v->report[slot];
}

/* A snapshot: guard, wrappers, instance. */
struct snapshot_head {
    uint64_t hash;
    struct wrapper_lane lane;
};

size_t vecenv_snapshot_bytes(const struct vecenv *v)
{
    return v->spec.snapshot_bytes ? sizeof(struct snapshot_head) + v->spec.snapshot_bytes : 0;
}

int vecenv_snapshot(const struct vecenv *v, int32_t e, void *bytes, struct error *err)
{
    if (v->elsewhere.self) return v->elsewhere.snapshot(v->elsewhere.self, e, bytes, err);
    from_device(v, e);
    const struct snapshot_head head = {.hash = v->hash, .lane = v->lane[e]};
    memcpy(bytes, &head, sizeof head);
    if (call_snapshot(v->env, v->self, e, (char *)bytes + sizeof head))
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": number %u cannot be saved", v->env->id, v->first_env + (uint32_t)e);
    return 0;
}

int vecenv_restore(struct vecenv *v, int32_t e, const void *bytes, struct error *err)
{
    struct snapshot_head head;
    struct mappo_env_error error = {.env = e};
    if (v->elsewhere.self) return v->elsewhere.restore(v->elsewhere.self, e, bytes, err);
    memcpy(&head, bytes, sizeof head);
    if (head.hash != v->hash)
        return error_set(err, EXIT_CHECKPOINT,
                         "environment \"%s\": the snapshot belongs to another environment, version, set of options or wrappers",
                         v->env->id);
    bool sound = head.lane.steps >= 0;
    for (int g = 0; g < MAPPO_MAX_GROUPS; g++) sound = sound && isfinite(head.lane.reward_sum[g]);
    if (!sound)
        return error_set(err, EXIT_CHECKPOINT, "environment \"%s\": number %u: the snapshot's episode statistics are damaged", v->env->id,
                         v->first_env + (uint32_t)e);
    from_device(v, e);
    if (v->device) v->copies->changed = true;
    if (call_restore(v->env, v->self, e, (const char *)bytes + sizeof head, &error)) {
        error.env = e;
        environment_error(v, &error, err);
        if (err) err->code = EXIT_CHECKPOINT;
        return EXIT_CHECKPOINT;
    }
    v->lane[e] = head.lane;
    v->ended[e] = 0;
    return 0;
}
