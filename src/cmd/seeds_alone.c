/* Several seeds on one machine: each is a process of this program, as if it had been started by hand. A run of one thread is more efficient than of
 * two, so as many run side by side as there are cores, and only what does not go up in these comes first, with several threads each. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/text.h"
#include "cmd/seeds.h"
#include "cmd/seeds_screen.h"
#include "comm/placement.h"
#include "run/learning.h"
#include "run/stop.h"

extern char **environ;

enum { LINE = 4096, ARGUMENTS = ARGS_MAX + 2 * ARGS_FILES + 16, WAIT = 200 /* ms */ };
static const double DRAIN = 1; /* seconds after the end of a process in which what it said is read */

struct stream { /* what a process prints, line by line */
    int fd;     /* -1: at its end */
    size_t length;
    char text[LINE];
};

struct child {
    struct seed *seed; /* NULL = nobody runs in this place */
    pid_t pid;
    struct stream out, errors;
    bool first;      /* one of the first round */
    bool ended;      /* `status` is known, and it was at `ended_at` */
    int status;      /* as waitpid tells it */
    double ended_at; /* clock */
};

struct crew {
    struct seeds *seeds;
    struct comm *comm;
    struct child *child; /* [places] */
    int places, devices;
    int todo, begun, first; /* runs to train; of these begun; in the first round */
    int threads, first_threads;
    struct stop *stop;
    int stopped; /* EXIT_STOPPED, EXIT_CONTINUE: all have been asked to end */
    struct seeds_screen *screen;
};

/* ---- a process ------------------------------------------------------------------------------------------------------------------------- */

enum errand { REHEARSE, TELL_DRY_RUN, TRAIN };

struct words { /* a command line; texts that are made for it lie in `room` */
    char *argv[ARGUMENTS];
    int count;
    char room[4][64];
};

static void add_word(struct words *words, const char *word)
{
    CHECK(words->count < ARGUMENTS - 1, "more arguments than room");
    words->argv[words->count++] = (char *)word;
}

static void write_words(struct words *words, const struct crew *crew, const struct child *child, enum errand errand)
{
    const struct arguments *args = crew->seeds->args;
    words->count = 0;
    add_word(words, "mappo");
    add_word(words, "train");
    for (int i = 0; i < args->files; i++) add_word(words, "--config"), add_word(words, args->file[i]);
    for (int i = 0; i < args->assignments; i++) add_word(words, args->assignment[i]);
    text_format(words->room[0], sizeof words->room[0], "seed=%lld", (long long)child->seed->number);
    add_word(words, words->room[0]);
    text_format(words->room[1], sizeof words->room[1], "threads=%d", child->first ? crew->first_threads : crew->threads);
    if (errand == TRAIN && crew->threads > 0) add_word(words, words->room[1]);
    text_format(words->room[2], sizeof words->room[2], "cuda.device=%d", (int)(child - crew->child));
    if (errand == TRAIN && crew->devices > 1) add_word(words, words->room[2]);
    if (args->fresh) add_word(words, "--fresh");
    if (errand != TRAIN) add_word(words, "--dry-run");
    if (errand == REHEARSE || args->json) add_word(words, "--json");
    if (errand != TELL_DRY_RUN || args->quiet) add_word(words, "--quiet");
    words->argv[words->count] = NULL;
}

/* Ours, but for what tells of ranks and of a file for the exit code: runs are no ranks of ours. To free. */
static char **run_environ(void)
{
    static const char *const ours[] = {"MAPPO_MPI=", "MAPPO_EXIT_FILE="};
    static char alone[] = "MAPPO_MPI=0";
    size_t count = 0, n = 0;
    while (environ[count]) count++;
    char **all = calloc(count + 2, sizeof *all);
    CHECK(all, "out of memory");
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], ours[0], strlen(ours[0])) != 0 && strncmp(environ[i], ours[1], strlen(ours[1])) != 0) all[n++] = environ[i];
    all[n] = alone;
    return all;
}

/* In the new process. Of a group of its own: Ctrl-C is for us, who pass it on once. Whatever becomes of us, it saves and ends, which posix_spawn
 * can't ask for. MPI and its threads may be there, as we may be a launcher's only rank: so nothing but system calls, and another program at once. */
static MAPPO_NORETURN void become(struct words *words, char **variables, int out, int errors, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(EXIT_STOPPED);
    const int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    execve("/proc/self/exe", words->argv, variables);
    static const char text[] = "mappo: /proc/self/exe can't be started again\n";
    const ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(EXIT_INTERNAL);
}

