#include "algo/ppo.h"

#include <math.h>
#include <string.h>

#include "algo/ppo_batches.h"
#include "comm/watchdog.h"

/* The sums of one network pair that travel behind the gradients. Counts are known before (struct statistics), so rounding to `real` costs
 * only the metrics a digit. */
enum tail { TAIL_POLICY_LOSS, TAIL_ENTROPY, TAIL_KL, TAIL_CLIPPED, TAIL_RATIO, TAIL_VALUE_LOSS, TAILS };

/* Sums of one minibatch that are known before any gradient, of all ranks after the one message that carries them. */
struct statistics {
    struct moments ret; /* of all rows */
    double active;      /* rows with active = 1 */
};

/* One set of parameters of one group. */
struct learner {
    int group, set;
    size_t offset; /* of its gradients in a shard's vector: actor, then critic */
    size_t tail;   /* of its sums */
    struct normalizer_scale scale;
    double policy_weight, value_weight; /* Σ m of the minibatch at hand */
    double actor_norm, critic_norm;
    double sum[TAILS];
};

struct ppo {
    struct ppo_config config;
    struct rollout *rollout;
    struct policy *const *policy;
    struct comm *comm;
    struct backend *backend;
    struct arena *arena;
    struct ppo_batches batches;
    int shards, learners;
    struct learner *learner; /* groups x sets */
    int learner_first[MAPPO_MAX_GROUPS + 1];
    size_t gradients, vector;                   /* reals of a shard: gradients of all networks; with the sums behind them */
    real *flat;                                 /* [shards][vector] */
    struct tiles **actor_tiles, **critic_tiles; /* [parts]; critic_tiles may be the rollout's */
    bool *critic_tiles_own;
    struct train_pass *pass; /* [2 * parts] */
    int statistics_epochs;   /* 1 where every epoch has the same minibatch */
    size_t message;          /* doubles of a shard */
    double *statistics;      /* [shards][message] */
    struct moments *moments; /* [parts] scratch */
};

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

enum { ADVANTAGE_NUMBERS = 6, MINIBATCH_NUMBERS = 4 }; /* of a learner in the message of statistics */

static struct learner *learner_of(const struct ppo *ppo, const struct ppo_part *part)
{
    return &ppo->learner[ppo->learner_first[part->group] + part->set];
}

static void create_learners(struct ppo *ppo)
{
    const int groups = ppo->rollout->groups;
    for (int g = 0; g < groups; g++) ppo->learners += ppo->policy[g]->sets;
    ppo->learner = ARENA_NEW(ppo->arena, struct learner, ppo->learners);
    int i = 0;
    for (int g = 0; g < groups; g++) {
        ppo->learner_first[g] = i;
        for (int s = 0; s < ppo->policy[g]->sets; s++, i++) {
            ppo->learner[i] = (struct learner){.group = g, .set = s, .offset = ppo->gradients};
            ppo->gradients += ppo->policy[g]->set_size;
        }
    }
    ppo->learner_first[groups] = i;
    for (i = 0; i < ppo->learners; i++) ppo->learner[i].tail = ppo->gradients + (size_t)i * TAILS;
    ppo->vector = ppo->gradients + (size_t)ppo->learners * TAILS;
    ppo->statistics_epochs = ppo->config.minibatches > 1 ? ppo->config.epochs : 1;
    ppo->message =
        (size_t)ppo->learners * (ADVANTAGE_NUMBERS + MINIBATCH_NUMBERS * (size_t)ppo->statistics_epochs * (size_t)ppo->config.minibatches);
}

static struct train_pass actor_pass(const struct ppo *ppo, int i)
{
    const struct ppo_part *part = &ppo->batches.part[i];
    const struct rollout_group *group = &ppo->rollout->group[part->group];
    const struct policy *policy = ppo->policy[part->group];
    return (struct train_pass){.loss = LOSS_POLICY,
                               .net = &policy->actor,
                               .parameters = policy_actor(policy, policy->parameters, part->set),
                               .tiles = ppo->actor_tiles[i],
                               .policy = {.dist = &policy->dist,
                                          .clip = ppo->config.clip,
                                          .entropy = ppo->config.entropy,
                                          .act_int = group->act_int,
                                          .act_real = group->act_real,
                                          .mask = group->act_mask,
                                          .active = ppo->config.policy_active_masks ? group->active : NULL,
                                          .old_log_prob = group->log_prob,
                                          .advantage = group->advantage},
                               .gradient = ppo->flat + (size_t)part->shard * ppo->vector + learner_of(ppo, part)->offset};
}

