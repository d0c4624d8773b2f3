/* mpe/simple_spread: what the host needs around the rules of simple_spread.h: options, spaces, meanings, the scripted player, drawing. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "envs/mpe/simple_spread_lane.h"
#include "envs/mpe/suite.h"

enum spread_option {
    OPTION_RULES,
    OPTION_N,
    OPTION_LOCAL_RATIO,
    OPTION_MAX_CYCLES,
    OPTION_CONTINUOUS,
    OPTION_CURRICULUM,
    OPTION_CURRICULUM_STAGE,
    OPTION_TERMINATE,
    OPTION_AGENT_NEIGHBORS,
    OPTION_LANDMARK_NEIGHBORS
};

static const char *const rule_sets[] = {"mpe2", "on-policy", NULL};
static const struct mappo_option options[] = {
    {"rules", MAPPO_OPTION_CHOICE, "mpe2", 0, 0, rule_sets,
     "mpe2: today's package; on-policy: the reference MAPPO's own copy, whose returns papers report"},
    {"N", MAPPO_OPTION_INT, "3", 1, SPREAD_MAX_AGENTS, NULL, "agents, and as many landmarks"},
    {"local_ratio", MAPPO_OPTION_REAL, "0.5", 0, 1, NULL,
     "share of the agent's own collisions in its reward; the rest is the team's (mpe2)"},
    {"max_cycles", MAPPO_OPTION_INT, "25", 1, 1e6, NULL, "steps of an episode"},
    {"continuous_actions", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "actions are Box(0, 1, 5) instead of Discrete(5)"},
    {"curriculum", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "train in stages (mpe2)"},
    {"curriculum_stage", MAPPO_OPTION_INT, "0", 0, 1, NULL, "with curriculum: 0 = collisions cost nothing, 1 = they do (mpe2)"},
    {"terminate_on_success", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "the episode ends once every landmark has an agent within 0.1 (mpe2)"},
    {"num_agent_neighbors", MAPPO_OPTION_INT, "none", 1, SPREAD_MAX_AGENTS, NULL,
     "an agent sees only so many nearest others; none = all (mpe2)"},
    {"num_landmark_neighbors", MAPPO_OPTION_INT, "none", 1, SPREAD_MAX_AGENTS, NULL,
     "an agent sees only so many nearest landmarks; none = all (mpe2)"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static const struct mappo_info infos[SPREAD_INFOS] = {
    [SPREAD_COLLISIONS] = {"collisions", "pairs", "pairs of agents that touch after a step", 0},
    [SPREAD_MIN_DISTS] = {"min_dists", "field", "sum over landmarks of the distance to the nearest agent", 0},
    [SPREAD_OCCUPIED] = {"occupied_landmarks", "landmarks", "landmarks with an agent within 0.1", 0}};

struct spread_env {
    struct spread_rules rules;
    struct lane_batch batch;
    struct mappo_env_spec spec;
    struct mpe_meanings meanings;
};

/* ---- loops over a range --------------------------------------------------------------------------------- */

static __attribute__((flatten)) void step_usual(const struct spread_env *env, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    struct spread_rules rules = env->rules;
    spread_make_usual(&rules);
    lane_step_spread(&env->batch, &rules, lo, hi, io);
}

static int spread_env_reset(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    const struct spread_env *env = self;
    (void)error;
    lane_reset_spread(&env->batch, &env->rules, lo, hi, io);
    return 0;
}

static int spread_env_step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    const struct spread_env *env = self;
    const struct spread_rules *rules = &env->rules;
    (void)error;
    if (spread_is_usual(rules))
        step_usual(env, lo, hi, io);
    else
        lane_step_spread(&env->batch, rules, lo, hi, io);
    return 0;
}

static int spread_env_observe(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    const struct spread_env *env = self;
    lane_observe_spread(&env->batch, &env->rules, lo, hi, io);
    return 0;
}

static int spread_env_device(void *self, struct mappo_device *out)
{
    const struct spread_env *env = self;
    return lane_offer(out, &env->batch, &env->rules);
}

/* ---- creation --------------------------------------------------------------------------------------------- */

