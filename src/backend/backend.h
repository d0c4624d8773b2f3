/* The arithmetic of learning, as a table of operations that one machine type implements (cpu; cuda later).
 *
 * Operations are network-sized: the layers stay inside a backend, so that activations never leave the cache (or the chip). This is no
 * tensor graph. Buffers come from `alloc` and belong to the backend; the host may touch them only where `host_memory` is true, else through
 * `upload` and `download`. Axes: T time, E environments, A agents of a group, B rows of a batch, D inputs, H hidden, O outputs, L logits, P
 * parameters. Operations can't fail, except for running out of memory in `alloc` and `tiles_create` (which ends the program) and the device
 * (which does too).
 *
 * Shards. A pass covers the rows of one shard; operations take an array of passes and may run them at the same time. The result of a pass
 * depends only on its own rows, never on the other passes or the number of threads: that is what the reproducible mode stands on. */
#ifndef MAPPO_BACKEND_BACKEND_H
#define MAPPO_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/real.h"

/* ---- networks ------------------------------------------------------------------------------------------------------------------------ */

enum activation { ACTIVATION_RELU, ACTIVATION_TANH };

/* [feature_norm] → fc1 → act → norm1 → fc2 → act → norm2 … → [gru → gru_norm] → head(s), as the reference's MLPBase and MLPLayer.
 * All heads of a network form one matrix [O][H]. Offsets index the network's parameter vector; -1 = absent. Weights are [out][in],
 * row-major. */
enum { NETWORK_MAX_LAYERS = 8, POLICY_MAX_HEADS = 16 /* one per Discrete, per MultiDiscrete component, per MultiBinary or Box head */ };
struct network {
    int inputs, hidden, outputs; /* D, H, O */
    int layers;                  /* fc1 … fc<layers>: the reference's layer_N + 1 */
    int activation;              /* enum activation */
    bool feature_norm;           /* LayerNorm of the input */
    bool layer_norm;             /* LayerNorm after each activation */
    int gru_layers;              /* 0 = feed-forward */
    int extra;                   /* free parameters after the head: log_std [Kr] of a Gaussian policy */
    int heads; /* how people see the rows of the head matrix: heads of head_rows[] rows, in order; arithmetic sees one matrix */
    int head_rows[POLICY_MAX_HEADS];
    struct {
        ptrdiff_t feature_weight, feature_bias;                                   /* [D] [D] */
        ptrdiff_t weight[NETWORK_MAX_LAYERS], bias[NETWORK_MAX_LAYERS];           /* [H][D or H] [H] */
        ptrdiff_t norm_weight[NETWORK_MAX_LAYERS], norm_bias[NETWORK_MAX_LAYERS]; /* [H] [H] */
        ptrdiff_t gru_weight_ih, gru_weight_hh, gru_bias_ih, gru_bias_hh, gru_norm_weight, gru_norm_bias;
        ptrdiff_t head_weight, head_bias; /* [O][H] [O] */
        ptrdiff_t extra;                  /* [extra] */
    } at;
    size_t parameters; /* P */
};

/* ---- distributions ---------------------------------------------------------------------------------------------------------------------
 */

enum head_kind { HEAD_CATEGORICAL, HEAD_BERNOULLI, HEAD_GAUSSIAN };

struct head {
    int kind;
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
    float fixed_std;                 /* > 0: the Gaussian's standard deviation is this constant instead of exp(log_std) */
};

/* ---- passes -------------------------------------------------------------------------------------------------------------------------- */

/* Inputs of a pass, packed for the backend's kernels and, with feature_norm, normalised: made once, used by every epoch. */
struct tiles;

/* Which rows a batch has. A unit is an env-step u = t * E + e with `rows` consecutive rows (the A agents, or 1 for a central critic). */
struct batch {
    const int32_t *unit; /* [units]; host memory; NULL = 0 … units - 1 */
    int units, rows;     /* B = units * rows; row i of unit u is row u * rows + i of the arrays */
};

struct recurrent {      /* reserved for recurrent policies; NULL elsewhere */
    const real *hidden; /* [B][gru_layers][H] */
    real *hidden_out;
};

struct forward_pass {
    const struct network *net;
    const real *parameters;
    struct tiles *tiles; /* filled by `pack` */
    struct recurrent *recurrent;
    real *out; /* [B][O] in the order of the batch */
};

struct act_pass { /* sampling, or the mode, from outputs */
    const struct distribution *dist;
    int rows;            /* B */
    const real *out;     /* [B][O] */
    const real *log_std; /* [Kr]; NULL without Gaussian heads */
    const uint8_t *mask; /* [B][L]; NULL = all allowed */
    bool deterministic;
    uint64_t seed; /* Philox key */
    int stream;
    uint64_t step;      /* the policy's global step count */
    uint32_t first_env; /* row b belongs to environment first_env + b / agents, agent first_agent + b % agents */
    int agents, first_agent;
    int32_t *act_int; /* [B][Ki] */
    float *act_real;  /* [B][Kr] */
    real *log_prob;   /* [B] joint; may be NULL */
};

enum loss_kind { LOSS_POLICY, LOSS_VALUE };

/* What a pass found out, sums over its rows; added up between shards and ranks in double. */
enum pass_sum {
    SUM_WEIGHT,  /* Σ m, the loss's divisor */
    SUM_LOSS,    /* Σ m · surrogate (sign as minimised), or of the value loss before its coefficient */
    SUM_ENTROPY, /* Σ m · H */
    SUM_KL,      /* Σ (r - 1 - log r) over all rows */
    SUM_CLIPPED, /* rows with |r - 1| > clip */
    SUM_RATIO,   /* Σ r */
    SUM_ROWS,    /* rows, whether active or not */
    PASS_SUMS
};

