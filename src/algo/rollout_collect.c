/* Collecting: T times act, step, look. Three ways through, by where the environments are (enum rollout_where). */
#include <math.h>
#include <string.h>

#include "algo/rollout_work.h"
#include "base/clock.h"
#include "comm/watchdog.h"
#include "env/crew.h"
#include "env/judge.h"

/* ---- where the environment writes ---------------------------------------------------------------------------------------------------- */

static void *at(void *base, size_t bytes)
{
    return base ? (char *)base + bytes : NULL;
}

/* Points the environment's arrays into the rollout: actions, rewards and ends of step t, observations into slice `next`. */
static void aim_environment(struct rollout *rollout, int t, int next)
{
    struct mappo_env_io *io = &rollout->work->env_io;
    const size_t envs = (size_t)rollout->config.envs, step = (size_t)t, slice = (size_t)next;
    const size_t final = rollout->final_steps > 1 ? step : 0;
    *io = (struct mappo_env_io){.struct_size = sizeof *io, .groups = rollout->groups};
    for (int g = 0; g < rollout->groups; g++) {
        const struct rollout_group *group = &rollout->group[g];
        const size_t rows = envs * (size_t)group->sizes.agents, obs = rollout_obs_size(rollout, g), state = rollout_state_size(rollout, g);
        struct mappo_group_io *to = &io->group[g];
        to->act_int = at(group->act_int, step * rows * (size_t)group->sizes.act_ints * sizeof(int32_t));
        to->act_real = at(group->act_real, step * rows * (size_t)group->sizes.act_reals * sizeof(float));
        to->obs = group->obs + slice * obs;
        to->final_obs = at(group->final_obs, final * obs * sizeof(float));
        if (rollout->work->policy[g]->critic_input == CRITIC_AGENT_STATE) {
            to->state = group->state + slice * state;
            to->final_state = at(group->final_state, final * state * sizeof(float));
        }
        to->reward = group->reward + step * rows;
        to->terminated = group->terminated + step * rows;
        to->active = at(group->active, slice * rows);
        to->act_mask = at(group->act_mask, slice * rows * (size_t)group->sizes.logits);
    }
    const size_t width = rollout_environment_width(rollout) * envs * sizeof(float);
    io->state = at(rollout->state, slice * width);
    io->final_state = at(rollout->final_state, final * width);
    io->ep_end = rollout->ep_end + step * envs;
}

/* ---- what went wrong --------------------------------------------------------------------------------------------------------------- */

/* An environment's error, with the step it happened after. */
static int after_step(const struct rollout *rollout, int code, struct error *err)
{
    if (code) error_suffix(err, ", after step %llu", (unsigned long long)rollout->step);
    return code;
}

enum looks { LOOK_NUMBERS, LOOK_MASKS, LOOK_REWARDS, LOOK_ENDS };

/* Arrays of a rollout whose environments are on the device: number i of `bad`. */
struct watched {
    int look, group; /* enum looks; group < 0: of the environment */
    const char *what;
    const void *x;
    size_t steps, width; /* [steps][E][width] */
    int late;            /* slices after the step: 1 for observations of slice 0, which belong to the rollout before */
};
enum { WATCHED = 5 * MAPPO_MAX_GROUPS + 2 };

static int list_watched(const struct rollout *rollout, struct watched *list)
{
    const size_t steps = (size_t)rollout->config.steps, envs = (size_t)rollout->config.envs;
    int n = 0;
    for (int g = 0; g < rollout->groups; g++) {
        const struct rollout_group *group = &rollout->group[g];
        const size_t agents = (size_t)group->sizes.agents, logits = agents * (size_t)group->sizes.logits;
        const size_t obs = rollout_obs_size(rollout, g) / envs, state = rollout_state_size(rollout, g) / envs;
        list[n++] = (struct watched){LOOK_NUMBERS, g, "reward", group->reward, steps, agents, 0};
        list[n++] = (struct watched){LOOK_NUMBERS, g, "observation", group->obs, steps + 1, obs, 1};
        if (rollout->work->policy[g]->critic_input == CRITIC_AGENT_STATE)
            list[n++] = (struct watched){LOOK_NUMBERS, g, "state", group->state, steps + 1, state, 1};
        if (group->act_mask) list[n++] = (struct watched){LOOK_MASKS, g, "mask", group->act_mask, steps + 1, logits, 1};
        if (rollout->work->spec->group[g].flags & MAPPO_SHARED_REWARD)
            list[n++] = (struct watched){LOOK_REWARDS, g, "reward", group->reward, steps, agents, 0};
    }
    if (rollout->state)
        list[n++] = (struct watched){LOOK_NUMBERS, -1, "state", rollout->state, steps + 1, rollout_environment_width(rollout), 1};
    list[n++] = (struct watched){LOOK_ENDS, -1, "end", NULL, steps, 1, 0};
    return n;
}

