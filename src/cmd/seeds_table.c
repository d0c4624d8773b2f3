/* How several seeds went: a table, what they say together, and a curve of all. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pooled.h"
#include "base/text.h"
#include "cmd/curve.h"
#include "cmd/screen.h"
#include "cmd/seeds.h"
#include "run/progress.h"
#include "run/run_list.h"

/* ---- one run -------------------------------------------------------------------------------------------------------------------------- */

struct outcome {
    char state[32];
    double env_steps, seconds; /* trained for, all legs */
    double training;           /* mean return of its last episodes */
    double eval, eval_stderr;  /* of its last evaluation */
};

static double last_known(const struct metrics_file *metrics, const char *name, int64_t *row)
{
    const double *value = metrics_file_column(metrics, name);
    int64_t at = value ? metrics->rows - 1 : -1;
    while (at >= 0 && !isfinite(value[at])) at--;
    *row = at;
    return at >= 0 ? value[at] : (double)NAN;
}

static void tell_state(struct outcome *outcome, const struct seed *seed)
{
    struct run_told run;
    struct error ignored = {0};
    const bool there = run_read(&run, seed->path, false, &ignored) == 0;
    const bool failed = seed->code && seed->code != EXIT_STOPPED && seed->code != EXIT_CONTINUE && !seed->left;
    if (seed->killed_by)
        text_format(outcome->state, sizeof outcome->state, "killed (signal %d)", seed->killed_by);
    else if (failed)
        text_format(outcome->state, sizeof outcome->state, "failed (exit code %d)", seed->code);
    else
        text_format(outcome->state, sizeof outcome->state, "%s", there ? run_state_name(run.state) : "not begun");
    if (there) outcome->env_steps = (double)run.env_steps;
    if (there) run_forget(&run);
}

static void tell(struct outcome *outcome, struct seed *seed)
{
    struct error err = {0};
    int64_t row;
    *outcome = (struct outcome){.env_steps = NAN};
    tell_state(outcome, seed);
    metrics_file_end(&seed->metrics); /* lines that were read while it ran may have been taken back */
    metrics_file_begin(&seed->metrics, seed->path);
    if (metrics_file_read(&seed->metrics, &err)) warn("%s: %s", seed->label, err.text);
    if (seed->metrics.bad) warn("%s: metrics.jsonl, %s", seed->label, seed->metrics.trouble);
    outcome->seconds = last_known(&seed->metrics, "seconds", &row);
    outcome->training = last_known(&seed->metrics, "return_mean", &row);
    outcome->eval = last_known(&seed->metrics, "eval_return", &row);
    const double *error = metrics_file_column(&seed->metrics, "eval_stderr");
    outcome->eval_stderr = error && row >= 0 ? error[row] : (double)NAN;
}

static double speed(const struct outcome *outcome)
{
    return outcome->seconds > 0 ? outcome->env_steps / outcome->seconds : (double)NAN;
}

/* What all of them say together of one number. */
static struct pooled over_seeds(const struct outcome *outcome, int count, size_t member)
{
    double *value = malloc((size_t)count * sizeof *value);
    CHECK(value, "out of memory");
    for (int i = 0; i < count; i++) value[i] = *(const double *)((const char *)&outcome[i] + member);
    const struct pooled all = pooled_of(value, count);
    free(value);
    return all;
}

/* ---- the table ------------------------------------------------------------------------------------------------------------------------ */

enum { COLUMNS = 7, CELL = 128 };
static const char *const titles[COLUMNS] = {"seed", "state", "env-steps", "training return", "evaluation", "env-steps/s", "run"};
static const bool to_the_right[COLUMNS] = {[0] = true, [2] = true, [3] = true, [4] = true, [5] = true};

static void tell_cells(char cell[COLUMNS][CELL], const struct seed *seed, const struct outcome *outcome)
{
    char error[32];
    text_format(cell[0], CELL, "%lld", (long long)seed->number);
    text_format(cell[1], CELL, "%s", outcome->state);
    text_count(cell[2], CELL, outcome->env_steps);
    text_known(cell[3], CELL, outcome->training, text_decimals(outcome->training));
    text_known(cell[4], CELL, outcome->eval, text_decimals(outcome->eval));
    text_fixed(error, sizeof error, outcome->eval_stderr, text_decimals(outcome->eval_stderr));
    if (isfinite(outcome->eval_stderr)) text_format(cell[4] + strlen(cell[4]), CELL - strlen(cell[4]), " ± %s", error);
    text_count(cell[5], CELL, speed(outcome));
    text_format(cell[6], CELL, "%.*s", CELL - 1, seed->path);
}

