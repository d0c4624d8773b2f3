#include "env/python/window.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { LINE = 64, WORDS = 3 }; /* bytes of a cache line; words of a worker: bell, answer, said */

static size_t place(size_t *bytes, size_t more)
{
    const size_t at = *bytes;
    *bytes += (more + LINE - 1) / LINE * LINE;
    return at;
}

void window_plan(struct python_window *w, const struct mappo_env_spec *spec, int32_t envs, int workers)
{
    const size_t rows = (size_t)envs;
    *w = (struct python_window){.envs = envs};
    slices_of(&w->slices, spec);
    for (int g = 0; g < spec->groups; g++) w->agents[g] = spec->group[g].agents;
    w->want_at = place(&w->bytes, rows * sizeof *w->want);
    w->done_at = place(&w->bytes, rows * sizeof *w->done);
    w->failed_at = place(&w->bytes, rows * sizeof *w->failed);
    w->words_at = place(&w->bytes, (size_t)workers * WORDS * LINE);
    for (int i = 0; i < w->slices.count; i++)
        if (w->slices.slice[i].offered) w->at[i] = place(&w->bytes, rows * w->slices.slice[i].bytes);
}

void window_open(struct python_window *w, struct python_workers *workers)
{
    w->memory = workers->memory;
    w->want = (atomic_uint *)(w->memory + w->want_at);
    w->done = (atomic_uint *)(w->memory + w->done_at);
    w->failed = (atomic_uint *)(w->memory + w->failed_at);
    for (int k = 0; k < workers->used; k++) {
        char *words = w->memory + w->words_at + (size_t)k * WORDS * LINE;
        workers->worker[k].bell = (atomic_uint *)words;
        workers->worker[k].answer = (atomic_uint *)(words + LINE);
        workers->worker[k].said = (atomic_uint *)(words + 2 * LINE);
    }
}

static int tell_array(struct python_workers *workers, int k, const char *group, const char *name, size_t at, const char *type,
                      const char *dims, struct mappo_env_error *error)
{
    char line[256];
    text_format(line, sizeof line, "array\t%s\t%s\t%zu\t%s\t%s\n", group, name, at, type, dims);
    return worker_say(workers, k, line, error);
}

/* "8\t2\t9": environments, agents, numbers of each where these are not one by nature. */
static void write_dims(const struct python_window *w, const struct slice *slice, char *text, size_t size)
{
    const bool by_agent = slice->id == GROUP_SLICE_reward || slice->id == GROUP_SLICE_terminated || slice->id == GROUP_SLICE_active;
    const size_t agents = slice->group >= 0 ? (size_t)w->agents[slice->group] : 1;
    if (by_agent)
        text_format(text, size, "%d\t%zu", w->envs, agents);
    else if (slice->group >= 0)
        text_format(text, size, "%d\t%zu\t%zu", w->envs, agents, slice->width / agents);
    else if (slice->id == ENV_SLICE_ep_end)
        text_format(text, size, "%d", w->envs);
    else
        text_format(text, size, "%d\t%zu", w->envs, slice->width);
}

static const char *type_of(const struct slice *slice)
{
    return slice->is_float ? "float32" : slice->bytes == slice->width ? "uint8" : "int32";
}

int window_tell(const struct python_window *w, struct python_workers *workers, int k, struct mappo_env_error *error)
{
    char line[64], rows[32], dims[96];
    const size_t words = w->words_at + (size_t)k * WORDS * LINE;
    text_format(line, sizeof line, "window\t%zu\n", w->bytes);
    text_format(rows, sizeof rows, "%d", w->envs);
    int rc = worker_say(workers, k, line, error) || tell_array(workers, k, "-", "want", w->want_at, "uint32", rows, error) ||
             tell_array(workers, k, "-", "done", w->done_at, "uint32", rows, error) ||
             tell_array(workers, k, "-", "failed", w->failed_at, "uint32", rows, error) ||
             tell_array(workers, k, "-", "bell", words, "uint32", "1", error) ||
             tell_array(workers, k, "-", "answer", words + LINE, "uint32", "1", error) ||
             tell_array(workers, k, "-", "said", words + 2 * LINE, "uint32", "1", error);
    for (int i = 0; i < w->slices.count && !rc; i++) {
        const struct slice *slice = &w->slices.slice[i];
        char group[16] = "-";
        if (!slice->offered) continue;
        if (slice->group >= 0) text_format(group, sizeof group, "%d", slice->group);
        write_dims(w, slice, dims, sizeof dims);
        rc = tell_array(workers, k, group, slice->name, w->at[i], type_of(slice), dims, error);
    }
    return rc || worker_say(workers, k, "end\n", error) ? -1 : 0;
}

