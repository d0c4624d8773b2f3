/* What the environments of the mpe suite share on the host: meanings of numbers, the movement space, the assignment of agents to targets.
 */
#ifndef MPE_SUITE_H
#define MPE_SUITE_H

#include "env/mappo_env.h"

/* Fills *error and returns -1. */
int mpe_refuse(struct mappo_env_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Names of the entries of an observation, built once when an environment is created. */
struct mpe_meanings {
    struct mappo_meaning *meaning; /* [room] */
    char (*name)[64];              /* [room] */
    int count, room;
};
int mpe_meanings_create(struct mpe_meanings *meanings, int room); /* 0, or -1 without memory */
void mpe_meanings_destroy(struct mpe_meanings *meanings);
void mpe_meaning(struct mpe_meanings *meanings, const char *unit, const char *format, ...) __attribute__((format(printf, 3, 4)));
void mpe_meaning_xy(struct mpe_meanings *meanings, const char *unit, const char *format, ...)
    __attribute__((format(printf, 3, 4))); /* ", x" and ", y" */

/* Discrete(5), or Box(0, 1, 5), with the directions in the order of the rules. */
struct mappo_space mpe_movement_space(int continuous, int on_policy);

/* target[i] = the target of agent i, such that the sum of distances is least (Hungarian method, O(n³)); positions [n][2], n <= 64. */
void mpe_assign(int n, const float *agent, const float *target_position, int *target);

extern const struct mappo_env mpe_simple_spread;

#endif
