#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "algo/schedule.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/philox.h"
#include "base/text.h"
#include "base/version.h"
#include "comm/openmp.h"
#include "comm/watchdog.h"
#include "env/registry.h"
#include "run/parts.h"
#include "run/stored.h"

/* ---- which configuration ------------------------------------------------------------------------------------------------------------ */

/* Rank 0. The checkpoint's configuration, with what was given now and may change; refuses what may not. */
static int continue_config(struct config *config, const struct checkpoint *file, const char *path, struct error *err)
{
    struct config *then = malloc(sizeof *then);
    CHECK(then, "out of memory while comparing configurations");
    char differs[600];
    /* 0 asks for what the run began with. */
    if (config->adam_schedule_steps == 0) config->origin[KEY_adam_schedule_steps] = ORIGIN_DEFAULT;
    int code = stored_config(then, file, path, err);
    if (!code && config_differences(config, then, differs, sizeof differs))
        code = error_set(err, EXIT_USAGE,
                         "%s was made with other settings (%s): leave them out to continue it, choose another folder with run=DIR, or "
                         "start again with --fresh (moves the old run aside)",
                         path, differs);
    for (int k = 0; k < config_key_count && !code; k++) {
        const bool now = config->origin[k] > ORIGIN_CHECKPOINT || config->origin[k] == ORIGIN_PRESET || (config_keys[k].flags & NOT_STORED);
        if (!now || !(config_keys[k].flags & CHANGEABLE)) continue;
        char text[CONFIG_TEXT], key[96];
        config_value(config, k, text, sizeof text);
        text_format(key, sizeof key, "%s.%s", config_keys[k].section, config_keys[k].name);
        code = config_set(then, key, text, config->origin[k], "continuing", err);
    }
    if (!code) memcpy(config, then, sizeof *config);
    free(then);
    return code;
}

/* ---- what must fit together ------------------------------------------------------------------------------------------------------- */

static int check_ranks(const struct config *c, const struct comm *comm, struct error *err)
{
    const long long envs = c->rollout_envs, shards = c->comm_shards;
    if (comm->size > envs)
        return error_set(err, EXIT_USAGE, "%d ranks for %lld environments: raise rollout.envs to at least %d, or start fewer ranks",
                         comm->size, envs, comm->size);
    if (!c->comm_reproducible) return 0;
    if (shards % comm->size)
        return error_set(err, EXIT_USAGE,
                         "comm.reproducible: %d ranks don't divide comm.shards=%lld; start a number of ranks that does, or set comm.shards",
                         comm->size, shards);
    if (envs % shards)
        return error_set(err, EXIT_USAGE, "comm.reproducible: comm.shards=%lld doesn't divide rollout.envs=%lld", shards, envs);
    return 0;
}

/* ---- opening ----------------------------------------------------------------------------------------------------------------------- */

static int choose_level(struct trainer *t, struct error *err)
{
    /* Ranks on mixed nodes must agree on one instruction level: other vector widths give other last bits. */
    double lowest = cpu_level_detect();
    comm_min_double(t->comm, &lowest, 1);
    t->level = (int)lowest;
    if (t->config->cpu_level > 0) {
        const int wanted = t->config->cpu_level - 1; /* the key's choices: auto, then the levels */
        if (wanted > t->level)
            return error_set(err, EXIT_USAGE, "cpu.level=%s: %s has %s at most", cpu_level_name(wanted),
                             t->comm->size > 1 ? "some rank's machine" : "this machine", cpu_level_name(t->level));
        t->level = wanted;
    }
    return 0;
}

static int open_learning(struct trainer *t, struct error *err)
{
    const struct config *c = t->config;
    int code;
    t->comm->shards = c->comm_reproducible ? (int)c->comm_shards : 0;
    t->learning.pod = t->pod;
    if ((code = comm_vote(t->comm, choose_level(t, err), err))) return code;
    if ((code = learning_backend(&t->learning, c, t->comm, t->placement.threads, t->level, err))) return code;
    if ((code = comm_vote(t->comm, learning_open(&t->learning, c, t->comm, err), err))) return code;
    if (evaluates(c))
        code = evaluator_create(&t->evaluator, c, t->learning.algorithm->policy, t->learning.backend, t->comm, t->placement.threads, err);
    return comm_vote(t->comm, code, err);
}

/* Who learns and who steps environments for it. All ranks. */
static int form_pods(struct trainer *t, struct error *err)
{
    const struct config *c = t->config;
    placement_find(&t->placement, t->comm, (int)c->train_threads);
    int code = comm_vote(t->comm, openmp_start_threads(t->placement.threads, err), err);
    if (!code) code = pod_open(&t->pod, t->comm, (int)c->comm_pod, learning_devices(c), err);
    if (code) return code;
    t->comm = t->pod->leaders;
    return 0;
}

