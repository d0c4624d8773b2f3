/* test/busy: an environment whose step costs a chosen time of one core, for benchmarks of environments on the host and for tests that need
 * ranks to be stepping nearly always.
 *
 * The shapes are simple_spread's (3 agents, 18 observations, 5 moves, 25 steps), so that learning costs the same. Each agent sees a cue of
 * five (one-hot) among noise and is paid 1 for naming it. A core spins on the clock until the step's time is over: it does not sleep, and
 * nothing but the clock decides when it goes on. More threads than cores would thus share a core's time unnoticed. Host only. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "env/lane.h"
#include "env/mappo_env.h"

enum { BUSY_AGENTS = 3, BUSY_CUES = 5, BUSY_NOISE = 13, BUSY_OBS = BUSY_CUES + BUSY_NOISE };
enum busy_option { OPTION_MICROSECONDS, OPTION_MAX_CYCLES };

static const struct mappo_option options[] = {
    {"microseconds", MAPPO_OPTION_REAL, "10", 0, 1e6, NULL, "time of one core that a step of one environment takes"},
    {"max_cycles", MAPPO_OPTION_INT, "25", 1, 1e6, NULL, "steps of an episode"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

struct busy_rules {
    double seconds; /* of a step */
    int32_t max_cycles;
};

struct busy {
    struct philox rng;
    int32_t steps; /* of this episode */
    int32_t cue[BUSY_AGENTS];
    float noise[BUSY_AGENTS][BUSY_NOISE];
};

struct busy_env {
    struct busy_rules rules;
    struct lane_batch batch;
    struct mappo_env_spec spec;
};

/* ---- rules ------------------------------------------------------------------------------------------------ */

static void draw(struct busy *w)
{
    for (int a = 0; a < BUSY_AGENTS; a++) {
        w->cue[a] = philox_below(&w->rng, BUSY_CUES);
        for (int k = 0; k < BUSY_NOISE; k++) w->noise[a][k] = philox_uniform(&w->rng, -1, 1);
    }
}

static void busy_lane_reset(struct busy *w, const struct busy_rules *rules)
{
    (void)rules;
    w->steps = 0;
    draw(w);
}

static int busy_lane_step(struct busy *w, const struct busy_rules *rules, const struct mappo_env_io *io)
{
    const double start = clock_seconds();
    const struct mappo_group_io *group = &io->group[0];
    for (int a = 0; a < BUSY_AGENTS; a++) {
        if (group->reward) group->reward[a] = group->act_int[a] == w->cue[a] ? 1.0f : 0.0f;
        if (group->terminated) group->terminated[a] = 0;
    }
    draw(w);
    while (clock_seconds() - start < rules->seconds) continue;
    return ++w->steps >= rules->max_cycles ? MAPPO_TRUNCATED : MAPPO_RUNNING;
}

static void show(const struct busy *w, float *obs)
{
    for (int a = 0; a < BUSY_AGENTS; a++, obs += BUSY_OBS) {
        for (int k = 0; k < BUSY_CUES; k++) obs[k] = k == w->cue[a] ? 1.0f : 0.0f;
        memcpy(obs + BUSY_CUES, w->noise[a], sizeof w->noise[a]);
    }
}

static void busy_lane_observe(const struct busy *w, const struct busy_rules *rules, const struct mappo_env_io *io)
{
    (void)rules;
    if (io->group[0].obs) show(w, io->group[0].obs);
    if (io->state) show(w, io->state); /* all observations in a row */
}

LANE_LOOPS(busy, struct busy, struct busy_rules, 1)

/* ---- the descriptor's calls ------------------------------------------------------------------------------- */

static int refuse(struct mappo_env_error *error, const char *text)
{
    error->env = -1;
    strncpy(error->text, text, sizeof error->text - 1);
    return -1;
}

