/* A place that the program does not have: environments that step in two child processes. Nothing but its table (env/place.h) says so, and
 * whoever steps them, saves them or learns from them notices nothing. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "algo/algorithm.h"
#include "algo/rollout.h"
#include "base/text.h"
#include "env/place.h"
#include "env_batch.h"
#include "policies_hash.h"

enum { WORKERS = 2, ENVS = 11, STEPS = 60, MEMORY = 16 << 20 };

/* ---- the place ----------------------------------------------------------------------------------------------------------------------- */

enum call { CALL_RESET, CALL_OBSERVE, CALL_STEP, CALL_SNAPSHOT, CALL_RESTORE, CALL_INFO, CALL_CLOSE };

struct order {
    int call;
    int32_t lo, hi;
    struct mappo_env_io io;
};

struct answer {
    int code;
    char text[512];
};

struct worker {
    pid_t process;
    int orders[2], answers[2]; /* pipes */
    int32_t first, count;
    struct vecenv *part;
};

struct processes {
    struct worker worker[WORKERS];
    struct vecenv *like; /* one environment, to look at */
    size_t snapshot_bytes;
    uint32_t first_env;
    int steps; /* orders to step that were given */
    /* Shared with the workers, at the same addresses: */
    char *memory;
    size_t taken;
    uint8_t *ended;           /* [E] */
    struct episode *last;     /* [E] */
    double *info;             /* [WORKERS][2][infos] */
    unsigned char *snapshots; /* [E][snapshot_bytes] */
};

static void *processes_memory(void *self, size_t bytes)
{
    struct processes *p = self;
    char *from = p->memory + p->taken;
    p->taken += (bytes + 63) / 64 * 64;
    assert_true(p->taken <= MEMORY);
    return from;
}

static int worker_steps(struct processes *p, const struct worker *w, int32_t lo, int32_t hi, const struct mappo_env_io *io,
                        struct error *err)
{
    struct episode episode;
    int code = vecenv_step_begin(w->part, lo, hi, io, err);
    if (!code) code = vecenv_step_end(w->part, lo, hi, err);
    while (!code && vecenv_take_episodes(w->part, &episode, 1) == 1) {
        p->last[episode.env - p->first_env] = episode;
        p->ended[episode.env - p->first_env] = 1;
    }
    return code;
}

/* What of an order is this worker's. */
static int worker_obeys(struct processes *p, struct worker *w, const struct order *order, struct error *err)
{
    const struct mappo_env_spec *spec = vecenv_spec(w->part);
    const int32_t lo = order->lo > w->first ? order->lo - w->first : 0;
    const int32_t hi = order->hi < w->first + w->count ? order->hi - w->first : w->count;
    unsigned char *snapshots = p->snapshots + (size_t)(w->first + lo) * p->snapshot_bytes;
    double *info = p->info + (w - p->worker) * 2 * spec->infos;
    struct slice_strides strides;
    struct mappo_env_io io;
    if (lo >= hi) return 0;
    slice_strides_of(&strides, spec);
    slices_at(&io, &order->io, &strides, spec->groups, w->first);
    if (order->call == CALL_RESET) return vecenv_reset(w->part, &io, err);
    if (order->call == CALL_OBSERVE) return vecenv_observe(w->part, &io, err);
    if (order->call == CALL_STEP) return worker_steps(p, w, lo, hi, &io, err);
    if (order->call == CALL_SNAPSHOT) return vecenv_snapshot(w->part, lo, hi, snapshots, err);
    if (order->call == CALL_RESTORE) return vecenv_restore(w->part, lo, hi, snapshots, err);
    if (order->call == CALL_INFO) vecenv_take_info(w->part, info, info + spec->infos);
    return 0;
}

static void worker_runs(struct processes *p, struct worker *w)
{
    for (struct order order = {.call = CALL_RESET}; order.call != CALL_CLOSE;) {
        struct error err = {0};
        struct answer answer;
        if (read(w->orders[0], &order, sizeof order) != sizeof order) _exit(1);
        answer.code = worker_obeys(p, w, &order, &err);
        text_format(answer.text, sizeof answer.text, "%s", err.text);
        if (write(w->answers[1], &answer, sizeof answer) != sizeof answer) _exit(1);
    }
    vecenv_close(w->part);
    _exit(0);
}

