/* The training kernel of two hidden layers of 128, and of 65 to 127. One block of eight warps has a multiprocessor for itself. */
#include "cuda/fused_train_by_layer.h"

const struct fused_trainer fused_train_128x2 = {128, 2, 1, by_layer_warps<128, 2>, by_layer_train<128, 2>};
