#include "algo/ppo.h"

#include <string.h>

#include "algo/ppo_batches.h"
#include "comm/watchdog.h"

/* One learner of one group. Its numbers (struct learner) are the backend's; here is where things lie. */
struct learner_at {
    int group;
    struct ppo_sets of;
    size_t actor, critic; /* parameters of each, 0 where it has none */
    size_t gradient;      /* of its gradients in a shard's vector: actor, then critic */
    size_t sums;          /* of its [2][PASS_SUMS], behind all gradients */
    size_t message;       /* of its numbers in a shard's statistics */
};

/* What the host reads of an update once it has been made. */
struct outcome {
    struct learner *learner; /* [learners] */
    struct trouble *trouble;
    uint64_t *bad; /* [bads] of the look at environments on a device */
    uint64_t step; /* the transitions' */
};

/* A learner's numbers in the statistics: moments of advantages and returns, then its minibatches'. */
enum {
    ADVANTAGE_NUMBERS = 2 * sizeof(struct moments) / sizeof(double),
    MINIBATCH_NUMBERS = sizeof(struct minibatch_statistics) / sizeof(double)
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
    struct learner_at *at; /* [learners] of all groups */
    int learner_first[MAPPO_MAX_GROUPS + 1];
    size_t gradients, vector;                   /* reals of a shard: gradients of all networks; with the sums behind them */
    struct tiles **actor_tiles, **critic_tiles; /* [parts]; critic_tiles may be the rollout's */
    bool *critic_tiles_own;
    int passes, rescales;
    struct train_pass *pass;              /* [passes] of each part its actor's, its critic's; at most 2 * parts */
    struct tiles **packed_tiles;          /* [parts] scratch, as the next one */
    struct batch *packed;                 /* [parts] */
    struct moments_pass *moments;         /* [2 * parts] scratch, as the next two */
    struct learner_pass *learner_pass;    /* [learners] */
    struct standardise_pass *standardise; /* [learners] */
    struct rescale_pass *rescale;         /* [rescales] PopArt; NULL without */
    struct learner_rules rules;
    double actor_rate, critic_rate;
    int statistics_epochs; /* 1 where every epoch has the same minibatch */
    size_t message;        /* doubles of a shard */
    /* the backend's */
    real *flat;                /* [shards][vector] */
    double *statistics;        /* [shards][message] */
    struct learner *learner;   /* [learners] */
    struct normalizer *unused; /* [learners] of those that have no critic: nobody reads it */
    struct trouble *trouble;
    struct update_now *now;
    struct outcome outcome[BACKEND_OUTCOMES]; /* of update number n in n % BACKEND_OUTCOMES */
    int64_t begun, heard;                     /* updates; outcomes asked for */
    struct learner *seen;                     /* [learners] the host's copy for a test's hook */
    struct repeated replay;
};

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

static const struct learner_at *learner_of(const struct ppo *ppo, const struct ppo_part *part)
{
    return &ppo->at[ppo->learner_first[part->group] + part->learner];
}

