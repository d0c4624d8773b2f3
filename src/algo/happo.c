#include "algo/happo.h"

#include "algo/ppo_batches.h"
#include "base/philox.h"

struct turn { /* of one actor */
    int range, group, agent;
    int team; /* the first group of its team */
};

struct happo {
    struct happo_config config;
    struct ppo *ppo;
    const struct rollout *rollout;
    struct policy *const *policy;
    int turns, critics;
    struct turn *turn; /* [turns] by group and agent */
    int *order;        /* [turns] of the update at hand */
    int *critic;       /* [critics] ranges of those that are no part of a turn */
    struct ppo_evaluation now;
    real *factor[MAPPO_MAX_GROUPS]; /* [T][E] of each team, by its first group */
};

/* ---- making it ----------------------------------------------------------------------------------------------------------------------- */

static int first_of_team(const struct mappo_env_spec *spec, int group)
{
    int first = 0;
    while (spec->group[first].team != spec->group[group].team) first++;
    return first;
}

void happo_create(struct happo **out, const struct happo_config *config, struct ppo *ppo, const struct rollout *rollout,
                  const struct mappo_env_spec *spec, struct policy *const *policy, struct backend_memory *memory)
{
    const struct transitions_config *x = &rollout->transitions->config;
    const size_t env_steps = (size_t)x->steps * (size_t)x->envs;
    const int learners = ppo_ranges(ppo);
    struct happo *happo = *out = ARENA_NEW(memory->arena, struct happo, 1);
    *happo = (struct happo){.config = *config, .ppo = ppo, .rollout = rollout, .policy = policy};
    happo->turn = ARENA_NEW(memory->arena, struct turn, learners);
    happo->order = ARENA_NEW(memory->arena, int, learners);
    happo->critic = ARENA_NEW(memory->arena, int, learners);
    int range = 0;
    for (int g = 0; g < rollout->groups; g++) {
        const int team = first_of_team(spec, g), agents = policy[g]->sizes.agents;
        if (team == g) happo->factor[g] = BACKEND_NEW(memory, real, env_steps);
        if (!policy_learns(policy[g])) continue;
        CHECK(policy[g]->sets[ROLE_ACTOR] == agents, "agents that are updated one after another share an actor");
        for (int l = 0; l < ppo_learners(policy[g]); l++, range++) {
            const int agent = ppo_learner_sets(policy[g], l).set[ROLE_ACTOR];
            if (agent < 0)
                happo->critic[happo->critics++] = range;
            else
                happo->turn[happo->turns++] = (struct turn){range, g, agent, team};
        }
        happo->now.log_prob[g] = BACKEND_NEW(memory, real, env_steps * (size_t)agents);
    }
    CHECK(range == learners, "%d learners in %d ranges", range, learners);
    happo->now.outputs = BACKEND_NEW(memory, real, ppo_outputs(ppo));
}

/* ---- an update ----------------------------------------------------------------------------------------------------------------------- */

/* Every order is as probable as any other, and a function of seed and update alone (Durstenfeld 1964). */
static void choose_order(struct happo *happo, int64_t update)
{
    int *order = happo->order;
    for (int i = 0; i < happo->turns; i++) order[i] = i;
    for (int i = happo->turns - 1; i > 0 && !happo->config.fixed; i--) {
        const struct philox_draw draw = philox_at(happo->config.seed, PHILOX_ORDER, (uint32_t)i, 0, (uint64_t)update);
        const int k = (int)((uint64_t)draw.v[0] * (uint64_t)(i + 1) >> 32), other = order[k];
        order[k] = order[i];
        order[i] = other;
    }
}

/* What `from`, the n-th of its team, has made of its policy weighs what `to` learns from. */
static void pass_on(struct happo *happo, const struct turn *from, int n, const struct turn *to)
{
    const struct rollout *rollout = happo->rollout;
    const struct transitions_config *x = &rollout->transitions->config;
    const int g = from->group, heads = log_prob_width(&happo->policy[g]->dist, rollout->per_head);
    const struct compound_pass pass = {.n = (size_t)x->steps * (size_t)x->envs,
                                       .factor = happo->factor[from->team],
                                       .first = n == 1,
                                       .agents = happo->policy[g]->sizes.agents,
                                       .next_agents = happo->policy[to->group]->sizes.agents,
                                       .heads = heads,
                                       .log_prob = happo->now.log_prob[g] + from->agent,
                                       .old_log_prob = rollout->log_prob[g] + (ptrdiff_t)from->agent * heads,
                                       .advantage = rollout->returns->group[to->group].advantage + to->agent};
    ppo_evaluate(happo->ppo, from->range, &happo->now);
    rollout->backend->compound(rollout->backend, &pass, 1);
}

void happo_update(struct happo *happo, int64_t update)
{
    const struct turn *last[MAPPO_MAX_GROUPS] = {NULL}; /* of each team, by its first group */
    int learned[MAPPO_MAX_GROUPS] = {0};
    choose_order(happo, update);
    ppo_begin(happo->ppo, update);
    for (int i = 0; i < happo->turns; i++) {
        const struct turn *turn = &happo->turn[happo->order[i]];
        if (last[turn->team]) pass_on(happo, last[turn->team], learned[turn->team], turn);
        ppo_learn(happo->ppo, turn->range);
        last[turn->team] = turn;
        learned[turn->team]++;
    }
    for (int i = 0; i < happo->critics; i++) ppo_learn(happo->ppo, happo->critic[i]);
    ppo_end(happo->ppo);
}
