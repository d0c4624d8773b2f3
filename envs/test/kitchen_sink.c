/* test/kitchen_sink: the host's side; the rules are in kitchen_sink.h. It also refuses actions that a learner must not take, and fails on
 * request. */
#include "envs/test/kitchen_sink.h"

#include <time.h>

#include "env/lane_env.h"

/* ---- options and spaces ----------------------------------------------------------------------------------- */

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
    {"title", MAPPO_OPTION_TEXT, "none", 0, SINK_TITLE, NULL, "stands above its picture"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static const struct mappo_info infos[SINK_INFOS] = {/* in the order of enum sink_info */
                                                    {"answered", "agents", "agents that named their cue", 0},
                                                    {"survivors", "agents", "runners present when the episode ends", 1}};

static int sink_configure(struct sink_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    rules->scene = (int32_t)value[OPTION_SCENE].i;
    rules->shortest = (int32_t)value[OPTION_SHORTEST].i;
    rules->longest = (int32_t)value[OPTION_LONGEST].i;
    rules->mortal = (int32_t)value[OPTION_MORTAL].i;
    rules->fault = (int32_t)value[OPTION_FAULT].i;
    rules->fault_env = (uint32_t)value[OPTION_FAULT_ENV].i;
    rules->fault_step = value[OPTION_FAULT_STEP].i;
    rules->stall_seconds = value[OPTION_STALL].r;
    rules->delay_ms = value[OPTION_DELAY].r;
    if (value[OPTION_TITLE].text) memcpy(rules->title, value[OPTION_TITLE].text, strlen(value[OPTION_TITLE].text) + 1);
    if (rules->shortest <= rules->longest) return 0;
    return lane_refuse(error, "option shortest=%d is more than longest=%d", rules->shortest, rules->longest);
}

static const char *const answers[SINK_CUES] = {"cue 0", "cue 1", "cue 2", "cue 3"};

static void describe_single(struct description *d)
{
    d->spec.return_help = "cues named in the episode";
    describe_group(d, "solo", 1, 0, 0);
    describe_choice(d, DESCRIBE_OBS, SINK_CUES, 0, answers);
    describe_choice(d, DESCRIBE_ACT, SINK_CUES, 0, answers);
}

static void describe_teams(struct description *d, const struct sink_rules *rules)
{
    static const char *const teams[] = {"runners", "watchers"};
    d->spec.return_help = "sum over the episode of the runners' mean reward";
    d->spec.state_size = SINK_STATE;
    d->spec.teams = 2;
    d->spec.team_name = teams;
    struct mappo_group *runners = describe_group(d, "runner", SINK_RUNNERS, 0, MAPPO_HAS_MASK | MAPPO_HAS_ACTIVE | MAPPO_STATE_PER_AGENT);
    if (runners) runners->state_size = SINK_RUNNER_STATE;
    describe_number(d, DESCRIBE_OBS, NULL, -INFINITY, INFINITY, "drift");
    describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "part of the episode that is over");
    describe_number(d, DESCRIBE_OBS, NULL, -1, 1, "present");
    describe_number(d, DESCRIBE_OBS, NULL, -2, 2, "level");
    describe_choice(d, DESCRIBE_OBS, SINK_CUES, 1, answers);
    describe_choice(d, DESCRIBE_ACT, SINK_CUES, SINK_FIRST_CUE, answers);
    describe_component(d, DESCRIBE_ACT, 3, 0);
    describe_component(d, DESCRIBE_ACT, 2, SINK_FIRST_SECOND);
    describe_bits(d, DESCRIBE_ACT, SINK_BITS);
    describe_number(d, DESCRIBE_ACT, NULL, -1, 1, "throttle");
    describe_number(d, DESCRIBE_ACT, NULL, 0, INFINITY, "boost");

    describe_group(d, "watcher", SINK_WATCHERS, 1, rules->fault == FAULT_UNSHARED ? MAPPO_SHARED_REWARD : 0);
    describe_component(d, DESCRIBE_OBS, 2, 0);
    describe_component(d, DESCRIBE_OBS, 3, 0);
    describe_bits(d, DESCRIBE_OBS, SINK_BITS);
    describe_number(d, DESCRIBE_OBS, NULL, -2, 2, "level");
    describe_number(d, DESCRIBE_ACT, NULL, -2, 2, "level");
    describe_number(d, DESCRIBE_ACT, NULL, -INFINITY, INFINITY, "doubt");
    describe_number(d, DESCRIBE_ACT, NULL, 0, 1, "care");
}

static void sink_describe(struct description *d, const struct sink_rules *rules)
{
    d->spec.infos = SINK_INFOS;
    d->spec.info = infos;
    d->spec.max_steps = rules->longest;
    d->spec.rules = scenes[rules->scene];
    if (rules->scene == SINK_SINGLE)
        describe_single(d);
    else
        describe_teams(d, rules);
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
            return lane_refuse_copy(error, e, "runner %d: integer %d of its action is %d, outside its space", a, k, act_int[k]);
        if (!mask[at + logit[k]])
            return lane_refuse_copy(error, e, "runner %d: integer %d of its action is %d, which the mask forbids", a, k, act_int[k]);
    }
    for (int k = 0; k < SINK_BITS; k++) {
        const int32_t bit = act_int[3 + k];
        if (bit != 0 && bit != 1) return lane_refuse_copy(error, e, "runner %d: bit %d of its action is %d", a, k, bit);
        if (bit && !mask[SINK_CUES + 5 + k])
            return lane_refuse_copy(error, e, "runner %d: bit %d of its action is set, which the mask forbids", a, k);
    }
    for (int k = 0; k < SINK_RUNNER_REALS; k++)
        if (!isfinite(act_real[k])) return lane_refuse_copy(error, e, "runner %d: number %d of its action is not finite", a, k);
    return 0;
}