static void submit(struct processes *p, int call, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    struct order order = {.call = call, .lo = lo, .hi = hi};
    if (io) order.io = *io;
    for (int k = 0; k < WORKERS; k++) assert_int_equal(write(p->worker[k].orders[1], &order, sizeof order), sizeof order);
}

static int await(struct processes *p, struct error *err)
{
    int code = 0;
    for (int k = 0; k < WORKERS; k++) {
        struct answer answer;
        assert_int_equal(read(p->worker[k].answers[0], &answer, sizeof answer), sizeof answer);
        if (answer.code && !code) code = error_set(err, answer.code, "%s", answer.text);
    }
    return code;
}

static int processes_reset(void *self, const struct mappo_env_io *io, struct error *err)
{
    submit(self, CALL_RESET, 0, INT32_MAX, io);
    return await(self, err);
}

static int processes_observe(void *self, const struct mappo_env_io *io, struct error *err)
{
    submit(self, CALL_OBSERVE, 0, INT32_MAX, io);
    return await(self, err);
}

static int processes_step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    struct processes *p = self;
    (void)err;
    p->steps++;
    submit(p, CALL_STEP, lo, hi, io);
    return 0;
}

static int processes_wait(void *self, int32_t lo, int32_t hi, struct error *err)
{
    (void)lo, (void)hi; /* they answer in the order of their orders, which is that in which ranges are waited for */
    return await(self, err);
}

static int processes_snapshot(void *self, int32_t lo, int32_t hi, void *bytes, struct error *err)
{
    struct processes *p = self;
    submit(p, CALL_SNAPSHOT, lo, hi, NULL);
    const int code = await(p, err);
    memcpy(bytes, p->snapshots + (size_t)lo * p->snapshot_bytes, (size_t)(hi - lo) * p->snapshot_bytes);
    return code;
}

static int processes_restore(void *self, int32_t lo, int32_t hi, const void *bytes, struct error *err)
{
    struct processes *p = self;
    memcpy(p->snapshots + (size_t)lo * p->snapshot_bytes, bytes, (size_t)(hi - lo) * p->snapshot_bytes);
    submit(p, CALL_RESTORE, lo, hi, NULL);
    return await(p, err);
}

static void processes_take_info(void *self, double *sum, double *count)
{
    struct processes *p = self;
    struct error err = {0};
    const int infos = vecenv_spec(p->like)->infos;
    submit(p, CALL_INFO, 0, INT32_MAX, NULL);
    assert_int_equal(await(p, &err), 0);
    for (int k = 0; k < infos; k++) {
        sum[k] = p->info[k] + p->info[2 * infos + k];
        count[k] = p->info[infos + k] + p->info[3 * infos + k];
    }
}

static void processes_close(void *self)
{
    struct processes *p = self;
    struct error err = {0};
    submit(p, CALL_CLOSE, 0, 0, NULL);
    assert_int_equal(await(p, &err), 0);
    for (int k = 0; k < WORKERS; k++) {
        int status;
        assert_int_equal(waitpid(p->worker[k].process, &status, 0), p->worker[k].process);
        assert_int_equal(status, 0);
        close(p->worker[k].orders[1]);
        close(p->worker[k].answers[0]);
    }
    vecenv_close(p->like);
    munmap(p->memory, MEMORY);
    p->memory = NULL;
}

static const struct env_place_ops child_processes = {.why_fixed = "child processes step it",
                                                     .close = processes_close,
                                                     .reset = processes_reset,
                                                     .observe = processes_observe,
                                                     .step = processes_step,
                                                     .wait = processes_wait,
                                                     .snapshot = processes_snapshot,
                                                     .restore = processes_restore,
                                                     .take_info = processes_take_info,
                                                     .memory = processes_memory};

static void start_worker(struct processes *p, int k, const struct vecenv_config *config)
{
    struct worker *w = &p->worker[k];
    w->first = config->envs * k / WORKERS;
    w->count = config->envs * (k + 1) / WORKERS - w->first;
    assert_int_equal(pipe(w->orders), 0);
    assert_int_equal(pipe(w->answers), 0);
    w->process = fork();
    assert_true(w->process >= 0);
    if (w->process == 0) {
        struct vecenv_config part = *config;
        struct error err;
        for (int i = 0; i <= k; i++) close(p->worker[i].orders[1]); /* or it would never see that the test is gone */
        part.envs = w->count;
        part.first_env += (uint32_t)w->first;
        if (vecenv_open(&w->part, &part, &err)) _exit(1);
        worker_runs(p, w);
    }
    close(w->orders[0]);
    close(w->answers[1]);
}

