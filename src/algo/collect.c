#include "algo/collect.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/philox.h"
#include "comm/watchdog.h"
#include "env/crew.h"
#include "nn/actor.h"
#include "nn/players.h"

struct collect_work {
    struct backend *backend;
    struct actor *actor;
    struct players players;             /* groups that no networks act for: on the host, … */
    bool played;                        /* … where there are some */
    struct mappo_env_io io;             /* what environments are given; staged: their own slices, always the same */
    int stages;                         /* staged: parts of the environments, one of which steps while another is inferred … */
    int *stage_first;                   /* [stages + 1] … from this environment on */
    uint64_t *clock;                    /* [1] the backend's copy of transitions->step at the start of a call */
    size_t log_probs[MAPPO_MAX_GROUPS]; /* of a step */
    struct repeated recorded;
    bool cut;      /* time limits have cut episodes in the step that is under way */
    uint8_t *over; /* [E] of whole episodes: who has taken its last step of this rollout; NULL otherwise */
};

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

/* Slices of environments that cannot write into the transitions. */
static void create_staging(struct collector *c, struct backend_memory *memory)
{
    const struct transitions *x = c->transitions;
    struct vecenv *env = c->config.env;
    const bool theirs = env && vecenv_owns_memory(env) && !memory->backend->planning;
    struct mappo_env_io *io = &c->work->io;
    *io = (struct mappo_env_io){.struct_size = sizeof *io, .groups = x->all.groups};
    for (int i = 0; i < x->slices.count; i++) {
        const struct slice *slice = &x->slices.slice[i];
        const size_t bytes = (size_t)x->config.envs * slice->bytes;
        slice_point(io, slice, theirs ? vecenv_memory(env, bytes) : backend_memory_host(memory, "slices of environments", bytes));
    }
}

static void create_stages(struct collector *c, struct backend_memory *memory)
{
    struct collect_work *work = c->work;
    const int envs = c->transitions->config.envs, shards = c->transitions->config.shards;
    work->stages = c->config.where == COLLECT_STAGED ? collect_stages(envs, shards) : shards;
    work->stage_first = ARENA_NEW(memory->arena, int, work->stages + 1);
    for (int s = 0; s <= work->stages; s++) work->stage_first[s] = collect_stage_first(envs, work->stages, s);
}

void collector_create(struct collector **out, const struct collect_config *config, struct transitions *transitions,
                      const struct mappo_env_spec *spec, struct policy *const *policy, struct backend_memory *memory)
{
    struct collector *c = *out = ARENA_NEW(memory->arena, struct collector, 1);
    struct collect_work *work = c->work = ARENA_NEW(memory->arena, struct collect_work, 1);
    const int steps = transitions->config.steps;
    CHECK(config->steps > 0 && (transitions->config.ring ? config->steps <= steps : config->steps == steps),
          "%d steps are to be collected into room for %d", config->steps, steps);
    c->config = *config;
    c->transitions = transitions;
    c->spec = spec;
    work->backend = memory->backend;
    if (config->where == COLLECT_STAGED) create_staging(c, memory);
    create_stages(c, memory);
    if (transitions->config.at_least > 0) work->over = ARENA_NEW(memory->arena, uint8_t, transitions->config.envs);
    if (config->where == COLLECT_DEVICE) device_check_create(&c->check, transitions, config->steps, spec, policy, memory);
    work->clock = BACKEND_NEW(memory, uint64_t, 1);
    const struct actor_config actor = {.groups = spec->groups,
                                       .policy = policy,
                                       .shards = work->stages,
                                       .first = work->stage_first,
                                       .first_env = transitions->config.first_env,
                                       .seed = config->seed,
                                       .stream = PHILOX_ACTION,
                                       .clock = work->clock,
                                       .per_head = config->per_head,
                                       .pool = config->self_play ? config->self_play->pool : NULL};
    work->players = (struct players){.spec = spec, .seed = config->seed, .first_env = transitions->config.first_env};
    for (int g = 0; g < spec->groups; g++) {
        work->players.player[g] = policy[g]->player;
        work->players.dist[g] = &policy[g]->dist;
        work->played = work->played || !player_has_networks(policy[g]->player);
        work->log_probs[g] =
            (size_t)transitions->config.envs * (size_t)spec->group[g].agents * (size_t)log_prob_width(&policy[g]->dist, config->per_head);
    }
    CHECK(!work->played || config->where != COLLECT_DEVICE, "environments on a device have a player on the host");
    actor_create(&work->actor, &actor, memory->backend);
}

