/* lane_env.h: an environment written for one copy (env/rules.h) becomes a batch with a descriptor, in the file that includes this. "lane" in
 * these names is a copy of the environment in its batch, with the arrays of a step that begin at it.
 *
 *     LANE_ENV(suite_name, NAME, GROUPS, (HOOKS), .id = "suite/name", .summary = …, .source = …, .version = 1, .option = options)
 *
 * makes `const struct mappo_env suite_name` of struct NAME, struct NAME_rules, NAME_reset, NAME_step and of two functions for the host,
 *     int NAME_configure(struct NAME_rules *, const struct mappo_value *, struct mappo_env_error *)
 *         options into rules, which are all 0 before; 0, or lane_refuse(error, "why")
 *     void NAME_describe(struct description *, const struct NAME_rules *)
 *         spaces and the rest of the spec (env/describe.h); state and snapshot have the size of struct NAME
 * HOOKS are the words of what there is besides, at most ten, and at least one of the first two:
 *     observe        void NAME_observe(…), of env/rules.h
 *     observe_agent  void NAME_observe_agent(…), of env/rules.h
 *     usual          void NAME_usual(struct NAME_rules *): sets rules to the usual ones, in which they are constants: steps of instances that
 *                    it leaves as they are get loops and (with `observe`) kernels of their own, unrolled
 *     bytes          size_t NAME_bytes(const struct NAME_rules *): of a copy, where what follows struct NAME depends on the rules
 *     sound          int NAME_sound(const struct NAME *, const struct NAME_rules *): 1 where a state that was read back from a file may be
 *                    gone on with: the file may be damaged. The generator was checked
 *     script         void NAME_script(const struct NAME *, const struct NAME_rules *, int32_t *const act_int[], float *const act_real[]): a
 *                    player; arrays of each group, beginning at this copy
 *     draw           void NAME_draw(const struct NAME *, const struct NAME_rules *, const struct mappo_canvas *)
 *     check          int NAME_check(const struct lane_env *, const struct NAME_rules *, int32_t lo, int32_t hi, const struct mappo_env_io *,
 *                    struct mappo_env_error *): before steps of copies [lo, hi) on the host; 0, or lane_refuse
 *     on_host        int NAME_on_host(const struct NAME_rules *): 1 where an instance has to stay on the host
 * GROUPS is a constant that is at least the number of groups. LANE_PLUGIN(NAME, GROUPS, (HOOKS), .id = …) makes what a plugin exports.
 *
 * Where spec.state_is_all_obs is set, io->state is written by observing once more, and rules leave it alone.
 *
 * Kernels: a .cu file that includes cuda/lane_kernels.h and then the same file gets `const struct mappo_kernels suite_name_kernels` of the
 * same line. Nothing of the program is linked: all of this is compiled with the environment. C11; for kernels also C++17. */
#ifndef MAPPO_ENV_LANE_ENV_H
#define MAPPO_ENV_LANE_ENV_H

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "env/describe.h"
#include "env/mappo_env.h"
#include "env/rules.h"
#include "env/slices.h"

/* ---- a batch ----------------------------------------------------------------------------------------------- */

/* Copies lie in one block, `stride` bytes apart; behind the last is room for one that is being read back. A copy is plain data that
 * contains its generator, begins at a multiple of 8 bytes, and is its own snapshot. */
struct lane_env {
    unsigned char *copies; /* [envs + 1][stride] each a struct NAME */
    size_t stride;
    int32_t envs;
    int usual; /* the rules are the usual ones */
    struct slice_strides strides;
    struct description description;
};

MAPPO_FN void *lane_copy(const struct lane_env *env, const int32_t e)
{
    return env->copies + (size_t)e * env->stride;
}

