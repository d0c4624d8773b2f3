#include "algo/maddpg_work.h"

#include <stdlib.h>

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

static struct packed_rows **packed_of(const struct maddpg *m, const struct network *net, struct backend_memory *memory)
{
    struct packed_rows **packed = ARENA_NEW(memory->arena, struct packed_rows *, m->shards);
    for (int s = 0; s < m->shards; s++) packed[s] = backend_memory_packed(memory, net, m->rows);
    return packed;
}

/* What a learner's critic sees: the same as an earlier one's, or something of its own. */
static struct maddpg_view *view_of(struct maddpg *m, int number, struct backend_memory *memory)
{
    const struct policy *p = m->learner[number].policy;
    const int agent = p->critic_input == CRITIC_OBS ? number : -1;
    for (int i = 0; i < m->views; i++)
        if (m->view[i].agent == agent) return &m->view[i];
    struct maddpg_view *v = &m->view[m->views++];
    *v = (struct maddpg_view){.agent = agent, .net = &p->net[ROLE_CRITIC]};
    for (int seen = 0; seen < SEENS; seen++) v->packed[seen] = packed_of(m, v->net, memory);
    return v;
}

static int32_t *units_of(const struct maddpg *m, const struct maddpg_learner *l, struct backend_memory *memory)
{
    const int rows = m->shards * m->rows;
    int32_t *host = malloc((size_t)rows * sizeof *host);
    CHECK(host, "out of memory listing %d rows", rows);
    for (int b = 0; b < rows; b++) host[b] = b * l->policy->sizes.agents + l->agent;
    int32_t *unit = BACKEND_NEW(memory, int32_t, rows);
    memory->backend->upload(memory->backend, unit, host, (size_t)rows * sizeof *unit);
    free(host);
    return unit;
}

static struct maddpg_twin twin_of(const struct maddpg_learner *l, struct backend_memory *memory)
{
    const size_t n = net_of(l, TWIN)->parameters;
    return (struct maddpg_twin){BACKEND_NEW(memory, real, n), BACKEND_NEW(memory, real, n), BACKEND_NEW(memory, real, n),
                                BACKEND_NEW(memory, real, n)};
}

/* Freshly initialised, beside every other network of the run. */
static void add_twin(const struct maddpg *m, struct maddpg_learner *l, struct backend_memory *memory)
{
    const size_t n = net_of(l, TWIN)->parameters;
    l->networks = m->config.twin ? NETWORKS : TWIN;
    if (!m->config.twin) return;
    l->twin = l->host_twin = twin_of(l, memory);
    if (!m->backend->host_memory)
        l->host_twin = (struct maddpg_twin){ARENA_NEW(memory->arena, real, n), ARENA_NEW(memory->arena, real, n),
                                            ARENA_NEW(memory->arena, real, n), ARENA_NEW(memory->arena, real, n)};
    const struct network_init init = policy_network_init(l->policy, TWIN, l->set[ROLE_CRITIC]);
    if (!m->backend->planning) network_initialise(net_of(l, TWIN), l->host_twin.parameters, &init);
}

static void add_learner(struct maddpg *m, int g, int agent, struct backend_memory *memory)
{
    const int number = m->learners++;
    const size_t rows = (size_t)m->shards * (size_t)m->rows;
    struct maddpg_learner *l = &m->learner[number];
    *l = (struct maddpg_learner){.policy = m->policy[g], .group = g, .agent = agent, .column = m->columns, .target = m->target[g]};
    for (int role = 0; role < POLICY_ROLES; role++) l->set[role] = policy_set(l->policy, role, agent);
    l->outputs = l->policy->net[ROLE_ACTOR].outputs;
    m->columns += l->outputs;
    l->unit = units_of(m, l, memory);
    l->obs = packed_of(m, &l->policy->net[ROLE_ACTOR], memory);
    l->next = packed_of(m, &l->policy->net[ROLE_ACTOR], memory);
    real **const arrays[] = {&l->out, &l->target_out, &l->soft, &l->q_slope, &l->slope};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) *arrays[i] = BACKEND_NEW(memory, real, rows * (size_t)l->outputs);
    if (l->policy->net[ROLE_ACTOR].extra) {
        l->drawn = BACKEND_NEW(memory, real, rows * (size_t)l->outputs);
        l->by_log_std = BACKEND_NEW(memory, real, rows * (size_t)l->policy->dist.act_reals);
    }
    l->view = view_of(m, number, memory);
    add_twin(m, l, memory);
}

static int tensors_of(const struct maddpg *m, const struct network *net, struct tensor *tensor)
{
    const int count = network_tensors(net, tensor, NETWORK_MAX_TENSORS);
    if (m->config.rules.clip_tensors) return count;
    tensor[0].offset = 0;
    return 1;
}