static void describe_spec(struct busy_env *env)
{
    static const int32_t cues = BUSY_CUES, zero = 0;
    struct mappo_env_spec *spec = &env->spec;
    spec->struct_size = sizeof *spec;
    spec->groups = 1;
    spec->state_size = BUSY_AGENTS * BUSY_OBS;
    spec->state_is_all_obs = 1;
    spec->max_steps = env->rules.max_cycles;
    spec->rules = "busy";
    spec->return_help = "cues named in the episode, mean over agents";
    spec->snapshot_bytes = sizeof(struct busy);
    spec->group[0] = (struct mappo_group){.name = "agent", .agents = BUSY_AGENTS, .obs_heads = 1, .act_heads = 1};
    spec->group[0].obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = BUSY_OBS};
    spec->group[0].act[0] = (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = &cues, .start = &zero};
}

static void busy_env_destroy(void *self)
{
    struct busy_env *env = self;
    if (env) free(env->batch.states);
    free(env);
}

static int busy_env_create(const struct mappo_env_config *config, void **self, struct mappo_env_error *error)
{
    struct busy_env *env = calloc(1, sizeof *env);
    if (!env) return refuse(error, "out of memory");
    env->rules = (struct busy_rules){.seconds = config->option[OPTION_MICROSECONDS].r * 1e-6,
                                     .max_cycles = (int32_t)config->option[OPTION_MAX_CYCLES].i};
    describe_spec(env);
    if (lane_batch_create(&env->batch, config->envs, sizeof(struct busy), &env->spec)) {
        busy_env_destroy(env);
        return refuse(error, "out of memory");
    }
    for (int32_t e = 0; e < config->envs; e++)
        philox_start(&((struct busy *)lane_state(&env->batch, e))->rng, config->seed, config->stream, config->first_env + (uint32_t)e);
    *self = env;
    return 0;
}

static const struct mappo_env_spec *busy_env_spec(const void *self)
{
    return &((const struct busy_env *)self)->spec;
}

static int busy_env_reset(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    const struct busy_env *env = self;
    (void)error;
    lane_reset_busy(&env->batch, &env->rules, lo, hi, io);
    return 0;
}

static int busy_env_step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    const struct busy_env *env = self;
    (void)error;
    lane_step_busy(&env->batch, &env->rules, lo, hi, io);
    return 0;
}

static int busy_env_observe(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    const struct busy_env *env = self;
    lane_observe_busy(&env->batch, &env->rules, lo, hi, io);
    return 0;
}

static int busy_env_snapshot(const void *self, int32_t e, void *bytes)
{
    return lane_snapshot(&((const struct busy_env *)self)->batch, e, bytes);
}

static int busy_env_restore(void *self, int32_t e, const void *bytes, struct mappo_env_error *error)
{
    struct busy_env *env = self;
    struct busy *w = lane_state(&env->batch, e), saved;
    memcpy(&saved, bytes, sizeof saved);
    bool sound = saved.steps >= 0 && saved.steps < env->rules.max_cycles;
    for (int a = 0; a < BUSY_AGENTS; a++) {
        sound = sound && saved.cue[a] >= 0 && saved.cue[a] < BUSY_CUES;
        for (int k = 0; k < BUSY_NOISE; k++) sound = sound && saved.noise[a][k] >= -1 && saved.noise[a][k] <= 1;
    }
    if (!sound) return refuse(error, "the snapshot holds a state that cannot be");
    if (lane_check_philox(&saved.rng, &w->rng))
        return refuse(error, "the snapshot's generator is not this environment's (seed, stream or index)");
    *w = saved;
    return 0;
}

const struct mappo_env test_busy = {
    .struct_size = sizeof(struct mappo_env),
    .id = "test/busy",
    .summary = "steps that take a chosen time of a core, in simple_spread's shapes: for benchmarks and tests",
    .source = "this project",
    .version = 1,
    .option = options,
    .create = busy_env_create,
    .destroy = busy_env_destroy,
    .spec = busy_env_spec,
    .reset = busy_env_reset,
    .step = busy_env_step,
    .snapshot = busy_env_snapshot,
    .restore = busy_env_restore,
    .observe = busy_env_observe,
};
