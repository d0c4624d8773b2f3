/* Snapshots; what stays behind; speed. */
#include <dirent.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/philox.h"
#include "base/text.h"
#include "check/work.h"
#include "env/python/names.h"

/* ---- snapshots ------------------------------------------------------------------------------------------------------------------------- */

/* Steps until the record's frame `to`, without looking. */
static bool step_to(struct check_batch *batch, int64_t to)
{
    while (batch->t < to) {
        check_batch_act(batch);
        check_batch_poison(batch, false);
        if (!check_batch_step(batch, 0, batch->envs)) return false;
        batch->t++;
    }
    return true;
}

static bool take_snapshot(struct check_batch *batch, int32_t e, unsigned char *bytes)
{
    struct check *check = batch->check;
    check_enter(check, "snapshot()", e, e + 1, batch->t - 1);
    const int rc = check->env->snapshot(batch->self, e, bytes);
    check_leave(check);
    if (rc) check_fault(check, KIND_ONCE, 0, "snapshot() failed, with code %d (environment %d, step %lld)", rc, e, (long long)batch->t - 1);
    return rc == 0;
}

/* Snapshots of all environments, each taken twice over other bytes: those that stay as they were are not written. */
static bool take_snapshots(struct check_batch *batch, struct guarded *snapshot)
{
    struct check *check = batch->check;
    const size_t bytes = check->spec->snapshot_bytes;
    struct guarded second;
    guarded_take(check, &second, bytes, false, -1, "the snapshot (snapshot_bytes of the spec)");
    for (int32_t e = 0; e < CHECK_ENVS; e++) {
        guarded_take(check, &snapshot[e], bytes, false, -1, "the snapshot (snapshot_bytes of the spec)");
        memset(second.data, 0, bytes);
        if (!take_snapshot(batch, e, snapshot[e].data) || !take_snapshot(batch, e, second.data)) return false;
        size_t at = 0;
        while (at < bytes && snapshot[e].data[at] == second.data[at]) at++;
        if (at < bytes && snapshot[e].data[at] == CHECK_POISON && second.data[at] == 0)
            check_fault(check, KIND_RANDOM, 0,
                        "snapshot() leaves byte %zu of the %zu that snapshot_bytes promises unwritten (environment %d): a wrong size, or "
                        "padding that is not zeroed",
                        at, bytes, e);
        else if (at < bytes)
            check_fault(check, KIND_RANDOM, 1, "two snapshots of one state differ in byte %zu (environment %d)", at, e);
    }
    return true;
}

static bool restore_all(struct check_batch *batch, const struct guarded *snapshot, const char *which)
{
    struct check *check = batch->check;
    for (int32_t e = CHECK_ENVS - 1; e >= 0; e--) {
        struct mappo_env_error error = {.env = -1};
        check_enter(check, "restore()", e, e + 1, batch->t - 1);
        const int rc = check->env->restore(batch->self, e, snapshot[e].data, &error);
        check_leave(check);
        if (!rc) continue;
        error.text[sizeof error.text - 1] = '\0';
        check->shared->causes |= CAUSE_REFUSED;
        check_fault(check, KIND_ONCE, 0, "%s refuses a snapshot that was just taken (environment %d): %s", which, e,
                    error.text[0] ? error.text : "it did not say why");
        return false;
    }
    return true;
}

/* From frame `from` on, which was restored. */
static bool go_on(struct check_batch *batch, int64_t from, const char *shows, const char *future)
{
    const struct check *check = batch->check;
    batch->t = from;
    check_batch_poison(batch, false);
    if (!check_batch_observe(batch, 0, CHECK_ENVS) || !check_batch_compare(batch, from, false, -1, 0, shows)) return false;
    while (batch->t < check->steps) {
        if (!step_to(batch, batch->t + 1) || !check_batch_compare(batch, batch->t, true, -1, 0, future)) return false;
    }
    return true;
}

/* A frame in the middle of episodes. */
static int64_t middle(const struct check *check)
{
    const int64_t most = check->spec->max_steps ? check->spec->max_steps : check->steps;
    const int64_t from = most + most / 2 + 1;
    return from < check->steps ? from : check->steps / 2;
}