/* What must be the same on all ranks before the first message that assumes it. */
static int agree(struct trainer *t, struct error *err)
{
    int code = comm_agree(t->comm, "the program (another binary)", version_program_hash(), err);
    /* The folder and --fresh are no settings of the training, but of one run all the same. */
    const uint64_t settings = hash_text(config_hash(t->config), t->config->run_dir) + t->args->fresh;
    if (!code) code = comm_agree(t->comm, "the configuration", settings, err);
    return code;
}

/* Rank 0: config.ini beside the results. */
static int write_config(struct trainer *t, struct error *err)
{
    char *text = NULL, path[sizeof t->path + 32];
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory while writing config.ini");
    int code = config_write(t->config, out, err);
    fclose(out);
    text_format(path, sizeof path, "%s/config.ini", t->path);
    if (!code) code = file_replace(path, &(struct file_part){text, size}, 1, err);
    free(text);
    return code;
}

/* Damaged checkpoints that are newer than `path`: left under their names, the next pruning would keep them and drop whole ones. */
static void reject_damaged(const struct folder *folder, const char *path)
{
    enum { MOST = 4096 };
    struct checkpoint_name *name = calloc(MOST, sizeof *name);
    CHECK(name, "out of memory while listing checkpoints");
    const int count = checkpoint_list(folder_path(folder), name, MOST);
    for (int i = 0; i < count && strcmp(strrchr(path, '/') + 1, name[i].name); i++) folder_reject(folder, name[i].name);
    free(name);
}

/* A run was here that got beyond its start. */
static bool has_metrics(const char *folder)
{
    char path[CONFIG_TEXT + 96];
    struct stat found;
    text_format(path, sizeof path, "%s/metrics.jsonl", folder);
    return stat(path, &found) == 0 && found.st_size > 0;
}

/* Rank 0: takes the folder and looks for a checkpoint to continue from. A folder that does not exist yet is made later, when all else is
 * known to be right. */
static int find_run(struct trainer *t, struct checkpoint **file, struct error *err)
{
    config_run_folder(t->config, t->path, sizeof t->path);
    if (!file_exists(t->path)) return 0;
    int code = folder_open(&t->folder, t->path, err);
    if (code || t->args->fresh) return code;
    char path[sizeof t->path + 64];
    if ((code = stored_newest(t->path, file, path, sizeof path, err))) return code;
    if (!*file)
        return has_metrics(t->path) ? error_set(err, EXIT_CHECKPOINT,
                                                "%s has a run's metrics but none of its checkpoints (step-*.h5): put one back, or start "
                                                "again with --fresh (moves the folder aside)",
                                                t->path)
                                    : 0;
    const char *level = checkpoint_attribute(*file, "instruction_level");
    text_format(t->stored_level, sizeof t->stored_level, "%s", level ? level : "");
    code = continue_config(t->config, *file, path, err);
    if (!code) reject_damaged(t->folder, path);
    return code;
}

/* Rank 0: the folder of a new run. */
static int make_folder(struct trainer *t, struct error *err)
{
    char moved[sizeof t->path + 16] = "";
    int code = 0;
    if (t->args->fresh && t->folder) {
        folder_close(t->folder);
        t->folder = NULL;
        if ((code = folder_set_aside(t->path, moved, sizeof moved, err))) return code;
        if (moved[0]) warn("--fresh: the old run is now %s", moved);
    }
    if (t->folder) return 0;
    code = folder_open(&t->folder, t->path, err);
    if (!code && has_metrics(t->path))
        code = error_set(err, EXIT_USAGE, "%s: another run began there meanwhile; the same command again continues it", t->path);
    return code;
}

static int open_log(struct trainer *t, struct error *err)
{
    char path[sizeof t->path + 32];
    text_format(path, sizeof path, "%s/log.txt", t->path);
    t->log = fopen(path, "ae");
    if (!t->log) return error_set(err, EXIT_USAGE, "%s: can't be written", path);
    check_log(t->log);
    t->progress = progress_create(t->args->quiet || t->args->json, t->comm->launcher[0] != 0, t->log, vecenv_spec(t->learning.env)->rules);
    return write_config(t, err);
}