static void aim_steps(struct maddpg *m, struct maddpg_learner *l, int network, struct backend_memory *memory)
{
    struct tensor tensor[NETWORK_MAX_TENSORS];
    const int count = tensors_of(m, net_of(l, network), tensor), role = network == TWIN ? ROLE_CRITIC : network;
    l->optimizers[network] = count;
    l->optimizer[network] = m->optimizers + m->optimizer_count;
    l->host_optimizer[network] = m->host_optimizers + m->optimizer_count;
    l->step[network] = ARENA_NEW(memory->arena, struct optimizer_pass, count);
    m->optimizer_count += count;
    for (int i = 0; i < count; i++) {
        struct optimizer_pass *step = &l->step[network][i];
        *step = policy_step(l->policy, role, l->set[role], m->flat, &m->there->now);
        if (network == ROLE_ACTOR) step->steps = &m->there->actor_steps;
        if (network == TWIN) step->parameters = l->twin.parameters, step->m = l->twin.m, step->v = l->twin.v;
        step->optimizer = l->optimizer[network] + i;
        step->fault = &m->there->fault;
        step->not_finite.learner = (int32_t)(l - m->learner);
        if (!m->config.rules.clip_tensors) continue;
        step->gradient += tensor[i].offset;
        step->parameters += tensor[i].offset;
        step->m += tensor[i].offset;
        step->v += tensor[i].offset;
        step->n = (size_t)tensor[i].shape[0] * (size_t)tensor[i].shape[1];
    }
}

static void create_scratch(struct maddpg *m, struct arena *arena)
{
    enum { VIEWS_OF_AN_AGENT = 2 };
    const int wide = m->shards * (m->groups > VIEWS_OF_AN_AGENT ? m->groups : VIEWS_OF_AN_AGENT);
    m->pass.forward = ARENA_NEW(arena, struct forward_pass, m->shards);
    m->pass.columns = ARENA_NEW(arena, struct columns_pass, wide);
    m->pass.embed = ARENA_NEW(arena, struct embed_pass, m->shards);
    m->pass.back = ARENA_NEW(arena, struct embed_back_pass, m->shards);
    m->pass.td = ARENA_NEW(arena, struct td_pass, m->shards);
    m->pass.error = ARENA_NEW(arena, struct error_pass, m->shards);
    m->pass.derive = ARENA_NEW(arena, struct derive_pass, m->shards);
    m->pass.train = ARENA_NEW(arena, struct train_pass, m->shards);
    m->pass.batch = ARENA_NEW(arena, struct batch, m->shards);
}

static void create_steps(struct maddpg *m, struct backend_memory *memory)
{
    struct tensor tensor[NETWORK_MAX_TENSORS];
    size_t largest = 0;
    int optimizers = 0;
    for (int i = 0; i < m->learners; i++)
        for (int network = 0; network < m->learner[i].networks; network++) {
            const struct network *net = net_of(&m->learner[i], network);
            largest = net->parameters > largest ? net->parameters : largest;
            optimizers += tensors_of(m, net, tensor);
        }
    m->flat_size = largest + PASS_SUMS;
    m->flat = BACKEND_NEW(memory, real, (size_t)m->shards * m->flat_size);
    m->there = BACKEND_NEW(memory, struct maddpg_there, 1);
    m->optimizers = BACKEND_NEW(memory, struct optimizer, optimizers);
    m->host_optimizers = ARENA_NEW(memory->arena, struct optimizer, optimizers);
    const size_t sums = (size_t)m->config.updates * (size_t)m->learners * METRIC_SUMS;
    m->sums = BACKEND_NEW(memory, real, sums);
    m->host_sums = ARENA_NEW(memory->arena, real, sums);
    for (int i = 0; i < m->learners; i++)
        for (int network = 0; network < m->learner[i].networks; network++) aim_steps(m, &m->learner[i], network, memory);
    comm_reserve(m->comm, m->shards, m->flat_size, 0);
}

void maddpg_create(struct maddpg **out, const struct maddpg_config *config, const struct replay_batch *batch,
                   const struct replay_numbers *numbers, struct policy *const *policy, int groups, struct comm *comm,
                   struct backend_memory *memory)
{
    struct maddpg *m = *out = ARENA_NEW(memory->arena, struct maddpg, 1);
    m->config = *config;
    m->batch = batch;
    m->numbers = numbers;
    m->policy = policy;
    m->comm = comm;
    m->backend = memory->backend;
    m->groups = groups;
    m->shards = batch->shards;
    m->rows = batch->rows;
    m->rules = (struct optimizer_rules){.max_grad_norm = config->max_grad_norm,
                                        .mean_weight = 1.0 / config->updates,
                                        .adam = config->adam,
                                        .exact = config->rules.clip_tensors};
    int agents = 0;
    for (int g = 0; g < groups; g++) {
        agents += policy[g]->sizes.agents;
        m->width[g] = policy[g]->sizes.agents * policy[g]->sizes.obs;
        if (!policy_learns(policy[g])) continue;
        m->target[g] = BACKEND_NEW(memory, real, policy[g]->size);
        m->host_target[g] = m->backend->host_memory ? m->target[g] : ARENA_NEW(memory->arena, real, policy[g]->size);
    }
    m->learner = ARENA_NEW(memory->arena, struct maddpg_learner, agents);
    m->view = ARENA_NEW(memory->arena, struct maddpg_view, agents);
    for (int g = 0; g < groups; g++)
        for (int a = 0; a < policy[g]->sizes.agents && policy_learns(policy[g]); a++) add_learner(m, g, a, memory);
    const size_t rows = (size_t)m->shards * (size_t)m->rows;
    for (int seen = 0; seen < SEENS; seen++) m->action[seen] = BACKEND_NEW(memory, real, rows * (size_t)m->columns);
    m->q = BACKEND_NEW(memory, real, rows);
    m->other = BACKEND_NEW(memory, real, rows);
    m->ret = BACKEND_NEW(memory, real, rows);
    m->loss = BACKEND_NEW(memory, real, rows);
    create_scratch(m, memory->arena);
    create_steps(m, memory);
}