void collector_destroy(struct collector *c)
{
    if (!c) return;
    backend_forget(c->work->backend, &c->work->recorded);
    actor_destroy(c->work->actor);
}

/* ---- between the environments' own slices and the transitions ------------------------------------------------------------------------ */

static void send(struct backend *b, void *to, const void *from, size_t first, size_t bytes)
{
    (b->upload_later ? b->upload_later : b->upload)(b, (char *)to + first, (const char *)from + first, bytes);
}

/* Final observations are read where an episode was cut: only these are sent, in one piece where what lies between costs less than a second
 * one. A replay reads them wherever an episode ended. */
static void send_finals(const struct collector *c, void *to, const void *from, size_t width, int lo, int hi)
{
    enum { GAP = 32 * 1024 }; /* bytes that pass in the microsecond or two that a copy takes to begin */
    struct backend *b = c->work->backend;
    const uint8_t *end = c->work->io.ep_end;
    const bool all = c->transitions->config.ring;
    int first = -1, last = -1;
    for (int e = lo; e < hi; e++) {
        if (all ? end[e] == MAPPO_RUNNING : end[e] != MAPPO_TRUNCATED) continue;
        if (first >= 0 && (size_t)(e - last - 1) * width > GAP) {
            send(b, to, from, (size_t)first * width, (size_t)(last + 1 - first) * width);
            first = e;
        }
        if (first < 0) first = e;
        last = e;
    }
    if (first >= 0) send(b, to, from, (size_t)first * width, (size_t)(last + 1 - first) * width);
}

/* Were actions of the slice chosen by the host? */
static bool is_played(const struct collector *c, const struct slice *slice)
{
    return slice->written == SLICE_ACTION && !player_has_networks(c->work->players.player[slice->group]);
}

/* What environments [lo, hi) wrote into their slices, and players with them, to where they would have written it themselves. */
static void send_slices(const struct collector *c, const struct mappo_env_io *to, bool stepped, int lo, int hi)
{
    const struct slices *slices = &c->transitions->slices;
    for (int i = 0; i < slices->count; i++) {
        const struct slice *slice = &slices->slice[i];
        void *array = slice_array(to, slice);
        const void *own = slice_array(&c->work->io, slice);
        const size_t first = (size_t)lo * slice->bytes, bytes = (size_t)(hi - lo) * slice->bytes;
        if (slice->written == SLICE_OBSERVATION || ((slice->written == SLICE_RESULT || is_played(c, slice)) && stepped))
            send(c->work->backend, array, own, first, bytes);
        if (slice->written == SLICE_FINAL && stepped) send_finals(c, array, own, slice->bytes, lo, hi);
    }
}

/* Actions of the k-th step to the environments' slices. */
static void fetch_actions(const struct collector *c, int k, int lo, int hi)
{
    struct backend *b = c->work->backend;
    const struct slices *slices = &c->transitions->slices;
    struct mappo_env_io from;
    transitions_aim(c->transitions, &from, k);
    for (int i = 0; i < slices->count; i++) {
        const struct slice *slice = &slices->slice[i];
        if (slice->written != SLICE_ACTION || is_played(c, slice)) continue;
        char *to = slice_array(&c->work->io, slice);
        const char *array = slice_array(&from, slice);
        const size_t first = (size_t)lo * slice->bytes, bytes = (size_t)(hi - lo) * slice->bytes;
        (b->download_later ? b->download_later : b->download)(b, to + first, array + first, bytes);
    }
}

/* ---- a step -------------------------------------------------------------------------------------------------------------------------- */

/* An environment's error, with the step it happened after. */
static int after_step(const struct collector *c, int code, struct error *err)
{
    if (code) error_suffix(err, ", after step %llu", (unsigned long long)c->transitions->step);
    return code;
}

static void observed(const struct collector *c, int place, int lo, int hi)
{
    if (c->config.observed) c->config.observed(c->config.learner, place, lo, hi);
}

/* Environments [lo, hi) have taken the k-th step from now. */
static void observed_after(const struct collector *c, int k, int lo, int hi)
{
    const struct transitions *x = c->transitions;
    observed(c, transitions_next(x, transitions_place(x, x->step + (uint64_t)k)), lo, hi);
}

