/* mappo report: a page of HTML about runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "report/report.h"

enum { FILMED = 8 }; /* experiments of which episodes are shown */

static const char MARK[] = "<!doctype html><!-- mappo report -->"; /* stands at the beginning of every page */

struct reporting {
    struct arguments args; /* without what is the command's own */
    struct comm *comm;
    char out[4096];
    bool plays;
    struct report report;
};

/* Where the page goes: through a link to what it names, into no device, over no file that may be a run's own. */
static int take_out(struct reporting *r, const char *given, struct error *err)
{
    char target[sizeof r->out], folder[sizeof r->out], sign[sizeof r->out + 16];
    if (given && !given[0]) return error_set(err, EXIT_USAGE, "out= names no file: out=report.html, or out=- for standard output");
    int code = file_path_given(given ? given : "report.html", r->out, sizeof r->out, err);
    if (code) return error_prefix(err, "out=%s", given);
    if (strcmp(r->out, "-") == 0) return 0;
    if (file_dangles(r->out, target, sizeof target))
        return error_set(err, EXIT_USAGE, "out: %s is a link to %s, which is not there", r->out, target);
    if ((code = file_check_writable(r->out, err)) != 0) return error_prefix(err, "out");
    char *real = realpath(r->out, NULL);
    struct stat info;
    if (real && lstat(r->out, &info) == 0 && S_ISLNK(info.st_mode)) text_format(r->out, sizeof r->out, "%s", real);
    free(real);
    const char *slash = strrchr(r->out, '/'), *end = strrchr(slash ? slash : r->out, '.');
    text_format(folder, sizeof folder, "%.*s", slash ? (int)(slash - r->out) + 1 : 0, r->out);
    text_format(sign, sizeof sign, "%sconfig.ini", folder);
    if (file_exists(sign) && (!end || (strcasecmp(end, ".html") != 0 && strcasecmp(end, ".htm") != 0)))
        return error_set(err, EXIT_USAGE, "out: %s: beside a run's own files a page needs a name that ends in .html", r->out);
    return 0;
}

static int take_own(struct reporting *r, const struct arguments *args, struct error *err)
{
    r->args = *args;
    const char *out = arguments_take(&r->args, "out"), *episodes[] = {arguments_take(&r->args, "episodes"), NULL};
    episodes[1] = arguments_take(&r->args, "eval.episodes");
    r->plays = true;
    for (int i = 0; i < 2; i++) {
        static char again[2][64];
        if (!episodes[i]) continue;
        int64_t number;
        r->plays = !text_to_int(episodes[i], &number) || number != 0; /* 0 is none, which no other command can mean */
        text_format(again[i], sizeof again[i], "eval.episodes=%s", episodes[i]);
        if (r->plays) r->args.assignment[r->args.assignments++] = again[i];
    }
    int code = take_out(r, out, err);
    if (code) return code;
    /* A mistake in a setting is the same for every run, and is said before anything is played. */
    struct config *config = calloc(1, sizeof *config);
    CHECK(config, "out of memory");
    config_defaults(config);
    code = config_apply(config, &r->args, err);
    free(config);
    return code;
}

/* Runs in the order in which they are played: of an experiment the first one that can be played shows its episodes, and a finished one is
 * better, a damaged one worse. */
static int *order_of(const struct report *report)
{
    static const enum run_state order[] = {RUN_FINISHED, RUN_RUNNING, RUN_STOPPED, RUN_DAMAGED};
    int *played = malloc(((size_t)report->list.runs + 1) * sizeof *played), count = 0;
    CHECK(played, "out of memory for a report");
    for (size_t s = 0; s < sizeof order / sizeof *order; s++)
        for (int i = 0; i < report->list.runs; i++)
            if (report->list.run[i].state == order[s]) played[count++] = i;
    return played;
}

/* Experiments whose episodes are shown: the first of the page. */
static bool is_filmed(const struct report *report, int i, const bool *filmed)
{
    return report->band[i] < FILMED && !filmed[report->band[i]];
}

static void play_runs(struct reporting *r)
{
    const struct report *report = &r->report;
    const bool tell = isatty(STDERR_FILENO) && !r->args.quiet;
    const int runs = report->list.runs;
    bool *told = calloc(2 * (size_t)runs + 1, sizeof *told), *filmed = told + runs; /* [runs] all has gone well, [bands] */
    CHECK(told, "out of memory for a report");
    int *order = order_of(report);
    for (int at = 0; at < runs; at++) {
        const int i = order[at];
        bool others = true;
        for (int k = 0; k < runs; k++) others = others && !(told[k] && report_same_play(report, i, k));
        const bool films = is_filmed(report, i, filmed);
        if (tell) fprintf(stderr, "\r\033[Kplaying %s (%d of %d)", report->list.run[i].path, at + 1, runs);
        told[i] = report_play(&r->report, i, &r->args, others, films, r->comm);
        if (films && told[i]) filmed[report->band[i]] = true;
    }
    free(order);
    free(told);
    if (tell) fputs("\r\033[K", stderr);
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
        code = file_make_room(r->out, MARK, "report", err);
        if (!code) code = file_replace(r->out, &(struct file_part){text, size}, 1, err);
        text_bytes(bytes, sizeof bytes, (double)size);
        if (!code && !r->args.quiet) printf("%s: %d run%s, %s\n", r->out, r->report.list.runs, r->report.list.runs == 1 ? "" : "s", bytes);
    }
    free(text);
    return code;
}

static int make_report(struct reporting *r, const struct arguments *args, struct error *err)
{
    int code = take_own(r, args, err);
    if (!code) code = report_gather(&r->report, args->operand, args->operands, err);
    if (!code && r->plays) play_runs(r);
    return code ? code : write_page(r, err);
}

int cmd_report(const struct arguments *args, struct comm *comm)
{
    struct error err = {0};
    struct reporting *r = calloc(1, sizeof *r);
    CHECK(r, "out of memory");
    r->comm = comm_alone(comm); /* rank 0's, whose processes play */
    const int code = comm_vote(comm, comm->rank == 0 ? make_report(r, args, &err) : 0, &err);
    error_report(&err);
    report_free(&r->report);
    comm_close(r->comm);
    free(r);
    return code;
}
