/* An instance with guarded arrays: pages that nobody may touch lie around each of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/philox.h"
#include "base/text.h"
#include "check/work.h"
#include "env/spec.h"

/* ---- guarded memory ------------------------------------------------------------------------------------------------------------------ */

/* " (8 environments x 3 agents x 9 numbers)" */
static void write_shape(const struct check_array *array, size_t bytes, char *text, size_t size)
{
    char agents[32] = "";
    if (array->slice.group >= 0) text_format(agents, sizeof agents, " x %d agents", array->rows);
    text_format(text, size, " (%zu environments%s x %d numbers)", bytes / array->slice.bytes, agents, array->width);
}

void guarded_take(struct check *check, struct guarded *to, size_t bytes, bool at_front, int array, const char *name)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
    struct check_shared *shared = check->shared;
    *to = (struct guarded){.bytes = bytes, .whole = whole, .region = -1};
    if (!bytes) return;
    to->pages = mmap(NULL, whole + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(to->pages != MAP_FAILED && !mprotect(to->pages + page, whole, PROT_READ | PROT_WRITE),
          "no memory for the arrays of an environment");
    memset(to->pages + page, CHECK_POISON, whole);
    to->data = to->pages + page + (at_front ? 0 : whole - bytes);
    if (shared->regions == REGIONS) return; /* it would only not be named */
    struct region *region = &shared->region[to->region = shared->regions++];
    *region = (struct region){.from = to->pages, .to = to->pages + whole + 2 * page, .data = to->data, .bytes = bytes, .array = array};
    text_format(region->name, sizeof region->name, "%s", name);
    if (array >= 0) write_shape(&check->array[array], bytes, region->shape, sizeof region->shape);
}

void guarded_give_back(struct guarded *guarded)
{
    if (guarded->pages) munmap(guarded->pages, guarded->whole + 2 * (size_t)sysconf(_SC_PAGESIZE));
    guarded->pages = NULL;
}

void guarded_release(struct check *check, struct guarded *guarded, bool released)
{
    if (!guarded->bytes) return;
    mprotect(guarded->pages + sysconf(_SC_PAGESIZE), guarded->whole, released ? PROT_NONE : PROT_READ | PROT_WRITE);
    if (guarded->region >= 0) check->shared->region[guarded->region].released = released;
}

/* The rest of the first or last page, which no guard guards. */
static void look_at_rest(struct check *check, const struct guarded *guarded, int array, const char *name)
{
    if (!guarded->bytes) return;
    const unsigned char *from = guarded->pages + sysconf(_SC_PAGESIZE), *to = from + guarded->whole;
    for (const unsigned char *at = from; at < to; at++) {
        if (at == guarded->data) at += guarded->bytes;
        if (at >= to || *at == CHECK_POISON) continue;
        check_fault(check, KIND_OUTSIDE, array, "writes %s %s: %zd bytes from its %s",
                    at < guarded->data ? "before the beginning of" : "behind the end of", name,
                    at < guarded->data ? guarded->data - at : at - guarded->data - (ptrdiff_t)guarded->bytes,
                    at < guarded->data ? "beginning" : "end");
        return;
    }
}

/* ---- the arrays of a step ------------------------------------------------------------------------------------------------------------ */

/* All but actions. */
static void list_arrays(struct check *check)
{
    struct slices slices;
    check->arrays = 0;
    check->frame = 0;
    slices_of(&slices, check->spec);
    slice_strides_of(&check->strides, check->spec);
    for (int g = 0; g < check->spec->groups; g++) check->size[g] = group_sizes(&check->spec->group[g]);
    for (int i = 0; i < slices.count; i++) {
        const struct slice *slice = &slices.slice[i];
        struct check_array *array = &check->array[check->arrays];
        if (slice->written == SLICE_ACTION) continue;
        *array = (struct check_array){.slice = *slice, .rows = slice->group < 0 ? 1 : check->size[slice->group].agents, .at = check->frame};
        array->width = (int32_t)slice->width / array->rows;
        if (slice->group >= 0)
            text_format(array->name, sizeof array->name, "%s of group \"%s\"", slice->name, check->spec->group[slice->group].name);
        else
            text_format(array->name, sizeof array->name, "%s", slice->name);
        check->frame += CHECK_ENVS * slice->bytes;
        check->arrays++;
    }
}

