/* What a run says of itself when it ends, and what one says that would begin. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "run/run_list.h"
#include "run/trainer_work.h"

/* --quiet leaves one line of a run: where it is and how it stands. */
static void say_quietly(const struct trainer *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say_quietly(const struct trainer *t, const char *format, ...)
{
    va_list list;
    if (t->comm->rank || !t->args->quiet || t->args->json || t->args->silent) return;
    va_start(list, format);
    printf("%s: ", t->path);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
}

void summary_end(struct trainer *t, int code, bool saved)
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
    char why[160], goal[48];
    text_short_real(goal, sizeof goal, t->config->train_stop_return);
    if (!code && trainer_good_enough(t))
        text_format(why, sizeof why, "train.stop_return=%s reached", goal);
    else
        text_format(why, sizeof why, "%s", code ? t->stop_reason : "finished");
    progress_say(t->progress, "%s after %lld update%s, %lld env-steps, %s: %s", why, (long long)t->standing.update,
                 t->standing.update == 1 ? "" : "s", (long long)t->standing.env_steps, spent, back);
    progress_say(t->progress, "%s/latest.h5%s", t->path, goes_on);
    say_quietly(t, "%s after %lld update%s, %lld env-steps, %s: %s%s", why, (long long)t->standing.update,
                t->standing.update == 1 ? "" : "s", (long long)t->standing.env_steps, spent, back, goes_on);
}

/* Rank 0, --json: the run in one object. */
void summary_json(const struct trainer *t, int code)
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

void summary_finished(const struct trainer *t)
{
    if (t->comm->rank) return;
    if (t->args->json || t->args->silent) return;
    if (trainer_good_enough(t)) {
        char goal[48], best[48];
        text_short_real(goal, sizeof goal, t->config->train_stop_return);
        text_short_real(best, sizeof best, t->standing.best_return);
        printf("%s is finished: a return of %s has reached train.stop_return=%s; raise it to go on\n", t->path, best, goal);
        return;
    }
    if (trainer_enough_episodes(t)) {
        printf("%s is finished: train.episodes=%lld have ended; raise it to go on\n", t->path, (long long)t->config->train_episodes);
        return;
    }
    printf("%s is finished: %lld env-steps reach train.env_steps=%lld; raise it to go on\n", t->path, (long long)t->standing.env_steps,
           (long long)t->config->train_env_steps);
}

/* The same for programs, with what is to be trained, for how long, and who said that. */
static void print_dry_run(const struct trainer *t, const char *state)
{
    static const char *const origins[] = {
        [ORIGIN_DEFAULT] = "default", [ORIGIN_ENV_PRESET] = "environment", [ORIGIN_VARIANT] = "environment",  [ORIGIN_PRESET] = "settings",
        [ORIGIN_CHECKPOINT] = "run",  [ORIGIN_FILE] = "settings",          [ORIGIN_COMMAND_LINE] = "settings"};
    const struct config *c = t->config;
    fputs("{\"run\":", stdout);
    text_json_string(stdout, t->path);
    printf(",\"state\":\"%s\",\"env_steps\":%lld,\"environment\":", state, (long long)t->standing.env_steps);
    text_json_string(stdout, c->env_id);
    if (c->env_variant[0]) {
        fputs(",\"variant\":", stdout);
        text_json_string(stdout, c->env_variant);
    }
    fputs(",\"rules\":", stdout);
    text_json_string(stdout, vecenv_spec(t->learning.env)->rules);
    printf(",\"seed\":%lld,\"train.env_steps\":%lld,\"train.env_steps_of\":\"%s\"", (long long)c->train_seed, (long long)c->train_env_steps,
           origins[c->origin[KEY_train_env_steps]]);
    if (t->planned) printf(",\"memory_bytes\":%zu", t->planned);
    puts("}");
}

/* --fresh: what would be moved aside. */
static void print_old_run(const struct trainer *t)
{
    struct run_told old;
    struct error ignored = {0};
    if (!t->args->fresh || run_read(&old, t->path, false, &ignored)) return;
    printf("; the run that is there, of %lld env-steps, is moved aside", (long long)old.env_steps);
    run_forget(&old);
}

/* --dry-run: what a start would do. */
void summary_dry_run(const struct trainer *t, enum start start)
{
    static const char *const states[] = {[START_NEW] = "new", [START_CONTINUED] = "continues", [START_FINISHED] = "finished"};
    if (t->comm->rank) return;
    if (t->args->json) {
        print_dry_run(t, states[start]);
    } else if (start == START_FINISHED) {
        summary_finished(t);
    } else if (!t->args->quiet) {
        printf("settings are valid; %s %s", start == START_CONTINUED ? "continues" : "a new run in", t->path);
        if (start == START_NEW) print_old_run(t);
        if (start == START_CONTINUED) printf(" at %lld env-steps", (long long)t->standing.env_steps);
        putchar('\n');
        if (t->learning.note[0]) puts(t->learning.note);
        if (t->planned)
            printf("memory%s: %s, and what environments take\n", t->comm->size > 1 ? " of each rank" : "", t->learning.memory);
        else
            puts("memory: the GPU's is planned where it is, when the run begins");
    }
}
