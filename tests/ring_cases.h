/* A ring of transitions that is collected, on any backend and in each way, against a second environment of the same seed that takes the
 * recorded actions: what is held, across the ring's seam and where episodes end. */
#ifndef TESTS_RING_CASES_H
#define TESTS_RING_CASES_H

#include "algo/collect.h"
#include "env_batch.h"

enum { RING_STEPS = 7, RING_CALL = 3, RING_CALLS = 9, RING_ENVS = 6, RING_HISTORY = RING_CALL * RING_CALLS };

struct ring {
    struct vecenv *env;
    const struct mappo_env_spec *spec;
    struct backend *backend;
    struct policy policy[MAPPO_MAX_GROUPS], *policies[MAPPO_MAX_GROUPS];
    struct backend_memory memory;
    struct transitions *transitions;
    struct collector *collector;
};

static inline struct vecenv_config ring_env(int envs, uint32_t first, const struct env_option *option, int options)
{
    return (struct vecenv_config){.name = "test/kitchen_sink",
                                  .option = option,
                                  .options = options,
                                  .envs = envs,
                                  .first_env = first,
                                  .seed = 21,
                                  .stream = PHILOX_ENVIRONMENT,
                                  .threads = 1,
                                  .horizon = RING_CALL,
                                  .clip_action = true};
}

/* Everything but infos is kept. */
static inline void ring_create(struct ring *r, int where, int envs, uint32_t first)
{
    struct error err = {0};
    struct slices kept;
    slices_of(&kept, r->spec);
    for (int i = kept.count - 1; i >= 0; i--)
        if (!kept.slice[i].offered || kept.slice[i].id == ENV_SLICE_info) kept.slice[i] = kept.slice[--kept.count];
    const struct transitions_config config = {.steps = RING_STEPS, .envs = envs, .first_env = first, .shards = 1, .ring = true};
    const struct collect_config collect = {.where = where, .steps = RING_CALL, .seed = 8, .crew = 1};
    backend_memory_create(&r->memory, "test", r->backend);
    if (transitions_create(&r->transitions, &config, &kept, r->spec, &r->memory, &err)) fail_msg("%s", err.text);
    collector_create(&r->collector, &collect, r->transitions, r->spec, r->policies, &r->memory);
}

static inline void ring_open(struct ring *r, const char *backend, int where, int envs, uint32_t first, const struct env_option *option,
                             int options)
{
    struct error err = {0};
    const struct backend_config wanted = {.name = backend, .threads = 1, .level = -1, .device = -1, .graphs = true};
    const struct vecenv_config config = ring_env(envs, first, option, options);
    char why[256] = "";
    memset(r, 0, sizeof *r);
    if (backend_open(&r->backend, &wanted, &err)) fail_msg("%s", err.text);
    if (vecenv_open(&r->env, &config, &err)) fail_msg("%s", err.text);
    r->spec = vecenv_spec(r->env);
    if (where == COLLECT_DEVICE && !vecenv_attach(r->env, r->backend->environments, r->backend, why, sizeof why)) fail_msg("%s", why);
    for (int g = 0; g < r->spec->groups; g++) {
        const struct policy_config policy = {
            .hidden = 16, .layers = 2, .head_gain = 1, .share = {true, true}, .critic_input = CRITIC_OBS, .seed = 3, .index = (uint32_t)g};
        if (policy_build(&r->policy[g], &policy, r->spec, g, r->backend, &err)) fail_msg("%s", err.text);
        r->policies[g] = &r->policy[g];
    }
    ring_create(r, where, envs, first);
    if (collect_begin(r->collector, r->env, false, &err)) fail_msg("%s", err.text);
}

static inline void ring_close(struct ring *r)
{
    collector_destroy(r->collector);
    backend_memory_destroy(&r->memory);
    for (int g = 0; g < r->spec->groups; g++) policy_clear(&r->policy[g]);
    vecenv_close(r->env);
    r->backend->close(r->backend);
}

/* The same with arrays that the host can read. */
static inline struct transitions ring_download(const struct ring *r)
{
    struct transitions copy = *r->transitions;
    r->backend->sync(r->backend);
    for (int i = 0; i < copy.slices.count; i++) {
        const struct slice *slice = &copy.slices.slice[i];
        const size_t bytes = (size_t)transitions_places(&copy.config, slice->written) * (size_t)copy.config.envs * slice->bytes;
        void *to = malloc(bytes);
        r->backend->download(r->backend, to, slice_array(&r->transitions->all, slice), bytes);
        slice_point(&copy.all, slice, to);
    }
    return copy;
}

static inline void ring_free(struct transitions *copy)
{
    for (int i = 0; i < copy->slices.count; i++) free(slice_array(&copy->all, &copy->slices.slice[i]));
}

