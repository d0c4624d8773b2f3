/* Environments on threads of this process, or elsewhere by their own means (`begin`): the instance, and around each of its steps what wrappers and statistics want. Ranges that steps
 * take from other threads may not overlap. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/text.h"
#include "env/account.h"
#include "env/calls.h"
#include "env/crew.h"
#include "env/verify.h"
#include "env/options.h"
#include "env/spec.h"
#include "env/vecenv_work.h"
#include "env/wrap.h"

enum { MAX_THREADS = 1024, BLOCK_BYTES = 32768 }; /* of a first-level cache */

/* A snapshot: guard and episode, the block of wrappers (env/wrap.h), instance. */
struct snapshot_head {
    uint64_t hash;
    struct wrapper_lane lane;
};

/* ---- opening ---------------------------------------------------------------------------------------------- */

/* Texts must last as long as the instance: what was given need not. */
static bool keep_texts(struct env_host *h, struct mappo_value *value, int count)
{
    size_t size = 1, used = 0;
    for (int k = 0; k < count; k++) size += value[k].text ? strlen(value[k].text) + 1 : 0;
    h->texts = malloc(size);
    for (int k = 0; k < count && h->texts; k++) {
        if (!value[k].text) continue;
        const size_t length = strlen(value[k].text) + 1;
        value[k].text = memcpy(h->texts + used, value[k].text, length);
        used += length;
    }
    return h->texts;
}

static int open_instance(struct vecenv *v, struct env_host *h, const struct vecenv_config *config, struct error *err)
{
    struct mappo_value *value = calloc((size_t)options_count(v->env) + 1, sizeof *value);
    struct mappo_env_error error = {.env = -1};
    if (!value) return error_set(err, EXIT_INTERNAL, "out of memory");
    int rc = options_read(v->env, config->option, config->options, value, v->options, sizeof v->options, err);
    if (rc == 0 && !keep_texts(h, value, options_count(v->env))) rc = error_set(err, EXIT_INTERNAL, "out of memory");
    if (rc == 0) {
        options_changed(v->env, value, v->changed, sizeof v->changed);
        const struct mappo_env_config env_config = {.struct_size = sizeof env_config,
                                                    .option = value,
                                                    .options_text = v->options,
                                                    .envs = config->envs,
                                                    .first_env = config->first_env,
                                                    .seed = config->seed,
                                                    .stream = config->stream,
                                                    .threads = h->threads,
                                                    .env = v->env};
        if (call_create(v->env, &env_config, &h->instance, &error) || !h->instance) {
            error.text[sizeof error.text - 1] = 0;
            rc = error_set(err, EXIT_USAGE, "environment \"%s\": %s", v->env->id, error.text[0] ? error.text : "it cannot be created");
            h->instance = NULL;
        }
    }
    free(value);
    return rc;
}

static int32_t block_of(const struct mappo_env_spec *spec)
{
    struct slices slices;
    size_t bytes = sizeof(struct wrapper_lane) + spec->snapshot_bytes; /* is about the environment's own */
    slices_of(&slices, spec);
    for (int i = 0; i < slices.count; i++)
        if (slices.slice[i].written != SLICE_FINAL) bytes += slices.slice[i].bytes;
    return bytes < BLOCK_BYTES ? (int32_t)(BLOCK_BYTES / bytes) : 1;
}