static void create_learners(struct ppo *ppo)
{
    const int groups = ppo->rollout->groups;
    for (int g = 0; g < groups; g++) ppo->learners += ppo_learners(ppo->policy[g]);
    ppo->at = ARENA_NEW(ppo->arena, struct learner_at, ppo->learners);
    ppo->statistics_epochs = ppo->config.minibatches > 1 ? ppo->config.epochs : 1;
    const size_t numbers = ADVANTAGE_NUMBERS + MINIBATCH_NUMBERS * (size_t)ppo->statistics_epochs * (size_t)ppo->config.minibatches;
    int i = 0;
    for (int g = 0; g < groups; g++) {
        ppo->learner_first[g] = i;
        for (int l = 0; l < ppo_learners(ppo->policy[g]); l++, i++) {
            const struct ppo_sets of = ppo_learner_sets(ppo->policy[g], l);
            ppo->at[i] = (struct learner_at){.group = g,
                                             .of = of,
                                             .actor = of.set[ROLE_ACTOR] < 0 ? 0 : ppo->policy[g]->actor.parameters,
                                             .critic = of.set[ROLE_CRITIC] < 0 ? 0 : ppo->policy[g]->critic.parameters,
                                             .gradient = ppo->gradients,
                                             .message = (size_t)i * numbers};
            ppo->gradients += ppo->at[i].actor + ppo->at[i].critic;
        }
    }
    ppo->learner_first[groups] = i;
    for (i = 0; i < ppo->learners; i++) ppo->at[i].sums = ppo->gradients + (size_t)i * 2 * PASS_SUMS;
    ppo->vector = ppo->gradients + (size_t)ppo->learners * 2 * PASS_SUMS;
    ppo->message = (size_t)ppo->learners * numbers;
    ppo->rules = (struct learner_rules){.normalizer = ppo->policy[0]->normalizer,
                                        .beta = ppo->config.value_norm_beta,
                                        .policy_active = ppo->config.policy_active_masks,
                                        .value_active = ppo->config.value_active_masks,
                                        .max_grad_norm = (double)ppo->config.max_grad_norm,
                                        .share = 1.0 / ((double)ppo->config.epochs * (double)ppo->config.minibatches),
                                        .adam = ppo->config.adam};
    ppo->actor_rate = ppo->config.actor_rate;
    ppo->critic_rate = ppo->config.critic_rate;
}

/* That a device can copy to while the host goes on. */
static void *host_array(struct ppo *ppo, size_t bytes)
{
    struct backend *backend = ppo->backend;
    return backend->host_alloc ? backend->host_alloc(backend, "statistics", bytes) : arena_take(ppo->arena, "an outcome", bytes + 1, 1);
}

static void take_memory(struct ppo *ppo)
{
    struct backend *backend = ppo->backend;
    ppo->flat = backend->alloc(backend, "gradients", (size_t)ppo->shards * ppo->vector * sizeof(real));
    ppo->statistics = backend->alloc(backend, "statistics", (size_t)ppo->shards * ppo->message * sizeof(double));
    ppo->learner = backend->alloc(backend, "statistics", (size_t)ppo->learners * sizeof *ppo->learner);
    ppo->unused = backend->alloc(backend, "statistics", (size_t)ppo->learners * sizeof *ppo->unused);
    ppo->trouble = backend->alloc(backend, "statistics", sizeof *ppo->trouble);
    for (int i = 0; i < BACKEND_OUTCOMES; i++) {
        struct outcome *outcome = &ppo->outcome[i];
        outcome->learner = host_array(ppo, (size_t)ppo->learners * sizeof *outcome->learner);
        outcome->trouble = host_array(ppo, sizeof *outcome->trouble);
        outcome->bad = host_array(ppo, (size_t)ppo->rollout->collector->check.bads * sizeof *outcome->bad);
    }
    ppo->seen = ARENA_NEW(ppo->arena, struct learner, ppo->learners);
    ppo->learner_pass = ARENA_NEW(ppo->arena, struct learner_pass, ppo->learners);
    ppo->standardise = ARENA_NEW(ppo->arena, struct standardise_pass, ppo->learners);
}

/* PopArt: the critics' heads, each with the map that its learner finds before a minibatch. */
static void create_rescales(struct ppo *ppo)
{
    if (ppo->rules.normalizer != NORMALIZER_POPART) return;
    ppo->rescale = ARENA_NEW(ppo->arena, struct rescale_pass, ppo->learners);
    for (int l = 0; l < ppo->learners; l++) {
        const struct policy *policy = ppo->policy[ppo->at[l].group];
        const struct network *net = &policy->critic;
        const int set = ppo->at[l].of.set[ROLE_CRITIC];
        if (set < 0) continue;
        real *critic = policy_critic(policy, policy->parameters, set);
        ppo->rescale[ppo->rescales++] = (struct rescale_pass){.rescale = &ppo->learner[l].head,
                                                              .trouble = ppo->trouble,
                                                              .weight = critic + net->at.head_weight,
                                                              .bias = critic + net->at.head_bias,
                                                              .inputs = net->hidden,
                                                              .outputs = net->outputs};
    }
}

