#include "algo/maddpg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct maddpg_rules maddpg_port = {0};
const struct maddpg_rules maddpg_openai = {
    .smooth_targets = true, .smooth_own = true, .others_taken = true, .targets_at_once = true, .clip_tensors = true};

enum { TWIN = MADDPG_TWIN, NETWORKS = MADDPG_NETWORKS, METRIC_SUMS = NETWORKS * PASS_SUMS };

/* What critics look at: the actions that were taken; those of present policies; what followed, with those of target policies. */
enum seen { SEEN_TAKEN, SEEN_NOW, SEEN_NEXT, SEENS };

/* The packed inputs of critics that see the same: all agents', or one's alone. */
struct view {
    int agent; /* -1 = all */
    const struct network *net;
    struct packed_rows **packed[SEENS]; /* [shards] */
};

struct learner { /* of one agent */
    const struct policy *policy;
    struct view *view;
    int group, agent; /* agent: of the group */
    int set[POLICY_ROLES];
    int column;                       /* of its actions among all agents' */
    int outputs;                      /* O: of its actor, and columns of its actions */
    int32_t *unit;                    /* [rows] its rows of the batch's arrays [rows][A] */
    struct packed_rows **obs, **next; /* [shards] */
    real *target;                     /* a block like the policy's parameters */
    struct twin {                     /* the second critic; NULL without one */
        real *parameters, *target, *m, *v;
    } twin, host_twin;
    int networks;                               /* TWIN, or NETWORKS */
    real *out, *target_out;                     /* [rows][O] */
    real *soft, *q_slope, *slope;               /* [rows][O] */
    struct optimizer *optimizer[NETWORKS];      /* [optimizers] the backend's … */
    struct optimizer *host_optimizer[NETWORKS]; /* … and the host's */
    struct optimizer_pass *step[NETWORKS];      /* [optimizers] */
    int optimizers[NETWORKS];
};

struct maddpg {
    struct maddpg_config config;
    const struct replay_batch *batch;
    const struct replay_numbers *numbers;
    struct policy *const *policy;
    struct comm *comm;
    struct backend *backend;
    struct optimizer_rules rules;
    int groups, shards, rows;     /* rows: of a shard */
    int learners, views, columns; /* columns: of all agents' actions */
    struct learner *learner;
    struct view *view;
    int width[MAPPO_MAX_GROUPS];                                    /* of a group's observations, all agents' */
    real *target[MAPPO_MAX_GROUPS], *host_target[MAPPO_MAX_GROUPS]; /* [policy size] the backend's, the host's */
    real *action[SEENS];                                            /* [shards · rows][columns] */
    real *q, *other, *ret, *loss;                                   /* [shards · rows]; other: of the second critic */
    real *flat; /* [shards][largest network + PASS_SUMS] a gradient, and the sums behind it */
    size_t flat_size;
    real *sums, *host_sums; /* [updates][learners][NETWORKS][PASS_SUMS] of all shards */
    struct there {          /* what an update is told and what comes of it */
        struct update_numbers now;
        int64_t actor_steps; /* Adam steps of actors so far */
        struct value_objective value;
        struct fault fault;
    } numbers_host, *there;
    struct optimizer *optimizers, *host_optimizers; /* [optimizer_count] of all networks */
    int optimizer_count;
    int made; /* updates of the call under way */
    struct {  /* [shards or more] scratch: passes of one call */
        struct forward_pass *forward;
        struct columns_pass *columns;
        struct embed_pass *embed;
        struct embed_back_pass *back;
        struct td_pass *td;
        struct derive_pass *derive;
        struct train_pass *train;
        struct batch *batch;
    } pass;
};

/* ---- where things lie ---------------------------------------------------------------------------------------------------------------- */

/* Row 0 of a shard in an array of all rows, each of so many numbers. */
static real *at_shard(const struct maddpg *m, real *array, int shard, int width)
{
    return array + (size_t)shard * (size_t)m->rows * (size_t)width;
}

static const struct network *net_of(const struct learner *l, int network)
{
    return &l->policy->net[network == TWIN ? ROLE_CRITIC : network];
}

static real *parameters_of(const struct learner *l, int role)
{
    if (role == TWIN) return l->twin.parameters;
    return policy_network_at(l->policy, l->policy->parameters, role, l->set[role]);
}

