/* mappo bench: how fast training runs here, beside what the cores allow. It trains for real, as the trainer does, without files.
 *
 * The floor of a case is the time its matrix products would take at the peak rate of the cores in use, measured in the same run: forward,
 * weight gradient and, but for the first layer, input gradient in every epoch, and one forward pass of the rollout. Times are medians over
 * many updates; `best` is the fastest. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/kernels/layer.h"
#include "base/clock.h"
#include "base/text.h"
#include "cmd/bench.h"
#include "cmd/bench_blas.h"
#include "comm/openmp.h"

enum { SAMPLES = 400 };
static const double case_seconds = 2.0; /* measured time of a case, after the first updates have warmed things up */

/* One arrangement of the same work. */
struct bench_case {
    const char *name;
    int level, threads, hidden, activation, kind;
    bool reproducible, replays; /* replays: with algo=maddpg */
};

/* ---- opening and closing ------------------------------------------------------------------------------------------------------------- */

static int parts_open(struct learning *p, const struct bench_case *b, const struct config *c, struct comm *comm, struct error *err)
{
    memset(p, 0, sizeof *p);
    comm->shards = b->reproducible ? (int)c->comm_shards : 0;
    int code = learning_backend(p, c, comm, b->threads, b->level, err);
    if (!code) code = comm_vote(comm, learning_open(p, c, comm, err), err);
    if (code) return code;
    return comm_vote(comm, p->algorithm->ops->begin(p->algorithm, false, err), err);
}

/* ---- measuring ----------------------------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, compare);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

enum { TOTAL, CPU, STEP, INFER, UPDATE, COMMUNICATION, COLLECT, DEVICE, HIDDEN, MEASURES };

double bench_cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* One update, as the training loop does it: beside a device the time is that from one outcome to the next. */
struct pace {
    int outstanding; /* updates whose outcome is not known */
    double since;    /* clock, when the last one was */
};
static int one_update(struct learning *p, struct pace *pace, struct comm *comm, double seconds[MEASURES], struct error *err)
{
    struct algorithm *a = p->algorithm;
    struct metric metric[64];
    a->seconds_step = a->seconds_infer = a->seconds_update = a->seconds_device = a->seconds_wait = 0;
    comm_take_seconds(comm);
    const double start = clock_seconds(), cpu = bench_cpu_seconds();
    if (pace->outstanding == 0) pace->since = start;
    int code = a->ops->collect(a, err);
    const double collected = clock_seconds();
    if (!code) code = algorithm_finish(a, err);
    vecenv_report_begin(p->env);
    if (!code) code = algorithm_update(a, err);
    pace->outstanding++;
    for (; !code && pace->outstanding > a->ahead; pace->outstanding--) {
        if ((code = algorithm_outcome(a, err))) break;
        vecenv_report_end(p->env);
        a->ops->metrics(a, metric, 64);
    }
    if (code) return code;
    const double now = clock_seconds();
    const double values[MEASURES] = {now - pace->since, bench_cpu_seconds() - cpu, a->seconds_step,
                                     a->seconds_infer,  a->seconds_update,         comm_take_seconds(comm),
                                     collected - start, a->seconds_device,         algorithm_hidden(a)};
    memcpy(seconds, values, sizeof values);
    pace->since = now;
    return 0;
}

