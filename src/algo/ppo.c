#include "algo/ppo.h"

#include <stdlib.h>
#include <string.h>

#include "algo/ppo_work.h"
#include "comm/watchdog.h"

void ppo_anneal(struct ppo *ppo, const struct annealed *now)
{
    ppo->config.now = *now;
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
        double *out = ppo->statistics + (size_t)part->shard * ppo->message + ppo->at[ppo_learner_of(ppo, part)].message + shift;
        ppo->moments[passes++] = (struct moments_pass){.x = x, .mask = mask, .batch = batch[i], .out = out, .numbers = numbers};
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
        const uint8_t *active = self_play_rows(&ppo->rollout->self_play, g, true);
        passes = measure(ppo, passes, g, returns->advantage, active, batches->everything, 0, 3);
        passes = measure(ppo, passes, g, returns->ret, active, batches->everything, 3, 3);
    }
    backend->moments(backend, ppo->moments, passes);
    for (int epoch = 0; epoch < ppo->statistics_epochs; epoch++)
        for (int k = 0; k < ppo->config.minibatches; k++) {
            ppo_batches_select(&ppo->batches, 0, batches->parts, epoch, k);
            const size_t shift = minibatch_at(ppo, epoch, k);
            passes = 0;
            for (int g = 0; g < ppo->rollout->groups; g++) {
                const struct returns_group *returns = &ppo->rollout->returns->group[g];
                const uint8_t *active = self_play_rows(&ppo->rollout->self_play, g, true);
                passes =
                    measure(ppo, passes, g, returns->ret, self_play_rows(&ppo->rollout->self_play, g, false), batches->actor, shift, 3);
                passes = measure(ppo, passes, g, returns->ret, active, batches->actor, shift + 3, 1);
                if (ppo->config.advantages == ADVANTAGES_MINIBATCH)
                    passes = measure(ppo, passes, g, returns->advantage, active, batches->actor, shift + 4, 3);
            }
            backend->moments(backend, ppo->moments, passes);
        }
    comm_sum_shards_double(ppo->comm, ppo->statistics, ppo->shards, ppo->message);
}

/* ---- aiming passes ------------------------------------------------------------------------------------------------------------------- */

static void aim_learners(struct ppo *ppo, int first, int end, int epoch, int minibatch)
{
    for (int l = first; l < end; l++) {
        const struct learner_at *at = &ppo->at[l];
        const double *numbers = ppo->statistics + at->message;
        ppo->learner_pass[l] =
            (struct ppo_pass){.learner = ppo->learner + l,
                              .norm = at->critic ? ppo->policy[at->group]->norm + at->of.set[ROLE_CRITIC] : ppo->unused + l,
                              .fault = ppo->fault,
                              .place = {.learner = l, .epoch = epoch, .minibatch = minibatch},
                              .numbers = ppo->numbers,
                              .kl = (const struct moments *)numbers,
                              .advantage = (const struct moments *)numbers,
                              .ret = (const struct moments *)numbers + 1,
                              .minibatch = (const void *)(numbers + minibatch_at(ppo, epoch, minibatch)),
                              .sum = at->range->flat + at->sums};
    }
}

static struct optimizer_pass step_of(const struct ppo *ppo, int l, int role, int epoch, int minibatch)
{
    const struct learner_at *at = &ppo->at[l];
    const bool actor = role == ROLE_ACTOR;
    const real *gradient = at->range->flat + at->gradient + (actor ? 0 : at->actor);
    struct optimizer_pass step = policy_step(ppo->policy[at->group], role, at->of.set[role], gradient, ppo->numbers);
    step.optimizer = actor ? &ppo->learner[l].actor : &ppo->learner[l].critic;
    if (ppo->config.joint_clip && at->actor && at->critic) step.with = actor ? &ppo->learner[l].critic : &ppo->learner[l].actor;
    if (ppo_counts_apart(&ppo->config)) step.steps = NULL;
    step.step = epoch * ppo->config.minibatches + minibatch;
    step.fault = ppo->fault;
    step.not_finite.learner = l;
    step.not_finite.epoch = epoch;
    step.not_finite.minibatch = minibatch;
    return step;
}

/* The steps of all networks of a range, from ppo->step on; returns how many. */
static int aim_steps(struct ppo *ppo, const struct learner_range *range, int epoch, int minibatch)
{
    int steps = 0;
    for (int l = range->first; l < range->end; l++)
        for (int role = 0; role < POLICY_ROLES; role++)
            if (ppo->at[l].of.set[role] >= 0) ppo->step[steps++] = step_of(ppo, l, role, epoch, minibatch);
    return steps;
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
    ppo->backend->standardise(ppo->backend, ppo->standardise, passes);
}