/* config->threads = 1: a process that forked has no others. */
static void open_processes(struct processes *p, struct vecenv **env, const struct vecenv_config *config)
{
    struct error err = {0};
    struct vecenv_config one = *config;
    one.envs = 1;
    *p = (struct processes){.first_env = config->first_env};
    if (vecenv_open(&p->like, &one, &err)) fail_msg("%s", err.text);
    const size_t envs = (size_t)config->envs, infos = (size_t)vecenv_spec(p->like)->infos;
    p->snapshot_bytes = vecenv_snapshot_bytes(p->like);
    p->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(p->memory != MAP_FAILED);
    p->ended = processes_memory(p, envs);
    p->last = processes_memory(p, envs * sizeof *p->last);
    p->info = processes_memory(p, WORKERS * 2 * infos * sizeof *p->info);
    p->snapshots = processes_memory(p, envs * p->snapshot_bytes);
    for (int k = 0; k < WORKERS; k++) start_worker(p, k, config);
    const struct env_place place = {.ops = &child_processes, .self = p, .ended = p->ended, .last = p->last};
    assert_int_equal(vecenv_join(env, &place, p->like, config, &err), 0);
}

/* ---- stepping ------------------------------------------------------------------------------------------------------------------------ */

static const struct vecenv_config kitchen_sink = {.name = "test/kitchen_sink",
                                                  .envs = ENVS,
                                                  .first_env = 5,
                                                  .seed = 42,
                                                  .stream = PHILOX_ENVIRONMENT,
                                                  .threads = 1,
                                                  .horizon = STEPS,
                                                  .report = 7,
                                                  .time_limit = 9,
                                                  .rescale_action = true};

struct pair { /* the same environments, here and in the workers */
    struct processes processes;
    struct env_batch here, there;
};

static void pair_open(struct pair *p, const struct vecenv_config *config)
{
    struct vecenv *env;
    open_processes(&p->processes, &env, config);
    if (batch_around(&p->there, env)) fail_msg("%s", p->there.err.text);
    if (batch_open(&p->here, config)) fail_msg("%s", p->here.err.text);
}

static void pair_close(struct pair *p)
{
    batch_close(&p->here);
    batch_close(&p->there);
    assert_null(p->processes.memory); /* the vecenv has closed its place */
}

static void compare_sight(const struct pair *p)
{
    for (int32_t e = 0; e < ENVS; e++)
        if (batch_hash(&p->here, e) != batch_hash(&p->there, e)) fail_msg("environment %d shows something else", e);
}

/* Two ranges are on their way at the same time there. */
static void pair_step(struct pair *p, uint64_t step)
{
    struct env_batch *there = &p->there;
    batch_act(&p->here, 7, kitchen_sink.first_env, step);
    batch_act(there, 7, kitchen_sink.first_env, step);
    assert_int_equal(vecenv_step(p->here.env, &p->here.io, &p->here.err), 0);
    assert_int_equal(vecenv_step_begin(there->env, 0, 4, &there->io, &there->err), 0);
    assert_int_equal(vecenv_step_begin(there->env, 4, ENVS, &there->io, &there->err), 0);
    assert_int_equal(vecenv_step_end(there->env, 0, 4, &there->err), 0);
    assert_int_equal(vecenv_step_end(there->env, 4, ENVS, &there->err), 0);
    compare_sight(p);
}

static void another_place_gives_the_same_bits(void **state)
{
    (void)state;
    static struct pair p;
    pair_open(&p, &kitchen_sink);
    compare_sight(&p);
    for (int t = 0; t < STEPS; t++) pair_step(&p, (uint64_t)t);
    assert_int_equal(p.processes.steps, 2 * STEPS);
    assert_true(vecenv_identity(p.here.env) == vecenv_identity(p.there.env));
    assert_string_equal(vecenv_options(p.here.env), vecenv_options(p.there.env));
    pair_close(&p);
}

