/* The classic suite against recordings of Gymnasium: the steps of all episodes of a case one after the other, with the state before and after
 * each. In double: seeded starts through NumPy's generator, then whole trajectories, or (tasks that magnify rounding, and episodes that were
 * put elsewhere before a step) every step from the recorded state. */
#ifndef TESTS_PARITY_ENV_CLASSIC_H
#define TESTS_PARITY_ENV_CLASSIC_H

#include "envs/classic/acrobot.h"
#include "envs/classic/cartpole.h"
#include "envs/classic/mountain_car.h"
#include "envs/classic/pendulum.h"
#include "parity/env_case.h"

union classic_copy {
    struct acrobot acrobot;
    struct cartpole cartpole;
    struct car car;
    struct pendulum pendulum;
};

enum { CLASSIC_MOST = 6 }; /* numbers of a state or an observation, at most */

/* Rules of one task, without its types; `near`: rounding to float may decide where a step from `before` to `after` ends. */
struct classic_task {
    const char *environment, *id;
    int numbers, draws, obs;
    bool real_action, trajectories;
    size_t steps, first; /* where a copy has its steps, and the first number of its state */
    bool (*near)(const double *before, const double *after);
    const void *rules; /* as Gymnasium has them by default */
    void (*place)(void *w, const void *rules, const rule_real *unit);
    int (*step)(void *w, const void *rules, const struct rule_io *io);
    void (*observe)(const void *w, const void *rules, const struct rule_io *io);
};

#define CLASSIC_RULES(NAME)                                                                                                                \
    static inline void classic_##NAME##_place(void *w, const void *rules, const rule_real *unit)                                           \
    {                                                                                                                                      \
        NAME##_place(w, rules, unit);                                                                                                      \
    }                                                                                                                                      \
    static inline int classic_##NAME##_step(void *w, const void *rules, const struct rule_io *io)                                          \
    {                                                                                                                                      \
        return NAME##_step(w, rules, io);                                                                                                  \
    }                                                                                                                                      \
    static inline void classic_##NAME##_observe(const void *w, const void *rules, const struct rule_io *io)                                \
    {                                                                                                                                      \
        NAME##_observe(w, rules, io);                                                                                                      \
    }
CLASSIC_RULES(acrobot)
CLASSIC_RULES(cartpole)
CLASSIC_RULES(car)
CLASSIC_RULES(pendulum)

static inline bool classic_close(double a, double b)
{
    return fabs(a - b) < 1e-5;
}

static inline bool classic_acrobot_near(const double *before, const double *after)
{
    (void)before;
    return classic_close(-cos(after[0]) - cos(after[0] + after[1]), 1);
}

static inline bool classic_cartpole_near(const double *before, const double *after)
{
    (void)before;
    return classic_close(fabs(after[0]), CARTPOLE_TRACK) || classic_close(fabs(after[2]), CARTPOLE_TILT);
}

/* At the flag, and at the wall, which the car reaches or only nearly reaches; a step changes its velocity by 0.004 at most. */
static inline bool classic_car_near(const double *before, const double *after, double goal)
{
    const bool at_wall = classic_close(after[0], CAR_LEFT) && before[0] + before[1] > CAR_LEFT - 0.0045;
    return at_wall || classic_close(after[0], goal) || (after[0] > goal && classic_close(after[1], 0));
}

static inline bool classic_discrete_car_near(const double *before, const double *after)
{
    return classic_car_near(before, after, CAR_GOAL);
}

static inline bool classic_continuous_car_near(const double *before, const double *after)
{
    return classic_car_near(before, after, (double)CAR_GOAL_NEARER);
}

static inline bool classic_pendulum_near(const double *before, const double *after)
{
    (void)before, (void)after;
    return false;
}

#define CLASSIC_TASK(NAME, FIRST)                                                                                                          \
    .steps = offsetof(struct NAME, steps), .first = offsetof(struct NAME, FIRST), .place = classic_##NAME##_place,                         \
    .step = classic_##NAME##_step, .observe = classic_##NAME##_observe

