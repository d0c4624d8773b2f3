/* The arithmetic of learning, as a table of operations that one machine type implements (src/backend: cpu; cuda/: cuda).
 *
 * Operations are network-sized: the layers stay inside a backend, so that activations never leave the cache (or the chip). This is no
 * tensor graph. Arrays that passes point to are the backend's memory (`alloc`), unless they are said to be host memory; the host may touch
 * them only where `host_memory` is true, else through `upload` and `download`. Pass structs themselves are read during the call. A device
 * works in the order of the calls and lags behind: nothing of it is there for the host before `download` or `sync`. What changes from
 * update to update (learning rates, normalisers, positions of random numbers) is therefore read from the backend's memory.
 *
 * Axes: T time, E environments, A agents of a group, B rows of a batch, D inputs, H hidden, O outputs, L logits, P parameters. Operations
 * can't fail, except for running out of memory in `alloc` and `packed_rows_create` (which ends the program) and the device (which does too,
 * with EXIT_PEERS).
 *
 * Shards. A pass covers the rows of one shard; operations take an array of passes and may run them at the same time. The result of a pass
 * depends only on its own rows, never on the other passes or the number of threads: that is what the reproducible mode stands on. */
#ifndef MAPPO_BACKEND_BACKEND_H
#define MAPPO_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/kernels/compound.h"
#include "backend/kernels/self_play.h"
#include "backend/kernels/joint.h"
#include "backend/kernels/nonfinite.h"
#include "backend/kernels/norm.h"
#include "backend/kernels/ppo_metrics.h"
#include "backend/kernels/running.h"
#include "backend/kernels/select.h"
#include "backend/off_policy.h"
#include "base/check.h"
#include "base/real.h"

/* ---- networks ------------------------------------------------------------------------------------------------------------------------ */

/* [feature_norm] → [conv1 → act → conv2 → act …] → fc1 → act → norm1 → fc2 → act → norm2 … → [gru → gru_norm] → head(s), as the reference's
 * MLPBase, CNNLayer, MLPLayer, RNNLayer. All heads of a network form one matrix [O][H]. Offsets index the network's parameter vector; -1 = absent. Weights are [out][in],
 * row-major. */
enum {
    NETWORK_MAX_LAYERS = 8,
    NETWORK_MAX_CONVS = 8,
    POLICY_MAX_HEADS = 16 /* one per Discrete, per MultiDiscrete component, per MultiBinary or Box head */
};

/* What convolutions see: `images` images [height][width][channels] among the columns of the input, the first from column `first` on, the
 * others `stride` columns after one another. Their channels are one beside the other to the first convolution. Columns of no image join fc1
 * behind the features of the last one. Kernels are square and move by 1. */
struct convolutions {
    int layers; /* 0 = none */
    int images, first, stride, height, width, channels;
    int outputs[NETWORK_MAX_CONVS], kernel[NETWORK_MAX_CONVS]; /* of each: channels, and rows and columns of the kernel */
    bool same; /* zeros around, so that height and width stay; else they shrink by kernel - 1 */
};

