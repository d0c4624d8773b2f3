/* The mpe suite against recordings of mpe2, of the reference MAPPO's own copy, of PettingZoo 1.22 and of the first release. */
#ifndef TESTS_PARITY_ENV_MPE_H
#define TESTS_PARITY_ENV_MPE_H

#include "envs/mpe/collect_treasure.h"
#include "envs/mpe/simple.h"
#include "envs/mpe/simple_adversary.h"
#include "envs/mpe/simple_crypto.h"
#include "envs/mpe/simple_formation.h"
#include "envs/mpe/simple_line.h"
#include "envs/mpe/simple_push.h"
#include "envs/mpe/simple_reference.h"
#include "envs/mpe/simple_speaker_listener.h"
#include "envs/mpe/simple_spread.h"
#include "envs/mpe/simple_tag.h"
#include "envs/mpe/simple_world_comm.h"
#include "envs/mpe/suite.h"
#include "parity/env_case.h"

/* ---- tasks ------------------------------------------------------------------------------------------------ */

enum { MPE_COUNTS = 5 };

/* A count of entities: its option, which is also mpe2's keyword; the reference's keyword, and what is added to that. */
struct mpe_count {
    const char *option, *reference;
    int add, usual;
};
struct mpe_task {
    const char *name;
    void (*world)(struct mpe_rules *rules, const int32_t *count);
    mpe_score *score;
    int (*step)(struct mpe *w, const struct mpe_rules *rules, const struct rule_io *io); /* its own, or NULL */
    int infos;
    struct mpe_count count[MPE_COUNTS];
};

static const struct mpe_task mpe_tasks[] = {
    {"collect_treasure",
     collect_world,
     NULL,
     collect_step,
     COLLECT_INFOS,
     {{"num_collectors", NULL, 0, 6}, {"num_deposits", NULL, 0, 2}, {"num_treasures", NULL, 0, 6}}},
    {"simple", simple_world, simple_score, NULL, SIMPLE_INFOS, {{0}}},
    {"simple_adversary", adversary_world, adversary_score, NULL, ADVERSARY_INFOS, {{"N", "num_agents", -1, 2}}},
    {"simple_crypto", crypto_world, crypto_score, NULL, CRYPTO_INFOS, {{0}}},
    {"simple_formation", formation_world, formation_score, NULL, PLACES_INFOS, {{"N", NULL, 0, 4}}},
    {"simple_line", line_world, line_score, NULL, PLACES_INFOS, {{"N", NULL, 0, 4}}},
    {"simple_push", push_world, push_score, NULL, PUSH_INFOS, {{0}}},
    {"simple_reference", reference_world, reference_score, NULL, REFERENCE_INFOS, {{0}}},
    {"simple_speaker_listener", speaker_world, speaker_score, NULL, SPEAKER_INFOS, {{0}}},
    {"simple_spread", spread_world, NULL, spread_step, SPREAD_INFOS, {{"N", "num_agents", 0, 3}}},
    {"simple_tag",
     tag_world,
     tag_score,
     NULL,
     TAG_INFOS,
     {{"num_good", "num_good_agents", 0, 1}, {"num_adversaries", "num_adversaries", 0, 3}, {"num_obstacles", "num_landmarks", 0, 2}}},
    {"simple_world_comm",
     comm_world,
     comm_score,
     NULL,
     COMM_INFOS,
     {{"num_good", "num_good_agents", 0, 2},
      {"num_adversaries", "num_adversaries", 0, 4},
      {"num_obstacles", "num_landmarks", 0, 1},
      {"num_food", NULL, 0, 2},
      {"num_forests", NULL, 0, 2}}},
};

/* Of "mpe2.simple_tag_v3" or "onpolicy.envs.mpe simple_tag"; NULL where it is none of them. */
static inline const struct mpe_task *mpe_task_of(const char *environment, int32_t *rule_set)
{
    static const char *const sources[] = {"mpe2.", "onpolicy.envs.mpe ", "pettingzoo.mpe ", "openai.multiagent "}; /* enum mpe_rule_set */
    const char *name = NULL;
    for (int32_t k = 0; k < 4 && !name; k++) {
        *rule_set = k;
        if (strncmp(environment, sources[k], strlen(sources[k])) == 0) name = environment + strlen(sources[k]);
    }
    for (size_t k = 0; name && k < sizeof mpe_tasks / sizeof *mpe_tasks; k++) {
        const size_t length = strlen(mpe_tasks[k].name);
        if (strncmp(name, mpe_tasks[k].name, length) != 0) continue;
        if (name[length] == '\0' || (strncmp(name + length, "_v", 2) == 0 && name[length + 3] == '\0')) return &mpe_tasks[k];
    }
    return NULL;
}

