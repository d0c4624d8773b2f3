#include "cmd/screen.h"

#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
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

void screen_size(int *columns, int *lines)
{
    const char *given[] = {getenv("COLUMNS"), getenv("LINES")};
    int64_t number;
    *columns = given[0] && text_to_int(given[0], &number) ? (int)number : 80;
    *lines = given[1] && text_to_int(given[1], &number) ? (int)number : 24;
    progress_terminal(columns, lines);
}

/* Of the keyboard, before keys came one by one and unseen; Ctrl-C and Ctrl-Z stay what they are. */
static struct termios keyboard;
static bool keys_come;

static void take_keys(void)
{
    /* One in the background of its terminal may not change it: it would be stopped for it. */
    const pid_t in_front = tcgetpgrp(STDIN_FILENO);
    keys_come = isatty(STDIN_FILENO) && (in_front < 0 || in_front == getpgrp()) && tcgetattr(STDIN_FILENO, &keyboard) == 0;
    if (!keys_come) return;
    struct termios one_by_one = keyboard;
    one_by_one.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &one_by_one);
}

static void leave_keys(void)
{
    if (keys_come) tcsetattr(STDIN_FILENO, TCSANOW, &keyboard);
    keys_come = false;
}

/* q was pressed. */
static bool asks_for_end(void)
{
    char keys[64];
    const ssize_t count = read(STDIN_FILENO, keys, sizeof keys);
    if (count <= 0) leave_keys(); /* the terminal is gone, or we are in the background now */
    for (ssize_t i = 0; i < count; i++)
        if (keys[i] == 'q' || keys[i] == 'Q') return true;
    return false;
}

/* The other screen, so that this one is as it was afterwards; no cursor. */
static void enter(void)
{
    take_keys();
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
    leave_keys();
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
    struct pollfd ready[2] = {{.fd = wake[0], .events = POLLIN}, {.events = POLLIN}};
    for (double left = seconds; left > 0; left = until - clock_seconds()) {
        unsigned char number = 0;
        ready[1].fd = keys_come ? STDIN_FILENO : -1;
        if (poll(ready, 2, (int)(1000 * left) + 1) <= 0) continue;
        if (ready[1].revents && asks_for_end()) return false;
        if (!ready[0].revents || read(wake[0], &number, 1) != 1) continue;
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
