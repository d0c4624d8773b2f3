/* Evaluation: whole episodes with seeds of their own; touches nothing of training. */
#ifndef MAPPO_RUN_EVALUATE_H
#define MAPPO_RUN_EVALUATE_H

#include "backend/backend.h"
#include "comm/comm.h"
#include "config/config.h"
#include "env/vecenv.h"
#include "nn/policies.h"
#include "render/film.h"
#include "run/recording.h"
#include "run/stop.h"
#include "run/tally.h"

enum { RETURN_MEAN, RETURN_SUM }; /* metrics.return */

/* Of one play: arrays are the evaluator's, until the next one. Returns are means over agents but where said otherwise. */
struct evaluation {
    int64_t episodes;
    double return_mean,
        return_stderr; /* of the team that learns (policies_team), as metrics.return says; NaN: one episode has no standard error */
    double length_mean;
    bool alike;                   /* all episodes have equal numbers: returns, length, infos */
    int agents;                   /* of all groups, one group after the other */
    const struct estimate *team;  /* [1] its return, mean over its agents */
    const struct estimate *group; /* [groups] */
    const struct estimate *agent; /* [agents] each one's own */
    const struct estimate *info;  /* [infos] */
};

struct evaluator;
/* Does training evaluate? */
static inline bool evaluates(const struct config *config)
{
    return config->eval_interval || config->eval_env_steps;
}
/* Does it evaluate or film: is there an evaluator? */
static inline bool plays_episodes(const struct config *config)
{
    return evaluates(config) || config->render_interval;
}

/* Environments are split over the ranks of `comm`. Episode k of the evaluation is played by environment k (global), whatever the ranks.
 * `policies` must outlive it. Takes what it needs of the backend's memory now: as long as the episodes fit one batch (4,096),
 * playing takes no more, nor does filming episode 0 where render.interval is set. */
int evaluator_create(struct evaluator **evaluator, const struct config *config, const struct policies *policies, struct backend *backend,
                     struct comm *comm, int threads, struct error *err);
/* From now on a reason to stop ends evaluator_play within moments: it returns the stop's code, and `out` holds nothing. */
void evaluator_heed(struct evaluator *evaluator, struct stop *stop);
/* Collective. player (enum player): plays all groups; PLAY_TRAINED: each is played by whom its policy names. */
int evaluator_play(struct evaluator *evaluator, int player, bool deterministic, struct evaluation *out, struct error *err);
/* From now on what `player` plays is recorded (config->eval_record is set): on one rank; NULL: no longer. Of the trained player also what its
 * networks made of what they saw. */
void evaluator_record(struct evaluator *evaluator, struct recording *recording, int player);
/* From now on evaluator_play leaves the return of each episode there, as return_mean has it, on all ranks; NULL: no longer. The caller's. */
void evaluator_returns(struct evaluator *evaluator, double *returns /* [eval.episodes] */);

/* Plays one episode, the same as evaluator_play's of that number (which need not be one of eval.episodes), and films it: all states, and the
 * last one where the environment tells it. Not collective. EXIT_USAGE where the environment can't be drawn. */
int evaluator_film(struct evaluator *evaluator, int player, bool deterministic, int64_t number, struct film *film, struct error *err);
/* A film for these episodes, with a title: "mpe/simple_spread, mpe2 rules". */
struct film *evaluator_film_create(const struct config *config, const struct vecenv *env);
void evaluator_destroy(struct evaluator *evaluator); /* before its backend; NULL is allowed */

#endif
