#include "cmd/watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/curve.h"

enum { LINE = 1024, SPARK_LEAST = 8 };

/* ---- pieces ---------------------------------------------------------------------------------------------------------------------------- */

static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const ascii_bars[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
enum { LEVELS = 8 };

/* The mean of what lies in part `k` of `parts`; NaN where there is nothing. */
static double part_mean(const double *value, int64_t rows, int k, int parts)
{
    double sum = 0;
    int64_t count = 0;
    const int64_t end = (rows * (k + 1) + parts - 1) / parts;
    for (int64_t i = rows * k / parts; i < end; i++)
        if (isfinite(value[i])) sum += value[i], count++;
    return count ? sum / (double)count : NAN;
}

/* One line of text that is as high as the values are. */
static void print_spark(FILE *out, const struct watch_page *page, const double *value, int64_t rows, int width)
{
    const int parts = rows < width ? (int)rows : width;
    const struct range range = range_of(value, rows);
    for (int k = 0; k < parts; k++) {
        const double mean = part_mean(value, rows, k, parts);
        int level = 0;
        if (isfinite(mean)) level = range.high > range.low ? 1 + (int)((mean - range.low) / (range.high - range.low) * (LEVELS - 0.01)) : 1;
        if (level > LEVELS) level = LEVELS;
        fputs(page->unicode ? bars[level] : ascii_bars[level], out);
    }
}

/* Cut to the page's width; ASCII. */
static void print_line(FILE *out, const struct watch_page *page, const char *text)
{
    fprintf(out, "%.*s\n", page->width, text);
}

/* ---- the curve of returns -------------------------------------------------------------------------------------------------------------- */

/* Two more lines than `rows`. */
static void print_returns(FILE *out, const struct watch_page *page, const struct metrics_file *metrics, int rows)
{
    const double *steps = metrics_file_column(metrics, "env_steps"), *mean = metrics_file_column(metrics, "return_mean"),
                 *eval = metrics_file_column(metrics, "eval_return");
    const struct range of_eval = eval ? range_of(eval, metrics->rows) : (struct range){INFINITY, -INFINITY};
    struct range y = range_of(mean, metrics->rows);
    y.low = fmin(y.low, of_eval.low);
    y.high = fmax(y.high, of_eval.high);
    struct curve *curve = curve_create(page->width, rows, page->unicode, range_of(steps, metrics->rows), y);
    curve_line(curve, steps, mean, metrics->rows);
    if (eval) curve_marks(curve, steps, eval, metrics->rows);
    char text[LINE];
    text_format(text, sizeof text, "return of training%s over env-steps", of_eval.high >= of_eval.low ? " (o: of evaluations)" : "");
    print_line(out, page, text);
    curve_print(out, curve);
    curve_destroy(curve);
}

/* ---- the rest -------------------------------------------------------------------------------------------------------------------------- */

/* Environment steps a second of the last updates, saving and evaluating counted; NaN where that can't be told. */
static double recent_speed(const struct metrics_file *metrics)
{
    const double *steps = metrics_file_column(metrics, "env_steps"), *seconds = metrics_file_column(metrics, "seconds");
    const int64_t last = metrics->rows - 1, first = last > 50 ? last - 50 : 0;
    if (!steps || !seconds || last < 1 || seconds[last] <= seconds[first]) return NAN;
    return (steps[last] - steps[first]) / (seconds[last] - seconds[first]);
}

static void print_head(FILE *out, const struct watch_page *page, const struct run_told *run, const struct metrics_file *metrics)
{
    char text[LINE];
    text_format(text, sizeof text, "%s  %s  %s", run_setting(run, "env.name"), run_setting(run, "algo.name"), run->path);
    print_line(out, page, text);
    text_format(text, sizeof text, "%s%s%s%s", run_state_name(run->state), page->live ? "  (q: leave)" : "", run->why[0] ? ": " : "",
                run->why);
    if (metrics->bad) {
        const size_t length = strlen(text);
        text_format(text + length, sizeof text - length, "; metrics.jsonl: %lld bad, %s", (long long)metrics->bad, metrics->trouble);
    }
    print_line(out, page, text);
}

/* Of the steps or of the episodes, whichever end the run; `left`: the rest, in seconds, NaN where that can't be told. */
static double part_done(const struct run_told *run, const struct metrics_file *metrics, double speed, double *left)
{
    double steps = NAN, episodes = NAN;
    text_to_real(run_setting(run, "train.env_steps"), &steps);
    text_to_real(run_setting(run, "train.episodes"), &episodes);
    double part = steps > 0 ? (double)run->env_steps / steps : 1;
    *left = (steps - (double)run->env_steps) / speed;
    if (episodes > 0 && run->episodes / episodes > part) {
        part = run->episodes / episodes;
        *left = metrics_file_last(metrics, "seconds") * (1 - part) / part;
    }
    return run->state == RUN_FINISHED ? 1 : fmin(1, part);
}

static void print_progress(FILE *out, const struct watch_page *page, const struct run_told *run, const struct metrics_file *metrics)
{
    double asked = NAN, left;
    char text[LINE], done[24], all[24], rate[24], eta[32] = "";
    text_to_real(run_setting(run, "train.env_steps"), &asked);
    const double speed = recent_speed(metrics), part = part_done(run, metrics, speed, &left);
    text_count(done, sizeof done, (double)run->env_steps);
    text_count(all, sizeof all, asked);
    text_count(rate, sizeof rate, speed);
    if (run->state == RUN_RUNNING && isfinite(left)) {
        text_duration(text, sizeof text, left);
        text_format(eta, sizeof eta, "  ETA %s", text);
    }
    const int bar = page->width >= 80 ? page->width - 60 : 0, full = (int)(part * bar + 0.5);
    for (int i = 0; i < bar; i++) fputs(i < full ? page->unicode ? "█" : "#" : page->unicode ? "░" : ".", out);
    text_format(text, sizeof text, "%s%3.0f %%  %s of %s env-steps  %s/s%s", bar ? "  " : "", 100 * part, done, all, rate, eta);
    fprintf(out, "%.*s\n", page->width - bar, text);
}

/* Where the time of the last updates went. */
static void print_phases(FILE *out, const struct watch_page *page, const struct metrics_file *metrics)
{
    static const char *const phases[] = {"step", "infer", "update", "communication", "save", "eval"};
    enum { PHASES = sizeof phases / sizeof *phases };
    double sum[PHASES] = {0}, all = 0;
    char name[64], text[LINE] = "time";
    for (int p = 0; p < PHASES; p++) {
        text_format(name, sizeof name, "seconds_%s", phases[p]);
        const double *value = metrics_file_column(metrics, name);
        for (int64_t i = metrics->rows > 50 ? metrics->rows - 50 : 0; value && i < metrics->rows; i++)
            if (isfinite(value[i])) sum[p] += value[i];
        all += sum[p];
    }
    for (int p = 0; p < PHASES; p++) {
        const size_t length = strlen(text);
        if (sum[p] < 0.005 * all) continue;
        text_format(text + length, sizeof text - length, "%s %s %.0f %%", length > strlen("time") ? "," : "", phases[p],
                    100 * sum[p] / all);
    }
    print_line(out, page, text);
}

/* What has its place above, or never changes much. */
static bool shown_elsewhere(const char *name)
{
    return strncmp(name, "seconds", strlen("seconds")) == 0 ||
           text_lists("update env_steps agent_steps episodes agent_steps_per_second return_mean eval_return eval_stderr hidden_fraction",
                      name);
}

static bool known_once(const double *value, int64_t rows)
{
    const struct range range = range_of(value, rows);
    return range.high >= range.low;
}

/* A number that never changes has nothing to say here: a constant learning rate, the length of episodes that all end with a time limit. */
static bool changes(const double *value, int64_t rows)
{
    const struct range range = range_of(value, rows);
    return range.high > range.low;
}

static void print_columns(FILE *out, const struct watch_page *page, const struct metrics_file *metrics, int lines)
{
    enum { NAME = 24, VALUE = 10 };
    const int width = page->width - NAME - VALUE - 3, narrow = page->width - VALUE - 1;
    const int name = page->width >= 50 ? NAME : narrow > 20 ? 20 : narrow > 0 ? narrow : 0;
    for (int c = 0, told = 0; c < metrics->columns && told < lines; c++) {
        const struct metrics_column *column = &metrics->column[c];
        char value[32], text[LINE];
        if (shown_elsewhere(column->name) || !changes(column->value, metrics->rows)) continue;
        curve_number(value, sizeof value, column->value[metrics->rows - 1]);
        text_format(text, sizeof text, "%-*.*s %*s", name, name, column->name, VALUE, value);
        fprintf(out, "%.*s", page->width, text);
        if (width >= SPARK_LEAST) {
            fputs("  ", out);
            print_spark(out, page, column->value, metrics->rows, width);
        }
        fputc('\n', out);
        told++;
    }
}

void watch_print(FILE *out, const struct watch_page *page, const struct run_told *run, const struct metrics_file *metrics)
{
    enum { FIXED = 4, LEAST_CURVE = 3, MOST_CURVE = 16, COLUMNS = 8, NARROWEST_CURVE = 2 * CURVE_LABEL };
    print_head(out, page, run, metrics);
    if (page->height < FIXED) return;
    print_progress(out, page, run, metrics);
    if (metrics->rows == 0) {
        print_line(out, page, "no update yet");
        return;
    }
    print_phases(out, page, metrics);
    int left = page->height - FIXED, rows = left - 2 - (left > 20 ? COLUMNS : left / 3);
    if (rows > MOST_CURVE) rows = MOST_CURVE;
    if (rows < LEAST_CURVE) rows = left - 2; /* the curve says more than any number beside it */
    if (page->width < NARROWEST_CURVE) rows = 0;
    const double *mean = metrics_file_column(metrics, "return_mean");
    if (rows >= LEAST_CURVE && mean && metrics_file_column(metrics, "env_steps") && known_once(mean, metrics->rows)) {
        print_returns(out, page, metrics, rows);
        left -= rows + 2;
    }
    print_columns(out, page, metrics, left);
}