/* What the second environment showed: io[n] before step n, and what followed from it. */
struct ring_history {
    struct env_batch env;
    int taken;
    struct mappo_env_io io[RING_HISTORY + 1];
};

static inline void history_note(struct ring_history *h, int n, bool observations)
{
    for (int i = 0; i < h->env.slices.count; i++) {
        const struct slice *slice = &h->env.slices.slice[i];
        if ((slice->written == SLICE_OBSERVATION) != observations) continue;
        void *copy = malloc((size_t)h->env.envs * slice->bytes);
        memcpy(copy, slice_array(&h->env.io, slice), (size_t)h->env.envs * slice->bytes);
        slice_point(&h->io[n], slice, copy);
    }
}

static inline void history_open(struct ring_history *h, int envs)
{
    const struct vecenv_config config = ring_env(envs, 0, NULL, 0);
    memset(h, 0, sizeof *h);
    if (batch_open(&h->env, &config)) fail_msg("%s", h->env.err.text);
    history_note(h, 0, true);
}

static inline void history_close(struct ring_history *h)
{
    for (int n = 0; n <= RING_HISTORY; n++)
        for (int i = 0; i < h->env.slices.count; i++) free(slice_array(&h->io[n], &h->env.slices.slice[i]));
    batch_close(&h->env);
}

/* Up to the ring's present, with the actions that it holds. */
static inline void history_follow(struct ring_history *h, const struct transitions *x)
{
    for (; (uint64_t)h->taken < x->step; h->taken++) {
        for (int i = 0; i < x->slices.count; i++) {
            const struct slice *slice = &x->slices.slice[i];
            if (slice->written == SLICE_ACTION)
                memcpy(slice_array(&h->env.io, slice), transitions_at(x, slice, transitions_place(x, (uint64_t)h->taken), 0),
                       (size_t)h->env.envs * slice->bytes);
        }
        if (vecenv_step(h->env.env, &h->env.io, &h->env.err)) fail_msg("%s", h->env.err.text);
        history_note(h, h->taken, false);
        history_note(h, h->taken + 1, true);
    }
}

static inline void ring_expect(const struct slice *slice, uint64_t step, int e, const void *found, const struct mappo_env_io *io)
{
    const char *expected = (const char *)slice_array(io, slice) + (size_t)e * slice->bytes;
    if (!found || memcmp(found, expected, slice->bytes))
        fail_msg("%s of environment %d at step %d is not what the environment wrote", slice->name, e, (int)step);
}

/* Every step held, of every environment; returns how many episodes ended with them. */
static inline int ring_compare(const struct transitions *x, const struct ring_history *h)
{
    int ended = 0;
    for (uint64_t n = transitions_oldest(x); n < x->step; n++)
        for (int e = 0; e < x->config.envs; e++) {
            const struct mappo_env_io *io = &h->io[n];
            const bool end = io->ep_end[e] != MAPPO_RUNNING;
            ended += end;
            for (int i = 0; i < x->slices.count; i++) {
                const struct slice *slice = &x->slices.slice[i];
                if (slice->written != SLICE_FINAL || end)
                    ring_expect(slice, n, e, transitions_at(x, slice, transitions_place(x, n), e), io);
                if (slice->written == SLICE_OBSERVATION && !end)
                    ring_expect(slice, n, e, transitions_seen_after(x, slice, n, e), &h->io[n + 1]);
                if (slice->written != SLICE_FINAL || !end) continue;
                for (int k = 0; k < x->slices.count; k++) /* the observation that it stands for */
                    if (x->slices.slice[k].place == slice->final_of)
                        ring_expect(slice, n, e, transitions_seen_after(x, &x->slices.slice[k], n, e), io);
            }
        }
    return ended;
}

static inline void ring_holds_the_last_steps(const char *backend, int where)
{
    struct ring r;
    struct ring_history h;
    struct error err = {0};
    int ended = 0, seams = 0;
    ring_open(&r, backend, where, RING_ENVS, 0, NULL, 0);
    history_open(&h, RING_ENVS);
    for (int call = 1; call <= RING_CALLS; call++) {
        if (collect_steps(r.collector, r.env, &err)) fail_msg("%s", err.text);
        const int taken = call * RING_CALL, held = taken < RING_STEPS ? taken : RING_STEPS;
        assert_int_equal(r.transitions->step, taken);
        assert_int_equal(r.transitions->filled, held);
        assert_int_equal(transitions_oldest(r.transitions), taken - held);
        struct transitions x = ring_download(&r);
        history_follow(&h, &x);
        ended += ring_compare(&x, &h);
        seams += transitions_place(&x, transitions_oldest(&x)) > transitions_place(&x, x.step);
        ring_free(&x);
    }
    assert_true(ended > 10 && seams > 3);
    history_close(&h);
    ring_close(&r);
}

#endif
