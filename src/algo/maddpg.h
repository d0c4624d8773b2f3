/* MADDPG's update (Lowe et al. 2017): of every agent an actor, a critic of actions, and slowly following targets of both; in both known
 * forms (docs/algorithms.md). It learns from a batch that somebody has drawn, and its networks are those of policies that value actions
 * (struct policies_config): what a critic sees, everybody or its agent alone (DDPG), is the policy's.
 *
 * Everything that does not change between updates is laid out when it is created; an update only tells the backend what to do. */
#ifndef MAPPO_ALGO_MADDPG_H
#define MAPPO_ALGO_MADDPG_H

#include "algo/replay.h"
#include "algo/schedule.h"
#include "comm/comm.h"
#include "nn/policies.h"

struct maddpg_rules {
    bool smooth_targets;  /* target actions are smooth samples; else the target policy's most probable ones */
    bool smooth_own;      /* an agent's own action is the smooth sample; else the choice itself, with that one's derivative */
    bool others_taken;    /* the others act as they did; else as they would now */
    bool targets_at_once; /* an agent's targets move after its steps; else all after all */
    bool clip_tensors;    /* each tensor's gradient is clipped by itself; else each network's */
};
extern const struct maddpg_rules maddpg_port, maddpg_openai;

enum { MADDPG_TWIN = POLICY_ROLES, MADDPG_NETWORKS }; /* of an agent: its roles' networks, and a second critic */

struct maddpg_hooks { /* for tests */
    void *user;
    const real *(*noise)(void *user, int agent, int use, int after);           /* of enum embed_use: [rows][O]; NULL = drawn */
    void (*stepped)(void *user, int agent, int network, const real *gradient); /* a sum over rows, and the step was made */
};

struct maddpg_config {
    struct maddpg_rules rules;
    real gamma, tau, temperature, penalty;
    double max_grad_norm;
    struct adam adam;
    /* Twin critics (TD3, Fujimoto et al. 2018): targets take the smaller of both; actors and targets move in every delay-th update; real
     * target actions are smoothed by noise of this deviation, clipped to ± smoothing_clip. */
    bool twin;
    int delay; /* >= 1 */
    real smoothing, smoothing_clip;
    int batch;   /* rows of all shards of all ranks */
    int updates; /* that one call makes */
    uint64_t seed;
    uint32_t first_row;               /* number of this rank's first among those rows */
    const struct maddpg_hooks *hooks; /* NULL = none */
};

struct maddpg_metrics { /* means over a group's agents and the updates of a call */
    double actor_loss, critic_loss, actor_grad_norm, critic_grad_norm;
};

struct maddpg;
/* policy [groups]; all of it must outlive the learner. Memory is taken from `memory`; calls comm_reserve. */
void maddpg_create(struct maddpg **maddpg, const struct maddpg_config *config, const struct replay_batch *batch,
                   const struct replay_numbers *numbers /* the backend's */, struct policy *const *policy, int groups, struct comm *comm,
                   struct backend_memory *memory);

/* Targets become what the networks are: when a run begins. */
void maddpg_begin(struct maddpg *maddpg);
/* A call's config.updates updates: maddpg_start, then for each, once its batch is there, maddpg_learn, which only tells the backend and may be
 * recorded where calls are alike (twins: a multiple of `delay` updates). */
void maddpg_start(struct maddpg *maddpg, const struct annealed *now);
void maddpg_learn(struct maddpg *maddpg, int after);
/* Waits for the last call's. EXIT_NUMERICAL where something was not finite: parameters are as before. */
int maddpg_outcome(struct maddpg *maddpg, struct maddpg_metrics *metrics /* [groups] */, struct error *err);

int64_t maddpg_updates(const struct maddpg *maddpg); /* so far; those of a call once its outcome was asked for */
double maddpg_flops(const struct maddpg *maddpg);    /* of an update's matrix products */

/* /replay/updates, /target/<group>/…, /twin/<group>/… and its moments and target, between the backend and what the fields point to as everywhere. */
void maddpg_fields(struct maddpg *maddpg, struct field_list *list);
void maddpg_pull(struct maddpg *maddpg);
void maddpg_push(struct maddpg *maddpg);

#endif
