/* Arrays of a test in the memory of whatever backend is being tested: lend copies a host array there, take copies it back. */
#ifndef TESTS_BACKEND_MEMORY_H
#define TESTS_BACKEND_MEMORY_H

#include "backend/backend.h"

enum { LENT_MOST = 256 };
static void *lent[LENT_MOST];
static int lents;

/* NULL stays NULL. Belongs to the backend until lend_end. */
static inline void *lend(struct backend *b, const void *host, size_t bytes)
{
    if (!host) return NULL;
    if (lents == LENT_MOST) die(EXIT_INTERNAL, "a test lends more than %d arrays", LENT_MOST);
    return lent[lents++] = backend_copy(b, "a test", host, bytes);
}

static inline void take(struct backend *b, void *host, const void *of_backend, size_t bytes)
{
    b->download(b, host, of_backend, bytes);
}

static inline void lend_end(struct backend *b)
{
    while (lents > 0) b->free(b, lent[--lents]);
}

#define LEND(b, array)             lend((b), (array), sizeof(array))
#define TAKE(b, array, of_backend) take((b), (array), (of_backend), sizeof(array))

#endif