bool check_is(const struct check_array *array, const char *name)
{
    return strcmp(array->slice.name, name) == 0;
}

unsigned char *check_batch_data(const struct check_batch *batch, int array, int32_t e)
{
    return batch->out[batch->set][array].data + (size_t)e * batch->check->array[array].slice.bytes;
}

const unsigned char *check_recorded(const struct check *check, int64_t frame, int array, int32_t e)
{
    return check->record + (size_t)frame * check->frame + check->array[array].at + (size_t)e * check->array[array].slice.bytes;
}

bool check_is_there(const struct check_array *array, bool stepped, bool ended)
{
    return array->slice.offered &&
           (array->slice.written == SLICE_OBSERVATION || (stepped && (array->slice.written == SLICE_RESULT || ended)));
}

static void point_io(struct check_batch *batch)
{
    const struct check *check = batch->check;
    batch->io = (struct mappo_env_io){.struct_size = sizeof batch->io, .groups = check->spec->groups};
    for (int i = 0; i < check->arrays; i++) slice_point(&batch->io, &check->array[i].slice, batch->out[batch->set][i].data);
    for (int g = 0; g < check->spec->groups; g++) {
        batch->io.group[g].act_int = (const int32_t *)batch->act_int[g].data;
        batch->io.group[g].act_real = (const float *)batch->act_real[g].data;
    }
}

static void take_arrays(struct check_batch *batch, const struct check_batch_config *config)
{
    struct check *check = batch->check;
    const size_t envs = (size_t)batch->envs;
    for (int set = 0; set <= config->turns; set++)
        for (int i = 0; i < check->arrays; i++)
            guarded_take(check, &batch->out[set][i], envs * check->array[i].slice.bytes, config->front, i, check->array[i].name);
    for (int g = 0; g < check->spec->groups; g++) {
        const struct group_sizes *s = &check->size[g];
        const size_t ints = envs * (size_t)s->agents * (size_t)s->act_ints * sizeof(int32_t);
        const size_t reals = envs * (size_t)s->agents * (size_t)s->act_reals * sizeof(float);
        guarded_take(check, &batch->act_int[g], ints, config->front, -1, "act_int, the integer actions,");
        guarded_take(check, &batch->act_real[g], reals, config->front, -1, "act_real, the real actions,");
        guarded_take(check, &batch->act_int_copy[g], ints, false, -1, "");
        guarded_take(check, &batch->act_real_copy[g], reals, false, -1, "");
    }
    if (config->turns)
        for (int i = 0; i < check->arrays; i++) guarded_release(check, &batch->out[1][i], true);
    point_io(batch);
}

/* The arrays of the calls before are gone. */
static void take_turns(struct check_batch *batch)
{
    if (!batch->out[1][0].pages) return;
    for (int i = 0; i < batch->check->arrays; i++) {
        guarded_release(batch->check, &batch->out[!batch->set][i], false);
        memcpy(batch->out[!batch->set][i].data, batch->out[batch->set][i].data, batch->out[batch->set][i].bytes);
        guarded_release(batch->check, &batch->out[batch->set][i], true);
    }
    batch->set = !batch->set;
    point_io(batch);
}

void check_batch_poison(struct check_batch *batch, bool sight_only)
{
    for (int i = 0; i < batch->check->arrays; i++)
        if (!sight_only || batch->check->array[i].slice.written == SLICE_OBSERVATION)
            memset(batch->out[batch->set][i].data, CHECK_POISON, batch->out[batch->set][i].bytes);
}

/* ---- opening and closing ------------------------------------------------------------------------------------------------------------- */

static bool failed(struct check *check, const char *call, const struct mappo_env_error *error)
{
    char text[sizeof error->text];
    text_format(text, sizeof text, "%.*s", (int)sizeof error->text - 1, error->text);
    if (error->env >= 0)
        check_fault(check, KIND_ONCE, 0, "%s failed, environment %d: %s", call, error->env, text[0] ? text : "it did not say why");
    else
        check_fault(check, KIND_ONCE, 0, "%s failed: %s", call, text[0] ? text : "it did not say why");
    return false;
}

