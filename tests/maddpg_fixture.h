/* A MADDPG learner beside a batch of anything at all, for tests: on any backend, of any environment's spaces. Compiled with real = float or
 * double. What it minimises is asked for with learning rates of 0. */
#ifndef TESTS_MADDPG_FIXTURE_H
#define TESTS_MADDPG_FIXTURE_H

#include <math.h>
#include <stdlib.h>

#include "algo/maddpg.h"
#include "config/choices.h"
#include "env/vecenv.h"

enum { GROUPS_MOST = 4, AGENTS_MOST = 64 };

struct fixture {
    struct backend *backend;
    struct comm *comm;
    struct backend_memory memory;
    struct vecenv *env;
    const struct mappo_env_spec *spec;
    struct policy policy[GROUPS_MOST], *policies[GROUPS_MOST];
    struct replay_batch batch; /* the backend's; the CPU's may be written to at any time */
    struct replay_numbers *numbers;
    struct maddpg *maddpg;
    struct maddpg_hooks hooks;
    double *gradient[AGENTS_MOST][MADDPG_NETWORKS]; /* by agent */
};

static double uniform(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / 16777216.0;
}

/* What is anything at all: observations in [-1, 1], allowed actions, some ends, some absences. In memory of the host. */
static void fill_batch(const struct fixture *f, struct replay_batch *batch)
{
    uint32_t seed = 7;
    for (int g = 0; g < f->spec->groups; g++) {
        const struct policy *p = f->policies[g];
        struct replay_batch_group *b = &batch->group[g];
        const size_t rows = (size_t)(batch->shards * batch->rows * p->sizes.agents);
        for (size_t i = 0; i < rows * (size_t)p->sizes.obs; i++) b->obs[i] = (float)(2 * uniform(&seed) - 1);
        for (size_t i = 0; i < rows * (size_t)p->sizes.obs; i++) b->next[i] = (float)(2 * uniform(&seed) - 1);
        for (size_t i = 0; i < rows; i++) b->reward[i] = (float)(2 * uniform(&seed) - 1);
        for (size_t i = 0; i < rows; i++) b->terminated[i] = uniform(&seed) < 0.2;
        for (int i = 0; i < batch->shards * batch->rows && g == 0; i++) batch->ep_end[i] = (uint8_t)(uniform(&seed) * 3);
        for (size_t i = 0; i < rows && b->active; i++) b->active[i] = uniform(&seed) < 0.8;
        for (int h = 0; h < p->dist.heads; h++) {
            const struct head *head = &p->dist.head[h];
            for (size_t i = 0; i < rows; i++)
                for (int k = 0; k < head->size; k++) {
                    if (b->mask && head->mask >= 0)
                        b->mask[i * (size_t)p->dist.logits + (size_t)(head->mask + k)] = k == 0 || uniform(&seed) < 0.7;
                    if (b->mask && head->mask >= 0)
                        b->next_mask[i * (size_t)p->dist.logits + (size_t)(head->mask + k)] = k == 0 || uniform(&seed) < 0.7;
                    if (head->kind == HEAD_CATEGORICAL && k == 0)
                        b->act_int[i * (size_t)p->dist.act_ints + (size_t)head->action] = head->start + (int)(uniform(&seed) * head->size);
                    if (head->kind == HEAD_BERNOULLI)
                        b->act_int[i * (size_t)p->dist.act_ints + (size_t)(head->action + k)] = uniform(&seed) < 0.5;
                    if (head->kind == HEAD_GAUSSIAN)
                        b->act_real[i * (size_t)p->dist.act_reals + (size_t)(head->action + k)] = (float)(2 * uniform(&seed) - 1);
                }
        }
    }
}

static void stepped(void *user, int agent, int role, const real *gradient)
{
    struct fixture *f = user;
    int g = 0;
    for (int left = agent; left >= f->policies[g]->sizes.agents; g++) left -= f->policies[g]->sizes.agents;
    const size_t size = f->policies[g]->net[role == MADDPG_TWIN ? ROLE_CRITIC : role].parameters;
    if (f->gradient[agent][role]) return;
    real *host = calloc(size, sizeof *host);
    f->backend->download(f->backend, host, gradient, size * sizeof *host);
    f->gradient[agent][role] = calloc(size, sizeof(double));
    for (size_t i = 0; i < size; i++) f->gradient[agent][role][i] = (double)host[i];
    free(host);
}

