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
#include "env/float_math.h"
#include "env/options.h"
#include "env/registry.h"
#include "run/open_env.h"
#include "run/own_files.h"
#include "run/trainer_work.h"
#include "run/saved_run.h"

/* ---- which configuration ------------------------------------------------------------------------------------------------------------ */

/* Rank 0. The checkpoint's configuration, with what was given now and may change; refuses what may not. */
static int continue_config(struct config *config, const struct checkpoint *file, const char *path, struct error *err)
{
    struct config *then = malloc(sizeof *then);
    CHECK(then, "out of memory while comparing configurations");
    char differs[600];
    /* These ask for what the run began with. */
    if (config->adam_schedule_steps == 0) config->origin[KEY_adam_schedule_steps] = ORIGIN_DEFAULT;
    if (config->norm_obs == OBS_AUTO) config->origin[KEY_norm_obs] = ORIGIN_DEFAULT;
    int code = saved_run_config(then, file, path, err);
    if (!code) saved_run_plain_options(then, config->env_name);
    if (!code && config_differences(config, then, &config_continuing, differs, sizeof differs))
        code = error_set(err, EXIT_USAGE,
                         "%s was made with other settings (%s): leave them out to continue it, choose another folder with run=DIR, or "
                         "start again with --fresh (moves the old run aside)",
                         path, differs);
    for (int k = 0; k < config_key_count && !code; k++) {
        const bool now = config->origin[k] > ORIGIN_CHECKPOINT || config->origin[k] == ORIGIN_PRESET || (config_keys[k].flags & NOT_STORED);
        if (!now || !(config_keys[k].flags & CHANGEABLE)) continue;
        char text[CONFIG_TEXT], key[96];
        config_value(config, k, text, sizeof text);
        config_full_name(k, key, sizeof key);
        code = config_set(then, key, text, config->origin[k], "continuing", err);
    }
    for (int i = 0; i < config->env_options && !code; i++) {
        const struct config_option *option = &config->env_option[i];
        char key[128];
        if (!option->changeable || !config_is_explicit(option->origin)) continue;
        text_format(key, sizeof key, "env.%s", option->name);
        code = config_set(then, key, option->value, option->origin, "continuing", err);
    }
    for (int i = 0; i < then->env_options; i++)
        for (int k = 0; k < config->env_options; k++)
            if (strcmp(then->env_option[i].name, config->env_option[k].name) == 0)
                then->env_option[i].changeable = config->env_option[k].changeable;
    /* The same environment, maybe from another place. */
    if (!code && config_is_explicit(config->origin[KEY_env_name]))
        code = config_set(then, "env.name", config->env_name, config->origin[KEY_env_name], "continuing", err);
    if (!code) code = saved_run_find_env(then, path, err);
    if (!code) memcpy(config, then, sizeof *config);
    free(then);
    return code;
}

/* ---- what must fit together ------------------------------------------------------------------------------------------------------- */