static void another_place_reports_what_ended(void **state)
{
    (void)state;
    static struct pair p;
    struct episode here, there;
    pair_open(&p, &kitchen_sink);
    for (int t = 0; t < STEPS / 2; t++) pair_step(&p, (uint64_t)t);
    for (int ended = 0; vecenv_take_episodes(p.here.env, &here, 1) == 1; ended++) {
        assert_int_equal(vecenv_take_episodes(p.there.env, &there, 1), 1);
        assert_true(here.step == there.step && here.env == there.env && here.length == there.length && here.end == there.end);
        assert_memory_equal(here.group_return, there.group_return, sizeof here.group_return);
        assert_true(here.length <= kitchen_sink.time_limit);
        if (ended == ENVS) break;
    }
    for (int t = STEPS / 2; t < STEPS; t++) pair_step(&p, (uint64_t)t);
    vecenv_report_begin(p.here.env);
    vecenv_report_begin(p.there.env);
    const struct env_report a = vecenv_report_end(p.here.env), b = vecenv_report_end(p.there.env);
    assert_true(a.ended > a.listed && a.listed == kitchen_sink.report);
    assert_true(a.ended == b.ended && a.listed == b.listed);
    assert_memory_equal(a.episode, b.episode, (size_t)a.listed * sizeof *a.episode);
    for (int k = 0; k < 2 * p.here.spec->infos; k++) /* sums in double, of two parts there */
        if (fabs(a.info[k] - b.info[k]) > 1e-12 * fabs(a.info[k])) fail_msg("sum %d of infos is %.17g, not %.17g", k, b.info[k], a.info[k]);
    pair_close(&p);
}

static void snapshots_pass_from_place_to_place(void **state)
{
    (void)state;
    static struct pair p;
    pair_open(&p, &kitchen_sink);
    const size_t bytes = vecenv_snapshot_bytes(p.here.env);
    unsigned char *here = calloc(ENVS, bytes), *there = calloc(ENVS, bytes);
    for (int t = 0; t < 12; t++) pair_step(&p, (uint64_t)t);
    assert_int_equal(vecenv_snapshot(p.here.env, 0, ENVS, here, &p.here.err), 0);
    assert_int_equal(vecenv_snapshot(p.there.env, 0, ENVS, there, &p.there.err), 0);
    assert_memory_equal(here, there, ENVS * bytes);
    for (int t = 12; t < 20; t++) pair_step(&p, (uint64_t)t);
    /* Some of both parts, on either side what the other one gave. */
    assert_int_equal(vecenv_restore(p.here.env, 2, 9, there + 2 * bytes, &p.here.err), 0);
    assert_int_equal(vecenv_restore(p.there.env, 2, 9, here + 2 * bytes, &p.there.err), 0);
    assert_int_equal(vecenv_observe(p.here.env, &p.here.io, &p.here.err), 0);
    assert_int_equal(vecenv_observe(p.there.env, &p.there.io, &p.there.err), 0);
    compare_sight(&p);
    for (int t = 20; t < STEPS; t++) pair_step(&p, (uint64_t)t);
    here[3 * bytes] ^= 1; /* the guard */
    assert_int_equal(vecenv_restore(p.there.env, 0, ENVS, here, &p.there.err), EXIT_CHECKPOINT);
    assert_non_null(strstr(p.there.err.text, "the snapshot belongs to another environment"));
    free(here);
    free(there);
    pair_close(&p);
}

static void what_a_place_lacks_is_refused(void **state)
{
    (void)state;
    static struct pair p;
    char why[128];
    pair_open(&p, &kitchen_sink);
    assert_false(vecenv_on_device(p.there.env));
    assert_true(vecenv_owns_memory(p.there.env));
    assert_false(vecenv_owns_memory(p.here.env));
    assert_false(vecenv_attach(p.there.env, NULL, NULL, why, sizeof why));
    assert_string_equal(why, "test/kitchen_sink: child processes step it");
    assert_true(vecenv_can_script(p.here.env));
    assert_false(vecenv_can_script(p.there.env));
    assert_int_equal(vecenv_script(p.there.env, 0, p.there.envs, &p.there.io, &p.there.err), EXIT_USAGE);
    pair_close(&p);
}

