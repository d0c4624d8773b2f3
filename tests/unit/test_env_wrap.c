/* Wrappers: each by numbers computed by hand on test/tape. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "base/normal.h"
#include "tape.h"

/* ---- playing ---------------------------------------------------------------------------------------------- */

/* Both agents of the pair in all environments. */
static void pair_does(struct env_batch *b, int32_t choice, float push, float lift)
{
    for (int row = 0; row < 2 * ENVS; row++) {
        b->act_int[PAIR][row] = choice;
        b->act_real[PAIR][2 * row] = push;
        b->act_real[PAIR][2 * row + 1] = lift;
    }
}

static void expect_numbers(const char *what, const float *got, const float *wanted, int count)
{
    for (int i = 0; i < count; i++)
        if (got[i] != wanted[i]) fail_msg("%s: number %d is %g, not %g", what, i, (double)got[i], (double)wanted[i]);
}

static float reward_of(const struct env_batch *b, int32_t e, int group, int a)
{
    return b->io.group[group].reward[e * b->size[group].agents + a];
}

static void expect_reward(const struct env_batch *b, int group, int a, float wanted)
{
    for (int32_t e = 0; e < ENVS; e++) {
        const float got = reward_of(b, e, group, a);
        expect_numbers("reward", &got, &wanted, 1);
    }
}

/* Of environment 1, agent `a` of the pair: what it sees now or (`last`) saw last. */
static void expect_seen(const struct env_batch *b, int a, bool last, const float *wanted, int count)
{
    const struct mappo_group_io *io = &b->io.group[PAIR];
    assert_int_equal(b->size[PAIR].obs, count);
    expect_numbers(last ? "final observation" : "observation", (last ? io->final_obs : io->obs) + (size_t)((2 + a) * count), wanted, count);
}
#define SEES(b, a, last, ...)                                                                                                              \
    expect_seen(b, a, last, (const float[]){__VA_ARGS__}, (int)(sizeof((const float[]){__VA_ARGS__}) / sizeof(float)))

/* ---- the whole environment -------------------------------------------------------------------------------- */

static void repeated_actions_are_steps_of_the_environment(void **state)
{
    (void)state;
    const struct env_option option[] = {{"length", "7"}};
    struct vecenv_config config = tape(option, 1);
    struct env_batch b;
    struct episode ended[ENVS];
    double sum, count;
    config.action_repeat = 3;
    open_or_fail(&b, &config);
    assert_int_equal(b.spec->max_steps, 7);
    pair_does(&b, 1, 0.5f, 1);
    for (int t = 0; t < 3; t++) { /* 3, 3 and the one that is left */
        step_or_fail(&b);
        expect_reward(&b, PAIR, 0, 106.0f * (t < 2 ? 3 : 1));
        expect_reward(&b, JUDGE, 0, t == 0 ? 1 + 2 + 3 : t == 1 ? 4 + 5 + 6 : 7);
        assert_int_equal(b.io.ep_end[1], t < 2 ? MAPPO_RUNNING : MAPPO_TRUNCATED);
        SEES(&b, 0, false, t < 2 ? 3 * (float)(t + 1) : 0, t < 2 ? 13 + 3 * (float)t : 10, 1, 0, 0);
    }
    SEES(&b, 1, true, 7, 27, 0, 1, 0);
    assert_int_equal(vecenv_take_episodes(b.env, ended, ENVS), ENVS);
    assert_int_equal(ended[1].length, 7);
    assert_int_equal(ended[1].step, 3);
    assert_float_equal(ended[1].group_return[PAIR], 7 * 106, 0);
    assert_float_equal(ended[1].group_return[JUDGE], 28, 0);
    vecenv_take_info(b.env, &sum, &count);
    assert_float_equal(sum / count, 4, 0); /* over all seven steps */
    batch_close(&b);
}

static void time_limits_count_steps_of_the_environment(void **state)
{
    (void)state;
    const struct env_option option[] = {{"length", "7"}};
    struct vecenv_config config = tape(option, 1);
    struct env_batch b;
    config.action_repeat = 3;
    config.time_limit = 4;
    open_or_fail(&b, &config);
    pair_does(&b, 1, 0, 0);
    for (int t = 0; t < 4; t++) {
        step_or_fail(&b);
        expect_reward(&b, PAIR, 0, t % 2 ? 100 : 300);
        assert_int_equal(b.io.ep_end[0], t % 2 ? MAPPO_TRUNCATED : MAPPO_RUNNING);
        if (t % 2) SEES(&b, 0, true, 4, 14, 0, 1, 0);
    }
    batch_close(&b);
}

