#include "run/trainer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "algo/schedule.h"
#include "base/clock.h"
#include "base/text.h"
#include "comm/watchdog.h"
#include "run/parts.h"

enum { SAVES_MAY_FAIL = 3, AGREE_INTERVAL = 100 };
_Static_assert((int)VECENV_REPORTS >= (int)BACKEND_OUTCOMES, "an update that is not heard of yet has a report that is not read yet");

/* True when `interval` more were completed between before and now: the same on every rank and in every continued run. */
static bool crossed(int64_t before, int64_t now, int64_t interval)
{
    return interval > 0 && now / interval > before / interval;
}

static double scheduled(const struct trainer *t, double rate)
{
    return schedule_value(t->config->adam_schedule, rate, (double)t->standing.env_steps / (double)t->standing.schedule_steps);
}

static struct metrics_line *line_of(struct trainer *t, int64_t update)
{
    return &t->line[update % BACKEND_OUTCOMES];
}

/* The outcome of the save that was begun last. A failed one leaves the old checkpoints as they are and training goes on; three in a row end
 * the run, and so does a folder that another process has taken. */
static int settle(struct trainer *t, struct error *err)
{
    struct error bad = {0};
    if (!t->saving) return 0;
    if (!state_save_end(t, &bad)) {
        t->failed_saves = 0;
        return 0;
    }
    if (bad.code == EXIT_PEERS) return error_set(err, bad.code, "%.1000s", bad.text);
    t->failed_saves++;
    if (t->saving_best) { /* the best one on disk is still the one before */
        t->standing.best_return = t->kept_best_return;
        t->standing.best_env_steps = t->kept_best_env_steps;
    }
    if (t->comm->rank == 0) warn("%s; this checkpoint is left out (%d in a row)", bad.text, t->failed_saves);
    if (t->failed_saves < SAVES_MAY_FAIL) return 0;
    return error_set(err, EXIT_CHECKPOINT, "%d checkpoints in a row could not be saved: %.800s", t->failed_saves, bad.text);
}

/* Beside a device the file is still being written when this returns, and its outcome is heard before the next one. */
static int save(struct trainer *t, bool best, struct error *err)
{
    const int code = settle(t, err);
    if (code) return code;
    state_save_begin(t, best);
    return t->learning.backend->host_memory ? settle(t, err) : 0;
}

/* Waits for the file: for a save after which nothing comes. */
static int save_last(struct trainer *t, bool best, struct error *err)
{
    const int code = settle(t, err);
    return code ? code : state_save(t, best, err);
}

/* A reason to stop that comes during an evaluation doesn't wait for its end: it is made again when the run goes on, and the line of its
 * update is written then. */
static int leave_evaluation(struct trainer *t, const struct metrics_line *line, char *why, size_t size)
{
    if (t->comm->rank == 0 && t->evaluation_due)
        warn(
            "the evaluation of update %lld was left once more, and nothing is learned before it is made: where time limits are the reason, "
            "fewer episodes (eval.episodes) take less",
            (long long)t->standing.update);
    else if (t->comm->rank == 0)
        t->due_line = metrics_text(t->metrics, line);
    t->evaluation_due = true;
    return stop_agreed(t->stop, t->comm, why, size);
}

/* The best so far is kept: true where this evaluation is it. */
static int evaluate(struct trainer *t, bool *best, char *why, size_t size, struct error *err)
{
    struct metrics_line *line = line_of(t, t->standing.update);
    struct evaluation result;
    watchdog_phase("evaluating");
    const double start = clock_seconds();
    line->eval_return = line->eval_stderr = NAN;
    if (!t->evaluator) return 0; /* it was due, but evaluations are switched off now */
    int code = settle(t, err);   /* which checkpoint is the best one must be known */
    if (!code) code = evaluator_play(t->evaluator, PLAY_TRAINED, t->config->eval_deterministic, &result, err);
    t->seconds_eval += clock_seconds() - start;
    if (code == EXIT_STOPPED || code == EXIT_CONTINUE) return leave_evaluation(t, line, why, size);
    if (code) return code;
    line->eval_return = result.return_mean;
    line->eval_stderr = result.return_stderr;
    *best = t->standing.best_env_steps < 0 || result.return_mean > t->standing.best_return;
    if (*best) {
        t->kept_best_return = t->standing.best_return;
        t->kept_best_env_steps = t->standing.best_env_steps;
        t->standing.best_return = result.return_mean;
        t->standing.best_env_steps = t->standing.env_steps;
    }
    return 0;
}

