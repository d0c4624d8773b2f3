/* What the environments of the mpe suite share on the host: how they describe themselves, the assignment of agents to targets. */
#ifndef MPE_SUITE_H
#define MPE_SUITE_H

#include "env/describe.h"

/* Two numbers of an observation, NAME ", x" and NAME ", y". */
void mpe_describe_xy(struct description *d, const char *unit, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Actions Discrete(5), or Box(0, 1, 5), with the directions in the order of the rules. */
void mpe_describe_movement(struct description *d, int continuous, int on_policy);

/* target[i] = the target of agent i, such that the sum of distances is least (Hungarian method, O(n³)); positions [n][2], n <= 64. */
void mpe_assign(int n, const float *agent, const float *target_position, int *target);

#endif
