/* The program with another learner in the place of its algorithms, for tests/faults/test_replay.py: it keeps a replay and learns nothing. After
 * every horizon it draws a step of each environment and mixes what it finds there into one number, which so depends on every draw of the
 * whole run, on the replay and on its order. */
#include "algo/algorithm.h"
#include "algo/collect.h"
#include "base/digest.h"
#include "base/philox.h"

enum { KEPT_STEPS = 16 };

struct off_policy {
    struct algorithm_context context;
    struct backend_memory memory;
    struct transitions *ring;
    struct collector *collector;
    uint64_t learned; /* the same on every rank */
    int64_t updates;
    unsigned char *row; /* [largest slice of an environment] */
};

static int64_t horizon(const struct config *config)
{
    return config->rollout_steps;
}

static int policies(struct policies **out, const struct config *c, const struct mappo_env_spec *spec, struct backend *b, struct error *err)
{
    return policies_create(out, &(struct policies_config){.central = true}, c, spec, b, err);
}

static int create(struct algorithm *algorithm, const struct algorithm_context *context, struct error *err)
{
    struct off_policy *self = algorithm->self;
    const struct mappo_env_spec *spec = vecenv_spec(context->env);
    struct slices kept;
    size_t largest = 0;
    const struct transitions_config ring = {
        .steps = KEPT_STEPS, .envs = context->envs, .first_env = context->first_env, .shards = 1, .ring = true};
    const struct collect_config collect = {.where = context->where,
                                           .steps = (int)horizon(context->config),
                                           .seed = (uint64_t)context->config->train_seed,
                                           .crew = 1,
                                           .env = context->env};
    self->context = *context;
    backend_memory_create(&self->memory, "off_policy", context->backend);
    slices_of(&kept, spec);
    for (int i = kept.count - 1; i >= 0; i--)
        if (!kept.slice[i].offered) kept.slice[i] = kept.slice[--kept.count];
    const int code = transitions_create(&self->ring, &ring, &kept, spec, &self->memory, err);
    if (code) return code;
    for (int i = 0; i < kept.count; i++) largest = kept.slice[i].bytes > largest ? kept.slice[i].bytes : largest;
    self->row = ARENA_NEW(self->memory.arena, unsigned char, largest);
    collector_create(&self->collector, &collect, self->ring, spec, context->policies->group, &self->memory);
    return 0;
}

static void destroy(struct algorithm *algorithm)
{
    struct off_policy *self = algorithm->self;
    collector_destroy(self->collector);
    backend_memory_destroy(&self->memory);
}

static int begin(struct algorithm *algorithm, bool restored, struct error *err)
{
    struct off_policy *self = algorithm->self;
    return collect_begin(self->collector, self->context.env, restored, err);
}

static int collect(struct algorithm *algorithm, struct error *err)
{
    struct off_policy *self = algorithm->self;
    return collect_steps(self->collector, self->context.env, err);
}

static int nothing(struct algorithm *algorithm, struct error *err)
{
    (void)algorithm, (void)err;
    return 0;
}

/* All that is held of a step of an environment. */
static uint64_t look(struct off_policy *self, uint64_t step, int env)
{
    const struct transitions *x = self->ring;
    struct backend *backend = self->context.backend;
    uint64_t hash = HASH_START;
    for (int i = 0; i < x->slices.count; i++) {
        const struct slice *slice = &x->slices.slice[i];
        if (slice->written == SLICE_FINAL) continue; /* anything where no episode ended */
        backend->download(backend, self->row, transitions_at(x, slice, transitions_place(x, step), env), slice->bytes);
        hash = hash_bytes(hash, self->row, slice->bytes);
    }
    return hash;
}

static int update(struct algorithm *algorithm, struct error *err)
{
    struct off_policy *self = algorithm->self;
    const struct transitions *x = self->ring;
    double sum = 0; /* of whole numbers, so that the order of ranks does not matter */
    (void)err;
    self->context.backend->sync(self->context.backend);
    for (int e = 0; e < x->config.envs; e++) {
        const uint32_t draw = philox_at((uint64_t)self->context.config->train_seed, PHILOX_SHUFFLE, x->config.first_env + (uint32_t)e, 0,
                                        (uint64_t)self->updates)
                                  .v[0];
        const uint64_t step = transitions_oldest(x) + draw % (uint64_t)x->filled;
        sum += (double)(look(self, step, e) >> 24);
    }
    comm_sum_double(self->context.comm, &sum, 1);
    self->learned = (self->learned ^ (uint64_t)sum) * 0x9e3779b97f4a7c15ull + (uint64_t)x->filled;
    self->updates++;
    return 0;
}

static void anneal(struct algorithm *algorithm, const struct annealed *now)
{
    (void)algorithm, (void)now;
}

static int fields(struct algorithm *algorithm, struct field_list *list)
{
    struct off_policy *self = algorithm->self;
    const int before = list->count;
    policies_fields(self->context.policies, list);
    transitions_fields(self->ring, "/replay", list);
    field_add(list, "/learner/updates", FIELD_INT64, &self->updates, "updates", "position of the draws' random numbers", 0);
    field_add(list, "/learner/learned", FIELD_UINT64, &self->learned, "1", "of all draws", 0);
    return list->count - before;
}

static void pull(struct algorithm *algorithm)
{
    const struct off_policy *self = algorithm->self;
    policies_pull(self->context.policies);
}

static void push(struct algorithm *algorithm)
{
    const struct off_policy *self = algorithm->self;
    policies_push(self->context.policies);
}

static const struct metric described[] = {{"filled", "environment steps", "held of each environment", NAN}, {NULL, NULL, NULL, NAN}};

static int metrics(struct algorithm *algorithm, struct metric *out, int max)
{
    const struct off_policy *self = algorithm->self;
    if (max < 1) return 0;
    out[0] = described[0];
    out[0].value = (double)self->ring->filled;
    return 1;
}

static int64_t replay(struct algorithm *algorithm, struct field_list *list)
{
    struct off_policy *self = algorithm->self;
    return transitions_replay(self->ring, "/replay", vecenv_spec(self->context.env), list);
}

static const struct algorithm_ops ops = {begin, collect, nothing, update, nothing, anneal, fields, pull, push, metrics, destroy, replay};
static const struct algorithm_functions functions = {
    .horizon = horizon, .policies = policies, .size = sizeof(struct off_policy), .ops = &ops, .create = create, .metrics = described};
const struct algorithm_type algorithms[] = {{"off_policy", "draws of a replay", &functions}, {NULL, NULL, NULL}};

#include "main.c"
