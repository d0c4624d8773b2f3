#include "run/pod_env.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "algo/collect.h"
#include "base/event.h"
#include "base/text.h"
#include "comm/watchdog.h"
#include "env/crew.h"
#include "env/place.h"
#include "env/slices.h"
#include "run/stop.h"

enum call { CALL_RESET, CALL_OBSERVE, CALL_STEP, CALL_SCRIPT, CALL_SNAPSHOT, CALL_RESTORE, CALL_INFO, CALL_CLOSE };

/* Broadcast by the leader before anything is opened. */
struct plan {
    bool opens; /* else the members are dismissed with `code` */
    int code, stages;
    struct open_env_config batch; /* of the pod */
};

/* ---- what lies in the window --------------------------------------------------------------------------------------------------------- */

struct command {
    struct event given; /* counts commands */
    int call;
    int32_t lo, hi;         /* environments of the pod */
    struct mappo_env_io io; /* addresses of the leader */
    char *memory;           /* the window's address there */
};

struct answer {
    struct event given; /* counts answers */
    int code;
    char text[1024];
};

/* Environments of the pod, cut: part (stage, member) is number stage * members + member, and they lie in this order. */
struct part {
    int number, first, count;
    struct vecenv *env; /* of this rank's; NULL where count = 0 */
};

struct pod_env {
    struct pod *pod;
    struct open_env_config batch;
    int stages;
    struct part *part; /* [stages] of this rank */
    const struct mappo_env_spec *spec;
    struct slice_strides strides;
    struct slices arrays;
    size_t snapshot_bytes;
    ptrdiff_t moved;       /* from the leader's addresses of the window to ours */
    unsigned calls;        /* so far */
    struct episode *taken; /* [largest part] scratch */
    char (*whom)[64];      /* [members] for the watchdog */
    const struct comm_device *device;
    bool registered;

    /* the window: */
    struct command *command;
    struct answer *answer;      /* [members] */
    uint8_t *ended;             /* [E] */
    struct episode *last;       /* [E] */
    double *info;               /* [parts][2][infos] sums, counts */
    unsigned char *snapshots;   /* [E][snapshot_bytes] */
    size_t slices, slices_used; /* bytes for pod_env_slices behind all these */
};

static size_t slice_bytes(const struct pod_env *p)
{
    size_t bytes = 0;
    for (int i = 0; i < p->arrays.count; i++) bytes += pod_room((size_t)p->batch.envs.count * p->arrays.slice[i].bytes);
    return bytes;
}

/* The same on every rank of the pod. */
static int open_window(struct pod_env *p, struct error *err)
{
    const size_t envs = (size_t)p->batch.envs.count, members = (size_t)p->pod->members;
    const size_t parts = (size_t)p->stages * members, infos = (size_t)p->spec->infos;
    const size_t bytes[] = {sizeof *p->command,     members * sizeof *p->answer,         envs,
                            envs * sizeof *p->last, parts * 2 * infos * sizeof *p->info, envs * p->snapshot_bytes};
    size_t all = p->slices = slice_bytes(p);
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) all += pod_room(bytes[i]);
    const int code = pod_memory_open(p->pod, all, err);
    if (code) return code;
    p->command = pod_take(p->pod, bytes[0]);
    p->answer = pod_take(p->pod, bytes[1]);
    p->ended = pod_take(p->pod, bytes[2]);
    p->last = pod_take(p->pod, bytes[3]);
    p->info = pod_take(p->pod, bytes[4]);
    p->snapshots = pod_take(p->pod, bytes[5]);
    return 0;
}

/* ---- this rank's parts --------------------------------------------------------------------------------------------------------------- */

static struct comm_part stage_part(const struct pod_env *p, int stage)
{
    const int lo = collect_stage_first(p->batch.envs.count, p->stages, stage);
    return (struct comm_part){lo, collect_stage_first(p->batch.envs.count, p->stages, stage + 1) - lo};
}