int rollout_watched(const struct rollout *rollout)
{
    struct watched list[WATCHED];
    return list_watched(rollout, list);
}

static void watch(struct rollout *rollout, struct vecenv *env)
{
    struct backend *backend = rollout->backend;
    struct watched list[WATCHED];
    const int n = list_watched(rollout, list);
    for (int i = 0; i < n; i++) {
        const struct watched *w = &list[i];
        const size_t units = w->steps * (size_t)rollout->config.envs;
        uint64_t *bad = rollout->bad + i;
        if (w->look == LOOK_NUMBERS) {
            backend->find_nonfinite(backend, w->x, units * w->width, bad);
        } else if (w->look == LOOK_MASKS) {
            const struct rollout_group *group = &rollout->group[w->group];
            backend->find_no_choice(backend, &rollout->work->policy[w->group]->dist, w->x, group->active,
                                    units * (size_t)group->sizes.agents, bad);
        } else if (w->look == LOOK_REWARDS) {
            backend->find_unequal(backend, w->x, units, (int)w->width, bad);
        } else {
            vecenv_find_wrong_end(env, bad);
        }
    }
}

/* What number `at` of an environment, found by a look, means. */
static void say_fault(const struct rollout *rollout, const struct watched *w, uint64_t found, size_t at, char *text, size_t size)
{
    const struct mappo_env_spec *spec = rollout->work->spec;
    const struct mappo_group *group = w->group < 0 ? NULL : &spec->group[w->group];
    if (w->look == LOOK_NUMBERS) judge_say_number(text, size, group, w->what, w->width, at, nonfinite_value(found));
    if (w->look == LOOK_MASKS) judge_say_mask(text, size, group, w->width, at);
    if (w->look == LOOK_REWARDS) judge_say_reward(text, size, group, at);
    if (w->look == LOOK_ENDS) judge_say_end(text, size, spec, (int)(found % 4));
}

int rollout_complain(const struct rollout *rollout, const uint64_t *bad, uint64_t step, struct error *err)
{
    struct watched list[WATCHED];
    const int n = list_watched(rollout, list);
    const size_t envs = (size_t)rollout->config.envs;
    const struct watched *first = NULL; /* what was wrong earliest: the rest may follow from it */
    size_t earliest = 0, place = 0;
    uint64_t found = 0;
    for (int i = 0; i < n && i < rollout->bads; i++) {
        if (bad[i] == NONFINITE_NONE) continue;
        const size_t row = envs * list[i].width, at = nonfinite_index(bad[i]), slice = at / row;
        const size_t after = slice - (size_t)(list[i].late && slice > 0);
        if (first && after >= earliest) continue;
        first = &list[i];
        earliest = after;
        place = at % row;
        found = bad[i];
    }
    if (!first) return 0;
    char text[256];
    say_fault(rollout, first, found, place % first->width, text, sizeof text);
    const int code = first->look == LOOK_NUMBERS ? EXIT_NUMERICAL : EXIT_ENVIRONMENT;
    vecenv_error(rollout->work->env, code, (int32_t)(place / first->width), text, err);
    return error_suffix(err, ", after step %llu", (unsigned long long)(step - (uint64_t)rollout->config.steps + earliest));
}

/* ---- putting critic inputs together -------------------------------------------------------------------------------------------------- */

