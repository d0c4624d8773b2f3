#!/usr/bin/env bash
# The formulas that host and device share are device code too: nvcc compiles every MAPPO_FN of the shared headers into a kernel. Needs no GPU.
set -u
cd "$(dirname "$0")/../.." || exit 1
nvcc=$(sed -n 's/^NVCC_FOUND := //p' "${BUILD:-build}/config.mk" 2>/dev/null)
[ -n "$nvcc" ] || nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
if ! [ -x "$nvcc" ]; then
    echo "ok - shared_headers_compile_as_device_code # SKIP needs nvcc"
    exit 0
fi
work=$(mktemp -d --suffix=.mappo-device) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
compile() { # HEADER
    local functions name out
    out=$work/$(basename "$1" .h)
    # Those of this header that are there for the device: some have another form on the host.
    printf '#include "%s"\n' "$1" | gcc -E -P -D__CUDACC__ -D__CUDA_ARCH__=800 -D__host__= -D__device__=DEVICE -Isrc -I. -x c - 2>/dev/null | sed -nE 's/^static inline +DEVICE [^(]*[ *]([a-z_0-9]+)\(.*/\1/p' | sort >"$out.device"
    functions=$(sed -nE 's/^MAPPO_FN [^(]*[ *]([a-z_0-9]+)\(.*/\1/p' "$1" | sort -u | comm -12 - "$out.device")
    {
        echo "#include \"$1\""
        echo '__global__ void take_addresses(void **at)'
        echo '{'
        local i=0
        for name in $functions; do echo "    at[$((i++))] = (void *)$name;"; done
        echo '}'
    } >"$out.cu"
    if [ -z "$functions" ]; then
        echo "ok - $(basename "$1") # SKIP has no function of its own"
    elif "$nvcc" -std=c++17 -arch=sm_80 -Isrc -I. -Werror cross-execution-space-call -diag-suppress 177 -c -o "$out.o" "$out.cu" >"$out.log" 2>&1; then
        echo "ok - $(basename "$1") compiles as device code ($(wc -w <<<"$functions") functions)"
    else
        failed=1
        echo "not ok - $(basename "$1") compiles as device code: nvcc says"
        grep -E 'error' "$out.log" | head -8 | sed 's/^/# /'
    fi
}
for header in src/backend/kernels/*.h src/base/philox.h src/env/float_math.h src/env/account.h src/env/wrappers.h src/env/rules.h src/env/lane_env.h envs/mpe/*.h envs/test/*.h; do compile "$header"; done
exit $failed