/* What the instance says of itself, and what wrappers make of it. */
static int read_spec(struct vecenv *v, struct env_host *h, const struct vecenv_config *config, struct error *err)
{
    const struct mappo_env_spec *spec = call_spec(v->env, h->instance);
    calls_enter(v->env->id, "while its spec was read (are its tables as long as infos and size say?)"); /* it may point anywhere */
    int rc = spec_check(v->env, spec, err);
    calls_leave();
    if (rc) return rc;
    spec_copy(&v->spec, spec);
    v->own = v->spec;
    if (config->time_limit && (v->spec.max_steps == 0 || config->time_limit < v->spec.max_steps))
        v->spec.max_steps = h->time_limit = config->time_limit; /* else the environment's own limit comes first */
    wrap_text(config, &v->spec, v->wrappers, sizeof v->wrappers);
    rc = action_wrapper_check(config, v->env->id, &v->spec, err);
    for (int g = 0; g < v->spec.groups && !rc; g++) rc = action_wrapper_create(&h->action[g], config, &v->spec.group[g], err);
    h->spec = v->spec;
    slice_strides_of(&h->strides, &h->spec);
    for (int g = 0; g < h->spec.groups; g++) h->size[g] = group_sizes(&h->spec.group[g]);
    h->block = block_of(&h->spec);
    /* Whoever waits, and copies little, leaves the cores to what it waits for: OpenMP's threads spin after each piece of work. */
    if (v->env->begin && h->block > 1) h->threads = 1;
    if (!rc) rc = wrap_open(&h->wrap, config, v->env->id, &v->spec, err);
    if (!rc && h->spec.snapshot_bytes)
        v->snapshot_bytes = sizeof(struct snapshot_head) + (h->wrap ? wrap_bytes(h->wrap) : 0) + h->spec.snapshot_bytes;
    return rc;
}

static bool take_memory(struct env_host *h, const struct mappo_env_spec *spec, size_t envs)
{
    const size_t infos = (size_t)spec->infos, threads = (size_t)h->threads;
    bool failed = false;
    h->lane = env_take(envs, sizeof *h->lane, &failed);
    h->ep_end = env_take(envs, 1, &failed);
    h->ended = env_take(envs, 1, &failed);
    h->taken = env_take(envs, sizeof *h->taken, &failed);
    h->last = env_take(envs, sizeof *h->last, &failed);
    h->info = env_take(envs * infos, sizeof *h->info, &failed);
    h->info_sum = env_take(envs * infos, sizeof *h->info_sum, &failed);
    h->info_count = env_take(envs * infos, sizeof *h->info_count, &failed);
    h->error = env_take(threads, sizeof *h->error, &failed);
    h->code = env_take(threads, sizeof *h->code, &failed);
    if (h->wrap && wrap_repeat(h->wrap) > 1) h->again = env_take(envs, 1, &failed);
    if (h->v->env->begin) h->begun = env_take(envs, sizeof *h->begun, &failed);
    for (int g = 0; g < spec->groups; g++) {
        const size_t rows = envs * (size_t)spec->group[g].agents;
        h->reward[g] = env_take(rows, sizeof(float), &failed);
        if (!h->v->env->script) continue;
        h->act_int[g] = env_take(rows * (size_t)h->size[g].act_ints, sizeof(int32_t), &failed);
        h->act_real[g] = env_take(rows * (size_t)h->size[g].act_reals, sizeof(float), &failed);
    }
    return !failed;
}

int env_host_open(struct vecenv *v, const struct vecenv_config *config, struct error *err)
{
    struct env_host *h = calloc(1, sizeof *h);
    if (!h) return error_set(err, EXIT_INTERNAL, "out of memory");
    v->place = (struct env_place){.ops = v->env->begin ? &env_place_elsewhere : &env_place_host, .self = h};
    h->v = v;
    h->threads = config->threads < 1 ? 1 : config->threads > MAX_THREADS ? MAX_THREADS : config->threads;
    int rc = open_instance(v, h, config, err);
    if (!rc) rc = read_spec(v, h, config, err);
    if (rc) return rc;
    for (int k = 0; k < v->spec.infos; k++) h->infos_at_end = h->infos_at_end || v->spec.info[k].at_end;
    if (!take_memory(h, &v->spec, (size_t)v->envs)) return vecenv_no_memory(v, err);
    v->place.ended = h->ended;
    v->place.last = h->last;
    return 0;
}

static void host_close(void *self)
{
    struct env_host *h = self;
    if (h->instance) call_destroy(h->v->env, h->instance);
    wrap_close(h->wrap);
    for (int g = 0; g < MAPPO_MAX_GROUPS; g++) {
        action_wrapper_destroy(&h->action[g]);
        free(h->reward[g]);
        free(h->act_int[g]);
        free(h->act_real[g]);
    }
    free(h->texts);
    free(h->lane);
    free(h->ep_end);
    free(h->ended);
    free(h->taken);
    free(h->last);
    free(h->info);
    free(h->info_sum);
    free(h->info_count);
    free(h->error);
    free(h->code);
    free(h->again);
    free(h->begun);
    free(h);
}

