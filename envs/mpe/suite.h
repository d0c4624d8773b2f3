/* What the tasks of the mpe suite share on the host: options, how they describe themselves, scripted players, pictures. A task is
 *
 *     TASK.h     TASK_world, which fills in its kinds of agents and landmarks, and TASK_score (world.h)
 *     TASK.c     its options, names, infos and scripted player, and the line MPE_TASK, which makes an environment of them
 *     TASK.cu    two lines: its kernels */
#ifndef MPE_SUITE_H
#define MPE_SUITE_H

#include "env/lane_env.h"
#include "envs/mpe/match.h"
#include "envs/mpe/sight.h"
#include "envs/mpe/world.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- options ------------------------------------------------------------------------------------------------ */

extern const char *const mpe_rule_sets[], *const mpe_newer_rule_sets[]; /* of tasks that mpe2 1.1 added */

#define MPE_RULES_OF(SETS, HELP)                                                                                                           \
    {                                                                                                                                      \
        "rules", MAPPO_OPTION_CHOICE, "mpe2", 0, 0, SETS, HELP                                                                             \
    }
#define MPE_RULES                                                                                                                          \
    MPE_RULES_OF(mpe_rule_sets, "mpe2: today's package; on-policy: the reference MAPPO's own copy, whose returns papers report; "          \
                                "pettingzoo-1.22: until that version; openai: the first release")
#define MPE_MAX_CYCLES                                                                                                                     \
    {                                                                                                                                      \
        "max_cycles", MAPPO_OPTION_INT, "25", 1, 1e6, NULL, "steps of an episode"                                                          \
    }
#define MPE_CONTINUOUS_ACTIONS                                                                                                             \
    {                                                                                                                                      \
        "continuous_actions", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "actions are a number in 0 .. 1 for each choice"                         \
    }
#define MPE_SOFT_ACTIONS                                                                                                                   \
    {                                                                                                                                      \
        "soft_actions", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "the same numbers, meant as softened choices: points of the simplex"           \
    }
/* Of every task. Those that are counts of agents or landmarks follow, in the order in which TASK_world takes them, then others. */
#define MPE_OPTIONS MPE_RULES, MPE_MAX_CYCLES, MPE_CONTINUOUS_ACTIONS, MPE_SOFT_ACTIONS
#define MPE_NEWER_OPTIONS                                                                                                                  \
    MPE_RULES_OF(mpe_newer_rule_sets, "mpe2: the only rules that have this task"), MPE_MAX_CYCLES, MPE_CONTINUOUS_ACTIONS, MPE_SOFT_ACTIONS
#define MPE_LOCAL_RATIO(HELP)                                                                                                              \
    {                                                                                                                                      \
        "local_ratio", MAPPO_OPTION_REAL, "0.5", 0, 1, NULL, HELP " (mpe2, pettingzoo-1.22)"                                               \
    }
#define MPE_NEAREST(NAME, WHAT)                                                                                                            \
    {                                                                                                                                      \
        NAME, MAPPO_OPTION_INT, "none", 1, 64, NULL, "an agent sees only so many nearest " WHAT "; none = all (mpe2)"                      \
    }
#define MPE_NEIGHBORS MPE_NEAREST("num_agent_neighbors", "others"), MPE_NEAREST("num_landmark_neighbors", "landmarks")
#define MPE_TERMINATE(WHEN)                                                                                                                \
    {                                                                                                                                      \
        "terminate_on_success", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "the episode ends once " WHEN " (mpe2)"                                \
    }
#define MPE_NO_OPTION                                                                                                                      \
    {                                                                                                                                      \
        NULL, 0, NULL, 0, 0, NULL, NULL                                                                                                    \
    }
enum { MPE_FIRST_COUNT = 4 };

/* Tasks of N agents who are given to places (match.h): their options and infos. */
#define MPE_PLACES_OPTIONS                                                                                                                 \
    MPE_NEWER_OPTIONS, {"N", MAPPO_OPTION_INT, "4", 1, MPE_MAX_AGENTS, NULL, "agents"},                                                    \
        MPE_TERMINATE("each agent is within 0.05 of its place"), MPE_NO_OPTION
#define MPE_PLACES_INFOS                                                                                                                   \
    {"distance", "field", "from an agent to its place, mean", 0},                                                                          \
    {                                                                                                                                      \
        "arrived", "agents", "agents within 0.05 of their places", 0                                                                       \
    }

/* Options into rules, by their names, the rules first; what they don't have stays as it is without. 0, or lane_refuse. */
int mpe_configure_by(struct mpe_rules *rules, const struct mappo_option *option, const struct mappo_value *value,
                     struct mappo_env_error *error);

/* ---- names -------------------------------------------------------------------------------------------------- */

/* How a task is called by its parts; entry k is of kind k. */
struct mpe_cast {
    const char *agent[MPE_KINDS], *landmark[MPE_KINDS]; /* upstream's names, without numbers */
    int32_t team[MPE_KINDS];
    int32_t alike[MPE_KINDS];              /* agents of the kind are always paid the same */
    uint32_t colour[MPE_KINDS];            /* of agents */
    const char *const *team_name;          /* [2]; NULL = all are of one team */
    const char *const *mark;               /* what the numbers of a mark are called; NULL = the task has none */
    const char *return_help, *summed_help; /* what a return is; under rules by which all are paid the sum */
    int32_t abstract;                      /* goals have no place */
};

enum mpe_colour { MPE_BLUE = 0x5959d9, MPE_RED = 0xd95959, MPE_DARK_RED = 0x8c2626, MPE_GREEN = 0x4da64d };

extern const char *const mpe_red_green_blue[]; /* marks that are colours */

void mpe_describe_world(struct description *d, const struct mpe_rules *rules, const struct mpe_cast *cast);

