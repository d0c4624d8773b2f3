/* mappo_env.h: the environment interface, version 2.
 *
 * An environment is a batch of E independent copies ("environments") of one problem, created together. A descriptor, `struct mappo_env`,
 * holds constants and functions. Built-in environments are listed in envs/envs.def; a plugin is a shared object that exports
 *
 *     const uint32_t         mappo_env_abi = MAPPO_ENV_ABI;   read before anything is called
 *     const struct mappo_env mappo_env_plugin = { ... };
 *
 * Few write this by hand: env/lane_env.h makes a descriptor from the rules of one copy (docs/env-abi.md).
 *
 * WHO OWNS WHAT. The host owns every array; the environment fills and reads slices of them and keeps no pointer after a call returns. All
 * arrays are dense, row-major, and begin at environment 0 of the batch. Axes: E environments, A agents of a group, D numbers of an
 * observation, L logits, Ki integer and Kr real numbers of an action, S numbers of a state. An array that is NULL is not wanted: don't
 * write it. Every number of an array that is wanted is written, and is finite, for each agent at each step, whether the agent acts or not
 * (but for final_obs and final_state, which are written where an episode ends, and info, where NaN says that there is no value).
 *
 * TIME. `step` reads the actions of time t and writes
 *     reward [E][A], terminated [E][A]   what followed from the actions of time t, for each agent
 *     ep_end [E]                         MAPPO_RUNNING, MAPPO_TERMINATED or MAPPO_TRUNCATED
 *     info [E][infos]                    named numbers of this step
 *     final_obs, final_state             what was seen last of the old episode; written only where ep_end != 0
 *     obs, state, active, act_mask       what the agents see, who acts, and what is allowed at time t + 1. Where ep_end != 0 these already
 *                                        belong to the new episode: the environment resets itself in the same step.
 * `reset` begins a new episode and `observe` shows the present one: both write obs, state, active and act_mask, and nothing else.
 *
 * ENDS. ep_end is the whole environment's: the episode is over for all agents of all groups, whether they act or not.
 *     MAPPO_TERMINATED   nothing follows: the value of what comes after is 0 for every agent, whatever `terminated` says
 *     MAPPO_TRUNCATED    a time limit, by the environment or from outside: learners bootstrap from final_obs and final_state, except for
 *                        agents with terminated = 1. A limit that is part of the problem, which agents can see coming, terminates.
 * Where both happen in one step the environment says which one counts, as its source does. terminated [a] = 1 ends agent a's own return at
 * this step while the others go on: no later reward is credited to what it did before. It is 0 at all other steps, also while the agent
 * stays away.
 *
 * ABSENT. An agent with active = 0 at time t (dead, not there yet, or not its turn) takes no action at time t: what stands in its action
 * arrays is arbitrary, so don't use it, not even as an index. Learners of rollouts (PPO and its kin) leave its row out of policy and value
 * losses; those of a replay (MADDPG, DDPG) out of the actor's loss alone, since a critic of single steps values the steps before by it. Its
 * reward of the step counts all the same: in the return that is reported, and for those of its earlier actions that came after its last
 * terminated = 1.
 *     not its turn, or dead in a team that fights on for a common reward   active = 0, terminated = 0
 *     dead for good, or away until it appears anew: nothing later is its   active = 0, and terminated = 1 in the step in which it went
 * Its observation, state and mask are written as for all others: the source's values where it says what they are, else zeros, and ones for
 * the mask. A mask allows at least one choice in each component of an agent that acts; for others it may allow none. Nobody need act: a
 * step in which all wait is a step. Without MAPPO_HAS_ACTIVE or MAPPO_HAS_MASK the host fills those arrays with ones and the environment
 * leaves them alone.
 *
 * ORDER. `create`, then `spec`. The first call for each environment is `reset`, or `restore`, which no reset follows: it goes on where the
 * snapshot was taken. Then all others may come, in any order; `destroy` may come at any time.
 *
 * RANGES. `reset`, `step`, `observe` and `script` work on environments [lo, hi). Disjoint ranges may run at the same time on different
 * threads, so an environment shares no mutable state between copies and has no globals. All other calls come one at a time.
 *
 * RANDOMNESS. Draw only from Philox keyed by (config->seed, config->stream, config->first_env + e): then results depend neither on the
 * number of ranks and threads nor on how a batch is cut. base/philox.h has it; `struct philox` is plain data and belongs into the snapshot.
 *
 * ERRORS. Functions return 0, or non-zero after filling *error. An environment never prints, exits or raises a signal.
 *
 * C11 and C++17, host and device. */