/* ---- one range, on the calling thread --------------------------------------------------------------------- */

/* What the environment doesn't write because it never changes. */
static void fill_ones(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    for (int g = 0; g < h->spec.groups; g++) {
        const struct mappo_group_io *group = &io->group[g];
        const size_t agents = (size_t)h->size[g].agents, logits = agents * (size_t)h->size[g].logits;
        const uint32_t flags = h->spec.group[g].flags;
        if (group->active && !(flags & MAPPO_HAS_ACTIVE)) memset(group->active + (size_t)lo * agents, 1, (size_t)(hi - lo) * agents);
        if (group->act_mask && !(flags & MAPPO_HAS_MASK)) memset(group->act_mask + (size_t)lo * logits, 1, (size_t)(hi - lo) * logits);
    }
}

static void copy_slice(void *to, const void *from, int32_t e, size_t bytes)
{
    if (to && from) memcpy((char *)to + (size_t)e * bytes, (const char *)from + (size_t)e * bytes, bytes);
}

/* What environment e shows becomes what was seen last. */
static void copy_finals(const struct env_host *h, int32_t e, const struct mappo_env_io *io)
{
#define SLICE(name, element, written, needs, width, of, sound, what)                                                                       \
    if (written == SLICE_FINAL) copy_slice((element *)(uintptr_t)from->name, from->of, e, (size_t)(width) * sizeof(element));
    for (int g = 0; g < h->spec.groups; g++) {
        const struct slice_group_strides *by = &h->strides.group[g];
        const struct mappo_group_io *from = &io->group[g];
        GROUP_SLICES(SLICE)
    }
    const struct slice_strides *by = &h->strides;
    const struct mappo_env_io *from = io;
    ENV_SLICES(SLICE)
#undef SLICE
}

/* Ends the episode of environment e from outside: what it sees now becomes its final observation. It is to start anew. */
static void truncate_episode(const struct env_host *h, int32_t e, const struct mappo_env_io *io)
{
    copy_finals(h, e, io);
    io->ep_end[e] = MAPPO_TRUNCATED;
}

/* Those that were truncated, neighbours in one call: elsewhere they start at the same time. */
static int start_anew(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    return lo < hi && call_reset(h->v->env, h->instance, lo, hi, io, error) ? EXIT_ENVIRONMENT : 0;
}

static void account_rewards(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    for (int g = 0; g < h->spec.groups; g++) {
        const int32_t agents = h->size[g].agents;
        const float *reward = io->group[g].reward + (size_t)lo * (size_t)agents;
        for (int32_t e = lo; e < hi; e++, reward += agents) account_reward(&h->lane[e].reward_sum[g], reward, agents);
    }
}

/* Info columns of a range: those of every step here, those of episodes where they end. */
static void account_infos(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    const size_t infos = (size_t)h->spec.infos, first = (size_t)lo * infos, last = (size_t)hi * infos;
    const float *restrict info = io->info;
    double *restrict sum = h->info_sum, *restrict count = h->info_count;
    if (!h->infos_at_end)
        for (size_t i = first; i < last; i++) account_info(&sum[i], &count[i], info[i], 1);
    else
        for (size_t i = first; i < last; i++)
            account_info(&sum[i], &count[i], info[i], io->ep_end[i / infos] || !h->spec.info[i % infos].at_end);
}

static void end_episode(const struct env_host *h, int32_t e, int end)
{
    const struct vecenv *v = h->v;
    struct wrapper_lane *lane = &h->lane[e];
    struct episode *episode = &h->last[e];
    *episode = (struct episode){.step = h->taken[e], .env = v->first_env + (uint32_t)e, .length = (int32_t)lane->steps, .end = end};
    for (int g = 0; g < h->spec.groups; g++) episode->group_return[g] = account_return(lane->reward_sum[g], h->size[g].agents);
    memset(lane, 0, sizeof *lane);
    h->ended[e] = 1;
}