int bench_training(struct learning *p, const struct config *c, struct comm *comm, struct bench_result *r, struct error *err)
{
    static double sample[MEASURES][SAMPLES];
    double seconds[MEASURES];
    struct pace pace = {0};
    int code = 0, n = 0;
    int warm = 3; /* updates, and those that only fill a replay until it holds a batch */
    if (p->algorithm->ops->replay) warm += (int)(c->maddpg_batch / (c->rollout_envs * p->algorithm->horizon)) + 1;
    for (int i = 0; i < warm && !code; i++) code = one_update(p, &pace, comm, seconds, err);
    if ((code = comm_vote(comm, code, err))) return code;
    double left = case_seconds; /* counted by rank 0, so that all ranks stop together */
    while (n < SAMPLES && (left > 0 || n < 5)) {
        if ((code = comm_vote(comm, one_update(p, &pace, comm, seconds, err), err))) return code;
        for (int i = 0; i < MEASURES; i++) sample[i][n] = seconds[i];
        n++;
        left -= seconds[TOTAL];
        comm_broadcast(comm, &left, sizeof left);
    }
    r->total = bench_median(sample[TOTAL], n);
    r->best = sample[TOTAL][0]; /* sorted by the median */
    r->cpu_median = bench_median(sample[CPU], n);
    r->cpu = sample[CPU][0];
    r->step = bench_median(sample[STEP], n);
    r->infer = bench_median(sample[INFER], n);
    r->update = bench_median(sample[UPDATE], n);
    r->communication = bench_median(sample[COMMUNICATION], n);
    r->collect = bench_median(sample[COLLECT], n);
    r->device = bench_median(sample[DEVICE], n);
    r->hidden = isnan(seconds[HIDDEN]) ? seconds[HIDDEN] : bench_median(sample[HIDDEN], n);
    r->steps = (double)c->rollout_envs * (double)p->algorithm->horizon * (double)c->wrap_action_repeat;
    r->agents = 0;
    for (int g = 0; g < p->policies->groups; g++) r->agents += p->policies->group[g]->sizes.agents;
    r->flops = p->algorithm->flops;
    return 0;
}

void bench_settings(struct config *config, const struct config *given)
{
    *config = *given;
    config->eval_interval = config->eval_env_steps = 0;
    config->maddpg_start = 0; /* as soon as a batch is there */
    if (config->ppo_chunk > config->rollout_steps) config->ppo_chunk = config->rollout_steps;
}

static int measure(const struct bench *bench, const struct bench_case *b, struct bench_result *r, struct error *err)
{
    struct config *c = malloc(sizeof *c);
    CHECK(c, "out of memory");
    bench_settings(c, b->replays ? &bench->replaying : &bench->config);
    if (b->hidden != c->policy_hidden[0]) memset(c->policy_hidden, 0, sizeof c->policy_hidden);
    c->policy_hidden[0] = b->hidden;
    c->policy_activation = b->activation;
    c->policy_kind = b->kind;
    memset(r, 0, sizeof *r);
    struct learning parts;
    int code = parts_open(&parts, b, c, bench->comm, err);
    if (!code) {
        double peak = cpu_peak(b->level);
        code = bench_training(&parts, c, bench->comm, r, err);
        const double after = cpu_peak(b->level);
        r->peak = (after > peak ? after : peak) * b->threads;
        comm_sum_double(bench->comm, &r->peak, 1);
    }
    struct bench_stepping alone;
    if (!code) code = comm_vote(bench->comm, bench_environments(c, parts.envs, b->threads, &alone, err), err);
    if (!code) r->env = alone.seconds;
    learning_close(&parts);
    free(c);
    return code;
}

/* ---- printing ------------------------------------------------------------------------------------------------------------------------ */

static const char *activation_name(int activation)
{
    return activation == ACTIVATION_RELU ? "relu" : "tanh";
}

