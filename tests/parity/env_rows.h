/* Recorded cases whose steps stand one after the other, with states from which each can begin: what suites of grid worlds and of cards share.
 * Nothing in them is rounded (unless the suite says so of observations), so every number is compared exactly, rewards to their last digit.
 *
 * Double: every step from its recorded state, and, where nothing is drawn, whole episodes. Float: every step of a case at once, each in an
 * environment of its own, through the vecenv. */
#ifndef TESTS_PARITY_ENV_ROWS_H
#define TESTS_PARITY_ENV_ROWS_H

#include "parity/env_case.h"

struct rows_case {
    const struct env_case *of;
    const struct rows_suite *suite;
    const void *rules;                    /* the environment's */
    size_t rows, episodes, agents, width; /* width: numbers of an agent's observation */
    size_t seen;                          /* rows after which observations were kept: all, or those of obs_row */
    struct golden_array action, episode_start, obs, obs_row, first_obs, reward;
    struct golden_array terminated; /* [rows][agents], or [rows] where the file calls it `done` */
};

/* What a suite knows of its states; `state` is the environment's struct. */
struct rows_suite {
    const char *environment;
    size_t state_bytes;                                                        /* at most */
    void (*put)(const struct rows_case *c, size_t row, int step, void *state); /* the state before that row */
    void (*redraw)(const struct rows_case *c, size_t row, void *state);        /* what the step drew, as recorded; NULL = nothing */
    bool (*left_out)(const struct rows_case *c, size_t row);                   /* NULL = no row is */
    bool (*replaced)(const struct rows_case *c, size_t episode);               /* its states are put before every step; NULL = none is */
    void (*act)(const struct rows_case *c, size_t row, int32_t *act_int);      /* NULL = `action` is [rows][agents] */
    bool drawn;                                                                /* steps draw: episodes can't be followed */
    struct parity_bound obs;                                                   /* 0: exactly */
#ifdef MAPPO_RULES_DOUBLE
    int (*step)(const struct rows_case *c, void *state, const struct rule_io *io);
    void (*observe)(const struct rows_case *c, const void *state, int32_t agent, const struct rule_io *io);
    void (*keep)(const struct rows_case *c, size_t row, const void *state); /* what the suite compares of the state after a row */
#endif
};

static inline bool rows_case_open(struct rows_case *c, const struct env_case *of)
{
    c->of = of;
    c->action = env_read(of, "action");
    c->episode_start = env_read(of, "episode_start");
    c->obs = env_read(of, "obs");
    c->obs_row = env_read(of, "obs_row");
    c->first_obs = env_read(of, "first_obs");
    c->reward = env_read(of, "reward");
    c->terminated = env_read(of, "terminated");
    if (!c->terminated.data) c->terminated = env_read(of, "done");
    if (c->reward.rank != 2 || c->episode_start.count < 2 || c->reward.count == 0) return false;
    c->rows = (size_t)c->reward.shape[0];
    c->agents = (size_t)c->reward.shape[1];
    c->episodes = c->episode_start.count - 1;
    c->seen = c->obs_row.data ? c->obs_row.count : c->rows;
    c->width = c->first_obs.count / (c->episodes * c->agents);
    for (size_t k = 0; k < c->obs_row.count; k++)
        if (!(c->obs_row.data[k] >= 0 && c->obs_row.data[k] < (double)c->rows)) return false;
    return c->width > 0 && c->obs.count == c->seen * c->agents * c->width && c->first_obs.count == c->episodes * c->agents * c->width &&
           c->action.count == (c->suite->act ? c->rows : c->reward.count) &&
           (c->terminated.count == c->rows || c->terminated.count == c->reward.count) &&
           (size_t)c->episode_start.data[c->episodes] == c->rows;
}

static inline void rows_case_close(struct rows_case *c)
{
    golden_free(&c->action);
    golden_free(&c->episode_start);
    golden_free(&c->obs);
    golden_free(&c->obs_row);
    golden_free(&c->first_obs);
    golden_free(&c->reward);
    golden_free(&c->terminated);
}

