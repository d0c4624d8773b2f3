#include "env/python/python_env.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/philox.h"
#include "base/text.h"
#include "env/python/description.h"
#include "env/python/names.h"
#include "env/python/window.h"
#include "env/spec.h"

/* Times that a worker, or an environment in it, may die in a row without a whole episode between. */
enum { RETRIES = 3 };

static const char *const on_error[] = {"stop", "restart", NULL};
static const char *const changeable[] = {"workers", "on_error", "python", NULL};

enum { ARGS, WORKERS, ON_ERROR, TEAMS, INFOS, STATE, PYTHON };
static const struct mappo_option options[] = {
    [ARGS] = {"args", MAPPO_OPTION_TEXT, "", 0, 255, NULL,
              "keyword arguments of what makes the environment, as a JSON object: {\"size\": 5}"},
    [WORKERS] = {"workers", MAPPO_OPTION_INT, "0", 0, 4096, NULL, "worker processes of each rank; 0 = as many as it has threads"},
    [ON_ERROR] = {"on_error", MAPPO_OPTION_CHOICE, "stop", 0, 0, on_error,
                  "an environment that raises, or whose process dies: ends the run, or is made anew (its episode counts as truncated)"},
    [TEAMS] = {"teams", MAPPO_OPTION_TEXT, "", 0, 255, NULL,
               "groups that are a team, teams apart by a slash: adversary+leader/agent; empty = all are one"},
    [INFOS] = {"infos", MAPPO_OPTION_TEXT, "", 0, 255, NULL,
               "numbers of info that become metrics, with commas between; name@end: its value where episodes end"},
    [STATE] = {"state", MAPPO_OPTION_BOOL, "1", 0, 1, NULL, "use state() of an environment that has it as the central state"},
    [PYTHON] = {"python", MAPPO_OPTION_TEXT, "", 0, 255, NULL, "interpreter; empty = $MAPPO_PYTHON, else python3"},
    {.name = NULL}};

struct python_batch {
    const struct mappo_env *env;
    struct python_workers *workers;
    struct python_description description;
    struct python_window window;
    char *text; /* the description, as all workers must give it */
    int32_t envs, first_env, stream, restarts;
    uint64_t seed;
    bool restart, draws;
    char infos[256], state;
    pthread_mutex_t lock; /* of the workers, while ranges wait on several threads */
    uint8_t *begun;       /* [E] a step was begun and not waited for */
    uint8_t *lost;        /* [E] its worker died between two steps: the next one ends its episode */
    uint8_t *cut;         /* [E] the reset it waits for stands for a step */
    char **why;           /* [E] what its worker said of its failure; NULL = nothing. Under `lock` */
    atomic_int *deaths;   /* [workers] in a row, without a whole episode between */
};

/* ---- opening --------------------------------------------------------------------------------------------------------------------------- */

static int own_error(struct mappo_env_error *error, int32_t env, const char *text)
{
    error->env = env;
    text_format(error->text, sizeof error->text, "%s", text);
    return -1;
}

static int ask_open(struct python_batch *b, int k, struct mappo_env_error *error)
{
    const struct python_workers *w = b->workers;
    char lines[2048];
    const int32_t count = (b->envs - k + w->used - 1) / w->used;
    const bool fits = text_format(
        lines, sizeof lines,
        "open\nsource\t%s\nargs\t%s\nteams\t%s\ninfos\t%s\nstate\t%d\nseed\t%llu\nstream\t%d\nfirst\t%lld\noffset\t%d\nstride\t%d\n"
        "envs\t%d\nagain\t%d\non_error\t%s\ndraw\t%d\nend\n",
        w->kind[1], w->kind[2], w->kind[3], b->infos, b->state, (unsigned long long)b->seed, b->stream, (long long)b->first_env + k, k,
        w->used, count, w->worker[k].again, on_error[b->restart], b->draws);
    b->workers->worker[k].first = k;
    b->workers->worker[k].count = count;
    return fits ? worker_say(b->workers, k, lines, error) : own_error(error, -1, "its name and options are too long");
}

