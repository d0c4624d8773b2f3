/* A vecenv is what learners step: one batch of an environment with its wrappers, wherever it steps.
 *
 * Shapes and time are those of mappo_env.h. The caller points `io` into its rollout, slice by slice, and the data land there. Wrappers
 * (wrappers.h, wrap.h) are chosen by the configuration and keep per-environment bytes of their own, which travel in the snapshots. Ownership: the vecenv owns the instance and the episode statistics; io's arrays are the caller's. Errors:
 * exit codes (EXIT_USAGE for names and options, EXIT_ENVIRONMENT for what happens while stepping) with the environment named. */
#ifndef MAPPO_ENV_VECENV_H
#define MAPPO_ENV_VECENV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "env/mappo_env.h"

struct env_option { /* env.NAME=VALUE as the user wrote it */
    const char *name, *value;
};

struct vecenv_config {
    const char *name;                /* id or alias of an environment or variant, or the path of a plugin (has a slash and ends in .so) */
    const struct env_option *option; /* `options` of them; those not given are as the variant says, or keep their defaults */
    int options;
    int32_t envs;       /* of this rank */
    uint32_t first_env; /* global index of the first */
    uint64_t seed;
    int32_t stream; /* PHILOX_ENVIRONMENT or PHILOX_EVALUATION */
    int threads;
    int32_t horizon;     /* steps between two reports or calls of vecenv_take_episodes: room is made for envs * horizon episodes; 0 = 1 */
    int32_t report;      /* episodes that a report lists at most; 0 = all there is room for */
    int32_t time_limit;  /* wrapper: truncate after that many steps; 0 = off */
    bool rescale_action; /* wrapper: the policy's [-1, 1] is stretched over each bounded Box head */
    bool squash_action;  /* wrapper: tanh of the policy's real numbers, stretched so */
    bool clip_action;    /* wrapper: Box actions are clipped to their bounds */

    /* Wrappers of env/wrap.h; 0 (and 1, of a count or scale) = off. */
    int32_t action_repeat;                 /* steps of the environment that an action is taken for */
    float clip_reward, scale_reward;       /* |reward| at most; factor */
    int32_t team_reward;                   /* enum team_reward: of all agents of a team, for each of them */
    const char *hide_obs;                  /* numbers of the observation that agents don't see: "2,5-7,wolf:0"; NULL = none */
    float clip_obs;                        /* |number| at most */
    int32_t stack_obs;                     /* observations that are seen at once */
    bool last_action, agent_id, time_left; /* more numbers of the observation */
    int32_t discretise_action;             /* choices of each number of a Box */
    float sticky_action;                   /* probability that an agent's last action is taken again */
    float noise_action;                    /* deviation of what is added to real actions while training … */
    int32_t noise_hold;                    /* … and for how many steps one draw is added */
};
enum team_reward { TEAM_NONE, TEAM_SUM, TEAM_MEAN }; /* in the order of wrap.team_reward */

struct vecenv;

int vecenv_open(struct vecenv **env, const struct vecenv_config *config, struct error *err);
void vecenv_close(struct vecenv *env); /* NULL is allowed */

const struct mappo_env *vecenv_descriptor(const struct vecenv *env);
const struct mappo_env_spec *vecenv_spec(const struct vecenv *env);     /* as the learner sees it, wrappers applied */
const struct mappo_env_spec *vecenv_own_spec(const struct vecenv *env); /* as the environment itself has it: bounds of its actions */
const char *vecenv_options(const struct vecenv *env);                   /* "N=3 rules=mpe2 …": all of them, defaults too */
bool vecenv_squashes(const struct vecenv *env); /* real actions are numbers whose tanh is stretched over the bounds (policy.squash) */
const char *vecenv_wrappers(const struct vecenv *env);        /* "environment -> time limit 9 -> statistics …"; "" where none acts */
const char *vecenv_options_changed(const struct vecenv *env); /* "N=5": those that are not the defaults */
uint64_t vecenv_identity(const struct vecenv *env);           /* what a run and its snapshots belong to (env/identity.h) */
uint64_t vecenv_hash(const struct vecenv *env);               /* of id, version, options, spec and wrappers: compared between ranks */
int32_t vecenv_envs(const struct vecenv *env);

/* Widths of a group, derived once from its spaces. */
struct group_sizes {
    int32_t agents;    /* A */
    int32_t obs;       /* D */
    int32_t logits;    /* L: integer heads */
    int32_t act_ints;  /* Ki */
    int32_t act_reals; /* Kr */
};
struct group_sizes group_sizes(const struct mappo_group *group);

int vecenv_reset(struct vecenv *env, const struct mappo_env_io *io, struct error *err);
int vecenv_step(struct vecenv *env, const struct mappo_env_io *io, struct error *err);
/* The same in two parts over a range, so that half of the environments can step while the other half is inferred. On the host, called from
 * inside a caller's parallel region, `begin` steps its range on the calling thread, disjoint ranges at the same time; `end` waits where the
 * range steps elsewhere, lists the ended episodes and is for one thread at a time. */
int vecenv_step_begin(struct vecenv *env, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err);
int vecenv_step_end(struct vecenv *env, int32_t lo, int32_t hi, struct error *err);
/* Whether the first part only begins a step that then goes on by itself, so that two ranges can be under way at the same time. */
bool vecenv_steps_elsewhere(const struct vecenv *env);
/* Steps are counted from 0 again (struct episode): for a caller that lets environments take different numbers of them, before they all go on. On
 * the host. */
