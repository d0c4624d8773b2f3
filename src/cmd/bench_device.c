/* mappo bench on a GPU: the same real updates at the sizes that a device is for.
 *
 * The floor of a row is the larger of two times: its matrix products' multiply-adds over the device's rate, measured in the same run on
 * registers alone, and the bytes that must move (observations and critic inputs read once an epoch) over the rate of a large copy. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/philox.h"
#include "cmd/bench.h"
#include "run/open_env.h"

enum { USUAL, BUSY, GRU, REPLAYS };
struct device_case {
    const char *name;
    int64_t envs, epochs, hidden;
    int precision;
    bool device_environments;
    int other; /* BUSY: test/busy instead of the environment that was asked for: 10 us of a core a step, on the host; networks with a GRU; MADDPG */
};

static const struct device_case cases[] = {
    {"the reference's batch", 128, 10, 64, PRECISION_FP32, true, USUAL},
    {"8,192 environments", 8192, 10, 64, PRECISION_FP32, true, USUAL},
    {"the same, tf32", 8192, 10, 64, PRECISION_TF32, true, USUAL},
    {"the same, bf16", 8192, 10, 64, PRECISION_BF16, true, USUAL},
    {"4 epochs", 8192, 4, 64, PRECISION_FP32, true, USUAL},
    {"65,536 environments", 65536, 10, 64, PRECISION_FP32, true, USUAL},
    {"hidden 256", 8192, 10, 256, PRECISION_FP32, true, USUAL},
    {"hidden 256, tf32", 8192, 10, 256, PRECISION_TF32, true, USUAL},
    {"environments on the host", 8192, 10, 64, PRECISION_FP32, false, USUAL},
    {"10 us a step, host", 8192, 10, 64, PRECISION_FP32, false, BUSY},
    {"gru", 8192, 10, 64, PRECISION_FP32, true, GRU},
    {"gru, tf32", 8192, 10, 64, PRECISION_TF32, true, GRU},
    {"gru, the reference's batch", 128, 10, 64, PRECISION_FP32, true, GRU},
    {"maddpg", 1024, 10, 64, PRECISION_FP32, true, REPLAYS},
    {"maddpg, its preset", 16, 10, 64, PRECISION_FP32, true, REPLAYS},
};
static const char *const precision_name[] = {"float32", "tf32", "bf16"};

struct row {
    struct bench_result result;
    double floor;    /* seconds of an update */
    double product;  /* flop/s of plain products at the hidden layer's shape; 0 = not measured */
    double host_env; /* environment steps a second of the host's environments alone; 0 = not measured */
    double learning; /* … of learning and inference alone, of all ranks */
};

/* Sizes that the user asked for are measured alone. */
static bool user_chose(const struct config *c)
{
    static const int keys[] = {KEY_algo_name,     KEY_policy_kind,    KEY_rollout_envs,     KEY_ppo_epochs,
                               KEY_policy_hidden, KEY_cuda_precision, KEY_cuda_environments};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (c->origin[keys[i]] == ORIGIN_COMMAND_LINE) return true;
    return false;
}

static void configure(struct config *c, const struct device_case *k)
{
    c->rollout_envs = k->envs;
    c->ppo_epochs = k->epochs;
    if (k->hidden != c->policy_hidden[0]) memset(c->policy_hidden, 0, sizeof c->policy_hidden);
    c->policy_hidden[0] = k->hidden;
    c->cuda_precision = k->precision;
    c->cuda_environments = k->device_environments;
    if (k->other == GRU) c->policy_kind = KIND_GRU;
    if (k->other != BUSY) return;
    text_format(c->env_name, sizeof c->env_name, "test/busy");
    c->env_options = 0; /* its default is 10 */
}

