/* What the files of the vecenv share (vecenv.c, vecenv_report.c); nobody else includes it. */
#ifndef MAPPO_ENV_VECENV_WORK_H
#define MAPPO_ENV_VECENV_WORK_H

#include "env/lane.h"
#include "env/options.h"
#include "env/vecenv.h"
#include "env/wrappers.h"

/* A batch on a device: whether its host copies of states and wrappers can be believed. */
struct copies {
    int32_t next; /* they were fetched for the environments before this one, one after the other; -1 = they are old */
    bool changed; /* they are newer than the device's */
};

struct vecenv {
    const struct mappo_env *env;
    void *self;
    struct mappo_env_spec spec; /* as the learner sees it */
    struct lane_strides strides;
    struct group_sizes size[MAPPO_MAX_GROUPS];
    char options[OPTIONS_TEXT], changed[OPTIONS_TEXT];
    char *texts;             /* options that are texts, one after the other */
    uint64_t identity, hash; /* env/identity.h */
    int32_t envs, time_limit, horizon, report_most;
    uint32_t first_env;
    int threads;

    struct wrapper_lane *lane; /* [E] */
    struct action_wrapper action[MAPPO_MAX_GROUPS];
    float *reward[MAPPO_MAX_GROUPS]; /* [E][A] where the caller wants none: statistics need it */
    uint8_t *ep_end;                 /* [E] likewise */
    float *info;                     /* [E][infos] likewise */
    bool infos_at_end;               /* some column is of the episode so far */
    double *info_sum, *info_count;   /* [E][infos] since vecenv_take_info; per environment, so that threads don't matter */

    uint64_t *taken;         /* [E] steps since this vecenv was opened */
    uint8_t *ended;          /* [E] an episode waits in `last` for vecenv_step_end */
    struct episode *last;    /* [E] */
    struct episode *episode; /* [room] ring of ended episodes */
    int64_t room, first, count;
    struct env_report report[VECENV_REPORTS]; /* of the host's environments */
    int64_t reports_begun, reports_ended;

    struct mappo_env_error *error; /* [threads] */
    int *code;                     /* [threads] */

    const struct env_device_ops *device_ops;
    struct env_device *device; /* NULL = on the host */
    struct copies *copies;

    struct vecenv_elsewhere elsewhere; /* self = NULL: they step here, or on the device */
};

/* Before a call that the device answers: true where there is one. It then has what was restored, and the host's copies become old. */
bool vecenv_to_device(struct vecenv *v);

#endif