struct network {
    int inputs, hidden, outputs;   /* D, H, O: H of the last hidden layer … */
    int width[NETWORK_MAX_LAYERS]; /* … and of each; 0 = H */
    int layers;                    /* fc1 … fc<layers>: the reference's layer_N + 1 */
    int activation;                /* enum activation */
    bool feature_norm;             /* LayerNorm of the input */
    bool layer_norm;               /* LayerNorm after each activation */
    bool gru;                      /* a recurrent layer before the head */
    int gru_steps;                 /* its longest chunk of a training pass, in steps: packed_rows_create reserves room for it */
    bool by_layer;                 /* a device goes layer by layer: some pass of it does what only that way can (derive, LOSS_GIVEN) */
    struct convolutions conv;      /* without feature_norm */
    int extra;                     /* free parameters after the head: log_std [Kr] of a Gaussian policy */
    int heads; /* how people see the rows of the head matrix: heads of head_rows[] rows, in order; arithmetic sees one matrix */
    int head_rows[POLICY_MAX_HEADS];
    int log_std_rows; /* … and behind them the rows of log standard deviations, where these are outputs */
    struct {
        ptrdiff_t feature_weight, feature_bias;                                 /* [D] [D] */
        ptrdiff_t conv_weight[NETWORK_MAX_CONVS], conv_bias[NETWORK_MAX_CONVS]; /* [out][in][kernel][kernel] [out] in: image by image */
        ptrdiff_t weight[NETWORK_MAX_LAYERS], bias[NETWORK_MAX_LAYERS]; /* [H][D or H] [H] fc1 of features: [channel][row][column] */
        ptrdiff_t norm_weight[NETWORK_MAX_LAYERS], norm_bias[NETWORK_MAX_LAYERS]; /* [H] [H] */
        ptrdiff_t gru_weight_ih, gru_weight_hh, gru_bias_ih, gru_bias_hh;         /* [3H][H] [3H][H] [3H] [3H] rows reset, update, new */
        ptrdiff_t gru_norm_weight, gru_norm_bias;                                 /* [H] [H] */
        ptrdiff_t head_weight, head_bias;                                         /* [O][H] [O] */
        ptrdiff_t extra;                                                          /* [extra] */
    } at;
    size_t parameters; /* P */
};

/* ---- distributions ------------------------------------------------------------------------------------------------------------------- */

struct head {
    int kind;   /* enum head_kind */
    int output; /* first column of the network's output */
    int size;   /* choices, bits or dimensions */
    int action; /* first column of the integer or real action */
    int start;  /* value of choice 0 */
    int mask;   /* first column of the mask; -1 for Gaussians */
};

struct distribution {
    int heads;
    struct head head[POLICY_MAX_HEADS];
    int act_ints, act_reals, logits; /* Ki, Kr, L */
    int real;                        /* enum real_kind: of all Gaussian heads */
    /* The Gaussians' standard deviations are exp of the parameters log_std [Kr]; or of the outputs from this column on, one for each number and
     * bounded (kernels/distribution.h), where it is not 0; or this constant, where it is > 0. */
    int log_std_output;
    float fixed_std;
};
/* Columns of its outputs, O. */
MAPPO_FN int distribution_outputs(const struct distribution *dist)
{
    const struct head *last = &dist->head[dist->heads - 1];
    return last->output + last->size + (dist->log_std_output ? dist->act_reals : 0);
}
/* Log-probabilities of a row: one of all heads together, or one of each. */
static inline int log_prob_width(const struct distribution *dist, bool per_head)
{
    return per_head ? dist->heads : 1;
}

/* ---- passes -------------------------------------------------------------------------------------------------------------------------- */

/* Inputs of a pass, packed for the backend's kernels: on the scale of running statistics where there are some, then, with feature_norm,
 * normalised. Made once, used by every epoch. */
struct packed_rows;

/* Which rows a batch has. A unit is an env-step u = t * E + e with `rows` consecutive rows (the A agents, or 1 for a central critic). */
struct batch {
    const int32_t *unit;  /* [units]; NULL = 0 … units - 1 */
    int units, rows;      /* B = units * rows; row i of unit u is row u * rows + i of the arrays */
    const int32_t *count; /* [1] how many of the units there are at the moment, found by `select_ends`; NULL = all */
};

/* The time of a pass of a recurrent network, which every pass of one has (NULL elsewhere). The rows of its batch are steps one after
 * another: first step 0 of every sequence, then step 1, and so on; row s of a step is sequence s. Sequences that are shorter come last, so
 * that step t is that of the first width[t] sequences. With S sequences of L steps, row t * S + s is step t of sequence s.
 *
 *   rollout step     steps = 1: every row is a sequence of its own. `hidden` is slice t of the rollout's array [T + 1][E][A], `hidden_out`
 *                    slice t + 1, `ended` that of step t - 1; forward_act works as ever.
 *   whole rollouts   forward of any number of steps; `hidden` is only read for step 0.
 *   training chunks  a sequence is L consecutive steps of one row (environment, agent). The arrays are those of the whole rollout, so
 *                    that a chunk begins with the state that the rollout stored for its first step. With K chunks whose unit is an env-step
 *                    of A rows, unit[t * K + k] = (t0[k] + t) * envs + e[k] and S = K * A; single rows likewise, with units of one row.
 *                    Gradients go back through a chunk's steps, not into its stored state. Where the rollout is no multiple of L, its last
 *                    chunks are shorter: put them behind the others in every minibatch, as many in each, and recordings stay valid.
 *
 * A pass is one shard's, as everywhere: `pack`, losses and actions see rows, and only these members know of sequences. A batch with a
 * `count` has one step. A GPU's work space grows with all rows of a pass, as its steps cannot be cut into parts. */