void check_snapshot_stage(struct check *check)
{
    struct check_batch batch, fresh;
    struct guarded snapshot[CHECK_ENVS];
    const struct check_batch_config config = check_batch_usual(check);
    check->look_after_calls = true;
    if (!check_batch_open(check, &batch, &config) || !check->spec->snapshot_bytes) return;
    const int64_t from = middle(check);
    check->shared->causes |= CAUSE_SNAPSHOT;
    if (!check_batch_reset(&batch, 0, CHECK_ENVS) || !step_to(&batch, from) || !take_snapshots(&batch, snapshot)) return;
    if (!step_to(&batch, from + 3 < check->steps ? from + 3 : check->steps)) return;
    if (batch.t > from && !check_batch_compare(&batch, batch.t, true, -1, 0, "results differ after snapshot(): it must change nothing"))
        return;
    if (!restore_all(&batch, snapshot, "an instance that has gone on") ||
        !go_on(&batch, from, "observe() after restore() of an instance that has gone on shows something else than before",
               "an instance that was restored to an earlier state has another future: the snapshot leaves something out (a counter, the "
               "generator?)"))
        return;
    if (!check_batch_open(check, &fresh, &config) || !restore_all(&fresh, snapshot, "a new instance")) return;
    char future[256];
    text_format(future, sizeof future,
                "a new instance that was restored has another future: the snapshot leaves something out that %s or reset() makes",
                check_word(check, "create()"));
    if (!go_on(&fresh, from, "observe() after restore() of a new instance shows something else than before", future)) return;
    check->shared->causes &= ~(unsigned)CAUSE_SNAPSHOT;
    check_batch_close(&fresh);
}

/* ---- snapshots of a damaged file ------------------------------------------------------------------------------------------------------- */

enum { DAMAGED_ENV = 3 };

/* What may become of 4 bytes of a file: each is a NaN, a huge or a negative number to someone. */
static const uint32_t damage[] = {0xFFFFFFFFu, 0x7FFFFFFFu, 0x80000000u, 1000};
enum { DAMAGES = sizeof damage / sizeof *damage };

/* Some steps of the one environment. What it shows need not be within bounds, as no agent is hurt by that; numbers, and written. False:
 * something is wrong with it, which was said. */
static bool survives(struct check_batch *batch, int64_t steps)
{
    struct check *check = batch->check;
    const int64_t from = batch->t;
    check_batch_poison(batch, false);
    if (!check_batch_observe(batch, DAMAGED_ENV, DAMAGED_ENV + 1)) return false;
    check_look_at_numbers(batch, DAMAGED_ENV, false);
    while (batch->t < from + steps && !check_said(check, KIND_DAMAGE, 0)) {
        check_batch_act(batch);
        check_batch_poison(batch, false);
        if (!check_batch_step(batch, DAMAGED_ENV, DAMAGED_ENV + 1)) return false;
        batch->t++;
        check_look_at_numbers(batch, DAMAGED_ENV, true);
    }
    batch->t = from;
    return !check_said(check, KIND_DAMAGE, 0);
}

static void say_what_is_tried(struct check *check, size_t at)
{
    struct check_shared *shared = check->shared;
    const char *restore = check_word(check, "restore()");
    shared->after_is_advice = check->env->called.state && !check->env->called.restore;
    if (shared->after_is_advice)
        text_format(shared->after, sizeof shared->after,
                    "%s is taken from a damaged file (bytes %zu to %zu were changed) as nothing looks at it (write the word sound, "
                    "docs/env-abi.md), "
                    "and then it: ",
                    check->env->called.state, at, at + 3);
    else
        text_format(shared->after, sizeof shared->after,
                    "a snapshot from a damaged file (bytes %zu to %zu of %zu were changed) must be refused by %s, or gone on with; but: ",
                    at, at + 3, check->spec->snapshot_bytes, restore);
}

static bool restore_one(struct check_batch *batch, const unsigned char *bytes)
{
    struct mappo_env_error error = {.env = -1};
    check_enter(batch->check, "restore()", DAMAGED_ENV, DAMAGED_ENV + 1, batch->t - 1);
    const int rc = batch->check->env->restore(batch->self, DAMAGED_ENV, bytes, &error);
    check_leave(batch->check);
    return rc == 0;
}