static bool save_is_due(struct trainer *t, int64_t update)
{
    if (t->config->checkpoint_interval > 0 && update % t->config->checkpoint_interval == 0) return true;
    if (t->config->checkpoint_seconds <= 0) return false;
    double due = t->comm->rank == 0 && clock_seconds() - t->last_save >= t->config->checkpoint_seconds;
    comm_max_double(t->comm, &due, 1); /* clocks differ: rank 0's decides */
    return due > 0;
}

static double metric_value(const struct metrics_line *line, const char *name)
{
    for (int i = 0; i < line->metrics; i++)
        if (!strcmp(line->metric[i].name, name)) return line->metric[i].value;
    return NAN;
}

/* What the update has cost so far, beyond what its line says already. */
static void add_seconds(struct trainer *t, struct metrics_line *line)
{
    struct algorithm *algorithm = t->learning.algorithm;
    line->seconds_communication += comm_take_seconds(t->comm);
    line->seconds_step += algorithm->seconds_step;
    line->seconds_infer += algorithm->seconds_infer;
    line->seconds_update += algorithm->seconds_update;
    algorithm->seconds_step = algorithm->seconds_infer = algorithm->seconds_update = 0;
    algorithm->seconds_device = algorithm->seconds_wait = 0;
}

/* What came of the oldest update that is not recorded; it shares the time since the last one with those of the `left` that come next. Where
 * environments step on a device, a number that is none may be known to the rank alone that stepped them. */
static int hear(struct trainer *t, int left, struct error *err)
{
    struct algorithm *algorithm = t->learning.algorithm;
    struct metrics_line *line = line_of(t, t->recorded + 1);
    int code = algorithm->ops->outcome(algorithm, err);
    if (vecenv_on_device(t->learning.env)) code = comm_vote(t->comm, code, err);
    if (code) return error_prefix(err, "update %lld", (long long)line->update);
    line->metric = t->metric;
    line->metrics = algorithm->ops->metrics(algorithm, t->metric, (int)(sizeof t->metric / sizeof *t->metric));
    metrics_collect(t->metrics, t->learning.env);
    add_seconds(t, line);
    const double now = clock_seconds(), seconds = (now - t->since) / left;
    t->since += seconds;
    line->seconds = t->seconds_before + (now - t->began);
    line->env_steps_per_second = (double)(t->config->rollout_envs * algorithm->horizon) / seconds;
    line->agent_steps_per_second = line->env_steps_per_second * t->agents;
    return 0;
}

/* Once it was heard of. */
static void write_line(struct trainer *t)
{
    struct metrics_line *line = line_of(t, ++t->recorded);
    line->seconds_save = t->seconds_save;
    line->seconds_eval = t->seconds_eval;
    t->seconds_save = t->seconds_eval = 0;
    state_follow_folder(t, false);
    metrics_write(t->metrics, line);

    const struct progress_line progress = {
        .env_steps = line->env_steps,
        .total_steps = t->config->train_env_steps,
        .env_steps_per_second = line->env_steps_per_second,
        .agent_steps_per_second = line->agent_steps_per_second,
        .return_mean = metrics_return(t->metrics),
        .entropy = metric_value(line, "entropy"),
        .seconds_since_save = clock_seconds() - t->last_save,
    };
    progress_update(t->progress, &progress, line->env_steps >= t->config->train_env_steps);
}

/* The line that has waited for its evaluation since an earlier leg. */
static void write_due_line(struct trainer *t)
{
    const struct metrics_line *line = line_of(t, ++t->recorded);
    state_follow_folder(t, false);
    if (t->due_line) metrics_write_text(t->metrics, t->due_line, line->eval_return, line->eval_stderr);
    free(t->due_line);
    t->due_line = NULL;
    t->evaluation_due = false;
    t->seconds_eval = 0;
}

/* Updates, until only the last `ahead` of them are left. hold: the line of the last is not written yet. */
static int record(struct trainer *t, int ahead, bool hold, struct error *err)
{
    int left = (int)(t->standing.update - t->recorded) - ahead;
    if (left > 1) t->learning.backend->sync(t->learning.backend); /* which took how long can't be told */
    for (; left > 0; left--) {
        const int code = hear(t, left, err);
        if (code) return code;
        if (left > 1 || !hold) write_line(t);
    }
    return 0;
}

