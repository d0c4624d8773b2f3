/* The environments of a pod (comm/pod.h): every rank of it steps a part, and on the leader they look like one vecenv.
 *
 * Everything that passes between them lies in the pod's window: commands, answers, ended episodes, snapshots, and the slices that the
 * environments write. The stages of collecting (algo/collect.h) are cut among all ranks one by one, so that each has work in every stage. */
#ifndef MAPPO_RUN_POD_ENV_H
#define MAPPO_RUN_POD_ENV_H

#include "comm/placement.h"
#include "comm/pod.h"
#include "run/open_env.h"

/* Leader, while the members are in pod_serve: they step the environments until this vecenv is closed. `batch` has those of the whole pod;
 * `stages`: of the rollout, whose slices lie in the window (vecenv_memory). The device (NULL = none) learns that this memory is copied from
 * and to. Errors on every rank of the pod: those of vecenv_open; EXIT_PEERS where there is not enough shared memory. */
int pod_env_open(struct vecenv **env, struct pod *pod, const struct config *config, const struct open_env_config *batch, int stages,
                 const struct comm_device *device, struct error *err);

/* Leader: the members' pod_serve returns `code`. With no environments open; nothing happens where the pod is one rank. */
void pod_dismiss(struct pod *pod, int code);

/* Members: steps environments until the leader has no more use for it. */
int pod_serve(struct pod *pod, const struct config *config, const struct placement *placement);

#endif
