#include "nn/network.h"

#include <math.h>
#include <stdio.h>

#include "backend/kernels/layer.h"
#include "base/philox.h"
#include "nn/orthogonal.h"

/* ---- layout -------------------------------------------------------------------------------------------------------------------------- */

static ptrdiff_t place(size_t *end, size_t count)
{
    const ptrdiff_t at = (ptrdiff_t)*end;
    *end += count;
    return at;
}

static void place_gru(struct network *net, size_t *end)
{
    const size_t hidden = (size_t)net->hidden;
    net->at.gru_weight_ih = place(end, 3 * hidden * hidden);
    net->at.gru_weight_hh = place(end, 3 * hidden * hidden);
    net->at.gru_bias_ih = place(end, 3 * hidden);
    net->at.gru_bias_hh = place(end, 3 * hidden);
    net->at.gru_norm_weight = place(end, hidden);
    net->at.gru_norm_bias = place(end, hidden);
}

void network_build(struct network *net, const struct network_config *config)
{
    CHECK(config->layers >= 1 && config->layers <= NETWORK_MAX_LAYERS, "a network of %d layers; 1 to %d are possible", config->layers,
          NETWORK_MAX_LAYERS);
    CHECK(config->heads >= 1 && config->heads <= POLICY_MAX_HEADS, "a network of %d heads", config->heads);
    *net = (struct network){.inputs = config->inputs,
                            .hidden = config->width[config->layers - 1] ? config->width[config->layers - 1] : config->hidden,
                            .layers = config->layers,
                            .activation = config->activation,
                            .feature_norm = config->feature_norm,
                            .layer_norm = config->layer_norm,
                            .by_layer = config->by_layer,
                            .gru = config->gru,
                            .gru_steps = config->gru_steps,
                            .conv = config->conv,
                            .extra = config->extra,
                            .heads = config->heads,
                            .log_std_rows = config->log_std_rows,
                            .outputs = config->log_std_rows};
    for (int i = 0; i < config->heads; i++) {
        net->head_rows[i] = config->head_rows[i];
        net->outputs += config->head_rows[i];
    }
    for (int i = 0; i < net->layers; i++) net->width[i] = config->width[i] ? config->width[i] : config->hidden;
    ptrdiff_t *const at = (ptrdiff_t *)&net->at;
    for (size_t i = 0; i < sizeof net->at / sizeof *at; i++) at[i] = -1;

    const size_t inputs = (size_t)net->inputs, hidden = (size_t)net->hidden, outputs = (size_t)net->outputs;
    size_t end = 0;
    if (net->feature_norm) {
        net->at.feature_weight = place(&end, inputs);
        net->at.feature_bias = place(&end, inputs);
    }
    for (int i = 0; i < net->conv.layers; i++) {
        const struct conv_layer c = conv_layer_of(net, i);
        net->at.conv_weight[i] = place(&end, (size_t)c.outputs * (size_t)conv_inputs(&c));
        net->at.conv_bias[i] = place(&end, (size_t)c.outputs);
    }
    for (int i = 0; i < net->layers; i++) {
        const size_t width = (size_t)layer_width(net, i);
        net->at.weight[i] = place(&end, width * (size_t)layer_inputs(net, i));
        net->at.bias[i] = place(&end, width);
        if (!net->layer_norm) continue;
        net->at.norm_weight[i] = place(&end, width);
        net->at.norm_bias[i] = place(&end, width);
    }
    if (net->gru) place_gru(net, &end);
    net->at.head_weight = place(&end, outputs * hidden);
    net->at.head_bias = place(&end, outputs);
    if (net->extra > 0) net->at.extra = place(&end, (size_t)net->extra);
    net->parameters = end;
}

/* ---- names --------------------------------------------------------------------------------------------------------------------------- */

struct tensor_writer {
    struct tensor *out;
    int count, max;
};

