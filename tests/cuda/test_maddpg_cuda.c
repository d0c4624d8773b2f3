/* MADDPG's golden updates on a GPU, or an emulated one. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "maddpg_fixture.h"
#include "parity/parity_maddpg.h"

static void compare(const char *name, int at_least)
{
    char path[128];
    struct parity_report report;
    snprintf(path, sizeof path, "tests/data/algo/algo_%s.h5", name);
    const enum parity_result result = parity_maddpg_file(path, "cuda", &report);
    if (result == PARITY_FAILED) print_message("%s: %d of %d tensors differ\n%s", name, report.differing, report.checked, report.text);
    assert_int_equal(result, PARITY_PASSED);
    assert_true(report.checked >= at_least);
}

static void maddpg_updates_match_in_every_form(void **state)
{
    (void)state;
    compare("maddpg_spread", 370);
    compare("maddpg_speaker_listener", 235);
    compare("maddpg_continuous", 128);
}

/* ---- what no golden data have: beside the CPU ---------------------------------------------------------------------------------------- */

enum { ROWS = 20, SHARDS = 2 };

/* The same numbers in every array, from the host's memory to the backend's. */
static void give_batch(struct fixture *f)
{
    struct replay_batch host;
    struct backend *cpu;
    struct backend_memory memory;
    struct error err = {0};
    const struct backend_config opened = {.name = "cpu", .threads = 1, .level = -1};
    if (backend_open(&cpu, &opened, &err)) fail_msg("%s", err.text);
    backend_memory_create(&memory, "test", cpu);
    replay_batch_create(&host, SHARDS, ROWS, f->spec, &memory);
    fill_batch(f, &host);
    const size_t all = SHARDS * ROWS;
    f->backend->upload(f->backend, f->batch.ep_end, host.ep_end, all);
    for (int g = 0; g < f->spec->groups; g++) {
        const struct replay_batch_group *from = &host.group[g], *to = &f->batch.group[g];
        const struct group_sizes *sizes = &f->policies[g]->sizes;
        const size_t n = all * (size_t)sizes->agents;
        const struct {
            void *to;
            const void *from;
            size_t bytes;
        } array[] = {{to->obs, from->obs, n * (size_t)sizes->obs * sizeof(float)},
                     {to->next, from->next, n * (size_t)sizes->obs * sizeof(float)},
                     {to->mask, from->mask, n * (size_t)sizes->logits},
                     {to->next_mask, from->next_mask, n * (size_t)sizes->logits},
                     {to->act_int, from->act_int, n * (size_t)sizes->act_ints * sizeof(int32_t)},
                     {to->act_real, from->act_real, n * (size_t)sizes->act_reals * sizeof(float)},
                     {to->reward, from->reward, n * sizeof(float)},
                     {to->terminated, from->terminated, n},
                     {to->active, from->active, n}};
        for (size_t i = 0; i < sizeof array / sizeof *array; i++)
            if (array[i].to) f->backend->upload(f->backend, array[i].to, array[i].from, array[i].bytes);
    }
    backend_memory_destroy(&memory);
    cpu->close(cpu);
}

static void open_on(struct fixture *f, const char *backend, const struct fixture_learner *learner)
{
    struct error err = {0};
    struct fixture_learner there = *learner;
    struct maddpg_metrics metrics[GROUPS_MOST];
    const struct vecenv_config env = {
        .name = "test/kitchen_sink", .envs = 1, .seed = 1, .stream = PHILOX_ENVIRONMENT, .threads = 1, .clip_action = true};
    if (vecenv_open(&f->env, &env, &err)) fail_msg("%s", err.text);
    there.backend = backend;
    open_learner(f, vecenv_spec(f->env), &there);
    give_batch(f);
    learn(f, 0, metrics);
}

/* Gradients of every agent's networks, of the deviations too: to float, of what some layers add up. */
static void gradients_are_the_cpus_for_every_kind_of_actor(void **state)
{
    (void)state;
    int compared = 0;
    for (int variant = 0; variant < 5; variant++) {
        struct fixture cpu = {0}, cuda = {0};
        const struct fixture_learner learner = {.config = {.rules = variant == 3 ? maddpg_openai : maddpg_port,
                                                           .gamma = (real)0.9,
                                                           .penalty = (real)0.05,
                                                           .seed = 5,
                                                           .twin = variant == 2,
                                                           .smoothing = (real)0.2,
                                                           .smoothing_clip = (real)0.5},
                                                .shards = SHARDS,
                                                .rows = ROWS,
                                                .hidden = 9,
                                                .real = variant == 0   ? REAL_SOFTMAX
                                                        : variant == 4 ? REAL_TANH
                                                                       : REAL_TANH_GAUSSIAN,
                                                .fixed_std = variant == 1 ? 0.4f : 0,
                                                .weighted = variant >= 3};
        open_on(&cpu, "cpu", &learner);
        open_on(&cuda, "cuda", &learner);
        for (int g = 0, agent = 0; g < cpu.spec->groups; g++)
            for (int a = 0; a < cpu.policies[g]->sizes.agents; a++, agent++)
                for (int role = 0; role < POLICY_ROLES; role++)
                    for (size_t i = 0; i < cpu.policies[g]->net[role].parameters && cpu.gradient[agent][role]; i++, compared++) {
                        const double expected = cpu.gradient[agent][role][i], found = cuda.gradient[agent][role][i];
                        if (!(fabs(found - expected) <= 1e-4 + 1e-4 * fabs(expected)))
                            fail_msg("variant %d, agent %d, role %d, parameter %zu: %g, the CPU's %g", variant, agent, role, i, found,
                                     expected);
                    }
        real error[2][SHARDS * ROWS];
        if (learner.weighted) cpu.backend->download(cpu.backend, error[0], cpu.batch.error, sizeof error[0]);
        if (learner.weighted) cuda.backend->download(cuda.backend, error[1], cuda.batch.error, sizeof error[1]);
        for (int i = 0; i < SHARDS * ROWS && learner.weighted; i++)
            if (!(fabs((double)error[0][i] - (double)error[1][i]) < 1e-4))
                fail_msg("variant %d, row %d: error %g, the CPU's %g", variant, i, (double)error[1][i], (double)error[0][i]);
        close_learner(&cpu);
        close_learner(&cuda);
    }
    assert_true(compared > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(maddpg_updates_match_in_every_form),
                                       cmocka_unit_test(gradients_are_the_cpus_for_every_kind_of_actor)};
    return cmocka_run_group_tests_name("maddpg_cuda", tests, NULL, NULL);
}