static void start(struct crew *crew, struct child *child, struct seed *seed, enum errand errand)
{
    struct words words;
    int out[2], errors[2];
    *child = (struct child){.seed = seed, .first = crew->begun < crew->first};
    write_words(&words, crew, child, errand);
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(errors, O_CLOEXEC) != 0) die(EXIT_INTERNAL, "%s: can't make a pipe for its run", seed->label);
    fflush(NULL);
    const pid_t parent = getpid();
    char **variables = run_environ();
    child->pid = fork();
    if (child->pid < 0) die(EXIT_INTERNAL, "%s: can't start a process for its run", seed->label);
    if (child->pid == 0) become(&words, variables, out[1], errors[1], parent);
    free(variables);
    setpgid(child->pid, child->pid);
    close(out[1]);
    close(errors[1]);
    child->out.fd = out[0];
    child->errors.fd = errors[0];
}

/* Calls `take` for each whole line, and for the rest at the end. A byte 0 becomes a blank: it would end its line, and hide those after it. */
static void read_stream(struct stream *stream, void (*take)(void *user, const char *line), void *user)
{
    const ssize_t got = read(stream->fd, stream->text + stream->length, sizeof stream->text - 1 - stream->length);
    if (got < 0 && errno == EINTR) return;
    for (ssize_t i = 0; i < got; i++)
        if (!stream->text[stream->length + (size_t)i]) stream->text[stream->length + (size_t)i] = ' ';
    if (got > 0) stream->length += (size_t)got;
    stream->text[stream->length] = '\0';
    char *line = stream->text;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        take(user, line);
    }
    stream->length = strlen(line);
    const bool full = stream->length == sizeof stream->text - 1;
    if ((got <= 0 || full) && stream->length) {
        take(user, line);
        stream->length = 0;
    }
    memmove(stream->text, line, stream->length);
    if (got > 0) return;
    close(stream->fd);
    stream->fd = -1;
}

struct told { /* who takes its lines */
    struct crew *crew;
    struct seed *seed;
    enum errand errand;
};

static void take_result(void *user, const char *line)
{
    const struct told *told = user;
    const char *bytes = strstr(line, "\"memory_bytes\":");
    if (told->errand == TELL_DRY_RUN) {
        printf("%s%s%s\n", told->crew->seeds->args->json ? "" : told->seed->label, told->crew->seeds->args->json ? "" : ": ", line);
    } else if (told->errand == REHEARSE) {
        told->seed->finished = strstr(line, "\"state\":\"finished\"") != NULL;
        if (bytes) told->seed->memory = strtoull(strchr(bytes, ':') + 1, NULL, 10);
    } else if (!told->crew->seeds->args->json) {
        seeds_screen_result(told->crew->screen, line);
    }
}

static void take_message(void *user, const char *line)
{
    const struct told *told = user;
    seeds_screen_message(told->crew->screen, told->seed->label, line);
}

/* Until one of the processes has something to say or a moment is over; takes what they say. */
static void listen(struct crew *crew, enum errand errand)
{
    struct pollfd *ready = calloc((size_t)crew->places * 2, sizeof *ready);
    CHECK(ready, "out of memory");
    for (int i = 0; i < crew->places; i++) {
        const struct child *child = &crew->child[i];
        ready[2 * i] = (struct pollfd){.fd = child->seed ? child->out.fd : -1, .events = POLLIN};
        ready[2 * i + 1] = (struct pollfd){.fd = child->seed ? child->errors.fd : -1, .events = POLLIN};
    }
    const int count = poll(ready, (nfds_t)crew->places * 2, WAIT);
    for (int i = 0; i < crew->places && count > 0; i++) {
        struct child *child = &crew->child[i];
        struct told told = {crew, child->seed, errand};
        if (ready[2 * i].revents) read_stream(&child->out, take_result, &told);
        if (ready[2 * i + 1].revents) read_stream(&child->errors, take_message, &told);
    }
    free(ready);
}

/* Leaves what may still come, and takes the rest of a line. What an environment has started may keep the other end open for ever. */
static void drop_stream(struct stream *stream, void (*take)(void *user, const char *line), void *user)
{
    if (stream->fd < 0) return;
    stream->text[stream->length] = '\0';
    if (stream->length) take(user, stream->text);
    close(stream->fd);
    stream->fd = -1;
}

/* True where it has ended, and what it said is read: seed->code is known and the place free. */
static bool reap(struct crew *crew, struct child *child, enum errand errand)
{
    if (!child->seed) return false;
    struct seed *seed = child->seed;
    const bool silent = child->out.fd < 0 && child->errors.fd < 0; /* it has closed both: it ends */
    if (!child->ended) {
        if (waitpid(child->pid, &child->status, silent ? 0 : WNOHANG) != child->pid) return false;
        child->ended = true;
        child->ended_at = clock_seconds();
    }
    if (!silent && clock_seconds() - child->ended_at < DRAIN) return false;
    struct told told = {crew, seed, errand};
    drop_stream(&child->out, take_result, &told);
    drop_stream(&child->errors, take_message, &told);
    seed->code = WIFEXITED(child->status) ? WEXITSTATUS(child->status) : EXIT_INTERNAL;
    seed->killed_by = WIFSIGNALED(child->status) ? WTERMSIG(child->status) : 0;
    child->seed = NULL;
    return true;
}

