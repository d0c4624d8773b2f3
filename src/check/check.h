/* `mappo check`: does an environment keep what mappo_env.h asks of it? The same looks are the test that walks the registry.
 *
 * One run is recorded: 8 environments, random legal actions, arrays full of 0xFF between pages that nobody may touch. Everything that must
 * not change the results (other ranges, threads, shards, instances beside it, snapshots, a script or a drawing in between …) is then played
 * again and compared with it, bit for bit. Each of these stages is a process of its own, begun from one in which nothing of the environment
 * has run yet: a crash, an exit() or a call that never returns is one line more, and what one stage leaves behind disturbs no other.
 *
 * Must be called before the process starts threads or a device. */
#ifndef MAPPO_CHECK_CHECK_H
#define MAPPO_CHECK_CHECK_H

#include <stdbool.h>

#include "env/options.h"
#include "env/vecenv.h"

/* A device to run an environment's kernels on. A stage opens it in its own process, and it is closed with that. */
struct env_device_ops;
struct backend;
struct check_device {
    struct backend *(*open)(char *why, size_t size); /* NULL: there is none, and why [size] says so */
    const char *(*name)(struct backend *);
    const struct env_device_ops *(*environments)(struct backend *);
    void *(*alloc)(struct backend *, size_t bytes);
    void (*upload)(struct backend *, void *to, const void *from, size_t bytes);
    void (*download)(struct backend *, void *to, const void *from, size_t bytes);
};

struct check_config {
    const char *name;                /* as in struct vecenv_config; of a variant its base, with its options among those below */
    const struct env_option *option; /* [options] */
    int options;
    uint64_t seed;
    int64_t steps;                     /* of each environment; 0 = two episodes and at least 500 steps, or what a second allows */
    double call_seconds;               /* a call that takes longer never returns */
    const struct check_device *device; /* NULL: kernels are not run */
    double speed_seconds;              /* for which the speed is measured at the end; 0 = not at all */
};

enum { CHECK_FINDINGS = 48 };

struct check_finding {
    bool is_warning;
    char text[480]; /* one line: what, which array, environment, agent and step, and what to do */
};

struct check_report {
    const struct mappo_env *env;
    char options[OPTIONS_TEXT]; /* "N=3 rules=mpe2 …" */
    int faults, warnings, findings;
    struct check_finding finding[CHECK_FINDINGS]; /* in the order in which they were found */
    int32_t envs;
    int64_t steps;      /* of each environment that were recorded */
    int64_t episodes;   /* that ended in them */
    char kernels[256];  /* what became of its kernels: "none …", "not run: …", "the host's bits …"; "" = a fault came before */
    double ns_per_step; /* of one environment on one thread; 0 = not measured */
};

/* 0 where all stages were gone through, whatever they found; EXIT_USAGE or EXIT_ENVIRONMENT where the environment can't be found, its table
 * of options is unsound or an option has a wrong value, be it one that the environment itself refuses. */
int check_environment(const struct check_config *config, struct check_report *report, struct error *err);

#endif
