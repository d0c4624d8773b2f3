/* Builds networks: lays out the parameters, names them as PyTorch people expect, initialises them.
 * A network is `struct network` (backend.h); its parameters are a slice of the learner's one contiguous block. */
#ifndef MAPPO_NN_NETWORK_H
#define MAPPO_NN_NETWORK_H

#include <stdint.h>

#include "backend/backend.h"

struct network_config {
    int inputs, hidden, layers;
    int width[NETWORK_MAX_LAYERS];   /* of each hidden layer; 0 = hidden */
    int heads;                       /* 1 … POLICY_MAX_HEADS */
    int head_rows[POLICY_MAX_HEADS]; /* outputs of each */
    int log_std_rows;                /* as in struct network */
    int extra;
    int activation; /* enum activation */
    bool feature_norm, layer_norm;
    bool by_layer; /* as in struct network */
    bool gru;      /* a recurrent layer before the head */
    int gru_steps; /* its longest chunk of a training pass */
    struct convolutions conv;
};

/* Tensors lie in the order of the forward pass: feature_norm, conv1, …, fc1, norm1, …, gru, gru_norm, head weights, head biases, log_std.
 * Where deviations are outputs, log_std is a head behind the others. */
void network_build(struct network *net, const struct network_config *config);

/* One named tensor: "fc1/weight" [64,18]. Several heads are "head0", "head1", …; a single one is "head". */
struct tensor {
    char name[48];
    int rank, shape[4];
    ptrdiff_t offset;
    const char *description;
};
enum { NETWORK_MAX_TENSORS = 2 + 2 * NETWORK_MAX_CONVS + 4 * NETWORK_MAX_LAYERS + 6 + 2 * POLICY_MAX_HEADS + 2 };
int network_tensors(const struct network *net, struct tensor *out, int max); /* returns the count */

/* Orthogonal weights (hidden_gain, by default √2 for ReLU, 5/3 for tanh; head_gain for the head), biases 0, norms 1 and 0, GRU matrices orthogonal as one
 * [3H,H] matrix, a convolution's as one [out, in * kernel * kernel] matrix with the hidden layers' gain. Heads of a policy are initialised one by one, each its own orthogonal block; log deviations are init->log_std in every state:
 * the parameters, or the biases of their head, whose weights are 0. Host memory. Source:
 * marlbenchmark/on-policy, algorithms/utils/mlp.py, act.py. INIT_TORCH: weights and biases uniform in ± 1 / sqrt(inputs), those of a GRU in
 * ± 1 / sqrt(H), as torch.nn.Linear and torch.nn.GRU reset theirs. Draws: Philox (seed, PHILOX_INITIALISATION, index). */
enum init_kind { INIT_ORTHOGONAL, INIT_TORCH };
struct network_init {
    uint64_t seed;
    uint32_t index; /* which network of the run */
    real head_gain, log_std;
    int kind;           /* enum init_kind */
    double hidden_gain; /* 0 = as the activation has it */
    int level, threads; /* instruction level and threads to use (0 = 1): they change no bit */
};
void network_initialise(const struct network *net, real *parameters, const struct network_init *init);

#endif