/* What a crash in it may come from, beside anything else. */
static const char *create_hint(const struct check *check)
{
    if (!options_count(check->env)) return "are options read? Its descriptor lists none (.option)";
    for (int k = 0; k < options_count(check->env); k++)
        if (check->env->option[k].type == MAPPO_OPTION_TEXT && check->value[k].i == INT64_MIN)
            return "is a text looked at that is NULL? It is where nobody gives one and its default is \"none\"";
    return NULL;
}

/* create() with a configuration that is gone when it has returned, where `turns` says so. */
static bool create(struct check *check, struct check_batch *batch, const struct check_batch_config *config)
{
    struct mappo_env_error error = {.env = -1};
    struct guarded memory, options;
    const size_t values = (size_t)options_count(check->env) * sizeof *check->value;
    guarded_take(check, &memory, sizeof(struct mappo_env_config) + values, false, -1, "the configuration, or its options,");
    guarded_take(check, &options, strlen(check->options) + 1, true, -1, "options_text");
    struct mappo_env_config *given = (struct mappo_env_config *)memory.data;
    memcpy(given + 1, check->value, values);
    memcpy(options.data, check->options, options.bytes);
    *given = (struct mappo_env_config){.struct_size = sizeof *given,
                                       .option = (const struct mappo_value *)(given + 1),
                                       .options_text = (const char *)options.data,
                                       .envs = config->envs,
                                       .first_env = config->first_env,
                                       .seed = config->seed,
                                       .stream = config->stream,
                                       .threads = 1,
                                       .env = check->env};
    const char *hint = check->shared->hint;
    check->shared->hint = create_hint(check);
    check_enter(check, "create()", 0, 0, -1);
    const int rc = check->env->create(given, &batch->self, &error);
    check_leave(check);
    check->shared->hint = hint;
    if (config->turns) {
        guarded_release(check, &memory, true);
        guarded_release(check, &options, true);
    }
    if (!rc && batch->self) return true;
    if (rc && check->may_refuse) return false;
    /* As in training: a mistake in the options. Whoever gave none met a fault. */
    if (rc && check->config->options && !check->shared->frame) {
        text_format(check->shared->refused, sizeof check->shared->refused, "%.*s", (int)sizeof error.text - 1,
                    error.text[0] ? error.text : "it cannot be created with these options, and did not say why");
        return false;
    }
    return failed(check, check_word(check, "create()"), &error);
}

struct check_batch_config check_batch_usual(const struct check *check)
{
    return (struct check_batch_config){.envs = CHECK_ENVS, .seed = check->config->seed, .stream = PHILOX_ENVIRONMENT};
}

bool check_batch_open(struct check *check, struct check_batch *batch, const struct check_batch_config *config)
{
    struct error err = {0};
    memset(batch, 0, sizeof *batch);
    batch->check = check;
    batch->envs = config->envs;
    batch->first_env = config->first_env;
    if (!create(check, batch, config)) return false;
    const char *hint = check->shared->hint;
    check_enter(check, "spec()", 0, 0, -1);
    check->spec = check->env->spec(batch->self);
    check->shared->hint = "is a table of its spec shorter than its count says (info than infos, n, low or high than size)?";
    const int unsound = spec_check(check->env, check->spec, &err);
    check_leave(check);
    check->shared->hint = hint;
    if (unsound) {
        check_fault(check, KIND_ONCE, 0, "%s", err.text);
        return false;
    }
    list_arrays(check);
    take_arrays(batch, config);
    return true;
}

void check_batch_close(struct check_batch *batch)
{
    struct check *check = batch->check;
    if (batch->self) {
        check_enter(check, "destroy()", 0, 0, -1);
        check->env->destroy(batch->self);
        check_leave(check);
    }
    for (int i = 0; i < check->arrays; i++) {
        guarded_release(check, &batch->out[0][i], false);
        look_at_rest(check, &batch->out[0][i], i, check->array[i].name);
        guarded_give_back(&batch->out[0][i]);
        guarded_give_back(&batch->out[1][i]);
    }
    for (int g = 0; g < batch->io.groups; g++) { /* the spec went with self */
        guarded_give_back(&batch->act_int[g]);
        guarded_give_back(&batch->act_real[g]);
        guarded_give_back(&batch->act_int_copy[g]);
        guarded_give_back(&batch->act_real_copy[g]);
    }
}

