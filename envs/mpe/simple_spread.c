/* mpe/simple_spread: what the host needs around the rules of simple_spread.h: options, spaces, the scripted player, drawing. */
#include "envs/mpe/simple_spread.h"
#include "env/lane_env.h"
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
     "fraction of the agent's own collisions in its reward; the rest is the team's (mpe2)"},
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

static const struct mappo_info infos[SPREAD_INFOS] = {{"collisions", "pairs", "pairs of agents that touch after a step", 0},
                                                      {"min_dists", "field", "sum over landmarks of the distance to the nearest agent", 0},
                                                      {"occupied_landmarks", "landmarks", "landmarks with an agent within 0.1", 0}};

/* ---- options and spaces ------------------------------------------------------------------------------------ */

static int spread_configure(struct spread_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
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
        return lane_refuse(error, "option curriculum_stage has a meaning only with curriculum=1");
    if (rules->rule_set != SPREAD_ON_POLICY) return 0;
    /* an option that the rules in force don't have must not be swallowed */
    const char *stranger = rules->local_ratio != 0.5        ? "local_ratio"
                           : value[OPTION_CURRICULUM].i     ? "curriculum"
                           : rules->success_ends            ? "terminate_on_success"
                           : rules->agent_neighbors >= 0    ? "num_agent_neighbors"
                           : rules->landmark_neighbors >= 0 ? "num_landmark_neighbors"
                                                            : NULL;
    return stranger ? lane_refuse(error, "option %s belongs to rules=mpe2; rules=on-policy doesn't have it", stranger) : 0;
}

static void spread_describe(struct description *d, const struct spread_rules *rules)
{
    const int on_policy = rules->rule_set == SPREAD_ON_POLICY, others = spread_seen_agents(rules);
    const char *landmark = rules->landmark_neighbors < 0 ? "landmark" : "nearest landmark",
               *other = rules->agent_neighbors < 0 ? "other" : "nearest other";
    d->spec.state_is_all_obs = 1;
    d->spec.infos = SPREAD_INFOS;
    d->spec.info = infos;
    d->spec.max_steps = rules->max_cycles;
    d->spec.rules = rule_sets[rules->rule_set];
    d->spec.return_help =
        on_policy
            ? "sum over the episode of the team's reward: minus, over agents, the distances to the landmarks and 1 per contact (itself too)"
            : "sum over the episode of an agent's reward (mean over agents): a mix of minus the distances and minus its collisions";
    describe_group(d, "agent", rules->agents, 0, on_policy || rules->agents == 1 ? MAPPO_SHARED_REWARD : 0);
    mpe_describe_xy(d, "field/s", "own velocity");
    mpe_describe_xy(d, "field", "own position");
    for (int l = 0; l < spread_seen_landmarks(rules); l++) mpe_describe_xy(d, "field", "%s %d, relative", landmark, l);
    for (int j = 0; j < others; j++) mpe_describe_xy(d, "field", "%s %d, relative", other, j);
    for (int j = 0; j < others; j++)
        for (int k = 0; k < 2; k++)
            describe_number(d, DESCRIBE_OBS, NULL, -INFINITY, INFINITY, "utterance %d of %s %d (always 0)", k, other, j);
    mpe_describe_movement(d, rules->continuous, on_policy);
}

/* ---- snapshots, scripted player, drawing ------------------------------------------------------------------ */

static int spread_sound(const struct spread *w, const struct spread_rules *rules)
{
    const rule_real *number = spread_velocity(w);
    int sound = w->steps >= 0 && w->steps < rules->max_cycles;
    for (int i = 0; i < 6 * rules->agents; i++) sound = sound && isfinite(number[i]);
    return sound;
}

/* Assigns the agents to the landmarks with the least sum of distances, anew at each step, then moves each along the axis where it is
 * farthest from where its velocity will carry it, and rests once that is under 0.02. */
static void spread_script(const struct spread *w, const struct spread_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    const int n = rules->agents, sign = rules->rule_set == SPREAD_ON_POLICY;
    const rule_real *velocity = spread_velocity(w), *position = spread_position(w, n), *landmark = spread_landmark(w, n);
    int target[SPREAD_MAX_AGENTS];
    mpe_assign(n, position, landmark, target);
    for (int i = 0; i < n; i++) {
        const float dx = landmark[2 * target[i]] - position[2 * i] - 0.1f * velocity[2 * i];
        const float dy = landmark[2 * target[i] + 1] - position[2 * i + 1] - 0.1f * velocity[2 * i + 1];
        const float far = fabsf(dx) > fabsf(dy) ? dx : dy;
        int move = 0;
        if (fabsf(far) >= 0.02f) move = (fabsf(dx) > fabsf(dy) ? 1 : 3) + ((far > 0) != sign);
        if (rules->continuous) {
            for (int k = 0; k < MPE_MOVES; k++) act_real[0][i * MPE_MOVES + k] = k == move && k > 0;
        } else {
            act_int[0][i] = move;
        }
    }
}

static void spread_draw(const struct spread *w, const struct spread_rules *rules, const struct mappo_canvas *canvas)
{
    const int n = rules->agents;
    const rule_real *position = spread_position(w, n), *landmark = spread_landmark(w, n);
    canvas->view(canvas->self, -1.5, -1.5, 1.5, 1.5);
    for (int i = 0; i < n; i++)
        canvas->circle(canvas->self, position[2 * i], position[2 * i + 1], SPREAD_AGENT_SIZE, 0x5959d9c0u, 0x26265cffu);
    for (int l = 0; l < n; l++)
        canvas->circle(canvas->self, landmark[2 * l], landmark[2 * l + 1], SPREAD_LANDMARK_SIZE, 0x404040ffu, 0x000000ffu);
}

static const char *const aliases[] = {"simple_spread_v3",      "simple_spread",        "MPE_simple_spread_v3",
                                      "mpe2/simple_spread_v3", "mpe/simple_spread_v3", NULL};

LANE_ENV(mpe_simple_spread, spread, 1, (observe, usual, bytes, sound, script, draw), .id = "mpe/simple_spread", .alias = aliases,
         .summary = "N agents cover N landmarks without bumping into each other",
         .source = "Lowe et al. 2017; mpe2 1.1 (simple_spread_v3); marlbenchmark/on-policy, onpolicy/envs/mpe", .version = 1,
         .option = options);