static real *target_of(const struct learner *l, int role)
{
    if (role == TWIN) return l->twin.target;
    return policy_network_at(l->policy, l->target, role, l->set[role]);
}

/* The first column of a learner's actions in what a view's critics see: behind the observations. */
static int action_column(const struct maddpg *m, const struct view *v, const struct learner *l)
{
    return v->agent < 0 ? v->net->inputs - m->columns + l->column : v->net->inputs - l->outputs;
}

/* ---- inputs -------------------------------------------------------------------------------------------------------------------------- */

static void forward(struct maddpg *m, const struct network *net, const real *parameters, struct packed_rows *const *packed, real *out)
{
    for (int s = 0; s < m->shards; s++)
        m->pass.forward[s] =
            (struct forward_pass){.net = net, .parameters = parameters, .packed = packed[s], .out = at_shard(m, out, s, net->outputs)};
    m->backend->forward(m->backend, m->pass.forward, m->shards);
}

/* The learner's rows of the batch, for its actor. */
static void pack_obs(struct maddpg *m, const struct learner *l, struct packed_rows *const *packed, const float *obs)
{
    for (int s = 0; s < m->shards; s++) m->pass.batch[s] = (struct batch){l->unit + (size_t)s * (size_t)m->rows, m->rows, 1, NULL};
    m->backend->pack(m->backend, &l->policy->net[ROLE_ACTOR], NULL, packed, obs, m->pass.batch, m->shards);
}

/* What critics see of the environment. */
static void pack_states(struct maddpg *m, const struct view *v, int seen)
{
    int to = 0, passes = 0;
    for (int g = 0; g < m->groups; g++) {
        const struct replay_batch_group *from = &m->batch->group[g];
        const bool own = v->agent >= 0;
        const int width = own ? m->learner[v->agent].policy->sizes.obs : m->width[g];
        if (own && m->learner[v->agent].group != g) continue;
        const float *x = (seen == SEEN_NEXT ? from->next : from->obs) + (own ? (size_t)m->learner[v->agent].agent * (size_t)width : 0);
        for (int s = 0; s < m->shards; s++)
            m->pass.columns[passes++] = (struct columns_pass){.packed = v->packed[seen][s],
                                                              .rows = m->rows,
                                                              .to = to,
                                                              .width = width,
                                                              .stride = m->width[g],
                                                              .x = x + (size_t)s * (size_t)m->rows * (size_t)m->width[g]};
        to += width;
    }
    m->backend->pack_columns(m->backend, m->pass.columns, passes);
}

/* A learner's actions, from the array of `from`, to where critics see them at `seen`. */
static void pack_actions(struct maddpg *m, const struct learner *l, int seen, int from)
{
    int passes = 0;
    for (int i = 0; i < m->views; i++) {
        const struct view *v = &m->view[i];
        if (v->agent >= 0 && l != &m->learner[v->agent]) continue;
        for (int s = 0; s < m->shards; s++)
            m->pass.columns[passes++] = (struct columns_pass){.packed = v->packed[seen][s],
                                                              .rows = m->rows,
                                                              .to = action_column(m, v, l),
                                                              .width = l->outputs,
                                                              .stride = m->columns,
                                                              .y = at_shard(m, m->action[from], s, m->columns) + l->column};
    }
    m->backend->pack_columns(m->backend, m->pass.columns, passes);
}

