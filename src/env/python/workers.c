#include "env/python/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"
#include "env/python/module.h"

extern char **environ;

enum { SOCKET = 3, WINDOW = 4, MODULE = 5 }; /* descriptors that a worker finds */

static struct python_workers *parked;
static int life[2] = {-1, -1}; /* a pipe that nobody writes to: watchers see its end */
static pid_t life_owner;

static int fail(struct mappo_env_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct mappo_env_error *error, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    error->env = -1;
    vsnprintf(error->text, sizeof error->text, format, list);
    va_end(list);
    return -1;
}

/* ---- starting one -------------------------------------------------------------------------------------------------------------------- */

/* The environment of a worker: ours, and what was not said otherwise. Each worker computes on one core; nothing opens a window. */
static char **worker_environ(void)
{
    static const char *const added[] = {"OMP_NUM_THREADS=1",     "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1",
                                        "SDL_VIDEODRIVER=dummy", "SDL_AUDIODRIVER=dummy",  "PYGAME_HIDE_SUPPORT_PROMPT=1"};
    size_t count = 0, n = 0;
    while (environ[count]) count++;
    char **all = calloc(count + sizeof added / sizeof *added + 1, sizeof *all);
    if (!all) return NULL;
    for (; n < count; n++) all[n] = environ[n];
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        char name[32];
        text_format(name, sizeof name, "%.*s", (int)strcspn(added[i], "="), added[i]);
        if (!getenv(name)) all[n++] = (char *)(uintptr_t)added[i];
    }
    return all;
}

/* In a process group of its own (0), or of `group`; with none of our signal handlers and masks. */
static int spawn(pid_t *process, const char *program, char *const argv[], pid_t group, posix_spawn_file_actions_t *files)
{
    posix_spawnattr_t how;
    sigset_t all, none;
    char **variables = worker_environ();
    if (!variables) return ENOMEM;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&how, group);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setsigmask(&how, &none);
    const int code = posix_spawnp(process, program, files, &how, argv, variables);
    posix_spawnattr_destroy(&how);
    free(variables);
    return code;
}

static int spawn_worker(pid_t *process, const char *interpreter, int socket, int window, int module)
{
    /* Modules are imported under their own names, and tracebacks show their lines; the one that is run is the main one. */
    static char boot[] =
        "import sys,linecache,importlib.util as u\n"
        "p=open(5,'rb').read().decode().split('\\0')\n"
        "T=dict(zip(p[::2],p[1::2]))\n"
        "def run(n,d):\n"
        "  t,f=T[n],n+'.py'\n"
        "  d['__file__']=f\n"
        "  linecache.cache[f]=(len(t),None,t.splitlines(True),f)\n"
        "  exec(compile(t,f,'exec'),d)\n"
        "class Own:\n"
        "  def find_spec(s,n,p=None,t=None): return u.spec_from_loader(n,s,origin=n+'.py') if n in T else None\n"
        "  def create_module(s,spec): return None\n"
        "  def exec_module(s,m): run(m.__name__,m.__dict__)\n"
        "sys.meta_path.insert(0,Own())\n"
        "sys.argv=['mappo_worker.py']\n"
        "try: run('mappo_worker',globals())\n"
        "except ModuleNotFoundError as e:\n"
        "  x,v,n=sys.executable,sys.version_info,e.name\n"
        "  t='error\\t%s (Python %d.%d) has no %s: %s -m pip install %s, or name another interpreter, env.python=PATH\\n'\\\n"
        "    %(x,v[0],v[1],{'numpy':'NumPy'}.get(n,n),x,n)\n"
        "  import os; os.write(3,t.encode())\n";
    char *const argv[] = {(char *)(uintptr_t)interpreter, "-u", "-c", boot, NULL};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, 2, 1); /* what environments print is no result of ours */
    posix_spawn_file_actions_adddup2(&files, socket, SOCKET);
    posix_spawn_file_actions_adddup2(&files, window, WINDOW);
    posix_spawn_file_actions_adddup2(&files, module, MODULE);
    const int code = spawn(process, interpreter, argv, 0, &files);
    posix_spawn_file_actions_destroy(&files);
    return code;
}

/* Joins the group of a worker, and kills it when we are gone. */
static int spawn_watcher(pid_t *process, pid_t group)
{
    char *const argv[] = {"sh", "-c", "read x; kill -9 0", NULL};
    posix_spawn_file_actions_t files;
    if (life_owner != getpid()) {
        if (pipe2(life, O_CLOEXEC)) return errno;
        life_owner = getpid();
    }
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, life[0], 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    const int code = spawn(process, "/bin/sh", argv, group, &files);
    posix_spawn_file_actions_destroy(&files);
    return code;
}