/* ---- a recorded case, [episodes][steps] -------------------------------------------------------------------- */

struct mpe_case {
    const struct env_case *of;
    const struct mpe_task *task;
    struct mpe_rules rules;
    int32_t count[MPE_COUNTS];
    int episodes, steps, groups;
    size_t obs_size;          /* of all agents */
    size_t obs_at[MPE_KINDS]; /* where the groups begin in it */
    int32_t first[MPE_KINDS]; /* agent of each group */
    struct mpe_kind kind[MPE_KINDS];
    bool seeded; /* start: reset(seed) */
    struct golden_array agent_pos, agent_vel, landmark_pos, type, utterance, goal, obs, action, reward, terminated, truncated, done, seed;
};

/* Landmarks move where they are treasure: then they are recorded at each step, those that are gone at GONE and of the type -1. */
#define MPE_GONE (-999.0)

static inline size_t mpe_case_row(const struct mpe_case *c, int e, int t)
{
    return (size_t)e * (size_t)(c->steps + 1) + (size_t)t;
}

static inline const double *mpe_case_landmarks(const struct mpe_case *c, int e, int t) /* [L][2] */
{
    return c->landmark_pos.data + (c->rules.types ? mpe_case_row(c, e, t) : (size_t)e) * 2 * (size_t)c->rules.landmarks;
}

static inline const double *mpe_case_types(const struct mpe_case *c, int e, int t) /* [A + L] */
{
    return c->type.data + mpe_case_row(c, e, t) * (size_t)(c->rules.agents + c->rules.landmarks);
}

static inline void mpe_case_rules(struct mpe_case *c, int32_t rule_set)
{
    const char *kwargs = c->of->kwargs;
    const bool on_policy = rule_set == MPE_ON_POLICY;
    double value;
    c->rules = (struct mpe_rules){
        .rule_set = rule_set, .max_cycles = c->steps, .stage = -1, .agent_neighbors = -1, .landmark_neighbors = -1, .local_ratio = 0.5};
    for (int k = 0; k < MPE_COUNTS; k++) {
        const struct mpe_count *count = &c->task->count[k];
        const char *key = on_policy ? count->reference : count->option;
        c->count[k] = key && env_kwarg(kwargs, key, &value) ? (int32_t)value + (on_policy ? count->add : 0) : count->usual;
    }
    if (golden_numbers(c->of->file, c->of->group, "steps", &value, 1)) c->rules.max_cycles = (int32_t)value; /* of which some are kept */
    if (env_kwarg(kwargs, "local_ratio", &value)) c->rules.local_ratio = value;
    if (env_kwarg(kwargs, "max_cycles", &value)) c->rules.max_cycles = (int32_t)value;
    if (env_kwarg(kwargs, "terminate_on_success", &value)) c->rules.success_ends = (int32_t)value;
    if (env_kwarg(kwargs, "curriculum", &value) && value > 0) c->rules.stage = 0;
    if (env_kwarg(kwargs, "num_agent_neighbors", &value)) c->rules.agent_neighbors = (int32_t)value;
    if (env_kwarg(kwargs, "num_landmark_neighbors", &value)) c->rules.landmark_neighbors = (int32_t)value;
    c->task->world(&c->rules, c->count);
    mpe_world_finish(&c->rules);
}

/* Choices are recorded as a movement and an utterance of each agent, whether it has them or not. */
static inline bool mpe_case_pairs(const struct mpe_case *c)
{
    return c->rules.rule_set == MPE_ON_POLICY || c->rules.rule_set == MPE_OPENAI;
}