/* A learner's actions as columns. */
static void embed(struct maddpg *m, const struct learner *l, int seen, int how, int after)
{
    const struct replay_batch_group *b = &m->batch->group[l->group];
    const struct policy *p = l->policy;
    const struct maddpg_hooks *hooks = m->config.hooks;
    const int use = seen == SEEN_NEXT ? EMBED_TARGET : EMBED_OWN, agents = p->sizes.agents;
    const uint8_t *mask = seen == SEEN_NEXT ? b->next_mask : b->mask;
    const bool drawn = how == EMBED_HARD || how == EMBED_SOFT;
    const real *noise = drawn && hooks && hooks->noise ? hooks->noise(hooks->user, (int)(l - m->learner), use, after) : NULL;
    for (int s = 0; s < m->shards; s++) {
        const size_t first = (size_t)s * (size_t)m->rows, row = first * (size_t)agents + (size_t)l->agent;
        m->pass.embed[s] = (struct embed_pass){.how = how,
                                               .dist = &p->dist,
                                               .rows = m->rows,
                                               .stride = agents,
                                               .act_int = b->act_int ? b->act_int + row * (size_t)p->dist.act_ints : NULL,
                                               .act_real = b->act_real ? b->act_real + row * (size_t)p->dist.act_reals : NULL,
                                               .out = at_shard(m, seen == SEEN_NEXT ? l->target_out : l->out, s, l->outputs),
                                               .mask = mask ? mask + row * (size_t)p->dist.logits : NULL,
                                               .temperature = m->config.temperature,
                                               .noise = noise ? noise + first * (size_t)l->outputs : NULL,
                                               .seed = m->config.seed,
                                               .first_row = m->config.first_row + (uint32_t)first,
                                               .agent = (uint32_t)(l - m->learner),
                                               .numbers = m->numbers,
                                               .after = after,
                                               .use = use,
                                               .smoothing = seen == SEEN_NEXT && m->config.twin ? m->config.smoothing : 0,
                                               .smoothing_clip = m->config.smoothing_clip,
                                               .columns = at_shard(m, m->action[seen], s, m->columns) + l->column,
                                               .column_stride = m->columns,
                                               .soft = at_shard(m, l->soft, s, l->outputs)};
    }
    m->backend->embed(m->backend, m->pass.embed, m->shards);
    pack_actions(m, l, seen, seen);
}

/* Whether a learner acted, in the rows of a shard; NULL = always. */
static const uint8_t *active_of(const struct maddpg *m, const struct learner *l, int shard)
{
    const uint8_t *active = m->batch->group[l->group].active;
    return active ? active + (size_t)(l->agent * m->shards + shard) * (size_t)m->rows : NULL;
}

static void see_target_action(struct maddpg *m, const struct learner *l, int after)
{
    forward(m, &l->policy->net[ROLE_ACTOR], target_of(l, ROLE_ACTOR), l->next, l->target_out);
    embed(m, l, SEEN_NEXT, m->config.rules.smooth_targets ? EMBED_SOFT : EMBED_MODE, after);
}

/* As the others' critics see it. */
static void see_present_action(struct maddpg *m, const struct learner *l, int after)
{
    if (m->config.rules.others_taken) {
        pack_actions(m, l, SEEN_NOW, SEEN_TAKEN);
    } else {
        embed(m, l, SEEN_NOW, EMBED_MODE, after);
    }
}

static void see_batch(struct maddpg *m, int after)
{
    for (int i = 0; i < m->views; i++)
        for (int seen = 0; seen < SEENS; seen++) pack_states(m, &m->view[i], seen);
    for (int i = 0; i < m->learners; i++) {
        const struct learner *l = &m->learner[i];
        pack_obs(m, l, l->obs, m->batch->group[l->group].obs);
        pack_obs(m, l, l->next, m->batch->group[l->group].next);
        embed(m, l, SEEN_TAKEN, EMBED_TAKEN, after);
        see_target_action(m, l, after);
        forward(m, &l->policy->net[ROLE_ACTOR], parameters_of(l, ROLE_ACTOR), l->obs, l->out);
        see_present_action(m, l, after);
    }
}

/* ---- steps --------------------------------------------------------------------------------------------------------------------------- */

/* Steps that actors have made when so many updates have been. */
static int64_t actor_steps(const struct maddpg *m, int64_t updates)
{
    return updates / m->config.delay;
}

/* A training pass of each shard has been aimed, but for where its gradient goes; then the step of the network. */
static void train_and_step(struct maddpg *m, const struct learner *l, int network, int after)
{
    const int number = (int)(l - m->learner);
    const int64_t before = m->policy[0]->updates;
    const size_t parameters = net_of(l, network)->parameters, length = parameters + PASS_SUMS;
    real *sums = m->sums + (((size_t)after * (size_t)m->learners + (size_t)number) * NETWORKS + (size_t)network) * PASS_SUMS;
    for (int s = 0; s < m->shards; s++) {
        m->pass.train[s].gradient = m->flat + (size_t)s * length;
        m->pass.train[s].sum = m->flat + (size_t)s * length + parameters;
    }
    m->backend->train(m->backend, m->pass.train, m->shards);
    comm_sum_shards(m->comm, m->flat, m->shards, length);
    m->backend->copy(m->backend, sums, m->flat + parameters, PASS_SUMS * sizeof *sums);
    for (int i = 0; i < l->optimizers[network]; i++) {
        struct optimizer_pass *step = &l->step[network][i];
        step->step = network == ROLE_ACTOR ? (int)(actor_steps(m, before + after) - actor_steps(m, before)) : after;
        step->not_finite.epoch = after;
    }
    m->backend->optimizer_step(m->backend, &m->rules, l->step[network], l->optimizers[network]);
    if (m->config.hooks && m->config.hooks->stepped) m->config.hooks->stepped(m->config.hooks->user, number, network, m->flat);
}