/* ---- one minibatch of a range -------------------------------------------------------------------------------------------------------- */

/* The inputs of the range's actors or critics, a call for each group. */
static void pack_inputs(struct ppo *ppo, const struct learner_range *range, int role)
{
    const struct ppo_batches *batches = &ppo->batches;
    for (int g = 0; g < ppo->rollout->groups; g++) {
        const float *x = role == ROLE_ACTOR ? ppo->rollout->transitions->all.group[g].obs : ppo->rollout->inputs.group[g].current;
        int count = 0;
        for (int i = range->part_first; i < range->part_end; i++) {
            const struct ppo_part *part = &batches->part[i];
            if (part->group != g || part->of.set[role] < 0 || (role == ROLE_CRITIC && !ppo->critic_packed_own[i])) continue;
            ppo->packed[count] = role == ROLE_ACTOR ? ppo->actor_packed[i] : ppo->critic_packed[i];
            ppo->batch[count++] = role == ROLE_ACTOR ? batches->actor[i] : batches->pack[i];
        }
        const struct policy *policy = ppo->policy[g];
        if (count)
            ppo->backend->pack(ppo->backend, policy_network(policy, role), policy_inputs(policy, role), ppo->packed, x, ppo->batch, count);
    }
}

static void pack_minibatch(struct ppo *ppo, const struct learner_range *range, int epoch, int minibatch)
{
    ppo_batches_select(&ppo->batches, range->part_first, range->part_end, epoch, minibatch);
    pack_inputs(ppo, range, ROLE_ACTOR);
    pack_inputs(ppo, range, ROLE_CRITIC);
}

/* Gradients and sums of the range's networks over all ranks. */
static void compute_gradients(struct ppo *ppo, const struct learner_range *range)
{
    const struct ppo_batches *batches = &ppo->batches;
    int pass = range->pass_first;
    for (int i = range->part_first; i < range->part_end; i++) {
        const struct ppo_sets *of = &batches->part[i].of;
        if (of->set[ROLE_ACTOR] >= 0) ppo->pass[pass++].batch = batches->actor[i];
        if (of->set[ROLE_CRITIC] >= 0) ppo->pass[pass++].batch = batches->critic[i];
    }
    ppo->backend->train(ppo->backend, ppo->pass + range->pass_first, range->pass_end - range->pass_first);
    comm_sum_shards(ppo->comm, range->flat, ppo->shards, range->vector);
}

static void learn_minibatch(struct ppo *ppo, const struct learner_range *range, int epoch, int minibatch)
{
    struct backend *backend = ppo->backend;
    const struct ppo_pass *pass = ppo->learner_pass + range->first;
    const int learners = range->end - range->first;
    aim_learners(ppo, range->first, range->end, epoch, minibatch);
    const int steps = aim_steps(ppo, range, epoch, minibatch);
    backend->ppo_begin(backend, &ppo->rules, pass, learners);
    if (ppo->rescale) backend->rescale_heads(backend, ppo->rescale + range->first, learners);
    compute_gradients(ppo, range);
    backend->ppo_measure(backend, &ppo->rules, pass, learners);
    backend->optimizer_step(backend, &ppo->rules.step, ppo->step, steps);
}

/* ---- what a test sees ---------------------------------------------------------------------------------------------------------------- */

static void show_minibatch(struct ppo *ppo, const struct learner_range *range, int epoch, int minibatch)
{
    ppo->backend->download(ppo->backend, ppo->seen, ppo->learner, (size_t)ppo->learners * sizeof *ppo->seen);
    for (int l = range->first; l < range->end; l++) {
        const struct learner_at *at = &ppo->at[l];
        const real *gradient = range->flat + at->gradient;
        const struct ppo_sets *of = &at->of;
        struct ppo_minibatch seen = {.epoch = epoch,
                                     .minibatch = minibatch,
                                     .group = at->group,
                                     .set = {of->set[ROLE_ACTOR], of->set[ROLE_CRITIC]},
                                     .metrics = ppo->seen[l].minibatch,
                                     .stopped = ppo->seen[l].critic.stopped,
                                     .actor_gradient = at->actor ? gradient : NULL,
                                     .critic_gradient = at->critic ? gradient + at->actor : NULL,
                                     .actor_divisor = ppo->seen[l].actor.divisor,
                                     .critic_divisor = ppo->seen[l].critic.divisor};
        seen.metrics.actor_grad_norm = ppo->seen[l].actor.norm;
        seen.metrics.critic_grad_norm = ppo->seen[l].critic.norm;
        ppo->config.hooks->stepped(ppo->config.hooks->user, &seen);
    }
}