/* Groups of the environment, and where their observations lie among all; false where sizes are not the recorded ones. */
static inline bool mpe_case_groups(struct mpe_case *c)
{
    double dims[MPE_MAX_AGENTS];
    const int agents = golden_numbers(c->of->file, c->of->group, "obs_dims", dims, MPE_MAX_AGENTS);
    size_t reals = 0;
    if (agents != c->rules.agents) return false;
    for (int k = 0, a = 0; k < MPE_KINDS; k++) {
        if (c->rules.agent[k].count == 0) continue;
        c->kind[c->groups] = c->rules.agent[k];
        c->first[c->groups] = a;
        c->obs_at[c->groups++] = c->obs_size;
        for (int i = 0; i < c->rules.agent[k].count; i++, a++) c->obs_size += (size_t)dims[a];
        reals += (size_t)(c->rules.agent[k].count * mpe_action_reals(&c->rules, &c->rules.agent[k]));
    }
    const bool pairs = mpe_case_pairs(c);
    if (c->action.rank == 3 && c->action.shape[2] == reals && reals != (size_t)agents) c->rules.actions = pairs ? MPE_SOFT : MPE_CONTINUOUS;
    const size_t rows = (size_t)c->episodes * (size_t)c->steps;
    const size_t numbers = c->rules.actions ? reals : pairs ? 2 * (size_t)agents : (size_t)agents;
    return c->action.count == rows * numbers;
}

static inline bool mpe_case_open(struct mpe_case *c, const struct env_case *of)
{
    char start[64];
    int32_t rule_set;
    *c = (struct mpe_case){.of = of, .task = mpe_task_of(of->environment, &rule_set)};
    c->agent_pos = env_read(of, "agent_pos");
    c->agent_vel = env_read(of, "agent_vel");
    c->landmark_pos = env_read(of, "landmark_pos");
    c->type = env_read(of, "type");
    c->utterance = env_read(of, "utterance");
    c->goal = env_read(of, "goal");
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
    mpe_case_rules(c, rule_set);
    if (!mpe_case_groups(c)) return false;
    const struct mpe_rules *r = &c->rules;
    const size_t n = (size_t)r->agents, episodes = (size_t)c->episodes, starts = episodes * (size_t)(c->steps + 1);
    return c->agent_pos.count == starts * 2 * n && c->agent_vel.count == starts * 2 * n &&
           c->landmark_pos.count == (r->types ? starts : episodes) * 2 * (size_t)r->landmarks &&
           c->type.count == (r->types ? starts * (n + (size_t)r->landmarks) : 0) && c->obs.count == starts * c->obs_size &&
           c->reward.count == episodes * (size_t)c->steps * n && c->goal.count == episodes * (size_t)r->goals &&
           c->utterance.count == starts * (size_t)(r->speakers * r->words);
}

static inline void mpe_case_close(struct mpe_case *c)
{
    struct golden_array *const all[] = {&c->agent_pos, &c->agent_vel, &c->landmark_pos, &c->type,      &c->utterance, &c->goal, &c->obs,
                                        &c->action,    &c->reward,    &c->terminated,   &c->truncated, &c->done,      &c->seed};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) golden_free(all[k]);
}

/* The actions of step t of episode e as the environment takes them, for each group. */
static inline void mpe_case_action(const struct mpe_case *c, int e, int t, int32_t *const act_int[], float *const act_real[])
{
    const double *action = c->action.data + c->action.count / ((size_t)c->episodes * (size_t)c->steps) * (size_t)(e * c->steps + t);
    const bool pairs = mpe_case_pairs(c);
    for (int g = 0; g < c->groups; g++) {
        const struct mpe_kind *kind = &c->kind[g];
        const int reals = kind->count * mpe_action_reals(&c->rules, kind);
        for (int k = 0; k < reals && c->rules.actions != MPE_DISCRETE; k++) act_real[g][k] = (float)*action++;
        for (int i = 0; i < kind->count && c->rules.actions == MPE_DISCRETE; i++, action += pairs ? 2 : 1) {
            if (pairs && kind->moves && kind->speaks) {
                act_int[g][2 * i] = (int32_t)action[0];
                act_int[g][2 * i + 1] = (int32_t)action[1];
            } else {
                act_int[g][i] = (int32_t)action[pairs && !kind->moves];
            }
        }
    }
}

