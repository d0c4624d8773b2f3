/* What the files of a training run share: start.c opens it or, for --dry-run, rehearse.c would, trainer.c is its loop, record.c writes its lines of metrics, save.c and
 * trainer_checkpoint.c its checkpoints, summary.c says how it ended. Nobody else includes it. */
#ifndef MAPPO_RUN_TRAINER_WORK_H
#define MAPPO_RUN_TRAINER_WORK_H

#include <stdio.h>

#include "algo/algorithm.h"
#include "comm/placement.h"
#include "run/checkpoint.h"
#include "run/evaluate.h"
#include "run/folder.h"
#include "run/learning.h"
#include "run/metrics.h"
#include "run/progress.h"
#include "run/replay_file.h"
#include "run/stop.h"

/* Where a run stands: what a checkpoint holds besides the algorithm's, the metrics' and the environments' own state. */
struct standing {
    int64_t update, env_steps;
    int64_t metrics_offset; /* bytes of metrics.jsonl */
    int64_t schedule_steps; /* horizon of the learning rate schedule, fixed when the run began */
    int64_t best_env_steps; /* environment steps of the best checkpoint; -1 before the first evaluation (checkpoint.best) */
    double best_return;
    double seconds;   /* spent training, all legs */
    int64_t episodes; /* that have ended: the metrics', whose field it is */
};

struct trainer {
    struct config *config;
    const struct arguments *args;
    struct comm *comm; /* the ranks that learn: all, or the leaders of pods */
    struct pod *pod;
    struct placement placement;
    struct learning learning;
    struct evaluator *evaluator; /* NULL where evaluation is off */
    struct metrics *metrics;
    struct stop *stop;
    struct folder *folder;       /* rank 0 */
    struct progress *progress;   /* rank 0 */
    FILE *log;                   /* rank 0: log.txt */
    char path[CONFIG_TEXT + 64]; /* the run's folder */
    double followed;             /* rank 0: clock when the folder was last looked for under that path */
    char newest[32];             /* rank 0: name of the checkpoint that is continued */
    char log_path[CONFIG_TEXT + 80];
    int agents; /* of one environment, all groups */

    struct standing standing;
    struct field_list fields; /* of this rank */
    void **gathered;          /* rank 0: [fields.count] data of all environments of the fields that are per environment; else NULL */
    uint64_t env_hash;        /* guards the snapshots */
    size_t env_bytes;         /* of one environment's snapshot */
    uint8_t *snapshots;       /* [envs of this rank][env_bytes] */

    int64_t saved;                       /* the update that was saved last; 0: none in this leg */
    struct replay_file_mark replay_mark; /* rank 0: of the replay saved last */
    struct checkpoint_stream *replay;    /* rank 0: of the checkpoint that is continued, until it has been read; NULL = it has none */
    bool replay_empty;                   /* a learner of the past goes on without it, … */
    char replay_lost[400];               /* … because of this; rank 0 */
    bool replay_missing;                 /* rank 0: of a finished run, which is nowhere asked to go on without it */

    bool saving, saving_best; /* between begin and end of a save */
    struct save_job *job;     /* rank 0: it */

    struct metrics_line line[BACKEND_OUTCOMES]; /* of update u in u % BACKEND_OUTCOMES, until it is recorded */
    int64_t recorded;                           /* the last update that is */
    struct metric metric[128];                  /* of the last outcome */
    bool evaluation_due; /* of the last update: a reason to stop came first, and it is made before anything else … */
    char *due_line;      /* rank 0: … as the update's line waits for it (malloc) */
    double since;        /* clock when the oldest update that is not recorded was begun, or the one before it was recorded */

    double began;                      /* clock at the start of this leg */
    double seconds_before;             /* spent by earlier legs */
    double last_save;                  /* clock */
    double seconds_save, seconds_eval; /* of this update */
    bool best;                         /* the newest evaluation was the best so far, and is not saved yet */
    double kept_best_return;           /* of the best checkpoint that is on disk, while a better one is being saved */
    int64_t kept_best_env_steps;
    char stop_reason[160]; /* for people; set where the run is stopped */
    int failed_saves;      /* in a row */
    int level;             /* instruction level agreed on */
    size_t planned;        /* of a rehearsal: bytes of memory that a rank needs; 0 = not known, since a device is to hold it */
    char saved_level[16];  /* of the checkpoint that is continued */
    bool other_rounding;   /* of rules, in it */
};

/* Whether that is as good as train.stop_return asks for; never where that is off, or before there is a best. */
static inline bool trainer_good_enough(const struct trainer *t)
{
    return t->standing.best_return >= t->config->train_stop_return;
}
/* Likewise of train.episodes, as far as updates are recorded. */
static inline bool trainer_enough_episodes(const struct trainer *t)
{
    return t->config->train_episodes > 0 && t->standing.episodes >= t->config->train_episodes;
}
static inline bool trainer_finished(const struct trainer *t)
{
    return t->standing.env_steps >= t->config->train_env_steps || trainer_good_enough(t) || trainer_enough_episodes(t);
}

