/* What must not change the results: the record is played again in other circumstances and compared with it. */
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/philox.h"
#include "base/text.h"
#include "check/work.h"

/* ---- playing again ------------------------------------------------------------------------------------------------------------------- */

struct again {
    const char *fault; /* the beginning of the line where something differs */
    enum cause cause;
    struct check_batch_config config;
    bool (*reset)(struct check_batch *batch, void *with);
    bool (*before)(struct check_batch *batch, void *with); /* each step, when actions are chosen */
    bool (*step)(struct check_batch *batch, void *with);
    void *with;
    int64_t most; /* steps; 0 = all of the record */
    int32_t but;  /* environment that is not compared from step `but_from` on; -1 = none */
    int64_t but_from;
};

static struct again again_usual(const struct check *check, const char *fault)
{
    return (struct again){.fault = fault, .config = check_batch_usual(check), .but = -1};
}

static bool play_on(struct check_batch *batch, const struct again *again)
{
    const struct check *check = batch->check;
    const int64_t most = again->most && again->most < check->steps ? again->most : check->steps;
    while (batch->t < most) {
        check_batch_act(batch);
        if (again->before && !again->before(batch, again->with)) return false;
        check_batch_poison(batch, false);
        if (!(again->step ? again->step(batch, again->with) : check_batch_step(batch, 0, batch->envs))) return false;
        batch->t++;
        const int32_t but = batch->t > again->but_from ? again->but : -1;
        if (!check_batch_compare(batch, batch->t, true, but, again->cause, again->fault)) return false;
    }
    return true;
}

static bool play_again(struct check *check, struct check_batch *batch, const struct again *again)
{
    if (!check_batch_open(check, batch, &again->config)) return false;
    if (!(again->reset ? again->reset(batch, again->with) : check_batch_reset(batch, 0, batch->envs))) return false;
    return check_batch_compare(batch, 0, false, -1, again->cause, again->fault) && play_on(batch, again);
}

static void play(struct check *check, const struct again *again)
{
    struct check_batch batch;
    if (play_again(check, &batch, again)) check_batch_close(&batch);
}

/* ---- the same again, beside another one ---------------------------------------------------------------------------------------------- */

void check_repeat_stage(struct check *check)
{
    struct again again =
        again_usual(check, "the same seed plays another episode the second time (a clock, an address, memory that nobody has written?)");
    again.cause = CAUSE_CHANCE;
    again.config.front = again.config.turns = true;
    mallopt(M_PERTURB, 0x5a); /* memory that nobody has written reads otherwise than in the record */
    play(check, &again);
}

static bool step_both(struct check_batch *batch, void *with)
{
    struct check_batch *other = with;
    (void)batch;
    for (int k = 0; k < 2; k++) {
        check_batch_act(other);
        if (!check_batch_step(other, 0, other->envs)) return false;
        other->t++;
    }
    return true;
}

void check_beside_stage(struct check *check)
{
    struct check_batch other;
    char fault[256];
    text_format(
        fault, sizeof fault,
        "an instance plays another episode where a second one steps beside it: they share state (a global or static variable); keep "
        "all of it in %s",
        check->env->called.state ? check->env->called.state : "what create() makes");
    struct again again = again_usual(check, fault);
    again.cause = CAUSE_GLOBAL;
    again.before = step_both;
    again.with = &other;
    const struct check_batch_config config = {.envs = 3, .seed = check->config->seed + 9, .stream = PHILOX_EVALUATION};
    if (check_batch_open(check, &other, &config) && check_batch_reset(&other, 0, 3)) play(check, &again);
}

/* ---- generators ---------------------------------------------------------------------------------------------------------------------- */

/* A hash of all that each environment shows under actions that are the same for all. */
static bool hash_run(struct check *check, uint64_t seed, int32_t stream, uint64_t hash[CHECK_ENVS])
{
    struct check_batch batch;
    struct check_batch_config config = check_batch_usual(check);
    config.seed = seed;
    config.stream = stream;
    if (!check_batch_open(check, &batch, &config) || !check_batch_reset(&batch, 0, CHECK_ENVS)) return false;
    batch.alike = true;
    for (int32_t e = 0; e < CHECK_ENVS; e++) hash[e] = HASH_START;
    for (bool stepped = false;; stepped = true) {
        for (int32_t e = 0; e < CHECK_ENVS; e++)
            for (int i = 0; i < check->arrays; i++)
                if (check_is_there(&check->array[i], stepped, stepped && batch.io.ep_end[e]))
                    hash[e] = hash_bytes(hash[e], check_batch_data(&batch, i, e), check->array[i].slice.bytes);
        if (batch.t == check->steps) break;
        check_batch_act(&batch);
        if (!check_batch_step(&batch, 0, CHECK_ENVS)) return false;
        batch.t++;
    }
    check_batch_close(&batch);
    return true;
}

