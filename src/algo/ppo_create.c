/* Making what an update needs: where everything lies, and the passes of it that stay the same. */
#include "algo/ppo_work.h"
#include "base/text.h"

/* ---- learners and ranges ------------------------------------------------------------------------------------------------------------- */

static void create_learners(struct ppo *ppo)
{
    const int groups = ppo->rollout->groups;
    for (int g = 0; g < groups; g++) ppo->learners += ppo_learners(ppo->policy[g]);
    ppo->at = ARENA_NEW(ppo->arena, struct learner_at, ppo->learners);
    ppo->statistics_epochs = ppo->config.minibatches > 1 ? ppo->config.epochs : 1;
    const size_t numbers = ADVANTAGE_NUMBERS + MINIBATCH_NUMBERS * (size_t)ppo->statistics_epochs * (size_t)ppo->config.minibatches;
    int l = 0;
    for (int g = 0; g < groups; g++) {
        ppo->learner_first[g] = l;
        for (int i = 0; i < ppo_learners(ppo->policy[g]); i++, l++) {
            const struct ppo_sets of = ppo_learner_sets(ppo->policy[g], i);
            ppo->at[l] = (struct learner_at){.group = g,
                                             .of = of,
                                             .actor = of.set[ROLE_ACTOR] < 0 ? 0 : ppo->policy[g]->net[ROLE_ACTOR].parameters,
                                             .critic = of.set[ROLE_CRITIC] < 0 ? 0 : ppo->policy[g]->net[ROLE_CRITIC].parameters,
                                             .message = (size_t)l * numbers};
        }
    }
    ppo->learner_first[groups] = l;
    ppo->message = (size_t)ppo->learners * numbers;
    ppo->rules = (struct ppo_rules){.normalizer = ppo->policy[0]->normalizer,
                                    .beta = ppo->config.value_norm_beta,
                                    .policy_active = ppo->config.policy_active_masks,
                                    .value_active = ppo->config.value_active_masks,
                                    .policy = ppo->config.policy,
                                    .value = ppo->config.value,
                                    .target_kl = ppo->config.target_kl,
                                    .penalty_kl = ppo->config.penalty_kl,
                                    .critic_warmup = ppo->config.critic_warmup,
                                    .step = {.max_grad_norm = (double)ppo->config.max_grad_norm,
                                             .mean_weight = 1.0 / ((double)ppo->config.epochs * (double)ppo->config.minibatches),
                                             .adam = ppo->config.adam}};
}

static void create_range(struct ppo *ppo, struct learner_range *range, int first, int size)
{
    *range = (struct learner_range){.first = first, .end = first + size < ppo->learners ? first + size : ppo->learners};
    range->part_first = range->first * ppo->shards;
    range->part_end = range->end * ppo->shards;
    for (int l = range->first; l < range->end; l++) {
        ppo->at[l].range = range;
        ppo->at[l].gradient = range->gradients;
        range->gradients += ppo->at[l].actor + ppo->at[l].critic;
    }
    for (int l = range->first; l < range->end; l++) ppo->at[l].sums = range->gradients + (size_t)(l - range->first) * 2 * PASS_SUMS;
    range->vector = range->gradients + (size_t)(range->end - range->first) * 2 * PASS_SUMS;
}

/* Returns the reals of the longest vector. */
static size_t create_ranges(struct ppo *ppo)
{
    const int size = ppo->config.range > 0 && ppo->config.range < ppo->learners ? ppo->config.range : ppo->learners;
    size_t all = 0, longest = 0;
    ppo->ranges = (ppo->learners + size - 1) / size;
    ppo->range = ARENA_NEW(ppo->arena, struct learner_range, ppo->ranges);
    for (int r = 0; r < ppo->ranges; r++) {
        struct learner_range *range = &ppo->range[r];
        create_range(ppo, range, r * size, size);
        all += range->vector;
        longest = range->vector > longest ? range->vector : longest;
    }
    ppo->flat = ppo->backend->alloc(ppo->backend, "gradients", (size_t)ppo->shards * all * sizeof(real));
    real *flat = ppo->flat;
    for (int r = 0; r < ppo->ranges; flat += (size_t)ppo->shards * ppo->range[r++].vector) ppo->range[r].flat = flat;
    return longest;
}

/* ---- memory and passes --------------------------------------------------------------------------------------------------------------- */

/* That a device can copy to while the host goes on. */
static void *host_array(struct ppo *ppo, size_t bytes)
{
    struct backend *backend = ppo->backend;
    return backend->host_alloc ? backend->host_alloc(backend, "statistics", bytes) : arena_take(ppo->arena, "an outcome", bytes + 1, 1);
}