static void find_targets(struct maddpg *m, const struct learner *l)
{
    const struct replay_batch_group *b = &m->batch->group[l->group];
    const int agents = l->policy->sizes.agents;
    forward(m, net_of(l, ROLE_CRITIC), target_of(l, ROLE_CRITIC), l->view->packed[SEEN_NEXT], m->q);
    if (m->config.twin) forward(m, net_of(l, TWIN), target_of(l, TWIN), l->view->packed[SEEN_NEXT], m->other);
    for (int s = 0; s < m->shards; s++) {
        const size_t row = (size_t)s * (size_t)m->rows * (size_t)agents + (size_t)l->agent;
        m->pass.td[s] = (struct td_pass){.rows = m->rows,
                                         .stride = agents,
                                         .reward = b->reward + row,
                                         .terminated = b->terminated + row,
                                         .gamma = m->config.gamma,
                                         .q = at_shard(m, m->q, s, 1),
                                         .other = m->config.twin ? at_shard(m, m->other, s, 1) : NULL,
                                         .ret = at_shard(m, m->ret, s, 1)};
    }
    m->backend->td_targets(m->backend, m->pass.td, m->shards);
}

/* Mean squared error of Q of what was done from the one-step target, of each critic. */
static void critic_steps(struct maddpg *m, const struct learner *l, int after)
{
    find_targets(m, l);
    for (int network = ROLE_CRITIC; network < l->networks; network++) {
        for (int s = 0; s < m->shards; s++) {
            real *ret = at_shard(m, m->ret, s, 1);
            m->pass.train[s] = (struct train_pass){.loss = LOSS_VALUE,
                                                   .net = net_of(l, network),
                                                   .parameters = parameters_of(l, network),
                                                   .packed = l->view->packed[SEEN_TAKEN][s],
                                                   .batch = {NULL, m->rows, 1, NULL},
                                                   .value = {.targets = 1,
                                                             .objective = &m->there->value,
                                                             .norm = l->policy->norm + l->set[ROLE_CRITIC],
                                                             .active = active_of(m, l, s),
                                                             .old_value = ret,
                                                             .ret = ret}};
        }
        train_and_step(m, l, network, after);
    }
}

/* Up the critic by way of the actions. */
static void actor_step(struct maddpg *m, const struct learner *l, int after)
{
    const struct policy *p = l->policy;
    const uint8_t *mask = m->batch->group[l->group].mask;
    embed(m, l, SEEN_NOW, m->config.rules.smooth_own ? EMBED_SOFT : EMBED_HARD, after);
    for (int s = 0; s < m->shards; s++) {
        const size_t row = (size_t)s * (size_t)m->rows * (size_t)p->sizes.agents + (size_t)l->agent;
        real *q = at_shard(m, m->q, s, 1), *q_slope = at_shard(m, l->q_slope, s, l->outputs);
        real *loss = at_shard(m, m->loss, s, 1), *slope = at_shard(m, l->slope, s, l->outputs);
        m->pass.derive[s] = (struct derive_pass){.net = &p->net[ROLE_CRITIC],
                                                 .parameters = parameters_of(l, ROLE_CRITIC),
                                                 .packed = l->view->packed[SEEN_NOW][s],
                                                 .from = action_column(m, l->view, l),
                                                 .width = l->outputs,
                                                 .out = q,
                                                 .slope = q_slope};
        m->pass.back[s] = (struct embed_back_pass){.dist = &p->dist,
                                                   .rows = m->rows,
                                                   .stride = p->sizes.agents,
                                                   .out = at_shard(m, l->out, s, l->outputs),
                                                   .soft = at_shard(m, l->soft, s, l->outputs),
                                                   .mask = mask ? mask + row * (size_t)p->dist.logits : NULL,
                                                   .active = active_of(m, l, s),
                                                   .q = q,
                                                   .q_slope = q_slope,
                                                   .temperature = m->config.temperature,
                                                   .penalty = m->config.penalty,
                                                   .loss = loss,
                                                   .slope = slope};
        m->pass.train[s] = (struct train_pass){.loss = LOSS_GIVEN,
                                               .net = &p->net[ROLE_ACTOR],
                                               .parameters = parameters_of(l, ROLE_ACTOR),
                                               .packed = l->obs[s],
                                               .batch = {NULL, m->rows, 1, NULL},
                                               .given = {.loss = loss, .slope = slope}};
    }
    m->backend->derive(m->backend, m->pass.derive, m->shards);
    m->backend->embed_back(m->backend, m->pass.back, m->shards);
    train_and_step(m, l, ROLE_ACTOR, after);
}

