/* Losses and gradients of the update in every arrangement of groups, parameters, critics, shards and minibatches, against the naive
 * objective and its central finite differences. The golden files cover one arrangement only. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "base/philox.h"
#include "parity/naive_ppo.h"

enum { STEPS = 5, ENVS = 6, GROUPS = 2 };

/* ---- a problem of two groups that has every kind of space ---------------------------------------------------------------------------- */

static const int32_t discrete_n[] = {4}, discrete_start[] = {2}, multi_n[] = {2, 3};

static struct mappo_env_spec two_groups(void)
{
    struct mappo_env_spec spec = {.groups = GROUPS, .state_size = 7};
    spec.group[0] = (struct mappo_group){.name = "hunter",
                                         .agents = 3,
                                         .flags = MAPPO_HAS_MASK | MAPPO_HAS_ACTIVE | MAPPO_STATE_PER_AGENT,
                                         .state_size = 4,
                                         .obs_heads = 1,
                                         .act_heads = 3};
    spec.group[0].obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = 5};
    spec.group[0].act[0] = (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = discrete_n, .start = discrete_start};
    spec.group[0].act[1] = (struct mappo_space){.kind = MAPPO_BOX, .size = 2};
    spec.group[0].act[2] = (struct mappo_space){.kind = MAPPO_MULTI_DISCRETE, .size = 2, .n = multi_n};
    spec.group[1] =
        (struct mappo_group){.name = "prey", .agents = 2, .flags = MAPPO_STATE_PER_AGENT, .state_size = 3, .obs_heads = 1, .act_heads = 1};
    spec.group[1].obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = 3};
    spec.group[1].act[0] = (struct mappo_space){.kind = MAPPO_MULTI_BINARY, .size = 3};
    return spec;
}

/* ---- fixture ------------------------------------------------------------------------------------------------------------------------- */

enum { APART, ACTOR_ALONE, CRITIC_ALONE, BOTH };
struct arrangement {
    const char *name;
    int shared; /* what of all agents is one */
    int critic_input;
    bool concatenate, value_per_agent;
    int shards, minibatches;
    bool rows;
};

struct fixture {
    struct arrangement how;
    bool popart; /* else ValueNorm */
    struct mappo_env_spec spec;
    struct policy policy[GROUPS], *policies[GROUPS];
    struct rollout *rollout;
    struct backend *backend;
    struct comm *comm;
    struct ppo_config config;
    struct ppo_hooks hooks;
    struct ppo *ppo;
    struct naive naive;
    struct philox rng;
    int32_t order[STEPS * ENVS * 4];
    int seen;
    double advantage[GROUPS][STEPS * ENVS * 4]; /* normalised, as they must be after an update */
    double *values; /* what the critics think before the update, in reward units: every group's [T+1][E][V], one after the other */
    double worst_loss, worst_gradient;
    double critic_gradient[4096]; /* of the first minibatch, group 0 set 0, divided */
    double first_value_loss;
};

static double uniform(struct fixture *f, double low, double high)
{
    return low + (high - low) * philox_double(philox_next(&f->rng), philox_next(&f->rng));
}

static void fill_floats(struct fixture *f, float *x, size_t n)
{
    for (size_t i = 0; x && i < n; i++) x[i] = (float)uniform(f, -1, 1);
}

static void fill_actions(struct fixture *f, int g, size_t row)
{
    struct mappo_group_io *io = &f->rollout->transitions->all.group[g];
    int32_t *ints = (int32_t *)(uintptr_t)io->act_int;
    float *reals = (float *)(uintptr_t)io->act_real;
    const struct group_sizes *sizes = &f->policy[g].sizes;
    const struct distribution *dist = &f->policy[g].dist;
    for (int h = 0; h < dist->heads; h++) {
        const struct head *head = &dist->head[h];
        uint8_t *mask = io->act_mask && head->mask >= 0 ? io->act_mask + row * (size_t)sizes->logits + head->mask : NULL;
        for (int k = 0; mask && k < head->size; k++) mask[k] = philox_below(&f->rng, 4) > 0;
        int32_t *act = ints + row * (size_t)sizes->act_ints + head->action;
        if (head->kind == HEAD_CATEGORICAL) {
            const int choice = philox_below(&f->rng, head->size);
            if (mask) mask[choice] = 1;
            act[0] = head->start + choice;
        }
        for (int k = 0; k < head->size; k++) {
            if (head->kind == HEAD_BERNOULLI) act[k] = philox_below(&f->rng, 2);
            if (head->kind == HEAD_GAUSSIAN) reals[row * (size_t)sizes->act_reals + (size_t)(head->action + k)] = (float)uniform(f, -2, 2);
        }
    }
}