struct recurrent {
    struct batch batch; /* which rows of the arrays below the rows of the pass are: those that were packed, in their order */
    int steps;          /* of the longest sequence; in training at most net->gru_steps */
    const int *width;   /* [steps] sequences that have a step t, none more than the step before: host memory; NULL = the rows / steps */
    const real *hidden; /* [N][H] the state before a row's step; read for the rows of step 0; NULL = zeros */
    /* [N / ended_rows] not 0 (enum mappo_episode_end of the step before): an episode begins with this env-step, and the states of its rows
     * are zeroed before their steps; NULL = none does. Row r of the arrays is of env-step r / ended_rows. */
    const uint8_t *ended;
    int ended_rows;
    real *hidden_out; /* [N][H] out: the state after a row's step, of all rows; may be `hidden`; NULL = not wanted */
};

struct forward_pass {
    const struct network *net;
    const real *parameters;
    struct packed_rows *packed; /* filled by `pack` */
    const struct recurrent *recurrent;
    real *out; /* [B][O] in the order of the batch */
};

struct act_pass { /* sampling, or the mode, from outputs. The batch says which rows of the slice [E][A] the outputs belong to */
    const struct distribution *dist; /* host memory */
    struct batch batch;
    const real *out;     /* [B][O] in the order of the batch */
    const real *log_std; /* [Kr]; NULL where it is no parameter */
    const uint8_t *mask; /* [E][A][L]; NULL = all allowed */
    bool deterministic;
    uint64_t seed; /* Philox key */
    int stream;
    uint64_t step;         /* the policy's step count … */
    const uint64_t *clock; /* … beyond this one; NULL = 0 */
    /* Whose random numbers row r of the slice has: environment first_env + r / agents, agent first_agent + r % agents. Agents are counted
     * over all groups, or those of two groups would draw the same. */
    uint32_t first_env, first_agent;
    int agents;
    int32_t *act_int; /* [E][A][Ki] */
    float *act_real;  /* [E][A][Kr] */
    real *log_prob;   /* [E][A] joint, or with per_head [E][A][heads]; may be NULL */
    bool per_head;
};

struct evaluate_pass {                 /* log-probability and entropy of given actions, from outputs */
    const struct distribution *dist;   /* host memory */
    struct batch batch;                /* which rows of the arrays below the outputs belong to */
    real *out;                         /* [B][O] in the order of the batch; logits that the mask forbids are overwritten */
    const real *log_std;               /* [Kr]; NULL where it is no parameter */
    const uint8_t *mask;               /* [N][L]; NULL = all allowed */
    const int32_t *act_int;            /* [N][Ki] */
    const float *act_real;             /* [N][Kr] */
    const real *old_out, *old_log_std; /* as in struct policy_loss; NULL where `kl` is not wanted */
    real *log_prob, *entropy, *kl;     /* [N] out, joint; each may be NULL; kl: KL(old || new) */
};

struct joint_pass {     /* losses of env-steps whose agents' ratios belong together (kernels/joint.h) */
    struct batch batch; /* rows = the agents of a step */
    struct joint_rules rules;
    const struct policy_objective *objective;
    const real *log_prob, *old_log_prob, *advantage; /* [N] */
    const uint8_t *active;                           /* [N]; NULL = all: terms of others are left out, their ratios are not */
    real *loss, *slope;                              /* [N] out */
};

enum loss_kind { LOSS_POLICY, LOSS_VALUE, LOSS_GIVEN };

