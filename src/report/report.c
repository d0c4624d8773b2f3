#include "report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/version.h"
#include "report/parts.h"
#include "run/metrics.h"

/* Points of a curve; numbers in a page, so that it stays below a few megabytes; runs whose curves have ranges. */
enum { POINTS = 1000, LEAST_POINTS = 60, NUMBERS = 450000, RANGES = 4 };

int report_gather(struct report *report, const char *const *folder, int folders, struct error *err)
{
    *report = (struct report){.bands = 0};
    for (int i = 0; i < folders; i++) {
        struct run_list more;
        const int code = run_list_read(&more, folder[i], false, err);
        if (code) return code;
        for (int k = 0; k < more.closed_count; k++) warn("%s: may not be looked into: runs in it are left out", more.closed[k]);
        if (more.runs == 0) return error_set(err, EXIT_USAGE, "%s: there is no run in this folder", folder[i]);
        run_list_append(&report->list, &more);
    }
    report->band = calloc((size_t)report->list.runs + 1, sizeof *report->band);
    report->played = calloc((size_t)report->list.runs + 1, sizeof *report->played);
    CHECK(report->band && report->played, "out of memory for a report");
    report->bands = settings_bands(&report->list, report->band);
    return 0;
}

void report_free(struct report *report)
{
    for (int i = 0; i < report->list.runs && report->played; i++) free(report->played[i]);
    free(report->played);
    free(report->band);
    run_list_free(&report->list);
    *report = (struct report){.bands = 0};
}

static void write_text(FILE *out, const char *before, const char *text)
{
    fputs(before, out);
    text_json_string(out, text);
}

static void write_real(FILE *out, const char *before, double value)
{
    fputs(before, out);
    text_json_real(out, value);
}

/* Also of one whose file has lines that are none: the others. */
static void write_curves(FILE *out, const struct report *report, const struct run_told *run)
{
    struct metrics_file metrics;
    struct error err = {0};
    const bool ranges = report->list.runs <= RANGES;
    metrics_file_begin(&metrics, run->path);
    if (metrics_file_read(&metrics, &err)) warn("%s: %s", run->path, err.text);
    const int series = (metrics.columns + 1) * (ranges ? 3 : 1), most = NUMBERS / (report->list.runs * series);
    write_text(out, ",\"trouble\":", err.text[0] ? err.text : metrics.trouble);
    fputs(",\n\"curves\":", out);
    curves_write(out, &metrics, most < POINTS ? most > LEAST_POINTS ? most : LEAST_POINTS : POINTS, ranges);
    metrics_file_end(&metrics);
}

static void write_run(FILE *out, const struct report *report, int i, config_find_env *find_env)
{
    const struct run_told *run = &report->list.run[i];
    double asked;
    write_text(out, "{\"path\":", run->path);
    write_text(out, ",\"variant\":", run_variant(run));
    write_text(out, ",\"state\":", run_state_name(run->state));
    write_text(out, ",\"why\":", run->why);
    fprintf(out, ",\"band\":%d,\"env_steps\":%lld,\"written\":%lld", report->band[i], (long long)run->env_steps, (long long)run->written);
    write_real(out, ",\"asked\":", text_to_real(run_setting(run, "train.env_steps"), &asked) ? asked : NAN);
    write_real(out, ",\"return\":", run->return_mean);
    fputs(",\"command\":", out);
    settings_write_command(out, run, find_env);
    story_write(out, run);
    write_curves(out, report, run);
    fprintf(out, ",\n\"played\":%s}", report->played[i] ? report->played[i] : "null");
}

static void write_data(FILE *out, const struct report *report, config_find_env *find_env)
{
    char when[32];
    const time_t now = time(NULL);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    write_text(out, "{\"program\":", version_line());
    write_text(out, ",\"written\":", when);
    fprintf(out, ",\"bands\":%d,\n\"meanings\":", report->bands);
    metrics_json(out);
    fputs(",\n\"closed\":[", out);
    for (int i = 0; i < report->list.closed_count; i++) write_text(out, i ? "," : "", report->list.closed[i]);
    fputs("],\n\"settings\":", out);
    settings_write(out, &report->list);
    fputs(",\n\"runs\":[", out);
    for (int i = 0; i < report->list.runs; i++) {
        if (i) fputs(",\n", out);
        write_run(out, report, i, find_env);
    }
    fputs("]}", out);
}

void report_write(FILE *out, const struct report *report, config_find_env *find_env)
{
    char *json = NULL;
    size_t size = 0;
    FILE *data = open_memstream(&json, &size);
    CHECK(data, "out of memory for a report");
    write_data(data, report, find_env);
    fclose(data);
    page_write(out, json);
    free(json);
}