static const struct classic_task classic_tasks[] = {
    {"gymnasium Acrobot-v1", "classic/Acrobot-v1", 4, 4, 6, false, false, CLASSIC_TASK(acrobot, state), .near = classic_acrobot_near,
     .rules = &(const struct acrobot_rules){500, 0, (rule_real)-0.1, (rule_real)0.1}},
    {"gymnasium CartPole-v1", "classic/CartPole-v1", 4, 4, 4, false, true, CLASSIC_TASK(cartpole, position), .near = classic_cartpole_near,
     .rules = &(const struct cartpole_rules){500, 0, (rule_real)-0.05, (rule_real)0.05}},
    {"gymnasium MountainCar-v0", "classic/MountainCar-v0", 2, 1, 2, false, true, CLASSIC_TASK(car, position),
     .near = classic_discrete_car_near, .rules = &(const struct car_rules){200, 0, (rule_real)-0.6, (rule_real)-0.4, 0}},
    {"gymnasium MountainCarContinuous-v0", "classic/MountainCarContinuous-v0", 2, 1, 2, true, true, CLASSIC_TASK(car, position),
     .near = classic_continuous_car_near, .rules = &(const struct car_rules){999, 1, (rule_real)-0.6, (rule_real)-0.4, 0}},
    {"gymnasium Pendulum-v1", "classic/Pendulum-v1", 2, 2, 3, true, true, CLASSIC_TASK(pendulum, angle), .near = classic_pendulum_near,
     .rules = &(const struct pendulum_rules){200, 0, 10, (rule_real)CLASSIC_PI, 1}},
};

static inline const struct classic_task *classic_task_of(const struct env_case *c)
{
    for (size_t k = 0; k < sizeof classic_tasks / sizeof *classic_tasks; k++)
        if (strcmp(classic_tasks[k].environment, c->environment) == 0) return &classic_tasks[k];
    return NULL;
}

/* ---- a case ----------------------------------------------------------------------------------------------- */

struct classic_case {
    const struct env_case *of;
    const struct classic_task *task;
    int episodes;
    size_t rows;
    struct golden_array start, seed, first_state, first_obs, before, after, obs, action, reward, terminated, truncated;
};

static inline bool classic_case_open(struct classic_case *c, const struct env_case *of)
{
    *c = (struct classic_case){.of = of, .task = classic_task_of(of)};
    c->start = env_read(of, "episode_start");
    c->seed = env_read(of, "seed");
    c->first_state = env_read(of, "first_state");
    c->first_obs = env_read(of, "first_obs");
    c->before = env_read(of, "state_before");
    c->after = env_read(of, "state_after");
    c->obs = env_read(of, "obs");
    c->action = env_read(of, "action");
    c->reward = env_read(of, "reward");
    c->terminated = env_read(of, "terminated");
    c->truncated = env_read(of, "truncated");
    const size_t numbers = (size_t)c->task->numbers, obs = (size_t)c->task->obs;
    if (c->start.count < 2) return false;
    c->episodes = (int)c->start.count - 1;
    c->rows = (size_t)c->start.data[c->episodes];
    for (int e = 0; e < c->episodes; e++)
        if (!(c->start.data[e] >= 0 && c->start.data[e] < c->start.data[e + 1])) return false;
    return c->seed.count == (size_t)c->episodes && c->first_state.count == (size_t)c->episodes * numbers &&
           c->first_obs.count == (size_t)c->episodes * obs && c->before.count == c->rows * numbers && c->after.count == c->rows * numbers &&
           c->obs.count == c->rows * obs && c->action.count == c->rows && c->reward.count == c->rows && c->terminated.count == c->rows &&
           c->truncated.count == c->rows;
}

static inline void classic_case_close(struct classic_case *c)
{
    struct golden_array *all[] = {&c->start, &c->seed,   &c->first_state, &c->first_obs,  &c->before,   &c->after,
                                  &c->obs,   &c->action, &c->reward,      &c->terminated, &c->truncated};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) golden_free(all[k]);
}

/* What the rules made of a case. Gymnasium says both where an episode ends by itself at its time limit; here the former counts alone. */
struct classic_found {
    double *first_state, *first_obs, *after, *obs, *reward, *terminated, *truncated;
};

