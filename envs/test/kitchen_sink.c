/* test/kitchen_sink: the host's side; the rules are in kitchen_sink.h. It also refuses actions that a learner must not take, and fails on
 * request. */
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "env/lane.h"
#include "envs/test/kitchen_sink.h"

enum sink_option {
    OPTION_SCENE,
    OPTION_SHORTEST,
    OPTION_LONGEST,
    OPTION_MORTAL,
    OPTION_FAULT,
    OPTION_FAULT_ENV,
    OPTION_FAULT_STEP,
    OPTION_STALL,
    OPTION_DELAY,
    OPTION_TITLE
};

static const char *const scenes[] = {"two_teams", "single", NULL};
static const char *const faults[] = {"none",          "nan_reward", "nan_obs",         "inf_reward", "error", "stall",
                                     "nan_final_obs", "no_choice",  "unshared_reward", "endless",    NULL};
static const struct mappo_option options[] = {
    {"scene", MAPPO_OPTION_CHOICE, "two_teams", 0, 0, scenes, "two_teams: everything at once; single: one agent that learns in seconds"},
    {"shortest", MAPPO_OPTION_INT, "5", 1, 1e6, NULL, "least steps of an episode"},
    {"longest", MAPPO_OPTION_INT, "12", 1, 1e6, NULL, "most steps of an episode"},
    {"mortal", MAPPO_OPTION_BOOL, "1", 0, 1, NULL, "runners die and reappear"},
    {"fault", MAPPO_OPTION_CHOICE, "none", 0, 0, faults, "what goes wrong at fault_step of fault_env"},
    {"fault_env", MAPPO_OPTION_INT, "0", 0, 1e9, NULL, "global index of the environment that fails"},
    {"fault_step", MAPPO_OPTION_INT, "0", 0, 1e15, NULL, "its step, counted from 0 over all episodes"},
    {"stall_seconds", MAPPO_OPTION_REAL, "1e9", 0, 1e9, NULL, "how long fault=stall sleeps"},
    {"delay_ms", MAPPO_OPTION_REAL, "0", 0, 1e6, NULL, "sleep in every call of step, for tests that need a slow run"},
    {"title", MAPPO_OPTION_TEXT, "none", 0, 40, NULL, "stands above its picture"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static const char *const teams[] = {"runners", "watchers"};
static const struct mappo_info infos[SINK_INFOS] = {[SINK_ANSWERED] = {"answered", "agents", "agents that named their cue", 0},
                                                    [SINK_SURVIVORS] = {"survivors", "agents", "runners present when the episode ends", 1}};

struct sink_env {
    struct sink_rules rules;
    struct lane_batch batch;
    struct mappo_env_spec spec;
    int64_t victim; /* the environment that fails, as index within the batch; may lie outside it */
    double stall_seconds, delay_ms;
    const char *title; /* NULL: none */
};

static int refuse(struct mappo_env_error *error, int32_t e, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int refuse(struct mappo_env_error *error, int32_t e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error->env = e;
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return -1;
}

/* ---- spaces ----------------------------------------------------------------------------------------------- */

static const int32_t cues = SINK_CUES, first_cue = SINK_FIRST_CUE, shown_first = 1, zero = 0;
static const int32_t moves[2] = {3, 2}, first_move[2] = {0, SINK_FIRST_SECOND}, clocks[2] = {2, 3};
static const float runner_low[4] = {-INFINITY, 0, -1, -2}, runner_high[4] = {INFINITY, 1, 1, 2};
static const float throttle_low[SINK_RUNNER_REALS] = {-1, 0}, throttle_high[SINK_RUNNER_REALS] = {1, INFINITY};
static const float report_low[SINK_WATCHER_REALS] = {-2, -INFINITY, 0}, report_high[SINK_WATCHER_REALS] = {2, INFINITY, 1};
static const float level_low[1] = {-2}, level_high[1] = {2};
static const struct mappo_meaning runner_box[4] = {
    {"drift", NULL}, {"part of the episode that is over", NULL}, {"present", NULL}, {"level", NULL}};
static const struct mappo_meaning answers[SINK_CUES] = {{"cue 0", NULL}, {"cue 1", NULL}, {"cue 2", NULL}, {"cue 3", NULL}};

static void describe_runners(struct mappo_group *group)
{
    *group = (struct mappo_group){.name = "runner",
                                  .agents = SINK_RUNNERS,
                                  .flags = MAPPO_HAS_MASK | MAPPO_HAS_ACTIVE | MAPPO_STATE_PER_AGENT,
                                  .state_size = SINK_RUNNER_STATE,
                                  .obs_heads = 2,
                                  .act_heads = 4};
    group->obs[0] =
        (struct mappo_space){.kind = MAPPO_BOX, .size = 4, .low = runner_low, .high = runner_high, .meanings = 4, .meaning = runner_box};
    group->obs[1] = (struct mappo_space){
        .kind = MAPPO_DISCRETE, .size = 1, .n = &cues, .start = &shown_first, .meanings = SINK_CUES, .meaning = answers};
    group->act[0] =
        (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = &cues, .start = &first_cue, .meanings = SINK_CUES, .meaning = answers};
    group->act[1] = (struct mappo_space){.kind = MAPPO_MULTI_DISCRETE, .size = 2, .n = moves, .start = first_move};
    group->act[2] = (struct mappo_space){.kind = MAPPO_MULTI_BINARY, .size = SINK_BITS};
    group->act[3] = (struct mappo_space){.kind = MAPPO_BOX, .size = SINK_RUNNER_REALS, .low = throttle_low, .high = throttle_high};
}

static void describe_watchers(struct mappo_group *group)
{
    *group = (struct mappo_group){.name = "watcher", .agents = SINK_WATCHERS, .team = 1, .obs_heads = 3, .act_heads = 1};
    group->obs[0] = (struct mappo_space){.kind = MAPPO_MULTI_DISCRETE, .size = 2, .n = clocks};
    group->obs[1] = (struct mappo_space){.kind = MAPPO_MULTI_BINARY, .size = SINK_BITS};
    group->obs[2] = (struct mappo_space){.kind = MAPPO_BOX, .size = 1, .low = level_low, .high = level_high};
    group->act[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = SINK_WATCHER_REALS, .low = report_low, .high = report_high};
}

static void describe_spec(struct sink_env *env)
{
    struct mappo_env_spec *spec = &env->spec;
    spec->struct_size = sizeof *spec;
    spec->infos = SINK_INFOS;
    spec->info = infos;
    spec->max_steps = env->rules.longest;
    spec->rules = scenes[env->rules.scene];
    spec->snapshot_bytes = sizeof(struct sink);
    if (env->rules.scene == SINK_SINGLE) {
        spec->groups = 1;
        spec->group[0] = (struct mappo_group){.name = "solo", .agents = 1, .obs_heads = 1, .act_heads = 1};
        spec->group[0].obs[0] = spec->group[0].act[0] =
            (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = &cues, .start = &zero, .meanings = SINK_CUES, .meaning = answers};
        spec->return_help = "cues named in the episode";
    } else {
        spec->groups = spec->teams = 2;
        spec->team_name = teams;
        describe_runners(&spec->group[0]);
        describe_watchers(&spec->group[1]);
        if (env->rules.fault == FAULT_UNSHARED) spec->group[1].flags |= MAPPO_SHARED_REWARD;
        spec->state_size = SINK_STATE;
        spec->return_help = "sum over the episode of the runners' mean reward";
    }
}

/* ---- life ------------------------------------------------------------------------------------------------- */

static void sink_env_destroy(void *self)
{
    struct sink_env *env = self;
    if (env) free(env->batch.states);
    free(env);
}

static int sink_env_create(const struct mappo_env_config *config, void **self, struct mappo_env_error *error)
{
    const struct mappo_value *value = config->option;
    if (value[OPTION_SHORTEST].i > value[OPTION_LONGEST].i)
        return refuse(error, -1, "option shortest=%d is more than longest=%d", (int)value[OPTION_SHORTEST].i, (int)value[OPTION_LONGEST].i);
    struct sink_env *env = calloc(1, sizeof *env);
    if (!env) return refuse(error, -1, "out of memory");
    env->rules = (struct sink_rules){.scene = (int32_t)value[OPTION_SCENE].i,
                                     .shortest = (int32_t)value[OPTION_SHORTEST].i,
                                     .longest = (int32_t)value[OPTION_LONGEST].i,
                                     .mortal = (int32_t)value[OPTION_MORTAL].i,
                                     .fault = (int32_t)value[OPTION_FAULT].i,
                                     .fault_env = (uint32_t)value[OPTION_FAULT_ENV].i,
                                     .fault_step = value[OPTION_FAULT_STEP].i};
    env->victim = value[OPTION_FAULT_ENV].i - (int64_t)config->first_env;
    env->stall_seconds = value[OPTION_STALL].r;
    env->delay_ms = value[OPTION_DELAY].r;
    env->title = value[OPTION_TITLE].text;
    describe_spec(env);
    if (lane_batch_create(&env->batch, config->envs, sizeof(struct sink), &env->spec)) {
        sink_env_destroy(env);
        return refuse(error, -1, "out of memory for %d environments", config->envs);
    }
    for (int32_t e = 0; e < config->envs; e++)
        philox_start(&((struct sink *)lane_state(&env->batch, e))->rng, config->seed, config->stream, config->first_env + (uint32_t)e);
    *self = env;
    return 0;
}

static const struct mappo_env_spec *sink_env_spec(const void *self)
{
    return &((const struct sink_env *)self)->spec;
}

static int sink_env_reset(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    const struct sink_env *env = self;
    (void)error;
    lane_reset_sink(&env->batch, &env->rules, lo, hi, io);
    return 0;
}

static int sink_env_observe(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    const struct sink_env *env = self;
    lane_observe_sink(&env->batch, &env->rules, lo, hi, io);
    return 0;
}

/* ---- what a learner must not do --------------------------------------------------------------------------- */

/* Runner a's integers against spaces and mask: a learner that ignores either is found out at once. */
static int check_runner(const struct sink *w, int32_t e, int a, const int32_t *act_int, const float *act_real,
                        struct mappo_env_error *error)
{
    uint8_t mask[SINK_RUNNER_LOGITS];
    const int logit[3] = {act_int[0] - SINK_FIRST_CUE, act_int[1], act_int[2] - SINK_FIRST_SECOND}, choices[3] = {SINK_CUES, 3, 2};
    sink_mask(w, a, mask);
    for (int k = 0, at = 0; k < 3; at += choices[k++]) {
        if (logit[k] < 0 || logit[k] >= choices[k])
            return refuse(error, e, "runner %d: integer %d of its action is %d, outside its space", a, k, act_int[k]);
        if (!mask[at + logit[k]])
            return refuse(error, e, "runner %d: integer %d of its action is %d, which the mask forbids", a, k, act_int[k]);
    }
    for (int k = 0; k < SINK_BITS; k++) {
        const int32_t bit = act_int[3 + k];
        if (bit != 0 && bit != 1) return refuse(error, e, "runner %d: bit %d of its action is %d", a, k, bit);
        if (bit && !mask[SINK_CUES + 5 + k])
            return refuse(error, e, "runner %d: bit %d of its action is set, which the mask forbids", a, k);
    }
    for (int k = 0; k < SINK_RUNNER_REALS; k++)
        if (!isfinite(act_real[k])) return refuse(error, e, "runner %d: number %d of its action is not finite", a, k);
    return 0;
}

static int check_actions(const struct sink_env *env, int32_t e, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    const struct sink *w = lane_state(&env->batch, e);
    if (env->rules.scene == SINK_SINGLE) {
        const int32_t answer = io->group[0].act_int[e];
        return answer >= 0 && answer < SINK_CUES ? 0 : refuse(error, e, "the action %d is outside its space", answer);
    }
    for (int a = 0; a < SINK_RUNNERS; a++) {
        const size_t row = (size_t)e * SINK_RUNNERS + (size_t)a;
        if (w->away[a]) continue; /* an inactive agent's action is ignored */
        const int rc =
            check_runner(w, e, a, io->group[0].act_int + row * SINK_RUNNER_INTS, io->group[0].act_real + row * SINK_RUNNER_REALS, error);
        if (rc) return rc;
    }
    for (int k = 0; k < SINK_WATCHERS * SINK_WATCHER_REALS; k++)
        if (!isfinite(io->group[1].act_real[(size_t)e * SINK_WATCHERS * SINK_WATCHER_REALS + (size_t)k]))
            return refuse(error, e, "watchers: number %d of their actions is not finite", k);
    return 0;
}

/* ---- faults ----------------------------------------------------------------------------------------------- */

static void doze(double seconds)
{
    struct timespec rest = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - floor(seconds)) * 1e9)};
    while (nanosleep(&rest, &rest) != 0) continue;
}