void check_keys_stage(struct check *check)
{
    uint64_t usual[CHECK_ENVS], seed[CHECK_ENVS], stream[CHECK_ENVS];
    const uint64_t first = check->config->seed;
    if (!hash_run(check, first, PHILOX_ENVIRONMENT, usual) || !hash_run(check, first + 1, PHILOX_ENVIRONMENT, seed) ||
        !hash_run(check, first, PHILOX_EVALUATION, stream))
        return;
    bool alike = true;
    for (int e = 1; e < CHECK_ENVS; e++) alike = alike && usual[e] == usual[0];
    const bool same_seed = !memcmp(usual, seed, sizeof usual), same_stream = !memcmp(usual, stream, sizeof usual);
    /* Rules have a generator that was started for them. */
    const char *key = check->env->called.state
                          ? "rng is started once for each copy, of seed, stream and index: reset() and step() draw from "
                            "it and set it to nothing else (no memset of the whole state)"
                          : "a generator is keyed by config->seed, config->stream and config->first_env + e";
    if (alike && same_seed && same_stream) {
        if (check->shared->causes & CAUSE_REFUSED) return; /* an overwritten generator is refused, too */
        check_warning(check, "nothing in it is random: under the same actions all environments and all seeds play the same episodes");
        return;
    }
    const char *fault = alike ? "all environments of a batch play the same episodes under the same actions: their index is not in the key"
                        : same_stream
                            ? same_seed ? "all seeds play the same episodes, evaluations included: neither seed nor stream is in the key"
                                        : "evaluations play the very episodes of training: the stream is not in the key"
                        : same_seed ? "all seeds play the same episodes: the seed is not in the key"
                                    : NULL;
    if (fault) check_fault(check, KIND_ONCE, 0, "%s; %s", fault, key);
}

/* ---- ranges, threads, shards --------------------------------------------------------------------------------------------------------- */

/* How a batch is cut, in the order of the calls. */
static const int32_t cuts[][2] = {{5, 8}, {0, 1}, {4, 5}, {1, 4}};
enum { CUTS = sizeof cuts / sizeof *cuts };

/* A call for [lo, hi) that touches others' slices, which hold what `then` holds. */
static bool look_outside(struct check_batch *batch, const char *call, int32_t lo, int32_t hi, unsigned char *const *then)
{
    struct check *check = batch->check;
    for (int i = 0; i < check->arrays; i++) {
        const struct check_array *array = &check->array[i];
        for (int32_t e = 0; e < CHECK_ENVS; e++) {
            if ((e >= lo && e < hi) || !memcmp(check_batch_data(batch, i, e), then[i] + (size_t)e * array->slice.bytes, array->slice.bytes))
                continue;
            if (!check_said(check, KIND_UNWRITTEN, i)) /* else they follow from rows of another width */
                check_fault(check, KIND_OUTSIDE, i,
                            "%s for environments [%d, %d) writes to %s of environment %d (step %lld): other threads write there", call, lo,
                            hi, array->name, e, (long long)batch->t);
            check->shared->causes |= CAUSE_CUT;
        }
    }
    return !(check->shared->causes & CAUSE_CUT);
}

static bool in_cuts(struct check_batch *batch, void *with, bool is_reset)
{
    unsigned char *const *then = with;
    const struct check *check = batch->check;
    for (int k = 0; k < CUTS; k++) {
        const int32_t lo = cuts[(k + batch->t) % CUTS][0], hi = cuts[(k + batch->t) % CUTS][1];
        for (int i = 0; i < check->arrays; i++) memcpy(then[i], check_batch_data(batch, i, 0), CHECK_ENVS * check->array[i].slice.bytes);
        if (!(is_reset ? check_batch_reset(batch, lo, hi) : check_batch_step(batch, lo, hi))) return false;
        if (!look_outside(batch, is_reset ? "reset()" : "step()", lo, hi, then)) return false;
    }
    return true;
}

