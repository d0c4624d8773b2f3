/* Inside MADDPG's learner: what its update (maddpg.c) and what lays it out (maddpg_create.c) share. Nobody else includes it. */
#ifndef MAPPO_ALGO_MADDPG_WORK_H
#define MAPPO_ALGO_MADDPG_WORK_H

#include "algo/maddpg.h"

enum { TWIN = MADDPG_TWIN, NETWORKS = MADDPG_NETWORKS, METRIC_SUMS = NETWORKS * PASS_SUMS };

/* What critics look at: the actions that were taken; those of present policies; what followed, with those of target policies. */
enum maddpg_seen { SEEN_TAKEN, SEEN_NOW, SEEN_NEXT, SEENS };

/* The packed inputs of critics that see the same: all agents', or one's alone. */
struct maddpg_view {
    int agent; /* -1 = all */
    const struct network *net;
    struct packed_rows **packed[SEENS]; /* [shards] */
};

struct maddpg_learner { /* of one agent */
    const struct policy *policy;
    struct maddpg_view *view;
    int group, agent; /* agent: of the group */
    int set[POLICY_ROLES];
    int column;                       /* of its actions among all agents' */
    int outputs;                      /* O: of its actor, and columns of its actions */
    int32_t *unit;                    /* [rows] its rows of the batch's arrays [rows][A] */
    struct packed_rows **obs, **next; /* [shards] */
    real *target;                     /* a block like the policy's parameters */
    struct maddpg_twin {              /* the second critic; NULL without one */
        real *parameters, *target, *m, *v;
    } twin, host_twin;
    int networks;                               /* TWIN, or NETWORKS */
    real *out, *target_out;                     /* [rows][O] */
    real *soft, *q_slope, *slope;               /* [rows][O] */
    real *drawn, *by_log_std;                   /* [rows][O], [rows][Kr]; NULL where log_std is no parameter */
    struct optimizer *optimizer[NETWORKS];      /* [optimizers] the backend's … */
    struct optimizer *host_optimizer[NETWORKS]; /* … and the host's */
    struct optimizer_pass *step[NETWORKS];      /* [optimizers] */
    int optimizers[NETWORKS];
};

struct maddpg {
    struct maddpg_config config;
    const struct replay_batch *batch;
    const struct replay_numbers *numbers;
    struct policy *const *policy;
    struct comm *comm;
    struct backend *backend;
    struct optimizer_rules rules;
    int groups, shards, rows;     /* rows: of a shard */
    int learners, views, columns; /* columns: of all agents' actions */
    struct maddpg_learner *learner;
    struct maddpg_view *view;
    int width[MAPPO_MAX_GROUPS];                                    /* of a group's observations, all agents' */
    real *target[MAPPO_MAX_GROUPS], *host_target[MAPPO_MAX_GROUPS]; /* [policy size] the backend's, the host's */
    real *action[SEENS];                                            /* [shards · rows][columns] */
    real *q, *other, *ret, *loss;                                   /* [shards · rows]; other: of the second critic */
    real *flat; /* [shards][largest network + PASS_SUMS] a gradient, and the sums behind it */
    size_t flat_size;
    real *sums, *host_sums; /* [updates][learners][NETWORKS][PASS_SUMS] of all shards */
    struct maddpg_there {   /* what an update is told and what comes of it */
        struct update_numbers now;
        int64_t actor_steps; /* Adam steps of actors so far */
        struct value_objective value;
        struct fault fault;
    } numbers_host, *there;
    struct optimizer *optimizers, *host_optimizers; /* [optimizer_count] of all networks */
    int optimizer_count;
    int64_t updates; /* made by earlier calls: everybody's count of steps, of actors but for `delay` */
    int made;        /* by the call under way */
    struct {         /* [shards or more] scratch: passes of one call */
        struct forward_pass *forward;
        struct columns_pass *columns;
        struct embed_pass *embed;
        struct embed_back_pass *back;
        struct td_pass *td;
        struct error_pass *error;
        struct derive_pass *derive;
        struct train_pass *train;
        struct batch *batch;
    } pass;
};

static inline const struct network *net_of(const struct maddpg_learner *l, int network)
{
    return &l->policy->net[network == TWIN ? ROLE_CRITIC : network];
}

#endif