struct policy_loss {
    const struct distribution *dist; /* host memory */
    const struct policy_objective *objective;
    bool per_head;            /* a ratio, and a loss, of each head; else of all heads together (marlbenchmark/on-policy has the former) */
    const int32_t *act_int;   /* [N][Ki] all arrays of N rows, addressed through the batch */
    const float *act_real;    /* [N][Kr] */
    const uint8_t *mask;      /* [N][L] or NULL */
    const uint8_t *active;    /* [N] or NULL: the weight m of a row */
    const uint8_t *home;      /* [N] or NULL: others (m = 0) are as if they were not in the batch, and in none of the sums */
    const real *old_log_prob; /* [N], with per_head [N][heads] */
    const real *advantage;    /* [N] */
    const struct advantage_scale *scale; /* by which they are normalised; NULL = they are already, or not at all */
    /* The rows' losses and their derivatives by the log-probabilities, where they hang on more than the row (joint_pass); NULL = they are
     * those of the row's own ratio */
    const real *loss, *slope; /* [N] slope with the weights of the terms in it */
    const real *old_out;      /* [N][O] the old policy's outputs, for the penalty; NULL = no penalty */
    const real *old_log_std;  /* [Kr] likewise; NULL where it is no parameter */
};

struct value_loss {
    int targets; /* returns per row: A where one value serves all agents of a step, else 1 */
    const struct value_objective *objective;
    const struct normalizer *norm; /* target = (ret - mean) / deviation of its scale */
    const uint8_t *active;         /* [N][targets] or NULL */
    const real *old_value;         /* [N] normalised scale */
    const struct rescale *old;     /* from old_value's scale to norm's (PopArt); NULL = as they are */
    const real *ret;               /* [N][targets] reward units */
};

struct given_loss {    /* found elsewhere, in the order of the batch; weights are 1 */
    const real *loss;  /* [B] for the sum alone */
    const real *slope; /* [B][O] by the outputs */
    const real *extra; /* [B][extra] by the free parameters behind the head; NULL = by none */
};

struct train_pass {
    int loss; /* enum loss_kind */
    const struct network *net;
    const real *parameters; /* [P] */
    struct packed_rows *packed;
    struct batch batch;
    const struct recurrent *recurrent;
    union {
        struct policy_loss policy;
        struct value_loss value;
        struct given_loss given;
    };
    /* [P] out: of the SUM of the row losses (policy: surrogate - entropy coefficient · entropy); divide by the global Σ m */
    real *gradient;
    real *sum; /* [PASS_SUMS] out */
};

/* ---- whole rollouts ------------------------------------------------------------------------------------------------------------------ */

struct gae_pass { /* arrays of a whole rollout, environments [lo, hi); see backend/kernels/gae.h for the equations */
    int steps, envs, agents, lo, hi;
    real gamma, lambda;
    bool bootstrap;                /* at a time limit: r + γ V(final); false: treat as terminal */
    int advantage_by, target_by;   /* enum return_estimate: what `advantage` and `ret` are */
    int value_agents;              /* 1 = one value per environment, serves all agents; else A */
    const struct normalizer *norm; /* [norms] denormalisers: V = mean + deviation * value */
    int norms;                     /* 1, or A: each agent its own */
    const float *reward;           /* [T][E][A] */
    const real *reward_scale;      /* [1] rewards are learned from as running_scaled(reward, 0, it); NULL = as they are */
    const uint8_t *terminated;     /* [T][E][A] */
    const uint8_t *ep_end;         /* [T][E] enum mappo_episode_end */
    const real *value;             /* [T+1][E][value_agents] normalised scale */
    const real *final_value;       /* [T][E][value_agents] read only where truncated */
    real *advantage, *ret;         /* [T][E][A] reward units */
};

/* Discounted returns so far of environments [lo, hi): G = γ G + r, 0 behind the end of an episode. What norm.reward measures. */
struct discount_pass {
    int steps, envs, agents, lo, hi;
    real gamma;
    const float *reward;   /* [T][E][A] */
    const uint8_t *ep_end; /* [T][E] */
    real *now;             /* [E][A] G after the last step: read and written */
    float *out;            /* [T][E][A] G of every step */
};

