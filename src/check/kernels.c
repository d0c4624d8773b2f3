/* An environment's kernels against what the host did, which is the record: every array of every step, and the states. */
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "base/text.h"
#include "check/work.h"
#include "env/plugin.h"
#include "env/registry.h"

static bool has_kernels(const struct mappo_env *env)
{
    if (env->device && plugin_kernels(env)) return true;
    for (int i = 0; i < registry_count(); i++)
        if (registry_at(i) == env) return registry_has_kernels(i);
    return false;
}

struct twins {
    const struct check_device *on;
    struct backend *backend;
    struct vecenv *host, *device;
    struct mappo_env_io io;   /* the device's arrays */
    struct check_batch batch; /* actions, and what came down; the host's own results in between */
};

static bool open_one(struct check *check, struct vecenv **env)
{
    const struct check_config *config = check->config;
    struct error err = {0};
    const struct vecenv_config wanted = {.name = config->name,
                                         .option = config->option,
                                         .options = config->options,
                                         .envs = CHECK_ENVS,
                                         .seed = config->seed,
                                         .stream = PHILOX_ENVIRONMENT,
                                         .threads = 1};
    if (vecenv_open(env, &wanted, &err) == 0) return true;
    check_fault(check, KIND_ONCE, 0, "%s", err.text);
    return false;
}

/* False: its kernels are not run, and shared->kernels says why. */
static bool open_twins(struct check *check, struct twins *t)
{
    char *said = check->shared->kernels, why[256] = "";
    const size_t size = sizeof check->shared->kernels;
    const struct check_batch_config usual = check_batch_usual(check);
    t->on = check->config->device;
    t->backend = t->on ? t->on->open(why, sizeof why) : NULL;
    if (!t->backend) {
        text_format(said, size, "not run: %s", t->on ? why : "no device was looked for");
        return false;
    }
    if (!check_batch_open(check, &t->batch, &usual) || !open_one(check, &t->host) || !open_one(check, &t->device)) return false;
    if (!vecenv_attach(t->device, t->on->environments(t->backend), t->backend, why, sizeof why)) {
        text_format(said, size, "not run: %s", why);
        return false;
    }
    t->io = (struct mappo_env_io){.struct_size = sizeof t->io, .groups = check->spec->groups};
    struct slices slices;
    slices_of(&slices, check->spec);
    for (int i = 0; i < slices.count; i++)
        slice_point(&t->io, &slices.slice[i], t->on->alloc(t->backend, CHECK_ENVS * slices.slice[i].bytes));
    return true;
}

/* Actions, and arrays in which what nobody writes stays 0xFF. */
static void send(struct twins *t)
{
    const struct check *check = t->batch.check;
    check_batch_poison(&t->batch, false);
    for (int i = 0; i < check->arrays; i++)
        t->on->upload(t->backend, slice_array(&t->io, &check->array[i].slice), check_batch_data(&t->batch, i, 0),
                      CHECK_ENVS * check->array[i].slice.bytes);
    for (int g = 0; g < check->spec->groups; g++) {
        const struct guarded *ints = &t->batch.act_int[g], *reals = &t->batch.act_real[g];
        if (ints->bytes) t->on->upload(t->backend, (void *)(uintptr_t)t->io.group[g].act_int, ints->data, ints->bytes);
        if (reals->bytes) t->on->upload(t->backend, (void *)(uintptr_t)t->io.group[g].act_real, reals->data, reals->bytes);
    }
}

static bool compare(struct twins *t, bool stepped)
{
    const struct check *check = t->batch.check;
    for (int i = 0; i < check->arrays; i++)
        t->on->download(t->backend, check_batch_data(&t->batch, i, 0), slice_array(&t->io, &check->array[i].slice),
                        CHECK_ENVS * check->array[i].slice.bytes);
    return check_batch_compare(
        &t->batch, t->batch.t, stepped, -1, 0,
        "its kernels show something else than the host (-ffp-contract=off for the C file, -fmad=false for the kernels, "
        "rule_exp for expf? docs/env-abi.md)");
}

static bool same_states(struct twins *t)
{
    struct check *check = t->batch.check;
    const size_t bytes = vecenv_snapshot_bytes(t->host);
    unsigned char *host = malloc(bytes + 1), *device = malloc(bytes + 1);
    struct error err = {0};
    bool same = true;
    CHECK(host && device, "out of memory while checking kernels");
    for (int32_t e = 0; bytes && e < CHECK_ENVS && same; e++) {
        same = !vecenv_snapshot(t->host, e, e + 1, host, &err) && !vecenv_snapshot(t->device, e, e + 1, device, &err) &&
               !memcmp(host, device, bytes);
        if (!same)
            check_fault(check, KIND_ONCE, 0, "its kernels leave another state than the host (environment %d, step %lld)%s%s", e,
                        (long long)t->batch.t - 1, err.text[0] ? ": " : "", err.text);
    }
    free(host);
    free(device);
    return same;
}

/* One step on both. */
static bool step(struct twins *t)
{
    struct check *check = t->batch.check;
    struct error err = {0};
    check_batch_act(&t->batch);
    if (vecenv_step(t->host, &t->batch.io, &err)) {
        check_fault(check, KIND_ONCE, 0, "%s", err.text);
        return false;
    }
    send(t);
    check_enter(check, "kernels of step()", 0, CHECK_ENVS, t->batch.t);
    const int code = vecenv_step(t->device, &t->io, &err);
    t->batch.t++;
    const bool same = !code && compare(t, true);
    check_leave(check);
    if (code) check_fault(check, KIND_ONCE, 0, "%s", err.text);
    return same;
}

static bool begin(struct twins *t)
{
    struct check *check = t->batch.check;
    struct error err = {0};
    if (vecenv_reset(t->host, &t->batch.io, &err)) return false;
    send(t);
    check_enter(check, "kernels of reset()", 0, CHECK_ENVS, -1);
    bool same = !vecenv_reset(t->device, &t->io, &err) && compare(t, false);
    check_leave(check);
    if (!same) return false;
    send(t);
    check_enter(check, "kernels of observe()", 0, CHECK_ENVS, -1);
    same = !vecenv_observe(t->device, &t->io, &err) && compare(t, false);
    check_leave(check);
    return same;
}

void check_kernels_stage(struct check *check)
{
    enum { STEPS = 300 }; /* an emulated device is slow */
    struct twins t = {0};
    if (!has_kernels(check->env)) {
        text_format(check->shared->kernels, sizeof check->shared->kernels, "none: it steps on the host");
        return;
    }
    const int64_t most = check->steps < STEPS ? check->steps : STEPS;
    if (!open_twins(check, &t)) return;
    text_format(check->shared->kernels, sizeof check->shared->kernels, "run on %s", t.on->name(t.backend));
    bool same = begin(&t) && same_states(&t);
    while (same && t.batch.t < most) same = step(&t) && (t.batch.t != most / 2 || same_states(&t));
    if (same && same_states(&t))
        text_format(check->shared->kernels, sizeof check->shared->kernels, "the host's bits in %lld steps of %d environments on %s",
                    (long long)most, CHECK_ENVS, t.on->name(t.backend));
}