/* ---- given actions ------------------------------------------------------------------------------------------------------------------- */

/* Of the largest minibatch. */
static size_t part_outputs(const struct ppo *ppo, const struct ppo_part *part)
{
    if (part->of.set[ROLE_ACTOR] < 0) return 0;
    return (size_t)ppo_part_largest(&ppo->batches, part) * (size_t)part->rows * (size_t)ppo->policy[part->group]->net[ROLE_ACTOR].outputs;
}

size_t ppo_outputs(const struct ppo *ppo)
{
    size_t outputs = 0;
    for (int i = 0; i < ppo->batches.parts; i++) outputs += part_outputs(ppo, &ppo->batches.part[i]);
    return outputs;
}

/* From the order of part i's minibatch to [T][E][A][O]. */
static struct scatter_pass keeping(const struct ppo *ppo, int i, const real *out, real *to)
{
    const struct ppo_part *part = &ppo->batches.part[i];
    const struct batch *batch = &ppo->batches.actor[i];
    const int width = part->rows * ppo->policy[part->group]->net[ROLE_ACTOR].outputs;
    return (struct scatter_pass){
        .unit = batch->unit, .units = batch->units, .stride = width, .width = width, .from_width = width, .from = out, .to = to};
}

/* Of the rows that are packed now. */
static void evaluate_packed(struct ppo *ppo, const struct learner_range *range, const struct ppo_evaluation *evaluation)
{
    real *out = evaluation->outputs;
    int passes = 0, kept = 0;
    for (int i = range->part_first; i < range->part_end; i++) {
        const struct ppo_part *part = &ppo->batches.part[i];
        const struct mappo_group_io *taken = &ppo->rollout->transitions->all.group[part->group];
        const struct policy *policy = ppo->policy[part->group];
        const int set = part->of.set[ROLE_ACTOR];
        if (set < 0) continue;
        ppo->forward[passes] = (struct forward_pass){.net = &policy->net[ROLE_ACTOR],
                                                     .parameters = policy_actor(policy, policy->parameters, set),
                                                     .packed = ppo->actor_packed[i],
                                                     .recurrent = ppo_part_time(&ppo->batches, part, ROLE_ACTOR),
                                                     .out = out};
        ppo->evaluate[passes++] = (struct evaluate_pass){.dist = &policy->dist,
                                                         .batch = ppo->batches.actor[i],
                                                         .out = out,
                                                         .log_std = policy_log_std(policy, set),
                                                         .mask = taken->act_mask,
                                                         .act_int = taken->act_int,
                                                         .act_real = taken->act_real,
                                                         .old_out = ppo->old_out[part->group],
                                                         .old_log_std = ppo_old_log_std(ppo, part->group, set),
                                                         .log_prob = evaluation->log_prob[part->group],
                                                         .entropy = evaluation->entropy[part->group],
                                                         .kl = evaluation->kl[part->group]};
        if (evaluation->keep[part->group]) ppo->scatter[kept++] = keeping(ppo, i, out, evaluation->keep[part->group]);
        out += part_outputs(ppo, part);
    }
    if (passes == 0) return;
    ppo->backend->forward(ppo->backend, ppo->forward, passes);
    if (kept)
        ppo->backend->scatter(ppo->backend, ppo->scatter, kept); /* as they are: evaluating overwrites forbidden logits */
    else
        ppo->backend->evaluate(ppo->backend, ppo->evaluate, passes);
}

void ppo_evaluate(struct ppo *ppo, int number, const struct ppo_evaluation *evaluation)
{
    const struct learner_range *range = &ppo->range[number];
    for (int k = 0; k < ppo->config.minibatches; k++) { /* of any epoch: together they are all rows */
        ppo_batches_select(&ppo->batches, range->part_first, range->part_end, 0, k);
        pack_inputs(ppo, range, ROLE_ACTOR);
        evaluate_packed(ppo, range, evaluation);
    }
}

/* Terms of the minibatch at hand, under its policies as they are. Rows of other minibatches get some as well, of older numbers: nobody reads
 * them. */