int trainer_check_ranks(const struct config *c, const struct comm *comm, struct error *err)
{
    const long long envs = c->rollout_envs, shards = c->comm_shards;
    if (comm->size > envs)
        return error_set(err, EXIT_USAGE, "%d ranks for %lld environment%s: raise rollout.envs to at least %d, or start fewer ranks",
                         comm->size, envs, envs == 1 ? "" : "s", comm->size);
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

int trainer_choose_level(struct trainer *t, struct error *err)
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

/* A replay is so large that it is saved seldom. */
static void decide_seconds(struct trainer *t)
{
    enum { BETWEEN_REPLAYS = 600 };
    if (trainer_saves_replay(t) && t->config->origin[KEY_checkpoint_seconds] == ORIGIN_DEFAULT)
        t->config->checkpoint_seconds = BETWEEN_REPLAYS;
}

static int open_learning(struct trainer *t, struct error *err)
{
    const struct config *c = t->config;
    int code;
    t->comm->shards = c->comm_reproducible ? (int)c->comm_shards : 0;
    t->learning.pod = t->pod;
    t->learning.may_spin = t->placement.may_spin;
    if ((code = comm_vote(t->comm, trainer_choose_level(t, err), err))) return code;
    if ((code = learning_backend(&t->learning, c, t->comm, t->placement.threads, t->level, err))) return code;
    if ((code = comm_vote(t->comm, learning_open(&t->learning, c, t->comm, err), err))) return code;
    t->config->norm_obs = policies_norm_obs(c, vecenv_spec(t->learning.env)); /* a run has one or the other, and keeps it */
    decide_seconds(t);
    if (plays_episodes(c))
        code = evaluator_create(&t->evaluator, c, t->learning.policies, t->learning.backend, t->comm, t->placement.threads, err);
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

/* Another build of the program or of a plugin on some rank: that is how the ranks were started, and trying again would not help. */
static int agree_on(struct trainer *t, const char *what, uint64_t hash, struct error *err)
{
    const int code = comm_agree(t->comm, what, hash, err);
    if (code && err) err->code = EXIT_USAGE;
    return code ? EXIT_USAGE : 0;
}

/* What must be the same on all ranks before the first message that assumes it: rank 0's settings are everybody's from then on. */
static int agree(struct trainer *t, struct error *err)
{
    struct config *first = malloc(sizeof *first);
    CHECK(first, "out of memory while comparing configurations");
    char differs[600];
    int code = t->comm->size > 1 ? agree_on(t, "the program (another binary)", version_program_hash(), err) : 0;
    *first = *t->config;
    if (!code) {
        comm_broadcast(t->comm, first, sizeof *first);
        const int count = config_differences(t->config, first, &config_everything, differs, sizeof differs);
        if (count)
            error_set(err, EXIT_USAGE, "rank %d on %s was started with %s: all ranks need the same settings", t->comm->rank, t->comm->host,
                      differs);
        code = comm_vote(t->comm, count ? EXIT_USAGE : 0, err);
    }
    free(first);
    return code;
}

/* A run was here that got beyond its start. */
static bool has_metrics(const char *folder)
{
    char path[CONFIG_TEXT + 96];
    struct stat found;
    text_format(path, sizeof path, "%s/metrics.jsonl", folder);
    return stat(path, &found) == 0 && found.st_size > 0;
}

/* Rank 0: latest.h5 and best.h5 name what the run goes on from, whatever was renamed or damaged meanwhile. */
static int point_links(const struct trainer *t, const struct checkpoint *file, struct error *err)
{
    struct checkpoint_name best;
    const int code = folder_point(t->folder, "latest.h5", t->newest, err);
    if (code || saved_run_best(t->path, file, &best, NULL)) return code;
    return folder_point(t->folder, "best.h5", best.name, err);
}

/* Rank 0: what the checkpoint says of the run that goes on. */
static int continue_run(struct trainer *t, const struct checkpoint *file, const char *path, struct error *err)
{
    text_format(t->newest, sizeof t->newest, "%s", strrchr(path, '/') + 1);
    const char *level = checkpoint_attribute(file, "instruction_level");
    text_format(t->saved_level, sizeof t->saved_level, "%s", level ? level : "");
    const char *rounding = checkpoint_attribute(file, "rounding");
    t->other_rounding = !rounding || atoi(rounding) != FLOAT_MATH_ROUNDING;
    return continue_config(t->config, file, path, err);
}

/* Rank 0: a checkpoint that is no good, and its replay. */
static void reject(const struct trainer *t, const struct checkpoint_name *name)
{
    char path[sizeof t->path + 64];
    const struct replay_file_name replay = replay_file_name(name->env_steps);
    folder_reject(t->folder, name->name);
    text_format(path, sizeof path, "%s/%s", t->path, replay.text);
    if (file_exists(path)) folder_reject(t->folder, replay.text);
}

/* Rank 0. One that is not saved any more is read all the same, if it can be. */
static void look_for_replay(struct trainer *t, const struct checkpoint *file, const char *path)
{
    struct error why = {0};
    if (t->config->replay_save) {
        t->replay_missing = !t->replay && replay_file_missing(file, path);
    } else if (replay_file_missing(file, path)) {
        text_format(t->replay_lost, sizeof t->replay_lost, "that of %s is not there any more", path);
    } else if (replay_file_open(&t->replay, file, path, &why)) {
        text_format(t->replay_lost, sizeof t->replay_lost, "of replay.save=0, and %.300s", why.text);
    }
}

int trainer_check_replay(const struct trainer *t, enum start start, struct error *err)
{
    if (!t->replay_missing || start == START_FINISHED) return 0;
    return error_set(
        err, EXIT_CHECKPOINT,
        "%s/%s: the run had reached its end, and to go on it needs its replay %s, which is not there any more: put it back, or "
        "replay.save=0 goes on with an empty one",
        t->path, t->newest, replay_file_name(t->standing.env_steps).text);
}

/* Rank 0: takes the folder and looks for a checkpoint to continue from. A folder that does not exist yet is made later, when all else is
 * known to be right. */
static int find_run(struct trainer *t, struct checkpoint **file, struct error *err)
{
    config_run_folder(t->config, t->path, sizeof t->path);
    int code = folder_check(t->path, t->args->fresh, err);
    if (code || !file_exists(t->path)) return code;
    if (!t->args->dry_run) code = folder_open(&t->folder, t->path, err);
    if (code || t->args->fresh) return code;
    char path[sizeof t->path + 64];
    struct saved_run_names damaged = {0};
    code = saved_run_newest(t->path, file, path, sizeof path, t->config->replay_save ? &t->replay : NULL, &damaged, err);
    if (!code && *file) look_for_replay(t, *file, path);
    if (!code && *file) code = continue_run(t, *file, path, err);
    /* Left under their names, the next pruning would keep these and drop whole ones. */
    for (int i = 0; i < damaged.count && !code && t->folder; i++) reject(t, &damaged.name[i]);
    free(damaged.name);
    if (code || *file) return code;
    return has_metrics(t->path) ? error_set(err, EXIT_CHECKPOINT,
                                            "%s has a run's metrics but none of its checkpoints (step-*.h5): put one back, or start "
                                            "again with --fresh (moves the folder aside)",
                                            t->path)
                                : 0;
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
        config_run_folder(t->config, t->path, sizeof t->path); /* of a folder that was named by the old rule */
    }
    if (t->folder) return 0;
    char older[sizeof t->path];
    if (!t->args->fresh && config_older_folder(t->config, older, sizeof older))
        warn("%s may be an older run of this plugin, from where it lay before: run=%s continues it, this is a new one", older, older);
    code = folder_open(&t->folder, t->path, err);
    if (!code && has_metrics(t->path))
        code = error_set(err, EXIT_USAGE, "%s: another run began there meanwhile; the same command again continues it", t->path);
    return code;
}

static int open_log(struct trainer *t, bool continued, struct error *err)
{
    text_format(t->log_path, sizeof t->log_path, "%s/log.txt", t->path);
    const int code = own_file_open(&t->log, t->log_path, err);
    if (code) return code;
    check_log(t->log);
    t->progress = progress_create(t->args->quiet || t->args->json, t->comm->launcher[0] != 0, t->log, vecenv_spec(t->learning.env)->rules);
    if (t->args->label[0]) progress_label(t->progress, t->args->label);
    return own_config_write(t->path, t->config, t->args, continued, err);
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
                 vecenv_on_device(t->learning.env) ? "the others have nothing to do, because environments step on the device: start one "
                                                     "rank a GPU, or let all step them on the host with cuda.environments=0"
                                                   : "the others step environments for them");
}