static void give_weights(struct fixture *f)
{
    const int rows = f->batch.shards * f->batch.rows;
    real *weight = calloc((size_t)rows, sizeof *weight);
    uint32_t seed = 21;
    for (int i = 0; i < rows; i++) weight[i] = (real)uniform(&seed);
    f->batch.weight = BACKEND_NEW(&f->memory, real, rows);
    f->batch.error = BACKEND_NEW(&f->memory, real, rows);
    f->backend->upload(f->backend, f->batch.weight, weight, (size_t)rows * sizeof *weight);
    free(weight);
}

struct fixture_learner {
    const char *backend; /* NULL = cpu */
    struct maddpg_config config;
    bool own_view, layer_norm;
    int shards, rows, hidden;
    int real; /* enum real_kind; 0 = REAL_TANH */
    float fixed_std;
    bool weighted; /* rows count with weights between 0 and 1, and errors are left in the batch */
};

static void open_learner(struct fixture *f, const struct mappo_env_spec *spec, const struct fixture_learner *how)
{
    struct maddpg_config config = how->config;
    const int shards = how->shards, rows = how->rows, hidden = how->hidden;
    const bool own_view = how->own_view;
    struct error err = {0};
    int argc = 0, columns = 0;
    char **argv = NULL;
    const struct backend_config opened = {.name = how->backend ? how->backend : "cpu", .threads = 1, .level = -1, .device = -1};
    f->spec = spec;
    if (backend_open(&f->backend, &opened, &err)) fail_msg("%s", err.text);
    if (comm_open(&f->comm, &argc, &argv, &err)) fail_msg("%s", err.text);
    backend_memory_create(&f->memory, "test", f->backend);
    for (int g = 0; g < spec->groups; g++) columns += spec->group[g].agents * policies_action_columns(&spec->group[g]);
    for (int g = 0; g < spec->groups; g++) {
        const struct policy_config policy = {.hidden = hidden,
                                             .width = {hidden + 4}, /* the first layer's; the others have `hidden` */
                                             .layers = 2,
                                             .activation = ACTIVATION_TANH, /* without kinks */
                                             .layer_norm = how->layer_norm,
                                             .head_gain = 1,
                                             .real = how->real ? how->real : REAL_TANH,
                                             .deviation = {how->fixed_std > 0 ? STD_FIXED : STD_SHARED, how->fixed_std},
                                             .log_std = (real)-0.7,
                                             .critic_input = own_view ? CRITIC_OBS : CRITIC_STATE,
                                             .concatenate = true,
                                             .actions = own_view ? policies_action_columns(&spec->group[g]) : columns,
                                             .normalizer = NORMALIZER_NONE,
                                             .seed = 3,
                                             .index = (uint32_t)g};
        if (policy_build(&f->policy[g], &policy, spec, g, f->backend, &err)) fail_msg("%s", err.text);
        f->policies[g] = &f->policy[g];
    }
    replay_batch_create(&f->batch, shards, rows, spec, &f->memory);
    if (how->weighted) give_weights(f);
    f->numbers = BACKEND_NEW(&f->memory, struct replay_numbers, 1);
    f->hooks = (struct maddpg_hooks){.user = f, .stepped = stepped};
    config.hooks = &f->hooks;
    config.batch = shards * rows;
    config.delay = config.twin ? 2 : 1;
    config.updates = 1;
    config.temperature = config.temperature > 0 ? config.temperature : 1;
    config.adam = (struct adam){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    maddpg_create(&f->maddpg, &config, &f->batch, f->numbers, f->policies, spec->groups, f->comm, &f->memory);
    maddpg_begin(f->maddpg);
}

static void close_learner(struct fixture *f)
{
    for (int g = 0; g < f->spec->groups; g++) policy_clear(&f->policy[g]);
    for (int i = 0; i < AGENTS_MOST; i++)
        for (int role = 0; role < MADDPG_NETWORKS; role++) free(f->gradient[i][role]);
    backend_memory_destroy(&f->memory);
    comm_close(f->comm);
    f->backend->close(f->backend);
    vecenv_close(f->env);
}

static void learn(struct fixture *f, double rate, struct maddpg_metrics *metrics)
{
    const struct annealed now = {.actor_rate = rate, .critic_rate = rate};
    struct error err = {0};
    maddpg_start(f->maddpg, &now);
    maddpg_learn(f->maddpg, 0);
    if (maddpg_outcome(f->maddpg, metrics, &err)) fail_msg("%s", err.text);
}

#endif
