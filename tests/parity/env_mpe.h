/* The mpe suite against recordings of mpe2 and of the reference MAPPO's own copy. */
#ifndef TESTS_PARITY_ENV_MPE_H
#define TESTS_PARITY_ENV_MPE_H

#include "envs/mpe/simple_spread.h"
#include "parity/env_case.h"

/* One recorded case of simple_spread, [episodes][steps]. */
struct spread_case {
    const struct env_case *of;
    struct spread_rules rules;
    int episodes, steps;
    bool seeded; /* start: reset(seed) */
    struct golden_array agent_pos, agent_vel, landmark_pos, obs, action, reward, terminated, truncated, done, seed;
};

static inline void spread_case_rules(struct spread_case *c, bool on_policy)
{
    const char *kwargs = c->of->kwargs;
    double value;
    c->rules = (struct spread_rules){.rule_set = on_policy ? SPREAD_ON_POLICY : SPREAD_MPE2,
                                     .max_cycles = c->steps,
                                     .collision_penalty = 1,
                                     .agent_neighbors = -1,
                                     .landmark_neighbors = -1,
                                     .local_ratio = 0.5};
    c->rules.agents = golden_numbers(c->of->file, c->of->group, "n_agents", &value, 1) ? (int32_t)value : 0;
    c->rules.continuous = !on_policy && c->action.rank == 3 && c->action.shape[2] == (hsize_t)(5 * c->rules.agents);
    if (env_kwarg(kwargs, "local_ratio", &value)) c->rules.local_ratio = value;
    if (env_kwarg(kwargs, "max_cycles", &value)) c->rules.max_cycles = (int32_t)value;
    if (env_kwarg(kwargs, "terminate_on_success", &value)) c->rules.success_ends = (int32_t)value;
    if (env_kwarg(kwargs, "num_agent_neighbors", &value)) c->rules.agent_neighbors = (int32_t)value;
    if (env_kwarg(kwargs, "num_landmark_neighbors", &value)) c->rules.landmark_neighbors = (int32_t)value;
}

static inline bool spread_case_open(struct spread_case *c, const struct env_case *of)
{
    char start[64];
    const bool on_policy = strncmp(of->environment, "onpolicy", 8) == 0;
    *c = (struct spread_case){.of = of};
    c->agent_pos = env_read(of, "agent_pos");
    c->agent_vel = env_read(of, "agent_vel");
    c->landmark_pos = env_read(of, "landmark_pos");
    c->obs = env_read(of, "obs");
    c->action = env_read(of, "action");
    c->reward = env_read(of, "reward");
    c->terminated = env_read(of, "terminated");
    c->truncated = env_read(of, "truncated");
    c->done = env_read(of, "done");
    c->seed = env_read(of, "seed");
    if (c->agent_pos.rank != 4 || c->reward.rank != 3 || !c->agent_vel.data || !c->landmark_pos.data || !c->obs.data || !c->action.data)
        return false;
    c->episodes = (int)c->reward.shape[0];
    c->steps = (int)c->reward.shape[1];
    c->seeded = golden_text(of->file, of->group, "start", start, sizeof start) && strcmp(start, "reset(seed)") == 0 && c->seed.data;
    spread_case_rules(c, on_policy);
    const size_t n = (size_t)c->rules.agents, rows = (size_t)c->episodes * (size_t)c->steps;
    const size_t starts = (size_t)c->episodes * (size_t)(c->steps + 1);
    const size_t numbers = on_policy ? 2 * n : c->rules.continuous ? 5 * n : n; /* of an action: on-policy has movement and utterance */
    return n >= 1 && n <= SPREAD_MAX_AGENTS && c->agent_pos.count == starts * 2 * n && c->agent_vel.count == starts * 2 * n &&
           c->landmark_pos.count == (size_t)c->episodes * 2 * n && c->obs.count == starts * n * (size_t)spread_obs_size(&c->rules) &&
           c->reward.count == rows * n && c->action.count == rows * numbers;
}