static int sink_env_step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    const struct sink_env *env = self;
    const struct sink_rules *rules = &env->rules;
    const struct sink *victim = env->victim >= lo && env->victim < hi ? lane_state(&env->batch, (int32_t)env->victim) : NULL;
    if (env->delay_ms > 0) doze(env->delay_ms / 1e3);
    if (victim && sink_strikes(victim, rules, FAULT_STALL, victim->total)) doze(env->stall_seconds);
    if (victim && sink_strikes(victim, rules, FAULT_ERROR, victim->total))
        return refuse(error, (int32_t)env->victim, "fault=error at step %lld", (long long)rules->fault_step);
    for (int32_t e = lo; e < hi; e++) {
        const int rc = check_actions(env, e, io, error);
        if (rc) return rc;
    }
    lane_step_sink(&env->batch, rules, lo, hi, io);
    return 0;
}

/* On a device actions are not looked at, and nothing fails or sleeps. */
static int sink_env_device(void *self, struct mappo_device *out)
{
    const struct sink_env *env = self;
    const int fault = env->rules.fault;
    if (fault == FAULT_ERROR || fault == FAULT_STALL || env->delay_ms > 0) return -1;
    return lane_offer(out, &env->batch, &env->rules);
}

/* ---- snapshots, scripted player, drawing ------------------------------------------------------------------ */

