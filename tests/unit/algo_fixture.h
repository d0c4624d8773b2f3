/* An algorithm with its environments as the training loop has them, without folder and files. */
#ifndef TESTS_ALGO_FIXTURE_H
#define TESTS_ALGO_FIXTURE_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>

#include "algo/algorithm.h"
#include "base/philox.h"
#include "policies_hash.h"

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

static inline uint64_t hash_after(const struct settings *settings, int updates)
{
    struct fixture f;
    struct error err = {0};
    start(&f, settings);
    assert_int_equal(iterate(&f, updates, &err), 0);
    const uint64_t hash = policies_hash(f.policies);
    close_fixture(&f);
    return hash;
}

static inline void copy_fields(struct fixture *from, struct fixture *to)
{
    struct field_list a = {0}, b = {0};
    from->algorithm->ops->pull(from->algorithm);
    from->algorithm->ops->fields(from->algorithm, &a);
    to->algorithm->ops->fields(to->algorithm, &b);
    assert_int_equal(a.count, b.count);
    for (int i = 0; i < a.count; i++) {
        assert_string_equal(a.field[i].name, b.field[i].name);
        memcpy(b.field[i].data, a.field[i].data, field_bytes(&a.field[i]));
    }
    to->algorithm->ops->push(to->algorithm);
    free(a.field);
    free(b.field);
}

static inline void copy_environments(struct fixture *from, struct fixture *to)
{
    struct error err = {0};
    void *bytes = calloc(1, vecenv_snapshot_bytes(from->env));
    for (int e = 0; e < vecenv_envs(from->env); e++) {
        assert_int_equal(vecenv_snapshot(from->env, e, e + 1, bytes, &err), 0);
        assert_int_equal(vecenv_restore(to->env, e, e + 1, bytes, &err), 0);
    }
    free(bytes);
}

/* Two updates, then the listed fields and the environments move to a new program, then two more: as four in one go. */
static inline void check_continuing(const struct settings *settings)
{
    struct error err = {0};
    struct fixture first, second;
    start(&first, settings);
    assert_int_equal(iterate(&first, 2, &err), 0);
    assert_int_equal(open_fixture(&second, settings, &err), 0);
    copy_fields(&first, &second);
    copy_environments(&first, &second);
    assert_int_equal(second.algorithm->ops->begin(second.algorithm, true, &err), 0);
    assert_int_equal(iterate(&first, 2, &err), 0);
    assert_int_equal(iterate(&second, 2, &err), 0);
    assert_true(policies_hash(first.policies) == policies_hash(second.policies));
    close_fixture(&first);
    close_fixture(&second);
}

#endif
