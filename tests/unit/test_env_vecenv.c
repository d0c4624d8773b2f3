/* What holds for every environment behind a vecenv, shown on the two that differ most. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <omp.h>

#include <time.h>

#include "env/crew.h"
#include "env/wrappers.h"
#include "env_batch.h"

enum { ENVS = 12, STEPS = 60 };

/* ---- counting allocations: this program's malloc stands before the C library's ---------------------------- */

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
#define COUNTS_ALLOCATIONS 1
static long allocations;
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *malloc(size_t size)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_realloc(old, size);
}
#else
#define COUNTS_ALLOCATIONS 0
static long allocations;
#endif

static const char *const names[] = {"mpe/simple_spread", "test/kitchen_sink", "test/busy", "test/wide"};
enum { NAMES = sizeof names / sizeof *names };

static struct vecenv_config config_of(int which)
{
    return (struct vecenv_config){.name = names[which],
                                  .envs = ENVS,
                                  .first_env = 5,
                                  .seed = 42,
                                  .stream = PHILOX_ENVIRONMENT,
                                  .threads = 1,
                                  .horizon = STEPS,
                                  .clip_action = true};
}

static void open_or_fail(struct env_batch *b, const struct vecenv_config *config)
{
    if (batch_open(b, config)) fail_msg("%s: %s", config->name, b->err.text);
}

static void step_or_fail(struct env_batch *b)
{
    if (vecenv_step(b->env, &b->io, &b->err)) fail_msg("%s", b->err.text);
}

/* Plays and writes the hash of every environment after every step: [STEPS][ENVS]. */
static void play(const struct vecenv_config *config, uint64_t *hash, int32_t column, int32_t columns)
{
    struct env_batch b;
    open_or_fail(&b, config);
    for (int t = 0; t < STEPS; t++) {
        batch_act(&b, 7, config->first_env, (uint64_t)t);
        step_or_fail(&b);
        for (int32_t e = 0; e < config->envs; e++) hash[t * columns + column + e] = batch_hash(&b, e);
    }
    batch_close(&b);
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    for (int which = 0; which < NAMES; which++) {
        static uint64_t one[STEPS * ENVS], many[STEPS * ENVS];
        struct vecenv_config config = config_of(which);
        play(&config, one, 0, ENVS);
        for (int threads = 2; threads <= 5; threads++) {
            config.threads = threads;
            play(&config, many, 0, ENVS);
            assert_memory_equal(one, many, sizeof one);
        }
    }
}

static void one_batch_equals_its_parts(void **state)
{
    (void)state;
    for (int which = 0; which < NAMES; which++) {
        static uint64_t whole[STEPS * ENVS], parts[STEPS * ENVS];
        struct vecenv_config config = config_of(which);
        play(&config, whole, 0, ENVS);
        config.envs = 5;
        play(&config, parts, 0, ENVS);
        config.envs = ENVS - 5;
        config.first_env += 5;
        play(&config, parts, 5, ENVS);
        assert_memory_equal(whole, parts, sizeof whole);
    }
}

static void other_seeds_streams_and_indices_draw_other_episodes(void **state)
{
    (void)state;
    uint64_t hash[4];
    for (int k = 0; k < 4; k++) {
        struct env_batch b;
        struct vecenv_config config = config_of(0);
        config.envs = 1;
        if (k == 1) config.seed++;
        if (k == 2) config.stream = PHILOX_EVALUATION;
        if (k == 3) config.first_env++;
        open_or_fail(&b, &config);
        hash[k] = batch_hash(&b, 0);
        batch_close(&b);
        for (int j = 0; j < k; j++) assert_true(hash[j] != hash[k]);
    }
}

static void ranges_in_two_parts_equal_one_step(void **state)
{
    (void)state;
    for (int which = 0; which < NAMES; which++) {
        static uint64_t whole[STEPS * ENVS];
        struct vecenv_config config = config_of(which);
        struct env_batch b;
        play(&config, whole, 0, ENVS);
        open_or_fail(&b, &config);
        for (int t = 0; t < STEPS; t++) {
            batch_act(&b, 7, config.first_env, (uint64_t)t);
            int failed = 0;
            if (t % 2) { /* halves, one after the other */
                failed |= vecenv_step_begin(b.env, 0, 7, &b.io, &b.err);
                failed |= vecenv_step_begin(b.env, 7, ENVS, &b.io, &b.err);
                failed |= vecenv_step_end(b.env, 0, 7, &b.err) | vecenv_step_end(b.env, 7, ENVS, &b.err);
            } else { /* ranges of a caller's own threads */
#pragma omp parallel for num_threads(3) reduction(| : failed)
                for (int k = 0; k < 3; k++) failed |= vecenv_step_begin(b.env, 4 * k, 4 * k + 4, &b.io, NULL);
                failed |= vecenv_step_end(b.env, 0, ENVS, &b.err);
            }
            assert_int_equal(failed, 0);
            for (int32_t e = 0; e < ENVS; e++) assert_true(batch_hash(&b, e) == whole[t * ENVS + e]);
        }
        batch_close(&b);
    }
}