static inline void spread_case_close(struct spread_case *c)
{
    golden_free(&c->agent_pos);
    golden_free(&c->agent_vel);
    golden_free(&c->landmark_pos);
    golden_free(&c->obs);
    golden_free(&c->action);
    golden_free(&c->reward);
    golden_free(&c->terminated);
    golden_free(&c->truncated);
    golden_free(&c->done);
    golden_free(&c->seed);
}

/* The actions of step t of episode e as the environment takes them. */
static inline void spread_case_action(const struct spread_case *c, int e, int t, int32_t *act_int, float *act_real)
{
    const size_t n = (size_t)c->rules.agents, row = (size_t)e * (size_t)c->steps + (size_t)t;
    for (size_t i = 0; i < n; i++) {
        if (c->rules.continuous)
            for (size_t k = 0; k < 5; k++) act_real[5 * i + k] = (float)c->action.data[(row * n + i) * 5 + k];
        else if (c->rules.rule_set == SPREAD_ON_POLICY)
            act_int[i] = (int32_t)c->action.data[(row * n + i) * 2];
        else
            act_int[i] = (int32_t)c->action.data[row * n + i];
    }
}

#ifdef MAPPO_RULES_DOUBLE

/* ---- the rules in double ---------------------------------------------------------------------------------- */

struct spread_double {
    struct spread head;
    double numbers[6 * SPREAD_MAX_AGENTS];
};

static inline void spread_double_inject(struct spread_double *w, const struct spread_case *c, int e, int t)
{
    const size_t n = (size_t)c->rules.agents, at = ((size_t)e * (size_t)(c->steps + 1) + (size_t)t) * 2 * n;
    memset(w, 0, sizeof *w);
    w->head.steps = t;
    memcpy(spread_velocity(&w->head), c->agent_vel.data + at, 2 * n * sizeof(double));
    memcpy(spread_position(&w->head, (int)n), c->agent_pos.data + at, 2 * n * sizeof(double));
    memcpy(spread_landmark(&w->head, (int)n), c->landmark_pos.data + (size_t)e * 2 * n, 2 * n * sizeof(double));
}

static inline void spread_double_reset(struct spread_double *w, const struct spread_case *c, struct pcg64 *rng)
{
    double uniform[4 * SPREAD_MAX_AGENTS];
    for (int i = 0; i < 4 * c->rules.agents; i++) uniform[i] = pcg64_unit(rng);
    spread_place(&w->head, &c->rules, uniform);
}

/* What the rules made of a case, beside what was recorded. */
struct spread_found {
    double *position, *velocity, *obs, *reward, *terminated, *truncated;
};

static inline void spread_found_state(struct spread_found *found, const struct spread_case *c, const struct spread_double *w, int e, int t)
{
    const size_t n = (size_t)c->rules.agents, d = (size_t)spread_obs_size(&c->rules), row = (size_t)e * (size_t)(c->steps + 1) + (size_t)t;
    float *obs = calloc(n * d, sizeof *obs);
    memcpy(found->position + row * 2 * n, spread_position(&w->head, (int)n), 2 * n * sizeof(double));
    memcpy(found->velocity + row * 2 * n, spread_velocity(&w->head), 2 * n * sizeof(double));
    spread_observe(&w->head, &c->rules, &(struct rule_io){.group[0].obs = obs});
    for (size_t i = 0; i < n * d; i++) found->obs[row * n * d + i] = (double)obs[i];
    free(obs);
}