static void name_tensor(struct tensor_writer *w, const char *module, int number, const char *leaf, ptrdiff_t offset, int rows, int columns,
                        const char *description)
{
    if (offset < 0) return;
    CHECK(w->count < w->max, "no room for more than %d tensors", w->max);
    struct tensor *t = &w->out[w->count++];
    char suffix[12] = "";
    if (number >= 0) snprintf(suffix, sizeof suffix, "%d", number);
    snprintf(t->name, sizeof t->name, "%s%s%s%s", module, suffix, leaf[0] ? "/" : "", leaf);
    t->rank = columns > 0 ? 2 : 1;
    t->shape[0] = rows;
    t->shape[1] = columns > 0 ? columns : 1;
    t->shape[2] = t->shape[3] = 1;
    t->offset = offset;
    t->description = description;
}

static void name_gru(struct tensor_writer *w, const struct network *net)
{
    const int hidden = net->hidden, rows = 3 * hidden;
    name_tensor(w, "gru", -1, "weight_ih", net->at.gru_weight_ih, rows, hidden, "GRU weights of the input, rows reset, update, new");
    name_tensor(w, "gru", -1, "weight_hh", net->at.gru_weight_hh, rows, hidden, "GRU weights of the state, rows reset, update, new");
    name_tensor(w, "gru", -1, "bias_ih", net->at.gru_bias_ih, rows, 0, "GRU bias of the input");
    name_tensor(w, "gru", -1, "bias_hh", net->at.gru_bias_hh, rows, 0, "GRU bias of the state");
    name_tensor(w, "gru_norm", -1, "weight", net->at.gru_norm_weight, hidden, 0, "layer norm after the GRU, scale");
    name_tensor(w, "gru_norm", -1, "bias", net->at.gru_norm_bias, hidden, 0, "layer norm after the GRU, shift");
}

int network_tensors(const struct network *net, struct tensor *out, int max)
{
    struct tensor_writer w = {out, 0, max};
    name_tensor(&w, "feature_norm", -1, "weight", net->at.feature_weight, net->inputs, 0, "layer norm of the input, scale");
    name_tensor(&w, "feature_norm", -1, "bias", net->at.feature_bias, net->inputs, 0, "layer norm of the input, shift");
    for (int i = 0; i < net->conv.layers; i++) {
        const struct conv_layer c = conv_layer_of(net, i);
        name_tensor(&w, "conv", i + 1, "weight", net->at.conv_weight[i], c.outputs, c.images * c.channels,
                    "convolution, [out,in,row,column]");
        w.out[w.count - 1].rank = 4;
        w.out[w.count - 1].shape[2] = w.out[w.count - 1].shape[3] = c.kernel;
        name_tensor(&w, "conv", i + 1, "bias", net->at.conv_bias[i], c.outputs, 0, "convolution, bias");
    }
    for (int i = 0; i < net->layers; i++) {
        const int inputs = layer_inputs(net, i), width = layer_width(net, i);
        name_tensor(&w, "fc", i + 1, "weight", net->at.weight[i], width, inputs, "linear layer, [out,in]: y = W x + b");
        name_tensor(&w, "fc", i + 1, "bias", net->at.bias[i], width, 0, "linear layer, bias");
        name_tensor(&w, "norm", i + 1, "weight", net->at.norm_weight[i], width, 0, "layer norm after the activation, scale");
        name_tensor(&w, "norm", i + 1, "bias", net->at.norm_bias[i], width, 0, "layer norm after the activation, shift");
    }
    name_gru(&w, net);
    for (int i = 0, row = 0; i < net->heads; row += net->head_rows[i++])
        name_tensor(&w, "head", net->heads > 1 ? i : -1, "weight", net->at.head_weight + (ptrdiff_t)row * net->hidden, net->head_rows[i],
                    net->hidden, "output layer, [out,in]");
    for (int i = 0, row = 0; i < net->heads; row += net->head_rows[i++])
        name_tensor(&w, "head", net->heads > 1 ? i : -1, "bias", net->at.head_bias + row, net->head_rows[i], 0, "output layer, bias");
    if (net->log_std_rows) {
        const ptrdiff_t row = net->outputs - net->log_std_rows;
        name_tensor(&w, "log_std", -1, "weight", net->at.head_weight + row * net->hidden, net->log_std_rows, net->hidden,
                    "log standard deviation of the Gaussian actions, [out,in]");
        name_tensor(&w, "log_std", -1, "bias", net->at.head_bias + row, net->log_std_rows, 0,
                    "log standard deviation of the Gaussian actions, bias");
    }
    name_tensor(&w, "log_std", -1, "", net->at.extra, net->extra, 0, "log standard deviation of the Gaussian actions");
    return w.count;
}