static void a_fault_elsewhere_is_told_in_the_same_words(void **state)
{
    (void)state;
    static const struct env_option fault[] = {{"fault", "nan_obs"}, {"fault_env", "13"}, {"fault_step", "6"}};
    static struct pair p;
    struct vecenv_config config = kitchen_sink;
    config.option = fault;
    config.options = 3;
    pair_open(&p, &config);
    int here = 0, there = 0;
    for (int t = 0; t < STEPS && !here && !there; t++) {
        batch_act(&p.here, 7, config.first_env, (uint64_t)t);
        batch_act(&p.there, 7, config.first_env, (uint64_t)t);
        here = vecenv_step(p.here.env, &p.here.io, &p.here.err);
        there = vecenv_step(p.there.env, &p.there.io, &p.there.err);
    }
    assert_int_equal(here, EXIT_NUMERICAL);
    assert_int_equal(there, EXIT_NUMERICAL);
    assert_string_equal(p.here.err.text, p.there.err.text);
    pair_close(&p);
}

/* ---- learning ------------------------------------------------------------------------------------------------------------------------ */

/* Hash of the parameters after some updates. */
static uint64_t learn(const char *name, bool elsewhere)
{
    static struct config config;
    struct processes processes;
    struct vecenv *env;
    struct backend *backend;
    struct comm *comm;
    struct algorithm *algorithm;
    struct error err = {0};
    int argc = 0;
    char **argv = NULL;
    config_defaults(&config);
    static const char *const keys[][2] = {{"rollout.envs", "11"}, {"rollout.steps", "12"}, {"ppo.epochs", "2"}, {"ppo.minibatches", "3"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_int_equal(config_set(&config, keys[i][0], keys[i][1], ORIGIN_COMMAND_LINE, "in a test", &err), 0);
    const struct vecenv_config wanted = {.name = name,
                                         .envs = ENVS,
                                         .seed = (uint64_t)config.train_seed,
                                         .stream = PHILOX_ENVIRONMENT,
                                         .threads = 1,
                                         .horizon = (int32_t)config.rollout_steps,
                                         .clip_action = true};
    if (elsewhere)
        open_processes(&processes, &env, &wanted);
    else
        assert_int_equal(vecenv_open(&env, &wanted, &err), 0);
    const struct backend_config cpu = {.name = "cpu", .threads = 1, .level = -1};
    assert_int_equal(backend_open(&backend, &cpu, &err), 0);
    assert_int_equal(comm_open(&comm, &argc, &argv, &err), 0);
    struct policies *policies;
    assert_int_equal(algorithm_policies(&policies, &config, vecenv_spec(env), backend, &err), 0);
    const struct algorithm_context context = {.config = &config,
                                              .policies = policies,
                                              .env = env,
                                              .backend = backend,
                                              .comm = comm,
                                              .envs = ENVS,
                                              .local_shards = 1,
                                              .where = elsewhere ? COLLECT_STAGED : COLLECT_DIRECT};
    assert_int_equal(algorithm_create(&algorithm, &context, &err), 0);
    int code = algorithm->ops->begin(algorithm, false, &err);
    for (int i = 0; i < 3 && !code; i++) {
        code = algorithm->ops->collect(algorithm, &err);
        if (!code) code = algorithm->ops->finish(algorithm, &err);
        if (!code) code = algorithm->ops->update(algorithm, &err);
        if (!code) code = algorithm->ops->outcome(algorithm, &err);
    }
    if (code) fail_msg("%s", err.text);
    const uint64_t hash = policies_hash(policies);
    algorithm_destroy(algorithm);
    policies_destroy(policies);
    comm_close(comm);
    backend->close(backend);
    vecenv_close(env);
    return hash;
}

static void a_learner_learns_the_same_from_another_place(void **state)
{
    (void)state;
    static const char *const names[] = {"mpe/simple_spread", "test/kitchen_sink"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (learn(names[i], true) != learn(names[i], false)) fail_msg("%s: parameters differ", names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_place_gives_the_same_bits),           cmocka_unit_test(another_place_reports_what_ended),
        cmocka_unit_test(snapshots_pass_from_place_to_place),          cmocka_unit_test(what_a_place_lacks_is_refused),
        cmocka_unit_test(a_fault_elsewhere_is_told_in_the_same_words), cmocka_unit_test(a_learner_learns_the_same_from_another_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
