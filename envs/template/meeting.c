/* meeting: N agents on a line of cells try to meet. A complete environment to copy: docs/env-abi.md goes through it.
 *
 *     cc -std=c11 -O3 -shared -fPIC -Isrc -o meeting.so envs/template/meeting.c
 *     mappo env=./meeting.so env.N=4 */
#include <stdlib.h>
#include <string.h>

#include "env/lane.h"
#include "env/mappo_env.h"

enum { MAX_AGENTS = 16, OBS = 3, MOVES = 3 };

/* ---- the rules: constants, the state of one copy, and three functions on it ------------------------------- */

struct meeting_rules {
    int32_t agents, cells, max_steps;
};

struct meeting { /* plain data without padding: its bytes are its snapshot */
    struct philox rng;
    int32_t steps, spare;
    int32_t cell[MAX_AGENTS];
};

MAPPO_FN int32_t meeting_spread(const struct meeting *w, const struct meeting_rules *rules) /* cells between the first agent and the last */
{
    int32_t low = w->cell[0], high = w->cell[0];
    for (int i = 1; i < rules->agents; i++) {
        low = w->cell[i] < low ? w->cell[i] : low;
        high = w->cell[i] > high ? w->cell[i] : high;
    }
    return high - low;
}

MAPPO_FN void meeting_lane_reset(struct meeting *w, const struct meeting_rules *rules)
{
    w->steps = 0;
    for (int i = 0; i < rules->agents; i++) w->cell[i] = philox_below(&w->rng, rules->cells);
}

/* Writes reward, terminated and info of the step; returns what ep_end gets. */
MAPPO_FN int meeting_lane_step(struct meeting *w, const struct meeting_rules *rules, const struct mappo_env_io *io)
{
    const struct mappo_group_io *group = &io->group[0];
    for (int i = 0; i < rules->agents; i++) {
        const int32_t cell = w->cell[i] + group->act_int[i] - 1; /* 0 left, 1 stay, 2 right */
        w->cell[i] = cell < 0 ? 0 : cell >= rules->cells ? rules->cells - 1 : cell;
    }
    w->steps++;
    const int32_t spread = meeting_spread(w, rules);
    const int met = spread == 0;
    for (int i = 0; i < rules->agents; i++) {
        if (group->reward) group->reward[i] = -(float)spread / (float)rules->cells;
        if (group->terminated) group->terminated[i] = (uint8_t)met;
    }
    if (io->info) io->info[0] = (float)met;
    return met ? MAPPO_TERMINATED : w->steps >= rules->max_steps ? MAPPO_TRUNCATED : MAPPO_RUNNING;
}

/* Writes what the agents see now. */
MAPPO_FN void meeting_lane_observe(const struct meeting *w, const struct meeting_rules *rules, const struct mappo_env_io *io)
{
    float mean = 0;
    if (!io->group[0].obs) return;
    for (int i = 0; i < rules->agents; i++) mean += (float)w->cell[i] / (float)rules->agents;
    for (int i = 0; i < rules->agents; i++) {
        float *obs = io->group[0].obs + i * OBS;
        obs[0] = (float)w->cell[i] / (float)rules->cells;
        obs[1] = (mean - (float)w->cell[i]) / (float)rules->cells;
        obs[2] = (float)w->steps / (float)rules->max_steps;
    }
}

LANE_LOOPS(meeting, struct meeting, struct meeting_rules,
           1) /* 1 group: makes lane_reset_meeting, lane_step_meeting, lane_observe_meeting */

/* ---- what it looks like ----------------------------------------------------------------------------------- */

enum { OPTION_N, OPTION_CELLS, OPTION_MAX_STEPS };
static const struct mappo_option options[] = {{"N", MAPPO_OPTION_INT, "3", 1, MAX_AGENTS, NULL, "agents"},
                                              {"cells", MAPPO_OPTION_INT, "9", 2, 1000, NULL, "length of the line"},
                                              {"max_steps", MAPPO_OPTION_INT, "20", 1, 10000, NULL, "steps of an episode"},
                                              {NULL, 0, NULL, 0, 0, NULL, NULL}};
static const struct mappo_info infos[] = {{"met", "episodes", "part of the episodes in which they met", 1}};
static const int32_t moves = MOVES;
static const float low[OBS] = {0, -1, 0}, high[OBS] = {1, 1, 1};
static const struct mappo_meaning seen[OBS] = {{"own cell", "line"}, {"mean cell, relative", "line"}, {"time", "episode"}};
static const struct mappo_meaning move_names[MOVES] = {{"left", NULL}, {"stay", NULL}, {"right", NULL}};