/* Rank 0: who computes on which GPU. Other models round otherwise. */
static void say_gpus(const struct trainer *t)
{
    const struct comm *comm = t->comm;
    bool mixed = false;
    for (int r = 0; r < comm->size; r++) {
        const struct comm_gpu_report *gpu = &comm->gpu[r];
        progress_say(t->progress, "rank %d on %s: %s, %s", t->pod->leader_rank ? t->pod->leader_rank[r] : r, gpu->host, gpu->name,
                     gpu->uuid);
        mixed = mixed || strcmp(gpu->name, comm->gpu[0].name) != 0;
    }
    if (mixed && t->config->comm_reproducible)
        warn("comm.reproducible: the ranks' GPUs are of several models, and results on other models may differ in the last bits");
}

static void say_pods(const struct trainer *t)
{
    if (t->pod->members == 1) return;
    progress_say(t->progress, "%d rank%s of %d learn%s; %s", t->comm->size, t->comm->size == 1 ? "" : "s", t->pod->world->size,
                 t->comm->size == 1 ? "s" : "",
                 t->learning.pod_env ? "the others step environments for them"
                                     : "the others have nothing to do, because environments step on the device: start one rank a "
                                       "GPU, or let all step them on the host with cuda.environments=0");
}

static void say_what_runs(const struct trainer *t, bool continued)
{
    const struct mappo_env_spec *spec = vecenv_spec(t->learning.env);
    char advice[512] = "";
    progress_say(t->progress, "%s", version_line());
    progress_say(t->progress, "%s on %s (%s)", t->learning.algorithm->ops->name, vecenv_descriptor(t->learning.env)->id,
                 vecenv_options(t->learning.env));
    progress_say(t->progress, "%lld environments x %lld steps x %d agents on %d %s x %d %s (%s); %s; MPI: %s",
                 (long long)t->config->rollout_envs, (long long)t->config->rollout_steps, t->agents, t->comm->size,
                 t->comm->size > 1 ? "ranks" : "rank", t->placement.threads, t->placement.threads > 1 ? "threads" : "thread",
                 t->placement.reason, t->learning.backend->detail, t->comm->library);
    if (openmp_ignored()[0]) progress_say(t->progress, "%s: ignored, threads run on all cores that the job permits", openmp_ignored());
    if (t->learning.why_cpu[0]) progress_say(t->progress, "computing on the CPU: %s", t->learning.why_cpu);
    if (t->learning.where[0]) progress_say(t->progress, "%s", t->learning.where);
    if (t->learning.memory[0]) progress_say(t->progress, "%s", t->learning.memory);
    const char *way = comm_way_text(t->comm);
    if (way[0]) progress_say(t->progress, "%s", way);
    if (t->comm->rank == 0 && t->comm->gpu) say_gpus(t);
    say_pods(t);
    if (t->placement.advice[0]) progress_say(t->progress, "advice: %s", t->placement.advice);
    comm_advice(t->comm, (int)t->config->rollout_envs, (int)t->config->rollout_steps, advice, sizeof advice);
    if (advice[0]) progress_say(t->progress, "advice: %s", advice);
    progress_say(t->progress, "return: %s", spec->return_help ? spec->return_help : "sum of rewards of an episode");
    if (continued)
        progress_say(t->progress, "continuing %s at update %lld, %lld env-steps", t->path, (long long)t->standing.update,
                     (long long)t->standing.env_steps);
    else
        progress_say(t->progress, "new run in %s", t->path);
    if (!t->env_bytes) progress_say(t->progress, "this environment has no snapshots: a continued run starts its episodes afresh");
}

static void count_agents(struct trainer *t)
{
    const struct mappo_env_spec *spec = vecenv_spec(t->learning.env);
    t->agents = 0;
    for (int g = 0; g < spec->groups; g++) t->agents += spec->group[g].agents;
}

/* Rank 0: libhdf5 makes the file in memory, beside copies of what is saved, and crashes where there is none. */
static int check_room_to_save(const struct trainer *t, struct error *err)
{
    enum { COPIES = 4, LIBRARY = 16000000 };
    struct field_list list = state_file_fields(t);
    size_t bytes = LIBRARY;
    for (int i = 0; i < list.count; i++) bytes += COPIES * field_bytes(&list.field[i]);
    free(list.field);
    if (memory_room(bytes)) return 0;
    return error_set(err, EXIT_USAGE,
                     "not enough memory: saving a checkpoint needs %.4g GB more than this process may have (ulimit -v, or the machine); "
                     "raise the limit, or use fewer threads (threads=N) or environments (rollout.envs)",
                     (double)bytes * 1e-9);
}