void vecenv_count_anew(struct vecenv *env);
/* Writes obs, state, active and act_mask of the present state (after vecenv_restore). An environment without `observe` is reset instead. */
int vecenv_observe(struct vecenv *env, const struct mappo_env_io *io, struct error *err);

/* Where the environments step (env/place.h): on threads of this process, unless they were moved or joined. The arrays of io may lie
 * anywhere in its memory; on a device they are the device's; and where the place owns its memory, they lie in what vecenv_memory has given
 * out: zeroed, until vecenv_close. */
bool vecenv_on_device(const struct vecenv *env);
bool vecenv_owns_memory(const struct vecenv *env);
void *vecenv_memory(struct vecenv *env, size_t bytes);

/* Moves the batch to a device, right after it was opened: from then on reset, observe and step take arrays of the device in io and return
 * before it has worked, and a step is of all environments. Steps may be recorded and replayed. The device's backend must stay open;
 * attaching again leaves the one before.
 * False where that can't be: everything stays as it was, and why [size] says so in a few words ("mine/env: it has no kernels"). */
struct env_device_ops;
struct backend;
bool vecenv_attach(struct vecenv *env, const struct env_device_ops *ops /* backend->environments */, struct backend *backend, char *why,
                   size_t size);
/* On a device: what ends of episodes tell of the last `horizon` steps, where they are not as the spec says. May be recorded. first (the
 * device's): 4 (t E + e) + an enum verify_ends for the least t and e, or UINT64_MAX. */
void vecenv_find_wrong_end(struct vecenv *env, uint64_t *first);

/* An error of environment e (< 0: not known which) in the form of errors while stepping: id, global number, text. Returns code. */
int vecenv_error(const struct vecenv *env, int code, int32_t e, const char *text, struct error *err);

bool vecenv_can_script(const struct vecenv *env);
/* The scripted player's actions of environments [lo, hi) in their present states, into the action arrays of io that are not NULL. */
int vecenv_script(struct vecenv *env, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct error *err);

/* Draws the present state of environment e. EXIT_USAGE where the environment can't be drawn. */
int vecenv_draw(const struct vecenv *env, int32_t e, const struct mappo_canvas *canvas, struct error *err);

/* The same of how the episode that ended last looked then, where one environment is open and tells. False: it does not. */
bool vecenv_can_draw_ended(const struct vecenv *env);
int vecenv_draw_ended(const struct vecenv *env, const struct mappo_canvas *canvas, struct error *err);

/* Snapshots of environments [lo, hi), instance and wrappers: bytes [hi - lo][vecenv_snapshot_bytes], which is 0 where the environment has
 * none. What was restored is there with the next step, and seen after vecenv_observe. */
size_t vecenv_snapshot_bytes(const struct vecenv *env);
int vecenv_snapshot(const struct vecenv *env, int32_t lo, int32_t hi, void *bytes, struct error *err);
int vecenv_restore(struct vecenv *env, int32_t lo, int32_t hi, const void *bytes, struct error *err);
/* Makes snapshots [count] of the identity `theirs` our own: for a caller that knows it to mean these very environments. */
void vecenv_adopt(const struct vecenv *env, uint64_t theirs, void *bytes, int64_t count);

/* Episode statistics. An ended episode is reported once, in the order (step, environment). */
struct episode {
    uint64_t step;  /* steps its environment had taken when it ended: the same on every rank, so lists of ranks can be merged */
    uint32_t env;   /* global index */
    int32_t length; /* steps */
    int32_t end;    /* MAPPO_TERMINATED or MAPPO_TRUNCATED */
    float group_return[MAPPO_MAX_GROUPS]; /* sum over steps of the mean over agents of the reward */
};
/* What is reported as the return: of the team that a run is about, mean over its agents. */
double episode_return(const struct mappo_env_spec *spec, int team, const struct episode *episode);
int32_t episode_return_agents(const struct mappo_env_spec *spec, int team); /* those agents: times them it is the sum over agents */
/* Takes at most `max` off the list, oldest first, and returns how many; beyond the room of config.horizon the oldest were dropped. Not on a
 * device. */
int vecenv_take_episodes(struct vecenv *env, struct episode *out, int max);
/* Averages of the info columns since the last call: sum [infos] and count [infos]. Not on a device. */
void vecenv_take_info(struct vecenv *env, double *sum, double *count);

/* What ended since the last report, for a loop that does not wait for a device: it is asked for between two steps (at most VECENV_REPORTS
 * times in advance) and read once the device has come so far, which the caller makes sure of. */
enum { VECENV_REPORTS = 2 };
struct env_report {
    int64_t ended;           /* episodes; on a device those of more than `horizon` steps ago are not counted */
    int32_t listed;          /* the last of them: at most config.report */
    struct episode *episode; /* [listed] in the order (step, environment) */
    double *info;            /* [2][infos] sums and counts of the info columns */
};                           /* both arrays belong to the vecenv, until VECENV_REPORTS more reports are begun */
void vecenv_report_begin(struct vecenv *env);
struct env_report vecenv_report_end(struct vecenv *env);

#endif
