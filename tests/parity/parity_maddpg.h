/* Golden updates of MADDPG and DDPG: parameters, a batch and noise of an algo_maddpg_*.h5 file, and what this program's own update makes of
 * them, in each form. Compiled with real = float or double. */
#ifndef TESTS_PARITY_MADDPG_H
#define TESTS_PARITY_MADDPG_H

#include "algo/maddpg.h"
#include "parity/parity_case.h"

enum { MADDPG_MOST_AGENTS = 8, MADDPG_MOST_UPDATES = 4 };

struct maddpg_case {
    struct parity_case c; /* file, variant, report, spec */
    bool together;        /* all agents are one group; else each is one of its own */
    int agents, rows, updates;
    double obs[MADDPG_MOST_AGENTS], actions[MADDPG_MOST_AGENTS]; /* of each */
    struct policy policy[MADDPG_MOST_AGENTS], *policies[MADDPG_MOST_AGENTS];
    struct maddpg *maddpg;
    struct replay_batch batch, host; /* the backend's; the host's copy */
    struct backend_memory memory;
    struct field_list targets;
    real *noise[MADDPG_MOST_AGENTS][EMBED_USES]; /* [rows][O] the backend's */
    int stepped;
};

static inline int maddpg_group(const struct maddpg_case *m, int agent)
{
    return m->together ? 0 : agent;
}

static inline int maddpg_place(const struct maddpg_case *m, int agent) /* in its group */
{
    return m->together ? agent : 0;
}

/* Numbers of an agent in update u, [rows][width], of /batch/agent<i>/<name>. */
static inline void maddpg_load(const struct maddpg_case *m, int agent, const char *name, int width, int u, char type, void *to, int stride)
{
    char path[64];
    const size_t size = (size_t)m->rows * (size_t)width;
    text_format(path, sizeof path, "/batch/agent%d/%s", agent, name);
    struct golden_array array = golden_read(m->c.file, path);
    if (array.count < (size_t)(u + 1) * size) {
        fprintf(stderr, "golden data: %s has %zu numbers\n", path, array.count);
        exit(1);
    }
    for (int b = 0; b < m->rows; b++)
        for (int k = 0; k < width; k++) {
            const double x = array.data[(size_t)u * size + (size_t)(b * width + k)];
            const size_t at = (size_t)b * (size_t)stride + (size_t)k;
            if (type == 'f') ((float *)to)[at] = (float)x;
            if (type == 'r') ((real *)to)[at] = (real)x;
            if (type == 'b') ((uint8_t *)to)[at] = x != 0;
            if (type == 'i' && x == 1) ((int32_t *)to)[(size_t)b * (size_t)stride] = k; /* one-hot */
        }
    golden_free(&array);
}

static inline void maddpg_upload(const struct maddpg_case *m, void *to, const void *from, size_t bytes)
{
    if (to) m->c.backend->upload(m->c.backend, to, from, bytes);
}

static inline void maddpg_load_batch(struct maddpg_case *m, int u)
{
    for (int i = 0; i < m->agents; i++) {
        const struct replay_batch_group *b = &m->host.group[maddpg_group(m, i)];
        const struct policy *p = m->policies[maddpg_group(m, i)];
        const int n = p->sizes.agents, at = maddpg_place(m, i), d = p->sizes.obs, c = (int)m->actions[i];
        maddpg_load(m, i, "obs", d, u, 'f', b->obs + at * d, n * d);
        maddpg_load(m, i, "next_obs", d, u, 'f', b->next + at * d, n * d);
        maddpg_load(m, i, "reward", 1, u, 'f', b->reward + at, n);
        maddpg_load(m, i, "done", 1, u, 'b', b->terminated + at, n);
        if (b->act_int) maddpg_load(m, i, "action", c, u, 'i', b->act_int + at, n);
        if (b->act_real) maddpg_load(m, i, "action", c, u, 'f', b->act_real + at * c, n * c);
        if (!b->act_int) continue;
        real *noise = calloc((size_t)(m->rows * c), sizeof *noise);
        for (int use = 0; use < EMBED_USES; use++) {
            maddpg_load(m, i, use == EMBED_OWN ? "gumbel" : "gumbel_target", c, u, 'r', noise, c);
            maddpg_upload(m, m->noise[i][use], noise, (size_t)(m->rows * c) * sizeof *noise);
        }
        free(noise);
    }
    for (int g = 0; g < m->c.spec.groups; g++) {
        const struct replay_batch_group *from = &m->host.group[g], *to = &m->batch.group[g];
        const struct group_sizes *sizes = &m->policies[g]->sizes;
        const size_t n = (size_t)(m->rows * sizes->agents);
        maddpg_upload(m, to->obs, from->obs, n * (size_t)sizes->obs * sizeof(float));
        maddpg_upload(m, to->next, from->next, n * (size_t)sizes->obs * sizeof(float));
        maddpg_upload(m, to->act_int, from->act_int, n * (size_t)sizes->act_ints * sizeof(int32_t));
        maddpg_upload(m, to->act_real, from->act_real, n * (size_t)sizes->act_reals * sizeof(float));
        maddpg_upload(m, to->reward, from->reward, n * sizeof(float));
        maddpg_upload(m, to->terminated, from->terminated, n);
    }
}

