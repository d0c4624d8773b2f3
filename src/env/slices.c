#include "env/slices.h"

_Static_assert(sizeof(struct mappo_group_io) == GROUP_SLICE_IDS * sizeof(void *), "a member of struct mappo_group_io lacks its line");
_Static_assert(sizeof(struct mappo_env_io) - offsetof(struct mappo_env_io, state) == (ENV_SLICE_IDS - GROUP_SLICE_IDS - 1) * sizeof(void *),
               "a member of struct mappo_env_io lacks its line");

#define FILL(tag, io_struct, member, element, when, needs, numbers, of, must, called)                                                      \
    if ((numbers) > 0)                                                                                                                     \
        *next++ = (struct slice){.id = tag##member,                                                                                        \
                                 .name = #member,                                                                                          \
                                 .what = called,                                                                                           \
                                 .group = g,                                                                                               \
                                 .written = when,                                                                                          \
                                 .sound = must,                                                                                            \
                                 .is_float = (element)0.5 != 0,                                                                            \
                                 .offered = (flags & (needs)) == (needs),                                                                  \
                                 .place = io + offsetof(struct io_struct, member),                                                         \
                                 .final_of = io + offsetof(struct io_struct, of),                                                          \
                                 .width = (size_t)(numbers),                                                                               \
                                 .bytes = (size_t)(numbers) * sizeof(element)};

static struct slice *add_group(struct slice *next, const struct slice_group_strides *by, int g, uint32_t flags)
{
#define SLICE(...) FILL(GROUP_SLICE_, mappo_group_io, __VA_ARGS__)
    const size_t io = offsetof(struct mappo_env_io, group) + (size_t)g * sizeof(struct mappo_group_io);
    GROUP_SLICES(SLICE)
#undef SLICE
    return next;
}

static struct slice *add_environment(struct slice *next, const struct slice_strides *by)
{
#define SLICE(...) FILL(ENV_SLICE_, mappo_env_io, __VA_ARGS__)
    const size_t io = 0;
    const uint32_t flags = 0;
    const int g = -1;
    ENV_SLICES(SLICE)
#undef SLICE
    return next;
}

void slices_of(struct slices *slices, const struct mappo_env_spec *spec)
{
    struct slice_strides strides;
    struct slice *next = slices->slice;
    slice_strides_of(&strides, spec);
    for (int g = 0; g < spec->groups; g++) next = add_group(next, &strides.group[g], g, spec->group[g].flags);
    next = add_environment(next, &strides);
    slices->count = (int)(next - slices->slice);
}