/* Rows of environments [lo, hi), the final ones with t < 0. */
struct compose {
    struct rollout *rollout;
    int t, lo, hi;
};

static const float *source(const struct compose *c, const float *slices, const float *finals, size_t width)
{
    const size_t slice = c->t < 0 ? 0 : (size_t)c->t * (size_t)c->rollout->config.envs;
    return (c->t < 0 ? finals : slices) + (slice + (size_t)c->lo) * width;
}

/* All observations of all groups, one after the other. */
static void compose_joint(const struct compose *c)
{
    struct rollout *rollout = c->rollout;
    struct copy_pass pass[MAPPO_MAX_GROUPS];
    const size_t width = rollout_joint_width(rollout);
    float *to = (float *)(uintptr_t)source(c, rollout->joint, rollout->final_joint, width);
    for (int g = 0; g < rollout->groups; g++) {
        const size_t part = rollout_obs_size(rollout, g) / (size_t)rollout->config.envs;
        pass[g] = (struct copy_pass){.rows = c->hi - c->lo,
                                     .width = (int)part,
                                     .repeat = 1,
                                     .to_stride = (int)width,
                                     .from_stride = (int)part,
                                     .from = source(c, rollout->group[g].obs, rollout->group[g].final_obs, part),
                                     .to = to};
        to += part;
    }
    rollout->backend->copy_rows(rollout->backend, pass, rollout->groups);
}

/* The central state once for each agent, before its number. */
static void compose_numbered(const struct compose *c, int g)
{
    struct rollout *rollout = c->rollout;
    const struct policy *policy = rollout->work->policy[g];
    const struct rollout_group *group = &rollout->group[g];
    const size_t agents = (size_t)policy->sizes.agents, whole = (size_t)policy->state_size, width = whole - agents;
    const bool own = !policy->concatenate && rollout->state;
    const float *from = own ? source(c, rollout->state, rollout->final_state, width)
                        : rollout->joint
                            ? source(c, rollout->joint, rollout->final_joint, width)
                            : source(c, group->obs, group->final_obs, width); /* one group: its observations are the joint ones */
    const struct copy_pass pass = {.rows = (c->hi - c->lo) * (int)agents,
                                   .width = (int)width,
                                   .repeat = (int)agents,
                                   .to_stride = (int)whole,
                                   .from_stride = (int)width,
                                   .from = from,
                                   .to = (float *)(uintptr_t)source(c, group->state, group->final_state, agents * whole)};
    rollout->backend->copy_rows(rollout->backend, &pass, 1);
}

void rollout_compose(struct rollout *rollout, int t, int lo, int hi)
{
    if (!rollout->work->composes) return;
    const struct compose c = {rollout, t, lo, hi};
    if (rollout->joint) compose_joint(&c);
    for (int g = 0; g < rollout->groups; g++)
        if (rollout->work->policy[g]->critic_input == CRITIC_STATE_ID) compose_numbered(&c, g);
}

/* ---- between the environments' slices and the rollout -------------------------------------------------------------------------------- */

static void bring(struct rollout *rollout, void *to, const void *from, size_t first, size_t bytes)
{
    struct backend *b = rollout->backend;
    if (!to || !from) return;
    (b->upload_later ? b->upload_later : b->upload)(b, (char *)to + first, (const char *)from + first, bytes);
}

/* Final states are read where an episode was cut: only these are sent, in one piece where what lies between costs less than a second one.
 */
static void bring_truncated(struct rollout *rollout, void *to, const void *from, size_t width, int lo, int hi)
{
    enum { GAP = 32 * 1024 }; /* bytes that pass in the microsecond or two that a copy takes to begin */
    const uint8_t *end = rollout->work->env_io.ep_end;
    int first = -1, last = -1;
    for (int e = lo; e < hi && to; e++) {
        if (end[e] != MAPPO_TRUNCATED) continue;
        if (first >= 0 && (size_t)(e - last - 1) * width > GAP) {
            bring(rollout, to, from, (size_t)first * width, (size_t)(last + 1 - first) * width);
            first = e;
        }
        if (first < 0) first = e;
        last = e;
    }
    if (first >= 0) bring(rollout, to, from, (size_t)first * width, (size_t)(last + 1 - first) * width);
}