/* Statistics and time limit of a range after its step: 0 or an exit code. */
static int account(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    const struct verifier verifier = {&h->spec, &h->strides};
    const int64_t most = h->spec.max_steps ? h->spec.max_steps : INT64_MAX;
    int32_t cut = lo; /* from here to the present one */
    int rc = 0;
    account_rewards(h, lo, hi, io);
    for (int32_t e = lo; e < hi && !rc; e++) {
        h->taken[e]++;
        if (account_step(&h->lane[e].steps, h->time_limit, io->ep_end[e])) {
            truncate_episode(h, e, io);
        } else {
            rc = start_anew(h, cut, e, io, error);
            cut = e + 1;
            if (rc || (!io->ep_end[e] && h->lane[e].steps < most)) continue; /* as nearly always */
        }
        rc = verify_end(&verifier, e, io->ep_end[e], h->lane[e].steps, error);
        if (!rc && io->ep_end[e]) end_episode(h, e, io->ep_end[e]);
    }
    if (!rc) rc = start_anew(h, cut, hi, io, error);
    if (!rc && h->spec.infos) account_infos(h, lo, hi, io);
    return rc;
}

/* After the environment's own part, on the same thread: a look at what it wrote, or an exit code. */
static int finish_range(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *io, bool stepped,
                        struct mappo_env_error *error)
{
    fill_ones(h, lo, hi, io);
    return verify_range(&(struct verifier){&h->spec, &h->strides}, io, lo, hi, stepped, error);
}

/* What the environment is given in place of what the learner gave: arrays of wrappers, and room where statistics need an array that nobody
 * wants. */
static void inner_io(const struct env_host *h, struct mappo_env_io *inner, const struct mappo_env_io *given)
{
    *inner = *given;
    inner->struct_size = sizeof *inner;
    inner->groups = h->spec.groups;
    if (h->wrap) wrap_io(h->wrap, inner);
    for (int g = 0; g < inner->groups; g++) {
        if (!inner->group[g].reward) inner->group[g].reward = h->reward[g];
        if (h->action[g].changed) inner->group[g].act_real = h->action[g].changed;
    }
    if (!inner->ep_end) inner->ep_end = h->ep_end;
    if (!inner->info) inner->info = h->info;
}

/* One step of the environment. */
static int step_once(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *inner, struct mappo_env_error *error)
{
    const int rc = call_step(h->v->env, h->instance, lo, hi, inner, error) ? EXIT_ENVIRONMENT : 0;
    return rc ? rc : account(h, lo, hi, inner, error);
}

static int step_in_blocks(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *inner, struct mappo_env_error *error)
{
    const int32_t block = h->v->env->begin ? hi - lo : h->block; /* what another process wrote is in none of our caches */
    int rc = 0;
    for (int32_t from = lo; from < hi && !rc; from += block) {
        const int32_t to = hi - from < block ? hi : from + block;
        rc = step_once(h, from, to, inner, error);
        if (!rc) rc = finish_range(h, from, to, inner, true, error);
    }
    return rc;
}

/* As many of them as the action is taken for; all of it is one step of the vecenv. The first was begun before, where steps are begun. */
static int step_repeatedly(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *inner,
                           struct mappo_env_error *error)
{
    const struct mappo_env *env = h->v->env;
    int rc = 0;
    memset(h->again + lo, 1, (size_t)(hi - lo));
    for (int32_t e = lo; e < hi; e++) wrap_begin_repeat(h->wrap, e);
    for (int32_t i = 0; i < wrap_repeat(h->wrap) && !rc; i++) {
        for (int32_t e = lo; e < hi && env->begin && i > 0 && !rc; e++)
            if (h->again[e]) rc = call_begin(env, h->instance, e, e + 1, inner, error) ? EXIT_ENVIRONMENT : 0;
        for (int32_t e = lo; e < hi && !rc; e++) {
            if (!h->again[e]) continue;
            if (i > 0) h->taken[e]--;
            rc = step_once(h, e, e + 1, inner, error);
            if (!rc) rc = finish_range(h, e, e + 1, inner, true, error);
            if (!rc) h->again[e] = wrap_repeats(h->wrap, e, inner);
        }
    }
    return rc;
}

