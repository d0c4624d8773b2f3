/* test/tape (tests/plugins/plugin_of_tape.c) for tests of wrappers. */
#ifndef TESTS_UNIT_TAPE_H
#define TESTS_UNIT_TAPE_H

#include "base/text.h"
#include "env_batch.h"

enum { PAIR, JUDGE, FOE, ENVS = 3 };

static inline const char *plugin(const char *name)
{
    static char path[512];
    const char *build = getenv("BUILD");
    text_format(path, sizeof path, "%s%s/tests/%s.so", build && *build == '/' ? "" : "./", build ? build : "build", name);
    return path;
}

static inline struct vecenv_config tape(const struct env_option *option, int options)
{
    return (struct vecenv_config){.name = plugin("plugin_of_tape"),
                                  .option = option,
                                  .options = options,
                                  .envs = ENVS,
                                  .first_env = 5,
                                  .seed = 42,
                                  .stream = PHILOX_ENVIRONMENT,
                                  .threads = 1,
                                  .horizon = 100,
                                  .clip_action = true};
}

static inline void open_or_fail(struct env_batch *b, const struct vecenv_config *config)
{
    if (batch_open(b, config)) fail_msg("%s", b->err.text);
}

static inline void step_or_fail(struct env_batch *b)
{
    if (vecenv_step(b->env, &b->io, &b->err)) fail_msg("%s", b->err.text);
}

#endif
