/* Environments on the device against the same on the host: what they show, how their episodes go, statistics, snapshots. Every bit is
 * compared: rules use no function that the two machines round differently (env/float_math.h), and the emulation's libm is another than the
 * host's. */
// timeout: 300
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdio.h>

#include "backend/backend.h"
#include "env/registry.h"
#include "env_batch.h"

enum { ENVS = 70, FIRST = 11, STEPS = 61, HORIZON = 20 };

struct pair {
    struct backend *backend;
    struct env_batch host, device; /* the device's arrays on the host: what was downloaded */
    struct mappo_env_io io;        /* the device's arrays */
    struct repeated recorded;
};

/* All slices but actions. */
typedef void with_slice(struct pair *p, const struct slice *slice);
static void each_slice(struct pair *p, with_slice *with)
{
    for (int i = 0; i < p->host.slices.count; i++)
        if (p->host.slices.slice[i].written != SLICE_ACTION) with(p, &p->host.slices.slice[i]);
}

static void download(struct pair *p, const struct slice *slice)
{
    p->backend->download(p->backend, slice_array(&p->device.io, slice), slice_array(&p->io, slice), slice->bytes * (size_t)p->host.envs);
}

static void compare(struct pair *p, const struct slice *slice)
{
    const char *a = slice_array(&p->host.io, slice), *b = slice_array(&p->device.io, slice);
    const size_t all = slice->width * (size_t)p->host.envs;
    if (!memcmp(a, b, slice->bytes * (size_t)p->host.envs)) return;
    for (size_t i = 0; i < all; i++) {
        const double x = slice->is_float ? (double)((const float *)a)[i] : (double)a[i];
        const double y = slice->is_float ? (double)((const float *)b)[i] : (double)b[i];
        if (x == y || (isnan(x) && isnan(y))) continue;
        fail_msg("%s, number %zu of all: %.9g on the host, %.9g on the device", slice->name, i, x, y);
    }
}

/* On both sides: what one of them doesn't write is then not what the other wrote a step before. */
static void poison(struct pair *p, const struct slice *slice)
{
    memset(slice_array(&p->host.io, slice), 0xFF, slice->bytes * (size_t)p->host.envs);
    p->backend->upload(p->backend, slice_array(&p->io, slice), slice_array(&p->host.io, slice), slice->bytes * (size_t)p->host.envs);
}

static void compare_observation(struct pair *p, const struct slice *slice)
{
    if (slice->written == SLICE_OBSERVATION) compare(p, slice);
}

static void pair_open(struct pair *p, struct vecenv_config config)
{
    struct error err = {0};
    const struct backend_config wanted = {.name = "cuda", .threads = 1, .level = -1, .device = -1, .graphs = true};
    char why[256] = "";
    memset(p, 0, sizeof *p);
    if (backend_open(&p->backend, &wanted, &err)) fail_msg("%s", err.text);
    if (batch_open(&p->host, &config)) fail_msg("%s", p->host.err.text);
    if (batch_open(&p->device, &config)) fail_msg("%s", p->device.err.text);
    if (!vecenv_attach(p->device.env, p->backend->environments, p->backend, why, sizeof why)) fail_msg("%s", why);
    assert_true(vecenv_on_device(p->device.env));
    p->io = (struct mappo_env_io){.struct_size = sizeof p->io, .groups = p->host.spec->groups};
    for (int i = 0; i < p->host.slices.count; i++) {
        const struct slice *slice = &p->host.slices.slice[i];
        slice_point(&p->io, slice, p->backend->alloc(p->backend, "test", slice->bytes * (size_t)p->host.envs));
    }
}

static void pair_close(struct pair *p)
{
    for (int i = 0; i < p->host.slices.count; i++) p->backend->free(p->backend, slice_array(&p->io, &p->host.slices.slice[i]));
    backend_forget(p->backend, &p->recorded);
    batch_close(&p->host);
    batch_close(&p->device);
    p->backend->close(p->backend);
}