static void fetch(struct rollout *rollout, const void *to, const void *from, size_t first, size_t bytes)
{
    struct backend *b = rollout->backend;
    if (!to || !from) return;
    (b->download_later ? b->download_later : b->download)(b, (char *)(uintptr_t)to + first, (const char *)from + first, bytes);
}

/* What environments [lo, hi) wrote into their slices, to where aim_environment would have let them write it. */
static void bring_slice(struct rollout *rollout, int t, int next, bool stepped, int lo, int hi)
{
    struct rollout_work *work = rollout->work;
    const struct mappo_env_io from = work->env_io;
    aim_environment(rollout, t, next);
    const struct mappo_env_io to = work->env_io;
    work->env_io = from;
    const size_t first = (size_t)lo, envs = (size_t)(hi - lo), all = (size_t)rollout->config.envs;
    for (int g = 0; g < rollout->groups; g++) {
        const struct mappo_group_io *a = &to.group[g], *b = &from.group[g];
        const size_t agents = (size_t)rollout->group[g].sizes.agents, logits = agents * (size_t)rollout->group[g].sizes.logits;
        const size_t obs = rollout_obs_size(rollout, g) / all * sizeof(float), state = rollout_state_size(rollout, g) / all * sizeof(float);
        bring(rollout, a->obs, b->obs, first * obs, envs * obs);
        bring(rollout, a->state, b->state, first * state, envs * state);
        bring(rollout, a->active, b->active, first * agents, envs * agents);
        bring(rollout, a->act_mask, b->act_mask, first * logits, envs * logits);
        if (!stepped) continue;
        bring_truncated(rollout, a->final_obs, b->final_obs, obs, lo, hi);
        bring_truncated(rollout, a->final_state, b->final_state, state, lo, hi);
        bring(rollout, a->reward, b->reward, first * agents * sizeof(float), envs * agents * sizeof(float));
        bring(rollout, a->terminated, b->terminated, first * agents, envs * agents);
    }
    const size_t width = rollout_environment_width(rollout) * sizeof(float);
    bring(rollout, to.state, from.state, first * width, envs * width);
    if (!stepped) return;
    bring_truncated(rollout, to.final_state, from.final_state, width, lo, hi);
    bring(rollout, to.ep_end, from.ep_end, first, envs);
}

static void fetch_actions(struct rollout *rollout, int t, int lo, int hi)
{
    const size_t envs = (size_t)rollout->config.envs, first = (size_t)lo, count = (size_t)(hi - lo), step = (size_t)t;
    for (int g = 0; g < rollout->groups; g++) {
        const struct rollout_group *group = &rollout->group[g];
        const struct mappo_group_io *to = &rollout->work->env_io.group[g];
        const size_t ints = (size_t)group->sizes.agents * (size_t)group->sizes.act_ints * sizeof(int32_t);
        const size_t reals = (size_t)group->sizes.agents * (size_t)group->sizes.act_reals * sizeof(float);
        fetch(rollout, to->act_int, at(group->act_int, step * envs * ints), first * ints, count * ints);
        fetch(rollout, to->act_real, at(group->act_real, step * envs * reals), first * reals, count * reals);
    }
}

/* ---- collecting ---------------------------------------------------------------------------------------------------------------------- */

int rollout_begin(struct rollout *rollout, struct vecenv *env, bool restored, struct error *err)
{
    const int where = rollout->config.where, envs = rollout->config.envs;
    rollout->work->env = env;
    if (where != ROLLOUT_STAGED) aim_environment(rollout, 0, 0);
    const struct mappo_env_io *io = &rollout->work->env_io;
    const int code = restored ? vecenv_observe(env, io, err) : vecenv_reset(env, io, err);
    if (code) return after_step(rollout, code, err);
    if (where == ROLLOUT_STAGED) {
        bring_slice(rollout, 0, 0, false, 0, envs);
        rollout->backend->sync(rollout->backend);
    }
    rollout_compose(rollout, 0, 0, envs);
    rollout->work->filled = false;
    return 0;
}