static struct train_pass critic_pass(const struct ppo *ppo, int i)
{
    const struct ppo_part *part = &ppo->batches.part[i];
    const struct rollout_group *group = &ppo->rollout->group[part->group];
    const struct policy *policy = ppo->policy[part->group];
    return (struct train_pass){.loss = LOSS_VALUE,
                               .net = &policy->critic,
                               .parameters = policy_critic(policy, policy->parameters, part->set),
                               .tiles = ppo->critic_tiles[i],
                               .value = {.targets = policy->sizes.agents / policy->value_agents,
                                         .clip = ppo->config.value_clip,
                                         .huber_delta = ppo->config.huber_delta,
                                         .coefficient = ppo->config.value_coefficient,
                                         .active = ppo->config.value_active_masks ? group->active : NULL,
                                         .old_value = group->value,
                                         .ret = group->ret},
                               .gradient = ppo->flat + (size_t)part->shard * ppo->vector + learner_of(ppo, part)->offset +
                                           policy->actor.parameters};
}

static void create_passes(struct ppo *ppo)
{
    struct ppo_batches *batches = &ppo->batches;
    struct backend *backend = ppo->backend;
    ppo->actor_tiles = ARENA_NEW(ppo->arena, struct tiles *, batches->parts);
    ppo->critic_tiles = ARENA_NEW(ppo->arena, struct tiles *, batches->parts);
    ppo->critic_tiles_own = ARENA_NEW(ppo->arena, bool, batches->parts);
    ppo->pass = ARENA_NEW(ppo->arena, struct train_pass, 2 * batches->parts);
    ppo->moments = ARENA_NEW(ppo->arena, struct moments, batches->parts);
    for (int i = 0; i < batches->parts; i++) {
        const struct ppo_part *part = &batches->part[i];
        const struct policy *policy = ppo->policy[part->group];
        const int largest = ppo_part_largest(batches, part);
        ppo->actor_tiles[i] = backend->tiles_create(backend, &policy->actor, largest * part->rows);
        /* The rollout packed the critic's inputs of all steps already: one minibatch in natural order needs the very same. */
        const bool packed = batches->minibatches == 1 && !batches->row_minibatches && (policy->sets > 1 || part->pack_repeats == 1);
        ppo->critic_tiles_own[i] = !packed;
        ppo->critic_tiles[i] = packed ? rollout_critic_tiles(ppo->rollout, part->group, part->shard, part->set)
                                      : backend->tiles_create(backend, &policy->critic, largest * part->critic_rows);
        ppo->pass[2 * i] = actor_pass(ppo, i);
        ppo->pass[2 * i + 1] = critic_pass(ppo, i);
    }
}

int ppo_create(struct ppo **out, const struct ppo_config *config, struct rollout *rollout, struct policy *const *policy, struct comm *comm,
               struct backend *backend, struct error *err)
{
    CHECK(backend->host_memory, "%s: learning on a backend with memory of its own is not supported yet", backend->name);
    struct arena *arena = arena_create("update");
    struct ppo *ppo = ARENA_NEW(arena, struct ppo, 1);
    ppo->config = *config;
    ppo->rollout = rollout;
    ppo->policy = policy;
    ppo->comm = comm;
    ppo->backend = backend;
    ppo->arena = arena;
    ppo->shards = rollout->config.shards;
    ppo->batches = (struct ppo_batches){.rollout = rollout,
                                        .policy = policy,
                                        .hooks = config->hooks,
                                        .seed = config->seed,
                                        .epochs = config->epochs,
                                        .minibatches = config->minibatches,
                                        .row_minibatches = config->row_minibatches};
    const int code = ppo_batches_create(&ppo->batches, arena, err);
    if (code) {
        arena_destroy(arena);
        return code;
    }
    create_learners(ppo);
    ppo->flat = backend->alloc(backend, "gradients", (size_t)ppo->shards * ppo->vector * sizeof(real));
    ppo->statistics = ARENA_NEW(arena, double, (size_t)ppo->shards * ppo->message);
    create_passes(ppo);
    arena_seal(arena);
    comm_reserve(comm, ppo->shards, ppo->vector, ppo->message);
    *out = ppo;
    return 0;
}