static struct train_pass actor_pass(const struct ppo *ppo, int i)
{
    const struct ppo_part *part = &ppo->batches.part[i];
    const struct mappo_group_io *taken = &ppo->rollout->transitions->all.group[part->group];
    const struct policy *policy = ppo->policy[part->group];
    return (struct train_pass){.loss = LOSS_POLICY,
                               .net = &policy->actor,
                               .parameters = policy_actor(policy, policy->parameters, part->of.set[ROLE_ACTOR]),
                               .tiles = ppo->actor_tiles[i],
                               .policy = {.dist = &policy->dist,
                                          .clip = ppo->config.clip,
                                          .entropy = ppo->config.entropy,
                                          .act_int = taken->act_int,
                                          .act_real = taken->act_real,
                                          .mask = taken->act_mask,
                                          .active = ppo->config.policy_active_masks ? taken->active : NULL,
                                          .old_log_prob = ppo->rollout->log_prob[part->group],
                                          .advantage = ppo->rollout->returns->group[part->group].advantage},
                               .gradient = ppo->flat + (size_t)part->shard * ppo->vector + learner_of(ppo, part)->gradient,
                               .sum = ppo->flat + (size_t)part->shard * ppo->vector + learner_of(ppo, part)->sums};
}

static struct train_pass critic_pass(const struct ppo *ppo, int i)
{
    const struct ppo_part *part = &ppo->batches.part[i];
    const struct returns_group *returns = &ppo->rollout->returns->group[part->group];
    const struct policy *policy = ppo->policy[part->group];
    return (struct train_pass){
        .loss = LOSS_VALUE,
        .net = &policy->critic,
        .parameters = policy_critic(policy, policy->parameters, part->of.set[ROLE_CRITIC]),
        .tiles = ppo->critic_tiles[i],
        .value = {.targets = policy->sizes.agents / policy->value_agents,
                  .clip = ppo->config.value_clip,
                  .huber_delta = ppo->config.huber_delta,
                  .norm = policy->norm + part->of.set[ROLE_CRITIC],
                  .coefficient = ppo->config.value_coefficient,
                  .active = ppo->config.value_active_masks ? ppo->rollout->transitions->all.group[part->group].active : NULL,
                  .old_value = returns->value,
                  .old = ppo->rescale ? &ppo->learner[learner_of(ppo, part) - ppo->at].old_value : NULL,
                  .ret = returns->ret},
        .gradient = ppo->flat + (size_t)part->shard * ppo->vector + learner_of(ppo, part)->gradient + learner_of(ppo, part)->actor,
        .sum = ppo->flat + (size_t)part->shard * ppo->vector + learner_of(ppo, part)->sums + PASS_SUMS};
}

static void create_passes(struct ppo *ppo)
{
    struct ppo_batches *batches = &ppo->batches;
    struct backend *backend = ppo->backend;
    ppo->actor_tiles = ARENA_NEW(ppo->arena, struct tiles *, batches->parts);
    ppo->critic_tiles = ARENA_NEW(ppo->arena, struct tiles *, batches->parts);
    ppo->critic_tiles_own = ARENA_NEW(ppo->arena, bool, batches->parts);
    ppo->pass = ARENA_NEW(ppo->arena, struct train_pass, 2 * batches->parts);
    ppo->packed_tiles = ARENA_NEW(ppo->arena, struct tiles *, batches->parts);
    ppo->packed = ARENA_NEW(ppo->arena, struct batch, batches->parts);
    ppo->moments = ARENA_NEW(ppo->arena, struct moments_pass, 2 * batches->parts);
    for (int i = 0; i < batches->parts; i++) {
        const struct ppo_part *part = &batches->part[i];
        const struct policy *policy = ppo->policy[part->group];
        const int largest = ppo_part_largest(batches, part);
        if (part->of.set[ROLE_ACTOR] >= 0) {
            ppo->actor_tiles[i] = backend->tiles_create(backend, &policy->actor, largest * part->rows);
            ppo->pass[ppo->passes++] = actor_pass(ppo, i);
        }
        if (part->of.set[ROLE_CRITIC] < 0) continue;
        /* The rollout packed the critic's inputs of all steps already: one minibatch in natural order needs the very same. */
        const bool packed = batches->minibatches == 1 && !batches->row_minibatches &&
                            (policy_apart(policy, ROLE_CRITIC) || part->select.state_repeats == 1);
        ppo->critic_tiles_own[i] = !packed;
        ppo->critic_tiles[i] = packed ? returns_critic_tiles(ppo->rollout->returns, part->group, part->shard, part->of.set[ROLE_CRITIC])
                                      : backend->tiles_create(backend, &policy->critic, largest * part->critic_rows);
        ppo->pass[ppo->passes++] = critic_pass(ppo, i);
    }
}

