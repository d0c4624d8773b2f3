/* Arrays of a backend that live as long as their owner. Where the host can use them they come from an arena, which notices what the machine
 * has no room for before it is touched; else they are the backend's. Errors: as those of base/arena.h and of the backend's alloc. */
#ifndef MAPPO_BACKEND_MEMORY_H
#define MAPPO_BACKEND_MEMORY_H

#include "backend/backend.h"
#include "base/arena.h"

struct backend_memory {
    const char *name; /* of the owner, for messages */
    struct backend *backend;
    struct arena *arena; /* also for what is the host's alone */
    struct backend_blocks {
        void **block;
        int count, room;
    } taken, pinned, packed;
};

void backend_memory_create(struct backend_memory *memory, const char *name /* lives as long */, struct backend *backend);
void backend_memory_destroy(struct backend_memory *memory); /* also of one that is all zeros */

void *backend_memory_take(struct backend_memory *memory, const char *what, size_t count, size_t size); /* zeroed */
/* The host's, where the backend copies from and to it while the host goes on. Zeroed. */
void *backend_memory_host(struct backend_memory *memory, const char *what, size_t bytes);

struct packed_rows *backend_memory_packed(struct backend_memory *memory, const struct network *net, int max_rows);

/* Typed: real *x = BACKEND_NEW(memory, real, n); */
#define BACKEND_NEW(memory, type, count) ((type *)backend_memory_take((memory), #type "[" #count "]", (size_t)(count), sizeof(type)))

#endif