static int read_rules(struct spread_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    rules->rule_set = (int32_t)value[OPTION_RULES].i;
    rules->agents = (int32_t)value[OPTION_N].i;
    rules->max_cycles = (int32_t)value[OPTION_MAX_CYCLES].i;
    rules->continuous = (int32_t)value[OPTION_CONTINUOUS].i;
    rules->collision_penalty = !value[OPTION_CURRICULUM].i || value[OPTION_CURRICULUM_STAGE].i > 0;
    rules->success_ends = (int32_t)value[OPTION_TERMINATE].i;
    rules->agent_neighbors = value[OPTION_AGENT_NEIGHBORS].i == INT64_MIN ? -1 : (int32_t)value[OPTION_AGENT_NEIGHBORS].i;
    rules->landmark_neighbors = value[OPTION_LANDMARK_NEIGHBORS].i == INT64_MIN ? -1 : (int32_t)value[OPTION_LANDMARK_NEIGHBORS].i;
    rules->local_ratio = value[OPTION_LOCAL_RATIO].r;
    if (value[OPTION_CURRICULUM_STAGE].i > 0 && !value[OPTION_CURRICULUM].i)
        return mpe_refuse(error, "option curriculum_stage has a meaning only with curriculum=1");
    if (rules->rule_set != SPREAD_ON_POLICY) return 0;
    /* an option that the rules in force don't have must not be swallowed */
    const char *stranger = rules->local_ratio != 0.5        ? "local_ratio"
                           : value[OPTION_CURRICULUM].i     ? "curriculum"
                           : rules->success_ends            ? "terminate_on_success"
                           : rules->agent_neighbors >= 0    ? "num_agent_neighbors"
                           : rules->landmark_neighbors >= 0 ? "num_landmark_neighbors"
                                                            : NULL;
    return stranger ? mpe_refuse(error, "option %s belongs to rules=mpe2; rules=on-policy doesn't have it", stranger) : 0;
}

static void describe_spec(struct spread_env *env)
{
    const struct spread_rules *rules = &env->rules;
    struct mappo_env_spec *spec = &env->spec;
    struct mappo_group *group = &spec->group[0];
    const bool on_policy = rules->rule_set == SPREAD_ON_POLICY;
    spec->struct_size = sizeof *spec;
    spec->groups = 1;
    spec->state_size = rules->agents * spread_obs_size(rules);
    spec->state_is_all_obs = 1;
    spec->infos = SPREAD_INFOS;
    spec->info = infos;
    spec->max_steps = rules->max_cycles;
    spec->rules = rule_sets[rules->rule_set];
    spec->return_help =
        on_policy
            ? "sum over the episode of the team's reward: minus, over agents, the distances to the landmarks and 1 per contact (itself too)"
            : "sum over the episode of an agent's reward (mean over agents): a mix of minus the distances and minus its collisions";
    spec->snapshot_bytes = spread_bytes(rules, sizeof(float));
    group->name = "agent";
    group->agents = rules->agents;
    group->flags = on_policy || rules->agents == 1 ? MAPPO_SHARED_REWARD : 0;
    group->obs_heads = group->act_heads = 1;
    group->obs[0] = (struct mappo_space){
        .kind = MAPPO_BOX, .size = spread_obs_size(rules), .meanings = env->meanings.count, .meaning = env->meanings.meaning};
    group->act[0] = mpe_movement_space(rules->continuous, on_policy);
}

static int describe_obs(struct mpe_meanings *meanings, const struct spread_rules *rules)
{
    const int landmarks = spread_seen_landmarks(rules), others = spread_seen_agents(rules);
    const char *landmark = rules->landmark_neighbors < 0 ? "landmark" : "nearest landmark",
               *other = rules->agent_neighbors < 0 ? "other" : "nearest other";
    if (mpe_meanings_create(meanings, spread_obs_size(rules))) return -1;
    mpe_meaning_xy(meanings, "field/s", "own velocity");
    mpe_meaning_xy(meanings, "field", "own position");
    for (int l = 0; l < landmarks; l++) mpe_meaning_xy(meanings, "field", "%s %d, relative", landmark, l);
    for (int j = 0; j < others; j++) mpe_meaning_xy(meanings, "field", "%s %d, relative", other, j);
    for (int j = 0; j < others; j++)
        for (int k = 0; k < 2; k++) mpe_meaning(meanings, NULL, "utterance %d of %s %d (always 0)", k, other, j);
    return 0;
}

static void spread_env_destroy(void *self)
{
    struct spread_env *env = self;
    if (!env) return;
    free(env->batch.states);
    mpe_meanings_destroy(&env->meanings);
    free(env);
}

static int spread_env_create(const struct mappo_env_config *config, void **self, struct mappo_env_error *error)
{
    struct spread_env *env = calloc(1, sizeof *env);
    *self = NULL;
    if (!env) return mpe_refuse(error, "out of memory");
    if (read_rules(&env->rules, config->option, error)) {
        free(env);
        return -1;
    }
    if (describe_obs(&env->meanings, &env->rules) == 0) {
        describe_spec(env);
        if (lane_batch_create(&env->batch, config->envs, env->spec.snapshot_bytes, &env->spec) == 0) *self = env;
    }
    if (!*self) {
        spread_env_destroy(env);
        return mpe_refuse(error, "out of memory for %d environments of %d agents", config->envs, (int)config->option[OPTION_N].i);
    }
    for (int32_t e = 0; e < config->envs; e++) {
        struct spread *w = lane_state(&env->batch, e);
        philox_start(&w->rng, config->seed, config->stream, config->first_env + (uint32_t)e);
    }
    return 0;
}

