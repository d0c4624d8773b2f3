/* What an evaluation tells of its episodes: returns (of the run's team, of groups, of every agent), length and the environment's info columns,
 * each with its mean over episodes and the standard error of that. One row of numbers an episode, by its number, so that ranks that played
 * others add theirs by adding rows.
 *
 * An info column's number of an episode is its value at the end (at_end), or its mean over the episode's steps; NaN is no value. */
#ifndef MAPPO_RUN_TALLY_H
#define MAPPO_RUN_TALLY_H

#include "base/arena.h"
#include "env/vecenv.h"

struct estimate {
    double mean, error; /* NaN: no episode has a value; of one there is no error */
    int64_t episodes;   /* that have a value */
};

/* Columns of a row. */
enum { TALLY_RETURN, TALLY_LENGTH, TALLY_GROUPS };

struct tally {
    struct mappo_env_spec spec;  /* without what it points to */
    int team;                    /* whose return is TALLY_RETURN */
    bool *at_end;                /* [infos] */
    int envs;                    /* that are played at a time, on this rank */
    int agents;                  /* of all groups, one group after the other */
    int first_agent, first_info; /* columns of agents; of info columns */
    int columns;
    double *running;           /* [envs][agents + 2 infos] rewards; sums or last values, and counts, of info columns */
    double *row;               /* [episodes of a batch][columns] */
    double *first;             /* [columns] of the first episode */
    bool alike;                /* all episodes so far have the numbers of the first */
    double *sum, *squares;     /* [columns] over episodes so far */
    int64_t *count;            /* [columns] */
    struct estimate *estimate; /* [columns] */
};

void tally_create(struct tally *tally, const struct mappo_env_spec *spec, int team, int envs, int episodes, struct arena *arena);
void tally_begin(struct tally *tally);                     /* no episodes so far */
void tally_begin_batch(struct tally *tally, int episodes); /* rows and running episodes of a batch */
/* Environment e has taken a step: its rewards and info columns of `io`, whose arrays begin at environment 0. */
void tally_step(struct tally *tally, const struct mappo_env_io *io, int e);
/* Its episode has ended: row `at` of the batch. */
void tally_end(struct tally *tally, const struct episode *episode, int e, int at);
void tally_end_batch(struct tally *tally, int episodes); /* the rows of all ranks are there */
void tally_finish(struct tally *tally);                  /* estimates */

#endif
