/* test/kitchen_sink on a device. */
#include "cuda/lane_kernels.h"

extern "C" {
#include "envs/test/kitchen_sink.h"
}

#define sink_kernels test_kitchen_sink_kernels /* as envs.def knows them */
LANE_KERNELS(sink, struct sink, struct sink_rules, 2)
