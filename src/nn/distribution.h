/* Turns a group's action spaces into the heads of a policy. */
#ifndef MAPPO_NN_DISTRIBUTION_H
#define MAPPO_NN_DISTRIBUTION_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/backend.h"
#include "config/choices.h"
#include "env/mappo_env.h"

struct deviation {   /* of Gaussians */
    int kind;        /* STD_SHARED, STD_STATE or STD_FIXED (config/choices.h) */
    float fixed_std; /* of STD_FIXED */
};

/* Heads in the order of the action spaces: one per Discrete (choices from `start`), per component of a MultiDiscrete, per MultiBinary, per
 * Box. The joint log-probability and the entropy are sums over heads. *outputs: columns of the policy network, log deviations behind the heads';
 * *extra: length of log_std where it is a parameter. EXIT_USAGE where a group has more heads than POLICY_MAX_HEADS. */
int distribution_build(struct distribution *dist, const struct mappo_group *group, const struct deviation *deviation, int *outputs,
                       int *extra, struct error *err);

/* Kind and width of each head, as JSON: [["categorical",4],["gaussian",2]]. False where `text` is too small for it. */
bool distribution_json(const struct distribution *dist, char *text, size_t size);

#endif