void window_ask(const struct python_window *w, int32_t e, enum window_ask what)
{
    const unsigned serial = atomic_load_explicit(&w->want[e], memory_order_relaxed) / 4 + 1;
    atomic_store_explicit(&w->want[e], 4 * serial + (unsigned)what, memory_order_release);
}

bool window_pending(const struct python_window *w, int32_t e)
{
    return atomic_load_explicit(&w->done[e], memory_order_acquire) != atomic_load_explicit(&w->want[e], memory_order_relaxed);
}

/* Row e of array i. */
static char *row(const struct python_window *w, int i, int32_t e)
{
    return w->memory + w->at[i] + (size_t)e * w->slices.slice[i].bytes;
}

void window_take_actions(const struct python_window *w, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    for (int i = 0; i < w->slices.count; i++) {
        const struct slice *slice = &w->slices.slice[i];
        if (slice->written != SLICE_ACTION) continue;
        const char *from = slice_array(io, slice);
        memcpy(row(w, i, lo), from + (size_t)lo * slice->bytes, (size_t)(hi - lo) * slice->bytes);
    }
}

static int find_ep_end(const struct python_window *w)
{
    int i = 0;
    while (w->slices.slice[i].id != ENV_SLICE_ep_end) i++;
    return i;
}

bool window_ended(const struct python_window *w, int32_t e)
{
    return *row(w, find_ep_end(w), e) != MAPPO_RUNNING;
}

void window_give(const struct python_window *w, int32_t lo, int32_t hi, const struct mappo_env_io *io, bool stepped)
{
    const char *end = row(w, find_ep_end(w), 0);
    for (int i = 0; i < w->slices.count; i++) {
        const struct slice *slice = &w->slices.slice[i];
        char *to = slice_array(io, slice);
        if (!to || !slice->offered || slice->written == SLICE_ACTION || (!stepped && slice->written != SLICE_OBSERVATION)) continue;
        if (slice->written != SLICE_FINAL) {
            memcpy(to + (size_t)lo * slice->bytes, row(w, i, lo), (size_t)(hi - lo) * slice->bytes);
            continue;
        }
        for (int32_t e = lo; e < hi; e++)
            if (end[e]) memcpy(to + (size_t)e * slice->bytes, row(w, i, e), slice->bytes);
    }
}

void window_keep_last(const struct python_window *w, int32_t e)
{
    for (int i = 0; i < w->slices.count; i++) {
        const struct slice *slice = &w->slices.slice[i];
        if (slice->written != SLICE_FINAL) continue;
        for (int k = 0; k < w->slices.count; k++)
            if (w->slices.slice[k].place == slice->final_of) memcpy(row(w, i, e), row(w, k, e), slice->bytes);
    }
}

void window_cut(const struct python_window *w, int32_t e)
{
    for (int i = 0; i < w->slices.count; i++) {
        const struct slice *slice = &w->slices.slice[i];
        if (slice->written != SLICE_RESULT) continue;
        memset(row(w, i, e), slice->id == ENV_SLICE_ep_end ? MAPPO_TRUNCATED : 0, slice->bytes);
        for (size_t n = 0; n < slice->width && slice->id == ENV_SLICE_info; n++) ((float *)(void *)row(w, i, e))[n] = NAN;
    }
}
