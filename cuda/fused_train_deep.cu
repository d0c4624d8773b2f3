/* The training kernels of one and of three hidden layers of at most 64: two blocks of four warps on a multiprocessor where they fit. */
#include "cuda/fused_train_by_layer.h"

const struct fused_trainer fused_train_64x1 = {64, 1, FUSED_BLOCKS, by_layer_warps<64, 1>, by_layer_train<64, 1>};
const struct fused_trainer fused_train_64x3 = {64, 3, FUSED_BLOCKS, by_layer_warps<64, 3>, by_layer_train<64, 3>};
