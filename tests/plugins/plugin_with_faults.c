/* A sound environment that breaks one promise of mappo_env.h on request: planted_faults.h lists them. Two walkers on a ring in the wind, and
 * one who watches them. */
#include <assert.h>
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/philox.h"
#include "env/lane_env.h"
#include "env/mappo_env.h"

#define FAULT(name, line)   fault_##name,
#define WARNING(name, line) fault_##name,
enum {
    fault_none,
#include "planted_faults.h"
};
#undef FAULT
#undef WARNING
#define FAULT(name, line)   #name,
#define WARNING(name, line) #name,
static const char *const faults[] = {"none",
#include "planted_faults.h"
                                     NULL};

enum {
    RING = 10,
    WALKERS = 2,
    MOVES = 3,
    WALKER_OBS = 5,
    WATCHER_OBS = 4,
    CLOUDS = 4,
    ALL_OBS = WALKERS * WALKER_OBS + WATCHER_OBS,
    STATE = 3,
    STRIKE_STEP = 7,
    STRIKE_ENV = 2
};
static const struct mappo_option options[] = {{"fault", MAPPO_OPTION_CHOICE, "none", 0, 0, faults, "what is wrong"},
                                              {"max_steps", MAPPO_OPTION_INT, "12", 1, 1000, NULL, "steps of an episode"},
                                              {"clouds", MAPPO_OPTION_INT, "2", 1, CLOUDS + 1, NULL, "that nobody sees"},
                                              {NULL, 0, NULL, 0, 0, NULL, NULL}};
static const int32_t moves = MOVES, many_moves = MOVES + 2, first_move = 5, three = 3;
static const float low[2] = {0, -1}, high[2] = {1, 1};
static const struct mappo_info infos[2] = {{"distance", "cells", "between the walkers", 0}, {"met", "episodes", "in which they met", 1}};

struct copy {
    struct philox rng;
    int32_t steps, total;
    int32_t cell[WALKERS];
    int32_t wind, met;
};

struct env {
    struct copy *copy;
    int64_t fault, max_steps;
    int32_t envs, shared, scratch;
    void *grown; /* what steps took: a list */
    const struct mappo_value *kept;
    float *kept_obs;
    int32_t *aside; /* [envs] what no snapshot holds */
    struct mappo_env_spec spec;
};

static int32_t global;
static int *volatile nowhere;
static int (*volatile again)(volatile char *);
static int fall(volatile char *above)
{
    volatile char room[4096];
    room[0] = above ? above[0] : 0;
    return again(room) + room[0];
}

/* ---- what it looks like ---------------------------------------------------------------------------------------------------------------- */

static void describe(struct env *env)
{
    struct mappo_env_spec *spec = &env->spec;
    struct mappo_group *walkers = &spec->group[0], *watcher = &spec->group[1];
    spec->struct_size = sizeof *spec;
    spec->groups = 2;
    spec->infos = 2;
    spec->info = env->fault == fault_unsound_spec ? NULL : infos;
    spec->max_steps = env->fault == fault_unlimited || env->fault == fault_limit_is_not_said ? 0 : (int32_t)env->max_steps;
    spec->state_is_all_obs = env->fault == fault_wrong_state;
    spec->state_size = spec->state_is_all_obs ? ALL_OBS : STATE;
    if (env->fault == fault_state_forgotten) spec->state_size = 0;
    spec->snapshot_bytes = sizeof(struct copy) + 4 * (env->fault == fault_snapshot_too_short) - 4 * (env->fault == fault_snapshot_too_long);
    *walkers =
        (struct mappo_group){.name = "walker",
                             .agents = WALKERS,
                             .flags = (env->fault == fault_no_flag_mask ? 0 : MAPPO_HAS_MASK) | MAPPO_HAS_ACTIVE | MAPPO_SHARED_REWARD,
                             .obs_heads = 2,
                             .act_heads = 1};
    walkers->obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = 2, .low = low, .high = high};
    walkers->obs[1] = (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = &three};
    walkers->act[0] = (struct mappo_space){.kind = MAPPO_DISCRETE, .size = 1, .n = &moves, .start = &first_move};
    if (env->fault == fault_many_actions) walkers->act[0].n = &many_moves;
    *watcher = (struct mappo_group){.name = "watcher", .agents = 1, .team = 1, .obs_heads = 2, .act_heads = 1};
    watcher->obs[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = 2};
    watcher->obs[1] = (struct mappo_space){.kind = MAPPO_MULTI_BINARY, .size = 2};
    watcher->act[0] = (struct mappo_space){.kind = MAPPO_BOX, .size = 1, .low = &low[1], .high = &high[1]};
}

