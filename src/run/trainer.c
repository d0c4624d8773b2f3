#include "run/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "algo/schedule.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/text.h"
#include "comm/watchdog.h"
#include "run/run_film.h"
#include "run/trainer_work.h"

enum { AGREE_INTERVAL = 100 };

/* ---- one update ---------------------------------------------------------------------------------------------------------------------- */

/* A horizon of environment steps. */
static int collect(struct trainer *t, struct error *err)
{
    struct algorithm *algorithm = t->learning.algorithm;
    struct metrics_line *line = record_begin(t);
    const struct annealed now = annealed_at(t->config, (double)t->standing.env_steps / (double)t->standing.schedule_steps);
    line->learning_rate = now.actor_rate;
    line->critic_learning_rate = now.critic_rate;
    algorithm->ops->anneal(algorithm, &now);
    watchdog_phase("collecting a rollout");
    const int code = algorithm->ops->collect(algorithm, err);
    if (!code) return 0;
    error_prefix(err, "update %lld", (long long)line->update);
    if (t->comm->size > 1) die_error(err); /* this rank alone knows: the others wait for its gradients */
    return code;
}

/* Values and advantages of what was collected. */
static int finish(struct trainer *t, struct error *err)
{
    watchdog_phase("computing advantages");
    const int code = algorithm_finish(t->learning.algorithm, err);
    if (!code) vecenv_report_begin(t->learning.env);
    return code;
}

/* What is learned from it. */
static int update(struct trainer *t, struct error *err)
{
    struct algorithm *algorithm = t->learning.algorithm;
    watchdog_phase("updating the networks");
    const int code = algorithm_update(algorithm, err);
    if (code) return error_prefix(err, "update %lld", (long long)t->standing.update + 1);
    t->standing.update++;
    t->standing.env_steps += learning_env_steps(&t->learning, t->config);
    record_end(t);
    return 0;
}

/* ---- evaluation ---------------------------------------------------------------------------------------------------------------------- */

/* True when `interval` more were completed between before and now: the same on every rank and in every continued run. */
static bool crossed(int64_t before, int64_t now, int64_t interval)
{
    return interval > 0 && now / interval > before / interval;
}

static bool evaluation_is_due(const struct trainer *t)
{
    const struct standing *s = &t->standing;
    const int64_t before = s->env_steps - learning_env_steps(&t->learning, t->config);
    return t->evaluator &&
           (crossed(before, s->env_steps, t->config->eval_env_steps) || crossed(s->update - 1, s->update, t->config->eval_interval));
}

/* A reason to stop that comes during an evaluation doesn't wait for its end: it is made again when the run goes on, and the line of its
 * update is written then. */
static int leave_evaluation(struct trainer *t)
{
    if (t->comm->rank == 0 && t->evaluation_due)
        warn(
            "the evaluation of update %lld was left once more, and nothing is learned before it is made: where time limits are the reason, "
            "fewer episodes (eval.episodes) take less",
            (long long)t->standing.update);
    record_left_evaluation(t);
    return stop_agreed(t->stop, t->comm, t->stop_reason, sizeof t->stop_reason);
}

static int play(struct trainer *t, struct evaluation *result, struct error *err)
{
    watchdog_phase("evaluating");
    const double start = clock_seconds();
    int code = save_wait(t, err); /* which checkpoint is the best one must be known */
    if (!code) code = evaluator_play(t->evaluator, PLAY_TRAINED, t->config->eval_deterministic, result, err);
    t->seconds_eval += clock_seconds() - start;
    return code;
}

static bool is_better(const struct trainer *t, double return_mean)
{
    return t->standing.best_env_steps < 0 || return_mean > t->standing.best_return;
}

/* Of the newest update, once it is known that it went well. The best so far is kept. */
static int evaluate(struct trainer *t, struct error *err)
{
    struct evaluation result;
    struct metrics_line *line = record_newest(t);
    int code = record_before_evaluation(t, err);
    if (code) return code;
    line->eval_return = line->eval_stderr = NAN;
    if (evaluates(t->config)) { /* else it was due, but evaluations are switched off now */
        code = play(t, &result, err);
        if (code == EXIT_STOPPED || code == EXIT_CONTINUE) return leave_evaluation(t);
        if (code) return code;
        line->eval_return = result.return_mean;
        line->eval_stderr = result.return_stderr;
        if (t->config->checkpoint_best == BEST_EVAL && is_better(t, result.return_mean)) save_note_best(t, result.return_mean);
    }
    record_evaluation(t);
    return 0;
}

/* ---- films --------------------------------------------------------------------------------------------------------------------------- */

static bool film_is_due(const struct trainer *t)
{
    return t->config->render_interval > 0 && t->standing.update % t->config->render_interval == 0;
}

/* Episode 0 as it is played now, by networks that are known to have gone well. The other ranks go on and wait for rank 0. */
static int film(struct trainer *t, struct error *err)
{
    const int code = record_updates(t, true, err);
    if (code || t->comm->rank) return code;
    watchdog_phase("filming an episode");
    const double start = clock_seconds();
    trainer_follow_folder(t, false);
    run_film(t->evaluator, t->config, t->learning.env, t->path, t->standing.env_steps);
    t->seconds_eval += clock_seconds() - start;
    return 0;
}

/* ---- checkpoints --------------------------------------------------------------------------------------------------------------------- */

