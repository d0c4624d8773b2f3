#include "run/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

static const char lock_name[] = "lock", taking_name[] = "lock.taking";

struct owner {
    char host[128], boot[64], space[64], job[64], since[32], token[40];
    long pid, restart;
    unsigned long long started, counter;
};

enum { LOCK_TEXT = 1024 };

struct lock {
    int directory, fd; /* fd: our own file, whatever stands under its name */
    struct owner owner;
    double beat;
    atomic_bool lost;
    bool beating, stop;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
};

/* ---- who is who ---------------------------------------------------------------------------------------------------------------------- */

/* Start time of a process in clock ticks since boot (field 22 of its stat); 0: it is gone or a zombie; 1: it is there, but can't be looked
 * at. */
static unsigned long long process_started(long pid)
{
    char path[64], text[1024];
    text_format(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return kill((pid_t)pid, 0) == 0 || errno == EPERM ? 1 : 0;
    const size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    /* The name in parentheses can hold anything; behind its end the fields are plain. */
    const char *at = strrchr(text, ')');
    char state = 'X';
    unsigned long long started = 0;
    if (at == NULL ||
        sscanf(at, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &state, &started) != 2)
        return 1;
    return state == 'Z' || state == 'X' || state == 'x' ? 0 : started;
}

static void first_line(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "re");
    text[0] = '\0';
    if (file == NULL) return;
    if (fgets(text, (int)size, file) != NULL) text[strcspn(text, "\n")] = '\0';
    fclose(file);
}