static void move_targets(struct maddpg *m, const struct learner *l)
{
    for (int network = 0; network < l->networks; network++)
        m->backend->soft_update(m->backend, target_of(l, network), parameters_of(l, network), m->config.tau,
                                net_of(l, network)->parameters);
}

void maddpg_learn(struct maddpg *m, int after)
{
    const struct maddpg_rules *rules = &m->config.rules;
    const int64_t update = m->policy[0]->updates + after;
    const bool moves = actor_steps(m, update + 1) > actor_steps(m, update); /* actors and targets, too */
    see_batch(m, after);
    for (int i = 0; i < m->learners; i++) {
        const struct learner *l = &m->learner[i];
        critic_steps(m, l, after);
        if (!moves) continue;
        actor_step(m, l, after);
        if (rules->targets_at_once) move_targets(m, l);
        if (i + 1 == m->learners) break;
        if (rules->targets_at_once) see_target_action(m, l, after);
        if (!rules->others_taken) forward(m, &l->policy->net[ROLE_ACTOR], parameters_of(l, ROLE_ACTOR), l->obs, l->out);
        see_present_action(m, l, after);
    }
    for (int i = 0; i < m->learners && moves && !rules->targets_at_once; i++) move_targets(m, &m->learner[i]);
    m->made = after + 1;
}

/* ---- a call -------------------------------------------------------------------------------------------------------------------------- */

void maddpg_begin(struct maddpg *m)
{
    for (int g = 0; g < m->groups; g++)
        m->backend->copy(m->backend, m->target[g], m->policy[g]->parameters, m->policy[g]->size * sizeof(real));
    for (int i = 0; i < m->learners && m->config.twin; i++) {
        const struct learner *l = &m->learner[i];
        const size_t bytes = net_of(l, TWIN)->parameters * sizeof(real);
        comm_broadcast(m->comm, l->host_twin.parameters, bytes); /* as policies_broadcast */
        m->backend->upload(m->backend, l->twin.parameters, l->host_twin.parameters, bytes);
        m->backend->copy(m->backend, l->twin.target, l->twin.parameters, bytes);
    }
}

void maddpg_start(struct maddpg *m, const struct annealed *now)
{
    m->made = 0;
    m->numbers_host =
        (struct there){.now = {.steps = m->policy[0]->updates, .actor_rate = now->actor_rate, .critic_rate = now->critic_rate},
                       .actor_steps = actor_steps(m, m->policy[0]->updates),
                       .value = {.coefficient = 2}}; /* the error's square, not half of it */
    for (int i = 0; i < m->optimizer_count; i++) m->host_optimizers[i] = (struct optimizer){.divisor = m->config.batch};
    m->backend->upload(m->backend, m->there, &m->numbers_host, sizeof *m->there);
    m->backend->upload(m->backend, m->optimizers, m->host_optimizers, (size_t)m->optimizer_count * sizeof *m->optimizers);
}

static double grad_norm(const struct learner *l, int role)
{
    double squares = 0;
    for (int i = 0; i < l->optimizers[role]; i++) squares += l->host_optimizer[role][i].mean_norm * l->host_optimizer[role][i].mean_norm;
    return sqrt(squares);
}