static void say_killed(const struct seed *seed)
{
    if (seed->killed_by)
        warn("%s: was ended by signal %d (%s); the same command goes on from its last checkpoint", seed->label, seed->killed_by,
             strsignal(seed->killed_by));
}

/* ---- signals --------------------------------------------------------------------------------------------------------------------------- */

static struct crew *signalled; /* whose processes the handlers reach */

static void signal_all(const struct crew *crew, int number)
{
    for (int i = 0; i < crew->places; i++)
        if (crew->child[i].seed && crew->child[i].pid > 0 && !crew->child[i].ended) kill(crew->child[i].pid, number);
}

/* A second Ctrl-C ends at once, as of one run. */
static void end_all(int number)
{
    signal_all(signalled, SIGKILL);
    _exit(128 + number);
}

/* Ctrl-Z */
static void pause_all(int number)
{
    (void)number;
    signal_all(signalled, SIGSTOP);
    raise(SIGSTOP);
    signal_all(signalled, SIGCONT);
}

/* `number`: the signal that they are to get, and name in their last lines; 0: by the code. */
static void ask_all_to_end(struct crew *crew, int code, int number)
{
    crew->stopped = code;
    signal_all(crew, number ? number : code == EXIT_CONTINUE ? SIGUSR1 : SIGTERM);
    signal(SIGINT, end_all);
    signal(SIGQUIT, end_all);
}

static void heed_stop(struct crew *crew)
{
    char why[160];
    if (crew->stopped) return;
    const int code = stop_agreed(crew->stop, crew->comm, why, sizeof why);
    if (!code) return;
    if (!crew->seeds->args->json && !crew->seeds->args->quiet)
        seeds_screen_say(crew->screen, "%s: %s", why, crew->begun ? "all runs save and end" : "none is begun");
    ask_all_to_end(crew, code, stop_signal(crew->stop));
}

/* ---- in which order, and how many ------------------------------------------------------------------------------------------------------ */

/* What it does changes nothing: where all are to end, it is ended, and says nothing of the seed. */
static int errand_of_one(struct crew *crew, struct seed *seed, enum errand errand)
{
    start(crew, &crew->child[0], seed, errand);
    while (!reap(crew, &crew->child[0], errand)) {
        listen(crew, errand);
        heed_stop(crew);
        if (crew->stopped) signal_all(crew, SIGKILL);
    }
    heed_stop(crew); /* a launcher may have sent it the same signal */
    if (crew->stopped) seed->code = seed->killed_by = 0;
    say_killed(seed);
    return seed->code;
}

/* Settings of all were refused for it, or nothing can be trained. One whose own checkpoints are damaged keeps nobody else from training. */
static bool refuses_all(const struct seed *seed)
{
    return seed->code && seed->code != EXIT_CHECKPOINT;
}

/* One after another, until one would be refused for what all have in common, or all are to end; false: none is to be trained. */
static bool rehearse_all(struct crew *crew, enum errand errand)
{
    int good = 0;
    for (int i = 0; i < crew->seeds->count; i++) {
        if (errand_of_one(crew, &crew->seeds->seed[i], errand) && refuses_all(&crew->seeds->seed[i])) return false;
        if (crew->stopped) return true;
        good += crew->seeds->seed[i].code == 0;
    }
    for (int i = 0; i < crew->seeds->count && good; i++)
        if (crew->seeds->seed[i].code) seeds_say_left_out(crew->seeds, &crew->seeds->seed[i], false);
    return good > 0;
}

static bool to_train(const struct seed *seed)
{
    return !seed->finished && !seed->code;
}

static void plan(struct crew *crew)
{
    const struct config *config = crew->seeds->config;
    struct placement placement;
    size_t most = 1;
    for (int i = 0; i < crew->seeds->count; i++) {
        const struct seed *seed = &crew->seeds->seed[i];
        if (seed->memory > most) most = seed->memory;
        if (to_train(seed)) crew->todo++;
    }
    if (crew->todo == 0) return;
    placement_find(&placement, crew->comm, 0);
    const int cores = placement.threads, given = (int)config->train_threads;
    crew->devices = learning_devices(config);
    int places = crew->devices ? crew->devices : given ? cores / given : cores;
    if (places > crew->todo) places = crew->todo;
    while (places > 1 && (size_t)places > memory_free() / most) places--;
    crew->places = crew->first = places = places > 1 ? places : 1;
    crew->threads = crew->first_threads = given ? 0 : cores / places;
    if (given || crew->devices) return;
    crew->first = seeds_first_round(crew->todo, places);
    crew->first_threads = cores / crew->first;
}