#ifndef MAPPO_ENV_H
#define MAPPO_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "base/episode_end.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MAPPO_ENV_ABI 2u

enum { MAPPO_MAX_GROUPS = 8, MAPPO_MAX_HEADS = 4 };

/* ---- spaces ----------------------------------------------------------------------------------------------- */

enum mappo_space_kind {
    MAPPO_BOX = 1,        /* `size` real numbers, each within [low, high] */
    MAPPO_DISCRETE,       /* one integer: start … start + n - 1 */
    MAPPO_MULTI_DISCRETE, /* `size` integers, component i: start[i] … start[i] + n[i] - 1 */
    MAPPO_MULTI_BINARY    /* `size` integers, each 0 or 1 */
};

/* What one number means, for `mappo envs` and reports. */
struct mappo_meaning {
    const char *name; /* "velocity x", or the name of one choice: "move_left" */
    const char *unit; /* "m/s"; NULL where there is none */
};

/* One head of an observation or action. In observations a Discrete head is one-hot (n numbers), MultiDiscrete the one-hots one after the
 * other, MultiBinary `size` zeros and ones. In actions integer heads fill the integer array (values include `start`), Box heads the real
 * array. Logits: n per Discrete, the sum of n for MultiDiscrete, `size` for MultiBinary (the mask forbids the 1), none for Box. */
struct mappo_space {
    int32_t kind;
    int32_t size;         /* Box: numbers; MultiDiscrete: components; MultiBinary: bits; Discrete: 1 */
    const int32_t *n;     /* [size] choices of Discrete and MultiDiscrete; else NULL */
    const int32_t *start; /* [size] first value; NULL = 0 */
    const float *low;     /* [size] Box; NULL = -infinity */
    const float *high;    /* [size] Box; NULL = +infinity */
    int32_t shape[3];     /* Box images: height, width, channels; else 0 */
    int32_t meanings;     /* entries of `meaning`: one per number, or one per choice for a Discrete action; 0 = none given */
    const struct mappo_meaning *meaning;
};

/* ---- what an instance looks like -------------------------------------------------------------------------- */

enum mappo_group_flags {
    MAPPO_HAS_MASK = 1,        /* act_mask is written */
    MAPPO_HAS_ACTIVE = 2,      /* active is written */
    MAPPO_STATE_PER_AGENT = 4, /* the group's `state` [E][A][S] is written instead of the environment's */
    MAPPO_SHARED_REWARD = 8    /* all agents of the group always receive the same reward */
};

struct mappo_group {
    const char *name; /* "agent", "adversary" */
    int32_t agents;   /* A: slots, whether filled or not */
    int32_t team;     /* groups of one team cooperate; team 0 is the one whose return is `return_mean` */
    uint32_t flags;
    int32_t state_size; /* S of the group's per-agent state; 0 without MAPPO_STATE_PER_AGENT */
    int32_t obs_heads, act_heads;
    struct mappo_space obs[MAPPO_MAX_HEADS], act[MAPPO_MAX_HEADS];
    const char *const *agent_name; /* [A] upstream's names; NULL = "<group>_<i>" */
};

struct mappo_info { /* a named number per environment and step, averaged into a metric of that name */
    const char *name, *unit, *help;
    int32_t at_end; /* 0: averaged over all steps; 1: a value of the episode so far, averaged where episodes end. NaN at a step: none */
};

struct mappo_env_spec {
    uint32_t struct_size;
    int32_t groups;
    struct mappo_group group[MAPPO_MAX_GROUPS];
    int32_t teams;                /* names in team_name: 0, or more than any group's team */
    const char *const *team_name; /* [teams] for metrics and reports: "allies", "enemies"; NULL = "team_<i>" */
    int32_t state_size;           /* S of the environment's state; 0 = it has none (the host concatenates observations) */
    int32_t state_is_all_obs; /* 1: state is exactly all observations one after the other, so the host may point instead of asking for it */
    int32_t infos;
    const struct mappo_info *info;
    int32_t max_steps;       /* longest episode; 0 = unlimited */
    const char *rules;       /* the rule set in force: stands beside every return that is reported; NULL = "default" */
    const char *return_help; /* what the return means under these rules, one line */
    size_t snapshot_bytes;   /* per environment; 0 = no snapshots: episodes restart when a run is continued */
};