/* An "error" line of a worker that could not do what it was asked. */
static int refused(const char *line, struct mappo_env_error *error)
{
    return own_error(error, -1, strncmp(line, "error\t", 6) == 0 ? line + 6 : line);
}

/* All lines of a description, which belongs to the caller. */
static int hear_description(struct python_batch *b, int k, char **text, struct mappo_env_error *error)
{
    size_t length = 0;
    *text = NULL;
    for (;;) {
        char *line;
        if (worker_hear(b->workers, k, true, &line, error)) return -1;
        if (strncmp(line, "error\t", 6) == 0) return refused(line, error);
        const size_t more = strlen(line);
        char *longer = realloc(*text, length + more + 2);
        if (!longer) return own_error(error, -1, "no memory for its description");
        *text = longer;
        text_format(longer + length, more + 2, "%s\n", line);
        length += more + 1;
        if (strcmp(line, "end") == 0) return 0;
    }
}

/* All workers must have made the same. */
static int compare_description(struct python_batch *b, int k, struct mappo_env_error *error)
{
    char *text = NULL;
    int rc = hear_description(b, k, &text, error);
    if (!rc && b->text && strcmp(b->text, text) != 0)
        rc = own_error(error, -1,
                       "two of its workers describe different environments (other spaces, agents or names): what makes it must not draw "
                       "them by chance");
    if (!rc && !b->text) {
        b->text = text;
        return 0;
    }
    free(text);
    return rc;
}

static int read_description(struct python_batch *b, struct mappo_env_error *error)
{
    char *copy = strdup(b->text);
    int rc = copy ? 0 : own_error(error, -1, "no memory for its description");
    for (char *line = copy, *end; line && (end = strchr(line, '\n')) && !rc; line = end + 1) {
        *end = '\0';
        if (strcmp(line, "end") == 0) break;
        rc = description_line(&b->description, line, error);
    }
    if (!rc) rc = description_close(&b->description, error);
    free(copy);
    return rc;
}

static void tell_once(const struct python_batch *b, const char *text)
{
    static char *told[64];
    static int count;
    bool known = false;
    for (int k = 0; k < count; k++) known = known || strcmp(told[k], text) == 0;
    if (known || count == (int)(sizeof told / sizeof *told)) return;
    if (!(told[count] = strdup(text))) return;
    count++;
    warn("environment \"%s\": %s", b->env->id, text);
}

/* What users should know once, from the rank of the first environment. */
static void tell_limits(const struct python_batch *b)
{
    for (int i = 0; i < b->description.cannots && b->first_env == 0; i++) tell_once(b, b->description.cannot[i]);
}

static int hear_ready(struct python_batch *b, int k, struct mappo_env_error *error)
{
    char *line;
    if (worker_hear(b->workers, k, true, &line, error)) return -1;
    return strcmp(line, "ready") == 0 ? 0 : refused(line, error);
}

static int lay_window(struct python_batch *b, struct mappo_env_error *error)
{
    struct python_workers *w = b->workers;
    window_plan(&b->window, &b->description.d.spec, b->envs, w->used);
    if (workers_window(w, b->window.bytes, error)) return -1;
    window_open(&b->window, w);
    for (int k = 0; k < w->used; k++) {
        if (window_tell(&b->window, w, k, error)) return -1;
        worker_ring(&w->worker[k]);
    }
    for (int k = 0; k < w->used; k++)
        if (hear_ready(b, k, error)) return -1;
    return 0;
}

/* Opens all at the same time: importing takes longest. */
static int open_workers(struct python_batch *b, const struct python_kind *kind, int count, struct mappo_env_error *error)
{
    if (workers_take(&b->workers, kind, count, error)) return -1;
    for (int k = 0; k < count; k++) {
        if (ask_open(b, k, error)) return -1;
        if (b->workers->worker[k].bell) worker_ring(&b->workers->worker[k]);
    }
    for (int k = 0; k < count; k++)
        if (compare_description(b, k, error)) return -1;
    if (read_description(b, error)) return -1;
    python_keep_layout(b->env, b->description.layout);
    tell_limits(b);
    return spec_check(b->env, &b->description.d.spec, NULL) ? 0 /* said by who reads it */ : lay_window(b, error);
}