static int open_parts(struct pod_env *p, const struct config *config, struct error *err)
{
    int code = 0, largest = 1;
    p->part = calloc((size_t)p->stages, sizeof *p->part);
    CHECK(p->part, "out of memory while opening a pod's environments");
    for (int s = 0; s < p->stages && !code; s++) {
        const struct comm_part stage = stage_part(p, s), mine = comm_part(stage.count, p->pod->member, p->pod->members);
        struct part *part = &p->part[s];
        *part = (struct part){.number = s * p->pod->members + p->pod->member, .first = stage.first + mine.first, .count = mine.count};
        struct open_env_config batch = p->batch;
        batch.envs = (struct comm_part){p->batch.envs.first + part->first, part->count};
        batch.horizon = 1; /* episodes go into the window after every step */
        if (part->count > 0) code = open_env(&part->env, config, &batch, err);
        if (part->count > largest) largest = part->count;
    }
    /* A rank without environments looks at one all the same: it must know how large everything is. */
    if (!code && !p->part[0].env) code = open_env_alone(&p->part[0].env, config, err);
    if (code) return code;
    p->spec = vecenv_spec(p->part[0].env);
    p->snapshot_bytes = vecenv_snapshot_bytes(p->part[0].env);
    slice_strides_of(&p->strides, p->spec);
    slices_of(&p->arrays, p->spec);
    p->taken = calloc((size_t)largest, sizeof *p->taken);
    CHECK(p->taken, "out of memory while opening a pod's environments");
    return 0;
}

/* Episodes that ended with the step that `part` has just taken. */
static void give_episodes(struct pod_env *p, const struct part *part)
{
    const int count = vecenv_take_episodes(part->env, p->taken, part->count);
    for (int i = 0; i < count; i++) {
        const size_t e = (size_t)p->taken[i].env - (size_t)p->batch.envs.first;
        p->last[e] = p->taken[i];
        p->ended[e] = 1;
    }
}

static int step_part(struct pod_env *p, const struct part *part, int lo, int hi, const struct mappo_env_io *io, struct error *err)
{
    int code = vecenv_step_begin(part->env, lo, hi, io, err);
    if (!code) code = vecenv_step_end(part->env, lo, hi, err);
    if (!code) give_episodes(p, part);
    return code;
}

/* One command, for what of environments [lo, hi) one of this rank's parts has; `io` begins at the part. */
static int serve_part(struct pod_env *p, const struct part *part, int call, int lo, int hi, const struct mappo_env_io *io,
                      struct error *err)
{
    const size_t infos = (size_t)p->spec->infos;
    double *info = p->info + (size_t)part->number * 2 * infos;
    lo = lo > part->first ? lo - part->first : 0;
    hi = hi < part->first + part->count ? hi - part->first : part->count;
    if (lo >= hi) return 0;
    unsigned char *snapshots = p->snapshots + (size_t)(part->first + lo) * p->snapshot_bytes;
    switch (call) {
    case CALL_RESET:
        memset(p->ended + part->first, 0, (size_t)part->count);
        return vecenv_reset(part->env, io, err);
    case CALL_OBSERVE:
        return vecenv_observe(part->env, io, err);
    case CALL_STEP:
        return step_part(p, part, lo, hi, io, err);
    case CALL_SCRIPT:
        return vecenv_script(part->env, lo, hi, io, err);
    case CALL_SNAPSHOT:
        return vecenv_snapshot(part->env, lo, hi, snapshots, err);
    case CALL_RESTORE:
        return vecenv_restore(part->env, lo, hi, snapshots, err);
    case CALL_INFO:
        vecenv_take_info(part->env, info, info + infos);
        return 0;
    default:
        return 0;
    }
}

