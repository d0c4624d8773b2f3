#include "cmd/seeds_screen.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "run/progress.h"
#include "run/run_list.h"

static const double INTERVAL_TERMINAL = 1, INTERVAL_PLAIN = 10;
enum { LINE = 512, REMEMBERED = 1000 };

struct watched {
    struct progress *progress;
    double total_steps, total_episodes; /* that end it; 0 = not known yet */
    char text[LINE];                    /* newest line */
};

struct seeds_screen {
    struct seeds *seeds;
    struct watched *watched; /* [seeds->count] */
    char **said;             /* [messages] without whose they are */
    int messages, drawn;     /* lines that are drawn now */
    bool silent, terminal;
    double looked_at;
};

struct seeds_screen *seeds_screen_create(struct seeds *seeds, bool silent)
{
    struct seeds_screen *screen = calloc(1, sizeof *screen);
    CHECK(screen, "out of memory");
    *screen = (struct seeds_screen){.seeds = seeds, .silent = silent, .terminal = !silent && progress_on_terminal(false)};
    screen->watched = calloc((size_t)seeds->count, sizeof *screen->watched);
    CHECK(screen->watched, "out of memory");
    screen->looked_at = clock_seconds();
    return screen;
}

/* Takes the drawn lines away, so that others can be printed in their place. */
static void clear(struct seeds_screen *screen)
{
    if (screen->drawn) printf("\033[%dA\r\033[J", screen->drawn);
    screen->drawn = 0;
}

void seeds_screen_destroy(struct seeds_screen *screen)
{
    clear(screen);
    fflush(stdout);
    for (int i = 0; i < screen->seeds->count; i++) progress_destroy(screen->watched[i].progress);
    for (int i = 0; i < screen->messages; i++) free(screen->said[i]);
    free(screen->said);
    free(screen->watched);
    free(screen);
}

void seeds_screen_say(struct seeds_screen *screen, const char *format, ...)
{
    va_list list;
    clear(screen);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    fflush(stdout);
}

void seeds_screen_result(struct seeds_screen *screen, const char *line)
{
    clear(screen);
    puts(line);
    fflush(stdout);
}

/* What is said anew again and again can't all be remembered. */
static void remember(struct seeds_screen *screen, const char *text)
{
    if (screen->messages == REMEMBERED) return;
    screen->said = realloc(screen->said, (size_t)(screen->messages + 1) * sizeof *screen->said);
    CHECK(screen->said, "out of memory");
    char *copy = screen->said[screen->messages++] = strdup(text);
    CHECK(copy, "out of memory");
}

void seeds_screen_message(struct seeds_screen *screen, const char *label, const char *line)
{
    static const char ours[] = "mappo: ";
    const char *text = strncmp(line, ours, strlen(ours)) == 0 ? line + strlen(ours) : line;
    /* Lines of others are parts of a text, as a traceback, which would be none with those left out that another seed's had too. */
    for (int i = 0; i < screen->messages && text != line; i++)
        if (strcmp(screen->said[i], text) == 0) return;
    if (text != line) remember(screen, text);
    clear(screen);
    fflush(stdout);
    fprintf(stderr, "%s%s: %s\n", text == line ? "" : ours, label, text);
}

/* ---- progress -------------------------------------------------------------------------------------------------------------------------- */

static double seconds_since_save(const char *folder)
{
    char path[CONFIG_TEXT + 96];
    struct stat info;
    text_format(path, sizeof path, "%s/latest.h5", folder);
    return stat(path, &info) == 0 ? fmax(0, difftime(time(NULL), info.st_mtime)) : 0;
}

/* What ends the run stands in its config.ini, once that is written. */
static bool find_ends(struct watched *watched, const struct seed *seed)
{
    struct run_told run;
    struct error ignored = {0};
    if (watched->total_steps > 0) return true;
    if (run_read(&run, seed->path, false, &ignored)) return false;
    text_to_real(run_setting(&run, "train.env_steps"), &watched->total_steps);
    text_to_real(run_setting(&run, "train.episodes"), &watched->total_episodes);
    run_forget(&run);
    return watched->total_steps > 0;
}

/* True where there is something to tell of it. */
static bool look(struct watched *watched, struct seed *seed, struct progress_line *line)
{
    struct error ignored = {0};
    struct metrics_file *metrics = &seed->metrics;
    if (!find_ends(watched, seed) || metrics_file_read(metrics, &ignored) || metrics->rows == 0) return false;
    *line = (struct progress_line){
        .env_steps = (int64_t)metrics_file_last(metrics, "env_steps"),
        .total_steps = (int64_t)watched->total_steps,
        .episodes = (int64_t)metrics_file_last(metrics, "episodes"),
        .total_episodes = (int64_t)watched->total_episodes,
        .env_steps_per_second = metrics_file_last(metrics, "env_steps_per_second"),
        .agent_steps_per_second = metrics_file_last(metrics, "agent_steps_per_second"),
        .return_mean = metrics_file_last(metrics, "return_mean"),
        .entropy = metrics_file_last(metrics, "entropy"),
        .seconds_since_save = seconds_since_save(seed->path),
    };
    return true;
}

static void draw_all(struct seeds_screen *screen, const struct seed *const *at_work, int places, int lines)
{
    clear(screen);
    for (int i = 0; i < places && screen->drawn < lines; i++) {
        if (!at_work[i]) continue;
        const struct watched *watched = &screen->watched[at_work[i] - screen->seeds->seed];
        printf("%s\033[K\n", watched->text[0] ? watched->text : at_work[i]->label);
        screen->drawn++;
    }
    fflush(stdout);
}

void seeds_screen_draw(struct seeds_screen *screen, const struct seed *const *at_work, int places)
{
    int columns = screen->terminal ? 80 : LINE, lines = 24;
    if (screen->silent) return;
    const double now = clock_seconds(), interval = screen->terminal ? INTERVAL_TERMINAL : INTERVAL_PLAIN;
    if (now - screen->looked_at < interval) return;
    screen->looked_at = now;
    if (screen->terminal) progress_terminal(&columns, &lines);
    for (int i = 0; i < places; i++) {
        struct progress_line line;
        if (!at_work[i]) continue;
        struct seed *seed = &screen->seeds->seed[at_work[i] - screen->seeds->seed];
        struct watched *watched = &screen->watched[seed - screen->seeds->seed];
        if (!look(watched, seed, &line)) continue;
        if (!watched->progress) {
            watched->progress = progress_create(false, false, NULL, NULL);
            progress_label(watched->progress, seed->label);
        }
        if (progress_text(watched->progress, &line, 0, columns, watched->text, sizeof watched->text) && !screen->terminal)
            puts(watched->text);
    }
    fflush(stdout);
    if (screen->terminal) draw_all(screen, at_work, places, lines - 1);
}