static int sink_env_snapshot(const void *self, int32_t e, void *bytes)
{
    return lane_snapshot(&((const struct sink_env *)self)->batch, e, bytes);
}

static int sink_env_restore(void *self, int32_t e, const void *bytes, struct mappo_env_error *error)
{
    struct sink_env *env = self;
    struct sink *w = lane_state(&env->batch, e), saved;
    memcpy(&saved, bytes, sizeof saved);
    bool sound = saved.steps >= 0 && saved.steps < saved.length && saved.length <= env->rules.longest && saved.total >= saved.steps;
    for (int a = 0; a < SINK_RUNNERS; a++)
        sound = sound && saved.cue[a] >= 0 && saved.cue[a] < SINK_CUES && saved.away[a] >= 0 && saved.away[a] <= SINK_AWAY;
    if (!sound || !isfinite(saved.drift) || !isfinite(saved.level)) return refuse(error, e, "the snapshot holds a state that cannot be");
    if (lane_check_philox(&saved.rng, &w->rng))
        return refuse(error, e, "the snapshot's generator is not this environment's (seed, stream or index)");
    *w = saved;
    return 0;
}

static int sink_env_script(void *self, int32_t lo, int32_t hi, int32_t *const act_int[], float *const act_real[])
{
    const struct sink_env *env = self;
    for (int32_t e = lo; e < hi; e++) {
        const struct sink *w = lane_state(&env->batch, e);
        if (env->rules.scene == SINK_SINGLE) {
            act_int[0][e] = w->cue[0];
            continue;
        }
        for (int a = 0; a < SINK_RUNNERS; a++) {
            const size_t row = (size_t)e * SINK_RUNNERS + (size_t)a;
            int32_t *act = act_int[0] + row * SINK_RUNNER_INTS;
            act[0] = SINK_FIRST_CUE + w->cue[a];
            act[1] = (w->steps + 1) % 3;
            act[2] = SINK_FIRST_SECOND + w->cue[a] % 2;
            for (int k = 0; k < SINK_BITS; k++) act[3 + k] = k != (w->steps + a) % SINK_BITS;
            for (int k = 0; k < SINK_RUNNER_REALS; k++) act_real[0][row * SINK_RUNNER_REALS + (size_t)k] = 0;
        }
        for (int a = 0; a < SINK_WATCHERS; a++) {
            float *act = act_real[1] + ((size_t)e * SINK_WATCHERS + (size_t)a) * SINK_WATCHER_REALS;
            act[0] = w->level;
            act[1] = act[2] = 0;
        }
    }
    return 0;
}