/* The learner's actions become the environment's. */
static void act_range(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *given)
{
    const struct mappo_env_io *decided = given; /* before bounds of actions */
    struct mappo_env_io wrapped;
    if (h->wrap) {
        wrap_act(h->wrap, lo, hi, given);
        wrapped = *given;
        wrap_io(h->wrap, &wrapped);
        decided = &wrapped;
    }
    for (int g = 0; g < h->spec.groups; g++) {
        const size_t agents = (size_t)h->size[g].agents;
        if (h->action[g].changed)
            action_wrapper_apply(&h->action[g], decided->group[g].act_real, (size_t)lo * agents, (size_t)hi * agents, h->size[g].act_reals);
    }
}

/* With the actions of act_range. */
static int end_range(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
                     struct mappo_env_error *error)
{
    const bool repeats = h->wrap && wrap_repeat(h->wrap) > 1;
    error->env = -1;
    error->text[0] = 0;
    int rc = repeats ? step_repeatedly(h, lo, hi, inner, error) : step_in_blocks(h, lo, hi, inner, error);
    if (!rc && h->wrap) wrap_step(h->wrap, lo, hi, given, inner, h->lane, h->last);
    return rc;
}

static int step_range(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
                      struct mappo_env_error *error)
{
    act_range(h, lo, hi, given);
    return end_range(h, lo, hi, given, inner, error);
}

/* ---- batches ---------------------------------------------------------------------------------------------- */

/* An environment's own words, with which environment it was. */
static int environment_error(const struct vecenv *v, int code, const struct mappo_env_error *error, struct error *err)
{
    return vecenv_error(v, code, error->env, error->text[0] ? error->text : "it failed without saying why", err);
}

/* 0 or an exit code, and then *error. */
typedef int range_call(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
                       struct mappo_env_error *error);

struct ranges { /* [lo, hi) in `parts` */
    const struct env_host *h;
    range_call *call;
    int32_t lo, hi;
    int parts;
    const struct mappo_env_io *given, *inner;
};

static void run_range(void *self, int k)
{
    const struct ranges *r = self;
    const int64_t width = r->hi - r->lo;
    const int32_t from = r->lo + (int32_t)(width * k / r->parts), to = r->lo + (int32_t)(width * (k + 1) / r->parts);
    r->h->code[k] = r->call(r->h, from, to, r->given, r->inner, &r->h->error[k]);
}

/* Runs `call` over [lo, hi) on all threads, or on the calling thread where it is already one of several. The first range that failed
 * speaks. */
static int over_ranges(const struct env_host *h, range_call *call, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    struct mappo_env_io inner;
    inner_io(h, &inner, io);
    struct ranges ranges = {h, call, lo, hi, hi - lo < h->threads ? (int)(hi - lo) : h->threads, io, &inner};
    if (ranges.parts <= 1 || (omp_in_parallel() && !crew_attends())) {
        struct mappo_env_error error = {.env = -1};
        const int code = call(h, lo, hi, io, &inner, &error);
        return code ? environment_error(h->v, code, &error, err) : 0;
    }
    crew_run(ranges.parts, run_range, &ranges);
    for (int k = 0; k < ranges.parts; k++)
        if (h->code[k]) return environment_error(h->v, h->code[k], &h->error[k], err);
    return 0;
}

static int reset_range(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
                       struct mappo_env_error *error)
{
    error->env = -1;
    error->text[0] = 0;
    memset(h->lane + lo, 0, (size_t)(hi - lo) * sizeof *h->lane);
    memset(h->ended + lo, 0, (size_t)(hi - lo));
    if (call_reset(h->v->env, h->instance, lo, hi, inner, error)) return EXIT_ENVIRONMENT;
    const int rc = finish_range(h, lo, hi, inner, false, error);
    if (!rc && h->wrap) wrap_reset(h->wrap, lo, hi, given, inner);
    return rc;
}

static int observe_range(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *given,
                         const struct mappo_env_io *inner, struct mappo_env_error *error)
{
    error->env = -1;
    error->text[0] = 0;
    if (call_observe(h->v->env, h->instance, lo, hi, inner)) return EXIT_ENVIRONMENT;
    const int rc = finish_range(h, lo, hi, inner, false, error);
    if (!rc && h->wrap) wrap_show(h->wrap, lo, hi, given, inner, h->lane);
    return rc;
}

static int host_reset(void *self, const struct mappo_env_io *io, struct error *err)
{
    const struct env_host *h = self;
    return over_ranges(h, reset_range, 0, h->v->envs, io, err);
}

