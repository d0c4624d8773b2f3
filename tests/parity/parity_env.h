/* Environments against recorded trajectories of the reference implementations. In the double build (MAPPO_RULES_DOUBLE) the rules past the
 * interface, whole trajectories; else the environment through the vecenv, one step at a time from recorded states. A case is a group with
 * an `environment` attribute; what it names decides. */
#ifndef TESTS_PARITY_ENV_H
#define TESTS_PARITY_ENV_H

#include "base/text.h"
#include "env/vecenv.h"
#include "envs/mpe/simple_spread.h"
#include "parity/golden.h"
#include "parity/parity_check.h"
#include "parity/pcg64.h"

#ifdef MAPPO_RULES_DOUBLE
/* Trajectories: exactly the same arithmetic would differ by 0, another exp or log1p by 1e-12 a step, which stiff contacts enlarge over 25
 * steps. */
static const struct parity_bound env_trajectory = {1e-9, 0};
/* Recorded observations are float32: half a unit in the last place of numbers below 8. */
static const struct parity_bound env_rounded = {2.4e-7, 0};
#else
/* Float from recorded states: single precision, relative to the largest number. */
static const struct parity_bound env_float = {0, 1e-4};
/* The float test leaves out steps where a distance is so near to a radius that rounding may decide a comparison. */
static const double env_near = 1e-5;
#endif
/* Starts and flags. */
static const struct parity_bound env_exact = {0, 0};

/* One recorded case of simple_spread, [episodes][steps]. */
struct spread_case {
    const char *name;
    struct spread_rules rules;
    int episodes, steps;
    bool seeded; /* start: reset(seed) */
    struct golden_array agent_pos, agent_vel, landmark_pos, obs, action, reward, terminated, truncated, done, seed;
};

static inline bool env_kwarg(const char *json, const char *key, double *value)
{
    char quoted[64];
    text_format(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    if (!at) return false;
    at += strlen(quoted);
    at += strspn(at, " ");
    *value = strncmp(at, "true", 4) == 0 ? 1 : strncmp(at, "null", 4) == 0 ? -1 : strtod(at, NULL);
    return true;
}

/* Every keyword that the case was recorded with must be one that is understood. */
static inline bool env_kwargs_known(const char *json)
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
                                        "episode_length"};
    for (const char *at = strchr(json, '"'); at; at = strchr(at, '"')) {
        const size_t length = strcspn(at + 1, "\"");
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            found = found || (strlen(known[k]) == length && strncmp(at + 1, known[k], length) == 0);
        if (!found) return false;
        at += length + 2;
    }
    return true;
}

static inline void spread_case_rules(struct spread_case *c, hid_t file, const char *group, bool on_policy, const char *kwargs)
{
    double value;
    c->rules = (struct spread_rules){.rule_set = on_policy ? SPREAD_ON_POLICY : SPREAD_MPE2,
                                     .max_cycles = c->steps,
                                     .collision_penalty = 1,
                                     .agent_neighbors = -1,
                                     .landmark_neighbors = -1,
                                     .local_ratio = 0.5};
    c->rules.agents = golden_numbers(file, group, "n_agents", &value, 1) ? (int32_t)value : 0;
    c->rules.continuous = !on_policy && c->action.rank == 3 && c->action.shape[2] == (hsize_t)(5 * c->rules.agents);
    if (env_kwarg(kwargs, "local_ratio", &value)) c->rules.local_ratio = value;
    if (env_kwarg(kwargs, "max_cycles", &value)) c->rules.max_cycles = (int32_t)value;
    if (env_kwarg(kwargs, "terminate_on_success", &value)) c->rules.success_ends = (int32_t)value;
    if (env_kwarg(kwargs, "num_agent_neighbors", &value)) c->rules.agent_neighbors = (int32_t)value;
    if (env_kwarg(kwargs, "num_landmark_neighbors", &value)) c->rules.landmark_neighbors = (int32_t)value;
}

