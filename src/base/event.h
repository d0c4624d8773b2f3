/* Counters that one side raises and others wait for, between threads or, in shared memory, between processes. */
#ifndef MAPPO_BASE_EVENT_H
#define MAPPO_BASE_EVENT_H

#include <stdatomic.h>
#include <stdbool.h>

struct event {                      /* zeroed is ready */
    _Alignas(64) atomic_uint value; /* a cache line of its own */
    atomic_uint sleepers;
};

/* What was written before is there for whoever sees the new value. */
void event_raise(struct event *event);
/* Waits until the value is no longer `seen`: spins for `spin` seconds, then sleeps; false after `seconds`. A signal handler may make it
 * return early. */
bool event_await(struct event *event, unsigned seen, double spin, double seconds);

#endif
