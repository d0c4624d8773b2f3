#include "env/calls.h"

#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"

enum { THREADS_MOST = 1024 /* train.threads */ };

/* What a thread is called for: read by the handler on the same thread, and by whoever asks what hangs. */
struct call {
    _Alignas(64) _Atomic(const char *) id;
    _Atomic(const char *) where; /* NULL: in none */
    char word[128];              /* room for it */
};
static struct call of_threads[THREADS_MOST];
static atomic_int threads;
static _Thread_local struct call unlisted; /* of threads beyond the most */
static _Thread_local struct call *now;     /* NULL: it has called nothing yet */

/* A stack that has overflown has no room for a handler. */
static _Thread_local char spare_stack[32768];

static const struct {
    int number;
    const char *name;
} fault[] = {{SIGSEGV, "SIGSEGV, memory that is not its own"},
             {SIGBUS, "SIGBUS, memory that is not there"},
             {SIGFPE, "SIGFPE, a division by zero"},
             {SIGILL, "SIGILL, an illegal instruction"},
             {SIGABRT, "SIGABRT, an assertion or abort()"}};
enum { FAULTS = sizeof fault / sizeof *fault };
static struct sigaction before[FAULTS];
static bool installed;
static pthread_t main_thread;
static atomic_flag spoken = ATOMIC_FLAG_INIT; /* of several threads that fail alike one prints its error and ends them all */

static const char *where_now(void)
{
    return now ? atomic_load_explicit(&now->where, memory_order_relaxed) : NULL;
}

/* ---- the ends ------------------------------------------------------------------------------------------------------------------------ */

/* Only what is allowed in a handler. Signals that are not an environment's fault have their usual effect. */
static void crashed(int number)
{
    struct rlimit core;
    int f = 0;
    while (f < FAULTS - 1 && fault[f].number != number) f++;
    if (where_now()) {
        while (atomic_flag_test_and_set(&spoken)) pause();
        const char *const words[] = {"environment \"", now->id, "\" crashed ", where_now(), " (", fault[f].name, ")"};
        calls_leave();
        last_words(words, sizeof words / sizeof *words);
        if (getrlimit(RLIMIT_CORE, &core) || core.rlim_cur == 0) _exit(EXIT_ENVIRONMENT);
        signal(number, SIG_DFL);
    } else {
        sigaction(number, &before[f], NULL);
    }
    raise(number); /* blocked until this returns */
}

static void ended(void)
{
    const char *where = where_now();
    if (!where && pthread_equal(pthread_self(), main_thread)) return; /* main's own end, and no other thread of ours calls exit() */
    while (atomic_flag_test_and_set(&spoken)) pause();
    if (!where)
        die(EXIT_INTERNAL,
            "a thread that is not this program's own, of the environment or of a library, ended it with exit(): an environment "
            "must return an error instead (docs/env-abi.md)");
    calls_leave();
    die(EXIT_ENVIRONMENT, "environment \"%s\" ended the program %s with exit(): it must return an error instead (docs/env-abi.md)",
        atomic_load(&now->id), where);
}

