/* Updates of a team's agents one after another (HAPPO: Kuba et al. 2022, arXiv:2109.11251, algorithm 4; PKU-MARL/HARL, happo.py and
 * on_policy_ha_runner.py): each agent has an actor of its own, and learns from its advantages times M, the product of the ratios that the
 * agents before it in this update have come to. M belongs to an env-step and a team: the groups of a team are in one order and have one M, while
 * other teams are part of what a team plays against. Critics learn last, as they do otherwise. */
#ifndef MAPPO_ALGO_HAPPO_H
#define MAPPO_ALGO_HAPPO_H

#include "algo/ppo.h"

struct happo_config {
    bool fixed;    /* in the order of groups and agents; else in one that is drawn for every update, the same on all ranks */
    uint64_t seed; /* of that */
};

struct happo;
/* ppo (of one learner a range, with advantages that are not normalised by minibatch), rollout and policy [groups] must outlive it; its arrays
 * come from `memory`. */
void happo_create(struct happo **happo, const struct happo_config *config, struct ppo *ppo, const struct rollout *rollout,
                  const struct mappo_env_spec *spec, struct policy *const *policy, struct backend_memory *memory);
/* In the place of ppo_update. The rollout's advantages are multiplied in place. */
void happo_update(struct happo *happo, int64_t update);

#endif