static bool reset_in_cuts(struct check_batch *batch, void *with)
{
    unsigned char **then = with;
    for (int i = 0; i < batch->check->arrays; i++) {
        then[i] = malloc(CHECK_ENVS * batch->check->array[i].slice.bytes);
        CHECK(then[i], "out of memory while checking ranges");
    }
    return in_cuts(batch, with, true);
}

static bool step_in_cuts(struct check_batch *batch, void *with)
{
    return in_cuts(batch, with, false);
}

void check_cut_stage(struct check *check)
{
    unsigned char *then[CHECK_ARRAYS];
    struct again again =
        again_usual(check, "results depend on how a batch is cut into ranges [lo, hi), or on their order: environments share state (or "
                           "an array in the state is written beyond its end)");
    again.cause = CAUSE_CUT;
    again.reset = reset_in_cuts;
    again.step = step_in_cuts;
    again.with = then;
    play(check, &again);
}

struct crew_of_check {
    struct check *check;
    struct check_batch *batch;
    pthread_barrier_t begin, end;
    bool stop, failed;
};
struct member_of_crew {
    struct crew_of_check *crew;
    int number;
};

static void *step_on_thread(void *arg)
{
    const struct member_of_crew *member = arg;
    struct crew_of_check *crew = member->crew;
    const int32_t lo = member->number * CHECK_ENVS / CHECK_THREADS, hi = (member->number + 1) * CHECK_ENVS / CHECK_THREADS;
    check_is_thread(crew->check, member->number);
    for (;;) {
        pthread_barrier_wait(&crew->begin);
        if (crew->stop) return NULL;
        if (!check_batch_step(crew->batch, lo, hi)) crew->failed = true;
        pthread_barrier_wait(&crew->end);
    }
}

static bool step_on_threads(struct check_batch *batch, void *with)
{
    struct crew_of_check *crew = with;
    crew->batch = batch;
    pthread_barrier_wait(&crew->begin);
    pthread_barrier_wait(&crew->end);
    return !crew->failed;
}

void check_threads_stage(struct check *check)
{
    struct crew_of_check crew = {.check = check};
    struct member_of_crew member[CHECK_THREADS];
    pthread_t thread[CHECK_THREADS];
    struct check_batch batch;
    struct again again = again_usual(check, "results differ where ranges step on several threads at once: environments share state, or a "
                                            "library that they call is not made for threads");
    again.step = step_on_threads;
    again.with = &crew;
    again.most = 300;
    pthread_barrier_init(&crew.begin, NULL, CHECK_THREADS + 1);
    pthread_barrier_init(&crew.end, NULL, CHECK_THREADS + 1);
    for (int i = 0; i < CHECK_THREADS; i++) {
        member[i] = (struct member_of_crew){&crew, i};
        CHECK(!pthread_create(&thread[i], NULL, step_on_thread, &member[i]), "cannot start a thread to check an environment on");
    }
    if (play_again(check, &batch, &again)) check_batch_close(&batch);
    crew.stop = true;
    pthread_barrier_wait(&crew.begin);
    for (int i = 0; i < CHECK_THREADS; i++) pthread_join(thread[i], NULL);
}

void check_shard_stage(struct check *check)
{
    for (int k = 0; k < 2; k++) {
        struct again again = again_usual(
            check, "environment k of a batch that begins at 0 is not environment 0 of one that begins at k: its generator must be keyed by "
                   "config->first_env + e, and nothing may depend on e alone or on the number of environments");
        again.config.first_env = k ? CHECK_ENVS - 1 : 3;
        again.config.envs = CHECK_ENVS - (int32_t)again.config.first_env;
        again.cause = CAUSE_SHARD;
        play(check, &again);
        if (check->shared->causes & CAUSE_SHARD) return;
    }
}

/* ---- calls between steps ------------------------------------------------------------------------------------------------------------- */

static bool observe_before(struct check_batch *batch, void *with)
{
    (void)with;
    check_batch_poison(batch, true);
    if (!check_batch_observe(batch, batch->envs / 2, batch->envs) || !check_batch_observe(batch, 0, batch->envs / 2)) return false;
    return check_batch_compare(batch, batch->t, false, -1, CAUSE_OBSERVE,
                               "observe() shows something else than the step before it, or reset(), wrote");
}

void check_observe_stage(struct check *check)
{
    struct again again = again_usual(check, "results differ where observe() is called between steps: it must change nothing");
    if (!check->env->observe) return;
    check->look_after_calls = true;
    again.cause = CAUSE_OBSERVE;
    again.before = observe_before;
    play(check, &again);
}

