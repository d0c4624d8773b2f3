/* Collecting: act, step, look, a number of times, into transitions. Three ways through, by where the environments are. */
#ifndef MAPPO_ALGO_COLLECT_H
#define MAPPO_ALGO_COLLECT_H

#include "algo/device_check.h"
#include "algo/self_play.h"
#include "algo/states.h"
#include "algo/transitions.h"
#include "env/vecenv.h"
#include "nn/policy.h"

enum collect_where {
    COLLECT_DIRECT, /* they write into the transitions: backend and environments share the host's memory */
    COLLECT_STAGED, /* on the host, beside a device or in other processes: slices of theirs are copied in, actions out */
    COLLECT_DEVICE  /* on the backend's device: nothing of a step passes through the host */
};

/* Staged: parts of the environments, of which one steps while the others are inferred: shards where there are several, else two halves.
 * Who steps them in other processes cuts them alike (run/pod_env.c), so that each has work in every stage. */
static inline int collect_stages(int envs, int shards)
{
    return shards > 1 ? shards : envs > 1 ? 2 : 1;
}
static inline int collect_stage_first(int envs, int stages, int stage)
{
    return (int)((int64_t)envs * stage / stages);
}

struct collect_config {
    int where; /* enum collect_where */
    int steps; /* that one call of collect_steps takes: all that a rollout holds; at most what a ring holds */
    uint64_t seed;
    int crew;           /* staged: threads, with the calling one, that stand by meanwhile (env/crew.h); <= 1: none */
    struct vecenv *env; /* staged: takes slices of its memory, if it has some (vecenv_owns_memory); NULL = the backend's, as otherwise */
    real *log_prob[MAPPO_MAX_GROUPS]; /* [steps][E][A] of the actions taken, the backend's; NULL = not wanted */
    bool per_head;                    /* of each head: [steps][E][A][heads] */
    const struct states *states;      /* of recurrent policies; NULL where none is, and of a ring */
    struct self_play *self_play;      /* NULL where no group plays itself, and of a ring */
    /* What the learner does meanwhile; NULL = nothing. They only call the backend: on a device they are recorded once, with the steps. */
    void *learner;
    /* Environments [lo, hi) have actions in the slices `at`, for the k-th step of this call, which they have not taken yet. */
    void (*acted)(void *learner, const struct mappo_env_io *at, int k, int lo, int hi);
    /* Environments [lo, hi) have observations at this place. */
    void (*observed)(void *learner, int place, int lo, int hi);
    /* Time limits cut episodes in the k-th step of this call, whose final observations are there until the next one. Where those of all
     * steps are kept: once, after the last step, whether any was cut or not. */
    void (*cut)(void *learner, int k);
};

struct collector {
    struct collect_config config;
    struct transitions *transitions;
    const struct mappo_env_spec *spec;
    struct device_check check;          /* where the environments are on a device */
    double seconds_step, seconds_infer; /* since the caller last cleared them; on a device the host's share */
    /* likewise, staged beside a device: copies and inference there, up to actions, and how much of that the host stood and waited for */
    double seconds_device, seconds_wait;
    struct collect_work *work;
};

/* policy [spec->groups], spec and transitions must outlive the collector; its arrays come from `memory`. */
void collector_create(struct collector **collector, const struct collect_config *config, struct transitions *transitions,
                      const struct mappo_env_spec *spec, struct policy *const *policy, struct backend_memory *memory);
void collector_destroy(struct collector *collector); /* NULL is allowed */

/* First observations from a fresh start (reset) or from restored environments (observe). `env` must outlive the collector's use. */
int collect_begin(struct collector *collector, struct vecenv *env, bool restored, struct error *err);

/* config.steps steps; a full rollout is carried over before. What the environments did wrong (env/verify.h) names environment (global
 * index), agent and step; of environments on a device `check` has it, later. */
int collect_steps(struct collector *collector, struct vecenv *env, struct error *err);

#endif