struct meeting_env {
    struct meeting_rules rules;
    struct mappo_env_spec spec;
    struct lane_batch batch;
};

static void destroy(void *self)
{
    struct meeting_env *env = self;
    free(env->batch.states);
    free(env);
}

static int create(const struct mappo_env_config *config, void **self, struct mappo_env_error *error)
{
    struct meeting_env *env = calloc(1, sizeof *env);
    *self = env;
    if (!env) return -1;
    env->rules.agents = (int32_t)config->option[OPTION_N].i; /* ranges were checked against the table */
    env->rules.cells = (int32_t)config->option[OPTION_CELLS].i;
    env->rules.max_steps = (int32_t)config->option[OPTION_MAX_STEPS].i;

    struct mappo_env_spec *spec = &env->spec;
    spec->struct_size = sizeof *spec;
    spec->groups = 1;
    spec->infos = 1;
    spec->info = infos;
    spec->max_steps = env->rules.max_steps;
    spec->rules = "meeting 1";
    spec->return_help = "minus the agents' spread in parts of the line, summed over the episode; 0 = met at once";
    spec->snapshot_bytes = sizeof(struct meeting);
    struct mappo_group *group = &spec->group[0];
    group->name = "agent";
    group->agents = env->rules.agents;
    group->flags = MAPPO_SHARED_REWARD;
    group->obs_heads = group->act_heads = 1;
    group->obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = OBS, .low = low, .high = high, .meanings = OBS, .meaning = seen};
    group->act[0] = (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = &moves, .meanings = MOVES, .meaning = move_names};

    if (lane_batch_create(&env->batch, config->envs, sizeof(struct meeting), spec)) {
        strcpy(error->text, "out of memory");
        *self = NULL;
        free(env);
        return -1;
    }
    for (int32_t e = 0; e < config->envs; e++) {
        struct meeting *w = lane_state(&env->batch, e);
        philox_start(&w->rng, config->seed, config->stream, config->first_env + (uint32_t)e);
    }
    return 0;
}

static const struct mappo_env_spec *spec_of(const void *self)
{
    return &((const struct meeting_env *)self)->spec;
}

/* ---- the loops over a range, snapshots -------------------------------------------------------------------- */

static int reset(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    const struct meeting_env *env = self;
    (void)error;
    lane_reset_meeting(&env->batch, &env->rules, lo, hi, io);
    return 0;
}

static int step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    const struct meeting_env *env = self;
    (void)error;
    lane_step_meeting(&env->batch, &env->rules, lo, hi, io);
    return 0;
}

static int observe(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    const struct meeting_env *env = self;
    lane_observe_meeting(&env->batch, &env->rules, lo, hi, io);
    return 0;
}

static int snapshot(const void *self, int32_t e, void *bytes)
{
    return lane_snapshot(&((const struct meeting_env *)self)->batch, e, bytes);
}

static int restore(void *self, int32_t e, const void *bytes, struct mappo_env_error *error) /* believes nothing that it reads */
{
    const struct meeting_env *env = self;
    struct meeting saved, *w = lane_state(&env->batch, e);
    memcpy(&saved, bytes, sizeof saved);
    int sound = saved.steps >= 0 && saved.steps < env->rules.max_steps && lane_check_philox(&saved.rng, &w->rng) == 0;
    for (int i = 0; i < env->rules.agents; i++) sound = sound && saved.cell[i] >= 0 && saved.cell[i] < env->rules.cells;
    if (!sound) {
        strcpy(error->text, "the snapshot holds a state that cannot be");
        return -1;
    }
    *w = saved;
    return 0;
}

/* ---- what the program looks for --------------------------------------------------------------------------- */

const uint32_t mappo_env_abi = MAPPO_ENV_ABI;
const struct mappo_env mappo_env_plugin = {
    .struct_size = sizeof(struct mappo_env),
    .id = "template/meeting",
    .summary = "N agents on a line try to meet",
    .source = "docs/env-abi.md",
    .version = 1,
    .option = options,
    .create = create,
    .destroy = destroy,
    .spec = spec_of,
    .reset = reset,
    .step = step,
    .observe = observe,
    .snapshot = snapshot,
    .restore = restore,
};
