/* Turns a group's action spaces into the heads of a policy. */
#ifndef MAPPO_NN_DISTRIBUTION_H
#define MAPPO_NN_DISTRIBUTION_H

#include "backend/backend.h"
#include "env/mappo_env.h"

/* EXIT_USAGE where a group has more heads than POLICY_MAX_HEADS. *outputs: columns of the policy network; *extra: length of log_std. */
int distribution_build(struct distribution *dist, const struct mappo_group *group, float fixed_std, int *outputs, int *extra, struct error *err);

#endif