static void fill_rollout(struct fixture *f)
{
    const struct rollout *r = f->rollout;
    struct mappo_env_io *all = &r->transitions->all;
    for (int u = 0; u < STEPS * ENVS; u++) {
        const int die = philox_below(&f->rng, 6);
        all->ep_end[u] = die == 0 ? MAPPO_TERMINATED : die == 1 ? MAPPO_TRUNCATED : MAPPO_RUNNING;
    }
    fill_floats(f, all->state, (STEPS + 1) * ENVS * (size_t)f->spec.state_size);
    for (int g = 0; g < GROUPS; g++) {
        struct mappo_group_io *io = &all->group[g];
        const struct policy *policy = &f->policy[g];
        const size_t rows = STEPS * ENVS * (size_t)policy->sizes.agents;
        fill_floats(f, io->obs, (rows + ENVS * (size_t)policy->sizes.agents) * (size_t)policy->sizes.obs);
        fill_floats(f, r->inputs.group[g].current, (STEPS + 1) * ENVS * (size_t)policy->state_rows * (size_t)policy->state_size);
        fill_floats(f, io->reward, rows);
        for (size_t i = 0; i < rows; i++) {
            io->terminated[i] = all->ep_end[i / (size_t)policy->sizes.agents] == MAPPO_TERMINATED || philox_below(&f->rng, 8) == 0;
            if (io->active) io->active[i] = philox_below(&f->rng, 4) > 0;
            fill_actions(f, g, i);
        }
    }
    /* Last, since how many there are depends on the arrangement, and the rest should not. */
    for (int g = 0; g < GROUPS; g++)
        for (int i = 0; i < STEPS * ENVS * f->policy[g].value_agents; i++) r->returns->group[g].final_value[i] = (real)uniform(f, -1, 1);
}

static void fill_normalisers(struct fixture *f)
{
    for (int g = 0; g < GROUPS; g++) {
        struct policy *policy = &f->policy[g];
        for (int s = 0; s < policy->sets[ROLE_CRITIC]; s++)
            policy->host.norm[s] = (struct normalizer){.mean = 0.3 + 0.1 * s, .mean_squares = 2.5, .debias = 0.9};
        policy_push(policy);
        for (int s = 0; s < policy->sets[ROLE_CRITIC]; s++) f->naive.stored[g][s] = policy->norm[s].scale;
    }
}

/* Old log-probabilities and values near the present ones, so that ratios and value steps fall on both sides of the clips. */
static void fill_old(struct fixture *f)
{
    for (int g = 0; g < GROUPS; g++) {
        struct returns_group *returns = &f->rollout->returns->group[g];
        const struct policy *policy = &f->policy[g];
        for (int u = 0; u < STEPS * ENVS; u++)
            for (int a = 0; a < policy->sizes.agents; a++) {
                f->rollout->log_prob[g][u * policy->sizes.agents + a] = 0;
                const double log_prob = log(naive_policy_row(&f->naive, g, u, a).ratio);
                f->rollout->log_prob[g][u * policy->sizes.agents + a] = (real)(log_prob + uniform(f, -0.5, 0.5));
            }
        for (int i = 0; i < (STEPS + 1) * ENVS * policy->value_agents; i++) returns->value[i] += (real)uniform(f, -0.6, 0.6);
    }
}

/* ---- what every minibatch is compared with ------------------------------------------------------------------------------------------- */

static const int32_t *permute(void *user, int group, int shard, int epoch)
{
    struct fixture *f = user;
    const struct policy *policy = &f->policy[group];
    const int envs = f->rollout->transitions->first[shard + 1] - f->rollout->transitions->first[shard];
    const int items = STEPS * envs * (f->how.rows && !policy_apart(policy, ROLE_ACTOR) ? policy->sizes.agents : 1);
    for (int i = 0; i < items; i++) f->order[i] = (i * 7 + 3 * epoch + 1) % items; /* 7 divides none of the counts here */
    return f->order;
}

