#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

void *arena_take(struct arena *arena, const char *what, size_t count, size_t size)
{
    CHECK(!arena->sealed, "%s: %s is allocated after building has ended", arena->name, what);
    size_t bytes;
    int overflow = __builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2;
    size_t whole = overflow ? 0 : ALIGNMENT + (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct block *block = overflow ? NULL : aligned_alloc(ALIGNMENT, whole);
    if (!block)
        die(EXIT_INTERNAL, "out of memory: %s needs %zu × %zu bytes for %s, having %.1f MB; fewer environments or steps need less",
            arena->name, count, size, what, (double)arena->bytes * 1e-6);
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
