/* mappo bench: environments alone, on the host. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/philox.h"
#include "base/text.h"
#include "cmd/bench.h"
#include "nn/players.h"
#include "run/open_env.h"

/* ROUNDS: steps between two looks at the clock, whose actions are drawn before; where masks forbid some, every step's are. WINDOWS: parts of
 * the time, of which the median counts. */
enum { ROUNDS = 16, WINDOWS = 7 };
static const double window_seconds = 0.03;

/* The first choice of the first head, or zeros and ones in turn. */
static int32_t *make_actions(const struct mappo_space *space, size_t count)
{
    int32_t *action = calloc(count + 1, sizeof *action);
    CHECK(action, "out of memory");
    for (size_t i = 0; i < count; i++) action[i] = space->start ? space->start[0] : (int32_t)(i % 2);
    return action;
}

void bench_env_io(struct mappo_env_io *io, const struct mappo_env_spec *spec, int64_t envs, bench_take *take, void *user)
{
    struct slices slices;
    slices_of(&slices, spec);
    *io = (struct mappo_env_io){.struct_size = sizeof *io, .groups = spec->groups};
    for (int i = 0; i < slices.count; i++) {
        const struct slice *slice = &slices.slice[i];
        if ((slice_is_state(slice) && spec->state_is_all_obs) || slice->id == ENV_SLICE_info) continue;
        int32_t *action =
            slice->id == GROUP_SLICE_act_int ? make_actions(&spec->group[slice->group].act[0], (size_t)envs * slice->width) : NULL;
        slice_point(io, slice, take(user, (size_t)envs * slice->bytes, action));
        free(action);
    }
}

struct host_arrays {
    void *block[SLICES_MAX + 2 * MAPPO_MAX_GROUPS];
    int blocks;
};

static void *take_host(void *user, size_t bytes, const void *from)
{
    struct host_arrays *a = user;
    void *p = calloc(1, bytes + 1);
    CHECK(p, "out of memory");
    if (from) memcpy(p, from, bytes);
    return a->block[a->blocks++] = p;
}

/* ---- random actions -------------------------------------------------------------------------------------------------------------------- */

struct random_player {
    struct players random;
    struct distribution dist[MAPPO_MAX_GROUPS];
    int32_t *act_int[MAPPO_MAX_GROUPS]; /* [rounds][E][A][Ki]; NULL where Ki = 0 */
    float *act_real[MAPPO_MAX_GROUPS];  /* [rounds][E][A][Kr]; NULL where Kr = 0 */
    int rounds;
    uint64_t step;
};

static int player_create(struct random_player *p, const struct vecenv *env, const struct config *c, uint32_t first,
                         struct host_arrays *arrays, struct error *err)
{
    static const struct deviation constant = {.kind = STD_FIXED, .fixed_std = 1};
    const struct mappo_env_spec *spec = vecenv_spec(env);
    *p = (struct random_player){
        .random = {.spec = spec, .seed = (uint64_t)c->train_seed, .first_env = first, .squashed = vecenv_squashes(env)}, .rounds = ROUNDS};
    for (int g = 0; g < spec->groups; g++)
        if (spec->group[g].flags & MAPPO_HAS_MASK) p->rounds = 1;
    for (int g = 0; g < spec->groups; g++) {
        const struct group_sizes s = group_sizes(&spec->group[g]);
        const size_t rows = (size_t)vecenv_envs(env) * (size_t)s.agents * (size_t)p->rounds;
        int outputs, extra;
        const int code = distribution_build(&p->dist[g], &spec->group[g], &constant, &outputs, &extra, err);
        if (code) return code;
        p->random.player[g] = PLAY_RANDOM;
        p->random.dist[g] = &p->dist[g];
        if (s.act_ints) p->act_int[g] = take_host(arrays, rows * (size_t)s.act_ints * sizeof(int32_t), NULL);
        if (s.act_reals) p->act_real[g] = take_host(arrays, rows * (size_t)s.act_reals * sizeof(float), NULL);
    }
    return 0;
}

/* Points io at the actions of a round. */
static void player_point(const struct random_player *p, struct mappo_env_io *io, int envs, int round)
{
    for (int g = 0; g < io->groups; g++) {
        const struct group_sizes s = group_sizes(&p->random.spec->group[g]);
        const size_t rows = (size_t)envs * (size_t)s.agents * (size_t)round;
        if (p->act_int[g]) io->group[g].act_int = p->act_int[g] + rows * (size_t)s.act_ints;
        if (p->act_real[g]) io->group[g].act_real = p->act_real[g] + rows * (size_t)s.act_reals;
    }
}

static void player_draw(struct random_player *p, struct mappo_env_io *io, int envs)
{
    for (int round = 0; round < p->rounds; round++, p->step++) {
        player_point(p, io, envs, round);
        players_act(&p->random, NULL, 0, envs, io, p->step, NULL);
    }
}