/* What is gone after step t waits where, and as what, it was recorded one step later. */
static inline void mpe_case_wait(const struct mpe_case *c, struct mpe *w, int e, int t)
{
    const struct mpe_rules *r = &c->rules;
    int32_t *type = mpe_type(w, r) + r->agents;
    for (int l = 0; l < r->landmarks && t < c->steps; l++) {
        if (type[l] >= 0) continue;
        type[l] = ~(int32_t)mpe_case_types(c, e, t + 1)[r->agents + l];
        for (int k = 2 * l; k < 2 * l + 2; k++) mpe_landmark(w, r)[k] = (rule_real)mpe_case_landmarks(c, e, t + 1)[k];
    }
}

/* The recorded state of step t into a copy. */
static inline void mpe_case_inject(const struct mpe_case *c, struct mpe *w, int e, int t)
{
    const struct mpe_rules *r = &c->rules;
    const size_t row = mpe_case_row(c, e, t), n = 2 * (size_t)r->agents, said = (size_t)(r->speakers * r->words);
    rule_real *velocity = mpe_velocity(w), *position = mpe_position(w, r), *landmark = mpe_landmark(w, r), *utterance = mpe_utterance(w, r);
    w->steps = t;
    for (int g = 0; g < r->goals; g++) w->goal[g] = (int16_t)c->goal.data[e * r->goals + g];
    for (size_t i = 0; i < n; i++) {
        velocity[i] = (rule_real)c->agent_vel.data[row * n + i];
        position[i] = (rule_real)c->agent_pos.data[row * n + i];
    }
    for (int i = 0; i < 2 * r->landmarks; i++) landmark[i] = (rule_real)mpe_case_landmarks(c, e, t)[i];
    for (size_t i = 0; i < said; i++) utterance[i] = (rule_real)c->utterance.data[row * said + i];
    for (int i = 0; i < r->agents + r->landmarks && r->types; i++) mpe_type(w, r)[i] = (int32_t)mpe_case_types(c, e, t)[i];
    if (r->types) mpe_case_wait(c, w, e, t);
}

#ifdef MAPPO_RULES_DOUBLE

/* ---- the rules in double ---------------------------------------------------------------------------------- */

static inline void mpe_double_reset(struct mpe *w, const struct mpe_rules *rules, struct pcg64 *rng)
{
    rule_real *uniform = mpe_position(w, rules);
    const int numbers = mpe_start_numbers(rules);
    for (int g = 0; g < rules->goals; g++) w->goal[g] = (int16_t)pcg64_below(rng, (uint64_t)rules->landmarks);
    for (int i = 0; i < numbers; i++) {
        const int l = i / 2 - rules->agents;
        if (rules->types && l >= 0 && i % 2 == 0) mpe_type(w, rules)[rules->agents + l] = (int32_t)pcg64_below(rng, (uint64_t)rules->types);
        uniform[i] = pcg64_unit(rng);
    }
    for (int i = numbers - 2 * rules->redrawn; i < numbers; i++) uniform[i] = pcg64_unit(rng);
    mpe_place(w, rules);
}

/* Where treasure that was picked up will come back: by a copy of the generator as it was before the start. */
static inline void mpe_double_wait(struct mpe *w, const struct mpe_rules *rules, struct pcg64 *again)
{
    const double range = rules->landmark[0].range;
    int32_t *type = mpe_type(w, rules) + rules->agents;
    for (int l = 0; l < rules->landmarks; l++) {
        if (type[l] >= 0) continue;
        pcg64_unit(again);
        for (int k = 0; k < 2; k++) mpe_landmark(w, rules)[2 * l + k] = -range + 2 * range * pcg64_unit(again);
        type[l] = ~(int32_t)pcg64_below(again, (uint64_t)rules->types);
    }
}

/* What the rules made of a case, beside what was recorded. */
struct mpe_found {
    double *position, *velocity, *landmark, *type, *utterance, *obs, *reward, *terminated, *truncated;
};

/* What all agents see, in a row. */
static inline void mpe_double_observe(const struct mpe_case *c, const struct mpe *w, double *out)
{
    float *obs = calloc(c->obs_size, sizeof *obs);
    struct rule_io io = {0};
    for (int g = 0; g < c->groups; g++) io.group[g].obs = obs + c->obs_at[g];
    (c->task->step == spread_step ? spread_observe : mpe_observe_world)(w, &c->rules, &io);
    for (size_t i = 0; i < c->obs_size; i++) out[i] = (double)obs[i];
    free(obs);
}

