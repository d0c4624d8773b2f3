/* What the files of the vecenv share (vecenv.c, place_host.c, place_device.c); nobody else includes it. */
#ifndef MAPPO_ENV_VECENV_WORK_H
#define MAPPO_ENV_VECENV_WORK_H

#include <stdlib.h>

#include "env/options.h"
#include "env/place.h"
#include "env/slices.h"
#include "env/vecenv.h"
#include "env/wrap.h"
#include "env/wrappers.h"

/* What is the same wherever the environments step. */
struct vecenv {
    const struct mappo_env *env;
    struct mappo_env_spec spec; /* as the learner sees it */
    struct mappo_env_spec own;  /* as the environment has it */
    struct slice_strides strides;
    struct group_sizes size[MAPPO_MAX_GROUPS];
    char options[OPTIONS_TEXT], changed[OPTIONS_TEXT], wrappers[WRAP_TEXT];
    uint64_t identity, hash; /* env/identity.h */
    size_t snapshot_bytes;   /* wrappers and instance of an environment */
    bool squashes;           /* policy.squash */
    int32_t envs, horizon, report_most;
    uint32_t first_env;

    struct env_place place;
    struct episode *episode; /* [room] ring of ended episodes, where `place` tells of them */
    int64_t room, first, count;
    struct env_report report[VECENV_REPORTS]; /* likewise */
    int64_t reports_begun, reports_ended;
};

struct begun { /* a range that environments elsewhere are stepping */
    int32_t hi;
    struct mappo_env_io io; /* as it was given */
};

/* A batch on the host: the place of a vecenv that was just opened. On a device its copies of states and wrappers serve snapshots. */
struct env_host {
    const struct vecenv *v;
    void *instance;
    char *texts; /* its options that are texts, one after the other */
    int threads;
    int32_t time_limit; /* that comes before the environment's own; 0 = none */

    struct mappo_env_spec spec; /* the environment's, with time limit and bounds of actions: of the arrays that it writes */
    struct slice_strides strides;
    struct group_sizes size[MAPPO_MAX_GROUPS];
    int32_t block; /* environments that are stepped and looked at before the next ones are, so that what they wrote is still at hand */

    struct wrapper_lane *lane; /* [E] */
    struct action_wrapper action[MAPPO_MAX_GROUPS];
    struct wrap *wrap;                  /* between it and the learner; NULL where nothing is */
    float *reward[MAPPO_MAX_GROUPS];    /* [E][A] where the caller wants none: statistics need it */
    int32_t *act_int[MAPPO_MAX_GROUPS]; /* [E][A][Ki] where there is a scripted player: of groups that nobody asks it for */
    float *act_real[MAPPO_MAX_GROUPS];  /* [E][A][Kr] likewise */
    uint8_t *ep_end;                    /* [E] likewise */
    float *info;                        /* [E][infos] likewise */
    bool infos_at_end;                  /* some column is of the episode so far */
    double *info_sum, *info_count;      /* [E][infos] since take_info; per environment, so that threads don't matter */

    uint64_t *taken;               /* [E] steps since the vecenv was opened */
    uint8_t *ended;                /* [E] of struct env_place */
    struct episode *last;          /* [E] likewise */
    struct mappo_env_error *error; /* [threads] */
    int *code;                     /* [threads] */
    uint8_t *again;                /* [E] takes its action once more; NULL where actions are not repeated */
    struct begun *begun;           /* [E] by a range's first environment; NULL where steps are not begun */
};
/* self: struct env_host; the second for environments with `begin` */
extern const struct env_place_ops env_place_host, env_place_elsewhere;

/* Creates the instance and whatever steps it; fills in v's options, spec, snapshot_bytes and place. What was made stays in v->place when
 * it fails, for its `close`. */
int env_host_open(struct vecenv *v, const struct vecenv_config *config, struct error *err);

/* Says that there is not enough for so many environments and steps. Returns EXIT_USAGE. */
int vecenv_no_memory(const struct vecenv *v, struct error *err);

/* Zeroed; sets *failed where there is none. */
static inline void *env_take(size_t count, size_t size, bool *failed)
{
    void *bytes = calloc(count ? count : 1, size);
    if (!bytes) *failed = true;
    return bytes;
}

#endif