/* ---- what goes in and out of a call ----------------------------------------------------------------------- */

struct mappo_group_io {
    const int32_t *act_int; /* [E][A][Ki] */
    const float *act_real;  /* [E][A][Kr] */
    float *obs;             /* [E][A][D] */
    float *final_obs;       /* [E][A][D] */
    float *state;           /* [E][A][S] with MAPPO_STATE_PER_AGENT */
    float *final_state;     /* [E][A][S] */
    float *reward;          /* [E][A] */
    uint8_t *terminated;    /* [E][A] */
    uint8_t *active;        /* [E][A] 1 = acts */
    uint8_t *act_mask;      /* [E][A][L] 1 = allowed */
};

struct mappo_env_io {
    uint32_t struct_size;
    int32_t groups;
    struct mappo_group_io group[MAPPO_MAX_GROUPS];
    float *state;       /* [E][S] */
    float *final_state; /* [E][S] */
    uint8_t *ep_end;    /* [E] */
    float *info;        /* [E][infos] */
};

struct mappo_env_error {
    int32_t env;    /* index within the batch, -1 = not one environment's */
    char text[256]; /* one line, lower case: what was wrong and what to do */
};

/* ---- options ---------------------------------------------------------------------------------------------- */

enum mappo_option_type { MAPPO_OPTION_INT = 1, MAPPO_OPTION_REAL, MAPPO_OPTION_BOOL, MAPPO_OPTION_CHOICE, MAPPO_OPTION_TEXT };

struct mappo_option { /* set as env.NAME=value; use upstream's own names */
    const char *name;
    int32_t type;
    const char *def;           /* default, as text; "none" where the option may be absent: it then reads as INT64_MIN, NaN or a NULL text */
    double low, high;          /* of INT and REAL; of TEXT the fewest and the most bytes */
    const char *const *choice; /* CHOICE: NULL-terminated */
    const char *help;
};

struct mappo_value {  /* a parsed option */
    int64_t i;        /* INT, BOOL; CHOICE: its number */
    double r;         /* REAL */
    const char *text; /* TEXT: one line without control characters; lives as long as the instance */
};

/* ---- drawing ---------------------------------------------------------------------------------------------- */

/* World coordinates, y up; colours 0xRRGGBBAA. */
struct mappo_canvas {
    void *self;
    void (*view)(void *self, double x0, double y0, double x1, double y1);
    void (*circle)(void *self, double x, double y, double radius, uint32_t fill, uint32_t stroke);
    void (*line)(void *self, double x0, double y0, double x1, double y1, double width, uint32_t stroke);
    void (*polygon)(void *self, const double *xy, int32_t points, uint32_t fill, uint32_t stroke);
    void (*text)(void *self, double x, double y, double height, const char *text, uint32_t fill);
    void (*rectangle)(void *self, double x0, double y0, double x1, double y1, uint32_t fill, uint32_t stroke); /* two opposite corners */
    /* Fills the view, or NULL where whoever draws has no pixels: rgb [height][width][3], rows from the top, read before it returns. */
    void (*image)(void *self, const uint8_t *rgb, int32_t width, int32_t height);
};

/* ---- devices ---------------------------------------------------------------------------------------------- */

/* How an instance runs on a CUDA device: its copies and its rules are plain data (no pointers), which the host moves there and back;
 * snapshots are always made from the host's copies. The functions work on all E copies with the results of reset, observe and step in
 * float; `copies` and the arrays of io are device memory then. They enqueue kernels on `stream` (a cudaStream_t), wait for nothing and
 * return 0 or a cudaError_t. What they are given may be captured into a graph and run again: nothing may change but what is in device
 * memory. In `step` reward, ep_end and info are always there. cuda/lane_kernels.h makes all of this from an environment's rules. */