static int host_observe(void *self, const struct mappo_env_io *io, struct error *err)
{
    const struct env_host *h = self;
    return over_ranges(h, h->v->env->observe ? observe_range : reset_range, 0, h->v->envs, io, err);
}

static int host_step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    return over_ranges(self, step_range, lo, hi, io, err);
}

/* Of environments that step elsewhere: they are told, and another range may be told or awaited before this one. */
static int host_begin(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    const struct env_host *h = self;
    struct mappo_env_error error = {.env = -1};
    struct mappo_env_io inner;
    inner_io(h, &inner, io);
    act_range(h, lo, hi, io);
    h->begun[lo] = (struct begun){hi, *io};
    return call_begin(h->v->env, h->instance, lo, hi, &inner, &error) ? environment_error(h->v, EXIT_ENVIRONMENT, &error, err) : 0;
}

static int host_end(void *self, int32_t lo, int32_t hi, struct error *err)
{
    const struct env_host *h = self;
    CHECK(h->begun[lo].hi == hi, "environments [%d, %d) are awaited that were begun to %d", lo, hi, h->begun[lo].hi);
    const struct mappo_env_io io = h->begun[lo].io;
    h->begun[lo].hi = 0;
    return over_ranges(h, end_range, lo, hi, &io, err);
}

static void host_count_anew(void *self)
{
    struct env_host *h = self;
    memset(h->taken, 0, (size_t)h->v->envs * sizeof *h->taken);
}

static void host_take_info(void *self, double *sum, double *count)
{
    const struct env_host *h = self;
    const size_t infos = (size_t)h->v->spec.infos, envs = (size_t)h->v->envs;
    for (size_t k = 0; k < infos; k++) {
        sum[k] = count[k] = 0;
        for (size_t e = 0; e < envs; e += ACCOUNT_CHUNK) {
            const size_t chunk = envs - e < ACCOUNT_CHUNK ? envs - e : ACCOUNT_CHUNK;
            sum[k] += account_sum(h->info_sum + e * infos + k, infos, chunk);
            count[k] += account_sum(h->info_count + e * infos + k, infos, chunk);
        }
    }
    memset(h->info_sum, 0, envs * infos * sizeof *h->info_sum);
    memset(h->info_count, 0, envs * infos * sizeof *h->info_count);
}

/* ---- scripted player, drawing, snapshots ------------------------------------------------------------------ */

static int script_range(const struct env_host *h, int32_t lo, int32_t hi, const struct mappo_env_io *given,
                        const struct mappo_env_io *inner, struct mappo_env_error *error)
{
    int32_t *ints[MAPPO_MAX_GROUPS];
    float *reals[MAPPO_MAX_GROUPS];
    (void)inner;
    for (int g = 0; g < h->spec.groups; g++) {
        ints[g] = (int32_t *)(uintptr_t)given->group[g].act_int; /* steps only read actions; here they are written */
        reals[g] = (float *)(uintptr_t)given->group[g].act_real;
        if (!ints[g] && h->size[g].act_ints) ints[g] = h->act_int[g];
        if (!reals[g] && h->size[g].act_reals) reals[g] = h->act_real[g];
    }
    if (h->wrap) wrap_script_arrays(h->wrap, ints, reals);
    if (call_script(h->v->env, h->instance, lo, hi, ints, reals)) {
        *error = (struct mappo_env_error){.env = -1};
        text_format(error->text, sizeof error->text, "its scripted player failed");
        return EXIT_ENVIRONMENT;
    }
    for (int g = 0; g < h->spec.groups; g++) { /* a script plays in the environment's units, the learner's side of the wrapper has others */
        const size_t agents = (size_t)h->size[g].agents;
        if (h->action[g].changed && h->action[g].stretch)
            action_wrapper_invert(&h->action[g], reals[g] + (size_t)lo * agents * (size_t)h->size[g].act_reals, (size_t)(hi - lo) * agents,
                                  h->size[g].act_reals);
    }
    if (h->wrap) wrap_script(h->wrap, lo, hi, given);
    return 0;
}

static int host_script(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    return over_ranges(self, script_range, lo, hi, io, err);
}