static void copy_slice(struct rollout *rollout, void *base, size_t bytes)
{
    const size_t last = (size_t)rollout->config.steps;
    if (base && bytes) rollout->backend->copy(rollout->backend, base, (const char *)base + last * bytes, bytes);
}

static void carry_over(struct rollout *rollout)
{
    const size_t envs = (size_t)rollout->config.envs;
    for (int g = 0; g < rollout->groups; g++) {
        struct rollout_group *group = &rollout->group[g];
        const size_t rows = envs * (size_t)group->sizes.agents;
        copy_slice(rollout, group->obs, rollout_obs_size(rollout, g) * sizeof *group->obs);
        if (rollout_owns_state(rollout, g)) copy_slice(rollout, group->state, rollout_state_size(rollout, g) * sizeof *group->state);
        copy_slice(rollout, group->active, rows);
        copy_slice(rollout, group->act_mask, rows * (size_t)group->sizes.logits);
    }
    copy_slice(rollout, rollout->state, envs * rollout_environment_width(rollout) * sizeof *rollout->state);
    copy_slice(rollout, rollout->joint, envs * rollout_joint_width(rollout) * sizeof *rollout->joint);
}

/* Actions of step t for one stage's environments, or all. */
static void act(struct rollout *rollout, int stage, int t)
{
    struct actor_io *io = rollout->work->io;
    const size_t step = (size_t)t;
    for (int g = 0; g < rollout->groups; g++) {
        const struct rollout_group *group = &rollout->group[g];
        const size_t rows = (size_t)rollout->config.envs * (size_t)group->sizes.agents;
        io[g].obs = group->obs + step * rollout_obs_size(rollout, g);
        io[g].mask = at(group->act_mask, step * rows * (size_t)group->sizes.logits);
        io[g].act_int = at(group->act_int, step * rows * (size_t)group->sizes.act_ints * sizeof(int32_t));
        io[g].act_real = at(group->act_real, step * rows * (size_t)group->sizes.act_reals * sizeof(float));
        io[g].log_prob = group->log_prob + step * rows;
    }
    actor_act(rollout->work->actor, io, stage, step, false);
}

static int collect_direct(struct rollout *rollout, struct vecenv *env, struct error *err)
{
    const int envs = rollout->config.envs;
    for (int t = 0; t < rollout->config.steps; t++) {
        watchdog_sign();
        const double start = clock_seconds();
        act(rollout, ACTOR_ALL, t);
        const double acted = clock_seconds();
        aim_environment(rollout, t, t + 1);
        const int code = vecenv_step(env, &rollout->work->env_io, err);
        if (code) return after_step(rollout, code, err);
        rollout_compose(rollout, t + 1, 0, envs);
        const double stepped = clock_seconds();
        if (rollout->config.bootstrap) rollout_bootstrap(rollout, t);
        rollout->step++;
        rollout->seconds_step += stepped - acted;
        rollout->seconds_infer += acted - start + (clock_seconds() - stepped);
    }
    return 0;
}

static void act_for(struct rollout *rollout, int stage, int t)
{
    const struct rollout_work *work = rollout->work;
    struct backend *backend = rollout->backend;
    act(rollout, stage, t);
    fetch_actions(rollout, t, work->stage_first[stage], work->stage_first[stage + 1]);
    if (backend->mark) backend->mark(backend, stage % BACKEND_STAGES);
}

static void begin_device_work(struct rollout *rollout, int stage)
{
    if (rollout->backend->mark_begin) rollout->backend->mark_begin(rollout->backend, stage % BACKEND_STAGES);
}

/* Actions of the stage are there when this returns. Of stages that share a slot the last one's time stands for all. */
static void await_actions(struct rollout *rollout, int stage)
{
    struct backend *backend = rollout->backend;
    if (!backend->wait) return;
    const double start = clock_seconds();
    backend->wait(backend, stage % BACKEND_STAGES);
    rollout->seconds_wait += clock_seconds() - start;
    if (backend->mark_seconds) rollout->seconds_device += backend->mark_seconds(backend, stage % BACKEND_STAGES);
}

