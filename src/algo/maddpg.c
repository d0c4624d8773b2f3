#include "algo/maddpg_work.h"

#include <math.h>

const struct maddpg_rules maddpg_port = {0};
const struct maddpg_rules maddpg_openai = {
    .smooth_targets = true, .smooth_own = true, .others_taken = true, .targets_at_once = true, .clip_tensors = true};

/* ---- where things lie ---------------------------------------------------------------------------------------------------------------- */

/* Row 0 of a shard in an array of all rows, each of so many numbers. */
static real *at_shard(const struct maddpg *m, real *array, int shard, int width)
{
    return array + (size_t)shard * (size_t)m->rows * (size_t)width;
}

static real *parameters_of(const struct maddpg_learner *l, int role)
{
    if (role == TWIN) return l->twin.parameters;
    return policy_network_at(l->policy, l->policy->parameters, role, l->set[role]);
}

static real *target_of(const struct maddpg_learner *l, int role)
{
    if (role == TWIN) return l->twin.target;
    return policy_network_at(l->policy, l->target, role, l->set[role]);
}

/* The first column of a learner's actions in what a view's critics see: behind the observations. */
static int action_column(const struct maddpg *m, const struct maddpg_view *v, const struct maddpg_learner *l)
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
static void pack_obs(struct maddpg *m, const struct maddpg_learner *l, struct packed_rows *const *packed, const float *obs)
{
    for (int s = 0; s < m->shards; s++) m->pass.batch[s] = (struct batch){l->unit + (size_t)s * (size_t)m->rows, m->rows, 1, NULL};
    m->backend->pack(m->backend, &l->policy->net[ROLE_ACTOR], NULL, packed, obs, m->pass.batch, m->shards);
}

/* What critics see of the environment. */
static void pack_states(struct maddpg *m, const struct maddpg_view *v, int seen)
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
static void pack_actions(struct maddpg *m, const struct maddpg_learner *l, int seen, int from)
{
    int passes = 0;
    for (int i = 0; i < m->views; i++) {
        const struct maddpg_view *v = &m->view[i];
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

/* The log_std of an actor, in a block of parameters of it; NULL where it has none. */
static const real *log_std_of(const struct maddpg_learner *l, const real *parameters)
{
    const struct network *net = &l->policy->net[ROLE_ACTOR];
    return net->extra ? parameters + net->at.extra : NULL;
}

/* A learner's actions as columns. */
static void embed(struct maddpg *m, const struct maddpg_learner *l, int seen, int how, int after)
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
        m->pass.embed[s] =
            (struct embed_pass){.how = how,
                                .dist = &p->dist,
                                .rows = m->rows,
                                .stride = agents,
                                .act_int = b->act_int ? b->act_int + row * (size_t)p->dist.act_ints : NULL,
                                .act_real = b->act_real ? b->act_real + row * (size_t)p->dist.act_reals : NULL,
                                .out = at_shard(m, seen == SEEN_NEXT ? l->target_out : l->out, s, l->outputs),
                                .mask = mask ? mask + row * (size_t)p->dist.logits : NULL,
                                .temperature = m->config.temperature,
                                .log_std = log_std_of(l, seen == SEEN_NEXT ? target_of(l, ROLE_ACTOR) : parameters_of(l, ROLE_ACTOR)),
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
                                .soft = at_shard(m, l->soft, s, l->outputs),
                                .drawn = l->drawn ? at_shard(m, l->drawn, s, l->outputs) : NULL};
    }
    m->backend->embed(m->backend, m->pass.embed, m->shards);
    pack_actions(m, l, seen, seen);
}

/* Whether a learner acted, in the rows of a shard; NULL = always. */
static const uint8_t *active_of(const struct maddpg *m, const struct maddpg_learner *l, int shard)
{
    const uint8_t *active = m->batch->group[l->group].active;
    return active ? active + (size_t)(l->agent * m->shards + shard) * (size_t)m->rows : NULL;
}

static void see_target_action(struct maddpg *m, const struct maddpg_learner *l, int after)
{
    forward(m, &l->policy->net[ROLE_ACTOR], target_of(l, ROLE_ACTOR), l->next, l->target_out);
    embed(m, l, SEEN_NEXT, m->config.rules.smooth_targets ? EMBED_SOFT : EMBED_MODE, after);
}

