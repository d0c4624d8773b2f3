/* test/busy: an environment whose step costs a chosen time of one core, for benchmarks of environments on the host and for tests that need
 * ranks to be stepping nearly always.
 *
 * The shapes are simple_spread's (3 agents, 18 observations, 5 moves, 25 steps), so that learning costs the same. Each agent sees a cue of
 * five (one-hot) among noise and is paid 1 for naming it. A core spins on the clock until the step's time is over: it does not sleep, and
 * nothing but the clock decides when it goes on. More threads than cores would thus share a core's time unnoticed. Host only. */
#include "base/clock.h"
#include "env/lane_env.h"

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

/* ---- rules ------------------------------------------------------------------------------------------------ */

static void busy_draw_cues(struct busy *w)
{
    for (int a = 0; a < BUSY_AGENTS; a++) {
        w->cue[a] = philox_below(&w->rng, BUSY_CUES);
        for (int k = 0; k < BUSY_NOISE; k++) w->noise[a][k] = philox_uniform(&w->rng, -1, 1);
    }
}

static void busy_reset(struct busy *w, const struct busy_rules *rules)
{
    (void)rules;
    w->steps = 0;
    busy_draw_cues(w);
}

static int busy_step(struct busy *w, const struct busy_rules *rules, const struct rule_io *io)
{
    const double start = clock_seconds();
    const struct rule_group_io *group = &io->group[0];
    for (int a = 0; a < BUSY_AGENTS; a++) {
        if (group->reward) group->reward[a] = group->act_int[a] == w->cue[a] ? 1.0f : 0.0f;
        if (group->terminated) group->terminated[a] = 0;
    }
    busy_draw_cues(w);
    while (clock_seconds() - start < rules->seconds) continue;
    return ++w->steps >= rules->max_cycles ? MAPPO_TRUNCATED : MAPPO_RUNNING;
}

static void busy_observe(const struct busy *w, const struct busy_rules *rules, const struct rule_io *io)
{
    (void)rules;
    float *obs = io->group[0].obs;
    for (int a = 0; obs && a < BUSY_AGENTS; a++, obs += BUSY_OBS) {
        for (int k = 0; k < BUSY_CUES; k++) obs[k] = k == w->cue[a] ? 1.0f : 0.0f;
        memcpy(obs + BUSY_CUES, w->noise[a], sizeof w->noise[a]);
    }
}

/* ---- what it looks like ----------------------------------------------------------------------------------- */

static int busy_configure(struct busy_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    (void)error;
    rules->seconds = value[OPTION_MICROSECONDS].r * 1e-6;
    rules->max_cycles = (int32_t)value[OPTION_MAX_CYCLES].i;
    return 0;
}

static void busy_describe(struct description *d, const struct busy_rules *rules)
{
    d->spec.state_is_all_obs = 1;
    d->spec.max_steps = rules->max_cycles;
    d->spec.rules = "busy";
    d->spec.return_help = "cues named in the episode, mean over agents";
    describe_group(d, "agent", BUSY_AGENTS, 0, 0);
    for (int k = 0; k < BUSY_CUES; k++) describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "cue %d", k);
    for (int k = 0; k < BUSY_NOISE; k++) describe_number(d, DESCRIBE_OBS, NULL, -1, 1, "noise %d", k);
    describe_choice(d, DESCRIBE_ACT, BUSY_CUES, 0, NULL);
}

static int busy_sound(const struct busy *w, const struct busy_rules *rules)
{
    int sound = w->steps >= 0 && w->steps < rules->max_cycles;
    for (int a = 0; a < BUSY_AGENTS; a++) {
        sound = sound && w->cue[a] >= 0 && w->cue[a] < BUSY_CUES;
        for (int k = 0; k < BUSY_NOISE; k++) sound = sound && w->noise[a][k] >= -1 && w->noise[a][k] <= 1;
    }
    return sound;
}

LANE_ENV(test_busy, busy, 1, (observe, sound), .id = "test/busy",
         .summary = "steps that take a chosen time of a core, in simple_spread's shapes: for benchmarks and tests",
         .source = "this project", .version = 1, .option = options);
