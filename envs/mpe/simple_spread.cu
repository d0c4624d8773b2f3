/* mpe/simple_spread on a device. */
#include "cuda/lane_kernels.h"

extern "C" {
#include "envs/mpe/simple_spread_lane.h"
}

#define spread_kernels mpe_simple_spread_kernels /* as envs.def knows them */
LANE_KERNELS_USUAL(spread, struct spread, struct spread_rules, 1, spread_is_usual, spread_make_usual)
