/* What comparisons of recorded environments share: bounds, attributes, datasets, the suites' form. In the double build
 * (MAPPO_RULES_DOUBLE) a suite compares the rules past the interface, whole trajectories; else the environment through the vecenv, one step
 * at a time from recorded states. */
#ifndef TESTS_PARITY_ENV_CASE_H
#define TESTS_PARITY_ENV_CASE_H

#include "base/text.h"
#include "env_batch.h"
#include "parity/golden.h"
#include "parity/parity_check.h"
#include "parity/pcg64.h"

#ifdef MAPPO_RULES_DOUBLE
/* Trajectories: exactly the same arithmetic would differ by 0, another exp or log1p by 1e-12 a step, which stiff contacts enlarge over 25
 * steps. */
static const struct parity_bound env_trajectory = {1e-9, 0};
/* Recorded observations are float32: half a unit in the last place of numbers below 8. */
static const struct parity_bound env_rounded = {2.4e-7, 0};
#else
/* Float from recorded states: single precision, relative to the largest number. */
static const struct parity_bound env_float = {0, 1e-4};
/* The float test leaves out steps where a distance is so near to a radius that rounding may decide a comparison. */
static const double env_near = 1e-5;
#endif
/* Starts and flags. */
static const struct parity_bound env_exact = {0, 0};

/* A recorded case: a group of a file with an attribute `environment`. */
struct env_case {
    hid_t file;
    const char *group;       /* "/simple_spread_v3/discrete" */
    const char *environment; /* its attribute: "mpe2.simple_spread_v3 …" */
    const char *kwargs;      /* JSON of what it was made with; "" = none */
};

/* A suite says whether a case is one of its environments' (with keywords that it knows), and compares it. */
struct env_suite {
    bool (*has)(const struct env_case *c);
    void (*check)(struct parity_report *report, const struct env_case *c);
};

static inline bool env_kwarg(const char *json, const char *key, double *value)
{
    char quoted[64];
    text_format(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    if (!at) return false;
    at += strlen(quoted);
    at += strspn(at, " ");
    *value = strncmp(at, "true", 4) == 0 ? 1 : strncmp(at, "null", 4) == 0 ? -1 : strtod(at, NULL);
    return true;
}

/* Every keyword that the case was recorded with must be one of `known`, which ends with NULL. */
static inline bool env_kwargs_known(const char *json, const char *const *known)
{
    for (const char *at = strchr(json, '"'); at; at = strchr(at, '"')) {
        const size_t length = strcspn(at + 1, "\"");
        bool found = false;
        for (int k = 0; known[k]; k++) found = found || (strlen(known[k]) == length && strncmp(at + 1, known[k], length) == 0);
        if (!found) return false;
        at += length + 2;
    }
    return true;
}

/* Dataset `name` of a case. */
static inline struct golden_array env_read(const struct env_case *c, const char *name)
{
    char path[512] = "";
    text_format(path, sizeof path, "%s/%s", c->group, name);
    return golden_read(c->file, path);
}

/* Where the case has that dataset. */
static inline void env_compare(struct parity_report *report, const struct env_case *c, const char *what, const double *found,
                               const struct golden_array *expected, struct parity_bound bound)
{
    char name[256];
    text_format(name, sizeof name, "%s/%s", c->group + 1, what);
    if (expected->data) parity_compare(report, name, found, expected->data, expected->count, bound);
}

/* A case that could not be compared has failed. */
static inline void env_fail(struct parity_report *report, const struct env_case *c, const char *why)
{
    report->checked++;
    report->differing++;
    parity_say(report, "  %s: %s\n", c->group + 1, why);
}

static inline void env_fail_shapes(struct parity_report *report, const struct env_case *c)
{
    env_fail(report, c, "its datasets are missing or have other shapes than its attributes say");
}

/* One environment of `name` for each of `envs` episodes, which gets actions as they were recorded; false, and the case has failed, where it does not open. */
static inline bool env_batch_open(struct env_batch *b, const struct env_case *c, const char *name, const struct env_option *option,
                                  int options, int32_t envs, struct parity_report *report)
{
    const struct vecenv_config config = {
        .name = name, .option = option, .options = options, .envs = envs, .seed = 1, .stream = PHILOX_ENVIRONMENT, .threads = 1};
    if (batch_open(b, &config) == 0) return true;
    env_fail(report, c, b->err.text);
    return false;
}

/* The environment's own bytes of environment e: its struct, as its rules know it. To be changed and put back; the generator must stay. */
struct env_copy {
    unsigned char *snapshot;
    size_t own, bytes; /* where they begin, and how many */
};

static inline bool env_copy_take(struct env_copy *copy, const struct env_batch *b, int32_t e)
{
    const size_t all = vecenv_snapshot_bytes(b->env);
    if (!copy->snapshot) copy->snapshot = calloc(1, all);
    copy->bytes = b->spec->snapshot_bytes;
    copy->own = all - copy->bytes;
    return vecenv_snapshot(b->env, e, e + 1, copy->snapshot, NULL) == 0;
}

static inline void *env_copy_bytes(const struct env_copy *copy)
{
    return copy->snapshot + copy->own;
}

static inline bool env_copy_put(const struct env_copy *copy, const struct env_batch *b, int32_t e)
{
    return vecenv_restore(b->env, e, e + 1, copy->snapshot, NULL) == 0;
}

static inline void env_copy_free(struct env_copy *copy)
{
    free(copy->snapshot);
    *copy = (struct env_copy){0};
}

#endif