/* Fills *error for an environment as a whole and returns -1; lane_refuse_copy: for copy e of the batch. */
static inline int lane_refuse(struct mappo_env_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline int lane_refuse_copy(struct mappo_env_error *error, int32_t e, const char *format, ...) __attribute__((format(printf, 3, 4)));

static inline int lane_refuse(struct mappo_env_error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error->env = -1;
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return -1;
}

static inline int lane_refuse_copy(struct mappo_env_error *error, int32_t e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error->env = e;
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return -1;
}

static inline void lane_env_destroy(struct lane_env *env)
{
    if (!env) return;
    free(env->copies);
    description_free(&env->description);
    free(env);
}

/* Copies of `bytes`, all 0 but for their generators at `rng`. The spec has been described; `groups` is the line's GROUPS. */
static inline int lane_env_create(struct lane_env *env, const struct mappo_env_config *config, int groups, size_t bytes, size_t rng,
                                  struct mappo_env_error *error)
{
    const char *fault = description_finish(&env->description);
    if (fault) return lane_refuse(error, "%s", fault);
    if (env->description.spec.groups > groups)
        return lane_refuse(error, "it describes %d groups, its line LANE_ENV or LANE_PLUGIN says %d; that must be the most it describes",
                           env->description.spec.groups, groups);
    env->description.spec.snapshot_bytes = bytes;
    env->stride = (bytes + 7) & ~(size_t)7;
    env->envs = config->envs;
    env->copies = (unsigned char *)calloc((size_t)config->envs + 1, env->stride);
    if (!env->copies) return lane_refuse(error, "out of memory for %d environments of %zu bytes", config->envs, env->stride);
    slice_strides_of(&env->strides, &env->description.spec);
    for (int32_t e = 0; e < config->envs; e++)
        philox_start((struct philox *)((char *)lane_copy(env, e) + rng), config->seed, config->stream, config->first_env + (uint32_t)e);
    return 0;
}

static inline int lane_env_snapshot(const struct lane_env *env, int32_t e, void *bytes)
{
    memcpy(bytes, lane_copy(env, e), env->description.spec.snapshot_bytes);
    return 0;
}

/* A generator that is read back must be the one of this copy, or a damaged file would quietly change what is drawn. */
static inline int lane_check_generator(const struct philox *saved, const struct philox *own, int32_t e, struct mappo_env_error *error)
{
    if (saved->used > 4 || saved->seed != own->seed || saved->index != own->index || saved->stream != own->stream)
        return lane_refuse_copy(error, e,
                                "the snapshot's generator is not this environment's (seed, stream or index): the file is damaged, or rng "
                                "was overwritten: reset() and step() must leave it alone (no memset of the whole state)");
    return 0;
}

/* What is read back goes behind the last copy first. */
static inline int lane_env_read(struct lane_env *env, int32_t e, const void *bytes, size_t rng, struct mappo_env_error *error)
{
    const struct philox *own = (const struct philox *)((const char *)lane_copy(env, e) + rng);
    const struct philox *saved = (const struct philox *)((const char *)lane_copy(env, env->envs) + rng);
    memcpy(lane_copy(env, env->envs), bytes, env->description.spec.snapshot_bytes);
    return lane_check_generator(saved, own, e, error);
}

/* `asked` says whether it is sound. */
static inline int lane_env_take(struct lane_env *env, int32_t e, int sound, const char *asked, struct mappo_env_error *error)
{
    if (!sound)
        return lane_refuse_copy(
            error, e, "the snapshot holds a state that is impossible, says %s: the file is damaged, or %s is too strict", asked, asked);
    memcpy(lane_copy(env, e), lane_copy(env, env->envs), env->stride);
    return 0;
}

static inline int lane_env_device(struct lane_env *env, const void *rules, size_t rules_bytes, struct mappo_device *out)
{
    out->copies = env->copies;
    out->stride = env->stride;
    out->rules = rules;
    out->rules_bytes = rules_bytes;
    out->strides = &env->strides;
    return 0;
}

/* Before copy e is reset. The place behind the only copy keeps how its episode ended, for drawing: several would need a place each. */
static inline void lane_keep_ended(const struct lane_env *env, int32_t e)
{
    if (env->envs == 1) memcpy(lane_copy(env, 1), lane_copy(env, e), env->stride);
}

/* Arrays of a player's actions that begin at copy e. */
static inline void lane_actions_at(const struct lane_env *env, int32_t e, int32_t *const act_int[], float *const act_real[],
                                   int32_t *copy_int[MAPPO_MAX_GROUPS], float *copy_real[MAPPO_MAX_GROUPS])
{
    for (int g = 0; g < env->strides.groups; g++) {
        copy_int[g] = act_int[g] ? act_int[g] + (size_t)e * (size_t)env->strides.group[g].act_int : NULL;
        copy_real[g] = act_real[g] ? act_real[g] + (size_t)e * (size_t)env->strides.group[g].act_real : NULL;
    }
}

/* ---- observing, in parts ------------------------------------------------------------------------------------- */

/* The io under which observing writes all observations into `state` [S], one after the other. */
MAPPO_FN void lane_obs_as_state(struct mappo_env_io *to, float *state, const struct slice_strides *strides, const int groups)
{
    memset(to, 0, sizeof *to);
    to->groups = groups;
    for (int g = 0; g < groups && g < strides->groups; g++) {
        to->group[g].obs = state;
        state += strides->group[g].obs;
    }
}

/* Points `to`, which has nothing of any other group, at the rows of one agent of group g; arrays begin at copy `lane`. */
MAPPO_FN void lane_agent_at(struct mappo_env_io *to, const struct mappo_env_io *lane, const struct slice_strides *strides, const int g,
                            const int32_t agent)
{
    const struct slice_group_strides *by = &strides->group[g];
    const struct mappo_group_io *from = &lane->group[g];
#define SLICE(name, element, written, needs, width, of, sound, what)                                                                       \
    if (written == SLICE_OBSERVATION && from->name) to->group[g].name = from->name + (size_t)agent * (size_t)((width) / by->agents);
    GROUP_SLICES(SLICE)
#undef SLICE
}

/* ---- hooks --------------------------------------------------------------------------------------------------- */

/* DO_word(NAME) for each word of a list in brackets. */
#define LANE_EACH(DO, NAME, HOOKS)  LANE_EACH_OF(DO, NAME, LANE_LIST HOOKS, , , , , , , , , , )
#define LANE_EACH_OF(DO, NAME, ...) LANE_EACH_TEN(DO, NAME, __VA_ARGS__)
#define LANE_LIST(...)              __VA_ARGS__
#define LANE_EACH_TEN(DO, NAME, a, b, c, d, e, f, g, h, i, j, ...)                                                                         \
    DO##_##a(NAME) DO##_##b(NAME) DO##_##c(NAME) DO##_##d(NAME) DO##_##e(NAME) DO##_##f(NAME) DO##_##g(NAME) DO##_##h(NAME) DO##_##i(NAME) \
        DO##_##j(NAME)

/* Members of NAME_env_hooks. */
#define LANE_HOOK_(NAME)
#define LANE_HOOK_observe(NAME)       .observe = NAME##_observe,
#define LANE_HOOK_observe_agent(NAME) .observe_agent = NAME##_observe_agent,
#define LANE_HOOK_usual(NAME)         .usual = NAME##_usual,
#define LANE_HOOK_bytes(NAME)         .bytes = NAME##_bytes,
#define LANE_HOOK_sound(NAME)         .sound = NAME##_sound,
#define LANE_HOOK_script(NAME)        .script = NAME##_script,
#define LANE_HOOK_draw(NAME)          .draw = NAME##_draw,
#define LANE_HOOK_check(NAME)         .check = NAME##_check,
#define LANE_HOOK_on_host(NAME)       .on_host = NAME##_on_host,

/* How many of them observe: a term each. */
#define LANE_SEES_(NAME)
#define LANE_SEES_observe(NAME)       +1
#define LANE_SEES_observe_agent(NAME) +1
#define LANE_SEES_usual(NAME)
#define LANE_SEES_bytes(NAME)
#define LANE_SEES_sound(NAME)
#define LANE_SEES_script(NAME)
#define LANE_SEES_draw(NAME)
#define LANE_SEES_check(NAME)
#define LANE_SEES_on_host(NAME)

/* What the descriptor has of them. */
#define LANE_CALL_(NAME)
#define LANE_CALL_observe(NAME)
#define LANE_CALL_observe_agent(NAME)
#define LANE_CALL_usual(NAME)
#define LANE_CALL_bytes(NAME)
#define LANE_CALL_sound(NAME)  .called.restore = #NAME "_sound()",
#define LANE_CALL_script(NAME) .script = NAME##_env_script,
#define LANE_CALL_draw(NAME)   .draw = NAME##_env_draw, .draw_ended = NAME##_env_draw_ended,
#define LANE_CALL_check(NAME)
#define LANE_CALL_on_host(NAME)

/* ---- loops and descriptor ------------------------------------------------------------------------------------- */

#ifdef __cplusplus
#define LANE_EXPORT extern "C"
#else
#define LANE_EXPORT extern
#endif

/* What a line says must be true of its types. */
#define LANE_BOUNDS(NAME, GROUPS)                                                                                                          \
    static_assert((int)(GROUPS) >= 1 && (int)(GROUPS) <= (int)MAPPO_MAX_GROUPS, #NAME ": 1 to MAPPO_MAX_GROUPS groups");                   \
    static_assert(__alignof__(struct NAME) <= 8, "struct " #NAME ": copies begin at multiples of 8 bytes");                                \
    static_assert(sizeof(((struct NAME *)0)->rng) == sizeof(struct philox), "struct " #NAME ": rng is its struct philox")

#define LANE_LOOPS(NAME, GROUPS, HOOKS)                                                                                                    \
    static_assert(0 LANE_EACH(LANE_SEES, NAME, HOOKS) > 0, #NAME " needs the word observe or observe_agent");                              \
    LANE_BOUNDS(NAME, GROUPS);                                                                                                             \
    struct NAME##_env {                                                                                                                    \
        struct lane_env base;                                                                                                              \
        struct NAME##_rules rules;                                                                                                         \
    };                                                                                                                                     \
    /* Constant, so that the compiler knows whom it calls, and that others are not there. */                                               \
    static const struct {                                                                                                                  \
        void (*observe)(const struct NAME *, const struct NAME##_rules *, const struct rule_io *);                                         \
        void (*observe_agent)(const struct NAME *, const struct NAME##_rules *, int32_t, const struct rule_io *);                          \
        void (*usual)(struct NAME##_rules *);                                                                                              \
        size_t (*bytes)(const struct NAME##_rules *);                                                                                      \
        int (*sound)(const struct NAME *, const struct NAME##_rules *);                                                                    \
        void (*script)(const struct NAME *, const struct NAME##_rules *, int32_t *const[], float *const[]);                                \
        void (*draw)(const struct NAME *, const struct NAME##_rules *, const struct mappo_canvas *);                                       \
        int (*check)(const struct lane_env *, const struct NAME##_rules *, int32_t, int32_t, const struct mappo_env_io *,                  \
                     struct mappo_env_error *);                                                                                            \
        int (*on_host)(const struct NAME##_rules *);                                                                                       \
    } NAME##_env_hooks = {LANE_EACH(LANE_HOOK, NAME, HOOKS)};                                                                              \
    static inline void NAME##_env_observe_io(const struct NAME *w, const struct NAME##_rules *rules, const struct slice_strides *strides,  \
                                             const struct mappo_env_io *io)                                                                \
    {                                                                                                                                      \
        if (NAME##_env_hooks.observe) {                                                                                                    \
            NAME##_env_hooks.observe(w, rules, io);                                                                                        \
            return;                                                                                                                        \
        }                                                                                                                                  \
        struct mappo_env_io part;                                                                                                          \
        memset(&part, 0, sizeof part);                                                                                                     \
        part.groups = io->groups;                                                                                                          \
        for (int32_t g = 0, agent = 0; g < strides->groups; g++) {                                                                         \
            for (int32_t a = 0; a < strides->group[g].agents; a++, agent++) {                                                              \
                lane_agent_at(&part, io, strides, g, a);                                                                                   \
                NAME##_env_hooks.observe_agent(w, rules, agent, &part);                                                                    \
            }                                                                                                                              \
            memset(&part.group[g], 0, sizeof part.group[g]);                                                                               \
        }                                                                                                                                  \
        if (!io->state || strides->state_is_all_obs) return;                                                                               \
        part.state = io->state;                                                                                                            \
        NAME##_env_hooks.observe_agent(w, rules, -1, &part);                                                                               \
    }                                                                                                                                      \
    static inline void NAME##_env_observe_all(const struct NAME *w, const struct NAME##_rules *rules, const struct slice_strides *strides, \
                                              const struct mappo_env_io *io)                                                               \
    {                                                                                                                                      \
        NAME##_env_observe_io(w, rules, strides, io);                                                                                      \
        if (!io->state || !strides->state_is_all_obs) return;                                                                              \
        struct mappo_env_io state;                                                                                                         \
        lane_obs_as_state(&state, io->state, strides, GROUPS);                                                                             \
        NAME##_env_observe_io(w, rules, strides, &state);                                                                                  \
    }                                                                                                                                      \
    static inline void NAME##_env_reset_range(const struct lane_env *env, const struct NAME##_rules *rules, int32_t lo, int32_t hi,        \
                                              const struct mappo_env_io *io)                                                               \
    {                                                                                                                                      \
        for (int32_t e = lo; e < hi; e++) {                                                                                                \
            struct mappo_env_io lane;                                                                                                      \
            slices_at(&lane, io, &env->strides, GROUPS, e);                                                                                \
            lane_keep_ended(env, e);                                                                                                       \
            NAME##_reset((struct NAME *)lane_copy(env, e), rules);                                                                         \
            NAME##_env_observe_all((const struct NAME *)lane_copy(env, e), rules, &env->strides, &lane);                                   \
        }                                                                                                                                  \
    }                                                                                                                                      \
    static inline void NAME##_env_step_range(const struct lane_env *env, const struct NAME##_rules *rules, int32_t lo, int32_t hi,         \
                                             const struct mappo_env_io *io)                                                                \
    {                                                                                                                                      \
        for (int32_t e = lo; e < hi; e++) {                                                                                                \
            struct NAME *w = (struct NAME *)lane_copy(env, e);                                                                             \
            struct mappo_env_io lane, last;                                                                                                \
            slices_at(&lane, io, &env->strides, GROUPS, e);                                                                                \
            const int end = NAME##_step(w, rules, &lane);                                                                                  \
            if (lane.ep_end) *lane.ep_end = (uint8_t)end;                                                                                  \
            if (end) {                                                                                                                     \
                slices_final(&last, &lane, GROUPS);                                                                                        \
                NAME##_env_observe_all(w, rules, &env->strides, &last);                                                                    \
                lane_keep_ended(env, e);                                                                                                   \
                NAME##_reset(w, rules);                                                                                                    \
            }                                                                                                                              \
            NAME##_env_observe_all(w, rules, &env->strides, &lane);                                                                        \
        }                                                                                                                                  \
    }                                                                                                                                      \
    static __attribute__((flatten, unused)) void NAME##_env_step_usual(const struct NAME##_env *env, int32_t lo, int32_t hi,               \
                                                                       const struct mappo_env_io *io)                                      \
    {                                                                                                                                      \
        struct NAME##_rules rules = env->rules;                                                                                            \
        NAME##_env_hooks.usual(&rules);                                                                                                    \
        NAME##_env_step_range(&env->base, &rules, lo, hi, io);                                                                             \
    }

/* The descriptor's calls: `self` is a struct NAME_env. */
#define LANE_CALLS(NAME, GROUPS)                                                                                                           \
    static void NAME##_env_destroy(void *self)                                                                                             \
    {                                                                                                                                      \
        lane_env_destroy((struct lane_env *)self);                                                                                         \
    }                                                                                                                                      \
    static int NAME##_env_create(const struct mappo_env_config *config, void **self, struct mappo_env_error *error)                        \
    {                                                                                                                                      \
        struct NAME##_env *env = (struct NAME##_env *)calloc(1, sizeof *env);                                                              \
        *self = NULL;                                                                                                                      \
        if (!env) return lane_refuse(error, "out of memory");                                                                              \
        int rc = NAME##_configure(&env->rules, config->option, error);                                                                     \
        if (!rc) {                                                                                                                         \
            const size_t bytes = NAME##_env_hooks.bytes ? NAME##_env_hooks.bytes(&env->rules) : sizeof(struct NAME);                       \
            NAME##_describe(&env->base.description, &env->rules);                                                                          \
            rc = lane_env_create(&env->base, config, GROUPS, bytes, offsetof(struct NAME, rng), error);                                    \
        }                                                                                                                                  \
        if (rc) {                                                                                                                          \
            NAME##_env_destroy(env);                                                                                                       \
            return rc;                                                                                                                     \
        }                                                                                                                                  \
        if (NAME##_env_hooks.usual) {                                                                                                      \
            struct NAME##_rules usual;                                                                                                     \
            memcpy(&usual, &env->rules, sizeof usual);                                                                                     \
            NAME##_env_hooks.usual(&usual);                                                                                                \
            env->base.usual = memcmp(&usual, &env->rules, sizeof usual) == 0;                                                              \
        }                                                                                                                                  \
        *self = env;                                                                                                                       \
        return 0;                                                                                                                          \
    }                                                                                                                                      \
    static const struct mappo_env_spec *NAME##_env_spec(const void *self)                                                                  \
    {                                                                                                                                      \
        return &((const struct NAME##_env *)self)->base.description.spec;                                                                  \
    }                                                                                                                                      \
    static int NAME##_env_reset(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)          \
    {                                                                                                                                      \
        const struct NAME##_env *env = (const struct NAME##_env *)self;                                                                    \
        (void)error;                                                                                                                       \
        NAME##_env_reset_range(&env->base, &env->rules, lo, hi, io);                                                                       \
        return 0;                                                                                                                          \
    }                                                                                                                                      \
    static int NAME##_env_step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)           \
    {                                                                                                                                      \
        const struct NAME##_env *env = (const struct NAME##_env *)self;                                                                    \
        const int rc = NAME##_env_hooks.check ? NAME##_env_hooks.check(&env->base, &env->rules, lo, hi, io, error) : 0;                    \
        if (rc) return rc;                                                                                                                 \
        if (NAME##_env_hooks.usual && env->base.usual)                                                                                     \
            NAME##_env_step_usual(env, lo, hi, io);                                                                                        \
        else                                                                                                                               \
            NAME##_env_step_range(&env->base, &env->rules, lo, hi, io);                                                                    \
        return 0;                                                                                                                          \
    }                                                                                                                                      \
    static int NAME##_env_observe(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io)                                       \
    {                                                                                                                                      \
        const struct NAME##_env *env = (const struct NAME##_env *)self;                                                                    \
        for (int32_t e = lo; e < hi; e++) {                                                                                                \
            struct mappo_env_io lane;                                                                                                      \
            slices_at(&lane, io, &env->base.strides, GROUPS, e);                                                                           \
            NAME##_env_observe_all((const struct NAME *)lane_copy(&env->base, e), &env->rules, &env->base.strides, &lane);                 \
        }                                                                                                                                  \
        return 0;                                                                                                                          \
    }                                                                                                                                      \
    static int NAME##_env_snapshot(const void *self, int32_t e, void *bytes)                                                               \
    {                                                                                                                                      \
        return lane_env_snapshot((const struct lane_env *)self, e, bytes);                                                                 \
    }                                                                                                                                      \
    static int NAME##_env_restore(void *self, int32_t e, const void *bytes, struct mappo_env_error *error)                                 \
    {                                                                                                                                      \
        struct NAME##_env *env = (struct NAME##_env *)self;                                                                                \
        const struct NAME *saved = (const struct NAME *)lane_copy(&env->base, env->base.envs);                                             \
        if (lane_env_read(&env->base, e, bytes, offsetof(struct NAME, rng), error)) return -1;                                             \
        const int sound = !NAME##_env_hooks.sound || NAME##_env_hooks.sound(saved, &env->rules);                                           \
        return lane_env_take(&env->base, e, sound, #NAME "_sound()", error);                                                               \
    }                                                                                                                                      \
    static __attribute__((unused)) int NAME##_env_script(void *self, int32_t lo, int32_t hi, int32_t *const act_int[],                     \
                                                         float *const act_real[])                                                          \
    {                                                                                                                                      \
        const struct NAME##_env *env = (const struct NAME##_env *)self;                                                                    \
        for (int32_t e = lo; e < hi; e++) {                                                                                                \
            int32_t *copy_int[MAPPO_MAX_GROUPS];                                                                                           \
            float *copy_real[MAPPO_MAX_GROUPS];                                                                                            \
            lane_actions_at(&env->base, e, act_int, act_real, copy_int, copy_real);                                                        \
            NAME##_env_hooks.script((const struct NAME *)lane_copy(&env->base, e), &env->rules, copy_int, copy_real);                      \
        }                                                                                                                                  \
        return 0;                                                                                                                          \
    }                                                                                                                                      \
    static __attribute__((unused)) int NAME##_env_draw(const void *self, int32_t e, const struct mappo_canvas *canvas)                     \
    {                                                                                                                                      \
        const struct NAME##_env *env = (const struct NAME##_env *)self;                                                                    \
        NAME##_env_hooks.draw((const struct NAME *)lane_copy(&env->base, e), &env->rules, canvas);                                         \
        return 0;                                                                                                                          \
    }                                                                                                                                      \
    static __attribute__((unused)) int NAME##_env_draw_ended(const void *self, const struct mappo_canvas *canvas)                          \
    {                                                                                                                                      \
        const struct NAME##_env *env = (const struct NAME##_env *)self;                                                                    \
        if (env->base.envs != 1) return -1;                                                                                                \
        NAME##_env_hooks.draw((const struct NAME *)lane_copy(&env->base, 1), &env->rules, canvas);                                         \
        return 0;                                                                                                                          \
    }                                                                                                                                      \
    static int NAME##_env_device(void *self, struct mappo_device *out)                                                                     \
    {                                                                                                                                      \
        struct NAME##_env *env = (struct NAME##_env *)self;                                                                                \
        if (NAME##_env_hooks.on_host && NAME##_env_hooks.on_host(&env->rules)) return -1;                                                  \
        return lane_env_device(&env->base, &env->rules, sizeof env->rules, out);                                                           \
    }

/* In the program a file defines what envs/envs.def makes of its name, and the linker would only say that this is missing. */
#ifdef MAPPO_BUILT_IN
#define LANE_BUILT_IN(DESCRIPTOR)                                                                                                          \
    static_assert(!__builtin_strcmp(DESCRIPTOR, MAPPO_BUILT_IN),                                                                           \
                  "this file is built in: its last line is LANE_ENV(" MAPPO_BUILT_IN ", ...); LANE_PLUGIN(...) is for a plugin");
#else
#define LANE_BUILT_IN(DESCRIPTOR)
#endif

/* cuda/lane_kernels.h has others of these two. */
#define LANE_ENV(DESCRIPTOR, NAME, GROUPS, HOOKS, ...)                                                                                     \
    LANE_BUILT_IN(#DESCRIPTOR)                                                                                                             \
    LANE_LOOPS(NAME, GROUPS, HOOKS)                                                                                                        \
    LANE_CALLS(NAME, GROUPS)                                                                                                               \
    LANE_EXPORT const struct mappo_env DESCRIPTOR;                                                                                         \
    const struct mappo_env DESCRIPTOR = {.struct_size = sizeof(struct mappo_env),                                                          \
                                         __VA_ARGS__,                                                                                      \
                                         .create = NAME##_env_create,                                                                      \
                                         .destroy = NAME##_env_destroy,                                                                    \
                                         .spec = NAME##_env_spec,                                                                          \
                                         .reset = NAME##_env_reset,                                                                        \
                                         .step = NAME##_env_step,                                                                          \
                                         .snapshot = NAME##_env_snapshot,                                                                  \
                                         .restore = NAME##_env_restore,                                                                    \
                                         .observe = NAME##_env_observe,                                                                    \
                                         LANE_EACH(LANE_CALL, NAME, HOOKS).device = NAME##_env_device,                                     \
                                         .called.create = #NAME "_configure() or " #NAME "_describe()",                                    \
                                         .called.spec = #NAME "_describe()",                                                               \
                                         .called.state = "struct " #NAME}

#define LANE_PLUGIN(NAME, GROUPS, HOOKS, ...)                                                                                              \
    LANE_EXPORT const uint32_t mappo_env_abi;                                                                                              \
    const uint32_t mappo_env_abi = MAPPO_ENV_ABI;                                                                                          \
    LANE_ENV(mappo_env_plugin, NAME, GROUPS, HOOKS, __VA_ARGS__)

#endif
