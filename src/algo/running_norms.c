#include "algo/running_norms.h"

/* The env-steps of a shard. */
static struct batch units_of_shard(const struct transitions *x, int shard, struct backend_memory *memory)
{
    const int lo = x->first[shard], hi = x->first[shard + 1], steps = x->config.steps, units = steps * (hi - lo);
    if (x->config.shards == 1 || x->held) return (struct batch){NULL, units, 1, NULL};
    return (struct batch){transitions_units(x, memory, steps, shard, 1, 0), units, 1, NULL};
}

/* 0: no such statistics, or they stay as they are. */
static int learned_width(const struct policy *policy, int which)
{
    return policy_learns(policy) ? policy->running[which].width : 0;
}

/* Rows that statistics of a group take in; what is the same for all shards. */
static struct running_pass rows_of(const struct rollout *rollout, const struct policy *policy, int g, int which)
{
    const struct mappo_group_io *seen = &rollout->transitions->all.group[g];
    struct running_pass pass = {
        .running = policy->running[which], .mask = self_play_rows(&rollout->self_play, g, true), .batch = {.rows = policy->sizes.agents}};
    if (which == RUNNING_OBS) pass.x = seen->obs;
    if (which == RUNNING_REWARD) pass.x = rollout->returns->group[g].discounted;
    if (which == RUNNING_STATE) {
        pass.x = rollout->inputs.group[g].current;
        pass.batch.rows = policy->state_rows;
        if (policy->state_rows != policy->sizes.agents || policy->critic_input == CRITIC_STATE) /* nobody's alone */
            pass.mask = self_play_home(&rollout->self_play, g, policy->state_rows);
    }
    return pass;
}

void running_norms_create(struct running_norms *norms, const struct rollout *rollout, struct policy *const *policy, struct comm *comm,
                          struct backend_memory *memory)
{
    const struct transitions *x = rollout->transitions;
    *norms = (struct running_norms){.comm = comm, .backend = memory->backend, .shards = x->config.shards, .transitions = x};
    for (int g = 0; g < rollout->groups; g++)
        for (int which = 0; which < POLICY_RUNNING; which++) {
            const int width = learned_width(policy[g], which);
            norms->norms += width > 0;
            norms->message += width > 0 ? (size_t)running_moments(width) : 0;
        }
    if (norms->norms == 0) return;
    norms->sums = BACKEND_NEW(memory, double, (size_t)norms->shards * norms->message);
    norms->pass = ARENA_NEW(memory->arena, struct running_pass, norms->shards * norms->norms);
    struct running_pass *pass = norms->pass;
    double *sums = norms->sums;
    for (int shard = 0; shard < norms->shards; shard++) {
        const struct batch batch = units_of_shard(x, shard, memory);
        for (int g = 0; g < rollout->groups; g++)
            for (int which = 0; which < POLICY_RUNNING; which++) {
                if (learned_width(policy[g], which) == 0) continue;
                *pass = rows_of(rollout, policy[g], g, which);
                pass->batch.unit = batch.unit;
                pass->batch.units = batch.units;
                pass->sums = sums;
                sums += running_moments(pass++->running.width);
            }
    }
    comm_reserve(comm, norms->shards, 0, norms->message);
}

void running_norms_take(const struct running_norms *norms)
{
    struct backend *backend = norms->backend;
    if (norms->norms == 0) return;
    for (int i = 0; i < norms->shards * norms->norms; i++) {
        const int32_t *held;
        const int units = transitions_held(norms->transitions, i / norms->norms, &held);
        if (held) norms->pass[i].batch.unit = held, norms->pass[i].batch.units = units;
    }
    backend->running_measure(backend, norms->pass, norms->shards * norms->norms);
    comm_sum_shards_double(norms->comm, norms->sums, norms->shards, norms->message);
    backend->running_take(backend, norms->pass, norms->norms); /* those of the first shard, where the sum is */
}
