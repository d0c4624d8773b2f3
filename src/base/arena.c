#include "base/arena.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"

enum { ALIGNMENT = 64 };

/* The header of a block fills one alignment unit, so that what follows it is aligned. */
struct block {
    struct block *next;
};

struct arena {
    char name[64];
    struct block *blocks;
    size_t bytes;
    int sealed;
};

struct arena *arena_create(const char *name)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (!arena) die(EXIT_INTERNAL, "out of memory while creating \"%s\"", name);
    snprintf(arena->name, sizeof arena->name, "%s", name);
    return arena;
}

static double first_number(const char *path)
{
    double number = HUGE_VAL;
    FILE *file = fopen(path, "r");
    if (!file) return number;
    if (fscanf(file, "%lf", &number) != 1) number = HUGE_VAL; /* "max" */
    fclose(file);
    return number;
}

static double process_limit(int resource)
{
    struct rlimit limit;
    return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? (double)limit.rlim_cur : HUGE_VAL;
}

/* What this process can have at most: the machine's memory, the container's share of it, or what the shell's limits leave it. Every thread
 * finds the same. */
static struct memory_limit {
    double bytes; /* 0 = not looked at yet */
    const char *whose;
} memory_limit(void)
{
    static struct memory_limit limit;
    if (limit.bytes == 0) {
        const double machine = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGE_SIZE);
        const struct memory_limit all[] = {
            {machine > 0 ? machine : HUGE_VAL, "of this machine"},
            {first_number("/sys/fs/cgroup/memory.max"), "of this machine or container"},
            {first_number("/sys/fs/cgroup/memory/memory.limit_in_bytes"), "of this machine or container"},
            {process_limit(RLIMIT_AS), "that this process may have (ulimit -v)"},
            {process_limit(RLIMIT_DATA), "that this process may have (ulimit -d)"},
        };
        struct memory_limit least = all[0];
        for (size_t i = 1; i < sizeof all / sizeof *all; i++)
            if (all[i].bytes > 0 && all[i].bytes < least.bytes) least = all[i];
        limit = least;
    }
    return limit;
}

static MAPPO_NORETURN void too_much(const struct arena *arena, size_t count, size_t size)
{
    double wanted = (double)arena->bytes + (double)count * (double)size;
    die(EXIT_USAGE,
        "not enough memory: %s needs at least %.4g GB of the %.4g GB %s; fewer environments (rollout.envs) or steps (rollout.steps) need "
        "less",
        arena->name, wanted * 1e-9, memory_limit().bytes * 1e-9, memory_limit().whose);
}

void *arena_take(struct arena *arena, const char *what, size_t count, size_t size)
{
    CHECK(!arena->sealed, "%s: %s is allocated after building has ended", arena->name, what);
    /* The system gives out more than there is and ends the process when it is used: so the size is looked at before. */
    if ((double)arena->bytes + (double)count * (double)size > memory_limit().bytes) too_much(arena, count, size);
    size_t bytes = count * size, whole = ALIGNMENT + (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct block *block = aligned_alloc(ALIGNMENT, whole);
    if (!block) too_much(arena, count, size);
    memset(block, 0, whole);
    block->next = arena->blocks;
    arena->blocks = block;
    arena->bytes += bytes;
    return (char *)block + ALIGNMENT;
}

char *arena_text(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(arena_take(arena, "text", size, 1), text, size);
}

void arena_seal(struct arena *arena)
{
    arena->sealed = 1;
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->bytes;
}

void arena_destroy(struct arena *arena)
{
    if (!arena) return;
    for (struct block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

/* The number behind `key` in a file of the kernel's; `none` where there is no such file or number ("max"). */
static size_t number_in(const char *path, const char *key, size_t none)
{
    char line[128];
    size_t value = none;
    unsigned long long found;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%llu", &found) == 1) value = (size_t)found;
    if (file) fclose(file);
    return value;
}

size_t memory_free(void)
{
    const size_t kilobytes = number_in("/proc/meminfo", "MemAvailable:", 0), machine = kilobytes ? kilobytes * 1024 : SIZE_MAX;
    const size_t most = number_in("/sys/fs/cgroup/memory.max", "", SIZE_MAX), used = number_in("/sys/fs/cgroup/memory.current", "", 0);
    const size_t group = most == SIZE_MAX ? SIZE_MAX : most > used ? most - used : 0;
    return group < machine ? group : machine;
}

bool memory_room(size_t bytes)
{
    void *trial = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (trial == MAP_FAILED) return false;
    munmap(trial, bytes);
    return true;
}
