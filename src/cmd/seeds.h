/* Several seeds at once, `mappo seeds=1-5 …`: ordinary runs in their usual folders, a table of all at the end. What its files share: seeds.c reads the
 * list and decides, seeds_alone.c trains them as processes of this machine, seeds_ranks.c on ranks that are divided among them, seeds_table.c says
 * how they went. */
#ifndef MAPPO_CMD_SEEDS_H
#define MAPPO_CMD_SEEDS_H

#include "comm/comm.h"
#include "config/config.h"
#include "run/metrics_file.h"

struct seed {
    int64_t number;
    char label[32];              /* "seed 3" */
    char path[CONFIG_TEXT + 64]; /* of its run's folder */
    bool finished;               /* before this command */
    int code;                    /* its run's exit code; 0 until it has one */
    bool left;                   /* not begun, as an earlier one failed; `code` is that one's */
    int killed_by;               /* the signal that ended its process; 0 = none did */
    size_t memory;               /* bytes that its run is planned to take; 0 = not known */
    struct metrics_file metrics;
};

struct seeds {
    struct seed *seed; /* [count] as they were listed */
    int count;
    const struct arguments *args; /* without seeds= */
    const struct config *config;  /* of the first, as each rank reads it */
    char value[CONFIG_TEXT];      /* of seeds=, as it was written */
    bool refused;                 /* one of them would not start: none was */
};

/* Was a list of seeds asked for? */
bool seeds_asked(const struct arguments *args);
/* Trains them. Collective; prints its own errors. */
int seeds_train(const struct arguments *given, struct comm *comm);

/* One code for several runs: errors come first, then EXIT_STOPPED, EXIT_CONTINUE, 0. */
int seeds_worse(int code, int other);

/* seeds_alone.c: as processes, as many side by side as there are cores. The command's exit code is the worst of theirs. */
void seeds_run_alone(struct seeds *seeds, struct comm *comm);
/* seeds_ranks.c: side by side on parts of the ranks, and one after another where there are more seeds than ranks. Collective. */
void seeds_run_on_ranks(struct seeds *seeds, struct comm *comm);
/* How many at once: of `count` runs on so many cores or ranks those of the first round, which have several each; all others have one. */
int seeds_first_round(int count, int places);
/* Of one that ended with EXIT_CHECKPOINT because its checkpoints are no good: what its own message advises, --fresh, would be for all. `began`: it may
 * have trained, and its code be that of a checkpoint that could not be saved; then they are looked at. */
void seeds_say_left_out(const struct seeds *seeds, const struct seed *seed, bool began);

/* seeds_table.c, on rank 0. */
void seeds_print_table(struct seeds *seeds, int code);
void seeds_print_json(struct seeds *seeds, int code);

#endif