static void snapshot_continues_exactly_where_it_was_taken(void **state)
{
    (void)state;
    for (int which = 0; which < NAMES; which++) {
        struct vecenv_config config = config_of(which);
        struct env_batch a, b;
        struct episode before[ENVS * STEPS], after[ENVS * STEPS];
        open_or_fail(&a, &config);
        open_or_fail(&b, &config);
        const size_t bytes = vecenv_snapshot_bytes(a.env);
        assert_true(bytes > 0);
        unsigned char *saved = calloc(ENVS, bytes);
        for (int t = 0; t < 33; t++) {
            batch_act(&a, 7, config.first_env, (uint64_t)t);
            step_or_fail(&a);
        }
        while (vecenv_take_episodes(a.env, before, ENVS) > 0) continue;
        for (int32_t e = 0; e < ENVS; e++) assert_int_equal(vecenv_snapshot(a.env, e, e + 1, saved + (size_t)e * bytes, &a.err), 0);
        for (int32_t e = ENVS - 1; e >= 0; e--) assert_int_equal(vecenv_restore(b.env, e, e + 1, saved + (size_t)e * bytes, &b.err), 0);
        assert_int_equal(vecenv_observe(b.env, &b.io, &b.err), 0);
        for (int g = 0; g < a.spec->groups; g++) {
            const size_t rows = ENVS * (size_t)a.size[g].agents;
            assert_memory_equal(a.io.group[g].obs, b.io.group[g].obs, rows * (size_t)a.size[g].obs * sizeof(float));
            assert_memory_equal(a.io.group[g].active, b.io.group[g].active, rows);
            assert_memory_equal(a.io.group[g].act_mask, b.io.group[g].act_mask, rows * (size_t)a.size[g].logits);
        }
        for (int t = 33; t < STEPS; t++) {
            batch_act(&a, 7, config.first_env, (uint64_t)t);
            batch_act(&b, 7, config.first_env, (uint64_t)t);
            step_or_fail(&a);
            step_or_fail(&b);
            for (int32_t e = 0; e < ENVS; e++) assert_true(batch_hash(&a, e) == batch_hash(&b, e));
        }
        /* returns and lengths of the episodes that the snapshot cut, too */
        const int episodes = vecenv_take_episodes(a.env, before, ENVS * STEPS);
        assert_int_equal(vecenv_take_episodes(b.env, after, ENVS * STEPS), episodes);
        assert_true(episodes >= ENVS);
        for (int k = 0; k < episodes; k++) {
            assert_int_equal(before[k].env, after[k].env);
            assert_int_equal(before[k].length, after[k].length);
            assert_memory_equal(before[k].group_return, after[k].group_return, sizeof before[k].group_return);
        }
        free(saved);
        batch_close(&a);
        batch_close(&b);
    }
}