static const struct mappo_env_spec *spread_env_spec(const void *self)
{
    return &((const struct spread_env *)self)->spec;
}

/* ---- snapshots, scripted player, drawing ------------------------------------------------------------------ */

static int spread_env_snapshot(const void *self, int32_t e, void *bytes)
{
    return lane_snapshot(&((const struct spread_env *)self)->batch, e, bytes);
}

static int spread_env_restore(void *self, int32_t e, const void *bytes, struct mappo_env_error *error)
{
    struct spread_env *env = self;
    struct spread *w = lane_state(&env->batch, e), head;
    memcpy(&head, bytes, sizeof head);
    if (lane_check_philox(&head.rng, &w->rng))
        return mpe_refuse(error, "the snapshot's generator is not this environment's (seed, stream or index)");
    if (head.steps < 0 || head.steps >= env->rules.max_cycles)
        return mpe_refuse(error, "the snapshot's step %d is outside the episode", head.steps);
    for (int i = 0; i < 6 * env->rules.agents; i++) {
        float x;
        memcpy(&x, (const char *)bytes + sizeof head + (size_t)i * sizeof x, sizeof x);
        if (!isfinite(x)) return mpe_refuse(error, "number %d of the snapshot is not finite", i);
    }
    memcpy(w, bytes, env->batch.stride);
    return 0;
}

/* Assigns the agents to the landmarks with the least sum of distances, anew at each step, then moves each along the axis where it is
 * farthest from where its velocity will carry it, and rests once that is under 0.02. */
static int spread_env_script(void *self, int32_t lo, int32_t hi, int32_t *const act_int[], float *const act_real[])
{
    const struct spread_env *env = self;
    const struct spread_rules *rules = &env->rules;
    const int n = rules->agents, sign = rules->rule_set == SPREAD_ON_POLICY;
    for (int32_t e = lo; e < hi; e++) {
        const struct spread *w = lane_state(&env->batch, e);
        const float *velocity = spread_velocity_float(w), *position = spread_position_float(w, n), *landmark = spread_landmark_float(w, n);
        int target[SPREAD_MAX_AGENTS];
        mpe_assign(n, position, landmark, target);
        for (int i = 0; i < n; i++) {
            const float dx = landmark[2 * target[i]] - position[2 * i] - 0.1f * velocity[2 * i];
            const float dy = landmark[2 * target[i] + 1] - position[2 * i + 1] - 0.1f * velocity[2 * i + 1];
            const float far = fabsf(dx) > fabsf(dy) ? dx : dy;
            int move = 0;
            if (fabsf(far) >= 0.02f) move = (fabsf(dx) > fabsf(dy) ? 1 : 3) + ((far > 0) != sign);
            const size_t row = (size_t)e * (size_t)n + (size_t)i;
            if (rules->continuous) {
                for (int k = 0; k < MPE_MOVES; k++) act_real[0][row * MPE_MOVES + (size_t)k] = k == move && k > 0;
            } else {
                act_int[0][row] = move;
            }
        }
    }
    return 0;
}

static int spread_env_draw(const void *self, int32_t e, const struct mappo_canvas *canvas)
{
    const struct spread_env *env = self;
    const struct spread *w = lane_state(&env->batch, e);
    const int n = env->rules.agents;
    const float *position = spread_position_float(w, n), *landmark = spread_landmark_float(w, n);
    canvas->view(canvas->self, -1.5, -1.5, 1.5, 1.5);
    for (int i = 0; i < n; i++)
        canvas->circle(canvas->self, position[2 * i], position[2 * i + 1], SPREAD_AGENT_SIZE, 0x5959d9c0u, 0x26265cffu);
    for (int l = 0; l < n; l++)
        canvas->circle(canvas->self, landmark[2 * l], landmark[2 * l + 1], SPREAD_LANDMARK_SIZE, 0x404040ffu, 0x000000ffu);
    return 0;
}

static const char *const aliases[] = {"simple_spread_v3",      "simple_spread",        "MPE_simple_spread_v3",
                                      "mpe2/simple_spread_v3", "mpe/simple_spread_v3", NULL};

const struct mappo_env mpe_simple_spread = {
    .struct_size = sizeof(struct mappo_env),
    .id = "mpe/simple_spread",
    .alias = aliases,
    .summary = "N agents cover N landmarks without bumping into each other",
    .source = "Lowe et al. 2017; mpe2 1.1 (simple_spread_v3); marlbenchmark/on-policy, onpolicy/envs/mpe",
    .version = 1,
    .option = options,
    .create = spread_env_create,
    .destroy = spread_env_destroy,
    .spec = spread_env_spec,
    .reset = spread_env_reset,
    .step = spread_env_step,
    .snapshot = spread_env_snapshot,
    .restore = spread_env_restore,
    .observe = spread_env_observe,
    .script = spread_env_script,
    .draw = spread_env_draw,
    .device = spread_env_device,
};
