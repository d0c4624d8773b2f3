/* All wrappers together, on environments that have everything: threads, parts, snapshots, arrays that are not wanted; what they make of an
 * environment, and what is refused. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "env/wrappers.h"
#include "tape.h"

/* ---- all of them ------------------------------------------------------------------------------------------ */

static const struct env_option tape_of_everything[] = {{"length", "9"}, {"masks", "1"}, {"leaves", "2"}};

static struct vecenv_config everything(bool on_the_tape, int32_t envs)
{
    struct vecenv_config config = tape(tape_of_everything, 3);
    if (!on_the_tape) config.name = "test/kitchen_sink", config.options = 0;
    config.envs = envs;
    config.action_repeat = 2;
    config.time_limit = 7;
    config.clip_reward = 0.75f;
    config.scale_reward = 2;
    config.team_reward = TEAM_MEAN;
    config.hide_obs = on_the_tape ? "pair:1" : "runner:2,watcher:0-1";
    config.clip_obs = 2;
    config.stack_obs = 3;
    config.last_action = config.agent_id = config.time_left = true;
    config.sticky_action = 0.3f;
    config.rescale_action = true;
    if (on_the_tape) config.discretise_action = 3;
    if (!on_the_tape) config.noise_action = 0.4f, config.noise_hold = 3;
    return config;
}

enum { MANY = 13, STEPS = 60 };

static void play(const struct vecenv_config *config, int32_t column, uint64_t hash[STEPS][MANY])
{
    struct env_batch b;
    open_or_fail(&b, config);
    for (int t = 0; t < STEPS; t++) {
        batch_act(&b, 7, config->first_env, (uint64_t)t);
        step_or_fail(&b);
        for (int32_t e = 0; e < config->envs; e++) hash[t][column + e] = batch_hash(&b, e);
    }
    batch_close(&b);
}

static void threads_and_parts_of_a_batch_change_no_bit(void **state)
{
    (void)state;
    static uint64_t whole[STEPS][MANY], other[STEPS][MANY];
    for (int k = 0; k < 2; k++) {
        struct vecenv_config config = everything(k, MANY);
        play(&config, 0, whole);
        config.threads = 4;
        play(&config, 0, other);
        assert_memory_equal(whole, other, sizeof whole);
        config.threads = 1;
        config.envs = 4;
        play(&config, 0, other);
        config.envs = MANY - 4;
        config.first_env += 4;
        play(&config, 4, other);
        assert_memory_equal(whole, other, sizeof whole);
    }
}

static void a_snapshot_goes_on_where_it_was_taken(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        const struct vecenv_config config = everything(k, MANY);
        struct env_batch a, b;
        open_or_fail(&a, &config);
        open_or_fail(&b, &config);
        const size_t bytes = vecenv_snapshot_bytes(a.env);
        unsigned char *snapshot = calloc(MANY, bytes);
        for (int t = 0; t < STEPS; t++) {
            if (t % 7 == 3) {
                uint64_t before[MANY];
                for (int32_t e = 0; e < MANY; e++) a.io.ep_end[e] = b.io.ep_end[e] = 0;
                assert_int_equal(vecenv_snapshot(a.env, 0, MANY, snapshot, &a.err), 0);
                if (vecenv_restore(b.env, 0, MANY, snapshot, &b.err)) fail_msg("%s", b.err.text);
                for (int g = 0; g < a.spec->groups; g++) { /* results of the last step are not part of it */
                    memcpy(b.io.group[g].reward, a.io.group[g].reward, (size_t)(MANY * a.size[g].agents) * sizeof(float));
                    memcpy(b.io.group[g].terminated, a.io.group[g].terminated, (size_t)(MANY * a.size[g].agents));
                    memset(b.io.group[g].obs, 0xff, (size_t)(MANY * a.size[g].agents * a.size[g].obs) * sizeof(float));
                }
                memcpy(b.io.info, a.io.info, (size_t)(MANY * a.spec->infos) * sizeof(float));
                assert_int_equal(vecenv_observe(b.env, &b.io, &b.err), 0);
                for (int32_t e = 0; e < MANY; e++) before[e] = batch_hash(&a, e);
                for (int32_t e = 0; e < MANY; e++) assert_true(batch_hash(&b, e) == before[e]);
            }
            batch_act(&a, 7, 5, (uint64_t)t);
            step_or_fail(&a);
            if (t < 3) continue;
            batch_act(&b, 7, 5, (uint64_t)t);
            step_or_fail(&b);
            for (int32_t e = 0; e < MANY; e++) assert_true(batch_hash(&a, e) == batch_hash(&b, e));
        }
        free(snapshot);
        batch_close(&a);
        batch_close(&b);
    }
}

