#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "env/account.h"
#include "env/calls.h"
#include "env/crew.h"
#include "env/device.h"
#include "env/identity.h"
#include "env/judge.h"
#include "env/options.h"
#include "env/registry.h"
#include "env/spec.h"
#include "env/vecenv_work.h"

enum { MAX_THREADS = 1024 };

/* ---- opening ---------------------------------------------------------------------------------------------- */

/* Texts must last as long as the instance: what was given need not. */
static bool keep_texts(struct vecenv *v, struct mappo_value *value)
{
    const int count = options_count(v->env);
    size_t size = 1, used = 0;
    for (int k = 0; k < count; k++) size += value[k].text ? strlen(value[k].text) + 1 : 0;
    v->texts = malloc(size);
    for (int k = 0; k < count && v->texts; k++) {
        if (!value[k].text) continue;
        const size_t length = strlen(value[k].text) + 1;
        value[k].text = memcpy(v->texts + used, value[k].text, length);
        used += length;
    }
    return v->texts;
}

static int open_instance(struct vecenv *v, const struct vecenv_config *config, struct error *err)
{
    struct mappo_value *value = calloc((size_t)options_count(v->env) + 1, sizeof *value);
    struct mappo_env_error error = {.env = -1};
    if (!value) return error_set(err, EXIT_INTERNAL, "out of memory");
    int rc = options_read(v->env, config->option, config->options, value, v->options, sizeof v->options, err);
    if (rc == 0 && !keep_texts(v, value)) rc = error_set(err, EXIT_INTERNAL, "out of memory");
    if (rc == 0) {
        options_changed(v->env, value, v->changed, sizeof v->changed);
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
    calls_enter(v->env->id, "while its spec was read"); /* it may point anywhere */
    rc = spec_check(v->env, spec, err);
    calls_leave();
    if (rc) return rc;
    spec_copy(&v->spec, spec);
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
    v->identity = identity_of(v->env, config);
    v->hash = identity_whole(v->env, v->options, &v->spec, config);
    return take_memory(v, err);
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
    struct vecenv_config whole = *config;
    struct env_option *option = options_with_variant(config, &whole.options);
    whole.option = option;
    const int failed = option ? open_wrapped(v, &whole, err) : error_set(err, EXIT_INTERNAL, "out of memory");
    free(option);
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
    memcpy(v->changed, like->changed, sizeof v->changed);
    v->identity = like->identity;
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
    free(v->texts);
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

const char *vecenv_options_changed(const struct vecenv *v)
{
    return v->changed;
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
    return call_reset(v->env, v->self, e, e + 1, io, error) ? EXIT_ENVIRONMENT : 0;
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

/* Statistics and time limit of a range after its step: 0 or an exit code. */
static int account(const struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    const struct judge judge = {&v->spec, &v->strides};
    account_rewards(v, lo, hi, io);
    for (int32_t e = lo; e < hi; e++) {
        int rc = 0;
        v->taken[e]++;
        if (account_step(&v->lane[e].steps, v->time_limit, io->ep_end[e])) rc = truncate_episode(v, e, io, error);
        if (rc == 0) rc = judge_end(&judge, e, io->ep_end[e], v->lane[e].steps, error);
        if (rc) return rc;
        if (io->ep_end[e]) end_episode(v, e, io->ep_end[e]);
    }
    if (v->spec.infos) account_infos(v, lo, hi, io);
    return 0;
}

/* After the environment's own part, on the same thread: a look at what it wrote, or an exit code. */
static int finish_range(const struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *io, bool stepped,
                        struct mappo_env_error *error)
{
    fill_ones(v, lo, hi, io);
    return judge_range(&(struct judge){&v->spec, &v->strides}, io, lo, hi, stepped, error);
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
    int rc = call_step(v->env, v->self, lo, hi, inner, error) ? EXIT_ENVIRONMENT : 0;
    if (rc == 0) rc = account(v, lo, hi, inner, error);
    return rc ? rc : finish_range(v, lo, hi, inner, true, error);
}

int vecenv_error(const struct vecenv *v, int code, int32_t e, const char *text, struct error *err)
{
    if (e < 0 || e >= v->envs) return error_set(err, code, "environment \"%s\": %.255s", v->env->id, text);
    return error_set(err, code, "environment \"%s\": number %u: %.255s", v->env->id, v->first_env + (uint32_t)e, text);
}

/* An environment's own words, with which environment it was. */
static int environment_error(const struct vecenv *v, int code, const struct mappo_env_error *error, struct error *err)
{
    return vecenv_error(v, code, error->env, error->text[0] ? error->text : "it failed without saying why", err);
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
    else if (call_device(v->env, v->self, &program) || !(program.kernels || (program.kernels = registry_kernels(v->env))))
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
bool vecenv_to_device(struct vecenv *v)
{
    if (!v->device) return false;
    if (v->copies->changed) v->device_ops->push(v->device);
    *v->copies = (struct copies){.next = -1};
    return true;
}

void vecenv_find_wrong_end(struct vecenv *v, uint64_t *first)
{
    v->device_ops->find_wrong_end(v->device, first);
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

/* 0 or an exit code, and then *error. */
typedef int range_call(const struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
                       struct mappo_env_error *error);

struct ranges { /* [lo, hi) in `parts` */
    struct vecenv *v;
    range_call *call;
    int32_t lo, hi;
    int parts;
    const struct mappo_env_io *given, *inner;
};

static void run_range(void *self, int k)
{
    const struct ranges *r = self;
    struct vecenv *v = r->v;
    const int64_t width = r->hi - r->lo;
    const int32_t from = r->lo + (int32_t)(width * k / r->parts), to = r->lo + (int32_t)(width * (k + 1) / r->parts);
    v->code[k] = r->call(v, from, to, r->given, r->inner, &v->error[k]);
}

/* Runs `call` over [lo, hi) on all threads, or on the calling thread where it is already one of several. The first range that failed
 * speaks. */
static int over_ranges(struct vecenv *v, range_call *call, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    struct mappo_env_io inner;
    inner_io(v, &inner, io);
    struct ranges ranges = {v, call, lo, hi, hi - lo < v->threads ? (int)(hi - lo) : v->threads, io, &inner};
    if (ranges.parts <= 1 || (omp_in_parallel() && !crew_attends())) {
        struct mappo_env_error error = {.env = -1};
        const int code = call(v, lo, hi, io, &inner, &error);
        return code ? environment_error(v, code, &error, err) : 0;
    }
    crew_share(ranges.parts, run_range, &ranges);
    for (int k = 0; k < ranges.parts; k++)
        if (v->code[k]) return environment_error(v, v->code[k], &v->error[k], err);
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
    if (call_reset(v->env, v->self, lo, hi, inner, error)) return EXIT_ENVIRONMENT;
    return finish_range(v, lo, hi, inner, false, error);
}

static int observe_range(const struct vecenv *v, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
                         struct mappo_env_error *error)
{
    (void)given;
    error->env = -1;
    error->text[0] = 0;
    if (call_observe(v->env, v->self, lo, hi, inner)) return EXIT_ENVIRONMENT;
    return finish_range(v, lo, hi, inner, false, error);
}

int vecenv_reset(struct vecenv *v, const struct mappo_env_io *io, struct error *err)
{
    if (v->elsewhere.self) return v->elsewhere.reset(v->elsewhere.self, io, err);
    if (!vecenv_to_device(v)) return over_ranges(v, reset_range, 0, v->envs, io, err);
    v->device_ops->reset(v->device, io);
    return 0;
}

int vecenv_observe(struct vecenv *v, const struct mappo_env_io *io, struct error *err)
{
    if (v->elsewhere.self) return v->elsewhere.observe(v->elsewhere.self, io, err);
    if (!vecenv_to_device(v)) return over_ranges(v, v->env->observe ? observe_range : reset_range, 0, v->envs, io, err);
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
    if (vecenv_to_device(v)) {
        v->device_ops->step(v->device, io);
        return 0;
    }
    const int rc = vecenv_step_begin(v, 0, v->envs, io, err);
    return rc ? rc : vecenv_step_end(v, 0, v->envs, err);
}

/* ---- scripted player, drawing, snapshots --------------------------------------------------------------- */

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
    const struct snapshot_head head = {.hash = v->identity, .lane = v->lane[e]};
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
    if (head.hash != v->identity && head.hash != v->hash)
        return error_set(err, EXIT_CHECKPOINT,
                         "environment \"%s\": the snapshot belongs to another environment, version, set of options or wrappers",
                         v->env->id);
    bool sound = head.lane.steps >= 0 && (v->spec.max_steps == 0 || head.lane.steps < v->spec.max_steps);
    for (int g = 0; g < MAPPO_MAX_GROUPS; g++) sound = sound && isfinite(head.lane.reward_sum[g]);
    if (!sound)
        return error_set(err, EXIT_CHECKPOINT, "environment \"%s\": number %u: the snapshot's episode statistics are damaged", v->env->id,
                         v->first_env + (uint32_t)e);
    from_device(v, e);
    if (v->device) v->copies->changed = true;
    if (call_restore(v->env, v->self, e, (const char *)bytes + sizeof head, &error)) {
        error.env = e;
        return environment_error(v, EXIT_CHECKPOINT, &error, err);
    }
    v->lane[e] = head.lane;
    v->ended[e] = 0;
    return 0;
}