static void take_memory(struct ppo *ppo)
{
    struct backend *backend = ppo->backend;
    ppo->statistics = backend->alloc(backend, "statistics", (size_t)ppo->shards * ppo->message * sizeof(double));
    ppo->learner = backend->alloc(backend, "statistics", (size_t)ppo->learners * sizeof *ppo->learner);
    ppo->unused = backend->alloc(backend, "statistics", (size_t)ppo->learners * sizeof *ppo->unused);
    ppo->fault = backend->alloc(backend, "statistics", sizeof *ppo->fault);
    for (int i = 0; i < BACKEND_OUTCOMES; i++) {
        struct outcome *outcome = &ppo->outcome[i];
        outcome->learner = host_array(ppo, (size_t)ppo->learners * sizeof *outcome->learner);
        outcome->fault = host_array(ppo, sizeof *outcome->fault);
        outcome->bad = host_array(ppo, (size_t)ppo->rollout->collector->check.bads * sizeof *outcome->bad);
    }
    ppo->seen = ARENA_NEW(ppo->arena, struct ppo_learner, ppo->learners);
    for (int l = 0; l < ppo->learners; l++) ppo->seen[l] = (struct ppo_learner){.policy = ppo->config.policy, .value = ppo->config.value};
    backend->upload(backend, ppo->learner, ppo->seen, (size_t)ppo->learners * sizeof *ppo->learner);
    ppo->learner_pass = ARENA_NEW(ppo->arena, struct ppo_pass, ppo->learners);
    ppo->step = ARENA_NEW(ppo->arena, struct optimizer_pass, 2 * ppo->learners);
    ppo->standardise = ARENA_NEW(ppo->arena, struct standardise_pass, ppo->learners);
}

static void take_penalty(struct ppo *ppo)
{
    struct backend *backend = ppo->backend;
    if (!ppo->config.penalty) return;
    for (int g = 0; g < ppo->rollout->groups; g++) {
        if (!policy_learns(ppo->policy[g])) continue;
        const struct policy *policy = ppo->policy[g];
        const struct transitions_config *x = &ppo->rollout->transitions->config;
        const size_t rows = (size_t)x->steps * (size_t)x->envs * (size_t)policy->sizes.agents;
        const size_t deviations = policy->net[ROLE_ACTOR].at.extra < 0 ? 0 : (size_t)policy->dist.act_reals;
        ppo->old_out[g] = backend->alloc(backend, "old policies", rows * (size_t)policy->net[ROLE_ACTOR].outputs * sizeof(real));
        ppo->kl[g] = backend->alloc(backend, "old policies", rows * sizeof(real));
        if (deviations)
            ppo->old_log_std[g] = backend->alloc(backend, "old policies", (size_t)policy->sets[ROLE_ACTOR] * deviations * sizeof(real));
    }
    ppo->outputs = backend->alloc(backend, "outputs of policies", ppo_outputs(ppo) * sizeof(real));
}

static void take_joint(struct ppo *ppo)
{
    struct backend *backend = ppo->backend;
    const struct transitions *x = ppo->rollout->transitions;
    ppo->join = ARENA_NEW(ppo->arena, struct joint_pass, ppo->rollout->groups * ppo->shards);
    for (int g = 0; g < ppo->rollout->groups; g++) {
        if (!ppo->config.joint_ratios[g]) continue;
        const struct policy *policy = ppo->policy[g];
        const size_t bytes = (size_t)x->config.steps * (size_t)x->config.envs * (size_t)policy->sizes.agents * sizeof(real);
        ppo->log_prob[g] = backend->alloc(backend, "joint ratios", bytes);
        ppo->loss[g] = backend->alloc(backend, "joint ratios", bytes);
        ppo->slope[g] = backend->alloc(backend, "joint ratios", bytes);
        for (int s = 0; s < ppo->shards; s++) {
            const int lo = x->first[s], hi = x->first[s + 1], steps = x->config.steps * (hi - lo), agents = policy->sizes.agents;
            const struct select_shape all = {x->config.envs, lo, hi, agents, 1, -1, false, 1, 0};
            ppo->join[ppo->joins++] =
                (struct joint_pass){.batch = {ppo_batches_list(&ppo->batches, &all, steps), steps, agents, NULL},
                                    .rules = ppo->config.joint,
                                    .objective = &ppo->learner[ppo->learner_first[g]].policy,
                                    .log_prob = ppo->log_prob[g],
                                    .old_log_prob = ppo->rollout->log_prob[g],
                                    .advantage = ppo->rollout->returns->group[g].advantage,
                                    .active = self_play_rows(&ppo->rollout->self_play, g, ppo->config.policy_active_masks),
                                    .loss = ppo->loss[g],
                                    .slope = ppo->slope[g]};
        }
    }
    if (ppo->joins && !ppo->outputs) ppo->outputs = backend->alloc(backend, "outputs of policies", ppo_outputs(ppo) * sizeof(real));
}