struct script {
    struct guarded act_int[MAPPO_MAX_GROUPS], act_real[MAPPO_MAX_GROUPS];
    bool plays; /* what it says is what is played */
};

/* The script's actions for environments [lo, hi). */
static bool ask_for_range(struct check_batch *batch, struct script *script, int32_t lo, int32_t hi)
{
    struct check *check = batch->check;
    int32_t *ints[MAPPO_MAX_GROUPS] = {NULL};
    float *reals[MAPPO_MAX_GROUPS] = {NULL};
    for (int g = 0; g < check->spec->groups; g++) {
        ints[g] = (int32_t *)(void *)script->act_int[g].data;
        reals[g] = (float *)(void *)script->act_real[g].data;
    }
    check_enter(check, "script()", lo, hi, batch->t);
    const int rc = check->env->script(batch->self, lo, hi, ints, reals);
    check_leave(check);
    if (rc) check_fault(check, KIND_LEGAL, MAPPO_MAX_GROUPS, "script() failed, with code %d (step %lld)", rc, (long long)batch->t);
    return rc == 0;
}

/* Environments [0, hi), for which nothing was asked yet. */
static void look_before_range(struct check_batch *batch, const struct script *script, int32_t hi)
{
    struct check *check = batch->check;
    for (int g = 0; g < check->spec->groups; g++) {
        const struct guarded *both[2] = {&script->act_int[g], &script->act_real[g]};
        for (int k = 0; k < 2; k++)
            for (size_t at = 0; at < both[k]->bytes / (size_t)batch->envs * (size_t)hi; at++)
                if (both[k]->data[at] != CHECK_POISON)
                    check_fault(check, KIND_LEGAL, g,
                                "script() for environments [%d, %d) writes actions of others, of group \"%s\" (step %lld)", hi, batch->envs,
                                check->spec->group[g].name, (long long)batch->t);
    }
}

static void give(struct guarded *to, const struct guarded *from)
{
    if (to->bytes) memcpy(to->data, from->data, to->bytes);
}

static bool ask_script(struct check_batch *batch, void *with)
{
    struct script *script = with;
    struct check *check = batch->check;
    const int32_t middle = batch->envs / 2;
    for (int g = 0; g < check->spec->groups; g++) {
        struct guarded *both[2] = {&script->act_int[g], &script->act_real[g]};
        for (int k = 0; k < 2; k++) {
            const size_t bytes = k ? batch->act_real[g].bytes : batch->act_int[g].bytes;
            if (bytes && !both[k]->pages)
                guarded_take(check, both[k], bytes, false, -1, k ? "the script's act_real" : "the script's act_int");
            if (bytes) memset(both[k]->data, CHECK_POISON, bytes);
        }
    }
    if (!ask_for_range(batch, script, middle, batch->envs)) return false;
    look_before_range(batch, script, middle);
    if (!ask_for_range(batch, script, 0, middle)) return false;
    check_look_at_actions(batch, script->act_int, script->act_real);
    for (int g = 0; g < check->spec->groups && script->plays; g++) {
        give(&batch->act_int[g], &script->act_int[g]);
        give(&batch->act_int_copy[g], &script->act_int[g]);
        give(&batch->act_real[g], &script->act_real[g]);
        give(&batch->act_real_copy[g], &script->act_real[g]);
    }
    return true;
}

void check_script_stage(struct check *check)
{
    struct script script = {.plays = false}, player = {.plays = true};
    struct check_batch batch;
    int64_t lengths[CHECK_ENVS] = {0};
    struct again again = again_usual(check, "results differ where script() is called between steps: it must change nothing");
    if (!check->env->script) return;
    check->look_after_calls = true;
    again.before = ask_script;
    again.with = &script;
    play(check, &again);
    if (!check_batch_open(check, &batch, &again.config) || !check_batch_reset(&batch, 0, CHECK_ENVS)) return;
    while (batch.t < check->steps && !check->shared->said[KIND_LEGAL][0]) {
        check_batch_act(&batch);
        if (!ask_script(&batch, &player)) return;
        check_batch_poison(&batch, false);
        if (!check_batch_step(&batch, 0, CHECK_ENVS)) return;
        batch.t++;
        check_looks(&batch, 0, CHECK_ENVS, true, lengths);
    }
}