static inline const real *maddpg_noise(void *user, int agent, int use, int after)
{
    const struct maddpg_case *m = user;
    (void)after;
    return m->noise[agent][use];
}

/* ---- networks by the file's names ---------------------------------------------------------------------------------------------------- */

static inline real *maddpg_network(const struct maddpg_case *m, int agent, int role, real *block)
{
    const struct policy *p = m->policies[maddpg_group(m, agent)];
    return policy_network_at(p, block, role, policy_set(p, role, maddpg_place(m, agent)));
}

/* The file calls the head fc3. */
static inline void maddpg_walk(struct maddpg_case *m, int agent, int role, const char *group, const char *network, real *data,
                               double divisor, struct parity_bound bound)
{
    const struct network *net = &m->policies[maddpg_group(m, agent)]->net[role];
    struct tensor tensor[NETWORK_MAX_TENSORS];
    const int count = network_tensors(net, tensor, NETWORK_MAX_TENSORS);
    for (int i = 0; i < count; i++) {
        char name[96];
        const char *leaf = strchr(tensor[i].name, '/');
        const size_t size = (size_t)tensor[i].shape[0] * (size_t)tensor[i].shape[1];
        real *numbers = data + tensor[i].offset;
        if (strncmp(tensor[i].name, "head", 4) == 0)
            text_format(name, sizeof name, "agent%d/%s/fc3%s", agent, network, leaf);
        else
            text_format(name, sizeof name, "agent%d/%s/%s", agent, network, tensor[i].name);
        if (!group) {
            char path[128];
            text_format(path, sizeof path, "/params_before/%s", name);
            struct golden_array array = golden_read(m->c.file, path);
            if (array.count != size) {
                fprintf(stderr, "golden data: %s has %zu numbers, the network %zu\n", path, array.count, size);
                exit(1);
            }
            for (size_t k = 0; k < size; k++) numbers[k] = (real)array.data[k];
            golden_free(&array);
            continue;
        }
        double *found = calloc(size, sizeof *found);
        for (size_t k = 0; k < size; k++) found[k] = (double)numbers[k] / divisor;
        parity_against(&m->c, group, name, found, size, bound);
        free(found);
    }
}

/* The targets' block of a group: where the first of its fields points to. */
static inline real *maddpg_targets(const struct maddpg_case *m, int group)
{
    char name[sizeof m->targets.field->name];
    const bool apart = m->policies[group]->sizes.agents > 1;
    text_format(name, sizeof name, "/target/%s%s/actor/fc1/weight", m->policies[group]->name, apart ? "/0" : "");
    for (int i = 0; i < m->targets.count; i++)
        if (strcmp(m->targets.field[i].name, name) == 0) return m->targets.field[i].data;
    fprintf(stderr, "no field %s\n", name);
    exit(1);
}

static inline bool maddpg_has(const struct maddpg_case *m, const char *group)
{
    char path[128];
    text_format(path, sizeof path, "/f64/%s%s", m->c.variant, group);
    return H5Lexists(m->c.file, path, H5P_DEFAULT) > 0;
}

/* Everything, or (group NULL) loads it. */
static inline void maddpg_networks(struct maddpg_case *m, const char *group)
{
    for (int g = 0; g < m->c.spec.groups && group; g++) policy_pull(m->policies[g]);
    if (group) maddpg_pull(m->maddpg);
    static const char *const name[POLICY_ROLES] = {[ROLE_ACTOR] = "policy", [ROLE_CRITIC] = "critic"};
    for (int i = 0; i < m->agents; i++)
        for (int role = ROLE_ACTOR; role <= ROLE_CRITIC; role++) {
            char target[32];
            const int g = maddpg_group(m, i);
            text_format(target, sizeof target, "target_%s", name[role]);
            maddpg_walk(m, i, role, group, name[role], maddpg_network(m, i, role, m->policies[g]->host.parameters), 1, BOUND_PARAMETERS);
            char there[64];
            text_format(there, sizeof there, "%s/agent%d/%s", group ? group : "", i, target);
            if (group && !maddpg_has(m, there)) continue; /* a variant's first step has no targets */
            maddpg_walk(m, i, role, group, target, maddpg_network(m, i, role, maddpg_targets(m, g)), 1, BOUND_PARAMETERS);
        }
    for (int g = 0; g < m->c.spec.groups && !group; g++) policy_push(m->policies[g]);
    if (!group) maddpg_push(m->maddpg);
}