/* checkpoint.best=training. Of the last metrics.window episodes, which rank 0 knows; NAN before there are as many. */
static double return_of_training(const struct trainer *t)
{
    double mean = metrics_window_is_full(t->metrics) ? metrics_return(t->metrics) : (double)NAN;
    comm_broadcast(t->comm, &mean, sizeof mean);
    return mean;
}

/* Every update may end the run, but only checkpoints that are made anyhow are candidates for the best: episodes of training never stop getting
 * a little better. */
static bool training_is_good_enough(struct trainer *t)
{
    if (t->config->checkpoint_best != BEST_TRAINING || isnan(t->config->train_stop_return)) return false;
    const double mean = return_of_training(t);
    if (!(mean >= t->config->train_stop_return)) return false;
    save_note_best(t, mean);
    return true;
}

static bool save_is_due(struct trainer *t)
{
    const struct config *config = t->config;
    if (training_is_good_enough(t)) return true;
    if (t->best || trainer_finished(t)) return true;
    if (config->checkpoint_interval > 0 && t->standing.update % config->checkpoint_interval == 0) return true;
    if (config->checkpoint_seconds <= 0) return false;
    double due = t->comm->rank == 0 && clock_seconds() - t->last_save >= config->checkpoint_seconds;
    comm_max_double(t->comm, &due, 1); /* clocks differ: rank 0's decides */
    return due > 0;
}

/* Of updates that are known to have gone well. The last may not be left out: nothing comes after it. */
static int save(struct trainer *t, struct error *err)
{
    const int code = record_updates(t, true, err);
    if (code) return code;
    if (t->config->checkpoint_best == BEST_TRAINING && !t->best) {
        const double mean = return_of_training(t);
        if (!isnan(mean) && is_better(t, mean)) save_note_best(t, mean);
    }
    return trainer_finished(t) ? save_last(t, err) : save_next(t, err);
}

/* ---- the loop ------------------------------------------------------------------------------------------------------------------------ */

/* Of all that ranks hold alike: networks, targets, moments, statistics, counters. */
static uint64_t hash_learner(const struct trainer *t)
{
    struct algorithm *algorithm = t->learning.algorithm;
    struct field_list list = {0};
    uint64_t h = HASH_START;
    algorithm->ops->pull(algorithm);
    algorithm->ops->fields(algorithm, &list);
    for (int i = 0; i < list.count; i++)
        if (!list.field[i].per_env) h = hash_bytes(h, list.field[i].data, field_bytes(&list.field[i]));
    free(list.field);
    return h;
}

static int check_agreement(struct trainer *t, struct error *err)
{
    if (t->standing.update % AGREE_INTERVAL) return 0;
    return comm_agree(t->comm, "what is learned", hash_learner(t), err);
}

/* An evaluation that a reason to stop has interrupted comes before anything else. */
static int take_up_evaluation(struct trainer *t, struct error *err)
{
    t->recorded = t->standing.update - (t->evaluation_due ? 1 : 0);
    if (!t->evaluation_due) return 0;
    int code = evaluate(t, err);
    if (!code && save_is_due(t)) code = save(t, err);
    return code;
}

/* Returns 0 when all steps, or episodes, are done, a stop's code, or an error's. */
static int train(struct trainer *t, struct error *err)
{
    int code = take_up_evaluation(t, err);
    if (code) return code;
    while (!trainer_finished(t) && !(code = stop_agreed(t->stop, t->comm, t->stop_reason, sizeof t->stop_reason))) {
        if ((code = collect(t, err))) return code;
        if ((code = finish(t, err))) return code;
        if ((code = update(t, err))) return code;
        if (evaluation_is_due(t) && (code = evaluate(t, err))) return code;
        if ((code = record_updates(t, false, err))) return code;
        if (film_is_due(t) && (code = film(t, err))) return code;
        if (save_is_due(t) && (code = save(t, err))) return code;
        if ((code = check_agreement(t, err))) return code;
    }
    const int failed = record_updates(t, true, err);
    return failed ? failed : code;
}

/* A wish to stop that came too late must not stop the run when it is raised. */
static void forget_stop(const struct trainer *t)
{
    char path[sizeof t->path + 8];
    text_format(path, sizeof path, "%s/STOP", t->path);
    if (t->comm->rank == 0) unlink(path);
}

int trainer_run(struct config *config, const struct arguments *args, struct comm *comm)
{
    struct trainer trainer = {.config = config, .args = args, .comm = comm}, *t = &trainer;
    struct error err = {0};
    enum start start;
    int code = trainer_open(t, &start, &err);
    if (!code && args->dry_run) {
        summary_dry_run(t, start);
    } else if (!code && start == START_MEMBER) {
        code = pod_serve(t->pod, config, &t->placement);
    } else if (!code && start == START_FINISHED) {
        forget_stop(t);
        summary_finished(t);
    } else if (!code) {
        t->began = t->last_save = clock_seconds();
        if (start == START_NEW) code = trainer_save(t, false, &err); /* a full disk is found out before anything is spent */
        if (!code) code = train(t, &err);
        if (!code || code == EXIT_STOPPED || code == EXIT_CONTINUE) {
            const int save_code = code || t->saved != t->standing.update ? save_last(t, &err) : 0;
            if (!code) forget_stop(t);
            summary_end(t, code, save_code == 0);
            if (save_code) code = save_code;
        }
    }
    if (t->metrics) summary_json(t, code);
    error_report(&err); /* all ranks return alike: one prints */
    trainer_close(t, code);
    return code;
}
