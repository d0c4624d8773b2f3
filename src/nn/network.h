/* Builds networks: lays out the parameters, names them as PyTorch people expect, initialises them.
 * A network is `struct network` (backend.h); its parameters are a slice of the learner's one contiguous block. */
#ifndef MAPPO_NN_NETWORK_H
#define MAPPO_NN_NETWORK_H

#include <stdint.h>

#include "backend/backend.h"

struct network_config {
    int inputs, hidden, layers, outputs, extra;
    int activation;    /* enum activation */
    bool feature_norm, layer_norm;
    int gru_layers;
};

void network_build(struct network *net, const struct network_config *config);

/* One named tensor: "fc1/weight" [64,18]. The order is that of the parameter vector. */
struct tensor {
    char name[48];
    int rank, shape[2];
    ptrdiff_t offset;
    const char *description;
};
int network_tensors(const struct network *net, struct tensor *out, int max); /* returns the count */

/* Orthogonal weights (gain √2 for ReLU, 5/3 for tanh; head_gain for the head), biases 0, norms 1 and 0, GRU matrices orthogonal as one [3H,H], extra = extra_value.
 * Heads of a policy are initialised one by one (each its own orthogonal block), `head_rows` lists their heights. Host memory.
 * Source: marlbenchmark/on-policy, algorithms/utils/mlp.py, act.py. Draws: Philox (seed, PHILOX_INITIALISATION, index). */
struct network_init {
    uint64_t seed;
    uint32_t index; /* which network of the run */
    real head_gain, extra_value;
    const int *head_rows;
    int heads;
};
void network_initialise(const struct network *net, real *parameters, const struct network_init *init);

#endif