static void snapshot_of_something_else_is_refused(void **state)
{
    (void)state;
    for (int which = 0; which < NAMES; which++) {
        struct vecenv_config config = config_of(which);
        struct env_batch a, b;
        open_or_fail(&a, &config);
        const size_t bytes = vecenv_snapshot_bytes(a.env);
        unsigned char *saved = calloc(1, bytes), *spoilt = malloc(bytes);
        assert_int_equal(vecenv_snapshot(a.env, 3, 4, saved, &a.err), 0);
        assert_int_equal(vecenv_restore(a.env, 4, 5, saved, &a.err), EXIT_CHECKPOINT); /* another environment's generator */
        assert_int_equal(vecenv_restore(a.env, 3, 4, saved, &a.err), 0);
        config.time_limit = 4; /* another wrapper */
        open_or_fail(&b, &config);
        assert_int_equal(vecenv_snapshot_bytes(b.env), bytes);
        assert_int_equal(vecenv_restore(b.env, 3, 4, saved, &b.err), EXIT_CHECKPOINT);
        assert_non_null(strstr(b.err.text, "another environment"));
        /* numbers that cannot be: every byte set, one 4-byte word at a time; refused, or still fit to step */
        for (size_t at = 8; at + 4 <= bytes; at += 4) {
            memcpy(spoilt, saved, bytes);
            memset(spoilt + at, 0xFF, 4);
            const int rc = vecenv_restore(a.env, 3, 4, spoilt, &a.err);
            assert_true(rc == 0 || rc == EXIT_CHECKPOINT);
            assert_int_equal(vecenv_observe(a.env, &a.io, &a.err), 0);
            batch_act(&a, 1, config.first_env, 0);
            step_or_fail(&a);
            assert_int_equal(vecenv_restore(a.env, 3, 4, saved, &a.err), 0);
        }
        free(saved);
        free(spoilt);
        batch_close(&a);
        batch_close(&b);
    }
}

static void time_limit_truncates_and_keeps_the_last_observation(void **state)
{
    (void)state;
    struct vecenv_config config = config_of(0);
    struct env_batch limited, free_running;
    open_or_fail(&free_running, &config);
    config.time_limit = 4;
    open_or_fail(&limited, &config);
    assert_int_equal(limited.spec->max_steps, 4);
    const size_t numbers = ENVS * 3 * 18;
    for (int t = 0; t < 4; t++) {
        batch_act(&limited, 7, config.first_env, (uint64_t)t);
        batch_act(&free_running, 7, config.first_env, (uint64_t)t);
        step_or_fail(&limited);
        step_or_fail(&free_running);
        for (int32_t e = 0; e < ENVS; e++) assert_int_equal(limited.io.ep_end[e], t == 3 ? MAPPO_TRUNCATED : MAPPO_RUNNING);
    }
    assert_memory_equal(limited.io.group[0].final_obs, free_running.io.group[0].obs, numbers * sizeof(float));
    assert_memory_equal(limited.io.final_state, free_running.io.state, numbers * sizeof(float));
    assert_memory_not_equal(limited.io.group[0].obs, free_running.io.group[0].obs, numbers * sizeof(float));
    for (int32_t i = 0; i < ENVS * 3; i++) assert_int_equal(limited.io.group[0].terminated[i], 0);
    struct episode episode[2 * ENVS];
    assert_int_equal(vecenv_take_episodes(limited.env, episode, 2 * ENVS), ENVS);
    for (int k = 0; k < ENVS; k++) {
        assert_int_equal(episode[k].env, config.first_env + (uint32_t)k);
        assert_int_equal(episode[k].length, 4);
        assert_int_equal(episode[k].end, MAPPO_TRUNCATED);
        assert_int_equal(episode[k].step, 4);
    }
    batch_close(&limited);
    batch_close(&free_running);
}

static void a_limit_beyond_the_environments_own_changes_nothing(void **state)
{
    (void)state;
    struct vecenv_config config = config_of(0);
    struct env_batch b;
    config.time_limit = 26;
    open_or_fail(&b, &config);
    assert_int_equal(b.spec->max_steps, 25);
    for (int t = 0; t < 26; t++) {
        step_or_fail(&b);
        assert_int_equal(b.io.ep_end[0], t == 24 ? MAPPO_TRUNCATED : MAPPO_RUNNING);
    }
    batch_close(&b);
}

/* Sums the rewards itself, episode by episode. */
static void episode_statistics_are_sums_of_mean_rewards(void **state)
{
    (void)state;
    struct vecenv_config config = config_of(1);
    struct env_batch b;
    double sum[ENVS][2] = {{0}};
    int32_t length[ENVS] = {0};
    int ended = 0;
    open_or_fail(&b, &config);
    for (int t = 0; t < STEPS; t++) {
        struct episode episode[ENVS];
        batch_act(&b, 3, config.first_env, (uint64_t)t);
        step_or_fail(&b);
        const int count = vecenv_take_episodes(b.env, episode, ENVS);
        int k = 0;
        for (int32_t e = 0; e < ENVS; e++) {
            for (int g = 0; g < 2; g++) {
                const int32_t agents = b.size[g].agents;
                for (int32_t a = 0; a < agents; a++) sum[e][g] += (double)b.io.group[g].reward[e * agents + a] / agents;
            }
            length[e]++;
            if (!b.io.ep_end[e]) continue;
            assert_true(k < count);
            assert_int_equal(episode[k].env, config.first_env + (uint32_t)e);
            assert_int_equal(episode[k].length, length[e]);
            assert_int_equal(episode[k].end, b.io.ep_end[e]);
            for (int g = 0; g < 2; g++) assert_true(fabs((double)episode[k].group_return[g] - sum[e][g]) < 1e-5 * (1 + fabs(sum[e][g])));
            memset(sum[e], 0, sizeof sum[e]);
            length[e] = 0;
            k++;
        }
        assert_int_equal(k, count);
        ended += k;
    }
    assert_true(ended > 3 * ENVS);
    batch_close(&b);
}

