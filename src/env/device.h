/* How a batch of environments runs on a device: what place_device.c asks of it. Implemented in cuda/; a backend offers it as
 * backend->environments. All arrays of `io` are the device's; calls return before the device has worked, and those between "captured" below
 * may be recorded and run again. A device that fails ends the program with EXIT_PEERS.
 * The environment's own part is `struct mappo_device` of mappo_env.h. */
#ifndef MAPPO_ENV_DEVICE_H
#define MAPPO_ENV_DEVICE_H

#include <stdint.h>

#include "base/check.h"
#include "env/mappo_env.h"
#include "env/vecenv.h"

struct backend;
struct env_device; /* a batch on a device */
struct wrapper_lane;
struct action_wrapper;

struct env_device_config { /* pointers: as long as the batch is open; `program` is copied */
    const struct mappo_device *program;
    const struct mappo_env_spec *spec;
    int32_t envs, horizon, time_limit; /* horizon >= 1 */
    int32_t report;                    /* episodes that a report lists at most, >= 1 */
    uint32_t first_env;
    uint64_t taken;                      /* steps that the vecenv has taken so far */
    struct wrapper_lane *lane;           /* host [envs]: where the wrappers' state is pulled to and pushed from */
    const struct action_wrapper *action; /* [spec->groups] */
};

struct env_device_ops {
    const struct mappo_kernels *(*kernels)(const struct mappo_env *);               /* of a built-in environment; NULL = it has none */
    struct env_device *(*open)(struct backend *, const struct env_device_config *); /* with the host's copies in it */
    void (*close)(struct env_device *);                                             /* before the backend */
    /* captured: */
    void (*reset)(struct env_device *, const struct mappo_env_io *io);   /* new episodes; obs, state, active, act_mask */
    void (*observe)(struct env_device *, const struct mappo_env_io *io); /* of the present state */
    void (*step)(struct env_device *, const struct mappo_env_io *io);    /* with wrappers and statistics, as vecenv_step */
    void (*find_wrong_end)(struct env_device *, uint64_t *first);        /* of vecenv_find_wrong_end */
    /* never captured; they wait: */
    void (*pull)(struct env_device *); /* states and wrappers to the host's copies */
    void (*push)(struct env_device *); /* the other way */
    /* never captured; report asks for number `slot` of VECENV_REPORTS, read_report reads it once the device has come so far: */
    void (*report)(struct env_device *, int slot);
    struct env_report (*read_report)(struct env_device *, int slot);
};

#endif