static void what_a_mask_forbids_is_not_repeated(void **state)
{
    (void)state;
    const struct env_option option[] = {{"length", "100"}, {"masks", "1"}};
    struct vecenv_config config = tape(option, 2);
    struct env_batch b;
    config.action_repeat = 4;
    open_or_fail(&b, &config);
    pair_does(&b, 2, 0, 0);
    step_or_fail(&b); /* steps 0 to 3 */
    expect_reward(&b, PAIR, 0, 800);
    pair_does(&b, 3, 0, 0);
    step_or_fail(&b); /* step 4; at 5 it is forbidden */
    expect_reward(&b, PAIR, 0, 300);
    assert_int_equal(b.io.group[PAIR].act_mask[2], 0);
    batch_close(&b);
}

static void who_appears_chooses_anew_and_who_died_earns_no_more(void **state)
{
    (void)state;
    const struct env_option option[] = {{"length", "100"}, {"leaves", "2"}};
    struct vecenv_config config = tape(option, 2);
    struct env_batch b;
    config.action_repeat = 8;
    open_or_fail(&b, &config);
    pair_does(&b, 1, 0, 0);
    step_or_fail(&b); /* steps 0, 1 (agent 1 dies) and 2; it is there again at 3 */
    SEES(&b, 0, false, 3, 13, 1, 0, 0);
    expect_reward(&b, PAIR, 0, 300);
    expect_reward(&b, PAIR, 1, 200);
    assert_int_equal(b.io.group[PAIR].terminated[1], 1);
    assert_int_equal(b.io.group[PAIR].terminated[0], 0);
    assert_int_equal(b.io.group[PAIR].active[1], 1);
    step_or_fail(&b);
    SEES(&b, 0, false, 6, 16, 1, 0, 0);
    batch_close(&b);
}

/* ---- rewards ---------------------------------------------------------------------------------------------- */

static void rewards_are_clipped_scaled_and_shared_in_this_order(void **state)
{
    (void)state;
    struct vecenv_config config = tape(NULL, 0);
    struct env_batch b;
    struct episode ended[ENVS];
    config.clip_reward = 110;
    config.scale_reward = 0.5f;
    for (int team = TEAM_NONE; team <= TEAM_MEAN; team++) {
        config.team_reward = team;
        open_or_fail(&b, &config);
        assert_int_equal(!!(b.spec->group[PAIR].flags & MAPPO_SHARED_REWARD), team != TEAM_NONE);
        pair_does(&b, 1, 0, 0);
        for (int row = 0; row < 2 * ENVS; row += 2) b.act_int[PAIR][row] = 2; /* 200, clipped to 110, and 100; the judge has 1 */
        step_or_fail(&b);
        expect_reward(&b, PAIR, 0, team == TEAM_NONE ? 55 : team == TEAM_SUM ? 105.5f : 105.5f / 3);
        expect_reward(&b, PAIR, 1, team == TEAM_NONE ? 50 : team == TEAM_SUM ? 105.5f : 105.5f / 3);
        expect_reward(&b, JUDGE, 0, team == TEAM_NONE ? 0.5f : team == TEAM_SUM ? 105.5f : 105.5f / 3);
        expect_reward(&b, FOE, 0, -25);
        for (int t = 1; t < 5; t++) step_or_fail(&b);
        assert_int_equal(vecenv_take_episodes(b.env, ended, ENVS), ENVS);
        assert_float_equal(ended[0].group_return[PAIR], 750, 0); /* as they were */
        assert_float_equal(ended[0].group_return[JUDGE], 15, 0);
        batch_close(&b);
    }
}

/* ---- observations ----------------------------------------------------------------------------------------- */

