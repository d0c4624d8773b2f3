/* describe.h: what an environment looks like, said call by call: its groups, and for each what agents see and do, number by number. The
 * description owns its memory, names of numbers included, until description_free; other names, and units, have to live as long. A call that
 * fails (no memory, too many heads) is remembered, and the calls after it do nothing: ask once, with description_finish.
 *
 *     describe_group(d, "agent", 3, 0, MAPPO_SHARED_REWARD);
 *     describe_number(d, DESCRIBE_OBS, "m", -1, 1, "own place");       one more number of the observation
 *     describe_choice(d, DESCRIBE_ACT, 3, 0, moves);                   a head of one choice among three
 *
 * Everything else of the spec (max_steps, rules, infos …) is written into d->spec. Part of what a plugin compiles. C11 and C++17. */
#ifndef MAPPO_ENV_DESCRIBE_H
#define MAPPO_ENV_DESCRIBE_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env/mappo_env.h"
#include "env/slices.h"

enum describe_side { DESCRIBE_OBS, DESCRIBE_ACT };

struct description_block {
    struct description_block *next;
};
struct description {
    struct mappo_env_spec spec;
    const char *fault; /* what could not be described; NULL = nothing */
    struct description_block *blocks;
};

static inline void *description_alloc(struct description *d, size_t count, size_t size)
{
    enum { HEAD = 16 }; /* keeps what follows aligned */
    struct description_block *block = (struct description_block *)calloc(1, HEAD + count * size);
    if (!block) {
        d->fault = "out of memory";
        return NULL;
    }
    block->next = d->blocks;
    d->blocks = block;
    return (char *)block + HEAD;
}

static inline void description_free(struct description *d)
{
    while (d->blocks) {
        struct description_block *next = d->blocks->next;
        free(d->blocks);
        d->blocks = next;
    }
}

/* An array of `count` entries with room for one more; it moves when it has doubled. */
static inline void *description_grow(struct description *d, const void *array, int32_t count, size_t size)
{
    if (count & (count - 1)) return (void *)(uintptr_t)array;
    void *more = description_alloc(d, count ? 2 * (size_t)count : 1, size);
    if (more && count) memcpy(more, array, (size_t)count * size);
    return more;
}

static inline const char *description_text(struct description *d, const char *format, va_list args)
{
    char text[256];
    vsnprintf(text, sizeof text, format, args);
    char *copy = (char *)description_alloc(d, strlen(text) + 1, 1);
    return copy ? strcpy(copy, text) : "";
}