/* Columns that it takes: ± is two bytes. */
static int letters(const char *text)
{
    int count = 0;
    for (; *text; text++) count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static void print_rows(const struct seeds *seeds, const struct outcome *outcome)
{
    char(*cell)[COLUMNS][CELL] = calloc((size_t)seeds->count + 1, sizeof *cell);
    int width[COLUMNS] = {0};
    CHECK(cell, "out of memory");
    for (int c = 0; c < COLUMNS; c++) text_format(cell[0][c], CELL, "%s", titles[c]);
    for (int i = 0; i < seeds->count; i++) tell_cells(cell[i + 1], &seeds->seed[i], &outcome[i]);
    for (int i = 0; i <= seeds->count; i++)
        for (int c = 0; c < COLUMNS; c++)
            if (letters(cell[i][c]) > width[c]) width[c] = letters(cell[i][c]);
    for (int i = 0; i <= seeds->count; i++)
        for (int c = 0; c < COLUMNS; c++) {
            const int blanks = c == COLUMNS - 1 ? 0 : width[c] - letters(cell[i][c]);
            printf("%*s%s%*s%s", to_the_right[c] ? blanks : 0, "", cell[i][c], to_the_right[c] ? 0 : blanks, "",
                   c == COLUMNS - 1 ? "\n" : "  ");
        }
    free(cell);
}

/* Returns of runs that are not equally far are no sample of one thing. */
static void print_mixture(const struct seeds *seeds, const struct outcome *outcome)
{
    double low = INFINITY, high = -INFINITY;
    char least[24], most[24];
    for (int i = 0; i < seeds->count; i++) {
        if (isnan(outcome[i].training)) continue;
        low = fmin(low, outcome[i].env_steps);
        high = fmax(high, outcome[i].env_steps);
    }
    if (!(low < high)) return;
    text_count(least, sizeof least, low);
    text_count(most, sizeof most, high);
    printf("these are of runs that are not equally far: %s to %s env-steps\n", least, most);
}

static void print_estimate(const char *what, const struct pooled *all)
{
    char mean[48], middle[48], low[48], high[48], interval[160] = "";
    if (isnan(all->mean)) return;
    const int decimals = text_decimals(all->mean);
    text_fixed(mean, sizeof mean, all->mean, decimals);
    text_fixed(middle, sizeof middle, all->middle, decimals);
    text_fixed(low, sizeof low, all->low, decimals);
    text_fixed(high, sizeof high, all->high, decimals);
    if (!isnan(all->low)) text_format(interval, sizeof interval, ", 95 %% interval of the mean %s .. %s", low, high);
    printf("%-16s mean %s, interquartile mean %s%s\n", what, mean, middle, interval);
}

/* ---- the curve ------------------------------------------------------------------------------------------------------------------------ */

/* Linear between rows. */
static double value_at(const double *x, const double *y, int64_t rows, double at)
{
    int64_t low = -1, high = -1;
    for (int64_t i = 0; i < rows && high < 0; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i])) continue;
        if (x[i] <= at) low = i;
        if (x[i] >= at) high = i;
    }
    if (low < 0 || high < 0) return NAN;
    return x[high] > x[low] ? y[low] + (y[high] - y[low]) * (at - x[low]) / (x[high] - x[low]) : y[low];
}

struct band {
    int points, seeds;             /* seeds that have values */
    double shared;                 /* up to here all of them have; beyond, those that got further */
    double *x, *mean, *low, *high; /* [points] */
};

/* From where all seeds have values that have any, to the end of the longest. */
static void find_band(struct band *band, const struct seeds *seeds)
{
    double begin = -INFINITY, end = -INFINITY;
    band->shared = INFINITY;
    for (int i = 0; i < seeds->count; i++) {
        const struct metrics_file *metrics = &seeds->seed[i].metrics;
        const double *x = metrics_file_column(metrics, "env_steps"), *y = metrics_file_column(metrics, "return_mean");
        int64_t first = 0, last;
        if (!x || !y || isnan(last_known(metrics, "return_mean", &last))) continue;
        while (!isfinite(y[first])) first++;
        begin = fmax(begin, x[first]);
        end = fmax(end, x[last]);
        band->shared = fmin(band->shared, x[last]);
        band->seeds++;
    }
    for (int k = 0; k < band->points; k++) {
        int count = 0;
        band->x[k] = begin + (end - begin) * k / (band->points - 1);
        band->mean[k] = 0;
        band->low[k] = INFINITY;
        band->high[k] = -INFINITY;
        for (int i = 0; i < seeds->count; i++) {
            const struct metrics_file *metrics = &seeds->seed[i].metrics;
            const double *x = metrics_file_column(metrics, "env_steps"), *y = metrics_file_column(metrics, "return_mean");
            const double value = x && y ? value_at(x, y, metrics->rows, band->x[k]) : (double)NAN;
            if (isnan(value)) continue;
            band->mean[k] += value;
            band->low[k] = fmin(band->low[k], value);
            band->high[k] = fmax(band->high[k], value);
            count++;
        }
        band->mean[k] = count ? band->mean[k] / count : (double)NAN;
    }
}