static int sink_env_draw(const void *self, int32_t e, const struct mappo_canvas *canvas)
{
    const struct sink_env *env = self;
    const struct sink *w = lane_state(&env->batch, e);
    char text[64];
    snprintf(text, sizeof text, "step %d of %d", w->steps, w->length);
    canvas->view(canvas->self, -2.5, -2.5, 2.5, 2.5);
    canvas->rectangle(canvas->self, -2, -2.2, 4.0 * w->steps / w->length - 2, -2, 0xffcc66ffu, 0);
    for (int a = 0; a < SINK_RUNNERS; a++)
        if (!w->away[a]) canvas->circle(canvas->self, a - 1.0, w->cue[a] - 1.5, 0.2, 0x3366cc80u, 0x000000ffu);
    canvas->line(canvas->self, -2, w->level, 2, w->level, 0.05, 0xcc3333ffu);
    canvas->text(canvas->self, -2.3, 1.9, 0.2, text, 0x000000ffu);
    if (env->title) canvas->text(canvas->self, -2.3, 2.2, 0.2, env->title, 0x000000ffu);
    return 0;
}

const struct mappo_env test_kitchen_sink = {
    .struct_size = sizeof(struct mappo_env),
    .id = "test/kitchen_sink",
    .summary = "every kind of space, masks, death, uneven episodes, and faults on request: for tests",
    .source = "this project",
    .version = 1,
    .option = options,
    .create = sink_env_create,
    .destroy = sink_env_destroy,
    .spec = sink_env_spec,
    .reset = sink_env_reset,
    .step = sink_env_step,
    .snapshot = sink_env_snapshot,
    .restore = sink_env_restore,
    .observe = sink_env_observe,
    .script = sink_env_script,
    .draw = sink_env_draw,
    .device = sink_env_device,
};