int ppo_create(struct ppo **out, const struct ppo_config *config, struct rollout *rollout, struct policy *const *policy, struct comm *comm,
               struct backend *backend, struct error *err)
{
    struct arena *arena = arena_create("update");
    struct ppo *ppo = ARENA_NEW(arena, struct ppo, 1);
    ppo->config = *config;
    ppo->rollout = rollout;
    ppo->policy = policy;
    ppo->comm = comm;
    ppo->backend = backend;
    ppo->arena = arena;
    ppo->shards = rollout->transitions->config.shards;
    ppo->now = backend->alloc(backend, "statistics", sizeof *ppo->now);
    ppo->batches = (struct ppo_batches){.rollout = rollout,
                                        .policy = policy,
                                        .hooks = config->hooks,
                                        .now = ppo->now,
                                        .seed = config->seed,
                                        .epochs = config->epochs,
                                        .minibatches = config->minibatches,
                                        .row_minibatches = config->row_minibatches};
    const int code = ppo_batches_create(&ppo->batches, arena, err);
    if (code) {
        ppo_destroy(ppo);
        return code;
    }
    create_learners(ppo);
    take_memory(ppo);
    create_rescales(ppo);
    create_passes(ppo);
    arena_seal(arena);
    comm_reserve(comm, ppo->shards, ppo->vector, ppo->message);
    *out = ppo;
    return 0;
}

void ppo_destroy(struct ppo *ppo)
{
    if (!ppo) return;
    struct backend *backend = ppo->backend;
    backend->sync(backend); /* an outcome may still be on its way */
    backend_forget(backend, &ppo->replay);
    for (int i = 0; i < ppo->batches.parts && ppo->pass; i++) {
        backend->tiles_destroy(backend, ppo->actor_tiles[i]);
        if (ppo->critic_tiles_own[i]) backend->tiles_destroy(backend, ppo->critic_tiles[i]);
    }
    ppo_batches_destroy(&ppo->batches);
    for (int i = 0; i < BACKEND_OUTCOMES && backend->host_free; i++) {
        backend->host_free(backend, ppo->outcome[i].learner);
        backend->host_free(backend, ppo->outcome[i].trouble);
        backend->host_free(backend, ppo->outcome[i].bad);
    }
    backend->free(backend, ppo->flat);
    backend->free(backend, ppo->statistics);
    backend->free(backend, ppo->learner);
    backend->free(backend, ppo->unused);
    backend->free(backend, ppo->trouble);
    backend->free(backend, ppo->now);
    arena_destroy(ppo->arena);
}

void ppo_learning_rate(struct ppo *ppo, double actor, double critic)
{
    ppo->actor_rate = actor;
    ppo->critic_rate = critic;
}

/* ---- statistics: everything that all ranks must know before the first gradient, in one message --------------------------------------- */

/* Where the statistics of a learner's minibatch stand, from the start of its numbers. */
static size_t minibatch_at(const struct ppo *ppo, int epoch, int minibatch)
{
    const int e = epoch < ppo->statistics_epochs ? epoch : 0;
    return ADVANTAGE_NUMBERS + MINIBATCH_NUMBERS * ((size_t)e * (size_t)ppo->config.minibatches + (size_t)minibatch);
}

