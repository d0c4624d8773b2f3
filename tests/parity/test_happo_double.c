/* Whole updates of HAPPO against the same written down a second time in plain loops: order of the agents, their advantages' normalisation, M,
 * losses and gradients of every epoch, clipping, Adam. Two groups in one team, one of another; no reference implementation has numbers for
 * such. With recurrent actors the gradients are differences of the loss, whose chunks are walked through step by step. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "algo/happo.h"
#include "base/philox.h"
#include "naive_backend.h"

enum { STEPS = 4, ENVS = 6, UNITS = STEPS * ENVS, GROUPS = 3, AGENTS = 3, ACTORS = 7, OBS = 3, HIDDEN = 4, EPOCHS = 3, UPDATE = 5 };
enum { CHUNK = 3, OUTPUTS = 8 }; /* recurrent: chunks of three steps and of one */

static const double clip = 0.2, entropy_weight = 0.03, rate = 0.01, max_norm = 0.4, beta1 = 0.9, beta2 = 0.999, adam_eps = 1e-5;
static const int32_t four[] = {4}, two_three[] = {2, 3}, three[] = {3};

static struct mappo_env_spec two_teams(void)
{
    struct mappo_env_spec spec = {.groups = GROUPS};
    spec.group[0] = (struct mappo_group){.name = "a", .agents = 3, .flags = MAPPO_HAS_ACTIVE, .obs_heads = 1, .act_heads = 1};
    spec.group[0].act[0] = (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = four};
    spec.group[1] = (struct mappo_group){.name = "b", .agents = 2, .obs_heads = 1, .act_heads = 1};
    spec.group[1].act[0] = (struct mappo_space){.kind = MAPPO_MULTI_DISCRETE, .size = 2, .n = two_three};
    spec.group[2] = (struct mappo_group){.name = "c", .agents = 2, .team = 1, .obs_heads = 1, .act_heads = 1};
    spec.group[2].act[0] = (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = three};
    for (int g = 0; g < GROUPS; g++) spec.group[g].obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = OBS};
    return spec;
}

struct how {
    bool fixed, per_head, raw, gru;
    int shards;
};

struct fixture {
    struct how how;
    struct mappo_env_spec spec;
    struct policy policy[GROUPS], *policies[GROUPS];
    struct rollout *rollout;
    struct backend *backend;
    struct backend_memory memory;
    struct comm *comm;
    struct ppo *ppo;
    struct happo *happo;
    struct philox rng;
    double *actor[GROUPS][AGENTS]; /* parameters, as the reference has them */
};

static double uniform(struct fixture *f, double low, double high)
{
    return low + (high - low) * philox_double(philox_next(&f->rng), philox_next(&f->rng));
}

/* ---- the reference ------------------------------------------------------------------------------------------------------------------- */

struct row { /* of one agent, under its present policy */
    double h[HIDDEN], p[OUTPUTS];
    double log_prob[2], entropy[2]; /* of each head */
};

/* Logits of env-step u; h: the hidden layer, or the state before the step, and after it. */
static void logits(const struct fixture *f, int g, int a, int u, double *h, double *z)
{
    const struct policy *policy = &f->policy[g];
    const struct network *net = &policy->net[ROLE_ACTOR];
    const double *w = f->actor[g][a];
    const float *x = f->rollout->transitions->all.group[g].obs + (size_t)(u * policy->sizes.agents + a) * OBS;
    if (f->how.gru) {
        naive_step(net, w, x, h, z);
        return;
    }
    for (int i = 0; i < HIDDEN; i++) {
        double sum = w[net->at.bias[0] + i];
        for (int d = 0; d < OBS; d++) sum += w[net->at.weight[0] + i * OBS + d] * (double)x[d];
        h[i] = tanh(sum);
    }
    for (int o = 0; o < net->outputs; o++) {
        z[o] = w[net->at.head_bias + o];
        for (int i = 0; i < HIDDEN; i++) z[o] += w[net->at.head_weight + o * HIDDEN + i] * h[i];
    }
}