static void print_case(const struct bench *bench, const struct bench_case *b, const struct bench_result *r)
{
    if (bench->comm->rank != 0) return;
    const double us = 1e6 / r->steps, floor = r->flops / r->peak * 1e6;
    const double envs = (double)(b->replays ? &bench->replaying : &bench->config)->rollout_envs;
    const double rest = r->total - r->step - r->infer - r->update - r->communication;
    if (bench->args->json) {
        printf("{\"case\": \"%s\", \"level\": \"%s\", \"ranks\": %d, \"threads\": %d, \"hidden\": %d, \"activation\": \"%s\", "
               "\"reproducible\": %s, "
               "\"env_steps_per_update\": %.0f, \"fma_peak_gflops\": %.1f, \"floor_us\": %.3f, \"us_per_env_step\": %.3f, "
               "\"us_per_env_step_best\": %.3f, \"cpu_us_per_env_step\": %.3f, \"cpu_us_per_env_step_median\": %.3f, "
               "\"env_steps_per_second\": %.0f, \"agent_steps_per_second\": %.0f, \"ratio_to_floor\": %.4f, \"ratio_to_floor_best\": %.4f, "
               "\"share_step\": %.4f, "
               "\"share_inference\": %.4f, \"share_update\": %.4f, \"share_communication\": %.4f, \"share_rest\": %.4f, "
               "\"rollout_env_steps_per_second\": %.0f, "
               "\"env_ns_per_step\": %.1f}\n",
               b->name, cpu_level_name(b->level), bench->comm->size, b->threads, b->hidden, activation_name(b->activation),
               b->reproducible ? "true" : "false", r->steps, r->peak * 1e-9, floor, r->total * us, r->best * us, r->cpu * us,
               r->cpu_median * us, r->steps / r->total, r->steps * r->agents / r->total, floor / (r->total * us), floor / (r->best * us),
               r->step / r->total, r->infer / r->total, r->update / r->total, r->communication / r->total, rest / r->total,
               r->steps / r->collect, r->env * 1e9 / envs);
    } else {
        printf("%-22s %-7s %7.2f %8.2f %8.2f %8.2f %6.1f %% %10.0f %11.0f   %4.1f %4.1f %5.1f %4.1f %4.1f %11.0f %8.1f\n", b->name,
               cpu_level_name(b->level), floor, r->total * us, r->best * us, r->cpu * us, 100 * floor / (r->total * us),
               r->steps / r->total, r->steps * r->agents / r->total, 100 * r->step / r->total, 100 * r->infer / r->total,
               100 * r->update / r->total, 100 * r->communication / r->total, 100 * rest / r->total, r->steps / r->collect,
               r->env * 1e9 / envs);
    }
    fflush(stdout);
}

static void print_head(const struct bench *bench)
{
    if (bench->comm->rank != 0) return;
    static const int width[] = {64, 128, 256};
    const int best = cpu_level_detect();
    struct blas blas;
    blas_open(&blas);
    for (int level = best; level >= (best < CPU_AVX2 ? best : CPU_AVX2); level--) {
        const double peak = cpu_peak(level);
        if (!bench->args->json)
            printf("one core, %s: multiply-add peak %.1f GFLOP/s; product of a layer", cpu_level_name(level), peak * 1e-9);
        for (int i = 0; i < 3; i++) {
            const double own = cpu_product_rate(level, width[i], width[i]), other = level == best ? blas_rate(&blas, width[i]) : 0;
            if (bench->args->json) {
                printf("{\"rate\": \"product\", \"level\": \"%s\", \"width\": %d, \"fma_peak_gflops\": %.1f, \"own_gflops\": %.1f, "
                       "\"cblas_gflops\": ",
                       cpu_level_name(level), width[i], peak * 1e-9, own * 1e-9);
                text_json_real(stdout, other > 0 ? other * 1e-9 : (double)NAN);
                printf("}\n");
            } else {
                printf("%s %d x %d: %.1f", i ? "," : "", width[i], width[i], own * 1e-9);
                if (other > 0) printf(" (CBLAS %.1f)", other * 1e-9);
            }
        }
        if (!bench->args->json) printf("\n");
    }
    if (bench->args->json) return;
    if (blas.product)
        printf("CBLAS: %s\n", blas.file);
    else
        printf("no CBLAS to compare with: %s\n", blas.why);
    const struct config *c = &bench->config;
    printf("%s, %lld environments x %lld steps, %lld epochs, %lld minibatch%s, %d rank%s; medians\n", c->env_id, (long long)c->rollout_envs,
           (long long)c->rollout_steps, (long long)c->ppo_epochs, (long long)c->ppo_minibatches, c->ppo_minibatches == 1 ? "" : "es",
           bench->comm->size, bench->comm->size == 1 ? "" : "s");
    if (bench->replays)
        printf("maddpg: %lld environments x %lld steps, batches of %lld from a replay of %lld\n", (long long)bench->replaying.rollout_envs,
               (long long)bench->replaying.rollout_steps, (long long)bench->replaying.maddpg_batch,
               (long long)bench->replaying.maddpg_buffer);
    putchar('\n');
    printf("%-22s %-7s %7s %8s %8s %8s %8s %10s %11s   %-25s %11s %8s\n", "", "", "floor", "median", "best", "cpu", "", "env-steps",
           "agent-steps", "share in % of", "rollout", "env");
    printf("%-22s %-7s %7s %8s %8s %8s %8s %10s %11s   %4s %4s %5s %4s %4s %11s %8s\n", "", "level", "us", "us", "us", "us", "of floor",
           "/s", "/s", "step", "inf.", "upd.", "comm", "rest", "env-steps/s", "ns/step");
}

