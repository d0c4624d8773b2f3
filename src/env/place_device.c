/* Environments on a device (env/device.h): steps, statistics and reports are the device's. Its batch on the host stays, with copies of
 * states and wrappers that are fetched for whatever only the host can do. */
#include "base/text.h"
#include "env/calls.h"
#include "env/device.h"
#include "env/plugin.h"
#include "env/vecenv_work.h"

struct env_on_device {
    const struct env_device_ops *ops;
    struct env_device *device;
    struct env_host *host;
};

static void device_close(void *self)
{
    struct env_on_device *d = self;
    d->ops->close(d->device);
    env_place_host.close(d->host);
    free(d);
}

static int device_reset(void *self, const struct mappo_env_io *io, struct error *err)
{
    const struct env_on_device *d = self;
    (void)err;
    d->ops->reset(d->device, io);
    return 0;
}

static int device_observe(void *self, const struct mappo_env_io *io, struct error *err)
{
    const struct env_on_device *d = self;
    (void)err;
    d->ops->observe(d->device, io);
    return 0;
}

static int device_step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    const struct env_on_device *d = self;
    (void)err;
    CHECK(lo == 0 && hi == d->host->v->envs, "environments on a device step all at once");
    d->ops->step(d->device, io);
    return 0;
}

static int device_snapshot(void *self, int32_t lo, int32_t hi, void *bytes, struct error *err)
{
    const struct env_on_device *d = self;
    d->ops->pull(d->device);
    return env_place_host.snapshot(d->host, lo, hi, bytes, err);
}

static int device_restore(void *self, int32_t lo, int32_t hi, const void *bytes, struct error *err)
{
    const struct env_on_device *d = self;
    d->ops->pull(d->device); /* the others stay as they are */
    const int code = env_place_host.restore(d->host, lo, hi, bytes, err);
    if (!code) d->ops->push(d->device);
    return code;
}

static void device_report_begin(void *self, int slot)
{
    const struct env_on_device *d = self;
    d->ops->report(d->device, slot);
}

static struct env_report device_report_end(void *self, int slot)
{
    const struct env_on_device *d = self;
    return d->ops->read_report(d->device, slot);
}

static void device_find_wrong_end(void *self, uint64_t *first)
{
    const struct env_on_device *d = self;
    d->ops->find_wrong_end(d->device, first);
}

static int device_script(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    const struct env_on_device *d = self;
    d->ops->pull(d->device);
    return env_place_host.script(d->host, lo, hi, io, err);
}

static int device_draw(void *self, int32_t e, const struct mappo_canvas *canvas, struct error *err)
{
    const struct env_on_device *d = self;
    d->ops->pull(d->device);
    return env_place_host.draw(d->host, e, canvas, err);
}

static const struct env_place_ops env_place_device = {.on_device = true,
                                                      .close = device_close,
                                                      .reset = device_reset,
                                                      .observe = device_observe,
                                                      .step = device_step,
                                                      .snapshot = device_snapshot,
                                                      .restore = device_restore,
                                                      .report_begin = device_report_begin,
                                                      .report_end = device_report_end,
                                                      .find_wrong_end = device_find_wrong_end,
                                                      .script = device_script,
                                                      .draw = device_draw};

bool vecenv_attach(struct vecenv *v, const struct env_device_ops *ops, struct backend *backend, char *why, size_t size)
{
    struct mappo_device program = {.struct_size = sizeof program};
    struct env_on_device *d = v->place.ops == &env_place_device ? v->place.self : NULL;
    struct env_host *host = d ? d->host : v->place.ops == &env_place_host ? v->place.self : NULL;
    const char *lacks = NULL;
    if (!host)
        lacks = v->place.ops->why_fixed;
    else if (host->wrap)
        lacks = "its wrappers work on the host";
    else if (!ops)
        lacks = "this backend steps no environments";
    else if (!v->env->device)
        lacks = "it has no kernels";
    else if (call_device(v->env, host->instance, &program))
        lacks = "its kernels don't know these options";
    else if (!program.kernels && !(program.kernels = plugin_kernels(v->env)) && !(program.kernels = ops->kernels(v->env)))
        lacks = "it has no kernels";
    if (lacks) {
        text_format(why, size, "%s: %s", v->env->id, lacks);
        return false;
    }
    const struct env_device_config config = {.program = &program,
                                             .spec = &v->spec,
                                             .envs = v->envs,
                                             .horizon = v->horizon < 1 ? 1 : v->horizon,
                                             .report = v->report_most,
                                             .time_limit = host->time_limit,
                                             .first_env = v->first_env,
                                             .taken = host->taken[0],
                                             .lane = host->lane,
                                             .action = host->action};
    if (d) { /* where its memory was only planned, or another one */
        d->ops->pull(d->device);
        d->ops->close(d->device);
    } else {
        d = malloc(sizeof *d);
        CHECK(d, "out of memory for environments on a device");
    }
    *d = (struct env_on_device){.ops = ops, .device = ops->open(backend, &config), .host = host};
    v->place = (struct env_place){.ops = &env_place_device, .self = d};
    return true;
}