static void judge(const struct fixture *f, int g, int a, int u, const double *z, struct row *row)
{
    const struct policy *policy = &f->policy[g];
    const int32_t *act =
        f->rollout->transitions->all.group[g].act_int + (size_t)(u * policy->sizes.agents + a) * (size_t)policy->sizes.act_ints;
    for (int k = 0; k < policy->dist.heads; k++) {
        const struct head *head = &policy->dist.head[k];
        double total = 0;
        row->entropy[k] = 0;
        for (int o = head->output; o < head->output + head->size; o++) total += exp(z[o]);
        for (int o = head->output; o < head->output + head->size; o++) {
            row->p[o] = exp(z[o]) / total;
            row->entropy[k] -= row->p[o] * log(row->p[o]);
        }
        row->log_prob[k] = log(row->p[head->output + act[head->action]]);
    }
}

/* All rows of an agent. Each chunk begins with the state that the rollout had there; an episode's end forgets. */
static void look(const struct fixture *f, int g, int a, struct row *row /* [UNITS] */)
{
    const struct states *states = &f->rollout->states;
    const size_t agents = (size_t)f->policy[g].sizes.agents;
    for (int e = 0; e < ENVS; e++) {
        double h[HIDDEN] = {0}, z[OUTPUTS];
        for (int t = 0; t < STEPS; t++) {
            const int u = t * ENVS + e;
            if (f->how.gru && t % CHUNK == 0) {
                const real *stored = states_at(states, g, ROLE_ACTOR, t) + ((size_t)e * agents + (size_t)a) * HIDDEN;
                for (int i = 0; i < HIDDEN; i++) h[i] = (double)stored[i];
            }
            if (f->how.gru && states->ended[u]) memset(h, 0, sizeof h);
            logits(f, g, a, u, h, z);
            judge(f, g, a, u, z, &row[u]);
            memcpy(row[u].h, h, sizeof h);
        }
    }
}

/* The log-probability of head k when it acted, or of all of them where k < 0. */
static double old_log_prob(const struct fixture *f, int g, int a, int u, int k)
{
    const int heads = log_prob_width(&f->policy[g].dist, f->how.per_head), row = u * f->policy[g].sizes.agents + a;
    double sum = 0;
    if (k >= 0) return (double)f->rollout->log_prob[g][row * heads + k];
    for (int i = 0; i < heads; i++) sum += (double)f->rollout->log_prob[g][row * heads + i];
    return sum;
}

/* min(r A, clip(r) A) and its derivative by log r. */
static double slope_of(double log_ratio, double advantage)
{
    const double r = exp(log_ratio), limited = r < 1 - clip ? 1 - clip : r > 1 + clip ? 1 + clip : r;
    return r * advantage <= limited * advantage ? r * advantage : 0;
}

/* Sum over the rows of what has the derivative of what is minimised: slopes by the joint log-probability, which stand still, times that, less
 * entropies. No clipping bends it. */
static double straight_loss(const struct fixture *f, int g, int a, const double *slope)
{
    struct row all[UNITS];
    double loss = 0;
    look(f, g, a, all);
    for (int u = 0; u < UNITS; u++)
        for (int k = 0; k < f->policy[g].dist.heads && !isnan(slope[u]); k++)
            loss += slope[u] * all[u].log_prob[k] - entropy_weight * all[u].entropy[k];
    return loss;
}

