#include "backend/memory.h"

#include <stdlib.h>

void backend_memory_create(struct backend_memory *memory, const char *name, struct backend *backend)
{
    *memory = (struct backend_memory){.name = name, .backend = backend, .arena = arena_create(name)};
}

static void *note(struct backend_blocks *blocks, void *block)
{
    if (blocks->count == blocks->room) {
        blocks->room = blocks->room > 0 ? 2 * blocks->room : 64;
        blocks->block = realloc(blocks->block, (size_t)blocks->room * sizeof *blocks->block);
        CHECK(blocks->block, "out of memory listing a backend's arrays");
    }
    return blocks->block[blocks->count++] = block;
}

void *backend_memory_take(struct backend_memory *memory, const char *what, size_t count, size_t size)
{
    struct backend *backend = memory->backend;
    if (backend->host_memory && !backend->planning) return arena_take(memory->arena, what, count, size);
    return note(&memory->taken, backend->alloc(backend, memory->name, count * size));
}

void *backend_memory_host(struct backend_memory *memory, const char *what, size_t bytes)
{
    struct backend *backend = memory->backend;
    if (!backend->host_alloc) return arena_take(memory->arena, what, bytes, 1);
    return note(&memory->pinned, backend->host_alloc(backend, what, bytes));
}

struct packed_rows *backend_memory_packed(struct backend_memory *memory, const struct network *net, int max_rows)
{
    return note(&memory->packed, memory->backend->packed_rows_create(memory->backend, net, max_rows));
}

void backend_memory_destroy(struct backend_memory *memory)
{
    struct backend *backend = memory->backend;
    for (int i = 0; i < memory->packed.count; i++) backend->packed_rows_destroy(backend, memory->packed.block[i]);
    for (int i = 0; i < memory->taken.count; i++) backend->free(backend, memory->taken.block[i]);
    for (int i = 0; i < memory->pinned.count; i++) backend->host_free(backend, memory->pinned.block[i]);
    free(memory->packed.block);
    free(memory->taken.block);
    free(memory->pinned.block);
    arena_destroy(memory->arena);
}