/* ---- calls --------------------------------------------------------------------------------------------------------------------------- */

bool check_batch_reset(struct check_batch *batch, int32_t lo, int32_t hi)
{
    struct check *check = batch->check;
    struct mappo_env_error error = {.env = -1};
    const struct mappo_env_io io = batch->io; /* gone when the call returns */
    check_enter(check, "reset()", lo, hi, batch->t - 1);
    const int rc = check->env->reset(batch->self, lo, hi, &io, &error);
    check_leave(check);
    return rc ? failed(check, "reset()", &error) : true;
}

bool check_batch_step(struct check_batch *batch, int32_t lo, int32_t hi)
{
    struct check *check = batch->check;
    struct mappo_env_error error = {.env = -1};
    const struct mappo_env_io io = batch->io;
    check_enter(check, "step()", lo, hi, batch->t);
    const int rc = check->env->step(batch->self, lo, hi, &io, &error);
    check_leave(check);
    return rc ? failed(check, "step()", &error) : true;
}

bool check_batch_observe(struct check_batch *batch, int32_t lo, int32_t hi)
{
    struct check *check = batch->check;
    const struct mappo_env_io io = batch->io;
    check_enter(check, "observe()", lo, hi, batch->t - 1);
    const int rc = check->env->observe(batch->self, lo, hi, &io);
    check_leave(check);
    if (rc) check_fault(check, KIND_ONCE, 0, "observe() failed, with code %d", rc);
    return rc == 0;
}

/* ---- actions ------------------------------------------------------------------------------------------------------------------------- */

/* One allowed choice of n; the first where none is, which is reported elsewhere. */
static int32_t choose(struct philox *rng, const uint8_t *mask, int32_t n)
{
    int32_t allowed = 0;
    for (int32_t k = 0; k < n; k++) allowed += !mask || mask[k];
    int32_t wanted = allowed ? philox_below(rng, allowed) : 0;
    for (int32_t k = 0; k < n; k++)
        if ((!mask || mask[k]) && wanted-- == 0) return k;
    return 0;
}

static float choose_real(struct philox *rng, const struct mappo_space *space, int32_t i)
{
    const float low = space->low ? space->low[i] : -INFINITY, high = space->high ? space->high[i] : INFINITY;
    if (isfinite(low) && isfinite(high)) {
        const float x = low + (high - low) * philox_float(philox_next(rng));
        return x < low ? low : x > high ? high : x;
    }
    if (isfinite(low)) return low + philox_float(philox_next(rng));
    return isfinite(high) ? high - philox_float(philox_next(rng)) : philox_uniform(rng, -1, 1);
}

static void act_agent(const struct mappo_group *group, struct philox *rng, const uint8_t *mask, int32_t *ints, float *reals)
{
    for (int h = 0; h < group->act_heads; h++) {
        const struct mappo_space *space = &group->act[h];
        for (int32_t i = 0; i < space->size; i++) {
            const int32_t n = space->kind == MAPPO_BOX ? 0 : space->kind == MAPPO_MULTI_BINARY ? 1 : space->n[i];
            if (space->kind == MAPPO_BOX)
                *reals++ = choose_real(rng, space, i);
            else if (space->kind == MAPPO_MULTI_BINARY)
                *ints++ = !mask || *mask ? philox_below(rng, 2) : 0;
            else
                *ints++ = (space->start ? space->start[i] : 0) + choose(rng, mask, n);
            if (mask) mask += n;
        }
    }
}