/* By differences of fourth order, whose error is 1e-12 or so, of truncation and rounding alike. One ratio a row. */
static double differences_of(const struct fixture *f, int g, int a, const double *advantage, double *gradient)
{
    const double h = 1e-3;
    const uint8_t *active = f->rollout->transitions->all.group[g].active;
    double weight = 0, slope[UNITS]; /* NAN: a row that doesn't count */
    struct row all[UNITS];
    look(f, g, a, all);
    for (int u = 0; u < UNITS; u++) {
        double joint = -old_log_prob(f, g, a, u, -1);
        for (int k = 0; k < f->policy[g].dist.heads; k++) joint += all[u].log_prob[k];
        slope[u] = active && !active[u * f->policy[g].sizes.agents + a] ? (double)NAN : -slope_of(joint, advantage[u]);
        weight += !isnan(slope[u]);
    }
    for (size_t i = 0; i < f->policy[g].net[ROLE_ACTOR].parameters; i++) {
        double *w = &f->actor[g][a][i], loss[5];
        const double kept = *w;
        for (int k = -2; k <= 2; k++) {
            *w = kept + k * h;
            loss[k + 2] = straight_loss(f, g, a, slope);
        }
        *w = kept;
        gradient[i] = (loss[0] - 8 * loss[1] + 8 * loss[3] - loss[4]) / (12 * h);
    }
    return weight;
}

/* Of what is minimised, summed over the rows; returns Σ m. */
static double gradient_of(const struct fixture *f, int g, int a, const double *advantage, double *gradient)
{
    const struct policy *policy = &f->policy[g];
    const struct network *net = &policy->net[ROLE_ACTOR];
    const struct mappo_group_io *io = &f->rollout->transitions->all.group[g];
    struct row all[UNITS];
    double weight = 0;
    if (f->how.gru) return differences_of(f, g, a, advantage, gradient);
    memset(gradient, 0, net->parameters * sizeof *gradient);
    look(f, g, a, all);
    for (int u = 0; u < UNITS; u++) {
        const size_t at = (size_t)(u * policy->sizes.agents + a);
        const int32_t *act = io->act_int + at * (size_t)policy->sizes.act_ints;
        const int heads = policy->dist.heads;
        const struct row row = all[u];
        double dz[OUTPUTS], joint = -old_log_prob(f, g, a, u, -1);
        if (io->active && !io->active[at]) continue;
        weight++;
        for (int k = 0; k < heads; k++) joint += row.log_prob[k];
        for (int k = 0; k < heads; k++) {
            const struct head *head = &policy->dist.head[k];
            const double log_ratio = f->how.per_head ? row.log_prob[k] - old_log_prob(f, g, a, u, k) : joint;
            const double slope = -slope_of(log_ratio, advantage[u]), bonus = entropy_weight / (f->how.per_head ? heads : 1);
            for (int o = head->output; o < head->output + head->size; o++)
                dz[o] = slope * ((o == head->output + act[head->action]) - row.p[o]) + bonus * row.p[o] * (log(row.p[o]) + row.entropy[k]);
        }
        for (int i = 0; i < HIDDEN; i++) {
            double dh = 0;
            for (int o = 0; o < net->outputs; o++) {
                dh += dz[o] * f->actor[g][a][net->at.head_weight + o * HIDDEN + i];
                gradient[net->at.head_weight + o * HIDDEN + i] += dz[o] * row.h[i];
            }
            const double dx = dh * (1 - row.h[i] * row.h[i]);
            gradient[net->at.bias[0] + i] += dx;
            for (int d = 0; d < OBS; d++) gradient[net->at.weight[0] + i * OBS + d] += dx * (double)io->obs[at * OBS + (size_t)d];
        }
        for (int o = 0; o < net->outputs; o++) gradient[net->at.head_bias + o] += dz[o];
    }
    return weight;
}

static void learn(struct fixture *f, int g, int a, const double *advantage)
{
    const size_t n = f->policy[g].net[ROLE_ACTOR].parameters;
    double *gradient = calloc(3 * n, sizeof *gradient), *m = gradient + n, *v = m + n;
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        const double weight = gradient_of(f, g, a, advantage, gradient);
        double squares = 0;
        for (size_t i = 0; i < n; i++) squares += gradient[i] * gradient[i] / (weight * weight);
        const double scale = fmin(1, max_norm / (sqrt(squares) + 1e-6)) / weight;
        for (size_t i = 0; i < n; i++) {
            m[i] = beta1 * m[i] + (1 - beta1) * gradient[i] * scale;
            v[i] = beta2 * v[i] + (1 - beta2) * pow(gradient[i] * scale, 2);
            f->actor[g][a][i] -= rate * m[i] / (1 - pow(beta1, epoch)) / (sqrt(v[i] / (1 - pow(beta2, epoch))) + adam_eps);
        }
    }
    free(gradient);
}