/* ---- an update ----------------------------------------------------------------------------------------------------------------------- */

static inline void maddpg_stepped(void *user, int agent, int role, const real *gradient)
{
    struct maddpg_case *m = user;
    if (m->stepped++ >= m->agents * 2 || !maddpg_has(m, "grads")) return;
    const size_t size = m->policies[maddpg_group(m, agent)]->net[role].parameters;
    real *copy = calloc(size, sizeof *copy);
    m->c.backend->download(m->c.backend, copy, gradient, size * sizeof *copy);
    maddpg_walk(m, agent, role, "grads", role == ROLE_ACTOR ? "policy" : "critic", copy, (double)m->rows, BOUND_GRADIENT);
    free(copy);
}

static inline void maddpg_losses(struct maddpg_case *m, const double *found, int agent, const char *name)
{
    char path[64];
    text_format(path, sizeof path, "agent%d/%s", agent, name);
    parity_against(&m->c, "losses", path, found, (size_t)m->updates, BOUND_LOSS);
}

static inline void maddpg_update(struct maddpg_case *m)
{
    const hid_t file = m->c.file;
    const double rate = golden_config(file, "lr");
    const struct annealed now = {.actor_rate = rate, .critic_rate = rate};
    struct error err = {0};
    struct maddpg_metrics metrics[MADDPG_MOST_AGENTS];
    double loss[4][MADDPG_MOST_AGENTS][MADDPG_MOST_UPDATES];
    maddpg_networks(m, NULL);
    for (int u = 0; u < m->updates; u++) {
        maddpg_load_batch(m, u);
        maddpg_start(m->maddpg, &now);
        maddpg_learn(m->maddpg, 0);
        if (maddpg_outcome(m->maddpg, metrics, &err)) die_error(&err);
        for (int i = 0; i < m->agents; i++) {
            const struct maddpg_metrics *x = &metrics[maddpg_group(m, i)];
            loss[0][i][u] = x->actor_loss, loss[1][i][u] = x->critic_loss;
            loss[2][i][u] = x->actor_grad_norm, loss[3][i][u] = x->critic_grad_norm;
        }
        if (u == 0 && maddpg_has(m, "params_after_1")) maddpg_networks(m, "params_after_1");
    }
    if (maddpg_has(m, "params_after_all")) maddpg_networks(m, "params_after_all");
    for (int i = 0; i < m->agents && !m->together; i++) { /* else they are means over agents */
        maddpg_losses(m, loss[0][i], i, "actor_loss");
        maddpg_losses(m, loss[1][i], i, "critic_loss");
        maddpg_losses(m, loss[2][i], i, "actor_grad_norm");
        maddpg_losses(m, loss[3][i], i, "critic_grad_norm");
    }
}

/* ---- beginning and end --------------------------------------------------------------------------------------------------------------- */

static inline void maddpg_spaces(struct maddpg_case *m, bool discrete)
{
    static char names[MADDPG_MOST_AGENTS][16];
    struct mappo_env_spec *spec = &m->c.spec;
    spec->groups = m->together ? 1 : m->agents;
    for (int g = 0; g < spec->groups; g++) {
        struct mappo_group *group = &spec->group[g];
        snprintf(names[g], sizeof names[g], "agent%d", g);
        m->c.choices[g] = (int32_t)m->actions[g];
        *group = (struct mappo_group){.name = names[g], .agents = m->together ? m->agents : 1, .act_heads = 1, .obs_heads = 1};
        group->obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = (int32_t)m->obs[g]};
        group->act[0] = discrete ? (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = &m->c.choices[g]}
                                 : (struct mappo_space){.kind = MAPPO_BOX, .size = (int32_t)m->actions[g]};
    }
}

static inline void maddpg_build(struct maddpg_case *m, const char *algorithms)
{
    const hid_t file = m->c.file;
    struct error err = {0};
    int columns = 0;
    for (int i = 0; i < m->agents; i++) columns += (int)m->actions[i];
    for (int g = 0; g < m->c.spec.groups; g++, algorithms += strcspn(algorithms, ","), algorithms += *algorithms == ',') {
        const bool own = strncmp(algorithms, "DDPG", 4) == 0;
        const struct policy_config config = {.hidden = (int)golden_config(file, "hidden"),
                                             .layers = 2,
                                             .activation = ACTIVATION_RELU,
                                             .real = REAL_TANH,
                                             .critic_input = own ? CRITIC_OBS : CRITIC_STATE,
                                             .concatenate = true,
                                             .actions = own ? (int)m->actions[g] : columns,
                                             .normalizer = NORMALIZER_NONE};
        if (policy_build(&m->policy[g], &config, &m->c.spec, g, m->c.backend, &err)) die_error(&err);
        m->policies[g] = &m->policy[g];
    }
}

