#!/usr/bin/env bash
# Rules that a kernel is to be made from must compile as device code: a rules header is included into a kernel that plays one copy a thread.
# (The kernels of the environments themselves are compiled by `make`: tests/cuda/test_compile.sh.)
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
failed=0
count=0
compiles() { # what, file
    count=$((count + 1))
    if "$nvcc" -std=c++17 -c -Isrc -I. -fmad=false -o "$folder/out.o" "$2" >"$folder/log" 2>&1 && [ -s "$folder/out.o" ]; then
        echo "ok - $1"
    else
        echo "not ok - $1: nvcc says:"
        sed 's/^/# /' "$folder/log" | head -20
        failed=1
    fi
}
cat > "$folder/rules.cu" <<'CUDA'
#include "env/real_float.h"
#include "envs/mpe/simple_spread.h"
#include "env/real_double.h"
#include "envs/mpe/simple_spread.h"

__global__ void play_spread(struct spread *w, struct spread_rules rules, const int32_t *act, float *reward, float *obs, double *exact)
{
    if (spread_step_float(w, &rules, act, NULL, reward, NULL)) spread_reset_float(w, &rules);
    spread_observe_float(w, &rules, obs);
    spread_step_double(w, &rules, act, NULL, exact, NULL);
    spread_observe_double(w, &rules, obs);
}
CUDA
compiles rules_compile_as_device_code_in_float_and_double "$folder/rules.cu"

# As docs/env-abi.md says: the template's rules in a header, kernels of three lines, a plugin of both.
sed '/what it looks like/,$d' envs/template/meeting.c > "$folder/meeting.h"
sed -n '/^```cuda$/,/^```$/p' docs/env-abi.md | sed '/^```/d' | sed '/^extern const struct mappo_kernels/,$d' > "$folder/meeting.cu"
compiles kernels_on_the_page_compile "$folder/meeting.cu"
echo "1..$count"
exit $failed