/* One update: a horizon of environment steps and what is learned from it. */
static int learn(struct trainer *t, struct error *err)
{
    struct algorithm *algorithm = t->learning.algorithm;
    struct standing *s = &t->standing;
    struct metrics_line *line = line_of(t, s->update + 1);
    int code;
    *line = (struct metrics_line){.update = s->update + 1, .eval_return = NAN, .eval_stderr = NAN};
    line->learning_rate = scheduled(t, t->config->adam_lr);
    line->critic_learning_rate = scheduled(t, t->config->adam_critic_lr);
    algorithm->ops->learning_rates(algorithm, line->learning_rate, line->critic_learning_rate);
    watchdog_phase("collecting a rollout");
    if ((code = algorithm->ops->collect(algorithm, err))) {
        error_prefix(err, "update %lld", (long long)line->update);
        if (t->comm->size > 1) die_error(err); /* this rank alone knows: the others wait for its gradients */
        return code;
    }
    watchdog_phase("computing advantages");
    if ((code = algorithm->ops->finish(algorithm, err))) return code;
    vecenv_report_begin(t->learning.env);
    watchdog_phase("updating the networks");
    if ((code = algorithm->ops->update(algorithm, err))) return error_prefix(err, "update %lld", (long long)line->update);
    s->update++;
    s->env_steps += t->config->rollout_envs * algorithm->horizon;
    line->env_steps = s->env_steps;
    line->agent_steps = s->env_steps * t->agents;
    line->hidden_fraction = algorithm_hidden(algorithm);
    add_seconds(t, line);
    return 0;
}

/* What an update is followed by: its evaluation, its line, its checkpoint. */
static int conclude(struct trainer *t, bool evaluates_now, char *why, size_t size, struct error *err)
{
    const struct standing *s = &t->standing;
    const bool last = s->env_steps >= t->config->train_env_steps;
    bool best = false;
    int code = 0;
    if (evaluates_now) {
        if (!t->evaluation_due) code = record(t, 0, true, err);
        if (code || (code = evaluate(t, &best, why, size, err))) return code;
        if (t->evaluation_due)
            write_due_line(t);
        else
            write_line(t);
    }
    const bool saves = best || save_is_due(t, s->update);
    if ((code = record(t, last || saves ? 0 : t->learning.algorithm->ahead, false, err))) return code;
    if (saves && !last && (code = save(t, best, err))) return code;
    return last ? save_last(t, best, err) : 0; /* nothing comes after it: it may not be left out */
}

/* The loop. Returns 0 when all steps are done, a stop's code, or an error's. A device is told of the next update before the last one is
 * recorded, so that it never waits; evaluations and checkpoints are of updates that went well. */
static int train(struct trainer *t, char *why, size_t size, struct error *err)
{
    struct standing *s = &t->standing;
    int code = 0;
    t->recorded = s->update - (t->evaluation_due ? 1 : 0);
    if (t->evaluation_due && (code = conclude(t, true, why, size, err))) return code;
    while (s->env_steps < t->config->train_env_steps && !(code = stop_agreed(t->stop, t->comm, why, size))) {
        const int64_t before = s->env_steps;
        if (t->recorded == s->update) t->since = clock_seconds();

        if ((code = learn(t, err))) return code;
        const bool evaluates_now = t->evaluator && (crossed(before, s->env_steps, t->config->eval_env_steps) ||
                                                    crossed(s->update - 1, s->update, t->config->eval_interval));
        if ((code = conclude(t, evaluates_now, why, size, err))) return code;
        if (s->update % AGREE_INTERVAL == 0 && (code = comm_agree(t->comm, "the parameters", policies_hash(t->learning.policies), err)))
            return code;
    }
    const int failed = record(t, 0, false, err);
    return failed ? failed : code;
}

