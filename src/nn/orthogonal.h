/* Random orthogonal matrices for the initialisation of networks (network.c): uniformly distributed (Haar), as torch.nn.init.orthogonal_'s
 * are. */
#ifndef MAPPO_NN_ORTHOGONAL_H
#define MAPPO_NN_ORTHOGONAL_H

#include "nn/network.h"

/* out [rows][columns]: gain times a matrix whose rows or columns, whichever are fewer, are orthonormal. A function of init->seed,
 * init->index and `tensor`: neither threads nor the instruction level change a bit. */
void orthogonal_fill(const struct network_init *init, uint32_t tensor, real *out, int rows, int columns, double gain);

#endif