static void say_plan(const struct crew *crew)
{
    const int count = crew->seeds->count, given = (int)crew->seeds->config->train_threads;
    const int threads = given ? given : crew->threads;
    int finished = 0;
    char first[96] = "", before[64] = "";
    if (crew->seeds->args->quiet || crew->seeds->args->json) return;
    if (crew->first_threads > crew->threads)
        text_format(first, sizeof first, "first %d with %d threads%s, then ", crew->first, crew->first_threads,
                    crew->first > 1 ? " each" : "");
    for (int i = 0; i < count; i++) finished += crew->seeds->seed[i].finished;
    if (finished) text_format(before, sizeof before, " (%d of %d are finished)", finished, count);
    seeds_screen_say(crew->screen, "%d seed%s to train%s: %s%d at a time with %d thread%s%s", crew->todo, crew->todo == 1 ? "" : "s",
                     before, first, crew->places, threads, threads == 1 ? "" : "s", crew->places > 1 ? " each" : "");
}

static int running(const struct crew *crew, bool first_only)
{
    int count = 0;
    for (int i = 0; i < crew->places; i++) count += crew->child[i].seed && (crew->child[i].first || !first_only);
    return count;
}

/* The next run to begin now; NULL: none. */
static struct seed *next_run(const struct crew *crew, int *next)
{
    while (*next < crew->seeds->count && !to_train(&crew->seeds->seed[*next])) ++*next;
    if (*next == crew->seeds->count || crew->stopped) return NULL;
    const bool waits = crew->begun >= crew->first && crew->first_threads > crew->threads && running(crew, true) > 0;
    return !waits && running(crew, false) < crew->places ? &crew->seeds->seed[(*next)++] : NULL;
}

static void begin_runs(struct crew *crew, int *next)
{
    for (struct seed *seed; (seed = next_run(crew, next)); crew->begun++) {
        int free = 0;
        while (crew->child[free].seed) free++;
        start(crew, &crew->child[free], seed, TRAIN);
    }
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------------------- */

/* Those from `next` on were never begun. */
static void leave_rest(const struct crew *crew, int next)
{
    for (; next < crew->seeds->count; next++)
        if (to_train(&crew->seeds->seed[next])) crew->seeds->seed[next].code = crew->stopped;
}

static void train_all(struct crew *crew)
{
    int next = 0;
    for (begin_runs(crew, &next); running(crew, false) > 0; begin_runs(crew, &next)) {
        listen(crew, TRAIN);
        heed_stop(crew);
        for (int i = 0; i < crew->places; i++) {
            struct seed *seed = crew->child[i].seed;
            if (!seed || !reap(crew, &crew->child[i], TRAIN)) continue;
            say_killed(seed);
            /* A file STOP, or a limit of one: the person, or the machine, wants all of them to end. */
            if ((seed->code == EXIT_STOPPED || seed->code == EXIT_CONTINUE) && !crew->stopped) ask_all_to_end(crew, seed->code, 0);
        }
        const struct seed *at_work[crew->places];
        for (int i = 0; i < crew->places; i++) at_work[i] = crew->child[i].seed;
        seeds_screen_draw(crew->screen, at_work, crew->places);
    }
    leave_rest(crew, next);
}

void seeds_run_alone(struct seeds *seeds, struct comm *comm)
{
    struct error err = {0};
    const bool silent = seeds->args->quiet || seeds->args->json;
    struct crew crew = {.seeds = seeds, .comm = comm, .places = 1, .screen = seeds_screen_create(seeds, silent)};
    crew.child = calloc((size_t)seeds->count, sizeof *crew.child);
    CHECK(crew.child, "out of memory");
    if (stop_open(&crew.stop, 0, seeds->config->train_stop_margin, NULL, &err)) die_error(&err);
    signalled = &crew;
    void (*const before)(int) = signal(SIGTSTP, pause_all);
    seeds->refused = !rehearse_all(&crew, seeds->args->dry_run ? TELL_DRY_RUN : REHEARSE);
    if (crew.stopped) leave_rest(&crew, 0);
    if (!seeds->refused && !seeds->args->dry_run) plan(&crew);
    if (crew.todo > 0) {
        stop_limit(crew.stop, seeds->config->train_max_seconds); /* of training */
        say_plan(&crew);
        train_all(&crew);
    }
    signal(SIGTSTP, before);
    if (crew.stopped) {
        signal(SIGINT, SIG_DFL);
        signal(SIGQUIT, SIG_DFL);
    }
    stop_close(crew.stop);
    seeds_screen_destroy(crew.screen);
    free(crew.child);
}