/* Both see the same after a reset. */
static void pair_reset(struct pair *p)
{
    assert_int_equal(vecenv_reset(p->host.env, &p->host.io, &p->host.err), 0);
    assert_int_equal(vecenv_reset(p->device.env, &p->io, &p->device.err), 0);
    each_slice(p, download);
    each_slice(p, compare_observation);
}

/* One step with random actions; `recorded`: made by replaying. */
static void pair_step(struct pair *p, uint64_t step, bool recorded)
{
    batch_act(&p->host, 3, FIRST, step);
    each_slice(p, poison);
    for (int i = 0; i < p->host.slices.count; i++) {
        const struct slice *slice = &p->host.slices.slice[i];
        if (slice->written != SLICE_ACTION) continue;
        p->backend->upload(p->backend, slice_array(&p->io, slice), slice_array(&p->host.io, slice), slice->bytes * (size_t)p->host.envs);
    }
    if (vecenv_step(p->host.env, &p->host.io, &p->host.err)) fail_msg("%s", p->host.err.text);
    if (!recorded || !backend_replayed(p->backend, &p->recorded)) {
        assert_int_equal(vecenv_step(p->device.env, &p->io, &p->device.err), 0);
        if (recorded) backend_recorded(p->backend, &p->recorded);
    }
    each_slice(p, download);
    each_slice(p, compare);
}

static void expect_same(const char *what, double a, double b)
{
    if (a != b) fail_msg("%s: %.17g on the host, %.17g on the device", what, a, b);
}

static int compare_reports(struct pair *p)
{
    vecenv_report_begin(p->host.env);
    vecenv_report_begin(p->device.env);
    p->backend->sync(p->backend);
    const struct env_report host = vecenv_report_end(p->host.env), device = vecenv_report_end(p->device.env);
    const struct episode *a = host.episode, *b = device.episode;
    const int count = host.listed, infos = p->host.spec->infos;
    assert_int_equal(device.listed, count);
    assert_true(host.ended == device.ended);
    for (int i = 0; i < count; i++) {
        assert_int_equal(b[i].step, a[i].step);
        assert_int_equal(b[i].env, a[i].env);
        assert_int_equal(b[i].length, a[i].length);
        assert_int_equal(b[i].end, a[i].end);
        for (int g = 0; g < MAPPO_MAX_GROUPS; g++) expect_same("return", (double)a[i].group_return[g], (double)b[i].group_return[g]);
    }
    for (int k = 0; k < infos; k++) {
        assert_true(host.info[infos + k] == device.info[infos + k]);
        expect_same(p->host.spec->info[k].name, host.info[k], device.info[k]);
    }
    return (int)host.ended;
}

static void compare_snapshots(struct pair *p)
{
    const size_t bytes = vecenv_snapshot_bytes(p->host.env);
    unsigned char *a = malloc(bytes + 1), *b = malloc(bytes + 1);
    assert_true(a && b);
    for (int32_t e = 0; e < p->host.envs; e++) {
        assert_int_equal(vecenv_snapshot(p->host.env, e, e + 1, a, &p->host.err), 0);
        assert_int_equal(vecenv_snapshot(p->device.env, e, e + 1, b, &p->device.err), 0);
        if (memcmp(a, b, bytes)) fail_msg("the snapshots of environment %d differ", e);
    }
    free(a);
    free(b);
}

/* ---- promises ------------------------------------------------------------------------------------------------------------------------ */

static struct vecenv_config config_of(const char *name, const struct env_option *option, int options)
{
    return (struct vecenv_config){.name = name,
                                  .option = option,
                                  .options = options,
                                  .envs = ENVS,
                                  .first_env = FIRST,
                                  .seed = 5,
                                  .stream = PHILOX_ENVIRONMENT,
                                  .threads = 1,
                                  .horizon = HORIZON,
                                  .report = ENVS, /* fewer than end in HORIZON steps */
                                  .clip_action = true};
}