static bool any_truncated(const struct rollout *rollout)
{
    const uint8_t *end = rollout->work->env_io.ep_end;
    return memchr(end, MAPPO_TRUNCATED, (size_t)rollout->config.envs) != NULL;
}

/* While the host steps one stage, the device infers the others: waiting for actions is all that inference costs. */
static int collect_staged(struct rollout *rollout, struct vecenv *env, struct error *err)
{
    struct rollout_work *work = rollout->work;
    const int steps = rollout->config.steps;
    for (int stage = 0; stage < work->stages; stage++) {
        begin_device_work(rollout, stage);
        act_for(rollout, stage, 0);
    }
    for (int t = 0; t < steps; t++) {
        for (int stage = 0; stage < work->stages; stage++) {
            const int lo = work->stage_first[stage], hi = work->stage_first[stage + 1];
            watchdog_sign();
            const double start = clock_seconds();
            await_actions(rollout, stage);
            const double acted = clock_seconds();
            int code = vecenv_step_begin(env, lo, hi, &work->env_io, err);
            if (code == 0) code = vecenv_step_end(env, lo, hi, err);
            if (code) return after_step(rollout, code, err);
            const double stepped = clock_seconds();
            begin_device_work(rollout, stage);
            bring_slice(rollout, t, t + 1, true, lo, hi);
            rollout_compose(rollout, t + 1, lo, hi);
            if (t + 1 < steps) act_for(rollout, stage, t + 1);
            rollout->seconds_step += stepped - acted;
            rollout->seconds_infer += acted - start + (clock_seconds() - stepped);
        }
        if (rollout->config.bootstrap && any_truncated(rollout)) rollout_bootstrap(rollout, t);
        rollout->step++;
    }
    return 0;
}

/* Nothing here waits for the device, and nothing differs from one rollout to the next but what is in its memory: so it is recorded once. */
static int collect_on_device(struct rollout *rollout, struct vecenv *env, struct error *err)
{
    enum { MOST_RECORDED = 512 }; /* steps: a longer rollout is no longer bound by launches */
    struct rollout_work *work = rollout->work;
    struct backend *backend = rollout->backend;
    const int steps = rollout->config.steps;
    const bool records = steps <= MOST_RECORDED;
    const double start = clock_seconds();
    watchdog_sign();
    if (!records || !backend_replayed(backend, &work->collect)) {
        for (int t = 0; t < steps; t++) {
            act(rollout, ACTOR_ALL, t);
            aim_environment(rollout, t, t + 1);
            const int code = vecenv_step(env, &work->env_io, err);
            if (code) return code;
            rollout_compose(rollout, t + 1, 0, rollout->config.envs);
        }
        if (rollout->config.bootstrap) rollout_bootstrap(rollout, 0);
        watch(rollout, env);
        if (records) backend_recorded(backend, &work->collect);
    }
    rollout->step += (uint64_t)steps;
    rollout->seconds_step += clock_seconds() - start;
    return 0;
}

struct collecting {
    struct rollout *rollout;
    struct vecenv *env;
    struct error *err;
};

static int collect_attended(void *self)
{
    struct collecting *c = self;
    return collect_staged(c->rollout, c->env, c->err);
}

int rollout_collect(struct rollout *rollout, struct vecenv *env, struct error *err)
{
    struct collecting staged = {rollout, env, err};
    struct rollout_work *work = rollout->work;
    if (work->filled) carry_over(rollout);
    work->filled = false;
    rollout->backend->upload(rollout->backend, work->clock, &rollout->step, sizeof rollout->step);
    const int code = rollout->config.where == ROLLOUT_DEVICE   ? collect_on_device(rollout, env, err)
                     : rollout->config.where == ROLLOUT_STAGED ? crew_attend(rollout->config.crew, collect_attended, &staged)
                                                               : collect_direct(rollout, env, err);
    work->filled = code == 0;
    return code;
}
