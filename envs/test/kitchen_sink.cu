/* test/kitchen_sink on a device. */
#include "cuda/lane_kernels.h"

extern "C" {
#include "envs/test/kitchen_sink.h"
}

LANE_KERNELS(sink, struct sink, struct sink_rules, 2)