/* Actions for one stage's environments, or all: of the k-th step from now, which is the t-th of this call. */
static void act(const struct collector *c, int stage, int k, int t)
{
    const struct transitions *x = c->transitions;
    const struct states *states = c->config.states;
    const int place = transitions_place(x, x->step + (uint64_t)k);
    struct actor_io io[MAPPO_MAX_GROUPS];
    struct mappo_env_io at;
    transitions_aim_before(x, &at, k);
    for (int g = 0; g < c->spec->groups; g++) {
        io[g] = (struct actor_io){.obs = at.group[g].obs,
                                  .mask = at.group[g].act_mask,
                                  .act_int = (int32_t *)(uintptr_t)at.group[g].act_int, /* the environment only reads actions */
                                  .act_real = (float *)(uintptr_t)at.group[g].act_real,
                                  .log_prob = c->config.log_prob[g] ? c->config.log_prob[g] + (size_t)t * c->work->log_probs[g] : NULL};
        if (!states || !states->group[g][ROLE_ACTOR].rows) continue;
        io[g].state = states_at(states, g, ROLE_ACTOR, place);
        io[g].state_after = states_at(states, g, ROLE_ACTOR, place + 1);
        io[g].ended = states_ended(states, place);
    }
    actor_act(c->work->actor, io, stage, (uint64_t)t, false);
    const bool all = stage == ACTOR_ALL;
    if (c->config.acted)
        c->config.acted(c->config.learner, &at, t, all ? 0 : c->work->stage_first[stage],
                        all ? x->config.envs : c->work->stage_first[stage + 1]);
}

/* Actions for those whom no networks act for, of a step by its number; `io` has what they see. */
static int play(const struct collector *c, struct vecenv *env, int lo, int hi, const struct mappo_env_io *io, uint64_t step,
                struct error *err)
{
    return c->work->played ? players_act(&c->work->players, env, lo, hi, io, step, err) : 0;
}

/* Environments [lo, hi) have taken a step. */
static void note_cuts(const struct collector *c, int lo, int hi)
{
    c->work->cut = c->work->cut || memchr(c->work->io.ep_end + lo, MAPPO_TRUNCATED, (size_t)(hi - lo));
}

/* The t-th step of this call has been taken by all. */
static void finish_step(struct collector *c, int t)
{
    if (c->config.cut && c->work->cut && !c->transitions->config.all_finals) c->config.cut(c->config.learner, t);
    c->work->cut = false;
    transitions_advance(c->transitions, 1);
}

/* ---- the three ways ------------------------------------------------------------------------------------------------------------------ */

int collect_begin(struct collector *c, struct vecenv *env, bool restored, struct error *err)
{
    struct collect_work *work = c->work;
    struct transitions *x = c->transitions;
    struct mappo_env_io at;
    work->players.squashed = vecenv_squashes(env);
    if (!x->config.ring || !restored) transitions_clear(x);
    transitions_aim_before(x, &at, 0);
    if (c->config.where != COLLECT_STAGED) work->io = at;
    const int code = restored ? vecenv_observe(env, &work->io, err) : vecenv_reset(env, &work->io, err);
    if (code) return after_step(c, code, err);
    if (c->config.where == COLLECT_STAGED) {
        send_slices(c, &at, false, 0, x->config.envs);
        work->backend->sync(work->backend);
    }
    observed(c, transitions_place(x, x->step), 0, x->config.envs);
    return 0;
}

/* The end of the range, beginning with `lo`, of those that still play or don't. */
static int range_end(const struct collector *c, int lo)
{
    const uint8_t *over = c->work->over;
    int hi = lo + 1;
    while (hi < c->transitions->config.envs && over[hi] == over[lo]) hi++;
    return hi;
}