static void start_generator(const struct env *env, const struct mappo_env_config *config, int32_t e)
{
    const int64_t fault = env->fault;
    const uint32_t index = fault == fault_key_without_index ? 0 : (fault == fault_key_without_first ? 0 : config->first_env) + (uint32_t)e;
    philox_start(&env->copy[e].rng, fault == fault_key_without_seed ? 1 : config->seed,
                 fault == fault_key_without_stream ? 1 : config->stream, index);
    if (fault == fault_no_chance) philox_start(&env->copy[e].rng, 0, 0, 0);
}

static void disturb_process(int64_t fault)
{
    if (fault == fault_exits_in_create) exit(0);
    if (fault == fault_forks) fork();
    if (fault == fault_changes_folder && chdir("/")) return;
    if (fault == fault_changes_handlers) signal(SIGINT, SIG_IGN);
    if (fault == fault_changes_mask) umask(0777);
}

static int create(const struct mappo_env_config *config, void **self, struct mappo_env_error *error)
{
    struct env *env = calloc(1, sizeof *env);
    env->fault = config->option[0].i;
    env->max_steps = config->option[1].i;
    env->envs = config->envs;
    if (config->option[2].i > CLOUDS && env->fault != fault_range_too_wide) {
        strcpy(error->text, "too many clouds");
        return -1;
    }
    if (config->option[2].i > CLOUDS) *nowhere = 1;
    env->kept = config->option;
    env->copy = env->fault == fault_uses_fresh_memory ? malloc((size_t)config->envs * sizeof *env->copy)
                                                      : calloc((size_t)config->envs, sizeof *env->copy);
    env->aside = calloc((size_t)config->envs, sizeof *env->aside);
    for (int32_t e = 0; e < config->envs; e++) env->aside[e] = 1;
    for (int32_t e = 0; e < config->envs; e++) start_generator(env, config, e);
    describe(env);
    if (env->fault == fault_spec_of_seed) env->spec.group[1].agents = config->envs > 1 ? 1 : 2;
    disturb_process(env->fault);
    *self = env;
    return 0;
}

static void destroy(void *self)
{
    struct env *env = self;
    for (void **piece = env->grown, **next; piece; piece = next) {
        next = *piece;
        free(piece);
    }
    if (env->fault != fault_leaks) free(env->copy);
    free(env->aside);
    free(env);
}

static const struct mappo_env_spec *spec_of(const void *self)
{
    return &((const struct env *)self)->spec;
}

/* ---- what agents see ----------------------------------------------------------------------------------------------------------------- */

static int is_active(const struct env *env, const struct copy *w, int a)
{
    if (env->fault == fault_nobody_acts) return 0;
    return a == 0 || w->steps % 6 < 4; /* of six steps the second walker rests for two */
}

static int strikes(const struct env *env, int64_t fault, const struct copy *w)
{
    return env->fault == fault && w->rng.index == STRIKE_ENV && w->total == STRIKE_STEP + 1;
}

static int is_sound(const struct copy *w)
{
    int sound = w->wind >= -1 && w->wind <= 2;
    for (int a = 0; a < WALKERS; a++) sound = sound && w->cell[a] >= 0 && w->cell[a] < RING;
    return sound;
}