/* --quiet leaves one line of a run: where it is and how it stands. */
static void say_quietly(const struct trainer *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say_quietly(const struct trainer *t, const char *format, ...)
{
    va_list list;
    if (t->comm->rank || !t->args->quiet || t->args->json) return;
    va_start(list, format);
    printf("%s: ", t->path);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
}

static void say_end(struct trainer *t, int code, bool saved, const char *why)
{
    const double mean = metrics_return(t->metrics);
    const char *goes_on = !saved           ? "; the state at the end could not be saved"
                          : !code          ? ""
                          : t->args->fresh ? "; the same command without --fresh continues it"
                                           : "; the same command again continues it";
    char spent[32], back[128] = "no episode has ended yet";
    clock_duration(spent, sizeof spent, t->seconds_before + (clock_seconds() - t->began));
    char number[64];
    text_fixed(number, sizeof number, mean, text_decimals(mean));
    if (isfinite(mean)) text_format(back, sizeof back, "return_mean %s (%s rules)", number, vecenv_spec(t->learning.env)->rules);
    if (!code) why = "finished";
    progress_say(t->progress, "%s after %lld update%s, %lld env-steps, %s: %s", why, (long long)t->standing.update,
                 t->standing.update == 1 ? "" : "s", (long long)t->standing.env_steps, spent, back);
    progress_say(t->progress, "%s/latest.h5%s", t->path, goes_on);
    say_quietly(t, "%s after %lld update%s, %lld env-steps, %s: %s%s", why, (long long)t->standing.update,
                t->standing.update == 1 ? "" : "s", (long long)t->standing.env_steps, spent, back, goes_on);
}

/* Rank 0, --json: the run in one object. */
static void print_json(const struct trainer *t, int code)
{
    if (t->comm->rank || !t->args->json) return;
    printf("{\"run\":");
    text_json_string(stdout, t->path);
    printf(",\"update\":%lld,\"env_steps\":%lld,\"return_mean\":", (long long)t->standing.update, (long long)t->standing.env_steps);
    text_json_real(stdout, metrics_return(t->metrics));
    printf(",\"rules\":");
    text_json_string(stdout, vecenv_spec(t->learning.env)->rules);
    printf(",\"exit_code\":%d}\n", code);
}

/* A wish to stop that came too late must not stop the run when it is raised. */
static void forget_stop(const struct trainer *t)
{
    char path[sizeof t->path + 8];
    text_format(path, sizeof path, "%s/STOP", t->path);
    if (t->comm->rank == 0) unlink(path);
}

static void say_finished(const struct trainer *t)
{
    if (t->comm->rank) return;
    if (t->args->json) return;
    printf("%s is finished: %lld env-steps reach train.env_steps=%lld; raise it to go on\n", t->path, (long long)t->standing.env_steps,
           (long long)t->config->train_env_steps);
}

/* --dry-run: what a start would do. */
static void say_rehearsed(const struct trainer *t, enum start_outcome outcome)
{
    static const char *const states[] = {[START_NEW] = "new", [START_CONTINUED] = "continues", [START_FINISHED] = "finished"};
    if (t->comm->rank) return;
    if (t->args->json) {
        fputs("{\"run\":", stdout);
        text_json_string(stdout, t->path);
        printf(",\"state\":\"%s\",\"env_steps\":%lld}\n", states[outcome], (long long)t->standing.env_steps);
    } else if (outcome == START_FINISHED) {
        say_finished(t);
    } else if (!t->args->quiet) {
        printf("settings are valid; %s %s", outcome == START_CONTINUED ? "continues" : "a new run in", t->path);
        if (outcome == START_CONTINUED) printf(" at %lld env-steps", (long long)t->standing.env_steps);
        putchar('\n');
    }
}

int trainer_run(struct config *config, const struct arguments *args, struct comm *comm)
{
    struct trainer trainer = {.config = config, .args = args, .comm = comm}, *t = &trainer;
    struct error err = {0};
    enum start_outcome outcome;
    char why[160] = "";
    int code = trainer_open(t, &outcome, &err);
    if (!code && args->dry_run) {
        say_rehearsed(t, outcome);
    } else if (!code && outcome == START_MEMBER) {
        code = pod_serve(t->pod, config, &t->placement);
    } else if (!code && outcome == START_FINISHED) {
        forget_stop(t);
        say_finished(t);
    } else if (!code) {
        t->began = t->last_save = clock_seconds();
        if (outcome == START_NEW) code = state_save(t, false, &err); /* a full disk is found out before anything is spent */
        if (!code) code = train(t, why, sizeof why, &err);
        if (!code || code == EXIT_STOPPED || code == EXIT_CONTINUE) {
            const int save_code = code ? save_last(t, false, &err) : 0;
            if (!code) forget_stop(t);
            say_end(t, code, save_code == 0, why);
            if (save_code) code = save_code;
        }
    }
    if (t->metrics) print_json(t, code);
    error_report(&err); /* all ranks return alike: one speaks */
    trainer_close(t, code);
    return code;
}
