#!/usr/bin/env bash
# Rules that a kernel is to be made from must compile as device code: each rules header is included into a kernel that plays one copy a thread.
set -u
cd "$(dirname "$0")/../.." || exit 1
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
if ! [ -x "$nvcc" ]; then
    echo "ok - rules_compile_as_device_code # SKIP no nvcc"
    echo "1..1"
    exit 0
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/mappo-device.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
cat > "$folder/rules.cu" <<'CUDA'
#include "env/lane.h"
#include "env/real_float.h"
#include "envs/mpe/simple_spread.h"
#include "env/real_double.h"
#include "envs/mpe/simple_spread.h"
#include "envs/test/kitchen_sink.h"

LANE_LOOPS(sink, struct sink, struct sink_rules, 2)

__global__ void play_sink(struct lane_batch batch, struct sink_rules rules, struct mappo_env_io io)
{
    const int e = blockIdx.x * blockDim.x + threadIdx.x;
    struct mappo_env_io lane;
    if (e >= batch.envs) return;
    lane_at(&lane, &io, &batch.strides, 2, e);
    lane_advance_sink((struct sink *)lane_state(&batch, e), &rules, &lane);
}

__global__ void play_spread(struct spread *w, struct spread_rules rules, const int32_t *act, float *reward, float *obs, double *exact)
{
    if (spread_step_float(w, &rules, act, NULL, reward, NULL)) spread_reset_float(w, &rules);
    spread_observe_float(w, &rules, obs);
    spread_step_double(w, &rules, act, NULL, exact, NULL);
    spread_observe_double(w, &rules, obs);
}
CUDA
log=$folder/log
if "$nvcc" -c -x cu -Isrc -I. -o "$folder/rules.o" "$folder/rules.cu" >"$log" 2>&1 && [ -s "$folder/rules.o" ]; then
    echo "ok - rules_compile_as_device_code"
    failed=0
else
    echo "not ok - rules_compile_as_device_code: nvcc says:"
    sed 's/^/# /' "$log" | head -20
    failed=1
fi
echo "1..1"
exit $failed