static int check_joint(const struct ppo_config *config, const struct rollout *rollout, struct error *err)
{
    bool joint = false;
    for (int g = 0; g < rollout->groups; g++) joint = joint || config->joint_ratios[g];
    if (!joint) return 0;
    if (config->row_minibatches || config->range > 0 || rollout->per_head || config->advantages == ADVANTAGES_MINIBATCH)
        return error_set(err, EXIT_USAGE,
                         "coppo multiplies the ratios of a step's agents, so that they have to be learned from together: it needs "
                         "ppo.minibatch_unit=step, ppo.ratio=joint, and ppo.normalise_advantage=rollout or none");
    return 0;
}

/* PopArt: the critics' heads, each with the map that its learner finds before a minibatch. */
static void create_rescales(struct ppo *ppo)
{
    if (ppo->rules.normalizer != NORMALIZER_POPART) return;
    ppo->rescale = ARENA_NEW(ppo->arena, struct rescale_pass, ppo->learners);
    for (int l = 0; l < ppo->learners; l++) {
        const struct policy *policy = ppo->policy[ppo->at[l].group];
        const struct network *net = &policy->net[ROLE_CRITIC];
        const int set = ppo->at[l].of.set[ROLE_CRITIC];
        ppo->rescale[l] = (struct rescale_pass){.rescale = &ppo->learner[l].head, .fault = ppo->fault};
        if (set < 0) continue; /* no head, no numbers */
        real *critic = policy_critic(policy, policy->parameters, set);
        ppo->rescale[l].weight = critic + net->at.head_weight;
        ppo->rescale[l].bias = critic + net->at.head_bias;
        ppo->rescale[l].inputs = net->hidden;
        ppo->rescale[l].outputs = net->outputs;
    }
}

static struct train_pass actor_pass(const struct ppo *ppo, int i)
{
    const struct ppo_part *part = &ppo->batches.part[i];
    const struct learner_at *at = &ppo->at[ppo_learner_of(ppo, part)];
    real *vector = at->range->flat + (size_t)part->shard * at->range->vector;
    struct train_pass pass = rollout_pass(ppo->rollout, part->group, ROLE_ACTOR, part->shard, part->of.set[ROLE_ACTOR]);
    pass.packed = ppo->actor_packed[i];
    pass.recurrent = ppo_part_time(&ppo->batches, part, ROLE_ACTOR);
    pass.policy.objective = &ppo->learner[ppo_learner_of(ppo, part)].policy;
    if (ppo->config.advantages == ADVANTAGES_MINIBATCH) pass.policy.scale = &ppo->learner[ppo_learner_of(ppo, part)].advantage;
    pass.policy.old_out = ppo->old_out[part->group];
    pass.policy.loss = ppo->loss[part->group];
    pass.policy.slope = ppo->slope[part->group];
    pass.policy.old_log_std = ppo_old_log_std(ppo, part->group, part->of.set[ROLE_ACTOR]);
    if (ppo->config.policy_active_masks) pass.policy.active = self_play_rows(&ppo->rollout->self_play, part->group, true);
    pass.gradient = vector + at->gradient;
    pass.sum = vector + at->sums;
    return pass;
}

static struct train_pass critic_pass(const struct ppo *ppo, int i)
{
    const struct ppo_part *part = &ppo->batches.part[i];
    const int l = ppo_learner_of(ppo, part);
    const struct learner_at *at = &ppo->at[l];
    real *vector = at->range->flat + (size_t)part->shard * at->range->vector;
    struct train_pass pass = rollout_pass(ppo->rollout, part->group, ROLE_CRITIC, part->shard, part->of.set[ROLE_CRITIC]);
    pass.packed = ppo->critic_packed[i];
    pass.recurrent = ppo_part_time(&ppo->batches, part, ROLE_CRITIC);
    pass.value.objective = &ppo->learner[l].value;
    pass.value.old = ppo->rescale ? &ppo->learner[l].old_value : NULL;
    if (ppo->config.value_active_masks) pass.value.active = self_play_rows(&ppo->rollout->self_play, part->group, true);
    pass.gradient = vector + at->gradient + at->actor;
    pass.sum = vector + at->sums + PASS_SUMS;
    return pass;
}