static int check_actions(const struct lane_env *env, const struct sink_rules *rules, int32_t e, const struct mappo_env_io *io,
                         struct mappo_env_error *error)
{
    const struct sink *w = (const struct sink *)lane_copy(env, e);
    if (rules->scene == SINK_SINGLE) {
        const int32_t answer = io->group[0].act_int[e];
        return answer >= 0 && answer < SINK_CUES ? 0 : lane_refuse_copy(error, e, "the action %d is outside its space", answer);
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
            return lane_refuse_copy(error, e, "watchers: number %d of their actions is not finite", k);
    return 0;
}

/* ---- faults ----------------------------------------------------------------------------------------------- */

static void doze(double seconds)
{
    struct timespec rest = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
    while (nanosleep(&rest, &rest) != 0) continue;
}

static int sink_check(const struct lane_env *env, const struct sink_rules *rules, int32_t lo, int32_t hi, const struct mappo_env_io *io,
                      struct mappo_env_error *error)
{
    const int64_t fails = (int64_t)rules->fault_env - (int64_t)((const struct sink *)lane_copy(env, 0))->rng.index; /* in the batch */
    const struct sink *victim = fails >= lo && fails < hi ? (const struct sink *)lane_copy(env, (int32_t)fails) : NULL;
    if (rules->delay_ms > 0) doze(rules->delay_ms / 1e3);
    if (victim && sink_strikes(victim, rules, FAULT_STALL, victim->total)) doze(rules->stall_seconds);
    if (victim && sink_strikes(victim, rules, FAULT_ERROR, victim->total))
        return lane_refuse_copy(error, (int32_t)fails, "fault=error at step %lld", (long long)rules->fault_step);
    for (int32_t e = lo; e < hi; e++) {
        const int rc = check_actions(env, rules, e, io, error);
        if (rc) return rc;
    }
    return 0;
}

/* On a device actions are not looked at, and nothing fails or sleeps. */
static int sink_on_host(const struct sink_rules *rules)
{
    return rules->fault == FAULT_ERROR || rules->fault == FAULT_STALL || rules->delay_ms > 0;
}

/* ---- snapshots, scripted player, drawing ------------------------------------------------------------------ */

static int sink_sound(const struct sink *w, const struct sink_rules *rules)
{
    int sound = w->steps >= 0 && w->steps < w->length && w->length <= rules->longest && w->total >= w->steps;
    for (int a = 0; a < SINK_RUNNERS; a++)
        sound = sound && w->cue[a] >= 0 && w->cue[a] < SINK_CUES && w->away[a] >= 0 && w->away[a] <= SINK_AWAY;
    return sound && isfinite(w->drift) && isfinite(w->level);
}

static void sink_script(const struct sink *w, const struct sink_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    if (rules->scene == SINK_SINGLE) {
        act_int[0][0] = w->cue[0];
        return;
    }
    for (int a = 0; a < SINK_RUNNERS; a++) {
        int32_t *act = act_int[0] + a * SINK_RUNNER_INTS;
        act[0] = SINK_FIRST_CUE + w->cue[a];
        act[1] = (w->steps + 1) % 3;
        act[2] = SINK_FIRST_SECOND + w->cue[a] % 2;
        for (int k = 0; k < SINK_BITS; k++) act[3 + k] = k != (w->steps + a) % SINK_BITS;
        for (int k = 0; k < SINK_RUNNER_REALS; k++) act_real[0][a * SINK_RUNNER_REALS + k] = 0;
    }
    for (int a = 0; a < SINK_WATCHERS; a++) {
        float *act = act_real[1] + a * SINK_WATCHER_REALS;
        act[0] = w->level;
        act[1] = act[2] = 0;
    }
}

static void sink_draw(const struct sink *w, const struct sink_rules *rules, const struct mappo_canvas *canvas)
{
    char text[64];
    snprintf(text, sizeof text, "step %d of %d", w->steps, w->length);
    canvas->view(canvas->self, -2.5, -2.5, 2.5, 2.5);
    canvas->rectangle(canvas->self, -2, -2.2, 4.0 * w->steps / w->length - 2, -2, 0xffcc66ffu, 0);
    for (int a = 0; a < SINK_RUNNERS; a++)
        if (!w->away[a]) canvas->circle(canvas->self, a - 1.0, w->cue[a] - 1.5, 0.2, 0x3366cc80u, 0x000000ffu);
    canvas->line(canvas->self, -2, w->level, 2, w->level, 0.05, 0xcc3333ffu);
    canvas->text(canvas->self, -2.3, 1.9, 0.2, text, 0x000000ffu);
    canvas->text(canvas->self, -2.3, 2.2, 0.2, rules->title, 0x000000ffu);
}

LANE_ENV(test_kitchen_sink, sink, 2 /* the single scene has one; the second's arrays are then NULL */,
         (observe, check, on_host, sound, script, draw), .id = "test/kitchen_sink",
         .summary = "every kind of space, masks, death, uneven episodes, and faults on request: for tests", .source = "this project",
         .version = 1, .option = options);