struct ends_pass {         /* which env-steps (t, e in [lo, hi)) were truncated, in their order */
    const uint8_t *ep_end; /* [T][E] */
    int steps, envs, lo, hi;
    int stride, offset; /* unit = (t * E + e) * stride + offset */
    int32_t *unit;      /* [T * (hi - lo)] out */
    int32_t *count;     /* [1] out */
};

struct scatter_pass {     /* to[unit * stride + v] = from[u][from_width > 1 ? v : 0] for v < width: values of env-steps to their places */
    const int32_t *unit;  /* [units]; NULL = 0 … units - 1 */
    const int32_t *count; /* [1] as in a batch; NULL = all */
    int units, stride, width, from_width;
    const real *from; /* [units][from_width] */
    real *to;
};

struct copy_pass { /* to[r * to_stride + j] = from[(r / repeat) * from_stride + j] for j < width: parts of wider rows */
    int rows, width, repeat;
    int to_stride, from_stride;
    const float *from;
    float *to;
};

struct moments_pass {
    const real *x;       /* [N], of which the rows of the batch count … */
    const uint8_t *mask; /* [N] … where this is not 0; NULL = all */
    struct batch batch;
    double *out; /* count, sum, sum of squares, or only the first `numbers` of them */
    int numbers;
};

struct running_pass { /* rows that running statistics take in */
    struct running running;
    const float *x;      /* [N][D], of which the rows of the batch count … */
    const uint8_t *mask; /* [N] … where this is not 0; NULL = all */
    struct batch batch;
    double *sums; /* [1 + 2 D] measured: rows, sums of x - mean and of its squares */
};

struct standardise_pass { /* x[first + i * stride] = (x - mean) / (population deviation + epsilon) for i < n */
    real *x;
    size_t n, first, stride;
    const double *moments; /* [3] count, sum, sum of squares */
    real epsilon;
};

/* The units of one minibatch of a part: places [from, from + count) of a permutation of its items (algo/ppo_batches.h). */
struct select_pass {
    struct select_shape shape;
    struct select_order to; /* where they go */
    int items, from, count;
    bool shuffled;        /* else the natural order */
    const int32_t *order; /* [items] a permutation from elsewhere; NULL = backend/kernels/shuffle.h */
    uint64_t seed;
    uint32_t shard, which; /* which of the permutations of a shard and pass over the data */
    int epoch, epochs;     /* the permutation is that of pass numbers->update * epochs + epoch */
    const struct update_numbers *numbers;
    bool critic_by_row;     /* units of the critic's input are rows; else env-steps */
    int critic_repeats;     /* how often an item's unit of the critic's input stands in `critic` */
    int32_t *rows, *critic; /* [units] [units * critic_repeats] out: units of the arrays [T][E][A]; of the critic's input */
};

/* ---- optimisers and learners --------------------------------------------------------------------------------------------------------- */

struct optimizer_pass { /* one network's step, see backend/kernels/optimizer.h */
    struct optimizer *optimizer;
    const struct optimizer *with; /* another one of this call, with which the gradient is clipped by one norm; NULL = by its own */
    const double *rate;           /* learning rate */
    const int64_t *steps;         /* Adam steps before this update; NULL = as the optimiser counts them … */
    int step;                     /* … and of this update before this one */
    const real *gradient;         /* [n] sum over all ranks */
    real *parameters, *m, *v;     /* [n] and Adam's moments */
    size_t n;
    struct fault *fault;     /* shared by all networks of a run */
    struct fault not_finite; /* what is noted there if the gradient is not finite */
};

struct ppo_pass { /* one learner, see backend/kernels/ppo_metrics.h */
    struct ppo_learner *learner;
    struct normalizer *norm;
    struct fault *fault;                          /* shared by all learners of a run */
    struct fault place;                           /* what is noted there, but for the kind */
    const struct update_numbers *numbers;         /* start */
    const struct moments *advantage, *ret;        /* start */
    const struct moments *kl;                     /* end */
    const struct minibatch_statistics *minibatch; /* begin, measure */
    const real *sum;                              /* measure: [2][PASS_SUMS] of the actor's and the critic's pass, sums over all ranks */
};