static void see_walker(const struct env *env, const struct copy *w, int a, float *obs)
{
    obs[0] = (float)w->cell[a] / (float)RING;
    obs[1] = (float)(w->cell[1 - a] - w->cell[a]) / (float)RING;
    for (int k = 0; k < 3; k++) obs[2 + k] = k == w->cell[a] % 3;
    if (a == 1 && strikes(env, fault_nan_obs, w)) obs[0] = NAN;
    if (a == 0 && strikes(env, fault_out_of_bounds, w)) obs[0] = 1.5f;
    if (strikes(env, fault_no_one_hot, w)) obs[2] = obs[3] = 1;
}

static void see_watcher(const struct env *env, const struct copy *w, float *obs)
{
    obs[0] = (float)w->steps / (float)env->max_steps;
    obs[1] = (float)(w->cell[0] + w->cell[1] + w->wind);
    obs[2] = (float)(w->cell[0] & 1);
    obs[3] = (float)(w->cell[1] & 1);
    if (strikes(env, fault_no_bit, w)) obs[3] = 0.5f;
    if (env->fault == fault_restore_takes_nan && !is_sound(w)) obs[1] = NAN;
    if (env->fault == fault_restore_takes_any && !is_sound(w)) *nowhere = 1;
}

/* Into arrays that begin at this copy; NULL = not wanted. */
static void see(const struct env *env, const struct copy *w, float *walkers, float *watcher, float *state)
{
    for (int a = 0; walkers && a < WALKERS; a++) see_walker(env, w, a, walkers + a * WALKER_OBS);
    if (watcher) see_watcher(env, w, watcher);
    for (int k = 0; state && k < env->spec.state_size; k++) state[k] = (float)(k == 0 ? w->cell[0] : k == 1 ? w->cell[1] : w->steps);
}

static void show(const struct env *env, int32_t e, const struct mappo_env_io *io)
{
    const struct copy *w = &env->copy[e];
    const struct mappo_group_io *walkers = &io->group[0], *watcher = &io->group[1];
    float *second = walkers->obs ? walkers->obs + e * WALKERS * WALKER_OBS + WALKER_OBS + 1 : NULL, left = second ? *second : 0;
    see(env, w, walkers->obs ? walkers->obs + e * WALKERS * WALKER_OBS : NULL, watcher->obs ? watcher->obs + e * WATCHER_OBS : NULL,
        io->state ? io->state + e * env->spec.state_size : NULL);
    for (int k = 0; io->state && env->fault == fault_state_forgotten && k < STATE; k++) io->state[e * STATE + k] = 1;
    if (second && env->fault == fault_unwritten_obs) *second = left;
    for (int a = 0; a < WALKERS; a++) {
        uint8_t *mask = walkers->act_mask && env->fault != fault_mask_forgotten ? walkers->act_mask + (e * WALKERS + a) * MOVES : NULL;
        if (walkers->active) walkers->active[e * WALKERS + a] = (uint8_t)is_active(env, w, a);
        for (int k = 0; mask && k < MOVES; k++) mask[k] = k != w->cell[a] % 3 && !(a == 0 && strikes(env, fault_no_choice, w));
    }
    if (walkers->active && strikes(env, fault_strange_active, w)) walkers->active[e * WALKERS] = 2;
    if (watcher->active && env->fault == fault_undeclared_active) watcher->active[e] = 1;
    if (env->fault == fault_writes_beyond && watcher->obs && e == env->envs - 1) watcher->obs[(e + 1) * WATCHER_OBS] = 0;
    if (env->fault == fault_writes_far_before && walkers->obs && e == 0) walkers->obs[-1100] = 0;
}

static int observe(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    struct env *env = self;
    for (int32_t e = lo; e < hi; e++) {
        show(env, e, io);
        if (env->fault == fault_observe_differs && io->group[1].obs) io->group[1].obs[e * WATCHER_OBS + 1] += 1;
        if (env->fault == fault_observe_changes) philox_next(&env->copy[e].rng);
    }
    return 0;
}

/* ---- what happens -------------------------------------------------------------------------------------------------------------------- */