static void join_ratios(struct ppo *ppo, const struct learner_range *range)
{
    struct ppo_evaluation evaluation = {.outputs = ppo->outputs};
    for (int g = 0; g < ppo->rollout->groups; g++) evaluation.log_prob[g] = ppo->log_prob[g];
    evaluate_packed(ppo, range, &evaluation);
    ppo->backend->join(ppo->backend, ppo->join, ppo->joins);
}

/* ---- the penalty --------------------------------------------------------------------------------------------------------------------- */

static void show_old_policy(struct ppo *ppo, int g)
{
    const struct policy *policy = ppo->policy[g];
    const struct transitions_config *x = &ppo->rollout->transitions->config;
    const size_t outputs = (size_t)(x->steps * x->envs * policy->sizes.agents) * (size_t)policy->net[ROLE_ACTOR].outputs;
    const size_t deviations = ppo->old_log_std[g] ? (size_t)(policy->sets[ROLE_ACTOR] * policy->dist.act_reals) : 0;
    real *copy = calloc(outputs + deviations + 1, sizeof *copy);
    CHECK(copy, "out of memory for a copy of the old policy");
    ppo->backend->download(ppo->backend, copy, ppo->old_out[g], outputs * sizeof *copy);
    if (deviations) ppo->backend->download(ppo->backend, copy + outputs, ppo->old_log_std[g], deviations * sizeof *copy);
    ppo->config.hooks->old_policy(ppo->config.hooks->user, g, copy, deviations ? copy + outputs : NULL);
    ppo->backend->upload(ppo->backend, ppo->old_out[g], copy, outputs * sizeof *copy);
    if (deviations) ppo->backend->upload(ppo->backend, ppo->old_log_std[g], copy + outputs, deviations * sizeof *copy);
    free(copy);
}

/* What the policies put out before the first step, and their deviations. */
static void keep_old_policy(struct ppo *ppo)
{
    struct ppo_evaluation evaluation = {.outputs = ppo->outputs};
    for (int g = 0; g < ppo->rollout->groups; g++) {
        const struct policy *policy = ppo->policy[g];
        evaluation.keep[g] = ppo->old_out[g];
        for (int set = 0; set < policy->sets[ROLE_ACTOR] && ppo->old_log_std[g]; set++)
            ppo->backend->copy(ppo->backend, ppo_old_log_std(ppo, g, set), policy_log_std(policy, set),
                               (size_t)policy->dist.act_reals * sizeof(real));
    }
    for (int r = 0; r < ppo->ranges; r++) ppo_evaluate(ppo, r, &evaluation);
    for (int g = 0; g < ppo->rollout->groups && ppo->config.hooks && ppo->config.hooks->old_policy; g++) show_old_policy(ppo, g);
}

static void measure_penalty(struct ppo *ppo)
{
    struct ppo_evaluation evaluation = {.outputs = ppo->outputs};
    int passes = 0;
    for (int g = 0; g < ppo->rollout->groups; g++) evaluation.kl[g] = ppo->kl[g];
    for (int r = 0; r < ppo->ranges; r++) ppo_evaluate(ppo, r, &evaluation);
    for (int g = 0; g < ppo->rollout->groups; g++) {
        const uint8_t *active = self_play_rows(&ppo->rollout->self_play, g, ppo->config.policy_active_masks);
        passes = measure(ppo, passes, g, ppo->kl[g], active, ppo->batches.everything, 0, 3);
    }
    ppo->backend->moments(ppo->backend, ppo->moments, passes);
    comm_sum_shards_double(ppo->comm, ppo->statistics, ppo->shards, ppo->message);
    aim_learners(ppo, 0, ppo->learners, 0, 0);
    ppo->backend->ppo_end(ppo->backend, &ppo->rules, ppo->learner_pass, ppo->learners);
}

/* ---- the update ---------------------------------------------------------------------------------------------------------------------- */

/* What an update does without waiting for the host, so that a device may record it once and replay it. */
static void prepare(struct ppo *ppo, int range)
{
    (void)range;
    ppo_batches_hold(&ppo->batches);
    gather_statistics(ppo);
    aim_learners(ppo, 0, ppo->learners, 0, 0);
    ppo->backend->ppo_start(ppo->backend, &ppo->rules, ppo->learner_pass, ppo->learners, ppo->rollout->collector->check.bad,
                            ppo->rollout->collector->check.bads);
    if (ppo->config.advantages == ADVANTAGES_ROLLOUT) normalise_advantages(ppo);
    if (ppo->config.penalty) keep_old_policy(ppo);
}