static void observations_are_hidden_clipped_and_stacked_in_this_order(void **state)
{
    (void)state;
    struct vecenv_config config = tape(NULL, 0);
    struct env_batch b;
    config.hide_obs = "pair:0, pair:3-4";
    config.clip_obs = 12;
    config.stack_obs = 3;
    open_or_fail(&b, &config);
    assert_int_equal(b.spec->group[PAIR].obs_heads, 1);
    assert_string_equal(b.spec->group[PAIR].obs[0].meaning[2].name, "place, 1 before");
    assert_float_equal(b.spec->group[PAIR].obs[0].high[2], 12, 0);
    assert_float_equal(b.spec->group[PAIR].obs[0].high[5], 1, 0);
    pair_does(&b, 1, 0, 0);
    SEES(&b, 0, false, 10, 1, 10, 1, 10, 1);
    SEES(&b, 1, false, 12, 1, 12, 1, 12, 1);
    step_or_fail(&b);
    SEES(&b, 0, false, 10, 1, 10, 1, 11, 0);
    for (int t = 1; t < 4; t++) step_or_fail(&b);
    SEES(&b, 0, false, 12, 0, 12, 1, 12, 0);
    step_or_fail(&b);
    SEES(&b, 0, true, 12, 1, 12, 0, 12, 0);
    SEES(&b, 0, false, 10, 1, 10, 1, 10, 1);
    step_or_fail(&b);
    SEES(&b, 0, false, 10, 1, 10, 1, 11, 0);
    /* The state stays all that is seen: two agents, the judge's three scores of at most 12 and the foe's ones. */
    assert_int_equal(b.spec->state_size, 2 * 6 + 3 + 3);
    expect_numbers("state", b.io.state + 18, (const float[]){10, 1, 10, 1, 11, 0, 12, 1, 12, 1, 12, 0, 0, 0, 7, 1, 1, 1}, 18);
    batch_close(&b);
}

static void last_action_agent_and_time_stand_behind_the_stack(void **state)
{
    (void)state;
    const struct env_option option[] = {{"length", "4"}, {"leaves", "1"}};
    struct vecenv_config config = tape(option, 2);
    struct env_batch b;
    config.hide_obs = "pair:1-4";
    config.stack_obs = 2;
    config.last_action = config.agent_id = config.time_left = true;
    open_or_fail(&b, &config);
    assert_string_equal(b.spec->group[PAIR].obs[0].meaning[3].name, "last action: two");
    assert_string_equal(b.spec->group[PAIR].obs[0].meaning[9].name, "time left");
    assert_int_equal(b.size[JUDGE].obs, 2 + 2 + 1); /* alone: without a number */
    pair_does(&b, 2, -0.5f, 9);
    SEES(&b, 1, false, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1);
    step_or_fail(&b);
    SEES(&b, 0, false, 0, 1, 0, 1, 0, -0.5f, 4, 1, 0, 0.75f); /* within its bounds */
    step_or_fail(&b);
    step_or_fail(&b); /* at step 2 agent 1 waited */
    SEES(&b, 1, false, 2, 3, 0, 0, 0, 0, 0, 0, 1, 0.25f);
    SEES(&b, 0, false, 2, 3, 0, 1, 0, -0.5f, 4, 1, 0, 0.25f);
    pair_does(&b, 3, 1, 1);
    step_or_fail(&b);
    SEES(&b, 1, true, 3, 4, 0, 0, 1, 1, 1, 0, 1, 0);
    SEES(&b, 1, false, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1);
    batch_close(&b);
}

/* An image of which everything is shown stays one, and what is appended is a head beside it. */
static void images_stay_images_where_nothing_of_them_is_moved(void **state)
{
    (void)state;
    struct vecenv_config config = {.name = "overcooked/kitchen", .envs = 1, .seed = 1, .threads = 1, .horizon = 10};
    struct env_batch b;
    config.agent_id = config.time_left = true;
    open_or_fail(&b, &config);
    const struct mappo_space *obs = b.spec->group[0].obs;
    assert_int_equal(b.spec->group[0].obs_heads, 2);
    assert_int_equal(obs[0].size, 4 * 5 * 26);
    assert_int_equal(obs[0].shape[0], 4);
    assert_int_equal(obs[0].shape[1], 5);
    assert_int_equal(obs[0].shape[2], 26);
    assert_int_equal(obs[1].size, 2 + 1);
    assert_int_equal(obs[1].shape[0], 0);
    assert_string_equal(obs[1].meaning[2].name, "time left");
    assert_int_equal(b.spec->state_size, 2 * (520 + 3));
    expect_numbers("what is appended", b.io.group[0].obs + 523 + 520, (const float[]){0, 1, 1}, 3);
    batch_close(&b);
    config.stack_obs = 2;
    open_or_fail(&b, &config);
    assert_int_equal(b.spec->group[0].obs_heads, 1);
    assert_int_equal(b.spec->group[0].obs[0].shape[0], 0);
    batch_close(&b);
}