static void begin_episode(struct env *env, int32_t e)
{
    struct copy *w = &env->copy[e];
    w->steps = 0;
    w->met = 0;
    if (env->fault == fault_starts_anew) philox_start(&w->rng, w->rng.seed, (int)w->rng.stream, w->rng.index);
    if (env->fault == fault_overwrites_generator) memset(&w->rng, 0, sizeof w->rng);
    for (int a = 0; a < WALKERS; a++) w->cell[a] = philox_below(&w->rng, RING);
    if (env->fault != fault_uses_fresh_memory) w->wind = 0;
}

static int reset(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    struct env *env = self;
    (void)error;
    if (env->fault == fault_keeps_config) env->max_steps = env->kept[1].i;
    for (int32_t e = lo; e < hi; e++) begin_episode(env, e);
    for (int32_t e = 0; e < env->envs && env->fault == fault_reset_of_all; e++)
        if (env->copy[e].steps) philox_next(&env->copy[e].rng); /* of episodes that run */
    for (int32_t e = lo; e < hi; e++) env->aside[e] = 0;
    env->kept_obs = io->group[1].obs;
    for (int32_t e = lo; e < hi; e++) show(env, e, io);
    return 0;
}

/* What comes from outside of the state where it must not: 0 or 1. */
static int32_t stray(struct env *env)
{
    struct timespec now;
    if (env->fault == fault_uses_rand) return rand() & 1;
    if (env->fault == fault_uses_drand48) return drand48() < 0.5;
    if (env->fault == fault_uses_clock) return clock_gettime(CLOCK_MONOTONIC, &now) == 0 && (now.tv_nsec >> 8 & 1);
    if (env->fault == fault_shares_globals) return (global = (int32_t)((uint32_t)global * 1664525u + 1013904223u)) >> 20 & 1;
    if (env->fault == fault_shares_in_batch) return (env->shared = (int32_t)((uint32_t)env->shared * 1664525u + 1013904223u)) >> 20 & 1;
    return 0;
}

static void move_walkers(struct env *env, struct copy *w, const int32_t *act)
{
    w->wind = env->fault == fault_uses_fresh_memory ? w->wind : philox_below(&w->rng, 3) - 1;
    w->wind += stray(env);
    for (int a = 0; a < WALKERS; a++) {
        if (env->fault == fault_crashes_on_inactive && (act[a] < first_move || act[a] >= first_move + MOVES)) *nowhere = 1;
        const int32_t move = is_active(env, w, a) ? act[a] - first_move - 1 : env->fault == fault_heeds_inactive ? act[a] & 3 : 0;
        w->cell[a] = ((w->cell[a] + move + w->wind) % RING + RING) % RING;
    }
    w->steps++;
    w->total++;
    w->met |= w->cell[0] == w->cell[1];
}

static int end_of(const struct env *env, struct copy *w)
{
    const int64_t fault = env->fault;
    if (fault == fault_never_ends || fault == fault_unlimited) return MAPPO_RUNNING;
    if (strikes(env, fault_strange_end, w)) return 7;
    if (fault == fault_often_strange_end && w->steps % 4 == 3 && w->wind == 1) return 3;
    const int gone = philox_below(&w->rng, 32) == 0;
    if (w->steps >= env->max_steps + (fault == fault_too_long) - (fault == fault_limit_is_shorter))
        return fault == fault_limit_is_terminal ? MAPPO_TERMINATED : MAPPO_TRUNCATED;
    return gone ? MAPPO_TERMINATED : MAPPO_RUNNING;
}

