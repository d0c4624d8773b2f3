/* Places: where the environments of a vecenv step. On threads of this process (place_host.c), on a device (place_device.c), on other ranks
 * (run/pod_env.c). A vecenv knows who its environments are and lists their ended episodes; the rest it asks of its place, one call for a
 * whole range of environments. Another place is another table, handed to vecenv_join.
 *
 * Arguments, results and errors are those of the vecenv_… of the same name; `self` is the place's own. */
#ifndef MAPPO_ENV_PLACE_H
#define MAPPO_ENV_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "env/vecenv.h"

struct env_place_ops {
    /* The arrays of io are a device's, all environments step at once, and calls return before the device has worked. */
    bool on_device;
    const char *why_fixed; /* why vecenv_attach can't move them from here to a device: "several ranks step it" */

    void (*close)(void *self);
    int (*reset)(void *self, const struct mappo_env_io *io, struct error *err);
    int (*observe)(void *self, const struct mappo_env_io *io, struct error *err);
    /* Steps environments [lo, hi), or only has them begin: then `wait` returns when they are through. On several threads at the same time
     * for disjoint ranges where the place says so in its own header. */
    int (*step)(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err);
    int (*wait)(void *self, int32_t lo, int32_t hi, struct error *err); /* optional */

    int (*snapshot)(void *self, int32_t lo, int32_t hi, void *bytes, struct error *err);
    int (*restore)(void *self, int32_t lo, int32_t hi, const void *bytes, struct error *err);

    /* What ended: in env_place's `ended` and `last`, with take_info, … */
    void (*take_info)(void *self, double *sum, double *count);
    /* … or in reports of the place's own; slot < VECENV_REPORTS. */
    void (*report_begin)(void *self, int slot);
    struct env_report (*report_end)(void *self, int slot);
    void (*find_wrong_end)(void *self, uint64_t *first);

    /* optional */
    void (*count_anew)(void *self);
    int (*script)(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err);
    /* e < 0: how the last episode of the only environment looked at its end */
    int (*draw)(void *self, int32_t e, const struct mappo_canvas *canvas, struct error *err);
    void *(*memory)(void *self, size_t bytes); /* zeroed: the arrays of io must lie there; NULL = they may lie anywhere */
};

struct env_place {
    const struct env_place_ops *ops;
    void *self;
    uint8_t *ended;       /* [E] 1 after a step: environment e's episode ended with it, and … */
    struct episode *last; /* [E] … this is what there is to say of it. The vecenv sets `ended` back */
};

/* A vecenv of `config->envs` environments that step at `place` and are, but for their number, what `like` is: the place usually opened that
 * one to look at, or to step a part of them, and keeps it open. Of config: envs, first_env, horizon, report. The vecenv closes the place;
 * where this fails it stays the caller's. */
int vecenv_join(struct vecenv **env, const struct env_place *place, const struct vecenv *like, const struct vecenv_config *config,
                struct error *err);

#endif