/* ---- measuring ------------------------------------------------------------------------------------------------------------------------- */

/* Seconds and processor seconds of a step, over one part of the time. */
static int one_window(struct vecenv *env, struct random_player *p, struct mappo_env_io *io, double *seconds, double *cpu, struct error *err)
{
    struct episode ended[64];
    int steps = 0;
    *seconds = *cpu = 0;
    while (*seconds < window_seconds) {
        player_draw(p, io, vecenv_envs(env));
        const double start = clock_seconds(), cpu_start = bench_cpu_seconds();
        for (int round = 0; round < p->rounds; round++, steps++) {
            player_point(p, io, vecenv_envs(env), round);
            const int code = vecenv_step(env, io, err);
            if (code) return code;
        }
        *cpu += bench_cpu_seconds() - cpu_start;
        *seconds += clock_seconds() - start;
        while (vecenv_take_episodes(env, ended, 64) == 64) continue;
    }
    *seconds /= steps;
    *cpu /= steps;
    return 0;
}

int bench_environments(const struct config *c, struct comm_part envs, int threads, struct bench_stepping *result, struct error *err)
{
    const struct open_env_config batch = {
        .envs = envs, .seed = (uint64_t)c->train_seed, .stream = PHILOX_ENVIRONMENT, .threads = threads, .horizon = ROUNDS};
    struct host_arrays arrays = {.blocks = 0};
    struct mappo_env_io io;
    struct random_player player;
    struct vecenv *env;
    double seconds[WINDOWS], cpu[WINDOWS];
    int code = open_env(&env, c, &batch, err);
    if (code) return code;
    const struct mappo_env_spec *spec = vecenv_spec(env);
    bench_env_io(&io, spec, envs.count, take_host, &arrays);
    code = player_create(&player, env, c, (uint32_t)envs.first, &arrays, err);
    if (!code) code = vecenv_reset(env, &io, err);
    if (!code) code = one_window(env, &player, &io, &seconds[0], &cpu[0], err); /* brings the memory in */
    for (int i = 0; i < WINDOWS && !code; i++) code = one_window(env, &player, &io, &seconds[i], &cpu[i], err);
    *result = (struct bench_stepping){.agents = 0};
    for (int g = 0; g < spec->groups; g++) result->agents += spec->group[g].agents;
    if (!code) result->seconds = bench_median(seconds, WINDOWS);
    if (!code) result->cpu = bench_median(cpu, WINDOWS);
    for (int i = 0; i < arrays.blocks; i++) free(arrays.block[i]);
    vecenv_close(env);
    return code;
}

/* ---- mappo bench only=env ---------------------------------------------------------------------------------------------------------------- */

static void print_stepping(const struct bench *bench, int threads, const struct bench_stepping *r, double rate, double cpu)
{
    const struct config *c = &bench->config;
    if (bench->args->json) {
        printf("{\"case\": \"env\", \"env\": ");
        text_json_string(stdout, c->env_id);
        printf(", \"envs\": %lld, \"agents\": %d, \"ranks\": %d, \"threads\": %d, \"env_steps_per_second\": %.0f, \"cpu_ns_per_env_step\": "
               "%.3f}\n",
               (long long)c->rollout_envs, r->agents, bench->comm->size, threads, rate, cpu * 1e9);
    } else {
        printf("%2d thread%s %8.2f M env-steps/s %10.2f M agent-steps/s %10.1f ns of a core a step\n", threads, threads == 1 ? " " : "s",
               rate * 1e-6, rate * r->agents * 1e-6, cpu * 1e9);
    }
    fflush(stdout);
}

int bench_stepping(const struct bench *bench, struct error *err)
{
    struct comm *comm = bench->comm;
    const struct config *c = &bench->config;
    const struct comm_part envs = comm_part((int)c->rollout_envs, comm->rank, comm->size);
    const int threads[] = {1, bench->placement.threads};
    if (comm->rank == 0 && !bench->args->json)
        printf("%s, %lld environments on %d rank%s, alone, with random actions; medians\n", c->env_id, (long long)c->rollout_envs,
               comm->size, comm->size == 1 ? "" : "s");
    for (int i = 0; i < (threads[1] > 1 ? 2 : 1); i++) {
        struct bench_stepping result;
        const int code = comm_vote(comm, bench_environments(c, envs, threads[i], &result, err), err);
        if (code) return code;
        double rate = (double)envs.count / result.seconds, cpu = result.cpu / (double)envs.count / comm->size;
        comm_sum_double(comm, &rate, 1);
        comm_sum_double(comm, &cpu, 1);
        if (comm->rank == 0) print_stepping(bench, threads[i], &result, rate, cpu);
    }
    return 0;
}
