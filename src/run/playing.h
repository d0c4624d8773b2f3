/* A saved run, opened to be played: environment and settings are those of its checkpoint, with what was given now, so that play can't differ
 * from training by accident. For `mappo eval`, `mappo render` and all that look at how a policy plays. */
#ifndef MAPPO_RUN_PLAYING_H
#define MAPPO_RUN_PLAYING_H

#include "comm/placement.h"
#include "run/checkpoint.h"
#include "run/evaluate.h"
#include "run/learning.h"

struct playing {
    struct comm *comm;
    struct config *config;
    struct checkpoint *file;           /* rank 0 */
    char path[1024], differences[600]; /* rank 0: the checkpoint; what is not as it was trained */
    bool given[CONFIG_KEYS];           /* now, and not when it was trained */
    struct placement placement;
    struct learning learning;
    struct evaluator *evaluator;
};

/* Rank 0: the newest whole checkpoint of `run_or_file` (or, with eval.which=best, its best) and its configuration with the settings of `args`
 * over it; eval.episodes is `episodes` where it was not given. Nothing is opened yet: what can be refused by the settings is to be refused
 * now. */
int playing_read(struct playing *playing, const char *run_or_file, const struct arguments *args, int64_t episodes, struct comm *comm,
                 struct error *err);
/* Collective, with rank 0's code until now: environment, networks with their parameters, evaluator. Rank 0 warns of what is not as it was
 * trained. */
int playing_open(struct playing *playing, int code, struct comm *comm, struct error *err);
/* Rank 0: is it the newest checkpoint of its folder? Not where that is damaged, where the best was asked for, or an older file. */
bool playing_newest(const struct playing *playing);
void playing_close(struct playing *playing); /* also where neither has succeeded */

/* "random"; "trained"; or, where some group is played by another, "adversary random, agent trained". */
const char *playing_players(const struct playing *playing, int player, char *text, size_t size);
/* Of one group, where all play as the configuration has it: "trained", the name of another player, or a run. */
const char *playing_player_of(const struct playing *playing, int group);

#endif