static void normalised(const struct fixture *f, int g, int a, const double *raw, double *out)
{
    const int agents = f->policy[g].sizes.agents;
    const uint8_t *active = f->rollout->transitions->all.group[g].active;
    double count = 0, mean = 0, squares = 0;
    for (int u = 0; u < UNITS; u++) {
        out[u] = raw[u * agents + a];
        if (active && !active[u * agents + a]) continue;
        count++;
        mean += out[u];
        squares += out[u] * out[u];
    }
    mean /= count;
    const double deviation = sqrt(squares / count - mean * mean);
    for (int u = 0; u < UNITS && !f->how.raw; u++) out[u] = (out[u] - mean) / (deviation + 1e-5);
}

/* Actors in the order of update UPDATE, as (group, agent). */
static void order_of(const struct fixture *f, int (*turn)[2])
{
    int n = 0;
    for (int g = 0; g < GROUPS; g++)
        for (int a = 0; a < f->policy[g].sizes.agents; a++, n++) turn[n][0] = g, turn[n][1] = a;
    for (int i = n - 1; i > 0 && !f->how.fixed; i--) {
        const int k = (int)((uint64_t)philox_at(11, PHILOX_ORDER, (uint32_t)i, 0, UPDATE).v[0] * (uint64_t)(i + 1) >> 32);
        for (int j = 0; j < 2; j++) {
            const int other = turn[k][j];
            turn[k][j] = turn[i][j];
            turn[i][j] = other;
        }
    }
}

static void update_reference(struct fixture *f, double *const *raw)
{
    int turn[ACTORS][2];
    double factor[2][UNITS], advantage[UNITS];
    for (int u = 0; u < UNITS; u++) factor[0][u] = factor[1][u] = 1;
    order_of(f, turn);
    for (int i = 0; i < ACTORS; i++) {
        const int g = turn[i][0], a = turn[i][1], team = f->spec.group[g].team;
        normalised(f, g, a, raw[g], advantage);
        for (int u = 0; u < UNITS; u++) advantage[u] *= factor[team][u];
        learn(f, g, a, advantage);
        struct row all[UNITS];
        look(f, g, a, all);
        for (int u = 0; u < UNITS; u++) {
            double log_ratio = -old_log_prob(f, g, a, u, -1);
            for (int k = 0; k < f->policy[g].dist.heads; k++) log_ratio += all[u].log_prob[k];
            factor[team][u] *= exp(log_ratio);
        }
    }
}

/* ---- a rollout of arbitrary numbers -------------------------------------------------------------------------------------------------- */

static void fill_group(struct fixture *f, int g)
{
    struct mappo_group_io *io = &f->rollout->transitions->all.group[g];
    struct returns_group *returns = &f->rollout->returns->group[g];
    const struct policy *policy = &f->policy[g];
    const int agents = policy->sizes.agents, heads = log_prob_width(&policy->dist, f->how.per_head);
    for (int i = 0; i < UNITS * agents * OBS; i++) io->obs[i] = (float)uniform(f, -1, 1);
    for (int i = 0; i < UNITS * agents; i++) {
        if (io->active) io->active[i] = philox_below(&f->rng, 4) > 0;
        for (int k = 0; k < policy->dist.heads; k++)
            ((int32_t *)(uintptr_t)io->act_int)[i * policy->sizes.act_ints + k] = philox_below(&f->rng, policy->dist.head[k].size);
        returns->advantage[i] = (real)uniform(f, -2, 1);
        returns->ret[i] = (real)uniform(f, -1, 1);
    }
    for (int a = 0; a < agents; a++) {
        struct row all[UNITS];
        look(f, g, a, all);
        for (int u = 0; u < UNITS; u++)
            for (int k = 0; k < heads; k++) {
                const double *of = all[u].log_prob, now = heads > 1 || policy->dist.heads == 1 ? of[k] : of[0] + of[1];
                f->rollout->log_prob[g][(u * agents + a) * heads + k] = (real)(now + uniform(f, -0.3, 0.3));
            }
    }
}

