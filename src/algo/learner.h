/* What learners of both kinds, of rollouts (on_policy.h) and of a replay (off_policy.c), have and do in the same way: where the configuration's
 * steps go and how they are taken, the optimiser, the names of metrics. For who writes a learner; the loop knows algorithm.h. */
#ifndef MAPPO_ALGO_LEARNER_H
#define MAPPO_ALGO_LEARNER_H

#include "algo/algorithm.h"
#include "algo/collect.h"

int64_t learner_horizon(const struct config *config); /* rollout.steps */

/* So many steps of this rank's environments in its shards; */
struct transitions_config learner_transitions(const struct algorithm_context *context, int steps);
/* a horizon of them at a time, wherever the environments are; */
struct collect_config learner_collecting(const struct algorithm_context *context);
/* which is one call, whose times are added to the algorithm's. */
int learner_collect(struct algorithm *algorithm, struct collector *collector, struct error *err);

struct adam learner_adam(const struct config *config); /* that the configuration asks for */

/* Names of metrics, `described` for the first group that learns and described/<group> for the others, none for groups that don't: names[g][i]; */
void learner_name_metrics(char **names[], const struct metric *described, int count, const struct policies *policies, struct arena *arena);
/* and their values: doubles at place[i] of each group's struct in values. Returns how many. */
int learner_metrics(struct metric *out, int max, const struct metric *described, const size_t *place, int count, const void *values,
                    size_t size, char **const names[], int groups);

#endif