static int host_draw(void *self, int32_t e, const struct mappo_canvas *canvas, struct error *err)
{
    const struct env_host *h = self;
    if (e < 0 ? call_draw_ended(h->v->env, h->instance, canvas) : call_draw(h->v->env, h->instance, e, canvas))
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": drawing failed", h->v->env->id);
    return 0;
}

static int host_snapshot(void *self, int32_t lo, int32_t hi, void *bytes, struct error *err)
{
    const struct env_host *h = self;
    const struct vecenv *v = h->v;
    char *to = bytes;
    for (int32_t e = lo; e < hi; e++, to += v->snapshot_bytes) {
        const struct snapshot_head head = {.hash = v->identity, .lane = h->lane[e]};
        const size_t wrapped = h->wrap ? wrap_bytes(h->wrap) : 0;
        memcpy(to, &head, sizeof head);
        if (h->wrap) wrap_snapshot(h->wrap, e, to + sizeof head);
        if (call_snapshot(v->env, h->instance, e, to + sizeof head + wrapped))
            return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": number %u cannot be saved", v->env->id,
                             v->first_env + (uint32_t)e);
    }
    return 0;
}

void vecenv_adopt(const struct vecenv *v, uint64_t theirs, void *bytes, int64_t count)
{
    struct snapshot_head head;
    char *at = bytes;
    for (int64_t i = 0; i < count; i++, at += v->snapshot_bytes) {
        memcpy(&head, at, sizeof head);
        if (head.hash == theirs) head.hash = v->identity;
        memcpy(at, &head, sizeof head);
    }
}

static int restore_one(const struct env_host *h, int32_t e, const char *bytes, struct error *err)
{
    const struct vecenv *v = h->v;
    struct snapshot_head head;
    struct mappo_env_error error = {.env = e};
    memcpy(&head, bytes, sizeof head);
    if (head.hash != v->identity && head.hash != v->hash)
        return error_set(err, EXIT_CHECKPOINT,
                         "environment \"%s\": the snapshot belongs to another environment, version, set of options or wrappers",
                         v->env->id);
    const size_t wrapped = h->wrap ? wrap_bytes(h->wrap) : 0;
    bool sound = head.lane.steps >= 0 && (v->spec.max_steps == 0 || head.lane.steps < v->spec.max_steps);
    for (int g = 0; g < MAPPO_MAX_GROUPS; g++) sound = sound && isfinite(head.lane.reward_sum[g]);
    if (sound && h->wrap && !wrap_sound(h->wrap, bytes + sizeof head))
        return error_set(err, EXIT_CHECKPOINT, "environment \"%s\": number %u: the snapshot's state of wrappers is damaged", v->env->id,
                         v->first_env + (uint32_t)e);
    if (!sound)
        return error_set(err, EXIT_CHECKPOINT, "environment \"%s\": number %u: the snapshot's episode statistics are damaged", v->env->id,
                         v->first_env + (uint32_t)e);
    if (call_restore(v->env, h->instance, e, bytes + sizeof head + wrapped, &error)) {
        error.env = e;
        return environment_error(v, EXIT_CHECKPOINT, &error, err);
    }
    if (h->wrap) wrap_restore(h->wrap, e, bytes + sizeof head);
    h->lane[e] = head.lane;
    h->ended[e] = 0;
    return 0;
}

static int host_restore(void *self, int32_t lo, int32_t hi, const void *bytes, struct error *err)
{
    const struct env_host *h = self;
    const char *from = bytes;
    int rc = 0;
    for (int32_t e = lo; e < hi && !rc; e++, from += h->v->snapshot_bytes) rc = restore_one(h, e, from, err);
    return rc;
}

// clang-format off
#define ON_THE_HOST .close = host_close, .reset = host_reset, .observe = host_observe, .snapshot = host_snapshot, .restore = host_restore, \
                    .take_info = host_take_info, .count_anew = host_count_anew, .script = host_script, .draw = host_draw
// clang-format on
const struct env_place_ops env_place_host = {ON_THE_HOST, .step = host_step};
const struct env_place_ops env_place_elsewhere = {ON_THE_HOST, .step = host_begin, .wait = host_end,
                                                  .why_fixed = "it steps elsewhere, by its own means"};