static void pay(const struct env *env, int32_t e, const struct mappo_env_io *io, int end)
{
    const struct copy *w = &env->copy[e];
    const struct mappo_group_io *walkers = &io->group[0], *watcher = &io->group[1];
    const float distance = (float)abs(w->cell[0] - w->cell[1]);
    for (int a = 0; a < WALKERS; a++) {
        if (walkers->reward && env->fault != fault_unwritten_reward) walkers->reward[e * WALKERS + a] = -distance;
        if (walkers->terminated)
            walkers->terminated[e * WALKERS + a] = end == MAPPO_TERMINATED || (env->fault == fault_ends_again && !is_active(env, w, a)) ||
                                                   (env->fault == fault_paid_after_end && a == 1 && w->steps % 6 == 4);
    }
    if (walkers->reward && strikes(env, fault_infinite_reward, w))
        walkers->reward[e * WALKERS] = walkers->reward[e * WALKERS + 1] = INFINITY;
    if (walkers->reward && strikes(env, fault_unshared_reward, w)) walkers->reward[e * WALKERS + 1] += 1;
    if (watcher->reward) watcher->reward[e] = env->fault == fault_often_nan && w->steps % 4 == 3 ? NAN : distance;
    if (watcher->terminated)
        watcher->terminated[e] = end == MAPPO_TERMINATED || (env->fault == fault_stays_terminated && w->steps > 4) ||
                                 (env->fault == fault_limit_ends_agents && end);
    if (io->ep_end) io->ep_end[e] = (uint8_t)end;
    if (io->info) {
        io->info[2 * e] = strikes(env, fault_infinite_info, w) ? INFINITY : distance;
        if (env->fault != fault_unwritten_info) io->info[2 * e + 1] = w->steps < 3 ? NAN : (float)w->met;
    }
    if (env->fault == fault_writes_before && walkers->reward && e == 0) walkers->reward[-3] = 0;
}

static void show_final(const struct env *env, int32_t e, const struct mappo_env_io *io)
{
    float *watcher = io->group[1].final_obs ? io->group[1].final_obs + e * WATCHER_OBS : NULL;
    see(env, &env->copy[e], NULL, watcher, io->final_state ? io->final_state + e * env->spec.state_size : NULL);
    if (env->fault == fault_final_is_zero && watcher) memset(watcher, 0, WATCHER_OBS * sizeof *watcher);
}

static void show_walkers_final(const struct env *env, int32_t e, const struct copy *w, const struct mappo_env_io *io)
{
    see(env, w, io->group[0].final_obs ? io->group[0].final_obs + e * WALKERS * WALKER_OBS : NULL, NULL, NULL);
}

static void step_one(struct env *env, int32_t e, const struct mappo_env_io *io)
{
    struct copy *w = &env->copy[e], old = *w;
    const int64_t fault = env->fault;
    move_walkers(env, w, io->group[0].act_int + e * WALKERS);
    if (fault == fault_snapshot_without_counter && ++env->aside[e] % 5 == 0) w->wind = 2;
    if (fault == fault_snapshot_without_beginning && env->aside[e]) w->wind = 2;
    const int end = end_of(env, w);
    pay(env, e, io, end);
    if (end) show_final(env, e, io);
    if ((end && fault != fault_final_is_not_written && fault != fault_final_is_next) || fault == fault_final_is_always_written)
        show_walkers_final(env, e, fault == fault_final_is_old ? &old : w, io);
    if (end) begin_episode(env, e);
    if (end && fault == fault_final_is_next) show_walkers_final(env, e, w, io);
    show(env, e, io);
    if (fault == fault_writes_actions) *(int32_t *)(uintptr_t)&io->group[0].act_int[e * WALKERS] = 6;
}

static void take_more(struct env *env)
{
    void **piece = malloc(64);
    *piece = env->grown;
    env->grown = piece;
}

static void disturb_step(struct env *env, int32_t lo, const struct mappo_env_io *io)
{
    const int64_t fault = env->fault;
    if (fault == fault_prints && env->copy[0].total == STRIKE_STEP) puts("a step");
    if (fault == fault_changes_rounding && env->copy[0].total == STRIKE_STEP) fesetround(FE_UPWARD);
    if (fault == fault_keeps_io && env->kept_obs) env->kept_obs[0] += 0;
    if (fault == fault_grows) take_more(env);
    if (fault == fault_writes_unwanted) io->group[1].terminated[lo] = 0;
    if (env->copy[0].total != STRIKE_STEP) return;
    if (fault == fault_exits) exit(0);
    if (fault == fault_crashes) *nowhere = 1;
    if (fault == fault_divides_by_zero) raise(SIGFPE);
    if (fault == fault_overflows) (again = fall)(NULL);
    if (fault == fault_asserts) assert(!"all is well");
    while (fault == fault_never_returns) pause();
}