struct rescale_pass { /* a value head that means the same V on another scale */
    const struct rescale *rescale;
    const struct fault *fault; /* of some kind: nothing is done */
    real *weight, *bias;       /* [outputs][inputs] [outputs] */
    int inputs, outputs;
};

/* ---- the table ----------------------------------------------------------------------------------------------------------------------- */

/* Multiply-adds on registers, flop/s; a large copy, bytes read and written a second; a product [rows][inputs] x [outputs][inputs], flop/s,
 * by the fastest there is and by the backend's own kernel. */
enum rate { RATE_MULTIPLY_ADD, RATE_COPY, RATE_PRODUCT, RATE_OWN_PRODUCT };
struct env_device_ops;
struct comm_device;
struct recording;
/* Slots of mark and wait: of a rollout's stages; of updates whose outcome is not read yet. */
enum { BACKEND_STAGES = 8, BACKEND_OUTCOMES = 2, BACKEND_MARKS = BACKEND_STAGES + BACKEND_OUTCOMES };

struct backend {
    const char *name; /* "cpu", "cuda" */
    char detail[160]; /* "avx512, 2 threads" */
    bool host_memory;
    int threads;
    int level; /* instruction level: ranks agree on the lowest (enum cpu_level) */
    void *self;

    void (*close)(struct backend *);

    /* memory */
    void *(*alloc)(struct backend *, const char *what, size_t bytes); /* zeroed */
    void (*free)(struct backend *, void *);
    void (*upload)(struct backend *, void *to, const void *from, size_t bytes);
    void (*download)(struct backend *, void *to, const void *from, size_t bytes);
    void (*sync)(struct backend *);

    /* inputs: room for max_rows; pack gathers the rows of `batch` from x [N][D]. Packed rows serve one pass of a call at a time; they also hold
     * its gradient sums. Creating them reserves the threads' work space, so that nothing is allocated while learning. */
    struct packed_rows *(*packed_rows_create)(struct backend *, const struct network *, int max_rows);
    void (*packed_rows_destroy)(struct backend *, struct packed_rows *);
    void (*pack)(struct backend *, const struct network *, const struct running *inputs /* NULL = x as it is */,
                 struct packed_rows *const *packed, const float *x, const struct batch *batch, int passes);

    /* networks and distributions */
    /* A device may keep what forward has made of the parameters. They are written by upload, copy, optimizer_step, soft_update and
     * rescale_heads only. */
    void (*forward)(struct backend *, const struct forward_pass *, int passes);
    void (*act)(struct backend *, const struct act_pass *, int passes);
    void (*evaluate)(struct backend *, const struct evaluate_pass *, int passes);
    void (*join)(struct backend *, const struct joint_pass *, int passes);
    void (*compound)(struct backend *, const struct compound_pass *, int passes);
    void (*home)(struct backend *, const struct home_pass *, int passes);
    void (*forget)(struct backend *, const struct forget_pass *, int passes);
    void (*train)(struct backend *, const struct train_pass *, int passes);

    /* whole-rollout arithmetic */
    void (*gae)(struct backend *, const struct gae_pass *, int passes);
    void (*select_ends)(struct backend *, const struct ends_pass *, int passes);
    void (*scatter)(struct backend *, const struct scatter_pass *, int passes);
    void (*copy_rows)(struct backend *, const struct copy_pass *, int passes);
    /* first: nonfinite_code of the least index, or NONFINITE_NONE */
    void (*find_nonfinite)(struct backend *, const float *x, size_t n, uint64_t *first);
    /* Likewise, where environments step on the device (NULL elsewhere: env/verify.h looks there), with 4 times the index: the first logit of
     * a categorical head whose mask [rows][L] allows nothing though the row is active [rows] (or NULL); the first x [rows][width] that is
     * not the first of its row. */
    void (*find_no_choice)(struct backend *, const struct distribution *, const uint8_t *mask, const uint8_t *active, size_t rows,
                           uint64_t *first);
    void (*find_unequal)(struct backend *, const float *x, size_t rows, int width, uint64_t *first);
    void (*moments)(struct backend *, const struct moments_pass *, int passes);
    void (*standardise)(struct backend *, const struct standardise_pass *, int passes);
    void (*discount)(struct backend *, const struct discount_pass *, int passes);
    void (*running_measure)(struct backend *, const struct running_pass *, int passes); /* rows to sums */
    void (*running_take)(struct backend *, const struct running_pass *, int passes);    /* sums, of all ranks, to statistics and scale */
    void (*select)(struct backend *, const struct select_pass *, int passes);