/* Environment steps a second of the same learning with its environments on the device, where they can be. */
static int learn_alone(const struct bench *bench, const struct config *with, double *rate, struct error *err)
{
    struct config *c = malloc(sizeof *c);
    CHECK(c, "out of memory");
    *c = *with;
    c->cuda_environments = true;
    struct learning l = {.may_spin = bench->placement.may_spin};
    struct bench_result result = {0};
    int code = learning_backend(&l, c, bench->comm, bench->placement.threads, -1, err);
    if (!code) code = comm_vote(bench->comm, learning_open(&l, c, bench->comm, err), err);
    const bool possible = !code && l.algorithm && vecenv_on_device(l.env);
    if (possible) code = comm_vote(bench->comm, l.algorithm->ops->begin(l.algorithm, false, err), err);
    if (possible && !code) code = bench_training(&l, c, bench->comm, &result, err);
    if (possible && !code) *rate = result.steps / result.total;
    learning_close(&l);
    free(c);
    return code;
}

static int measure(const struct bench *bench, const struct device_case *k, struct row *row, struct error *err)
{
    struct config *c = malloc(sizeof *c);
    CHECK(c, "out of memory");
    bench_settings(c, k->other == REPLAYS ? &bench->replaying : &bench->config);
    configure(c, k);
    memset(row, 0, sizeof *row);
    struct learning l = {.may_spin = bench->placement.may_spin};
    struct comm *comm = bench->comm;
    comm->shards = c->comm_reproducible ? (int)c->comm_shards : 0;
    int code = learning_backend(&l, c, comm, bench->placement.threads, -1, err);
    if (!code) code = comm_vote(comm, learning_open(&l, c, comm, err), err);
    if (!code) code = comm_vote(comm, l.algorithm->ops->begin(l.algorithm, false, err), err);
    if (!code) code = bench_training(&l, c, comm, &row->result, err);
    if (!code) {
        struct backend *b = l.backend;
        const int hidden = (int)k->hidden, rows = (int)(row->result.steps * row->result.agents / comm->size);
        row->result.peak = b->rate(b, RATE_MULTIPLY_ADD, 0, 0, 0);
        const double bandwidth = b->rate(b, RATE_COPY, 0, 0, 0);
        const double arithmetic = row->result.steps * row->result.flops / row->result.peak;
        const double traffic = row->result.steps * l.algorithm->bytes / bandwidth;
        row->floor = fmax(arithmetic, traffic) / comm->size;
        if (hidden > 128) row->product = b->rate(b, RATE_PRODUCT, rows, hidden, hidden);
    }
    const bool host = !code && !vecenv_on_device(l.env);
    if (host) {
        const struct bench_result *r = &row->result;
        row->learning = r->steps / (r->total - r->collect + r->device); /* without what only the host does */
        struct bench_stepping alone = {0};
        code = bench_environments(c, l.envs, bench->placement.threads, &alone, err);
        row->host_env = (double)k->envs / comm->size / alone.seconds;
    }
    learning_close(&l);
    code = comm_vote(comm, code, err);
    if (host && !code) code = learn_alone(bench, c, &row->learning, err);
    free(c);
    return code;
}

/* What the host's environments and learning could do alone, and what both together do of the smaller: the rest is what they wait for one
 * another. */
static void print_host_row(const struct bench *bench, const struct row *row, double rate)
{
    const struct bench_result *r = &row->result;
    const double host = row->host_env * bench->comm->size, ratio = rate / fmin(host, row->learning);
    if (bench->args->json) {
        printf(", \"host_env_steps_per_second\": %.0f, \"learning_env_steps_per_second\": %.0f, \"ratio_to_smaller\": %.4f, "
               "\"hidden_fraction\": ",
               host, row->learning, ratio);
        text_json_real(stdout, r->hidden);
        printf(", \"share_waiting\": %.4f", r->infer / (r->infer + r->step));
        return;
    }
    printf(
        "\n    the host alone steps %.0f/s, learning alone takes %.0f/s; together %.0f/s, %.1f %% of the smaller; %.1f %% of the device's "
        "inference and copies hidden, the host not stepping for %.0f %% of the collecting",
        host, row->learning, rate, 100 * ratio, 100 * r->hidden, 100 * r->infer / (r->infer + r->step));
}

