/* Environments in tests with cmocka: opening one with options, what players return, and changing a copy's state. */
#ifndef TESTS_UNIT_ENV_PLAY_H
#define TESTS_UNIT_ENV_PLAY_H

#include <math.h>

#include "env_batch.h"
#include "unit/env_refusals.h"

#define OPTIONS(...) ((const struct env_option[]){__VA_ARGS__, {NULL, NULL}}) /* ends with a row of nothing */

static inline void play_open(struct env_batch *b, const char *name, const struct env_option *option, int32_t envs)
{
    int options = 0;
    while (option && option[options].name) options++;
    const struct vecenv_config config = batch_config(name, option, options, envs);
    if (batch_open(b, &config)) fail_msg("%s", b->err.text);
}

static inline void play_step(struct env_batch *b)
{
    if (vecenv_step(b->env, &b->io, &b->err)) fail_msg("%s", b->err.text);
}

static inline void play_script(struct env_batch *b)
{
    if (vecenv_script(b->env, 0, b->envs, &b->io, &b->err)) fail_msg("%s", b->err.text);
}

/* The first episode of each of `envs` environments, at most `steps` long, by random allowed actions or the scripted player: the sum over
 * agents, its mean and standard error. */
struct play_return {
    double mean, error;
};
static inline struct play_return play_returns(const char *name, const struct env_option *option, bool scripted, int32_t envs, int steps)
{
    struct env_batch b;
    double sum = 0, squares = 0, *found = calloc((size_t)envs, sizeof *found);
    bool *over = calloc((size_t)envs, sizeof *over);
    play_open(&b, name, option, envs);
    const size_t n = (size_t)b.size[0].agents;
    for (int t = 0; t < steps; t++) {
        if (scripted)
            play_script(&b);
        else
            batch_act(&b, 5, 0, (uint64_t)t);
        play_step(&b);
        for (size_t e = 0; e < (size_t)envs; e++) {
            for (size_t i = 0; i < n && !over[e]; i++) found[e] += (double)b.io.group[0].reward[e * n + i];
            over[e] = over[e] || b.io.ep_end[e];
        }
    }
    for (int32_t e = 0; e < envs; e++) {
        if (!over[e]) fail_msg("%s: an episode has more than %d steps", name, steps);
        sum += found[e];
        squares += found[e] * found[e];
    }
    batch_close(&b);
    free(found);
    free(over);
    const double mean = sum / envs;
    return (struct play_return){mean, sqrt(fmax(0, squares / envs - mean * mean) / envs)};
}

#define assert_near(found, expected, allowed) assert_named_near(#found, found, expected, allowed)
static inline void assert_named_near(const char *what, double found, double expected, double allowed)
{
    if (!(fabs(found - expected) <= allowed)) fail_msg("%s: %.9g, expected %.9g within %.3g", what, found, expected, allowed);
}

/* The state of environment e, to be changed; play_put puts it back and observes. */
static inline void *play_take(struct env_copy *copy, struct env_batch *b, int32_t e)
{
    if (!env_copy_take(copy, b, e)) fail_msg("no snapshot");
    return env_copy_bytes(copy);
}

static inline void play_put(struct env_copy *copy, struct env_batch *b, int32_t e)
{
    if (!env_copy_put(copy, b, e)) fail_msg("the state was refused");
    env_copy_free(copy);
    if (vecenv_observe(b->env, &b->io, &b->err)) fail_msg("%s", b->err.text);
}

#endif