static inline void parity_maddpg(hid_t file, const char *backend, const char *variant, const struct maddpg_rules *rules, bool together,
                                 struct parity_report *report)
{
    struct maddpg_case m = {.c = {.file = file, .variant = variant, .report = report},
                            .together = together,
                            .agents = (int)golden_config(file, "agents"),
                            .rows = (int)golden_config(file, "batch"),
                            .updates = (int)golden_config(file, "updates")};
    const struct backend_config opened = {.name = backend, .threads = 1, .level = -1, .device = -1};
    const bool discrete = golden_config(file, "discrete") != 0;
    char algorithms[64];
    struct error err = {0};
    int argc = 0;
    char **argv = NULL;
    if (backend_open(&m.c.backend, &opened, &err)) die_error(&err);
    if (comm_open(&m.c.comm, &argc, &argv, &err)) die_error(&err);
    golden_numbers(file, "/config", "obs_dims", m.obs, MADDPG_MOST_AGENTS);
    golden_numbers(file, "/config", "action_dims", m.actions, MADDPG_MOST_AGENTS);
    golden_text(file, "/config", "algorithms", algorithms, sizeof algorithms);
    maddpg_spaces(&m, discrete);
    maddpg_build(&m, algorithms);
    backend_memory_create(&m.memory, "test", m.c.backend);
    struct backend *cpu;
    struct backend_memory host;
    const struct backend_config of_host = {.name = "cpu", .threads = 1, .level = -1};
    if (backend_open(&cpu, &of_host, &err)) die_error(&err);
    backend_memory_create(&host, "test", cpu);
    replay_batch_create(&m.batch, 1, m.rows, &m.c.spec, &m.memory);
    replay_batch_create(&m.host, 1, m.rows, &m.c.spec, &host);
    for (int i = 0; i < m.agents && discrete; i++)
        for (int use = 0; use < EMBED_USES; use++) m.noise[i][use] = BACKEND_NEW(&m.memory, real, m.rows * (int)m.actions[i]);
    const struct maddpg_hooks hooks = {&m, maddpg_noise, maddpg_stepped};
    const struct maddpg_config config = {.rules = *rules,
                                         .gamma = (real)golden_config(file, "gamma"),
                                         .tau = (real)golden_config(file, "tau"),
                                         .temperature = (real)golden_config(file, "gumbel_temperature"),
                                         .penalty = (real)golden_config(file, "policy_regulariser"),
                                         .max_grad_norm = golden_config(file, "max_grad_norm"),
                                         .adam = {.beta1 = golden_config(file, "adam_beta1"),
                                                  .beta2 = golden_config(file, "adam_beta2"),
                                                  .eps = golden_config(file, "adam_eps")},
                                         .delay = 1,
                                         .batch = m.rows,
                                         .updates = 1,
                                         .hooks = &hooks};
    struct replay_numbers *numbers = BACKEND_NEW(&m.memory, struct replay_numbers, 1);
    maddpg_create(&m.maddpg, &config, &m.batch, numbers, m.policies, m.c.spec.groups, m.c.comm, &m.memory);
    maddpg_fields(m.maddpg, &m.targets);
    maddpg_update(&m);
    free(m.targets.field);
    backend_memory_destroy(&m.memory);
    backend_memory_destroy(&host);
    cpu->close(cpu);
    for (int g = 0; g < m.c.spec.groups; g++) policy_clear(&m.policy[g]);
    comm_close(m.c.comm);
    m.c.backend->close(m.c.backend);
}

/* By the file's path, as parity_algo. */
static inline enum parity_result parity_maddpg_file(const char *path, const char *backend, struct parity_report *report)
{
    static const struct maddpg_rules paper = {.smooth_targets = true, .others_taken = true};
    *report = (struct parity_report){0};
    char which[64];
    const hid_t file = golden_open(path);
    const bool found = file >= 0 && golden_text(file, "/", "case", which, sizeof which) && strncmp(which, "maddpg_", 7) == 0;
    if (found) {
        const char *const openai = "/f64/variant_openai_losses", *const as_paper = "/f64/variant_paper_losses";
        parity_maddpg(file, backend, "", &maddpg_port, false, report);
        if (strcmp(which, "maddpg_spread") == 0) parity_maddpg(file, backend, "", &maddpg_port, true, report);
        if (H5Lexists(file, as_paper, H5P_DEFAULT) > 0) parity_maddpg(file, backend, "variant_paper_", &paper, false, report);
        if (H5Lexists(file, openai, H5P_DEFAULT) > 0) parity_maddpg(file, backend, "variant_openai_", &maddpg_openai, false, report);
    }
    if (file >= 0) H5Fclose(file);
    return !found ? PARITY_UNKNOWN : report->differing ? PARITY_FAILED : PARITY_PASSED;
}

#endif