    /* PPO's learners, in the order of the passes. `bad` [bads] are results of find_… operations: any but NONFINITE_NONE is a fault. */
    void (*ppo_start)(struct backend *, const struct ppo_rules *, const struct ppo_pass *, int passes, const uint64_t *bad,
                      int bads); /* clears *fault */
    void (*ppo_begin)(struct backend *, const struct ppo_rules *, const struct ppo_pass *, int passes);
    void (*rescale_heads)(struct backend *, const struct rescale_pass *, int passes);
    void (*ppo_measure)(struct backend *, const struct ppo_rules *, const struct ppo_pass *, int passes);
    void (*ppo_end)(struct backend *, const struct ppo_rules *, const struct ppo_pass *, int passes);

    /* All networks' gradients are looked at, in the order of the passes, before the first parameter moves; where *fault is of some kind
     * then, or was before, none does. */
    void (*optimizer_step)(struct backend *, const struct optimizer_rules *, const struct optimizer_pass *, int passes);

    /* learners that replay: off_policy.h. Columns are packed one pass after the other: several may be of the same rows. */
    void (*draw)(struct backend *, const struct draw_pass *, int passes);
    void (*priority_renew)(struct backend *, const struct priority_pass *, int passes);   /* new steps get the largest, steps that went 0 */
    void (*priority_rebuild)(struct backend *, const struct priority_pass *, int passes); /* from the leaves of the steps that are held */
    void (*priority_draw)(struct backend *, const struct priority_pass *, int passes);
    void (*priority_weigh)(struct backend *, const struct priority_pass *, int passes);
    void (*priority_learn)(struct backend *, const struct priority_pass *, int passes); /* of the rows that were drawn */
    void (*td_errors)(struct backend *, const struct error_pass *, int passes);
    void (*gather)(struct backend *, const struct gather_pass *, int passes);
    void (*pack_columns)(struct backend *, const struct columns_pass *, int passes);
    void (*embed)(struct backend *, const struct embed_pass *, int passes);
    void (*embed_back)(struct backend *, const struct embed_back_pass *, int passes);
    void (*td_targets)(struct backend *, const struct td_pass *, int passes);
    void (*explore)(struct backend *, const struct explore_pass *, int passes);
    void (*derive)(struct backend *, const struct derive_pass *, int passes);

    /* flat vectors */
    void (*copy)(struct backend *, void *to, const void *from, size_t bytes);                  /* both the backend's */
    void (*soft_update)(struct backend *, real *target, const real *from, real tau, size_t n); /* target += tau (from - target) */

    /* optional: both in one go, tile by tile */
    void (*forward_act)(struct backend *, const struct forward_pass *, const struct act_pass *, int passes);

    /* optional, devices: calls between record_begin and record_end are remembered (and made, by record_end) and can be repeated at once. */
    void (*record_begin)(struct backend *);
    struct recording *(*record_end)(struct backend *);
    void (*replay)(struct backend *, struct recording *);
    void (*recording_free)(struct backend *, struct recording *);