/* Which rows the minibatch should have, by the documented rule: sizes differ by at most one, larger ones first. */
static struct naive_batch expected_batch(struct fixture *f, const struct ppo_minibatch *m)
{
    const struct policy *policy = &f->policy[m->group];
    const int agents = policy->sizes.agents;
    const int role = m->set[ROLE_ACTOR] < 0 ? ROLE_CRITIC : ROLE_ACTOR, set = m->set[role];
    const bool apart = policy_apart(policy, role);
    struct naive_batch b = {.group = m->group};
    b.unit = calloc(STEPS * ENVS * (size_t)agents, sizeof *b.unit);
    b.agent = calloc(STEPS * ENVS * (size_t)agents, sizeof *b.agent);
    for (int shard = 0; shard < f->how.shards; shard++) {
        const int lo = f->rollout->transitions->first[shard], envs = f->rollout->transitions->first[shard + 1] - lo;
        const bool rows = f->how.rows && !apart;
        const int items = STEPS * envs * (rows ? agents : 1), parts = f->how.minibatches;
        const int32_t *order = permute(f, m->group, shard, m->epoch);
        int start = 0;
        for (int k = 0; k < m->minibatch; k++) start += items / parts + (k < items % parts);
        for (int i = start; i < start + items / parts + (m->minibatch < items % parts); i++) {
            const int item = parts > 1 ? order[i] : i, step = rows ? item / agents : item;
            for (int a = 0; a < agents; a++) {
                if ((apart && a != set) || (rows && a != item % agents)) continue;
                b.unit[b.rows] = step / envs * ENVS + lo + step % envs;
                b.agent[b.rows++] = a;
            }
        }
    }
    return b;
}

static void note(double *worst, double found, double expected)
{
    *worst = fmax(*worst, fabs(found - expected) / (1e-3 + fabs(expected)));
}

static void differentiate(struct fixture *f, const struct ppo_minibatch *m, const struct naive_batch *b, bool critic)
{
    struct policy *policy = &f->policy[m->group];
    const int role = critic ? ROLE_CRITIC : ROLE_ACTOR;
    real *parameters = policy_network_at(policy, policy->parameters, role, m->set[role]);
    const size_t count = policy_network(policy, role)->parameters;
    const real *gradient = critic ? m->critic_gradient : m->actor_gradient;
    const double divisor = critic ? m->critic_divisor : m->actor_divisor, h = 1e-6;
    for (size_t i = 0; i < count; i++) {
        const real kept = parameters[i];
        double objective[2];
        for (int side = 0; side < 2; side++) {
            parameters[i] = kept + (real)(side ? h : -h);
            const struct naive_loss loss = naive_loss(&f->naive, b, m->metrics.value_mean, m->metrics.value_deviation, !critic, critic);
            objective[side] =
                critic ? (double)f->config.value.coefficient * loss.value : loss.policy - (double)f->config.policy.entropy * loss.entropy;
        }
        parameters[i] = kept;
        note(&f->worst_gradient, (double)gradient[i] / divisor, (objective[1] - objective[0]) / (2 * h));
    }
}

static void stepped(void *user, const struct ppo_minibatch *m)
{
    struct fixture *f = user;
    struct naive_batch b = expected_batch(f, m);
    const bool actor = m->set[ROLE_ACTOR] >= 0, critic = m->set[ROLE_CRITIC] >= 0;
    const struct naive_loss loss = naive_loss(&f->naive, &b, m->metrics.value_mean, m->metrics.value_deviation, actor, critic);
    assert_true((m->actor_gradient != NULL) == actor && (m->critic_gradient != NULL) == critic);
    note(&f->worst_loss, m->metrics.policy_loss, loss.policy);
    note(&f->worst_loss, m->metrics.entropy, loss.entropy);
    note(&f->worst_loss, m->metrics.approx_kl, loss.kl);
    note(&f->worst_loss, m->metrics.clip_fraction, loss.clipped);
    note(&f->worst_loss, m->metrics.ratio, loss.ratio);
    note(&f->worst_loss, m->metrics.value_loss, loss.value);
    note(&f->worst_loss, m->actor_divisor, loss.policy_weight);
    note(&f->worst_loss, m->critic_divisor, loss.value_weight);
    if (m->epoch == 0 && m->minibatch == 0) {
        if (actor) differentiate(f, m, &b, false);
        if (critic) differentiate(f, m, &b, true);
        if (m->group == 0 && m->set[ROLE_CRITIC] == 0) {
            for (size_t i = 0; i < f->policy[0].net[ROLE_CRITIC].parameters; i++)
                f->critic_gradient[i] = (double)m->critic_gradient[i] / m->critic_divisor;
            f->first_value_loss = m->metrics.value_loss;
        }
    }
    free(b.unit);
    free(b.agent);
    f->seen++;
}

