/* Metrics: one table of names, units and meanings (metrics.def), a line of JSON an update, and the line a person watches. Rank 0 writes.
 * Returns are of the last `metrics.window` ended episodes of all ranks, in the order (step, global environment), so they too do not depend
 * on the ranks. */
#ifndef MAPPO_RUN_METRICS_H
#define MAPPO_RUN_METRICS_H

#include "algo/algorithm.h"
#include "comm/comm.h"
#include "config/config.h"
#include "env/vecenv.h"

struct metrics;

struct metrics_config {
    int window;       /* episodes */
    int max_episodes; /* that can end in one update on this rank */
    bool sum;         /* returns are sums over agents (metrics.return), not means */
    int team;         /* that the run is about: whose return is return_mean */
    bool all_count;   /* every rank is told how many episodes have ended */
};

struct metrics *metrics_create(const struct metrics_config *config, const struct mappo_env_spec *spec, struct comm *comm);
/* Rank 0: opens <folder>/metrics.jsonl and, where a run is continued, cuts it back to `offset` bytes, behind the line of update `update`:
 * what follows belongs to updates that will be made again. Where that line does not end there (the file was changed) it is looked for. */
int metrics_open(struct metrics *metrics, const char *folder, int64_t offset, int64_t update, struct error *err);
/* Rank 0, behind metrics_open: from now on every line goes into a file for TensorBoard as well (run/tensorboard.h). */
int metrics_open_tensorboard(struct metrics *metrics, const char *folder, int64_t env_steps, const struct config *config,
                             struct error *err);
/* Where the folder is now, which somebody has moved; NULL: it is gone, and what has the file's name there is left alone. */
void metrics_place(struct metrics *metrics, const char *folder);
void metrics_destroy(struct metrics *metrics);

/* Collective: takes in the environments' oldest unread report (vecenv_report_begin), of all ranks. They list as many episodes as the window
 * holds. */
void metrics_collect(struct metrics *metrics, struct vecenv *env);

struct metrics_line { /* one update */
    int64_t update, env_steps, agent_steps;
    double seconds; /* since the run began, all legs */
    double env_steps_per_second, agent_steps_per_second;
    double seconds_step, seconds_infer, seconds_update, seconds_communication, seconds_save, seconds_eval;
    double hidden_fraction; /* NaN unless environments step on the host beside a device */
    double learning_rate, critic_learning_rate;
    double eval_return, eval_stderr; /* NaN where no evaluation was made; the error also with one episode */
    const struct metric *metric;     /* of the algorithm */
    int metrics;
};
void metrics_write(struct metrics *metrics, const struct metrics_line *line); /* rank 0; every line is flushed */
/* Rank 0. The same line as text, its evaluation left out; the caller frees it. Then, maybe in another process: writes it with what the
 * evaluation came to. */
char *metrics_text(const struct metrics *metrics, const struct metrics_line *line);
void metrics_write_text(struct metrics *metrics, const char *text, double eval_return, double eval_stderr);
/* The length of whole lines so far; what a checkpoint made now remembers. Then, from any thread: makes them durable. */
int64_t metrics_mark(struct metrics *metrics);
int metrics_sync(const struct metrics *metrics, struct error *err);
bool metrics_window_is_full(const struct metrics *metrics);
double metrics_return(const struct metrics *metrics);    /* NaN before the first episode */
int64_t metrics_episodes(const struct metrics *metrics); /* that have ended so far, on any rank: rank 0 knows, or all */
int metrics_fields(struct metrics *metrics, struct field_list *list);
void metrics_markdown(FILE *out); /* docs/metrics.md: names, units, meanings */
void metrics_json(FILE *out);     /* the same: {"return_mean":["reward","mean return …"], …} */

#endif
