/* What the parts of `mappo bench` share: bench.c measures the cores, bench_device.c a GPU, bench_env.c environments alone. */
#ifndef MAPPO_CMD_BENCH_H
#define MAPPO_CMD_BENCH_H

#include "cmd/cmd.h"
#include "comm/placement.h"
#include "env/slices.h"
#include "run/learning.h"

struct bench {
    const struct arguments *args;
    struct comm *comm;
    struct config config;    /* as the user gave it */
    struct config replaying; /* the same with algo=maddpg … */
    bool replays;            /* … where that is another algorithm, which can learn there */
    struct placement placement;
};

struct bench_result {
    double steps;                              /* environment steps of an update, all ranks */
    double agents;                             /* agents of an environment */
    double flops;                              /* of matrix products, per environment step */
    double peak;                               /* flop/s of all cores in use, or of the device */
    double total, best;                        /* seconds of an update: median, least */
    double cpu, cpu_median;                    /* processor seconds of an update, all threads of this rank: least, median */
    double step, infer, update, communication; /* medians of the phases */
    double collect;                            /* median of stepping with inference and sampling */
    double device, hidden;                     /* medians of the algorithm's seconds_device and algorithm_hidden; 0, NaN: there are none */
    double env;                                /* seconds of one step of all environments, alone */
};

/* Without what benchmarks have no time or memory for: evaluations, a replay that is filled before anything is learned. */
void bench_settings(struct config *config, const struct config *given);
/* Real updates for about two seconds, at least five; then medians. steps, agents and flops are filled in as well. Collective. */
int bench_training(struct learning *learning, const struct config *config, struct comm *comm, struct bench_result *result,
                   struct error *err);
double bench_median(double *x, int n); /* sorts */
/* Processor time of this process, all threads: tells a slow program from a busy machine. */
double bench_cpu_seconds(void);

/* ---- environments alone ---------------------------------------------------------------------------------------------------------------- */

/* One step of all environments of this rank: medians over parts of the time. */
struct bench_stepping {
    double seconds;
    double cpu; /* processor seconds, all threads */
    int agents; /* of an environment */
};

/* Environments of their own on the host, stepped by `threads` with random allowed actions, for about a quarter of a second. Timed are vecenv_step and
 * nothing else: actions, observations, masks and a central state of its own written, episodes begun anew, numbers looked at for NaN,
 * statistics; not the drawing of actions. */
int bench_environments(const struct config *config, struct comm_part envs, int threads, struct bench_stepping *result, struct error *err);
/* `mappo bench only=env`: measures and prints them for one thread and for all. Collective. */
int bench_stepping(const struct bench *bench, struct error *err);
/* Arrays for stepping `envs` environments alone, in memory that `take` gives: zeroed, or a copy of `from`. */
typedef void *bench_take(void *user, size_t bytes, const void *from);
void bench_env_io(struct mappo_env_io *io, const struct mappo_env_spec *spec, int64_t envs, bench_take *take, void *user);

/* The table for a GPU; `learning` holds the opened backend and is closed. */
int bench_device(const struct bench *bench, struct learning *learning, struct error *err);

#endif