static inline void mpe_found_treasure(struct mpe_found *found, const struct mpe_case *c, const struct mpe *w, size_t row)
{
    const struct mpe_rules *r = &c->rules;
    const int32_t *type = mpe_type(w, r);
    double *to = found->type + row * (size_t)(r->agents + r->landmarks), *position = found->landmark + row * 2 * (size_t)r->landmarks;
    for (int i = 0; i < r->agents + r->landmarks; i++) to[i] = type[i] < 0 ? -1 : type[i];
    for (int i = 0; i < 2 * r->landmarks; i++) position[i] = type[r->agents + i / 2] < 0 ? MPE_GONE : mpe_landmark(w, r)[i];
}

static inline void mpe_found_state(struct mpe_found *found, const struct mpe_case *c, const struct mpe *w, int e, int t)
{
    const struct mpe_rules *r = &c->rules;
    const size_t row = mpe_case_row(c, e, t), n = 2 * (size_t)r->agents, said = (size_t)(r->speakers * r->words);
    memcpy(found->position + row * n, mpe_position(w, r), n * sizeof(double));
    memcpy(found->velocity + row * n, mpe_velocity(w), n * sizeof(double));
    memcpy(found->utterance + row * said, mpe_utterance(w, r), said * sizeof(double));
    if (r->types) mpe_found_treasure(found, c, w, row);
    mpe_double_observe(c, w, found->obs + row * c->obs_size);
}

static inline void mpe_double_episode(struct mpe_found *found, const struct mpe_case *c, int e)
{
    const int n = c->rules.agents;
    struct mpe *w = calloc(1, mpe_bytes(&c->rules));
    struct pcg64 rng = {0}, again = {0};
    mpe_case_inject(c, w, e, 0);
    if (c->seeded) {
        pcg64_seed(&rng, (uint64_t)c->seed.data[e]);
        again = rng;
        mpe_double_reset(w, &c->rules, &rng);
    }
    mpe_found_state(found, c, w, e, 0);
    for (int t = 0; t < c->steps; t++) {
        int32_t integers[MPE_KINDS][2 * MPE_MAX_AGENTS], *const act_int[] = {integers[0], integers[1], integers[2]};
        float reals[MPE_KINDS][16 * MPE_MAX_AGENTS], *const act_real[] = {reals[0], reals[1], reals[2]};
        const int row = (e * c->steps + t) * n;
        struct rule_io io = {0};
        mpe_case_action(c, e, t, act_int, act_real);
        for (int g = 0; g < c->groups; g++) {
            io.group[g].act_int = act_int[g];
            io.group[g].act_real = act_real[g];
            io.group[g].reward = found->reward + row + c->first[g];
        }
        const int end = c->task->step ? c->task->step(w, &c->rules, &io) : mpe_step_of(w, &c->rules, c->task->score, c->task->infos, &io);
        if (c->rules.types && c->seeded) mpe_double_wait(w, &c->rules, &again);
        if (c->rules.types && !c->seeded) mpe_case_wait(c, w, e, t + 1);
        for (int i = 0; i < n; i++) {
            found->terminated[row + i] = end == MAPPO_TERMINATED;
            found->truncated[row + i] = end == MAPPO_TRUNCATED;
        }
        mpe_found_state(found, c, w, e, t + 1);
    }
    free(w);
}

/* Starts by themselves, exactly: `count` resets one after the other, each from its own seed (NULL: the generator goes on from a reset with
 * that of episode 0). */
