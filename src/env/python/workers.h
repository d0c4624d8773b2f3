/* Worker processes: interpreters that run mappo_worker.py, each with some of a batch's environments. They talk in lines of text over a socket,
 * and work on arrays of a window that all of them share.
 *
 * Nothing outlives this process: each worker leads a process group of its own (Ctrl-C in a terminal does not reach it), in which a watcher
 * waits for our end, however it comes, and then kills the group with all that an environment has started.
 *
 * Starting one takes as long as Python imports what the environment needs, so workers that are no longer needed are parked, and serve the
 * next batch of the same environments. Errors: -1 and *error. Not for several threads at once but where said. */
#ifndef MAPPO_ENV_PYTHON_WORKERS_H
#define MAPPO_ENV_PYTHON_WORKERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "env/mappo_env.h"

/* What all workers of a batch have in common, and keep as long as they live. */
struct python_kind {
    const char *interpreter; /* a program's name or path */
    const char *source;      /* "gymnasium:CartPole-v1" */
    const char *args, *teams;
};

struct python_worker {
    pid_t process, watcher; /* 0: not running */
    int socket;             /* -1 likewise */
    char *in;               /* [room] what it sent and nobody has taken yet: `have` bytes */
    size_t have, room;
    int32_t first, count; /* rows first, first + stride … of the batch */
    int again;            /* times that it was started anew in this batch */
    bool leaving;         /* it was asked to leave the window, and has not said yet that it did */
    /* words of the window (window.h); NULL before it is laid out */
    atomic_uint *bell, *answer, *said;
    atomic_uint heard; /* of `said`; any thread may read it */
};

struct python_workers {
    char *kind[4]; /* of struct python_kind, in its order */
    pid_t owner;   /* the process that started them: a fork has no workers of its own */
    struct python_worker *worker;
    int workers, used; /* used: by the batch that is open */
    int window;        /* memfd */
    char *memory;      /* [bytes] it, mapped; NULL = nothing is */
    size_t bytes;
    struct python_workers *next; /* parked */
};

/* `count` workers at least, of which the first `count` are used. */
int workers_take(struct python_workers **out, const struct python_kind *kind, int count, struct mappo_env_error *error);
void workers_park(struct python_workers *workers); /* those that run wait for the next batch; NULL is allowed */

/* The window, zeroed, of at least that many bytes; all addresses in it are new ones. */
int workers_window(struct python_workers *workers, size_t bytes, struct mappo_env_error *error);

/* Starts number k, or starts it anew after it died or worker_end. */
int worker_start(struct python_workers *workers, int k, struct mappo_env_error *error);
/* Kills it with all it has started. */
void worker_end(struct python_worker *worker);
/* Whether it runs; where not, how it ended ("was killed by signal 9"). Any thread, one a worker. */
bool worker_runs(struct python_worker *worker, char *how, size_t size);

/* Sends text, which ends with a line's end. */
int worker_say(struct python_workers *workers, int k, const char *text, struct mappo_env_error *error);
/* The next line that it sends, without its end, until the next call; waits for it, or (not `wait`) leaves *line NULL where there is none. */
int worker_hear(struct python_workers *workers, int k, bool wait, char **line, struct mappo_env_error *error);
/* The next `bytes` that it sends. */
int worker_read(struct python_workers *workers, int k, void *to, size_t bytes, struct mappo_env_error *error);

/* Rings its bell: what it is asked for stands in the window, or on the socket. */
void worker_ring(struct python_worker *worker);
/* Waits until its answers are no longer `seen`; false: they still were after `seconds`. Any thread. */
bool worker_await(const struct python_worker *worker, unsigned seen, double seconds);

#endif
