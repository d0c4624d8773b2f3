#include "cmd/screen.h"

#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "run/progress.h"

/* A signal wakes the loop, which alone writes to the terminal. */
static int wake[2] = {-1, -1};

static void on_signal(int number)
{
    const unsigned char byte = (unsigned char)number;
    const ssize_t written = write(wake[1], &byte, 1);
    (void)written; /* a full pipe wakes as well */
}

bool screen_unicode(void)
{
    setlocale(LC_CTYPE, "");
    const bool is = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    setlocale(LC_CTYPE, "C");
    return is;
}

bool screen_there(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

void screen_size(int *columns, int *lines)
{
    const char *given[] = {getenv("COLUMNS"), getenv("LINES")};
    int64_t number;
    *columns = given[0] && text_to_int(given[0], &number) ? (int)number : 80;
    *lines = given[1] && text_to_int(given[1], &number) ? (int)number : 24;
    progress_terminal(columns, lines);
}

/* The other screen, so that this one is as it was afterwards; no cursor. */
static void enter(void)
{
    fputs("\033[?1049h\033[?25l", stdout);
}

int screen_open(struct error *err)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0) return error_set(err, EXIT_INTERNAL, "can't make a pipe");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        sigaction(numbers[i], &action, NULL);
    }
    enter();
    return 0;
}

void screen_close(void)
{
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
}

/* Every line is followed by what removes the rest of the last one, and the page by what removes the rest of the screen. */
void screen_draw(const char *page)
{
    fputs("\033[H", stdout);
    for (const char *c = page; *c; c++) {
        if (*c == '\n') fputs("\033[K", stdout);
        putchar(*c);
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

bool screen_wait(double seconds, void (*redraw)(void *user), void *user)
{
    const double until = clock_seconds() + seconds;
    struct pollfd ready = {.fd = wake[0], .events = POLLIN};
    for (double left = seconds; left > 0; left = until - clock_seconds()) {
        unsigned char number = 0;
        if (poll(&ready, 1, (int)(1000 * left) + 1) <= 0 || read(wake[0], &number, 1) != 1) continue;
        if (number != SIGWINCH && number != SIGTSTP) return false;
        if (number == SIGTSTP) { /* Ctrl-Z: the shell gets its screen, and we ours when we go on */
            screen_close();
            raise(SIGSTOP);
            enter();
        }
        redraw(user);
    }
    return true;
}