/* Moments of x [T][E][A] over the batches of group g; the first `numbers` of them go `shift` doubles behind the start of the learner's
 * numbers in its shard's message. Returns the passes it adds. */
static int measure(struct ppo *ppo, int passes, int g, const real *x, const uint8_t *mask, const struct batch *batch, size_t shift,
                   int numbers)
{
    const int from = ppo->batches.group_first[g], to = ppo->batches.group_first[g + 1];
    for (int i = from; i < to; i++) {
        const struct ppo_part *part = &ppo->batches.part[i];
        double *out = ppo->statistics + (size_t)part->shard * ppo->message + learner_of(ppo, part)->message + shift;
        ppo->moments[passes++] = (struct moments_pass){.x = x, .mask = mask, .rows = 1, .batch = batch[i], .out = out, .numbers = numbers};
    }
    return passes;
}

static void gather_statistics(struct ppo *ppo)
{
    struct backend *backend = ppo->backend;
    const struct ppo_batches *batches = &ppo->batches;
    int passes = 0;
    for (int g = 0; g < ppo->rollout->groups; g++) {
        const struct returns_group *returns = &ppo->rollout->returns->group[g];
        const uint8_t *active = ppo->rollout->transitions->all.group[g].active;
        passes = measure(ppo, passes, g, returns->advantage, active, batches->everything, 0, 3);
        passes = measure(ppo, passes, g, returns->ret, active, batches->everything, 3, 3);
    }
    backend->moments(backend, ppo->moments, passes);
    for (int epoch = 0; epoch < ppo->statistics_epochs; epoch++)
        for (int k = 0; k < ppo->config.minibatches; k++) {
            ppo_batches_select(&ppo->batches, epoch, k);
            const size_t shift = minibatch_at(ppo, epoch, k);
            passes = 0;
            for (int g = 0; g < ppo->rollout->groups; g++) {
                const real *ret = ppo->rollout->returns->group[g].ret;
                const uint8_t *active = ppo->rollout->transitions->all.group[g].active;
                passes = measure(ppo, passes, g, ret, NULL, batches->actor, shift, 3);
                passes = measure(ppo, passes, g, ret, active, batches->actor, shift + 3, 1);
            }
            backend->moments(backend, ppo->moments, passes);
        }
    comm_sum_shards_double(ppo->comm, ppo->statistics, ppo->shards, ppo->message);
}

/* ---- learners, all of them at once --------------------------------------------------------------------------------------------------- */

static void aim_learners(struct ppo *ppo, int epoch, int minibatch)
{
    for (int l = 0; l < ppo->learners; l++) {
        const struct learner_at *at = &ppo->at[l];
        const struct policy *policy = ppo->policy[at->group];
        const double *numbers = ppo->statistics + at->message;
        ppo->learner_pass[l] = (struct learner_pass){.number = l,
                                                     .learner = ppo->learner + l,
                                                     .norm = at->critic ? policy->norm + at->of.set[ROLE_CRITIC] : ppo->unused + l,
                                                     .trouble = ppo->trouble,
                                                     .now = ppo->now,
                                                     .advantage = (const struct moments *)numbers,
                                                     .ret = (const struct moments *)numbers + 1,
                                                     .minibatch = (const void *)(numbers + minibatch_at(ppo, epoch, minibatch)),
                                                     .gradient = ppo->flat + at->gradient,
                                                     .actor = at->actor,
                                                     .critic = at->critic,
                                                     .sum = ppo->flat + at->sums,
                                                     .epoch = epoch,
                                                     .minibatch_number = minibatch,
                                                     .step = epoch * ppo->config.minibatches + minibatch};
    }
}