/* Of every agent: target critic and target actor forward, the critic forward and back to all its parameters; and, where actors move, the critic
 * back to its inputs, the actor twice forward and once back. */
double maddpg_flops(const struct maddpg *m)
{
    double sum = 0;
    for (int i = 0; i < m->learners; i++) {
        const struct policy *p = m->learner[i].policy;
        double actor_first, critic_first;
        const double actor = network_multiply_adds(&p->net[ROLE_ACTOR], &actor_first),
                     critic = network_multiply_adds(&p->net[ROLE_CRITIC], &critic_first);
        const double critics = m->learner[i].networks - ROLE_CRITIC,
                     of_actor = actor + (3 * actor - actor_first) + (2 * critic - critic_first);
        sum += actor + critics * (critic + (m->batch->weight ? critic : 0) + (3 * critic - critic_first)) + of_actor / m->config.delay;
    }
    return 2 * sum * m->config.batch;
}

/* ---- what a checkpoint holds --------------------------------------------------------------------------------------------------------- */

/* The four vectors of a twin, the host's and the backend's; false behind the last. */
static bool twin_vector(const struct maddpg_learner *l, int i, real **host, real **there)
{
    real *const of_host[] = {l->host_twin.parameters, l->host_twin.target, l->host_twin.m, l->host_twin.v};
    real *const of_backend[] = {l->twin.parameters, l->twin.target, l->twin.m, l->twin.v};
    if (i >= 4 || l->networks < NETWORKS) return false;
    *host = of_host[i];
    *there = of_backend[i];
    return true;
}

void maddpg_fields(struct maddpg *m, struct field_list *list)
{
    static const char *const top[] = {"twin", "target", "optimizer", "optimizer"}, *const part[] = {"", "", "exp_avg", "exp_avg_sq"};
    static const char *const meaning[] = {"", "target network: ", "Adam's first moment of: ", "Adam's second moment of: "};
    real *host, *there;
    field_add(list, "/replay/updates", FIELD_INT64, &m->updates, "updates", "updates so far: position of the draws' random numbers", 0);
    for (int g = 0; g < m->groups; g++)
        if (policy_learns(m->policy[g])) policies_block_fields(m->policy[g], m->host_target[g], "target", "target network: ", list);
    for (int i = 0; i < m->learners; i++)
        for (int k = 0; twin_vector(&m->learner[i], k, &host, &there); k++) {
            const struct maddpg_learner *l = &m->learner[i];
            policies_network_fields(l->policy, ROLE_CRITIC, l->set[ROLE_CRITIC], host,
                                    &(struct policies_path){top[k], "twin", part[k], meaning[k], NULL}, list);
        }
}

void maddpg_pull(struct maddpg *m)
{
    real *host, *there;
    if (m->backend->host_memory) return;
    for (int g = 0; g < m->groups; g++)
        if (policy_learns(m->policy[g]))
            m->backend->download(m->backend, m->host_target[g], m->target[g], m->policy[g]->size * sizeof(real));
    for (int i = 0; i < m->learners; i++)
        for (int k = 0; twin_vector(&m->learner[i], k, &host, &there); k++)
            m->backend->download(m->backend, host, there, net_of(&m->learner[i], TWIN)->parameters * sizeof(real));
}

void maddpg_push(struct maddpg *m)
{
    real *host, *there;
    if (m->backend->host_memory) return;
    for (int g = 0; g < m->groups; g++)
        if (policy_learns(m->policy[g])) m->backend->upload(m->backend, m->target[g], m->host_target[g], m->policy[g]->size * sizeof(real));
    for (int i = 0; i < m->learners; i++)
        for (int k = 0; twin_vector(&m->learner[i], k, &host, &there); k++)
            m->backend->upload(m->backend, there, host, net_of(&m->learner[i], TWIN)->parameters * sizeof(real));
}