static inline void mpe_double_starts(struct parity_report *report, const struct mpe_case *c, const double *seed, size_t count,
                                     const char *const name[4])
{
    const struct mpe_rules *r = &c->rules;
    struct golden_array agents = env_read(c->of, name[0]), landmarks = env_read(c->of, name[1]), goals = env_read(c->of, name[2]);
    struct golden_array obs = env_read(c->of, name[3]);
    const size_t n = 2 * (size_t)r->agents, l = 2 * (size_t)r->landmarks, g = (size_t)r->goals, step = agents.count / (count * n);
    const size_t landmark_step = landmarks.count / (count * l);
    double *found = calloc(agents.count + landmarks.count + goals.count + obs.count, sizeof *found);
    double *found_landmarks = found + agents.count, *found_goals = found_landmarks + landmarks.count,
           *found_obs = found_goals + goals.count;
    struct mpe *w = calloc(1, mpe_bytes(r));
    struct pcg64 rng;
    pcg64_seed(&rng, (uint64_t)c->seed.data[0]);
    if (!seed) mpe_double_reset(w, r, &rng);
    memcpy(found, agents.data, agents.count * sizeof *found); /* episodes go on where starts alone are looked at */
    memcpy(found_landmarks, landmarks.data, landmarks.count * sizeof *found);
    for (size_t k = 0; k < count; k++) {
        if (seed) pcg64_seed(&rng, (uint64_t)seed[k]);
        mpe_double_reset(w, r, &rng);
        memcpy(found + k * step * n, mpe_position(w, r), n * sizeof *found);
        memcpy(found_landmarks + k * landmark_step * l, mpe_landmark(w, r), l * sizeof *found);
        for (size_t i = 0; i < g; i++) found_goals[k * g + i] = w->goal[i];
        if (!seed) mpe_double_observe(c, w, found_obs + k * c->obs_size);
    }
    env_compare(report, c->of, seed ? "start" : name[0], found, &agents, env_exact);
    env_compare(report, c->of, name[1], found_landmarks, &landmarks, env_exact);
    env_compare(report, c->of, name[2], found_goals, &goals, env_exact);
    if (!seed) env_compare(report, c->of, name[3], found_obs, &obs, env_rounded);
    free(w);
    free(found);
    golden_free(&agents);
    golden_free(&landmarks);
    golden_free(&goals);
    golden_free(&obs);
}

static inline void mpe_case_check(struct parity_report *report, const struct mpe_case *c)
{
    static const char *const starts[4] = {"agent_pos", "landmark_pos", "goal", "obs"};
    static const char *const further[4] = {"next_agent_pos", "next_landmark_pos", "next_goal", "next_obs"};
    struct mpe_found found = {.position = calloc(c->agent_pos.count, sizeof(double)),
                              .velocity = calloc(c->agent_vel.count, sizeof(double)),
                              .landmark = calloc(c->landmark_pos.count, sizeof(double)),
                              .type = calloc(c->type.count + 1, sizeof(double)),
                              .utterance = calloc(c->utterance.count + 1, sizeof(double)),
                              .obs = calloc(c->obs.count, sizeof(double)),
                              .reward = calloc(c->reward.count, sizeof(double)),
                              .terminated = calloc(c->reward.count, sizeof(double)),
                              .truncated = calloc(c->reward.count, sizeof(double))};
    for (int e = 0; e < c->episodes; e++) mpe_double_episode(&found, c, e);
    env_compare(report, c->of, "agent_pos", found.position, &c->agent_pos, env_trajectory);
    env_compare(report, c->of, "agent_vel", found.velocity, &c->agent_vel, env_trajectory);
    if (c->rules.types) env_compare(report, c->of, "landmark_pos", found.landmark, &c->landmark_pos, env_trajectory);
    env_compare(report, c->of, "type", found.type, &c->type, env_exact);
    env_compare(report, c->of, "utterance", found.utterance, &c->utterance, env_exact);
    env_compare(report, c->of, "obs", found.obs, &c->obs, env_rounded);
    env_compare(report, c->of, "reward", found.reward, &c->reward, env_trajectory);
    env_compare(report, c->of, "terminated", found.terminated, &c->terminated, env_exact);
    env_compare(report, c->of, "truncated", found.truncated, &c->truncated, env_exact);
    env_compare(report, c->of, "done", found.truncated, &c->done, env_exact); /* on-policy: set by its time limit only */
    if (c->seeded) {
        struct golden_array next = env_read(c->of, further[0]);
        mpe_double_starts(report, c, c->seed.data, (size_t)c->episodes, starts);
        if (next.data) mpe_double_starts(report, c, NULL, next.shape[0], further);
        golden_free(&next);
    }
    double *const all[] = {found.position, found.velocity, found.landmark,   found.type,     found.utterance,
                           found.obs,      found.reward,   found.terminated, found.truncated};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
}

