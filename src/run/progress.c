#include "run/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"

static const double INTERVAL_TERMINAL = 0.25, INTERVAL_PLAIN = 10;

struct progress {
    struct arena *arena;
    FILE *log;
    const char *rules;
    char label[32]; /* of one run of several; "" = it is alone */
    bool quiet, terminal, drawn;
    double last_time, first_time;
    int64_t first_steps, steps_seen; /* at the first line; at the newest */
    int64_t first_episodes;
    double steps, seconds; /* since the last line that was shown: of updates alone */
    double agents;         /* agent steps per environment step */
};

/* A launcher's own standard output tells where a rank's ends up; where it can't be seen (another node), lines are plain. */
static bool launcher_on_terminal(void)
{
    char link[64], target[64];
    text_format(link, sizeof link, "/proc/%d/fd/1", (int)getppid());
    const ssize_t length = readlink(link, target, sizeof target - 1);
    if (length <= 0) return false;
    target[length] = 0;
    return strncmp(target, "/dev/pts/", 9) == 0 || strncmp(target, "/dev/tty", 8) == 0;
}

bool progress_on_terminal(bool launched)
{
    const char *term = getenv("TERM");
    if (!isatty(STDOUT_FILENO) || !term || !*term || strcmp(term, "dumb") == 0) return false;
    return !launched || launcher_on_terminal();
}

struct progress *progress_create(bool quiet, bool launched, FILE *log, const char *rules)
{
    struct arena *arena = arena_create("progress");
    struct progress *p = ARENA_NEW(arena, struct progress, 1);
    p->arena = arena;
    p->log = log;
    p->rules = rules;
    p->quiet = quiet;
    p->terminal = progress_on_terminal(launched);
    p->first_steps = -1;
    return p;
}

void progress_label(struct progress *p, const char *label)
{
    text_format(p->label, sizeof p->label, "%s", label);
    p->terminal = false;
}

void progress_destroy(struct progress *p)
{
    if (!p) return;
    if (p->drawn) fputc('\n', stdout);
    fflush(stdout);
    arena_destroy(p->arena);
}

/* Leaves the status line standing, so that the next line starts below it. */
static void leave_status(struct progress *p)
{
    if (p->drawn) fputc('\n', stdout);
    p->drawn = false;
}

void progress_say(struct progress *p, const char *format, ...)
{
    if (!p) return;
    va_list arguments;
    if (!p->quiet && !p->label[0]) {
        leave_status(p);
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        putchar('\n');
        fflush(stdout);
    }
    if (p->log) {
        char now[32];
        clock_utc(now, sizeof now);
        fprintf(p->log, "%s ", now);
        va_start(arguments, format);
        vfprintf(p->log, format, arguments);
        va_end(arguments);
        fputc('\n', p->log);
        fflush(p->log);
    }
}

struct status { /* the numbers of the line, as text */
    int percent;
    char done[24], env_speed[24], agent_speed[24], mean[32], entropy[32], eta[32], saved[32];
};

/* In words where there is room, else short; the rules' name stands beside the return in both. */
static void status_text(const struct status *s, const char *rules, int width, char *text, size_t size)
{
    char in_words[96] = "", shortly[96] = "";
    if (rules) text_format(in_words, sizeof in_words, " (%s rules)", rules);
    if (rules) text_format(shortly, sizeof shortly, " %s", rules);
    text_format(text, size, "%3d %%  %s env-steps  %s env-steps/s (%s agent-steps/s)  return %s%s  entropy %s  ETA %s  saved %s ago",
                s->percent, s->done, s->env_speed, s->agent_speed, s->mean, in_words, s->entropy, s->eta, s->saved);
    if ((int)strlen(text) < width) return;
    text_format(text, size, "%d%% %s %s/s (%s agent/s) return %s%s H %s ETA %s ckpt %s", s->percent, s->done, s->env_speed, s->agent_speed,
                s->mean, shortly, s->entropy, s->eta, s->saved);
    if ((int)strlen(text) < width) return;
    text_format(text, size, "%d%% %s %s/s %s agent/s %s%s H %s %s ckpt %s", s->percent, s->done, s->env_speed, s->agent_speed, s->mean,
                shortly, s->entropy, s->eta, s->saved);
    /* Half a number would be another one. */
    for (char *end; (int)strlen(text) >= width && (end = strrchr(text, ' '));) *end = '\0';
}

