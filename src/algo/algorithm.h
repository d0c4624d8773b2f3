/* What the training loop knows of an algorithm. An algorithm owns its horizon: on-policy learners collect a rollout, off-policy learners
 * (later) collect the steps between two updates. It says which networks it needs, owns optimisers and buffers, and lists what of all these
 * belongs into a checkpoint. */
#ifndef MAPPO_ALGO_ALGORITHM_H
#define MAPPO_ALGO_ALGORITHM_H

#include <math.h>

#include "algo/schedule.h"
#include "backend/backend.h"
#include "base/field.h"
#include "comm/comm.h"
#include "config/config.h"
#include "env/vecenv.h"
#include "nn/policies.h"

/* A named number of one update. */
struct metric {
    const char *name, *unit, *help;
    double value;
};

struct algorithm;
struct algorithm_ops {
    int (*begin)(struct algorithm *, bool restored, struct error *); /* first observations */
    int (*collect)(struct algorithm *, struct error *);              /* one horizon of environment steps */
    int (*finish)(struct algorithm *, struct error *);               /* values, advantages */
    int (*update)(struct algorithm *, struct error *);               /* epochs and minibatches, gradients all-reduced */
    int (*outcome)(struct algorithm *, struct error *);          /* of the oldest update not asked for yet: waits until it has been made */
    void (*anneal)(struct algorithm *, const struct annealed *); /* of the coming updates: when is the trainer's */
    int (*fields)(struct algorithm *, struct field_list *);      /* parameters, moments, normalisers, counters, state per environment */
    void (*pull)(struct algorithm *);                            /* brings what the fields point to up to date: before they are read … */
    void (*push)(struct algorithm *);                            /* … and takes it over, after they were written */
    int (*metrics)(struct algorithm *, struct metric *out, int max); /* of the last outcome; equal on every rank */
    void (*destroy)(struct algorithm *);
    /* Optional: a replay, which is saved in a file of its own and read from it without a copy in memory (run/replay_file.h). Lists its arrays
     * [places][environments of this rank]…, which are the backend's, and as scalars the host's counts of places, equal on every rank.
     * Returns how many places, from the first on, have been written. When a replay is read the fields have been, and it must list what the
     * file holds; where none is read, nothing is written to what it lists, so that it is as `create` has made it. */
    int64_t (*replay)(struct algorithm *, struct field_list *);
};

struct algorithm {
    const struct algorithm_ops *ops;
    const char *name;
    int64_t horizon; /* algorithm_horizon's */
    int64_t taken; /* steps of all environments of all ranks that the last `collect` has taken: envs * horizon, unless it says otherwise */
    int ahead;     /* updates that may be begun before the outcome of one is asked for: a device then never waits for the host */
    double seconds_step, seconds_infer, seconds_update; /* since the trainer last cleared them */
    double seconds_device, seconds_wait;                /* likewise; 0 unless environments step on the host beside a device: collect.h */
    char note[192];                                     /* what people are told when it begins; "" = nothing */
    struct backend *backend;                            /* the context's, … */
    struct comm *comm;                                  /* … likewise */
    double flops; /* of matrix products, for each environment step that is learned from: benchmarks' floor … */
    double bytes; /* … and what must move at least where the device's memory is the limit: inputs of every pass once, what is stored once */
    void *self;
};

/* Fraction of the device's work while collecting that the host's stepping hid; NaN where there is no such work. The host also waits for
 * what is not counted (values of truncated episodes), and then more than all is the same as all. */
static inline double algorithm_hidden(const struct algorithm *algorithm)
{
    return algorithm->seconds_device > 0 ? fmax(0, 1 - algorithm->seconds_wait / algorithm->seconds_device) : (double)NAN;
}

struct algorithm_context {
    const struct config *config;
    struct policies *policies; /* algorithm_policies' on this backend; they outlive the algorithm */
    struct vecenv *env;
    struct backend *backend;
    struct comm *comm;
    uint32_t first_env;
    int32_t envs; /* of this rank */
    int local_shards;
    int where;     /* enum collect_where: where the environments are */
    bool attended; /* the backend's threads may stand by while a rollout is collected (env/crew.h) */
    bool silent;   /* what it would warn of is said when it is made once more */
};

/* What can be asked of an algorithm before there is one, and how it is made. */
struct algorithm_functions {
    int64_t (*horizon)(const struct config *config);
    /* The networks that it learns with, and so what it asks of the environment: EXIT_USAGE where it can't learn there. */
    int (*policies)(struct policies **policies, const struct config *config, const struct mappo_env_spec *spec, struct backend *backend,
                    struct error *err);
    size_t size; /* of what self points to: zeroed; made before `create` and freed after ops->destroy */
    const struct algorithm_ops *ops;
    int (*create)(struct algorithm *algorithm, const struct algorithm_context *context, struct error *err); /* destroyed where it fails */
    const struct metric *metrics; /* their names, units and meanings; name NULL behind the last */
    const char *beside;           /* algorithms by which groups may learn beside it (group.NAME.algo): "mappo ippo"; NULL = none */
    bool self_play;               /* it leaves rows out in which a past self has acted (self_play.h) */
};
struct algorithm_type {
    const char *name, *help;
    const struct algorithm_functions *functions;
};
extern const struct algorithm_type algorithms[]; /* by number of algo.name's choice (config/algorithms.def); name NULL behind the last */

/* Of the algorithm that the configuration asks for. */
/* Environment steps per environment and update, of which an episode may be left to play on beyond them (rollout.unit). */
int64_t algorithm_horizon(const struct config *config);
int algorithm_policies(struct policies **policies, const struct config *config, const struct mappo_env_spec *spec, struct backend *backend,
                       struct error *err);
/* Does a group of agents learn by the algorithm of this name? */
bool algorithm_of_group(const struct config *config, const struct mappo_group *group, const char *name);
int algorithm_check_groups(const struct policies *policies, struct error *err); /* EXIT_USAGE where none of them learns */
int algorithm_create(struct algorithm **algorithm, const struct algorithm_context *context, struct error *err);
void algorithm_destroy(struct algorithm *algorithm); /* NULL is allowed */

/* Operations as the loop calls them: what they take is added to the algorithm's seconds, and a profile shows it. */
int algorithm_finish(struct algorithm *algorithm, struct error *err);
int algorithm_update(struct algorithm *algorithm, struct error *err); /* without what ranks wait for each other */
int algorithm_outcome(struct algorithm *algorithm, struct error *err);

/* Names, units and meanings of all algorithms' metrics, each name once, for the documentation; returns the count. */
int algorithm_describe_metrics(struct metric *out, int max);

#endif