static void destroy(void *self)
{
    struct python_batch *b = self;
    if (b->restarts > 1)
        warn("environment \"%s\": environments were made anew %d times (env.on_error=restart); what they said stands above", b->env->id,
             b->restarts);
    for (int k = 0; b->workers && k < b->workers->used; k++) {
        bool busy = !b->window.memory; /* in the middle of opening */
        for (int32_t e = k; e < b->envs && b->window.memory; e += b->workers->used) busy = busy || window_pending(&b->window, e);
        if (busy) worker_end(&b->workers->worker[k]);
    }
    workers_park(b->workers);
    description_free(&b->description.d);
    pthread_mutex_destroy(&b->lock);
    free(b->text);
    free(b->begun);
    free(b->lost);
    free(b->cut);
    for (int32_t e = 0; b->why && e < b->envs; e++) free(b->why[e]);
    free(b->why);
    free(b->deaths);
    free(b);
}

static struct python_batch *new_batch(const struct mappo_env_config *config, int workers)
{
    struct python_batch *b = calloc(1, sizeof *b);
    const size_t envs = (size_t)config->envs;
    if (!b) return NULL;
    pthread_mutex_init(&b->lock, NULL);
    b->env = config->env;
    b->envs = config->envs;
    b->first_env = (int32_t)config->first_env;
    b->seed = config->seed;
    b->stream = config->stream;
    b->begun = calloc(envs, 1);
    b->lost = calloc(envs, 1);
    b->cut = calloc(envs, 1);
    b->why = calloc(envs, sizeof *b->why);
    b->deaths = calloc((size_t)workers, sizeof *b->deaths);
    if (b->begun && b->lost && b->cut && b->why && b->deaths) return b;
    destroy(b);
    return NULL;
}

static int create(const struct mappo_env_config *config, void **self, struct mappo_env_error *error)
{
    const struct mappo_value *option = config->option;
    const char *chosen = getenv("MAPPO_PYTHON");
    const char *written = *option[PYTHON].text ? option[PYTHON].text : chosen && *chosen ? chosen : "python3";
    char interpreter[PATH_MAX];
    struct error err = {0};
    if (file_path_given(written, interpreter, sizeof interpreter, &err)) return own_error(error, -1, err.text);
    const struct python_kind kind = {
        .interpreter = interpreter, .source = python_source(config->env), .args = option[ARGS].text, .teams = option[TEAMS].text};
    const int wanted = option[WORKERS].i ? (int)option[WORKERS].i : config->threads > 0 ? config->threads : 1;
    const int workers = wanted < config->envs ? wanted : config->envs;
    struct python_batch *b = new_batch(config, workers);
    if (!b) return own_error(error, -1, "no memory for so many environments");
    b->restart = option[ON_ERROR].i == 1;
    b->draws = config->envs == 1 && config->stream == PHILOX_EVALUATION; /* whoever trains, or opens more, draws none */
    b->state = option[STATE].i != 0;
    text_format(b->infos, sizeof b->infos, "%s", option[INFOS].text);
    if (open_workers(b, &kind, workers, error)) {
        destroy(b);
        return -1;
    }
    *self = b;
    return 0;
}

static const struct mappo_env_spec *spec(const void *self)
{
    const struct python_batch *b = self;
    return &b->description.d.spec;
}

/* ---- what goes wrong ------------------------------------------------------------------------------------------------------------------- */

static int32_t worker_of(const struct python_batch *b, int32_t e)
{
    return e % b->workers->used;
}

/* A line that nobody asked for: "error", "restarted" or "warned", environment, text. Of the second kind the first is said. An error is kept for
 * the thread that waits for this environment, which need not be the one that reads it. */