void ppo_destroy(struct ppo *ppo)
{
    if (!ppo) return;
    for (int i = 0; i < ppo->batches.parts; i++) {
        ppo->backend->tiles_destroy(ppo->backend, ppo->actor_tiles[i]);
        if (ppo->critic_tiles_own[i]) ppo->backend->tiles_destroy(ppo->backend, ppo->critic_tiles[i]);
    }
    ppo->backend->free(ppo->backend, ppo->flat);
    arena_destroy(ppo->arena);
}

void ppo_learning_rate(struct ppo *ppo, real actor, real critic)
{
    ppo->config.actor_adam.learning_rate = actor;
    ppo->config.critic_adam.learning_rate = critic;
}

/* ---- statistics: everything that all ranks must know before the first gradient, in one message --------------------------------------- */

/* Where learner l's numbers stand in a shard's message. */
static size_t advantage_at(const struct ppo *ppo, int l)
{
    return (size_t)l * (ppo->message / (size_t)ppo->learners);
}

static size_t minibatch_at(const struct ppo *ppo, int l, int epoch, int minibatch)
{
    const int e = epoch < ppo->statistics_epochs ? epoch : 0;
    return advantage_at(ppo, l) + ADVANTAGE_NUMBERS + MINIBATCH_NUMBERS * ((size_t)e * (size_t)ppo->config.minibatches + (size_t)minibatch);
}

/* Moments of x [T][E][A] over the parts of group g: count, sum and sum of squares (or only the first `numbers` of them) go `shift` doubles
 * behind the start of the learner's numbers in each shard's message. */
static void measure(struct ppo *ppo, int g, const real *x, const uint8_t *mask, const struct batch *batch, size_t shift, int numbers)
{
    const int from = ppo->batches.group_first[g], count = ppo->batches.group_first[g + 1] - from;
    ppo->backend->moments(ppo->backend, x, mask, 1, batch + from, ppo->moments, count);
    for (int i = 0; i < count; i++) {
        const struct ppo_part *part = &ppo->batches.part[from + i];
        const double found[3] = {ppo->moments[i].count, ppo->moments[i].sum, ppo->moments[i].sum_squares};
        double *to = ppo->statistics + (size_t)part->shard * ppo->message + advantage_at(ppo, ppo->learner_first[g] + part->set) + shift;
        memcpy(to, found, (size_t)numbers * sizeof *to);
    }
}

static void gather_statistics(struct ppo *ppo)
{
    for (int g = 0; g < ppo->rollout->groups; g++) {
        const struct rollout_group *group = &ppo->rollout->group[g];
        measure(ppo, g, group->advantage, group->active, ppo->batches.everything, 0, 3);
        measure(ppo, g, group->ret, group->active, ppo->batches.everything, 3, 3);
    }
    for (int epoch = 0; epoch < ppo->statistics_epochs; epoch++)
        for (int k = 0; k < ppo->config.minibatches; k++) {
            ppo_batches_select(&ppo->batches, epoch, k);
            const size_t shift = minibatch_at(ppo, 0, epoch, k);
            for (int g = 0; g < ppo->rollout->groups; g++) {
                const struct rollout_group *group = &ppo->rollout->group[g];
                measure(ppo, g, group->ret, NULL, ppo->batches.actor, shift, 3);
                measure(ppo, g, group->ret, group->active, ppo->batches.actor, shift + 3, 1);
            }
        }
    comm_sum_shards_double(ppo->comm, ppo->statistics, ppo->shards, ppo->message);
}

static struct statistics minibatch_statistics(const struct ppo *ppo, int l, int epoch, int minibatch)
{
    const double *x = ppo->statistics + minibatch_at(ppo, l, epoch, minibatch);
    return (struct statistics){{x[0], x[1], x[2]}, x[3]};
}