/* Learning rates reach their end where the run was first meant to end: steps beyond that learn nothing. */
static void warn_of_rate_0(const struct trainer *t)
{
    const struct config *c = t->config;
    if (!what_is_annealed(c) || t->standing.schedule_steps >= c->train_env_steps || t->comm->rank) return;
    warn("what is annealed (%s) has reached its end at adam.schedule_steps=%lld, and train.env_steps=%lld goes further%s; "
         "adam.schedule_steps=%lld "
         "moves its end",
         what_is_annealed(c), (long long)t->standing.schedule_steps, (long long)c->train_env_steps,
         c->adam_schedule ? ": nothing is learned there" : "", (long long)c->train_env_steps);
}

/* A layer norm takes two numbers' worth away, mean and size: most of what so few tell. */
static void advise_feature_norm(const struct trainer *t)
{
    enum { FEW = 4 };
    const struct policies *policies = t->learning.policies;
    for (int g = 0; g < policies->groups; g++) {
        const struct policy *policy = policies->group[g];
        if (!policy_network(policy, ROLE_ACTOR)->feature_norm || config_follows_reference(t->config) || policy->sizes.obs > FEW) continue;
        progress_say(t->progress,
                     "advice: policy.feature_norm=on leaves little of the %d number%s that group \"%s\" observes, and such tasks have been "
                     "seen not to be learned with it: policy.feature_norm=off in a new run (docs/env-abi.md)",
                     policy->sizes.obs, policy->sizes.obs == 1 ? "" : "s", policy->name);
        return;
    }
}