/* ---- actions ---------------------------------------------------------------------------------------------- */

static void boxes_become_choices(void **state)
{
    (void)state;
    for (int rescale = 0; rescale < 2; rescale++) { /* which is nearer to the environment, and changes nothing */
        struct vecenv_config config = tape(NULL, 0);
        struct env_batch b;
        config.discretise_action = 5;
        config.rescale_action = rescale;
        open_or_fail(&b, &config);
        const struct mappo_space *space = &b.spec->group[PAIR].act[1];
        assert_int_equal(b.size[PAIR].act_ints, 3);
        assert_int_equal(b.size[PAIR].act_reals, 0);
        assert_int_equal(b.size[PAIR].logits, 13);
        assert_int_equal(space->kind, MAPPO_MULTI_DISCRETE);
        assert_int_equal(space->n[1], 5);
        for (int k = 0; k < 13 * 2 * ENVS; k++) assert_int_equal(b.io.group[PAIR].act_mask[k], 1);
        for (int row = 0; row < 2 * ENVS; row++) memcpy(b.act_int[PAIR] + 3 * row, (const int32_t[]){2, 3, 1}, 3 * sizeof(int32_t));
        step_or_fail(&b);
        expect_reward(&b, PAIR, 1, 200 + 10 * 0.5f + 1);
        for (int row = 0; row < 2 * ENVS; row++) memcpy(b.act_int[PAIR] + 3 * row, (const int32_t[]){1, 0, 4}, 3 * sizeof(int32_t));
        step_or_fail(&b);
        expect_reward(&b, PAIR, 1, 100 - 10 + 4);
        if (vecenv_script(b.env, 0, b.envs, &b.io, &b.err)) fail_msg("%s", b.err.text);
        assert_int_equal(b.act_int[PAIR][3], 2); /* agent 1 */
        assert_int_equal(b.act_int[PAIR][4], 3); /* 0.25: at the middle of 0 and 0.5, the upper one */
        assert_int_equal(b.act_int[PAIR][5], 2); /* 2 of 0 … 4 */
        batch_close(&b);
    }
}

static void masks_of_other_heads_stay_where_boxes_become_choices(void **state)
{
    (void)state;
    const struct env_option option[] = {{"masks", "1"}};
    struct vecenv_config config = tape(option, 1);
    struct env_batch b;
    config.discretise_action = 2;
    open_or_fail(&b, &config);
    step_or_fail((b.act_int[PAIR][0] = b.act_int[PAIR][3] = 1, b.act_int[PAIR][6] = b.act_int[PAIR][9] = 1, &b));
    assert_memory_equal(b.io.group[PAIR].act_mask + 7, ((const uint8_t[]){1, 1, 0, 1, 1, 1, 1}), 7);
    batch_close(&b);
}

/* The draw of agent `agent` of all groups at the learner's step `step`, of environment e of the batch. */
static struct philox_draw draw_of(int32_t e, uint32_t agent, uint64_t step, uint64_t number)
{
    return philox_at(42, PHILOX_ENVIRONMENT, 5 + (uint32_t)e, (1u << 23) + agent, (step << 24) + number);
}

static void sticky_actions_are_taken_again_with_their_probability(void **state)
{
    (void)state;
    const struct env_option option[] = {{"length", "50"}};
    struct vecenv_config config = tape(option, 1);
    struct env_batch b;
    int stuck = 0;
    float last[ENVS][2] = {{0}};
    config.sticky_action = 0.25f;
    open_or_fail(&b, &config);
    for (int t = 0; t < 100; t++) {
        pair_does(&b, 1 + t % 3, 0, (float)(t % 4));
        step_or_fail(&b);
        for (int32_t e = 0; e < ENVS; e++)
            for (int a = 0; a < 2; a++) {
                const bool sticks = t % 50 && philox_float(draw_of(e, (uint32_t)a, (uint64_t)t, 0).v[0]) < 0.25f;
                if (!sticks) last[e][a] = (float)(100 * (1 + t % 3) + t % 4);
                stuck += sticks;
                const float got = reward_of(&b, e, PAIR, a);
                expect_numbers("reward", &got, &last[e][a], 1);
            }
    }
    assert_in_range(stuck, 100, 200); /* of 588 */
    batch_close(&b);
}