/* As if they had been collected: states before every step, and where episodes ended. */
static void fill_states(struct fixture *f)
{
    struct states *states = &f->rollout->states;
    if (!f->how.gru) return;
    for (int u = 0; u < UNITS; u++) states->ended[u] = f->rollout->transitions->all.ep_end[u] = MAPPO_RUNNING;
    for (int u = 0; u < UNITS; u++)
        if (philox_below(&f->rng, 4) == 0) states->ended[u] = MAPPO_TERMINATED; /* the step before that one */
    for (int u = ENVS; u < UNITS; u++) f->rollout->transitions->all.ep_end[u - ENVS] = states->ended[u];
    for (int g = 0; g < GROUPS; g++)
        for (int role = 0; role < POLICY_ROLES; role++) {
            const struct states_role *of = &states->group[g][role];
            for (int i = 0; i < (STEPS + 1) * ENVS * of->rows * of->hidden; i++) of->at[i] = (real)uniform(f, -0.9, 0.9);
        }
}

static void open_fixture(struct fixture *f, struct how how)
{
    struct error err = {0};
    int argc = 0;
    char **argv = NULL;
    *f = (struct fixture){.how = how, .spec = two_teams()};
    philox_start(&f->rng, 5, PHILOX_INITIALISATION, 99);
    const struct backend_config backend = {.name = "cpu", .threads = 1, .level = -1};
    if (backend_open(&f->backend, &backend, &err) || comm_open(&f->comm, &argc, &argv, &err)) fail_msg("%s", err.text);
    for (int g = 0; g < GROUPS; g++) {
        const struct policy_config config = {.hidden = HIDDEN,
                                             .layers = 1,
                                             .activation = ACTIVATION_TANH,
                                             .head_gain = 1,
                                             .share = {[ROLE_CRITIC] = true},
                                             .critic_input = CRITIC_OBS,
                                             .normalizer = NORMALIZER_VALUENORM,
                                             .chunk = how.gru ? CHUNK : 0,
                                             .seed = 11,
                                             .index = (uint32_t)g};
        if (policy_build(&f->policy[g], &config, &f->spec, g, f->backend, &err)) fail_msg("%s", err.text);
        f->policies[g] = &f->policy[g];
        for (int a = 0; a < f->policy[g].sizes.agents; a++) {
            const size_t n = f->policy[g].net[ROLE_ACTOR].parameters;
            f->actor[g][a] = calloc(n, sizeof(double));
            for (size_t i = 0; i < n; i++) f->actor[g][a][i] = (double)policy_actor(&f->policy[g], f->policy[g].parameters, a)[i];
        }
    }
    const struct rollout_config rollout = {.transitions = {.steps = STEPS, .envs = ENVS, .shards = how.shards}, .per_head = how.per_head};
    if (rollout_create(&f->rollout, &rollout, &f->spec, f->policies, f->backend, &err)) fail_msg("%s", err.text);
    const struct ppo_config ppo = {.policy = {.clip = (real)clip, .entropy = (real)entropy_weight},
                                   .value = {.clip = (real)clip, .coefficient = 1},
                                   .advantages = how.raw ? ADVANTAGES_RAW : ADVANTAGES_ROLLOUT,
                                   .range = 1,
                                   .epochs = EPOCHS,
                                   .minibatches = 1,
                                   .chunk = CHUNK,
                                   .policy_active_masks = true,
                                   .value_norm_beta = 0.9,
                                   .max_grad_norm = (real)max_norm,
                                   .adam = {.beta1 = beta1, .beta2 = beta2, .eps = adam_eps},
                                   .now = {rate, rate, 1, 1, 1, 1}};
    if (ppo_create(&f->ppo, &ppo, f->rollout, f->policies, f->comm, f->backend, &err)) fail_msg("%s", err.text);
    backend_memory_create(&f->memory, "a test", f->backend);
    happo_create(&f->happo, &(struct happo_config){.fixed = how.fixed, .seed = 11}, f->ppo, f->rollout, &f->spec, f->policies, &f->memory);
    fill_states(f);
    for (int g = 0; g < GROUPS; g++) fill_group(f, g);
    returns_values(f->rollout->returns); /* packs what critics see */
}