static double variance(const double *moments) /* count, sum, sum of squares */
{
    if (moments[0] <= 0) return 0;
    const double mean = moments[1] / moments[0];
    return fmax(moments[2] / moments[0] - mean * mean, 0);
}

/* A := (A - mean) / (population deviation + 1e-5), over all ranks and the agents that share parameters. */
static int normalise_advantages(struct ppo *ppo, struct ppo_metrics *metrics, struct error *err)
{
    static const double EPSILON = 1e-5;
    const size_t env_steps = (size_t)ppo->rollout->config.steps * (size_t)ppo->rollout->config.envs;
    for (int l = 0; l < ppo->learners; l++) {
        const struct learner *learner = &ppo->learner[l];
        const struct policy *policy = ppo->policy[learner->group];
        const double *adv = ppo->statistics + advantage_at(ppo, l), *ret = adv + 3;
        if (!isfinite(adv[1]) || !isfinite(adv[2]) || !isfinite(ret[1]) || !isfinite(ret[2]))
            return error_set(err, EXIT_NUMERICAL, "group \"%s\": returns are not finite: rewards or values have overflowed", policy->name);
        /* A = R - V, so the variance that V leaves unexplained is that of A. */
        metrics[learner->group].explained_variance += (1 - variance(adv) / variance(ret)) / policy->sets;
        if (!ppo->config.normalise_advantage) continue;
        real *advantage = ppo->rollout->group[learner->group].advantage;
        const real mean = (real)(adv[0] > 0 ? adv[1] / adv[0] : 0), divisor = (real)(sqrt(variance(adv)) + EPSILON);
        if (policy->sets == 1) {
            ppo->backend->standardise(ppo->backend, advantage, env_steps * (size_t)policy->sizes.agents, mean, divisor);
        } else { /* the rows of one agent lie apart */
            for (size_t i = (size_t)learner->set; i < env_steps * (size_t)policy->sets; i += (size_t)policy->sets)
                advantage[i] = (advantage[i] - mean) / divisor;
        }
    }
    return 0;
}

/* ---- one minibatch ------------------------------------------------------------------------------------------------------------------- */

static void pack_inputs(struct ppo *ppo)
{
    for (int g = 0; g < ppo->rollout->groups; g++) {
        const int from = ppo->batches.group_first[g], count = ppo->batches.group_first[g + 1] - from;
        const struct rollout_group *group = &ppo->rollout->group[g];
        ppo->backend->pack(ppo->backend, &ppo->policy[g]->actor, ppo->actor_tiles + from, group->obs, ppo->batches.actor + from, count);
        if (ppo->critic_tiles_own[from])
            ppo->backend->pack(ppo->backend, &ppo->policy[g]->critic, ppo->critic_tiles + from, group->state, ppo->batches.pack + from,
                               count);
    }
}

/* Normalisers see the returns of the minibatch before its value loss, as in the reference. */
static void prepare_learners(struct ppo *ppo, int epoch, int minibatch)
{
    for (int l = 0; l < ppo->learners; l++) {
        struct learner *learner = &ppo->learner[l];
        struct policy *policy = ppo->policy[learner->group];
        struct normalizer *norm = &policy->norm[learner->set];
        const struct statistics statistics = minibatch_statistics(ppo, l, epoch, minibatch);
        if (policy->normalizer != NORMALIZER_NONE) normalizer_update(norm, ppo->config.value_norm_beta, &statistics.ret);
        learner->scale = normalizer_scale(norm, policy->normalizer);
        learner->policy_weight = ppo->config.policy_active_masks ? statistics.active : statistics.ret.count;
        learner->value_weight = ppo->config.value_active_masks ? statistics.active : statistics.ret.count;
    }
}

