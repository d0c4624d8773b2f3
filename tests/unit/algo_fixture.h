/* An algorithm with its environments as the training loop has them, without folder and files. */
#ifndef TESTS_ALGO_FIXTURE_H
#define TESTS_ALGO_FIXTURE_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "algo/algorithm.h"
#include "base/philox.h"

struct fixture {
    struct config config;
    struct vecenv *env;
    struct backend *backend;
    struct comm *comm;
    struct policies *policies;
    struct algorithm *algorithm;
};

enum { MAX_KEYS = 16 };
struct settings {
    const char *key[MAX_KEYS][2];
    int threads, shards, where;
};

static inline int open_fixture(struct fixture *f, const struct settings *settings, struct error *err)
{
    *f = (struct fixture){0};
    config_defaults(&f->config);
    for (int i = 0; i < MAX_KEYS && settings->key[i][0]; i++)
        assert_int_equal(config_set(&f->config, settings->key[i][0], settings->key[i][1], ORIGIN_COMMAND_LINE, "in a test", err), 0);
    struct env_option option[CONFIG_ENV_OPTIONS];
    for (int i = 0; i < f->config.env_options; i++)
        option[i] = (struct env_option){f->config.env_option[i].name, f->config.env_option[i].value};
    const int threads = settings->threads > 0 ? settings->threads : 1;
    const struct vecenv_config env = {.name = f->config.env_name,
                                      .option = option,
                                      .options = f->config.env_options,
                                      .envs = (int32_t)f->config.rollout_envs,
                                      .seed = (uint64_t)f->config.train_seed,
                                      .stream = PHILOX_ENVIRONMENT,
                                      .threads = threads,
                                      .horizon = (int32_t)f->config.rollout_steps,
                                      .clip_action = true};
    const struct backend_config backend = {.name = "cpu", .threads = threads, .level = -1};
    int argc = 0;
    char **argv = NULL;
    assert_int_equal(vecenv_open(&f->env, &env, err), 0);
    assert_int_equal(backend_open(&f->backend, &backend, err), 0);
    assert_int_equal(comm_open(&f->comm, &argc, &argv, err), 0);
    if (algorithm_policies(&f->policies, &f->config, vecenv_spec(f->env), f->backend, err)) return err->code;
    const struct algorithm_context context = {.config = &f->config,
                                              .policies = f->policies,
                                              .env = f->env,
                                              .backend = f->backend,
                                              .comm = f->comm,
                                              .envs = (int32_t)f->config.rollout_envs,
                                              .local_shards = settings->shards > 0 ? settings->shards : 1,
                                              .where = settings->where};
    return algorithm_create(&f->algorithm, &context, err);
}

static inline void close_fixture(struct fixture *f)
{
    algorithm_destroy(f->algorithm);
    policies_destroy(f->policies);
    comm_close(f->comm);
    f->backend->close(f->backend);
    vecenv_close(f->env);
}

static inline int iterate(struct fixture *f, int updates, struct error *err)
{
    struct algorithm *a = f->algorithm;
    int code = 0;
    for (int i = 0; i < updates && code == 0; i++) {
        code = a->ops->collect(a, err);
        if (code == 0) code = a->ops->finish(a, err);
        if (code == 0) code = a->ops->update(a, err);
        if (code == 0) code = a->ops->outcome(a, err);
    }
    return code;
}

static inline void start(struct fixture *f, const struct settings *settings)
{
    struct error err = {0};
    if (open_fixture(f, settings, &err)) print_message("%s\n", err.text);
    assert_int_equal(err.code, 0);
    assert_int_equal(f->algorithm->ops->begin(f->algorithm, false, &err), 0);
}

#endif
