/* metrics.jsonl thinned out: a page needs no more points than a screen has columns. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "report/parts.h"
#include "run/metrics.h"

static const char *const axes[] = {"env_steps", "episodes", "seconds"};
static const char *const phases[] = {"step", "infer", "update", "communication", "save", "eval"};
enum { AXES = sizeof axes / sizeof *axes, PHASES = sizeof phases / sizeof *phases };

/* Axes have their own place, and the others say the same as one that is drawn. */
static bool is_drawn(const char *name)
{
    return !text_lists("update env_steps agent_steps episodes seconds agent_steps_per_second eval_stderr", name);
}

/* Lines from .. to - 1. */
struct bucket {
    int64_t from, to;
};

static struct bucket bucket_of(int64_t rows, int points, int k)
{
    return (struct bucket){rows * k / points, rows * (k + 1) / points};
}

enum { MEAN, LOW, HIGH, SERIES };
static const char *const series_name[] = {"mean", "low", "high"};

static double of_bucket(const double *value, struct bucket bucket, int series)
{
    double sum = 0, low = INFINITY, high = -INFINITY;
    int64_t count = 0;
    for (int64_t i = bucket.from; i < bucket.to; i++) {
        if (!isfinite(value[i])) continue;
        sum += value[i];
        count++;
        low = fmin(low, value[i]);
        high = fmax(high, value[i]);
    }
    if (!count) return NAN;
    return series == MEAN ? sum / (double)count : series == LOW ? low : high;
}

static void write_number(FILE *out, double value, int digits)
{
    if (isfinite(value))
        fprintf(out, "%.*g", digits, value);
    else
        fputs("null", out);
}

static void write_axes(FILE *out, const struct metrics_file *metrics, int points)
{
    fputs("\"x\":{", out);
    for (int a = 0; a < AXES; a++) {
        const double *value = metrics_file_column(metrics, axes[a]);
        fprintf(out, "%s\"%s\":[", a ? "," : "", axes[a]);
        for (int k = 0; k < points; k++) {
            if (k) fputc(',', out);
            write_number(out, value ? value[bucket_of(metrics->rows, points, k).to - 1] : NAN, 9);
        }
        fputc(']', out);
    }
    fputc('}', out);
}

/* What has no number at all, and what never changes. */
struct extent {
    double low, high;
};

static struct extent extent_of(const double *value, int64_t rows)
{
    struct extent extent = {INFINITY, -INFINITY};
    for (int64_t i = 0; i < rows; i++)
        if (isfinite(value[i])) extent = (struct extent){fmin(extent.low, value[i]), fmax(extent.high, value[i])};
    return extent;
}

static void write_series(FILE *out, const double *value, int64_t rows, int points, int series)
{
    fprintf(out, "%s\"%s\":[", series ? "," : "", series_name[series]);
    for (int k = 0; k < points; k++) {
        if (k) fputc(',', out);
        write_number(out, of_bucket(value, bucket_of(rows, points, k), series), 5);
    }
    fputc(']', out);
}

static void write_column(FILE *out, const double *value, int64_t rows, int points, bool ranges)
{
    const struct extent extent = extent_of(value, rows);
    if (extent.low == extent.high) {
        write_number(out, extent.low, 9);
        return;
    }
    fputc('{', out);
    for (int series = 0; series < (ranges && points < rows ? SERIES : 1); series++) write_series(out, value, rows, points, series);
    fputc('}', out);
}

static void write_columns(FILE *out, const struct metrics_file *metrics, int points, bool ranges)
{
    fputs(",\"y\":{", out);
    for (int c = 0, told = 0; c < metrics->columns; c++) {
        const struct metrics_column *column = &metrics->column[c];
        const struct extent extent = extent_of(column->value, metrics->rows);
        if (!is_drawn(column->name) || extent.low > extent.high) continue;
        if (told++) fputc(',', out);
        text_json_string(out, column->name);
        fputc(':', out);
        write_column(out, column->value, metrics->rows, points, ranges);
    }
    fputc('}', out);
}

/* Evaluations are few, and each is a point with its standard error. */
static void write_evaluations(FILE *out, const struct metrics_file *metrics)
{
    const double *mean = metrics_file_column(metrics, "eval_return"), *error = metrics_file_column(metrics, "eval_stderr");
    enum { MOST = 500 };
    int64_t found = 0, told = 0, n = 0;
    for (int64_t i = 0; mean && i < metrics->rows; i++) found += isfinite(mean[i]) != 0;
    const int64_t every = (found + MOST - 1) / MOST;
    fputs(",\"evaluations\":[", out);
    for (int64_t i = 0; mean && i < metrics->rows; i++) {
        if (!isfinite(mean[i]) || (n++ % every && n < found)) continue;
        fputs(told++ ? ",[" : "[", out);
        for (int a = 0; a < AXES; a++) {
            const double *axis = metrics_file_column(metrics, axes[a]);
            write_number(out, axis ? axis[i] : NAN, 9);
            fputc(',', out);
        }
        write_number(out, mean[i], 6);
        fputc(',', out);
        write_number(out, error ? error[i] : NAN, 4);
        fputc(']', out);
    }
    fputc(']', out);
}

static void write_phases(FILE *out, const struct metrics_file *metrics)
{
    char name[64];
    fputs(",\"phases\":{", out);
    for (int p = 0; p < PHASES; p++) {
        double sum = 0;
        text_format(name, sizeof name, "seconds_%s", phases[p]);
        const double *value = metrics_file_column(metrics, name);
        for (int64_t i = 0; value && i < metrics->rows; i++)
            if (isfinite(value[i])) sum += value[i];
        fprintf(out, "%s\"%s\":%.6g", p ? "," : "", phases[p], sum);
    }
    fputc('}', out);
}

void curves_write(FILE *out, const struct metrics_file *metrics, int points, bool ranges)
{
    if (points > metrics->rows) points = (int)metrics->rows;
    fprintf(out, "{\"rows\":%lld,", (long long)metrics->rows);
    write_axes(out, metrics, points);
    write_columns(out, metrics, points, ranges);
    write_evaluations(out, metrics);
    write_phases(out, metrics);
    fputc('}', out);
}