#else

/* ---- the float environment, through the vecenv ------------------------------------------------------------ */

/* Whether rounding may decide a comparison where step t has led: an agent is about to touch something. */
static inline bool mpe_case_near(const struct mpe_case *c, int e, int t)
{
    const struct mpe_rules *r = &c->rules;
    const double *agent = c->agent_pos.data + mpe_case_row(c, e, t + 1) * 2 * (size_t)r->agents;
    const double *landmark = mpe_case_landmarks(c, e, t); /* treasure is picked up where it was */
    for (int k = 0, a = 0; k < MPE_KINDS; k++) {
        for (int i = 0; i < r->agent[k].count; i++, a++) {
            for (int m = 0, b = 0; m < 2 * MPE_KINDS; m++) {
                const struct mpe_kind *kind = m < MPE_KINDS ? &r->agent[m] : &r->landmark[m - MPE_KINDS];
                for (int j = 0; j < kind->count; j++, b++) {
                    const double *other = b < r->agents ? &agent[2 * b] : &landmark[2 * (b - r->agents)];
                    const double gap =
                        hypot(agent[2 * a] - other[0], agent[2 * a + 1] - other[1]) - (double)(r->agent[k].size + kind->size);
                    if (a != b && fabs(gap) < env_near) return true;
                }
            }
        }
    }
    return false;
}

static inline bool mpe_batch_open(struct env_batch *b, const struct mpe_case *c, struct parity_report *report)
{
    char name[64], text[MPE_COUNTS + 4][32];
    struct env_option option[MPE_COUNTS + 9] = {{"rules", mpe_rule_sets[c->rules.rule_set]},
                                                {"max_cycles", text[0]},
                                                {"continuous_actions", c->rules.actions == MPE_CONTINUOUS ? "1" : "0"},
                                                {"soft_actions", c->rules.actions == MPE_SOFT ? "1" : "0"}};
    int options = 4;
    text_format(name, sizeof name, "mpe/%s", c->task->name);
    text_format(text[0], sizeof text[0], "%d", c->rules.max_cycles);
    text_format(text[1], sizeof text[1], "%d", c->rules.agent_neighbors);
    text_format(text[2], sizeof text[2], "%d", c->rules.landmark_neighbors);
    text_format(text[3], sizeof text[3], "%.17g", c->rules.local_ratio);
    if (c->rules.success_ends) option[options++] = (struct env_option){"terminate_on_success", "1"};
    if (c->rules.stage >= 0) option[options++] = (struct env_option){"curriculum", "1"};
    if (c->rules.agent_neighbors >= 0) option[options++] = (struct env_option){"num_agent_neighbors", text[1]};
    if (c->rules.landmark_neighbors >= 0) option[options++] = (struct env_option){"num_landmark_neighbors", text[2]};
    if (c->rules.local_ratio != 0.5) option[options++] = (struct env_option){"local_ratio", text[3]};
    for (int k = 0; k < MPE_COUNTS && c->task->count[k].option; k++) {
        text_format(text[4 + k], sizeof text[4 + k], "%d", c->count[k]);
        option[options++] = (struct env_option){c->task->count[k].option, text[4 + k]};
    }
    return env_batch_open(b, c->of, name, option, options, c->episodes, report);
}

static inline bool mpe_batch_inject(struct env_copy *copy, const struct env_batch *b, const struct mpe_case *c, int e, int t)
{
    if (!env_copy_take(copy, b, e)) return false;
    mpe_case_inject(c, env_copy_bytes(copy), e, t);
    return env_copy_put(copy, b, e);
}