/* Gradients and sums of all networks over all ranks. */
static void compute_gradients(struct ppo *ppo)
{
    const struct ppo_batches *batches = &ppo->batches;
    for (int i = 0; i < batches->parts; i++) {
        const struct learner *learner = learner_of(ppo, &batches->part[i]);
        struct train_pass *actor = &ppo->pass[2 * i], *critic = actor + 1;
        actor->batch = batches->actor[i];
        critic->batch = batches->critic[i];
        critic->value.mean = (real)learner->scale.mean;
        critic->value.deviation = (real)learner->scale.deviation;
    }
    ppo->backend->train(ppo->backend, ppo->pass, 2 * batches->parts);
    for (int i = 0; i < batches->parts; i++) {
        const struct ppo_part *part = &batches->part[i];
        const double *actor = ppo->pass[2 * i].sum, *critic = ppo->pass[2 * i + 1].sum;
        real *tail = ppo->flat + (size_t)part->shard * ppo->vector + learner_of(ppo, part)->tail;
        tail[TAIL_POLICY_LOSS] = (real)actor[SUM_LOSS];
        tail[TAIL_ENTROPY] = (real)actor[SUM_ENTROPY];
        tail[TAIL_KL] = (real)actor[SUM_KL];
        tail[TAIL_CLIPPED] = (real)actor[SUM_CLIPPED];
        tail[TAIL_RATIO] = (real)actor[SUM_RATIO];
        tail[TAIL_VALUE_LOSS] = (real)critic[SUM_LOSS];
    }
    comm_sum_shards(ppo->comm, ppo->flat, ppo->shards, ppo->vector);
}

static double divisor(double weight)
{
    return weight > 0 ? weight : 1; /* nobody active: all sums are 0 */
}

/* Norms; EXIT_NUMERICAL, the same on every rank, before any parameter has changed. */
static int check_gradients(struct ppo *ppo, int epoch, int minibatch, struct error *err)
{
    for (int l = 0; l < ppo->learners; l++) {
        struct learner *learner = &ppo->learner[l];
        const struct policy *policy = ppo->policy[learner->group];
        const real *gradient = ppo->flat + learner->offset;
        for (int k = 0; k < TAILS; k++) learner->sum[k] = (double)ppo->flat[learner->tail + (size_t)k];
        learner->actor_norm =
            sqrt(ppo->backend->sum_squares(ppo->backend, gradient, policy->actor.parameters)) / divisor(learner->policy_weight);
        learner->critic_norm =
            sqrt(ppo->backend->sum_squares(ppo->backend, gradient + policy->actor.parameters, policy->critic.parameters)) /
            divisor(learner->value_weight);
        const char *what = !isfinite(learner->sum[TAIL_POLICY_LOSS]) || !isfinite(learner->sum[TAIL_ENTROPY]) ? "the policy loss"
                           : !isfinite(learner->sum[TAIL_VALUE_LOSS])                                         ? "the value loss"
                           : !isfinite(learner->actor_norm)                                                   ? "the actor's gradient"
                           : !isfinite(learner->critic_norm)                                                  ? "the critic's gradient"
                                                                                                              : NULL;
        if (what)
            return error_set(err, EXIT_NUMERICAL, "group \"%s\": %s is not finite in epoch %d, minibatch %d; parameters are as before it",
                             policy->name, what, epoch, minibatch);
    }
    return 0;
}

static double clip_factor(const struct ppo *ppo, double norm)
{
    const double limit = (double)ppo->config.max_grad_norm;
    return limit > 0 ? fmin(1, limit / (norm + 1e-6)) : 1;
}

static void step_network(struct ppo *ppo, const struct policy *policy, struct adam adam, size_t at, size_t n, const real *gradient,
                         double weight, double norm)
{
    adam.step = policy->updates + 1;
    adam.scale = (real)(clip_factor(ppo, norm) / divisor(weight));
    ppo->backend->adam(ppo->backend, &adam, policy->parameters + at, gradient, policy->m + at, policy->v + at, n);
}

static void step_learners(struct ppo *ppo)
{
    for (int l = 0; l < ppo->learners; l++) {
        const struct learner *learner = &ppo->learner[l];
        const struct policy *policy = ppo->policy[learner->group];
        const size_t at = (size_t)learner->set * policy->set_size, actor = policy->actor.parameters;
        const real *gradient = ppo->flat + learner->offset;
        step_network(ppo, policy, ppo->config.actor_adam, at, actor, gradient, learner->policy_weight, learner->actor_norm);
        step_network(ppo, policy, ppo->config.critic_adam, at + actor, policy->critic.parameters, gradient + actor, learner->value_weight,
                     learner->critic_norm);
    }
    for (int g = 0; g < ppo->rollout->groups; g++) ppo->policy[g]->updates++;
}

