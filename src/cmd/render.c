/* mappo render RUN|FILE: plays an episode and shows it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/screen.h"
#include "render/cells.h"
#include "render/output.h"
#include "run/playing.h"
#include "run/progress.h"

enum { AMONG = 100, MOST = 64 }; /* episodes that are chosen from unless given; that one film shows */

enum which { FIRST, WORST, BEST, NUMBERED };

struct rendering {
    const struct arguments *args;
    struct comm *comm;
    struct playing run;
    enum which which;
    int64_t number; /* of NUMBERED */
    bool terminal;  /* out=- */
    struct output output;
};

/* ---- what is asked for --------------------------------------------------------------------------------------------------------------- */

static int read_episode(struct rendering *r, struct error *err)
{
    const struct config *c = r->run.config;
    const char *given = c->render_episode;
    const int64_t largest = 100000000; /* as eval.episodes */
    r->which = !given[0] ? FIRST : strcmp(given, "worst") == 0 ? WORST : strcmp(given, "best") == 0 ? BEST : NUMBERED;
    if (r->which == NUMBERED && (!text_to_int(given, &r->number) || r->number < 0 || r->number >= largest))
        return error_set(err, EXIT_USAGE, "episode=%s is neither worst nor best nor a number from 0 to %lld", given,
                         (long long)largest - 1);
    const bool chosen = r->run.given[KEY_eval_episodes];
    if (r->which == NUMBERED && chosen && r->number >= c->eval_episodes)
        return error_set(err, EXIT_USAGE, "there is no episode %lld among episodes=%lld, which are numbered from 0", (long long)r->number,
                         (long long)c->eval_episodes);
    if (r->which == FIRST && c->eval_episodes > MOST)
        return error_set(
            err, EXIT_USAGE,
            "a film shows at most %d episodes one after another, and episodes=%lld were asked for; episode=worst or best chooses "
            "one of them",
            MOST, (long long)c->eval_episodes);
    if ((r->which == WORST || r->which == BEST) && !chosen) r->run.config->eval_episodes = AMONG;
    return 0;
}

/* Settings that change nothing for this kind of file are named; the others are taken note of, so that no one looks for what training does
 * with them. */
static void take_settings(struct rendering *r)
{
    static const struct {
        int key;
        const char *name;
    } setting[] = {{KEY_render_fps, "fps"}, {KEY_render_every, "every"}, {KEY_render_size, "size"}};
    const bool still = !r->terminal && r->output.kind == OUTPUT_PNG, text = r->terminal || r->output.kind == OUTPUT_TEXT;
    for (size_t i = 0; i < sizeof setting / sizeof *setting; i++) {
        const int key = setting[i].key;
        const bool idle = key == KEY_render_size ? text : still || (key == KEY_render_fps && text && !r->terminal);
        if (idle && r->run.given[key])
            warn("render.%s has no effect here: %s", setting[i].name,
                 still ? "a .png shows still frames" : "text has no pixels and no time");
        r->run.config->origin[key] = ORIGIN_DEFAULT;
    }
}

static int read_output(struct rendering *r, struct error *err)
{
    const struct config *c = r->run.config;
    r->terminal = strcmp(c->render_out, "-") == 0;
    r->output = (struct output){
        .path = c->render_out, .timing = {c->render_fps, (int)c->render_every}, .size = (int)c->render_size, .silent = r->args->quiet};
    if (!r->terminal && output_check(c->render_out, &r->output.kind, err)) return error_prefix(err, "out");
    take_settings(r);
    return 0;
}

/* Rank 0. */
static int read_run(struct rendering *r, struct error *err)
{
    int code = playing_read(&r->run, r->args->operand[0], r->args, 1, r->comm, err);
    if (!code) code = read_output(r, err);
    if (!code) code = read_episode(r, err);
    return code;
}

/* ---- episodes ------------------------------------------------------------------------------------------------------------------------ */

/* The first of the worst or best, for people: equal returns are equally good. All ranks play. */
static int choose(struct rendering *r, struct error *err)
{
    const struct config *c = r->run.config;
    struct evaluation result;
    double *returns = malloc((size_t)c->eval_episodes * sizeof *returns);
    CHECK(returns, "out of memory for the returns of %lld episodes", (long long)c->eval_episodes);
    evaluator_returns(r->run.evaluator, returns);
    const int code = evaluator_play(r->run.evaluator, (int)c->eval_play, c->eval_deterministic, &result, err);
    evaluator_returns(r->run.evaluator, NULL);
    for (int64_t k = r->number = 0; k < c->eval_episodes && !code; k++)
        if (r->which == WORST ? returns[k] < returns[r->number] : returns[k] > returns[r->number]) r->number = k;
    free(returns);
    return code;
}

