/* How a run's policy plays, in a process of its own: an environment that crashes, exits or takes too much memory there costs the page its
 * evaluation, and the page says why. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "report/parts.h"
#include "run/open_env.h"
#include "run/playing.h"

enum { EPISODES = 100 }; /* unless given */

static const char failed[] = "{\"failed\":"; /* how the JSON of a run begins that could not be played */

struct asked {
    const char *folder;
    const struct arguments *args;
    struct comm *comm;
    bool others, films;
    FILE *out;
};

/* ---- in the child ---------------------------------------------------------------------------------------------------------------------- */

static void write_text(FILE *out, const char *before, const char *text)
{
    fputs(before, out);
    text_json_string(out, text);
}

static void write_estimate(FILE *out, const char *before, double mean, double error)
{
    fputs(before, out);
    text_json_real(out, mean);
    fputc(',', out);
    text_json_real(out, error);
    fputc(']', out);
}

/* Without the bracket behind it. */
static void write_player(const struct asked *p, const struct playing *run, int player, const struct evaluation *r)
{
    char who[CONFIG_TEXT + 200];
    const struct mappo_env_spec *spec = vecenv_spec(run->learning.env);
    const bool summed = run->config->metrics_return == RETURN_SUM;
    write_text(p->out, "{\"who\":", player_name[player]);
    write_text(p->out, ",\"players\":", playing_players(run, player, who, sizeof who));
    write_estimate(p->out, ",\"return\":[", r->return_mean, r->return_stderr);
    fputs(",\"length\":", p->out);
    text_json_real(p->out, r->length_mean);
    fputs(",\"groups\":[", p->out);
    for (int g = 0; spec->groups > 1 && g < spec->groups; g++) {
        const double times = summed ? spec->group[g].agents : 1;
        write_estimate(p->out, g ? ",[" : "[", times * r->group[g].mean, times * r->group[g].error);
    }
    fputs("],\"infos\":[", p->out);
    for (int i = 0; i < spec->infos; i++) write_estimate(p->out, i ? ",[" : "[", r->info[i].mean, r->info[i].error);
    fputc(']', p->out);
}