static void play(const struct vecenv_config *config)
{
    struct pair p;
    int episodes = 0;
    pair_open(&p, *config);
    pair_reset(&p);
    for (int t = 0; t < STEPS; t++) {
        pair_step(&p, (uint64_t)t, t % 3 != 0);
        if (t % HORIZON == HORIZON - 1) episodes += compare_reports(&p);
        if (t == STEPS / 2) compare_snapshots(&p);
    }
    episodes += compare_reports(&p);
    assert_true(episodes > 0);
    compare_snapshots(&p);
    pair_close(&p);
}

static void every_kind_of_simple_spread_is_the_host_s(void **state)
{
    (void)state;
    static const struct env_option kinds[][3] = {
        {{"rules", "on-policy"}, {"N", "3"}, {"max_cycles", "25"}},
        {{"rules", "mpe2"}, {"N", "1"}, {"terminate_on_success", "1"}},
        {{"rules", "on-policy"}, {"N", "6"}, {"max_cycles", "7"}},
        {{"rules", "mpe2"}, {"continuous_actions", "1"}, {"local_ratio", "0.3"}},
        {{"num_agent_neighbors", "2"}, {"num_landmark_neighbors", "1"}, {"N", "4"}},
        {{"rules", "mpe2"}, {"N", "20"}, {"max_cycles", "30"}}, /* more than shared memory has room for */
    };
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const struct vecenv_config config = config_of("mpe/simple_spread", kinds[k], 3);
        play(&config);
    }
}

static void options_of_the_other_particle_environments_are_the_host_s(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct env_option option[3];
    } kinds[] = {
        {"mpe/simple_reference", {{"rules", "openai"}, {"soft_actions", "0"}, {"max_cycles", "9"}}},
        {"mpe/simple_reference", {{"rules", "on-policy"}, {"soft_actions", "1"}, {"max_cycles", "25"}}},
        {"mpe/simple_adversary", {{"N", "4"}, {"num_agent_neighbors", "2"}, {"num_landmark_neighbors", "5"}}},
        {"mpe/simple_tag", {{"num_good", "3"}, {"terminate_on_success", "1"}, {"num_agent_neighbors", "7"}}},
        {"mpe/simple_world_comm", {{"num_adversaries", "1"}, {"num_forests", "3"}, {"continuous_actions", "1"}}},
        {"mpe/collect_treasure", {{"num_collectors", "9"}, {"num_deposits", "6"}, {"num_treasures", "20"}}},
        {"mpe/collect_treasure", {{"num_collectors", "3"}, {"soft_actions", "1"}, {"num_treasures", "64"}}},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const struct vecenv_config config = config_of(kinds[k].name, kinds[k].option, 3);
        play(&config);
    }
}

static void a_single_agent_is_the_host_s(void **state)
{
    (void)state;
    static const struct env_option single[] = {{"scene", "single"}};
    const struct vecenv_config config = config_of("test/kitchen_sink", single, 1);
    play(&config);
}

/* Agents a thread: a block's rows are all that shared memory has room for, some of them, or none. */
static void wide_rows_large_rules_and_tables_are_the_host_s(void **state)
{
    (void)state;
    static const struct env_option kinds[][3] = {
        {{"walkers", "24"}, {"sight", "6"}, {"state", "places"}},  /* rows of 340 numbers: 36 in a block */
        {{"walkers", "5"}, {"sight", "1"}, {"state", "all_obs"}},  /* of 20 */
        {{"walkers", "2"}, {"sight", "60"}, {"max_steps", "3"}},   /* of 29284: 117 KB */
        {{"walkers", "130"}, {"sight", "0"}, {"state", "places"}}, /* copies of 1 KB */
    };
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct vecenv_config config = config_of("test/wide", kinds[k], 3);
        if (k == 2) config.envs = 5;
        config.time_limit = k == 1 ? 7 : 0;
        play(&config);
    }
}