static void print_row(const struct bench *bench, const struct device_case *k, const struct row *row)
{
    const struct bench_result *r = &row->result;
    if (bench->comm->rank) return;
    const double rate = r->steps / r->total, product = row->product > 0 ? r->steps * r->flops / r->total / row->product : 0;
    if (bench->args->json) {
        printf("{\"case\": \"%s\", \"environments\": %lld, \"epochs\": %lld, \"hidden\": %lld, \"precision\": \"%s\", \"ranks\": %d, "
               "\"ms_per_update\": %.4f, \"ms_per_update_best\": %.4f, \"env_steps_per_second\": %.0f, \"agent_steps_per_second\": %.0f, "
               "\"floor_ms\": %.4f, \"ratio_to_floor\": %.4f, \"ratio_to_products\": ",
               k->name, (long long)k->envs, (long long)k->epochs, (long long)k->hidden, precision_name[k->precision], bench->comm->size,
               r->total * 1e3, r->best * 1e3, rate, rate * r->agents, row->floor * 1e3, row->floor / r->total);
        text_json_real(stdout, product > 0 ? product : (double)NAN);
        if (row->host_env > 0) print_host_row(bench, row, rate);
        printf("}\n");
    } else {
        printf("%-26s %7lld %4lld %4lld %-8s %9.3f %9.3f %12.0f %13.0f %9.3f %6.1f %%", k->name, (long long)k->envs, (long long)k->epochs,
               (long long)k->hidden, precision_name[k->precision], r->total * 1e3, r->best * 1e3, rate, rate * r->agents, row->floor * 1e3,
               100 * row->floor / r->total);
        if (product > 0) printf("   %.0f %% of plain products' rate", 100 * product);
        if (row->host_env > 0) print_host_row(bench, row, rate);
        printf("\n");
    }
    fflush(stdout);
}

/* ---- stepping and observing alone, many environments on the device ------------------------------------------------------------------- */

enum { ENVIRONMENTS_ALONE = 65536, ALONE_SAMPLES = 5 };

struct device_arrays {
    struct backend *backend;
    void *block[SLICES_MAX];
    int blocks;
};

static void *take_device(void *user, size_t bytes, const void *from)
{
    struct device_arrays *a = user;
    void *p = a->block[a->blocks++] = a->backend->alloc(a->backend, "benchmark", bytes + 1);
    if (from) a->backend->upload(a->backend, p, from, bytes);
    return p;
}

/* Environment steps a second: the median of five times half a second. */
static int step_alone(struct learning *l, int envs, double *rate, struct error *err)
{
    enum { STEPS = 100 };
    struct device_arrays arrays = {.backend = l->backend};
    struct mappo_env_io io;
    double sample[ALONE_SAMPLES];
    bench_env_io(&io, vecenv_spec(l->env), envs, take_device, &arrays);
    int code = vecenv_reset(l->env, &io, err);
    for (int i = -1; i < ALONE_SAMPLES && !code; i++) {
        double seconds = 0, steps = 0;
        l->backend->sync(l->backend);
        for (const double start = clock_seconds(); seconds < 0.5 && !code; seconds = clock_seconds() - start, steps += STEPS) {
            for (int t = 0; t < STEPS && !code; t++) code = vecenv_step(l->env, &io, err);
            l->backend->sync(l->backend);
        }
        if (i >= 0) sample[i] = (double)envs * steps / seconds;
    }
    if (!code) *rate = bench_median(sample, ALONE_SAMPLES);
    for (int i = 0; i < arrays.blocks; i++) l->backend->free(l->backend, arrays.block[i]);
    return code;
}