/* ---- the cases ----------------------------------------------------------------------------------------------------------------------- */

enum { CASES = 14 };

/* The same on all threads, behind it. */
static int add_threads(struct bench_case *list, int n, int threads, char *name, size_t size)
{
    if (threads == 1) return n;
    list[n] = list[n - 1];
    list[n].threads = threads;
    text_format(name, size, "%s, %d threads", list[n - 1].name, threads);
    list[n].name = name;
    return n + 1;
}

static int list_cases(const struct bench *bench, struct bench_case *list)
{
    const struct config *c = &bench->config;
    const int hidden = (int)c->policy_hidden[0], activation = c->policy_activation, ranks = bench->comm->size,
              threads = bench->placement.threads;
    double level = c->cpu_level > 0 ? (double)(c->cpu_level - 1) : (double)cpu_level_detect();
    comm_min_double(bench->comm, &level, 1);
    const struct bench_case base = {.name = "1 thread",
                                    .level = (int)level,
                                    .threads = 1,
                                    .hidden = hidden,
                                    .activation = activation,
                                    .kind = c->policy_kind,
                                    .reproducible = c->comm_reproducible};
    static char many[48];
    int n = 0;
    list[n++] = base;
    if (ranks > 1) {
        text_format(many, sizeof many, "%d ranks, 1 thread", ranks);
        list[0].name = many;
    }
    const bool shardable = c->comm_shards % ranks == 0 && c->rollout_envs % c->comm_shards == 0 && !c->comm_reproducible;
    if (threads > 1) {
        static char both[48];
        text_format(both, sizeof both, ranks > 1 ? "%d ranks, %d threads" : "%d rank, %d threads", ranks, threads);
        list[n] = base;
        list[n].threads = threads;
        list[n++].name = both;
    }
    if (shardable) {
        list[n] = base;
        list[n].reproducible = true;
        list[n++].name = "comm.reproducible=1";
    }
    if (ranks > 1) return n;
    const struct {
        const char *name;
        int hidden, level, activation, kind;
    } other[] = {{"hidden 128", 128, (int)level, activation, c->policy_kind},
                 {"hidden 256", 256, (int)level, activation, c->policy_kind},
                 {"avx2", hidden, CPU_AVX2, activation, c->policy_kind},
                 {"relu", hidden, (int)level, ACTIVATION_RELU, c->policy_kind},
                 {"gru", hidden, (int)level, activation, KIND_GRU}};
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        list[n] = base;
        list[n].name = other[i].name;
        list[n].hidden = other[i].hidden;
        list[n].level = other[i].level;
        list[n].activation = other[i].activation;
        list[n].kind = other[i].kind;
        const bool known =
            list[n].hidden == hidden && list[n].level == (int)level && list[n].activation == activation && list[n].kind == c->policy_kind;
        const bool possible =
            list[n].level <= (int)level && (other[i].kind != KIND_GRU || !algorithms[c->algo_name].functions->ops->replay);
        if (!known && possible) n++;
    }
    static char recurrent[48], replaying[48];
    if (list[n - 1].kind != c->policy_kind) n = add_threads(list, n, threads, recurrent, sizeof recurrent);
    if (!bench->replays) return n;
    list[n] = (struct bench_case){.name = "maddpg",
                                  .level = (int)level,
                                  .threads = 1,
                                  .hidden = (int)bench->replaying.policy_hidden[0],
                                  .activation = bench->replaying.policy_activation,
                                  .kind = bench->replaying.policy_kind,
                                  .replays = true};
    return add_threads(list, n + 1, threads, replaying, sizeof replaying);
}