static int take_news(struct python_batch *b, char *line, struct mappo_env_error *error)
{
    char *number = strchr(line, '\t'), *text = number ? strchr(number + 1, '\t') : NULL;
    if (!text) return refused(line, error);
    *text++ = '\0';
    if (strncmp(line, "warned", 6) == 0) {
        tell_once(b, text);
        return 0;
    }
    const int32_t e = (int32_t)strtol(number + 1, NULL, 10) - b->first_env;
    if (strncmp(line, "restarted", 9) != 0) {
        if (e < 0 || e >= b->envs) return own_error(error, -1, text);
        free(b->why[e]);
        b->why[e] = strdup(text);
        return 0;
    }
    if (b->restarts++ == 0)
        warn("environment \"%s\": number %d: %s; it was made anew and its episode counts as truncated (env.on_error=restart)", b->env->id,
             e + b->first_env, text);
    return 0;
}

/* All that worker k has to tell. */
static int hear_news(struct python_batch *b, int k, struct mappo_env_error *error)
{
    struct python_worker *worker = &b->workers->worker[k];
    int rc = 0;
    while (!rc && worker->heard != atomic_load_explicit(worker->said, memory_order_acquire)) {
        char *line;
        rc = worker_hear(b->workers, k, true, &line, error);
        worker->heard++;
        if (!rc) rc = take_news(b, line, error);
    }
    return rc;
}

/* Environment e belongs to a worker that has died. Where it was asked for something it is reset instead; else its next step is. */
static void lose(struct python_batch *b, int32_t e)
{
    const struct python_window *w = &b->window;
    if (!window_pending(w, e)) {
        b->lost[e] = 1;
        return;
    }
    if (atomic_load_explicit(&w->want[e], memory_order_relaxed) % 4 == WINDOW_STEP) {
        window_keep_last(w, e);
        b->cut[e] = 1;
    }
    window_ask(w, e, WINDOW_RESET);
}

/* Worker k has died `how`: its environments begin new episodes in another one, or that is the end. */
static int revive(struct python_batch *b, int k, const char *how, struct mappo_env_error *error)
{
    struct python_workers *w = b->workers;
    struct python_worker *worker = &w->worker[k];
    char text[256];
    text_format(text, sizeof text, "its Python process %d of %d %s", k + 1, w->used, how);
    if (!b->restart || b->deaths[k] >= RETRIES) {
        const size_t used = strlen(text);
        if (b->restart)
            text_format(text + used, sizeof text - used, ", %d times in a row without a whole episode between", b->deaths[k] + 1);
        else
            text_format(text + used, sizeof text - used, " (env.on_error=restart starts another)");
        return own_error(error, -1, text);
    }
    b->deaths[k]++;
    if (b->restarts++ == 0)
        warn(
            "environment \"%s\": %s; it is started anew, and the episodes of its %d environments count as truncated (env.on_error=restart)",
            b->env->id, text, worker->count);
    worker_end(worker);
    worker->again++;
    for (int32_t e = k; e < b->envs; e += w->used) lose(b, e);
    atomic_store(worker->said, 0); /* of the process before; once it has been told of the window the next one counts on */
    if (worker_start(w, k, error) || ask_open(b, k, error) || compare_description(b, k, error) || window_tell(&b->window, w, k, error))
        return -1;
    return hear_ready(b, k, error);
}

/* Takes what worker k has to tell, as it waits where nobody reads, and revives it where it has died. */
static int look_after(struct python_batch *b, int k, struct mappo_env_error *error)
{
    char how[128] = "is gone";
    pthread_mutex_lock(&b->lock);
    const int rc = worker_runs(&b->workers->worker[k], how, sizeof how) ? hear_news(b, k, error) : revive(b, k, how, error);
    pthread_mutex_unlock(&b->lock);
    return rc;
}

/* ---- stepping -------------------------------------------------------------------------------------------------------------------------- */

/* Rings the bells of those who have environments in [lo, hi). */
static void ring(const struct python_batch *b, int32_t lo, int32_t hi)
{
    const int32_t used = b->workers->used, count = hi - lo < used ? hi - lo : used;
    for (int32_t i = 0; i < count; i++) worker_ring(&b->workers->worker[worker_of(b, lo + i)]);
}

