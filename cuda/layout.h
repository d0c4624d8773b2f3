/* Where a network's folded weights and the sums of its gradients lie in a block of floats.
 *
 * The affine part of a layer norm is folded into the next layer: W' = W diag(γ), b' = b + W β, so that kernels see x̂, what the norm gives
 * before γ and β. With P = Σ dz x̂ᵀ (of all rows) and db = Σ dz the gradients are dW = P∘γ + db βᵀ, dγ = Σ_j W_j∘P_j, dβ = Wᵀ db.
 * Folded: per layer W' [N][K], b' [N]. Sums: per layer P [N][K], db [N]; then those of log_std [extra]. Every array begins at a multiple of
 * four floats. Behind the head come convolutions (kernels/layer.h), which have no norm. */
#ifndef MAPPO_CUDA_LAYOUT_H
#define MAPPO_CUDA_LAYOUT_H

extern "C" {
#include "backend/kernels/layer.h"
}

MAPPO_FN size_t layout_round(size_t n)
{
    return (n + 3) / 4 * 4;
}

MAPPO_FN size_t layout_layer(const struct network *net, int layer)
{
    return layout_round((size_t)layer_outputs(net, layer) * (size_t)layer_inputs(net, layer)) +
           layout_round((size_t)layer_outputs(net, layer));
}

/* Where layer `layer` begins; layer_last + 1: the end, where log_std's sums are. */
MAPPO_FN size_t layout_weight(const struct network *net, int layer)
{
    size_t at = 0;
    for (int l = 0; l < layer; l++) at += layout_layer(net, l);
    return at;
}

MAPPO_FN size_t layout_bias(const struct network *net, int layer)
{
    return layout_weight(net, layer) + layout_round((size_t)layer_outputs(net, layer) * (size_t)layer_inputs(net, layer));
}

MAPPO_FN size_t layout_size(const struct network *net)
{
    return layout_weight(net, layer_last(net) + 1) + layout_round((size_t)net->extra);
}

#endif