/* ---- running one arrangement --------------------------------------------------------------------------------------------------------- */

/* std: STD_SHARED, … */
static void open_fixture(struct fixture *f, const struct arrangement *how, bool popart, int std)
{
    struct error err = {0};
    *f = (struct fixture){.how = *how, .popart = popart, .spec = two_groups()};
    philox_start(&f->rng, 5, PHILOX_INITIALISATION, 99);
    const struct backend_config backend = {.name = "cpu", .threads = 1, .level = -1};
    int argc = 0;
    char **argv = NULL;
    assert_int_equal(backend_open(&f->backend, &backend, &err), 0);
    assert_int_equal(comm_open(&f->comm, &argc, &argv, &err), 0);
    for (int g = 0; g < GROUPS; g++) {
        const struct policy_config config = {
            .hidden = 5,
            .layers = 2,
            .activation = ACTIVATION_TANH,
            .feature_norm = true,
            .layer_norm = true,
            .head_gain = 1,
            .log_std = (real)-0.2,
            .deviation = {.kind = std},
            .share = {[ROLE_ACTOR] = how->shared & ACTOR_ALONE, [ROLE_CRITIC] = how->shared & CRITIC_ALONE},
            .critic_input = how->critic_input,
            .concatenate = how->concatenate,
            .value_per_agent = how->value_per_agent,
            .normalizer = popart ? NORMALIZER_POPART : NORMALIZER_VALUENORM,
            .seed = 11,
            .index = (uint32_t)g};
        assert_int_equal(policy_build(&f->policy[g], &config, &f->spec, g, f->backend, &err), 0);
        f->policies[g] = &f->policy[g];
    }
    const struct rollout_config rollout = {.transitions = {.steps = STEPS, .envs = ENVS, .shards = how->shards},
                                           .returns = {.gamma = (real)0.97, .lambda = (real)0.9, .bootstrap = true}};
    assert_int_equal(rollout_create(&f->rollout, &rollout, &f->spec, f->policies, f->backend, &err), 0);
    const struct adam adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-5};
    f->hooks = (struct ppo_hooks){f, permute, stepped, NULL};
    f->config = (struct ppo_config){.now = {.clip = 1, .entropy = 1},
                                    .policy = {.clip = (real)0.2, .entropy = (real)0.05},
                                    .value = {.clip = (real)0.3, .huber_delta = (real)0.8, .coefficient = (real)0.7},
                                    .max_grad_norm = 1,
                                    .epochs = 2,
                                    .minibatches = how->minibatches,
                                    .row_minibatches = how->rows,
                                    .policy_active_masks = true,
                                    .value_active_masks = true,
                                    .value_norm_beta = 0.9,
                                    .adam = adam,
                                    .hooks = &f->hooks};
    assert_int_equal(ppo_create(&f->ppo, &f->config, f->rollout, f->policies, f->comm, f->backend, &err), 0);
    f->naive = (struct naive){.backend = f->backend, .config = &f->config, .rollout = f->rollout, .policy = f->policies, .popart = popart};
    naive_open(&f->naive);
}

static void close_fixture(struct fixture *f)
{
    naive_close(&f->naive);
    ppo_destroy(f->ppo);
    rollout_destroy(f->rollout);
    for (int g = 0; g < GROUPS; g++) policy_clear(&f->policy[g]);
    comm_close(f->comm);
    f->backend->close(f->backend);
}

static void check_advantages(struct fixture *f)
{
    returns_advantages(f->rollout->returns);
    double *ret = calloc(STEPS * ENVS * 4, sizeof *ret);
    for (int g = 0; g < GROUPS; g++) {
        for (int s = 0; s < f->policy[g].sets[ROLE_ACTOR]; s++) naive_advantages(&f->naive, g, s, f->advantage[g], ret);
        for (int i = 0; i < STEPS * ENVS * f->policy[g].sizes.agents; i++)
            note(&f->worst_loss, (double)f->rollout->returns->group[g].ret[i], ret[i]);
    }
    free(ret);
}