/* Above those that a worker's own numbers are: dup2 of one onto itself would leave it closed in the worker. */
static int above(int descriptor)
{
    const int moved = descriptor < 0 ? -1 : fcntl(descriptor, F_DUPFD_CLOEXEC, 16);
    if (descriptor >= 0) close(descriptor);
    return moved;
}

static int modules_file(void)
{
    size_t bytes;
    const char *text = python_modules(&bytes);
    const int file = above(memfd_create("modules of a worker", MFD_CLOEXEC));
    if (file >= 0 && (write(file, text, bytes) != (ssize_t)bytes || lseek(file, 0, SEEK_SET))) {
        close(file);
        return -1;
    }
    return file;
}

int worker_start(struct python_workers *w, int k, struct mappo_env_error *error)
{
    struct python_worker *worker = &w->worker[k];
    const char *interpreter = w->kind[0];
    int ends[2], code = 0;
    worker->leaving = false;
    const int module = modules_file();
    if (module < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
        if (module >= 0) close(module);
        return fail(error, "a Python process can't be given its files: %s", strerror(errno));
    }
    worker->socket = above(ends[0]);
    const int theirs = above(ends[1]);
    code = spawn_worker(&worker->process, interpreter, theirs, w->window, module);
    close(theirs);
    close(module);
    if (code) {
        worker->process = 0;
        close(worker->socket);
        worker->socket = -1;
        if (code == ENOENT)
            return fail(
                error, "there is no program %s: install Python 3 with NumPy, or say which one to use, env.python=PATH or MAPPO_PYTHON=PATH",
                interpreter);
        return fail(error, "%s cannot be started: %s", interpreter, strerror(code));
    }
    code = spawn_watcher(&worker->watcher, worker->process);
    if (code) worker->watcher = 0;
    worker->have = 0;
    worker->heard = 0;
    return 0; /* without a watcher: it has ended at once, which whoever hears it finds out */
}

/* ---- its end ------------------------------------------------------------------------------------------------------------------------- */