static void untaken_episodes_give_way_oldest_first(void **state)
{
    (void)state;
    struct vecenv_config config = config_of(0);
    struct env_batch b;
    config.horizon = 2;
    config.time_limit = 1;
    open_or_fail(&b, &config);
    for (int t = 0; t < 5; t++) step_or_fail(&b);
    struct episode episode[3 * ENVS];
    assert_int_equal(vecenv_take_episodes(b.env, episode, 3 * ENVS), 2 * ENVS);
    assert_int_equal(episode[0].step, 4);
    assert_int_equal(episode[2 * ENVS - 1].step, 5);
    assert_int_equal(vecenv_take_episodes(b.env, episode, 3 * ENVS), 0);
    batch_close(&b);
}

/* ---- threads that stand by -------------------------------------------------------------------------------- */

enum { CREW = 3, PARTS = 7, ROUNDS = 300 };

struct crew_parts {
    int done[PARTS];   /* how often each part was done */
    int thread[PARTS]; /* by whom, last */
};

static void count_part(void *self, int k)
{
    struct crew_parts *s = self;
    s->done[k]++; /* not atomic: a part that two threads do at once is found by the sanitizer, or is lost */
    s->thread[k] = omp_get_thread_num();
}

static int run_less(void *self)
{
    crew_run(PARTS, count_part, self);
    return 42;
}

static int run_none(void *self)
{
    (void)self;
    return crew_attends() ? 0 : 43;
}

static int run_often(void *self)
{
    struct crew_parts *s = self;
    if (!crew_attends()) return -2;
    for (int i = 0; i < ROUNDS; i++) {
        crew_run(PARTS, count_part, s);
        for (int k = 0; k < PARTS; k++)
            if (s->done[k] != i + 1) return -1;                                     /* it came back before all was done */
        if (i % 100 == 50) nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); /* the others fall asleep meanwhile */
    }
    return crew_attend(CREW, run_less, s); /* one crew is enough */
}

static void who_stands_by_does_every_part_once(void **state)
{
    (void)state;
    struct crew_parts s = {{0}, {0}};
    assert_false(crew_attends());
    assert_int_equal(crew_attend(CREW, run_often, &s), 42);
    assert_false(crew_attends());
    for (int k = 0; k < PARTS; k++) {
        assert_int_equal(s.done[k], ROUNDS + 1);
        assert_int_equal(s.thread[k], k % CREW);
    }
    crew_run(PARTS, count_part, &s); /* without a crew: threads of its own */
    assert_int_equal(s.done[PARTS - 1], ROUNDS + 2);
    assert_int_equal(crew_attend(1, run_none, &s), 43);
}

static int play_attended(void *self)
{
    struct env_batch *b = self;
    for (int t = 0; t < STEPS; t++) {
        batch_act(b, 7, 5, (uint64_t)t);
        if (vecenv_step(b->env, &b->io, &b->err)) return b->err.code;
    }
    return 0;
}

static void threads_that_stand_by_change_no_bit_and_report_errors(void **state)
{
    (void)state;
    for (int which = 0; which < NAMES; which++) {
        struct vecenv_config config = config_of(which);
        struct env_batch alone, attended;
        open_or_fail(&alone, &config);
        config.threads = CREW;
        open_or_fail(&attended, &config);
        assert_int_equal(play_attended(&alone), 0);
        assert_int_equal(crew_attend(CREW, play_attended, &attended), 0);
        for (int32_t e = 0; e < ENVS; e++) assert_true(batch_hash(&alone, e) == batch_hash(&attended, e));
        batch_close(&alone);
        batch_close(&attended);
    }
    const struct env_option option[] = {{"fault", "error"}, {"fault_env", "16"}, {"fault_step", "30"}};
    struct vecenv_config config = config_of(1);
    struct env_batch b;
    config.option = option;
    config.options = 3;
    config.threads = CREW;
    open_or_fail(&b, &config);
    assert_int_equal(crew_attend(CREW, play_attended, &b), EXIT_ENVIRONMENT);
    assert_non_null(strstr(b.err.text, "number 16: fault=error at step 30"));
    batch_close(&b);
}