bool check_batch_act(struct check_batch *batch)
{
    const struct check *check = batch->check;
    take_turns(batch);
    for (int32_t e = 0; e < batch->envs; e++) {
        struct philox rng;
        philox_start(&rng, check->config->seed + (uint64_t)batch->t * 1000003u, PHILOX_ACTION,
                     batch->alike ? 0 : batch->first_env + (uint32_t)e);
        for (int g = 0; g < check->spec->groups; g++) {
            const struct mappo_group *group = &check->spec->group[g];
            const struct group_sizes *s = &check->size[g];
            const uint8_t *mask = group->flags & MAPPO_HAS_MASK ? batch->io.group[g].act_mask : NULL;
            for (int32_t a = 0; a < s->agents; a++) {
                const size_t row = (size_t)e * (size_t)s->agents + (size_t)a;
                act_agent(group, &rng, mask ? mask + row * (size_t)s->logits : NULL,
                          (int32_t *)batch->act_int[g].data + row * (size_t)s->act_ints,
                          (float *)batch->act_real[g].data + row * (size_t)s->act_reals);
            }
        }
    }
    for (int g = 0; g < check->spec->groups; g++) {
        if (batch->act_int[g].bytes) memcpy(batch->act_int_copy[g].data, batch->act_int[g].data, batch->act_int[g].bytes);
        if (batch->act_real[g].bytes) memcpy(batch->act_real_copy[g].data, batch->act_real[g].data, batch->act_real[g].bytes);
    }
    return true;
}

/* ---- comparing ----------------------------------------------------------------------------------------------------------------------- */

void check_when(int64_t step, char *text, size_t size)
{
    if (step < 0)
        text_format(text, size, "after reset()");
    else
        text_format(text, size, "step %lld", (long long)step);
}

void check_where(const struct check_array *array, int64_t env, size_t at, int64_t step, char *text, size_t size)
{
    char agent[64] = "", number[48] = "", when[48];
    check_when(step, when, sizeof when);
    if (array->slice.group >= 0) text_format(agent, sizeof agent, ", agent %zu", at / (size_t)array->width);
    if (array->width > 1) text_format(number, sizeof number, ", number %zu", at % (size_t)array->width);
    text_format(text, size, "environment %lld%s%s, %s", (long long)env, agent, number, when);
}

void check_number(float x, char *text, size_t size)
{
    for (int digits = 1; digits <= 9; digits++) {
        text_format(text, size, "%.*g", digits, (double)x);
        if (strtof(text, NULL) == x) return;
    }
}

static void write_number(const struct check_array *array, const unsigned char *data, size_t at, char *text, size_t size)
{
    if (array->slice.is_float)
        check_number(((const float *)(const void *)data)[at], text, size);
    else
        text_format(text, size, "%d", data[at]);
}

static void say_difference(struct check_batch *batch, int i, int32_t e, int64_t frame, const unsigned char *now, const unsigned char *then,
                           const char *fault)
{
    const struct check_array *array = &batch->check->array[i];
    const size_t element = array->slice.is_float ? sizeof(float) : 1;
    char where[160], is[32], was[32];
    size_t at = 0;
    while (!memcmp(now + at * element, then + at * element, element)) at++;
    check_where(array, (int64_t)batch->first_env + e, at, frame - 1, where, sizeof where);
    write_number(array, now, at, is, sizeof is);
    write_number(array, then, at, was, sizeof was);
    check_fault(batch->check, KIND_ONCE, 0, "%s: %s, %s is %s instead of %s", fault, array->name, where, is, was);
}

static const uint8_t *recorded_end(const struct check *check, int64_t frame, int32_t e)
{
    for (int i = 0; i < check->arrays; i++)
        if (check_is(&check->array[i], "ep_end")) return check_recorded(check, frame, i, e);
    return NULL;
}

bool check_batch_compare(struct check_batch *batch, int64_t frame, bool stepped, int32_t but, enum cause cause, const char *fault)
{
    struct check *check = batch->check;
    for (int32_t e = 0; e < batch->envs; e++) {
        const int32_t recorded = e + (int32_t)batch->first_env;
        const bool ended = frame > 0 && *recorded_end(check, frame, recorded);
        for (int i = 0; i < check->arrays && e != but; i++) {
            const unsigned char *now = check_batch_data(batch, i, e), *then = check_recorded(check, frame, i, recorded);
            if (!check_is_there(&check->array[i], stepped, ended) || !memcmp(now, then, check->array[i].slice.bytes)) continue;
            say_difference(batch, i, e, frame, now, then, fault);
            check->shared->causes |= cause;
            return false;
        }
    }
    return true;
}
