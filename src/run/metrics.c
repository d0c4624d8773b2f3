#include "run/metrics.h"

#include <errno.h>
#include <math.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/text.h"
#include "run/own_files.h"
#include "run/tensorboard.h"

enum { METRICS_BUFFER = 1 << 16 };

/* Per-episode numbers in the window: the groups' returns, the run's team's, the length. */
enum { WINDOW_TEAM = MAPPO_MAX_GROUPS, WINDOW_LENGTH, WINDOW_COLUMNS };

struct metrics {
    struct arena *arena;
    struct comm *comm;
    const struct mappo_env_spec *spec;
    int team; /* whose return is return_mean */
    FILE *file;
    char path[CONFIG_TEXT + 96];
    double looked; /* clock: when the file was last seen in its place; infinite: it has none to go to */
    off_t whole;   /* bytes of complete lines in it */
    int lost;      /* errno of lines that could not be written since the last flush */
    char *buffer;
    struct tensorboard *board; /* NULL unless metrics.tensorboard */
    int window, listed_most;
    bool sum;            /* returns are sums over agents */
    bool all_count;      /* as in the configuration */
    double *ring;        /* [window][WINDOW_COLUMNS] the last episodes, oldest overwritten */
    int64_t episodes;    /* ended so far (rank 0, unless all_count): the ring's position is episodes % window */
    struct episode *all; /* rank 0: the lists of all ranks, rank after rank */
    size_t *sizes;       /* rank 0 [ranks] bytes of each rank's list */
    struct list {        /* rank 0 [ranks] */
        int64_t ended, listed;
    } * list;
    int *head;         /* rank 0 [ranks] next episode of each rank's list, while merging */
    double *info;      /* [2][infos] sums and counts */
    double *info_mean; /* [infos] */
};

struct metrics *metrics_create(const struct metrics_config *config, const struct mappo_env_spec *spec, struct comm *comm)
{
    struct arena *arena = arena_create("metrics");
    struct metrics *m = ARENA_NEW(arena, struct metrics, 1);
    m->arena = arena;
    m->comm = comm;
    m->spec = spec;
    m->team = config->team;
    m->window = config->window;
    m->sum = config->sum;
    m->all_count = config->all_count;
    m->listed_most = config->window < config->max_episodes ? config->window : config->max_episodes;
    m->ring = ARENA_NEW(arena, double, (size_t)m->window *WINDOW_COLUMNS);
    m->info = ARENA_NEW(arena, double, 2 * (spec->infos + 1));
    m->info_mean = ARENA_NEW(arena, double, spec->infos + 1);
    for (int i = 0; i < spec->infos; i++) m->info_mean[i] = NAN;
    m->sizes = ARENA_NEW(arena, size_t, comm->size);
    m->list = ARENA_NEW(arena, struct list, comm->size);
    m->head = ARENA_NEW(arena, int, comm->size + 1);
    if (comm->rank == 0) m->all = ARENA_NEW(arena, struct episode, (size_t)(m->listed_most + 1) * (size_t)comm->size);
    return m;
}

/* ---- the file ------------------------------------------------------------------------------------------------------------------------ */

/* The update that a line is of; -1 where it is not one of ours. */
static int64_t line_update(const char *line)
{
    long long update;
    return sscanf(line, "{\"update\":%lld,", &update) == 1 ? update : -1;
}

/* Bytes of whole lines up to that of update `update`: of those among the first `size` bytes. */
static int64_t lines_up_to(FILE *in, int64_t size, int64_t update)
{
    char *line = NULL;
    size_t room = 0;
    int64_t at = 0;
    rewind(in);
    for (ssize_t n; at < size && (n = getline(&line, &room, in)) > 0 && line[n - 1] == '\n' && line_update(line) <= update;) at += n;
    free(line);
    return at;
}

/* Whether the lines before `offset` are those up to `update`, as far as its two neighbours tell. */
static bool ends_behind(FILE *in, int64_t offset, int64_t update)
{
    enum { BACK = METRICS_BUFFER };
    char *text = malloc(BACK + 1), next[64] = "";
    CHECK(text, "out of memory while reading metrics.jsonl");
    const int64_t from = offset > BACK ? offset - BACK : 0;
    const ssize_t n = pread(fileno(in), text, (size_t)(offset - from), (off_t)from);
    const ssize_t m = pread(fileno(in), next, sizeof next - 1, (off_t)offset);
    bool right = n == offset - from && (n == 0 || text[n - 1] == '\n');
    if (right && n > 0) {
        text[n - 1] = '\0';
        const char *before = strrchr(text, '\n');
        const int64_t last = line_update(before ? before + 1 : text);
        right = last >= 0 && last <= update;
    }
    if (right && m > 0) right = line_update(next) > update || line_update(next) < 0;
    free(text);
    return right;
}