/* A word of a lock file: never empty, no white space. */
static void word(char *out, size_t size, const char *text)
{
    text_format(out, size, "%s", text != NULL && text[0] != '\0' ? text : "-");
    for (char *c = out; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~') *c = '_';
}

static void owner_self(struct owner *me)
{
    char text[256] = "";
    memset(me, 0, sizeof *me);
    if (gethostname(text, sizeof text - 1) != 0) text[0] = '\0';
    word(me->host, sizeof me->host, text);
    first_line("/proc/sys/kernel/random/boot_id", text, sizeof text);
    word(me->boot, sizeof me->boot, text);
    /* Containers can share a host name and number their processes independently. */
    const ssize_t length = readlink("/proc/self/ns/pid", text, sizeof text - 1);
    text[length > 0 ? length : 0] = '\0';
    word(me->space, sizeof me->space, text);
    word(me->job, sizeof me->job, getenv("SLURM_JOB_ID"));
    int64_t restart = 0;
    const char *count = getenv("SLURM_RESTART_COUNT");
    if (count != NULL && !text_to_int(count, &restart)) restart = 0;
    me->restart = (long)restart;
    clock_utc(text, sizeof text);
    word(me->since, sizeof me->since, text);
    me->pid = (long)getpid();
    me->started = process_started(me->pid);
    uint64_t random[2] = {(uint64_t)getpid(), (uint64_t)time(NULL)};
    if (getrandom(random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) random[1] ^= (uint64_t)(clock_seconds() * 1e9) << 20;
    text_format(me->token, sizeof me->token, "%016llx%016llx", (unsigned long long)random[0], (unsigned long long)random[1]);
}

/* The counter has a fixed width, so that rewriting it in place leaves no moment in which the file is not whole. */
static size_t owner_write(const struct owner *o, char *text, size_t size)
{
    text_format(text, size,
                "mappo lock: this folder belongs to a running mappo; it is removed at its end\n"
                "host %s\nboot %s\nspace %s\npid %ld\nstarted %llu\nsince %s\njob %s\nrestart %ld\ntoken %s\ncounter %020llu\n",
                o->host, o->boot, o->space, o->pid, o->started, o->since, o->job, o->restart, o->token, o->counter);
    return strlen(text);
}

static bool owner_parse(struct owner *o, const char *text)
{
    memset(o, 0, sizeof *o);
    return sscanf(text,
                  "mappo lock:%*[^\n]\nhost %127s\nboot %63s\nspace %63s\npid %ld\nstarted %llu\nsince %31s\njob %63s\nrestart %ld\ntoken "
                  "%39s\n"
                  "counter %20llu",
                  o->host, o->boot, o->space, &o->pid, &o->started, o->since, o->job, &o->restart, o->token, &o->counter) == 10;
}

enum verdict { OWNER_LIVES, OWNER_DEAD, OWNER_SUPERSEDED, OWNER_UNKNOWN };

static enum verdict owner_verdict(const struct owner *o, const struct owner *me)
{
    if (strcmp(o->job, "-") != 0 && strcmp(o->job, me->job) == 0 && me->restart > o->restart) return OWNER_SUPERSEDED;
    if (strcmp(o->host, me->host) != 0 || strcmp(o->boot, me->boot) != 0 || strcmp(o->space, me->space) != 0) return OWNER_UNKNOWN;
    const unsigned long long started = process_started(o->pid);
    if (started == 1 || o->started <= 1) return started == 0 ? OWNER_DEAD : OWNER_UNKNOWN;
    return started == o->started ? OWNER_LIVES : OWNER_DEAD;
}

static void owner_describe(const struct owner *o, char *text, size_t size)
{
    if (o->pid == 0)
        text_format(text, size, "something that wrote an unreadable lock");
    else if (strcmp(o->job, "-") != 0)
        text_format(text, size, "process %ld on %s (Slurm job %s, since %s)", o->pid, o->host, o->job, o->since);
    else
        text_format(text, size, "process %ld on %s (since %s)", o->pid, o->host, o->since);
}

/* ---- the file ------------------------------------------------------------------------------------------------------------------------ */

static void pause_seconds(double seconds)
{
    const struct timespec span = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&span, NULL);
}

/* Whole content of a lock file; false where there is none (or it can't be read: then `text` is empty and true is returned). */
static bool lock_read(int directory, const char *name, char text[LOCK_TEXT])
{
    text[0] = '\0';
    const int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return errno != ENOENT;
    const ssize_t length = read(fd, text, LOCK_TEXT - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    return true;
}

/* Our own finished file under a name of its own; its descriptor, or -1. */
static int write_own(int directory, const struct owner *me, char *name, size_t size)
{
    static atomic_uint counter;
    char text[LOCK_TEXT];
    const size_t length = owner_write(me, text, sizeof text);
    text_format(name, size, ".tmp-lock-%.64s-%ld-%u", me->host, me->pid, atomic_fetch_add(&counter, 1));
    const int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) return -1;
    if (write(fd, text, length) == (ssize_t)length && fsync(fd) == 0) return fd;
    const int failed = errno;
    close(fd);
    unlinkat(directory, name, 0);
    errno = failed;
    return -1;
}

/* Gives the finished file `temporary` the name `name`, unless that exists already. */
static bool publish(int directory, int fd, const char *temporary, const char *name)
{
    if (linkat(directory, temporary, directory, name, 0) == 0) {
        unlinkat(directory, temporary, 0);
        return true;
    }
    /* NFS may have made the link and lost the answer. */
    struct stat info;
    if (fstat(fd, &info) == 0 && info.st_nlink == 2) {
        unlinkat(directory, temporary, 0);
        return true;
    }
    if (errno == EEXIST) return false;
    return renameat2(directory, temporary, directory, name, RENAME_NOREPLACE) == 0; /* a file system without hard links */
}

static bool is_ours(const struct lock *lock)
{
    struct stat named, own;
    return fstatat(lock->directory, lock_name, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(lock->fd, &own) == 0 &&
           named.st_ino == own.st_ino && named.st_dev == own.st_dev;
}

/* ---- taking -------------------------------------------------------------------------------------------------------------------------- */

/* What has been seen of somebody's file so far. */
struct sighting {
    char text[LOCK_TEXT];
    double since; /* clock when it last changed; 0 = not seen yet */
};

static double seconds_unchanged(struct sighting *last, const char *text)
{
    const double now = clock_seconds();
    if (last->since <= 0 || strcmp(last->text, text) != 0) {
        text_format(last->text, sizeof last->text, "%s", text);
        last->since = now;
    }
    return now - last->since;
}

/* Puts our file in the place of the lock that reads `stale`, if it still does. One at a time: `lock.taking` is the lock of the takeover. */
static bool take_over(struct lock *lock, const char *own, const char *stale, struct sighting *taking, double patience)
{
    char name[256], now[LOCK_TEXT];
    const int fd = write_own(lock->directory, &lock->owner, name, sizeof name);
    if (fd < 0) { /* no room, no right: tried again, but not in a tight loop */
        pause_seconds(0.5);
        return false;
    }
    bool taken = false;
    if (publish(lock->directory, fd, name, taking_name)) {
        if (lock_read(lock->directory, lock_name, now) && strcmp(now, stale) == 0)
            taken = renameat(lock->directory, own, lock->directory, lock_name) == 0;
        unlinkat(lock->directory, taking_name, 0);
        taking->since = 0;
    } else {
        unlinkat(lock->directory, name, 0);
        /* Whoever is taking it over needs microseconds; one that died meanwhile must not block the folder for ever. */
        struct owner other;
        if (lock_read(lock->directory, taking_name, now)) {
            const bool dead = owner_parse(&other, now) && owner_verdict(&other, &lock->owner) == OWNER_DEAD;
            if (seconds_unchanged(taking, now) > patience || dead) unlinkat(lock->directory, taking_name, 0);
        }
        pause_seconds(0.02);
    }
    close(fd);
    return taken;
}

static int refuse(const char *folder, const struct owner *owner, struct error *err)
{
    char who[300];
    owner_describe(owner, who, sizeof who);
    return error_set(err, EXIT_USAGE,
                     "%s: belongs to a live run, %s; wait for its end, stop it (touch %s/STOP), or choose another folder with run=", folder,
                     who, folder);
}

/* A person's file or folder of that name. An empty one may be what a crash left of a lock. */
static bool is_foreign(int directory, const char *text)
{
    static const char ours[] = "mappo lock:";
    struct stat info;
    if (fstatat(directory, lock_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(info.st_mode)) return true;
    return text[0] && strncmp(text, ours, strlen(ours)) != 0;
}

/* Until our file `own` stands as the lock. */
static int contend(struct lock *lock, const char *folder, const char *own, double stale, struct error *err)
{
    struct sighting last = {.since = 0}, taking = {.since = 0};
    bool told = false;
    for (;;) {
        if (publish(lock->directory, lock->fd, own, lock_name)) return EXIT_DONE;
        if (errno != EEXIST) return error_set(err, EXIT_USAGE, "%s: can't make the run's lock: %s", folder, strerror(errno));
        char text[LOCK_TEXT], before[LOCK_TEXT], who[300];
        if (!lock_read(lock->directory, lock_name, text)) continue;
        if (is_foreign(lock->directory, text))
            return error_set(err, EXIT_USAGE, "%s/%s is in the way, and no lock of a run: move it, or choose another folder with run=DIR",
                             folder, lock_name);
        struct owner owner, earlier;
        if (!owner_parse(&owner, text)) memset(&owner, 0, sizeof owner);
        enum verdict verdict = owner.pid != 0 ? owner_verdict(&owner, &lock->owner) : OWNER_UNKNOWN;
        if (verdict == OWNER_LIVES) return refuse(folder, &owner, err);
        const bool seen = last.since > 0;
        memcpy(before, last.text, sizeof before);
        const double unchanged = seconds_unchanged(&last, text);
        if (verdict == OWNER_UNKNOWN && seen && owner_parse(&earlier, before) && strcmp(earlier.token, owner.token) == 0 &&
            earlier.counter != owner.counter)
            return refuse(folder, &owner, err);
        owner_describe(&owner, who, sizeof who);
        if (verdict == OWNER_UNKNOWN && unchanged < stale) {
            if (!told) warn("%s: locked by %s; waiting %.0f s to see whether it lives", folder, who, stale);
            told = true;
            pause_seconds(stale / 60 < 0.5 ? stale / 60 : 0.5);
            continue;
        }
        if (take_over(lock, own, text, &taking, stale)) {
            warn("%s: took over the lock of %s, %s", folder, who,
                 verdict == OWNER_SUPERSEDED ? "an earlier start of this job" : "which is gone");
            return EXIT_DONE;
        }
    }
}

/* ---- keeping ------------------------------------------------------------------------------------------------------------------------- */

static void beat(struct lock *lock)
{
    char text[LOCK_TEXT];
    lock->owner.counter++;
    const size_t length = owner_write(&lock->owner, text, sizeof text);
    if (!is_ours(lock)) atomic_store(&lock->lost, true);
    /* In place, in our own file: if another one has its place, that one is not touched. What fails now is tried again at the next beat. */
    if (pwrite(lock->fd, text, length, 0) == (ssize_t)length) fsync(lock->fd);
}

static void *beat_thread(void *user)
{
    struct lock *lock = user;
    pthread_mutex_lock(&lock->mutex);
    while (!lock->stop) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        const double at = (double)until.tv_nsec * 1e-9 + lock->beat;
        until.tv_sec += (time_t)at;
        until.tv_nsec = (long)((at - (double)(time_t)at) * 1e9);
        if (pthread_cond_timedwait(&lock->wake, &lock->mutex, &until) != ETIMEDOUT || lock->stop) continue;
        pthread_mutex_unlock(&lock->mutex); /* a slow file system must not hold up the release */
        beat(lock);
        pthread_mutex_lock(&lock->mutex);
    }
    pthread_mutex_unlock(&lock->mutex);
    return NULL;
}

static void start_beating(struct lock *lock)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&lock->mutex, NULL);
    pthread_cond_init(&lock->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    /* Signals are the main thread's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    lock->beating = pthread_create(&lock->thread, NULL, beat_thread, lock) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!lock->beating) warn("can't start the thread that keeps the run's lock fresh: another machine could take the folder over");
}

int lock_take(struct lock **out, const char *folder, int directory, const struct lock_timing *timing, struct error *err)
{
    *out = NULL;
    struct lock *lock = calloc(1, sizeof *lock);
    CHECK(lock != NULL, "out of memory locking %s", folder);
    lock->directory = directory;
    lock->beat = timing->beat;
    owner_self(&lock->owner);
    char own[256];
    lock->fd = write_own(directory, &lock->owner, own, sizeof own);
    if (lock->fd < 0) {
        free(lock);
        return error_set(err, EXIT_USAGE, "%s: can't write into the run's folder: %s", folder, strerror(errno));
    }
    const int code = contend(lock, folder, own, timing->stale, err);
    if (code != EXIT_DONE) {
        unlinkat(directory, own, 0);
        close(lock->fd);
        free(lock);
        return code;
    }
    /* Somebody who found the file before ours stale may have been just about to replace it: the last one has it. */
    pause_seconds(0.02);
    if (!is_ours(lock)) {
        close(lock->fd);
        free(lock);
        return error_set(err, EXIT_USAGE, "%s: another run took this folder at the same moment", folder);
    }
    start_beating(lock);
    *out = lock;
    return EXIT_DONE;
}

bool lock_lives(int directory, double stale, char *who, size_t size)
{
    struct owner owner, me;
    char text[LOCK_TEXT];
    struct stat info;
    who[0] = '\0';
    if (!lock_read(directory, lock_name, text)) return false;
    owner_self(&me);
    const bool known = owner_parse(&owner, text);
    owner_describe(&owner, who, size);
    const enum verdict verdict = known ? owner_verdict(&owner, &me) : OWNER_UNKNOWN;
    if (verdict != OWNER_UNKNOWN) return verdict == OWNER_LIVES;
    return fstatat(directory, lock_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && difftime(time(NULL), info.st_mtime) < stale;
}

bool lock_held(struct lock *lock)
{
    if (!is_ours(lock)) atomic_store(&lock->lost, true);
    return !atomic_load(&lock->lost);
}

void lock_release(struct lock *lock)
{
    if (lock == NULL) return;
    if (lock->beating) {
        pthread_mutex_lock(&lock->mutex);
        lock->stop = true;
        pthread_cond_signal(&lock->wake);
        pthread_mutex_unlock(&lock->mutex);
        pthread_join(lock->thread, NULL);
    }
    if (is_ours(lock)) unlinkat(lock->directory, lock_name, 0);
    close(lock->fd);
    pthread_cond_destroy(&lock->wake);
    pthread_mutex_destroy(&lock->mutex);
    free(lock);
}