struct account;       /* env/account.h: what a step does for each copy after its own work; device memory, too */
struct slice_strides; /* env/slices.h */
struct mappo_device;
struct mappo_kernels {
    uint32_t struct_size;
    int (*reset)(const struct mappo_device *device, void *copies, int32_t envs, const struct mappo_env_io *io, void *stream);
    int (*observe)(const struct mappo_device *device, void *copies, int32_t envs, const struct mappo_env_io *io, void *stream);
    int (*step)(const struct mappo_device *device, void *copies, int32_t envs, const struct mappo_env_io *io, const struct account *account,
                void *stream);
};
struct mappo_device {
    uint32_t struct_size;  /* set by the host */
    unsigned char *copies; /* [E][stride] the host's copies */
    size_t stride;
    const void *rules; /* constants of the instance, whatever its kernels know them as */
    size_t rules_bytes;
    const void *device_rules;            /* the same in device memory, of whatever size: made by the host */
    const struct slice_strides *strides; /* of an environment made by lane_env.h */
    const struct mappo_kernels *kernels;
};

/* ---- the descriptor --------------------------------------------------------------------------------------- */

struct mappo_env;
struct mappo_env_config {
    uint32_t struct_size;
    const struct mappo_value *option; /* in the order of the descriptor's table */
    const char *options_text;         /* "N=3 rules=mpe2 …", for messages */
    int32_t envs;                     /* E */
    uint32_t first_env;               /* global index of environment 0 of this batch */
    uint64_t seed;
    int32_t stream;              /* Philox stream: training or evaluation */
    int32_t threads;             /* that step it, at most: what an environment may start of its own for them */
    const struct mappo_env *env; /* the descriptor that it is made by */
};

struct mappo_env {
    uint32_t struct_size;
    const char *id;                    /* "mpe/simple_spread" */
    const char *const *alias;          /* NULL-terminated: upstream's names; may be NULL */
    const char *summary;               /* one line */
    const char *source;                /* paper, repository, version */
    uint32_t version;                  /* of the rules and the snapshot's layout: raise it when either changes */
    const struct mappo_option *option; /* ends with name NULL; may be NULL */

    /* required */
    int (*create)(const struct mappo_env_config *config, void **self, struct mappo_env_error *error);
    void (*destroy)(void *self);
    const struct mappo_env_spec *(*spec)(const void *self); /* lives as long as self */
    /* obs, state, active, act_mask */
    int (*reset)(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error);
    int (*step)(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error);

    /* optional: where spec->snapshot_bytes is not 0, snapshot, restore and observe are there */
    int (*snapshot)(const void *self, int32_t env, void *bytes); /* spec->snapshot_bytes plain bytes, padding zeroed */
    int (*restore)(void *self, int32_t env, const void *bytes, struct mappo_env_error *error); /* checks what it reads */
    /* obs, state, active, act_mask of the present state, which stays as it is */
    int (*observe)(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io);
    /* A scripted player, which changes nothing: actions of each group, [E][A][Ki] and [E][A][Kr] (NULL where there are none), that spaces
     * and masks allow, for agents that act. */
    int (*script)(void *self, int32_t lo, int32_t hi, int32_t *const act_int[], float *const act_real[]);
    int (*draw)(const void *self, int32_t env, const struct mappo_canvas *canvas);

    /* optional: 0 where this instance can run on a device, and how (it must not outlive self); else non-zero, and it stays on the host.
     * out->kernels may be left NULL: the host then takes those that were made for this descriptor, a plugin's data symbol
     * `const struct mappo_kernels mappo_env_plugin_kernels`, a built-in environment's NAME_kernels. */
    int (*device)(void *self, struct mappo_device *out);

    /* optional, of an instance with one environment: how its episode that ended last looked then. draw() shows the new one's beginning. */
    int (*draw_ended)(const void *self, const struct mappo_canvas *canvas);

    /* optional: what the author of these functions wrote where others stand here, for messages; NULL = they are the author's own.
     * lane_env.h names what it makes them of: "meeting_configure() or meeting_describe()". */
    struct {
        const char *create, *spec, *restore;
        const char *state; /* what holds all that a copy is: "struct meeting" */
    } called;

    /* optional: names of options that say how it steps (processes, what it does when one fails) and not what it is: they may differ when a
     * run is continued. NULL-terminated. */
    const char *const *changeable;

    /* optional, of an environment that steps elsewhere (in other processes, on another machine): begins to step environments [lo, hi) with
     * the actions in io, and returns. `step` of all of them follows, in ranges of any cut and with arrays of the same io, and waits for what
     * was begun; in between others may begin. What was not begun `step` steps as ever. An instance that has it is stepped in halves, one of
     * which is inferred while the other is under way. */
    int (*begin)(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error);
};

#ifdef __cplusplus
}
#endif
#endif