/* A checkpoint is a file, and files get damaged: whatever changed in a snapshot, it is refused, or the environment goes on without harm. */
void check_damage_stage(struct check *check)
{
    enum { STEPS = 8 };
    struct check_batch batch;
    struct guarded snapshot[CHECK_ENVS], damaged;
    const struct check_batch_config config = check_batch_usual(check);
    if (!check_batch_open(check, &batch, &config) || !check->spec->snapshot_bytes) return;
    const size_t bytes = check->spec->snapshot_bytes;
    const int64_t from = middle(check);
    const double start = clock_seconds();
    if (!check_batch_reset(&batch, 0, CHECK_ENVS) || !step_to(&batch, from) || !take_snapshots(&batch, snapshot)) return;
    guarded_take(check, &damaged, bytes, false, -1, "the snapshot (snapshot_bytes of the spec)");
    const size_t words = bytes / sizeof *damage, stride = words / 512 + 1;
    for (size_t word = 0; word < words && clock_seconds() - start < 1; word += stride)
        for (int k = 0; k < DAMAGES; k++) {
            memcpy(damaged.data, snapshot[DAMAGED_ENV].data, bytes);
            memcpy(damaged.data + word * sizeof *damage, &damage[k], sizeof *damage);
            say_what_is_tried(check, word * sizeof *damage);
            if (restore_one(&batch, damaged.data) && !survives(&batch, STEPS)) return;
        }
    check->shared->after[0] = '\0';
    batch.t = from;
    check_batch_poison(&batch, false);
    if (check_batch_observe(&batch, 0, CHECK_ENVS) &&
        check_batch_compare(&batch, from, false, DAMAGED_ENV, 0, "restore() of a damaged snapshot changes other environments"))
        check_batch_close(&batch);
}

/* ---- what stays behind ------------------------------------------------------------------------------------------------------------------ */

static double bytes_in_use(void)
{
    const struct mallinfo2 info = mallinfo2();
    return (double)info.uordblks + (double)info.hblkhd;
}

static int open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    while (folder && readdir(folder)) count++;
    if (folder) closedir(folder);
    return count;
}

static bool play_some(struct check *check, int64_t steps, bool look)
{
    struct check_batch batch;
    const struct check_batch_config config = check_batch_usual(check);
    if (!check_batch_open(check, &batch, &config) || !check_batch_reset(&batch, 0, CHECK_ENVS) || !step_to(&batch, steps)) return false;
    const double first = bytes_in_use();
    if (look && !step_to(&batch, 2 * steps)) return false;
    const double second = bytes_in_use();
    if (look && !step_to(&batch, 3 * steps)) return false;
    const double third = bytes_in_use(), most = (double)steps;
    if (second - first >= most && third - second >= most)
        check_warning(check, "memory grows by %.0f bytes with every step of %d environments: nothing should be allocated while stepping",
                      (third - first) / (2 * most), CHECK_ENVS);
    check_batch_close(&batch);
    return true;
}

void check_memory_stage(struct check *check)
{
    const int64_t steps = check->steps < 150 ? (check->steps + 2) / 3 : 50;
    if (!play_some(check, steps, true)) return;
    /* The C library keeps the first few pieces of each size that are given back, and counts them as used. */
    for (int k = 0; k < 10; k++)
        if (!play_some(check, 1, false)) return;
    const double before = bytes_in_use();
    const int files = open_files();
    enum { TIMES = 4 };
    for (int k = 0; k < TIMES; k++)
        if (!play_some(check, 1, false)) return;
    const double left = (bytes_in_use() - before) / TIMES;
    if (left >= 1) check_warning(check, "destroy() leaves about %.0f bytes that %s or steps took", left, check_word(check, "create()"));
    if (open_files() > files) check_warning(check, "destroy() leaves files open");
}

/* ---- speed ------------------------------------------------------------------------------------------------------------------------------ */

void check_speed_stage(struct check *check)
{
    enum { ENVS = 64 };
    struct check_batch batch;
    struct check_batch_config config = check_batch_usual(check);
    config.envs = ENVS;
    const double start = clock_seconds();
    double spent = 0;
    if (!check_batch_open(check, &batch, &config) || !check_batch_reset(&batch, 0, ENVS)) return;
    while (batch.t < 20 || (spent < check->config->speed_seconds && clock_seconds() - start < 3 * check->config->speed_seconds)) {
        check_batch_act(&batch);
        const double from = clock_seconds();
        if (!check_batch_step(&batch, 0, ENVS)) return;
        if (++batch.t > 10) spent += clock_seconds() - from; /* the first ones bring the memory in */
        if (clock_seconds() - start > 3 * check->config->speed_seconds && batch.t > 11) break;
    }
    check->shared->ns_per_step = spent / (double)(batch.t - 10) / ENVS * 1e9;
    if (check->shared->ns_per_step > (python_name(check->env) ? 1e6 : 1e5))
        check_warning(check, "slow: a step of one environment takes %.3g ms of a core; learning will wait for it (docs/hpc.md, pods)",
                      check->shared->ns_per_step * 1e-6);
    check_batch_close(&batch);
}