static inline void spread_double_episode(struct spread_found *found, const struct spread_case *c, int e)
{
    const size_t n = (size_t)c->rules.agents;
    struct spread_double w;
    spread_double_inject(&w, c, e, 0);
    if (c->seeded) {
        struct pcg64 rng;
        pcg64_seed(&rng, (uint64_t)c->seed.data[e]);
        spread_double_reset(&w, c, &rng);
    }
    spread_found_state(found, c, &w, e, 0);
    for (int t = 0; t < c->steps; t++) {
        int32_t act_int[SPREAD_MAX_AGENTS];
        float act_real[5 * SPREAD_MAX_AGENTS];
        const size_t row = ((size_t)e * (size_t)c->steps + (size_t)t) * n;
        spread_case_action(c, e, t, act_int, act_real);
        struct rule_io io = {.group[0] = {.act_int = act_int, .act_real = act_real, .reward = found->reward + row}};
        const int end = spread_step(&w.head, &c->rules, &io);
        for (size_t i = 0; i < n; i++) {
            found->terminated[row + i] = end == MAPPO_TERMINATED;
            found->truncated[row + i] = end == MAPPO_TRUNCATED;
        }
        spread_found_state(found, c, &w, e, t + 1);
    }
}

/* Two further resets without a seed after episode 0: the generator goes on where it was. */
static inline void spread_double_further(struct parity_report *report, const struct spread_case *c)
{
    struct golden_array agents = env_read(c->of, "next_agent_pos"), landmarks = env_read(c->of, "next_landmark_pos");
    const size_t n = (size_t)c->rules.agents;
    if (c->seeded && agents.data && landmarks.data && agents.count == landmarks.count && agents.count % (2 * n) == 0) {
        double *found = calloc(2 * agents.count, sizeof *found), *found_landmarks = found + agents.count;
        struct spread_double w = {0};
        struct pcg64 rng;
        pcg64_seed(&rng, (uint64_t)c->seed.data[0]);
        spread_double_reset(&w, c, &rng);
        for (size_t k = 0; k < agents.count / (2 * n); k++) {
            spread_double_reset(&w, c, &rng);
            memcpy(found + k * 2 * n, spread_position(&w.head, (int)n), 2 * n * sizeof(double));
            memcpy(found_landmarks + k * 2 * n, spread_landmark(&w.head, (int)n), 2 * n * sizeof(double));
        }
        env_compare(report, c->of, "next_agent_pos", found, &agents, env_exact);
        env_compare(report, c->of, "next_landmark_pos", found_landmarks, &landmarks, env_exact);
        free(found);
    }
    golden_free(&agents);
    golden_free(&landmarks);
}

static inline void spread_double_check(struct parity_report *report, const struct spread_case *c)
{
    struct spread_found found = {.position = calloc(c->agent_pos.count, sizeof(double)),
                                 .velocity = calloc(c->agent_vel.count, sizeof(double)),
                                 .obs = calloc(c->obs.count, sizeof(double)),
                                 .reward = calloc(c->reward.count, sizeof(double)),
                                 .terminated = calloc(c->reward.count, sizeof(double)),
                                 .truncated = calloc(c->reward.count, sizeof(double))};
    for (int e = 0; e < c->episodes; e++) spread_double_episode(&found, c, e);
    env_compare(report, c->of, "agent_pos", found.position, &c->agent_pos, env_trajectory);
    env_compare(report, c->of, "agent_vel", found.velocity, &c->agent_vel, env_trajectory);
    env_compare(report, c->of, "obs", found.obs, &c->obs, env_rounded);
    env_compare(report, c->of, "reward", found.reward, &c->reward, env_trajectory);
    env_compare(report, c->of, "terminated", found.terminated, &c->terminated, env_exact);
    env_compare(report, c->of, "truncated", found.truncated, &c->truncated, env_exact);
    env_compare(report, c->of, "done", found.truncated, &c->done, env_exact); /* on-policy: set by its time limit only */
    if (c->seeded) {                                                          /* the start by itself, exactly */
        struct golden_array landmarks = c->landmark_pos;
        double *placed = calloc(landmarks.count, sizeof *placed);
        for (int e = 0; e < c->episodes; e++) {
            struct spread_double w = {0};
            struct pcg64 rng;
            pcg64_seed(&rng, (uint64_t)c->seed.data[e]);
            spread_double_reset(&w, c, &rng);
            memcpy(placed + (size_t)e * 2 * (size_t)c->rules.agents, spread_landmark(&w.head, c->rules.agents),
                   2 * (size_t)c->rules.agents * sizeof *placed);
        }
        env_compare(report, c->of, "landmark_pos", placed, &landmarks, env_exact);
        free(placed);
    }
    free(found.position);
    free(found.velocity);
    free(found.obs);
    free(found.reward);
    free(found.terminated);
    free(found.truncated);
}