static void add_metrics(const struct maddpg *m, const struct learner *l, struct maddpg_metrics *to)
{
    const double share = 1.0 / l->policy->sizes.agents, rows = share / (double)m->config.batch / (double)m->made;
    const int64_t before = m->policy[0]->updates;
    const double moved = (double)(actor_steps(m, before + m->made) - actor_steps(m, before)) / m->made; /* of the updates */
    for (int k = 0; k < m->made; k++) {
        const real *sum = m->host_sums + ((size_t)k * (size_t)m->learners + (size_t)(l - m->learner)) * METRIC_SUMS;
        const bool moves = actor_steps(m, before + k + 1) > actor_steps(m, before + k); /* else the sum is an older one's */
        if (moves) to->actor_loss += rows / moved * (double)sum[ROLE_ACTOR * PASS_SUMS + SUM_LOSS];
        to->critic_loss += rows * 2 * (double)sum[ROLE_CRITIC * PASS_SUMS + SUM_LOSS];
    }
    if (moved > 0) to->actor_grad_norm += share / moved * grad_norm(l, ROLE_ACTOR);
    to->critic_grad_norm += share * grad_norm(l, ROLE_CRITIC);
}

int maddpg_outcome(struct maddpg *m, struct maddpg_metrics *metrics, struct error *err)
{
    struct backend *backend = m->backend;
    for (int g = 0; g < m->groups; g++) metrics[g] = (struct maddpg_metrics){0};
    if (m->made == 0) return 0;
    backend->download(backend, &m->numbers_host, m->there, sizeof *m->there);
    backend->download(backend, m->host_optimizers, m->optimizers, (size_t)m->optimizer_count * sizeof *m->optimizers);
    backend->download(backend, m->host_sums, m->sums, (size_t)m->made * (size_t)m->learners * METRIC_SUMS * sizeof *m->sums);
    const struct fault *fault = &m->numbers_host.fault;
    if (fault->kind != NO_FAULT) {
        const struct learner *l = &m->learner[fault->learner];
        return error_set(err, EXIT_NUMERICAL,
                         "gradient of the %s of agent %d of group \"%s\" is not finite in update %d of %d; parameters are as before that",
                         fault->kind == FAULT_ACTOR_GRADIENT ? "actor" : "critic", l->agent, l->policy->name, fault->epoch + 1, m->made);
    }
    for (int i = 0; i < m->learners; i++) add_metrics(m, &m->learner[i], &metrics[m->learner[i].group]);
    for (int g = 0; g < m->groups; g++) m->policy[g]->updates += m->made;
    m->made = 0;
    return 0;
}

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

static struct packed_rows **packed_of(const struct maddpg *m, const struct network *net, struct backend_memory *memory)
{
    struct packed_rows **packed = ARENA_NEW(memory->arena, struct packed_rows *, m->shards);
    for (int s = 0; s < m->shards; s++) packed[s] = backend_memory_packed(memory, net, m->rows);
    return packed;
}

/* What a learner's critic sees: the same as an earlier one's, or something of its own. */
static struct view *view_of(struct maddpg *m, int number, struct backend_memory *memory)
{
    const struct policy *p = m->learner[number].policy;
    const int agent = p->critic_input == CRITIC_OBS ? number : -1;
    for (int i = 0; i < m->views; i++)
        if (m->view[i].agent == agent) return &m->view[i];
    struct view *v = &m->view[m->views++];
    *v = (struct view){.agent = agent, .net = &p->net[ROLE_CRITIC]};
    for (int seen = 0; seen < SEENS; seen++) v->packed[seen] = packed_of(m, v->net, memory);
    return v;
}

static int32_t *units_of(const struct maddpg *m, const struct learner *l, struct backend_memory *memory)
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

static struct twin twin_of(const struct learner *l, struct backend_memory *memory)
{
    const size_t n = net_of(l, TWIN)->parameters;
    return (struct twin){BACKEND_NEW(memory, real, n), BACKEND_NEW(memory, real, n), BACKEND_NEW(memory, real, n),
                         BACKEND_NEW(memory, real, n)};
}

