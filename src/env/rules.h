/* rules.h: what the rules of an environment are written with. Rules are inline functions on one copy of the problem, marked MAPPO_FN: no
 * files, no allocation, no globals, no pointers in what they keep. The same text runs on the host, in kernels (cuda/lane_kernels.h) and, in
 * double, in comparisons with other implementations. C11 and C++17.
 *
 * For an environment NAME, with `struct NAME` (one copy: plain data, `struct philox rng` among it) and `struct NAME_rules` (constants):
 *     void NAME_reset(struct NAME *, const struct NAME_rules *)
 *         a new episode
 *     int NAME_step(struct NAME *, const struct NAME_rules *, const struct rule_io *)
 *         one step: reads actions, writes reward, terminated and info; returns MAPPO_RUNNING, MAPPO_TERMINATED or MAPPO_TRUNCATED
 *     void NAME_observe(const struct NAME *, const struct NAME_rules *, const struct rule_io *)
 *         obs, state, active and act_mask of the present state; changes nothing
 * and, where rows are wide (hundreds of numbers, tens of agents), instead of NAME_observe
 *     void NAME_observe_agent(const struct NAME *, const struct NAME_rules *, int32_t agent, const struct rule_io *)
 *         the same for one agent, counted over all groups, or (agent < 0) io->state alone
 *
 * The io is that of mappo_env.h with every array beginning at this copy: group[g].obs is [A][D], reward [A]; for observe_agent at this
 * agent's row: obs is [D], act_mask [L], and the other groups have none. NULL = not wanted. */
#ifndef MAPPO_ENV_RULES_H
#define MAPPO_ENV_RULES_H

#include <math.h>

#include "base/fn.h"
#include "base/philox.h"
#include "env/float_math.h"
#include "env/mappo_env.h"

/* The real numbers of rules: float; double where MAPPO_RULES_DOUBLE is defined, which is for parity, past the interface: there rewards are
 * of this type as well, and observations float as ever. */
#ifdef MAPPO_RULES_DOUBLE
typedef double rule_real;
#define rule_sqrt  sqrt
#define rule_exp   exp
#define rule_log1p log1p
#define rule_sin   sin
#define rule_cos   cos
#define rule_fmod  fmod
#define rule_abs   fabs

struct rule_group_io {
    const int32_t *act_int;                  /* [A][Ki] */
    const float *act_real;                   /* [A][Kr] */
    float *obs, *state;                      /* [A][D] [A][S] */
    rule_real *reward;                       /* [A] */
    uint8_t *terminated, *active, *act_mask; /* [A] [A] [A][L] */
};
struct rule_io {
    struct rule_group_io group[MAPPO_MAX_GROUPS];
    float *state, *info; /* [S] [infos] */
};
#else
typedef float rule_real;
#define rule_sqrt     sqrtf
#define rule_exp      float_exp
#define rule_log1p    float_log1p
#define rule_sin      float_sin
#define rule_cos      float_cos
#define rule_fmod     fmodf /* exact everywhere */
#define rule_abs      fabsf
#define rule_io       mappo_env_io
#define rule_group_io mappo_group_io
#endif

/* A table of constants that rules read, on host and device: MAPPO_TABLE(int8_t, maze_moves, [4][2]) = {{0, 1}, …}; */
#ifdef __CUDACC__
#define MAPPO_TABLE(type, name, dimensions) static __device__ const type name dimensions
#else
#define MAPPO_TABLE(type, name, dimensions) static const type name dimensions
#endif

#endif