/* ---- the update ---------------------------------------------------------------------------------------------------------------------- */

static struct ppo_metrics learner_metrics(const struct ppo *ppo, int l, int epoch, int minibatch)
{
    const struct learner *learner = &ppo->learner[l];
    const double rows = divisor(minibatch_statistics(ppo, l, epoch, minibatch).ret.count);
    return (struct ppo_metrics){.policy_loss = learner->sum[TAIL_POLICY_LOSS] / divisor(learner->policy_weight),
                                .value_loss = learner->sum[TAIL_VALUE_LOSS] / divisor(learner->value_weight),
                                .entropy = learner->sum[TAIL_ENTROPY] / divisor(learner->policy_weight),
                                .approx_kl = learner->sum[TAIL_KL] / rows,
                                .clip_fraction = learner->sum[TAIL_CLIPPED] / rows,
                                .ratio = learner->sum[TAIL_RATIO] / rows,
                                .actor_grad_norm = learner->actor_norm,
                                .critic_grad_norm = learner->critic_norm,
                                .value_mean = learner->scale.mean,
                                .value_deviation = learner->scale.deviation};
}

static void add_metrics(struct ppo_metrics *to, const struct ppo_metrics *from, double weight)
{
    to->policy_loss += weight * from->policy_loss;
    to->value_loss += weight * from->value_loss;
    to->entropy += weight * from->entropy;
    to->approx_kl += weight * from->approx_kl;
    to->clip_fraction += weight * from->clip_fraction;
    to->ratio += weight * from->ratio;
    to->actor_grad_norm += weight * from->actor_grad_norm;
    to->critic_grad_norm += weight * from->critic_grad_norm;
    to->value_mean += weight * from->value_mean;
    to->value_deviation += weight * from->value_deviation;
}

static void record(const struct ppo *ppo, int epoch, int minibatch, struct ppo_metrics *metrics)
{
    const double minibatches = (double)ppo->config.epochs * (double)ppo->config.minibatches;
    for (int l = 0; l < ppo->learners; l++) {
        const struct learner *learner = &ppo->learner[l];
        const struct policy *policy = ppo->policy[learner->group];
        const struct ppo_metrics now = learner_metrics(ppo, l, epoch, minibatch);
        add_metrics(&metrics[learner->group], &now, 1 / (minibatches * policy->sets));
        if (!ppo->config.hooks || !ppo->config.hooks->stepped) continue;
        const struct ppo_minibatch seen = {.epoch = epoch,
                                           .minibatch = minibatch,
                                           .group = learner->group,
                                           .set = learner->set,
                                           .metrics = now,
                                           .actor_gradient = ppo->flat + learner->offset,
                                           .critic_gradient = ppo->flat + learner->offset + policy->actor.parameters,
                                           .actor_divisor = divisor(learner->policy_weight),
                                           .critic_divisor = divisor(learner->value_weight)};
        ppo->config.hooks->stepped(ppo->config.hooks->user, &seen);
    }
}

int ppo_update(struct ppo *ppo, int64_t update, struct ppo_metrics *metrics, struct error *err)
{
    memset(metrics, 0, (size_t)ppo->rollout->groups * sizeof *metrics);
    ppo_batches_shuffle(&ppo->batches, update);
    gather_statistics(ppo);
    int code = normalise_advantages(ppo, metrics, err);
    const bool whole = ppo->config.minibatches == 1;
    if (code == 0 && whole) pack_inputs(ppo); /* one packing serves all epochs */
    for (int epoch = 0; epoch < ppo->config.epochs && code == 0; epoch++) {
        for (int k = 0; k < ppo->config.minibatches && code == 0; k++) {
            if (!whole) {
                ppo_batches_select(&ppo->batches, epoch, k);
                pack_inputs(ppo);
            }
            watchdog_sign();
            prepare_learners(ppo, epoch, k);
            compute_gradients(ppo);
            code = check_gradients(ppo, epoch, k, err);
            if (code) break;
            step_learners(ppo);
            record(ppo, epoch, k, metrics);
        }
    }
    return code;
}