/* Freshly initialised, beside every other network of the run. */
static void add_twin(const struct maddpg *m, struct learner *l, struct backend_memory *memory)
{
    const size_t n = net_of(l, TWIN)->parameters;
    l->networks = m->config.twin ? NETWORKS : TWIN;
    if (!m->config.twin) return;
    l->twin = l->host_twin = twin_of(l, memory);
    if (!m->backend->host_memory)
        l->host_twin = (struct twin){ARENA_NEW(memory->arena, real, n), ARENA_NEW(memory->arena, real, n),
                                     ARENA_NEW(memory->arena, real, n), ARENA_NEW(memory->arena, real, n)};
    const struct network_init init = {.seed = m->config.seed,
                                      .index = policy_network_number((uint32_t)l->group, TWIN, l->set[ROLE_CRITIC]),
                                      .head_gain = 1,
                                      .level = m->backend->level,
                                      .threads = m->backend->threads};
    if (!m->backend->planning) network_initialise(net_of(l, TWIN), l->host_twin.parameters, &init);
}

static void add_learner(struct maddpg *m, int g, int agent, struct backend_memory *memory)
{
    const int number = m->learners++;
    const size_t rows = (size_t)m->shards * (size_t)m->rows;
    struct learner *l = &m->learner[number];
    *l = (struct learner){.policy = m->policy[g], .group = g, .agent = agent, .column = m->columns, .target = m->target[g]};
    for (int role = 0; role < POLICY_ROLES; role++) l->set[role] = policy_set(l->policy, role, agent);
    l->outputs = l->policy->net[ROLE_ACTOR].outputs;
    m->columns += l->outputs;
    l->unit = units_of(m, l, memory);
    l->obs = packed_of(m, &l->policy->net[ROLE_ACTOR], memory);
    l->next = packed_of(m, &l->policy->net[ROLE_ACTOR], memory);
    real **const arrays[] = {&l->out, &l->target_out, &l->soft, &l->q_slope, &l->slope};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) *arrays[i] = BACKEND_NEW(memory, real, rows * (size_t)l->outputs);
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

static void aim_steps(struct maddpg *m, struct learner *l, int network, struct backend_memory *memory)
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
    m->there = BACKEND_NEW(memory, struct there, 1);
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
        m->target[g] = BACKEND_NEW(memory, real, policy[g]->size);
        m->host_target[g] = m->backend->host_memory ? m->target[g] : ARENA_NEW(memory->arena, real, policy[g]->size);
    }
    m->learner = ARENA_NEW(memory->arena, struct learner, agents);
    m->view = ARENA_NEW(memory->arena, struct view, agents);
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
        sum += actor + critics * (critic + (3 * critic - critic_first)) + of_actor / m->config.delay;
    }
    return 2 * sum * m->config.batch;
}

/* ---- what a checkpoint holds --------------------------------------------------------------------------------------------------------- */

/* The four vectors of a twin, the host's and the backend's; false behind the last. */
static bool twin_vector(const struct learner *l, int i, real **host, real **there)
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
    for (int g = 0; g < m->groups; g++) policies_block_fields(m->policy[g], m->host_target[g], "target", "target network: ", list);
    for (int i = 0; i < m->learners; i++)
        for (int k = 0; twin_vector(&m->learner[i], k, &host, &there); k++) {
            const struct learner *l = &m->learner[i];
            policies_network_fields(l->policy, ROLE_CRITIC, l->set[ROLE_CRITIC], host,
                                    &(struct policies_path){top[k], "twin", part[k], meaning[k]}, list);
        }
}

void maddpg_pull(struct maddpg *m)
{
    real *host, *there;
    if (m->backend->host_memory) return;
    for (int g = 0; g < m->groups; g++)
        m->backend->download(m->backend, m->host_target[g], m->target[g], m->policy[g]->size * sizeof(real));
    for (int i = 0; i < m->learners; i++)
        for (int k = 0; twin_vector(&m->learner[i], k, &host, &there); k++)
            m->backend->download(m->backend, host, there, net_of(&m->learner[i], TWIN)->parameters * sizeof(real));
}

void maddpg_push(struct maddpg *m)
{
    real *host, *there;
    if (m->backend->host_memory) return;
    for (int g = 0; g < m->groups; g++) m->backend->upload(m->backend, m->target[g], m->host_target[g], m->policy[g]->size * sizeof(real));
    for (int i = 0; i < m->learners; i++)
        for (int k = 0; twin_vector(&m->learner[i], k, &host, &there); k++)
            m->backend->upload(m->backend, there, host, net_of(&m->learner[i], TWIN)->parameters * sizeof(real));
}
