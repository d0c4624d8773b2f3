/* Convolutions before the hidden layers, for mlp_composed.cu. Shapes: conv.cu. */
#ifndef MAPPO_CUDA_CONV_H
#define MAPPO_CUDA_CONV_H

#include "cuda/gemm.h"

/* A part of a pass. */
struct conv_pass {
    const struct network *net; /* host memory */
    const float *folded;       /* layout.h */
    float *chunk;              /* likewise, sums of gradients */
    float *space;              /* [conv_floats] */
    float *columns;            /* space of column_sums */
    const float *input;        /* [R][D] */
    struct live_rows live;
    int rows; /* R: of the largest part */
};

/* Rows of a part such that an array of features has at most so many floats, where it can. */
int conv_most_rows(const struct network *net, int floats);
size_t conv_floats(const struct network *net, int rows);
/* What fc1 sees, [R][layer_inputs(net, 0)]. */
const float *conv_output(const struct network *net, float *space, int rows);
void conv_forward(struct cuda *cuda, const struct conv_pass *pass);
/* From g [R][ld], the gradient by fc1's outputs, to the sums of the convolutions. */
void conv_backward(struct cuda *cuda, const struct conv_pass *pass, const float *g, int ld);

/* mlp_composed.cu: sums of the columns of g [rows][wide], the first `split` to or onto `to`, the others `rest`. */
struct column_sums {
    const float *g;
    int rows, wide, columns, split;
    float *space, *to, *rest;
    int add;
};
void column_sums(struct cuda *cuda, const struct column_sums *sums);

#endif