static inline void spread_case_check(struct parity_report *report, const struct spread_case *c)
{
    spread_double_check(report, c);
    spread_double_further(report, c);
}

#else

/* ---- the float environment, through the vecenv ------------------------------------------------------------ */

/* Whether rounding may decide a comparison of this state: agents about to touch, or a landmark about to be covered. */
static inline bool spread_case_near(const struct spread_case *c, int e, int t)
{
    const int n = c->rules.agents;
    const double *agent = c->agent_pos.data + ((size_t)e * (size_t)(c->steps + 1) + (size_t)t) * 2 * (size_t)n;
    const double *landmark = c->landmark_pos.data + (size_t)e * 2 * (size_t)n;
    for (int a = 0; a < n; a++) {
        for (int b = 0; b < n; b++) {
            const double touch = hypot(agent[2 * a] - agent[2 * b], agent[2 * a + 1] - agent[2 * b + 1]) - 2 * SPREAD_AGENT_SIZE;
            const double cover = hypot(agent[2 * a] - landmark[2 * b], agent[2 * a + 1] - landmark[2 * b + 1]) - SPREAD_COVERED;
            if ((a != b && fabs(touch) < env_near) || fabs(cover) < env_near) return true;
        }
    }
    return false;
}

static inline bool spread_batch_open(struct env_batch *b, const struct spread_case *c, struct parity_report *report)
{
    char text[6][32];
    const struct env_option option[] = {{"rules", c->rules.rule_set == SPREAD_ON_POLICY ? "on-policy" : "mpe2"},
                                        {"N", text[0]},
                                        {"max_cycles", text[1]},
                                        {"continuous_actions", c->rules.continuous ? "1" : "0"},
                                        {"terminate_on_success", c->rules.success_ends ? "1" : "0"},
                                        {"local_ratio", text[2]},
                                        {"num_agent_neighbors", text[3]},
                                        {"num_landmark_neighbors", text[4]}};
    snprintf(text[0], sizeof text[0], "%d", c->rules.agents);
    snprintf(text[1], sizeof text[1], "%d", c->rules.max_cycles);
    snprintf(text[2], sizeof text[2], "%.17g", c->rules.local_ratio);
    snprintf(text[3], sizeof text[3], c->rules.agent_neighbors < 0 ? "none" : "%d", c->rules.agent_neighbors);
    snprintf(text[4], sizeof text[4], c->rules.landmark_neighbors < 0 ? "none" : "%d", c->rules.landmark_neighbors);
    return env_batch_open(b, c->of, "mpe/simple_spread", option, 8, c->episodes, report);
}

/* Puts the recorded state of step t into environment e. */
static inline bool spread_batch_inject(struct env_copy *copy, const struct env_batch *b, const struct spread_case *c, int e, int t)
{
    const size_t n = (size_t)c->rules.agents, at = ((size_t)e * (size_t)(c->steps + 1) + (size_t)t) * 2 * n;
    if (!env_copy_take(copy, b, e)) return false;
    struct spread *w = env_copy_bytes(copy);
    float *number = spread_velocity(w);
    for (size_t i = 0; i < 2 * n; i++) {
        number[i] = (float)c->agent_vel.data[at + i];
        number[2 * n + i] = (float)c->agent_pos.data[at + i];
        number[4 * n + i] = (float)c->landmark_pos.data[(size_t)e * 2 * n + i];
    }
    w->steps = t;
    return env_copy_put(copy, b, e);
}