static void info_columns_average_as_they_say(void **state)
{
    (void)state;
    struct vecenv_config config = config_of(1);
    struct env_batch b;
    double answered = 0, survivors = 0, steps = 0, episodes = 0, sum[2], count[2];
    config.threads = 2;
    open_or_fail(&b, &config);
    for (int t = 0; t < STEPS; t++) {
        batch_act(&b, 3, config.first_env, (uint64_t)t);
        step_or_fail(&b);
        for (int32_t e = 0; e < ENVS; e++) {
            answered += (double)b.io.info[2 * e];
            steps++;
            if (!b.io.ep_end[e]) continue;
            survivors += (double)b.io.info[2 * e + 1];
            episodes++;
        }
    }
    vecenv_take_info(b.env, sum, count);
    assert_true(sum[0] == answered && count[0] == steps && sum[1] == survivors && count[1] == episodes && episodes > 0);
    vecenv_take_info(b.env, sum, count);
    assert_true(sum[0] == 0 && count[0] == 0 && sum[1] == 0 && count[1] == 0);
    batch_close(&b);
}

/* The watchers' reward is minus the distance of their first number, bounded by -2 … 2, to the level that they see. */
static void actions_are_clipped_and_rescaled_to_their_bounds(void **state)
{
    (void)state;
    static const float given[4] = {5, -0.5f, 0.25f, -7};
    static const float wanted[4][4] = {
        {5, -0.5f, 0.25f, -7}, {2, -0.5f, 0.25f, -2}, {10, -1, 0.5f, -14}, {2, -1, 0.5f, -2}}; /* raw, clip, rescale, both */
    for (int way = 0; way < 4; way++) {
        struct vecenv_config config = config_of(1);
        struct env_batch b;
        config.clip_action = way & 1;
        config.rescale_action = way & 2;
        open_or_fail(&b, &config);
        const struct mappo_space *report = &b.spec->group[1].act[0];
        assert_true((report->low ? report->low[0] : -2) == (way & 2 ? -1 : -2)); /* what the learner sees */
        for (int k = 0; k < 4; k++) {
            batch_act(&b, 3, config.first_env, (uint64_t)k);
            const float level = b.io.group[1].obs[8];
            b.act_real[1][0] = given[k];
            step_or_fail(&b);
            const float expected = -fabsf(wanted[way][k] - level);
            assert_true(fabsf(b.io.group[1].reward[0] - expected) < 1e-5f * (1 + fabsf(expected)));
        }
        batch_close(&b);
    }
}

static void squashed_actions_stay_within_their_bounds(void **state)
{
    (void)state;
    static const float low[2] = {-3, 1}, high[2] = {5, 2}, given[] = {-20, -1.5f, -1e-3f, 0, 0.25f, 3, 1e30f};
    struct mappo_group group = {.agents = 1, .act_heads = 1, .act = {{.kind = MAPPO_BOX, .size = 2, .low = low, .high = high}}};
    const struct vecenv_config config = {.envs = 1, .squash_action = true, .clip_action = true};
    struct action_wrapper wrapper;
    struct error err = {0};
    assert_int_equal(action_wrapper_create(&wrapper, &config, &group, &err), 0);
    assert_true(group.act[0].low[1] == -INFINITY && group.act[0].high[0] == INFINITY); /* what the learner sees */
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        float act[2] = {given[i], given[i]};
        action_wrapper_apply(&wrapper, act, 0, 1, 2);
        for (int k = 0; k < 2; k++) {
            const float expected = low[k] + (tanhf(given[i]) + 1) / 2 * (high[k] - low[k]);
            assert_true(fabsf(wrapper.changed[k] - expected) < 2e-6f && wrapper.changed[k] >= low[k] && wrapper.changed[k] <= high[k]);
            act[k] = wrapper.changed[k];
        }
        action_wrapper_invert(&wrapper, act, 1, 2); /* of a script: back to what gives the same */
        const float first = wrapper.changed[0];
        action_wrapper_apply(&wrapper, act, 0, 1, 2);
        assert_true(fabsf(wrapper.changed[0] - first) < 1e-4f);
    }
    const float none[2] = {NAN, 0};
    action_wrapper_apply(&wrapper, none, 0, 1, 2);
    assert_true(isnan(wrapper.changed[0]));
    action_wrapper_destroy(&wrapper);
    struct vecenv_config of_sink = config_of(1);
    struct vecenv *env;
    of_sink.squash_action = true;
    assert_int_equal(vecenv_open(&env, &of_sink, &err), EXIT_USAGE);
    assert_non_null(strstr(err.text, "policy.squash=tanh: a real action"));
}

