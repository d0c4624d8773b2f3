/* The layers of a network: sizes, and where their parameters lie. Layer 0 reads the inputs, layer `layers` is the head. */
#ifndef MAPPO_KERNELS_LAYER_H
#define MAPPO_KERNELS_LAYER_H

#include "backend/backend.h"

MAPPO_FN int layer_inputs(const struct network *net, int layer)
{
    return layer == 0 ? net->inputs : net->hidden;
}

MAPPO_FN int layer_outputs(const struct network *net, int layer)
{
    return layer == net->layers ? net->outputs : net->hidden;
}

struct layer {
    int inputs, outputs;
    ptrdiff_t weight, bias, gamma, beta; /* offsets of parameters; gamma and beta: of the norm before the layer, -1 without one */
};

MAPPO_FN struct layer layer_of(const struct network *net, int l)
{
    struct layer a = {layer_inputs(net, l), layer_outputs(net, l), net->at.head_weight, net->at.head_bias, -1, -1};
    if (l < net->layers) {
        a.weight = net->at.weight[l];
        a.bias = net->at.bias[l];
    }
    if (l == 0 && net->feature_norm) {
        a.gamma = net->at.feature_weight;
        a.beta = net->at.feature_bias;
    }
    if (l > 0 && net->layer_norm) {
        a.gamma = net->at.norm_weight[l - 1];
        a.beta = net->at.norm_bias[l - 1];
    }
    return a;
}

#endif