/* A := (A - mean) / (population deviation + 1e-5), over all ranks and the agents that share an actor. */
static void normalise_advantages(struct ppo *ppo)
{
    const struct transitions_config *rollout = &ppo->rollout->transitions->config;
    const size_t env_steps = (size_t)rollout->steps * (size_t)rollout->envs;
    int passes = 0;
    for (int l = 0; l < ppo->learners; l++) {
        const struct learner_at *at = &ppo->at[l];
        const struct policy *policy = ppo->policy[at->group];
        const bool own = policy_apart(policy, ROLE_ACTOR); /* the rows of one agent lie apart */
        if (!at->actor) continue;
        ppo->standardise[passes++] = (struct standardise_pass){.x = ppo->rollout->returns->group[at->group].advantage,
                                                               .n = own ? env_steps : env_steps * (size_t)policy->sizes.agents,
                                                               .first = own ? (size_t)at->of.set[ROLE_ACTOR] : 0,
                                                               .stride = own ? (size_t)policy->sets[ROLE_ACTOR] : 1,
                                                               .moments = ppo->statistics + at->message,
                                                               .epsilon = (real)1e-5};
    }
    if (ppo->config.normalise_advantage) ppo->backend->standardise(ppo->backend, ppo->standardise, passes);
}

/* ---- one minibatch ------------------------------------------------------------------------------------------------------------------- */

/* x: what the networks of this role in group g read. */
static void pack_role(struct ppo *ppo, int g, int role, const float *x)
{
    const struct ppo_batches *batches = &ppo->batches;
    int count = 0;
    for (int i = batches->group_first[g]; i < batches->group_first[g + 1]; i++) {
        if (batches->part[i].of.set[role] < 0 || (role == ROLE_CRITIC && !ppo->critic_tiles_own[i])) continue;
        ppo->packed_tiles[count] = role == ROLE_ACTOR ? ppo->actor_tiles[i] : ppo->critic_tiles[i];
        ppo->packed[count++] = role == ROLE_ACTOR ? batches->actor[i] : batches->pack[i];
    }
    if (count) ppo->backend->pack(ppo->backend, policy_network(ppo->policy[g], role), ppo->packed_tiles, x, ppo->packed, count);
}

static void pack_inputs(struct ppo *ppo)
{
    for (int g = 0; g < ppo->rollout->groups; g++) {
        pack_role(ppo, g, ROLE_ACTOR, ppo->rollout->transitions->all.group[g].obs);
        pack_role(ppo, g, ROLE_CRITIC, ppo->rollout->inputs.group[g].now);
    }
}

/* Gradients and sums of all networks over all ranks. */
static void compute_gradients(struct ppo *ppo)
{
    const struct ppo_batches *batches = &ppo->batches;
    int p = 0;
    for (int i = 0; i < batches->parts; i++) {
        const struct ppo_sets *of = &batches->part[i].of;
        if (of->set[ROLE_ACTOR] >= 0) ppo->pass[p++].batch = batches->actor[i];
        if (of->set[ROLE_CRITIC] >= 0) ppo->pass[p++].batch = batches->critic[i];
    }
    ppo->backend->train(ppo->backend, ppo->pass, ppo->passes);
    comm_sum_shards(ppo->comm, ppo->flat, ppo->shards, ppo->vector);
}

static void step_learners(struct ppo *ppo)
{
    struct backend *backend = ppo->backend;
    for (int l = 0; l < ppo->learners; l++) {
        const struct learner_at *at = &ppo->at[l];
        const struct policy *policy = ppo->policy[at->group];
        const real *gradient = ppo->flat + at->gradient;
        for (int role = 0; role < POLICY_ROLES; role++) {
            const int set = at->of.set[role];
            if (set < 0) continue;
            const struct adam_step *step = role == ROLE_ACTOR ? &ppo->learner[l].actor_step : &ppo->learner[l].critic_step;
            const size_t n = policy_network(policy, role)->parameters;
            backend->adam(backend, step, ppo->trouble, policy_network_at(policy, policy->parameters, role, set), gradient,
                          policy_network_at(policy, policy->m, role, set), policy_network_at(policy, policy->v, role, set), n);
            gradient += n;
        }
    }
}