static inline void rows_action(const struct rows_case *c, size_t row, int32_t *act_int)
{
    for (size_t i = 0; i < c->agents && !c->suite->act; i++) act_int[i] = (int32_t)c->action.data[row * c->agents + i];
    if (c->suite->act) c->suite->act(c, row, act_int);
}

/* What came out: observations after every row, the rest in the datasets' shapes. */
struct rows_found {
    double *obs, *first_obs, *reward, *terminated;
};

static inline void rows_found_end(const struct rows_case *c, struct rows_found *found, size_t row, int end)
{
    const size_t per = c->terminated.count / c->rows;
    for (size_t i = 0; i < per; i++) found->terminated[row * per + i] = end == MAPPO_TERMINATED;
}

/* Keeps of the observations those that were recorded. */
static inline void rows_found_keep_seen(const struct rows_case *c, struct rows_found *found)
{
    const size_t d = c->agents * c->width;
    for (size_t k = 0; k < c->obs_row.count; k++)
        memmove(found->obs + k * d, found->obs + (size_t)c->obs_row.data[k] * d, d * sizeof(double));
}

static inline struct rows_found rows_found_of(const struct rows_case *c)
{
    return (struct rows_found){.obs = calloc(c->rows * c->agents * c->width, sizeof(double)),
                               .first_obs = calloc(c->first_obs.count, sizeof(double)),
                               .reward = calloc(c->reward.count, sizeof(double)),
                               .terminated = calloc(c->terminated.count, sizeof(double))};
}

/* Rows that are left out are taken from the recording. */
static inline void rows_found_compare(struct parity_report *report, const struct rows_case *c, struct rows_found *found, const char *how,
                                      struct parity_bound reward)
{
    char name[64];
    const size_t n = c->agents, d = n * c->width;
    for (size_t row = 0; row < c->rows; row++) {
        if (!c->suite->left_out || !c->suite->left_out(c, row)) continue;
        memcpy(found->obs + row * d, c->obs.data + row * d, d * sizeof(double));
        memcpy(found->reward + row * n, c->reward.data + row * n, n * sizeof(double));
    }
    for (size_t e = 0; e < c->episodes; e++) /* the recording's first observation is of the state that was replaced */
        if (c->suite->replaced && c->suite->replaced(c, e)) memcpy(found->first_obs + e * d, c->first_obs.data + e * d, d * sizeof(double));
    rows_found_keep_seen(c, found);
    text_format(name, sizeof name, "obs%s", how);
    env_compare(report, c->of, name, found->obs, &c->obs, c->suite->obs);
    text_format(name, sizeof name, "first_obs%s", how);
    env_compare(report, c->of, name, found->first_obs, &c->first_obs, c->suite->obs);
    text_format(name, sizeof name, "reward%s", how);
    env_compare(report, c->of, name, found->reward, &c->reward, reward);
    text_format(name, sizeof name, "terminated%s", how);
    env_compare(report, c->of, name, found->terminated, &c->terminated, env_exact);
    free(found->obs);
    free(found->first_obs);
    free(found->reward);
    free(found->terminated);
}

#ifdef MAPPO_RULES_DOUBLE

static inline void rows_observe(const struct rows_case *c, const void *state, double *obs)
{
    float *row = calloc(c->width, sizeof *row);
    for (size_t a = 0; a < c->agents; a++) {
        c->suite->observe(c, state, (int32_t)a, &(struct rule_io){.group[0].obs = row});
        for (size_t i = 0; i < c->width; i++) obs[a * c->width + i] = (double)row[i];
    }
    free(row);
}