bool worker_runs(struct python_worker *worker, char *how, size_t size)
{
    int status;
    if (worker->process && waitpid(worker->process, &status, WNOHANG) == 0) return true;
    if (worker->process) {
        if (WIFSIGNALED(status))
            text_format(how, size, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
        else
            text_format(how, size, "ended with exit code %d", WEXITSTATUS(status));
        kill(-worker->process, SIGKILL); /* what it has started, and the watcher */
        worker->process = 0;
    }
    return false;
}

static void reap(pid_t *process)
{
    while (*process && waitpid(*process, NULL, 0) < 0 && errno == EINTR) continue;
    *process = 0;
}

void worker_end(struct python_worker *worker)
{
    if (worker->process) kill(-worker->process, SIGKILL);
    reap(&worker->process);
    reap(&worker->watcher);
    if (worker->socket >= 0) close(worker->socket);
    worker->socket = -1;
    worker->have = 0;
}

static void workers_free(struct python_workers *w)
{
    for (int k = 0; k < w->workers; k++) {
        worker_end(&w->worker[k]);
        free(w->worker[k].in);
    }
    if (w->memory) munmap(w->memory, w->bytes);
    if (w->window >= 0) close(w->window);
    for (int i = 0; i < 4; i++) free(w->kind[i]);
    free(w->worker);
    free(w);
}

/* At the end of the process: environments get a moment to close what they have open. */
static void end_parked(void)
{
    enum { TRIES = 50 };
    const struct timespec moment = {0, 10000000};
    char how[64];
    for (struct python_workers *w = parked; w; w = w->next)
        for (int k = 0; k < w->workers && w->owner == getpid(); k++) {
            struct python_worker *worker = &w->worker[k];
            if (worker->socket >= 0 && send(worker->socket, "close\n", 6, MSG_NOSIGNAL | MSG_DONTWAIT) == 6 && worker->bell)
                worker_ring(worker);
        }
    while (parked) {
        struct python_workers *w = parked;
        parked = w->next;
        if (w->owner != getpid()) continue; /* of the process that forked us */
        for (int k = 0; k < w->workers; k++)
            for (int i = 0; i < TRIES && worker_runs(&w->worker[k], how, sizeof how); i++) nanosleep(&moment, NULL);
        workers_free(w);
    }
}

/* ---- many of them -------------------------------------------------------------------------------------------------------------------- */

static struct python_workers *workers_new(const struct python_kind *kind)
{
    const char *const text[] = {kind->interpreter, kind->source, kind->args, kind->teams};
    struct python_workers *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    bool failed = false;
    w->owner = getpid();
    w->window = above(memfd_create("arrays of environments", MFD_CLOEXEC));
    for (int i = 0; i < 4; i++) failed = !(w->kind[i] = strdup(text[i])) || failed;
    if (!failed && w->window >= 0) return w;
    workers_free(w);
    return NULL;
}

/* Takes parked ones off their list; NULL: there are none. */
static struct python_workers *find_parked(const struct python_kind *kind)
{
    const char *const text[] = {kind->interpreter, kind->source, kind->args, kind->teams};
    for (struct python_workers **at = &parked; *at; at = &(*at)->next) {
        struct python_workers *w = *at;
        bool same = w->owner == getpid();
        for (int i = 0; i < 4; i++) same = same && strcmp(w->kind[i], text[i]) == 0;
        if (!same) continue;
        *at = w->next;
        return w;
    }
    return NULL;
}

/* Room for `count`. */
static bool make_room(struct python_workers *w, int count)
{
    if (count <= w->workers) return true;
    struct python_worker *more = realloc(w->worker, (size_t)count * sizeof *more);
    if (!more) return false;
    memset(more + w->workers, 0, (size_t)(count - w->workers) * sizeof *more);
    for (int k = w->workers; k < count; k++) more[k].socket = -1;
    w->worker = more;
    w->workers = count;
    return true;
}

/* Whether number k runs and works on nothing: its arrays lie where others will. */
static bool has_left(struct python_workers *w, int k)
{
    struct python_worker *worker = &w->worker[k];
    struct mappo_env_error error;
    char how[64], *line = NULL;
    if (!worker->process || !worker_runs(worker, how, sizeof how)) return false;
    while (worker->leaving) {
        if (worker_hear(w, k, true, &line, &error)) return false;
        worker->leaving = strcmp(line, "left") != 0; /* what else it had to say is of no use now */
    }
    return true;
}

int workers_take(struct python_workers **out, const struct python_kind *kind, int count, struct mappo_env_error *error)
{
    static bool ends;
    if (!ends) atexit(end_parked);
    ends = true;
    struct python_workers *w = find_parked(kind);
    if (!w) w = workers_new(kind);
    *out = w;
    if (!w || !make_room(w, count)) return fail(error, "no memory for %d Python processes", count);
    w->used = count;
    for (int k = 0; k < w->workers; k++) {
        struct python_worker *worker = &w->worker[k];
        worker->again = 0;
        if (has_left(w, k)) continue;
        worker_end(worker);
        if (k < count && worker_start(w, k, error)) return -1;
    }
    return 0;
}

void workers_park(struct python_workers *w)
{
    struct mappo_env_error ignored;
    if (!w) return;
    for (int k = 0; k < w->used; k++) {
        struct python_worker *worker = &w->worker[k];
        if (!worker->process || worker_say(w, k, "leave\n", &ignored)) continue;
        worker->leaving = true;
        if (worker->bell) worker_ring(worker);
    }
    w->next = parked;
    parked = w;
}

int workers_window(struct python_workers *w, size_t bytes, struct mappo_env_error *error)
{
    if (w->memory) munmap(w->memory, w->bytes);
    w->memory = NULL;
    /* It only grows: a worker that is not used now may still have it mapped. */
    if (bytes > w->bytes) {
        if (ftruncate(w->window, (off_t)bytes)) return fail(error, "no memory for %zu bytes of arrays: %s", bytes, strerror(errno));
        w->bytes = bytes;
    }
    char *memory = mmap(NULL, w->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, w->window, 0);
    if (memory == MAP_FAILED) return fail(error, "no memory for %zu bytes of arrays: %s", bytes, strerror(errno));
    memset(memory, 0, bytes);
    w->memory = memory;
    for (int k = 0; k < w->workers; k++) {
        struct python_worker *worker = &w->worker[k];
        worker->bell = worker->answer = worker->said = NULL;
        worker->heard = 0;
    }
    return 0;
}

/* ---- talking ------------------------------------------------------------------------------------------------------------------------- */

/* What it said of its end went to stderr. */
static int is_gone(struct python_workers *w, int k, struct mappo_env_error *error)
{
    enum { TRIES = 100 };
    const struct timespec moment = {0, 10000000};
    struct python_worker *worker = &w->worker[k];
    char how[128] = "has closed its socket";
    for (int i = 0; i < TRIES && worker_runs(worker, how, sizeof how); i++) nanosleep(&moment, NULL);
    return fail(error, "Python process %d of %d (%s) %s; what it said stands above", k + 1, w->used, w->kind[0], how);
}

int worker_say(struct python_workers *w, int k, const char *text, struct mappo_env_error *error)
{
    for (size_t left = strlen(text); left > 0;) {
        const ssize_t sent = send(w->worker[k].socket, text, left, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return is_gone(w, k, error);
        text += sent;
        left -= (size_t)sent;
    }
    return 0;
}

/* More bytes behind those that are there; 0 where `wait` is false and nothing came. */
static int receive(struct python_workers *w, int k, bool wait, struct mappo_env_error *error)
{
    enum { LOOK = 100, TEN_SECONDS = 10000 / LOOK, ONE_MINUTE = 60000 / LOOK }; /* milliseconds between two looks whether it lives */
    struct python_worker *worker = &w->worker[k];
    char how[64];
    if (worker->have + 1 >= worker->room) {
        const size_t room = worker->room ? 2 * worker->room : 4096;
        char *in = realloc(worker->in, room);
        if (!in) return fail(error, "no memory for what a Python process says");
        worker->in = in;
        worker->room = room;
    }
    for (int looks = 1;; looks++) {
        struct pollfd socket = {.fd = worker->socket, .events = POLLIN};
        const int ready = poll(&socket, 1, wait ? LOOK : 0);
        if (ready > 0) {
            const ssize_t got = recv(worker->socket, worker->in + worker->have, worker->room - worker->have - 1, 0);
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) return is_gone(w, k, error);
            worker->have += (size_t)got;
            return (int)got;
        }
        if (!wait) return 0;
        /* A child of its own may hold the other end. */
        if (ready == 0 && !worker_runs(worker, how, sizeof how)) return is_gone(w, k, error);
        if (looks % ONE_MINUTE == TEN_SECONDS)
            warn(
                "Python process %d of %d (process %d) has not answered for %d s: what imports, makes or draws its environments is still at "
                "work; Ctrl-C twice ends the program",
                k + 1, w->used, (int)worker->process, looks * LOOK / 1000);
    }
}

/* Takes the first `bytes` away. */
static void take(struct python_worker *worker, size_t bytes)
{
    worker->have -= bytes;
    memmove(worker->in, worker->in + bytes, worker->have);
}

int worker_hear(struct python_workers *w, int k, bool wait, char **line, struct mappo_env_error *error)
{
    static char *said;
    static size_t room;
    struct python_worker *worker = &w->worker[k];
    size_t looked = 0;
    *line = NULL;
    for (;;) {
        char *end = looked < worker->have ? memchr(worker->in + looked, '\n', worker->have - looked) : NULL;
        if (end) {
            const size_t length = (size_t)(end - worker->in) + 1;
            if (room < length) {
                char *more = realloc(said, 2 * length);
                if (!more) return fail(error, "no memory for what a Python process says");
                said = more;
                room = 2 * length;
            }
            *end = '\0';
            memcpy(said, worker->in, length);
            take(worker, length);
            *line = said;
            return 0;
        }
        looked = worker->have;
        const int got = receive(w, k, wait, error);
        if (got <= 0) return got;
    }
}

int worker_read(struct python_workers *w, int k, void *to, size_t bytes, struct mappo_env_error *error)
{
    struct python_worker *worker = &w->worker[k];
    while (worker->have < bytes)
        if (receive(w, k, true, error) < 0) return -1;
    memcpy(to, worker->in, bytes);
    take(worker, bytes);
    return 0;
}

/* ---- bells: words that two processes share, so not FUTEX_PRIVATE ----------------------------------------------------------------------- */

void worker_ring(struct python_worker *worker)
{
    atomic_fetch_add(worker->bell, 1);
    syscall(SYS_futex, worker->bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}

bool worker_await(const struct python_worker *worker, unsigned seen, double seconds)
{
    const struct timespec limit = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
    return syscall(SYS_futex, worker->answer, FUTEX_WAIT, seen, &limit, NULL, 0) == 0 || errno != ETIMEDOUT;
}