/* As the others' critics see it. */
static void see_present_action(struct maddpg *m, const struct maddpg_learner *l, int after)
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
        const struct maddpg_learner *l = &m->learner[i];
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
static void train_and_step(struct maddpg *m, const struct maddpg_learner *l, int network, int after)
{
    const int number = (int)(l - m->learner);
    const int64_t before = m->updates;
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

static void find_targets(struct maddpg *m, const struct maddpg_learner *l)
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
                                         .ep_end = m->batch->ep_end + (size_t)s * (size_t)m->rows,
                                         .gamma = m->config.gamma,
                                         .q = at_shard(m, m->q, s, 1),
                                         .other = m->config.twin ? at_shard(m, m->other, s, 1) : NULL,
                                         .ret = at_shard(m, m->ret, s, 1)};
    }
    m->backend->td_targets(m->backend, m->pass.td, m->shards);
}

/* Rows that count with weights: the same loss by way of the errors, which say what is drawn next. They are those of all agents' first critics. */
static void aim_weighted(struct maddpg *m, const struct maddpg_learner *l, int network)
{
    const bool said = m->batch->error && network == ROLE_CRITIC;
    forward(m, net_of(l, network), parameters_of(l, network), l->view->packed[SEEN_TAKEN], m->q);
    for (int s = 0; s < m->shards; s++) {
        real *loss = at_shard(m, m->loss, s, 1), *slope = at_shard(m, m->other, s, 1);
        m->pass.error[s] = (struct error_pass){.rows = m->rows,
                                               .q = at_shard(m, m->q, s, 1),
                                               .ret = at_shard(m, m->ret, s, 1),
                                               .weight = at_shard(m, m->batch->weight, s, 1),
                                               .loss = loss,
                                               .slope = slope,
                                               .error = said ? at_shard(m, m->batch->error, s, 1) : NULL,
                                               .share = (real)1 / (real)m->learners,
                                               .first = l == m->learner};
        m->pass.train[s] = (struct train_pass){.loss = LOSS_GIVEN,
                                               .net = net_of(l, network),
                                               .parameters = parameters_of(l, network),
                                               .packed = l->view->packed[SEEN_TAKEN][s],
                                               .batch = {NULL, m->rows, 1, NULL},
                                               .given = {.loss = loss, .slope = slope}};
    }
    m->backend->td_errors(m->backend, m->pass.error, m->shards);
}

static void aim_unweighted(struct maddpg *m, const struct maddpg_learner *l, int network)
{
    for (int s = 0; s < m->shards; s++) {
        real *ret = at_shard(m, m->ret, s, 1);
        m->pass.train[s] = (struct train_pass){
            .loss = LOSS_VALUE,
            .net = net_of(l, network),
            .parameters = parameters_of(l, network),
            .packed = l->view->packed[SEEN_TAKEN][s],
            .batch = {NULL, m->rows, 1, NULL},
            .value = {
                .targets = 1, .objective = &m->there->value, .norm = l->policy->norm + l->set[ROLE_CRITIC], .old_value = ret, .ret = ret}};
    }
}

/* Mean squared error of Q of what was done from the one-step target, of each critic. */
static void critic_steps(struct maddpg *m, const struct maddpg_learner *l, int after)
{
    find_targets(m, l);
    for (int network = ROLE_CRITIC; network < l->networks; network++) {
        if (m->batch->weight) {
            aim_weighted(m, l, network);
        } else {
            aim_unweighted(m, l, network);
        }
        train_and_step(m, l, network, after);
    }
}

/* Up the critic by way of the actions. */
static void actor_step(struct maddpg *m, const struct maddpg_learner *l, int after)
{
    const struct policy *p = l->policy;
    const uint8_t *mask = m->batch->group[l->group].mask;
    embed(m, l, SEEN_NOW, m->config.rules.smooth_own ? EMBED_SOFT : EMBED_HARD, after);
    for (int s = 0; s < m->shards; s++) {
        const size_t row = (size_t)s * (size_t)m->rows * (size_t)p->sizes.agents + (size_t)l->agent;
        real *q = at_shard(m, m->q, s, 1), *q_slope = at_shard(m, l->q_slope, s, l->outputs);
        real *loss = at_shard(m, m->loss, s, 1), *slope = at_shard(m, l->slope, s, l->outputs);
        real *by_log_std = l->by_log_std ? at_shard(m, l->by_log_std, s, p->dist.act_reals) : NULL;
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
                                                   .slope = slope,
                                                   .drawn = l->drawn ? at_shard(m, l->drawn, s, l->outputs) : NULL,
                                                   .by_log_std = by_log_std};
        m->pass.train[s] = (struct train_pass){.loss = LOSS_GIVEN,
                                               .net = &p->net[ROLE_ACTOR],
                                               .parameters = parameters_of(l, ROLE_ACTOR),
                                               .packed = l->obs[s],
                                               .batch = {NULL, m->rows, 1, NULL},
                                               .given = {.loss = loss, .slope = slope, .extra = by_log_std}};
    }
    m->backend->derive(m->backend, m->pass.derive, m->shards);
    m->backend->embed_back(m->backend, m->pass.back, m->shards);
    train_and_step(m, l, ROLE_ACTOR, after);
}