void calls_install_handlers(void)
{
    struct sigaction action = {.sa_handler = crashed, .sa_flags = SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    for (int f = 0; f < FAULTS; f++) sigaction(fault[f].number, &action, &before[f]);
    /* A handler is called once, for the thread that takes it off the C library's list: threads that exit at the same moment would find none
     * left and end the process with a code of their own, so there is one for each. */
    for (int i = 0; i < THREADS_MOST; i++) {
        atexit(ended);
        at_quick_exit(ended);
    }
    main_thread = pthread_self();
    installed = true;
}

/* ---- the calls ----------------------------------------------------------------------------------------------------------------------- */

static void list_thread(void)
{
    const stack_t stack = {.ss_sp = spare_stack, .ss_size = sizeof spare_stack};
    const int number = atomic_load(&threads) < THREADS_MOST ? atomic_fetch_add(&threads, 1) : THREADS_MOST;
    now = number < THREADS_MOST ? &of_threads[number] : &unlisted;
    if (installed) sigaltstack(&stack, NULL);
}

void calls_enter(const char *id, const char *where)
{
    if (!now) list_thread();
    atomic_store_explicit(&now->id, id, memory_order_relaxed);
    atomic_store_explicit(&now->where, where, memory_order_release);
}

void calls_leave(void)
{
    atomic_store_explicit(&now->where, NULL, memory_order_relaxed);
}

bool calls_describe(char *text, size_t size)
{
    const int listed = atomic_load(&threads);
    for (int i = 0; i < listed && i < THREADS_MOST; i++) {
        const char *where = atomic_load_explicit(&of_threads[i].where, memory_order_acquire);
        if (!where) continue;
        text_format(text, size, "environment \"%s\" is %s", atomic_load(&of_threads[i].id), where);
        return true;
    }
    return false;
}

/* A result on its way out of a call. */
static int leave(int result)
{
    calls_leave();
    return result;
}

/* What libraries that an environment starts (an interpreter, a tool kit) do to the whole process: files would land in other folders,
 * numbers would be written with a comma. */
static int restore_surroundings(const struct mappo_env *env, const char *folder, struct mappo_env_error *error)
{
    char after[PATH_MAX];
    if (strcmp(localeconv()->decimal_point, ".") != 0) {
        setlocale(LC_NUMERIC, "C");
        warn("environment \"%s\": its %s set a locale with another decimal point: set back (LC_NUMERIC=C)", env->id,
             env->called.create ? env->called.create : "create()");
    }
    if (!*folder || (getcwd(after, sizeof after) && !strcmp(folder, after))) return 0;
    text_format(error->text, sizeof error->text,
                "its %s left another working directory: names of files mean other files there; it must change back",
                env->called.create ? env->called.create : "create()");
    return -1;
}

/* Where the author has another word for a function than mappo_env.h. */
static void enter_called(const struct mappo_env *env, const char *called, const char *usual)
{
    if (!now) list_thread();
    text_format(now->word, sizeof now->word, "in its %s", called ? called : usual);
    calls_enter(env->id, now->word);
}

int call_create(const struct mappo_env *env, const struct mappo_env_config *config, void **self, struct mappo_env_error *error)
{
    char folder[PATH_MAX];
    if (!getcwd(folder, sizeof folder)) folder[0] = '\0';
    enter_called(env, env->called.create, "create()");
    const int code = leave(env->create(config, self, error));
    return code ? code : restore_surroundings(env, folder, error);
}

void call_destroy(const struct mappo_env *env, void *self)
{
    calls_enter(env->id, "in its destroy()");
    env->destroy(self);
    calls_leave();
}

const struct mappo_env_spec *call_spec(const struct mappo_env *env, const void *self)
{
    enter_called(env, env->called.spec, "spec()");
    const struct mappo_env_spec *spec = env->spec(self);
    calls_leave();
    return spec;
}

int call_reset(const struct mappo_env *env, void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io,
               struct mappo_env_error *error)
{
    calls_enter(env->id, "in its reset()");
    return leave(env->reset(self, lo, hi, io, error));
}

int call_step(const struct mappo_env *env, void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    calls_enter(env->id, "in its step()");
    return leave(env->step(self, lo, hi, io, error));
}

int call_begin(const struct mappo_env *env, void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io,
               struct mappo_env_error *error)
{
    calls_enter(env->id, "in its begin()");
    return leave(env->begin(self, lo, hi, io, error));
}

int call_observe(const struct mappo_env *env, void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    calls_enter(env->id, "in its observe()");
    return leave(env->observe(self, lo, hi, io));
}

int call_script(const struct mappo_env *env, void *self, int32_t lo, int32_t hi, int32_t *const act_int[], float *const act_real[])
{
    calls_enter(env->id, "in its script()");
    return leave(env->script(self, lo, hi, act_int, act_real));
}

int call_draw(const struct mappo_env *env, const void *self, int32_t e, const struct mappo_canvas *canvas)
{
    calls_enter(env->id, "in its draw()");
    return leave(env->draw(self, e, canvas));
}

int call_draw_ended(const struct mappo_env *env, const void *self, const struct mappo_canvas *canvas)
{
    calls_enter(env->id, "in its draw_ended()");
    return leave(env->draw_ended(self, canvas));
}

int call_snapshot(const struct mappo_env *env, const void *self, int32_t e, void *bytes)
{
    calls_enter(env->id, "in its snapshot()");
    return leave(env->snapshot(self, e, bytes));
}

int call_restore(const struct mappo_env *env, void *self, int32_t e, const void *bytes, struct mappo_env_error *error)
{
    enter_called(env, env->called.restore, "restore()");
    return leave(env->restore(self, e, bytes, error));
}

int call_device(const struct mappo_env *env, void *self, struct mappo_device *out)
{
    calls_enter(env->id, "in its device()");
    return leave(env->device(self, out));
}