static int bench_cores(const struct bench *bench, struct error *err)
{
    struct bench_case list[CASES];
    struct bench_result result;
    const int cases = list_cases(bench, list);
    int code = 0;
    print_head(bench);
    for (int i = 0; i < cases && !code; i++) {
        code = measure(bench, &list[i], &result, err);
        if (!code) print_case(bench, &list[i], &result);
    }
    return code;
}

/* Beside the algorithm that nobody chose another one is measured, which learns from a replay: where it can learn what is given. */
static void configure_replaying(struct bench *bench, const struct arguments *args)
{
    static const char other[] = "algo=maddpg";
    struct arguments *with = malloc(sizeof *with);
    struct learning l = {0};
    struct error why_not = {0};
    size_t need;
    CHECK(with, "out of memory");
    *with = *args;
    const bool open = bench->config.origin[KEY_algo_name] == ORIGIN_DEFAULT && args->files == 0 && with->assignments < ARGS_MAX;
    if (open) with->assignment[with->assignments++] = other;
    int code = open ? config_build(&bench->replaying, with, cmd_find_env, &why_not) : EXIT_USAGE;
    bench->replaying.backend_name = BACKEND_CPU;
    if (!code) code = learning_backend(&l, &bench->replaying, bench->comm, 1, -1, &why_not);
    if (!code) code = learning_open_alone(&l, &bench->replaying, &why_not);
    if (!code) code = learning_plan(&l, &bench->replaying, bench->comm, &need, &why_not);
    bench->replaying.backend_name = bench->config.backend_name;
    bench->replays = !code;
    learning_close(&l);
    free(with);
}

/* only=env is this command's own; the rest is a configuration's. */
static int configure(struct bench *bench, const struct arguments *args, bool *only_env, struct error *err)
{
    struct arguments rest = *args;
    const char *only = arguments_take(&rest, "only");
    *only_env = only;
    if (only && strcmp(only, "env") != 0) return error_set(err, EXIT_USAGE, "only=%s: what mappo bench can measure alone is env", only);
    const int code = config_build(&bench->config, &rest, cmd_find_env, err);
    if (!code && bench->config.rollout_unit)
        return error_set(err, EXIT_USAGE, "mappo bench measures updates of equal size: rollout.unit=steps");
    if (code || bench->comm->size <= bench->config.rollout_envs) return code;
    return error_set(err, EXIT_USAGE, "%d ranks for %lld environments: raise rollout.envs or start fewer ranks", bench->comm->size,
                     (long long)bench->config.rollout_envs);
}

int cmd_bench(const struct arguments *args, struct comm *comm)
{
    struct error err = {0};
    struct bench *bench = calloc(1, sizeof *bench);
    CHECK(bench, "out of memory");
    bench->args = args;
    bench->comm = comm;
    bool only_env;
    int code = comm_vote(comm, configure(bench, args, &only_env, &err), &err);
    struct learning learning = {0};
    if (!code && comm->rank == 0) config_warn_left_out(&bench->config);
    if (!code && !only_env) configure_replaying(bench, args);
    if (!code) {
        placement_find(&bench->placement, comm, (int)bench->config.train_threads);
        code = comm_vote(comm, openmp_start_threads(bench->placement.threads, &err), &err);
    }
    if (!code && only_env) {
        code = bench_stepping(bench, &err);
    } else if (!code) {
        code = learning_backend(&learning, &bench->config, comm, bench->placement.threads, -1, &err);
        if (!code && !learning.backend->host_memory) {
            code = bench_device(bench, &learning, &err);
        } else if (!code) {
            if (comm->rank == 0 && learning.why_cpu[0] && !args->json) printf("computing on the CPU: %s\n", learning.why_cpu);
            learning_close(&learning);
            code = bench_cores(bench, &err);
        }
    }
    error_report(&err);
    free(bench);
    return code;
}