int metrics_open(struct metrics *m, const char *folder, int64_t offset, int64_t update, struct error *err)
{
    metrics_place(m, folder);
    const int code = own_file_open(&m->file, m->path, err);
    if (code) return code;
    m->buffer = ARENA_NEW(m->arena, char, METRICS_BUFFER);
    setvbuf(m->file, m->buffer, _IOFBF, METRICS_BUFFER);
    struct stat found;
    if (fstat(fileno(m->file), &found)) return error_set(err, EXIT_USAGE, "%s: can't be read: %s", m->path, strerror(errno));
    if (found.st_size < (off_t)offset || !ends_behind(m->file, offset, update)) {
        warn("%s is not as it was when the checkpoint was saved: lines may be missing", m->path);
        offset = lines_up_to(m->file, (int64_t)found.st_size, update);
    }
    if (ftruncate(fileno(m->file), (off_t)offset))
        return error_set(err, EXIT_USAGE, "%s: can't be cut back to %lld bytes: %s", m->path, (long long)offset, strerror(errno));
    fseek(m->file, 0, SEEK_END);
    m->whole = ftello(m->file);
    return 0;
}

int metrics_open_tensorboard(struct metrics *m, const char *folder, int64_t env_steps, const struct config *config, struct error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory for the settings");
    int code = config_write(config, out, err);
    fclose(out);
    if (!code) code = tensorboard_create(&m->board, folder, env_steps, text, err);
    free(text);
    return code;
}

static void say_cut(const struct metrics *m)
{
    warn("%s was cut while the run writes it: the lines before are lost", m->path);
}

/* Lines that somebody took out of the file: it goes on behind what is left. */
static void look_at_size(struct metrics *m)
{
    struct stat found;
    if (fstat(fileno(m->file), &found) || found.st_size >= m->whole) return;
    say_cut(m);
    m->whole = (off_t)lines_up_to(m->file, (int64_t)found.st_size, INT64_MAX);
    if (ftruncate(fileno(m->file), m->whole)) warn("%s: can't be cut back to whole lines: %s", m->path, strerror(errno));
    fseek(m->file, 0, SEEK_END);
}

static void look_at_place(struct metrics *m)
{
    /* Where it can't be written, once more when the next checkpoint is saved is often enough to say so. */
    m->looked = !m->path[0] || own_file_look(m->file, m->path) ? clock_seconds() : INFINITY;
}

void metrics_place(struct metrics *m, const char *folder)
{
    text_format(m->path, sizeof m->path, "%s%s", folder ? folder : "", folder ? "/metrics.jsonl" : "");
}

void metrics_destroy(struct metrics *metrics)
{
    if (!metrics) return;
    if (metrics->file) fclose(metrics->file);
    tensorboard_destroy(metrics->board);
    arena_destroy(metrics->arena);
}

static void window_push(struct metrics *m, const struct episode *episode)
{
    double *row = m->ring + (m->episodes % m->window) * WINDOW_COLUMNS;
    for (int g = 0; g < m->spec->groups; g++) row[g] = (double)episode->group_return[g] * (m->sum ? m->spec->group[g].agents : 1);
    row[WINDOW_TEAM] = episode_return(m->spec, m->team, episode) * (m->sum ? episode_return_agents(m->spec, m->team) : 1);
    row[WINDOW_LENGTH] = episode->length;
    m->episodes++;
}

/* Merges the ranks' lists, each already ordered by (step, environment). */
static void merge_episodes(struct metrics *m)
{
    size_t start = 0;
    for (int r = 0; r < m->comm->size; r++) {
        m->head[r] = (int)start;
        start += m->sizes[r] / sizeof(struct episode);
    }
    for (size_t done = 0; done < start; done++) {
        int best = -1;
        size_t end = 0;
        for (int r = 0; r < m->comm->size; r++) {
            end += m->sizes[r] / sizeof(struct episode);
            if (m->head[r] == (int)end) continue;
            const struct episode *a = &m->all[m->head[r]], *b = best < 0 ? NULL : &m->all[m->head[best]];
            if (!b || a->step < b->step || (a->step == b->step && a->env < b->env)) best = r;
        }
        window_push(m, &m->all[m->head[best]++]);
    }
}

