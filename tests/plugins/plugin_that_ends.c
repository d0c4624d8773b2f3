/* Brings the whole process down in one of its functions, some way into a run: option `how` says how, `where` in which. */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "env/mappo_env.h"

enum { EXIT, QUICK_EXIT, ASSERT, SEGV, FPE, ILL, BUS, OVERFLOW, THREAD, HANG };
static const char *const ways[] = {"exit", "quick_exit", "assert", "segv", "fpe", "ill", "bus", "overflow", "thread", "hang", 0};
enum { STEP, RESET, CREATE, SNAPSHOT };
static const char *const places[] = {"step", "reset", "create", "snapshot", 0};
static const struct mappo_option options[] = {{"how", MAPPO_OPTION_CHOICE, "exit", 0, 0, ways, "how it ends"},
                                              {"where", MAPPO_OPTION_CHOICE, "step", 0, 0, places, "in which function"},
                                              {0, 0, 0, 0, 0, 0, 0}};
static const int32_t two = 2;
static struct mappo_env_spec told;
static int64_t how, where;

static int fall(volatile char *above);
static int (*volatile again)(volatile char *) = fall; /* what the compiler can't see through */
static int *volatile nowhere;

static int fall(volatile char *above)
{
    volatile char room[4096];
    room[0] = above ? above[0] : 0;
    return again(room) + room[0];
}

static void *leave(void *code)
{
    exit(code != NULL);
}

static void end(int64_t place)
{
    pthread_t own;
    if (place != where) return;
    if (how == EXIT) exit(0);
    if (how == QUICK_EXIT) quick_exit(0);
    if (how == SEGV) *nowhere = 1;
    if (how == FPE) raise(SIGFPE); /* a division by zero is none on every processor */
    if (how == ILL) __builtin_trap();
    if (how == BUS) raise(SIGBUS);
    if (how == OVERFLOW) again(0);
    while (how == HANG) pause();
    if (how == THREAD && !pthread_create(&own, NULL, leave, NULL)) pthread_join(own, NULL);
    assert(!"it is well");
}

static int create(const struct mappo_env_config *config, void **self, struct mappo_env_error *error)
{
    (void)error;
    how = config->option[0].i;
    where = config->option[1].i;
    end(CREATE);
    memset(&told, 0, sizeof told);
    told.struct_size = sizeof told;
    told.groups = 1;
    told.group[0].name = "agent";
    told.group[0].agents = told.group[0].obs_heads = told.group[0].act_heads = 1;
    told.group[0].obs[0].kind = MAPPO_BOX;
    told.group[0].obs[0].size = 1;
    told.group[0].act[0].kind = MAPPO_DISCRETE;
    told.group[0].act[0].size = 1;
    told.group[0].act[0].n = &two;
    told.snapshot_bytes = 1;
    *self = &told;
    return 0;
}

static void destroy(void *self)
{
    (void)self;
}

static const struct mappo_env_spec *spec(const void *self)
{
    return (const struct mappo_env_spec *)self;
}

static int observe(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io)
{
    (void)self;
    for (int32_t e = lo; e < hi; e++) io->group[0].obs[e] = 0;
    return 0;
}

static int reset(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    (void)error;
    end(RESET);
    return observe(self, lo, hi, io);
}

static int step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    (void)error;
    end(STEP);
    for (int32_t e = lo; e < hi; e++) io->group[0].reward[e] = io->ep_end[e] = 0;
    return observe(self, lo, hi, io);
}

static int snapshot(const void *self, int32_t e, void *bytes)
{
    (void)self, (void)e;
    end(SNAPSHOT);
    memset(bytes, 0, 1);
    return 0;
}

static int restore(void *self, int32_t e, const void *bytes, struct mappo_env_error *error)
{
    (void)self, (void)e, (void)bytes, (void)error;
    return 0;
}

const uint32_t mappo_env_abi = MAPPO_ENV_ABI;
const struct mappo_env mappo_env_plugin = {.struct_size = sizeof(struct mappo_env),
                                           .id = "test/ends",
                                           .summary = "brings the process down",
                                           .version = 1,
                                           .option = options,
                                           .create = create,
                                           .destroy = destroy,
                                           .spec = spec,
                                           .reset = reset,
                                           .step = step,
                                           .snapshot = snapshot,
                                           .restore = restore,
                                           .observe = observe};
