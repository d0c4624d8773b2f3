/* Named pieces of state: what a checkpoint holds is a list of them. Whoever owns state lists it, and saving, loading, inspecting and the
 * page that describes checkpoints walk the list. */
#ifndef MAPPO_BASE_FIELD_H
#define MAPPO_BASE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type { FIELD_REAL, FIELD_DOUBLE, FIELD_INT64, FIELD_UINT64, FIELD_BYTES, FIELD_INT32 };

/* Replicated, the same on every rank, unless `per_env`: then axis 0 is the environment. A rank lists those it steps, in order; in a file
 * stand those of all ranks, by global index, so that a run may go on with another number of ranks. */
struct field {
    char name[128]; /* "/policy/agent/actor/fc1/weight" */
    int type, rank;
    bool per_env;
    int64_t shape[4];
    void *data; /* host memory of the owner */
    char description[160];
    const char *units; /* "1", "reward", "environment steps" */
};
struct field_list {
    struct field *field; /* to be freed by who made the list */
    int count, room;
};

/* Both return the new line, which the next one may move. */
struct field *field_add(struct field_list *list, const char *name, int type, void *data, const char *units, const char *description,
                        int rank, ...); /* int64_t extents */
struct field *field_copy(struct field_list *list, const struct field *field);
const struct field *field_find(const struct field_list *list, const char *name); /* NULL where there is none */
bool field_alike(const struct field *a, const struct field *b);                  /* of the same type and shape */
size_t field_bytes(const struct field *field);                                   /* of its data */
const char *field_type_name(const struct field *field);                          /* "float32" */

#endif