/* ---- initialisation ------------------------------------------------------------------------------------------------------------------ */

static void fill(real *parameters, ptrdiff_t at, size_t count, real value)
{
    if (at < 0) return;
    for (size_t i = 0; i < count; i++) parameters[at + (ptrdiff_t)i] = value;
}

/* Number `first` and those behind it of tensor `tensor`, two from each draw. `first` is even. */
static void fill_uniform(const struct network_init *init, uint32_t tensor, size_t first, real *out, size_t count, double bound)
{
    for (size_t i = 0; i < count; i += 2) {
        const struct philox_draw draw = philox_at(init->seed, PHILOX_INITIALISATION, init->index, tensor, (first + i) / 2);
        out[i] = (real)(bound * (2 * philox_double(draw.v[0], draw.v[1]) - 1));
        if (i + 1 < count) out[i + 1] = (real)(bound * (2 * philox_double(draw.v[2], draw.v[3]) - 1));
    }
}

/* A matrix [rows][columns] and its bias, which stays 0 beside an orthogonal one. */
static void fill_linear(const struct network_init *init, uint32_t tensor, real *weight, real *bias, int rows, int columns, double gain)
{
    const size_t weights = (size_t)rows * (size_t)columns;
    const double bound = 1 / sqrt((double)columns);
    if (init->kind == INIT_ORTHOGONAL) {
        orthogonal_fill(init, tensor, weight, rows, columns, gain);
        return;
    }
    fill_uniform(init, tensor, 0, weight, weights, bound);
    fill_uniform(init, tensor, weights + weights % 2, bias, (size_t)rows, bound);
}

void network_initialise(const struct network *net, real *parameters, const struct network_init *init)
{
    const double usual = net->activation == ACTIVATION_RELU ? sqrt(2.0) : 5.0 / 3.0;
    const double gain = init->hidden_gain > 0 ? init->hidden_gain : usual;
    const size_t hidden = (size_t)net->hidden;
    fill(parameters, 0, net->parameters, 0);
    fill(parameters, net->at.feature_weight, (size_t)net->inputs, 1);
    uint32_t tensor = 0;
    for (int i = 0; i < net->conv.layers; i++) {
        const struct conv_layer c = conv_layer_of(net, i);
        fill_linear(init, tensor++, parameters + net->at.conv_weight[i], parameters + net->at.conv_bias[i], c.outputs, conv_inputs(&c),
                    gain);
    }
    for (int i = 0; i < net->layers; i++) {
        fill_linear(init, tensor++, parameters + net->at.weight[i], parameters + net->at.bias[i], layer_width(net, i), layer_inputs(net, i),
                    gain);
        fill(parameters, net->at.norm_weight[i], (size_t)layer_width(net, i), 1);
    }
    if (net->gru) {
        fill_linear(init, tensor++, parameters + net->at.gru_weight_ih, parameters + net->at.gru_bias_ih, 3 * net->hidden, net->hidden, 1);
        fill_linear(init, tensor++, parameters + net->at.gru_weight_hh, parameters + net->at.gru_bias_hh, 3 * net->hidden, net->hidden, 1);
    }
    fill(parameters, net->at.gru_norm_weight, hidden, 1);
    for (int i = 0, row = 0; i < net->heads; row += net->head_rows[i++])
        fill_linear(init, tensor++, parameters + net->at.head_weight + (ptrdiff_t)row * net->hidden, parameters + net->at.head_bias + row,
                    net->head_rows[i], net->hidden, (double)init->head_gain);
    fill(parameters, net->at.head_bias + net->outputs - net->log_std_rows, (size_t)net->log_std_rows, init->log_std);
    fill(parameters, net->at.extra, (size_t)net->extra, init->log_std);
}