void progress_terminal(int *columns, int *lines)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return;
    if (size.ws_col > 0) *columns = size.ws_col;
    if (size.ws_row > 0) *lines = size.ws_row;
}

static int terminal_width(void)
{
    int columns = 80, lines;
    progress_terminal(&columns, &lines);
    return columns;
}

/* Of the run: steps or episodes, whichever will end it. */
static double part_done(const struct progress_line *line)
{
    const double steps = (double)line->env_steps / (double)line->total_steps;
    return line->total_episodes > 0 ? fmax(steps, (double)line->episodes / (double)line->total_episodes) : steps;
}

/* overall: steps a second since the first line. */
static double seconds_left(const struct progress *p, const struct progress_line *line, double overall, double now)
{
    const double left = overall > 0 ? (double)(line->total_steps - line->env_steps) / overall : 0;
    const double ended = (double)(line->episodes - p->first_episodes);
    if (line->total_episodes == 0 || ended <= 0) return left;
    const double of_episodes = (double)(line->total_episodes - line->episodes) * (now - p->first_time) / ended;
    return fmin(left, fmax(0, of_episodes));
}

/* What lies before the first line says nothing of speed. */
static void begin(struct progress *p, const struct progress_line *line, double now)
{
    p->first_steps = p->steps_seen = line->env_steps;
    p->first_episodes = line->episodes;
    p->first_time = p->last_time = now;
    p->agents = line->env_steps_per_second > 0 ? line->agent_steps_per_second / line->env_steps_per_second : 1;
}

/* Updates' own rates: lines may come late and together, as on a device, and between them may lie evaluations. */
static void count(struct progress *p, const struct progress_line *line)
{
    if (line->env_steps_per_second > 0) {
        const double steps = (double)(line->env_steps - p->steps_seen);
        p->steps += steps;
        p->seconds += steps / line->env_steps_per_second;
    }
    p->steps_seen = line->env_steps;
}

static void write_text(struct progress *p, const struct progress_line *line, double now, int width, char *text, size_t size)
{
    const double speed = p->seconds > 0 ? p->steps / p->seconds : line->env_steps_per_second;
    const double overall = now > p->first_time && line->env_steps > p->first_steps
                               ? (double)(line->env_steps - p->first_steps) / (now - p->first_time)
                               : speed;
    struct status status = {.percent = (int)(100.0 * fmin(1, part_done(line)))};
    text_count(status.done, sizeof status.done, (double)line->env_steps);
    text_count(status.env_speed, sizeof status.env_speed, speed);
    text_count(status.agent_speed, sizeof status.agent_speed, speed * p->agents);
    text_duration(status.eta, sizeof status.eta, seconds_left(p, line, overall, now));
    text_duration(status.saved, sizeof status.saved, line->seconds_since_save);
    text_known(status.mean, sizeof status.mean, line->return_mean, text_decimals(line->return_mean));
    text_known(status.entropy, sizeof status.entropy, line->entropy, 3);
    status_text(&status, p->rules, width, text, size);
    p->last_time = now;
    p->steps = p->seconds = 0;
}

bool progress_text(struct progress *p, const struct progress_line *line, double interval, int width, char *text, size_t size)
{
    const double now = clock_seconds();
    if (p->first_steps < 0) begin(p, line, now);
    count(p, line);
    if (now - p->last_time < interval) return false;
    const int label = (int)strlen(p->label);
    text_format(text, size, "%s%s", p->label, label ? "  " : "");
    write_text(p, line, now, width - (label ? label + 2 : 0), text + strlen(text), size - strlen(text));
    return true;
}

void progress_update(struct progress *p, const struct progress_line *line, bool last)
{
    char text[384];
    if (!p) return;
    const double interval = last ? 0 : p->terminal ? INTERVAL_TERMINAL : INTERVAL_PLAIN;
    const int width = p->terminal ? terminal_width() : (int)sizeof text;
    if (!progress_text(p, line, interval, width, text, sizeof text) || p->quiet) return;
    if (p->terminal) {
        printf("\r%.*s\033[K", width - 1, text); /* a line that wraps can't be updated in place */
        p->drawn = true;
    } else {
        puts(text);
    }
    fflush(stdout);
}
