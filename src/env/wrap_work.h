/* What the files of wrap.h share: wrap.c, wrap_act.c, wrap_result.c, wrap_spec.c. Nobody else includes it.
 *
 * Axes: E environments, A agents; `from` is the environment's side, `to` the learner's. */
#ifndef MAPPO_ENV_WRAP_WORK_H
#define MAPPO_ENV_WRAP_WORK_H

#include <string.h>

#include "base/arena.h"
#include "env/slices.h"
#include "env/wrap.h"

/* A head of actions: where its numbers are on either side (integers or reals, and logits), of an agent. */
struct wrap_head {
    bool cut; /* a Box that the learner sees as choices */
    int32_t from, to, from_mask, to_mask;
};

struct wrap_group {
    struct group_sizes from, to;
    uint32_t first_agent; /* of all groups' agents */

    int32_t shown;     /* numbers of the environment's observation that the learner sees, and … */
    int32_t *number;   /* … which */
    int32_t last, ids; /* numbers behind the stack: of the last action, of the agent's one-hot; 0 = off */
    struct wrap_head head[MAPPO_MAX_HEADS];
    bool masks; /* the environment's masks lie in an array of our own */

    /* NULL where the learner's do */
    float *obs, *final_obs; /* [E][A][from.obs] */
    int32_t *act_int;       /* [E][A][from.act_ints] */
    float *act_real;        /* [E][A][from.act_reals] */
    float *reward;          /* [E][A] */
    uint8_t *active;        /* [E][A] where the learner wants none */
    uint8_t *act_mask;      /* [E][A][from.logits] */
    uint8_t *terminated;    /* [E][A] of one step of several, and … */
    uint8_t *gone;          /* [E][A] … of any so far */
    double *sum;            /* [E][A] rewards of these steps */

    /* in the block of an environment */
    size_t frames; /* float [A][stack][shown], the oldest first */
    size_t ints;   /* int32_t [A][to.act_ints] the action that was taken last, as the learner would have given it; 0 at first */
    size_t reals;  /* float [A][to.act_reals] likewise */
    size_t noise;  /* float [A][to.act_reals] */
    size_t took;   /* uint8_t [A] whether the agent has acted in the last step of this episode */
    size_t acts;   /* uint8_t [A] whether it acts in the next */
    size_t mask;   /* uint8_t [A][to.logits] what it may do then */
};

struct wrap_block { /* begins the block of an environment */
    uint64_t draws; /* steps of the learner since the batch was opened */
    int32_t held;   /* steps for which the noise was held; 0: it is drawn anew */
    int32_t spare;
};

struct wrap {
    struct arena *arena;
    const char *id;
    struct mappo_env_spec from, to;
    struct slice_strides from_strides, to_strides;
    struct wrap_group group[MAPPO_MAX_GROUPS];
    struct vecenv_config config;        /* name, option and hide_obs are not kept */
    int32_t stack;                      /* at least 1 */
    bool observes, acts, rewards, cuts; /* observations, actions, rewards are changed; some Box is cut into choices */
    bool keeps;                         /* actions are remembered */
    size_t bytes;                       /* of a block */
    unsigned char *blocks;              /* [E][bytes] */
};

/* Choice k of `bins` between two bounds. */
static inline float wrap_bin(float low, float high, int32_t k, int32_t bins)
{
    return k == bins - 1 ? high : low + (high - low) * ((float)k / (float)(bins - 1));
}

static inline float wrap_scale(const struct vecenv_config *config)
{
    return config->scale_reward != 0 ? config->scale_reward : 1;
}

static inline void *wrap_at(const struct wrap *w, int32_t e, size_t offset)
{
    return w->blocks + (size_t)e * w->bytes + offset;
}

/* Takes the learner's spec from the environment's and lists what is seen (wrap_spec.c). hide: of the configuration, or NULL. */
int wrap_describe(struct wrap *w, const char *hide, struct error *err);

#endif