/* ---- snapshots, players, pictures --------------------------------------------------------------------------- */

int mpe_state_sound(const struct mpe *w, const struct mpe_rules *rules);
void mpe_draw_world(const struct mpe *w, const struct mpe_rules *rules, const struct mpe_cast *cast, const struct mappo_canvas *canvas);

/* Agent i, counted over all kinds, says `word` (where it speaks) and goes to `target`: along the axis where it is farthest from where its
 * velocity will carry it; it rests once that is under 0.02. NULL: it stays. */
void mpe_script_agent(const struct mpe *w, const struct mpe_rules *rules, int i, const rule_real *target, int word,
                      int32_t *const act_int[], float *const act_real[]);

/* Agents from `first` on, as many as there are targets [n][2] for, go where the sum of distances is least, anew at each step. */
void mpe_script_match(const struct mpe *w, const struct mpe_rules *rules, int first, const rule_real *target, int32_t *const act_int[],
                      float *const act_real[]);

/* The same of all agents, to a task's places. */
void mpe_script_places(const struct mpe *w, const struct mpe_rules *rules, mpe_places *places, int32_t *const act_int[],
                       float *const act_real[]);

/* A player for agent i where the first `hunters` agents chase the others: it goes to where the nearest prey will be when it could be there;
 * it flees from the nearest hunter, and turns back at the field's edge. */
void mpe_script_hunter(const struct mpe *w, const struct mpe_rules *rules, int i, int hunters, int32_t *const act_int[],
                       float *const act_real[]);
void mpe_script_prey(const struct mpe *w, const struct mpe_rules *rules, int i, int hunters, int32_t *const act_int[],
                     float *const act_real[]);

#ifdef __cplusplus
}
#endif

/* ---- the line that makes an environment --------------------------------------------------------------------- */

#define MPE_NAMES(NAME, VERSIONED) NAME, VERSIONED, "MPE_" VERSIONED, "mpe2/" VERSIONED, "mpe/" VERSIONED, NULL

/* The host's hooks, of TASK_options, TASK_world, TASK_cast, TASK_infos; option FIRST is the first count. */
#define MPE_HOST(TASK, FIRST, COUNTS, INFOS)                                                                                               \
    static int mpe_configure(struct mpe_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)                      \
    {                                                                                                                                      \
        int32_t count[(COUNTS) + 1] = {0};                                                                                                 \
        if (mpe_configure_by(rules, TASK##_options, value, error)) return -1;                                                              \
        for (int k = 0; k < (COUNTS); k++) count[k] = (int32_t)value[(FIRST) + k].i;                                                       \
        TASK##_world(rules, count);                                                                                                        \
        mpe_world_finish(rules);                                                                                                           \
        return 0;                                                                                                                          \
    }                                                                                                                                      \
    static void mpe_describe(struct description *d, const struct mpe_rules *rules)                                                         \
    {                                                                                                                                      \
        d->spec.infos = (INFOS);                                                                                                           \
        d->spec.info = TASK##_infos;                                                                                                       \
        mpe_describe_world(d, rules, &TASK##_cast);                                                                                        \
    }                                                                                                                                      \
    static int mpe_sound(const struct mpe *w, const struct mpe_rules *rules)                                                               \
    {                                                                                                                                      \
        return mpe_state_sound(w, rules);                                                                                                  \
    }                                                                                                                                      \
    static void mpe_draw(const struct mpe *w, const struct mpe_rules *rules, const struct mappo_canvas *canvas)                            \
    {                                                                                                                                      \
        mpe_draw_world(w, rules, &TASK##_cast, canvas);                                                                                    \
    }

/* The line, for a task that steps and observes by functions of its own, and has a usual size. */
#define MPE_OWN_TASK(SYMBOL, TASK, GROUPS, HOOKS, ...)                                                                                     \
    MAPPO_FN int mpe_step(struct mpe *w, const struct mpe_rules *rules, const struct rule_io *io)                                          \
    {                                                                                                                                      \
        return TASK##_step(w, rules, io);                                                                                                  \
    }                                                                                                                                      \
    MAPPO_FN void mpe_observe(const struct mpe *w, const struct mpe_rules *rules, const struct rule_io *io)                                \
    {                                                                                                                                      \
        TASK##_observe(w, rules, io);                                                                                                      \
    }                                                                                                                                      \
    static void mpe_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])          \
    {                                                                                                                                      \
        TASK##_script(w, rules, act_int, act_real);                                                                                        \
    }                                                                                                                                      \
    LANE_ENV(SYMBOL, mpe, GROUPS, HOOKS, .alias = TASK##_names, .option = TASK##_options, __VA_ARGS__)

/* An environment of TASK_world, TASK_score, TASK_options, TASK_cast, TASK_infos, TASK_names and TASK_script, all of the task's files. */
#define MPE_TASK(SYMBOL, TASK, COUNTS, INFOS, GROUPS, ...)                                                                                 \
    MPE_HOST(TASK, MPE_FIRST_COUNT, COUNTS, INFOS)                                                                                         \
    MAPPO_FN int TASK##_step(struct mpe *w, const struct mpe_rules *rules, const struct rule_io *io)                                       \
    {                                                                                                                                      \
        return mpe_step_of(w, rules, TASK##_score, INFOS, io);                                                                             \
    }                                                                                                                                      \
    MAPPO_FN void TASK##_observe(const struct mpe *w, const struct mpe_rules *rules, const struct rule_io *io)                             \
    {                                                                                                                                      \
        mpe_observe_world(w, rules, io);                                                                                                   \
    }                                                                                                                                      \
    MPE_OWN_TASK(SYMBOL, TASK, GROUPS, (observe, bytes, sound, script, draw), __VA_ARGS__)

#endif
