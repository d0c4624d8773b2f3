/* What critics see: which of it the configuration asks for, how wide it is, what the environment must write for it, and how it is put
 * together. All of that is here and nowhere else.
 *
 * Axes: E environments of this rank, A agents of a group, S numbers that a critic sees, I critic inputs per environment step (1 where the
 * agents share one, else A). */
#ifndef MAPPO_NN_CRITIC_INPUT_H
#define MAPPO_NN_CRITIC_INPUT_H

#include "backend/memory.h"
#include "config/config.h"
#include "env/slices.h"

struct policy;

enum critic_input {
    CRITIC_OBS,        /* IPPO: the agent's own observation */
    CRITIC_STATE,      /* the environment's state, or all observations of all groups one after the other: one row per environment step */
    CRITIC_STATE_ID,   /* the same with the agent's one-hot number: one row per agent */
    CRITIC_AGENT_STATE /* the environment's per-agent state */
};

struct critic_view {
    int input;        /* enum critic_input */
    bool concatenate; /* the state of CRITIC_STATE(_ID) is all observations even where the environment has a state of its own */
    int size, rows;   /* S, I: filled by critic_view_measure */
};

/* What the configuration asks for (critic.state, critic.agent_id). central: critics see what all agents see together; else each its own
 * observation. EXIT_USAGE where the environment doesn't have it. */
int critic_view_choose(struct critic_view *view, bool central, const struct config *config, const struct mappo_env_spec *spec, int group,
                       struct error *err);
/* Its size for a group, given input and concatenate. EXIT_USAGE where there is nothing to see. */
int critic_view_measure(struct critic_view *view, const struct mappo_env_spec *spec, int group, struct error *err);

/* Does a critic read this observation, or (for a final one) the observation that it stands for? */
bool critics_read(struct policy *const *policy, const struct mappo_env_spec *spec, const struct slice *slice);

/* The inputs of all groups' critics at several times, beside the arrays that environments write. Copies are made only where nothing that
 * exists will do: a central state that is exactly all observations of one group is the same memory read with another shape. */
struct critic_inputs_config {
    struct policy *const *policy; /* [groups]; must outlive the inputs */
    const struct mappo_env_spec *spec;
    struct mappo_env_io all; /* where the arrays of observations begin, [places][E]…, and of final ones, [finals][E]… (NULL = not wanted) */
    int places, finals, envs;
};
struct critic_inputs {
    struct critic_inputs_config config;
    struct {
        float *current; /* [places][E][I][S] */
        float *last;    /* [finals][E][I][S] of final observations; NULL where these are not there */
    } group[MAPPO_MAX_GROUPS];
    float *joint, *final_joint; /* all observations of all groups one after the other, where some critic reads them */
    bool composes;              /* some input is put together from others */
    struct backend *backend;
};

void critic_inputs_create(struct critic_inputs *inputs, const struct critic_inputs_config *config, struct backend_memory *memory);
/* Puts together what is put together (joint observations, agent numbers) for environments [lo, hi) of a place, or of final observations:
 * there environment e of place f is f * E + e. Calls the backend, reads nothing itself. */
void critic_inputs_compose(const struct critic_inputs *inputs, int place, int lo, int hi);
void critic_inputs_compose_finals(const struct critic_inputs *inputs, int lo, int hi);

/* Numbers of an environment at one place. */
size_t critic_inputs_width(const struct critic_inputs *inputs, int group);

#endif