/* A text of the description's own, for names that are made of numbers. */
static inline const char *describe_text(struct description *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline const char *describe_text(struct description *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = description_text(d, format, args);
    va_end(args);
    return text;
}

/* A group of agents; what is described next is theirs. Its other members (state_size, agent_name) may be set in what is returned, which is
 * NULL where there are too many groups. */
static inline struct mappo_group *describe_group(struct description *d, const char *name, int32_t agents, int32_t team, uint32_t flags)
{
    if (d->spec.groups == MAPPO_MAX_GROUPS) d->fault = "it describes too many groups";
    if (d->fault) return NULL;
    struct mappo_group *group = &d->spec.group[d->spec.groups++];
    group->name = name;
    group->agents = agents;
    group->team = team;
    group->flags = flags;
    return group;
}

/* The head that is described now, of `kind`; a new one where the last is of another or `again`. */
static inline struct mappo_space *description_head(struct description *d, enum describe_side side, int32_t kind, int again)
{
    if (d->spec.groups == 0) d->fault = "it describes spaces before their group";
    if (d->fault) return NULL;
    struct mappo_group *group = &d->spec.group[d->spec.groups - 1];
    int32_t *heads = side == DESCRIBE_OBS ? &group->obs_heads : &group->act_heads;
    struct mappo_space *space = side == DESCRIBE_OBS ? group->obs : group->act;
    if (*heads == 0 || space[*heads - 1].kind != kind || again) {
        if (*heads == MAPPO_MAX_HEADS) {
            d->fault = "it describes too many heads";
            return NULL;
        }
        space[(*heads)++].kind = kind;
    }
    return &space[*heads - 1];
}

/* One more number of a Box, within [low, high] (-INFINITY, INFINITY: any), with its unit (NULL: none) and name. */
static inline void describe_number(struct description *d, enum describe_side side, const char *unit, float low, float high,
                                   const char *format, ...) __attribute__((format(printf, 6, 7)));
static inline void describe_number(struct description *d, enum describe_side side, const char *unit, float low, float high,
                                   const char *format, ...)
{
    struct mappo_space *space = description_head(d, side, MAPPO_BOX, 0);
    if (!space) return;
    const int32_t i = space->size;
    float *lows = (float *)description_grow(d, space->low, i, sizeof low);
    float *highs = (float *)description_grow(d, space->high, i, sizeof high);
    struct mappo_meaning *meaning = (struct mappo_meaning *)description_grow(d, space->meaning, i, sizeof *meaning);
    if (d->fault) return;
    va_list args;
    va_start(args, format);
    meaning[i].name = description_text(d, format, args);
    va_end(args);
    meaning[i].unit = unit;
    lows[i] = low;
    highs[i] = high;
    space->low = lows;
    space->high = highs;
    space->meaning = meaning;
    space->size = space->meanings = i + 1;
}

/* The numbers of the observation that were described last, a Box, are an image, row by row, the channels of a cell together. */
static inline void describe_image(struct description *d, int32_t height, int32_t width, int32_t channels)
{
    struct mappo_space *space = description_head(d, DESCRIBE_OBS, MAPPO_BOX, 0);
    if (!space) return;
    space->shape[0] = height;
    space->shape[1] = width;
    space->shape[2] = channels;
}

/* One more component of a MultiDiscrete head: start … start + n - 1. */
static inline void describe_component(struct description *d, enum describe_side side, int32_t n, int32_t start)
{
    struct mappo_space *space = description_head(d, side, MAPPO_MULTI_DISCRETE, 0);
    if (!space) return;
    int32_t *ns = (int32_t *)description_grow(d, space->n, space->size, sizeof n);
    int32_t *starts = (int32_t *)description_grow(d, space->start, space->size, sizeof start);
    if (d->fault) return;
    ns[space->size] = n;
    starts[space->size++] = start;
    space->n = ns;
    space->start = starts;
}

/* A Discrete head: start … start + n - 1, with a name for each [n] (NULL: none). */
static inline void describe_choice(struct description *d, enum describe_side side, int32_t n, int32_t start, const char *const *name)
{
    struct mappo_space *space = description_head(d, side, MAPPO_DISCRETE, 1);
    int32_t *numbers = space ? (int32_t *)description_alloc(d, 2, sizeof n) : NULL;
    struct mappo_meaning *meaning =
        numbers && name && n > 0 ? (struct mappo_meaning *)description_alloc(d, (size_t)n, sizeof *meaning) : NULL;
    if (d->fault) return;
    numbers[0] = n;
    numbers[1] = start;
    space->size = 1;
    space->n = numbers;
    space->start = numbers + 1;
    for (int32_t k = 0; meaning && k < n; k++) meaning[k].name = name[k];
    space->meaning = meaning;
    space->meanings = meaning ? n : 0;
}

/* A MultiBinary head of `count` bits. */
static inline void describe_bits(struct description *d, enum describe_side side, int32_t count)
{
    struct mappo_space *space = description_head(d, side, MAPPO_MULTI_BINARY, 1);
    if (space) space->size = count;
}

/* What is at its default is left out, so that a spec is the same however it was described. */
static inline void description_leave_out(struct mappo_space *space)
{
    int low = 0, high = 0, start = 0;
    for (int32_t i = 0; i < space->size; i++) {
        low |= space->low && space->low[i] != -INFINITY;
        high |= space->high && space->high[i] != INFINITY;
        start |= space->start && space->start[i] != 0;
    }
    if (!low) space->low = NULL;
    if (!high) space->high = NULL;
    if (!start) space->start = NULL;
}

/* The spec is complete; with state_is_all_obs its state_size follows. What could not be described, or NULL. */
static inline const char *description_finish(struct description *d)
{
    struct slice_strides strides;
    d->spec.struct_size = sizeof d->spec;
    for (int g = 0; g < d->spec.groups; g++) {
        struct mappo_group *group = &d->spec.group[g];
        for (int h = 0; h < group->obs_heads; h++) description_leave_out(&group->obs[h]);
        for (int h = 0; h < group->act_heads; h++) description_leave_out(&group->act[h]);
    }
    slice_strides_of(&strides, &d->spec);
    if (d->spec.state_is_all_obs) d->spec.state_size = 0;
    for (int g = 0; g < strides.groups && d->spec.state_is_all_obs; g++) d->spec.state_size += strides.group[g].obs;
    return d->fault;
}

#endif