/* Learning rates are 0: all that moves in an update are the normalisers, and with PopArt the heads that follow them. */
static void check_values(struct fixture *f, bool before)
{
    double *value = f->values, worst = 0, moved = 0;
    returns_values(f->rollout->returns);
    for (int g = 0; g < GROUPS; g++) {
        const struct policy *policy = &f->policy[g];
        for (int i = 0; i < (STEPS + 1) * ENVS * policy->value_agents; i++, value++) {
            const int set = policy_set(policy, ROLE_CRITIC, i % policy->value_agents);
            const struct normalizer_scale *scale = &policy->norm[set].scale;
            const double now = scale->mean + scale->deviation * (double)f->rollout->returns->group[g].value[i];
            worst = fmax(worst, fabs(now - *value));
            moved = fmax(moved, fabs(scale->mean - f->naive.stored[g][set].mean));
            if (before) *value = now;
        }
    }
    if (before) return;
    assert_true(moved > 1e-2);
    if (f->popart ? worst > 1e-12 : worst < 1e-3) print_message("%s: V moved by %.3g\n", f->how.name, worst);
    assert_true(f->popart ? worst <= 1e-12 : worst >= 1e-3);
}

static void run(struct fixture *f, const struct arrangement *how, bool popart, int std)
{
    struct error err = {0};
    struct ppo_metrics metrics[GROUPS];
    open_fixture(f, how, popart, std);
    fill_rollout(f);
    f->values = calloc(GROUPS * (STEPS + 1) * ENVS * 4, sizeof *f->values);
    fill_normalisers(f);
    check_values(f, true); /* V under the present critics: compared through the value loss, whose clip is centred on it plus noise */
    fill_old(f);
    check_advantages(f);
    ppo_update(f->ppo, 0);
    assert_int_equal(ppo_outcome(f->ppo, metrics, &err), 0);
    for (int g = 0; g < GROUPS; g++)
        for (int i = 0; i < STEPS * ENVS * f->policy[g].sizes.agents; i++)
            note(&f->worst_loss, (double)f->rollout->returns->group[g].advantage[i], f->advantage[g][i]);
    int learners = 0;
    for (int g = 0; g < GROUPS; g++)
        learners += how->shared == BOTH ? 1 : how->shared == APART ? f->policy[g].sizes.agents : 1 + f->policy[g].sizes.agents;
    assert_int_equal(f->seen, 2 * how->minibatches * learners);
    if (f->worst_loss > 1e-9 || f->worst_gradient > 1e-5)
        print_message("%s%s: losses differ by %.3g (1e-9 allowed), gradients by %.3g (1e-5)\n", how->name, popart ? ", PopArt" : "",
                      f->worst_loss, f->worst_gradient);
    assert_true(f->worst_loss <= 1e-9);
    assert_true(f->worst_gradient <= 1e-5); /* truncation and rounding of central differences at h = 1e-6 */
    check_values(f, false);
    free(f->values);
}

static void every_arrangement_matches_naive_objective_and_its_finite_differences(void **state)
{
    (void)state;
    static const struct arrangement arrangements[] = {
        {"central critic, one value a step", BOTH, CRITIC_STATE, false, false, 1, 1, false},
        {"the same over all observations", BOTH, CRITIC_STATE, true, false, 1, 1, false},
        {"a value for every agent of the same state", BOTH, CRITIC_STATE, false, true, 1, 1, false},
        {"agent's number in the state", BOTH, CRITIC_STATE_ID, false, false, 1, 1, false},
        {"state per agent", BOTH, CRITIC_AGENT_STATE, false, false, 1, 1, false},
        {"own observations", BOTH, CRITIC_OBS, false, false, 1, 1, false},
        {"separate parameters, central critic", APART, CRITIC_STATE, false, false, 1, 1, false},
        {"separate parameters, own observations, two shards", APART, CRITIC_OBS, false, false, 2, 1, false},
        {"separate parameters, three minibatches", APART, CRITIC_AGENT_STATE, false, false, 1, 3, false},
        {"four uneven minibatches of steps", BOTH, CRITIC_STATE, false, false, 1, 4, false},
        {"four uneven minibatches of rows", BOTH, CRITIC_STATE, false, true, 1, 4, true},
        {"minibatches of rows, own observations, two shards", BOTH, CRITIC_OBS, false, true, 2, 2, true},
        {"three shards", BOTH, CRITIC_STATE, false, false, 3, 1, false},
        {"two shards, three minibatches", BOTH, CRITIC_STATE, true, false, 2, 3, false},
        {"one actor, a critic of each agent", ACTOR_ALONE, CRITIC_STATE, false, false, 1, 1, false},
        {"one actor, a critic of each agent, two shards, three minibatches", ACTOR_ALONE, CRITIC_AGENT_STATE, false, false, 2, 3, false},
        {"an actor of each agent, one critic", CRITIC_ALONE, CRITIC_STATE, false, false, 1, 1, false},
        {"an actor of each agent, one critic, two shards, three minibatches", CRITIC_ALONE, CRITIC_OBS, false, false, 2, 3, false},
    };
    for (size_t i = 0; i < 2 * sizeof arrangements / sizeof *arrangements; i++) {
        struct fixture *f = calloc(1, sizeof *f);
        run(f, &arrangements[i / 2], i % 2, STD_SHARED);
        close_fixture(f);
        free(f);
    }
}