/* An environment that hangs is named, once a minute at most: nothing else goes on then, and a signal is answered between steps alone. */
static void say_waiting(const struct python_batch *b, int k, int32_t e, double *since, int *said)
{
    static const double patience = 10, pause = 60; /* seconds */
    const double now = clock_seconds();
    if (*since == 0) *since = now;
    if (now - *since < patience + *said * pause) return;
    ++*said;
    const bool stepping = atomic_load_explicit(&b->window.want[e], memory_order_relaxed) % 4 == WINDOW_STEP;
    warn("environment \"%s\": number %d: its %s() has not returned for %.0f s (worker %d of %d, process %d); Ctrl-C twice ends the run, "
         "comm.watchdog_seconds=N after N seconds",
         b->env->id, b->first_env + e, stepping ? "step" : "reset", now - *since, k + 1, b->workers->used,
         (int)b->workers->worker[k].process);
}

/* Why environment e has failed, for the thread that waits for it. */
static int tell_failure(struct python_batch *b, int k, int32_t e, struct mappo_env_error *error)
{
    pthread_mutex_lock(&b->lock);
    int rc = hear_news(b, k, error);
    if (!rc) rc = own_error(error, e, b->why[e] ? b->why[e] : "its worker says that it failed, and not why");
    pthread_mutex_unlock(&b->lock);
    return rc;
}

/* Until worker k has done what it was asked for in [lo, hi). */
static int await_worker(struct python_batch *b, int k, int32_t lo, int32_t hi, struct mappo_env_error *error)
{
    static const double look = 0.1; /* seconds between two looks whether it lives */
    const struct python_worker *worker = &b->workers->worker[k];
    const int32_t used = b->workers->used, first = lo + (int32_t)((k - lo % used + used) % used);
    for (int32_t e = first; e < hi; e += used) {
        double since = 0;
        int said = 0;
        while (window_pending(&b->window, e)) {
            const unsigned seen = atomic_load(worker->answer);
            if (!window_pending(&b->window, e)) break;
            if (worker_await(worker, seen, look)) continue;
            if (look_after(b, k, error)) return -1;
            say_waiting(b, k, e, &since, &said);
        }
        if (atomic_load_explicit(&b->window.failed[e], memory_order_relaxed)) return tell_failure(b, k, e, error);
    }
    return 0;
}

static int await(struct python_batch *b, int32_t lo, int32_t hi, struct mappo_env_error *error)
{
    int rc = 0;
    for (int k = 0; k < b->workers->used && !rc; k++) {
        struct python_worker *worker = &b->workers->worker[k];
        rc = await_worker(b, k, lo, hi, error);
        if (rc || worker->heard == atomic_load_explicit(worker->said, memory_order_relaxed)) continue;
        pthread_mutex_lock(&b->lock);
        rc = hear_news(b, k, error);
        pthread_mutex_unlock(&b->lock);
    }
    return rc;
}

static int reset(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    struct python_batch *b = self;
    for (int32_t e = lo; e < hi; e++) {
        b->lost[e] = b->cut[e] = 0;
        window_ask(&b->window, e, WINDOW_RESET);
    }
    ring(b, lo, hi);
    if (await(b, lo, hi, error)) return -1;
    memset(b->cut + lo, 0, (size_t)(hi - lo));
    window_give(&b->window, lo, hi, io, false);
    return 0;
}

static int begin(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    struct python_batch *b = self;
    (void)error;
    window_take_actions(&b->window, lo, hi, io);
    for (int32_t e = lo; e < hi; e++) {
        b->begun[e] = 1;
        b->cut[e] = b->lost[e];
        b->lost[e] = 0;
        if (b->cut[e]) window_keep_last(&b->window, e);
        window_ask(&b->window, e, b->cut[e] ? WINDOW_RESET : WINDOW_STEP);
    }
    ring(b, lo, hi);
    return 0;
}

