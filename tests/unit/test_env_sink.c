/* test/kitchen_sink: that it really does what the tests built on it rely on. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>

#include "env_batch.h"
#include "envs/test/kitchen_sink.h"

enum { ENVS = 8, FIRST = 3 };

static void open_or_fail(struct env_batch *b, const struct env_option *option, int options)
{
    const struct vecenv_config config = {.name = "test/kitchen_sink",
                                         .option = option,
                                         .options = options,
                                         .envs = ENVS,
                                         .first_env = FIRST,
                                         .seed = 17,
                                         .stream = PHILOX_ENVIRONMENT,
                                         .threads = 2,
                                         .horizon = 1};
    if (batch_open(b, &config)) fail_msg("%s", b->err.text);
}

static void it_has_every_kind_of_space_and_two_teams(void **state)
{
    (void)state;
    struct env_batch b;
    unsigned obs = 0, act = 0;
    open_or_fail(&b, NULL, 0);
    assert_int_equal(b.spec->groups, 2);
    assert_int_not_equal(b.spec->group[0].team, b.spec->group[1].team);
    for (int g = 0; g < 2; g++) {
        for (int h = 0; h < b.spec->group[g].obs_heads; h++) obs |= 1u << b.spec->group[g].obs[h].kind;
        for (int h = 0; h < b.spec->group[g].act_heads; h++) act |= 1u << b.spec->group[g].act[h].kind;
    }
    assert_int_equal(obs, 0x1E);
    assert_int_equal(act, 0x1E);
    assert_int_equal(b.size[0].obs, SINK_RUNNER_OBS);
    assert_int_equal(b.size[0].logits, SINK_RUNNER_LOGITS);
    assert_int_equal(b.size[0].act_ints, SINK_RUNNER_INTS);
    assert_int_equal(b.size[0].act_reals, SINK_RUNNER_REALS);
    assert_int_equal(b.size[1].obs, SINK_WATCHER_OBS);
    assert_int_equal(b.size[1].logits, 0);
    batch_close(&b);
}

/* One walk over many steps: what must hold at each of them, and what must have happened at least once. */
static void agents_die_and_appear_and_episodes_are_uneven(void **state)
{
    (void)state;
    struct env_batch b;
    int deaths = 0, appearances = 0, ends[3] = {0}, lengths[32] = {0}, different = 0;
    uint8_t was_active[ENVS * SINK_RUNNERS];
    open_or_fail(&b, NULL, 0);
    for (int t = 0; t < 200; t++) {
        struct episode episode[ENVS];
        const struct mappo_group_io *runner = &b.io.group[0];
        memcpy(was_active, runner->active, sizeof was_active);
        batch_act(&b, 1, FIRST, (uint64_t)t);
        assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
        for (int32_t e = 0; e < ENVS; e++) {
            ends[b.io.ep_end[e]]++;
            for (int a = 0; a < SINK_RUNNERS; a++) {
                const int i = e * SINK_RUNNERS + a;
                if (runner->terminated[i]) assert_true(was_active[i]);
                if (b.io.ep_end[e]) continue;
                assert_int_equal((int)runner->state[i * SINK_RUNNER_STATE + 1], runner->active[i]); /* per-agent state */
                deaths += runner->terminated[i] && !runner->active[i];
                appearances += !was_active[i] && runner->active[i];
                if (!was_active[i]) assert_true(runner->reward[i] == 0.25f); /* its action is ignored, its share still paid */
                different += runner->reward[i] != runner->reward[e * SINK_RUNNERS];
            }
            for (int a = 0; a < SINK_WATCHERS; a++)
                assert_int_equal(b.io.group[1].active[e * SINK_WATCHERS + a], 1); /* filled by the vecenv */
        }
        const int count = vecenv_take_episodes(b.env, episode, ENVS);
        for (int k = 0; k < count; k++) lengths[episode[k].length]++;
    }
    assert_true(deaths > 10 && appearances > 10 && different > 10);
    assert_true(ends[MAPPO_TERMINATED] > 10 && ends[MAPPO_TRUNCATED] > 10);
    for (int k = 0; k < 32; k++) assert_int_equal(lengths[k] > 0, k >= 5 && k <= 12);
    batch_close(&b);
}

