/* The classic suite in double against numbers that Gymnasium itself gave: `make(id)`, `reset(seed=0)` and up to 100 steps of fixed actions.
 * They stand here, not in a recording, so that a mistake in what reads recordings shows. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "parity/env_classic.h"

static const struct {
    const char *environment;
    int choices, steps; /* 0 choices: one real action */
    double first[CLASSIC_MOST], sum, sum_allowed, episode_return, return_allowed;
} numbers[] = {{"gymnasium CartPole-v1", 2, 39, {0.0136961685, -0.0230213292, -0.0459026471, -0.0483472347}, -18.3882601, 1e-7, 39, 0},
               {"gymnasium MountainCar-v0", 3, 100, {-0.472607672, 0}, -52.7609035, 1e-7, -100, 0},
               {"gymnasium MountainCarContinuous-v0", 0, 100, {-0.472607672, 0}, -52.7190615, 1e-7, -3.33125, 1e-9},
               {"gymnasium Pendulum-v1", 0, 100, {0.652016282, 0.758204997, -0.460426569}, 10.1677434, 1e-7, -484.552205318, 1e-9},
               /* chaotic */
               {"gymnasium Acrobot-v1",
                3,
                100,
                {0.999624848, 0.0273889117, 0.998940229, -0.0460263938, -0.0918052942, -0.0966944695},
                201.355839,
                1e-6,
                -100,
                0}};

static void assert_near(const char *of, double found, double expected, double allowed)
{
    if (!(fabs(found - expected) <= allowed)) fail_msg("%s: %.12g, expected %.12g within %.3g", of, found, expected, allowed);
}

static double observe_and_add(const struct classic_task *task, const void *w, const double *expected)
{
    float obs[CLASSIC_MOST];
    double sum = 0;
    task->observe(w, task->rules, &(struct rule_io){.group[0].obs = obs});
    for (int i = 0; i < task->obs; i++) {
        if (expected) assert_near(task->id, (double)obs[i], expected[i], 5e-10);
        sum += (double)obs[i];
    }
    return sum;
}

static void seeded_episodes_have_gymnasium_s_sums(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
        const struct env_case c = {.environment = numbers[k].environment};
        const struct classic_task *task = classic_task_of(&c);
        union classic_copy w = {0};
        rule_real unit[CLASSIC_MOST];
        double sum, episode_return = 0;
        struct pcg64 rng;
        int steps = 0, end = MAPPO_RUNNING;
        assert_non_null(task);
        pcg64_seed(&rng, 0);
        for (int i = 0; i < task->draws; i++) unit[i] = (rule_real)pcg64_unit(&rng);
        task->place(&w, task->rules, unit);
        sum = observe_and_add(task, &w, numbers[k].first);
        for (; steps < 100 && end == MAPPO_RUNNING; steps++) {
            rule_real reward = NAN;
            const int32_t act_int = numbers[k].choices ? 7 * steps % numbers[k].choices : 0;
            const float act_real = ((float)(5 * steps % 8) - 3.5f) / 4;
            struct rule_io io = {.group[0] = {.act_int = &act_int, .act_real = &act_real, .reward = &reward}};
            end = task->step(&w, task->rules, &io);
            episode_return += (double)reward;
            sum += observe_and_add(task, &w, NULL);
        }
        assert_int_equal(steps, numbers[k].steps);
        assert_near(task->id, sum, numbers[k].sum, numbers[k].sum_allowed);
        assert_near(task->id, episode_return, numbers[k].episode_return, numbers[k].return_allowed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(seeded_episodes_have_gymnasium_s_sums)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
