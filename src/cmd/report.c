/* mappo report: a page of HTML about runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "report/report.h"

enum { FILMED = 8 }; /* runs whose episodes are shown */

struct reporting {
    struct arguments args; /* without what is the command's own */
    struct comm *comm;
    char out[4096];
    bool out_given, plays;
    struct report report;
};

static int take_own(struct reporting *r, const struct arguments *args, struct error *err)
{
    r->args = *args;
    const char *out = arguments_take(&r->args, "out"), *episodes[] = {arguments_take(&r->args, "episodes"), NULL};
    episodes[1] = arguments_take(&r->args, "eval.episodes");
    r->out_given = out != NULL;
    r->plays = true;
    for (int i = 0; i < 2; i++) {
        static char again[2][64];
        if (!episodes[i]) continue;
        int64_t number;
        r->plays = !text_to_int(episodes[i], &number) || number != 0; /* 0 is none, which no other command can mean */
        text_format(again[i], sizeof again[i], "eval.episodes=%s", episodes[i]);
        if (r->plays) r->args.assignment[r->args.assignments++] = again[i];
    }
    if (out && !out[0]) return error_set(err, EXIT_USAGE, "out= names no file: out=report.html, or out=- for standard output");
    int code = file_path_given(out ? out : "report.html", r->out, sizeof r->out, err);
    if (code) return error_prefix(err, "out=%s", out);
    if (strcmp(r->out, "-") != 0) code = file_check_writable(r->out, err);
    if (code) return error_prefix(err, "out");
    /* A mistake in a setting is the same for every run, and is said before anything is played. */
    struct config *config = calloc(1, sizeof *config);
    CHECK(config, "out of memory");
    config_defaults(config);
    code = config_apply(config, &r->args, err);
    free(config);
    return code;
}

/* Whose episodes stand for its experiment's: the first that is finished, else the first. */
static bool is_filmed(const struct report *report, int i)
{
    for (int k = 0; k < report->list.runs; k++) {
        const bool better = report->list.run[k].state == RUN_FINISHED && report->list.run[i].state != RUN_FINISHED;
        const bool as_good = (report->list.run[k].state == RUN_FINISHED) == (report->list.run[i].state == RUN_FINISHED);
        if (report->band[k] == report->band[i] && (better || (as_good && k < i))) return false;
    }
    return true;
}

static void play_runs(struct reporting *r)
{
    const struct report *report = &r->report;
    const bool tell = isatty(STDERR_FILENO) && !r->args.quiet;
    bool *told = calloc((size_t)report->list.runs + 1, sizeof *told); /* of runs with whose environment all has gone well */
    int filmed = 0;
    CHECK(told, "out of memory for a report");
    for (int i = 0; i < report->list.runs; i++) {
        bool others = true;
        for (int k = 0; k < i; k++) others = others && !(told[k] && report_same_play(report, i, k));
        const bool films = filmed < FILMED && is_filmed(report, i);
        filmed += films;
        if (tell) fprintf(stderr, "\r\033[Kplaying %s (%d of %d)", report->list.run[i].path, i + 1, report->list.runs);
        told[i] = report_play(&r->report, i, &r->args, others, films, r->comm);
    }
    free(told);
    if (tell) fputs("\r\033[K", stderr);
}

/* A report may be written again; what else has its name without having been named is set aside. */
static int make_room(const struct reporting *r, struct error *err)
{
    static const char mark[] = "<!doctype html><!-- mappo report -->";
    char *text, moved[4096];
    size_t size;
    if (r->out_given || !file_exists(r->out)) return 0;
    const bool ours = file_read(r->out, 256 << 20, &text, &size, NULL) == 0;
    const bool same = ours && strncmp(text, mark, strlen(mark)) == 0;
    if (ours) free(text);
    if (same) return 0;
    const int code = file_set_aside(r->out, moved, sizeof moved, err);
    if (!code) warn("%s was there, and is no report: it is now %s", r->out, moved);
    return code;
}

static int write_page(const struct reporting *r, struct error *err)
{
    char *text = NULL, bytes[32];
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory for a report");
    report_write(out, &r->report, cmd_find_env);
    fclose(out);
    int code = 0;
    if (strcmp(r->out, "-") == 0) {
        fwrite(text, 1, size, stdout);
    } else {
        code = make_room(r, err);
        if (!code) code = file_replace(r->out, &(struct file_part){text, size}, 1, err);
        text_bytes(bytes, sizeof bytes, (double)size);
        if (!code && !r->args.quiet) printf("%s: %d run%s, %s\n", r->out, r->report.list.runs, r->report.list.runs == 1 ? "" : "s", bytes);
    }
    free(text);
    return code;
}

int cmd_report(const struct arguments *args, struct comm *comm)
{
    struct error err = {0};
    struct reporting *r = calloc(1, sizeof *r);
    CHECK(r, "out of memory");
    r->comm = comm;
    int code = 0;
    if (comm->size > 1)
        code = error_set(&err, EXIT_USAGE, "one rank makes a report, and there are %d: start mappo report alone", comm->size);
    if (!code) code = take_own(r, args, &err);
    if (!code) code = report_gather(&r->report, args->operand, args->operands, &err);
    if (!code && r->plays) play_runs(r);
    if (!code) code = write_page(r, &err);
    error_report(&err);
    report_free(&r->report);
    free(r);
    return code;
}