struct policy_loss {
    const struct distribution *dist;
    real clip;                /* ε */
    real entropy;             /* coefficient */
    const int32_t *act_int;   /* [N][Ki] all arrays of N rows, addressed through the batch */
    const float *act_real;    /* [N][Kr] */
    const uint8_t *mask;      /* [N][L] or NULL */
    const uint8_t *active;    /* [N] or NULL: the weight m of a row */
    const real *old_log_prob; /* [N] */
    const real *advantage;    /* [N] normalised */
};

struct value_loss {
    int targets;           /* returns per row: A where one value serves all agents of a step, else 1 */
    real clip;             /* ε of the clipped value loss; 0 = not clipped */
    real huber_delta;      /* 0 = squared error */
    real coefficient;      /* of the value loss */
    real mean, deviation;  /* the normaliser: target = (ret - mean) / deviation */
    const uint8_t *active; /* [N][targets] or NULL */
    const real *old_value; /* [N] normalised scale */
    const real *ret;       /* [N][targets] reward units */
};

struct train_pass {
    int loss; /* enum loss_kind */
    const struct network *net;
    const real *parameters; /* [P] */
    struct tiles *tiles;
    struct batch batch;
    struct recurrent *recurrent;
    union {
        struct policy_loss policy;
        struct value_loss value;
    };
    real
        *gradient; /* [P] out: of the SUM of the row losses (policy: surrogate - entropy coefficient · entropy); divide by the global Σ m */
    double sum[PASS_SUMS]; /* out, host */
};

/* ---- elementwise -----------------------------------------------------------------------------------------------------------------------
 */

struct gae_pass { /* arrays of a whole rollout, environments [lo, hi); see backend/kernels/gae.h for the equations */
    int steps, envs, agents, lo, hi;
    real gamma, lambda;
    bool bootstrap;                   /* at a time limit: r + γ V(final); false: treat as terminal */
    int value_agents;                 /* 1 = one value per environment, serves all agents; else A */
    real value_mean, value_deviation; /* denormaliser: V = mean + deviation * value */
    const float *reward;              /* [T][E][A] */
    const uint8_t *terminated;        /* [T][E][A] */
    const uint8_t *ep_end;            /* [T][E] */
    const real *value;                /* [T+1][E][value_agents] normalised scale */
    const real *final_value;          /* [T][E][value_agents] read only where truncated */
    real *advantage, *ret;            /* [T][E][A] reward units */
};

struct moments { /* of masked rows, in double */
    double count, sum, sum_squares;
};

struct adam {
    real learning_rate, beta1, beta2, eps, weight_decay;
    int64_t step; /* 1 for the first update */
    real scale;   /* multiplies the gradient: 1 / Σ m, times the clip factor */
};

/* ---- the table -------------------------------------------------------------------------------------------------------------------------
 */

struct backend {
    const char *name; /* "cpu" */
    char detail[96];  /* "avx512, 2 threads" */
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

    /* inputs: room for max_rows; pack gathers the rows of `batch` from x [N][D]. Tiles serve one pass of a call at a time; they also hold
     * its gradient sums. Creating them reserves the threads' work space, so that nothing is allocated while learning. */
    struct tiles *(*tiles_create)(struct backend *, const struct network *, int max_rows);
    void (*tiles_destroy)(struct backend *, struct tiles *);
    void (*pack)(struct backend *, const struct network *, struct tiles *const *tiles, const float *x, const struct batch *batch,
                 int passes);

    /* networks and distributions */
    void (*forward)(struct backend *, const struct forward_pass *, int passes);
    void (*act)(struct backend *, const struct act_pass *, int passes);
    void (*train)(struct backend *, struct train_pass *, int passes);

    /* whole-rollout arithmetic. moments: x and mask are [N][rows], `rows` numbers for each row of the batch (1, or the targets of a
     * critic's row). */
    void (*gae)(struct backend *, const struct gae_pass *, int passes);
    void (*moments)(struct backend *, const real *x, const uint8_t *mask, int rows, const struct batch *batch, struct moments *out,
                    int passes);                                                       /* batch [passes] */
    void (*standardise)(struct backend *, real *x, size_t n, real mean, real divisor); /* x = (x - mean) / divisor */

    /* flat vectors */
    double (*sum_squares)(struct backend *, const real *x, size_t n);
    void (*add)(struct backend *, real *to, const real *from, size_t n);
    void (*adam)(struct backend *, const struct adam *, real *parameters, const real *gradient, real *m, real *v, size_t n);
    void (*soft_update)(struct backend *, real *target, const real *from, real tau, size_t n); /* target += tau (from - target) */

    /* optional */
    void (*forward_act)(struct backend *, const struct forward_pass *, const struct act_pass *,
                        int passes); /* both in one go, tile by tile */
};

/* Instruction levels, lowest first. */
enum cpu_level { CPU_BASELINE, CPU_AVX2, CPU_AVX512, CPU_LEVELS };
int cpu_level_detect(void);
const char *cpu_level_name(int level); /* "baseline", "avx2", "avx512" */

/* Floating-point operations a second of one core, measured now: multiply-adds on registers, and the backend's own matrix product of a layer
 * on one tile. */
double cpu_peak(int level);
double cpu_product_rate(int level, int outputs, int inputs);

struct backend_config {
    const char *name; /* "cpu" */
    int threads;
    int level; /* at most what the machine has; -1 = the best it has */
};
int backend_open(struct backend **backend, const struct backend_config *config, struct error *err);

#endif