/* `followed`: episodes from their first states, else every step from its own. */
static inline void rows_check_how(struct parity_report *report, const struct rows_case *c, bool followed)
{
    const size_t n = c->agents, d = n * c->width;
    struct rows_found found = rows_found_of(c);
    void *state = calloc(1, c->suite->state_bytes);
    int32_t *act_int = calloc(n, sizeof *act_int);
    for (size_t e = 0; e < c->episodes; e++) {
        const size_t first = (size_t)c->episode_start.data[e], next = (size_t)c->episode_start.data[e + 1];
        for (size_t row = first; row < next; row++) {
            if (row == first || !followed) c->suite->put(c, row, (int)(row - first), state);
            if (row == first) rows_observe(c, state, found.first_obs + e * d);
            rows_action(c, row, act_int);
            const struct rule_io io = {.group[0] = {.act_int = act_int, .reward = found.reward + row * n}};
            const int end = c->suite->step(c, state, &io);
            rows_found_end(c, &found, row, end);
            c->suite->keep(c, row, state);
            if (c->suite->redraw) c->suite->redraw(c, row, state);
            rows_observe(c, state, found.obs + row * d);
        }
    }
    free(state);
    free(act_int);
    rows_found_compare(report, c, &found, followed ? " (followed)" : "", (struct parity_bound){1e-15, 0});
}

static inline void rows_check(struct parity_report *report, const struct rows_case *c, const struct env_option *option, int options)
{
    (void)option, (void)options;
    rows_check_how(report, c, false);
    if (!c->suite->drawn) rows_check_how(report, c, true);
}

#else

static inline int rows_step_in_episode(const struct rows_case *c, size_t row)
{
    size_t e = 0;
    while (row >= (size_t)c->episode_start.data[e + 1]) e++;
    return (int)(row - (size_t)c->episode_start.data[e]);
}

/* Puts, or with `redraw` mends, the state of every row's environment. */
static inline bool rows_batch_states(const struct env_batch *b, const struct rows_case *c, bool redraw)
{
    struct env_copy copy = {0};
    bool taken = true;
    for (size_t row = 0; row < c->rows && taken; row++) {
        if (redraw && b->io.ep_end[row]) continue; /* a new episode */
        taken = env_copy_take(&copy, b, (int32_t)row);
        if (!taken) break;
        if (redraw)
            c->suite->redraw(c, row, env_copy_bytes(&copy));
        else
            c->suite->put(c, row, rows_step_in_episode(c, row), env_copy_bytes(&copy));
        taken = env_copy_put(&copy, b, (int32_t)row);
    }
    env_copy_free(&copy);
    return taken && vecenv_observe(b->env, &b->io, NULL) == 0;
}

static inline bool rows_batch_run(struct env_batch *b, const struct rows_case *c, struct rows_found *found)
{
    const size_t n = c->agents, d = n * c->width;
    const struct mappo_group_io *io = &b->io.group[0];
    if (!rows_batch_states(b, c, false)) return false;
    for (size_t e = 0; e < c->episodes; e++)
        for (size_t i = 0; i < d; i++) found->first_obs[e * d + i] = (double)io->obs[(size_t)c->episode_start.data[e] * d + i];
    for (size_t row = 0; row < c->rows; row++) rows_action(c, row, b->act_int[0] + row * n);
    if (vecenv_step(b->env, &b->io, NULL)) return false;
    for (size_t i = 0; i < c->rows * n; i++) found->reward[i] = (double)io->reward[i];
    for (size_t row = 0; row < c->rows; row++) rows_found_end(c, found, row, b->io.ep_end[row]);
    if (c->suite->redraw && !rows_batch_states(b, c, true)) return false;
    for (size_t row = 0; row < c->rows; row++) {
        const float *seen = (b->io.ep_end[row] ? io->final_obs : io->obs) + row * d;
        for (size_t i = 0; i < d; i++) found->obs[row * d + i] = (double)seen[i];
    }
    return true;
}

static inline void rows_check(struct parity_report *report, const struct rows_case *c, const struct env_option *option, int options)
{
    struct env_batch b;
    struct rows_found found = rows_found_of(c);
    if (!env_batch_open(&b, c->of, c->suite->environment, option, options, (int32_t)c->rows, report)) return;
    if (!rows_batch_run(&b, c, &found)) env_fail(report, c->of, "the float environment refused a recorded state");
    rows_found_compare(report, c, &found, " (float)", (struct parity_bound){0, 6e-8}); /* half a unit in the last place */
    batch_close(&b);
}

#endif

#endif