static inline void classic_found_open(struct classic_found *found, struct classic_case *c)
{
    found->first_state = calloc(c->first_state.count, sizeof(double));
    found->first_obs = calloc(c->first_obs.count, sizeof(double));
    found->after = calloc(c->after.count, sizeof(double));
    found->obs = calloc(c->obs.count, sizeof(double));
    found->reward = calloc(c->rows, sizeof(double));
    found->terminated = calloc(c->rows, sizeof(double));
    found->truncated = calloc(c->rows, sizeof(double));
    for (size_t r = 0; r < c->rows; r++)
        if (c->terminated.data[r] > 0) c->truncated.data[r] = 0;
}

static inline void classic_found_close(struct classic_found *found)
{
    free(found->first_state);
    free(found->first_obs);
    free(found->after);
    free(found->obs);
    free(found->reward);
    free(found->terminated);
    free(found->truncated);
}

/* Puts the recorded state before row r, step t of its episode, into the copy at w. */
static inline void classic_inject(void *w, const struct classic_case *c, size_t r, int32_t t)
{
    rule_real *number = (rule_real *)(void *)((char *)w + c->task->first);
    for (int i = 0; i < c->task->numbers; i++) number[i] = (rule_real)c->before.data[r * (size_t)c->task->numbers + (size_t)i];
    memcpy((char *)w + c->task->steps, &t, sizeof t);
}

#ifdef MAPPO_RULES_DOUBLE

/* With upstream's own order of sums and where it rounds to float32, differences are 0 (found: at most 2e-16, Acrobot); another sin and cos
 * differ in the last place, which falling poles magnify over an episode. */
static const struct parity_bound classic_state = {1e-12, 0};

static inline void classic_double_observe(const struct classic_task *task, const void *w, double *out)
{
    float obs[CLASSIC_MOST];
    task->observe(w, task->rules, &(struct rule_io){.group[0].obs = obs});
    for (int i = 0; i < task->obs; i++) out[i] = (double)obs[i];
}

static inline void classic_double_episode(struct classic_found *found, const struct classic_case *c, int e)
{
    const struct classic_task *task = c->task;
    const size_t numbers = (size_t)task->numbers, first = (size_t)c->start.data[e], last = (size_t)c->start.data[e + 1];
    union classic_copy w = {0};
    const double *state = (const double *)(const void *)((const char *)&w + task->first);
    double unit[CLASSIC_MOST];
    struct pcg64 rng;
    pcg64_seed(&rng, (uint64_t)c->seed.data[e]);
    for (int i = 0; i < task->draws; i++) unit[i] = pcg64_unit(&rng);
    task->place(&w, task->rules, unit);
    memcpy(found->first_state + (size_t)e * numbers, state, numbers * sizeof(double));
    classic_double_observe(task, &w, found->first_obs + (size_t)e * (size_t)task->obs);
    for (size_t r = first; r < last; r++) {
        const double *before = c->before.data + r * numbers;
        const bool elsewhere = r == first || memcmp(before, c->after.data + (r - 1) * numbers, numbers * sizeof(double)) != 0;
        if (elsewhere || !task->trajectories) classic_inject(&w, c, r, (int32_t)(r - first));
        const int32_t act_int = (int32_t)c->action.data[r];
        const float act_real = (float)c->action.data[r];
        struct rule_io io = {.group[0] = {.act_int = &act_int, .act_real = &act_real, .reward = found->reward + r}};
        const int end = task->step(&w, task->rules, &io);
        found->terminated[r] = end == MAPPO_TERMINATED;
        found->truncated[r] = end == MAPPO_TRUNCATED;
        memcpy(found->after + r * numbers, state, numbers * sizeof(double));
        classic_double_observe(task, &w, found->obs + r * (size_t)task->obs);
    }
}