static void close_fixture(struct fixture *f)
{
    backend_memory_destroy(&f->memory);
    ppo_destroy(f->ppo);
    rollout_destroy(f->rollout);
    for (int g = 0; g < GROUPS; g++) policy_clear(&f->policy[g]);
    for (int g = 0; g < GROUPS; g++)
        for (int a = 0; a < AGENTS; a++) free(f->actor[g][a]);
    comm_close(f->comm);
    f->backend->close(f->backend);
}

static void update(struct fixture *f, bool in_turn)
{
    struct error err = {0};
    struct ppo_metrics metrics[GROUPS];
    if (in_turn)
        happo_update(f->happo, UPDATE);
    else
        ppo_update(f->ppo, UPDATE);
    if (ppo_outcome(f->ppo, metrics, &err)) fail_msg("%s", err.text);
}

/* ---- promises ------------------------------------------------------------------------------------------------------------------------ */

static void whole_updates_are_those_of_plain_loops(void **state)
{
    (void)state;
    static const struct how hows[] = {{.fixed = true, .shards = 1},
                                      {.shards = 1},
                                      {.shards = 2, .per_head = true},
                                      {.shards = 3, .raw = true},
                                      {.fixed = true, .shards = 1, .gru = true},
                                      {.shards = 2, .gru = true}};
    for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
        struct fixture f;
        open_fixture(&f, hows[i]);
        double *raw[GROUPS];
        for (int g = 0; g < GROUPS; g++) {
            const int rows = UNITS * f.policy[g].sizes.agents;
            raw[g] = calloc((size_t)rows, sizeof(double));
            for (int r = 0; r < rows; r++) raw[g][r] = (double)f.rollout->returns->group[g].advantage[r];
        }
        update_reference(&f, raw);
        update(&f, true);
        for (int g = 0; g < GROUPS; g++) {
            for (int a = 0; a < f.policy[g].sizes.agents; a++)
                for (size_t k = 0; k < f.policy[g].net[ROLE_ACTOR].parameters; k++) {
                    const double found = (double)policy_actor(&f.policy[g], f.policy[g].parameters, a)[k], expected = f.actor[g][a][k];
                    /* Sums of a hundred terms in another order, through three steps; of differences, which Adam divides by 1e-5 at least. */
                    if (!(fabs(found - expected) <= (hows[i].gru ? 1e-7 : 1e-9)))
                        fail_msg("case %zu, group %d, agent %d, parameter %zu: %.15g, expected %.15g", i, g, a, k, found, expected);
                }
            free(raw[g]);
        }
        close_fixture(&f);
    }
}

static void critics_learn_as_they_do_without_turns(void **state)
{
    (void)state;
    struct fixture f[2];
    for (int i = 0; i < 2; i++) {
        open_fixture(&f[i], (struct how){.shards = 1});
        update(&f[i], i);
    }
    for (int g = 0; g < GROUPS; g++) {
        const struct policy *p = &f[0].policy[g], *q = &f[1].policy[g];
        const size_t bytes = p->net[ROLE_CRITIC].parameters * sizeof(real);
        assert_memory_equal(policy_critic(p, p->parameters, 0), policy_critic(q, q->parameters, 0), bytes);
        assert_memory_not_equal(p->parameters, q->parameters, p->size * sizeof(real)); /* unlike actors */
    }
    for (int i = 0; i < 2; i++) close_fixture(&f[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_updates_are_those_of_plain_loops),
        cmocka_unit_test(critics_learn_as_they_do_without_turns),
    };
    return cmocka_run_group_tests_name("happo_double", tests, NULL, NULL);
}