/* The rollout packed the critic's inputs of all steps already: one minibatch in natural order needs the very same. */
static void create_critic_rows(struct ppo *ppo, int i)
{
    struct backend *backend = ppo->backend;
    const struct ppo_part *part = &ppo->batches.part[i];
    const struct policy *policy = ppo->policy[part->group];
    const bool in_order = ppo->config.minibatches == 1 && !ppo->config.row_minibatches && part->steps == 1;
    const bool reused = in_order && (policy_apart(policy, ROLE_CRITIC) || part->select.critic_repeats == 1);
    ppo->critic_packed_own[i] = !reused;
    ppo->critic_packed[i] =
        reused ? returns_critic_packed(ppo->rollout->returns, part->group, part->shard, part->of.set[ROLE_CRITIC])
               : backend->packed_rows_create(backend, &policy->net[ROLE_CRITIC], ppo_part_largest(&ppo->batches, part) * part->critic_rows);
}

static void create_passes(struct ppo *ppo)
{
    struct ppo_batches *batches = &ppo->batches;
    struct backend *backend = ppo->backend;
    ppo->actor_packed = ARENA_NEW(ppo->arena, struct packed_rows *, batches->parts);
    ppo->critic_packed = ARENA_NEW(ppo->arena, struct packed_rows *, batches->parts);
    ppo->critic_packed_own = ARENA_NEW(ppo->arena, bool, batches->parts);
    ppo->pass = ARENA_NEW(ppo->arena, struct train_pass, 2 * batches->parts);
    ppo->packed = ARENA_NEW(ppo->arena, struct packed_rows *, batches->parts);
    ppo->batch = ARENA_NEW(ppo->arena, struct batch, batches->parts);
    ppo->forward = ARENA_NEW(ppo->arena, struct forward_pass, batches->parts);
    ppo->evaluate = ARENA_NEW(ppo->arena, struct evaluate_pass, batches->parts);
    ppo->moments = ARENA_NEW(ppo->arena, struct moments_pass, 3 * batches->parts);
    ppo->scatter = ARENA_NEW(ppo->arena, struct scatter_pass, batches->parts);
    int passes = 0;
    for (int i = 0; i < batches->parts; i++) {
        const struct ppo_part *part = &batches->part[i];
        const struct policy *policy = ppo->policy[part->group];
        struct learner_range *range = ppo->at[ppo_learner_of(ppo, part)].range;
        if (i == range->part_first) range->pass_first = passes;
        if (part->of.set[ROLE_ACTOR] >= 0) {
            ppo->actor_packed[i] =
                backend->packed_rows_create(backend, &policy->net[ROLE_ACTOR], ppo_part_largest(batches, part) * part->rows);
            ppo->pass[passes++] = actor_pass(ppo, i);
        }
        if (part->of.set[ROLE_CRITIC] >= 0) {
            create_critic_rows(ppo, i);
            ppo->pass[passes++] = critic_pass(ppo, i);
        }
        range->pass_end = passes;
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
    ppo->numbers = backend->alloc(backend, "statistics", sizeof *ppo->numbers);
    ppo->batches = (struct ppo_batches){.config = &ppo->config, .rollout = rollout, .policy = policy, .numbers = ppo->numbers};
    int code = check_joint(config, rollout, err);
    if (!code && config->minibatch_size > 0) code = ppo_batches_count(&ppo->batches, comm_all_shards(comm), &ppo->config.minibatches, err);
    if (!code) code = ppo_batches_create(&ppo->batches, arena, err);
    if (code) {
        ppo_destroy(ppo);
        return code;
    }
    create_learners(ppo);
    const size_t longest = create_ranges(ppo);
    take_memory(ppo);
    take_penalty(ppo);
    take_joint(ppo);
    create_rescales(ppo);
    create_passes(ppo);
    arena_seal(arena);
    comm_reserve(comm, ppo->shards, longest, ppo->message);
    *out = ppo;
    return 0;
}

void ppo_destroy(struct ppo *ppo)
{
    if (!ppo) return;
    struct backend *backend = ppo->backend;
    backend->sync(backend); /* an outcome may still be on its way */
    backend_forget(backend, &ppo->replay);
    backend_forget(backend, &ppo->replay_begin);
    backend_forget(backend, &ppo->replay_end);
    for (int r = 0; r < ppo->ranges && ppo->range; r++) backend_forget(backend, &ppo->range[r].replay);
    for (int i = 0; i < ppo->batches.parts && ppo->pass; i++) {
        backend->packed_rows_destroy(backend, ppo->actor_packed[i]);
        if (ppo->critic_packed_own[i]) backend->packed_rows_destroy(backend, ppo->critic_packed[i]);
    }
    ppo_batches_destroy(&ppo->batches);
    for (int i = 0; i < BACKEND_OUTCOMES && backend->host_free; i++) {
        backend->host_free(backend, ppo->outcome[i].learner);
        backend->host_free(backend, ppo->outcome[i].fault);
        backend->host_free(backend, ppo->outcome[i].bad);
    }
    for (int g = 0; g < MAPPO_MAX_GROUPS; g++) {
        backend->free(backend, ppo->old_out[g]);
        backend->free(backend, ppo->old_log_std[g]);
        backend->free(backend, ppo->kl[g]);
        backend->free(backend, ppo->log_prob[g]);
        backend->free(backend, ppo->loss[g]);
        backend->free(backend, ppo->slope[g]);
    }
    for (int i = 0; i < ppo->joins; i++) backend->free(backend, (void *)(uintptr_t)ppo->join[i].batch.unit);
    backend->free(backend, ppo->outputs);
    backend->free(backend, ppo->flat);
    backend->free(backend, ppo->statistics);
    backend->free(backend, ppo->learner);
    backend->free(backend, ppo->unused);
    backend->free(backend, ppo->fault);
    backend->free(backend, ppo->numbers);
    arena_destroy(ppo->arena);
}

/* ---- what lasts from update to update ------------------------------------------------------------------------------------------------ */

static void lasting_field(struct field_list *list, const struct ppo *ppo, int l, const char *name, int type, void *data, const char *unit,
                          const char *description)
{
    const struct policy *policy = ppo->policy[ppo->at[l].group];
    const struct ppo_sets *of = &ppo->at[l].of;
    const int role = of->set[ROLE_ACTOR] >= 0 ? ROLE_ACTOR : ROLE_CRITIC;
    char path[sizeof list->field->name], agent[16] = "";
    if (policy_apart(policy, role)) text_format(agent, sizeof agent, "/%d", of->set[role]);
    text_format(path, sizeof path, "/optimizer/%s%s/%s", policy->name, agent, name);
    field_add(list, path, type, data, unit, description, 0);
}

void ppo_fields(struct ppo *ppo, struct field_list *list)
{
    for (int l = 0; l < ppo->learners; l++) {
        struct ppo_lasting *lasting = &ppo->at[l].lasting;
        if (ppo->config.penalty && ppo->at[l].actor)
            lasting_field(list, ppo, l, "kl_beta", FIELD_DOUBLE, &lasting->penalty, "1", "coefficient of the KL penalty");
        if (!ppo_counts_apart(&ppo->config)) continue;
        if (ppo->at[l].actor)
            lasting_field(list, ppo, l, "actor_step", FIELD_INT64, &lasting->steps[ROLE_ACTOR], "steps",
                          "Adam's steps of the actor so far");
        if (ppo->at[l].critic)
            lasting_field(list, ppo, l, "critic_step", FIELD_INT64, &lasting->steps[ROLE_CRITIC], "steps",
                          "Adam's steps of the critic so far");
    }
}

void ppo_pull(struct ppo *ppo)
{
    ppo->backend->download(ppo->backend, ppo->seen, ppo->learner, (size_t)ppo->learners * sizeof *ppo->seen);
    for (int l = 0; l < ppo->learners; l++)
        ppo->at[l].lasting = (struct ppo_lasting){(double)ppo->seen[l].policy.kl, {ppo->seen[l].actor.steps, ppo->seen[l].critic.steps}};
}

void ppo_push(struct ppo *ppo)
{
    ppo->backend->download(ppo->backend, ppo->seen, ppo->learner, (size_t)ppo->learners * sizeof *ppo->seen);
    for (int l = 0; l < ppo->learners; l++) {
        ppo->seen[l].policy.kl = (real)ppo->at[l].lasting.penalty;
        ppo->seen[l].actor.steps = ppo->at[l].lasting.steps[ROLE_ACTOR];
        ppo->seen[l].critic.steps = ppo->at[l].lasting.steps[ROLE_CRITIC];
    }
    ppo->backend->upload(ppo->backend, ppo->learner, ppo->seen, (size_t)ppo->learners * sizeof *ppo->seen);
}