static int serve(struct pod_env *p, int call, int lo, int hi, const struct mappo_env_io *io, struct error *err)
{
    int code = 0;
    for (int s = 0; s < p->stages && !code; s++) {
        struct mappo_env_io here = {.struct_size = sizeof here};
        slices_at(&here, io, &p->strides, p->spec->groups, p->part[s].first);
        code = serve_part(p, &p->part[s], call, lo, hi, &here, err);
    }
    return code;
}

static void close_here(struct pod_env *p)
{
    for (int s = 0; s < p->stages && p->part; s++) vecenv_close(p->part[s].env);
    pod_memory_close(p->pod);
    free(p->part);
    free(p->taken);
    free(p->whom);
    free(p);
}

/* Collective within the pod: parts, then the window. All fail alike. */
static int open_here(struct pod_env **out, struct pod *pod, const struct config *config, const struct plan *plan, struct error *err)
{
    struct pod_env *p = *out = calloc(1, sizeof *p);
    CHECK(p, "out of memory while opening a pod's environments");
    p->pod = pod;
    p->batch = plan->batch;
    p->stages = plan->stages;
    int code = comm_vote(pod->ranks, open_parts(p, config, err), err);
    if (!code) code = open_window(p, err);
    if (!code) return 0;
    close_here(p);
    *out = NULL;
    return code;
}

/* ---- the leader ---------------------------------------------------------------------------------------------------------------------- */

static void *moved(const struct pod_env *p, const void *address)
{
    if (!address) return NULL;
    char *here = (char *)(uintptr_t)address + p->moved;
    CHECK(here >= p->pod->memory && here < p->pod->memory + p->pod->bytes, "environments of a pod are to write outside its window");
    return here;
}

/* Addresses of the leader to those of this rank; on the leader only checks that they lie in the window. */
static void move_io(const struct pod_env *p, struct mappo_env_io *io)
{
    for (int i = 0; i < p->arrays.count; i++) {
        const struct slice *slice = &p->arrays.slice[i];
        slice_point(io, slice, moved(p, slice_array(io, slice)));
    }
}

/* Waits for a member's answer to the last command. No sign of life for the watchdog: a member that hangs ends the run through it. */
static void await_answer(struct pod_env *p, int member)
{
    const struct pod *pod = p->pod;
    struct event *given = &p->answer[member].given;
    watchdog_waiting_for(p->whom[member]);
    while (!event_await(given, p->calls - 1, pod->spin, 0.5))
        if (!pod_alive(pod, member))
            die(EXIT_PEERS,
                "rank %d, which steps environments for this one, has ended; the same command (without --fresh) continues from the last "
                "checkpoint",
                pod->rank[member]);
    watchdog_waiting_for(NULL);
}

/* A command to all ranks of the pod. The first that failed prints its error. */
static int call_all(struct pod_env *p, int call, int lo, int hi, const struct mappo_env_io *io, struct error *err)
{
    struct command *command = p->command;
    static const struct mappo_env_io none = {.struct_size = sizeof none};
    command->call = call;
    command->lo = lo;
    command->hi = hi;
    command->io = io ? *io : none;
    move_io(p, &command->io);
    const struct mappo_env_io mine = command->io;
    p->calls++;
    event_raise(&command->given);
    int code = serve(p, call, lo, hi, &mine, err);
    for (int m = 1; m < p->pod->members; m++) {
        await_answer(p, m);
        const struct answer *answer = &p->answer[m];
        if (answer->code && !code) code = error_set(err, answer->code, "%s", answer->text);
    }
    return code;
}

/* The same for all environments. */
static int call_for_all(struct pod_env *p, int call, const struct mappo_env_io *io, struct error *err)
{
    return call_all(p, call, 0, p->batch.envs.count, io, err);
}

static int pod_env_reset(void *self, const struct mappo_env_io *io, struct error *err)
{
    return call_for_all(self, CALL_RESET, io, err);
}

static int pod_env_observe(void *self, const struct mappo_env_io *io, struct error *err)
{
    return call_for_all(self, CALL_OBSERVE, io, err);
}

