#include "comm/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

static struct {
    _Atomic(const char *) phase, waiting, waiting_for;
    atomic_uint signs; /* of life */
    double seconds;
    bool (*describe)(char *text, size_t size); /* set before the thread starts */
    pthread_t thread;
    /* The thread's own; the main thread takes the lock only while starting and stopping. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int running, stop;
} dog = {.phase = "start", .lock = PTHREAD_MUTEX_INITIALIZER};

/* The main thread may hang while it holds stderr's lock. */
static void end_rank(double idle)
{
    char line[512], call[128] = "", peers[128] = "";
    const char *waiting = atomic_load(&dog.waiting), *whom = atomic_load(&dog.waiting_for);
    if (waiting) snprintf(peers, sizeof peers, " (waiting for the other ranks in %s: one that does not say so is the cause)", waiting);
    if (whom) snprintf(peers, sizeof peers, " (waiting for %s)", whom);
    const bool called = dog.describe && dog.describe(call, sizeof call);
    snprintf(
        line, sizeof line,
        "no sign of life for %.0f s in phase \"%s\"%s%s%s; ending (comm.watchdog_seconds); the same command (without --fresh) continues "
        "from the last "
        "checkpoint",
        idle, atomic_load(&dog.phase), called ? ": " : "", call, peers);
    last_words((const char *const[]){line}, 1);
    _exit(EXIT_PEERS);
}

static void *watchdog_run(void *unused)
{
    (void)unused;
    /* Looks ten times within the limit, at least once a second. */
    const double tick = dog.seconds < 10 ? dog.seconds / 10 : 1;
    unsigned seen = atomic_load(&dog.signs);
    double idle = 0, last = clock_seconds();
    pthread_mutex_lock(&dog.lock);
    while (!dog.stop) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        const double nanoseconds = (double)until.tv_nsec + tick * 1e9;
        until.tv_sec += (time_t)(nanoseconds / 1e9);
        until.tv_nsec = (long)(nanoseconds - 1e9 * (double)(time_t)(nanoseconds / 1e9));
        pthread_cond_timedwait(&dog.wake, &dog.lock, &until);
        const double now = clock_seconds(), passed = now - last;
        last = now;
        const unsigned signs = atomic_load(&dog.signs);
        /* A tick that took far longer than it should: this process was stopped, not the work. */
        idle = signs != seen ? 0 : idle + (passed < 2 * tick ? passed : 2 * tick);
        seen = signs;
        if (idle >= dog.seconds && !dog.stop) end_rank(idle);
    }
    pthread_mutex_unlock(&dog.lock);
    return NULL;
}

void watchdog_start(double seconds)
{
    if (seconds <= 0 || dog.running) return;
    dog.seconds = seconds;
    dog.stop = 0;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&dog.wake, &attributes);
    pthread_condattr_destroy(&attributes);

    /* Signals belong to the main thread: its system calls are to be interrupted, not ours. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int code = pthread_create(&dog.thread, NULL, watchdog_run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code)
        warn("no thread for the watchdog (%s): a rank that hangs will not be noticed", strerror(code));
    else
        dog.running = 1;
}

void watchdog_ask(bool (*describe)(char *text, size_t size))
{
    dog.describe = describe;
}

void watchdog_phase(const char *phase)
{
    atomic_store_explicit(&dog.phase, phase, memory_order_relaxed);
    atomic_fetch_add_explicit(&dog.signs, 1, memory_order_relaxed);
}

void watchdog_sign(void)
{
    atomic_fetch_add_explicit(&dog.signs, 1, memory_order_relaxed);
}

const char *watchdog_phase_name(void)
{
    return atomic_load(&dog.phase);
}

void watchdog_waiting(const char *operation)
{
    atomic_store_explicit(&dog.waiting, operation, memory_order_relaxed);
}

void watchdog_waiting_for(const char *whom)
{
    atomic_store_explicit(&dog.waiting_for, whom, memory_order_relaxed);
}

void watchdog_stop(void)
{
    if (!dog.running) return;
    pthread_mutex_lock(&dog.lock);
    dog.stop = 1;
    pthread_cond_signal(&dog.wake);
    pthread_mutex_unlock(&dog.lock);
    pthread_join(dog.thread, NULL);
    pthread_cond_destroy(&dog.wake);
    dog.running = 0;
}