static inline void classic_case_check(struct parity_report *report, struct classic_case *c)
{
    struct classic_found found;
    classic_found_open(&found, c);
    for (int e = 0; e < c->episodes; e++) classic_double_episode(&found, c, e);
    env_compare(report, c->of, "first_state", found.first_state, &c->first_state, env_exact);
    env_compare(report, c->of, "first_obs", found.first_obs, &c->first_obs, env_rounded);
    env_compare(report, c->of, "state_after", found.after, &c->after, classic_state);
    env_compare(report, c->of, "obs", found.obs, &c->obs, env_rounded);
    env_compare(report, c->of, "reward", found.reward, &c->reward, classic_state);
    env_compare(report, c->of, "terminated", found.terminated, &c->terminated, env_exact);
    env_compare(report, c->of, "truncated", found.truncated, &c->truncated, env_exact);
    classic_found_close(&found);
}

#else

/* Of single precision, relative to the largest number; found: 2e-6 (an acrobot at full speed), elsewhere 8e-7. */
static const struct parity_bound classic_float = {0, 1e-5};

/* Every step from its recorded state, through the vecenv; the recorded numbers stand where rounding may decide. */
static inline bool classic_batch_run(struct env_batch *b, const struct classic_case *c, struct classic_found *found)
{
    const struct classic_task *task = c->task;
    const struct mappo_group_io *io = &b->io.group[0];
    const size_t numbers = (size_t)task->numbers, d = (size_t)task->obs;
    struct env_copy copy = {0};
    bool taken = true;
    for (size_t r = 0, e = 0; r < c->rows && taken; r++) {
        if (r >= (size_t)c->start.data[e + 1]) e++;
        taken = env_copy_take(&copy, b, 0);
        if (!taken) break;
        classic_inject(env_copy_bytes(&copy), c, r, (int32_t)(r - (size_t)c->start.data[e]));
        if (task->real_action)
            b->act_real[0][0] = (float)c->action.data[r];
        else
            b->act_int[0][0] = (int32_t)c->action.data[r];
        taken = env_copy_put(&copy, b, 0) && vecenv_step(b->env, &b->io, NULL) == 0;
        const bool near = task->near(c->before.data + r * numbers, c->after.data + r * numbers);
        const float *seen = b->io.ep_end[0] ? io->final_obs : io->obs;
        for (size_t i = 0; i < d; i++) found->obs[r * d + i] = near ? c->obs.data[r * d + i] : (double)seen[i];
        found->reward[r] = near ? c->reward.data[r] : (double)io->reward[0];
        found->terminated[r] = near ? c->terminated.data[r] : b->io.ep_end[0] == MAPPO_TERMINATED;
        found->truncated[r] = near ? c->truncated.data[r] : b->io.ep_end[0] == MAPPO_TRUNCATED;
    }
    env_copy_free(&copy);
    return taken;
}

static inline void classic_case_check(struct parity_report *report, struct classic_case *c)
{
    struct env_batch b;
    struct classic_found found;
    if (!env_batch_open(&b, c->of, c->task->id, NULL, 0, 1, report)) return;
    classic_found_open(&found, c);
    if (!classic_batch_run(&b, c, &found)) {
        env_fail(report, c->of, "the float environment refused a recorded state");
    } else {
        env_compare(report, c->of, "obs (float)", found.obs, &c->obs, classic_float);
        env_compare(report, c->of, "reward (float)", found.reward, &c->reward, classic_float);
        env_compare(report, c->of, "terminated (float)", found.terminated, &c->terminated, env_exact);
        env_compare(report, c->of, "truncated (float)", found.truncated, &c->truncated, env_exact);
    }
    classic_found_close(&found);
    batch_close(&b);
}

#endif

/* ---- the suite -------------------------------------------------------------------------------------------- */

static inline bool env_classic_has(const struct env_case *c)
{
    static const char *const known[] = {NULL};
    return classic_task_of(c) && env_kwargs_known(c->kwargs, known);
}

static inline void env_classic_check(struct parity_report *report, const struct env_case *of)
{
    struct classic_case c;
    if (classic_case_open(&c, of))
        classic_case_check(report, &c);
    else
        env_fail_shapes(report, of);
    classic_case_close(&c);
}

static const struct env_suite env_classic = {env_classic_has, env_classic_check};

#endif