void metrics_collect(struct metrics *m, struct vecenv *env)
{
    const int infos = m->spec->infos;
    const struct env_report report = vecenv_report_end(env);
    if (infos) {
        memcpy(m->info, report.info, 2 * (size_t)infos * sizeof *m->info);
        comm_sum_double(m->comm, m->info, (size_t)(2 * infos));
        for (int i = 0; i < infos; i++) m->info_mean[i] = m->info[infos + i] > 0 ? m->info[i] / m->info[infos + i] : NAN;
    }
    CHECK(report.listed <= m->listed_most, "a report of %d episodes for a window of %d", (int)report.listed, m->window);
    /* Of more episodes than the window holds only the last are listed: the others would be overwritten at once. */
    if (m->comm->size == 1) {
        m->episodes += report.ended - report.listed;
        for (int i = 0; i < report.listed; i++) window_push(m, &report.episode[i]);
        return;
    }
    /* The lengths of the lists, then the lists. */
    const struct list mine = {report.ended, report.listed};
    for (int r = 0; r < m->comm->size; r++) m->sizes[r] = sizeof mine;
    comm_gather(m->comm, &mine, sizeof mine, m->list, m->sizes);
    for (int r = 0; r < m->comm->size; r++) m->sizes[r] = (size_t)m->list[r].listed * sizeof(struct episode);
    comm_gather(m->comm, report.episode, (size_t)report.listed * sizeof *report.episode, m->all, m->sizes);
    for (int r = 0; r < m->comm->size && m->comm->rank == 0; r++) m->episodes += m->list[r].ended - m->list[r].listed;
    if (m->comm->rank == 0) merge_episodes(m);
    if (m->all_count) comm_broadcast(m->comm, &m->episodes, sizeof m->episodes);
}

static int64_t window_count(const struct metrics *m)
{
    return m->episodes < m->window ? m->episodes : m->window;
}

static double window_mean(const struct metrics *m, int column)
{
    const int64_t n = window_count(m);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += m->ring[i * WINDOW_COLUMNS + column];
    return n ? sum / (double)n : NAN;
}

static double window_deviation(const struct metrics *m, int column)
{
    const int64_t n = window_count(m);
    const double mean = window_mean(m, column);
    double squares = 0;
    for (int64_t i = 0; i < n; i++) squares += pow(m->ring[i * WINDOW_COLUMNS + column] - mean, 2);
    return n > 1 ? sqrt(squares / (double)n) : NAN; /* one episode says nothing of it */
}

int64_t metrics_episodes(const struct metrics *m)
{
    return m->episodes;
}

bool metrics_window_is_full(const struct metrics *m)
{
    return m->episodes >= m->window;
}

double metrics_return(const struct metrics *m)
{
    return window_mean(m, WINDOW_TEAM);
}

static void write_INTEGER(FILE *out, int64_t value)
{
    fprintf(out, "%lld", (long long)value);
}
static void write_REAL(FILE *out, double value)
{
    text_json_real(out, value);
}

static void write_named(FILE *out, const char *prefix, const char *name, double value)
{
    fprintf(out, ",\"%s%s\":", prefix, name);
    write_REAL(out, value);
}

static void print_line(const struct metrics *m, const struct metrics_line *line, FILE *out)
{
    const char *separator = "{";
#define METRIC(name, kind, value, unit, help)                                                                                              \
    fprintf(out, "%s\"" #name "\":", separator);                                                                                           \
    write_##kind(out, value);                                                                                                              \
    separator = ",";
#include "run/metrics.def"
#undef METRIC
    for (int g = 0; m->spec->groups > 1 && g < m->spec->groups; g++)
        write_named(out, "return_mean/", m->spec->group[g].name, window_mean(m, g));
    for (int i = 0; i < line->metrics; i++) write_named(out, "", line->metric[i].name, line->metric[i].value);
    for (int i = 0; i < m->spec->infos; i++) write_named(out, "info/", m->spec->info[i].name, m->info_mean[i]);
    fputs("}\n", out);
}

static void begin_line(struct metrics *m)
{
    enum { LOOK_SECONDS = 1 };
    if (clock_seconds() - m->looked >= LOOK_SECONDS) look_at_place(m);
    look_at_size(m);
}

static void end_line(struct metrics *m)
{
    FILE *out = m->file;
    /* A person may follow the file; one small write an update costs nothing. Half a line of a full disk is taken back. */
    if (fflush(out) == 0 && !ferror(out)) {
        const off_t end = ftello(out);
        if (end < m->whole) say_cut(m); /* between the look and this line, which stands alone now */
        m->whole = end;
        return;
    }
    m->lost = errno;
    __fpurge(out);
    clearerr(out);
    if (ftruncate(fileno(out), m->whole)) warn("metrics.jsonl: can't be cut back to whole lines: %s", strerror(errno));
}

char *metrics_text(const struct metrics *m, const struct metrics_line *line)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory for a line of metrics");
    print_line(m, line, out);
    fclose(out);
    return text;
}