static int pod_env_step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    return call_all(self, CALL_STEP, lo, hi, io, err);
}

static int pod_env_script(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err)
{
    return call_all(self, CALL_SCRIPT, lo, hi, io, err);
}

static void pod_env_take_info(void *self, double *sum, double *count)
{
    struct pod_env *p = self;
    const int infos = p->spec->infos, parts = p->stages * p->pod->members;
    if (infos == 0) return;
    call_for_all(p, CALL_INFO, NULL, NULL);
    for (int k = 0; k < infos; k++) {
        sum[k] = count[k] = 0;
        for (int i = 0; i < parts; i++) {
            sum[k] += p->info[(size_t)i * 2 * (size_t)infos + (size_t)k];
            count[k] += p->info[((size_t)i * 2 + 1) * (size_t)infos + (size_t)k];
        }
    }
}

static int pod_env_snapshot(void *self, int32_t lo, int32_t hi, void *bytes, struct error *err)
{
    struct pod_env *p = self;
    const int code = call_all(p, CALL_SNAPSHOT, lo, hi, NULL, err);
    if (!code) memcpy(bytes, p->snapshots + (size_t)lo * p->snapshot_bytes, (size_t)(hi - lo) * p->snapshot_bytes);
    return code;
}

static int pod_env_restore(void *self, int32_t lo, int32_t hi, const void *bytes, struct error *err)
{
    struct pod_env *p = self;
    memcpy(p->snapshots + (size_t)lo * p->snapshot_bytes, bytes, (size_t)(hi - lo) * p->snapshot_bytes);
    memset(p->ended + lo, 0, (size_t)(hi - lo));
    return call_all(p, CALL_RESTORE, lo, hi, NULL, err);
}

static void *pod_env_memory(void *self, size_t bytes)
{
    struct pod_env *p = self;
    p->slices_used += pod_room(bytes);
    CHECK(p->slices_used <= p->slices, "a pod's window has room for %zu bytes of slices, %zu are wanted", p->slices, p->slices_used);
    return pod_take(p->pod, bytes);
}

static void pod_env_close(void *self)
{
    struct pod_env *p = self;
    if (p->registered) p->device->host_unregister(p->device->self, p->pod->memory);
    call_for_all(p, CALL_CLOSE, NULL, NULL); /* the members wait for the next one */
    close_here(p);
}

static const struct env_place_ops env_place_pod = {.why_fixed = "several ranks step it",
                                                   .close = pod_env_close,
                                                   .reset = pod_env_reset,
                                                   .observe = pod_env_observe,
                                                   .step = pod_env_step,
                                                   .snapshot = pod_env_snapshot,
                                                   .restore = pod_env_restore,
                                                   .take_info = pod_env_take_info,
                                                   .script = pod_env_script,
                                                   .memory = pod_env_memory};

static int join(struct vecenv **env, struct pod_env *p, struct error *err)
{
    const struct env_place place = {.ops = &env_place_pod, .self = p, .ended = p->ended, .last = p->last};
    const struct vecenv_config config = {.envs = p->batch.envs.count,
                                         .first_env = (uint32_t)p->batch.envs.first,
                                         .horizon = (int32_t)p->batch.horizon,
                                         .report = p->batch.report};
    p->whom = calloc((size_t)p->pod->members, sizeof *p->whom);
    CHECK(p->whom, "out of memory while opening a pod's environments");
    for (int m = 0; m < p->pod->members; m++)
        text_format(p->whom[m], sizeof *p->whom, "rank %d, which steps environments", p->pod->rank[m]);
    p->command->memory = p->pod->memory;
    return vecenv_join(env, &place, p->part[0].env, &config, err);
}

