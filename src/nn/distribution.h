/* Turns a group's action spaces into the heads of a policy. */
#ifndef MAPPO_NN_DISTRIBUTION_H
#define MAPPO_NN_DISTRIBUTION_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/backend.h"
#include "env/mappo_env.h"

/* Heads in the order of the action spaces: one per Discrete (choices from `start`), per component of a MultiDiscrete, per MultiBinary, per
 * Box. The joint log-probability and the entropy are sums over heads. `fixed_std` > 0: Gaussians of that constant standard deviation, else
 * log_std is a parameter. *outputs: columns of the policy network; *extra: length of log_std. EXIT_USAGE where a group has more heads than
 * POLICY_MAX_HEADS. */
int distribution_build(struct distribution *dist, const struct mappo_group *group, float fixed_std, int *outputs, int *extra,
                       struct error *err);

/* Kind and width of each head, as JSON: [["categorical",4],["gaussian",2]]. False where `text` is too small for it. */
bool distribution_json(const struct distribution *dist, char *text, size_t size);

#endif