static void learn_minibatch(struct ppo *ppo, int epoch, int minibatch)
{
    struct backend *backend = ppo->backend;
    aim_learners(ppo, epoch, minibatch);
    backend->learner_begin(backend, &ppo->rules, ppo->learner_pass, ppo->learners);
    if (ppo->rescale) backend->rescale_heads(backend, ppo->rescale, ppo->rescales);
    compute_gradients(ppo);
    backend->learner_judge(backend, &ppo->rules, ppo->learner_pass, ppo->learners);
    step_learners(ppo);
}

/* ---- what a test sees ---------------------------------------------------------------------------------------------------------------- */

static void show_minibatch(struct ppo *ppo, int epoch, int minibatch)
{
    ppo->backend->download(ppo->backend, ppo->seen, ppo->learner, (size_t)ppo->learners * sizeof *ppo->seen);
    for (int l = 0; l < ppo->learners; l++) {
        const struct learner_at *at = &ppo->at[l];
        const struct ppo_minibatch seen = {.epoch = epoch,
                                           .minibatch = minibatch,
                                           .group = at->group,
                                           .set = {at->of.set[ROLE_ACTOR], at->of.set[ROLE_CRITIC]},
                                           .metrics = ppo->seen[l].now,
                                           .actor_gradient = at->actor ? ppo->flat + at->gradient : NULL,
                                           .critic_gradient = at->critic ? ppo->flat + at->gradient + at->actor : NULL,
                                           .actor_divisor = learner_divisor(ppo->seen[l].policy_weight),
                                           .critic_divisor = learner_divisor(ppo->seen[l].value_weight)};
        ppo->config.hooks->stepped(ppo->config.hooks->user, &seen);
    }
}

/* ---- the update ---------------------------------------------------------------------------------------------------------------------- */

/* Everything from returns to new parameters, without a word from the host: on a device it is recorded once and replayed. */
static void learn(struct ppo *ppo)
{
    struct backend *backend = ppo->backend;
    const bool whole = ppo->config.minibatches == 1, shows = ppo->config.hooks && ppo->config.hooks->stepped;
    gather_statistics(ppo);
    aim_learners(ppo, 0, 0);
    backend->learner_start(backend, ppo->learner_pass, ppo->learners, ppo->rollout->collector->check.bad,
                           ppo->rollout->collector->check.bads);
    normalise_advantages(ppo);
    if (whole) pack_inputs(ppo); /* one packing serves all epochs */
    for (int epoch = 0; epoch < ppo->config.epochs; epoch++) {
        for (int k = 0; k < ppo->config.minibatches; k++) {
            watchdog_sign();
            if (!whole) {
                ppo_batches_select(&ppo->batches, epoch, k);
                pack_inputs(ppo);
            }
            learn_minibatch(ppo, epoch, k);
            if (shows) show_minibatch(ppo, epoch, k);
        }
    }
}

/* May the update be recorded: does nothing in it go through the host? */
static bool records(const struct ppo *ppo)
{
    enum { MOST_RECORDED = 512 }; /* minibatches: with more, the time lies elsewhere */
    return comm_on_stream(ppo->comm) && !ppo->config.hooks && (int64_t)ppo->config.epochs * ppo->config.minibatches <= MOST_RECORDED;
}

static int64_t steps_of_update(const struct ppo *ppo)
{
    return (int64_t)ppo->config.epochs * ppo->config.minibatches;
}

static void write_now(struct ppo *ppo, int64_t update)
{
    const struct update_now now = {.update = update,
                                   .steps = ppo->policy[0]->updates + (ppo->begun - ppo->heard) * steps_of_update(ppo),
                                   .actor_rate = ppo->actor_rate,
                                   .critic_rate = ppo->critic_rate};
    ppo->backend->upload(ppo->backend, ppo->now, &now, sizeof now);
}