static void write_heading(const struct asked *p, const struct playing *run)
{
    const struct mappo_env_spec *spec = vecenv_spec(run->learning.env);
    const char *name = strrchr(run->path, '/');
    char title[1024];
    open_env_title(run->config, run->learning.env, title, sizeof title);
    write_text(p->out, "{\"checkpoint\":", name ? name + 1 : run->path);
    fprintf(p->out, ",\"env_steps\":%lld", (long long)checkpoint_env_steps(run->file));
    write_text(p->out, ",\"title\":", title);
    write_text(p->out, ",\"rules\":", spec->rules);
    fprintf(p->out, ",\"episodes\":%lld,\"deterministic\":%s,\"summed\":%s,\"groups\":[", (long long)run->config->eval_episodes,
            run->config->eval_deterministic ? "true" : "false", run->config->metrics_return == RETURN_SUM ? "true" : "false");
    for (int g = 0; spec->groups > 1 && g < spec->groups; g++) write_text(p->out, g ? "," : "", spec->group[g].name);
    fputs("],\"infos\":[", p->out);
    for (int i = 0; i < spec->infos; i++) {
        write_text(p->out, i ? ",[" : "[", spec->info[i].name);
        write_text(p->out, ",", spec->info[i].unit ? spec->info[i].unit : "");
        fputc(']', p->out);
    }
    fputs("],\"players\":[", p->out);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorted, at most QUANTILES of them. */
static void write_returns(FILE *out, const double *ret, int64_t episodes)
{
    enum { QUANTILES = 101 };
    double *sorted = malloc((size_t)episodes * sizeof *sorted);
    CHECK(sorted, "out of memory for a report");
    memcpy(sorted, ret, (size_t)episodes * sizeof *sorted);
    qsort(sorted, (size_t)episodes, sizeof *sorted, by_value);
    const int64_t told = episodes < QUANTILES ? episodes : QUANTILES;
    fputs(",\"returns\":[", out);
    for (int64_t k = 0; k < told; k++) fprintf(out, "%s%.5g", k ? "," : "", sorted[told > 1 ? k * (episodes - 1) / (told - 1) : 0]);
    fputc(']', out);
    free(sorted);
}

/* `ret` receives the returns of the trained player's episodes. */
static int write_players(const struct asked *p, struct playing *run, double *ret, struct error *err)
{
    static const int all[] = {PLAY_RANDOM, PLAY_SCRIPTED, PLAY_TRAINED};
    evaluator_returns(run->evaluator, ret);
    for (int i = p->others ? 0 : 2, told = 0; i < 3; i++) {
        struct evaluation result;
        if (all[i] == PLAY_SCRIPTED && !vecenv_can_script(run->learning.env)) continue;
        const int code = evaluator_play(run->evaluator, all[i], run->config->eval_deterministic, &result, err);
        if (code) return code;
        if (told++) fputc(',', p->out);
        write_player(p, run, all[i], &result);
        write_returns(p->out, ret, result.episodes);
        fputc('}', p->out);
    }
    evaluator_returns(run->evaluator, NULL);
    return 0;
}

/* The episode of rank k, from 0 (the worst) on; of equal ones the first. */
static int64_t episode_of_rank(const double *ret, int64_t episodes, int64_t rank)
{
    for (int64_t i = 0; i < episodes; i++) {
        int64_t below = 0;
        for (int64_t k = 0; k < episodes; k++) below += ret[k] < ret[i] || (ret[k] == ret[i] && k < i);
        if (below == rank) return i;
    }
    return 0;
}

/* A best, a median and a worst episode, as many as there are. A film that can't be made costs the page no more than the film. */
static void write_films(const struct asked *p, struct playing *run, const double *ret)
{
    enum { COUNTED = 5000 }; /* of more episodes the best of the first is good enough */
    static const char *const why[] = {"best", "median", "worst"};
    const int64_t episodes = run->config->eval_episodes < COUNTED ? run->config->eval_episodes : COUNTED;
    const int64_t rank[] = {episodes - 1, episodes / 2, 0};
    struct error err = {0};
    int told = 0;
    fputs(",\"films\":[", p->out);
    for (int i = 0; i < 3 && i < episodes && !err.code; i++) {
        struct film *film = evaluator_film_create(run->config, run->learning.env);
        if (!evaluator_film(run->evaluator, PLAY_TRAINED, run->config->eval_deterministic, episode_of_rank(ret, episodes, rank[i]), film,
                            &err)) {
            write_text(p->out, told++ ? ",\n{\"which\":" : "\n{\"which\":", why[i]);
            fputs(",\"film\":", p->out);
            films_write(p->out, film);
            fputc('}', p->out);
        }
        film_destroy(film);
    }
    write_text(p->out, "],\"no_films\":", err.text);
}

static int play(const struct asked *p, struct error *err)
{
    struct playing run;
    double *ret = NULL;
    int code = playing_read(&run, p->folder, p->args, EPISODES, p->comm, err);
    code = playing_open(&run, code, p->comm, err);
    if (!code) {
        write_heading(p, &run);
        ret = malloc((size_t)run.config->eval_episodes * sizeof *ret);
        CHECK(ret, "out of memory for a report");
        code = write_players(p, &run, ret, err);
    }
    if (!code) fputc(']', p->out);
    if (!code && p->films) write_films(p, &run, ret);
    if (!code) fputc('}', p->out);
    free(ret);
    playing_close(&run);
    return code;
}

static MAPPO_NORETURN void run_child(struct asked *p, int parent, int result, int said)
{
    struct error err = {0};
    char *text = NULL;
    size_t size = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    dup2(said, STDERR_FILENO);
    dup2(said, STDOUT_FILENO); /* the page may go there */
    p->out = open_memstream(&text, &size);
    CHECK(p->out, "out of memory for a report");
    const int code = play(p, &err);
    fclose(p->out);
    FILE *to = fdopen(result, "w");
    CHECK(to, "can't write into a pipe: %s", strerror(errno));
    if (code) {
        write_text(to, failed, err.text);
        fputc('}', to);
    } else {
        fputs(text, to);
    }
    _exit(fclose(to) ? 1 : 0);
}

/* ---- in the parent --------------------------------------------------------------------------------------------------------------------- */

static char *read_all(int file)
{
    char *text = NULL, part[4096];
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory for a report");
    for (ssize_t length; (length = read(file, part, sizeof part)) > 0 || (length < 0 && errno == EINTR);)
        if (length > 0) fwrite(part, 1, (size_t)length, out);
    fclose(out);
    return text;
}

/* Of a child that left no result: the last line of what it said. */
static char *failed_text(char *said, int status)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory for a report");
    for (size_t n = strlen(said); n > 0 && said[n - 1] == '\n';) said[--n] = '\0';
    const char *line = strrchr(said, '\n');
    line = line ? line + 1 : said;
    char why[64];
    text_format(why, sizeof why, WIFSIGNALED(status) ? "signal %d ended it" : "it ended with code %d",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    write_text(out, failed, strncmp(line, "mappo: ", 7) == 0 ? line + 7 : line[0] ? line : why);
    fputc('}', out);
    fclose(out);
    return text;
}

bool report_play(struct report *report, int i, const struct arguments *args, bool others, bool films, struct comm *comm)
{
    struct asked playing = {.folder = report->list.run[i].path, .args = args, .comm = comm, .others = others, .films = films};
    int pipes[2], status = 0;
    const int said = memfd_create("said", MFD_CLOEXEC), parent = getpid();
    CHECK(said >= 0 && pipe(pipes) == 0, "can't make a pipe: %s", strerror(errno));
    fflush(stdout);
    const pid_t child = fork();
    CHECK(child >= 0, "can't begin a process: %s", strerror(errno));
    if (child == 0) {
        close(pipes[0]);
        run_child(&playing, parent, pipes[1], said);
    }
    close(pipes[1]);
    free(report->played[i]);
    report->played[i] = read_all(pipes[0]);
    close(pipes[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    lseek(said, 0, SEEK_SET);
    char *warnings = read_all(said);
    close(said);
    if (!args->quiet) fputs(warnings, stderr);
    const bool ended = WIFEXITED(status) && WEXITSTATUS(status) == 0 && report->played[i][0];
    if (!ended) {
        free(report->played[i]);
        report->played[i] = failed_text(warnings, status);
    }
    free(warnings);
    return ended && strncmp(report->played[i], failed, strlen(failed)) != 0;
}