static void grid_worlds_of_other_options_are_the_host_s(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct env_option option[3];
    } kinds[] = {
        {"lbf/15x15-4p-5f", {{"sight", "3"}, {"grid_observation", "1"}, {"limit", "upstream"}}}, /* rows of 147, one an agent */
        {"lbf/8x8-2p-3f", {{"force_coop", "1"}, {"penalty", "0.1"}, {"mask", "0"}}},
        {"rware/tiny-4ag", {{"reward_type", "two_stage"}, {"msg_bits", "2"}, {"max_inactivity_steps", "9"}}},
        {"rware/large-8ag", {{"reward_type", "global"}, {"sensor_range", "2"}, {"max_steps", "25"}}}, /* copies of kilobytes */
        {"riddle/switch", {{"num_agents", "30"}, {"limit", "truncate"}, {"initial_bulb_state", "1"}}},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct vecenv_config config = config_of(kinds[k].name, kinds[k].option, 3);
        config.time_limit = STEPS / 3;
        play(&config);
    }
}

/* Of all that are built in, those that have kernels; what the host does is looked at by tests/unit/test_env_check.c. */
static void every_environment_with_kernels_is_the_host_s(void **state)
{
    (void)state;
    int played = 0;
    for (int i = 0; i < registry_count(); i++) {
        struct vecenv_config config = config_of(registry_at(i)->id, NULL, 0);
        if (!registry_has_kernels(i)) continue;
        config.time_limit = STEPS / 2; /* some episodes end */
        play(&config);
        played++;
    }
    assert_true(played >= 2);
}

/* The largest has rows of 738 numbers and copies of 2.5 KB. */
static void maps_of_smax_are_the_host_s(void **state)
{
    (void)state;
    static const char *const maps[] = {"smax/3m", "smax/2s3z", "smax/smacv2_5_units", "smax/27m_vs_30m"};
    for (size_t k = 0; k < sizeof maps / sizeof *maps; k++) {
        const struct env_variant *variant = registry_variant(maps[k]);
        assert_non_null(variant);
        struct vecenv_config config = config_of(variant->base, variant->option, variant->options);
        if (k == 3) config.envs = 5;
        config.time_limit = STEPS / 2;
        play(&config);
    }
}

/* Images of 1,170 numbers; hands and beliefs of 783 and 1,280. */
static void wide_games_are_the_host_s(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct env_option option[3];
    } kinds[] = {
        {"overcooked/kitchen", {{"layout", "asymm_advantages"}, {"shaped_until", "40"}, {"max_steps", "50"}}},
        {"overcooked/kitchen", {{"layout", "counter_circuit"}, {"random_reset", "1"}, {"limit", "upstream"}}},
        {"hanabi/game", {{"num_agents", "5"}, {"num_colors", "6"}, {"max_info_tokens", "4"}}},
        {"hanabi/game", {{"num_colors", "2"}, {"hand_size", "2"}, {"max_life_tokens", "1"}}},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct vecenv_config config = config_of(kinds[k].name, kinds[k].option, 3);
        config.envs = 9;
        config.time_limit = STEPS / 2;
        play(&config);
    }
}

static void time_limits_and_rescaled_actions_are_the_host_s(void **state)
{
    (void)state;
    static const struct env_option continuous[] = {{"continuous_actions", "1"}, {"N", "2"}};
    struct vecenv_config config = config_of("mpe/simple_spread", continuous, 2);
    config.time_limit = 9;
    config.rescale_action = true;
    play(&config);
    config = config_of("test/kitchen_sink", NULL, 0);
    config.time_limit = 7;
    config.rescale_action = true;
    play(&config);
}

