/* The recurrent layer between the hidden layers and the head, for mlp_composed.cu. Shapes: gru.cu. */
#ifndef MAPPO_CUDA_GRU_H
#define MAPPO_CUDA_GRU_H

#include "cuda/gemm.h"

struct gru_arrays {
    float *gates;    /* [R][3H] W_ih x in; r, z, n; after the way back the gradient by W_ih x */
    float *products; /* [R][3H] W_hh h; after the way back the gradient by it */
    float *before;   /* [R][H] the state before each row's step, zeroed where an episode begins */
    float *state;    /* [R][H] the state after it */
};

struct gru_pass {
    struct gru_arrays arrays;
    const struct recurrent *time; /* host memory */
    const float *weight;          /* W_hh [3H][H] */
    const float *bias_x, *bias_s; /* [3H] of W_ih x and W_hh h */
    struct live_rows live;
    int hidden;
};

void gru_forward(struct cuda *cuda, const struct gru_pass *pass);
/* gradient [R][H]: by `state`, as far as it comes from the rows' own outputs; carry [R][H]: space. */
void gru_backward(struct cuda *cuda, const struct gru_pass *pass, const float *gradient, float *carry);

#endif