static void nothing_forbidden_and_nothing_of_the_absent_sticks(void **state)
{
    (void)state;
    const struct env_option option[] = {{"length", "50"}, {"masks", "1"}, {"leaves", "1"}};
    struct vecenv_config config = tape(option, 3);
    struct env_batch b;
    config.sticky_action = 1;
    open_or_fail(&b, &config);
    pair_does(&b, 3, 0, 0);
    step_or_fail(&b);
    expect_reward(&b, PAIR, 0, 300);
    pair_does(&b, 2, 0, 0);
    step_or_fail(&b); /* 3 is forbidden now */
    expect_reward(&b, PAIR, 0, 200);
    pair_does(&b, 1, 0, 0);
    step_or_fail(&b);
    expect_reward(&b, PAIR, 0, 200);
    expect_reward(&b, PAIR, 1, 0); /* it waits */
    step_or_fail(&b);
    expect_reward(&b, PAIR, 0, 200);
    expect_reward(&b, PAIR, 1, 100);
    batch_close(&b);
}

static void noise_is_held_while_training_and_there_is_none_in_evaluations(void **state)
{
    (void)state;
    const struct env_option option[] = {{"length", "7"}};
    struct vecenv_config config = tape(option, 1);
    struct env_batch b;
    config.clip_action = false;
    config.noise_action = 0.5f;
    config.noise_hold = 3;
    open_or_fail(&b, &config);
    pair_does(&b, 1, 0.25f, 2);
    for (int t = 0; t < 14; t++) {
        step_or_fail(&b);
        const uint64_t drawn = (uint64_t)(t / 7 * 7 + t % 7 / 3 * 3); /* an episode begins with another draw */
        for (int32_t e = 0; e < ENVS; e++) {
            const float push = 0.25f + 0.5f * (float)philox_normal(draw_of(e, 1, drawn, 1)),
                        lift = 2 + 0.5f * (float)philox_normal(draw_of(e, 1, drawn, 2));
            const float got = reward_of(&b, e, PAIR, 1), wanted = 100 + 10 * push + lift;
            expect_numbers("reward", &got, &wanted, 1);
        }
    }
    batch_close(&b);
    config.stream = PHILOX_EVALUATION;
    open_or_fail(&b, &config);
    pair_does(&b, 1, 0.25f, 2);
    step_or_fail(&b);
    expect_reward(&b, PAIR, 1, 104.5f);
    batch_close(&b);
}

static void noise_stays_within_the_bounds_of_actions(void **state)
{
    (void)state;
    struct vecenv_config config = tape(NULL, 0);
    struct env_batch b;
    config.noise_action = 1e6f;
    open_or_fail(&b, &config);
    step_or_fail((pair_does(&b, 1, 0, 0), &b));
    for (int32_t e = 0; e < ENVS; e++) {
        const double x = (double)reward_of(&b, e, PAIR, 0) - 100;
        assert_true(x == 10 || x == 14 || x == -10 || x == -6); /* every number at one of its bounds */
    }
    batch_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeated_actions_are_steps_of_the_environment),
        cmocka_unit_test(time_limits_count_steps_of_the_environment),
        cmocka_unit_test(what_a_mask_forbids_is_not_repeated),
        cmocka_unit_test(who_appears_chooses_anew_and_who_died_earns_no_more),
        cmocka_unit_test(rewards_are_clipped_scaled_and_shared_in_this_order),
        cmocka_unit_test(observations_are_hidden_clipped_and_stacked_in_this_order),
        cmocka_unit_test(last_action_agent_and_time_stand_behind_the_stack),
        cmocka_unit_test(boxes_become_choices),
        cmocka_unit_test(images_stay_images_where_nothing_of_them_is_moved),
        cmocka_unit_test(masks_of_other_heads_stay_where_boxes_become_choices),
        cmocka_unit_test(sticky_actions_are_taken_again_with_their_probability),
        cmocka_unit_test(nothing_forbidden_and_nothing_of_the_absent_sticks),
        cmocka_unit_test(noise_is_held_while_training_and_there_is_none_in_evaluations),
        cmocka_unit_test(noise_stays_within_the_bounds_of_actions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