/* Of whole episodes: environments that still play take a step. The place of one that does not is an end, over which nothing is carried. */
static int step_those_that_play(struct collector *c, struct vecenv *env, int t, struct error *err)
{
    struct collect_work *work = c->work;
    const struct transitions *x = c->transitions;
    const int envs = x->config.envs;
    int code = 0;
    for (int lo = 0, hi; lo < envs && !code; lo = hi) {
        hi = range_end(c, lo);
        if (work->over[lo])
            memset(work->io.ep_end + lo, MAPPO_TERMINATED, (size_t)(hi - lo));
        else
            code = vecenv_step_begin(env, lo, hi, &work->io, err);
    }
    for (int lo = 0, hi; lo < envs && !code; lo = hi) {
        hi = range_end(c, lo);
        if (work->over[lo]) continue;
        if ((code = vecenv_step_end(env, lo, hi, err))) break;
        observed_after(c, 0, lo, hi);
        for (int e = lo; e < hi; e++) {
            x->length[e] = t + 1;
            work->over[e] = t + 1 >= x->config.at_least && work->io.ep_end[e] != MAPPO_RUNNING;
        }
    }
    return code;
}

static int step_all(struct collector *c, struct vecenv *env, struct error *err)
{
    const int code = vecenv_step(env, &c->work->io, err);
    if (code == 0) observed_after(c, 0, 0, c->transitions->config.envs);
    return code;
}

static int direct_step(struct collector *c, struct vecenv *env, int t, struct error *err)
{
    watchdog_sign();
    const double start = clock_seconds();
    act(c, ACTOR_ALL, 0, t);
    const double acted = clock_seconds();
    transitions_aim_before(c->transitions, &c->work->io, 0);
    int code = play(c, env, 0, c->transitions->config.envs, &c->work->io, c->transitions->step, err);
    transitions_aim(c->transitions, &c->work->io, 0);
    if (code == 0) code = c->work->over ? step_those_that_play(c, env, t, err) : step_all(c, env, err);
    if (code) return after_step(c, code, err);
    const double stepped = clock_seconds();
    note_cuts(c, 0, c->transitions->config.envs);
    finish_step(c, t);
    c->seconds_step += stepped - acted;
    c->seconds_infer += acted - start + (clock_seconds() - stepped);
    return 0;
}

static int collect_direct(struct collector *c, struct vecenv *env, struct error *err)
{
    int code = 0;
    for (int t = 0; t < c->config.steps && !code; t++) code = direct_step(c, env, t, err);
    return code;
}

static int collect_episodes(struct collector *c, struct vecenv *env, struct error *err)
{
    struct transitions *x = c->transitions;
    const size_t envs = (size_t)x->config.envs;
    int t = 0, code = 0;
    vecenv_count_anew(env);
    memset(c->work->over, 0, envs);
    for (; memchr(c->work->over, 0, envs) && !code; t++) {
        CHECK(t < c->config.steps, "an episode goes on beyond %d steps", c->config.steps);
        code = direct_step(c, env, t, err);
    }
    if (code) return code;
    memset(x->all.ep_end + (size_t)t * envs, MAPPO_TERMINATED, (size_t)(c->config.steps - t) * envs);
    transitions_close(x);
    return 0;
}

/* As act, then downloads the actions. */
static void act_for(struct collector *c, int stage, int k, int t)
{
    const struct collect_work *work = c->work;
    act(c, stage, k, t);
    fetch_actions(c, k, work->stage_first[stage], work->stage_first[stage + 1]);
    if (work->backend->mark) work->backend->mark(work->backend, stage % BACKEND_STAGES);
}

static void begin_device_work(const struct collector *c, int stage)
{
    struct backend *backend = c->work->backend;
    if (backend->mark_begin) backend->mark_begin(backend, stage % BACKEND_STAGES);
}

/* Actions of the stage are there when this returns. Of stages that share a slot the last one's time stands for all. */
static void await_actions(struct collector *c, int stage)
{
    struct backend *backend = c->work->backend;
    if (!backend->wait) return;
    const double start = clock_seconds();
    backend->wait(backend, stage % BACKEND_STAGES);
    c->seconds_wait += clock_seconds() - start;
    if (backend->mark_seconds) c->seconds_device += backend->mark_seconds(backend, stage % BACKEND_STAGES);
}

/* Has one stage take its t-th step, or only begin it. */
static int begin_stage(struct collector *c, struct vecenv *env, int stage, uint64_t step, struct error *err)
{
    const struct collect_work *work = c->work;
    const int lo = work->stage_first[stage], hi = work->stage_first[stage + 1];
    watchdog_sign();
    const double start = clock_seconds();
    await_actions(c, stage);
    const double acted = clock_seconds();
    int code = play(c, env, lo, hi, &work->io, step, err);
    if (code == 0) code = vecenv_step_begin(env, lo, hi, &work->io, err);
    c->seconds_infer += acted - start;
    c->seconds_step += clock_seconds() - acted;
    return after_step(c, code, err);
}

