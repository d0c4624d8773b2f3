/* Passes of learners that replay (algo/maddpg.c): drawing rows out of a ring of steps (algo/transitions.h), actions as columns of a critic's
 * input, and the way from what a critic makes of these columns back into the policy. Part of backend.h, which has the table.
 *
 * Axes: B rows of a pass (one shard's), A agents of a group, O outputs of an actor, which are the columns that its actions have, D inputs of
 * a network. Arrays are the backend's memory. */
#ifndef MAPPO_BACKEND_OFF_POLICY_H
#define MAPPO_BACKEND_OFF_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/kernels/embed.h"
#include "backend/kernels/explore.h"
#include "backend/kernels/priority.h"
#include "base/real.h"

struct distribution;
struct network;
struct packed_rows;

struct replay_numbers { /* written by the host before an update: what is drawn from and with */
    int64_t update;     /* updates so far: position of the random numbers */
    int64_t held;       /* steps of every environment, … */
    int64_t oldest;     /* … and the place of the first of them */
    double beta;        /* of priority_weight */
};

struct draw_pass { /* rows of a shard, each a step that is held of an environment in [lo, hi), every one as likely */
    const struct replay_numbers *numbers;
    int after;        /* the update is numbers->update + after */
    bool replacement; /* a step may be drawn twice; else rows are places of a permutation (kernels/shuffle.h) */
    uint64_t seed;
    uint32_t shard;
    int places, envs, lo, hi; /* of the ring */
    int rows;
    int32_t *row; /* [B] out: place * envs + environment */
};

struct priority_pass { /* draws by priority, of a shard, and what comes of them */
    struct priority_tree tree;
    const struct replay_numbers *numbers;
    int after; /* as in a draw */
    int fresh; /* renew: so many steps of every environment have been taken since */
    float exponent, floor;
    uint64_t seed;
    uint32_t shard; /* of all ranks … */
    int shards;     /* … of so many */
    int rows;
    int32_t *row;      /* [B] draw: out, in the order of the leaves; learn: in */
    real *weight;      /* [B] draw: out; weigh: over the largest of all shards */
    double *most;      /* [shards] draw: out, the shard's own largest weight and 0 of the others; weigh: of all */
    const real *error; /* [B] learn: sizes of the errors */
};

/* A critic's errors in rows that count with weights: loss = weight error² / 2, as the value pass has it, and the derivative of twice that. */
struct error_pass {
    int rows;
    const real *q, *ret, *weight; /* [B] */
    real *loss, *slope;           /* [B] out */
    real *error;                  /* [B] share |error| is added to it, or with `first` put there; NULL = not wanted */
    real share;
    bool first;
};

struct gather_pass {         /* to[b] = from[row[b]]: one array of the ring; `next`: as it was a step later */
    const int32_t *row;      /* [B] */
    int rows, width, stride; /* numbers of a row; between two rows of the ring */
    int element;             /* bytes of one: 1 or 4 */
    const void *from;        /* [places][envs][stride], from the first that is wanted on */
    void *to;                /* [B][width] */
    bool next;
    const uint8_t *ep_end; /* next: [places][envs] where an episode ended the next place is another's: then what `final` has, … */
    const void *final;     /* … which is like from; NULL = ones. ep_end NULL = the next place in any case */
    int places, envs;
};

/* Into columns [to, to + width) of packed rows of a network without feature norm: exactly one of x and y. */
struct columns_pass {
    struct packed_rows *packed;
    int rows, to, width, stride; /* stride: between rows of the array */
    const float *x;
    const real *y;
};

/* Actions of one agent as columns [O]: a choice is one-hot, a bit 0 or 1, a real number itself. */
struct embed_pass {
    int how;                         /* enum embed_how */
    const struct distribution *dist; /* host memory */
    int rows;
    int stride;             /* rows between two of the agent's in act_int, act_real and mask: A */
    const int32_t *act_int; /* TAKEN: from the agent's first row on [B · A][Ki] */
    const float *act_real;  /* likewise [B · A][Kr] */
    const real *out;        /* otherwise: the actor's outputs [B][O] */
    const uint8_t *mask;    /* [B · A][L]; NULL = all allowed */
    real temperature;       /* SOFT, HARD */
    const real *log_std;    /* [Kr] of REAL_TANH_GAUSSIAN; NULL where it is no parameter */
    const real *noise;      /* SOFT, HARD [B][O] from elsewhere; NULL = drawn, */
    uint64_t seed;          /* … as words of row first_row + b, this agent and update */
    uint32_t first_row, agent;
    const struct replay_numbers *numbers;
    int after, use;                 /* as in a draw; enum embed_use */
    real smoothing, smoothing_clip; /* > 0: noise on real actions (kernels/embed.h, embed_smooth) */
    real *columns;                  /* [B][column_stride], from the agent's first column on */
    int column_stride;
    real *soft;  /* [B][O] out: what gradients go through; unused for TAKEN */
    real *drawn; /* [B][O] out, SOFT, HARD: what was added to the outputs; NULL = not wanted */
};

/* How a policy's loss, -Q + penalty · mean(output²), changes with its outputs, from how Q does with its columns. */
struct embed_back_pass {
    const struct distribution *dist; /* host memory */
    int rows, stride;
    real *out;               /* [B][O] of the embed_pass; logits that the mask forbids may be overwritten */
    const real *soft;        /* [B][O] likewise */
    const uint8_t *mask;     /* likewise */
    const uint8_t *active;   /* [B] others have neither loss nor slope; NULL = all */
    const real *q, *q_slope; /* [B] [B][O] */
    real temperature, penalty;
    real *loss, *slope; /* [B] [B][O] out */
    const real *drawn;  /* [B][O] of the embed_pass; NULL where log_std is no parameter */
    real *by_log_std;   /* [B][Kr] out, with `drawn` */
};

struct td_pass {      /* ret = reward + gamma min(q, other), of the latter nothing where the agent or the episode has terminated */
    int rows, stride; /* stride: between rows of reward and terminated */
    const float *reward;
    const uint8_t *terminated;
    const uint8_t *ep_end; /* [B] */
    real gamma;
    const real *q, *other; /* [B]; other NULL = q alone */
    real *ret;             /* [B] out */
};

struct explore_pass {                /* environments [lo, hi) of a slice, whose actions are there and have not been taken */
    const struct distribution *dist; /* host memory */
    int kind, agents, lo, hi;
    const struct explore_numbers *numbers; /* the backend's */
    bool clipped;                          /* real actions stay within [-1, 1]; those of REAL_SOFTMAX, within [0, 1], only so */
    const uint8_t *mask;                   /* [E][A][L]; NULL = all allowed */
    int32_t *act_int;                      /* [E][A][Ki] */
    float *act_real;                       /* [E][A][Kr] */
    float *state;                          /* [E][A][Kr] of EXPLORE_OU; NULL with the others */
    const uint8_t *ep_end;                 /* [E] of the step before: its state begins at 0 where an episode does; NULL = nowhere */
    uint64_t seed, step;                   /* as in an act_pass */
    uint32_t first_env, first_agent;
};

struct derive_pass {           /* the outputs of a network of one output, and their derivatives by some of its inputs */
    const struct network *net; /* without feature norm */
    const real *parameters;
    struct packed_rows *packed;
    int from, width;
    real *out, *slope; /* [B] [B][width] out */
};

#endif