/* The penalties' coefficients, once all steps are made. */
static void conclude(struct ppo *ppo, int range)
{
    (void)range;
    if (ppo->config.penalty) measure_penalty(ppo);
}

/* Nothing comes of further minibatches; a device makes them all the same, because it has been told of them. */
static bool has_stopped(const struct ppo *ppo, const struct learner_range *range)
{
    if (ppo->config.target_kl <= 0 || !ppo->backend->host_memory) return false;
    for (int l = range->first; l < range->end; l++)
        if (!ppo->learner[l].critic.stopped) return false;
    return true;
}

static void learn_range(struct ppo *ppo, int number)
{
    const struct learner_range *range = &ppo->range[number];
    const bool whole = ppo->config.minibatches == 1, shows = ppo->config.hooks && ppo->config.hooks->stepped;
    if (whole) pack_minibatch(ppo, range, 0, 0); /* one packing serves all epochs */
    for (int epoch = 0; epoch < ppo->config.epochs; epoch++) {
        for (int k = 0; k < ppo->config.minibatches; k++) {
            watchdog_sign();
            if (!whole) pack_minibatch(ppo, range, epoch, k);
            if (ppo->joins) join_ratios(ppo, range);
            learn_minibatch(ppo, range, epoch, k);
            if (shows) show_minibatch(ppo, range, epoch, k);
            if (has_stopped(ppo, range)) return;
        }
    }
}

static void prepare_and_learn(struct ppo *ppo, int ranges)
{
    prepare(ppo, 0);
    for (int r = 0; r < ranges; r++) learn_range(ppo, r);
    conclude(ppo, 0);
}

/* Makes the calls, or replays them where they are recorded: unless something in them goes through the host. */
static void repeat(struct ppo *ppo, struct repeated *replay, int64_t minibatches, void (*calls)(struct ppo *, int), int number)
{
    enum { MOST_RECORDED = 512 }; /* minibatches: with more, the time lies elsewhere */
    const bool records = comm_on_stream(ppo->comm) && !ppo->config.hooks && minibatches <= MOST_RECORDED;
    if (records && backend_replayed(ppo->backend, replay)) return;
    calls(ppo, number);
    if (records) backend_recorded(ppo->backend, replay);
}

static int64_t steps_of_update(const struct ppo *ppo)
{
    return (int64_t)ppo->config.epochs * ppo->config.minibatches;
}

static void write_update_numbers(struct ppo *ppo, int64_t update)
{
    const struct update_numbers numbers = {.update = update,
                                           .steps =
                                               ppo->policy[ppo->at[0].group]->updates + (ppo->begun - ppo->read) * steps_of_update(ppo),
                                           .actor_rate = ppo->config.now.actor_rate,
                                           .critic_rate = ppo->config.now.critic_rate,
                                           .clip = ppo->config.now.clip,
                                           .entropy = ppo->config.now.entropy};
    ppo->backend->upload(ppo->backend, ppo->numbers, &numbers, sizeof numbers);
}

static int report_fault(const struct ppo *ppo, const struct outcome *outcome, struct error *err)
{
    static const char *const what[] = {[FAULT_POLICY_LOSS] = "the policy loss",
                                       [FAULT_VALUE_LOSS] = "the value loss",
                                       [FAULT_ACTOR_GRADIENT] = "the actor's gradient",
                                       [FAULT_CRITIC_GRADIENT] = "the critic's gradient"};
    const struct fault *fault = outcome->fault;
    const int code = rollout_fault(ppo->rollout, outcome->bad, outcome->step, err);
    if (code) return code;
    const char *name = ppo->policy[ppo->at[fault->learner].group]->name;
    if (fault->kind == FAULT_RETURNS)
        return error_set(err, EXIT_NUMERICAL, "group \"%s\": returns are not finite: rewards or values have overflowed", name);
    return error_set(err, EXIT_NUMERICAL, "group \"%s\": %s is not finite in epoch %d, minibatch %d; parameters are as before it", name,
                     what[fault->kind], (int)fault->epoch, (int)fault->minibatch);
}

/* Sums of what each minibatch, or step, has added a part of are made means of those that there were. */
static double of_all(const struct ppo *ppo, int32_t count)
{
    return count > 0 && count < steps_of_update(ppo) ? (double)steps_of_update(ppo) / count : 1;
}