/* start.c. Collective; on an error every rank gets the same code and text. */
enum start { START_NEW, START_CONTINUED, START_FINISHED, START_MEMBER /* of a pod: another rank runs the training */ };
int trainer_open(struct trainer *t, enum start *start, struct error *err);
void trainer_close(struct trainer *t, int code); /* code: the run's, for the members of the pod */
/* What a rehearsal does as well: may so many ranks start; the instruction level that all have; a new run's networks that others have made. */
int trainer_check_ranks(const struct config *config, const struct comm *comm, struct error *err);
int trainer_choose_level(struct trainer *t, struct error *err);
int trainer_take_first_networks(struct trainer *t, struct error *err);
/* Rank 0. A finished run has no use for its replay until it is told to go on: EXIT_CHECKPOINT where that is not there then. */
int trainer_check_replay(const struct trainer *t, enum start start, struct error *err);

/* rehearse.c: --dry-run. What can be known of a start without the machines that it is for: refuses what a start would, warns of what it would
 * warn of and of what it would not find on this machine, and sets t->planned. Takes little memory and touches no file. `file`: as in
 * trainer_open. */
int trainer_rehearse(struct trainer *t, const struct checkpoint *file, bool continued, enum start *start, struct error *err);

/* trainer_checkpoint.c */
void trainer_list_fields(struct trainer *t); /* fills t->fields; allocates what is gathered */
/* Rank 0. What a file holds: t->fields, with all environments where one is per environment. The caller frees .field. */
struct field_list trainer_file_fields(const struct trainer *t);
/* Whether the run was left in the evaluation of its last update: it isn't finished then, however many steps it has. */
bool trainer_evaluation_due(const struct checkpoint *file);
/* What the columns of each group's actor mean, as JSON: {"agent":[["categorical",5]]}. */
void trainer_action_heads(const struct policies *policies, const struct mappo_env_spec *spec, char *text, size_t size);
/* Rank 0. Whether the file's environments, whose hash was read into t->env_hash, are ours, which it then becomes; by the rule of version
 * 0.1, too. EXIT_CHECKPOINT. */
int trainer_check_identity(struct trainer *t, const struct checkpoint *file, struct error *err);
/* All collective. begin copies what is saved; beside a device a thread of rank 0 then writes the file while training goes on. end waits for
 * it: EXIT_CHECKPOINT on every rank where it failed, 0 where none was begun. Between the two no other save may begin. */
void trainer_save_begin(struct trainer *t, bool best);
int trainer_save_end(struct trainer *t, struct error *err);
int trainer_save(struct trainer *t, bool best, struct error *err); /* both */
bool trainer_saves_replay(const struct trainer *t);
void trainer_close_save(struct trainer *t); /* waits for a thread that nobody has waited for; frees what trainer_list_fields made */
/* Rank 0, before its files are written by their names: once a second, or `now`, whether the run's folder is still where it was. */
void trainer_follow_folder(struct trainer *t, bool now);
int trainer_load(struct trainer *t, const struct checkpoint *file, struct error *err); /* collective; `file` on rank 0 */

/* record.c. begin and end enclose an update, whose line begin returns: the caller fills in what it knows. Its numbers are waited for later:
 * record_updates writes the lines of all updates but the algorithm's `ahead` newest, or of `all`. */
struct metrics_line *record_begin(struct trainer *t);
void record_end(struct trainer *t);
int record_updates(struct trainer *t, bool all, struct error *err);
struct metrics_line *record_newest(struct trainer *t); /* the newest update's line */
/* Around an evaluation of the newest update: before it, the numbers of all updates are known, and all lines but that one's written, which
 * follows after it. Where the evaluation was left, the line waits in the checkpoint. */
int record_before_evaluation(struct trainer *t, struct error *err);
void record_evaluation(struct trainer *t);
void record_left_evaluation(struct trainer *t);

/* save.c. Beside a device a file is still being written when save_next returns, and save_wait says what became of it: 0 where it failed,
 * too (with a warning), but EXIT_CHECKPOINT after three in a row, and EXIT_PEERS where another process has taken the folder. save_last
 * waits for its file, which may not fail. */
int save_wait(struct trainer *t, struct error *err);
int save_next(struct trainer *t, struct error *err);
int save_last(struct trainer *t, struct error *err);
void save_note_best(struct trainer *t, double return_mean); /* of the newest update's evaluation, or of training until it */

/* summary.c. Rank 0 prints; summary_end also writes into the log. */
void summary_end(struct trainer *t, int code, bool saved);
void summary_json(const struct trainer *t, int code);            /* with --json */
void summary_finished(const struct trainer *t);                  /* a run that had reached its end before */
void summary_dry_run(const struct trainer *t, enum start start); /* what a start would do */

#endif
