/* What learns: backend, environments, networks and algorithm, opened in this order and fitting one another; for training, evaluation (which
 * has no algorithm) and benchmarks alike. */
#ifndef MAPPO_RUN_LEARNING_H
#define MAPPO_RUN_LEARNING_H

#include "algo/algorithm.h"
#include "config/choices.h"
#include "run/pod_env.h"

enum { BACKEND_AUTO, BACKEND_CPU, BACKEND_CUDA }; /* backend.name */

struct learning {
    struct backend *backend;
    struct backend
        *planner; /* adds up what will be taken of a device's memory, while learning_open lasts, or of any in learning_plan; or NULL */
    struct vecenv *env;
    bool may_spin;     /* set before learning_open: struct placement's */
    struct pod *pod;   /* likewise: ranks that may step environments for this one; NULL = none */
    struct comm *comm; /* that the backend's device is attached to; NULL = none */
    struct policies *policies;
    struct algorithm *algorithm; /* NULL after learning_open_alone */
    struct comm_part envs;       /* of this rank, by global index */
    char why_cpu[512];           /* backend=auto: why the CPU although this build has CUDA; else empty */
    char where[256];             /* of the environments, where that is worth a line: "environments step on the device" */
    char memory[1024];           /* by parts: the device's, or what was planned; else empty */
    char note[192];              /* of learning_plan: the algorithm's */
    bool for_device;             /* likewise: what is planned on the CPU is meant for a device */
};

/* The backend that the configuration asks for. Collective: with backend=auto all ranks compute on the same kind. `level`: instruction
 * level that all ranks have. */
int learning_backend(struct learning *learning, const struct config *config, struct comm *comm, int threads, int level, struct error *err);

/* Rank 0: a line for each key that the user set and that changes nothing beside the others, with this backend, environment and ranks; and
 * one where nothing need ever end an episode. After learning_open. */
void learning_warn(const struct learning *learning, const struct config *config, const struct comm *comm);

/* Devices of this node that the configuration's backend may use; 0 = it computes on the CPU. */
int learning_devices(const struct config *config);

/* Environments of this rank and its pod, then the networks and the algorithm; learning_backend comes before. Collective within the pod. */
int learning_open(struct learning *learning, const struct config *config, struct comm *comm, struct error *err);

/* Environment steps of all ranks in an update: steps of the learner times wrap.action_repeat. */
int64_t learning_env_steps(const struct learning *learning, const struct config *config);

/* One environment and the networks for it, to play with those of a file. */
int learning_open_alone(struct learning *learning, const struct config *config, struct error *err);

/* After it: the learner of all this rank's environments and its evaluations are made where memory is only added up, in bytes and (l->memory) by
 * parts; environments' own is not among it. What they would refuse is refused, and what they would warn of is said. */
int learning_plan(struct learning *learning, const struct config *config, struct comm *comm, size_t *need, struct error *err);

void learning_close(struct learning *learning);

#endif