/* When it has, uploads what it saw and what followed; the backend then infers its next actions. */
static int end_stage(struct collector *c, struct vecenv *env, int stage, int t, struct error *err)
{
    const int lo = c->work->stage_first[stage], hi = c->work->stage_first[stage + 1];
    struct mappo_env_io at;
    const double start = clock_seconds();
    const int code = vecenv_step_end(env, lo, hi, err);
    if (code) return after_step(c, code, err);
    const double stepped = clock_seconds();
    note_cuts(c, lo, hi);
    begin_device_work(c, stage);
    transitions_aim(c->transitions, &at, 0);
    send_slices(c, &at, true, lo, hi);
    observed_after(c, 0, lo, hi);
    if (t + 1 < c->config.steps) act_for(c, stage, 1, t + 1);
    c->seconds_step += stepped - start;
    c->seconds_infer += clock_seconds() - stepped;
    return 0;
}

/* While the host steps one stage, the device infers the others: waiting for actions is all that inference costs. Where a step that was begun
 * goes on by itself, all stages but the one that is inferred are under way. */
static int collect_staged(struct collector *c, struct vecenv *env, struct error *err)
{
    const int stages = c->work->stages, behind = vecenv_steps_elsewhere(env) ? stages - 1 : 0;
    const int all = stages * c->config.steps;
    const uint64_t first = c->transitions->step;
    int code = 0;
    for (int stage = 0; stage < stages; stage++) {
        begin_device_work(c, stage);
        act_for(c, stage, 0, 0);
    }
    for (int k = 0; k < all + behind && !code; k++) {
        if (k < all) code = begin_stage(c, env, k % stages, first + (uint64_t)(k / stages), err);
        const int done = k - behind, t = done / stages;
        if (done < 0 || code) continue;
        code = end_stage(c, env, done % stages, t, err);
        if (!code && done % stages == stages - 1) finish_step(c, t);
    }
    return code;
}

/* Nothing here waits for the device, and nothing differs from one rollout to the next but what is in its memory: so it is recorded once. In
 * a ring places differ. */
static int collect_on_device(struct collector *c, struct vecenv *env, struct error *err)
{
    enum { MOST_RECORDED = 512 }; /* steps: a longer rollout is no longer bound by launches */
    struct collect_work *work = c->work;
    struct transitions *x = c->transitions;
    const int steps = c->config.steps;
    const bool records = steps <= MOST_RECORDED && !x->config.ring;
    const double start = clock_seconds();
    watchdog_sign();
    if (!records || !backend_replayed(work->backend, &work->recorded)) {
        for (int k = 0; k < steps; k++) {
            act(c, ACTOR_ALL, k, k);
            transitions_aim(x, &work->io, k);
            const int code = vecenv_step(env, &work->io, err);
            if (code) return code;
            observed_after(c, k, 0, x->config.envs);
        }
        if (c->config.cut) c->config.cut(c->config.learner, 0);
        device_check_run(&c->check, env);
        if (records) backend_recorded(work->backend, &work->recorded);
    }
    transitions_advance(x, steps);
    c->seconds_step += clock_seconds() - start;
    return 0;
}

struct collecting {
    struct collector *collector;
    struct vecenv *env;
    struct error *err;
};

static int collect_attended(void *self)
{
    struct collecting *c = self;
    return collect_staged(c->collector, c->env, c->err);
}

int collect_steps(struct collector *c, struct vecenv *env, struct error *err)
{
    struct transitions *x = c->transitions;
    struct collecting staged = {c, env, err};
    if (!x->config.ring && transitions_full(x)) {
        if (c->config.states) states_carry(c->config.states);
        transitions_carry(x);
        observed(c, 0, 0, x->config.envs);
    }
    if (c->config.self_play) self_play_assign(c->config.self_play, c->work->actor);
    c->work->backend->upload(c->work->backend, c->work->clock, &x->step, sizeof x->step);
    if (c->config.where == COLLECT_DEVICE) return collect_on_device(c, env, err);
    if (c->config.where == COLLECT_STAGED) return crew_attend(c->config.crew, collect_attended, &staged);
    return c->work->over ? collect_episodes(c, env, err) : collect_direct(c, env, err);
}