static void say_self_play(const struct config *config, const char *group, char *line, size_t size)
{
    text_format(line + strlen(line), size - strlen(line),
                "%sgroup %s plays itself: in %g %% of environments one of up to %s past selves acts (one more after every %s updates)",
                *line ? "; " : "", group, 100 * config_group_number(config, group, GROUP_pool_share),
                config_group(config, group, GROUP_pool), config_group(config, group, GROUP_pool_interval));
}

/* One line of groups that are not as the others. */
static void say_groups(const struct trainer *t)
{
    char line[1024] = "";
    for (int g = 0; g < t->learning.policies->groups; g++) {
        const struct policy *policy = t->learning.policies->group[g];
        const int algo = config_group_algo(t->config, policy->name);
        const char *play = config_group(t->config, policy->name, GROUP_play), *separator = *line ? "; " : "";
        if (!policy_learns(policy))
            text_format(line + strlen(line), sizeof line - strlen(line), "%sgroup %s is played by %s and learns nothing", separator,
                        policy->name, policy->player == PLAY_SCRIPTED ? "the script" : play);
        else if (algo != t->config->algo_name)
            text_format(line + strlen(line), sizeof line - strlen(line), "%sgroup %s learns by %s", separator, policy->name,
                        algorithms[algo].name);
        if (policy->player == PLAY_SELF) say_self_play(t->config, policy->name, line, sizeof line);
    }
    if (*line) progress_say(t->progress, "%s", line);
}

/* Two replays stay beside their checkpoints while another is written. */
static void say_replay(const struct trainer *t)
{
    if (!t->folder || !t->learning.algorithm->ops->replay) return;
    const double bytes = (double)replay_file_bytes(&t->learning, t->config->rollout_envs), room = file_room(t->path);
    char full[32], three[32], left[32];
    text_bytes(full, sizeof full, bytes);
    text_bytes(three, sizeof three, 3 * bytes);
    text_bytes(left, sizeof left, room);
    if (t->replay_empty)
        warn("the replay begins empty, because %s: it is filled anew before it is learned from",
             !t->env_bytes       ? "this environment has no snapshots and its episodes begin anew"
             : t->replay_lost[0] ? t->replay_lost
                                 : "none was saved with this checkpoint");
    if (!t->config->replay_save) return;
    progress_say(t->progress, "the replay takes %s when it is full, and up to %s of the disk, on which %s are left", full, three, left);
    if (room + folder_replay_bytes(t->folder) < 2 * bytes)
        warn("%s has no room for two replays of %s: once they are full they can't be saved any more; make room, or leave them out with "
             "replay.save=0",
             t->path, full);
}

static void say_what_runs(const struct trainer *t, bool continued)
{
    const struct mappo_env_spec *spec = vecenv_spec(t->learning.env);
    char advice[512] = "";
    progress_say(t->progress, "%s", version_line());
    char title[OPTIONS_TEXT]; /* only options that are no defaults: all of them stand in config.ini */
    open_env_title(t->config, t->learning.env, title, sizeof title);
    progress_say(t->progress, "%s on %s", t->learning.algorithm->name, title);
    say_groups(t);
    progress_say(t->progress, "%lld environments x %lld steps%s x %d agents on %d %s x %d %s (%s); %s; MPI: %s",
                 (long long)t->config->rollout_envs, (long long)t->learning.algorithm->horizon,
                 t->config->rollout_unit ? " and to the end of an episode" : "", t->agents, t->comm->size,
                 t->comm->size > 1 ? "ranks" : "rank", t->placement.threads, t->placement.threads > 1 ? "threads" : "thread",
                 t->placement.reason, t->learning.backend->detail, t->comm->library);
    if (openmp_ignored()[0]) progress_say(t->progress, "%s: ignored, threads run on all cores that the job permits", openmp_ignored());
    if (t->learning.why_cpu[0]) progress_say(t->progress, "computing on the CPU: %s", t->learning.why_cpu);
    if (t->learning.where[0]) progress_say(t->progress, "%s", t->learning.where);
    if (t->learning.memory[0]) progress_say(t->progress, "%s", t->learning.memory);
    if (t->learning.algorithm->note[0]) progress_say(t->progress, "%s", t->learning.algorithm->note);
    const char *way = comm_way_text(t->comm);
    if (way[0]) progress_say(t->progress, "%s", way);
    if (t->comm->rank == 0 && t->comm->gpu) say_gpus(t);
    say_pods(t);
    if (t->placement.advice[0]) progress_say(t->progress, "advice: %s", t->placement.advice);
    comm_advice(t->comm, (int)t->config->rollout_envs, (int)t->learning.algorithm->horizon, advice, sizeof advice);
    if (advice[0]) progress_say(t->progress, "advice: %s", advice);
    advise_feature_norm(t);
    progress_say(t->progress, "return: %s", spec->return_help ? spec->return_help : "sum of rewards of an episode");
    if (continued)
        progress_say(t->progress, "continuing %s at update %lld, %lld env-steps", t->path, (long long)t->standing.update,
                     (long long)t->standing.env_steps);
    else
        progress_say(t->progress, "new run in %s", t->path);
    say_replay(t);
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
    struct field_list list = trainer_file_fields(t);
    size_t bytes = LIBRARY;
    for (int i = 0; i < list.count; i++) bytes += COPIES * field_bytes(&list.field[i]);
    free(list.field);
    if (memory_room(bytes)) return 0;
    return error_set(err, EXIT_USAGE,
                     "not enough memory: saving a checkpoint needs %.4g GB more than this process may have (ulimit -v, or the machine); "
                     "raise the limit, or use fewer threads (threads=N) or environments (rollout.envs)",
                     (double)bytes * 1e-9);
}