/* train.init: a new run from another's networks. */
static int take_networks(struct trainer *t, struct error *err)
{
    struct checkpoint *file = NULL;
    char path[CONFIG_TEXT + 64];
    int code = comm_vote(t->comm, t->comm->rank == 0 ? stored_open(t->config->train_init, false, &file, path, sizeof path, err) : 0, err);
    if (!code) code = stored_load_networks(t->learning.algorithm, file, t->comm, err);
    if (code) error_prefix(err, "train.init");
    checkpoint_close(file);
    return code;
}

/* State of a new run, or the checkpoint's. */
static int take_state(struct trainer *t, const struct checkpoint *file, bool continued, struct error *err)
{
    int code;
    state_list(t);
    t->standing.best_env_steps = -1;
    t->standing.best_return = NAN;
    if (t->config->adam_schedule != SCHEDULE_CONSTANT) {
        /* Written out, so that config.ini says what is in force and raising train.env_steps later changes nothing. */
        if (!t->config->adam_schedule_steps) t->config->adam_schedule_steps = t->config->train_env_steps;
        t->standing.schedule_steps = t->config->adam_schedule_steps;
    }
    if (continued) {
        if ((code = state_load(t, file, err))) return code;
        return 0;
    }
    return t->config->train_init[0] ? take_networks(t, err) : 0;
}

int trainer_open(struct trainer *t, enum start_outcome *outcome, struct error *err)
{
    struct checkpoint *file = NULL;
    int code;
    *outcome = START_NEW;
    watchdog_phase("opening the run");
    if ((code = agree(t, err))) goto done;
    if (t->comm->rank == 0) code = find_run(t, &file, err);
    int continued = file != NULL;
    if ((code = comm_vote(t->comm, code, err))) goto done;
    comm_broadcast(t->comm, &continued, sizeof continued);
    comm_broadcast(t->comm, t->config, sizeof *t->config);
    comm_broadcast(t->comm, t->path, sizeof t->path);
    if ((code = form_pods(t, err))) goto done;
    if (t->pod->member > 0) {
        *outcome = START_MEMBER;
        goto done;
    }
    if ((code = check_ranks(t->config, t->comm, err))) goto done;
    if ((code = open_learning(t, err))) goto done;
    if ((code = comm_agree(t->comm, "the environment", vecenv_hash(t->learning.env), err))) goto done;
    count_agents(t);
    const struct metrics_config metrics = {(int)t->config->metrics_window, t->learning.envs.count * (int)t->config->rollout_steps};
    t->metrics = metrics_create(&metrics, vecenv_spec(t->learning.env), t->comm);
    if ((code = take_state(t, file, continued, err))) goto done;
    if (continued) {
        *outcome = t->standing.env_steps >= t->config->train_env_steps && !t->evaluation_due ? START_FINISHED : START_CONTINUED;
        if (*outcome == START_FINISHED) goto done;
    }
    if (t->comm->rank == 0) {
        code = check_room_to_save(t, err);
        if (!code) code = make_folder(t, err);
        if (!code) code = open_log(t, err);
        if (!code) code = metrics_open(t->metrics, t->path, t->standing.metrics_offset, err);
    }
    if ((code = comm_vote(t->comm, code, err))) goto done;
    if ((code = stop_open(&t->stop, t->config->train_max_seconds, t->config->train_stop_margin, t->comm->rank == 0 ? t->path : NULL, err)))
        goto done;
    if (continued && t->comm->rank == 0 && t->stored_level[0] && strcmp(t->stored_level, cpu_level_name(t->level)))
        warn("this run was made at instruction level %s and goes on at %s: results may differ in the last bits", t->stored_level,
             cpu_level_name(t->level));
    if (t->evaluator) evaluator_heed(t->evaluator, t->stop);
    learning_warn_idle(&t->learning, t->config, t->comm);
    say_what_runs(t, continued);
    code = comm_vote(t->comm, t->learning.algorithm->ops->begin(t->learning.algorithm, continued && t->env_bytes, err), err);
done:
    checkpoint_close(file);
    return code;
}

void trainer_close(struct trainer *t, int code)
{
    state_close(t);
    stop_close(t->stop);
    metrics_destroy(t->metrics);
    evaluator_destroy(t->evaluator);
    learning_close(&t->learning);
    if (t->pod && t->pod->member == 0) pod_dismiss(t->pod, code);
    progress_destroy(t->progress);
    folder_close(t->folder);
    check_log(NULL);
    if (t->log) fclose(t->log);
    free(t->due_line);
    free(t->fields.field);
    free(t->env_state);
    free(t->env_state_all);
    free(t->env_sizes);
    pod_close(t->pod);
}
