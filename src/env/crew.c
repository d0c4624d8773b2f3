#include "env/crew.h"

#include <omp.h>
#include <stddef.h>

#include "base/event.h"

static const double SPIN = 1e-3, NAP = 1; /* seconds */

struct crew {
    int threads; /* with the one that they attend */
    struct event begun, done;
    atomic_int left; /* of them at work */
    /* Of what was begun last: */
    int parts; /* 0 = nothing comes any more */
    void (*part)(void *self, int k);
    void *self;
};

static _Thread_local struct crew *attending; /* the calling thread */

static void do_parts(const struct crew *crew, int thread)
{
    for (int k = thread; k < crew->parts; k += crew->threads) crew->part(crew->self, k);
}

static void stand_by(struct crew *crew, int thread)
{
    for (unsigned seen = 0;; seen++) {
        while (!event_await(&crew->begun, seen, SPIN, NAP)) continue;
        if (crew->parts == 0) return;
        do_parts(crew, thread);
        if (atomic_fetch_sub(&crew->left, 1) == 1) event_raise(&crew->done);
    }
}

static void begin(struct crew *crew, int parts, void (*part)(void *self, int k), void *self)
{
    crew->parts = parts;
    crew->part = part;
    crew->self = self;
    atomic_store(&crew->left, crew->threads - 1);
    event_raise(&crew->begun);
}

int crew_attend(int threads, int (*work)(void *self), void *self)
{
    struct crew crew = {.threads = 1};
    int code = 0;
    if (threads <= 1 || omp_in_parallel()) return work(self);
#pragma omp parallel num_threads(threads)
    {
        const int thread = omp_get_thread_num();
        if (thread == 0) {
            crew.threads = omp_get_num_threads();
            attending = &crew;
            code = work(self);
            attending = NULL;
            begin(&crew, 0, NULL, NULL);
        } else {
            stand_by(&crew, thread);
        }
    }
    return code;
}

bool crew_attends(void)
{
    return attending != NULL;
}

void crew_run(int parts, void (*part)(void *self, int k), void *self)
{
    struct crew *crew = attending;
    if (!crew) {
#pragma omp parallel for num_threads(parts) schedule(static, 1)
        for (int k = 0; k < parts; k++) part(self, k);
        return;
    }
    const unsigned done = atomic_load(&crew->done.value);
    begin(crew, parts, part, self);
    do_parts(crew, 0);
    if (crew->threads == 1) return;
    while (!event_await(&crew->done, done, SPIN, NAP)) continue;
}