static bool learns_from_replay(const struct config *config)
{
    const char *name = algorithms[config->algo_name].name;
    return strcmp(name, "maddpg") == 0 || strcmp(name, "ddpg") == 0;
}

/* train.init: a new run from another's networks. */
static int take_networks(struct trainer *t, struct error *err)
{
    struct checkpoint *file = NULL;
    char path[CONFIG_TEXT + 64];
    char differs[600] = "";
    int code = t->comm->rank == 0 ? saved_run_open_networks(t->config->train_init, false, &file, path, sizeof path, err) : 0;
    if (!code && file) code = saved_run_differences(t->config, file, path, differs, sizeof differs, err);
    code = comm_vote(t->comm, code, err);
    if (!code) code = saved_run_load_networks(t->learning.policies, t->config, file, path, differs, t->comm, err);
    if (code) error_prefix(err, "train.init");
    if (!code && file && t->config->maddpg_twin && learns_from_replay(t->config))
        warn("train.init: the second critics of maddpg.twin begin anew: %s is taken with one critic of each agent", path);
    if (!code && differs[0]) warn("train.init: %s was trained with %s: its networks may mean something else here", path, differs);
    if (!code && file) saved_run_warn_plugin(file, path, t->config, vecenv_descriptor(t->learning.env));
    checkpoint_close(file);
    return code;
}

/* What a new run has from others. */
int trainer_take_first_networks(struct trainer *t, struct error *err)
{
    const int code = t->config->train_init[0] ? take_networks(t, err) : 0;
    return code ? code : saved_run_load_actors(t->learning.policies, t->config, t->comm, err);
}

/* State of a new run, or the checkpoint's. */
static int take_state(struct trainer *t, const struct checkpoint *file, bool continued, struct error *err)
{
    int code;
    trainer_list_fields(t);
    t->standing.best_env_steps = -1;
    t->standing.best_return = NAN;
    if (what_is_annealed(t->config)) {
        /* Written out, so that config.ini says what is in force and raising train.env_steps later changes nothing. */
        if (!t->config->adam_schedule_steps) t->config->adam_schedule_steps = t->config->train_env_steps;
        t->standing.schedule_steps = t->config->adam_schedule_steps;
    }
    if (continued) {
        if (file) saved_run_warn_plugin(file, t->path, t->config, vecenv_descriptor(t->learning.env));
        if ((code = trainer_load(t, file, err))) return code;
        if (what_is_annealed(t->config)) t->standing.schedule_steps = t->config->adam_schedule_steps; /* may have moved */
        return 0;
    }
    return trainer_take_first_networks(t, err);
}

/* By the ranks that would learn: those that lead pods, where there are such. */
static int rehearse(struct trainer *t, const struct checkpoint *file, bool continued, enum start *start, struct error *err)
{
    struct comm *all = t->comm;
    int code = pod_open(&t->pod, all, (int)t->config->comm_pod, learning_devices(t->config), err);
    if (code) return code;
    if (t->pod->member > 0) {
        *start = START_MEMBER;
    } else {
        t->comm = t->pod->leaders;
        code = comm_vote(t->comm, trainer_rehearse(t, file, continued, start, err), err);
    }
    return comm_vote(all, code, err);
}

