/* Running statistics of a run (norm.obs, norm.reward): what a rollout showed is taken into those of its policies (nn/policy.h). They stand
 * still while a rollout is collected and learned from; then every shard measures its rows, and the sums of all shards, in their order, are
 * taken in, so that the statistics have the same bits on any number of ranks in reproducible mode.
 *
 * What counts: the T x E observations that were acted on, each once (the last ones are the first of the next rollout; final observations
 * are never acted on), of agents that were active; what critics see, likewise, where it belongs to agents; and the discounted returns
 * (returns.h) of all steps of active agents. */
#ifndef MAPPO_ALGO_RUNNING_NORMS_H
#define MAPPO_ALGO_RUNNING_NORMS_H

#include "algo/rollout.h"
#include "comm/comm.h"

struct running_norms {
    struct comm *comm;
    struct backend *backend;
    const struct transitions *transitions;
    int shards, norms;         /* statistics that there are, of all groups */
    size_t message;            /* doubles of a shard */
    double *sums;              /* [shards][message] the backend's */
    struct running_pass *pass; /* [shards][norms] */
};

/* rollout and policy must outlive it; nothing is made where no policy has such statistics. Calls comm_reserve. */
void running_norms_create(struct running_norms *norms, const struct rollout *rollout, struct policy *const *policy, struct comm *comm,
                          struct backend_memory *memory);
/* A finished rollout, once it has been learned from. A device is only told. */
void running_norms_take(const struct running_norms *norms);

#endif
