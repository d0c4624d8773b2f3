/* Memory that lives as long as its owner: sizes are declared while building, nothing is allocated while stepping or updating.
 * Every block is zeroed and aligned to 64 bytes. `arena_seal` marks the end of building: taking from a sealed arena is a fault of ours.
 * Errors: more than the machine has ends the program with EXIT_USAGE before it is touched, naming the arena and the bytes. */
#ifndef MAPPO_BASE_ARENA_H
#define MAPPO_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

struct arena *arena_create(const char *name); /* `name` is shown in messages and in memory reports; copied */
void *arena_take(struct arena *arena, const char *what, size_t count, size_t size); /* `what` is for messages about faults of ours */
char *arena_text(struct arena *arena, const char *text);                            /* a copy */
void arena_seal(struct arena *arena);
size_t arena_bytes(const struct arena *arena);
void arena_destroy(struct arena *arena); /* NULL is allowed */

/* Can that much more be had now? For what comes from libraries, which crash where there is none. */
bool memory_room(size_t bytes);
/* What this machine, or the control group that this process is in, has left; SIZE_MAX where neither tells. */
size_t memory_free(void);

/* Typed: float *x = ARENA_NEW(arena, float, n); */
#define ARENA_NEW(arena, type, count) ((type *)arena_take((arena), #type "[" #count "]", (size_t)(count), sizeof(type)))

#endif