int trainer_open(struct trainer *t, enum start *start, struct error *err)
{
    struct checkpoint *file = NULL;
    int code;
    *start = START_NEW;
    watchdog_phase("opening the run");
    if ((code = agree(t, err))) goto done;
    if (t->comm->rank == 0) code = find_run(t, &file, err);
    int continued = file != NULL;
    if ((code = comm_vote(t->comm, code, err))) goto done;
    comm_broadcast(t->comm, &continued, sizeof continued);
    comm_broadcast(t->comm, t->config, sizeof *t->config);
    comm_broadcast(t->comm, t->path, sizeof t->path);
    if (t->args->dry_run) {
        code = rehearse(t, file, continued, start, err);
        goto done;
    }
    if ((code = form_pods(t, err))) goto done;
    if (t->pod->member > 0) {
        *start = START_MEMBER;
        goto done;
    }
    if ((code = trainer_check_ranks(t->config, t->comm, err))) goto done;
    watchdog_phase("opening environments and learner");
    watchdog_start(t->config->comm_watchdog_seconds); /* of all ranks */
    if ((code = open_learning(t, err))) goto done;
    watchdog_phase("opening the run");
    if ((code = agree_on(t, "the environment", vecenv_hash(t->learning.env), err))) goto done;
    count_agents(t);
    const struct metrics_config metrics = {.window = (int)t->config->metrics_window,
                                           .max_episodes = t->learning.envs.count * (int)t->learning.algorithm->horizon,
                                           .sum = t->config->metrics_return == RETURN_SUM,
                                           .team = policies_team(t->learning.policies, vecenv_spec(t->learning.env)),
                                           .all_count = t->config->train_episodes > 0};
    t->metrics = metrics_create(&metrics, vecenv_spec(t->learning.env), t->comm);
    if ((code = take_state(t, file, continued, err))) goto done;
    if (continued) {
        *start = trainer_finished(t) && !t->evaluation_due ? START_FINISHED : START_CONTINUED;
        if (*start == START_FINISHED && t->comm->rank == 0) own_config_check(t->path, t->config);
        if (*start == START_FINISHED) goto done;
    }
    if (t->comm->rank == 0) {
        code = trainer_check_replay(t, *start, err);
        if (!code) code = check_room_to_save(t, err);
        if (!code) code = make_folder(t, err);
        if (!code && file) code = point_links(t, file, err);
        if (!code) code = open_log(t, continued, err);
        if (!code) code = metrics_open(t->metrics, t->path, t->standing.metrics_offset, t->standing.update - t->evaluation_due, err);
        if (!code && t->config->metrics_tensorboard)
            code = metrics_open_tensorboard(t->metrics, t->path, t->standing.env_steps, t->config, err);
    }
    if ((code = comm_vote(t->comm, code, err))) goto done;
    if ((code = stop_open(&t->stop, t->config->train_max_seconds, t->config->train_stop_margin, t->comm->rank == 0 ? t->path : NULL, err)))
        goto done;
    if (continued && t->comm->rank == 0 && t->saved_level[0] && strcmp(t->saved_level, cpu_level_name(t->level)))
        warn("this run was made at instruction level %s and goes on at %s: results may differ in the last bits", t->saved_level,
             cpu_level_name(t->level));
    if (continued && t->comm->rank == 0 && t->other_rounding)
        warn("this run was made by a program that rounds exp and log1p of rules otherwise: environments that use them (mpe/simple_spread) "
             "go on with other last bits than there");
    if (t->evaluator) evaluator_heed(t->evaluator, t->stop);
    learning_warn(&t->learning, t->config, t->comm);
    warn_of_rate_0(t);
    say_what_runs(t, continued);
    watchdog_phase("starting the environments");
    code = comm_vote(t->comm, t->learning.algorithm->ops->begin(t->learning.algorithm, continued && t->env_bytes, err), err);
done:
    checkpoint_close(file);
    return code;
}

void trainer_close(struct trainer *t, int code)
{
    watchdog_stop();
    trainer_close_save(t);
    stop_close(t->stop);
    metrics_destroy(t->metrics);
    evaluator_destroy(t->evaluator);
    learning_close(&t->learning);
    if (t->pod && t->pod->member == 0 && !t->args->dry_run) pod_dismiss(t->pod, code); /* they serve */
    progress_destroy(t->progress);
    folder_close(t->folder);
    check_log(NULL);
    if (t->log) fclose(t->log);
    free(t->due_line);
    pod_close(t->pod);
}