/* No byte of it makes wrappers read or write where they must not: sanitizers watch, and what is refused changes nothing. */
static void damaged_snapshots_are_refused_or_do_no_harm(void **state)
{
    (void)state;
    int refused = 0, taken = 0;
    const struct vecenv_config config = everything(true, 1);
    struct env_batch b;
    open_or_fail(&b, &config);
    for (int t = 0; t < 3; t++) step_or_fail((batch_act(&b, 7, 5, (uint64_t)t), &b));
    const size_t bytes = vecenv_snapshot_bytes(b.env), head = sizeof(uint64_t) + sizeof(struct wrapper_lane);
    unsigned char *whole = calloc(1, bytes), *damaged = calloc(1, bytes);
    assert_int_equal(vecenv_snapshot(b.env, 0, 1, whole, &b.err), 0);
    const size_t own = bytes - sizeof(struct philox) - 4 * sizeof(int32_t); /* where the tape's begins */
    for (size_t i = head; i < own; i++) {
        memcpy(damaged, whole, bytes);
        damaged[i] ^= 0xff;
        const int code = vecenv_restore(b.env, 0, 1, damaged, &b.err);
        refused += code != 0;
        if (code) assert_non_null(strstr(b.err.text, "state of wrappers is damaged"));
        if (code) continue;
        assert_int_equal(vecenv_observe(b.env, &b.io, &b.err), 0);
        for (int t = 0; t < 3; t++) step_or_fail((batch_act(&b, 9, 5, (uint64_t)t), &b));
    }
    assert_in_range(refused, 20, (int)(own - head));
    /* Words of ones are a NaN, no choice and no flag: only the count of draws (2) and what fills arrays up to 8 bytes (13) take them. */
    for (size_t i = head; i < own; i += 4) {
        memcpy(damaged, whole, bytes);
        memset(damaged + i, 0xff, 4);
        taken += vecenv_restore(b.env, 0, 1, damaged, &b.err) == 0;
    }
    assert_int_equal(taken, 2 + 13);
    free(whole);
    free(damaged);
    batch_close(&b);
}

static void arrays_that_nobody_wants_change_nothing(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        const struct vecenv_config config = everything(k, MANY);
        struct env_batch a, b;
        open_or_fail(&a, &config);
        open_or_fail(&b, &config);
        for (int t = 0; t < STEPS; t++) {
            batch_act(&a, 7, 5, (uint64_t)t);
            batch_act(&b, 7, 5, (uint64_t)t);
            struct mappo_env_io few = {.struct_size = sizeof few, .groups = b.io.groups};
            for (int g = 0; g < few.groups; g++)
                few.group[g] =
                    (struct mappo_group_io){.act_int = b.act_int[g], .act_real = b.act_real[g], .act_mask = b.io.group[g].act_mask};
            const bool all = t % 10 == 9;
            if (vecenv_step(b.env, all ? &b.io : &few, &b.err)) fail_msg("%s", b.err.text);
            step_or_fail(&a);
            for (int32_t e = 0; e < MANY && all; e++) assert_true(batch_hash(&a, e) == batch_hash(&b, e));
        }
        batch_close(&a);
        batch_close(&b);
    }
}

/* ---- what it is, and what is refused ---------------------------------------------------------------------- */

static void each_wrapper_makes_another_environment(void **state)
{
    (void)state;
    enum { CHANGES = 15 };
    uint64_t seen[CHANGES][2];
    for (int k = 0; k < CHANGES; k++) {
        struct vecenv_config c = tape(NULL, 0);
        struct vecenv *env;
        struct error err;
        switch (k) {
        case 1:
            c.action_repeat = 2;
            break;
        case 2:
            c.clip_reward = 1;
            break;
        case 3:
            c.scale_reward = 2;
            break;
        case 4:
            c.team_reward = TEAM_SUM;
            break;
        case 5:
            c.team_reward = TEAM_MEAN;
            break;
        case 6:
            c.hide_obs = "0";
            break;
        case 7:
            c.clip_obs = 1;
            break;
        case 8:
            c.stack_obs = 2;
            break;
        case 9:
            c.last_action = true;
            break;
        case 10:
            c.agent_id = true;
            break;
        case 11:
            c.time_left = true;
            break;
        case 12:
            c.discretise_action = 2;
            break;
        case 13:
            c.sticky_action = 0.5f;
            break;
        case 14:
            c.noise_action = 1;
            break;
        default:
            c.action_repeat = c.stack_obs = c.noise_hold = 1, c.scale_reward = 1, c.hide_obs = ""; /* all that changes nothing */
        }
        if (k == 6) c.hide_obs = "pair:0";
        if (vecenv_open(&env, &c, &err)) fail_msg("%s", err.text);
        seen[k][0] = vecenv_identity(env);
        seen[k][1] = vecenv_hash(env);
        char why[128];
        assert_false(vecenv_attach(env, NULL, NULL, why, sizeof why));
        assert_int_equal(strstr(why, "its wrappers work on the host") != NULL, k > 0);
        vecenv_close(env);
        for (int i = 0; i < k; i++) assert_true(seen[k][0] != seen[i][0] && seen[k][1] != seen[i][1]);
    }
    const struct vecenv_config plain = tape(NULL, 0);
    struct vecenv *env;
    assert_int_equal(vecenv_open(&env, &plain, NULL), 0);
    assert_true(vecenv_identity(env) == seen[0][0] && vecenv_hash(env) == seen[0][1]);
    assert_string_equal(vecenv_wrappers(env), "environment -> statistics; actions: clip");
    vecenv_close(env);
}

