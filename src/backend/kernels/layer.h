/* The layers of a network: sizes, and where their parameters lie. Layer 0 reads the inputs, or what convolutions made of them; a GRU's two
 * products are layers of their own, that of its input (layer_gru) and that of its state (the next); the head follows, and behind it the
 * convolutions (layer_conv), whose numbers nobody else's hang on: layer_last is the last of all. */
#ifndef MAPPO_KERNELS_LAYER_H
#define MAPPO_KERNELS_LAYER_H

#include "backend/backend.h"

MAPPO_FN int layer_head(const struct network *net)
{
    return net->gru ? net->layers + 2 : net->layers;
}

MAPPO_FN int layer_conv(const struct network *net, int i)
{
    return layer_head(net) + 1 + i;
}

MAPPO_FN int layer_last(const struct network *net)
{
    return layer_head(net) + net->conv.layers;
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

/* ---- convolutions -------------------------------------------------------------------------------------------------------------------- */

struct conv_layer {
    int height, width;       /* of its input, … */
    int to_height, to_width; /* … and of its output */
    int images, channels;    /* of the input; channels of each image */
    int outputs, kernel;
    int pad; /* rows above and columns to the left that are zeros; on the other sides as many as are left over */
};

MAPPO_FN struct conv_layer conv_layer_of(const struct network *net, int i)
{
    const struct convolutions *conv = &net->conv;
    struct conv_layer c = {conv->height,
                           conv->width,
                           0,
                           0,
                           i == 0 ? conv->images : 1,
                           i == 0 ? conv->channels : conv->outputs[i - 1],
                           conv->outputs[i],
                           conv->kernel[i],
                           conv->same ? (conv->kernel[i] - 1) / 2 : 0};
    for (int before = 0; before < i && !conv->same; before++) {
        c.height -= conv->kernel[before] - 1;
        c.width -= conv->kernel[before] - 1;
    }
    c.to_height = conv->same ? c.height : c.height - c.kernel + 1;
    c.to_width = conv->same ? c.width : c.width - c.kernel + 1;
    return c;
}

MAPPO_FN int conv_positions(const struct conv_layer *c)
{
    return c->to_height * c->to_width;
}

/* Of a position: everything its kernels see. */
MAPPO_FN int conv_inputs(const struct conv_layer *c)
{
    return c->images * c->channels * c->kernel * c->kernel;
}

/* Where image m begins among the columns of the convolution's input, which is [height][width][channels] per image. */
MAPPO_FN int conv_image(const struct network *net, int i, int m)
{
    return i == 0 ? net->conv.first + m * net->conv.stride : 0;
}

/* Features of the last convolution, [row][column][channel]. */
MAPPO_FN int conv_features(const struct network *net)
{
    const struct conv_layer c = conv_layer_of(net, net->conv.layers - 1);
    return conv_positions(&c) * c.outputs;
}

MAPPO_FN int conv_is_image(const struct network *net, int column)
{
    const struct convolutions *c = &net->conv;
    const int at = column - c->first;
    return at >= 0 && at / c->stride < c->images && at % c->stride < c->height * c->width * c->channels;
}

/* Columns of the input that no convolution sees. */
MAPPO_FN int conv_beside(const struct network *net)
{
    return net->inputs - net->conv.images * net->conv.height * net->conv.width * net->conv.channels;
}

/* ---- sizes --------------------------------------------------------------------------------------------------------------------------- */

MAPPO_FN int layer_inputs(const struct network *net, int layer)
{
    if (layer == 0) return net->conv.layers > 0 ? conv_features(net) + conv_beside(net) : net->inputs;
    if (layer <= layer_head(net)) return layer <= net->layers ? layer_width(net, layer - 1) : net->hidden;
    const struct conv_layer c = conv_layer_of(net, layer - layer_conv(net, 0));
    return conv_inputs(&c);
}

MAPPO_FN int layer_outputs(const struct network *net, int layer)
{
    if (layer > layer_head(net)) return net->conv.outputs[layer - layer_conv(net, 0)];
    return layer == layer_head(net) ? net->outputs : layer < net->layers ? layer_width(net, layer) : 3 * net->hidden;
}

struct layer {
    int inputs, outputs;
    ptrdiff_t weight, bias, gamma, beta; /* offsets of parameters; gamma and beta: of the norm before the layer, -1 without one */
    /* The first `turned` columns of the matrix are computed in another order than they are stored in, and then there is no norm: stored are a
     * convolution's [in][row][column] and features as [channel][row][column], as PyTorch has them; computed are [image][row][column][channel
     * of the image] and [row][column][channel], because then what lies beside each other in the input does so in the matrix. So blocks
     * [inner][outer] are computed as [outer][inner]. */
    int outer, inner, turned;
};

MAPPO_FN struct layer layer_of(const struct network *net, int l)
{
    struct layer a = {layer_inputs(net, l), layer_outputs(net, l), net->at.head_weight, net->at.head_bias, -1, -1, 1, 1, 0};
    if (l < net->layers) {
        a.weight = net->at.weight[l];
        a.bias = net->at.bias[l];
    } else if (l > layer_head(net)) {
        a.weight = net->at.conv_weight[l - layer_conv(net, 0)];
        a.bias = net->at.conv_bias[l - layer_conv(net, 0)];
    } else if (l < layer_head(net)) {
        a.weight = l == layer_gru(net) ? net->at.gru_weight_ih : net->at.gru_weight_hh;
        a.bias = l == layer_gru(net) ? net->at.gru_bias_ih : net->at.gru_bias_hh;
    }
    if (net->conv.layers > 0 && (l == 0 || l > layer_head(net))) {
        const int i = l == 0 ? net->conv.layers - 1 : l - layer_conv(net, 0);
        const struct conv_layer c = conv_layer_of(net, i);
        a.outer = l == 0 ? conv_positions(&c) : c.kernel * c.kernel;
        a.inner = l == 0 ? c.outputs : c.channels;
        a.turned = l == 0 ? conv_features(net) : a.inputs;
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

/* Which column of the matrix as it is stored the computed one is. */
MAPPO_FN int layer_column(const struct layer *a, int k)
{
    const int block = a->outer * a->inner;
    return k < a->turned ? k / block * block + k % a->inner * a->outer + k % block / a->inner : k;
}

#endif