static void read_metrics(const struct ppo *ppo, const struct ppo_learner *learner, struct ppo_metrics *metrics)
{
    memset(metrics, 0, (size_t)ppo->rollout->groups * sizeof *metrics);
    for (int l = 0; l < ppo->learners; l++) {
        const struct learner_at *at = &ppo->at[l];
        struct ppo_metrics *of = &metrics[at->group], mean = learner[l].mean; /* sums of a network that is not there are 0 */
        const int sets = ppo->policy[at->group]->sets[at->actor ? ROLE_ACTOR : ROLE_CRITIC];
        const double weight = 1.0 / sets;
        if (learner[l].measured == 0) /* all its rows were those of past selves */
            mean.policy_loss = mean.value_loss = mean.entropy = mean.approx_kl = mean.clip_fraction = mean.ratio = NAN;
        if (isinf(learner[l].policy.clip)) mean.clip_fraction = NAN; /* nothing is clipped */
        if (!at->critic) mean.value_mean = mean.value_deviation = mean.explained_variance = 0;
        ppo_metrics_add(of, &mean, weight * of_all(ppo, learner[l].measured));
        if (at->actor) of->actor_grad_norm += weight * of_all(ppo, learner[l].actor.made) * learner[l].actor.mean_norm;
        if (at->critic) of->critic_grad_norm += weight * of_all(ppo, learner[l].critic.made) * learner[l].critic.mean_norm;
        of->explained_variance += mean.explained_variance / sets;
        if (at->actor) of->kl += weight * learner[l].kl;
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
    CHECK(ppo->begun - ppo->read < BACKEND_OUTCOMES, "too many updates whose outcome was not read");
    fetch(ppo, outcome->learner, ppo->learner, (size_t)ppo->learners * sizeof *ppo->learner);
    fetch(ppo, outcome->fault, ppo->fault, sizeof *ppo->fault);
    fetch(ppo, outcome->bad, ppo->rollout->collector->check.bad, (size_t)ppo->rollout->collector->check.bads * sizeof *outcome->bad);
    outcome->step = ppo->rollout->transitions->step;
    if (backend->mark) backend->mark(backend, BACKEND_STAGES + slot);
    ppo->begun++;
}

void ppo_update(struct ppo *ppo, int64_t update)
{
    write_update_numbers(ppo, update);
    repeat(ppo, &ppo->replay, ppo->ranges * steps_of_update(ppo), prepare_and_learn, ppo->ranges);
    fetch_outcome(ppo);
}

int ppo_ranges(const struct ppo *ppo)
{
    return ppo->ranges;
}

void ppo_begin(struct ppo *ppo, int64_t update)
{
    write_update_numbers(ppo, update);
    repeat(ppo, &ppo->replay_begin, (int64_t)ppo->statistics_epochs * ppo->config.minibatches, prepare, 0);
}

void ppo_learn(struct ppo *ppo, int range)
{
    CHECK(range >= 0 && range < ppo->ranges, "range %d of %d", range, ppo->ranges);
    repeat(ppo, &ppo->range[range].replay, steps_of_update(ppo), learn_range, range);
}

void ppo_end(struct ppo *ppo)
{
    repeat(ppo, &ppo->replay_end, ppo->config.minibatches, conclude, 0);
    fetch_outcome(ppo);
}

/* ---- the outcome --------------------------------------------------------------------------------------------------------------------- */

/* Of the network of the group that has made most. */
static int64_t steps_made(const struct ppo *ppo, const struct outcome *outcome, int g)
{
    int64_t most = 0;
    for (int l = ppo->learner_first[g]; l < ppo->learner_first[g + 1]; l++) {
        const struct ppo_learner *learner = &outcome->learner[l];
        if (ppo->at[l].actor && learner->actor.made > most) most = learner->actor.made;
        if (ppo->at[l].critic && learner->critic.made > most) most = learner->critic.made;
    }
    return most;
}

int ppo_outcome(struct ppo *ppo, struct ppo_metrics *metrics, struct error *err)
{
    struct backend *backend = ppo->backend;
    const int slot = (int)(ppo->read % BACKEND_OUTCOMES);
    const struct outcome *outcome = &ppo->outcome[slot];
    CHECK(ppo->read < ppo->begun, "the outcome of an update that was not begun");
    ppo->read++;
    if (backend->wait) backend->wait(backend, BACKEND_STAGES + slot);
    read_metrics(ppo, outcome->learner, metrics);
    if (outcome->fault->kind != NO_FAULT) return report_fault(ppo, outcome, err);
    for (int g = 0; g < ppo->rollout->groups; g++) ppo->policy[g]->updates += steps_made(ppo, outcome, g);
    return 0;
}