/* Every step of every episode from its recorded state; `obs` and `reward` get what followed, or the recorded numbers where rounding may
 * decide. */
static inline bool spread_batch_run(struct env_batch *b, const struct spread_case *c, double *obs, double *reward, double *ended)
{
    const size_t n = (size_t)c->rules.agents, d = n * (size_t)spread_obs_size(&c->rules);
    const struct mappo_group_io *io = &b->io.group[0];
    struct env_copy copy = {0};
    bool taken = true;
    for (int t = 0; t < c->steps && taken; t++) {
        for (int e = 0; e < c->episodes && taken; e++) {
            taken = spread_batch_inject(&copy, b, c, e, t);
            spread_case_action(c, e, t, b->act_int[0] + (size_t)e * n, b->act_real[0] + 5 * (size_t)e * n);
        }
        taken = taken && vecenv_step(b->env, &b->io, NULL) == 0;
        for (int e = 0; e < c->episodes && taken; e++) {
            const size_t row = (size_t)e * (size_t)c->steps + (size_t)t, next = ((size_t)e * (size_t)(c->steps + 1) + (size_t)t + 1) * d;
            const float *seen = (b->io.ep_end[e] ? io->final_obs : io->obs) + (size_t)e * d;
            for (size_t i = 0; i < d; i++) obs[next + i] = (double)seen[i];
            for (size_t i = 0; i < n; i++) {
                reward[row * n + i] = spread_case_near(c, e, t + 1) ? c->reward.data[row * n + i] : (double)io->reward[(size_t)e * n + i];
                ended[row * n + i] = b->io.ep_end[e] == MAPPO_TRUNCATED;
            }
        }
    }
    env_copy_free(&copy);
    return taken;
}

static inline void spread_batch_check(struct parity_report *report, const struct spread_case *c)
{
    struct env_batch b;
    if (!spread_batch_open(&b, c, report)) return;
    double *obs = calloc(c->obs.count, sizeof *obs), *reward = calloc(2 * c->reward.count, sizeof *reward),
           *ended = reward + c->reward.count;
    memcpy(obs, c->obs.data, c->obs.count * sizeof *obs); /* the starts are given, not computed */
    if (!spread_batch_run(&b, c, obs, reward, ended)) {
        env_fail(report, c->of, "the float environment refused a recorded state");
    } else {
        env_compare(report, c->of, "obs (float)", obs, &c->obs, env_float);
        env_compare(report, c->of, "reward (float)", reward, &c->reward, env_float);
        env_compare(report, c->of, "truncated (float)", ended, c->truncated.data ? &c->truncated : &c->done, env_exact);
    }
    batch_close(&b);
    free(obs);
    free(reward);
}

static inline void spread_case_check(struct parity_report *report, const struct spread_case *c)
{
    spread_batch_check(report, c);
}

#endif

/* ---- the suite -------------------------------------------------------------------------------------------- */

static inline bool env_mpe_has(const struct env_case *c)
{
    static const char *const known[] = {"N",
                                        "local_ratio",
                                        "max_cycles",
                                        "continuous_actions",
                                        "terminate_on_success",
                                        "num_agent_neighbors",
                                        "num_landmark_neighbors",
                                        "num_agents",
                                        "num_landmarks",
                                        "episode_length",
                                        NULL};
    return (strncmp(c->environment, "mpe2.simple_spread", 18) == 0 || strcmp(c->environment, "onpolicy.envs.mpe simple_spread") == 0) &&
           env_kwargs_known(c->kwargs, known);
}

static inline void env_mpe_check(struct parity_report *report, const struct env_case *of)
{
    struct spread_case c;
    if (spread_case_open(&c, of))
        spread_case_check(report, &c);
    else
        env_fail_shapes(report, of);
    spread_case_close(&c);
}

static const struct env_suite env_mpe = {env_mpe_has, env_mpe_check};

#endif