static int measure_environments(const struct bench *bench, int envs, struct error *err)
{
    struct learning l = {0};
    const struct open_env_config batch = {
        .envs = {0, envs}, .seed = 1, .stream = PHILOX_ENVIRONMENT, .threads = 1, .horizon = 100, .report = 1};
    char why[192] = "";
    double rate = 0, agents = 0;
    int code = learning_backend(&l, &bench->config, bench->comm, bench->placement.threads, -1, err);
    if (!code) code = open_env(&l.env, &bench->config, &batch, err);
    const bool possible = !code && vecenv_attach(l.env, l.backend->environments, l.backend, why, sizeof why);
    if (possible) code = step_alone(&l, envs, &rate, err);
    for (int g = 0; l.env && g < vecenv_spec(l.env)->groups; g++) agents += vecenv_spec(l.env)->group[g].agents;
    if (!code && bench->comm->rank == 0 && bench->args->json && possible)
        printf("{\"case\": \"environments alone\", \"environments\": %d, \"env_steps_per_second\": %.0f, \"agent_steps_per_second\": "
               "%.0f}\n",
               envs, rate, rate * agents);
    else if (!code && bench->comm->rank == 0 && possible)
        printf("stepping and observing alone, %d environments: %.3g env-steps/s, %.3g agent-steps/s\n", envs, rate, rate * agents);
    else if (!code && bench->comm->rank == 0 && !bench->args->json)
        printf("environments alone: not on the device: %s\n", why);
    learning_close(&l);
    return comm_vote(bench->comm, code, err);
}

/* Only training forms pods. */
static void say_sharing(const struct bench *bench)
{
    const int devices = learning_devices(&bench->config), ranks = bench->comm->local_size;
    if (devices > 0 && ranks > devices)
        printf("%d ranks share %d GPU%s of this node and all learn: training would let them form pods, the benchmark does not. Start one "
               "rank a "
               "GPU, with threads=N for environments on the host\n",
               ranks, devices, devices == 1 ? "" : "s");
}

/* ---- the table ----------------------------------------------------------------------------------------------------------------------- */

int bench_device(const struct bench *bench, struct learning *learning, struct error *err)
{
    struct backend *b = learning->backend;
    const struct config *c = &bench->config;
    const bool alone = user_chose(c);
    if (bench->comm->rank == 0 && !bench->args->json) {
        const int rows = (int)((alone ? c->rollout_envs : 8192) * c->rollout_steps * 3);
        printf("%s\n", b->detail);
        say_sharing(bench);
        printf("multiply-adds on registers %.1f TFLOP/s, copy %.0f GB/s, products of 64 x 64 / 256 x 256 %.1f / %.1f TFLOP/s, by our own "
               "kernel %.1f / %.1f\n",
               b->rate(b, RATE_MULTIPLY_ADD, 0, 0, 0) * 1e-12, b->rate(b, RATE_COPY, 0, 0, 0) * 1e-9,
               b->rate(b, RATE_PRODUCT, rows, 64, 64) * 1e-12, b->rate(b, RATE_PRODUCT, rows, 256, 256) * 1e-12,
               b->rate(b, RATE_OWN_PRODUCT, rows, 64, 64) * 1e-12, b->rate(b, RATE_OWN_PRODUCT, rows, 256, 256) * 1e-12);
        printf("%s, %lld steps, %d rank%s; medians; floor: arithmetic or traffic, whichever takes longer\n\n", c->env_name,
               (long long)c->rollout_steps, bench->comm->size, bench->comm->size == 1 ? "" : "s");
        printf("%-26s %7s %4s %4s %-8s %9s %9s %12s %13s %9s %8s\n", "", "envs", "ep.", "hid.", "", "ms", "best ms", "env-steps/s",
               "agent-steps/s", "floor ms", "of floor");
    }
    learning_close(learning);
    const struct device_case own = {"as configured",   c->rollout_envs,      c->ppo_epochs, c->policy_hidden[0],
                                    c->cuda_precision, c->cuda_environments, USUAL};
    const int count = alone ? 1 : (int)(sizeof cases / sizeof *cases);
    int code = 0;
    for (int i = 0; i < count && !code; i++) {
        const struct device_case *k = alone ? &own : &cases[i];
        struct row row;
        if (k->other == REPLAYS && !bench->replays) continue;
        code = measure(bench, k, &row, err);
        if (!code) print_row(bench, k, &row);
    }
    return code ? code : measure_environments(bench, alone ? (int)c->rollout_envs : ENVIRONMENTS_ALONE, err);
}
