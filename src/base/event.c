#include "base/event.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* Between processes: not FUTEX_PRIVATE. */
static void futex_wake_all(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}

static void futex_wait(atomic_uint *word, unsigned seen, double seconds)
{
    const struct timespec limit = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
    syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, NULL, 0);
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void event_raise(struct event *event)
{
    atomic_fetch_add(&event->value, 1);
    if (atomic_load(&event->sleepers) > 0) futex_wake_all(&event->value);
}

bool event_await(struct event *event, unsigned seen, double spin, double seconds)
{
    const double until = clock_seconds() + spin;
    do {
        for (int i = 0; i < 64; i++) {
            if (atomic_load_explicit(&event->value, memory_order_acquire) != seen) return true;
            relax();
        }
    } while (clock_seconds() < until);
    /* Whoever raises it looks for sleepers after it has changed the value, and the kernel looks at the value again before it lets us sleep:
     * nobody sleeps through a change. */
    atomic_fetch_add(&event->sleepers, 1);
    if (atomic_load(&event->value) == seen) futex_wait(&event->value, seen, seconds);
    atomic_fetch_sub(&event->sleepers, 1);
    return atomic_load(&event->value) != seen;
}