static int step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    struct python_batch *b = self;
    for (int32_t e = lo, to; e < hi; e = to) {
        for (to = e + 1; to < hi && b->begun[to] == b->begun[e];) to++;
        if (!b->begun[e]) begin(b, e, to, io, error);
    }
    if (await(b, lo, hi, error)) return -1;
    for (int32_t e = lo; e < hi; e++) {
        b->begun[e] = 0;
        if (b->cut[e])
            window_cut(&b->window, e);
        else if (window_ended(&b->window, e))
            b->deaths[worker_of(b, e)] = 0;
        b->cut[e] = 0;
    }
    window_give(&b->window, lo, hi, io, true);
    return 0;
}

/* ---- drawing --------------------------------------------------------------------------------------------------------------------------- */

/* On a canvas that takes no pixels: as rectangles, of which none is much smaller than can be seen. */
static void draw_mosaic(const struct mappo_canvas *canvas, const uint8_t *rgb, int32_t width, int32_t height)
{
    enum { CELLS = 64 };
    const int32_t longer = width > height ? width : height, side = (longer + CELLS - 1) / CELLS;
    for (int32_t y = 0; y < height; y += side)
        for (int32_t x = 0; x < width; x += side) {
            const int32_t x1 = x + side < width ? x + side : width, y1 = y + side < height ? y + side : height;
            uint32_t sum[3] = {0}, colour = 0;
            for (int32_t v = y; v < y1; v++)
                for (int32_t u = x; u < x1; u++)
                    for (int c = 0; c < 3; c++) sum[c] += rgb[3 * ((size_t)v * (size_t)width + (size_t)u) + (size_t)c];
            for (int c = 0; c < 3; c++) colour = colour << 8 | sum[c] / (uint32_t)((x1 - x) * (y1 - y));
            canvas->rectangle(canvas->self, x, height - y1, x1, height - y, colour << 8 | 0xff, 0);
        }
}

/* Asks the worker of environment e for a picture. */
static int draw_by(const struct python_batch *b, const char *what, int32_t e, const struct mappo_canvas *canvas)
{
    const int k = worker_of(b, e);
    struct mappo_env_error error = {.env = -1};
    int height, width;
    size_t bytes;
    char line[64], *answer;
    text_format(line, sizeof line, "%s\t%d\n", what, b->first_env + e);
    int rc = worker_say(b->workers, k, line, &error);
    if (!rc) worker_ring(&b->workers->worker[k]);
    if (!rc) rc = worker_hear(b->workers, k, true, &answer, &error);
    if (!rc && (sscanf(answer, "image\t%d\t%d\t%zu", &height, &width, &bytes) != 3 || height < 1 || width < 1 ||
                bytes != 3 * (size_t)height * (size_t)width))
        rc = refused(answer, &error);
    uint8_t *rgb = rc ? NULL : malloc(bytes);
    if (!rc) rc = rgb ? worker_read(b->workers, k, rgb, bytes, &error) : own_error(&error, -1, "no memory for its picture");
    if (!rc) {
        canvas->view(canvas->self, 0, 0, width, height);
        if (canvas->image)
            canvas->image(canvas->self, rgb, width, height);
        else
            draw_mosaic(canvas, rgb, width, height);
    }
    free(rgb);
    if (rc) warn("environment \"%s\": %s", b->env->id, error.text);
    return rc;
}

static int draw(const void *self, int32_t e, const struct mappo_canvas *canvas)
{
    return draw_by(self, "draw", e, canvas);
}

static int draw_ended(const void *self, const struct mappo_canvas *canvas)
{
    return draw_by(self, "draw_ended", 0, canvas);
}

const struct mappo_env python_env = {.struct_size = sizeof(struct mappo_env),
                                     .id = "py:",
                                     .summary = "an environment of Python",
                                     .source = "Gymnasium, PettingZoo and others by their own interfaces, in worker processes",
                                     .version = 1,
                                     .option = options,
                                     .create = create,
                                     .destroy = destroy,
                                     .spec = spec,
                                     .reset = reset,
                                     .step = step,
                                     .draw = draw,
                                     .draw_ended = draw_ended,
                                     .changeable = changeable,
                                     .begin = begin};
