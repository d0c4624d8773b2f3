/* Runs of learners that replay (algo=maddpg, algo=ddpg), on any backend. */
#ifndef TESTS_OFF_POLICY_CASES_H
#define TESTS_OFF_POLICY_CASES_H

#include "training_runs.h"

/* Small enough that a ring goes round within a run, and episodes end in it. */
#define SMALL                                                                                                                              \
    "maddpg.batch=32", "maddpg.buffer=120", "maddpg.start=80", "maddpg.updates=2", "maddpg.max_grad_norm=1", "policy.hidden=16",           \
        "rollout.envs=4", "rollout.steps=10"
static const struct settings continued[] = {
    {{"env=mpe/simple_speaker_listener", "algo=maddpg", SMALL}, 10, 4}, /* several groups */
    {{"env=test/kitchen_sink", "algo=maddpg", "maddpg.form=openai", "maddpg.draw=with", SMALL},
     10,
     4}, /* every kind of action, masks, absences */
    {{"env=classic/Pendulum-v1", "algo=ddpg", "maddpg.explore=ou", "maddpg.epsilon=0.1", "maddpg.twin=1", SMALL, "maddpg.updates=3"},
     10,
     4},
    {{"env=mpe/simple_adversary", "algo=maddpg", "group.adversary.algo=ddpg", "maddpg.epsilon=0.2", SMALL}, 10, 4},
    {{"env=mpe/simple_adversary", "algo=ddpg", "group.adversary.play=random", SMALL}, 10, 4}, /* the first group doesn't learn */
    {{"env=mpe/simple_speaker_listener", "env.rules=openai", "preset=maddpg-notes", "rollout.envs=4", "rollout.steps=10", "maddpg.batch=32",
      "maddpg.buffer=120", "maddpg.start=80", "policy.hidden=16"},
     10,
     4},
    {{"env=test/kitchen_sink", "algo=maddpg", "maddpg.actor=gaussian", "maddpg.form=openai", SMALL}, 10, 4},
    {{"env=mpe/simple_speaker_listener", "algo=maddpg", "replay.priority=0.6", "maddpg.twin=1", "adam.schedule_steps=400", SMALL}, 10, 4},
};
enum { CONTINUED = sizeof continued / sizeof *continued };

static void a_continued_replay_is_the_same_to_the_bit(void **state)
{
    (void)state;
    for (int i = 0; i < CONTINUED; i++) {
        char at_once[32], in_two[32];
        double loss[UPDATES_MOST];
        text_format(at_once, sizeof at_once, "at_once_%d", i);
        text_format(in_two, sizeof in_two, "in_two_%d", i);
        assert_int_equal(train(&continued[i], at_once, 6), EXIT_DONE);
        assert_int_equal(train(&continued[i], in_two, 3), EXIT_DONE);
        assert_int_equal(train(&continued[i], in_two, 6), EXIT_DONE);
        assert_same_state(at_once, in_two);
        assert_int_equal(read_metric(at_once, "critic_loss", loss), 6);
        assert_true(loss[0] == 0 && loss[5] > 0); /* nothing is learned before maddpg.start */
    }
}

/* Returns are negative: on each of four seeds they came to a third of what they were before anything was learned. */
static void it_learns_to_go_to_a_landmark(void **state)
{
    (void)state;
    enum { UPDATES = 40, BASELINE = 3 };
    static const struct settings simple = {{"env=mpe/simple", "algo=ddpg", "rollout.envs=16", "rollout.steps=25", "maddpg.batch=128",
                                            "maddpg.start=1600", "maddpg.buffer=100000", "policy.hidden=32", "maddpg.updates=12",
                                            "metrics.window=160"},
                                           25,
                                           16};
    static double mean[UPDATES_MOST];
    assert_int_equal(train(&simple, "simple", UPDATES), EXIT_DONE);
    assert_int_equal(read_metric("simple", "return_mean", mean), UPDATES);
    if (!(mean[UPDATES - 1] > 0.5 * mean[BASELINE]))
        fail_msg("return %g at the end, %g before anything was learned", mean[UPDATES - 1], mean[BASELINE]);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {"policy=gru",       "policy.share=true",   "policy.feature_norm=on", "norm.value=valuenorm",
                                          "norm.obs=running", "maddpg.batch=100000", "maddpg.buffer=20",       "group.agent.algo=mappo"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct settings settings = {
            {"env=mpe/simple_spread", "algo=maddpg", "maddpg.buffer=4000", "rollout.envs=4", "rollout.steps=10", refused[i]}, 10, 4};
        if (train(&settings, "refused", 1) != EXIT_USAGE) fail_msg("%s is not refused", refused[i]);
    }
    static const struct settings whole[] = {
        {{"env=mpe/simple_spread", "algo=maddpg", "maddpg.actor=softmax"}, 25, 16},                       /* choices */
        {{"env=mpe/simple_spread", "algo=maddpg", "maddpg.actor=softmax", "env.soft_actions=1"}, 25, 16}, /* stretched to [-1, 1] */
        {{"env=classic/Pendulum-v1", "algo=ddpg", "maddpg.actor=softmax", "wrap.rescale_action=0"}, 25, 16},
        {{"env=test/kitchen_sink", "algo=maddpg", "maddpg.actor=softmax", "wrap.rescale_action=0"}, 25, 16}};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (train(&whole[i], "refused", 1) != EXIT_USAGE) fail_msg("maddpg.actor=softmax is not refused (%zu)", i);
}

static const struct CMUnitTest off_policy_tests[] = {
    cmocka_unit_test(a_continued_replay_is_the_same_to_the_bit),
    cmocka_unit_test(it_learns_to_go_to_a_landmark),
    cmocka_unit_test(what_does_not_fit_is_refused),
};

#endif
