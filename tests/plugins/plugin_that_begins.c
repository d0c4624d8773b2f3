/* test/kitchen_sink, told what to do (`begin`) before its results are asked for: it keeps the actions, and steps with them when it is waited
 * for. A step that was not begun, and one that begins what is under way, are refused. */
#include <stdlib.h>
#include <string.h>

#include "env/slices.h"

extern const struct mappo_env test_kitchen_sink; /* the program's */

struct elsewhere {
    void *inner;
    int32_t envs;
    struct slice_strides strides;
    uint8_t *begun;           /* [E] */
    struct mappo_env_io kept; /* actions alone */
};

static int create(const struct mappo_env_config *config, void **self, struct mappo_env_error *error)
{
    struct elsewhere *w = calloc(1, sizeof *w);
    if (!w || test_kitchen_sink.create(config, &w->inner, error)) {
        free(w);
        return -1;
    }
    const size_t envs = (size_t)(w->envs = config->envs);
    slice_strides_of(&w->strides, test_kitchen_sink.spec(w->inner));
    w->begun = calloc(envs, 1);
    for (int g = 0; g < w->strides.groups; g++) {
        w->kept.group[g].act_int = calloc(envs, (size_t)w->strides.group[g].act_int * sizeof(int32_t) + 1);
        w->kept.group[g].act_real = calloc(envs, (size_t)w->strides.group[g].act_real * sizeof(float) + 1);
    }
    *self = w;
    return 0;
}

static void destroy(void *self)
{
    struct elsewhere *w = self;
    test_kitchen_sink.destroy(w->inner);
    for (int g = 0; g < w->strides.groups; g++) {
        free((void *)(uintptr_t)w->kept.group[g].act_int);
        free((void *)(uintptr_t)w->kept.group[g].act_real);
    }
    free(w->begun);
    free(w);
}

static const struct mappo_env_spec *spec(const void *self)
{
    return test_kitchen_sink.spec(((const struct elsewhere *)self)->inner);
}

static int reset(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    return test_kitchen_sink.reset(((struct elsewhere *)self)->inner, lo, hi, io, error);
}

static int begin(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    struct elsewhere *w = self;
    for (int32_t e = lo; e < hi; e++) {
        if (w->begun[e]) {
            error->env = e;
            strcpy(error->text, "its step is begun that is under way");
            return -1;
        }
        w->begun[e] = 1;
        for (int g = 0; g < w->strides.groups; g++) {
            const size_t ints = (size_t)w->strides.group[g].act_int, reals = (size_t)w->strides.group[g].act_real;
            if (ints)
                memcpy((int32_t *)(uintptr_t)w->kept.group[g].act_int + (size_t)e * ints, io->group[g].act_int + (size_t)e * ints,
                       ints * sizeof(int32_t));
            if (reals)
                memcpy((float *)(uintptr_t)w->kept.group[g].act_real + (size_t)e * reals, io->group[g].act_real + (size_t)e * reals,
                       reals * sizeof(float));
        }
    }
    return 0;
}

static int step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    struct elsewhere *w = self;
    struct mappo_env_io with_kept = *io;
    for (int32_t e = lo; e < hi; e++) {
        if (!w->begun[e]) {
            error->env = e;
            strcpy(error->text, "its step is waited for that was not begun");
            return -1;
        }
        w->begun[e] = 0;
    }
    for (int g = 0; g < w->strides.groups; g++) {
        with_kept.group[g].act_int = w->kept.group[g].act_int;
        with_kept.group[g].act_real = w->kept.group[g].act_real;
    }
    return test_kitchen_sink.step(w->inner, lo, hi, &with_kept, error);
}

static int snapshot(const void *self, int32_t env, void *bytes)
{
    return test_kitchen_sink.snapshot(((const struct elsewhere *)self)->inner, env, bytes);
}

static int restore(void *self, int32_t env, const void *bytes, struct mappo_env_error *error)
{
    return test_kitchen_sink.restore(((struct elsewhere *)self)->inner, env, bytes, error);
}

static int observe(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    return test_kitchen_sink.observe(((struct elsewhere *)self)->inner, lo, hi, io);
}

const uint32_t mappo_env_abi = MAPPO_ENV_ABI;
struct mappo_env mappo_env_plugin;

/* Its id and options, so that a run of it is one of the other. */
__attribute__((constructor)) static void borrow(void)
{
    mappo_env_plugin = (struct mappo_env){.struct_size = sizeof mappo_env_plugin,
                                          .id = test_kitchen_sink.id,
                                          .summary = test_kitchen_sink.summary,
                                          .source = test_kitchen_sink.source,
                                          .version = test_kitchen_sink.version,
                                          .option = test_kitchen_sink.option,
                                          .create = create,
                                          .destroy = destroy,
                                          .spec = spec,
                                          .reset = reset,
                                          .step = step,
                                          .snapshot = snapshot,
                                          .restore = restore,
                                          .observe = observe,
                                          .begin = begin};
}
