/* Acting: turns one slice of observations of all groups that networks act for into actions, for rollouts and evaluations alike. Allocates while it is created,
 * never while it acts.
 *
 * Axes: E environments, A agents of a group, D observation, L logits, Ki and Kr actions. Shards: environments [first[s], first[s+1]) are
 * one pass each. Memory: the slices are the backend's, or, with host_io, the host's. */
#ifndef MAPPO_NN_ACTOR_H
#define MAPPO_NN_ACTOR_H

#include "nn/policy.h"

/* Who may act for a group besides its policy, in environments that are assigned to them (actor_assign). */
struct actor_pool {
    int members;               /* 0: nobody */
    const real *parameters;    /* [members][sets][Pa] the backend's: actors as the policy's */
    const struct running *obs; /* [members] on whose scale each packs its rows; width 0 = as they are */
};

struct actor_config {
    int groups;
    struct policy *const *policy; /* [groups]; must outlive the actor */
    int shards;
    const int *first;   /* [shards + 1] local environments; copied */
    uint32_t first_env; /* global index of environment 0 */
    uint64_t seed;
    int stream;                    /* PHILOX_ACTION or PHILOX_EVALUATION */
    const uint64_t *clock;         /* the backend's: added to every step; NULL = 0 */
    bool host_io;                  /* slices are host memory, whatever the backend's is */
    bool per_head;                 /* log-probabilities of each head, [E][A][heads]; not with host_io */
    const struct actor_pool *pool; /* [groups], copied; NULL = nobody but the policies acts */
};

/* One group's slice. */
struct actor_io {
    const float *obs;    /* [E][A][D] */
    const uint8_t *mask; /* [E][A][L]; NULL = all allowed */
    int32_t *act_int;    /* [E][A][Ki]; NULL where Ki = 0 */
    float *act_real;     /* [E][A][Kr]; NULL where Kr = 0 */
    real *log_prob;      /* [E][A] joint; NULL = not wanted */
    /* Of recurrent policies, the backend's even with host_io: states before the step, and after it, which may be the same array. */
    const real *state;    /* [E][A][H] */
    real *state_after;    /* [E][A][H] */
    const uint8_t *ended; /* [E] not 0: an episode begins, and the state is zeroed; NULL = none does */
};

struct actor;
void actor_create(struct actor **actor, const struct actor_config *config, struct backend *backend);
void actor_destroy(struct actor *actor); /* NULL is allowed */

/* From now on member[e] acts for the group in environment e, and the policy where it is -1: there as well before the first call. Of a group with a
 * pool. */
void actor_assign(struct actor *actor, int group, const int32_t *member /* [E] the host's */);

enum { ACTOR_ALL = -1 };
/* For the environments of one shard, or ACTOR_ALL. `step`: Philox position, the count of steps that every environment has taken (since
 * *clock). deterministic: the mode of every head. */
void actor_act(struct actor *actor, const struct actor_io *io /* [groups] */, int shard, uint64_t step, bool deterministic);

/* What the networks of a group made in the last actor_act of all environments, before masks: outputs of the heads in their order
 * (actor_output_width; logits, and what real numbers are made of), and log standard deviations of the Gaussian ones
 * (actor_deviation_width; 0 where a real number is no distribution). The host's. Of a group that networks act for, without a pool. */
int actor_output_width(const struct policy *policy);
int actor_deviation_width(const struct policy *policy);
void actor_network_outputs(const struct actor *actor, int group, real *output /* [E][A][width] */,
                           real *log_std /* [E][A][width]; NULL = not wanted */);

#endif