static int report(const struct ppo *ppo, const struct outcome *outcome, struct error *err)
{
    static const char *const what[] = {[TROUBLE_POLICY_LOSS] = "the policy loss",
                                       [TROUBLE_VALUE_LOSS] = "the value loss",
                                       [TROUBLE_ACTOR_GRADIENT] = "the actor's gradient",
                                       [TROUBLE_CRITIC_GRADIENT] = "the critic's gradient"};
    const struct trouble *trouble = outcome->trouble;
    const int code = rollout_fault(ppo->rollout, outcome->bad, outcome->step, err);
    if (code) return code;
    const char *name = ppo->policy[ppo->at[trouble->learner].group]->name;
    if (trouble->kind == TROUBLE_RETURNS)
        return error_set(err, EXIT_NUMERICAL, "group \"%s\": returns are not finite: rewards or values have overflowed", name);
    return error_set(err, EXIT_NUMERICAL, "group \"%s\": %s is not finite in epoch %d, minibatch %d; parameters are as before it", name,
                     what[trouble->kind], (int)trouble->epoch, (int)trouble->minibatch);
}

static void read_metrics(const struct ppo *ppo, const struct learner *learner, struct ppo_metrics *metrics)
{
    memset(metrics, 0, (size_t)ppo->rollout->groups * sizeof *metrics);
    for (int l = 0; l < ppo->learners; l++) {
        const struct learner_at *at = &ppo->at[l];
        const struct policy *policy = ppo->policy[at->group];
        struct ppo_metrics mean = learner[l].mean; /* sums of a network that is not there are 0 */
        if (!at->critic) mean.value_mean = mean.value_deviation = mean.explained_variance = 0;
        const int sets = policy->sets[at->actor ? ROLE_ACTOR : ROLE_CRITIC];
        learner_add(&metrics[at->group], &mean, 1.0 / sets);
        metrics[at->group].explained_variance += mean.explained_variance / sets;
    }
}

static void fetch(const struct ppo *ppo, void *to, const void *from, size_t bytes)
{
    struct backend *backend = ppo->backend;
    if (bytes == 0) return;
    (backend->download_later ? backend->download_later : backend->download)(backend, to, from, bytes);
}

static void fetch_outcome(struct ppo *ppo)
{
    struct backend *backend = ppo->backend;
    const int slot = (int)(ppo->begun % BACKEND_OUTCOMES);
    struct outcome *outcome = &ppo->outcome[slot];
    CHECK(ppo->begun - ppo->heard < BACKEND_OUTCOMES, "too many updates whose outcome nobody has heard");
    fetch(ppo, outcome->learner, ppo->learner, (size_t)ppo->learners * sizeof *ppo->learner);
    fetch(ppo, outcome->trouble, ppo->trouble, sizeof *ppo->trouble);
    fetch(ppo, outcome->bad, ppo->rollout->collector->check.bad, (size_t)ppo->rollout->collector->check.bads * sizeof *outcome->bad);
    outcome->step = ppo->rollout->transitions->step;
    if (backend->mark) backend->mark(backend, BACKEND_STAGES + slot);
    ppo->begun++;
}

void ppo_update(struct ppo *ppo, int64_t update)
{
    struct backend *backend = ppo->backend;
    write_now(ppo, update);
    if (!records(ppo)) {
        learn(ppo);
    } else if (!backend_replayed(backend, &ppo->replay)) {
        learn(ppo);
        backend_recorded(backend, &ppo->replay);
    }
    fetch_outcome(ppo);
}

int ppo_outcome(struct ppo *ppo, struct ppo_metrics *metrics, struct error *err)
{
    struct backend *backend = ppo->backend;
    const int slot = (int)(ppo->heard % BACKEND_OUTCOMES);
    const struct outcome *outcome = &ppo->outcome[slot];
    CHECK(ppo->heard < ppo->begun, "the outcome of an update that was not begun");
    ppo->heard++;
    if (backend->wait) backend->wait(backend, BACKEND_STAGES + slot);
    read_metrics(ppo, outcome->learner, metrics);
    if (outcome->trouble->kind != TROUBLE_NONE) return report(ppo, outcome, err);
    for (int g = 0; g < ppo->rollout->groups; g++) ppo->policy[g]->updates += steps_of_update(ppo);
    return 0;
}