static void scripted_actions_pass_through_rescaling(void **state)
{
    (void)state;
    struct vecenv_config config = config_of(1);
    struct env_batch b;
    config.rescale_action = true;
    open_or_fail(&b, &config);
    assert_true(vecenv_can_script(b.env));
    for (int t = 0; t < 10; t++) {
        assert_int_equal(vecenv_script(b.env, 0, b.envs, &b.io, &b.err), 0);
        step_or_fail(&b);
        for (int32_t e = 0; e < ENVS; e++)
            assert_true(fabsf(b.io.group[1].reward[2 * e]) < 1e-5f); /* the script reports the level exactly */
    }
    batch_close(&b);
}

static void stepping_allocates_nothing(void **state)
{
    (void)state;
    if (!COUNTS_ALLOCATIONS) skip();
    for (int which = 0; which < NAMES; which++) {
        struct vecenv_config config = config_of(which);
        struct env_batch b;
        struct episode episode[ENVS];
        double sum[8], count[8];
        config.threads = 2;
        config.time_limit = 9;
        open_or_fail(&b, &config);
        long before = 0;
        for (int t = 0; t < 40; t++) {
            if (t == 10) before = __atomic_load_n(&allocations, __ATOMIC_RELAXED); /* by then the threads exist */
            batch_act(&b, 3, config.first_env, (uint64_t)t);
            step_or_fail(&b);
            while (vecenv_take_episodes(b.env, episode, ENVS) > 0) continue;
            vecenv_take_info(b.env, sum, count);
        }
        assert_true(before > 0);
        assert_int_equal(__atomic_load_n(&allocations, __ATOMIC_RELAXED), before);
        batch_close(&b);
    }
}

static void statistics_need_no_array_of_the_caller(void **state)
{
    (void)state;
    struct vecenv_config config = config_of(0);
    struct env_batch b;
    struct episode episode[ENVS];
    open_or_fail(&b, &config);
    struct mappo_env_io least = {.struct_size = sizeof least, .groups = 1};
    least.group[0].act_int = b.act_int[0];
    for (int t = 0; t < 25; t++) assert_int_equal(vecenv_step(b.env, &least, &b.err), 0);
    assert_int_equal(vecenv_take_episodes(b.env, episode, ENVS), ENVS);
    assert_true(episode[0].group_return[0] < 0);
    batch_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(one_batch_equals_its_parts),
        cmocka_unit_test(other_seeds_streams_and_indices_draw_other_episodes),
        cmocka_unit_test(ranges_in_two_parts_equal_one_step),
        cmocka_unit_test(snapshot_continues_exactly_where_it_was_taken),
        cmocka_unit_test(snapshot_of_something_else_is_refused),
        cmocka_unit_test(time_limit_truncates_and_keeps_the_last_observation),
        cmocka_unit_test(a_limit_beyond_the_environments_own_changes_nothing),
        cmocka_unit_test(episode_statistics_are_sums_of_mean_rewards),
        cmocka_unit_test(untaken_episodes_give_way_oldest_first),
        cmocka_unit_test(who_stands_by_does_every_part_once),
        cmocka_unit_test(threads_that_stand_by_change_no_bit_and_report_errors),
        cmocka_unit_test(info_columns_average_as_they_say),
        cmocka_unit_test(actions_are_clipped_and_rescaled_to_their_bounds),
        cmocka_unit_test(squashed_actions_stay_within_their_bounds),
        cmocka_unit_test(scripted_actions_pass_through_rescaling),
        cmocka_unit_test(stepping_allocates_nothing),
        cmocka_unit_test(statistics_need_no_array_of_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