/* Dataset `name` of a case. */
static inline struct golden_array env_read(hid_t file, const char *group, const char *name)
{
    char path[512] = "";
    text_format(path, sizeof path, "%s/%s", group, name);
    return golden_read(file, path);
}

static inline bool spread_case_open(struct spread_case *c, hid_t file, const char *group, bool on_policy, const char *kwargs)
{
    char start[64];
    *c = (struct spread_case){.name = group + 1};
    c->agent_pos = env_read(file, group, "agent_pos");
    c->agent_vel = env_read(file, group, "agent_vel");
    c->landmark_pos = env_read(file, group, "landmark_pos");
    c->obs = env_read(file, group, "obs");
    c->action = env_read(file, group, "action");
    c->reward = env_read(file, group, "reward");
    c->terminated = env_read(file, group, "terminated");
    c->truncated = env_read(file, group, "truncated");
    c->done = env_read(file, group, "done");
    c->seed = env_read(file, group, "seed");
    if (c->agent_pos.rank != 4 || c->reward.rank != 3 || !c->agent_vel.data || !c->landmark_pos.data || !c->obs.data || !c->action.data)
        return false;
    c->episodes = (int)c->reward.shape[0];
    c->steps = (int)c->reward.shape[1];
    c->seeded = golden_text(file, group, "start", start, sizeof start) && strcmp(start, "reset(seed)") == 0 && c->seed.data;
    spread_case_rules(c, file, group, on_policy, kwargs);
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

static inline void env_compare(struct parity_report *report, const struct spread_case *c, const char *what, const double *found,
                               const struct golden_array *expected, struct parity_bound bound)
{
    char name[256];
    text_format(name, sizeof name, "%s/%s", c->name, what);
    if (expected->data) parity_compare(report, name, found, expected->data, expected->count, bound);
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
static inline void spread_double_further(struct parity_report *report, const struct spread_case *c, hid_t file, const char *group)
{
    struct golden_array agents = env_read(file, group, "next_agent_pos"), landmarks = env_read(file, group, "next_landmark_pos");
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
        env_compare(report, c, "next_agent_pos", found, &agents, env_exact);
        env_compare(report, c, "next_landmark_pos", found_landmarks, &landmarks, env_exact);
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
    env_compare(report, c, "agent_pos", found.position, &c->agent_pos, env_trajectory);
    env_compare(report, c, "agent_vel", found.velocity, &c->agent_vel, env_trajectory);
    env_compare(report, c, "obs", found.obs, &c->obs, env_rounded);
    env_compare(report, c, "reward", found.reward, &c->reward, env_trajectory);
    env_compare(report, c, "terminated", found.terminated, &c->terminated, env_exact);
    env_compare(report, c, "truncated", found.truncated, &c->truncated, env_exact);
    env_compare(report, c, "done", found.truncated, &c->done, env_exact); /* on-policy: set by its time limit only */
    if (c->seeded) {                                                      /* the start by itself, exactly */
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
        env_compare(report, c, "landmark_pos", placed, &landmarks, env_exact);
        free(placed);
    }
    free(found.position);
    free(found.velocity);
    free(found.obs);
    free(found.reward);
    free(found.terminated);
    free(found.truncated);
}

static inline void spread_case_check(struct parity_report *report, const struct spread_case *c, hid_t file, const char *group)
{
    spread_double_check(report, c);
    spread_double_further(report, c, file, group);
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

struct spread_float {
    struct vecenv *env;
    unsigned char *snapshot; /* of one environment */
    size_t instance;         /* where the environment's own bytes begin in it */
    int32_t *act_int;
    float *act_real, *obs, *final_obs, *reward;
    uint8_t *ep_end;
};

static inline bool spread_float_open(struct spread_float *f, const struct spread_case *c, struct parity_report *report)
{
    char text[6][32];
    const size_t e = (size_t)c->episodes, n = (size_t)c->rules.agents, d = (size_t)spread_obs_size(&c->rules);
    const struct env_option option[] = {{"rules", c->rules.rule_set == SPREAD_ON_POLICY ? "on-policy" : "mpe2"},
                                        {"N", text[0]},
                                        {"max_cycles", text[1]},
                                        {"continuous_actions", c->rules.continuous ? "1" : "0"},
                                        {"terminate_on_success", c->rules.success_ends ? "1" : "0"},
                                        {"local_ratio", text[2]},
                                        {"num_agent_neighbors", text[3]},
                                        {"num_landmark_neighbors", text[4]}};
    struct error err = {0};
    snprintf(text[0], sizeof text[0], "%d", c->rules.agents);
    snprintf(text[1], sizeof text[1], "%d", c->rules.max_cycles);
    snprintf(text[2], sizeof text[2], "%.17g", c->rules.local_ratio);
    snprintf(text[3], sizeof text[3], c->rules.agent_neighbors < 0 ? "none" : "%d", c->rules.agent_neighbors);
    snprintf(text[4], sizeof text[4], c->rules.landmark_neighbors < 0 ? "none" : "%d", c->rules.landmark_neighbors);
    const struct vecenv_config config = {.name = "mpe/simple_spread",
                                         .option = option,
                                         .options = 8,
                                         .envs = c->episodes,
                                         .seed = 1,
                                         .stream = PHILOX_ENVIRONMENT,
                                         .threads = 1,
                                         .clip_action = true};
    if (vecenv_open(&f->env, &config, &err)) {
        parity_say(report, "  %s: %s\n", c->name, err.text);
        return false;
    }
    f->snapshot = calloc(1, vecenv_snapshot_bytes(f->env));
    f->instance = vecenv_snapshot_bytes(f->env) - spread_bytes(&c->rules);
    f->act_int = calloc(e * n, sizeof *f->act_int);
    f->act_real = calloc(5 * e * n, sizeof *f->act_real);
    f->obs = calloc(e * n * d, sizeof *f->obs);
    f->final_obs = calloc(e * n * d, sizeof *f->final_obs);
    f->reward = calloc(e * n, sizeof *f->reward);
    f->ep_end = calloc(e, 1);
    return true;
}

static inline void spread_float_close(struct spread_float *f)
{
    vecenv_close(f->env);
    free(f->snapshot);
    free(f->act_int);
    free(f->act_real);
    free(f->obs);
    free(f->final_obs);
    free(f->reward);
    free(f->ep_end);
}

/* Puts the recorded state of step t into environment e. */
static inline bool spread_float_inject(struct spread_float *f, const struct spread_case *c, int e, int t)
{
    const size_t n = (size_t)c->rules.agents, at = ((size_t)e * (size_t)(c->steps + 1) + (size_t)t) * 2 * n;
    struct spread head;
    float numbers[6 * SPREAD_MAX_AGENTS];
    for (size_t i = 0; i < 2 * n; i++) {
        numbers[i] = (float)c->agent_vel.data[at + i];
        numbers[2 * n + i] = (float)c->agent_pos.data[at + i];
        numbers[4 * n + i] = (float)c->landmark_pos.data[(size_t)e * 2 * n + i];
    }
    if (vecenv_snapshot(f->env, e, e + 1, f->snapshot, NULL)) return false;
    memcpy(&head, f->snapshot + f->instance, sizeof head);
    head.steps = t;
    memcpy(f->snapshot + f->instance, &head, sizeof head);
    memcpy(f->snapshot + f->instance + sizeof head, numbers, 6 * n * sizeof(float));
    return vecenv_restore(f->env, e, e + 1, f->snapshot, NULL) == 0;
}

/* Every step of every episode from its recorded state; `obs` and `reward` get what followed, or the recorded numbers where rounding may
 * decide. */
static inline bool spread_float_run(struct spread_float *f, const struct spread_case *c, double *obs, double *reward, double *ended)
{
    const size_t n = (size_t)c->rules.agents, d = n * (size_t)spread_obs_size(&c->rules);
    struct mappo_env_io io = {.struct_size = sizeof io, .groups = 1, .ep_end = f->ep_end};
    io.group[0] = (struct mappo_group_io){
        .act_int = f->act_int, .act_real = f->act_real, .obs = f->obs, .final_obs = f->final_obs, .reward = f->reward};
    if (vecenv_reset(f->env, &io, NULL)) return false;
    for (int t = 0; t < c->steps; t++) {
        for (int e = 0; e < c->episodes; e++) {
            if (!spread_float_inject(f, c, e, t)) return false;
            spread_case_action(c, e, t, f->act_int + (size_t)e * n, f->act_real + 5 * (size_t)e * n);
        }
        if (vecenv_step(f->env, &io, NULL)) return false;
        for (int e = 0; e < c->episodes; e++) {
            const size_t row = (size_t)e * (size_t)c->steps + (size_t)t, next = ((size_t)e * (size_t)(c->steps + 1) + (size_t)t + 1) * d;
            const float *seen = (f->ep_end[e] ? f->final_obs : f->obs) + (size_t)e * d;
            for (size_t i = 0; i < d; i++) obs[next + i] = (double)seen[i];
            for (size_t i = 0; i < n; i++) {
                reward[row * n + i] = spread_case_near(c, e, t + 1) ? c->reward.data[row * n + i] : (double)f->reward[(size_t)e * n + i];
                ended[row * n + i] = f->ep_end[e] == MAPPO_TRUNCATED;
            }
        }
    }
    return true;
}

static inline void spread_float_check(struct parity_report *report, const struct spread_case *c)
{
    struct spread_float f = {0};
    double *obs = calloc(c->obs.count, sizeof *obs), *reward = calloc(2 * c->reward.count, sizeof *reward),
           *ended = reward + c->reward.count;
    memcpy(obs, c->obs.data, c->obs.count * sizeof *obs); /* the starts are given, not computed */
    if (!spread_float_open(&f, c, report)) {
        report->checked++;
        report->differing++;
    } else if (!spread_float_run(&f, c, obs, reward, ended)) {
        report->checked++;
        report->differing++;
        parity_say(report, "  %s: the float environment refused a recorded state\n", c->name);
    } else {
        env_compare(report, c, "obs (float)", obs, &c->obs, env_float);
        env_compare(report, c, "reward (float)", reward, &c->reward, env_float);
        env_compare(report, c, "truncated (float)", ended, c->truncated.data ? &c->truncated : &c->done, env_exact);
    }
    spread_float_close(&f);
    free(obs);
    free(reward);
}

static inline void spread_case_check(struct parity_report *report, const struct spread_case *c, hid_t file, const char *group)
{
    (void)file, (void)group;
    spread_float_check(report, c);
}

#endif

/* ---- files ------------------------------------------------------------------------------------------------ */

struct env_walk {
    hid_t file;
    struct parity_report *report;
    int supported, unsupported;
};

static inline void env_leave_out(struct env_walk *walk, const char *name)
{
    char *text = walk->report->left_out;
    const size_t used = strlen(text), room = sizeof walk->report->left_out;
    walk->unsupported++;
    if (used + strlen(name) + 6 < room)
        strcat(strcat(text, used ? ", " : ""), name);
    else if (used + 5 < room && strcmp(text + used - 3, "...") != 0)
        snprintf(text + used, room - used, ", ...");
}

static inline void env_case(struct env_walk *walk, const char *group, const char *environment)
{
    char kwargs[512];
    struct spread_case c;
    const bool mpe2 = strncmp(environment, "mpe2.simple_spread", 18) == 0;
    const bool on_policy = strcmp(environment, "onpolicy.envs.mpe simple_spread") == 0;
    golden_text(walk->file, group, "kwargs", kwargs, sizeof kwargs);
    if ((!mpe2 && !on_policy) || !env_kwargs_known(kwargs)) {
        env_leave_out(walk, group + 1);
        return;
    }
    walk->supported++;
    if (spread_case_open(&c, walk->file, group, on_policy, kwargs)) {
        spread_case_check(walk->report, &c, walk->file, group);
    } else {
        walk->report->checked++;
        walk->report->differing++;
        parity_say(walk->report, "  %s: its datasets are missing or have other shapes than its attributes say\n", c.name);
    }
    spread_case_close(&c);
}

static inline herr_t env_visit(hid_t object, const char *name, const H5O_info_t *info, void *data)
{
    struct env_walk *walk = data;
    char group[512], environment[256];
    (void)object;
    if (info->type != H5O_TYPE_GROUP || strcmp(name, ".") == 0) return 0;
    text_format(group, sizeof group, "/%s", name);
    if (golden_text(walk->file, group, "environment", environment, sizeof environment)) env_case(walk, group, environment);
    return 0;
}

/* Seeds of 64 bits don't fit a double. Returns how many. */
static inline size_t env_read_seeds(hid_t file, uint64_t *seed, size_t room)
{
    const hid_t set = H5Dopen2(file, "/rng/seed", H5P_DEFAULT);
    if (set < 0) return 0;
    const hid_t space = H5Dget_space(set);
    const size_t count = (size_t)H5Sget_simple_extent_npoints(space);
    const bool read = count <= room && H5Dread(set, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, seed) >= 0;
    H5Sclose(space);
    H5Dclose(set);
    return read ? count : 0;
}

/* The generator itself, where the file has a group `rng`: raw words and uniform numbers, bit for bit, and integers of mixed limits. */
static inline void env_check_rng(struct env_walk *walk)
{
    uint64_t seed[64] = {0};
    const size_t seeds = env_read_seeds(walk->file, seed, 64);
    struct golden_array uniform = golden_read(walk->file, "/rng/uniform");
    struct golden_array integers = golden_read(walk->file, "/rng/mixed_integers"), between = golden_read(walk->file, "/rng/mixed_uniform");
    double limit[64];
    const int limits = golden_numbers(walk->file, "/rng", "limits", limit, 64);
    if (seeds && uniform.data && integers.data && between.data && limits > 0) {
        const size_t draws = uniform.count / seeds, mixed = between.count / seeds;
        double *found = calloc(uniform.count + integers.count + between.count, sizeof *found);
        double *found_integers = found + uniform.count, *found_between = found_integers + integers.count;
        for (size_t s = 0; s < seeds; s++) {
            struct pcg64 rng;
            pcg64_seed(&rng, seed[s]);
            for (size_t i = 0; i < draws; i++) found[s * draws + i] = -1 + 2 * pcg64_unit(&rng);
            pcg64_seed(&rng, seed[s]);
            for (int i = 0; i < limits; i++) {
                found_integers[s * (size_t)limits + (size_t)i] = (double)pcg64_below(&rng, (uint64_t)limit[i]);
                if (i % 3 == 1 && (size_t)(i / 3) < mixed) found_between[s * mixed + (size_t)(i / 3)] = -1 + 2 * pcg64_unit(&rng);
            }
        }
        parity_compare(walk->report, "rng/uniform", found, uniform.data, uniform.count, env_exact);
        parity_compare(walk->report, "rng/mixed_integers", found_integers, integers.data, integers.count, env_exact);
        parity_compare(walk->report, "rng/mixed_uniform", found_between, between.data, between.count, env_exact);
        free(found);
    }
    golden_free(&uniform);
    golden_free(&integers);
    golden_free(&between);
}

/* UNKNOWN: not a file of environments. UNSUPPORTED: of environments that this version doesn't have; report->left_out names them. */
static inline enum parity_result parity_env(const char *path, struct parity_report *report)
{
    struct env_walk walk = {.file = golden_open(path), .report = report};
    *report = (struct parity_report){0};
    if (walk.file < 0) return PARITY_UNKNOWN;
    H5Ovisit2(walk.file, H5_INDEX_NAME, H5_ITER_INC, env_visit, &walk, H5O_INFO_BASIC);
    if (walk.supported) env_check_rng(&walk);
    H5Fclose(walk.file);
    if (!walk.supported) return walk.unsupported ? PARITY_UNSUPPORTED : PARITY_UNKNOWN;
    return report->differing ? PARITY_FAILED : PARITY_PASSED;
}

#endif