static void write_whole(struct metrics *m, const char *text)
{
    begin_line(m);
    fputs(text, m->file);
    end_line(m);
    if (m->board) tensorboard_write(m->board, text);
}

void metrics_write(struct metrics *m, const struct metrics_line *line)
{
    if (!m->file) return;
    if (m->board) {
        char *text = metrics_text(m, line);
        write_whole(m, text);
        free(text);
        return;
    }
    begin_line(m);
    print_line(m, line, m->file);
    end_line(m);
}

void metrics_write_text(struct metrics *m, const char *text, double eval_return, double eval_stderr)
{
    static const char missing[] = "\"eval_return\":null,\"eval_stderr\":null";
    const char *at = strstr(text, missing);
    char *whole = NULL;
    size_t size = 0;
    if (!m->file) return;
    FILE *out = open_memstream(&whole, &size);
    CHECK(out, "out of memory for a line of metrics");
    if (at) {
        fprintf(out, "%.*s\"eval_return\":", (int)(at - text), text);
        write_REAL(out, eval_return);
        fputs(",\"eval_stderr\":", out);
        write_REAL(out, eval_stderr);
        text = at + strlen(missing);
    }
    fputs(text, out);
    fclose(out);
    write_whole(m, whole);
    free(whole);
}

int64_t metrics_mark(struct metrics *m)
{
    if (!m->file) return 0;
    look_at_place(m);
    look_at_size(m);
    /* Missing lines are no reason to leave a checkpoint out. */
    if (m->lost) warn("metrics.jsonl: can't be written: %s; lines are missing", strerror(m->lost));
    m->lost = 0;
    return (int64_t)m->whole;
}

int metrics_sync(const struct metrics *m, struct error *err)
{
    if (m->file && fdatasync(fileno(m->file)) && errno != EINVAL)
        return error_set(err, EXIT_CHECKPOINT, "metrics.jsonl: can't be made durable: %s", strerror(errno));
    return 0;
}

int metrics_fields(struct metrics *m, struct field_list *list)
{
    field_add(list, "/metrics/episodes", FIELD_INT64, &m->episodes, "episodes", "episodes ended so far on any rank", 0);
    field_add(list, "/metrics/window", FIELD_DOUBLE, m->ring, "reward",
              "the last episodes, a ring: the groups' returns, that of the first team that learns, the length", 2, (int64_t)m->window,
              (int64_t)WINDOW_COLUMNS);
    return 0;
}

/* ---- documentation ------------------------------------------------------------------------------------------------------------------- */

enum { MOST_METRICS = 128 }; /* of all algorithms */

static void markdown_row(FILE *out, const char *name, const char *unit, const char *help)
{
    fprintf(out, "| `%s` | %s | %s |\n", name, strcmp(unit, "1") == 0 ? "" : unit, help);
}

static void json_row(FILE *out, const char *before, const char *name, const char *unit, const char *help)
{
    fputs(before, out);
    text_json_string(out, name);
    fputs(":[", out);
    text_json_string(out, unit);
    fputc(',', out);
    text_json_string(out, help);
    fputc(']', out);
}

void metrics_json(FILE *out)
{
    const char *before = "{";
    struct metric metric[MOST_METRICS];
#define METRIC(name, kind, value, unit, help) json_row(out, before, #name, unit, help), before = ",";
#include "run/metrics.def"
#undef METRIC
    const int count = algorithm_describe_metrics(metric, MOST_METRICS);
    for (int i = 0; i < count; i++) json_row(out, before, metric[i].name, metric[i].unit, metric[i].help);
    fputc('}', out);
}

void metrics_markdown(FILE *out)
{
    struct metric metric[MOST_METRICS];
    fputs(
        "# Metrics\n\n"
        "`metrics.jsonl` in a run's folder holds one JSON object a line, one line an update. A number that does not exist yet is `null`.\n"
        "This page is made from the program's tables (`mappo docs metrics`).\n\n"
        "| name | unit | meaning |\n| --- | --- | --- |\n",
        out);
#define METRIC(name, kind, value, unit, help) markdown_row(out, #name, unit, help);
#include "run/metrics.def"
#undef METRIC
    const int count = algorithm_describe_metrics(metric, MOST_METRICS);
    for (int i = 0; i < count; i++) markdown_row(out, metric[i].name, metric[i].unit, metric[i].help);
    fputs("\nWith several groups of agents the algorithm's numbers stand once per group: those of the first that learns under the plain "
          "name, the "
          "others' as\n"
          "`name/<group>`; `return_mean/<group>` stands for every group. Every `info` column of the environment is averaged into "
          "`info/<column>`.\n"
          "[tensorboard.md](tensorboard.md): how TensorBoard, Weights & Biases and others read them.\n",
          out);
}