static void restored_environments_go_on_as_they_would_have(void **state)
{
    (void)state;
    static unsigned char saved[ENVS][2048];
    const struct vecenv_config config = config_of("test/kitchen_sink", NULL, 0);
    struct pair p;
    pair_open(&p, config);
    pair_reset(&p);
    for (int t = 0; t < 10; t++) pair_step(&p, (uint64_t)t, true);
    assert_true(vecenv_snapshot_bytes(p.host.env) <= sizeof saved[0]);
    for (int32_t e = 0; e < ENVS; e++) assert_int_equal(vecenv_snapshot(p.device.env, e, e + 1, saved[e], &p.device.err), 0);
    for (int t = 10; t < 15; t++) pair_step(&p, (uint64_t)t, true);
    for (int32_t e = 0; e < ENVS; e += 2) { /* every second one, on both sides: the others stay where they are */
        assert_int_equal(vecenv_restore(p.host.env, e, e + 1, saved[e], &p.host.err), 0);
        assert_int_equal(vecenv_restore(p.device.env, e, e + 1, saved[e], &p.device.err), 0);
    }
    compare_snapshots(&p);
    assert_int_equal(vecenv_observe(p.host.env, &p.host.io, &p.host.err), 0);
    assert_int_equal(vecenv_observe(p.device.env, &p.io, &p.device.err), 0);
    each_slice(&p, download);
    each_slice(&p, compare_observation);
    for (int t = 15; t < STEPS; t++) pair_step(&p, (uint64_t)t, true);
    pair_close(&p);
}

static void statistics_need_no_array_of_the_caller(void **state)
{
    (void)state;
    const struct vecenv_config config = config_of("mpe/simple_spread", NULL, 0);
    struct pair p;
    pair_open(&p, config);
    pair_reset(&p);
    struct mappo_env_io io = p.io;
    io.info = NULL;
    io.ep_end = NULL;
    io.group[0].reward = NULL;
    io.group[0].obs = NULL;
    for (int t = 0; t < HORIZON + 6; t++) { /* the same actions on both sides */
        assert_int_equal(vecenv_step(p.host.env, &p.host.io, &p.host.err), 0);
        assert_int_equal(vecenv_step(p.device.env, &io, &p.device.err), 0);
    }
    assert_true(compare_reports(&p) > 0);
    compare_snapshots(&p);
    pair_close(&p);
}

static void environments_without_kernels_stay_on_the_host(void **state)
{
    (void)state;
    static const struct env_option slow[] = {{"delay_ms", "0.001"}};
    const struct vecenv_config config = config_of("test/kitchen_sink", slow, 1);
    struct vecenv *env;
    struct error err = {0};
    char why[256] = "";
    assert_int_equal(vecenv_open(&env, &config, &err), 0);
    assert_false(vecenv_attach(env, NULL, NULL, why, sizeof why));
    assert_string_equal(why, "test/kitchen_sink: this backend steps no environments");
    struct backend *backend;
    const struct backend_config wanted = {.name = "cuda", .threads = 1, .level = -1, .device = -1};
    assert_int_equal(backend_open(&backend, &wanted, &err), 0);
    assert_false(vecenv_attach(env, backend->environments, backend, why, sizeof why));
    assert_non_null(strstr(why, "don't know these options"));
    assert_false(vecenv_on_device(env));
    vecenv_close(env);
    backend->close(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_simple_spread_is_the_host_s),
        cmocka_unit_test(options_of_the_other_particle_environments_are_the_host_s),
        cmocka_unit_test(every_environment_with_kernels_is_the_host_s),
        cmocka_unit_test(grid_worlds_of_other_options_are_the_host_s),
        cmocka_unit_test(maps_of_smax_are_the_host_s),
        cmocka_unit_test(wide_games_are_the_host_s),
        cmocka_unit_test(a_single_agent_is_the_host_s),
        cmocka_unit_test(wide_rows_large_rules_and_tables_are_the_host_s),
        cmocka_unit_test(time_limits_and_rescaled_actions_are_the_host_s),
        cmocka_unit_test(restored_environments_go_on_as_they_would_have),
        cmocka_unit_test(statistics_need_no_array_of_the_caller),
        cmocka_unit_test(environments_without_kernels_stay_on_the_host),
    };
    return cmocka_run_group_tests_name("env_cuda", tests, NULL, NULL);
}