static int shoot(const struct rendering *r, struct film *film, struct error *err)
{
    const struct config *c = r->run.config;
    const int64_t count = r->which == FIRST ? c->eval_episodes : 1;
    int code = 0;
    for (int64_t k = 0; k < count && !code; k++)
        code = evaluator_film(r->run.evaluator, (int)c->eval_play, c->eval_deterministic, r->number + k, film, err);
    return code;
}

/* ---- showing ------------------------------------------------------------------------------------------------------------------------- */

struct show {
    const struct rendering *r;
    const struct film *film;
    struct timetable time;
    int at; /* of the timetable */
};

static enum cells_colour terminal_colour(void)
{
    const char *none = getenv("NO_COLOR"), *depth = getenv("COLORTERM"), *term = getenv("TERM");
    if ((none && *none) || !screen_unicode()) return CELLS_PLAIN;
    if (depth && (strcmp(depth, "truecolor") == 0 || strcmp(depth, "24bit") == 0)) return CELLS_TRUE;
    return term && (strstr(term, "256color") || strstr(term, "direct")) ? CELLS_256 : CELLS_PLAIN;
}

static void draw(void *user)
{
    const struct show *show = user;
    char *text = NULL;
    size_t size = 0;
    int columns, lines;
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory drawing a page");
    screen_size(&columns, &lines);
    struct cells *cells = cells_create(show->film, columns, lines - 1, terminal_colour()); /* the last is the cursor's */
    cells_print(cells, show->time.frame[show->at], out);
    cells_destroy(cells);
    fclose(out);
    screen_draw(text);
    free(text);
}

/* Once through, on a screen of its own. */
static int play(const struct rendering *r, const struct film *film, struct error *err)
{
    struct show show = {.r = r, .film = film, .time = timetable_create(film, r->output.timing)};
    const int code = screen_open(err);
    for (; !code && show.at < show.time.count; show.at++) {
        draw(&show);
        if (!screen_wait(show.time.seconds[show.at + 1] - show.time.seconds[show.at], draw, &show)) break;
    }
    if (!code) screen_close();
    timetable_destroy(&show.time);
    return code;
}

static void tell(const struct rendering *r, const struct film *film)
{
    char title[400], which[64] = "";
    const struct config *c = r->run.config;
    if (r->which == WORST || r->which == BEST)
        text_format(which, sizeof which, ", the %s of %lld", c->render_episode, (long long)c->eval_episodes);
    for (int k = 0; k < film_episodes(film); k++) {
        film_episode_title(film, k, title, sizeof title);
        printf("%s%s%s%s\n", r->terminal ? "" : c->render_out, r->terminal ? "" : ": ", title, which);
    }
}

/* Rank 0. */
static int render(struct rendering *r, struct error *err)
{
    struct film *film = evaluator_film_create(r->run.config, r->run.learning.env);
    char who[CONFIG_TEXT + 200], steps[64] = "", players[sizeof who + sizeof steps];
    playing_players(&r->run, (int)r->run.config->eval_play, who, sizeof who);
    /* Older networks would be taken for what the run has become. */
    if (r->run.config->eval_play == PLAY_TRAINED && !playing_newest(&r->run))
        text_format(steps, sizeof steps, ", at %lld steps", (long long)checkpoint_env_steps(r->run.file));
    text_format(players, sizeof players, "%s%s", who, steps);
    film_players(film, players);
    int code = shoot(r, film, err);
    if (code)
        ;
    else if (!r->terminal)
        code = output_write(&r->output, film, err);
    else if (progress_on_terminal(false))
        code = play(r, film, err);
    else
        cells_film(film, r->output.timing, stdout);
    if (!code && !r->args->quiet) tell(r, film);
    film_destroy(film);
    return code;
}

int cmd_render(const struct arguments *args, struct comm *comm)
{
    struct error err = {0};
    struct rendering r = {.args = args, .comm = comm};
    int code = playing_open(&r.run, comm->rank == 0 ? read_run(&r, &err) : 0, comm, &err);
    if (!code) comm_broadcast(comm, &r.which, sizeof r.which);
    if (!code && !vecenv_descriptor(r.run.learning.env)->draw)
        code = error_set(&err, EXIT_USAGE, "%s can't be drawn: it has no draw function (docs/env-abi.md)",
                         vecenv_descriptor(r.run.learning.env)->id);
    if (!code && (r.which == WORST || r.which == BEST)) code = choose(&r, &err);
    if (!code) code = comm_vote(comm, comm->rank == 0 ? render(&r, &err) : 0, &err);
    error_report(&err);
    playing_close(&r.run);
    return code;
}