static int step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    struct env *env = self;
    disturb_step(env, lo, io);
    if (env->fault == fault_fails && env->copy[STRIKE_ENV].total == STRIKE_STEP) {
        error->env = STRIKE_ENV;
        strcpy(error->text, "the wind has fallen asleep");
        return -1;
    }
    for (int32_t e = lo; e < hi; e++) {
        env->scratch = e;
        if (env->fault == fault_shares_scratch) nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL);
        step_one(env, env->fault == fault_shares_scratch ? env->scratch : e, io);
    }
    if (env->fault == fault_writes_others && lo > 0 && io->group[0].reward) io->group[0].reward[lo * WALKERS - 1] = 0;
    return 0;
}

/* ---- snapshots, script, drawing -------------------------------------------------------------------------------------------------------- */

static int snapshot(const void *self, int32_t e, void *bytes)
{
    memcpy(bytes, &((const struct env *)self)->copy[e], sizeof(struct copy));
    return 0;
}

static int restore(void *self, int32_t e, const void *bytes, struct mappo_env_error *error)
{
    struct env *env = self;
    const struct philox now = env->copy[e].rng;
    struct copy saved;
    memcpy(&saved, bytes, sizeof saved);
    if (lane_check_generator(&saved.rng, &now, e, error)) return -1;
    const int sound = is_sound(&saved), fault = (int)env->fault;
    if (!sound && fault == fault_restore_crashes) *nowhere = 1;
    if (!sound && fault == fault_restore_spoils_others) env->copy[e + 1].steps++;
    if (!sound && fault != fault_restore_takes_nan && fault != fault_restore_takes_any)
        return lane_refuse_copy(error, e, "walkers beside the ring, or a storm");
    env->copy[e] = saved;
    if (env->fault == fault_snapshot_without_generator) env->copy[e].rng = now;
    if (env->fault != fault_restore_refuses) return 0;
    strcpy(error->text, "no");
    return -1;
}

static int script(void *self, int32_t lo, int32_t hi, int32_t *const act_int[], float *const act_real[])
{
    const struct env *env = self;
    if (env->fault == fault_script_writes_others) act_int[0][0] = first_move;
    if (env->fault == fault_script_draws) rand();
    for (int32_t e = lo; e < hi; e++) {
        for (int a = 0; a < WALKERS; a++) {
            const int32_t forbidden = env->copy[e].cell[a] % 3;
            act_int[0][e * WALKERS + a] = first_move + (env->fault == fault_script_against_mask ? forbidden : (forbidden + 1) % 3);
            if (env->fault == fault_script_out_of_range) act_int[0][e * WALKERS + a] = first_move + MOVES;
        }
        if (env->fault != fault_script_writes_nothing) act_real[1][e] = 0;
    }
    return 0;
}

static int draw(const void *self, int32_t e, const struct mappo_canvas *canvas)
{
    const struct env *env = self;
    canvas->view(canvas->self, 0, -1, RING, 1);
    for (int a = 0; a < WALKERS && env->fault != fault_draws_nothing; a++)
        canvas->circle(canvas->self, env->copy[e].cell[a], 0, env->fault == fault_draw_nan ? NAN : 0.4, 0x3366ccffu, 0);
    return 0;
}

/* The first cells of the new episode stand for the last of the old one: nobody looks at which they are. */
static int draw_ended(const void *self, const struct mappo_canvas *canvas)
{
    return ((const struct env *)self)->fault == fault_draws_no_end ? 0 : draw(self, 0, canvas);
}

const uint32_t mappo_env_abi = MAPPO_ENV_ABI;
const struct mappo_env mappo_env_plugin = {.struct_size = sizeof(struct mappo_env),
                                           .id = "test/faults",
                                           .summary = "breaks a promise on request",
                                           .version = 1,
                                           .option = options,
                                           .create = create,
                                           .destroy = destroy,
                                           .spec = spec_of,
                                           .reset = reset,
                                           .step = step,
                                           .snapshot = snapshot,
                                           .restore = restore,
                                           .observe = observe,
                                           .script = script,
                                           .draw = draw,
                                           .draw_ended = draw_ended};