/* A canvas that counts what is drawn, and numbers that are not finite. */
struct counted {
    int64_t shapes, wrong;
    bool views;
};

static void count_shape(void *self, bool sound)
{
    struct counted *counted = self;
    counted->shapes++;
    counted->wrong += !sound;
}

static void count_view(void *self, double x0, double y0, double x1, double y1)
{
    struct counted *counted = self;
    counted->views = true;
    counted->wrong += !(isfinite(x0) && isfinite(y0) && isfinite(x1) && isfinite(y1) && x1 > x0 && y1 > y0);
}

static void count_circle(void *self, double x, double y, double radius, uint32_t fill, uint32_t stroke)
{
    (void)fill, (void)stroke;
    count_shape(self, isfinite(x) && isfinite(y) && isfinite(radius) && radius >= 0);
}

static void count_line(void *self, double x0, double y0, double x1, double y1, double width, uint32_t stroke)
{
    (void)stroke;
    count_shape(self, isfinite(x0) && isfinite(y0) && isfinite(x1) && isfinite(y1) && isfinite(width) && width >= 0);
}

static void count_polygon(void *self, const double *xy, int32_t points, uint32_t fill, uint32_t stroke)
{
    bool sound = points > 0;
    (void)fill, (void)stroke;
    for (int32_t i = 0; i < 2 * points; i++) sound = sound && isfinite(xy[i]);
    count_shape(self, sound);
}

static void count_rectangle(void *self, double x0, double y0, double x1, double y1, uint32_t fill, uint32_t stroke)
{
    (void)fill, (void)stroke;
    count_shape(self, isfinite(x0) && isfinite(y0) && isfinite(x1) && isfinite(y1));
}

static void count_text(void *self, double x, double y, double height, const char *text, uint32_t fill)
{
    (void)fill;
    count_shape(self, isfinite(x) && isfinite(y) && isfinite(height) && text && strlen(text) < 4096);
}

static struct mappo_canvas counting(struct counted *counted)
{
    return (struct mappo_canvas){.self = counted,
                                 .view = count_view,
                                 .circle = count_circle,
                                 .line = count_line,
                                 .polygon = count_polygon,
                                 .text = count_text,
                                 .rectangle = count_rectangle};
}

static bool draw_before(struct check_batch *batch, void *with)
{
    struct check *check = batch->check;
    struct counted *counted = with;
    const struct mappo_canvas canvas = counting(counted);
    const int32_t e = (int32_t)(batch->t % batch->envs);
    char when[48];
    check_when(batch->t - 1, when, sizeof when);
    check_enter(check, "draw()", e, e + 1, batch->t - 1);
    const int rc = check->env->draw(batch->self, e, &canvas);
    check_leave(check);
    if (rc) check_fault(check, KIND_ONCE, 0, "draw() failed, with code %d (environment %d, %s)", rc, e, when);
    if (counted->wrong)
        check_fault(check, KIND_ONCE, 0,
                    "draw() draws a shape that has no place or size: a number that is NaN or infinite, an empty polygon or an empty view "
                    "(environment %d, %s)",
                    e, when);
    return !rc && !counted->wrong;
}

/* After an episode of one environment alone. */
static void draw_ended(struct check *check)
{
    struct check_batch batch;
    struct check_batch_config config = check_batch_usual(check);
    struct counted counted = {0};
    const struct mappo_canvas canvas = counting(&counted);
    config.envs = 1;
    if (!check_batch_open(check, &batch, &config) || !check_batch_reset(&batch, 0, 1)) return;
    for (batch.io.ep_end[0] = MAPPO_RUNNING; !batch.io.ep_end[0] && batch.t < check->steps; batch.t++) {
        check_batch_act(&batch);
        if (!check_batch_step(&batch, 0, 1)) return;
    }
    if (!batch.io.ep_end[0]) return;
    check_enter(check, "draw_ended()", 0, 1, batch.t - 1);
    const int rc = check->env->draw_ended(batch.self, &canvas);
    check_leave(check);
    if (rc || counted.wrong || !counted.shapes)
        check_fault(check, KIND_ONCE, 0, "draw_ended() %s, after the step that ended an episode (step %lld)",
                    rc              ? "failed"
                    : counted.wrong ? "draws a shape that has no place or size"
                                    : "draws nothing, although draw() does",
                    (long long)batch.t - 1);
    check_batch_close(&batch);
}