    /* optional, devices: host arrays that copies to and from the device are fast with, and copies that the host need not wait for. `mark`
     * remembers how far the calls have come, `wait` lets the host wait for that: everything downloaded before is there then. Once it has
     * waited, `mark_seconds` is the time from the slot's mark_begin, where the device has come to it with all calls before done, to its
     * mark. */
    void *(*host_alloc)(struct backend *, const char *what, size_t bytes); /* zeroed */
    void (*host_free)(struct backend *, void *);
    void (*upload_later)(struct backend *, void *to, const void *from, size_t bytes); /* `from` stays as it is until a later wait */
    void (*download_later)(struct backend *, void *to, const void *from, size_t bytes);
    void (*mark)(struct backend *, int slot);
    void (*wait)(struct backend *, int slot);
    void (*mark_begin)(struct backend *, int slot);
    double (*mark_seconds)(struct backend *, int slot);
    void (*range)(struct backend *, const char *name); /* for profilers: what the calls from here on belong to; NULL ends the last one */
    double (*rate)(struct backend *, int what, int rows, int outputs, int inputs); /* what the device can do, measured now */
    /* Of a planning backend: what its callers have taken at most at a time. text: "device memory: 812.5 MiB of 80000.0 free: inputs of
     * passes 512.0, …"; of the CPU what has been taken now: "41.3 MB (rollout 20.1 MB, …)". EXIT_USAGE where a device has less. */
    int (*memory_plan)(struct backend *, size_t *need, char *text, size_t size, struct error *err);
    /* As much as was planned, in one piece: later calls of alloc that were planned take from it. Once, before them. */
    void (*memory_reserve)(struct backend *, size_t bytes);
    const struct env_device_ops *environments; /* optional: how environments run here (env/device.h) */
    const struct comm_device *messages;        /* optional, devices: how ranks add up memory of this backend (comm/comm.h) */
    /* Allocations are only added up, and nothing is computed. Memory that alloc returns may not be touched on a device, and on the CPU better not. */
    bool planning;
};
/* Of matrix products on a device; master weights, sums and everything else stay float32. */
enum precision { PRECISION_FP32, PRECISION_TF32, PRECISION_BF16 };

/* ---- the same on every backend ------------------------------------------------------------------------------------------------------- */

static inline void backend_range(struct backend *b, const char *name)
{
    if (b->range) b->range(b, name);
}

/* Memory of the backend's with a copy of host memory in it. */
static inline void *backend_copy(struct backend *b, const char *what, const void *from, size_t bytes)
{
    void *to = b->alloc(b, what, bytes);
    b->upload(b, to, from, bytes);
    return to;
}

/* A run of calls that is the same every time. The first time the calls are only made: kernels are loaded, libraries choose their ways, and
 * neither can be recorded. The second time they are recorded, after that replayed. */
struct repeated {
    struct recording *recording;
    bool made, begun;
};
/* True where the calls have been replayed; else make them, then backend_recorded. */
static inline bool backend_replayed(struct backend *b, struct repeated *replay)
{
    if (!b->record_begin) return false;
    if (replay->recording) {
        b->replay(b, replay->recording);
        return true;
    }
    replay->begun = replay->made;
    if (replay->begun) b->record_begin(b);
    return false;
}
static inline void backend_recorded(struct backend *b, struct repeated *replay)
{
    if (replay->begun) replay->recording = b->record_end(b);
    replay->begun = false;
    replay->made = true;
}
static inline void backend_forget(struct backend *b, struct repeated *replay)
{
    if (replay->recording) b->recording_free(b, replay->recording);
    *replay = (struct repeated){NULL, false, false};
}

/* Instruction levels, lowest first. */
enum cpu_level { CPU_BASELINE, CPU_AVX2, CPU_AVX512, CPU_LEVELS };
int cpu_level_detect(void);
const char *cpu_level_name(int level); /* "baseline", "avx2", "avx512" */

/* Floating-point operations a second of one core, measured now: multiply-adds on registers, and the backend's own matrix product of a layer
 * on one tile. */
double cpu_peak(int level);
double cpu_product_rate(int level, int outputs, int inputs);

struct backend_config {
    const char *name; /* "cpu", "cuda" */
    int threads;
    int level;  /* at most what the machine has; -1 = the best it has */
    int device; /* cuda: number of the device; -1 = local_rank modulo devices */
    int local_rank;
    int precision; /* cuda: enum precision */
    bool graphs;   /* cuda: record and replay what is the same in every update */
    bool planning; /* see struct backend */
};
bool backend_built(const char *name);       /* is it part of this build? */
int backend_devices(const char *name);      /* usable devices of this machine, 0 for none; nothing is opened */
bool backend_nccl(char *text, size_t size); /* NCCL's version, or why it cannot be had; false in a build without CUDA */
int backend_open(struct backend **backend, const struct backend_config *config, struct error *err);

#endif
