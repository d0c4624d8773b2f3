/* Lines of metrics, one an update. A device is told of the next update before the last one's numbers are waited for, so a line may be
 * written an update late; here alone is known which updates are still to be recorded. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "run/trainer_work.h"

_Static_assert((int)VECENV_REPORTS >= (int)BACKEND_OUTCOMES, "the episodes of an update are kept until its line is written");

static struct metrics_line *line_of(struct trainer *t, int64_t update)
{
    return &t->line[update % BACKEND_OUTCOMES];
}

struct metrics_line *record_begin(struct trainer *t)
{
    const int64_t update = t->standing.update + 1;
    struct metrics_line *line = line_of(t, update);
    *line = (struct metrics_line){.update = update, .eval_return = NAN, .eval_stderr = NAN};
    if (t->recorded == t->standing.update) t->since = clock_seconds();
    return line;
}

struct metrics_line *record_newest(struct trainer *t)
{
    return line_of(t, t->standing.update);
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

void record_end(struct trainer *t)
{
    struct metrics_line *line = record_newest(t);
    line->env_steps = t->standing.env_steps;
    line->agent_steps = t->standing.env_steps * t->agents;
    line->hidden_fraction = algorithm_hidden(t->learning.algorithm);
    add_seconds(t, line);
}

/* Waits for the numbers of the oldest update that is not recorded. The time since the last one is divided among it and the updates that
 * come next, `left` in all. Where environments step on a device, the rank that stepped them may be the only one that found a fault. */
static int fill_line(struct trainer *t, int left, struct error *err)
{
    struct algorithm *algorithm = t->learning.algorithm;
    struct metrics_line *line = line_of(t, t->recorded + 1);
    int code = algorithm_outcome(algorithm, err);
    if (vecenv_on_device(t->learning.env)) code = comm_vote(t->comm, code, err);
    if (code) return error_prefix(err, "update %lld", (long long)line->update);
    line->metric = t->metric;
    line->metrics = algorithm->ops->metrics(algorithm, t->metric, (int)(sizeof t->metric / sizeof *t->metric));
    metrics_collect(t->metrics, t->learning.env);
    t->standing.episodes = metrics_episodes(t->metrics);
    add_seconds(t, line);
    const double now = clock_seconds(), seconds = (now - t->since) / left;
    t->since += seconds;
    line->seconds = t->seconds_before + (now - t->began);
    line->env_steps_per_second = (double)learning_env_steps(&t->learning, t->config) / seconds;
    line->agent_steps_per_second = line->env_steps_per_second * t->agents;
    return 0;
}

static double metric_value(const struct metrics_line *line, const char *name)
{
    for (int i = 0; i < line->metrics; i++)
        if (!strcmp(line->metric[i].name, name)) return line->metric[i].value;
    return NAN;
}

static void write_line(struct trainer *t)
{
    struct metrics_line *line = line_of(t, ++t->recorded);
    line->seconds_save = t->seconds_save;
    line->seconds_eval = t->seconds_eval;
    t->seconds_save = t->seconds_eval = 0;
    trainer_follow_folder(t, false);
    metrics_write(t->metrics, line);

    const struct progress_line progress = {
        .env_steps = line->env_steps,
        .total_steps = t->config->train_env_steps,
        .episodes = t->standing.episodes,
        .total_episodes = t->config->train_episodes,
        .env_steps_per_second = line->env_steps_per_second,
        .agent_steps_per_second = line->agent_steps_per_second,
        .return_mean = metrics_return(t->metrics),
        .entropy = metric_value(line, "entropy"),
        .seconds_since_save = clock_seconds() - t->last_save,
    };
    progress_update(t->progress, &progress, line->env_steps >= t->config->train_env_steps || trainer_enough_episodes(t));
}

/* Updates, until only the newest `ahead` of them are left. hold: the newest one's line is not written yet. */
static int record(struct trainer *t, int ahead, bool hold, struct error *err)
{
    int left = (int)(t->standing.update - t->recorded) - ahead;
    if (left > 1) t->learning.backend->sync(t->learning.backend); /* which took how long can't be told */
    for (; left > 0; left--) {
        const int code = fill_line(t, left, err);
        if (code) return code;
        if (left > 1 || !hold) write_line(t);
    }
    return 0;
}

int record_updates(struct trainer *t, bool all, struct error *err)
{
    return record(t, all ? 0 : t->learning.algorithm->ahead, false, err);
}

int record_before_evaluation(struct trainer *t, struct error *err)
{
    return t->evaluation_due ? 0 : record(t, 0, true, err);
}

void record_left_evaluation(struct trainer *t)
{
    if (t->evaluation_due) return; /* its line waits since the first time */
    if (t->comm->rank == 0) t->due_line = metrics_text(t->metrics, record_newest(t));
    t->evaluation_due = true;
}

void record_evaluation(struct trainer *t)
{
    if (!t->evaluation_due) {
        write_line(t);
        return;
    }
    const struct metrics_line *line = line_of(t, ++t->recorded);
    trainer_follow_folder(t, false);
    if (t->due_line) metrics_write_text(t->metrics, t->due_line, line->eval_return, line->eval_stderr);
    free(t->due_line);
    t->due_line = NULL;
    t->evaluation_due = false;
    t->seconds_eval = 0;
}
