#include "comm/openmp.h"

#include <ctype.h>
#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

/* ---- affinity and spinning ----------------------------------------------------------------------------------------------------------- */

static const char *const binding[] = {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY", "OMP_DYNAMIC"};
enum { BINDING = sizeof binding / sizeof *binding };

/* What they were, for the program that main starts in its own place: "<process> NAME=VALUE …". With the process, because programs that
 * this one starts inherit it. */
static const char handed_over[] = "MAPPO_UNBOUND";

/* The affinity that this process was started with. The library binds the main thread in a constructor of its own, which runs before ours:
 * only what stands in .preinit_array runs earlier. */
static cpu_set_t permitted[8];
static long permitted_bytes;

__attribute__((no_sanitize_address)) static void remember_affinity(void)
{
    permitted_bytes = syscall(SYS_sched_getaffinity, 0, sizeof permitted, permitted);
}
__attribute__((section(".preinit_array"), used)) static void (*const before_constructors)(void) = remember_affinity;

static bool binds(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value && strcasecmp(value, "false") != 0;
}

/* Takes the binding variables away; true where there were some. */
static bool unbind(void)
{
    char text[512];
    text_format(text, sizeof text, "%ld", (long)getpid());
    const size_t empty = strlen(text);
    for (int i = 0; i < BINDING; i++) {
        if (!binds(binding[i])) continue;
        const size_t length = strlen(text);
        text_format(text + length, sizeof text - length, " %s=%.100s", binding[i], getenv(binding[i]));
        unsetenv(binding[i]);
    }
    if (strlen(text) == empty) return false;
    setenv(handed_over, text, 1);
    if (permitted_bytes > 0) sched_setaffinity(0, (size_t)permitted_bytes, permitted);
    return true;
}

/* Long spinning starves the very thread that is waited for wherever two share a core (docs/decisions/006). A user's own setting wins. */
static bool shorten_spinning(void)
{
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return false;
    return setenv("GOMP_SPINCOUNT", "10000", 1) == 0;
}

void openmp_prepare(char **argv)
{
    const bool unbound = unbind(), shortened = shorten_spinning();
    if (unbound || shortened) execv("/proc/self/exe", argv); /* where it can't, all works as before, only slower at times */
}

const char *openmp_ignored(void)
{
    const char *text = getenv(handed_over);
    char *end;
    if (!text || strtol(text, &end, 10) != (long)getpid() || *end != ' ') return "";
    return end + 1;
}

/* ---- threads ------------------------------------------------------------------------------------------------------------------------- */

int openmp_most_threads(void)
{
    return omp_get_thread_limit();
}

enum { HELPERS = 3, MOST = 1024 }; /* a run's other threads: watchdog, lock, a checkpoint being written */

static void *wait_at(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* Of OpenMP's threads, as it reads OMP_STACKSIZE: 512M, in kilobytes where there is no letter. 0 = the usual one. */
static size_t stack_size(void)
{
    static const char units[] = "bkmg";
    const char *text = getenv("OMP_STACKSIZE");
    char *end;
    if (!text) return 0;
    const double number = strtod(text, &end);
    const char *unit = strchr(units, *end ? tolower(*end) : 'k');
    return unit && number > 0 ? (size_t)ldexp(number, 10 * (int)(unit - units)) : 0;
}

/* How many of the wanted threads can be there at the same time. */
static int try_threads(int wanted, int *failed)
{
    static pthread_t thread[MOST + HELPERS];
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_attr_t attributes;
    sigset_t all, before;
    int count = 0;
    *failed = 0;
    pthread_attr_init(&attributes);
    if (stack_size() > 0) pthread_attr_setstacksize(&attributes, stack_size());
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&gate);
    while (count < wanted && (*failed = pthread_create(&thread[count], &attributes, wait_at, &gate)) == 0) count++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < count; i++) pthread_join(thread[i], NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return count;
}

int openmp_start_threads(int threads, struct error *err)
{
    if (threads > MOST) threads = MOST;
    int failed;
    const int had = try_threads(threads - 1 + HELPERS, &failed), room = had + 1 - HELPERS;
    if (failed) {
        char less[64] = "";
        if (room >= 1 && threads > 1) text_format(less, sizeof less, ", or use fewer threads (threads=%d at most)", room);
        return error_set(err, EXIT_USAGE,
                         "%d thread%s and %d for the run's own business can't be started: %s; raise the limit on memory (ulimit -v) or on "
                         "processes (ulimit -u, a container's pids), lower OMP_STACKSIZE where it is set%s",
                         threads, threads == 1 ? "" : "s", HELPERS, strerror(failed), less);
    }
    int started = 0;
#pragma omp parallel num_threads(threads) reduction(+ : started)
    started++;
    (void)started;
    return 0;
}