/* What followed in environment e from step t, or the recorded numbers where rounding may decide. */
static inline void mpe_batch_take(const struct env_batch *b, const struct mpe_case *c, int e, int t, double *obs, double *reward,
                                  double *ended)
{
    const size_t n = (size_t)c->rules.agents, row = (size_t)e * (size_t)c->steps + (size_t)t;
    const size_t next = ((size_t)e * (size_t)(c->steps + 1) + (size_t)t + 1) * c->obs_size;
    for (size_t i = 0; i < n; i++) ended[row * n + i] = b->io.ep_end[e] == MAPPO_TRUNCATED;
    if (mpe_case_near(c, e, t)) {
        memcpy(reward + row * n, c->reward.data + row * n, n * sizeof *reward);
        memcpy(obs + next, c->obs.data + next, c->obs_size * sizeof *obs);
        return;
    }
    for (int g = 0; g < c->groups; g++) {
        const struct mappo_group_io *io = &b->io.group[g];
        const size_t agents = (size_t)c->kind[g].count, numbers = agents * (size_t)b->size[g].obs;
        const float *seen = (b->io.ep_end[e] ? io->final_obs : io->obs) + (size_t)e * numbers;
        for (size_t i = 0; i < numbers; i++) obs[next + c->obs_at[g] + i] = (double)seen[i];
        for (size_t i = 0; i < agents; i++) reward[row * n + (size_t)c->first[g] + i] = (double)io->reward[(size_t)e * agents + i];
    }
}

/* Every step of every episode from its recorded state. */
static inline bool mpe_batch_run(struct env_batch *b, const struct mpe_case *c, double *obs, double *reward, double *ended)
{
    struct env_copy copy = {0};
    bool taken = true;
    for (int t = 0; t < c->steps && taken; t++) {
        for (int e = 0; e < c->episodes && taken; e++) {
            int32_t *act_int[MPE_KINDS];
            float *act_real[MPE_KINDS];
            for (int g = 0; g < c->groups; g++) {
                const int agents = c->kind[g].count;
                act_int[g] = b->act_int[g] + (size_t)(e * agents * (mpe_split(&c->rules, &c->kind[g]) ? 2 : 1));
                act_real[g] = b->act_real[g] + (size_t)(e * agents * mpe_action_reals(&c->rules, &c->kind[g]));
            }
            taken = mpe_batch_inject(&copy, b, c, e, t);
            mpe_case_action(c, e, t, act_int, act_real);
        }
        taken = taken && vecenv_step(b->env, &b->io, NULL) == 0;
        for (int e = 0; e < c->episodes && taken; e++) mpe_batch_take(b, c, e, t, obs, reward, ended);
    }
    env_copy_free(&copy);
    return taken;
}

static inline void mpe_case_check(struct parity_report *report, const struct mpe_case *c)
{
    struct env_batch b;
    if (!mpe_batch_open(&b, c, report)) return;
    double *obs = calloc(c->obs.count, sizeof *obs), *reward = calloc(2 * c->reward.count, sizeof *reward),
           *ended = reward + c->reward.count;
    size_t size = 0;
    for (int g = 0; g < b.spec->groups; g++) size += (size_t)b.size[g].agents * (size_t)b.size[g].obs;
    memcpy(obs, c->obs.data, c->obs.count * sizeof *obs); /* the starts are given, not computed */
    if (b.spec->groups != c->groups || size != c->obs_size) {
        env_fail_shapes(report, c->of);
    } else if (!mpe_batch_run(&b, c, obs, reward, ended)) {
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

#endif

/* ---- the suite -------------------------------------------------------------------------------------------- */

static inline bool env_mpe_has(const struct env_case *c)
{
    static const char *const known[] = {"N",
                                        "num_good",
                                        "num_adversaries",
                                        "num_obstacles",
                                        "num_food",
                                        "num_forests",
                                        "num_collectors",
                                        "num_deposits",
                                        "num_treasures",
                                        "local_ratio",
                                        "max_cycles",
                                        "continuous_actions",
                                        "curriculum",
                                        "terminate_on_success",
                                        "num_agent_neighbors",
                                        "num_landmark_neighbors",
                                        "num_agents",
                                        "num_good_agents",
                                        "num_landmarks",
                                        "episode_length",
                                        NULL};
    int32_t rule_set;
    return mpe_task_of(c->environment, &rule_set) && env_kwargs_known(c->kwargs, known);
}

static inline void env_mpe_check(struct parity_report *report, const struct env_case *of)
{
    struct mpe_case c;
    if (mpe_case_open(&c, of))
        mpe_case_check(report, &c);
    else
        env_fail_shapes(report, of);
    mpe_case_close(&c);
}

static const struct env_suite env_mpe = {env_mpe_has, env_mpe_check};

#endif