void check_draw_stage(struct check *check)
{
    struct counted counted = {0};
    struct again again = again_usual(check, "results differ where draw() is called between steps: it must change nothing");
    if (!check->env->draw || check->env->begin) return; /* what steps elsewhere may draw only where it is alone */
    check->look_after_calls = true;
    again.before = draw_before;
    again.with = &counted;
    again.most = 200;
    play(check, &again);
    if (!counted.shapes && !counted.wrong) check_warning(check, "draw() draws nothing");
    if (counted.shapes && !counted.wrong && check->env->draw_ended) draw_ended(check);
}

static bool reset_one(struct check_batch *batch, void *with)
{
    int64_t lengths[CHECK_ENVS] = {0};
    (void)with;
    if (batch->t != 3) return true;
    check_batch_poison(batch, false);
    batch->t = 0; /* for the words */
    const bool going = check_batch_reset(batch, 2, 3);
    if (going) check_looks(batch, 2, 3, false, lengths);
    batch->t = 3;
    for (int i = 0; i < batch->check->arrays; i++) /* the masks of the others are what they were */
        for (int32_t e = 0; e < CHECK_ENVS; e++)
            if (e != 2) memcpy(check_batch_data(batch, i, e), check_recorded(batch->check, 3, i, e), batch->check->array[i].slice.bytes);
    check_batch_act(batch);
    return going;
}

void check_reset_stage(struct check *check)
{
    struct again again = again_usual(
        check, "reset() of one environment in the middle of its episode, as a time limit from outside makes it, changes others");
    again.cause = CAUSE_RESET;
    again.before = reset_one;
    again.but = 2;
    again.but_from = 3;
    play(check, &again);
}

/* ---- what the caller may leave out --------------------------------------------------------------------------------------------------- */

static bool step_unwanted(struct check_batch *batch, void *with)
{
    const struct check *check = batch->check;
    const struct mappo_env_io io = batch->io;
    bool going = true;
    (void)with;
    if (batch->t % 4) {
        for (int g = 0; g < check->spec->groups; g++)
            batch->io.group[g] = (struct mappo_group_io){
                .act_int = io.group[g].act_int, .act_real = io.group[g].act_real, .reward = batch->t % 4 == 1 ? NULL : io.group[g].reward};
        batch->io.state = batch->io.final_state = batch->io.info = NULL;
        if (batch->t % 4 == 2) batch->io.ep_end = NULL;
    }
    going = check_batch_step(batch, 0, batch->envs);
    if (going && batch->t % 8 == 3 && check->env->observe) going = check_batch_observe(batch, 0, batch->envs);
    batch->io = io;
    for (int i = 0; i < check->arrays && batch->t % 4; i++) /* what nobody asked for comes from the record */
        memcpy(check_batch_data(batch, i, 0), check_recorded(check, batch->t + 1, i, 0), CHECK_ENVS * check->array[i].slice.bytes);
    return going;
}

void check_unwanted_stage(struct check *check)
{
    struct again again = again_usual(check, "results differ after steps whose arrays are NULL, which means that they are not wanted");
    again.step = step_unwanted;
    check->shared->hint = "arrays that are NULL are not wanted, so they must not be written";
    play(check, &again);
}

static bool spoil_inactive(struct check_batch *batch, void *with)
{
    const struct check *check = batch->check;
    (void)with;
    for (int g = 0; g < check->spec->groups; g++) {
        const struct group_sizes *s = &check->size[g];
        if (!(check->spec->group[g].flags & MAPPO_HAS_ACTIVE)) continue;
        for (size_t row = 0; row < (size_t)batch->envs * (size_t)s->agents; row++) {
            if (batch->io.group[g].active[row]) continue;
            for (int32_t k = 0; k < s->act_ints; k++)
                ((int32_t *)(void *)batch->act_int[g].data)[row * (size_t)s->act_ints + (size_t)k] = INT32_MAX - k;
            for (int32_t k = 0; k < s->act_reals; k++)
                ((float *)(void *)batch->act_real[g].data)[row * (size_t)s->act_reals + (size_t)k] = NAN;
        }
    }
    return true;
}

void check_inactive_stage(struct check *check)
{
    struct again again = again_usual(check, "results depend on the actions of agents that are not active: they must be ignored");
    if (!check->shared->has_active) return;
    check->shared->hint = "actions of inactive agents are any number here";
    again.before = spoil_inactive;
    play(check, &again);
}