static void print_band(const struct seeds *seeds)
{
    enum { ROWS = 12, NARROWEST = 40, WIDEST = 120 };
    int columns = 80, lines = 24;
    progress_terminal(&columns, &lines);
    columns = columns < NARROWEST ? NARROWEST : columns > WIDEST ? WIDEST : columns;
    struct band band = {.points = 2 * columns};
    double *room = calloc(4 * (size_t)band.points, sizeof *room);
    CHECK(room, "out of memory");
    band.x = room, band.mean = room + band.points, band.low = room + 2 * band.points, band.high = room + 3 * band.points;
    find_band(&band, seeds);
    if (band.seeds > 0 && band.x[0] < band.x[band.points - 1]) {
        const struct range y = {range_of(band.low, band.points).low, range_of(band.high, band.points).high};
        struct curve *curve = curve_create(columns, ROWS, screen_unicode(), range_of(band.x, band.points), y);
        curve_band(curve, band.x, band.low, band.high, band.points);
        curve_line(curve, band.x, band.mean, band.points);
        char shared[24], further[64] = "";
        text_count(shared, sizeof shared, band.shared);
        if (band.shared < band.x[band.points - 1]) text_format(further, sizeof further, " (beyond %s of those that got further)", shared);
        printf("\nreturn of training over env-steps, mean of %d seed%s%s; shaded: lowest to highest\n", band.seeds,
               band.seeds == 1 ? "" : "s", further);
        curve_print(stdout, curve);
        curve_destroy(curve);
    }
    free(room);
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------------------ */

static struct outcome *tell_all(struct seeds *seeds)
{
    struct outcome *outcome = calloc((size_t)seeds->count, sizeof *outcome);
    CHECK(outcome, "out of memory");
    for (int i = 0; i < seeds->count; i++) tell(&outcome[i], &seeds->seed[i]);
    return outcome;
}

/* Who draws it better. */
static void print_pointer(const struct seeds *seeds, const struct outcome *outcome)
{
    int known = 0;
    for (int i = 0; i < seeds->count; i++) known += !isnan(outcome[i].training);
    if (known == 0) return;
    printf("as a page: mappo report");
    for (int i = 0; i < seeds->count; i++)
        if (!isnan(outcome[i].training)) printf(" %s", seeds->seed[i].path);
    printf(" out=seeds.html\n");
}

void seeds_print_table(struct seeds *seeds, int code)
{
    struct outcome *outcome = tell_all(seeds);
    const struct pooled training = over_seeds(outcome, seeds->count, offsetof(struct outcome, training)),
                        eval = over_seeds(outcome, seeds->count, offsetof(struct outcome, eval));
    if (!seeds->args->quiet) putchar('\n');
    print_rows(seeds, outcome);
    print_estimate("training return", &training);
    print_estimate("evaluation", &eval);
    print_mixture(seeds, outcome);
    if (!seeds->args->quiet) {
        print_band(seeds);
        print_pointer(seeds, outcome);
    }
    if (code) printf("the same command%s continues what has not reached its end\n", seeds->args->fresh ? " without --fresh" : " again");
    free(outcome);
}

static void json_number(const char *name, double value)
{
    printf(",\"%s\":", name);
    text_json_real(stdout, value);
}

static void json_estimate(const char *name, const struct pooled *all)
{
    printf(",\"%s\":{\"mean\":", name);
    text_json_real(stdout, all->mean);
    json_number("interquartile_mean", all->middle);
    json_number("low", all->low);
    json_number("high", all->high);
    putchar('}');
}

void seeds_print_json(struct seeds *seeds, int code)
{
    struct outcome *outcome = tell_all(seeds);
    const struct pooled training = over_seeds(outcome, seeds->count, offsetof(struct outcome, training)),
                        eval = over_seeds(outcome, seeds->count, offsetof(struct outcome, eval));
    fputs("{\"seeds\":[", stdout);
    for (int i = 0; i < seeds->count; i++) {
        const struct seed *seed = &seeds->seed[i];
        printf("%s{\"seed\":%lld,\"run\":", i ? "," : "", (long long)seed->number);
        text_json_string(stdout, seed->path);
        fputs(",\"state\":", stdout);
        text_json_string(stdout, outcome[i].state);
        json_number("env_steps", outcome[i].env_steps);
        json_number("return_mean", outcome[i].training);
        json_number("eval_return", outcome[i].eval);
        json_number("eval_stderr", outcome[i].eval_stderr);
        json_number("env_steps_per_second", speed(&outcome[i]));
        printf(",\"exit_code\":%d}", seed->code);
    }
    putchar(']');
    json_estimate("return_mean", &training);
    json_estimate("eval_return", &eval);
    printf(",\"exit_code\":%d}\n", code);
    free(outcome);
}
