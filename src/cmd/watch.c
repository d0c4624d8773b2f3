/* mappo watch: a page in the terminal that is drawn anew as the run goes on. Beside a terminal it is printed once. */
#include "cmd/watch.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/curve.h"
#include "run/progress.h"

enum { NARROWEST = 40, WIDEST = 200, MILLISECONDS = 1000 };

/* A signal wakes the loop, which alone writes to the terminal. */
static int wake[2] = {-1, -1};

static void on_signal(int number)
{
    const unsigned char byte = (unsigned char)number;
    const ssize_t written = write(wake[1], &byte, 1);
    (void)written; /* a full pipe wakes as well */
}

static bool listen_to_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    if (pipe(wake) != 0) return false;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        sigaction(numbers[i], &action, NULL);
    }
    return true;
}

/* The other screen, so that this one is as it was afterwards; no cursor. */
static void enter(void)
{
    fputs("\033[?1049h\033[?25l", stdout);
}

static void leave(void)
{
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
}

static void measure(struct watch_page *page)
{
    const char *columns = getenv("COLUMNS"), *lines = getenv("LINES");
    int64_t number;
    page->width = 80;
    page->height = 24;
    if (columns && text_to_int(columns, &number)) page->width = (int)number;
    if (lines && text_to_int(lines, &number)) page->height = (int)number;
    progress_terminal(&page->width, &page->height);
    page->height--; /* the cursor's */
    if (page->width < NARROWEST) page->width = NARROWEST;
    if (page->width > WIDEST) page->width = WIDEST;
}

struct watched {
    const char *folder;
    struct watch_page page;
    struct run_told run;
    struct metrics_file metrics;
};

static int look(struct watched *watched, struct error *err)
{
    run_forget(&watched->run);
    int code = run_read(&watched->run, watched->folder, false, err);
    if (!code) code = metrics_file_read(&watched->metrics, err);
    return code;
}

/* Every line is followed by what removes the rest of the last one, and the page by what removes the rest of the screen. */
static void draw(struct watched *watched)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory drawing a page");
    measure(&watched->page);
    watch_print(out, &watched->page, &watched->run, &watched->metrics);
    fclose(out);
    fputs("\033[H", stdout);
    for (const char *c = text; *c; c++) {
        if (*c == '\n') fputs("\033[K", stdout);
        putchar(*c);
    }
    fputs("\033[J", stdout);
    fflush(stdout);
    free(text);
}

/* The number of a signal that ends it; 0: time for another look. */
static int rest(struct watched *watched)
{
    struct pollfd ready = {.fd = wake[0], .events = POLLIN};
    while (poll(&ready, 1, MILLISECONDS) > 0) {
        unsigned char number = 0;
        if (read(wake[0], &number, 1) != 1) continue;
        if (number == SIGWINCH) {
            draw(watched);
        } else if (number == SIGTSTP) { /* Ctrl-Z: the shell gets its screen, and we ours when we go on */
            leave();
            raise(SIGSTOP);
            enter();
            draw(watched);
        } else {
            return number;
        }
    }
    return 0;
}

static int watch_live(struct watched *watched, struct error *err)
{
    int code = 0;
    if (!listen_to_signals()) return error_set(err, EXIT_INTERNAL, "can't make a pipe");
    enter();
    do {
        draw(watched);
        if (rest(watched)) break;
        code = look(watched, err);
    } while (!code && watched->run.state == RUN_RUNNING);
    leave();
    return code;
}

static int watch(const struct arguments *args)
{
    struct error err = {0};
    struct watched watched = {.folder = args->operand[0], .page = {.unicode = curve_unicode()}};
    metrics_file_begin(&watched.metrics, watched.folder);
    int code = look(&watched, &err);
    if (!code && isatty(STDOUT_FILENO) && watched.run.state == RUN_RUNNING) code = watch_live(&watched, &err);
    if (!code) {
        measure(&watched.page);
        watch_print(stdout, &watched.page, &watched.run, &watched.metrics);
    }
    metrics_file_end(&watched.metrics);
    run_forget(&watched.run);
    return code ? error_report(&err) : EXIT_DONE;
}

int cmd_watch(const struct arguments *args, struct comm *comm)
{
    return cmd_on_first_rank(watch, args, comm);
}