static void their_order_is_told(void **state)
{
    (void)state;
    struct vecenv_config config = everything(true, 1);
    struct vecenv *env;
    assert_int_equal(vecenv_open(&env, &config, NULL), 0);
    assert_string_equal(
        vecenv_wrappers(env),
        "environment -> action repeat 2 -> time limit 7 -> statistics -> reward: clip 0.75, scale 2, mean of the team -> "
        "observation: hide pair:1, clip 2, stack of 3, last action, agent id, time left; actions: rescale, clip -> 3 bins -> "
        "sticky 0.3");
    vecenv_close(env);
    config = everything(false, 1);
    assert_int_equal(vecenv_open(&env, &config, NULL), 0);
    assert_non_null(strstr(vecenv_wrappers(env), "actions: rescale, clip -> sticky 0.3 -> noise 0.4 for 3 steps, in training"));
    vecenv_close(env);
}

static void refuse(const struct vecenv_config *config, const char *text)
{
    struct vecenv *env;
    struct error err = {0};
    assert_int_equal(vecenv_open(&env, config, &err), EXIT_USAGE);
    assert_null(env);
    if (!strstr(err.text, text)) fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    const struct env_option single[] = {{"scene", "single"}};
    struct vecenv_config c = tape(NULL, 0);
    c.discretise_action = 1;
    refuse(&c, "wrap.discretise_action=1: two bins at least");
    c.discretise_action = 3, c.noise_action = 1;
    refuse(&c, "wrap.noise_action: no action of environment \"test/tape\" is a real number (Box) after wrap.discretise_action");
    c = tape(NULL, 0);
    c.hide_obs = "pair:0-4";
    refuse(&c, "nothing is left that group \"pair\" could see");
    c.hide_obs = "1";
    refuse(&c, "an observation of group \"judge\" has numbers 0 to 0, not 1; \"NAME:4\" hides number 4 of one group");
    c.hide_obs = "pear:1";
    refuse(&c, "has no group \"pear\"");
    static const char *const nonsense[] = {"pair", "1-", "3-2", "-1", "1 2", "1;2", "pair:x", ",", "1.5"};
    for (size_t k = 0; k < sizeof nonsense / sizeof *nonsense; k++)
        refuse((c.hide_obs = nonsense[k], &c), "numbers of an observation, counted from 0");
    c.hide_obs = NULL, c.stack_obs = 5000000;
    refuse(&c, "wrap.stack_obs=5000000: environment \"test/tape\": an observation of group \"pair\" would have 25000000 numbers");
    c = tape(NULL, 0);
    c.name = "test/kitchen_sink", c.discretise_action = 3;
    refuse(&c, "number 1 (boost) of group \"runner\" has no bounds to lay bins between");
    c.option = single, c.options = 1;
    refuse(&c, "wrap.discretise_action: no action of environment \"test/kitchen_sink\" is a real number (Box)");
    c.discretise_action = 0, c.noise_action = 1;
    refuse(&c, "choices take no noise; ppo.entropy explores");
    c.noise_action = 0, c.agent_id = true;
    refuse(&c, "wrap.agent_id: environment \"test/kitchen_sink\" has groups of one agent only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_and_parts_of_a_batch_change_no_bit),
        cmocka_unit_test(a_snapshot_goes_on_where_it_was_taken),
        cmocka_unit_test(damaged_snapshots_are_refused_or_do_no_harm),
        cmocka_unit_test(arrays_that_nobody_wants_change_nothing),
        cmocka_unit_test(each_wrapper_makes_another_environment),
        cmocka_unit_test(their_order_is_told),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
