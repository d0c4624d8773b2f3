#include "run/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
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
    bool quiet, terminal, drawn;
    double last_time, first_time;
    int64_t last_steps, first_steps;
    double agents; /* agent steps per environment step */
};

struct progress *progress_create(bool quiet, FILE *log, const char *rules)
{
    struct arena *arena = arena_create("progress");
    struct progress *p = ARENA_NEW(arena, struct progress, 1);
    p->arena = arena;
    p->log = log;
    p->rules = rules;
    p->quiet = quiet;
    const char *term = getenv("TERM");
    p->terminal = isatty(STDOUT_FILENO) && term && *term && !(term[0] == 'd' && term[1] == 'u');
    p->first_steps = p->last_steps = -1;
    return p;
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
    if (!p->quiet) {
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

/* "1.23 M", "118 k", "950" */
static void short_count(char *text, size_t size, double value)
{
    if (!isfinite(value))
        text_format(text, size, "-");
    else if (value >= 1e9)
        text_format(text, size, "%.2f G", value / 1e9);
    else if (value >= 1e6)
        text_format(text, size, "%.2f M", value / 1e6);
    else if (value >= 1e4)
        text_format(text, size, "%.0f k", value / 1e3);
    else
        text_format(text, size, "%.0f", value);
}

static int terminal_width(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

void progress_update(struct progress *p, const struct progress_line *line, bool last)
{
    if (!p) return;
    const double now = clock_seconds();
    if (p->first_steps < 0) {
        p->first_steps = p->last_steps = line->env_steps;
        p->first_time = p->last_time = now;
        p->agents = line->env_steps_per_second > 0 ? line->agent_steps_per_second / line->env_steps_per_second : 1;
        if (!p->terminal && !last) return;
    }
    const double elapsed = now - p->last_time;
    if (!last && elapsed < (p->terminal ? INTERVAL_TERMINAL : INTERVAL_PLAIN)) return;

    const int64_t steps = line->env_steps - p->last_steps;
    const double speed = elapsed > 0 && steps > 0 ? (double)steps / elapsed : line->env_steps_per_second;
    const double overall = now > p->first_time && line->env_steps > p->first_steps
                               ? (double)(line->env_steps - p->first_steps) / (now - p->first_time)
                               : speed;
    char done[24], env_speed[24], agent_speed[24], eta[32], saved[32], text[320], mean[32];
    short_count(done, sizeof done, (double)line->env_steps);
    short_count(env_speed, sizeof env_speed, speed);
    short_count(agent_speed, sizeof agent_speed, speed * p->agents);
    const double left = overall > 0 ? (double)(line->total_steps - line->env_steps) / overall : 0;
    clock_duration(eta, sizeof eta, left > 0 ? left : 0);
    clock_duration(saved, sizeof saved, line->seconds_since_save);
    if (isfinite(line->return_mean))
        text_format(mean, sizeof mean, "%.2f", line->return_mean);
    else
        text_format(mean, sizeof mean, "-");
    text_format(text, sizeof text,
                "%3.0f %%  %s env-steps  %s env-steps/s (%s agent-steps/s)  return %s (%s rules)  entropy %.3f  ETA %s  saved %s ago",
                floor(100.0 * fmin(1, (double)line->env_steps / (double)line->total_steps)), done, env_speed, agent_speed, mean, p->rules,
                line->entropy, eta, saved);
    p->last_time = now;
    p->last_steps = line->env_steps;
    if (p->quiet) return;
    if (p->terminal) {
        printf("\r%.*s\033[K", terminal_width() - 1, text); /* a line that wraps can't be updated in place */
        p->drawn = true;
    } else {
        puts(text);
    }
    fflush(stdout);
}