static void deviations_by_state_match_naive_objective_and_its_finite_differences(void **state)
{
    (void)state;
    static const struct arrangement arrangements[] = {
        {"central critic", BOTH, CRITIC_STATE, false, false, 1, 1, false},
        {"separate parameters, two shards, three minibatches", APART, CRITIC_OBS, false, false, 2, 3, false},
    };
    for (size_t i = 0; i < sizeof arrangements / sizeof *arrangements; i++) {
        struct fixture *f = calloc(1, sizeof *f);
        run(f, &arrangements[i], false, STD_STATE);
        close_fixture(f);
        free(f);
    }
}

/* Two runs of the same problem; the critic's first gradient and loss must agree to rounding. */
static void compare_critics(const struct arrangement *a, const struct arrangement *b)
{
    struct fixture *f = calloc(2, sizeof *f);
    double off = 0;
    for (int k = 0; k < 2; k++) {
        struct error err = {0};
        struct ppo_metrics metrics[GROUPS];
        open_fixture(&f[k], k ? b : a, false, STD_SHARED);
        fill_rollout(&f[k]);
        returns_values(f[k].rollout->returns);
        /* Old values must be the same for all agents of a step, as they are where one value serves them. */
        for (int g = 0; g < GROUPS; g++)
            for (int i = 0; i < STEPS * ENVS * f[k].policy[g].value_agents; i++)
                f[k].rollout->returns->group[g].value[i] += (real)(0.4 * sin(i / f[k].policy[g].value_agents));
        for (int g = 0; g < GROUPS; g++)
            for (int i = 0; i < STEPS * ENVS * f[k].policy[g].value_agents; i++)
                f[k].rollout->returns->group[g].final_value[i] = (real)cos(i / f[k].policy[g].value_agents);
        returns_advantages(f[k].rollout->returns);
        ppo_update(f[k].ppo, 0);
        assert_int_equal(ppo_outcome(f[k].ppo, metrics, &err), 0);
    }
    for (size_t i = 0; i < f[0].policy[0].net[ROLE_CRITIC].parameters; i++)
        off = fmax(off, fabs(f[0].critic_gradient[i] - f[1].critic_gradient[i]));
    off = fmax(off, fabs(f[0].first_value_loss - f[1].first_value_loss));
    assert_true(f[0].first_value_loss > 0);
    if (off > 1e-12) print_message("%s against %s: off by %.3g\n", a->name, b->name, off);
    assert_true(off <= 1e-12);
    close_fixture(&f[0]);
    close_fixture(&f[1]);
    free(f);
}

static void one_value_for_all_agents_equals_a_value_for_each(void **state)
{
    (void)state;
    compare_critics(&(struct arrangement){"one value", BOTH, CRITIC_STATE, false, false, 1, 1, false},
                    &(struct arrangement){"a value each", BOTH, CRITIC_STATE, false, true, 1, 1, false});
}

static void gradients_of_shards_add_up_to_those_of_one(void **state)
{
    (void)state;
    compare_critics(&(struct arrangement){"one shard", BOTH, CRITIC_STATE, false, false, 1, 1, false},
                    &(struct arrangement){"two shards", BOTH, CRITIC_STATE, false, false, 2, 1, false});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_arrangement_matches_naive_objective_and_its_finite_differences),
        cmocka_unit_test(deviations_by_state_match_naive_objective_and_its_finite_differences),
        cmocka_unit_test(one_value_for_all_agents_equals_a_value_for_each),
        cmocka_unit_test(gradients_of_shards_add_up_to_those_of_one),
    };
    return cmocka_run_group_tests_name("ppo_double", tests, NULL, NULL);
}
