/* The layers of a network: sizes, and where their parameters lie. Layer 0 reads the inputs; a GRU's two products are layers of their own,
 * that of its input (layer_gru) and that of its state (the next); the head is the last. */
#ifndef MAPPO_KERNELS_LAYER_H
#define MAPPO_KERNELS_LAYER_H

#include "backend/backend.h"

MAPPO_FN int layer_head(const struct network *net)
{
    return net->gru ? net->layers + 2 : net->layers;
}

MAPPO_FN int layer_gru(const struct network *net)
{
    return net->layers;
}

/* Of a hidden layer. */
MAPPO_FN int layer_width(const struct network *net, int layer)
{
    return net->width[layer] > 0 ? net->width[layer] : net->hidden;
}

MAPPO_FN int layer_widest(const struct network *net)
{
    int widest = 0;
    for (int l = 0; l < net->layers; l++) widest = layer_width(net, l) > widest ? layer_width(net, l) : widest;
    return widest;
}

MAPPO_FN int layers_are_equal(const struct network *net)
{
    int equal = 1;
    for (int l = 0; l < net->layers; l++) equal = equal && layer_width(net, l) == net->hidden;
    return equal;
}

MAPPO_FN int layer_inputs(const struct network *net, int layer)
{
    return layer == 0 ? net->inputs : layer <= net->layers ? layer_width(net, layer - 1) : net->hidden;
}

MAPPO_FN int layer_outputs(const struct network *net, int layer)
{
    return layer == layer_head(net) ? net->outputs : layer < net->layers ? layer_width(net, layer) : 3 * net->hidden;
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
    } else if (l < layer_head(net)) {
        a.weight = l == layer_gru(net) ? net->at.gru_weight_ih : net->at.gru_weight_hh;
        a.bias = l == layer_gru(net) ? net->at.gru_bias_ih : net->at.gru_bias_hh;
    }
    if (l == 0 && net->feature_norm) {
        a.gamma = net->at.feature_weight;
        a.beta = net->at.feature_bias;
    }
    if (l > 0 && l <= net->layers && net->layer_norm) {
        a.gamma = net->at.norm_weight[l - 1];
        a.beta = net->at.norm_bias[l - 1];
    }
    if (l > net->layers) { /* the state has no norm before its product; the head's has */
        a.gamma = l == layer_head(net) ? net->at.gru_norm_weight : -1;
        a.beta = l == layer_head(net) ? net->at.gru_norm_bias : -1;
    }
    return a;
}

#endif