int pod_env_open(struct vecenv **env, struct pod *pod, const struct config *config, const struct open_env_config *batch, int stages,
                 const struct comm_device *device, struct error *err)
{
    struct plan plan = {.opens = true, .stages = stages, .batch = *batch};
    struct pod_env *p;
    comm_tell(pod->ranks, &plan, sizeof plan);
    int code = open_here(&p, pod, config, &plan, err);
    if (code) return code;
    if ((code = join(env, p, err))) {
        pod_env_close(p);
        return code;
    }
    p->device = device;
    p->registered = device && device->host_register && device->host_register(device->self, pod->memory, pod->bytes) == 0;
    if (device && !p->registered)
        warn("the GPU's driver does not take a pod's shared memory as pinned: copies from and to it will be slow");
    return 0;
}

void pod_dismiss(struct pod *pod, int code)
{
    if (!pod || pod->members == 1) return;
    struct plan plan = {.code = code};
    comm_tell(pod->ranks, &plan, sizeof plan);
}

/* ---- members ------------------------------------------------------------------------------------------------------------------------- */

/* Who is told to stop here tells the leader, who knows how. Once is enough. */
static void pass_on_stop(const struct pod *pod, struct stop *stop, bool *told)
{
    struct comm alone = {.size = 1};
    if (*told || pod->process[0] == 0) return;
    const int code = stop_agreed(stop, &alone, NULL, 0);
    if (!code) return;
    *told = true;
    kill(pod->process[0], code == EXIT_STOPPED ? SIGTERM : SIGUSR1);
}

static void await_command(struct pod_env *p, struct stop *stop, bool *told)
{
    watchdog_phase("waiting for the pod's leader");
    pass_on_stop(p->pod, stop, told); /* where commands come fast, the wait below always succeeds */
    while (!event_await(&p->command->given, p->calls, p->pod->spin, 0.5)) {
        /* The leader may learn as long as it likes: its own watchdog looks after it, unless the whole process stands still. */
        if (!pod_frozen(p->pod, 0)) watchdog_sign();
        pass_on_stop(p->pod, stop, told);
        if (!pod_alive(p->pod, 0)) _exit(EXIT_PEERS);
    }
    p->calls++;
}

struct serving {
    struct pod_env *p;
    struct stop *stop;
    bool *told;
};

static int serve_commands(void *self)
{
    const struct serving *serving = self;
    struct pod_env *p = serving->p;
    const struct command *command = p->command;
    struct answer *answer = &p->answer[p->pod->member];
    struct error err;
    for (int call = CALL_RESET; call != CALL_CLOSE;) {
        await_command(p, serving->stop, serving->told);
        watchdog_phase("stepping environments");
        struct mappo_env_io io = command->io;
        p->moved = p->pod->memory - command->memory;
        move_io(p, &io);
        call = command->call;
        err = (struct error){.code = 0};
        answer->code = serve(p, call, command->lo, command->hi, &io, &err);
        text_format(answer->text, sizeof answer->text, "%s", err.text);
        event_raise(&answer->given);
    }
    return 0;
}

int pod_serve(struct pod *pod, const struct config *config, const struct placement *placement)
{
    struct stop *stop;
    struct error err = {0};
    bool told = false;
    int code = stop_open(&stop, 0, 0, NULL, &err);
    if (code) die_error(&err);
    for (;;) {
        struct plan plan;
        struct pod_env *p;
        while (!comm_told(pod->ranks, &plan, sizeof plan, 0.5)) {
            pass_on_stop(pod, stop, &told);
            if (!pod_alive(pod, 0)) _exit(EXIT_PEERS);
        }
        code = plan.code;
        if (!plan.opens) break;
        plan.batch.threads = placement->threads;
        watchdog_phase("opening environments");
        watchdog_start(config->comm_watchdog_seconds);
        const bool open = open_here(&p, pod, config, &plan, &err) == 0; /* else the leader failed with the same error and prints it */
        if (open) crew_attend(placement->may_spin ? placement->threads : 1, serve_commands, &(struct serving){p, stop, &told});
        watchdog_stop();
        if (open) close_here(p);
    }
    stop_close(stop);
    return code;
}