static void actions_that_mask_or_space_forbid_are_found_out(void **state)
{
    (void)state;
    struct env_batch b;
    open_or_fail(&b, NULL, 0);
    const int logit[3] = {0, SINK_CUES, SINK_CUES + 5};
    for (int head = 0; head < 3; head++) { /* the answer, the first move, the bits */
        batch_act(&b, 1, FIRST, 0);
        int k = 0;
        while (b.io.group[0].act_mask[logit[head] + k]) k++;
        int32_t *act = b.act_int[0] + (head == 2 ? 3 + k : head);
        *act = head == 0 ? SINK_FIRST_CUE + k : head == 1 ? k : 1;
        assert_int_equal(vecenv_step(b.env, &b.io, &b.err), EXIT_ENVIRONMENT);
        if (!strstr(b.err.text, "number 3: runner 0:") || !strstr(b.err.text, "mask forbids")) fail_msg("%s", b.err.text);
    }
    batch_act(&b, 1, FIRST, 0);
    b.act_int[0][2] = 0; /* starts at 5 */
    assert_int_equal(vecenv_step(b.env, &b.io, &b.err), EXIT_ENVIRONMENT);
    assert_non_null(strstr(b.err.text, "outside its space"));
    batch_act(&b, 1, FIRST, 0);
    b.act_real[1][(2 * SINK_WATCHERS) * SINK_WATCHER_REALS] = NAN;
    assert_int_equal(vecenv_step(b.env, &b.io, &b.err), EXIT_ENVIRONMENT);
    assert_non_null(strstr(b.err.text, "number 5: watchers: number 0 of their actions is not finite"));
    batch_close(&b);
}

static void inactive_agents_may_do_anything(void **state)
{
    (void)state;
    struct env_batch b;
    open_or_fail(&b, NULL, 0);
    batch_act(&b, 1, FIRST, 0);
    assert_int_equal(b.io.group[0].active[SINK_RUNNERS - 1], 0); /* the last runner comes later */
    for (int k = 0; k < SINK_RUNNER_INTS; k++) b.act_int[0][(SINK_RUNNERS - 1) * SINK_RUNNER_INTS + k] = 12345;
    assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
    batch_close(&b);
}

static void faults_strike_once_where_they_should(void **state)
{
    (void)state;
    static const char *const faults[] = {"nan_reward", "nan_obs", "inf_reward", "error"};
    for (int k = 0; k < 4; k++) {
        const struct env_option option[] = {{"fault", faults[k]}, {"fault_env", "7"}, {"fault_step", "20"}};
        struct env_batch b;
        open_or_fail(&b, option, 3);
        for (int t = 0; t < 25; t++) {
            batch_act(&b, 1, FIRST, (uint64_t)t);
            const int rc = vecenv_step(b.env, &b.io, &b.err);
            assert_int_equal(rc, t < 20 ? 0 : k == 3 ? EXIT_ENVIRONMENT : t == 20 ? EXIT_NUMERICAL : 0);
            if (rc) assert_non_null(strstr(b.err.text, "number 7: "));
            if (k == 3 && rc) {
                assert_non_null(strstr(b.err.text, "number 7: fault=error at step 20"));
                break;
            }
            for (int32_t e = 0; e < ENVS; e++) {
                const bool struck = t == 20 && e == 7 - FIRST;
                assert_int_equal(!isfinite(b.io.group[0].reward[e * SINK_RUNNERS]), struck && k != 1);
                assert_int_equal(!isfinite(b.io.group[0].obs[e * SINK_RUNNERS * SINK_RUNNER_OBS]), struck && k == 1);
            }
        }
        batch_close(&b);
    }
}

static void scripted_player_names_every_cue(void **state)
{
    (void)state;
    static const char *const scenes[] = {"two_teams", "single"};
    for (int scene = 0; scene < 2; scene++) {
        const struct env_option option[] = {{"scene", scenes[scene]}, {"mortal", "0"}};
        struct env_batch b;
        open_or_fail(&b, option, 2);
        for (int t = 0; t < 30; t++) {
            assert_int_equal(vecenv_script(b.env, 0, b.envs, &b.io, &b.err), 0);
            assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
            for (int32_t e = 0; e < ENVS; e++) assert_true(b.io.info[2 * e] == (scene ? 1 : SINK_RUNNERS));
            if (scene == 1) assert_true(b.io.group[0].reward[0] == 1);
        }
        batch_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_every_kind_of_space_and_two_teams),
        cmocka_unit_test(agents_die_and_appear_and_episodes_are_uneven),
        cmocka_unit_test(actions_that_mask_or_space_forbid_are_found_out),
        cmocka_unit_test(inactive_agents_may_do_anything),
        cmocka_unit_test(faults_strike_once_where_they_should),
        cmocka_unit_test(scripted_player_names_every_cue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