static void move_targets(struct maddpg *m, const struct maddpg_learner *l)
{
    for (int network = 0; network < l->networks; network++)
        m->backend->soft_update(m->backend, target_of(l, network), parameters_of(l, network), m->config.tau,
                                net_of(l, network)->parameters);
}

void maddpg_learn(struct maddpg *m, int after)
{
    const struct maddpg_rules *rules = &m->config.rules;
    const int64_t update = m->updates + after;
    const bool moves = actor_steps(m, update + 1) > actor_steps(m, update); /* actors and targets, too */
    see_batch(m, after);
    for (int i = 0; i < m->learners; i++) {
        const struct maddpg_learner *l = &m->learner[i];
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
}

/* ---- a call -------------------------------------------------------------------------------------------------------------------------- */

void maddpg_begin(struct maddpg *m)
{
    for (int g = 0; g < m->groups; g++)
        if (policy_learns(m->policy[g]))
            m->backend->copy(m->backend, m->target[g], m->policy[g]->parameters, m->policy[g]->size * sizeof(real));
    for (int i = 0; i < m->learners && m->config.twin; i++) {
        const struct maddpg_learner *l = &m->learner[i];
        const size_t bytes = net_of(l, TWIN)->parameters * sizeof(real);
        comm_broadcast(m->comm, l->host_twin.parameters, bytes); /* as policies_broadcast */
        if (!m->backend->host_memory) m->backend->upload(m->backend, l->twin.parameters, l->host_twin.parameters, bytes);
        m->backend->copy(m->backend, l->twin.target, l->twin.parameters, bytes);
    }
}

void maddpg_start(struct maddpg *m, const struct annealed *now)
{
    m->made = m->config.updates;
    m->numbers_host = (struct maddpg_there){.now = {.steps = m->updates, .actor_rate = now->actor_rate, .critic_rate = now->critic_rate},
                                            .actor_steps = actor_steps(m, m->updates),
                                            .value = {.coefficient = 2}}; /* the error's square, not half of it */
    for (int i = 0; i < m->optimizer_count; i++) m->host_optimizers[i] = (struct optimizer){.divisor = m->config.batch};
    m->backend->upload(m->backend, m->there, &m->numbers_host, sizeof *m->there);
    m->backend->upload(m->backend, m->optimizers, m->host_optimizers, (size_t)m->optimizer_count * sizeof *m->optimizers);
}

int64_t maddpg_updates(const struct maddpg *m)
{
    return m->updates;
}

static double grad_norm(const struct maddpg_learner *l, int role)
{
    double squares = 0;
    for (int i = 0; i < l->optimizers[role]; i++) squares += l->host_optimizer[role][i].mean_norm * l->host_optimizer[role][i].mean_norm;
    return sqrt(squares);
}

static void add_metrics(const struct maddpg *m, const struct maddpg_learner *l, struct maddpg_metrics *to)
{
    const double share = 1.0 / l->policy->sizes.agents, rows = share / (double)m->config.batch / (double)m->made;
    const int64_t before = m->updates;
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
        const struct maddpg_learner *l = &m->learner[fault->learner];
        return error_set(err, EXIT_NUMERICAL,
                         "gradient of the %s of agent %d of group \"%s\" is not finite in update %d of %d; parameters are as before that",
                         fault->kind == FAULT_ACTOR_GRADIENT ? "actor" : "critic", l->agent, l->policy->name, fault->epoch + 1, m->made);
    }
    for (int i = 0; i < m->learners; i++) add_metrics(m, &m->learner[i], &metrics[m->learner[i].group]);
    for (int g = 0; g < m->groups; g++) m->policy[g]->updates += m->made;
    m->updates += m->made;
    m->made = 0;
    return 0;
}
